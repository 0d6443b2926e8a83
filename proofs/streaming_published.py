"""Claims of the published merges of higher-order linear attention, arXiv 2510.27258, and of those that are right.

Formulas are numbered as in the version read in full, v3 (14 May 2026); theorem 4.1 and the decayed recurrence of
section 4.3 stand the same in v1 (30 Oct 2025).  The summaries m and h are C and G for values of a single component
v = 1, so that what is said of C and G holds of them; m and n of the asymmetric form are P and E, m and eta of the
third order P and F.

A merge joins the states of an earlier and a later segment; a step is a recurrence and joins a state with one token.
Both are algebra on generic tensors here.  A merge that is associative, and agrees with the step where the later
segment is one token, gives the state of the serial recurrence for segments of any lengths; one that fails at either
does not.  A gate is the decay at one token, rho the product of the gates of a segment.  Gates may differ from token to
token and may be 0, unless they are said to be gamma.

What the recurrences sum up is in streaming_published_sums.py.  In both, f, g, h are features of queries and keys, c
those of values; a mutation, or a claim expected to be refuted, is a published statement that is false, or a mistake
that is easily made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace as State
from typing import Any

import tensoralg as ta
from tensoralg.claims import claim

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
LEGS = dict.fromkeys("SRKXQUY", (f, g)) | dict.fromkeys("CGNDPEWF", (f, c)) | {"M": (f, g, h, c), "rho": ()}


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


def grouped(merge: Merge, name: str, careless: bool = False) -> tuple[Any, Any]:
    """Return a component of three segments, merged from the left and merged from the right, with the decays or not."""
    two, three = (forgetful(B), forgetful(Z)) if careless else (B, Z)
    return getattr(merge(merge(A, B), Z), name), getattr(merge(A, merge(two, three)), name)


def stepped(merge: Merge, step: Merge, name: str, gate: Any = None, careless: bool = False) -> tuple[Any, Any]:
    """Return a component of a segment and a token, by the merge, with the decay or not, and by the step."""
    one = token(gate=gate)
    return getattr(merge(A, forgetful(one) if careless else one), name), getattr(step(A, one), name)


def stated(name: str, function: Callable[..., Any], source: str) -> None:
    """Make a claim that is true, and false if one side forgets the decays."""

    def statement() -> Any:
        return function()

    statement.__name__, statement.__doc__ = name, f"{name}, unless the decays are forgotten".replace("_", " ")
    mutation = partial(function, careless=True)
    globals()[name] = claim(source=source, kernel=False, mutation=mutation)(statement)


def associates(title: str, merge: Merge, names: str, source: str = "definition") -> None:
    """Claim that a merge is associative in each of the components."""
    for name in names.split():
        stated(f"{title}_is_associative_in_{name}", partial(grouped, merge, name), source)


def agrees(title: str, merge: Merge, step: Merge, names: str, source: str = "definition", gate: Any = None) -> None:
    """Claim that a merge with one token agrees with the step in each of the components."""
    for name in names.split():
        stated(f"{title}_agrees_with_the_step_in_{name}", partial(stepped, merge, step, name, gate), source)


# The second order: theorem 4.1.


def published(one: State, two: State, power: int = 1, cross: Any = None) -> State:
    """Merge as published: the cross term is S_B (rho_B C_A)."""
    cross = two.S[f, h] * two.rho[()] * one.C[h, c] if cross is None else cross
    kept_s, kept_c, kept_g = kept("S", one, two), kept("C", one, two), kept("G", one, two, power)
    return closed(S=kept_s, C=kept_c, G=kept_g + cross, rho=both(one, two))


def serial(one: State, two: State) -> State:
    """Step as published: ``G_t = gamma G_(t-1) + k_t k_t^T C_(t-1)``."""
    return published(one, two, cross=two.S[f, h] * one.C[h, c])


associates("the_published_merge", published, "S C rho", MERGE)
agrees("the_published_merge", published, serial, "S C rho", MERGE, gamma)


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


associates("the_right_merge", right, "S C G R rho")
agrees("the_right_merge", right, right_step, "S C G R rho")


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


associates("the_merge_with_the_undecayed_moment", undecayed_moment, "G")
agrees("the_merge_with_the_undecayed_moment", undecayed_moment, early, "G")


@claim(source="definition", kernel=False, mutation=lambda: grouped(decayed_moment, "G"))
def a_merge_with_the_quotient_is_associative():
    """For a constant gamma that is not 0, R_B is ``(rho_B / gamma) K_B``, with K the sum of k k^T without decay."""
    return grouped(quotient, "G")


@claim(
    source="definition", kernel=False, given=[INVERSE], mutation=lambda: stepped(undecayed_moment, serial, "G", gamma)
)
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
    """One exponent repairs theorem 4.1 for that recurrence: ``G = rho_B^2 G_A + G_B + S_B (rho_B C_A)``."""
    return grouped(squared, "G")


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


associates("the_merge_to_the_end", to_the_end, "N")
agrees("the_merge_to_the_end", to_the_end, to_the_end_step, "N")
associates("the_merge_along_the_path", along_the_path, "N")
agrees("the_merge_along_the_path", along_the_path, along_the_path_step, "N")


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


# For one token the published merge is right, which a test on single tokens does not tell from a right one.
associates("the_published_asymmetric_merge", asymmetric, "X P rho", ASYMMETRIC)
agrees("the_published_asymmetric_merge", asymmetric, asymmetric_step, "P E", ASYMMETRIC, gamma)
associates("the_asymmetric_merge_with_an_undecayed_moment", asymmetric_right, "P E")
agrees("the_asymmetric_merge_with_an_undecayed_moment", asymmetric_right, asymmetric_step, "P E")


@claim(source=f"{PAPER}v3, eq. 6.2", kernel=False, mutation=lambda: grouped(asymmetric, "E"))
def the_undecayed_asymmetric_merge_is_associative_in_E():
    """Without decay the published merge is associative."""
    return grouped(undecayed(asymmetric), "E")


# The third order: A A^T A V.


def third(one: State, two: State) -> State:
    """Merge as in eq. 7.6 and 7.7, with decays as in the second order; R^QP is W here, U^KQ is U, M^KQP is M."""
    rho = two.rho[()]
    cross = rho * one.S[f, h] * two.W[h, c] + two.M[f, g, h, c] * rho * one.Q[g, h] + two.U[f, h] * rho * one.P[h, c]
    additive = {x: kept(x, one, two) for x in "SQPWUM"}
    return closed(**additive, F=kept("F", one, two) + cross, rho=both(one, two))


def third_step(one: State, two: State) -> State:
    """Step as in eq. 7.5, for gamma = 1."""
    mixed = one.S[f, g] * two.Q[g, h] * two.P[h, c] + two.S[f, g] * one.Q[g, h] * two.P[h, c]
    late = two.S[f, g] * two.Q[g, h] * one.P[h, c] + two.S[f, g] * two.Q[g, h] * two.P[h, c]
    return State(**vars(third(one, two)) | {"F": ta.define((f, c), one.F[f, c] + mixed + late)})


def corrected(state: State) -> State:
    """Return a state with F as in eq. 7.4, where G is the sum of the three corrections."""
    value = state.S[f, g] * state.Q[g, h] * state.P[h, c] - state.G[f, c]
    return State(**vars(state) | {"F": ta.define((f, c), value)})


def algorithm_3(one: State, two: State) -> State:
    """Step as in algorithm 3 (theorem 7.1 for gamma = 1): the corrections read the states before they decay."""
    mixed = two.S[f, g] * one.Q[g, h] * one.P[h, c] + one.S[f, g] * two.Q[g, h] * one.P[h, c]
    late = one.S[f, g] * one.Q[g, h] * two.P[h, c]
    correction = ta.define((f, c), two.rho[()] * one.G[f, c] + mixed + late)
    return corrected(State(**{x: ta.define(LEGS[x], kept(x, one, two)) for x in "SQP"}, G=correction))


@claim(source=f"{THIRD}, theorem 7.2", kernel=False, mutation=lambda: grouped(third, "F"))
def the_undecayed_third_order_merge_is_associative_in_F():
    """For gamma = 1 the published merge is associative, with the maps M of d^3 e numbers."""
    return grouped(undecayed(third), "F")


@claim(source=f"{THIRD}, theorem 7.2", kernel=False, mutation=lambda: stepped(third, third_step, "F", gamma))
def the_undecayed_third_order_merge_agrees_with_the_step_in_F():
    """For gamma = 1 it extends a segment by a token as eq. 7.5 does."""
    return stepped(undecayed(third), third_step, "F")


def from_corrections(gate: Any) -> tuple[Any, Any]:
    """Return F of a segment and a token, from the three corrections and by eq. 7.5."""
    return algorithm_3(A, token(gate=gate)).F, third_step(corrected(A), token(gate=gate)).F


@claim(source=f"{THIRD}, eq. 7.5", kernel=False, mutation=lambda: from_corrections(gamma))
def the_corrected_state_has_its_recurrence():
    """Equation 7.5 follows from 7.2 and 7.4; with decay in algorithm 3 it does not."""
    return from_corrections(1)


@claim(source=f"{THIRD}.3, last sentence: decay as in the second order", expected="refuted")
def the_decayed_third_order_merge_is_associative_in_F():
    """W, M and U come out decayed twice over the last segment."""
    return grouped(third, "F")


@claim(source=f"{THIRD}.3, last sentence: decay as in the second order", expected="refuted")
def the_decayed_third_order_merge_agrees_with_algorithm_3():
    """Algorithm 3 decays ``S S^Q P`` by gamma^3 but the corrections by gamma; the merge decays both by gamma."""
    return third(corrected(A), token(gate=gamma)).F, algorithm_3(A, token(gate=gamma)).F


def third_right(one: State, two: State) -> State:
    """Merge the sums with ``gamma^((t-u)+(u-i)+(u-j))`` on i, j <= u <= t; W sums up q q^T P, U sums up S q q^T."""
    rho = two.rho[()]
    outer = rho * one.S[f, h] * two.W[h, c] + rho * two.U[f, h] * one.P[h, c]
    middle = rho * one.S[f, g] * two.Y[g, h] * one.P[h, c]
    return closed(
        S=kept("S", one, two),
        P=kept("P", one, two),
        W=added("W", one, two) + two.Y[f, h] * one.P[h, c],
        U=added("U", one, two) + one.S[f, h] * two.Y[h, g],
        Y=one.Y[f, g] + one.rho[()] * two.Y[f, g],
        F=kept("F", one, two) + outer + middle,
        rho=both(one, two),
    )


def third_right_step(one: State, two: State) -> State:
    """Step with ``F_t = gamma F_(t-1) + S_t q_t q_t^T P_t``."""
    now = third_right(one, two)
    value = two.rho[()] * one.F[f, c] + now.S[f, g] * two.Q[g, h] * now.P[h, c]
    return State(**vars(now) | {"F": ta.define((f, c), value)})


associates("the_right_third_order_merge", third_right, "S P W U Y F rho")
agrees("the_right_third_order_merge", third_right, third_right_step, "S P F")
