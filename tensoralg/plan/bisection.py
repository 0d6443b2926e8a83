"""Orders from recursive spectral bisection.

The operands are split in two so that little is cut, each half likewise, down to a few operands, which
are joined greedily.  Small cuts are small results at the top of the tree, where they are largest; on
lattices this finds the nested dissection.  A split sorts the operands by the eigenvector of the second
smallest eigenvalue of the Laplacian (Fiedler's) and takes the best place to cut among the balanced ones:
A. Pothen, H. D. Simon & K.-P. Liou, SIAM J. Matrix Anal. Appl. 11, 430 (1990); for contractions Gray &
Kourtis, Quantum 5, 410 (2021).  A label on m operands is a clique of weight ``log2(size) / (m - 1)`` in the
Laplacian, and exactly one label in the cut that is compared.
"""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.greedy import greedy
from tensoralg.plan.hypergraph import Hypergraph, Rooted, bits
from tensoralg.plan.tree import Tree, named

SMALL = 6
MOST = 1500


def bisected(graph: Hypergraph, rng: Random | None = None, noise: float = 0.0, balance: float = 0.3) -> Rooted:
    """Return the tree of a recursive bisection.

    Parameters
    ----------
    graph : Hypergraph
        A contraction of at least one operand.
    rng : random.Random, optional
        Where chance comes from.
    noise : float
        By how much (relatively) the weights of the Laplacian are changed by chance.
    balance : float
        The least share of the operands on either side.
    """
    return Rooted.of(graph, _Bisection(graph, rng, noise, balance).tree(list(range(graph.count))))


class _Bisection:
    def __init__(self, graph: Hypergraph, rng: Random | None, noise: float, balance: float) -> None:
        self.graph, self.balance = graph, balance
        count = graph.count
        self.near: NDArray[np.float64] = np.zeros((count, count))
        labels: dict[int, list[int]] = {}
        for position, kept in enumerate(graph.kept):
            for label in bits(kept):
                labels.setdefault(label, []).append(position)
        for label, members in labels.items():
            if len(members) > 1:
                weight = (graph.log2(label) + 1e-3) / (len(members) - 1)
                if rng is not None:
                    weight *= 1 + noise * rng.random()
                self.near[np.ix_(members, members)] += weight

    def tree(self, members: list[int]) -> Tree:
        if len(members) == 1:
            return members[0]
        if len(members) <= SMALL:
            return self.joined(members)
        one, other = self.split(members)
        return (self.tree(one), self.tree(other))

    def joined(self, members: list[int]) -> Tree:
        """Return the greedy tree of a few operands."""
        outside = self.graph.output
        for position, labels in enumerate(self.graph.carried):
            if position not in members:
                outside |= labels
        carried = [self.graph.kept[p] for p in members]
        inside = 0
        for labels in carried:
            inside |= labels
        part = greedy(Hypergraph(carried, outside & inside, self.graph.sizes)).tree()
        renamed: Tree = named(part, members)
        return renamed

    def split(self, members: list[int]) -> tuple[list[int], list[int]]:
        order = self.sorted(members)
        size = len(order)
        least = max(1, int(self.balance * size))
        cut = self.cuts(order)
        place = min(range(least, size - least + 1), key=lambda k: (cut[k], abs(2 * k - size)))
        return order[:place], order[place:]

    def sorted(self, members: list[int]) -> list[int]:
        """Return operands in the order of the Laplacian's second eigenvector."""
        near = self.near[np.ix_(members, members)]
        np.fill_diagonal(near, 0.0)
        laplacian = np.diag(near.sum(axis=1)) - near
        vector = np.linalg.eigh(laplacian)[1][:, 1]
        return [members[k] for k in np.argsort(vector, kind="stable")]

    def cuts(self, order: list[int]) -> list[float]:
        """Return for every place the logarithm of the sizes of the labels on both sides of it."""
        kept = self.graph.kept
        after = [0]
        for position in reversed(order):
            after.append(after[-1] | kept[position])
        after.reverse()
        before, found = 0, []
        for place, position in enumerate([*order, -1]):
            found.append(self.graph.log2(before & after[place]))
            before |= kept[position] if position >= 0 else 0
        return found
