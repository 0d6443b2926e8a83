"""From definitions to a validated operator: plan, lower, apply passes, emit, read back, prove."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sympy

from tensoralg.errors import MissingSize
from tensoralg.expr import Definition, Expr, Tensor, walk
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Decay, Entry
from tensoralg.expr.tensor import merge_facts
from tensoralg.lower.emit import emit
from tensoralg.lower.lowering import lower
from tensoralg.lower.operator import Operator
from tensoralg.lower.passes import PASSES, PRODUCTS, Pass, build
from tensoralg.lower.program import Program
from tensoralg.lower.validate import validate
from tensoralg.normal import unify
from tensoralg.plan import Plan, plan
from tensoralg.plan.regimes import symbolic
from tensoralg.proof import Verdict
from tensoralg.spaces import VectorSpace, check_sizes

MOST_PROGRAMS = 16


def compile_definitions(
    exprs: Sequence[Expr],
    sizes: Mapping[str, int] | None = None,
    parameters: Mapping[str, Any] | None = None,
    single: bool = False,
    fused: bool = False,
    memory_limit: Any = None,
    passes: Sequence[Pass] = PASSES,
) -> Operator:
    """Return the operator of some definitions: plan, lower, apply passes, emit, read back, prove.

    Parameters
    ----------
    exprs : sequence of Expr
        At least one.
    sizes : mapping of str to int, optional
        Sizes that are fixed.
    parameters : mapping of str to array_like, optional
        Initial values of tensors that become parameters of the module.
    single : bool
        Whether there is one definition, whose value is the result; else the result is a tuple.
    fused : bool
        Whether products of matrices are added at once and overwritten (see `lower.fuse`); what runs then needs
        less memory than the plan says.
    memory_limit : int or sympy polynomial, optional
        Elements that the largest intermediate may have.
    passes : sequence of Pass
        Rewritings of what was lowered; those that cannot be validated are dropped (see `lower.passes`).

    Raises
    ------
    ValidationFailed, MissingSize, InvalidExpression, MemoryLimit
        As :func:`tensoralg.lower.compile`.
    """
    unified, _ = unify(Definition(one.free_indices, one.body, getattr(one, "name", "out")) for one in exprs)
    definitions = tuple(one for one in unified if isinstance(one, Definition))
    tensors = tensors_of(*definitions)
    names = set().union(*map(all_dimensions, definitions))
    fixed = check_sizes(sizes, names)
    computed = definitions[0] if single else definitions
    found = plan(computed, fixed, memory_limit=memory_limit)
    inputs = [(tensor.name, tensor.legs) for tensor in tensors]
    choices = found.programs[:MOST_PROGRAMS]
    programs = [lower(choice.order.root, inputs, choice.order.trees, fixed) for choice in choices]
    costs = [symbolic(choice.price.flops) for choice in choices]
    _check_choice(tensors, costs, fixed)
    header, spaces = _header(definitions, found), tuple(spaces_of(*definitions))

    def proving(programs: Sequence[Program], costs: Sequence[sympy.Expr]) -> tuple[str, tuple[Verdict, ...]]:
        source = emit(programs, costs, header)
        return source, validate(definitions, tensors, programs, source, costs, spaces, names)

    built = build(programs, costs, (*passes, PRODUCTS) if fused else passes, proving)
    kernel = built.programs, built.costs, built.source, built.verdicts
    return Operator(computed, tensors, *kernel, found, fixed, parameters or {}, built.passes, built.dropped)


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
