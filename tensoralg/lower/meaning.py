"""Programs read as expressions: what each step means, composed.

The meaning of a value is a term with one free index for every axis.  Reading fails where a step is
ill-formed (an axis over another space, truth values used as numbers), so a program that has a
meaning also runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tensoralg.errors import TensoralgError, ValidationFailed
from tensoralg.expr import Definition, Expr, Tensor, as_expr, substitute
from tensoralg.expr.nodes import Decay, Delta, Entry, Mask, Near, apply, bind, mul, power, reciprocal
from tensoralg.lower.program import (
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
    Paths,
    Power,
    Program,
    Repeat,
    Scale,
    Select,
    Softmax,
    Split,
    Step,
    Take,
    Triangle,
    Where,
    label_spaces,
    matrix_product,
    operands_of,
)
from tensoralg.lower.reuse import last_sums, overwritable
from tensoralg.spaces import DirectSum, Fused, Index, IndexTerm, Injected, TensorProduct, VectorSpace


@dataclass(frozen=True)
class Meaning:
    """A term, the free index of every axis, and whether the array holds truth values."""

    term: Expr
    indices: tuple[Index, ...]
    truth: bool = False

    def at(self, terms: Sequence[IndexTerm]) -> Expr:
        """Return the term at other index terms."""
        return substitute(self.term, dict(zip(self.indices, terms, strict=True)))


def read_program(
    program: Program, tensors: Mapping[str, Tensor], legs: Sequence[Sequence[Index]]
) -> tuple[Definition, ...]:
    """Return the definitions, with the given legs, that a program computes.

    Parameters
    ----------
    program : Program
        What is read.
    tensors : mapping of str to Tensor
        The tensors that the inputs are.
    legs : sequence of sequence of Index
        Names for the axes of each result.

    Raises
    ------
    ValidationFailed
        If a step is ill-formed.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n")
    >>> A = ta.tensor("A", T @ T)
    >>> step = Step("x0", (T,), Einsum(("A",), ((0, 1),), (0,)))
    >>> print(*read_program(Program((("A", A.legs),), (), (step,), ("x0",)), {"A": A}, [T.indices("t")]))
    out[t] = sum(i3: A[t,i3])
    """
    reader = StepReader(program)
    for name, axes in program.inputs:
        indices = reader.fresh(axes)
        _require(name in tensors and tensors[name].legs == axes, f"input {name} is not the tensor of that name")
        reader.values[name] = Meaning(Entry(tensors[name], indices), indices)
    for step in program.steps:
        reader.do(step)
    _require(len(legs) == len(program.results), f"it has the results {program.results} for {len(legs)} definitions")
    return tuple(reader.result(name, own) for name, own in zip(program.results, legs, strict=True))


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValidationFailed(f"the program has no meaning: {complaint}", remedy="report this program")


@dataclass
class StepReader:
    """Reads the steps of a program one after the other; `values` are the meanings so far."""

    program: Program
    values: dict[str, Meaning] = field(default_factory=dict)
    places: dict[str, Index] = field(default_factory=dict)  # the variables of the loop around a step
    step: Step | None = None
    count: int = 0

    def do(self, step: Step) -> None:
        """Read a step, and forget the values that it deletes."""
        self.step = step
        meaning = self.read(step)
        self.agree([i.space for i in meaning.indices], step.axes)
        self.values[step.name] = meaning
        for name in step.frees:
            _require(
                name in self.values and name not in dict(self.program.inputs), f"{name} cannot be deleted in {step}"
            )
            del self.values[name]

    def fresh(self, axes: Sequence[VectorSpace]) -> tuple[Index, ...]:
        start = self.count
        self.count += len(axes)
        return tuple(Index(f"i{start + k}", space) for k, space in enumerate(axes))

    def agree(self, found: Sequence[VectorSpace], wanted: Sequence[VectorSpace]) -> None:
        same = len(found) == len(wanted) and all(f in (w, w.dual) for f, w in zip(found, wanted, strict=True))
        spaces = [", ".join(map(str, s)) for s in (found, wanted)]
        _require(same, f"axes over {spaces[0]} where axes over {spaces[1]} belong, in {self.step}")

    def numbers(self, name: str) -> Meaning:
        meaning = self.values[name]
        _require(not meaning.truth, f"the truth values {name} are used as numbers in {self.step}")
        return meaning

    def placed(self, arg: Arg, indices: Sequence[Index], *, truth: bool = False) -> Expr:
        """Return an operand of a pointwise operation at the indices of the result."""
        meaning = self.values[arg.name]
        _require(meaning.truth == truth, f"{arg.name} is of the wrong kind in {self.step}")
        _require(sorted(set(arg.places)) == list(arg.places), f"axes out of order in {self.step}")
        terms = [indices[place] for place in arg.places]
        self.agree([i.space for i in meaning.indices], [t.space for t in terms])
        return meaning.at(terms)

    def covered(self, args: Sequence[Arg], axes: Axes) -> None:
        _require({p for arg in args for p in arg.places} == set(range(len(axes))), f"an axis of {self.step} is missing")

    def result(self, name: str, legs: Sequence[Index]) -> Definition:
        """Return a result as the definition of an array with the given legs."""
        _require(name in self.values, f"the result {name} is deleted or never computed")
        meaning = self.values[name]
        _require(not meaning.truth, f"the result {name} holds truth values")
        self.agree([i.space for i in meaning.indices], [leg.space for leg in legs])
        return Definition(tuple(legs), meaning.at(legs), "out")  # type: ignore[no-any-return]

    def read(self, step: Step) -> Meaning:
        op, axes = step.op, step.axes
        for name in operands_of(op):
            _require(name in self.values, f"{name} is used before it is computed or after it is deleted in {step}")
        if isinstance(op, Literal):
            return self.literal(op)
        if isinstance(op, One):
            return Meaning(as_expr(1), ())
        if isinstance(op, Einsum):
            return self.einsum(op)
        if isinstance(op, AddProduct):
            return self.add_product(op)
        if isinstance(op, Split | Take | Repeat):
            return self.view(op, step)
        if isinstance(op, Select):
            return self.select(op)
        if isinstance(op, Loop):
            return self.loop(op)
        if isinstance(op, Paths):
            return self.paths(op, step)
        if isinstance(op, Indicator):
            meaning = self.values[op.source]
            return Meaning(meaning.term, meaning.indices)
        if isinstance(op, Triangle):
            return self.triangle(op)
        if isinstance(op, Scale | Function | Power):
            meaning = self.numbers(op.source)
            return Meaning(self.pointwise(op, meaning.term), meaning.indices)
        indices = self.fresh(axes)
        if isinstance(op, Where):
            self.covered([op.mask, op.source], axes)
            term = mul(self.placed(op.mask, indices, truth=True), self.placed(op.source, indices))
        elif isinstance(op, Binary):
            self.covered([op.left, op.right], axes)
            term = self.binary(op, self.placed(op.left, indices), self.placed(op.right, indices))
        elif isinstance(op, Attention):
            term = self.attention(op, indices)
        else:
            self.covered([op.source, *op.masks], axes)
            term = self.softmax(op, indices)
        return Meaning(term, indices)

    def literal(self, op: Literal) -> Meaning:
        row, column = self.fresh((op.space, op.space))
        if op.relation == "delta":
            term = Delta(row, column)
        elif op.relation == "near":
            term = Near(row, column, op.width)
        else:
            term = Mask(op.relation == "lt", row, column)
        return Meaning(term, (row, column), truth=True)

    def einsum(self, op: Einsum) -> Meaning:
        meanings = [self.values[name] for name in op.operands]
        axes = {name: tuple(i.space for i in self.values[name].indices) for name in op.operands}
        spaces = label_spaces(op, axes)
        _require(len(set(op.output)) == len(op.output) and set(op.output) <= set(spaces), f"bad output in {self.step}")
        index = dict(zip(spaces, self.fresh(tuple(spaces.values())), strict=True))
        truth = any(meaning.truth for meaning in meanings)
        views = len(meanings) == 1 and set(op.output) == set(spaces)
        _require(not truth or views, f"truth values are summed or multiplied in {self.step}")
        factors = []
        for meaning, labels in zip(meanings, op.labels, strict=True):
            self.agree([i.space for i in meaning.indices], [spaces[label] for label in labels])
            factors.append(meaning.at([index[label] for label in labels]))
        summed = tuple(index[label] for label in spaces if label not in op.output)
        return Meaning(bind(summed, mul(*factors)), tuple(index[label] for label in op.output), truth)

    def add_product(self, op: AddProduct) -> Meaning:
        _require(matrix_product(op.product) is not None, f"no product of matrices in {self.step}")
        product = self.einsum(op.product)
        _require(not op.overwrites or self.may_overwrite(op), f"{self.step} overwrites what is needed")
        added = self.placed(Arg(op.added, tuple(range(len(product.indices)))), product.indices)
        return Meaning(added + product.term, product.indices)

    def may_overwrite(self, op: AddProduct) -> bool:
        if op.overwrites == "fresh":
            return op.added in overwritable(self.program)
        return op.overwrites == "given" and self.step is not None and self.step.name in last_sums(self.program)

    def view(self, op: Split | Take | Repeat, step: Step) -> Meaning:
        source = self.values[op.source]
        before, after = source.indices[: op.axis], source.indices[op.axis + 1 :]
        if isinstance(op, Repeat):
            new = self.fresh(step.axes[op.axis : op.axis + 1])
            return Meaning(source.term, (*before, *new, *source.indices[op.axis :]), source.truth)
        space = source.indices[op.axis].space
        if isinstance(op, Split):
            _require(isinstance(space, TensorProduct), f"{space} is split in {step}")
            parts = self.fresh(space.factors if isinstance(space, TensorProduct) else ())
            term: IndexTerm = Fused(parts)
        else:
            if not isinstance(space, DirectSum):
                raise ValidationFailed(f"a part of {space} is taken in {step}", remedy="report this program")
            parts = self.fresh((space.summands[op.position],))
            term = Injected(parts[0], op.position, space)
        return Meaning(source.at((*before, term, *after)), (*before, *parts, *after), source.truth)

    def select(self, op: Select) -> Meaning:
        source = self.values[op.source]
        before, after = source.indices[: op.axis], source.indices[op.axis + 1 :]
        _require(
            op.variable in self.places and 0 <= op.axis < len(source.indices), f"nothing is selected in {self.step}"
        )
        place = self.places[op.variable]
        self.agree([source.indices[op.axis].space], [place.space])
        return Meaning(source.at((*before, place, *after)), (*before, *after), source.truth)

    def loop(self, op: Loop) -> Meaning:
        """The value of a slice as a function of the kept variables, summed over the others."""
        step, before = self.step, set(self.values)
        _require(not self.places and op.variables != () and op.last.name not in before, f"a loop in a loop in {step}")
        places = self.fresh([space for _, space in op.variables])
        self.places = dict(zip((name for name, _ in op.variables), places, strict=True))
        _require(len(self.places) == len(places), f"two variables of one name in {step}")
        _require(0 <= op.kept <= len(places), f"more variables kept than there are in {step}")
        for inner in op.body:
            _require(not before.intersection([inner.name, *inner.frees]), f"{inner} changes what is outside of {step}")
            self.do(inner)
        last = self.read(op.last)
        self.agree([i.space for i in last.indices], op.last.axes)
        names = {*op.numbers, *(name for name in operands_of(op) if not self.values[name].truth)}
        _require(not last.truth and isinstance(op.last.op, Einsum | Where), f"no numbers in {step}")
        _require(names == set(op.numbers) and names <= before, f"other operands than it reads in {step}")
        _require(not before.intersection(op.last.frees), f"{op.last.frees} are deleted in {step}, but are from outside")
        self.values = {name: value for name, value in self.values.items() if name in before}
        self.places, self.step = {}, step
        return Meaning(bind(places[op.kept :], last.term), (*places[: op.kept], *last.indices))

    def triangle(self, op: Triangle) -> Meaning:
        meaning = self.numbers(op.source)
        _require(len(meaning.indices) > 1, f"no rows and columns in {self.step}")
        row, column = meaning.indices[-2:]
        self.agree([row.space], [column.space])
        _require(row.space.ordered, f"the axes of {self.step} have no order")
        _require(not op.in_place or op.source in overwritable(self.program), f"{self.step} overwrites what is needed")
        mask = Mask(op.strict, *((column, row) if op.lower else (row, column)))
        return Meaning(mul(mask, meaning.term), meaning.indices)

    def paths(self, op: Paths, step: Step) -> Meaning:
        gate, count = self.values[op.source], op.later + op.earlier
        tensor = gate.term.tensor if isinstance(gate.term, Entry) and gate.term.args == gate.indices else None
        _require(tensor is not None, f"the gate {op.source} is no input in {step}")
        _require(len(step.axes) == count + len(gate.indices[1:]), f"a wrong number of axes in {step}")
        times, channels = self.fresh(step.axes[:count]), self.fresh(step.axes[count:])
        ends = (times[0] if op.later else "+", times[-1] if op.earlier else "-")
        try:
            return Meaning(Decay(tensor, *ends, channels), (*times, *channels))
        except TensoralgError as error:
            raise ValidationFailed(f"{step} is no decay: {error.what}", remedy="report this program") from error

    def pointwise(self, op: Scale | Function | Power, term: Expr) -> Expr:
        if isinstance(op, Scale):
            return mul(op.factor, term)
        return apply(op.function, term) if isinstance(op, Function) else power(term, op.exponent)

    def binary(self, op: Binary, left: Expr, right: Expr) -> Expr:
        if op.symbol == "/":
            return mul(left, reciprocal(right))
        return left + right if op.symbol == "+" else left - right

    def softmax(self, op: Softmax, indices: tuple[Index, ...]) -> Expr:
        masks = [self.placed(mask, indices, truth=True) for mask in op.masks]
        weight = mul(*masks, apply("exp", self.placed(op.source, indices)))
        over = indices[op.axis]
        (inner,) = self.fresh((over.space,))
        return mul(weight, reciprocal(bind((inner,), substitute(weight, {over: inner}))))

    def attention(self, op: Attention, indices: tuple[Index, ...]) -> Expr:
        rank = len(indices)
        for arg in (op.query, op.key, op.value):
            _require(arg.places[-2:] == (rank - 2, rank - 1), f"an operand without rows and columns in {self.step}")
        (*leading, t, e), query, key = indices, self.values[op.query.name], self.values[op.key.name]
        s, f = self.fresh((key.indices[-2].space, query.indices[-1].space))
        self.covered([op.query, op.key, op.value], tuple(i.space for i in indices))
        product = mul(self.placed(op.query, (*leading, t, f)), self.placed(op.key, (*leading, s, f)))
        score = mul(op.scale, bind((f,), product))
        if op.bias is not None:
            score = score + self.placed(op.bias, (*leading, t, s))
        weight = mul(*(self.placed(mask, (*leading, t, s), truth=True) for mask in op.masks), apply("exp", score))
        if op.causal:
            self.agree([s.space], [t.space])
            _require(s.space.ordered, f"the keys of {self.step} have no order")
            weight = mul(Mask(False, s, t), weight)
        (inner,) = self.fresh((s.space,))
        total = bind((inner,), substitute(weight, {s: inner}))
        return mul(bind((s,), mul(weight, self.placed(op.value, (*leading, s, e)))), reciprocal(total))
