"""Exact orders of one contraction: a Pareto dynamic program over subsets of operands.

For every subset of the operands the *frontier* holds the orders of that subset that no other order of
it is proved to beat.  A frontier is built from those of all splits of the subset in two.  Costs add
and memory is a maximum, so an order with a beaten part is beaten as a whole (the new part is no worse
everywhere), and nothing that is optimal somewhere is lost.  Outer products are not excluded.

Orders are compared for all sizes >= `least`, 2 unless told otherwise.  A dimension that is 1 makes a sum
trivial, and there the count of two operations for each multiplication and addition lets an outer product
(one) undercut it: at ``n = d = 1`` attention would be 3 instead of 4, and almost every plan would show such
a regime.  With `least = 1` they are all kept; or give such a dimension as a number.

With numbers the program is the classical one: the least FLOPs of every subset first, and only then the
orders that have them.  With symbols
frontiers can be as large as there are orders (a chain of distinct matrices), so the work is bounded:
past `budget` comparisons of orders the program gives up, and orders are searched (`plan.search`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from tensoralg.plan.polynomial import LEAST, Amount, Height, below
from tensoralg.plan.tree import Network, Priced

Beats: TypeAlias = "Callable[[Priced, Priced], bool]"

MINIMIZE = ("flops", "largest", "peak")
BUDGET = 100_000


@dataclass(frozen=True)
class Frontier:
    """The orders that no other is proved to beat; `exact` says whether all orders were looked at."""

    orders: tuple[Priced, ...]
    exact: bool


def beats(minimize: str, least: int = LEAST) -> Beats:
    """Return the test that one order is proved no worse than another, for good as part of a larger one.

    FLOPs add up, so fewer FLOPs decide at once; memory is a maximum, so that a part with less memory may
    make no difference to the whole, and a part must then be no worse in everything.
    """

    def flops_first(one: Priced, other: Priced) -> bool:
        if one.flops != other.flops:
            return below(one.flops, other.flops, least)
        # an incomparable peak, the last of three ties, does not keep two orders alive
        peak = below(one.peak, other.peak, least) or not below(other.peak, one.peak, least)
        return below(one.largest, other.largest, least) and peak

    def memory_first(one: Priced, other: Priced) -> bool:
        mine, theirs = getattr(one, minimize), getattr(other, minimize)
        return below(mine, theirs, least) and flops_first(one, other)

    return flops_first if minimize == "flops" else memory_first


def add_order(orders: list[Priced], new: Priced, wins: Beats) -> None:
    """Add an order to a frontier, in place, unless it is beaten; drop those that it beats."""
    if not any(wins(kept, new) for kept in orders):
        orders[:] = [kept for kept in orders if not wins(new, kept)]
        orders.append(new)


def frontier(
    network: Network,
    minimize: str = "flops",
    limit: Height | None = None,
    budget: int = BUDGET,
    given: Mapping[int, Priced] | None = None,
    least: int = LEAST,
) -> Frontier:
    """Return the undominated orders of a contraction.

    Parameters
    ----------
    network : Network
        The contraction.
    minimize : "flops", "largest" or "peak"
        What comes first; ties by the other two.
    limit : int or Maximum, optional
        Orders whose largest intermediate is not proved to fit are left out.
    budget : int
        Comparisons of orders after which the program gives up; numbers have no limit.
    given : mapping of int to Priced, optional
        Subsets of the operands (bit masks) whose result is at hand: the order that stands for each,
        in the place of all orders that would compute it.
    least : int
        The least size for which orders are compared.
    """
    given = given or {}
    if network.count == 0:
        return Frontier((network.price(()),), True)
    wins = beats(minimize, least)

    def fits(order: Priced) -> bool:
        return limit is None or below(order.largest, limit)

    table: dict[int, list[Priced]] = {mask: [order] if fits(order) else [] for mask, order in given.items()}
    for position in range(network.count):
        if 1 << position not in table:
            leaf = network.leaf(position)
            table[1 << position] = [leaf] if fits(leaf) else []
    if minimize == "flops" and isinstance(network.one, int):
        return Frontier(tuple(_Numbers(network, table, limit, wins).orders(network.everything)), True)
    spent = 0
    for subset in _subsets(network.count):
        if subset in table:
            continue
        orders: list[Priced] = []
        for left, right in _splits(subset):
            for first, second in product(table[left], table[right]):
                if minimize == "flops" and _outdone(orders, first, second, network.step(left, right)[0], least):
                    spent += 1 + len(orders)
                    continue
                for order in _both_ways(network, left, first, right, second):
                    spent += 1 + len(orders)
                    if fits(order):
                        add_order(orders, order, wins)
            if spent > budget and not isinstance(network.one, int):
                return Frontier((), False)
        table[subset] = orders
    return Frontier(tuple(table[network.everything]), True)


def _outdone(orders: Sequence[Priced], first: Priced, second: Priced, flops: Amount, least: int) -> bool:
    """Whether fewer FLOPs than those of a join are proved of some order, before the join is priced."""
    total = first.flops + second.flops + flops
    return any(kept.flops != total and below(kept.flops, total, least) for kept in orders)


class _Numbers:
    """The classical program for numbers: the least FLOPs of all subsets, then the orders that have them."""

    def __init__(self, network: Network, table: dict[int, list[Priced]], limit: Height | None, wins: Beats) -> None:
        self.network, self.table, self.wins = network, table, wins
        self.limit = limit
        self.masks = any(network.masked)
        self.kept = [network.kept(subset) for subset in range(1 << network.count)]
        # None: no order fits
        self.least: list[Any] = [None] * (1 << network.count)
        for subset, known in table.items():
            self.least[subset] = known[0].flops if known else None
        for subset in _subsets(network.count):
            if subset not in table and self._fits(subset):
                self.least[subset] = min((flops for flops, _, _ in self._ways(subset)), default=None)

    def _fits(self, subset: int) -> bool:
        return self.limit is None or below(self.network.volume(self.kept[subset]), self.limit)

    def _ways(self, subset: int) -> Iterator[tuple[Any, int, int]]:
        """Yield the splits of a subset with the least FLOPs that they allow."""
        kept, least, volume = self.kept, self.least, self.network.volume
        for left, right in _splits(subset):
            before, beside = least[left], least[right]
            if before is not None and beside is not None:
                union = kept[left] | kept[right]
                if kept[subset] != union:
                    work = 2 * volume(union)
                else:
                    work = self.network.step(left, right)[0] if self.masks else volume(union)
                yield before + beside + work, left, right

    def orders(self, subset: int) -> list[Priced]:
        """Return the undominated orders of a subset among those with the least FLOPs."""
        if subset not in self.table:
            found: list[Priced] = []
            for flops, left, right in self._ways(subset) if self._fits(subset) else ():
                if flops == self.least[subset]:
                    for first, second in product(self.orders(left), self.orders(right)):
                        for order in _both_ways(self.network, left, first, right, second):
                            add_order(found, order, self.wins)
            self.table[subset] = found
        return self.table[subset]


def _both_ways(network: Network, left: int, first: Priced, right: int, second: Priced) -> Iterator[Priced]:
    """Yield a join evaluated left part first and right part first, which differ in their peak only."""
    one = network.join(left, first, right, second)
    yield one
    if left & (left - 1) or right & (right - 1):
        other = network.join(right, second, left, first)
        if other.peak != one.peak:
            yield other


def _subsets(count: int) -> Iterator[int]:
    """Yield the subsets of at least two operands; every subset comes after its own."""
    return (subset for subset in range(3, 1 << count) if subset & (subset - 1))


def _splits(subset: int) -> Iterator[tuple[int, int]]:
    """Yield the splits of a subset into two parts, the first of which holds its lowest operand."""
    lowest = subset & -subset
    rest = subset ^ lowest
    part = rest
    while part:
        part = (part - 1) & rest
        yield lowest | part, rest ^ part
