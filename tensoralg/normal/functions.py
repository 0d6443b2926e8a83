"""Functions, denominators and roots of normal forms.

* ``exp`` of a sum is a product; a monomial under ``exp`` is an atom, its rational coefficient a power.
* ``1/(c m)`` of a monomial without sums is a product of reciprocals; from a denominator with several
  monomials everything they share is taken out, so ``1/(exp(x) Z)`` is ``exp(-x)/Z``.
* ``sqrt(c x)`` is ``sqrt(c) sqrt(x)`` for c > 0, and ``sqrt(x)^2`` is x.
* ``relu(c x)`` is ``c relu(x)`` for c > 0.

Cancelling ``Z * (1/Z)`` is sound on the domain of the claim, which `tensoralg.normal.domain` keeps track of.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from math import floor, gcd
from typing import Any

import sympy

from tensoralg.errors import Undecided
from tensoralg.normal.expand import invertible, power, product_of, refresh
from tensoralg.normal.label import Form, Mono, canonical, thaw
from tensoralg.normal.terms import Atom, Factors, Run, Term, Var, atom_vars, is_nested, multiply, rename_atom, times

UNIT: Mono = ((), (), ())


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


def _log(run: Run, form: Form, exponent: int) -> list[Term]:
    """Return a power of the logarithm of a form; of a product of positive factors it is a sum."""
    terms = _log_terms(run, form)
    if terms is None:
        return [Term(Fraction(1), {("f", "log", form): exponent}, set())]
    if exponent > 0:
        return product_of(run, [[refresh(run, term) for term in terms] for _ in range(exponent)])
    if not terms:
        raise Undecided("a denominator is log(1), which is zero", remedy="restate the claim")
    if len(terms) == 1 and not terms[0].bound and invertible(terms[0].factors):
        return [power(terms[0], exponent)]
    return [Term(Fraction(1), {("f", "log", form): exponent}, set())]


def _log_terms(run: Run, form: Form) -> list[Term] | None:
    """Return the logarithm of a product of positive factors as a sum; None where the form is no such product."""
    (mono, coefficient), *more = form
    positive = all(a[0] in ("e", "s") or (a[0] == "t" and run.tensors[a[1]].positive) for a, _ in mono[0])
    if more or mono[1] or not positive or coefficient < 0:
        return None
    terms = []
    for atom, exponent in mono[0]:
        if atom[0] == "e":
            terms.append(with_masks(run, thaw(run, atom[1], Fraction(exponent))))
        else:
            single: Form = (((((atom, 1),), (), ()), Fraction(1)),)
            terms.append(Term(Fraction(exponent), {("f", "log", single): 1}, set()))
    for prime, exponent in _prime_powers(coefficient).items():
        terms.append(Term(Fraction(exponent), {("f", "log", ((UNIT, Fraction(prime)),)): 1}, set()))
    return terms


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


def fold_primes(term: Term) -> Term:
    """Return a term in which a prime under a root has a power in [0, 1)."""
    coefficient, factors = term.coefficient, dict(term.factors)
    for atom, exponent in term.factors.items():
        if atom[0] == "s" and isinstance(atom[1], int):
            whole = floor(exponent)
            coefficient *= Fraction(atom[1]) ** whole
            factors = times(factors, {atom: -whole}) if whole else factors
    return Term(coefficient, factors, term.bound, term.chains)


def is_grown(atom: Atom, exponent: Any) -> bool:
    """Whether an atom to this power is not in normal form: sums in numerators, squares of roots."""
    squared_root = atom[0] == "f" and atom[1] == "sqrt" and abs(exponent) > 1
    return bool(squared_root or (atom[0] == "r" and exponent > 0))


def shrink_power(run: Run, atom: Atom, exponent: int) -> list[Term]:
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


def rename_all(run: Run, term: Term, mapping: Mapping[Var, Var]) -> list[Term]:
    """Return a term with variables renamed, perhaps onto each other; nested forms are rebuilt."""
    if not mapping:
        return [term]
    nested = {a: e for a, e in term.factors.items() if is_nested(a) and any(v in mapping for v in atom_vars(a))}
    plain: Factors = {}
    for atom, exponent in term.factors.items():
        if atom not in nested:
            plain = times(plain, {rename_atom(atom, mapping): exponent})
    bound = {v for v in term.bound if v not in mapping}
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
