"""Claims of backward passes: what was written by hand is the gradient.

The left side of a claim is `ta.grad`, what the definition's derivative makes of the incoming gradient dO, and the right
side the backward pass as its source has it, or as one would write it.  In the text form t, s, r, u are tokens, f, g, h
features of queries and keys, c those of values, i hidden units; b is positive.  Queries, keys and values have the
gradients dQ, dK, dV; P are weights, dP and dS what arrives at them and at the scores.  ``lt[p,r]*near[p,r,2]`` is 1
where p is the step before r.  A mutation, or a claim expected to be refuted, is a mistake that is easily made.
"""

from __future__ import annotations

import tensoralg as ta
from tensoralg.claims import claim

FLASH = "arXiv 2205.14135, appendix B.2 (memory-efficient backward pass)"
LINEAR = "arXiv 2006.16236, sec. 3.3.1 (gradient computation)"
SECOND = "arXiv 2510.27258, theorem 3.1 (the operator)"
RETENTION = "arXiv 2307.08621, sec. 2.1 (the operator)"
GATED = "arXiv 2312.06635 (gated linear attention, gradients of the gates)"
RECURRENT = "arXiv 1709.04057 (linear recurrences and their backward pass)"
LAYER, ROOT = "arXiv 1607.06450, sec. 3 (the operator)", "arXiv 1910.07467, sec. 3 (the operator)"
COLLECTED = "M. B. Giles, Collected matrix derivative results (2008), sec. 2.2"

TOKENS = {"t,s,r,u,p": "n ordered", "f,g,h": "d", "c": "e", "i,j": "k"}
TABLE = {"b": " positive", "a": "n"}
SIZES = {"n": 7, "d": 3, "e": 4, "k": 3}


def at(names: str) -> dict[str, int]:
    """Return the sizes at which a kernel is run."""
    return {name: SIZES[name] for name in names.split()}


def text(statements: str, **tensors: str) -> ta.Definition:
    """Return the operator that the statements define."""
    return ta.parse(statements, TOKENS, {**TABLE, **tensors})


# Softmax attention.

SCORES = "sum(f: Q[t,f]*K[s,f])/sqrt(d)"
ATTENTION = text(f"O[t,c] = softmax(s: {SCORES})*V[s,c]")
BACKWARD = (
    f"P[t,s] = softmax(s: {SCORES}); dP[t,s] = dO[t,c]*V[s,c]; dS[t,s] = P[t,s]*(dP[t,s] - sum(r: P[t,r]*dP[t,r]));"
)
UNCENTRED = BACKWARD.replace(" - sum(r: P[t,r]*dP[t,r])", "")
DV, DQ, DK = "dV[s,c] = P[t,s]*dO[t,c]", "dQ[t,f] = dS[t,s]*K[s,f]/sqrt(d)", "dK[s,f] = dS[t,s]*Q[t,f]/sqrt(d)"


@claim(
    source=FLASH,
    sizes=at("n d e"),
    mutation=lambda: (ta.grad(ATTENTION, "V"), text(BACKWARD + DV.replace("t,s", "s,t"))),
)
def the_gradient_of_the_values_is_weighted():
    """``dV = P^T dO``, with the weights transposed."""
    return ta.grad(ATTENTION, "V"), text(BACKWARD + DV)


@claim(source=FLASH, sizes=at("n d e"), mutation=lambda: (ta.grad(ATTENTION, "Q"), text(UNCENTRED + DQ)))
def the_gradient_of_the_queries():
    """``dQ = dS K / sqrt(d)`` with ``dS = P * (dP - rowsum(P * dP))``; the sum over the row may not be left out."""
    return ta.grad(ATTENTION, "Q"), text(BACKWARD + DQ)


@claim(source=FLASH, sizes=at("n d e"), mutation=lambda: (ta.grad(ATTENTION, "K"), text(UNCENTRED + DK)))
def the_gradient_of_the_keys():
    """``dK = dS^T Q / sqrt(d)``."""
    return ta.grad(ATTENTION, "K"), text(BACKWARD + DK)


@claim(
    source=FLASH,
    sizes=at("n d e"),
    mutation=lambda: (ta.grad(ATTENTION, "Q"), text(FROM_OUTPUT.replace("A[t,c]", "dO[t,c]") + DQ)),
)
def the_row_sum_is_gradient_times_output():
    """``rowsum(P * dP) = rowsum(dO * O)``: the backward pass needs the output and not the weights for it."""
    return ta.grad(ATTENTION, "Q"), text(FROM_OUTPUT + DQ)


FROM_OUTPUT = f"""P[t,s] = softmax(s: {SCORES}); A[t,c] = P[t,s]*V[s,c]; D[t] = dO[t,c]*A[t,c];
    dP[t,s] = dO[t,c]*V[s,c]; dS[t,s] = P[t,s]*(dP[t,s] - D[t]);"""

CAUSAL = text(f"W[t,s] = le[s,t]*exp({SCORES}); O[t,c] = W[t,s]*V[s,c]/sum(r: W[t,r])")
CAUSAL_BACKWARD = f"W[t,s] = le[s,t]*exp({SCORES}); P[t,s] = W[t,s]/sum(r: W[t,r]);" + BACKWARD.partition(";")[2]


@claim(source=FLASH, sizes=at("n d e"), mutation=lambda: (ta.grad(CAUSAL, "Q"), text(BACKWARD + DQ)))
def the_gradient_of_the_queries_under_a_causal_mask():
    """The mask stands in the weights, and from there in the gradient of the scores."""
    return ta.grad(CAUSAL, "Q"), text(CAUSAL_BACKWARD + DQ)


@claim(
    source=FLASH,
    sizes=at("n d e"),
    mutation=lambda: (ta.grad(CAUSAL, "K"), text(CAUSAL_BACKWARD + DK.replace("dS[t,s]", "dS[s,t]"))),
)
def the_gradient_of_the_keys_under_a_causal_mask():
    """A key hears from the present and the future."""
    return ta.grad(CAUSAL, "K"), text(CAUSAL_BACKWARD + DK)


@claim(source="a mistake: the mask is put on the gradient only", expected="refuted")
def the_gradient_of_masked_attention_is_the_masked_gradient():
    """Masking dS of the unmasked weights leaves weights that are normalised over the future too."""
    return ta.grad(CAUSAL, "Q"), text(BACKWARD.replace("dS[t,s] = ", "dS[t,s] = le[s,t]*") + DQ)


@claim(source="textbook", sizes=at("n e"))
def a_gradient_of_the_scores_sums_to_zero():
    """A shift of all scores of a query does not move the output."""
    attend = text("O[t,c] = softmax(s: S[t,s])*V[s,c]")
    (t, s), gradient = ta.grad(attend, "S").legs, ta.grad(attend, "S")
    return ta.define((t,), gradient[t, s].sum(s)), text("Z[t] = 0")


# Softmax, entropies, pointwise functions.

LOG_SUM_EXP = text("L[t] = log(sum(s: exp(S[t,s])))")


@claim(
    source="textbook",
    sizes=at("n"),
    mutation=lambda: (ta.grad(LOG_SUM_EXP, "S"), text("G[t,s] = dL[t]*softmax(t: S[t,s])")),
)
def the_gradient_of_log_sum_exp_is_softmax():
    """``d/dS log sum exp S = softmax S``, over the index that was summed."""
    return ta.grad(LOG_SUM_EXP, "S"), text("G[t,s] = dL[t]*softmax(s: S[t,s])")


@claim(
    source="textbook",
    sizes=at("n"),
    mutation=lambda: (jacobian(), text("J[s,r] = softmax(s: x[s])*(delta[s,r] - softmax(s: x[s]))")),
)
def the_jacobian_of_softmax():
    """``diag(p) - p p^T``."""
    return jacobian(), text("J[s,r] = softmax(s: x[s])*(delta[s,r] - softmax(r: x[r]))")


def jacobian() -> ta.Definition:
    """Return the derivative of softmax."""
    return ta.derivative(text("P[s] = softmax(s: x[s])"), "x", legs="r")


@claim(source="textbook", sizes=at("n"))
def the_hessian_of_log_sum_exp_is_the_jacobian_of_softmax():
    """The second derivative of log-sum-exp is a covariance."""
    slope = ta.derivative(text("L[] = log(sum(s: exp(x[s])))"), "x", legs="s")
    return ta.derivative(slope, "x", legs="r"), jacobian()


CROSS_ENTROPY = text("L[t] = -sum(s: Y[t,s]*log(softmax(s: S[t,s])))")


@claim(
    source="textbook",
    sizes=at("n"),
    kernel=False,
    mutation=lambda: (ta.grad(CROSS_ENTROPY, "S"), text("G[t,s] = dL[t]*(softmax(s: S[t,s]) - Y[t,s])")),
)
def the_gradient_of_cross_entropy():
    """It is ``softmax - y`` if the targets sum to one, and only then."""
    return ta.grad(CROSS_ENTROPY, "S"), text("G[t,s] = dL[t]*(softmax(s: S[t,s]) - Y[t,s])"), [TARGETS]


TARGETS = (ta.parse("sum(s: Y[t,s])", TOKENS, free=("t",)), 1)


@claim(
    source="textbook",
    sizes=at("n"),
    mutation=lambda: (ta.grad(SIGMOID, "x"), text("G[t] = dO[t]*exp(-x[t])/(1 + exp(-x[t]))")),
)
def the_derivative_of_the_sigmoid():
    """``y (1 - y)``."""
    return ta.grad(SIGMOID, "x"), text("y[t] = 1/(1 + exp(-x[t])); G[t] = dO[t]*y[t]*(1 - y[t])")


SIGMOID = text("O[t] = 1/(1 + exp(-x[t]))")


@claim(source="arXiv 1606.08415 (sigmoid linear units)", sizes=at("n"))
def the_derivative_of_silu():
    """``y + sigmoid(x) (1 - y)`` for ``y = x sigmoid(x)``."""
    silu = text("O[t] = x[t]/(1 + exp(-x[t]))")
    return ta.grad(silu, "x"), text("y[t] = x[t]/(1 + exp(-x[t])); G[t] = dO[t]*(y[t] + (1 - y[t])/(1 + exp(-x[t])))")


PERCEPTRON = text("O[t,c] = A[c,i]*relu(sum(f: B[i,f]*x[t,f]))", A="e k", B="k d", x="n d")
HIDDEN = "z[t,i] = B[i,f]*x[t,f]; dz[t,i] = relu(z[t,i])/z[t,i]*sum(c: A[c,i]*dO[t,c]);"


@claim(
    source="textbook",
    sizes=at("n d e k"),
    mutation=lambda: (ta.grad(PERCEPTRON, "B"), text(f"{HIDDEN} G[i,f] = relu(z[t,i])*sum(c: A[c,i]*dO[t,c])*x[t,f]")),
)
def the_gradient_of_a_hidden_layer():
    """The gradient passes where the unit is on; ``relu(z)/z`` is 1 where z > 0 and 0 where z < 0."""
    return ta.grad(PERCEPTRON, "B"), text(f"{HIDDEN} G[i,f] = dz[t,i]*x[t,f]", B="k d", x="n d")


# Norms.

RMS = text("O[t,f] = w[f]*x[t,f]/sqrt(sum(g: x[t,g]*x[t,g])/d + b[])", w="d", x="n d")
RMS_BACKWARD = """R[t] = sqrt(sum(g: x[t,g]*x[t,g])/d + b[]); y[t,f] = x[t,f]/R[t]; m[t,f] = dO[t,f]*w[f];
    G[t,f] = (m[t,f] - y[t,f]*sum(g: m[t,g]*y[t,g])/d)/R[t]"""


@claim(source=ROOT, sizes=at("n d"), mutation=lambda: (ta.grad(RMS, "x"), text(RMS_BACKWARD.replace(")/d)/R", "))/R"))))
def the_gradient_of_rms_norm():
    """The incoming gradient less its mean along the normalised vector, over the root."""
    return ta.grad(RMS, "x"), text(RMS_BACKWARD)


@claim(source=ROOT, sizes=at("n d"))
def the_gradient_of_the_gain_of_rms_norm():
    """``dw = sum over the tokens of dO * y``."""
    return ta.grad(RMS, "w"), text("G[f] = dO[t,f]*x[t,f]/sqrt(sum(g: x[t,g]*x[t,g])/d + b[])")


CENTRED = (
    "m[t] = sum(g: x[t,g])/d; z[t,f] = x[t,f] - m[t]; R[t] = sqrt(sum(g: z[t,g]*z[t,g])/d + b[]); y[t,f] = z[t,f]/R[t];"
)
LAYER_NORM = text(f"{CENTRED} O[t,f] = w[f]*y[t,f] + v[f]")
LAYER_BACKWARD = (
    f"{CENTRED} q[t,f] = dO[t,f]*w[f]; G[t,f] = (q[t,f] - sum(g: q[t,g])/d - y[t,f]*sum(g: q[t,g]*y[t,g])/d)/R[t]"
)


@claim(
    source=LAYER,
    sizes=at("n d"),
    mutation=lambda: (ta.grad(LAYER_NORM, "x"), text(LAYER_BACKWARD.replace(" - y[t,f]*sum(g: q[t,g]*y[t,g])/d", ""))),
)
def the_gradient_of_layer_norm():
    """The incoming gradient less its mean and less its mean along the normalised vector, over the root."""
    return ta.grad(LAYER_NORM, "x"), text(LAYER_BACKWARD)


@claim(source="a mistake: the mean is taken for a constant", expected="refuted")
def layer_norm_returns_what_rms_norm_does():
    """Layer norm is RMS norm of centred vectors, and its gradient is centred as well."""
    back = LAYER_BACKWARD.replace(" - sum(g: q[t,g])/d", "")
    return ta.grad(LAYER_NORM, "x"), text(back)


# Linear attention.

CAUSAL_LINEAR = text("O[t,c] = le[s,t]*Q[t,f]*K[s,f]*V[s,c]")
PAST, FUTURE = "S[t,f,c] = le[s,t]*K[s,f]*V[s,c];", "S[s,f,c] = le[s,t]*Q[t,f]*dO[t,c];"


@claim(
    source=LINEAR,
    sizes=at("n d e"),
    mutation=lambda: (ta.grad(CAUSAL_LINEAR, "Q"), text(f"{FUTURE} G[t,f] = dO[t,c]*S[t,f,c]")),
)
def linear_attention_gives_queries_the_past():
    """``dQ_t = (sum over s <= t of k_s v_s^T) dO_t``, with the states of the forward pass."""
    return ta.grad(CAUSAL_LINEAR, "Q"), text(f"{PAST} G[t,f] = dO[t,c]*S[t,f,c]")


@claim(
    source=LINEAR,
    sizes=at("n d e"),
    mutation=lambda: (
        ta.grad(CAUSAL_LINEAR, "K"),
        text(f"{FUTURE.replace('le[s,t]', 'lt[s,t]')} G[s,f] = V[s,c]*S[s,f,c]"),
    ),
)
def linear_attention_gives_keys_the_future():
    """``dK_s = (sum over t >= s of q_t dO_t^T) v_s``, the present included."""
    return ta.grad(CAUSAL_LINEAR, "K"), text(f"{FUTURE} G[s,f] = V[s,c]*S[s,f,c]")


@claim(source=LINEAR, sizes=at("n d e"))
def linear_attention_gives_values_the_future():
    """``dV_s = (sum over t >= s of dO_t q_t^T) k_s``."""
    return ta.grad(CAUSAL_LINEAR, "V"), text(f"{FUTURE} G[s,c] = K[s,f]*S[s,f,c]")


NORMALISED = text("Z[t] = le[r,t]*Q[t,f]*K[r,f]; O[t,c] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,c])/Z[t]")
RETURNED = """Z[t] = le[r,t]*Q[t,f]*K[r,f]; A[t,c] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,c])/Z[t]; D[t] = dO[t,c]*A[t,c];
    X[t,s] = le[s,t]*(sum(c: dO[t,c]*V[s,c]) - D[t])/Z[t];"""


@claim(
    source="arXiv 2006.16236, sec. 3.2 (the operator)",
    sizes=at("n d e"),
    mutation=lambda: (ta.grad(NORMALISED, "Q"), text(f"{RETURNED.replace(' - D[t]', '')} G[t,f] = X[t,s]*K[s,f]")),
)
def normalised_linear_attention_is_centred_too():
    """Where softmax has its weights, it has ``le * q k / Z``: dO v less gradient times output, over Z."""
    return ta.grad(NORMALISED, "Q"), text(f"{RETURNED} G[t,f] = X[t,s]*K[s,f]")


@claim(source="a mistake: dO over the normaliser, and then as without one", expected="refuted")
def normalised_linear_attention_returns_what_linear_attention_does():
    """The normaliser depends on the queries too."""
    divided = "Z[t] = le[r,t]*Q[t,f]*K[r,f]; X[t,c] = dO[t,c]/Z[t];"
    return ta.grad(NORMALISED, "Q"), text(f"{divided} {PAST} G[t,f] = X[t,c]*S[t,f,c]")


SECOND_ORDER = text("O[t,c] = le[r,t]*le[r,s]*le[s,t]*Q[t,f]*K[r,f]*Q[s,g]*K[r,g]*V[s,c]")
SECOND_KEYS = """A[t,r] = le[r,t]*Q[t,f]*K[r,f]; X[t,s] = le[s,t]*dO[t,c]*V[s,c];
    Y[t,r] = le[r,t]*sum(s: X[t,s]*A[s,r]); Z[s,r] = le[r,s]*sum(t: X[t,s]*A[t,r]);
    G[r,f] = Y[t,r]*Q[t,f] + Z[t,r]*Q[t,f]"""


@claim(
    source=SECOND,
    sizes={"n": 5, "d": 3, "e": 3},
    mutation=lambda: (ta.grad(SECOND_ORDER, "K", legs="r f"), text(SECOND_KEYS.replace(" + Z[t,r]*Q[t,f]", ""))),
)
def the_keys_of_second_order_attention():
    """``(A A^T * L) V`` for ``A = L * Q K^T``: the keys stand in both factors."""
    return ta.grad(SECOND_ORDER, "K", legs="r f"), text(SECOND_KEYS)


# Gates.

RETAIN = text("O[t,c] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,c]", a="")
GATE = text("O[t,c] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,c]")


@claim(source=RETENTION, sizes=at("n d e"))
def retention_runs_backwards():
    """``dK_s`` reads a state that decays from the future to the present."""
    back = text("S[s,f,c] = decay(a)[t,s]*Q[t,f]*dO[t,c]; G[s,f] = V[s,c]*S[s,f,c]", a="")
    return ta.grad(RETAIN, "K"), back


@claim(source=RETENTION, sizes=at("n d e"), kernel=False)
def the_rate_of_retention_sees_the_distance():
    """``a dO/da = sum over s <= t of (t - s) a^(t - s) ..``, where t - s counts the steps after s up to t."""
    counted = "G[] = sum(t,s,r,f,c: lt[s,r]*le[r,t]*decay(a)[t,s]*dO[t,c]*Q[t,f]*K[s,f]*V[s,c])"
    return ta.define((), ta.tensor("a", ta.Unit)[()] * ta.grad(RETAIN, "a")[()]), text(counted, a="")


RECURRENCE = text("O[t] = decay(a)[t,s]*x[s]")
BACK = "H[r] = decay(a)[t,r]*dO[t]; Y[t] = decay(a)[t,s]*x[s];"


@claim(
    source=RECURRENT,
    sizes=at("n"),
    mutation=lambda: (ta.grad(RECURRENCE, "a", legs="r"), text(f"{BACK} G[r] = H[r]*Y[r]")),
)
def the_gate_of_a_recurrence_sees_the_state_before():
    """``da_r = dy_r y_(r-1)``, with the state one step before and the gradient that runs back to r."""
    before = text(f"{BACK} G[r] = H[r]*sum(p: lt[p,r]*near[p,r,2]*Y[p])")
    return ta.grad(RECURRENCE, "a", legs="r"), before


@claim(source="a mistake: the state over its gate for the state before", expected="refuted")
def the_gate_of_a_recurrence_sees_the_state():
    """The state over the gate holds the present input too, which that gate did not multiply."""
    return ta.grad(RECURRENCE, "a", legs="r"), text(f"{BACK} G[r] = H[r]*Y[r]/a[r]")


@claim(source=GATED, sizes=at("n d e"), mutation=lambda: (times_gate(), of_queries_and_keys("lt[r,t]")))
def the_gate_needs_no_states():
    """``a_r da_r = sum over t >= r of (q_t dq_t - k_t dk_t)``: the gradients of queries and keys tell the gates'."""
    return times_gate(), of_queries_and_keys("le[r,t]")


def times_gate() -> ta.Definition:
    """Return the gradient of a gate times the gate."""
    gradient = ta.grad(GATE, "a", legs="r")
    (r,) = gradient.legs
    return ta.define((r,), ta.tensor("a", r.space)[r] * gradient[r])


def of_queries_and_keys(mask: str) -> ta.Definition:
    """Return the sum over times, as the mask says, of queries and keys times their gradients."""
    queries, keys = ta.grad(GATE, "Q"), ta.grad(GATE, "K", legs="t f")
    t, f = queries.legs
    r = t.space.index("r")
    Q, K = ta.tensors("Q K", t.space @ f.space)
    later = ta.le[r, t] if mask == "le[r,t]" else ta.lt[r, t]
    return ta.define((r,), (later * (Q[t, f] * queries[t, f] - K[t, f] * keys[t, f])).sum(t, f))


MATRICES = text("O[t,f] = decay(A)[t,s,f,g]*x[s,g]", A="n d d", x="n d")


@claim(source="arXiv 2405.21060, sec. 2 (selective state spaces)", sizes=at("n d"))
def the_matrices_of_a_state_space_see_the_state_before():
    """``dA_r = dh_r h_(r-1)^T`` for matrices that do not commute."""
    table = {"A": "n d d", "x": "n d"}
    before = text(
        """H[r,f] = decay(A)[t,r,g,f]*dO[t,g]; Y[t,f] = decay(A)[t,s,f,g]*x[s,g];
        G[r,f,g] = H[r,f]*sum(p: lt[p,r]*near[p,r,2]*Y[p,g])""",
        **table,
    )
    return ta.grad(MATRICES, "A", legs="r f g"), before


# Matrices.

F = ta.Space("d", "d")
f, g, h, l = F.indices("f g h l")
A, B, G = ta.tensor("A", F @ F), ta.tensor("B", F @ F), ta.tensor("dO", F @ F)
INVERSE = ta.tensor("X", F @ F, inverse_of=A)


@claim(
    source=COLLECTED,
    sizes={"d": 5},
    mutation=lambda: (ta.grad(PRODUCT, "A"), ta.define((f, g), G[f, h] * B[h, g])),
)
def the_gradient_of_a_product():
    """``dA = dO B^T`` for ``O = A B``."""
    return ta.grad(PRODUCT, "A"), ta.define((f, g), G[f, h] * B[g, h])


PRODUCT = ta.define((f, h), A[f, g] * B[g, h], name="O")


@claim(
    source=COLLECTED,
    kernel=False,
    mutation=lambda: (of_the_inverse(), ta.define((f, g), -INVERSE[f, h] * G[h, l] * INVERSE[l, g])),
)
def the_gradient_of_an_inverse():
    """``dA = - X^T dO X^T`` for ``X = A^-1``."""
    return of_the_inverse(), ta.define((f, g), -INVERSE[h, f] * G[h, l] * INVERSE[g, l])


def of_the_inverse() -> ta.Definition:
    """Return the gradient of the inverse of a matrix with respect to the matrix."""
    return ta.grad(ta.define((f, g), INVERSE[f, g], name="O"), A, legs="f g")


@claim(source="definition", sizes={"d": 5}, mutation=lambda: (form(), ta.define((f, g), X[f] * Y[g])))
def the_gradient_of_a_bilinear_form_of_a_symmetric_matrix_is_symmetric():
    """``x^T S y`` moves along symmetric matrices by ``(x y^T + y x^T)/2``, and not by ``x y^T``."""
    return form(), ta.define((f, g), (X[f] * Y[g] + X[g] * Y[f]) / 2)


X, Y = ta.tensors("x y", F)


def form() -> ta.Definition:
    """Return the derivative of a bilinear form with respect to its symmetric matrix."""
    S = ta.tensor("S", F @ F, symmetric=True)
    return ta.derivative(ta.define((), S[f, g] * X[f] * Y[g]), "S", legs="f g")
