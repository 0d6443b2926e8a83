"""The claims of exterior algebra: generalised Kronecker deltas, minors, characteristic polynomials, fixed sizes.

A determinant of size k is written out as the sum over the permutations of k indices with their signs.  Claims about
matrices of one fixed size are decided at that size; the others hold for all sizes, or are refuted at some size.
A claim expected to be refuted is a mistake that is easily made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, pairwise, permutations
from math import prod
from typing import Any, TypeAlias

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import Index

DELTAS = "textbook: generalised Kronecker delta"
MINORS = "R. A. Horn & C. R. Johnson, Matrix Analysis, 2nd ed., sec. 0.8 (compound matrices)"
NEWTON, CAYLEY = "textbook: Newton's identities", "textbook: Cayley-Hamilton theorem"

n, m = ta.dims("n m")
V, W = ta.Space("V", n), ta.Space("W", m)
i, j, k, l, p, q, r = V.indices("i j k l p q r")
a, b, c, e, f, g = W.indices("a b c e f g")
half = Fraction(1, 2)

Matrix: TypeAlias = "ta.Tensor | ta.Definition"
Entry: TypeAlias = "Callable[[Index, Index], ta.Expr]"

A, B, C, D = ta.tensors("A B C D", V @ V)
X, Y = ta.tensor("X", V @ W), ta.tensor("Y", W @ V)
x, y = ta.tensors("x y", V)
one = ta.define((i, j), ta.delta[i, j])


def signed(size: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the permutations of 0, 1, ... with their signs."""
    for order in permutations(range(size)):
        yield (-1) ** sum(first > second for first, second in combinations(order, 2)), order


def determinant(matrix: Any, rows: Sequence[Index], columns: Sequence[Index]) -> Any:
    """Return the determinant of the entries of a matrix in these rows and columns."""
    return sum(
        sign * prod((matrix[row, columns[at]] for row, at in zip(rows, order, strict=True)), start=1)
        for sign, order in signed(len(rows))
    )


def generalised_delta(upper: Sequence[Index], lower: Sequence[Index]) -> Any:
    """Return the generalised Kronecker delta, the determinant of deltas."""
    return determinant(ta.delta, upper, lower)


def product(*factors: Matrix) -> ta.Definition:
    """Return the product of matrices."""
    names = [f"k{at}" for at in range(len(factors) + 1)]
    names[0], names[-1] = "i", "j"
    groups = [f"{left} {right}" for left, right in pairwise(names)]
    return ta.einsum(f"{', '.join(groups)} -> i j", *factors)


def trace(*factors: Matrix) -> ta.Expr:
    """Return the trace of a product of matrices."""
    return product(*factors)[i, i].sum(i)


def power_sum(matrix: Matrix, exponent: int) -> ta.Expr:
    """Return the trace of a power."""
    return trace(*[matrix] * exponent)


def elementary(matrix: Matrix, degree: int) -> Any:
    """Return the coefficient e1, e2 or e3 of the characteristic polynomial, through traces of powers."""
    p1, p2, p3 = (power_sum(matrix, exponent) for exponent in (1, 2, 3))
    return {1: p1, 2: (p1**2 - p2) / 2, 3: (p1**3 - 3 * p1 * p2 + 2 * p3) / 6}[degree]


def value(term: Any) -> ta.Definition:
    """Return a closed term as a definition without legs."""
    return ta.define((), term)


# Generalised Kronecker deltas.


@claim(source=DELTAS, kernel=False)
def a_contracted_delta_is_a_smaller_one():
    """``delta^(ij)_(kj) = (n - 1) delta^i_k``."""
    return ta.define((i, k), generalised_delta((i, j), (k, j)).sum(j)), ta.define((i, k), (n - 1) * ta.delta[i, k])


@claim(source=DELTAS, kernel=False)
def a_contracted_delta_of_three_pairs_is_one_of_two():
    """``delta^(ijp)_(klp) = (n - 2) delta^(ij)_(kl)``."""
    return (
        ta.define((i, j, k, l), generalised_delta((i, j, p), (k, l, p)).sum(p)),
        ta.define((i, j, k, l), (n - 2) * generalised_delta((i, j), (k, l))),
    )


@claim(source=DELTAS, kernel=False)
def the_full_contraction_counts_arrangements():
    """``delta^(ijk)_(ijk) = n (n - 1) (n - 2)``."""
    return value(generalised_delta((i, j, k), (i, j, k)).sum(i, j, k)), value(n * (n - 1) * (n - 2))


@claim(source=DELTAS, kernel=False)
def deltas_compose():
    """``delta^(ij)_(kl) delta^(kl)_(pq) = 2 delta^(ij)_(pq)``."""
    both = generalised_delta((i, j), (k, l)) * generalised_delta((k, l), (p, q))
    return ta.define((i, j, p, q), both.sum(k, l)), ta.define((i, j, p, q), 2 * generalised_delta((i, j), (p, q)))


@claim(source="textbook: Laplace expansion", kernel=False)
def a_delta_expands_along_its_first_index():
    """``delta^(ijk)_(lpq)`` is the alternating sum of ``delta^i_l delta^(jk)_(pq)`` over the lower indices."""
    lower = (l, p, q)
    rest = [tuple(index for index in lower if index != first) for first in lower]
    terms = (
        (-1) ** at * ta.delta[i, first] * generalised_delta((j, k), others)
        for at, (first, others) in enumerate(zip(lower, rest, strict=True))
    )
    legs = (i, j, k, l, p, q)
    return ta.define(legs, generalised_delta((i, j, k), lower)), ta.define(legs, sum(terms))


@claim(source=DELTAS, kernel=False, fixed={"n": 2})
def three_indices_cannot_differ_in_two_dimensions():
    """``delta^(ijk)_(lpq) = 0`` at n = 2."""
    return ta.define((i, j, k, l, p, q), generalised_delta((i, j, k), (l, p, q))), 0


@claim(source=DELTAS, kernel=False)
def the_second_coefficient_is_a_contraction_with_a_delta():
    """``e2(A) = delta^(ij)_(kl) A_ki A_lj / 2``."""
    contracted = generalised_delta((i, j), (k, l)) * A[k, i] * A[l, j]
    return value(elementary(A, 2)), value(half * contracted.sum(i, j, k, l))


@claim(source=DELTAS, kernel=False)
def the_third_coefficient_is_a_contraction_with_a_delta():
    """``e3(A) = delta^(ijk)_(lpq) A_li A_pj A_qk / 6``."""
    contracted = generalised_delta((i, j, k), (l, p, q)) * A[l, i] * A[p, j] * A[q, k]
    return value(elementary(A, 3)), value(contracted.sum(i, j, k, l, p, q) / 6)


@claim(source="a mistake: one index is taken already", expected="refuted")
def a_contracted_delta_carries_the_dimension():
    """``delta^(ij)_(kj) = n delta^i_k``."""
    return ta.define((i, k), generalised_delta((i, j), (k, j)).sum(j)), ta.define((i, k), n * ta.delta[i, k])


@claim(source="a mistake: the permutations counted once", expected="refuted")
def deltas_are_idempotent():
    """``delta^(ij)_(kl) delta^(kl)_(pq) = delta^(ij)_(pq)``."""
    both = generalised_delta((i, j), (k, l)) * generalised_delta((k, l), (p, q))
    return ta.define((i, j, p, q), both.sum(k, l)), ta.define((i, j, p, q), generalised_delta((i, j), (p, q)))


@claim(source="a mistake: one dimension too many", expected="refuted", fixed={"n": 3})
def three_indices_cannot_differ_in_three_dimensions():
    """``delta^(ijk)_(lpq) = 0`` at n = 3."""
    return ta.define((i, j, k, l, p, q), generalised_delta((i, j, k), (l, p, q))), 0


# Minors.


@claim(source="textbook: Cauchy-Binet formula", sizes={"n": 6, "m": 5})
def minors_multiply():
    """The 2 x 2 minors of ``X Y`` are the products of those of X and Y, summed over pairs of columns."""
    return (
        ta.define((i, j, k, l), determinant(product(X, Y), (i, j), (k, l))),
        ta.define((i, j, k, l), half * (determinant(X, (i, j), (a, b)) * determinant(Y, (a, b), (k, l))).sum(a, b)),
    )


@claim(source="textbook: Cauchy-Binet formula", kernel=False)
def minors_of_size_three_multiply():
    """The 3 x 3 minors of ``X Y`` are the products of those of X and Y, summed over triples of columns."""
    legs, triple = (i, j, k, l, p, q), (a, b, c)
    both = determinant(X, (i, j, k), triple) * determinant(Y, triple, (l, p, q))
    return ta.define(legs, determinant(product(X, Y), (i, j, k), (l, p, q))), ta.define(legs, both.sum(*triple) / 6)


@claim(source=MINORS, sizes={"n": 5, "m": 4})
def the_compound_of_a_transpose_is_the_transpose_of_the_compound():
    """The minors of ``X^T`` are those of X with rows and columns exchanged."""
    transpose = ta.einsum("i a -> a i", X)
    return (
        ta.define((i, j, a, b), determinant(transpose, (a, b), (i, j))),
        ta.define((i, j, a, b), determinant(X, (i, j), (a, b))),
    )


@claim(source=MINORS, kernel=False)
def minors_change_sign_with_their_rows():
    """Exchanging two rows changes the sign of a minor."""
    return (
        ta.define((i, j, a, b), determinant(X, (j, i), (a, b))),
        ta.define((i, j, a, b), -determinant(X, (i, j), (a, b))),
    )


@claim(source=MINORS, kernel=False)
def minors_with_a_repeated_row_vanish():
    """A 3 x 3 minor in which a row stands twice is 0."""
    return ta.define((i, j, a, b, c), determinant(X, (i, j, i), (a, b, c))), 0


@claim(source="textbook: Pluecker relations", sizes={"n": 6})
def plucker():
    """``m_ij m_kl - m_ik m_jl + m_il m_jk = 0`` for the minors of two vectors."""
    minor = ta.define((i, j), x[i] * y[j] - x[j] * y[i])
    return ta.define((i, j, k, l), minor[i, j] * minor[k, l] - minor[i, k] * minor[j, l] + minor[i, l] * minor[j, k]), 0


@claim(source=MINORS, kernel=False)
def the_squared_minors_sum_to_the_second_coefficient_of_the_gram_matrix():
    """``e2(X^T X)`` is the sum of the squares of all 2 x 2 minors of X, over pairs of rows and of columns."""
    gram = ta.einsum("i a, j a -> i j", X, X)
    return value(elementary(gram, 2)), value((determinant(X, (i, j), (a, b)) ** 2).sum(i, j, a, b) / 4)


def permanent(matrix: Matrix, rows: tuple[Index, Index], columns: tuple[Index, Index]) -> ta.Expr:
    """Return the permanent of two rows and two columns."""
    (first, second), (left, right) = rows, columns
    return matrix[first, left] * matrix[second, right] + matrix[first, right] * matrix[second, left]


@claim(source="textbook: symmetric square of a matrix", kernel=False)
def permanents_multiply_over_all_pairs_of_columns():
    """The 2 x 2 permanents of ``X Y`` are the products of those of X and Y, repeated columns included."""
    both = permanent(X, (i, j), (a, b)) * permanent(Y, (a, b), (k, l))
    return (
        ta.define((i, j, k, l), permanent(product(X, Y), (i, j), (k, l))),
        ta.define((i, j, k, l), half * both.sum(a, b)),
    )


@claim(source="a mistake: pairs of columns counted twice", expected="refuted")
def minors_multiply_over_all_columns():
    """The 2 x 2 minors of ``X Y`` without the factor 1/2."""
    return (
        ta.define((i, j, k, l), determinant(product(X, Y), (i, j), (k, l))),
        ta.define((i, j, k, l), (determinant(X, (i, j), (a, b)) * determinant(Y, (a, b), (k, l))).sum(a, b)),
    )


@claim(source="a mistake: a sign", expected="refuted")
def plucker_with_a_sign_changed():
    """``m_ij m_kl + m_ik m_jl + m_il m_jk = 0``."""
    minor = ta.define((i, j), x[i] * y[j] - x[j] * y[i])
    return ta.define((i, j, k, l), minor[i, j] * minor[k, l] + minor[i, k] * minor[j, l] + minor[i, l] * minor[j, k]), 0


@claim(source="a mistake: permanents need the repeated columns", expected="refuted")
def permanents_multiply_over_distinct_columns():
    """The 2 x 2 permanents of ``X Y`` are sums over all pairs of columns, not over pairs of different ones."""
    both = (1 - ta.delta[a, b]) * permanent(X, (i, j), (a, b)) * permanent(Y, (a, b), (k, l))
    return (
        ta.define((i, j, k, l), permanent(product(X, Y), (i, j), (k, l))),
        ta.define((i, j, k, l), half * both.sum(a, b)),
    )


# Coefficients of the characteristic polynomial.


@claim(source="textbook: characteristic polynomial", sizes={"n": 8})
def the_second_coefficient_of_a_sum():
    """``e2(A + B) = e2(A) + e2(B) + tr A tr B - tr(A B)``."""
    total = ta.define((i, j), A[i, j] + B[i, j])
    return value(elementary(total, 2)), value(
        elementary(A, 2) + elementary(B, 2) + trace(A) * trace(B) - trace(product(A, B))
    )


@claim(source="textbook: characteristic polynomial", kernel=False)
def the_coefficients_of_both_products_agree():
    """``e2(X Y) = e2(Y X)``, for rectangular matrices."""
    other = ta.einsum("a i, i b -> a b", Y, X)
    squared = other[a, b] * other[b, a]
    return (
        value(elementary(product(X, Y), 2)),
        value(half * (other[a, a].sum(a) ** 2 - squared.sum(a, b))),
    )


@claim(source="textbook: characteristic polynomial", kernel=False)
def the_coefficients_of_the_transpose_agree():
    """``e3(A^T) = e3(A)``."""
    return value(elementary(ta.einsum("i j -> j i", A), 3)), value(elementary(A, 3))


@claim(source="textbook: characteristic polynomial", kernel=False)
def the_third_coefficient_of_the_identity_counts_triples():
    """``e3(1) = n (n - 1) (n - 2) / 6``."""
    return value(elementary(one, 3)), value(n * (n - 1) * (n - 2) / 6)


@claim(source=NEWTON, kernel=False)
def newton_for_all_sizes():
    """``p3 = e1 p2 - e2 p1 + 3 e3``, for matrices of any size."""
    p1, p2, p3 = (power_sum(A, exponent) for exponent in (1, 2, 3))
    return value(p3), value(p1 * p2 - elementary(A, 2) * p1 + 3 * elementary(A, 3))


@claim(source=NEWTON, fixed={"n": 2}, kernel=False)
def newton_in_two_dimensions():
    """``p3 = e1 p2 - e2 p1`` at n = 2."""
    p1, p2, p3 = (power_sum(A, exponent) for exponent in (1, 2, 3))
    return value(p3), value(p1 * p2 - elementary(A, 2) * p1)


@claim(source="textbook: determinant", fixed={"n": 2}, kernel=False)
def determinants_multiply_in_two_dimensions():
    """``e2(A B) = e2(A) e2(B)`` at n = 2, where e2 is the determinant."""
    return value(elementary(product(A, B), 2)), value(elementary(A, 2) * elementary(B, 2))


def characteristic(matrix: Matrix, degree: int) -> ta.Definition:
    """Return the characteristic polynomial of a matrix of size 1, 2 or 3, at the matrix itself."""
    powers = [one, *(product(*[matrix] * exponent) for exponent in range(1, degree + 1))]
    signs = [1, *((-1) ** at * elementary(matrix, at) for at in range(1, degree + 1))]
    terms = (sign * matrix_power[i, j] for sign, matrix_power in zip(signs, reversed(powers), strict=True))
    return ta.define((i, j), sum(terms))


@claim(source=CAYLEY, fixed={"n": 1}, kernel=False)
def cayley_hamilton_in_one_dimension():
    """``A - tr A = 0`` at n = 1."""
    return characteristic(A, 1), 0


@claim(source=CAYLEY, fixed={"n": 2}, kernel=False)
def cayley_hamilton_in_two_dimensions():
    """``A^2 - e1 A + e2 = 0`` at n = 2."""
    return characteristic(A, 2), 0


@claim(source=CAYLEY, fixed={"n": 3}, kernel=False)
def cayley_hamilton_in_three_dimensions():
    """``A^3 - e1 A^2 + e2 A - e3 = 0`` at n = 3."""
    return characteristic(A, 3), 0


@claim(source="textbook: Cayley-Hamilton theorem, polarised", fixed={"n": 2}, kernel=False)
def polarised_cayley_hamilton_in_two_dimensions():
    """``A B + B A = tr(A) B + tr(B) A - (tr A tr B - tr(A B))`` at n = 2."""
    scalar = trace(A) * trace(B) - trace(A, B)
    return (
        ta.define((i, j), product(A, B)[i, j] + product(B, A)[i, j]),
        ta.define((i, j), trace(A) * B[i, j] + trace(B) * A[i, j] - scalar * ta.delta[i, j]),
    )


@claim(source="textbook: adjugate", fixed={"n": 2}, kernel=False)
def the_adjugate_in_two_dimensions():
    """``A (tr A - A) = det A`` at n = 2."""
    adjugate = ta.define((i, j), trace(A) * ta.delta[i, j] - A[i, j])
    return product(A, adjugate), ta.define((i, j), elementary(A, 2) * ta.delta[i, j])


# Polynomial identities of small matrices.

commutator = ta.define((i, j), A[i, k] * B[k, j] - B[i, k] * A[k, j])


def standard(*matrices: Matrix) -> ta.Definition:
    """Return the standard polynomial, the alternating sum of the products in all orders."""
    terms = (sign * product(*(matrices[at] for at in order))[i, j] for sign, order in signed(len(matrices)))
    return ta.define((i, j), sum(terms))


@claim(source="textbook: Hall's identity", fixed={"n": 2}, kernel=False)
def squared_commutators_are_scalar_in_two_dimensions():
    """``[A, B]^2 C = C [A, B]^2`` at n = 2."""
    return product(commutator, commutator, C), product(C, commutator, commutator)


@claim(
    source="S. A. Amitsur & J. Levitzki, Minimal identities for algebras, Proc. AMS 1 (1950)",
    fixed={"n": 2},
    kernel=False,
)
def amitsur_levitzki_in_two_dimensions():
    """The standard polynomial of four matrices is 0 at n = 2."""
    return standard(A, B, C, D), 0


@claim(source="textbook: commutative algebras", fixed={"n": 1}, kernel=False)
def matrices_of_size_one_commute():
    """``A B = B A`` at n = 1."""
    return product(A, B), product(B, A)


@claim(source="textbook: trace", kernel=False)
def the_trace_of_an_even_standard_polynomial_vanishes():
    """``tr S_4(A, B, C, D) = 0``, at all sizes (Kostant)."""
    return value(standard(A, B, C, D)[i, i].sum(i)), 0


@claim(source="a mistake: true for matrices of size 2 only", expected="refuted")
def newton_in_two_dimensions_for_all_sizes():
    """``p3 = e1 p2 - e2 p1``."""
    p1, p2, p3 = (power_sum(A, exponent) for exponent in (1, 2, 3))
    return value(p3), value(p1 * p2 - elementary(A, 2) * p1)


@claim(source="a mistake: the coefficients are no determinants", expected="refuted")
def second_coefficients_multiply():
    """``e2(A B) = e2(A) e2(B)``: true up to n = 2."""
    return value(elementary(product(A, B), 2)), value(elementary(A, 2) * elementary(B, 2))


@claim(source="a mistake: the mixed terms left out", expected="refuted")
def second_coefficients_add():
    """``e2(A + B) = e2(A) + e2(B)``."""
    total = ta.define((i, j), A[i, j] + B[i, j])
    return value(elementary(total, 2)), value(elementary(A, 2) + elementary(B, 2))


@claim(source="a mistake: the formula of another size", expected="refuted", fixed={"n": 3})
def cayley_hamilton_of_size_two_in_three_dimensions():
    """``A^2 - e1 A + e2 = 0`` at n = 3."""
    return characteristic(A, 2), 0


@claim(source="a mistake: the formula of another size", expected="refuted")
def cayley_hamilton_of_size_three_for_all_sizes():
    """``A^3 - e1 A^2 + e2 A - e3 = 0``: true up to n = 3."""
    return characteristic(A, 3), 0


@claim(source="a mistake: one matrix too few", expected="refuted", fixed={"n": 2})
def the_standard_polynomial_of_three_matrices_vanishes():
    """``S_3(A, B, C) = 0`` at n = 2."""
    return standard(A, B, C), 0


@claim(source="a mistake: one dimension too many", expected="refuted", fixed={"n": 3})
def amitsur_levitzki_of_size_two_in_three_dimensions():
    """``S_4(A, B, C, D) = 0`` at n = 3."""
    return standard(A, B, C, D), 0


@claim(source="a mistake: one dimension too many", expected="refuted", fixed={"n": 3})
def squared_commutators_are_scalar_in_three_dimensions():
    """``[A, B]^2 C = C [A, B]^2`` at n = 3."""
    return product(commutator, commutator, C), product(C, commutator, commutator)


@claim(source="a mistake: only even standard polynomials", expected="refuted")
def the_trace_of_an_odd_standard_polynomial_vanishes():
    """``tr S_3(A, B, C) = 0``."""
    return value(standard(A, B, C)[i, i].sum(i)), 0
