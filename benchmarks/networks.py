"""Orders of large networks against opt_einsum's and cotengra's, at equal time and priced by one cost model.

    python benchmarks/networks.py [--budget 5 --budget 30] [--seeds 5] [--only TEXT] [--workers]
                                  [--output benchmarks/results/networks.json]

Before any clock runs, the gate: prices of random orders must equal those of an oracle that runs them step
by step.  Then, network after network, every planner searches for the same time, one after the other in
one process, so that a load on the machine meets all alike.  Reported are the FLOPs of our order over
those of the best peer's: the geometric mean, and the worst network; and again over those peers alone that
took at most a tenth longer than they were given (cotengra ends no trial early).  Results are written after every
network, and what the file holds already is not measured again (`--fresh` begins anew).

Lattices and random regular graphs come from cotengra's generators (which `einsum_benchmark` has taken
over), random networks from `opt_einsum.testing.rand_equation`; matrix product states and hypergraphs
are made here.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import cotengra  # noqa: E402
import opt_einsum  # noqa: E402
from cotengra.utils import lattice_equation, randreg_equation  # noqa: E402
from machine import cpu  # noqa: E402
from opt_einsum.testing import rand_equation  # noqa: E402
from plan.oracle import run  # noqa: E402

from tensoralg.plan import Optimizer  # noqa: E402
from tensoralg.plan.hypergraph import Hypergraph  # noqa: E402
from tensoralg.plan.tree import from_path, to_path  # noqa: E402

Network = tuple[list[str], str, dict[str, int]]
Planner = Callable[[Network, float, int], Any]
OPTIONAL = ("kahypar", "cotengrust", "optuna", "cmaes")


def lattice(*dims: int, cyclic: bool = False) -> Callable[[int], Network]:
    """A lattice whose bonds have the size 2."""

    def make(seed: int) -> Network:
        inputs, output, _, sizes = lattice_equation(dims, cyclic=cyclic, d_min=2, seed=seed)
        return ["".join(term) for term in inputs], "".join(output), sizes

    return make


def regular(count: int) -> Callable[[int], Network]:
    """A random graph of degree 3 with bonds of the sizes 2 and 3."""

    def make(seed: int) -> Network:
        inputs, output, _, sizes = randreg_equation(count, 3, d_min=2, d_max=3, seed=seed)
        return ["".join(term) for term in inputs], "".join(output), sizes

    return make


def random_network(count: int, regularity: int) -> Callable[[int], Network]:
    """A random connected network with three outputs."""

    def make(seed: int) -> Network:
        equation, _, sizes = rand_equation(
            count, regularity, n_out=3, d_min=2, d_max=5, seed=seed, return_size_dict=True
        )
        left, output = equation.split("->")
        return left.split(","), output, sizes

    return make


def expectation(sites: int, operator: bool) -> Callable[[int], Network]:
    """The inner product of two matrix product states of random bonds, with an operator between them if wanted."""

    def make(seed: int) -> Network:
        rng = random.Random(seed)
        names = map(opt_einsum.get_symbol, range(10**6))
        sizes: dict[str, int] = {}

        def fresh(least: int, most: int) -> str:
            name = next(names)
            sizes[name] = rng.randint(least, most)
            return name

        rows = 3 if operator else 2
        bonds = [
            ["", *(fresh(4, 6) if row == 1 and operator else fresh(16, 40) for _ in range(sites - 1)), ""]
            for row in range(rows)
        ]
        inputs = []
        for site in range(sites):
            legs = ["", *(fresh(2, 4) for _ in range(rows - 1)), ""]
            inputs += [
                bonds[row][site] + bonds[row][site + 1] + "".join(pair) for row, pair in enumerate(pairwise(legs))
            ]
        return inputs, "", sizes

    return make


def hypergraph(count: int) -> Callable[[int], Network]:
    """A random connected hypernetwork: every index on two to four tensors, three on average to a tensor."""

    def make(seed: int) -> Network:
        rng = random.Random(seed)
        terms: list[list[str]] = [[] for _ in range(count)]
        names = map(opt_einsum.get_symbol, range(10**6))
        sizes: dict[str, int] = {}

        def put(tensors: list[int]) -> None:
            name = next(names)
            sizes[name] = rng.randint(2, 4)
            for tensor in tensors:
                terms[tensor].append(name)

        for tensor in range(1, count):
            put([tensor, *rng.sample(range(tensor), min(tensor, rng.randint(1, 2)))])
        while sum(map(len, terms)) < 3 * count:
            put(rng.sample(range(count), rng.randint(2, 4)))
        return ["".join(term) for term in terms], "".join(rng.sample(sorted(sizes), 2)), sizes

    return make


# fixed networks differ between seeds only in what chance does to the searches
NETWORKS: dict[str, Callable[[int], Network]] = {
    "lattice 8x8": lattice(8, 8),
    "lattice 12x12": lattice(12, 12),
    "lattice 8x8 periodic": lattice(8, 8, cyclic=True),
    "lattice 12x12 periodic": lattice(12, 12, cyclic=True),
    "lattice 4x4x4": lattice(4, 4, 4),
    "lattice 6x6x6": lattice(6, 6, 6),
    "lattice 4x4x4 periodic": lattice(4, 4, 4, cyclic=True),
    "regular 60": regular(60),
    "regular 200": regular(200),
    "states, 50 sites": expectation(50, False),
    "states, 200 sites": expectation(200, False),
    "operator, 100 sites": expectation(100, True),
    "hypergraph 30": hypergraph(30),
    "hypergraph 60": hypergraph(60),
    "hypergraph 100": hypergraph(100),
    "random 40": random_network(40, 3),
    "random 80": random_network(80, 3),
}


def ours(network: Network, seconds: float, seed: int) -> Any:
    inputs, output, sizes = network
    return Optimizer(seconds=seconds, seed=seed)([frozenset(t) for t in inputs], frozenset(output), sizes)


def auto_hq(network: Network, seconds: float, seed: int) -> Any:
    inputs, output, sizes = network
    return opt_einsum.paths.get_path_fn("auto-hq")([frozenset(t) for t in inputs], frozenset(output), sizes, None)


def random_greedy(network: Network, seconds: float, seed: int) -> Any:
    inputs, output, sizes = network
    search = opt_einsum.RandomGreedy(max_repeats=10**9, max_time=seconds)
    search._repeats_start = seed * 10**6
    return search([frozenset(t) for t in inputs], frozenset(output), sizes)


def hyper(**options: Any) -> Planner:
    def planner(network: Network, seconds: float, seed: int) -> Any:
        inputs, output, sizes = network
        search = cotengra.HyperOptimizer(
            max_time=seconds,
            max_repeats=10**6,
            reconf_opts={},
            on_trial_error="ignore",
            **{"parallel": False, **options},
        )
        return search.search([tuple(t) for t in inputs], tuple(output), sizes).get_path()

    return planner


def planners(workers: bool) -> Iterator[tuple[str, Planner]]:
    """Yield ours, then the peers."""
    yield "tensoralg", ours
    yield "opt_einsum auto-hq", auto_hq
    yield "opt_einsum random greedy", random_greedy
    yield "cotengra hyper", hyper()
    yield "cotengra hyper, annealed", hyper(simulated_annealing_opts={})
    if workers:
        yield "cotengra hyper, 2 workers", hyper(parallel=2)


def gate(count: int) -> None:
    """Stop unless prices of random orders equal those of the oracle."""
    rng = random.Random(9775)
    for _ in range(count):
        inputs, output, sizes = hypergraph(rng.randint(4, 9))(rng.randrange(10**6))
        parts: list[Any] = list(range(len(inputs)))
        while len(parts) > 1:
            pair = (parts.pop(rng.randrange(len(parts))), parts.pop(rng.randrange(len(parts))))
            parts.append(pair)
        price = Hypergraph.of(inputs, output, sizes).flops(from_path(to_path(parts[0]), len(inputs)))
        wanted = run(inputs, output, sizes, parts[0])[0]
        if price != wanted:
            raise SystemExit(f"wrong price of {parts[0]} in {inputs} -> {output}: {price} instead of {wanted}")


def measure(network: Network, seconds: float, seed: int, workers: bool) -> dict[str, dict[str, float]]:
    """Return, for each planner, the logarithm of the FLOPs of its order and the seconds it took."""
    graph = Hypergraph.of(*network)
    found = {}
    for name, planner in planners(workers):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            path = planner(network, seconds, seed)
            spent = time.perf_counter() - start
        flops = graph.flops(from_path(path, graph.count))
        found[name] = {"log10_flops": math.log10(flops), "seconds": round(spent, 2)}
    return found


def ratio(measured: dict[str, dict[str, float]], most: float = math.inf) -> float:
    """Return our FLOPs over those of the best peer (of those that took no more seconds than `most`)."""
    peers = [values for name, values in measured.items() if name != "tensoralg" and values["seconds"] <= most]
    best = min((values["log10_flops"] for values in peers), default=math.inf)
    return float(10 ** (measured["tensoralg"]["log10_flops"] - best))


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Return, for each budget, the geometric mean and the worst of the ratios, over all and by network."""
    found = {}
    for budget, networks in results.items():
        ratios = {name: [ratio(measured) for measured in runs.values()] for name, runs in networks.items()}
        every = [value for values in ratios.values() for value in values]
        most = 1.1 * float(budget.split()[0]) + 0.2
        in_time = [ratio(measured, most) for runs in networks.values() for measured in runs.values()]
        in_time = [value for value in in_time if value > 0]
        found[budget] = {
            "runs": len(every),
            "geometric mean": statistics.geometric_mean(every),
            "worst": max(every),
            "least": min(every),
            "over peers that kept to the time": {
                "runs": len(in_time),
                "geometric mean": statistics.geometric_mean(in_time),
                "worst": max(in_time),
            },
            "longest seconds of ours": max(
                runs[seed]["tensoralg"]["seconds"] for runs in networks.values() for seed in runs
            ),
            "by network": {
                name: {"geometric mean": statistics.geometric_mean(values), "worst": max(values)}
                for name, values in ratios.items()
            },
        }
    return found


def main() -> None:
    """Measure what is missing and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, action="append", help="seconds for every planner; default 5 and 30")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="networks with this text in their name")
    parser.add_argument("--workers", action="store_true", help="also cotengra with two processes")
    parser.add_argument("--fresh", action="store_true", help="forget what the file holds")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/networks.json")
    options = parser.parse_args()
    gate(200)
    known = json.loads(options.output.read_text()) if options.output.exists() and not options.fresh else {}
    results: dict[str, Any] = known.get("results", {})
    for budget in options.budget or [5.0, 30.0]:
        for seed in range(options.seeds):
            for name, make in NETWORKS.items():
                runs = results.setdefault(f"{budget:g} s", {}).setdefault(name, {})
                if options.only not in name or str(seed) in runs:
                    continue
                runs[str(seed)] = measure(make(seed), budget, seed, options.workers)
                line = ", ".join(
                    f"{x} {y['log10_flops']:.3f} ({y['seconds']:.1f} s)" for x, y in runs[str(seed)].items()
                )
                print(f"{budget:g} s, {name}, seed {seed}: ratio {ratio(runs[str(seed)]):.3f}; {line}", flush=True)
                write(options.output, results)


def write(output: Path, results: dict[str, Any]) -> None:
    """Write what has been measured so far, with the versions it was measured with."""
    measured = {budget: {name: runs for name, runs in networks.items() if runs} for budget, networks in results.items()}
    measured = {budget: networks for budget, networks in measured.items() if networks}
    packages = ("opt_einsum", "cotengra", *(name for name in OPTIONAL if find_spec(name)))
    found = {
        "machine": {"cpu": cpu(), "python": platform.python_version(), "processors": os.cpu_count()},
        "versions": {name: version(name) for name in packages},
        "summary": summary(measured),
        "results": measured,
    }
    output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
