"""Streams as operators: numbers that are not finite, bad input, memory."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from lower.stream_cases import (
    CASES,
    CHUNK,
    FORMS,
    INDICES,
    call,
    draw,
    joined,
    operator_of,
    place_of,
    stream_of,
    tuple_of,
)

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
from tensoralg.lower import compile, lengths, track


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "LENGTHS", (CHUNK,))


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


@pytest.mark.parametrize(
    "given",
    [{"batch_shape": 2}, {"batch_shape": (-1,)}, {"batch_shape": (2.5,)}, {"dtype": torch.int64}, {"dtype": "int64"},
     {"device": "nowhere"}],
)  # fmt: skip
def test_states_that_cannot_be_made_are_refused(given: dict[str, Any]) -> None:
    operator = compile(ta.stream(ta.parse("O[t] = le[s,t]*x[s]", indices={"t,s": "n ordered"})))
    with pytest.raises((UsageError, UnknownName)):
        operator.init_state(**given)


def test_a_step_takes_its_inputs_in_order_or_by_name() -> None:
    operator = compile(ta.stream(ta.parse("O[t] = le[s,t]*x[t]*y[s]", indices={"t,s": "n ordered"})))
    state, x, y = operator.init_state(dtype="float64"), torch.tensor(2.0).double(), torch.tensor(3.0).double()
    for _ in range(2):
        assert (
            operator.step(state, x, y)[1] == operator.step(state, x, y=y)[1] == operator.step(state, y=y, x=x)[1] == 6
        )
    for args, named in (((x, y, y), {}), ((x, y), {"y": y}), ((x,), {})):
        with pytest.raises(UnknownName):
            operator.step(state, *args, **named)
    with pytest.raises(InputMismatch):
        operator.step(state, x.float(), y.float())
    with pytest.raises(UnknownName, match="nothing"):
        operator.step({}, x, y)
