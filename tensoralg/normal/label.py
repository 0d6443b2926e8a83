"""Canonical labelling: one name for every monomial up to renaming of its bound variables.

A canonical monomial is ``(factors, bound, chains)`` with its bound variables numbered -1, -2, ... in an
order that does not depend on how it was written.  That order comes from a coloured graph in which every
leg is a vertex of its own (labellers ignore multiple edges) and legs of one symmetric group share a
colour; variables that stand in a strict chain are told apart by their rank.  Colour refinement settles
most monomials; the others go to igraph's BLISS, which is exact (T. Junttila & P. Kaski, *Engineering
an efficient canonical labeling tool*, ALENEX 2007).

A canonical monomial is the monomial written out in full, so equal canonical forms mean literally equal
terms: soundness does not rest on the labelling, only completeness does.

Signs: reordering the legs of an antisymmetric tensor multiplies by the sign of the permutation, and a
monomial with an odd automorphism equals its own negative and is 0.  The sign is a homomorphism on the
automorphism group, so it is enough to look at generators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tensoralg.expr.tensor import Tensor
from tensoralg.normal.functions import Functions
from tensoralg.normal.graph import Odd, canonical_order
from tensoralg.normal.terms import (
    UNIT,
    Atom,
    Form,
    Term,
    collected,
    renamed_atom,
    shape,
    variables,
)


class Labelling(Functions):
    """Canonical monomials and renaming."""

    def sorted_legs(self, powers: Mapping[Atom, Any]) -> tuple[int, dict[Atom, Any]]:
        """Return a sign and the factors with symmetric legs sorted, so that equal entries are one power."""
        sign, result = 1, Term()
        for atom, power in powers.items():
            if atom[0] == "t":
                symbol = self.setting.tensors[atom[1]]
                if symbol.symmetric or symbol.antisymmetric:
                    flip, atom = sort_legs(symbol, atom)
                    if flip == 0:
                        return 0, {}
                    sign *= flip ** abs(power)
            result.times(atom, power)
        return sign, result.powers

    def canonical(self, term: Term) -> tuple[Any, int]:
        """Return a monomial with numbered bound variables, and a sign (0 where it vanishes)."""
        sign, powers = self.sorted_legs(term.powers)
        if sign == 0:
            return UNIT, 0
        to = self.numbering(Term(powers=powers, bound=term.bound, chains=term.chains))
        if to is None:
            return UNIT, 0
        flip, powers = self.renamed(powers, to)
        blocks = tuple(
            (space, tuple(tuple(sorted((to.get(v, v) for v in b), key=str)) for b in term.chains[space]))
            for space in sorted(term.chains)
            if term.chains[space]
        )
        bound = tuple((number, term.bound[v]) for v, number in to.items())
        return (tuple(sorted(powers.items(), key=repr)), bound, blocks), sign * flip

    def numbering(self, term: Term) -> dict[Any, int] | None:
        """Return the numbers of the bound variables of a term with sorted legs; None if it vanishes."""
        rank = {v: (space, k) for space, blocks in term.chains.items() for k, b in enumerate(blocks) for v in b}
        loose = [v for v in term.bound if v not in rank]
        order: Sequence[Any] = loose
        if loose:
            found = canonical_order(self.setting.tensors, term, rank, loose, self.setting.orders)
            if isinstance(found, Odd):
                return None
            order = found
        chained = sorted((v for v in term.bound if v in rank), key=lambda v: rank[v])
        base = max([0, *(height(atom[-1]) for atom in term.powers if atom[0] in ("E", "f"))])
        return {v: -(base + k + 1) for k, v in enumerate([*chained, *order])}

    def renamed(self, powers: Mapping[Atom, Any], to: Mapping[Any, Any]) -> tuple[int, dict[Atom, Any]]:
        """Return factors under an injective renaming, symmetric legs sorted, with the sign."""
        result = Term()
        for atom, power in powers.items():
            if atom[0] in ("E", "f"):
                touched = any(v in to for v in variables(atom))
                result.times((*atom[:-1], self.renamed_form(atom[-1], to)) if touched else atom, power)
            else:
                result.times(renamed_atom(atom, to), power)
        return self.sorted_legs(result.powers)

    def renamed_form(self, form: Form, to: Mapping[Any, Any]) -> Form:
        """Return a form with its open variables renamed injectively."""
        table: dict[Any, Any] = {}
        for mono, c in form:
            self.spend()
            term = self.thaw(mono, c, to)
            key, sign = self.canonical(term)
            table[key] = table.get(key, 0) + sign * term.coefficient
        return collected(table)

    def thaw(self, mono: Any, coefficient: Any = Fraction(1), to: Mapping[Any, Any] | None = None) -> Term:
        """Return a canonical monomial as a term with fresh bound variables, open ones renamed."""
        factors, bound, order = mono
        names, fresh = dict(to or {}), {}
        for v, space in bound:
            names[v] = self.fresh(space)
            fresh[names[v]] = space
        sign, powers = self.renamed(dict(factors), names)
        chains = {space: tuple(tuple(names.get(v, v) for v in b) for b in blocks) for space, blocks in order}
        return Term(coefficient * sign, powers, fresh, chains)

    def merged(self, terms: list[Term]) -> list[Term]:
        """Return terms with equal monomials collected, before the order is refined."""
        table: dict[Any, Any] = {}
        for term in terms:
            mono, sign = self.canonical(term)
            table[mono] = table.get(mono, 0) + sign * term.coefficient
        return [self.thaw(mono, c) for mono, c in collected(table)] if len(table) < len(terms) else terms


def height(form: Form) -> int:
    """Return how many numbers for bound variables a form uses."""
    deep = [height(atom[-1]) for mono, _ in form for atom, _ in mono[0] if atom[0] in ("E", "f")]
    own = [-int(v) for mono, _ in form for v, _ in mono[1]]
    return max([0, *deep, *own])


def sort_legs(symbol: Tensor, atom: Atom) -> tuple[int, Atom]:
    """Return an entry with the legs of its symmetric groups sorted, and the sign (0 if it vanishes)."""
    legs, sign = list(atom), 1
    for group in symbol.symmetric:
        chosen = sorted((legs[2 + g] for g in group), key=_leg_key)
        for g, value in zip(group, chosen, strict=True):
            legs[2 + g] = value
    for group in symbol.antisymmetric:
        keys = [_leg_key(legs[2 + g]) for g in group]
        if len(set(keys)) < len(keys):
            return 0, atom
        sign *= parity(keys)
        chosen = sorted((legs[2 + g] for g in group), key=_leg_key)
        for g, value in zip(group, chosen, strict=True):
            legs[2 + g] = value
    return sign, tuple(legs)


def _leg_key(value: Any) -> tuple[str, str]:
    return str(shape(value)), str(value)


def parity(keys: Sequence[Any]) -> int:
    """Return the sign of the permutation that sorts distinct keys.

    Examples
    --------
    >>> parity([0, 1, 2]), parity([1, 0, 2])
    (1, -1)
    """
    return -1 if sum(a > b for k, a in enumerate(keys) for b in keys[k + 1 :]) % 2 else 1
