"""Streams as operators: every form against exact evaluation; states, batches, derivatives, bad input, memory."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from oracle import oracle

import tensoralg as ta
from tensoralg.errors import (
    InputMismatch,
    InvalidSize,
    MissingSize,
    NotStreamable,
    ShapeMismatch,
    UnknownName,
    UnknownSize,
    UsageError,
)
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import StreamOperator, compile, streams, track

INDICES = {"t,s,r,i,j,k": "n ordered", "f,g,h": "d", "e,c": "e", "a": "m"}
GATES = {"y": "", "a": "n", "b": "n d", "A": "n d d"}
FORMS = ("parallel", "chunked", "recurrent")
CHUNK = 4
SIZES = {"d": 2, "e": 3, "m": 2}
FIRST = "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]"
CASES: dict[str, tuple[str, ...]] = {
    "first order": (FIRST,),
    "strict": ("O[t,e] = lt[s,t]*Q[t,f]*K[s,f]*V[s,e]",),
    "normalised": ("O[t,e] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,e])/sum(s,f: le[s,t]*Q[t,f]*K[s,f])",),
    "constant gate": ("O[t,e] = decay(y)[t,s]*Q[t,f]*K[s,f]*V[s,e]",),
    "scalar gate": ("O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e]",),
    "channel gate": ("O[t,e] = decay(b)[t,s,f]*Q[t,f]*K[s,f]*V[s,e]",),
    "matrix gate": ("O[t,e] = decay(A)[t,s,f,g]*Q[t,f]*z[s]*K[s,g]*V[s,e]",),
    "second order": ("O[t,c] = le[i,j]*le[j,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*V[j,c]",),
    "third order": ("O[t] = le[i,j]*le[j,k]*le[k,t]*Q[t]*x[i]*K[j]*V[k]",),
    "two covers": ("O[t] = le[i,k]*le[i,j]*le[j,t]*le[k,t]*x[i]*z[j]*w[k]",),
    "nested normaliser": ("O[t] = le[s,t]*z[s]/sum(r: le[r,s]*x[r])",),
    "feature map": ("O[t,e] = sum(s: le[s,t]*exp(x[s,e])*V[s,e])/sum(s: le[s,t]*exp(x[s,e]))",),
    "static projections": ("O[t,e] = le[s,t]*X[t,g]*W[g,f]*X[s,h]*U[h,f]*V[s,e]",),
    "several outputs": (FIRST, "M[t,f] = lt[s,t]*K[s,f]"),
    "anti-causal": ("O[t,e] = le[t,s]*Q[t,f]*K[s,f]*V[s,e]",),
    "window": ("O[t,e] = near[s,t,3]*Q[t,f]*K[s,f]*V[s,e]",),
    "total": ("O[t] = le[s,t]*x[s]",),
}
FEW = ["first order", "constant gate", "scalar gate", "second order", "window", "anti-causal"]


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LENGTHS", (CHUNK,))


def stream_of(texts: tuple[str, ...]) -> ta.Stream:
    gates = {name: legs for name, legs in GATES.items() if any(f"decay({name})" in text for text in texts)}
    parsed = [ta.parse(text, indices=INDICES, **({"tensors": gates} if gates else {})) for text in texts]
    return ta.stream(parsed if len(parsed) > 1 else parsed[0])


@functools.cache
def operator_of(name: str) -> StreamOperator:
    return compile(stream_of(CASES[name]))


def call(name: str, form: str | None, **kwargs: Any) -> Any:
    operator = operator_of(name)
    operator.form = form
    return operator(**kwargs)


def draw(operator: Any, n: int, batch: dict[str, tuple[int, ...]] | None = None, seed: int = 0) -> dict[str, Any]:
    """Small integers, positive where the definition divides or has a function; gates among 0, 1/2, 1 and 3/2."""
    generator = torch.Generator().manual_seed(seed)
    positive = any("/" in text or "exp" in text for text in map(str, operator.definitions))
    found = {}
    for tensor in operator.tensors:
        legs = [{**SIZES, "n": n}[str(leg.dimension)] for leg in tensor.legs]
        shape = (*(batch or {}).get(tensor.name, ()), *legs)
        gate = tensor.name in GATES
        low, high = (0, 4) if gate else (1, 4) if positive else (-2, 4)
        drawn = torch.randint(low, high, shape, generator=generator).double()
        found[tensor.name] = drawn / 2 if gate else drawn
    return found


def tuple_of(result: Any) -> tuple[torch.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def close(found: Any, wanted: Any) -> None:
    for one, other in zip(tuple_of(found), tuple_of(wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11, equal_nan=True)


def same_states(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(wanted)
    for name in found:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-11, atol=1e-11)


def cut(operator: Any, inputs: dict[str, torch.Tensor], start: int, stop: int) -> dict[str, torch.Tensor]:
    """The tokens start, ..., stop - 1, counted in the order in which they come."""

    def part(name: str, array: torch.Tensor) -> torch.Tensor:
        place = place_of(operator, name)
        if place is None:
            return array
        n = array.shape[place]
        return array.narrow(place, n - stop if operator.stream.reverse else start, stop - start)

    return {name: part(name, array) for name, array in inputs.items()}


def place_of(operator: Any, name: str) -> int | None:
    (tensor,) = [t for t in operator.tensors if t.name == name]
    return next((k - len(tensor.legs) for k, leg in enumerate(tensor.legs) if str(leg.dimension) == "n"), None)


def joined(operator: Any, parts: list[Any]) -> Any:
    ordered = parts[::-1] if operator.stream.reverse else parts
    found = []
    for outputs, definition in zip(zip(*map(tuple_of, ordered), strict=True), operator.definitions, strict=True):
        names = [str(leg.space.dimension) for leg in definition.legs]
        found.append(torch.cat(outputs, dim=names.index("n") - len(names)))
    return tuple(found) if len(found) > 1 else found[0]


def tokens(operator: Any, inputs: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    for position in range(count_of(operator, inputs)):
        at = cut(operator, inputs, position, position + 1)
        yield {n: x if (p := place_of(operator, n)) is None else x.squeeze(p) for n, x in at.items()}


def count_of(operator: Any, inputs: dict[str, torch.Tensor]) -> int:
    return next(x.shape[p] for n, x in inputs.items() if (p := place_of(operator, n)) is not None)


# values


@pytest.mark.parametrize("name", CASES)
def test_every_form_is_what_loops_compute(name: str) -> None:
    operator = operator_of(name)
    assert isinstance(operator, StreamOperator)
    n = CHUNK + 1
    inputs = draw(operator, n)
    lists = {key: array.tolist() for key, array in inputs.items()}
    for form in FORMS:
        for found, definition in zip(tuple_of(call(name, form, **inputs)), operator.definitions, strict=True):
            exact = oracle(definition, {**SIZES, "n": n}, lists)
            assert found.numel() == len(exact)
            for place, value in exact.items():
                assert math.isclose(found[place].item(), value, rel_tol=1e-11, abs_tol=1e-11), (form, place)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, 4 * CHUNK + 3])
def test_every_length(name: str, n: int) -> None:
    operator = operator_of(name)
    inputs = draw(operator, n, seed=n)
    wanted = []
    for definition in operator.definitions:
        own = {key: size for key, size in {**SIZES, "n": n}.items() if key in all_dimensions(definition)}
        exact = definition.evaluate(own, **{key: inputs[key].numpy() for key in definition.tensors})
        wanted.append(torch.from_numpy(np.asarray(exact, dtype=float)))
    states = None
    for form in (*FORMS, None):
        close(call(name, form, **inputs), tuple(wanted) if len(wanted) > 1 else wanted[0])
        outputs, after = call(name, form, return_state=True, **inputs)
        close(outputs, tuple(wanted) if len(wanted) > 1 else wanted[0])
        states = states or after
        same_states(after, states)


@pytest.mark.parametrize("name", CASES)
def test_no_tokens(name: str) -> None:
    operator = operator_of(name)
    inputs = draw(operator, 0)
    before = operator.init_state((), torch.float64, "cpu", {k: v for k, v in SIZES.items() if k in dims(operator)})
    for form in (*FORMS, None):
        for found, definition in zip(tuple_of(call(name, form, **inputs)), operator.definitions, strict=True):
            assert found.shape == tuple({**SIZES, "n": 0}[str(leg.space.dimension)] for leg in definition.legs)
        _, after = call(name, form, return_state=True, **inputs)
        same_states(after, before)


def dims(operator: Any) -> set[str]:
    return {str(leg.dimension) for tensor in operator.tensors for leg in tensor.legs}


@pytest.mark.parametrize(
    "name", ["first order", "constant gate", "scalar gate", "channel gate", "second order", "window"]
)
@pytest.mark.parametrize("form", FORMS)
def test_batch_axes_broadcast_and_may_be_lacking(name: str, form: str) -> None:
    operator = operator_of(name)
    axes = {"Q": (2, 1), "K": (3,), "y": (2, 1), "a": (2, 1), "b": (3,)}
    inputs = draw(operator, 2 * CHUNK + 1, axes)
    result, state = call(name, form, return_state=True, **inputs)
    close(call(name, form, **inputs), result)
    assert result.shape[:2] == (2, 3)
    for row, column in itertools.product(range(2), range(3)):
        picked = {"Q": (row, 0), "y": (row, 0), "a": (row, 0), "K": (column,), "b": (column,)}
        own = {key: array[picked.get(key, ())] for key, array in inputs.items()}
        close(result[row, column], call(name, "parallel", **own))
    more = draw(operator, 3, axes, seed=1)
    whole = {k: x if (p := place_of(operator, k)) is None else torch.cat([x, more[k]], p) for k, x in inputs.items()}
    more = {k: inputs[k] if place_of(operator, k) is None else x for k, x in more.items()}
    close(joined(operator, [result, call(name, form, state=state, **more)]), call(name, "parallel", **whole))


@pytest.mark.parametrize("gate", [0.0, 0.5, 1.0, 1.75, -0.5])
@pytest.mark.parametrize("form", FORMS)
def test_constant_gates_are_numbers_or_tensors(gate: float, form: str) -> None:
    inputs = draw(operator_of("constant gate"), 11)
    inputs["y"] = gate
    result = call("constant gate", form, **inputs)
    weights = torch.tensor(
        [[gate ** (t - s) if s <= t else 0.0 for s in range(11)] for t in range(11)], dtype=torch.float64
    )
    close(result, (weights * (inputs["Q"] @ inputs["K"].T)) @ inputs["V"])
    assert torch.equal(call("constant gate", form, **{**inputs, "y": torch.tensor(gate, dtype=torch.float64)}), result)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", FEW)
def test_the_dtype_is_that_of_the_inputs(name: str, dtype: torch.dtype) -> None:
    operator = operator_of(name)
    inputs = draw(operator, 2 * CHUNK + 1)
    wanted = call(name, "parallel", **inputs)
    for form in FORMS:
        found, state = call(name, form, return_state=True, **{k: x.to(dtype) for k, x in inputs.items()})
        assert found.dtype == dtype
        assert {value.dtype for value in state.values()} == {dtype}
        unit = torch.finfo(dtype).eps
        assert (found.double() - wanted).abs().max() <= 16 * unit * wanted.abs().max()


# states


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_a_sequence_goes_on_from_a_state_at_every_cut(name: str, form: str) -> None:
    operator = operator_of(name)
    n = 2 * CHUNK + 1
    inputs = draw(operator, n, seed=3)
    whole, end = call(name, form, return_state=True, **inputs)
    for stop in range(n + 1):
        first, state = call(name, form, return_state=True, **cut(operator, inputs, 0, stop))
        kept = {key: value.clone() for key, value in state.items()}
        second, after = call(name, form, state=state, return_state=True, **cut(operator, inputs, stop, n))
        close(joined(operator, [first, second]), whole)
        close(call(name, form, state=state, **cut(operator, inputs, stop, n)), second)
        same_states(after, end)
        assert all(torch.equal(state[key], kept[key]) for key in kept)


@pytest.mark.parametrize("name", CASES)
def test_steps_are_the_tokens_of_the_sequence(name: str) -> None:
    operator = operator_of(name)
    inputs = draw(operator, 7, seed=4)
    whole, end = call(name, "parallel", return_state=True, **inputs)
    state = operator.init_state((), torch.float64, "cpu")
    parts = []
    for token in tokens(operator, inputs):
        before = {key: value.clone() for key, value in state.items()}
        new, out = operator.step(state, **token)
        assert all(torch.equal(state[key], before[key]) for key in before)
        state = new
        places = [[str(leg.space.dimension) for leg in d.legs].index("n") for d in operator.definitions]
        parts.append(tuple(o.unsqueeze(p) for o, p in zip(tuple_of(out), places, strict=True)))
    close(joined(operator, parts), whole)
    same_states(state, end)


def test_steps_with_batch_axes() -> None:
    operator = operator_of("constant gate")
    inputs = draw(operator, 5, {"Q": (2, 3), "K": (3,), "y": (2, 1)})
    state = operator.init_state((2, 3), torch.float64, "cpu", {"d": 2, "e": 3})
    assert state["S1"].shape == (2, 3, 2, 3)
    parts = []
    for token in tokens(operator, inputs):
        state, out = operator.step(state, **token)
        parts.append(out)
    close(torch.stack(parts, -2), call("constant gate", "parallel", **inputs))


def test_initial_states_know_the_sizes_that_are_given() -> None:
    operator = operator_of("second order")
    state = operator.init_state((4,), torch.float32)
    assert {value.shape for value in state.values()} == {(4, 1, 1)}
    known = operator.init_state((4,), torch.float32, "cpu", {"d": 2, "e": 3})
    assert sorted(value.shape for value in known.values()) == [(4, 2, 2), (4, 3, 2)]
    assert all(value.dtype == torch.float32 and not value.any() for value in known.values())
    fixed = compile(stream_of(CASES["first order"]), sizes={"d": 5, "e": 7})
    assert fixed.init_state()["S1"].shape == (5, 7)
    with pytest.raises(UnknownSize):
        operator.init_state((), sizes={"k": 2})
    with pytest.raises(InvalidSize):
        operator.init_state((), sizes={"d": 0})


# parameters and modules


def test_static_weights_are_parameters() -> None:
    stream = stream_of(CASES["static projections"])
    weights = {"W": torch.rand(2, 2), "U": torch.rand(2, 2)}
    operator = compile(stream, parameters=weights)
    assert operator.inputs == ("X", "V")
    assert list(operator.state_dict()) == ["W", "U"]
    operator = operator.double()
    inputs = {key: x for key, x in draw(operator, 9).items() if key in operator.inputs}
    given = {key: w.double() for key, w in weights.items()}
    state = operator.init_state((), torch.float64)
    assert state["S1"].shape[-1] == 2
    for token in tokens(operator_of("static projections"), inputs):
        state, out = operator.step(state, **token)
    for form in FORMS:
        operator.form = form
        result = operator(**inputs)
        close(result, call("static projections", form, **inputs, **given))
        operator.zero_grad()
        result.sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in operator.parameters())
    close(out, result[-1])
    other = compile(stream, parameters={"W": torch.zeros(2, 2), "U": torch.zeros(2, 2)}).double()
    other.load_state_dict(operator.state_dict())
    other.form = "recurrent"
    assert torch.equal(other(**inputs), result)


def test_a_gate_is_a_parameter() -> None:
    operator = compile(stream_of(CASES["constant gate"]), parameters={"y": 0.75}).double()
    assert operator.inputs == ("Q", "K", "V")
    inputs = {key: x for key, x in draw(operator, 9).items() if key in operator.inputs}
    slopes = []
    for form in FORMS:
        operator.form = form
        result = operator(**inputs)
        close(result, call("constant gate", form, y=0.75, **inputs))
        (slope,) = torch.autograd.grad(result.sum(), [operator.y])
        slopes.append(slope)
    close(tuple(slopes[:2]), tuple(slopes[1:]))
    _, out = operator.step(operator.init_state((), torch.float64), **{k: x[0] for k, x in inputs.items()})
    close(out, result[0])


@pytest.mark.parametrize("name", ["several outputs", "second order", "window"])
def test_copies_and_pickles(name: str) -> None:
    operator = operator_of(name)
    operator.form = None
    inputs = draw(operator, 9)
    for twin in (copy.deepcopy(operator), pickle.loads(pickle.dumps(operator))):
        for form in (*FORMS, None):
            twin.form = form
            assert all(map(torch.equal, tuple_of(twin(**inputs)), tuple_of(call(name, form, **inputs))))


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_it_is(name: str) -> None:
    operator = operator_of(name)
    given = stream_of(CASES[name]).definitions
    assert [str(d) for d in operator.definitions] == [str(d) for d in given]
    kernels = [operator, operator.chunk, operator.token]
    assert all(verdict.status == "proved" for kernel in kernels for verdict in kernel.verdicts)
    assert operator.verdict.status == "proved"
    assert "def operator(" in operator.source
    assert operator.plan.flops is not None
    assert set(operator.inputs) == {name for definition in given for name in definition.tensors}


# derivatives


@pytest.mark.parametrize(
    "name", ["first order", "normalised", "constant gate", "scalar gate", "channel gate", "matrix gate", "window"]
)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_inputs_and_of_the_state(name: str, form: str) -> None:
    operator = operator_of(name)
    n = CHUNK + 2
    inputs = draw(operator, n, seed=5)
    if "a" in inputs:
        inputs["a"][1] = 0
    _, state = call(name, "parallel", return_state=True, **draw(operator, 3, seed=6) | statics(operator, inputs))
    leaves = [x.requires_grad_() for x in (*inputs.values(), *state.values())]

    def run(*arrays: torch.Tensor) -> Any:
        named = dict(zip(inputs, arrays[: len(inputs)], strict=True))
        before = dict(zip(state, arrays[len(inputs) :], strict=True))
        out, after = call(name, form, state=before, return_state=True, **named)
        return (out, *(value for key, value in after.items() if not key.startswith("past_")))

    assert torch.autograd.gradcheck(run, leaves)


def statics(operator: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: x for key, x in inputs.items() if place_of(operator, key) is None}


@pytest.mark.parametrize("name", [name for name in CASES if name != "several outputs"])
def test_gradients_agree_between_forms(name: str) -> None:
    operator = operator_of(name)
    inputs = {key: x.requires_grad_() for key, x in draw(operator, 3 * CHUNK + 1, seed=7).items()}
    weights = torch.rand(call(name, None, **inputs).shape, dtype=torch.float64)
    found = []
    for form in FORMS:
        slopes = torch.autograd.grad((call(name, form, **inputs) * weights).sum(), list(inputs.values()))
        found.append(slopes)
    scale = max(slope.abs().max().item() for slope in found[0])
    for slopes in found[1:]:
        for one, other in zip(slopes, found[0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("form", ["parallel", "recurrent"])
def test_second_derivatives(form: str) -> None:
    inputs = {key: x.requires_grad_() for key, x in draw(operator_of("scalar gate"), 3, seed=8).items()}

    def run(*arrays: torch.Tensor) -> Any:
        return call("scalar gate", form, **dict(zip(inputs, arrays, strict=True)))

    assert torch.autograd.gradgradcheck(run, list(inputs.values()))


def test_steps_under_vmap_and_grad() -> None:
    operator = operator_of("scalar gate")
    inputs = draw(operator, 1, dict.fromkeys(("a", "Q", "K", "V"), (5,)))
    token = {key: x.select(place_of(operator, key), 0) for key, x in inputs.items()}
    state = {"S1": torch.rand(5, 2, 3, dtype=torch.float64)}

    def step(state: Any, token: Any) -> Any:
        return operator.step(state, **token)

    new, out = torch.vmap(step)(state, token)
    wanted, whole = operator.step(state, **token)
    close(out, whole)
    close(new["S1"], wanted["S1"])

    def loss(state: Any, token: Any) -> torch.Tensor:
        return operator.step(state, **token)[1].square().sum()

    slopes = torch.vmap(torch.func.grad(loss))(state, token)
    leaf = {"S1": state["S1"].clone().requires_grad_()}
    operator.step(leaf, **token)[1].square().sum().backward()
    close(slopes["S1"], leaf["S1"].grad)


@pytest.mark.parametrize("form", FORMS)
def test_sequences_under_vmap(form: str) -> None:
    operator = operator_of("first order")
    inputs = draw(operator, 9, dict.fromkeys("QKV", (3,)))
    operator.form = form
    close(torch.vmap(lambda q, k, v: operator(Q=q, K=k, V=v))(*inputs.values()), operator(**inputs))


# numbers that are not finite


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", [*FORMS, None])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_number_reaches_no_earlier_token(name: str, form: str | None, bad: float) -> None:
    operator = operator_of(name)
    n = 2 * CHUNK + 2
    inputs = draw(operator, n, seed=9)
    whole, end = call(name, form, return_state=True, **inputs)
    plain = call(name, form, **inputs)
    for key, position in itertools.product(inputs, (0, CHUNK + 2, n - 1)):
        if place_of(operator, key) is None:
            continue
        spoiled = {**inputs, key: inputs[key].clone()}
        at = n - 1 - position if operator.stream.reverse else position
        spoiled[key].select(place_of(operator, key), at)[...] = bad
        alone = call(name, form, **spoiled)
        with_state, state = call(name, form, return_state=True, **spoiled)
        for found, wanted in ((alone, plain), (with_state, whole)):
            one, other = (joined(operator, [first(operator, x, position)]) for x in (found, wanted))
            assert all(map(torch.equal, tuple_of(one), tuple_of(other))), (key, position)
        assert set(state) == set(end)


def first(operator: Any, result: Any, count: int) -> Any:
    """The outputs at the first tokens."""
    found = []
    for out, definition in zip(tuple_of(result), operator.definitions, strict=True):
        place = [str(leg.space.dimension) for leg in definition.legs].index("n") - len(definition.legs)
        start = out.shape[place] - count if operator.stream.reverse else 0
        found.append(out.narrow(place, start, count))
    return tuple(found)


# errors


def wrong(action: Any, error: type, *words: str) -> None:
    with pytest.raises(error) as caught:
        action()
    assert caught.value.remedy
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_states_that_do_not_fit(form: str) -> None:
    operator = operator_of("first order")
    inputs = draw(operator, 6)
    _, state = call("first order", form, return_state=True, **inputs)
    s = state["S1"] + 1
    cases: list[tuple[Any, type, str]] = [
        ({}, UnknownName, "S1"),
        ({"S": s}, UnknownName, "S1"),
        ({"S1": s, "S2": s}, UnknownName, "S1"),
        (s, UnknownName, "Tensor"),
        ({"S1": None}, InputMismatch, "NoneType"),
        ({"S1": s.float()}, InputMismatch, "float32"),
        ({"S1": s.to("meta")}, InputMismatch, "meta"),
        ({"S1": s[:1]}, ShapeMismatch, "(1, 3)"),
        ({"S1": s[0]}, ShapeMismatch, "(3,)"),
        ({"S1": torch.zeros(1, dtype=torch.float64)}, ShapeMismatch, "(1,)"),
        ({"S1": s.T}, ShapeMismatch, "(3, 2)"),
        ({"S1": torch.zeros(4, 3, dtype=torch.float64)}, ShapeMismatch, "(4, 3)"),
    ]
    token = {key: x[0] for key, x in inputs.items()}
    for bad, error, word in cases:
        wrong(lambda bad=bad: call("first order", form, state=bad, **inputs), error, word)
        wrong(lambda bad=bad: operator.step(bad, **token), error, word)


@pytest.mark.parametrize("form", FORMS)
def test_other_batch_sizes_do_not_continue_a_stream(form: str) -> None:
    operator = operator_of("first order")
    two, three = (draw(operator, 6, dict.fromkeys("QKV", (k,))) for k in (2, 3))
    _, state = call("first order", form, return_state=True, **two)
    wrong(lambda: call("first order", form, state=state, **three), ShapeMismatch, "batch axis of size", "2", "3", "S1")
    token = {key: x[:, 0] for key, x in three.items()}
    wrong(lambda: operator.step(state, **token), ShapeMismatch, "batch axis of size", "2", "3")
    mixed = {**three, "K": two["K"]}
    wrong(lambda: call("first order", form, **mixed), ShapeMismatch, "input K", "input Q")
    # a state or tokens without batch axes stand for all
    lone = {key: x[0] for key, x in two.items()}
    _, single = call("first order", form, return_state=True, **lone)
    assert call("first order", form, state=single, **three).shape == (3, 6, 3)
    assert call("first order", form, state=state, **lone).shape == (2, 6, 3)


def test_tokens_that_do_not_fit() -> None:
    operator = operator_of("scalar gate")
    inputs = draw(operator, 6)
    state = operator.init_state((), torch.float64, "cpu", {"d": 2, "e": 3})
    token = {key: x[0] for key, x in inputs.items()}
    operator.step(state, **token)
    wrong(lambda: operator.step(state, **inputs), ShapeMismatch, "(6,)", "axis over time")
    wrong(lambda: operator.step(operator.init_state((), torch.float64), **inputs), ShapeMismatch, "axis over time")
    wrong(lambda: operator.step(state, **{**token, "K": inputs["K"]}), ShapeMismatch, "axis over time")
    wrong(lambda: operator.step(state, Q=token["Q"], K=token["K"], a=token["a"]), UnknownName, "V")
    wrong(lambda: operator.step(state, **token, k=token["K"]), UnknownName, "'k'")
    wrong(lambda: operator.step(state, **{**token, "V": 2.0}), InputMismatch, "V")
    wrong(lambda: operator.step(state, **{**token, "V": token["V"].float()}), InputMismatch, "V")
    wrong(lambda: operator.step(state, **{**token, "K": token["K"][:1]}), ShapeMismatch, "K", "d")
    wrong(lambda: operator.step(state, **{**token, "K": token["a"]}), ShapeMismatch, "K", "leg")
    wrong(lambda: operator.step(None, **token), UnknownName, "NoneType")


@pytest.mark.parametrize("form", FORMS)
def test_inputs_that_do_not_fit(form: str) -> None:
    inputs = draw(operator_of("first order"), 6)

    def run(**changed: Any) -> Any:
        given = {key: x for key, x in {**inputs, **changed}.items() if x is not None}
        return lambda: call("first order", form, **given)

    wrong(run(V=None), UnknownName, "V")
    wrong(run(W=inputs["V"]), UnknownName, "'W'")
    wrong(run(V=inputs["V"][:5]), ShapeMismatch, "V", "n", "5", "6")
    wrong(run(K=inputs["K"][:, :1]), ShapeMismatch, "K", "d")
    wrong(run(K=inputs["K"][0, 0]), ShapeMismatch, "K")
    wrong(run(K=inputs["K"].long()), InputMismatch, "K")
    wrong(run(K=inputs["K"].float()), InputMismatch, "K")
    wrong(run(K=[1.0]), InputMismatch, "K")


def test_forms_and_sizes_that_there_are_not() -> None:
    stream = stream_of(CASES["first order"])
    wrong(lambda: compile(stream, form="chunk"), UsageError, "chunk")
    wrong(lambda: call("first order", "loop", **draw(operator_of("first order"), 3)), UsageError, "loop")
    wrong(lambda: compile(stream, sizes={"k": 3}), UnknownSize, "k")
    wrong(lambda: compile(stream, sizes={"d": 0}), InvalidSize)
    wrong(lambda: compile(stream, parameters={"W": torch.ones(2)}), UnknownName, "W")
    wrong(lambda: compile(stream, parameters={"K": torch.ones(2)}), ShapeMismatch, "K")
    unknown = ta.parse("O[t,e] = near[s,t,w]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
    wrong(lambda: compile(ta.stream(unknown)), MissingSize, "w")
    coupled = ta.parse("O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]", indices=INDICES)
    wrong(lambda: ta.stream(coupled), NotStreamable)
    fixed = compile(stream, sizes={"d": 2})
    wrong(lambda: fixed(**{**draw(operator_of("first order"), 3), "Q": torch.ones(3, 5).double()}), ShapeMismatch)


# memory


@pytest.mark.parametrize("name", ["first order", "normalised", "scalar gate", "second order", "window"])
def test_memory_beyond_the_output_does_not_grow(name: str) -> None:
    operator = operator_of(name)
    operator.form = "chunked"
    beyond = []
    for chunks in (8, 64):
        inputs = draw(operator, chunks * CHUNK)
        output = operator(**inputs).numel()
        beyond.append(track(lambda inputs=inputs: operator(**inputs)).total - output)
    assert beyond[0] == beyond[1] > 0


def test_memory_of_the_other_direction_is_one_copy() -> None:
    operator = operator_of("anti-causal")
    operator.form = "chunked"
    beyond = []
    for n in (64, 128):
        inputs = draw(operator, n)
        copies = 2 * operator(**inputs).numel() + sum(x.numel() for x in inputs.values())
        beyond.append(track(lambda inputs=inputs: operator(**inputs)).total - copies)
    assert beyond[0] == beyond[1]
