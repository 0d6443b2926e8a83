"""Graphs done pair by pair: the same values, the same price where no steps are equal, less where some are."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.repeats import A, T, definition, inputs
from plan.values import value

import tensoralg as ta
from tensoralg.plan.block import Contract
from tensoralg.plan.blocks import blocks, walk_blocks
from tensoralg.plan.graph import Graph
from tensoralg.plan.pairs import paired, symmetries

t, s, u, v = T.indices("t s u v")


def tree(rng: random.Random, members: list[int]) -> Any:
    """Return a random tree."""
    if len(members) < 2:
        return members[0] if members else ()
    rng.shuffle(members)
    cut = rng.randrange(1, len(members))
    return (tree(rng, members[:cut]), tree(rng, members[cut:]))


@settings(max_examples=150)
@given(st.integers(0, 10**6))
def test_the_pairwise_graph_has_the_same_value(seed: int) -> None:
    sizes, rng = {"n": 2, "d": 3}, random.Random(seed)
    root, _ = blocks(definition(seed))
    trees = {b: tree(rng, list(range(len(b.factors)))) for b in walk_blocks(root) if isinstance(b, Contract)}
    pairs = paired(root, trees)
    assert all(len(b.operands) <= 2 for b in walk_blocks(pairs) if isinstance(b, Contract))
    arrays = inputs(seed, sizes)
    assert np.array_equal(value(pairs, arrays, sizes), value(root, arrays, sizes))


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.sampled_from([{"n": 3, "d": 5}, {"n": 7, "d": 2}]))
def test_what_is_shared_costs_no_more(seed: int, sizes: dict[str, int]) -> None:
    rng = random.Random(seed)
    root, _ = blocks(definition(seed))
    trees = {b: tree(rng, list(range(len(b.factors)))) for b in walk_blocks(root) if isinstance(b, Contract)}
    pairs = paired(root, trees)
    before, after = Graph(root, sizes).price(trees), Graph(pairs, sizes).price({})
    assert after.flops <= before.flops
    steps = [b for b in walk_blocks(pairs) if isinstance(b, Contract) and len(b.factors) == 2]
    if len(steps) == sum(len(b.factors) - 1 for b in trees if b.factors) and after.flops == before.flops:
        assert (after.pointwise, after.largest) == (before.pointwise, before.largest)
        assert after.peak == before.peak


def test_a_product_of_a_tensor_with_itself_is_computed_once() -> None:
    # (A A^T)(A A^T): one product of A with itself, then its square
    expr = ta.define((t, s), A[t, u] * A[v, u] * A[v, T.index("w")] * A[s, T.index("w")])
    root, _ = blocks(expr)
    pairs = paired(root, {root: ((0, 1), (2, 3))})
    n = ta.dims("n")
    assert Graph(pairs).price({}).flops.sympy() == 4 * n**3
    assert Graph(root).price({root: ((0, 1), (2, 3))}).flops.sympy() == 6 * n**3


def test_symmetries_are_those_of_the_values() -> None:
    gram = paired(blocks(ta.define((t, s), A[t, u] * A[s, u]))[0], {})
    assert symmetries(gram) == [(0, 1), (1, 0)]
    square = paired(blocks(ta.define((t, s), A[t, u] * A[u, s]))[0], {})
    assert symmetries(square) == [(0, 1)]
