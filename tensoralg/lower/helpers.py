"""Functions that an emitted module carries along: products of gates along time, and sums with products of matrices.

They stand in the source of a kernel word for word, so that it runs without this library; `readback` compares
them word for word as well.  With gates ``g[r]`` a *decay* is the product over ``s < r <= t``.  Nothing divides by a
gate or takes its logarithm, so gates may vanish, and a product of m gates is made by m - 1 multiplications.

Of numbers (a channel is a number of its own) the product over all stretches is one cumulative product along t of
the table that holds g[t] where ``s < t`` and 1 elsewhere.  Matrices are multiplied in a loop over time, whose
every step is one matrix product; a compiler that unrolls loops compiles it for one length.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch


def decay_between(gate: torch.Tensor, time: int) -> torch.Tensor:
    """Return the product over s < r <= t in place of the axis of time, as two axes t, s; 0 where t < s."""
    n = gate.shape[time]
    inside = torch.ones(n, n, dtype=torch.bool, device=gate.device).tril(-1)
    table = torch.where(inside, gate.movedim(time, -1)[..., None], 1).cumprod(-2).tril()
    return table.movedim((-2, -1), (time - 1, time))


def decay_to_end(gate: torch.Tensor, time: int) -> torch.Tensor:
    """Return the product over r > s in place of the axis of time."""
    gate = gate.movedim(time, -1)
    return (
        torch.cat([gate[..., 1:], torch.ones_like(gate[..., :1])], -1).flip(-1).cumprod(-1).flip(-1).movedim(-1, time)
    )


def matrix_decay_between(gate: torch.Tensor) -> torch.Tensor:
    """Return the matrix products over s < r <= t, latest on the left, with axes t, s, row, column; 0 where t < s."""
    n, d = gate.shape[-3], gate.shape[-1]
    one = torch.eye(d, dtype=gate.dtype, device=gate.device).expand(*gate.shape[:-3], d, d)
    zero = torch.zeros((), dtype=gate.dtype, device=gate.device).expand(*gate.shape[:-3], d, n * d)
    rows: list[torch.Tensor] = []
    for t, step in enumerate(gate.unbind(-3)):
        past = (rows or [zero])[-1][..., : t * d]
        rows.append(torch.cat([step @ past, one, zero[..., (t + 1) * d :]], -1))
    table = torch.stack(rows or [zero], -3)[..., :n, :, :]
    return table.reshape(*table.shape[:-1], n, d).transpose(-3, -2)


def matrix_decay_from_start(gate: torch.Tensor) -> torch.Tensor:
    """Return the matrix products over r <= t, latest on the left, with axes t, row, column."""
    n, d = gate.shape[-3], gate.shape[-1]
    one = torch.eye(d, dtype=gate.dtype, device=gate.device).expand(*gate.shape[:-3], d, d)
    products: list[torch.Tensor] = []
    for step in gate.unbind(-3):
        products.append(step @ (products or [one])[-1])
    return torch.stack(products or [one], -3)[..., :n, :, :]


def matrix_decay_to_end(gate: torch.Tensor) -> torch.Tensor:
    """Return the matrix products over r > s, latest on the left, with axes s, row, column."""
    n, d = gate.shape[-3], gate.shape[-1]
    products = [torch.eye(d, dtype=gate.dtype, device=gate.device).expand(*gate.shape[:-3], d, d)]
    for step in gate.unbind(-3)[:0:-1]:
        products.insert(0, products[0] @ step)
    return torch.stack(products, -3)[..., :n, :, :]


def matrix_decay_whole(gate: torch.Tensor) -> torch.Tensor:
    """Return the matrix product over all times, latest on the left."""
    d = gate.shape[-1]
    product = torch.eye(d, dtype=gate.dtype, device=gate.device).expand(*gate.shape[:-3], d, d)
    for step in gate.unbind(-3):
        product = step @ product
    return product


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return left @ right, without the views that broadcasting takes where no axes broadcast."""
    if left.dim() == 3 == right.dim() and len(left) == len(right):
        return torch.bmm(left, right)
    return left @ right


def add_product(added: torch.Tensor, left: torch.Tensor, right: torch.Tensor, overwrite: bool = False) -> torch.Tensor:
    """Return added + left @ right, as one operation where no axes broadcast and no dtype is lowered on the way."""
    batch = added.shape[:-2]
    if not batch == left.shape[:-2] == right.shape[:-2] or torch.is_autocast_enabled(added.device.type):
        return added + left @ right
    if len(batch) > 1:
        added, left, right = added.flatten(0, -3), left.flatten(0, -3), right.flatten(0, -3)
    if not batch:
        return added.addmm_(left, right) if overwrite else torch.addmm(added, left, right)
    found = added.baddbmm_(left, right) if overwrite else torch.baddbmm(added, left, right)
    return found if len(batch) == 1 else found.view(*batch, *found.shape[-2:])


FUNCTIONS: tuple[Callable[..., Any], ...] = (
    add_product,
    decay_between,
    decay_to_end,
    matrix_decay_between,
    matrix_decay_from_start,
    matrix_decay_to_end,
    matrix_decay_whole,
    product,
)
HELPERS = {function.__name__: function for function in FUNCTIONS}
TEXTS = {name: inspect.getsource(function) for name, function in HELPERS.items()}
