"""Systems of states: what a stream carries from token to token, and its closed forms over a segment of time.

A state is a prefix sum.  At time t it is

    S[t] = a[t] S[t-1] + F[t],      so that      S[t] = W[t,u] S[u] + sum over u < s <= t of W[t,s] F[s]

for every u <= t, where ``W[t,s]`` is the product of its gates over s < r <= t (1 without gates, a product of
matrices for matrix gates) and F[t], its *value*, depends on the token at t and on earlier states at t: on S'[t]
where times may be equal, on ``S'.before[t] = a'[t] S'[t-1]`` where they must not be.  The second form is the *closed
form* over the segment (u, t]; with nothing before the segment the first term is absent.  (Blelloch, *Prefix sums and
their applications*, 1990, for linear recurrences as scans.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import sympy

from tensoralg.expr.nodes import Decay, Definition, Delta, Entry, Expr, Mask, bind, mul
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import distinct_nodes, fresh, names_in, substitute
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Index, IndexTerm, Space, VectorSpace

BEFORE = ".before"
End = Index | str


@dataclass(frozen=True)
class Gate:
    """What a state is multiplied by at every token: a number, one for each channel of a leg, or a matrix on a leg."""

    tensor: Tensor
    leg: Index | None = None
    matrix: bool = False

    def between(self, later: End, earlier: End, inner: Index | None = None) -> Expr:
        """Return the product of the gates over earlier < r <= later; a matrix takes `inner` to the leg."""
        args: tuple[IndexTerm, ...] = tuple(i for i in (self.leg, inner if self.matrix else None) if i is not None)
        return Decay(self.tensor, later, earlier, args)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class State:
    """A prefix sum.

    Attributes
    ----------
    name : str
    time : Index
        The time of a token in `value`.
    legs : tuple of Index
        Its legs; without them it is a number.
    value : Expr
        What a token adds, with entries of earlier states at its time.
    gates : tuple of Gate
        What the state is multiplied by before that.
    width : Expr or None
        The width of the window of tokens that count, if not all do.
    """

    name: str
    time: Index
    legs: tuple[Index, ...]
    value: Expr
    gates: tuple[Gate, ...] = ()
    width: Expr | None = None

    @property
    def tensor(self) -> Tensor:
        """The state at every time, as a tensor."""
        return Tensor(self.name, (self.time.space, *self.shape))

    @property
    def before(self) -> Tensor:
        """The state at every time but for what the token at that time adds."""
        return Tensor(self.name + BEFORE, (self.time.space, *self.shape))

    @property
    def alone(self) -> Tensor:
        """The state at one time."""
        return Tensor(self.name, self.shape)

    @property
    def shape(self) -> tuple[VectorSpace, ...]:
        """The spaces of its legs."""
        return tuple(leg.space for leg in self.legs)

    @property
    def size(self) -> Any:
        """How many numbers it has, a sympy polynomial."""
        return sympy.Mul(*(space.dimension for space in self.shape))  # type: ignore[attr-defined]

    def carried(self, later: End, earlier: End, content: Callable[[tuple[Index, ...]], Expr]) -> Expr:
        """Return the gates over earlier < r <= later applied to a content, which is given legs."""
        legs, inner, factors = list(self.legs), [], []
        taken = {leg.name for leg in self.legs} | {str(later), str(earlier), self.time.name}
        for gate in self.gates:
            if gate.matrix:
                assert gate.leg is not None
                link = Index(fresh(gate.leg.name, taken), gate.leg.space)
                taken.add(link.name)
                inner.append(link)
                legs[legs.index(gate.leg)] = link
                factors.append(gate.between(later, earlier, link))
            else:
                factors.append(gate.between(later, earlier))
        return bind(tuple(inner), mul(*factors, content(tuple(legs))))


Initial = Callable[[State, tuple[Index, ...]], Expr]


@dataclass(frozen=True)
class Segment:
    """A part of time: after `low` (an index, or the end ``"-"``), with what the states are there.

    Attributes
    ----------
    low : Index or "-"
        The last time before it.
    initial : function of a state and legs, or None
        The state at that time; None for states that are 0.
    """

    low: End = "-"
    initial: Initial | None = None

    def closed(self, state: State, high: End, value: Expr, strict: bool = False) -> Expr:
        """Return the closed form of a state at the time `high`, or at the end ``"+"``.

        Parameters
        ----------
        state : State
        high : Index or "+"
        value : Expr
            Its value, without entries of other states.
        strict : bool
            Whether the token at `high` is left out.
        """
        names = names_in(value) | {leg.name for leg in state.legs} | {str(high), str(self.low)}
        time = Index(fresh(state.time.name, names - {state.time.name} | {str(high), str(self.low)}), state.time.space)

        def added(legs: tuple[Index, ...]) -> Expr:
            to: dict[Index, IndexTerm] = {state.time: time, **dict(zip(state.legs, legs, strict=True))}
            return substitute(value, to)

        masks: list[Expr] = []
        if isinstance(self.low, Index):
            masks.append(Mask(True, self.low, time))
        if isinstance(high, Index) and (strict or not state.gates):
            masks.append(Mask(strict, time, high))
        total = bind((time,), mul(*masks, state.carried(high, time, added)))
        if self.initial is None:
            return total
        first = self.initial
        return state.carried(high, self.low, lambda legs: first(state, legs)) + total


def reads(expr: Expr, states: Iterable[State]) -> Iterable[tuple[State, bool]]:
    """Yield the states whose entries a term mentions, and whether from before the token."""
    names = {node.tensor.name for node in distinct_nodes(expr) if isinstance(node, Entry)}
    for state in states:
        for strict in (False, True):
            if (state.before if strict else state.tensor).name in names:
                yield state, strict


@dataclass(frozen=True)
class System:
    """The states of some outputs, each made of earlier ones.

    Attributes
    ----------
    time : Index
        The time of the outputs.
    states : tuple of State
    outputs : tuple of Definition
        The outputs at `time`, with entries of states at that time; `time` is among their legs.
    """

    time: Index
    states: tuple[State, ...]
    outputs: tuple[Definition, ...]

    @property
    def clock(self) -> Space:
        """The space of times."""
        assert isinstance(self.time.space, Space)
        return self.time.space

    def over(self, segment: Segment) -> Forms:
        """Return the closed forms over a segment."""
        return Forms(self, segment)


class Forms:
    """Closed forms of the states and outputs of a system over one segment."""

    def __init__(self, system: System, segment: Segment) -> None:
        self.system, self.segment = system, segment
        self._made: dict[tuple[str, bool], Definition] = {}

    def value(self, state: State) -> Expr:
        """Return what a token adds, other states written out."""
        return self.written(state.value)

    def written(self, expr: Expr) -> Expr:
        """Return a term with the entries of states written out."""
        for state, strict in reads(expr, self.system.states):
            expr = replace_tensor(expr, (state.before if strict else state.tensor).name, self.state(state, strict))
        return expr

    def state(self, state: State, strict: bool = False) -> Definition:
        """Return a state at every time of the segment, over the time and its legs."""
        key = state.name, strict
        if key not in self._made:
            high = Index(fresh("t", {leg.name for leg in state.legs} | {str(self.segment.low)}), state.time.space)
            body = self.segment.closed(state, high, self.value(state), strict)
            self._made[key] = Definition((high, *state.legs), body, state.name)
        return self._made[key]

    def final(self, state: State) -> Definition:
        """Return a state at the end of time, over its legs."""
        return Definition(state.legs, self.segment.closed(state, "+", self.value(state)), state.name)  # type: ignore[no-any-return]

    @cached_property
    def outputs(self) -> tuple[Definition, ...]:
        """The outputs at every time of the segment."""
        return tuple(Definition(out.legs, self.written(out.body), out.name) for out in self.system.outputs)


def stripped(expr: Expr, time: Index) -> Expr:
    """Return a term at one token: the tensors that have a leg over time lose it.

    Examples
    --------
    >>> import tensoralg as ta
    >>> t, f = ta.Space("T", "n", ordered=True).index("t"), ta.Space("F", "d").index("f")
    >>> K = ta.tensor("K", (t.space, f.space))
    >>> print(stripped(K[t, f] * 2, t))
    2*K[f]
    """
    if isinstance(expr, Entry):
        kept = [k for k, term in enumerate(expr.args) if term != time]
        legs = tuple(expr.tensor.legs[k] for k in kept)
        return Entry(Tensor(expr.tensor.name, legs), tuple(expr.args[k] for k in kept))  # type: ignore[no-any-return]
    if isinstance(expr, Mask | Delta) and expr.left == expr.right == time:
        return mul()
    children = tuple(stripped(child, time) for child in expr.children())
    return expr.with_children(children)


def gated(state: State, tensor: Tensor | None = None) -> Expr:
    """Return a state multiplied by its gates at one token, over its legs.

    Parameters
    ----------
    state : State
    tensor : Tensor, optional
        What stands for the state before; by default a tensor of its name.
    """
    old = tensor or state.alone
    legs, inner, factors = list(state.legs), [], []
    taken = {leg.name for leg in state.legs}
    for gate in state.gates:
        symbol = replace(gate.tensor, legs=gate.tensor.legs[1:] if gate.tensor.legs else ())
        if gate.matrix:
            assert gate.leg is not None
            link = Index(fresh(gate.leg.name, taken), gate.leg.space)
            taken.add(link.name)
            inner.append(link)
            legs[legs.index(gate.leg)] = link
            factors.append(symbol[gate.leg, link])
        else:
            factors.append(symbol[tuple(i for i in (gate.leg,) if i is not None)])
    return bind(tuple(inner), mul(*factors, old[tuple(legs)]))


def step(system: System) -> tuple[dict[str, Definition], tuple[Definition, ...]]:
    """Return the new states, and the outputs, in the old states and the token."""
    made: dict[str, Definition] = {}
    for state in system.states:
        value = _now(stripped(state.value, state.time), system.states, made)
        made[state.name] = Definition(state.legs, gated(state) + value, state.name)
    outputs = []
    for out in system.outputs:
        body = _now(stripped(out.body, system.time), system.states, made)
        outputs.append(Definition(tuple(leg for leg in out.legs if leg != system.time), body, out.name))
    return made, tuple(outputs)


def _now(expr: Expr, states: Sequence[State], made: Mapping[str, Definition]) -> Expr:
    """Return a term with the states at the token written out in the old ones."""
    used = list(reads(expr, states))
    # the names of old and new states are the same, so all of them are replaced at once
    aside = {state.name: f"{state.name}.new" for state, strict in used if not strict}
    expr = reduce(lambda e, pair: renamed(e, *pair), aside.items(), expr)
    for state, strict in used:
        if strict:
            by = Definition(state.legs, gated(state), state.name)
            expr = replace_tensor(expr, state.name + BEFORE, by)
        else:
            expr = replace_tensor(expr, aside[state.name], made[state.name])
    return expr


def renamed(expr: Expr, old: str, new: str) -> Expr:
    """Return a term in which a tensor has another name."""
    if isinstance(expr, Entry):
        return Entry(replace(expr.tensor, name=new), expr.args) if expr.tensor.name == old else expr  # type: ignore[no-any-return]
    if isinstance(expr, Decay):
        tensor = replace(expr.tensor, name=new)
        return Decay(tensor, expr.later, expr.earlier, expr.args) if expr.tensor.name == old else expr  # type: ignore[no-any-return]
    return expr.with_children(tuple(renamed(child, old, new) for child in expr.children()))
