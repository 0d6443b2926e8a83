"""Orders as nested tuples of names, for people.

A pair is a contraction, left part first.  Other blocks are tuples that begin with a word that names no
tensor: ``("softmax", argument, masks...)``, ``("exp", x)``, ``("+", terms...)``, ``("/", numerator,
denominators...)``, ``("decay", gate)``, ``("results", one, other...)``; literals are ``"le"``, ``"lt"``,
``"near"``, ``"delta"``, an empty product ``"1"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensoralg.plan.block import (
    Block,
    Bundle,
    Contract,
    Leaf,
    Literal,
    Paths,
    Pointwise,
    Quotient,
    Softmax,
    Split,
    Take,
    Total,
)
from tensoralg.plan.slicing import Sliced, unsliced
from tensoralg.plan.tree import Tree, named, written
from tensoralg.spaces import VectorSpace


def tree_of(block: Block, trees: Mapping[Contract, Tree | Sliced]) -> Any:
    """Return the order in which a block is computed, as nested tuples of names."""
    if isinstance(block, Leaf):
        return block.tensor.name
    if isinstance(block, Literal):
        return block.relation
    parts = [tree_of(operand.block, trees) for operand in block.operands]
    if isinstance(block, Split | Take):
        return parts[0]
    if isinstance(block, Contract):
        return named(unsliced(trees.get(block, written(len(parts)))), parts) or "1"
    return (_word(block), *parts)


def _word(block: Block) -> str:
    if isinstance(block, Pointwise):
        return block.function
    return {Softmax: "softmax", Total: "+", Quotient: "/", Paths: "decay", Bundle: "results"}[type(block)]


@dataclass(frozen=True)
class Slice:
    """A label over which a contraction is sliced: its space, and the axes that carry it."""

    space: VectorSpace
    axes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.space} ({', '.join(self.axes)})"


def slices_of(trees: Mapping[Contract, Tree | Sliced]) -> list[Slice]:
    """Return the labels over which contractions are sliced (labels have no names: axes count from 0)."""
    return [
        Slice(contract.spaces[label], tuple(_axes(contract, label, trees)))
        for contract, order in trees.items()
        if isinstance(order, Sliced)
        for label in order.labels
    ]


def _axes(contract: Contract, label: int, trees: Mapping[Contract, Tree | Sliced]) -> Iterator[str]:
    for operand in contract.factors:
        name = tree_of(operand.block, trees)
        for axis, carried in enumerate(operand.labels):
            if carried == label:
                yield f"axis {axis} of {name if isinstance(name, str) else name[0]}"
    for axis, carried in enumerate(contract.output):
        if carried == label:
            yield f"axis {axis} of the result"
