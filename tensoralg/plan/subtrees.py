"""Exact orders with numbers: a program over all subsets, for few operands and for parts of a large tree.

The best tree of a set S of operands is made of the best trees of its two parts (Bellman; see
`plan.tree`).  Here all subsets of one size are done at once by array operations, outer products
included: k operands have ``(3^k - 2^(k + 1) + 1) / 2`` splits, 28,501 for ten.  What a step costs follows
from the labels inside its two parts and on their union (`plan.linear`), so it too is an array operation.

*Re-optimisation.*  A *part* of a tree is a join with some of the joins below it; what hangs below the
part are its operands.  The part is replaced by the best tree over the same operands, which leaves all
that is above and below as it is.  This goes round until no part of the chosen size can be improved
(Gray & Kourtis, Quantum 5, 410 (2021), section 3.4).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.hypergraph import Hypergraph, Objective, Rooted, bits
from tensoralg.plan.tree import Tree

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

GAIN = 1e-9
MATTERS = 1e-5


@lru_cache(maxsize=16)
def splits(count: int) -> tuple[tuple[Places, Places, Places], ...]:
    """Return, for each size from 2, the subsets of that size and both parts of their splits.

    Row by row belong to one subset; the first part holds its lowest operand.
    """
    return tuple(_splits(count, size) for size in range(2, count + 1))


def _splits(count: int, size: int) -> tuple[Places, Places, Places]:
    members = np.array(list(combinations(range(count), size)), dtype=np.intp)
    patterns = np.arange(1, (1 << size) - 1, 2, dtype=np.intp)
    left = np.zeros((len(members), len(patterns)), dtype=np.intp)
    for place in range(size):
        left += (patterns >> place & 1)[None, :] << members[:, place][:, None]
    subsets = (1 << members).sum(axis=1)
    return subsets, left, subsets[:, None] - left


@dataclass(frozen=True)
class Subsets:
    """The labels of all subsets of a few operands: logarithms of sizes, and how many are summed inside."""

    touch: Floats
    inner: Floats
    number: Floats

    @staticmethod
    def of(graph: Hypergraph, operands: Sequence[int], whole: int) -> Subsets:
        """Return them for operands given by the labels that they keep; `whole` are kept by all together."""
        count = len(operands)
        carriers: dict[int, int] = {}
        for position, labels in enumerate(operands):
            for label in bits(labels):
                carriers[label] = carriers.get(label, 0) | 1 << position
        inner, number, on = (np.zeros(1 << count) for _ in range(3))
        total = 0.0
        for label, pattern in carriers.items():
            weight = graph.log2(label)
            total += weight
            on[pattern] += weight
            if not label & whole:
                inner[pattern] += weight
                number[pattern] += 1
        for amounts in (inner, number, on):
            _sum_over_subsets(amounts, count)
        return Subsets(total - on[::-1], inner, number)


def _sum_over_subsets(amounts: Floats, count: int) -> None:
    """Replace what is written at every set by the sum over its subsets, in place."""
    for position in range(count):
        pairs = amounts.reshape(-1, 2, 1 << position)
        pairs[:, 1] += pairs[:, 0]


def best_of_few(objective: Objective, operands: Sequence[int], whole: int) -> tuple[float, Tree]:
    """Return the cost and the tree of the best order of a few operands.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    operands : sequence of int
        The labels that each operand keeps.
    whole : int
        The labels that all together keep.

    Examples
    --------
    >>> from tensoralg.plan.greedy import greedy
    >>> graph = Hypergraph.of(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 5, "d": 7})
    >>> best_of_few(Objective(graph, greedy(graph)), graph.kept, graph.output)[1]
    ((0, 1), 2)
    """
    count = len(operands)
    data = Subsets.of(objective.graph, operands, whole)
    cost = np.zeros(1 << count)
    for subsets, left, right in splits(count):
        amounts = _amounts(objective, data, cost, subsets[:, None], left, right)
        cost[subsets] = amounts.min(axis=1) + objective.holds((data.touch - data.inner)[subsets])
    rows = {size + 2: level for size, level in enumerate(splits(count))}

    def tree(subset: int) -> Tree:
        if not subset & (subset - 1):
            return subset.bit_length() - 1
        subsets, left, right = rows[subset.bit_count()]
        row = int(np.flatnonzero(subsets == subset)[0])
        best = int(_amounts(objective, data, cost, subsets[row : row + 1], left[row], right[row]).argmin())
        return (tree(int(left[row, best])), tree(int(right[row, best])))

    everything = (1 << count) - 1
    return float(cost[everything]), tree(everything)


def _amounts(objective: Objective, data: Subsets, cost: Floats, subsets: Places, left: Places, right: Places) -> Floats:
    """Return the cost of every split."""
    found = objective.works(data.touch[subsets] - (data.inner[left] + data.inner[right]))
    found *= 2.0 - (data.number[left] + data.number[right] == data.number[subsets])
    found += cost[left]
    found += cost[right]
    return found


def reoptimised(
    objective: Objective, tree: Rooted, size: int, stop: float | None = None, parts: int | None = None
) -> Rooted:
    """Return a tree no part of which can be improved, or what was reached.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    tree : Rooted
        Where to begin; it is left alone.
    size : int
        The operands that a part may have.
    stop : float, optional
        The time of `time.monotonic()` at which to end.
    parts : int, optional
        The parts that may be looked at, the costliest first.

    Examples
    --------
    >>> graph = Hypergraph.of(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 5, "d": 7})
    >>> start = Rooted.of(graph, (0, (1, 2)))
    >>> graph.flops(start.tree()), graph.flops(reoptimised(Objective(graph, start), start, 3).tree())
    (294, 200)
    """
    found = tree.copy()
    improved = found.count > 2
    while improved:
        improved = False
        costs = objective.steps(found)
        least = sum(costs) * MATTERS / found.count
        for node in sorted(found.joins(), key=lambda node: -costs[node]):
            if costs[node] < least:
                continue
            if (stop is not None and time.monotonic() > stop) or parts == 0:
                return found
            parts = None if parts is None else parts - 1
            improved |= _replace(objective, found, costs, node, size)
    return found


def _replace(objective: Objective, tree: Rooted, costs: list[float], node: int, size: int) -> bool:
    """Replace the part of a tree below a node by the best one; say whether that is an improvement."""
    inside, below = _part(tree, costs, node, size)
    if len(inside) < 2:
        return False
    least, order = best_of_few(objective, [tree.kept[operand] for operand in below], tree.kept[node])
    before = sum(costs[join] for join in inside)
    if not least < before * (1 - GAIN):
        return False
    free = [join for join in inside if join != node]
    _write(objective, tree, costs, node, order, below, free)
    return True


def _part(tree: Rooted, costs: list[float], node: int, size: int) -> tuple[list[int], list[int]]:
    """Return the joins of a part below a node, and what hangs below it; costly joins are taken in first."""
    inside, below = [node], [tree.left[node], tree.right[node]]
    while len(below) < size:
        joins = [join for join in below if join >= tree.count]
        if not joins:
            break
        chosen = max(joins, key=lambda join: (costs[join], join))
        below.remove(chosen)
        below += [tree.left[chosen], tree.right[chosen]]
        inside.append(chosen)
    return inside, below


def _write(
    objective: Objective, tree: Rooted, costs: list[float], node: int, order: Tree, below: list[int], free: list[int]
) -> None:
    """Write the tree of a part into the table, with what its joins keep and cost."""
    carried: dict[int, int] = {}

    def link(part: Tree, join: int) -> int:
        assert not isinstance(part, int)
        everything = 0
        for side, sub in zip((tree.left, tree.right), part, strict=True):
            if isinstance(sub, int):
                side[join] = below[sub]
                everything |= tree.kept[below[sub]]
            else:
                side[join] = free.pop()
                everything |= link(sub, side[join])
        carried[join] = everything
        return everything

    def keep(join: int, outside: int) -> None:
        one, other = tree.left[join], tree.right[join]
        for part, beside in ((one, other), (other, one)):
            if part in carried:
                further = outside | carried.get(beside, tree.kept[beside])
                tree.kept[part] = carried[part] & further
                keep(part, further)
        costs[join] = objective.step(tree.kept[one] | tree.kept[other], tree.kept[join])

    link(order, node)
    keep(node, tree.kept[node])
