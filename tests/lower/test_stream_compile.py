"""Streams under torch.compile, autocast and on meta tensors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import tensoralg as ta
from tensoralg.errors import InputMismatch
from tensoralg.lower.streams import StreamOperator

INDICES = {"t,s": "n ordered", "f,g": "d", "e": "e"}
TEXTS = {
    "linear": "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
    "gated": "O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e]",
    "window": "O[t,e] = near[s,t,3]*Q[t,f]*K[s,f]*V[s,e]",
}


@cache
def compiled(name: str, form: str | None) -> StreamOperator:
    operator = ta.compile(ta.stream(ta.parse(TEXTS[name], indices=INDICES), along="n"), form=form)
    assert isinstance(operator, StreamOperator)
    return operator


def arrays(operator: StreamOperator, n: int, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    sizes, generator = {"n": n, "d": 3, "e": 4}, torch.Generator().manual_seed(n)
    return {
        t.name: torch.rand([sizes[str(leg.dimension)] for leg in t.legs], generator=generator, dtype=dtype)
        for t in operator.tensors
    }


def by_loops(name: str, given: dict[str, torch.Tensor]) -> torch.Tensor:
    """The oracle: one pair of tokens after the other."""
    q, k, v = given["Q"], given["K"], given["V"]
    out = torch.zeros_like(v)
    for t in range(q.shape[0]):
        for s in range(t + 1):
            weight = {"linear": 1.0, "window": float(t - s < 3)}.get(name)
            if weight is None:
                weight = given["a"][s + 1 : t + 1].prod()
            out[t] += weight * (q[t] @ k[s]) * v[s]
    return out


@pytest.fixture
def graphs() -> Iterator[Any]:
    """How many graphs were compiled."""
    torch._dynamo.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch._dynamo.reset()
    counters.clear()


@pytest.mark.parametrize("form", ["chunked", "parallel", None])
@pytest.mark.parametrize("name", TEXTS)
def test_one_compilation_serves_every_length_of_one_chunk(name: str, form: str | None, graphs: Any) -> None:
    operator = compiled(name, form)
    fast = torch.compile(operator, fullgraph=True, dynamic=True, backend="eager")
    for n in (5, 9, 12):
        given = arrays(operator, n)
        torch.testing.assert_close(fast(**given), by_loops(name, given))
    assert graphs() == 1


@pytest.mark.parametrize(("name", "form"), [("linear", "recurrent"), ("gated", "chunked"), ("window", "chunked")])
def test_longer_sequences_compile_without_breaks(
    name: str, form: str, graphs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = compiled(name, form)
    monkeypatch.setattr(operator._lengths, "usual", 4)
    fast = torch.compile(operator, fullgraph=True, dynamic=True, backend="eager")
    for n in (6, 8):
        given = arrays(operator, n)
        torch.testing.assert_close(fast(**given), by_loops(name, given))


def test_gradients_of_a_compiled_sequence(graphs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = compiled("gated", "chunked")
    monkeypatch.setattr(operator._lengths, "usual", 4)
    given = {name: x.requires_grad_() for name, x in arrays(operator, 7).items()}
    fast = torch.compile(operator, fullgraph=True, dynamic=True, backend="aot_eager")
    found = torch.autograd.grad(fast(**given).square().sum(), list(given.values()))
    for one, other in zip(
        found, torch.autograd.grad(by_loops("gated", given).square().sum(), list(given.values())), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["linear", "gated"])
def test_one_compilation_of_a_step_serves_every_token(name: str, graphs: Any) -> None:
    operator = compiled(name, "recurrent")
    step = torch.compile(operator.step, fullgraph=True, dynamic=True, backend="aot_eager")
    given = arrays(operator, 6)
    state, found = operator.init_state(dtype=torch.float64, sizes={"d": 3, "e": 4}), []
    for k in range(6):
        state, out = step(state, **{name: x[k] for name, x in given.items()})
        found.append(out)
    torch.testing.assert_close(torch.stack(found), by_loops(name, given))
    assert graphs() == 1


def test_steps_of_a_window_compile_while_it_fills(graphs: Any) -> None:
    operator = compiled("window", "recurrent")
    step = torch.compile(operator.step, fullgraph=True, dynamic=True, backend="eager")
    given = arrays(operator, 8)
    state, found = operator.init_state(dtype=torch.float64, sizes={"d": 3, "e": 4}), []
    for k in range(8):
        state, out = step(state, **{name: x[k] for name, x in given.items()})
        found.append(out)
    torch.testing.assert_close(torch.stack(found), by_loops("window", given))
    assert graphs() <= 4  # no token before, one, more, and full


@pytest.mark.parametrize("form", ["chunked", "parallel", "recurrent"])
@pytest.mark.parametrize("name", TEXTS)
def test_meta_tensors(name: str, form: str) -> None:
    operator = compiled(name, form)
    found = operator(**{n: x.to("meta") for n, x in arrays(operator, 5).items()})
    assert (found.shape, found.device.type) == ((5, 4), "meta")


@pytest.mark.parametrize("form", ["chunked", "parallel", "recurrent"])
def test_autocast(form: str) -> None:
    operator = compiled("linear", form)
    given = arrays(operator, 9, torch.float32)
    mixed = given | {"Q": given["Q"].bfloat16()}
    exact = by_loops("linear", {name: x.double() for name, x in given.items()})
    with torch.autocast("cpu"):
        found = operator(**mixed)
        state, outs = operator.init_state(sizes={"d": 3, "e": 4}), []
        for k in range(9):
            state, out = operator.step(state, **{name: x[k] for name, x in mixed.items()})
            outs.append(out)
    # all terms are positive: at most nine roundings of bfloat16 on the way of each, and one for every sum over tokens
    for result in (found, torch.stack(outs)):
        assert ((result.double() - exact).abs() <= ((1 + 2.0**-8) ** 18 - 1) * exact).all()
    with pytest.raises(InputMismatch):
        operator(**mixed)
    with pytest.raises(InputMismatch):
        operator.step(
            operator.init_state(sizes={"d": 3, "e": 4}).copy(), **{name: x[0].double() for name, x in given.items()}
        )
