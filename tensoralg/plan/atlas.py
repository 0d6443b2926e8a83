"""Maps: which order is best over two sizes, the others given.

What is exact: on every drawn column the borders are isolated by integer arithmetic (see `plan.lines`) to
less than one part in 4096, far less than a pixel, and proved to be the only ones; where two neighbouring columns
meet different regions, or a border rises much, columns are put between them until they are closer than one part in
256.  Between columns that meet the same regions borders are drawn straight, which on logarithmic axes is exact for
a border between two monomials.  The equations are exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

from tensoralg.plan.lines import GRAIN, Line, along, border_at
from tensoralg.plan.regimes import Regime
from tensoralg.plan.tree import Priced
from tensoralg.show import MapColumn, Region, RegionMap, map_svg, text_map

COLUMNS = 60
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
CLOSE = Fraction(257, 256)
STEEP = 2


@dataclass(frozen=True, repr=False)
class Atlas:
    """Which of several orders is best over two sizes; prints as a map of letters, and draws itself in notebooks.

    Attributes
    ----------
    x, y : str
        The sizes along the axes.
    map : RegionMap
        The map as plain data: columns with the intervals in which each regime is best.
    regimes : tuple of Regime
        The regimes that occur, in the order of the letters A, B, ...
    borders : tuple of sympy equation
        The equations of the borders between them.
    """

    x: str
    y: str
    map: RegionMap
    regimes: tuple[Regime, ...]
    borders: tuple[Any, ...]

    def svg(self) -> str:
        """Return the map as a standalone SVG."""
        return map_svg(self.map)

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return text_map(self.map)

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Survey:
    """The columns of a map of two sizes.

    Parameters
    ----------
    prices : sequence of Priced
        The choices, polynomials in the two sizes.
    minimize : "flops", "largest" or "peak"
        What comes first.
    x, y : str
        The sizes.
    x_range, y_range : tuple of int
        Their ends.
    """

    prices: Sequence[Priced]
    minimize: str
    x: str
    y: str
    x_range: tuple[int, int]
    y_range: tuple[int, int]

    @cached_property
    def columns(self) -> tuple[tuple[Fraction, Line], ...]:
        """The positions of the columns and what lies along them, from left to right."""
        regular = [(x, self.line(x)) for x in self.regular]
        found = regular[:1]
        for left, right in pairwise(regular):
            found += [*self._between(left, right), right]
        return tuple(found)

    @cached_property
    def regular(self) -> tuple[Fraction, ...]:
        """The positions of evenly spaced columns."""
        low, high = self.x_range
        inner = (low * (high / low) ** (k / (COLUMNS - 1)) for k in range(1, COLUMNS - 1))
        places = (Fraction(round(x * GRAIN), GRAIN) for x in inner)
        return tuple(dict.fromkeys([Fraction(low), *places, Fraction(high)]))

    def line(self, x: Fraction) -> Line:
        """Return what lies along a column."""
        return along(self.prices, self.minimize, self.y, {self.x: x}, *self.y_range)

    def _between(self, left: tuple[Fraction, Line], right: tuple[Fraction, Line]) -> Iterator[tuple[Fraction, Line]]:
        """Yield columns between two that meet different regions, the nearer the narrower the gap."""
        if right[0] <= left[0] * CLOSE or (_order(left[1]) == _order(right[1]) and not _steep(left[1], right[1])):
            return
        x = Fraction(round((float(left[0]) * float(right[0])) ** 0.5 * GRAIN), GRAIN)
        middle = x, self.line(x)
        yield from self._between(left, middle)
        yield middle
        yield from self._between(middle, right)

    def equations(self) -> dict[Any, None]:
        """Return the equations of the borders met, along columns and between them."""
        found: dict[Any, None] = {}
        for x, line in self.columns:
            found |= dict.fromkeys(self.edges(x, line))
        for (left, one), (right, other) in pairwise(self.columns):
            if _order(one) != _order(other):
                found |= dict.fromkeys(self._upright(left, one, right, other))
        found.pop(None, None)
        return found

    def edges(self, x: Fraction, line: Line) -> list[Any]:
        """Return the equation at every crossing of a column."""
        return [border_at(self.prices, self.minimize, self.y, {self.x: x}, c) for c in line.crossings]

    def _upright(self, left: Fraction, one: Line, right: Fraction, other: Line) -> Iterator[Any]:
        """Yield the equations of the borders between two close columns that meet different regions."""
        ends = sorted({end for line in (one, other) for piece in line.pieces for end in (piece.low, piece.high)})
        low, high = int(left), int(right) + 1
        for bottom, top in pairwise(ends):
            y = (bottom + top) / 2
            if _at(one, y) != _at(other, y) and low < high:
                line = along(self.prices, self.minimize, self.x, {self.y: y}, low, high)
                for crossing in line.crossings:
                    if crossing.attained:
                        yield border_at(self.prices, self.minimize, self.x, {self.y: y}, crossing)


def chart(regimes: Sequence[Regime], survey: Survey, title: str, sizes: Mapping[str, int]) -> Atlas:
    """Return the map of a survey, with the regimes that occur on it."""
    met = dict.fromkeys(piece.winner for _, line in survey.columns for piece in line.pieces)
    letters = {winner: k for k, winner in enumerate(sorted(met))}
    columns = tuple(
        MapColumn(
            float(x),
            tuple((float(piece.low), float(piece.high), letters[piece.winner]) for piece in line.pieces),
            tuple(_text(edge) for edge in survey.edges(x, line)),
        )
        for x, line in survey.columns
    )
    kept = tuple(regimes[winner] for winner in letters)
    borders = tuple(sorted(survey.equations(), key=lambda q: (len(str(q)), str(q))))
    notes = [f"border  {_text(edge)}" for edge in borders]
    notes += [f"{name} = {value}" for name, value in sizes.items()]
    places = [x for x, _ in survey.columns]
    shown = RegionMap(
        survey.x,
        survey.y,
        columns,
        tuple(Region(_lines(regime, survey.minimize)) for regime in kept),
        tuple(notes),
        title,
        tuple(places.index(x) for x in survey.regular),
    )
    return Atlas(survey.x, survey.y, shown, kept, borders)


def _lines(regime: Regime, minimize: str) -> tuple[str, ...]:
    lines = [drawn(regime.tree), f"{_powers(regime.flops)} FLOPs"]
    if minimize != "flops":
        lines.append(f"{minimize} {_powers(getattr(regime, minimize))}")
    return tuple(lines)


def drawn(tree: Any) -> str:
    """Return an order as brackets.

    Examples
    --------
    >>> drawn(("Q", ("K", "V")))
    '(Q (K V))'
    """
    words: list[str] = []
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            words.append(part)
        else:
            stack += [")", *reversed(part), "("]
    return " ".join(words).replace("( ", "(").replace(" )", ")")


def _order(line: Line) -> tuple[int, ...]:
    return tuple(piece.winner for piece in line.pieces)


def _steep(one: Line, other: Line) -> bool:
    """Whether a border rises much between two columns."""
    pairs = ((a.high, b.high) for a, b in zip(one.pieces[:-1], other.pieces[:-1], strict=True))
    return any(max(a, b) > STEEP * min(a, b) for a, b in pairs)


def _at(line: Line, y: Fraction) -> int:
    return next((piece.winner for piece in line.pieces if y <= piece.high), line.pieces[-1].winner)


def _powers(amount: Any) -> str:
    """Return an amount as a person writes it."""
    text = re.sub(r"\*\*(\d+)", lambda power: power[1].translate(RAISED), str(amount))
    return text.replace("**", "^").replace("*", " ")


def _text(edge: Any) -> str:
    return "" if edge is None else f"{_powers(edge.lhs)} = {_powers(edge.rhs)}"
