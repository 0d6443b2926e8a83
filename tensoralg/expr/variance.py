"""Bare spaces contract only with their dual: the check of a sum over an index of such a space."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from tensoralg.errors import SpaceMismatch
from tensoralg.spaces import Index, IndexTerm, VectorSpace, atoms

if TYPE_CHECKING:
    from tensoralg.expr import nodes

# How often an index stands at a leg over its own space, at a leg over the dual, and at either (a delta or a mask).
Uses: TypeAlias = tuple[int, int, int]
NEVER: frozenset[Uses] = frozenset({(0, 0, 0)})
POINTWISE: frozenset[Uses] = frozenset({(3, 0, 0)})


def check_contractions(node: nodes.Bind) -> None:
    """Raise `SpaceMismatch` where a sum over a bare space does not join a leg to a leg over the dual."""
    for index in node.indices:
        if index.space.metric is not None:
            continue
        for own, other, either in _Uses(index).of(node.summand):
            total = own + other + either
            if total and (total != 2 or max(own, other) == 2):
                raise SpaceMismatch(
                    f"the sum over {index} in {node} does not join one leg over {index.space} to one over "
                    f"{index.space.dual}, but {index.space} is a bare space and contracts only with its dual",
                    remedy=f"use one leg over {index.space} and one over {index.space.dual}, "
                    "or declare the space with its Euclidean metric",
                    index=index.name,
                    spaces=(index.space, index.space.dual),
                )


class _Uses:
    """The fold that counts where one index stands; sums give alternatives, counts stop at three."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def of(self, node: nodes.Expr) -> frozenset[Uses]:
        return node.accept(self) if self.index in node.free_indices else NEVER

    def _stands(self, legs: tuple[VectorSpace | None, ...], terms: tuple[IndexTerm, ...]) -> frozenset[Uses]:
        own = other = either = 0
        for leg, term in zip(legs, terms, strict=True):
            times = sum(atom == self.index for atom in atoms(term))
            own += times * (leg == term.space)
            other += times * (leg is not None and leg != term.space)
            either += times * (leg is None)
        return frozenset({_capped((own, other, either))})

    def entry(self, node: nodes.Entry) -> frozenset[Uses]:
        return self._stands(node.tensor.legs, node.args)

    def relation(self, node: nodes.Expr) -> frozenset[Uses]:
        return self._stands((None, None), node.index_terms())

    delta = mask = near = relation

    def decay(self, node: nodes.Decay) -> frozenset[Uses]:
        return self._stands((*(None for _ in node.times), *node.tensor.legs[1:]), node.index_terms())

    def add(self, node: nodes.Add) -> frozenset[Uses]:
        return frozenset().union(*map(self.of, node.terms))

    def mul(self, node: nodes.Mul) -> frozenset[Uses]:
        found = NEVER
        for factor in node.factors:
            pairs = product(found, self.of(factor))
            found = frozenset(_capped((a + x, b + y, c + z)) for (a, b, c), (x, y, z) in pairs)
        return found

    def nonlinear(self, node: nodes.Expr) -> frozenset[Uses]:
        return POINTWISE

    pow = apply = nonlinear

    def bind(self, node: nodes.Bind) -> frozenset[Uses]:
        return self.of(node.summand)


def _capped(uses: Uses) -> Uses:
    own, other, either = (min(count, 3) for count in uses)
    return own, other, either
