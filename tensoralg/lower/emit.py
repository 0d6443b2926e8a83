"""Programs as readable torch source.

One line per step, the axes of every value written beside it as an annotation (which Python does not
evaluate); after it, a line that deletes the values that are not read any more.  The source runs without
tensoralg.  Axes are counted from the end, so leading batch axes pass through every operation and broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_letters

import sympy

from tensoralg.errors import InvalidExpression
from tensoralg.expr.nodes import Apply, Number, Pow, Size
from tensoralg.lower.helpers import HELPERS, TEXTS
from tensoralg.lower.loops import LOOP_TEXTS, loop_lines
from tensoralg.lower.program import (
    FLAGS,
    AddProduct,
    Arg,
    Attention,
    Axes,
    Binary,
    Einsum,
    Function,
    Indicator,
    Literal,
    Loop,
    One,
    Op,
    Paths,
    Power,
    Program,
    Repeat,
    Scale,
    Select,
    SizeSource,
    Split,
    Step,
    Take,
    Triangle,
    Where,
    entrywise,
    matrix_product,
    size_variable,
)
from tensoralg.lower.reuse import is_constant, plain_product
from tensoralg.lower.scales import extent_text, scale_text
from tensoralg.spaces import DirectSum, VectorSpace

RECIPROCAL = """
def reciprocal(x):
    return 1 / x if x else math.nan
"""


def emit(programs: Sequence[Program], costs: Sequence[sympy.Expr], header: str) -> str:
    """Return a module with a function ``operator``.

    Parameters
    ----------
    programs : sequence of Program
        Programs of one operator.
    costs : sequence of sympy.Expr
        Their costs; with several programs, the cheapest at the sizes of the call runs.
    header : str
        What the module's docstring says.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> T = Space("T", "n")
    >>> transpose = Program((("A", (T, T)),), (), (Step("x0", (T, T), Einsum(("A",), ((0, 1),), (1, 0))),), ("x0",))
    >>> print(emit([transpose], [0], "O[i,j] = A[j,i]"))
    '''O[i,j] = A[j,i]'''
    <BLANKLINE>
    from __future__ import annotations
    <BLANKLINE>
    import math
    <BLANKLINE>
    import torch
    <BLANKLINE>
    <BLANKLINE>
    def operator(A: ["T", "T"]):
        x0: ["T", "T"] = A.mT
        return x0
    <BLANKLINE>
    """
    opening = header.replace("\\", "\\\\").replace("'''", '"""')
    parts = [f"'''{opening}'''\n", "from __future__ import annotations\n", "import math\n", "import torch\n"]
    several = len(programs) > 1
    bodies = [emit_function(p, f"operator_{k}" if several else "operator") for k, p in enumerate(programs)]
    if any("reciprocal(" in body for body in bodies):
        parts.append(RECIPROCAL)
    parts += [f"\n{TEXTS[name]}" for name in HELPERS if any(f" {name}(" in body for body in bodies)]
    if any(" = zeros(" in body for body in bodies):
        parts += [f"\n{text}" for text in LOOP_TEXTS.values()]
    parts += [f"\n{body}" for body in bodies]
    if several:
        parts.append("\n" + emit_choice(programs, costs))
    return "\n".join(parts)


def emit_function(program: Program, name: str) -> str:
    """Return the program as a function of its inputs."""
    writer = Writer(program)
    lines = [writer.signature(name), *(writer.size(s) for s in program.sizes)]
    for step in program.steps:
        if isinstance(step.op, Loop):
            lines += loop_lines(writer, step, step.op, axes_text, einsum_text)
        else:
            lines.append(f"{step.name}: {axes_text(step.axes)} = {writer.operation(step)}")
        if step.frees:
            lines.append(f"del {', '.join(step.frees)}")
    return "\n    ".join([*lines, f"return {', '.join(program.results)}"]) + "\n"


def emit_choice(programs: Sequence[Program], costs: Sequence[sympy.Expr]) -> str:
    """Return the function that runs the program that is cheapest at the sizes of the call."""
    sizes = {s.dimension: s for p in programs for s in p.sizes}
    needed = {s.name for cost in costs for s in sympy.sympify(cost).free_symbols}
    for name, legs in programs[0].inputs:
        for position, leg in enumerate(legs):
            if isinstance(leg.dimension, sympy.Symbol) and leg.dimension.name in needed:
                sizes.setdefault(leg.dimension.name, SizeSource(leg.dimension.name, name, position - len(legs)))
    writer = Writer(programs[0], sizes)
    lines = [writer.signature("operator"), *(writer.size(sizes[s]) for s in sorted(needed))]
    texts = ", ".join(extent_text(cost, writer.variables) for cost in costs)
    names = ", ".join(f"operator_{k}" for k in range(len(programs)))
    arguments = ", ".join([*(name for name, _ in programs[0].inputs), *(FLAGS if programs[0].fused else ())])
    lines += [f"costs = [{texts}]", f"cheapest = ({names})[costs.index(min(costs))]"]
    return "\n    ".join([*lines, f"return cheapest({arguments})"]) + "\n"


def axes_text(axes: Axes) -> str:
    """Return the spaces of the axes as a list of strings."""
    return "[" + ", ".join(f'"{space}"' for space in axes) + "]"


class Writer:
    """Writes the steps of one program."""

    def __init__(self, program: Program, sizes: Iterable[str] = ()) -> None:
        self.program = program
        self.axes = program.axes
        inputs = [name for name, _ in program.inputs]
        dimensions = {s.dimension for s in program.sizes} | set(sizes)
        self.variables = {dimension: size_variable(inputs, dimension) for dimension in sorted(dimensions)}
        self.first = inputs[0] if inputs else None
        self.constant: set[str] = set()
        for step in program.steps:
            if is_constant(step.op, self.constant):
                self.constant.add(step.name)

    def signature(self, name: str) -> str:
        arguments = [f"{tensor}: {axes_text(legs)}" for tensor, legs in self.program.inputs]
        flags = [f"{flag}: bool = False" for flag in FLAGS] if self.program.fused else []
        return f"def {name}({', '.join([*arguments, *flags])}):"

    def size(self, source: SizeSource) -> str:
        value = f"{source.tensor}.shape[{source.axis}]" if source.tensor else str(source.axis)
        return f"{self.variables[source.dimension]} = {value}"

    def extent(self, space: VectorSpace) -> str:
        return extent_text(space.dimension, self.variables)

    def like(self, *kinds: str) -> str:
        """Return keyword arguments that take dtype and device from the first input."""
        return "".join(f", {kind}={self.first}.{kind}" for kind in kinds) if self.first else ""

    def place(self, arg: Arg, rank: int) -> str:
        """Return an operand with axes of length 1 where it lacks an axis of the result."""
        if len(arg.places) == rank:
            return arg.name
        pattern = ", ".join(":" if axis in arg.places else "None" for axis in range(rank))
        return f"{arg.name}[..., {pattern}]"

    def operation(self, step: Step) -> str:
        op: Op = step.op
        rank = len(step.axes)
        if isinstance(op, Literal):
            return self.literal(op)
        if isinstance(op, Indicator):
            dtype = f"{self.first}.dtype" if self.first else "torch.get_default_dtype()"
            return f"{op.source}.to({dtype})"
        if isinstance(op, One):
            return f"torch.ones((){self.like('dtype', 'device')})"
        if isinstance(op, Einsum):
            return self.contraction(op, rank)
        if isinstance(op, AddProduct):
            plain = op.added not in self.constant and plain_product(op.product, self.axes, self.constant)
            flags = ["plain" if plain else "False", op.overwrites or "False"]
            return f"add_product({', '.join([op.added, *factors_text(op.product), *flags])})"
        if isinstance(op, Split):
            return self.split(step, op)
        if isinstance(op, Take):
            return self.take(op)
        if isinstance(op, Repeat):
            return self.repeat(step, op)
        if isinstance(op, Select):
            return f"{op.source}.select({op.axis - rank - 1}, {op.variable})"
        if isinstance(op, Where):
            return f"torch.where({self.place(op.mask, rank)}, {self.place(op.source, rank)}, 0)"
        if isinstance(op, Triangle):
            return triangle_text(op)
        if isinstance(op, Scale):
            factor = scale_text(op.factor, self.variables)
            atomic = isinstance(op.factor, Size | Pow | Apply) or (isinstance(op.factor, Number) and factor.isdecimal())
            return f"{op.source} * {factor}" if atomic else f"{op.source} * ({factor})"
        if isinstance(op, Binary):
            return f"{self.place(op.left, rank)} {op.symbol} {self.place(op.right, rank)}"
        if isinstance(op, Function):
            return f"torch.{op.function}({op.source})"
        if isinstance(op, Power):
            return f"torch.pow({op.source}, {op.exponent})"
        if isinstance(op, Paths):
            return self.paths(step, op)
        if isinstance(op, Loop):
            raise InvalidExpression("a loop is no single operation", remedy="this is a fault of emission")
        if isinstance(op, Attention):
            return self.attention(op, rank)
        inner = self.place(op.source, rank)
        for mask in op.masks:
            inner = f"torch.where({self.place(mask, rank)}, {inner}, -math.inf)"
        return f"torch.softmax({inner}, dim={op.axis - rank})"

    def attention(self, op: Attention, rank: int) -> str:
        operands = [self.place(arg, rank) for arg in (op.query, op.key, op.value)]
        options = ["causal=True"] if op.causal else []
        if op.masks:
            options.append(f"mask={' & '.join(self.place(arg, rank) for arg in op.masks)}")
        if op.bias is not None:
            options.append(f"bias={self.place(op.bias, rank)}")
        if op.empty:
            options.append("empty=True")
        return f"attend({', '.join([*operands, scale_text(op.scale, self.variables), *options])})"

    def literal(self, op: Literal) -> str:
        n = self.extent(op.space)
        like = self.like("device")
        if op.relation == "delta":
            return f"torch.eye({n}, dtype=torch.bool{like})"
        ones = f"torch.ones({n}, {n}, dtype=torch.bool{like})"
        if op.relation == "near":
            if op.width is None:
                raise InvalidExpression("near without a width", remedy="this is a fault of the planner")
            return f"{ones}.triu().tril({scale_text(op.width, self.variables)} - 1)"
        return f"{ones}.triu({'1' if op.relation == 'lt' else ''})"

    def contraction(self, op: Einsum, rank: int) -> str:
        factors = entrywise(op)
        if factors is not None:
            return " * ".join(self.place(arg, rank) for arg in factors)
        plain = self.program.fused and plain_product(op, self.axes, self.constant)
        return f"product({', '.join([*factors_text(op), 'plain'])})" if plain else contraction_text(op)

    def paths(self, step: Step, op: Paths) -> str:
        rank = len(self.axes[op.source])
        ends = {(True, True): "between", (True, False): "from_start", (False, True): "to_end", (False, False): "whole"}
        name = f"decay_{ends[op.later, op.earlier]}"
        if rank == 3:
            return f"matrix_{name}({op.source})"
        gate = op.source if rank else f"{op.source}[..., None].expand(*{op.source}.shape, {self.extent(step.axes[0])})"
        called = {"decay_from_start": "torch.cumprod", "decay_whole": "torch.prod"}.get(name, name)
        return f"{called}({gate}, {-max(rank, 1)})"

    def split(self, step: Step, op: Split) -> str:
        before = self.axes[op.source]
        parts = step.axes[op.axis : op.axis + 1 + len(step.axes) - len(before)]
        extents = ", ".join(self.extent(part) for part in parts)
        return f"{op.source}.unflatten({op.axis - len(before)}, ({extents}))"

    def take(self, op: Take) -> str:
        before = self.axes[op.source]
        start, length = self.part(before[op.axis], op.position)
        return f"{op.source}.narrow({op.axis - len(before)}, {start}, {length})"

    def part(self, space: VectorSpace, position: int) -> tuple[str, str]:
        """Return where a summand of a direct sum begins, and its length."""
        if not isinstance(space, DirectSum):
            raise InvalidExpression(f"{space} is no direct sum", remedy="this is a fault of the planner")
        start = sympy.Add(*(s.dimension for s in space.summands[:position]))
        return extent_text(start, self.variables), self.extent(space.summands[position])

    def repeat(self, step: Step, op: Repeat) -> str:
        rank = len(step.axes)
        after = rank - 1 - op.axis
        leading = f"*{op.source}.shape[:{-after}]" if after else f"*{op.source}.shape"
        extents = ", ".join([leading, self.extent(step.axes[op.axis]), *["-1"] * after])
        return f"{op.source}.unsqueeze({op.axis - rank}).expand({extents})"


def triangle_text(op: Triangle) -> str:
    """Return the selection of a triangle.

    Examples
    --------
    >>> triangle_text(Triangle("x", lower=True, strict=True))
    'x.tril(-1)'
    >>> triangle_text(Triangle("x", lower=False, strict=False, in_place=True))
    'x.triu_() if fresh else x.triu()'
    """
    offset = ("-1" if op.lower else "1") if op.strict else ""
    name = f"{op.source}.{'tril' if op.lower else 'triu'}"
    return f"{name}_({offset}) if fresh else {name}({offset})" if op.in_place else f"{name}({offset})"


def contraction_text(op: Einsum) -> str:
    """Return a contraction that is not entrywise: a product of matrices, a transposition, a sum, or else an einsum.

    Examples
    --------
    >>> contraction_text(Einsum(("x", "y"), ((0, 1), (2, 1)), (0, 2)))
    'x @ y.mT'
    >>> contraction_text(Einsum(("x", "y"), ((0, 1), (0, 1)), (0,)))
    'torch.einsum("...ab,...ab->...a", x, y)'
    >>> contraction_text(Einsum(("x",), ((0, 1, 2),), (1, 0, 2)))
    'x.transpose(-3, -2)'
    >>> contraction_text(Einsum(("x",), ((0, 1, 2),), (0, 2)))
    'x.sum(-2)'
    """
    if matrix_product(op) is not None:
        return " @ ".join(factors_text(op))
    exchanged = exchanged_axes(op)
    if exchanged == (-2, -1):
        return f"{op.operands[0]}.mT"
    if exchanged is not None:
        return f"{op.operands[0]}.transpose({exchanged[0]}, {exchanged[1]})"
    summed = summed_axes(op)
    if summed:
        return f"{op.operands[0]}.sum({summed[0] if len(summed) == 1 else summed})"
    return f"torch.einsum({', '.join([einsum_text(op), *op.operands])})"


def factors_text(op: Einsum) -> list[str]:
    """Return the operands of a product of matrices.

    Examples
    --------
    >>> factors_text(Einsum(("x", "y"), ((0, 1), (2, 1)), (0, 2)))
    ['x', 'y.mT']
    """
    transposed = matrix_product(op)
    if transposed is None:
        raise InvalidExpression("a contraction that is no product of matrices", remedy="this is a fault of lowering")
    return [f"{name}.mT" if turn else name for name, turn in zip(op.operands, transposed, strict=True)]


def exchanged_axes(op: Einsum) -> tuple[int, int] | None:
    """Return the two axes, counted from the end, that an operation exchanges; None if it does anything else."""
    first, *others = op.labels
    if others or len(set(first)) < len(first) or sorted(first) != sorted(op.output):
        return None
    moved = tuple(k - len(first) for k, label in enumerate(first) if op.output[k] != label)
    return (moved[0], moved[1]) if len(moved) == 2 else None


def summed_axes(op: Einsum) -> tuple[int, ...]:
    """Return the axes, counted from the end, that an operation sums; none if it does anything else."""
    first, *others = op.labels
    kept = tuple(label for label in first if label in op.output)
    if others or len(set(first)) < len(first) or kept != op.output:
        return ()
    return tuple(k - len(first) for k, label in enumerate(first) if label not in kept)


def einsum_text(op: Einsum) -> str:
    """Return the subscripts of a contraction with leading batch axes.

    Examples
    --------
    >>> einsum_text(Einsum(("x", "y"), ((0, 1), (1, 2)), (0, 2)))
    '"...ab,...bc->...ac"'
    """
    if max((label for labels in op.labels for label in labels), default=0) >= len(ascii_letters):
        raise InvalidExpression("a contraction step has more than 52 labels", remedy="contract in smaller steps")

    def term(labels: tuple[int, ...]) -> str:
        return "..." + "".join(ascii_letters[label] for label in labels)

    return f'"{",".join(map(term, op.labels))}->{term(op.output)}"'
