"""Blocks and contraction trees to a program.

The planner searches, lowering obeys: every contraction is done pairwise along its tree, and what
runs costs what was planned.  A label that one operand alone carries and that is no output is summed
out first; a mask that merely multiplies becomes a selection; a scale is one multiplication of the
finished contraction.  A block that is read twice is computed once, as the plan prices it; two blocks
that happen to share a step each do it.  A value is freed after the last step that reads it; one that a
contraction reads several times is kept to the end of the contraction, as in `plan.schedule`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from keyword import iskeyword

import sympy

from tensoralg.errors import InvalidExpression, MissingSize
from tensoralg.expr import Expr
from tensoralg.lower.program import (
    RESERVED,
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
    Softmax,
    Split,
    Step,
    Take,
    Triangle,
    Where,
    is_free,
    label_spaces,
    matrix_product,
    operands_of,
    parts_of,
    size_variable,
    symbols_of,
)
from tensoralg.lower.scales import sizes_in
from tensoralg.plan import block as planned
from tensoralg.plan.block import MINUS_ONE, ONE, Block, Contract, Operand, Pointwise, Quotient, Total, results
from tensoralg.plan.slicing import Sliced, unsliced
from tensoralg.plan.tree import Tree, is_mask, leaves, written
from tensoralg.spaces import VectorSpace


@dataclass(frozen=True)
class Labelled:
    """A value with labels on its axes."""

    name: str
    labels: tuple[int, ...]


def lower(
    block: Block,
    inputs: Sequence[tuple[str, Axes]],
    trees: Mapping[Contract, Tree | Sliced],
    sizes: Mapping[str, int],
) -> Program:
    """Return the program that computes a block, or the parts of a bundle, along the given trees.

    Parameters
    ----------
    block : Block
        What to compute; its axes are the axes of the result.  The parts of a bundle are the results in order.
    inputs : sequence of (str, tuple of VectorSpace)
        Names and legs of the input arrays, in order.
    trees : mapping of Contract to nested tuples of positions
        A contraction without a tree is done left to right.
    sizes : mapping of str to int
        Sizes that are fixed.

    Raises
    ------
    MissingSize
        If no input has an axis of a size that the program needs, and it is not fixed.
    """
    machine = _Lowering(dict(inputs), trees)
    wanted = tuple(machine.number(machine.value(part)) for part in results(block))
    steps = freed(live(machine.steps, wanted), wanted, machine.kept)
    return Program(tuple(inputs), _size_sources(inputs, steps, sizes, machine.axes), steps, wanted)


def live(steps: Sequence[Step], wanted: Iterable[str]) -> tuple[Step, ...]:
    """Return the steps on which the results depend."""
    needed = set(wanted)
    kept: list[Step] = []
    for step in reversed(steps):
        if step.name in needed:
            needed.update(operands_of(step.op))
            kept.append(step)
    return tuple(reversed(kept))


def freed(steps: Sequence[Step], wanted: Sequence[str], kept: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps, each with the values that are not read after it (`kept`: nor before a given step)."""
    position = {step.name: k for k, step in enumerate(steps)}
    last: dict[str, int] = {}
    for k, step in enumerate(steps):
        last.update((name, k) for name in operands_of(step.op) if name in position)
    for name, until in kept.items():
        if name in last:
            last[name] = max(last[name], position[until])
    ends = sorted((k, position[name], name) for name, k in last.items() if name not in wanted)
    return tuple(replace(step, frees=tuple(name for end, _, name in ends if end == k)) for k, step in enumerate(steps))


def _size_sources(
    inputs: Sequence[tuple[str, Axes]], steps: Iterable[Step], sizes: Mapping[str, int], axes: Mapping[str, Axes]
) -> tuple[SizeSource, ...]:
    found: dict[str, SizeSource] = {}
    for name, legs in inputs:
        for position, leg in enumerate(legs):
            if isinstance(leg.dimension, sympy.Symbol):
                found.setdefault(leg.dimension.name, SizeSource(leg.dimension.name, name, position - len(legs)))
    found.update({name: SizeSource(name, "", value) for name, value in sizes.items()})
    needed = set().union(*(needed_sizes(step, axes) for step in steps))
    for name in sorted(needed - set(found)):
        raise MissingSize(
            f"no input has an axis of size {name}, so the program cannot read it",
            remedy=f'compile for a fixed size: compile(..., sizes={{"{name}": 8}})',
            name=name,
        )
    return tuple(found[name] for name in sorted(needed))


def needed_sizes(step: Step, axes: Mapping[str, Axes]) -> set[str]:
    """Return the sizes that the source of a step mentions."""
    op = step.op
    if isinstance(op, Literal):
        return symbols_of([op.space]) | (sizes_in(op.width) if op.width is not None else set())
    if isinstance(op, Scale):
        return sizes_in(op.factor)
    if isinstance(op, Loop):
        extents = symbols_of([*step.axes, *(space for _, space in op.variables)])
        return extents.union(*(needed_sizes(inner, axes) for inner in op.body))
    if isinstance(op, Attention):
        return sizes_in(op.scale)
    if isinstance(op, Repeat):
        return symbols_of([step.axes[op.axis]])
    if isinstance(op, Paths):
        # a number that is the gate of every step does not tell how many steps there are
        return set() if axes[op.source] else symbols_of(step.axes[:1])
    if isinstance(op, Split | Take):
        # the summands after the one that is taken are not mentioned
        parts = parts_of(axes[op.source][op.axis])
        return symbols_of(parts if isinstance(op, Split) else parts[: op.position + 1])
    return set()


def _both_ways(labels: tuple[int, ...]) -> set[tuple[int, ...]]:
    return {labels, labels[::-1]} if len(set(labels)) == 2 else set()


@dataclass
class _Lowering:
    axes: dict[str, Axes]
    trees: Mapping[Contract, Tree | Sliced]
    steps: list[Step] = field(default_factory=list)
    names: dict[Op, str] = field(default_factory=dict)
    values: dict[Block, str] = field(default_factory=dict)
    truths: set[str] = field(default_factory=set)
    literals: dict[str, Literal] = field(default_factory=dict)
    arrays: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = symbols_of(leg for legs in self.axes.values() for leg in legs)
        variables = [size_variable(self.axes, size) for size in sorted(sizes)]
        for name in self.axes:
            if name in RESERVED or iskeyword(name) or len(set(variables)) < len(variables):
                raise InvalidExpression(f"{name} cannot be the name of a kernel's argument", remedy="rename the tensor")
        self.taken = {*self.axes, *variables}

    # values

    def do(self, op: Op, axes: Iterable[VectorSpace]) -> str:
        """Return the name of the value of an operation; views and literals are made once."""
        if op in self.names:
            return self.names[op]
        count = len(self.steps)
        while f"x{count}" in self.taken:
            count += 1
        name = f"x{count}"
        self.taken.add(name)
        self.axes[name] = tuple(axes)
        self.steps.append(Step(name, self.axes[name], op))
        if is_free(op):
            self.names[op] = name
            for source in operands_of(op):
                self.arrays[name] = self.array(source)
            if isinstance(op, Literal) or any(source in self.truths for source in operands_of(op)):
                self.truths.add(name)
            if isinstance(op, Indicator):
                self.truths.discard(name)
            if isinstance(op, Literal):
                self.literals[name] = op
        return name

    def array(self, name: str) -> str:
        """Return the value in whose memory a view lies."""
        return self.arrays.get(name, name)

    def number(self, name: str) -> str:
        """Return the value as numbers."""
        return self.do(Indicator(name), self.axes[name]) if name in self.truths else name

    def value(self, block: Block) -> str:
        """Return the name of the value of a block, computed once."""
        if block not in self.values:
            self.values[block] = self._compute(block)
        return self.values[block]

    def _compute(self, block: Block) -> str:
        if isinstance(block, planned.Leaf):
            return block.tensor.name
        if isinstance(block, planned.Literal):
            return self.do(Literal(block.relation, block.space, block.width), block.axes)
        if isinstance(block, planned.Split):
            return self.do(Split(self.value(block.source), block.axis), block.axes)
        if isinstance(block, planned.Take):
            return self.do(Take(self.value(block.source), block.axis, block.position), block.axes)
        if isinstance(block, Contract):
            return self._contract(block)
        if isinstance(block, Total):
            return self._total(block)
        if isinstance(block, Pointwise):
            source = self.number(self.value(block.argument))
            op = Power(source, block.exponent) if block.function == "pow" else Function(block.function, source)
            return self.do(op, block.axes)
        if isinstance(block, Quotient):
            return self._quotient(block)
        if isinstance(block, planned.Softmax):
            return self._softmax(block)
        if isinstance(block, planned.Paths):
            return self.do(Paths(self.value(block.gate), block.later, block.earlier), block.axes)
        raise InvalidExpression(f"{type(block).__name__} cannot be lowered", remedy="this is a fault of the planner")

    # labels

    def read(self, operand: Operand) -> Labelled:
        """Return the value of an operand, its repeated labels replaced by a diagonal."""
        return self.arrange(Labelled(self.value(operand.block), operand.labels), dict.fromkeys(operand.labels))

    def arrange(self, value: Labelled, output: Iterable[int]) -> Labelled:
        """Return the value with its axes in the order of `output`: a permutation, diagonal or sum."""
        wanted = tuple(output)
        if wanted == value.labels:
            return value
        summing = set(wanted) != set(value.labels)
        return self._einsum([Labelled(self.number(value.name), value.labels) if summing else value], wanted)

    def _einsum_of(self, operands: Sequence[Labelled], output: tuple[int, ...]) -> Einsum:
        order: dict[int, int] = {}
        for operand in operands:
            for label in operand.labels:
                order.setdefault(label, len(order))
        labels = tuple(tuple(order[label] for label in o.labels) for o in operands)
        return Einsum(tuple(o.name for o in operands), labels, tuple(order[label] for label in output))

    def _einsum(self, operands: Sequence[Labelled], output: tuple[int, ...]) -> Labelled:
        op = self._einsum_of(operands, output)
        if len(operands) == 2 and matrix_product(op) is None:
            swapped = Einsum(op.operands[::-1], op.labels[::-1], op.output)
            if matrix_product(swapped) is not None:
                return self._einsum(operands[::-1], output)
        spaces = {label: s for o in operands for label, s in zip(o.labels, self.axes[o.name], strict=True)}
        return Labelled(self.do(op, [spaces[label] for label in output]), output)

    def place(self, value: Labelled, order: Sequence[int]) -> Arg:
        """Return the value as an operand of a pointwise operation whose result has labels `order`."""
        ordered = self.arrange(value, [label for label in order if label in value.labels])
        return Arg(ordered.name, tuple(order.index(label) for label in ordered.labels))

    # contractions

    def _contract(self, block: Contract) -> str:
        factors = [self._factor(factor) for factor in block.factors]
        if factors:
            tree = self.trees.get(block, written(len(factors)))
            if isinstance(tree, Sliced) and tree.labels:
                done = self._sliced(tree, factors, block)
            else:
                done = self._node(unsliced(tree), factors, block.output)
        else:
            done = Labelled(self.do(One(), ()), ())
        if block.scale != ONE:
            done = Labelled(self._scale(done.name, block.scale), done.labels)
        arrays = [self.array(factor.name) for factor in factors]
        self.kept.update(
            (f.name, done.name) for f, array in zip(factors, arrays, strict=True) if arrays.count(array) > 1
        )
        done = self.arrange(done, [label for label in block.output if label in done.labels])
        name = done.name
        for axis, label in enumerate(block.output):
            if label not in done.labels:
                axes = self.axes[name]
                name = self.do(Repeat(name, axis), (*axes[:axis], block.spaces[label], *axes[axis:]))
        return name

    def _factor(self, operand: Operand) -> Labelled:
        factor = self.read(operand)
        return factor if is_mask(operand) else Labelled(self.number(factor.name), factor.labels)

    def _node(self, tree: Tree, factors: Sequence[Labelled], output: tuple[int, ...]) -> Labelled:
        inside = set(leaves(tree))
        outside = {label for k, f in enumerate(factors) if k not in inside for label in f.labels}
        if isinstance(tree, int):
            leaf = factors[tree]
            return self.arrange(leaf, [label for label in leaf.labels if label in outside or label in output])
        left, right = (self._node(branch, factors, output) for branch in tree)
        carried = tuple(dict.fromkeys(left.labels + right.labels))
        kept = tuple(label for label in carried if label in outside or label in output)
        if not outside:
            kept = tuple(label for label in output if label in kept)
        if set(kept) == set(carried):
            for mask, other in ((left, right), (right, left)):
                if mask.name in self.truths and set(mask.labels) <= set(other.labels):
                    return self._where(mask, other)
        return self._einsum([Labelled(self.number(o.name), o.labels) for o in (left, right)], kept)

    # slices

    def _sliced(self, order: Sliced, factors: Sequence[Labelled], block: Contract) -> Labelled:
        """Return a contraction in slices: what has no sliced label is done before, the rest in a loop."""
        cut, output = set(order.labels), block.output
        parts = list(factors)
        tree = self._prepared(order.tree, parts, cut, output)
        if not isinstance(tree, tuple):
            raise InvalidExpression("a contraction of one operand is sliced", remedy="this is a fault of the planner")
        read = [part for k, part in enumerate(parts) if k in leaves(tree)]
        if all(part.name in self.truths for part in read):
            parts[leaves(tree)[0]] = Labelled(self.number(read[0].name), read[0].labels)
            read[0] = parts[leaves(tree)[0]]
        kept = [label for label in output if label in cut]
        labels = [*kept, *(label for label in order.labels if label not in output)]
        variables = {label: self._fresh(f"i{k}") for k, label in enumerate(labels)}
        outside, names = (self.steps, self.names)
        self.steps, self.names = [], dict(names)
        last, own = self._slice(tree, parts, variables, output)
        body = live([*self.steps, last], [last.name])
        self.steps, self.names = outside, names
        *inner, last = freed(body, (), {})
        numbers = dict.fromkeys(part.name for part in read if part.name not in self.truths)
        spaces = tuple((name, block.spaces[label]) for label, name in variables.items())
        loop = Loop(spaces, len(kept), tuple(inner), last, tuple(numbers))
        done = self.do(loop, [*(block.spaces[label] for label in kept), *last.axes])
        return Labelled(done, (*kept, *own))

    def _prepared(self, tree: Tree, parts: list[Labelled], cut: set[int], output: tuple[int, ...]) -> Tree:
        """Return the tree of a slice: results of what is done before it are further parts."""
        inside = leaves(tree)
        if any(cut.intersection(parts[k].labels) for k in inside):
            if isinstance(tree, int):
                return tree
            left, right = (self._prepared(branch, parts, cut, output) for branch in tree)
            return left, right
        done = self._node(tree, parts, output)
        for k in inside:
            parts[k] = Labelled(parts[k].name, ())  # it is read, and its labels need no longer be kept
        parts.append(done)
        return len(parts) - 1

    def _slice(
        self, tree: tuple[Tree, ...], parts: Sequence[Labelled], variables: Mapping[int, str], output: tuple[int, ...]
    ) -> tuple[Step, tuple[int, ...]]:
        """Return the last step of a slice, and the labels of its value."""
        views = list(parts)
        for k in leaves(tree):
            views[k] = self._selected(parts[k], variables)
        for k in self._summing_masks(tree, parts, variables, output):
            views[k] = Labelled(self.number(views[k].name), views[k].labels)
        inner = tuple(label for label in output if label not in variables)
        left, right = (self._node(branch, views, inner) for branch in tree)
        carried = set(left.labels + right.labels)
        if carried <= set(inner) and set(variables) <= set(output):
            for mask, other in ((left, right), (right, left)):
                if mask.name in self.truths and set(mask.labels) <= set(other.labels):
                    source = Labelled(self.number(other.name), other.labels)
                    where = Where(self.place(mask, other.labels), self.place(source, other.labels))
                    return Step("", self.axes[source.name], where), other.labels
        shared, rows, columns = (
            [label for label in inner if (label in left.labels, label in right.labels) == sides]
            for sides in ((True, True), (True, False), (False, True))
        )
        own = (*shared, *rows, *columns)
        op = self._einsum_of([Labelled(self.number(o.name), o.labels) for o in (left, right)], own)
        spaces = label_spaces(op, self.axes)
        return Step("", tuple(spaces[label] for label in op.output), op), own

    def _selected(self, part: Labelled, variables: Mapping[int, str]) -> Labelled:
        """Return a part at the positions of the loops."""
        name, labels = part.name, part.labels
        for label in part.labels:
            if label in variables:
                axis, axes = labels.index(label), self.axes[name]
                name = self.do(Select(name, axis, variables[label]), (*axes[:axis], *axes[axis + 1 :]))
                labels = (*labels[:axis], *labels[axis + 1 :])
        return Labelled(name, labels)

    def _summing_masks(
        self, tree: Tree, parts: Sequence[Labelled], cut: Iterable[int], output: tuple[int, ...]
    ) -> list[int]:
        """Return the masks that are joined in a step which sums a sliced label: a product, as the plan has it."""
        if isinstance(tree, int):
            return []
        together = set(leaves(tree))
        elsewhere = set(output).union(*(p.labels for k, p in enumerate(parts) if k not in together))
        carried = {label for k in together for label in parts[k].labels}
        summing = bool(carried & set(cut) - elsewhere)
        masks = [k for k in tree if summing and isinstance(k, int) and parts[k].name in self.truths]
        return [*masks, *(j for branch in tree for j in self._summing_masks(branch, parts, cut, output))]

    def _fresh(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _where(self, mask: Labelled, other: Labelled) -> Labelled:
        source = Labelled(self.number(other.name), other.labels)
        literal = self.literals.get(mask.name)
        if literal is not None and literal.relation in ("le", "lt") and other.labels[-2:] in _both_ways(mask.labels):
            triangle = Triangle(source.name, other.labels[-2:] != mask.labels, literal.relation == "lt")
            return Labelled(self.do(triangle, self.axes[source.name]), other.labels)
        op = Where(self.place(mask, other.labels), self.place(source, other.labels))
        return Labelled(self.do(op, self.axes[source.name]), other.labels)

    def _scale(self, name: str, factor: Expr) -> str:
        name = self.number(name)
        return self.do(Scale(name, factor), self.axes[name])

    # pointwise

    def _binary(self, symbol: str, left: Labelled, right: Labelled, spaces: Axes) -> Labelled:
        order = sorted({*left.labels, *right.labels})
        left, right = (Labelled(self.number(o.name), o.labels) for o in (left, right))
        op = Binary(symbol, self.place(left, order), self.place(right, order))
        return Labelled(self.do(op, [spaces[label] for label in order]), tuple(order))

    def _total(self, block: Total) -> str:
        total: Labelled | None = None
        for operand, scale in block.schedule:
            term = self.read(operand)
            if scale == MINUS_ONE and total is not None:
                total = self._binary("-", total, term, block.spaces)
                continue
            if scale != ONE:
                term = Labelled(self._scale(term.name, scale), term.labels)
            else:
                term = Labelled(self.number(term.name), term.labels)
            total = term if total is None else self._binary("+", total, term, block.spaces)
        if total is None:
            raise InvalidExpression("a sum without terms", remedy="this is a fault of the planner")
        return self.arrange(total, range(len(block.spaces))).name

    def _quotient(self, block: Quotient) -> str:
        done = self.read(block.numerator)
        for denominator in block.denominators:
            done = self._binary("/", done, self.read(denominator), block.spaces)
        return self.arrange(done, range(len(block.spaces))).name

    def _softmax(self, block: planned.Softmax) -> str:
        order = range(len(block.spaces))
        argument = self.read(block.argument)
        source = self.place(Labelled(self.number(argument.name), argument.labels), order)
        masks = tuple(self.place(self.read(mask), order) for mask in block.masks)
        return self.do(Softmax(source, masks, block.over), block.spaces)
