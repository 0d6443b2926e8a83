"""Rewriting by declared facts: isometries, inverses, projections, permutation matrices.

Each fact replaces a small subnetwork.  A rule fires only where its summed index is bound in the
monomial and occurs in no factor, mask or function outside the match (design 3.5): otherwise
``U[i,a] U[j,a]`` inside ``U[i,a] U[j,a] x[a]`` would be rewritten, which is wrong.

A permutation matrix P has one 1 in each row and column, so ``P[i,a] P[i,b] = P[i,a] delta[a,b]``,
``sum_a P[i,a] = 1``, and for every function f and terms x_a that P selects from,
``f(sum_a P[i,a] x_a) = sum_a P[i,a] f(x_a)``; terms that P does not multiply are constant in a.  An
indicator m in {0, 1} inside a function splits it: ``f(x(m)) = f(x(0)) + m (f(x(1)) - f(x(0)))``.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from tensoralg.errors import Undecided
from tensoralg.expr.nodes import (
    Apply,
    Delta,
    Entry,
    Expr,
    Mask,
    Number,
    Size,
    add,
    bind,
    mul,
    power,
)
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.normal.expand import expand, rename, restrict
from tensoralg.normal.terms import Atom, Run, Term, Var, atom_vars, is_fixed, times
from tensoralg.spaces import Index


def eliminate_deltas(run: Run, term: Term) -> Term:
    """Return a term in which no delta holds a bound variable, and those left hold distinct free ones."""
    while True:
        found = next((a for a in term.factors if a[0] == "d" and (a[1] == a[2] or _bound_side(term, a))), None)
        if found is None:
            return _unify_free(run, term)
        rest = {a: e for a, e in term.factors.items() if a != found}
        gone = None if found[1] == found[2] else _bound_side(term, found)
        if gone is None:
            term = Term(term.coefficient, rest, term.bound)
        else:
            kept = found[2] if found[1] == gone else found[1]
            term = rename(run, Term(term.coefficient, rest, term.bound - {gone}), {gone: kept})


def _bound_side(term: Term, atom: Atom) -> int | None:
    return next((v for v in atom[1:] if isinstance(v, int) and v in term.bound), None)


def _unify_free(run: Run, term: Term) -> Term:
    """Replace the second index of a delta between open indices by the first in the rest of the term."""
    for atom in [a for a in term.factors if a[0] == "d"]:
        kept, gone = atom[1:]
        rest = {a: e for a, e in term.factors.items() if a != atom}
        if any(gone in atom_vars(a) for a in rest):
            moved = rename(run, Term(term.coefficient, rest, term.bound), {gone: kept})
            return eliminate_deltas(run, Term(moved.coefficient, times(moved.factors, {atom: 1}), moved.bound))
    factors = {a: (1 if a[0] == "d" else e) for a, e in term.factors.items()}
    return Term(term.coefficient, factors, term.bound)


def apply_fact(run: Run, term: Term) -> Term | None:
    """Return the term after one rewriting by a declared fact; None if none applies."""
    entries = [a for a in term.factors if a[0] == "t" and _has_matrix_fact(run, a[1])]
    if not entries:
        return None
    uses = Counter(
        v for atom, exponent in term.factors.items() for v in atom_vars(atom) for _ in range(_times(exponent))
    )
    for position, atom in enumerate(entries):
        found = _single(run, term, atom, uses)
        if found is None:
            for other in entries[position:]:
                found = found or _pair(run, term, atom, other, uses)
        if found is not None:
            return found
    return None


def _has_matrix_fact(run: Run, name: str) -> bool:
    symbol = run.tensors[name]
    return bool(symbol.permutation or symbol.isometry or symbol.projection or symbol.inverse_of) or any(
        other.inverse_of == name for other in run.tensors.values()
    )


def _times(exponent: object) -> int:
    return abs(exponent) if isinstance(exponent, int) else 1


def _without(term: Term, *atoms: Atom) -> dict[Atom, object]:
    factors = dict(term.factors)
    for atom in atoms:
        factors = times(factors, {atom: -1})
    return factors


def _single(run: Run, term: Term, atom: Atom, uses: Counter[Var]) -> Term | None:
    symbol, exponent = run.tensors[atom[1]], term.factors[atom]
    if symbol.permutation and exponent > 1:
        return Term(term.coefficient, {**term.factors, atom: 1}, term.bound)
    if symbol.permutation and exponent == 1 and atom[2][0] != atom[2][1]:
        for v in atom[2]:
            if v in term.bound and uses[v] == 1:
                return Term(term.coefficient, _without(term, atom), term.bound - {v})
    return None


def _pair(run: Run, term: Term, first: Atom, second: Atom, uses: Counter[Var]) -> Term | None:
    """Return the term after contracting two matrix entries over an index that nothing else mentions."""
    if term.factors[first] < 1 or term.factors[second] < 1 or (first == second and term.factors[first] != 2):
        return None
    for a in (0, 1):
        for b in (0, 1):
            shared = first[2][a]
            if first == second and a != b:
                continue
            if shared != second[2][b]:
                continue
            left, right = first[2][1 - a], second[2][1 - b]
            if run.tensors[first[1]].permutation and first[1] == second[1] and a == b and first != second:
                atom = ("d", *sorted((left, right), key=str))
                return Term(term.coefficient, times(_without(term, second), {atom: 1}), term.bound)
            if shared not in term.bound or uses[shared] != 2 or left == shared or right == shared:
                continue
            result = _product(run, first, second, a, b, left, right)
            if result is not None:
                return Term(term.coefficient, times(_without(term, first, second), result), term.bound - {shared})
    return None


def _product(run: Run, first: Atom, second: Atom, a: int, b: int, left: Var, right: Var) -> dict[Atom, int] | None:
    """Return what ``sum over the shared index`` of two matrix entries is by a declared fact."""
    one, two = run.tensors[first[1]], run.tensors[second[1]]
    identity: dict[Atom, int] = {} if left == right else {("d", *sorted((left, right), key=str)): 1}
    if one.name == two.name:
        if one.permutation and a == b:
            return identity
        if one.isometry and a == b == 0:
            return identity
        if one.projection and a != b:
            return {("t", one.name, (left, right) if a == 1 else (right, left)): 1}
    elif a != b and (one.inverse_of == two.name or two.inverse_of == one.name):
        return identity
    return None


def extract(run: Run, term: Term) -> list[Term] | None:
    """Return the term with one indicator pulled out of a function or denominator; None if there is none."""
    for atom, exponent in term.factors.items():
        if atom[0] not in ("F", "R") or not _may_hold_indicator(run, atom):
            continue
        inner = [settled for t in expand(run, atom[-2], dict(atom[-1])) for settled in settle(run, t)]
        rest = {a: e for a, e in term.factors.items() if a != atom}
        outer = Term(term.coefficient, rest, set(term.bound))
        row = _open_row(run, inner)
        if row is not None:
            return [_pull_row(run, outer, atom, exponent, inner, row)]
        split = _open_indicator(run, inner)
        if split is not None:
            return _split(run, outer, atom, exponent, inner, split)
    return None


def settle(run: Run, term: Term) -> list[Term]:
    """Return a term with deltas, facts and indicators inside functions worked off."""
    done, work = [], [term]
    while work:
        current = eliminate_deltas(run, work.pop())
        rewritten = apply_fact(run, current)
        if rewritten is not None:
            work.append(rewritten)
            continue
        pulled = extract(run, current)
        if pulled is not None:
            work.extend(pulled)
        else:
            done.append(current)
    return done


def _may_hold_indicator(run: Run, atom: Atom) -> bool:
    for node in walk(atom[-2]):
        if isinstance(node, Entry) and run.tensors[node.tensor.name].permutation:
            return True
        if isinstance(node, Delta):
            return True
    return False


def _open_row(run: Run, inner: list[Term]) -> tuple[str, int, Var] | None:
    """Return (tensor, slot, variable) of a permutation row that is open at `variable` and summed."""
    for term in inner:
        for atom in term.factors:
            if atom[0] == "t" and run.tensors[atom[1]].permutation:
                for slot in (0, 1):
                    if atom[2][slot] not in term.bound and atom[2][1 - slot] in term.bound:
                        return atom[1], slot, atom[2][slot]
    return None


def _pull_row(run: Run, outer: Term, atom: Atom, exponent: int, inner: list[Term], row: tuple[str, int, Var]) -> Term:
    name, slot, variable = row
    chosen = run.fresh(run.spaces[variable])
    selected = []
    for term in inner:
        match = next(
            (
                a
                for a in term.factors
                if a[0] == "t" and a[1] == name and a[2][slot] == variable and a[2][1 - slot] in term.bound
            ),
            None,
        )
        if match is None:
            selected.append(term)
        else:
            gone = match[2][1 - slot]
            rest = Term(term.coefficient, _without(term, match), term.bound - {gone})
            selected.append(rename(run, rest, {gone: chosen}))
    pair = (variable, chosen) if slot == 0 else (chosen, variable)
    factors = times(outer.factors, {("t", name, pair): 1})
    factors = times(factors, {_fold(run, atom, selected): exponent})
    return Term(outer.coefficient, factors, outer.bound | {chosen})


def _open_indicator(run: Run, inner: list[Term]) -> Atom | None:
    """Return a delta, or an entry of a permutation, all of whose variables are open."""
    for term in inner:
        for atom in term.factors:
            indicator = atom[0] == "d" or (atom[0] == "t" and run.tensors[atom[1]].permutation)
            if indicator and atom[0] == "d" and any(run.spaces[v].name in run.ordered for v in atom_vars(atom)):
                continue  # the chains decide it
            if indicator and not any(v in term.bound for v in atom_vars(atom)):
                return atom
    return None


def _split(run: Run, outer: Term, atom: Atom, exponent: int, inner: list[Term], indicator: Atom) -> list[Term]:
    off = [term for term in inner if indicator not in term.factors]
    on = [Term(t.coefficient, {a: e for a, e in t.factors.items() if a != indicator}, t.bound) for t in inner]
    if atom[0] == "R" and (not off or not on):
        raise Undecided("a denominator vanishes where a delta or a permutation entry is 0", remedy="restate the claim")
    at_off, at_on = _fold(run, atom, off), _fold(run, atom, on)
    marked = times(outer.factors, {indicator: 1})
    return [
        Term(outer.coefficient, times(outer.factors, {at_off: exponent}), set(outer.bound)),
        Term(outer.coefficient, times(marked, {at_on: exponent}), set(outer.bound)),
        Term(-outer.coefficient, times(marked, {at_off: exponent}), set(outer.bound)),
    ]


def _fold(run: Run, atom: Atom, terms: list[Term]) -> Atom:
    """Return the folded atom of the same kind over a sum of terms."""
    node, env = to_node(run, terms)
    return (*atom[:-2], node, restrict(node, env))


def to_node(run: Run, terms: list[Term]) -> tuple[Expr, dict[Index, Var]]:
    """Return terms as a term of the language, and the variables of its free indices."""
    env: dict[Index, Var] = {}
    taken = {v for v in run.spaces if isinstance(v, str)}
    stem = next(
        c
        for c in ("v", "w", "bound", *tuple(f"v{k}_" for k in range(len(taken) + 1)))
        if not any(t.startswith(c) for t in taken)
    )

    def index(variable: Var) -> Index:
        if is_fixed(variable):
            raise Undecided("an indicator at a fixed basis vector inside a function", remedy="restate the claim")
        name = variable if isinstance(variable, str) else f"{stem}{variable}"
        found = Index(name, run.spaces[variable])
        env[found] = variable
        return found

    def factor(atom: Atom, exponent: int) -> Expr:
        kind = atom[0]
        if kind == "t":
            return power(Entry(run.tensors[atom[1]], tuple(index(v) for v in atom[2])), exponent)
        if kind == "d":
            return Delta(index(atom[1]), index(atom[2]))  # type: ignore[no-any-return]
        if kind == "m":
            return Mask(atom[1], index(atom[2]), index(atom[3]))  # type: ignore[no-any-return]
        if kind == "s" and isinstance(exponent, int):
            return power(Size(atom[1]), exponent)
        if kind in ("F", "R"):
            inner = substitute(atom[-2], {i: index(v) for i, v in atom[-1]})
            return power(Apply(atom[1], inner) if kind == "F" else inner, exponent)
        raise Undecided(f"a factor of kind {kind!r} inside a function with an indicator", remedy="restate the claim")

    parts = []
    for term in terms:
        factors = [factor(atom, exponent) for atom, exponent in term.factors.items()]
        body = mul(Number(term.coefficient), *factors)
        parts.append(bind(tuple(index(v) for v in sorted(term.bound)), body))
    total = add(*parts) if parts else Number(Fraction(0))
    return total, env
