"""How many tokens a chunk has.

The length minimises the cost for a token, ``(work(c) + overhead * steps) / c``.  The work is that of the
chunk's plan, polynomials in its length c: FLOPs, and `POINTWISE` times the pointwise operations.  `OVERHEAD`, the FLOPs
that could be done while a step starts (`OVERHEAD_OF_GRADIENTS` where autograd records it, for each FLOP of the forward
pass), and `POINTWISE`, those while one entry is read and written, are guesses that depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from tensoralg.lower.operator import MOST_SIGNATURES, Dimensions, Operator, batch_of
from tensoralg.plan.polynomial import value_at

LENGTHS = (16, 32, 64, 128, 256, 512)
OVERHEAD = 1_000_000
OVERHEAD_OF_GRADIENTS = 4_000_000
POINTWISE = 20
TYPICAL = 64


class ChunkLengths:
    """The length of a chunk that costs least for a token, at given sizes.

    Parameters
    ----------
    kernel : Operator
        That of a chunk.
    legs : mapping of str to Dimensions
        Those of the inputs.
    clock : str
        The dimension of time.
    matrices : bool
        Whether gates are matrices, whose products run over the times one by one.
    usual : mapping of str to int
        Sizes that stand for those that are not known.

    Attributes
    ----------
    usual : int
        The length where sizes are symbols without values.
    """

    def __init__(
        self, kernel: Operator, legs: Mapping[str, Dimensions], clock: str, matrices: bool, usual: Mapping[str, int]
    ) -> None:
        self._kernel, self._legs, self._clock = kernel, legs, clock
        self._lengths = LENGTHS[:1] if matrices else LENGTHS
        self._by_sizes: dict[Any, int] = {}
        self._by_shapes: dict[Any, int] = {}
        self.usual = self._best(1, usual, False)

    def at(
        self, named: Mapping[str, torch.Tensor], sizes: Callable[[Mapping[str, torch.Tensor]], Mapping[str, int]]
    ) -> int:
        """Return the length for some inputs, whose sizes a function tells."""
        graph = torch.is_grad_enabled() and any(array.requires_grad for array in named.values())
        shapes = (graph, *[array.shape for array in named.values()])
        found = self._by_shapes.get(shapes)
        if found is None:
            batch = max(math.prod(batch_of(self._legs[name], array)) for name, array in named.items())
            known = sizes(named)
            key = (graph, batch, *sorted((name, extent) for name, extent in known.items() if name != self._clock))
            if key not in self._by_sizes:
                self._by_sizes[key] = self._best(batch, known, graph)
            if len(self._by_shapes) >= MOST_SIGNATURES:
                self._by_shapes.clear()
            found = self._by_shapes[shapes] = self._by_sizes[key]
        return found

    def _best(self, batch: int, known: Mapping[str, int], graph: bool) -> int:
        steps = max(len(program.steps) for program in self._kernel.programs)
        overhead = steps * (OVERHEAD_OF_GRADIENTS if graph else OVERHEAD)
        return min(self._lengths, key=lambda c: (batch * self._work(c, known) + overhead) / c)

    def _work(self, length: int, known: Mapping[str, int]) -> float:
        """Return what a chunk costs: FLOPs, and pointwise operations as so many FLOPs as they take the time of."""
        sizes = {**known, self._clock: length}
        prices = (program.price for program in self._kernel.plan.programs)
        return min(float(value_at(p.flops, sizes)) + POINTWISE * float(value_at(p.pointwise, sizes)) for p in prices)
