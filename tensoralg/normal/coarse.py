"""Coarsening: a form inside a function must not depend on variables that only refine its chains.

Inside a function every term is refined at all open ordered variables, which is canonical but says too
much: ``sum_r y_r`` becomes a sum over the places of r.  So for every set S of open variables, small sets
first, a monomial over S whose refinement at the others is found in the form is taken out, refined, and
put back whole.  The result is a fixed function of the full refinement, hence canonical as well.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

from tensoralg.normal.functions import with_masks
from tensoralg.normal.label import Form, Mono, canonical, thaw
from tensoralg.normal.refine import Scope, forget_open_chains, refine
from tensoralg.normal.terms import Run, Term, Var, atom_vars

MANY = 4  # with more open variables only the supports of at most one are looked for


def coarsen(run: Run, form: Form, scope: Scope) -> Form:
    """Return a form inside a function without open variables that only refine its chains."""
    opened = sorted(
        (v for ranks in scope.ranks.values() for v in ranks if v in scope.opened),
        key=lambda v: next((name, ranks[v]) for name, ranks in sorted(scope.ranks.items()) if v in ranks),
    )
    table = dict(form)
    whole: dict[Mono, Fraction] = {}
    largest = len(opened) - 1 if len(opened) <= MANY else 1
    for size in range(largest + 1):
        for support in combinations(opened, size):
            for mono in sorted(table, key=repr):
                if table[mono]:
                    _extract(run, table, whole, scope, mono, set(support))
    for mono, coefficient in table.items():
        whole[mono] = whole.get(mono, Fraction(0)) + coefficient
    return tuple(sorted(((m, c) for m, c in whole.items() if c), key=repr))


def _extract(
    run: Run, table: dict[Mono, Fraction], whole: dict[Mono, Fraction], scope: Scope, mono: Mono, support: set[Var]
) -> None:
    """Move the monomial over `support` of which `mono` is a refined part, if all its parts are there."""
    present = {v for _, blocks in mono[2] for block in blocks for v in block} & scope.opened
    others = present - support
    if not others or not support <= present or not _stand_alone(mono, others):
        return
    seed = _without(run, mono, others)
    inside = Scope(scope.ranks, frozenset(present))
    parts: dict[Mono, Fraction] = {}
    for term in refine(run, with_masks(run, seed), inside):
        for coefficient, part in _signed(run, forget_open_chains(term)):
            parts[part] = parts.get(part, Fraction(0)) + coefficient
    weight = table[mono] / parts[mono] if parts.get(mono) else Fraction(0)
    if weight and all(table.get(m, 0) == weight * c for m, c in parts.items() if _stand_alone(m, others)):
        for coefficient, coarse in _signed(run, forget_open_chains(seed)):
            whole[coarse] = whole.get(coarse, Fraction(0)) + weight * coefficient
        for part, coefficient in parts.items():
            table[part] = table.get(part, Fraction(0)) - weight * coefficient


def _signed(run: Run, term: Term) -> list[tuple[Fraction, Mono]]:
    found = canonical(run, term)
    return [] if found is None else [(found[0] * term.coefficient, found[1])]


def _stand_alone(mono: Mono, variables: set[Var]) -> bool:
    """Whether open variables are blocks of their own in the chains and occur in no factor."""
    single = {block[0] for _, blocks in mono[2] for block in blocks if len(block) == 1}
    return variables <= single and not any(v in variables for atom, _ in mono[0] for v in atom_vars(atom))


def _without(run: Run, mono: Mono, variables: set[Var]) -> Term:
    term = thaw(run, mono)
    kept = {name: tuple(block for block in blocks if block[0] not in variables) for name, blocks in term.chains.items()}
    return Term(term.coefficient, term.factors, term.bound, kept)
