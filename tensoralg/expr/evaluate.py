"""Exact evaluation: what an expression is worth at given arrays.

Polynomials and quotients are evaluated in the rationals.  Where ``exp``, ``log`` or ``sqrt`` occurs,
values are balls (midpoint and radius) that provably contain the real number
(F. Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval arithmetic*, IEEE
Trans. Comput. 2017).  Sums over many indices are done by eliminating one index at a time, in a
greedy order; exact arithmetic makes the order irrelevant to the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tensoralg.errors import FactConflict, UnknownName, suggest
from tensoralg.expr.arrays import all_dimensions, exact_array, infer_sizes, place_of, size_of
from tensoralg.expr.deferred import np
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.expr.scalars import Balls, Scalars
from tensoralg.spaces import IndexTerm, VectorSpace, atoms

if TYPE_CHECKING:
    from tensoralg.expr import nodes

__all__ = ["Balls", "Evaluator", "Scalars", "evaluate", "infer_sizes", "size_of"]

IRRATIONAL = ("exp", "log", "sqrt")


def evaluate(
    expr: nodes.Expr, sizes: Mapping[str, int] | None, arrays: Mapping[str, Any], *, precision: int | None = None
) -> Any:
    """Return the exact value of an expression.

    Parameters
    ----------
    expr : Expr
        A definition or an open term.
    sizes : mapping of str to int, optional
        Sizes of dimensions that no array tells.
    arrays : mapping of str to array_like
        For every tensor that occurs, nested lists or an array of ints, Fractions or floats (taken
        as the rational numbers they are), in leg order.
    precision : int, optional
        Bits of the balls, 128 by default; when given, balls are used throughout.

    Returns
    -------
    int, Fraction, flint.arb or numpy.ndarray of these (dtype object)
        A scalar if there are no free indices, else an array whose axes are the free indices in order.

    Raises
    ------
    UnknownName, MissingSize, UnknownSize, InvalidSize, ShapeMismatch
        If the arrays and sizes do not fit the expression.
    EvaluationError
        If a denominator vanishes, or a logarithm or root is undefined.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[i] = A[i,j]*x[j]/2", indices={"i,j": "n"})
    >>> O.evaluate(A=[[1, 2], [3, 4]], x=[1, 1]).tolist()
    [Fraction(3, 2), Fraction(7, 2)]
    """
    machine = Evaluator(expr, sizes, arrays, precision)
    labels, values = machine.value(expr.body)
    order = expr.free
    shape = tuple(machine.extent(index.space) for index in expr.free_indices)
    aligned = np.broadcast_to(_align(labels, values, order), shape)
    tidy = np.empty(shape, dtype=object)
    for position in np.ndindex(*shape):
        tidy[position] = _tidy(aligned[position])
    return tidy if shape else tidy[()]


def _tidy(value: Any) -> Any:
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


Labelled = tuple[tuple[str, ...], Any]


def _align(labels: tuple[str, ...], values: Any, order: Iterable[str]) -> Any:
    """Return `values` with one axis for every name of `order`, of length 1 where it lacks the name."""
    names = list(order)
    kept = [name for name in names if name in labels]
    moved = np.transpose(values, [labels.index(name) for name in kept])
    extents = dict(zip(kept, moved.shape, strict=True))
    return moved.reshape([extents.get(name, 1) for name in names])


@dataclass
class Evaluator:
    """Folds an expression into labelled arrays: a tuple of index names and an object array."""

    expr: nodes.Expr
    given_sizes: Mapping[str, int] | None
    given: Mapping[str, Any]
    precision: int | None = None
    memo: dict[nodes.Expr, Labelled] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors: dict[str, Any] = {}
        functions: set[str] = set()
        dimensions = all_dimensions(self.expr)
        for node in distinct_nodes(self.expr):
            symbol = getattr(node, "tensor", None)
            if symbol is not None and self.tensors.setdefault(symbol.name, symbol).legs != symbol.legs:
                raise FactConflict(
                    f"tensor {symbol.name} is used as {self.tensors[symbol.name]} and as {symbol}",
                    remedy="one name has the same legs everywhere; rename one of the two",
                    tensor=symbol.name,
                )
            if node.kind == "apply":
                functions.add(getattr(node, "function"))  # noqa: B009
        for name in self.given:
            if name not in self.tensors:
                size = f"; sizes come first, as in evaluate({{{name!r}: 4}}, ...)" if name in dimensions else ""
                raise UnknownName(
                    f"no tensor {name!r} in the expression", remedy=suggest(name, self.tensors) + size, name=name
                )
        for name in self.tensors:
            if name not in self.given:
                raise UnknownName(f"no array was given for tensor {name}", remedy=f"pass {name}=...", name=name)
        arrays = {name: exact_array(name, value) for name, value in self.given.items()}
        self.sizes = infer_sizes(self.tensors, {n: a.shape for n, a in arrays.items()}, self.given_sizes, dimensions)
        irrational = bool(self.precision or functions & set(IRRATIONAL))
        self.scalars: Scalars = Balls(self.precision or 128) if irrational else Scalars()
        if irrational:
            arrays = {name: self._lift(array) for name, array in arrays.items()}
        self.arrays = arrays

    def _lift(self, array: Any) -> Any:
        lifted = np.empty(array.shape, dtype=object)
        for position in np.ndindex(*array.shape):
            lifted[position] = self.scalars.number(Fraction(array[position]))
        return lifted

    def extent(self, space: VectorSpace) -> int:
        """Return the number of basis vectors of a space at the given sizes."""
        return size_of(space.dimension, self.sizes)

    def value(self, node: nodes.Expr) -> Labelled:
        """Return the labelled value of a term."""
        if node not in self.memo:
            self.memo[node] = self._compute(node)
        return self.memo[node]

    def _compute(self, node: nodes.Expr) -> Labelled:
        if isinstance(self.scalars, Balls):
            with self.scalars.flint.ctx.workprec(self.scalars.precision):
                return node.accept(self)  # type: ignore[no-any-return]
        return node.accept(self)  # type: ignore[no-any-return]

    def _scalar(self, value: Fraction) -> Labelled:
        array = np.empty((), dtype=object)
        array[()] = self.scalars.number(value)
        return (), array

    def number(self, node: nodes.Number) -> Labelled:
        return self._scalar(node.value)

    def size(self, node: nodes.Size) -> Labelled:
        return self._scalar(Fraction(self.sizes[node.name]))

    def entry(self, node: nodes.Entry) -> Labelled:
        return self._addressed(self.arrays[node.tensor.name], node.args)

    def _addressed(self, array: Any, terms: tuple[IndexTerm, ...]) -> Labelled:
        """Return the array whose axes are addressed by index terms, as a function of their indices."""
        labels, shape, grid = self._grid(terms)
        positions = tuple(place_of(term, grid, self.sizes) for term in terms)
        picked = array[positions] if positions else array
        return labels, np.broadcast_to(picked, shape)

    def _grid(self, terms: tuple[IndexTerm, ...]) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, Any]]:
        """Return the indices in the terms, their extents, and open coordinate arrays for them."""
        spaces = {a.name: a.space for term in terms for a in atoms(term)}
        shape = tuple(self.extent(space) for space in spaces.values())
        grid = dict(zip(spaces, np.indices(shape, sparse=True), strict=True)) if spaces else {}
        return tuple(spaces), shape, grid

    def _relation(self, terms: tuple[IndexTerm, ...], holds: Callable[..., Any]) -> Labelled:
        names, shape, grid = self._grid(terms)
        truth = holds(*(place_of(term, grid, self.sizes) for term in terms))
        one, zero = self.scalars.number(Fraction(1)), self.scalars.number(Fraction(0))
        full = np.broadcast_to(truth, shape)
        values = np.empty(full.shape, dtype=object)
        values[full], values[~full] = one, zero
        return names, values

    def delta(self, node: nodes.Delta) -> Labelled:
        return self._relation(node.index_terms(), lambda i, j: i == j)

    def mask(self, node: nodes.Mask) -> Labelled:
        return self._relation(node.index_terms(), (lambda i, j: i < j) if node.strict else (lambda i, j: i <= j))

    def near(self, node: nodes.Near) -> Labelled:
        width = Evaluator(node.width, {n: self.sizes[n] for n in all_dimensions(node.width)}, {}).value(node.width)[1]
        wide = Fraction(width[()])
        return self._relation(node.index_terms(), lambda s, t: (t - wide < s) & (s <= t))

    def decay(self, node: nodes.Decay) -> Labelled:
        table = self._paths(node)
        names, shape, grid = self._grid(node.index_terms())
        last = -1 if isinstance(node.later, str) else place_of(node.later, grid, self.sizes)
        before = 0 if isinstance(node.earlier, str) else place_of(node.earlier, grid, self.sizes)
        rest = tuple(place_of(term, grid, self.sizes) for term in node.args)
        # without an index the table yields a bare number, which numpy would make an int64 that overflows
        values = np.empty(shape, dtype=object)
        values[...] = table[(last, before, *rest)]
        return names, values

    def _paths(self, node: nodes.Decay) -> Any:
        """Return the products of the gate by the later and the earlier time; only 0 is earlier than the first step."""
        gate = self.arrays[node.tensor.name]
        steps = self.extent(node.clock)
        timed, matrix = bool(node.tensor.legs), len(node.args) == 2
        one, zero = self.scalars.number(Fraction(1)), self.scalars.number(Fraction(0))
        inner = gate.shape[1:] if timed else ()
        starts = [-1] if isinstance(node.earlier, str) else list(range(steps))
        table = np.full((steps, len(starts), *inner), zero, dtype=object)
        for column, start in enumerate(starts):
            path: Any = _identity(inner, one, zero) if matrix else np.full(inner, one, dtype=object)[()]
            if start >= 0:
                table[start, column] = path
            for r in range(start + 1, steps):
                here = gate[r] if timed else gate[()]
                path = here.dot(path) if matrix else here * path
                table[r, column] = path
        return table

    def add(self, node: nodes.Add) -> Labelled:
        parts = [self.value(term) for term in node.terms]
        labels = tuple(dict.fromkeys(name for part in parts for name in part[0]))
        total = _align(*parts[0], labels)
        for part in parts[1:]:
            total = total + _align(*part, labels)
        return labels, np.asarray(total, dtype=object)

    def mul(self, node: nodes.Mul) -> Labelled:
        return self._eliminate([self.value(factor) for factor in node.factors], ())

    def pow(self, node: nodes.Pow) -> Labelled:
        labels, values = self.value(node.base)
        if node.exponent < 0:
            values = self._map(self.scalars.invert, values)
        return labels, np.asarray(values ** abs(node.exponent), dtype=object)

    def apply(self, node: nodes.Apply) -> Labelled:
        labels, values = self.value(node.argument)
        return labels, self._map(getattr(self.scalars, node.function), values)

    def _map(self, function: Callable[[Any], Any], values: Any) -> Any:
        result = np.empty(values.shape, dtype=object)
        for position in np.ndindex(*values.shape):
            result[position] = function(values[position])
        return result

    def bind(self, node: nodes.Bind) -> Labelled:
        if node.summand.kind == "add":
            total: Labelled | None = None
            for term in node.summand.children():
                part = self.value(type(node)(node.indices, term))
                total = part if total is None else _plus(total, part)
            if total is not None:
                return total
        indices = list(node.indices)
        body = node.summand
        factors = [self.value(f) for f in (body.children() if body.kind == "mul" else (body,))]
        absent = [index for index in indices if index not in body.free_indices]
        factors += [self._scalar(Fraction(self.extent(index.space))) for index in absent]
        return self._eliminate(factors, tuple(i.name for i in indices if i in body.free_indices))

    def definition(self, node: nodes.Definition) -> Labelled:
        return self.value(node.term)

    def _eliminate(self, operands: list[Labelled], bound: tuple[str, ...]) -> Labelled:
        """Return the product of the operands summed over the bound names, cheapest index first."""
        alive = dict(enumerate(operands))
        carriers = {name: {k for k, operand in alive.items() if name in operand[0]} for name in bound}
        price = {name: _union_size([alive[k] for k in carriers[name]]) for name in bound}
        zero = self.scalars.number(Fraction(0))
        while price:
            name = min(price, key=price.__getitem__)
            del price[name]
            gone = carriers.pop(name)
            touching = [alive.pop(k) for k in sorted(gone)]
            while len(touching) > 2:
                touching.sort(key=lambda o: o[1].size)
                touching = [_times(touching[0], touching[1]), *touching[2:]]
            here = len(operands) + len(bound) - len(price)
            alive[here] = _sum_out(touching, name, zero)
            for beside in carriers.keys() & set(alive[here][0]):
                carriers[beside] = (carriers[beside] - gone) | {here}
                price[beside] = _union_size([alive[k] for k in carriers[beside]])
        operands = list(alive.values())
        result = operands[0]
        for other in operands[1:]:
            result = _times(result, other)
        return result


def _union_size(operands: list[Labelled]) -> int:
    extents = {name: n for labels, values in operands for name, n in zip(labels, values.shape, strict=True)}
    return math.prod(extents.values())


def _plus(left: Labelled, right: Labelled) -> Labelled:
    labels = tuple(dict.fromkeys(left[0] + right[0]))
    return labels, np.asarray(_align(*left, labels) + _align(*right, labels), dtype=object)


def _times(left: Labelled, right: Labelled) -> Labelled:
    labels = tuple(dict.fromkeys(left[0] + right[0]))
    return labels, np.asarray(_align(*left, labels) * _align(*right, labels), dtype=object)


def _sum_out(operands: list[Labelled], name: str, zero: Any) -> Labelled:
    """Return the sum over `name` of the product of one or two operands that carry it; an empty one is `zero`."""
    if len(operands) == 1:
        labels, values = operands[0]
        axis = labels.index(name)
        if not values.shape[axis]:
            shape = values.shape[:axis] + values.shape[axis + 1 :]
            return labels[:axis] + labels[axis + 1 :], np.full(shape, zero, dtype=object)
        return labels[:axis] + labels[axis + 1 :], np.asarray(values.sum(axis=axis), dtype=object)
    (left, x), (right, y) = operands
    shared = [n for n in left if n in right and n != name]
    only_left = [n for n in left if n not in right]
    only_right = [n for n in right if n not in left]
    x = np.transpose(x, [left.index(n) for n in (*shared, *only_left, name)])
    y = np.transpose(y, [right.index(n) for n in (*shared, name, *only_right)])
    batch, rows, columns = x.shape[: len(shared)], x.shape[len(shared) : -1], y.shape[len(shared) + 1 :]
    inner = x.shape[-1]
    a = x.reshape((math.prod(batch), math.prod(rows), inner))
    b = y.reshape((math.prod(batch), inner, math.prod(columns)))
    out = np.full((a.shape[0], a.shape[1], b.shape[2]), zero, dtype=object)
    for k in range(a.shape[0] if inner else 0):
        out[k] = a[k].dot(b[k])
    return (*shared, *only_left, *only_right), out.reshape(batch + rows + columns)


def _identity(shape: tuple[int, ...], one: Any, zero: Any) -> Any:
    values = np.full(shape, zero, dtype=object)
    for k in range(min(shape)):
        values[k, k] = one
    return values
