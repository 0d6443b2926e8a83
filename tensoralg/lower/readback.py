"""Torch source read back as programs.

The emitted text is parsed with `ast` and every statement matched against the few forms that
:mod:`tensoralg.lower.emit` writes; anything else is refused.  What is validated is the program that
the text says, so a fault of the emitter cannot hide.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy

from tensoralg.errors import ValidationFailed
from tensoralg.lower.emit import RECIPROCAL, emit_choice
from tensoralg.lower.helpers import TEXTS
from tensoralg.lower.loops import LOOP_TEXTS, read_loop
from tensoralg.lower.operations import OperationReader, refused, same
from tensoralg.lower.program import (
    FLAGS,
    RESERVED,
    Axes,
    Op,
    Program,
    SizeSource,
    Step,
    size_variable,
    symbols_of,
)
from tensoralg.lower.reuse import is_constant
from tensoralg.spaces import VectorSpace

CARRIED = {"reciprocal": RECIPROCAL, **TEXTS, **LOOP_TEXTS}
HEAD = ("from __future__ import annotations", "import math", "import torch")


def read_source(
    source: str, spaces: Iterable[VectorSpace], dimensions: Iterable[str], costs: Sequence[sympy.Expr]
) -> tuple[Program, ...]:
    """Return the programs that an emitted module says.

    Parameters
    ----------
    source : str
        The text, as `emit` writes it.
    spaces : iterable of VectorSpace
        The spaces that annotations may name.
    dimensions : iterable of str
        The dimensions whose sizes may be fixed.
    costs : sequence of sympy.Expr
        The costs by which the module has to choose among several programs.

    Raises
    ------
    ValidationFailed
        If the text is anything else than an emitted module.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ValidationFailed(f"the source is no Python: {error}", remedy="emit it again") from error
    known = {str(space): space for space in spaces}
    names = tuple(dimensions)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name not in CARRIED]
    several = len(functions) > 1
    named = [f"operator_{k}" for k in range(len(functions) - 1)] + ["operator"]
    if [f.name for f in functions] != named:
        raise ValidationFailed(f"the source defines {[f.name for f in functions]}", remedy="emit it again")
    programs = tuple(_Reader(known, names).function(f) for f in (functions[:-1] if several else functions))
    if several and not same(functions[-1], emit_choice(programs, costs)):
        raise ValidationFailed("the choice among the programs is not by their costs", remedy="emit it again")
    for node in tree.body:
        harmless = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not harmless and node not in functions and not any(same(node, text) for text in (*HEAD, *CARRIED.values())):
            raise refused(node)
    return programs


class _Reader(OperationReader):
    """Reads one function."""

    def function(self, node: ast.FunctionDef) -> Program:
        tensors, fused = self.arguments(node.args)
        for argument in tensors:
            self.axes[argument.arg] = self.annotation(argument.annotation)
            self.inputs.append(argument.arg)
        inputs = tuple((name, self.axes[name]) for name in self.inputs)
        *statements, last = node.body
        while statements:
            match statements[0]:
                case ast.Assign(targets=[ast.Name(id=variable)], value=value):
                    self.size(variable, value)
                    statements.pop(0)
                case _:
                    break
        steps = self.block(statements)
        return Program(inputs, tuple(self.sizes), tuple(steps), self.results(last), fused)

    def block(self, statements: Sequence[ast.stmt]) -> list[Step]:
        """Read steps, each with what is deleted after it; a loop is the two statements that make and fill an array."""
        steps: list[Step] = []
        pending = iter(statements)
        for statement in pending:
            match statement:
                case ast.AnnAssign(
                    target=ast.Name(id=name), annotation=annotation, value=ast.Call(func=ast.Name(id="zeros"))
                ) if not self.variables:
                    axes = self.annotation(annotation)
                    op: Op = read_loop(self, name, statement, next(pending, statement), axes)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                    axes = self.annotation(annotation)
                    op = self.operation(value, axes)
                case ast.Delete(targets=targets) if steps and not steps[-1].frees:
                    steps[-1] = replace(steps[-1], frees=tuple(self.free(target) for target in targets))
                    continue
                case _:
                    raise refused(statement)
            self.fresh(name, statement)
            self.axes[name] = axes
            if is_constant(op, self.constant):
                self.constant.add(name)
            steps.append(Step(name, axes, op))
        return steps

    def fresh(self, name: str, node: ast.AST) -> None:
        """Refuse a name that means something already."""
        if name in self.axes or name in self.freed or name in self.dimensions or name in self.variables:
            raise refused(node)
        if name in RESERVED:
            raise refused(node)

    def arguments(self, node: ast.arguments) -> tuple[list[ast.arg], bool]:
        """Read the arguments, and whether flags stand behind them that say what may be overwritten."""
        flags = [f"{flag}: bool=False" for flag in FLAGS]
        fused = [text.strip() for text in ast.unparse(node).split(",")[-len(flags) :]] == flags
        count = len(node.args) - len(flags) if fused else len(node.args)
        if (
            node.posonlyargs
            or node.kwonlyargs
            or node.vararg
            or node.kwarg
            or len(node.defaults) + count != len(node.args)
        ):
            raise refused(node)
        return node.args[:count], fused

    def results(self, node: ast.stmt) -> tuple[str, ...]:
        """Read ``return x`` or ``return x, y``."""
        match node:
            case ast.Return(value=ast.Name() as result):
                return (self.name(result),)
            case ast.Return(value=ast.Tuple(elts=[_, _, *_] as elements)):
                return tuple(self.name(element) for element in elements)
        raise refused(node)

    def free(self, node: ast.expr) -> str:
        """Read a value that is deleted: it is not there any more, and its name is not used again."""
        name = self.name(node)
        if name in self.inputs:
            raise refused(node)
        del self.axes[name]
        self.freed.add(name)
        return name

    def annotation(self, node: ast.expr | None) -> Axes:
        axes = []
        if not isinstance(node, ast.List):
            raise ValidationFailed("a value has no axes written beside it", remedy="emit it again")
        for element in node.elts:
            match element:
                case ast.Constant(value=str(name)) if name in self.spaces:
                    axes.append(self.spaces[name])
                case _:
                    raise refused(element)
        return tuple(axes)

    def size(self, variable: str, node: ast.expr) -> None:
        match node:
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id=tensor), attr="shape"), slice=axis):
                position = self.integer(axis)
                if tensor not in self.inputs or not -len(self.axes[tensor]) <= position < 0:
                    raise refused(node)
                found = symbols_of([self.axes[tensor][position]])
                if {str(self.axes[tensor][position].dimension)} != found:
                    raise refused(node)
                source = SizeSource(found.pop(), tensor, position)
            case ast.Constant(value=int(value)):
                found = {s for s in self.names if size_variable(self.inputs, s) == variable}
                if len(found) != 1:
                    raise refused(node)
                source = SizeSource(found.pop(), "", value)
            case _:
                raise refused(node)
        if size_variable(self.inputs, source.dimension) != variable or variable in self.dimensions:
            raise refused(node)
        self.sizes.append(source)
        self.dimensions[variable] = source.dimension
