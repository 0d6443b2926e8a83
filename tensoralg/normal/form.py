"""Normal forms: sums of canonical monomials with rational coefficients.

The steps are those of the decision page: expand, eliminate deltas, apply declared facts, refine ordered
indices into strict chains, normalise functions and denominators under the order that a chain fixes,
label, collect.  Nothing here divides by anything that could vanish: cancelling ``Z * (1/Z)`` is sound on
the domain of the claim, which `tensoralg.normal.domain` keeps track of.

* ``exp`` of a sum is a product; a monomial under ``exp`` is an atom, its rational coefficient a power.
* ``1/(c m)`` of a monomial without sums is a product of reciprocals; from a denominator with several
  monomials everything they share is taken out, so ``1/(exp(x) Z)`` is ``exp(-x)/Z``.
* ``sqrt(c x)`` is ``sqrt(c) sqrt(x)`` for c > 0, and ``sqrt(x)^2`` is x.
* ``relu(c x)`` is ``c relu(x)`` for c > 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import pairwise
from math import floor, gcd
from typing import Any

import sympy

from tensoralg.errors import Undecided
from tensoralg.expr.nodes import Expr
from tensoralg.normal.expand import expand, invertible, power, product_of
from tensoralg.normal.facts import settle
from tensoralg.normal.label import Form, Mono, canonical, thaw
from tensoralg.normal.order import Constraint, chains, count_empty, restrict_chain
from tensoralg.normal.terms import (
    Atom,
    Factors,
    Run,
    Term,
    Var,
    atom_vars,
    is_nested,
    mono_vars,
    multiply,
    rename_atom,
    times,
)
from tensoralg.spaces import Index, Space

Ranks = Mapping[str, Mapping[Var, int]]
UNIT: Mono = ((), (), ())


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
    return collect(run, expand(run, node, env), known)


def collect(run: Run, terms: Iterable[Term], known: Ranks | None = None) -> Form:
    """Return the normal form of a sum of terms."""
    table: dict[Mono, Fraction] = {}
    for term in terms:
        for done in map(fold_primes, finish(run, term, known)):
            found = canonical(run, done)
            if found is not None:
                sign, mono = found
                table[mono] = table.get(mono, Fraction(0)) + sign * done.coefficient
    return tuple(sorted(((m, c) for m, c in table.items() if c), key=repr))


def finish(run: Run, term: Term, known: Ranks | None) -> list[Term]:
    """Return a term as finished terms: chains fixed, functions and denominators in normal form."""
    done: list[Term] = []
    work = [term]
    while work:
        for settled in settle(run, work.pop()):
            if settled.coefficient == 0:
                continue
            for chained in refine(run, drop_unused(run, settled), known):
                folded = {a: e for a, e in chained.factors.items() if a[0] in ("F", "R") or _grown(a, e)}
                if not folded:
                    done.append(chained if known is None else _forget_open_chains(chained))
                else:
                    again, final = _resolve(run, chained, folded, known)
                    work += again
                    done += final if known is None else map(_forget_open_chains, final)
    return done


def fold_primes(term: Term) -> Term:
    """Return a term in which a prime under a root has a power in [0, 1)."""
    coefficient, factors = term.coefficient, dict(term.factors)
    for atom, exponent in term.factors.items():
        if atom[0] == "s" and isinstance(atom[1], int):
            whole = floor(exponent)
            coefficient *= Fraction(atom[1]) ** whole
            factors = times(factors, {atom: -whole}) if whole else factors
    return Term(coefficient, factors, term.bound, term.chains)


def _grown(atom: Atom, exponent: Any) -> bool:
    """Whether an atom to this power is not in normal form: sums in numerators, squares of roots."""
    squared_root = atom[0] == "f" and atom[1] == "sqrt" and abs(exponent) > 1
    return bool(squared_root or (atom[0] == "r" and exponent > 0))


def drop_unused(run: Run, term: Term) -> Term:
    """Return a term whose bound variables all occur; each that did not is its dimension."""
    used = {v for atom in term.factors for v in atom_vars(atom)}
    for variable in [v for v in term.bound if v not in used]:
        term = multiply(Term(term.coefficient, term.factors, term.bound - {variable}), run.extent(run.spaces[variable]))
    return term


def refine(run: Run, term: Term, known: Ranks | None) -> list[Term]:
    """Return a term as a sum over strict chains of every ordered space that a mask of the claim is about."""
    result = [term]
    for name in sorted(run.ordered):
        result = [piece for part in result for piece in _refine_space(run, part, name, known)]
    return result


def _refine_space(run: Run, term: Term, name: str, known: Ranks | None) -> list[Term]:
    inside = [a for a in term.factors if a[0] in ("m", "d") and _space_name(run, a[-1], a[-2]) == name]
    mentioned = {v for a in term.factors for v in atom_vars(a) if _in_space(run, v, name)}
    bound = sorted(v for v in term.bound if _in_space(run, v, name))
    if known is None:
        opened = [v for v, s in run.spaces.items() if isinstance(v, str) and s.name == name]
        start: tuple[tuple[Var, ...], ...] = ()
        placed: list[Var] = [*opened, *bound]
    else:
        start = restrict_chain(known.get(name, {}), mentioned - set(bound))
        placed = list(bound)
    if not placed and not start:
        return [term]
    constraints: list[Constraint] = [("eq" if a[0] == "d" else "lt" if a[1] else "le", a[-2], a[-1]) for a in inside]
    if known is not None and not set(bound) <= mentioned:
        raise Undecided("a bound index is not mentioned", remedy="this is a bug; please report the claim")
    rest = {a: e for a, e in term.factors.items() if a not in inside}
    pieces = []
    for blocks in chains(start, placed, constraints):
        run.spend(1)
        pieces += _on_chain(run, Term(term.coefficient, rest, term.bound, dict(term.chains)), name, blocks)
    return pieces


def _in_space(run: Run, variable: Var, name: str) -> bool:
    return variable in run.spaces and run.spaces[variable].name == name


def _space_name(run: Run, *variables: Var) -> str:
    return next((run.spaces[v].name for v in variables if v in run.spaces), "")


def _on_chain(run: Run, term: Term, name: str, blocks: tuple[tuple[Var, ...], ...]) -> list[Term]:
    """Return a term on one chain: one variable for each block, blocks without factors counted out."""
    mapping: dict[Var, Var] = {}
    named = []
    for block in blocks:
        opened = sorted((v for v in block if v not in term.bound), key=str)
        representative = opened[0] if opened else block[0]
        mapping |= {v: representative for v in block if v != representative}
        named.append((representative, *opened[1:]))
    merged = rename_all(run, Term(term.coefficient, term.factors, term.bound, term.chains), mapping)
    space = _space_called(run, name, blocks)
    pieces = []
    for piece in merged:
        used = {v for atom in piece.factors for v in atom_vars(atom)}
        empty: set[Var] = {b[0] for b in named if b[0] in piece.bound and b[0] not in used}
        kept, counts = count_empty(run, space, tuple(named), empty)
        base = Term(piece.coefficient, piece.factors, piece.bound - empty, {**piece.chains, name: kept})
        for count in counts:
            product = multiply(base, count)
            pieces.append(Term(product.coefficient, product.factors, product.bound, base.chains))
    return pieces


def _space_called(run: Run, name: str, blocks: tuple[tuple[Var, ...], ...]) -> Space:
    return next(run.spaces[v] for block in blocks for v in block if v in run.spaces)


def _forget_open_chains(term: Term) -> Term:
    """Drop, inside a function, chains that hold no bound variable: the order around it says them."""
    chains_kept = {s: b for s, b in term.chains.items() if any(v in term.bound for block in b for v in block)}
    return Term(term.coefficient, term.factors, term.bound, chains_kept)


def rename_all(run: Run, term: Term, mapping: Mapping[Var, Var]) -> list[Term]:
    """Return a term with variables renamed, perhaps onto each other; nested forms are rebuilt."""
    if not mapping:
        return [term]
    nested = {a: e for a, e in term.factors.items() if is_nested(a) and any(v in mapping for v in atom_vars(a))}
    plain: Factors = {}
    for atom, exponent in term.factors.items():
        if atom not in nested:
            plain = times(plain, {rename_atom(atom, mapping): exponent})
    bound = {v for v in (mapping.get(v, v) for v in term.bound) if isinstance(v, int)}
    result = [Term(term.coefficient, plain, bound, dict(term.chains))]
    for atom, exponent in nested.items():
        rebuilt = _rebuild(run, atom, exponent, mapping)
        result = [
            Term(p.coefficient, p.factors, p.bound, dict(term.chains)) for p in product_of(run, [result, rebuilt])
        ]
    return result


def _rebuild(run: Run, atom: Atom, exponent: Any, mapping: Mapping[Var, Var]) -> list[Term]:
    """Return a nested form under a renaming that may identify variables."""
    monos = [(atom[1], Fraction(1))] if atom[0] == "e" else list(atom[-1])
    terms = []
    for mono, coefficient in monos:
        term = thaw(run, mono, coefficient)
        moved = {s: tuple(tuple(mapping.get(v, v) for v in b) for b in blocks) for s, blocks in term.chains.items()}
        if any(len({v for b in blocks for v in b}) < sum(map(len, blocks)) for blocks in moved.values()):
            raise Undecided("two ordered indices of a function were identified", remedy="restate the claim")
        terms += [Term(t.coefficient, t.factors, t.bound, moved) for t in rename_all(run, term, mapping)]
    table: dict[Mono, Fraction] = {}
    for term in terms:
        found = canonical(run, term)
        if found is not None:
            table[found[1]] = table.get(found[1], Fraction(0)) + found[0] * term.coefficient
    form = tuple(sorted(((m, c) for m, c in table.items() if c), key=repr))
    return function_of(run, "exp" if atom[0] == "e" else "" if atom[0] == "r" else atom[1], form, exponent)


def _resolve(run: Run, term: Term, folded: Factors, known: Ranks | None) -> tuple[list[Term], list[Term]]:
    """Normalise the folded atoms of a chained term; return (terms to refine again, finished terms)."""
    ranks = {s: {v: k for k, block in enumerate(blocks) for v in block} for s, blocks in term.chains.items()}
    if known is not None:
        ranks = {s: {**known.get(s, {}), **ranks.get(s, {})} if s not in ranks else ranks[s] for s in {*known, *ranks}}
    plain = {a: e for a, e in term.factors.items() if a not in folded}
    pieces = [Term(term.coefficient, plain, term.bound)]
    simple = True
    for atom, exponent in folded.items():
        if atom[0] in ("F", "R"):
            form = normalise(run, atom[-2], dict(atom[-1]), ranks)
            value = function_of(run, atom[1] if atom[0] == "F" else "", form, exponent)
        else:
            value = _shrink(run, atom, exponent)
        simple = simple and all(not v.bound and not v.chains for v in value)
        pieces = product_of(run, [pieces, [with_masks(run, v) for v in value]])
    if simple and not any(_grown(a, e) for p in pieces for a, e in p.factors.items()):
        return [], [Term(p.coefficient, p.factors, p.bound, term.chains) for p in pieces]
    return [with_masks(run, Term(p.coefficient, p.factors, p.bound, term.chains)) for p in pieces], []


def with_masks(run: Run, term: Term) -> Term:
    """Return a term whose chains are written as masks and deltas again, to be refined with others."""
    factors = dict(term.factors)
    for blocks in term.chains.values():
        for block in blocks:
            for other in block[1:]:
                factors[("d", *sorted((block[0], other), key=str))] = 1
        for earlier, later in pairwise(blocks):
            factors[("m", True, earlier[0], later[0])] = 1
    return Term(term.coefficient, factors, term.bound)


def _shrink(run: Run, atom: Atom, exponent: int) -> list[Term]:
    """Return a power of a sum, or of a root, multiplied out."""
    if atom[0] == "r":
        return product_of(run, [open_form(run, atom[1]) for _ in range(exponent)])
    whole, rest = divmod(exponent, 2)
    left = [[Term(Fraction(1), {atom: rest}, set())]] if rest else []
    if whole > 0:
        return product_of(run, left + [open_form(run, atom[2]) for _ in range(whole)])
    return product_of(run, [*left, reciprocal(run, atom[2], whole)])


def open_form(run: Run, form: Form) -> list[Term]:
    """Return a form as terms with fresh bound variables and the order as masks."""
    return [with_masks(run, thaw(run, mono, coefficient)) for mono, coefficient in form]


def function_of(run: Run, function: str, form: Form, exponent: Any) -> list[Term]:
    """Return a power of a function of a form (``""`` is the identity, in a denominator)."""
    if function == "exp":
        return [Term(Fraction(1), {("e", mono): c * exponent for mono, c in form}, set())]
    if function == "":
        return reciprocal(run, form, exponent)
    if not form:
        return _at_zero(function, exponent)
    if function == "log":
        return _log(run, form, exponent)
    scale, rest = positive_content(form)
    if function == "sqrt":
        scale, rest = _root(form)
    scaled = power(scale, exponent) if scale.factors or scale.coefficient != 1 else scale
    if rest == ((UNIT, Fraction(1)),):
        return [scaled]
    return [multiply(scaled, Term(Fraction(1), {("f", function, rest): exponent}, set()))]


def _at_zero(function: str, exponent: Any) -> list[Term]:
    if function in ("relu", "sqrt") and exponent > 0:
        return []
    raise Undecided(f"{function} of 0 occurs where it is undefined", remedy="restate the claim")


def reciprocal(run: Run, form: Form, exponent: int) -> list[Term]:
    """Return a negative power of a form, with everything its monomials share taken out."""
    if not form:
        raise Undecided("a denominator is identically zero", remedy="restate the claim")
    if len(form) == 1 and not form[0][0][1] and not form[0][0][2]:
        (mono, coefficient), *_ = form
        factors = dict(mono[0])
        if invertible(factors):
            return [power(Term(coefficient, factors, set()), exponent)]
    scale, rest = content(form)
    outside = power(scale, exponent)
    if len(rest) == 1 and not rest[0][0][1] and not rest[0][0][2]:
        return (
            reciprocal(run, form, exponent)
            if rest == form
            else [multiply(outside, t) for t in reciprocal(run, rest, exponent)]
        )
    return [multiply(outside, Term(Fraction(1), {("r", rest): exponent}, set()))]


def content(form: Form) -> tuple[Term, Form]:
    """Return what all monomials of a form share, and the form divided by it.

    Shared are the rational content, and of every factor without bound variables its lowest power.
    """
    atoms: dict[Atom, Any] = {}
    for mono, _ in form:
        own = {v for v, _ in mono[1]}
        for atom, _ in mono[0]:
            if atom[0] not in ("d", "o") and not any(v in own for v in atom_vars(atom)):
                atoms.setdefault(atom, None)
    lowest = {a: min(dict(mono[0]).get(a, 0) for mono, _ in form) for a in atoms}
    return _divide_out(form, {a: e for a, e in lowest.items() if e})


def positive_content(form: Form) -> tuple[Term, Form]:
    """Return the positive sizes, exponentials and rational content that all monomials share, and the rest."""
    shared = content(form)[0].factors
    return _divide_out(form, {a: e for a, e in shared.items() if a[0] in ("s", "e", "p")})


def _divide_out(form: Form, shared: Factors) -> tuple[Term, Form]:
    numerators = [abs(c.numerator) for _, c in form]
    denominators = [c.denominator for _, c in form]
    size = Fraction(gcd(*numerators), 1)
    for d in denominators:
        size = Fraction(size.numerator, size.denominator * d // gcd(size.denominator, d))
    inverse = {a: -e for a, e in shared.items()}
    rest = tuple(
        sorted(
            (((tuple(sorted(times(dict(m[0]), inverse).items(), key=repr)), m[1], m[2]), c / size) for m, c in form),
            key=repr,
        )
    )
    return Term(size, dict(shared), set()), rest


def _root(form: Form) -> tuple[Term, Form]:
    """Return the square root of the positive content of a form, and the rest."""
    scale, rest = positive_content(form)
    factors: Factors = {a: Fraction(e) / 2 for a, e in scale.factors.items() if a[0] in ("s", "e")}
    kept = {a: e for a, e in scale.factors.items() if a[0] not in ("s", "e")}
    coefficient = Fraction(1)
    for prime, exponent in _prime_powers(scale.coefficient).items():
        whole, half = divmod(exponent, 2)
        coefficient *= Fraction(prime) ** whole
        if half:
            factors = times(factors, {("s", prime): Fraction(1, 2)})
    if kept:
        rest = _divide_out(rest, {a: -e for a, e in kept.items()})[1]
    return Term(coefficient, {a: int(e) if e.denominator == 1 else e for a, e in factors.items()}, set()), rest


def _prime_powers(value: Fraction) -> dict[int, int]:
    powers = {int(p): int(e) for p, e in sympy.factorint(value.numerator).items()}
    for p, e in sympy.factorint(value.denominator).items():
        powers[int(p)] = powers.get(int(p), 0) - int(e)
    return powers


def _log(run: Run, form: Form, exponent: int) -> list[Term]:
    """Return a power of the logarithm of a form; of a product of positive factors it is a sum."""
    (mono, coefficient), *more = form
    positive = all(a[0] in ("e", "s") or (a[0] == "t" and run.tensors[a[1]].positive) for a, _ in mono[0])
    if more or mono[1] or not positive or coefficient < 0:
        return [Term(Fraction(1), {("f", "log", form): exponent}, set())]
    terms = []
    for atom, power_of in mono[0]:
        if atom[0] == "e":
            terms.append(with_masks(run, thaw(run, atom[1], Fraction(power_of))))
        else:
            single: Form = (((((atom, 1),), (), ()), Fraction(1)),)
            terms.append(Term(Fraction(power_of), {("f", "log", single): 1}, set()))
    for prime, e in _prime_powers(coefficient).items():
        terms.append(Term(Fraction(e), {("f", "log", ((UNIT, Fraction(prime)),)): 1}, set()))
    if exponent > 0:
        return product_of(run, [terms for _ in range(exponent)])
    return reciprocal(run, collect(run, terms, {}), exponent)


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


__all__ = [
    "Form",
    "Ranks",
    "collect",
    "content",
    "difference",
    "normalise",
    "variables_of",
]
