"""In which order the operations of a graph of blocks run, and which arrays are alive when.

Blocks are computed depth first, each once, the operands of a block one after the other:

* A contraction computes all its operands and then runs as one entry of the schedule; its own steps
  depend on its tree (see `plan.tree`).  A scale makes another array of the finished contraction.
* A sum computes each term just before it is scaled, if it is, and added; every addition makes an array.
* A quotient computes each denominator just before it divides by it; every division makes an array.
* A softmax with masks first makes a filled copy of its argument, which lives while the softmax runs.
* A decay of numbers is a cumulative product, masked before and after where it has two times; one from a time to
  the end works on a shifted copy.  A decay of matrices is a loop of products whose results are then stacked.

A *view* (a leaf, a literal, a split, a slice, a contraction of one operand that sums nothing and has the
scale 1) makes no array; it lies in the array of what it is a view of.  Inputs and 0/1 arrays do not count.
An array is *alive* from the operation that makes it to the end of the last operation that reads it; one
that a contraction reads several times, and nothing after it reads, to the end of the contraction; one
that it reads once, to the end of the step that reads it.  The output stays alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tensoralg.plan.block import (
    MINUS_ONE,
    ONE,
    Block,
    Contract,
    Leaf,
    Literal,
    Paths,
    Pointwise,
    Quotient,
    Softmax,
    Split,
    Take,
    Total,
)
from tensoralg.plan.polynomial import Amount
from tensoralg.spaces import VectorSpace

Volume = Callable[[Iterable[VectorSpace]], Amount]


def is_view(block: Block) -> bool:
    """Whether a block is free and has no memory of its own."""
    if isinstance(block, Contract):
        return block.scale == ONE and (
            not block.factors or (len(block.factors) == 1 and set(block.factors[0].labels) <= set(block.output))
        )
    return isinstance(block, Leaf | Literal | Split | Take)


def stored(contract: Contract) -> tuple[VectorSpace, ...]:
    """Return the axes of the array that a contraction makes; legs in which it is constant take no memory."""
    carried = {label for operand in contract.factors for label in operand.labels}
    return tuple(contract.spaces[label] for label in contract.output if label in carried)


@dataclass(frozen=True)
class Operation:
    """One operation of a block; the array that it makes has its number in the schedule.

    Attributes
    ----------
    block : Block
        The block that it belongs to.
    reads : tuple of int or None
        The arrays that it reads, None for inputs and 0/1 arrays; of a contraction, one for each factor.
    result : int or Polynomial
        The elements of the array that it makes.
    flops, pointwise : int or Polynomial
        What it costs (zero for a contraction, whose cost depends on its tree).
    scratch : int or Polynomial
        The elements of what is alive only while it runs.
    """

    block: Block
    reads: tuple[int | None, ...]
    result: Amount
    flops: Amount
    pointwise: Amount
    scratch: Amount


@dataclass
class Schedule:
    """The operations that compute the roots of a graph, in order.

    Parameters
    ----------
    roots : sequence of Block
        What is computed; their arrays stay alive.
    volume : callable
        The number of entries of an array with the given axes.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> T = ta.Space("T", 5)
    >>> x, y, z = ta.tensors("x y z", T)
    >>> (t,) = T.indices("t")
    >>> root, _ = blocks(ta.define((t,), x[t] + 2 * y[t] + z[t]))
    >>> plan = Schedule([root], lambda spaces: 5 ** len(tuple(spaces)))
    >>> [(o.reads, plan.alive[k]) for k, o in enumerate(plan.operations)]
    [((None,), 0), ((None, 0), 5), ((1, None), 5)]
    """

    roots: Sequence[Block]
    volume: Volume
    operations: list[Operation] = field(default_factory=list)
    arrays: dict[Block, int | None] = field(default_factory=dict)
    alive: list[Amount] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.zero: Amount = self.volume(()) * 0
        outputs = [self.array(root) for root in self.roots]
        for position, operation in enumerate(self.operations):
            self.last.update((read, position) for read in operation.reads if read is not None)
        self.last.update((output, len(self.operations)) for output in outputs if output is not None)
        now = self.zero
        for position, operation in enumerate(self.operations):
            self.alive.append(now)
            now = now + operation.result
            for read in {read for read in operation.reads if read is not None}:
                if self.last[read] == position:
                    now = now + self.operations[read].result * -1

    def array(self, block: Block) -> int | None:
        """Return the array in which a block lies, computed once; None for inputs and 0/1 arrays."""
        if block not in self.arrays:
            self.arrays[block] = self._compute(block)
        return self.arrays[block]

    def held(self, position: int) -> list[Amount]:
        """Return the memory that is given back when each operand of a contraction has been read."""
        reads = self.operations[position].reads
        return [
            self.zero
            if read is None or self.last[read] > position or reads.count(read) > 1
            else self.operations[read].result
            for read in reads
        ]

    def _compute(self, block: Block) -> int | None:
        if isinstance(block, Total):
            return self._total(block)
        if isinstance(block, Quotient):
            return self._quotient(block)
        reads = [self.array(operand.block) for operand in block.operands]
        if is_view(block):
            return reads[0] if reads else None
        if isinstance(block, Contract):
            return self._do(block, reads, self.volume(stored(block)))
        if isinstance(block, Paths):
            return self._matrix_paths(block, reads) if len(block.channels) == 2 else self._paths(block, reads)
        entries = self.volume(block.axes)
        if isinstance(block, Softmax):
            filled, pointwise = set(block.argument.labels), entries * 2
            for mask in block.masks:
                filled |= set(mask.labels)
                pointwise = pointwise + self._entries(block, filled)
            return self._do(block, reads, entries, entries, pointwise, entries if block.masks else self.zero)
        assert isinstance(block, Pointwise)
        return self._do(block, reads, entries, pointwise=entries)

    def _total(self, block: Total) -> int | None:
        total: int | None = None
        labels: set[int] = set()
        for position, (term, scale) in enumerate(block.schedule):
            array = self.array(term.block)
            if scale != ONE and not (position and scale == MINUS_ONE):
                array = self._pointwise(block, [array], set(term.labels))
            labels |= set(term.labels)
            total = self._pointwise(block, [total, array], labels) if position else array
        return total

    def _quotient(self, block: Quotient) -> int | None:
        done = self.array(block.numerator.block)
        labels = set(block.numerator.labels)
        for denominator in block.denominators:
            labels |= set(denominator.labels)
            done = self._pointwise(block, [done, self.array(denominator.block)], labels)
        return done

    def _paths(self, block: Paths, reads: Sequence[int | None]) -> int:
        entries = self.volume(block.axes)
        if not (block.later or block.earlier):
            return self._do(block, reads, entries, pointwise=self.volume(block.gate.axes))
        passes = 3 if block.later and block.earlier else 1
        return self._do(
            block, reads, entries, pointwise=entries * passes, scratch=entries if block.earlier else self.zero
        )

    def _matrix_paths(self, block: Paths, reads: Sequence[int | None]) -> int:
        clock, matrix = block.clock, block.channels
        one, steps = self.volume((*matrix, matrix[0])), self.volume((clock, *matrix, matrix[0]))
        entries, table = self.volume(block.axes), self.volume((clock, clock, *matrix, matrix[0]))
        if block.later and block.earlier:
            return self._do(block, reads, entries, flops=table + steps * -1, scratch=entries)
        if block.earlier:
            rest = entries + self.volume(matrix) * -1
            return self._do(block, reads, entries, flops=(steps + one * -1) * 2, scratch=rest)
        return self._do(block, reads, entries, flops=steps * 2, scratch=entries)

    def _entries(self, block: Total | Quotient | Softmax, labels: Iterable[int]) -> Amount:
        return self.volume(block.spaces[label] for label in labels)

    def _pointwise(self, block: Total | Quotient, reads: Sequence[int | None], labels: Iterable[int]) -> int:
        entries = self._entries(block, labels)
        return self._do(block, reads, entries, pointwise=entries)

    def _do(
        self,
        block: Block,
        reads: Sequence[int | None],
        result: Amount,
        flops: Amount | None = None,
        pointwise: Amount | None = None,
        scratch: Amount | None = None,
    ) -> int:
        work = [self.zero if amount is None else amount for amount in (flops, pointwise, scratch)]
        self.operations.append(Operation(block, tuple(reads), result, *work))
        return len(self.operations) - 1
