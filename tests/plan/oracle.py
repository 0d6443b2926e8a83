"""An oracle for prices of contractions: it runs an order step by step over lists of letters.

It shares no code with the planner: networks are einsum-like strings, orders are nested pairs, memory is
a dictionary of what is alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import prod
from typing import Any

import tensoralg as ta

Order = Any


def expression(operands: list[str], output: str, dimension: dict[str, str] | None = None) -> ta.Expr:
    """Return the contraction as an expression; every letter has its own dimension unless told otherwise."""
    spaces = {x: ta.Space(f"S{x}", (dimension or {}).get(x, f"n{x}")) for word in operands for x in word}
    index = {x: spaces[x].index(x) for x in spaces}
    factors = [ta.tensor(f"A{k}", tuple(spaces[x] for x in word)) for k, word in enumerate(operands)]
    term: Any = factors[0][tuple(index[x] for x in operands[0])]
    for factor, word in zip(factors[1:], operands[1:], strict=True):
        term = term * factor[tuple(index[x] for x in word)]
    return ta.define(tuple(index[x] for x in output), term)


class Run:
    """The execution of one order: FLOPs counted, arrays allocated and freed."""

    def __init__(self, operands: list[str], output: str, size: dict[str, int]) -> None:
        self.letters = [set(word) for word in operands]
        self.output, self.size = set(output), size
        self.flops = self.largest = self.peak = 0
        self.alive: dict[frozenset[int], int] = {}

    def count(self, letters: set[str]) -> int:
        return prod(self.size[x] for x in letters)

    def kept(self, group: frozenset[int], letters: set[str]) -> set[str]:
        others = {x for k, word in enumerate(self.letters) if k not in group for x in word}
        return letters & (others | self.output)

    def make(self, group: frozenset[int], letters: set[str]) -> set[str]:
        self.alive[group] = self.count(letters)
        self.largest = max(self.largest, self.alive[group])
        self.peak = max(self.peak, sum(self.alive.values()))
        return letters

    def do(self, order: Order) -> tuple[frozenset[int], set[str]]:
        if isinstance(order, int):
            group, letters = frozenset({order}), self.letters[order]
            kept = self.kept(group, letters)
            if kept == letters:
                return group, letters
            self.flops += self.count(letters)
            return group, self.make(group, kept)
        (left, a), (right, b) = self.do(order[0]), self.do(order[1])
        group = left | right
        kept = self.kept(group, a | b)
        self.flops += self.count(a | b) * (1 if kept == a | b else 2)
        self.make(group, kept)
        self.alive.pop(left, None)
        self.alive.pop(right, None)
        return group, kept


def run(operands: list[str], output: str, size: dict[str, int], order: Order) -> tuple[int, int, int]:
    """Return FLOPs, largest and peak of one order."""
    done = Run(operands, output, size)
    done.do(order)
    if not done.alive:  # nothing was computed: the output is a view, which counts as an array of its own
        done.make(frozenset(), set(output))
    return done.flops, done.largest, done.peak


def orders(members: tuple[int, ...]) -> Iterator[Order]:
    """Yield every order of evaluation: every binary tree, each pair both ways round."""
    if len(members) == 1:
        yield members[0]
    for k in range(1, len(members)):
        for part in combinations(members, k):
            rest = tuple(m for m in members if m not in part)
            for left in orders(part):
                for right in orders(rest):
                    yield (left, right)


def trees(members: tuple[int, ...]) -> Iterator[Order]:
    """Yield every tree once, pairs in one way round only (for FLOPs and largest, which do not depend on it)."""
    if len(members) == 1:
        yield members[0]
    first, rest = members[0], members[1:]
    for k in range(len(rest)):
        for part in combinations(rest, k):
            for left in trees((first, *part)):
                for right in trees(tuple(m for m in rest if m not in part)):
                    yield (left, right)


def positions(tree: Any) -> Order:
    """Return a tree of names A0, A1, ... as one of positions."""
    return int(tree[1:]) if isinstance(tree, str) else tuple(positions(part) for part in tree)
