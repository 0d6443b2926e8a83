"""The best order that keeps operands in a row: a dynamic program over intervals.

Among the trees whose leaves, read from left to right, are in a given order, the best is found by
the program for chains of matrices (S. S. Godbole, IEEE Trans. Comput. C-22, 864 (1973)), which needs
nothing of matrices: for every interval of the row the least over the places to split it.  Rows are the
order in which operands are written (chains and lattices are written so that neighbours are near), an
order in which little is cut (`plan.bisection`), or the leaves of a tree that is to be improved.

*The union of a step* is separable.  Let ``touch(S)`` be all labels on the operands of S, and ``in(S)``
those that only operands of S carry, no output among them.  A step that joins the parts A and B of
S works on ``touch(S) - in(A) - in(B)``, with hyperedges too: what is missing from the union of
``kept(A)`` and ``kept(B)`` is what was summed inside A or inside B.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.hypergraph import Hypergraph, Objective, Rooted, bits
from tensoralg.plan.tree import Tree

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class _Intervals:
    """Labels inside and on the intervals of a row; entry ``[i, j]`` is for the operands i to j - 1."""

    def __init__(self, graph: Hypergraph, row: Sequence[int]) -> None:
        size = len(row)
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for place, operand in enumerate(row):
            for label in bits(graph.kept[operand]):
                first.setdefault(label, place)
                last[label] = place
        inner, number, missed = (np.zeros((size + 1, size + 1)) for _ in range(3))
        total = 0.0
        for label, start in first.items():
            weight = graph.log2(label)
            total += weight
            if not label & graph.output:
                inner[start, last[label] + 1] += weight
                number[start, last[label] + 1] += 1
        self.inner, self.number = _contained(inner), _contained(number)
        for label in first:
            places = [place for place, operand in enumerate(row) if graph.kept[operand] & label]
            weight = graph.log2(label)
            # maximal intervals that miss the label; each interval lies in at most one of them
            for low, high in zip([-1, *places], [*places, size], strict=True):
                missed[low + 1, high] += weight
        self.touch: Floats = total - _containing(missed)


def _contained(amounts: Floats) -> Floats:
    """Return for every interval the sum of what is written at the intervals inside it."""
    by_start = np.cumsum(amounts[::-1], axis=0)[::-1]
    found: Floats = np.cumsum(by_start, axis=1)
    return found


def _containing(amounts: Floats) -> Floats:
    """Return for every interval the sum of what is written at the intervals around it."""
    by_end = np.cumsum(amounts[:, ::-1], axis=1)[:, ::-1]
    found: Floats = np.cumsum(by_end, axis=0)
    return found


def in_a_row(objective: Objective, row: Sequence[int]) -> Rooted:
    """Return the best tree whose leaves are in the given order.

    Examples
    --------
    >>> graph = Hypergraph.of(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 5, "d": 7})
    >>> in_a_row(Objective(graph, Rooted.of(graph, (0, (1, 2)))), [0, 1, 2]).tree()
    ((0, 1), 2)
    """
    size = len(row)
    intervals = _Intervals(objective.graph, row)
    inner, number, touch = intervals.inner, intervals.number, intervals.touch
    cost: Floats = np.zeros((size + 1, size + 1))
    place: Counts = np.zeros((size + 1, size + 1), dtype=np.int64)
    for length in range(2, size + 1):
        low = np.arange(size - length + 1)[:, None]
        middle = low + np.arange(1, length)[None, :]
        high = low + length
        work = objective.works(touch[low, high] - inner[low, middle] - inner[middle, high])
        work *= np.where(number[low, middle] + number[middle, high] == number[low, high], 1.0, 2.0)
        amounts = cost[low, middle] + cost[middle, high] + work
        best = amounts.argmin(axis=1)
        start = low[:, 0]
        cost[start, start + length] = amounts[start, best] + objective.holds((touch - inner)[start, start + length])
        place[start, start + length] = start + 1 + best
    return Rooted.of(objective.graph, _tree(place, row))


def _tree(place: Counts, row: Sequence[int]) -> Tree:
    made: list[Tree] = []
    stack = [(0, len(row), False)]
    while stack:
        low, high, both = stack.pop()
        if high - low == 1:
            made.append(row[low])
        elif both:
            right, left = made.pop(), made.pop()
            made.append((left, right))
        else:
            middle = int(place[low, high])
            stack.extend([(low, high, True), (middle, high, False), (low, middle, False)])
    return made[0]


def leaves_in_order(tree: Rooted) -> list[int]:
    """Return the operands of a tree from left to right."""
    found, stack = [], [tree.root]
    while stack:
        node = stack.pop()
        if node < tree.count:
            found.append(node)
        else:
            stack.extend([tree.right[node], tree.left[node]])
    return found
