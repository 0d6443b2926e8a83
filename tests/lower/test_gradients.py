"""Gradients of kernels: autograd through what was emitted, against derivatives and against finite differences."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import EvaluationError, InvalidExpression, MissingSize, UnknownName
from tensoralg.lower import compile, verify, verify_gradient
from tensoralg.lower.arithmetic import arithmetic
from tensoralg.lower.draws import draw_inputs

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "e"}
TABLE = {"a": "n", "b": "n d", "A": "n d d", "y": "", "z": "n positive"}
SCORES = "sum(f: Q[t,f]*K[s,f])/sqrt(d)"
WEIGHTS = f"W[t,s] = le[s,t]*exp({SCORES});"
FAMILY = {
    "linear": "O[t,e] = Q[t,f]*K[s,f]*V[s,e]",
    "causal": "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
    "softmax": f"O[t,e] = softmax(s: {SCORES})*V[s,e]",
    "causal softmax": f"{WEIGHTS} O[t,e] = W[t,s]*V[s,e]/sum(u: W[t,u])",
    "window": "O[t,e] = near[s,t,3]*Q[t,f]*K[s,f]*V[s,e]",
    "division": "O[t,f] = Q[t,f]/(1 + sum(g: Q[t,g]*Q[t,g]))",
    "root": "O[t,f] = Q[t,f]/sqrt(1 + sum(g: Q[t,g]*Q[t,g]))",
    "logarithm": "O[t] = log(sum(s: exp(M[t,s])*z[s]))",
    "rectifier": "O[t] = relu(sum(s: M[t,s]*x[s]))",
    "powers": "O[t] = pow(x[t],3) - 2/pow(z[t],2)",
    "second order": "O[t,e] = le[s,u]*le[u,t]*Q[t,f]*K[s,f]*V[u,e]",
    "repeated": "O[] = M[t,s]*M[s,u]*M[u,t]",
    "constant gate": "O[t,e] = decay(y)[t,s]*V[s,e]",
    "scalar gate": "O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e]",
    "channel gate": "O[t,f] = decay(b)[t,s,f]*K[s,f]",
    "matrix gate": "O[t,f] = decay(A)[t,s,f,g]*K[s,g]",
    "past and future": "O[t] = decay(a)[t,-]*x[t] + decay(a)[+,t]",
}
STREAMS = ["causal", "scalar gate", "channel gate", "matrix gate", "second order", "window"]
SIZES = {"n": 5, "d": 3, "e": 2}


@functools.cache
def definition_of(name: str) -> Any:
    text = FAMILY[name]
    return ta.parse(text, INDICES, {k: v for k, v in TABLE.items() if f"{k}[" in text or f"({k})" in text})


@functools.cache
def operator_of(name: str) -> Any:
    return compile(definition_of(name))


def sizes_of(operator: Any) -> dict[str, int]:
    names = {leg.dimension.name for symbol in operator.tensors for leg in symbol.legs}
    legs = {leg.space.dimension.name for one in operator.definitions for leg in one.legs}
    return {name: SIZES[name] for name in names | legs}


def inputs_of(operator: Any, seed: int = 0) -> list[torch.Tensor]:
    gates = set(TABLE) - {"z"}
    drawn = draw_inputs(operator.tensors, sizes_of(operator), torch.float64, seed, gates)
    return [drawn[name].requires_grad_() for name in operator.order]


@pytest.mark.parametrize("name", FAMILY)
def test_autograd_finds_the_derivative(name: str) -> None:
    operator = operator_of(name)
    report = verify_gradient(operator, sizes_of(operator), seed=1)
    assert report.ok, report
    assert report.tensors == operator.order
    assert report.error < report.tolerance / 2**16  # half of the digits that the tolerance leaves


@pytest.mark.parametrize("name", FAMILY)
def test_autograd_agrees_with_finite_differences(name: str) -> None:
    operator = operator_of(name)
    assert torch.autograd.gradcheck(operator, inputs_of(operator))


@pytest.mark.parametrize("name", ["softmax", "scalar gate", "root"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_dtypes_have_coarser_gradients(name: str, dtype: str) -> None:
    operator = operator_of(name)
    report = verify_gradient(operator, sizes_of(operator), dtype)
    assert report.ok
    assert (report.dtype, report.device, report.seed) == (dtype, "cpu", 0)
    assert report.tolerance >= math.sqrt(arithmetic(dtype, "cpu").unit)
    assert "not proven" in report.assumptions[0]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("form", ["parallel", "chunked", "recurrent"])
def test_every_form_of_a_stream_has_the_derivative(name: str, form: str) -> None:
    operator = stream_of(name)
    operator.form = form
    report = verify_gradient(operator, {**sizes_of(operator), "n": 7}, seed=2)
    assert report.ok, report


@functools.cache
def stream_of(name: str) -> Any:
    return compile(ta.stream(definition_of(name)))


@pytest.mark.parametrize("name", ["softmax", "causal", "root", "rectifier", "scalar gate"])
def test_a_gradient_is_an_operator_within_its_bound(name: str) -> None:
    """The symbolic gradient, compiled, computes what autograd computes through the kernel."""
    definition, operator = definition_of(name), operator_of(name)
    wrt = {"softmax": "V", "causal": "K", "root": "Q", "rectifier": "x", "scalar gate": "a"}[name]
    backward = compile(ta.grad(definition, wrt, "G"))
    assert verify(backward, sizes_of(backward), "float64").ok
    named = dict(zip(operator.order, inputs_of(operator), strict=True))
    output = operator(**named)
    incoming = torch.rand(output.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    (found,) = torch.autograd.grad(output, named[wrt], incoming)
    computed = backward(**{key: (named | {"G": incoming})[key].detach() for key in backward.inputs})
    order = [backward.definition.free.index(leg) for leg in ta.grad(definition, wrt, "G").free]
    torch.testing.assert_close(computed.permute(order) if computed.dim() else computed, found, rtol=1e-12, atol=1e-12)


def test_several_outputs_add_their_gradients() -> None:
    both = compile([ta.parse("P[t] = x[t]*v[t]", {"t": "n"}), ta.parse("Q[] = sum(t: x[t]*x[t])", {"t": "n"})])
    report = verify_gradient(both, {"n": 4})
    assert report.ok
    assert report.tensors == ("x", "v")


def test_symmetric_tensors_move_symmetrically() -> None:
    D = ta.Space("d", "d")
    f, g, h = D.indices("f g h")
    S, W = ta.tensor("S", D @ D, symmetric=True), ta.tensor("W", D @ D @ D, antisymmetric=(0, 2))
    x = ta.tensor("x", D)
    report = verify_gradient(compile(ta.define((f,), S[f, g] * S[g, h] * W[h, f, g] * x[h])), {"d": 4})
    assert report.ok, report
    assert report.tensors == ("S", "W", "x")


def test_facts_that_autograd_does_not_keep() -> None:
    D = ta.Space("d", "d")
    f, g = D.indices("f g")
    U, x = ta.tensor("U", D @ D, isometry=True), ta.tensor("x", D)
    operator = compile(ta.define((f,), U[f, g] * x[g]))
    assert verify_gradient(operator, {"d": 3}).tensors == ("x",)
    with pytest.raises(InvalidExpression, match="do not let them"):
        verify_gradient(operator, {"d": 3}, wrt="U")
    with pytest.raises(InvalidExpression, match="no derivative to compare"):
        verify_gradient(compile(ta.define((f, g), U[f, g])), {"d": 3})


WRONG = {
    "one path is cut": lambda op, *xs: op(*xs[:1], *(x.detach() for x in xs[1:])) + 0 * sum(x.sum() for x in xs[1:]),
    "a constant is off": lambda op, *xs: op(*xs) + (op(*xs) - op(*xs).detach()) * 2.0**-20,
    "one entry": lambda op, *xs: op(*xs) + (xs[0] - xs[0].detach()).flatten()[0],
    "not a number": lambda op, *xs: op(*xs) + (xs[0] - xs[0].detach()).sum() * math.nan,
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_gradient_of_a_right_value_is_caught(fault: str) -> None:
    operator = compile(ta.parse(FAMILY["softmax"], INDICES))
    right = operator._function
    operator._function = lambda *xs: WRONG[fault](right, *xs)
    if fault != "not a number":
        assert verify(operator, SIZES, "float64").ok
    report = verify_gradient(operator, SIZES)
    assert not report.ok
    assert not report
    assert math.isnan(report.error) == (fault == "not a number")


def test_bad_input() -> None:
    operator = operator_of("softmax")
    with pytest.raises(InvalidExpression, match="verify_gradient runs a compiled operator"):
        verify_gradient(definition_of("softmax"), SIZES)
    with pytest.raises(MissingSize, match="no size for dimension d"):
        verify_gradient(operator, {"n": 3, "e": 2})
    with pytest.raises(UnknownName, match="no error bounds for dtype 'float16'"):
        verify_gradient(operator, SIZES, "float16")
    with pytest.raises(UnknownName, match="there is no tensor 'W'"):
        verify_gradient(operator, SIZES, wrt="W")
    kink = compile(ta.parse("O[t] = relu(sum(s: lt[s,t]*x[s]))", {"t,s": "n ordered"}))
    with pytest.raises(EvaluationError):
        verify_gradient(kink, {"n": 3})
