"""Expansion of the language into monomials; functions and denominators with sums stay folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from tensoralg.errors import Undecided
from tensoralg.expr.nodes import (
    Add,
    Apply,
    Bind,
    Decay,
    Delta,
    Entry,
    Expr,
    Mask,
    Mul,
    Near,
    Number,
    Pow,
    Size,
)
from tensoralg.normal.label import rename_nested
from tensoralg.normal.terms import (
    Atom,
    Env,
    Factors,
    Run,
    Term,
    Var,
    atom_vars,
    is_nested,
    multiply,
    relation,
    rename_atom,
    times,
)
from tensoralg.spaces import Index, IndexTerm, Space


def expand(run: Run, node: Expr, env: Mapping[Index, Var]) -> list[Term]:
    """Return a term of the language as a list of monomials; functions and sums below a fraction stay folded.

    Raises
    ------
    BudgetExceeded
        If there are more monomials than the budget of the run allows.
    """
    if isinstance(node, Number):
        return [Term(node.value, {}, set())] if node.value else []
    if isinstance(node, Size):
        return [_size(run, node.name)]
    if isinstance(node, Add):
        return [term for child in node.terms for term in expand(run, child, env)]
    if isinstance(node, Mul):
        return product_of(run, [expand(run, factor, env) for factor in node.factors])
    if isinstance(node, Bind):
        return _expand_bind(run, node, env)
    if isinstance(node, Pow):
        return _expand_power(run, node, env)
    if isinstance(node, Apply):
        return [Term(Fraction(1), {("F", node.function, node.argument, restrict(node.argument, env)): 1}, set())]
    atom = _leaf(run, node, env)
    return [] if atom is None else [Term(Fraction(1), atom, set())]


def product_of(run: Run, groups: list[list[Term]]) -> list[Term]:
    """Return the product of sums of terms."""
    result = [Term(Fraction(1), {}, set())]
    for group in groups:
        if len(result) * len(group) > 1:
            run.spend(len(result) * len(group))
        result = [
            multiply(left, refresh(run, right) if len(result) > 1 else right) for left in result for right in group
        ]
    return result


def _size(run: Run, name: str) -> Term:
    if name in run.fixed:
        return Term(Fraction(run.fixed[name]), {}, set())
    return Term(Fraction(int(name)), {}, set()) if name.isdecimal() else Term(Fraction(1), {("s", name): 1}, set())


def restrict(node: Expr, env: Mapping[Index, Var]) -> Env:
    """Return the part of an environment that a node sees."""
    return tuple((index, env[index]) for index in sorted(node.free_indices, key=lambda i: i.name))


def _expand_bind(run: Run, node: Bind, env: Mapping[Index, Var]) -> list[Term]:
    spread = [index for index in node.indices if fixed_size(run, index)]
    if spread:
        terms: list[Term] = []
        first, rest = spread[0], tuple(i for i in node.indices if i != spread[0])
        body: Expr = Bind(rest, node.summand) if rest else node.summand
        for value in range(fixed_size(run, first)):
            terms += expand(run, body, {**env, first: f"#{value}"})
            run.spend(1)
        return terms
    inner = dict(env)
    fresh: list[int] = []
    for index in node.indices:
        assert isinstance(index.space, Space)
        fresh.append(run.fresh(index.space.primal))
        inner[index] = fresh[-1]
    terms = expand(run, node.summand, inner)
    bodies = [terms[0], *(_rebind(run, term, fresh) for term in terms[1:])] if terms else []
    for term in bodies[:1]:
        term.bound.update(fresh)
    return bodies


def _rebind(run: Run, term: Term, variables: list[int]) -> Term:
    """Give a term its own copies of the bound variables that it shares with another term."""
    mapping: dict[Var, Var] = {v: run.fresh(run.spaces[v]) for v in variables}
    renamed = rename(run, term, mapping)
    renamed.bound.update(v for v in mapping.values() if isinstance(v, int))
    return renamed


def fixed_size(run: Run, index: Index) -> int:
    """Return the size of an index whose space is decided component by component, else 0."""
    return run.fixed.get(str(index.space.dimension), 0)


def _expand_power(run: Run, node: Pow, env: Mapping[Index, Var]) -> list[Term]:
    if node.exponent > 0:
        base = expand(run, node.base, env)
        return product_of(run, [[refresh(run, term) for term in base] for _ in range(node.exponent)])
    base = expand(run, node.base, env)
    if len(base) == 1 and not base[0].bound and invertible(base[0].factors):
        return [power(base[0], node.exponent)]
    return [Term(Fraction(1), {("R", node.base, restrict(node.base, env)): node.exponent}, set())]


def invertible(factors: Iterable[Atom]) -> bool:
    """Whether the reciprocal of a product of these atoms is the product of their reciprocals, as atoms."""
    return all(atom[0] not in ("d", "m", "o", "R") for atom in factors)


def power(term: Term, exponent: int) -> Term:
    """Return a power of a term without bound variables."""
    if term.coefficient == 0:
        raise Undecided("a denominator is identically zero", remedy="restate the claim")
    return Term(term.coefficient**exponent, {a: e * exponent for a, e in term.factors.items()}, set())


def _leaf(run: Run, node: Expr, env: Mapping[Index, Var]) -> Factors | None:
    """Return the factors of a leaf; None where it is 0."""
    if isinstance(node, Entry):
        return {("t", node.tensor.name, variables(node.args, env)): 1}
    if isinstance(node, Delta):
        left, right = variables((node.left, node.right), env)
        return relation(("d", *sorted((left, right), key=str)))
    if isinstance(node, Mask):
        return relation(("m", node.strict, *variables((node.left, node.right), env)))
    if isinstance(node, Near):
        return {("o", f"near({node.width})", variables((node.left, node.right), env)): 1}
    assert isinstance(node, Decay)
    ends = ",".join(x if isinstance(x, str) else "." for x in (node.later, node.earlier))
    return {("o", f"decay({node.tensor.name})[{ends}]", variables(node.index_terms(), env)): 1}


def variables(terms: Iterable[IndexTerm], env: Mapping[Index, Var]) -> tuple[Var, ...]:
    """Return the variables of atomic index terms."""
    found = []
    for term in terms:
        assert isinstance(term, Index)
        found.append(env[term])
    return tuple(found)


def rename(run: Run, term: Term, mapping: Mapping[Var, Var]) -> Term:
    """Return a term with variables renamed; bound ones stay bound under the new name.

    Raises
    ------
    Undecided
        If two variables of one nested form would become one (`tensoralg.normal.form` rebuilds those).
    """
    factors: Factors = {}
    for atom, exponent in term.factors.items():
        if not is_nested(atom):
            factors = times(factors, {rename_atom(atom, mapping): exponent})
            continue
        seen = set(atom_vars(atom))
        moved = {v: mapping[v] for v in seen if v in mapping}
        if len({mapping.get(v, v) for v in seen}) < len(seen):
            raise Undecided("two indices of a function were identified late", remedy="restate the claim")
        sign, renamed = rename_nested(run, atom, moved) if moved else (1, atom)
        factors = times(factors, {renamed: exponent * sign if atom[0] == "e" else exponent})
    bound = {mapping.get(v, v) for v in term.bound}
    return Term(term.coefficient, factors, {v for v in bound if isinstance(v, int)})


def refresh(run: Run, term: Term) -> Term:
    """Return a copy of a term with new bound variables."""
    mapping: dict[Var, Var] = {v: run.fresh(run.spaces[v]) for v in term.bound}
    return rename(run, term, mapping) if mapping else term
