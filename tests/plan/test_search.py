"""Searched orders against all orders, run step by step by the oracle (tests/plan/oracle.py)."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import Any

import numpy as np
import opt_einsum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.networks import lattice, networks, some_tree
from plan.oracle import expression, orders, run, trees

from tensoralg.plan import Optimizer, plan
from tensoralg.plan.anneal import Schedule, anneal
from tensoralg.plan.bisection import bisected
from tensoralg.plan.blocks import blocks
from tensoralg.plan.bounded import proved
from tensoralg.plan.descent import arranged, descended
from tensoralg.plan.graph import Graph
from tensoralg.plan.greedy import greedy
from tensoralg.plan.hypergraph import Hypergraph, Objective, Rooted
from tensoralg.plan.linear import in_a_row, leaves_in_order
from tensoralg.plan.optimizers import largest, proposals, search
from tensoralg.plan.portfolio import Effort, portfolio
from tensoralg.plan.search import searched
from tensoralg.plan.subtrees import best_of_few, reoptimised
from tensoralg.plan.tree import from_path, leaves, to_path

LITTLE = Effort(3000)


def least_flops(network: Any) -> int:
    operands, output, sizes = network
    return min(run(operands, output, sizes, tree)[0] for tree in trees(tuple(range(len(operands)))))


def steps_flops(network: Any, tree: Any) -> int:
    return run(*network, tree)[0]


@given(st.data())
def test_prices_and_tables_are_those_of_the_oracle(data: Any) -> None:
    network = data.draw(networks(1, 7))
    tree = data.draw(some_tree(len(network[0])))
    graph = Hypergraph.of(*network)
    assert graph.flops(tree) == run(*network, tree)[0]
    table = Rooted.of(graph, tree)
    assert table.tree() == tree
    assert from_path(to_path(tree), graph.count) == tree or graph.flops(
        from_path(to_path(tree), graph.count)
    ) == graph.flops(tree)


@given(st.data())
def test_moves_keep_the_table_right(data: Any) -> None:
    """After annealing and re-optimisation a table holds what a table made anew from its tree holds."""
    network = data.draw(networks(3, 8))
    graph = Hypergraph.of(*network)
    start = Rooted.of(graph, data.draw(some_tree(graph.count)))
    objective = Objective(graph, start, data.draw(st.sampled_from(["flops", "largest"])))
    before = start.copy()
    cost, found = anneal(objective, start, Schedule(20, hot=0.1, cold=1.0), random.Random(0))
    assert start == before
    assert sorted(leaves(found.tree())) == list(range(graph.count))
    for table in (found, reoptimised(objective, found, 4)):
        anew = Rooted.of(graph, table.tree())
        assert sorted(anew.kept) == sorted(table.kept)
        assert objective.total(anew) == pytest.approx(objective.total(table))
    assert objective.total(found) == pytest.approx(cost)
    assert cost <= objective.total(start) * (1 + 1e-9)


@given(networks(2, 6))
@settings(max_examples=60)
def test_programs_over_subsets_find_the_least_of_all_orders(network: Any) -> None:
    graph = Hypergraph.of(*network)
    start = greedy(graph)
    objective = Objective(graph, start)
    _, tree = best_of_few(objective, graph.kept, graph.everything)
    least = least_flops(network)
    assert steps_flops(network, tree) == least
    found = proved(graph, start)
    assert found is not None
    assert steps_flops(network, found.tree()) == least


@given(networks(3, 5), st.integers(1, 60))
@settings(max_examples=60)
def test_a_proved_optimum_keeps_to_a_limit(network: Any, limit: int) -> None:
    graph = Hypergraph.of(*network)
    fitting = []
    for tree in trees(tuple(range(graph.count))):
        table = Rooted.of(graph, tree)
        if largest(graph, table) <= limit:
            fitting.append(steps_flops(network, tree))
    found = proved(graph, greedy(graph), limit)
    if fitting:
        assert found is not None
        assert steps_flops(network, found.tree()) == min(fitting)
    else:
        assert found is None


@given(networks(2, 5))
@settings(max_examples=60)
def test_a_row_is_split_best(network: Any) -> None:
    graph = Hypergraph.of(*network)
    row = list(range(graph.count))
    found = in_a_row(Objective(graph, greedy(graph)), row)
    assert leaves_in_order(found) == row
    in_order = [t for t in orders(tuple(row)) if leaves(t) == row]
    assert steps_flops(network, found.tree()) == min(steps_flops(network, tree) for tree in in_order)


@given(networks(1, 9), st.integers(0, 9))
def test_every_start_is_a_tree_of_all_operands(network: Any, seed: int) -> None:
    graph = Hypergraph.of(*network)
    rng = random.Random(seed)
    starts = [greedy(graph), greedy(graph, rng, 1.0, 0.5), bisected(graph), bisected(graph, rng, 0.5)]
    if graph.count > 1:
        starts += proposals(graph, "flops", seed, Effort())
    for found in starts:
        assert sorted(leaves(found.tree())) == list(range(graph.count))
        assert sorted(found.kept) == sorted(Rooted.of(graph, found.tree()).kept)


@given(networks(3, 5), st.sampled_from(["flops", "largest"]), st.integers(0, 3))
@settings(max_examples=30)
def test_the_portfolio_finds_the_best_of_small_networks(network: Any, minimize: str, seed: int) -> None:
    operands, output, sizes = network
    graph = Hypergraph.of(*network)
    found = portfolio(graph, minimize, None, seed, LITTLE)
    if minimize == "flops":
        assert steps_flops(network, found[0].tree()) == least_flops(network)
    else:
        least = min(run(operands, output, sizes, tree)[1] for tree in trees(tuple(range(len(operands)))))
        assert min(run(operands, output, sizes, tree.tree())[1] for tree in found) == least


def numbers(network: Any) -> Any:
    operands, output, sizes = network
    graph = Graph(blocks(expression(operands, output))[0], {f"n{x}": size for x, size in sizes.items()})
    (room,) = graph.rooms
    return room.network


CHAIN = (["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi", "ij", "jk", "kl"], "al")


@pytest.mark.parametrize("minimize", ["flops", "largest", "peak"])
def test_searched_orders_of_a_chain(minimize: str) -> None:
    operands, output = CHAIN
    sizes = {x: 2 + 7 * k % 11 for k, x in enumerate("abcdefghijkl")}
    found = searched(numbers((operands, output, sizes)), (), minimize)
    assert found.exact == (minimize == "flops")
    for order in found.orders:
        flops, most, peak = run(operands, output, sizes, order.tree)
        assert (order.flops, order.largest, order.peak) == (flops, most, peak)
    # the program for chains of matrices, on its own
    dims = [sizes[x] for x in "abcdefghijkl"]
    least: dict[tuple[int, int], int] = {(k, k + 1): 0 for k in range(11)}
    for length in range(2, 12):
        for low in range(12 - length):
            high = low + length
            least[low, high] = min(
                least[low, k] + least[k, high] + 2 * dims[low] * dims[k] * dims[high] for k in range(low + 1, high)
            )
    if minimize == "flops":
        assert min(order.flops for order in found.orders) == least[0, 11]


@given(networks(3, 5))
@settings(max_examples=40)
def test_parts_are_computed_in_the_better_order_and_descent_ends_at_no_worse(network: Any) -> None:
    operands, output, sizes = network
    core = numbers(network)
    for tree in list(trees(tuple(range(len(operands)))))[:6]:
        price = arranged(core, tree)
        assert (price.flops, price.largest, price.peak) == run(operands, output, sizes, price.tree)
        same = [t for t in orders(tuple(range(len(operands)))) if unordered(t) == unordered(tree)]
        assert price.peak == min(run(operands, output, sizes, t)[2] for t in same)
        better = descended(core, tree, lambda order: (order.peak, order.flops))
        assert (better.flops, better.largest, better.peak) == run(operands, output, sizes, better.tree)
        assert (better.peak, better.flops) <= (price.peak, price.flops)


def unordered(tree: Any) -> Any:
    return tree if isinstance(tree, int) else frozenset(map(unordered, tree))


def test_a_limit_filters_orders() -> None:
    operands, output = CHAIN
    sizes = {x: 10 if k % 2 else 3 for k, x in enumerate("abcdefghijkl")}
    network = numbers((operands, output, sizes))
    free = searched(network, (), "flops")
    assert free.orders
    limit = 30
    kept = searched(network, (), "flops", limit)
    assert kept.orders
    assert all(order.largest <= limit for order in kept.orders)
    assert searched(network, (), "flops", 1).orders == ()


def test_the_same_seed_gives_the_same_orders() -> None:
    network = lattice(5, 5)
    graph = Hypergraph.of(*network)
    state = random.getstate()
    one, other = (search(graph, "flops", None, 7, Effort(20_000))[0] for _ in range(2))
    assert [tree.tree() for tree in one] == [tree.tree() for tree in other]
    assert random.getstate() == state


def test_a_lattice_is_contracted_along_its_short_side() -> None:
    """A 4 x 12 lattice of bonds 2 needs no result of more than 2^5 elements (a column and one bond)."""
    graph = Hypergraph.of(*lattice(4, 12))
    (best, *_), _ = search(graph, "flops", None, 0, Effort(100_000))
    assert largest(graph, best) <= 2**5


def test_a_deep_tree_needs_no_recursion() -> None:
    """A chain of 3,000 matrices from left to right is a tree 3,000 deep; prices and paths once recursed."""
    count = 3000
    letters = [chr(0x4E00 + k) for k in range(count + 1)]
    inputs = [x + y for x, y in pairwise(letters)]
    graph = Hypergraph.of(inputs, letters[0] + letters[-1], dict.fromkeys(letters, 2))
    tree: Any = 0
    for position in range(1, count):
        tree = (tree, position)
    assert graph.flops(tree) == 16 * (count - 1)
    path = to_path(tree)
    assert len(path) == count - 1
    assert leaves(tree) == list(range(count))


def test_sizes_beyond_floats_do_not_overflow() -> None:
    operands, output = CHAIN
    sizes = dict.fromkeys("abcdefghijkl", 10**200)
    graph = Hypergraph.of(operands, output, sizes)
    found, exact = search(graph, "flops", None, 0, LITTLE)
    assert not exact
    assert graph.flops(found[0].tree()) == 20 * 10**600


def test_more_labels_than_letters_through_opt_einsum() -> None:
    inputs, output, sizes = lattice(6, 6)
    arrays = [np.ones([sizes[x] for x in term]) for term in inputs]
    value = opt_einsum.contract(",".join(inputs) + "->" + output, *arrays, optimize=Optimizer())
    assert value == 2**60


@given(networks(1, 6))
@settings(max_examples=40)
def test_the_optimizer_gives_opt_einsum_a_right_path(network: Any) -> None:
    operands, output, sizes = network
    arrays = [np.ones([sizes[x] for x in word]) for word in operands]
    equation = ",".join(operands) + "->" + output
    wanted = np.einsum(equation, *arrays)
    assert np.allclose(opt_einsum.contract(equation, *arrays, optimize=Optimizer()), wanted)


def test_the_optimizer_keeps_to_a_memory_limit_or_takes_one_step() -> None:
    inputs, sizes = [frozenset("ab"), frozenset("bc"), frozenset("cd")], {"a": 9, "b": 2, "c": 2, "d": 9}
    path = Optimizer()(inputs, frozenset("ad"), sizes, 81)
    graph = Hypergraph.of(inputs, "ad", sizes)
    assert largest(graph, Rooted.of(graph, from_path(path, 3))) == 81
    assert Optimizer()(inputs, frozenset("ad"), sizes, 80) == [(0, 1, 2)]


def test_a_time_budget_ends_the_search() -> None:
    graph = Hypergraph.of(*lattice(10, 10))
    stop = time.monotonic() - 1.0
    found, _ = search(graph, "flops", None, 0, Effort(stop=stop, begun=stop - 1.0))
    assert sorted(leaves(found[0].tree())) == list(range(100))


def test_symbols_are_searched_at_samples() -> None:
    operands, output = CHAIN
    found = plan(expression(operands, output, dict.fromkeys("abcdefghijkl", "n")))
    assert not found.optimal
    (regime,) = found.regimes()
    assert str(regime.flops) == "20*n**3"
