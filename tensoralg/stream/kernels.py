"""What the forms of a stream compute, as definitions that can be compiled: a token, and a chunk of tokens.

A chunk is a segment of time that starts from given states: sums over time are closed forms over it (see
`tensoralg.stream.system`).  A closed form is a sum of two terms, what is left of the state before and what the chunk
adds, and it can stand in two ways where another state is made of it: *nested*, as one array over the times of the
chunk, or *multiplied out*, as two terms of their own, which a plan may contract in other orders.  Neither is always
cheaper.  Constant gates are gates at every time here.  The outputs come first, then the new states; old states are
tensors of their names.
"""

from __future__ import annotations

from tensoralg.expr.nodes import Add, Bind, Definition, Expr, Mul, add, bind, mul
from tensoralg.expr.rewrite import names_in
from tensoralg.spaces import Index
from tensoralg.stream.monomials import Expansion
from tensoralg.stream.system import Segment, State, Step, System, at_token

MOST_TERMS = 16


def token_definitions(system: System) -> tuple[Definition, ...]:
    """Return the outputs and the new states at one token, in the old states."""
    step = Step(system)
    return tuple(at_token(d, system.clock) for d in (*step.outputs, *step.states.values()))


def chunk_definitions(system: System, nested: bool = False) -> tuple[Definition, ...]:
    """Return the outputs at every time of a chunk and the states after it, in the states before it.

    Parameters
    ----------
    system : System
    nested : bool
        Whether states that are made of others read these as arrays, or are multiplied out.
    """
    timed = system.timed

    def initial(state: State, legs: tuple[Index, ...]) -> Expr:
        return state.alone[legs]

    forms = timed.over(Segment("-", initial))
    return tuple(_opened(d, timed, nested) for d in (*forms.outputs, *map(forms.final, timed.states)))


def _opened(definition: Definition, system: System, nested: bool) -> Definition:
    expansion = Expansion(system.clock, names_in(definition))
    body = _nested(definition.body, expansion) if nested else _multiplied(definition.body, expansion)
    return Definition(definition.legs, body, definition.name)  # type: ignore[no-any-return]


def _nested(expr: Expr, expansion: Expansion) -> Expr:
    """Return a term in which a sum of closed forms is multiplied by what it is contracted with, and by no more."""
    if not expansion.sums_time(expr):
        return expr
    children = tuple(_nested(child, expansion) for child in expr.children())
    if not isinstance(expr, Bind):
        return expr.with_children(children)
    (body,) = children
    factors = body.children() if isinstance(body, Mul) else (body,)
    forms = [f for f in factors if isinstance(f, Add) and expansion.sums_time(f)]
    if len(forms) != 1 or any(index.space == expansion.clock for index in expr.indices):
        return expr.with_children(children)
    rest = [f for f in factors if f is not forms[0]]
    near = [f for f in rest if not set(f._free).isdisjoint(expr.indices)]
    parts = (bind(expr.indices, mul(*near, term)) for term in forms[0].children())
    return mul(*(f for f in rest if f not in near), add(*parts))


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
