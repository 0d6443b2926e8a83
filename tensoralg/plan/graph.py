"""What a whole graph of blocks costs, given an order for each of its contractions.

Every distinct block is computed once.  With `|axes|` the number of entries of a block:

============ ==================== ==============================================================
block        FLOPs                pointwise operations
============ ==================== ==============================================================
Contract     see `plan.tree`      see `plan.tree`, and `|axes|` for a scale other than 1
Total        none                 per addition the entries so far, and those of a term that is scaled
Pointwise    none                 `|axes|`
Quotient     none                 per denominator the entries so far
Softmax      `|axes|`             `2 |axes|`, and `|axes|` per mask
============ ==================== ==============================================================

Leaves, literals, splits, slices and a contraction of one operand that sums nothing and has the scale 1
(a *view*) are free and have no memory of their own.

*Memory*: blocks are computed depth first, operands in the order written, each once.  A block's array
is alive from its first step to the end of the last block that reads it (an array read once, by a
contraction: to the end of the step that reads it); the output stays alive.  A scale is multiplied in
place.  Where the output is a view of an input or of a literal, it counts as an array of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from tensoralg.plan.block import (
    MINUS_ONE,
    ONE,
    Block,
    Contract,
    Leaf,
    Literal,
    Operand,
    Pointwise,
    Quotient,
    Softmax,
    Split,
    Take,
    Total,
)
from tensoralg.plan.blocks import walk_blocks
from tensoralg.plan.polynomial import Amount, Polynomial, height, join, raised
from tensoralg.plan.slicing import Sliced, price
from tensoralg.plan.tree import Network, Priced, Tree
from tensoralg.spaces import VectorSpace


@dataclass(frozen=True)
class Room:
    """A contraction of a graph: its network, and what else is alive while it runs."""

    contract: Contract
    network: Network
    outer: Amount

    def place(self, order: Priced) -> Priced:
        """Return the price of an order of this contraction as a part of the whole graph."""
        if self.contract.scale == ONE:
            return Priced(order.flops, order.pointwise, order.largest, raised(order.peak, self.outer), (order.tree,))
        network = self.network
        result = network.volume(network.output)
        copied = network.count < 2 and not any(network.sums_alone(p) for p in range(network.count))
        beside = result + network.waiting(network.everything) if copied else result
        # legs in which the result is constant are added after scaling, as a view
        scaled = network.volume(network.output & reduce(or_, network.carried, 0))
        return Priced(
            order.flops,
            order.pointwise + scaled,
            join(order.largest, height(result)),
            raised(join(order.peak, height(beside)), self.outer),
            (order.tree,),
        )


class Graph:
    """A block with everything it reads, and the sizes of its dimensions.

    Parameters
    ----------
    root : Block
        The block of the output.
    sizes : mapping of str to int
        Sizes of dimensions; the others stay symbols.
    """

    def __init__(self, root: Block, sizes: Mapping[str, int] | None = None) -> None:
        self.root = root
        self.order = tuple(walk_blocks(root))
        self._sizes = {name: Polynomial.constant(value) for name, value in (sizes or {}).items()}
        self._dimensions: dict[VectorSpace, Polynomial] = {}
        spaces = {space for block in self.order for space in _spaces(block)}
        self.names = tuple(sorted({name for s in spaces for name in Polynomial.of(s.dimension).names}))
        self.numeric = set(self.names) <= set(self._sizes)
        self.one: Amount = 1 if self.numeric else Polynomial.constant(1)
        self.zero: Amount = self.one * 0
        self.fixed, self.rooms = self._account()

    def dimension(self, space: VectorSpace) -> Amount:
        """Return the dimension of a space, with the given sizes put in."""
        if space not in self._dimensions:
            self._dimensions[space] = self.at_sizes(Polynomial.of(space.dimension))
        found = self._dimensions[space]
        return int(found.value({})) if self.numeric else found

    def at_sizes(self, amount: Polynomial) -> Polynomial:
        """Return a polynomial with the given sizes put in."""
        return amount.substitute(self._sizes)

    def volume(self, spaces: Iterable[VectorSpace]) -> Amount:
        """Return the number of entries of an array with these axes."""
        product = self.one
        for space in spaces:
            product = product * self.dimension(space)
        return product

    def price(self, trees: Mapping[Contract, Tree | Sliced]) -> Priced:
        """Return the price of the graph with a given tree for each contraction."""
        total = self.fixed
        for room in self.rooms:
            total = both(total, room.place(price(room.network, trees[room.contract])))
        return total

    def _account(self) -> tuple[Priced, tuple[Room, ...]]:
        """Return what does not depend on the orders, and the contractions."""
        lives = _Lives(self)
        zero = height(self.zero)
        total = Priced(self.zero, self.zero, zero, zero, ())
        rooms = []
        for position, block in enumerate(self.order):
            if is_view(block):
                continue
            alive = lives.alive(position)
            if isinstance(block, Contract):
                held = [lives.held(operand) for operand in block.factors]
                outer = alive
                for amount in held:
                    outer = outer + amount * -1
                dimensions = [self.dimension(space) for space in block.spaces]
                rooms.append(Room(block, Network(block, dimensions, held, self.one), outer))
                continue
            result = self.volume(block.axes)
            flops, pointwise = self._work(block)
            total = both(total, Priced(flops, pointwise, height(result), height(alive + result), ()))
        if storage(self.root) is None:
            result = self.volume(self.root.axes)
            total = both(total, Priced(self.zero, self.zero, height(result), height(result), ()))
        return total, tuple(rooms)

    def _work(self, block: Block) -> tuple[Amount, Amount]:
        """Return the FLOPs and the pointwise operations of a block that is no contraction."""
        entries = self.volume(block.axes)
        if isinstance(block, Total):
            return self.zero, self._additions(block)
        if isinstance(block, Softmax):
            return entries, entries * (2 + len(block.masks))
        if isinstance(block, Quotient):
            work, labels = self.zero, set(block.numerator.labels)
            for denominator in block.denominators:
                labels |= set(denominator.labels)
                work = work + self.volume(block.spaces[label] for label in labels)
            return self.zero, work
        assert isinstance(block, Pointwise)
        return self.zero, entries

    def _additions(self, block: Total) -> Amount:
        """Return the pointwise operations of a sum of terms, added one after the other."""
        work, labels = self.zero, set[int]()
        for position, (term, scale) in enumerate(block.schedule):
            labels |= set(term.labels)
            if position:
                work = work + self.volume(block.spaces[label] for label in labels)
            if scale != ONE and not (position and scale == MINUS_ONE):
                work = work + self.volume(block.spaces[label] for label in set(term.labels))
        return work


@dataclass
class _Lives:
    """From where to where the arrays of a graph are alive."""

    graph: Graph
    last: dict[Block, int] = field(default_factory=dict)
    reads: dict[Block, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for position, block in enumerate(self.graph.order):
            if is_view(block):
                continue
            for operand in block.operands:
                source = storage(operand.block)
                if source is not None:
                    self.last[source] = position
                    self.reads[source] = self.reads.get(source, 0) + 1
        output = storage(self.graph.root)
        if output is not None:
            self.last[output] = len(self.graph.order)

    def alive(self, position: int) -> Amount:
        """Return the memory of the arrays made before a block that it or a later one reads."""
        total = self.graph.zero
        for block in self.graph.order[:position]:
            if self.last.get(block, -1) >= position:
                total = total + self.graph.volume(_stored(block))
        return total

    def held(self, operand: Operand) -> Amount:
        """Return the memory that is given back when the operand of a contraction has been read."""
        source = storage(operand.block)
        if source is None or self.reads[source] > 1 or self.last[source] == len(self.graph.order):
            return self.graph.zero
        return self.graph.volume(_stored(source))


def both(one: Priced, other: Priced) -> Priced:
    """Return the price of two parts of a graph together."""
    return Priced(
        one.flops + other.flops,
        one.pointwise + other.pointwise,
        join(one.largest, other.largest),
        join(one.peak, other.peak),
        (*one.tree, *other.tree),
    )


def is_view(block: Block) -> bool:
    """Whether a block is free and has no memory of its own."""
    if isinstance(block, Contract):
        return block.scale == ONE and (
            not block.factors or (len(block.factors) == 1 and set(block.factors[0].labels) <= set(block.output))
        )
    return isinstance(block, Leaf | Literal | Split | Take)


def storage(block: Block) -> Block | None:
    """Return the block whose memory a block occupies; None for inputs and constants."""
    while is_view(block):
        if not block.operands:
            return None
        block = block.operands[0].block
    return block


def _stored(block: Block) -> tuple[VectorSpace, ...]:
    """Return the axes of the array that a block makes; axes in which it is constant take no memory."""
    if isinstance(block, Contract) and block.scale == ONE:
        carried = {label for operand in block.factors for label in operand.labels}
        return tuple(block.spaces[label] for label in block.output if label in carried)
    return block.axes


def _spaces(block: Block) -> Iterator[VectorSpace]:
    yield from block.spaces if isinstance(block, Contract) else block.axes
