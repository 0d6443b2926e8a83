"""Hints for the checker: the canonical order of the loose variables of its monomials, found by the labeller.

Nothing here is trusted: a wrong order can only make a check fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoralg.normal.graph import Odd, canonical_order
from tensoralg.normal.terms import Atom, Term


def labeller(tensors: Mapping[str, Any], memo: dict[Any, Any]) -> Callable[..., tuple[int, ...]]:
    """Return what the checker asks for the order of the bound variables of a monomial, or its odd automorphism.

    Parameters
    ----------
    tensors : mapping of str to what has groups of legs ``symmetric`` and ``antisymmetric``
    memo : dict
        Orders that are known already.
    """

    def label(_: Any, powers: Mapping[Any, Any], term: Any, rank: Mapping[Any, Any], loose: Sequence[Any]) -> Any:
        plain = Term(powers={_atom(atom): power for atom, power in powers.items()}, bound=term.bound)
        order = canonical_order(tensors, plain, rank, loose, memo)
        place = {v: k for k, v in enumerate(loose)}
        return (-1, *(place[order.image[v]] for v in loose)) if isinstance(order, Odd) else tuple(map(place.get, order))

    return label


def _atom(atom: Any) -> Atom:
    """Return an atom of the checker as one of the normal form, for its graph."""
    values = tuple(map(_value, atom[2:]))
    if atom[0] == "t":
        return ("t", atom[1], *values)
    if atom[0] in ("delta", "size"):
        return ("d", *values) if values else ("s", atom[1])
    return ("F", atom[0], atom[1], tuple((str(k), v) for k, v in enumerate(values)))


def _value(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    if value[0] == "#":
        return f"#{value[1]}@{value[2]}"
    return ("+", value[1], _value(value[2]), value[3]) if value[0] == "+" else ("*", *map(_value, value[1:]))
