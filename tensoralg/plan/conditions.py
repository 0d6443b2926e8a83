"""Where an order is best, as inequalities in the sizes, simplified.

An order i is best where it is no worse than every other.  What is written of this are inequalities ``q >= 0``
(or alternatives of them, where prices are maxima), simplified in ways that keep the regions a cover of all
sizes >= 1:

* where ``f_i + f_k = f_a + f_b``, being no worse than a and b implies being no worse than k (orders that
  differ in two independent places give many of these), so that k is left out;
* factors of q that are proved >= 0 are divided out (where such a factor is 0 the two orders tie);
* an inequality that is proved from the others (`plan.farkas`) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any

import sympy

from tensoralg.plan.farkas import follows
from tensoralg.plan.polynomial import CACHED, Polynomial, Rational, below, primitive
from tensoralg.plan.simplify import relation, simplified
from tensoralg.plan.tree import Priced

Clause = tuple[Polynomial, ...]
# an inequality is proved from so many others; so many proofs are tried, and so many inequalities factored, in all
PREMISES = 24
PROOFS = 600
FACTORED = 2000


@dataclass(frozen=True)
class Condition:
    """Inequalities between sizes: in every clause, one of the polynomials is >= 0.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> Condition(((d - n,),)).holds({"n": 3, "d": 4}), Condition(((d - n,),)).sympy()
    (True, n <= d)
    """

    clauses: tuple[Clause, ...] = ()

    def holds(self, sizes: Mapping[str, Rational]) -> bool:
        """Whether the sizes (whole numbers or fractions) satisfy it."""
        return all(any(q.value(sizes) >= 0 for q in clause) for clause in self.clauses)

    def sympy(self) -> Any:
        """Return the condition as a sympy formula."""
        return self._formula

    @cached_property
    def _formula(self) -> Any:
        return sympy.And(*(sympy.Or(*(relation(q) for q in clause)) for clause in self.clauses))


def first_difference(one: Priced, other: Priced, keys: Sequence[str]) -> str | None:
    """Return the first key in which two prices differ."""
    return next((key for key in keys if getattr(one, key) != getattr(other, key)), None)


def members(amount: Any) -> list[Polynomial]:
    """Return the polynomials that an amount is the maximum of, in a fixed order."""
    return [amount] if isinstance(amount, Polynomial) else sorted(amount.members, key=lambda p: sorted(p.terms.items()))


def gaps_between(one: Priced, other: Priced, keys: Sequence[str], least: int = 1) -> Iterator[Clause]:
    """Yield clauses that say that one order is no worse than another: one of the polynomials is >= 0."""
    key = first_difference(one, other, keys)
    if key is None:
        return
    theirs = members(getattr(other, key))
    for low in members(getattr(one, key)):
        gaps = [_gap(low, high, least) for high in theirs]
        if all(sign < 1 for _, sign in gaps):
            kept = [gap for gap, sign in gaps if sign == 0] or [Polynomial.constant(-1)]
            yield tuple(dict.fromkeys(kept))


@lru_cache(CACHED)
def _gap(low: Polynomial, high: Polynomial, least: int) -> tuple[Polynomial, int]:
    """Return the primitive difference, and its sign where that is proved."""
    sign = 1 if low.below(high, least) else -1 if high.strictly_below(low, least) else 0
    return primitive(high - low), sign


def priorities(minimize: str) -> tuple[str, ...]:
    """Return what is compared, in order."""
    return (minimize, *(key for key in ("flops", "largest", "peak") if key != minimize))


def conditions(found: Sequence[Priced], minimize: str) -> list[Condition]:
    """Return, for each order, where it is no worse than every other."""
    keys = priorities(minimize)
    implied = _parallel(found, keys)
    rows = [
        [clause for other in _without(position, found, implied) for clause in gaps_between(one, other, keys)]
        for position, one in enumerate(found)
    ]
    budget = PROOFS
    result = []
    if sum(len(clause) for row in rows for clause in row) <= FACTORED:
        rows = [[tuple(dict.fromkeys(simplified(q) for q in clause)) for clause in row] for row in rows]
    for row in rows:
        clauses = _distinct(row)
        if len(clauses) <= min(PREMISES, budget):
            budget -= len(clauses)
            clauses = _independent(clauses)
        result.append(Condition(tuple(clauses)))
    return result


def _parallel(found: Sequence[Priced], keys: Sequence[str]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return, for pairs of orders, the other pairs with the same sum of the first key."""
    amounts = [_flops(price) for price in found]
    if keys[0] != "flops" or len(set(amounts)) < len(amounts):
        return {}
    sums: dict[Polynomial, list[tuple[int, int]]] = {}
    for pair in combinations(range(len(found)), 2):
        sums.setdefault(amounts[pair[0]] + amounts[pair[1]], []).append(pair)
    return {pair: group for group in sums.values() if len(group) > 1 for pair in group}


def _without(
    position: int, found: Sequence[Priced], implied: Mapping[tuple[int, int], list[tuple[int, int]]]
) -> list[Priced]:
    """Return the other orders less those that parallel pairs make superfluous, the most different first."""
    mine = set(_flops(found[position]).terms.items())
    kept = dict.fromkeys(k for k in range(len(found)) if k != position)
    if implied:
        for other in sorted(kept, key=lambda k: (-len(mine ^ set(_flops(found[k]).terms.items())), k)):
            pairs = implied.get((min(position, other), max(position, other)), ())
            if any(a in kept and b in kept and other not in (a, b) for a, b in pairs):
                del kept[other]
    return [found[k] for k in kept]


def _flops(price: Priced) -> Polynomial:
    return price.flops if isinstance(price.flops, Polynomial) else Polynomial.constant(price.flops)


def _distinct(clauses: Sequence[Clause]) -> list[Clause]:
    """Drop clauses that are always true, that occur before, or that have all alternatives of a shorter one."""
    kept: list[Clause] = []
    sets: list[set[Polynomial]] = []
    for clause in sorted(dict.fromkeys(clauses), key=len):
        alternatives = set(clause)
        if not any(q.nonnegative() for q in clause) and not any(one <= alternatives for one in sets):
            kept.append(clause)
            sets.append(alternatives)
    return kept


def _independent(clauses: list[Clause]) -> list[Clause]:
    """Drop clauses of which an alternative is proved from the others, the most complicated first."""
    kept = list(clauses)
    for clause in sorted(clauses, key=lambda c: -sum(len(q.terms) for q in c)):
        known = [other[0] for other in kept if other != clause and len(other) == 1]
        if any(follows(q, known) for q in clause):
            kept.remove(clause)
    return kept


def least_where(condition: Condition, amounts: Sequence[Any]) -> list[Any]:
    """Return the amounts without those that are proved no less than another where a condition holds.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> print(*least_where(Condition(((d - n,),)), [n * n * d, n * d * d]))
    d*n**2
    """
    known = [clause[0] for clause in condition.clauses if len(clause) == 1]

    def wins(one: Any, other: Any) -> bool:
        if below(one, other):
            return True
        return isinstance(one, Polynomial) and follows(simplified(other - one), known)

    kept: list[Any] = []
    for amount in amounts:
        if not any(wins(other, amount) for other in kept):
            kept = [other for other in kept if not wins(amount, other)] + [amount]
    return kept
