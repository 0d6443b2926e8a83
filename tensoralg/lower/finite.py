"""Whether numbers are finite, where that can be asked, and tokens in place of those that are not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch


def finite(arrays: Iterable[torch.Tensor]) -> bool:
    """Whether there is neither NaN nor infinity in some arrays, nor entries so large that their sum overflows.

    Values that cannot be looked at (while a compiler traces, a CUDA graph is captured, or `vmap` hides them) count
    as finite.

    Examples
    --------
    >>> finite([torch.ones(2), torch.zeros(0)]), finite([torch.tensor([1.0, math.nan])])
    (True, False)
    """
    sums = [array.detach().sum() for array in arrays]
    if not sums or torch.compiler.is_compiling() or (sums[0].is_cuda and torch.cuda.is_current_stream_capturing()):
        return True
    try:
        return math.isfinite(float(sum(sums[1:], sums[0])))
    except RuntimeError:
        return True


def first_tokens(
    named: Mapping[str, torch.Tensor], places: Mapping[str, int | None]
) -> tuple[int, dict[str, torch.Tensor]] | None:
    """Return how many tokens come before those that are not finite, and the inputs with the first one in their place.

    Parameters
    ----------
    named : mapping of str to Tensor
        The inputs.
    places : mapping of str to int or None
        Their axes over time, counted from the end.

    Returns
    -------
    tuple of int and dict, or None
        None if the first token is not finite, or all are.

    Examples
    --------
    >>> first_tokens({"x": torch.tensor([3.0, 5.0, math.nan, 7.0])}, {"x": -1})
    (2, {'x': tensor([3., 5., 3., 7.])})
    """
    timed = {name: (array, place) for name, array in named.items() if (place := places[name]) is not None}
    finite_at = [x.isfinite().movedim(place, -1).unsqueeze(0).flatten(0, -2).all(0) for x, place in timed.values()]
    bad = ~torch.stack(finite_at).all(0)
    if bad[0] or not bad.any():
        return None
    replaced = dict(named)
    for name, (array, place) in timed.items():
        at = bad.reshape([-1, *[1] * (-place - 1)])
        replaced[name] = torch.where(at, array.narrow(place, 0, 1), array)
    return int(bad.int().argmax()), replaced
