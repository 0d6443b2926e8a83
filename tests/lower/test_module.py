"""Operators inside training code: parameters, autocast, compilers, transforms, odd inputs, repeated calls."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

import tensoralg as ta
from tensoralg.errors import InputMismatch, ShapeMismatch
from tensoralg.lower import operator as operator_room
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.operator import Operator

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "e"}
TEXTS = {
    "attention": "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]"
    "/sum(u: le[u,t]*exp(sum(f: Q[t,f]*K[u,f])/sqrt(d)))",
    "linear": "O[t,e] = c[]*Q[t,f]*K[s,f]*V[s,e]",
    "matrix": "O[t,s] = Q[t,f]*K[s,f]",
    "projected": "O[t,e] = Q[t,f]*W[f,g]*K[s,g]*V[s,e]",
}


@cache
def compiled(name: str) -> Operator:
    return ta.compile(ta.parse(TEXTS[name], indices=INDICES))


def with_weight(seed: int = 0) -> Operator:
    return ta.compile(ta.parse(TEXTS["projected"], indices=INDICES), parameters={"W": normal(3, 3, seed=seed).float()})


def normal(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def qkv(n: int = 5, d: int = 3, e: int = 4, batch: tuple[int, ...] = (), **like: Any) -> list[torch.Tensor]:
    return [normal(*batch, n, size, seed=seed, **like) for seed, size in enumerate((d, d, e))]


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The oracle: causal softmax attention, written out."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    later = torch.ones(q.shape[-2], k.shape[-2]).triu(1).bool()
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ v


# parameters


def test_parameters_are_trained() -> None:
    op, (x, k, v) = with_weight(), qkv(dtype=torch.float32)
    wanted = x @ normal(3, 3, seed=9).float() @ k.mT @ v
    optimizer = torch.optim.Adam(op.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (op(x, k, v) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20


def test_the_gradient_of_a_parameter_is_right() -> None:
    op, (x, k, v) = with_weight().double(), qkv()
    op(x, k, v).sum().backward()
    ones = torch.ones(5, 4, dtype=torch.float64)
    torch.testing.assert_close(op.W.grad, x.mT @ ones @ v.mT @ k)


def test_state_dict_into_a_freshly_compiled_operator() -> None:
    op, other, arrays = with_weight(), with_weight(seed=1), qkv(dtype=torch.float32)
    assert list(op.state_dict()) == ["W"]
    assert not torch.equal(op(*arrays), other(*arrays))
    other.load_state_dict(pickle.loads(pickle.dumps(op.state_dict())))
    assert torch.equal(op(*arrays), other(*arrays))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**op.state_dict(), "V": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict({"W": torch.zeros(2, 2)})
    assert torch.equal(op(*arrays), other(*arrays))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_to_another_dtype(dtype: torch.dtype) -> None:
    op, arrays = with_weight().to(dtype), qkv(dtype=dtype)
    assert op.W.dtype == op(*arrays).dtype == dtype
    with pytest.raises(InputMismatch):
        op(*(x.float() for x in arrays))


def test_half_and_to_a_device() -> None:
    assert with_weight().half().W.dtype == torch.float16
    op = with_weight().to("meta")
    result = op(*(x.to("meta") for x in qkv(dtype=torch.float32)))
    assert result.device.type == "meta"
    assert result.shape == (5, 4)
    with pytest.raises(InputMismatch) as caught:
        op(*qkv(dtype=torch.float32))
    assert caught.value.remedy


def test_copies_have_parameters_of_their_own() -> None:
    op, arrays = with_weight(), qkv(dtype=torch.float32)
    before = op(*arrays)
    for twin in (copy.deepcopy(op), pickle.loads(pickle.dumps(op))):
        assert torch.equal(twin(*arrays), before)
        with torch.no_grad():
            twin.W.zero_()
        assert not twin(*arrays).any()
        assert torch.equal(op(*arrays), before)


def test_parameters_of_a_class_of_their_own_and_inputs_that_are_parameters() -> None:
    class Special(torch.nn.Parameter):
        pass

    op, (q, k, v) = with_weight().double(), qkv()
    before = op(q, k, v)
    op.W = Special(op.W.detach())
    assert torch.equal(op(q, k, v), before)
    assert torch.equal(op(torch.nn.Parameter(q), k, v), before)


def test_an_operator_inside_a_model_moves_with_it() -> None:
    model = torch.nn.ModuleDict({"mixing": with_weight(), "head": torch.nn.Linear(4, 2)}).double()
    assert set(model.state_dict()) == {"mixing.W", "head.weight", "head.bias"}
    model["head"](model["mixing"](*qkv())).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# dtypes and devices


def rounded(roundings: int, *arrays: torch.Tensor) -> torch.Tensor:
    """What so many roundings to bfloat16 (and sums in float32 between them) may do to c Q K^T V."""
    q, k, v = (x.abs() for x in arrays)
    return ((1 + 2.0**-8) ** roundings * (1 + 2.0**-20) - 1) * (q @ k.mT @ v)


@pytest.mark.parametrize("mixed", [False, True])
def test_autocast(mixed: bool) -> None:
    op, arrays = compiled("linear"), [x.float() for x in qkv()]
    exact = arrays[0].double() @ arrays[1].double().mT @ arrays[2].double()
    given = [arrays[0].bfloat16(), *arrays[1:]] if mixed else arrays
    one = torch.ones(())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(2):
            result = op(one, *given)
    assert result.dtype == (torch.ones(1, 1).bfloat16() @ torch.ones(1, 1).bfloat16()).dtype
    assert ((result.double() - exact).abs() <= rounded(7, *(x.double() for x in arrays))).all()
    if mixed:  # what autocast accepted is refused without it
        with pytest.raises(InputMismatch):
            op(one, *given)


def test_autocast_never_converts_float64() -> None:
    q, k, v = qkv()
    with torch.autocast("cpu"):
        assert compiled("attention")(q, k, v).dtype == torch.float64
        with pytest.raises(InputMismatch):
            compiled("attention")(q, k, v.float())


def test_autocast_trains_parameters_in_their_dtype() -> None:
    op, arrays = with_weight(), qkv(dtype=torch.bfloat16)
    with torch.autocast("cpu"):
        result = op(*arrays)
    result.float().sum().backward()
    assert result.dtype == torch.bfloat16
    assert op.W.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_dtypes_are_refused(dtype: torch.dtype) -> None:
    arrays = [x.to(dtype) for x in qkv()]
    for _ in range(2):
        with pytest.raises(InputMismatch) as caught:
            compiled("attention")(*arrays)
    assert str(dtype) in str(caught.value)
    assert "floating" in caught.value.remedy


def test_meta_tensors_and_fake_tensors_have_shapes() -> None:
    for name in ("attention", "linear"):
        extra = [torch.ones((), dtype=torch.float64)] * (name == "linear")
        found = compiled(name)(*(x.to("meta") for x in (*extra, *qkv(batch=(2,)))))
        assert (found.shape, found.dtype, found.device.type) == ((2, 5, 4), torch.float64, "meta")
        with FakeTensorMode() as mode:
            fakes = [mode.from_tensor(x) for x in (*extra, *qkv(batch=(2,)))]
            assert compiled(name)(*fakes).shape == (2, 5, 4)


@pytest.mark.parametrize("name", ["attention", "matrix"])
def test_symbolic_sizes_are_traced(name: str) -> None:
    op = compiled(name)
    arrays = qkv()[: len(op.inputs)]
    graph = make_fx(op, tracing_mode="symbolic")(*arrays)
    others = qkv(7, 3, 2)[: len(op.inputs)]
    torch.testing.assert_close(graph(*others), op(*others))


# calls that repeat


def test_a_signature_that_passed_does_not_let_others_pass() -> None:
    op, (q, k, v) = ta.compile(ta.parse(TEXTS["attention"], indices=INDICES)), qkv()
    for _ in range(2):
        torch.testing.assert_close(op(q, k, v), attention(q, k, v))
        for bad, error in [
            ((q, k, v[:4]), ShapeMismatch),
            ((q, k, v.float()), InputMismatch),
            ((q, k, v.to("meta")), InputMismatch),
            ((q[None].expand(2, 5, 3), k[None].expand(3, 5, 3), v), ShapeMismatch),
        ]:
            with pytest.raises(error):
                op(*bad)


def test_no_more_than_so_many_signatures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_room, "MOST_SIGNATURES", 3)
    op = ta.compile(ta.parse(TEXTS["matrix"], indices=INDICES))
    for n in range(1, 10):
        q, k, _ = qkv(n)
        torch.testing.assert_close(op(q, k), q @ k.mT)
        assert 0 < len(op._passed) <= 3


def test_threads_share_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_room, "MOST_SIGNATURES", 4)
    op = ta.compile(ta.parse(TEXTS["matrix"], indices=INDICES))

    def call(k: int) -> bool:
        q, keys, _ = qkv(1 + k % 11)
        return torch.equal(op(q, keys), q @ keys.mT)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(400)))


# compilers


@pytest.fixture
def graphs() -> Iterator[Any]:
    """How many graphs were compiled."""
    torch._dynamo.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch._dynamo.reset()
    counters.clear()


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("name", ["attention", "matrix"])
def test_one_compilation_serves_every_size(name: str, by_name: bool, graphs: Any) -> None:
    """Of attention, every number of tokens: the scale, a function of the width, is a constant of torch's kernel."""
    op = compiled(name)
    fast = torch.compile(op, fullgraph=True, dynamic=True, backend="aot_eager")
    widths = ((3, 4),) * 4 if name == "attention" else ((3, 4), (3, 4), (8, 3), (2, 5))
    for n, (d, e) in zip((5, 9, 2, 33), widths, strict=True):
        arrays = qkv(n, d, e)[: len(op.inputs)]
        found = fast(**dict(zip(op.inputs, arrays, strict=True))) if by_name else fast(*arrays)
        torch.testing.assert_close(found, op(*arrays))
    assert graphs() == 1


def test_one_compilation_serves_every_length_that_is_marked_dynamic(graphs: Any) -> None:
    op = compiled("attention")
    fast = torch.compile(op, fullgraph=True, backend="eager")
    for n in (5, 64, 6, 2):
        arrays = qkv(n)
        for x in arrays:
            torch._dynamo.mark_dynamic(x, 0)
        torch.testing.assert_close(fast(*arrays), attention(*arrays))
    assert graphs() == 1


def test_a_compilation_for_each_program_that_was_chosen(graphs: Any) -> None:
    op = compiled("linear")
    fast = torch.compile(op, fullgraph=True, dynamic=True, backend="eager")
    one = torch.ones((), dtype=torch.float64)
    chosen = set()
    for n, d, e in ((5, 3, 3), (9, 3, 3), (50, 3, 3), (3, 9, 9), (4, 9, 9), (3, 50, 60)):
        arrays = qkv(n, d, e)
        sizes = {"n": n, "d": d, "e": e}
        prices = [cost.subs({s: sizes[s.name] for s in cost.free_symbols}) for cost in op.costs]
        chosen.add(prices.index(min(prices)))
        torch.testing.assert_close(fast(one, *arrays), arrays[0] @ arrays[1].mT @ arrays[2])
    assert 1 < graphs() == len(chosen)


def test_compiled_with_parameters_and_gradients(graphs: Any) -> None:
    op = with_weight().double()
    fast = torch.compile(op, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (7, 9):
        x, k, v = (a.requires_grad_() for a in qkv(n))
        wanted = torch.autograd.grad(op(x, k, v).square().sum(), (x, k, v, op.W))
        found = torch.autograd.grad(fast(x, k, v).square().sum(), (x, k, v, op.W))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other)
    assert graphs() == 1


def test_compiled_under_autocast(graphs: Any) -> None:
    op, arrays = compiled("attention"), qkv(dtype=torch.float32)
    fast = torch.compile(op, fullgraph=True, backend="eager")
    with torch.autocast("cpu"):
        assert torch.equal(fast(arrays[0].bfloat16(), *arrays[1:]), op(arrays[0].bfloat16(), *arrays[1:]))


def test_what_is_wrong_is_said_under_a_compiler_too(graphs: Any) -> None:
    q, k, v = qkv()
    with pytest.raises(ShapeMismatch):
        torch.compile(compiled("attention"), backend="eager")(q, k, v[:4])


# transforms


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0), (2, 1, None), 1])
def test_vmap_over_any_inputs(in_dims: Any) -> None:
    dims = in_dims if isinstance(in_dims, tuple) else (in_dims,) * 3
    stacked = qkv(batch=(6,))
    given = [x[0] if d is None else x.movedim(0, d) for x, d in zip(stacked, dims, strict=True)]
    found = vmap(compiled("attention"), in_dims=in_dims, out_dims=1)(*given)
    for k in range(6):
        one = [x[0] if d is None else x[k] for x, d in zip(stacked, dims, strict=True)]
        torch.testing.assert_close(found[:, k], attention(*one))


def test_vmap_over_scalars_batches_and_itself() -> None:
    q, k, v = qkv(batch=(2,))
    scales = normal(6)
    torch.testing.assert_close(
        vmap(compiled("linear"), in_dims=(0, None, None, None))(scales, q, k, v),
        scales[:, None, None, None] * (q @ k.mT @ v),
    )
    many = qkv(batch=(2, 3))
    torch.testing.assert_close(vmap(vmap(compiled("attention")))(*many), attention(*many))


def test_derivatives() -> None:
    op, arrays = compiled("attention"), qkv()
    tangents = [normal(*x.shape, seed=7) for x in arrays]
    forward = [jvp(function, tuple(arrays), tuple(tangents)) for function in (op, attention)]
    for one, other in zip(*forward, strict=True):
        torch.testing.assert_close(one, other)
    for k in range(3):
        torch.testing.assert_close(jacrev(op, argnums=k)(*arrays), jacrev(attention, argnums=k)(*arrays))
        torch.testing.assert_close(jacfwd(op, argnums=k)(*arrays), jacrev(attention, argnums=k)(*arrays))
    each = vmap(grad(lambda *xs: op(*xs).sum(), argnums=(0, 1, 2)))(*qkv(batch=(2,)))
    whole = grad(lambda *xs: attention(*xs).sum(), argnums=(0, 1, 2))(*qkv(batch=(2,)))
    for one, other in zip(each, whole, strict=True):
        torch.testing.assert_close(one, other)


def test_second_derivatives() -> None:
    """Torch's fast kernel of attention has none, its plain one has."""
    arrays = [x.requires_grad_() for x in qkv(3, 2, 2)]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(compiled("attention"), arrays)
    apart = compile_definitions([ta.parse(TEXTS["attention"], indices=INDICES)], single=True, passes=())
    assert torch.autograd.gradgradcheck(apart, arrays)


def kept(call: Any) -> int:
    """How many elements autograd keeps for the backward pass, each array once."""
    arrays: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        arrays[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes() // x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = call()
    del out
    return sum(arrays.values())


@pytest.mark.parametrize("name", ["linear", "stream"])
def test_recomputing_keeps_less_and_gives_the_same_gradients(name: str) -> None:
    n, d = 700, 2
    indices = {"t,s": "n ordered", "f": "d", "e": "d"}
    expr = ta.parse("O[t,e] = exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]", indices=indices)
    if name == "stream":
        expr = ta.stream(ta.parse("O[t,e] = sum(s,f: le[s,t]*exp(Q[t,f])*exp(K[s,f])*V[s,e])", indices=indices))
    plain, again = ta.compile(expr), ta.compile(expr, recompute=True)
    arrays = [x.requires_grad_() for x in qkv(n, d, d)]
    found = [torch.autograd.grad(op(*arrays).square().sum(), arrays) for op in (plain, again)]
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    inputs = 3 * n * d
    assert kept(lambda: again(*arrays)) <= inputs + (n if name == "stream" else 0) < kept(lambda: plain(*arrays))


def test_functional_call() -> None:
    op, (x, k, v) = with_weight().double(), qkv()
    weights = normal(5, 3, 3)
    found = vmap(lambda w: functional_call(op, {"W": w}, (x, k, v)))(weights)
    torch.testing.assert_close(found, x @ weights @ k.mT @ v)
    slope = grad(lambda w: functional_call(op, {"W": w}, (x, k, v)).sum())(weights[0])
    torch.testing.assert_close(slope, x.mT @ torch.ones(5, 4, dtype=torch.float64) @ v.mT @ k)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant: bool) -> None:
    op, arrays = with_weight().double(), [x.requires_grad_() for x in qkv()]
    found = torch.autograd.grad(op(*arrays).square().sum(), [*arrays, op.W])
    checkpoint(op, *arrays, use_reentrant=reentrant).square().sum().backward()
    for x, wanted in zip([*arrays, op.W], found, strict=True):
        assert torch.equal(x.grad, wanted)


def test_deterministic() -> None:
    def run() -> list[torch.Tensor]:
        arrays = [x.requires_grad_() for x in qkv(33, 8, 8, batch=(3,))]
        result = compiled("attention")(*arrays)
        return [result, *torch.autograd.grad(result.square().sum(), arrays)]

    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        first = run()
        for _ in range(3):
            assert all(map(torch.equal, first, run()))
    finally:
        torch.use_deterministic_algorithms(before)


# inputs of odd layouts and sizes


def test_views_give_what_copies_give() -> None:
    q, k, v = qkv(batch=(3,))
    for name, extra in (("attention", []), ("linear", [normal()])):
        op = compiled(name)
        views = [
            q.mT.contiguous().mT,
            torch.cat([k, k], -1)[..., ::2],
            v[:1].expand(3, 5, 4),
        ]
        copies = [x.contiguous().clone() for x in views]
        assert not any(x.is_contiguous() for x in views)
        torch.testing.assert_close(op(*extra, *views), op(*extra, *copies))


def test_gradients_of_an_expanded_input_are_summed() -> None:
    q, k, v = qkv()
    v.requires_grad_()
    compiled("attention")(q.expand(3, 5, 3), k, v.expand(3, 5, 4)).sum().backward()
    (one,) = torch.autograd.grad(compiled("attention")(q, k, v).sum(), v)
    torch.testing.assert_close(v.grad, 3 * one)


def test_what_autograd_cannot_change_is_an_error() -> None:
    q, k, v = qkv()
    with pytest.raises(RuntimeError, match="floating point"):
        q.long().requires_grad_()
    with torch.inference_mode():
        assert not compiled("attention")(q.requires_grad_(), k, v).requires_grad


@pytest.mark.parametrize("name", ["attention", "linear"])
@pytest.mark.parametrize(("n", "d", "e", "batch"), [(5, 3, 4, (0,)), (0, 3, 4, ()), (1, 1, 1, (2, 0)), (5, 3, 0, ())])
def test_nothing_at_all(name: str, n: int, d: int, e: int, batch: tuple[int, ...]) -> None:
    arrays = [x.requires_grad_() for x in qkv(n, d, e, batch)]
    extra = [torch.ones((), dtype=torch.float64)] * (name == "linear")
    result = compiled(name)(*extra, *arrays)
    assert result.shape == (*batch, n, e)
    for x, slope in zip(arrays, torch.autograd.grad(result.sum(), arrays, allow_unused=True), strict=True):
        assert slope is None or slope.shape == x.shape


def test_one_token() -> None:
    q, k, v = qkv(1)
    torch.testing.assert_close(compiled("attention")(q, k, v), v)


def test_the_emitted_choice_is_a_function_of_sizes_alone() -> None:
    one = torch.ones((), dtype=torch.float64)
    for n, d, e in ((2, 9, 9), (9, 2, 2), (9, 2, 9), (1, 1, 1), (0, 3, 3)):
        q, k, v = qkv(n, d, e)
        torch.testing.assert_close(compiled("linear")(one, q, k, v), q @ k.mT @ v)


# what cannot be a parameter


@pytest.mark.parametrize(
    ("sizes", "given", "error"),
    [
        (None, {"W": torch.ones(3, 2)}, ShapeMismatch),
        ({"d": 2}, {"W": torch.ones(3, 3)}, ShapeMismatch),
        (None, {"W": torch.ones(3)}, ShapeMismatch),
        (None, {"W": torch.ones(3, 3), "K": torch.ones(5, 4)}, ShapeMismatch),
        (None, {"W": torch.ones(3, 3), "K": torch.ones(5, 3).double()}, InputMismatch),
        (None, {"W": torch.ones(3, 3) * 1j}, InputMismatch),
        (None, {"W": "ones"}, InputMismatch),
        (None, {"W": [[1, 2], [3]]}, InputMismatch),
    ],
)
def test_parameters_that_do_not_fit_are_refused(sizes: Any, given: Any, error: type[Exception]) -> None:
    expr = ta.parse("O[t,s] = X[t,f]*W[f,g]*K[s,g]", indices={"t,s": "n", "f,g": "d"})
    with pytest.raises(error):
        ta.compile(expr, sizes, parameters=given)


def test_parameters_keep_the_dtype_of_arrays_of_floats() -> None:
    expr = ta.parse("O[t] = W[t,s]*x[s]", indices={"t,s": "n"})
    values = {np.float64: torch.float64, np.float32: torch.float32, np.int64: torch.float32}
    for kind, wanted in values.items():
        assert ta.compile(expr, parameters={"W": np.eye(2, dtype=kind)}).W.dtype == wanted
    assert ta.compile(expr, parameters={"W": [[1, 2], [3, 4]]}).W.dtype == torch.float32
