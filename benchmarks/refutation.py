"""How long near misses of large networks take to refute.

Run ``python benchmarks/refutation.py [--quick]``; it writes ``benchmarks/results/refutation.json``.  Each row is a
claim that is false by one exchange of two edges, one transposed tensor or two exchanged letters; how
often it was refuted by a confirmed witness is part of the result.  No peer is timed: those that read such networks
(sympy's tensors, cadabra) have no refutation.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from machine import cpu  # noqa: E402
from networks import Edges, brick_wall, cubic, network, rewired, tree, word  # noqa: E402

import tensoralg as ta  # noqa: E402
from tensoralg.proof.covers import covering_search  # noqa: E402
from tensoralg.proof.prove import state  # noqa: E402
from tensoralg.proof.refute import Claim, counterexample, is_long, search, shrink  # noqa: E402
from tensoralg.proof.sparse import sparse_search  # noqa: E402
from tensoralg.proof.verdict import Counterexample  # noqa: E402
from tensoralg.proof.wiring import wired  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "refutation.json"
Pair = tuple[ta.Definition, ta.Definition]


def wall(size: int, _: int) -> Edges:
    """Return a brick wall that is as wide as high."""
    side = math.isqrt(size)
    return brick_wall(side, side)


def exchanged(graph: Callable[[int, int], Edges], size: int, alike: bool, symmetric: bool, seed: int) -> Pair:
    edges = graph(size, seed)
    left, right = (network(found, alike, symmetric) for found in (edges, rewired(edges, seed)))
    return left, right


def transposed(size: int, alike: bool, seed: int) -> Pair:
    edges = cubic(size, seed)
    return network(edges, alike), network(edges, alike, turned=Random(seed).randrange(size))


def letters(size: int, alphabet: str, seed: int) -> Pair:
    random = Random(seed)
    text = "".join(random.choice(alphabet) for _ in range(size))
    k = next(k for k in range(size // 3, size - 1) if text[k] != text[k + 1])
    return word(text), word(text[:k] + text[k + 1] + text[k] + text[k + 2 :])


def cases(size: int) -> list[tuple[str, Callable[[int], Pair]]]:
    """Return the families of near misses at a size, each made from a seed."""
    found: list[tuple[str, Callable[[int], Pair]]] = []
    for title, graph in (("random cubic", cubic), ("tree", tree), ("brick wall", wall)):
        for alike in (False, True):
            for symmetric in (False, True):
                name = f"{title}, {'like' if alike else 'distinct'} {'symmetric ' if symmetric else ''}tensors"
                make = lambda seed, g=graph, a=alike, s=symmetric: exchanged(g, size, a, s, seed)  # noqa: E731
                found.append((f"{name}, edges exchanged", make))
    for alike in (False, True):
        name = f"random cubic, {'like' if alike else 'distinct'} tensors, one transposed"
        found.append((name, lambda seed, a=alike: transposed(size, a, seed)))
    found.append(("trace word in 3 letters, two exchanged", lambda seed: letters(size, "ABC", seed)))
    return found


def refute(claim: Claim) -> tuple[str, Counterexample | None]:
    """Return how a claim was refuted, and the witness."""
    wiring = wired(claim) if is_long(claim) else None
    sparse = covering_search(wiring) if wiring is not None and wiring.folds() else None
    if sparse is None and is_long(claim):
        sparse = sparse_search(claim)
    if sparse is not None:
        return "sparse" if sparse.basis == "orthonormal" else "complex", sparse
    found = search(claim, Random(0), tries=1, levels=3).found
    return "dense", counterexample(claim, shrink(claim, found)) if found is not None else None


def run(sizes: list[int], seeds: int) -> dict[str, object]:
    """Return the measured table."""
    rows = []
    for size in sizes:
        for name, make in cases(size):
            times, stated, ways = [], [], []
            for seed in range(seeds):
                left, right = make(seed)
                begun = time.perf_counter()
                claim = state(left, right, [], None).claim
                stated.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                way, witness = refute(claim)
                times.append(time.perf_counter() - begun)
                ways.append(way if witness is not None else "not found")
            seconds = statistics.median(times)
            rows.append(
                {
                    "claim": name,
                    "tensors": size,
                    "refuted": sum(way != "not found" for way in ways),
                    "of": seeds,
                    "ways": sorted(set(ways)),
                    "median_seconds": seconds,
                    "median_seconds_to_read_the_claim": statistics.median(stated),
                }
            )
            print(
                f"{size:5} {name:<62} {seconds:7.3f} s  {' '.join(f'{w}:{ways.count(w)}' for w in sorted(set(ways)))}"
            )
    return {
        "rows": rows,
        "versions": {name: version(name) for name in ("tensoralg", "numpy", "opt_einsum")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {cpu()}",
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed at 300 tensors, nothing is written")
    options = parser.parse_args()
    table = run([300], 1) if options.quick else run([300, 1000], 5)
    if not options.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
