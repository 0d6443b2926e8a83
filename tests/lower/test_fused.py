"""Products of matrices that are added at once, and triangles that overwrite products."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import tensoralg as ta
from tensoralg.errors import ValidationFailed
from tensoralg.lower import compile, count, track, verify
from tensoralg.lower.arithmetic import arithmetic
from tensoralg.lower.bounds import error_bound
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.emit import emit
from tensoralg.lower.fuse import fuse, makes_new
from tensoralg.lower.lowering import freed
from tensoralg.lower.meaning import read_program
from tensoralg.lower.operator import load
from tensoralg.lower.program import AddProduct, Arg, Binary, Einsum, Program, Step, Triangle, operands_of
from tensoralg.lower.readback import read_source
from tensoralg.stream.kernels import chunk_definitions

A = ta.Space("A", 3, ordered=True)
INPUTS = ("a", "b", "c")
TRANSPOSE = ((0, 1),), (1, 0)
INDICES = {"t,s,r": "n ordered", "f": "d", "e": "e"}
CHUNK = ta.parse("O[t,e] = Q[t,f]*S[f,e] + le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
STREAM = ta.stream(ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES))


def product(left: str, right: str, turn: bool = False, back: bool = False) -> Einsum:
    return Einsum((left, right), ((0, 1), (2, 0) if back else (0, 2)), (1, 2)) if turn else Einsum(
        (left, right), ((0, 1), (2, 1) if back else (1, 2)), (0, 2)
    )  # fmt: skip


def both(symbol: str, left: str, right: str) -> Binary:
    return Binary(symbol, Arg(left, (0, 1)), Arg(right, (0, 1)))


def program_of(ops: list[Any], results: tuple[str, ...]) -> Program:
    steps = [Step(f"x{k}", (A, A), op) for k, op in enumerate(ops)]
    return Program(tuple((name, (A, A)) for name in INPUTS), (), freed(steps, results, {}), results)


def random_program(seed: int) -> Program:
    rng = random.Random(seed)
    ops: list[Any] = []
    for k in range(rng.randint(2, 8)):
        # what was made last is read often, so that there is something to fuse
        values = [*INPUTS, *(f"x{i}" for i in range(k)), *[f"x{i}" for i in range(max(k - 2, 0), k)] * 3]
        left, right = rng.choice(values), rng.choice(values)
        coin = [rng.random() < 0.5 for _ in range(2)]
        latest, before = (f"x{k - 1}", f"x{k - 2}") if k > 1 else (left, right)
        op: Any = rng.choice([
            product(left, right, *coin), product(left, right), both("+", left, right), both("+", before, latest),
            product(*rng.choices(INPUTS, k=2), *coin), both("+", latest, before), both("+", left, latest),
            both("-", left, right), Triangle(left, *coin), Triangle(left, *coin), Einsum((left,), *TRANSPOSE),
        ])  # fmt: skip
        ops.append(op)
    last = f"x{len(ops) - 1}"
    more = [f"x{k}" for k in range(len(ops) - 1) if rng.random() < 0.15]
    return program_of(ops, (last, *more))


def by_hand(program: Program, arrays: dict[str, Any]) -> list[Any]:
    """Compute a program that is not fused on arrays of integers of any size."""
    values = dict(arrays)
    for step in program.steps:
        op = step.op
        first = values[operands_of(op)[0]]
        if isinstance(op, Triangle):
            offset = (-1 if op.lower else 1) * op.strict
            values[step.name] = first * (np.tril if op.lower else np.triu)(np.ones((3, 3), dtype=int), offset)
        elif isinstance(op, Binary):
            second = values[op.right.name]
            values[step.name] = first + second if op.symbol == "+" else first - second
        elif isinstance(op, Einsum) and len(op.operands) == 1:
            values[step.name] = first.swapaxes(-1, -2)
        else:
            assert isinstance(op, Einsum)
            turned = [values[name] for name in op.operands]
            if op.labels[0][0] != op.output[0]:
                turned[0] = turned[0].swapaxes(-1, -2)
            if op.labels[1][-1] != op.output[1]:
                turned[1] = turned[1].swapaxes(-1, -2)
            values[step.name] = turned[0] @ turned[1]
    return [values[name] for name in program.results]


def function_of(program: Program, **flags: bool) -> Any:
    found = load(emit([program], [0], "a program"))
    return lambda *arrays: result if isinstance(result := found(*arrays, **flags), tuple) else (result,)


BATCHES = (
    ((), (), ()),
    ((2,), (2,), (2,)),
    ((2,), (), (2,)),
    ((), (2,), (1,)),
    ((2, 2), (2, 2), (2, 2)),
    ((2, 1), (2,), ()),
)


@settings(max_examples=150)
@given(st.integers(0, 10**9))
def test_a_fused_program_computes_the_same_and_reads_back(seed: int) -> None:
    program = random_program(seed)
    fused = fuse(program)
    assert read_source(emit([fused], [0], "a program"), [A], [], [0]) == (fused,)
    rng = np.random.default_rng(seed)
    for batch in BATCHES:
        arrays = {name: rng.integers(-1, 2, (*own, 3, 3)) for name, own in zip(INPUTS, batch, strict=True)}
        tensors = [torch.tensor(arrays[name], dtype=torch.float64) for name in INPUTS]
        kept = [x.clone() for x in tensors]
        given = [x.clone() for x in tensors]
        expected = by_hand(program, {name: array.astype(object) for name, array in arrays.items()})
        assert max(abs(x).max() for x in expected) < 2**50
        for function, own in (
            (function_of(fused), tensors),
            (function_of(fused, fresh=True), tensors),
            (function_of(fused, fresh=True, given=True), given),
        ):
            for found, exact in zip(function(*own), expected, strict=True):
                assert np.array_equal(found.numpy(), exact.astype(float))
        assert all(torch.equal(x, y) for x, y in zip(tensors, kept, strict=True))


@settings(max_examples=20)
@given(st.integers(0, 10**9))
def test_gradients_and_vmap_are_those_of_the_program(seed: int) -> None:
    program = random_program(seed)
    plain, fused, over = function_of(program), function_of(fuse(program)), function_of(fuse(program), fresh=True)
    generator = torch.Generator().manual_seed(seed)
    for batch in BATCHES:
        tensors = [torch.randint(-1, 2, (*own, 3, 3), generator=generator).double() for own in batch]
        moved = [x.requires_grad_() for x in tensors]
        gradients = []
        for function in (plain, over):
            total = sum(((k + 1) * out).sum() for k, out in enumerate(function(*moved)))
            first = torch.autograd.grad(total, moved, create_graph=True, materialize_grads=True)
            second = torch.autograd.grad(
                sum((g * x).sum() for g, x in zip(first, moved, strict=True)), moved, materialize_grads=True
            )
            gradients.append([*first, *second])
        assert all(torch.equal(x, y) for x, y in zip(*gradients, strict=True))
    for k in range(1, 8):
        dims = tuple(0 if k >> i & 1 else None for i in range(3))
        tensors = [torch.randint(-1, 2, (2, 3, 3) if d == 0 else (3, 3), generator=generator).double() for d in dims]
        expected = plain(*tensors)
        found = torch.vmap(fused, in_dims=dims)(*tensors)
        assert all(torch.equal(x, y.expand_as(x)) for x, y in zip(found, expected, strict=True))


@settings(max_examples=25)
@given(st.integers(0, 10**9))
def test_a_fused_program_is_proved_equal(seed: int) -> None:
    program = random_program(seed)
    tensors = {name: ta.tensor(name, (A, A)) for name in INPUTS}
    legs = [A.indices("i j")] * len(program.results)
    for one, other in zip(*(read_program(p, tensors, legs) for p in (program, fuse(program))), strict=True):
        assert ta.prove(one, other)


def test_random_programs_are_fused() -> None:
    kinds: Counter[Any] = Counter()
    for seed in range(1000):
        for step in fuse(random_program(seed)).steps:
            kinds[type(step.op), getattr(step.op, "in_place", getattr(step.op, "overwrites", None))] += 1
    sums = [kinds[AddProduct, what] for what in ("", "fresh", "given")]
    assert min(*sums, kinds[Triangle, True], kinds[Triangle, False]) > 10


def lines(program: Program) -> list[str]:
    body = emit([program], [0], "").partition("def operator(")[2].splitlines()[1:]
    return [line.partition(" = ")[2] or line.strip() for line in body if " = " in line or "return" in line]


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([product("a", "b"), both("+", "c", "x0")], ["add_product(c, a, b, given)", "return x1"]),
        ([product("a", "b", True, True), both("+", "x0", "c")], ["add_product(c, a.mT, b.mT, given)", "return x1"]),
        ([product("a", "b"), both("-", "c", "x0")], ["product(a, b)", "c - x0", "return x1"]),
        ([product("a", "b"), both("+", "x0", "x0")], ["product(a, b)", "x0 + x0", "return x1"]),
        (
            [product("a", "b"), both("+", "a", "x0"), product("x1", "x0")],
            ["product(a, b)", "a + x0", "product(x1, x0)", "return x2"],
        ),
        (
            [product("a", "b"), product("b", "c"), both("+", "x0", "x1"), product("c", "a"), both("+", "x3", "x2")],
            ["product(a, b)", "add_product(x0, b, c, fresh)", "add_product(x2, c, a, fresh)", "return x4"],
        ),
        (
            [product("a", "b"), Triangle("x0", True, False)],
            ["product(a, b)", "x0.tril_() if fresh else x0.tril()", "return x1"],
        ),
        (
            [product("a", "b"), Triangle("x0", False, True)],
            ["product(a, b)", "x0.triu_(1) if fresh else x0.triu(1)", "return x1"],
        ),
        ([both("+", "a", "b"), Triangle("x0", True, False)], ["a + b", "x0.tril()", "return x1"]),
        ([Triangle("a", True, False)], ["a.tril()", "return x0"]),
        ([Einsum(("a",), *TRANSPOSE), Triangle("x0", True, False)], ["a.mT", "x0.tril()", "return x1"]),
        (
            [product("a", "b"), Einsum(("x0",), *TRANSPOSE), Triangle("x1", True, False)],
            ["product(a, b)", "x0.mT", "x1.tril()", "return x2"],
        ),
        (
            [product("a", "b"), Triangle("x0", True, False), product("x0", "x1")],
            ["product(a, b)", "x0.tril()", "product(x0, x1)", "return x2"],
        ),
        (
            [product("a", "b"), both("+", "c", "x0"), Triangle("x1", True, False)],
            ["add_product(c, a, b, given)", "x1.tril_() if fresh else x1.tril()", "return x2"],
        ),
        (
            [product("a", "b"), both("+", "c", "x0"), product("c", "a"), both("+", "x1", "x2")],
            ["add_product(c, a, b)", "add_product(x1, c, a, fresh)", "return x3"],
        ),
        (
            [Einsum(("c",), *TRANSPOSE), product("a", "b"), both("+", "c", "x1"), product("x0", "x2")],
            ["c.mT", "add_product(c, a, b)", "product(x0, x2)", "return x3"],
        ),
        (
            [product("c", "b"), both("+", "c", "x0"), product("x1", "a"), both("+", "x1", "x2")],
            ["add_product(c, c, b)", "add_product(x1, x1, a)", "return x3"],
        ),
    ],
)
def test_what_is_fused(ops: list[Any], expected: list[str]) -> None:
    assert lines(fuse(program_of(ops, (f"x{len(ops) - 1}",)))) == expected


def test_results_are_neither_fused_nor_overwritten() -> None:
    for op in (both("+", "c", "x0"), Triangle("x0", True, False)):
        program = program_of([product("a", "b"), op], ("x0", "x1"))
        assert fuse(program) == replace(program, fused=True)


def test_a_broadcast_value_is_added_apart() -> None:
    added = Binary("+", Arg("v", (1,)), Arg("x0", (0, 1)))
    steps = (Step("x0", (A, A), product("a", "b")), Step("x1", (A, A), added, ("x0",)))
    program = Program((("a", (A, A)), ("b", (A, A)), ("v", (A,))), (), steps, ("x1",))
    assert fuse(program) == replace(program, fused=True)


@pytest.mark.parametrize(
    ("ops", "results"),
    [
        ([Triangle("a", True, False, in_place=True)], ("x0",)),
        ([Einsum(("a",), *TRANSPOSE), Triangle("x0", True, False, in_place=True)], ("x1",)),
        ([both("+", "a", "b"), Triangle("x0", True, False, in_place=True)], ("x1",)),
        ([product("a", "b"), Triangle("x0", True, False, in_place=True)], ("x1", "x0")),
        ([product("a", "b"), Triangle("x0", True, False, in_place=True), both("+", "x0", "x1")], ("x2",)),
        ([product("a", "b"), Einsum(("x0",), *TRANSPOSE), Triangle("x0", True, False, in_place=True)], ("x1", "x2")),
        ([AddProduct("a", product("b", "c"), "fresh")], ("x0",)),
        ([AddProduct("a", product("a", "c"), "given")], ("x0",)),
        ([AddProduct("a", product("b", "c"), "given"), both("+", "a", "x0")], ("x1",)),
        ([AddProduct("a", product("b", "c"), "given"), Einsum(("a",), *TRANSPOSE)], ("x0", "x1")),
        ([Einsum(("a",), *TRANSPOSE), AddProduct("a", product("b", "c"), "given")], ("x0", "x1")),
        ([product("b", "c"), AddProduct("x0", product("b", "c"), "fresh"), both("+", "x0", "x1")], ("x2",)),
        ([both("+", "b", "c"), AddProduct("x0", product("b", "c"), "fresh")], ("x1",)),
        ([product("b", "c"), AddProduct("x0", product("b", "c"), "given")], ("x1",)),
        ([AddProduct("a", product("b", "c"), "all")], ("x0",)),
        ([AddProduct("a", Einsum(("b", "c"), ((0, 1), (0, 1)), (0, 1)))], ("x0",)),
        ([AddProduct("a", Einsum(("b", "c"), ((0, 1), (1, 2)), (2, 0)))], ("x0",)),
    ],
)
def test_programs_that_overwrite_what_is_needed_have_no_meaning(ops: list[Any], results: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailed):
        read_program(
            program_of(ops, results),
            {name: ta.tensor(name, (A, A)) for name in INPUTS},
            [A.indices("i j")] * len(results),
        )


@pytest.mark.parametrize(
    ("results", "start", "expected"),
    [
        (("x0",), 0, True),
        (("x1",), 0, True),
        (("x0", "x1"), 0, False),
        (("x1", "x1"), 0, False),
        (("x2", "x0"), 0, False),
        (("x2", "x0"), 1, True),
        (("x3",), 0, False),
    ],
)
def test_results_that_are_arrays_of_their_own(results: tuple[str, ...], start: int, expected: bool) -> None:
    ops = [AddProduct("a", product("b", "c"), "given"), *(Einsum((name,), *TRANSPOSE) for name in ("x0", "b", "c"))]
    assert makes_new(program_of(ops, results), start) is expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("add_product(c, a, b, given)", "add_product(c, a)"),
        ("add_product(c, a, b, given)", "add_product(c, a, b, 1)"),
        ("add_product(c, a, b, given)", "add_product(c, a, b, True)"),
        ("add_product(c, a, b, given)", "add_product(c, a, b, given, fresh)"),
        ("add_product(c, a, b, given)", "add_product(c, a, b, overwrite=given)"),
        ("add_product(c, a, b, given)", "add_product(c, a, right=b)"),
        ("add_product(c, a, b, given)", "add_product(c.mT, a, b, given)"),
        ("add_product(c, a, b, given)", "add_product(c, a @ b, b, given)"),
        ("add_product(c, a, b, given)", "add_products(c, a, b, given)"),
        ("return added + left @ right", "return added - left @ right"),
        ("torch.addmm(added, left, right)", "torch.addmm(added, right, left)"),
        ("torch.is_autocast_enabled(added.device.type)", "False"),
        ("product(b, a)", "product(b, right=a)"),
        ("return torch.bmm(left, right)", "return torch.bmm(right, left)"),
        ("x2.tril_() if fresh else x2.tril()", "x2.tril_()"),
        ("x2.tril_() if fresh else x2.tril()", "x2.tril_() if fresh else x2.triu()"),
        ("x2.tril_() if fresh else x2.tril()", "x2.triu_() if fresh else x2.tril()"),
        ("x2.tril_() if fresh else x2.tril()", "x2.tril_() if given else x2.tril()"),
        ("x2.tril_() if fresh else x2.tril()", "x2.tril_() if fresh else x1.tril()"),
        ("fresh: bool = False", "fresh: bool = True"),
        ("fresh: bool = False, given: bool = False", "fresh: bool = False"),
        ("fresh: bool = False, given: bool = False", "given: bool = False, fresh: bool = False"),
        ("fresh: bool = False, given", "fresh: bool = False, *, given"),
    ],
)
def test_other_texts_are_refused(old: str, new: str) -> None:
    ops = [product("a", "b"), both("+", "c", "x0"), product("b", "a"), Triangle("x2", True, False)]
    source = emit([fuse(program_of(ops, ("x1", "x3")))], [0], "a sum and a triangle")
    assert old in source
    with pytest.raises(ValidationFailed):
        read_source(source.replace(old, new), [A], [], [0])


# operators


def compiled() -> Any:
    return compile_definitions([CHUNK], single=True, fused=True)


def arrays_of(operator: Any, sizes: dict[str, int], batch: tuple[int, ...] = (), **kind: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [[sizes[str(leg.dimension)] for leg in tensor.legs] for tensor in operator.tensors]
    return [torch.randn((*batch, *shape), generator=generator).to(**kind) for shape in shapes]


def test_plain_definitions_are_not_fused() -> None:
    assert compile(CHUNK).source == compile_definitions([CHUNK], single=True).source
    assert "add_product" not in compile(CHUNK).source
    for text in ("add_product(", ".tril_()"):
        assert text in compiled().source


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_costs_are_those_of_the_plan_with_less_memory(batch: tuple[int, ...]) -> None:
    operator, sizes = compiled(), {"n": 5, "d": 2, "e": 4}
    arrays = arrays_of(operator, sizes, batch)
    planned, times = operator.plan.at(**sizes), int(np.prod(batch, dtype=int))
    executed = count(lambda: operator(*arrays))
    assert (executed.flops, executed.pointwise) == (times * planned.flops, times * planned.pointwise)
    with FlopCounterMode(display=False) as counter:
        operator(*arrays)
    assert counter.get_total_flops() == times * planned.flops
    memory = track(lambda: operator(*arrays))
    assert (memory.largest, memory.peak, memory.copies) == (times * planned.largest, times * planned.peak, 0)
    assert track(lambda: operator.run(arrays, fresh=True)).peak < times * planned.peak


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_errors_are_within_their_bounds(dtype: str) -> None:
    for seed in range(3):
        assert verify(compiled(), {"n": 6, "d": 3, "e": 4}, dtype=dtype, seed=seed)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_bfloat16_is_near_float64(batch: tuple[int, ...]) -> None:
    operator = compiled()
    arrays = arrays_of(operator, {"n": 6, "d": 3, "e": 4}, batch, dtype=torch.bfloat16)
    exact = operator(*(x.double() for x in arrays))
    found = operator(*arrays)
    assert found.dtype == torch.bfloat16
    assert (found.double() - exact).abs().max() < 2**-6 * exact.abs().max()


def test_a_bound_holds_for_sums_that_begin_with_the_added_value() -> None:
    terms = 64
    left, right = ta.Space("B", 1), ta.Space("K", terms)
    op = AddProduct("c", Einsum(("a", "b"), ((0, 1), (1, 2)), (0, 2)))
    inputs = (("a", (left, right)), ("b", (right, left)), ("c", (left, left)))
    program = Program(inputs, (), (Step("x0", (left, left), op),), ("x0",))
    values = {"a": 2.0**-24, "b": 1.0, "c": 1.0}
    arrays = {name: torch.full([s.dimension for s in legs], values[name]).double() for name, legs in inputs}
    (bound,) = error_bound(program, arrays, {}, arithmetic("float32", "cpu"))
    total = np.float32(1)
    for _ in range(terms):
        total += np.float32(2.0**-24)
    error = 1 + terms * 2.0**-24 - float(total)
    assert error == terms * 2.0**-24 <= bound.item() < 1.1 * (terms + 1) * 2.0**-24


@pytest.mark.parametrize(
    "old", ["add_product(x0, x3, V, fresh)", "x2.tril_() if fresh else x2.tril()", "product(Q, K.mT)"]
)
def test_one_step_in_lower_precision_is_caught(old: str) -> None:
    operator = compiled()
    assert f" = {old}\n" in operator.source
    operator._function = load(operator.source.replace(f" = {old}\n", f" = ({old}).bfloat16().to(Q.dtype)\n"))
    assert not verify(operator, {"n": 6, "d": 3, "e": 4})


# streams


def chunked(length: int) -> Any:
    operator = compile(STREAM, form="chunked")
    operator._chunk_length = lambda *_: length
    return operator


def test_the_chunks_of_a_stream_are_fused() -> None:
    operator = compile(STREAM)
    plain = compile_definitions(chunk_definitions(STREAM.system))
    assert operator.chunk.source != plain.source
    for text in ("add_product(S1, K.mT, V, given)", ".tril_() if fresh"):
        assert text in operator.chunk.source
        assert text not in operator.source + operator.token.source + plain.source


@pytest.mark.parametrize("batch", [(), (2,), (2, 2)])
@pytest.mark.parametrize("length", [1, 3, 4, 20])
def test_chunks_and_their_gradients_are_those_of_the_whole(batch: tuple[int, ...], length: int) -> None:
    shapes = [(*batch, 10, 2), (*batch, 10, 2), (*batch, 10, 3)]
    generator = torch.Generator().manual_seed(length)
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    weight = torch.randn(shapes[2], generator=generator, dtype=torch.float64)
    whole = ((inputs[0] @ inputs[1].mT).tril() @ inputs[2] * weight).sum()
    pieces = (chunked(length)(*inputs) * weight).sum()
    for one, other in zip(torch.autograd.grad(whole, inputs), torch.autograd.grad(pieces, inputs), strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close((chunked(length)(*inputs) * weight).sum(), whole)
        torch.testing.assert_close((compile(STREAM, form="recurrent")(*inputs) * weight).sum(), whole)


def test_inputs_are_cut_by_one_operation_under_autograd() -> None:
    inputs = [torch.ones(10, 2, requires_grad=True) for _ in range(3)]
    pending, seen = [chunked(3)(*inputs).grad_fn], {}
    while pending:
        node = pending.pop()
        if node is not None and node not in seen:
            seen[node] = node.name().removesuffix("0")
            pending += [following for following, _ in node.next_functions]
    names = Counter(seen.values())
    assert names["SplitBackward"] == len(inputs)
    assert not {"SliceBackward", "NarrowBackward"} & set(names)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_a_stream_is_mapped_over_one_input() -> None:
    operator = chunked(3)
    q, k = torch.randn(10, 2), torch.randn(10, 2)
    v = torch.randn(4, 10, 3)
    torch.testing.assert_close(torch.vmap(operator, in_dims=(None, None, 0))(q, k, v), operator(q, k, v))


def test_states_keep_their_dtype_under_autocast() -> None:
    inputs = [torch.ones(2, 10, 2) for _ in range(3)]
    operator = chunked(3)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = operator(*inputs, return_state=True)
    assert state["S1"].dtype == torch.float32
