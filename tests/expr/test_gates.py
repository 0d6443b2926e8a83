"""Decays and windows: their values by plain loops, over simple and composite orders, and their text and LaTeX."""

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import extent, oracle

import tensoralg as ta
from tensoralg.errors import InvalidExpression, MissingSize, SpaceMismatch, UnorderedSpace
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import bind, mul
from tensoralg.expr.rewrite import substitute
from tensoralg.spaces import Injected, Space

SIZES = {"n": 3, "m": 2, "d": 2}
A, B, D = Space("n", "n", ordered=True), Space("m", "m", ordered=True), Space("d", "d")
(a, a2), (b, b2), (f, g) = A.indices("a a2"), B.indices("b b2"), D.indices("f g")
CLOCKS = {"simple": A, "sum": A + B, "product": A @ B, "sum of a product": (A @ B) + A, "product of a sum": (A + B) @ B}


def random_array(source, symbol, largest=3):
    shape = [extent(leg, SIZES) for leg in symbol.legs]
    entries = [source.randint(-largest, largest) for _ in range(int(np.prod(shape, initial=1)))]
    return np.array(entries, dtype=object).reshape(shape).tolist()


def assert_agrees(expr, arrays):
    names = {name: size for name, size in SIZES.items() if name in all_dimensions(expr)}
    found = np.asarray(expr.evaluate(names, **{name: arrays[name] for name in set(expr.tensors)}), dtype=object)
    assert {place: found[place] for place in np.ndindex(*found.shape)} == oracle(expr, SIZES, arrays)


def gates(clock):
    """Return a gate of every shape over a space: a number, one for a step, for a channel, a matrix."""
    return [
        (ta.tensor("c", ta.Unit), ()),
        (ta.tensor("a", [clock]), ()),
        (ta.tensor("b", [clock, D]), (f,)),
        (ta.tensor("G", [clock, D, D]), (f, g)),
        (ta.tensor("G", [clock, D, D]), (g, g)),
    ]


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("kind", range(5))
def test_every_gate_over_every_order(name, kind):
    clock = CLOCKS[name]
    t, s = clock.indices("t s")
    symbol, channels = gates(clock)[kind]
    arrays = {symbol.name: random_array(random.Random(kind), symbol)}
    for later, earlier in [(t, s), (s, t), (t, t), (t, "-"), ("+", s), ("+", "-")]:
        if kind == 0 and later == "+" and earlier == "-":
            continue  # a number has no clock
        term = ta.decay(symbol)[later, earlier, *channels]
        assert_agrees(ta.define(term.free_indices, term), arrays)


@pytest.mark.parametrize("kind", [0, 1])
def test_parts_of_a_concatenation(kind):
    whole = A + B
    early, late = Injected(a, 0, whole), Injected(b, 1, whole)
    symbol, _ = gates(whole)[kind]
    arrays = {symbol.name: random_array(random.Random(3), symbol)}
    for later, earlier in [(late, early), (early, late), (early, Injected(a2, 0, whole)), (late, "-"), ("+", early)]:
        term = ta.decay(symbol)[later, earlier]
        assert_agrees(ta.define(term.free_indices, term), arrays)


def test_relations_inside_one_summand_depend_on_the_whole():
    whole = A + B
    parts = [Injected(index, 1, whole) for index in (b, b2)]
    for relation in (ta.le[*parts], ta.lt[*parts], ta.delta[*parts], ta.near[*parts, 1]):
        assert_agrees(ta.define((b, b2), relation), {})


def test_a_path_through_a_concatenation_is_the_product_of_its_parts():
    whole = A + B
    symbol = ta.tensor("G", [whole, D, D])
    across = ta.decay(symbol)[Injected(b, 1, whole), Injected(a, 0, whole), f, g]
    entries = random_array(random.Random(11), symbol)
    first, second = ta.tensor("F", A @ D @ D), ta.tensor("S", B @ D @ D)
    h = D.index("h")
    parts = ta.define((b, a, f, g), ta.decay(second)[b, "-", f, h] * ta.decay(first)["+", a, h, g])
    left = ta.define((b, a, f, g), across).evaluate({"n": 3, "m": 2}, G=entries)
    assert left.tolist() == parts.evaluate(F=entries[:3], S=entries[3:]).tolist()
    reversed_order = ta.define((b, a, f, g), ta.decay(first)["+", a, f, h] * ta.decay(second)[b, "-", h, g])
    assert left.tolist() != reversed_order.evaluate(F=entries[:3], S=entries[3:]).tolist()


def test_composite_channels():
    e, h, S = Space("e", "d").index("e"), D.index("h"), D + D
    symbol = ta.tensor("G", [A, S, S])
    fused = ta.tensor("H", [A, D @ e.space, D @ e.space])
    part = ta.decay(symbol)[a, a2, Injected(f, 0, S), Injected(g, 1, S)]
    pair = ta.decay(fused)[a, a2, (f, e), (g, e)]
    arrays = {"G": random_array(random.Random(1), symbol), "H": random_array(random.Random(2), fused, 1)}
    assert_agrees(ta.define((a, a2, f, g), part), arrays)
    assert_agrees(ta.define((a, a2, f, g, e), pair), arrays)
    assert_agrees(ta.define((a, f), part * ta.decay(symbol)["+", a, Injected(g, 1, S), Injected(h, 0, S)]), arrays)


def test_substitution_reaches_times_and_channels_and_captures_nothing():
    expr = ta.parse("O[t,f] = decay(b)[t,s,f]*near[s,t,2]*x[s] + decay(b)[+,t,f]*decay(b)[t,-,f]", "t,s: n; f,g: d")
    t, s = expr.legs[0], Space("n", "n", ordered=True).index("s")
    moved = expr[s, expr.legs[1].space.index("g")]
    assert str(moved) == "sum(s1: decay(b)[s,s1,g]*near[s1,s,2]*x[s1]) + decay(b)[+,s,g]*decay(b)[s,-,g]"
    arrays = {"b": [[2, 3], [5, -1], [4, 2]], "x": [1, -2, 3]}
    assert oracle(moved, SIZES, arrays) == oracle(expr, SIZES, arrays)
    assert substitute(moved, {s: t}).free == ("t", "g")


def test_a_product_of_orders_runs_lexicographically():
    symbol = ta.tensor("a", [A @ B])
    fused = ta.define((a, b, a2, b2), ta.decay(symbol)[(a, b), (a2, b2)])
    arrays = {"a": random_array(random.Random(5), symbol)}
    assert_agrees(fused, arrays)
    paths = fused.evaluate({"n": 3, "m": 2}, **arrays).reshape(6, 6)
    for later, earlier in itertools.product(range(6), repeat=2):
        wanted = int(later >= earlier)
        for r in range(earlier + 1, later + 1):
            wanted *= arrays["a"][r]
        assert paths[later, earlier] == wanted


@settings(max_examples=80)
@given(st.integers(0, 10**9))
def test_random_products_of_decays_windows_and_masks(seed):
    source = random.Random(seed)
    clock = CLOCKS[source.choice(list(CLOCKS))]
    times, channels = clock.indices("t s r"), (f, g)
    arrays, factors = {}, []
    for _ in range(source.randint(2, 4)):
        roll = source.random()
        if roll < 0.6:
            symbol, legs = source.choice(gates(clock))
            arrays[symbol.name] = random_array(random.Random(seed), symbol, 2)
            later, earlier = source.choice([*times, "+"]), source.choice([*times, "-"])
            if symbol.legs or (later, earlier) != ("+", "-"):
                factors.append(ta.decay(symbol)[later, earlier, *(source.choice(channels) for _ in legs)])
        elif roll < 0.8:
            width = source.choice([1, 2, ta.dims("d"), ta.dims("n") - 1, ta.dims("m") + ta.dims("d")])
            factors.append(ta.near[source.choice(times), source.choice(times), width])
        else:
            factors.append(ta.le[source.choice(times), source.choice(times)])
    term = mul(*factors)
    legs = term.free_indices[: source.randint(0, 2)]
    assert_agrees(ta.Definition(legs, bind(tuple(i for i in term.free_indices if i not in legs), term)), arrays)


def test_a_path_of_everything_is_exact_beyond_machine_integers():
    declared = {"indices": {"t": "n ordered"}, "tensors": {"a": "n", "b": "n"}}
    twice = ta.parse("O[] = decay(a)[+,-]*decay(b)[+,-]", **declared)
    assert twice.evaluate(a=[2**31, 2**31], b=[2**31, 2]) == 2**94
    assert ta.parse("O[] = pow(decay(a)[+,-],5)", **declared).evaluate(a=[2**20, 1]) == 2**100
    assert ta.parse("O[] = decay(a)[+,-] - decay(b)[+,-]", **declared).evaluate(a=[2**62, 1], b=[-(2**62), 1]) == 2**63
    assert type(ta.parse("O[] = decay(a)[+,-]", **declared).evaluate(a=[2, 3])) is int
    assert ta.parse("O[] = decay(a)[+,-]", **declared).evaluate(a=[Fraction(1, 3), 6]) == 2


def test_decays_are_enclosed_by_balls():
    expr = ta.parse("O[t,s,f,g] = exp(0*x[t])*decay(G)[t,s,f,g]", {"t,s": "n", "f,g": "d"})
    entries = random_array(random.Random(2), ta.tensor("G", [A, D, D]))
    wanted = oracle(ta.parse("O[t,s,f,g] = decay(G)[t,s,f,g]", {"t,s": "n", "f,g": "d"}), SIZES, {"G": entries})
    found = expr.evaluate(G=entries, x=[1, 2, 3])
    assert all(found[place].contains(value) for place, value in wanted.items())


def test_sizes_of_a_concatenation_are_not_guessed():
    t = (A + B).index("t")
    expr = ta.define((t,), ta.decay(ta.tensor("a", [A + B]))[t, "-"])
    with pytest.raises(MissingSize, match="m, n"):
        expr.evaluate(a=[1, 2, 3])
    assert expr.evaluate({"n": 2, "m": 1}, a=[2, 3, 5]).tolist() == [2, 6, 30]


@pytest.mark.parametrize("width", [1, 3, "d", "n - 1", "d - n", "-d", "2*d + 1"])
@pytest.mark.parametrize("name", CLOCKS)
def test_windows_over_every_order(name, width):
    t, s = CLOCKS[name].indices("t s")
    n, d = ta.dims("n d")
    size = {"d": d, "n - 1": n - 1, "d - n": d - n, "-d": -d, "2*d + 1": 2 * d + 1}.get(width, width)
    assert_agrees(ta.define((s, t), ta.near[s, t, size]), {})


# text


@settings(max_examples=150)
@given(st.integers(0, 10**9))
def test_texts_of_decays_and_windows_parse_back(seed):
    source = random.Random(seed)
    fused = source.random() < 0.3
    times = [(a, b), (a2, b2)] if fused else [a, a2]
    clock = A @ B if fused else A
    symbols = gates(clock)
    factors = [ta.near[source.choice(times), source.choice(times), source.choice([2, ta.dims("w"), ta.dims("n d")[1]])]]
    for symbol, legs in source.sample(symbols, 3):
        later, earlier = source.choice([*times, "+"]), source.choice(times)
        factors.append(ta.decay(symbol)[later, earlier, *(source.choice((f, g)) for _ in legs)])
        if symbol.legs and source.random() < 0.5:
            factors.append(ta.decay(symbol)["+", "-", *legs])
    if not fused:  # the legs of a gate over a product follow from its first use
        source.shuffle(factors)
    term = mul(*factors)
    legs = term.free_indices[: source.randint(0, len(term.free_indices))]
    expr = ta.define(legs, term)
    assert ta.parse(str(expr), **ta.declarations(expr)) is expr
    assert ta.latex(expr).count("{") == ta.latex(expr).count("}")


def test_a_gate_whose_clock_the_text_cannot_say_is_refused():
    symbol = ta.tensor("a", [A @ B])
    whole, part = ta.decay(symbol)["+", "-"], ta.decay(symbol)[(a, b), "-"]
    with pytest.raises(InvalidExpression, match="cannot be declared in the text form"):
        ta.declarations(ta.define((), whole))
    shown = ta.define((a, b), part * whole)
    assert ta.parse(str(shown), **ta.declarations(shown)) is shown


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("O[t,s] = decay(a)[t,s]", r"O_{t s} = {\Pi^{a}}_{t s}"),
        ("O[s,f] = decay(b)[+,s,f]", r"O_{s f} = {\Pi^{b}}_{+ s f}"),
        ("O[t,f,g] = decay(G)[t,-,f,g]", r"O_{t f g} = {\Pi^{G}}_{t - f g}"),
        ("O[t] = decay(c_1)[+,-]*pow(decay(a)[t,-],2)", r"O_{t} = {\Pi^{c_{1}}}_{+ -}\, {\Pi^{a}}_{t -}^{2}"),
        ("O[t,s] = near[s,t,2*d]", r"O_{t s} = \mathbf{1}_{t - \left(2\, d\right) < s \leq t}"),
        ("O[t,s] = near[s,t,d + 1]", r"O_{t s} = \mathbf{1}_{t - \left(d + 1\right) < s \leq t}"),
    ],
)
def test_latex(text, latex):
    assert ta.latex(ta.parse(text, {"t,s": "n", "f,g": "d"}, {"c_1": "n"})) == latex


def test_what_cannot_be_a_path():
    t, s = (A + B).indices("t s")
    with pytest.raises(SpaceMismatch, match="runs over n and over"):
        ta.decay(ta.tensor("a", A))[t, s]
    with pytest.raises(SpaceMismatch, match="runs over n \\+ m and over n"):
        ta.decay(ta.tensor("a", [A + B]))[a, "-"]
    plain = Space("U", "u") + Space("W", "w")
    with pytest.raises(UnorderedSpace, match="needs an order"):
        ta.decay(ta.tensor("a", [plain]))["+", "-"]
