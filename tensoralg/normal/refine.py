"""Refining terms into strict chains, at the outermost level and inside functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tensoralg.errors import Undecided
from tensoralg.normal.functions import rename_all
from tensoralg.normal.order import Constraint, chains, count_empty, restrict_chain
from tensoralg.normal.terms import Run, Term, Var, atom_vars, multiply
from tensoralg.spaces import Space

Ranks = Mapping[str, Mapping[Var, int]]


@dataclass(frozen=True)
class Scope:
    """Around a term inside a function: the ranks of ordered variables, and those that the term may mention."""

    ranks: Ranks
    opened: frozenset[Var]


def refine(run: Run, term: Term, scope: Scope | None) -> list[Term]:
    """Return a term as a sum over strict chains of every ordered space that a mask of the claim is about."""
    result = [term]
    for name in sorted(run.ordered):
        result = [piece for part in result for piece in _refine_space(run, part, name, scope)]
    return result


def _refine_space(run: Run, term: Term, name: str, scope: Scope | None) -> list[Term]:
    inside = [a for a in term.factors if a[0] in ("m", "d") and _space_name(run, a[-1], a[-2]) == name]
    bound = sorted(v for v in term.bound if _in_space(run, v, name))
    if scope is None:
        opened = [v for v, s in run.spaces.items() if isinstance(v, str) and s.name == name]
        start: tuple[tuple[Var, ...], ...] = ()
        placed: list[Var] = [*opened, *bound]
    else:
        start = restrict_chain(scope.ranks.get(name, {}), set(scope.opened))
        placed = list(bound)
    if not placed and not start:
        return [term]
    constraints: list[Constraint] = [("eq" if a[0] == "d" else "lt" if a[1] else "le", a[-2], a[-1]) for a in inside]
    settled = {*placed, *(v for block in start for v in block)}
    if any(v not in settled for _, *pair in constraints for v in pair):
        raise Undecided("a mask relates an index that the order around it does not know", remedy="restate the claim")
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


def forget_open_chains(term: Term) -> Term:
    """Drop, inside a function, chains that hold no bound variable: the order around it says them."""
    chains_kept = {s: b for s, b in term.chains.items() if any(v in term.bound for block in b for v in block)}
    return Term(term.coefficient, term.factors, term.bound, chains_kept)


def lost_variables(term: Term) -> set[int]:
    """Return the bound variables that no factor mentions (any more): they only count."""
    return term.bound - {v for atom in term.factors for v in atom_vars(atom) if isinstance(v, int)}


def drop_unused(run: Run, term: Term) -> Term:
    """Return a term whose bound variables all occur; each that did not is its dimension."""
    used = {v for atom in term.factors for v in atom_vars(atom)}
    for variable in [v for v in term.bound if v not in used]:
        term = multiply(Term(term.coefficient, term.factors, term.bound - {variable}), run.extent(run.spaces[variable]))
    return term
