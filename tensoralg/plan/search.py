"""Searched orders, for networks that are too large for the exact program over symbols.

At given sizes orders come from a program over all subsets where the network is small enough
(`plan.subtrees`, `plan.bounded`), else from a portfolio of searches (`plan.portfolio`); for symbols the
portfolio searches at sample sizes.  Whatever proposes an order, `plan.tree` prices it, exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tensoralg.plan.conditions import priorities
from tensoralg.plan.descent import arranged, descended
from tensoralg.plan.exact import Frontier, add_order, beats, frontier
from tensoralg.plan.hypergraph import Hypergraph
from tensoralg.plan.optimizers import search
from tensoralg.plan.polynomial import Height, below, sample_sizes, value_at
from tensoralg.plan.portfolio import MOVES, Effort, rounds_of
from tensoralg.plan.tree import Network, Priced, Tree, written
from tensoralg.show.progress import progress

EXACT_NUMBERS = 10
EXACT_SYMBOLS = 10
EXACT_SAMPLES = 8
POINTS = 24
DESCENDED = 150
SHOWN_FROM = 2.0
"""Seconds from which a bar shows the progress of a search."""


def searched(
    network: Network,
    names: Sequence[str],
    minimize: str,
    limit: Height | None = None,
    seconds: float | None = None,
    seed: int = 0,
) -> Frontier:
    """Return the best orders found.

    Parameters
    ----------
    network : Network
        The contraction, with sizes that are numbers or polynomials.
    names : sequence of str
        The symbols in the sizes.
    minimize : "flops", "largest" or "peak"
        What comes first.
    limit : int or Maximum, optional
        Orders whose largest intermediate is not proved to fit are left out.
    seconds : float, optional
        The time to use.  How far the search gets in it depends on the machine; without it the amount of
        work is fixed, and the same seed gives the same orders.
    seed : int
        The seed of the search.

    Returns
    -------
    Frontier
        `exact` only where the sizes are numbers and the best FLOPs are proved.
    """
    begun = time.monotonic()
    numeric = isinstance(network.one, int)
    by_memory = numeric and minimize != "flops" and EXACT_SAMPLES < network.count <= DESCENDED
    last = None if seconds is None else begun + 0.95 * seconds
    stop = None if seconds is None else begun + (0.8 if by_memory else 0.95) * seconds
    points = [{}] if numeric else list(sample_sizes(names, seed, POINTS))[-POINTS:]
    found, exact = [arranged(network, written(network.count))], False
    moves = MOVES if numeric else MOVES // (4 * POINTS)
    steps = rounds_of(network.count, Effort(moves, stop, begun)) + by_memory if numeric else POINTS
    with progress(steps, enabled=seconds is not None and seconds >= SHOWN_FROM) as begin:
        for number, sizes in enumerate(points):
            now = time.monotonic()
            if stop is not None and now > stop:
                break
            if not numeric:
                begin(f"searching at sample {number + 1}")
            level = value_at(limit, sizes) if limit is not None else None
            until = None if stop is None else now + (stop - now) / (len(points) - number)
            effort = Effort(moves, until, now)
            trees, exact = _trees(network.at(sizes), minimize, level, seed, effort, begin if numeric else _silent)
            for tree in trees:
                add_order(found, arranged(network, tree), beats(minimize))
        if by_memory:
            begin("improving the memory")
            start = min(found, key=lambda order: _rank(order, minimize, limit))
            better = descended(network, start.tree, lambda order: _rank(order, minimize, limit), stop=last)
            add_order(found, better, beats(minimize))
    kept = [order for order in found if limit is None or below(order.largest, limit)]
    return Frontier(tuple(kept), numeric and exact)


def _trees(
    network: Network, minimize: str, limit: int | None, seed: int, effort: Effort, begin: Callable[[str], None]
) -> tuple[list[Tree], bool]:
    """Return orders of a network whose sizes are numbers, and whether the first has the least FLOPs for certain."""
    if network.count <= EXACT_SAMPLES:
        return [order.tree for order in frontier(network, minimize, limit).orders], True
    found, exact = search(Hypergraph.of_network(network), minimize, limit, seed, effort, begin)
    # a step that only applies a 0/1 operand is free of FLOPs, which the search does not know
    return [tree.tree() for tree in found], exact and not any(network.masked)


def _rank(order: Priced, minimize: str, limit: Any) -> tuple[Any, ...]:
    """Return what orders are sorted by where sizes are numbers: those over the limit come last."""
    return (limit is not None and order.largest > limit, *(getattr(order, key) for key in priorities(minimize)))


def _silent(description: str) -> None:
    """Draw nothing."""
