"""Values computed once: within a product, across terms, and across several results."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.repeats import A, B, T, definition, inputs
from plan.values import value

import tensoralg as ta
from tensoralg.errors import InvalidExpression
from tensoralg.plan import plan
from tensoralg.plan.blocks import blocks
from tensoralg.plan.graph import Graph
from tensoralg.plan.orders import orders

n, d, e = ta.dims("n d e")
TIME, FEATURE, VALUE = ta.Space("T", n, ordered=True), ta.Space("F", d), ta.Space("E", e)
Q, K = ta.tensors("Q K", TIME @ FEATURE)
V = ta.tensor("V", TIME @ VALUE)
t, s, u, w = TIME.indices("t s u w")
f, g = FEATURE.indices("f g")
(c,) = VALUE.indices("c")
SCORES = ta.define((t, s), Q[t, f] * K[s, f], name="A")
SECOND = ta.define((t, c), SCORES[t, s] * SCORES[u, s] * V[u, c])
SECOND_NORM = ta.define((t,), SCORES[t, s] * SCORES[u, s])
THIRD = ta.define((t, c), SCORES[t, s] * SCORES[u, s] * SCORES[u, w] * V[w, c])
THIRD_NORM = ta.define((t,), SCORES[t, s] * SCORES[u, s] * SCORES[u, w])


def at(expr: Any, sizes: dict[str, int]) -> int:
    return int(sympy.sympify(expr).subs({ta.dims(name): size for name, size in sizes.items()}))


def alone(expr: ta.Expr, sizes: dict[str, int]) -> Any:
    """Return the FLOPs of one expression by itself."""
    return plan(expr, {name: size for name, size in sizes.items() if name in Graph(blocks(expr)[0]).names}).flops


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([{"n": 3, "d": 5}, {"n": 9, "d": 2}]))
def test_plans_share_at_least_what_their_trees_share(seed: int, sizes: dict[str, int]) -> None:
    expr = definition(seed)
    root, _ = blocks(expr)
    known = {name: sizes[name] for name in Graph(root).names}
    found = plan(expr, known)
    (price,) = found.prices
    assert Graph(price.tree.root, known).price(price.tree.trees).flops == price.flops
    assert price.flops <= Graph(root, known).price({}).flops


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_every_order_has_the_value_of_the_definition(seed: int) -> None:
    expr, sizes = definition(seed), {"n": 2, "d": 3}
    arrays = inputs(seed, sizes)
    wanted = value(blocks(expr)[0], arrays, sizes)
    for price in plan(expr).prices:
        assert (value(price.tree.root, arrays, sizes) == wanted).all()


def test_the_normaliser_of_second_order_attention_shares_the_summary_of_the_keys() -> None:
    quotient = ta.define((t, c), SECOND[t, c] / SECOND_NORM[t])
    sizes = {"n": 1000, "d": 16, "e": 24}
    shared, apart = plan(quotient, sizes).flops, alone(SECOND, sizes) + alone(SECOND_NORM, sizes)
    # K^T K and Q (K^T K) once; then two products with Q^T V and with the sum of Q
    assert shared == at(2 * d**2 * e + 2 * d**2 * n + 2 * d**2 + 4 * d * e * n + 3 * d * n, sizes)
    assert shared < apart


def test_the_normaliser_of_third_order_attention_shares_its_summaries() -> None:
    quotient = ta.define((t, c), THIRD[t, c] / THIRD_NORM[t])
    sizes = {"n": 1000, "d": 16, "e": 24}
    apart = alone(THIRD, sizes) + alone(THIRD_NORM, sizes)
    shared = 2 * d**3 + 2 * d**2 * e + 4 * d**2 * n + 2 * d**2 + 4 * d * e * n + 3 * d * n
    assert plan(quotient, sizes).flops == at(shared, sizes) < apart


def test_several_outputs_are_planned_at_once() -> None:
    sizes = {"n": 1000, "d": 16, "e": 24}
    together = plan([SECOND, SECOND_NORM], sizes)
    quotient = plan(ta.define((t, c), SECOND[t, c] / SECOND_NORM[t]), sizes)
    assert together.flops == quotient.flops
    assert together.tree[0] == "results"
    assert together.path is None
    # both results stay alive
    assert together.peak >= at(n * e + n, sizes)


def test_powers_of_a_matrix_are_computed_by_squaring() -> None:
    v, w = T.index("v"), T.index("w")
    t, s, u = T.indices("t s u")
    power = ta.define((t, s), A[t, u] * A[u, v] * A[v, w] * A[w, s])
    assert plan(power).flops == 4 * n**3
    gram = ta.define((t, s), B[t, f1] * B[u, f1] * B[u, f2] * B[s, f2])
    assert plan(gram, {"n": 10, "d": 1000}).flops == 2 * 10 * 10 * 1000 + 2 * 10**3


f1, f2 = B.legs[1].indices("f1 f2")


def test_a_common_factor_is_taken_out() -> None:
    text = "O[i,l] = A[i,j]*B[j,k]*C[k,l] + A[i,j]*D[j,k]*C[k,l]"
    found = plan(ta.parse(text, indices={"i,j,k,l": "n"}))
    assert found.flops == 4 * n**3
    assert found.pointwise == n**2


def test_a_low_rank_update_is_applied_without_being_formed() -> None:
    r = ta.dims("r")
    found = plan(ta.parse("y[i] = (U[i,r]*V[j,r] + D[i,j])*x[j]", indices={"i,j": "n", "r": "r"}))
    flops = {regime.flops for regime in found.regimes()}
    assert sympy.expand(2 * n**2 + 4 * n * r) in {sympy.expand(x) for x in flops}


def test_equal_expressions_with_other_names_of_indices_are_one_plan() -> None:
    one = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f": "d", "e": "d"})
    other = ta.parse("O[a,b] = Q[a,c]*K[z,c]*V[z,b]", indices={"a,z": "n", "c": "d", "b": "d"})
    assert plan(one).prices is plan(other).prices


def test_what_is_no_sequence_of_expressions() -> None:
    for wrong in ([], ["O[t] = x[t]"], 3, None):
        with pytest.raises(InvalidExpression):
            plan(wrong)  # type: ignore[arg-type]


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_same_orders_are_found_every_time(seed: int) -> None:
    expr = definition(seed, terms=3)
    first = plan(expr)
    orders.cache_clear()
    assert [(p.flops, p.tree) for p in plan(expr).prices] == [(p.flops, p.tree) for p in first.prices]


def test_a_sum_of_one_tensor_is_taken_once() -> None:
    total = ta.parse("y[] = A[i,j]*A[k,l]", indices={"i,j,k,l": "n"})
    assert plan(total).flops == n**2 + 1


def test_a_value_at_overlapping_places_is_found_where_two_of_them_are_apart() -> None:
    # of the products with x the first in the order written overlaps all others
    x = ta.tensor("x", T)
    t, s, u, v = T.indices("t s u v")
    expr = ta.define((), A[t, s] * x[s] * A[u, v] * x[v] * x[t] * x[u])
    assert plan(expr, {"n": 50}).flops < 2 * (2 * 50**2 + 2 * 50)


def test_a_long_product_of_one_matrix_is_planned() -> None:
    indices = [T.index(f"i{k}") for k in range(301)]
    term: Any = 1
    for one, other in pairwise(indices):
        term = term * A[one, other]
    assert plan(ta.define((indices[0], indices[-1]), term), {"n": 3}).flops == 299 * 2 * 27
