"""Random exact tensors that satisfy declared facts."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import permutations
from random import Random
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.expr.deferred import np
from tensoralg.expr.evaluate import size_of
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.label import parity


def sample(tensors: Mapping[str, Tensor], sizes: Mapping[str, int], random: Random, largest: int = 2) -> dict[str, Any]:
    """Return exact arrays (dtype object) for the tensors, satisfying every declared fact.

    Parameters
    ----------
    tensors : mapping of str to Tensor
    sizes : mapping of str to int
    random : random.Random
    largest : int
        Bound on the absolute value of generic entries.

    Raises
    ------
    Undecided
        If no such tensors exist at these sizes, or none can be made here.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> from tensoralg.expr.tensor import tensor
    >>> V = Space("V", "n")
    >>> A = sample({"A": tensor("A", V @ V, antisymmetric=True)}, {"n": 2}, Random(0))["A"]
    >>> bool((A == -A.T).all())
    True
    """
    partners = {symbol.inverse_of for symbol in tensors.values() if symbol.inverse_of is not None}
    found: dict[str, Any] = {}
    for name, symbol in tensors.items():
        mutual = symbol.inverse_of is not None and symbol.inverse_of not in found and name in partners
        if symbol.inverse_of is None or (mutual and symbol.inverse_of in tensors):
            found[name] = _base(symbol, name in partners, sizes, random, largest)
    for name, symbol in tensors.items():
        if name not in found:
            partner = symbol.inverse_of or ""
            if partner not in found:
                found[partner] = invertible(_side(symbol, sizes), random)[0]
            found[name] = tidied(inverse(found[partner]))
    values = {name: found[name] for name in tensors}
    if not satisfies(tensors, values):
        raise Undecided(
            "no tensors with all the declared facts were found at these sizes", remedy="declare fewer facts"
        )
    return values


def _base(symbol: Tensor, inverted: bool, sizes: Mapping[str, int], random: Random, largest: int) -> Any:
    plain = set(symbol.facts) <= {"inverse_of"}
    return invertible(_side(symbol, sizes), random)[0] if inverted and plain else _one(symbol, sizes, random, largest)


def _side(symbol: Tensor, sizes: Mapping[str, int]) -> int:
    rows, columns = shape_of(symbol, sizes)
    if rows != columns:
        raise Undecided(f"{symbol.name} cannot be invertible at sizes {rows} x {columns}", remedy="it has to be square")
    return rows


def shape_of(symbol: Tensor, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of a tensor at given sizes."""
    return tuple(size_of(leg.dimension, sizes) for leg in symbol.legs)


def _one(symbol: Tensor, sizes: Mapping[str, int], random: Random, largest: int) -> Any:
    shape = shape_of(symbol, sizes)
    structured = [fact for fact in ("permutation", "isometry", "projection") if getattr(symbol, fact)]
    if structured and (len(structured) > 1 or symbol.symmetric or symbol.antisymmetric or symbol.positive):
        if structured == ["projection"] and symbol.symmetric and not symbol.positive:
            frame = rotation(shape[0], random)
            return frame.dot(diagonal(shape[0], random)).dot(frame.T)
        raise Undecided(
            f"no tensors with all the facts of {symbol.name} can be made here", remedy="declare fewer facts"
        )
    if symbol.permutation:
        return permutation(shape[0], random)
    if symbol.isometry:
        if shape[0] < shape[1]:
            raise Undecided(f"{symbol.name} cannot be an isometry at sizes {shape}", remedy="it needs rows >= columns")
        return rotation(shape[0], random)[:, : shape[1]]
    if symbol.projection:
        return projection(shape[0], random)
    low = 1 if symbol.positive else -largest
    return symmetrised(symbol, array_of(shape, lambda p: random.randint(low, largest)))


def array_of(shape: tuple[int, ...], entry: Any) -> Any:
    """Return an array of Python objects with the entry for each position."""
    values = np.empty(shape, dtype=object)
    for position in np.ndindex(*shape):
        values[position] = entry(position)
    return values


def diagonal(size: int, random: Random) -> Any:
    """Return a random diagonal matrix of zeros and ones."""
    return array_of((size, size), lambda p: random.randint(0, 1) if p[0] == p[1] else 0)


def symmetrised(symbol: Tensor, values: Any) -> Any:
    """Return an array in which each orbit of legs takes its value from its sorted member."""
    if not symbol.symmetric and not symbol.antisymmetric:
        return values
    result = values.copy()
    for position in np.ndindex(*values.shape):
        source, sign = list(position), 1
        for group in (*symbol.symmetric, *symbol.antisymmetric):
            chosen = [position[g] for g in group]
            for g, value in zip(group, sorted(chosen), strict=True):
                source[g] = value
            if group in symbol.antisymmetric:
                sign *= 0 if len(set(chosen)) < len(chosen) else parity([sorted(chosen).index(c) for c in chosen])
        result[position] = sign * values[tuple(source)]
    return result


def rotation(size: int, random: Random) -> Any:
    """Return a rational orthogonal matrix: Cayley's transform (1 - A)(1 + A)^-1 of a skew A, columns permuted."""
    skew = np.zeros((size, size), dtype=object)
    for i in range(size):
        for j in range(i):
            skew[i, j] = Fraction(random.randint(-1, 1))
            skew[j, i] = -skew[i, j]
    one = array_of((size, size), lambda p: Fraction(int(p[0] == p[1])))
    turned = (one - skew).dot(inverse(one + skew))
    signs = [random.choice((-1, 1)) for _ in range(size)]
    order = random.sample(range(size), size)
    return array_of((size, size), lambda p: tidy(turned[p[0], order[p[1]]] * signs[p[1]]))


def invertible(size: int, random: Random) -> tuple[Any, Any]:
    """Return a unimodular integer matrix and its inverse, as a product of a lower and an upper triangle."""
    lower = array_of(
        (size, size), lambda p: Fraction(1 if p[0] == p[1] else random.randint(-1, 1) if p[0] > p[1] else 0)
    )
    upper = array_of(
        (size, size), lambda p: Fraction(1 if p[0] == p[1] else random.randint(-1, 1) if p[0] < p[1] else 0)
    )
    matrix = lower.dot(upper)
    return tidied(matrix), tidied(inverse(matrix))


def conjugated(matrix: Any, frame: Any, inverse_frame: Any) -> Any:
    """Return a matrix in another frame."""
    return tidied(frame.dot(matrix).dot(inverse_frame))


def projection(size: int, random: Random) -> Any:
    """Return a random projection, oblique in general."""
    return conjugated(diagonal(size, random), *invertible(size, random))


def symmetric_projection(size: int, random: Random) -> Any:
    """Return a random orthogonal projection."""
    frame = rotation(size, random)
    return conjugated(diagonal(size, random), frame, frame.T)


def permutation(size: int, random: Random) -> Any:
    """Return a random permutation matrix."""
    order = random.sample(range(size), size)
    return array_of((size, size), lambda p: int(order[p[0]] == p[1]))


def inverse(matrix: Any) -> Any:
    """Return the inverse of a square matrix of Fractions, by Gauss-Jordan elimination.

    Raises
    ------
    Undecided
        If it is singular.
    """
    size = len(matrix)
    if any(len(row) != size for row in matrix):
        raise Undecided("a sampled matrix is not square", remedy="try other sizes")
    work = np.array(
        [[Fraction(x) for x in row] + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)],
        dtype=object,
    )
    for column in range(size):
        pivot = next((r for r in range(column, size) if work[r, column]), None)
        if pivot is None:
            raise Undecided("a sampled matrix is singular", remedy="try other values")
        work[[column, pivot]] = work[[pivot, column]]
        work[column] = work[column] / work[column, column]
        for row in range(size):
            if row != column and work[row, column]:
                work[row] = work[row] - work[row, column] * work[column]
    return work[:, size:]


def tidy(value: Any) -> Any:
    """Return a number, as an int if it is one."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def tidied(matrix: Any) -> Any:
    """Return a matrix whose integers are ints."""
    return array_of(matrix.shape, lambda p: tidy(matrix[p]))


def satisfies(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> bool:
    """Whether exact arrays satisfy every declared fact."""
    return all(_satisfies_one(symbol, tensors, values) for symbol in tensors.values())


def _satisfies_one(symbol: Tensor, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> bool:
    array = values[symbol.name]
    if symbol.positive and not all(x > 0 for x in array.flat):
        return False
    for group in (*symbol.symmetric, *symbol.antisymmetric):
        for order in permutations(range(len(group))):
            axes = list(range(array.ndim))
            for slot, k in zip(group, order, strict=True):
                axes[slot] = group[k]
            sign = parity(list(order)) if group in symbol.antisymmetric else 1
            if (np.transpose(array, axes) != sign * array).any():
                return False
    if symbol.permutation:
        rows, columns = array.sum(axis=0), array.sum(axis=1)
        if any(x not in (0, 1) for x in array.flat) or any(x != 1 for x in (*rows, *columns)):
            return False
    if symbol.isometry and not _is_identity(array.T.dot(array)):
        return False
    if symbol.projection and (array.dot(array) != array).any():
        return False
    if symbol.inverse_of is not None and symbol.inverse_of in values:
        other = values[symbol.inverse_of]
        return array.shape == other.shape[::-1] and _is_identity(array.dot(other)) and _is_identity(other.dot(array))
    return True


def _is_identity(matrix: Any) -> bool:
    return all(matrix[p] == int(p[0] == p[1]) for p in np.ndindex(*matrix.shape))
