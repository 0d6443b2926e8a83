"""Dual numbers: the derivative of a definition in one direction, by running its plain loops on ``value + slope*e``.

It shares no code with the library: the loops are those of `exact`, and this module knows the derivative of a product,
a quotient and each function of one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import exact
import flint
from draws import one, product
from exact import Evaluator


class Dual:
    """A number ``value + slope*e`` with ``e*e = 0``."""

    def __init__(self, value: Any, slope: Any = 0) -> None:
        self.value, self.slope = value, slope

    def __add__(self, other: Any) -> Dual:
        other = as_dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other: Any) -> Dual:
        other = as_dual(other)
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, exponent: int) -> Dual:
        result = Dual(1)
        for _ in range(exponent):
            result = result * self
        return result


class Kink(ArithmeticError):
    """A relu at 0, which has no derivative there."""


def as_dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


def invert(x: Any) -> Dual:
    x = as_dual(x)
    over = exact.invert(x.value)
    return Dual(over, -1 * x.slope * over * over)


def exp(x: Any) -> Dual:
    x = as_dual(x)
    value = exact.exp(x.value)
    return Dual(value, value * x.slope)


def log(x: Any) -> Dual:
    x = as_dual(x)
    return Dual(exact.log(x.value), x.slope * exact.invert(x.value))


def sqrt(x: Any) -> Dual:
    x = as_dual(x)
    root = exact.sqrt(x.value)
    return Dual(root, x.slope * exact.invert(2 * root))


def relu(x: Any) -> Dual:
    x = as_dual(x)
    if not (x.value > 0 or x.value < 0):
        raise Kink
    return x if x.value > 0 else Dual(0)


RULES = {"invert": invert, "exp": exp, "log": log, "sqrt": sqrt, "relu": relu}


class Slopes:
    """The directional derivative of a definition; None where the definition has no value or no derivative."""

    def __init__(self, definition: Any) -> None:
        self.evaluator = Evaluator(definition)
        self.evaluator.value.__globals__.update(RULES)

    def at(self, sizes: Mapping[str, int], tensors: Mapping[str, Any], point: tuple[int, ...]) -> Any:
        with flint.ctx.workprec(exact.PRECISION):
            try:
                found = as_dual(self.evaluator.value(sizes, tensors, *point)).slope
            except (ZeroDivisionError, ArithmeticError):
                return None
        return None if isinstance(found, flint.arb) and not found.is_finite() else found


def moved(
    symbol: Any, tensors: Mapping[str, Any], symbols: Mapping[str, Any], sizes: Mapping[str, int], random: Random
) -> tuple[dict[str, Any], Any]:
    """Return the tensors as dual numbers, one of them moving in a random direction that its facts allow, and that.

    An inverse B of the moving matrix A moves by ``-B H B``.
    """
    direction = one(symbol, sizes, random, 3)
    slopes = {symbol.name: direction}
    for name, other in symbols.items():
        if other.inverse_of == symbol.name or symbol.inverse_of == name:
            step = product(product(tensors[name], direction), tensors[name])
            slopes[name] = [[-x for x in row] for row in step]
    return {
        name: joined(value, slopes[name]) if name in slopes else value for name, value in tensors.items()
    }, direction


def joined(value: Any, slope: Any) -> Any:
    if isinstance(value, list):
        return [joined(v, s) for v, s in zip(value, slope, strict=True)]
    return Dual(value, slope)
