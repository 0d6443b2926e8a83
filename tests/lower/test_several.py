"""Several definitions in one kernel: what is shared, proved, returned and verified."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import FactConflict, InvalidExpression, ValidationFailed
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import compile, count, verify
from tensoralg.lower.build import spaces_of, tensors_of
from tensoralg.lower.operator import load
from tensoralg.lower.validate import validate, with_parts

INDICES = {"t,s": "n ordered", "f": "d", "e": "e"}
OUTPUT = ta.parse("O[t,e] = Q[t,f]*S[f,e] + le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
STATE = ta.parse("Z[f,e] = S[f,e] + K[s,f]*V[s,e]", indices=INDICES)
CHUNK = [OUTPUT, STATE]


def arrays(n: int = 5, d: int = 3, e: int = 4, *batch: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(n + d)
    shapes = [(n, d), (d, e), (n, d), (n, e)]
    return [torch.randn((*batch, *shape), generator=generator, dtype=torch.float64) for shape in shapes]


def peer(q: Any, s: Any, k: Any, v: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return q @ s + (q @ k.mT).tril() @ v, s + k.mT @ v


def test_a_tuple_of_results_over_the_tensors_of_all() -> None:
    operator = compile(CHUNK)
    assert operator.inputs == ("Q", "S", "K", "V")
    assert operator.definitions == operator.definition == (OUTPUT, STATE)
    assert [verdict.status for verdict in operator.verdicts] == ["proved", "proved"]
    for batch in ((), (2,), (2, 3)):
        torch.testing.assert_close(operator(*arrays(5, 3, 4, *batch)), peer(*arrays(5, 3, 4, *batch)))
    for n in (0, 1):
        torch.testing.assert_close(operator(*arrays(n)), peer(*arrays(n)))


def test_a_sequence_of_one_gives_a_tuple_of_one() -> None:
    _, s, k, v = arrays()
    (found,) = compile((STATE,))(s, k, v)
    assert torch.equal(found, compile(STATE)(s, k, v))


def test_what_two_results_share_runs_once() -> None:
    weights = ta.parse("W[t,s] = exp(sum(f: Q[t,f]*K[s,f]))", indices=INDICES)
    totals = ta.parse("Z[t] = sum(s: exp(sum(f: Q[t,f]*K[s,f])))", indices=INDICES)
    operator = compile([weights, totals])
    assert operator.source.count("torch.exp") == 1
    q, _, k, _ = arrays()
    assert count(lambda: operator(q, k)).flops == 2 * 5 * 5 * 3 + 5 * 5


def test_a_result_may_be_an_input_a_constant_or_wanted_twice() -> None:
    texts = ["A[t,s] = x[t,s]", "B[s,t] = x[t,s]", "C[t] = 2*x[t,t]", "D[t] = x[t,t]*2", "E[t,s] = le[s,t]"]
    operator = compile([ta.parse(text, indices=INDICES) for text in texts])
    x = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    double = 2 * x.diagonal()
    expected = (x, x.T, double, double, torch.ones(4, 4, dtype=torch.float64).tril())
    torch.testing.assert_close(operator(x), expected)


def test_results_that_other_results_are_made_of_are_kept() -> None:
    first = ta.parse("A[t] = exp(x[t])", indices=INDICES)
    second = ta.parse("B[t] = exp(exp(x[t]))", indices=INDICES)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    for order in ([first, second], [second, first]):
        found = compile(order)(x)
        wanted = {"A": x.exp(), "B": x.exp().exp()}
        torch.testing.assert_close(found, tuple(wanted[one.name] for one in order))


def test_gradients_transforms_and_copies() -> None:
    operator = compile(CHUNK)
    inputs = [array.requires_grad_() for array in arrays()]
    assert torch.autograd.gradcheck(operator, tuple(inputs))
    batched = arrays(5, 3, 4, 6)
    torch.testing.assert_close(torch.vmap(operator)(*batched), operator(*batched))
    fast = torch.compile(operator, fullgraph=True, dynamic=True, backend="eager")
    torch.testing.assert_close(fast(*arrays()), operator(*arrays()))
    for twin in (copy.deepcopy(operator), pickle.loads(pickle.dumps(operator))):
        torch.testing.assert_close(twin(*arrays()), operator(*arrays()))


def test_parameters_of_several_definitions() -> None:
    q, s, k, v = arrays()
    operator = compile(CHUNK, parameters={"S": s})
    assert operator.inputs == ("Q", "K", "V")
    torch.testing.assert_close(operator.double()(q, k, v), peer(q, s, k, v))


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_every_result_is_verified(dtype: str) -> None:
    sizes = {"n": 9, "d": 4, "e": 3}
    operator = compile(CHUNK)
    report = verify(operator, sizes, dtype)
    assert report.ok
    assert 0 < report.error <= report.bound
    source = operator.source
    for position, name in enumerate(source.rpartition("return ")[2].strip().split(", ")):
        before, _, after = source.rpartition("return ")
        operator._function = load(f"{before}return " + after.replace(name, f"({name} * 1.5)"))
        report = verify(operator, sizes, dtype)
        assert (report.ok, report.output) == (False, position)
        assert "out of bound" in report.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda names: names[::-1],
        lambda names: names[:1],
        lambda names: (*names, names[0]),
        lambda names: (names[0], names[0]),
        lambda names: (names[0], f"{names[1]} + 0"),
    ],
)
def test_other_results_are_refused(change: Any) -> None:
    operator = compile(CHUNK)
    before, _, after = operator.source.rpartition("return ")
    source = f"{before}return {', '.join(change(after.strip().split(', ')))}\n"
    spaces, names = with_parts(spaces_of(*CHUNK)), set().union(*map(all_dimensions, CHUNK))
    with pytest.raises(ValidationFailed):
        validate(CHUNK, tensors_of(*CHUNK), operator.programs, source, operator.costs, spaces, names)


def test_an_order_that_one_definition_declares_holds_in_all() -> None:
    masked = ta.parse("O[t] = le[s,t]*x[s]", indices={"t,s": "n ordered"})
    summed = ta.parse("Z[] = x[s]", indices={"s": "n"})
    prefix, total = compile([masked, summed])(torch.arange(4.0))
    assert (prefix.tolist(), total.item()) == ([0, 1, 3, 6], 6)


def test_contradictions_and_nothing_are_errors() -> None:
    with pytest.raises(FactConflict):
        compile([ta.parse("O[t] = x[t]", indices={"t": "n"}), ta.parse("P[t] = x[t]", indices={"t": "m"})])
    for wrong in ([], [STATE, "O[t] = x[t]"]):
        with pytest.raises(InvalidExpression):
            compile(wrong)  # type: ignore[arg-type]
