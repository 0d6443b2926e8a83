"""Orders of large networks: many ways to start, annealing in rounds, parts made optimal.

No single method is good on all networks, so the search is a portfolio:

1. *Starts*: greedy orders with and without chance (`plan.greedy`), recursive bisections and the best
   trees of rows (`plan.bisection`, `plan.linear`), and what others propose (`plan.optimizers`).
2. *Rounds* of annealing (`plan.anneal`), the first from the best start, later ones from other starts or,
   less hot, from the best tree so far.  Short runs many times suit small networks, long ones large.
3. After every round the parts of its tree are made optimal (`plan.subtrees`).

Without a time limit the amount of work is fixed, and the result depends on the seed alone.  With one,
how far the search gets depends on the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tensoralg.plan.anneal import Schedule, anneal
from tensoralg.plan.bisection import bisected
from tensoralg.plan.greedy import greedy
from tensoralg.plan.hypergraph import Hypergraph, Objective, Rooted
from tensoralg.plan.linear import in_a_row, leaves_in_order
from tensoralg.plan.subtrees import reoptimised

MOVES = 1_000_000
MOVES_PER_OPERAND = 40_000
ROUND = 400_000
ROUNDS = 12
PART = 8
LAST_PART = 10
PARTS = 400  # that are made optimal after each round, where there is no time limit
GREEDY = 12
LARGE = 2400  # operands of all greedy orders together
KEPT = 3
IN_A_ROW = 450
BISECTED = 900
FIRST, LAST = 0.2, 0.95  # the shares of the time after which the starts and the rounds are over
POLISH = 0.06  # the share of a round in which parts are made optimal
SPEED = 700_000  # moves in a second, to choose the number of rounds


@dataclass
class Effort:
    """How much to search.

    Attributes
    ----------
    moves : int
        Moves of annealing in all, where there is no time limit.
    stop : float, optional
        The time of `time.monotonic()` at which to be done.
    """

    moves: int = MOVES
    stop: float | None = None
    begun: float = field(default_factory=time.monotonic)

    def over(self, share: float = 1.0) -> bool:
        """Whether a share of the time has passed."""
        return self.stop is not None and self.passed() >= share

    def passed(self) -> float:
        """Return the share of the time that has passed (none where there is no limit)."""
        if self.stop is None:
            return 0.0
        span = self.stop - self.begun
        return (time.monotonic() - self.begun) / span if span > 0 else 1.0

    def until(self, share: float) -> float | None:
        """Return the time at which a share of the time will have passed."""
        return None if self.stop is None else self.begun + share * (self.stop - self.begun)


def portfolio(
    graph: Hypergraph,
    minimize: str = "flops",
    limit: int | None = None,
    seed: int = 0,
    effort: Effort | None = None,
    others: Callable[[Effort], Iterator[Rooted]] | None = None,
    begin: Callable[[str], None] = lambda description: None,
) -> list[Rooted]:
    """Return the trees that were found, the best (by the objective of the search) first.

    Parameters
    ----------
    graph : Hypergraph
        A contraction of at least one operand.
    minimize, limit
        See :class:`tensoralg.plan.hypergraph.Objective`.
    seed : int
        The seed of all that is left to chance.
    effort : Effort, optional
        How much to search.
    others : callable, optional
        Further starts.
    begin : callable, optional
        Called with a description as each round begins.
    """
    effort = effort or Effort()
    rng = Random(seed)
    first = greedy(graph)
    if graph.count < 3:
        return [first]
    objective = Objective(graph, first, minimize, limit)
    starts = _sorted(objective, [first, *_starts(objective, first, rng, effort, others)])
    # later amounts are relative to the best start: a bad one must not make all others vanish
    objective = Objective(graph, starts[0], minimize, limit)
    best = [starts[0]]
    rounds = rounds_of(graph.count, effort)
    sweeps = max(20, min(effort.moves, MOVES_PER_OPERAND * graph.count) // (rounds * (graph.count - 1)))
    opening = effort.passed()
    parts = None if effort.stop is not None else PARTS
    for number in range(rounds):
        begin(f"annealing, round {number + 1} of {rounds}")
        hot, start = _round(number, starts, best[0])
        done = (number + 1) / rounds
        schedule = Schedule(sweeps, effort.until(opening + (LAST - opening) * (done - POLISH / rounds)), hot)
        _, found = anneal(objective, start, schedule, rng)
        found = reoptimised(objective, found, PART, effort.until(opening + (LAST - opening) * done), parts)
        best = _sorted(objective, [*best, found])
        if effort.over(LAST):
            break
    best = [reoptimised(objective, best[0], LAST_PART, effort.until(1.0), parts), *best, starts[0]]
    return _sorted(objective, best)[:KEPT]


def _sorted(objective: Objective, trees: list[Rooted]) -> list[Rooted]:
    return sorted(trees, key=objective.total)


def rounds_of(count: int, effort: Effort) -> int:
    """Return the number of rounds for so many operands."""
    moves = effort.moves if effort.stop is None else int((effort.stop - effort.begun) * SPEED)
    return max(2, min(ROUNDS, moves // (ROUND * max(1, count // 40))))


def _round(number: int, starts: list[Rooted], best: Rooted) -> tuple[float, Rooted]:
    """Return the inverse temperature at which a round begins, and the tree: every third goes on from the best."""
    if number % 3 == 2:
        return 4.0, best
    fresh = number - number // 3
    # what a network of many hyperedges needs is hotter than what a lattice bears, so both are tried
    return (2.0, 1.0)[fresh // 2 % 2], starts[fresh % len(starts)]


def _starts(
    objective: Objective,
    first: Rooted,
    rng: Random,
    effort: Effort,
    others: Callable[[Effort], Iterator[Rooted]] | None,
) -> Iterator[Rooted]:
    """Yield trees to start from, the quickest first."""
    graph = objective.graph
    light = effort.stop is None and effort.moves < MOVES // 2
    yield greedy(graph, rng, 0.2, 1.0)
    if not light:
        yield from _in_order(objective, rng, effort)
    for number in range(1 if light else max(1, min(GREEDY, LARGE // graph.count))):
        if effort.over(FIRST):
            return
        yield greedy(graph, rng, 0.1 * 2.0 ** (number % 4), 0.5 + 0.5 * (number % 3))
    if others is not None and not light and not effort.over(FIRST):
        yield from others(effort)


def _in_order(objective: Objective, rng: Random, effort: Effort) -> Iterator[Rooted]:
    """Yield trees from the order in which operands are written, and from bisections."""
    graph = objective.graph
    if graph.count <= IN_A_ROW:
        yield in_a_row(objective, range(graph.count))
    for noise in (0.5, 0.0):
        if graph.count <= BISECTED and not effort.over(FIRST):
            tree = bisected(graph, rng, noise)
            yield tree
            if graph.count <= IN_A_ROW and not effort.over(FIRST):
                yield in_a_row(objective, leaves_in_order(tree))
