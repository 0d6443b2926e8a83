"""The plan's own face: regimes that cover everything, limits, searched orders, errors."""

from __future__ import annotations

import pickle
import random

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.oracle import expression, positions, run

import tensoralg as ta
from tensoralg.plan import plan
from tensoralg.plan.tree import from_path, leaves, to_path

n, d = ta.dims("n d")
SHAPES = {"t": "n", "s": "n", "f": "d", "e": "d"}
ATTENTION = expression(["tf", "sf", "se"], "te", SHAPES)
SECOND = expression(["tf", "sf", "ug", "sg", "ue"], "te", {**SHAPES, "u": "n", "g": "d"})
SOFTMAX = ta.parse("O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]", indices={"t,s": "n", "f,e": "d"})


@settings(max_examples=40)
@given(st.integers(1, 40), st.one_of(st.integers(1, 40), st.just(10**12)))
@pytest.mark.parametrize("minimize", ["flops", "largest", "peak"])
def test_regimes_cover_all_sizes_and_the_named_one_is_least(minimize: str, rows: int, columns: int) -> None:
    for expr in (ATTENTION, SECOND):
        regimes = plan(expr, minimize=minimize).regimes()
        at = {n: rows, d: columns}
        values = [sympy.sympify(getattr(r, minimize)).subs(at) for r in regimes]
        holds = [bool(sympy.sympify(r.where).subs(at)) for r in regimes]
        assert any(holds)
        assert {v for v, h in zip(values, holds, strict=True) if h} == {min(values)}


def test_a_plan_at_sizes_is_one_order() -> None:
    found = plan(ATTENTION)
    at = found.at(n=4096, d=64)
    assert (at.flops, at.path, at.tree) == (4 * 4096 * 64**2, [(1, 2), (0, 1)], ("A0", ("A1", "A2")))
    assert found.at(n=8).regimes() == plan(ATTENTION, {"n": 8}).regimes()
    assert {r.where for r in found.at(n=8).regimes()} == {sympy.Le(8, d), sympy.Le(d, 8)}
    ((block, tree),) = found.order_at({"n": 2, "d": 9}).trees.items()
    assert tree == ((0, 1), 2)
    assert found.order_at({"n": 9, "d": 2}).trees[block] == (0, (1, 2))


def test_programs_pick_by_condition() -> None:
    first, second = plan(ATTENTION).programs
    assert first.condition.holds({"n": 2, "d": 3})
    assert not first.condition.holds({"n": 3, "d": 2})
    assert second.condition.holds({"n": 3, "d": 2})
    assert second.condition.holds({"n": 2, "d": 2})


def test_orders_that_are_no_product() -> None:
    found = plan(SOFTMAX)
    assert found.path is None
    assert found.tree == (("softmax", ("Q", "K")), "V")
    assert found.order_in("n") == 2
    assert plan(SECOND).order_in("n") == 1
    assert plan(SECOND).order_in("d") == 1


def test_a_scalar_and_a_single_operand() -> None:
    alone = plan(ta.parse("O[t] = x[t]", indices={"t": "n"}))
    assert (alone.flops, alone.largest, alone.path, alone.tree) == (0, n, [(0,)], "x")
    number = plan(ta.parse("O[] = 3", indices={}))
    assert (number.flops, number.largest, number.tree) == (0, 1, "1")
    assert number.at().flops == 0


def test_a_memory_limit_changes_the_order_and_says_what_is_least() -> None:
    operands, output = ["ab", "bc", "cd"], "ad"
    sizes = {"a": 30, "b": 2, "c": 40, "d": 3}
    expr, named = expression(operands, output), {f"n{x}": v for x, v in sizes.items()}
    free = plan(expr, named, minimize="flops")
    assert plan(expr, named, memory_limit=max(120, free.largest)).flops == free.flops
    both = [run(operands, output, sizes, order) for order in (((0, 1), 2), (0, (1, 2)))]
    tight = max(2 * 40, 40 * 3, 30 * 3)  # the largest input or output
    assert plan(expr, named, memory_limit=tight).flops == min(f for f, largest, _ in both if largest <= tight)
    with pytest.raises(ta.errors.MemoryLimit) as caught:
        plan(expr, named, memory_limit=tight - 1)
    assert caught.value.minimum == tight
    matrix = expression(["ab", "ab", "bc", "cd"], "d")
    ring = {f"n{x}": v for x, v in {"a": 2, "b": 9, "c": 9, "d": 9}.items()}
    assert plan(matrix, ring, memory_limit=81).largest <= 81
    outer = expression(["a", "b", "ab", "c", "bc"], "")
    assert plan(outer, {"na": 9, "nb": 9, "nc": 9}, memory_limit=81).largest <= 81


def test_a_limit_that_no_order_meets() -> None:
    expr = ta.parse("O[] = exp(x[t]*y[s])*z[t]*z[s]", indices={"t,s": "n"})
    with pytest.raises(ta.errors.MemoryLimit) as caught:
        plan(expr, {"n": 10}, memory_limit=50)
    assert caught.value.minimum == 100
    first, second = plan(ATTENTION, memory_limit=n * d + d**2).regimes()
    assert (first.flops, first.slices) == (4 * n * d**2, ()), "the only order whose largest array is proved to fit"
    assert (second.flops, second.slices) == (4 * n**2 * d, (("St", n),)), "sliced, the other one fits as well"
    with pytest.raises(ta.errors.NeedsSizes):
        plan(ATTENTION, memory_limit=1000)
    with pytest.raises(ta.errors.InvalidSize):
        plan(ATTENTION, memory_limit=0)


def test_large_networks_are_searched() -> None:
    rng = random.Random(5)
    words = [f"i{k} i{k + 1}" for k in range(60)]
    spaces = [ta.Space(f"S{k}", rng.randint(2, 50)) for k in range(61)]
    tensors = [ta.tensor(f"A{k}", spaces[k] @ spaces[k + 1]) for k in range(60)]
    expr = ta.einsum(", ".join(words) + " -> i0 i60", *tensors)
    found = plan(expr)
    assert not found.optimal
    tree = positions(found.tree)
    assert sorted(leaves(tree)) == list(range(60))
    assert plan(expr).flops == found.flops, "the same seed gives the same order"
    state = random.getstate()
    plan(expr, seed=3, seconds=0.5)
    assert random.getstate() == state, "the global generator is left alone"


def test_sizes_beyond_64_bits() -> None:
    huge = 2**70
    assert plan(ATTENTION, {"n": huge, "d": 2}).flops == 16 * huge


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sizes": {"m": 3}}, ta.errors.UnknownSize),
        ({"sizes": {"n": 0}}, ta.errors.InvalidSize),
        ({"sizes": {"n": -1}}, ta.errors.InvalidSize),
        ({"sizes": {"n": 2.5}}, ta.errors.InvalidSize),
        ({"minimize": "flop"}, ta.errors.UnknownName),
        ({"seconds": 0}, ta.errors.InvalidSize),
        ({"memory_limit": "x y"}, ta.errors.TensoralgError),
    ],
)
def test_bad_options(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        plan(ATTENTION, **options)  # type: ignore[arg-type]


def test_bad_questions() -> None:
    with pytest.raises(ta.errors.InvalidExpression):
        plan("tf,sf->ts")  # type: ignore[arg-type]
    with pytest.raises(ta.errors.UnknownSize) as caught:
        plan(ATTENTION).order_in("m")
    assert caught.value.name == "m"
    with pytest.raises(ta.errors.NeedsSizes):
        plan(ATTENTION).order_at({"n": 3})


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
def test_paths_and_trees_are_two_forms_of_one_thing(choices: list[int]) -> None:
    parts: list[object] = list(range(len(choices) + 1))
    for choice in choices:
        right = parts.pop(choice % len(parts))
        left = parts.pop(choice % len(parts))
        parts.append((left, right))
    (tree,) = parts

    def unordered(part: object) -> object:
        return frozenset(map(unordered, part)) if isinstance(part, tuple) else part

    assert unordered(from_path(to_path(tree), len(choices) + 1)) == unordered(tree)  # type: ignore[arg-type]


def test_the_report(golden: object) -> None:
    text = "\n\n".join(plan(expr).show() for expr in (ATTENTION, SOFTMAX))
    golden("plan_report.txt", text + "\n")  # type: ignore[operator]
    assert "n <= d" in text
    assert plan(ATTENTION)._repr_latex_().startswith("$")
    assert str(plan(ATTENTION)) == plan(ATTENTION).show()


def test_a_plan_survives_pickling() -> None:
    found = pickle.loads(pickle.dumps(plan(ATTENTION)))
    assert found.flops == sympy.Min(4 * n**2 * d, 4 * n * d**2)
