"""A pass: softmax weights that only average values become one fused operation.

Looked for is a contraction with the values, over the keys s, of softmax weights that nothing else reads and whose
scores are a sum of terms, one of them a product over one label f.  In

    ``sum(s: w * softmax(s: c * x * y[s] * sum(f: q[t,f]*k[s,f]) + b) * v[s,e])``

c, a function of sizes, is the scale, x goes into the query, y[s] into the key, the other terms are the bias b, and w
goes into the values where it mentions s; else it multiplies the result.  One label of the query alone is the row t;
the other labels of the weights are batch axes, all of which the product has, so that the same matrices are multiplied
as before.

In rows in which the masks leave no key the definition is 0/0, and the result is NaN.  There are none where every mask
is one of ``le``, ``near`` and ``delta`` between row and key, which hold on the diagonal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tensoralg.expr import Expr
from tensoralg.expr.nodes import Number, Size, mul
from tensoralg.lower.lowering import Labelled, freed, live, needed_sizes
from tensoralg.lower.program import (
    Arg,
    Attention,
    Binary,
    Einsum,
    Literal,
    Op,
    Program,
    Scale,
    Softmax,
    Step,
    operands_of,
    renamed,
    symbols_of,
)
from tensoralg.plan.block import MINUS_ONE, ONE
from tensoralg.spaces import VectorSpace

Labels = tuple[int, ...]
FEATURE = -1
"""The label that queries and keys are multiplied over; the labels of the contraction with the values are not
negative."""


def fuse_attention(program: Program) -> Program:
    """Return a program for the same results with averages by softmax weights as fused operations.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> T, D = Space("T", "n"), Space("D", "d")
    >>> inputs = tuple((name, (T, D)) for name in "QKV")
    >>> scores = Step("x0", (T, T), Einsum(("Q", "K"), ((0, 1), (2, 1)), (0, 2)))
    >>> weights = Step("x1", (T, T), Softmax(Arg("x0", (0, 1)), (), 1))
    >>> output = Step("x2", (T, D), Einsum(("x1", "V"), ((0, 1), (1, 2)), (0, 2)))
    >>> (step,) = fuse_attention(Program(inputs, (), (scores, weights, output), ("x2",))).steps
    >>> step.op.query.name, step.op.key.name, step.op.value.name, str(step.op.scale)
    ('Q', 'K', 'V', '1')
    """
    matcher = _Matcher(program)
    steps = tuple(new for step in program.steps for new in matcher.match(step) or [step])
    return program if steps == program.steps else _numbered(replace(program, steps=steps))


def _numbered(program: Program) -> Program:
    """Return the program without what its results do not need, its values numbered in order."""
    steps = live(program.steps, program.results)
    taken = {name for name, _ in program.inputs} | symbols_of(leg for _, legs in program.inputs for leg in legs)
    numbers = (f"x{k}" for k in range(len(steps) + len(taken)) if f"x{k}" not in taken)
    new = {step.name: number for step, number in zip(steps, numbers, strict=False)}
    renumbered = tuple(Step(new[step.name], step.axes, renamed(step.op, new)) for step in steps)
    results = tuple(new.get(name, name) for name in program.results)
    needed = set().union(*(needed_sizes(step, program.axes) for step in steps))
    sizes = tuple(size for size in program.sizes if size.dimension in needed)
    return replace(program, sizes=sizes, steps=freed(renumbered, results, {}), results=results)


@dataclass(frozen=True)
class _Term:
    """A summand of the scores: a function of sizes times some arrays, divided by others."""

    scale: Expr
    factors: tuple[Labelled, ...]
    divisors: tuple[Labelled, ...] = ()


@dataclass
class _Matcher:
    program: Program
    made: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ops = {step.name: step.op for step in self.program.steps}
        self.axes = self.program.axes
        read = [name for step in self.program.steps for name in operands_of(step.op)]
        self.reads = Counter([*read, *self.program.results])

    # what is there

    def only(self, name: str) -> Op | None:
        """Return the operation that computes a value, if the value is read once."""
        return self.ops.get(name) if self.reads[name] == 1 else None

    def factors(self, value: Labelled) -> list[Labelled]:
        """Return the arrays whose product entry by entry a value is; none if it is no such product."""
        op = self.only(value.name)
        if not isinstance(op, Einsum) or {label for labels in op.labels for label in labels} != set(op.output):
            return []
        to = dict(zip(op.output, value.labels, strict=True))
        return [Labelled(n, tuple(to[k] for k in ks)) for n, ks in zip(op.operands, op.labels, strict=True)]

    def weights(self, value: Labelled) -> tuple[Softmax, Labels, list[Labelled]] | None:
        """Return a softmax with labels for its axes and what it is multiplied by, if a value is that."""
        op = self.only(value.name)
        if isinstance(op, Softmax):
            return op, value.labels, []
        factors = self.factors(value)
        for factor in factors:
            found = self.weights(factor)
            if found is not None:
                softmax, labels, others = found
                return softmax, labels, [*others, *(one for one in factors if one is not factor)]
        return None

    def terms(self, value: Labelled, rest: _Term) -> list[_Term]:
        """Return the summands of a value times what the rest of a term is."""
        op = self.only(value.name)
        if isinstance(op, Scale):
            return self.terms(Labelled(op.source, value.labels), replace(rest, scale=mul(rest.scale, op.factor)))
        if isinstance(op, Binary):
            left, right = (Labelled(a.name, tuple(value.labels[p] for p in a.places)) for a in (op.left, op.right))
            if op.symbol == "/":
                return self.terms(left, replace(rest, divisors=(*rest.divisors, right)))
            sign = ONE if op.symbol == "+" else MINUS_ONE
            return self.terms(left, rest) + self.terms(right, replace(rest, scale=mul(sign, rest.scale)))
        factors = self.factors(value)
        for k, factor in enumerate(factors):
            others = (*rest.factors, *factors[:k], *factors[k + 1 :])
            found = self.terms(factor, replace(rest, factors=others))
            if any(self.product(term) for term in found):
                return found
        return [replace(rest, factors=(value, *rest.factors))]

    def product(self, term: _Term) -> tuple[Labelled, Labelled] | None:
        """Return the two arrays that are multiplied over one label, if a term is that, times others."""
        value = term.factors[0]
        op = self.only(value.name)
        if not isinstance(op, Einsum) or len(op.operands) != 2:
            return None
        to = dict(zip(op.output, value.labels, strict=True))
        summed = {label for labels in op.labels for label in labels} - set(to)
        if len(summed) != 1 or not all(summed < set(labels) for labels in op.labels):
            return None
        left, right = (
            Labelled(name, tuple(to.get(k, FEATURE) for k in labels))
            for name, labels in zip(op.operands, op.labels, strict=True)
        )
        return (left, right) if _distinct(left.labels) and _distinct(right.labels) else None

    def relation(self, mask: Labelled) -> tuple[Literal, Labels] | None:
        """Return a relation and the labels of what it relates, if a mask is that."""
        op = self.ops.get(mask.name)
        if isinstance(op, Literal):
            return op, mask.labels
        if isinstance(op, Einsum) and len(op.operands) == 1 and set(op.labels[0]) == set(op.output):
            to = dict(zip(op.output, mask.labels, strict=True))
            return self.relation(Labelled(op.operands[0], tuple(to[k] for k in op.labels[0])))
        return None

    # what comes in its place

    def match(self, step: Step) -> list[Step] | None:
        """Return steps that compute the value of a step with a fused operation; None if that is not found."""
        op = step.op
        if not isinstance(op, Einsum) or len(op.operands) != 2:
            return None
        sides = [Labelled(name, labels) for name, labels in zip(op.operands, op.labels, strict=True)]
        for side, other in (sides, sides[::-1]):
            found = self.weights(side)
            if found is not None and _distinct(found[1]):
                softmax, labels, others = found
                fusion = _Fusion(self, step, softmax, labels, [other, *others])
                if fusion.done:
                    return fusion.steps
        return None


class _Fusion:
    """The steps for one contraction of weights, whose axes have the given labels, with values and other arrays."""

    def __init__(
        self, matcher: _Matcher, step: Step, softmax: Softmax, labels: Labels, others: Sequence[Labelled]
    ) -> None:
        self.matcher, self.step, self.softmax, self.labels = matcher, step, softmax, labels
        self.output = step.op.output if isinstance(step.op, Einsum) else ()
        self.key = labels[softmax.axis]
        self.steps: list[Step] = []
        self.axes = dict(matcher.axes)
        self.spaces: dict[int, VectorSpace] = {}
        for value in others:
            self.know(value)
        self.spaces.update(zip(labels, self.scores_axes(), strict=True))
        self.done = self.fuse(others)

    def scores_axes(self) -> tuple[VectorSpace, ...]:
        ((axes),) = [s.axes for s in self.matcher.program.steps if s.op is self.softmax]
        return axes

    def know(self, value: Labelled) -> None:
        self.spaces.update(zip(value.labels, self.axes[value.name], strict=True))

    def fuse(self, others: Sequence[Labelled]) -> bool:
        values = tuple(value for value in others if self.key in value.labels)
        carried = {label for value in values for label in value.labels}
        columns = carried - set(self.labels)
        if self.key in self.output or len(columns) != 1 or not columns <= set(self.output):
            return False
        value = next(value for value in values if columns <= set(value.labels))
        source = self.softmax.source
        scores = Labelled(source.name, tuple(self.labels[p] for p in source.places))
        terms = self.matcher.terms(scores, _Term(ONE, ()))
        for term in terms:
            sides = self.matcher.product(term)
            if sides is None or sum(self.key in side.labels for side in sides) != 1:
                continue
            query, key = sorted(sides, key=lambda side: self.key in side.labels)
            queries = _Term(ONE, (query, *_within(term.factors[1:], query)), _within(term.divisors, query))
            keys = _Term(
                ONE,
                (key, *(x for x in term.factors[1:] if x not in queries.factors)),
                tuple(x for x in term.divisors if x not in queries.divisors),
            )
            rows = [k for k in self.labels if k in query.labels and k not in key.labels and k not in carried]
            # what is multiplied to an array does not make it larger, except by batch axes of the keys
            wide = replace(value, labels=(*value.labels, *key.labels))
            small = _within(keys.factors, key) == keys.factors and _within(keys.divisors, key) == keys.divisors
            if rows and small and _within(values, wide) == values and set(self.labels) <= {*query.labels, *key.labels}:
                row = min(rows, key=lambda k: (self.spaces[k] != self.spaces[self.key], self.labels.index(k)))
                order = [k for k in (*self.output, *self.labels) if k in self.labels and k not in (row, self.key)]
                leading = tuple(dict.fromkeys(order))
                self.build(leading, row, columns.pop(), (queries, keys, _Term(ONE, values)), term, terms)
                self.finish([value for value in others if self.key not in value.labels])
                return True
        return False

    def build(
        self,
        leading: Labels,
        row: int,
        column: int,
        operands: tuple[_Term, ...],
        product: _Term,
        terms: Sequence[_Term],
    ) -> None:
        key = self.key
        for operand in operands:
            self.know(operand.factors[0])
        frames = ((row, FEATURE), (key, FEATURE), (key, column))
        queries, keys, values = (
            self.place(self.times(operand, (*leading, *frame)), (*leading, *frame))
            for operand, frame in zip(operands, frames, strict=True)
        )
        square = (*leading, row, key)
        bias = self.total([term for term in terms if term is not product], square)
        masks = [Labelled(m.name, tuple(self.labels[p] for p in m.places)) for m in self.softmax.masks]
        related = [self.matcher.relation(mask) for mask in masks]
        full = all(found is not None and set(found[1]) == {row, key} and _reflexive(found[0]) for found in related)
        causal = bias is None and [f and (f[0].relation, f[1]) for f in related] == [("le", (key, row))]
        selected = () if causal else tuple(self.place(mask, square) for mask in masks)
        self.result = (*leading, row, column)
        op = Attention(queries, keys, values, product.scale, selected, bias, causal, not full)
        self.averaged = self.do(op, self.result)

    def finish(self, others: Sequence[Labelled]) -> None:
        """Multiply by the arrays that lack the key, and bring the axes into the order of the result."""
        done = self.averaged
        if others:
            done = self.times(_Term(ONE, (done, *others[:-1])), (*self.result, *self.output))
        if not others and done.labels == self.output:
            *before, last = self.steps
            self.steps = [*before, replace(last, name=self.step.name)]
        else:
            operands = [done, *others[-1:]]
            self.steps.append(Step(self.step.name, self.step.axes, _einsum(operands, self.output)))

    def do(self, op: Op, labels: Labels) -> Labelled:
        """Return the value of a new step; numbered at the end, it has a name that no other step can have."""
        name = f"{self.step.name}.{len(self.steps)}"
        self.axes[name] = tuple(self.spaces[label] for label in labels)
        self.steps.append(Step(name, self.axes[name], op))
        return Labelled(name, labels)

    def times(self, term: _Term, order: Labels) -> Labelled:
        """Return the arrays of a term multiplied and divided, the axes in the given order where that does anything."""
        done, *factors = term.factors
        for factor in factors:
            labels = tuple(sorted({*done.labels, *factor.labels}, key=order.index))
            # in the order in which they were made, so that plans that multiply elsewhere become one program
            pair = sorted((done, factor), key=lambda value: list(self.axes).index(value.name))
            done = self.do(_einsum(pair, labels), labels)
        for divisor in term.divisors:
            done = self.binary("/", done, divisor, order)
        return done

    def binary(self, symbol: str, left: Labelled, right: Labelled, order: Labels) -> Labelled:
        labels = tuple(sorted({*left.labels, *right.labels}, key=order.index))
        return self.do(Binary(symbol, self.place(left, labels), self.place(right, labels)), labels)

    def place(self, value: Labelled, frame: Labels) -> Arg:
        """Return a value, its axes permuted where they are not in the order of the frame, as an operand."""
        labels = tuple(sorted(value.labels, key=frame.index))
        if labels != value.labels:
            value = self.do(_einsum([value], labels), labels)
        return Arg(value.name, tuple(map(frame.index, labels)))

    def total(self, terms: Sequence[_Term], frame: Labels) -> Arg | None:
        """Return the sum of some terms, what is subtracted last."""
        done: Labelled | None = None
        for term in sorted(terms, key=lambda term: term.scale == MINUS_ONE):
            value = self.times(term, frame)
            minus = done is not None and term.scale == MINUS_ONE
            if term.scale != ONE and not minus:
                value = self.do(Scale(value.name, term.scale), value.labels)
            done = value if done is None else self.binary("-" if minus else "+", done, value, frame)
        return None if done is None else self.place(done, frame)


def _einsum(operands: Sequence[Labelled], output: Labels) -> Einsum:
    """Return a contraction with labels numbered by first occurrence."""
    order = {k: n for n, k in enumerate(dict.fromkeys(k for value in operands for k in value.labels))}
    labels = tuple(tuple(order[k] for k in value.labels) for value in operands)
    return Einsum(tuple(value.name for value in operands), labels, tuple(order[k] for k in output))


def _within(values: Iterable[Labelled], larger: Labelled) -> tuple[Labelled, ...]:
    """Return the values that have no other labels than a given one."""
    return tuple(value for value in values if set(value.labels) <= set(larger.labels))


def _distinct(labels: Labels) -> bool:
    return len(set(labels)) == len(labels)


def _reflexive(literal: Literal) -> bool:
    """Whether a relation is known to hold on the diagonal: a window of a size does, as sizes are positive."""
    if literal.relation == "near":
        width = literal.width
        return isinstance(width, Size) or (isinstance(width, Number) and width.value >= 1)
    return literal.relation in ("le", "delta")
