"""Claims of the published streaming sums of higher-order linear attention, arXiv 2510.27258: what they sum up.

Formulas are numbered as in v3 (14 May 2026); the decayed recurrence of section 4.3 stands the same in v1 (30 Oct
2025).  The merges of the states are in streaming_published.py.  Every decayed sum is a definition of its own, named
after its weight.  Claims about decays hold for gates a[t] that differ from token to token, and again for one gamma.

In the text form t, s, u, i, j are tokens, f, g, h features of queries and keys, c those of values.  A mutation, or a
claim expected to be refuted, is a published statement that is false, or a mistake that is easily made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.spaces import DirectSum, Index, Injected

PAPER = "arXiv 2510.27258"
STEP = f"{PAPER}, sec. 4.3 (as stated in v1, unchanged in v3)"
ASYMMETRIC = f"{PAPER}v3, sec. 6"
THIRD = f"{PAPER}v3, sec. 7"

TOKENS = {"t,s,u,i,j": "n ordered", "f,g,h": "d", "c": "e"}
SECOND = "*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*V[j,c]"


def text(statements: str, constant: bool = False) -> ta.Definition:
    """Return the operator that the statements define, with gates a[t], or with gamma for every gate."""
    if constant:
        return ta.parse(statements.replace("decay(a)", "decay(gamma)"), TOKENS, tensors={"gamma": ""})
    return ta.parse(statements, TOKENS)


def plain(statements: str) -> str:
    """Return statements about decays as statements about masks."""
    return re.sub(r"decay\(a\)\[(\w),(\w)\]", r"le[\2,\1]", statements)


def over_time(
    both_sides: tuple[str, str], false: tuple[str, str], name: str, says: str, source: str = "definition"
) -> None:
    """Claim an equation of operators with any gates, and with one gamma for every gate; the false one is refuted."""
    for constant in (False, True):

        def statement(constant: bool = constant) -> Any:
            return tuple(text(side, constant) for side in both_sides)

        statement.__name__ = name + "_by_gamma" * constant
        statement.__doc__ = says + ("; one gamma for all tokens" if constant else "; any gates")
        mutation = partial(lambda constant: tuple(text(side, constant) for side in false), constant)
        globals()[statement.__name__] = claim(source=source, kernel=False, mutation=mutation)(statement)


TO_THE_END = "O[t,c] = le[i,j]*decay(a)[t,i]*decay(a)[t,j]" + SECOND
ALONG_THE_PATH = "O[t,c] = decay(a)[t,j]*decay(a)[j,i]" + SECOND
OUTPUT = "\nO[t,c] = Q[t,f]*N[t,f,c]"
KEYS = """
    S[t,f,g] = decay(a)[t,i]*K[i,f]*K[i,g]
    L[t,u,f,g] = lt[u,i]*decay(a)[t,i]*K[i,f]*K[i,g]
"""  # L is S of the tokens after u
TWICE = KEYS + "N[t,f,c] = decay(a)[t,j]*decay(a)[t,j]*S[j,f,g]*Q[j,g]*V[j,c]"
ONCE = KEYS + "N[t,f,c] = decay(a)[t,j]*S[j,f,g]*Q[j,g]*V[j,c]"
MOMENTS = KEYS + "C[t,g,c] = decay(a)[t,j]*Q[j,g]*V[j,c]\n"
CORRECTION = MOMENTS + "G[t,f,c] = decay(a)[t,i]*K[i,f]*K[i,g]*lt[j,i]*decay(a)[t,j]*Q[j,g]*V[j,c]\n"
DIFFERENCE = "O[t,c] = Q[t,f]*S[t,f,g]*C[t,g,c] - Q[t,f]*G[t,f,c]"

over_time(
    (TO_THE_END, TWICE + OUTPUT),
    (TO_THE_END, ONCE + OUTPUT),
    "keys_and_queries_decay_to_the_end",
    "weight gamma^((t-i)+(t-j)) on i <= j: N_t = gamma^2 N_(t-1) + S_t q_t v_t^T",
)
over_time(
    (ALONG_THE_PATH, ONCE + OUTPUT),
    (ALONG_THE_PATH, TWICE + OUTPUT),
    "keys_and_queries_decay_along_the_path",
    "weight gamma^((t-j)+(j-i)): N_t = gamma N_(t-1) + S_t q_t v_t^T",
)
over_time(
    (TO_THE_END, CORRECTION + DIFFERENCE),
    (TO_THE_END, CORRECTION.replace("lt[j,i]", "le[j,i]") + DIFFERENCE),
    "keys_and_queries_decay_to_the_end_with_a_correction",
    "S C - G is that sum if G_t = gamma^2 G_(t-1) + gamma k_t k_t^T C_(t-1)",
)


@claim(source="a mistake: one definition for another", expected="refuted")
def the_two_decays_are_one():
    """Along the path a key decays once after the query, to the end twice."""
    return text(TO_THE_END, constant=True), text(ALONG_THE_PATH, constant=True)


# gamma times the published output: the sum over j < i with decay(gamma)[i,j] is gamma C_(i-1)
PUBLISHED = (
    MOMENTS
    + """
    H[t,f,c] = decay(a)[t,i]*K[i,f]*K[i,g]*lt[j,i]*decay(a)[i,j]*Q[j,g]*V[j,c]
    O[t,c] = gamma[]*Q[t,f]*S[t,f,g]*C[t,g,c] - Q[t,f]*H[t,f,c]
"""
)
MASKED = "gamma[]*le[i,j]*decay(a)[t,i]*decay(a)[t,j]"
LEAK = "(gamma[]*decay(a)[t,i]*decay(a)[t,j] - le[i,t]*decay(a)[t,j])*lt[j,i]"


@claim(source=STEP, expected="refuted")
def the_published_decayed_output_is_the_decayed_masked_sum():
    """S C - G is not the sum over i <= j with ``gamma^((t-i)+(t-j))``; both sides times gamma."""
    return text(PUBLISHED, constant=True), text(f"O[t,c] = {MASKED}" + SECOND, constant=True)


@claim(
    source="definition",
    kernel=False,
    mutation=lambda: (text(PUBLISHED, True), text(f"O[t,c] = {MASKED}" + SECOND, True)),
)
def the_published_decayed_output_leaks():
    """It is that sum and, for j < i, the weight ``gamma^((t-i)+(t-j)) - gamma^(t-1-j)``; both sides times gamma."""
    return text(PUBLISHED, constant=True), text(f"O[t,c] = ({MASKED} + {LEAK})" + SECOND, constant=True)


# Carrying on from a token u to a later t: the merge of the tokens up to u with those after u, on the sums themselves.
# Where u is the token before t it is the step.


def carries(name: str, says: str, states: str, state: str, after: str, carry: tuple[str, str]) -> None:
    """Claim that a state at t is the carry from u and B, the same of the tokens after u alone; or the false carry."""
    whole = f"{states}\nO[t,u,f,c] = le[u,t]*{state}[t,f,c]"
    right, false = (f"{states}{after}\nO[t,u,f,c] = {terms} + B[t,u,f,c]" for terms in carry)
    over_time((whole, right), (whole, false), name, says)


carries(
    "what_decays_to_the_end_carries",
    "N = rho_B^2 N_A + N_B + rho_B S_A C_B",
    TWICE,
    "N",
    """
    C[t,u,g,c] = lt[u,j]*decay(a)[t,j]*Q[j,g]*V[j,c]
    B[t,u,f,c] = decay(a)[t,j]*decay(a)[t,j]*L[j,u,f,g]*Q[j,g]*V[j,c]
    """,
    (
        "decay(a)[t,u]*decay(a)[t,u]*N[u,f,c] + decay(a)[t,u]*S[u,f,g]*C[t,u,g,c]",
        "decay(a)[t,u]*N[u,f,c] + decay(a)[t,u]*S[u,f,g]*C[t,u,g,c]",
    ),
)
carries(
    "what_decays_along_the_path_carries",
    "N = rho_B N_A + N_B + rho_B S_A D_B, with D the sum of q v^T without decay",
    ONCE,
    "N",
    """
    D[t,u,g,c] = lt[u,j]*le[j,t]*Q[j,g]*V[j,c]
    C[t,u,g,c] = lt[u,j]*decay(a)[t,j]*Q[j,g]*V[j,c]
    B[t,u,f,c] = decay(a)[t,j]*L[j,u,f,g]*Q[j,g]*V[j,c]
    """,
    (
        "decay(a)[t,u]*N[u,f,c] + decay(a)[t,u]*S[u,f,g]*D[t,u,g,c]",
        "decay(a)[t,u]*N[u,f,c] + decay(a)[t,u]*S[u,f,g]*C[t,u,g,c]",
    ),
)
carries(
    "the_correction_with_a_squared_decay_carries",
    "G = rho_B^2 G_A + G_B + S_B (rho_B C_A): one exponent more than published",
    CORRECTION,
    "G",
    "B[t,u,f,c] = decay(a)[t,i]*K[i,f]*K[i,g]*lt[u,j]*lt[j,i]*decay(a)[t,j]*Q[j,g]*V[j,c]",
    (
        "decay(a)[t,u]*decay(a)[t,u]*G[u,f,c] + decay(a)[t,u]*L[t,u,f,g]*C[u,g,c]",
        "decay(a)[t,u]*G[u,f,c] + decay(a)[t,u]*L[t,u,f,g]*C[u,g,c]",
    ),
)
carries(
    "gamma_times_the_published_correction_carries",
    "gamma G = rho_B gamma G_A + gamma G_B + rho_B K_B C_A, with K the sum of k k^T without decay",
    MOMENTS + "H[t,f,c] = decay(a)[t,i]*K[i,f]*K[i,g]*lt[j,i]*decay(a)[i,j]*Q[j,g]*V[j,c]",
    "H",
    """
    M[t,u,f,g] = lt[u,i]*le[i,t]*K[i,f]*K[i,g]
    B[t,u,f,c] = decay(a)[t,i]*K[i,f]*K[i,g]*lt[u,j]*lt[j,i]*decay(a)[i,j]*Q[j,g]*V[j,c]
    """,
    (
        "decay(a)[t,u]*H[u,f,c] + decay(a)[t,u]*M[t,u,f,g]*C[u,g,c]",
        "decay(a)[t,u]*H[u,f,c] + decay(a)[t,u]*L[t,u,f,g]*C[u,g,c]",
    ),
)

# The asymmetric form.

ROUTED = """
    P[t,g,c] = decay(a)[t,j]*K[j,g]*V[j,c]
    E[t,f,c] = decay(a)[t,i]*K[i,f]*Q[i,g]*P[i,g,c]
"""
READ = "O[t,c] = Q[t,f]*E[t,f,c]"
CASCADE = "A[t,i] = decay(a)[t,i]*Q[t,f]*K[i,f]\nB[t,j] = A[t,i]*A[i,j]\nO[t,c] = B[t,j]*V[j,c]"

over_time(
    (CASCADE, ROUTED + READ),
    (CASCADE, ROUTED.replace("decay(a)[t,i]", "decay(a)[t,i]*decay(a)[t,i]") + READ),
    "the_decayed_asymmetric_form_is_the_product_of_decayed_masks",
    "(D . QK^T) (D . QK^T) V with D the decays: the published recurrence is a decayed masked sum",
    source=ASYMMETRIC,
)
over_time(
    (CASCADE, "O[t,c] = le[i,t]*le[j,i]*decay(a)[t,j]*Q[t,f]*K[i,f]*Q[i,g]*K[j,g]*V[j,c]"),
    (CASCADE, "O[t,c] = le[j,i]*decay(a)[t,i]*Q[t,f]*K[i,f]*Q[i,g]*K[j,g]*V[j,c]"),
    "the_decayed_asymmetric_form_weighs_by_the_value",
    "its weight is gamma^(t-j) on j <= i <= t, whatever i",
)
carries(
    "the_asymmetric_form_carries",
    "E = rho_B E_A + E_B + R_B (rho_B P_A) with R_B = sum of k q^T without decay; published with decay",
    ROUTED,
    "E",
    """
    M[t,u,f,g] = lt[u,i]*le[i,t]*K[i,f]*Q[i,g]
    R[t,u,f,g] = lt[u,i]*decay(a)[t,i]*K[i,f]*Q[i,g]
    N[t,u,g,c] = lt[u,j]*decay(a)[t,j]*K[j,g]*V[j,c]
    B[t,u,f,c] = decay(a)[t,i]*K[i,f]*Q[i,g]*N[i,u,g,c]
    """,
    (
        "decay(a)[t,u]*E[u,f,c] + decay(a)[t,u]*M[t,u,f,g]*P[u,g,c]",
        "decay(a)[t,u]*E[u,f,c] + decay(a)[t,u]*R[t,u,f,g]*P[u,g,c]",
    ),
)


@claim(
    source=f"{PAPER}v3, theorem 6.1",
    sizes={"n": 16, "d": 4, "e": 4},
    mutation=lambda: (text(plain(CASCADE)), text(plain(ROUTED).replace("P[t,g,c] = le", "P[t,g,c] = lt") + READ)),
)
def the_asymmetric_form_streams():
    """Without decay ``((L . QK^T) (L . QK^T) . L) V = q_t^T E_t``."""
    return text(plain(CASCADE)), text(plain(ROUTED) + READ)


# The third order.

THIRD_SUM = "*Q[t,f]*K[i,f]*K[i,g]*Q[u,g]*Q[u,h]*K[j,h]*V[j,c]"
MIDDLE_PAST = "O[t,c] = le[u,t]*le[i,u]*le[j,u]" + THIRD_SUM
CAUSAL = """
    A[t,i] = le[i,t]*Q[t,f]*K[i,f]
    B[t,u] = le[u,t]*A[t,i]*A[u,i]
    D[t,j] = le[j,t]*B[t,u]*A[u,j]
    O[t,c] = D[t,j]*V[j,c]
"""
OUTSIDE = CAUSAL.replace("le[u,t]*", "")
THREE_MOMENTS = """
    S[t,f,g] = le[i,t]*K[i,f]*K[i,g]
    R[t,g,h] = le[u,t]*Q[u,g]*Q[u,h]
    P[t,h,c] = le[j,t]*K[j,h]*V[j,c]
"""
CORRECTED = (
    THREE_MOMENTS
    + """
    X[t,f,c] = le[i,t]*lt[u,i]*lt[j,i]*K[i,f]*K[i,g]*Q[u,g]*Q[u,h]*K[j,h]*V[j,c]
    Y[t,f,c] = le[u,t]*lt[i,u]*lt[j,u]*K[i,f]*K[i,g]*Q[u,g]*Q[u,h]*K[j,h]*V[j,c]
    Z[t,f,c] = le[j,t]*lt[i,j]*lt[u,j]*K[i,f]*K[i,g]*Q[u,g]*Q[u,h]*K[j,h]*V[j,c]
    O[t,c] = Q[t,f]*S[t,f,g]*R[t,g,h]*P[t,h,c] - Q[t,f]*X[t,f,c] - Q[t,f]*Y[t,f,c] - Q[t,f]*Z[t,f,c]
"""
)
RECORRECTED = re.sub(
    r"Y\[t,f,c\] = .*",
    "Y[t,f,c] = le[i,t]*lt[u,i]*K[i,f]*K[i,g]*Q[u,g]*Q[u,h]*K[i,h]*V[i,c]",
    CORRECTED,
)
STREAMED = THREE_MOMENTS + "N[t,f,c] = le[u,t]*S[u,f,g]*Q[u,g]*Q[u,h]*P[u,h,c]" + OUTPUT


@claim(source=f"{THIRD}.1, theorem 7.1", expected="refuted")
def the_published_third_order_is_the_masked_product():
    """``S S^Q P - G1 - G2 - G3`` is not the sum over i, j <= u <= t that its proof starts from, without any decay."""
    return text(CAUSAL), text(CORRECTED)


@claim(source=f"{THIRD}.1, the first display of the proof", expected="refuted")
def the_published_third_order_is_the_product_with_a_free_value():
    """Nor is it the sum over i <= u <= t and j <= t, in which the proof has dropped the mask between u and j."""
    return text(CAUSAL.replace("A[u,j]", "Q[u,h]*K[j,h]")), text(CORRECTED)


@claim(source="definition", sizes={"n": 12, "d": 4, "e": 4}, mutation=lambda: (text(CAUSAL), text(CORRECTED)))
def the_third_order_has_another_second_correction():
    """Not i, j < u, where the query is latest and which belongs to the sum, is to be taken away, but u < i = j."""
    return text(CAUSAL), text(RECORRECTED)


@claim(source="definition", sizes={"n": 12, "d": 4, "e": 4}, mutation=lambda: (text(CAUSAL), text(CORRECTED)))
def third_order_attention_streams():
    """The sum over i, j <= u <= t needs no correction: ``N_t = N_(t-1) + S_t q_t q_t^T P_t``, d^2 + 2 d e numbers."""
    return text(CAUSAL), text(STREAMED)


@claim(source="definition", sizes={"n": 12, "d": 4, "e": 4}, mutation=lambda: (text(CAUSAL), text(OUTSIDE)))
def third_order_attention_masks_its_middle():
    """``((((A A^T) . L) A) . L) V`` with A = L . QK^T is that sum: its middle query is no later than t."""
    return text(CAUSAL), text(MIDDLE_PAST)


@claim(source="a mistake: the mask outside alone", expected="refuted")
def third_order_attention_with_an_outer_mask_is_causal():
    """``((A A^T A) . L) V`` with A = L . QK^T has middle queries later than t; already the first output sees q_2."""
    return text(OUTSIDE), text(MIDDLE_PAST)


DECAYED_STREAM = """
    S[t,f,g] = decay(a)[t,i]*K[i,f]*K[i,g]
    P[t,h,c] = decay(a)[t,j]*K[j,h]*V[j,c]
    N[t,f,c] = decay(a)[t,u]*S[u,f,g]*Q[u,g]*Q[u,h]*P[u,h,c]
"""
DECAYED_SUM = "O[t,c] = decay(a)[t,u]*decay(a)[u,i]*decay(a)[u,j]" + THIRD_SUM

over_time(
    (DECAYED_SUM, DECAYED_STREAM + OUTPUT),
    (DECAYED_SUM, DECAYED_STREAM.replace("= decay(a)[t,i]", "= le[i,t]") + OUTPUT),
    "the_third_order_decays_along_its_paths",
    "weight gamma^((t-u)+(u-i)+(u-j)): N_t = gamma N_(t-1) + S_t q_t q_t^T P_t",
)
carries(
    "the_third_order_carries",
    "N = rho_B N_A + N_B + rho_B (S_A W_B + U_B P_A + S_A Y_B P_A): six matrices and no map on matrices",
    DECAYED_STREAM,
    "N",
    """
    L[t,u,f,g] = lt[u,i]*decay(a)[t,i]*K[i,f]*K[i,g]
    D[t,u,h,c] = lt[u,j]*decay(a)[t,j]*K[j,h]*V[j,c]
    W[t,u,g,c] = lt[u,s]*le[s,t]*Q[s,g]*Q[s,h]*D[s,u,h,c]
    U[t,u,f,h] = lt[u,s]*le[s,t]*L[s,u,f,g]*Q[s,g]*Q[s,h]
    Y[t,u,g,h] = le[s,t]*lt[u,s]*decay(a)[s,u]*Q[s,g]*Q[s,h]
    B[t,u,f,c] = decay(a)[t,s]*L[s,u,f,g]*Q[s,g]*Q[s,h]*D[s,u,h,c]
    """,
    (
        "decay(a)[t,u]*N[u,f,c] + decay(a)[t,u]*S[u,f,g]*W[t,u,g,c] + decay(a)[t,u]*U[t,u,f,h]*P[u,h,c]"
        " + decay(a)[t,u]*S[u,f,g]*Y[t,u,g,h]*P[u,h,c]",
        "decay(a)[t,u]*N[u,f,c] + decay(a)[t,u]*S[u,f,g]*W[t,u,g,c] + decay(a)[t,u]*U[t,u,f,h]*P[u,h,c]",
    ),
)


# Time in blocks, without decay: what a block adds to the state before it.

F, E = ta.Space("F", "d"), ta.Space("E", "e")
(f, g, h), (c,) = F.indices("f g h"), E.indices("c")
PAST, NEW = ta.Space("PAST", "n", ordered=True), ta.Space("NEW", "b", ordered=True)
TIME = DirectSum((PAST, NEW))
(p, q), (r, s) = PAST.indices("p q"), NEW.indices("r s")
Q, K, V = ta.tensor("Q", (TIME, F)), ta.tensor("K", (TIME, F)), ta.tensor("V", (TIME, E))


def past(index: Index) -> Injected:
    """Return a time in the past."""
    return Injected(index, 0, TIME)


def new(index: Index) -> Injected:
    """Return a time in the new block."""
    return Injected(index, 1, TIME)


def same(index: Index) -> Index:
    """Return a time as it is."""
    return index


def second_order(space: Any, at: Callable[[Index], Any]) -> ta.Definition:
    """Return ``((A A^T) . L) V`` with A = L . QK^T over the times of a space."""
    t, i, j = space.indices("t i j")
    A = ta.define((t, i), ta.le[i, t] * Q[at(t), f] * K[at(i), f])
    return ta.define((t, c), ta.le[j, t] * A[t, i] * A[j, i] * V[at(j), c])


def cascade(space: Any, at: Callable[[Index], Any]) -> ta.Definition:
    """Return ``((A A) . L) V``."""
    t, i, j = space.indices("t i j")
    A = ta.define((t, i), ta.le[i, t] * Q[at(t), f] * K[at(i), f])
    return ta.define((t, c), ta.le[j, t] * A[t, i] * A[i, j] * V[at(j), c])


def third_order(space: Any, at: Callable[[Index], Any], inside: Any) -> ta.Definition:
    """Return ``((((A A^T) . inside) A) . L) V``."""
    t, u, i, j = space.indices("t u i j")
    A = ta.define((t, i), ta.le[i, t] * Q[at(t), f] * K[at(i), f])
    return ta.define((t, c), inside[u, t] * ta.le[j, t] * A[t, i] * A[u, i] * A[u, j] * V[at(j), c])


class Everywhere:
    """No mask."""

    def __getitem__(self, pair: tuple[Index, Index]) -> int:
        return 1


def causal(inside: Any) -> tuple[Any, Any]:
    """Return what a third-order output says of the past in all of time, and in the past alone."""
    return ta.define((p, c), third_order(TIME, same, inside)[past(p), c]), third_order(PAST, past, inside)[p, c]


def in_chunks(whole: ta.Definition, *terms: Any) -> tuple[Any, Any]:
    """Return the outputs of the new block, and a sum that is claimed to be the same."""
    return ta.define((r, c), whole[new(r), c]), ta.define((r, c), sum(terms))


S0 = ta.define((f, h), K[past(p), f] * K[past(p), h])
C0 = ta.define((h, c), Q[past(p), h] * V[past(p), c])
G0 = ta.define((f, c), K[past(p), f] * K[past(p), h] * ta.lt[q, p] * Q[past(q), h] * V[past(q), c])
P0 = ta.define((h, c), K[past(p), h] * V[past(p), c])
E0 = ta.define((f, c), ta.le[q, p] * K[past(p), f] * Q[past(p), h] * K[past(q), h] * V[past(q), c])
CARRIED = Q[new(r), f] * S0[f, h] * C0[h, c] - Q[new(r), f] * G0[f, c]
WITHIN = second_order(NEW, new)[r, c]
ACROSS = Q[new(r), f] * S0[f, h] * ta.define((r, h, c), ta.le[s, r] * Q[new(s), h] * V[new(s), c])[r, h, c]


@claim(source=f"{PAPER}v3, figure 1 (C), as its text reads", expected="refuted")
def a_chunk_adds_what_is_carried_and_what_is_within():
    """The keys of the past, read by the queries of the chunk, are missing."""
    return in_chunks(second_order(TIME, same), CARRIED, WITHIN)


@claim(
    source="definition",
    sizes={"n": 5, "b": 6, "d": 4, "e": 4},
    mutation=lambda: in_chunks(second_order(TIME, same), CARRIED, WITHIN),
)
def a_chunk_adds_what_is_carried_within_and_across():
    """What is carried, what is within the chunk, and ``q_t^T S C_t`` with S of the past and C_t of the chunk."""
    return in_chunks(second_order(TIME, same), CARRIED, WITHIN, ACROSS)


def asymmetric_chunk(mask: Any) -> tuple[Any, Any]:
    """Return the asymmetric outputs of a chunk, and what is carried, routed by the chunk's earlier keys, and within."""
    moment = ta.define((r, f, h), mask[s, r] * K[new(s), f] * Q[new(s), h])
    routed = Q[new(r), f] * moment[r, f, h] * P0[h, c]
    return in_chunks(cascade(TIME, same), Q[new(r), f] * E0[f, c], routed, cascade(NEW, new)[r, c])


@claim(source=f"{PAPER}v3, figure 2 (C), as its text reads: R^KQ of the tokens before t", expected="refuted")
def an_asymmetric_chunk_routes_by_the_keys_before():
    """The token's own key routes the past as well."""
    return asymmetric_chunk(ta.lt)


@claim(source="definition", sizes={"n": 5, "b": 6, "d": 4, "e": 4}, mutation=lambda: asymmetric_chunk(ta.lt))
def an_asymmetric_chunk_routes_by_the_keys_so_far():
    """``q_t^T (E + R P)`` with R the sum of k q^T of the chunk up to t, and the product within the chunk."""
    return asymmetric_chunk(ta.le)


@claim(source="definition", sizes={"n": 4, "b": 4, "d": 3, "e": 3}, mutation=lambda: causal(Everywhere()))
def the_third_order_with_its_middle_masked_is_causal():
    """The outputs of the past are those of the past alone."""
    return causal(ta.le)


@claim(source="a mistake: the mask outside alone", expected="refuted")
def the_third_order_masked_outside_alone_is_causal():
    """Queries that come later change the outputs of the past."""
    return causal(Everywhere())
