"""Claims of causal attention: what it carries through time as prefix sums, from block to block, from chunk to chunk.

In the text form t, s, i, j are tokens, f, g features of queries and keys, c those of values.  Blocks of tokens make
time a direct sum, chunks of equal length a product.  A mutation, or a claim expected to be refuted, is a
mistake that is easily made.
"""

from __future__ import annotations

from typing import Any

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import DirectSum, Index, Injected

HLA = "arXiv 2510.27258, theorem 3.1"
LINEAR = "arXiv 2006.16236, sec. 3.3"
FLASH = "arXiv 2205.14135, sec. 3.1 (tiling)"
AFT = "arXiv 2105.14103 (attention free transformer)"
GATED = "arXiv 2312.06635 (gated linear attention, parallel and chunkwise forms)"


# The second order, in the text form.

TOKENS = {"t,s,i,j": "n ordered", "f,g": "d", "c": "e"}
SECOND_ORDER = "O[t,c] = le[i,t]*le[i,j]*le[j,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*V[j,c]"
HLA_STATES = """
    S[t,f,g] = le[i,t]*K[i,f]*K[i,g]
    C[t,g,c] = le[j,t]*Q[j,g]*V[j,c]
    G[t,f,c] = le[i,t]*K[i,f]*K[i,g]*lt[j,i]*Q[j,g]*V[j,c]
    O[t,c] = Q[t,f]*S[t,f,g]*C[t,g,c] - Q[t,f]*G[t,f,c]
"""


def text(statements: str) -> ta.Definition:
    """Return the operator that the statements define."""
    return ta.parse(statements, TOKENS)


@claim(
    source=HLA,
    sizes={"n": 16, "d": 4, "e": 4},
    mutation=lambda: (text(SECOND_ORDER), text(HLA_STATES.replace("lt[j,i]", "le[j,i]"))),
)
def causal_second_order_attention_streams():
    """``((L . QK^T) (L . QK^T)^T . L) V = q_t^T (S_t C_t - G_t)``: three prefix sums suffice."""
    return text(SECOND_ORDER), text(HLA_STATES)


@claim(source="definition", sizes={"n": 16, "d": 4, "e": 4})
def causal_second_order_attention_streams_with_two_states():
    """The same output is ``q_t^T N_t`` with ``N_t`` the prefix sum of ``S_j q_j v_j^T``: d^2 + d e numbers suffice."""
    states = """
        S[j,f,g] = le[i,j]*K[i,f]*K[i,g]
        N[t,f,c] = le[j,t]*S[j,f,g]*Q[j,g]*V[j,c]
        O[t,c] = Q[t,f]*N[t,f,c]
    """
    return text(SECOND_ORDER), text(states)


@claim(source="a mistake: strictness left out of G", expected="refuted")
def causal_second_order_attention_with_an_inclusive_correction():
    """``G_t`` with ``C_i`` instead of ``C_(i-1)`` removes the diagonal pairs as well."""
    return text(SECOND_ORDER), text(HLA_STATES.replace("lt[j,i]", "le[j,i]"))


# Time in blocks.

E, F = ta.Space("E", "e"), ta.Space("F", "d")
(c,), (f,) = E.indices("c"), F.indices("f")
PAST, NEW = ta.Space("PAST", "a", ordered=True), ta.Space("NEW", "b", ordered=True)
TIME = DirectSum((PAST, NEW))
u, v = TIME.indices("u v")
(p, q), (r, s) = PAST.indices("p q"), NEW.indices("r s")
QT, KT, VT = ta.tensor("Q", (TIME, F)), ta.tensor("K", (TIME, F)), ta.tensor("V", (TIME, E))
ST = ta.tensor("S", (TIME, TIME))


def past(index: Index) -> Injected:
    """Return a time in the past."""
    return Injected(index, 0, TIME)


def new(index: Index) -> Injected:
    """Return a time in the new block."""
    return Injected(index, 1, TIME)


@claim(source=LINEAR, sizes={"a": 5, "b": 6, "d": 6, "e": 5})
def causal_linear_attention_carries_the_state_of_the_past():
    """In a new block, all of the past is one d x e state, to which the block adds its own prefix sums."""
    output = ta.define((u, c), ta.le[v, u] * QT[u, f] * KT[v, f] * VT[v, c])
    state = ta.define((f, c), KT[past(p), f] * VT[past(p), c])
    prefix = ta.define((r, f, c), ta.le[s, r] * KT[new(s), f] * VT[new(s), c])
    return (
        ta.define((r, c), output[new(r), c]),
        ta.define((r, c), QT[new(r), f] * (state[f, c] + prefix[r, f, c])),
    )


@claim(source=FLASH, sizes={"a": 5, "b": 6, "e": 5}, mutation=lambda: (causal_in_blocks(), in_blocks(remember=0)))
def causal_attention_in_blocks():
    """The past does not see the new block; the new block sees all of the past and itself up to the query."""
    return causal_in_blocks(), in_blocks()


def causal_in_blocks() -> ta.Definition:
    """Return causal softmax attention over past and new tokens."""
    weight = ta.define((u, v), ta.le[v, u] * ta.exp(ST[u, v]))
    return ta.define((u, c), weight[u, v] * VT[v, c] / ta.define((u,), weight[u, v])[u])


def in_blocks(remember: int = 1) -> ta.Definition:
    """Return the outputs of the past and of the new tokens, which remember the past or not."""
    early, late = ta.le[q, p] * ta.exp(ST[past(p), past(q)]), ta.le[s, r] * ta.exp(ST[new(r), new(s)])
    cross = remember * ta.exp(ST[new(r), past(q)])
    first = ta.define((p, c), early * VT[past(q), c] / ta.define((p,), early)[p])
    top, bottom = ta.define((r, c), cross * VT[past(q), c] + late * VT[new(s), c]), ta.define((r,), cross + late)
    outputs = ta.delta[u, past(p)] * first[p, c] + ta.delta[u, new(r)] * top[r, c] / bottom[r]
    return ta.define((u, c), outputs)


@claim(source=AFT, sizes={"a": 5, "b": 6, "e": 5})
def attention_free_weights_carry_two_sums_per_channel():
    """``sum exp(k_s) v_s / sum exp(k_s)`` streams: the past is a numerator and a denominator, shifted at will."""
    keys, shift = ta.tensor("k", (TIME, E)), ta.tensor("m", E)[c]
    weight = ta.define((u, v, c), ta.le[v, u] * ta.exp(keys[v, c]))
    output = ta.define((u, c), (weight[u, v, c] * VT[v, c]).sum(v) / weight[u, v, c].sum(v))
    old, own = ta.exp(keys[past(p), c] - shift), ta.le[s, r] * ta.exp(keys[new(s), c])
    top = ta.exp(shift) * (old * VT[past(p), c]).sum(p) + (own * VT[new(s), c]).sum(s)
    bottom = ta.exp(shift) * old.sum(p) + own.sum(s)
    return ta.define((r, c), output[new(r), c]), ta.define((r, c), top / bottom)


CHUNKS, STEPS = ta.Space("CHUNKS", "k", ordered=True), ta.Space("STEPS", "l", ordered=True)
(i, j), (a, b) = CHUNKS.indices("i j"), STEPS.indices("a b")
LONG = CHUNKS @ STEPS
QL, KL, VL = ta.tensor("Q", (LONG, F)), ta.tensor("K", (LONG, F)), ta.tensor("V", (LONG, E))


def in_chunks(earlier: Any) -> ta.Definition:
    """Return causal linear attention as what comes from earlier chunks and what comes from the chunk itself."""
    state = ta.define((i, f, c), earlier[j, i] * KL[(j, b), f] * VL[(j, b), c])
    inside = ta.define((i, a, c), ta.le[b, a] * QL[(i, a), f] * KL[(i, b), f] * VL[(i, b), c])
    return ta.define((i, a, c), QL[(i, a), f] * state[i, f, c] + inside[i, a, c])


def over_time() -> ta.Definition:
    """Return causal linear attention over a time of chunks."""
    w, e = LONG.indices("w e")
    output = ta.define((w, c), ta.le[e, w] * QL[w, f] * KL[e, f] * VL[e, c])
    return ta.define((i, a, c), output[(i, a), c])


@claim(source=GATED, sizes={"k": 4, "l": 3, "d": 6, "e": 5}, mutation=lambda: (over_time(), in_chunks(ta.le)))
def causal_linear_attention_in_chunks():
    """A causal mask over chunks and steps is all of the earlier chunks and a causal mask inside each chunk."""
    return over_time(), in_chunks(ta.lt)
