"""Random exact tensors that satisfy hypotheses.

A hypothesis that is affine in one tensor is solved for that tensor over the rationals, the other tensors given and
the free unknowns random: rows that sum to one, ``A B = C``, ``A B = B A``, means that vanish, an inverse.  One that
is not affine in its only tensor is met by trying kinds of arrays that occur: orthonormal columns, unit vectors,
projections, involutions, signs.  What is returned has been checked exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from tensoralg.errors import EvaluationError, Undecided
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.deferred import np
from tensoralg.expr.nodes import Decay, Definition, Entry, Expr, Pow
from tensoralg.expr.tensor import Tensor
from tensoralg.proof.sample import (
    array_of,
    conjugated,
    invertible,
    permutation,
    projection,
    rotation,
    sample,
    satisfies,
    shape_of,
    symmetric_projection,
    symmetrised,
    tidy,
)

if TYPE_CHECKING:
    pass

Equation = tuple[Definition, Definition]
ATTEMPTS = 12
MOST_SIZES = 8  # at which a model is looked for
MOST_UNKNOWNS = 100
MOST_EVALUATIONS = 2_000  # of hypotheses, for one sample
SOLVABLE_FACTS = {"symmetric", "antisymmetric", "positive"}


def satisfying(
    equations: Sequence[Equation],
    tensors: Mapping[str, Tensor],
    sizes: Mapping[str, int],
    random: Random,
    largest: int = 2,
) -> dict[str, Any]:
    """Return exact arrays that satisfy every declared fact and every equation.

    Raises
    ------
    Undecided
        If none were found at these sizes.

    Examples
    --------
    >>> import tensoralg as ta
    >>> rows = ta.parse("A[i,j]", {"i,j": "n"}, free="i"), ta.parse("1", {"i": "n"}, free="i")
    >>> A = ta.tensor("A", [ta.Space("n", "n")] * 2)
    >>> values = satisfying([rows], {"A": A}, {"n": 3}, Random(0))["A"]
    >>> values.sum(axis=1).tolist()
    [1, 1, 1]
    """
    for equation in equations:
        if not _names(equation) and not holds([equation], {}, sizes):
            raise Undecided(
                f"the hypothesis {equation[0].body} = {equation[1].body} is false at these sizes",
                remedy="check the hypotheses",
            )
    evaluations = MOST_EVALUATIONS
    for _ in range(ATTEMPTS):
        solver = _Solver(equations, tensors, sizes, random, largest, evaluations)
        values = solver.solve()
        if values is not None:
            return values
        evaluations = solver.evaluations
    raise Undecided("no tensors that satisfy all hypotheses were found", remedy="check the hypotheses")


def holds(equations: Sequence[Equation], values: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    """Whether exact arrays satisfy all equations; where one is undefined they do not."""
    try:
        return all(not any(x != 0 for x in residual(equation, values, sizes)) for equation in equations)
    except EvaluationError:
        return False


def is_exact(value: Any) -> bool:
    return isinstance(value, int | Fraction)


def is_zero(value: Any) -> bool:
    """Whether a value is exactly 0; a ball around 0 does not show that."""
    return is_exact(value) and value == 0


def residual(equation: Equation, values: Mapping[str, Any], sizes: Mapping[str, int]) -> list[Any]:
    """Return the differences of the two sides at all entries."""
    left, right = (_value(side, values, sizes) for side in equation)
    order = [equation[1].free.index(name) for name in equation[0].free]
    return list(np.asarray(left - np.transpose(right, order), dtype=object).flat)


def _value(side: Definition, values: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
    needed = all_dimensions(side)
    given = {name: values[name] for name in set(side.tensors)}
    return np.asarray(side.evaluate({n: s for n, s in sizes.items() if n in needed}, **given), dtype=object)


def _names(equation: Equation) -> set[str]:
    return {name for side in equation for name in side.tensors}


def degree_in(node: Expr, name: str) -> int:
    """Return 0 if a term is constant in a tensor, 1 if it is affine in it, else 2.

    Examples
    --------
    >>> import tensoralg as ta
    >>> [degree_in(ta.parse(text, {"i": "n"}, free="i"), "x") for text in ("y[i]", "x[i]*y[i]", "x[i]*x[i]", "1/x[i]")]
    [0, 1, 2, 2]
    """
    if isinstance(node, Entry | Decay):
        return 0 if node.tensor.name != name else 1 if isinstance(node, Entry) else 2
    below = [degree_in(child, name) for child in node.children()]
    if node.kind == "mul":
        return min(sum(below), 2)
    if node.kind == "apply" or (isinstance(node, Pow) and node.exponent != 1):
        return 2 if any(below) else 0
    return max(below, default=0)


class _Solver:
    """One attempt: a random sample, changed tensor by tensor until the equations hold."""

    def __init__(
        self,
        equations: Sequence[Equation],
        tensors: Mapping[str, Tensor],
        sizes: Mapping[str, int],
        random: Random,
        largest: int,
        evaluations: int = MOST_EVALUATIONS,
    ) -> None:
        self.evaluations = evaluations
        self.equations, self.tensors, self.sizes = equations, tensors, sizes
        self.random, self.largest = random, largest
        self.about = {name: [e for e in equations if name in _names(e)] for name in tensors}
        self.affine = {
            name: all(degree_in(side.body, name) < 2 for e in found for side in e) for name, found in self.about.items()
        }
        self.values: dict[str, Any] = {}

    def solve(self) -> dict[str, Any] | None:
        """Return arrays that satisfy facts and equations; None if this attempt failed."""
        self.values = sample(self.tensors, self.sizes, self.random, self.largest)
        for name, found in self.about.items():
            alone = [e for e in found if _names(e) == {name}]
            if not self.affine[name] and not holds(alone, self.values, self.sizes) and not self._try_kinds(name, alone):
                return None
        for _ in range(2 * len(self.equations) + 1):
            violated = [e for e in self.equations if not holds([e], self.values, self.sizes)]
            if not violated:
                return self.values if satisfies(self.tensors, self.values) else None
            names = [n for n in self.about if self.affine[n] and any(e in violated for e in self.about[n])]
            self.random.shuffle(names)
            # a tensor that few equations mention is the least bound by them
            if not any(self._solve_for(name) for name in sorted(names, key=lambda n: len(self.about[n]))):
                return None
        return None

    def _try_kinds(self, name: str, equations: Sequence[Equation]) -> bool:
        symbol = self.tensors[name]
        makers = list(_kinds(shape_of(symbol, self.sizes), self.random))
        self.random.shuffle(makers)
        for make in makers:
            changed = {**self.values, name: symmetrised(symbol, make())}
            if holds(equations, changed, self.sizes) and satisfies({name: symbol}, {name: changed[name]}):
                self.values = changed
                return True
        return False

    def _solve_for(self, name: str) -> bool:
        """Replace a tensor by a random solution of all equations about it; whether there is one."""
        symbol = self.tensors[name]
        shape = shape_of(symbol, self.sizes)
        basis = _basis(symbol, shape)
        partners = {t.inverse_of for t in self.tensors.values()}
        if not set(symbol.facts) <= SOLVABLE_FACTS or name in partners or len(basis) > MOST_UNKNOWNS:
            return False
        self.evaluations -= len(self.about[name]) * (len(basis) + 1)
        if self.evaluations < 0:
            return False
        try:
            zero = self._residuals(name, array_of(shape, lambda p: 0))
            columns = [[a - b for a, b in zip(self._residuals(name, e), zero, strict=True)] for e in basis]
        except EvaluationError:
            return False
        solution = linear_solution(columns, [-b for b in zero], lambda: self._free(symbol, len(basis)))
        if solution is None:
            return False
        found = array_of(shape, lambda p: tidy(sum(x * e[p] for x, e in zip(solution, basis, strict=True))))
        if symbol.positive and not all(x > 0 for x in found.flat):
            return False
        self.values = {**self.values, name: found}
        return True

    def _residuals(self, name: str, array: Any) -> list[Any]:
        values = {**self.values, name: array}
        return [x for equation in self.about[name] for x in residual(equation, values, self.sizes)]

    def _free(self, symbol: Tensor, count: int) -> Fraction:
        if symbol.positive:  # small, so that what the equations fix is likely to be positive too
            return Fraction(1, self.random.randint(count, 3 * count))
        return Fraction(self.random.randint(-self.largest, self.largest))


def _basis(symbol: Tensor, shape: tuple[int, ...]) -> list[Any]:
    """Return arrays that span those with the symmetries of a tensor."""
    found = []
    for position in np.ndindex(*shape):
        unit = array_of(shape, lambda p: 0)
        unit[position] = 1
        unit = symmetrised(symbol, unit)
        if unit.any():
            found.append(unit)
    return found


def linear_solution(
    columns: Sequence[Sequence[Any]], target: Sequence[Any], free: Callable[[], Fraction]
) -> list[Fraction] | None:
    """Return a solution x of ``sum_k x_k columns[k] = target`` over the rationals, free unknowns chosen by a call.

    None if there is no solution.

    Examples
    --------
    >>> linear_solution([[1, 2], [1, 2]], [5, 10], lambda: Fraction(3))
    [Fraction(2, 1), Fraction(3, 1)]
    >>> linear_solution([[1, 2], [1, 2]], [5, 11], lambda: Fraction(3)) is None
    True
    """
    import flint

    unknowns = len(columns)
    try:
        rows = [
            [flint.fmpq(*Fraction(x).as_integer_ratio()) for x in (*row, b)]
            for *row, b in zip(*columns, target, strict=True)
        ]
    except TypeError:  # balls: a solution could not be exact
        return None
    if not rows:
        return [free() for _ in range(unknowns)]
    matrix, rank = flint.fmpq_mat(rows).rref()
    reduced = [[_fraction(x) for x in row] for row in matrix.tolist()[:rank]]
    pivots = {next(k for k, x in enumerate(row) if x): row for row in reduced}
    if unknowns in pivots:
        return None
    solution = [Fraction(0) if k in pivots else free() for k in range(unknowns)]
    chosen = [k for k in range(unknowns) if k not in pivots]
    for column, row in pivots.items():
        solution[column] = row[unknowns] - sum(row[k] * solution[k] for k in chosen if row[k])
    return solution


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _kinds(shape: tuple[int, ...], random: Random) -> Iterator[Callable[[], Any]]:
    """Yield ways to make arrays that satisfy common equations of higher degree."""
    for choices in ((0, 1), (-1, 1), (0,), (1,), (-1,)):
        yield partial(_chosen, shape, choices, random)
    if shape:
        yield lambda: _unit_vectors(shape, len(shape) - 1, random)
        yield lambda: _unit_vectors(shape, 0, random)
        yield lambda: _unit_vectors((int(np.prod(shape)),), 0, random).reshape(shape)
    if len(shape) != 2:
        return
    rows, columns = shape
    if rows >= columns:
        yield lambda: rotation(rows, random)[:, :columns]
    if columns >= rows:
        yield lambda: rotation(columns, random)[:rows]
    if rows == columns:
        one = array_of(shape, lambda p: int(p[0] == p[1]))
        nilpotent = array_of(shape, lambda p: int(p[0] == 0 and p[1] == rows - 1 > 0))
        yield lambda: one
        yield lambda: -one
        yield lambda: projection(rows, random)
        yield lambda: one - 2 * projection(rows, random)
        yield lambda: conjugated(nilpotent, *invertible(rows, random))
        yield lambda: symmetric_projection(rows, random)
        yield lambda: one - 2 * symmetric_projection(rows, random)
        yield lambda: permutation(rows, random)


def _chosen(shape: tuple[int, ...], choices: Sequence[int], random: Random) -> Any:
    return array_of(shape, lambda p: random.choice(choices))


def _unit_vectors(shape: tuple[int, ...], axis: int, random: Random) -> Any:
    """Return an array of rational unit vectors along an axis, by stereographic projection."""
    moved = array_of((*shape[:axis], *shape[axis + 1 :], shape[axis]), lambda p: 0)
    for place in np.ndindex(*moved.shape[:-1]):
        flat = [Fraction(random.randint(-2, 2), random.randint(1, 2)) for _ in range(shape[axis] - 1)]
        square = sum((x * x for x in flat), start=Fraction(0))
        point = [2 * x / (1 + square) for x in flat] + [(square - 1) / (1 + square)]
        for k, x in enumerate(random.sample(point, len(point))):
            moved[(*place, k)] = tidy(x)
    return np.moveaxis(moved, -1, axis)
