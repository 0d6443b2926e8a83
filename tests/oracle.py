"""The oracle: a tiny interpreter of expressions, by loops over all indices in exact arithmetic.

It shares no code with the library's own evaluation: every node is computed from its definition, one
entry at a time, summing over every index in turn.  Slow and obvious.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy

Value = int | Fraction


def oracle(expr: Any, sizes: Mapping[str, int], tensors: Mapping[str, Any]) -> dict[tuple[int, ...], Value]:
    """Return the exact value of `expr` at every position of its free indices, in order.

    Parameters
    ----------
    expr : Expr
        Anything without exp, log and sqrt of what is no perfect square.
    sizes : mapping of str to int
        The size of every dimension symbol.
    tensors : mapping of str to nested lists
        The entries of every tensor, in leg order.
    """
    free = expr.free_indices
    extents = [extent(index.space, sizes) for index in free]
    names = [index.name for index in free]
    return {
        place: value(expr.body, dict(zip(names, place, strict=True)), sizes, tensors)
        for place in itertools.product(*map(range, extents))
    }


def extent(space: Any, sizes: Mapping[str, int]) -> int:
    """Return the number of basis vectors of a space."""
    dimension = sympy.sympify(space.dimension)
    return int(dimension.subs({symbol: sizes[symbol.name] for symbol in dimension.free_symbols}))


def position(term: Any, at: Mapping[str, int], sizes: Mapping[str, int]) -> int:
    """Return where in the basis an index term stands."""
    if hasattr(term, "parts"):
        place = 0
        for part in term.parts:
            place = place * extent(part.space, sizes) + position(part, at, sizes)
        return place
    if hasattr(term, "term"):
        before = sum(extent(summand, sizes) for summand in term.space.summands[: term.position])
        return before + position(term.term, at, sizes)
    return at[term.name]


def value(node: Any, at: Mapping[str, int], sizes: Mapping[str, int], tensors: Mapping[str, Any]) -> Value:
    """Return the value of a term where every free index has the given position."""

    def inner(child: Any) -> Value:
        return value(child, at, sizes, tensors)

    match node.kind:
        case "number":
            return node.value
        case "size":
            return sizes[node.name]
        case "entry":
            entry = tensors[node.tensor.name]
            for term in node.args:
                entry = entry[position(term, at, sizes)]
            return entry
        case "delta":
            return int(position(node.left, at, sizes) == position(node.right, at, sizes))
        case "mask":
            left, right = position(node.left, at, sizes), position(node.right, at, sizes)
            return int(left < right if node.strict else left <= right)
        case "near":
            left, right = position(node.left, at, sizes), position(node.right, at, sizes)
            return int(right - inner(node.width) < left <= right)
        case "decay":
            return decay(node, at, sizes, tensors)
        case "add":
            total: Value = 0
            for term in node.terms:
                total += inner(term)
            return total
        case "mul":
            product: Value = 1
            for factor in node.factors:
                product *= inner(factor)
            return product
        case "pow":
            return Fraction(inner(node.base)) ** node.exponent
        case "apply":
            return function(node.function, inner(node.argument))
        case "bind":
            names = [index.name for index in node.indices]
            ranges = [range(extent(index.space, sizes)) for index in node.indices]
            total = 0
            for place in itertools.product(*ranges):
                total += value(node.summand, {**at, **dict(zip(names, place, strict=True))}, sizes, tensors)
            return total
    raise NotImplementedError(node.kind)


def function(name: str, x: Value) -> Value:
    """Return relu or the square root of a perfect square exactly, other values as floats."""
    if name in ("exp", "log"):
        return getattr(math, name)(x)
    if name == "relu":
        return x if x > 0 else 0
    if name == "sqrt":
        numerator, denominator = Fraction(x).as_integer_ratio()
        root = Fraction(int(sympy.integer_nthroot(numerator, 2)[0]), int(sympy.integer_nthroot(denominator, 2)[0]))
        if root * root == x:
            return root
    return math.sqrt(x)


def decay(node: Any, at: Mapping[str, int], sizes: Mapping[str, int], tensors: Mapping[str, Any]) -> Value:
    """Return the product of a gate over earlier < r <= later, the latest on the left; 0 if earlier > later."""
    gate = tensors[node.tensor.name]
    clock = node.times[0].space if node.times else node.tensor.legs[0]
    steps = extent(clock, sizes)
    later = steps - 1 if isinstance(node.later, str) else position(node.later, at, sizes)
    earlier = -1 if isinstance(node.earlier, str) else position(node.earlier, at, sizes)
    channel = [position(term, at, sizes) for term in node.args]
    if earlier > later:
        return 0
    if len(channel) == 2:
        row = [int(k == channel[0]) for k in range(extent(node.args[0].space, sizes))]
        for r in range(later, earlier, -1):
            row = [sum(row[k] * gate[r][k][c] for k in range(len(row))) for c in range(len(row))]
        return row[channel[1]]
    product: Value = 1
    for r in range(earlier + 1, later + 1):
        here = gate[r] if node.tensor.legs else gate
        for c in channel:
            here = here[c]
        product *= here
    return product
