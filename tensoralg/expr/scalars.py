"""The numbers of exact evaluation: rationals, and real balls that contain the value."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tensoralg.errors import EvaluationError


class Scalars:
    """The rationals: how numbers enter and what functions do to them."""

    def number(self, value: Fraction) -> Any:
        return value.numerator if value.denominator == 1 else value

    def invert(self, value: Any) -> Any:
        if value == 0:
            raise EvaluationError("a denominator is zero", remedy="choose values at which the expression is defined")
        return self.number(1 / Fraction(value))

    def relu(self, value: Any) -> Any:
        return max(value, 0)


class Balls(Scalars):
    """Real balls of a given precision; every result contains the exact value."""

    def __init__(self, precision: int) -> None:
        import flint

        self.flint = flint
        self.precision = precision

    def number(self, value: Fraction) -> Any:
        return self._run(lambda: self.flint.arb(self.flint.fmpq(value.numerator, value.denominator)))

    def _run(self, compute: Callable[[], Any]) -> Any:
        with self.flint.ctx.workprec(self.precision):
            value = compute()
        if not value.is_finite():
            raise EvaluationError("the value is not finite", remedy="choose values at which the expression is defined")
        return value

    def invert(self, value: Any) -> Any:
        if value.contains(0):
            raise EvaluationError(
                "a denominator may be zero", remedy="choose values where it is not, or more precision"
            )
        return self._run(lambda: 1 / value)

    def sqrt(self, value: Any) -> Any:
        if not value >= 0:
            raise EvaluationError("sqrt of a number that may be negative", remedy="choose values where it is defined")
        return self._run(value.sqrt)

    def exp(self, value: Any) -> Any:
        return self._run(value.exp)

    def log(self, value: Any) -> Any:
        if not value > 0:
            raise EvaluationError(
                "log of a number that may not be positive", remedy="choose values where it is defined"
            )
        return self._run(value.log)

    def relu(self, value: Any) -> Any:
        return self._run(lambda: value.max(self.flint.arb(0)))
