"""Decays: claims that need the resolvent identity together with counting."""

import pytest

import tensoralg as ta

INDICES = "t,s,r,q: n ordered; f,g: d"
TENSORS = {"a": "n", "b": "n d", "x": "n", "y": "d"}
CLAIMS = {
    # one end of the resolvent identity has no gate, so nothing mentions the channel: it counts
    "channels summed": (
        "sum(r,f: decay(b)[t,r,f]*(b[r,f] - 1))",
        "sum(f: decay(b)[t,-,f]) - d",
        "t",
    ),
    "channels summed between steps": (
        "sum(r,f: lt[s,r]*decay(b)[t,r,f]*(b[r,f] - 1))",
        "sum(f: decay(b)[t,s,f]) - d*le[s,t]",
        "t,s",
    ),
    # a block that only counts stands beside one that the resolvent identity rewrites
    "counted beside a rewritten block": (
        "sum(s,q,r: x[q]*lt[s,r]*decay(a)[q,r]*(a[r] - 1)*decay(a)[q,t])",
        "sum(s,q: x[q]*(decay(a)[q,s] - le[s,q])*decay(a)[q,t])",
        "t",
    ),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_it_is_proved_and_checked(name):
    left, right, free = CLAIMS[name]
    left, right = (ta.parse(side, INDICES, free=free, tensors=TENSORS) for side in (left, right))
    verdict = ta.prove(left, right)
    assert verdict.status == "proved", verdict.explain()
    assert ta.check(verdict.certificate, claim=(left, right))


STILL = {
    "over no time": ("sum(e: decay(G)[t,t,f,e]*decay(G)[t,t,e,f])", "1", "t,f"),
    "over no time, then some": ("sum(e: decay(G)[t,t,f,e]*decay(G)[t,s,e,g])", "decay(G)[t,s,f,g]", "t,s,f,g"),
    "there and back": ("sum(e: decay(G)[s,t,f,e]*decay(G)[t,s,e,f])", "delta[s,t]", "t,s,f"),
}


@pytest.mark.parametrize("name", STILL)
def test_matrices_over_no_time_are_deltas(name):
    left, right, free = STILL[name]
    indices = {"s,t": "n ordered", "f,e,g": "d"}
    sides = [ta.parse(side, indices=indices, free=free.split(",")) for side in (left, right)]
    assert ta.prove(*sides).status == "proved"
    wrong = ta.parse(f"2*({right})", indices=indices, free=free.split(","))
    assert ta.prove(sides[0], wrong).status == "refuted"
