"""The lower envelope along one size, exactly, and the borders between regimes.

*Along a line.*  All sizes but one, y, are fixed at numbers; prices are then polynomials (or maxima of
some) in y.  An interval is divided until, on each part, one choice is no worse than all others.  That one choice is no
worse than another on ``[a, b]`` is seen from Bernstein's coefficients: with
``y = (a + b t)/(1 + t)``, t >= 0, the difference times ``(1 + t)^D`` is a polynomial in t, and where none of its
coefficients is negative, nor is the difference on ``[a, b]``.  What is beaten on an interval is left out on its
parts.  An interval shorter than one part in `FINE` on which two choices are left, each best at one end, holds their
*crossing*; where only those two are left, the border is *attained* there: no third choice is better anywhere in the
interval.  Points are integers over `GRAIN`, and all of it is integer arithmetic: borders are isolated, not
read off a grid.

*Borders.*  The equations between neighbouring regimes are those of crossings attained along lines: from the sizes at
which one regime is known to be best to those of another, and through sizes of all magnitudes.  So every equation
given is one at which the best order changes; one that matters in a small corner only may be missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import ceil, comb, isqrt, lcm
from typing import Any

import sympy

from tensoralg.plan.conditions import priorities
from tensoralg.plan.polynomial import Maximum, Polynomial, Rational, primitive, sample_sizes
from tensoralg.plan.simplify import relation
from tensoralg.plan.tree import Priced

GRAIN = 2**16
FINE = 2**12
LARGEST = 10**6
WORK = 6000  # lines times choices that borders are looked for on
Row = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Piece:
    """An interval on which one choice is no worse than all others."""

    low: Fraction
    high: Fraction
    winner: int


@dataclass(frozen=True)
class Crossing:
    """A short interval at whose ends different choices are best; `attained` if no third one is better in it."""

    low: Fraction
    high: Fraction
    before: int
    after: int
    attained: bool


@dataclass(frozen=True)
class Line:
    """The envelope along one size: pieces from the lowest to the highest, and the crossings between them."""

    pieces: tuple[Piece, ...]
    crossings: tuple[Crossing, ...]


def along(prices: Sequence[Priced], minimize: str, name: str, others: Mapping[str, Any], low: int, high: int) -> Line:
    """Return which choice is best where, between two values of one size.

    Parameters
    ----------
    prices : sequence of Priced
        The choices.
    minimize : "flops", "largest" or "peak"
        What comes first.
    name : str
        The size that varies.
    others : mapping of str to int or Fraction
        The other sizes.
    low, high : int
        The ends, ``1 <= low < high``.

    Examples
    --------
    >>> import tensoralg as ta
    >>> attention = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
    >>> line = along(ta.plan(attention).prices, "flops", "n", {"d": 64}, 1, 4096)
    >>> [piece.winner for piece in line.pieces], [float(c.low) <= 64 <= c.high for c in line.crossings]
    ([0, 1], [True])
    """
    rows = _Rows(prices, priorities(minimize), name, others)
    pieces: list[Piece] = []
    crossings: list[Crossing] = []
    for a, b, winner, attained in _solve(rows, low * GRAIN, high * GRAIN, list(range(len(prices)))):
        start, end = Fraction(a, GRAIN), Fraction(b, GRAIN)
        if pieces and pieces[-1].winner == winner:
            pieces[-1] = Piece(pieces[-1].low, end, winner)
            continue
        if pieces:
            crossings.append(Crossing(pieces[-1].high, start, pieces[-1].winner, winner, attained))
        pieces.append(Piece(start, end, winner))
    return Line(tuple(pieces), tuple(crossings))


class _Rows:
    """The prices of choices as polynomials in one size, with integer coefficients in units of the grain."""

    def __init__(
        self, prices: Sequence[Priced], keys: Sequence[str], name: str, others: Mapping[str, Rational]
    ) -> None:
        self.prices, self.keys, self.name, self.others = prices, keys, name, others
        self.made: list[list[Row]] = []

    def level(self, k: int) -> list[Row]:
        """Return the polynomials of every choice for the k-th key, made when they are first needed."""
        while len(self.made) <= k:
            key = self.keys[len(self.made)]
            members = [[self.powers(p) for p in _members(getattr(price, key))] for price in self.prices]
            flat = [powers for row in members for powers in row]
            degree = max((k for powers in flat for k in powers), default=0)
            scale = lcm(*(c.denominator for powers in flat for c in powers.values()))
            self.made.append([tuple(sorted({_coefficients(p, degree, scale) for p in row})) for row in members])
        return self.made[k]

    def powers(self, polynomial: Polynomial) -> dict[int, Rational]:
        """Return the coefficient of every power of the size."""
        found: dict[int, Rational] = {}
        for monomial, c in polynomial.terms.items():
            power = 0
            for name, k in monomial:
                if name == self.name:
                    power = k
                else:
                    c = c * self.others[name] ** k
            found[power] = found.get(power, 0) + c
        return found

    def best(self, choices: Sequence[int], y: int) -> int:
        """Return the best choice at a point."""
        tied = list(choices)
        for k in range(len(self.keys)):
            if len(tied) == 1:
                break
            rows = self.level(k)
            values = {choice: max(_value(member, y) for member in rows[choice]) for choice in tied}
            least = min(values.values())
            tied = [choice for choice in tied if values[choice] == least]
        return tied[0]

    def no_worse(self, one: int, other: int, a: int, b: int) -> bool:
        """Whether Bernstein's coefficients prove that a choice is no worse than another on an interval."""
        for k in range(len(self.keys)):
            mine, theirs = self.level(k)[one], self.level(k)[other]
            if mine != theirs:
                if not _below(mine, theirs, a, b):
                    return False
                if not _below(theirs, mine, a, b):
                    return True
        return True  # tied throughout, or better by a later key


def _solve(rows: _Rows, a: int, b: int, choices: list[int]) -> Iterator[tuple[int, int, int, bool]]:
    """Yield parts of an interval with the choice that is best there, and whether a change at its start is attained."""
    middle = min(max(isqrt(a * b), a + 1), b - 1)
    for point in (middle, a, b):
        best = rows.best(choices, point)
        choices = [k for k in choices if k == best or not rows.no_worse(best, k, a, b)]
        if len(choices) == 1:
            yield a, b, best, False
            return
    if (b - a) * FINE <= a or b - a < 2:
        first, last = rows.best(choices, a), rows.best(choices, b)
        yield a, a, first, False
        yield b, b, last, len(choices) == 2 and first != last
        return
    yield from _solve(rows, a, middle, choices)
    yield from _solve(rows, middle, b, choices)


def _below(mine: Row, theirs: Row, a: int, b: int) -> bool:
    return all(any(_nonnegative(high, low, a, b) for high in theirs) for low in mine)


def _members(amount: Any) -> list[Polynomial]:
    if isinstance(amount, Maximum):
        return sorted(amount.members, key=str)
    return [amount if isinstance(amount, Polynomial) else Polynomial.constant(amount)]


def _coefficients(powers: Mapping[int, Rational], degree: int, scale: int) -> tuple[int, ...]:
    """Return the integer coefficients of ``scale GRAIN^degree p(y/GRAIN)``, the lowest power first."""
    return tuple(int(powers.get(k, 0) * scale) * GRAIN ** (degree - k) for k in range(degree + 1))


def _value(member: Sequence[int], y: int) -> int:
    total = 0
    for c in reversed(member):
        total = total * y + c
    return total


@cache
def _bernstein(degree: int, a: int, b: int) -> tuple[tuple[int, ...], ...]:
    """Return the coefficients of ``(a + b t)^k (1 + t)^(degree - k)`` for every k."""
    rows = []
    for k in range(degree + 1):
        row = [0] * (degree + 1)
        for i in range(k + 1):
            for j in range(degree - k + 1):
                row[i + j] += comb(k, i) * a ** (k - i) * b**i * comb(degree - k, j)
        rows.append(tuple(row))
    return tuple(rows)


def _nonnegative(high: Sequence[int], low: Sequence[int], a: int, b: int) -> bool:
    """Whether no Bernstein coefficient of ``high - low`` on ``[a, b]`` is negative."""
    gaps = [x - y for x, y in zip(high, low, strict=True)]
    if all(gap >= 0 for gap in gaps):
        return True
    basis = _bernstein(len(gaps) - 1, a, b)
    return all(sum(gap * row[k] for gap, row in zip(gaps, basis, strict=True)) >= 0 for k in range(len(gaps)))


def border_at(prices: Sequence[Priced], minimize: str, name: str, others: Mapping[str, Any], crossing: Crossing) -> Any:
    """Return the equation between sizes that holds at a crossing, None if no sign of a difference shows it."""
    ends = [{**others, name: end} for end in (crossing.low, crossing.high)]
    for key in priorities(minimize):
        choices = [_members(getattr(prices[k], key)) for k in (crossing.before, crossing.after)]
        # of a maximum, the member that is largest there
        for end in ends:
            low, high = (max(members, key=lambda m: m.value(end)) for members in choices)
            for q in _factors(high - low):
                if q.value(ends[0]) * q.value(ends[1]) <= 0:
                    return equation(q)
    return None


@cache
def _factors(gap: Polynomial) -> tuple[Polynomial, ...]:
    """Return the irreducible factors of a polynomial that have signs of both kinds."""
    if not gap.terms:
        return ()
    _, factors = sympy.factor_list(primitive(gap).sympy())
    zero = Polynomial({})
    found = (Polynomial.of(factor) for factor, power in factors if power % 2)
    return tuple(q for q in found if not q.below(zero) and not zero.below(q))


@cache
def equation(q: Polynomial) -> Any:
    """Return ``q = 0`` as a sympy equation with every term on the side where it is positive.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> equation(n - d), equation(d * -2 + n * n)
    (Eq(d, n), Eq(2*d, n**2))
    """
    sides = relation(primitive(q))
    low, high = sorted((sides.lhs, sides.rhs), key=lambda side: (side.is_number, sympy.default_sort_key(side)))
    return sympy.Eq(low, high, evaluate=False)


def borders(
    prices: Sequence[Priced], minimize: str, names: Sequence[str], seen: Sequence[Mapping[str, Rational] | None]
) -> list[Any]:
    """Return the equations at which the best choice changes, each attained between two neighbouring regimes.

    Parameters
    ----------
    prices : sequence of Priced
        The choices.
    minimize : "flops", "largest" or "peak"
        What comes first.
    names : sequence of str
        The sizes.
    seen : sequence of mapping or None
        Sizes at which each choice is best, where some are known.
    """
    if len(prices) < 2:
        return []
    found: dict[Any, None] = {}
    known = [{name: ceil(value) for name, value in sizes.items()} for sizes in seen if sizes]
    for count, (name, others, low, high) in enumerate(_lines(names, known)):
        if count * len(prices) > WORK:
            break
        for crossing in along(prices, minimize, name, others, low, high).crossings:
            if crossing.attained:
                found[border_at(prices, minimize, name, others, crossing)] = None
    found.pop(None, None)
    return sorted(found, key=lambda found: (len(str(found)), str(found)))


def _lines(names: Sequence[str], seen: Sequence[Mapping[str, int]]) -> Iterator[tuple[str, dict[str, int], int, int]]:
    """Yield lines in the sizes: from one known point to the next, size by size, and through scattered points."""
    for one, other in pairwise(seen):
        for order in (names, names[::-1]):
            here = dict(one)
            for name in order:
                low, high = sorted((here[name], other[name]))
                if low < high:
                    yield name, {k: here[k] for k in names if k != name}, low, high
                here[name] = other[name]
    for sizes in sample_sizes(names, 1, 30):
        for name in names:
            yield name, {k: sizes[k] for k in names if k != name}, 1, max(LARGEST, 2 * sizes[name])
