"""How long `prove` takes on large claims: networks, words, masks, powers, twins, equal components.

    python benchmarks/scale.py [--limit 20] [--only grid,word] [--repetitions 3]

Every claim is a network against a shuffled and renamed copy of itself (proved), or against a copy with one edge or
one mask changed (refuted).  Every case runs in a process of its own with a time limit; build and decision are timed
apart, medians over repetitions that build the claim anew.  The JSON stands in benchmarks/results/scale.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from machine import cpu  # noqa: E402

import tensoralg as ta  # noqa: E402
from tensoralg.expr.nodes import add, bind, mul, power  # noqa: E402
from tensoralg.show.progress import progress  # noqa: E402
from tensoralg.show.tables import Column, print_table  # noqa: E402
from tensoralg.spaces import Index  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
SPACE = ta.Space("V", "n")
TIME = ta.Space("T", "n", ordered=True)
Claim = tuple[Any, Any]
Edges = list[tuple[int, int]]


@dataclass(frozen=True)
class Case:
    """A claim to time: how it is built, the right verdict, and the seconds aimed at (None: no aim)."""

    name: str
    build: Callable[[], Claim]
    expected: str
    target: float | None = None


# networks


def grid(count: int, random: Random) -> Edges:
    """Edges of a grid as square as the count allows."""
    rows = max(r for r in range(1, math.isqrt(count) + 1) if count % r == 0)
    columns = count // rows
    across = [(r * columns + c, r * columns + c + 1) for r in range(rows) for c in range(columns - 1)]
    down = [(r * columns + c, (r + 1) * columns + c) for r in range(rows - 1) for c in range(columns)]
    return across + down


def tree(count: int, random: Random) -> Edges:
    """Edges of a random tree with at most three branches at a vertex."""
    degree = [0] * count
    edges = []
    for vertex in range(1, count):
        parent = random.choice([v for v in range(max(0, vertex - 60), vertex) if degree[v] < 3])
        degree[parent] += 1
        degree[vertex] += 1
        edges.append((parent, vertex))
    return edges


def regular(count: int, random: Random) -> Edges:
    """Edges of a random 3-regular multigraph without loops (the pairing model)."""
    while True:
        stubs = [vertex for vertex in range(count) for _ in range(3)]
        random.shuffle(stubs)
        edges = list(zip(stubs[::2], stubs[1::2], strict=True))
        loops = [k for k, (a, b) in enumerate(edges) if a == b]
        for k in loops:  # a loop trades an end with a random edge
            other = random.randrange(len(edges))
            (a, b), (c, d) = edges[k], edges[other]
            edges[k], edges[other] = (a, c), (b, d)
        if all(a != b for a, b in edges):
            return edges


TOPOLOGIES = {"grid": grid, "tree": tree, "3-regular": regular}
NAMINGS = ("distinct", "three letters", "alike")


def network(topology: str, count: int, naming: str, changed: bool) -> Claim:
    """Return a network and a shuffled, renamed copy; if `changed`, two edges of the copy have traded ends."""
    random = Random(f"{topology} {count} {naming}")
    edges = TOPOLOGIES[topology](count, random)
    letters = {"distinct": [f"A{v}" for v in range(count)], "alike": ["S"] * count}.get(
        naming, [random.choice("ABC") for _ in range(count)]
    )
    other = trade_ends(edges, letters, random) if changed else edges
    names = [f"i{k}" for k in range(len(edges))]
    fresh = random.sample([f"j{k}" for k in range(len(edges))], len(edges))
    order = random.sample(range(count), count)
    symmetric = naming == "alike"
    left = contracted(edges, names, letters, range(count), None, symmetric)
    return left, contracted(other, fresh, letters, order, random if symmetric else None, symmetric)


def trade_ends(edges: Edges, letters: list[str], random: Random) -> Edges:
    """Return the edges with the ends of two traded, so that the network is another one even up to renaming."""
    while True:
        k, m = random.sample(range(len(edges)), 2)
        (a, b), (c, d) = edges[k], edges[m]
        other = list(edges)
        other[k], other[m] = (a, d), (c, b)
        if len({a, b, c, d}) == 4 and not isomorphic(edges, other, letters):
            return other


def isomorphic(edges: Edges, other: Edges, letters: list[str]) -> bool:
    """Whether two networks are equal up to renaming, legs of a tensor not distinguished."""
    from igraph import Graph

    count = len(letters)
    colours = {letter: k for k, letter in enumerate(sorted(set(letters)), start=1)}
    colour = [*(colours[letter] for letter in letters), *[0] * len(edges)]
    # every edge becomes a vertex, because graphs here have no multiple edges
    graphs = [
        Graph(n=count + len(ends), edges=[(v, count + k) for k, pair in enumerate(ends) for v in pair])
        for ends in (edges, other)
    ]
    return bool(graphs[0].isomorphic_bliss(graphs[1], color1=colour, color2=colour))


def contracted(
    edges: Edges, names: list[str], letters: list[str], order: Any, shuffled: Random | None, symmetric: bool
) -> Any:
    """Return the contraction of a network, its tensors in the given order, symmetric legs shuffled."""
    legs: dict[int, list[Index]] = {}
    for (a, b), name in zip(edges, names, strict=True):
        legs.setdefault(a, []).append(Index(name, SPACE))
        legs.setdefault(b, []).append(Index(name, SPACE))
    factors = []
    for vertex in order:
        mine = legs[vertex]
        if shuffled is not None:
            shuffled.shuffle(mine)
        several = symmetric and len(mine) > 1
        symbol = ta.tensor(f"{letters[vertex]}_{len(mine)}", (SPACE,) * len(mine), symmetric=several)
        factors.append(symbol[tuple(mine)])
    indices = tuple(Index(name, SPACE) for name in names)
    return ta.define((), bind(indices, mul(*factors)))


# words


def word(count: int, naming: str, changed: bool) -> Claim:
    """Return the trace of a product of matrices and a cyclic turn of it, factors shuffled; or a letter turned over."""
    random = Random(f"word {count} {naming}")
    letters = {"distinct": [f"A{k}" for k in range(count)], "alike": ["A"] * count}.get(
        naming, [random.choice("ABC") for _ in range(count)]
    )
    turned = letters[count // 3 :] + letters[: count // 3]
    order = random.sample(range(count), count)
    return trace(letters, "i", range(count), None), trace(turned, "j", order, count // 2 if changed else None)


def trace(letters: list[str], stem: str, order: Any, over: int | None) -> Any:
    count = len(letters)
    ring = [Index(f"{stem}{k}", SPACE) for k in range(count)]
    factors = []
    for k in order:
        ends = (ring[k], ring[(k + 1) % count])
        factors.append(ta.tensor(letters[k], SPACE @ SPACE)[ends[::-1] if k == over else ends])
    return ta.define((), bind(tuple(ring), mul(*factors)))


# masks


Masks = tuple[tuple[bool, int, int], ...]


@cache
def masks_of(number: int, alike: bool) -> tuple[Masks, Masks]:
    """Return 1, 3, 5 or 8 random masks over six indices as (strict, lower, upper), and the same with one changed."""
    random = Random(f"poset {number} {alike}")
    pairs = random.sample(list(itertools.combinations(range(6), 2)), (1, 3, 5, 8)[number])
    masks = tuple((random.random() < 0.5, a, b) for a, b in pairs)

    def allowed(chosen: Masks) -> list[tuple[int, ...]]:
        places = itertools.product(range(6), repeat=6)
        return [p for p in places if all(p[a] < p[b] if strict else p[a] <= p[b] for strict, a, b in chosen)]

    for k, (strict, a, b) in enumerate(masks):
        changed = (*masks[:k], (not strict, a, b), *masks[k + 1 :])
        if allowed(changed) != allowed(masks):  # else the mask follows from the others, strict or not
            return masks, changed
    return masks, ((not masks[0][0], masks[0][2], masks[0][1]), *masks[1:])


def poset(number: int, alike: bool, changed: bool) -> Claim:
    """Return six entries under random masks, and the same rewritten by trichotomy; or one mask changed."""
    random = Random(f"poset {number} {alike}")
    masks, others = masks_of(number, alike)
    pairs = [(a, b) for _, a, b in masks]
    i, j = (TIME.indices(" ".join(f"{stem}{k}" for k in range(6))) for stem in "ij")
    turn = random.sample(range(6), 6)
    j = tuple(j[k] for k in turn)

    def entries(at: tuple[Index, ...]) -> list[Any]:
        return [ta.tensor("x" if alike else f"x{k}", TIME)[at[k]] for k in range(6)]

    def mask(strict: bool, a: Index, b: Index) -> Any:
        return ta.lt[a, b] if strict else ta.le[a, b]

    left = bind(i, mul(*(mask(strict, i[a], i[b]) for strict, a, b in masks), *entries(i)))
    free = [p for p in itertools.combinations(range(6), 2) if p not in pairs]
    factors = [
        mask(s, j[a], j[b]) if s else add(ta.lt[j[a], j[b]], ta.delta[j[a], j[b]])
        for s, a, b in (others if changed else masks)
    ]
    for a, b in random.sample(free, 2):
        factors.append(add(ta.lt[j[a], j[b]], ta.delta[j[a], j[b]], ta.lt[j[b], j[a]]))
    factors += entries(j)
    random.shuffle(factors)
    return ta.define((), left), ta.define((), bind(j, mul(*factors)))


# powers of sums


def scalar_power(count: int, changed: bool) -> Claim:
    """Return ``(sum_i (A_i + B_i) x_i)^count`` and its binomial expansion, one coefficient changed or not."""
    a, b, x = ta.tensors("A B x", SPACE)
    (i,) = SPACE.indices("i")
    both, first, second = (bind((i,), part * x[i]) for part in (a[i] + b[i], a[i], b[i]))
    terms = []
    for k in range(count + 1):
        scale = math.comb(count, k) + (changed and k == count // 2)
        terms.append(mul(scale * power(first, k), power(second, count - k)))
    return ta.define((), power(both, count)), ta.define((), add(*terms))


def flat_power(count: int, changed: bool) -> Claim:
    """Return the same power as a product of `count` sums over indices of their own, and its factors shuffled."""
    a, b, x = ta.tensors("A B x", SPACE)

    def side(names: list[str], odd: int | None) -> Any:
        at = [Index(name, SPACE) for name in names]
        factors = [(a[i] + (a[i] if k == odd else b[i])) * x[i] for k, i in enumerate(at)]
        return ta.define((), bind(tuple(at), mul(*factors)))

    names = [f"i{k}" for k in range(count)]
    return side(names, None), side(Random(0).sample(names, count), 0 if changed else None)


def matrix_power(count: int, changed: bool) -> Claim:
    """Return ``(A + B)^count`` and ``(A + B)^(count/2) (A + B)^(count/2)``, one half written out one step further."""
    a, b = ta.tensors("A B", SPACE @ SPACE)

    def product(stem: str, first: Index, last: Index, length: int) -> Any:
        inner = [Index(f"{stem}{k}", SPACE) for k in range(length - 1)]
        ring = [first, *inner, last]
        return bind(tuple(inner), mul(*(a[p, q] + b[p, q] for p, q in itertools.pairwise(ring))))

    p, q, m, r = SPACE.indices("p q m r")
    left = product("i", p, q, count)
    half = count // 2
    tail = add(
        bind((r,), mul(a[m, r], product("v", r, q, half - 1))),
        bind((r,), mul(b[r, m] if changed else b[m, r], product("w", r, q, half - 1))),
    )
    return ta.define((p, q), left), ta.define((p, q), bind((m,), mul(product("u", p, m, half), tail)))


# symmetry


def twins(count: int, changed: bool) -> Claim:
    """Return a hub with `count` equal leaves ``sum_i x_i prod_k A[i,j_k] y[j_k]``, and it renamed."""
    a, x, y = ta.tensor("A", SPACE @ SPACE), ta.tensor("x", SPACE), ta.tensor("y", SPACE)

    def side(stem: str, order: Any, odd: int | None) -> Any:
        hub, leaves = Index("h" + stem, SPACE), [Index(f"{stem}{k}", SPACE) for k in range(count)]
        factors = [(a[leaves[k], hub] if k == odd else a[hub, leaves[k]]) * y[leaves[k]] for k in order]
        return ta.define((), bind((hub, *leaves), mul(x[hub], *factors)))

    order = Random(count).sample(range(count), count)
    return side("i", range(count), None), side("j", order, 0 if changed else None)


def components(count: int, changed: bool) -> Claim:
    """Return the product of `count` equal triangles ``tr(A A B)``, and it shuffled; or one of them with A over."""
    a, b = ta.tensors("A B", SPACE @ SPACE)

    def side(stem: str, order: Any, odd: int | None) -> Any:
        at = [tuple(Index(f"{stem}{k}_{p}", SPACE) for p in range(3)) for k in range(count)]
        factors = []
        for k in range(count):
            i, j, m = at[k]
            factors += [a[j, i] if k == odd else a[i, j], a[j, m], b[m, i]]
        return ta.define((), bind(tuple(i for t in at for i in t), mul(*(factors[k] for k in order))))

    order = Random(count).sample(range(3 * count), 3 * count)
    return side("i", range(3 * count), None), side("j", order, 0 if changed else None)


def power_of_component(count: int) -> Claim:
    """Return the product of `count` equal triangles against the power of one."""
    a, b = ta.tensors("A B", SPACE @ SPACE)
    i, j, m = SPACE.indices("i j m")
    one = bind((i, j, m), a[i, j] * a[j, m] * b[m, i])
    return components(count, False)[0], ta.define((), power(one, count))


def all_cases() -> Iterator[Case]:
    """Yield every case: a true claim and a near miss of each sort."""

    def both(name: str, build: Callable[..., Claim], *given: Any, target: float | None = None) -> Iterator[Case]:
        for changed in (False, True):
            yield Case(
                name + (", near miss" if changed else ""),
                partial(build, *given, changed),
                "refuted" if changed else "proved",
                target,
            )

    aims = {30: 0.1, 300: 0.1, 1000: 1.0}
    for topology, count, naming in itertools.product(TOPOLOGIES, aims, NAMINGS):
        name = f"{topology}, {count} tensors, {naming}"
        yield from both(name, network, topology, count, naming, target=aims[count])
    for naming in NAMINGS:
        yield from both(f"word: trace of 200 matrices, {naming}", word, 200, naming, target=0.02)
    for number, alike in itertools.product(range(4), (False, True)):
        masks_of(number, alike)  # made here, so that it counts for nothing in the timed building
        name = f"six masked indices {number}, {'one vector' if alike else 'six vectors'}"
        yield from both(name, poset, number, alike, target=2.0)
    yield from both("power: (sum_i (A_i + B_i) x_i)^12 expanded", scalar_power, 12)
    yield from both("power: the same, twelve indices, shuffled", flat_power, 12)
    yield from both("power: (A + B)^12 regrouped", matrix_power, 12)
    for count in (12, 30, 100, 300):
        yield from both(f"twins: {count}", twins, count, target=0.1)
        yield from both(f"components: {count} equal triangles", components, count, target=0.1)
        yield Case(f"components: {count} as a power", partial(power_of_component, count), "proved", 0.1)


# timing


def measure(case: Case, repetitions: int, reply: Any) -> None:
    """Build and decide the claim some times and send what was seen; runs in a process of its own."""
    builds: list[float] = []
    proofs: list[float] = []
    verdict, reason = None, ""
    network("tree", 8, "alike", True)
    ta.prove(*components(2, False))  # what is imported late is imported now
    while len(proofs) < repetitions:
        begun = time.perf_counter()
        left, right = case.build()
        builds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        try:
            answer = ta.prove(left, right)
            verdict, reason = answer.status, answer.reason
        except Exception as error:  # noqa: BLE001  a crash is a result
            verdict, reason = "crash", f"{type(error).__name__}: {str(error)[:200]}"
        proofs.append(time.perf_counter() - begun)
        reply.send((builds, proofs, verdict, reason))  # so that a limit that strikes later loses nothing
    reply.close()


def timed(case: Case, repetitions: int, seconds: float) -> dict[str, Any]:
    """Return what became of a case within the limit."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(case, repetitions, sender))
    begun = time.monotonic()
    process.start()
    sender.close()
    found: tuple[list[float], list[float], str | None, str] = ([], [], None, "")
    try:
        while receiver.poll(max(0.0, seconds - (time.monotonic() - begun))):
            found = receiver.recv()
            if len(found[1]) == repetitions:
                break
    except EOFError:
        found = found if found[2] else ([], [], "crash", "the process died")
    process.kill()
    process.join()
    builds, proofs, verdict, reason = found
    prove = statistics.median(proofs) if proofs else None
    return {
        "name": case.name,
        "expected": case.expected,
        "target_seconds": case.target,
        "verdict": verdict or f"over {seconds:g} s",
        "right": verdict == case.expected,
        "reason": reason,
        "build_seconds": statistics.median(builds) if builds else None,
        "prove_seconds": prove,
        "repetitions": len(proofs),
        "on_target": None
        if case.target is None
        else verdict == case.expected and prove is not None and prove <= case.target,
    }


def shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one case, all repetitions")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default="", help="parts of names, separated by semicolons")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    parts = [part for part in options.only.split(";") if part]
    cases = [case for case in all_cases() if not parts or any(part in case.name for part in parts)]
    rows = []
    with progress(len(cases)) as begin:
        for case in cases:
            begin(case.name)
            rows.append(timed(case, options.repetitions, options.limit))
    table = [
        [
            row["name"],
            row["verdict"],
            "" if row["right"] else row["expected"],
            shown(row["build_seconds"]),
            shown(row["prove_seconds"]),
            shown(row["target_seconds"]),
            {None: "", True: "yes", False: "no"}[row["on_target"]],
        ]
        for row in rows
    ]
    headings = ("claim", "verdict", "expected", "build", "decide", "aim", "met")
    columns = [Column(h, "right" if h in ("build", "decide", "aim") else "left") for h in headings]
    print_table(columns, table, styles={"no": "red", "yes": "green"})
    wrong = [row["name"] for row in rows if {row["verdict"], row["expected"]} == {"proved", "refuted"}]
    aimed = [row for row in rows if row["on_target"] is not None]
    print(
        f"{len(rows)} claims: {sum(row['right'] for row in rows)} decided rightly, {len(wrong)} wrongly, "
        f"{sum(row['on_target'] for row in aimed)} of {len(aimed)} within their aim"
    )
    result = {
        "rows": rows,
        "wrong": wrong,
        "limit_seconds": options.limit,
        "versions": {name: version(name) for name in ("tensoralg", "sympy", "igraph")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {cpu()}",
        "date": time.strftime("%Y-%m-%d"),
    }
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
