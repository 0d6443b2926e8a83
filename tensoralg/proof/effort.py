"""How many multiplications an exact evaluation takes, foreseen without doing it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, prod

from tensoralg.expr.arrays import size_of
from tensoralg.expr.nodes import Add, Bind, Expr, Mul
from tensoralg.spaces import VectorSpace

MOST_AXES = 30
PLAIN = 4096  # points of one sum that need no order of elimination


@dataclass(frozen=True)
class _Sum:
    """A product that is summed: the indices of its factors, and which of them are summed."""

    factors: tuple[tuple[str, ...], ...]
    spaces: Mapping[str, VectorSpace]
    bound: tuple[str, ...]


class Effort:
    """Foresees the work of evaluating expressions at given sizes.

    Examples
    --------
    >>> import tensoralg as ta
    >>> chain = ta.parse("A[i,j]*A[j,k]*A[k,l]", {"i,j,k,l": "n"}, free="i,l")
    >>> Effort([chain]).at({"n": 100}, limit=10**9)
    2040000
    """

    def __init__(self, expressions: Iterable[Expr]) -> None:
        sums: dict[Expr, list[_Sum]] = {}
        for expr in expressions:
            stack = [expr.body]
            while stack:
                node = stack.pop()
                if node not in sums:
                    terms = _terms(node)
                    # the factors of a sum are evaluated, but never their product
                    stack += [f for term in terms for f in (_factors(term) if terms != [node] else node.children())]
                    sums[node] = [_summed(node, term) for term in terms if node.free_indices or terms != [node]]
        self.sums = [found for several in sums.values() for found in several]
        self.hopeless: list[dict[str, int]] = []

    def at(self, sizes: Mapping[str, int], limit: float) -> float:
        """Return the number of multiplications, or infinity if it is above the limit (or axes are too many)."""
        if any(all(sizes[name] >= size for name, size in known.items()) for known in self.hopeless):
            return inf
        total: float = 0
        for one in self.sums:
            total += _work(one, sizes, limit - total)
            if total > limit:
                if min(sizes.values(), default=1) > 1:  # at size 1 all orders cost alike, and a bad one may be taken
                    self.hopeless.append(dict(sizes))
                return inf
        return total


def _terms(node: Expr) -> list[Expr]:
    """Return the terms that are summed where a node is evaluated; the node itself if it is no sum over indices."""
    if not isinstance(node, Bind):
        return [node]
    return list(node.summand.terms) if isinstance(node.summand, Add) else [node.summand]


def _factors(term: Expr) -> tuple[Expr, ...]:
    return term.factors if isinstance(term, Mul) else (term,)


def _summed(node: Expr, term: Expr) -> _Sum:
    spaces = {i.name: i.space for i in term.free_indices}
    if term is node:
        return _Sum((node.free,), spaces, ())
    bound = tuple(i.name for i in getattr(node, "indices", ()) if i.name in spaces)
    return _Sum(tuple(f.free for f in _factors(term)), spaces, bound)


def _work(one: _Sum, sizes: Mapping[str, int], limit: float) -> float:
    """Return the work of eliminating the bound indices of a sum, the one that makes the smallest array first.

    Ties are broken as `tensoralg.expr.evaluate` breaks them: numbers of axes depend on that.
    """
    extents = {name: size_of(space.dimension, sizes) for name, space in one.spaces.items()}
    points = prod(extents.values())
    if points * len(one.factors) <= PLAIN and len(extents) <= MOST_AXES:
        return points * len(one.factors)
    arrays = {k: frozenset(labels) for k, labels in enumerate(one.factors)}
    holders: dict[str, set[int]] = {name: set() for name in extents}
    for k, labels in arrays.items():
        for name in labels:
            holders[name].add(k)

    def union(name: str) -> frozenset[str]:
        return frozenset().union(*(arrays[k] for k in holders[name]))

    def price(labels: frozenset[str]) -> int:
        return prod(extents[label] for label in labels)

    waiting = set(one.bound)
    ranks = {name: rank for rank, name in enumerate(one.bound)}
    queue = [(price(union(name)), rank, name) for name, rank in ranks.items()]
    heapq.heapify(queue)
    total: float = 0
    following = len(arrays)
    while waiting:
        expected, rank, name = heapq.heappop(queue)
        if name not in waiting:
            continue
        labels = union(name)
        cost = price(labels)
        if cost != expected:
            heapq.heappush(queue, (cost, rank, name))
            continue
        if len(labels) > MOST_AXES or total > limit:
            return inf
        total += cost * max(1, len(holders[name]) - 1)
        waiting.discard(name)
        rest = labels - {name}
        for k in holders.pop(name):
            for label in arrays.pop(k):
                if label != name:
                    holders[label].discard(k)
        arrays[following] = rest
        for label in rest:
            holders[label].add(following)
            if label in waiting:
                heapq.heappush(queue, (price(union(label)), ranks[label], label))
        following += 1
    left = frozenset().union(*arrays.values())
    return inf if len(left) > MOST_AXES else total + price(left)
