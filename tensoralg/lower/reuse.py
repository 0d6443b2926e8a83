"""What the steps of a program read, own and make anew: what decides where fused programs may overwrite.

A *fresh* value is an array that the program made and nobody else holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping

from tensoralg.lower.program import (
    AddProduct,
    Axes,
    Einsum,
    Indicator,
    Literal,
    One,
    Op,
    Program,
    is_free,
    matrix_product,
    operands_of,
)


def overwritable(program: Program) -> set[str]:
    """Return the values that may be overwritten by the one step that reads them.

    They are products of matrices and sums with them: new arrays, which no view shares and which no gradient needs.

    Examples
    --------
    >>> from tensoralg.lower.program import Step, Triangle
    >>> from tensoralg.spaces import Space
    >>> square = (Space("T", "n"),) * 2
    >>> product = Step("x0", square, Einsum(("A", "A"), ((0, 1), (1, 2)), (0, 2)))
    >>> last = Step("x1", square, Triangle("x0", lower=True, strict=False))
    >>> overwritable(Program((("A", square),), (), (product, last), ("x1",)))
    {'x0'}
    """
    sums = {step.name for step in program.steps if isinstance(step.op, AddProduct)}
    once = {name for name, count in reads(program).items() if count == 1}
    return ((sums & once) | set(single_products(program))) - set(program.results)


def last_sums(program: Program) -> set[str]:
    """Return the steps that add a product to an input which nothing else needs from then on, nor a view of it.

    Examples
    --------
    >>> from tensoralg.lower.program import Step
    >>> from tensoralg.spaces import Space
    >>> square = (Space("T", "n"),) * 2
    >>> first = Step("x0", square, AddProduct("S", Einsum(("A", "A"), ((0, 1), (1, 2)), (0, 2))))
    >>> second = Step("x1", square, AddProduct("S", Einsum(("A", "x0"), ((0, 1), (1, 2)), (0, 2))))
    >>> last_sums(Program((("A", square), ("S", square)), (), (first, second), ("x0", "x1")))
    {'x1'}
    """
    origin = origins(program)
    found, needed = set(), {origin[name] for name in program.results}
    for step in reversed(program.steps):
        op = step.op
        if isinstance(op, AddProduct) and op.added in dict(program.inputs):
            read = {origin[name] for name in op.product.operands}
            if op.added not in needed | read:
                found.add(step.name)
        needed |= {origin[name] for name in operands_of(op)}
    return found


def origins(program: Program) -> dict[str, str]:
    """Return, for every value, the value whose array it is: its own, or that of which it is a view.

    Examples
    --------
    >>> from tensoralg.lower.program import Step
    >>> from tensoralg.spaces import Space
    >>> square = (Space("T", "n"),) * 2
    >>> transpose = Step("x0", square, Einsum(("A",), ((0, 1),), (1, 0)))
    >>> origins(Program((("A", square),), (), (transpose,), ("x0",)))
    {'A': 'A', 'x0': 'A'}
    """
    found = {name: name for name, _ in program.inputs}
    for step in program.steps:
        view = is_free(step.op) and not isinstance(step.op, Literal | Indicator | One)
        found[step.name] = found[operands_of(step.op)[0]] if view else step.name
    return found


def plain_product(op: Einsum, axes: Mapping[str, Axes], constant: Container[str]) -> bool:
    """Return whether a contraction multiplies matrices with one batch axis each if the inputs have one batch axis.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> op, square = Einsum(("x", "y"), ((0, 1), (1, 2)), (0, 2)), (Space("T", "n"),) * 2
    >>> plain_product(op, {"x": square, "y": square}, set()), plain_product(op, {"x": square, "y": square}, {"y"})
    (True, False)
    """
    matrices = all(len(axes[name]) == 2 and name not in constant for name in op.operands)
    return matrices and matrix_product(op) is not None


def is_constant(op: Op, constant: Container[str]) -> bool:
    """Return whether a value depends on no input, as far as its batch axes go: it has none."""
    return all(name in constant for name in operands_of(op))


def reads(program: Program) -> Counter[str]:
    """Return how often every value is read, as an operand or as a result."""
    return Counter([name for step in program.steps for name in operands_of(step.op)] + list(program.results))


def single_products(program: Program) -> dict[str, Einsum]:
    """Return the products of matrices that are read once, as an operand or as a result."""
    count = reads(program)
    return {
        step.name: step.op
        for step in program.steps
        if isinstance(step.op, Einsum) and matrix_product(step.op) is not None and count[step.name] == 1
    }
