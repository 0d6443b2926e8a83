"""Softmax attention as one operation: spellings, masks, layouts, transforms, costs, errors, source."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from lower.attention_cases import NEAR_MISSES, SIZES, SPELLINGS, fused_heads, parsed
from torch.utils._python_dispatch import TorchDispatchMode

import tensoralg as ta
from tensoralg.errors import ValidationFailed
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import Operator, compile, count, track, verify
from tensoralg.lower.arithmetic import arithmetic
from tensoralg.lower.bounds import error_bound
from tensoralg.lower.build import compile_definitions, spaces_of, tensors_of
from tensoralg.lower.operator import load
from tensoralg.lower.program import Attention
from tensoralg.lower.readback import read_source
from tensoralg.lower.validate import prove_equal, validate, with_parts

FULL = parsed("O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]")
WEIGHT = "{0}*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d){1})"
MASKED = f"O[t,e] = sum(s: {WEIGHT}*V[s,e])/sum(s: {WEIGHT})"
CAUSAL, STRICT = parsed(MASKED.format("le[s,t]", "")), parsed(MASKED.format("lt[s,t]", ""))
BIASED = parsed(MASKED.format("near[s,t,2]", " + B[t,s]"))
HEADS = parsed("O[t,h,e] = softmax(s: sum(f: Q[t,h,f]*K[s,h,f])/sqrt(d))*V[s,h,e]")
FLASH = "_scaled_dot_product_flash_attention_for_cpu"


def fused(operator: Operator) -> bool:
    return "attend(" in operator.source and "torch.softmax" not in operator.source


def sizes_of(definition: Any) -> dict[str, int]:
    return {name: SIZES[name] for name in all_dimensions(definition)}


def normal(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed + sum(shape)))


def by_hand(q: Any, k: Any, v: Any, mask: Any = None, bias: Any = 0.0) -> torch.Tensor:
    scores = q @ k.mT / math.sqrt(q.shape[-1]) + bias
    weights = torch.exp(scores - scores.amax(-1, keepdim=True)) * (1 if mask is None else mask.to(scores.dtype))
    return weights / weights.sum(-1, keepdim=True) @ v


class Names(TorchDispatchMode):
    """Notes the operations that are dispatched."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


# spellings


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_is_one_operation(name: str) -> None:
    definition = parsed(SPELLINGS[name])
    operator = compile(definition)
    assert fused(operator), operator.source
    assert operator.passes == ("attention",)
    for dtype in ("float64", "float32", "bfloat16"):
        report = verify(operator, sizes_of(definition), dtype)
        assert report.ok, (dtype, report)


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_none(name: str) -> None:
    definition = parsed(NEAR_MISSES[name])
    operator = compile(definition)
    assert "attend(" not in operator.source, operator.source
    assert (operator.passes, operator.dropped) == ((), {})
    assert verify(operator, sizes_of(definition), "float64").ok


@pytest.mark.parametrize("name", ["heads first", "heads last"])
def test_fused_heads_are_split(name: str) -> None:
    operator = compile(fused_heads()[name], sizes={"d": 3, "h": 2})
    assert fused(operator)
    assert verify(operator, {"n": 4}, "float64").ok


def test_weights_that_are_a_result_are_not_recomputed() -> None:
    weights = parsed("P[t,s] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))")
    operator = compile([FULL, weights])
    assert "attend(" not in operator.source
    assert verify(operator, {"n": 5, "d": 3}, "float64").ok


def test_several_results_are_several_operations() -> None:
    other = parsed("M[e] = V[s,e]/n")
    crossed = parsed("C[t,e] = softmax(r: sum(f: Q[t,f]*L[r,f])/sqrt(d))*W[r,e]")
    operator = compile([FULL, other, crossed])
    assert operator.source.split("def operator")[1].count("attend(") == 2
    assert verify(operator, {"n": 5, "d": 3, "m": 4}, "float64").ok


def test_large_scores_do_not_overflow() -> None:
    operator = compile(parsed("O[t,e] = softmax(s: 100*sum(f: Q[t,f]*K[s,f]))*V[s,e]"))
    assert fused(operator)
    assert verify(operator, {"n": 9, "d": 3}).ok
    q = torch.full((2, 2), 30.0)
    assert torch.equal(operator(q, q, torch.eye(2)), torch.full((2, 2), 0.5))


def test_regimes_that_become_equal_are_one_program() -> None:
    plain = compile_definitions([parsed(SPELLINGS["temperature of queries"])], single=True, passes=())
    assert len(plain.programs) > len(compile(parsed(SPELLINGS["temperature of queries"])).programs) == 1


# masks


@pytest.mark.parametrize(
    ("mask", "bias", "said"),
    [
        ("le[s,t]", "", "causal=True)"),
        ("le[t,s]", "", "mask=x0)"),
        ("near[s,t,2]", "", "mask=x1)"),
        ("le[s,t]", " + B[t,s]", "mask=x1, bias=B)"),
        ("le[s,t]", " - B[s,t]", "mask=x2, bias=x3)"),
        ("lt[s,t]", "", "mask=x1, empty=True)"),
        ("le[s,t]*near[s,t,d]", "", "mask=x1 & x3)"),
    ],
)
def test_masks(mask: str, bias: str, said: str) -> None:
    operator = compile(parsed(MASKED.format(mask, bias)))
    assert said in operator.source.split("def operator")[1]
    n, d = 6, 3
    row, column = torch.arange(n)[:, None], torch.arange(n)
    truth = {
        "le[s,t]": column <= row,
        "le[t,s]": column >= row,
        "lt[s,t]": column < row,
        "near[s,t,2]": (column <= row) & (column > row - 2),
        "le[s,t]*near[s,t,d]": (column <= row) & (column > row - d),
    }[mask]
    arrays = {"Q": normal(n, d), "K": normal(n, d, seed=1), "V": normal(n, d, seed=2)}
    given = {**arrays, "B": normal(n, n)} if bias else arrays
    added = 0.0 if not bias else given["B"] if "+" in bias else -given["B"].mT
    expected = by_hand(arrays["Q"], arrays["K"], arrays["V"], truth, added)
    torch.testing.assert_close(operator(**given), expected, equal_nan=True)
    stacked = operator(**{name: x.expand(2, 3, *x.shape) for name, x in given.items()})
    torch.testing.assert_close(stacked, expected.expand(2, 3, n, d), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (2, 1, 2)])
def test_a_row_without_keys_is_no_number(dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    """0/0, with one operation and with several."""
    arrays = [normal(*batch, 5, 3, dtype=dtype, seed=s) for s in range(3)]
    plain = compile_definitions([STRICT], single=True, passes=())
    for operator in (compile(STRICT), plain):
        result = operator(*arrays)
        assert result[..., 0, :].isnan().all()
        assert result[..., 1:, :].isfinite().all()
    assert fused(compile(STRICT))
    assert not fused(plain)


def test_a_row_without_keys_spoils_no_gradient() -> None:
    arrays = [normal(5, 3, seed=s).requires_grad_() for s in range(3)]
    compile(STRICT)(*arrays)[1:].sum().backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in arrays)


# layouts


@pytest.mark.parametrize("definition", [FULL, CAUSAL, BIASED])
@pytest.mark.parametrize(
    "batches", [((), (), ()), ((2,), (), (2,)), ((2, 3), (3,), ()), ((2, 1), (1, 3), (3,)), ((2, 1, 2), (2,), (3, 1))]
)
def test_batch_axes_broadcast(definition: Any, batches: Any) -> None:
    n, d = 5, 3
    q, k, v = (normal(*batch, n, d, seed=s) for s, batch in enumerate(batches))
    row, column = torch.arange(n)[:, None], torch.arange(n)
    given, mask, bias = {"Q": q, "K": k, "V": v}, None, 0.0
    if definition is CAUSAL:
        mask = column <= row
    if definition is BIASED:
        mask, bias = (column <= row) & (column > row - 2), normal(4, *[1] * len(batches[0]), n, n)
        given["B"] = bias
    torch.testing.assert_close(compile(definition)(**given), by_hand(q, k, v, mask, bias))


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize(
    "name", ["causal", "bias", "slopes of heads", "keys transposed", "all transposed", "window", "heads last"]
)
def test_the_fast_kernel_runs(name: str, batch: tuple[int, ...]) -> None:
    definition = parsed(SPELLINGS[name])
    operator, sizes = compile(definition), sizes_of(definition)
    arrays = [normal(*batch, *(sizes[str(leg.dimension)] for leg in x.legs)) for x in operator.tensors]
    with Names() as names:
        operator(*arrays)
    assert names.found.count(FLASH) == 1
    assert not {"bmm", "mm", "_softmax", "_safe_softmax"} & set(names.found)


def test_arrays_need_not_be_contiguous() -> None:
    q, k, v = normal(3, 5).mT, normal(5, 1).expand(5, 3), normal(10, 6)[::2, ::2]
    torch.testing.assert_close(compile(FULL)(q, k, v), by_hand(q, k, v))
    heads = [normal(2, 4, 5, 3, seed=s).permute(0, 2, 1, 3) for s in range(3)]
    expected = by_hand(*(x.transpose(-3, -2) for x in heads)).transpose(-3, -2)
    torch.testing.assert_close(compile(HEADS)(*heads), expected)


def test_values_of_another_length() -> None:
    definition = ta.parse(MASKED.format("le[s,t]", ""), indices={"t,s": "n ordered", "f": "d", "e": "e"})
    operator = compile(definition)
    assert fused(operator)
    q, k, v = normal(5, 3), normal(5, 3, seed=1), normal(5, 7)
    torch.testing.assert_close(operator(q, k, v), by_hand(q, k, v, torch.ones(5, 5).tril()))


@pytest.mark.parametrize("definition", [FULL, CAUSAL, STRICT])
def test_empty_axes(definition: Any) -> None:
    operator = compile(definition)
    assert operator(*(normal(0, 3) for _ in range(3))).shape == (0, 3)
    assert operator(*(normal(0, 4, 3) for _ in range(3))).shape == (0, 4, 3)
    assert operator(*(normal(2, 0, 4, 3) for _ in range(3))).shape == (2, 0, 4, 3)
    cross = compile(parsed(SPELLINGS["cross"]))
    assert torch.equal(cross(normal(2, 3), normal(0, 3), normal(0, 3)), torch.zeros(2, 3, dtype=torch.float64))


# transforms


@pytest.mark.parametrize("definition", [FULL, CAUSAL, BIASED, HEADS])
def test_gradients(definition: Any) -> None:
    operator = compile(definition)
    sizes = {"n": 4, "d": 3, "h": 2}
    arrays = [
        normal(*(sizes[str(leg.dimension)] for leg in tensor.legs), seed=s).requires_grad_()
        for s, tensor in enumerate(operator.tensors)
    ]
    assert torch.autograd.gradcheck(operator, tuple(arrays))
    fewer = [x.detach() if k == 0 else x for k, x in enumerate(arrays)]
    assert torch.autograd.gradcheck(operator, tuple(fewer))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_transforms() -> None:
    operator = compile(CAUSAL)
    q, k, v = (normal(2, 4, 3, seed=s) for s in range(3))
    torch.testing.assert_close(torch.vmap(operator)(q, k, v), operator(q, k, v))
    torch.testing.assert_close(torch.vmap(operator, in_dims=(0, None, None))(q, k[0], v[0]), operator(q, k[0], v[0]))
    mask = torch.ones(4, 4).tril()

    def of(x: torch.Tensor) -> torch.Tensor:
        return operator(x, k, v)

    def peer(x: torch.Tensor) -> torch.Tensor:
        return by_hand(x, k, v, mask)

    for found, expected in zip(*(torch.func.jvp(one, (q,), (v,)) for one in (of, peer)), strict=True):
        torch.testing.assert_close(found, expected)
    for transform in (torch.func.grad, torch.func.hessian):
        torch.testing.assert_close(transform(lambda x: of(x).sum())(q), transform(lambda x: peer(x).sum())(q))


def test_compiled_by_torch_once_for_every_size() -> None:
    operator = compile(HEADS)
    fast = torch.compile(operator, fullgraph=True, dynamic=True, backend="eager")
    for n, h, d in ((5, 2, 3), (7, 3, 4), (9, 2, 8)):
        arrays = [normal(2, n, h, d, seed=s) for s in range(3)]
        torch.testing.assert_close(fast(*arrays), operator(*arrays))


def test_exported_by_torch_for_every_size() -> None:
    n, b = torch.export.Dim("n"), torch.export.Dim("b")
    arrays = tuple(normal(2, 5, 3, seed=s) for s in range(3))
    exported = torch.export.export(compile(CAUSAL), arrays, dynamic_shapes={"args": ({0: b, 1: n},) * 3})
    assert "scaled_dot_product_attention" in exported.graph_module.code
    for shape in ((3, 8, 3), (4, 2, 3)):
        others = [normal(*shape, seed=s) for s in range(3)]
        torch.testing.assert_close(exported.module()(*others), compile(CAUSAL)(*others))


# costs


@pytest.mark.parametrize("name", ["softmax", "no scale", "bias", "causal", "window", "heads last", "multi-query"])
def test_operations_are_those_of_the_plan_with_less_memory(name: str) -> None:
    definition = parsed(SPELLINGS[name])
    operator, sizes = compile(definition), {"n": 9, "d": 3, "h": 2}
    known = {name: sizes[name] for name in all_dimensions(definition)}
    arrays = [normal(*(known[str(leg.dimension)] for leg in tensor.legs)) for tensor in operator.tensors]
    planned: Any = operator.plan.at(**known)
    executed, memory = count(lambda: operator(*arrays)), track(lambda: operator(*arrays))
    assert (executed.flops, executed.pointwise) == (planned.flops, planned.pointwise)
    assert memory.largest < planned.largest
    assert memory.peak < planned.peak


def test_flops_are_the_plans_without_a_fast_kernel() -> None:
    definition = ta.parse(MASKED.format("le[s,t]", ""), indices={"t,s": "n ordered", "f": "d", "e": "e"})
    operator = compile(definition)
    arrays = [normal(9, 3), normal(9, 3), normal(9, 4)]
    planned: Any = operator.plan.at(n=9, d=3, e=4)
    assert count(lambda: operator(*arrays)).flops == planned.flops


# errors


def online(arrays: dict[str, torch.Tensor], order: list[int], block: int, weights: torch.dtype) -> torch.Tensor:
    """The online softmax in float32, exponentials in base 2, its weights rounded."""
    q, k, v = (arrays[name].float() for name in "QKV")
    top = torch.full((len(q), 1), -math.inf)
    above, below = torch.zeros(len(q), v.shape[1]), torch.zeros(len(q), 1)
    factor = torch.tensor(math.log2(math.e) / math.sqrt(q.shape[1]), dtype=torch.float32)
    for start in range(0, len(order), block):
        part = order[start : start + block]
        scores = q @ k[part].mT
        higher = torch.maximum(top, scores.amax(-1, keepdim=True))
        old, new = torch.exp2(top * factor - higher * factor), torch.exp2(scores * factor - higher * factor)
        above = above * old + new.to(weights).float() @ v[part]
        below, top = below * old + new.sum(-1, keepdim=True), higher
    return above * (1 / below)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("block", [1, 3, 16])
@pytest.mark.parametrize("ascending", [False, True])
def test_the_bound_holds_for_the_online_softmax(dtype: torch.dtype, block: int, ascending: bool) -> None:
    """Also where the maximum rises with every block, so that everything is rescaled every time."""
    n, d = 48, 4
    arrays = {name: (3 * normal(n, d, seed=s)).to(dtype).double() for s, name in enumerate("QKV")}
    scores = arrays["Q"] @ arrays["K"].mT
    order = scores[0].argsort().tolist() if ascending else list(range(n))
    exact = by_hand(arrays["Q"], arrays["K"], arrays["V"])
    found = online(arrays, order, block, dtype).to(dtype).double()
    (bound,) = error_bound(compile(FULL).programs[0], arrays, {"n": n, "d": d}, arithmetic(dtype, "cpu"))
    # by_hand is off by some units of float64
    assert ((found - exact).abs() <= bound + 2**-44).all()
    assert bound.max() < (0.3 if dtype == torch.bfloat16 else 2**-9)


@pytest.mark.parametrize(("dtype", "lower"), [("float32", "bfloat16"), ("float64", "float32")])
def test_attention_in_lower_precision_is_caught(dtype: str, lower: str) -> None:
    operator = compile(CAUSAL)
    weakened = operator.source.replace("return x0", f"return x0.to(torch.{lower}).to(Q.dtype)")
    assert weakened != operator.source
    operator._function = load(weakened)
    assert not verify(operator, {"n": 16, "d": 8}, dtype).ok


@pytest.mark.parametrize(
    ("old", "new"), [("reciprocal(math.sqrt(d))", "reciprocal(d)"), ("causal=True", "causal=False")]
)
def test_wrong_attention_is_out_of_bound(old: str, new: str) -> None:
    operator = compile(CAUSAL)
    operator._function = load(operator.source.replace(f"V, {old}", f"V, {new}").replace(f", {old})", f", {new})"))
    assert "out of bound" in verify(operator, {"n": 6, "d": 3}).reason


def test_bounds_are_infinite_where_scores_may_overflow() -> None:
    operator = compile(FULL)
    arrays = {name: torch.full((2, 2), 1e20, dtype=torch.float64) for name in "QKV"}
    (bound,) = error_bound(operator.programs[0], arrays, {"n": 2, "d": 2}, arithmetic("float32", "cpu"))
    assert bound.isinf().all()


# source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("attend(Q, K, V, ", "attend(K, Q, V, "),
        ("attend(Q, K, V, ", "attend(Q, V, K, "),
        ("attend(Q, K, V, ", "attend(Q, K, V, 2 * "),
        ("attend(Q, K, V, ", "attend(Q, K, "),
        ("attend(Q, K, V, ", "attend(Q.mT, K, V, "),
        ("attend(Q, K, V, ", "torch.nn.functional.scaled_dot_product_attention(Q, K, V, "),
        ("mask=x1, bias=B)", "mask=x1)"),
        ("mask=x1, bias=B)", "bias=B)"),
        ("mask=x1, bias=B)", "mask=B, bias=x1)"),
        ("mask=x1, bias=B)", "mask=x0, bias=B)"),
        ("mask=x1, bias=B)", "mask=x1, bias=B, dropout=0.1)"),
        ("mask=x1, bias=B)", "mask=x1, bias=B, causal=False)"),
        ("mask=x1, bias=B)", "mask=x0 & x1, bias=B)"),
        ("mask=x1, bias=B)", "mask=x0 | x1, bias=B)"),
        ("mask=x1, bias=B)", "mask=x1, bias=x1)"),
        ("is_causal=causal, scale=scale)", "is_causal=causal)"),
        ("torch.where(mask, bias, -math.inf)", "torch.where(mask, bias, 0)"),
        (".tril(2 - 1)", ".tril(3 - 1)"),
    ],
)
def test_a_mutated_source_is_refused(old: str, new: str) -> None:
    operator = compile(BIASED)
    assert old in operator.source
    source = operator.source.replace(old, new)
    tensors, spaces, names = tensors_of(BIASED), with_parts(spaces_of(BIASED)), all_dimensions(BIASED)
    with pytest.raises(ValidationFailed):
        validate([BIASED], tensors, operator.programs, source, operator.costs, spaces, names)
    with pytest.raises(ValidationFailed):
        prove_equal([BIASED], tensors, read_source(source, spaces, names, operator.costs)[0])


def test_the_source_runs_without_the_library_and_reads_back() -> None:
    operator = compile(BIASED)
    spaces, names = with_parts(spaces_of(BIASED)), all_dimensions(BIASED)
    assert read_source(operator.source, spaces, names, operator.costs) == operator.programs
    assert any(isinstance(step.op, Attention) for step in operator.programs[0].steps)
    namespace: dict[str, Any] = {}
    exec(operator.source, namespace)
    arrays = {"Q": normal(5, 3), "K": normal(5, 3, seed=1), "V": normal(5, 3, seed=2), "B": normal(5, 5)}
    assert torch.equal(namespace["operator"](**arrays), operator(**arrays))
    assert "tensoralg" not in operator.source
