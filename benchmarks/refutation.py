"""How long near misses of large networks take to refute.

Run ``python benchmarks/refutation.py [--quick]``; it writes ``benchmarks/results/refutation.json``.  Each row is a
claim that is false by one exchange of two edges, one transposed tensor or two exchanged letters; how
often it was refuted by a confirmed witness is part of the result.  No peer is timed: those that read such networks
(sympy's tensors, cadabra) have no refutation.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from random import Random

import tensoralg as ta
from tensoralg.expr.nodes import Mul
from tensoralg.proof.covers import covering_search
from tensoralg.proof.prove import state
from tensoralg.proof.refute import Claim, counterexample, is_long, search, shrink
from tensoralg.proof.sparse import sparse_search
from tensoralg.proof.verdict import Counterexample
from tensoralg.proof.wiring import wired

RESULTS = Path(__file__).parent / "results" / "refutation.json"
V = ta.Space("V", "n")
Edges = list[tuple[int, int]]
Pair = tuple[ta.Definition, ta.Definition]


def simple(edges: Edges) -> bool:
    return all(a != b for a, b in edges) and len({frozenset(e) for e in edges}) == len(edges)


def cubic(size: int, random: Random) -> Edges:
    """Return a random simple cubic graph."""
    while True:
        ends = [v for v in range(size) for _ in range(3)]
        random.shuffle(ends)
        edges = list(zip(ends[::2], ends[1::2], strict=True))
        if simple(edges):
            return edges


def tree(size: int, random: Random) -> Edges:
    """Return a random tree of degree at most three."""
    degree, edges = [0] * size, []
    for v in range(1, size):
        u = random.choice([u for u in range(v) if degree[u] < 3])
        degree[u] += 1
        degree[v] += 1
        edges.append((u, v))
    return edges


def wall(size: int, _: Random) -> Edges:
    """Return a brick wall, the grid of degree three."""
    side = int(size**0.5)
    across = [(i * side + j, i * side + j + 1) for i in range(side) for j in range(side - 1)]
    down = [(i * side + j, (i + 1) * side + j) for i in range(side - 1) for j in range(side) if (i + j) % 2 == 0]
    return across + down


def rewired(edges: Edges, random: Random) -> Edges:
    """Return a graph in which two edges have exchanged an end."""
    while True:
        i, j = random.sample(range(len(edges)), 2)
        (a, b), (c, d) = edges[i], edges[j]
        changed = list(edges)
        changed[i], changed[j] = (a, c), (b, d)
        if len({a, b, c, d}) == 4 and simple(changed):
            return changed


def network(edges: Edges, alike: bool, symmetric: bool, turned: int = -1) -> ta.Definition:
    """Return the closed network of a graph: vertices are tensors, edges indices."""
    legs: list[list[int]] = [[] for _ in range(1 + max(v for edge in edges for v in edge))]
    for k, (a, b) in enumerate(edges):
        legs[a].append(k)
        legs[b].append(k)
    indices = V.indices(" ".join(f"e{k}" for k in range(len(edges))))
    factors = []
    for v, here in enumerate(legs):
        name = f"S{len(here)}" if alike else f"M{v}"
        symbol = ta.tensor(name, [V] * len(here), symmetric=symmetric and len(here) > 1)
        factors.append(symbol[tuple(indices[k] for k in (here[::-1] if v == turned else here))])
    return ta.define((), Mul(tuple(factors)).sum(*indices))


def word(letters: list[str]) -> ta.Definition:
    """Return the trace of a product of matrices."""
    ring = V.indices(" ".join(f"i{k}" for k in range(len(letters))))
    symbols = {letter: ta.tensor(letter, V @ V) for letter in letters}
    factors = [symbols[x][ring[k], ring[(k + 1) % len(ring)]] for k, x in enumerate(letters)]
    return ta.define((), Mul(tuple(factors)).sum(*ring))


def exchanged(graph: Callable[[int, Random], Edges], size: int, alike: bool, symmetric: bool, seed: int) -> Pair:
    random = Random(seed)
    edges = graph(size, random)
    return network(edges, alike, symmetric), network(rewired(edges, random), alike, symmetric)


def transposed(size: int, alike: bool, seed: int) -> Pair:
    random = Random(seed)
    edges = cubic(size, random)
    return network(edges, alike, False), network(edges, alike, False, turned=random.randrange(size))


def letters(size: int, alphabet: str, seed: int) -> Pair:
    random = Random(seed)
    text = [random.choice(alphabet) for _ in range(size)]
    k = next(k for k in range(size // 3, size - 1) if text[k] != text[k + 1])
    return word(text), word([*text[:k], text[k + 1], text[k], *text[k + 2 :]])


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
        "machine": f"{platform.machine()}, {platform.processor() or 'unnamed processor'}",
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
