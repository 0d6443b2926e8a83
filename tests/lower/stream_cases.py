"""Streams of every kind as operators, random inputs for them, and their parts in time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch

import tensoralg as ta
from tensoralg.lower import StreamOperator, compile

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
