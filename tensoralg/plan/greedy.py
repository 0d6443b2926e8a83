"""Greedy orders: contract next the pair that gains most, with chance if wanted.

The gain of a pair compares its result with what it replaces, in logarithms:
``log2 |result| - alpha * log2(|one| + |other|)``.  With a temperature, Gumbel noise is added, so that
pairs are drawn with Boltzmann's probabilities (Gray & Kourtis, Quantum 5, 410 (2021), section 3.2, for
this heuristic on hypergraphs).  Only pairs that share a label are looked at until none is left; then
outer products follow, the smallest results first.
"""

from __future__ import annotations

import heapq
import math
from random import Random

from tensoralg.plan.hypergraph import Hypergraph, Rooted, bits


def greedy(graph: Hypergraph, rng: Random | None = None, temperature: float = 0.0, alpha: float = 1.0) -> Rooted:
    """Return the tree of a greedy order.

    Parameters
    ----------
    graph : Hypergraph
        A contraction of at least one operand.
    rng : random.Random, optional
        Where chance comes from; without it ties are decided by position.
    temperature : float
        How much chance there is, in units of log2 of a size.
    alpha : float
        How much the sizes of the two operands count against the size of the result.
    """
    return _Greedy(graph, rng, temperature, alpha).run()


class _Greedy:
    def __init__(self, graph: Hypergraph, rng: Random | None, temperature: float, alpha: float) -> None:
        self.graph, self.rng, self.temperature, self.alpha = graph, rng, temperature, alpha
        self.found = Rooted.bare(graph)
        self.alive = set(range(graph.count))
        self.where: dict[int, set[int]] = {}
        self.logs: dict[int, float] = {}
        self.heap: list[tuple[float, int, int]] = []
        for node in range(graph.count):
            self.enter(node)

    def run(self) -> Rooted:
        for node in range(self.graph.count):
            self.offer(node, above=True)
        for fresh in self.found.joins():
            one, other = self.next_pair()
            self.found.left[fresh], self.found.right[fresh] = one, other
            self.found.kept[fresh] = self.result(one, other)
            self.leave(one)
            self.leave(other)
            self.alive.add(fresh)
            self.enter(fresh)
            self.offer(fresh)
        return self.found

    def next_pair(self) -> tuple[int, int]:
        while self.heap:
            _, one, other = heapq.heappop(self.heap)
            if one in self.alive and other in self.alive:
                return one, other
        one, other = heapq.nsmallest(2, self.alive, key=lambda node: (self.logs[node], node))
        return one, other

    def enter(self, node: int) -> None:
        self.logs[node] = self.graph.log2(self.found.kept[node])
        for label in bits(self.found.kept[node]):
            self.where.setdefault(label, set()).add(node)

    def leave(self, node: int) -> None:
        self.alive.discard(node)
        for label in bits(self.found.kept[node]):
            self.where[label].discard(node)

    def offer(self, node: int, above: bool = False) -> None:
        """Put the pairs of a node into the heap, on the first round each pair once."""
        near: set[int] = set()
        for label in bits(self.found.kept[node]):
            near |= self.where[label]
        for other in sorted(near):
            if other > node or (not above and other != node):
                heapq.heappush(self.heap, (self.score(node, other), node, other))

    def result(self, one: int, other: int) -> int:
        mine, theirs = self.found.kept[one], self.found.kept[other]
        kept = mine | theirs
        for label in bits(mine & theirs & ~self.graph.output):
            if len(self.where[label]) == 2:
                kept ^= label
        return kept

    def score(self, one: int, other: int) -> float:
        mine, theirs = self.logs[one], self.logs[other]
        top = max(mine, theirs)
        both = top + math.log2(2.0 ** (mine - top) + 2.0 ** (theirs - top))
        gain = self.graph.log2(self.result(one, other)) - self.alpha * both
        if self.rng is not None and self.temperature > 0:
            # -log(-log u) is Gumbel distributed; u > 0 because random() may return 0 but 1 - random() may not
            gain += self.temperature * math.log(-math.log(1 - self.rng.random() * (1 - 2**-53)) + 1e-300)
        return gain
