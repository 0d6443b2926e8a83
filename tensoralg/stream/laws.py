"""The laws of a system, decided for all sizes: it computes the definition, step by step, and from any cut on.

*Definition.*  The outputs in the closed forms of the states are the definition.
*Base.*  After the first token, states and outputs are those of a step from states that are 0.
*Step.*  Over a past, a last and a new token, the states after the new one are a step from those after the last one.
With the base this is the recurrence, by induction: ``PAST`` is any length, and absent for the second token.
*Cut.*  For every u <= t, states and outputs at t are the closed forms over the segment (u, t] that starts from the
states at u.  This is what a chunk computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tensoralg.expr.nodes import Definition, Expr, Mask, bind, mul
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import fresh, names_in
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
    """

    name: str
    left: Definition
    right: Definition


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
        yield Law(f"definition of {wanted.name}", wanted, found)
    for name, before in (("base", 0), ("second token", 1), ("step", 2)):
        yield from _steps(system, closed, name, before)
    yield from _cuts(system, closed)


def _steps(system: System, closed: Forms, name: str, before: int) -> Iterator[Law]:
    """Yield that the states and outputs after a new token are a step from those before it."""
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
        for state in system.states:
            time = Index(state.time.name, whole)
            past = there(over(closed.state(state)), before - 1).body if before else 0
            by = Definition((time, *state.legs), past, state.name)
            term = replace_tensor(term, state.old.name, by)
        assert isinstance(term, Definition)
        return there(term, before)

    for state in system.states:
        left, right = there(over(closed.state(state)), before), stepped(step.states[state.name])
        yield Law(f"{name} of {state.name}", left, right)
    for out, found in zip(closed.outputs, step.outputs, strict=True):
        yield Law(f"{name} of {out.name}", there(over(out), before), stepped(found))


def _cuts(system: System, closed: Forms) -> Iterator[Law]:
    taken = {system.time.name, *(leg.name for state in system.states for leg in (state.time, *state.legs))}
    taken |= {name for out in system.outputs for name in names_in(out)}
    cut = Index(fresh("u", taken), system.clock)

    def initial(state: State, legs: tuple[Index, ...]) -> Expr:
        return closed.state(state)[(cut, *legs)]

    later = system.over(Segment(cut, initial))
    pairs = [(closed.state(state), later.state(state)) for state in system.states]
    for whole, part in [*pairs, *zip(closed.outputs, later.outputs, strict=True)]:
        (time,) = (leg for leg in whole.legs if leg.space == system.clock)
        causal = Mask(False, cut, time)
        left = Definition(part.legs, mul(causal, whole[whole.legs]), whole.name)
        yield Law(f"cut of {whole.name}", left, Definition(part.legs, mul(causal, part.body), whole.name))
