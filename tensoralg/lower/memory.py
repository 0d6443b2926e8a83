"""What a kernel allocates, counted by the cost model of the plans.

:func:`track` watches every torch operation that a call executes and counts elements of storages, each
from the operation that makes it until nothing refers to it any more; views share a storage.  What
comes out falls into three kinds:

* *arrays*: the results of steps.  `largest` and `peak` are theirs, and equal the plan's.  What was there
  before the call (inputs) does not count, the output does; where it is a view of an input or of a
  constant, it counts as an array of its own, as in `plan.graph`.
* *copies*: ``torch.einsum`` runs a contraction as a batched matrix product and first copies an operand
  whose axes cannot be grouped without moving entries.  Whether it must, depends on strides that the
  algebra does not know (those of the inputs, of `bmm`'s results), and the copy is gone when the operation
  ends, so the plan does not price it; `copies` is the most elements of copies alive at once.
* *constants*: the 0/1 arrays of ``delta``, ``le``, ``lt`` and ``near``, as truth values and as numbers, and
  fill values: whatever is made from no array of numbers.  They depend on sizes alone; `constants` is the
  most elements of them alive at once.

`total` is the most elements of all three alive at once.

The peak is that of a call without gradients: autograd keeps what it needs for the backward pass.  A
temporary that a torch kernel allocates inside one operation (a matrix product packing its blocks) is no
tensor and is not seen.  ``torch.einsum`` runs a sum over axes of size 1 as a view, so at such sizes arrays
may be fewer than the plan says.  Attention as one operation keeps no scores, so it needs less than the plan
says, unless torch has no fused kernel (on the CPU, for values of another length than the queries).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tensoralg.lower.flops import is_filling

COPYING = frozenset({"clone", "contiguous", "_to_copy"})
ARRAY, COPY, CONSTANT = "array", "copy", "constant"


@dataclass(frozen=True)
class Memory:
    """Elements: the largest array, and the most of each kind that was alive at once.

    Attributes
    ----------
    largest : int
        The largest array that an operation made.
    peak : int
        The most elements of arrays alive at once.
    copies : int
        The most elements of copies alive at once.
    constants : int
        The most elements of constants alive at once.
    total : int
        The most elements of all kinds alive at once.
    """

    largest: int
    peak: int
    copies: int
    constants: int
    total: int


def track(function: Callable[[], torch.Tensor | tuple[torch.Tensor, ...]]) -> Memory:
    """Return what calling `function` allocates.

    Parameters
    ----------
    function : callable
        Makes the call and returns its output, or several in a tuple.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(3, 4)
    >>> track(lambda: torch.exp(x @ x.T) * 0.5)
    Memory(largest=9, peak=18, copies=0, constants=0, total=18)
    >>> track(lambda: x.T)
    Memory(largest=12, peak=12, copies=0, constants=0, total=12)
    """
    tracker = _Tracker()
    with torch.no_grad(), tracker:
        outputs = function()
    own = max((o.numel() for o in _tensors(outputs) if tracker.kind_of(o) != ARRAY), default=0)
    peak = tracker.peak
    largest, most, total = (max(amount, own) for amount in (tracker.largest, peak[ARRAY], tracker.total))
    return Memory(largest, most, peak[COPY], peak[CONSTANT], total)


@dataclass
class _Storage:
    """A storage: watched, not kept alive, so that its address stays its own."""

    watch: StorageWeakRef
    kind: str
    elements: int


class _Tracker(TorchDispatchMode):
    """Watches the storages that the results of operations lie in."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: dict[int, _Storage] = {}
        self.largest = self.total = 0
        self.peak = {ARRAY: 0, COPY: 0, CONSTANT: 0}

    def kind_of(self, tensor: torch.Tensor) -> str | None:
        """Return the kind of storage that a tensor lies in, None where it was there before."""
        found = self.storages.get(_address(tensor))
        return found.kind if found is not None else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # what died since the last operation was dead before this one began; its operands are alive throughout
        self.storages = {at: s for at, s in self.storages.items() if not s.watch.expired()}
        operands = list(_tensors((args, kwargs)))
        before = {_address(tensor) for tensor in operands}
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            if _address(tensor) not in before and _address(tensor) not in self.storages:
                self._enter(tensor, self._kind(func.overloadpacket.__name__, tensor, operands))
        alive = dict.fromkeys(self.peak, 0)
        for storage in self.storages.values():
            alive[storage.kind] += storage.elements
        self.peak = {kind: max(most, alive[kind]) for kind, most in self.peak.items()}
        self.total = max(self.total, sum(alive.values()))
        return result

    def _kind(self, name: str, made: torch.Tensor, operands: list[torch.Tensor]) -> str:
        made_of_numbers = any(operand.is_floating_point() for operand in operands) and not is_filling(name, operands)
        if not made.is_floating_point() or not made_of_numbers:
            return CONSTANT
        return COPY if name in COPYING else ARRAY

    def _enter(self, tensor: torch.Tensor, kind: str) -> None:
        storage = tensor.untyped_storage()
        elements = storage.nbytes() // tensor.element_size()
        self.storages[_address(tensor)] = _Storage(StorageWeakRef(storage), kind, elements)
        if kind == ARRAY:
            self.largest = max(self.largest, elements)


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
