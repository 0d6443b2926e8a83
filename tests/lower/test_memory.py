"""The memory tracker on calls whose allocations are known."""

from __future__ import annotations

import torch

import tensoralg as ta
from tensoralg.lower import Memory, compile, track


def test_an_array_counts_until_nothing_refers_to_it() -> None:
    x = torch.ones(10)

    def chain() -> torch.Tensor:
        y = x + 1
        z = y + 1
        del y
        return z + 1

    assert track(chain) == Memory(largest=10, peak=20, copies=0, constants=0, total=20)
    assert track(lambda: ((x + 1) + (x + 2)) + (x + 3)).peak == 30


def test_views_share_their_storage() -> None:
    x = torch.ones(4, 6)

    def views() -> torch.Tensor:
        y = x * 2
        first, second = y[0], y.T
        del y
        return first + second[:, 1]

    assert track(views) == Memory(largest=24, peak=24 + 6, copies=0, constants=0, total=30)


def test_an_output_that_is_no_array_of_the_call_counts_in_full() -> None:
    x = torch.ones(4, 6)
    assert track(lambda: x) == track(lambda: x.T) == Memory(24, 24, 0, 0, 24)
    assert track(lambda: x[0].expand(3, 6)) == Memory(18, 18, 0, 0, 18)
    # one that is keeps the size of what it is a view of
    assert track(lambda: torch.exp(x[0]).expand(3, 6)) == Memory(6, 6, 0, 0, 6)
    assert track(lambda: torch.ones(3, 3)) == Memory(9, 9, 0, 9, 9)


def test_constants_are_counted_apart() -> None:
    x = torch.ones(5, 5)

    def masked() -> torch.Tensor:
        mask = torch.ones(5, 5, dtype=torch.bool).triu()
        return torch.where(mask, x, 0) @ mask.to(x.dtype)

    memory = track(masked)
    assert (memory.largest, memory.peak) == (25, 50)
    # the truth values and the numbers; the 0 that fills is an array of one element, which is gone by then
    assert (memory.constants, memory.total) == (50, 100)


def test_copies_are_counted_apart() -> None:
    """The axes of the first operand are summed and kept in turns, so that it is no matrix without a copy."""
    x, y = torch.ones(3, 4, 5, 6), torch.ones(3, 5)
    memory = track(lambda: torch.einsum("abcd,ac->bd", x, y))
    assert (memory.largest, memory.peak) == (24, 24)
    assert memory.copies == 3 * 4 * 5 * 6
    assert memory.total == 3 * 4 * 5 * 6 + 24


def test_empty_arrays() -> None:
    x = torch.ones(0, 3)
    assert track(lambda: torch.exp(x)) == Memory(0, 0, 0, 0, 0)


def test_gradients_are_off_while_tracking() -> None:
    """What autograd keeps for the backward pass is no part of a plan."""
    x = torch.ones(10, requires_grad=True)
    assert track(lambda: torch.exp(torch.exp(torch.exp(x)))).peak == 20


def test_gradients_flow_through_kernels_that_free() -> None:
    definition = ta.parse("O[t] = exp(sum(f: A[t,f]*x[f]))*y[t]", indices={"t": "n", "f": "d"})
    operator = compile(definition)
    assert "del " in operator.source
    inputs = [torch.rand(3, 2, dtype=torch.float64), torch.rand(2, dtype=torch.float64)]
    arrays = [array.requires_grad_() for array in (*inputs, torch.rand(3, dtype=torch.float64))]
    assert torch.autograd.gradcheck(operator, tuple(arrays))
