"""Sums over the last tokens: the kernel that computes them, and the tokens that are kept for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
import torch

from tensoralg.expr.tensor import Tensor
from tensoralg.lower.operator import Operator
from tensoralg.spaces import VectorSpace
from tensoralg.stream.windows import Window, kept

PAST = "past_"


class Recent(torch.nn.Module):
    """The windows of a stream, computed on a piece of time together with the tokens before it.

    Parameters
    ----------
    windows : sequence of Window
    kernel : Operator
        All windows at every time, over the tokens as inputs.
    """

    def __init__(self, windows: Sequence[Window], kernel: Operator) -> None:
        super().__init__()
        self.kernel = kernel
        self.names = [window.name for window in windows]
        self.clock: VectorSpace = windows[0].time.space
        self.places = [-1 - len(window.legs) for window in windows]
        self.kept = {
            PAST + symbol.name: (symbol, int(sympy.sympify(str(reach)).subs(kernel.sizes)))
            for symbol, reach in kept(windows).items()
        }
        self.times = {t.name: t.legs.index(self.clock) - len(t.legs) for t in kernel.tensors if self.clock in t.legs}

    def first(self, batch_shape: Sequence[int], known: Any, **like: Any) -> dict[str, torch.Tensor]:
        """Return the tokens kept before the first one: none."""
        return {
            name: torch.zeros(*batch_shape, *(0 if leg == self.clock else known(leg) for leg in symbol.legs), **like)
            for name, (symbol, _) in self.kept.items()
        }

    def extended(
        self, piece: Mapping[str, torch.Tensor], pasts: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the windows at every time of a piece, and the tokens to be kept after it."""
        arrays, new, before = self.tokens(piece, pasts)
        found = self.kernel.run(arrays)
        return {name: self.now(name, values, before) for name, values in zip(self.names, found, strict=True)}, new

    def tokens(
        self, piece: Mapping[str, torch.Tensor], pasts: Mapping[str, torch.Tensor]
    ) -> tuple[list[torch.Tensor], dict[str, torch.Tensor], int]:
        """Return the inputs of the kernel at a piece of time, the tokens to be kept, and how many stand before it."""
        longest = max([0, *(pasts[name].shape[self.times[symbol.name]] for name, (symbol, _) in self.kept.items())])
        arrays, new = [], {}
        for symbol in self.kernel.tensors:
            array = piece[symbol.name]
            if symbol.name in self.times:
                array = self._with_past(symbol, array, pasts.get(PAST + symbol.name), longest)
                if PAST + symbol.name in self.kept:
                    _, reach = self.kept[PAST + symbol.name]
                    count = array.shape[self.times[symbol.name]]
                    left = min(reach, count)
                    new[PAST + symbol.name] = array.narrow(self.times[symbol.name], count - left, left)
            arrays.append(array)
        return arrays, new, longest

    def now(self, name: str, values: torch.Tensor, before: int) -> torch.Tensor:
        """Return what the kernel computed for the times of the piece, without those before it."""
        place = self.places[self.names.index(name)]
        return values.narrow(place, before, values.shape[place] - before)

    def _with_past(self, symbol: Tensor, array: torch.Tensor, past: torch.Tensor | None, longest: int) -> torch.Tensor:
        """Return tokens with those before them; where fewer are kept, the first one stands for what is not read."""
        place = self.times[symbol.name]
        known = array if past is None else _joined(past, array, place)
        missing = longest - (known.shape[place] - array.shape[place])
        if not missing:
            return known
        sizes = list(known.shape)
        sizes[place] = missing
        padding = known.narrow(place, 0, 1).expand(sizes) if known.shape[place] else known.new_zeros(sizes)
        return torch.cat([padding, known], dim=place)


def _joined(past: torch.Tensor, array: torch.Tensor, place: int) -> torch.Tensor:
    shape = list(array.shape)
    shape[place] = past.shape[place]
    return torch.cat([past.expand(shape), array], dim=place) if past.shape[place] else array
