"""A plan as a sequence of array operations, for people: einsum steps, functions, sums, quotients.

Every step is one line of Python over numpy-like functions: ``einsum``, ``exp``, ``softmax``, ``reshape``,
``broadcast_to``, ``decay(gate, 't,s,f')`` (a gate without axes: over n steps) and the 0/1 arrays ``le(n)``, ``lt(n)``,
``near(n, w)``, ``delta(n)`` of a size n, whose entry ``[i, j]`` says whether ``i <= j``, ``i < j``,
``j - w < i <= j``, ``i == j``.  Sizes go by their names.
A block that several blocks read is one step, made before the first of them.  The FLOPs of the steps add up
to the price of the order in `plan.tree` and `plan.graph`.

Axes of blocks have no names, so letters are chosen: those of the indices that address a tensor in the
expression where they are free, else others; after the 52 letters come the symbols of `opt_einsum.get_symbol`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from opt_einsum import get_symbol

from tensoralg.expr.nodes import Decay, Entry, Expr
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.plan.block import (
    MINUS_ONE,
    ONE,
    Block,
    Contract,
    Leaf,
    Literal,
    Operand,
    Paths,
    Pointwise,
    Quotient,
    Softmax,
    Split,
    Take,
    Total,
)
from tensoralg.plan.blocks import walk_blocks
from tensoralg.plan.polynomial import Polynomial
from tensoralg.plan.schedule import Schedule
from tensoralg.plan.tree import Network, Tree, folded, written
from tensoralg.spaces import Index, VectorSpace, atoms

Labels = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operation on arrays.

    Attributes
    ----------
    name : str
        What is made.
    expression : str
        From what, a line of Python.
    shape : tuple of sympy expression
        The lengths of its axes.
    flops : sympy expression
        Its FLOPs in the cost model (functions, masks, additions and divisions have none).
    """

    name: str
    expression: str
    shape: tuple[Any, ...]
    flops: Any

    def __str__(self) -> str:
        return f"{self.name} = {self.expression}"


@dataclass(frozen=True)
class Letters:
    """The names of the indices in expressions, from which letters for axes are taken."""

    addresses: Mapping[tuple[str, tuple[VectorSpace, ...]], list[tuple[str, ...]]] = field(default_factory=dict)
    spaces: Mapping[VectorSpace, list[str]] = field(default_factory=dict)
    free: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of(outputs: Mapping[str, Expr]) -> Letters:
        """Return the names that occur in the expressions of some outputs."""
        made = Letters({}, {}, {name: expr.free for name, expr in outputs.items()})
        for expr in outputs.values():
            for index in expr.free_indices:
                made._note(index)
            for node in distinct_nodes(expr):
                if isinstance(node, Entry):
                    made._read(node)
                elif isinstance(node, Decay):
                    for index in (index for term in node.index_terms() for index in atoms(term)):
                        made._note(index)
        return made

    def _note(self, index: Index) -> None:
        known = self.spaces.setdefault(index.space, [])  # type: ignore[attr-defined]
        if index.name not in known:
            known.append(index.name)

    def _read(self, entry: Entry) -> None:
        names = tuple(index for term in entry.args for index in atoms(term))
        for index in names:
            self._note(index)
        key = entry.tensor.name, tuple(index.space for index in names)
        self.addresses.setdefault(key, []).append(tuple(index.name for index in names))  # type: ignore[attr-defined]

    def of_axes(self, block: Block) -> list[list[str]]:
        """Return, for each axis of a tensor or of a view of one, the names that address it."""
        source = block
        while isinstance(source, Split | Take):
            source = source.source
        rows = self.addresses.get((source.tensor.name, block.axes), []) if isinstance(source, Leaf) else []
        return [[row[axis] for row in rows] for axis in range(len(block.axes))]


def steps(
    outputs: Mapping[str, Block],
    trees: Mapping[Contract, Tree],
    letters: Letters | None = None,
    sizes: Mapping[str, int] | None = None,
) -> tuple[Step, ...]:
    """Return the steps that compute some blocks, each block once.

    Parameters
    ----------
    outputs : mapping of str to Block
        The blocks to be computed, by the names that they get.
    trees : mapping of Contract to tree
        The order of every contraction (of one operand: none is needed).
    letters : Letters, optional
        Names of indices to choose letters from.
    sizes : mapping of str to int, optional
        Sizes to put into shapes and FLOPs.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> attention = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
    >>> block, _ = blocks(attention)
    >>> for step in steps({"O": block}, {block: (0, (1, 2))}, Letters.of({"O": attention})):
    ...     print(step, "  #", step.flops)
    x0 = einsum('sf,se->fe', K, V)   # 2*d**2*n
    O = einsum('tf,fe->te', Q, x0)   # 2*d**2*n
    """
    writer = _Writer(outputs, trees, letters or Letters(), sizes or {})
    for name, block in outputs.items():
        writer.finish(name, block)
    return tuple(writer.steps)


class _Writer:
    """Writes steps; remembers under which name every block stands, and the letters of its axes."""

    def __init__(
        self, outputs: Mapping[str, Block], trees: Mapping[Contract, Tree], letters: Letters, sizes: Mapping[str, int]
    ) -> None:
        self.trees = trees
        self.hints = letters
        self.sizes = {name: Polynomial.constant(value) for name, value in sizes.items()}
        self.roots = {block: name for name, block in reversed(list(outputs.items()))}
        self.steps: list[Step] = []
        self.made: dict[Block, str] = {}
        self.letters: dict[Block, tuple[str, ...]] = {}
        inner = [block for root in outputs.values() for block in walk_blocks(root)]
        taken = {*outputs, *(block.tensor.name for block in inner if isinstance(block, Leaf))}
        taken |= {name for block in inner for space in block.axes for name in Polynomial.of(space.dimension).names}
        self.fresh = (name for k in count() if (name := f"x{k}") not in taken)

    def finish(self, name: str, block: Block) -> None:
        """Compute an output under its name."""
        source = self.source(block)
        if source != name:
            self.emit(source, block.axes, name=name)

    def emit(self, expression: str, axes: Iterable[VectorSpace], flops: Any = 0, name: str | None = None) -> str:
        """Add a step, and return the name of what it makes."""
        made = name or next(self.fresh)
        shape = tuple(self.size(space).sympy() for space in axes)
        self.steps.append(Step(made, expression, shape, Polynomial.of(flops).substitute(self.sizes).sympy()))
        return made

    def size(self, space: VectorSpace) -> Polynomial:
        return Polynomial.of(space.dimension).substitute(self.sizes)

    def source(self, block: Block) -> str:
        """Return the name of a block's array, computed first where it is not yet."""
        if block not in self.made:
            self.made[block] = self._make(block, self.roots.get(block))
        return self.made[block]

    def _make(self, block: Block, name: str | None) -> str:
        if isinstance(block, Leaf | Literal):
            self.letters[block] = self._choose(block, [], range(len(block.axes)), block.axes)
            return block.tensor.name if isinstance(block, Leaf) else _literal(block)
        if isinstance(block, Contract):
            return self._contract(block, name)
        if isinstance(block, Paths):
            return self._paths(block, name)
        sources = [self.source(operand.block) for operand in block.operands]
        axes = tuple(range(len(block.axes)))
        self.letters[block] = self._choose(block, block.operands, axes, block.axes)
        if isinstance(block, Split):
            expression = f"reshape({sources[0]}, {_shape(block.axes)})"
        elif isinstance(block, Take):
            expression = f"{sources[0]}[{', '.join([':'] * block.axis + [_part(block)])}]"
        elif isinstance(block, Pointwise):
            expression = _function(block, sources[0])
        elif isinstance(block, Total):
            expression = self._total(block)
        elif isinstance(block, Quotient):
            expression = "/".join(self._aligned(operand, block) for operand in block.operands)
        else:
            assert isinstance(block, Softmax)
            expression = self._softmax(block)
        flops = _volume(block.axes) if isinstance(block, Softmax) else 0
        return self.emit(expression, block.axes, flops, name)

    def _paths(self, block: Paths, name: str | None) -> str:
        source, count = self.source(block.gate), block.later + block.earlier
        letters = self._choose(block, [], range(len(block.axes)), block.axes)
        self.letters[block] = letters
        times = (letters[0] if block.later else "+", letters[count - 1] if block.earlier else "-")
        flops = Schedule([block], _volume).operations[0].flops
        steps = "" if block.gate.axes else f", {block.clock.dimension}"
        expression = f"decay({source}, '{','.join((*times, *letters[count:]))}'{steps})"
        return self.emit(expression, block.axes, flops, name)

    def _total(self, block: Total) -> str:
        text = ""
        for operand, scale in block.schedule:
            sign = " - " if text and scale == MINUS_ONE else " + " if text else "-" if scale == MINUS_ONE else ""
            text += sign + _scaled(self._aligned(operand, block), ONE if scale == MINUS_ONE else scale)
        return text

    def _softmax(self, block: Softmax) -> str:
        argument = self._aligned(block.argument, block, whole=True)
        masks = "*".join(self._aligned(mask, block) for mask in block.masks)
        return f"softmax({argument}, axis={block.over}{f', where={masks}' if masks else ''})"

    def _aligned(self, operand: Operand, block: Block, whole: bool = False) -> str:
        """Return an operand with its axes in order, and new ones of length 1 where it is constant."""
        text, letters = self.source(operand.block), self.letters[block]
        labels = tuple(sorted(set(operand.labels)))
        if labels != operand.labels:
            before, after = ("".join(letters[k] for k in part) for part in (operand.labels, labels))
            text = f"einsum('{before}->{after}', {text})"
        index = [":" if k in labels else "None" for k in range(len(block.axes))]
        while index and index[0] == "None" and not whole:
            del index[0]
        return f"{text}[{', '.join(index)}]" if "None" in index and labels else text

    def _contract(self, block: Contract, name: str | None) -> str:
        for operand in block.factors:
            self.source(operand.block)
        letters = self._choose(block, block.factors, block.output, block.spaces)
        self.letters[block] = tuple(letters[label] for label in block.output)
        carried = {label for operand in block.factors for label in operand.labels}
        wanted = tuple(label for label in block.output if label in carried)
        constant = len(wanted) < len(block.output)
        tree = self.trees.get(block, written(len(block.factors)))
        text, flops = _Contraction(self, block, letters).expression(tree, wanted)
        text = _scaled(text, block.scale)
        if not constant:
            # what is only another name for an array needs no step
            return text if text.isidentifier() else self.emit(text, block.axes, flops, name)
        if not text.isidentifier():
            text = self.emit(text, (block.spaces[label] for label in wanted), flops)
        if wanted:
            text += f"[{', '.join(':' if label in carried else 'None' for label in block.output)}]"
        return self.emit(f"broadcast_to({text}, {_shape(block.axes)})", block.axes, 0, name)

    def _choose(
        self, block: Block, operands: Sequence[Operand], first: Iterable[int], spaces: Sequence[VectorSpace]
    ) -> tuple[str, ...]:
        """Return a letter for every label of a block, those in `first` chosen first."""
        found: dict[int, list[str]] = {label: [] for label in [*first, *range(len(spaces))]}
        outer = self.hints.free.get(self.roots.get(block, ""), ())
        for label, letter in zip(list(found), outer, strict=False):
            found[label].append(letter)
        for axis, names in enumerate(self.hints.of_axes(block)):
            found[axis] += names
        for operand in operands:
            for label, letter in zip(operand.labels, self.letters[operand.block], strict=True):
                found[label].append(letter)
        chosen: dict[int, str] = {}
        for label, names in found.items():
            wanted = _letters([*names, *self.hints.spaces.get(spaces[label], ())], spaces[label])
            chosen[label] = next(letter for letter in wanted if letter not in chosen.values())
        return tuple(chosen[label] for label in range(len(spaces)))


@dataclass(frozen=True)
class _Part:
    """A part of a tree that is made: its operands, the name under which it stands, its labels in order."""

    operands: int
    text: str
    labels: Labels


class _Contraction:
    """Writes the steps of one contraction along a tree."""

    def __init__(self, writer: _Writer, block: Contract, letters: Sequence[str]) -> None:
        self.writer = writer
        self.block = block
        self.letters = letters
        one = Polynomial.constant(1)
        sizes = [Polynomial.of(space.dimension) for space in block.spaces]
        self.network = Network(block, sizes, [one * 0] * len(block.factors), one)

    def expression(self, tree: Tree, wanted: Labels) -> tuple[str, Any]:
        """Return the last operation of a tree, and its FLOPs; the other ones become steps."""
        if tree == ():
            return "1", 0
        if isinstance(tree, int):
            text, labels, flops = self._alone(tree, wanted)
        else:
            left, right = (folded(part, self._leaf, self._step) for part in tree)
            text, labels, flops = self._join(left, right, wanted)
        return (text if labels == wanted else self._einsum([(text, labels)], wanted)), flops

    def _alone(self, position: int, wanted: Labels | None) -> tuple[str, Labels, Any]:
        """Return the operation that prepares an operand (its name where it is none), its labels, its FLOPs."""
        operand = self.block.factors[position]
        text = self.writer.source(operand.block)
        if not self.network.sums_alone(position):
            return text, operand.labels, 0
        labels = self._ordered(1 << position, [operand.labels], wanted)
        return self._einsum([(text, operand.labels)], labels), labels, self.network.leaf(position).flops

    def _join(self, left: _Part, right: _Part, wanted: Labels | None) -> tuple[str, Labels, Any]:
        """Return the operation that joins two parts, its labels in order, its FLOPs."""
        labels = self._ordered(left.operands | right.operands, [left.labels, right.labels], wanted)
        flops, _ = self.network.step(left.operands, right.operands)
        return self._einsum([(left.text, left.labels), (right.text, right.labels)], labels), labels, flops

    def _leaf(self, position: int) -> _Part:
        text, labels, flops = self._alone(position, None)
        if self.network.sums_alone(position):
            text = self._emit(text, labels, flops)
        return _Part(1 << position, text, labels)

    def _step(self, left: _Part, right: _Part) -> _Part:
        text, labels, flops = self._join(left, right, None)
        return _Part(left.operands | right.operands, self._emit(text, labels, flops), labels)

    def _emit(self, text: str, labels: Labels, flops: Any) -> str:
        return self.writer.emit(text, (self.block.spaces[label] for label in labels), flops)

    def _ordered(self, operands: int, parts: Sequence[Labels], wanted: Labels | None) -> Labels:
        """Return the labels that a set of operands keeps: as wanted, or in the order in which they come."""
        kept = self.network.kept(operands)
        return wanted or tuple(x for x in dict.fromkeys(x for part in parts for x in part) if kept >> x & 1)

    def _einsum(self, operands: Sequence[tuple[str, Labels]], labels: Labels) -> str:
        left = ",".join(self._word(part) for _, part in operands)
        return f"einsum('{left}->{self._word(labels)}', {', '.join(text for text, _ in operands)})"

    def _word(self, labels: Labels) -> str:
        return "".join(self.letters[label] for label in labels)


def _letters(names: Sequence[str], space: VectorSpace) -> Iterator[str]:
    """Yield letters for an index with some names, the best first; they never end."""
    names = [*names, str(space.dimension)]
    for text in [*(name for name in names if len(name) == 1), *(name[0] for name in names)]:
        if text.isascii() and text.isalpha():
            yield text
    yield from (get_symbol(k) for k in count())


def _volume(axes: Iterable[VectorSpace]) -> Polynomial:
    total = Polynomial.constant(1)
    for space in axes:
        total = total * Polynomial.of(space.dimension)
    return total


def _scaled(text: str, scale: Expr) -> str:
    if scale == ONE:
        return text
    factor = str(scale)
    factor = f"({factor})" if any(sign in factor for sign in "+-") else factor
    return factor if text == "1" else f"{factor}*{text}"


def _shape(axes: Iterable[VectorSpace]) -> str:
    lengths = [str(space.dimension) for space in axes]
    return f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"


def _literal(block: Literal) -> str:
    width = f", {block.width}" if block.width is not None else ""
    return f"{block.relation}({block.space.dimension}{width})"


def _part(block: Take) -> str:
    """Return the slice of an axis in which one summand lies."""
    summands = [Polynomial.of(space.dimension) for space in block.source.axes[block.axis].summands]  # type: ignore[attr-defined]
    start = sum(summands[: block.position], Polynomial.constant(0))
    return f"{start}:{start + summands[block.position]}"


def _function(block: Pointwise, source: str) -> str:
    if block.function != "pow":
        return f"{block.function}({source})"
    return f"1/{source}" if block.exponent == -1 else f"pow({source}, {block.exponent})"
