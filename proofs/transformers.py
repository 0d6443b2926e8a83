"""Claims of transformers: positions and heads.

In the text form t, s, r are tokens, f features of queries and keys, c those of values, a, b heads, p features of a
latent; S holds given scores.  A mutation, or a claim expected to be refuted, is a mistake that is easily made.
"""

from __future__ import annotations

from typing import Any

import tensoralg as ta
from tensoralg.claims import claim

ROPE = "arXiv 2104.09864 (rotary position embedding)"

TOKENS = {"t,s,r": "n", "f": "d", "c": "e", "a,b": "h", "p": "m", "v": "1"}
SIZES = {"n": 12, "d": 6, "e": 5, "h": 3, "m": 4}
DOT = "sum(f: Q[t,f]*K[s,f])"


def at(names: str) -> dict[str, int]:
    """Return the sizes at which a kernel is run."""
    return {name: SIZES[name] for name in names.split()}


def text(statements: str) -> ta.Definition:
    """Return the operator that the statements define."""
    return ta.parse(statements, TOKENS)


def causal(scores: str) -> ta.Definition:
    """Return softmax attention to the past and the present."""
    return text(f"W[t,s] = le[s,t]*exp({scores}); O[t,c] = W[t,s]*V[s,c]/sum(r: W[t,r])")


# Positions.

ALIBI = causal(f"{DOT} - x[]*sum(r: lt[s,r]*le[r,t])")


@claim(source="arXiv 2108.12409 (linear biases)", sizes=at("n d e"))
def linear_biases_need_only_the_position_of_the_key():
    """Under a causal mask, a penalty for the distance to the query is a bonus for the position of the key."""
    return ALIBI, causal(f"{DOT} + x[]*sum(r: le[r,s])")


@claim(source="a mistake: the position of the query instead", expected="refuted")
def linear_biases_need_only_the_position_of_the_query():
    """The position of the query cancels, so a bias by it is no bias at all."""
    return ALIBI, causal(f"{DOT} - x[]*sum(r: le[r,t])")


@claim(source="arXiv 2503.02130 (forget gates as a bias of the scores)", sizes=at("n d e"))
def forget_gates_need_only_the_prefix_sum_at_the_key():
    """Log-gates summed from key to query are a difference of prefix sums, of which softmax cancels the query's."""
    return causal(f"{DOT} + sum(r: lt[s,r]*le[r,t]*x[r])"), causal(f"{DOT} - sum(r: le[r,s]*x[r])")


PLANES = """
    X[t,f] = Q[t,f]*C[t,f] - A[t,f]*D[t,f];  Y[t,f] = Q[t,f]*D[t,f] + A[t,f]*C[t,f]
    Z[s,f] = K[s,f]*C[s,f] - B[s,f]*D[s,f];  U[s,f] = K[s,f]*D[s,f] + B[s,f]*C[s,f]
    O[t,s] = X[t,f]*Z[s,f] + Y[t,f]*U[s,f]
"""
RELATIVE = """
    X[t,s,f] = C[t,f]*C[s,f] + D[t,f]*D[s,f];  Y[t,s,f] = D[t,f]*C[s,f] - C[t,f]*D[s,f]
    O[t,s] = (Q[t,f]*K[s,f] + A[t,f]*B[s,f])*X[t,s,f] + (Q[t,f]*B[s,f] - A[t,f]*K[s,f])*Y[t,s,f]
"""


@claim(source=ROPE, sizes=at("n d"), mutation=lambda: (text(PLANES), text(RELATIVE.replace(" - A", " + A"))))
def rotary_scores_depend_on_the_difference_of_the_angles():
    """Planes (Q, A) and (K, B), rotated by angles with cosines C and sines D, meet in the angles' difference.

    Its cosine and sine are written out on the right, by the addition theorems.
    """
    return text(PLANES), text(RELATIVE)


N, F = ta.Space("N", "n"), ta.Space("F", "d")
(x, y), (f, g) = N.indices("x y"), F.indices("f g")
QUERIES, KEYS = ta.tensor("Q", N @ F), ta.tensor("K", N @ F)
ROTATION = ta.tensor("R", F @ F, isometry=True)


def score(queries: Any, keys: Any) -> ta.Definition:
    """Return the dot products of queries and keys."""
    return ta.define((x, y), queries[x, f] * keys[y, f])


def rotated(tensor: ta.Tensor, *, row: bool = False) -> ta.Definition:
    """Return the tensor with every feature vector rotated, taken as a column or as a row."""
    return ta.define((x, f), (ROTATION[g, f] if row else ROTATION[f, g]) * tensor[x, g])


@claim(source=ROPE, sizes=at("n d"), mutation=lambda: (score(QUERIES, rotated(KEYS)), score(QUERIES, KEYS)))
def one_rotation_of_queries_and_keys_leaves_the_scores():
    """``(R q) . (R k) = q . k``; rotating only the keys changes the scores."""
    return score(rotated(QUERIES), rotated(KEYS)), score(QUERIES, KEYS)


@claim(source=ROPE, sizes=at("n d"))
def rotations_act_on_rows_as_well():
    """``(q R) . (k R) = q . k``: the rows of a square isometry are orthonormal too."""
    return score(rotated(QUERIES, row=True), rotated(KEYS, row=True)), score(QUERIES, KEYS)


# Heads.

LATENT_KEYS = """
    K[s,a,f] = L[s,p]*U[a,p,f]; V[s,a,c] = L[s,p]*W[a,p,c]
    S[t,a,s] = Q[t,a,f]*K[s,a,f]; O[t,a,c] = softmax(s: S[t,a,s])*V[s,a,c]
"""
LATENT_QUERIES = """
    X[t,a,p] = Q[t,a,f]*U[a,p,f]; S[t,a,s] = X[t,a,p]*L[s,p]
    Y[t,a,p] = softmax(s: S[t,a,s])*L[s,p]; O[t,a,c] = Y[t,a,p]*W[a,p,c]
"""


@claim(source="arXiv 2405.04434 (multi-head latent attention)", sizes=at("n h d m e"))
def latent_keys_and_values_are_never_expanded():
    """The maps from the latent to keys and values are absorbed by the queries and by the output."""
    return text(LATENT_KEYS), text(LATENT_QUERIES)


@claim(source="arXiv 2305.13245, sec. 2.2", sizes=at("n h d e"))
def one_group_of_queries_is_multi_query_attention():
    """Grouped-query attention with a single group is multi-query attention."""
    grouped = "S[t,v,a,s] = Q[t,a,f]*K[s,v,f]; O[t,a,c] = softmax(s: S[t,v,a,s])*V[s,v,c]"
    shared = "S[t,a,s] = Q[t,a,f]*sum(v: K[s,v,f]); O[t,a,c] = softmax(s: S[t,a,s])*sum(v: V[s,v,c])"
    return text(grouped), text(shared)


OUTPUTS_MIXED = "A[t,b,c] = softmax(s: S[t,b,s])*V[s,c]; O[t,a,c] = M[a,b]*A[t,b,c]"


@claim(
    source="arXiv 2003.02436 (talking heads)",
    sizes=at("n h e"),
    mutation=lambda: (text("O[t,a,c] = softmax(s: sum(b: M[a,b]*S[t,b,s]))*V[s,c]"), text(OUTPUTS_MIXED)),
)
def heads_that_talk_after_softmax_mix_outputs():
    """Mixing the weights of heads that share their values mixes their outputs; mixing the scores does not."""
    return text("P[t,a,s] = M[a,b]*softmax(s: S[t,b,s]); O[t,a,c] = P[t,a,s]*V[s,c]"), text(OUTPUTS_MIXED)


DIFFERENCE = "W[t,s] = softmax(s: S[t,s]) - x[]*softmax(s: B[t,s]); O[t] = sum(s: W[t,s])"


@claim(
    source="arXiv 2410.05258 (differential attention)",
    sizes=at("n"),
    mutation=lambda: (text(DIFFERENCE), text("O[t] = 1")),
)
def differential_weights_sum_to_one_less_lambda():
    """The difference of two attention maps sums to 1 - lambda over the keys, not to 1."""
    return text(DIFFERENCE), text("O[t] = 1 - x[]")
