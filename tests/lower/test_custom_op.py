"""Operators registered with torch as custom operators."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import InputMismatch, InvalidExpression, ShapeMismatch, UsageError
from tensoralg.lower.operator import Operator

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "e"}
TEXTS = {
    "attention": "O[t,e] = sum(s: exp(sum(f: Q[t,f]*K[s,f]))*V[s,e])/sum(u: exp(sum(f: Q[t,f]*K[u,f])))",
    "linear": "O[t,e] = c[]*Q[t,f]*K[s,f]*V[s,e]",
    "transposed": "O[f,t] = Q[t,f]",
    "itself": "O[t,f] = Q[t,f]",
    "powers": "O[t,f] = Q[t,f]*Q[t,f]*Q[t,f]",
    "total": "O[] = Q[t,f]*K[t,f]",
}
SEVERAL = (
    "W[t,s] = exp(sum(f: Q[t,f]*K[s,f]))",
    "Z[t] = sum(s,f: Q[t,f]*K[s,f])",
    "R[t,f] = K[t,f]",
    "T[t,f] = K[t,f]",
)


def parse(text: str) -> ta.Expr:
    return ta.parse(text, indices=INDICES)


@cache
def operators() -> dict[str, Operator]:
    """All operators, each registered once as ``tensoralg_test::name``."""
    made = {name: ta.compile(parse(text)) for name, text in TEXTS.items()}
    made["several"] = ta.compile([parse(text) for text in SEVERAL])
    made["one_of_several"] = ta.compile([parse(TEXTS["powers"])])
    made["weighted"] = ta.compile(
        parse("O[t,g] = Q[t,f]*W[f,g]"), parameters={"W": normal(3, 3).detach().to(torch.float64)}
    )
    stream = ta.stream(parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]"), along="n")
    made["stream"] = ta.compile(stream, form="chunked")
    for name, operator in made.items():
        ta.register(operator, f"tensoralg_test::{name}")
    return made


def registered(name: str) -> Callable[..., Any]:
    operators()
    return getattr(torch.ops.tensoralg_test, name)  # type: ignore[no-any-return]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def arguments(name: str, n: int = 5, batch: tuple[int, ...] = (), grad: bool = True) -> list[torch.Tensor]:
    sizes = {"n": n, "d": 3, "e": 4}
    return [
        normal(*(batch if tensor.legs else ()), *(sizes[str(leg.dimension)] for leg in tensor.legs), seed=seed)
        .requires_grad_(grad)
        for seed, tensor in enumerate(operators()[name].tensors)
    ]  # fmt: skip


def results(found: Any) -> tuple[torch.Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)


ALL = [*TEXTS, "several", "one_of_several", "weighted", "stream"]


@pytest.mark.parametrize("name", ALL)
def test_torch_finds_nothing_wrong(name: str) -> None:
    for batch in ((), (2,)):
        found = torch.library.opcheck(registered(name), tuple(arguments(name, batch=batch)))
        assert len(found) == 4
        assert set(found.values()) == {"SUCCESS"}
    torch.library.opcheck(registered(name), tuple(arguments(name, n=0)))


@pytest.mark.parametrize("name", ALL)
def test_values_and_gradients_are_the_operators(name: str) -> None:
    arrays = arguments(name, batch=(2,))
    found, wanted = results(registered(name)(*arrays)), results(operators()[name].value(arrays))
    slopes = [normal(*x.shape, seed=9) for x in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(
        torch.autograd.grad(found, arrays, slopes), torch.autograd.grad(wanted, arrays, slopes), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_sizes_that_follow_from_others() -> None:
    H, E = ta.Space("H", "h"), ta.Space("E", "e")
    (h,), (e,), (either,) = H.indices("a"), E.indices("b"), (H + E).indices("c")
    operator = ta.compile(ta.define((h, either), ta.tensor("x", H)[h] * ta.tensor("y", E)[e]))
    call = ta.register(operator, "tensoralg_test::sizes_that_follow")
    arrays = (normal(3).requires_grad_(), normal(4).requires_grad_())
    assert call(*arrays).shape == (3, 7)
    assert call(*(x.detach().to("meta") for x in arrays)).shape == (3, 7)
    torch.library.opcheck(call, arrays)


@pytest.mark.parametrize("name", ["linear", "several", "powers"])
def test_derivatives_against_differences(name: str) -> None:
    arrays = arguments(name, n=3)
    assert torch.autograd.gradcheck(registered(name), arrays)
    assert torch.autograd.gradgradcheck(registered(name), arrays)


def test_gradients_of_some_arguments_only() -> None:
    c, q, k, v = arguments("linear", grad=False)
    k.requires_grad_()
    registered("linear")(c, q, k, v).sum().backward()
    torch.testing.assert_close(k.grad, c * (v.sum(-1, keepdim=True) * q.sum(0)))
    assert q.grad is None


def test_results_share_no_memory() -> None:
    for name in ("transposed", "itself", "several"):
        arrays = arguments(name, grad=False)
        before = [x.clone() for x in arrays]
        for result in results(registered(name)(*arrays)):
            result.zero_()
        assert all(map(torch.equal, arrays, before))


@pytest.mark.parametrize("name", ["linear", "several", "stream"])
def test_one_compilation_serves_every_length(name: str) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    call = registered(name)

    def loss(*arrays: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.square().sum() for x in results(call(*arrays))]).sum()

    fast = torch.compile(loss, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (5, 9, 2):
        arrays = arguments(name, n=n)
        for one, other in zip(
            torch.autograd.grad(fast(*arrays), arrays), torch.autograd.grad(loss(*arrays), arrays), strict=True
        ):
            torch.testing.assert_close(one, other)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch._dynamo.reset()


@pytest.mark.parametrize("in_dims", [(0, 0, 0, 0), (None, 0, None, None), (0, None, 1, 2), (None, 3, None, 0)])
def test_vmap(in_dims: tuple[int | None, ...]) -> None:
    batch = (2, 1, 6)  # axes of c, of the others, and the one that is mapped over
    single = arguments("linear", batch=batch[1:2], grad=False)
    many = [torch.stack([x * (k + 1) for k in range(6)]) for x in single]
    given = [x if axis is None else m.movedim(0, axis) for x, m, axis in zip(single, many, in_dims, strict=True)]
    found = torch.vmap(registered("linear"), in_dims=in_dims)(*given)
    for k in range(6):
        one = [x if axis is None else m[k] for x, m, axis in zip(single, many, in_dims, strict=True)]
        torch.testing.assert_close(found[k], operators()["linear"](*one))


def test_vmap_with_batch_axes_that_broadcast() -> None:
    _, _, k, v = arguments("linear", batch=(7,), grad=False)
    c, q = normal(6), normal(6, 5, 3)
    found = torch.vmap(registered("linear"), in_dims=(0, 0, None, None))(c, q, k, v)
    torch.testing.assert_close(found, c[:, None, None, None] * (q[:, None] @ k.mT @ v))


def test_autocast_leaves_it_alone() -> None:
    arrays = [x.detach().float().requires_grad_() for x in arguments("attention")]
    with torch.autocast("cpu"):
        found = registered("attention")(*arrays)
        assert found.dtype == torch.float32
        with pytest.raises(InputMismatch):
            registered("attention")(arrays[0].bfloat16(), *arrays[1:])
    assert torch.equal(found, registered("attention")(*arrays))
    found.sum().backward()
    assert arrays[0].grad.dtype == torch.float32


def test_wrong_arguments_are_clear_errors() -> None:
    q, k, v = arguments("attention", grad=False)
    with pytest.raises(ShapeMismatch) as caught:
        registered("attention")(q, k, v[:4])
    assert caught.value.tensor == "V"
    with pytest.raises(InputMismatch):
        registered("attention")(q, k.float(), v)
    with pytest.raises(ShapeMismatch):
        registered("attention")(q.to("meta"), k.to("meta"), v[:4].to("meta"))


@pytest.mark.parametrize(
    "name", ["plain", "a::b::c", "::x", "a::", "a::1", "a b::c", "a::b.c", "α::b", "", "a::b\n", 3, "aten::mine"]
)
def test_bad_names(name: Any) -> None:
    with pytest.raises(UsageError) as caught:
        ta.register(operators()["linear"], name)
    assert caught.value.remedy


def test_a_name_is_registered_once() -> None:
    with pytest.raises(UsageError, match="already"):
        ta.register(operators()["attention"], "tensoralg_test::linear_backward")
    with pytest.raises(UsageError, match="already"):
        ta.register(operators()["attention"], "tensoralg_test::linear")
    c, *rest = arguments("linear", grad=False)
    torch.testing.assert_close(registered("linear")(c, *rest), operators()["linear"](c, *rest))


def test_what_cannot_be_registered() -> None:
    with pytest.raises(UsageError):
        ta.register(parse(TEXTS["linear"]), "tensoralg_test::expression")  # type: ignore[arg-type]
    counted = ta.compile(parse("O[t] = sum(s: le[s,t])"), sizes={"n": 4})
    with pytest.raises(InvalidExpression):
        ta.register(counted, "tensoralg_test::counted")
