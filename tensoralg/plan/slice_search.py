"""Searches for labels to slice and a tree, so that a contraction keeps to a memory limit.

*Best first*, exact for small networks: more slices never cost less (`plan.slicing`), so the FLOPs of the
cheapest tree of a set of labels, fitting or not, are a lower bound for all sets that contain it.  Sets are
taken in the order of this bound (Dechter & Pearl, J. ACM 32, 1985), each with a dynamic program over trees
with the limit and one without; the search ends when the next bound is no less than the best that fits.

*Greedy*, for larger networks: from good trees, labels are sliced one by one that save the most memory for
the least growth of the FLOPs (in logarithms, counted over the results that do not fit), and after each the
tree is improved by the dynamic program on its small parts (Gray & Kourtis, Quantum 5, 410 (2021); Huang et
al., arXiv 2005.06787); then some labels are replaced, as long as this helps.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import log
from typing import Any

from tensoralg.plan.polynomial import Height, below, height, value_at
from tensoralg.plan.search import searched
from tensoralg.plan.slicing import Sliced, SlicedNetwork, price
from tensoralg.plan.tree import Network, Tree

JOINS = 1_000_000
PART = 6
STARTS = 4
REPAIRS = 12
OPERANDS = 100
CHANCE = 0.1
TINY = 1e-9


def searched_slices(
    network: Network, limit: int, trees: Sequence[Tree], seconds: float | None, seed: int
) -> Iterator[Sliced]:
    """Yield orders that keep to the limit: greedy ones, each repaired as long as this lowers the FLOPs.

    A repair takes some labels back and slices others greedily, with chance, in the tree improved so far.
    """
    stop = time.monotonic() + (seconds if seconds is not None else 1e9)
    rng = random.Random(seed)
    each = seconds / STARTS if seconds is not None else None
    for attempt in range(max(1, min(STARTS, OPERANDS // network.count)) if seconds is None else STARTS):
        for tree in [*trees, *starting_trees(network, each, seed + attempt)] if attempt or not trees else trees:
            best = greedily(network, limit, tree, {})
            flops: Any = price(network, best).flops
            yield best
            for _ in range(max(3, min(REPAIRS, 6 * OPERANDS // network.count))):
                if time.monotonic() > stop:
                    return
                taken = rng.randint(1, max(1, len(best.labels)))
                chosen = rng.sample(best.labels, max(0, len(best.labels) - taken))
                order = greedily(network, limit, best.tree, {}, chosen, CHANCE, rng)
                again: Any = price(network, order).flops
                if again < flops:
                    best, flops = order, again
                    yield best


def starting_trees(network: Network, seconds: float | None, seed: int) -> list[Tree]:
    """Return trees that are good without a limit, by FLOPs and by memory; sizes are numbers."""
    each = seconds / 2 if seconds is not None else None
    orders = [o for key in ("flops", "largest") for o in searched(network, (), key, None, each, seed).orders]
    return list(dict.fromkeys(order.tree for order in orders))


def best_first(
    network: Network, limit: Height, sizes: Mapping[str, int] | None = None, budget: int = JOINS
) -> tuple[Sliced | None, bool]:
    """Return the order of fewest FLOPs that keeps to the limit, no more labels sliced than it needs.

    The second part of the result says whether it is proved to be the best; if not, `budget` joins of
    parts were tried.

    Parameters
    ----------
    network : Network
        The contraction; its output keeps to the limit.
    limit : int or Maximum
        What the largest intermediate may have.
    sizes : mapping of str to int, optional
        Where the network has symbols: the sizes at which FLOPs are counted (whether an order keeps to the
        limit is decided for all sizes).
    budget : int
        The joins that may be tried.
    """
    numbers = network.at(sizes) if sizes is not None else network
    labels = [x for x in carried_labels(network) if numbers.sizes[x] != 1]
    best: tuple[int, Sliced] | None = None
    spent = 0
    heap: list[tuple[int, Any, tuple[int, ...]]] = []

    def push(chosen: tuple[int, ...]) -> None:
        nonlocal spent
        slices = SlicedNetwork(numbers, chosen)
        spent += 3**network.count
        bound = cheapest(slices)
        assert bound is not None
        if best is None or bound[0] < best[0]:
            heappush(heap, (bound[0], slices.slices, chosen))

    push(())
    while heap:
        bound, _, chosen = heappop(heap)
        if best is not None and bound >= best[0]:
            break
        if spent > budget:
            return (best[1] if best else None), False
        fitting = cheapest(SlicedNetwork(numbers, chosen), limit, SlicedNetwork(network, chosen))
        if fitting is not None and (best is None or fitting[0] < best[0]):
            best = fitting[0], Sliced(fitting[1], chosen)
        if fitting is None or fitting[0] > bound:
            for label in labels[labels.index(chosen[-1]) + 1 if chosen else 0 :]:
                push((*chosen, label))
    return (needed_only(network, limit, best[1]) if best else None), True


def cheapest(
    slices: SlicedNetwork, limit: Height | None = None, room: SlicedNetwork | None = None, blocks: Sequence[int] = ()
) -> tuple[int, Tree] | None:
    """Return the fewest FLOPs and a tree that has them, None if no tree keeps to the limit.

    Parameters
    ----------
    slices : SlicedNetwork
        The network, its sizes numbers.
    limit : int or Maximum, optional
        What the largest intermediate may have.
    room : SlicedNetwork, optional
        The same network with the sizes by which the limit is kept, if these are others.
    blocks : sequence of int
        Sets of operands that are contracted already, over which the tree is taken (leaves are positions
        in this sequence); all operands if not given.
    """
    room = room or slices
    alone = 0
    if not blocks:
        blocks = [1 << position for position in range(slices.count)]
        for position in range(slices.count):
            leaf: Any = slices.leaf(position)
            alone += leaf.flops
            if limit is not None and not below(room.leaf(position).largest, limit):
                return None
    count = len(blocks)
    groups, costs, split = [0] * (1 << count), [0] * (1 << count), [0] * (1 << count)
    possible = [True] * (1 << count)
    for subset in range(1, 1 << count):
        lowest = subset & -subset
        groups[subset] = groups[subset ^ lowest] | blocks[lowest.bit_length() - 1]
        rest = subset ^ lowest
        if not rest:
            continue
        least, chosen = -1, 0
        if limit is None or below(height(room.result(groups[subset])), limit):
            part = rest
            while part:
                part = (part - 1) & rest
                left, right = lowest | part, rest ^ part
                cost = costs[left] + costs[right]
                if possible[left] and possible[right] and (least < 0 or cost < least):
                    cost += slices.step(groups[left], groups[right])[0]  # type: ignore[assignment]
                    if least < 0 or cost < least:
                        least, chosen = cost, left
        costs[subset], split[subset], possible[subset] = least, chosen, least >= 0
    everything = (1 << count) - 1

    def build(subset: int) -> Tree:
        if subset & (subset - 1):
            return (build(split[subset]), build(subset ^ split[subset]))
        return subset.bit_length() - 1

    return (costs[everything] + alone, build(everything)) if possible[everything] else None


def needed_only(network: Network, limit: Height, order: Sliced) -> Sliced:
    """Return the order with no label sliced without which it is still proved to keep to the limit."""
    labels = list(order.labels)
    for label in sorted(labels, key=lambda x: _size_key(network, x), reverse=True):
        fewer = [x for x in labels if x != label]
        if not too_wide(SlicedNetwork(network, fewer), order.tree, limit):
            labels = fewer
    return Sliced(order.tree, tuple(labels))


def _size_key(network: Network, label: int) -> tuple[int, int]:
    size = network.sizes[label]
    return (size, -label) if isinstance(size, int) else (0, -label)


def greedily(
    network: Network,
    limit: Height,
    tree: Tree,
    sizes: Mapping[str, int],
    chosen: Iterable[int] = (),
    chance: float = 0.0,
    rng: random.Random | None = None,
) -> Sliced:
    """Return a tree sliced label by label until it is proved to keep to the limit.

    Parameters
    ----------
    network : Network
        The contraction; its output keeps to the limit.
    limit : int or Maximum
        What the largest intermediate may have.
    tree : Tree
        The tree to begin with.  Where sizes are numbers it is improved after each slice.
    sizes : mapping of str to int
        The sizes at which labels are compared (nothing for numbers).
    chosen : iterable of int
        Labels that are sliced already.
    chance : float
        The weight of chance in the choice of labels (a temperature).
    rng : random.Random, optional
        The source of chance.
    """
    numbers = network if isinstance(network.one, int) else network.at(sizes)
    level = max(1, value_at(limit, sizes))
    labels = list(chosen)
    while True:
        here = SlicedNetwork(numbers, labels)
        if numbers is network:
            tree = improved(here, tree, level)
        wide = too_wide(SlicedNetwork(network, labels), tree, limit)
        if not wide:
            return needed_only(network, limit, Sliced(tree, tuple(sorted(labels))))
        labels.append(_next_label(here, tree, wide, level, chance, rng or random.Random(0)))


def _next_label(
    slices: SlicedNetwork, tree: Tree, wide: Sequence[int], level: int, chance: float, rng: random.Random
) -> int:
    """Return the label that saves the most of the excess over the limit for the least growth of the FLOPs.

    Both are counted in logarithms: the growth against the part of the excess that goes, with chance added
    as in simulated annealing (a Gumbel variate times a temperature draws from the Boltzmann distribution).
    """
    flops: Any = slices.price(tree).flops
    excess = {group: max(TINY, log(_integer(slices.result(group))) - log(level)) for group in wide}
    total = sum(excess.values())
    scores = []
    for label in sorted({x for group in wide for x in _labels(slices.kept(group) & ~slices.sliced)}):
        more: Any = SlicedNetwork(slices, [*slices.labels, label]).price(tree).flops
        size = log(_integer(slices.sizes[label]))
        saved = sum(min(size, excess[group]) for group in wide if slices.kept(group) >> label & 1)
        growth = max(0.0, log(more) - log(flops)) if flops else 0.0
        luck = chance * -log(-log(rng.random() or TINY)) if chance else 0.0
        scores.append((growth - saved / total - luck, label))
    return min(scores)[1]


def improved(slices: SlicedNetwork, tree: Tree, level: int) -> Tree:
    """Return a tree with fewer FLOPs: its parts of a few operands or subtrees are contracted in the best order.

    No part gets an intermediate larger than the limit, or than the largest that it has, whatever is more.
    """
    return _improve(slices, tree, level).tree


@dataclass(frozen=True)
class _Node:
    """A subtree with its operands, its own cost and the costs of all of it."""

    tree: Tree
    operands: int
    branches: tuple[_Node, ...]
    own: int
    largest: int

    @property
    def flops(self) -> int:
        return self.own + sum(branch.flops for branch in self.branches)


def _improve(slices: SlicedNetwork, tree: Tree, level: int) -> _Node:
    if isinstance(tree, int):
        return _Node(tree, 1 << tree, (), 0, 0)
    node = _joined(slices, _improve(slices, tree[0], level), _improve(slices, tree[1], level))
    parts = list(node.branches)
    inner = node.own
    largest = node.largest
    while len(parts) < PART and (big := [p for p in parts if p.branches]):
        part = max(big, key=lambda p: p.own)
        parts.remove(part)
        parts.extend(part.branches)
        inner += part.own
    if len(parts) < 3:
        return node
    again = cheapest(slices, max(level, largest), blocks=[part.operands for part in parts])
    if again is None or again[0] >= inner:
        return node
    return _rebuilt(slices, again[1], parts)


def _joined(slices: SlicedNetwork, left: _Node, right: _Node) -> _Node:
    together = left.operands | right.operands
    flops, result = slices.step(left.operands, right.operands)[0], slices.result(together)
    largest = max(left.largest, right.largest, _integer(result))
    return _Node((left.tree, right.tree), together, (left, right), _integer(flops), largest)


def _rebuilt(slices: SlicedNetwork, tree: Tree, parts: Sequence[_Node]) -> _Node:
    if isinstance(tree, int):
        return parts[tree]
    return _joined(slices, _rebuilt(slices, tree[0], parts), _rebuilt(slices, tree[1], parts))


def too_wide(slices: SlicedNetwork, tree: Tree, limit: Height) -> list[int]:
    """Return the parts of a tree, as sets of operands, whose results are not proved to keep to the limit."""
    wide: list[int] = []

    def visit(part: Tree) -> int:
        if isinstance(part, int):
            group, largest = 1 << part, slices.leaf(part).largest
        else:
            group = visit(part[0]) | visit(part[1])
            largest = height(slices.result(group))
        if not below(largest, limit):
            wide.append(group)
        return group

    visit(tree)
    return wide


def _integer(amount: Any) -> int:
    assert isinstance(amount, int)
    return amount


def carried_labels(network: Network) -> list[int]:
    """Return the labels that operands of a network carry."""
    carried = 0
    for labels in network.carried:
        carried |= labels
    return list(_labels(carried))


def _labels(mask: int) -> Iterator[int]:
    return (label for label in range(mask.bit_length()) if mask >> label & 1)
