"""Streams of random masked sums against loops.

All 300 are derived and run token by token, and the outputs are compared with the definition at every length.  Deciding
every law of every one takes minutes, so the laws are decided for the first 60 that sum over two times, and the merges
of segments are evaluated for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from stream.oracle import INDICES, SIZES, Writer, values

import tensoralg as ta
from tensoralg.errors import NotStreamable
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.rewrite import distinct_nodes

COUNT = 300
LENGTH = 4
PROVED = [seed for seed in range(COUNT) if Writer(seed, gated=seed % 2 == 1).masked().summed <= 2][:60]


class Case:
    """A random masked sum, arrays for its tensors, and its stream."""

    def __init__(self, seed: int) -> None:
        self.writer = Writer(seed, gated=seed % 2 == 1)
        self.masked, self.legs = self.writer.masked(), self.writer.legs
        text = f"O[{','.join(('t', *self.legs))}] = {self.masked}"
        legs = dimensions(ta.parse(text, indices=INDICES))
        facts = {name: f"{' '.join(spaces)} positive" for name, spaces in legs.items() if name[0] == "P"}
        self.expr = ta.parse(text, indices=INDICES, tensors=facts)
        self.timed = {name for name, spaces in legs.items() if "n" in spaces}
        self.arrays = self.writer.arrays(legs, LENGTH)

    @cached_property
    def stream(self) -> Any:
        return ta.stream(self.expr)

    def part(self, low: int, high: int) -> dict[str, Any]:
        """Return the arrays of the tokens low <= r < high."""
        return {name: array[low:high] if name in self.timed else array for name, array in self.arrays.items()}


def dimensions(expr: Any) -> dict[str, list[str]]:
    """Return the dimensions of the legs of every tensor."""
    tensors = [node.tensor for node in distinct_nodes(expr) if hasattr(node, "tensor")]
    return {tensor.name: [str(leg.dimension) for leg in tensor.legs] for tensor in tensors}


def evaluated(expr: Any, arrays: Mapping[str, Any], length: int | None = None) -> Any:
    """Return the exact value of an expression, from those of the arrays that it mentions."""
    sizes = {**SIZES, "n": length}
    known = {name: sizes[name] for name in all_dimensions(expr)}
    return np.asarray(expr.evaluate(known, **{name: arrays[name] for name in expr.tensors}))


def steps(case: Case) -> list[Any]:
    """Return the outputs token by token; the states begin at 0."""
    step, found = case.stream.step, []
    state = {name: np.zeros([SIZES[str(leg.space.dimension)] for leg in new.legs], int) for name, new in step.items()}
    for token in range(LENGTH):
        arrays = {name: array[token] if name in case.timed else array for name, array in case.arrays.items()}
        found.append(evaluated(case.stream.output, {**arrays, **state}))
        state = {name: evaluated(new, {**arrays, **state}) for name, new in step.items()}
    return found


def statistics(case: Case, low: int, high: int) -> dict[str, Any]:
    """Return the statistics of a segment; constant gates are gates at every time there."""
    arrays = case.part(low, high)
    made = case.stream.statistics
    legs = {name: spaces for one in made.values() for name, spaces in dimensions(one).items()}
    constant = {name for name, spaces in legs.items() if "n" in spaces} - case.timed
    arrays |= {name: [arrays[name]] * (high - low) for name in constant}
    return {name: evaluated(one, arrays, high - low) for name, one in made.items()}


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_stream_computes_its_definition_token_by_token(seed):
    case = Case(seed)
    for token, output in enumerate(steps(case)):
        for length in range(token + 1, LENGTH + 1):
            for place, value in values(case.masked, case.legs, case.part(0, length), length, token).items():
                assert output[place] == value, (str(case.expr), token, length, place)
    assert "n" not in map(str, case.stream.state_size.free_symbols)


@pytest.mark.parametrize("seed", PROVED)
def test_every_law_of_a_stream_is_proved(seed):
    case = Case(seed)
    assert {name: verdict.status for name, verdict in case.stream.verdicts.items() if not verdict} == {}, str(case.expr)


@pytest.mark.parametrize("seed", sorted({*range(COUNT)} - {*PROVED}))
def test_statistics_of_two_segments_merge_to_those_of_both(seed):
    case = Case(seed)
    try:
        merges = case.stream.merge
    except NotStreamable:
        assert "nested" in case.writer.shapes
        return
    cut = case.writer.rng.randint(1, LENGTH - 1)
    parts = {"left_": statistics(case, 0, cut), "right_": statistics(case, cut, LENGTH)}
    given = {side + name: value for side, part in parts.items() for name, value in part.items()} | case.arrays
    for name, whole in statistics(case, 0, LENGTH).items():
        assert (evaluated(merges[name], given) == whole).all(), (str(case.expr), name, cut)


def test_the_random_sums_are_of_all_kinds():
    shapes = {shape for seed in range(COUNT) for shape in Case(seed).writer.shapes}
    assert shapes >= {"chain", "tree", "V", "constant", "scalar", "channel", "matrix", "nested", "quotient", "after"}
