"""Coarsening: a form inside a function must not depend on variables that only refine its chains."""

from __future__ import annotations

from fractions import Fraction

from tensoralg.normal.functions import with_masks
from tensoralg.normal.label import Form, Mono, canonical, thaw
from tensoralg.normal.refine import Scope, forget_open_chains, refine
from tensoralg.normal.terms import Run, Term, Var, atom_vars


def coarsen(run: Run, form: Form, scope: Scope) -> Form:
    """Return a form inside a function without open variables that only refine its chains.

    If the terms in which an open ordered variable o stands alone are those of ``c * M`` refined at o, for
    a monomial M without o, then ``c * M`` is subtracted refined and added whole.  A full refinement
    is canonical and this is a fixed function of it, so the result is canonical as well.
    """
    table = dict(form)
    for name, ranks in scope.ranks.items():
        for variable in sorted(scope.opened & set(ranks), key=lambda v: ranks[v]):
            while _coarsen_once(run, table, scope, name, variable):
                pass
    return tuple(sorted(((m, c) for m, c in table.items() if c), key=repr))


def _coarsen_once(run: Run, table: dict[Mono, Fraction], scope: Scope, name: str, variable: Var) -> bool:
    for mono in sorted((m for m, c in table.items() if c), key=repr):
        if not _stands_alone(mono, name, variable):
            continue
        seed = _without_open(run, mono, name, variable)
        parts = {
            m: c
            for part in refine(run, with_masks(run, seed), _around(scope, mono))
            for c, m in _signed(run, forget_open_chains(part))
        }
        weight = table[mono] / parts[mono] if mono in parts else Fraction(0)
        if weight and all(table.get(m, 0) == weight * c for m, c in parts.items() if _stands_alone(m, name, variable)):
            for c, m in _signed(run, forget_open_chains(seed)):
                table[m] = table.get(m, Fraction(0)) + weight * c
            for m, c in parts.items():
                table[m] = table.get(m, Fraction(0)) - weight * c
            return True
    return False


def _signed(run: Run, term: Term) -> list[tuple[Fraction, Mono]]:
    found = canonical(run, term)
    return [] if found is None else [(found[0] * term.coefficient, found[1])]


def _around(scope: Scope, mono: Mono) -> Scope:
    """Return the scope in which a monomial has the chains that it has."""
    return Scope(scope.ranks, frozenset(v for _, blocks in mono[2] for block in blocks for v in block) & scope.opened)


def _stands_alone(mono: Mono, name: str, variable: Var) -> bool:
    """Whether an open variable is a block of its own in a chain and occurs in no factor."""
    blocks = dict(mono[2]).get(name, ())
    return (variable,) in blocks and not any(variable in atom_vars(atom) for atom, _ in mono[0])


def _without_open(run: Run, mono: Mono, name: str, variable: Var) -> Term:
    term = thaw(run, mono)
    kept = tuple(block for block in term.chains[name] if block != (variable,))
    return Term(term.coefficient, term.factors, term.bound, {**term.chains, name: kept})
