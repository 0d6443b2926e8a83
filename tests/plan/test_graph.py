"""Prices of whole expressions: functions, sums of terms, masks, sharing, what is alive when."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.plan import plan

n, d = ta.dims("n d")
INDICES = {"t,s": "n ordered", "f,e": "d"}

Max = sympy.Max


def priced(text: str) -> tuple[sympy.Expr, ...]:
    found = plan(ta.parse(text, indices=INDICES))
    return found.flops, found.pointwise, found.largest, found.peak


@pytest.mark.parametrize(
    ("text", "flops", "pointwise", "largest", "peak"),
    [
        # softmax attention: scores, softmax (one sum, exp and division), values
        (
            "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
            4 * n**2 * d + n**2,
            2 * n**2,
            Max(n**2, n * d),
            Max(2 * n**2, n**2 + n * d),
        ),
        # a mask is applied pointwise, once more in the softmax
        ("O[t,s] = le[s,t]*A[t,s]", 0, n**2, n**2, n**2),
        ("O[t,s] = le[s,t]*A[t,s]*B[t,s]", n**2, n**2, n**2, 2 * n**2),
        # a literal that is summed over is no mask any more: n^2 additions, then a product with a vector
        ("O[t] = le[s,t]*x[t]", n**2 + n, 0, n, 2 * n),
        # a diagonal is free, its sum is not
        ("O[] = A[t,t]", n, 0, 1, 1),
        ("O[t] = A[t,t]", 0, 0, n, n),
        # views are free; the output counts
        ("O[s,t] = A[t,s]", 0, 0, n**2, n**2),
        # scales: one multiplication per entry; a sign is free in a sum of terms
        ("O[t,s] = 3*A[t,s]", 0, n**2, n**2, n**2),
        ("O[t,s] = A[t,s] - B[t,s]", 0, n**2, n**2, n**2),
        # (a scaled array is another array)
        ("O[t,s] = A[t,s] + 1/2*x[s]", 0, n**2 + n, n**2, n**2 + n),
        ("O[t] = 2*A[t,f]*x[f]", 2 * n * d, n, n, 2 * n),
        # an index that nothing mentions is its size
        ("O[t] = sum(s: x[t])", 0, n, n, n),
        # functions and quotients
        ("O[t] = exp(x[t])/y[t]", 0, 2 * n, n, 2 * n),
        ("O[t,s] = exp(x[t]) + exp(x[s])", 0, n + n**2, n**2, n**2 + n),
        # a block that is used twice is computed once: both factors are the same function of the scores
        ("O[t,s] = exp(sum(f: Q[t,f]*K[s,f]))*exp(sum(f: Q[t,f]*K[s,f]))", 2 * n**2 * d + n**2, n**2, n**2, 2 * n**2),
        # constant in a leg: a view of a smaller array
        ("O[] = 7", 0, 1, 1, 1),
    ],
)
def test_prices(text: str, flops: object, pointwise: object, largest: object, peak: object) -> None:
    assert priced(text) == (flops, pointwise, largest, peak)


def test_what_is_alive_while_other_blocks_run() -> None:
    """``exp(Q)`` is read twice, so it stays alive during everything between."""
    text = "O[t,e] = sum(f: exp(Q[t,f])*exp(sum(s: exp(Q[s,f])*V[s,e])))"
    found = plan(ta.parse(text, indices=INDICES), {"n": 5, "d": 2})
    # exp(Q) has 10 entries, the sum over s 4, its exp 4, the output 10
    assert (found.largest, found.peak) == (10, max(10 + 4 + 4, 10 + 4 + 10))
    assert found.flops == 2 * 5 * 4 + 2 * 5 * 4
    assert found.pointwise == 10 + 4


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(["flops", "largest", "peak"]))
def test_symbols_and_numbers_agree(rows: int, columns: int, minimize: str) -> None:
    """Where no size is 1 both are the same; a size of 1 may make the plan at numbers cheaper."""
    for text in (
        "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
        "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e] - V[t,e]",
        "O[t,e] = exp(sum(s,f: Q[t,f]*K[s,f]*V[s,e]))/sum(s,f: Q[t,f]*K[s,f])",
    ):
        expr = ta.parse(text, indices=INDICES)
        symbolic, at = plan(expr, minimize=minimize), plan(expr, {"n": rows, "d": columns}, minimize=minimize)
        best = getattr(symbolic, minimize).subs({n: rows, d: columns})
        assert getattr(at, minimize) <= best
        if min(rows, columns) > 1:
            assert getattr(at, minimize) == best


def test_sums_of_spaces_and_products_of_spaces() -> None:
    H, E, T = ta.Space("H", "h"), ta.Space("E", "e"), ta.Space("T", n)
    (t, s), (a,), (b,) = T.indices("t s"), H.indices("a"), E.indices("b")
    Q, K = ta.tensors("Q K", T @ (H @ E))
    heads = ta.define((t, s, a), Q[t, (a, b)] * K[s, (a, b)])
    h, e = ta.dims("h e")
    assert plan(heads).flops == 2 * n**2 * h * e
