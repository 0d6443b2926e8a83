"""What a kernel executes, counted by the cost model of the plans.

`torch.utils.flop_counter` scores elementwise products, reductions, ``mv``, ``dot`` and, on CPU, scaled dot
product attention 0.  :func:`custom_mapping` gives it rules for them, and :func:`count` counts FLOPs and
pointwise operations apart and refuses an operation that it has no rule for.

A product of two arrays is a contraction step that sums nothing (one FLOP per entry), a product of an
array and a number is a scale (pointwise).  ``torch.einsum`` runs a step that sums only axes of size 1
as a product, so at such sizes the count is less than the plan's.

Attention as one operation counts as its parts: two products of matrices and the softmax between them; pointwise, the
softmax, the scale (if it is not 1), and a mask or bias.  Where torch has no fused kernel, it scales query and key
instead of the scores.  FLOPs are the plan's in both cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import sdpa_flop_count

from tensoralg.errors import UnknownName

aten = torch.ops.aten

FREE = frozenset(
    {
        "_to_copy",
        "_unsafe_view",
        "alias",
        "arange",
        "as_strided",
        "cat",
        "clone",
        "contiguous",
        "copy_",
        "detach",
        "diagonal",
        "empty",
        "expand",
        "eye",
        "flip",
        "full",
        "lift_fresh",
        "movedim",
        "logical_not",
        "narrow",
        "new_zeros",
        "ones",
        "ones_like",
        "permute",
        "reshape",
        "scalar_tensor",
        "select",
        "slice",
        "split",
        "squeeze",
        "stack",
        "t",
        "transpose",
        "unbind",
        "unsqueeze",
        "view",
        "zeros",
    }
)
POINTWISE = frozenset(
    {
        "add",
        "cumprod",
        "div",
        "exp",
        "log",
        "masked_fill",
        "masked_fill_",
        "neg",
        "pow",
        "reciprocal",
        "relu",
        "sqrt",
        "sub",
        "where",
    }
)
LOGICAL = ("any", "bitwise_and")
MASKS = frozenset({"tril", "tril_", "triu", "triu_"})  # of numbers they select, of truth values they make a 0/1 array


@dataclass(frozen=True)
class Cost:
    """FLOPs (a multiply-add counts two) and pointwise operations.

    Examples
    --------
    >>> Cost(2, 1) + Cost(3, 0)
    Cost(flops=5, pointwise=1)
    """

    flops: int
    pointwise: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.pointwise + other.pointwise)


def _size(shape: Any) -> int:
    return torch.Size(shape).numel()


def _product(left: Any, right: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return _size(out_shape) if isinstance(right, torch.Size) and isinstance(left, torch.Size) else 0


def _added_product(*_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * _size(out_shape)


def _matmul(left: Any, right: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * _size(out_shape) * int(left[-1])


def _matmul_plus(_added: Any, left: Any, right: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * _size(out_shape) * int(left[-1])


def _dot(left: Any, *_: Any, **__: Any) -> int:
    return 2 * _size(left)


def _reduction(operand: Any, *_: Any, **__: Any) -> int:
    return _size(operand)


def _scores(query: Any, key: Any) -> int:
    return _size(query[:-1]) * int(key[-2])


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value)) + _scores(query, key)


FUSED = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
)


FLOPS: Mapping[str, Callable[..., int]] = {
    "mul": _product,
    "mul_": _product,
    "addcmul_": _added_product,
    "sum": _reduction,
    "_softmax": _reduction,
    "_safe_softmax": _reduction,
    "mm": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": _dot,
    "addmm": _matmul_plus,
    "baddbmm": _matmul_plus,
    "baddbmm_": _matmul_plus,
    **dict.fromkeys(FUSED, _attention),
}
ADDING = ("addmm", "baddbmm")
SOFTMAX = ("_softmax", "_safe_softmax")
# the fused ones: without the softmax, or not at all
SCORED_ZERO = ("mul", "mul_", "addcmul_", "baddbmm_", "sum", *SOFTMAX, "mv", "dot", *FUSED)


def custom_mapping() -> dict[Any, Callable[..., int]]:
    """Return rules for `torch.utils.flop_counter.FlopCounterMode` for what it scores 0.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.flop_counter import FlopCounterMode
    >>> with FlopCounterMode(display=False, custom_mapping=custom_mapping()) as counter:
    ...     _ = torch.ones(3, 4) @ torch.ones(4)
    >>> counter.get_total_flops()
    24
    """
    return {getattr(aten, name): FLOPS[name] for name in SCORED_ZERO}


def count(function: Callable[[], Any]) -> Cost:
    """Return what calling `function` executes.

    Raises
    ------
    UnknownName
        If an operation was executed that has no rule.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(3, 4)
    >>> count(lambda: torch.exp(x @ x.T) * 0.5)
    Cost(flops=72, pointwise=18)
    """
    counter = _Counter()
    with counter:
        function()
    return counter.total


class _Counter(TorchDispatchMode):
    """Adds up the costs of the operations that are dispatched."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = Cost(0, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.total += cost_of(func.overloadpacket.__name__, args, result, kwargs)
        return result


def cost_of(name: str, args: Any, result: Any, kwargs: Mapping[str, Any] | None = None) -> Cost:
    """Return the cost of one executed operation."""
    if name in FREE or is_filling(name, args):
        return Cost(0, 0)
    if name in FUSED:
        return _attention_cost(args, kwargs or {})
    first = result[0] if isinstance(result, tuple) else result
    if name in POINTWISE or (name in MASKS and first.is_floating_point()):
        return Cost(0, first.numel())
    if name in MASKS:
        return Cost(0, 0)
    if name == "prod":
        return Cost(0, args[0].numel())
    if name not in FLOPS:
        raise UnknownName(
            f"the operation {name} was executed but has no cost", remedy="give it a rule in lower/flops.py", name=name
        )
    shapes = [arg.shape if isinstance(arg, torch.Tensor) else arg for arg in args]
    flops = FLOPS[name](*shapes, out_shape=first.shape)
    scale = name == "mul" and not flops
    return Cost(flops, first.numel() * (scale + (name in ADDING) + 2 * (name in SOFTMAX)))


def is_filling(name: str, args: Any) -> bool:
    """Return whether an operation makes a 0/1 array, or one of two numbers, out of truth values."""
    numbers = [arg for arg in args if isinstance(arg, torch.Tensor) and arg.dtype != torch.bool]
    return name in LOGICAL or (name == "where" and not any(array.dim() for array in numbers))


def _attention_cost(args: Any, options: Mapping[str, Any]) -> Cost:
    query, key, value, *others = args
    scores = _scores(query.shape, key.shape)
    added = [options.get("attn_mask"), *(x for x in others if isinstance(x, torch.Tensor))]
    selected = any(x is True for x in others) or any(x is not None for x in added)
    pointwise = 2 + (options.get("scale") != 1) + selected
    return Cost(_attention(query.shape, key.shape, value.shape), pointwise * scores)
