"""A graph of blocks done pair by pair along given trees, equal steps once.

Every node of a contraction tree becomes a contraction of its own: of two operands, or of one operand
whose lonely labels are summed out.  Such a step is written in one way: its operands in order of first
use, its labels numbered by first occurrence, its output in the order of these numbers.  Where an operand
may be read in several ways (it is symmetric in some axes, or both operands are the same array) the
smallest way is taken.  Steps that are written alike are one block of the graph and are computed once,
within a product, across the terms of a sum, and across several results.  This finds equal steps of the
given trees; which trees have many of them is the choice of `plan.share`.

The scale of a contraction and the order of its axes belong to its last step, unless that step is read
elsewhere too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations, product

from tensoralg.plan.block import ONE, Block, Contract, Leaf, Operand, results
from tensoralg.plan.blocks import walk_blocks
from tensoralg.plan.slicing import Sliced
from tensoralg.plan.tree import Tree, leaves, written
from tensoralg.spaces import VectorSpace

MOST_SYMMETRIES = 24


@dataclass(frozen=True)
class Order:
    """The order in which a graph of blocks is computed.

    Attributes
    ----------
    source : Block
        The graph, its contractions with any number of operands.
    trees : mapping of Contract to tree
        The tree of every contraction of `source`, `Sliced` where it is done in slices.
    root : Block
        What runs: `source` along its trees, or its pairwise form, whose contractions need no trees.
    """

    source: Block
    trees: Mapping[Contract, Tree | Sliced]
    root: Block

    @property
    def shares(self) -> bool:
        """Whether the pairwise form runs, equal steps once."""
        return self.root is not self.source


def paired(root: Block, trees: Mapping[Contract, Tree]) -> Block:
    """Return the graph with every contraction done pair by pair along its tree, equal steps being one block.

    Parameters
    ----------
    root : Block
        The graph.
    trees : mapping of Contract to nested tuples of positions
        A contraction without a tree is done left to right.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> O = ta.parse("O[i,j] = A[i,k]*A[j,k] + A[j,k]*A[i,k]", indices={"i,j,k": "n"})
    >>> total = paired(blocks(O)[0], {})
    >>> len({term.block for term in total.operands})
    1
    """
    pairing = _Pairing()
    changed: dict[Block, Block] = {}

    def of(block: Block) -> Block:
        if block not in changed:
            done = block.reading(of)
            if isinstance(block, Contract) and isinstance(done, Contract):
                done = pairing.contraction(done, trees.get(block, written(len(block.factors))))
            changed[block] = done
        return changed[block]

    return _absorbed(of(root))


@dataclass
class _Pairing:
    """Writes steps of two operands in one way."""

    order: dict[Block, int] = field(default_factory=dict)

    def contraction(self, contract: Contract, tree: Tree) -> Block:
        """Return a contraction as steps along a tree; its operands are done."""
        if tree == ():
            return contract
        factors = [through(operand) for operand in contract.factors]
        done = self._node(replace(contract, factors=tuple(factors)), tree)
        if done.labels == contract.output and contract.scale == ONE:
            return done.block
        return _read(done, contract)

    def _node(self, contract: Contract, tree: Tree) -> Operand:
        inside = set(leaves(tree))
        needed = set(contract.output)
        needed.update(label for k, factor in enumerate(contract.factors) if k not in inside for label in factor.labels)
        if isinstance(tree, int):
            leaf = contract.factors[tree]
            return leaf if set(leaf.labels) <= needed else self.step([leaf], needed, contract.spaces)
        return self.step([self._node(contract, part) for part in tree], needed, contract.spaces)

    def step(self, operands: Sequence[Operand], needed: set[int], spaces: Sequence[VectorSpace]) -> Operand:
        """Return one step, read with the labels of the contraction that it belongs to."""
        for operand in operands:
            self.order.setdefault(operand.block, len(self.order))
        ranked = sorted(operands, key=lambda operand: self.order[operand.block])
        ways = [ranked]
        if len(ranked) == 2 and ranked[0].block == ranked[1].block:
            ways.append(ranked[::-1])
        forms = [_numbered(list(way), needed) for ordered in ways for way in product(*map(_readings, ordered))]
        factors, output, names = min(forms, key=lambda form: ([f.labels for f in form[0]], form[1]))
        block = Contract(tuple(factors), output, tuple(spaces[name] for name in names))
        return Operand(block, tuple(names[number] for number in output))


def _numbered(operands: Sequence[Operand], needed: set[int]) -> tuple[list[Operand], tuple[int, ...], list[int]]:
    """Return operands and output with labels numbered by first occurrence, and the label of each number."""
    names = list(dict.fromkeys(label for operand in operands for label in operand.labels))
    number = {name: k for k, name in enumerate(names)}
    factors = [Operand(o.block, tuple(number[label] for label in o.labels)) for o in operands]
    return factors, tuple(number[name] for name in names if name in needed), names


def _readings(operand: Operand) -> Iterator[Operand]:
    """Yield the ways to read an operand that are the same by its symmetries."""
    for axes in symmetries(operand.block):
        yield Operand(operand.block, tuple(operand.labels[axis] for axis in axes))


def symmetries(block: Block) -> list[tuple[int, ...]]:
    """Return permutations of the axes of an array that leave it as it is, the identity first."""
    identity = tuple(range(len(block.axes)))
    found = [identity]
    if isinstance(block, Leaf):
        for group in block.tensor.symmetric:
            moved = [dict(zip(group, order, strict=True)) for order in permutations(group)] if len(group) < 5 else [{}]
            found = [tuple(move.get(axis, axis) for axis in known) for known in found for move in moved]
        found.sort(key=lambda axes: axes != identity)
    elif isinstance(block, Contract) and (exchanged := _exchange(block)) is not None:
        found.append(exchanged)
    return list(dict.fromkeys(found))[:MOST_SYMMETRIES]


def _exchange(block: Contract) -> tuple[int, ...] | None:
    """Return how the axes move when the two operands change places, if they are one array and that is a symmetry."""
    if len(block.factors) != 2 or block.factors[0].block != block.factors[1].block:
        return None
    moved: dict[int, int] = {}
    for one, other in zip(block.factors[0].labels, block.factors[1].labels, strict=True):
        if moved.setdefault(one, other) != other or moved.setdefault(other, one) != one:
            return None
    if {moved.get(label, label) for label in block.output} != set(block.output):
        return None
    return tuple(block.output.index(moved.get(label, label)) for label in block.output)


def is_reading(block: Block) -> bool:
    """Whether a block only reads another with its axes in another order or on a diagonal."""
    return (
        isinstance(block, Contract)
        and block.scale == ONE
        and len(block.factors) == 1
        and set(block.factors[0].labels) == set(block.output)
    )


def through(operand: Operand) -> Operand:
    """Return what an operand reads, past blocks that only reorder axes."""
    block = operand.block
    if isinstance(block, Contract) and is_reading(block):
        (source,) = block.factors
        label = dict(zip(block.output, operand.labels, strict=True))
        return through(Operand(source.block, tuple(label[axis] for axis in source.labels)))
    return operand


def _read(done: Operand, contract: Contract) -> Contract:
    """Return what is left of a contraction when its sum of products is done: its scale and its axes."""
    factors, _, names = _numbered([done], set(contract.output))
    number = {name: k for k, name in enumerate(names)}
    names += [label for label in contract.output if label not in number]
    number = {name: k for k, name in enumerate(names)}
    return Contract(
        tuple(factors),
        tuple(number[label] for label in contract.output),
        tuple(contract.spaces[name] for name in names),
        contract.scale,
    )


def _absorbed(root: Block) -> Block:
    """Return the graph with scales and orders of axes joined to the steps before, where only they read these."""
    readers = Counter(operand.block for block in walk_blocks(root) for operand in block.operands)
    readers.update(results(root))
    alone = {block for block, count in readers.items() if count == 1}
    joined: dict[Block, Block] = {}

    def of(block: Block) -> Block:
        if block not in joined:
            step = _step_under(block, alone)
            joined[block] = _join(block, step).reading(of) if step is not None else block.reading(of)
        return joined[block]

    return of(root)


def _step_under(block: Block, alone: set[Block]) -> Contract | None:
    """Return the step that a block only scales and reorders, if nothing else reads it."""
    if not isinstance(block, Contract) or len(block.factors) != 1:
        return None
    (operand,) = block.factors
    step = operand.block
    distinct = len(set(operand.labels)) == len(operand.labels) and set(operand.labels) <= set(block.output)
    if isinstance(step, Contract) and step.factors and step.scale == ONE and distinct and step in alone:
        return step
    return None


def _join(block: Block, step: Contract) -> Contract:
    assert isinstance(block, Contract)
    (operand,) = block.factors
    inner = dict(zip(operand.labels, step.output, strict=True))
    spaces = list(step.spaces)
    for label in block.output:
        if label not in inner:
            inner[label] = len(spaces)
            spaces.append(block.spaces[label])
    return Contract(step.factors, tuple(inner[label] for label in block.output), tuple(spaces), block.scale)
