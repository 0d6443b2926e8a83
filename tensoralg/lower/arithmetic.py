"""Rounding: what one floating-point operation may do to a value.

With unit roundoff u, a computed ``x + y``, ``x - y``, ``x * y``, ``x / y`` or ``sqrt(x)`` has a relative error
of at most u, and an absolute one of at most the smallest normal number where it underflows.  A sum of k
products in any order has an error of at most ``gamma_k = k u / (1 - k u)`` times the sum of the absolute
products if ``k u < 1`` (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM
2002, lemma 3.1 and section 3.1); else nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from tensoralg.errors import UnknownName, suggest

FUNCTION_ULPS = 4
"""Assumed accuracy of exp, log and powers: units in the last place by which a result may be off."""

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Arithmetic:
    """Unit roundoffs and range of a floating-point format on a device.

    Parameters
    ----------
    unit : float
        Roundoff of one operation.
    operand : float
        Roundoff of the operands of a contraction, when it is run in a narrower format (TF32).
    accumulation : float
        Roundoff of one step of a sum.
    output : float
        Roundoff of the finished sum.
    tiny, largest : float
        Smallest and largest normal number.
    assumptions : tuple of str
        What is taken for granted.
    """

    unit: float
    operand: float
    accumulation: float
    output: float
    tiny: float
    largest: float
    assumptions: tuple[str, ...]

    @property
    def function(self) -> float:
        """The relative error of a computed exp, log or power."""
        return 2 * FUNCTION_ULPS * self.unit

    @property
    def inner(self) -> float:
        """Roundoff of one operation inside a fused one, which computes in float32 or better."""
        return min(self.unit, 2.0**-24)

    def gamma(self, terms: int) -> float:
        """Return the relative error of a sum of products in any order; infinite where `terms * u >= 1`.

        Examples
        --------
        >>> arithmetic("bfloat16", "cpu").gamma(256), arithmetic("bfloat16", "cpu").gamma(128)
        (inf, 1.0)
        """
        return gamma(terms, self.accumulation)


def gamma(terms: int, unit: float) -> float:
    """Return ``k u / (1 - k u)``, or infinity."""
    total = terms * unit
    return total / (1 - total) if total < 1 else math.inf


def dtype_of(name: str | torch.dtype) -> torch.dtype:
    """Return a dtype from its name.

    Raises
    ------
    UnknownName
        If it is not float64, float32 or bfloat16.
    """
    key = str(name).removeprefix("torch.")
    if key not in DTYPES:
        raise UnknownName(f"no error bounds for dtype {key!r}", remedy=suggest(key, DTYPES), name=key)
    return DTYPES[key]


def arithmetic(name: str | torch.dtype, device: str) -> Arithmetic:
    """Return the arithmetic of a dtype on a device as torch is set up now."""
    dtype = dtype_of(name)
    info = torch.finfo(dtype)
    unit = info.eps / 2
    operand, note = _narrowing(dtype, device)
    assumptions = (
        f"+ - * / sqrt of {dtype} round to nearest (unit roundoff {unit:.3g}); subnormal results may become 0",
        "sums of products are conventional, in any order, with or without fused multiply-add",
        f"sums of {dtype} are accumulated in {dtype} or better",
        f"exp, log and powers are off by at most {FUNCTION_ULPS} units in the last place",
        "attention as one operation computes in float32 or better, its weights rounded to the format or not",
        *note,
    )
    return Arithmetic(unit, operand, unit, 0.0, info.tiny, info.max, assumptions)


def _narrowing(dtype: torch.dtype, device: str) -> tuple[float, tuple[str, ...]]:
    """Return the roundoff of the operands of float32 contractions, which torch may run in TF32 or bfloat16."""
    setting = torch.get_float32_matmul_precision()
    if torch.device(device).type == "cuda" and torch.backends.cuda.matmul.allow_tf32 and setting == "highest":
        setting = "high"
    if dtype != torch.float32 or setting == "highest":
        return 0.0, ()
    unit = 2.0**-11 if setting == "high" else 2.0**-8
    return unit, (f"operands of float32 contractions are rounded to {unit:.3g} (matmul precision {setting!r})",)
