"""What the forms of a stream compute, as definitions that can be compiled: a token, and a chunk of tokens.

A chunk is a segment of time that starts from given states: sums over time are closed forms over it (see
`tensoralg.stream.system`).  A closed form is a sum of two terms, what is left of the state before and what the chunk
adds, and it can stand in two ways where another state is made of it: *nested*, as one array over the times of the
chunk, or *multiplied out*, as two terms of their own, which a plan may contract in other orders.  Neither is always
cheaper.  Constant gates are gates at every time here.  The outputs come first, then the new states; old states are
tensors of their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tensoralg.expr.nodes import Add, Bind, Definition, Expr, Mul, add, bind, mul
from tensoralg.expr.rewrite import names_in
from tensoralg.spaces import Index
from tensoralg.stream.monomials import Expansion
from tensoralg.stream.system import Segment, State, Step, System, at_token

MOST_TERMS = 4  # planning many terms takes long, and finds little


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
    """Return a term in which every sum of closed forms is multiplied by what it is contracted with, and by no more."""
    if not expansion.sums_time(expr):
        return expr
    children = tuple(_nested(child, expansion) for child in expr.children())
    if not isinstance(expr, Bind) or any(index.space == expansion.clock for index in expr.indices):
        return expr.with_children(children)
    (body,) = children
    factors = body.children() if isinstance(body, Mul) else (body,)
    return mul(*(_contracted(*group, expansion) for group in connected(factors, expr.indices)))


def _contracted(factors: Sequence[Expr], indices: tuple[Index, ...], expansion: Expansion) -> Expr:
    """Return the sum of a product; one sum of closed forms in it is multiplied out."""
    forms = [f for f in factors if isinstance(f, Add) and expansion.sums_time(f)]
    if len(forms) != 1 or not indices:
        return bind(indices, mul(*factors))
    rest = [f for f in factors if f is not forms[0]]
    return add(*(bind(indices, mul(*rest, term)) for term in forms[0].children()))


def connected(
    factors: Sequence[Expr], indices: Sequence[Index]
) -> Iterator[tuple[tuple[Expr, ...], tuple[Index, ...]]]:
    """Yield the parts of a product that share no summed index, with the indices that each part sums.

    Examples
    --------
    >>> import tensoralg as ta
    >>> (f, g), x, y = ta.Space("F", "d").indices("f g"), *ta.tensors("x y", ta.Space("F", "d"))
    >>> [([str(p) for p in part], [str(i) for i in own]) for part, own in connected([x[f], y[g], y[f]], (f, g))]
    [(['y[g]'], ['g']), (['x[f]', 'y[f]'], ['f'])]
    """
    groups: list[tuple[set[Index], list[Expr]]] = []
    for factor in factors:
        own, members = {i for i in factor._free if i in indices}, [factor]
        for group in [g for g in groups if g[0] & own]:
            groups.remove(group)
            own, members = own | group[0], [*group[1], *members]
        groups.append((own, members))
    for own, members in groups:
        yield tuple(members), tuple(i for i in indices if i in own)


def _multiplied(expr: Expr, expansion: Expansion) -> Expr:
    """Return a term with its sums over time multiplied out, products of several of them left as they are."""
    if not expansion.sums_time(expr):
        return expr
    over_time = isinstance(expr, Bind) and any(index.space == expansion.clock for index in expr.indices)
    if over_time or _linear(expr, expansion):
        parts = expansion.expand(expr)
        if len(parts) > MOST_TERMS:
            return _nested(expr, expansion)
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
