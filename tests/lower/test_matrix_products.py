"""Products of matrices, transpositions and triangles: what the source says, reads back and computes."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.errors import ValidationFailed
from tensoralg.lower import compile, count, track
from tensoralg.lower.emit import Writer, contraction_text, einsum_text, emit
from tensoralg.lower.meaning import read_program
from tensoralg.lower.program import Einsum, Program, Step, Triangle, entrywise, matrix_product
from tensoralg.lower.readback import read_source

A, B = ta.Space("A", 2, ordered=True), ta.Space("B", 3, ordered=True)
INDICES = {"t,s": "n ordered", "f": "d", "e": "e", "h": "h"}


def canonical(operands: list[list[int]], output: list[int]) -> Einsum:
    """Number labels by first occurrence, as programs do."""
    order: dict[int, int] = {}
    for labels in operands:
        for label in labels:
            order.setdefault(label, len(order))
    names = ("x", "y")[: len(operands)]
    return Einsum(names, tuple(tuple(order[k] for k in row) for row in operands), tuple(order[k] for k in output))


def random_einsum(seed: int) -> Einsum:
    rng = random.Random(seed)
    leading = rng.sample(range(5, 9), rng.randrange(3))
    pairs = [[0, 1], [1, 2]]
    if rng.random() < 0.3:
        pairs[rng.randrange(2)] = rng.sample(range(3), 2)
    operands = [[*leading, *rng.sample(pair, 2)] for pair in pairs]
    if rng.random() < 0.3:
        rng.shuffle(operands[0])
    if rng.random() < 0.3:
        operands[1] = rng.sample(operands[0], rng.randint(0, len(operands[0])))
    carried = [label for label in dict.fromkeys([*operands[0], *operands[1]]) if label != 1 or rng.random() < 0.3]
    return canonical(operands, carried if rng.random() < 0.7 else rng.sample(carried, len(carried)))


def program_of(op: Any, ranks: list[int], rank: int) -> Program:
    """A program of one step over one space."""
    inputs = tuple((name, (A,) * k) for name, k in zip("xy", ranks, strict=False))
    return Program(inputs, (), (Step("x0", (A,) * rank, op),), ("x0",))


@settings(max_examples=200)
@given(st.integers(0, 10**9))
def test_a_contraction_computes_what_its_subscripts_say_and_reads_back(seed: int) -> None:
    op = random_einsum(seed)
    generator = torch.Generator().manual_seed(seed % 1000)
    sizes = {label: 2 + label for label in range(10)}
    arrays = {}
    for k, (name, labels) in enumerate(zip("xy", op.labels, strict=True)):
        batch = [(), (3,), (2, 3)][(seed + k) % 3]
        shape = [*batch, *(sizes[label] for label in labels)]
        arrays[name] = torch.randint(-3, 4, shape, generator=generator).double()
    expected = torch.einsum(einsum_text(op).strip('"'), arrays["x"], arrays["y"])
    program = program_of(op, [len(labels) for labels in op.labels], len(op.output))
    text = Writer(program).operation(program.steps[0])
    assert torch.equal(eval(text, {"torch": torch}, arrays), expected)
    assert (" @ " in text, " * " in text) == (matrix_product(op) is not None, entrywise(op) is not None)
    assert read_source(emit([program], [0], "a contraction"), [A], [], [0]) == (program,)


def test_all_eight_ways_to_multiply_two_matrices_are_products() -> None:
    found = set()
    for left in ([0, 1], [1, 0]):
        for right in ([1, 2], [2, 1]):
            text = contraction_text(canonical([left, right], [0, 2]))
            found.add(text)
            swapped = canonical([right, left], [2, 0])
            found.add(contraction_text(swapped))
    assert found == {"x @ y", "x.mT @ y", "x @ y.mT", "x.mT @ y.mT"}


@pytest.mark.parametrize(
    "labels",
    [
        ([[0, 1], [1, 0]], [0, 1]),
        ([[0, 1], [0, 1]], [0, 1]),
        ([[0, 1], [2, 3]], [0, 2]),
        ([[0, 0], [0, 1]], [0, 1]),
        ([[0, 1], [1, 1]], [0, 1]),
        ([[0, 1], [1]], [0]),
        ([[3, 0, 1], [1, 2]], [3, 0, 2]),
        ([[0, 3, 1], [3, 1, 2]], [3, 0, 2]),
        ([[0, 1], [1, 2]], [2, 0]),
    ],
)
def test_other_contractions_are_none(labels: Any) -> None:
    assert matrix_product(canonical(*labels)) is None


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("rank", [2, 3])
def test_triangles_mean_their_masks(lower: bool, strict: bool, rank: int) -> None:
    op = Triangle("x", lower, strict)
    program = program_of(op, [rank], rank)
    source = emit([program], [0], "a triangle")
    assert read_source(source, [A], [], [0]) == (program,)
    x = ta.tensor("x", (A,) * rank)
    legs = A.indices("i j k")[:rank]
    (meaning,) = read_program(program, {"x": x}, [legs])
    row, column = legs[-2:]
    mask = (ta.lt if strict else ta.le)[(column, row) if lower else (row, column)]
    assert ta.prove(meaning, ta.define(legs, mask * x[legs]))
    wrong = source.replace("tril" if lower else "triu", "triu" if lower else "tril")
    assert not any(ta.prove(one, meaning) for one in read_program(read_back(wrong), {"x": x}, [legs]))


def read_back(source: str) -> Program:
    try:
        (program,) = read_source(source, [A], [], [0])
    except ValidationFailed:
        # an offset belongs to one of the two
        (program,) = read_source(source.replace("(1)", "()").replace("(-1)", "()"), [A], [], [0])
    return program


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x.tril()", "x.tril(1)"),
        ("x.tril()", "x.tril(-2)"),
        ("x.tril()", "x.tril(diagonal=0)"),
        ("x.tril()", "x.tril_(1)"),
        ("x.tril()", "x.tril__()"),
        ("x.tril()", "y.tril()"),
        ("x.tril()", "x.mT.tril()"),
        ("x.tril()", "x @ x.tril()"),
        ("x.tril()", "x @ x.mT.mT"),
    ],
)
def test_other_texts_are_refused(old: str, new: str) -> None:
    source = emit([program_of(Triangle("x", lower=True, strict=False), [2], 2)], [0], "a triangle")
    with pytest.raises(ValidationFailed):
        read_source(source.replace(old, new), [A], [], [0])


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ("x[..., :, None] * y", True),
        ("y * x[..., :, None]", False),  # equal, but not the program that is meant
        ("x[..., None, :] * y", False),
        ("x[..., :, None, :] * y", False),
        ("x[:, None] * y", False),
        ("x * y", False),
        ("x[..., :, None] * x[..., :, None]", False),
        ("x[..., :, None] * z", False),
        ("x[..., :, None] * y * 2", False),
    ],
)
def test_products_of_entries_read_back_exactly(new: str, same: bool) -> None:
    program = program_of(Einsum(("x", "y"), ((0,), (0, 1)), (0, 1)), [1, 2], 2)
    source = emit([program], [0], "a product")
    assert " = x[..., :, None] * y\n" in source
    try:
        read = read_source(source.replace("x[..., :, None] * y", new), [A], [], [0])
    except ValidationFailed:
        read = ()
    assert (read == (program,)) == same


def test_triangles_without_an_order_or_a_square_have_no_meaning() -> None:
    for legs in ((A, B), (ta.Space("C", 2),) * 2):
        program = Program((("x", legs),), (), (Step("x0", legs, Triangle("x", True, False)),), ("x0",))
        with pytest.raises(ValidationFailed):
            read_program(program, {"x": ta.tensor("x", legs)}, [[ta.Index("i", legs[0]), ta.Index("j", legs[1])]])


CHUNK = ta.parse("O[t,e] = Q[t,f]*S[f,e] + le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)


def test_a_chunk_is_written_in_products_of_matrices() -> None:
    operator = compile(CHUNK)
    for text in ("Q @ S", "Q @ K.mT", ".tril()", " @ V"):
        assert text in operator.source
    for text in ("einsum", "where", "torch.bool"):
        assert text not in operator.source


@pytest.mark.parametrize(
    ("text", "triangle"),
    [
        ("O[t,s] = le[s,t]*A[t,s]", ".tril()"),
        ("O[t,s] = lt[s,t]*A[t,s]", ".tril(-1)"),
        ("O[t,s] = le[t,s]*A[t,s]", ".triu()"),
        ("O[t,s] = lt[t,s]*A[t,s]", ".triu(1)"),
        ("O[h,t,s] = lt[t,s]*B[h,t,s]", ".triu(1)"),
    ],
)
def test_masks_on_the_last_axes_are_triangles(text: str, triangle: str) -> None:
    operator = compile(ta.parse(text, indices=INDICES))
    assert triangle in operator.source
    x = torch.randn([2] * (len(operator.definition.legs) == 3) + [4, 4], dtype=torch.float64)
    x[..., 0, 0] = x[..., 3, 0] = x[..., 0, 3] = torch.nan
    expected = eval(f"x{triangle}", {"x": x})
    assert torch.equal(operator(x).nan_to_num(7), expected.nan_to_num(7))
    assert torch.equal(torch.vmap(operator)(torch.stack([x, x]))[0].nan_to_num(7), expected.nan_to_num(7))
    assert count(lambda: operator(x)).pointwise == x.numel()
    assert track(lambda: operator(x)).constants == 0


def test_a_mask_on_other_axes_selects() -> None:
    operator = compile(ta.parse("O[t,s,h] = le[s,t]*B[t,s,h]", indices=INDICES))
    x = torch.arange(32.0).reshape(4, 4, 2)
    assert torch.equal(operator(x), x.movedim(-1, 0).tril().movedim(0, -1))
