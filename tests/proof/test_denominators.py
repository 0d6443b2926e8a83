"""Denominators under sums and inside functions cancel against the sums they name, with certificates."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta

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
