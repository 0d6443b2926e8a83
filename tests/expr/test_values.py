"""Exact evaluation against plain loops, and substitution that never captures."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import oracle

import tensoralg as ta
from strategies import D, T, claim, random_tensors, rewrite
from tensoralg.errors import EvaluationError
from tensoralg.expr.arrays import all_dimensions, size_of
from tensoralg.expr.nodes import as_expr, bind
from tensoralg.expr.rewrite import substitute
from tensoralg.spaces import Fused, Index, Injected, Space

SEEDS = st.integers(0, 10**9)
SIZES = {"n": 3, "d": 2, "m": 2}


def entries(source, symbol, sizes):
    """Return nested lists of small integers in the shape of a tensor."""
    shape = [size_of(leg.dimension, sizes) for leg in symbol.legs]
    return np.random.default_rng(source).integers(-3, 4, shape).tolist()


def assert_agrees(expr, sizes, arrays):
    wanted = oracle(expr, sizes, arrays)
    names = {name: size for name, size in sizes.items() if name in all_dimensions(expr)}
    found = np.asarray(expr.evaluate(names, **{name: arrays[name] for name in set(expr.tensors)}), dtype=object)
    assert {place: found[place] for place in np.ndindex(*found.shape)} == wanted


@settings(max_examples=250)
@given(SEEDS, st.integers(0, 3))
def test_random_expressions(seed, steps):
    source = random.Random(seed)
    expr = rewrite(source, claim(source, depth=3), steps)
    assert_agrees(expr, SIZES, random_tensors(source, expr, SIZES))


U, V, W = Space("U", "n"), Space("V", "d"), Space("W", "m")
A, B = Space("A", "n", ordered=True), Space("B", "m", ordered=True)


def test_products_of_spaces():
    (u, u2), (v, v2), (w,) = U.indices("u u2"), V.indices("v v2"), W.indices("w")
    pair = (U @ V).index("p")
    X, Y = ta.tensor("X", [U @ V, W]), ta.tensor("Y", [U @ V @ W, U])
    arrays = {"X": entries(1, X, SIZES), "Y": entries(2, Y, SIZES)}
    cases = [
        ta.define((u, w), X[(u, v), w]),
        ta.define((w,), X[pair, w]),
        ta.define((u,), Y[(u, v, w), u]),
        ta.define((u2,), Y[(pair, w), u] * X[(u2, v), w]),
        ta.define((u, v), ta.delta[pair, (u, v)] * X[pair, w]),
        ta.define((u, v, u2, v2), ta.delta[(u, v), (u2, v2)]),
        ta.define((pair,), X[pair, w] ** 2),
    ]
    for expr in cases:
        assert_agrees(expr, SIZES, arrays)
    assert ta.define((), X[pair, w]).evaluate({"n": 3, "d": 2}, X=arrays["X"]) == ta.define((), X[(u, v), w]).evaluate(
        {"n": 3, "d": 2}, X=arrays["X"]
    )


def test_sums_of_spaces():
    S = A + B
    a, b, (s, t) = A.index("a"), B.index("b"), S.indices("s t")
    x = ta.tensor("x", S)
    arrays = {"x": entries(3, x, SIZES)}
    left, right = Injected(a, 0, S), Injected(b, 1, S)
    cases = [
        ta.define((a,), x[left]),
        ta.define((b,), x[right]),
        ta.define((), x[s]),
        ta.define((t,), ta.le[s, t] * x[s]),
        ta.define((b,), ta.lt[s, right] * x[s]),
        ta.define((a, b), ta.le[left, right]),
        ta.define((a, b), ta.lt[right, left]),
    ]
    for expr in cases:
        assert_agrees(expr, SIZES, arrays)
    whole, parts = ta.define((), x[s]), x[left].sum(a) + x[right].sum(b)
    assert whole.evaluate({"n": 3, "m": 2}, **arrays) == parts.evaluate({"n": 3, "m": 2}, **arrays)
    assert set(ta.define((a, b), ta.le[left, right]).evaluate({"n": 3, "m": 2}).ravel()) == {1}


def test_products_are_ordered_lexicographically():
    (a, a2), (b, b2) = A.indices("a a2"), B.indices("b b2")
    whole = ta.define((a, b, a2, b2), ta.le[(a, b), (a2, b2)])
    split = ta.define((a, b, a2, b2), ta.lt[a, a2] + ta.delta[a, a2] * ta.le[b, b2])
    assert whole.evaluate({"n": 3, "m": 2}).tolist() == split.evaluate({"n": 3, "m": 2}).tolist()
    assert_agrees(whole, SIZES, {})


@pytest.mark.parametrize("width", [1, 2, 5, "d", "n"])
def test_near_is_a_window(width):
    t, s = T.indices("t s")
    expr = ta.define((t,), ta.near[s, t, ta.dims(width) if isinstance(width, str) else width] * ta.tensor("x", T)[s])
    assert_agrees(expr, SIZES, {"x": [2, 3, 5]})


@pytest.mark.parametrize(
    "text",
    [
        "O[t,s] = decay(a)[t,s]",
        "O[t] = decay(a)[t,-]",
        "O[s] = decay(a)[+,s]",
        "O[] = decay(a)[+,-]",
        "O[t,s] = decay(c)[t,s]",
        "O[t] = decay(c)[t,-]",
        "O[t,s,f] = decay(b)[t,s,f]",
        "O[t,f] = decay(b)[t,-,f]",
        "O[f] = decay(b)[+,-,f]",
        "O[t,s,f,g] = decay(A)[t,s,f,g]",
        "O[s,f,g] = decay(A)[+,s,f,g]",
        "O[f,g] = decay(A)[+,-,f,g]",
        "O[f] = decay(A)[+,-,f,f]",
        "O[t] = decay(b)[t,s,f]*x[s]*decay(b)[t,t,f]",
    ],
)
def test_decays(text):
    declared = {"indices": {"t,s": "n ordered", "f,g": "d"}, "tensors": {"a": "n", "c": "", "b": "n d", "A": "n d d"}}
    expr = ta.parse(text, **declared)
    source = np.random.default_rng(5)
    shapes = {"a": (3,), "c": (), "b": (3, 2), "A": (3, 2, 2), "x": (3,)}
    arrays = {name: source.integers(-3, 4, shape).tolist() for name, shape in shapes.items()}
    assert_agrees(expr, SIZES, arrays)


def test_the_latest_gate_stands_on_the_left():
    expr = ta.parse("O[f,g] = decay(A)[+,-,f,g]", {"t": "n ordered", "f,g": "d"}, {"A": "n d d"})
    first, second = [[1, 2], [3, 4]], [[0, 1], [5, 6]]
    assert expr.evaluate(A=[first, second]).tolist() == (np.array(second) @ np.array(first)).tolist()


def test_gates_may_vanish():
    expr = ta.parse("O[t,s] = decay(a)[t,s]", {"t,s": "n ordered"})
    assert expr.evaluate(a=[7, 0, 5]).tolist() == [[1, 0, 0], [0, 1, 0], [0, 5, 1]]


@given(st.fractions(-3, 3, max_denominator=9), st.integers(-4, 4))
def test_powers(value, exponent):
    expr = ta.tensor("c", ta.Unit)[()] ** exponent
    if value == 0 and exponent < 0:
        with pytest.raises(EvaluationError, match="denominator is zero"):
            expr.evaluate(c=value)
    elif exponent:
        assert expr.evaluate(c=value) == value**exponent
    else:
        assert expr.evaluate() == 1


@settings(max_examples=60)
@given(SEEDS)
def test_balls_contain_the_float(seed):
    source = random.Random(seed)
    expr = claim(source, functions=True, depth=2)
    arrays = random_tensors(source, expr, SIZES, largest=1)
    names = {name: size for name, size in SIZES.items() if name in all_dimensions(expr)}
    wanted = oracle(expr, SIZES, arrays)
    assume(all(abs(v) < 1e100 for v in wanted.values()))
    found = np.asarray(expr.evaluate(names, **{name: arrays[name] for name in set(expr.tensors)}), dtype=object)
    for place in np.ndindex(*found.shape):
        value = found[place]
        if hasattr(value, "mid"):
            assert value.rad() < 1e-20 * (1 + abs(value.mid()))
            value = float(value.mid())
        assert math.isclose(value, wanted[place], rel_tol=1e-9, abs_tol=1e-6)


def test_functions_are_enclosed():
    import flint

    t = T.index("t")
    x = ta.tensor("x", T)
    for name, make in (("exp", ta.exp), ("log", ta.log), ("sqrt", ta.sqrt)):
        values = ta.define((t,), make(x[t])).evaluate(x=[Fraction(1, 3), 2, 0.1])
        for value, number in zip(values, (Fraction(1, 3), 2, 0.1), strict=True):
            with flint.ctx.workprec(400):
                exact = getattr(flint.arb(flint.fmpq(*Fraction(number).as_integer_ratio())), name)()
                assert value.contains(exact)
    assert ta.define((t,), ta.relu(x[t])).evaluate(x=[-1, 0, 2]).tolist() == [0, 0, 2]
    assert ta.define((t,), ta.relu(ta.exp(x[t]) - 2)).evaluate(x=[0]).tolist()[0].contains(0)
    assert ta.define((t,), x[t] ** 3 * ta.exp(0 * x[t])).evaluate(x=[-2])[0].contains(-8)


def test_sums_over_spaces_of_dimension_zero_are_zero():
    Z, i = ta.Alt(Space("P", 2), 3), V.index("i")
    z = Z.index("z")
    x, y = ta.tensor("x", [Z]), ta.tensor("y", [Z, V])
    empty = {"x": [], "y": np.zeros((0, 2))}
    cases = [
        (ta.define((), ta.exp(x[z].sum(z))), 1),
        (ta.define((i,), ta.exp((y[z, i] * x[z]).sum(z))), [1, 1]),
        (ta.define((i,), y[z, i]), [0, 0]),
        (ta.define((), 1 + x[z] ** 2), 1),
    ]
    for expr, wanted in cases:
        found = np.asarray(expr.evaluate({}, **{name: empty[name] for name in set(expr.tensors)}))
        assert found.tolist() == wanted


def test_softmax_is_normalised_and_stable_text():
    rows = ta.parse("O[t] = sum(s: softmax(s: A[t,s]))", {"t,s": "n"}).evaluate(A=[[1, 2], [30, -40]])
    assert all(row.contains(1) for row in rows)


def test_entries_enter_exactly():
    t = T.index("t")
    x = ta.define((t,), ta.tensor("x", T)[t])
    assert x.evaluate(x=[2**53 + 1, 0.5]).tolist() == [2**53 + 1, Fraction(1, 2)]
    assert x.evaluate(x=[2**70, -1]).tolist() == [2**70, -1]
    assert x.evaluate(x=np.array([0.1, 1], dtype=np.float32)).tolist() == [Fraction(float(np.float32(0.1))), 1]
    assert x.evaluate(x=(Fraction(1, 3), np.int64(4))).tolist() == [Fraction(1, 3), 4]
    assert x.evaluate(x=np.array([Fraction(1, 3), 2], dtype=object)).tolist() == [Fraction(1, 3), 2]


def test_shared_subterms_are_evaluated_once():
    c = ta.tensor("c", ta.Unit)[()]
    expr = c
    for _ in range(40):  # 2**40 leaves as a tree
        expr = expr * (expr + 1) - expr
    assert expr.evaluate(c=0) == 0


# substitution


@settings(max_examples=150)
@given(SEEDS)
def test_substitution_never_captures(seed):
    source = random.Random(seed)
    expr = claim(source, depth=3)
    assume(expr.legs)
    bound = sorted(expr.body._bound) or ["z"]
    mapping, at = {}, {}
    for leg in expr.legs:
        image = Index(source.choice(bound) if leg is expr.legs[0] else source.choice(["t", "s", "f"]), leg.space)
        if any(image.name == other.name and image.space != other.space for other in mapping.values()):
            continue
        mapping[leg] = image
    kept = [mapping.get(leg, leg) for leg in expr.legs]
    assume(all(a.name != b.name or a.space == b.space for a in kept for b in kept))
    replaced = substitute(expr.body, mapping)
    arrays = random_tensors(source, expr, SIZES)
    before = oracle(expr, SIZES, arrays)
    legs = tuple(dict.fromkeys(kept))
    after = oracle(ta.Definition(legs, replaced), SIZES, arrays)
    for place, value in after.items():
        at = dict(zip(legs, place, strict=True))
        assert value == before[tuple(at[k] for k in kept)]


def test_substitution_of_composite_indices():
    u, v, p = U.index("u"), V.index("v"), (U @ V).index("p")
    x = ta.tensor("x", [U @ V])
    assert substitute(x[p].sum(p) * x[p], {p: Fused((u, v))}) == x[p].sum(p) * x[(u, v)]
    assert substitute(ta.define((p,), x[p]), {p: (U @ V).index("q")}) == ta.define(
        ((U @ V).index("q"),), x[(U @ V).index("q")]
    )


def test_definitions_are_indexed_without_capture():
    i, j, k = V.indices("i j k")
    x = ta.tensor("x", V @ V)
    rows = ta.define((i,), x[i, j])
    assert str(rows[j]) == "sum(j1: x[j,j1])"
    assert str(rows[j].sum(j)) == "sum(j: sum(j1: x[j,j1]))"
    arrays = {"x": [[1, 2], [3, 4]]}
    assert rows[j].sum(j).evaluate(x=arrays["x"]) == 10
    assert bind((j,), as_expr(rows[j]) * x[j, k]).free == ("k",)
    # a leg called like a bound index of the body
    square = ta.Definition((j,), x[j, j] * x[i, j].sum(j).sum(i), "sq")
    assert_agrees(square, {"d": 2}, arrays)
    assert str(square) == "sq[j] = x[j,j]*sum(i: sum(j1: x[i,j1]))"


def test_new_names_do_not_shadow_an_outer_index():
    i, j, j1 = V.indices("i j j1")
    x, y = ta.tensors("x y", V @ V)
    inner = x[i, j].sum(j)
    outer = (inner * y[i, j1]).sum(j1)
    assert str(substitute(outer, {i: j})) == "sum(j1: sum(j2: x[j,j2])*y[j,j1])"
    assert D.index("f").space == D
