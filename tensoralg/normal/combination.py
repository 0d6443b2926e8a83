"""Differences as linear combinations of instances of the hypotheses, their order refined.

A rule is found in monomials before they are split into chains, so ``sum(s: P[t,s]) = 1`` is not seen in
``sum(s: le[s,t]*P[t,s]) + sum(s: lt[t,s]*P[t,s])``.  What is left of a difference is therefore compared with
``context * (lhs - rhs)``, split like everything else, for the contexts in which a monomial of a hypothesis occurs in
one of the difference; and one of those that come with it, a few times over.  If the difference is a combination of
these over the rationals, it vanishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.normal.completion import Completion, is_pattern
from tensoralg.normal.order import masked
from tensoralg.normal.rules import Equation, Use
from tensoralg.normal.terms import Form, Known, Term, collected, leaves, moved, renamed_atom, variables

LARGEST_DIFFERENCE, MOST_INSTANCES, ROUNDS = 40, 80, 3
WORK = 4_000  # terms


@dataclass(frozen=True)
class Shape:
    """A monomial of a hypothesis, to be searched for.

    Attributes
    ----------
    equation : Equation
    values : tuple
        Of the indices in its scope.
    pattern : Term
        The monomial without sizes and positions.
    measure : dict of atom to power
        Its sizes and positions, none of which vanishes.
    same : mapping
        Indices that coincide in it, to one of them.
    """

    equation: Equation
    values: tuple[Any, ...]
    pattern: Term
    measure: Mapping[Any, Any]
    same: Mapping[Any, Any]


class Combination(Completion):
    """Finds differences to be combinations of hypotheses."""

    def collect(self, terms: Sequence[Term], known: Known | None) -> dict[Any, Any]:
        """Return the monomials of a sum with their coefficients (`tensoralg.normal.form`)."""
        raise NotImplementedError

    def combined(self, form: Form) -> Form:
        """Return the difference between a form and the combination of hypotheses that it is; else the form."""
        if self.plain or not form or not self.theory.equations or len(form) > LARGEST_DIFFERENCE:
            return form
        left, self.budget, self.plain = self.budget, WORK, True
        try:
            uses = self._combination(form)
            table = dict(form)
            for use in uses:
                self.note(use)
                for mono, c in self.collect(self._instance(use, -1), None).items():
                    table[mono] = table.get(mono, 0) + c
            return collected(table)
        except (Undecided, BudgetExceeded):
            return form
        finally:
            self.budget, self.plain = left, False

    def _instance(self, use: Use, factor: int = 1) -> list[Term]:
        """Return ``context * (lhs - rhs)`` as terms."""
        env = dict(zip((name for name, _ in use.equation.scope), use.values, strict=True))
        sides = self.expand(use.equation.lhs, env) + [t.copy(-1) for t in self.expand(use.equation.rhs, env)]
        return self.product([[use.context.copy(factor)], sides])

    def _combination(self, form: Form) -> list[Use]:
        """Return uses whose instances add up to a form; none if there are none."""
        instances: dict[Form, Use] = {}
        seen: set[Any] = set()
        shapes = list(self._shapes())
        frontier = [mono for mono, _ in form]
        for _ in range(ROUNDS):
            seen.update(frontier)
            fresh = [found for mono in frontier for found in self._uses(mono, shapes)]
            reached: dict[Any, None] = {}
            for use in fresh:
                found = self.normal(self._instance(use))
                if found and found not in instances and len(instances) < MOST_INSTANCES:
                    instances[found] = use
                    reached.update(dict.fromkeys(mono for mono, _ in found))
            shares = combination(form, list(instances))
            if shares:
                uses = list(instances.values())
                return [
                    Use(uses[k].equation, uses[k].values, uses[k].context.copy(c)) for k, c in sorted(shares.items())
                ]
            frontier = [mono for mono in reached if mono not in seen]
        return []

    def _shapes(self) -> Iterator[Shape]:
        """Yield what can be searched for: the monomials of the hypotheses, each of a kind once."""
        for equation in self.theory.equations:
            prefix = ".".join(map(str, equation.name))
            for values, _ in self.ranges([(f"?{prefix}.{name}", space) for name, space in equation.scope]):
                free = list(dict.fromkeys(v for value in values for v in leaves(value)))
                outer = self.opened
                self.opened = {s: tuple(v for v in free if self.space_of[v] == s) for s in self.setting.refined}
                try:
                    form = self.normal(self._instance(Use(equation, values, Term())))
                finally:
                    self.opened = outer
                known = set()
                for mono, _ in form:
                    whole = self.thaw(mono)
                    measure = {atom: power for atom, power in whole.powers.items() if atom[0] in "sp"}
                    pattern = Term(powers=whole.without(*measure).powers, bound=whole.bound)
                    same = {v: b[0] for blocks in whole.chains.values() for b in blocks for v in b[1:]}
                    kind = self.canonical(Term(powers=whole.powers, bound=whole.bound))[0], tuple(sorted(same.items()))
                    if is_pattern((tuple(pattern.powers.items()), (), ())) and kind not in known:
                        known.add(kind)
                        yield Shape(equation, values, pattern, measure, same)

    def _uses(self, mono: Any, shapes: Sequence[Shape]) -> Iterator[Use]:
        """Yield the instances of hypotheses in which a monomial may occur."""
        term = self.thaw(mono)
        plain = Term(powers=term.powers, bound=term.bound)
        for found in shapes:
            for to, rest in self.matches(found.pattern, plain):
                gone = {to[v] for v in found.pattern.bound}
                rest.chains = {s: tuple(b for b in blocks if b[0] not in gone) for s, blocks in term.chains.items()}
                names = {**to, **{v: to[w] for v, w in found.same.items() if w in to}}
                for atom, power in found.measure.items():
                    rest.times(renamed_atom(atom, names), -power)
                dangling = any(v in gone for atom in rest.powers for v in variables(atom))
                if not dangling and all(v in names for value in found.values for v in leaves(value)):
                    yield Use(found.equation, tuple(moved(v, names) for v in found.values), masked(rest))


def combination(target: Form, vectors: Sequence[Form]) -> dict[int, Any]:
    """Return how a form is a combination of others, as coefficients by position; empty if it is none.

    Examples
    --------
    >>> one, two = (("x", 1), ("y", 1)), (("y", 2),)
    >>> combination((("x", 3),), [one, two])
    {0: Fraction(3, 1), 1: Fraction(-3, 2)}
    """
    basis: list[tuple[Any, dict[Any, Any], dict[int, Any]]] = []

    def reduced(vector: dict[Any, Any], shares: dict[int, Any]) -> None:
        for pivot, row, origin in basis:
            if factor := vector.get(pivot):
                subtract(vector, row, factor)
                subtract(shares, origin, factor)

    for k, form in enumerate(vectors):
        vector, shares = dict(form), {k: Fraction(1)}
        reduced(vector, shares)
        if vector:
            pivot, lead = next(iter(vector.items()))
            scale = 1 / Fraction(lead)
            basis.append((pivot, {m: c * scale for m, c in vector.items()}, {j: c * scale for j, c in shares.items()}))
    rest, shares = dict(target), {}
    reduced(rest, shares)
    return {} if rest else {k: -c for k, c in sorted(shares.items())}


def subtract(vector: dict[Any, Any], other: Mapping[Any, Any], factor: Any) -> None:
    """Subtract a multiple of a sparse vector from one, in place."""
    for key, value in other.items():
        total = vector.pop(key, 0) - factor * value
        if total:
            vector[key] = total
