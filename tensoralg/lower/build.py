"""From a definition to a validated operator: plan, lower, emit, read back, prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tensoralg.errors import InvalidExpression, MissingSize, UsageError
from tensoralg.expr import Definition, Expr, Tensor, walk
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Decay, Entry
from tensoralg.expr.tensor import merge_facts
from tensoralg.lower.emit import emit
from tensoralg.lower.lowering import lower
from tensoralg.lower.operator import Operator
from tensoralg.lower.validate import validate
from tensoralg.plan import Plan, plan
from tensoralg.plan.regimes import symbolic
from tensoralg.spaces import VectorSpace, check_sizes

FORMS = (None, "parallel")
MOST_PROGRAMS = 16


def compile(
    expr: Expr,
    sizes: Mapping[str, int] | None = None,
    form: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Operator:
    """Return a torch module that computes an expression, proved equal to it.

    Parameters
    ----------
    expr : Expr
        A definition, or a term whose free indices are the axes of the result.
    sizes : mapping of str to int, optional
        Sizes that are fixed; the others are read from the inputs at every call.
    form : None or "parallel"
        A plain expression has the one form.
    parameters : mapping of str to array_like, optional
        Initial values of tensors that become parameters of the module.

    Raises
    ------
    ValidationFailed
        If the program could not be proved equal to the definition.
    MissingSize
        If the program needs a size that no input tells.
    InvalidExpression
        If the expression cannot be lowered.

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
    """
    if not isinstance(expr, Expr):
        raise InvalidExpression(f"{expr!r} is no expression", remedy="compile what define, einsum or parse return")
    if form not in FORMS:
        raise UsageError(f"the form {form!r} is for streams", remedy='a plain expression compiles as "parallel"')
    definition: Definition = Definition(expr.free_indices, expr.body, getattr(expr, "name", "out"))
    tensors = tensors_of(definition)
    names = all_dimensions(definition)
    fixed = check_sizes(sizes, names)
    found = plan(definition, fixed)
    inputs = [(tensor.name, tensor.legs) for tensor in tensors]
    choices = found.programs[:MOST_PROGRAMS]
    programs = [lower(choice.order.root, inputs, choice.order.trees, fixed) for choice in choices]
    costs = [symbolic(choice.price.flops) for choice in choices]
    _check_choice(tensors, costs, fixed)
    source = emit(programs, costs, _header(definition, found))
    verdict = validate(definition, tensors, programs, source, costs, spaces_of(definition), names)
    return Operator(definition, tensors, programs, costs, source, verdict, found, fixed, parameters or {})


def tensors_of(expr: Expr) -> tuple[Tensor, ...]:
    """Return the tensors of an expression, each once, in the order written.

    Examples
    --------
    >>> import tensoralg as ta
    >>> [t.name for t in tensors_of(ta.parse("O[i] = A[i,j]*A[j,i]*x[i]", indices={"i,j": "n"}))]
    ['A', 'x']
    """
    versions: dict[str, list[Tensor]] = {}
    for node in walk(expr):
        if isinstance(node, Entry | Decay):
            versions.setdefault(node.tensor.name, []).append(node.tensor)
    return tuple(merge_facts(found) for found in versions.values())


def spaces_of(expr: Expr) -> Iterator[VectorSpace]:
    """Yield the spaces of all legs and indices of an expression."""
    yield from (index.space for index in expr.free_indices)
    for node in walk(expr):
        yield from (term.space for term in node.index_terms())
        yield from (index.space for index in getattr(node, "indices", ()))
        if isinstance(node, Entry):
            yield from node.tensor.legs


def _check_choice(tensors: Sequence[Tensor], costs: Sequence[Any], fixed: Mapping[str, int]) -> None:
    """Raise if the sizes that decide among several programs cannot be read from the inputs."""
    readable = {str(leg.dimension) for tensor in tensors for leg in tensor.legs}
    needed = {symbol.name for cost in costs for symbol in cost.free_symbols} if len(costs) > 1 else set()
    for name in sorted(needed - readable - set(fixed)):
        raise MissingSize(
            f"the best program depends on {name}, which no input tells",
            remedy=f'compile for a fixed size: compile(..., sizes={{"{name}": 8}})',
            name=name,
        )


def _header(definition: Definition, found: Plan) -> str:
    legs = {str(s): s.dimension for s in spaces_of(definition)}
    spaces = ", ".join(f"{name}: {dimension}" for name, dimension in legs.items())
    return f"{definition}\n\nSpaces and their dimensions: {spaces or 'none'}.\nFLOPs: {found.flops}.\n"
