"""Balls: enclosures of exact values with a bound on the error of the computed ones, and the errors of sums.

What is computed with them in float64 is enlarged by more than the rounding errors of computing it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tensoralg.lower.arithmetic import Arithmetic, gamma

SLOP = 2.0**-52


@dataclass(frozen=True)
class Ball:
    """Exact values in ``[mid - radius, mid + radius]``, and a bound on the error of the computed ones."""

    mid: Tensor
    radius: Tensor
    error: Tensor

    @classmethod
    def exact(cls, values: Tensor) -> Ball:
        """Return the ball of values that are known and computed exactly."""
        nothing = torch.zeros_like(values)
        return cls(values, nothing, nothing)

    @cached_property
    def magnitude(self) -> Tensor:
        """An upper bound of the absolute exact value."""
        return up(self.mid.abs() + self.radius)

    @property
    def least(self) -> Tensor:
        """A lower bound of the absolute exact value."""
        return (self.mid.abs() * (1 - 4 * SLOP) - up(self.radius)).clamp(min=0)

    @property
    def lower(self) -> Tensor:
        """A lower bound of the exact value."""
        return self.mid - up(self.radius + 4 * SLOP * self.mid.abs())

    @property
    def upper(self) -> Tensor:
        """An upper bound of the exact value."""
        return self.mid + up(self.radius + 4 * SLOP * self.mid.abs())


def up(x: Tensor, terms: int = 0) -> Tensor:
    """Return x >= 0 enlarged by more than the rounding errors of a sum of `terms` products."""
    return x * (1 + (terms + 64) * SLOP)


def times(factor: float, x: Tensor) -> Tensor:
    """Return the product, with infinity times 0 infinite: nothing is known."""
    return x * factor if math.isfinite(factor) else torch.full_like(x, math.inf)


def rounded_sum(inherited: Tensor, computed: Tensor, terms: int, machine: Arithmetic) -> Tensor:
    """The error of a sum of products, in any order; `computed` is the sum of their absolute values."""
    rounding = times(gamma(terms, machine.accumulation), computed)
    error = inherited + rounding
    if machine.output:
        error = error + times(machine.output, computed + rounding)
    return up(error + 2 * terms * machine.tiny, 3 * terms)
