"""Torch source read back as programs.

The emitted text is parsed with `ast` and every statement matched against the few forms that
:mod:`tensoralg.lower.emit` writes; anything else is refused.  What is validated is the program that
the text says, so a fault of the emitter cannot hide.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from string import ascii_letters
from typing import NoReturn

import sympy

from tensoralg.errors import ValidationFailed
from tensoralg.lower.emit import RECIPROCAL, emit_choice, triangle_text
from tensoralg.lower.helpers import TEXTS
from tensoralg.lower.program import (
    FLAGS,
    AddProduct,
    Arg,
    Axes,
    Binary,
    Einsum,
    Function,
    Indicator,
    Literal,
    One,
    Op,
    Paths,
    Power,
    Program,
    Repeat,
    Scale,
    SizeSource,
    Softmax,
    Split,
    Step,
    Take,
    Triangle,
    Where,
    size_variable,
    symbols_of,
)
from tensoralg.lower.scales import extent_text, read_scale
from tensoralg.spaces import DirectSum, TensorProduct, VectorSpace

SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Div: "/"}
FUNCTIONS = ("exp", "log", "sqrt", "relu")
DECAYS = {
    "decay_between": (True, True),
    "cumprod": (True, False),
    "decay_to_end": (False, True),
    "prod": (False, False),
    "matrix_decay_between": (True, True),
    "matrix_decay_from_start": (True, False),
    "matrix_decay_to_end": (False, True),
    "matrix_decay_whole": (False, False),
}
CARRIED = {"reciprocal": RECIPROCAL, **TEXTS}
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
    if several and not _same(functions[-1], emit_choice(programs, costs)):
        raise ValidationFailed("the choice among the programs is not by their costs", remedy="emit it again")
    for node in tree.body:
        harmless = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not harmless and node not in functions and not any(_same(node, text) for text in (*HEAD, *CARRIED.values())):
            _refuse(node)
    return programs


def _same(node: ast.AST, text: str) -> bool:
    return ast.unparse(node) == ast.unparse(ast.parse(text))


def _refuse(node: ast.AST) -> NoReturn:
    raise ValidationFailed(f"the source says what no program says: {ast.unparse(node)}", remedy="emit it again")


class _Reader:
    """Reads one function."""

    def __init__(self, spaces: Mapping[str, VectorSpace], names: Sequence[str]) -> None:
        self.spaces = spaces
        self.names = names
        self.axes: dict[str, Axes] = {}
        self.freed: set[str] = set()
        self.inputs: list[str] = []
        self.sizes: list[SizeSource] = []
        self.dimensions: dict[str, str] = {}

    def function(self, node: ast.FunctionDef) -> Program:
        tensors, fused = self.arguments(node.args)
        for argument in tensors:
            self.axes[argument.arg] = self.annotation(argument.annotation)
            self.inputs.append(argument.arg)
        inputs = tuple((name, self.axes[name]) for name in self.inputs)
        steps: list[Step] = []
        *statements, last = node.body
        for statement in statements:
            match statement:
                case ast.Assign(targets=[ast.Name(id=variable)], value=value) if not steps:
                    self.size(variable, value)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                    axes = self.annotation(annotation)
                    op = self.operation(value, axes)
                    if name in self.axes or name in self.freed or name in self.dimensions:
                        _refuse(statement)
                    self.axes[name] = axes
                    steps.append(Step(name, axes, op))
                case ast.Delete(targets=targets) if steps and not steps[-1].frees:
                    steps[-1] = replace(steps[-1], frees=tuple(self.free(target) for target in targets))
                case _:
                    _refuse(statement)
        return Program(inputs, tuple(self.sizes), tuple(steps), self.results(last), fused)

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
            _refuse(node)
        return node.args[:count], fused

    def results(self, node: ast.stmt) -> tuple[str, ...]:
        """Read ``return x`` or ``return x, y``."""
        match node:
            case ast.Return(value=ast.Name() as result):
                return (self.name(result),)
            case ast.Return(value=ast.Tuple(elts=[_, _, *_] as elements)):
                return tuple(self.name(element) for element in elements)
        _refuse(node)

    def free(self, node: ast.expr) -> str:
        """Read a value that is deleted: it is not there any more, and its name is not used again."""
        name = self.name(node)
        if name in self.inputs:
            _refuse(node)
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
                    _refuse(element)
        return tuple(axes)

    def size(self, variable: str, node: ast.expr) -> None:
        match node:
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id=tensor), attr="shape"), slice=axis):
                position = self.integer(axis)
                if tensor not in self.inputs or not -len(self.axes[tensor]) <= position < 0:
                    _refuse(node)
                found = symbols_of([self.axes[tensor][position]])
                if {str(self.axes[tensor][position].dimension)} != found:
                    _refuse(node)
                source = SizeSource(found.pop(), tensor, position)
            case ast.Constant(value=int(value)):
                found = {s for s in self.names if size_variable(self.inputs, s) == variable}
                if len(found) != 1:
                    _refuse(node)
                source = SizeSource(found.pop(), "", value)
            case _:
                _refuse(node)
        if size_variable(self.inputs, source.dimension) != variable or variable in self.dimensions:
            _refuse(node)
        self.sizes.append(source)
        self.dimensions[variable] = source.dimension

    # expressions

    def integer(self, node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return -value
        _refuse(node)

    def name(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name) if name in self.axes:
                return name
        _refuse(node)

    def place(self, node: ast.expr, rank: int) -> Arg:
        """Read ``x[..., :, None]``."""
        match node:
            case ast.Name():
                return Arg(self.name(node), tuple(range(rank)))
            case ast.Subscript(value=inner, slice=ast.Tuple(elts=[ast.Constant(value=first), *pattern])) if (
                first is Ellipsis and len(pattern) == rank
            ):
                kept = tuple(axis for axis, item in enumerate(pattern) if isinstance(item, ast.Slice))
                if all(ast.unparse(item) in (":", "None") for item in pattern):
                    return Arg(self.name(inner), kept)
        _refuse(node)

    def is_extent(self, node: ast.expr, space: VectorSpace) -> bool:
        return self.says(node, space.dimension)

    def says(self, node: ast.expr, dimension: sympy.Expr) -> bool:
        """Whether a piece of the source is the given (composite) dimension."""
        variables = {dimension: variable for variable, dimension in self.dimensions.items()}
        if not {s.name for s in sympy.sympify(dimension).free_symbols} <= set(variables):
            return False
        return _same(node, extent_text(dimension, variables))

    def like(self, node: ast.Call, kinds: Sequence[str]) -> bool:
        """Whether dtype and device are those of the first input, and nothing else is asked for."""
        wanted = [f"{kind}={self.inputs[0]}.{kind}" for kind in kinds] if self.inputs else []
        return [f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords] == wanted

    def operation(self, node: ast.expr, axes: Axes) -> Op:
        rank = len(axes)
        match node:
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                return self.matrix_product(node, left, right)
            case ast.Attribute(value=ast.Name() as source, attr="mT"):
                return self.transposition(node, self.name(source))
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Subscript() as right):
                return self.entrywise(node, left, right, rank)
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Name() as right) if right.id in self.axes:
                return self.entrywise(node, left, right, rank)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return Scale(self.name(left), read_scale(right, self.dimensions))
            case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in SYMBOLS:
                return Binary(SYMBOLS[type(symbol)], self.place(left, rank), self.place(right, rank))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr=function)):
                return self.torch_call(function, node, axes)
            case ast.Call(func=ast.Name(id="product"), args=[left, right], keywords=[]):
                return self.matrix_product(node, left, right)
            case ast.Call(func=ast.Name(id="add_product"), args=[added, left, right, *flag], keywords=[]):
                return AddProduct(self.name(added), self.matrix_product(node, left, right), self.flag(node, flag))
            case ast.IfExp(orelse=other):
                return self.overwriting_triangle(node, self.operation(other, axes))
            case ast.Call(func=ast.Name(id=function)) if function in DECAYS:
                return self.paths(function, node, axes)
            case ast.Call(func=ast.Attribute(attr=method)):
                return self.method_call(method, node, axes)
        _refuse(node)

    def torch_call(self, function: str, node: ast.Call, axes: Axes) -> Op:
        rank = len(axes)
        match function, node.args:
            case "einsum", [ast.Constant(value=str(text)), *operands] if not node.keywords:
                return self.einsum(node, text, [self.name(o) for o in operands])
            case "where", [mask, source, ast.Constant(value=0)] if not node.keywords:
                return Where(self.place(mask, rank), self.place(source, rank))
            case "softmax", [inner] if [k.arg for k in node.keywords] == ["dim"]:
                masks: tuple[Arg, ...] = ()
                while isinstance(inner, ast.Call):
                    mask, inner = self.mask_fill(inner)
                    masks = (self.place(mask, rank), *masks)
                return Softmax(self.place(inner, rank), masks, self.integer(node.keywords[0].value) + rank)
            case "pow", [source, exponent] if not node.keywords:
                return Power(self.name(source), self.integer(exponent))
            case "ones", [ast.Tuple(elts=[])] if self.like(node, ("dtype", "device")):
                return One()
            case "cumprod" | "prod", _:
                return self.paths(function, node, axes)
            case "eye", _:
                return self.literal(node, node, "delta", 1, axes)
            case name, [source] if name in FUNCTIONS and not node.keywords:
                return Function(function, self.name(source))
        _refuse(node)

    def mask_fill(self, node: ast.Call) -> tuple[ast.expr, ast.expr]:
        match node:
            case ast.Call(func=function, args=[mask, inner, fill], keywords=[]) if (
                ast.unparse(function) == "torch.where" and ast.unparse(fill) == "-math.inf"
            ):
                return mask, inner
        _refuse(node)

    def einsum(self, node: ast.AST, text: str, operands: Sequence[str]) -> Einsum:
        left, arrow, right = text.partition("->")
        terms = [*left.split(","), right]
        letters = [term.removeprefix("...") for term in terms]
        if not arrow or any(
            not t.startswith("...") or not set(x) <= set(ascii_letters) for t, x in zip(terms, letters, strict=True)
        ):
            _refuse(node)
        labels = [tuple(ascii_letters.index(letter) for letter in group) for group in letters]
        return Einsum(tuple(operands), tuple(labels[:-1]), labels[-1])

    def matrix(self, node: ast.expr) -> tuple[str, bool]:
        """Read ``x`` or ``x.mT``: a value, and whether it is transposed."""
        match node:
            case ast.Attribute(value=ast.Name() as source, attr="mT"):
                return self.name(source), True
        return self.name(node), False

    def matrix_product(self, node: ast.AST, left: ast.expr, right: ast.expr) -> Einsum:
        (first, turn), (second, back) = self.matrix(left), self.matrix(right)
        leading = len(self.axes[first]) - 2
        if leading < 0 or len(self.axes[second]) != leading + 2:
            _refuse(node)
        shared, (one, other, last) = tuple(range(leading)), (leading, leading + 1, leading + 2)
        row, summed = (other, one) if turn else (one, other)
        inner = (last, summed) if back else (summed, last)
        return Einsum((first, second), ((*shared, one, other), (*shared, *inner)), (*shared, row, last))

    def entrywise(self, node: ast.AST, left: ast.expr, right: ast.expr, rank: int) -> Einsum:
        first, second = self.place(left, rank), self.place(right, rank)
        label = {axis: k for k, axis in enumerate(dict.fromkeys(first.places + second.places))}
        if len(label) != rank:
            _refuse(node)
        labels = tuple(tuple(label[axis] for axis in arg.places) for arg in (first, second))
        return Einsum((first.name, second.name), labels, tuple(label[axis] for axis in range(rank)))

    def transposition(self, node: ast.AST, source: str) -> Einsum:
        labels = tuple(range(len(self.axes[source])))
        if len(labels) < 2:
            _refuse(node)
        return Einsum((source,), (labels,), (*labels[:-2], labels[-1], labels[-2]))

    def triangle(self, node: ast.Call, source: str, method: str) -> Triangle:
        lower = method == "tril"
        offset = [ast.unparse(argument) for argument in node.args]
        if node.keywords or offset not in ([], ["-1" if lower else "1"]) or len(self.axes[source]) < 2:
            _refuse(node)
        return Triangle(source, lower, bool(offset))

    def overwriting_triangle(self, node: ast.AST, apart: Op) -> Triangle:
        """Read ``x.tril_() if fresh else x.tril()``."""
        if not isinstance(apart, Triangle) or not _same(node, triangle_text(replace(apart, in_place=True))):
            _refuse(node)
        return replace(apart, in_place=True)

    def flag(self, node: ast.AST, arguments: Sequence[ast.expr]) -> str:
        """Read what a sum overwrites: nothing, or what a flag of the function allows."""
        match arguments:
            case []:
                return ""
            case [ast.Name(id=flag)] if flag in FLAGS:
                return flag
        _refuse(node)

    def method_call(self, method: str, node: ast.Call, axes: Axes) -> Op:
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if method in ("triu", "tril"):
            if isinstance(receiver, ast.Name):
                return self.triangle(node, self.name(receiver), method)
            return self.order_mask(node, axes)
        if node.keywords:
            _refuse(node)
        match method, node.args:
            case "to", [dtype]:
                wanted = f"{self.inputs[0]}.dtype" if self.inputs else "torch.get_default_dtype()"
                if ast.unparse(dtype) == wanted:
                    return Indicator(self.name(receiver))
            case "unflatten", [axis, ast.Tuple(elts=extents)]:
                return self.split(node, self.name(receiver), self.integer(axis), extents)
            case "narrow", [axis, start, length]:
                return self.take(node, self.name(receiver), self.integer(axis), start, length)
            case "expand", [leading, *extents]:
                return self.repeat(node, receiver, leading, extents, axes)
        _refuse(node)

    def paths(self, function: str, node: ast.Call, axes: Axes) -> Paths:
        """Read a product of gates along time, an axis that is counted from the end."""
        later, earlier = DECAYS[function]
        match node.args:
            case [gate, axis] if not node.keywords and not function.startswith("matrix"):
                source = self.gate(gate, axes)
                rank = len(self.axes[source])
                if rank < 3 and self.integer(axis) == -max(rank, 1):
                    return Paths(source, later, earlier)
            case [ast.Name() as gate] if not node.keywords and function.startswith("matrix"):
                if len(self.axes[self.name(gate)]) == 3:
                    return Paths(self.name(gate), later, earlier)
        _refuse(node)

    def gate(self, node: ast.expr, axes: Axes) -> str:
        """Read a gate, or a number that is the gate of every step."""
        match node:
            case ast.Name() if self.axes.get(node.id):
                return self.name(node)
            case ast.Call(
                func=ast.Attribute(value=ast.Subscript(value=ast.Name(id=source), slice=place), attr="expand"),
                args=[shape, extent],
                keywords=[],
            ) if self.axes.get(source) == () and axes:
                whole = ast.unparse(place) == "(..., None)" and ast.unparse(shape) == f"*{source}.shape"
                if whole and self.is_extent(extent, axes[0]):
                    return source
        _refuse(node)

    def literal(self, whole: ast.Call, creation: ast.Call, relation: str, axis_count: int, axes: Axes) -> Literal:
        """Read ``torch.eye(n, dtype=torch.bool, device=..)`` or ``torch.ones(n, n, ..)``."""
        match creation.keywords:
            case [ast.keyword(arg="dtype", value=dtype), *rest] if ast.unparse(dtype) == "torch.bool":
                placed = self.like(ast.Call(creation.func, creation.args, rest), ("device",))
                square = len(axes) == 2 and axes[0] == axes[1] and len(creation.args) == axis_count
                if placed and square and all(self.is_extent(n, axes[0]) for n in creation.args):
                    return Literal(relation, axes[0])
        _refuse(whole)

    def order_mask(self, node: ast.Call, axes: Axes) -> Literal:
        width = None
        inner = node
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Call() as inner, attr="tril"),
                args=[ast.BinOp(left=size, op=ast.Sub(), right=ast.Constant(value=1))],
                keywords=[],
            ):
                width = read_scale(size, self.dimensions)
        match inner:
            case ast.Call(func=ast.Attribute(value=ast.Call() as creation, attr="triu"), args=offset, keywords=[]) if (
                ast.unparse(creation.func) == "torch.ones"
            ):
                strict = [ast.unparse(o) for o in offset]
                if strict in ([], ["1"]) and not (strict and width):
                    relation = "lt" if strict else "near" if width is not None else "le"
                    return Literal(relation, self.literal(node, creation, relation, 2, axes).space, width)
        _refuse(node)

    def axis(self, node: ast.AST, source: str, from_end: int) -> int:
        if not -len(self.axes[source]) <= from_end < 0:
            _refuse(node)
        return from_end + len(self.axes[source])

    def split(self, node: ast.AST, source: str, from_end: int, extents: Sequence[ast.expr]) -> Split:
        axis = self.axis(node, source, from_end)
        space = self.axes[source][axis]
        if not isinstance(space, TensorProduct) or len(space.factors) != len(extents):
            _refuse(node)
        if not all(self.is_extent(n, factor) for n, factor in zip(extents, space.factors, strict=True)):
            _refuse(node)
        return Split(source, axis)

    def take(self, node: ast.AST, source: str, from_end: int, start: ast.expr, length: ast.expr) -> Take:
        axis = self.axis(node, source, from_end)
        space = self.axes[source][axis]
        if isinstance(space, DirectSum):
            for position, summand in enumerate(space.summands):
                before = sympy.Add(*(s.dimension for s in space.summands[:position]))
                if self.says(start, before) and self.is_extent(length, summand):
                    return Take(source, axis, position)
        _refuse(node)

    def repeat(
        self, node: ast.AST, receiver: ast.expr, leading: ast.expr, extents: Sequence[ast.expr], axes: Axes
    ) -> Repeat:
        match receiver:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=source), attr="unsqueeze"), args=[position]):
                axis = self.integer(position) + len(axes)
                if not 0 <= axis < len(axes):
                    _refuse(node)
                after = len(axes) - 1 - axis
                shape = f"*{source}.shape[:{-after}]" if after else f"*{source}.shape"
                constant = all(ast.unparse(e) == "-1" for e in extents[1:]) and len(extents) == after + 1
                if (
                    constant
                    and ast.unparse(leading) == shape
                    and source in self.axes
                    and self.is_extent(extents[0], axes[axis])
                ):
                    return Repeat(source, axis)
        _refuse(node)
