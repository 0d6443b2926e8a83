"""The shift test proves only what is true, and simplification keeps signs."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.plan.polynomial import Maximum, Polynomial, primitive, some_below
from tensoralg.plan.simplify import relation, simplified

NAMES = ("n", "d", "e")
MONOMIALS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2), max_size=3).map(
    lambda powers: tuple(sorted(powers.items()))
)
COEFFICIENTS = st.one_of(st.integers(-4, 4), st.fractions(-2, 2, max_denominator=3)).filter(bool)
POLYNOMIALS = st.dictionaries(MONOMIALS, COEFFICIENTS, max_size=4).map(Polynomial)
POSITIVE = st.dictionaries(MONOMIALS, st.integers(1, 4), min_size=1, max_size=3).map(Polynomial)
SIZES = st.fixed_dictionaries({name: st.one_of(st.integers(1, 5), st.just(10**9)) for name in NAMES})


@given(POLYNOMIALS, POLYNOMIALS, SIZES)
def test_arithmetic_is_that_of_sympy_and_of_values(p: Polynomial, q: Polynomial, sizes: dict[str, int]) -> None:
    assert (p + q).value(sizes) == p.value(sizes) + q.value(sizes)
    assert (p * q).value(sizes) == p.value(sizes) * q.value(sizes)
    assert (p - q).value(sizes) == p.value(sizes) - q.value(sizes)
    assert Polynomial.of(p.sympy()) == p
    assert sympy.sympify(p.sympy()).subs({ta.dims(k): v for k, v in sizes.items()}) == p.value(sizes)


@settings(max_examples=300)
@given(POLYNOMIALS, POLYNOMIALS, SIZES)
def test_what_is_proved_below_is_below(p: Polynomial, q: Polynomial, sizes: dict[str, int]) -> None:
    if p.below(q):
        assert p.value(sizes) <= q.value(sizes)
    if p.strictly_below(q):
        assert p.value(sizes) < q.value(sizes)
    if p.below(q, least=2) and min(sizes.values()) >= 2:
        assert p.value(sizes) <= q.value(sizes)
    assert p.below(p + 1)


def test_the_shift_test_is_sufficient_only() -> None:
    n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    assert not (n * n * d).below(n**3 + d**3), "true for all sizes, but not proved this way"
    assert (n * d).below(n * n * d)
    assert not (n * n).below(n * d)


@settings(max_examples=300)
@given(st.lists(POSITIVE, min_size=1, max_size=3), POSITIVE, SIZES)
def test_some_of_several_is_below(others: list[Polynomial], p: Polynomial, sizes: dict[str, int]) -> None:
    if some_below(others, p):
        assert min(other.value(sizes) for other in others) <= p.value(sizes)


def test_means_lie_between() -> None:
    n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    assert some_below([2 * n, 2 * d], n + d)
    assert some_below([n * n, d * d], n * d)
    assert not some_below([n * n, d * d * d], n * d)


@settings(max_examples=150)
@given(POLYNOMIALS.filter(lambda p: p.terms), SIZES)
def test_simplification_keeps_the_sign_off_the_zeros_of_what_it_drops(p: Polynomial, sizes: dict[str, int]) -> None:
    assert (primitive(p).value(sizes) > 0) == (p.value(sizes) > 0)
    if p.value(sizes) != 0:
        assert (simplified(p).value(sizes) > 0) == (p.value(sizes) > 0)
        assert bool(relation(p).subs({ta.dims(k): v for k, v in sizes.items()})) == (p.value(sizes) > 0)


@given(st.lists(POLYNOMIALS, min_size=1, max_size=4), SIZES)
def test_a_maximum_keeps_its_value(polynomials: list[Polynomial], sizes: dict[str, int]) -> None:
    assert Maximum.of(polynomials).value(sizes) == max(p.value(sizes) for p in polynomials)


def test_composite_dimensions_are_polynomials() -> None:
    n = ta.dims("n")
    assert Polynomial.of(ta.Sym(ta.Space("V", n), 2).dimension).value({"n": 4}) == 10
    assert Polynomial.of(ta.Alt(ta.Space("V", n), 2).dimension).terms[(("n", 2),)] == Fraction(1, 2)
    with pytest.raises(ta.errors.InvalidDimension):
        Polynomial.of(1 / n)
    with pytest.raises(ta.errors.InvalidDimension):
        Polynomial.of(sympy.Symbol("x"))
