"""Charts from plain data, drawn by matplotlib (extra ``show``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from tensoralg.errors import MissingDependency


def draw_regions(
    regions: Sequence[tuple[str, Callable[[Any, Any], Any]]],
    *,
    x: str,
    y: str,
    largest: float = 4096,
    pixels: int = 400,
) -> Any:
    """Draw which of several regions each point of a doubly logarithmic plane lies in.

    Parameters
    ----------
    regions : sequence of (label, condition)
        A condition takes two numpy arrays and returns a boolean array; earlier regions are drawn on top.
    x, y : str
        Names of the axes.
    largest : float
        Both axes run from 1 to this.
    pixels : int
        Resolution; it is a matter of drawing only, the conditions are exact.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = draw_regions([("below", lambda n, d: d <= n), ("above", lambda n, d: n <= d)], x="n", y="d")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['below', 'above']
    """
    if find_spec("matplotlib") is None:
        raise MissingDependency("matplotlib is not installed", remedy="pip install 'tensoralg[show]'")
    import numpy as np
    from matplotlib.figure import Figure

    ticks = np.geomspace(1, largest, pixels)
    across, up = np.meshgrid(ticks, ticks)
    owner = np.full(across.shape, -1)
    for k in reversed(range(len(regions))):
        owner[np.broadcast_to(regions[k][1](across, up), across.shape)] = k
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    axes.pcolormesh(across, up, owner, cmap="Pastel1", vmin=0, vmax=8, shading="nearest", rasterized=True)
    axes.contour(across, up, owner, levels=[k + 0.5 for k in range(len(regions) - 1)], colors="black", linewidths=1)
    for k, (label, _) in enumerate(regions):
        inside = owner == k
        if inside.any():
            right, high = (float(np.exp(np.log(axis[inside]).mean())) for axis in (across, up))
            axes.text(right, high, label, ha="center", va="center")
    return figure
