"""Exact orders against every order run step by step, at small, large and astronomic sizes."""

from __future__ import annotations

import math
from typing import Any

import opt_einsum
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan.oracle import Run, expression, orders, positions, run, trees

import tensoralg as ta
from tensoralg.plan import plan
from tensoralg.plan.blocks import blocks
from tensoralg.plan.exact import frontier
from tensoralg.plan.graph import Graph
from tensoralg.plan.tree import Priced

SIZES = st.one_of(st.integers(2, 9), st.sampled_from([10**6, 10**12]))


@st.composite
def networks(draw: st.DrawFn, most: int = 5) -> tuple[list[str], str]:
    """Networks with hyperedges, repeated labels, batch labels, lone sums, outer products and scalars."""
    letters = "abcde"[: draw(st.integers(1, 5))]
    word = st.text(st.sampled_from(letters), max_size=3)
    operands = draw(st.lists(word, min_size=1, max_size=most))
    assume(any(operands))
    used = sorted({x for o in operands for x in o})
    output = draw(st.lists(st.sampled_from(used), unique=True, max_size=3))
    return operands, "".join(output)


def sized(output: list[str] | str, sizes: dict[str, int]) -> dict[str, int]:
    return {f"n{x}": value for x, value in sizes.items()}


@settings(max_examples=150)
@given(networks(), st.data())
def test_symbolic_flops_equal_the_least_over_all_orders(network: tuple[list[str], str], data: st.DataObject) -> None:
    operands, output = network
    found = plan(expression(operands, output))
    assert found.optimal
    letters = sorted({x for o in operands for x in o})
    for _ in range(3):
        sizes = {x: data.draw(SIZES) for x in letters}
        least = min(run(operands, output, sizes, order)[0] for order in trees(tuple(range(len(operands)))))
        symbols = {ta.dims(name): value for name, value in sized(output, sizes).items()}
        assert sympy.sympify(found.flops).subs(symbols) == least
        here = [r for r in found.regimes() if r.where == True or r.where.subs(symbols)]  # noqa: E712
        assert here, "some regime holds everywhere"
        assert {sympy.sympify(r.flops).subs(symbols) for r in here} == {least}


@settings(max_examples=150)
@given(networks(), st.data())
def test_plans_at_given_sizes_are_the_least(network: tuple[list[str], str], data: st.DataObject) -> None:
    operands, output = network
    sizes = {x: data.draw(st.one_of(st.just(1), SIZES)) for x in sorted({x for o in operands for x in o})}
    found = plan(expression(operands, output), sized(output, sizes))
    flops, largest = min(run(operands, output, sizes, order)[:2] for order in trees(tuple(range(len(operands)))))
    assert (found.flops, found.largest) == (flops, largest), "ties in FLOPs are broken by the largest intermediate"
    assert found.optimal


@settings(max_examples=60)
@given(networks(4), st.data())
def test_memory_first(network: tuple[list[str], str], data: st.DataObject) -> None:
    operands, output = network
    sizes = {x: data.draw(st.one_of(st.just(1), SIZES)) for x in sorted({x for o in operands for x in o})}
    prices = [run(operands, output, sizes, order) for order in orders(tuple(range(len(operands))))]
    expr = expression(operands, output)
    by_largest = plan(expr, sized(output, sizes), minimize="largest")
    assert (by_largest.largest, by_largest.flops) == min((largest, flops) for flops, largest, _ in prices)
    by_peak = plan(expr, sized(output, sizes), minimize="peak")
    assert (by_peak.peak, by_peak.flops) == min((peak, flops) for flops, _, peak in prices)


@settings(max_examples=60)
@given(networks(4), st.sampled_from(["flops", "largest", "peak"]), st.data())
def test_the_named_order_costs_what_its_regime_says(
    network: tuple[list[str], str], minimize: str, data: st.DataObject
) -> None:
    operands, output = network
    sizes = {x: data.draw(st.integers(1, 9)) for x in sorted({x for o in operands for x in o})}
    symbols = {ta.dims(name): value for name, value in sized(output, sizes).items()}
    for regime in plan(expression(operands, output), minimize=minimize).regimes():
        said = tuple(sympy.sympify(x).subs(symbols) for x in (regime.flops, regime.largest, regime.peak))
        assert said == run(operands, output, sizes, positions(regime.tree))


@settings(max_examples=60)
@given(networks(4), st.data())
def test_symbolic_memory_equals_the_least_over_all_orders(network: tuple[list[str], str], data: st.DataObject) -> None:
    operands, output = network
    sizes = {x: data.draw(SIZES) for x in sorted({x for o in operands for x in o})}
    symbols = {ta.dims(name): value for name, value in sized(output, sizes).items()}
    prices = [run(operands, output, sizes, order) for order in orders(tuple(range(len(operands))))]
    expr = expression(operands, output)
    assert sympy.sympify(plan(expr, minimize="largest").largest).subs(symbols) == min(p[1] for p in prices)
    assert sympy.sympify(plan(expr, minimize="peak").peak).subs(symbols) == min(p[2] for p in prices)


def test_attention_has_two_orders_and_one_border() -> None:
    n, d = ta.dims("n d")
    found = plan(expression(["tf", "sf", "se"], "te", {"t": "n", "s": "n", "f": "d", "e": "d"}))
    assert [(r.where, r.flops, r.tree, r.path) for r in found.regimes()] == [
        (sympy.Le(n, d), 4 * n**2 * d, (("A0", "A1"), "A2"), [(0, 1), (0, 1)]),
        (sympy.Le(d, n), 4 * n * d**2, ("A0", ("A1", "A2")), [(1, 2), (0, 1)]),
    ]
    assert found.flops == sympy.Min(4 * n**2 * d, 4 * n * d**2)
    assert found.borders() == [sympy.Eq(d, n)]
    assert found.order_in("n") == 1
    assert found.order_in("d") == 1
    with pytest.raises(ta.errors.NeedsSizes):
        _ = found.path


@pytest.mark.parametrize(("length", "count"), [(2, 1), (3, 2), (4, 5), (5, 14), (6, 42)])
def test_a_chain_of_distinct_matrices_keeps_catalan_many_orders(length: int, count: int) -> None:
    words = ["abcdefg"[k : k + 2] for k in range(length)]
    regimes = plan(expression(words, words[0][0] + words[-1][1])).regimes()
    assert len(regimes) == count
    assert length > 5 or not any(regime.may_be_empty for regime in regimes)


def test_a_pair_that_shares_an_index_with_a_third_operand() -> None:
    """opt_einsum's issue 254: a cost cached by two index sets forgets who else holds an index."""
    operands, output = ["bgk", "bkd", "bk"], "bgd"
    sizes = {"b": 2, "g": 3, "k": 5, "d": 7}
    found = plan(expression(operands, output), sized(output, sizes))
    assert found.flops == min(run(operands, output, sizes, order)[0] for order in trees((0, 1, 2)))
    assert found.flops == 2 * (2 * 3 * 5 * 7) + 2 * 3 * 5


def test_a_frontier_cut_short_is_not_called_optimal() -> None:
    words = ["abcdefghijklm"[k : k + 2] for k in range(8)]
    found = plan(expression(words, "ai"))
    assert not found.optimal
    at = {f"n{x}": 3 + k * k % 7 for k, x in enumerate("abcdefghi")}
    exact = plan(expression(words, "ai"), at)
    assert exact.optimal
    assert min(price.flops.value(at) for price in found.prices) >= exact.flops


def test_paths_are_opt_einsums() -> None:
    operands, output = ["ab", "bc", "cd", "de"], "ae"
    sizes = dict(zip("abcde", (9, 2, 8, 3, 7), strict=True))
    found = plan(expression(operands, output), sized(output, sizes))
    _, info = opt_einsum.contract_path(
        "ab,bc,cd,de->ae", *[tuple(sizes[x] for x in o) for o in operands], shapes=True, optimize=found.path
    )
    assert info.opt_cost == found.flops


@settings(max_examples=60)
@given(networks(4), st.data())
def test_a_result_at_hand_stands_for_all_orders_of_its_operands(
    network: tuple[list[str], str], data: st.DataObject
) -> None:
    operands, output = network
    everything = tuple(range(len(operands)))
    part = data.draw(st.lists(st.sampled_from(everything), min_size=1, unique=True).map(sorted))
    sizes = {x: data.draw(SIZES) for x in sorted({x for o in operands for x in o})}
    graph = Graph(blocks(expression(operands, output))[0], sized(output, sizes))
    for room in graph.rooms:
        mask = sum(1 << position for position in part)
        free = Priced(0, 0, 0, 0, "shared")
        found = frontier(room.network, given={mask: free}).orders[0].flops
        least = min(_cost(operands, output, sizes, order, frozenset(part)) for order in trees(everything))
        assert found == least


def _cost(operands: list[str], output: str, sizes: dict[str, int], order: Any, free: frozenset[int]) -> float:
    """Return the FLOPs of the steps of an order that lie outside a group, infinite if the group is no part of it."""
    if free == frozenset(_members(order)):
        return 0
    work = Run(operands, output, sizes)
    if isinstance(order, int):
        work.do(order)
        return work.flops
    left, right = (frozenset(_members(part)) for part in order)
    if not free & left or not free & right:
        inside = sum(_cost(operands, output, sizes, part, free) for part in order if free & frozenset(_members(part)))
        work.do(order)
        step = work.flops
        for part in order:
            alone = Run(operands, output, sizes)
            alone.do(part)
            step -= alone.flops
            inside += alone.flops if not free & frozenset(_members(part)) else 0
        return inside + step
    return math.inf


def _members(order: Any) -> tuple[int, ...]:
    return (order,) if isinstance(order, int) else tuple(m for part in order for m in _members(part))


@settings(max_examples=60)
@given(networks(4), st.integers(1, 400), st.data())
def test_least_flops_within_a_limit(network: tuple[list[str], str], limit: int, data: st.DataObject) -> None:
    operands, output = network
    sizes = {x: data.draw(st.integers(1, 9)) for x in sorted({x for o in operands for x in o})}
    everything = tuple(range(len(operands)))
    for room in Graph(blocks(expression(operands, output))[0], sized(output, sizes)).rooms:
        prices = [run(operands, output, sizes, order) for order in trees(everything)]
        fitting = [(flops, largest) for flops, largest, _ in prices if largest <= limit]
        found = frontier(room.network, limit=limit).orders
        assert bool(found) == bool(fitting)
        if found:
            assert min((order.flops, order.largest) for order in found) == min(fitting)
