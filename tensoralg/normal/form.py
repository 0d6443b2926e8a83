"""Normal forms: sums of canonical monomials with rational coefficients.

The steps are those of docs/decision.md: expand, eliminate deltas, apply declared facts, refine ordered
indices into strict chains, normalise functions and denominators under the order that a chain fixes,
label, collect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from tensoralg.expr.nodes import Expr
from tensoralg.normal.coarse import coarsen
from tensoralg.normal.expand import expand, product_of
from tensoralg.normal.facts import settle
from tensoralg.normal.functions import fold_primes, function_of, is_grown, shrink_power, with_masks
from tensoralg.normal.label import Form, Mono, canonical, thaw
from tensoralg.normal.refine import Ranks, Scope, drop_unused, forget_open_chains, lost_variables, refine
from tensoralg.normal.terms import Atom, Factors, Run, Term, Var, atom_vars, mono_vars, times
from tensoralg.spaces import Index


def normalise(run: Run, node: Expr, env: Mapping[Index, Var], known: Ranks | None = None) -> Form:
    """Return the normal form of a term of the language.

    Parameters
    ----------
    run : Run
        The state of this normalisation.
    node : Expr
        The term; composite spaces are split before (`tensoralg.normal.prepare`).
    env : mapping of Index to variable
        The variables of its free indices.
    known : mapping, optional
        For a term inside a function: the ranks of the open variables in the chain around it.  None at
        the outermost level, where free ordered variables are refined as well.
    """
    if known is None:
        return collect(run, expand(run, node, env))
    scope = Scope(known, frozenset(v for v in env.values() if any(v in ranks for ranks in known.values())))
    return coarsen(run, collect(run, expand(run, node, env), scope), scope)


def collect(run: Run, terms: Iterable[Term], scope: Scope | None = None) -> Form:
    """Return the normal form of a sum of terms."""
    table: dict[Mono, Fraction] = {}
    for term in terms:
        for done in map(fold_primes, finish(run, term, scope)):
            found = canonical(run, done)
            if found is not None:
                sign, mono = found
                table[mono] = table.get(mono, Fraction(0)) + sign * done.coefficient
    return tuple(sorted(((m, c) for m, c in table.items() if c), key=repr))


def finish(run: Run, term: Term, scope: Scope | None) -> list[Term]:
    """Return a term as finished terms: chains fixed, functions and denominators in normal form."""
    done: list[Term] = []
    work = [term]
    while work:
        for settled in settle(run, work.pop()):
            if settled.coefficient == 0:
                continue
            for chained in refine(run, drop_unused(run, settled), scope):
                folded = {a: e for a, e in chained.factors.items() if a[0] in ("F", "R") or is_grown(a, e)}
                if not folded:
                    done.append(chained if scope is None else forget_open_chains(chained))
                else:
                    again, final = _resolve(run, chained, folded)
                    work += again
                    for term in final:
                        if lost_variables(term):
                            work.append(with_masks(run, term))
                        else:
                            done.append(term if scope is None else forget_open_chains(term))
    return done


def _resolve(run: Run, term: Term, folded: Factors) -> tuple[list[Term], list[Term]]:
    """Normalise the folded atoms of a chained term; return (terms to refine again, finished terms)."""
    ranks = {s: {v: k for k, block in enumerate(blocks) for v in block} for s, blocks in term.chains.items()}
    plain = {a: e for a, e in term.factors.items() if a not in folded}
    pieces = [Term(term.coefficient, plain, term.bound)]
    simple = True
    for atom, exponent in folded.items():
        if atom[0] in ("F", "R"):
            form = normalise(run, atom[-2], dict(atom[-1]), ranks)
            value = function_of(run, atom[1] if atom[0] == "F" else "", form, exponent)
        else:
            value = shrink_power(run, atom, exponent)
        simple = simple and all(not v.bound and not v.chains for v in value)
        pieces = product_of(run, [pieces, [with_masks(run, v) for v in value]])
    if simple and not any(is_grown(a, e) for p in pieces for a, e in p.factors.items()):
        return [], [Term(p.coefficient, p.factors, p.bound, term.chains) for p in pieces]
    return [with_masks(run, Term(p.coefficient, p.factors, p.bound, term.chains)) for p in pieces], []


def difference(run: Run, left: list[Term], right: list[Term]) -> Form:
    """Return the normal form of left - right, over a common denominator where there is one.

    Denominators that mention bound variables stay; the others multiply every term that lacks them, which
    is sound on the domain of the claim, where none of them vanishes.
    """
    form = collect(run, [*left, *(Term(-t.coefficient, t.factors, t.bound) for t in right)])
    while form:
        powers: dict[Atom, int] = {}
        for mono, _ in form:
            own = {v for v, _ in mono[1]}
            for atom, exponent in mono[0]:
                if atom[0] == "r" and not any(v in own for v in atom_vars(atom)):
                    powers[atom] = min(powers.get(atom, 0), exponent)
        uneven = {
            atom: exponent
            for atom, exponent in powers.items()
            if any(dict(mono[0]).get(atom, 0) != exponent for mono, _ in form)
        }
        if not uneven:
            return form
        cleared = {atom: -exponent for atom, exponent in uneven.items()}
        terms = []
        for mono, coefficient in form:
            term = with_masks(run, thaw(run, mono, coefficient))
            terms.append(Term(term.coefficient, times(term.factors, cleared), term.bound))
        form = collect(run, terms)
    return form


def variables_of(form: Form) -> set[Var]:
    """Return the open variables of a form."""
    return {v for mono, _ in form for v in mono_vars(mono)}
