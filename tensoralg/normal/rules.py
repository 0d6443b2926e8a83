"""Hypotheses and declared facts as rewriting rules on subnetworks (design 3.5).

An equation is oriented by an order on monomials: its largest monomial is the pattern, the rest what it becomes.
Soundness does not rest on the order or on the matching (`tensoralg.normal.matching`): a match is a context, and what
is added is ``sum(context * (lhs - rhs))``, which is zero whatever the context.  A rule that follows from several
equations knows its own derivation, so that its application is a list of uses of the equations as they were given.

*Termination.*  A rule whose results have fewer factors than its pattern can be applied freely.  Any other (``A B =
B A``) is applied only where it leads to monomials that did not occur on the way; what such rules with one result
make of a monomial, in both directions, is its orbit, of which the least is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.matching import Matching
from tensoralg.normal.terms import Term, leaves, moved, renamed_atom, variables

MOST_STEPS = 2_000  # rewritings of one term
LARGEST_ORBIT = 40


@dataclass(frozen=True)
class Equation:
    """``lhs = rhs`` for all values of the indices in `scope`.

    `name` is how a certificate calls it, `title` how a message does.
    """

    name: tuple[Any, ...]
    scope: tuple[tuple[str, Any], ...]
    lhs: Any
    rhs: Any
    title: str = ""

    def __str__(self) -> str:
        return self.title or " ".join(map(str, self.name))


@dataclass(frozen=True)
class Use:
    """An equation at work: the values of its free indices, and what the difference of its sides is times."""

    equation: Equation
    values: tuple[Any, ...]
    context: Term


@dataclass(frozen=True)
class Rule:
    """An oriented equation, given or derived.

    Attributes
    ----------
    pattern : Term
        With coefficient 1.
    result : tuple of Term
        What it becomes, over the same open variables.
    members : tuple of Use
        ``pattern - result`` is the sum of ``context * (lhs - rhs)`` over them.
    descends : bool
        Whether every result has fewer factors than the pattern.
    """

    pattern: Term
    result: tuple[Term, ...]
    members: tuple[Use, ...]
    descends: bool


@dataclass(eq=False)
class Theory:
    """The equations of a claim and the rules that follow; the rules are made once, by the first normaliser.

    Attributes
    ----------
    equations : tuple of Equation
    rules : list of Rule
    turns : list of Rule
        The rules that lead from one monomial to one other as large, in both directions.
    idle : list of Equation
        Those that could not be made into rules.
    contradiction : tuple of Equation
        Equations from which ``1 = 0`` follows, or an equation between sizes, which is then `relation`.
    relation : tuple of (monomial, coefficient)
    spaces : dict
        The spaces of the variables of the rules.
    """

    equations: tuple[Equation, ...]
    rules: list[Rule] = field(default_factory=list)
    turns: list[Rule] = field(default_factory=list)
    idle: list[Equation] = field(default_factory=list)
    contradiction: tuple[Equation, ...] = ()
    relation: tuple[Any, ...] = ()
    spaces: dict[Any, str] = field(default_factory=dict)
    made: bool = False


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


class Rewriting(Matching):
    """Rewriting of terms by rules."""

    def __init__(self, *args: Any, equations: Theory | Sequence[Equation] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.theory = equations if isinstance(equations, Theory) else Theory(tuple(equations))
        self.journal: list[Use] | None = None
        self.plain = False  # whether rules rest
        if not self.theory.made:
            self.theory.made = True
            self.make_rules()
        self.space_of.update(self.theory.spaces)

    def eliminate(self, term: Term) -> list[Term]:
        """Return a term without deltas of bound variables (`tensoralg.normal.form`)."""
        raise NotImplementedError

    def make_rules(self) -> None:
        """Make the equations into rules (`tensoralg.normal.completion`)."""
        raise NotImplementedError

    def note(self, use: Use) -> None:
        """Record a use of an equation (`tensoralg.normal.form`)."""

    def _note_all(self, uses: Iterable[Use]) -> None:
        for use in uses:
            if self.journal is not None:
                self.journal.append(use)
            else:
                self.note(use)

    def journaled(self, terms: Sequence[Term]) -> tuple[list[Term], list[Use]]:
        """Return terms after all rewriting, and the uses that make up the difference."""
        outer, self.journal = self.journal, []
        try:
            done = [new for term in terms for new in self.rewritten(term.copy())]
            return done, self.journal
        finally:
            self.journal = outer

    def rewritten(self, term: Term) -> list[Term]:
        """Return a term after all rewriting by rules, deltas eliminated.

        Raises
        ------
        BudgetExceeded
            If it comes to no end; the message names the hypothesis.
        """
        if self.plain or not self.theory.rules:
            return [term]
        done: list[Term] = []
        work: list[tuple[Term, frozenset[Any]]] = [(term, frozenset())]
        steps = 0
        while work:
            current, seen = work.pop()
            found = self._step(current, seen)
            if found is None:
                least = self._turned(current)
                found = least if isinstance(least, tuple) else None
                if found is None:
                    done.append(least if isinstance(least, Term) else current)
                    continue
            steps += 1
            pieces, seen, rule = found
            if steps > MOST_STEPS:
                raise BudgetExceeded(
                    f"rewriting by the hypothesis {rule.members[0].equation} comes to no end",
                    remedy="state it in the other direction, or use it in the claim itself",
                )
            work += [(piece, seen) for piece in pieces]
        return done

    def _step(self, term: Term, seen: frozenset[Any]) -> tuple[list[Term], frozenset[Any], Rule] | None:
        """Return a term after one rewriting, with the monomials on the way; None if no rule applies."""
        here: Any = None
        for rule in self.theory.rules:
            for to, rest in self.matches(rule.pattern, term):
                self.spend()
                uses, pieces = self.applied(rule, to, rest)
                if rule.descends:
                    self._note_all(uses)
                    return pieces, frozenset(), rule
                here = seen | {unsized(self.canonical(term)[0])} if here is None else here
                if here.isdisjoint(unsized(self.canonical(piece)[0]) for piece in pieces):
                    self._note_all(uses)
                    return pieces, here, rule
        return None

    def _turned(self, term: Term) -> tuple[list[Term], frozenset[Any], Rule] | Term | None:
        """Return the least monomial of an orbit (None if it is this), or as `_step` one to which a rule applies.

        A monomial that is a multiple of itself is zero.
        """
        if not self.theory.turns or self.journal is not None:
            # overlaps are to become rules also where the orbits of both ways meet
            return None
        start, sign = self.canonical(term)
        if not sign:
            return None
        orbit: dict[Any, tuple[Term, Any, list[Use]]] = {start: (term, sign * term.coefficient, [])}
        reached = {unsized(start)}
        queue = deque([start])
        while queue and len(orbit) < LARGEST_ORBIT:
            current, _, path = orbit[queue.popleft()]
            for rule in self.theory.turns:
                for to, rest in self.matches(rule.pattern, current):
                    self.spend()
                    uses, pieces = self.applied(rule, to, rest)
                    if len(pieces) > 1:
                        continue
                    way = path + uses
                    mono, sign = self.canonical(pieces[0]) if pieces else (None, 0)
                    if not sign:
                        self._note_all(way)
                        return [], frozenset(), rule
                    found = sign * pieces[0].coefficient
                    if unsized(mono) not in reached:
                        reached.add(unsized(mono))
                        orbit[mono] = (pieces[0], found, way)
                        queue.append(mono)
                        if any(r.descends and any(self.matches(r.pattern, pieces[0])) for r in self.theory.rules):
                            self._note_all(way)
                            return pieces, frozenset(), rule
                    elif mono in orbit and orbit[mono][1] != found:
                        _, other, before = orbit[mono]
                        # term = other * m + before = found * m + way, so m = (way - before) / (other - found)
                        c = other / (other - found)
                        self._note_all([*scaled_uses(before, 1 - c), *scaled_uses(way, c)])
                        return [], frozenset(), rule
        least = min(orbit, key=weight)
        if least == start:
            return None
        self._note_all(orbit[least][2])
        return orbit[least][0]

    def applied(self, rule: Rule, to: Mapping[Any, Any], rest: Term) -> tuple[list[Use], list[Term]]:
        """Return what ``rest * pattern`` becomes under a rule, and the uses that make up the difference."""
        uses = []
        for member in rule.members:
            context, names = self.placed(member.context, to, rest)
            uses.append(Use(member.equation, tuple(moved(v, names) for v in member.values), context))
        pieces = [self.placed(piece, to, rest)[0] for piece in rule.result]
        return uses, [flat for piece in pieces for flat in self.eliminate(piece)]

    def placed(self, piece: Term, to: Mapping[Any, Any], rest: Term) -> tuple[Term, dict[Any, Any]]:
        """Return a part of a rule under a renaming, times a term; bound variables become fresh ones."""
        names = dict(to)
        result = rest.copy(piece.coefficient)
        for v, space in piece.bound.items():
            names[v] = self.fresh(space)
            result.bound[names[v]] = space
        for atom, power in piece.powers.items():
            if atom[0] in ("E", "f"):
                raise Undecided("a rule over normalised functions", remedy="restate the hypothesis")
            image = renamed_atom(atom, names)
            if image[0] != "d" or image[1] != image[2]:
                result.times(image, power)
        return result, names


def scaled_uses(uses: Iterable[Use], factor: Any) -> list[Use]:
    """Return uses times a number."""
    return [replace(use, context=use.context.copy(factor)) for use in uses]


def factor_count(mono: Any) -> Any:
    """Return how many factors a monomial has, apart from sizes, deltas and reciprocals."""
    return sum(max(power, 0) for atom, power in mono[0] if atom[0] not in "spdn")


def weight(mono: Any) -> Any:
    """Return the place of a monomial in the order by which equations are oriented."""
    return factor_count(mono), len(mono[1]), repr(mono)


def unsized(mono: Any) -> Any:
    """Return a monomial without sizes and positions, of which rules can make any number of powers."""
    return tuple(factor for factor in mono[0] if factor[0][0] not in "sp"), *mono[1:]


def open_variables(terms: Iterable[Term]) -> Iterator[Any]:
    """Yield the open variables of terms, with repetition."""
    for term in terms:
        yield from (v for atom in term.powers for v in variables(atom) if v not in term.bound)


def use_variables(uses: Iterable[Use]) -> Iterator[Any]:
    """Yield the open variables of uses, with repetition."""
    for use in uses:
        yield from open_variables([use.context])
        yield from (v for value in use.values for v in leaves(value) if v not in use.context.bound)
