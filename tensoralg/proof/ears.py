"""An order of joining that closes short cycles first.

Joining one factor after another multiplies the rows of the table; closing a cycle filters them.  So the order
starts with a shortest cycle of the network and goes on by shortest ears, paths through new factors between
two variables that are in the table already (H. Whitney's ear decomposition, Trans. AMS 34 (1932), taken shortest
first).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

DEEPEST = 24  # a longer cycle filters nothing until it closes, so it may as well start anywhere
Node = tuple[bool, int]  # (is a factor, its number): factors and variables are the vertices of one bipartite graph


def joining_order(links: Mapping[int, Sequence[int]]) -> list[int]:
    """Return connected factors, given with the variables that they name, in an order that closes cycles early.

    Examples
    --------
    >>> joining_order({0: [0, 1], 1: [1, 2, 9], 2: [2, 3], 3: [3, 0], 4: [9, 8], 5: [8, 7], 6: [7, 9]})
    [4, 5, 6, 1, 2, 3, 0]
    """
    around: dict[Node, list[Node]] = {(True, n): [(False, v) for v in variables] for n, variables in links.items()}
    for number, variables in links.items():
        for variable in variables:
            around.setdefault((False, variable), []).append((True, number))
    order: list[int] = []
    placed: set[Node] = set()
    border: dict[Node, None] = {}

    def place(path: Iterable[Node]) -> None:
        for node in path:
            if node[0] and node not in placed:
                order.append(node[1])
                placed.add(node)
                placed.update(around[node])
                border.update(dict.fromkeys(around[node]))

    place(_shortest_cycle(around) or [(True, next(iter(links)))])
    while len(order) < len(links):
        for node in [node for node in border if all(other in placed for other in around[node])]:
            del border[node]
        roots = list(border)
        ear = _meeting(around, roots, placed, len(around), closed=False)
        place(ear or [other for node in roots for other in around[node] if other not in placed][:1])
    return order


def _shortest_cycle(around: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """Return a shortest cycle, by breadth-first search from every factor no deeper than the best one needs."""
    best: list[Node] = []
    length = 2 * DEEPEST + 1
    for start in around:
        if start[0]:
            found = _meeting(around, [start], set(), (length - 1) // 2, closed=True)
            if found and len(found) < length:
                best, length = found, len(found)
    return best


def _meeting(
    around: Mapping[Node, Sequence[Node]], roots: Sequence[Node], placed: set[Node], depth: int, closed: bool
) -> list[Node]:
    """Return the path along which searches from the roots (or two branches from one root) first meet."""
    parent: dict[Node, Node | None] = dict.fromkeys(roots)
    origin: dict[Node, Node] = {root: root for root in roots}
    level = list(roots)
    while level and depth > 0:
        depth -= 1
        following = []
        for node in level:
            for other in around[node]:
                if other == parent[node] or (other in placed and other not in origin):
                    continue
                if other not in origin:
                    parent[other] = node
                    origin[other] = other if closed and parent[node] is None else origin[node]
                    following.append(other)
                elif origin[other] != origin[node] and (not closed or parent[other] is not None):
                    return [*reversed(_back(parent, node)), *_back(parent, other)]
        level = following
    return []


def _back(parent: Mapping[Node, Node | None], node: Node) -> list[Node]:
    path = [node]
    while (above := parent[path[-1]]) is not None:
        path.append(above)
    return path
