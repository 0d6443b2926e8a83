"""The order of operations and the lives of arrays, against their definitions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from random_terms import RandomTerms

import tensoralg as ta
from tensoralg.plan.block import Contract
from tensoralg.plan.blocks import blocks, walk_blocks
from tensoralg.plan.graph import Graph
from tensoralg.plan.schedule import Schedule, is_view

SIZES = {"n": 4, "d": 3, "h": 2}


def scheduled(*definitions: ta.Expr) -> Schedule:
    roots = [blocks(definition)[0] for definition in definitions]
    return Schedule(roots, Graph(roots[0], SIZES).volume)


@settings(max_examples=150)
@given(st.integers(0, 10**9), st.integers(1, 3))
def test_arrays_live_from_where_they_are_made_to_where_they_are_read_last(seed: int, outputs: int) -> None:
    terms = RandomTerms(seed)
    schedule = scheduled(*(terms.definition() for _ in range(outputs)))
    kept = {schedule.array(root) for root in schedule.roots}
    operations = schedule.operations
    for position, operation in enumerate(operations):
        assert all(read is None or read < position for read in operation.reads)
        later = {read for other in operations[position:] for read in other.reads}
        alive = sum(operations[k].result for k in range(position) if k in later or k in kept)
        assert schedule.alive[position] == alive
        if isinstance(operation.block, Contract):
            after = {read for other in operations[position + 1 :] for read in other.reads} | kept
            for read, held in zip(operation.reads, schedule.held(position), strict=True):
                gone = read is not None and read not in after and operation.reads.count(read) == 1
                assert held == (operations[read].result if gone else 0)


@settings(max_examples=100)
@given(st.integers(0, 10**9))
def test_every_block_is_computed_once(seed: int) -> None:
    definition = RandomTerms(seed).definition()
    root, _ = blocks(definition)
    schedule = scheduled(definition)
    contractions = [operation.block for operation in schedule.operations if isinstance(operation.block, Contract)]
    assert len(contractions) == len(set(contractions))
    assert set(contractions) == {b for b in walk_blocks(root) if isinstance(b, Contract) and not is_view(b)}


def test_an_output_that_another_reads_stays_alive() -> None:
    (t,) = ta.Space("T", "n").indices("t")
    x = ta.tensor("x", t.space)
    first = ta.define((t,), ta.exp(x[t]))
    second = ta.define((t,), ta.exp(ta.exp(ta.exp(x[t]))))
    assert scheduled(second).alive == [0, 4, 4]
    assert scheduled(first, second).alive == [0, 4, 8]
