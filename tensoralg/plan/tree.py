"""What contracting a network in a given order costs.

A *contraction tree* is a nested pair of operand positions; the left part of a pair is computed first.
Let ``kept(S)`` be the labels of the operands in S that the output or an operand outside S carries,
and ``|L|`` the product of the sizes of the labels in L.

* An operand with a repeated label is its diagonal: free.
* A label that one operand alone carries and that is no output is summed out of it before anything
  else: ``|labels of the operand|`` FLOPs, for all such labels together.
* A step that joins A and B works on the union ``u = kept(A) + kept(B)`` and leaves ``kept(A + B)``:
  ``2 |u|`` FLOPs where it sums a label (a multiplication and an addition), ``|u|`` where it does not.
  A step that does not and only applies a 0/1 operand (a mask) counts ``|u|`` pointwise instead.

*Memory*, in elements: every result of a step counts, inputs and 0/1 arrays do not.  `largest` is the
largest result, `peak` the most that is alive at once when the tree is evaluated depth first, left part
first: the operands of a step live until it ends (an operand that is an array of another block is alive
from the start, and if this contraction reads it once and nothing reads it later, to the end of the step
that reads it; see `plan.schedule`).

All of this is additive over a tree (or a maximum), which is what makes dynamic programming over
subsets of operands exact (Bellman, *Dynamic Programming*, 1957; for contractions Lam, Sadayappan &
Wenger, Parallel Processing Letters 7, 1997).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tensoralg.plan.block import Contract, Literal, Operand, Split, Take
from tensoralg.plan.polynomial import Amount, Height, height, join, raised, value_at

Tree: TypeAlias = "int | tuple[Tree, ...]"
T = TypeVar("T")


def is_mask(operand: Operand) -> bool:
    """Whether an operand is a 0/1 array, up to views of it."""
    block = operand.block
    while isinstance(block, Split | Take):
        block = block.source
    return isinstance(block, Literal)


@dataclass(frozen=True)
class Priced:
    """An order with its costs: trees of one contraction, or one for each of several."""

    flops: Amount
    pointwise: Amount
    largest: Height
    peak: Height
    tree: Any


class Network:
    """The operands of one contraction as sets of labels (bit masks), with the sizes of the labels.

    Parameters
    ----------
    contract : Contract
        The contraction.
    sizes : sequence of int or Polynomial
        The size of every label: numbers for all, or polynomials for all.
    held : sequence of int or Polynomial
        The memory that is given back when an operand has been read (nothing for inputs).
    one : int or Polynomial
        The number 1, of the kind that the sizes are.
    """

    def __init__(self, contract: Contract, sizes: Sequence[Amount], held: Sequence[Amount], one: Amount) -> None:
        self.contract = contract
        self.count = len(contract.factors)
        self.sizes = sizes
        self.one = one
        self.zero: Amount = one * 0
        self.output = _mask(contract.output)
        self.carried = [_mask(operand.labels) for operand in contract.factors]
        self.masked = [is_mask(operand) for operand in contract.factors]
        self.held = held
        self._volumes: dict[int, Amount] = {}
        self._kept: dict[int, int] = {}

    def at(self, sizes: Mapping[str, int]) -> Network:
        """Return the network with numbers for its sizes."""
        lengths = [value_at(size, sizes) for size in self.sizes]
        return Network(self.contract, lengths, [value_at(amount, sizes) for amount in self.held], 1)

    @property
    def everything(self) -> int:
        """The set of all operands."""
        return (1 << self.count) - 1

    def volume(self, labels: int) -> Amount:
        """Return the product of the sizes of the labels."""
        if labels not in self._volumes:
            product = self.one
            for label, size in enumerate(self.sizes):
                if labels >> label & 1:
                    product = product * size
            self._volumes[labels] = product
        return self._volumes[labels]

    def kept(self, operands: int) -> int:
        """Return the labels of a set of operands that the output or another operand carries."""
        if operands not in self._kept:
            inside, outside = 0, self.output
            for position, labels in enumerate(self.carried):
                if operands >> position & 1:
                    inside |= labels
                else:
                    outside |= labels
            self._kept[operands] = inside & outside
        return self._kept[operands]

    def sums_alone(self, position: int) -> bool:
        """Whether an operand carries labels that are summed out of it before anything else."""
        return self.kept(1 << position) != self.carried[position]

    def memory(self, operands: int) -> Amount:
        """Return the memory that the result of a set of operands holds until it is read."""
        position = operands.bit_length() - 1
        if operands == 1 << position and not self.sums_alone(position):
            return self.held[position]
        return self.volume(self.kept(operands))

    def waiting(self, operands: int) -> Amount:
        """Return the memory that the operands of a set hold before any is read."""
        return _sum((self.held[p] for p in range(self.count) if operands >> p & 1), self.zero)

    def leaf(self, position: int) -> Priced:
        """Return the price of preparing one operand."""
        held = self.held[position]
        if not self.sums_alone(position):
            return Priced(self.zero, self.zero, height(self.zero), height(held), position)
        result = self.volume(self.kept(1 << position))
        flops = self.volume(self.carried[position])
        return Priced(flops, self.zero, height(result), height(held + result), position)

    def step(self, left: int, right: int) -> tuple[Amount, Amount]:
        """Return the FLOPs and the pointwise operations of joining two disjoint sets of operands."""
        mine, theirs = self.kept(left), self.kept(right)
        work = self.volume(mine | theirs)
        if self.kept(left | right) != mine | theirs:
            return work * 2, self.zero
        if self.only_masks(left, right):
            return self.zero, work
        return work, self.zero

    def only_masks(self, left: int, right: int) -> bool:
        """Whether one of two sets of operands is a 0/1 array over labels that the other has."""
        mine, theirs = self.kept(left), self.kept(right)
        return (self._is_mask(left) and not mine & ~theirs) or (self._is_mask(right) and not theirs & ~mine)

    def _is_mask(self, operands: int) -> bool:
        position = operands.bit_length() - 1
        return operands == 1 << position and self.masked[position] and not self.sums_alone(position)

    def join(self, left: int, first: Priced, right: int, second: Priced) -> Priced:
        """Return the price of a tree from the prices of its two parts."""
        flops, pointwise = self.step(left, right)
        kept, result = self.memory(left), self.volume(self.kept(left | right))
        together = kept + self.memory(right) + result
        peak = join(join(raised(first.peak, self.waiting(right)), raised(second.peak, kept)), height(together))
        return Priced(
            first.flops + second.flops + flops,
            first.pointwise + second.pointwise + pointwise,
            join(join(first.largest, second.largest), height(result)),
            peak,
            (first.tree, second.tree),
        )

    def price(self, tree: Tree) -> Priced:
        """Return the price of a tree; `()` is the tree of a contraction without operands."""
        if tree == ():
            return Priced(self.zero, self.zero, height(self.zero), height(self.zero), ())

        def joined(one: tuple[int, Priced], other: tuple[int, Priced]) -> tuple[int, Priced]:
            return one[0] | other[0], self.join(*one, *other)

        return folded(tree, lambda position: (1 << position, self.leaf(position)), joined)[1]


def _mask(labels: Sequence[int]) -> int:
    return sum(1 << label for label in set(labels))


def _sum(amounts: Any, zero: Amount) -> Amount:
    total = zero
    for amount in amounts:
        total = total + amount
    return total


def written(count: int) -> Tree:
    """Return the tree that contracts operands from left to right.

    Examples
    --------
    >>> written(3), written(1), written(0)
    (((0, 1), 2), 0, ())
    """
    tree: Tree = 0 if count else ()
    for position in range(1, count):
        tree = (tree, position)
    return tree


def folded(tree: Tree, leaf: Callable[[int], T], joined: Callable[[T, T], T]) -> T:
    """Return what a tree other than `()` becomes when leaves and joins are replaced, left parts first.

    Examples
    --------
    >>> folded(((0, 1), 2), str, lambda left, right: f"({left} {right})")
    '((0 1) 2)'
    """
    made: list[T] = []
    for part in postorder(tree):
        if isinstance(part, int):
            made.append(leaf(part))
        else:
            left, right = made[-2:]
            made[-2:] = [joined(left, right)]
    return made[0]


def named(tree: Tree, names: Sequence[Any]) -> Any:
    """Return a tree with its positions replaced by names."""
    return folded(tree, lambda position: names[position], lambda left, right: (left, right)) if tree != () else ()


def to_path(tree: Tree) -> list[tuple[int, ...]]:
    """Return opt_einsum's path of a tree: pairs of positions in a list from which operands are taken.

    Examples
    --------
    >>> to_path((0, (1, 2))), to_path(0)
    ([(1, 2), (0, 1)], [(0,)])
    """
    if not isinstance(tree, tuple):
        return [(tree,)]
    # operands have their positions as names, results are named in the order in which they are made
    path: list[tuple[int, ...]] = []
    present = sorted(leaves(tree))
    made: list[int] = []
    fresh = max(present, default=0)
    for part in postorder(tree) if tree else ():
        if isinstance(part, int):
            made.append(part)
            continue
        # names only grow, so that the list stays sorted
        first, second = sorted(bisect_left(present, name) for name in made[-2:])
        path.append((first, second))
        del present[second], present[first]
        fresh += 1
        present.append(fresh)
        made[-2:] = [fresh]
    return path


def from_path(path: Sequence[Sequence[int]], count: int) -> Tree:
    """Return the tree of opt_einsum's path (steps of more than two operands are read left to right).

    Examples
    --------
    >>> from_path([(1, 2), (0, 1)], 3)
    (0, (1, 2))
    """
    present: list[Tree] = list(range(count))
    for positions in path:
        parts = [present[p] for p in sorted(positions)]
        for p in sorted(positions, reverse=True):
            del present[p]
        joined = parts[0]
        for part in parts[1:]:
            joined = (joined, part)
        present.append(joined)
    tree: Tree = present[0] if present else ()
    for part in present[1:]:
        tree = (tree, part)
    return tree


def leaves(tree: Tree) -> list[int]:
    """Return the operand positions of a tree, from left to right."""
    return [part for part in postorder(tree) if isinstance(part, int)]


def postorder(tree: Tree) -> list[Tree]:
    """Return a tree's leaves and joins, every join after its left and its right part.

    Trees may be as deep as there are operands, so that nothing here may recurse.

    Examples
    --------
    >>> postorder(((0, 1), 2))
    [0, 1, (0, 1), 2, ((0, 1), 2)]
    """
    found: list[Tree] = []
    stack = [tree]
    while stack:
        part = stack.pop()
        found.append(part)
        if not isinstance(part, int):
            stack.extend(part)
    return found[::-1]
