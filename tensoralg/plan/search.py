"""Searched orders, for networks that are too large for the exact program over symbols.

At given sizes, and for symbols at sample sizes, orders are proposed: by the exact program with numbers
where the network is small enough for that, else by opt_einsum's optimisers.  Its own cost of a pair
forgets which other operands still hold a label, so that cost is never used: every order is priced by
`plan.tree`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tensoralg.plan.exact import Frontier, add_order, beats, frontier
from tensoralg.plan.polynomial import Height, below, sample_sizes, value_at
from tensoralg.plan.tree import Network, Tree, from_path, written

EXACT_NUMBERS = 10
EXACT_SYMBOLS = 10
EXACT_SAMPLES = 8
DYNAMIC = 24
POINTS = 24


def searched(
    network: Network,
    names: Sequence[str],
    minimize: str,
    limit: Height | None = None,
    seconds: float | None = None,
    seed: int = 0,
) -> Frontier:
    """Return the best orders found, of symbolic networks those found at sample sizes; never `exact`."""
    stop = time.monotonic() + (seconds if seconds is not None else 1e9)
    wins = beats(minimize)
    found = [network.price(written(network.count))]
    points = [{}] if isinstance(network.one, int) else list(sample_sizes(names, seed, POINTS))[-POINTS:]
    for sizes in points:
        if time.monotonic() > stop:
            break
        level = value_at(limit, sizes) if limit is not None else None
        for tree in proposals(network.at(sizes), minimize, level, seed):
            add_order(found, network.price(tree), wins)
            if time.monotonic() > stop:
                break
    kept = [order for order in found if limit is None or below(order.largest, limit)]
    return Frontier(tuple(kept), False)


def proposals(network: Network, minimize: str, limit: Height | None, seed: int) -> Iterator[Tree]:
    """Yield orders of a network whose sizes are numbers, the quickest found first."""
    if network.count <= EXACT_SAMPLES:
        yield from (order.tree for order in frontier(network, minimize, limit).orders)
        return
    import opt_einsum

    inputs = [_letters(network.kept(1 << p)) for p in range(network.count)]
    output = _letters(network.kept(network.everything))
    lengths = dict(enumerate(network.sizes))
    searches: list[Any] = [opt_einsum.paths.greedy]
    if network.count <= DYNAMIC:
        searches.append(opt_einsum.DynamicProgramming(minimize="flops" if minimize == "flops" else "size"))
    random_greedy = opt_einsum.RandomGreedy(max_repeats=128, minimize="flops" if minimize == "flops" else "size")
    random_greedy._repeats_start = 128 * seed
    searches.append(random_greedy)
    for search in searches:
        state = random.getstate()  # opt_einsum seeds the global generator
        path = search(inputs, output, lengths, None)
        random.setstate(state)
        yield from_path(path, network.count)


def _letters(labels: int) -> frozenset[int]:
    return frozenset(label for label in range(labels.bit_length()) if labels >> label & 1)
