"""Hypotheses and declared facts as rewriting rules on subnetworks (design 3.5).

An equation is oriented by a total order on monomials: its largest monomial is the pattern, the rest what it becomes.
A rule applies only where every bound index of its pattern is bound in the monomial and occurs in no factor, mask or
function outside the match: otherwise ``U[i,a] U[i,b] = delta[a,b]`` inside ``U[i,a] U[i,b] x[i]`` would be used,
which is wrong.  Boundary indices may coincide.  Soundness does not rest on the order or on the matching: a match is
a context, and what is added is ``sum(context * (lhs - rhs))``, which is zero whatever the context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.label import Labelling
from tensoralg.normal.terms import Atom, Term, atom_values, leaves, moved, renamed_atom, shape, variables


@dataclass(frozen=True)
class Equation:
    """``lhs = rhs`` for all values of the indices in `scope`; `name` is how a certificate calls it."""

    name: tuple[Any, ...]
    scope: tuple[tuple[str, Any], ...]
    lhs: Any
    rhs: Any


@dataclass(frozen=True)
class Rule:
    """An oriented equation: the pattern, and the terms that it becomes, over the same open variables."""

    equation: Equation
    values: tuple[Any, ...]
    scale: Any
    pattern: Term
    result: tuple[Term, ...]


@dataclass(frozen=True)
class Use:
    """A rule at work: the values of the free indices of its equation, and what the difference of its sides times is."""

    equation: Equation
    values: tuple[Any, ...]
    context: Term


def facts_of(tensors: Mapping[str, Tensor], legs: Mapping[str, tuple[Any, ...]]) -> list[tuple[str, Any]]:
    """Return what declared facts say as (tensor, (scope, lhs, rhs)); symmetry and signs are not among them."""
    found: list[tuple[str, Any]] = []
    for name, symbol in sorted(tensors.items()):
        if symbol.inverse_of and symbol.inverse_of not in tensors:
            symbol = replace(symbol, inverse_of=None)
        found += [(name, body) for body in fact_bodies(name, symbol, legs)]
    return found


def fact_bodies(name: str, symbol: Tensor, legs: Mapping[str, tuple[Any, ...]]) -> Iterator[Any]:
    """Yield (scope, lhs, rhs) for every equation that a tensor is declared to satisfy."""
    if symbol.isometry or symbol.permutation or symbol.projection or symbol.inverse_of:
        rows, columns = legs[name]
    if symbol.isometry:
        yield _gram(name, "first", rows, columns)
        if rows == columns:
            yield _gram(name, "second", columns, rows)
    if symbol.projection:
        body = ("sum", (("j", rows),), ("*", ("t", name, "i", "j"), ("t", name, "j", "k")))
        yield (("i", rows), ("k", rows)), body, ("t", name, "i", "k")
    if symbol.permutation:
        one = ("t", name, "i", "a")
        yield (("i", rows),), ("sum", (("a", columns),), one), 1
        yield (("a", columns),), ("sum", (("i", rows),), one), 1
        scope = (("i", rows), ("a", columns), ("b", columns))
        yield scope, ("*", one, ("t", name, "i", "b")), ("*", ("delta", "a", "b"), one)
        scope = (("i", rows), ("j", rows), ("a", columns))
        yield scope, ("*", one, ("t", name, "j", "a")), ("*", ("delta", "i", "j"), one)
    if symbol.inverse_of:
        for left, right, outer, inner in (
            (name, symbol.inverse_of, rows, columns),
            (symbol.inverse_of, name, columns, rows),
        ):
            body = ("sum", (("j", inner),), ("*", ("t", left, "i", "j"), ("t", right, "j", "k")))
            yield (("i", outer), ("k", outer)), body, ("delta", "i", "k")


def _gram(name: str, side: str, summed: Any, kept: Any) -> Any:
    one, two = (("i", "a"), ("i", "b")) if side == "first" else (("a", "i"), ("b", "i"))
    body = ("sum", (("i", summed),), ("*", ("t", name, *one), ("t", name, *two)))
    return (("a", kept), ("b", kept)), body, ("delta", "a", "b")


class Rewriting(Labelling):
    """Rewriting of terms by rules."""

    def __init__(self, *args: Any, equations: Sequence[Equation] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.rules: list[Rule] = []
        self.idle: list[Equation] = []
        self.contradiction: Equation | None = None
        for equation in equations:
            self._add(equation)

    def eliminate(self, term: Term) -> list[Term]:
        """Return a term without deltas of bound variables (`tensoralg.normal.form`)."""
        raise NotImplementedError

    def _add(self, equation: Equation) -> None:
        """Orient an equation; one whose sides are equal by the rules so far says nothing new."""
        prefix = ".".join(map(str, equation.name))  # variables of their own for every equation
        for values, _ in self.ranges([(f"?{prefix}.{name}", space) for name, space in equation.scope]):
            env = dict(zip((name for name, _ in equation.scope), values, strict=True))
            sides = self.expand(equation.lhs, env) + [t.copy(-1) for t in self.expand(equation.rhs, env)]
            flat = [done for t in sides for done in self.eliminate(t)]
            reduced = self._table([done for t in flat for done in self.rewritten(t.copy())])
            if not reduced:
                continue
            if all(atom[0] in "sp" for mono in reduced for atom, _ in mono[0]):
                self.contradiction = equation
            left = self._table(flat)
            largest = max(left, key=_weight)
            if any(atom[0] in "dnm" for atom, _ in largest[0]):
                self.idle.append(equation)
            else:
                scale = left.pop(largest)
                rest = tuple(self.thaw(mono, -c / scale) for mono, c in left.items())
                self.rules.append(Rule(equation, values, scale, self.thaw(largest), rest))

    def _table(self, terms: Sequence[Term]) -> dict[Any, Any]:
        """Return terms collected, their order not refined."""
        table: dict[Any, Any] = {}
        for term in terms:
            mono, sign = self.canonical(term)
            table[mono] = table.get(mono, 0) + sign * term.coefficient
        return {mono: c for mono, c in table.items() if c}

    def rewritten(self, term: Term) -> list[Term]:
        """Return a term after all rewriting by rules, deltas eliminated."""
        done, work = [], [term]
        while work:
            current = work.pop()
            found = self.rewrite(current)
            if found is None:
                done.append(current)
            else:
                work += [flat for piece in found for flat in self.eliminate(piece)]
        return done

    def rewrite(self, term: Term) -> list[Term] | None:
        """Return a term after one rewriting; None if no rule applies."""
        for rule in self.rules:
            for to, rest in self._matches(rule.pattern, term):
                self.spend()
                self.note(Use(rule.equation, tuple(moved(v, to) for v in rule.values), rest.copy(1 / rule.scale)))
                return [self._replaced(rest, piece, to) for piece in rule.result]
        return None

    def note(self, use: Use) -> None:
        """Record a use of a rule (`tensoralg.normal.form`)."""

    def _replaced(self, rest: Term, piece: Term, to: Mapping[Any, Any]) -> Term:
        fresh = {v: self.fresh(space) for v, space in piece.bound.items()}
        result = rest.copy(piece.coefficient)
        for atom, power in piece.powers.items():
            if atom[0] in ("E", "f"):
                raise Undecided("a rule over normalised functions", remedy="restate the hypothesis")
            image = renamed_atom(atom, {**to, **fresh})
            if image[0] == "d" and image[1] == image[2]:
                continue
            result.times(image, power)
        result.bound.update({fresh[v]: space for v, space in piece.bound.items()})
        return result

    # matching

    def _matches(self, pattern: Term, term: Term) -> Iterator[tuple[dict[Any, Any], Term]]:
        """Yield the ways in which a pattern occurs in a term: what its variables become, and the rest."""
        have = Counter(_label(a) for a in term.powers)
        if any(not have[_label(a)] for a in pattern.powers):
            return
        atoms = sorted(pattern.powers.items(), key=lambda item: have[_label(item[0])])
        for to, rest in self._extended(atoms, pattern, {}, term):
            images = [to[v] for v in pattern.bound]
            outside = {v for atom in rest.powers for v in variables(atom)}
            others = {to[v] for atom in pattern.powers for v in variables(atom) if v not in pattern.bound}
            glued = len(set(images)) == len(images) and all(v in term.bound for v in images)
            if glued and not (outside | others) & set(images):
                for v in images:
                    del rest.bound[v]
                yield to, rest

    def _extended(
        self, atoms: list[tuple[Atom, Any]], pattern: Term, to: dict[Any, Any], rest: Term
    ) -> Iterator[tuple[dict[Any, Any], Term]]:
        if not atoms:
            yield to, rest
            return
        (atom, power), *others = atoms
        for candidate, available in list(rest.powers.items()):
            if _label(candidate) != _label(atom) or not (isinstance(available, int) and 0 < power <= available):
                continue
            for values in self._arrangements(candidate):
                extended = self._unified(atom_values(atom), values, to)
                if extended is not None:
                    yield from self._extended(others, pattern, extended, rest.copy().times(candidate, -power))

    def _arrangements(self, atom: Atom) -> Iterator[tuple[Any, ...]]:
        """Yield the values of an atom in every order that its symmetry allows."""
        values = atom_values(atom)
        groups = self.setting.tensors[atom[1]].symmetric if atom[0] == "t" else ()
        for orders in product(*(permutations(group) for group in groups)):
            arranged = list(values)
            for group, order in zip(groups, orders, strict=True):
                for slot, source in zip(group, order, strict=True):
                    arranged[slot] = values[source]
            yield tuple(arranged)

    def _unified(self, pattern: Sequence[Any], values: Sequence[Any], to: dict[Any, Any]) -> dict[Any, Any] | None:
        result = dict(to)
        for left, right in zip(pattern, values, strict=True):
            if shape(left) != shape(right):
                return None
            for a, b in zip(_all_leaves(left), _all_leaves(right), strict=True):
                if result.setdefault(a, b) != b or self.atomic(a) != self.atomic(b):
                    return None
        return result


def _all_leaves(value: Any) -> list[Any]:
    """Return the variables of a value; of a basis vector, itself."""
    return [value] if isinstance(value, str) and value.startswith("#") else list(leaves(value))


def _label(atom: Atom) -> Any:
    """Return what two atoms have in common when one can become the other by renaming."""
    if atom[0] == "F":
        return (*atom[:3], tuple(name for name, _ in atom[3]))
    if atom[0] in ("s", "E", "f"):
        return atom
    return atom[: len(atom) - len(atom_values(atom))]


def _weight(mono: Any) -> Any:
    """Return the place of a monomial in the order by which equations are oriented."""
    factors, bound, _ = mono
    count = sum(abs(power) for atom, power in factors if atom[0] not in "sp")
    return count, len(bound), repr(mono)
