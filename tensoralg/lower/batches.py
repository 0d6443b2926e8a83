"""Batch axes put together into one, which the products of fused kernels are quickest with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch

from tensoralg.lower.operator import autocasts, batch_of


def common_batch(arrays: Iterable[tuple[int, torch.Tensor]]) -> tuple[int, ...] | None:
    """Return the batch axes of some arrays if they can be one axis without a copy, else None.

    Arrays without batch axes, for which broadcasting is a view, do not count.  Where a compiler fuses operations, or
    autocast chooses dtypes, the answer is None: there, plain operations are better.

    Parameters
    ----------
    arrays : iterable of (int, Tensor)
        How many legs an array has, and the array.

    Examples
    --------
    >>> common_batch([(1, torch.ones(2, 3, 5)), (2, torch.ones(2, 3, 4, 5)), (1, torch.ones(5))])
    (2, 3)
    >>> common_batch([(1, torch.ones(2, 5)), (1, torch.ones(1, 5))]) is None
    True
    >>> common_batch([(1, torch.ones(3, 2, 5).transpose(0, 1))]) is None
    True
    """
    pairs = list(arrays)
    if torch.compiler.is_compiling() or any(x.is_meta or autocasts(x.device) for _, x in pairs):
        return None
    found = [(tuple(batch_of(range(rank), x)), x) for rank, x in pairs if x.dim() > rank]
    batches = {batch for batch, _ in found}
    if len(batches) > 1 or not all(_is_one(x, len(batch)) for batch, x in found):
        return None
    return next(iter(batches), ())


def _is_one(array: torch.Tensor, count: int) -> bool:
    """Return whether the first axes follow each other in memory as one."""
    shape, strides = array.shape, array.stride()
    longer = [k for k in range(count) if shape[k] != 1]
    return all(strides[a] == shape[b] * strides[b] for a, b in pairwise(longer))


def together(array: torch.Tensor, rank: int, batch: Sequence[int]) -> torch.Tensor:
    """Return an array, of as many legs, with one batch axis.

    Examples
    --------
    >>> together(torch.ones(2, 3, 5), 1, (2, 3)).shape, together(torch.ones(5), 1, (2, 3)).shape
    (torch.Size([6, 5]), torch.Size([6, 5]))
    """
    if array.dim() == rank:
        return array.expand(math.prod(batch), *array.shape)
    return array if len(batch) == 1 else array.view(math.prod(batch), *array.shape[len(batch) :])


def apart(array: torch.Tensor, batch: Sequence[int]) -> torch.Tensor:
    """Return an array with one batch axis with the batch axes it stands for.

    Examples
    --------
    >>> apart(torch.ones(6, 5), (2, 3)).shape, apart(torch.ones(1, 5), ()).shape
    (torch.Size([2, 3, 5]), torch.Size([5]))
    """
    return array if len(batch) == 1 else array.view((*batch, *array.shape[1:]))
