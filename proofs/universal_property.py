"""Attention through the universal property: every bilinear score is one linear form on the tensor product.

A score of a query q in F and a key k in G, linear in each, is ``form(q (x) k)`` for exactly one linear form on F @ G,
its factor (N. Bourbaki, Algebra I, II.3).  For each kind of score, the dot product, the bilinear score, heads, rotary
positions, linear biases and k-linear scores, the claims say that the factor exists, that no other form gives the
score, and what is special about it.

*For all q and k* is written with families: Qs[x,..] are queries that span, which means that there are dual vectors Qd
with ``sum(x: Qd[i,x]*Qs[x,j]) = delta[i,j]``.  A form that agrees with the score on families that span is the factor;
so is one that agrees on all vectors.

T are tokens in time; F, G, L hold the features of queries, keys and third arguments, H the heads.  A mutation, or a
claim expected to be refuted, is a mistake that is easily made.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import DirectSum, Index, Injected
from tensoralg.universal import LinearMap, MultilinearMap, UniversalProduct, substitute_tensors, tensor_product

PRODUCT = "N. Bourbaki, Algebra I, II.3 (tensor product)"
DTN = "arXiv 2311.11091 (universal property of the tensor product)"
TENSOR_ATTENTION = "arXiv 2311.11091 (dot-product attention as a special case)"
HEADS = "arXiv 1706.03762, sec. 3.2.2 (multi-head attention)"
ROPE = "arXiv 2104.09864, sec. 3.2 (rotary position embedding)"
ALIBI = "arXiv 2108.12409, sec. 3 (linear biases)"

F, G, L, H = ta.Space("F", "d"), ta.Space("G", "e"), ta.Space("L", "l"), ta.Space("H", "h")
T = ta.Space("T", "n", ordered=True)
f, f2, f3 = F.indices("f f2 f3")
(g, g2), (l,), (a,) = G.indices("g g2"), L.indices("l"), H.indices("a")
t, s, u, r = T.indices("t s u r")
SIZES = {"d": 6, "e": 5, "l": 4, "h": 3, "n": 8}

Equation: TypeAlias = "tuple[ta.Definition, ta.Definition]"
Statement: TypeAlias = "tuple[ta.Definition, ta.Definition, list[Equation]]"


def at(names: str) -> dict[str, int]:
    """Return the sizes at which a kernel is run."""
    return {name: SIZES[name] for name in names.split()}


def number(name: str) -> Any:
    """Return a scalar."""
    return ta.tensor(name, ta.Unit)[()]


def product_of(score: MultilinearMap) -> UniversalProduct:
    """Return the tensor product through which a score factors: one factor for each argument."""
    return tensor_product(*score.sources)


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
    x, i, j = members.index(f"x{name}"), space.index("i"), space.index("j")
    return vectors, x, (ta.define((i, j), duals[i, x] * vectors[x, j]), ta.define((i, j), ta.delta[i, j]))


def uniqueness(score: MultilinearMap, spanning: int | None = None) -> Statement:
    """State that a form which gives the score on families is the factor, if the families span, or some of them do."""
    families, found = [family(argument) for argument in score.arguments], factor(score).entries()
    form, members = ta.tensor("form", [leg.space for leg in found.legs]), [x for _, x, _ in families]
    readings, pure = {}, form[found.legs]
    for argument, leg, (vectors, x, _) in zip(score.arguments, found.legs, families, strict=True):
        readings[argument.name] = lambda terms, vectors=vectors, x=x: vectors[(x, *terms)]
        pure = pure * vectors[x, leg]
    agrees = ta.define(members, pure), ta.define(members, substitute_tensors(score.value.term, readings))
    return ta.define(found.legs, form[found.legs]), found, [*(spans for *_, spans in families[:spanning]), agrees]


def additive(score: MultilinearMap, name: str) -> Equation:
    """State that a score is additive in one argument."""
    (old,) = (argument for argument in score.arguments if argument.name == name)
    one, two = ta.tensors("v w", old.legs[0])
    whole = substitute_tensors(score.value.term, {name: lambda terms: one[terms] + two[terms]})
    apart = [substitute_tensors(score.value.term, {name: vector.__getitem__}) for vector in (one, two)]
    return ta.define(score.value.legs, whole), ta.define(score.value.legs, apart[0] + apart[1])


# The dot product.

q, k = ta.tensors("q k", F)
M = ta.tensor("M", F @ F)
dot = MultilinearMap((q, k), ta.define((), q[f] * k[f], name="dot"))
any_form = MultilinearMap((q, k), ta.define((), M[f, f2] * q[f] * k[f2], name="score"))


@claim(source=TENSOR_ATTENTION, sizes=at("d"), mutation=lambda: existence(dot, any_form))
def the_dot_product_is_its_factor_at_the_pair():
    """The dot product is its factor at q (x) k; the factor of another form is another score."""
    return existence(dot)


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(dot, spanning=1))
def only_one_form_gives_the_dot_product():
    """A form that gives the dot product on families of queries and of keys that span is the factor; both must span."""
    return uniqueness(dot)


@claim(source=TENSOR_ATTENTION, sizes=at("d"), mutation=lambda: (factor(dot)(M), ta.define((), M[f, f2])))
def the_form_of_the_dot_product_is_the_trace():
    """At a tensor that is no pair, the factor of the dot product is the trace, not the sum of all entries."""
    return factor(dot)(M), ta.define((), M[f, f])


@claim(source="a mistake: a distance is no form", expected="refuted")
def distances_are_additive_in_the_query():
    """``-|q - k|^2/2`` is the dot product less two squares, and the squares do not factor."""
    return additive(MultilinearMap((q, k), ta.define((), -(q[f] - k[f]) * (q[f] - k[f]) / 2)), "q")


@claim(source="a mistake: the weight is no form", expected="refuted")
def exponential_scores_are_additive_in_the_query():
    """``exp(q . k)`` turns sums into products; what factors is the score inside, not the weight."""
    return additive(MultilinearMap((q, k), ta.define((), ta.exp((q[f] * k[f]).sum(f)))), "q")


@claim(source="a mistake: softmax is no form", expected="refuted")
def softmax_scores_are_additive_in_the_query():
    """The weights of all keys add up to 1 for every query, so those of two queries add up to 2."""
    keys = ta.tensor("K", T @ F)
    return additive(MultilinearMap((q,), ta.define((s,), ta.softmax((q[f] * keys[s, f]).sum(f), over=s))), "q")


# The bilinear score of queries and keys in different spaces.

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


MIXED = by_form(ta.define((f, g), number("x") * A[f, g] + number("y") * B[f, g]))
LEFT, RIGHT = (factor(by_form(entries)).entries() for entries in (A, B))


@claim(source=PRODUCT, kernel=False, mutation=lambda: (factor(MIXED).entries(), LEFT))
def forms_add_as_their_scores_do():
    """``factor(x f + y g) = x factor(f) + y factor(g)``: scores and forms are one space."""
    return factor(MIXED).entries(), ta.define(LEFT.legs, number("x") * LEFT.term + number("y") * RIGHT[LEFT.legs])


@claim(source="a mistake: a form is no pair", expected="refuted")
def every_form_is_a_product_of_two_linear_forms():
    """Minors of size two vanish for ``u (x) v`` only: a form is a sum of up to min(d, e) pure tensors."""
    return ta.define((f, g, f2, g2), B[f, g] * B[f2, g2]), ta.define((f, g, f2, g2), B[f, g2] * B[f2, g])


@claim(source="a mistake: a form need not be symmetric", expected="refuted")
def queries_and_keys_may_be_exchanged():
    """``score(q, k) = score(k, q)`` holds for symmetric forms."""
    return any_form.value, any_form(k, q)


# Heads: a form on a direct sum, or a linear map into the space of heads.

W = DirectSum((F, G))
w, w2 = W.indices("w w2")
qW, kW = ta.tensors("q k", W)
first, second = Injected(f, 0, W), Injected(g, 1, W)


def heads(weight: Any = 1) -> MultilinearMap:
    """Return the sum of the dot products of two heads, the second with a factor."""
    return MultilinearMap((qW, kW), ta.define((), qW[first] * kW[first] + weight * qW[second] * kW[second]))


@claim(source=HEADS, sizes=at("d e"), mutation=lambda: existence(heads(), heads(number("x"))))
def the_sum_of_two_heads_is_one_form_on_the_direct_sum():
    """Two heads of any sizes are one score on F + G, which factors through (F + G) @ (F + G)."""
    return existence(heads(number("y")))


def form_of_heads(*pairs: tuple[int, int]) -> Statement:
    """State that a form which agrees with two heads on pairs of heads is their factor."""
    queries, keys = ([family(ta.tensor(f"{name}{m}", W.summands[m])) for m in (0, 1)] for name in "qk")
    form, given = ta.tensor("form", W @ W), [spans for *_, spans in (*queries, *keys)]
    for m, n in pairs:
        (Qs, x, _), (Ks, y, _), i, j = queries[m], keys[n], (f, g)[m], (f2, g2)[n]
        value = form[Injected(i, m, W), Injected(j, n, W)] * Qs[x, i] * Ks[y, j]
        given.append((ta.define((x, y), value), ta.define((x, y), Qs[x, i] * Ks[y, i] if m == n else 0)))
    return ta.define((w, w2), form[w, w2]), ta.define((w, w2), factor(heads()).entries()[w, w2]), given


@claim(source=PRODUCT, kernel=False, mutation=lambda: form_of_heads((0, 0), (1, 1)))
def only_one_form_gives_the_sum_of_two_heads():
    """A form that gives the sum of the heads on families that span each head, across heads too, is the factor."""
    return form_of_heads((0, 0), (0, 1), (1, 0), (1, 1))


def block(other: Index, position: int) -> ta.Definition:
    """Return a block of the form of two heads, at rows of the first head."""
    return ta.define((f, other), factor(heads()).entries()[first, Injected(other, position, W)])


@claim(source=HEADS, kernel=False, mutation=lambda: (block(f2, 0), ta.define((f, f2), 0)))
def the_form_of_two_heads_is_block_diagonal():
    """Between the heads the form vanishes; within a head it is the metric, which does not."""
    return block(g, 1), ta.define((f, g), 0)


qH, kH = ta.tensors("q k", H @ F)
total = LinearMap((ta.tensor("v", H),), ta.define((), ta.tensor("v", H)[a], name="total"))
SCALES = ta.tensor("x", H)[a]


def each(weight: Any = 1) -> MultilinearMap:
    """Return the scores of all heads, with a factor."""
    return MultilinearMap((qH, kH), ta.define((a,), weight * qH[a, f] * kH[a, f], name="each"))


def summed(weight: Any = 1) -> ta.Definition:
    """Return the form of the sum of the scores of all heads."""
    return (factor(each(weight)) >> total).entries()


@claim(source=HEADS, sizes=at("h d"), mutation=lambda: existence(each(), each(SCALES)))
def the_scores_of_all_heads_are_one_linear_map():
    """h heads are one bilinear map into the space of heads, with one factor (H @ F) @ (H @ F) -> H."""
    return existence(each())


@claim(source=HEADS, kernel=False, mutation=lambda: (summed(), summed(SCALES)))
def the_scores_of_the_heads_sum_to_the_dot_product():
    """The factor of all heads, followed by the sum over the heads, is the metric of H @ F."""
    return summed(), factor(MultilinearMap((qH, kH), ta.define((), qH[a, f] * kH[a, f]))).entries()


@claim(source="a mistake: one head may mix all features", expected="refuted")
def every_form_on_a_direct_sum_is_block_diagonal():
    """A single head over all features has entries between F and G."""
    single = MultilinearMap((qW, kW), ta.define((), ta.tensor("M", W @ W)[w, w2] * qW[w] * kW[w2]))
    return ta.define((f, g), factor(single).entries()[first, second]), ta.define((f, g), 0)


# Rotary positions, on row vectors: the query at t is q P_t with P_t = R[t] R[t-1] .. R[1], a rotation for each step.

R, P, S, C = *ta.tensors("R P S", (T, F, F)), ta.tensor("C", F @ F)
P1, P2, E = (ta.tensor(name, F @ F, isometry=True) for name in ("P1", "P2", "E"))
D = ta.decay(R)
PAST = ta.define((t, s, f, f3), ta.le[s, t] * ta.delta[f, f3])
PRODUCTS = ta.define((t, f, f3), P[t, f, f3]), ta.define((t, f, f3), D[t, "-", f, f3])
ORTHOGONAL = ta.define((t, f, f3), P[t, f, f2] * P[t, f3, f2]), ta.define((t, f, f3), ta.delta[f, f3])
WINDOWS = ta.define((t, s, f, f3), D[t, s, f, f2] * D[t, s, f3, f2]), PAST
REACHED = ta.define((t, s, f, f3), ta.le[s, t] * P[t, f, f3])
GRAM = ta.define((t, s, f, f3), ta.le[s, t] * P[t, f, f2] * P[t, f3, f2])
SHIFT = [
    (ta.define((t, f, f3), S[t, f, f3]), ta.define((t, f, f3), P[t, f, f2] * C[f2, f3])),
    (ta.define((f, f3), C[f, f2] * C[f3, f2]), ta.define((f, f3), ta.delta[f, f3])),
]


def rotary(one: ta.Tensor, two: ta.Tensor) -> MultilinearMap:
    """Return the scores ``(q P_t) . (k P_s)`` for s <= t."""
    value = ta.le[s, t] * q[f] * one[t, f, f2] * k[f3] * two[s, f3, f2]
    return MultilinearMap((q, k), ta.define((t, s), value, name="rotary"))


relative = MultilinearMap((q, k), ta.define((t, s), q[f] * D[t, s, f, f2] * k[f2], name="relative"))
at_two_times = MultilinearMap((q, k), ta.define((), q[f] * P1[f, f2] * k[f3] * P2[f3, f2], name="rotary"))


@claim(source=ROPE, sizes=at("d n"), mutation=lambda: existence(rotary(P, P), rotary(P, S)))
def a_rotary_score_is_its_factor_at_the_pair():
    """For every two times, the rotary score is one form on queries and keys that are not rotated."""
    return existence(rotary(P, P))


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(at_two_times, spanning=1))
def only_one_form_gives_a_rotary_score():
    """A form that gives the score under two rotations, on families of queries and keys that span, is the factor."""
    return uniqueness(at_two_times)


@claim(source=ROPE, sizes=at("d n"), given=[PRODUCTS], mutation=lambda: (rotary(P, P).value, relative.value))
def a_rotary_score_depends_on_the_decay_alone():
    """If the products P_s are orthogonal, the form for s <= t is ``decay(R)[t,s]``; else ``P_s P_s^T`` remains."""
    return factor(rotary(P, P)).entries(), factor(relative).entries(), [ORTHOGONAL]


@claim(source=ROPE, sizes=at("d n"), given=SHIFT, mutation=lambda: (rotary(S, P).value, rotary(P, P).value))
def a_common_shift_leaves_the_rotary_form():
    """With ``P_(t+c) = P_t P_c`` and P_c orthogonal, a shift of both positions by c changes nothing."""
    return factor(rotary(S, S)).entries(), factor(rotary(P, P)).entries()


@claim(source="definition", sizes=at("d n"), given=[PRODUCTS], mutation=lambda: (REACHED, WINDOWS[0]))
def a_product_of_rotations_is_a_later_one_times_an_earlier_one():
    """``P_t = decay(R)[t,s] P_s`` for s <= t, the latest on the left, for all matrices."""
    return REACHED, ta.define((t, s, f, f3), D[t, s, f, f2] * P[s, f2, f3])


@claim(source="textbook", sizes=at("d n"), given=[PRODUCTS], mutation=lambda: (GRAM, PAST))
def orthogonal_windows_extend_orthogonal_products():
    """If P_s and ``decay(R)[t,s]`` have orthonormal rows, so has P_t: the step of an induction over the tokens."""
    return GRAM, PAST, [WINDOWS, ORTHOGONAL]


@claim(source="a mistake: columns instead of rows", expected="refuted")
def a_rotary_score_of_columns_depends_on_the_later_rotations_alone():
    """``(E P q) . (P k)`` is ``q P^T E^T P k``, in which P remains unless they commute; ``(q E P) . (k P) = q E k``."""
    later = ta.define((f,), E[f, f2] * P1[f2, f3] * q[f3])
    return ta.define((), later[f] * P1[f, f2] * k[f2]), ta.define((), E[f, f2] * q[f2] * k[f])


# Linear biases: a bilinear score and a constant, which is one linear form on F @ F + 1.

distance = ta.define((t, s), ta.lt[s, r] * ta.le[r, t], name="distance")  # t - s, if s < t
bias = ta.define((t, s), -number("x") * distance[t, s], name="bias")
alibi = MultilinearMap((q, k), ta.define((t, s), q[f] * k[f] - number("x") * distance[t, s], name="alibi"))
bilinear_part = MultilinearMap((q, k), ta.define((t, s), alibi.value[t, s] - bias[t, s], name="part"))


@claim(source=ALIBI, sizes=at("d n"), mutation=lambda: (alibi.value, existence(bilinear_part)[1]))
def linear_biases_are_added_after_the_factorisation():
    """ALiBi's score is the factor of its bilinear part at q (x) k, and the bias."""
    return alibi.value, ta.define((t, s), existence(bilinear_part)[1][t, s] + bias[t, s])


PAIR = DirectSum((F @ F, ta.Unit))
p, o, both = (F @ F).index("p"), ta.Unit.index("o"), PAIR.index("i")
on_pairs, on_one = Injected(p, 0, PAIR), Injected(o, 1, PAIR)


def one_form(constant: int) -> ta.Definition:
    """Return the linear form on F @ F + 1 with the metric and the bias as its entries, at (q (x) k, constant)."""
    v = ta.tensor("v", PAIR)
    value = v[on_pairs] * ta.delta[p, (f, f)] + v[on_one] * bias[t, s]
    at_pair = ta.delta[both, on_pairs] * ta.delta[p, (f, f2)] * q[f] * k[f2]
    form = tensor_product(PAIR).factor(LinearMap((v,), ta.define((t, s), value, name="alibi")))
    return form(ta.define((both,), at_pair + constant * ta.delta[both, on_one]))


@claim(source=ALIBI, sizes=at("d n"), mutation=lambda: (alibi.value, one_form(0)))
def linear_biases_are_one_form_on_pairs_and_one():
    """ALiBi's score is a linear form on F @ F + 1 at (q (x) k, 1); at (q (x) k, 0) the bias is lost."""
    return alibi.value, one_form(1)


def form_of_alibi(zero: bool) -> Statement:
    """State that a form and a constant which give a biased dot product are the metric and the bias."""
    (Qs, x, spans), (Ks, y, spans2), form = family(q), family(k), ta.tensor("form", F @ F)
    left = ta.define((x, y), form[f, f2] * Qs[x, f] * Ks[y, f2] + number("c"))
    agrees = left, ta.define((x, y), Qs[x, f] * Ks[y, f] + number("b"))
    at_zero = [(ta.define((y,), number("c")), ta.define((y,), number("b")))] if zero else []
    return ta.define((f, f2), form[f, f2]), ta.define((f, f2), ta.delta[f, f2]), [spans, spans2, agrees, *at_zero]


@claim(source=PRODUCT, kernel=False, mutation=lambda: form_of_alibi(zero=False))
def only_one_form_on_pairs_and_one_gives_a_biased_score():
    """A form on F @ F + 1 that gives a biased dot product, for the query 0 too, is the metric on F @ F."""
    return form_of_alibi(zero=True)


def mixture(*given: Equation) -> Statement:
    """State that ALiBi's score at a mixture of two queries is the mixture of the scores."""
    v, z = ta.tensors("v w", F)
    mixed = ta.define((f,), number("y1") * v[f] + number("y2") * z[f])
    apart = number("y1") * alibi(v, k)[t, s] + number("y2") * alibi(z, k)[t, s]
    return alibi(mixed, k), ta.define((t, s), apart), list(given)


@claim(source=ALIBI, kernel=False, mutation=mixture)
def biased_scores_are_affine_in_the_query():
    """ALiBi's score is linear on mixtures of queries, whose weights sum to one."""
    return mixture((ta.define((), number("y1") + number("y2")), ta.define((), 1)))


@claim(source="a mistake: a bias is no form on pairs", expected="refuted")
def biased_scores_are_additive_in_the_query():
    """ALiBi's score of a sum of queries has the bias once, and the sum of the scores has it twice."""
    return additive(alibi, "q")


# k-linear scores, and the dot product as one of them: Tensor Attention of the third order.

extra, X = ta.tensor("l", L), ta.tensor("X", (F, G, L))
k1, k2, k3 = ta.tensors("k1 k2 k3", F)
fourth = MultilinearMap((q, k1, k2, k3), ta.define((), q[f] * k1[f] * k2[f] * k3[f], name="fourth"))


def third(weight: Any = 1) -> MultilinearMap:
    """Return the score of three arguments with generic entries, and a factor."""
    value = weight * X[f, g, l] * q[f] * key[g] * extra[l]
    return MultilinearMap((q, key, extra), ta.define((), value, name="third"))


@claim(source=DTN, sizes=at("d e l"), mutation=lambda: existence(third(), third(number("x"))))
def a_third_order_score_is_its_factor_at_the_triple():
    """A score of a query and two arguments in spaces of their own is one form on F @ G @ L."""
    return existence(third())


@claim(source=PRODUCT, kernel=False, mutation=lambda: uniqueness(third(), spanning=2))
def only_one_form_gives_a_third_order_score():
    """A form that gives the score on three families that span is the factor; all three must span."""
    return uniqueness(third())


@claim(source=DTN, sizes=at("d"), mutation=lambda: (fourth.value, existence(fourth)[1] + existence(dot)[1]))
def a_fourth_order_score_is_its_factor_at_the_product():
    """A query and three keys, multiplied entry by entry and summed: one form on the fourfold product."""
    return existence(fourth)


def in_two_steps() -> ta.Definition:
    """Return the form of the third-order score, factored in query and key, and then in the pair and the rest."""
    inner = factor(MultilinearMap((q, key), third().value))
    return factor(MultilinearMap((*inner.arguments, extra), inner.value)).entries()


@claim(source=PRODUCT, kernel=False, mutation=lambda: (in_two_steps(), factor(third(number("x"))).entries()))
def factoring_twice_is_factoring_once():
    """Factoring query and key, and then the pair and the third argument, gives the form on the triple product."""
    return in_two_steps(), factor(third()).entries()


U, V = ta.tensors("u v", L)
UNIT = ta.define((), U[l] * V[l]), ta.define((), 1)
specialise = LinearMap((B,), ta.define((f, g, l), B[f, g] * U[l], name="specialise"))  # B -> B (x) u
restrict = LinearMap((X,), ta.define((f, g), X[f, g, l] * V[l], name="restrict"))  # v in the third place
ITSELF = ta.define((f, g, l), X[f, g, l])


BACK = (restrict >> specialise).value


@claim(source=TENSOR_ATTENTION, sizes=at("d e l"), given=[UNIT], mutation=lambda: (BACK, ITSELF))
def bilinear_scores_are_third_order_scores():
    """Specialising a form by u and restricting it to v, with u . v = 1, gives it back; the other way it is lost."""
    return (specialise >> restrict).value, ta.define((f, g), B[f, g])


Qt, Kt, VALUES = *ta.tensors("Q K", T @ F), ta.tensor("V", T @ G)
ATTENTION = ta.define((t, g), ta.softmax((Qt[t, f] * Kt[s, f]).sum(f), over=s) * VALUES[s, g])


def tensor_attention(thirds: Any) -> ta.Definition:
    """Return attention over pairs of a key and a third argument, with the form metric (x) u."""
    score = ta.define((t, s, u), ta.delta[f, f2] * U[l] * Qt[t, f] * Kt[s, f2] * thirds[u, l])
    weight = ta.exp(score[t, s, u])
    return ta.define((t, g), weight * VALUES[s, g] / ta.define((t,), weight)[t])


MANY = tensor_attention(ta.tensor("Z", T @ L))


@claim(source=TENSOR_ATTENTION, given=[UNIT], sizes=at("n d e l"), mutation=lambda: (MANY, ATTENTION))
def dot_product_attention_is_tensor_attention_at_a_fixed_third_argument():
    """Third-order Tensor Attention with the form metric (x) u and all third arguments v is dot-product attention."""
    return tensor_attention(ta.define((u, l), V[l])), ATTENTION


@claim(source="a mistake: the converse", expected="refuted")
def a_third_order_score_of_one_key_is_additive_in_the_key():
    """With the key in both places the third-order score is quadratic in it: it is no bilinear score."""
    value = ta.define((), ta.tensor("X", (F, F, F))[f, f2, f3] * q[f] * k[f2] * k[f3])
    return additive(MultilinearMap((q, k), value), "k")


@claim(source="a mistake: the converse", expected="refuted", given=[UNIT])
def every_third_order_score_is_a_bilinear_score():
    """Restricting a form to v and specialising it by u gives ``B (x) u``, which is the form only if it was one."""
    return BACK, ITSELF
