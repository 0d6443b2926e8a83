"""Graphs rewritten by the distributive law: the same values, and the textbook factorisations."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.repeats import definition, inputs
from plan.values import value

import tensoralg as ta
from tensoralg.plan import plan
from tensoralg.plan.block import Contract, Total
from tensoralg.plan.blocks import blocks
from tensoralg.plan.distribute import alternatives


@settings(max_examples=200)
@given(st.integers(0, 10**6))
def test_every_alternative_has_the_same_value(seed: int) -> None:
    sizes = {"n": 2, "d": 3}
    root, _ = blocks(definition(seed, terms=3, count=3))
    arrays = inputs(seed, sizes)
    wanted = value(root, arrays, sizes)
    for other in alternatives(root):
        assert other.axes == root.axes
        assert np.array_equal(value(other, arrays, sizes), wanted)


def test_common_factors_are_taken_out_on_both_sides() -> None:
    text = "O[i,l] = A[i,j]*B[j,k]*C[k,l] + A[i,j]*D[j,k]*C[k,l]"
    found = alternatives(blocks(ta.parse(text, indices={"i,j,k,l": "n"}))[0])
    shapes = [
        sorted(type(operand.block).__name__ for operand in block.factors)
        for block in found
        if isinstance(block, Contract)
    ]
    assert ["Leaf", "Leaf", "Total"] in shapes


def test_a_sum_inside_a_product_is_expanded() -> None:
    text = "y[i] = (U[i,r]*V[j,r] + D[i,j])*x[j]"
    root, _ = blocks(ta.parse(text, indices={"i,j": "n", "r": "r"}))
    assert isinstance(root, Contract)
    assert any(isinstance(block, Total) for block in alternatives(root))


def test_a_rewritten_graph_may_have_lost_a_dimension() -> None:
    # I x x^T y for constant x: rewritten, a sum over all of n is a number
    text = "y[i] = (delta[i,j] - 1/n)*sum(k: delta[j,k])"
    found = plan(ta.parse(text, indices={"i,j,k": "n"}))
    assert found.regimes()
