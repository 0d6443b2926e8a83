"""Orthonormal bases of spaces inside their carriers, and matrices of maps over them.

Named spaces have their standard basis; products and sums have theirs in lexicographic order.  For a basis e_1, .., e_n
of V the powers have one basis vector for each multiset (Sym) or set (Alt) I of k places,

    Sym^k V:  sqrt(k! / prod_i m_i!) P(e_I),  m_i the multiplicities in I,      Alt^k V:  sqrt(k!) P(e_I),

P the projection of ``V ** k``.  These are orthonormal; then the matrix of Sym^k(A) holds permanents over square roots
of multiplicities and that of Alt^k(A) holds minors, and both are functors.  (Bare permanents are not: for k = 2 and
A = B = [[1, 1], [0, 0]] the permanents of AB are not the product of the permanents of A and of B.  R. Merris,
*Multilinear Algebra*, ch. 5-7.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, permutations
from math import prod
from typing import TYPE_CHECKING, Any

import sympy

from tensoralg.errors import EvaluationError, UnknownName, suggest
from tensoralg.expr.arrays import all_dimensions, exact_array, infer_sizes, size_of
from tensoralg.expr.deferred import np
from tensoralg.expr.evaluate import Evaluator
from tensoralg.expr.scalars import Scalars
from tensoralg.spaces import AlternatingPower, DirectSum, TensorProduct, UnitSpace, VectorSpace
from tensoralg.universal.carrier import Power
from tensoralg.universal.maps import tensors_in

if TYPE_CHECKING:
    from tensoralg.universal.linear import LinearMap

Basis = tuple[Any, list[int]]


class Symbols(Scalars):
    """The field of rational functions of symbols, as sympy holds it."""

    def number(self, value: Fraction) -> Any:
        return sympy.Rational(value.numerator, value.denominator)

    def invert(self, value: Any) -> Any:
        if value == 0:
            raise EvaluationError("a denominator is zero", remedy="choose values at which the expression is defined")
        return 1 / value

    def relu(self, value: Any) -> Any:
        return sympy.Max(value, 0)

    def exp(self, value: Any) -> Any:
        return sympy.exp(value)

    def log(self, value: Any) -> Any:
        return sympy.log(value)

    def sqrt(self, value: Any) -> Any:
        return sympy.sqrt(value)


def matrix_of(f: LinearMap, sizes: Mapping[str, int] | None, arrays: Mapping[str, Any]) -> Any:
    """Return the matrix of a map over orthonormal bases; tensors without an array stand for their entries.

    Parameters
    ----------
    f : LinearMap
    sizes : mapping of str to int, optional
        Sizes that no array tells.
    arrays : mapping of str to array_like
        Values of tensors in the entries; an entry of any other tensor A is a symbol ``A[0, 1]``, counted from 0.

    Returns
    -------
    sympy.ImmutableMatrix

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> matrix_of(ta.LinearMap.generic("f", V, V), {"n": 2}, {})
    Matrix([
    [f[0, 0], f[1, 0]],
    [f[0, 1], f[1, 1]]])
    """
    own = f.entries()
    known = {used.name: used for used in tensors_in(own)}
    for name in arrays:
        if name not in known:
            raise UnknownName(f"no tensor {name!r} in the entries of {f}", remedy=suggest(name, known), name=name)
    exact = {name: exact_array(name, value) for name, value in arrays.items()}
    found = infer_sizes(known, {name: array.shape for name, array in exact.items()}, sizes, all_dimensions(own))
    for name, used in known.items():
        if name not in arrays:
            exact[name] = np.zeros([size_of(leg.dimension, found) for leg in used.legs], dtype=object)
    machine = Evaluator(own, found, exact)
    machine.scalars = Symbols()
    for name, array in exact.items():
        machine.arrays[name] = held = np.empty(array.shape, dtype=object)
        for at in np.ndindex(*array.shape):
            value = array[at]
            symbol = sympy.Symbol(f"{name}[{', '.join(map(str, at))}]")
            held[at] = sympy.Rational(value.numerator, value.denominator) if name in arrays else symbol
    labels, values = machine.value(own.body)
    legs = [leg.name for leg in own.legs]
    full = np.empty(tuple(machine.extent(leg.space) for leg in own.legs), dtype=object)
    kept = [leg for leg in legs if leg in labels]
    spread = np.transpose(values, [labels.index(leg) for leg in kept])
    full[...] = spread[tuple(slice(None) if leg in labels else None for leg in legs)]
    above, upper = basis(f.source, machine.sizes)
    below, lower = basis(f.target, machine.sizes)
    inner = np.array(below, dtype=object).T.dot(full.reshape(above.shape[0], below.shape[0]).T).dot(above)
    roots = [[sympy.sqrt(sympy.Rational(1, p * q)) for q in upper] for p in lower]
    return sympy.ImmutableMatrix(len(lower), len(upper), lambda a, b: sympy.expand(inner[a, b] * roots[a][b]))


def basis(space: VectorSpace, sizes: Mapping[str, int]) -> Basis:
    """Return orthogonal vectors of a carrier that span a space, as columns of integers, and the squares of their norms.

    Examples
    --------
    >>> import tensoralg as ta
    >>> vectors, norms = basis(ta.Alt(ta.Space("V", 3), 2), {})
    >>> vectors.T.tolist(), norms
    ([[0, 1, 0, -1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, 0, 0, 0, 0, 1, 0, -1, 0]], [2, 2, 2])
    """
    if isinstance(space, UnitSpace) or (isinstance(space, Power) and not space.k):
        return np.ones((1, 1), dtype=object), [1]
    if isinstance(space, TensorProduct):
        parts = [basis(factor, sizes) for factor in space.factors]
        return _kron([vectors for vectors, _ in parts]), [prod(c) for c in _pairs([norms for _, norms in parts])]
    if isinstance(space, DirectSum):
        return _blocks([basis(summand, sizes) for summand in space.summands])
    if isinstance(space, Power):
        return _power(space, *basis(space.base, sizes))
    return np.array(np.eye(size_of(space.dimension, sizes), dtype=int), dtype=object), [1] * size_of(
        space.dimension, sizes
    )


def _power(space: Power, vectors: Any, norms: list[int]) -> Basis:
    alternating = isinstance(space, AlternatingPower)
    choose = combinations if alternating else combinations_with_replacement
    columns, squares = [], []
    for chosen in choose(range(len(norms)), space.k):
        words = list(permutations(chosen)) if alternating else sorted(set(permutations(chosen)))
        signs = [_sign(word) if alternating else 1 for word in words]
        terms = [sign * _kron([vectors[:, [place]] for place in word]) for sign, word in zip(signs, words, strict=True)]
        columns.append(sum(terms[1:], terms[0]))
        squares.append(len(words) * prod(norms[place] for place in chosen))
    rows = vectors.shape[0] ** space.k
    return (np.hstack(columns) if columns else np.zeros((rows, 0), dtype=object)), squares


def _sign(word: Sequence[int]) -> int:
    return -1 if sum(a > b for a, b in combinations(word, 2)) % 2 else 1


def _kron(matrices: Sequence[Any]) -> Any:
    found = np.ones((1, 1), dtype=object)
    for matrix in matrices:
        rows, columns = found.shape[0] * matrix.shape[0], found.shape[1] * matrix.shape[1]
        found = (found[:, None, :, None] * matrix[None, :, None, :]).reshape(rows, columns)
    return found


def _pairs(norms: Sequence[list[int]]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for part in norms:
        found = [(*chosen, norm) for chosen in found for norm in part]
    return found


def _blocks(parts: Sequence[Basis]) -> Basis:
    rows, columns = (sum(vectors.shape[axis] for vectors, _ in parts) for axis in (0, 1))
    found = np.zeros((rows, columns), dtype=object)
    top = left = 0
    for vectors, _ in parts:
        found[top : top + vectors.shape[0], left : left + vectors.shape[1]] = vectors
        top, left = top + vectors.shape[0], left + vectors.shape[1]
    return found, [norm for _, norms in parts for norm in norms]
