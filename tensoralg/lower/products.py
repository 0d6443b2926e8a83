"""Rounding of decays: the products of gates along stretches of time.

*Numbers.*  A product of m gates is made by m - 1 multiplications, in whatever order, each with a relative error of at
most u; multiplications by the 1 that fills a table are exact.  Its relative error is therefore at most
``gamma_(m-1)`` (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, lemma 3.1).
Where a multiplication underflows, it is off by at most t, the smallest normal number; the gates that are
multiplied to it afterwards enlarge that to at most ``t B``, B the product of all ``max(1, |a_r|)``, and so do
their roundings by the factor ``1 + gamma_(m-1)``:

    ``|computed - exact| <= gamma_(m-1) prod |a_r| + (m - 1) t B (1 + gamma_(m-1))``.

*Matrices.*  One product of d x d matrices is off by at most ``gamma_d |A| |P|`` entry by entry, and its operands
may be rounded before (w, 0 unless products run in a narrower format).  With ``g = (1 + w)^2 (1 + gamma_d)`` induction
over the m factors gives ``(g^m - 1) |A_m| ... |A_1|``: what a step inherits passes through ``|A|``, and
``g |A| g^k |P| - |A P|`` is at most ``(g^(k+1) - 1) |A| |P|``.  (The first product, by the identity, is exact without
w.)  Underflow adds 2 d t to every entry of a step, which the matrices multiplied to it later enlarge to at
most ``2 d t B``, B the product of ``max(1, |A_r|)`` over the larger of the row and the column sum norm.

Every value on the way is at most ``B (1 + gamma)`` (matrices: ``B g^m``) in absolute value; where that is not below
the largest number, something may have overflowed, and nothing is known.  A stretch without gates is exact.

*Gates with errors* E change a product by at most ``prod (|a_r| + E_r) - prod |a_r|``, for matrices entry by entry: the
terms of the multiplied out difference that hold at least one E.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tensoralg.lower.arithmetic import Arithmetic, gamma

SLOP = 2.0**-52
Products = Callable[[Tensor], Tensor]


def product_error(products: Products, gate: Tensor, counts: Tensor, machine: Arithmetic) -> Tensor:
    """Return a bound on the error of every entry of a decay.

    Parameters
    ----------
    products : callable
        Computes, in float64, the decay of a gate of the same shape.
    gate : Tensor
        The gate, exactly.
    counts : Tensor
        How many gates each entry is the product of; broadcasts over the channels.
    machine : Arithmetic
        The arithmetic in which the decay is computed.

    Examples
    --------
    >>> from tensoralg.lower.arithmetic import arithmetic
    >>> gate = torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64)
    >>> product_error(lambda g: g.cumprod(0), gate, torch.tensor([1, 2, 3]), arithmetic("float32", "cpu")) / 2**-24
    tensor([0.0000, 1.0000, 1.0000], dtype=torch.float64)
    """
    numbers = gate.dim() < 3
    if numbers:
        rounded = (counts - 1).clamp(min=0)
        growth = _gamma(rounded, machine.unit)
        lost, largest = rounded * machine.tiny, gate.abs().clamp(min=1)
    else:
        d = gate.shape[-1]
        rounded = counts if machine.operand else (counts - 1).clamp(min=0)
        step = torch.tensor((1 + machine.operand) ** 2 * (1 + gamma(d, machine.accumulation)), dtype=torch.float64)
        growth = torch.where(rounded > 0, torch.expm1(rounded * torch.log(step) * (1 + 4 * SLOP)), 0.0)
        lost, largest = 2 * d * rounded * machine.tiny, _norms(gate)
    terms = int(counts.max()) * (1 if numbers else gate.shape[-1]) if counts.numel() else 0
    slop = 1 + 2 * (terms + 64) * SLOP
    top = products(largest) * slop * (1 + growth)
    if not numbers:
        # the norms stand on diagonals
        top = top[..., :1, :1]
    error = (growth * products(gate.abs()) + 2 * lost * top) * slop
    return torch.where(top < machine.largest, error, torch.inf)


def product_change(products: Products, size: Tensor, error: Tensor, counts: Tensor) -> Tensor:
    """Return a bound on what errors of the gates change: ``prod (|a_r| + E_r) - prod |a_r|``, entry by entry.

    Examples
    --------
    >>> one = torch.ones(3, dtype=torch.float64)
    >>> product_change(lambda g: g.cumprod(0), one, one / 2, torch.tensor([1, 2, 3]))
    tensor([0.5000, 1.2500, 2.3750], dtype=torch.float64)
    """
    terms = int(counts.max()) * (1 if size.dim() < 3 else size.shape[-1]) if counts.numel() else 0
    slop = 2 * (terms + 64) * SLOP
    change = products(size + error) * (1 + slop) - products(size) * (1 - slop)
    return torch.where(counts > 0, change.clamp(min=0), 0.0)


def gate_counts(steps: int, later: bool, earlier: bool) -> Tensor:
    """Return how many gates are multiplied, by the times that are axes.

    Examples
    --------
    >>> gate_counts(3, True, True).tolist(), gate_counts(3, False, True).tolist()
    ([[0, 0, 0], [1, 0, 0], [2, 1, 0]], [2, 1, 0])
    """
    last = torch.arange(steps)[:, None] if later else torch.full((1, 1), steps - 1)
    before = torch.arange(steps)[None] if earlier else torch.full((1, 1), -1)
    return (last - before).clamp(min=0).reshape([steps] * (later + earlier))


def _gamma(terms: Tensor, unit: float) -> Tensor:
    total = terms * unit
    return torch.where(total < 1, total / (1 - total), torch.inf)


def _norms(gate: Tensor) -> Tensor:
    """Return, for every matrix, the larger of its row and column sum norms, at least 1, times the identity."""
    size = gate.abs()
    if not gate.shape[-1]:
        return size
    largest = torch.maximum(size.sum(-1).amax(-1), size.sum(-2).amax(-1)).clamp(min=1)
    return largest[:, None, None] * torch.eye(gate.shape[-1], dtype=gate.dtype)
