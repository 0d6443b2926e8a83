"""A last pass over a program: sums of products of matrices, and triangles, without arrays in between.

``x + y @ z`` is one operation for the libraries that multiply matrices, and a triangle of a product overwrites it.
Plans count arrays and operations one by one, so kernels that have to be what was planned are left as they are.
"""

from __future__ import annotations

from dataclasses import replace

from tensoralg.lower.lowering import freed
from tensoralg.lower.program import AddProduct, Binary, Program, Step, Triangle, overwritable, single_products


def fuse(program: Program) -> Program:
    """Return a program for the same results with products added at once and triangles of products taken in place.

    Examples
    --------
    >>> from tensoralg.lower.program import Arg, Einsum
    >>> from tensoralg.spaces import Space
    >>> square = (Space("T", "n"),) * 2
    >>> product = Step("x0", square, Einsum(("A", "B"), ((0, 1), (1, 2)), (0, 2)))
    >>> last = Step("x1", square, Binary("+", Arg("C", (0, 1)), Arg("x0", (0, 1))), ("x0",))
    >>> (step,) = fuse(Program(tuple((name, square) for name in "ABC"), (), (product, last), ("x1",))).steps
    >>> step.op.added, step.op.product.operands
    ('C', ('A', 'B'))
    """
    return _in_place(_sums(program))


def _sums(program: Program) -> Program:
    """Return the program with every product of matrices that is only added to a value added at once."""
    products = single_products(program)
    done: dict[str, Step] = {}
    for step in program.steps:
        done[step.name] = step
        op, rank = step.op, len(step.axes)
        if not (isinstance(op, Binary) and op.symbol == "+" and len(op.left.places) == len(op.right.places) == rank):
            continue
        for product, added in ((op.right.name, op.left.name), (op.left.name, op.right.name)):
            if product in products:
                done[step.name] = replace(step, op=AddProduct(added, products[product]))
                del done[product]
                break
    return replace(program, steps=freed(list(done.values()), program.results, {}))


def _in_place(program: Program) -> Program:
    """Return the program with triangles that overwrite the product they are taken from."""
    free = overwritable(program)
    steps = (
        replace(step, op=replace(step.op, in_place=True))
        if isinstance(step.op, Triangle) and step.op.source in free
        else step
        for step in program.steps
    )
    return replace(program, steps=tuple(steps))
