"""Constants that are gates and stand in terms as well."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

import tensoralg as ta

SPACES = {"t,s": "n ordered", "c": "e"}
AVERAGES = {
    "outside": "O[t,c] = (1 - g[])*sum(s: decay(g)[t,s]*V[s,c])",
    "inside": "O[t,c] = decay(g)[t,s]*(1 - g[])*V[s,c]",
    "squared": "O[t,c] = decay(g)[t,s]*g[]*V[s,c]*g[] + V[t,c]",
}


def averages(kind: str, g: Fraction, values: list[int]) -> list[Fraction]:
    """Return the outputs by plain loops, for one channel."""
    found = []
    for t, last in enumerate(values):
        weight = g**2 if kind == "squared" else 1 - g
        found.append(sum((weight * g ** (t - s) * values[s] for s in range(t + 1)), Fraction(0)))
        found[-1] += last if kind == "squared" else 0
    return found


@pytest.mark.parametrize("kind", AVERAGES)
def test_a_constant_gate_may_be_a_weight_too(kind: str) -> None:
    definition = ta.parse(AVERAGES[kind], SPACES, {"g": ""})
    stream = ta.stream(definition)
    assert all(stream.verdicts.values()), stream.verdicts
    g, values = Fraction(1, 3), [2, -1, 5, 0, 7]
    expected = averages(kind, g, values)
    state: dict[str, object] = {"S1": [0]}
    for value, wanted in zip(values, expected, strict=True):
        now = {"g": g, "V": [value], **state}
        (found,) = stream.output.evaluate(**{name: now[name] for name in stream.output.tensors})
        assert found == wanted
        state = {name: new.evaluate(**{x: now[x] for x in new.tensors}).tolist() for name, new in stream.step.items()}


@pytest.mark.parametrize("form", ["parallel", "chunked", "recurrent"])
@pytest.mark.parametrize("kind", AVERAGES)
def test_every_form_of_it_compiles(kind: str, form: str) -> None:
    stream = ta.stream(ta.parse(AVERAGES[kind], SPACES, {"g": ""}))
    values = [2, -1, 5, 0, 7]
    column = torch.tensor(values, dtype=torch.float64)[:, None]
    found = ta.compile(stream, form=form)(g=0.25, V=column)
    assert found[:, 0].tolist() == [float(x) for x in averages(kind, Fraction(1, 4), values)]
