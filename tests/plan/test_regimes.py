"""Regimes against every order run step by step, at fractions and at astronomic sizes; conditions and proofs."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan.oracle import expression, orders, run, trees

import tensoralg as ta
from tensoralg.plan import plan
from tensoralg.plan.conditions import Condition
from tensoralg.plan.farkas import follows, proves, weights
from tensoralg.plan.polynomial import Polynomial
from tensoralg.plan.simplify import factored

KEYS = ("flops", "largest", "peak")
HUGE = st.sampled_from([10**6, 10**12])
HEADS = ("bti", "ihf", "bsj", "jhf", "bsk", "khe", "heo")
SHARED = dict(zip("btsijkohfe", "bnnmmmmhdd", strict=True))


def sizes_from(least: int) -> st.SearchStrategy[Any]:
    return st.one_of(st.integers(least, 9), st.fractions(least, 9, max_denominator=7), HUGE)


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[str], str, dict[str, str]]:
    """Networks of up to four tensors, some of whose labels share a dimension."""
    letters = "abcde"[: draw(st.integers(1, 5))]
    operands = draw(st.lists(st.text(st.sampled_from(letters), max_size=3), min_size=1, max_size=4))
    assume(any(operands))
    used = sorted({x for word in operands for x in word})
    output = "".join(draw(st.lists(st.sampled_from(used), unique=True, max_size=3)))
    dimension = {x: draw(st.sampled_from(("n", "d", "m", f"n{x}"))) for x in used}
    return operands, output, dimension


def least_of_all(operands: list[str], output: str, sizes: dict[str, Any], key: str) -> Any:
    """Return the least price over all orders; the peak alone depends on which part comes first."""
    everything = tuple(range(len(operands)))
    found = orders(everything) if key == "peak" else trees(everything)
    return min(run(operands, output, sizes, order)[KEYS.index(key)] for order in found)


@settings(max_examples=80)
@given(networks(), st.sampled_from(KEYS), st.sampled_from([1, 2]), st.data())
def test_where_a_condition_holds_its_order_is_the_best_of_all(
    network: tuple[list[str], str, dict[str, str]], minimize: str, least: int, data: st.DataObject
) -> None:
    operands, output, dimension = network
    found = plan(expression(operands, output, dimension), minimize=minimize, least=least)
    assert found.optimal
    regimes = found.regimes()
    for _ in range(3):
        sizes = {name: data.draw(sizes_from(least), label=name) for name in sorted(set(dimension.values()))}
        best = least_of_all(operands, output, {x: sizes[name] for x, name in dimension.items()}, minimize)
        here = [regime for regime in regimes if regime.condition.holds(sizes)]
        assert here, "the regimes cover all sizes"
        assert {getattr(regime.price, minimize).value(sizes) for regime in here} == {best}
        assert min(getattr(regime.price, minimize).value(sizes) for regime in regimes) == best


@settings(max_examples=40)
@given(networks(), st.sampled_from(KEYS), st.data())
def test_some_condition_holds_at_sizes_of_one_as_well(
    network: tuple[list[str], str, dict[str, str]], minimize: str, data: st.DataObject
) -> None:
    operands, output, dimension = network
    regimes = plan(expression(operands, output, dimension), minimize=minimize).regimes()
    sizes = {name: data.draw(st.one_of(st.just(1), sizes_from(1))) for name in sorted(set(dimension.values()))}
    amounts = {getattr(regime.price, minimize).value(sizes) for regime in regimes if regime.condition.holds(sizes)}
    assert amounts == {min(getattr(regime.price, minimize).value(sizes) for regime in regimes)}


@settings(max_examples=60)
@given(networks(), st.sampled_from(KEYS))
def test_a_witness_lies_in_its_regime_and_in_no_better_one(
    network: tuple[list[str], str, dict[str, str]], minimize: str
) -> None:
    operands, output, dimension = network
    for regime in plan(expression(operands, output, dimension), minimize=minimize).regimes():
        assert not regime.may_be_empty, "networks as small as these are decided"
        assert regime.witness is not None
        assert regime.condition.holds(regime.witness)
        sizes = {x: regime.witness[name] for x, name in dimension.items()}
        assert getattr(regime.price, minimize).value(regime.witness) == least_of_all(operands, output, sizes, minimize)


@cache
def heads() -> ta.Plan:
    return plan(expression([*HEADS], "bto", SHARED))


@pytest.mark.parametrize(
    "sizes",
    [
        {"b": Fraction(5, 2), "n": Fraction(17, 3), "m": 7, "h": 2, "d": Fraction(9, 4)},
        {"b": 10**6, "n": 10**12, "m": 10**6, "h": 8, "d": 10**12},
    ],
)
def test_projections_and_heads_against_all_trees(sizes: dict[str, Any]) -> None:
    found = heads()
    assert found.optimal
    best = least_of_all([*HEADS], "bto", {x: sizes[name] for x, name in SHARED.items()}, "flops")
    here = [regime for regime in found.regimes() if regime.condition.holds(sizes)]
    assert here
    assert {regime.price.flops.value(sizes) for regime in here} == {best}


def test_regimes_that_are_nowhere_best_are_proved_so() -> None:
    """Of 29 orders with projections and heads that no single other one beats, more than half are best nowhere."""
    regimes = heads().regimes()
    assert len(regimes) < 15
    assert sum(regime.may_be_empty for regime in regimes) <= 1


@pytest.mark.parametrize("minimize", KEYS)
def test_a_border_is_no_regime(minimize: str) -> None:
    """At n = d many orders of third-order attention tie; all but two are best there alone."""
    words = ["tf", "sf", "ug", "sg", "up", "vp", "ve"]
    dimension = {x: "n" if x in "tsuv" else "d" for word in words for x in word}
    n, d = ta.dims("n d")
    regimes = plan(expression(words, "te", dimension), minimize=minimize).regimes()
    assert [regime.where for regime in regimes] in ([n <= d, d <= n], [d <= n, n <= d])


def test_from_the_size_one_on_an_outer_product_wins_at_ones() -> None:
    words, dimension = ["tf", "sf", "se"], {"t": "n", "s": "n", "f": "d", "e": "d"}
    attention = expression(words, "te", dimension)
    ones = {"n": 1, "d": 1}
    assert min(regime.price.flops.value(ones) for regime in plan(attention).regimes()) == 4
    full = plan(attention, least=1)
    assert min(regime.price.flops.value(ones) for regime in full.regimes()) == 3
    assert len(full.regimes()) == 3
    assert len(full.at(d=64).regimes()) >= len(plan(attention, {"d": 64}).regimes())
    with pytest.raises(ta.errors.InvalidSize):
        plan(attention, least=0)


def test_given_sizes_of_any_magnitude_leave_the_rest_symbolic() -> None:
    words = ["ab", "bc", "cd"]
    for huge in (10**30, 10**200):
        found = plan(expression(words, "ad"), {"na": huge, "nc": huge - 1})
        for sizes in ({"nb": 3, "nd": 10**40}, {"nb": huge**2, "nd": 5}):
            every = {"a": huge, "b": sizes["nb"], "c": huge - 1, "d": sizes["nd"]}
            best = least_of_all(words, "ad", every, "flops")
            assert min(price.flops.value(sizes) for price in found.prices) == best
            here = [regime for regime in found.regimes() if regime.condition.holds(sizes)]
            assert {regime.price.flops.value(sizes) for regime in here} == {best}


NAMES = ("n", "d", "m")
MONOMIALS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2), max_size=3).map(
    lambda powers: tuple(sorted(powers.items()))
)
COEFFICIENTS = st.integers(-3, 3).filter(bool)
POLYNOMIALS = st.dictionaries(MONOMIALS, COEFFICIENTS, min_size=1, max_size=4).map(Polynomial)
POINTS = st.fixed_dictionaries({name: st.one_of(st.integers(1, 6), st.fractions(1, 4)) for name in NAMES})


@settings(max_examples=150)
@given(st.lists(POLYNOMIALS, min_size=1, max_size=4), POLYNOMIALS, POINTS)
def test_what_is_proved_follows(premises: list[Polynomial], goal: Polynomial, sizes: dict[str, Any]) -> None:
    if all(premise.value(sizes) >= 0 for premise in premises) and follows(goal, premises):
        assert goal.value(sizes) >= 0
    if weights(premises) is not None:
        assert not all(premise.value(sizes) > 0 for premise in premises)


@settings(max_examples=100)
@given(st.lists(POLYNOMIALS, min_size=1, max_size=4), st.data())
def test_sums_of_premises_are_found_to_follow(premises: list[Polynomial], data: st.DataObject) -> None:
    goal = Polynomial({})
    for premise in premises:
        goal = goal + premise * data.draw(st.integers(0, 3))
    found = weights(premises, goal + 1)
    assert found is not None
    assert proves(found, premises, goal + 1)
    negative = Polynomial({}) - goal
    contradiction = weights([*premises, negative - 1])
    assert contradiction is not None
    assert proves(contradiction, [*premises, negative - 1])


def test_wrong_weights_prove_nothing() -> None:
    n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    assert proves([1], [n - d], n - d)
    assert not proves([-1], [n - d], d - n)
    assert not proves([2], [n - d], n - d)
    assert not proves([0], [n - d])


@settings(max_examples=100)
@given(POLYNOMIALS.filter(lambda p: p.names), POINTS)
def test_factors_have_the_product_s_sign(p: Polynomial, sizes: dict[str, Any]) -> None:
    sign, factors = factored(p)
    product: Any = sign
    for factor, power in factors:
        product *= factor.value(sizes) ** power
    assert (product > 0) == (p.value(sizes) > 0)
    assert (product == 0) == (p.value(sizes) == 0)


def test_conditions_are_read_at_fractions() -> None:
    n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    condition = Condition(((d - n, d - 3),))
    assert condition.holds({"n": Fraction(5, 2), "d": Fraction(8, 3)})
    assert not condition.holds({"n": Fraction(11, 4), "d": Fraction(8, 3)})
