"""Reading operations of emitted source back: what an expression of Python says, if it is one that emission writes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_letters
from typing import NoReturn

import sympy

from tensoralg.errors import ValidationFailed
from tensoralg.lower.emit import triangle_text
from tensoralg.lower.program import (
    AddProduct,
    Arg,
    Attention,
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
    Repeat,
    Scale,
    Select,
    SizeSource,
    Softmax,
    Split,
    Take,
    Triangle,
    Where,
)
from tensoralg.lower.reuse import plain_product
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


def same(node: ast.AST, text: str) -> bool:
    return ast.unparse(node) == ast.unparse(ast.parse(text))


def refused(node: ast.AST) -> ValidationFailed:
    """Return the error about what no program says."""
    return ValidationFailed(f"the source says what no program says: {ast.unparse(node)}", remedy="emit it again")


class OperationReader:
    """Reads the operations of one function, whose values it knows by name."""

    def __init__(self, spaces: Mapping[str, VectorSpace], names: Sequence[str]) -> None:
        self.spaces = spaces
        self.names = names
        self.axes: dict[str, Axes] = {}
        self.freed: set[str] = set()
        self.constant: set[str] = set()
        self.inputs: list[str] = []
        self.sizes: list[SizeSource] = []
        self.dimensions: dict[str, str] = {}
        self.variables: dict[str, VectorSpace | None] = {}

    def refuse(self, node: ast.AST) -> NoReturn:
        """Refuse what no program says."""
        raise refused(node)

    def integer(self, node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return -value
        raise refused(node)

    def name(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name) if name in self.axes:
                return name
        raise refused(node)

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
        raise refused(node)

    def is_extent(self, node: ast.expr, space: VectorSpace) -> bool:
        return self.says(node, space.dimension)

    def says(self, node: ast.expr, dimension: sympy.Expr) -> bool:
        """Whether a piece of the source is the given (composite) dimension."""
        variables = {dimension: variable for variable, dimension in self.dimensions.items()}
        if not {s.name for s in sympy.sympify(dimension).free_symbols} <= set(variables):
            return False
        return same(node, extent_text(dimension, variables))

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
                return self.transposition(node, self.name(source), -2, -1)
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
            case ast.Call(func=ast.Name(id="product"), args=[left, right, ast.Name(id="plain")], keywords=[]):
                product = self.matrix_product(node, left, right)
                if not plain_product(product, self.axes, self.constant):
                    raise refused(node)
                return product
            case ast.Call(func=ast.Name(id="add_product"), args=[added, left, right, plain, over], keywords=[]):
                return self.add_product(node, self.name(added), self.matrix_product(node, left, right), plain, over)
            case ast.IfExp(orelse=other):
                return self.overwriting_triangle(node, self.operation(other, axes))
            case ast.Call(func=ast.Name(id="attend"), args=[query, key, value, scale]):
                return self.attention(node, [query, key, value], scale, rank)
            case ast.Call(func=ast.Name(id=function)) if function in DECAYS:
                return self.paths(function, node, axes)
            case ast.Call(func=ast.Attribute(attr=method)):
                return self.method_call(method, node, axes)
        raise refused(node)

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
        raise refused(node)

    def attention(self, node: ast.Call, operands: Sequence[ast.expr], scale: ast.expr, rank: int) -> Attention:
        query, key, value = (self.place(operand, rank) for operand in operands)
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        masks = self.all_of(options.pop("mask"), rank) if "mask" in options else ()
        bias = self.place(options.pop("bias"), rank) if "bias" in options else None
        if not all(name in ("causal", "empty") and ast.unparse(value) == "True" for name, value in options.items()):
            raise refused(node)
        scaled = read_scale(scale, self.dimensions)
        return Attention(query, key, value, scaled, masks, bias, "causal" in options, "empty" in options)

    def all_of(self, node: ast.expr, rank: int) -> tuple[Arg, ...]:
        """Read ``x & y``."""
        match node:
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return (*self.all_of(left, rank), self.place(right, rank))
        return (self.place(node, rank),)

    def mask_fill(self, node: ast.Call) -> tuple[ast.expr, ast.expr]:
        match node:
            case ast.Call(func=function, args=[mask, inner, fill], keywords=[]) if (
                ast.unparse(function) == "torch.where" and ast.unparse(fill) == "-math.inf"
            ):
                return mask, inner
        raise refused(node)

    def einsum(self, node: ast.AST, text: str, operands: Sequence[str]) -> Einsum:
        left, arrow, right = text.partition("->")
        terms = [*left.split(","), right]
        letters = [term.removeprefix("...") for term in terms]
        if not arrow or any(
            not t.startswith("...") or not set(x) <= set(ascii_letters) for t, x in zip(terms, letters, strict=True)
        ):
            raise refused(node)
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
            raise refused(node)
        shared, (one, other, last) = tuple(range(leading)), (leading, leading + 1, leading + 2)
        row, summed = (other, one) if turn else (one, other)
        inner = (last, summed) if back else (summed, last)
        return Einsum((first, second), ((*shared, one, other), (*shared, *inner)), (*shared, row, last))

    def entrywise(self, node: ast.AST, left: ast.expr, right: ast.expr, rank: int) -> Einsum:
        first, second = self.place(left, rank), self.place(right, rank)
        label = {axis: k for k, axis in enumerate(dict.fromkeys(first.places + second.places))}
        if len(label) != rank:
            raise refused(node)
        labels = tuple(tuple(label[axis] for axis in arg.places) for arg in (first, second))
        return Einsum((first.name, second.name), labels, tuple(label[axis] for axis in range(rank)))

    def transposition(self, node: ast.AST, source: str, one: int, other: int) -> Einsum:
        labels = list(range(len(self.axes[source])))
        if not -len(labels) <= one < other < 0:
            raise refused(node)
        output = labels.copy()
        output[one], output[other] = labels[other], labels[one]
        return Einsum((source,), (tuple(labels),), tuple(output))

    def sum_over(self, node: ast.AST, source: str, places: Sequence[int]) -> Einsum:
        labels = tuple(range(len(self.axes[source])))
        if list(places) != sorted(set(places)) or not -len(labels) <= places[0] <= places[-1] < 0:
            raise refused(node)
        summed = {labels[place] for place in places}
        return Einsum((source,), (labels,), tuple(label for label in labels if label not in summed))

    def triangle(self, node: ast.Call, source: str, method: str) -> Triangle:
        lower = method == "tril"
        offset = [ast.unparse(argument) for argument in node.args]
        if node.keywords or offset not in ([], ["-1" if lower else "1"]) or len(self.axes[source]) < 2:
            raise refused(node)
        return Triangle(source, lower, bool(offset))

    def overwriting_triangle(self, node: ast.AST, apart: Op) -> Triangle:
        """Read ``x.tril_() if fresh else x.tril()``."""
        if not isinstance(apart, Triangle) or not same(node, triangle_text(replace(apart, in_place=True))):
            raise refused(node)
        return replace(apart, in_place=True)

    def add_product(self, node: ast.AST, added: str, product: Einsum, plain: ast.expr, over: ast.expr) -> AddProduct:
        """Read a sum with a product, and what it overwrites: nothing, or what a flag of the function allows."""
        may = added not in self.constant and plain_product(product, self.axes, self.constant)
        if ast.unparse(plain) != ("plain" if may else "False") or ast.unparse(over) not in ("False", "fresh", "given"):
            raise refused(node)
        return AddProduct(added, product, ast.unparse(over).replace("False", ""))

    def method_call(self, method: str, node: ast.Call, axes: Axes) -> Op:
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if method in ("triu", "tril"):
            if isinstance(receiver, ast.Name):
                return self.triangle(node, self.name(receiver), method)
            return self.order_mask(node, axes)
        if node.keywords:
            raise refused(node)
        match method, node.args:
            case "to", [dtype]:
                wanted = f"{self.inputs[0]}.dtype" if self.inputs else "torch.get_default_dtype()"
                if ast.unparse(dtype) == wanted:
                    return Indicator(self.name(receiver))
            case "select", [axis, ast.Name(id=variable)] if variable in self.variables:
                return self.select(node, self.name(receiver), self.integer(axis), variable)
            case "transpose", [one, other]:
                return self.transposition(node, self.name(receiver), self.integer(one), self.integer(other))
            case "sum", [ast.Tuple(elts=[_, _, *_] as places)]:
                return self.sum_over(node, self.name(receiver), [self.integer(place) for place in places])
            case "sum", [place]:
                return self.sum_over(node, self.name(receiver), [self.integer(place)])
            case "unflatten", [axis, ast.Tuple(elts=extents)]:
                return self.split(node, self.name(receiver), self.integer(axis), extents)
            case "narrow", [axis, start, length]:
                return self.take(node, self.name(receiver), self.integer(axis), start, length)
            case "expand", [leading, *extents]:
                return self.repeat(node, receiver, leading, extents, axes)
        raise refused(node)

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
        raise refused(node)

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
        raise refused(node)

    def literal(self, whole: ast.Call, creation: ast.Call, relation: str, axis_count: int, axes: Axes) -> Literal:
        """Read ``torch.eye(n, dtype=torch.bool, device=..)`` or ``torch.ones(n, n, ..)``."""
        match creation.keywords:
            case [ast.keyword(arg="dtype", value=dtype), *rest] if ast.unparse(dtype) == "torch.bool":
                placed = self.like(ast.Call(creation.func, creation.args, rest), ("device",))
                square = len(axes) == 2 and axes[0] == axes[1] and len(creation.args) == axis_count
                if placed and square and all(self.is_extent(n, axes[0]) for n in creation.args):
                    return Literal(relation, axes[0])
        raise refused(whole)

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
        raise refused(node)

    def axis(self, node: ast.AST, source: str, from_end: int) -> int:
        if not -len(self.axes[source]) <= from_end < 0:
            raise refused(node)
        return from_end + len(self.axes[source])

    def select(self, node: ast.AST, source: str, from_end: int, variable: str) -> Select:
        axis = self.axis(node, source, from_end)
        space = self.axes[source][axis]
        if self.variables[variable] not in (None, space, space.dual):
            raise refused(node)
        self.variables[variable] = self.variables[variable] or space
        return Select(source, axis, variable)

    def split(self, node: ast.AST, source: str, from_end: int, extents: Sequence[ast.expr]) -> Split:
        axis = self.axis(node, source, from_end)
        space = self.axes[source][axis]
        if not isinstance(space, TensorProduct) or len(space.factors) != len(extents):
            raise refused(node)
        if not all(self.is_extent(n, factor) for n, factor in zip(extents, space.factors, strict=True)):
            raise refused(node)
        return Split(source, axis)

    def take(self, node: ast.AST, source: str, from_end: int, start: ast.expr, length: ast.expr) -> Take:
        axis = self.axis(node, source, from_end)
        space = self.axes[source][axis]
        if isinstance(space, DirectSum):
            for position, summand in enumerate(space.summands):
                before = sympy.Add(*(s.dimension for s in space.summands[:position]))
                if self.says(start, before) and self.is_extent(length, summand):
                    return Take(source, axis, position)
        raise refused(node)

    def repeat(
        self, node: ast.AST, receiver: ast.expr, leading: ast.expr, extents: Sequence[ast.expr], axes: Axes
    ) -> Repeat:
        match receiver:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=source), attr="unsqueeze"), args=[position]):
                axis = self.integer(position) + len(axes)
                if not 0 <= axis < len(axes):
                    raise refused(node)
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
        raise refused(node)
