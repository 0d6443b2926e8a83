"""Streams of known sums: their states, that they are proved, and what is refused."""

from __future__ import annotations

import time

import pytest
import sympy

import tensoralg as ta
from tensoralg.errors import InvalidExpression, NotStreamable, UnknownName, UnorderedSpace

INDICES = {"t,s,i,j,r,w": "n ordered", "f,g,h,k": "d", "e": "e", "b": "heads"}
d, e, heads = (sympy.Symbol(name, integer=True, positive=True) for name in ("d", "e", "heads"))

SIZES = {
    "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]": d * e,
    "O[t,e] = lt[s,t]*Q[t,f]*K[s,f]*V[s,e]": d * e,
    "O[t,b,e] = le[s,t]*Q[t,b,f]*K[s,b,f]*V[s,b,e]": heads * d * e,
    "O[t,e] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,e])/sum(s,f: le[s,t]*Q[t,f]*K[s,f])": d * e + d,
    "O[t,e] = decay(c)[t,s]*Q[t,f]*K[s,f]*V[s,e]": d * e,
    "O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e] + 0*a[t]": d * e,
    "O[t,e] = decay(a)[t,s,f]*Q[t,f]*K[s,f]*V[s,e]": d * e,
    "O[t,e] = decay(A)[t,s,f,g]*Q[t,f]*K[s,g]*V[s,e]": d * e,
    "O[t,e] = le[i,j]*le[j,t]*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*V[j,e]": d**2 + d * e,
    "O[t,e] = le[i,t]*le[j,t]*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*V[j,e]": d**2 + d * e,
    "O[t,e] = le[j,i]*le[i,t]*Q[t,f]*K[i,f]*Q[i,g]*K[j,g]*V[j,e]": 2 * d * e,
    "O[t,e] = sum(i,j,f,g: le[i,j]*le[j,t]*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*V[j,e])"
    " / sum(i,j,f,g: le[i,j]*le[j,t]*Q[t,f]*K[i,f]*K[i,g]*Q[j,g])": d**2 + d * e + d,
    "O[t,e] = le[i,j]*le[r,j]*le[j,t]*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*Q[j,h]*K[r,h]*V[r,e]": d**2 + 2 * d * e,
    "O[t,e] = X[t,f]*W[f,g,e]*le[s,t]*X[s,g]": d,
    "O[t,e] = decay(c)[t,s]*V[s,e]": e,
    "O[t,e] = sum(s: le[s,t]*exp(K[s,e])*V[s,e])/sum(s: le[s,t]*exp(K[s,e]))": 2 * e,
    "O[t,e] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,e]/sum(i: le[i,s]*exp(K[i,f])))": d * e + d,
    "O[t,e] = le[s,t]*X[t,f]*Wq[f,h]*X[s,g]*Wk[g,h]*X[s,k]*Wv[k,e]": d * e,
    "O[t] = sum(s: le[s,t])": sympy.Integer(1),
    "O[t] = le[s,t]*pow(x[t] + y[s],2)": sympy.Integer(3),
    "O[t] = sum(s: le[s,t]*x[s]*pow(sum(i: le[i,s]*y[i]) + sum(i: lt[i,s]*z[i]),2))": sympy.Integer(3),
    # where i < r crosses j, one state at j is enough
    "O[t] = le[i,j]*le[j,r]*lt[i,r]*le[r,t]*x[i]*y[j]*z[r]": sympy.Integer(3),
    "O[t] = le[i,t]*le[j,t]*le[r,i]*le[r,j]*x[i]*y[j]*z[r]": sympy.Integer(4),
    "O[t] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]) + sum(j,g: le[j,t]*Q[t,g]*V[j,g])": d,
    "O[t] = sum(s: le[s,t]*x[s]) - sum(i: le[i,t]*x[i])": sympy.Integer(0),
    "O[t] = x[t]": sympy.Integer(0),
    # names that a stream could use itself
    "S1[t] = sum(s,i: le[s,t]*le[i,s]*S2[s]*left_S3[i])": sympy.Integer(2),
}


def streamed(text, indices=INDICES, **options):
    return ta.stream(ta.parse(text, indices=indices), **options)


def open_laws(stream):
    return {name: verdict.status for name, verdict in stream.verdicts.items() if not verdict}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_states_are_small_and_every_law_is_proved(text, size):
    stream = streamed(text)
    assert sympy.expand(sympy.sympify(str(stream.state_size)) - sympy.sympify(str(size))) == 0
    assert open_laws(stream) == {}


def test_four_times_in_a_v_shape_take_little_time():
    start = time.process_time()
    stream = streamed("O[t] = le[i,t]*le[j,t]*le[r,i]*le[r,j]*le[w,i]*le[w,j]*A[i,f]*B[j,g]*C[r,f]*D[w,g]")
    assert str(stream.state_size) == "4*d + 1"
    assert open_laws(stream) == {}
    assert time.process_time() - start < 6  # 2 s on a quiet machine


@pytest.mark.parametrize("name", ["u", "v", "free1", "sum0"])
def test_an_index_may_have_any_name(name):
    indices = {f"t,s,{name}": "n ordered"}
    assert open_laws(streamed(f"O[t] = le[s,t]*le[{name},s]*x[s]*y[{name}]", indices)) == {}


def test_a_sum_over_later_tokens_streams_backwards():
    stream = streamed("O[t,e] = le[t,s]*Q[t,f]*K[s,f]*V[s,e]")
    assert stream.reverse
    assert not open_laws(stream)
    assert str(stream.step["S1"]) == "S1[f,e] = S1[f,e] + K[f]*V[e]"


def test_outputs_share_states():
    texts = ("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", "P[t,e] = lt[s,t]*R[t,f]*V[s,e]*K[s,f]")
    stream = ta.stream([ta.parse(text, indices=INDICES) for text in texts])
    assert len(stream.step) == 1
    assert len(stream.output) == 2
    assert not open_laws(stream)


def test_a_static_factor_stands_where_the_state_or_the_work_is_least():
    text = "O[t,e] = le[s,t]*Q[t,f]*W[f,b]*K[s,b]*V[s,e]"
    small = {"t,s": "n ordered", "f": 2, "b": 3, "e": "e"}
    sizes = {name: streamed(text, small, minimize=name).state_size for name in ("state", "flops")}
    assert str(sizes["state"]) == "2*e"
    assert all(not open_laws(streamed(text, small, minimize=name)) for name in sizes)


REFUSED = {
    "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]": (
        NotStreamable,
        "exp(sum(f: Q[t,f]*K[s,f])) couples the times",
    ),
    "O[t,e] = Q[t,f]*K[s,f]*V[s,e]": (NotStreamable, "not causal: nothing keeps s at or before t"),
    # the third order with a mask around it alone: the middle index j is not below t
    "O[t,e] = le[i,t]*le[i,j]*le[r,j]*le[r,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*Q[j,h]*K[r,h]*V[r,e]": (
        NotStreamable,
        "not causal: nothing keeps j at or before t",
    ),
    "O[t] = le[s,t]*x[s] + le[t,i]*y[i]": (NotStreamable, "not causal: nothing keeps i at or before t"),
    "O[t] = le[s,t]*n*x[s]": (NotStreamable, "mentions the length n"),
    "O[t] = le[s,t]*M[t,s]": (NotStreamable, "the tensor M[n, n] has an entry for every pair of times"),
    "O[t,s] = le[s,t]*x[s]": (NotStreamable, "has the legs t and s over n"),
    "O[e] = V[s,e]": (NotStreamable, "has no leg over n"),
    "O[t] = decay(a)[t,-]*x[t]": (NotStreamable, "formal end of time"),
    "O[t] = decay(a)[+,t]*x[t]": (NotStreamable, "formal end of time"),
    "O[t] = le[s,t]*exp(decay(a)[s,-]*x[s])": (NotStreamable, "formal end of time"),
    "O[t] = le[s,t]*pow(x[t] + y[s],300)": (NotStreamable, "multiplies out to more than 256 masked sums"),
}


@pytest.mark.parametrize(("text", "error", "message"), [(text, *what) for text, what in REFUSED.items()])
def test_what_does_not_stream_is_refused_with_the_reason(text, error, message):
    with pytest.raises(error) as refusal:
        streamed(text)
    assert message in str(refusal.value)
    assert "remedy" in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"along": "d"}, UnorderedSpace, "no order"),
        ({"along": "m"}, UnknownName, "no index is over m"),
        ({"minimize": "flop"}, UnknownName, "did you mean 'flops'"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        streamed("O[t,f] = le[s,t]*K[s,f]", **options)


@pytest.mark.parametrize("nothing", [5, "le[s,t]", [], [None]])
def test_what_is_no_expression_is_refused(nothing):
    with pytest.raises(InvalidExpression):
        ta.stream(nothing)


def test_an_axis_without_an_order_is_refused():
    with pytest.raises(UnorderedSpace, match="has no order"):
        streamed("O[t] = x[t]", {"t": "n"})


@pytest.mark.parametrize(
    "text",
    [
        "O[t,h] = le[s,t]*decay(b)[h,g]*x[s,g]",
        "O[t,h] = le[s,t]*decay(b)[h,g]*decay(a)[t,s]*x[s,g]",
        "O[t] = le[i,t]*le[j,i]*decay(b)[+,g]*x[i,g]*z[j,g]",
    ],
)
def test_a_decay_over_another_ordered_space_is_a_factor_like_any_other(text: str) -> None:
    spaces = {"t,s,i,j": "n ordered", "g,h": "m ordered"}
    found = ta.stream(ta.parse(text, spaces, tensors={"b": "m", "a": "n"}))
    assert all(verdict.status == "proved" for verdict in found.verdicts.values())
    assert found.merge
