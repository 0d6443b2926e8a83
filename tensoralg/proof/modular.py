"""Evaluation modulo a prime near 2^31, with contractions as matrix products in floating point.

A residue is split as ``a = 2^15 a1 + a0`` with ``|a1|, |a0| <= 2^15``; three products of such limbs (A. Karatsuba and
Yu. Ofman, Dokl. Akad. Nauk SSSR 145 (1962)) have entries below 2^53 and so are exact in float64, where BLAS is fastest
(J.-G. Dumas, P. Giorgi and C. Pernet, ACM Trans. Math. Softw. 35 (2008)).

Values that differ modulo a prime differ.  For values that agree there is a bound: a polynomial of degree d
that is not zero vanishes at a random point of GF(p) with probability at most d/p (J. T. Schwartz, J. ACM 27 (1980);
R. Zippel, EUROSAM 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

from tensoralg.errors import BudgetExceeded, EvaluationError, Undecided
from tensoralg.expr import nodes
from tensoralg.expr.arrays import all_dimensions, place_of, size_of
from tensoralg.expr.deferred import np
from tensoralg.expr.evaluate import Evaluator
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Index, IndexTerm, VectorSpace, atoms

PRIMES = (2147483647, 2147483629, 2147483587, 2147483579, 2147483563, 2147483549)  # the largest below 2^31
LIMB = 15
LONGEST = 1 << 19  # terms in one floating-point sum: 2^19 products below 2^34 stay below 2^53
LARGEST_ARRAY = 1 << 24
SMALL = 4096  # multiplications below which limbs cost more than they save

Labelled = tuple[tuple[str, ...], Any]


def residues(array: Any, prime: int) -> Any:
    """Return an array of ints and Fractions modulo a prime.

    Raises
    ------
    EvaluationError
        If the prime divides a denominator.
    """
    exact = np.asarray(array, dtype=object)
    reduced = np.empty(exact.shape, dtype=np.int64)
    for position in np.ndindex(*exact.shape):
        reduced[position] = residue(exact[position], prime)
    return reduced


def residue(value: int | Fraction, prime: int) -> int:
    """Return a rational number modulo a prime.

    Examples
    --------
    >>> residue(Fraction(1, 2), 7), residue(-1, 7)
    (4, 6)
    """
    number = Fraction(value)
    if number.denominator % prime == 0:
        raise EvaluationError(f"{prime} divides a denominator", remedy="use another prime")
    return number.numerator * pow(number.denominator, -1, prime) % prime


def product(a: Any, b: Any, prime: int) -> Any:
    """Return the matrix product of stacks of matrices of residues, modulo the prime.

    Parameters
    ----------
    a, b : numpy.ndarray of int64
        Shapes (batch, rows, inner) and (batch, inner, columns), entries in 0..prime - 1.
    prime : int
        Below 2^31.

    Examples
    --------
    >>> product(np.array([[[5, 6]]]), np.array([[[3], [4]]]), 7).tolist()
    [[[4]]]
    """
    inner = a.shape[2]
    if inner > LONGEST:
        pieces = range(0, inner, LONGEST)
        parts = (product(a[:, :, k : k + LONGEST], b[:, k : k + LONGEST], prime) for k in pieces)
        return sum(parts, start=np.zeros((a.shape[0], a.shape[1], b.shape[2]), dtype=np.int64)) % prime
    if a.shape[0] * a.shape[1] * inner * b.shape[2] <= SMALL:
        return (a[:, :, :, None] * b[:, None, :, :] % prime).sum(axis=2) % prime
    a1, a0 = _limbs(a, prime)
    b1, b0 = _limbs(b, prime)
    high, low, cross = np.matmul(a1, b1), np.matmul(a0, b0), np.matmul(a1 + a0, b1 + b0)
    high, low, cross = (x.astype(np.int64) % prime for x in (high, low, cross - high - low))
    base = 1 << LIMB
    return (high * (base * base % prime) % prime + cross * base % prime + low) % prime


def _limbs(a: Any, prime: int) -> tuple[Any, Any]:
    """Return the high and low limbs of residues, taken between -prime/2 and prime/2, as floats."""
    centred = np.where(a > prime // 2, a - prime, a)
    high = (centred + (1 << (LIMB - 1))) >> LIMB
    return high.astype(np.float64), (centred - (high << LIMB)).astype(np.float64)


def evaluate_modulo(expr: nodes.Expr, sizes: Mapping[str, int], arrays: Mapping[str, Any], prime: int) -> Any:
    """Return the value of an expression modulo a prime, one axis for each free index in order.

    Parameters
    ----------
    expr : Expr
        Without functions; reciprocals are taken modulo the prime.
    sizes : mapping of str to int
        The size of every dimension symbol.
    arrays : mapping of str to numpy.ndarray of int64
        Residues in leg order.
    prime : int
        Below 2^31.

    Raises
    ------
    EvaluationError
        If a denominator is 0 modulo the prime.
    Undecided
        If a function occurs.
    BudgetExceeded
        If an intermediate array would be too large.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[i] = A[i,j]*x[j]/2", indices={"i,j": "n"})
    >>> arrays = {"A": np.array([[1, 2], [3, 4]]), "x": np.array([1, 1])}
    >>> evaluate_modulo(O, {"n": 2}, arrays, 7).tolist()
    [5, 0]
    """
    machine = ModularEvaluator(sizes, arrays, prime)
    labels, values = machine.value(expr.body)
    shape = tuple(machine.extent(index.space) for index in expr.free_indices)
    return np.broadcast_to(_aligned(labels, values, expr.free), shape)


def _aligned(labels: Sequence[str], values: Any, order: Sequence[str]) -> Any:
    kept = [name for name in order if name in labels]
    moved = np.transpose(values, [labels.index(name) for name in kept])
    extents = dict(zip(kept, moved.shape, strict=True))
    return moved.reshape([extents.get(name, 1) for name in order])


class ModularEvaluator:
    """Folds an expression into labelled arrays of residues."""

    def __init__(self, sizes: Mapping[str, int], arrays: Mapping[str, Any], prime: int) -> None:
        self.sizes, self.arrays, self.prime = sizes, arrays, prime
        self.memo: dict[nodes.Expr, Labelled] = {}

    def extent(self, space: VectorSpace) -> int:
        """Return the number of basis vectors of a space."""
        return size_of(space.dimension, self.sizes)

    def value(self, node: nodes.Expr) -> Labelled:
        """Return the labelled value of a term."""
        if node not in self.memo:
            self.memo[node] = node.accept(self)
        return self.memo[node]

    def _scalar(self, value: int | Fraction) -> Labelled:
        return (), np.array(residue(value, self.prime), dtype=np.int64)

    def number(self, node: nodes.Number) -> Labelled:
        return self._scalar(node.value)

    def size(self, node: nodes.Size) -> Labelled:
        return self._scalar(self.sizes[node.name])

    def _grid(self, terms: Sequence[IndexTerm]) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, Any]]:
        spaces = {a.name: a.space for term in terms for a in atoms(term)}
        shape = tuple(self.extent(space) for space in spaces.values())
        self._check_size(shape)
        grid = dict(zip(spaces, np.indices(shape, sparse=True), strict=True)) if spaces else {}
        return tuple(spaces), shape, grid

    def _check_size(self, shape: Sequence[int]) -> None:
        if math.prod(shape) > LARGEST_ARRAY or len(shape) > 30:
            raise BudgetExceeded("an intermediate array is too large", remedy="evaluate at smaller sizes")

    def entry(self, node: nodes.Entry) -> Labelled:
        array = self.arrays[node.tensor.name]
        if all(isinstance(term, Index) for term in node.args) and len(set(node.args)) == len(node.args):
            return tuple(str(term) for term in node.args), array
        labels, shape, grid = self._grid(node.args)
        return labels, np.broadcast_to(array[tuple(place_of(term, grid, self.sizes) for term in node.args)], shape)

    def _relation(self, terms: Sequence[IndexTerm], holds: Callable[[Any, Any], Any]) -> Labelled:
        labels, shape, grid = self._grid(terms)
        left, right = (place_of(term, grid, self.sizes) for term in terms)
        return labels, np.broadcast_to(holds(left, right), shape).astype(np.int64)

    def delta(self, node: nodes.Delta) -> Labelled:
        return self._relation(node.index_terms(), lambda i, j: i == j)

    def mask(self, node: nodes.Mask) -> Labelled:
        return self._relation(node.index_terms(), (lambda i, j: i < j) if node.strict else (lambda i, j: i <= j))

    def near(self, node: nodes.Near) -> Labelled:
        # a width is compared, so it has to be the integer itself
        needed = {n: self.sizes[n] for n in all_dimensions(node.width)}
        wide = int(Evaluator(node.width, needed, {}).value(node.width)[1][()])
        return self._relation(node.index_terms(), lambda s, t: (t - wide < s) & (s <= t))

    def decay(self, node: nodes.Decay) -> Labelled:
        gate, matrix = self.arrays[node.tensor.name], len(node.args) == 2
        clock = node.times[0].space if node.times else node.tensor.legs[0]
        steps, timed = self.extent(clock), bool(node.tensor.legs)
        inner: tuple[int, ...] = gate.shape[1:] if timed else ()
        self._check_size((steps, steps + 1, *inner))
        one = np.eye(inner[0], dtype=np.int64) if matrix else np.ones(inner, dtype=np.int64)
        table = np.zeros((steps, steps + 1, *inner), dtype=np.int64)
        for last in range(steps):
            table[last, last + 1] = one
            for first in range(last, -1, -1):  # the step `first` is the earliest factor, so it stands on the right
                here, path = (gate[first] if timed else gate), table[last, first + 1]
                table[last, first] = (
                    product(path[None], here[None], self.prime)[0] if matrix else path * here % self.prime
                )
        labels, shape, grid = self._grid(node.index_terms())
        later = steps - 1 if isinstance(node.later, str) else place_of(node.later, grid, self.sizes)
        earlier = 0 if isinstance(node.earlier, str) else place_of(node.earlier, grid, self.sizes) + 1
        rest = tuple(place_of(term, grid, self.sizes) for term in node.args)
        return labels, np.broadcast_to(table[(later, earlier, *rest)], shape)

    def add(self, node: nodes.Add) -> Labelled:
        total = self.value(node.terms[0])
        for term in node.terms[1:]:
            total = self._plus(total, self.value(term))
        return total

    def _plus(self, left: Labelled, right: Labelled) -> Labelled:
        labels = tuple(dict.fromkeys(left[0] + right[0]))
        return labels, (_aligned(*left, labels) + _aligned(*right, labels)) % self.prime

    def mul(self, node: nodes.Mul) -> Labelled:
        return self._contract([self.value(factor) for factor in node.factors], set(node.free))

    def pow(self, node: nodes.Pow) -> Labelled:
        labels, values = self.value(node.base)
        exponent = node.exponent
        if exponent < 0:
            if not values.all():
                raise EvaluationError("a denominator is zero modulo the prime", remedy="choose other values")
            exponent = -exponent * (self.prime - 2)  # x^(p-2) = 1/x (Fermat)
        result = np.ones_like(values)
        while exponent:
            if exponent & 1:
                result = result * values % self.prime
            values = values * values % self.prime
            exponent >>= 1
        return labels, result

    def apply(self, node: nodes.Apply) -> Labelled:
        raise Undecided(f"{node.function} has no meaning modulo a prime", remedy="evaluate in balls")

    def bind(self, node: nodes.Bind) -> Labelled:
        body = node.summand
        if isinstance(body, nodes.Add):
            parts = [self.value(nodes.Bind(node.indices, term)) for term in body.terms]
            total = parts[0]
            for part in parts[1:]:
                total = self._plus(total, part)
            return total
        kept = set(node.free)
        factors = [self.value(f) for f in (body.children() if isinstance(body, nodes.Mul) else (body,))]
        factors += [self._scalar(self.extent(i.space)) for i in node.indices if i not in body.free_indices]
        return self._contract(factors, kept)

    def definition(self, node: nodes.Definition) -> Labelled:
        return self.value(node.term)

    # contraction

    def _contract(self, operands: list[Labelled], kept: set[str]) -> Labelled:
        """Return the product of labelled arrays, summed over all labels that are not kept."""
        waiting = list(operands)
        for step in contraction_path(operands, kept):
            chosen = [waiting[k] for k in step]
            waiting = [operand for k, operand in enumerate(waiting) if k not in step]
            needed = kept.union(*(labels for labels, _ in waiting))
            while len(chosen) > 2:
                others = needed.union(*(labels for labels, _ in chosen[2:]))
                chosen = [*chosen[2:], self._pair(chosen[0], chosen[1], others)]
            joined = self._pair(chosen[0], chosen[1], needed) if len(chosen) == 2 else self._reduced(chosen[0], needed)
            waiting.append(joined)
        return waiting[0]

    def _reduced(self, operand: Labelled, needed: set[str]) -> Labelled:
        """Return an operand summed over the labels that nothing else needs."""
        labels, values = operand
        gone = tuple(k for k, name in enumerate(labels) if name not in needed)
        if gone:
            values = values.sum(axis=gone) % self.prime
        return tuple(name for name in labels if name in needed), values

    def _pair(self, left: Labelled, right: Labelled, needed: set[str]) -> Labelled:
        left = self._reduced(left, needed | set(right[0]))
        right = self._reduced(right, needed | set(left[0]))
        labels = tuple(dict.fromkeys(left[0] + right[0]))
        extents = {n: k for names, a in (left, right) for n, k in zip(names, a.shape, strict=True)}
        self._check_size([extents[name] for name in labels if name in needed])
        summed = [name for name in labels if name not in needed]
        if not summed:
            return labels, _aligned(*left, labels) * _aligned(*right, labels) % self.prime
        batch = [n for n in left[0] if n in right[0] and n in needed]
        rows = [n for n in left[0] if n not in right[0]]
        columns = [n for n in right[0] if n not in left[0]]

        def stacked(operand: Labelled, *groups: list[str]) -> Any:
            order = [name for group in groups for name in group]
            shape = [math.prod(extents[name] for name in group) for group in groups]
            return np.transpose(operand[1], [operand[0].index(name) for name in order]).reshape(shape)

        out = product(stacked(left, batch, rows, summed), stacked(right, batch, summed, columns), self.prime)
        names = (*batch, *rows, *columns)
        return names, out.reshape([extents[name] for name in names])


def contraction_path(operands: Sequence[Labelled], kept: set[str]) -> list[tuple[int, ...]]:
    """Return which operands to contract, step after step, as opt_einsum's greedy search orders them."""
    if len(operands) < 3:
        return [tuple(range(len(operands)))]
    import opt_einsum

    extents = {n: k for labels, values in operands for n, k in zip(labels, values.shape, strict=True)}
    inputs = [frozenset(labels) for labels, _ in operands]
    path = opt_einsum.paths.greedy(inputs, frozenset(kept & extents.keys()), extents)
    return [tuple(step) for step in path]


# random points and what agreement there is worth


def random_residues(
    tensors: Mapping[str, Tensor], sizes: Mapping[str, int], random: Random, prime: int
) -> dict[str, Any]:
    """Return uniformly random residues with the declared symmetries, which are the only facts they can have."""
    generator = np.random.default_rng(random.getrandbits(64))
    found = {}
    for name, symbol in tensors.items():
        shape = tuple(size_of(leg.dimension, sizes) for leg in symbol.legs)
        values = generator.integers(0, prime, size=shape, dtype=np.int64)
        for group in symbol.symmetric:
            values = _sorted_entries(values, group, prime, signed=False)
        for group in symbol.antisymmetric:
            values = _sorted_entries(values, group, prime, signed=True)
        found[name] = values
    return found


def _sorted_entries(values: Any, group: Sequence[int], prime: int, signed: bool) -> Any:
    """Return an array whose entries depend only on the sorted positions on a group of legs, up to sign."""
    grid = list(np.indices(values.shape, sparse=False))
    chosen = np.stack([grid[leg] for leg in group])
    ordered = np.sort(chosen, axis=0)
    for leg, positions in zip(group, ordered, strict=True):
        grid[leg] = positions
    result = values[tuple(grid)]
    if not signed:
        return result
    swaps = sum((chosen[j] > chosen[k]).astype(np.int64) for j in range(len(group)) for k in range(j + 1, len(group)))
    result = np.where(swaps % 2 == 1, (prime - result) % prime, result)
    return np.where((ordered[1:] == ordered[:-1]).any(axis=0), 0, result)


@dataclass(frozen=True)
class Measure:
    """Bounds for a quotient of polynomials with integer coefficients: degrees, and log2 of sums of coefficients."""

    degree: int
    bits: float
    below: int = 0  # of the denominator
    bits_below: float = 0.0

    def __mul__(self, other: Measure) -> Measure:
        return Measure(
            self.degree + other.degree,
            self.bits + other.bits,
            self.below + other.below,
            self.bits_below + other.bits_below,
        )

    def __add__(self, other: Measure) -> Measure:
        high = max(self.bits + other.bits_below, other.bits + self.bits_below)
        return Measure(
            max(self.degree + other.below, other.degree + self.below),
            high + 1,
            self.below + other.below,
            self.bits_below + other.bits_below,
        )

    def power(self, exponent: int) -> Measure:
        e = abs(exponent)
        up = Measure(self.degree * e, self.bits * e, self.below * e, self.bits_below * e)
        return up if exponent >= 0 else Measure(up.below, up.bits_below, up.degree, up.bits)

    def summed(self, count: int) -> Measure:
        """Return the measure of a sum over so many values of an index."""
        if not self.below and not self.bits_below:
            return Measure(self.degree, self.bits + math.log2(count))
        return Measure(
            self.degree + (count - 1) * self.below,
            self.bits + (count - 1) * self.bits_below + math.log2(count),
            count * self.below,
            count * self.bits_below,
        )


class _Measurer:
    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.memo: dict[nodes.Expr, Measure] = {}

    def of(self, node: nodes.Expr) -> Measure:
        if node not in self.memo:
            self.memo[node] = self._compute(node)
        return self.memo[node]

    def _compute(self, node: nodes.Expr) -> Measure:
        if isinstance(node, nodes.Number):
            return Measure(0, math.log2(max(abs(node.value.numerator), 1)), 0, math.log2(node.value.denominator))
        if isinstance(node, nodes.Size):
            return Measure(0, math.log2(self.sizes[node.name]))
        if isinstance(node, nodes.Entry):
            return Measure(1, 0.0)
        if isinstance(node, nodes.Decay):
            clock = node.times[0].space if node.times else node.tensor.legs[0]
            steps = size_of(clock.dimension, self.sizes)
            inner = size_of(node.args[0].space.dimension, self.sizes) if len(node.args) == 2 else 1
            return Measure(steps, steps * math.log2(inner))
        if isinstance(node, nodes.Add):
            return sum((self.of(term) for term in node.terms[1:]), start=self.of(node.terms[0]))
        if isinstance(node, nodes.Mul):
            return math.prod((self.of(factor) for factor in node.factors), start=Measure(0, 0.0))
        if isinstance(node, nodes.Pow):
            return self.of(node.base).power(node.exponent)
        if isinstance(node, nodes.Bind):
            count = math.prod(size_of(index.space.dimension, self.sizes) for index in node.indices)
            return self.of(node.summand).summed(count)
        if isinstance(node, nodes.Definition):
            return self.of(node.term)
        if node.kind in ("delta", "mask", "near"):
            return Measure(0, 0.0)
        raise Undecided(f"{node.kind} has no degree", remedy="no bound is given")


def measure(left: nodes.Expr, right: nodes.Expr, sizes: Mapping[str, int]) -> Measure:
    """Return the measure of the difference of two expressions at given sizes.

    Examples
    --------
    >>> import tensoralg as ta
    >>> left, right = (ta.parse(text, {"i,j": "n"}, free="i") for text in ("A[i,j]*x[j]", "3*x[i]*x[i]*x[i]"))
    >>> measure(left, right, {"n": 2}).degree
    3
    """
    machine = _Measurer(sizes)
    return machine.of(left.body) + machine.of(right.body)


def schwartz_zippel(found: Measure, primes: Sequence[int]) -> float | None:
    """Return a bound on the probability that unequal sides agree at one random point modulo each prime.

    Of the evaluations as many are not counted as primes can divide all coefficients of the numerator.  None if
    nothing is left to count, or if the degree is not small beside the primes.
    """
    smallest = min(primes, default=2)
    blind = math.floor((found.bits + 1) / math.log2(smallest))
    room = smallest - found.below
    if len(primes) <= blind or found.degree >= room:
        return None
    return float((found.degree / room) ** (len(primes) - blind))
