"""Claims of streaming: what runs token by token, what it carries, what a token costs, and what does not stream.

A stream is derived from the definition alone.  That an operator *streams* says that the derived one is proved: its
closed form is the definition, its states satisfy base and step, and can be cut and merged anywhere.  Every operator of
the table has a claim of that, and of what it carries: the numbers of its state, the FLOPs of a token, that these are
linear in the tokens n altogether where the masked sum is not, and from which n on they cost no more than the best order
of the masked sum.  A mutation leaves out a mask, so that the output depends on later tokens, or is a cost that is too
small; a claim expected to be refuted is a mistake that is easily made.

In the text form t, s, i, j, k are tokens (i, j, k of the first, second and third factor), f, g, h features of queries
and keys, c those of values, x heads; decay(a)[t,s] is the product of the gates after s up to t.  That second order
needs two states and not three is an equation in causal_attention.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sympy import Min

import tensoralg as ta
from tensoralg.claims import Claim, claim
from tensoralg.expr.replace import replace_tensor
from tensoralg.plan import Quantity
from tensoralg.stream import Streamable

LINEAR = "arXiv 2006.16236, sec. 3.3"
RETENTION = "arXiv 2307.08621, sec. 2.1 (retention, without rotation)"
MAMBA = "arXiv 2405.21060, sec. 2.4 (state space duality: a scalar gate for every token)"
GATED = "arXiv 2312.06635, sec. 4.1 (gated linear attention)"
AFT = "arXiv 2105.14103 (attention free transformer)"
HLA = "arXiv 2510.27258, sec. 3 and 6"
DTN = "arXiv 2311.11091 (tensor interaction)"
MQA = "arXiv 1911.02150, sec. 3"
DELTA = "arXiv 2406.06484, sec. 2.2 (delta rule)"
GATED_DELTA = "arXiv 2412.06464, sec. 3 (gated delta rule)"
TAYLOR = "arXiv 2402.18668, sec. 3 (Taylor feature map)"

INDICES = {"t,s,i,j,k": "n ordered", "f,g,h": "d", "c": "e", "p,q": "m", "x": "r"}
n, d, e, m, r = ta.dims("n d e m r")


def text(statement: str, **tensors: str) -> ta.Definition:
    """Return the operator that a statement defines."""
    return ta.parse(statement, INDICES, tensors)


def token(statement: str, **tensors: str) -> ta.Definition:
    """Return a term at one token: tensors without their leg over time, states by their names."""
    return ta.parse(statement, {"f,g,h": "d", "c": "e"}, tensors)


def degree(amount: Any) -> Quantity:
    """Return the degree of an amount in the tokens, to be compared."""
    return Quantity.of(Quantity.of(amount).order_in("n"))


# Operators that stream.


@dataclass(frozen=True)
class Operator:
    """An operator with what is claimed of its stream.

    Attributes
    ----------
    name : str
        With which the names of its claims begin.
    statement : str
        Its definition.
    leaky : str
        The same with a mask left out or misplaced, so that later tokens are seen.
    numbers, flops : sympy expression
        The numbers of its states, and the FLOPs of a token.
    border : str, optional
        Where running token by token costs no more than the best order of the masked sum; empty for everywhere.
    tensors : dict, optional
        The legs of tensors that do not follow from use.
    """

    name: str
    statement: str
    leaky: str
    numbers: Any
    flops: Any
    source: str
    border: str | None = None
    tensors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def expr(self) -> ta.Definition:
        """The operator."""
        return text(self.statement, **self.tensors)

    @property
    def leaky_expr(self) -> ta.Definition:
        """The operator with a mask left out."""
        return text(self.leaky, **self.tensors)

    @cached_property
    def stream(self) -> ta.Stream:
        """Its stream."""
        return ta.stream(self.expr)

    @cached_property
    def masked(self) -> Quantity:
        """The FLOPs of the best order of the masked sum."""
        return ta.cost(self.expr).flops

    def claims(self) -> Iterator[Claim]:
        """Yield the claims."""
        yield self.claimed("streams", lambda: Streamable(self.expr), lambda: Streamable(self.leaky_expr))
        yield self.claimed(
            "has_a_state_of_so_many_numbers",
            lambda: Quantity.of(self.stream.state_size) == self.numbers,
            lambda: Quantity.of(self.stream.state_size) < self.numbers,
        )
        yield self.claimed(
            "has_a_state_that_does_not_grow",
            lambda: degree(self.stream.state_size) == 0,
            lambda: degree(n * self.stream.state_size) == 0,
        )
        yield self.claimed(
            "takes_so_many_flops_for_a_token",
            lambda: Quantity.of(self.stream.flops_per_token) == self.flops,
            lambda: Quantity.of(self.stream.flops_per_token) < self.flops,
        )
        yield self.claimed(
            "is_linear_in_the_tokens",
            lambda: degree(n * self.stream.flops_per_token) == 1,
            lambda: degree(self.masked) == 1,
        )
        if self.stream.merge:
            yield self.claimed("has_a_merge_that_is_associative", self.grouped, lambda: self.grouped(whole=False))
        if self.border is not None:
            stated = lambda factor=1: Quantity.of(factor * n * self.stream.flops_per_token) <= self.masked  # noqa: E731
            if self.border:
                yield self.claimed("pays_from_a_border_on", lambda: stated().where(self.border), stated)
            else:
                yield self.claimed("never_costs_more_than_the_masked_sum", stated, lambda: stated(8))

    def grouped(self, whole: bool = True) -> tuple[ta.Expr, ta.Expr]:
        """Return the last state of three segments, merged from the left and from the right (or without the middle)."""
        a, b, c = (self.segment(label) for label in "ABC")
        name = list(self.stream.states)[-1]
        left, right = self.merged(self.merged(a, b), c), self.merged(a, self.merged(b, c) if whole else c)
        return left[name], right[name]

    def segment(self, label: str) -> dict[str, ta.Definition]:
        """Return the statistics of a segment of which nothing is known."""
        made = {}
        for name, found in self.stream.statistics.items():
            whole = ta.tensor(name + label, tuple(leg.space for leg in found.legs))
            made[name] = ta.define(found.legs, whole[found.legs])
        return made

    def merged(self, left: dict[str, ta.Definition], right: dict[str, ta.Definition]) -> dict[str, ta.Definition]:
        """Return the statistics of two segments."""
        made = dict(self.stream.merge)
        for side, segment in (("left_", left), ("right_", right)):
            for part, value in segment.items():
                made = {name: replace_tensor(term, side + part, value) for name, term in made.items()}
        return made

    def claimed(self, name: str, states: Any, mutation: Any) -> Claim:
        """Return a claim of the operator."""

        def statement() -> Any:
            return states()

        statement.__name__ = f"{self.name}_{name}"
        statement.__doc__ = statement.__name__.replace("_", " ")
        return claim(source=self.source, kernel=False, mutation=mutation)(statement)


def quotient(top: str, bottom: str) -> str:
    """Return the statement of a quotient of two sums."""
    return f"O[t,c] = sum({top}) / sum({bottom})"


SCORES, VALUE = "Q[t,f]*K[s,f]", "V[s,c]"
SECOND = "Q[t,f]*K[i,f]*Q[j,g]*K[i,g]"  # (A A')[t,j] with A = Q K'
SECOND_MASKS, SECOND_OUTSIDE = "le[i,t]*le[i,j]*le[j,t]", "le[j,t]"
CASCADE = "Q[t,f]*K[i,f]*Q[i,g]*K[j,g]"  # (A A)[t,j]
CASCADE_MASKS, CASCADE_OUTSIDE = "le[i,t]*le[j,i]", "le[j,t]"
THIRD = "Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*Q[j,h]*K[k,h]*V[k,c]"  # (A A' A)[t,k]
THIRD_MASKS, THIRD_OUTSIDE = "le[i,t]*le[i,j]*le[k,j]*le[j,t]*le[k,t]", "le[i,t]*le[i,j]*le[k,j]*le[k,t]"

OPERATORS = (
    Operator(
        "linear_attention",
        f"O[t,c] = le[s,t]*{SCORES}*{VALUE}",
        f"O[t,c] = {SCORES}*{VALUE}",
        d * e,
        3 * d * e,
        LINEAR,
        "3*d*e <= 2*n*(d + e)",
    ),
    Operator(
        "normalised_linear_attention",
        quotient(f"s,f: le[s,t]*{SCORES}*{VALUE}", f"s,f: le[s,t]*{SCORES}"),
        quotient(f"s,f: le[s,t]*{SCORES}*{VALUE}", f"s,f: {SCORES}"),
        d * e + d,
        3 * d * e + 2 * d,
        LINEAR,
        "3*d*e + 2*d <= 2*n*(d + e + 1)",
    ),
    Operator(
        "linear_attention_with_positive_features",
        quotient(f"s,f: le[s,t]*exp(Q[t,f])*exp(K[s,f])*{VALUE}", "s,f: le[s,t]*exp(Q[t,f])*exp(K[s,f])"),
        quotient(f"s,f: exp(Q[t,f])*exp(K[s,f])*{VALUE}", "s,f: exp(Q[t,f])*exp(K[s,f])"),
        d * e + d,
        3 * d * e + 2 * d,
        "arXiv 2009.14794 (positive features)",
    ),
    Operator(
        "attention_by_keys_alone",
        quotient(f"s: le[s,t]*exp(K[s,c])*{VALUE}", "s: le[s,t]*exp(K[s,c])"),
        quotient(f"s: le[s,t]*exp(K[s,c])*{VALUE}", "s: exp(K[s,c])"),
        2 * e,
        e,
        AFT,
    ),
    Operator(
        "multi_query_linear_attention",
        "O[t,x,c] = le[s,t]*Q[t,x,f]*K[s,f]*V[s,c]",
        "O[t,x,c] = Q[t,x,f]*K[s,f]*V[s,c]",
        d * e,  # one state for all heads
        2 * d * e * r + d * e,
        MQA,
        "2*d*e*r + d*e <= 2*n*(d + e)*r",
    ),
    Operator(
        "quadratic_attention",
        f"O[t,c] = le[s,t]*pow(sum(f: {SCORES}),2)*{VALUE}",
        f"O[t,c] = pow(sum(f: {SCORES}),2)*{VALUE}",
        d**2 * e,
        Min(3 * d**2 * e + 2 * d**2, 3 * d**2 * e + 3 * d * e, 3 * d**2 * e + d**2 + d * e),
        TAYLOR,
    ),
    Operator(
        "attention_with_the_exponential_cut_at_second_order",
        f"O[t,c] = le[s,t]*{VALUE} + le[s,t]*{SCORES}*{VALUE} + 1/2*le[s,t]*{SCORES}*Q[t,g]*K[s,g]*{VALUE}",
        f"O[t,c] = {VALUE} + le[s,t]*{SCORES}*{VALUE} + 1/2*le[s,t]*{SCORES}*Q[t,g]*K[s,g]*{VALUE}",
        d**2 * e + d * e + e,
        3 * d**2 * e + 3 * d * e,
        TAYLOR,
    ),
    Operator(
        "retention",
        f"O[t,c] = decay(gamma)[t,s]*{SCORES}*{VALUE}",
        f"O[t,c] = (decay(gamma)[t,s] + lt[t,s])*{SCORES}*{VALUE}",
        d * e,
        4 * d * e,
        RETENTION,
        "n >= 2*d",
        {"gamma": ""},
    ),
    Operator(
        "scalar_gated_attention",
        f"O[t,c] = decay(a)[t,s]*{SCORES}*{VALUE}",
        f"O[t,c] = (decay(a)[t,s] + lt[t,s])*{SCORES}*{VALUE}",
        d * e,
        4 * d * e,
        MAMBA,
        "n >= 2*d",
        {"a": "n"},
    ),
    Operator(
        "scalar_gated_normalised_attention",
        quotient(f"s,f: decay(a)[t,s]*b[s]*{SCORES}*{VALUE}", f"s,f: decay(a)[t,s]*b[s]*{SCORES}"),
        quotient(f"s,f: decay(a)[t,s]*b[s]*{SCORES}*{VALUE}", f"s,f: b[s]*{SCORES}"),
        d * e + d,
        4 * d * e + 4 * d,
        "arXiv 2405.04517, sec. 2.3 (matrix memory, numerator and normaliser)",
        tensors={"a": "n"},
    ),
    Operator(
        "channel_gated_attention",
        f"O[t,c] = decay(a)[t,s,f]*{SCORES}*{VALUE}",
        f"O[t,c] = (decay(a)[t,s,f] + lt[t,s])*{SCORES}*{VALUE}",
        d * e,
        4 * d * e,
        GATED,
        "n >= 2*d",
        {"a": "n d"},
    ),
    Operator(
        "exponential_moving_average",
        "O[t,c] = decay(gamma)[t,s]*(1 - gamma[])*V[s,c]",
        "O[t,c] = (decay(gamma)[t,s] + lt[t,s])*(1 - gamma[])*V[s,c]",
        e,
        2 * e,
        "textbook",
        "",
        {"gamma": ""},
    ),
    Operator(
        "bias_corrected_moving_average",
        quotient("s: decay(gamma)[t,s]*V[s,c]", "s: decay(gamma)[t,s]"),
        quotient("s: (decay(gamma)[t,s] + lt[t,s])*V[s,c]", "s: decay(gamma)[t,s]"),
        e + 1,
        e + 1,
        "arXiv 1412.6980, sec. 3",
        "",
        {"gamma": ""},
    ),
    Operator(
        "gated_moving_average",
        "O[t,c] = decay(a)[t,s,c]*(1 - a[s,c])*V[s,c]",
        "O[t,c] = decay(a)[t,s,c]*(1 - a[s,c])*V[s,c] + lt[t,s]*V[s,c]",
        e,
        2 * e,
        "arXiv 2410.01201 (minimal gated recurrent unit)",
        "",
        {"a": "n e"},
    ),
    Operator(
        "tensor_interaction",
        "O[t,q] = le[s,t]*X[t,p]*Y[s,p]*X[s,q]",
        "O[t,q] = X[t,p]*Y[s,p]*X[s,q]",
        m**2,
        3 * m**2,
        DTN,
        "3*m**2*n <= 4*m*n**2",
    ),
    Operator(
        "tensor_interaction_after_a_function",
        "O[t,q] = relu(sum(s,p: le[s,t]*X[t,p]*Y[s,p]*X[s,q]))",
        "O[t,q] = relu(sum(s,p: X[t,p]*Y[s,p]*X[s,q]))",
        m**2,
        3 * m**2,
        DTN,
    ),
    Operator(
        "second_order_attention",
        f"O[t,c] = {SECOND_MASKS}*{SECOND}*V[j,c]",
        f"O[t,c] = {SECOND_OUTSIDE}*{SECOND}*V[j,c]",
        d**2 + d * e,
        3 * d**2 + 3 * d * e,
        HLA,
        "3*d**2 + 3*d*e <= 2*n*(d + e) + 2*n**2",
    ),
    Operator(
        "second_order_attention_normalised",
        quotient(f"i,j,f,g: {SECOND_MASKS}*{SECOND}*V[j,c]", f"i,j,f,g: {SECOND_MASKS}*{SECOND}"),
        quotient(f"i,j,f,g: {SECOND_MASKS}*{SECOND}*V[j,c]", f"i,j,f,g: {SECOND_OUTSIDE}*{SECOND}"),
        d**2 + d * e + d,
        3 * d**2 + 3 * d * e + 2 * d,
        HLA,
    ),
    Operator(
        "asymmetric_second_order_attention",
        f"O[t,c] = {CASCADE_MASKS}*{CASCADE}*V[j,c]",
        f"O[t,c] = {CASCADE_OUTSIDE}*{CASCADE}*V[j,c]",
        2 * d * e,
        6 * d * e,
        HLA,
        "3*d*e <= n*(d + 2*e), 3*d*e <= n*(d + e) + n**2",
    ),
    Operator(
        "asymmetric_second_order_attention_normalised",
        quotient(f"i,j,f,g: {CASCADE_MASKS}*{CASCADE}*V[j,c]", f"i,j,f,g: {CASCADE_MASKS}*{CASCADE}"),
        quotient(f"i,j,f,g: {CASCADE_MASKS}*{CASCADE}*V[j,c]", f"i,j,f,g: {CASCADE_OUTSIDE}*{CASCADE}"),
        2 * d * e + 2 * d,
        6 * d * e + 5 * d,
        HLA,
    ),
    Operator(
        "third_order_attention",
        f"O[t,c] = {THIRD_MASKS}*{THIRD}",
        f"O[t,c] = {THIRD_OUTSIDE}*{THIRD}",
        d**2 + 2 * d * e,
        3 * d**2 + 6 * d * e,
        "arXiv 2510.27258, sec. 7 (the middle query at most t)",
        "3*d**2 + 6*d*e <= 2*n*(d + e) + 4*n**2",
    ),
    Operator(
        "second_order_attention_decayed_to_the_query",
        f"O[t,c] = decay(gamma)[t,i]*decay(gamma)[t,j]*le[i,j]*{SECOND}*V[j,c]",
        f"O[t,c] = decay(gamma)[t,j]*{SECOND}*V[j,c]",
        d**2 + d * e,
        4 * d**2 + 4 * d * e + 1,
        "definition",
        tensors={"gamma": ""},
    ),
    Operator(
        "second_order_attention_decayed_along_the_path",
        f"O[t,c] = decay(gamma)[t,j]*decay(gamma)[j,i]*{SECOND}*V[j,c]",
        f"O[t,c] = decay(gamma)[t,j]*{SECOND}*V[j,c]",
        d**2 + d * e,
        4 * d**2 + 4 * d * e,
        "definition",
        tensors={"gamma": ""},
    ),
    Operator(
        "delta_rule",
        "O[t,c] = Q[t,f]*decay(A)[t,s,f,g]*beta[s]*K[s,g]*V[s,c]",
        "O[t,c] = Q[t,f]*(decay(A)[t,s,f,g] + lt[t,s]*delta[f,g])*beta[s]*K[s,g]*V[s,c]",
        d * e,
        Min(2 * d**2 * e + 3 * d * e + d, 2 * d**2 * e + 3 * d * e + e),
        DELTA,
        tensors={"A": "n d d"},
    ),
)
STREAMS = {operator.name: operator for operator in OPERATORS}

globals().update({found.name: found for operator in OPERATORS for found in operator.claims()})


# Steps and merges, as they are written down.


def step(name: str, state: str) -> ta.Definition:
    """Return a new state in the old ones and the token."""
    return STREAMS[name].stream.step[state]


def merge(name: str, state: str) -> ta.Definition:
    """Return a statistic of two segments."""
    return STREAMS[name].stream.merge[state]


@claim(
    source=LINEAR,
    kernel=False,
    mutation=lambda: (step("linear_attention", "S1"), token("S[f,c] = S1[f,c] + K[f]*K[g]*V[c]")),
)
def linear_attention_adds_its_key_times_its_value():
    """``S_t = S_(t-1) + k_t v_t^T``."""
    return step("linear_attention", "S1"), token("S[f,c] = S1[f,c] + K[f]*V[c]")


@claim(
    source=MAMBA,
    kernel=False,
    mutation=lambda: (step("scalar_gated_attention", "S1"), token("S[f,c] = a[]*(S1[f,c] + K[f]*V[c])", a="")),
)
def a_gate_forgets_the_past_and_not_the_token():
    """``S_t = a_t S_(t-1) + k_t v_t^T``: the gate of a token does not act on the token."""
    return step("scalar_gated_attention", "S1"), token("S[f,c] = a[]*S1[f,c] + K[f]*V[c]", a="")


@claim(
    source=GATED,
    kernel=False,
    mutation=lambda: (step("channel_gated_attention", "S1"), token("S[f,c] = a[g]*S1[f,c] + K[f]*V[c]", a="d")),
)
def a_channel_gate_acts_on_its_row_of_the_state():
    """``S_t = diag(a_t) S_(t-1) + k_t v_t^T``."""
    return step("channel_gated_attention", "S1"), token("S[f,c] = a[f]*S1[f,c] + K[f]*V[c]", a="d")


@claim(
    source=MAMBA,
    kernel=False,
    mutation=lambda: (
        merge("scalar_gated_attention", "S1"),
        token("S[f,c] = left_M1[]*left_S1[f,c] + right_S1[f,c]", left_M1=""),
    ),
)
def a_merge_of_gated_segments_decays_the_earlier_one_over_the_later_one():
    """``S_AB = rho_B S_A + S_B``: by the gates of the later segment, not by those of the earlier one."""
    return (
        merge("scalar_gated_attention", "S1"),
        token("S[f,c] = right_M1[]*left_S1[f,c] + right_S1[f,c]", right_M1=""),
    )


def second(minimize: str = "state") -> ta.Stream:
    """Return the stream of second-order attention."""
    return ta.stream(STREAMS["second_order_attention"].expr, minimize=minimize)


@claim(
    source="definition",
    kernel=False,
    mutation=lambda: (second().step["S2"], token("N[c,f] = S2[c,f] + S1[f,g]*Q[g]*V[c]")),
)
def second_order_attention_adds_the_new_keys_to_its_values():
    """``N_t = N_(t-1) + S_t q_t v_t^T`` with ``S_t = S_(t-1) + k_t k_t^T``: the new S, not the old one."""
    return second().step["S2"], token("N[c,f] = S2[c,f] + (S1[f,g] + K[f]*K[g])*Q[g]*V[c]")


@claim(source="definition", kernel=False, mutation=lambda: (second().output, token("O[c] = Q[f]*S2[c,f]")))
def second_order_attention_reads_its_values_alone():
    """``o_t = q_t^T N_t``: the output needs N_t alone, and S_t only to make it."""
    return second().output, token("O[c] = Q[f]*(S2[c,f] + sum(g: (S1[f,g] + K[f]*K[g])*Q[g]*V[c]))")


@claim(
    source=HLA,
    kernel=False,
    mutation=lambda: (
        merge("second_order_attention", "S2"),
        token("N[c,f] = left_S2[c,f] + right_S2[c,f] + right_S1[f,g]*left_M1[g,c]"),
    ),
)
def segments_of_second_order_attention_meet_in_one_product():
    """``N_AB = N_A + N_B + S_A C_B``: merging needs ``C = sum q_j v_j^T`` as well, which decoding does not."""
    return (
        merge("second_order_attention", "S2"),
        token("N[c,f] = left_S2[c,f] + right_S2[c,f] + left_S1[f,g]*right_M1[g,c]"),
    )


@claim(source=HLA, mutation=lambda: Quantity.of(second().state_size) + 2 * d * e <= d**2 + 2 * d * e)
def second_order_attention_carries_d_e_numbers_fewer_than_published():
    """(S, N) are d^2 + d e numbers, the published (S, C, G) are d^2 + 2 d e; both are right (causal_attention.py)."""
    return Quantity.of(second().state_size) + d * e == d**2 + 2 * d * e


@claim(source="definition", mutation=lambda: Quantity.of(second().packed_size) * 2 <= d**2 + 2 * d * e)
def the_keys_of_second_order_attention_are_symmetric():
    """S is proved symmetric, so that d (d + 1) / 2 + d e numbers are independent."""
    return Quantity.of(second().packed_size) * 2 == d**2 + d + 2 * d * e


# The delta rule: the transition is known at every token.

DELTA_STEP = "S[c,f] = S1[c,f] + beta[]*K[f]*(V[c] - sum(g: S1[c,g]*K[g]))"


def transition(term: str) -> list[tuple[ta.Expr, ta.Expr]]:
    """Return the hypothesis that the transition of a token is a term in its key."""
    indices, tensors = {"f,g": "d"}, {"beta": "", "a": ""}
    return [(ta.parse("A[f,g]", indices, free=("f", "g")), ta.parse(term, indices, tensors, ("f", "g")))]


def delta_step(statement: str) -> tuple[ta.Expr, ta.Expr]:
    """Return the derived step of the delta rule, its legs called as in a statement of it."""
    found = step("delta_rule", "S1")
    c, f = (leg for leg in token(statement, beta="", a="").legs)
    return ta.define((c, f), found[(c, f)]), token(statement, beta="", a="")


@claim(
    source=DELTA,
    kernel=False,
    given=transition("delta[f,g] - beta[]*K[f]*K[g]"),
    mutation=lambda: delta_step("S[c,f] = S1[c,f] + beta[]*K[f]*(V[c] + sum(g: S1[c,g]*K[g]))"),
)
def the_delta_rule_replaces_what_its_key_recalls():
    """With ``A_t = I - beta_t k_t k_t^T``: ``S_t = S_(t-1) + beta_t k_t (v_t - S_(t-1)^T k_t)^T``."""
    return delta_step(DELTA_STEP)


@claim(
    source=GATED_DELTA,
    kernel=False,
    given=transition("a[]*(delta[f,g] - beta[]*K[f]*K[g])"),
    mutation=lambda: delta_step(DELTA_STEP.replace("S1", "a[]*S1", 1)),
)
def the_gated_delta_rule_recalls_from_the_decayed_state():
    """With ``A_t = a_t (I - beta_t k_t k_t^T)``: the same from ``a_t S_(t-1)``; what is recalled is decayed too."""
    return delta_step(DELTA_STEP.replace("S1", "a[]*S1"))


# What does not stream, and what is not the same.


@claim(source="a mistake: no mask", expected="refuted")
def attention_to_all_tokens_streams():
    """Without a mask the output depends on later tokens, whichever way time runs."""
    return Streamable(text(f"O[t,c] = {SCORES}*{VALUE}"))


@claim(source=f"{HLA}; a mistake: the mask applied outside alone", expected="refuted")
def second_order_attention_masked_outside_streams():
    """``((Q K^T)(Q K^T)^T . L) V`` sees later keys."""
    return Streamable(text(f"O[t,c] = {SECOND_OUTSIDE}*{SECOND}*V[j,c]"))


@claim(source="arXiv 2510.27258, sec. 7 (the mask applied outside alone)", expected="refuted")
def third_order_attention_masked_outside_streams():
    """``((A A^T A) . L) V`` with causal A is not causal: its middle query may come after t."""
    return Streamable(text(f"O[t,c] = {THIRD_OUTSIDE}*{THIRD}"))


@claim(source="a mistake: the normaliser of all tokens", expected="refuted")
def attention_normalised_over_all_tokens_streams():
    """A normaliser over all keys is known after the last token alone."""
    return Streamable(STREAMS["normalised_linear_attention"].leaky_expr)


def softmax() -> ta.Definition:
    """Return causal softmax attention."""
    return text(quotient(f"s: le[s,t]*exp(sum(f: {SCORES}))*V[s,c]", f"s: le[s,t]*exp(sum(f: {SCORES}))"))


@claim(source="arXiv 1706.03762, sec. 3.2.1 (softmax attention)", expected="refuted")
def causal_softmax_attention_streams():
    """No state of constant size has all later sums of ``exp(q_t . k_s)`` affine in it: the Hankel rank grows."""
    return Streamable(softmax())


@claim(source="a mistake: the exponential taken entry by entry", expected="refuted")
def softmax_attention_is_attention_with_exponential_features():
    """``exp(q . k)`` couples query and key; ``exp(q) . exp(k)`` does not, and is something else."""
    return softmax(), STREAMS["linear_attention_with_positive_features"].expr


@claim(source="a mistake: the present token forgotten", expected="refuted")
def a_token_does_not_answer_itself():
    """The output reads the state after the token, not before it."""
    return STREAMS["linear_attention"].expr, text(f"O[t,c] = lt[s,t]*{SCORES}*{VALUE}")


@claim(source="a mistake: only the numerator forgets", expected="refuted")
def the_normaliser_need_not_decay():
    """Numerator and normaliser carry the same gates."""
    top, bottom = f"s,f: decay(a)[t,s]*b[s]*{SCORES}*{VALUE}", f"s,f: le[s,t]*b[s]*{SCORES}"
    return STREAMS["scalar_gated_normalised_attention"].expr, text(quotient(top, bottom), a="n")


@claim(source="a mistake: weights that do not sum to one", expected="refuted")
def a_moving_average_needs_no_correction_at_the_start():
    """The weights (1 - gamma) gamma^(t-s) from the first token on sum to 1 - gamma^t, not to 1."""
    moving, corrected = (STREAMS[name].expr for name in ("exponential_moving_average", "bias_corrected_moving_average"))
    return moving, corrected


@claim(source="a mistake: the two decays taken for one", expected="refuted")
def both_decays_of_second_order_attention_are_the_same():
    """gamma^((t-i)+(t-j)) decays the values twice as fast as gamma^((t-j)+(j-i))."""
    to_query, along = (STREAMS[f"second_order_attention_decayed_{how}"] for how in ("to_the_query", "along_the_path"))
    return to_query.expr, along.expr
