"""Arrays cut into pieces of time, an axis that is counted from the end."""

from __future__ import annotations

from collections.abc import Iterator

import torch


def split(array: torch.Tensor, place: int, starts: range) -> Iterator[torch.Tensor]:
    """Return all pieces at once: one operation, with one gradient as long as the array and not one for each piece.

    Examples
    --------
    >>> [piece.tolist() for piece in split(torch.arange(5), -1, range(0, 5, 2))]
    [[0, 1], [2, 3], [4]]
    """
    return iter(array.split(starts.step, place))


def slices(array: torch.Tensor, place: int, starts: range) -> Iterator[torch.Tensor]:
    """Return the same pieces, each when it is asked for: as many tensors as tokens need more memory than an array.

    Examples
    --------
    >>> [piece.tolist() for piece in slices(torch.arange(5), -1, range(0, 5, 2))]
    [[0, 1], [2, 3], [4]]
    """
    count = array.shape[place]
    return (array.narrow(place, start, min(starts.step, count - start)) for start in starts)


def longer(part: torch.Tensor, place: int, count: int) -> torch.Tensor:
    """Return a new array like a piece, with room for a number of tokens.

    Examples
    --------
    >>> longer(torch.ones(3, 2), -2, 5).shape
    torch.Size([5, 2])
    """
    shape = list(part.shape)
    shape[place] = count
    return part.new_empty(shape)
