"""Tensor networks made from graphs: a vertex is a tensor, an edge an index."""

from __future__ import annotations

from random import Random

import tensoralg as ta
from tensoralg.expr.nodes import Mul

V = ta.Space("V", "n")
Edges = list[tuple[int, int]]


def cubic(size: int, seed: int) -> Edges:
    """Return a random simple cubic graph (configuration model, drawn again until it is simple)."""
    random = Random(seed)
    while True:
        ends = [v for v in range(size) for _ in range(3)]
        random.shuffle(ends)
        edges = list(zip(ends[::2], ends[1::2], strict=True))
        if simple(edges):
            return edges


def tree(size: int, seed: int) -> Edges:
    """Return a random tree of degree at most three."""
    random, degree = Random(seed), [0] * size
    edges = []
    for v in range(1, size):
        u = random.choice([u for u in range(v) if degree[u] < 3])
        degree[u] += 1
        degree[v] += 1
        edges.append((u, v))
    return edges


def brick_wall(rows: int, columns: int) -> Edges:
    """Return a grid whose every second vertical edge is missing, so that no vertex has more than three."""
    across = [(i * columns + j, i * columns + j + 1) for i in range(rows) for j in range(columns - 1)]
    down = [
        (i * columns + j, (i + 1) * columns + j) for i in range(rows - 1) for j in range(columns) if (i + j) % 2 == 0
    ]
    return across + down


def simple(edges: Edges) -> bool:
    return all(a != b for a, b in edges) and len({frozenset(e) for e in edges}) == len(edges)


def rewired(edges: Edges, seed: int) -> Edges:
    """Return a graph in which two edges have exchanged an end; all degrees stay."""
    random = Random(seed)
    while True:
        i, j = random.sample(range(len(edges)), 2)
        (a, b), (c, d) = edges[i], edges[j]
        changed = list(edges)
        changed[i], changed[j] = (a, c), (b, d)
        if len({a, b, c, d}) == 4 and simple(changed):
            return changed


def network(
    edges: Edges,
    alike: bool = False,
    symmetric: bool = False,
    free: int = 0,
    turned: int | None = None,
    shuffle: int | None = None,
) -> ta.Definition:
    """Return the network of a graph.

    Parameters
    ----------
    edges : list of pairs
    alike : bool
        Whether all tensors of one degree have one name.
    symmetric : bool
    free : int
        How many edges are free indices.
    turned : int, optional
        A vertex whose legs are reversed.
    shuffle : int, optional
        A seed for the order of the factors and the names of the indices, which mean nothing.
    """
    size = 1 + max(v for edge in edges for v in edge)
    legs: list[list[int]] = [[] for _ in range(size)]
    for k, (a, b) in enumerate(edges):
        legs[a].append(k)
        legs[b].append(k)
    names, order = list(range(len(edges))), list(range(size))
    if shuffle is not None:
        inner = names[free:]
        Random(shuffle).shuffle(inner)
        names[free:] = inner
        Random(shuffle).shuffle(order)
    indices = V.indices(" ".join(f"e{name}" for name in names))
    symbols = {}
    factors = []
    for v in order:
        degree = len(legs[v])
        name = f"S{degree}" if alike else f"M{v}"
        if name not in symbols:
            symbols[name] = ta.tensor(name, [V] * degree, symmetric=symmetric and degree > 1)
        here = legs[v][::-1] if v == turned else legs[v]
        factors.append(symbols[name][tuple(indices[k] for k in here)])
    return ta.define(indices[:free], Mul(tuple(factors)).sum(*indices[free:]))


def word(letters: str) -> ta.Definition:
    """Return the trace of a product of matrices called by single letters."""
    ring = V.indices(" ".join(f"i{k}" for k in range(len(letters))))
    symbols = {letter: ta.tensor(letter.upper(), V @ V) for letter in letters}
    factors = [symbols[x][ring[k], ring[(k + 1) % len(ring)]] for k, x in enumerate(letters)]
    return ta.define((), Mul(tuple(factors)).sum(*ring))
