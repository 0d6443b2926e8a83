"""Operators as torch modules: calling, batch axes, parameters, autograd, transforms, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import tensoralg as ta
from tensoralg.errors import (
    InputMismatch,
    InvalidExpression,
    InvalidSize,
    MissingSize,
    ShapeMismatch,
    UnknownName,
    UnknownSize,
    UsageError,
)
from tensoralg.lower import compile, count, custom_mapping

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "e"}
CAUSAL = ta.parse(
    "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]/sum(u: le[u,t]*exp(sum(g: Q[t,g]*K[u,g])/sqrt(d)))",
    indices=INDICES,
)
LINEAR = ta.parse("O[t,e] = c[]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)


def normal(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed + sum(shape)))


def peer(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_called_by_name_or_in_order(dtype: torch.dtype) -> None:
    operator = compile(CAUSAL)
    q, k, v = normal(5, 3, dtype=dtype), normal(5, 3, dtype=dtype, seed=1), normal(5, 4, dtype=dtype)
    assert operator.inputs == ("Q", "K", "V")
    by_order, by_name = operator(q, k, v), operator(V=v, K=k, Q=q)
    assert torch.equal(by_order, by_name)
    assert torch.equal(operator(q, V=v, K=k), by_order)
    assert by_order.dtype == dtype
    torch.testing.assert_close(by_order, peer(q, k, v))


def test_leading_batch_axes_broadcast_and_may_be_lacking() -> None:
    operator = compile(CAUSAL)
    q, k, v = normal(2, 3, 5, 3), normal(3, 5, 3), normal(5, 4)
    result = operator(q, k, v)
    assert result.shape == (2, 3, 5, 4)
    for a in range(2):
        for b in range(3):
            torch.testing.assert_close(result[a, b], operator(q[a, b], k[b], v))
    linear = compile(LINEAR)
    scale = normal(2, 1)
    batched = linear(scale, q, k, v)
    torch.testing.assert_close(batched[1, 2], linear(scale[1, 0], q[1, 2], k[2], v))


def test_scalars_are_numbers_or_tensors_without_axes() -> None:
    operator = compile(LINEAR)
    arrays = {"Q": normal(5, 3), "K": normal(5, 3), "V": normal(5, 4)}
    assert torch.equal(operator(c=2, **arrays), operator(c=torch.tensor(2.0, dtype=torch.float64), **arrays))


@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_single_axes(n: int) -> None:
    assert compile(CAUSAL)(normal(n, 3), normal(n, 3), normal(n, 4)).shape == (n, 4)
    assert compile(LINEAR)(1.0, normal(n, 3), normal(n, 3), normal(n, 4)).shape == (n, 4)
    mean = compile(ta.parse("O[f] = sum(s: K[s,f])/n", indices=INDICES))
    assert mean(normal(n, 3)).shape == (3,)
    assert compile(CAUSAL)(normal(0, 2, 3), normal(2, 3), normal(2, 4)).shape == (0, 2, 4)


def test_all_regimes_compute_the_same() -> None:
    operator = compile(LINEAR)
    assert len(operator.programs) > 1
    for n, d in ((2, 9), (9, 2), (4, 4)):
        q, k, v = normal(n, d), normal(n, d, seed=3), normal(n, d, seed=4)
        torch.testing.assert_close(operator(1.5, q, k, v), 1.5 * q @ k.T @ v)


def test_gradients() -> None:
    q, k, v = (normal(4, 3, seed=s).requires_grad_() for s in range(3))
    assert torch.autograd.gradcheck(compile(CAUSAL), (q, k, v))
    c = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(compile(LINEAR), (c, q, k, v))


def test_vmap_and_grad_transforms() -> None:
    operator = compile(CAUSAL)
    q, k, v = normal(6, 4, 3), normal(6, 4, 3, seed=1), normal(6, 4, 3, seed=2)
    torch.testing.assert_close(torch.vmap(operator)(q, k, v), operator(q, k, v))
    slope = torch.func.grad(lambda x: operator(x, k[0], v[0]).sum())(q[0])
    assert slope.shape == q[0].shape


def test_torch_compile_has_no_graph_breaks_and_serves_every_size() -> None:
    operator = compile(LINEAR)
    fast = torch.compile(operator, fullgraph=True, dynamic=True, backend="eager")
    for n, d in ((5, 3), (7, 3), (3, 8)):
        q, k, v = normal(n, d), normal(n, d, seed=1), normal(n, d, seed=2)
        c = torch.tensor(2.0, dtype=torch.float64)
        torch.testing.assert_close(fast(c, q, k, v), operator(c, q, k, v))


def test_the_source_runs_without_the_library() -> None:
    namespace: dict[str, Any] = {}
    source = compile(CAUSAL).source
    assert "tensoralg" not in source
    exec(source, namespace)
    q, k, v = normal(5, 3), normal(5, 3, seed=1), normal(5, 4)
    torch.testing.assert_close(namespace["operator"](q, k, v), peer(q, k, v))


def test_parameters() -> None:
    definition = ta.parse("O[t,e] = X[t,f]*W[f,e]", indices=INDICES)
    operator = compile(definition, parameters={"W": [[1.0, 2.0], [3.0, 4.0]]})
    assert operator.inputs == ("X",)
    assert list(operator.state_dict()) == ["W"]
    x = normal(3, 2, dtype=torch.float32)
    torch.testing.assert_close(operator(x), x @ operator.W)
    operator(x).sum().backward()
    assert operator.W.grad is not None
    other = compile(definition, parameters={"W": torch.zeros(2, 2)})
    other.load_state_dict(operator.state_dict())
    assert torch.equal(other(X=x), operator(X=x))
    assert operator.double()(x.double()).dtype == torch.float64
    with pytest.raises(UnknownName) as unknown:
        compile(definition, parameters={"Wq": [[1.0]]})
    assert unknown.value.name == "Wq"
    with pytest.raises(ShapeMismatch):
        compile(definition, parameters={"W": [1.0]})


def test_copies_and_pickles() -> None:
    operator = compile(CAUSAL)
    q, k, v = normal(5, 3), normal(5, 3, seed=1), normal(5, 4)
    for twin in (copy.deepcopy(operator), pickle.loads(pickle.dumps(operator))):
        assert torch.equal(twin(q, k, v), operator(q, k, v))


def test_fixed_sizes() -> None:
    operator = compile(CAUSAL, sizes={"d": 3})
    assert operator(normal(5, 3), normal(5, 3), normal(5, 4)).shape == (5, 4)
    with pytest.raises(ShapeMismatch):
        operator(normal(5, 2), normal(5, 2), normal(5, 4))
    prefix = ta.parse("O[t] = sum(s: le[s,t])", indices=INDICES)
    with pytest.raises(MissingSize) as missing:
        compile(prefix)
    assert missing.value.name == "n"
    assert compile(prefix, sizes={"n": 4})().tolist() == [1, 2, 3, 4]
    with pytest.raises(UnknownSize):
        compile(CAUSAL, sizes={"k": 3})
    with pytest.raises(InvalidSize):
        compile(CAUSAL, sizes={"d": 0})


Q, K, V = normal(5, 3), normal(5, 3), normal(5, 4)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "facts"),
    [
        ((Q, K), {}, UnknownName, {"name": "V"}),
        ((Q, K, V, V), {}, UnknownName, {}),
        ((Q, K), {"v": V}, UnknownName, {"name": "v"}),
        ((Q, K, V), {"V": V}, UnknownName, {"name": "V"}),
        ((Q, K.float(), V), {}, InputMismatch, {"tensor": "K"}),
        ((Q, K, V.to("meta")), {}, InputMismatch, {"tensor": "V"}),
        ((Q.long(), K.long(), V.long()), {}, InputMismatch, {"tensor": "Q"}),
        ((Q, K, 3.0), {}, InputMismatch, {"tensor": "V"}),
        ((Q, K, [[1.0]]), {}, InputMismatch, {"tensor": "V"}),
        ((Q, K, V[0]), {}, ShapeMismatch, {"tensor": "V"}),
        ((Q, K[:, :2], V), {}, ShapeMismatch, {"tensor": "K"}),
        ((Q, K, V[:4]), {}, ShapeMismatch, {"tensor": "V"}),
    ],
)
def test_wrong_calls_are_clear_errors(args: Any, kwargs: Any, error: type, facts: dict[str, str]) -> None:
    with pytest.raises(error) as caught:
        compile(CAUSAL)(*args, **kwargs)
    assert {name: getattr(caught.value, name) for name in facts} == facts
    assert caught.value.remedy


def test_what_cannot_be_compiled() -> None:
    with pytest.raises(UsageError):
        compile(CAUSAL, form="chunked")
    assert compile(CAUSAL, form="parallel").inputs == ("Q", "K", "V")
    with pytest.raises(InvalidExpression):
        compile("O[t] = x[t]")  # type: ignore[arg-type]
    with pytest.raises(InvalidExpression):
        compile([])
    T = ta.Space("T", "n")
    (t,) = T.indices("t")
    with pytest.raises(InvalidExpression):
        compile(ta.tensor("torch", T)[t] * 2)


def test_names_that_mean_something_else() -> None:
    definition = ta.parse("O[t] = n[t,s]*x[s]/n", indices={"t,s": "n"})
    a, b = normal(4, 4), normal(4)
    torch.testing.assert_close(compile(definition)(n=a, x=b), a @ b / 4)


def test_flop_counter_agrees_with_count_and_plan() -> None:
    operator = compile(CAUSAL)
    arrays = [normal(6, 3), normal(6, 3, seed=1), normal(6, 4)]
    with FlopCounterMode(display=False, custom_mapping=custom_mapping()) as counter:
        operator(*arrays)
    planned = operator.plan.at(n=6, d=3, e=4)
    assert counter.get_total_flops() == planned.flops == count(lambda: operator(*arrays)).flops
    assert count(lambda: operator(*arrays)).pointwise == planned.pointwise


def test_ops_scored_zero_have_rules_and_others_are_refused() -> None:
    x, y = normal(4, 3), normal(3)
    for call, flops in ((lambda: x @ y, 24), (lambda: y @ y, 6), (lambda: x * x, 12), (lambda: x.sum(0), 12)):
        with FlopCounterMode(display=False, custom_mapping=custom_mapping()) as counter:
            call()
        assert counter.get_total_flops() == flops == count(call).flops
    q = normal(1, 2, 5, 3)
    with FlopCounterMode(display=False, custom_mapping=custom_mapping()) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == 4 * 2 * 5 * 5 * 3 + 2 * 5 * 5
    with pytest.raises(UnknownName) as caught:
        count(lambda: torch.linalg.inv(x @ x.T))
    assert caught.value.name
