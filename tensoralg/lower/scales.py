"""Functions of sizes as Python text, and back.

Scales (``1/sqrt(d)``, ``n - 1``, ``3/4``) stand in the emitted source as ordinary arithmetic on the
sizes.  Reading the text gives the expression that it was written from.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy

from tensoralg.errors import InvalidExpression, ValidationFailed
from tensoralg.expr import Expr, evaluate, walk
from tensoralg.expr.nodes import Add, Apply, Mul, Near, Number, Pow, Size, add, apply, as_expr, mul, power

FUNCTIONS = {"sqrt": "math.sqrt", "exp": "math.exp", "log": "math.log"}


def reciprocal(x: float) -> float:
    """Return 1/x; nan for x = 0, as the mean over an empty axis is no number."""
    return 1 / x if x else math.nan


def sizes_in(expr: Expr) -> set[str]:
    """Return the names of the sizes that an expression mentions, widths of windows included."""
    nodes = list(walk(expr))
    widths = (sizes_in(node.width) for node in nodes if isinstance(node, Near))
    return {node.name for node in nodes if isinstance(node, Size)}.union(*widths)


def scale_text(expr: Expr, variables: Mapping[str, str]) -> str:
    """Return a function of sizes as Python text.

    Examples
    --------
    >>> from tensoralg.expr.nodes import Size, apply, power
    >>> scale_text(3 * power(apply("sqrt", Size("d")), -1), {"d": "d"})
    '3 * reciprocal(math.sqrt(d))'
    """
    if isinstance(expr, Number):
        number = expr.value
        return str(number) if number.denominator == 1 else f"{number.numerator} / {number.denominator}"
    if isinstance(expr, Size):
        return variables[expr.name]
    if isinstance(expr, Add):
        return " + ".join(scale_text(term, variables) for term in expr.terms)
    if isinstance(expr, Mul):
        return " * ".join(_factor(factor, variables) for factor in expr.factors)
    if isinstance(expr, Pow):
        if expr.exponent < 0:
            return f"reciprocal({scale_text(power(expr.base, -expr.exponent), variables)})"
        return f"{_atom(expr.base, variables)} ** {expr.exponent}"
    if isinstance(expr, Apply):
        inner = scale_text(expr.argument, variables)
        return f"max(0, {inner})" if expr.function == "relu" else f"{FUNCTIONS[expr.function]}({inner})"
    raise InvalidExpression(f"{expr} is no function of sizes", remedy="this is a fault of the planner")


def _factor(expr: Expr, variables: Mapping[str, str]) -> str:
    text = scale_text(expr, variables)
    rational = isinstance(expr, Number) and expr.value.denominator != 1
    return f"({text})" if isinstance(expr, Add) or rational else text


def _atom(expr: Expr, variables: Mapping[str, str]) -> str:
    text = scale_text(expr, variables)
    return text if isinstance(expr, Size) or (text.endswith(")") and isinstance(expr, Apply)) else f"({text})"


def read_scale(node: ast.expr, dimensions: Mapping[str, str]) -> Expr:
    """Return the expression that a piece of Python means; `dimensions` names the variables that are sizes.

    Raises
    ------
    ValidationFailed
        If it is anything else than arithmetic on sizes.
    """
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return as_expr(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return mul(as_expr(-1), read_scale(operand, dimensions))
        case ast.Name(id=name) if name in dimensions:
            return Size(dimensions[name])  # type: ignore[no-any-return]
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return mul(read_scale(left, dimensions), read_scale(right, dimensions))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return add(read_scale(left, dimensions), read_scale(right, dimensions))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _ratio(read_scale(left, dimensions), read_scale(right, dimensions))
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(exponent))):
            return power(read_scale(left, dimensions), exponent)
        case ast.Call(func=ast.Name(id="reciprocal"), args=[argument], keywords=[]):
            return _reciprocal(read_scale(argument, dimensions))
        case ast.Call(func=ast.Name(id="max"), args=[ast.Constant(value=0), argument], keywords=[]):
            return apply("relu", read_scale(argument, dimensions))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name), args=[argument], keywords=[]) if (
            name in FUNCTIONS
        ):
            return apply(name, read_scale(argument, dimensions))
    raise ValidationFailed(f"{ast.unparse(node)!r} is no function of sizes", remedy="emit it again")


def _ratio(left: Expr, right: Expr) -> Expr:
    if isinstance(left, Number) and isinstance(right, Number) and right.value != 0:
        return as_expr(Fraction(left.value, right.value))
    raise ValidationFailed(f"the quotient {left} / {right} in the source is no number", remedy="emit it again")


def _reciprocal(inner: Expr) -> Expr:
    if isinstance(inner, Pow) and inner.exponent > 0:
        return power(inner.base, -inner.exponent)
    return power(inner, -1)


def extent_text(dimension: Any, variables: Mapping[str, str]) -> str:
    """Return a (composite) dimension as Python text with integer value.

    Examples
    --------
    >>> from tensoralg.spaces import Space, Sym
    >>> extent_text(Sym(Space("V", "n"), 2).dimension, {"n": "n"})
    '(n**2 + n) // 2'
    """
    numerator, denominator = sympy.fraction(sympy.together(sympy.sympify(dimension)))
    renamed = {s: sympy.Symbol(variables[s.name]) for s in numerator.free_symbols}
    text = str(sympy.expand(numerator).subs(renamed, simultaneous=True))
    return text if denominator == 1 else f"({text}) // {denominator}"


def exact_scale(expr: Expr, sizes: Mapping[str, int]) -> tuple[float, float]:
    """Return a function of sizes as emitted Python computes it, and an upper bound of that value's error.

    Examples
    --------
    >>> from tensoralg.expr.nodes import Size, power
    >>> exact_scale(power(Size("d"), -1), {"d": 4})
    (0.25, 0.0)
    """
    import flint

    text = scale_text(expr, {name: name for name in sizes})
    computed = float(eval(text, {"math": math, "reciprocal": reciprocal}, dict(sizes)))
    if not math.isfinite(computed):
        return computed, math.inf
    needed = {name: sizes[name] for name in sizes_in(expr)}
    exact = evaluate(expr, needed, {}, precision=192)
    with flint.ctx.workprec(192):
        off = abs(exact - flint.arb(computed)).abs_upper()
    return computed, float(off) * (1 + 2.0**-50)
