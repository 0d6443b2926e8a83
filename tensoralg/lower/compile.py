"""Compiling: expressions and streams as torch modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensoralg.errors import InvalidExpression, UsageError
from tensoralg.expr import Expr
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.operator import Operator
from tensoralg.lower.streams import FORMS, FORMS_REMEDY, StreamOperator
from tensoralg.stream import Stream


def compile(
    expr: Expr | Sequence[Expr] | Stream,
    sizes: Mapping[str, int] | None = None,
    form: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    memory_limit: Any = None,
    recompute: bool = False,
) -> Operator:
    """Return a torch module that computes an expression, proved equal to it.

    Parameters
    ----------
    expr : Expr, sequence of Expr, or Stream
        A definition, or a term whose free indices are the axes of the result; or several of them, which one
        kernel computes at once: what they have in common once, over the tensors of all.
    sizes : mapping of str to int, optional
        Sizes that are fixed; the others are read from the inputs at every call.
    form : None, "parallel", "chunked" or "recurrent"
        The form in which a stream runs (None chooses by the number of tokens); a plain expression has one form.
    parameters : mapping of str to array_like, optional
        Initial values of tensors that become parameters of the module.
    memory_limit : int or sympy polynomial, optional
        Elements that the largest intermediate may have, for each place of the batch: contractions are done in
        slices, in loops, where that is needed.  Loops over a symbolic size are unrolled by `torch.export`.
    recompute : bool
        Whether nothing but its inputs is kept for the backward pass (of a stream, those of each chunk, states among
        them), which computes the rest once more: `torch.utils.checkpoint`, which `torch.func` does not transform.

    Notes
    -----
    Softmax attention runs as `torch.nn.functional.scaled_dot_product_attention` (see `lower.attention`), whose fast
    kernels have no second derivatives; under ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`` it has them.  A mask
    that is an input is best a bias, added to the scores: 0, or the lowest number where nothing is to be seen.  One
    that multiplies exponentials is no softmax, and they are computed as they are written: they overflow.

    Raises
    ------
    ValidationFailed
        If the program could not be proved equal to the definition.
    MissingSize
        If the program needs a size that no input tells.
    InvalidExpression
        If the expression cannot be lowered.
    MemoryLimit
        If no slices keep to the memory limit.

    Examples
    --------
    >>> import torch
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f": "d", "e": "d"})
    >>> op = compile(O)
    >>> op.inputs, op.verdict.status
    (('Q', 'K', 'V'), 'proved')
    >>> op(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3))
    tensor([[6., 6., 6.],
            [6., 6., 6.]])

    Several at once:

    >>> weights = ta.parse("W[t,s] = exp(x[t]*y[s])", indices={"t,s": "n"})
    >>> totals = ta.parse("Z[t] = sum(s: exp(x[t]*y[s]))", indices={"t,s": "n"})
    >>> compile([weights, totals])(torch.ones(2), torch.zeros(2))
    (tensor([[1., 1.],
            [1., 1.]]), tensor([2., 2.]))

    In less memory (the scores of all tokens have 25 elements):

    >>> compile(O, sizes={"n": 5, "d": 8}, memory_limit=40).plan.largest
    40
    """
    if isinstance(expr, Stream):
        if form not in FORMS:
            raise UsageError(f"there is no form {form!r}", remedy=FORMS_REMEDY)
        if memory_limit is not None:
            raise UsageError(
                "a stream has no memory limit", remedy='it keeps to one chunk, or form="recurrent" to one token'
            )
        stream = StreamOperator(expr, sizes, form, parameters or {})
        for kernel in (stream, stream.chunk, stream.token):
            kernel.recompute = recompute
        return stream
    if isinstance(expr, str):
        raise InvalidExpression(f"{expr!r} is a text, and no expression", remedy="compile what ta.parse makes of it")
    several = isinstance(expr, Sequence)
    exprs: list[Any] = list(expr) if isinstance(expr, Sequence) else [expr]
    for one in exprs:
        if not isinstance(one, Expr):
            raise InvalidExpression(f"{one!r} is no expression", remedy="compile what define, einsum or parse return")
    if not exprs:
        raise InvalidExpression("there is nothing to compile", remedy="give at least one expression")
    if form not in (None, "parallel"):
        raise UsageError(f"the form {form!r} is for streams", remedy='a plain expression compiles as "parallel"')
    operator = compile_definitions(exprs, sizes, parameters, single=not several, memory_limit=memory_limit)
    operator.recompute = recompute
    return operator
