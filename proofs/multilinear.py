"""The claims about Hadamard and Khatri-Rao products, mode products, CP and Tucker decompositions.

The rows of a Khatri-Rao product are pairs of rows.  A claim expected to be refuted is a mistake that is easily made.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any, TypeAlias

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import Index

HADAMARD = "R. A. Horn & C. R. Johnson, Topics in Matrix Analysis, ch. 5"
MODES = "T. G. Kolda & B. W. Bader, Tensor Decompositions and Applications, SIAM Review 51 (2009), sec. 2.5"
KHATRI_RAO = "T. G. Kolda & B. W. Bader, Tensor Decompositions and Applications, SIAM Review 51 (2009), sec. 2.6"
CP = "T. G. Kolda & B. W. Bader, Tensor Decompositions and Applications, SIAM Review 51 (2009), sec. 3"
TUCKER = "T. G. Kolda & B. W. Bader, Tensor Decompositions and Applications, SIAM Review 51 (2009), sec. 4"
SYMMETRIC = "textbook: symmetric tensors"

n, m, d, r = ta.dims("n m d r")
V, W, D, R = ta.Space("V", n), ta.Space("W", m), ta.Space("D", d), ta.Space("R", r)
i, j, k, l = V.indices("i j k l")
a, b, c = W.indices("a b c")
f, g = D.indices("f g")
s, t = R.indices("s t")

Matrix: TypeAlias = "ta.Tensor | ta.Definition"

A, B, C, E = ta.tensors("A B C E", V @ V)
x, y, z = ta.tensors("x y z", V)
SIZES, NM = {"n": 8}, {"n": 5, "m": 4}
NMD, NMR, ALL = {**NM, "d": 3}, {**NM, "r": 2}, {**NM, "d": 3, "r": 2}


def product(*factors: Matrix) -> ta.Definition:
    """Return the product of matrices."""
    letters = "pabcdq"[: len(factors)] + "q"
    return ta.einsum(",".join(letters[at : at + 2] for at in range(len(factors))) + f"->{letters[0]}q", *factors)


def hadamard(*factors: Matrix) -> ta.Definition:
    """Return the entrywise product of matrices or vectors."""
    letters = "pq"[: len(factors[0].legs)]
    return ta.einsum(",".join([letters] * len(factors)) + f"->{letters}", *factors)


def transpose(matrix: Matrix) -> ta.Definition:
    """Return the transpose."""
    return ta.einsum("q p -> p q", matrix)


def trace(matrix: Matrix) -> ta.Definition:
    """Return the trace."""
    return ta.einsum("p p ->", matrix)


def diagonal(vector: Matrix) -> ta.Definition:
    """Return the diagonal matrix of a vector."""
    (leg,) = vector.legs
    space = leg.space if isinstance(leg, Index) else leg
    p, q = Index("p", space), Index("q", space)
    return ta.define((p, q), ta.delta[p, q] * vector[p])


def outer(first: Matrix, second: Matrix) -> ta.Definition:
    """Return the outer product of two vectors."""
    return ta.einsum("p, q -> p q", first, second)


# The Hadamard product.


@claim(source=HADAMARD, sizes=SIZES, mutation=lambda: (form_of_a_product(), scaled_trace(B)))
def a_form_of_a_hadamard_product_is_a_trace():
    """``x^T (A * B) y = tr(D_x A D_y B^T)``."""
    return form_of_a_product(), scaled_trace(transpose(B))


def form_of_a_product() -> ta.Definition:
    """Return ``x^T (A * B) y``."""
    return ta.einsum("p, p q, q ->", x, hadamard(A, B), y)


def scaled_trace(matrix: Matrix) -> ta.Definition:
    """Return ``tr(D_x A D_y M)``."""
    return trace(product(diagonal(x), A, diagonal(y), matrix))


@claim(source=HADAMARD, sizes=SIZES)
def the_diagonal_of_a_product_is_a_row_sum_of_a_hadamard_product():
    """``diag(A B^T) = (A * B) 1``."""
    return ta.einsum("p p -> p", product(A, transpose(B))), ta.einsum("p q -> p", hadamard(A, B))


@claim(source=HADAMARD, kernel=False)
def scaling_rows_and_columns_is_a_hadamard_product():
    """``D_x A D_y = (x y^T) * A``."""
    return product(diagonal(x), A, diagonal(y)), hadamard(outer(x, y), A)


@claim(source=HADAMARD, kernel=False)
def diagonal_matrices_pass_through_hadamard_products():
    """``D_x (A * B) D_y = (D_x A) * (B D_y)``."""
    return (
        product(diagonal(x), hadamard(A, B), diagonal(y)),
        hadamard(product(diagonal(x), A), product(B, diagonal(y))),
    )


@claim(source=HADAMARD, sizes=SIZES)
def a_hadamard_factor_moves_across_the_trace():
    """``tr((A * B) C^T) = tr(A (B * C)^T)``."""
    return trace(product(hadamard(A, B), transpose(C))), trace(product(A, transpose(hadamard(B, C))))


@claim(source=HADAMARD, kernel=False)
def hadamard_products_of_rank_one():
    """``(x y^T) * (z x^T) = (x * z)(y * x)^T``."""
    return hadamard(outer(x, y), outer(z, x)), outer(hadamard(x, z), hadamard(y, x))


@claim(source=HADAMARD, kernel=False)
def permutations_respect_hadamard_products():
    """``P (A * B) P^T = (P A P^T) * (P B P^T)`` for a permutation matrix P."""
    P = ta.tensor("P", V @ V, permutation=True)
    moved = (product(P, matrix, transpose(P)) for matrix in (A, B))
    return product(P, hadamard(A, B), transpose(P)), hadamard(*moved)


@claim(source="a mistake: the Kronecker product's rule", expected="refuted")
def hadamard_products_mix_like_kronecker_products():
    """``(A * B)(C * E) = (A C) * (B E)``."""
    return product(hadamard(A, B), hadamard(C, E)), hadamard(product(A, C), product(B, E))


@claim(source="a mistake: the unit is the matrix of ones", expected="refuted")
def the_identity_is_the_unit_of_the_hadamard_product():
    """``A * 1 = A``."""
    return ta.define((i, j), A[i, j] * ta.delta[i, j]), ta.define((i, j), A[i, j])


@claim(source="a mistake: the sum of a Hadamard product needs a transpose", expected="refuted")
def the_sum_of_a_hadamard_product_is_the_trace_of_the_product():
    """The entries of ``A * B`` do not sum to ``tr(A B)``."""
    return ta.einsum("p q ->", hadamard(A, B)), trace(product(A, B))


@claim(source="a mistake: diagonal matrices commute with each other only", expected="refuted")
def diagonal_matrices_commute_with_all():
    """``D_x A = A D_x``."""
    return product(diagonal(x), A), product(A, diagonal(x))


# The Khatri-Rao product.

F, F2, H, H2 = *ta.tensors("F F2", V @ R), *ta.tensors("H H2", W @ R)
J = ta.tensor("J", D @ R)


def khatri_rao(first: Matrix, second: Matrix) -> ta.Definition:
    """Return the matrix whose columns are the Kronecker products of the columns."""
    (rows, columns), (rows2, _) = (
        [leg.space if isinstance(leg, Index) else leg for leg in matrix.legs] for matrix in (first, second)
    )
    row, column = Index("p", rows @ rows2), Index("q", columns)
    one, two = Index("i1", rows), Index("i2", rows2)
    return ta.define((row, column), ta.delta[row, (one, two)] * first[one, column] * second[two, column])


def kron(first: Matrix, second: Matrix) -> ta.Definition:
    """Return the Kronecker product."""
    (rows, columns), (rows2, columns2) = (
        [leg.space if isinstance(leg, Index) else leg for leg in matrix.legs] for matrix in (first, second)
    )
    row, column = Index("p", rows @ rows2), Index("q", columns @ columns2)
    i1, j1, i2, j2 = Index("i1", rows), Index("j1", columns), Index("i2", rows2), Index("j2", columns2)
    at = ta.delta[row, (i1, i2)] * ta.delta[column, (j1, j2)]
    return ta.define((row, column), at * first[i1, j1] * second[i2, j2])


def gram(matrix: Matrix, other: Matrix | None = None) -> ta.Definition:
    """Return ``A^T A``, or ``A^T B``."""
    return ta.einsum("k p, k q -> p q", matrix, matrix if other is None else other)


@claim(source=KHATRI_RAO, sizes=NMR, mutation=lambda: (gram(khatri_rao(F, H)), product(gram(F), gram(H))))
def the_gram_matrix_of_a_khatri_rao_product():
    """``(F . H)^T (F . H) = F^T F * H^T H``."""
    return gram(khatri_rao(F, H)), hadamard(gram(F), gram(H))


@claim(source=KHATRI_RAO, kernel=False)
def the_inner_products_of_two_khatri_rao_products():
    """``(F . H)^T (F2 . H2) = F^T F2 * H^T H2``."""
    return gram(khatri_rao(F, H), khatri_rao(F2, H2)), hadamard(gram(F, F2), gram(H, H2))


@claim(source=KHATRI_RAO, kernel=False)
def kronecker_times_khatri_rao():
    """``(A x Y)(F . H) = A F . Y H``."""
    Y = ta.tensor("Y", D @ W)
    return product(kron(A, Y), khatri_rao(F, H)), khatri_rao(product(A, F), product(Y, H))


@claim(source=KHATRI_RAO, kernel=False)
def vec_of_a_scaled_product_is_a_khatri_rao_product():
    """``vec(H D_u F^T) = (F . H) u``, where vec stacks columns."""
    u = ta.tensor("u", R)
    p = (V @ W).index("p")
    matrix = ta.einsum("a s, s t, i t -> a i", H, diagonal(u), F)
    return (
        ta.define((p,), ta.delta[p, (i, a)] * matrix[a, i]),
        ta.einsum("p s, s -> p", khatri_rao(F, H), u),
    )


@claim(source=KHATRI_RAO, kernel=False)
def a_hadamard_product_is_a_selection_from_a_kronecker_product():
    """``A * B`` stands in the rows (i, i) and the columns (j, j) of ``A x B``."""
    both = kron(A, B)
    return ta.define((i, j), both[(i, i), (j, j)]), ta.define((i, j), A[i, j] * B[i, j])


@claim(source="a mistake: Hadamard, not matrix product", expected="refuted")
def the_gram_matrix_of_a_khatri_rao_product_is_a_product():
    """``(F . H)^T (F . H) = (F^T F)(H^T H)``."""
    return gram(khatri_rao(F, H)), product(gram(F), gram(H))


@claim(source="a mistake: the rows are permuted", expected="refuted")
def the_khatri_rao_product_commutes():
    """``F . F2 = F2 . F``."""
    return khatri_rao(F, F2), khatri_rao(F2, F)


# Mode products, Tucker and CP decompositions of tensors of order three.

G = ta.tensor("G", V @ W @ D)
S = ta.tensor("S", V @ V @ V, symmetric=True)
P1, P2, P3 = ta.tensor("P1", W @ W), ta.tensor("P2", D @ D), ta.tensor("P3", W @ W)
U1, U2 = ta.tensor("U1", R @ V, isometry=True), ta.tensor("U2", R @ W, isometry=True)
T = ta.tensor("T", R @ W)
AI = ta.tensor("Ai", V @ V, inverse_of="A")


def mode(tensor: Matrix, number: int, matrix: Matrix) -> ta.Definition:
    """Return the n-mode product, which applies a matrix to one leg."""
    names = ["p", "q", "r"]
    old = [*names[:number], "x", *names[number + 1 :]]
    return ta.einsum(f"{' '.join(old)}, {names[number]} x -> {' '.join(names)}", tensor, matrix)


def norm(tensor: Matrix) -> ta.Definition:
    """Return the squared norm of a tensor of order three."""
    return ta.einsum("p q r, p q r ->", tensor, tensor)


def cp(first: Matrix, second: Matrix, third: Matrix) -> ta.Definition:
    """Return the sum of the outer products of the columns."""
    return ta.einsum("p s, q s, r s -> p q r", first, second, third)


@claim(source=MODES, sizes=NMD)
def products_along_different_modes_commute():
    """``G x_0 A x_1 P = G x_1 P x_0 A``."""
    return mode(mode(G, 0, A), 1, P1), mode(mode(G, 1, P1), 0, A)


@claim(source=MODES, kernel=False, mutation=lambda: (mode(mode(G, 0, A), 0, B), mode(G, 0, product(A, B))))
def products_along_one_mode_compose():
    """``G x_0 A x_0 B = G x_0 (B A)``."""
    return mode(mode(G, 0, A), 0, B), mode(G, 0, product(B, A))


@claim(source=TUCKER, kernel=False)
def orthonormal_factors_keep_the_norm_of_the_core():
    """``|G| = |G x_0 U x_1 U'|`` for isometries."""
    return norm(G), norm(mode(mode(G, 0, U1), 1, U2))


@claim(source=TUCKER, kernel=False)
def the_core_is_the_tensor_seen_in_the_factors():
    """``(G x_0 U x_1 U') x_0 U^T x_1 U'^T = G`` for isometries."""
    seen = mode(mode(mode(mode(G, 0, U1), 1, U2), 0, transpose(U1)), 1, transpose(U2))
    return seen, ta.einsum("p q r -> p q r", G)


@claim(source=TUCKER, kernel=False)
def a_change_of_basis_passes_into_the_core():
    """``(G x_0 A) x_0 (F^T A^-1) = G x_0 F^T``: the factors of a Tucker decomposition are not unique."""
    factor = transpose(F)
    return mode(mode(G, 0, A), 0, product(factor, AI)), mode(G, 0, factor)


@claim(source=TUCKER, kernel=False)
def an_unfolded_tucker_tensor_is_a_product_with_a_kronecker_product():
    """``(G x_0 A x_1 P x_2 Q)_(0) = A G_(0) (P x Q)^T``, with the columns (1, 2)."""
    pair = (W @ D).index("p")
    whole_tensor = mode(mode(mode(G, 0, A), 1, P1), 2, P2)
    unfolded = ta.define((i, pair), ta.delta[pair, (a, f)] * whole_tensor[i, a, f])
    core = ta.define((j, pair), ta.delta[pair, (a, f)] * G[j, a, f])
    return unfolded, ta.einsum("i j, j x, p x -> i p", A, core, kron(P1, P2))


@claim(source=CP, kernel=False, mutation=lambda: (norm(cp(F, H, J)), ta.einsum("p q ->", hadamard(gram(F), gram(H)))))
def the_norm_of_a_cp_tensor():
    """The entries of ``F^T F * H^T H * J^T J`` sum to ``|[F, H, J]|^2``."""
    return ta.einsum("p q ->", hadamard(gram(F), gram(H), gram(J))), norm(cp(F, H, J))


@claim(source=CP, sizes=ALL)
def a_mode_product_of_a_cp_tensor_acts_on_one_factor():
    """``[F, H, J] x_0 A = [A F, H, J]``."""
    return mode(cp(F, H, J), 0, A), cp(product(A, F), H, J)


@claim(source=CP, kernel=False)
def an_unfolded_cp_tensor_is_a_product_with_a_khatri_rao_product():
    """``[F, H, J]_(0) = F (H . J)^T``, with the columns (1, 2)."""
    pair = (W @ D).index("p")
    unfolded = ta.define((i, pair), ta.delta[pair, (a, f)] * cp(F, H, J)[i, a, f])
    return unfolded, ta.einsum("i s, p s -> i p", F, khatri_rao(H, J))


@claim(source=CP, kernel=False)
def the_gradient_product_of_cp_needs_no_khatri_rao_product():
    """``G_(0) (H . J)`` contracts G with the columns of the factors one by one."""
    pair = (W @ D).index("p")
    unfolded = ta.define((i, pair), ta.delta[pair, (a, f)] * G[i, a, f])
    return product(unfolded, khatri_rao(H, J)), ta.einsum("p a f, a q, f q -> p q", G, H, J)


@claim(source=CP, kernel=False)
def weights_may_stand_at_any_factor():
    """``[F D_u, H, J] = [F, H, J D_u]``."""
    u = ta.tensor("u", R)
    return cp(product(F, diagonal(u)), H, J), cp(F, H, product(J, diagonal(u)))


@claim(source="textbook: matrix product states", kernel=False)
def bonds_of_a_tensor_train_have_a_gauge():
    """Inserting ``A A^-1`` between two cores changes nothing."""
    left, right = ta.tensor("L", W @ V), ta.tensor("K", V @ D)
    return product(product(left, A), product(AI, right)), product(left, right)


@claim(source=SYMMETRIC, kernel=False)
def a_symmetric_form_ignores_the_order_of_its_arguments():
    """``S(x, y, z) = S(z, x, y)``."""
    return ta.einsum("ijk,i,j,k->", S, x, y, z), ta.einsum("ijk,i,j,k->", S, z, x, y)


@claim(source=SYMMETRIC, kernel=False)
def polarisation_of_a_cubic_form():
    """``24 S(x, y, z)`` is the alternating sum of the cubes of ``x +- y +- z``."""

    def cube(second: int, third: int) -> Any:
        at = ta.define((i,), x[i] + second * y[i] + third * z[i])
        return ta.einsum("ijk,i,j,k->", S, at, at, at)[()]

    sides = cube(1, 1) - cube(1, -1) - cube(-1, 1) + cube(-1, -1)
    return ta.define((), 24 * ta.einsum("ijk,i,j,k->", S, x, y, z)[()]), ta.define((), sides)


def symmetrised(tensor: Matrix) -> ta.Definition:
    """Return the symmetric part of a tensor of order three."""
    return ta.define((i, j, k), sum(tensor[order] for order in permutations((i, j, k))) / 6)


L3 = ta.tensor("L3", V @ V @ V)


@claim(source=SYMMETRIC, kernel=False)
def symmetrisation_is_idempotent():
    """The symmetric part of the symmetric part is the symmetric part."""
    return symmetrised(symmetrised(L3)), symmetrised(L3)


@claim(source=SYMMETRIC, kernel=False)
def a_cubic_form_sees_only_the_symmetric_part():
    """``L(x, x, x) = Sym L (x, x, x)``."""
    return ta.einsum("ijk,i,j,k->", L3, x, x, x), ta.einsum("ijk,i,j,k->", symmetrised(L3), x, x, x)


@claim(source="a mistake: only different modes commute", expected="refuted")
def products_along_one_mode_commute():
    """``G x_0 A x_0 B = G x_0 B x_0 A``."""
    return mode(mode(G, 0, A), 0, B), mode(mode(G, 0, B), 0, A)


@claim(source="a mistake: the factors have to be isometries", expected="refuted")
def any_factors_keep_the_norm_of_the_core():
    """``|G| = |G x_0 A x_1 P|``."""
    return norm(G), norm(mode(mode(G, 0, A), 1, P1))


@claim(source="a mistake: an isometry need not be onto", expected="refuted")
def any_tensor_is_recovered_from_its_core():
    """``T x_0 U^T x_0 U = T`` for an isometry U, here for a tensor of order two."""
    return product(U1, transpose(U1), T), ta.einsum("p q -> p q", T)


@claim(source="a mistake: the columns are not orthogonal", expected="refuted")
def the_norm_of_a_cp_tensor_is_the_sum_of_the_norms_of_its_terms():
    """The sum over the columns alone is ``|[F, H, J]|^2``."""
    columns = (ta.einsum("k p, k p -> p", factor, factor) for factor in (F, H, J))
    return ta.einsum("p ->", hadamard(*columns)), norm(cp(F, H, J))


@claim(source="a mistake: a weight counted at every factor", expected="refuted")
def scaling_every_factor_scales_the_tensor_once():
    """``[2 F, 2 H, 2 J] = 2 [F, H, J]``."""
    doubled = (ta.einsum("p s, s t -> p t", factor, ta.define((s, t), 2 * ta.delta[s, t])) for factor in (F, H, J))
    return cp(*doubled), cp(ta.define((i, s), 2 * F[i, s]), H, J)


@claim(source="a mistake: a transposition is not enough", expected="refuted")
def symmetrising_two_legs_symmetrises_all():
    """The part of a tensor of order three that is symmetric in two legs is not its symmetric part."""
    return ta.define((i, j, k), (L3[i, j, k] + L3[j, i, k]) / 2), symmetrised(L3)
