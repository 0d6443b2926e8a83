"""Streams: the public face of a derivation, with its proofs, costs and lower bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from tensoralg.errors import Ambiguous, InvalidExpression, NotStreamable, UnknownName, UnorderedSpace, suggest
from tensoralg.expr.nodes import Decay, Definition, Entry, Expr, Mask, Near, Size
from tensoralg.expr.rewrite import distinct_nodes, fresh
from tensoralg.normal import unify
from tensoralg.plan import Plan, plan
from tensoralg.proof import Verdict
from tensoralg.spaces import Index, Space, atoms
from tensoralg.stream.bounds import impossible, meets_rank
from tensoralg.stream.derive import MINIMIZE, Derivation
from tensoralg.stream.laws import Law, laws
from tensoralg.stream.merge import Merging
from tensoralg.stream.monomials import runs
from tensoralg.stream.symmetry import packed_size, symmetries
from tensoralg.stream.system import Segment, Step, System, at_token
from tensoralg.stream.windows import RECENT, for_one_token, kept


@dataclass(frozen=True)
class Stream:
    """A definition as states that are carried from token to token; made by :func:`stream`.

    Attributes
    ----------
    definitions : tuple of Definition
        What it computes.
    system : System
        Its states and outputs as terms.
    along : Space
        The space of times.
    reverse : bool
        Whether tokens come from the last to the first; states, steps and laws are about the order in which they come.
    single : bool
        Whether one definition was given, so that `output` is one.
    """

    definitions: tuple[Definition, ...]
    system: System
    along: Space
    reverse: bool = False
    single: bool = True
    given: tuple[tuple[Expr, Expr | int], ...] = field(default=(), repr=False)

    @cached_property
    def states(self) -> dict[str, Definition]:
        """Every state at every time as a masked sum, over the time and its legs."""
        forms = self.system.over(Segment())
        return {state.name: forms.state(state) for state in self.system.states}

    @property
    def windows(self) -> dict[str, Definition]:
        """The sums over the last tokens, by the names by which `step` and `output` read them at a token."""
        return {window.name: window.definition for window in self.system.windows}

    @cached_property
    def step(self) -> dict[str, Definition]:
        """The new states in the old ones and the token (tensors without their legs over time); states begin at 0."""
        made = Step(self.system).states
        return {name: at_token(new, self.along) for name, new in made.items()}

    @cached_property
    def outputs(self) -> tuple[Definition, ...]:
        """The outputs at a token in the old states and the token."""
        return tuple(at_token(out, self.along) for out in Step(self.system).outputs)

    @property
    def output(self) -> Any:
        """The output at a token in the old states and the token; several in a tuple."""
        return self.outputs[0] if self.single else self.outputs

    @cached_property
    def merging(self) -> Merging:
        """The statistics of segments of time."""
        return Merging(self.system.timed)

    @property
    def statistics(self) -> dict[str, Definition]:
        """What a merge carries for a segment of time: the states, and what else their merges need."""
        merges = self.merging.merges
        return {s.name: s.definition for s in self.merging.statistics if s.name in merges}

    @property
    def merge(self) -> dict[str, Definition]:
        """The statistics of two segments, one after the other, in ``left_NAME`` and ``right_NAME`` of each.

        Raises
        ------
        NotStreamable
            If segments do not merge: a function of past tokens, or a window, stands inside a sum.
        """
        return dict(self.merging.merges)

    # proofs

    @cached_property
    def laws(self) -> tuple[Law, ...]:
        """The equations that make it a stream of the definitions (see `tensoralg.stream.laws`), merges included."""
        forward = self.definitions if not self.reverse else tuple(_turned(d, self.along) for d in self.definitions)
        found = list(laws(self.system, forward))
        with suppress(NotStreamable):  # where segments do not merge there is nothing to prove
            found += self.merging.laws()
        return tuple(found)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on every law, by its name."""
        return {law.name: law.decide(self.given) for law in self.laws}

    @property
    def verdict(self) -> Verdict:
        """The verdict that it computes the definitions: that on the first law that is not proved, if there is one."""
        return next((v for v in self.verdicts.values() if not v), next(iter(self.verdicts.values())))

    def decide(self) -> Verdict:
        """Return the verdict, as statements do."""
        return self.verdict

    # costs

    @property
    def state_size(self) -> Any:
        """How many numbers are carried, a polynomial: the states, symmetric ones in full, and the tokens of windows."""
        return sympy.Add(*(state.size for state in self.system.states), self._kept)

    @property
    def _kept(self) -> Any:
        """How many numbers the tokens have that windows need."""
        return sympy.Add(
            *(
                sympy.Mul(distance, *(leg.dimension for leg in symbol.legs if leg != self.along))
                for symbol, distance in kept(self.system.windows).items()
            )
        )

    @cached_property
    def packed_size(self) -> Any:
        """How many numbers the states have when those that symmetry makes equal count once."""
        forms = self.system.over(Segment())
        found = (packed_size(state.shape, symmetries(forms.state(state), state.legs)) for state in self.system.states)
        return sympy.Add(*found, self._kept)

    @cached_property
    def minimal(self) -> bool:
        """Whether no smaller state has the outputs affine in it: `packed_size` meets the Hankel rank at small sizes."""
        return not self.system.windows and meets_rank(self.system, self.packed_size)

    @cached_property
    def plan(self) -> Plan:
        """The plan of one token: all new states and the outputs at once."""
        return plan([*self.step.values(), *self.outputs])

    @property
    def flops_per_token(self) -> Any:
        """The FLOPs of one token, a polynomial (a minimum of several where the best order depends on sizes)."""
        far = {w: plan(for_one_token(w)).flops.subs(RECENT, w.reach + 1) for w in self.system.windows}
        return sympy.Add(self.plan.flops, *far.values())

    def __str__(self) -> str:
        lines = [f"stream of {'; '.join(map(str, self.definitions))}", ""]
        lines += [f"  window {definition}" for definition in self.windows.values()]
        lines += [f"  state  {definition}" for definition in self.states.values()]
        lines += [f"  step   {definition}" for definition in self.step.values()]
        lines += [f"  output {definition}" for definition in self.outputs]
        lines += [f"  size   {self.state_size} numbers, {self.flops_per_token} FLOPs for a token"]
        return "\n".join(lines)


def stream(
    expr: Expr | Sequence[Expr], along: Any = "n", minimize: str = "state", given: Sequence[tuple[Expr, Any]] = ()
) -> Stream:
    """Return the stream of a causally masked definition.

    Gates may have any values, 0 and those above 1 included: nothing divides by them.

    Parameters
    ----------
    expr : Expr or sequence of Expr
        A definition (or several, which share states) with one leg over the ordered space.
    along : Space or str
        The ordered space of times, or its dimension's name.
    minimize : "state" or "flops"
        What comes first where there is a choice of states: their numbers, or the FLOPs for a token.
    given : sequence of pairs of Expr, optional
        Hypotheses under which the laws are proved.

    Raises
    ------
    NotStreamable
        If the definition is not causal, or no separable form of it was found; `.factor` is what is in the way.
    UnknownName, UnorderedSpace
        If there is no such space, or it has no order.

    Examples
    --------
    >>> import tensoralg as ta
    >>> spaces = {"t,s": "n ordered", "f": "d", "e": "e"}
    >>> linear = stream(ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=spaces))
    >>> print(linear.step["S1"], "|", linear.output)
    S1[f,e] = S1[f,e] + K[f]*V[e] | O[e] = sum(f: Q[f]*(S1[f,e] + K[f]*V[e]))
    >>> linear.state_size, linear.flops_per_token, linear.verdict.status
    (d*e, 3*d*e, 'proved')
    """
    if minimize not in MINIMIZE:
        raise UnknownName(f"cannot minimize {minimize!r}", remedy=suggest(str(minimize), MINIMIZE), name=str(minimize))
    definitions, clock, tensors = read(expr, along)
    for definition in definitions:
        _check_legs(definition, clock)
    time = next(leg for leg in definitions[0].legs if leg.space == clock)
    names = {*tensors, *(name for d in definitions for name in (d.name, *(leg.name for leg in d.legs)))}
    try:
        system = Derivation(clock, names, minimize).run(definitions, time)
        reverse = False
    except NotStreamable as error:
        if getattr(error, "causal", True):
            raise _with_bound(error, definitions, clock) from None
        turned = tuple(_turned(d, clock) for d in definitions)
        try:
            system = Derivation(clock, names, minimize).run(turned, time)
        except NotStreamable:
            raise error from None
        reverse = True
    _check_constant(system, clock)
    return Stream(definitions, system, clock, reverse, isinstance(expr, Expr), tuple(given))


def read(expr: Expr | Sequence[Expr], along: Any) -> tuple[tuple[Definition, ...], Space, set[str]]:
    """Return closed definitions with names of their own, the space of times, and the names of their tensors.

    Raises
    ------
    InvalidExpression
        If something else is given.
    UnknownName, UnorderedSpace
        If there is no such space, or it has no order.
    """
    exprs = list(expr) if isinstance(expr, Sequence) and not isinstance(expr, str) else [expr]
    if not exprs:
        raise InvalidExpression("there is nothing to stream", remedy="give at least one definition")
    for one in exprs:
        if not isinstance(one, Expr):
            raise InvalidExpression(f"{one!r} is no expression", remedy="stream what define, einsum or parse return")
    closed = [Definition(e.free_indices, e.body, getattr(e, "name", "out")) for e in exprs]
    flat, tensors = unify(closed)
    definitions = _apart([e for e in flat if isinstance(e, Definition)])
    return definitions, _clock(definitions, along), set(tensors)


def _with_bound(error: NotStreamable, definitions: Sequence[Definition], clock: Space) -> NotStreamable:
    """Return the error that a factor does not separate, with the proof that no state of constant size exists."""
    ranks = impossible(definitions, clock) if error.factor is not None else ()
    if not ranks:
        return error
    shown = ", ".join(f"{rank} of {count}" for count, rank in ranks)
    what = f"{error.what}; no state of constant size exists: the Hankel rank grows with the pasts ({shown})"
    return NotStreamable(what, remedy=error.remedy, **{**error.facts, "proved": True, "ranks": ranks})


def _apart(definitions: list[Definition]) -> tuple[Definition, ...]:
    """Return definitions with names of their own."""
    names: set[str] = set()
    kept = []
    for definition in definitions:
        name = fresh(definition.name, names)
        names.add(name)
        kept.append(Definition(definition.legs, definition.body, name))
    return tuple(kept)


def _indices(definition: Definition) -> Iterator[Index]:
    yield from definition.legs
    for node in distinct_nodes(definition):
        yield from (index for term in node.index_terms() for index in atoms(term))
        yield from getattr(node, "indices", ())


def _clock(definitions: tuple[Definition, ...], along: Any) -> Space:
    """Return the space of times."""
    spaces = {i.space: None for d in definitions for i in _indices(d) if isinstance(i.space, Space)}
    if isinstance(along, Space):
        found = [s for s in spaces if s.name == along.name and s.dimension == along.dimension]
    else:
        named = [s for s in spaces if s.name == str(along)]
        found = named or [s for s in spaces if str(s.dimension) == str(along)]
    if not found:
        known = [s.name for s in spaces]
        raise UnknownName(f"no index is over {along}", remedy=suggest(str(along), known), name=str(along))
    ordered = [s for s in found if s.ordered]
    if not ordered:
        raise UnorderedSpace(
            f"the space {found[0]} has no order, so there is no past",
            space=found[0],
            remedy=f'declare it ordered: Space("{found[0].name}", ..., ordered=True), or "n ordered" in parse',
        )
    if len(ordered) > 1:
        raise Ambiguous(
            f"the ordered spaces {', '.join(s.name for s in ordered)} all have the dimension {along}",
            remedy="give the space itself: along=T",
        )
    return ordered[0]


def _check_legs(definition: Definition, clock: Space) -> None:
    times = [leg.name for leg in definition.legs if leg.space == clock]
    if len(times) != 1:
        what = f"has the legs {' and '.join(times)} over {clock}" if times else f"has no leg over {clock}"
        raise NotStreamable(
            f"{definition.name} {what}", remedy="a stream has one output for each token: one leg over time"
        )
    for node in distinct_nodes(definition):
        if isinstance(node, Size) and node.name == str(clock.dimension):
            raise NotStreamable(
                f"{definition} mentions the length {node.name}, which is not known before the last token",
                remedy="count the tokens so far, sum(s: le[s,t]), in its place",
                factor=node,
            )
        if isinstance(node, Decay) and runs(node, clock) and len(node.times) < 2:
            raise NotStreamable(
                f"{node} runs from or to a formal end of time",
                remedy="let it run between two indices: decay(a)[t,s] for a token at s",
                factor=node,
            )
        if isinstance(node, Entry) and list(node.tensor.legs).count(clock) > 1:
            raise NotStreamable(
                f"the tensor {node.tensor} has an entry for every pair of times, which no state of constant size holds",
                remedy="give one of its times to another tensor",
                factor=node,
            )
        for term in node.index_terms():
            if not isinstance(term, Index) and clock in (atom.space for atom in atoms(term)):
                raise NotStreamable(
                    f"{node} addresses {clock} as a part of another space",
                    remedy="use an index of its own for time",
                    factor=node,
                )


def _turned(definition: Definition, clock: Space) -> Definition:
    """Return a definition with the order of time turned around."""

    def turn(node: Expr) -> Expr:
        node = node.with_children(tuple(map(turn, node.children())))
        if isinstance(node, Mask) and node.left.space == clock:
            return Mask(node.strict, node.right, node.left)  # type: ignore[no-any-return]
        if isinstance(node, Near) and node.left.space == clock:
            return Near(node.right, node.left, node.width)  # type: ignore[no-any-return]
        if runs(node, clock):
            raise NotStreamable(f"{node} runs forward in time", remedy="stream the definition forward", factor=node)
        return node

    return Definition(definition.legs, turn(definition.body), definition.name)  # type: ignore[no-any-return]


def _check_constant(system: System, clock: Space) -> None:
    for state in system.states:
        for leg in state.legs:
            if str(clock.dimension) in {str(s) for s in sympy.sympify(leg.space.dimension).free_symbols}:
                raise NotStreamable(
                    f"the state {state.name} would have the leg {leg} of size {leg.space.dimension}, which grows",
                    remedy="give that space another dimension",
                )
