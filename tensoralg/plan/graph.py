"""What a whole graph of blocks costs, given an order for each of its contractions.

Every distinct block is computed once.  With `|axes|` the number of entries of a block:

============ ==================== ==============================================================
block        FLOPs                pointwise operations
============ ==================== ==============================================================
Contract     see `plan.tree`      see `plan.tree`, and `|axes|` for a scale other than 1
Total        none                 per addition the entries so far, and those of a term that is scaled
Pointwise    none                 `|axes|`
Quotient     none                 per denominator the entries so far
Softmax      `|axes|`             `2 |axes|`, and per mask the entries so far
Paths        none                 `3 |axes|` with two times, `|axes|` with one, the gate's entries with none
of matrices  `n (n - 1) d^3` with two times, `2 n d^3` (to the end: `2 (n - 1) d^3`) else; no pointwise operations
============ ==================== ==============================================================

Total, Quotient and Softmax make arrays on the way, and a scale makes a copy: in which order all this runs
and what is alive when, `plan.schedule` says.  Leaves, literals, splits, slices and a contraction of one
operand that sums nothing and has the scale 1 (a *view*) are free and have no memory of their own.

*Memory* is that of a kernel without gradients: every array that an operation makes counts, inputs and 0/1
arrays do not, nor do copies that a kernel makes of operands to bring their axes into another order.  An
array that is constant in a leg has one element along it.  Where the output is a view of an input or of a
literal, it counts as an array of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

from tensoralg.plan.block import ONE, Block, Contract, results
from tensoralg.plan.blocks import walk_blocks
from tensoralg.plan.polynomial import Amount, Polynomial, height, join, raised
from tensoralg.plan.schedule import Schedule
from tensoralg.plan.schedule import is_view as is_view
from tensoralg.plan.slicing import Sliced, price
from tensoralg.plan.tree import Network, Priced, Tree, written
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
        # legs in which the result is constant are added after scaling, as a view
        scaled = network.volume(network.output & reduce(or_, network.carried, 0))
        computed = network.count > 1 or any(network.sums_alone(p) for p in range(network.count))
        source = scaled if computed else network.waiting(network.everything)
        return Priced(
            order.flops,
            order.pointwise + scaled,
            join(order.largest, height(scaled)),
            raised(join(order.peak, height(source + scaled)), self.outer),
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
    symbolic : bool
        Whether amounts are polynomials even where no symbol is left.
    """

    def __init__(self, root: Block, sizes: Mapping[str, int] | None = None, symbolic: bool = False) -> None:
        self.root = root
        self.order = tuple(walk_blocks(root))
        self._sizes = {name: Polynomial.constant(value) for name, value in (sizes or {}).items()}
        self._dimensions: dict[VectorSpace, Polynomial] = {}
        spaces = {space for block in self.order for space in _spaces(block)}
        self.names = tuple(sorted({name for s in spaces for name in Polynomial.of(s.dimension).names}))
        self.numeric = not symbolic and set(self.names) <= set(self._sizes)
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
        """Return the price of the graph with given trees; contractions without one are done left to right."""
        total = self.fixed
        for room in self.rooms:
            tree = trees.get(room.contract, written(room.network.count))
            total = both(total, room.place(price(room.network, tree)))
        return total

    def _account(self) -> tuple[Priced, tuple[Room, ...]]:
        """Return what does not depend on the orders, and the contractions."""
        schedule = Schedule(results(self.root), self.volume)
        zero = height(self.zero)
        total = Priced(self.zero, self.zero, zero, zero, ())
        rooms = []
        for position, (operation, alive) in enumerate(zip(schedule.operations, schedule.alive, strict=True)):
            block = operation.block
            if isinstance(block, Contract):
                held = schedule.held(position)
                outer = alive
                for amount in held:
                    outer = outer + amount * -1
                dimensions = [self.dimension(space) for space in block.spaces]
                rooms.append(Room(block, Network(block, dimensions, held, self.one), outer))
                continue
            together = alive + operation.scratch + operation.result
            price = Priced(operation.flops, operation.pointwise, height(operation.result), height(together), ())
            total = both(total, price)
        for output in results(self.root):
            if schedule.array(output) is not None:
                continue
            result = self.volume(output.axes)
            total = both(total, Priced(self.zero, self.zero, height(result), height(result), ()))
        return total, tuple(rooms)


def both(one: Priced, other: Priced) -> Priced:
    """Return the price of two parts of a graph together."""
    return Priced(
        one.flops + other.flops,
        one.pointwise + other.pointwise,
        join(one.largest, other.largest),
        join(one.peak, other.peak),
        (*one.tree, *other.tree),
    )


def _spaces(block: Block) -> Iterator[VectorSpace]:
    yield from block.spaces if isinstance(block, Contract) else block.axes
