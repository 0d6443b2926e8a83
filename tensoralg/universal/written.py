"""Tensors as they are written, with legs over products, as tensors on a carrier, with one leg for each factor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from tensoralg.errors import SpaceMismatch
from tensoralg.expr import Definition, Expr, Tensor, define, delta
from tensoralg.expr.nodes import add, bind, mul
from tensoralg.expr.rewrite import names_in
from tensoralg.spaces import IndexTerm, VectorSpace, atoms
from tensoralg.universal.carrier import Legs, Names, Power, carrier, spellings
from tensoralg.universal.substitution import Reading, without_deltas


def held_legs(name: str, legs: Legs, space: VectorSpace) -> Legs:
    """Return the legs of the carrier of a space, after checking that a tensor with the given legs can be in it.

    Raises
    ------
    SpaceMismatch
        If the factors of the legs are not those of the space.
    """
    for leg in legs:
        if _mentions_power(leg):
            raise SpaceMismatch(
                f"{name} has a leg over {leg}, but a vector of a power is held with one leg for each factor",
                remedy=f"give it the legs {', '.join(map(str, carrier(leg))) or 'of a scalar (none)'}, "
                f"and state the space of the map with sources= or target=",
                spaces=(legs, space),
            )
    found = tuple(leg for written in legs for leg in carrier(written))
    if found != carrier(space):
        raise SpaceMismatch(
            f"{name} is in {' @ '.join(map(str, legs)) or '1'}, but is stated to be in {space}",
            remedy=f"a vector of {space} has the legs {', '.join(map(str, carrier(space))) or 'of a scalar (none)'}",
            spaces=(legs, space),
        )
    return found


def _mentions_power(space: VectorSpace) -> bool:
    parts = getattr(space, "factors", ()) or getattr(space, "summands", ())
    return isinstance(space, Power) or any(map(_mentions_power, parts))


def reading_held(legs: Sequence[VectorSpace], vector: Tensor) -> Reading:
    """Return how entries of a tensor with the given legs are read from one on the carrier."""

    def reading(terms: tuple[IndexTerm, ...]) -> Expr:
        names = Names({atom.name for term in terms for atom in atoms(term)})
        parts = []
        for chosen in product(*(list(spellings(leg, names)) for leg in legs)):
            ties = [delta[term, written] for term, (written, _, _) in zip(terms, chosen, strict=True)]
            entry = vector[tuple(term for _, held, _ in chosen for term in held)]
            parts.append(bind(tuple(i for _, _, found in chosen for i in found), mul(*ties, entry)))
        return add(*parts)

    return reading


def value_held(value: Definition, space: VectorSpace) -> Definition:
    """Return a definition over legs as they are written as one over the legs of the carrier of a space."""
    legs = tuple(leg.space for leg in value.legs)
    target = held_legs(value.name, legs, space)
    if legs == target:
        return value
    names = Names(names_in(value))
    outputs = names.indices("o", target)
    parts = []
    for chosen in product(*(list(spellings(leg, names)) for leg in legs)):
        held = [term for _, terms, _ in chosen for term in terms]
        ties = [delta[output, term] for output, term in zip(outputs, held, strict=True)]
        entry = value[tuple(written for written, _, _ in chosen)]
        parts.append(bind(tuple(i for _, _, found in chosen for i in found), mul(*ties, entry)))
    found = without_deltas(define(outputs, add(*parts), value.name))
    assert isinstance(found, Definition)
    return found
