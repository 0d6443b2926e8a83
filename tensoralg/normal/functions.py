"""Functions, denominators and roots of normal forms.

* ``exp`` of a sum is a product: a term has one exponent, a form refined at all blocks of the term's chain, from
  which a bound block that it does not depend on is dropped.  ``exp(c log x)`` is ``x^c`` for integers c.
* From a denominator everything its monomials share is taken out, so ``1/(exp(x) Z)`` is ``exp(-x)/Z``; of
  exponents over open variables, the least coefficient of the pieces that the order makes of them.
* ``log`` of a product of positive factors is a sum; ``sqrt(c x)`` is ``sqrt(c) sqrt(x)`` for c > 0, and
  ``sqrt(x)^2`` is x; ``relu(c x)`` is ``c relu(x)`` for c > 0, ``relu(x) - relu(-x)`` is x.
* A delta between open variables inside a function makes two cases.

Cancelling ``Z * (1/Z)`` is sound on the domain of the claim, which `tensoralg.proof.domain` keeps track of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.normal.order import masked
from tensoralg.normal.sign import Signs
from tensoralg.normal.terms import ONE, UNIT, WAITING, Atom, Form, Known, Term, collected, outline, scaled, variables

LARGEST_FACTOR = 10_000


@dataclass(frozen=True)
class Step:
    """How a function was applied, for certificates.

    Attributes
    ----------
    kind : str
        ``exp`` (of logarithms and an exponent), ``factor`` (a function of a scale times the rest), ``flip``
        (relu of the negative), ``sign`` (relu of a known sign), ``none`` (a function of 0).
    scale : Term
        What was taken out, denominators included.
    rest : Form
    logarithms : tuple of (form, power)
        For ``exp``: what the exponential of a logarithm became.
    sign : int
        For ``sign``: the sign.
    """

    kind: str
    scale: Term = field(default_factory=Term)
    rest: Form = ()
    logarithms: tuple[tuple[Form, Any], ...] = ()
    sign: int = 0


class Functions(Signs):
    """Normal forms of functions at a fixed chain; `known` is the order of their open variables."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.apart: frozenset[tuple[Any, ...]] = frozenset()
        self.steps: list[Step] = []

    def thaw(self, mono: Any, coefficient: Any, to: Mapping[Any, Any] | None = None) -> Term:
        """Return a canonical monomial as a term (`tensoralg.normal.label`)."""
        raise NotImplementedError

    def opened_form(self, form: Form) -> list[Term]:
        """Return a form as terms with fresh bound variables, the order as masks."""
        return [masked(self.thaw(mono, c)) for mono, c in form]

    # exponents

    def exponent(self, term: Term) -> Form:
        """Return the logarithm of the exponentials of a chained term, refined at all of its blocks."""
        found = [t for a, e in term.powers.items() if a[0] == "E" for t in self.opened_form(scaled(a[1], e))]
        return self.normal(found, term.reps()) if found else ()

    def with_exponent(self, term: Term, form: Form) -> Term:
        """Return a term with another exponent."""
        result = term.without(*(a for a in term.powers if a[0] == "E"))
        return result.times(("E", form)) if form else result

    def lighter(self, term: Term, space: str, v: Any) -> Form | None:
        """Return the exponent of a settled term without a block; None if it depends on the block."""
        form = next((a[1] for a in term.powers if a[0] == "E"), ())
        return self.coarser(form, space, v, term.reps()) if form else ()

    def coarser(self, form: Form, space: str, v: Any, known: Known) -> Form | None:
        """Return a refined form without an open variable that it does not depend on; None if it does.

        If it does not, the monomials in which v stands alone as the last block of its gap are, without it, the
        form that was refined.
        """
        if not any(v in b for mono, _ in form for _, bs in mono[2] for b in bs) and not any(
            v in variables(a) for mono, _ in form for a, _ in mono[0]
        ):
            return form
        rest = {**known, space: tuple(x for x in known[space] if x != v)}
        small = self.normal([t for mono, c in form for t in self._unblocked(mono, c, space, v, known)], rest)
        return small if self.normal(self.opened_form(small), known) == form else None

    def _unblocked(self, mono: Any, coefficient: Any, space: str, v: Any, known: Known) -> list[Term]:
        """Return a monomial without a block that stands last in its gap and carries nothing; else nothing."""
        term = self.thaw(mono, coefficient)
        blocks = term.chains.get(space) or tuple((x,) for x in known[space])
        k = next((k for k, block in enumerate(blocks) if v in block), None)
        if k is None or (k + 1 < len(blocks) and blocks[k + 1][0] in term.bound):
            return []
        if any(v in variables(a) for a in term.powers if a[0] != "E"):
            return []
        term.chains = {**{s: tuple((x,) for x in xs) for s, xs in known.items()}, **term.chains}
        form = self.lighter(term, space, v)
        if form is None:
            return []
        term = self.with_exponent(term, form)
        term.chains[space] = (*blocks[:k], *blocks[k + 1 :])
        return [masked(term)]

    # functions

    def resolve(self, term: Term) -> list[Term] | None:
        """Return a chained term with a function in normal form, as terms to refine again; None if none is left."""
        for atom, power in term.powers.items():
            if atom[0] == "f" and is_grown(atom, power):
                return self.product([[masked(term.without(atom))], self.unrolled(atom, power)])
            if atom[0] == "F":
                return self._resolved(term, atom, power)
        for atom, power in term.powers.items():
            if atom[:2] == ("f", WAITING):  # it waited until what it divides was multiplied out
                return [masked(term.without(atom)).times(("f", "1/", atom[2]), power)]
        return None

    def _resolved(self, term: Term, atom: Atom, power: Any) -> list[Term]:
        known, form = self.argument(term, atom)
        pair = next((a[1:] for mono, _ in form for a, _ in mono[0] if a[0] == "d"), None)
        if pair is not None:  # both cases of an open delta inside a function
            return [masked(term).times(("d", *pair)), masked(term).times(("n", *pair))]
        return self.product([[masked(term.without(atom))], self._selected(atom[1], form, power, known)])

    def _row(self, form: Form) -> tuple[str, int, Any] | None:
        """Return (tensor, leg, variable) of a row of a permutation matrix that is open at `variable` and summed."""
        for mono, _ in form:
            own = {v for v, _ in mono[1]} - {v for _, blocks in mono[2] for b in blocks for v in b}
            for atom, _ in mono[0]:
                if atom[0] == "t" and self.setting.tensors[atom[1]].permutation:
                    for leg in (0, 1):
                        if atom[2 + leg] not in own and atom[3 - leg] in own:
                            return atom[1], leg, atom[2 + leg]
        return None

    def _selected(self, name: str, form: Form, power: int, known: Known) -> list[Term]:
        """Apply a function; ``f(sum(a: P[t,a]*x[a]))`` for a permutation P is ``sum(a: P[t,a]*f(x[a]))``."""
        row = self._row(form)
        if row is None:
            return self.apply(name, form, power, known)
        entry, chosen, inner = self.select(form, known, row)
        outer = Term(powers={entry: 1}, bound={chosen: self.space_of[chosen]})
        return self.product([[outer], self._selected(name, inner, power, known)])

    def select(self, form: Form, known: Known, row: tuple[str, int, Any]) -> tuple[Atom, Any, Form]:
        """Return (P[t,a], a, x) for a form ``sum(a: P[t,a]*x[a])``, where a is a new variable."""
        matrix, leg, variable = row
        chosen = self.fresh(self.atomic(variable))
        terms = []
        for mono, c in form:
            term = masked(self.thaw(mono, c))
            for atom in list(term.powers):
                if atom[:2] == ("t", matrix) and atom[2 + leg] == variable and atom[3 - leg] in term.bound:
                    gone = atom[3 - leg]
                    del term.bound[gone]
                    (term,) = self.rename(term.without(atom), {gone: chosen})
                    break
            terms.append(term)
        entry = ("t", matrix, variable, chosen) if leg == 0 else ("t", matrix, chosen, variable)
        return entry, chosen, self.normal(terms, known)

    def argument(self, term: Term, atom: Atom) -> tuple[Known, Form]:
        """Return the argument of a folded function at the chain of its term, and the order of its variables."""
        seen = set(variables(atom))
        known = {s: tuple(b[0] for b in bs if b[0] in seen) for s, bs in term.chains.items()}
        outer = self.apart
        self.apart = outer | {a[1:] for a in term.powers if a[0] == "n"}
        try:
            return known, self.normal(self.expand(atom[2], dict(atom[3])), known)
        finally:
            self.apart = outer

    def unrolled(self, atom: Atom, power: Any) -> list[Term]:
        """Return a denominator in the numerator, or a square of a root, multiplied out."""
        if atom[1] == "1/":
            return self.product([self.opened_form(atom[2]) for _ in range(-power)])
        whole, half = divmod(power, 2)
        return self.product([[Term().times(atom, half)], *(self.opened_form(atom[2]) for _ in range(whole))])

    def apply(self, name: str, form: Form, power: int, known: Known) -> list[Term]:
        """Return a power of a function of a normal form; `steps` says how."""
        outer, self.steps = self.steps, []
        if name == "exp":
            result, step = self._exponential(form, power)
        else:
            result, step = self._applied(name, *self.narrowed(form, known), power)
        self.steps = [*outer, step]
        return result

    def _applied(self, name: str, form: Form, known: Known, power: int) -> tuple[list[Term], Step]:
        if name == "1/":
            return self._reciprocal(form, power, known)
        if not form:
            if name == "log":
                raise Undecided("log of 0 occurs where it is undefined", remedy="restate the claim")
            return [], Step("none")
        scale, rest = self.shared(form, known, positive=True)
        make = {"relu": self._relu, "sqrt": self._root, "log": self._logarithm}[name]
        found = [make(scale.copy(), rest, known) for _ in range(power)]
        return self.product([terms for terms, _ in found]), found[0][1]

    def narrowed(self, form: Form, known: Known) -> tuple[Form, Known]:
        """Return a form without the open variables that it does not depend on, and the order of the others."""
        for space, v in [(s, v) for s, vs in known.items() for v in vs]:
            small = self.coarser(form, space, v, known)
            if small is not None:
                form, known = small, {**known, space: tuple(x for x in known[space] if x != v)}
        return form, known

    def _exponential(self, form: Form, power: int) -> tuple[list[Term], Step]:
        groups: list[list[Term]] = []
        logarithms: list[tuple[Form, Any]] = []
        left: dict[Any, Any] = {}
        for mono, c in form:
            factors, bound, chains = mono
            alone = len(factors) == 1 and factors[0][1] == 1 and not bound and not chains
            inside: Atom = factors[0][0] if alone else ("",)
            if inside[:2] == ("f", "log") and Fraction(c).denominator == 1:
                logarithms.append((inside[2], int(c)))
                groups += [self.opened_form(inside[2]) for _ in range(int(c) * power)]
                if c < 0:
                    groups.append([Term(powers={("f", "1/", inside[2]): int(-c) * power})])
            else:
                left[mono] = c
        rest = collected(left)
        groups.append([Term(powers={("E", scaled(rest, power)): 1} if rest else {})])
        return self.product(groups), Step("exp", rest=rest, logarithms=tuple(logarithms))

    def _relu(self, scale: Term, rest: Form, known: Known) -> tuple[list[Term], Step]:
        if self.positive(rest, known, strict=False):
            return self.product([[scale], self.opened_form(rest)]), Step("sign", scale.copy(), rest, sign=1)
        turned = scaled(rest, -1)
        if self.positive(turned, known, strict=False):
            return [], Step("sign", scale, rest, sign=-1)
        if outline(turned) < outline(rest):
            terms = self.product([[scale.copy()], [Term(powers={("f", "relu", turned): 1}), *self.opened_form(rest)]])
            return terms, Step("flip", scale, rest)
        return [scale.copy().times(("f", "relu", rest))], Step("factor", scale, rest)

    def _root(self, scale: Term, rest: Form, known: Known) -> tuple[list[Term], Step]:
        result = Term()
        for prime, power in primes(scale.coefficient):
            result.times(("s", prime), Fraction(power, 2))
        for atom, power in scale.powers.items():
            if atom[0] == "E":
                result.times(("E", scaled(atom[1], Fraction(power) / 2)))
            elif atom[0] == "s":
                result.times(atom, Fraction(power) / 2)
            else:
                whole, half = divmod(power, 2)
                result.times(atom, whole).times(("f", "sqrt", single(atom)), half)
        return [result if rest == ONE else result.times(("f", "sqrt", rest))], Step("factor", scale, rest)

    def _logarithm(self, scale: Term, rest: Form, known: Known) -> tuple[list[Term], Step]:
        terms = [] if rest == ONE else [Term(powers={("f", "log", rest): 1})]
        for prime, power in primes(scale.coefficient):
            terms.append(Term(Fraction(power), {("f", "log", ((UNIT, Fraction(prime)),)): 1}))
        for atom, power in scale.powers.items():
            if atom[0] == "E":
                terms += self.opened_form(scaled(atom[1], power))
            elif atom[:2] == ("f", "1/"):
                terms += [t.copy(-power) for t in self.apply("log", atom[2], 1, known)]
            else:
                terms.append(Term(Fraction(power), {("f", "log", single(atom)): 1}))
        return terms, Step("factor", scale, rest)

    def _reciprocal(self, form: Form, power: int, known: Known) -> tuple[list[Term], Step]:
        if not form:
            raise Undecided("a denominator is identically zero", remedy="restate the claim")
        taken, form = self.cleared(form, known)
        scale, rest = self.shared(form, known)
        for atom, e in taken.items():
            scale.times(atom, e)
        result = Term(1 / Fraction(scale.coefficient) ** power)
        for atom, e in scale.powers.items():
            if atom[0] == "E":
                result.times(("E", scaled(atom[1], -e * power)))
            else:
                result.times(atom, -e * power)
        return [result if rest == ONE else result.times(("f", "1/", rest), power)], Step("factor", scale, rest)

    # what monomials share

    def shared(self, form: Form, known: Known, positive: bool = False) -> tuple[Term, Form]:
        """Return what all monomials of a form share (all of it, or what is known positive), and the rest."""
        size = Fraction(gcd(*(c.numerator for _, c in form)))
        for _, c in form:
            size = Fraction(size.numerator, size.denominator * c.denominator // gcd(size.denominator, c.denominator))
        if not positive and outline(scaled(form, -1)) < outline(form):
            size = -size
        lowest: dict[Any, Any] = {}
        for mono, _ in form:
            own = {v for v, _ in mono[1]}
            for atom, _ in mono[0]:
                usual = atom[0] in "tspf" or (atom[0] == "G" and not positive)
                if usual and not own & set(variables(atom)) and (not positive or self.sign(atom, 1) > 0):
                    lowest[atom] = min(dict(m[0]).get(atom, 0) for m, _ in form)
        common = self._common_exponent(form, known)
        scale = Term(size, {a: e for a, e in lowest.items() if e} | ({("E", common): 1} if common else {}))
        if not scale.powers:
            return scale, scaled(form, 1 / size)
        terms = []
        for mono, c in form:
            term = masked(self.thaw(mono, c / size))
            for atom, e in scale.powers.items():
                term.times(*((("E", scaled(atom[1], -1)), e) if atom[0] == "E" else (atom, -e)))
            terms.append(term)
        return scale, self.normal(terms, known)

    def _common_exponent(self, form: Form, known: Known) -> Form:
        """Return the sum of the open monomials of the exponents, each with the least coefficient of its pieces."""
        exponents = []
        candidates: dict[Any, None] = {}
        for mono, c in form:
            term = self.thaw(mono, c)
            chain: Known = {**known, **term.reps()}
            exponent = dict(next((a[1] for a in term.powers if a[0] == "E"), ()))
            exponents.append((exponent, chain))
            for piece in exponent:
                candidates.update(dict.fromkeys(self._open_whole(piece, term, chain, known)))
        least: dict[Any, Any] = {}
        for mono in candidates:
            amounts = []
            for exponent, order in exponents:
                pieces = self.normal(self.opened_form(((mono, Fraction(1)),)), order)
                amounts.append(min(exponent.get(m, 0) / c if c > 0 else Fraction(0) for m, c in pieces))
            least[mono] = min(amounts)
        return collected(least)

    def _open_whole(self, piece: Any, term: Term, chain: Known, known: Known) -> list[Any]:
        """Return the monomial over the open variables of which `piece` is a part, if there is one."""
        seed = self.thaw(piece, Fraction(1))
        for space, vs in chain.items():
            for v in [v for v in vs if v in term.bound]:
                if v in {x for b in seed.chains.get(space, ()) for x in b} or any(
                    v in variables(a) for a in seed.powers
                ):
                    found = self._unblocked(*self.canonical(seed), space, v, chain)
                    if not found:
                        return []
                    (chained,) = self.refine(found[0], {**chain, space: tuple(x for x in chain[space] if x != v)})[:1]
                    seed = chained
        if set(term.bound) & {v for a in seed.powers for v in variables(a)}:
            return []
        return [mono for mono, _ in self.normal([masked(seed)], known)]

    def canonical(self, term: Term) -> tuple[Any, int]:
        """Return a canonical monomial and a sign (`tensoralg.normal.label`)."""
        raise NotImplementedError

    def cleared(self, form: Form, known: Known | None) -> tuple[dict[Atom, Any], Form]:
        """Return denominators, and the form times them: one common denominator of all monomials.

        At the outermost level every order of the open variables has denominators of its own.
        """
        taken: dict[Atom, Any] = {}
        while uneven := self.denominators(form, known):
            terms = []
            for mono, c in form:
                term = masked(self.thaw(mono, c))
                for atom, e in uneven.get(arrangement(mono, known), {}).items():
                    term.times(atom, -e)
                terms.append(term)
            for found in uneven.values():
                for atom, e in found.items():
                    taken[atom] = taken.get(atom, 0) + e
            form = self.normal(terms, known)
        return taken, form

    def denominators(self, form: Form, known: Known | None) -> dict[Any, dict[Atom, Any]]:
        """Return, for every order of the open variables, the denominators that not all monomials have alike."""
        found: dict[Any, dict[Atom, Any]] = {}
        for order in dict.fromkeys(arrangement(mono, known) for mono, _ in form):
            group = [mono for mono, _ in form if arrangement(mono, known) == order]
            highest: dict[Atom, Any] = {}
            for mono in group:
                own = {v for v, _ in mono[1]}
                for atom, e in mono[0]:
                    if atom[:2] == ("f", "1/") and not own & set(variables(atom)):
                        highest[atom] = max(e, highest.get(atom, 0))
            uneven = {a: e for a, e in highest.items() if any(dict(mono[0]).get(a, 0) != e for mono in group)}
            if uneven:
                found[order] = uneven
        return found


def arrangement(mono: Any, known: Known | None) -> Any:
    """Return the order of the free variables in the chains of a monomial, unless it is known anyway."""
    if known is not None:
        return ()
    found = ((s, tuple(b for b in blocks if isinstance(b[0], str))) for s, blocks in mono[2])
    return tuple((s, blocks) for s, blocks in found if blocks)


def is_grown(atom: Atom, power: Any) -> bool:
    """Whether a normalised function to this power is no normal form: denominators upstairs, squares of roots."""
    return bool((atom[1] == "1/" and power < 0) or (atom[1] == "sqrt" and power > 1))


def single(atom: Atom) -> Form:
    """Return an atom as a form."""
    return (((((atom, 1),), (), ()), Fraction(1)),)


def primes(value: Any) -> list[tuple[int, int]]:
    """Return a positive rational as powers of primes (of what is left of large numbers, as one factor).

    Examples
    --------
    >>> primes(Fraction(12, 5))
    [(2, 2), (3, 1), (5, -1)]
    """
    found: dict[int, int] = {}
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        factor = 2
        while number > 1 and factor <= LARGEST_FACTOR and factor * factor <= number:
            while number % factor == 0:
                number //= factor
                found[factor] = found.get(factor, 0) + sign
            factor += 1
        if number > 1:
            found[number] = found.get(number, 0) + sign
    return sorted(found.items())
