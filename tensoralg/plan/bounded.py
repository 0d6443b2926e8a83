"""The proved optimum of networks of up to about twenty operands: a program over subsets below a bound.

A search gives a tree and with it a bound on the FLOPs of the best.  A set of operands of which no tree
keeps below the bound can be no part of a better tree, nor can one whose result, which a later step has
to read, does not fit under the rest of the bound.  Few sets are left where the bound is good, so the
exact program over subsets (`plan.subtrees`) needs only look at pairs of those.  Outer products are not
excluded.  The idea of growing optimal trees below a bound is R. N. C. Pfeifer, J. Haegeman & F. Verstraete,
Phys. Rev. E 90, 033315 (2014); they raise the bound from below, here it comes from the search.

*What is proved.*  The program works with floats.  Its optimum is at most a relative `slack` above that of
exact arithmetic: volumes come from sums of logarithms with an error below 1e-12, and where all sizes are
powers of two they are exact.  FLOPs are integers, so a tree whose exact FLOPs exceed the least float by
less than one, slack included, is optimal.  Otherwise nothing is claimed.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.hypergraph import Hypergraph, Objective, Rooted
from tensoralg.plan.subtrees import Floats, Places, Subsets
from tensoralg.plan.tree import Tree

MOST = 20
PAIRS = 100_000_000
AT_ONCE = 2_000_000
MARGIN = 1e-9
SLACK = 1e-11


def proved(
    graph: Hypergraph, known: Rooted, limit: int | None = None, pairs: int = PAIRS, stop: float | None = None
) -> Rooted | None:
    """Return a tree that is proved to have the least FLOPs; None if the proof takes too long or fails.

    Parameters
    ----------
    graph : Hypergraph
        A contraction of at least two operands and at most `MOST`.
    known : Rooted
        A good tree; the better it is, the less is to be done.
    limit : int, optional
        The elements that the result of a step may have.
    pairs : int
        The pairs of sets that may be looked at.
    stop : float, optional
        The time of `time.monotonic()` at which to give up.

    Examples
    --------
    >>> graph = Hypergraph.of(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 5, "d": 7})
    >>> known = Rooted.of(graph, (0, (1, 2)))
    >>> graph.flops(known.tree()), graph.flops(proved(graph, known).tree())
    (294, 200)
    """
    if not 2 <= graph.count <= MOST or 1 << graph.count > pairs:
        return None
    objective = Objective(graph, known)
    fits = limit is None or all(graph.volume(known.kept[node]) <= limit for node in known.joins())
    bound = objective.total(known) * (1 + MARGIN) if fits else math.inf
    program = _Program(objective, bound, math.inf if limit is None else math.log2(limit) + MARGIN, pairs, stop)
    tree = program.run()
    if tree is None:
        return None
    found = Rooted.of(graph, tree)
    if limit is not None and any(graph.volume(found.kept[node]) > limit for node in found.joins()):
        return None
    return found if _is_least(objective, found, program.least) else None


def _is_least(objective: Objective, tree: Rooted, least: float) -> bool:
    """Whether the exact FLOPs of the steps of a tree are the least, given the least of the float program."""
    graph = objective.graph
    exact = sum(
        graph.volume(union := tree.union(node)) * (1 if union == tree.kept[node] else 2) for node in tree.joins()
    )
    powers = all(size & (size - 1) == 0 for size in graph.sizes)
    slack = graph.count * 2.0**-50 if powers else SLACK
    if exact >= 2**52 or objective.shift >= 500:
        return False
    return bool(exact - least * 2.0**objective.shift * (1 - slack) < 1)


@dataclass
class _Program:
    objective: Objective
    bound: float
    room: float
    pairs: int
    stop: float | None
    least: float = field(default=math.inf, init=False)

    def run(self) -> Tree | None:
        graph = self.objective.graph
        count = graph.count
        self.data = Subsets.of(graph, graph.kept, graph.everything)
        self.cost: Floats = np.full(1 << count, np.inf)
        self.first: Places = np.zeros(1 << count, dtype=np.intp)
        alive: dict[int, Places] = {1: 1 << np.arange(count, dtype=np.intp)}
        self.cost[alive[1]] = 0.0
        for size in range(2, count):
            made: list[Places] = []
            for part in range(1, size // 2 + 1):
                one, other = alive[part], alive[size - part]
                self.pairs -= len(one) * len(other)
                if self.pairs < 0 or (self.stop is not None and time.monotonic() > self.stop):
                    return None
                made += self.joined(one, other)
            alive[size] = self.worth_keeping(np.unique(np.concatenate(made))) if made else np.zeros(0, dtype=np.intp)
        everything = (1 << count) - 1
        halves = np.concatenate([alive[part] for part in range(1, count // 2 + 1)])
        self.offer(halves, everything ^ halves)
        self.least = float(self.cost[everything])
        return self.tree(everything) if self.least < math.inf else None

    def joined(self, one: Places, other: Places) -> list[Places]:
        """Join all disjoint pairs; return the sets that they make."""
        found = []
        rows = max(1, AT_ONCE // max(1, len(other)))
        for start in range(0, len(one), rows):
            mine = one[start : start + rows]
            row, column = np.nonzero((mine[:, None] & other[None, :]) == 0)
            if len(row):
                found.append(self.offer(mine[row], other[column]))
        return found

    def offer(self, left: Places, right: Places) -> Places:
        """Take the joins of pairs where they are better than what is known; return the sets that they make."""
        data, subsets = self.data, left | right
        amounts = self.objective.works(data.touch[subsets] - (data.inner[left] + data.inner[right]))
        amounts *= 2.0 - (data.number[left] + data.number[right] == data.number[subsets])
        amounts += self.cost[left] + self.cost[right]
        useful: NDArray[np.bool_] = amounts <= self.bound
        left, subsets, amounts = left[useful], subsets[useful], amounts[useful]
        np.minimum.at(self.cost, subsets, amounts)
        best = amounts == self.cost[subsets]
        self.first[subsets[best]] = left[best]
        return np.unique(subsets)

    def worth_keeping(self, subsets: Places) -> Places:
        """Return the sets whose result fits, and can be read once below the bound; forget the others."""
        kept = (self.data.touch - self.data.inner)[subsets]
        good = (kept <= self.room) & (self.cost[subsets] + self.objective.works(kept) <= self.bound)
        self.cost[subsets[~good]] = np.inf
        found: Places = subsets[good]
        return found

    def tree(self, subset: int) -> Tree:
        if not subset & (subset - 1):
            return subset.bit_length() - 1
        left = int(self.first[subset])
        return (self.tree(left), self.tree(subset ^ left))
