"""Layered layout of boxes of different sizes: the layers, the order in them, and room for everything.

The order in the layers, and the first coordinates, are those of igraph's layout after Sugiyama; every vertex has its
own width and height, for which columns and rows are then stretched.  An edge passes a layer on a level of its own, and
bends only between layers, where nothing stands: no wire crosses a box or a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

UNIT = 34.0  # of igraph's coordinates
CLEAR = 7.0  # between what stands above each other
GAP = 19.0  # between columns, at least
PULL = 0.1  # of a vertex to its place in the formula, where a neighbour pulls with 1


@dataclass
class Vertex:
    """A vertex to be placed; `place` sets `x` (the left side), `y` (the axis) and the sides of the column.

    Attributes
    ----------
    width, above, below : float
        Its extents, the vertical ones from its axis.
    wish : float, optional
        Where it wants to stand between the inputs at 0 and the outputs at 1.
    side : str
        "input" or "output" for open ends.
    stand : float
        Where in its column it stands, from 0 (left) to 1 (right).
    """

    width: float = 0.0
    above: float = 0.0
    below: float = 0.0
    wish: float | None = None
    side: str = ""
    stand: float = 0.5
    x: float = 0.0
    y: float = 0.0
    column: tuple[float, float] = (0.0, 0.0)


@dataclass
class Route:
    """The way of an edge: its ends, the left one first, and the sides and the height of each layer that it passes."""

    source: int
    target: int
    passing: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass
class Layout:
    """The room that everything takes."""

    width: float
    top: float
    bottom: float


def orient(vertices: Sequence[Vertex], edges: Sequence[tuple[int, int]]) -> list[Route]:
    """Return the edges directed from left to right, without cycles.

    Parameters
    ----------
    vertices : sequence of Vertex
        Those with the side "input" come first and those with "output" last.
    edges : sequence of (int, int)
        Pairs of different vertices; their order does not matter.
    """
    rank = _potentials(vertices, edges)
    ways = [(a, b) if (rank[a], a) < (rank[b], b) else (b, a) for a, b in edges]
    return [Route(source, target) for source, target in ways]


def place(vertices: Sequence[Vertex], routes: Sequence[Route]) -> Layout:
    """Place the vertices in layers from left to right, and write into the routes where they pass a layer."""
    import igraph

    layer = _layers(vertices, routes)
    arcs: list[tuple[int, int]] = []
    dummies: list[list[int]] = []
    level = list(layer)
    for route in routes:
        chain = [route.source]
        for between in range(layer[route.source] + 1, layer[route.target]):
            chain.append(len(level))
            level.append(between)
        chain.append(route.target)
        arcs += pairwise(chain)
        dummies.append(chain[1:-1])
    graph = igraph.Graph(len(level), arcs, directed=True)
    across = _across(graph, level)
    extent = [(v.above, v.below) for v in vertices] + [(2.0, 2.0)] * (len(level) - len(vertices))
    y = _stretched(across, level, extent)
    columns = _columns(vertices, level, arcs, y)
    for k, vertex in enumerate(vertices):
        vertex.y = y[k]
        vertex.column = columns[layer[k]]
        slack = vertex.column[1] - vertex.column[0] - vertex.width
        vertex.x = vertex.column[0] + slack * vertex.stand
    for route, chain in zip(routes, dummies, strict=True):
        route.passing = [(*columns[level[d]], y[d]) for d in chain]
    top = min((y[k] - extent[k][0] for k in range(len(level))), default=0.0)
    bottom = max((y[k] + extent[k][1] for k in range(len(level))), default=0.0)
    return Layout(columns[-1][1] if columns else 0.0, top, bottom)


def _potentials(vertices: Sequence[Vertex], edges: Sequence[tuple[int, int]]) -> list[float]:
    """Return the vertices' places between input 0 and output 1 at rest, if edges are springs and wishes weak ones.

    Wires then flow from the inputs to the outputs, and everything between follows the order in which it is written.
    """
    import numpy as np

    size = len(vertices)
    matrix = np.eye(size) * 1e-9
    right = np.full(size, 0.5e-9)
    for a, b in edges:
        matrix[a, a] += 1
        matrix[b, b] += 1
        matrix[a, b] -= 1
        matrix[b, a] -= 1
    for k, vertex in enumerate(vertices):
        pull = 1e6 if vertex.side else 0.0 if vertex.wish is None else PULL
        wish = {"input": 0.0, "output": 1.0}.get(vertex.side, vertex.wish or 0.0)
        matrix[k, k] += pull
        right[k] += pull * wish
    return [round(float(value), 5) for value in np.linalg.solve(matrix, right)] if size else []


def _layers(vertices: Sequence[Vertex], routes: Sequence[Route]) -> list[int]:
    """Return layers for an acyclic graph: as early as can be, but nothing further from its successors than needed."""
    size = len(vertices)
    after: list[list[int]] = [[] for _ in range(size)]
    before: list[list[int]] = [[] for _ in range(size)]
    for route in routes:
        after[route.source].append(route.target)
        before[route.target].append(route.source)
    order: list[int] = []
    waiting = [len(found) for found in before]
    ready = [k for k in range(size) if not waiting[k]]
    while ready:
        order.append(ready.pop())
        for k in after[order[-1]]:
            waiting[k] -= 1
            if not waiting[k]:
                ready.append(k)
    first = 1 if any(v.side == "input" for v in vertices) else 0
    layer = [0] * size
    for k in order:
        inner = 0 if vertices[k].side == "input" else first
        layer[k] = max((layer[b] + 1 for b in before[k]), default=inner)
    for k in reversed(order):
        if vertices[k].side != "input" and after[k] and len(after[k]) > len(before[k]):
            layer[k] = min(layer[a] for a in after[k]) - 1
    last = max((layer[k] + 1 for k in range(size) if vertices[k].side != "output"), default=0)
    return [last if vertices[k].side == "output" else layer[k] for k in range(size)]


def _across(graph: Any, level: Sequence[int]) -> list[float]:
    """Return igraph's coordinates in the layers, one component after the other, no two in a layer the same."""
    across = [0.0] * len(level)
    start = 0.0
    graph.vs["number"] = range(len(level))
    for part in graph.connected_components(mode="weak").subgraphs():  # igraph lets some overlap if laid out at once
        members = part.vs["number"]
        found = part.layout_sugiyama(layers=[level[k] for k in members], maxiter=200)
        least = min(row[0] for row in found)
        for k, row in zip(members, found, strict=False):
            across[k] = round(start + row[0] - least, 3)
        start = max(across[k] for k in members) + 1
    used: dict[int, float] = {}
    for k in sorted(range(len(level)), key=lambda k: (across[k], k)):
        across[k] = max(across[k], used.get(level[k], -1.0) + 0.5)
        used[level[k]] = across[k]
    return across


def _stretched(across: Sequence[float], level: Sequence[int], extent: Sequence[tuple[float, float]]) -> list[float]:
    """Return the coordinates scaled, and further apart where neighbours in a layer would touch."""
    needed: dict[float, list[tuple[float, float]]] = {}
    rows: dict[int, list[int]] = {}
    for k, n in enumerate(level):
        rows.setdefault(n, []).append(k)
    for row in rows.values():
        for a, b in pairwise(sorted(row, key=lambda k: across[k])):
            needed.setdefault(across[b], []).append((across[a], extent[a][1] + extent[b][0] + CLEAR))
    place: dict[float, float] = {}
    last = 0.0
    for value in sorted(set(across)):
        least = place[last] + (value - last) * UNIT if place else 0.0
        place[value] = max([least, *(place[other] + room for other, room in needed.get(value, []))])
        last = value
    return [place[value] for value in across]


def _columns(
    vertices: Sequence[Vertex], level: Sequence[int], arcs: Sequence[tuple[int, int]], y: Sequence[float]
) -> list[tuple[float, float]]:
    """Return the left and right side of each layer; wires that climb far get more room to bend."""
    count = max(level, default=-1) + 1
    width, climb = [0.0] * count, [0.0] * count
    for vertex, n in zip(vertices, level, strict=False):
        width[n] = max(width[n], vertex.width)
    for a, b in arcs:
        climb[level[a]] = max(climb[level[a]], abs(y[a] - y[b]))
    columns = []
    x = 0.0
    for n in range(count):
        columns.append((x, x + width[n]))
        x += width[n] + min(70.0, max(GAP, 0.35 * climb[n]))
    return columns
