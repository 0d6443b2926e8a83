"""The envelope along a line, borders and maps, against exact evaluation at points."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.oracle import expression

import tensoralg as ta
from tensoralg.plan import plan
from tensoralg.plan.lines import FINE, along, borders, equation
from tensoralg.plan.polynomial import Maximum, Polynomial, value_at
from tensoralg.plan.tree import Priced

n, d, e = ta.dims("n d e")
ATTENTION = expression(["tf", "sf", "se"], "te", {"t": "n", "s": "n", "f": "d", "e": "d"})
SECOND = expression(["tf", "sf", "ug", "sg", "ue"], "te", dict.fromkeys("tsu", "n") | {"f": "d", "g": "d", "e": "e"})


def priced(flops: Any, largest: Any) -> Priced:
    maximum = Maximum.of([Polynomial.of(largest)])
    return Priced(Polynomial.of(flops), Polynomial.of(0), maximum, maximum, ())


MONOMIALS = st.lists(
    st.builds(lambda c, i, j: c * n**i * d**j, st.integers(1, 40), st.integers(0, 3), st.integers(0, 2)),
    min_size=1,
    max_size=3,
).map(lambda terms: sympy.Add(*terms))
CHOICES = st.lists(st.builds(priced, MONOMIALS, MONOMIALS), min_size=1, max_size=5)


def least(choices: list[Priced], key: str, sizes: dict[str, Any]) -> tuple[Any, list[Any]]:
    values = [value_at(getattr(choice, key), sizes) for choice in choices]
    return min(values), values


@settings(max_examples=60)
@given(CHOICES, st.sampled_from(["flops", "peak"]), st.integers(1, 300), st.integers(0, 999))
def test_the_choice_of_a_piece_is_best_everywhere_in_it(choices: list[Priced], key: str, other: int, seed: int) -> None:
    line = along(choices, key, "n", {"d": other}, 1, 5000)
    assert (line.pieces[0].low, line.pieces[-1].high) == (1, 5000)
    assert [p.winner for p in line.pieces[1:]] == [c.after for c in line.crossings]
    rng = random.Random(seed)
    for piece in line.pieces:
        for _ in range(5):
            y = piece.low + (piece.high - piece.low) * Fraction(rng.randint(0, 1000), 1000)
            best, values = least(choices, key, {"n": y, "d": other})
            assert values[piece.winner] == best
    for crossing in line.crossings:
        assert 0 <= (crossing.high - crossing.low) * FINE <= crossing.low
    gaps = zip(line.pieces, line.pieces[1:], line.crossings, strict=False)
    assert all((a.high, b.low) == (c.low, c.high) for a, b, c in gaps)


@settings(max_examples=40)
@given(CHOICES, st.integers(1, 300))
def test_at_an_attained_crossing_the_two_are_equal_and_best(choices: list[Priced], other: int) -> None:
    line = along(choices, "flops", "n", {"d": other}, 1, 5000)
    for crossing in line.crossings:
        if crossing.attained:
            for end, mine in ((crossing.low, crossing.before), (crossing.high, crossing.after)):
                best, values = least(choices, "flops", {"n": end, "d": other})
                assert values[mine] == best
                assert values[crossing.before if mine == crossing.after else crossing.after] >= best


@settings(max_examples=25)
@given(CHOICES)
def test_every_border_is_met_where_the_best_choice_changes(choices: list[Priced]) -> None:
    for found in borders(choices, "flops", ["d", "n"], [None] * len(choices)):
        assert isinstance(found, sympy.Eq)
        gap = sympy.expand(found.lhs - found.rhs)
        pairs = [sympy.expand((a.flops - b.flops).sympy()) for a in choices for b in choices]
        assert any(pair != 0 and sympy.rem(pair, gap, *sorted(gap.free_symbols, key=str)) == 0 for pair in pairs)


def test_borders_of_attention_are_these() -> None:
    assert plan(ATTENTION).borders() == [sympy.Eq(d, n)]
    assert plan(ATTENTION, {"n": 8}).borders() == [sympy.Eq(d, 8)]
    assert plan(ATTENTION).at(n=8, d=4).borders() == []
    chain = expression(["ab", "bc", "cd"], "ad", {"a": "n", "b": "d", "c": "n", "d": "e"})
    assert plan(chain).borders() == [sympy.Eq(2 * d * e, d * n + e * n)]


def test_only_neighbours_have_a_border() -> None:
    """The third price is never the least, so it has no border, though it equals the others somewhere."""
    costs = [priced(10 * n**2, n), priced(100 * d, n), priced(5 * n * d**2 + 7, n)]
    line = along(costs, "flops", "n", {"d": 100}, 1, 10**6)
    neighbours = {(c.before, c.after) for c in line.crossings if c.attained}
    winners = [least(costs, "flops", {"n": y, "d": 100})[1] for y in range(1, 2000)]
    changes = {(a.index(min(a)), b.index(min(b))) for a, b in pairwise(winners) if a.index(min(a)) != b.index(min(b))}
    assert neighbours == changes


def test_equations_are_written_with_positive_terms() -> None:
    assert equation(Polynomial.of(4 * n**2 - 8 * d)) == sympy.Eq(2 * d, n**2)
    assert equation(Polynomial.of(n - 64)) == sympy.Eq(n, 64)


def test_a_map_shows_the_best_order_at_every_point() -> None:
    shown = plan(SECOND).show("n", "d", n=(1, 1024), d=(1, 300), e=64)
    at = plan(SECOND).at(e=64)
    rng = random.Random(0)
    for column in rng.sample(shown.map.columns, 12):
        for low, high, region in column.pieces:
            y = Fraction((low + high) / 2)
            sizes = {"n": Fraction(column.x), "d": y}
            best, _ = least([r.price for r in at.regimes()], "flops", sizes)
            assert shown.regimes[region].price.flops.value(sizes) == best
    assert sympy.Eq(n, 64) in shown.borders
    assert sympy.Eq(d, n) in shown.borders
    assert all(q in at.borders() for q in shown.borders)
    assert {region for column in shown.map.columns for _, _, region in column.pieces} == set(range(len(shown.regimes)))


def test_a_map_prints_and_draws_itself(golden: Any) -> None:
    shown = plan(ATTENTION).show("n", "d", n=(1, 4096), d=(1, 512))
    golden("plan_map.txt", str(shown) + "\n")
    assert shown.svg() == shown._repr_svg_()
    assert "d = n" in shown.svg()
    assert str(shown).count("A") > 100
    alone = plan(expression(["ab", "bc"], "ac")).show("na", "nb", nc=3)
    assert alone.borders == ()
    assert set(str(alone).splitlines()[3].split("|")[1]) == {"A"}


@pytest.mark.parametrize(
    ("axes", "sizes", "error"),
    [
        (("n",), {}, ta.errors.UsageError),
        (("n", "n"), {}, ta.errors.UsageError),
        ((), {"n": (1, 3)}, ta.errors.UsageError),
        (("n", "m"), {}, ta.errors.UnknownSize),
        (("n", "d"), {"m": 3, "e": 2}, ta.errors.UnknownSize),
        (("n", "d"), {}, ta.errors.NeedsSizes),
        (("n", "d"), {"e": 4, "n": 3}, ta.errors.InvalidSize),
        (("n", "d"), {"e": 4, "n": (0, 3)}, ta.errors.InvalidSize),
        (("n", "d"), {"e": 4, "n": (3, 3)}, ta.errors.InvalidSize),
        (("n", "d"), {"e": 4, "n": (1, 2.5)}, ta.errors.InvalidSize),
        (("n", "d"), {"e": (1, 4)}, ta.errors.InvalidSize),
        (("n", "d"), {"e": 0}, ta.errors.InvalidSize),
    ],
)
def test_maps_of_nothing(axes: tuple[str, ...], sizes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        plan(SECOND).show(*axes, **sizes)
