"""Contractions as hypergraphs with numbers for sizes: the fast core of the search for orders.

The operands are the vertices, the labels the hyperedges, and a set of labels is a bit mask.  What
`plan.tree` says of costs is the definition; here it is evaluated for many trees that differ little.
A binary tree over n operands is a table of its 2 n - 1 nodes (:class:`Rooted`), and two facts make a
change of it cheap.  Let ``kept(X)`` be the labels of the operands below a node X that the output or
an operand elsewhere carries.

* *Rotation.*  In ``((a b) c)`` below a node p, exchanging b and c makes the node ``(a c)``, with
  ``kept(a c) = (kept(a) | kept(c)) & (kept(b) | kept(p))``: a label of a or c is carried elsewhere by
  something below b or by something that is not below p.  No operand is looked at, whatever the number
  of operands that share a label.
* *Volumes*, products of sizes, are looked up by the mask.

Sizes and volumes may exceed any float.  Search therefore works on ``2 ** (log2 volume - shift)``, which
is infinite where a step is hopeless and zero where it does not count; the orders that are found are
priced exactly, with integers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.polynomial import value_at
from tensoralg.plan.tree import Network, Tree, postorder

Floats = NDArray[np.float64]

ENTRIES = 300_000
EXPONENT = 1000.0
MEMORY_POWER = 4.0


def bits(mask: int) -> Iterator[int]:
    """Yield the members of a bit mask, each as a mask.

    Examples
    --------
    >>> list(bits(0b1101))
    [1, 4, 8]
    """
    while mask:
        low = mask & -mask
        yield low
        mask ^= low


class Hypergraph:
    """The operands of one contraction as sets of labels, with numbers for the sizes.

    Parameters
    ----------
    carried : sequence of int
        The labels of each operand, as a bit mask.
    output : int
        The labels of the output.
    sizes : sequence of int
        The size of every label, exact however large.

    Examples
    --------
    >>> graph = Hypergraph.of(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 5, "d": 7})
    >>> graph.flops(((0, 1), 2)), graph.flops((0, (1, 2)))
    (200, 294)
    """

    def __init__(self, carried: Sequence[int], output: int, sizes: Sequence[int]) -> None:
        self.count = len(carried)
        self.carried = tuple(carried)
        self.output = output
        self.sizes = tuple(sizes)
        once, twice = output, 0
        for labels in carried:
            once, twice = once | labels, twice | once & labels
        self.kept = tuple(labels & twice for labels in carried)
        groups: dict[int, int] = {}
        for label, size in enumerate(sizes):
            groups[size] = groups.get(size, 0) | 1 << label
        self._groups = tuple(groups.items())
        # a size of 0 counts as 1 here: any order is best where all is empty, and prices are exact anyway
        self._logs = tuple((mask, math.log2(max(size, 1))) for size, mask in self._groups)

    @staticmethod
    def of(
        inputs: Sequence[Iterable[Hashable]], output: Iterable[Hashable], sizes: Mapping[Hashable, int]
    ) -> Hypergraph:
        """Return the hypergraph of operands that are given as collections of labels of any kind."""
        place: dict[Hashable, int] = {}
        for labels in (*inputs, output):
            for label in labels:
                place.setdefault(label, len(place))
        masks = [sum(1 << place[label] for label in set(labels)) for labels in inputs]
        return Hypergraph(masks, sum(1 << place[x] for x in set(output)), [int(sizes[label]) for label in place])

    @staticmethod
    def of_network(network: Network) -> Hypergraph:
        """Return the hypergraph of a network whose sizes are numbers."""
        return Hypergraph(network.carried, network.output, [value_at(size, {}) for size in network.sizes])

    @property
    def everything(self) -> int:
        """The labels that the result of the whole contraction carries."""
        found = 0
        for labels in self.kept:
            found |= labels
        return found & self.output

    def log2(self, labels: int) -> float:
        """Return the logarithm of the product of the sizes of labels."""
        return sum(weight * count for mask, weight in self._logs if (count := (labels & mask).bit_count()))

    def volume(self, labels: int) -> int:
        """Return the product of the sizes of labels, exactly."""
        found = 1
        for size, mask in self._groups:
            found *= size ** (labels & mask).bit_count()
        return found

    def flops(self, tree: Tree) -> int:
        """Return the FLOPs of a tree as `plan.tree` counts them, but for 0/1 operands (which are operands here)."""
        alone = (p for p in range(self.count) if self.kept[p] != self.carried[p])
        total = sum(self.volume(self.carried[p]) for p in alone)
        if self.count < 2:
            return total
        rooted = Rooted.of(self, tree)
        for node in rooted.joins():
            union = rooted.union(node)
            total += self.volume(union) * (1 if union == rooted.kept[node] else 2)
        return total


@dataclass
class Rooted:
    """A binary tree over the operands of a hypergraph, as a table that can be changed in place.

    Nodes ``0 .. count - 1`` are the operands, ``2 * count - 2`` is the root; a join has its two parts in
    `left` and `right`, and every node the labels that it keeps.
    """

    count: int
    left: list[int]
    right: list[int]
    kept: list[int]

    @staticmethod
    def bare(graph: Hypergraph) -> Rooted:
        """Return a table whose joins are still to be filled in."""
        nodes = 2 * graph.count - 1
        return Rooted(graph.count, [-1] * nodes, [-1] * nodes, [*graph.kept, *[0] * (graph.count - 1)])

    @staticmethod
    def of(graph: Hypergraph, tree: Tree) -> Rooted:
        """Return the table of a nested tree over all operands."""
        found = Rooted.bare(graph)
        made: list[int] = []
        fresh = graph.count
        for part in postorder(tree):
            if isinstance(part, int):
                made.append(part)
            else:
                found.right[fresh], found.left[fresh] = made.pop(), made.pop()
                made.append(fresh)
                fresh += 1
        found.fill(graph)
        return found

    @property
    def root(self) -> int:
        """The node of the whole."""
        return 2 * self.count - 2

    def joins(self) -> range:
        """Return the nodes that are no operands."""
        return range(self.count, 2 * self.count - 1)

    def copy(self) -> Rooted:
        """Return a table that can be changed on its own."""
        return Rooted(self.count, self.left[:], self.right[:], self.kept[:])

    def union(self, node: int) -> int:
        """Return the labels that the step of a join works on."""
        return self.kept[self.left[node]] | self.kept[self.right[node]]

    def postorder(self) -> list[int]:
        """Return the joins, every one after those below it."""
        found, stack = [], [self.root] if self.count > 1 else []
        while stack:
            node = stack.pop()
            found.append(node)
            stack.extend(part for part in (self.left[node], self.right[node]) if part >= self.count)
        return found[::-1]

    def fill(self, graph: Hypergraph) -> None:
        """Put in what every join keeps, from the left and right parts alone."""
        order = self.postorder()
        parts = [*graph.carried, *[0] * (self.count - 1)]
        for node in order:
            parts[node] = parts[self.left[node]] | parts[self.right[node]]
        outside = [graph.output] * (2 * self.count - 1)
        for node in reversed(order):
            one, other = self.left[node], self.right[node]
            outside[one] = outside[node] | parts[other]
            outside[other] = outside[node] | parts[one]
        self.kept = [mine & others for mine, others in zip(parts, outside, strict=True)]

    def tree(self) -> Tree:
        """Return the nested tree."""
        made: list[Tree] = [*range(self.count), *[()] * (self.count - 1)]
        for node in self.postorder():
            made[node] = (made[self.left[node]], made[self.right[node]])
        return made[self.root]


class Powers(dict[int, float]):
    """``factor * (volume / 2 ** shift) ** power`` of sets of labels, remembered; infinite where a float ends.

    Examples
    --------
    >>> graph = Hypergraph.of(["ab", "bc"], "ac", {"a": 2, "b": 4, "c": 8})
    >>> Powers(graph, shift=1.0)[0b011]
    4.0
    """

    def __init__(self, graph: Hypergraph, shift: float, power: float = 1.0, factor: float = 1.0) -> None:
        super().__init__()
        self._log2 = graph.log2
        self._shift, self._power, self._factor = shift, power, factor

    def __missing__(self, labels: int) -> float:
        if len(self) > ENTRIES:
            self.clear()
        exponent = (self._log2(labels) - self._shift) * self._power
        found = self[labels] = self._factor * 2.0**exponent if exponent < EXPONENT else math.inf
        return found

    def of_logs(self, logs: Floats) -> Floats:
        """Return the same for sets of labels of which the logarithms of the volumes are given."""
        exponents = np.minimum((logs - self._shift) * self._power, EXPONENT)
        found: Floats = self._factor * np.exp2(exponents)
        return found


class Objective:
    """What a search minimises: a sum over the steps of a tree.

    For FLOPs it is the FLOPs.  A maximum is not a sum, and a search that sees only the largest step
    does not improve the others, so for memory it is the sum of the fourth powers of the results (a
    sum of p-th powers tends to the maximum as p grows); FLOPs decide between results of equal size.
    Under a limit, results above it are charged the FLOPs of the first tree, and more the larger they are.

    Parameters
    ----------
    graph : Hypergraph
        The contraction.
    start : Rooted
        A first tree; amounts are relative to its costliest step.
    minimize : "flops", "largest" or "peak"
        What comes first.
    limit : int, optional
        The elements that a result may have.
    """

    def __init__(self, graph: Hypergraph, start: Rooted, minimize: str = "flops", limit: int | None = None) -> None:
        self.graph, self.minimize = graph, minimize
        self.shift = max((graph.log2(start.union(node)) for node in start.joins()), default=0.0)
        self.shift = max(self.shift, 0.0)
        self.bound = math.log2(limit) if limit is not None else None
        by_memory = minimize != "flops"
        self.work = Powers(graph, self.shift, factor=1e-4 if by_memory else 1.0)
        self.power = MEMORY_POWER if by_memory else 1.0
        self.level = max((graph.log2(start.kept[node]) for node in start.joins()), default=0.0)
        self.held: Powers | None = None
        if by_memory:
            self.held = Powers(graph, self.level, MEMORY_POWER)
        elif self.bound is not None:
            self.held = Excess(graph, self.bound)

    def steps(self, tree: Rooted) -> list[float]:
        """Return the cost of every node (operands cost nothing)."""
        found = [0.0] * (2 * tree.count - 1)
        for node in tree.joins():
            found[node] = self.step(tree.union(node), tree.kept[node])
        return found

    def step(self, union: int, kept: int) -> float:
        """Return the cost of a step that works on some labels and keeps some of them."""
        cost = self.work[union] * (1 if union == kept else 2)
        return cost if self.held is None else cost + self.held[kept]

    def works(self, logs: Floats) -> Floats:
        """Return the charge for the unions of steps, given the logarithms of their sizes."""
        return self.work.of_logs(logs)

    def holds(self, logs: Floats) -> Floats | float:
        """Return the charge for the results of steps, given the logarithms of their sizes."""
        return 0.0 if self.held is None else self.held.of_logs(logs)

    def total(self, tree: Rooted) -> float:
        """Return the cost of a tree."""
        return math.fsum(self.steps(tree)) if tree.count > 1 else 0.0


class Excess(Powers):
    """The charge for results above a limit: nothing up to it, then the fourth power of the excess."""

    def __init__(self, graph: Hypergraph, bound: float) -> None:
        super().__init__(graph, bound, MEMORY_POWER)
        self._bound = bound

    def __missing__(self, labels: int) -> float:
        if self._log2(labels) <= self._bound + 1e-9:
            found = self[labels] = 0.0
            return found
        return super().__missing__(labels)

    def of_logs(self, logs: Floats) -> Floats:
        return np.where(logs <= self._bound + 1e-9, 0.0, super().of_logs(logs))
