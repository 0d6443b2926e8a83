"""Kernels that run in slices: proved, equal to exact values, and with the costs and the memory of their plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import MemoryLimit, TensoralgError, UsageError, ValidationFailed
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import Operator, compile, count, track, verify
from tensoralg.lower.build import spaces_of, tensors_of
from tensoralg.lower.program import Loop
from tensoralg.lower.validate import prove_equal, validate

INDICES = {"t,s,u,v": "n ordered", "f,g,h,e": "d"}
CASES = {
    "a kept label": ("O[t] = A[t,s]*B[s,u]*C[u,t]*A[s,v]*B[v,u]*C[v,t]", {"n": 5}, 25),
    "causal": ("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", {"n": 9, "d": 4}, 36),
    "kept and summed": ("O[t,s] = A[t,u]*B[u,v]*C[v,s]*D[t,v]*E[u,s]", {"n": 5}, 25),
    "a scalar": ("O[] = A[t,s]*B[s,u]*C[u,t]*D[t,v]*E[s,v]*F[u,v]", {"n": 4}, 16),
    "exponentials": ("O[t,e] = 2*exp(Q[t,e])*sum(s,f: le[s,t]*exp(K[s,f])*V[s,e]*x[f,t])", {"n": 9, "d": 4}, 36),
}


def sliced(name: str) -> Operator:
    text, sizes, limit = CASES[name]
    return compile(ta.parse(text, indices=INDICES), sizes=sizes, memory_limit=limit)


def loops(operator: Operator) -> list[Loop]:
    return [step.op for program in operator.programs for step in program.steps if isinstance(step.op, Loop)]


def arrays(operator: Operator, sizes: dict[str, int], seed: int = 0, batch: tuple[int, ...] = ()) -> list[torch.Tensor]:
    """Small integers, on which float64 is exact."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(*batch, *(sizes[str(leg.dimension)] for leg in tensor.legs)) for tensor in operator.tensors]
    return [torch.randint(-3, 4, shape, generator=generator).double() for shape in shapes]


def costs(operator: Operator, given: list[torch.Tensor]) -> tuple[int, ...]:
    cost, memory = count(lambda: operator(*given)), track(lambda: operator(*given))
    return cost.flops, cost.pointwise, memory.largest, memory.peak


def planned(operator: Operator) -> tuple[int, ...]:
    plan = operator.plan
    return tuple(int(amount) for amount in (plan.flops, plan.pointwise, plan.largest, plan.peak))


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    text, sizes, limit = CASES[name]
    operator = sliced(name)
    assert operator.verdict.status == "proved"
    assert loops(operator)
    whole = compile(ta.parse(text, indices=INDICES), sizes=sizes)
    given = arrays(operator, sizes)
    torch.testing.assert_close(operator(*given), whole(*given), rtol=1e-12, atol=0)
    assert costs(operator, given) == planned(operator)
    assert track(lambda: operator(*given)).largest <= limit
    batch = arrays(operator, sizes, batch=(2, 1, 3))
    torch.testing.assert_close(operator(*batch), whole(*batch), rtol=1e-12, atol=0)


def test_batch_axes_broadcast_and_the_result_is_zero_over_no_slices() -> None:
    attention = ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
    n, d = ta.dims("n d")
    operator = compile(attention, memory_limit=n * d)
    assert loops(operator)
    q, k, v = torch.randn(3, 1, 7, 2).double(), torch.randn(7, 2).double(), torch.randn(4, 7, 2).double()
    torch.testing.assert_close(operator(q, k, v), (q @ k.mT).tril() @ v, rtol=1e-12, atol=1e-12)
    assert operator(*(x[..., :0, :] for x in (q, k, v))).shape == (3, 4, 0, 2)


@pytest.mark.parametrize("name", ["causal", "kept and summed"])
def test_gradients(name: str) -> None:
    operator = sliced(name)
    given = [x.requires_grad_() for x in arrays(operator, CASES[name][1])]
    assert torch.autograd.gradcheck(operator, tuple(given), fast_mode=True)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_errors_are_within_their_bounds(name: str, dtype: str) -> None:
    report = verify(sliced(name), CASES[name][1], dtype)
    assert report.ok, report
    assert 0 <= report.error <= report.bound


def test_limits_that_no_slices_keep() -> None:
    attention = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
    with pytest.raises(MemoryLimit) as caught:
        compile(attention, sizes={"n": 9, "d": 4}, memory_limit=35)
    assert caught.value.minimum == 36
    causal = ta.stream(ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES))
    with pytest.raises(UsageError):
        compile(causal, memory_limit=100)


@pytest.fixture
def _without_proofs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensoralg.lower.validate.prove", lambda *_: SimpleNamespace(status="proved"))
        yield


def network(seed: int) -> ta.Definition:
    """A product of matrices and masks over all pairs of four indices, so that results are larger than operands."""
    rng = random.Random(seed)
    spaces = [ta.Space("T", "n", ordered=True), ta.Space("F", "d")]
    letters = [*spaces[0].indices("t s u v"), *spaces[1].indices("f g h")]
    term: Any = 1
    for legs in (rng.sample(pair, 2) for pair in combinations(rng.sample(letters, 4), 2)):
        name = "A_" + "".join(str(leg.space) for leg in legs) + str(rng.randrange(3))
        masks = all(leg.space.ordered for leg in legs) and rng.random() < 0.3
        term = term * (ta.le[tuple(legs)] if masks else ta.tensor(name, tuple(leg.space for leg in legs))[tuple(legs)])
    free = tuple(leg for leg in term.free_indices if rng.random() < 0.4)
    return ta.define(free[:2], term)


def limited(seed: int, sizes: dict[str, int]) -> tuple[Operator, Operator]:
    """A random contraction without a limit, and with the least that its plan can keep to."""
    definition = network(seed)
    known = {name: sizes[name] for name in all_dimensions(definition)}
    whole = compile(definition, sizes=known)
    try:
        return whole, compile(definition, sizes=known, memory_limit=1)
    except MemoryLimit as error:
        return whole, compile(definition, sizes=known, memory_limit=error.minimum)


@pytest.mark.usefixtures("_without_proofs")
def test_random_contractions() -> None:
    found = 0
    for seed in range(60):
        sizes = {"n": 3 + seed % 2, "d": 3}
        whole, operator = limited(seed, sizes)
        if not loops(operator):
            continue
        given = arrays(operator, sizes, seed)
        torch.testing.assert_close(operator(*given), whole(*given), rtol=1e-11, atol=1e-9)
        assert costs(operator, given) == planned(operator), (seed, operator.source)
        found += 1
    assert found >= 20


def test_random_contractions_are_proved() -> None:
    found = [limited(seed, {"n": 3, "d": 3})[1] for seed in range(8)]
    assert all(operator.verdict.status == "proved" for operator in found)
    assert any(loops(operator) for operator in found)


# what the source may say

OPERATOR = sliced("causal")


def read(source: str) -> None:
    definition = OPERATOR.definition
    validate(
        [definition], tensors_of(definition), OPERATOR.programs, source, OPERATOR.costs, spaces_of(definition),
        all_dimensions(definition),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("in range(n)", "in range(d)"),
        ("in range(n)", "in range(n - 1)"),
        ("in range(n)", "in range(1, n)"),
        ("for i0 in", "for n in"),
        ("K.select(-2, i0)", "K.select(-1, i0)"),
        ("K.select(-2, i0)", "K.select(-2, 0)"),
        ("K.select(-2, i0)", "V.select(-2, i0)"),
        ("x0.select(-2, i0)", "x0.select(-1, i0)"),
        ("add_into(x6, ", "write_into(x6, "),
        ("add_into(x6, ", "add_into(Q, "),
        ("add_into(x6, ", "add_into(x6.select(-2, i0), "),
        ("x5, x3)", "x3, x5)"),
        ("(), (n, d)", "(n,), (d,)"),
        ("(), (n, d)", "(), (d, n)"),
        ("(K, 2), (V, 2)", "(V, 2), (V, 2)"),
        ("(K, 2)", "(K, 1)"),
        ("        del x3, x5\n", "        del x3, x5, x0\n"),
        ("        del x3, x5\n", ""),
        ("    del x0\n", "    x7: ['n'] = x3\n    del x0\n"),
        ("total.addcmul_(", "total.addcmul(", ),
        ("        add_into(", "        break\n        add_into("),
    ],
)  # fmt: skip
def test_other_loops_are_refused(old: str, new: str) -> None:
    read(OPERATOR.source)
    assert old in OPERATOR.source
    with pytest.raises(TensoralgError):
        read(OPERATOR.source.replace(old, new))


def test_mutated_loops_have_another_meaning_or_none() -> None:
    """Another number of kept variables, and operands, steps or variables left out."""
    operator = sliced("kept and summed")
    (program,), definition = operator.programs, operator.definition
    (position,) = [k for k, step in enumerate(program.steps) if isinstance(step.op, Loop)]
    step = program.steps[position]
    (loop,) = loops(operator)
    mutants = [
        replace(loop, kept=loop.kept + 1),
        replace(loop, kept=loop.kept - 1),
        replace(loop, numbers=loop.numbers[1:]),
        replace(loop, body=loop.body[1:]),
        replace(loop, variables=loop.variables[:-1]),
        replace(loop, last=replace(loop.last, frees=program.inputs[0])),
    ]
    for mutant in mutants:
        steps = (*program.steps[:position], replace(step, op=mutant), *program.steps[position + 1 :])
        with pytest.raises(ValidationFailed):
            prove_equal([definition], tensors_of(definition), replace(program, steps=steps))
