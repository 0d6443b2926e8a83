"""Decays as array operations: against loops over integers, exact evaluation, products in any order, and their costs."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import extent, oracle

import tensoralg as ta
from tensoralg.errors import InvalidExpression, MissingSize, ValidationFailed
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import compile, count, track, verify
from tensoralg.lower.arithmetic import arithmetic
from tensoralg.lower.bounds import error_bound
from tensoralg.lower.build import spaces_of, tensors_of
from tensoralg.lower.meaning import read_program
from tensoralg.lower.operator import load
from tensoralg.lower.program import Paths, Program, Step
from tensoralg.lower.readback import read_source
from tensoralg.lower.validate import prove_equal, with_parts
from tensoralg.spaces import Injected

T, F = ta.Space("T", "n", ordered=True), ta.Space("F", "d")
t, s, u = T.indices("t s u")
f, g = F.indices("f g")
c, a, b, G = ta.tensor("c", ta.Unit), ta.tensor("a", T), ta.tensor("b", T @ F), ta.tensor("G", T @ F @ F)
x = ta.tensor("x", T @ F)
ENDS = [(t, s), (t, "-"), ("+", s), ("+", "-")]
GATES = {"number": (c, ()), "step": (a, ()), "channel": (b, (f,)), "matrix": (G, (f, g))}


def decay(kind: str, later: Any, earlier: Any) -> ta.Definition:
    gate, channels = GATES[kind]
    term = ta.decay(gate)[later, earlier, *channels]
    return ta.define(term.free_indices, term)


ALL = [(kind, *ends) for kind in GATES for ends in ENDS if (kind, *ends) != ("number", "+", "-")]


def operator_of(definition: ta.Definition, n: int) -> Any:
    try:
        return compile(definition)
    except MissingSize:
        # no axis of an input tells how long a gate that is a number runs
        return compile(definition, sizes={"n": n})


def integers(tensor: ta.Tensor, sizes: dict[str, int], rng: random.Random) -> Any:
    shape = [extent(leg, sizes) for leg in tensor.legs]
    entries = [rng.choice([-2, -1, 0, 1, 2, 3]) for _ in range(math.prod(shape))]
    return np.array(entries, dtype=object).reshape(shape).tolist()


def assert_exact(definition: ta.Definition, sizes: dict[str, int], seed: int) -> None:
    """The kernel computes what loops over integers do, and what evaluation says."""
    operator = operator_of(definition, sizes["n"])
    rng = random.Random(seed)
    lists = {tensor.name: integers(tensor, sizes, rng) for tensor in tensors_of(definition)}
    shapes = {tensor.name: [extent(leg, sizes) for leg in tensor.legs] for tensor in tensors_of(definition)}
    computed = operator(
        **{name: torch.tensor(v, dtype=torch.float64).reshape(shapes[name]) for name, v in lists.items()}
    )
    exact = oracle(definition, sizes, lists)
    assert computed.numel() == len(exact)
    assert all(computed[place].item() == value for place, value in exact.items())
    own = {name: sizes[name] for name in all_dimensions(definition)}
    evaluated = np.asarray(definition.evaluate(own, **lists), dtype=object)
    assert all(evaluated[place] == value for place, value in exact.items())


@pytest.mark.parametrize(("kind", "later", "earlier"), ALL)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_gate_and_every_end(kind: str, later: Any, earlier: Any, n: int) -> None:
    for seed in range(3):
        assert_exact(decay(kind, later, earlier), {"n": n, "d": 2}, seed)


@pytest.mark.parametrize(
    "body",
    [
        ta.decay(a)[t, s] * x[s, f],
        ta.decay(a)[t, u] * ta.decay(a)[u, s] * x[s, f],
        ta.decay(b)[t, s, f] * x[s, f] + ta.decay(b)[t, "-", f],
        ta.decay(G)[t, s, f, g] * x[s, g],
        ta.decay(G)[t, s, f, f] * x[s, f],
        ta.decay(c)[t, s] * x[s, f],
        ta.decay(c)[t, "-"] * x[t, f],
        ta.decay(a)[t, t] * x[t, f],
        ta.decay(a)["+", "-"] * x[t, f],
        ta.decay(a)["+", s] * ta.decay(a)[s, "-"] * x[t, f],
        2 * ta.decay(a)[t, s] * ta.lt[s, t] * x[s, f],
        ta.decay(a)[s, t] * ta.decay(b)[s, "-", f] - a[t] * ta.decay(a)["+", t] * x[t, f],
    ],
    ids=str,
)
def test_decays_inside_expressions(body: ta.Expr) -> None:
    for seed, n in enumerate((1, 4)):
        assert_exact(ta.define((t, f), body), {"n": n, "d": 2}, seed)


def inputs(kind: str, n: int, *batch: int, zeros: bool = True) -> torch.Tensor:
    """Return a gate with some entries, or a whole step, that vanish."""
    shape = {"number": [], "step": [n], "channel": [n, 2], "matrix": [n, 2, 2]}[kind]
    gate = torch.randn([*batch, *shape], dtype=torch.float64, generator=torch.Generator().manual_seed(n + len(batch)))
    if zeros and kind != "number" and n > 2:
        axis = -len(shape)
        gate.select(axis, 1).zero_()
        gate.select(axis, 2).flatten()[:1].zero_()
    return gate


@pytest.mark.parametrize(("kind", "later", "earlier"), ALL)
def test_batch_axes_and_empty_ones(kind: str, later: Any, earlier: Any) -> None:
    operator = operator_of(decay(kind, later, earlier), 4)
    gates = inputs(kind, 4, 2, 3)
    together = operator(gates)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(together[i, j], operator(gates[i, j]))
    torch.testing.assert_close(torch.vmap(operator)(gates[0]), together[0])
    if kind != "number":
        for batch in ((), (3,)):
            empty = operator(inputs(kind, 0, *batch))
            axes = 2 if kind == "matrix" else 1 if kind == "channel" else 0
            times = sum(not isinstance(end, str) for end in (later, earlier))
            assert empty.shape == (*batch, *[0] * times, *[2] * axes)
            if not times:
                one = torch.eye(2) if kind == "matrix" else torch.ones([2] * axes)
                torch.testing.assert_close(empty, one.double().expand(empty.shape))


def test_a_number_over_no_time() -> None:
    operator = compile(ta.define((t, f), ta.decay(c)[t, s] * x[s, f]))
    for n in (0, 1, 3):
        values = torch.arange(n * 2.0).reshape(n, 2)
        expected = torch.stack(
            [sum(0.0 ** (i - j) * values[j] for j in range(i + 1)) for i in range(n)] or [values[:0]]
        )
        torch.testing.assert_close(operator(0.0, values), expected.reshape(n, 2))
    batched = operator(torch.tensor([0.5, 2.0]), torch.ones(2, 3, 2))
    torch.testing.assert_close(batched[:, 2, 0], torch.tensor([1.75, 7.0]))


@pytest.mark.parametrize(("kind", "later", "earlier"), ALL)
def test_gradients_also_where_gates_vanish(kind: str, later: Any, earlier: Any) -> None:
    operator = operator_of(decay(kind, later, earlier), 4)
    gate = inputs(kind, 4).requires_grad_()
    assert torch.autograd.gradcheck(operator, (gate,))
    if kind == "number":
        zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(operator, (zero,))
    gates = torch.stack([inputs(kind, 4), inputs(kind, 4, zeros=False)])
    slopes = torch.vmap(torch.func.grad(lambda one: operator(one).sum()))(gates)
    for one, slope in zip(gates, slopes, strict=True):
        torch.testing.assert_close(slope, torch.func.grad(lambda gate: operator(gate).sum())(one))


@pytest.mark.parametrize(("kind", "later", "earlier"), ALL)
def test_torch_compile_has_no_graph_breaks(kind: str, later: Any, earlier: Any) -> None:
    operator = operator_of(decay(kind, later, earlier), 4)
    torch._dynamo.reset()  # all operators share the code of one module
    fast = torch.compile(operator, fullgraph=True, backend="eager")
    torch.testing.assert_close(fast(inputs(kind, 4)), operator(inputs(kind, 4)))


def test_the_source_is_readable_and_runs_without_the_library() -> None:
    operator = compile(ta.define((t, f), ta.decay(a)[t, s] * ta.decay(G)[t, s, f, g] * x[s, g]))
    assert "decay_between(a, -1)" in operator.source
    assert operator.source.count("def decay_between") == operator.source.count("def matrix_decay_between") == 1
    assert "def decay_to_end" not in operator.source
    namespace: dict[str, Any] = {}
    exec(operator.source, namespace)
    arrays = [inputs("step", 4), inputs("matrix", 4), inputs("channel", 4)]
    assert torch.equal(namespace["operator"](*arrays), operator(*arrays))


# costs


@pytest.mark.parametrize(
    ("kind", "later", "earlier", "flops", "pointwise", "largest", "peak"),
    [
        # with n = 5 and d = 2
        ("step", t, s, 0, 75, 25, 50),
        ("step", t, "-", 0, 5, 5, 5),
        ("step", "+", s, 0, 5, 5, 10),
        ("step", "+", "-", 0, 5, 1, 1),
        ("channel", t, s, 0, 150, 50, 100),
        ("channel", t, "-", 0, 10, 10, 10),
        ("channel", "+", s, 0, 10, 10, 20),
        ("channel", "+", "-", 0, 10, 2, 2),
        ("matrix", t, s, 5 * 4 * 8, 0, 100, 200),
        ("matrix", t, "-", 2 * 5 * 8, 0, 20, 40),
        ("matrix", "+", s, 2 * 4 * 8, 0, 20, 36),
        ("matrix", "+", "-", 2 * 5 * 8, 0, 4, 8),
        ("number", t, s, 0, 75, 25, 50),
        ("number", t, "-", 0, 5, 5, 5),
        ("number", "+", s, 0, 5, 5, 10),
    ],
)
def test_what_runs_is_what_was_planned(
    kind: str, later: Any, earlier: Any, flops: int, pointwise: int, largest: int, peak: int
) -> None:
    operator = operator_of(decay(kind, later, earlier), 5)
    sizes = {name: size for name, size in {"n": 5, "d": 2}.items() if name in operator.plan.symbols}
    plan = operator.plan.at(**sizes) if sizes else operator.plan
    assert (plan.flops, plan.pointwise, plan.largest, plan.peak) == (flops, pointwise, largest, peak)
    for batch, times in (((), 1), ((3,), 3)):
        gate = inputs(kind, 5, *batch)
        cost, memory = count(lambda: operator(gate)), track(lambda: operator(gate))  # noqa: B023
        assert (cost.flops, cost.pointwise) == (times * flops, times * pointwise)
        assert (memory.largest, memory.peak) == (times * largest, times * peak)


def test_a_decay_is_planned_once_and_shown_in_the_language() -> None:
    found = ta.plan(ta.define((t, f), ta.decay(a)[t, s] * (x[s, f] + ta.decay(b)[t, s, f])))
    assert str(found).count("= decay(a, 't,s')") == 1
    assert found.at(n=5, d=2).pointwise == 3 * 25 + 3 * 50 + 50
    both = ta.plan([decay("step", t, s), ta.define((t, f), ta.decay(a)[t, s] * x[s, f])])
    assert both.at(n=5, d=2).pointwise == 75


# rounding


@pytest.mark.parametrize(("kind", "later", "earlier"), ALL)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_kernels_are_within_their_bounds(kind: str, later: Any, earlier: Any, dtype: str) -> None:
    operator = operator_of(decay(kind, later, earlier), 9)
    sizes = {"n": 9, "d": 3}
    report = verify(operator, {name: sizes[name] for name in operator.plan.symbols}, dtype)
    assert report.ok, report
    assert report.slack >= 1


STEPS = compile(decay("step", t, s))


def bound_of(operator: Any, gate: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    arrays = {operator.inputs[0]: torch.from_numpy(gate).double()}
    return error_bound(operator.programs[0], arrays, sizes, arithmetic("float32", "cpu"))[0].numpy()


def in_any_order(gates: list[np.float32], rng: np.random.Generator) -> float:
    """Multiply neighbours or others, as a parallel scan may."""
    left = list(gates)
    while len(left) > 1:
        one = left.pop(rng.integers(len(left)))
        left.append(np.float32(left.pop(rng.integers(len(left))) * one))
    return float(left[0]) if left else 1.0


@settings(max_examples=100)
@given(st.integers(0, 10**9), st.integers(1, 12), st.integers(-70, 0), st.integers(0, 70), st.booleans())
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_the_bound_holds_in_any_order_with_zeros_underflow_and_overflow(
    seed: int, n: int, low: int, high: int, zero: bool
) -> None:
    rng = np.random.default_rng(seed)
    gate = (rng.standard_normal(n) * 2.0 ** rng.integers(low, high + 1, n)).astype(np.float32)
    if zero:
        gate[rng.integers(n)] = 0
    bound = bound_of(STEPS, gate, {"n": n})
    for late in range(n):
        for early in range(n):
            path = list(gate[early + 1 : late + 1])
            exact = math.prod((Fraction(float(x)) for x in path), start=Fraction(1)) if early <= late else Fraction(0)
            computed = in_any_order(path, rng) if early <= late else 0.0
            if not math.isfinite(computed):
                assert bound[late, early] == math.inf
            elif math.isfinite(bound[late, early]):
                assert abs(Fraction(computed) - exact) <= Fraction(float(bound[late, early]))


def test_bounds_are_sharp_where_a_product_is_exact_and_known_where_gates_vanish() -> None:
    gate = np.array([0.5, 0.0, 3.0, 0.25], dtype=np.float32)
    bound = bound_of(STEPS, gate, {"n": 4})
    assert (bound[np.tril_indices(4, -1)] < 1e-6).all()
    for exact in (np.diag(bound), np.diag(bound, -1), bound[np.triu_indices(4)]):
        assert (exact == 0).all()
    assert bound[2, 0] < 1e-36


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(1, 6), st.integers(1, 3), st.sampled_from(ENDS))
def test_bounds_of_matrices_hold(seed: int, n: int, d: int, ends: Any) -> None:
    rng = np.random.default_rng(seed)
    gate = (rng.standard_normal((n, d, d)) * 2.0 ** rng.integers(-40, 12, (n, d, d))).astype(np.float32)
    definition = decay("matrix", *ends)
    operator = compile(definition)
    bound = bound_of(operator, gate, {"n": n, "d": d})
    computed = operator(torch.from_numpy(gate)).double().numpy()
    lists = {"G": np.array([Fraction(float(v)) for v in gate.ravel()], dtype=object).reshape(gate.shape).tolist()}
    for place, exact in oracle(definition, {"n": n, "d": d}, lists).items():
        assert abs(Fraction(float(computed[place])) - exact) <= Fraction(float(bound[place]))


@pytest.mark.parametrize(("kind", "later", "earlier"), [("step", t, s), ("channel", "+", s), ("matrix", t, "-")])
def test_one_step_in_lower_precision_is_caught(kind: str, later: Any, earlier: Any) -> None:
    operator = compile(decay(kind, later, earlier))
    sizes = {name: 12 if name == "n" else 3 for name in operator.plan.symbols}
    name = operator.inputs[0]
    call = operator.source.rpartition(" = ")[2].splitlines()[0]
    operator._function = load(operator.source.replace(call, f"({call}).bfloat16().to({name}.dtype)"))
    assert not verify(operator, sizes).ok


# reading back

SOURCE = compile(ta.define((t, f), ta.decay(a)[t, s] * ta.decay(b)["+", s, f] * ta.decay(c)[t, "-"] * x[s, f]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("decay_between(a, -1)", "decay_between(a, -2)"),
        ("decay_between(a, -1)", "decay_between(a, 0)"),
        ("decay_between(a, -1)", "decay_between(a, time=-1)"),
        ("decay_between(a, -1)", "decay_to_end(a, -1)"),
        ("decay_to_end(b, -2)", "torch.cumprod(b, -2)"),
        ("decay_to_end(b, -2)", "decay_to_end(b, -1)"),
        ("decay_to_end(b, -2)", "decay_to_end(x, -2)"),
        ("torch.cumprod(c", "torch.cumsum(c"),
        ("expand(*c.shape, n)", "expand(*c.shape, n + 1)"),
        ("expand(*c.shape, n)", "expand(*c.shape, d)"),
        ("c[..., None].expand(*c.shape, n)", "c[None].expand(*c.shape, n)"),
        ("c[..., None].expand(*c.shape, n)", "c"),
        (".tril(-1)", ".tril()"),
        ("gate[..., 1:]", "gate[..., :1]"),
        ("def operator(", "def decay_between(gate, time):\n    return gate\n\n\ndef operator("),
    ],
)
def test_other_texts_are_refused(old: str, new: str) -> None:
    assert old in SOURCE.source
    with pytest.raises(ValidationFailed):
        prove_source(SOURCE.source.replace(old, new))


def prove_source(source: str) -> None:
    (definition,) = SOURCE.definitions
    spaces, names = with_parts(spaces_of(definition)), all_dimensions(definition)
    for program in read_source(source, spaces, names, SOURCE.costs):
        prove_equal([definition], SOURCE.tensors, program)


def test_what_was_emitted_is_accepted() -> None:
    prove_source(SOURCE.source)


def test_a_gate_that_is_no_input_has_no_meaning() -> None:
    steps = [
        (Step("x0", (T, T), Paths("b", True, True)),),  # the channel is missing
        (Step("x0", (F, F), Paths("a", True, True)),),  # not the space of the gate
        (Step("x0", (), Paths("c", False, False)),),  # over no time
        (Step("x0", (T, T), Paths("a", True, True)), Step("x1", (T, T, T), Paths("x0", True, True))),
    ]
    for some in steps:
        program = Program((("a", a.legs), ("b", b.legs), ("c", ())), (), some, (some[-1].name,))
        with pytest.raises(ValidationFailed):
            read_program(program, {"a": a, "b": b, "c": c}, [[]])


def test_decays_over_sums_and_products_have_no_array_form() -> None:
    L = ta.Space("L", "m", ordered=True)
    for clock in (T + L, T @ L):
        gate = ta.tensor("w", [clock])
        (late,) = clock.indices("p")
        with pytest.raises(InvalidExpression, match="cannot be planned or lowered: it runs over"):
            compile(ta.define((late,), ta.decay(gate)[late, "-"]))
    whole = T + L
    part = ta.decay(ta.tensor("w", [whole]))[Injected(t, 0, whole), "-"]
    with pytest.raises(InvalidExpression):
        ta.plan(ta.define((t,), part))
