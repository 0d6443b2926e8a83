"""Errors of streams: every form within its bound, all forms within the sum of theirs over many tokens."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.lower import StreamOperator, compile, lengths, verify
from tensoralg.lower.arithmetic import arithmetic
from tensoralg.lower.bounds import Ball, Enclosure, error_bound
from tensoralg.lower.operator import load
from tensoralg.lower.stream_bounds import stream_bound

INDICES = {"t,s,r,i,j": "n ordered", "f,g": "d", "e,c": "e"}
GATES = {"y": "", "a": "n", "b": "n d", "A": "n d d"}
FORMS = ("parallel", "chunked", "recurrent")
FIRST = "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]"
SCALAR = "O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e]"
SECOND = "O[t,c] = le[i,j]*le[j,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*V[j,c]"
TEXTS = [
    FIRST,
    SCALAR,
    SECOND,
    "O[t,e] = decay(y)[t,s]*Q[t,f]*K[s,f]*V[s,e]",
    "O[t,e] = decay(b)[t,s,f]*Q[t,f]*K[s,f]*V[s,e]",
    "O[t,e] = decay(A)[t,s,f,g]*Q[t,f]*z[s]*K[s,g]*V[s,e]",
    "O[t,e] = sum(s: le[s,t]*exp(x[s,e])*V[s,e])/sum(s: le[s,t]*exp(x[s,e]))",
    "O[t,e] = le[t,s]*Q[t,f]*K[s,f]*V[s,e]",
    "O[t,e] = near[s,t,3]*Q[t,f]*K[s,f]*V[s,e]",
]


@functools.cache
def operator_of(text: str) -> StreamOperator:
    gates = {name: legs for name, legs in GATES.items() if f"decay({name})" in text}
    return compile(ta.stream(ta.parse(text, indices=INDICES, **({"tensors": gates} if gates else {}))))


def sizes_of(operator: Any, n: int) -> dict[str, int]:
    names = {str(leg.dimension) for tensor in operator.tensors for leg in tensor.legs}
    return {name: size for name, size in {"n": n, "d": 2, "e": 2}.items() if name in names}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("text", TEXTS)
def test_every_form_is_within_its_bound(text: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "LENGTHS", (4,))
    operator = operator_of(text)
    for form in (*FORMS, None):
        operator.form = form
        for n in (1, 11):
            report = verify(operator, sizes_of(operator, n), dtype, seed=n)
            assert report.ok, (form, n, report)
            assert 0 <= report.error <= report.bound < math.inf


@pytest.mark.parametrize(("form", "kernel"), [("parallel", None), ("chunked", "chunk"), ("recurrent", "token")])
def test_a_step_in_lower_precision_is_caught_in_the_form_that_runs_it(
    form: str, kernel: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lengths, "LENGTHS", (4,))
    operator = compile(ta.stream(ta.parse(FIRST, indices=INDICES)), form=form)
    weakened = operator if kernel is None else getattr(operator, kernel)
    assert verify(operator, {"n": 11, "d": 2, "e": 2})
    name = weakened.programs[0].results[0]
    texts = (f"return {name}, ", f"return {name}\n")
    source = weakened.source
    for text in texts:
        source = source.replace(text, text.replace(name, f"{name}.bfloat16().float()"))
    assert source != weakened.source
    weakened._function = load(source)
    assert not verify(operator, {"n": 11, "d": 2, "e": 2})
    operator.form = next(other for other in FORMS if other != form)
    assert verify(operator, {"n": 11, "d": 2, "e": 2})


def many_tokens(operator: Any, n: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    found = {}
    for tensor in operator.tensors:
        shape = [{"n": n, "d": 2, "e": 2}[str(leg.dimension)] for leg in tensor.legs]
        drawn = torch.rand if tensor.name == "a" else torch.randn
        found[tensor.name] = drawn(shape, generator=generator)
    return found


@pytest.mark.parametrize("text", [FIRST, SCALAR, SECOND])
def test_all_forms_agree_within_their_bounds_over_many_tokens(text: str) -> None:
    operator = operator_of(text)
    machine = arithmetic("float32", "cpu")
    many = 2_000 if text == SCALAR else 10_000
    for n, forms in ((many, ("chunked", "recurrent")), (500, FORMS)):
        inputs = many_tokens(operator, n)
        exact = {name: array.double() for name, array in inputs.items()}
        values, bounds = [], []
        for form in forms:
            operator.form = form
            with torch.no_grad():
                values.append(operator(**inputs).double())
            bounds.append(stream_bound(operator, exact, {"n": n, "d": 2, "e": 2}, machine)[0])
        assert all(bound.isfinite().all() for bound in bounds)
        for k, (value, bound) in enumerate(zip(values, bounds, strict=True)):
            for other, own in zip(values[:k], bounds[:k], strict=True):
                assert ((value - other).abs() <= bound + own).all()
        # the bounds say something: far below the values themselves
        assert bounds[0].max() < 5e-2 * values[0].abs().max()


# kernels whose inputs carry errors


def test_inputs_with_errors() -> None:
    operator = compile(ta.parse("O[e] = Q[f]*S[f,e] + exp(sum(f: Q[f]))*V[e]", indices=INDICES))
    (program, *_) = operator.programs
    machine = arithmetic("float32", "cpu")
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sizes = {"d": 3, "e": 4}
    state, q, v = drawn(3, 4), drawn(3), drawn(4)
    radius, error = drawn(3, 4).abs() * 1e-7, drawn(3, 4).abs() * 1e-3
    ball = Ball(state, radius, error)
    (bound,) = error_bound(program, {"S": ball, "Q": q, "V": v}, sizes, machine)
    (without,) = error_bound(program, {"S": state, "Q": q, "V": v}, sizes, machine)
    assert (bound > without).all()
    assert (bound >= q.abs() @ error).all()
    assert (bound <= 1.01 * (q.abs() @ error) + without + 1e-5).all()
    for seed in range(20):
        generator.manual_seed(seed)
        true = state + radius * (2 * torch.rand(3, 4, generator=generator, dtype=torch.float64) - 1)
        seen = true + error * torch.randint(0, 3, (3, 4), generator=generator).sub(1)
        assert ((operator(Q=q, S=seen, V=v) - operator(Q=q, S=true, V=v)).abs() <= bound).all()


@pytest.mark.parametrize("text", ["O[t,s] = decay(a)[t,s]", "O[t,s,f,g] = decay(A)[t,s,f,g]", "O[t] = decay(a)[t,-]"])
def test_gates_with_errors(text: str) -> None:
    operator = compile(ta.parse(text, indices=INDICES, tensors=GATES))
    (program,) = operator.programs
    sizes = {"n": 5, "d": 2}
    (name,) = operator.inputs
    shape = [sizes[str(leg.dimension)] for leg in operator.tensors[0].legs]
    generator = torch.Generator().manual_seed(1)
    gate, error = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    error = error.abs() / 8
    machine = arithmetic("float64", "cpu")
    (bound,) = error_bound(program, {name: Ball(gate, torch.zeros_like(gate), error)}, sizes, machine)
    (rounding,) = error_bound(program, {name: gate}, sizes, machine)
    assert (bound >= rounding).all()
    worst = torch.zeros_like(bound)
    for _ in range(200):
        signs = torch.randint(0, 3, shape, generator=generator).sub(1)
        worst = torch.maximum(worst, (operator(gate + signs * error) - operator(gate)).abs())
    assert (worst <= bound).all()
    assert (worst >= bound / 20).all()


def test_one_run_bounds_radius_and_error() -> None:
    operator = operator_of(TEXTS[6]).chunk
    sizes = {"n": 6, "e": 2}
    machine = arithmetic("float32", "cpu")
    inputs = {
        tensor.name: torch.rand([sizes[str(leg.dimension)] for leg in tensor.legs], dtype=torch.float64)
        for tensor in operator.tensors
    }
    (program, *_) = operator.programs
    apart = Enclosure(program, machine).results(inputs, sizes)
    joint = Enclosure(program, machine, joint=True).results(inputs, sizes)
    for one, two in zip(joint, apart, strict=True):
        assert torch.equal(one.mid, two.mid)
        assert torch.equal(one.radius, one.error)
        assert (one.radius >= two.radius).all()
        assert (one.error >= two.error).all()
        assert (one.error <= 1.001 * two.error).all()
