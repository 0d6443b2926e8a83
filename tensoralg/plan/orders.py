"""The orders of a graph of blocks: every way known to compute it, and the ones that are best somewhere.

Ways to compute a graph are found on four levels, and the prices of all are compared as polynomials:

1. the graph itself, and those that the distributive law makes of it (`plan.distribute`);
2. for each contraction of each graph, its undominated trees: all of them where the exact program
   finishes (`plan.exact`), else those that a search finds (`plan.search`);
3. for each choice of trees, its pairwise form, in which equal steps are done once (`plan.pairs`);
4. trees chosen so that more steps are equal (`plan.share`).

Level 2 is exact, and `exact` says that it was finished on the graph as it is written; the other levels
only add ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import sympy

from tensoralg.errors import InvalidSize, MemoryLimit, NeedsSizes
from tensoralg.plan.block import Block, Contract, Leaf, results
from tensoralg.plan.distribute import alternatives
from tensoralg.plan.exact import Frontier, add_order, beats, frontier
from tensoralg.plan.graph import Graph
from tensoralg.plan.pairs import Order, paired
from tensoralg.plan.polynomial import Height, Polynomial, below, height, sample_sizes
from tensoralg.plan.regimes import choices, cover, no_later_ties, priorities, symbolic
from tensoralg.plan.search import EXACT_NUMBERS, EXACT_SYMBOLS, searched
from tensoralg.plan.share import Sharing
from tensoralg.plan.tree import Network, Priced

SHARED = 24
POINTS = 6
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
    """

    root: Block
    sizes: tuple[tuple[str, int], ...] = ()
    minimize: str = "flops"
    limit: Polynomial | None = None
    seconds: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """The orders that are best somewhere, sizes at which each is (None where none were found), and exactness."""

    prices: tuple[Priced, ...]
    witnesses: tuple[Mapping[str, int] | None, ...]
    exact: bool


@lru_cache(maxsize=REMEMBERED)
def orders(task: Task) -> Found:
    """Return the orders of a task; every price has its :class:`Order` as its tree.

    Raises
    ------
    MemoryLimit
        If no order is proved to keep to the limit.
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
        self._frontiers: dict[Any, Frontier] = {}

    def found(self) -> Found:
        """Return the orders that are best somewhere."""
        others = alternatives(self.task.root)[1:]
        chosen = self._of(self.graph, self.task.minimize, self.limit)
        kept = [*chosen.orders]
        for order in [*self._shared(self.graph, chosen), *self._rewritten(others)]:
            if self.limit is None or below(order.largest, self.limit):
                add_order(kept, order, beats(self.task.minimize))
        if not kept:
            raise self._too_tight()
        kept = no_later_ties(kept, priorities(self.task.minimize))
        prices, witnesses = zip(*cover(self.symbols, kept, self.task.minimize, self.task.seed), strict=True)
        return Found(prices, witnesses, chosen.exact)

    def _rewritten(self, roots: Sequence[Block]) -> Iterator[Priced]:
        for root in roots:
            graph = Graph(root, self.sizes)
            chosen = self._of(graph, self.task.minimize, self.limit)
            yield from chosen.orders
            yield from self._shared(graph, chosen)

    def _of(self, graph: Graph, minimize: str, limit: Height | None) -> Frontier:
        """Return the choices of trees for the contractions of one graph."""
        frontiers = [self._frontier(graph, room.network, minimize, limit) for room in graph.rooms]
        chosen = choices(graph, frontiers, minimize, limit)
        rooms = [room.contract for room in graph.rooms]
        named = (
            replace(price, tree=Order(graph.root, dict(zip(rooms, price.tree, strict=True)), graph.root))
            for price in chosen.orders
        )
        return Frontier(tuple(named), chosen.exact)

    def _frontier(self, graph: Graph, network: Network, minimize: str, limit: Height | None) -> Frontier:
        key = (network.contract, tuple(network.held), minimize, limit)
        if key not in self._frontiers:
            self._frontiers[key] = self._trees(graph, network, minimize, limit)
        return self._frontiers[key]

    def _trees(self, graph: Graph, network: Network, minimize: str, limit: Height | None) -> Frontier:
        if network.count <= (EXACT_NUMBERS if graph.numeric else EXACT_SYMBOLS):
            found = frontier(network, minimize, limit)
            if found.exact:
                return found
        return searched(network, graph.names, minimize, limit, self.task.seconds, self.task.seed)

    def _shared(self, graph: Graph, chosen: Frontier) -> Iterator[Priced]:
        """Yield the orders in which equal steps are done once, where there are any."""
        sharing = Sharing(graph)
        if not sharing.places:
            return
        for price in chosen.orders[:SHARED]:
            yield from self._pairs(graph, price.tree.trees)
        if self.task.minimize == "flops":
            for trees in sharing.trees(self._points()):
                yield from self._pairs(graph, trees)

    def _pairs(self, graph: Graph, trees: Mapping[Contract, Any]) -> Iterator[Priced]:
        root = paired(graph.root, trees)
        price = Graph(root, self.sizes).price({})
        yield replace(price, tree=Order(graph.root, trees, root))

    def _points(self) -> list[dict[str, int]]:
        """Return sizes at which to look for trees that share values."""
        if not self.symbols:
            return [{}]
        return list(islice(sample_sizes(self.symbols, self.task.seed), POINTS))

    def _too_tight(self) -> MemoryLimit:
        least = sympy.Min(*(symbolic(order.largest) for order in self._of(self.graph, "largest", None).orders))
        return MemoryLimit(
            f"no order of contraction is proved to keep every intermediate within {self.task.limit} elements",
            remedy=f"the least possible is {least}",
            minimum=least,
        )


def _limit(graph: Graph, limit: Polynomial | None) -> Height | None:
    """Return the limit as a number or a maximum, checked against the inputs and the output."""
    if limit is None:
        return None
    if not Polynomial.constant(1).below(limit):
        raise InvalidSize(f"a memory limit of {limit} elements", remedy="give a limit >= 1", value=limit.sympy())
    if not limit.names and not graph.numeric:
        raise NeedsSizes(
            f"whether an array fits in {limit} elements depends on the sizes {', '.join(graph.names)}",
            remedy="give every size, or a limit that is a polynomial in the sizes",
        )
    bound: Height = int(limit.value({})) if graph.numeric else height(limit)
    arrays = [graph.volume(block.axes) for block in graph.order if isinstance(block, Leaf)]
    for array in [*arrays, *(graph.volume(result.axes) for result in results(graph.root))]:
        if not below(height(array), bound):
            raise MemoryLimit(
                f"a memory limit of {limit} elements is not proved to hold an input or the output of {array} elements",
                remedy=f"give at least {array}",
                minimum=symbolic(array),
            )
    return bound
