"""Whether numbers are finite, where that can be asked."""

from __future__ import annotations

import math
from collections.abc import Iterable

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
