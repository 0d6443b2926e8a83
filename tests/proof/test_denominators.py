"""Denominators under sums and inside functions cancel against the sums they name, with certificates."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.expr.nodes import Mask, add, as_expr, mul, reciprocal
from tensoralg.spaces import DirectSum, Index, Injected

INDICES = "t,s,r,q,w: n ordered; f,g: d; i,j,l: k"
TENSORS = {"A": "k k", "x": "n", "y": "k", "Q": "n n", "B": "k k k", "z": "k"}
TRUE = {
    "under a sum": ("sum(i: sum(j: exp(A[i,j]))/sum(j: exp(A[i,j]))*y[i])", "sum(i: y[i])", ""),
    "under a sum over time": ("sum(t: sum(s: exp(Q[t,s]))/sum(s: exp(Q[t,s]))*x[t])", "sum(t: x[t])", ""),
    "softmax over keys under a sum": ("sum(t,s: softmax(s: Q[t,s])*x[t])", "sum(t: x[t])", ""),
    "causal softmax": ("sum(t,s: le[s,t]*exp(Q[t,s])/sum(r: le[r,t]*exp(Q[t,r]))*x[t])", "sum(t: x[t])", ""),
    "softmax over keys and features": (
        "sum(t,s,i: softmax(s: Q[t,s])*softmax(i: B[i,j,j])*x[t])",
        "sum(t: x[t])",
        "j",
    ),
    "a square": ("sum(i: pow(sum(j: exp(A[i,j])), 2)/pow(sum(j: exp(A[i,j])), 2)*y[i])", "sum(i: y[i])", ""),
    "a part of the numerator": (
        "sum(i: (sum(j: exp(A[i,j])) + z[i])/sum(j: exp(A[i,j]))*y[i])",
        "sum(i: y[i]) + sum(i: z[i]*y[i]/sum(j: exp(A[i,j])))",
        "",
    ),
    "by a condition of the claim": (
        "sum(i: (y[i] + z[i])/(y[i] + z[i])*y[i])",
        "sum(i: y[i]*z[i]/(y[i] + z[i]) + y[i]*y[i]/(y[i] + z[i]))",
        "",
    ),
    "shifted": ("sum(i: 1/sum(l: exp(A[i,l]))*sum(j: exp(A[i,j] + y[i])))", "sum(i: exp(y[i]))", ""),
    "inside a function": ("exp(x[t]*sum(s: exp(Q[t,s])/sum(r: exp(Q[t,r]))))", "exp(x[t])", "t"),
    "inside a denominator": (
        "1/(1/(1 + exp(x[t])) + 1/(1 + exp(-x[t])) + exp(Q[t,s]))",
        "1/(1 + exp(Q[t,s]))",
        "t,s",
    ),
}
NOT_TRUE = {
    "another key": ("sum(i: sum(j: exp(A[j,i]))/sum(j: exp(A[i,j]))*y[i])", "sum(i: y[i])", ""),
    "a mask that the denominator lacks": (
        "sum(t,s: le[s,t]*exp(Q[t,s])/sum(r: exp(Q[t,r]))*x[t])",
        "sum(t: x[t])",
        "",
    ),
    "the key is used outside": ("sum(i,j: exp(A[i,j])/sum(l: exp(A[i,l]))*y[j])", "sum(i: y[i])", ""),
    "nowhere shown to be nonzero": ("sum(i: (y[i] + z[i])/(y[i] + z[i])*y[i])", "sum(i: y[i])", ""),
}


def parsed(claim):
    left, right, free = claim
    return tuple(ta.parse(side, INDICES, free=free, tensors=TENSORS) for side in (left, right))


@pytest.mark.parametrize("name", TRUE)
def test_it_is_proved_and_checked(name):
    left, right = parsed(TRUE[name])
    verdict = ta.prove(left, right)
    assert verdict.status == "proved", verdict.explain()
    assert ta.check(verdict.certificate, claim=(left, right))


@pytest.mark.parametrize("name", NOT_TRUE)
def test_it_is_not_proved(name):
    assert ta.prove(*parsed(NOT_TRUE[name])).status != "proved"


FACTORS = ("exp(A[i,j])", "exp(2*A[i,j] + y[i])", "z[j]*z[j]*exp(y[j])", "exp(A[j,i] - A[i,j])")
WEIGHTS = ("y[i]", "exp(y[i])", "A[i,i]", "relu(z[i])", "1")


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.sampled_from(FACTORS), min_size=1, max_size=2, unique=True),
    st.sampled_from(WEIGHTS),
    st.booleans(),
)
def test_a_row_that_is_divided_by_its_sum_adds_up_to_one(row, weight, changed):
    numerator = " + ".join(row)
    bottom = numerator.replace("j", "l")
    top = f"({numerator} + z[j])" if changed else f"({numerator})"
    left, right = parsed((f"sum(i,j: {top}/sum(l: {bottom})*{weight})", f"sum(i: {weight})", ""))
    verdict = ta.prove(left, right)
    positive = "A[" in numerator  # else nothing says that the denominator is not zero
    assert (verdict.status == "proved") is (positive and not changed), verdict.explain()


# the conditions of the two sides: at which times, and in which order of them
SPELLINGS = {
    "a mean of the past": (
        "sum(s: le[s,t]*x[s])/sum(s: le[s,t]*w[s])",
        "(x[t] + sum(r: lt[r,t]*x[r]))/(sum(r: lt[r,t]*w[r]) + w[t])",
        "t",
        True,
    ),
    "a mean of the past beside another time": (
        "u[r]*sum(s: le[s,t]*x[s])/sum(s: le[s,t]*w[s])",
        "u[r]*(x[t] + sum(s: lt[s,t]*x[s]))/(sum(s: lt[s,t]*w[s]) + w[t])",
        "t,r",
        True,
    ),
    "cut at another time": (
        "sum(s: x[s]/sum(r: le[r,s]*w[r]))",
        "sum(s: x[s]*(le[s,t]/sum(r: le[r,s]*w[r]) + lt[t,s]/(sum(r: le[r,t]*w[r]) + sum(r: lt[t,r]*le[r,s]*w[r]))))",
        "t",
        True,
    ),
    "at all times": (
        "sum(s: le[s,t]*x[t]/(le[s,t]*w[t] + 1 - le[s,t]))",
        "x[t]/w[t]*sum(s: le[s,t])",
        "t",
        True,
    ),
    "at all times but the first": (
        "sum(s: lt[s,t]*x[t]/(lt[s,t]*w[t] + 1 - lt[s,t]))",
        "x[t]/w[t]*sum(s: lt[s,t])",
        "t",
        False,
    ),
    "at all times but the first and the last": (
        "sum(s,r: lt[s,t]*lt[t,r]*x[t]/(lt[s,t]*lt[t,r]*w[t] + 1 - lt[s,t]*lt[t,r]))",
        "x[t]/w[t]*sum(s,r: lt[s,t]*lt[t,r])",
        "t",
        False,
    ),
    "at earlier times only": (
        "sum(s: lt[s,t]*x[s]/sum(r: le[r,s]*w[r]))",
        "sum(s: lt[s,t]*x[s]/sum(r: le[r,s]*w[r])) + sum(s: lt[s,t]*w[s]*w[s]/w[s] - lt[s,t]*w[s])",
        "t",
        False,
    ),
}


@pytest.mark.parametrize("sizes", [{}, {"n": 1}, {"n": 3}], ids=str)
@pytest.mark.parametrize("name", SPELLINGS)
def test_conditions_are_compared_where_they_are_made(name, sizes):
    left, right, free, true = SPELLINGS[name]
    tensors = dict.fromkeys("xwu", "n")
    sides = tuple(ta.parse(side, "t,s,r: n ordered", free=free, tensors=tensors) for side in (left, right))
    verdict = ta.prove(*sides, sizes=sizes)
    # of one token the first condition is that of the only token, and of three it is one of three
    true = true or (sizes == {"n": 1} and name == "at earlier times only")
    assert (verdict.status == "proved") is true, verdict.explain()
    assert not true or ta.check(verdict.certificate, claim=(*sides, (), sizes))


TIME = DirectSum(tuple(ta.Space(name, d, ordered=True) for name, d in (("past", "past"), ("last", 1), ("new", 1))))
LAST, NEW = (Injected(Index(part.name, part), k, TIME) for k, part in enumerate(TIME.summands) if k)
K, V = ta.tensor("k", TIME), ta.tensor("v", TIME)


def total(time):
    r = TIME.index("r")
    return mul(Mask(False, r, time), K[r]).sum(r)


def sums(time):
    s = TIME.index("s")
    return mul(Mask(False, s, time), V[s], reciprocal(total(s))).sum(s)


STEPPED = {
    "a step": (add(sums(LAST), mul(V[NEW], reciprocal(add(total(LAST), K[NEW])))), True),
    "another gate": (add(sums(LAST), mul(V[NEW], reciprocal(add(total(LAST), K[LAST])))), False),
    "another denominator": (add(sums(LAST), mul(V[NEW], reciprocal(total(LAST)))), False),
    "a condition that is not the claim's": (add(sums(NEW), mul(K[NEW], reciprocal(K[NEW])), as_expr(-1)), False),
}


@pytest.mark.parametrize("name", STEPPED)
def test_denominators_over_a_past_and_two_tokens(name):
    body, true = STEPPED[name]
    legs = (LAST.term, NEW.term)
    sides = (ta.Definition(legs, sums(NEW), "S"), ta.Definition(legs, body, "S"))
    verdict = ta.prove(*sides)
    assert (verdict.status == "proved") is true, verdict.explain()
    assert not true or ta.check(verdict.certificate, claim=sides)
