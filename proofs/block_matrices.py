"""The claims about block matrices: matrices over the direct sum of two spaces.

A claim expected to be refuted is a mistake that is easily made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import DirectSum, Injected

BLOCKS = "textbook: block matrices"
NM = {"n": 5, "m": 4}

V, W = ta.Space("V", "n"), ta.Space("W", "m")
i, j, k, l = V.indices("i j k l")
a, b = W.indices("a b")

Matrix: TypeAlias = "ta.Tensor | ta.Definition"

VW = DirectSum((V, W))
M, N = ta.tensors("M N", (VW, VW))
p, q = VW.indices("p q")


def product(*factors: Matrix) -> ta.Definition:
    """Return the product of matrices."""
    letters = "pabcdq"[: len(factors)] + "q"
    return ta.einsum(",".join(letters[at : at + 2] for at in range(len(factors))) + f"->{letters[0]}q", *factors)


def transpose(matrix: Matrix) -> ta.Definition:
    """Return the transpose."""
    return ta.einsum("q p -> p q", matrix)


def trace(matrix: Matrix) -> ta.Definition:
    """Return the trace."""
    return ta.einsum("p p ->", matrix)


def block(matrix: Matrix, row: int, column: int) -> ta.Definition:
    """Return a block of a block matrix."""
    one, two = (i, a)[row], (j, b)[column]
    return ta.define((one, two), matrix[Injected(one, row, VW), Injected(two, column, VW)])


def blocks(parts: Mapping[tuple[int, int], Matrix]) -> ta.Definition:
    """Return the block matrix with these blocks, and zeros elsewhere."""
    terms: Any = 0
    for (row, column), part in parts.items():
        one, two = (k, a)[row], (l, b)[column]
        at = ta.delta[p, Injected(one, row, VW)] * ta.delta[q, Injected(two, column, VW)]
        terms = terms + at * part[one, two]
    return ta.define((p, q), terms)


A0, X, Y = ta.tensor("A", V @ V), ta.tensor("X", V @ W), ta.tensor("Y", W @ V)
Z = ta.tensor("Z", W @ W)
AI = ta.tensor("Ai", V @ V, inverse_of="A")
one, one_w = ta.define((i, j), ta.delta[i, j]), ta.define((a, b), ta.delta[a, b])
whole = ta.define((p, q), ta.delta[p, q])


@claim(source=BLOCKS, sizes=NM, mutation=lambda: (block(product(M, N), 0, 0), diagonal_blocks_only()))
def blocks_multiply_like_entries():
    """``(M N)_00 = M_00 N_00 + M_01 N_10``."""
    return block(product(M, N), 0, 0), ta.define(
        (i, j), block(M, 0, 0)[i, k] * block(N, 0, 0)[k, j] + block(M, 0, 1)[i, a] * block(N, 1, 0)[a, j]
    )


def diagonal_blocks_only() -> ta.Definition:
    """Return ``M_00 N_00``."""
    return ta.define((i, j), block(M, 0, 0)[i, k] * block(N, 0, 0)[k, j])


@claim(source=BLOCKS, sizes=NM)
def the_trace_is_that_of_the_diagonal_blocks():
    """``tr M = tr M_00 + tr M_11``."""
    return trace(M), ta.define((), trace(block(M, 0, 0))[()] + trace(block(M, 1, 1))[()])


@claim(source=BLOCKS, kernel=False)
def a_matrix_is_made_of_its_blocks():
    """``[M_00, M_01; M_10, M_11] = M``."""
    return blocks({(row, column): block(M, row, column) for row in (0, 1) for column in (0, 1)}), M[p, q]


@claim(source=BLOCKS, kernel=False)
def transposition_exchanges_the_blocks():
    """``M^T = [M_00^T, M_10^T; M_01^T, M_11^T]``."""
    parts = {(row, column): transpose(block(M, column, row)) for row in (0, 1) for column in (0, 1)}
    return ta.einsum("q p -> p q", M), blocks(parts)


@claim(source=BLOCKS, kernel=False)
def block_triangular_matrices_multiply():
    """``[1, X; 0, 1] [1, -X; 0, 1] = 1``."""
    minus = ta.define((i, b), -X[i, b])
    upper = [blocks({(0, 0): one, (0, 1): corner, (1, 1): one_w}) for corner in (X, minus)]
    return product(*upper), whole


@claim(source="textbook: Schur complement", kernel=False)
def a_block_matrix_factors_through_the_schur_complement():
    """``[A, X; Y, Z] = [1, 0; Y A^-1, 1] [A, 0; 0, Z - Y A^-1 X] [1, A^-1 X; 0, 1]``."""
    correction = product(Y, AI, X)
    complement = ta.define((a, b), Z[a, b] - correction[a, b])
    lower = blocks({(0, 0): one, (1, 0): product(Y, AI), (1, 1): one_w})
    upper = blocks({(0, 0): one, (0, 1): product(AI, X), (1, 1): one_w})
    middle = blocks({(0, 0): A0, (1, 1): complement})
    return product(lower, middle, upper), blocks({(0, 0): A0, (0, 1): X, (1, 0): Y, (1, 1): Z})


@claim(source="a mistake: a block left out", expected="refuted")
def blocks_multiply_block_by_block():
    """``(M N)_00 = M_00 N_00``."""
    return block(product(M, N), 0, 0), diagonal_blocks_only()


@claim(source="a mistake: a sign", expected="refuted")
def the_schur_complement_with_a_plus():
    """``[A, X; Y, Z] = [1, 0; Y A^-1, 1] [A, 0; 0, Z + Y A^-1 X] [1, A^-1 X; 0, 1]``."""
    correction = product(Y, AI, X)
    complement = ta.define((a, b), Z[a, b] + correction[a, b])
    lower = blocks({(0, 0): one, (1, 0): product(Y, AI), (1, 1): one_w})
    upper = blocks({(0, 0): one, (0, 1): product(AI, X), (1, 1): one_w})
    middle = blocks({(0, 0): A0, (1, 1): complement})
    return product(lower, middle, upper), blocks({(0, 0): A0, (0, 1): X, (1, 0): Y, (1, 1): Z})
