"""A second process that searches beside this one, with other chances.

Annealing is left to chance, so that the better of two runs is often much better than one: where a search
has time and the machine a second processor, another interpreter runs the same portfolio from another
seed.  It is given the network as JSON and returns a path as JSON; where it cannot be started, or does not
answer in time, the search goes on without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tensoralg.plan.hypergraph import Hypergraph, Rooted
from tensoralg.plan.portfolio import Effort, portfolio
from tensoralg.plan.tree import from_path, to_path

LEAST = 3.0
"""Seconds of a search from which a second process is worth its start."""
SHARE = 0.94  # of the time, after which the second process answers
SEEDS = 1_000_003


@contextmanager
def beside(
    graph: Hypergraph, minimize: str, limit: int | None, seed: int, effort: Effort
) -> Iterator[Callable[[], list[Rooted]]]:
    """Search in a second process while the body runs; what it yields returns the tree found there, if any.

    Parameters
    ----------
    graph : Hypergraph
        The network.
    minimize, limit
        See :class:`tensoralg.plan.hypergraph.Objective`.
    seed : int
        The seed of the search here; the other's is made from it.
    effort : Effort
        The time of the search here; without a time limit there is no second process.
    """
    process = None
    if effort.stop is not None and effort.stop - effort.begun >= LEAST and _processors() > 1:
        process = _started(graph, minimize, limit, seed * SEEDS + 1, effort)

    def found() -> list[Rooted]:
        if process is None or effort.stop is None:
            return []
        with suppress(subprocess.TimeoutExpired, ValueError, TypeError, OSError):
            text, _ = process.communicate(timeout=max(0.05, effort.stop - time.monotonic()))
            return [Rooted.of(graph, from_path(json.loads(text), graph.count))]
        return []

    try:
        yield found
    finally:
        if process is not None:
            process.kill()
            process.communicate()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _started(
    graph: Hypergraph, minimize: str, limit: int | None, seed: int, effort: Effort
) -> subprocess.Popen[str] | None:
    assert effort.stop is not None
    task = {
        "carried": graph.carried,
        "output": graph.output,
        "sizes": graph.sizes,
        "minimize": minimize,
        "limit": limit,
        "seed": seed,
        "until": time.time() + SHARE * (effort.stop - time.monotonic()),
    }
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(path for path in (root, os.environ.get("PYTHONPATH", "")) if path)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            text=True,
        )
    except OSError:
        return None
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(json.dumps(task))
        process.stdin.close()
    process.stdin = None
    return process


def answer(text: str) -> str:
    """Return the path for a task, both as JSON.

    Examples
    --------
    >>> task = {"carried": [3, 6, 12], "output": 9, "sizes": [2, 3, 5, 7], "minimize": "flops", "limit": None}
    >>> answer(json.dumps({**task, "seed": 0, "until": time.time() + 0.1}))
    '[[0, 1], [0, 1]]'
    """
    task = json.loads(text)
    graph = Hypergraph(task["carried"], task["output"], task["sizes"])
    effort = Effort(stop=time.monotonic() + max(0.0, task["until"] - time.time()))
    best = portfolio(graph, task["minimize"], task["limit"], task["seed"], effort)[0]
    return json.dumps(to_path(best.tree()))


if __name__ == "__main__":
    print(answer(sys.stdin.read()))
