"""Simulated annealing of contraction trees by local rotations.

A move takes a join p with a part that is itself a join, ``((a b) c)``, and makes ``((a c) b)`` of it or
``((b c) a)``; these moves reach every tree.  Two steps change, and the move is accepted with
probability ``min(1, (old / new) ** beta)``, where `old` and `new` are the costs of those two steps.  The
ratio is local: with the cost of the whole tree, what is cheap would drift until it is not (measured: on
lattices of 144 tensors trees end three times as expensive).  The inverse temperature `beta` grows
linearly, from 2 to 12 unless told otherwise (below 2 most of a good start is lost, above 12 little moves:
measured on lattices and random regular graphs of 144 to 216 tensors).  One *sweep* tries a move at every join.

The method is that of Kalachev, Panteleev & Yung, arXiv 2108.05665 (2021), with the local rotations and
sweeps of `TreeSA` in OMEinsumContractionOrders.jl (Liu, Gao, Cain, Lukin & Wang, arXiv 2205.03718).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from tensoralg.plan.hypergraph import Objective, Rooted


@dataclass(frozen=True)
class Schedule:
    """How long to anneal, and how hot.

    Attributes
    ----------
    sweeps : int
        The number of sweeps.
    stop : float, optional
        A time of `time.monotonic()` to end at; the schedule then follows the clock, and `sweeps` is no limit.
    hot, cold : float
        The inverse temperature at the beginning and at the end.
    """

    sweeps: int = 1000
    stop: float | None = None
    hot: float = 2.0
    cold: float = 12.0


def anneal(objective: Objective, tree: Rooted, schedule: Schedule, rng: Random) -> tuple[float, Rooted]:
    """Return the best tree that was seen at the end of a sweep, with its cost; `tree` itself is left alone.

    Examples
    --------
    >>> from tensoralg.plan.hypergraph import Hypergraph
    >>> graph = Hypergraph.of(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 5, "d": 7})
    >>> start = Rooted.of(graph, (0, (1, 2)))
    >>> _, found = anneal(Objective(graph, start), start, Schedule(50), Random(0))
    >>> graph.flops(start.tree()), graph.flops(found.tree())
    (294, 200)
    """
    work = tree.copy()
    costs = objective.steps(work)
    least, best = sum(costs), tree
    if work.count < 3:
        return least, best
    start = time.monotonic()
    span = None if schedule.stop is None else schedule.stop - start
    done = 0
    while True:
        progress = done / schedule.sweeps if span is None else (time.monotonic() - start) / span if span > 0 else 1.0
        if progress >= 1:
            return least, best
        beta = schedule.hot + (schedule.cold - schedule.hot) * progress
        _sweep(objective, work, costs, beta, rng)
        done += 1
        total = sum(costs)
        if total < least:
            least, best = total, work.copy()


def _sweep(objective: Objective, tree: Rooted, costs: list[float], beta: float, rng: Random) -> None:
    """Try a move at every join, in place.

    This loop is where the search spends its time, so everything it needs is a local name.
    """
    left, right, kept = tree.left, tree.right, tree.kept
    work, held = objective.work, objective.held
    random, draw, count = rng.random, rng.getrandbits, tree.count
    for node in range(count, 2 * count - 1):
        part, third = left[node], right[node]
        choice = draw(2)
        if choice & 1:
            part, third = third, part
        if part < count:
            if third < count:
                continue
            part, third = third, part
        if choice & 2:
            first, second = left[part], right[part]
        else:
            second, first = left[part], right[part]
        # ((first second) third) becomes ((first third) second)
        whole, rest = kept[node], kept[second]
        lower = kept[first] | kept[third]
        inner = lower & (rest | whole)
        upper = inner | rest
        below, above = work[lower], work[upper]
        if inner != lower:
            below += below
        if whole != upper:
            above += above
        if held is not None:
            below += held[inner]
            above += held[whole]
        new, old = below + above, costs[part] + costs[node]
        if new <= old or random() < (old / new) ** beta:
            left[part], right[part], left[node], right[node] = first, third, part, second
            kept[part], costs[part], costs[node] = inner, below, above
