"""Attention through the universal property: every bilinear score is one linear form on the tensor product.

A score of a query q in F and a key k in G, linear in each, is ``g(q (x) k)`` for exactly one linear form g on F @ G,
its factor (N. Bourbaki, Algebra I, II.3).  For each kind of score, the dot product, the general bilinear score, heads,
rotary positions, linear biases and k-linear scores, the claims say that the factor exists, that no other form gives
the score, and what is special about that form.

*For all q and k* is written with families: Qs[x,..] runs over queries that span, which means that dual vectors Qd
with ``sum(x: Qd[f,x]*Qs[x,g]) = delta[f,g]`` exist.  A form that agrees with the score on two such families is the
factor; this holds in particular for the families of all vectors.

T are tokens in time; F, G, L hold the features of queries, keys and third arguments, H the heads.  A mutation, or a
claim expected to be refuted, is a mistake that is easily made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import DirectSum, Index, Injected, TensorProduct
from tensoralg.universal import LinearMap, MultilinearMap, UniversalProduct, substitute_tensors, tensor_product

PRODUCT = "N. Bourbaki, Algebra I, II.3 (tensor product)"
DTN = "arXiv 2311.11091 (universal property of the tensor product)"
TENSOR_ATTENTION = "arXiv 2311.11091 (dot-product attention as a special case)"
HEADS = "arXiv 1706.03762, sec. 3.2.2 (multi-head attention)"
ROPE = "arXiv 2104.09864, sec. 3.2 (rotary position embedding)"
ALIBI = "arXiv 2108.12409, sec. 3 (linear biases)"

F, G, L, H = ta.Space("F", "d"), ta.Space("G", "e"), ta.Space("L", "l"), ta.Space("H", "h")
T = ta.Space("T", "n", ordered=True)
f, f2, f3, f4 = F.indices("f f2 f3 f4")
(g, g2), (l, l2), (a, b, c) = G.indices("g g2"), L.indices("l l2"), H.indices("a b c")
t, s, u, r = T.indices("t s u r")
SIZES = {"d": 6, "e": 5, "l": 4, "h": 3, "n": 8}

Equation: TypeAlias = "tuple[ta.Definition, ta.Definition]"
Given: TypeAlias = "list[Equation]"
Statement: TypeAlias = "tuple[Any, Any, Given]"


def at(names: str) -> dict[str, int]:
    """Return the sizes at which a kernel is run."""
    return {name: SIZES[name] for name in names.split()}


def number(name: str) -> Any:
    """Return a scalar."""
    return ta.tensor(name, ta.Unit)[()]


def product_of(score: MultilinearMap) -> UniversalProduct:
    """Return the tensor product through which a score factors: one factor for each argument."""
    return tensor_product(*(legs[0] if len(legs) == 1 else TensorProduct(legs) for legs in score.sources))


def factor(score: MultilinearMap) -> LinearMap:
    """Return the linear map through which a score factors."""
    return product_of(score).factor(score)


def existence(score: MultilinearMap, by: MultilinearMap | None = None) -> Equation:
    """State that a score is its factor, or that of another score, after the universal arrow."""
    return score.value, (product_of(score).arrow >> factor(by or score))(*score.arguments)


def family(argument: ta.Tensor) -> tuple[ta.Tensor, Index, Equation]:
    """Return a family of vectors, its index, and the hypothesis that the family spans."""
    name, (space,) = argument.name.upper(), argument.legs
    members = ta.Space(f"N{name}", f"n{name}")
    vectors, duals = ta.tensor(f"{name}s", (members, space)), ta.tensor(f"{name}d", (space, members))
    k, i, j = members.index(f"k{name}"), space.index("i"), space.index("j")
    return vectors, k, (ta.define((i, j), duals[i, k] * vectors[k, j]), ta.define((i, j), ta.delta[i, j]))


def on_families(score: MultilinearMap, families: Sequence[tuple[ta.Tensor, Index, Any]]) -> ta.Definition:
    """Return the values of a score on families of vectors."""
    readings = {
        argument.name: (lambda terms, vectors=vectors, k=k: vectors[(k, *terms)])
        for argument, (vectors, k, _) in zip(score.arguments, families, strict=True)
    }
    legs = (*(k for _, k, _ in families), *score.value.legs)
    return ta.define(legs, substitute_tensors(score.value.term, readings))


def other_form(score: MultilinearMap) -> MultilinearMap:
    """Return a generic linear form after the universal arrow, at the arguments of a score."""
    legs = [Index(f"{argument.name}0", argument.legs[0]) for argument in score.arguments]
    body = ta.tensor("form", [leg.space for leg in legs])[tuple(legs)]
    for argument, leg in zip(score.arguments, legs, strict=True):
        body = body * argument[leg]
    return MultilinearMap(score.arguments, ta.define((), body, name="form"))


def uniqueness(score: MultilinearMap, spanning: int | None = None) -> Statement:
    """State that a form which gives the score on families is the factor, if the families span, or some of them do."""
    families, other = [family(argument) for argument in score.arguments], other_form(score)
    agrees = on_families(other, families), on_families(score, families)
    return other.entries(), factor(score).entries(), [*(spans for *_, spans in families[:spanning]), agrees]


def additive(score: MultilinearMap, name: str) -> Equation:
    """State that a score is additive in one argument."""
    (old,) = (argument for argument in score.arguments if argument.name == name)
    one, two = ta.tensors("v w", old.legs[0])
    whole = substitute_tensors(score.value.term, {name: lambda terms: one[terms] + two[terms]})
    apart = [substitute_tensors(score.value.term, {name: vector.__getitem__}) for vector in (one, two)]
    return ta.define(score.value.legs, whole), ta.define(score.value.legs, apart[0] + apart[1])


# The dot product.

q, k = ta.tensors("q k", F)
dot = MultilinearMap((q, k), ta.define((), q[f] * k[f], name="dot"))
M = ta.tensor("M", F @ F)
form_M = MultilinearMap((q, k), ta.define((), M[f, f2] * q[f] * k[f2], name="M"))


@claim(source=TENSOR_ATTENTION, sizes=at("d"), mutation=lambda: existence(dot, form_M))
def the_dot_product_is_its_factor_at_the_pair():
    """The dot product is its factor at q (x) k; the factor of another form is another score."""
    return existence(dot)


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(dot, spanning=1))
def only_one_form_gives_the_dot_product():
    """A form that gives the dot product on families of queries and of keys that span is the factor; both must span."""
    return uniqueness(dot)


@claim(source=TENSOR_ATTENTION, sizes=at("d"), mutation=lambda: (trace_of(dot), ta.define((), M[f, f2])))
def the_form_of_the_dot_product_is_the_trace():
    """At a tensor that is no pair, the factor of the dot product is the trace, not the sum of all entries."""
    return trace_of(dot), ta.define((), M[f, f])


def trace_of(score: MultilinearMap) -> ta.Definition:
    """Return the factor of a score at a matrix."""
    return factor(score)(M)


@claim(source="a mistake: a distance is no form", expected="refuted")
def distances_are_additive_in_the_query():
    """``-|q - k|^2/2`` is the dot product and two squares, and the squares do not factor."""
    gap = (q[f] - k[f]) * (q[f] - k[f])
    return additive(MultilinearMap((q, k), ta.define((), -gap / 2, name="distance")), "q")


@claim(source="a mistake: the weight is no form", expected="refuted")
def exponential_scores_are_additive_in_the_query():
    """``exp(q . k)`` turns sums into products; what factors is the score inside, not the weight."""
    return additive(MultilinearMap((q, k), ta.define((), ta.exp((q[f] * k[f]).sum(f)), name="weight")), "q")


@claim(source="a mistake: softmax is no form", expected="refuted")
def softmax_scores_are_additive_in_the_query():
    """The softmax over the keys of a memory is not additive in the query: its values add up to 1, not to 2."""
    K = ta.tensor("K", T @ F)
    weight = ta.softmax((q[f] * K[s, f]).sum(f), over=s)
    return additive(MultilinearMap((q,), ta.define((s,), weight, name="weights")), "q")


# The general bilinear score, of queries and keys in different spaces.

key = ta.tensor("k", G)
A, B = ta.tensors("A B", F @ G)


def by_form(entries: Any) -> MultilinearMap:
    """Return the bilinear score with the given entries."""
    return MultilinearMap((q, key), ta.define((), entries[f, g] * q[f] * key[g], name="score"))


@claim(source=DTN, sizes=at("d e"), mutation=lambda: existence(by_form(B), by_form(A)))
def a_bilinear_score_of_two_spaces_is_its_factor_at_the_pair():
    """Queries and keys need not have as many features: the form lives on F @ G."""
    return existence(by_form(B))


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(by_form(B), spanning=1))
def only_one_form_gives_a_bilinear_score():
    """A form that agrees with a bilinear score on families that span has its entries."""
    return uniqueness(by_form(B))


@claim(source=PRODUCT, kernel=False, mutation=lambda: (form_of_a_sum(), sum_of_forms(1)))
def forms_add_as_their_scores_do():
    """``factor(x f + y g) = x factor(f) + y factor(g)``: scores and forms are one space, by one linear isomorphism."""
    return form_of_a_sum(), sum_of_forms(number("y"))


def form_of_a_sum() -> ta.Definition:
    """Return the form of a linear combination of two scores."""
    mixed = number("x") * by_form(A).value.term + number("y") * by_form(B).value.term
    return factor(MultilinearMap((q, key), ta.define((), mixed))).entries()


def sum_of_forms(weight: Any) -> ta.Definition:
    """Return the linear combination of the forms of two scores."""
    left, right = factor(by_form(A)).entries(), factor(by_form(B)).entries()
    return ta.define(left.legs, number("x") * left.term + weight * right[left.legs])


WQ, WK = ta.tensor("WQ", F @ L), ta.tensor("WK", G @ L)


def projection(matrix: ta.Tensor, source: Index) -> LinearMap:
    """Return the map of row vectors ``v -> v W``."""
    vector = ta.tensor("v", source.space)
    return LinearMap((vector,), ta.define((l,), vector[source] * matrix[source, l], name=matrix.name))


def projected(keys: LinearMap) -> ta.Definition:
    """Return the form of the dot product after the projections of queries and of keys."""
    one, two = ta.tensors("m m2", L)
    metric = factor(MultilinearMap((one, two), ta.define((), one[l] * two[l], name="dot")))
    return ((projection(WQ, f) @ keys) >> metric).entries()


@claim(
    source=HEADS,
    kernel=False,
    mutation=lambda: (factor(of_projections()).entries(), projected(projection(ta.tensor("WV", G @ L), g))),
)
def projections_act_on_the_form():
    """The form of ``(q W_Q) . (k W_K)`` is the metric after ``W_Q (x) W_K``: factors are natural in queries and keys."""
    return factor(of_projections()).entries(), projected(projection(WK, g))


def of_projections() -> MultilinearMap:
    """Return the dot product of a projected query and a projected key."""
    return MultilinearMap((q, key), ta.define((), q[f] * WQ[f, l] * key[g] * WK[g, l], name="score"))


@claim(source="a mistake: a form is no pair", expected="refuted")
def every_form_is_a_product_of_two_linear_forms():
    """Minors of size two vanish for ``u (x) v`` only: a form is a sum of pure tensors, up to min(d, e) of them."""
    return ta.define((f, g, f2, g2), B[f, g] * B[f2, g2]), ta.define((f, g, f2, g2), B[f, g2] * B[f2, g])


@claim(source="a mistake: a form need not be symmetric", expected="refuted")
def queries_and_keys_may_be_exchanged():
    """``score(q, k) = score(k, q)`` holds for symmetric forms."""
    return form_M.value, form_M(k, q)


# Heads: a form on a direct sum.

W = DirectSum((F, G))
w, w2 = W.indices("w w2")
qW, kW = ta.tensors("q k", W)
first, second = Injected(f, 0, W), Injected(g, 1, W)


def heads(other: Any = 1) -> MultilinearMap:
    """Return the sum of the dot products of two heads, the second with a factor."""
    one, two = qW[first] * kW[first], other * qW[second] * kW[second]
    return MultilinearMap((qW, kW), ta.define((), one + two, name="heads"))


@claim(source=HEADS, sizes=at("d e"), mutation=lambda: existence(heads(), heads(number("x"))))
def the_sum_of_two_heads_is_one_form_on_the_direct_sum():
    """Two heads of any sizes are one score on F + G, which factors through (F + G) @ (F + G)."""
    return existence(heads(number("y")))


@claim(source=PRODUCT, kernel=False, mutation=lambda: form_of_heads(pairs=[(0, 0), (1, 1)]))
def only_one_form_gives_the_sum_of_two_heads():
    """A form on the direct sum that gives the sum of the heads, where queries and keys span each head, is the factor.

    It has to agree also where the query is in one head and the key in the other.
    """
    return form_of_heads(pairs=[(0, 0), (0, 1), (1, 0), (1, 1)])


def form_of_heads(pairs: Sequence[tuple[int, int]]) -> Statement:
    """State that a form which agrees with two heads on the given pairs of heads is their factor."""
    queries, keys = ([family(ta.tensor(f"{name}{m}", W.summands[m])) for m in (0, 1)] for name in "qk")
    form = ta.tensor("form", W @ W)
    given = [spans for *_, spans in (*queries, *keys)]
    for m, n in pairs:
        (Qs, x, _), (Ks, y, _), i, j = queries[m], keys[n], (f, g)[m], (f2, g2)[n]
        value = form[Injected(i, m, W), Injected(j, n, W)] * Qs[x, i] * Ks[y, j]
        given.append((ta.define((x, y), value), ta.define((x, y), Qs[x, i] * Ks[y, i] if m == n else 0)))
    return ta.define((w, w2), form[w, w2]), ta.define((w, w2), factor(heads()).entries()[w, w2]), given


@claim(
    source=HEADS, kernel=False, mutation=lambda: (block(0, f2), ta.define((f, f2), 0 * ta.delta[f, f] * number("x")))
)
def the_form_of_two_heads_is_block_diagonal():
    """Between the heads the form vanishes; within a head it is the metric, which does not."""
    return block(1, g), ta.define((f, g), 0)


def block(position: int, other: Index) -> ta.Definition:
    """Return a block of the form of two heads, at rows of the first head."""
    return ta.define((f, other), factor(heads()).entries()[first, Injected(other, position, W)])


HF = H @ F
qH, kH = ta.tensors("q k", HF)
each = MultilinearMap((qH, kH), ta.define((a,), qH[a, f] * kH[a, f], name="each"))
total = LinearMap((ta.tensor("v", H),), ta.define((), ta.tensor("v", H)[a], name="total"))


@claim(source=HEADS, sizes=at("h d"), mutation=lambda: existence(each, scaled_heads()))
def the_scores_of_all_heads_are_one_linear_map():
    """h heads are one bilinear map into the space of heads, with one factor (H @ F) @ (H @ F) -> H."""
    return existence(each)


def scaled_heads() -> MultilinearMap:
    """Return the scores of all heads, each with a factor of its own."""
    return MultilinearMap((qH, kH), ta.define((a,), ta.tensor("x", H)[a] * qH[a, f] * kH[a, f], name="each"))


@claim(source=PRODUCT, kernel=False, mutation=lambda: map_of_heads(spanning=1))
def only_one_linear_map_gives_the_scores_of_all_heads():
    """A linear map that gives the scores where queries and keys of single heads span is the factor."""
    return map_of_heads()


def map_of_heads(spanning: int | None = None) -> Statement:
    """State that a linear map which agrees with all heads, for queries and keys of single heads, is their factor."""
    (Qs, x, first_spans), (Ks, y, second_spans) = family(q), family(k)
    legs, form = (a, f, b, f2, c), ta.tensor("form", (H, F, H, F, H))
    same = ta.delta[a, b] * ta.delta[a, c]
    agrees = (
        ta.define((x, y, a, b, c), form[legs] * Qs[x, f] * Ks[y, f2]),
        ta.define((x, y, a, b, c), same * Qs[x, f] * Ks[y, f]),
    )
    given = [*[first_spans, second_spans][:spanning], agrees]
    return ta.define(legs, form[legs]), ta.define(legs, factor(each).entries()[legs]), given


@claim(source=HEADS, kernel=False, mutation=lambda: (summed(each), summed(scaled_heads())))
def the_scores_of_the_heads_sum_to_the_dot_product():
    """The factor of all heads, followed by the sum over the heads, is the metric of H @ F."""
    return summed(each), factor(MultilinearMap((qH, kH), ta.define((), qH[a, f] * kH[a, f], name="dot"))).entries()


def summed(score: MultilinearMap) -> ta.Definition:
    """Return the form of the sum of the scores of all heads."""
    return (factor(score) >> total).entries()


@claim(source="a mistake: one head may mix all features", expected="refuted")
def every_form_on_a_direct_sum_is_block_diagonal():
    """A single head over all features has entries between F and G."""
    whole = MultilinearMap((qW, kW), ta.define((), ta.tensor("M", W @ W)[w, w2] * qW[w] * kW[w2], name="score"))
    return ta.define((f, g), factor(whole).entries()[first, second]), ta.define((f, g), 0)


# Rotary positions, on row vectors: the query at t is q P_t with P_t = R[t] R[t-1] .. R[1], a rotation for each step.

R, P, S, C = *ta.tensors("R P S", (T, F, F)), ta.tensor("C", F @ F)
D = ta.decay(R)
Qt, Kt = ta.tensors("Q K", T @ F)
PRODUCTS = (ta.define((t, f, f3), P[t, f, f3]), ta.define((t, f, f3), D[t, "-", f, f3]))
IDENTITY = ta.define((t, f, f3), ta.delta[f, f3])
ROTATIONS = (ta.define((t, f, f3), R[t, f, f2] * R[t, f3, f2]), IDENTITY)
ORTHOGONAL = (ta.define((t, f, f3), P[t, f, f2] * P[t, f3, f2]), IDENTITY)
SHIFTED = (ta.define((t, f, f3), S[t, f, f3]), ta.define((t, f, f3), P[t, f, f2] * C[f2, f3]))
BY_A_ROTATION = (ta.define((f, f3), C[f, f2] * C[f3, f2]), ta.define((f, f3), ta.delta[f, f3]))


def rotary(left: ta.Tensor, right: ta.Tensor | None = None, columns: bool = False) -> MultilinearMap:
    """Return the scores ``(q P_t) . (k P_s)`` for s <= t, or those of columns ``P_t q``."""
    one, two = ((f2, f), (f2, f3)) if columns else ((f, f2), (f3, f2))
    value = ta.le[s, t] * q[f] * left[(t, *one)] * k[f3] * (right or left)[(s, *two)]
    return MultilinearMap((q, k), ta.define((t, s), value, name="rotary"))


relative = MultilinearMap((q, k), ta.define((t, s), q[f] * D[t, s, f, f2] * k[f2], name="relative"))


def at_tokens(score: MultilinearMap) -> ta.Definition:
    """Return a score at the queries and keys of the tokens."""
    readings = {"q": lambda terms: Qt[(t, *terms)], "k": lambda terms: Kt[(s, *terms)]}
    return ta.define((t, s), substitute_tensors(score.value.term, readings))


@claim(source=ROPE, sizes=at("d n"), mutation=lambda: existence(rotary(P), rotary(P, columns=True)))
def a_rotary_score_is_its_factor_at_the_pair():
    """For every two times, the rotary score is one form on queries and keys that are not rotated."""
    return existence(rotary(P))


def any_positions() -> MultilinearMap:
    """Return the score of a query and a key under two matrices, those of their positions."""
    one, two = ta.tensors("P1 P2", F @ F)
    return MultilinearMap((q, k), ta.define((), q[f] * one[f, f2] * k[f3] * two[f3, f2], name="rotary"))


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(any_positions(), spanning=1))
def only_one_form_gives_a_rotary_score():
    """A form that gives the score under two rotations, on families of queries and keys that span, is the factor."""
    return uniqueness(any_positions())


@claim(source=ROPE, sizes=at("d n"), given=[PRODUCTS], mutation=lambda: (at_tokens(rotary(P)), at_tokens(relative)))
def a_rotary_score_depends_on_the_decay_alone():
    """If the products P_s are orthogonal, the form for t and s <= t is ``decay(R)[t,s]``; if they are not, it is not."""
    return factor(rotary(P)).entries(), factor(relative).entries(), [ORTHOGONAL]


@claim(
    source=ROPE,
    sizes=at("d n"),
    given=[SHIFTED, BY_A_ROTATION],
    mutation=lambda: (at_tokens(rotary(S, P)), at_tokens(rotary(P))),
)
def a_common_shift_leaves_the_rotary_form():
    """With ``P_(t+c) = P_t P_c`` and P_c orthogonal, shifting both positions by c changes nothing; one of them, does."""
    return factor(rotary(S)).entries(), factor(rotary(P)).entries()


@claim(source="textbook", sizes=at("d n"), given=[PRODUCTS], mutation=lambda: (reached(), prefix(late=True)))
def a_product_of_rotations_is_a_later_one_times_an_earlier_one():
    """``P_t = decay(R)[t,s] P_s`` for s <= t, the latest on the left, for all matrices."""
    return reached(), prefix()


def reached() -> ta.Definition:
    """Return P_t for s <= t."""
    return ta.define((t, s, f, f3), ta.le[s, t] * P[t, f, f3])


def prefix(late: bool = False) -> ta.Definition:
    """Return ``decay(R)[t,s] P_s``, or the product the other way round."""
    pair = P[s, f, f2] * D[t, s, f2, f3] if late else D[t, s, f, f2] * P[s, f2, f3]
    return ta.define((t, s, f, f3), pair)


PAST = ta.define((t, s, f, f3), ta.le[s, t] * ta.delta[f, f3])


@claim(source="textbook", sizes=at("d n"), given=[PRODUCTS], mutation=lambda: (gram(), PAST))
def orthogonal_windows_extend_orthogonal_products():
    """If P_s and ``decay(R)[t,s]`` have orthonormal rows, so has P_t: the step of an induction over the tokens."""
    window = ta.define((t, s, f, f3), D[t, s, f, f2] * D[t, s, f3, f2])
    return gram(), PAST, [(window, PAST), ORTHOGONAL]


def gram() -> ta.Definition:
    """Return ``P_t P_t^T`` for s <= t."""
    return ta.define((t, s, f, f3), ta.le[s, t] * P[t, f, f2] * P[t, f3, f2])


@claim(source="a mistake: columns instead of rows", expected="refuted", given=[PRODUCTS, ROTATIONS])
def a_rotary_score_of_columns_depends_on_the_decay_alone():
    """``(P_t q) . (P_s k) = q^T P_s^T decay(R)[t,s]^T P_s k``, from which P_s goes only if rotations commute."""
    return at_tokens(rotary(P, columns=True)), at_tokens(relative)


@claim(source="a mistake: any matrices for the positions", expected="refuted", given=[PRODUCTS])
def a_score_under_any_matrices_depends_on_the_decay_alone():
    """Without orthogonality ``P_s P_s^T`` remains in the score."""
    return at_tokens(rotary(P)), at_tokens(relative)


# Linear biases: a bilinear score and a constant, which is one linear form on F @ F + 1.

slope = number("x")
distance = ta.define((t, s), ta.lt[s, r] * ta.le[r, t], name="distance")  # t - s, if s < t
alibi = MultilinearMap((q, k), ta.define((t, s), q[f] * k[f] - slope * distance[t, s], name="alibi"))
bias = ta.define((t, s), -slope * distance[t, s], name="bias")
bilinear_part = MultilinearMap((q, k), ta.define((t, s), alibi.value.term - bias[t, s], name="part"))


def with_bias(added: Any) -> ta.Definition:
    """Return the factor of the bilinear part at the pair, and a bias."""
    return ta.define((t, s), existence(bilinear_part)[1][t, s] + added[t, s])


@claim(source=ALIBI, sizes=at("d n"), mutation=lambda: (alibi.value, existence(bilinear_part)[1]))
def linear_biases_are_added_after_the_factorisation():
    """ALiBi's score is the factor of its bilinear part at q (x) k, and the bias."""
    return alibi.value, with_bias(bias)


PAIR = DirectSum((F @ F, ta.Unit))
p, o = (F @ F).index("p"), ta.Unit.index("o")
AFFINE = tensor_product(PAIR)


def affine_form() -> LinearMap:
    """Return the linear map on F @ F + 1 that is the metric on F @ F and the bias on 1."""
    wP = ta.tensor("w", PAIR)
    on_pairs, on_one = wP[Injected(p, 0, PAIR)] * ta.delta[p, (f, f)], wP[Injected(o, 1, PAIR)] * bias[t, s]
    return LinearMap((wP,), ta.define((t, s), on_pairs + on_one, name="alibi"))


def pair_and(constant: int) -> ta.Definition:
    """Return the vector (q (x) k, constant) of F @ F + 1."""
    i = PAIR.index("i")
    on_pairs = ta.delta[i, Injected(p, 0, PAIR)] * ta.delta[p, (f, f2)] * q[f] * k[f2]
    return ta.define((i,), on_pairs + constant * ta.delta[i, Injected(o, 1, PAIR)])


@claim(source=ALIBI, sizes=at("d n"), mutation=lambda: (alibi.value, AFFINE.factor(affine_form())(pair_and(0))))
def linear_biases_are_one_form_on_pairs_and_one():
    """ALiBi's score is a linear form on F @ F + 1 at (q (x) k, 1)."""
    return alibi.value, AFFINE.factor(affine_form())(pair_and(1))


def form_of_alibi(zero: bool = True) -> Statement:
    """State that a form on pairs and a constant that give ALiBi's score at two times are the metric and the bias."""
    (Qs, x, spans), (Ks, y, spans2) = family(q), family(k)
    form, constant, b = ta.tensor("form", F @ F), number("constant"), number("b")
    agrees = (
        ta.define((x, y), form[f, f2] * Qs[x, f] * Ks[y, f2] + constant),
        ta.define((x, y), Qs[x, f] * Ks[y, f] + b),
    )
    at_zero = ta.define((y,), constant), ta.define((y,), b)
    given = [spans, spans2, agrees, *([at_zero] if zero else [])]
    return ta.define((f, f2), form[f, f2]), ta.define((f, f2), ta.delta[f, f2]), given


@claim(source=PRODUCT, kernel=False, mutation=lambda: form_of_alibi(zero=False))
def only_one_form_on_pairs_and_one_gives_a_biased_score():
    """A form on F @ F + 1 that gives a biased dot product is the metric on F @ F; it must agree also at the query 0."""
    return form_of_alibi()


ONE = DirectSum((F, ta.Unit))
m, m2 = ONE.indices("m m2")


def with_a_one(vector: ta.Tensor) -> ta.Definition:
    """Return the vector (v, 1) of F + 1."""
    return ta.define((m,), ta.delta[m, Injected(f, 0, ONE)] * vector[f] + ta.delta[m, Injected(o, 1, ONE)])


def augmented(queries: ta.Definition, keys: ta.Definition) -> ta.Definition:
    """Return the factor of the bilinear score on F + 1 that is the metric on F and a bias on 1, at two vectors."""
    one, two = ta.tensors("q1 k1", (ONE,))
    inside, last = Injected(f, 0, ONE), Injected(o, 1, ONE)
    value = one[inside] * two[inside] + bias[t, s] * one[last] * two[last]
    score = MultilinearMap((one, two), ta.define((t, s), value, name="augmented"))
    return (product_of(score).arrow >> factor(score))(queries, keys)


@claim(source=ALIBI, sizes=at("d n"), mutation=lambda: (augmented(with_a_one(q), padded(k)), alibi.value))
def linear_biases_are_bilinear_in_vectors_with_a_one():
    """ALiBi's score is a bilinear score on F + 1 at (q, 1) and (k, 1); at (k, 0) the bias is lost."""
    return augmented(with_a_one(q), with_a_one(k)), alibi.value


def padded(vector: ta.Tensor) -> ta.Definition:
    """Return the vector (v, 0) of F + 1."""
    return ta.define((m,), ta.delta[m, Injected(f, 0, ONE)] * vector[f])


def mixed_queries(given: bool = True) -> Statement:
    """State that ALiBi's score at a mixture of queries is the mixture of the scores, if the weights sum to one."""
    left, right, x, y = *ta.tensors("v w", F), number("y1"), number("y2")
    mixture = ta.define((f,), x * left[f] + y * right[f])
    apart = x * alibi(left, k)[t, s] + y * alibi(right, k)[t, s]
    one = ta.define((), x + y), ta.define((), 1)
    return alibi(mixture, k), ta.define((t, s), apart), [one] if given else []


@claim(source=ALIBI, kernel=False, mutation=lambda: mixed_queries(given=False))
def biased_scores_are_affine_in_the_query():
    """ALiBi's score is linear on mixtures of queries, whose weights sum to one."""
    return mixed_queries()


@claim(source="a mistake: a bias is no form on pairs", expected="refuted")
def biased_scores_are_additive_in_the_query():
    """ALiBi's score of a sum of queries has the bias once, and the sum of the scores has it twice."""
    return additive(alibi, "q")


# k-linear scores, and the dot product as one of them: Tensor Attention of the third order.

extra, T3 = ta.tensor("k2", L), ta.tensor("T", (F, G, L))
third = MultilinearMap((q, key, extra), ta.define((), T3[f, g, l] * q[f] * key[g] * extra[l], name="third"))
heir = ta.tensor("k3", H)
T4 = ta.tensor("T", (F, G, L, H))
fourth_value = ta.define((), T4[f, g, l, a] * q[f] * key[g] * extra[l] * heir[a], name="fourth")
fourth = MultilinearMap((q, key, extra, heir), fourth_value)


@claim(source=DTN, sizes=at("d e l"), mutation=lambda: existence(third, third_of(number("x"))))
def a_third_order_score_is_its_factor_at_the_triple():
    """A score of a query and two arguments in spaces of their own is one form on F @ G @ L."""
    return existence(third)


def third_of(weight: Any) -> MultilinearMap:
    """Return the third-order score with a factor."""
    return MultilinearMap((q, key, extra), ta.define((), weight * third.value.term, name="third"))


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(third, spanning=2))
def only_one_form_gives_a_third_order_score():
    """A form that gives the score on three families that span is the factor; all three must span."""
    return uniqueness(third)


@claim(source=DTN, sizes=at("d e l h"), mutation=lambda: (fourth.value, existence(fourth)[1] + fourth.value))
def a_fourth_order_score_is_its_factor_at_the_product():
    """Linear in each of four arguments: one form on the fourfold product."""
    return existence(fourth)


def in_two_steps() -> ta.Definition:
    """Return the form of the third-order score, factored first in query and key, and then in the pair and the rest."""
    inner = factor(MultilinearMap((q, key), third.value))
    outer = MultilinearMap((*inner.arguments, extra), inner.value)
    return factor(outer).entries()


@claim(source=PRODUCT, kernel=False, mutation=lambda: (in_two_steps(), factor(third_of(number("x"))).entries()))
def factoring_twice_is_factoring_once():
    """Factoring query and key, and then the pair and the third argument, gives the form on the triple product."""
    return in_two_steps(), factor(third).entries()


U, K2 = ta.tensor("u", L), ta.tensor("v", L)
UNIT = (ta.define((), U[l] * K2[l]), ta.define((), 1))  # u . v = 1


def specialise() -> LinearMap:
    """Return the map from forms on pairs to forms on triples, ``B -> B (x) u``."""
    return LinearMap((B,), ta.define((f, g, l), B[f, g] * U[l], name="specialise"))


def restrict() -> LinearMap:
    """Return the map from forms on triples to forms on pairs that puts v in the third place."""
    return LinearMap((T3,), ta.define((f, g), T3[f, g, l] * K2[l], name="restrict"))


@claim(
    source=TENSOR_ATTENTION, given=[UNIT], kernel=False, mutation=lambda: ((restrict() >> specialise()).value, T3_SELF)
)
def bilinear_scores_are_third_order_scores():
    """Specialising a bilinear form by u and restricting to v, with u . v = 1, gives it back; the other way loses."""
    return (specialise() >> restrict()).value, ta.define((f, g), B[f, g])


T3_SELF = ta.define((f, g, l), T3[f, g, l])


def tensor_attention(form: Any, thirds: Any) -> ta.Definition:
    """Return Tensor Attention of the third order over all pairs of a key and a third argument."""
    Q, K, V = ta.tensor("Q", T @ F), ta.tensor("K", T @ F), ta.tensor("V", T @ G)
    score = ta.define((t, s, u), form[f, f2, l] * Q[t, f] * K[s, f2] * thirds[u, l])
    weight = ta.exp(score[t, s, u])
    return ta.define((t, g), weight * V[s, g] / ta.define((t,), weight)[t])


def dot_product_attention() -> ta.Definition:
    """Return softmax attention by dot products."""
    Q, K, V = ta.tensor("Q", T @ F), ta.tensor("K", T @ F), ta.tensor("V", T @ G)
    return ta.define((t, g), ta.softmax((Q[t, f] * K[s, f]).sum(f), over=s) * V[s, g])


METRIC_U = ta.define((f, f2, l), ta.delta[f, f2] * U[l])


@claim(
    source=TENSOR_ATTENTION,
    given=[UNIT],
    kernel=False,
    mutation=lambda: (tensor_attention(METRIC_U, ta.tensor("K2", T @ L)), dot_product_attention()),
)
def dot_product_attention_is_third_order_attention_of_a_fixed_third_argument():
    """Tensor Attention with the form metric (x) u, whose third arguments are all v, is dot-product attention."""
    return tensor_attention(METRIC_U, ta.define((u, l), K2[l])), dot_product_attention()


same_key = MultilinearMap((q, k), ta.define((), ta.tensor("T", (F, F, F))[f, f2, f3] * q[f] * k[f2] * k[f3]))


@claim(source="a mistake: the converse", expected="refuted")
def a_third_order_score_of_one_key_is_additive_in_the_key():
    """With the key in both places the third-order score is quadratic in it: it is no bilinear score."""
    return additive(same_key, "k")


@claim(source="a mistake: the converse", expected="refuted", given=[UNIT])
def every_third_order_score_is_a_bilinear_score():
    """Restricting a form to v and specialising it by u gives ``B (x) u``, which is the form only if it was one."""
    return (restrict() >> specialise()).value, T3_SELF


@claim(source="a mistake: the score of one key twice", expected="refuted")
def a_third_order_score_of_one_key_determines_the_form():
    """Exchanging the two places of the key changes the form, and not the score of one key in both."""
    form = ta.tensor("T", (F, F, F))
    return ta.define((f, f2, f3), form[f, f2, f3]), ta.define((f, f2, f3), form[f, f3, f2])
