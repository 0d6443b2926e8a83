"""Orders as nested tuples of names, for people.

A pair is a contraction, left part first.  Other blocks are tuples that begin with a word that names no
tensor: ``("softmax", argument, masks...)``, ``("exp", x)``, ``("+", terms...)``, ``("/", numerator,
denominators...)``,
``("results", one, other...)``; literals are ``"le"``, ``"lt"``, ``"near"``, ``"delta"``, an empty product ``"1"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensoralg.plan.block import (
    Block,
    Bundle,
    Contract,
    Leaf,
    Literal,
    Pointwise,
    Quotient,
    Softmax,
    Split,
    Take,
    Total,
)
from tensoralg.plan.tree import Tree


def tree_of(block: Block, trees: Mapping[Contract, Tree]) -> Any:
    """Return the order in which a block is computed, as nested tuples of names."""
    if isinstance(block, Leaf):
        return block.tensor.name
    if isinstance(block, Literal):
        return block.relation
    parts = [tree_of(operand.block, trees) for operand in block.operands]
    if isinstance(block, Split | Take):
        return parts[0]
    if isinstance(block, Contract):
        return _named(trees.get(block, 0 if parts else ()), parts)
    return (_word(block), *parts)


def _word(block: Block) -> str:
    if isinstance(block, Pointwise):
        return block.function
    return {Softmax: "softmax", Total: "+", Quotient: "/", Bundle: "results"}[type(block)]


def _named(tree: Tree, parts: list[Any]) -> Any:
    if isinstance(tree, int):
        return parts[tree]
    return tuple(_named(part, parts) for part in tree) if tree else "1"
