"""Claims of the published streaming forms of higher-order linear attention, arXiv 2510.27258, and what is right instead.

Formulas are numbered as in the version read in full, v3 (14 May 2026); theorem 4.1 and the decayed recurrence of
section 4.3 stand the same in v1 (30 Oct 2025).  The summaries m and h are C and G for values of a single component
v = 1, so that what is said of C and G holds of them; m and n of the asymmetric form are P and E, m and eta of the
third order P and F.

A merge joins the states of an earlier and a later segment; a step is a recurrence and joins a state with one token.
Both are algebra on generic tensors here.  A merge that is associative, and agrees with the step where the later
segment is one token, gives the state of the serial recurrence for segments of any lengths; one that fails at either
does not.  A gate is the decay at one token, rho the product of the gates of a segment.  Gates may differ from token to
token and may be 0, unless they are said to be gamma.

In the text form t, u, i, j are tokens, f, g, h features of queries and keys, c those of values.  A mutation, or a
claim expected to be refuted, is a published statement that is false, or a mistake that is easily made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace as State
from typing import Any

import tensoralg as ta
from tensoralg.claims import Claim, claim
from tensoralg.spaces import DirectSum, Index, Injected

PAPER = "arXiv 2510.27258"
MERGE = f"{PAPER}, sec. 4.2 and theorem 4.1 (as stated in v1, unchanged in v3)"
STEP = f"{PAPER}, sec. 4.3 (as stated in v1, unchanged in v3)"
ASYMMETRIC = f"{PAPER}v3, sec. 6"
THIRD = f"{PAPER}v3, sec. 7"

F, E = ta.Space("F", "d"), ta.Space("E", "e")
(f, g, h), (c,) = F.indices("f g h"), E.indices("c")
gamma, inverse = ta.tensor("gamma", ())[()], ta.tensor("inverse", ())[()]
HALF, INVERSE = (2 * gamma, 1), (gamma * inverse, 1)

# States of segments.  Every component is a sum over the tokens of the segment; the merges say which.

Merge = Callable[[State, State], State]
LEGS = {x: (f, g) for x in "SRKXQUY"} | {x: (f, c) for x in "CGNDPEWF"} | {"M": (f, g, h, c), "rho": ()}


def closed(**terms: Any) -> State:
    """Return the state with these components."""
    return State(**{name: ta.define(LEGS[name], term) for name, term in terms.items()})


def segment(label: str) -> State:
    """Return a segment of which nothing is known."""
    return State(**{x: ta.tensor(x + label, tuple(i.space for i in legs)) for x, legs in LEGS.items()})


def token(label: str = "", gate: Any = None) -> State:
    """Return the state of one token, whose gate is a symbol unless it is given."""
    q, k, v = ta.tensor("q" + label, F), ta.tensor("k" + label, F), ta.tensor("v" + label, E)
    a = ta.tensor("a" + label, ())[()] if gate is None else gate
    keys, queries = k[f] * k[g], q[f] * q[g]
    return closed(
        **dict.fromkeys("SRK", keys),
        **dict.fromkeys("CD", q[f] * v[c]),
        G=0 * k[f] * v[c],
        N=k[f] * k[h] * q[h] * v[c],
        X=k[f] * q[g],
        P=k[f] * v[c],
        E=k[f] * q[h] * k[h] * v[c],
        Q=queries,
        W=q[f] * q[h] * k[h] * v[c],
        U=k[f] * k[h] * q[h] * q[g],
        Y=a * queries,
        M=keys * k[h] * v[c],
        F=keys * q[g] * q[h] * k[h] * v[c],
        rho=a,
    )


def kept(name: str, one: State, two: State, power: int = 1) -> Any:
    """Return a component of two segments that decays over the later one, `power` times as fast."""
    old, new = (getattr(state, name)[LEGS[name]] for state in (one, two))
    return two.rho[()] ** power * old + new


def added(name: str, one: State, two: State) -> Any:
    """Return a component of two segments that does not decay."""
    return getattr(one, name)[LEGS[name]] + getattr(two, name)[LEGS[name]]


def both(one: State, two: State) -> Any:
    """Return the decay over two segments."""
    return one.rho[()] * two.rho[()]


def forgetful(state: State) -> State:
    """Return a segment with its decay forgotten."""
    return State(**vars(state) | {"rho": ta.define((), 1)})


def undecayed(merge: Merge) -> Merge:
    """Return a merge without decay."""
    return lambda one, two: merge(forgetful(one), forgetful(two))


A, B, Z = (segment(label) for label in "ABZ")


def grouped(merge: Merge, name: str, last: State = Z) -> tuple[Any, Any]:
    """Return a component of three segments, merged from the left and merged from the right."""
    return getattr(merge(merge(A, B), Z), name), getattr(merge(A, merge(B, last)), name)


def stepped(merge: Merge, step: Merge, name: str, gate: Any = None, careless: bool = False) -> tuple[Any, Any]:
    """Return a component of a segment and a token, by the merge and by the step."""
    one = token(gate=gate)
    return getattr(merge(A, forgetful(one) if careless else one), name), getattr(step(A, one), name)


def scan(
    title: str, merge: Merge, step: Merge, names: str, source: str = "definition", gate: Any = None, false: str = ""
) -> None:
    """Claim that a merge is associative, `false` components apart, and agrees with the step, in components that decay."""
    for name in names.split():
        for says, true, mutation in (
            ("is_associative", partial(grouped, merge, name), partial(grouped, merge, name, forgetful(Z))),
            (
                "agrees_with_the_step",
                partial(stepped, merge, step, name, gate),
                partial(stepped, merge, step, name, gate, careless=True),
            ),
        ):

            def statement(true: Callable[[], Any] = true) -> Any:
                return true()

            statement.__name__ = f"{title}_{says}_in_{name}"
            statement.__doc__ = f"{statement.__name__}; without the last decay it does not".replace("_", " ")
            if (says, name) != ("is_associative", false):
                globals()[statement.__name__] = claim(source=source, kernel=False, mutation=mutation)(statement)


# The second order: theorem 4.1.


def published(one: State, two: State, power: int = 1, cross: Any = None) -> State:
    """Merge as published: the cross term is S_B (rho_B C_A)."""
    cross = two.S[f, h] * two.rho[()] * one.C[h, c] if cross is None else cross
    kept_s, kept_c, kept_g = kept("S", one, two), kept("C", one, two), kept("G", one, two, power)
    return closed(S=kept_s, C=kept_c, G=kept_g + cross, rho=both(one, two))


def serial(one: State, two: State) -> State:
    """Step as published: ``G_t = gamma G_(t-1) + k_t k_t^T C_(t-1)``."""
    return published(one, two, cross=two.S[f, h] * one.C[h, c])


scan("the_published_merge", published, serial, "S C rho", MERGE, gamma)


@claim(source=MERGE, expected="refuted")
def the_published_merge_is_associative_in_G():
    """Merged from the left S_B decays over Z, from the right twice.  The smallest witness has d = e = 1."""
    return grouped(published, "G")


@claim(source=MERGE, expected="refuted")
def the_published_merge_agrees_with_the_step_in_G():
    """The merge decays C_(t-1) before the token's key reads it, the step does not.  The smallest witness has d = 1."""
    return stepped(published, serial, "G", gamma)


@claim(source=MERGE, expected="refuted", given=[HALF])
def two_tokens_merge_to_their_serial_state_at_one_half():
    """With d = e = 1, all ones and gamma = 1/2, the serial G_2 is 1, the merged one 1/2; S and C agree."""
    one, two = token("1", gamma), token("2", gamma)
    return published(one, two).G, serial(one, two).G


def reversed_cross(one: State, two: State) -> State:
    """Merge with the cross term S_A C_B."""
    return published(one, two, cross=one.S[f, h] * two.C[h, c])


UNDECAYED = f"{PAPER}v3, eq. 4.1"


@claim(source=UNDECAYED, kernel=False, mutation=lambda: grouped(published, "G"))
def the_undecayed_merge_is_associative_in_G():
    """Without decay the published merge is associative."""
    return grouped(undecayed(published), "G")


@claim(source=UNDECAYED, kernel=False, mutation=lambda: stepped(undecayed(reversed_cross), undecayed(serial), "G"))
def the_undecayed_merge_agrees_with_the_step_in_G():
    """Without decay the published merge extends a segment by a token as the recurrence does."""
    return stepped(undecayed(published), undecayed(serial), "G")


# What is right for the published recurrence: R_B = sum over i in B of k_i k_i^T times the gates of B other than i's.


def right(one: State, two: State) -> State:
    """Merge with the cross term R_B C_A."""
    merged = published(one, two, cross=two.R[f, h] * one.C[h, c])
    merged.R = ta.define((f, g), two.rho[()] * one.R[f, g] + one.rho[()] * two.R[f, g])
    return merged


def right_step(one: State, two: State) -> State:
    """Step as published, and R, to which the token adds its key moment times the decay so far."""
    old, new = one.R[f, g], two.S[f, g]
    return State(**vars(serial(one, two)), R=ta.define((f, g), two.rho[()] * old + one.rho[()] * new))


scan("the_right_merge", right, right_step, "S C G R rho")


@claim(
    source="definition",
    kernel=False,
    given=[(ta.tensor("a", ())[()], 0)],
    mutation=lambda: (published(A, token()).G, right_step(A, token()).G),
)
def the_right_merge_survives_a_gate_of_zero():
    """Where a gate is 0 only the token's cross term remains, which the published merge loses."""
    return right(A, token()).G, ta.define((f, c), token().S[f, h] * A.C[h, c])


def merge_with(carry: Callable[[State], Any]) -> Merge:
    """Return the merge with another d x d matrix before C_A, and with K, the sum of k k^T without decay."""

    def merge(one: State, two: State) -> State:
        merged = published(one, two, cross=carry(two) * one.C[h, c])
        merged.K = ta.define((f, g), added("K", one, two))
        return merged

    return merge


decayed_moment = merge_with(lambda state: state.S[f, h])
undecayed_moment = merge_with(lambda state: state.rho[()] * state.K[f, h])
quotient = merge_with(lambda state: inverse * state.rho[()] * state.K[f, h])


def early(one: State, two: State) -> State:
    """Step with ``G_t = gamma G_(t-1) + gamma k_t k_t^T C_(t-1)``: C decays before it is read."""
    return published(one, two)


@claim(source="a mistake: S_B in the place of R_B", expected="refuted")
def a_merge_with_the_decayed_key_moment_is_associative():
    """With ``S_B C_A`` the step is right, but what B adds decays wrongly over Z."""
    return grouped(decayed_moment, "G")


@claim(source="a mistake: rho_B times the undecayed key moment", expected="refuted")
def a_merge_with_the_undecayed_key_moment_agrees_with_the_step():
    """With ``rho_B K_B C_A`` the merge is associative, but it is the merge of another step."""
    return stepped(undecayed_moment, serial, "G", gamma)


scan("the_merge_with_the_undecayed_moment", undecayed_moment, early, "G")


@claim(source="definition", kernel=False, mutation=lambda: grouped(decayed_moment, "G"))
def a_merge_with_the_quotient_is_associative():
    """For a constant gamma that is not 0, R_B is ``(rho_B / gamma) K_B``: no further state is needed."""
    return grouped(quotient, "G")


@claim(source="definition", kernel=False, given=[INVERSE], mutation=lambda: stepped(undecayed_moment, serial, "G", gamma))
def a_merge_with_the_quotient_agrees_with_the_step():
    """``rho_B / gamma`` is 1 for one token."""
    return stepped(quotient, serial, "G", gamma)


@claim(source="definition", kernel=False, given=[INVERSE])
def the_quotient_is_the_right_key_moment():
    """``R = (rho / gamma) K`` for two segments gives it for their merge, whatever their lengths."""
    parts = [State(**vars(x) | {"R": ta.define((f, g), inverse * x.rho[()] * x.K[f, g])}) for x in (A, B)]
    merged = quotient(A, B)
    return right(*parts).R, ta.define((f, g), inverse * merged.rho[()] * merged.K[f, g])


# The decayed output S C - G is no masked sum, unless G decays twice as fast and reads C after its decay.


def squared(one: State, two: State) -> State:
    """Merge as published but for ``rho_B^2 G_A``."""
    return published(one, two, power=2)


def late_key(step: Merge) -> tuple[Any, Any]:
    """Return S C - G where only the first token has a query and only the second a key: 0 if the sum is over i <= j."""
    first, second = token("1", gamma), token("2", gamma)
    first.S, second.C = ta.define((f, g), 0 * first.S[f, g]), ta.define((f, c), 0 * second.C[f, c])
    state = step(first, second)
    return ta.define((f, c), state.S[f, h] * state.C[h, c] - state.G[f, c]), ta.define((f, c), 0)


@claim(source=STEP, expected="refuted", given=[HALF])
def the_published_decayed_output_ignores_keys_after_the_query():
    """S C - G gives a key at i = 2 and a query at j = 1 the weight gamma - 1, so no weights make it a masked sum."""
    return late_key(serial)


@claim(source="definition", kernel=False, mutation=lambda: late_key(serial))
def the_output_with_a_squared_decay_ignores_keys_after_the_query():
    """With ``G_t = gamma^2 G_(t-1) + gamma k_t k_t^T C_(t-1)`` such pairs cancel."""
    return late_key(squared)


@claim(source="definition", kernel=False, mutation=lambda: grouped(published, "G"))
def the_merge_with_a_squared_decay_is_associative_in_G():
    """One exponent repairs theorem 4.1, for the recurrence with a squared decay: ``rho_B^2 G_A + G_B + S_B rho_B C_A``."""
    return grouped(squared, "G")


# Masked sums over all tokens, in the text form.  Each decay is a definition of its own, which its name tells.

TOKENS = {"t,u,i,j": "n ordered", "f,g,h": "d", "c": "e"}
SECOND = "*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*V[j,c]"


def text(statements: str, constant: bool = False) -> ta.Definition:
    """Return the operator that the statements define, with gates a[t], or with gamma for every gate."""
    if constant:
        return ta.parse(statements.replace("decay(a)", "decay(gamma)"), TOKENS, tensors={"gamma": ""})
    return ta.parse(statements, TOKENS)


def plain(statements: str) -> str:
    """Return statements about decays as statements about masks."""
    return re.sub(r"decay\(a\)\[(\w),(\w)\]", r"le[\2,\1]", statements)


def over_time(both_sides: tuple[str, str], false: tuple[str, str], name: str, says: str) -> None:
    """Claim an equation of operators with any gates, and with one gamma for every gate; the false one is refuted."""
    for constant in (False, True):

        def statement(constant: bool = constant) -> Any:
            return tuple(text(side, constant) for side in both_sides)

        statement.__name__ = name + "_by_gamma" * constant
        statement.__doc__ = says + ("; one gamma for all tokens" if constant else "; any gates")
        mutation = partial(lambda constant: tuple(text(side, constant) for side in false), constant)
        globals()[statement.__name__] = claim(source="definition", kernel=False, mutation=mutation)(statement)


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
PUBLISHED = MOMENTS + """
    H[t,f,c] = decay(a)[t,i]*K[i,f]*K[i,g]*lt[j,i]*decay(a)[i,j]*Q[j,g]*V[j,c]
    O[t,c] = gamma[]*Q[t,f]*S[t,f,g]*C[t,g,c] - Q[t,f]*H[t,f,c]
"""
MASKED = "gamma[]*le[i,j]*decay(a)[t,i]*decay(a)[t,j]"
LEAK = "(gamma[]*decay(a)[t,i]*decay(a)[t,j] - le[i,t]*decay(a)[t,j])*lt[j,i]"


@claim(source=STEP, expected="refuted")
def the_published_decayed_output_is_the_decayed_masked_sum():
    """S C - G is not the sum over i <= j with ``gamma^((t-i)+(t-j))``; both sides times gamma."""
    return text(PUBLISHED, constant=True), text(f"O[t,c] = {MASKED}" + SECOND, constant=True)


@claim(source="definition", kernel=False, mutation=lambda: (text(PUBLISHED, True), text(f"O[t,c] = {MASKED}" + SECOND, True)))
def the_published_decayed_output_leaks():
    """It is that sum and, for j < i, the weight ``gamma^((t-i)+(t-j)) - gamma^(t-1-j)``; both sides times gamma."""
    return text(PUBLISHED, constant=True), text(f"O[t,c] = ({MASKED} + {LEAK})" + SECOND, constant=True)


# Carrying on from a token u to a later t: the merge of the tokens up to u with those after u, on the sums themselves.


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


def to_the_end(one: State, two: State) -> State:
    """Merge the sums with ``gamma^((t-i)+(t-j))`` on i <= j."""
    cross = two.rho[()] * one.S[f, h] * two.C[h, c]
    return State(**vars(published(one, two)), N=ta.define((f, c), kept("N", one, two, 2) + cross))


def to_the_end_step(one: State, two: State) -> State:
    """Step with ``N_t = gamma^2 N_(t-1) + S_t q_t v_t^T``."""
    now = to_the_end(one, two)
    old = two.rho[()] ** 2 * one.N[f, c]
    return State(**vars(now) | {"N": ta.define((f, c), old + now.S[f, h] * two.C[h, c])})


def along_the_path(one: State, two: State) -> State:
    """Merge the sums with ``gamma^((t-j)+(j-i))``."""
    cross = two.rho[()] * one.S[f, h] * two.D[h, c]
    now = published(one, two)
    now.D, now.N = ta.define((f, c), added("D", one, two)), ta.define((f, c), kept("N", one, two) + cross)
    return now


def along_the_path_step(one: State, two: State) -> State:
    """Step with ``N_t = gamma N_(t-1) + S_t q_t v_t^T``."""
    now, old = along_the_path(one, two), two.rho[()] * one.N[f, c]
    return State(**vars(now) | {"N": ta.define((f, c), old + now.S[f, h] * two.C[h, c])})


scan("the_merge_of_what_decays_to_the_end", to_the_end, to_the_end_step, "N")
scan("the_merge_of_what_decays_along_the_path", along_the_path, along_the_path_step, "N")


# The asymmetric form: A A V with A = L . Q K^T.


def asymmetric(one: State, two: State, moment: Any = None) -> State:
    """Merge as published: ``R_B (rho_B P_A)`` with the decayed ``R_AB = rho_B R_A + R_B``; R is X here."""
    cross = two.X[f, h] * two.rho[()] * one.P[h, c]
    moment = kept("X", one, two) if moment is None else moment
    kept_p, kept_e = kept("P", one, two), kept("E", one, two)
    return closed(X=moment, P=kept_p, E=kept_e + cross, rho=both(one, two))


def asymmetric_step(one: State, two: State) -> State:
    """Step as published: ``P_t = gamma P_(t-1) + k_t v_t^T``, ``E_t = gamma E_(t-1) + k_t q_t^T P_t``."""
    now = asymmetric(one, two)
    return State(**vars(now) | {"E": ta.define((f, c), two.rho[()] * one.E[f, c] + two.X[f, h] * now.P[h, c])})


def asymmetric_right(one: State, two: State) -> State:
    """Merge as published, but with ``R_AB = R_A + R_B``."""
    return asymmetric(one, two, added("X", one, two))


@claim(source=ASYMMETRIC, expected="refuted")
def the_published_asymmetric_merge_is_associative_in_E():
    """R_B decays over Z when merged from the left, but P_A over B and Z, so R_B P_A comes out decayed twice over Z."""
    return grouped(asymmetric, "E")


scan("the_published_asymmetric_merge", asymmetric, asymmetric_step, "X P E", ASYMMETRIC, gamma, false="E")
scan("the_asymmetric_merge_with_an_undecayed_moment", asymmetric_right, asymmetric_step, "P E")

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
TIES = "le[u,t]*(delta[i,u]*le[j,u] + delta[j,u]*lt[i,u]) + le[i,t]*delta[i,j]*lt[u,i]"
STREAMED = THREE_MOMENTS + "N[t,f,c] = le[u,t]*S[u,f,g]*Q[u,g]*Q[u,h]*P[u,h,c]" + OUTPUT


@claim(source=f"{THIRD}.1, theorem 7.1", expected="refuted")
def the_published_third_order_is_the_masked_product():
    """``S S^Q P - G1 - G2 - G3`` is not the sum over i, j <= u <= t that its proof starts from, without any decay."""
    return text(MIDDLE_PAST), text(CORRECTED)


@claim(source=f"{THIRD}.1, the first display of the proof", expected="refuted")
def the_published_third_order_is_the_product_with_a_free_value():
    """Nor is it the sum over i <= u <= t and j <= t, in which the proof has dropped the mask between u and j."""
    return text("O[t,c] = le[u,t]*le[i,u]*le[j,t]" + THIRD_SUM), text(CORRECTED)


@claim(
    source="definition", sizes={"n": 12, "d": 4, "e": 4}, mutation=lambda: (text(CORRECTED), text(MIDDLE_PAST))
)
def the_published_third_order_is_a_sum_over_ties():
    """What it is: the sum over i, u, j <= t of which the latest two or all three coincide."""
    return text(CORRECTED), text(f"O[t,c] = ({TIES})" + THIRD_SUM)


@claim(source="definition", sizes={"n": 12, "d": 4, "e": 4}, mutation=lambda: (text(STREAMED), text(CORRECTED)))
def third_order_attention_streams():
    """The sum over i, j <= u <= t needs no correction: ``N_t = N_(t-1) + S_t q_t q_t^T P_t``, d^2 + 2 d e numbers."""
    return text(STREAMED), text(MIDDLE_PAST)


@claim(source="definition", sizes={"n": 12, "d": 4, "e": 4}, mutation=lambda: (text(CAUSAL), text(OUTSIDE)))
def third_order_attention_masks_its_middle():
    """``((((A A^T) . L) A) . L) V`` with A = L . QK^T is that sum: its middle query is no later than t."""
    return text(CAUSAL), text(MIDDLE_PAST)


@claim(source="a mistake: the mask outside alone", expected="refuted")
def third_order_attention_with_an_outer_mask_is_causal():
    """``((A A^T A) . L) V`` with A = L . QK^T has middle queries later than t; already the first output sees q_2."""
    return text(OUTSIDE), text(MIDDLE_PAST)
