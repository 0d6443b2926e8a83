"""What runs is what was planned: FLOPs, pointwise operations and memory of executed kernels, against plans.

Every expression is compiled and run under torch's own FLOP counter (with our rules for what it scores 0),
under ours and under the memory tracker.  Proofs are left out here; they are the matter of `test_programs`, and so are
passes: attention as one operation needs less memory (`test_attention`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_terms import KINDS, RandomTerms
from torch.utils.flop_counter import FlopCounterMode

import tensoralg as ta
from tensoralg.errors import MissingSize
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import Operator, compile, count, custom_mapping, track
from tensoralg.lower.build import compile_definitions
from tensoralg.plan.polynomial import value_at

SEEDS = st.integers(0, 10**9)
EXTENTS = st.tuples(*[st.integers(2, 4)] * 3).map(lambda extents: dict(zip("ndh", extents, strict=True)))
Costs = dict[str, int]


@pytest.fixture(autouse=True, scope="module")
def _without_proofs() -> Iterator[None]:
    """A program costs the same whether it is proved or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensoralg.lower.validate.prove", lambda *_: SimpleNamespace(status="proved"))
        yield


def compiled(definitions: ta.Definition | list[ta.Definition], sizes: dict[str, int], fixed: bool) -> Operator:
    """Compile for letters or for numbers, for numbers also where no input tells a size."""
    written = definitions if isinstance(definitions, list) else [definitions]
    known = {name: sizes[name] for name in set().union(*map(all_dimensions, written))}
    try:
        return compile_definitions(written, known if fixed else None, single=written is not definitions, passes=())
    except MissingSize:
        return compile_definitions(written, known, single=written is not definitions, passes=())


def planned(operator: Operator, sizes: dict[str, int]) -> Costs:
    """Return the prices of the program that runs at the given sizes."""
    prices = operator.plan.prices[: len(operator.programs)]
    price = min(prices, key=lambda one: value_at(one.flops, sizes))
    return {key: value_at(getattr(price, key), sizes) for key in ("flops", "pointwise", "largest", "peak")}


def executed(operator: Operator, sizes: dict[str, int], batch: tuple[int, ...] = ()) -> Costs:
    """Return what a call costs; torch's counter agrees with ours, and every operation has a rule."""
    shapes = [[*batch, *(sizes[str(leg.dimension)] for leg in tensor.legs)] for tensor in operator.tensors]
    arrays = [torch.ones(shape) for shape in shapes]
    cost, memory = count(lambda: operator(*arrays)), track(lambda: operator(*arrays))
    with FlopCounterMode(display=False, custom_mapping=custom_mapping()) as counter:
        operator(*arrays)
    assert counter.get_total_flops() == cost.flops, operator.source
    return {"flops": cost.flops, "pointwise": cost.pointwise, "largest": memory.largest, "peak": memory.peak}


@settings(max_examples=160)
@given(SEEDS, EXTENTS, st.booleans())
def test_random_expressions(seed: int, sizes: dict[str, int], fixed: bool) -> None:
    operator = compiled(RandomTerms(seed).definition(), sizes, fixed)
    assert executed(operator, sizes) == planned(operator, sizes), operator.source


@settings(max_examples=100)
@given(SEEDS, EXTENTS, st.booleans())
def test_random_contractions(seed: int, sizes: dict[str, int], fixed: bool) -> None:
    operator = compiled(RandomTerms(seed).contraction(), sizes, fixed)
    assert executed(operator, sizes) == planned(operator, sizes), operator.source


@settings(max_examples=50)
@given(SEEDS, EXTENTS, st.booleans(), st.integers(1, 3))
def test_several_results(seed: int, sizes: dict[str, int], fixed: bool, count: int) -> None:
    """Parts that are written again, in the same or in another definition, run once."""
    terms = RandomTerms(seed)
    operator = compiled([terms.definition() for _ in range(count)], sizes, fixed)
    assert executed(operator, sizes) == planned(operator, sizes), operator.source


@settings(max_examples=25)
@given(SEEDS, EXTENTS)
def test_batch_axes_multiply_everything(seed: int, sizes: dict[str, int]) -> None:
    """Where nothing is made of 0/1 arrays alone, which have no batch axes."""
    operator = compiled(RandomTerms(seed).contraction(), sizes, fixed=False)
    expected = {key: 6 * amount for key, amount in planned(operator, sizes).items()}
    assert executed(operator, sizes, (2, 3)) == expected, operator.source


@settings(max_examples=30)
@given(SEEDS, st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_sizes_of_one_cost_at_most_what_was_planned(seed: int, extents: list[int]) -> None:
    """torch.einsum runs a sum over axes of size 1 as a product, or as a view."""
    sizes = dict(zip("ndh", extents, strict=True))
    operator = compiled(RandomTerms(seed).definition(), sizes, fixed=False)
    runs, plan = executed(operator, sizes), planned(operator, sizes)
    assert all(runs[key] <= plan[key] for key in plan), operator.source


def test_a_sum_over_one_entry_is_skipped() -> None:
    operator = compile(ta.parse("O[t] = A[t,f]*x[f]", indices={"t": "n", "f": "d"}))
    sizes = {"n": 5, "d": 1}
    assert (planned(operator, sizes)["flops"], executed(operator, sizes)["flops"]) == (10, 5)


def test_the_generator_writes_everything() -> None:
    kinds: set[str] = set()
    for seed in range(60):
        terms = RandomTerms(seed)
        terms.definition()
        kinds |= terms.kinds
    assert kinds == set(KINDS)


INDICES = {"t,s,u,v": "n ordered", "f,g": "d"}


@pytest.mark.parametrize(
    ("text", "flops", "pointwise", "largest", "peak"),
    [
        # with n = 5 and d = 2: a hyperedge, a batch index, an outer product, a sum in one tensor, a broadcast leg
        ("O[t] = A[t,f]*B[t,f]*C[t,f]", 10 + 20, 0, 10, 10 + 5),
        ("O[t,f,g] = A[t,u,f]*B[t,u,g]", 2 * 5 * 5 * 4, 0, 20, 20),
        ("O[t,f] = x[t]*y[f]", 10, 0, 10, 10),
        ("O[t] = A[t,f]*x[t]", 10 + 5, 0, 5, 5 + 5),
        ("O[t,f] = x[t] + y[f]", 0, 10, 10, 10),
        ("O[t,s,f] = A[t,f]", 0, 0, 50, 50),
        ("O[t,s,f] = 2*A[t,f]", 0, 10, 10, 10),
        # views as outputs count in full where they are views of inputs, and what they are views of where not
        ("O[f,t] = A[t,f]", 0, 0, 10, 10),
        ("O[t] = A[t,t]", 0, 0, 5, 5),
        ("O[t,s] = le[s,t]", 0, 0, 25, 25),
        ("O[t,s] = exp(x[t])", 0, 5, 5, 5),
        # scalars and constants
        ("O[] = 7", 0, 1, 1, 1),
        ("O[] = c[]", 0, 0, 1, 1),
        ("O[] = c[]*x[t]*x[t]", 10 + 1, 0, 1, 1 + 1),
        ("O[t] = sum(s: x[t])", 0, 5, 5, 5),
        # a scale is another array, also of what has been computed
        ("O[t] = 2*A[t,f]*y[f]", 20, 5, 5, 10),
        ("O[t,s] = A[t,s] + 1/2*x[s]", 0, 5 + 25, 25, 5 + 25),
        # terms are computed one after the other, just before they are added
        ("O[t] = exp(x[t]) + exp(y[t]) + exp(z[t])", 0, 25, 5, 15),
        ("O[t] = exp(x[t])/exp(y[t])/exp(z[t])", 0, 25, 5, 15),
        # a mask selects; in a softmax it fills a copy of what it masks, which may be smaller than the result
        ("O[t,s] = le[s,t]*A[t,s]", 0, 25, 25, 25),
        ("O[t,s] = softmax(s: A[t,s])", 25, 50, 25, 25),
        ("O[t,s] = exp(A[t,s])*le[s,t]/sum(u: exp(A[t,u])*le[u,t])", 25, 75, 25, 50),
        ("O[t,s,u] = exp(x[s])*le[s,t]*lt[s,u]/sum(v: exp(x[v])*le[v,t]*lt[v,u])", 125, 250 + 25 + 125, 125, 250),
        # what a contraction reads twice is computed once, and alive to its end; so is a step that it does twice
        ("O[t,s,u] = exp(x[t])*exp(x[s])*y[u]", 25 + 125, 5, 125, 5 + 25 + 125),
        ("O[t,s,u] = sum(f,g: exp(A[t,f])*exp(A[s,g]))*x[u]", 10 + 25 + 125, 10, 125, 25 + 125),
    ],
)
def test_costs_by_hand(text: str, flops: int, pointwise: int, largest: int, peak: int) -> None:
    definition = ta.parse(text, indices=INDICES)
    sizes = {"n": 5, "d": 2}
    operator = compiled(definition, sizes, fixed=False)
    expected = {"flops": flops, "pointwise": pointwise, "largest": largest, "peak": peak}
    assert planned(operator, sizes) == expected
    assert executed(operator, sizes) == expected, operator.source


def test_the_sizes_that_a_plan_names_are_those_of_the_kernel() -> None:
    definition = ta.parse("O[t,f] = softmax(s: sum(g: Q[t,g]*K[s,g]))*V[s,f]", indices=INDICES)
    operator = compiled(definition, {"n": 6, "d": 3}, fixed=False)
    sizes = {"n": 6, "d": 3}
    plan: Any = operator.plan.at(**sizes)
    found = {key: getattr(plan, key) for key in ("flops", "pointwise", "largest", "peak")}
    assert executed(operator, sizes) == found == {"flops": 468, "pointwise": 72, "largest": 36, "peak": 72}


def test_random_draws_are_many() -> None:
    """At least 200 different expressions are compared."""
    rng = random.Random(0)
    assert len({str(RandomTerms(rng.randrange(10**9)).definition()) for _ in range(200)}) >= 190
