"""The claims of the Deep Tensor Network (arXiv 2311.11091) and of the attention operators around it.

T are the tokens in time and N the tokens without an order; F holds the features of queries and keys, E
those of values, M those of the model; H the heads.  A claim expected to be refuted is a mistake that is
easily made: `tensoralg verify` shows a small counterexample to it.
"""

from __future__ import annotations

from typing import Any

import sympy

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.plan import cost
from tensoralg.spaces import Index, Injected
from tensoralg.universal import MultilinearMap, tensor_product

DTN = "arXiv 2311.11091"
TRANSFORMER = "arXiv 1706.03762, sec. 3.2"

n, d, e, m, h = ta.dims("n d e m h")
T, N = ta.Space("T", n, ordered=True), ta.Space("N", n)
F, E, M, H = ta.Space("F", d), ta.Space("E", e), ta.Space("M", m), ta.Space("H", h)
t, s, u = T.indices("t s u")
x, y = N.indices("x y")
(f, g), (c,) = F.indices("f g"), E.indices("c")
(p, r), (a, b) = M.indices("p r"), H.indices("a b")

Q, K, L = ta.tensors("Q K L", T @ F)
V, W = ta.tensors("V W", T @ E)
U = ta.tensor("U", T @ F)  # values with as many features as the keys
SIZES = {"n": 32, "d": 16, "e": 8}


def scores(queries: Any = Q, keys: Any = K) -> ta.Definition:
    """Return the dot products of queries and keys."""
    return ta.define((t, s), queries[t, f] * keys[s, f], name="A")


def softmax_attention(score: Any, values: Any = V) -> ta.Definition:
    """Return the values averaged with the softmax of the scores."""
    return ta.define((t, c), ta.softmax(score[t, s], over=s) * values[s, c], name="O")


A = scores()


# Bilinear scores are linear forms on the tensor product.

query, key = ta.tensors("q k", F)
B = ta.tensor("B", F @ F)
bilinear = MultilinearMap((query, key), ta.define((), B[f, g] * query[f] * key[g], name="score"))
dot = MultilinearMap((query, key), ta.define((), query[f] * key[f], name="dot"))
pairs = tensor_product(F, F)


@claim(source=f"{DTN} (universal property of the tensor product)", sizes={"d": 64})
def bilinear_scores_factor_through_the_tensor_product():
    """Every bilinear score of a query and a key is one linear form applied to their tensor product."""
    return bilinear.value, (pairs.arrow >> pairs.factor(bilinear))(query, key)


@claim(source="N. Bourbaki, Algebra I, III.4", kernel=False)
def factors_through_the_tensor_product_exist():
    """A bilinear map into any space is its factor after the universal arrow."""
    return tensor_product(F, E).universal_property().existence[0]


@claim(source="N. Bourbaki, Algebra I, III.4", kernel=False)
def factors_through_the_tensor_product_are_unique():
    """Every linear map that is a bilinear map after the universal arrow is the factor of that map."""
    return tensor_product(F, E).universal_property().uniqueness


@claim(source=f"{DTN} (universal property of the tensor product)", kernel=False)
def the_dot_product_is_the_form_of_the_metric():
    """The linear form through which the dot product factors has the entries of the Euclidean metric."""
    return ta.define((f, g), pairs.factor(dot).entries()[f, g]), ta.define((f, g), ta.delta[f, g])


@claim(source=f"{DTN} (dot-product attention as a special case)", sizes=SIZES)
def dot_product_attention_is_tensor_attention_with_the_metric():
    """Attention by a linear form on pairs of queries and keys is dot-product attention for the metric's form."""
    form = pairs.factor(dot).entries()
    by_form = ta.define((t, s), form[f, g] * Q[t, f] * K[s, g])
    return softmax_attention(by_form), softmax_attention(A)


# Unnormalised attention, and what reassociation saves.


@claim(source="arXiv 2006.16236, sec. 3.2", sizes={"n": 64, "d": 16})
def attention_reassociates():
    """``(Q K^T) U = Q (K^T U)``: attention without softmax never needs the n x n matrix."""
    summary = ta.define((f, g), K[s, f] * U[s, g])
    return ta.define((t, g), A[t, s] * U[s, g]), ta.define((t, g), Q[t, f] * summary[f, g])


def scores_first() -> ta.Definition:
    """Return attention as ``(Q K^T) U``."""
    return attention_reassociates.function()[0]  # type: ignore[no-any-return]


def summary_first() -> ta.Definition:
    """Return attention as ``Q (K^T U)``."""
    return attention_reassociates.function()[1]  # type: ignore[no-any-return]


@claim(source=f"{DTN} (complexity)", mutation=lambda: cost(scores_first(), order="written").flops == 4 * n * d**2)
def scores_first_cost_is_quadratic_in_tokens():
    """``(Q K^T) U`` in the order written takes 4 n^2 d FLOPs."""
    return cost(scores_first(), order="written").flops == 4 * n**2 * d


@claim(source=f"{DTN} (complexity)", mutation=lambda: cost(summary_first(), order="written").flops == 4 * n**2 * d)
def summary_first_cost_is_linear_in_tokens():
    """``Q (K^T U)`` in the order written takes 4 n d^2 FLOPs."""
    return cost(summary_first(), order="written").flops == 4 * n * d**2


@claim(source=f"{DTN} (complexity)")
def the_border_between_the_orders_is_at_n_equal_d():
    """The best order takes the smaller of 4 n^2 d and 4 n d^2 FLOPs; they are equal where n = d."""
    return cost(scores_first()).flops == sympy.Min(4 * n**2 * d, 4 * n * d**2)


# Higher orders.


@claim(source=f"{DTN} (higher-order tensor attention)", sizes=SIZES)
def second_order_attention_reassociates():
    """``(Q K^T) (Q K^T)^T V = Q (K^T K) (Q^T V)``: two d x d and d x e summaries replace two n x n matrices."""
    keys = ta.define((f, g), K[s, f] * K[s, g])
    values = ta.define((g, c), Q[u, g] * V[u, c])
    return (
        ta.define((t, c), A[t, s] * A[u, s] * V[u, c]),
        ta.define((t, c), Q[t, f] * keys[f, g] * values[g, c]),
    )


@claim(source=f"{DTN} (higher-order tensor attention)", sizes={"n": 24, "d": 8, "e": 8})
def third_order_attention_reassociates():
    """``A A^T A V = Q (K^T K) (Q^T Q) (K^T V)`` for ``A = Q K^T``: linear in the number of tokens."""
    u2, k2 = T.index("u2"), F.index("k2")
    keys, queries = ta.define((f, g), K[s, f] * K[s, g]), ta.define((f, g), Q[s, f] * Q[s, g])
    values = ta.define((f, c), K[s, f] * V[s, c])
    return (
        ta.define((t, c), A[t, s] * A[u, s] * A[u, u2] * V[u2, c]),
        ta.define((t, c), Q[t, f] * keys[f, g] * queries[g, k2] * values[k2, c]),
    )


@claim(source=f"{DTN} (tensor interaction)", sizes={"n": 32, "m": 16})
def tensor_interaction_mixes_channels_or_tokens():
    """``X (Y^T X) = (X Y^T) X``: mixing channels by an m x m summary is mixing tokens by an n x n matrix."""
    X, Y = ta.tensors("X Y", T @ M)
    channels = ta.define((p, r), Y[s, p] * X[s, r])
    tokens = ta.define((t, s), X[t, p] * Y[s, p])
    return ta.define((t, r), X[t, p] * channels[p, r]), ta.define((t, r), tokens[t, s] * X[s, r])


triple = tensor_product(F, F, F)
third = ta.tensor("l", F)
trilinear = MultilinearMap((query, key, third), ta.define((), query[f] * key[f] * third[f], name="score"))


@claim(source="arXiv 1909.00668 (2-simplicial attention)", sizes={"d": 64})
def trilinear_scores_factor_through_the_triple_product():
    """A score of a query and two keys, linear in each, is one linear form on the triple tensor product."""
    return trilinear.value, (triple.arrow >> triple.factor(trilinear))(query, key, third)


def trilinear_attention() -> ta.Definition:
    """Return attention to pairs of tokens, all scores first."""
    score = ta.define((t, s, u), Q[t, f] * K[s, f] * L[u, f], name="A3")
    return ta.define((t, c), score[t, s, u] * V[s, c] * W[u, c], name="O")


@claim(source="arXiv 1909.00668 (2-simplicial attention)", sizes={"n": 16, "d": 8, "e": 8})
def trilinear_attention_needs_no_scores():
    """Attention to pairs of tokens by a trilinear score contracts through two d x e summaries."""
    left, right = ta.define((f, c), K[s, f] * V[s, c]), ta.define((f, c), L[u, f] * W[u, c])
    return trilinear_attention(), ta.define((t, c), Q[t, f] * left[f, c] * right[f, c])


@claim(
    source="arXiv 1909.00668 (2-simplicial attention)",
    mutation=lambda: cost(trilinear_attention(), order="written").largest <= n * d * e,
)
def trilinear_attention_needs_no_cubic_intermediate():
    """The best order holds at most n d e numbers at a time, while the order written holds n^3 scores."""
    return cost(trilinear_attention()).largest <= n * d * e


# Heads.

HF, HE = H @ F, H @ E
QH, KH = ta.tensors("Q K", T @ HF)
VH, ZH = ta.tensors("V Z", T @ HE)
OH = ta.tensor("WO", (HE, M))
w, v = HF.index("w"), HE.index("v")


@claim(source=TRANSFORMER, sizes={"n": 16, "h": 4, "d": 8})
def heads_are_one_product_index():
    """The dot product over the features of all heads is the sum of the dot products of the heads."""
    return ta.define((t, s), QH[t, w] * KH[s, w]), ta.define((t, s), QH[t, (a, f)] * KH[s, (a, f)])


@claim(source=TRANSFORMER, sizes={"n": 16, "h": 4, "d": 8, "e": 8})
def multi_head_attention_is_block_diagonal():
    """h heads are one operator on H @ E whose attention weights vanish between different heads."""
    across = ta.define((t, s, a, b), QH[t, (a, f)] * KH[s, (b, f)])
    block = ta.delta[a, b] * ta.softmax(across[t, s, a, b], over=s)
    within = ta.softmax(across[t, s, a, a], over=s)
    return ta.define((t, a, c), block * VH[s, (b, c)]), ta.define((t, a, c), within * VH[s, (a, c)])


@claim(source=TRANSFORMER, sizes={"n": 16, "h": 4, "e": 8, "m": 16})
def concatenated_heads_project_one_by_one():
    """Concatenating the heads and projecting them is the sum of the projections of the heads."""
    return ta.define((t, p), ZH[t, v] * OH[v, p]), ta.define((t, p), ZH[t, (a, c)] * OH[(a, c), p])


F1, F2 = ta.Space("F1", "d1"), ta.Space("F2", "d2")
E1, E2 = ta.Space("E1", "e1"), ta.Space("E2", "e2")
(f1,), (f2,), (c1,), (c2,) = F1.indices("f1"), F2.indices("f2"), E1.indices("c1"), E2.indices("c2")
Q2, K2 = ta.tensors("Q K", T @ (F1 + F2))
V2 = ta.tensor("V", T @ (E1 + E2))
O2 = ta.tensor("WO", (E1 + E2, M))
TWO_HEADS = {"n": 16, "d1": 4, "d2": 6, "e1": 5, "e2": 3, "m": 8}


def head(position: int, feature: Index, channel: Index) -> ta.Definition:
    """Return unnormalised attention of one of two heads, projected into the model."""
    at, out = Injected(feature, position, F1 + F2), Injected(channel, position, E1 + E2)
    return ta.define((t, p), Q2[t, at] * K2[s, at] * V2[s, out] * O2[out, p])


def two_heads() -> ta.Definition:
    """Return the sum of two heads of different sizes."""
    return ta.define((t, p), head(0, f1, c1)[t, p] + head(1, f2, c2)[t, p])


def same_head() -> ta.Definition:
    """Return the 0/1 matrix that joins the features of a head to the values of the same head."""
    feature, value = (F1 + F2).index("w"), (E1 + E2).index("v")
    first = ta.delta[feature, Injected(f1, 0, F1 + F2)] * ta.delta[value, Injected(c1, 0, E1 + E2)]
    second = ta.delta[feature, Injected(f2, 1, F1 + F2)] * ta.delta[value, Injected(c2, 1, E1 + E2)]
    return ta.define((feature, value), first + second)


def one_operator(block: ta.Definition | None) -> ta.Definition:
    """Return attention over the direct sums of features and of values, with a block pattern or without."""
    feature, value = (F1 + F2).index("w"), (E1 + E2).index("v")
    pattern = block[feature, value] if block else 1
    return ta.define((t, p), Q2[t, feature] * K2[s, feature] * pattern * V2[s, value] * O2[value, p])


@claim(source=TRANSFORMER, sizes=TWO_HEADS, mutation=lambda: (one_operator(None), two_heads()))
def two_heads_are_a_direct_sum():
    """Two heads, of any sizes, are one operator on the direct sums that is block diagonal."""
    return one_operator(same_head()), two_heads()


G, R = ta.Space("G", "g"), ta.Space("R", "r")
(a1, a2), (b1, b2) = G.indices("a1 a2"), R.indices("b1 b2")
every = (G @ R).index("l")


def multi_head(queries: Any, keys: Any, values: Any, heads: Index) -> ta.Definition:
    """Return softmax attention of every head."""
    weight = ta.softmax((queries[t, heads, f] * keys[s, heads, f]).sum(f), over=s)
    return ta.define((t, heads, c), weight * values[s, heads, c], name="MHA")


@claim(source="arXiv 2305.13245, sec. 2.2", sizes={"n": 16, "g": 2, "r": 3, "d": 8, "e": 8})
def grouped_query_attention_is_tied_multi_head_attention():
    """Grouped-query attention is multi-head attention whose heads (group, r) share the group's keys and values."""
    queries = ta.tensor("Q", (T, G @ R, F))
    keys, values = ta.tensor("K", (T, G, F)), ta.tensor("V", (T, G, E))
    tied_keys = ta.define((s, every, f), ta.delta[every, (a2, b2)] * keys[s, a2, f])
    tied_values = ta.define((s, every, c), ta.delta[every, (a2, b2)] * values[s, a2, c])
    weight = ta.softmax((queries[t, (a1, b1), f] * keys[s, a1, f]).sum(f), over=s)
    return (
        ta.define((t, a1, b1, c), multi_head(queries, tied_keys, tied_values, every)[t, (a1, b1), c]),
        ta.define((t, a1, b1, c), weight * values[s, a1, c]),
    )


@claim(source="arXiv 1911.02150, sec. 3", sizes={"n": 16, "h": 4, "d": 8, "e": 8})
def multi_query_attention_is_tied_multi_head_attention():
    """Multi-query attention is multi-head attention whose heads share one set of keys and values."""
    queries = ta.tensor("Q", (T, H, F))
    shared = multi_head(queries, ta.define((s, a, f), K[s, f]), ta.define((s, a, c), V[s, c]), a)
    weight = ta.softmax((queries[t, a, f] * K[s, f]).sum(f), over=s)
    return shared, ta.define((t, a, c), weight * V[s, c])


@claim(source="textbook", sizes={"n": 16, "h": 4, "d": 8, "e": 8})
def heads_of_unnormalised_multi_query_attention_share_one_summary():
    """Without softmax all heads of multi-query attention read one d x e summary of keys and values."""
    queries = ta.tensor("Q", (T, H, F))
    summary = ta.define((f, c), K[s, f] * V[s, c])
    score = ta.define((t, a, s), queries[t, a, f] * K[s, f])
    return ta.define((t, a, c), score[t, a, s] * V[s, c]), ta.define((t, a, c), queries[t, a, f] * summary[f, c])


X = ta.tensor("X", T @ M)
WQ, WK = ta.tensors("WQ WK", M @ F)


def merged(form: ta.Definition) -> ta.Definition:
    """Return the scores of a bilinear form on the model's features."""
    return ta.define((t, s), X[t, p] * form[p, r] * X[s, r])


@claim(
    source="textbook",
    sizes={"n": 16, "m": 16, "d": 4},
    mutation=lambda: (projected_scores(), merged(ta.define((p, r), WK[p, f] * WQ[r, f]))),
)
def query_and_key_projections_merge():
    """``(X W_Q) (X W_K)^T = X (W_Q W_K^T) X^T``: two projections are one bilinear form of rank at most d."""
    return projected_scores(), merged(ta.define((p, r), WQ[p, f] * WK[r, f]))


def projected_scores() -> ta.Definition:
    """Return the scores of projected queries and keys."""
    return scores(ta.define((t, f), X[t, p] * WQ[p, f]), ta.define((t, f), X[t, p] * WK[p, f]))


# Softmax.


@claim(source=TRANSFORMER, sizes=SIZES)
def softmax_attention_is_normalised_exponential_kernel_attention():
    """Softmax attention is attention with the kernel exp(q . k), divided once by its sum over the keys."""
    weighted = ta.define((t, c), ta.exp(A[t, s]) * V[s, c])
    total = ta.define((t,), ta.exp(A[t, s]))
    return softmax_attention(A), ta.define((t, c), weighted[t, c] / total[t])


@claim(source="textbook", sizes=SIZES, mutation=lambda: (shifted(s), softmax_attention(A)))
def softmax_attention_ignores_functions_of_the_query():
    """Adding any function of the query to the scores changes nothing."""
    return shifted(t), softmax_attention(A)


def shifted(token: Index) -> ta.Definition:
    """Return softmax attention with a function of one of the two tokens added to the scores."""
    shift = ta.tensor("z", T)
    return softmax_attention(ta.define((t, s), A[t, s] + shift[token]))


@claim(source="textbook", sizes=SIZES)
def key_biases_cancel():
    """A bias on the keys adds ``q . bias`` to the scores, a function of the query, so softmax ignores it."""
    bias = ta.tensor("bK", F)
    return softmax_attention(scores(Q, ta.define((s, f), K[s, f] + bias[f]))), softmax_attention(A)


@claim(source="textbook", sizes=SIZES)
def softmax_attention_is_linear_in_the_values():
    """Attention to a combination of two sets of values is the combination of the attentions."""
    alpha, beta = (ta.tensor(name, ta.Unit)[()] for name in ("alpha", "beta"))
    mixed = ta.define((s, c), alpha * V[s, c] + beta * W[s, c])
    apart = alpha * softmax_attention(A)[t, c] + beta * softmax_attention(A, W)[t, c]
    return softmax_attention(A, mixed), ta.define((t, c), apart)


P = ta.tensor("P", N @ N, permutation=True)
QN, KN, VN = ta.tensor("Q", N @ F), ta.tensor("K", N @ F), ta.tensor("V", N @ E)


def unordered_attention(queries: Any, keys: Any, values: Any) -> ta.Definition:
    """Return softmax attention over tokens without an order."""
    weight = ta.softmax((queries[x, f] * keys[y, f]).sum(f), over=y)
    return ta.define((x, c), weight * values[y, c], name="O")


def permuted(tensor: Any, leg: Index) -> ta.Definition:
    """Return the tensor with its tokens permuted by P."""
    return ta.define((x, leg), P[x, y] * tensor[y, leg])


@claim(source="textbook", sizes={"n": 12, "d": 8, "e": 8})
def softmax_attention_is_permutation_equivariant():
    """Permuting queries, keys and values permutes the outputs of attention."""
    inside = unordered_attention(permuted(QN, f), permuted(KN, f), permuted(VN, c))
    return inside, permuted(unordered_attention(QN, KN, VN), c)


@claim(source="textbook", sizes={"n": 12, "d": 8, "e": 8})
def softmax_attention_ignores_the_order_of_the_keys():
    """Permuting keys and values together changes nothing."""
    return unordered_attention(QN, permuted(KN, f), permuted(VN, c)), unordered_attention(QN, KN, VN)


# Causal attention, in the text form.

TOKENS = {"t,s": "n ordered", "f": "d", "c": "e"}
CAUSAL = "O[t,c] = le[s,t]*Q[t,f]*K[s,f]*V[s,c]"


def text(statements: str) -> ta.Definition:
    """Return the operator that the statements define."""
    return ta.parse(statements, TOKENS)


@claim(
    source="arXiv 2006.16236, sec. 3.3", sizes=SIZES, mutation=lambda: (text(CAUSAL), text(CAUSAL.replace("le", "lt")))
)
def causal_attention_is_the_query_times_a_prefix_sum():
    """Causal attention without softmax reads one state, the sum of ``k_s v_s`` over the past and the present."""
    return text(CAUSAL), text("S[t,f,c] = le[s,t]*K[s,f]*V[s,c]; O[t,c] = Q[t,f]*S[t,f,c]")


@claim(source="arXiv 2006.16236, sec. 3.3", sizes=SIZES)
def the_prefix_sum_splits_into_the_past_and_the_present():
    """The prefix sum up to t is the strict prefix sum before t and the term at t: this is the update of the state."""
    return text(CAUSAL), text("O[t,c] = Q[t,f]*(sum(s: lt[s,t]*K[s,f]*V[s,c]) + K[t,f]*V[t,c])")


@claim(source="definition", sizes=SIZES)
def a_token_answers_itself_and_its_past():
    """The causal mask is the strict one and the diagonal."""
    return text(CAUSAL), text("A[t,s] = (lt[s,t] + delta[s,t])*sum(f: Q[t,f]*K[s,f]); O[t,c] = A[t,s]*V[s,c]")


# Mistakes.


@claim(source="a mistake: a transpose left out", expected="refuted")
def second_order_is_the_square_of_the_scores():
    """``A A^T V = A A V`` would need symmetric scores."""
    return ta.define((t, c), A[t, s] * A[u, s] * V[u, c]), ta.define((t, c), A[t, s] * A[s, u] * V[u, c])


@claim(source="a mistake: the present left out", expected="refuted")
def the_strict_prefix_sum_is_enough():
    """``lt`` instead of ``le`` forgets the token's own key and value."""
    return text(CAUSAL), text(CAUSAL.replace("le[", "lt["))


@claim(source="a mistake: a transpose left out", expected="refuted")
def projections_merge_in_any_order():
    """``W_K W_Q^T`` is the transpose of the form that the scores need."""
    return projected_scores(), merged(ta.define((p, r), WK[p, f] * WQ[r, f]))


@claim(source="a mistake: heads mixed", expected="refuted")
def heads_attend_with_the_scores_of_all_heads():
    """One attention matrix from all features together is not the attention of the single heads."""
    return one_operator(None), two_heads()


@claim(source="a mistake: masks do not reassociate", expected="refuted")
def causal_attention_reassociates_like_full_attention():
    """``(L . Q K^T) V = Q (K^T V)`` would let every token see the future."""
    return text(CAUSAL), text("S[f,c] = K[s,f]*V[s,c]; O[t,c] = Q[t,f]*S[f,c]")


@claim(source="a mistake: the exponential of a sum", expected="refuted")
def the_exponential_kernel_is_a_dot_product_of_exponentials():
    """``exp(q . k)`` is not ``exp(q) . exp(k)``, so softmax attention does not reassociate this way."""
    return ta.define((t, s), ta.exp(A[t, s])), ta.define((t, s), ta.exp(Q[t, f]) * ta.exp(K[s, f]))


@claim(source="a mistake: queries and keys exchanged", expected="refuted")
def softmax_attention_ignores_functions_of_the_key():
    """Adding a function of the key (a positional bias, a mask) to the scores does change the weights."""
    return shifted(s), softmax_attention(A)


@claim(source="a mistake: a temperature is no shift", expected="refuted")
def softmax_attention_ignores_a_factor_on_the_scores():
    """Doubling the scores sharpens the weights."""
    return softmax_attention(ta.define((t, s), 2 * A[t, s])), softmax_attention(A)


@claim(source="a mistake: the mask moves as well", expected="refuted")
def causal_attention_is_permutation_equivariant():
    """Permuting the tokens under a fixed causal mask is not a permutation of the outputs."""
    order = ta.tensor("P", T @ T, permutation=True)
    queries, keys = (ta.define((t, f), order[t, s] * tensor[s, f]) for tensor in (Q, K))
    values = ta.define((t, c), order[t, s] * V[s, c])

    def causal(left: Any, right: Any, value: Any) -> ta.Definition:
        return ta.define((t, c), ta.le[s, t] * left[t, f] * right[s, f] * value[s, c])

    return causal(queries, keys, values), ta.define((t, c), order[t, u] * causal(Q, K, V)[u, c])


@claim(source="a mistake: complexity", expected="refuted")
def softmax_attention_costs_linear_time():
    """No order of contraction takes softmax attention below n^2: the exponential stands between the products."""
    return cost(softmax_attention(A)).order_in("n") == 1
