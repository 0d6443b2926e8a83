"""From definitions to a validated operator: plan, lower, emit, read back, prove."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from tensoralg.normal import unify
from tensoralg.plan import Plan, plan
from tensoralg.plan.regimes import symbolic
from tensoralg.spaces import VectorSpace, check_sizes

FORMS = (None, "parallel")
MOST_PROGRAMS = 16


def compile(
    expr: Expr | Sequence[Expr],
    sizes: Mapping[str, int] | None = None,
    form: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Operator:
    """Return a torch module that computes an expression, proved equal to it.

    Parameters
    ----------
    expr : Expr or sequence of Expr
        A definition, or a term whose free indices are the axes of the result; or several of them, which one
        kernel computes at once: what they have in common once, over the tensors of all.
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

    Several at once:

    >>> weights = ta.parse("W[t,s] = exp(x[t]*y[s])", indices={"t,s": "n"})
    >>> totals = ta.parse("Z[t] = sum(s: exp(x[t]*y[s]))", indices={"t,s": "n"})
    >>> compile([weights, totals])(torch.ones(2), torch.zeros(2))
    (tensor([[1., 1.],
            [1., 1.]]), tensor([2., 2.]))
    """
    several = isinstance(expr, Sequence)
    exprs: list[Any] = list(expr) if isinstance(expr, Sequence) else [expr]
    for one in exprs:
        if not isinstance(one, Expr):
            raise InvalidExpression(f"{one!r} is no expression", remedy="compile what define, einsum or parse return")
    if not exprs:
        raise InvalidExpression("there is nothing to compile", remedy="give at least one expression")
    if form not in FORMS:
        raise UsageError(f"the form {form!r} is for streams", remedy='a plain expression compiles as "parallel"')
    unified, _ = unify(Definition(one.free_indices, one.body, getattr(one, "name", "out")) for one in exprs)
    definitions = tuple(one for one in unified if isinstance(one, Definition))
    tensors = tensors_of(*definitions)
    names = set().union(*map(all_dimensions, definitions))
    fixed = check_sizes(sizes, names)
    found = plan(definitions if several else definitions[0], fixed)
    inputs = [(tensor.name, tensor.legs) for tensor in tensors]
    choices = found.programs[:MOST_PROGRAMS]
    programs = [lower(choice.order.root, inputs, choice.order.trees, fixed) for choice in choices]
    costs = [symbolic(choice.price.flops) for choice in choices]
    _check_choice(tensors, costs, fixed)
    source = emit(programs, costs, _header(definitions, found))
    verdicts = validate(definitions, tensors, programs, source, costs, spaces_of(*definitions), names)
    computed = definitions if several else definitions[0]
    return Operator(computed, tensors, programs, costs, source, verdicts, found, fixed, parameters or {})


def tensors_of(*exprs: Expr) -> tuple[Tensor, ...]:
    """Return the tensors of some expressions, each once, in the order written.

    Examples
    --------
    >>> import tensoralg as ta
    >>> [t.name for t in tensors_of(ta.parse("O[i] = A[i,j]*A[j,i]*x[i]", indices={"i,j": "n"}))]
    ['A', 'x']
    """
    versions: dict[str, list[Tensor]] = {}
    for node in _nodes(exprs):
        if isinstance(node, Entry | Decay):
            versions.setdefault(node.tensor.name, []).append(node.tensor)
    return tuple(merge_facts(found) for found in versions.values())


def _nodes(exprs: Iterable[Expr]) -> Iterator[Expr]:
    return (node for expr in exprs for node in walk(expr))


def spaces_of(*exprs: Expr) -> Iterator[VectorSpace]:
    """Yield the spaces of all legs and indices of some expressions."""
    yield from (index.space for expr in exprs for index in expr.free_indices)
    for node in _nodes(exprs):
        yield from (term.space for term in node.index_terms())
        yield from (index.space for index in getattr(node, "indices", ()))
        if isinstance(node, Entry | Decay):
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


def _header(definitions: Sequence[Definition], found: Plan) -> str:
    legs = {str(s): s.dimension for s in spaces_of(*definitions)}
    spaces = ", ".join(f"{name}: {dimension}" for name, dimension in legs.items())
    written = "\n".join(map(str, definitions))
    return f"{written}\n\nSpaces and their dimensions: {spaces or 'none'}.\nFLOPs: {found.flops}.\n"
