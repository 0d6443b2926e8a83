"""The claims of textbook matrix algebra: traces, transposes, inverses, commutators.

V and W are spaces of any dimensions; A, B, C, D are square matrices over V, R and S rectangular ones, F, G, H
symmetric, K and L antisymmetric.  A claim expected to be refuted is a mistake that is easily made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import Index, VectorSpace

TRACE, TRANSPOSE, INVERSE = "textbook: trace", "textbook: transpose", "textbook: inverse"
COMMUTATOR, JORDAN = "textbook: commutator", "textbook: Jordan algebras"

n, m = ta.dims("n m")
V, W = ta.Space("V", n), ta.Space("W", m)
half, quarter = Fraction(1, 2), Fraction(1, 4)


# Matrices, written as in a textbook.


@dataclass(frozen=True)
class Array:
    """A tensor with numpy's operators: ``@`` contracts neighbouring legs, ``*`` is entrywise or by a scalar."""

    source: ta.Tensor | ta.Definition

    def __getitem__(self, indices: Any) -> ta.Expr:
        return self.source[indices]

    def __call__(self, *indices: Index) -> ta.Expr:
        return self.source[indices]

    @property
    def spaces(self) -> tuple[VectorSpace, ...]:
        """The spaces of the legs."""
        return tuple(leg.space if isinstance(leg, Index) else leg for leg in self.source.legs)

    @property
    def T(self) -> Array:
        """The transpose."""
        return array(lambda i, j: self[j, i], *self.spaces[::-1])

    def __matmul__(self, other: Array) -> Array:
        k, before = Index("k", other.spaces[0]), len(self.spaces) - 1
        return array(
            lambda *legs: (self[(*legs[:before], k)] * other[(k, *legs[before:])]).sum(k),
            *self.spaces[:-1],
            *other.spaces[1:],
        )

    def __mul__(self, other: Any) -> Array:
        spaces = self.spaces or getattr(other, "spaces", ())
        return array(lambda *legs: entry(self, legs) * entry(other, legs), *spaces)

    __rmul__ = __mul__

    def __add__(self, other: Array) -> Array:
        return array(lambda *legs: self[legs] + other[legs], *self.spaces)

    def __sub__(self, other: Array) -> Array:
        return array(lambda *legs: self[legs] - other[legs], *self.spaces)


def entry(value: Any, legs: tuple[Index, ...]) -> Any:
    """Return the entry of an array at the legs, and a scalar as it is."""
    return value[legs if value.spaces else ()] if isinstance(value, Array) else value


def array(entries: Callable[..., Any], *spaces: VectorSpace) -> Array:
    """Return the array whose entries a function of its indices gives."""
    legs = tuple(Index(name, space) for name, space in zip("ij", spaces, strict=False))
    return Array(ta.define(legs, entries(*legs)))


def scalar(value: Any) -> Array:
    """Return a number or a dimension as an array without legs."""
    return array(lambda: value)


def arrays(names: str, *spaces: VectorSpace, **facts: Any) -> tuple[Array, ...]:
    """Return generic arrays with declared facts."""
    return tuple(Array(ta.tensor(name, spaces, **facts)) for name in names.split())


def trace(matrix: Array) -> Array:
    """Return the trace."""
    i = Index("i", matrix.spaces[0])
    return array(lambda: matrix[i, i].sum(i))


def total(of: Array) -> Array:
    """Return the sum of all entries."""
    bound = tuple(Index(name, space) for name, space in zip("ij", of.spaces, strict=False))
    return array(lambda: of[bound].sum(*bound))


def outer(x: Array, y: Array) -> Array:
    """Return the matrix ``x y^T``."""
    return array(lambda i, j: x[i] * y[j], *x.spaces, *y.spaces)


def square(x: Array) -> Array:
    """Return the sum of the squares of the entries."""
    return total(x * x)


def bracket(a: Array, b: Array) -> Array:
    """Return the commutator."""
    return a @ b - b @ a


def jordan(a: Array, b: Array) -> Array:
    """Return the symmetrised product."""
    return half * (a @ b + b @ a)


def equal(left: Array, right: Array | int) -> tuple[Any, ...]:
    """Return the two sides of a claim."""
    return tuple(s if isinstance(s, int) else array(s, *s.spaces).source for s in (left, right))


A, B, C, D = arrays("A B C D", V, V)
(R,), (S,) = arrays("R", V, W), arrays("S", W, V)
x, y, u, v = arrays("x y u v", V)
alpha, beta = arrays("alpha beta")
SYM, SYM2, SYM3 = arrays("F G H", V, V, symmetric=True)
ANTI, ANTI2 = arrays("K L", V, V, antisymmetric=True)
(AI,), (BI,) = arrays("Ai", V, V, inverse_of="A"), arrays("Bi", V, V, inverse_of="B")
one, one_w = array(lambda i, j: ta.delta[i, j], V, V), array(lambda i, j: ta.delta[i, j], W, W)
N, NM = {"n": 12}, {"n": 12, "m": 7}


# The trace.


@claim(source=TRACE, sizes=N)
def the_trace_is_linear():
    """``tr(a A + b B) = a tr A + b tr B``."""
    return equal(trace(alpha * A + beta * B), alpha * trace(A) + beta * trace(B))


@claim(source=TRACE, sizes=NM)
def the_trace_is_cyclic():
    """``tr(R S) = tr(S R)``, also for rectangular matrices."""
    return equal(trace(R @ S), trace(S @ R))


@claim(source=TRACE, kernel=False, mutation=lambda: equal(trace(A @ B @ C @ D), trace(B @ A @ C @ D)))
def the_trace_of_four_matrices_is_cyclic():
    """``tr(ABCD) = tr(CDAB)``."""
    return equal(trace(A @ B @ C @ D), trace(C @ D @ A @ B))


@claim(source=TRACE, kernel=False)
def the_trace_of_a_product_is_that_of_the_reversed_transposes():
    """``tr(ABC) = tr(C^T B^T A^T)``."""
    return equal(trace(A @ B @ C), trace(C.T @ B.T @ A.T))


@claim(source=TRACE, sizes=NM)
def the_trace_with_a_transpose_is_the_inner_product():
    """``tr(R^T S) = sum of R * S``."""
    return equal(trace(R.T @ S.T), total(R * S.T))


@claim(source=TRACE, sizes=N)
def a_quadratic_form_is_a_trace():
    """``x^T A y = tr(A y x^T)``."""
    return equal(x @ A @ y, trace(A @ outer(y, x)))


@claim(source=TRACE, kernel=False)
def the_trace_of_the_identity_is_the_dimension():
    """``tr 1 = n``."""
    return equal(trace(one), scalar(n))


@claim(source=TRACE, kernel=False)
def three_symmetric_matrices_may_be_reversed_under_the_trace():
    """``tr(FGH) = tr(FHG)`` for symmetric matrices."""
    return equal(trace(SYM @ SYM2 @ SYM3), trace(SYM @ SYM3 @ SYM2))


@claim(source=TRACE, kernel=False)
def symmetric_and_antisymmetric_matrices_are_orthogonal():
    """``tr(F K) = 0`` for F symmetric and K antisymmetric."""
    return equal(trace(SYM @ ANTI), 0)


@claim(source=TRACE, kernel=False)
def odd_powers_of_antisymmetric_matrices_have_no_trace():
    """``tr K^3 = 0``."""
    return equal(trace(ANTI @ ANTI @ ANTI), 0)


@claim(source="a mistake: the determinant's rule", expected="refuted")
def the_trace_is_multiplicative():
    """``tr(AB) = tr(A) tr(B)``."""
    return equal(trace(A @ B), trace(A) * trace(B))


@claim(source="a mistake: only cyclic shifts are allowed", expected="refuted")
def factors_commute_under_the_trace():
    """``tr(ABC) = tr(ACB)``."""
    return equal(trace(A @ B @ C), trace(A @ C @ B))


@claim(source="a mistake: four symmetric matrices are one too many", expected="refuted")
def four_symmetric_matrices_commute_under_the_trace():
    """``tr(FGHF) = tr(FHFG)`` for symmetric matrices: the squares end up apart."""
    return equal(trace(SYM @ SYM2 @ SYM3 @ SYM), trace(SYM @ SYM3 @ SYM @ SYM2))


@claim(source="a mistake: the dimension left out", expected="refuted")
def the_trace_of_a_shifted_matrix_moves_by_the_shift():
    """``tr(A + a 1) = tr A + a``."""
    return equal(trace(A + alpha * one), trace(A) + alpha)


@claim(source="a mistake: even powers", expected="refuted")
def all_powers_of_antisymmetric_matrices_have_no_trace():
    """``tr K^2 = 0``."""
    return equal(trace(ANTI @ ANTI), 0)


# The transpose.


@claim(source=TRANSPOSE, sizes=NM, mutation=lambda: equal((A @ B).T, A.T @ B.T))
def transposition_reverses_products():
    """``(R S)^T = S^T R^T``."""
    return equal((R @ S).T, S.T @ R.T)


@claim(source=TRANSPOSE, sizes=N)
def the_transpose_is_the_adjoint():
    """``x . (A y) = (A^T x) . y``."""
    return equal(x @ (A @ y), (A.T @ x) @ y)


@claim(source=TRANSPOSE, sizes=NM)
def gram_matrices_are_symmetric():
    """``(R^T R)^T = R^T R``."""
    return equal((R.T @ R).T, R.T @ R)


@claim(source=TRANSPOSE, sizes=NM)
def congruence_keeps_symmetry():
    """``(R^T F R)^T = R^T F R`` for F symmetric."""
    return equal((R.T @ SYM @ R).T, R.T @ SYM @ R)


@claim(source=TRANSPOSE, kernel=False)
def the_square_of_an_antisymmetric_matrix_is_symmetric():
    """``(K^2)^T = K^2``."""
    return equal((ANTI @ ANTI).T, ANTI @ ANTI)


@claim(source=TRANSPOSE, sizes=N)
def a_matrix_is_its_symmetric_plus_its_antisymmetric_part():
    """``A = (A + A^T)/2 + (A - A^T)/2``."""
    return equal(half * (A + A.T) + half * (A - A.T), A)


@claim(source=TRANSPOSE, kernel=False)
def the_norm_splits_into_the_norms_of_the_two_parts():
    """``|A|^2 = |(A + A^T)/2|^2 + |(A - A^T)/2|^2``."""
    return equal(square(A), square(half * (A + A.T)) + square(half * (A - A.T)))


@claim(source="a mistake: the order kept", expected="refuted")
def transposition_keeps_the_order_of_products():
    """``(AB)^T = A^T B^T``."""
    return equal((A @ B).T, A.T @ B.T)


@claim(source="a mistake: only where the matrices commute", expected="refuted")
def products_of_symmetric_matrices_are_symmetric():
    """``(FG)^T = FG`` for symmetric matrices."""
    return equal((SYM @ SYM2).T, SYM @ SYM2)


@claim(source="a mistake: a transpose left out", expected="refuted")
def every_matrix_is_normal():
    """``A A^T = A^T A``."""
    return equal(A @ A.T, A.T @ A)


# Inverses.


@claim(source=INVERSE, kernel=False)
def the_inverse_of_a_product_is_reversed():
    """``B^-1 A^-1`` is the inverse of ``A B``."""
    return equal(BI @ AI @ A @ B, one)


@claim(source=INVERSE, kernel=False)
def the_inverse_of_the_transpose_is_the_transpose_of_the_inverse():
    """``A^T (A^-1)^T = 1``."""
    return equal(A.T @ AI.T, one)


@claim(source="textbook: similarity", kernel=False, mutation=lambda: equal(trace(AI @ C @ A.T), trace(C)))
def the_trace_is_invariant_under_similarity():
    """``tr(A^-1 C A) = tr C``."""
    return equal(trace(AI @ C @ A), trace(C))


@claim(source="textbook: similarity", kernel=False)
def powers_are_conjugated():
    """``A^-1 C^3 A = (A^-1 C A)^3``."""
    conjugate = AI @ C @ A
    return equal(AI @ C @ C @ C @ A, conjugate @ conjugate @ conjugate)


@claim(source="textbook: similarity", kernel=False)
def commutators_are_conjugated():
    """``A^-1 [C, D] A = [A^-1 C A, A^-1 D A]``."""
    return equal(AI @ bracket(C, D) @ A, bracket(AI @ C @ A, AI @ D @ A))


@claim(source="textbook: resolvent identity", kernel=False)
def inverses_differ_by_the_difference_between_them():
    """``A^-1 - B^-1 = A^-1 (B - A) B^-1``."""
    return equal(AI - BI, AI @ (B - A) @ BI)


@claim(source="textbook: geometric series", sizes=N)
def the_truncated_neumann_series_telescopes():
    """``(1 - A)(1 + A + A^2 + A^3) = 1 - A^4``."""
    return equal((one - A) @ (one + A + A @ A + A @ A @ A), one - A @ A @ A @ A)


(X,), (Y,) = arrays("X", V, V), arrays("Y", W, W)  # inverses by hypothesis


@claim(
    source="textbook: push-through identity",
    kernel=False,
    given=[equal(X @ (one + R @ S), one), equal((one_w + S @ R) @ Y, one_w)],
)
def a_factor_pushes_through_an_inverse():
    """``(1 + RS)^-1 R = R (1 + SR)^-1``."""
    return equal(X @ R, R @ Y)


@claim(
    source="R. A. Horn & C. R. Johnson, Matrix Analysis, 2nd ed., sec. 0.7.4",
    kernel=False,
    given=[equal((one_w + S @ AI @ R) @ Y, one_w)],
)
def woodbury():
    """``(A + R S)^-1 = A^-1 - A^-1 R (1 + S A^-1 R)^-1 S A^-1``: the product with ``A + R S`` is 1."""
    return equal((A + R @ S) @ (AI - AI @ R @ Y @ S @ AI), one)


(scale,) = arrays("s")
CORRECTION = equal(scale, scalar(1) + v @ AI @ u)
RECIPROCAL = equal(scale + scale * (v @ AI @ u), scalar(1))


@claim(source="textbook: Sherman-Morrison formula", kernel=False, given=[CORRECTION])
def sherman_morrison():
    """``(A + u v^T)(s A^-1 - A^-1 u v^T A^-1) = s 1`` where ``s = 1 + v^T A^-1 u``."""
    return equal((A + outer(u, v)) @ (scale * AI - AI @ outer(u, v) @ AI), scale * one)


@claim(source="textbook: Sherman-Morrison formula", kernel=False, given=[RECIPROCAL])
def sherman_morrison_with_the_reciprocal():
    """``(A + u v^T)^-1 = A^-1 - s A^-1 u v^T A^-1`` where ``s (1 + v^T A^-1 u) = 1``."""
    return equal((A + outer(u, v)) @ (AI - scale * (AI @ outer(u, v) @ AI)), one)


@claim(source="a mistake: the order kept", expected="refuted")
def the_inverse_of_a_product_keeps_the_order():
    """``A^-1 B^-1`` is the inverse of ``A B``."""
    return equal(AI @ BI @ A @ B, one)


@claim(source="a mistake: no such rule", expected="refuted")
def the_inverse_of_a_sum_is_the_sum_of_the_inverses():
    """``(A + B)(A^-1 + B^-1) = 1``."""
    return equal((A + B) @ (AI + BI), one)


@claim(source="a mistake: a sign", expected="refuted")
def inverses_differ_by_the_opposite_difference():
    """``A^-1 - B^-1 = A^-1 (A - B) B^-1``."""
    return equal(AI - BI, AI @ (A - B) @ BI)


@claim(source="a mistake: a sign", expected="refuted", given=[CORRECTION])
def sherman_morrison_with_a_plus():
    """``(A + u v^T)(s A^-1 + A^-1 u v^T A^-1) = s 1``."""
    return equal((A + outer(u, v)) @ (scale * AI + AI @ outer(u, v) @ AI), scale * one)


# Commutators.


@claim(source=COMMUTATOR, sizes=N, mutation=lambda: equal(bracket(A, bracket(B, C)), bracket(bracket(A, B), C)))
def the_jacobi_identity():
    """``[A, [B, C]] + [B, [C, A]] + [C, [A, B]] = 0``."""
    cyclic = ((A, B, C), (B, C, A), (C, A, B))
    first, second, third = (bracket(a, bracket(b, c)) for a, b, c in cyclic)
    return equal(first + second + third, 0)


@claim(source=COMMUTATOR, sizes=N)
def the_commutator_is_a_derivation():
    """``[A, BC] = [A, B] C + B [A, C]``."""
    return equal(bracket(A, B @ C), bracket(A, B) @ C + B @ bracket(A, C))


@claim(source=COMMUTATOR, sizes=N)
def commutators_have_no_trace():
    """``tr [A, B] = 0``."""
    return equal(trace(bracket(A, B)), 0)


@claim(source=COMMUTATOR, kernel=False)
def the_trace_form_is_invariant():
    """``tr([A, B] C) = tr(A [B, C])``."""
    return equal(trace(bracket(A, B) @ C), trace(A @ bracket(B, C)))


@claim(source=COMMUTATOR, sizes=N)
def the_double_commutator_expands():
    """``[A, [A, B]] = A^2 B - 2 A B A + B A^2``."""
    return equal(bracket(A, bracket(A, B)), A @ A @ B - 2 * (A @ B @ A) + B @ A @ A)


@claim(source=COMMUTATOR, kernel=False)
def antisymmetric_matrices_are_closed_under_the_commutator():
    """``[K, L]^T = -[K, L]`` for antisymmetric matrices."""
    return equal(bracket(ANTI, ANTI2).T, -1 * bracket(ANTI, ANTI2))


@claim(source=COMMUTATOR, kernel=False)
def the_commutator_of_symmetric_matrices_is_antisymmetric():
    """``[F, G]^T = -[F, G]`` for symmetric matrices."""
    return equal(bracket(SYM, SYM2).T, -1 * bracket(SYM, SYM2))


@claim(source=JORDAN, kernel=False)
def a_product_is_half_the_commutator_plus_the_jordan_product():
    """``A B = [A, B]/2 + (A B + B A)/2``."""
    return equal(A @ B, half * bracket(A, B) + jordan(A, B))


@claim(source=JORDAN, kernel=False)
def the_jordan_identity():
    """``(A . B) . A^2 = A . (B . A^2)`` for ``A . B = (AB + BA)/2``."""
    return equal(jordan(jordan(A, B), A @ A), jordan(A, jordan(B, A @ A)))


@claim(source=JORDAN, kernel=False)
def the_jordan_product_fails_to_associate_by_a_double_commutator():
    """``(A . B) . C - A . (B . C) = [B, [A, C]]/4``."""
    left = jordan(jordan(A, B), C) - jordan(A, jordan(B, C))
    return equal(left, quarter * bracket(B, bracket(A, C)))


@claim(source="a mistake: numbers commute, matrices do not", expected="refuted")
def matrices_commute():
    """``A B = B A``."""
    return equal(A @ B, B @ A)


@claim(source="a mistake: numbers commute, matrices do not", expected="refuted")
def the_binomial_formula():
    """``(A + B)^2 = A^2 + 2 A B + B^2``."""
    return equal((A + B) @ (A + B), A @ A + 2 * (A @ B) + B @ B)


@claim(source="a mistake: a derivation is no homomorphism", expected="refuted")
def the_commutator_is_multiplicative():
    """``[A, BC] = [A, B] [A, C]``."""
    return equal(bracket(A, B @ C), bracket(A, B) @ bracket(A, C))


@claim(source="a mistake: the Jacobi term left out", expected="refuted")
def the_commutator_is_associative():
    """``[A, [B, C]] = [[A, B], C]``."""
    return equal(bracket(A, bracket(B, C)), bracket(bracket(A, B), C))


@claim(source="a mistake: the Jordan identity needs a square", expected="refuted")
def the_jordan_product_is_associative():
    """``(A . B) . C = A . (B . C)``."""
    return equal(jordan(jordan(A, B), C), jordan(A, jordan(B, C)))
