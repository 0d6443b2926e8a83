"""Models of hypotheses: exact tensors that satisfy them."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any

from tensoralg.errors import EvaluationError, Undecided
from tensoralg.proof.hypotheses import MOST_SIZES, is_exact, is_zero, residual
from tensoralg.proof.refute import Claim, affordable, draw, growing_sizes


def model(claim: Claim, seed: int = 0) -> tuple[dict[str, int], dict[str, Any]] | None:
    """Return sizes and exact tensors with the declared facts and hypotheses of a claim; None if none were found.

    A model shows that the hypotheses do not contradict each other.  Sizes above 1 are tried first: where every
    dimension is 1, hypotheses say little.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.proof.prove import state
    >>> x, one = (ta.parse(text, {"i": "n"}, free="i") for text in ("x[i]", "1"))
    >>> square, none = (ta.parse(text, {"i": "n"}, free="") for text in ("sum(i: x[i]*x[i])", "0"))
    >>> sizes, tensors = model(state(x, one, [(square, square)], None).claim)
    >>> sizes, len(tensors["x"])
    ({'n': 2}, 2)
    >>> print(model(state(x, one, [(x, one), (square, none)], None).claim))
    None
    """
    random = Random(seed)
    candidates = [sizes for sizes in islice(growing_sizes(claim), MOST_SIZES) if affordable(claim, sizes)]
    for sizes in sorted(candidates, key=lambda found: min(found.values(), default=1) == 1):
        try:
            tensors = draw(claim, sizes, random, largest=2)
            equations = [e for e in claim.hypotheses if not all(is_zero(x) for x in residual(e, tensors, sizes))]
        except (EvaluationError, Undecided):
            continue
        if not equations and all(is_exact(x) for array in tensors.values() for x in array.flat):
            return dict(sizes), tensors
    return None
