"""The states of a stream: what stands before the first token, and whether given ones fit the tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import sympy
import torch

from tensoralg.errors import InputMismatch, ShapeMismatch, UnknownName, UsageError
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower.operator import Operator, device_of, mixable
from tensoralg.lower.recent import Recent
from tensoralg.spaces import VectorSpace, check_sizes

if TYPE_CHECKING:
    from tensoralg.stream import Stream

State = dict[str, torch.Tensor]
Arrays = Sequence[torch.Tensor]


class StreamStates(Operator):
    """The part of a stream's operator that makes and checks states."""

    stream: Stream
    recent: Recent | None
    _state_legs: dict[str, tuple[VectorSpace, ...]]
    _state_names: list[str]
    _state_place: dict[str, int | None]

    def init_state(
        self,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype | str | None = None,
        device: Any = None,
        sizes: Mapping[str, int] | None = None,
    ) -> State:
        """Return the states before the first token: zeros by name, and no past tokens for the windows.

        Parameters
        ----------
        batch_shape : sequence of int
            The batch axes in front.
        dtype, device
            Those of the tokens to come; the defaults of torch if not given.
        sizes : mapping of str to int, optional
            Sizes of dimensions.  An axis whose size is not known, neither here nor from `compile` nor from a
            parameter, has length 1 until the first token.

        Raises
        ------
        UnknownSize, InvalidSize
            If the sizes are not those of the definition.
        UsageError, UnknownName
            If batch axes, dtype or device are none.
        """
        names = set().union(*map(all_dimensions, self.definitions))
        known = {**self.sizes, **self._sizes_of_parameters(), **check_sizes(sizes, names)}
        whole = (Integral, torch.SymInt)
        if isinstance(batch_shape, whole) or not all(isinstance(k, whole) and k >= 0 for k in batch_shape):
            raise UsageError(f"batch axes of the sizes {batch_shape!r}", remedy="give a tuple of integers from 0 on")
        kind = torch.get_default_dtype() if dtype is None else dtype
        kind = getattr(torch, kind, kind) if isinstance(kind, str) else kind
        if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
            raise UsageError(f"states of dtype {dtype!r}", remedy="give a floating dtype, that of the tokens")
        return self._zeros(batch_shape, kind, None if device is None else device_of(device), known)

    def _zeros(self, batch_shape: Sequence[int], dtype: Any, device: Any, known: Mapping[str, int]) -> State:
        def extent(space: VectorSpace) -> int:
            return _extent(space, known)

        found = {
            state.name: torch.zeros((*batch_shape, *map(extent, state.shape)), dtype=dtype, device=device)
            for state in self.stream.system.states
        }
        return found | (self.recent.first(batch_shape, extent, dtype=dtype, device=device) if self.recent else {})

    def _sizes_of_parameters(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for tensor in self.tensors:
            if tensor.name not in self.inputs:
                array = getattr(self, tensor.name)
                for leg, extent in zip(tensor.legs, array.shape, strict=True):
                    found.setdefault(str(leg.dimension), int(extent))
        return found

    def _check_names(self, state: Any) -> None:
        if not isinstance(state, Mapping) or set(state) != set(self._state_names):
            what = (
                f"has {', '.join(map(str, state)) or 'nothing'}"
                if isinstance(state, Mapping)
                else f"is a {type(state).__name__}"
            )
            raise UnknownName(
                f"the state {what}", remedy=f"give a dict with a tensor for each of {', '.join(self._state_names)}"
            )

    def _checked(self, state: Mapping[str, Any], like: torch.Tensor, known: Mapping[str, int]) -> Arrays:
        """Return given states in order, of the shape, dtype and device that the tokens ask for."""
        found = []
        for name, shape in self._state_legs.items():
            value = state[name]
            if not isinstance(value, torch.Tensor) or not (
                value.device == like.device and mixable(value.dtype, like.dtype, like.device)
            ):
                what = f"{value.dtype} on {value.device}" if isinstance(value, torch.Tensor) else type(value).__name__
                raise InputMismatch(
                    f"the state {name} is {what}, the tokens are {like.dtype} on {like.device}",
                    remedy="make the state with init_state(batch_shape, dtype, device) of the tokens",
                    tensor=name,
                )
            legs = list(value.shape[max(value.dim() - len(shape), 0) :])
            wanted = [_extent(space, known) for space in shape]
            over_time = self._state_place[name]
            if len(legs) == len(shape) and over_time is not None:
                wanted[over_time] = legs[over_time]
            unknown = len(legs) == len(wanted) and all(a in (1, b) for a, b in zip(legs, wanted, strict=True))
            if legs != wanted and unknown and not value.any():
                value = value.expand(*value.shape[: value.dim() - len(wanted)], *wanted)
            elif legs != wanted:
                raise ShapeMismatch(
                    f"the state {name} has shape {tuple(value.shape)}, but its legs have the sizes {tuple(wanted)}",
                    remedy="continue with tokens of the sizes with which the state was made",
                    tensor=name,
                )
            found.append(value)
        return found


def _extent(space: VectorSpace, known: Mapping[str, int]) -> int:
    """Return the size of a space, 1 where it is not known."""
    if isinstance(space.dimension, int):
        return space.dimension
    if space.dimension.is_Symbol:
        return known.get(space.dimension.name, 1)
    dimension = sympy.sympify(space.dimension)
    if all(str(symbol) in known for symbol in dimension.free_symbols):
        return int(dimension.subs({symbol: known[str(symbol)] for symbol in dimension.free_symbols}))
    return 1
