"""Statements about costs: proved for all sizes, refuted by sizes, never wrong."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.plan import Quantity, cost

n, d, e = ta.dims("n d e")
T, F = ta.Space("T", n, ordered=True), ta.Space("F", d)
(t, s), (f, g) = T.indices("t s"), F.indices("f g")
Q, K, V = ta.tensors("Q K V", T @ F)
SCORES = ta.define((t, s), Q[t, f] * K[s, f])
SUMMARY = ta.define((f, g), K[s, f] * V[s, g])


def test_the_written_order_is_the_one_that_is_written() -> None:
    scores_first = ta.define((t, g), SCORES[t, s] * V[s, g])
    summary_first = ta.define((t, g), Q[t, f] * SUMMARY[f, g])
    assert cost(scores_first, order="written").flops == 4 * n**2 * d
    assert cost(summary_first, order="written").flops == 4 * n * d**2
    assert cost(scores_first, order="written").largest == sympy.Max(n**2, n * d)
    for expr in (scores_first, summary_first):
        assert cost(expr).flops == sympy.Min(4 * n**2 * d, 4 * n * d**2)
        assert cost(expr).order_in("n") == 1
        assert cost(expr).largest <= n**2 + n * d
    assert (cost(scores_first).flops <= cost(scores_first, order="written").flops).decide().status == "proved"


def test_a_false_statement_is_refuted_by_sizes() -> None:
    verdict = (cost(SCORES).flops <= 2 * n * d).decide()
    assert verdict.status == "refuted"
    assert not verdict
    assert verdict.lhs == 2 * verdict.sizes["n"] ** 2 * verdict.sizes["d"] > verdict.rhs
    softmax = ta.define((t, g), ta.softmax(SCORES[t, s], over=s) * V[s, g])
    linear = (cost(softmax).order_in("n") == 1).decide()
    assert (linear.status, linear.lhs, linear.rhs) == ("refuted", 2, 1)
    assert "refuted" in linear.explain()


def test_chambers() -> None:
    statement = Quantity.of(4 * n * d**2) <= 4 * n**2 * d
    assert statement.decide().status == "refuted"
    assert statement.where("n >= d").decide().status == "proved"
    assert statement.where("d <= n").decide().status == "proved"
    assert statement.where("d > n").decide().status == "refuted"
    assert (Quantity.of(e) < n).where("n > d").where("d >= e").decide().status == "proved"
    assert (Quantity.of(n) == d).where("n == d").decide().status == "proved"
    assert (Quantity.of(4 * d) <= n).where("n >= 4*d").decide().status == "proved"
    for bad in ("n", "n >= ", "n >= n", "4 >= n", "n >= 1/d", "n >= __import__('os')"):
        with pytest.raises(ta.errors.InvalidExpression):
            statement.where(bad)
    with pytest.raises(ta.errors.InvalidExpression):
        statement.where("n >= d").where("d >= n")


def test_a_true_statement_that_is_not_proved_is_unknown() -> None:
    verdict = (Quantity.of(n**2 * d) <= n**3 + d**3).decide()
    assert verdict.status == "unknown"
    assert not verdict
    assert "unknown" in verdict.explain()


def test_the_smaller_of_two_is_below_their_mean() -> None:
    assert (Quantity.of(sympy.Min(4 * n**2 * d, 4 * n * d**2)) <= 2 * n**2 * d + 2 * n * d**2).decide()
    assert (Quantity.of(3 * n) >= 3).decide()
    assert (Quantity.of(3 * n) > 2).decide()


QUANTITIES = st.recursive(
    st.sampled_from([n, d, n * d, n**2, d**2, sympy.Integer(1), sympy.Integer(4), 2 * n, n + d]),
    lambda inner: st.one_of(
        st.builds(lambda a, b: sympy.Min(a, b), inner, inner),
        st.builds(lambda a, b: sympy.expand(a + b) if a.is_polynomial() and b.is_polynomial() else a, inner, inner),
    ),
    max_leaves=3,
)


@settings(max_examples=200)
@given(QUANTITIES, QUANTITIES, st.sampled_from(["<=", "<", "=="]), st.integers(1, 9), st.integers(1, 9))
def test_no_verdict_is_wrong(a: sympy.Expr, b: sympy.Expr, relation: str, rows: int, columns: int) -> None:
    left, right = Quantity.of(a), Quantity.of(b)
    statement = {"<=": left <= right, "<": left < right, "==": left == right}[relation]
    verdict = statement.decide()

    def true(sizes: dict[sympy.Symbol, int]) -> bool:
        x, y = sympy.sympify(a).subs(sizes), sympy.sympify(b).subs(sizes)
        return bool({"<=": x <= y, "<": x < y, "==": sympy.Eq(x, y)}[relation])

    if verdict.status == "proved":
        assert true({n: rows, d: columns})
    elif verdict.status == "refuted":
        assert not true({ta.dims(name): size for name, size in verdict.sizes.items()})


def test_bad_questions() -> None:
    with pytest.raises(ta.errors.UnknownName):
        cost(SCORES, order="worst")
    with pytest.raises(ta.errors.UnknownSize):
        cost(SCORES).order_in("m")
    with pytest.raises(ta.errors.InvalidExpression):
        cost("tf,sf->ts")  # type: ignore[arg-type]
    with pytest.raises(ta.errors.InvalidDimension):
        _ = cost(SCORES).flops == 1 / n
