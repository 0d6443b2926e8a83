"""Which orders are best somewhere: witnesses found by search, and proofs that there are none.

Prices are maxima of polynomials (FLOPs of one).  ``i`` is no worse than ``k`` where every polynomial of i
is at most some polynomial of k; it is best where it is no worse than every other.

*Witnesses* are searched for at whole sizes, first in a cloud of random orders of magnitude, then from there
uphill in the least gap to another order.  A gap is measured relative to the terms that two polynomials do
not share, so that orders with a large common part are told apart.  The search works in floating point;
a witness counts when exact arithmetic finds the order best there.  (Where whole sizes are not found,
fractions are looked at: a region may lie between whole numbers.)

*Proofs* of emptiness are combinations of gaps (`plan.farkas`): where a weighted sum of gaps is negative
everywhere, one of the gaps is, and its order is better.  Where a gap is an alternative (a maximum of
several polynomials), every alternative is refuted in its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from math import log
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.conditions import first_difference, gaps_between, members, priorities
from tensoralg.plan.farkas import weights
from tensoralg.plan.polynomial import LEAST, Polynomial, Rational, below, primitive, value_at
from tensoralg.plan.simplify import simplified
from tensoralg.plan.tree import Priced

Floats: TypeAlias = "NDArray[np.float64]"
Sizes: TypeAlias = "Mapping[str, Rational]"
# alternatives, of each of which all polynomials are positive
Cases: TypeAlias = "tuple[tuple[Polynomial, ...], ...]"

CLOUD = 2048
SCALES = (1.0, 3.0, 8.0, 16.0)
# sizes are multiples of 1 / grid; so many rounds for one order, and for all
SEARCHES = ((1, 40, 1 << 30), (1, 600, 3000), (64, 300, 1500))
TRIALS = 32
STARTS = 256
STEPS = (0.1, 0.5, 2.0)
# logarithms of the largest sizes, beyond the ratio of coefficients, and at all
HIGHEST, FINITE = 25.0, 600.0
NEAREST = 24
BRANCHES = 3
MULTIPLES = 60


def best_at(found: Sequence[Priced], keys: Sequence[str], sizes: Mapping[str, Any]) -> list[int]:
    """Return the positions of the choices that are best at the given sizes."""
    tied = list(range(len(found)))
    for key in keys:
        if len(tied) > 1:
            values = {position: value_at(getattr(found[position], key), sizes) for position in tied}
            least = min(values.values())
            tied = [position for position in tied if values[position] == least]
    return tied


def log_of(value: Rational) -> float:
    """Return the logarithm of a positive number of any length."""
    return log(value.numerator) - log(value.denominator)


class _Heights:
    """One price of every order, as arrays: which polynomials it is the maximum of, and their coefficients."""

    def __init__(self, names: Sequence[str], amounts: Sequence[Any]) -> None:
        groups = [members(amount) for amount in amounts]
        distinct = {polynomial: k for k, polynomial in enumerate(dict.fromkeys(chain.from_iterable(groups)))}
        monomials = {m: k for k, m in enumerate(dict.fromkeys(m for polynomial in distinct for m in polynomial.terms))}
        self.groups = [[distinct[polynomial] for polynomial in group] for group in groups]
        self.flat = np.array([k for group in self.groups for k in group])
        self.starts = np.cumsum([0, *(len(group) for group in self.groups[:-1])])
        self.powers = np.zeros((len(monomials), len(names)))
        for monomial, row in monomials.items():
            for name, power in monomial:
                self.powers[row, names.index(name)] = power
        found: list[Rational] = [c for group in groups for polynomial in group for c in polynomial.terms.values()]
        sizes: list[Rational] = sorted(c if c > 0 else -c for c in found) or [1]
        self.spread = log_of(sizes[-1]) - log_of(sizes[0])
        # only ratios matter; whole numbers of any length have a quotient
        self.coefficients = np.zeros((len(distinct), len(monomials)))
        for polynomial, row in distinct.items():
            for monomial, coefficient in polynomial.terms.items():
                self.coefficients[row, monomials[monomial]] = float(coefficient / sizes[-1])

    def values(self, points: Floats) -> Floats:
        """Return the price of every order (rows) at every point (columns)."""
        return self._highest(self.coefficients @ self._entries(points))

    def gaps(self, position: int, points: Floats) -> Floats:
        """Return by how much every order is worse than the one at a position, from -1 to 1."""
        entries = self._entries(points)
        least = None
        for member in self.groups[position]:
            difference = self.coefficients - self.coefficients[member]
            ratio = (difference @ entries) / np.maximum(np.abs(difference) @ entries, 1e-300)
            highest = self._highest(ratio)
            least = highest if least is None else np.minimum(least, highest)
        assert least is not None
        return least

    def _highest(self, values: Floats) -> Floats:
        """Return the maximum over the polynomials of every order."""
        chosen: Floats = values[self.flat]
        return chosen if len(self.flat) == len(self.groups) else np.maximum.reduceat(chosen, self.starts)

    def _entries(self, points: Floats) -> Floats:
        found: Floats = np.exp(self.powers @ points.T)
        return found


class Envelope:
    """The orders among which the best are looked for.

    Parameters
    ----------
    names : sequence of str
        The symbols.
    found : sequence of Priced
        The orders.
    keys : sequence of str
        What is compared, in order.
    least : int
        The least size.
    seed : int
        Seed of the search for witnesses.
    """

    def __init__(
        self, names: Sequence[str], found: Sequence[Priced], keys: Sequence[str], least: int = LEAST, seed: int = 0
    ) -> None:
        self.names, self.found, self.keys, self.least = names, found, keys, least
        self.rng = np.random.default_rng(seed)
        # different polynomials tie on thin sets only, and there any of the tied will do
        alone = keys[0] == "flops" and len({price.flops for price in found}) == len(found)
        self.heights = [
            _Heights(names, [getattr(price, key) for price in found]) for key in keys[: 1 if alone else None]
        ]
        self.highest = min(HIGHEST + self.heights[0].spread, FINITE)
        self.points = np.zeros((len(found), len(names)))

    def cover(self) -> dict[int, Sizes | None]:
        """Return the orders that are best somewhere, as far as is decided, each with a witness or None."""
        seen: dict[int, Sizes] = self._look_around()
        left = set(range(len(self.found)))
        for thorough, (grid, most, budget) in enumerate(SEARCHES):
            rounds = min(most, budget // max(1, len(left - set(seen))))
            for position in sorted(left - set(seen)):
                if thorough == 1:
                    self.points[position] = self._start(position)
                if (sizes := self._climb(position, grid, rounds)) is not None:
                    seen[position] = sizes
            for position in sorted(left):
                # a witness where the first key ties may lie on a border
                if (position not in seen or (not thorough and self._ties(position, seen[position]))) and self._empty(
                    position, sorted(left - {position}), thorough > 0
                ):
                    left.remove(position)
        return {position: seen.get(position) or self._tied(position) for position in sorted(left)}

    def _ties(self, position: int, sizes: Sizes) -> bool:
        values = [value_at(getattr(price, self.keys[0]), sizes) for price in self.found]
        return values.count(values[position]) > 1

    def _tied(self, position: int) -> Sizes | None:
        """Return sizes at which an order is as good as the best, if the search ended at such."""
        sizes = self._sizes(self.points[position])
        return sizes if position in best_at(self.found, self.keys, sizes) else None

    def _look_around(self) -> dict[int, Sizes]:
        scales = [*SCALES, self.highest] if self.highest > 2 * HIGHEST else SCALES
        spread = self.rng.choice(scales, size=(CLOUD, 1)) * self.rng.random((CLOUD, len(self.names)))
        cloud = self._rounded(np.log(self.least) + spread)
        values = self.heights[0].values(cloud)
        winners, ratios = values.argmin(axis=0), values / values.min(axis=0)
        self.points = cloud[ratios.argmin(axis=1)]
        seen: dict[int, Sizes] = {}
        for winner in np.unique(winners):
            # where the runner-up is farthest
            here = np.flatnonzero(winners == winner)
            others = np.delete(ratios[:, here], winner, axis=0)
            sizes = self._sizes(cloud[here[others.min(axis=0).argmax()]])
            best, *tied = best_at(self.found, self.keys, sizes)
            if not tied:
                seen.setdefault(best, sizes)
        return seen

    def _start(self, position: int) -> Floats:
        """Return another start: the best of moderate sizes, where a climb has not been lured far out."""
        spread = self.rng.choice(SCALES[:2], size=(STARTS, 1)) * self.rng.random((STARTS, len(self.names)))
        starts = self._rounded(log_of(self.least) + spread)
        best: Floats = starts[self._lead(position, starts).argmax()]
        return best

    def _climb(self, position: int, grid: int, rounds: int) -> Sizes | None:
        """Look for sizes at which an order is best, going where the least gap to another order grows."""
        point = self.points[position]
        best, idle = self._lead(position, point[None])[0], 0
        for _ in range(rounds):
            moves = self.rng.standard_normal((TRIALS, len(self.names))) * self.rng.choice(STEPS, (TRIALS, 1))
            moves *= self.rng.random(moves.shape) < self.rng.choice((0.3, 0.6, 1.0), (TRIALS, 1))
            trials = self._rounded(point + moves, grid)
            leads = self._lead(position, trials)
            idle += 1
            if leads.max() > best:
                best, point, idle = leads.max(), trials[leads.argmax()], 0
            if best > 0 or idle > rounds // 4:
                break
        self.points[position] = point
        sizes = self._sizes(point, grid)
        return sizes if best > 0 and best_at(self.found, self.keys, sizes) == [position] else None

    def _lead(self, position: int, points: Floats) -> Floats:
        """Return the least gap to another order at every point; ties are broken by the later keys."""
        gaps = self.heights[0].gaps(position, points)
        gaps[position] = 1
        for depth, heights in enumerate(self.heights[1:], 1):
            if gaps.all():
                break
            later = heights.gaps(position, points) * 1e-3**depth
            gaps = np.where(gaps == 0, later, gaps)
        lead: Floats = gaps.min(axis=0)
        return lead

    def _rounded(self, points: Floats, grid: int = 1) -> Floats:
        """Return the logarithms of the nearest sizes that are multiples of 1 / grid."""
        sizes = np.maximum(self.least, np.rint(np.exp(np.minimum(points, self.highest)) * grid) / grid)
        found: Floats = np.log(sizes)
        return found

    def _sizes(self, point: Floats, grid: int = 1) -> Sizes:
        sizes = (Fraction(round(float(np.exp(x)) * grid), grid) for x in point)
        return {
            name: size.numerator if size.denominator == 1 else size
            for name, size in zip(self.names, sizes, strict=True)
        }

    def _empty(self, position: int, others: Sequence[int], thorough: bool) -> bool:
        """Whether it is proved that some other order is no worse, at all sizes >= `least` but for thin sets.

        A thin set is where one of finitely many polynomials vanishes; there, others are no worse in the first key
        by continuity.
        """
        gaps = self.heights[0].gaps(position, self.points[position][None])[:, 0]
        near = sorted(others, key=lambda other: (gaps[other], other))[:NEAREST]
        one = self.found[position]
        cases = dict.fromkeys(case for other in near for case in self._unbeaten(one, self.found[other]))
        if thorough:
            cases = dict.fromkeys(tuple(tuple(map(simplified, qs)) for qs in case) for case in cases)
        units = list(dict.fromkeys(q for case in cases if len(case) == 1 for q in case[0]))
        longer = sorted((case for case in cases if len(case) != 1), key=len)
        return self._contradict(units, longer, BRANCHES, thorough)

    def _contradict(self, units: list[Polynomial], cases: list[Cases], depth: int, thorough: bool) -> bool:
        """Whether it is proved that the units, and one alternative of every case, are nowhere positive together."""
        if not all(cases) or not all(unit.terms for unit in units) or weights(units, least=self.least) is not None:
            return True
        if depth and cases:
            return all(self._contradict([*qs, *units], cases[1:], depth - 1, thorough) for qs in cases[0])
        few = units[: MULTIPLES // len(self.names)]
        multiples = [unit * Polynomial.symbol(name) for unit in few for name in self.names if thorough]
        return bool(multiples) and weights([*units, *multiples], least=self.least) is not None

    def _unbeaten(self, one: Priced, other: Priced) -> Iterator[Cases]:
        """Yield what is true where one order is not beaten by another: of every case, one alternative is positive."""
        key = first_difference(one, other, self.keys)
        if key is None:
            yield ()
        elif self._settled(one, other, self.keys[self.keys.index(key) + 1 :]):
            # a tie decides for the other: some polynomial of it lies above all of this order
            mine = members(getattr(one, key))
            yield tuple(
                tuple(primitive(high - low) for low in mine if not low.strictly_below(high, self.least))
                for high in members(getattr(other, key))
                if not any(high.below(low, self.least) for low in mine)
            )
        else:
            for clause in gaps_between(one, other, self.keys, self.least):
                yield tuple((gap,) for gap in clause)

    def _settled(self, one: Priced, other: Priced, keys: Sequence[str]) -> bool:
        """Whether the other order is proved no worse by the first of some keys that differs."""
        key = first_difference(one, other, keys)
        return key is None or below(getattr(other, key), getattr(one, key), self.least)


def cover(
    names: Sequence[str], found: Sequence[Priced], minimize: str, seed: int = 0, least: int = LEAST
) -> list[tuple[Priced, Sizes | None]]:
    """Return the orders that are best somewhere (as far as is decided), each with a witness or None."""
    if len(found) == 1:
        return [(found[0], dict.fromkeys(names, least))]
    with np.errstate(all="ignore"):  # what is too large for floating point is not found
        kept = Envelope(names, found, priorities(minimize), least, seed).cover()
    return [(found[position], witness) for position, witness in kept.items()]
