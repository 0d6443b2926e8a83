"""A last pass over a program: sums of products of matrices, and triangles, without arrays in between.

``x + y @ z`` is one operation for the libraries that multiply matrices.  Where nothing else needs x, the sum is written
over it, as a triangle of a product is written over the product; an input is written over at its last use.  All
of that only if the caller says so (see `lower.program`): gradients may need an input, and a transformation as
`vmap` may find x smaller than the sum.  Plans count arrays and operations one by one, so kernels that have to be
what was planned are left as they are.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from tensoralg.lower.lowering import freed
from tensoralg.lower.program import AddProduct, Binary, Program, Step, Triangle, operands_of
from tensoralg.lower.reuse import last_sums, origins, overwritable, single_products


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
    return replace(_in_place(_late(_sums(program))), fused=True)


def makes_new(program: Program, start: int) -> bool:
    """Return whether the results from a place on are arrays of their own, shared with no input and no other result."""
    origin = origins(program)
    found = [origin[name] for name in program.results]
    given = {step.name for step in program.steps if isinstance(step.op, AddProduct) and step.op.overwrites == "given"}
    return all(found.count(name) == 1 and name not in dict(program.inputs) for name in found[start:]) and bool(given)


def may_overwrite() -> bool:
    """Return whether a kernel may overwrite arrays: not while a compiler or a transformation of functions traces it."""
    return not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active()


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


def _late(program: Program) -> Program:
    """Return the program with steps that read only inputs right before their first reader, so that less is alive."""
    inputs = dict(program.inputs)
    waiting: dict[str, Step] = {}
    steps: list[Step] = []
    for step in program.steps:
        read = operands_of(step.op)
        if all(name in inputs for name in read) and step.name not in program.results:
            waiting[step.name] = step
            continue
        steps += [waiting.pop(name) for name in dict.fromkeys(read) if name in waiting]
        steps.append(step)
    return replace(program, steps=freed([*steps, *waiting.values()], program.results, {}))


def _in_place(program: Program) -> Program:
    """Return the program with sums and triangles that overwrite what nothing else needs."""
    fresh, last = overwritable(program), last_sums(program)

    def overwriting(step: Step) -> Step:
        op = step.op
        if isinstance(op, Triangle) and op.source in fresh:
            return replace(step, op=replace(op, in_place=True))
        if isinstance(op, AddProduct) and (op.added in fresh or step.name in last):
            return replace(step, op=replace(op, overwrites="fresh" if op.added in fresh else "given"))
        return step

    return replace(program, steps=tuple(map(overwriting, program.steps)))
