"""Orders for and from other packages: opt_einsum's interface, and opt_einsum and cotengra as searches.

`Optimizer` hands our orders to opt_einsum (`optimize=Optimizer(...)`).  In the other direction,
opt_einsum's random greedy search is driven with our prices in place of its own (its own cost of a pair
forgets which operands still hold a label, its issue 254), and cotengra's hyper-optimisation, where it
is installed, proposes trees.  All are only starts for the search of `plan.portfolio`.
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import opt_einsum
from opt_einsum.paths import PathOptimizer, ssa_to_linear

from tensoralg.plan.beside import beside
from tensoralg.plan.bounded import MOST, PAIRS, proved
from tensoralg.plan.hypergraph import Hypergraph, Rooted, bits
from tensoralg.plan.portfolio import LARGE, MOVES, Effort, portfolio
from tensoralg.plan.tree import Tree, from_path, to_path

REPEATS = 8
QUICK = 1_500  # moves for each operand before a proof is tried
COTENGRA_SHARE = 0.06
COTENGRA_COUNT = 12  # operands for each second: a trial of cotengra is not interrupted, and may take that long


class Optimizer(PathOptimizer):  # type: ignore[misc]
    """Our search for orders as an optimizer of opt_einsum.

    Parameters
    ----------
    minimize : "flops" or "largest"
        What comes first.
    seconds : float, optional
        The time for one network.  Without it the amount of work is fixed, and the same seed gives the same path.
    seed : int
        The seed of the search.

    Examples
    --------
    >>> import numpy as np, opt_einsum
    >>> a, b, c = np.ones((2, 3)), np.ones((3, 5)), np.ones((5, 7))
    >>> opt_einsum.contract_path("ab,bc,cd->ad", a, b, c, optimize=Optimizer())[0]
    [(0, 1), (0, 1)]
    """

    def __init__(self, minimize: str = "flops", seconds: float | None = None, seed: int = 0) -> None:
        self.minimize, self.seconds, self.seed = minimize, seconds, seed

    def __call__(
        self,
        inputs: Sequence[Collection[Any]],
        output: Collection[Any],
        size_dict: Mapping[Any, int],
        memory_limit: int | None = None,
    ) -> list[tuple[int, ...]]:
        """Return the path; one step for all operands where no order keeps to the limit, as opt_einsum does."""
        begun = time.monotonic()
        if len(inputs) < 3:
            return [tuple(range(len(inputs)))]
        graph = Hypergraph.of(inputs, output, size_dict)
        # what follows the search, and a clock read late, are paid from the budget
        stop = None if self.seconds is None else begun + 0.97 * self.seconds
        limit = memory_limit if memory_limit is not None and memory_limit > 0 else None
        trees, _ = search(graph, self.minimize, limit, self.seed, Effort(stop=stop, begun=begun))
        best = min(trees, key=lambda tree: _key(graph, tree, self.minimize, limit))
        if limit is not None and largest(graph, best) > limit:
            return [tuple(range(len(inputs)))]
        return to_path(best.tree())


def _key(graph: Hypergraph, tree: Rooted, minimize: str, limit: int | None) -> tuple[bool, int, int]:
    flops, most = graph.flops(tree.tree()), largest(graph, tree)
    over = limit is not None and most > limit
    return (over, flops, most) if minimize == "flops" else (over, most, flops)


def largest(graph: Hypergraph, tree: Rooted) -> int:
    """Return the elements of the largest result of a step."""
    return max((graph.volume(tree.kept[node]) for node in tree.joins()), default=0)


def search(
    graph: Hypergraph,
    minimize: str,
    limit: int | None,
    seed: int,
    effort: Effort,
    begin: Callable[[str], None] = lambda description: None,
) -> tuple[list[Rooted], bool]:
    """Return trees, and whether the first is proved to have the least FLOPs.

    Small networks are proved optimal where that takes little; for the others a portfolio is searched, the
    proposals of other packages among its starts.
    """
    if minimize == "flops" and 2 < graph.count <= MOST:
        begin("looking for a proof")
        quick = portfolio(graph, minimize, limit, seed, Effort(min(QUICK * graph.count, effort.moves)))
        best = proved(graph, quick[0], limit, PAIRS * effort.moves // MOVES, effort.until(0.6))
        if best is not None:
            return [best], True

    def others(effort: Effort) -> Iterator[Rooted]:
        return proposals(graph, minimize, seed, effort)

    if minimize == "flops":
        with beside(graph, minimize, limit, seed, effort) as elsewhere:
            trees = portfolio(graph, minimize, limit, seed, effort, others, begin)
            trees += elsewhere()
        return sorted(trees, key=lambda tree: _key(graph, tree, minimize, limit)), False
    # trees of few FLOPs are often those of a small peak, which no sum over steps describes
    half = Effort(effort.moves // 2, effort.until(0.5), effort.begun)
    found = portfolio(graph, minimize, limit, seed, half, others, begin)
    rest = Effort(effort.moves // 2, effort.stop)
    found += portfolio(graph, "flops", limit, seed, rest, None, begin)
    return found, False


def proposals(graph: Hypergraph, minimize: str, seed: int, effort: Effort) -> Iterator[Rooted]:
    """Yield trees that opt_einsum and cotengra propose."""
    inputs = [frozenset(_names(labels)) for labels in graph.kept]
    output = frozenset(_names(graph.everything))
    sizes = {opt_einsum.get_symbol(label): size for label, size in enumerate(graph.sizes)}
    seconds = None if effort.stop is None else effort.stop - effort.begun
    with _global_chance_kept():
        repeats = max(1, min(REPEATS, LARGE // graph.count))
        trials = PricedGreedy(graph, max_repeats=repeats, max_time=seconds and 0.02 * seconds)
        trials._repeats_start = repeats * seed
        yield Rooted.of(graph, from_path(trials(inputs, output, sizes), graph.count))
    # the work of cotengra cannot be fixed by a seed, so it has a part only where the clock decides
    if seconds is not None and graph.count <= COTENGRA_COUNT * seconds:
        yield from from_cotengra(graph, inputs, output, sizes, minimize, COTENGRA_SHARE * seconds)


class PricedGreedy(opt_einsum.RandomGreedy):  # type: ignore[misc]
    """opt_einsum's random greedy search, its trials priced by our cost model."""

    def __init__(self, graph: Hypergraph, **options: Any) -> None:
        super().__init__(**options)
        self.graph = graph

    def setup(self, inputs: Any, output: Any, size_dict: Any) -> tuple[Any, Any]:
        """Return the function that makes a trial, and its arguments."""
        trial, arguments = super().setup(inputs, output, size_dict)

        def priced(number: int, *given: Any) -> tuple[Any, int, int]:
            path, _, _ = trial(number, *given)
            tree = from_path(ssa_to_linear(path), self.graph.count)
            return path, self.graph.flops(tree), largest(self.graph, Rooted.of(self.graph, tree))

        return priced, arguments


def from_cotengra(
    graph: Hypergraph,
    inputs: Sequence[Collection[str]],
    output: Collection[str],
    sizes: Mapping[str, int],
    minimize: str,
    seconds: float,
) -> Iterator[Rooted]:
    """Yield the best tree of cotengra's hyper-optimisation, if it is installed and finds one."""
    if find_spec("cotengra") is None:
        return
    import cotengra

    with warnings.catch_warnings(), _global_chance_kept():
        warnings.simplefilter("ignore")  # about optional packages, and trials that fail
        hyper = cotengra.HyperOptimizer(
            minimize="flops" if minimize == "flops" else "size",
            max_time=seconds,
            parallel=False,
            reconf_opts=None,  # parts are made optimal by our own program, which is exact with hyperedges
            optlib="random",
            on_trial_error="ignore",
        )
        found = hyper.search([tuple(sorted(labels)) for labels in inputs], tuple(sorted(output)), dict(sizes))
    tree: Tree = from_path(found.get_path(), graph.count)
    yield Rooted.of(graph, tree)


def _names(labels: int) -> list[str]:
    return [opt_einsum.get_symbol(label.bit_length() - 1) for label in bits(labels)]


@contextmanager
def _global_chance_kept() -> Iterator[None]:
    """Leave the global generator of random numbers as it was; others seed it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
