"""Blocks: the array-valued operations that expressions are made of.

A *block* with the axes ``V_1, ..., V_r`` denotes, for given sizes and inputs, an array: a function
``x(p_1, ..., p_r)`` of one position ``p_a`` in each ``V_a`` (a number where r = 0).  It is a leaf, a
literal, or an operation on the arrays of other blocks, its operands; so blocks are the nodes of a
directed acyclic graph.  Axes have positions and no names: blocks that are built alike are equal, and are
one node of the graph.

*Labels* say which axes move together.  A block numbers the variables it works on, and an operand
``(x, (l_1, ..., l_r))`` stands for the function ``i -> x(i(l_1), ..., i(l_r))`` of an assignment i of
positions to labels.  A label that comes twice reads a diagonal, and in a label that does not come the
operand is constant.  A contraction lists its output labels and sums over the others; in a total, a
quotient and a softmax label k is axis k of the result; any other block that reads one reads all its axes
in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from tensoralg.errors import InvalidExpression
from tensoralg.expr.nodes import Expr, as_expr
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import DirectSum, TensorProduct, VectorSpace

Of: TypeAlias = "Callable[[Block], Block]"

ONE = as_expr(1)
MINUS_ONE = as_expr(-1)


@dataclass(frozen=True)
class Block:
    """An array-valued operation; `axes` are the spaces of its axes."""

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        """The spaces of the axes, in order."""
        raise NotImplementedError(type(self).__name__)

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The blocks that are read, with labels for their axes."""
        return ()

    def reading(self, of: Of) -> Block:
        """Return the same operation on other operands, ``of(x)`` in place of x."""
        return self


@dataclass(frozen=True)
class Operand:
    """A block whose axes carry the labels (small integers) of the block that reads it."""

    block: Block
    labels: tuple[int, ...]

    def of(self, other: Of) -> Operand:
        """Return another block read with the same labels."""
        return Operand(other(self.block), self.labels)


def whole(block: Block) -> Operand:
    """Return a block as an operand of which label k is axis k."""
    return Operand(block, tuple(range(len(block.axes))))


@dataclass(frozen=True)
class Leaf(Block):
    """An input tensor."""

    tensor: Tensor

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return self.tensor.legs


@dataclass(frozen=True)
class Literal(Block):
    """The 0/1 array of ``delta``, ``le``, ``lt`` or ``near`` over a space."""

    relation: str
    space: VectorSpace
    width: Expr | None = None

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return (self.space, self.space)


@dataclass(frozen=True)
class Split(Block):
    """The same array with one axis over a tensor product split into its factors (a view)."""

    source: Block
    axis: int

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        axes = self.source.axes
        factors = _product(axes[self.axis])
        return (*axes[: self.axis], *factors, *axes[self.axis + 1 :])

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (whole(self.source),)

    def reading(self, of: Of) -> Block:
        return replace(self, source=of(self.source))


@dataclass(frozen=True)
class Take(Block):
    """The part of an array whose axis over a direct sum lies in one summand (a view)."""

    source: Block
    axis: int
    position: int

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        axes = self.source.axes
        space = axes[self.axis]
        if not isinstance(space, DirectSum):
            raise InvalidExpression(f"{space} is no direct sum", remedy="take parts of direct sums only")
        return (*axes[: self.axis], space.summands[self.position], *axes[self.axis + 1 :])

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (whole(self.source),)

    def reading(self, of: Of) -> Block:
        return replace(self, source=of(self.source))


@dataclass(frozen=True)
class Contract(Block):
    """``scale * sum over the labels that are not outputs of the product of the operands``.

    An operand may carry a label twice (its diagonal).  `spaces` gives the space of every label; in an
    output label that no factor carries the result is constant.  `scale` mentions sizes and numbers only.
    """

    factors: tuple[Operand, ...]
    output: tuple[int, ...]
    spaces: tuple[VectorSpace, ...]
    scale: Expr = ONE

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return tuple(self.spaces[label] for label in self.output)

    @property
    def operands(self) -> tuple[Operand, ...]:
        return self.factors

    def reading(self, of: Of) -> Block:
        return replace(self, factors=tuple(operand.of(of) for operand in self.factors))


@dataclass(frozen=True)
class Total(Block):
    """A sum of terms, each with a scale; a term that lacks a label is constant in it."""

    terms: tuple[Operand, ...]
    scales: tuple[Expr, ...]
    spaces: tuple[VectorSpace, ...]

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return self.spaces

    @property
    def operands(self) -> tuple[Operand, ...]:
        return self.terms

    def reading(self, of: Of) -> Block:
        return replace(self, terms=tuple(operand.of(of) for operand in self.terms))

    @property
    def schedule(self) -> list[tuple[Operand, Expr]]:
        """The terms and scales in the order of addition: large terms first, subtracted ones last."""
        pairs = zip(self.terms, self.scales, strict=True)
        return sorted(pairs, key=lambda pair: (pair[1] == MINUS_ONE, -len(set(pair[0].labels))))


@dataclass(frozen=True)
class Pointwise(Block):
    """``exp``, ``log``, ``sqrt``, ``relu`` or ``pow`` (with an exponent) of every entry."""

    function: str
    argument: Block
    exponent: int = 1

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return self.argument.axes

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (whole(self.argument),)

    def reading(self, of: Of) -> Block:
        return replace(self, argument=of(self.argument))


@dataclass(frozen=True)
class Quotient(Block):
    """The first operand divided by the others, entry by entry."""

    numerator: Operand
    denominators: tuple[Operand, ...]
    spaces: tuple[VectorSpace, ...]

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return self.spaces

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.numerator, *self.denominators)

    def reading(self, of: Of) -> Block:
        below = tuple(operand.of(of) for operand in self.denominators)
        return replace(self, numerator=self.numerator.of(of), denominators=below)


@dataclass(frozen=True)
class Softmax(Block):
    """``m exp(x) / sum over one label of m exp(x)``, m the product of the masks (none: 1)."""

    argument: Operand
    masks: tuple[Operand, ...]
    over: int
    spaces: tuple[VectorSpace, ...]

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return self.spaces

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.argument, *self.masks)

    def reading(self, of: Of) -> Block:
        return replace(self, argument=self.argument.of(of), masks=tuple(operand.of(of) for operand in self.masks))


@dataclass(frozen=True)
class Paths(Block):
    """The products of a gate over the stretches of time ``earlier < r <= later``; 0 where earlier > later.

    The axes are those of the times that are not formal ends (`later`, `earlier`: whether there is such an
    axis; else the stretch goes to the last step, or from the first one), then the gate's channels: none, one, or
    two, which multiply as matrices, latest on the left.  A gate without axes is the same at every step.
    """

    gate: Block
    clock: VectorSpace
    later: bool
    earlier: bool

    @property
    def channels(self) -> tuple[VectorSpace, ...]:
        """The axes of the gate besides time."""
        return self.gate.axes[1:]

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return (*[self.clock] * (self.later + self.earlier), *self.channels)

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (whole(self.gate),)

    def reading(self, of: Of) -> Block:
        return replace(self, gate=of(self.gate))


@dataclass(frozen=True)
class Bundle(Block):
    """Several results at once; it does nothing and has no axes."""

    parts: tuple[Block, ...]

    @property
    def axes(self) -> tuple[VectorSpace, ...]:
        return ()

    @property
    def operands(self) -> tuple[Operand, ...]:
        return tuple(whole(part) for part in self.parts)

    def reading(self, of: Of) -> Block:
        return Bundle(tuple(of(part) for part in self.parts))


def results(root: Block) -> tuple[Block, ...]:
    """Return the arrays that are wanted: the parts of a bundle, or the block itself."""
    return root.parts if isinstance(root, Bundle) else (root,)


def rebuilt(root: Block, change: Of) -> Block:
    """Return a graph with every block, its operands rebuilt first, replaced by what `change` makes of it.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> root, _ = blocks(ta.parse("O[i] = exp(x[i])", indices={"i": "n"}))
    >>> rebuilt(root, lambda block: block.argument if isinstance(block, Pointwise) else block) == root.argument
    True
    """
    done: dict[Block, Block] = {}

    def of(block: Block) -> Block:
        if block not in done:
            done[block] = change(block.reading(of))
        return done[block]

    return of(root)


def _product(space: VectorSpace) -> tuple[VectorSpace, ...]:
    if not isinstance(space, TensorProduct):
        raise InvalidExpression(f"{space} is no tensor product", remedy="split product spaces only")
    return space.factors
