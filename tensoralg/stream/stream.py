"""Streams: the public face of a derivation, with its proofs, costs and lower bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from tensoralg.errors import InvalidExpression, NotStreamable, UnknownName, UnknownSize, UnorderedSpace, suggest
from tensoralg.expr.nodes import Definition, Expr, Mask, Near
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.normal import unify
from tensoralg.plan import Plan, plan
from tensoralg.proof import Verdict, prove
from tensoralg.spaces import Index, Space, atoms
from tensoralg.stream.derive import MINIMIZE, Derivation
from tensoralg.stream.laws import Law, laws
from tensoralg.stream.merge import Merging
from tensoralg.stream.system import Segment, Step, System, at_token


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
        Whether tokens come from the last to the first; everything else is about the order in which they come.
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
        found = list(laws(self.system, self.definitions))
        try:
            found += self.merging.laws()
        except NotStreamable:
            pass  # then there is no merge to be proved
        return tuple(found)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on every law, by its name."""
        return {law.name: law.decide(self.given) for law in self.laws}

    @property
    def verdict(self) -> Verdict:
        """The verdict that it computes the definitions: that on the first law that is not proved, if there is one."""
        return next((v for v in self.verdicts.values() if not v), next(iter(self.verdicts.values())))

    # costs

    @property
    def state_size(self) -> Any:
        """How many numbers the states have, a polynomial; symmetric ones count in full."""
        return sympy.Add(*(state.size for state in self.system.states))

    @cached_property
    def plan(self) -> Plan:
        """The plan of one token: all new states and the outputs at once."""
        return plan([*self.step.values(), *self.outputs])

    @property
    def flops_per_token(self) -> Any:
        """The FLOPs of one token, a polynomial (a minimum of several where the best order depends on sizes)."""
        return self.plan.flops

    def __str__(self) -> str:
        lines = [f"stream of {'; '.join(map(str, self.definitions))}", ""]
        lines += [f"  state  {definition}" for definition in self.states.values()]
        lines += [f"  step   {definition}" for definition in self.step.values()]
        lines += [f"  output {definition}" for definition in self.outputs]
        lines += [f"  size   {self.state_size} numbers, {self.flops_per_token} FLOPs for a token"]
        return "\n".join(lines)


def stream(
    expr: Expr | Sequence[Expr], along: Any = "n", minimize: str = "state", given: Sequence[tuple[Expr, Any]] = ()
) -> Stream:
    """Return the stream of a causally masked definition.

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
    single = isinstance(expr, Expr)
    exprs = [expr] if isinstance(expr, Expr) else list(expr)
    for one in exprs:
        if not isinstance(one, Expr):
            raise InvalidExpression(f"{one!r} is no expression", remedy="stream what define, einsum or parse return")
    closed = [Definition(e.free_indices, e.body, getattr(e, "name", "out")) for e in exprs]
    flat, tensors = unify(closed)
    definitions = _apart([e for e in flat if isinstance(e, Definition)])
    clock = _clock(definitions, along)
    for definition in definitions:
        _check_legs(definition, clock)
    _check_sizes(definitions, clock)
    time = next(leg for leg in definitions[0].legs if leg.space == clock)
    names = {*tensors, *(index.name for d in definitions for index in _indices(d))}
    try:
        system = Derivation(clock, names, minimize).run(definitions, time)
        reverse = False
    except NotStreamable as error:
        turned = tuple(_turned(d, clock) for d in definitions)
        if getattr(error, "causal", True) or turned == definitions:
            raise
        try:
            system = Derivation(clock, names, minimize).run(turned, time)
        except NotStreamable:
            raise error from None
        definitions, reverse = turned, True
    _check_constant(system, clock)
    return Stream(definitions, system, clock, reverse, single, tuple(given))
