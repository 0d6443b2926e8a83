"""Which order is best where: the lower envelope of the prices of orders, from the polynomials exactly.

The contractions of a graph are independent, so the price of a choice of orders is the sum (for memory,
the maximum) of their prices, and the choices that are not proved beaten are found one contraction at a
time.  The region of a choice is where it is no worse than every other; it is written as inequalities
``q >= 0``, simplified in three ways that keep the regions a cover of all sizes >= 1:

* factors of q that are proved >= 0 are divided out (where such a factor is 0 the two choices tie);
* an inequality that the shift test proves from the others is dropped;
* a choice is dropped when the others are proved to be no worse everywhere between them.

A choice that is best at some sizes shows them as its `witness`; one for which neither a witness nor a
proof of emptiness was found stays, without a witness: its region may be empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from itertools import combinations, product
from typing import Any, TypeAlias

import sympy

from tensoralg.plan.exact import Frontier, add_order, beats
from tensoralg.plan.graph import Graph, both
from tensoralg.plan.polynomial import (
    LEAST,
    Height,
    Maximum,
    Polynomial,
    Rational,
    below,
    primitive,
    sample_sizes,
    some_below,
    value_at,
)
from tensoralg.plan.steps import Step
from tensoralg.plan.tree import Priced

Clause: TypeAlias = "tuple[Polynomial, ...]"
CHOICES = 400
FACTORED = 4
CLIMBS = 30
STARTS = 60
ROUNDS = 12
REDUCED = 24


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

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether the sizes satisfy it."""
        return all(any(q.value(sizes) >= 0 for q in clause) for clause in self.clauses)

    def sympy(self) -> Any:
        """Return the condition as a sympy formula."""
        return sympy.And(*(sympy.Or(*(relation(q) for q in clause)) for clause in self.clauses))


def relation(q: Polynomial) -> Any:
    """Return ``q >= 0`` as a sympy relation with every term on the side where it is positive."""
    small = Polynomial({m: -c for m, c in q.terms.items() if c < 0})
    large = Polynomial({m: c for m, c in q.terms.items() if c > 0})
    return sympy.Le(small.sympy(), large.sympy())


@dataclass(frozen=True)
class Regime:
    """The sizes at which one choice of orders is best, and that choice.

    Attributes
    ----------
    where : sympy formula
        Inequalities in the sizes.
    flops, largest, peak, pointwise : sympy expression
        Its prices: FLOPs, elements of the largest intermediate, elements alive at once, pointwise operations.
    path : list of tuple of int, or None
        opt_einsum's path over the tensors of the expression; None if it is not one product.
    tree : nested tuples
        The order, by names.
    witness : dict or None
        Sizes at which it is best; None when none was found, so that it may be best nowhere.
    steps : tuple of Step
        The order as a sequence of array operations, one line of Python each (see `plan.steps`).
    """

    condition: Condition
    price: Priced
    path: list[tuple[int, ...]] | None
    tree: Any
    witness: Mapping[str, int] | None = field(default=None)
    write: Callable[[], tuple[Step, ...]] = field(default=tuple, compare=False, repr=False)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The order as a sequence of array operations."""
        return self.write()

    @property
    def where(self) -> Any:
        """The condition on the sizes, a sympy formula."""
        return self.condition.sympy()

    @property
    def flops(self) -> Any:
        """The FLOPs, a sympy expression."""
        return symbolic(self.price.flops)

    @property
    def pointwise(self) -> Any:
        """The pointwise operations, a sympy expression."""
        return symbolic(self.price.pointwise)

    @property
    def largest(self) -> Any:
        """The elements of the largest intermediate, a sympy expression."""
        return symbolic(self.price.largest)

    @property
    def peak(self) -> Any:
        """The most elements alive at once, a sympy expression."""
        return symbolic(self.price.peak)

    @property
    def may_be_empty(self) -> bool:
        """Whether no sizes are known at which it is best."""
        return self.witness is None


def symbolic(amount: Any) -> Any:
    """Return a number, a polynomial or a maximum as a sympy expression."""
    return amount.sympy() if isinstance(amount, Polynomial | Maximum) else sympy.Integer(amount)


def priorities(minimize: str) -> tuple[str, ...]:
    """Return what is compared, in order."""
    return (minimize, *(key for key in ("flops", "largest", "peak") if key != minimize))


def choices(graph: Graph, frontiers: Sequence[Frontier], minimize: str, limit: Height | None) -> Frontier:
    """Return the choices of one order for each contraction that are not proved beaten."""
    exact = all(frontier.exact for frontier in frontiers)
    wins = beats(minimize)
    found = [graph.fixed] if limit is None or below(graph.fixed.largest, limit) else []
    for room, frontier in zip(graph.rooms, frontiers, strict=True):
        extended: list[Priced] = []
        for chosen, order in product(found, [room.place(order) for order in frontier.orders]):
            if limit is None or below(order.largest, limit):
                add_order(extended, both(chosen, order), wins)
        exact = exact and len(extended) <= CHOICES
        found = extended[:CHOICES]
    return Frontier(tuple(_no_later_ties(found, priorities(minimize))), exact)


def _no_later_ties(orders: Sequence[Priced], keys: tuple[str, ...]) -> list[Priced]:
    """Drop the choices that are proved no better than another, compared key by key."""

    def wins(one: Priced, other: Priced) -> bool:
        for key in keys:
            mine, theirs = getattr(one, key), getattr(other, key)
            if mine != theirs:
                return below(mine, theirs, LEAST)
        return True

    kept: list[Priced] = []
    for order in orders:
        add_order(kept, order, wins)
    return kept


def cover(names: Sequence[str], found: Sequence[Priced], minimize: str, seed: int = 0) -> list[tuple[Priced, Any]]:
    """Return the choices that are best somewhere (as far as is decided), each with a witness or None."""
    keys = priorities(minimize)
    alone: dict[int, dict[str, int]] = {}
    tied: dict[int, dict[str, int]] = {}
    for sizes in sample_sizes(names, seed):
        if len(alone) == len(found):
            break
        best = best_at(found, keys, sizes)
        (alone if len(best) == 1 else tied).setdefault(best[0], sizes)
    kept = list(range(len(found)))
    starts = list(sample_sizes(names, seed, STARTS))[-STARTS:]
    for position in [p for p in kept if p not in alone][:CLIMBS]:
        seen = _climb(position, [getattr(price, minimize) for price in found], starts)
        if seen is not None:
            alone[position] = seen
    for position in [p for p in kept if p not in alone] if len(kept) <= REDUCED else ():
        others = [found[p] for p in kept if p != position]
        if _beaten_between(found[position], others, keys):
            kept.remove(position)
    return [(found[p], alone.get(p, tied.get(p))) for p in kept]


def _climb(position: int, amounts: Sequence[Any], starts: Sequence[Mapping[str, int]]) -> dict[str, int] | None:
    """Look for sizes at which a choice is best alone, changing one size after another for the better."""

    def lead(sizes: Any) -> Fraction:
        values = [value_at(amount, sizes) for amount in amounts]
        mine = values.pop(position)
        return Fraction(min(values), mine) if mine else Fraction(0)

    sizes = dict(max(starts, key=lead))
    best = lead(sizes)
    for _ in range(ROUNDS):
        improved = False
        for name, size in list(sizes.items()):
            for changed in (size * 2, size * 9 // 8 + 1, size * 8 // 9, size // 2):
                trial = {**sizes, name: max(LEAST, changed)}
                if (ahead := lead(trial)) > best:
                    sizes, best, improved = trial, ahead, True
        if best > 1 or not improved:
            break
    return sizes if best > 1 else None


def _beaten_between(one: Priced, others: Sequence[Priced], keys: Sequence[str]) -> bool:
    """Whether it is proved that at all sizes >= 2 some of the others is no worse."""
    mine = getattr(one, keys[0])
    if isinstance(mine, Polynomial) and some_below([getattr(other, keys[0]) for other in others], mine, LEAST):
        return True
    # where such a polynomial is <= 0, the other choice is no worse
    gains = [clause[0] for other in others for clause in _no_worse(one, other, keys) if len(clause) == 1]
    zero = Polynomial({})
    return any(
        _scaled_below(left.shifted(LEAST), (zero - right).shifted(LEAST)) for left, right in combinations(gains, 2)
    )


def best_at(found: Sequence[Priced], keys: Sequence[str], sizes: Mapping[str, int]) -> list[int]:
    """Return the positions of the choices that are best at the given sizes."""
    tied = list(range(len(found)))
    for key in keys:
        if len(tied) > 1:
            values = {position: value_at(getattr(found[position], key), sizes) for position in tied}
            least = min(values.values())
            tied = [position for position in tied if values[position] == least]
    return tied


def conditions(found: Sequence[Priced], minimize: str) -> list[Condition]:
    """Return, for each choice, where it is no worse than every other."""
    keys = priorities(minimize)
    return [
        Condition(tuple(_reduce(c for other in found if other is not one for c in _no_worse(one, other, keys))))
        for one in found
    ]


def _no_worse(one: Priced, other: Priced, keys: Sequence[str]) -> Iterator[Clause]:
    """Yield the clauses that say that one choice is no worse than another by the first key that differs."""
    for key in keys:
        mine, theirs = getattr(one, key), getattr(other, key)
        if mine != theirs:
            for low in _members(mine):
                gaps = (simplified(high - low) for high in _members(theirs) if not high.strictly_below(low))
                yield tuple(dict.fromkeys(gaps))
            return


def _members(amount: Any) -> list[Polynomial]:
    return [amount] if isinstance(amount, Polynomial) else sorted(amount.members, key=str)


@cache
def simplified(q: Polynomial) -> Polynomial:
    """Return a polynomial with the same sign at all sizes >= 1, up to where a factor >= 0 vanishes.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> print(simplified(d * d * d - n * n * d))
    d - n
    """
    q = primitive(q)
    if not 0 < len(q.names) <= FACTORED:
        return q
    sign, factors = sympy.factor_list(q.sympy())
    zero = Polynomial({})
    result = Polynomial.constant(1 if sign > 0 else -1)
    for factor, power in factors:
        part = Polynomial.of(factor)
        if part.below(zero):
            result = result * (-1) ** int(power)
        elif not zero.below(part) and power % 2:
            result = result * part
    return result


def _reduce(clauses: Iterable[Clause]) -> list[Clause]:
    """Drop clauses that are always true, or that follow from one or two of the others."""
    zero = Polynomial({})
    kept = [c for c in dict.fromkeys(clauses) if not any(zero.below(q) for q in c)]
    for clause in list(kept) if len(kept) <= REDUCED else ():
        known = [c[0] for c in kept if c != clause and len(c) == 1]
        if any(_follows(q, known) for q in clause):
            kept.remove(clause)
    return kept


def _follows(q: Polynomial, known: Sequence[Polynomial]) -> bool:
    """Whether ``q >= 0`` is proved from ``k >= 0`` for one k, or the sum of two, up to a positive factor."""
    return any(_multiple_below(k, q) for k in known) or (
        len(known) < 8 and any(_multiple_below(one + other, q) for one, other in combinations(known, 2))
    )


def _multiple_below(one: Polynomial, bound: Polynomial) -> bool:
    """Whether the shift test proves ``s m one <= bound`` for some number s > 0 and m = 1 or (few sizes) one size."""
    if _scaled_below(one.shifted(), bound.shifted()):
        return True
    factors = [Polynomial.symbol(name) for name in bound.names if len(bound.names) <= FACTORED]
    return any(_scaled_below((one * factor).shifted(), bound.shifted()) for factor in factors)


def _scaled_below(a: Mapping[Any, Rational], b: Mapping[Any, Rational]) -> bool:
    """Whether ``s a <= b`` coefficient by coefficient for some s > 0."""
    if any(c > 0 and b.get(m, 0) <= 0 for m, c in a.items()) or any(c < 0 and a.get(m, 0) >= 0 for m, c in b.items()):
        return False
    high = min((Fraction(b[m]) / c for m, c in a.items() if c > 0), default=None)
    low = max((Fraction(c) / a[m] for m, c in b.items() if c < 0), default=Fraction(0))
    return high is None or low <= high
