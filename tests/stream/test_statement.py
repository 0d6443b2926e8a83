"""The statement that a definition streams: what proves it, what refutes it, and what is left open."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

import tensoralg as ta
from tensoralg.errors import UnorderedSpace
from tensoralg.stream import Streamable
from tensoralg.stream.statement import causality

SPACES = {"t,s,r,i,j,k": "n ordered", "f,g,h": "d", "c": "e"}
CAUSAL = {
    "prefix sum": "O[t,c] = le[s,t]*V[s,c]",
    "quotient": "O[t,c] = sum(s: le[s,t]*exp(K[s,c])*V[s,c]) / sum(s: le[s,t]*exp(K[s,c]))",
    "from the last token on": "O[t,c] = le[t,s]*K[s,f]*V[s,c]*Q[t,f]",
    "nested": "O[t,c] = le[s,t]*lt[r,s]*K[s,f]*K[r,f]*V[s,c]",
}
LATER = {
    "mean": "O[t,c] = sum(s: le[s,t]*V[s,c])*sum(s: V[s,c])",
    "mask on one factor": "O[t,c] = le[s,t]*K[s,f]*Q[r,f]*V[s,c]",
    "mask outside": "O[t,c] = le[i,t]*le[i,j]*le[k,j]*le[k,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*Q[j,h]*K[k,h]*V[k,c]",
    "in a function": "O[t,c] = sum(s: le[s,t]*V[s,c]) * exp(sum(r,f: K[r,f]))",
}


def streamable(text: str, **options: Any) -> Streamable:
    return Streamable(ta.parse(text, SPACES), **options)


@pytest.mark.parametrize("text", CAUSAL.values(), ids=CAUSAL)
def test_a_derived_and_proved_stream_proves_it(text: str) -> None:
    verdict = streamable(text).decide()
    assert verdict, verdict.explain()
    assert verdict.stream.verdict
    assert ta.check(verdict.certificate)
    assert "laws proved" in verdict.explain()


def zeroed(tensors: dict[str, Any], legs: dict[str, str], after: int) -> dict[str, Any]:
    """Return tensors with what stands at later times, their first leg, set to 0."""
    made = deepcopy(tensors)
    for name in legs:
        for time in range(after + 1, len(made[name])):
            made[name][time] = [0] * len(made[name][time])
    return made


@pytest.mark.parametrize("text", LATER.values(), ids=LATER)
def test_it_is_refuted_by_a_point_where_the_future_matters(text: str) -> None:
    definition = ta.parse(text, SPACES)
    verdict = Streamable(definition).decide()
    assert verdict.status == "refuted"
    assert "later tokens" in verdict.explain()
    found = verdict.counterexample
    if "exp" in text:  # in balls, which the prover keeps apart
        assert found.lhs != found.rhs
        return
    outputs = [
        definition.evaluate(**tensors)[found.index["t"]][found.index["c"]]
        for tensors in (found.tensors, zeroed(found.tensors, found.tensors, found.index["t"]))
    ]
    assert outputs == [found.lhs, found.rhs]
    assert outputs[0] != outputs[1]


def test_a_function_of_two_times_is_left_open_and_named() -> None:
    verdict = streamable("O[t,c] = le[s,t]*relu(sum(f: Q[t,f]*K[s,f]))*V[s,c]").decide()
    assert verdict.status == "unknown"
    assert str(verdict.factor) == "relu(sum(f: Q[t,f]*K[s,f]))"
    assert verdict.certificate is None


def test_it_is_refuted_by_a_rank_that_grows() -> None:
    verdict = streamable("O[t,c] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,c]").decide()
    assert verdict.status == "refuted"
    assert "Hankel rank grows" in verdict.reason
    assert str(verdict.factor) == "exp(sum(f: Q[t,f]*K[s,f]))"


def test_a_rank_that_grows_for_a_while_refutes_nothing() -> None:
    """The eighth power is not negative, so that relu changes nothing, and nine numbers are enough."""
    verdict = streamable("O[t,c] = le[s,t]*relu(pow(1 + q[t]*k[s], 8))*V[s,c]").decide()
    assert verdict.status == "unknown"
    assert streamable("O[t,c] = le[s,t]*pow(1 + q[t]*k[s], 8)*V[s,c]").decide().status == "proved"


def test_what_only_looks_as_if_it_saw_the_future_is_not_refuted() -> None:
    text = "O[t,c] = sum(s: V[s,c]) - sum(s: lt[t,s]*V[s,c])"
    verdict = streamable(text).decide()
    assert verdict.status != "refuted"
    definition = ta.parse(text, SPACES)
    assert causality(definition, definition.legs[0].space)


def test_hypotheses_leave_a_refutation_open() -> None:
    """Where all values are 0 the mean is causal, so a point elsewhere refutes nothing."""
    value = ta.parse("V[s,c]", SPACES, free=("s", "c"))
    assert streamable(LATER["mean"]).decide().status == "refuted"
    assert streamable(LATER["mean"], given=[(value, 0)]).decide().status == "unknown"


def test_declared_facts_are_not_destroyed_by_zeros() -> None:
    """A positive tensor has no zeros, so only V, of which nothing is declared, may be cut off."""
    T, E = ta.Space("T", "n", ordered=True), ta.Space("E", "e")
    (t, s, r), (c,) = T.indices("t s r"), E.indices("c")
    w, V = ta.tensor("w", (T,), positive=True), ta.tensor("V", (T, E))
    only_weights = ta.define((t, c), ta.le[s, t] * V[s, c] * w[r].sum(r))
    values = ta.define((t, c), ta.le[s, t] * w[s] * V[r, c])
    assert Streamable(only_weights, T).decide().status == "unknown"
    assert Streamable(values, T).decide().status == "refuted"


def test_an_unordered_space_is_bad_input() -> None:
    with pytest.raises(UnorderedSpace):
        Streamable(ta.parse("O[t,c] = A[t,s]*V[s,c]", {"t,s": "n", "c": "e"})).decide()
