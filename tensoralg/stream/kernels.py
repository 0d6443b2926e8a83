"""What the forms of a stream compute, as definitions that can be compiled: a token, and a chunk of tokens.

A chunk is a segment of time that starts from given states: sums over time are closed forms over it (see
`tensoralg.stream.system`), multiplied out, so that a plan may contract features or times first.  Constant gates are
gates at every time there.  The outputs come first, then the new states; old states are tensors of their names.
"""

from __future__ import annotations

from tensoralg.expr.nodes import Bind, Definition, Expr, Mul, add, bind, mul
from tensoralg.expr.rewrite import names_in
from tensoralg.spaces import Index
from tensoralg.stream.monomials import Expansion
from tensoralg.stream.system import Segment, State, Step, System, at_token

MOST_TERMS = 16


def token_definitions(system: System) -> tuple[Definition, ...]:
    """Return the outputs and the new states at one token, in the old states."""
    step = Step(system)
    return tuple(at_token(d, system.clock) for d in (*step.outputs, *step.states.values()))


def chunk_definitions(system: System) -> tuple[Definition, ...]:
    """Return the outputs at every time of a chunk and the states after it, in the states before it."""
    timed = system.timed

    def initial(state: State, legs: tuple[Index, ...]) -> Expr:
        return state.alone[legs]

    forms = timed.over(Segment("-", initial))
    return tuple(_opened(d, timed) for d in (*forms.outputs, *map(forms.final, timed.states)))


def _opened(definition: Definition, system: System) -> Definition:
    expansion = Expansion(system.clock, names_in(definition))
    return Definition(definition.legs, _multiplied(definition.body, expansion), definition.name)  # type: ignore[no-any-return]


def _multiplied(expr: Expr, expansion: Expansion) -> Expr:
    """Return a term with its sums over time multiplied out, products of several of them left as they are."""
    if not expansion.sums_time(expr):
        return expr
    over_time = isinstance(expr, Bind) and any(index.space == expansion.clock for index in expr.indices)
    if over_time or _linear(expr, expansion):
        parts = expansion.expand(expr)
        if len(parts) <= MOST_TERMS:
            return add(*(bind((*p.times, *p.features), mul(*p.factors)) for p in parts))
    return expr.with_children(tuple(_multiplied(child, expansion) for child in expr.children()))


def _linear(expr: Expr, expansion: Expansion) -> bool:
    """Whether no product or function in a term holds several sums over time, outside of these."""
    if not expansion.sums_time(expr):
        return True
    if isinstance(expr, Bind):
        return any(index.space == expansion.clock for index in expr.indices) or _linear(expr.summand, expansion)
    if isinstance(expr, Mul):
        summing = [child for child in expr.children() if expansion.sums_time(child)]
        return len(summing) == 1 and _linear(summing[0], expansion)
    return expr.kind == "add" and all(_linear(child, expansion) for child in expr.children())
