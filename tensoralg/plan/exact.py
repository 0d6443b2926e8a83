"""Exact orders of one contraction: a Pareto dynamic program over subsets of operands.

For every subset of the operands the *frontier* holds the orders of that subset that no other order of
it is proved to beat.  A frontier is built from those of all splits of the subset in two.  Costs add
and memory is a maximum, so an order with a beaten part is beaten as a whole (the new part is no worse
everywhere), and nothing that is optimal somewhere is lost.  Outer products are not excluded.

Orders are compared for all sizes >= `least`, 2 unless told otherwise.  A dimension that is 1 makes a sum
trivial, and there the count of two operations for each multiplication and addition lets an outer product
(one) undercut it: at ``n = d = 1`` attention would be 3 instead of 4, and almost every plan would show such
a regime.  With `least = 1` they are all kept; or give such a dimension as a number.

With numbers the program is the classical one and the frontier of FLOPs is one order.  With symbols
frontiers can be as large as there are orders (a chain of distinct matrices), so the work is bounded:
past `budget` comparisons of orders the program gives up, and orders are searched (`plan.search`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from tensoralg.plan.polynomial import LEAST, Height, below
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

    table: dict[int, list[Priced]] = {}
    for position in range(network.count):
        leaf = given.get(1 << position) or network.leaf(position)
        table[1 << position] = [leaf] if fits(leaf) else []
    spent = 0
    for subset in _subsets(network.count):
        if subset in given:
            table[subset] = [given[subset]] if fits(given[subset]) else []
            continue
        orders: list[Priced] = []
        for left, right in _splits(subset):
            for first, second in product(table[left], table[right]):
                for order in _both_ways(network, left, first, right, second):
                    spent += 1 + len(orders)
                    if fits(order):
                        add_order(orders, order, wins)
                if spent > budget and not isinstance(network.one, int):
                    return Frontier((), False)
        table[subset] = orders
    return Frontier(tuple(table[network.everything]), True)


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
