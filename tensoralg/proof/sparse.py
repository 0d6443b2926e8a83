"""Witnesses for networks that are too large to be evaluated densely: a few entries, at large sizes.

Give every index of a product M a basis vector of its own, and set to 1 the entries that M then names (and
their images under declared symmetries), to 0 all others.  At this point M counts the maps of the network
into itself that respect tensors, legs and symmetries, so it is at least 1 unless signs cancel; a product N
counts those of its own network into that of M, often none (L. Lovasz, *Operations with structures*, Acta
Math. Acad. Sci. Hung. 18 (1967), counts homomorphisms in this way).  Both sides are then evaluated as
joins of the tables of entries: exact, and by code that shares nothing with `tensoralg.normal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

import sympy

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.nodes import Definition
from tensoralg.proof.joins import Contraction, Factor, Row, Table, Work, picker
from tensoralg.proof.networks import MOST_ENTRIES, Expansion, Network, extent, generic, orbit, symmetries
from tensoralg.proof.verdict import Counterexample
from tensoralg.spaces import Space

if TYPE_CHECKING:
    from tensoralg.proof.refute import Claim

LARGEST_RELATION = 250_000
MOST_DENSE, LARGEST_DENSE = 12, 1_000
# the plain witness; entries that tell a power from its base, and sizes that tell n from 1; the order turned round
STYLES = ((1, 0, False), (5, 1, False), (5, 1, True))
QUICK = 100  # rows for each factor, where a complex witness can still be found quickly
BUDGETS = (60_000, 500_000)  # rows, for all witnesses that are tried together


# evaluation


@dataclass(frozen=True)
class SparseTensor:
    """A tensor by its nonzero entries, position to value."""

    shape: tuple[int, ...]
    entries: Mapping[Row, int | Fraction]


class Evaluator:
    """Evaluates networks at sparse tensors; the tables of a tensor are shared by its factors."""

    def __init__(self, sizes: Mapping[str, int], tensors: Mapping[str, SparseTensor], work: Work) -> None:
        self.sizes, self.tensors, self.work = sizes, tensors, work
        self._tables: dict[tuple[str, tuple[int, ...], int], Table] = {}
        self._values: dict[tuple[Any, ...], Any] = {}

    def side(self, side: Definition, at: Mapping[str, int]) -> int | Fraction:
        """Return the value of a side at positions of its free indices."""
        expansion = Expansion(side)
        networks = expansion.networks()
        pinned = {variable: at[name] for name, variable in expansion.free.items()}
        total = sum((self.network(n, expansion.spaces, pinned) for n in networks), start=Fraction(0))
        return total.numerator if total.denominator == 1 else total

    def network(self, network: Network, spaces: Sequence[Space], pinned: Mapping[int, int]) -> Fraction:
        """Return the value of one network."""
        extents = {v: extent(spaces[v], self.sizes) for v in (*network.variables, *pinned)}
        total = network.coefficient * prod(self.sizes[name] for name in network.sizes)
        factors = [self._factor(name, places, extents) for name, places in network.factors]
        used = {v for _, variables in factors for v in variables}
        total *= prod(extents[v] for v in network.variables if v not in used)
        for part in _components(factors, [name for name, _ in network.factors]):
            total *= Fraction(self._part(part, pinned))
            if not total:
                break
        return total

    def _part(self, factors: list[Factor], pinned: Mapping[int, int]) -> Any:
        """Return the value of a connected network; parts that are equal up to renaming are evaluated once."""
        number: dict[int, int] = {}
        for _, variables in factors:
            for v in variables:
                number.setdefault(v, len(number))
        where = tuple((number[v], at) for v, at in pinned.items() if v in number)
        key = (where, *((id(table), *(number[v] for v in variables)) for table, variables in factors))
        if key not in self._values:  # the tables live as long as this evaluator, so an id is one table
            self._values[key] = Contraction(factors, pinned, self.work).value()
        return self._values[key]

    def _factor(self, name: str, places: tuple[int, ...], extents: Mapping[int, int]) -> Factor:
        distinct = tuple(dict.fromkeys(places))
        pattern = tuple(distinct.index(v) for v in places)
        size = 0 if name in self.tensors else extents[places[0]]
        key = (name, pattern, size)
        if key not in self._tables:
            entries = self.tensors[name].entries if name in self.tensors else self._relation(name, size)
            first = [pattern.index(k) for k in range(len(distinct))]
            take = picker(first)
            rows = [
                (take(row), value)
                for row, value in entries.items()
                if value and all(row[first[k]] == x for k, x in zip(pattern, row, strict=True))
            ]
            self.work.spend(len(entries))
            self._tables[key] = Table(rows, len(distinct))
        return self._tables[key], distinct

    def _relation(self, sign: str, size: int) -> dict[Row, int]:
        if sign == "=":
            return {(k, k): 1 for k in range(size)}
        if size * size > LARGEST_RELATION:
            raise BudgetExceeded(f"an order relation over {size} basis vectors is too large", remedy="smaller sizes")
        return {(j, k): 1 for k in range(size) for j in range(k + (sign == "<="))}


def _components(factors: Sequence[Factor], names: Sequence[str]) -> list[list[Factor]]:
    """Return the connected parts of a network; within one, the factors stand by the names of their tensors."""
    holders: dict[int, list[int]] = {}
    for k, (_, variables) in enumerate(factors):
        for v in variables:
            holders.setdefault(v, []).append(k)
    parts, seen = [], set[int]()
    for k in range(len(factors)):
        if k in seen:
            continue
        seen.add(k)
        part = [k]
        for one in part:
            for v in factors[one][1]:
                for other in holders.pop(v, ()):
                    if other not in seen:
                        seen.add(other)
                        part.append(other)
        parts.append([factors[one] for one in sorted(part, key=lambda one: (names[one], one))])
    return parts


# witnesses


def sparse_search(claim: Claim, budgets: Sequence[int] = BUDGETS) -> Counterexample | None:
    """Return a sparse witness against a claim about large networks, confirmed exactly; None if none is found.

    Its `tensors` are ``{"shape": [...], "entries": [[[position, ...], value], ...]}`` for each name, all other
    entries being 0.  The work is bounded by budgets of rows, tried in turn, and so the answer does not depend on the
    machine.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.proof.prove import state
    >>> left, right = (ta.parse(text, {"i,j,k": "n"}, free=()) for text in ("A[i,j]*A[j,k]", "A[i,j]*A[k,j]"))
    >>> witness = sparse_search(state(left, right, [], None).claim)
    >>> witness.sizes, witness.tensors["A"]["entries"], witness.lhs, witness.rhs
    ({'n': 3}, [[[0, 1], 1], [[1, 2], 1]], 1, 2)
    """
    if claim.defined or claim.hypotheses or not all(map(generic, claim.tensors.values())):
        return None
    try:
        sources = [(e, n) for side in (claim.left, claim.right) for e in [Expansion(side)] for n in e.networks()]
        for budget in budgets:
            work = Work(budget)
            for style in STYLES:
                for expansion, network in sources:
                    found = _witness(claim, expansion, network, style, work)
                    if found is not None:
                        return found
    except (BudgetExceeded, Undecided):
        return None
    return None


def _witness(
    claim: Claim, expansion: Expansion, network: Network, style: tuple[int, int, bool], work: Work
) -> Counterexample | None:
    """Return the counterexample that a network suggests, if both sides can be evaluated there and differ."""
    heights, spare, turned = style
    numbers = _numbering(expansion, network, turned)
    if numbers is None:
        return None
    sizes = _sizes(claim, expansion.spaces, numbers, spare)
    if sizes is None:
        return None
    tensors = _support(claim, network, numbers, sizes, heights)
    at = {name: numbers[variable] for name, variable in expansion.free.items()}
    share = Work(max(1, (work.limit - work.done) // 2))
    try:
        left, right = (Evaluator(sizes, tensors, share).side(side, at) for side in (claim.left, claim.right))
    except BudgetExceeded:
        return None
    finally:
        work.done += share.done
    if left == right:
        return None
    plain = {
        name: {"shape": list(t.shape), "entries": [[list(row), value] for row, value in sorted(t.entries.items())]}
        for name, t in tensors.items()
    }
    return Counterexample(sizes, plain, at, left, right)


def _numbering(expansion: Expansion, network: Network, turned: bool) -> dict[int, int] | None:
    """Return a basis vector for each variable: one for variables that a delta joins, in an order that masks allow."""
    merged: dict[int, int] = {}

    def root(variable: int) -> int:
        while variable in merged:
            variable = merged[variable]
        return variable

    for sign, places in network.factors:
        if sign == "=" and root(places[0]) != root(places[1]):
            merged[root(places[1])] = root(places[0])
    used = dict.fromkeys(root(v) for _, places in network.factors for v in places)
    used.update(dict.fromkeys(root(v) for v in expansion.free.values()))
    before: dict[int, set[int]] = {v: set() for v in used}
    for sign, places in network.factors:
        low, high = (root(v) for v in places) if sign in ("<", "<=") else (0, 0)
        if sign == "<" and low == high:
            return None  # the product is zero
        if low != high:
            before[high].add(low)
    counts: Counter[str] = Counter()
    numbers: dict[int, int] = {}
    waiting = list(reversed(used)) if turned else list(used)
    while waiting:
        ready = [v for v in waiting if before[v] <= numbers.keys()]
        if not ready:
            return None  # a cycle of masks: the vectors would have to coincide
        for variable in ready:
            name = expansion.spaces[variable].name
            numbers[variable] = counts[name]
            counts[name] += 1
        waiting = [v for v in waiting if v not in numbers]
    return {v: numbers[root(v)] for v in (*used, *merged)}


def _sizes(claim: Claim, spaces: Sequence[Space], numbers: Mapping[int, int], spare: int) -> dict[str, int] | None:
    sizes = {name: claim.fixed.get(name, 1 + spare) for name in claim.dimensions}
    for variable, number in numbers.items():
        dimension = spaces[variable].dimension
        if isinstance(dimension, sympy.Symbol) and dimension.name not in claim.fixed:
            sizes[dimension.name] = max(sizes[dimension.name], number + 1 + spare)
        elif number >= extent(spaces[variable], sizes):
            return None
    return sizes


def _support(
    claim: Claim, network: Network, numbers: Mapping[int, int], sizes: Mapping[str, int], heights: int
) -> dict[str, SparseTensor]:
    """Return tensors whose nonzero entries are those that a network names, and their images under symmetries."""
    entries: dict[str, dict[Row, int]] = {name: {} for name in claim.tensors}
    moves = {name: symmetries(symbol) for name, symbol in claim.tensors.items()}
    total = 0
    for count, (name, places) in enumerate(network.factors):
        if name in entries:
            images = orbit(tuple(numbers[v] for v in places), moves[name])
            total += len(images)
            if total > MOST_ENTRIES:
                raise BudgetExceeded(f"a witness has more than {MOST_ENTRIES} entries", remedy="split the claim")
            if not images.keys() & entries[name].keys():
                # distinct heights tell a power from its base, which counting maps cannot
                entries[name].update(
                    {row: sign * (1 + (count + heights // 2) % heights) for row, sign in images.items()}
                )
    made = {}
    for name, symbol in claim.tensors.items():
        legs = [leg for leg in symbol.legs if isinstance(leg, Space)]
        if len(legs) < len(symbol.legs):
            raise Undecided(f"{symbol} has a leg over a composite space", remedy="split composite spaces first")
        made[name] = SparseTensor(tuple(extent(leg, sizes) for leg in legs), entries[name])
    return made


def densified(witness: Counterexample) -> Counterexample:
    """Return a witness with its tensors as nested lists, if they are few and small."""
    sizes = [prod(tensor["shape"]) for tensor in witness.tensors.values()]
    if len(sizes) > MOST_DENSE or max(sizes, default=0) > LARGEST_DENSE or witness.basis != "orthonormal":
        return witness

    def nested(shape: list[int], entries: dict[tuple[int, ...], Any], at: tuple[int, ...] = ()) -> Any:
        if len(at) == len(shape):
            return entries.get(at, 0)
        return [nested(shape, entries, (*at, k)) for k in range(shape[len(at)])]

    tensors = {
        name: nested(tensor["shape"], {tuple(position): value for position, value in tensor["entries"]})
        for name, tensor in witness.tensors.items()
    }
    return replace(witness, tensors=tensors)
