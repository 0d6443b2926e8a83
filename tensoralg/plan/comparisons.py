"""Comparisons of polynomials in the sizes, read from text (as Python's own grammar, never run) and from sympy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import sympy
from sympy.logic.boolalg import BooleanTrue

from tensoralg.errors import InvalidExpression
from tensoralg.plan.polynomial import Polynomial
from tensoralg.spaces import dims

Comparison: TypeAlias = "tuple[Any, str, Any]"
RELATIONS = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "=="}


def sides(found: Any) -> Comparison:
    """Return the sides of a sympy relation and what stands between them."""
    if found.rel_op not in RELATIONS.values():
        raise InvalidExpression(f"{found} is no comparison of amounts", remedy="compare with <= < >= > or Eq")
    return found.lhs, found.rel_op, found.rhs


def conditions(condition: Any) -> Iterator[tuple[Polynomial, str, Polynomial, str]]:
    """Yield the larger side, ``>=``, ``>`` or ``==``, the smaller side and the text of every comparison."""
    parts = condition if isinstance(condition, list | tuple) else [condition]
    for part in parts:
        for lhs, relation, rhs in _read(part):
            one, other = (side if isinstance(side, Polynomial) else Polynomial.of(side) for side in (lhs, rhs))
            text = f"{one} {relation} {other}"
            if relation in ("<=", "<"):
                one, other, relation = other, one, {"<=": ">=", "<": ">"}[relation]
            yield one, relation, other, text


def _read(condition: Any) -> list[Comparison]:
    """Return the comparisons that a condition is."""
    if isinstance(condition, str):
        return comparisons(condition)
    if isinstance(condition, sympy.And | BooleanTrue):
        return [found for part in condition.args for found in _read(part)]
    if isinstance(condition, sympy.core.relational.Relational):
        return [sides(condition)]
    raise InvalidExpression(f"{condition!r} is no comparison of sizes", remedy='write for example "n >= d"')


def comparisons(text: str) -> list[tuple[Polynomial, str, Polynomial]]:
    """Return the comparisons of polynomials that a text holds."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):  # the latter for characters that no text has
        raise InvalidExpression(f"{text!r} is no comparison of sizes", remedy='write for example "n >= d"') from None
    found = []
    for node in tree.elts if isinstance(tree, ast.Tuple) else [tree]:
        if not isinstance(node, ast.Compare) or any(type(op) not in RELATIONS for op in node.ops):
            raise InvalidExpression(f"{text!r} is no comparison of sizes", remedy='write for example "n >= d"')
        sides = [_polynomial(side, text) for side in (node.left, *node.comparators)]
        found += [(a, RELATIONS[type(op)], b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
    return found


def _polynomial(node: ast.expr, text: str) -> Polynomial:
    """Return the polynomial that a piece of a text says."""
    match node:
        case ast.Name(id=name):
            return Polynomial.of(dims(name))
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return Polynomial.constant(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _polynomial(operand, text) * -1
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            sign = 1 if isinstance(op, ast.Add) else -1
            return _polynomial(left, text) + _polynomial(right, text) * sign
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _polynomial(left, text) * _polynomial(right, text)
        case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=int(value))) if value:
            return _polynomial(left, text) * Fraction(1, value)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(value))) if 0 <= value < 100:
            return _polynomial(left, text) ** value
    raise InvalidExpression(
        f"{ast.unparse(node)!r} in {text!r} is no polynomial in the sizes", remedy="use sizes, numbers, + - * and **"
    )


def amount(text: str) -> Any:
    """Return a number of elements or operations that a text says, a polynomial in the sizes, as a sympy expression.

    Raises
    ------
    InvalidExpression
        If it says none.

    Examples
    --------
    >>> amount("120"), amount("n*d + d**2")
    (120, d**2 + d*n)
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise InvalidExpression(
            f"{text!r} is no polynomial in the sizes", remedy='write 4096 or "n*d + d**2"'
        ) from None
    return _polynomial(tree, text).sympy()
