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

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy

from tensoralg.expr.nodes import Bind, Decay, Definition, Delta, Entry, Expr, Mask, Number, bind, mul
from tensoralg.expr.rewrite import distinct_nodes, fresh, names_in, substitute
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Fused, Index, IndexTerm, Injected, Space, VectorSpace
from tensoralg.stream.windows import Window

BEFORE, OLD = ".before", ".old"
LEFT, RIGHT = "left_", "right_"  # what stands before the names of statistics of two segments
End = Index | str
Content = Callable[[tuple[Index, ...]], Expr]  # of legs


@dataclass(frozen=True)
class Gate:
    """What a state is multiplied by at every token: a number, one for each channel of a leg, or a matrix on a leg."""

    tensor: Tensor
    leg: Index | None = None
    matrix: bool = False

    def between(self, later: End, earlier: End, inner: Index | None = None) -> Expr:
        """Return the product of the gates over earlier < r <= later; a matrix takes `inner` to the leg."""
        return Decay(self.tensor, later, earlier, self._channels(inner))  # type: ignore[no-any-return]

    def at(self, time: Index, inner: Index | None = None) -> Expr:
        """Return the gate at one time; a matrix takes `inner` to the leg."""
        return self.tensor[(*((time,) if self.tensor.legs else ()), *self._channels(inner))]

    def _channels(self, inner: Index | None) -> tuple[Index, ...]:
        return tuple(index for index in (self.leg, inner) if index is not None)


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
    """

    name: str
    time: Index
    legs: tuple[Index, ...]
    value: Expr
    gates: tuple[Gate, ...] = ()

    @property
    def tensor(self) -> Tensor:
        """The state at every time, as a tensor."""
        return Tensor(self.name, (self.time.space, *self.shape))

    @property
    def before(self) -> Tensor:
        """The state at every time but for what the token at that time adds."""
        return Tensor(self.name + BEFORE, (self.time.space, *self.shape))

    @property
    def old(self) -> Tensor:
        """The state before every time, what the last token added included."""
        return Tensor(self.name + OLD, (self.time.space, *self.shape))

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
        return sympy.Mul(*(space.dimension for space in self.shape))

    def carried(self, later: End, earlier: End, content: Content) -> Expr:
        """Return the gates over earlier < r <= later applied to a content, which is given legs."""
        taken = {str(later), str(earlier), self.time.name}
        return self._gated(lambda gate, inner: gate.between(later, earlier, inner), content, taken)

    def multiplied(self, content: Content) -> Expr:
        """Return the gates at its time applied to a content, which is given legs."""
        return self._gated(lambda gate, inner: gate.at(self.time, inner), content, {self.time.name})

    def _gated(
        self,
        factor: Callable[[Gate, Index | None], Expr],
        content: Content,
        taken: set[str],
    ) -> Expr:
        legs, inner, factors = list(self.legs), [], []
        taken = taken | {leg.name for leg in self.legs}
        for gate in self.gates:
            link = None
            if gate.matrix and gate.leg is not None:
                link = Index(fresh(gate.leg.name, taken), gate.leg.space)
                taken.add(link.name)
                inner.append(link)
                legs[legs.index(gate.leg)] = link
            factors.append(factor(gate, link))
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


def reads(expr: Expr, states: Iterable[State]) -> list[State]:
    """Return the states whose entries a term mentions."""
    names = {node.tensor.name for node in distinct_nodes(expr) if isinstance(node, Entry)}
    return [state for state in states if not names.isdisjoint((state.tensor.name, state.before.name))]


def replaced(expr: Expr, states: Iterable[State], by: Callable[[State, bool, tuple[IndexTerm, ...]], Expr]) -> Expr:
    """Return a term with every entry of a state replaced.

    Parameters
    ----------
    expr : Expr
    states : iterable of State
    by : function
        Of a state, whether the entry is from before the token, and its indices, the time first.
    """
    symbols = {state.tensor.name: (state, False) for state in states}
    symbols |= {state.before.name: (state, True) for state in states}
    return replaced_tensors(expr, symbols, lambda node: by(*symbols[node.tensor.name], node.args))


def replaced_tensors(expr: Expr, names: Container[str], by: Callable[[Entry], Expr]) -> Expr:
    """Return a term with every entry of some tensors replaced; sums around them do not capture what is put in."""
    if isinstance(expr, Entry):
        return by(expr) if expr.tensor.name in names else expr
    children = tuple(replaced_tensors(child, names, by) for child in expr.children())
    return bind(expr.indices, children[0]) if isinstance(expr, Bind) else expr.with_children(children)


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
    windows : tuple of Window
        Sums over the last tokens, whose entries stand for tokens of their own in states and outputs.
    """

    time: Index
    states: tuple[State, ...]
    outputs: tuple[Definition, ...]
    windows: tuple[Window, ...] = ()

    @property
    def clock(self) -> Space:
        """The space of times."""
        assert isinstance(self.time.space, Space)
        return self.time.space

    @property
    def timed(self) -> System:
        """The system with a gate for every time in place of constant ones, so that segments of time have their own.

        Where such a constant stands in a term too, it is the gate at the time of that term.
        """
        gates = {gate.tensor.name: gate.tensor for state in self.states for gate in state.gates}
        timed = {name: replace(gate, legs=(self.clock,)) for name, gate in gates.items() if not gate.legs}

        def at(expr: Expr, time: Index) -> Expr:
            return replaced_tensors(expr, timed, lambda node: timed[node.tensor.name][(time,)])

        def state(one: State) -> State:
            gates = tuple(replace(gate, tensor=timed.get(gate.tensor.name, gate.tensor)) for gate in one.gates)
            return replace(one, value=at(one.value, one.time), gates=gates)

        outputs = (Definition(out.legs, at(out.body, self.time), out.name) for out in self.outputs)
        return replace(self, states=tuple(map(state, self.states)), outputs=tuple(outputs))

    def tidy(self, reserved: Iterable[str]) -> System:
        """Return the system without states that nothing reads, the others numbered, under names that are free."""
        used: list[State] = []
        for state in reversed(self.states):
            if any(reads(term, [state]) for term in (*(out.body for out in self.outputs), *(s.value for s in used))):
                used.insert(0, state)
        names: dict[str, str] = {}
        for state in used:
            names[state.name] = fresh("S1", (*reserved, *names.values()))

        def named(state: State) -> State:
            return replace(state, name=names[state.name])

        def renamed(expr: Expr) -> Expr:
            return replaced(expr, used, lambda s, strict, args: (named(s).before if strict else named(s).tensor)[args])

        states = tuple(replace(named(state), value=renamed(state.value)) for state in used)
        outputs = tuple(Definition(out.legs, renamed(out.body), out.name) for out in self.outputs)
        mentioned = {name for expr in (*(s.value for s in states), *outputs) for name in expr.tensors}
        windows = tuple(window for window in self.windows if window.name in mentioned)
        return replace(self, states=states, outputs=outputs, windows=windows)

    def over(self, segment: Segment) -> Forms:
        """Return the closed forms over a segment."""
        return Forms(self, segment)


class Forms:
    """Closed forms of the states and outputs of a system over one segment."""

    def __init__(self, system: System, segment: Segment) -> None:
        self.system, self.segment = system, segment
        self._made: dict[tuple[str, bool], Expr] = {}

    def written(self, expr: Expr) -> Expr:
        """Return a term with the entries of states written out."""

        def entry(state: State, strict: bool, args: tuple[IndexTerm, ...]) -> Expr:
            to = dict(zip((state.time, *state.legs), args, strict=True))
            return substitute(self.term(state, strict), to)

        return replaced(expr, self.system.states, entry)

    def term(self, state: State, strict: bool = False) -> Expr:
        """Return a state at its time, as a term over the time and its legs (and the cut, if the segment has one)."""
        key = state.name, strict
        if key not in self._made:
            self._made[key] = self.segment.closed(state, state.time, self.written(state.value), strict)
        return self._made[key]

    def state(self, state: State) -> Definition:
        """Return a state at every time of the segment, over the cut, the time and its legs."""
        return Definition((*self.cut, state.time, *state.legs), self.term(state), state.name)  # type: ignore[no-any-return]

    def final(self, state: State) -> Definition:
        """Return a state at the end of time, over its legs."""
        closed = self.segment.closed(state, "+", self.written(state.value))
        return Definition((*self.cut, *state.legs), closed, state.name)  # type: ignore[no-any-return]

    @property
    def cut(self) -> tuple[Index, ...]:
        """The index of the cut, if there is one."""
        return (self.segment.low,) if isinstance(self.segment.low, Index) else ()

    @cached_property
    def outputs(self) -> tuple[Definition, ...]:
        """The outputs at every time of the segment."""
        outs = self.system.outputs
        return tuple(Definition((*self.cut, *out.legs), self.written(out.body), out.name) for out in outs)


@dataclass(frozen=True)
class Step:
    """One token: the new states and the outputs in terms of the old states, as terms at the time of the token.

    Attributes
    ----------
    system : System
    """

    system: System

    def before(self, state: State) -> Definition:
        """Return a state multiplied by its gates at the token, over the time and its legs."""
        term = state.multiplied(lambda legs: state.old[(state.time, *legs)])
        return Definition((state.time, *state.legs), term, state.name)  # type: ignore[no-any-return]

    @cached_property
    def states(self) -> dict[str, Definition]:
        """The new states, over the time and their legs."""
        made: dict[str, Definition] = {}
        for state in self.system.states:
            new = self.before(state).body + self._written(state.value, made)
            made[state.name] = Definition((state.time, *state.legs), new, state.name)
        return made

    @cached_property
    def outputs(self) -> tuple[Definition, ...]:
        """The outputs."""
        return tuple(
            Definition(out.legs, self._written(out.body, self.states), out.name) for out in self.system.outputs
        )

    def _written(self, expr: Expr, made: Mapping[str, Definition]) -> Expr:
        def entry(state: State, strict: bool, args: tuple[IndexTerm, ...]) -> Expr:
            return (self.before(state) if strict else made[state.name])[args]

        return replaced(expr, self.system.states, entry)


def at_token(definition: Definition, clock: VectorSpace) -> Definition:
    """Return a definition at one token: tensors and the result lose their legs over time, old states their mark.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T, F = ta.Space("T", "n", ordered=True), ta.Space("F", "d")
    >>> (t,), (f,) = T.indices("t"), F.indices("f")
    >>> print(at_token(ta.define((t, f), 2*ta.tensor("K", T @ F)[t, f]), T))
    out[f] = 2*K[f]
    """
    legs = tuple(leg for leg in definition.legs if leg.space != clock)
    return Definition(legs, _stripped(definition.body, clock), definition.name)  # type: ignore[no-any-return]


def _stripped(expr: Expr, clock: VectorSpace) -> Expr:
    if isinstance(expr, Entry):
        kept = [k for k, leg in enumerate(expr.tensor.legs) if leg != clock]
        symbol = Tensor(expr.tensor.name.removesuffix(OLD), tuple(expr.tensor.legs[k] for k in kept))
        return Entry(symbol, tuple(expr.args[k] for k in kept))  # type: ignore[no-any-return]
    if isinstance(expr, Mask | Delta) and expr.left == expr.right:
        return Number(Fraction(0 if isinstance(expr, Mask) and expr.strict else 1))  # type: ignore[no-any-return]
    if isinstance(expr, Decay) and expr.later == expr.earlier:  # over no token
        return Delta(*expr.args) if len(expr.args) == 2 else Number(Fraction(1))  # type: ignore[no-any-return]
    return expr.with_children(tuple(_stripped(child, clock) for child in expr.children()))


def moved(expr: Expr, old: VectorSpace, new: VectorSpace) -> Expr:
    """Return a term with one space replaced by another, in tensors and in indices.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n", ordered=True)
    >>> (t,) = T.indices("t")
    >>> moved(ta.tensor("x", T)[t], T, ta.Space("A", "a", ordered=True)).free_indices[0].space.dimension
    a
    """

    def space(one: VectorSpace) -> VectorSpace:
        return new if one == old else one

    def index(one: Index) -> Index:
        return Index(one.name, space(one.space))

    def tensor(one: Tensor) -> Tensor:
        return replace(one, legs=tuple(map(space, one.legs)))

    def end(one: End) -> End:
        return one if isinstance(one, str) else index(one)

    children = tuple(moved(child, old, new) for child in expr.children())
    if isinstance(expr, Entry):
        return Entry(tensor(expr.tensor), tuple(map(_moved_term(index), expr.args)))  # type: ignore[no-any-return]
    if isinstance(expr, Decay):
        later, earlier = (end(x) for x in (expr.later, expr.earlier))  # type: ignore[arg-type]
        return Decay(tensor(expr.tensor), later, earlier, tuple(map(_moved_term(index), expr.args)))  # type: ignore[no-any-return]
    if isinstance(expr, Bind):
        return bind(tuple(map(index, expr.indices)), children[0])
    if isinstance(expr, Definition):
        return Definition(tuple(map(index, expr.legs)), children[0], expr.name)  # type: ignore[no-any-return]
    if expr.index_terms():
        return expr.with_index_terms(tuple(map(_moved_term(index), expr.index_terms())))
    return expr.with_children(children)


def _moved_term(index: Callable[[Index], Index]) -> Callable[[IndexTerm], IndexTerm]:
    def term(one: IndexTerm) -> IndexTerm:
        if isinstance(one, Index):
            return index(one)
        if isinstance(one, Fused):
            return Fused(tuple(map(term, one.parts)))
        return Injected(term(one.term), one.position, one.space)

    return term
