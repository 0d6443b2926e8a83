"""The value of a graph of blocks on integers, by the definition of each block (an oracle for rewritten graphs)."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import sympy

import tensoralg as ta
from tensoralg.expr.arrays import all_dimensions
from tensoralg.plan.block import Block, Bundle, Contract, Leaf, Literal, Operand, Pointwise, Quotient, Total

RELATIONS = {"delta": lambda a, b: a == b, "le": lambda a, b: a <= b, "lt": lambda a, b: a < b}


def value(block: Block, inputs: dict[str, Any], sizes: dict[str, int]) -> Any:
    """Return the array of a block as numpy objects (exact integers and fractions)."""
    known: dict[Block, Any] = {}

    def of(current: Block) -> Any:
        if current not in known:
            known[current] = compute(current)
        return known[current]

    def extent(space: Any) -> int:
        return int(sympy.sympify(space.dimension).subs({ta.dims(name): size for name, size in sizes.items()}))

    def scaled(scale: ta.Expr) -> Any:
        return np.array(scale.evaluate({name: sizes[name] for name in all_dimensions(scale)}), dtype=object).item()

    def entry(operand: Operand, at: dict[int, int]) -> Any:
        return of(operand.block)[tuple(at[label] for label in operand.labels)]

    def fill(spaces: Any, of_position: Any) -> Any:
        result = np.empty([extent(space) for space in spaces], dtype=object)
        for position in product(*(range(extent(space)) for space in spaces)):
            result[position] = of_position(dict(enumerate(position)))
        return result

    def contract(current: Contract) -> Any:
        scale = scaled(current.scale)
        result = np.full([extent(space) for space in current.axes], 0, dtype=object)
        carried = {label for operand in current.factors for label in operand.labels} | set(current.output)
        labels = sorted(carried)
        for position in product(*(range(extent(current.spaces[label])) for label in labels)):
            at = dict(zip(labels, position, strict=True))
            term = scale
            for operand in current.factors:
                term = term * entry(operand, at)
            result[tuple(at[label] for label in current.output)] += term
        return result

    def compute(current: Block) -> Any:
        if isinstance(current, Leaf):
            return np.array(inputs[current.tensor.name], dtype=object)
        if isinstance(current, Literal):
            holds = RELATIONS[current.relation]
            return fill(current.axes, lambda at: int(holds(at[0], at[1])))
        if isinstance(current, Contract):
            return contract(current)
        if isinstance(current, Total):
            scales = [scaled(scale) for scale in current.scales]
            pairs = list(zip(current.terms, scales, strict=True))
            return fill(current.axes, lambda at: sum(scale * entry(term, at) for term, scale in pairs))
        if isinstance(current, Quotient):

            def quotient(at: dict[int, int]) -> Any:
                result = entry(current.numerator, at)
                for below in current.denominators:
                    result = result / entry(below, at)
                return result

            return fill(current.axes, quotient)
        if isinstance(current, Pointwise) and current.function == "pow":
            return of(current.argument) ** current.exponent
        if isinstance(current, Bundle):
            return tuple(of(part) for part in current.parts)
        raise NotImplementedError(type(current).__name__)

    return of(block)
