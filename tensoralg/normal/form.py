"""Normal forms: sums of canonical monomials with rational coefficients.

The steps are those of docs/decision.md: expand, eliminate deltas, refine ordered indices into strict chains,
normalise functions and denominators under the order that a chain fixes, label, collect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.normal.denominators import Denominators
from tensoralg.normal.order import masked
from tensoralg.normal.terms import Atom, Form, Known, Term, collected, renamed_atom, scaled, variables

HIDDEN = "d"  # an open delta that a renaming must not touch: ("F", "d", delta, ())


class Normaliser(Denominators):
    """Normal forms over the spaces and tensors of one claim."""

    def normal(self, terms: Sequence[Term], known: Known | None = None) -> Form:
        """Return the normal form of a sum of terms.

        Parameters
        ----------
        terms : sequence of Term
            As `expand` returns them.
        known : mapping of str to tuple, optional
            For a term inside a function: its open ordered variables, in their order.  None at the outermost
            level, where free ordered variables are arranged in every possible way.
        """
        form = collected(self.collect(terms, known))
        return self.cancelled(self.combined(form) if known is None else form, known)

    def collect(self, terms: Sequence[Term], known: Known | None) -> dict[Any, Any]:
        """Return the monomials of a sum, as `normal` does, with their coefficients."""
        table: dict[Any, Any] = {}
        work = self.prepared(terms, known)[::-1]
        while work:
            for flat in [done for t in self.eliminate(work.pop()) for done in self.rewritten(t)]:
                for chained in self.refine(flat, known):
                    linked = any(a[0] == "d" and not chained.bound.keys().isdisjoint(a[1:]) for a in chained.powers)
                    pieces = [masked(chained)] if linked else self.resolve(chained)  # a decay of matrices over no time
                    if pieces is None:
                        for done in self.settle(chained):
                            work += self._finish(table, done, known)
                    else:
                        work += pieces
        return table

    def _finish(self, table: dict[Any, Any], term: Term, known: Known | None) -> list[Term]:
        """Add a finished term to a table, or return what is left of it to do."""
        term = self._folded_primes(term)
        for atom in term.powers:
            if atom[0] == "n":
                rest = masked(term.without(atom))
                return [rest, rest.copy(-1).times(("d", *atom[1:]))]
        if known is not None:
            term.chains = {s: bs for s, bs in term.chains.items() if any(b[0] in term.bound for b in bs)}
        mono, sign = self.canonical(term)
        if sign:
            table[mono] = table.get(mono, 0) + sign * term.coefficient
        return []

    def _folded_primes(self, term: Term) -> Term:
        """Return a term in which a prime under a root has a power in [0, 1)."""
        for atom, power in list(term.powers.items()):
            if atom[0] == "s" and isinstance(atom[1], int) and not 0 < power < 1:
                whole = floor(power)
                term = term.copy(Fraction(atom[1]) ** whole).times(atom, -whole)
        return term

    def eliminate(self, term: Term) -> list[Term]:
        """Return a term without deltas of bound variables; open ones keep a star around the first variable.

        An index that no factor mentions becomes its dimension.
        """
        for atom in sorted((a for a in term.powers if a[0] == "d"), key=str):
            kept, gone = atom[1:]
            if gone not in term.bound and kept in term.bound:
                kept, gone = gone, kept
            rest = term.without(atom)
            if kept == gone:
                return self.eliminate(rest)
            if gone in rest.bound:
                del rest.bound[gone]
            elif atom[1:] in self.apart:
                return []
            elif any(gone in variables(a) for a in rest.powers):
                rest.times(("F", HIDDEN, atom, ()))
            else:
                continue
            return [done for piece in self.rename(rest, {gone: kept}) for done in self.eliminate(piece)]
        result = Term(term.coefficient, {}, term.bound)
        for atom, power in term.powers.items():
            hidden = atom[:2] == ("F", HIDDEN)
            result.times(atom[2] if hidden else atom, 1 if atom[0] in "dmn" else power)
        if any(a[0] == "n" and ("d", *a[1:]) in result.powers for a in result.powers):
            return []
        return [self.sized(result)] if result.coefficient else []

    def rename(self, term: Term, to: Mapping[Any, Any]) -> list[Term]:
        """Return a term with variables made one with others; functions are normalised anew."""
        plain = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if v not in to}, dict(term.chains))
        nested = []
        for atom, power in term.powers.items():
            if atom[0] in ("E", "f") and any(v in to for v in variables(atom)):
                nested.append(self._rebuilt(atom, power, to))
            else:
                renamed = renamed_atom(atom, to)
                if renamed[0] == "n" and renamed[1] == renamed[2]:
                    return []
                plain.times(renamed, power)
        if not nested:
            return [plain]
        return self.product([[plain], *nested])

    def _rebuilt(self, atom: Atom, power: Any, to: Mapping[Any, Any]) -> list[Term]:
        """Return a normalised function under a renaming that may identify variables."""
        seen = set(variables(atom))
        if len({to.get(v, v) for v in seen}) == len(seen):
            return [Term(powers={(*atom[:-1], self.renamed_form(atom[-1], to)): power})]
        if any(self.space_of[v] in self.setting.refined for v in seen):
            raise Undecided("two ordered indices of a function were identified late", remedy="restate the claim")
        form = self.normal([t for mono, c in atom[-1] for t in self.rename(masked(self.thaw(mono, c)), to)], {})
        if atom[0] == "E":
            return [Term(powers={("E", scaled(form, power)): 1} if form else {})]
        return self.apply(atom[1], form, power, {})

    def difference(self, terms: Sequence[Term]) -> Form:
        """Return the normal form of the difference of two sides, over a common denominator where there is one.

        Denominators that mention bound variables stay; the others multiply every term that lacks them, which
        is sound on the domain of the claim, where none of them vanishes.
        """
        return self.cleared(self.normal(terms), None)[1]
