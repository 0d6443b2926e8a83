"""Lower bounds for the size of any state, from the rank of the Hankel matrix of pasts and futures.

Cut a sequence of tokens into a past p and a future f that is not empty, let O(pf) be the output at the last token of
both, and ``H[p, (f, output entry)] = O(pf) - O(f)``.

*Proposition.*  Let a machine keep r numbers: s(p) after the past p, computed in whatever way, and s(empty) before the
first token.  If for every future f the output is affine in them, ``O(pf) = A_f s(p) + b_f`` for all pasts p, the empty
one included, then ``rank H <= r``.  *Proof.*  ``O(pf) - O(f) = A_f (s(p) - s(empty))`` factors through r numbers.

Subtracting O(f) leaves out the functional that is constant, for which no state is needed.  Where the output is not
affine in the state, as in a quotient of two sums, the bound speaks of the parts that are: give numerator and
denominator as two definitions, whose columns then stand side by side.  (J. W. Carlyle and A. Paz, *Realizations by
stochastic finite automata*, J. Comput. System Sci. 5 (1971); M. Fliess, *Matrices de Hankel*, J. Math. Pures Appl.
53 (1974).)

Both functions give lower bounds of rank H and never exceed it.  Modulo a prime: the residues of the tokens lift to
integers, at which the entries of H are rational numbers whose denominators the prime does not divide; where the
residue of a minor is not 0, neither is the minor.  In balls: a minor whose ball excludes 0 is not 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from random import Random
from typing import Any

import sympy

from tensoralg.errors import EvaluationError, InvalidExpression, InvalidSize, MissingSize, Undecided
from tensoralg.expr import Definition, evaluate
from tensoralg.expr.arrays import all_dimensions, place_of
from tensoralg.expr.deferred import np
from tensoralg.expr.evaluate import IRRATIONAL
from tensoralg.expr.nodes import Apply, Decay, Entry, Expr, Near
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.expr.tensor import Tensor, merge_facts
from tensoralg.proof.modular import PRIMES, Labelled, ModularEvaluator, random_residues, residues
from tensoralg.proof.sample import sample, shape_of, symmetrised
from tensoralg.spaces import VectorSpace, atoms, check_sizes

SEQUENCES = 24  # of each length, by default
LONGEST = 6  # tokens in a past or in a future
LONGEST_EXACT = 3
SMALL = 3  # entries of tensors that no token brings
PRECISION = 1024  # bits: exponentials of products make matrices that are nearly singular
ENTRYWISE = {"symmetric", "antisymmetric", "positive"}
BATCH = "(sequence)"  # no index can have this name


def hankel_rank(
    definition: Definition | Sequence[Definition],
    time: VectorSpace,
    sizes: Mapping[str, int],
    pasts: int = SEQUENCES,
    futures: int = SEQUENCES,
    prime: int = PRIMES[0],
    seed: int = 0,
    *,
    longest: int | None = None,
) -> int:
    """Return the rank modulo a prime of a sampled Hankel matrix: no smaller state has all later outputs affine in it.

    It never exceeds the rank of the whole matrix, at these sizes and at generic values of the tensors that no token
    brings.  With enough sequences it is the rank for all pasts and futures of these lengths, unless the random residues
    are a zero of some polynomial of degree D, which has probability at most D/prime; matrices with declared facts such
    as isometries are small random ones, and may lower it.

    Parameters
    ----------
    definition : Definition or sequence of Definition
        Causal, with one leg over `time`, without functions but square roots of sizes that are squares.  A function
        of one token, such as ``exp(K[s,f])``, is to be replaced by a tensor of its own.  Several definitions are
        outputs side by side.
    time : VectorSpace
        The ordered space of the tokens.  A tensor with a leg over it is drawn anew for every token, any other once.
    sizes : mapping of str to int
        The size of every other dimension.
    pasts, futures : int
        How many sequences are drawn of each length; the rank is at most their number times the lengths.
    prime : int
        Below 2^31.
    seed : int
    longest : int, optional
        Pasts and futures have 1 to so many tokens; by default as many as there are summed times, or as the widest
        window reaches back, but at most 6.

    Raises
    ------
    InvalidExpression
        If a definition is no function of sequences of tokens.
    MissingSize, UnknownSize, InvalidSize
        If the sizes do not fit, or a count is not positive.
    Undecided
        If another function occurs.
    EvaluationError
        If a denominator is 0 modulo the prime.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t,v] = le[s,t]*Q[t,f]*K[s,f]*V[s,v]", indices={"s,t": "n ordered", "f": "d", "v": "e"})
    >>> hankel_rank(O, O.legs[0].space, {"d": 2, "e": 3})
    6
    """
    import flint

    system = _read(definition, time, sizes)
    length = _longest(system, LONGEST) if longest is None else longest
    _check_positive(pasts=pasts, futures=futures, longest=length)
    residual = _Residues(system, prime, Random(seed))
    early, late = ([residual.draw(count, k + 1) for k in range(length)] for count in (pasts, futures))
    blocks = [[residual.outputs(_joined(past, future)).reshape(pasts, -1) for future in late] for past in early]
    alone = np.hstack([residual.outputs(future).reshape(1, -1) for future in late])
    matrix = (np.block(blocks) - alone) % prime
    return int(flint.nmod_mat(matrix.tolist(), prime).rank())


def growing_rank(
    definition: Definition | Sequence[Definition],
    time: VectorSpace,
    sizes: Mapping[str, int],
    counts: Sequence[int] = (1, 2, 4, 8),
    seed: int = 0,
) -> tuple[tuple[int, int], ...]:
    """Return certified lower bounds of the rank of larger and larger Hankel matrices, by exact numbers or balls.

    No state with fewer numbers than a rank of the result has all later outputs affine in it.  That the rank grows with
    every count is no proof that it grows without end: a polynomial of large degree in many features does so up to the
    size of its state, and so does a quotient, whose numerator and denominator are to be given apart.

    Parameters
    ----------
    definition : Definition or sequence of Definition
        Causal, with one leg over `time`; functions may couple tokens, as in ``exp(q[t]*k[s])``.
    time : VectorSpace
        The ordered space of the tokens.
    sizes : mapping of str to int
        The size of every other dimension.
    counts : sequence of int
        How many pasts and futures; each has as many tokens as there are summed times, but at most 3.
    seed : int

    Returns
    -------
    tuple of (count, rank)
        The size of a minor that is shown not to vanish at tokens with small integer entries.

    Raises
    ------
    InvalidExpression
        If a definition is no function of sequences of tokens.
    MissingSize, UnknownSize, InvalidSize
        If the sizes do not fit, or a count is not positive.
    EvaluationError
        If the definition was undefined at all tokens that were tried.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t] = le[s,t]*exp(q[t]*k[s])*v[s]", indices={"s,t": "n ordered"})
    >>> growing_rank(O, O.legs[0].space, {}, counts=(1, 2, 4))
    ((1, 1), (2, 2), (4, 4))
    """
    system = _read(definition, time, sizes)
    _check_positive(**{f"counts[{k}]": count for k, count in enumerate(counts)})
    best = dict.fromkeys(counts, 0)
    undefined = []
    for signed in (True, False):  # relu needs both signs, a logarithm only the positive one
        try:
            matrix = _exact_matrix(system, max(best, default=1), Random(seed), signed)
        except EvaluationError as error:
            undefined.append(error)
            continue
        width = len(matrix[0]) // len(matrix)
        for count in best:
            best[count] = max(best[count], certified_rank([row[: count * width] for row in matrix[:count]]))
        if all(rank == count for count, rank in best.items()):
            break
    if len(undefined) == 2:
        raise undefined[0]
    return tuple(best.items())


def certified_rank(matrix: Sequence[Sequence[Any]]) -> int:
    """Return the size of a minor that is shown not to vanish, by elimination with complete pivoting.

    Parameters
    ----------
    matrix : sequence of sequence of int, Fraction or flint.arb
        A pivot is an entry that is not 0, or a ball that excludes 0; the product of the pivots is a minor up to sign.

    Examples
    --------
    >>> certified_rank([[1, 2], [2, 4]])
    1
    """
    import flint

    rows: list[list[Any]] = [[x if isinstance(x, flint.arb) else Fraction(x) for x in row] for row in matrix]
    rank = 0
    with flint.ctx.workprec(PRECISION):
        while rows and rows[0]:
            away = {(i, j): _from_zero(x) for i, row in enumerate(rows) for j, x in enumerate(row)}
            i, j = max(away, key=away.__getitem__)
            if not away[i, j] > 0:
                break
            top = rows.pop(i)
            ratios = [x / top[j] for x in top]
            rows = [[x - row[j] * y for x, y in zip(row, ratios, strict=True)] for row in rows]
            rows = [row[:j] + row[j + 1 :] for row in rows]
            rank += 1
    return rank


def _from_zero(value: Any) -> Any:
    """Return how far a number, or every number of a ball, is from 0 at least."""
    return abs(value) if isinstance(value, Fraction) else value.abs_lower()


def _check_positive(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise InvalidSize(f"{name} = {count!r} is not a positive integer", remedy=f"give {name} >= 1", name=name)


# definitions as functions of sequences of tokens


@dataclass(frozen=True)
class _System:
    """Definitions as functions of sequences of tokens.

    Attributes
    ----------
    outputs : tuple of (Definition, int)
        The definitions, each with the position of its leg over time.
    time : VectorSpace
    clock : str
        The name of its dimension.
    sizes : mapping of str to int
        Of all other dimensions.
    tokens : mapping of str to (Tensor, int)
        The tensors that every token brings, each with the position of its leg over time.
    constants, structured : mapping of str to Tensor
        All other tensors; those apart whose declared facts are more than symmetries and signs of their entries.
    """

    outputs: tuple[tuple[Definition, int], ...]
    time: VectorSpace
    clock: str
    sizes: Mapping[str, int]
    tokens: Mapping[str, tuple[Tensor, int]]
    constants: Mapping[str, Tensor]
    structured: Mapping[str, Tensor]

    def sizes_at(self, length: int) -> dict[str, int]:
        """Return all sizes for sequences of the given length."""
        return {**self.sizes, self.clock: length}


def _read(definition: Definition | Sequence[Definition], time: VectorSpace, sizes: Mapping[str, int]) -> _System:
    definitions = (definition,) if isinstance(definition, Definition) else tuple(definition)
    if not definitions:
        raise InvalidExpression("there is no definition", remedy="give at least one")
    if not isinstance(time.dimension, sympy.Symbol):
        raise InvalidExpression(
            f"{time} has the dimension {time.dimension}, so sequences cannot have different lengths",
            remedy="use an ordered space whose dimension is a symbol",
        )
    clock = time.dimension.name
    known = set[str]().union(*map(all_dimensions, definitions)) - {clock}
    checked = check_sizes(sizes, known)
    if missing := sorted(known - set(checked)):
        raise MissingSize(f"no size for dimension {', '.join(missing)}", remedy="pass it in sizes", name=missing[0])
    outputs = []
    versions: dict[str, list[Tensor]] = {}
    for one in definitions:
        place = _place_of_time([leg.space for leg in one.legs], time, one.name)
        if place is None:
            raise InvalidExpression(f"{one.name} has no leg over {time}", remedy="define an output for every token")
        outputs.append((one, place))
        for node in distinct_nodes(one):
            if isinstance(node, Entry | Decay):
                versions.setdefault(node.tensor.name, []).append(node.tensor)
    tensors = {name: merge_facts(found) for name, found in versions.items()}
    places = {name: _place_of_time(symbol.legs, time, name) for name, symbol in tensors.items()}
    tokens = {name: (tensors[name], place) for name, place in places.items() if place is not None}
    inverses = {symbol.inverse_of for symbol in tensors.values()}
    structured = {n: symbol for n, symbol in tensors.items() if n in inverses or not set(symbol.facts) <= ENTRYWISE}
    for name, (symbol, place) in tokens.items():
        if name in structured or any(place in group for group in (*symbol.symmetric, *symbol.antisymmetric)):
            raise InvalidExpression(
                f"a declared fact about {symbol} relates different tokens to each other",
                remedy="tokens are drawn independently; drop the fact",
                tensor=name,
            )
    constants = {n: symbol for n, symbol in tensors.items() if n not in tokens and n not in structured}
    return _System(tuple(outputs), time, clock, checked, tokens, constants, structured)


def _place_of_time(legs: Sequence[VectorSpace], time: VectorSpace, name: str) -> int | None:
    """Return which leg is over time, None if none is."""
    places = [k for k, leg in enumerate(legs) if time.dimension in sympy.sympify(leg.dimension).free_symbols]
    if not places:
        return None
    if len(places) > 1 or legs[places[0]] not in (time, time.dual):
        raise InvalidExpression(
            f"{name} depends on {time} otherwise than by one leg: {', '.join(map(str, legs))}",
            remedy="a token brings one slice of every tensor",
            name=name,
        )
    return places[0]


def _longest(system: _System, most: int) -> int:
    """Return how many tokens let every summed time have its own, and the widest window its oldest."""
    found = 1
    for definition, place in system.outputs:
        times = {
            atom.name
            for node in distinct_nodes(definition)
            for term in (*node.index_terms(), *getattr(node, "indices", ()))
            for atom in atoms(term)
            if atom.space in (system.time, system.time.dual)
        }
        found = max(found, len(times - {definition.legs[place].name}))
    for node in (node for definition, _ in system.outputs for node in distinct_nodes(definition)):
        if isinstance(node, Near) and all_dimensions(node.width) <= set(system.sizes):
            sizes = {name: system.sizes[name] for name in all_dimensions(node.width)}
            found = max(found, int(evaluate(node.width, sizes, {})) - 1)
    return min(found, most)


@dataclass(frozen=True)
class _Sequences:
    """Sequences of one length: for every tensor that tokens bring, an array over (sequence, time, other legs)."""

    count: int
    length: int
    arrays: Mapping[str, Any]


def _joined(pasts: _Sequences, futures: _Sequences) -> _Sequences:
    """Return every past followed by every future; the future varies fastest."""
    arrays = {}
    for name, early in pasts.arrays.items():
        late = futures.arrays[name]
        again = np.tile(late, (pasts.count, *[1] * (late.ndim - 1)))
        arrays[name] = np.concatenate([np.repeat(early, futures.count, axis=0), again], axis=1)
    return _Sequences(pasts.count * futures.count, pasts.length + futures.length, arrays)


def _cut(system: _System, arrays: Mapping[str, Any], count: int, length: int) -> _Sequences:
    """Return one long sequence, given by arrays in leg order, as many of the same length."""
    found = {}
    for name, (_, place) in system.tokens.items():
        by_time = np.moveaxis(arrays[name], place, 0)
        found[name] = by_time.reshape(count, length, *by_time.shape[1:])
    return _Sequences(count, length, found)


# residues


class _Residues:
    """Random tokens modulo a prime, and the outputs at the last of them."""

    def __init__(self, system: _System, prime: int, random: Random) -> None:
        self.system, self.prime, self.random = system, prime, random
        self.constants = random_residues(system.constants, system.sizes, random, prime)
        for name, array in sample(system.structured, system.sizes, random).items():
            self.constants[name] = residues(array, prime)

    def draw(self, count: int, length: int) -> _Sequences:
        """Return random sequences."""
        symbols = {name: symbol for name, (symbol, _) in self.system.tokens.items()}
        arrays = random_residues(symbols, self.system.sizes_at(count * length), self.random, self.prime)
        return _cut(self.system, arrays, count, length)

    def outputs(self, sequences: _Sequences) -> Any:
        """Return the outputs at the last token, an array over (sequence, entry)."""
        sizes = self.system.sizes_at(sequences.length)
        arrays = dict(self.constants)
        for name, (_, place) in self.system.tokens.items():
            arrays[name] = np.moveaxis(np.moveaxis(sequences.arrays[name], 0, -1), 0, place)
        machine = _BatchEvaluator(sizes, arrays, self.prime)
        found = [machine.last(definition, place, sequences.count) for definition, place in self.system.outputs]
        return np.hstack(found)


class _BatchEvaluator(ModularEvaluator):
    """Evaluates an expression at many sequences at once; an array with one more axis than legs has it for them."""

    def last(self, definition: Definition, place: int, count: int) -> Any:
        """Return the values at the last time, an array over (sequence, entry)."""
        shape = (count, *(self.extent(leg.space) for leg in definition.legs))
        zero: Labelled = ((BATCH, *definition.free), np.zeros(shape, dtype=np.int64))
        values = self._plus(zero, self.value(definition.body))[1]
        return values.take(-1, axis=place + 1).reshape(count, -1)

    def entry(self, node: Entry) -> Labelled:
        array = self.arrays[node.tensor.name]
        if array.ndim == len(node.tensor.legs):
            return super().entry(node)
        labels, shape, grid = self._grid(node.args)
        values = array[tuple(place_of(term, grid, self.sizes) for term in node.args)]
        return (*labels, BATCH), np.broadcast_to(values, (*shape, array.shape[-1]))

    def decay(self, node: Decay) -> Labelled:
        name = node.tensor.name
        if self.arrays[name].ndim == len(node.tensor.legs):
            return super().decay(node)
        gates = np.moveaxis(self.arrays[name], -1, 0)
        found = [ModularEvaluator(self.sizes, {name: gate}, self.prime).decay(node) for gate in gates]
        return (*found[0][0], BATCH), np.stack([values for _, values in found], axis=-1)

    def apply(self, node: Apply) -> Labelled:
        root = _rational_root(node.argument, self.sizes) if node.function == "sqrt" else None
        if root is None:
            remedy = "replace a function of one token by a tensor; use sizes whose roots are integers; see growing_rank"
            raise Undecided(f"{node} has no meaning modulo a prime", remedy=remedy)
        return self._scalar(root)

    def _contract(self, operands: list[Labelled], kept: set[str]) -> Labelled:
        return super()._contract(operands, kept | {BATCH})


def _rational_root(argument: Expr, sizes: Mapping[str, int]) -> Fraction | None:
    """Return the root of a term in sizes and numbers, None if it is another term or the root is irrational."""
    if argument.free or any(isinstance(node, Entry | Decay | Apply) for node in distinct_nodes(argument)):
        return None
    square = Fraction(evaluate(argument, {name: sizes[name] for name in all_dimensions(argument)}, {}))
    root = Fraction(isqrt(abs(square.numerator)), isqrt(square.denominator))
    return root if root * root == square else None


# exact numbers and balls


def _exact_matrix(system: _System, count: int, random: Random, signed: bool) -> list[list[Any]]:
    """Return the Hankel matrix of as many pasts as futures at small integers; the columns go future by future."""
    import flint

    length = _longest(system, LONGEST_EXACT)
    constants = _exact_constants(system, random, signed)
    pasts, futures = (_exact_tokens(system, count, length, random, signed) for _ in range(2))
    alone = _exact_outputs(system, constants, futures)
    after = iter(_exact_outputs(system, constants, _joined(pasts, futures)))
    with flint.ctx.workprec(PRECISION):
        return [[next(after) - x for x in alone] for _ in range(count)]


def _exact_constants(system: _System, random: Random, signed: bool) -> dict[str, Any]:
    """Return small exact values, not 0 where the facts allow it, of the tensors that no token brings."""
    found = sample(system.structured, system.sizes, random)
    for name, symbol in system.constants.items():
        values = _integers(SMALL, signed and not symbol.positive)
        array = np.empty(shape_of(symbol, system.sizes), dtype=object)
        array.flat = random.choices(values, k=array.size)
        found[name] = symmetrised(symbol, array)
    return found


def _exact_tokens(system: _System, count: int, length: int, random: Random, signed: bool) -> _Sequences:
    """Return sequences of small integers; no two tokens have an entry in common."""
    total = count * length
    arrays = {}
    for name, (symbol, place) in system.tokens.items():
        array = np.empty(shape_of(symbol, system.sizes_at(total)), dtype=object)
        by_time = np.moveaxis(array, place, 0)  # a view
        values = _integers(total, signed and not symbol.positive)
        for position in np.ndindex(*by_time.shape[1:]):
            by_time[(slice(None), *position)] = random.sample(values, total)
        arrays[name] = symmetrised(symbol, array)
    return _cut(system, arrays, count, length)


def _integers(count: int, signed: bool) -> list[int]:
    """Return the smallest integers other than 0, at least as many as are asked for."""
    return [k for k in range(-(count // 2) - 1, count // 2 + 2) if k] if signed else list(range(1, count + 1))


def _exact_outputs(system: _System, constants: Mapping[str, Any], sequences: _Sequences) -> list[Any]:
    """Return the outputs at the last token, sequence by sequence."""
    sizes = system.sizes_at(sequences.length)
    found = []
    for k in range(sequences.count):
        arrays = dict(constants)
        for name, (_, place) in system.tokens.items():
            arrays[name] = np.moveaxis(sequences.arrays[name][k], 0, place)
        for definition, place in system.outputs:
            needed = {name: sizes[name] for name in all_dimensions(definition)}
            used = {name: arrays[name] for name in set(definition.tensors)}
            irrational = any(isinstance(n, Apply) and n.function in IRRATIONAL for n in distinct_nodes(definition))
            values = evaluate(definition, needed, used, precision=PRECISION if irrational else None)
            found += np.moveaxis(values, place, -1)[..., -1:].ravel().tolist()
    return found
