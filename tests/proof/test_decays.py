"""Decays: claims that need the resolvent identity together with counting."""

import pytest

import tensoralg as ta
from tensoralg.expr.nodes import Decay, as_expr, mul
from tensoralg.spaces import DirectSum, Index, Injected

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


FIXED = {
    "a path of two parts": ("decay(a)[t,r]*decay(a)[r,s]", "le[s,r]*le[r,t]*decay(a)[t,s]", "t,s,r"),
    "by channel": ("decay(b)[t,r,f]*decay(b)[r,s,f]", "le[s,r]*le[r,t]*decay(b)[t,s,f]", "t,s,r,f"),
    "of matrices": ("sum(e: decay(G)[t,r,f,e]*decay(G)[r,s,e,g])", "le[s,r]*le[r,t]*decay(G)[t,s,f,g]", "t,s,r,f,g"),
    "from end to end": ("decay(G)[+,-,f,g]", "sum(e: decay(G)[+,t,f,e]*decay(G)[t,-,e,g])", "t,f,g"),
    "in a function": ("exp(decay(a)[t,r]*decay(a)[r,s])", "exp(le[s,r]*le[r,t]*decay(a)[t,s])", "t,s,r"),
    "a telescope of matrices": (
        "sum(r,e: lt[s,r]*decay(G)[t,r,f,e]*(G[r,e,g] - delta[e,g]))",
        "decay(G)[t,s,f,g] - le[s,t]*delta[f,g]",
        "t,s,f,g",
    ),
}
SIZES = ({"n": 1}, {"n": 3}, {"n": 2, "d": 2})
HELD = [(name, sizes) for name, claim in FIXED.items() for sizes in SIZES if "d" not in sizes or "f" in claim[2]]


def sides_of(left, right, free):
    indices, tensors = {"t,s,r": "n ordered", "f,e,g": "d"}, {"a": "n", "b": "n d", "G": "n d d", "y": ""}
    return tuple(ta.parse(side, indices, free=free, tensors=tensors) for side in (left, right))


@pytest.mark.parametrize(("name", "sizes"), HELD)
def test_at_a_fixed_length_it_is_proved_and_checked(name, sizes):
    left, right, free = FIXED[name]
    sides = sides_of(left, right, free)
    verdict = ta.prove(*sides, sizes=sizes)
    assert verdict.status == "proved", verdict.explain()
    assert ta.check(verdict.certificate, claim=(*sides, (), sizes))
    assert ta.prove(*sides_of(left, f"2*({right}) + 1", free), sizes=sizes).status == "refuted"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_constant_decays_of_a_fixed_length_are_polynomials(n):
    # of n tokens n - k pairs are k steps apart
    counted = " + ".join([str(n), *(f"{n - k}*pow(y[], {k})" for k in range(1, n))])
    sides = sides_of("sum(t,s: decay(y)[t,s])", counted, "")
    assert ta.prove(*sides, sizes={"n": n}).status == "proved"
    assert ta.prove(*sides, sizes={"n": n + 1}).status == "refuted"
    assert ta.prove(*sides).status == "refuted"


TIME = DirectSum(tuple(ta.Space(name, d, ordered=True) for name, d in (("past", "past"), ("last", 1), ("new", 1))))
P, L, N = (Index(name, part) for name, part in zip("pln", TIME.summands, strict=True))
PAST, LAST, NEW = (Injected(index, k, TIME) for k, index in enumerate((P, L, N)))
F, E, G = ta.Space("c", "c").indices("f e g")
A, B = ta.tensor("A", (TIME, F.space, F.space)), ta.tensor("B", TIME)
Y = ta.tensor("y", ta.Unit)


def path(gate, later, earlier, *args):
    return Decay(gate, later, earlier, args)


y = Y[()]
STEPS = {
    "one gate": (path(B, NEW, LAST), B[NEW], True),
    "the gate of another time": (path(B, NEW, LAST), B[LAST], False),
    "a step": (path(B, NEW, PAST), mul(B[NEW], path(B, LAST, PAST)), True),
    "a step from the start": (path(B, NEW, "-"), mul(B[NEW], path(B, LAST, "-")), True),
    "to the end": (path(B, "+", PAST), path(B, NEW, PAST), True),
    "to the end, too short": (path(B, "+", PAST), path(B, LAST, PAST), False),
    "backwards": (path(B, LAST, NEW), as_expr(0), True),
    "no step": (path(B, LAST, LAST), as_expr(1), True),
    "a constant twice": (path(Y, NEW, PAST), mul(y, y, path(Y, "+", P)), True),
    "a constant once": (path(Y, NEW, PAST), mul(y, path(Y, "+", P)), False),
    "a constant from the start": (path(Y, NEW, "-"), mul(y, y, path(Y, "+", P), path(Y, P, "-")), True),
    "a constant backwards": (path(Y, LAST, NEW), as_expr(0), True),
    "a matrix": (path(A, NEW, LAST, F, G), A[NEW, F, G], True),
    "a matrix transposed": (path(A, NEW, LAST, F, G), A[NEW, G, F], False),
    "no step of matrices": (path(A, LAST, LAST, F, G), ta.delta[F, G], True),
    "matrices": (path(A, NEW, PAST, F, G), mul(A[NEW, F, E], path(A, LAST, PAST, E, G)).sum(E), True),
    "matrices in another order": (path(A, NEW, PAST, F, G), mul(path(A, LAST, PAST, F, E), A[NEW, E, G]).sum(E), False),
}


@pytest.mark.parametrize("fixed", [{}, {"past": 2}, {"past": 1, "c": 2}], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_a_past_and_two_tokens(name, fixed):
    left, right, true = STEPS[name]
    legs = tuple(sorted({*left.free_indices, *right.free_indices}, key=str))
    sizes = {k: v for k, v in fixed.items() if k in {str(leg.space.dimension) for leg in legs}}
    sides = tuple(ta.Definition(legs, side, "W") for side in (left, right))
    verdict = ta.prove(*sides, sizes=sizes)
    assert verdict.status == ("proved" if true else "refuted"), verdict.explain()
    assert not true or ta.check(verdict.certificate, claim=(*sides, (), sizes))
    assert not true or "the left" in verdict.explain()


def test_a_decay_to_the_end_is_explained():
    # an end that came first in a gap was taken for a summand, and nothing was shown
    left, right = sides_of("decay(y)[+,s]*2", "decay(y)[+,s] + decay(y)[+,s]", "s")
    assert "2*gap(y)[+,s]" in ta.prove(left, right).explain()


def test_a_telescope_beside_other_times_of_a_part():
    # masks between the other times of one part stayed in what was refined over the next part
    t, w, r = (TIME.index(name) for name in "twr")
    steps = ta.define((t, w), mul(path(B, t, r), B[r] - 1).sum(r))
    verdict = ta.prove(steps, ta.define((t, w), path(B, t, "-") - 1))
    assert verdict.status == "proved", verdict.explain()


GATES = {"": ("a[]", ""), "n": ("a[r]", ""), "n d": ("a[r,f]", ",f")}


@pytest.mark.parametrize("legs", GATES)
def test_a_window_of_two_finds_the_step_before(legs):
    gate, channel = GATES[legs]
    link, wide = "lt[p,r]*near[p,r,2]", "lt[p,r]*near[p,r,3]"
    free = ("r", "s", *channel.strip(",").split()) if channel else ("r", "s")
    for left, right, expected, names in (
        (f"{gate}*sum(p: {link}*decay(a)[p,s{channel}])", f"lt[s,r]*decay(a)[r,s{channel}]", "proved", free),
        (f"{gate}*sum(p: {wide}*decay(a)[p,s{channel}])", f"lt[s,r]*decay(a)[r,s{channel}]", "refuted", free),
        (f"{gate}*sum(p: {link}*decay(a)[p,s{channel}])", f"decay(a)[r,s{channel}]", "refuted", free),
        (
            f"{gate}*(1 - sum(p: {link}) + sum(p: {link}*decay(a)[p,-{channel}]))",
            f"decay(a)[r,-{channel}]",
            "proved",
            tuple(name for name in free if name != "s"),
        ),
    ):
        sides = [
            ta.parse(side, {"s,r,p": "n ordered", "f": "d"}, free=names, tensors={"a": legs}) for side in (left, right)
        ]
        verdict = ta.prove(*sides)
        assert verdict.status == expected, verdict.explain()
        assert expected == "refuted" or ta.check(verdict.certificate, claim=sides)


def test_a_window_of_two_finds_the_step_before_of_matrices():
    link = "lt[p,r]*near[p,r,2]"
    for left, right, free in (
        (f"sum(p,h: A[r,f,h]*{link}*decay(A)[p,s,h,g])", "lt[s,r]*decay(A)[r,s,f,g]", "r,s,f,g"),
        (
            f"A[r,f,g]*(1 - sum(p: {link})) + sum(p,h: A[r,f,h]*{link}*decay(A)[p,-,h,g])",
            "decay(A)[r,-,f,g]",
            "r,f,g",
        ),
    ):
        sides = [
            ta.parse(side, {"s,r,p": "n ordered", "f,g,h": "d"}, free=free.split(","), tensors={"A": "n d d"})
            for side in (left, right)
        ]
        verdict = ta.prove(*sides)
        assert verdict.status == "proved", verdict.explain()
        assert "finds the step before" in verdict.explain()
