"""Refutation: exact values at which two expressions differ, made small.

Evaluation refutes or steers; it never proves.  Sizes grow from 1; at each, a few random tensors with
small integer entries are tried.  Where that is laborious, both sides are first evaluated modulo a prime
(`tensoralg.proof.modular`): only where the residues differ are integers looked for.  A pair of values counts as
different only if the integers or fractions differ, or, where functions occur, if the balls are disjoint.  A
found witness is then shrunk: basis vectors are deleted and entries are set to 0, 1 and -1 while the
sides still differ and all facts and hypotheses still hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from itertools import product
from math import prod
from random import Random
from typing import Any

from tensoralg.errors import BudgetExceeded, EvaluationError, Undecided
from tensoralg.expr.arrays import all_dimensions, size_of
from tensoralg.expr.deferred import np
from tensoralg.expr.nodes import Bind, Definition, Pow
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import walk
from tensoralg.expr.tensor import Tensor
from tensoralg.proof.effort import Effort
from tensoralg.proof.hypotheses import Equation, holds, satisfying
from tensoralg.proof.modular import PRIMES, evaluate_modulo, measure, random_residues, schwartz_zippel
from tensoralg.proof.sample import sample, satisfies, symmetrised
from tensoralg.proof.verdict import Counterexample

LARGEST_TENSOR = 4096
SHRINKING_STEPS = 600
DRAWS = 6  # random tensors tried at each smaller size
# Large entries make a polynomial vanish by accident rarely (Schwartz-Zippel); under exp they only overflow.
POLYNOMIAL_RANGES = (2, 9, 999)
LONG_RANGES = (99, 999, 9999)  # a product of many factors vanishes if one of them does
LONG = 40  # factors
FUNCTION_RANGES = (1, 2, 3)
WIDE = 16
EXACT_WORK = 3_000_000  # multiplications of exact numbers that one evaluation may take
MODULAR_FROM = 30_000  # multiplications from which residues are quicker
MOST_SHRUNK = 12  # tensors; more are shown as they were found
SHRINKING_WORK = 4_000_000
SHRINKING_LONG = 500_000  # for long claims, of which everything takes long
PER_FACTOR = 400  # multiplications that take as long as preparing the contraction of one factor
GIVE_UP = 4  # sizes in succession at which no tensors satisfied the hypotheses


@dataclass(frozen=True)
class Claim:
    """Two closed expressions with the same free indices, over unified spaces and tensors.

    `defined` lists tensors that are given by expressions in the others; a witness computes them.
    `hypotheses` lists pairs of definitions with the same free indices that a witness makes equal, exactly.
    """

    left: Definition
    right: Definition
    tensors: Mapping[str, Tensor]
    fixed: Mapping[str, int]
    defined: tuple[tuple[Tensor, Definition], ...] = ()
    hypotheses: tuple[Equation, ...] = ()

    @cached_property
    def dimensions(self) -> list[str]:
        """The names of all dimension symbols, sorted."""
        sides = [self.left, self.right, *(side for equation in self.hypotheses for side in equation)]
        return sorted(legs_dimensions(self.tensors.values()).union(*map(all_dimensions, sides)))

    @property
    def free_tensors(self) -> dict[str, Tensor]:
        """The tensors that are not defined by others."""
        return {n: t for n, t in self.tensors.items() if n not in {symbol.name for symbol, _ in self.defined}}


def legs_dimensions(tensors: Iterable[Tensor]) -> set[str]:
    """Return the dimension symbols of the legs of tensors."""
    legs = {id(leg): leg for symbol in tensors for leg in symbol.legs}.values()
    return {s.name for leg in legs for s in getattr(leg.dimension, "free_symbols", ())}


@dataclass(frozen=True)
class Difference:
    """An entry at which the two sides differ, and the tensors."""

    sizes: dict[str, int]
    tensors: dict[str, Any]
    index: tuple[int, ...]
    left: Any
    right: Any


def compare(claim: Claim, sizes: Mapping[str, int], tensors: Mapping[str, Any]) -> Difference | None:
    """Return the first entry at which the sides differ; None if they agree (or their balls overlap).

    Tensors that violate a hypothesis show no difference.

    Raises
    ------
    EvaluationError
        If a side is undefined at these values.
    """
    values = [_evaluate(side, sizes, tensors) for side in (claim.left, claim.right)]
    order = [claim.right.free.index(name) for name in claim.left.free]
    right = np.transpose(np.asarray(values[1], dtype=object), order)
    left = np.asarray(values[0], dtype=object)
    for position in np.ndindex(*left.shape):
        if differ(left[position], right[position]):
            if not holds(claim.hypotheses, tensors, sizes):
                return None
            return Difference(dict(sizes), dict(tensors), position, left[position], right[position])
    return None


def _evaluate(side: Definition, sizes: Mapping[str, int], tensors: Mapping[str, Any]) -> Any:
    names = set(side.tensors)
    needed = all_dimensions(side)
    return side.evaluate({n: s for n, s in sizes.items() if n in needed}, **{n: tensors[n] for n in names})


def differ(left: Any, right: Any) -> bool:
    """Whether two exact values differ, or two balls are disjoint."""
    if hasattr(left, "overlaps") or hasattr(right, "overlaps"):
        return not _ball(left).overlaps(_ball(right))
    return bool(left != right)


def _ball(value: Any) -> Any:
    import flint

    if isinstance(value, flint.arb):
        return value
    value = Fraction(value)
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def growing_sizes(claim: Claim) -> Iterator[dict[str, int]]:
    """Yield sizes to try, small ones first: all equal, then mixed, as large as the claim has indices."""
    names = [n for n in claim.dimensions if n not in claim.fixed]
    fixed = {n: claim.fixed[n] for n in claim.dimensions if n in claim.fixed}
    # hypotheses bind, so they need room beside the claim: a 2 x 2 matrix whose rows and columns sum to 1 is symmetric
    counts = [_largest(claim.left, claim.right), *(_largest(*equation) for equation in claim.hypotheses)]
    most = {name: max(2, min(10, sum(count.get(name, 0) for count in counts))) for name in names}
    top = max(most.values(), default=1)
    seen = set()
    mixed = [(2, 1), (1, 2), (3, 2), (2, 3)] if len(names) > 1 else []
    for level in range(1, top + 1):
        options = [tuple(min(level, max(most[n], 2)) for n in names)]
        if level == 2 and len(names) <= 3:
            options += [choice for pair in mixed for choice in product(pair, repeat=len(names))]
        for option in options:
            if option not in seen:
                seen.add(option)
                yield {**fixed, **dict(zip(names, option, strict=True))}


def _largest(left: Definition, right: Definition) -> dict[str, int]:
    """Return what `_mentions` finds, the larger of both sides."""
    ours, theirs = _mentions(left), _mentions(right)
    return {name: max(ours.get(name, 0), theirs.get(name, 0)) for name in ours.keys() | theirs.keys()}


def _mentions(side: Definition) -> dict[str, int]:
    """Return how many indices a side has over each dimension, and one more than the degree in its size."""
    indices: dict[str, int] = {}
    for node in walk(side):
        for index in (*(node.indices if isinstance(node, Bind) else ()), *getattr(node, "legs", ())):
            for symbol in getattr(index.space.dimension, "free_symbols", ()):
                indices[symbol.name] = indices.get(symbol.name, 0) + 1
    degrees: dict[str, int] = {}
    stack: list[tuple[Any, int]] = [(side, 1)]
    while stack:
        node, times = stack.pop()
        if node.kind == "size":  # n (n - 1) (n - 2) vanishes at 1 and 2
            degrees[node.name] = degrees.get(node.name, 1) + times
        times *= abs(node.exponent) if isinstance(node, Pow) else 1
        stack += [(child, times) for child in node.children()]
    return {name: indices.get(name, 0) + degrees.get(name, 0) for name in indices.keys() | degrees.keys()}


def affordable(claim: Claim, sizes: Mapping[str, int]) -> bool:
    """Whether tensors and free indices stay small at these sizes."""
    shapes = [[size_of(leg.dimension, sizes) for leg in symbol.legs] for symbol in claim.tensors.values()]
    shapes.append([size_of(leg.space.dimension, sizes) for leg in claim.left.legs])
    return all(prod(shape) <= LARGEST_TENSOR for shape in shapes)


@dataclass(frozen=True)
class Agreement:
    """Random points modulo primes at which the sides agreed, at given sizes.

    `degree` is that of the numerator of their difference in the entries of the tensors.  If the sides differ at these
    sizes, so many points agree with a probability of at most `bound`; None where that is not known.
    """

    sizes: dict[str, int]
    evaluations: int
    degree: int | None = None
    bound: float | None = None


@dataclass
class Search:
    """The result of looking for a witness: what was found, and what agreed on the way.

    Attributes
    ----------
    found : Difference or None
    agreed : list of dict
        The sizes of every evaluation that agreed, exact or modulo a prime.
    undefined : int
        How many evaluations were undefined.
    impossible : str
        Why there were no tensors to try, if there were none at any size.
    agreements : list of Agreement
        Of full searches (without `levels`) of claims without functions and hypotheses.
    """

    found: Difference | None = None
    agreed: list[dict[str, int]] | None = None
    undefined: int = 0
    impossible: str = ""
    agreements: list[Agreement] = field(default_factory=list)


def search(claim: Claim, random: Random, tries: int = 3, levels: int | None = None) -> Search:
    """Return a difference between the sides, or the sizes at which they agreed."""
    agreed: list[dict[str, int]] = []
    result = Search(agreed=agreed)
    functions = any(node.kind == "apply" for side in (claim.left, claim.right) for node in walk(side))
    long = len(claim.tensors) > MOST_SHRUNK and is_long(claim)
    ranges = FUNCTION_RANGES if functions else LONG_RANGES if long else POLYNOMIAL_RANGES
    residues = not functions and _generic(claim)
    effort = Effort((claim.left, claim.right))
    barren, reason = 0, ""
    for count, sizes in enumerate(growing_sizes(claim)):
        if (levels is not None and count >= levels) or barren >= GIVE_UP:
            break
        cost = effort.at(sizes, EXACT_WORK)
        if cost > EXACT_WORK or not affordable(claim, sizes):
            continue
        attempts = tries
        if residues and (levels is None or cost > MODULAR_FROM):
            agreement = _agreement(claim, sizes, random, tries)
            if agreement is not None:
                result.agreements.append(agreement)
                agreed += [dict(sizes)] * agreement.evaluations
                continue
            attempts = 2 * len(ranges)  # they differ, or residues could not tell: worth more draws
        for attempt in range(attempts):
            try:
                # where everything was undefined so far, larger entries may reach the domain
                wide = WIDE if result.undefined and not agreed else 1
                drawn = draw(claim, sizes, random, largest=wide * ranges[min(attempt, len(ranges) - 1)])
                result.found = compare(claim, sizes, drawn)
            except EvaluationError:
                result.undefined += 1
                continue
            except Undecided as stopped:
                reason = stopped.what
                barren += bool(claim.hypotheses)
                break
            barren = 0
            if result.found is not None:
                return result
            agreed.append(dict(sizes))
    result.impossible = reason if not agreed and not result.undefined else ""
    return result


def is_long(claim: Claim) -> bool:
    """Whether a claim is about large networks, so that a sparse witness is found sooner than a dense one."""
    return sum(node.kind == "entry" for side in (claim.left, claim.right) for node in walk(side)) > LONG


def _generic(claim: Claim) -> bool:
    """Whether uniformly random residues are as good as tensors with the declared facts."""
    facts = {"symmetric", "antisymmetric", "positive"}
    used = {name for side in (claim.left, claim.right) for name in side.tensors}
    return not claim.hypotheses and all(set(claim.tensors[name].facts) <= facts for name in used)


def _agreement(claim: Claim, sizes: Mapping[str, int], random: Random, points: int) -> Agreement | None:
    """Return how the sides agreed at random points modulo primes; None if they differ, or no point could be used."""
    used = {name for side in (claim.left, claim.right) for name in side.tensors}
    tensors = {name: symbol for name, symbol in claim.tensors.items() if name in used}
    order = [claim.right.free.index(name) for name in claim.left.free]
    seen = []
    for prime in PRIMES[:points]:
        arrays = random_residues(tensors, sizes, random, prime)
        try:
            left, right = (evaluate_modulo(side, sizes, arrays, prime) for side in (claim.left, claim.right))
        except EvaluationError:
            continue
        except (BudgetExceeded, Undecided):
            return None
        if (left != np.transpose(right, order)).any():
            return None
        seen.append(prime)
    if not seen:
        return None
    degrees = measure(claim.left, claim.right, sizes)
    return Agreement(dict(sizes), len(seen), degrees.degree, schwartz_zippel(degrees, seen))


def draw(claim: Claim, sizes: Mapping[str, int], random: Random, largest: int) -> dict[str, Any]:
    """Return random tensors that satisfy the declared facts, the defining equations and the hypotheses.

    Raises
    ------
    Undecided
        If none were found.
    """
    if not claim.hypotheses:
        return _complete(claim, sizes, sample(claim.free_tensors, sizes, random, largest))
    return _complete(claim, sizes, satisfying(_reduced_hypotheses(claim), claim.free_tensors, sizes, random, largest))


def _reduced_hypotheses(claim: Claim) -> list[Equation]:
    """Return the hypotheses in the tensors that are not defined by others."""
    reduced = []
    for equation in claim.hypotheses:
        sides = []
        for side in equation:
            expr: Any = side
            for symbol, body in reversed(claim.defined):
                if symbol.name in expr.tensors:
                    expr = replace_tensor(expr, symbol.name, body)
            sides.append(expr)
        reduced.append((sides[0], sides[1]))
    return reduced


def _complete(claim: Claim, sizes: Mapping[str, int], tensors: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(tensors)
    for symbol, definition in claim.defined:
        values[symbol.name] = np.asarray(_evaluate(definition, sizes, values), dtype=object)
    if not satisfies({s.name: s for s, _ in claim.defined}, values):
        raise Undecided("a hypothesis contradicts a declared fact", remedy="check the hypotheses")
    return values


def shrink(claim: Claim, found: Difference) -> Difference:
    """Return a smaller difference: fewer basis vectors, and more entries that are 0, 1 or -1.

    A difference of more than a dozen tensors comes back as it is.
    """
    if len(found.tensors) > MOST_SHRUNK:
        return found
    effort = Effort((claim.left, claim.right))
    factors = sum(node.kind == "entry" for side in (claim.left, claim.right) for node in walk(side))
    cost = effort.at(found.sizes, SHRINKING_WORK) + PER_FACTOR * factors
    tries = min(SHRINKING_STEPS, int((SHRINKING_LONG if factors > LONG else SHRINKING_WORK) / max(cost, 1)))
    best, before = found, None
    if tries > DRAWS:
        best = _redrawn(claim, found.sizes, Random(0)) or found if factors > LONG else _descend(claim, found, effort)
    tried: set[Any] = set()
    while best is not before and tries > 0:
        before = best
        for step in _steps(claim, best):
            candidate = step(best)
            if candidate is None or tries <= 0:
                continue
            key = repr((candidate[0], {name: array.tolist() for name, array in candidate[1].items()}))
            if key in tried:
                continue
            tried.add(key)
            if candidate[0] == best.sizes or effort.at(candidate[0], EXACT_WORK) <= EXACT_WORK:
                tries -= 1
                best = _still_differs(claim, *candidate) or best
    return best


def _still_differs(claim: Claim, sizes: dict[str, int], tensors: dict[str, Any]) -> Difference | None:
    free = {n: t for n, t in claim.tensors.items() if n in tensors}
    if not satisfies(free, tensors):
        return None
    try:
        return compare(claim, sizes, _complete(claim, sizes, tensors))
    except (EvaluationError, Undecided):
        return None


def _descend(claim: Claim, found: Difference, effort: Effort) -> Difference:
    """Return a difference at smaller sizes, if random tensors show one there."""
    random = Random(0)
    improved = True
    while improved:
        improved = False
        for name, size in found.sizes.items():
            if size == 1 or name in claim.fixed:
                continue
            sizes = {**found.sizes, name: size - 1}
            if effort.at(sizes, EXACT_WORK) > EXACT_WORK:
                continue
            smaller = _redrawn(claim, sizes, random)
            if smaller is not None:
                found, improved = smaller, True
    return found


def _redrawn(claim: Claim, sizes: Mapping[str, int], random: Random) -> Difference | None:
    """Return a difference with entries that are 0, 1 or -1, if a few draws show one."""
    for _ in range(DRAWS):
        try:
            found = compare(claim, sizes, draw(claim, sizes, random, largest=1))
        except (EvaluationError, Undecided):
            continue
        if found is not None:
            return found
    return None


Candidate = tuple[dict[str, int], dict[str, Any]]


def _steps(claim: Claim, found: Difference) -> Iterator[Callable[[Difference], Candidate | None]]:
    """Yield ways to make a difference smaller: deleting each basis vector, then simplifying each entry."""
    defined = {symbol.name for symbol, _ in claim.defined}
    for name, size in found.sizes.items():
        if name not in claim.fixed and _only_plain(claim, name):
            for gone in range(size - 1, -1, -1):
                yield partial(_without_vector, claim, defined, name, gone)
    for value in (0, 1, -1):
        for name, array in found.tensors.items():
            if name not in defined:
                for position in np.ndindex(*array.shape):
                    yield partial(_with_entry, claim, defined, name, position, value)


def _without_vector(claim: Claim, defined: set[str], name: str, gone: int, best: Difference) -> Candidate | None:
    if best.sizes[name] == 1 or gone >= best.sizes[name]:
        return None
    kept = {n: _delete(claim.tensors[n], a, name, gone) for n, a in best.tensors.items() if n not in defined}
    return {**best.sizes, name: best.sizes[name] - 1}, kept


def _with_entry(
    claim: Claim, defined: set[str], name: str, position: tuple[int, ...], value: int, best: Difference
) -> Candidate | None:
    array = best.tensors[name]
    if any(p >= n for p, n in zip(position, array.shape, strict=True)):
        return None
    old = array[position]
    if not (old != 0 and (value == 0 or abs(old) > 1 or (old == -1 and value == 1))):
        return None
    changed = array.copy()
    changed[position] = value
    kept = {n: a for n, a in best.tensors.items() if n not in defined}
    return dict(best.sizes), {**kept, name: symmetrised(claim.tensors[name], changed)}


def _only_plain(claim: Claim, dimension: str) -> bool:
    """Whether a dimension occurs only as the whole dimension of a leg, so that basis vectors can be deleted."""
    legs = [leg for symbol in claim.tensors.values() for leg in symbol.legs]
    return all(
        str(leg.dimension) == dimension or dimension not in {s.name for s in getattr(leg.dimension, "free_symbols", ())}
        for leg in legs
    )


def _delete(symbol: Tensor, array: Any, dimension: str, gone: int) -> Any:
    for axis, leg in enumerate(symbol.legs):
        if str(leg.dimension) == dimension:
            array = np.delete(array, gone, axis=axis)
    return array


def counterexample(claim: Claim, found: Difference) -> Counterexample:
    """Return a difference as plain data."""
    return Counterexample(
        sizes=dict(found.sizes),
        tensors={name: array.tolist() for name, array in found.tensors.items()},
        index=dict(zip(claim.left.free, found.index, strict=True)),
        lhs=plain_value(found.left),
        rhs=plain_value(found.right),
    )


def plain_value(value: Any) -> Any:
    """Return an exact value, or a ball as (midpoint, radius) strings."""
    if hasattr(value, "mid"):
        return (value.mid().str(20, radius=False), value.rad().str(5, radius=False))
    return value
