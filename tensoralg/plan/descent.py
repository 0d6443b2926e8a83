"""A descent by rotations on exact prices, for goals that are no sum over the steps.

Annealing (`plan.anneal`) sees a tree as a sum of steps.  The peak of memory is no sum: it depends on what
waits while something else is computed.  Here every rotation of a tree is priced as a whole, with the
better order of evaluation at every join, and taken if it is better, until none is or the work is spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from tensoralg.plan.polynomial import below
from tensoralg.plan.tree import Network, Priced, Tree, postorder

PRICES = 30_000


def arranged(network: Network, tree: Tree) -> Priced:
    """Return the price of a tree whose joins compute first whichever part makes the peak lower.

    What a part needs does not depend on what is above it, so the choice at every join is the best for all.
    """
    if tree == ():
        return network.price(tree)
    made: list[tuple[int, Priced]] = []
    for part in postorder(tree):
        if isinstance(part, int):
            made.append((1 << part, network.leaf(part)))
        else:
            made[-2:] = [_join(network, made[-2], made[-1])]
    return made[0][1]


def _join(network: Network, one: tuple[int, Priced], other: tuple[int, Priced]) -> tuple[int, Priced]:
    (left, first), (right, second) = one, other
    this = network.join(left, first, right, second)
    that = network.join(right, second, left, first)
    return left | right, this if below(this.peak, that.peak) else that


def descended(
    network: Network,
    tree: Tree,
    key: Callable[[Priced], Any],
    prices: int = PRICES,
    stop: float | None = None,
) -> Priced:
    """Return the price of a tree that no rotation improves, or of what was reached.

    Parameters
    ----------
    network : Network
        The contraction, with numbers for its sizes.
    tree : Tree
        Where to begin.
    key : callable
        What of a price is to become less.
    prices : int
        The joins that may be priced.
    stop : float, optional
        The time of `time.monotonic()` at which to end.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> from tensoralg.plan.graph import Graph
    >>> A, B, C = ta.Space("A", 2), ta.Space("B", 3), ta.Space("C", 5)
    >>> L, M, N = ta.tensor("L", A @ B), ta.tensor("M", B @ C), ta.tensor("N", C @ A)
    >>> (room,) = Graph(blocks(ta.einsum("a b, b c, c a -> a", L, M, N))[0]).rooms
    >>> found = descended(room.network, ((0, 1), 2), lambda order: (order.peak, order.flops))
    >>> found.peak <= room.network.price(((0, 1), 2)).peak
    True
    """
    best = arranged(network, tree)
    improved = True
    while improved:
        improved = False
        for rotated in _rotations(best.tree):
            prices -= network.count
            if prices < 0 or (stop is not None and time.monotonic() > stop):
                return best
            new = arranged(network, rotated)
            if key(new) < key(best):
                best, improved = new, True
                break
    return best


def _rotations(tree: Tree) -> Iterator[Tree]:
    """Yield every tree that one rotation makes, the uppermost joins first."""
    stack: list[tuple[Tree, Callable[[Tree], Tree]]] = [(tree, lambda part: part)]
    while stack:
        part, around = stack.pop()
        if isinstance(part, int) or not part:
            continue
        one, other = part
        for inner, third in ((one, other), (other, one)):
            if not isinstance(inner, int):
                first, second = inner
                yield around(((first, third), second))
                yield around(((second, third), first))
        stack.append((one, _beside(around, other)))
        stack.append((other, _beside(around, one)))


def _beside(around: Callable[[Tree], Tree], other: Tree) -> Callable[[Tree], Tree]:
    return lambda part: around((part, other))
