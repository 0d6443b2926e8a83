"""The claims about Kronecker products: mixed products, vec, the commutation matrix, partial traces.

A Kronecker product is a matrix over the product of two spaces, whose index is a pair.  ``vec`` stacks columns, so its
index is (column, row).  A claim expected to be refuted is a mistake that is easily made.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import Index

KRONECKER = "R. A. Horn & C. R. Johnson, Topics in Matrix Analysis, sec. 4.2"
VEC = "R. A. Horn & C. R. Johnson, Topics in Matrix Analysis, sec. 4.3"
COMMUTATION = "J. R. Magnus & H. Neudecker, The commutation matrix, Ann. Statist. 7 (1979)"
PARTIAL = "textbook: partial trace"

n, m, r = ta.dims("n m r")
V, W, R = ta.Space("V", n), ta.Space("W", m), ta.Space("R", r)
i, j = V.indices("i j")
a, b = W.indices("a b")
half = Fraction(1, 2)

Matrix: TypeAlias = "ta.Tensor | ta.Definition"

A, C, M = ta.tensors("A C M", V @ V)
B, D = ta.tensors("B D", W @ W)
X, Y = ta.tensor("X", V @ W), ta.tensor("Y", W @ V)
AI, BI = ta.tensor("Ai", V @ V, inverse_of="A"), ta.tensor("Bi", W @ W, inverse_of="B")
U, O = ta.tensor("U", R @ V, isometry=True), ta.tensor("O", R @ W, isometry=True)
x, w = ta.tensor("x", V), ta.tensor("w", W)
one, one_w = ta.define((i, j), ta.delta[i, j]), ta.define((a, b), ta.delta[a, b])
SIZES = {"n": 5, "m": 4}


def spaces(matrix: Matrix) -> tuple[Any, ...]:
    """Return the spaces of the legs."""
    return tuple(leg.space if isinstance(leg, Index) else leg for leg in matrix.legs)


def kron(first: Matrix, second: Matrix) -> ta.Definition:
    """Return the Kronecker product, a matrix over the products of the spaces."""
    (rows, columns), (rows2, columns2) = spaces(first), spaces(second)
    row, column = Index("p", rows @ rows2), Index("q", columns @ columns2)
    i1, j1, i2, j2 = Index("i1", rows), Index("j1", columns), Index("i2", rows2), Index("j2", columns2)
    at = ta.delta[row, (i1, i2)] * ta.delta[column, (j1, j2)]
    return ta.define((row, column), at * first[i1, j1] * second[i2, j2])


def vec(matrix: Matrix) -> ta.Definition:
    """Return the columns of a matrix under each other: a vector whose index is (column, row)."""
    rows, columns = spaces(matrix)
    at, row, column = Index("p", columns @ rows), Index("i1", rows), Index("j1", columns)
    return ta.define((at,), ta.delta[at, (column, row)] * matrix[row, column])


def product(*factors: Matrix) -> ta.Definition:
    """Return the product of matrices."""
    names = ["p", *(f"k{at}" for at in range(1, len(factors))), "q"]
    return ta.einsum(", ".join(f"{x} {y}" for x, y in pairwise(names)) + " -> p q", *factors)


def transpose(matrix: Matrix) -> ta.Definition:
    """Return the transpose."""
    return ta.einsum("q p -> p q", matrix)


def trace(matrix: Matrix) -> ta.Definition:
    """Return the trace."""
    return ta.einsum("p p ->", matrix)


def times(matrix: Matrix, vector: Matrix) -> ta.Definition:
    """Return the matrix times the vector."""
    return ta.einsum("p q, q -> p", matrix, vector)


def combine(first: Matrix, second: Matrix, factor: int | Fraction = 1, factor2: int | Fraction = 1) -> ta.Definition:
    """Return the sum of two matrices, or a combination."""
    rows, columns = spaces(first)
    legs = Index("p", rows), Index("q", columns)
    return ta.define(legs, factor * first[legs] + factor2 * second[legs])


def frobenius(matrix: Matrix) -> ta.Definition:
    """Return the squared Frobenius norm."""
    return ta.einsum("p q, p q ->", matrix, matrix)


def scaled(value: ta.Definition, other: ta.Definition) -> ta.Definition:
    """Return the product of two definitions without legs."""
    return ta.define((), value[()] * other[()])


# The Kronecker product.


@claim(
    source=KRONECKER,
    sizes=SIZES,
    mutation=lambda: (product(kron(A, B), kron(C, D)), kron(product(C, A), product(B, D))),
)
def the_mixed_product():
    """``(A x B)(C x D) = A C x B D``."""
    return product(kron(A, B), kron(C, D)), kron(product(A, C), product(B, D))


@claim(source=KRONECKER, kernel=False)
def the_mixed_product_of_rectangular_matrices():
    """``(X x Y)(Y x X) = X Y x Y X``."""
    return product(kron(X, Y), kron(Y, X)), kron(product(X, Y), product(Y, X))


@claim(source=KRONECKER, sizes=SIZES)
def the_transpose_of_a_kronecker_product():
    """``(X x Y)^T = X^T x Y^T``."""
    return transpose(kron(X, Y)), kron(transpose(X), transpose(Y))


@claim(source=KRONECKER, sizes=SIZES)
def the_trace_of_a_kronecker_product():
    """``tr(A x B) = tr A tr B``."""
    return trace(kron(A, B)), scaled(trace(A), trace(B))


@claim(source=KRONECKER, kernel=False)
def the_inverse_of_a_kronecker_product():
    """``(A^-1 x B^-1)(A x B) = 1``."""
    return product(kron(AI, BI), kron(A, B)), kron(one, one_w)


@claim(source=KRONECKER, kernel=False)
def the_identity_of_a_product_is_the_product_of_the_identities():
    """``1 x 1 = 1``."""
    p, q = (V @ W).index("p"), (V @ W).index("q")
    return kron(one, one_w), ta.define((p, q), ta.delta[p, q])


@claim(source=KRONECKER, kernel=False)
def the_kronecker_product_is_bilinear():
    """``(A + C) x B = A x B + C x B``."""
    return kron(combine(A, C), B), combine(kron(A, B), kron(C, B))


@claim(source=KRONECKER, sizes=SIZES)
def the_norm_of_a_kronecker_product():
    """``|X x Y|^2 = |X|^2 |Y|^2``."""
    return frobenius(kron(X, Y)), scaled(frobenius(X), frobenius(Y))


@claim(source="textbook: isometries", kernel=False)
def the_kronecker_product_of_isometries_is_an_isometry():
    """``1 = (U x O)^T (U x O)``."""
    both = kron(U, O)
    return kron(one, one_w), product(transpose(both), both)


@claim(source=KRONECKER, kernel=False)
def factors_of_different_spaces_commute():
    """``(A x 1)(1 x B) = (1 x B)(A x 1)``."""
    left, right = kron(A, one_w), kron(one, B)
    return product(left, right), product(right, left)


kronecker_sum = combine(kron(A, one_w), kron(one, B))


@claim(source="textbook: Kronecker sum", sizes=SIZES)
def the_trace_of_a_kronecker_sum():
    """``tr(A x 1 + 1 x B) = m tr A + n tr B``."""
    return trace(kronecker_sum), ta.define((), m * trace(A)[()] + n * trace(B)[()])


@claim(source=VEC, sizes=SIZES, mutation=lambda: (vec(product(A, M, C)), times(kron(transpose(A), C), vec(M))))
def vec_of_a_triple_product():
    """``vec(A X B) = (B^T x A) vec X``."""
    return vec(product(A, X, B)), times(kron(transpose(B), A), vec(X))


@claim(source=VEC, kernel=False)
def vec_turns_sylvesters_equation_into_a_linear_system():
    """``vec(A X + X B) = (1 x A + B^T x 1) vec X``."""
    system = combine(kron(one_w, A), kron(transpose(B), one))
    return vec(combine(product(A, X), product(X, B))), times(system, vec(X))


@claim(source=VEC, sizes=SIZES)
def vec_keeps_the_inner_product():
    """``tr(Y X) = vec(Y^T) . vec X``."""
    return trace(product(Y, X)), ta.einsum("p, p ->", vec(transpose(Y)), vec(X))


@claim(source=VEC, kernel=False)
def a_trace_of_four_is_a_form_of_vecs():
    """``tr(A X B Y) = vec(Y^T) . (B^T x A) vec X``."""
    return trace(product(A, X, B, Y)), ta.einsum("p, p q, q ->", vec(transpose(Y)), kron(transpose(B), A), vec(X))


@claim(source=VEC, kernel=False)
def vec_of_an_outer_product():
    """``vec(x w^T) = w x x``."""
    p = (W @ V).index("p")
    outer = ta.define((i, a), x[i] * w[a])
    return vec(outer), ta.define((p,), ta.delta[p, (a, i)] * w[a] * x[i])


def swap(first: ta.Space, second: ta.Space) -> ta.Definition:
    """Return the commutation matrix, which exchanges the parts of a pair."""
    row, column = Index("p", first @ second), Index("q", second @ first)
    one, two = Index("i1", first), Index("i2", second)
    return ta.define((row, column), ta.delta[row, (one, two)] * ta.delta[column, (two, one)])


@claim(source=COMMUTATION, kernel=False)
def the_commutation_matrix_exchanges_the_factors():
    """``K (A x B) = (B x A) K``."""
    return product(swap(W, V), kron(A, B)), product(kron(B, A), swap(W, V))


@claim(source=COMMUTATION, kernel=False)
def the_commutation_matrix_transposes():
    """``K vec X = vec(X^T)``."""
    return times(swap(V, W), vec(X)), vec(transpose(X))


@claim(source=COMMUTATION, kernel=False)
def commutation_matrices_are_inverse_to_each_other():
    """``K_(n,m) K_(m,n) = 1``."""
    return product(swap(V, W), swap(W, V)), kron(one, one_w)


@claim(source=COMMUTATION, kernel=False)
def the_trace_of_the_commutation_matrix_is_the_dimension():
    """``tr K = n`` on ``V x V``."""
    return trace(swap(V, V)), ta.define((), n)


@claim(source=COMMUTATION, kernel=False)
def the_commutation_matrix_turns_products_into_traces():
    """``tr(K (A x C)) = tr(A C)``."""
    return trace(product(swap(V, V), kron(A, C))), trace(product(A, C))


symmetriser = combine(kron(one, one), swap(V, V), half, half)
antisymmetriser = combine(kron(one, one), swap(V, V), half, -half)


@claim(source="textbook: symmetric and exterior square", kernel=False)
def the_symmetriser_is_a_projection():
    """``S^2 = S`` for ``S = (1 + K)/2``."""
    return product(symmetriser, symmetriser), symmetriser


@claim(source="textbook: symmetric and exterior square", kernel=False)
def the_symmetriser_and_the_antisymmetriser_exclude_each_other():
    """``(1 + K)(1 - K)/4 = 0``."""
    return product(symmetriser, antisymmetriser), 0


@claim(source="textbook: symmetric and exterior square", kernel=False)
def the_exterior_square_has_the_dimension_of_its_pairs():
    """``tr((1 - K)/2) = n (n - 1)/2``."""
    return trace(antisymmetriser), ta.define((), n * (n - 1) / 2)


@claim(source="textbook: symmetric and exterior square", kernel=False)
def the_exterior_square_is_functorial():
    """``(1 - K)/2 (A x A) = (1 - K)/2 (A x A) (1 - K)/2``."""
    compound = product(antisymmetriser, kron(A, A))
    return compound, product(compound, antisymmetriser)


def partial_trace(matrix: Matrix) -> ta.Definition:
    """Return the trace over the second factor."""
    return ta.define((i, j), matrix[(i, a), (j, a)].sum(a))


G = ta.tensor("G", (V @ W, V @ W))


@claim(source=PARTIAL, kernel=False)
def the_partial_trace_of_a_kronecker_product():
    """``tr_W(A x B) = tr(B) A``."""
    return partial_trace(kron(A, B)), ta.define((i, j), trace(B)[()] * A[i, j])


@claim(source=PARTIAL, sizes=SIZES)
def the_partial_trace_is_the_adjoint_of_tensoring_with_the_identity():
    """``tr(tr_W(G) A) = tr(G (A x 1))``."""
    return trace(product(partial_trace(G), A)), trace(product(G, kron(A, one_w)))


@claim(source="a mistake: equal only up to a permutation", expected="refuted")
def the_kronecker_product_commutes():
    """``A x C = C x A``."""
    return kron(A, C), kron(C, A)


@claim(source="a mistake: the Kronecker sum's rule, without its dimensions", expected="refuted")
def the_trace_of_a_kronecker_product_is_a_sum():
    """``tr(A x B) = tr A + tr B``."""
    return trace(kron(A, B)), ta.define((), trace(A)[()] + trace(B)[()])


@claim(source="a mistake: the dimensions left out", expected="refuted")
def the_trace_of_a_kronecker_sum_without_dimensions():
    """``tr(A x 1 + 1 x B) = tr A + tr B``."""
    return trace(kronecker_sum), ta.define((), trace(A)[()] + trace(B)[()])


@claim(source="a mistake: the order is kept, unlike in a product", expected="refuted")
def the_transpose_of_a_kronecker_product_is_reversed():
    """``(A x C)^T = C^T x A^T``."""
    return transpose(kron(A, C)), kron(transpose(C), transpose(A))


@claim(source="a mistake: a transpose left out", expected="refuted")
def vec_without_the_transpose():
    """``vec(A X B) = (B x A) vec X``."""
    return vec(product(A, X, B)), times(kron(B, A), vec(X))


@claim(source="a mistake: the order of row-wise stacking", expected="refuted")
def vec_in_the_other_order():
    """``vec(A M C) = (A x C^T) vec M``."""
    return vec(product(A, M, C)), times(kron(A, transpose(C)), vec(M))


@claim(source="a mistake: the mixed terms left out", expected="refuted")
def the_kronecker_square_is_additive():
    """``(A + C) x (A + C) = A x A + C x C``."""
    both = combine(A, C)
    return kron(both, both), combine(kron(A, A), kron(C, C))


@claim(source="a mistake: a trace left out", expected="refuted")
def the_partial_trace_forgets_the_other_factor():
    """``tr_W(A x B) = A``."""
    return partial_trace(kron(A, B)), ta.define((i, j), A[i, j])


@claim(source="a mistake: the exchange has fewer fixed vectors", expected="refuted")
def the_trace_of_the_commutation_matrix_is_the_square_of_the_dimension():
    """``tr K = n^2`` on ``V x V``."""
    return trace(swap(V, V)), ta.define((), n**2)
