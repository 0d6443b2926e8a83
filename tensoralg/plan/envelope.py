"""Which orders are best somewhere: witnesses found by search, and proofs that there are none.

Prices are maxima of polynomials (FLOPs of one).  ``i`` is no worse than ``k`` where every polynomial of i
is at most some polynomial of k; it is best where it is no worse than every other.

*Witnesses* are searched for at whole sizes, first in a cloud of random orders of magnitude, then from there
uphill in the least gap to another order.  A gap is measured relative to the terms that two polynomials do
not share, so that orders with a large common part are told apart.  The search works in floating point;
a witness counts when exact arithmetic finds the order best there.  (Where whole sizes are not found,
fractions are looked at: a region may lie between whole numbers.)

*Proofs* of emptiness are combinations of gaps (`plan.farkas`): where weights make the sum of some gaps
negative everywhere, one of the gaps is negative, and its order is no worse.  Where a gap is an alternative
(a maximum of several polynomials), every alternative is refuted in its turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.conditions import Clause, first_difference, gaps_between, members, priorities
from tensoralg.plan.farkas import weights
from tensoralg.plan.polynomial import LEAST, Polynomial, Rational, below, value_at
from tensoralg.plan.simplify import simplified
from tensoralg.plan.tree import Priced

Floats: TypeAlias = "NDArray[np.float64]"
Sizes: TypeAlias = "Mapping[str, Rational]"

CLOUD = 2048
SCALES = (1.0, 3.0, 8.0, 16.0)
# sizes are multiples of 1 / grid; so many rounds
SEARCHES = ((1, 40), (1, 200), (64, 100))
TRIALS = 32
STEPS = (0.1, 0.5, 2.0)
HIGHEST = 25.0
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
        self.coefficients = np.zeros((len(distinct), len(monomials)))
        for polynomial, row in distinct.items():
            for monomial, coefficient in polynomial.terms.items():
                self.coefficients[row, monomials[monomial]] = float(coefficient)

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
        self.points = np.zeros((len(found), len(names)))

    def cover(self) -> dict[int, Mapping[str, Rational] | None]:
        """Return the orders that are best somewhere, as far as is decided, each with a witness or None."""
        seen: dict[int, Mapping[str, Rational] | None] = dict(self._look_around())
        left = set(range(len(self.found)))
        for grid, rounds in SEARCHES:
            for position in sorted(left - set(seen)):
                if (sizes := self._climb(position, grid, rounds)) is not None:
                    seen[position] = sizes
            for position in sorted(left - set(seen)):
                if self._empty(position, sorted(left - {position}), thorough=rounds > SEARCHES[0][1]):
                    left.remove(position)
        return {position: seen.get(position) or self._tied(position) for position in sorted(left)}

    def _tied(self, position: int) -> Sizes | None:
        """Return sizes at which an order is as good as the best, if the search ended at such."""
        sizes = self._sizes(self.points[position])
        return sizes if position in best_at(self.found, self.keys, sizes) else None

    def _look_around(self) -> dict[int, Sizes]:
        spread = self.rng.choice(SCALES, size=(CLOUD, 1)) * self.rng.random((CLOUD, len(self.names)))
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
        sizes = np.maximum(self.least, np.rint(np.exp(np.minimum(points, HIGHEST)) * grid) / grid)
        found: Floats = np.log(sizes)
        return found

    def _sizes(self, point: Floats, grid: int = 1) -> Sizes:
        sizes = (Fraction(round(float(np.exp(x)) * grid), grid) for x in point)
        return {
            name: size.numerator if size.denominator == 1 else size
            for name, size in zip(self.names, sizes, strict=True)
        }

    def _empty(self, position: int, others: Sequence[int], thorough: bool) -> bool:
        """Whether it is proved that at all sizes >= `least` one of the others is no worse."""
        one = self.found[position]
        gaps = self.heights[0].gaps(position, self.points[position][None])[:, 0]
        near = sorted(others, key=lambda other: (gaps[other], other))
        weak = [other for other in near if self._decides(self.found[other], one)]
        # where a tie does not decide, the gap has to be negative
        cases = [(weak, False)] if len(weak) == len(near) else [(weak, False), (near, True)]
        for chosen, strict in cases:
            clauses = [
                clause
                for other in chosen[:NEAREST]
                for clause in gaps_between(one, self.found[other], self.keys, self.least)
            ]
            if thorough:
                clauses = [tuple(simplified(q) for q in clause) for clause in clauses]
            units = list(dict.fromkeys(clause[0] for clause in clauses if len(clause) == 1))
            longer = sorted((clause for clause in clauses if len(clause) > 1), key=len)
            if self._contradict(units, longer, strict, BRANCHES, thorough):
                return True
        return False

    def _contradict(
        self, units: list[Polynomial], clauses: list[Clause], strict: bool, depth: int, thorough: bool
    ) -> bool:
        """Whether it is proved that all of the units, and of every clause one, are nowhere positive together."""
        if not (strict or all(unit.terms for unit in units)):
            return True
        if weights(units, least=self.least, strict=strict) is not None:
            return True
        if depth and clauses:
            return all(self._contradict([q, *units], clauses[1:], strict, depth - 1, thorough) for q in clauses[0])
        few = units[: MULTIPLES // len(self.names)]
        multiples = [unit * Polynomial.symbol(name) for unit in few for name in self.names if thorough]
        return bool(multiples) and weights([*units, *multiples], least=self.least, strict=strict) is not None

    def _decides(self, other: Priced, one: Priced) -> bool:
        """Whether the other wins where the first key that differs ties (polynomials tie on thin sets alone)."""
        key = first_difference(other, one, self.keys)
        if key is None or isinstance(getattr(one, key), Polynomial):
            return True
        for later in self.keys[self.keys.index(key) + 1 :]:
            mine, theirs = getattr(other, later), getattr(one, later)
            if mine != theirs:
                return below(mine, theirs, self.least)
        return True


def cover(
    names: Sequence[str], found: Sequence[Priced], minimize: str, seed: int = 0, least: int = LEAST
) -> list[tuple[Priced, Sizes | None]]:
    """Return the orders that are best somewhere (as far as is decided), each with a witness or None."""
    if len(found) == 1:
        return [(found[0], dict.fromkeys(names, least))]
    kept = Envelope(names, found, priorities(minimize), least, seed).cover()
    return [(found[position], witness) for position, witness in kept.items()]
