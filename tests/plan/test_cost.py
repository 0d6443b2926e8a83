"""Statements about costs: proved for all sizes, refuted by sizes, never wrong."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.plan import Quantity, cost, prove_cost

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
    for bad in ("n", "n >= ", "n >= n", "4 >= 3", "n >= 1/d", "n >= __import__('os')", "n != d", "n >= 1.5", "", "\0"):
        with pytest.raises(ta.errors.InvalidExpression):
            statement.where(bad)
    for impossible in ("0 >= n", "n + d < 2", ["n >= d", "d > n"], "n == 2*d, d == 2*n, n < d"):
        with pytest.raises(ta.errors.InvalidExpression, match="no sizes"):
            statement.where(impossible)


def test_a_true_statement_that_is_not_proved_is_unknown() -> None:
    """``(n - 1)(n - 2) >= 0`` holds at whole numbers, but not between 1 and 2."""
    verdict = (Quantity.of(3 * n) <= n**2 + 2).decide()
    assert verdict.status == "unknown"
    assert not verdict
    assert "unknown" in verdict.explain()
    assert "n = 3/2" in verdict.explain()


@pytest.mark.parametrize(
    "text",
    [
        "n**2*d <= n**3 + d**3",
        "4*n*d <= n**2 + 4*d**2",
        "2*n*d <= n**2 + d**2",
        "3*n*d*e <= n**3 + d**3 + e**3",
        "8*n*d*e <= (n + d)*(d + e)*(e + n)",
        "3*n**2*d**2 <= n**4 + d**4 + n**2*d**2",
        "n < n + 1",
    ],
)
def test_polynomials_with_terms_of_both_signs_are_split_into_cones(text: str) -> None:
    assert prove_cost(text).status == "proved"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("4*d <= 3*n", "3*n >= 4*d"),
        ("m <= n + d", "n*d >= m**2"),
        ("m**2*n <= n**2*d", "n*d >= m**2"),
        ("n*d <= 9", "n <= 3, d <= 3"),
        ("n == d", "n >= d, d >= n"),
        ("n**2 >= 9*d", ["n >= 3*d"]),
        ("n >= e", "n >= d >= e"),
        ("2*n < 2*d", "2*n == 2*d - 2"),
        ("n <= d", sympy.Le(2 * n, 2 * d)),
        ("n*e <= d**2", sympy.And(sympy.Le(n, d), sympy.Le(e, d))),
        ("n >= 1", sympy.true),
    ],
)
def test_conditions_of_any_form(text: str, where: object) -> None:
    assert prove_cost(text, where=where).status == "proved"


def test_a_minimum_is_compared_case_by_case() -> None:
    smallest = Quantity.of(sympy.Min(n**2 * d, d**2 * e, e**2 * n))
    assert prove_cost(smallest <= n * d * e)
    assert prove_cost(smallest == sympy.Min(e**2 * n, n**2 * d, d**2 * e))
    assert prove_cost(Quantity.of(sympy.Max(n, d)) * sympy.Min(n, d) == n * d)
    assert prove_cost(sympy.Min(n, d) + sympy.Max(n, d) + Quantity.of(0) == n + d)


def test_amounts_of_plans_are_compared() -> None:
    attention = ta.define((t, g), SCORES[t, s] * V[s, g])
    best = ta.plan(attention)
    assert prove_cost(best.flops <= cost(attention, order="written").flops)
    for regime in best.regimes():
        assert prove_cost(cost(attention).flops == regime.flops, where=regime.where)
    with pytest.raises(ta.errors.InvalidDimension, match="case by case"):
        prove_cost(cost(attention).largest <= best.largest)


def test_the_first_part_of_a_chain_is_not_taken_for_the_chain() -> None:
    """``a <= b <= c`` is ``(a <= b) and (b <= c)`` to Python, which drops the second part where the first is false."""
    a, b, c = Quantity.of(d), Quantity.of(n), Quantity.of(e)
    with pytest.raises(ta.errors.InvalidExpression, match="asked before"):
        prove_cost(a <= b <= c, where="n >= d")
    assert prove_cost(a <= b, where="n >= d")
    assert prove_cost(Quantity.of(d) <= d * n <= d * n**2)
    assert not prove_cost(Quantity.of(d) <= d * n <= d)


@pytest.mark.parametrize("wrong", [True, sympy.true, 4, "n", "n <= d <= e", None, sympy.Ne(n, d), (n, d)])
def test_what_is_no_statement(wrong: object) -> None:
    with pytest.raises(ta.errors.InvalidExpression):
        prove_cost(wrong)


def test_wrong_sides_and_conditions() -> None:
    with pytest.raises(ta.errors.InvalidDimension):
        prove_cost(sympy.Le(n / d, n))
    with pytest.raises(ta.errors.InvalidDimension):
        prove_cost(Quantity.of(sympy.Min(n, d) - sympy.Min(n, e)) <= d)
    for where in (3, [3], True, "n or d", sympy.Or(sympy.Le(n, d), sympy.Le(d, e))):
        with pytest.raises(ta.errors.InvalidExpression):
            prove_cost("n <= d", where=where)
    with pytest.raises(ta.errors.InvalidDimension, match="cases"):
        _ = sum((Quantity.of(sympy.Min(n**k, d**k, e**k)) for k in range(1, 9)), start=Quantity.of(0))


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


COEFFICIENTS = st.integers(-4, 6)
MONOMIALS = [n**i * d**j for i in range(4) for j in range(4 - i)]
POLYNOMIALS = st.dictionaries(st.sampled_from(MONOMIALS), COEFFICIENTS, max_size=4).map(
    lambda terms: sympy.Add(*(c * m for m, c in terms.items()))
)
CONDITIONS = st.lists(
    st.sampled_from(["n >= d", "d > 2*n", "2*n >= 3*d", "n <= 5", "n*d >= 4", "n == d + 1", "d**2 >= n"]), max_size=2
)


@settings(max_examples=150)
@given(POLYNOMIALS, POLYNOMIALS, st.sampled_from(["<=", "<", "=="]), CONDITIONS)
def test_no_verdict_under_conditions_is_wrong(a: sympy.Expr, b: sympy.Expr, relation: str, where: list[str]) -> None:
    left, right = Quantity.of(a), Quantity.of(b)
    statement = {"<=": left <= right, "<": left < right, "==": left == right}[relation]
    try:
        verdict = prove_cost(statement, where=where)
    except ta.errors.InvalidExpression:
        verdict = None  # no sizes satisfy the conditions
    inside = [
        {"n": rows, "d": columns}
        for rows in range(1, 12)
        for columns in range(1, 12)
        if all(eval(condition, {"n": rows, "d": columns}) for condition in where)
    ]
    value = sympy.lambdify((n, d), [a, b], "math")

    def true(sizes: dict[str, int]) -> bool:
        x, y = value(sizes.get("n", 1), sizes.get("d", 1))
        return {"<=": x <= y, "<": x < y, "==": x == y}[relation]

    if verdict is None:
        assert not inside
    elif verdict.status == "proved":
        assert all(true(sizes) for sizes in inside)
    elif verdict.status == "refuted":
        assert not true(verdict.sizes)
        point = {"n": 1, "d": 1, **verdict.sizes}
        if set(verdict.sizes) == {"n", "d"}:
            assert all(eval(condition, dict(point)) for condition in where)


def test_bad_questions() -> None:
    with pytest.raises(ta.errors.UnknownName):
        cost(SCORES, order="worst")
    with pytest.raises(ta.errors.UnknownSize):
        cost(SCORES).order_in("m")
    with pytest.raises(ta.errors.InvalidExpression):
        cost("tf,sf->ts")  # type: ignore[arg-type]
    with pytest.raises(ta.errors.InvalidDimension):
        _ = cost(SCORES).flops == 1 / n
