"""Contractions in slices: what an emitted loop calls, its lines of source, and how they are read back.

A loop runs over the positions of some labels of a contraction (`plan.slicing`); its steps work on views of the
operands at these positions.  The last step of a slice multiplies two arrays into its place in the result, so that
no array of its own is made: where a label is summed it adds, else every place is written once.

The result lies in memory slice by slice: the axes of the loop come first there, and are moved behind the batch
axes as a view.  Under autograd every write to a slice is an operation of its own, whose backward pass copies the
gradient of the whole result.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import torch

from tensoralg.errors import InvalidExpression
from tensoralg.lower.program import Einsum, Loop, Step, Where, operands_of
from tensoralg.spaces import VectorSpace

if TYPE_CHECKING:
    from tensoralg.lower.emit import Writer


def zeros(loops: Any, axes: Any, *operands: Any) -> torch.Tensor:
    """Return zeros over the batch axes of operands (each with its number of legs), those of loops, and others."""
    batch = torch.broadcast_shapes(*(array.shape[: array.dim() - legs] for array, legs in operands))
    places = range(len(loops))
    whole: torch.Tensor = operands[0][0].new_zeros((*loops, *batch, *axes))
    return whole.movedim(tuple(places), tuple(len(batch) + place for place in places))


def matrices(array: torch.Tensor, labels: Any, batch: Any, groups: Any) -> torch.Tensor:
    """Return an array with one axis for each group of its labels, the batch axes joined to the first."""
    legs = dict(zip(labels, array.shape[array.dim() - len(labels) :], strict=True))
    sizes = [math.prod(legs[label] for label in group) for group in groups]
    order = [len(batch) + labels.index(label) for group in groups for label in group]
    whole = array.expand(*batch, *legs.values()).permute(*range(len(batch)), *order)
    return whole.reshape(math.prod(batch) * sizes[0], *sizes[1:])


def placed(array: torch.Tensor, labels: Any, output: Any) -> torch.Tensor:
    """Return an array with its labels in the order of an output, of length 1 where it has none."""
    batch = array.dim() - len(labels)
    order = [batch + labels.index(label) for label in output if label in labels]
    return array.permute(*range(batch), *order)[(..., *(slice(None) if k in labels else None for k in output))]


def add_into(total: torch.Tensor, equation: str, x: torch.Tensor, y: torch.Tensor) -> None:
    """Add the contraction of two arrays to a third, in place."""
    left, right, output = equation.replace("...", "").replace("->", ",").split(",")
    x, y = x.to(total.dtype), y.to(total.dtype)
    summed = [label for label in left if label not in output]
    if not summed:
        total.addcmul_(placed(x, left, output), placed(y, right, output))
        return
    batch = total.shape[: total.dim() - len(output)]
    shared = [label for label in output if label in left and label in right]
    rows, columns = ([label for label in output if label not in other] for other in (right, left))
    x = matrices(x, left, batch, (shared, rows, summed))
    y = matrices(y, right, batch, (shared, summed, columns))
    total.view(x.shape[0], x.shape[1], y.shape[2]).baddbmm_(x, y)


def write_into(total: torch.Tensor, equation: str, x: torch.Tensor, y: torch.Tensor) -> None:
    """Write the contraction of two arrays to a third that is 0."""
    left, right, output = equation.replace("...", "").replace("->", ",").split(",")
    if set(left) <= set(output):
        total.copy_(placed(x, left, output)).mul_(placed(y.to(total.dtype), right, output))
    else:
        add_into(total, equation, x, y)


def keep_into(total: torch.Tensor, mask: torch.Tensor, x: torch.Tensor) -> None:
    """Write an array to another where a mask holds, else 0."""
    total.copy_(x).masked_fill_(mask.logical_not(), 0)


FUNCTIONS: tuple[Callable[..., Any], ...] = (zeros, matrices, placed, add_into, write_into, keep_into)
LOOPS = {function.__name__: function for function in FUNCTIONS}
LOOP_TEXTS = {name: inspect.getsource(function) for name, function in LOOPS.items()}


def loop_lines(writer: Writer, step: Step, op: Loop, axes_text: Callable[[Any], str], einsum_text: Any) -> list[str]:
    """Return the source of a loop: its result, a line for each variable, and the steps of a slice."""
    rank, first, others = len(step.axes), step.axes[: op.kept], step.axes[op.kept :]
    extents = [_listed(map(writer.extent, axes)) for axes in (first, others)]
    operands = [f"({name}, {len(writer.axes[name])})" for name in op.numbers]
    lines = [f"{step.name}: {axes_text(step.axes)} = zeros({', '.join([*extents, *operands])})"]
    indent = ""
    for name, space in op.variables:
        lines.append(f"{indent}for {name} in range({writer.extent(space)}):")
        indent += "    "
    for inner in op.body:
        lines.append(f"{indent}{inner.name}: {axes_text(inner.axes)} = {writer.operation(inner)}")
        lines += [f"{indent}del {', '.join(inner.frees)}"] if inner.frees else []
    target = step.name + "".join(f".select({k - rank}, {name})" for k, (name, _) in enumerate(op.variables[: op.kept]))
    last = op.last.op
    if isinstance(last, Where):
        inner_rank = len(op.last.axes)
        call = f"keep_into({target}, {writer.place(last.mask, inner_rank)}, {writer.place(last.source, inner_rank)})"
    elif isinstance(last, Einsum):
        name = "add_into" if len(op.variables) > op.kept else "write_into"
        call = f"{name}({', '.join([target, einsum_text(last), *last.operands])})"
    else:
        raise InvalidExpression("a slice ends in no contraction", remedy="this is a fault of lowering")
    lines.append(indent + call)
    return [*lines, *([f"{indent}del {', '.join(op.last.frees)}"] if op.last.frees else [])]


def _listed(texts: Iterable[str]) -> str:
    found = list(texts)
    return f"({found[0]},)" if len(found) == 1 else f"({', '.join(found)})"


class Reader(Protocol):
    """What a reader of source offers to that of loops."""

    axes: dict[str, tuple[VectorSpace, ...]]
    variables: dict[str, VectorSpace | None]

    def refuse(self, node: ast.AST) -> NoReturn: ...
    def integer(self, node: ast.expr) -> int: ...
    def name(self, node: ast.expr) -> str: ...
    def place(self, node: ast.expr, rank: int) -> Any: ...
    def is_extent(self, node: ast.expr, space: VectorSpace) -> bool: ...
    def einsum(self, node: ast.AST, text: str, operands: Sequence[str]) -> Einsum: ...
    def block(self, statements: Sequence[ast.stmt]) -> list[Step]: ...
    def free(self, node: ast.expr) -> str: ...
    def fresh(self, name: str, node: ast.AST) -> None: ...


def read_loop(reader: Reader, name: str, made: ast.AnnAssign, loop: ast.stmt, axes: tuple[VectorSpace, ...]) -> Loop:
    """Return the loop that fills an array of zeros, read from the two statements."""
    extents: dict[str, ast.expr] = {}
    statement: ast.stmt = loop
    while True:
        match statement:
            case ast.For(
                target=ast.Name(id=variable),
                iter=ast.Call(func=ast.Name(id="range"), args=[extent], keywords=[]),
                body=body,
                orelse=[],
            ):
                reader.fresh(variable, statement)
                extents[variable] = extent
                reader.variables[variable] = None
            case _:
                reader.refuse(statement)
        if len(body) != 1:
            break
        (statement,) = body
        if not isinstance(statement, ast.For):
            break
    outside = set(reader.axes)
    if not body or isinstance(body[0], ast.Delete):
        reader.refuse(loop)
    *before, call = body if not isinstance(body[-1], ast.Delete) else body[:-1]
    steps = tuple(reader.block(before))
    kept, target_rank = _places(reader, name, call, len(axes))
    last = _last(reader, call, adds=len(extents) > len(kept), rank=target_rank)
    numbers = _numbers(reader, made, axes, len(kept))
    spaces = {**{v: s for v, s in reader.variables.items() if v in extents}, **dict(zip(kept, axes, strict=False))}
    order = [*kept, *(v for v in extents if v not in kept)]
    variables: list[tuple[str, VectorSpace]] = []
    for variable in order:
        space = spaces[variable]
        if space is None or not reader.is_extent(extents[variable], space):
            reader.refuse(loop)
        variables.append((variable, space))
        del reader.variables[variable]
    if order != list(extents):
        reader.refuse(loop)
    frees: tuple[str, ...] = ()
    if isinstance(body[-1], ast.Delete):
        frees = tuple(map(reader.free, body[-1].targets))
    inner = [*(s.name for s in steps)]
    result = Loop(tuple(variables), len(kept), steps, Step("", axes[len(kept) :], last, frees), numbers)
    if not set(operands_of(result)) <= outside or any(one in reader.axes for one in inner):
        reader.refuse(loop)
    return result


def _numbers(reader: Reader, made: ast.AnnAssign, axes: tuple[VectorSpace, ...], kept: int) -> tuple[str, ...]:
    """Read ``zeros((n,), (d,), (x, 2), (y, 1))``: the operands whose batch axes the result has."""
    match made.value:
        case ast.Call(args=[ast.Tuple(elts=first), ast.Tuple(elts=others), *operands], keywords=[]) if operands:
            extents = [*first, *others]
            if len(first) != kept or len(extents) != len(axes):
                reader.refuse(made)
            if not all(reader.is_extent(node, space) for node, space in zip(extents, axes, strict=True)):
                reader.refuse(made)
            found = []
            for operand in operands:
                match operand:
                    case ast.Tuple(elts=[source, legs]) if reader.integer(legs) == len(
                        reader.axes[reader.name(source)]
                    ):
                        found.append(reader.name(source))
                    case _:
                        reader.refuse(made)
            return tuple(found)
    reader.refuse(made)
    return None


def _places(reader: Reader, name: str, statement: ast.stmt, rank: int) -> tuple[list[str], int]:
    """Read ``x.select(-2, i).select(-1, j)``, where a slice goes: the variables of the first axes, in order."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(), args=[target, *_], keywords=[])):
            node = target
        case _:
            reader.refuse(statement)
    found: list[tuple[int, str]] = []
    while True:
        match node:
            case ast.Name(id=source) if source == name:
                break
            case ast.Call(
                func=ast.Attribute(value=inner, attr="select"), args=[axis, ast.Name(id=variable)], keywords=[]
            ) if variable in reader.variables:
                found.insert(0, (reader.integer(axis), variable))
                node = inner
            case _:
                reader.refuse(statement)
    if [axis for axis, _ in found] != [k - rank for k in range(len(found))]:
        reader.refuse(statement)
    return [variable for _, variable in found], rank - len(found)


def _last(reader: Reader, statement: ast.stmt, adds: bool, rank: int) -> Einsum | Where:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="keep_into"), args=[_, mask, source])) if not adds:
            return Where(reader.place(mask, rank), reader.place(source, rank))
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=str(text)), x, y])) if (
            name == ("add_into" if adds else "write_into")
        ):
            return reader.einsum(statement, text, [reader.name(x), reader.name(y)])
    reader.refuse(statement)
    return None
