"""Claims of attention as it is practised: scales, weights, masks, blocks of keys, kernels, losses, gradients.

In the text form t, s, r are tokens, f, g features of queries and keys, c, o those of values, i, j landmarks; S holds
given scores and w is positive.  Where keys come in blocks, they are a direct sum.  Positions and heads are in
transformers.py, blocks of time in causal_attention.py.  A mutation, or a claim expected to be refuted, is a mistake
that is easily made.
"""

from __future__ import annotations

from typing import Any

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import DirectSum, Index, Injected

SCALED = "arXiv 1706.03762, sec. 3.2.1"
TRANSFORMER = "arXiv 1706.03762, sec. 3.2"
FLASH = "arXiv 2205.14135, sec. 3.1 (tiling)"
BACKWARD = "arXiv 2205.14135, appendix B (backward pass)"
GATED = "arXiv 2312.06635 (gated linear attention, parallel and chunkwise forms)"

TOKENS = {"t,s,r,u": "n", "f,g": "d", "c,o": "e", "a,b": "h", "p": "m", "i,j": "k", "v": "1"}
SIZES = {"n": 12, "d": 6, "e": 5, "h": 3, "m": 4, "k": 4, "a": 5, "b": 6, "c": 4, "l": 3}
DOT = "sum(f: Q[t,f]*K[s,f])"
WEIGHTS = "P[t,s] = softmax(s: S[t,s]);"


def at(names: str) -> dict[str, int]:
    """Return the sizes at which a kernel is run."""
    return {name: SIZES[name] for name in names.split()}


def text(statements: str) -> ta.Definition:
    """Return the operator that the statements define."""
    return ta.parse(statements, TOKENS, {"w": "n positive"})


def attend(scores: str = DOT, values: str = "V[s,c]") -> ta.Definition:
    """Return softmax attention with the given scores and values."""
    return text(f"O[t,c] = softmax(s: {scores})*{values}")


def causal(scores: str = DOT) -> ta.Definition:
    """Return softmax attention to the past and the present."""
    return text(f"W[t,s] = le[s,t]*exp({scores}); O[t,c] = W[t,s]*V[s,c]/sum(r: W[t,r])")


# The scale of the scores.


@claim(source=SCALED, sizes=at("n d e"), mutation=lambda: (attend(f"{DOT}/d"), attend(f"{DOT}/sqrt(d)")))
def queries_may_carry_the_scale():
    """Dividing the queries by sqrt(d) is dividing the scores; dividing queries and keys both is not."""
    return attend("sum(f: Q[t,f]/sqrt(d)*K[s,f])"), attend(f"{DOT}/sqrt(d)")


@claim(source=SCALED, sizes=at("n d e"))
def queries_and_keys_may_share_the_scale():
    """A fourth root of d under the queries and under the keys is a square root of d under the scores."""
    return attend("sum(f: Q[t,f]/sqrt(sqrt(d))*(K[s,f]/sqrt(sqrt(d))))"), attend(f"{DOT}/sqrt(d)")


@claim(source="a mistake: the scale after softmax", expected="refuted")
def the_scale_passes_through_softmax():
    """Scaling the weights is not scaling the scores."""
    return attend(f"{DOT}/sqrt(d)"), text(f"O[t,c] = softmax(s: {DOT})*V[s,c]/sqrt(d)")


@claim(source="arXiv 2010.04245 (query-key normalisation)", sizes=at("n d e"))
def normalised_queries_forget_their_length():
    """A positive factor on a query disappears when the query is divided by its norm."""
    longer = "sum(f: w[t]*Q[t,f]*K[s,f])/sqrt(sum(g: w[t]*Q[t,g]*w[t]*Q[t,g]))"
    return attend(longer), attend(f"{DOT}/sqrt(sum(g: Q[t,g]*Q[t,g]))")


# Weights.


@claim(source=TRANSFORMER, sizes=at("n"), mutation=lambda: (text(f"{WEIGHTS} O[s] = sum(t: P[t,s])"), text("O[s] = 1")))
def weights_sum_to_one_over_the_keys():
    """The weights of a query sum to one over the keys; those of a key do not sum to one over the queries."""
    return text(f"{WEIGHTS} O[t] = sum(s: P[t,s])"), text("O[t] = 1")


@claim(source="textbook", sizes=at("n d e"))
def zero_queries_pool_the_mean():
    """Attention with zero queries gives every key the weight 1/n."""
    return attend("sum(f: (Q[t,f] - Q[t,f])*K[s,f])"), text("O[t,c] = V[s,c]/n")


@claim(source="textbook", kernel=False, mutation=lambda: (text("O[t,c] = V[s,c]/n"), attend()))
def equal_keys_pool_the_mean():
    """Attention to keys that are all alike is the mean of the values, whatever the query."""
    return text("O[t,c] = V[s,c]/n"), attend("sum(f: Q[t,f]*x[f])")


PRODUCT = "W[t,s] = softmax(s: S[t,s])*softmax(s: B[t,s]);"


@claim(source="textbook", sizes=at("n"))
def added_scores_multiply_the_weights():
    """The softmax of a sum of scores is the product of the softmaxes, divided by its sum over the keys."""
    return text(f"{PRODUCT} O[t,s] = W[t,s]/sum(r: W[t,r])"), text("O[t,s] = softmax(s: S[t,s] + B[t,s])")


@claim(source="a mistake: the product is not normalised", expected="refuted")
def the_softmax_of_a_sum_is_the_product_of_the_softmaxes():
    """A product of weights no longer sums to one."""
    return text(f"{PRODUCT} O[t,s] = W[t,s]"), text("O[t,s] = softmax(s: S[t,s] + B[t,s])")


@claim(source="arXiv 2210.09461 (proportional attention to merged tokens)", sizes=at("n d e"))
def logarithms_of_counts_weigh_the_keys():
    """Adding log(w_s) to the scores counts the key s as w_s keys."""
    weighted = f"W[t,s] = w[s]*exp({DOT}); O[t,c] = W[t,s]*V[s,c]/sum(r: W[t,r])"
    return attend(f"{DOT} + log(w[s])"), text(weighted)


@claim(source="textbook", sizes=at("n"))
def log_probabilities_are_scores():
    """The softmax of the logarithms of the weights gives the weights back."""
    return text(f"{WEIGHTS} O[t,s] = softmax(s: log(P[t,s]))"), text(f"{WEIGHTS} O[t,s] = P[t,s]")


@claim(source="textbook", sizes=at("n"))
def the_sigmoid_has_two_forms():
    """``1/(1 + exp(-x)) = exp(x)/(1 + exp(x))``."""
    return text("O[t] = 1/(1 + exp(-x[t]))"), text("O[t] = exp(x[t])/(1 + exp(x[t]))")


@claim(source="arXiv 2409.04431 (sigmoid attention with the bias -log n)", sizes=at("n"))
def the_bias_of_sigmoid_attention_counts_the_keys():
    """A sigmoid of x - log(n) is exp(x)/(n + exp(x)): scores of zero get 1/(n + 1), where softmax gives 1/n."""
    return text("O[t,s] = 1/(1 + exp(log(n) - S[t,s]))"), text("O[t,s] = exp(S[t,s])/(n + exp(S[t,s]))")


# Masks.

MASKED = "W[t,s] = le[s,t]*softmax(s: S[t,s]); O[t,c] = W[t,s]*V[s,c]"


@claim(source=TRANSFORMER, sizes=at("n e"), mutation=lambda: (text(MASKED), causal("S[t,s]")))
def masked_weights_are_normalised_again():
    """Masking the weights after softmax and dividing by what is left is masking before; the division is needed."""
    return text(f"{MASKED}/sum(r: W[t,r])"), causal("S[t,s]")


@claim(source="textbook", sizes=at("n"))
def masked_scores_leave_ones():
    """``exp(mask * score)`` is exp(score) in the past and 1, not 0, in the future."""
    return text("O[t,s] = exp(le[s,t]*S[t,s])"), text("O[t,s] = le[s,t]*exp(S[t,s]) + lt[t,s]")


@claim(source="a mistake: scores of the future set to zero", expected="refuted")
def masked_scores_are_causal_attention():
    """A score of zero is a weight of exp(0) = 1: the mask has to multiply the exponential."""
    return attend("le[s,t]*S[t,s]"), causal("S[t,s]")


def keys_changed(where: str) -> ta.Definition:
    """Return causal attention with other keys where a mask of query and key is one."""
    return causal(f"sum(f: Q[t,f]*(K[s,f] + {where}*L[s,f]))")


@claim(source=TRANSFORMER, sizes=at("n d e"), mutation=lambda: (keys_changed("le[t,s]"), causal()))
def causal_attention_does_not_see_the_future():
    """Changing all keys after a token changes nothing at the token; changing its own key does."""
    return keys_changed("lt[t,s]"), causal()


# Values, gates, permutations.


@claim(source="textbook", sizes=at("n d e"))
def the_value_projection_slides_through_softmax():
    """``softmax(S) (V W) = (softmax(S) V) W``: values may be projected after they are averaged."""
    return attend(DOT, "V[s,o]*W[o,c]"), text(f"A[t,o] = softmax(s: {DOT})*V[s,o]; O[t,c] = A[t,o]*W[o,c]")


LINEAR_BIASED = f"A[t,c] = {DOT}*V[s,c]; O[t,c] = A[t,c] + x[c]"


@claim(
    source="textbook",
    sizes=at("n d e"),
    mutation=lambda: (text(f"O[t,c] = {DOT}*(V[s,c] + x[c])"), text(LINEAR_BIASED)),
)
def value_biases_pass_through_softmax():
    """The weights sum to one, so a bias of the values is a bias of the output; without softmax it is not."""
    return attend(DOT, "(V[s,c] + x[c])"), text(LINEAR_BIASED.replace(DOT, f"softmax(s: {DOT})"))


def gated() -> ta.Definition:
    """Return softmax attention with an elementwise gate on the output."""
    return text(f"A[t,c] = softmax(s: {DOT})*V[s,c]; O[t,c] = G[t,c]*A[t,c]")


@claim(
    source="arXiv 2202.10447 (gated attention unit)",
    sizes=at("n d e"),
    mutation=lambda: (gated(), attend(DOT, "G[s,c]*V[s,c]")),
)
def gates_of_the_output_are_gates_of_the_query():
    """A gate on the output at t acts on the values that t averages; gating the values by their own tokens does not."""
    return gated(), attend(DOT, "G[t,c]*V[s,c]")


N, E, F = ta.Space("N", "n"), ta.Space("E", "e"), ta.Space("F", "d")
(x, y), (c,), (f, g) = N.indices("x y"), E.indices("c"), F.indices("f g")
QUERIES, KEYS, VALUES = ta.tensor("Q", N @ F), ta.tensor("K", N @ F), ta.tensor("V", N @ E)
P = ta.tensor("P", N @ N, permutation=True)


def permuted(tensor: Any, leg: Index) -> ta.Definition:
    """Return the tensor with its tokens permuted."""
    return ta.define((x, leg), P[x, y] * tensor[y, leg])


def to_all(queries: Any) -> ta.Definition:
    """Return attention of queries to all keys."""
    weight = ta.softmax((queries[x, f] * KEYS[y, f]).sum(f), over=y)
    return ta.define((x, c), weight * VALUES[y, c])


@claim(source="textbook", sizes=at("n d e"), mutation=lambda: (to_all(permuted(QUERIES, f)), to_all(QUERIES)))
def permuted_queries_permute_the_output():
    """Queries are answered one by one, so permuting them, and not the keys, permutes the outputs."""
    return to_all(permuted(QUERIES, f)), permuted(to_all(QUERIES), c)


# Keys in blocks.

A, B, C = ta.Space("A", "a"), ta.Space("B", "b"), ta.Space("C", "c")
TWO, THREE = DirectSum((A, B)), DirectSum((A, B, C))
m = ta.tensor("m", N)


def whole(keys: DirectSum) -> ta.Definition:
    """Return softmax attention to all keys."""
    key = keys.index("s")
    weight = ta.softmax(ta.tensor("S", (N, keys))[x, key], over=key)
    return ta.define((x, c), weight * ta.tensor("V", (keys, E))[key, c])


def block(keys: DirectSum, position: int, shift: Any = 0) -> tuple[Any, Any]:
    """Return numerator and denominator of softmax attention to one block of keys, its scores shifted."""
    key = Injected(keys.summands[position].index("s"), position, keys)
    weight = ta.exp(ta.tensor("S", (N, keys))[x, key] - shift)
    numerator = ta.define((x, c), weight * ta.tensor("V", (keys, E))[key, c])
    return numerator[x, c], ta.define((x,), weight)[x]


def online(keys: DirectSum, *, rescaled: bool = True) -> ta.Definition:
    """Return the quotient of the blocks' numerators and denominators, from their own shifts to a common one."""
    top = bottom = 0
    for position in range(len(keys.summands)):
        own = ta.tensor(f"m{position}", N)[x]
        numerator, denominator = block(keys, position, own)
        factor = ta.exp(own - m[x]) if rescaled else 1
        top, bottom = top + factor * numerator, bottom + factor * denominator
    return ta.define((x, c), top / bottom)


@claim(source=FLASH, sizes=at("n a b e"), mutation=lambda: (whole(TWO), online(TWO, rescaled=False)))
def two_blocks_of_keys_merge():
    """Blocks with shifts of their own, rescaled to a common shift, are softmax attention, whatever the shifts."""
    return whole(TWO), online(TWO)


@claim(source="arXiv 2310.01889 (ring attention)", sizes=at("n a b c e"))
def three_blocks_of_keys_merge():
    """Three blocks merge as two do."""
    return whole(THREE), online(THREE)


@claim(source="arXiv 1805.02867, sec. 3 (online normaliser)", sizes=at("n"))
def merging_normalisers_is_associative():
    """Blocks may be merged in any bracketing, with any shifts in between."""

    def merged(left: tuple[Any, Any], right: tuple[Any, Any], shift: Any) -> tuple[Any, Any]:
        return shift, left[1] * ta.exp(left[0] - shift) + right[1] * ta.exp(right[0] - shift)

    first, second, third = ((ta.tensor(f"m{k}", N)[x], ta.tensor(f"z{k}", N)[x]) for k in range(3))
    left = merged(merged(first, second, ta.tensor("l", N)[x]), third, m[x])
    right = merged(first, merged(second, third, ta.tensor("r", N)[x]), m[x])
    return ta.define((x,), left[1]), ta.define((x,), right[1])


def mixed(first: Any, second: Any) -> ta.Definition:
    """Return the outputs of two blocks with the given weights."""
    (out, den), (other, below) = block(TWO, 0), block(TWO, 1)
    return ta.define((x, c), first * (out / den) + second * (other / below))


@claim(
    source="arXiv 2307.08691 (the logsumexp of every block is kept)",
    sizes=at("n a b e"),
    mutation=lambda: (whole(TWO), mixed(1, 1)),
)
def partial_outputs_merge_by_their_log_sum_exp():
    """The outputs of blocks are averaged with the softmax of the logarithms of their denominators."""
    left, right = (ta.log(block(TWO, position)[1]) for position in (0, 1))
    total = ta.log(ta.exp(left) + ta.exp(right))
    return whole(TWO), mixed(ta.exp(left - total), ta.exp(right - total))


@claim(source="arXiv 2110.04366 (prefix tuning as a gated sum of two attentions)", sizes=at("n a b e"))
def attention_to_a_prefix_is_a_gated_sum():
    """Keys behind a prefix: both outputs are mixed by the share of the weights that the prefix takes."""
    prefix, own = block(TWO, 0)[1], block(TWO, 1)[1]
    return whole(TWO), mixed(prefix / (prefix + own), 1 - prefix / (prefix + own))


PAIR = DirectSum((ta.Space("I", 1), ta.Space("J", 1)))


@claim(source="textbook", sizes=at("n"))
def two_keys_make_a_sigmoid():
    """The weight of the first of two keys is the sigmoid of the difference of their scores."""
    (i,), (j,), key = PAIR.summands[0].indices("i"), PAIR.summands[1].indices("j"), PAIR.index("s")
    scores = ta.tensor("S", (N, PAIR))
    weights = ta.define((x, key), ta.softmax(scores[x, key], over=key))
    own, other = scores[x, Injected(i, 0, PAIR)], scores[x, Injected(j, 1, PAIR)].sum(j)
    return ta.define((x, i), weights[x, Injected(i, 0, PAIR)]), ta.define((x, i), 1 / (1 + ta.exp(other - own)))


@claim(source="arXiv 2309.17453 (zero sink, or softmax off by one)", sizes=at("n e"))
def one_more_in_the_denominator_is_one_more_key():
    """Adding one to the sum of the exponentials is attending to one more key, whose score and value are zero."""
    more = DirectSum((N, PAIR.summands[0]))
    key, inside, scores = more.index("s"), Injected(y, 0, more), ta.tensor("S", N @ N)
    padded = ta.define((x, key), ta.delta[key, inside] * scores[x, y])
    values = ta.define((key, c), ta.delta[key, inside] * VALUES[y, c])
    total = 1 + ta.exp(scores[x, y]).sum(y)
    return (
        ta.define((x, c), ta.softmax(padded[x, key], over=key) * values[key, c]),
        ta.define((x, c), ta.exp(scores[x, y]) * VALUES[y, c] / total),
    )


# Kernels, linear attention and low rank.


@claim(source="arXiv 2006.16236, sec. 3.2", sizes=at("n d e"))
def normalised_linear_attention_reassociates():
    """With features exp(q) and exp(k), numerator and denominator each need one summary of the keys."""
    scores = "A[t,s] = sum(f: exp(Q[t,f])*exp(K[s,f])); O[t,c] = A[t,s]*V[s,c]/sum(r: A[t,r])"
    summary = """
        M[f,c] = exp(K[s,f])*V[s,c]; Z[f] = sum(s: exp(K[s,f]))
        X[t,c] = sum(f: exp(Q[t,f])*M[f,c]); Y[t] = sum(f: exp(Q[t,f])*Z[f]); O[t,c] = X[t,c]/Y[t]
    """
    return text(scores), text(summary)


DISTANCES = attend("-sum(f: (Q[t,f] - K[s,f])*(Q[t,f] - K[s,f]))/2")


@claim(
    source="arXiv 2009.14794 (the softmax kernel and the Gaussian)",
    sizes=at("n d e"),
    mutation=lambda: (DISTANCES, attend()),
)
def distances_are_dot_products_less_the_norms_of_the_keys():
    """Weights exp(-|q - k|^2/2) are those of q . k - |k|^2/2; the norms of the keys may not be dropped."""
    return DISTANCES, attend(f"{DOT} - sum(f: K[s,f]*K[s,f])/2")


@claim(source=GATED, sizes=at("n d e"))
def gates_between_two_times_are_absorbed():
    """Gates exp(A_t - A_s), A their logarithms summed up, scale the queries by exp(A) and the keys by exp(-A)."""
    state = "X[t,f,c] = le[s,t]*exp(-A[s,f])*K[s,f]*V[s,c]; O[t,c] = exp(A[t,f])*Q[t,f]*X[t,f,c]"
    return text("O[t,c] = le[s,t]*exp(A[t,f] - A[s,f])*Q[t,f]*K[s,f]*V[s,c]"), text(state)


NYSTROM = "X[t,i] = softmax(i: sum(f: Q[t,f]*L[i,f])); Y[j,s] = softmax(s: sum(f: I[j,f]*K[s,f]))"


@claim(source="arXiv 2102.03902 (Nystrom approximation)", sizes=at("n d e k"))
def three_factors_of_the_weights_reassociate():
    """Weights that factor through landmarks average the values at the landmarks first."""
    weights = text(f"{NYSTROM}; A[t,s] = X[t,i]*Z[i,j]*Y[j,s]; O[t,c] = A[t,s]*V[s,c]")
    return weights, text(f"{NYSTROM}; U[j,c] = Y[j,s]*V[s,c]; O[t,c] = X[t,i]*Z[i,j]*U[j,c]")


PROJECTED = "X[i,f] = E[i,s]*K[s,f]; Y[i,c] = E[i,s]*V[s,c]; S[t,i] = Q[t,f]*X[i,f]"
GRAM = "G[s,r] = E[i,s]*E[i,r]; S[t,r] = Q[t,f]*K[s,f]*G[s,r]"


@claim(source="arXiv 2006.04768 (projected keys and values)", sizes=at("n d e k"))
def projected_keys_reassociate_without_softmax():
    """Without softmax, projecting keys and values puts E^T E between scores and values."""
    return text(f"{PROJECTED}; O[t,c] = S[t,i]*Y[i,c]"), text(f"{GRAM}; O[t,c] = S[t,r]*V[r,c]")


@claim(source="a mistake: softmax over other keys", expected="refuted")
def projected_keys_reassociate_through_softmax():
    """Softmax over k projected keys is no softmax over n keys."""
    return text(f"{PROJECTED}; O[t,c] = softmax(i: S[t,i])*Y[i,c]"), text(f"{GRAM}; O[t,c] = softmax(r: S[t,r])*V[r,c]")


# Losses and gradients.

LSE = "log(sum(r: exp(S[t,r])))"


@claim(source="textbook", sizes=at("n"))
def log_sum_exp_moves_with_the_scores():
    """``log sum exp(x + z) = z + log sum exp(x)``."""
    return text("O[t] = log(sum(r: exp(S[t,r] + x[t])))"), text(f"O[t] = {LSE} + x[t]")


CROSS = "X[t,s] = S[t,s] + x[t]; O[t] = Y[t,s]*(log(sum(r: exp(X[t,r]))) - X[t,s])"
SPLIT = "X[t,s] = S[t,s] + x[t]; O[t] = log(sum(r: exp(X[t,r]))) - Y[t,s]*X[t,s]"


@claim(source="textbook", sizes=at("n"), mutation=lambda: (text(SPLIT), text(SPLIT.replace(" + x[t]", ""))))
def cross_entropy_ignores_a_shift_of_the_logits():
    """``- sum y log softmax(x)`` ignores a shift; ``log sum exp(x) - sum y x`` does only where y sums to one."""
    return text(CROSS), text(CROSS.replace(" + x[t]", ""))


@claim(source="textbook", sizes=at("n"))
def entropy_is_log_sum_exp_less_the_mean_score():
    """``- sum p log p = log sum exp(x) - sum p x``."""
    return text(f"{WEIGHTS} O[t] = -sum(s: P[t,s]*log(P[t,s]))"), text(f"{WEIGHTS} O[t] = {LSE} - P[t,s]*S[t,s]")


JACOBIAN = "J[t,r,s] = delta[r,s]*P[t,r] - P[t,r]*P[t,s]"


@claim(
    source="textbook",
    sizes=at("n"),
    mutation=lambda: (text(f"{WEIGHTS} {JACOBIAN.replace('-', '+')}; O[t,r] = sum(s: J[t,r,s])"), text("O[t,r] = 0")),
)
def rows_of_the_jacobian_of_softmax_sum_to_zero():
    """``(diag(p) - p p^T) 1 = 0``: a shift of the scores does not move the weights."""
    return text(f"{WEIGHTS} {JACOBIAN}; O[t,r] = sum(s: J[t,r,s])"), text("O[t,r] = 0")


INCOMING = f"{WEIGHTS} X[t,s] = G[t,c]*V[s,c]; A[t,c] = P[t,s]*V[s,c]; D[t] = G[t,c]*A[t,c]"


@claim(source=BACKWARD, sizes=at("n e"))
def the_backward_pass_needs_the_output_only():
    """The mean of the gradients of the weights, under the weights, is gradient times output."""
    return text(f"{INCOMING}; O[t] = P[t,s]*X[t,s]"), text(f"{INCOMING}; O[t] = D[t]")


@claim(source=BACKWARD, sizes=at("n e"), mutation=lambda: (text(f"{INCOMING}; O[t,r] = P[t,r]*X[t,r]"), by_jacobian()))
def the_gradient_of_the_scores_is_centred():
    """``P * (dP - D)`` is the Jacobian of softmax applied to dP; the mean D may not be left out."""
    return text(f"{INCOMING}; O[t,r] = P[t,r]*(X[t,r] - D[t])"), by_jacobian()


def by_jacobian() -> ta.Definition:
    """Return the Jacobian of softmax applied to the gradient of the weights."""
    return text(f"{INCOMING}; {JACOBIAN}; O[t,r] = J[t,r,s]*X[t,s]")
