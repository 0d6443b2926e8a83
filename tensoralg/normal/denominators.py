"""Denominators against the sums they name: ``sum(t: Z[t]/Z[t] * x[t])`` is ``sum(t: x[t])``.

A denominator that mentions only open variables of a whole claim is cleared (`tensoralg.normal.functions`).  One under
a sum, or inside a function, cannot be.  There monomials are compared with the instances of ``q * (Z * (1/Z) - 1)``
in which they may occur, as a difference is with instances of hypotheses (`tensoralg.normal.combination`): q is a
monomial without 1/Z and without one of the monomials of Z, whose bound variables must occur nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice, permutations
from typing import Any

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.normal.combination import combination, subtract
from tensoralg.normal.order import masked
from tensoralg.normal.parts import Parts
from tensoralg.normal.terms import WAITING, Atom, Form, Known, Term, collected, scaled, variables

LARGEST_FORM, MOST_INSTANCES, MOST_ASSIGNMENTS, ROUNDS = 60, 60, 24, 2
WORK = 12_000  # terms


class Denominators(Parts):
    """Cancels denominators that cannot be cleared."""

    def collect(self, terms: Sequence[Term], known: Known | None) -> dict[Any, Any]:
        """Return the monomials of a sum with their coefficients (`tensoralg.normal.form`)."""
        raise NotImplementedError

    def cancelled(self, form: Form, known: Known | None) -> Form:
        """Return a form with denominators cancelled.

        Inside a function an instance is subtracted if all of ``q * Z * (1/Z)`` is there; a whole difference is left
        alone unless all of it vanishes, because there every step is noted for the certificate.
        """
        if self.plain or len(form) > LARGEST_FORM or not _under_sums(form, known):
            return form
        left, self.budget, self.plain = self.budget, WORK, True
        try:
            return self._vanishing(form) if known is None else self._simpler(form, known)
        except (Undecided, BudgetExceeded):
            return form
        finally:
            self.budget, self.plain = left, False

    def _simpler(self, form: Form, known: Known) -> Form:
        table = dict(form)
        for mono, _ in form:
            for term, atom in self._contexts(mono, known) if mono in table else ():
                instance = dict(self.normal(_instance(term, atom, 1), known))
                top = max(map(reciprocals, instance), default=0)
                whole = {m: c for m, c in instance.items() if reciprocals(m) == top}
                ratios = {table.get(m, 0) / c for m, c in whole.items()}
                if top and len(ratios) == 1:  # all of q * Z * (1/Z) is there
                    subtract(table, instance, ratios.pop())
        return collected(table)

    def _vanishing(self, form: Form) -> Form:
        instances: dict[Form, tuple[Term, Atom]] = {}
        seen: set[Any] = set()
        frontier = [mono for mono, _ in form]
        for _ in range(ROUNDS):
            seen.update(frontier)
            reached: dict[Any, None] = {}
            for term, atom in [found for mono in frontier for found in self._contexts(mono, None)]:
                instance = self.normal(_instance(term, atom, 1))
                if instance and instance not in instances and len(instances) < MOST_INSTANCES:
                    instances[instance] = (term, atom)
                    reached.update(dict.fromkeys(mono for mono, _ in instance))
            shares = combination(form, list(instances))
            if shares:
                table, contexts = dict(form), list(instances.values())
                for k, c in shares.items():
                    for mono, value in self.collect(_instance(*contexts[k], -c), None).items():
                        table[mono] = table.get(mono, 0) + value
                return collected(table)
            frontier = [mono for mono in reached if mono not in seen]
        return form

    def _contexts(self, mono: Any, known: Known | None) -> Iterator[tuple[Term, Atom]]:
        """Yield the monomials q, and the 1/Z, such that a monomial may occur in ``q * Z * (1/Z)``."""
        term = self.thaw(mono)
        term.chains = {**{s: tuple((v,) for v in vs) for s, vs in (known or {}).items()}, **term.chains}
        for denominator in _not_cleared(term.powers, term.bound, known):
            for part, _ in denominator[2]:
                for found in self._without(term, denominator, part):
                    yield masked(found), denominator

    def _without(self, term: Term, denominator: Atom, part: Any) -> Iterator[Term]:
        """Yield a term divided by 1/Z and by a monomial of Z, for every choice of the bound variables of that."""
        spaces = [space for _, space in part[1]]
        taken = set(variables(denominator))
        free = [v for v in term.bound if v not in taken]
        for chosen in islice(permutations(free, len(spaces)), MOST_ASSIGNMENTS):
            if [term.bound[v] for v in chosen] == spaces:
                found = self._divided(term.copy().times(denominator, -1), part, chosen)
                if found is not None:
                    yield found

    def _divided(self, term: Term, part: Any, chosen: Sequence[Any]) -> Term | None:
        """Return a term without the factors of a monomial and the variables chosen as its bound ones, if it can be."""
        names = dict(zip((v for v, _ in part[1]), chosen, strict=True))
        _, powers = self.renamed(dict(part[0]), names)
        rank = {v: k for blocks in term.chains.values() for k, block in enumerate(blocks) for v in block}
        for _, blocks in part[2]:
            places = [rank.get(names.get(block[0], block[0]), -1) for block in blocks]
            if places != sorted(set(places)):
                return None
        inside = dict(next((a[1] for a in term.powers if a[0] == "E"), ()))
        for atom, power in powers.items():
            if atom[0] != "E":
                if term.powers.get(atom, 0) < power:
                    return None
                term.times(atom, -power)
                continue
            for mono, c in self.normal(self.opened_form(atom[1]), term.reps()):
                if not names and not 0 < c / inside.get(mono, -c) <= 1:  # exponentials divide everything
                    return None
            term.times(("E", scaled(atom[1], -1)), power)
        form = self.exponent(term)
        term = term.without(*(a for a in term.powers if a[0] == "E"))
        term = term.times(("E", form)) if form else term
        for v in chosen:
            reduced = self._without_variable(term, v)
            if reduced is None:
                return None
            term = reduced
        return term

    def _without_variable(self, term: Term, v: Any) -> Term | None:
        """Return a term without a bound variable that only its order may mention; None if anything else does."""
        space = term.bound[v]
        if any(v in block for block in term.chains.get(space, ())):
            form = self.lighter(term, space, v)
            if form is None:
                return None
            term = term.without(*(a for a in term.powers if a[0] == "E"))
            term = term.times(("E", form)) if form else term
            term.chains[space] = tuple(block for block in term.chains[space] if v not in block)
        if any(v in variables(atom) for atom in term.powers):
            return None
        del term.bound[v]
        return term


def _instance(term: Term, atom: Atom, factor: Any) -> list[Term]:
    """Return ``term * (Z * (1/Z) - 1)``: in the first part reciprocals wait until Z is multiplied out."""
    waiting = term.powers.get(atom, 0)
    opened = term.copy(factor).times(atom, -1 - waiting).times(("f", WAITING, atom[2]), 1 + waiting)
    return [opened, term.copy(-factor)]


def reciprocals(mono: Any) -> int:
    """Return the total power of the denominators of a monomial."""
    return sum(int(power) for atom, power in mono[0] if atom[:2] == ("f", "1/"))


def _under_sums(form: Form, known: Known | None) -> bool:
    """Whether a form has denominators that are not cleared: under sums, or inside functions."""
    return any(_not_cleared((a for a, _ in mono[0]), {v for v, _ in mono[1]}, known) for mono, _ in form)


def _not_cleared(atoms: Iterable[Atom], bound: Collection[Any], known: Known | None) -> list[Atom]:
    return [a for a in atoms if a[:2] == ("f", "1/") and (known is not None or any(v in bound for v in variables(a)))]
