"""Programs: straight-line code in static single assignment over few operations, each with a meaning.

Every value is an array with one axis per leg (leading batch axes aside).  With values ``x, y``, axes
``i, j`` and a summed label ``k``:

================ =========================================================== ====================
operation        meaning                                                     cost (flops, pointwise)
================ =========================================================== ====================
Literal          ``delta``, ``le``, ``lt`` or ``near`` over a space           0, 0
Indicator        the same, as numbers 0 and 1                                0, 0
One              the number 1                                                0, 0
Einsum, binary   ``sum(k: x[i,k]*y[k,j])``                                   2|i,j,k| (|i,j| if no k), 0
Einsum, unary    ``sum(k: x[k,i])``, ``x[j,i]``, ``x[i,i]``                  |x| if it sums, 0
Split, Take      ``x[(i,j)]``, ``x[0:i]`` of a product or a sum of spaces    0, 0
Repeat           ``x[i]`` as a function of i and j                           0, 0
Where            ``m[i,j]*x[i,j]``, m a literal                              0, |result|
Triangle         ``le[j,i]*x[i,j]`` and its like, on the last two axes       0, |result|
AddProduct       ``x[i,j] + sum(k: y[i,k]*z[k,j])``                          2|i,j,k|, |result|
Scale            ``c*x``, c a function of sizes                              0, |result|
Binary           ``x + y``, ``x - y``, ``x / y``                               0, |result|
Function, Power  ``exp(x)``, ``log(x)``, ``sqrt(x)``, ``relu(x)``, ``x^k``    0, |result|
Softmax          ``m exp(x) / sum(k: m exp(x))``                             |x|, (2 + masks) |x|
Attention        ``softmax(s: c*sum(f: q[t,f]*k[s,f]) + b[t,s])*v[s,e]``     see `lower.flops`
Paths            ``decay(x)[t,s]``, x an input                               see `plan.graph`
Loop, Select     ``sum(k: f(k))``, or f(i) as a function of i                 see `plan.slicing`
================ =========================================================== ====================

The two operands of a pointwise operation are broadcast: an :class:`Arg` says which axes of the
result the axes of the operand are.

A step says which values are not read after it; the source deletes them there, so that the arrays that are
alive when a kernel runs without gradients are those that `plan.schedule` counts.

Steps of a *fused* program may write their result over an array that nobody needs any more, if the caller says so: over
*fresh* ones, which the program made, and over *given* ones, inputs that the caller gives away.  They may rely on
*plain* arrays, too: all inputs have one batch axis, of one length, and autocast is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from keyword import iskeyword
from typing import Any

import sympy

from tensoralg.expr import Expr
from tensoralg.lower.helpers import HELPERS
from tensoralg.spaces import DirectSum, TensorProduct, VectorSpace

LOOP_NAMES = ("zeros", "matrices", "placed", "add_into", "write_into", "keep_into", "range")
FLAGS = ("plain", "fresh", "given")
RESERVED = frozenset(
    {"torch", "math", "max", "min", "reciprocal", "operator", "costs", "cheapest", *FLAGS, *HELPERS, *LOOP_NAMES}
)
Axes = tuple[VectorSpace, ...]


@dataclass(frozen=True)
class Arg:
    """A value whose axes are the axes `places` (increasing) of the result."""

    name: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class Literal:
    """The truth values of a relation over a space: row related to column."""

    relation: str
    space: VectorSpace
    width: Expr | None = None


@dataclass(frozen=True)
class Indicator:
    """Truth values as numbers 0 and 1."""

    source: str


@dataclass(frozen=True)
class One:
    """The number 1, without axes."""


@dataclass(frozen=True)
class Einsum:
    """The sum over all labels that are not in the output of the product of one or two operands."""

    operands: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """A view: one axis over a tensor product as one axis for each factor."""

    source: str
    axis: int


@dataclass(frozen=True)
class Take:
    """A view: the part of an axis over a direct sum that lies in one summand."""

    source: str
    axis: int
    position: int


@dataclass(frozen=True)
class Repeat:
    """A view: a new axis along which the value is constant."""

    source: str
    axis: int


@dataclass(frozen=True)
class Where:
    """The source where the mask holds, else 0."""

    mask: Arg
    source: Arg


@dataclass(frozen=True)
class Triangle:
    """The source below (or above) the diagonal of its last two axes, which is kept unless strict; else 0.

    In place it may overwrite the source, which has to be :func:`overwritable`.
    """

    source: str
    lower: bool
    strict: bool
    in_place: bool = False


@dataclass(frozen=True)
class AddProduct:
    """A value plus a product of matrices, as one operation.

    It may overwrite the value if that is :func:`overwritable` ("fresh") or the step is its last reader ("given").
    """

    added: str
    product: Einsum
    overwrites: str = ""


@dataclass(frozen=True)
class Scale:
    """The source times a function of sizes and numbers."""

    source: str
    factor: Expr


@dataclass(frozen=True)
class Binary:
    """``+``, ``-`` or ``/`` entry by entry."""

    symbol: str
    left: Arg
    right: Arg


@dataclass(frozen=True)
class Function:
    """``exp``, ``log``, ``sqrt`` or ``relu`` of every entry."""

    function: str
    source: str


@dataclass(frozen=True)
class Power:
    """An integer power of every entry."""

    source: str
    exponent: int


@dataclass(frozen=True)
class Softmax:
    """The softmax along an axis of the result, over the entries at which all masks (innermost first) hold."""

    source: Arg
    masks: tuple[Arg, ...]
    axis: int


@dataclass(frozen=True)
class Attention:
    """The values averaged with the softmax over keys of ``scale * query . key + bias``, where all masks hold.

    The result has the axes ``..., t, e``.  The places of the operands count the axes ``..., t, f`` for the query,
    ``..., s, f`` for the key, ``..., s, e`` for the value and ``..., t, s`` for masks and bias, with the same batch
    axes in front.  Query, key and value have the last two.

    Attributes
    ----------
    causal : bool
        Whether ``le[s,t]`` holds too.
    empty : bool
        Whether the masks may leave a row without keys; there the result is NaN.
    """

    query: Arg
    key: Arg
    value: Arg
    scale: Expr
    masks: tuple[Arg, ...] = ()
    bias: Arg | None = None
    causal: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Paths:
    """The products of a gate over ``earlier < r <= later``, with an axis for each time that is not a formal end."""

    source: str
    later: bool
    earlier: bool


@dataclass(frozen=True)
class Select:
    """A view in a slice: the part of an axis at the position of a loop's variable."""

    source: str
    axis: int
    variable: str


@dataclass(frozen=True)
class Loop:
    """A step that is done for all positions of some variables.

    Attributes
    ----------
    variables : tuple of (str, VectorSpace)
        Names and spaces; at least one.
    kept : int
        How many of them, the first ones, are the first axes of the result; over the others it is a sum.
    body : tuple of Step
        What is done in a slice.
    last : Step
        The contraction (of two operands) or selection whose value a slice has.
    numbers : tuple of str
        The values from outside that hold numbers.
    """

    variables: tuple[tuple[str, VectorSpace], ...]
    kept: int
    body: tuple[Step, ...]
    last: Step
    numbers: tuple[str, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that is done in a slice."""
        return *self.body, self.last


Shaping = Literal | Indicator | One | Split | Take | Repeat | Select
Pointwise = Where | Triangle | Scale | Binary | Function | Power
Op = Shaping | Einsum | AddProduct | Pointwise | Softmax | Attention | Paths | Loop


@dataclass(frozen=True)
class Step:
    """``name = op``, an array with the given axes; the values `frees` are deleted after it."""

    name: str
    axes: Axes
    op: Op
    frees: tuple[str, ...] = ()


@dataclass(frozen=True)
class SizeSource:
    """Where a size comes from: an axis of an input, counted from the end, or a number."""

    dimension: str
    tensor: str
    axis: int


@dataclass(frozen=True)
class Program:
    """Inputs with their legs, where sizes are read, the steps, and the names of the results."""

    inputs: tuple[tuple[str, Axes], ...]
    sizes: tuple[SizeSource, ...]
    steps: tuple[Step, ...]
    results: tuple[str, ...]
    fused: bool = False

    @property
    def axes(self) -> dict[str, Axes]:
        """The axes of every value."""
        loops = [step.op for step in self.steps if isinstance(step.op, Loop)]
        inner = {step.name: step.axes for loop in loops for step in loop.body}
        return {**dict(self.inputs), **{step.name: step.axes for step in self.steps}, **inner}


def size_variable(inputs: Iterable[str], dimension: str) -> str:
    """Return the variable that holds a size: its name, unless that means something else.

    Examples
    --------
    >>> size_variable(["Q"], "n"), size_variable(["Q", "n"], "n")
    ('n', 'n_')
    """
    taken = {*inputs, *RESERVED}
    name = dimension
    while name in taken or iskeyword(name):
        name += "_"
    return name


def parts_of(space: VectorSpace) -> Axes:
    """Return the factors of a tensor product or the summands of a direct sum; nothing for other spaces.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> [str(part) for part in parts_of(Space("A", "a") + Space("B", "b"))]
    ['A', 'B']
    """
    if isinstance(space, TensorProduct):
        return space.factors
    return space.summands if isinstance(space, DirectSum) else ()


def symbols_of(axes: Iterable[VectorSpace]) -> set[str]:
    """Return the names of the dimension symbols of some spaces."""
    return {s.name for space in axes for s in sympy.sympify(space.dimension).free_symbols}


def operands_of(op: Op) -> tuple[str, ...]:
    """Return the names of the values that an operation reads."""
    if isinstance(op, Einsum):
        return op.operands
    if isinstance(op, AddProduct):
        return op.added, *op.product.operands
    if isinstance(op, Where):
        return op.mask.name, op.source.name
    if isinstance(op, Binary):
        return op.left.name, op.right.name
    if isinstance(op, Softmax):
        return op.source.name, *(m.name for m in op.masks)
    if isinstance(op, Loop):
        made = {step.name for step in op.body}
        return tuple(dict.fromkeys(name for step in op.steps for name in operands_of(step.op) if name not in made))
    if isinstance(op, Attention):
        added = () if op.bias is None else (op.bias.name,)
        return op.query.name, op.key.name, op.value.name, *(m.name for m in op.masks), *added
    if isinstance(op, Literal | One):
        return ()
    return (op.source,)


NAMING = ("source", "added", "operands", "numbers")  # the fields of operations that are names of values


def renamed(op: Op, names: Mapping[str, str]) -> Op:
    """Return an operation on values that go by other names.

    Examples
    --------
    >>> renamed(Binary("+", Arg("x", (0,)), Arg("y", (0,))), {"x": "z"}).left
    Arg(name='z', places=(0,))
    """

    def of(value: Any, key: str = "") -> Any:
        if isinstance(value, tuple):
            return tuple(of(one, key) for one in value)
        if isinstance(value, Arg):
            return Arg(names.get(value.name, value.name), value.places)
        if isinstance(value, Einsum):
            return renamed(value, names)
        if isinstance(value, Step):
            return replace(value, op=renamed(value.op, names))
        return names.get(value, value) if key in NAMING and isinstance(value, str) else value

    changed: Op = replace(op, **{field.name: of(getattr(op, field.name), field.name) for field in fields(op)})
    return changed


def is_free(op: Op) -> bool:
    """Whether an operation costs nothing: a literal or a view."""
    if isinstance(op, Einsum):
        return len(op.operands) == 1 and set(op.labels[0]) == set(op.output)
    return isinstance(op, Shaping)


def matrix_product(op: Einsum) -> tuple[bool, bool] | None:
    """Return which operands have to be transposed for a contraction to be a product of matrices, None if it is none.

    The matrices are on the last two axes, the axes before them are the same in both operands and in the result.

    Examples
    --------
    >>> matrix_product(Einsum(("x", "y"), ((0, 1), (2, 1)), (0, 2)))
    (False, True)
    >>> matrix_product(Einsum(("x", "y"), ((0, 1), (1, 2)), (2, 0))) is None
    True
    """
    ranks = {len(labels) for labels in op.labels} | {len(op.output)}
    if len(op.operands) != 2 or len(ranks) != 1 or min(ranks) < 2:
        return None
    (*leading, a, b), (*others, c, d) = op.labels
    *kept, row, column = op.output
    if not (leading == others == kept) or len({*leading, a, b, c, d}) != len(leading) + 3 or a == b or c == d:
        return None
    transposed = a != row, d != column
    summed = (a if transposed[0] else b, d if transposed[1] else c)
    return transposed if summed[0] == summed[1] and row in (a, b) and column in (c, d) else None


def entrywise(op: Einsum) -> tuple[Arg, Arg] | None:
    """Return the operands by the axes of the result, if a contraction sums nothing and moves no axes; else None.

    Examples
    --------
    >>> entrywise(Einsum(("x", "y"), ((0, 1), (1,)), (0, 1)))
    (Arg(name='x', places=(0, 1)), Arg(name='y', places=(1,)))
    """
    if len(op.operands) != 2 or {*op.labels[0], *op.labels[1]} != set(op.output):
        return None
    left, right = (
        Arg(name, tuple(map(op.output.index, labels))) for name, labels in zip(op.operands, op.labels, strict=True)
    )
    in_order = all(sorted(set(arg.places)) == list(arg.places) for arg in (left, right))
    return (left, right) if in_order else None


def label_spaces(op: Einsum, axes: Mapping[str, Axes]) -> dict[int, VectorSpace]:
    """Return the space of every label of a contraction: that of its first occurrence."""
    spaces: dict[int, VectorSpace] = {}
    for name, labels in zip(op.operands, op.labels, strict=True):
        for label, space in zip(labels, axes[name], strict=True):
            spaces.setdefault(label, space)
    return spaces
