"""The claims of Euclidean linear algebra: forms, distances, projections, isometries, reflections, permutations.

V is a space of dimension n, W one of dimension m.  U is an isometry from V to W, P and Z are projections on V, not
necessarily orthogonal, Q is an orthogonal matrix, and Pi a permutation matrix.  A claim expected to be refuted is a
mistake that is easily made.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

import tensoralg as ta
from tensoralg.claims import claim

FORMS, VARIANCE = "textbook: quadratic forms", "textbook: variance"
PROJECTIONS, ISOMETRIES = "textbook: projections", "textbook: isometries"
REFLECTIONS, PERMUTATIONS = "textbook: Householder reflections", "textbook: permutation matrices"

n, m = ta.dims("n m")
V, W = ta.Space("V", n), ta.Space("W", m)
i, j, k, l = V.indices("i j k l")
a, b = W.indices("a b")
rows, columns = W.indices("i j")
delta = ta.delta
half, quarter = Fraction(1, 2), Fraction(1, 4)

Vector: TypeAlias = "ta.Tensor | ta.Definition"
Matrix = Vector

x, y, u, v = ta.tensors("x y u v", V)
A, B = ta.tensors("A B", V @ V)
S = ta.tensor("S", V @ V, symmetric=True)
K = ta.tensor("K", V @ V, antisymmetric=True)
X = ta.tensor("X", V @ W)
U = ta.tensor("U", W @ V, isometry=True)
Q = ta.tensor("Q", V @ V, isometry=True)
P, Z = ta.tensors("P Z", V @ V, projection=True)
Pi = ta.tensor("Pi", V @ V, permutation=True)
one, one_w = ta.define((i, j), delta[i, j]), ta.define((rows, columns), delta[rows, columns])
N, NM = {"n": 12}, {"n": 12, "m": 7}


def combination(p: int | Fraction, first: Vector, q: int | Fraction, second: Vector) -> ta.Definition:
    """Return the vector ``p x + q y``."""
    return ta.define((i,), p * first[i] + q * second[i])


def mix(p: int | Fraction, first: Matrix, q: int | Fraction, second: Matrix) -> ta.Definition:
    """Return the square matrix ``p A + q B``, over the spaces of the second."""
    legs = second.legs[:2] if isinstance(second, ta.Definition) else (i, j)
    return ta.define(legs, p * first[legs] + q * second[legs])


def product(first: Matrix, second: Matrix) -> ta.Definition:
    """Return the matrix product."""
    return ta.einsum("i k, k j -> i j", first, second)


def image(matrix: Matrix, vector: Vector) -> ta.Definition:
    """Return the matrix times the vector."""
    return ta.einsum("i k, k -> i", matrix, vector)


def dot(first: Vector, second: Vector) -> ta.Expr:
    """Return the inner product."""
    return ta.einsum("i, i ->", first, second)[()]


def square(vector: Vector) -> ta.Expr:
    """Return the squared norm."""
    return dot(vector, vector)


def frobenius(matrix: Matrix) -> ta.Definition:
    """Return the squared Frobenius norm."""
    return ta.einsum("i j, i j ->", matrix, matrix)


def form(matrix: Matrix, vector: Vector) -> ta.Expr:
    """Return ``x^T A x``."""
    return ta.einsum("i, i j, j ->", vector, matrix, vector)[()]


def value(term: ta.Expr) -> ta.Definition:
    """Return a closed term as a definition without legs."""
    return ta.define((), term)


# Quadratic forms.


@claim(source=FORMS, sizes=N, mutation=lambda: (polarised(A), ta.einsum("i, i j, j ->", x, A, y)))
def polarisation():
    """``x^T S y = (q(x + y) - q(x - y))/4`` for S symmetric and ``q(x) = x^T S x``."""
    return polarised(S), ta.einsum("i, i j, j ->", x, S, y)


def polarised(matrix: Matrix) -> ta.Definition:
    """Return ``(q(x + y) - q(x - y))/4``."""
    plus, minus = form(matrix, combination(1, x, 1, y)), form(matrix, combination(1, x, -1, y))
    return value(quarter * (plus - minus))


@claim(source=FORMS, sizes=N)
def the_parallelogram_law():
    """``|x + y|^2 + |x - y|^2 = 2 |x|^2 + 2 |y|^2``."""
    sides = square(combination(1, x, 1, y)) + square(combination(1, x, -1, y))
    return value(sides), value(2 * square(x) + 2 * square(y))


@claim(source=FORMS, sizes=N)
def a_quadratic_form_sees_only_the_symmetric_part():
    """``x^T A x = x^T (A + A^T)/2 x``."""
    return form(A, x), form(ta.define((i, j), half * A[i, j] + half * A[j, i]), x)


@claim(source=FORMS, kernel=False)
def antisymmetric_forms_are_alternating():
    """``x^T K x = 0`` for K antisymmetric."""
    return form(K, x), 0


wedge = ta.define((i, j), x[i] * y[j] - x[j] * y[i])


@claim(source="textbook: Lagrange's identity", sizes=N)
def lagrange():
    """``|x|^2 |y|^2 - (x . y)^2`` is the sum of ``(x_i y_j - x_j y_i)^2`` over the pairs ``i < j``."""
    return value(square(x) * square(y) - dot(x, y) ** 2), value(half * frobenius(wedge)[()])


@claim(source="textbook: Binet-Cauchy identity", sizes=N)
def binet_cauchy():
    """``(x . u)(y . v) - (x . v)(y . u)`` is the sum over ``i < j`` of products of minors."""
    other = ta.define((i, j), u[i] * v[j] - u[j] * v[i])
    return (
        value(dot(x, u) * dot(y, v) - dot(x, v) * dot(y, u)),
        value(half * ta.einsum("i j, i j ->", wedge, other)[()]),
    )


@claim(source="a mistake: the form has to be symmetric", expected="refuted")
def polarisation_of_any_form():
    """``x^T A y = (q(x + y) - q(x - y))/4``."""
    return polarised(A), ta.einsum("i, i j, j ->", x, A, y)


@claim(source="a mistake: pairs counted twice", expected="refuted")
def lagrange_over_all_pairs():
    """``|x|^2 |y|^2 - (x . y)^2`` is not the sum over all i and j."""
    return value(square(x) * square(y) - dot(x, y) ** 2), frobenius(wedge)


@claim(source="a mistake: only for orthogonal vectors", expected="refuted")
def pythagoras_for_any_vectors():
    """``|x + y|^2 = |x|^2 + |y|^2``."""
    return value(square(combination(1, x, 1, y))), value(square(x) + square(y))


# Means, distances and Gram matrices: the rows of X are n points.

centring = ta.define((i, j), delta[i, j] - 1 / n)
gram = ta.einsum("i a, j a -> i j", X, X)
distances = ta.define((i, j), ((X[i, a] - X[j, a]) ** 2).sum(a))


@claim(source="textbook: centring matrix", kernel=False)
def the_centring_matrix_is_idempotent():
    """``(1 - J/n)^2 = 1 - J/n`` for the matrix J of ones."""
    return product(centring, centring), centring


@claim(source="textbook: centring matrix", kernel=False)
def the_centring_matrix_removes_constants():
    """The rows of ``1 - J/n`` sum to 0."""
    return ta.define((i,), centring[i, j].sum(j)), 0


@claim(source=VARIANCE, sizes=N)
def the_variance_is_the_mean_square_minus_the_squared_mean():
    """``|(1 - J/n) x|^2 = |x|^2 - (sum of x)^2 / n``."""
    return value(square(image(centring, x))), value(square(x) - x[i].sum(i) ** 2 / n)


@claim(source="textbook: Gram matrix", sizes=NM)
def squared_distances_from_the_gram_matrix():
    """``|x_i - x_j|^2 = G_ii + G_jj - 2 G_ij`` for ``G = X X^T``."""
    return distances, ta.define((i, j), gram[i, i] + gram[j, j] - 2 * gram[i, j])


@claim(source="textbook: classical multidimensional scaling", kernel=False)
def doubly_centred_distances_are_the_centred_gram_matrix():
    """``-1/2 H D H = H G H`` for the centring matrix H and the matrix D of squared distances."""
    centred = ta.einsum("i k, k l, l j -> i j", centring, distances, centring)
    return ta.define((i, j), -half * centred[i, j]), ta.einsum("i k, k l, l j -> i j", centring, gram, centring)


@claim(source=VARIANCE, kernel=False)
def the_sum_of_squared_distances_is_the_spread_about_the_mean():
    """``sum over i and j of |x_i - x_j|^2 = 2 n |H X|^2`` for the centring matrix H."""
    return value(distances[i, j].sum(i, j)), value(2 * n * frobenius(product(centring, X))[()])


@claim(source="a mistake: a factor 2", expected="refuted")
def squared_distances_without_the_factor_two():
    """``|x_i - x_j|^2 = G_ii + G_jj - G_ij``."""
    return distances, ta.define((i, j), gram[i, i] + gram[j, j] - gram[i, j])


@claim(source="a mistake: the dimension left out", expected="refuted")
def the_centring_matrix_without_the_dimension():
    """``(1 - J)^2 = 1 - J``."""
    matrix = ta.define((i, j), delta[i, j] - 1)
    return product(matrix, matrix), matrix


@claim(source="a mistake: the mean square is no squared mean", expected="refuted")
def the_variance_without_the_dimension():
    """``|(1 - J/n) x|^2 = |x|^2 - (sum of x)^2``."""
    return value(square(image(centring, x))), value(square(x) - x[i].sum(i) ** 2)


# Projections.


@claim(source=PROJECTIONS, kernel=False)
def the_complement_of_a_projection_is_a_projection():
    """``(1 - P)^2 = 1 - P``."""
    complement = mix(1, one, -1, P)
    return product(complement, complement), complement


@claim(source=PROJECTIONS, kernel=False)
def a_projection_kills_its_complement():
    """``P (1 - P) = 0``."""
    return product(P, mix(1, one, -1, P)), 0


@claim(source=PROJECTIONS, kernel=False, mutation=lambda: (product(mix(3, P, -1, one), mix(3, P, -1, one)), one))
def a_projection_gives_an_involution():
    """``(2 P - 1)^2 = 1``."""
    involution = mix(2, P, -1, one)
    return product(involution, involution), one


@claim(source=PROJECTIONS, kernel=False)
def a_matrix_splits_into_its_peirce_blocks():
    """``A = P A P + P A (1 - P) + (1 - P) A P + (1 - P) A (1 - P)``."""
    off = mix(1, one, -1, P)
    blocks = (ta.einsum("i k, k l, l j -> i j", left, A, right)[i, j] for left in (P, off) for right in (P, off))
    return ta.define((i, j), sum(blocks)), ta.define((i, j), A[i, j])


@claim(source="a mistake: only where the projections commute", expected="refuted")
def products_of_projections_are_projections():
    """``(P Z)^2 = P Z``."""
    return product(product(P, Z), product(P, Z)), product(P, Z)


@claim(source="a mistake: only where they are orthogonal", expected="refuted")
def sums_of_projections_are_projections():
    """``(P + Z)^2 = P + Z``."""
    both = mix(1, P, 1, Z)
    return product(both, both), both


@claim(source="a mistake: a projection may be oblique", expected="refuted")
def projections_are_symmetric():
    """``P^T = P``."""
    return ta.define((i, j), P[j, i]), ta.define((i, j), P[i, j])


# Isometries.

range_of = ta.einsum("i k, j k -> i j", U, U)
off_range = mix(1, one_w, -1, range_of)
w, w2 = ta.tensors("w w2", W)


@claim(source=ISOMETRIES, kernel=False)
def the_range_projection_is_idempotent():
    """``(U U^T)^2 = U U^T``."""
    return product(range_of, range_of), range_of


@claim(source=ISOMETRIES, kernel=False)
def the_projection_off_the_range_is_idempotent():
    """``(1 - U U^T)^2 = 1 - U U^T``."""
    return product(off_range, off_range), off_range


@claim(source=ISOMETRIES, sizes={"n": 5, "m": 9})
def the_projection_off_the_range_kills_the_range():
    """``(1 - U U^T) U = 0``."""
    return product(off_range, U), 0


@claim(source=ISOMETRIES, kernel=False)
def the_rank_of_the_range_projection_is_the_dimension_of_the_source():
    """``tr(U U^T) = n``."""
    return ta.einsum("a a ->", range_of), ta.define((), n)


@claim(source="textbook: Parseval's identity", kernel=False, mutation=lambda: (adjoint_products(), value(dot(w, w2))))
def parseval():
    """``(U x) . (U y) = x . y``."""
    return value(dot(image(U, x), image(U, y))), value(dot(x, y))


def adjoint_products() -> ta.Definition:
    """Return ``(U^T w) . (U^T w2)``."""
    return value(dot(ta.einsum("a i, a -> i", U, w), ta.einsum("a i, a -> i", U, w2)))


@claim(source="textbook: Pythagoras' theorem", kernel=False)
def a_vector_splits_orthogonally_at_the_range():
    """``|w|^2 = |U^T w|^2 + |(1 - U U^T) w|^2``."""
    inside = square(ta.einsum("a i, a -> i", U, w))
    return value(square(w)), value(inside + square(image(off_range, w)))


@claim(source="textbook: Frobenius norm", kernel=False)
def the_frobenius_norm_is_orthogonally_invariant():
    """``|Q A U^T|^2 = |A|^2``."""
    return frobenius(ta.einsum("i k, k l, a l -> i a", Q, A, U)), frobenius(A)


@claim(source=ISOMETRIES, kernel=False)
def products_of_isometries_are_isometries():
    """``(U Q)^T (U Q) = 1``."""
    both = product(U, Q)
    return ta.einsum("a i, a j -> i j", both, both), one


@claim(source=ISOMETRIES, kernel=False)
def compression_to_the_range_and_back_is_the_identity():
    """``U^T (U A U^T) U = A``."""
    return ta.einsum("a i, a k, k l, b l, b j -> i j", U, U, A, U, U), ta.define((i, j), A[i, j])


@claim(source=REFLECTIONS, kernel=False)
def the_reflection_at_a_range_is_orthogonal():
    """``(1 - 2 U U^T)^T (1 - 2 U U^T) = 1``."""
    reflection = mix(1, one_w, -2, range_of)
    return ta.einsum("k i, k j -> i j", reflection, reflection), one_w


householder = ta.define((i, j), delta[i, j] - 2 * v[i] * v[j])


@claim(source=REFLECTIONS, kernel=False, given=[(value(square(v)), 1)])
def householder_reflections_are_involutions():
    """``(1 - 2 v v^T)^2 = 1`` where ``|v| = 1``."""
    return product(householder, householder), one


@claim(source=REFLECTIONS, sizes=N, given=[(value(square(v)), 1)])
def householder_reflections_turn_their_vector_round():
    """``(1 - 2 v v^T) v = -v`` where ``|v| = 1``."""
    return image(householder, v), ta.define((i,), -v[i])


@claim(source=REFLECTIONS, kernel=False, given=[(value(square(v)), 1)])
def householder_reflections_keep_the_norm():
    """``|(1 - 2 v v^T) x|^2 = |x|^2`` where ``|v| = 1``."""
    return value(square(image(householder, x))), value(square(x))


@claim(source=REFLECTIONS, sizes=N)
def scaled_householder_reflections_are_scaled_involutions():
    """``(|v|^2 - 2 v v^T)^2 = |v|^4``, without any condition on v."""
    reflection = ta.define((i, j), square(v) * delta[i, j] - 2 * v[i] * v[j])
    return product(reflection, reflection), ta.define((i, j), square(v) ** 2 * delta[i, j])


@claim(source="a mistake: an isometry need not be onto", expected="refuted")
def isometries_are_onto():
    """``U U^T = 1``."""
    return range_of, one_w


@claim(source="a mistake: an isometry need not be onto", expected="refuted")
def the_adjoint_of_an_isometry_is_an_isometry():
    """``(U^T w) . (U^T w2) = w . w2``."""
    return adjoint_products(), value(dot(w, w2))


@claim(source="a mistake: a factor 2", expected="refuted")
def the_reflection_without_the_factor_two():
    """``(1 - U U^T)^2 = 1``."""
    return product(off_range, off_range), one_w


@claim(source="a mistake: the vector has to be a unit vector", expected="refuted")
def householder_without_normalisation():
    """``(1 - 2 v v^T)^2 = 1``."""
    return product(householder, householder), one


# Permutation matrices.


@claim(source=PERMUTATIONS, kernel=False)
def the_rows_of_a_permutation_matrix_are_orthonormal():
    """``Pi Pi^T = 1``."""
    return ta.einsum("i k, j k -> i j", Pi, Pi), one


@claim(source=PERMUTATIONS, kernel=False)
def the_columns_of_a_permutation_matrix_are_orthonormal():
    """``Pi^T Pi = 1``."""
    return ta.einsum("k i, k j -> i j", Pi, Pi), one


@claim(source=PERMUTATIONS, sizes=N)
def permutations_respect_entrywise_products():
    """``Pi (x * y) = (Pi x) * (Pi y)``."""
    entrywise = ta.define((i,), x[i] * y[i])
    return image(Pi, entrywise), ta.define((i,), image(Pi, x)[i] * image(Pi, y)[i])


@claim(source=PERMUTATIONS, kernel=False)
def permutations_keep_the_sum():
    """The entries of ``Pi x`` have the sum of those of x."""
    return value(image(Pi, x)[i].sum(i)), value(x[i].sum(i))


@claim(source=PERMUTATIONS, kernel=False)
def simultaneous_permutations_keep_trace_and_diagonal():
    """``diag(Pi A Pi^T) = Pi diag(A)``."""
    return ta.define((i,), Pi[i, k] * A[k, l] * Pi[i, l]), ta.define((i,), Pi[i, k] * A[k, k])


@claim(source=PERMUTATIONS, kernel=False)
def permutation_matrices_are_their_own_entrywise_squares():
    """``Pi * Pi = Pi``."""
    return ta.define((i, j), Pi[i, j] ** 2), ta.define((i, j), Pi[i, j])


@claim(source="a mistake: a cycle of three is no involution", expected="refuted")
def permutations_are_involutions():
    """``Pi^2 = 1``."""
    return product(Pi, Pi), one


@claim(source="a mistake: columns have to be permuted, too", expected="refuted")
def permuting_the_rows_keeps_the_trace():
    """``tr(Pi A B) = tr(A B)``."""
    return ta.einsum("i k, k l, l i ->", Pi, A, B), ta.einsum("k l, l k ->", A, B)


@claim(source="a mistake: only permutation matrices respect entrywise products", expected="refuted")
def isometries_respect_entrywise_products():
    """``Q (x * y) = (Q x) * (Q y)`` for an orthogonal matrix Q."""
    entrywise = ta.define((i,), x[i] * y[i])
    return image(Q, entrywise), ta.define((i,), image(Q, x)[i] * image(Q, y)[i])
