"""Which labels of a contraction to slice so that it keeps to a memory limit.

A contraction is sliced (`plan.slicing`) only as far as the limit demands: no label is sliced without
which the same tree fits.  With FLOPs first, the order with the fewest FLOPs is taken among all that fit,
sliced or not; with memory first, slices are looked for only if no unsliced order fits, and then those with
the fewest FLOPs.  (Without this rule, less memory would be bought at any price.)

*Numbers, small networks*: the exact search of `plan.slice_search`.

*Symbols, small networks*: all sets of labels, smaller ones first, each with its frontier (`plan.exact`).
Where the whole frontier without limit is proved to fit, larger sets are left out, because more slices never
cost less.  Exact, among orders that are proved to fit.

*Larger networks*, or when a budget is used up: the greedy search of `plan.slice_search`.  Symbolic networks
count FLOPs at sample sizes for either search, and slice until the memory is proved to fit at all sizes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from tensoralg.plan.exact import Frontier, add_order, beats, frontier
from tensoralg.plan.polynomial import Height, below, sample_sizes
from tensoralg.plan.search import EXACT_NUMBERS, EXACT_SYMBOLS
from tensoralg.plan.slice_search import (
    JOINS,
    best_first,
    carried_labels,
    greedily,
    needed_only,
    searched_slices,
    starting_trees,
)
from tensoralg.plan.slicing import Sliced, SlicedNetwork, price, unsliced
from tensoralg.plan.tree import Network, Priced, written

SETS = 64
COMPARISONS = 20_000
POINTS = 8


def keep_to_limit(
    network: Network,
    names: Sequence[str],
    minimize: str,
    limit: Height,
    found: Frontier,
    seconds: float | None = None,
    seed: int = 0,
) -> Frontier:
    """Return the best orders of a contraction that keep to a memory limit, sliced where that is needed.

    Parameters
    ----------
    network : Network
        The contraction; its output keeps to the limit.
    names : sequence of str
        The sizes that are symbols.
    minimize : "flops", "largest" or "peak"
        What comes first.
    limit : int or Maximum
        What the largest intermediate may have.
    found : Frontier
        The unsliced orders that keep to the limit.
    seconds : float, optional
        Time for searching large networks.
    seed : int
        Seed of that search.
    """
    if network.count < 2 or (found.orders and minimize != "flops"):
        return found
    if isinstance(network.one, int):
        assert isinstance(limit, int)
        sliced, exact = _at_numbers(network, limit, seconds, seed)
        orders = [*found.orders]
        if sliced is not None:
            add_order(orders, sliced, _fewer_flops)
        return Frontier(tuple(orders), exact and (found.exact or not found.orders))
    sliced_too, exact = _at_symbols(network, limit)
    if not exact:
        sliced_too += _at_samples(network, names, limit, [*found.orders, *sliced_too], seconds, seed)
    orders = []
    for order in [*found.orders, *sliced_too]:
        add_order(orders, order, beats("flops"))
    return Frontier(tuple(orders), exact and (found.exact or not found.orders))


def least_largest(network: Network) -> Priced:
    """Return the price of an order with the least possible largest intermediate: every label is sliced.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> from tensoralg.plan.graph import Graph
    >>> O = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
    >>> print(least_largest(Graph(blocks(O)[0]).rooms[0].network).largest)
    d*n
    """
    labels = carried_labels(network) if network.count > 1 else []
    return price(network, Sliced(written(network.count), tuple(labels)))


def _fewer_flops(one: Priced, other: Priced) -> bool:
    return bool(one.flops <= other.flops)  # type: ignore[operator]


def _at_numbers(network: Network, limit: int, seconds: float | None, seed: int) -> tuple[Priced | None, bool]:
    """Return the cheapest sliced order (None: no order needs slices), and whether that is proved."""
    best: Sliced | None = None
    if network.count <= EXACT_NUMBERS:
        best, exact = best_first(network, limit)
        if exact:
            return _with_ties(network, limit, best), True
    tried = [best] if best is not None else []
    tried += searched_slices(network, limit, [best.tree] if best is not None else [], seconds, seed)
    prices = [price(network, order) for order in tried]
    return min(prices, key=lambda order: (order.flops, order.largest, order.peak), default=None), False


def _with_ties(network: Network, limit: int, best: Sliced | None) -> Priced | None:
    """Return the best order with ties decided by memory, None if nothing is sliced."""
    if best is None or not best.labels:
        return None
    slices = SlicedNetwork(network, best.labels)
    found = [slices.finished(order) for order in frontier(slices, "flops", limit).orders]
    irredundant = [order for order in found if needed_only(network, limit, order.tree) == order.tree]
    return min(irredundant or [price(network, best)], key=lambda order: (order.flops, order.largest, order.peak))


def _at_symbols(network: Network, limit: Height) -> tuple[list[Priced], bool]:
    """Return the undominated sliced orders that are proved to fit, and whether these are all."""
    found: list[Priced] = []
    if network.count > EXACT_SYMBOLS:
        return found, False
    labels = carried_labels(network)
    closed: list[int] = []
    spent = 0
    for size in range(len(labels) + 1):
        open_sets = [
            (chosen, mask)
            for chosen in combinations(labels, size)
            if not any(mask & known == known for mask in [_mask(chosen)] for known in closed)
            for mask in [_mask(chosen)]
        ]
        for chosen, mask in open_sets:
            spent += 1
            slices = SlicedNetwork(network, chosen)
            free = frontier(slices, "flops", None, COMPARISONS)
            if not free.exact or spent > SETS:
                return found, False
            if all(below(order.largest, limit) for order in free.orders):
                closed.append(mask)
                fitting = free
            else:
                fitting = frontier(slices, "flops", limit, COMPARISONS)
                if not fitting.exact:
                    return found, False
            if chosen:
                _collect(network, limit, slices, fitting.orders, found)
        if not open_sets:
            break
    return found, True


def _collect(
    network: Network, limit: Height, slices: SlicedNetwork, orders: Iterable[Priced], found: list[Priced]
) -> None:
    """Add orders to those found unless they fit with fewer slices, which are found on their own."""
    for order in map(slices.finished, orders):
        if needed_only(network, limit, order.tree) == order.tree:
            add_order(found, order, beats("flops"))


def _at_samples(
    network: Network, names: Sequence[str], limit: Height, known: Sequence[Priced], seconds: float | None, seed: int
) -> list[Priced]:
    """Return orders that are good at sample sizes, sliced until they are proved to fit."""
    stop = time.monotonic() + (seconds if seconds is not None else 1e9)
    trees = dict.fromkeys([unsliced(order.tree) for order in known] or [written(network.count)])
    found: list[Priced] = []
    for sizes in list(sample_sizes(names, seed, POINTS))[-POINTS:]:
        for order in [*(Sliced(tree, ()) for tree in trees), *_proposed(network, limit, sizes)]:
            sliced = greedily(network, limit, order.tree, sizes, order.labels)
            add_order(found, price(network, sliced), beats("flops"))
            if time.monotonic() > stop:
                return found
    return found


def _proposed(network: Network, limit: Height, sizes: Mapping[str, int]) -> list[Sliced]:
    """Return orders, some sliced, that are good at the sizes of a sample."""
    if network.count > EXACT_NUMBERS:
        return [Sliced(tree, ()) for tree in starting_trees(network.at(sizes), None, 0)]
    best, _ = best_first(network, limit, sizes, JOINS // POINTS)
    return [best] if best is not None else []


def _mask(labels: Iterable[int]) -> int:
    return sum(1 << label for label in labels)
