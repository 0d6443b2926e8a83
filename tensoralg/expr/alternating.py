"""Tensors made of signs of permutations: the generalised Kronecker delta and the Levi-Civita tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

from tensoralg.errors import InvalidDimension, InvalidExpression, LegCountMismatch, SpaceMismatch
from tensoralg.expr.nodes import Delta, Expr, add, as_expr, mul, negate
from tensoralg.expr.tensor import Tensor, tensor
from tensoralg.spaces import Fused, Index, IndexTerm, Injected, VectorSpace, as_index_term, as_space

MOST_PAIRS = 7


def generalised_delta(upper: object, lower: object) -> Expr:
    """Return the generalised Kronecker delta: the determinant of the matrix of deltas ``delta[upper_a, lower_b]``.

    It is the sum over the permutations p of k places of ``sign(p) * prod_a delta[upper_a, lower_p(a)]``: the sign of
    the permutation that takes the upper indices to the lower ones if they are distinct and there is one, else 0, and k!
    times the projection onto the antisymmetric tensors.  The dimension may be a symbol.  It is written out, and prints
    as its k! products of deltas; it has no text form of its own.

    Parameters
    ----------
    upper, lower : sequence of Index
        The same number k of indices, all over one space (or its dual).

    Raises
    ------
    LegCountMismatch
        If the numbers differ.
    SpaceMismatch
        If the spaces differ.
    InvalidExpression
        If k is so large that k! products cannot be written out.

    References
    ----------
    D. Lovelock and H. Rund, *Tensors, Differential Forms, and Variational Principles* (1975), on the generalised
    Kronecker delta.

    Examples
    --------
    >>> import tensoralg as ta
    >>> i, j, k, l = ta.Space("V", "n").indices("i j k l")
    >>> area = ta.generalised_delta((i, j), (k, l))
    >>> print(area)
    delta[i,k]*delta[j,l] - delta[i,l]*delta[j,k]
    >>> ta.define((i, k), area * ta.delta[j, l]).evaluate({"n": 3}).tolist()  # (n - 1) delta[i,k]
    [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    """
    above, below = _indices(upper), _indices(lower)
    if len(above) != len(below):
        raise LegCountMismatch(
            f"generalised_delta got {len(above)} upper and {len(below)} lower indices",
            remedy="give as many lower indices as upper ones, as in generalised_delta((i, j), (k, l))",
        )
    if len(above) > MOST_PAIRS:
        raise InvalidExpression(
            f"the generalised delta of {len(above)} pairs is a sum of {math.factorial(len(above))} products",
            remedy=f"use at most {MOST_PAIRS} pairs, or a tensor declared antisymmetric",
        )
    for index in (*above, *below):
        first = above[0].space
        if index.space not in (first, first.dual):
            raise SpaceMismatch(
                f"generalised_delta relates index {above[0]} over {first} to index {index} over {index.space}",
                remedy="all its indices must be over one space",
                index=str(index),
                spaces=(first, index.space),
            )
    return add(*(_signed(places, above, below) for places in permutations(range(len(above)))))


def _indices(value: object) -> tuple[IndexTerm, ...]:
    if isinstance(value, Index | Fused | Injected):
        return (value,)
    if not isinstance(value, list | tuple):
        raise InvalidExpression(
            f"{value!r} is no sequence of indices", remedy="write generalised_delta((i, j), (k, l))", value=value
        )
    return tuple(as_index_term(item) for item in value)


def _signed(places: tuple[int, ...], above: tuple[IndexTerm, ...], below: tuple[IndexTerm, ...]) -> Expr:
    inversions = sum(places[a] > places[b] for b in range(len(places)) for a in range(b))
    product = mul(as_expr(1), *(Delta(left, below[place]) for left, place in zip(above, places, strict=True)))
    return negate(product) if inversions % 2 else product


@dataclass(frozen=True, slots=True)
class LeviCivita:
    """A Levi-Civita tensor and what is known of it, for ``given=`` of `prove`.

    Attributes
    ----------
    tensor : Tensor
        Antisymmetric in all its legs, as many as the dimension.
    given : tuple of pairs of Expr
        The one hypothesis ``eps[i,..]*eps[j,..] == generalised_delta((i,..), (j,..))``, which fixes it up to its sign.
    """

    tensor: Tensor
    given: tuple[tuple[Expr, Expr], ...]


def levi_civita(space: VectorSpace, name: str = "eps") -> LeviCivita:
    """Return the Levi-Civita tensor over a space of dimension 2, 3 or 4, with the identity that characterises it.

    It has one leg for every dimension, so it exists only where the dimension is a number: over a symbolic space there
    is no such tensor, and `generalised_delta` says what can be said.  Over orthonormal bases its entries are the signs
    of permutations; which of the two orientations is meant is not fixed, because ``-eps`` satisfies the same identity.

    Parameters
    ----------
    space : VectorSpace
        With its Euclidean metric.
    name : str
        The name of the tensor.

    Raises
    ------
    InvalidDimension
        If the dimension is a symbol, or not 2, 3 or 4.
    SpaceMismatch
        If the space is bare: the identity lowers indices, which needs a metric.

    References
    ----------
    D. Lovelock and H. Rund, *Tensors, Differential Forms, and Variational Principles* (1975), on the permutation
    symbols and the generalised Kronecker delta.

    Examples
    --------
    >>> import tensoralg as ta
    >>> R2 = ta.Space("R", 2)
    >>> eps = ta.levi_civita(R2)
    >>> for left, right in eps.given:
    ...     print(left, "==", right)
    eps[i1,i2]*eps[j1,j2] == delta[i1,j1]*delta[i2,j2] - delta[i1,j2]*delta[i2,j1]
    >>> i, j = R2.indices("i j")
    >>> x, y = ta.tensors("x y", R2)
    >>> ta.define((), eps.tensor[i, j] * x[i] * y[j]).evaluate(eps=[[0, 1], [-1, 0]], x=[2, 3], y=[5, 7])
    -1
    """
    dimension = as_space(space).dimension
    if getattr(dimension, "free_symbols", None):
        raise InvalidDimension(
            f"there is no Levi-Civita tensor over {space} of dimension {dimension}: it has as many legs as dimensions, "
            "and the number of legs cannot be a symbol",
            remedy='fix the dimension, as in Space("R", 3), or use generalised_delta, which exists in every dimension',
            value=dimension,
        )
    count = int(dimension)
    if not 2 <= count <= 4:
        raise InvalidDimension(
            f"the Levi-Civita tensor over {space} of dimension {count} is not built",
            remedy="use a space of dimension 2, 3 or 4",
            value=count,
        )
    if space.metric is None:
        raise SpaceMismatch(
            f"the Levi-Civita tensor needs a metric, and {space} is a bare space",
            remedy="declare the space with its Euclidean metric",
            spaces=(space,),
        )
    symbol = tensor(name, [space] * count, antisymmetric=True)
    left, right = (space.indices(" ".join(f"{letter}{k + 1}" for k in range(count))) for letter in "ij")
    return LeviCivita(symbol, ((symbol[left] * symbol[right], generalised_delta(left, right)),))


__all__ = ["LeviCivita", "generalised_delta", "levi_civita"]
