"""Claims under hypotheses: what follows is proved and certified, what does not is not, and contradictions are told."""

from fractions import Fraction
from random import Random

import pytest
from oracle import oracle

import tensoralg as ta
from tensoralg.errors import FreeIndexMismatch, InvalidExpression
from tensoralg.proof import checker
from tensoralg.proof.decide import decide, engine_for
from tensoralg.proof.hypotheses import linear_solution
from tensoralg.proof.models import model
from tensoralg.proof.prove import state

pytestmark = pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")

INDICES = {"i,j,k,l,m": "n", "a,b,c": "d", "t,s,r,u": "T ordered"}
INVERSE = [("A[i,j]*C[j,k]", "delta[i,k]", "i,k"), ("C[i,j]*A[j,k]", "delta[i,k]", "i,k")]
COMMUTE = [("A[i,j]*B[j,k]", "B[i,j]*A[j,k]", "i,k")]
ROWS = [("sum(s: Q[t,s])", "1", "t")]
CAUSAL = [("le[s,t]*Q[t,s]", "Q[t,s]", "s,t")]
QUATERNIONS = [
    ("A[i,j]*A[j,k]", "-delta[i,k]", "i,k"),
    ("B[i,j]*B[j,k]", "-delta[i,k]", "i,k"),
    ("A[i,j]*B[j,k]", "-B[i,j]*A[j,k]", "i,k"),
]
# hypotheses, left, right, free indices, and a right side that does not follow
FOLLOWS = {
    "push-through": (
        [
            ("X[i,j] + X[i,k]*R[k,a]*S[a,j]", "delta[i,j]", "i,j"),
            ("Y[a,b] + S[a,i]*R[i,c]*Y[c,b]", "delta[a,b]", "a,b"),
        ],
        "R[i,b]*Y[b,a]",
        "X[i,j]*R[j,a]",
        "i,a",
        "2*X[i,j]*R[j,a]",
    ),
    "equal inverses": ([INVERSE[0], ("B[i,j]*A[j,k]", "delta[i,k]", "i,k")], "B[i,k]", "C[i,k]", "i,k", "2*C[i,k]"),
    "an inverse commutes with what its matrix does": (
        [*COMMUTE, *INVERSE],
        "C[i,j]*B[j,k]",
        "B[i,j]*C[j,k]",
        "i,k",
        "2*B[i,j]*C[j,k]",
    ),
    "commuting under a trace": (
        COMMUTE,
        "A[i,j]*A[j,k]*B[k,l]*B[l,i]",
        "A[i,j]*B[j,k]*A[k,l]*B[l,i]",
        "",
        "2*A[i,j]*B[j,k]*A[k,l]*B[l,i]",
    ),
    "powers that commute": (
        COMMUTE,
        "A[i,j]*A[j,k]*B[k,l]*B[l,m]",
        "B[i,j]*B[j,k]*A[k,l]*A[l,m]",
        "i,m",
        "B[i,j]*B[j,k]*A[k,l]*B[l,m]",
    ),
    "anticommuting under a trace": ([("A[i,j]*B[j,k]", "-B[i,j]*A[j,k]", "i,k")], "A[i,j]*B[j,i]", "0", "", "1"),
    "symmetric by hypothesis": (
        [("A[i,j]", "A[j,i]", "i,j")],
        "A[i,j]*B[j,k]",
        "B[j,k]*A[j,i]",
        "i,k",
        "B[k,j]*A[j,i]",
    ),
    "antisymmetric by hypothesis": ([("A[i,j]", "-A[j,i]", "i,j")], "x[i]*A[i,j]*x[j]", "0", "", "x[i]*x[i]"),
    "involution": ([("P[i,j]*P[j,k]", "delta[i,k]", "i,k")], "P[i,j]*P[j,k]*P[k,l]", "P[i,l]", "i,l", "delta[i,l]"),
    "braid": (
        [("A[i,j]*B[j,k]*A[k,l]", "B[i,j]*A[j,k]*B[k,l]", "i,l")],
        "A[i,j]*B[j,k]*A[k,l]*A[l,m]",
        "B[i,j]*A[j,k]*B[k,l]*A[l,m]",
        "i,m",
        "2*B[i,j]*A[j,k]*B[k,l]*A[l,m]",
    ),
    "quaternions": (
        QUATERNIONS,
        "A[i,j]*B[j,k]*A[k,l]*B[l,m]",
        "-delta[i,m]",
        "i,m",
        "delta[i,m]",
    ),
    "constant": ([("x[i]*z[]", "y[j]*z[]", "i,j")], "x[i]*z[]", "x[j]*z[]", "i,j", "2*x[j]*z[]"),
    "a sum of three": (
        [("A[i,j] + B[i,j] + C[i,j]", "0", "i,j")],
        "A[i,j]*x[j] + B[i,j]*x[j]",
        "-C[i,j]*x[j]",
        "i",
        "C[i,j]*x[j]",
    ),
    "sizes as factors": ([("n*x[i]*w[i]", "y[i]*y[i]", "i")], "n*x[i]*w[i]*z[i]", "y[i]*y[i]*z[i]", "i", "x[i]*w[i]"),
    "rows split by masks": (
        ROWS,
        "sum(s: le[s,t]*Q[t,s]) + sum(s: lt[t,s]*Q[t,s])",
        "1",
        "t",
        "2",
    ),
    "rows beside others in order": (
        ROWS,
        "sum(s,r: le[s,t]*le[r,t]*Q[t,s]*x[r]) + sum(s,r: lt[t,s]*le[r,t]*Q[t,s]*x[r])",
        "sum(r: le[r,t]*x[r])",
        "t",
        "sum(r: x[r])",
    ),
    "causal rows split by the diagonal": (
        [("sum(s: le[s,t]*Q[t,s])", "1", "t")],
        "sum(s: lt[s,t]*Q[t,s])",
        "1 - Q[t,t]",
        "t",
        "1",
    ),
    "products of causal matrices are causal": (CAUSAL, "lt[t,s]*sum(r: Q[t,r]*Q[r,s])", "0", "t,s", "lt[t,s]*Q[s,t]"),
    "orthonormal columns over time": (
        [("sum(t: U[t,a]*U[t,b])", "delta[a,b]", "a,b")],
        "sum(t,s: le[s,t]*U[t,a]*U[t,b]*x[s]) + sum(t,s: lt[t,s]*U[t,a]*U[t,b]*x[s])",
        "delta[a,b]*sum(s: x[s])",
        "a,b",
        "sum(s: x[s])",
    ),
}


def parsed(text, free):
    return ta.parse(text, INDICES, free=free)


def pairs(given):
    return [(parsed(a, free), parsed(b, free)) for a, b, free in given]


@pytest.mark.parametrize("name", FOLLOWS)
def test_what_follows_is_proved_and_certified(name):
    given, left, right, free, _ = FOLLOWS[name]
    verdict = ta.prove(parsed(left, free), parsed(right, free), given=pairs(given))
    assert verdict.status == "proved", verdict.reason
    assert checker.check(verdict.certificate)


@pytest.mark.parametrize("name", FOLLOWS)
def test_without_the_hypotheses_it_is_not_proved(name):
    _, left, right, free, _ = FOLLOWS[name]
    assert ta.prove(parsed(left, free), parsed(right, free)).status == "refuted"


@pytest.mark.parametrize("name", FOLLOWS)
def test_what_does_not_follow_is_not_proved(name):
    given, left, _, free, wrong = FOLLOWS[name]
    stated = state(parsed(left, free), parsed(wrong, free), pairs(given), None)
    assert decide(stated.encoded, engine_for(stated.encoded, stated.claim.tensors, stated.definitions)).missing


def facts_claims():
    V = ta.Space("V", "n")
    i, j, k = V.indices("i j k")
    A = ta.tensor("A", V @ V)
    first, second = (ta.tensor(name, V @ V, inverse_of="A") for name in "IJ")
    inside = 0 * A[i, k]
    yield "two inverses of one", first[i, k] + inside, second[i, k] + inside, (i, k)
    U = ta.tensor("U", V @ V, isometry=True)
    yield "a square isometry", (U[i, j] * U[k, j]).sum(j), ta.delta[i, k], (i, k)
    P = ta.tensor("P", V @ V, projection=True, symmetric=True)
    yield "a symmetric projection", (P[j, i] * P[j, k]).sum(j), P[k, i], (i, k)


@pytest.mark.parametrize(("left", "right", "legs"), [c[1:] for c in facts_claims()], ids=[c[0] for c in facts_claims()])
def test_declared_facts(left, right, legs):
    assert ta.prove(ta.define(legs, left), ta.define(legs, right))
    assert not ta.prove(ta.define(legs, left), ta.define(legs, 2 * right))


CONTRADICTIONS = {
    "two values": ([("x[i]", "1", "i"), ("x[i]", "2", "i")], "contradict each other", "x[i] = 2, where x[i] = 1"),
    "an inverse of zero": ([INVERSE[0], ("A[i,j]", "0", "i,j")], "contradict each other", "A[i,j] = 0"),
    "an inverse of zero, not by definition": (
        [INVERSE[0], ("A[i,j]*z[]", "0", "i,j"), ("z[]*y[]", "1", "")],
        "contradict each other",
        "z[]*y[] = 1",
    ),
    "a unit vector that vanishes": ([("v[i]*v[i]", "1", ""), ("v[i]", "0", "i")], "contradict each other", "v[i]"),
    "sizes": ([("n", "n + 1", "")], "contradict each other", "n = n + 1"),
    "a delta": ([("delta[i,j]", "0", "i,j")], "contradict each other", "delta[i,j] = 0"),
    "a trace that cannot be": ([("n", "d", ""), ("x[i]*x[i]", "x[i]", "i")], "some sizes only", "n = d"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_told(name):
    given, reason, named = CONTRADICTIONS[name]
    stated = state(parsed("u[i]", "i"), parsed("w[i]", "i"), pairs(given), None)
    decision = decide(stated.encoded, engine_for(stated.encoded, stated.claim.tensors, stated.definitions))
    assert decision.contradiction
    assert reason in decision.missing
    assert named in decision.missing
    if reason == "contradict each other":
        verdict = ta.prove(parsed("u[i]", "i"), parsed("w[i]", "i"), given=pairs(given))
        assert (verdict.status, verdict.reason) == ("unknown", decision.missing)
        assert model(stated.claim) is None


def test_hypotheses_that_are_no_rules_are_named():
    given = pairs([("n*x[i]", "d*x[i]", "i"), ("x[i]*y[i]", "x[i]", "i")])
    stated = state(parsed("x[i]", "i"), parsed("y[i]", "i"), given, None)
    decision = decide(stated.encoded, engine_for(stated.encoded, stated.claim.tensors, stated.definitions))
    assert [str(equation) for equation in decision.idle] == ["n*x[i] = d*x[i]"]
    assert "not used: n*x[i] = d*x[i]" in decision.missing


def test_an_idle_hypothesis_still_combines():
    given = pairs([("n*x[i]", "d*x[i]", "i")])
    assert ta.prove(parsed("n*x[i]*y[i]", "i"), parsed("d*x[i]*y[i]", "i"), given=given)


def test_hypotheses_about_other_tensors_do_no_harm():
    given = pairs([("A[i,j]*B[j,k]", "B[i,j]*A[j,k]", "i,k"), ("v[i]*v[i]", "1", "")])
    assert ta.prove(parsed("x[i]*y[j]", "i,j"), parsed("y[j]*x[i]", "i,j"), given=given)
    assert ta.prove(parsed("x[i]*y[j]", "i,j"), parsed("y[i]*x[j]", "i,j"), given=given).status == "refuted"


def test_hypotheses_with_other_free_indices_are_errors():
    with pytest.raises(FreeIndexMismatch):
        ta.prove(parsed("x[i]", "i"), parsed("x[i]", "i"), given=[(parsed("x[i]", "i"), parsed("x[j]", "j"))])


def test_hypotheses_may_come_one_by_one():
    claim = parsed("P[i,j]*c[]", "i"), parsed("c[]", "i")
    rows = parsed("P[i,j]", "i"), 1
    for given in ([rows], (rows,), (pair for pair in [list(rows)]), {rows: None}.keys(), iter([rows])):
        assert ta.prove(*claim, given=given)
    proof = ta.prove(*claim, given=[rows]).certificate
    assert ta.check(proof, claim=(*claim, (pair for pair in [rows])))


ROWS = ta.parse("P[i,j]", "i,j: n", free="i,j")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (ROWS, "given is P[i,j] (an expression), and"),
        ("P == 1", "given is 'P == 1' (of type str), and no list of hypotheses"),
        (5, "given is 5 (of type int)"),
        ({"P": 1}, "given is {'P': 1} (of type dict)"),
        ([(ROWS, 1), ROWS], "hypothesis 2, given[1], is"),
        ([(ROWS, 1, 2)], "hypothesis 1, given[0], is a tuple of 3 parts, and no pair (lhs, rhs)"),
        ([(ROWS,)], "given[0], is a tuple of 1 part, and"),
        ((ROWS, 1), "remedy: put brackets around the one pair: given=[(lhs, rhs)]"),
        ([("P[i,j]", 1)], "'P[i,j]' (of type str) is no side of a claim in hypothesis 1\n  remedy: read the text"),
        ([(ROWS, 1), (ROWS, [1])], "a list of 1 part is no side of a claim in hypothesis 2"),
    ],
)
def test_what_is_no_hypothesis_is_named_with_its_place(given, says):
    with pytest.raises(InvalidExpression) as error:
        ta.prove(ROWS, ROWS, given=given)
    assert says in str(error.value)
    assert len(str(error.value)) < 200


MODELS = [
    "equal inverses",
    "commuting under a trace",
    "involution",
    "rows split by masks",
    "constant",
    "a sum of three",
]


@pytest.mark.parametrize("name", MODELS)
def test_models_satisfy_the_hypotheses(name):
    given, left, right, free, _ = FOLLOWS[name]
    stated = state(parsed(left, free), parsed(right, free), pairs(given), None)
    sizes, tensors = model(stated.claim)
    assert min(sizes.values()) > 1
    lists = {name: array.tolist() for name, array in tensors.items()}
    for one, two in pairs(given):
        order = [one.free.index(name) for name in two.free]
        ours, theirs = (oracle(side, sizes, lists) for side in (one, two))
        assert all(theirs[tuple(p[k] for k in order)] == value for p, value in ours.items())
    assert model(stated.claim)[0] == sizes


def test_models_keep_fixed_sizes_and_definitions():
    given = pairs([("y[i]", "2*x[i]", "i"), ("y[i]", "4", "")])
    sizes, tensors = model(state(parsed("x[i]", "i"), parsed("x[i]", "i"), given, {"n": 3}).claim)
    assert sizes["n"] == 3
    assert sum(tensors["y"]) == 4
    assert [2 * x for x in tensors["x"]] == list(tensors["y"])


def test_a_ball_around_the_truth_is_no_model():
    given = pairs([("exp(x[i])*exp(y[i])", "2", "i")])
    assert model(state(parsed("x[i]", "i"), parsed("y[i]", "i"), given, None).claim) is None


@pytest.mark.parametrize("seed", range(20))
def test_linear_systems_have_their_solutions(seed):
    random = Random(seed)
    rows, unknowns = random.randint(1, 4), random.randint(1, 5)
    columns = [[random.randint(-2, 2) for _ in range(rows)] for _ in range(unknowns)]
    secret = [Fraction(random.randint(-3, 3), random.randint(1, 3)) for _ in range(unknowns)]
    target = [sum(c[r] * x for c, x in zip(columns, secret, strict=True)) for r in range(rows)]
    found = linear_solution(columns, target, lambda: Fraction(random.randint(-3, 3)))
    assert [sum(c[r] * x for c, x in zip(columns, found, strict=True)) for r in range(rows)] == target
    assert linear_solution([*columns, [0] * rows], [*target[:-1], target[-1]], lambda: Fraction(1))[-1] == 1


def test_an_equation_that_mentions_what_another_one_defines():
    # the use of the first as it is stated needed the definition of c too, and was not certified without it
    F, N = ta.Space("F", "d"), ta.Space("N", "n")
    f, g = F.indices("f g")
    x = N.index("x")
    P, Q = ta.tensor("P", F @ N), ta.tensor("Q", N @ F)
    G, H = ta.tensors("G H", F)
    for space, at in ((ta.Unit, ()), (N, x)):
        b, c = ta.tensors("b c", space)
        given = [
            (ta.define((f, g), P[f, x] * Q[x, g]), ta.define((f, g), ta.delta[f, g])),
            (ta.define((x,), G[f] * Q[x, f] + c[at]), ta.define((x,), H[f] * Q[x, f] + b[at])),
            (ta.define((x,) if at else (), c[at]), ta.define((x,) if at else (), b[at])),
        ]
        verdict = ta.prove(ta.define((f,), G[f]), ta.define((f,), H[f]), given=given)
        assert verdict.status == "proved", verdict.reason
        assert ta.check(verdict.certificate)
