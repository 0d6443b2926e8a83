"""What the tests of maps compare with: matrices of integers and Fractions, written from the definitions."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensoralg.expr import walk
from tensoralg.expr.arrays import all_dimensions


def integers(rng: random.Random, *shape: int) -> Any:
    """Return an array of small integers; of no shape, one integer."""
    found = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        found[at] = rng.randint(-4, 4)
    return found if shape else found[()]


def eye(n: int) -> Any:
    """Return the identity matrix."""
    return np.array([[int(a == b) for b in range(n)] for a in range(n)], dtype=object).reshape(n, n)


def kron(*matrices: Any) -> Any:
    """Return the Kronecker product, from `np.kron`, of any number of matrices."""
    found = np.array([[1]], dtype=object)
    for matrix in matrices:
        found = np.kron(found, matrix)
    return found


def block_matrix(blocks: Sequence[Sequence[Any]]) -> Any:
    """Return the matrix with the given blocks."""
    return np.vstack([np.hstack(row) for row in blocks])


def determinant(matrix: Any) -> Any:
    """Return the determinant, as the sum over permutations."""
    n = len(matrix)
    return sum(
        sign(word) * math.prod(matrix[a][b] for a, b in enumerate(word)) for word in itertools.permutations(range(n))
    )


def permanent(matrix: Any) -> Any:
    """Return the permanent, as the sum over permutations."""
    n = len(matrix)
    return sum(math.prod(matrix[a][b] for a, b in enumerate(word)) for word in itertools.permutations(range(n)))


def sign(word: Sequence[int]) -> int:
    """Return the sign of a permutation, from its inversions."""
    return (-1) ** sum(a > b for a, b in itertools.combinations(word, 2))


def inputs(expr: Any, sizes: Mapping[str, int], arrays: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, Any]]:
    """Return those of the sizes and arrays that an expression mentions."""
    names = {tensor.name for node in walk(expr) if (tensor := getattr(node, "tensor", None)) is not None}
    mentioned = all_dimensions(expr)
    return {name: n for name, n in sizes.items() if name in mentioned}, {name: arrays[name] for name in names}


def worth(expr: Any, sizes: Mapping[str, int], arrays: Mapping[str, Any]) -> Any:
    """Return the exact value of an expression."""
    found, given = inputs(expr, sizes, arrays)
    return expr.evaluate(found, **given)


def matrix_from_entries(f: Any, sizes: Mapping[str, int], arrays: Mapping[str, Any]) -> Any:
    """Return the matrix of a linear map over the bases of the carriers, target by source, from its entries."""
    value = np.asarray(worth(f.entries(), sizes, arrays), dtype=object)
    ins = len(f.arguments[0].legs)
    return value.reshape(math.prod(value.shape[:ins]), math.prod(value.shape[ins:])).T
