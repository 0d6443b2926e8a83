"""Where an expression is defined, and what is known to be positive.

Equality is equality of partial functions: a denominator (or logarithm, or root) that both sides have in
equal normal form is the claim's own domain; any other must be *known*, else the claim is undecided.

*Known positive*: in every arrangement of the free ordered indices the form has only nonnegative
coefficients (in ``x = 1 + x'`` for every size), only nonnegative factors, and at least one term with
a positive coefficient and positive factors that is never an empty sum.  ``sum(s: lt[s,t]*exp(..))`` is 0 at
the first t and is not known positive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations, product
from math import comb
from typing import Any

from tensoralg.expr.nodes import Apply, Expr, Mul, Pow
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.form import normalise
from tensoralg.normal.label import Form, Mono
from tensoralg.normal.order import chains
from tensoralg.normal.terms import Atom, Run, Var
from tensoralg.spaces import Index, IndexTerm

KINDS = {"log": "> 0", "sqrt": ">= 0"}
MOST_ORDERINGS = 120


@dataclass(frozen=True)
class Condition:
    """``term != 0``, ``> 0`` or ``>= 0`` for all values of its free indices."""

    relation: str
    term: Expr

    def __str__(self) -> str:
        scope = f" for all {', '.join(self.term.free)}" if self.term.free else ""
        return f"{self.term} {self.relation}{scope}"


def conditions(expr: Expr) -> list[Condition]:
    """Return what has to hold for an expression to be defined."""
    found = []
    for node in walk(expr):
        if isinstance(node, Pow) and node.exponent < 0:
            found += [Condition("!= 0", factor) for factor in _nonzero_factors(node.base)]
        elif isinstance(node, Apply) and node.function in KINDS:
            found.append(Condition(KINDS[node.function], node.argument))
    return list(dict.fromkeys(found))


def _nonzero_factors(term: Expr) -> list[Expr]:
    """Return terms that are all nonzero exactly where a term is: the factors of a product."""
    if isinstance(term, Mul):
        return [part for factor in term.factors for part in _nonzero_factors(factor)]
    return _nonzero_factors(term.base) if isinstance(term, Pow) else [term]


def open_conditions(
    expr: Expr, tensors: Mapping[str, Tensor], ordered: frozenset[str], fixed: Mapping[str, int]
) -> dict[Any, Condition]:
    """Return the conditions of an expression that are not known to hold, by their normal form."""
    result: dict[Any, Condition] = {}
    for condition in conditions(expr):
        place = Place(tensors, ordered, fixed)
        if not all(known_sign(run, form, condition.relation != ">= 0") for run, form in place.forms(condition.term)):
            result[condition.relation, _anonymous(place, condition)] = condition
    return result


@dataclass(frozen=True)
class Place:
    """Where conditions are judged: tensors, ordered spaces, and sizes that are taken by components."""

    tensors: Mapping[str, Tensor]
    ordered: frozenset[str]
    fixed: Mapping[str, int]

    def forms(self, term: Expr) -> Iterator[tuple[Run, Form]]:
        """Yield the normal form of a term for every choice of its indices of fixed size."""
        ranges = {i: self.fixed.get(str(i.space.dimension), 0) for i in term.free_indices}
        chosen = [index for index, size in ranges.items() if size]
        for point in product(*(range(ranges[index]) for index in chosen)):
            run = Run(self.tensors, self.ordered, self.fixed)
            values: dict[Index, Var] = {index: f"#{k}" for index, k in zip(chosen, point, strict=True)}
            yield run, normalise(run, term, {i: values.get(i) or run.free(i) for i in term.free_indices})


def _anonymous(place: Place, condition: Condition) -> Any:
    """Return the normal form of a condition up to the names of its free indices, and up to scale for ``!= 0``."""
    term = condition.term
    groups: dict[Any, list[Index]] = {}
    for index in term.free_indices:
        groups.setdefault(index.space, []).append(index)
    spaces = sorted(groups, key=str)
    names = [[Index(f"q{k}_{j}", space) for j in range(len(groups[space]))] for k, space in enumerate(spaces)]
    best = None
    for count, orders in enumerate(product(*(permutations(group) for group in names))):
        if count >= MOST_ORDERINGS:
            break
        mapping: dict[Index, IndexTerm] = {
            old: new
            for space, order in zip(spaces, orders, strict=True)
            for old, new in zip(groups[space], order, strict=True)
        }
        forms = [form for _, form in place.forms(substitute(term, mapping))]
        key = tuple(map(_up_to_scale, forms)) if condition.relation == "!= 0" else tuple(forms)
        best = key if best is None else min(best, key, key=repr)
    return best


def _up_to_scale(form: Form) -> Form:
    """Return a form divided by its rational content, its sign chosen by comparing both."""
    size = max((abs(c) for _, c in form), default=Fraction(1))
    return min((tuple((m, s * c / size) for m, c in form) for s in (1, -1)), key=repr)


def known_sign(run: Run, form: Form, strict: bool) -> bool:
    """Whether a form is known to be positive (nonnegative when not strict) wherever it is defined."""
    free: dict[str, list[Var]] = {name: [] for name in run.ordered}
    for variable, space in run.spaces.items():
        if isinstance(variable, str) and space.name in free:
            free[space.name].append(variable)
    for arrangement in _arrangements(free):
        monos = [(m, c) for m, c in form if _arrangement(m) == arrangement]
        if not _positive_sum(run, monos, strict):
            return False
    return True


def _arrangements(free: Mapping[str, list[Var]]) -> Iterator[dict[str, Any]]:
    names = sorted(name for name in free if free[name])
    for choice in product(*(list(chains((), free[name], ())) for name in names)):
        yield {
            name: tuple(tuple(sorted(map(str, b))) for b in blocks) for name, blocks in zip(names, choice, strict=True)
        }


def _arrangement(mono: Mono) -> dict[str, Any]:
    found = {}
    for space, blocks in mono[2]:
        named = tuple(tuple(sorted(v for v in b if isinstance(v, str))) for b in blocks)
        if any(named):
            found[space] = tuple(b for b in named if b)
    return found


def _positive_sum(run: Run, monos: list[tuple[Mono, Fraction]], strict: bool) -> bool:
    groups: dict[Mono, dict[tuple[tuple[Atom, Any], ...], Fraction]] = {}
    for (factors, bound, order), coefficient in monos:
        sizes = tuple(f for f in factors if f[0][0] in ("s", "p"))
        rest = tuple(f for f in factors if f[0][0] not in ("s", "p"))
        groups.setdefault((rest, bound, order), {})[sizes] = coefficient
    reached = False
    for mono, polynomial in groups.items():
        chosen = _selectors(run, mono)
        signs = [1 if atom in chosen else _atom_sign(run, atom, exponent) for atom, exponent in mono[0]]
        level = _polynomial_sign(polynomial)
        if level < 0 or any(sign < 0 for sign in signs):
            return False
        reached |= level > 0 and all(sign > 0 for sign in signs) and _never_empty(mono)
    return reached or not strict


def _selectors(run: Run, mono: Mono) -> set[Atom]:
    """Return entries of permutation matrices that only select values of bound variables.

    ``sum_a P[t,a] y[a]`` is one of the y, so P does not matter to the sign; this holds for entries that
    can be removed one after the other, each with a bound variable that no remaining one mentions.
    """
    chained = {v for _, blocks in mono[2] for b in blocks for v in b}
    loose = {v for v, _ in mono[1]} - chained
    left = [a for a, e in mono[0] if a[0] == "t" and run.tensors[a[1]].permutation and e == 1]
    found: set[Atom] = set()
    while left:
        gone = next(
            (
                a
                for a in left
                if any(
                    v in loose and not any(v in b[2] for b in left if b != a) for v in set(a[2]) if a[2][0] != a[2][1]
                )
            ),
            None,
        )
        if gone is None:
            break
        left.remove(gone)
        found.add(gone)
    return found


def _never_empty(mono: Mono) -> bool:
    """Whether the sum over the bound variables of a monomial has a term at all sizes."""
    for _, blocks in mono[2]:
        bound = sum(1 for b in blocks if not any(isinstance(v, str) for v in b))
        if bound > (1 if bound == len(blocks) else 0):
            return False
    return True


def _polynomial_sign(polynomial: Mapping[tuple[tuple[Atom, Any], ...], Fraction]) -> int:
    """Return 1 if a polynomial in sizes is positive, 0 if nonnegative, -1 if neither is known."""
    if all(c > 0 for c in polynomial.values()):
        return 1
    if any(not isinstance(e, int) or e < 0 for key in polynomial for _, e in key):
        return -1
    shifted: dict[tuple[tuple[Atom, int], ...], Fraction] = {}
    for key, coefficient in polynomial.items():
        for powers in product(*(range(e + 1) for _, e in key)):
            weight = coefficient
            for (_, e), k in zip(key, powers, strict=True):
                weight *= comb(e, k)
            name = tuple((atom, k) for (atom, _), k in zip(key, powers, strict=True) if k)
            shifted[name] = shifted.get(name, Fraction(0)) + weight
    if any(c < 0 for c in shifted.values()):
        return -1
    return 1 if shifted.get((), 0) > 0 else 0


def _atom_sign(run: Run, atom: Atom, exponent: Any) -> int:
    """Return 1 if a power of an atom is positive, 0 if nonnegative, -1 if neither is known."""
    kind = atom[0]
    if kind in ("s", "e", "p") or (kind == "t" and run.tensors[atom[1]].positive):
        return 1
    if (
        kind == "d"
        or (kind == "t" and run.tensors[atom[1]].permutation)
        or (kind == "f" and atom[1] in ("relu", "sqrt"))
    ):
        return 0
    if kind == "r" and all(c > 0 and all(_atom_sign(run, a, e) > 0 for a, e in m[0]) for m, c in atom[1]):
        return 1 if any(_never_empty_inside(m) for m, _ in atom[1]) else 0
    return 0 if isinstance(exponent, int) and exponent % 2 == 0 else -1


def _never_empty_inside(mono: Mono) -> bool:
    own = {v for v, _ in mono[1]}
    for _, blocks in mono[2]:
        bound = sum(1 for b in blocks if all(v in own for v in b))
        if bound > (1 if bound == len(blocks) else 0):
            return False
    return True
