"""The orders of a graph of blocks: every way known to compute it, and the ones that are best somewhere.

Ways to compute a graph are found on four levels, and the prices of all are compared as polynomials:

1. the graph itself, and those that the distributive law makes of it (`plan.distribute`) and that are
   better than it at some of a few sample sizes;
2. for each contraction of each graph, its undominated trees: all of them where the exact program
   finishes (`plan.exact`), else those that a search finds (`plan.search`), and of rewritten graphs with
   larger contractions those that are best at the samples; within a memory limit also those in slices
   (`plan.slices`);
3. for each choice of trees, its pairwise form, in which equal steps are done once (`plan.pairs`);
4. trees chosen so that more steps are equal (`plan.share`).

Level 2 is exact, and `exact` says that it was finished on the graph as it is written; the other levels
only add ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from itertools import islice
from typing import Any

from tensoralg.errors import InvalidSize, MemoryLimit, NeedsSizes, UnknownSize, suggest
from tensoralg.plan.block import Block, Contract, Leaf, results
from tensoralg.plan.conditions import priorities
from tensoralg.plan.distribute import alternatives
from tensoralg.plan.envelope import cover
from tensoralg.plan.exact import Frontier, add_order, beats, frontier
from tensoralg.plan.graph import Graph
from tensoralg.plan.pairs import Order, paired
from tensoralg.plan.polynomial import LEAST, Height, Polynomial, Rational, below, height, join, sample_sizes
from tensoralg.plan.regimes import choices, no_later_ties, symbolic
from tensoralg.plan.search import EXACT_NUMBERS, EXACT_SYMBOLS, searched
from tensoralg.plan.share import Sharing
from tensoralg.plan.slices import keep_to_limit, least_largest
from tensoralg.plan.slicing import Sliced
from tensoralg.plan.tree import Network, Priced

SHARED = 24
POINTS = 6
SMALL = 5
PAIRED = 100  # operands: the steps of a chain of more would lie too deep in each other
REMEMBERED = 512


@dataclass(frozen=True)
class Task:
    """What is to be planned; equal tasks have equal plans.

    Attributes
    ----------
    root : Block
        The graph.
    sizes : tuple of (str, int)
        The sizes that are given, sorted by name.
    minimize : str
        What comes first.
    limit : Polynomial or None
        Elements that the largest intermediate may have.
    seconds : float or None
        Time for searches.
    seed : int
        Seed of searches.
    least : int
        The sizes from which on orders are compared.
    """

    root: Block
    sizes: tuple[tuple[str, int], ...] = ()
    minimize: str = "flops"
    limit: Polynomial | None = None
    seconds: float | None = None
    seed: int = 0
    least: int = LEAST


@dataclass(frozen=True)
class Found:
    """The orders that are best somewhere, sizes at which each is (None where none were found), and exactness."""

    prices: tuple[Priced, ...]
    witnesses: tuple[Mapping[str, Rational] | None, ...]
    exact: bool


@lru_cache(maxsize=REMEMBERED)
def orders(task: Task) -> Found:
    """Return the orders of a task; every price has its :class:`Order` as its tree.

    Raises
    ------
    MemoryLimit
        If the limit is below an input, an output, or an array that no slicing divides.
    """
    return _Planner(task).found()


class _Planner:
    """Plans one task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.sizes = dict(task.sizes)
        self.graph = Graph(task.root, self.sizes)
        self.limit = _limit(self.graph, task.limit)
        self.symbols = [name for name in self.graph.names if name not in self.sizes]
        self._exact = EXACT_NUMBERS if self.graph.numeric else EXACT_SYMBOLS
        self._frontiers: dict[Any, Frontier] = {}

    def found(self) -> Found:
        """Return the orders that are best somewhere."""
        others = alternatives(self.task.root)[1:]
        chosen = self._of(self.graph, self.task.minimize, self.limit)
        kept = [*chosen.orders]
        for order in [*self._shared(self.graph, chosen), *self._rewritten(others)]:
            if self.limit is None or below(order.largest, self.limit):
                add_order(kept, order, beats(self.task.minimize, self.task.least))
        kept = no_later_ties(kept, priorities(self.task.minimize), self.task.least)
        prices, witnesses = zip(
            *cover(self.symbols, kept, self.task.minimize, self.task.seed, self.task.least), strict=True
        )
        return Found(prices, witnesses, chosen.exact)

    def _rewritten(self, roots: Sequence[Block]) -> Iterator[Priced]:
        for graph in self._promising(roots):
            small = all(room.network.count <= SMALL for room in graph.rooms)
            chosen = self._of(graph, self.task.minimize, self.limit) if small else self._sampled(graph)
            yield from chosen.orders
            yield from self._shared(graph, chosen)

    def _promising(self, roots: Sequence[Block]) -> list[Graph]:
        """Return the graphs that beat the one as written at some of the points at which is looked."""
        graphs = [Graph(root, self.sizes, bool(self.symbols)) for root in roots]
        # time for searches goes to the graph as it is written
        graphs = [g for g in graphs if all(room.network.count <= self._exact for room in g.rooms)]
        if not self.symbols or not graphs:
            return graphs
        winners: dict[int, None] = {}
        for point in self._points():
            values = [getattr(self._at(graph, point), self.task.minimize) for graph in (self.graph, *graphs)]
            winners[values.index(min(values))] = None
        return [graphs[k - 1] for k in winners if k]

    def _sampled(self, graph: Graph) -> Frontier:
        """Return the orders of a graph that are best at the points at which is looked."""
        found: list[Priced] = []
        for point in self._points():
            trees = self._at(graph, point).tree.trees
            price = replace(graph.price(trees), tree=Order(graph.root, trees, graph.root))
            add_order(found, price, beats(self.task.minimize, self.task.least))
        return Frontier(tuple(found), False)

    def _at(self, graph: Graph, point: Mapping[str, int]) -> Priced:
        """Return the best order of a graph at given sizes."""
        chosen = self._of(Graph(graph.root, {**self.sizes, **point}), self.task.minimize, None)
        return min(chosen.orders, key=lambda order: getattr(order, self.task.minimize))

    def _of(self, graph: Graph, minimize: str, limit: Height | None) -> Frontier:
        """Return the choices of trees for the contractions of one graph."""
        frontiers = [self._frontier(graph, room.network, minimize, limit) for room in graph.rooms]
        chosen = choices(graph, frontiers, minimize, limit, self.task.least)
        rooms = [room.contract for room in graph.rooms]
        named = (
            replace(price, tree=Order(graph.root, dict(zip(rooms, price.tree, strict=True)), graph.root))
            for price in chosen.orders
        )
        return Frontier(tuple(named), chosen.exact)

    def _frontier(self, graph: Graph, network: Network, minimize: str, limit: Height | None) -> Frontier:
        key = (network.contract, network.one, tuple(network.sizes), tuple(network.held), minimize, limit)
        if key not in self._frontiers:
            self._frontiers[key] = self._trees(graph, network, minimize, limit)
        return self._frontiers[key]

    def _trees(self, graph: Graph, network: Network, minimize: str, limit: Height | None) -> Frontier:
        found = self._whole(graph, network, minimize, limit)
        if limit is None:
            return found
        return keep_to_limit(network, graph.names, minimize, limit, found, self.task.seconds, self.task.seed)

    def _whole(self, graph: Graph, network: Network, minimize: str, limit: Height | None) -> Frontier:
        """Return the trees of a contraction that is not sliced."""
        if network.count <= self._exact:
            found = frontier(network, minimize, limit, least=self.task.least)
            if found.exact:
                return found
        return searched(network, graph.names, minimize, limit, self._seconds(graph), self.task.seed)

    def _seconds(self, graph: Graph) -> float | None:
        """Return the time for one search: the contractions that are searched share it."""
        count = sum(room.network.count > self._exact for room in graph.rooms)
        return self.task.seconds and self.task.seconds / max(count, 1)

    def _shared(self, graph: Graph, chosen: Frontier) -> Iterator[Priced]:
        """Yield the orders in which equal steps are done once, where there are any."""
        sharing = Sharing(graph)
        if not sharing.repeats or any(room.network.count > PAIRED for room in graph.rooms):
            return
        for price in chosen.orders[:SHARED]:
            if any(isinstance(tree, Sliced) for tree in price.tree.trees.values()):
                continue
            yield from self._pairs(graph, price.tree.trees)
        if self.task.minimize == "flops":
            for trees in sharing.trees(self._points()):
                yield from self._pairs(graph, trees)

    def _pairs(self, graph: Graph, trees: Mapping[Contract, Any]) -> Iterator[Priced]:
        root = paired(graph.root, trees)
        price = Graph(root, self.sizes, bool(self.symbols)).price({})
        yield replace(price, tree=Order(graph.root, trees, root))

    def _points(self) -> list[dict[str, int]]:
        """Return the sizes at which to look for graphs and trees."""
        if not self.symbols:
            return [{}]
        return list(islice(sample_sizes(self.symbols, self.task.seed), POINTS))


def _limit(graph: Graph, limit: Polynomial | None) -> Height | None:
    """Return the limit as a number or a maximum, checked against what no slicing makes smaller."""
    if limit is None:
        return None
    known = graph.at_sizes(limit)
    if unknown := [name for name in known.names if name not in graph.names]:
        raise UnknownSize(
            f"the memory limit {limit} has the size {unknown[0]!r}, which is no dimension here",
            remedy=suggest(unknown[0], graph.names),
            name=unknown[0],
        )
    if not Polynomial.constant(1).below(known):
        raise InvalidSize(f"a memory limit of {limit} elements", remedy="give a limit >= 1", value=limit.sympy())
    if not known.names and not graph.numeric:
        raise NeedsSizes(
            f"whether an array fits in {limit} elements depends on the sizes {', '.join(graph.names)}",
            remedy="give every size, or a limit that is a polynomial in the sizes",
        )
    bound: Height = int(known.value({})) if graph.numeric else height(known)
    arrays = list(_undivided(graph))
    for what, array in arrays:
        if not below(array, bound):
            least = symbolic(reduce(join, (array for _, array in arrays)))
            raise MemoryLimit(
                f"a memory limit of {limit} elements is not proved to hold {what} of {symbolic(array)} elements",
                remedy=f"give at least {least}",
                minimum=least,
            )
    return bound


def _undivided(graph: Graph) -> Iterator[tuple[str, Height]]:
    """Yield the arrays that are in memory as a whole, however contractions are sliced."""
    for block in graph.order:
        if isinstance(block, Leaf):
            yield f"the input {block.tensor.name}", height(graph.volume(block.axes))
    for result in results(graph.root):
        yield "the output", height(graph.volume(result.axes))
    yield "the result of an operation that is no contraction,", graph.fixed.largest
    for room in graph.rooms:
        yield "the result of a contraction,", room.place(least_largest(room.network)).largest
