"""The laws of a system, decided for all sizes: it computes the definition, step by step, and from any cut on.

*Definition.*  The outputs in the closed forms of the states are the definition.
*Base.*  After the first token, a state is what a step makes of states that are 0.
*Step.*  Over a past, a last and a new token, a state after the new one is a step from the states after the last one.
With the base this is the recurrence, by induction: ``PAST`` has any length, and is absent for the second token.
*Cut.*  For every u, a state at the end of time is its closed form over the time after u that starts from the states
at u.  As every time is the end of its own past, this holds for every segment (u, t]; it is what a chunk computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensoralg.expr.nodes import Definition, Expr, bind
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import fresh, names_in
from tensoralg.expr.tensor import Tensor
from tensoralg.proof import Verdict, prove
from tensoralg.spaces import DirectSum, Index, Injected, Space, VectorSpace
from tensoralg.stream.system import Forms, Segment, State, Step, System, moved


@dataclass(frozen=True)
class Law:
    """An equation that a stream has to satisfy.

    Attributes
    ----------
    name : str
        What it is about: a law and a state or output.
    left, right : Definition
        Its sides.
    lemma : Law or None
        The same for any value in place of the one that the state has, from which it follows: both sides hold the value
        at the same tokens, and what other states are there is known from their own laws.
    """

    name: str
    left: Definition
    right: Definition
    lemma: Law | None = None

    def decide(self, given: Sequence[tuple[Expr, Any]] = ()) -> Verdict:
        """Return the verdict on the law; where it stays open and its lemma is proved, that on the lemma."""
        verdict = prove(self.left, self.right, given)
        if verdict.status == "unknown" and self.lemma is not None:
            known = self.lemma.decide()
            return known if known else verdict
        return verdict


def laws(system: System, definitions: tuple[Definition, ...]) -> Iterator[Law]:
    """Yield the laws of a system for some definitions.

    Parameters
    ----------
    system : System
    definitions : tuple of Definition
        What its outputs have to be, with the same legs.
    """
    closed = system.over(Segment())
    for wanted, found in zip(definitions, closed.outputs, strict=True):
        written: Expr = found
        for window in system.windows:
            written = replace_tensor(written, window.name, window.definition)
        assert isinstance(written, Definition)
        yield Law(f"definition of {wanted.name}", wanted, written)
    for state in system.states:
        any_value = Tensor("value", (system.clock, *state.shape))[(state.time, *state.legs)]
        simple = System(system.time, (replace(state, value=any_value),), ())
        for law, lemma in zip(_of_state(system, state), _of_state(simple, simple.states[0]), strict=True):
            yield replace(law, lemma=lemma)


def _of_state(system: System, state: State) -> Iterator[Law]:
    """Yield the laws of one state."""
    closed = system.over(Segment())
    for name, before in (("base", 0), ("second token", 1), ("step", 2)):
        yield _step(system, closed, state, name, before)
    yield _cut(system, closed, state)


def _step(system: System, closed: Forms, state: State, name: str, before: int) -> Law:
    """Return that a state after a new token is a step from the states before it."""
    clock = system.clock
    last, new = Space("LAST", 1, ordered=True), Space("NEW", 1, ordered=True)
    parts = [Space("PAST", "past", ordered=True), last][2 - before :]
    whole: VectorSpace = DirectSum((*parts, new)) if parts else new
    step = Step(system)

    def over(definition: Definition) -> Definition:
        """Return a definition over the whole of time."""
        result = moved(definition, clock, whole)
        assert isinstance(result, Definition)
        return result

    def there(definition: Definition, position: int) -> Definition:
        """Return a definition over the whole at the one time of a part."""
        spot = Index(fresh("r", names_in(definition)), (*parts, new)[position])
        place = Injected(spot, position, whole) if isinstance(whole, DirectSum) else spot
        term = definition[tuple(place if leg.space == whole else leg for leg in definition.legs)]
        legs = tuple(leg for leg in definition.legs if leg.space != whole)
        return Definition(legs, bind((spot,), term), definition.name)  # type: ignore[no-any-return]

    def stepped(definition: Definition) -> Definition:
        term: Expr = over(definition)
        for other in system.states:
            time = Index(other.time.name, whole)
            past = there(over(closed.state(other)), before - 1).body if before else 0
            by = Definition((time, *other.legs), past, other.name)
            term = replace_tensor(term, other.old.name, by)
        assert isinstance(term, Definition)
        return there(term, before)

    left, right = there(over(closed.state(state)), before), stepped(step.states[state.name])
    return Law(f"{name} of {state.name}", left, right)


def _cut(system: System, closed: Forms, state: State) -> Law:
    """Return that a state at the end of time is its closed form from any cut on; any time ends its own past."""
    taken = {name for one in system.states for name in (one.time.name, *(leg.name for leg in one.legs))}
    cut = Index(fresh("u", taken | names_in(closed.state(state))), system.clock)

    def initial(one: State, legs: tuple[Index, ...]) -> Expr:
        return closed.state(one)[(cut, *legs)]

    whole, part = closed.final(state), system.over(Segment(cut, initial)).final(state)
    return Law(f"cut of {state.name}", Definition(part.legs, whole[whole.legs], whole.name), part)
