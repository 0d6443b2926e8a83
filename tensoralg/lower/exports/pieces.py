"""Streams as one function of whole sequences: the functions that an exported module carries along, word for word.

A kernel runs on one piece of time after the other and hands on the states (`tensoralg.lower.streams` does the same,
with pieces of any length; here all have the same).  The last piece is filled up with copies of the last token: by
causality what comes after a token does not reach its output, and copies of a token are as finite as the token.

When a module is traced, `scan` is `torch.scan`, so that the loop is part of the graph for any number of pieces.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

Arrays = list[torch.Tensor]
Named = dict[str, torch.Tensor]
TYPES = """
Arrays = list[torch.Tensor]
Named = dict[str, torch.Tensor]
"""


def scan(step: Any, states: Arrays, pieces: Arrays) -> tuple[Arrays, Arrays]:
    """Return the states after the last piece, and the outputs at all pieces, stacked."""
    found = []
    for piece in zip(*pieces, strict=True):
        states, outputs = step(states, piece)
        found.append(outputs)
    return states, [torch.stack(parts) for parts in zip(*found, strict=True)]


def cut(array: torch.Tensor, time: int, length: int) -> torch.Tensor:
    """Return an array with the axes (piece, time in the piece, all others); the last token fills the last piece up."""
    n = array.shape[time]
    # at least two, for a tracer that takes a count of one for a constant
    count = max((n + length - 1) // length, 2)
    starts = torch.arange(count, device=array.device)[:, None] * length
    return array.movedim(time, 0)[(starts + torch.arange(length, device=array.device)).clamp(max=n - 1)]


def joined(pieces: torch.Tensor, time: int, n: int) -> torch.Tensor:
    """Return an array of which the pieces are given, each with its own axis of time, without what fills up."""
    pieces = pieces.movedim(time, 1)
    at = torch.arange(n, device=pieces.device)
    length = pieces.shape[1]
    return pieces[at // length, at % length].movedim(0, time)


def carried(new: Any, old: Arrays) -> Arrays:
    """Return new states in the shape of the old ones, in memory of their own."""
    return [x.expand_as(y).clone(memory_format=torch.contiguous_format) for x, y in zip(new, old, strict=True)]


def in_chunks(
    kernel: Any, order: Any, arrays: Named, times: Any, constant: Any, states: Named, outputs: Any, length: int
) -> Arrays:
    """Return the outputs of a stream, whose kernel computes a chunk of tokens, and its new states, from given states.

    kernel, order: the function and the names of its arguments; arrays: the inputs by name; times: where their axis of
    time is; constant: gates to which the kernel wants one; states: the first ones, by name; outputs: where their axis
    of time is; length: that of a chunk.
    """
    names = list(times)
    n = arrays[names[0]].shape[times[names[0]]]
    fixed = {name: array for name, array in arrays.items() if name not in times}
    fixed.update((name, fixed[name][..., None].expand(*fixed[name].shape, length)) for name in constant)

    def step(before: Arrays, piece: Arrays) -> tuple[Arrays, Arrays]:
        tokens = {name: x.movedim(0, times[name]) for name, x in zip(names, piece, strict=True)}
        values = {**fixed, **tokens, **dict(zip(states, before, strict=True))}
        found = kernel(*[values[name] for name in order])
        return carried(found[len(outputs) :], before), [x.clone() for x in found[: len(outputs)]]

    _, found = scan(step, list(states.values()), [cut(arrays[name], times[name], length) for name in names])
    return [joined(pieces, time, n) for pieces, time in zip(found, outputs, strict=True)]


def in_tokens(kernel: Any, order: Any, arrays: Named, times: Any, states: Named, outputs: Any) -> Arrays:
    """Return the outputs of a stream, whose kernel computes one token; the arguments are those of `in_chunks`."""
    names = list(times)
    fixed = {name: array for name, array in arrays.items() if name not in times}

    def step(before: Arrays, token: Arrays) -> tuple[Arrays, Arrays]:
        values = {**fixed, **dict(zip(names, token, strict=True)), **dict(zip(states, before, strict=True))}
        found = kernel(*[values[name] for name in order])
        return carried(found[len(outputs) :], before), [x.clone() for x in found[: len(outputs)]]

    _, found = scan(step, list(states.values()), [arrays[name].movedim(times[name], 0) for name in names])
    return [x.movedim(0, time) for x, time in zip(found, outputs, strict=True)]


def turned(arrays: Named, times: Any) -> Named:
    """Return arrays in the order in which tokens come, or again in that of time."""
    return {name: x.flip(times[name]) if name in times else x for name, x in arrays.items()}


def text_of(*names: str) -> str:
    """Return the source of some of the functions above."""
    return "\n\n".join(inspect.getsource(globals()[name]) for name in names)
