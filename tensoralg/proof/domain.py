"""Where the sides of a claim are defined.

Equality is equality of partial functions: a denominator (or logarithm, or root) that both sides have in
equal normal form is the claim's own domain; any other must be *known* (`tensoralg.normal.sign`) or be one of a
hypothesis, which is assumed to be defined; else the claim is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, permutations, product
from typing import Any

from tensoralg.normal import Normaliser
from tensoralg.normal.expand import free_names
from tensoralg.normal.order import chains
from tensoralg.normal.terms import FUNCTIONS, Form, Known, leaves, moved

KINDS = {"log": "> 0", "sqrt": ">= 0"}
MOST_ORDERINGS = 120


@dataclass(frozen=True)
class Condition:
    """``term != 0``, ``> 0`` or ``>= 0`` for all values of the indices in scope."""

    relation: str
    term: Any
    scope: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Point:
    """A condition for one choice of summands and basis vectors, in one order of its indices.

    Attributes
    ----------
    stated : frozenset
        What it says, up to names.
    enough : frozenset
        Any of what it follows from.
    """

    stated: frozenset[Any]
    enough: frozenset[Any]


def conditions(node: Any, scope: Mapping[str, Any]) -> list[Condition]:
    """Return what has to hold for a term of the language to be defined.

    Examples
    --------
    >>> [c.relation for c in conditions(("^", ("t", "x", "i"), -1), {"i": "V"})]
    ['!= 0']
    """
    found: list[Condition] = []

    def visit(here: Any, scope: Mapping[str, Any]) -> None:
        if not isinstance(here, tuple):
            return
        kind = here[0]
        if kind == "sum":
            visit(here[2], {**scope, **dict(here[1])})
        elif kind in ("+", "*"):
            for part in here[1:]:
                visit(part, scope)
        elif kind == "^":
            if here[2] < 0:
                found.extend(_condition("!= 0", factor, scope) for factor in nonzero_factors(here[1]))
            visit(here[1], scope)
        elif kind in FUNCTIONS:
            if kind in KINDS:
                found.append(_condition(KINDS[kind], here[1], scope))
            visit(here[1], scope)

    visit(node, scope)
    return list(dict.fromkeys(found))


def _condition(relation: str, term: Any, scope: Mapping[str, Any]) -> Condition:
    return Condition(relation, term, tuple((name, scope[name]) for name in sorted(free_names(term))))


def nonzero_factors(term: Any) -> list[Any]:
    """Return terms that are all nonzero exactly where a term is: the factors of a product, of a root its base."""
    if not isinstance(term, tuple):
        return []
    if term[0] == "*":
        return [part for factor in term[1:] for part in nonzero_factors(factor)]
    if term[0] == "^":  # a reciprocal is nowhere 0 where it is defined
        return nonzero_factors(term[1]) if term[2] > 0 else []
    if term[0] == "sqrt":
        return nonzero_factors(term[1])
    return [] if term[0] in ("exp", "num", "size") else [term]


def points(make: Callable[[], Normaliser], condition: Condition) -> list[Point]:
    """Return what a condition says that is not known, for all summands, basis vectors and orders of its indices."""
    run = make()
    found: dict[Point, None] = {}
    for env in _placements(run, condition.scope):
        for placed, known in arrangements(run, env):
            form = run.normal(run.expand(condition.term, placed), known)
            if not _holds(run, condition.relation, form, known):
                found[_point(run, condition, placed, known, run.narrowed(form, known)[1])] = None
    return list(found)


def _holds(run: Normaliser, relation: str, form: Form, known: Known) -> bool:
    """Whether a relation to 0 holds whatever the tensors are."""
    negated = tuple((mono, -c) for mono, c in form)
    return run.positive(form, known, relation != ">= 0") or (relation == "!= 0" and run.positive(negated, known))


def _point(run: Normaliser, condition: Condition, placed: Mapping[str, Any], known: Known, kept: Known) -> Point:
    whole = _key(run, condition, placed, known, known)
    narrow = whole if kept == known else _key(run, condition, placed, known, kept)
    # one index of a space can be chosen always, a second one before or after it not
    free = all(len(known[space]) in (1, len(kept[space])) for space in known)
    return Point(frozenset((whole, narrow) if free else (whole,)), frozenset((whole, narrow)))


def _placements(run: Normaliser, scope: tuple[tuple[str, Any], ...]) -> Iterator[dict[str, Any]]:
    """Yield the values of the indices in scope: the summands of direct sums, the basis vectors of components."""
    names = [name for name, _ in scope]
    for values, _ in run.ranges(list(scope)):
        yield dict(zip(names, values, strict=True))


def arrangements(run: Normaliser, env: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every order of the free variables in refined spaces, equal ones made one."""
    free = list(dict.fromkeys(v for value in env.values() for v in leaves(value)))
    groups = {s: [v for v in free if run.space_of[v] == s] for s in run.setting.refined}
    for choice in product(*(list(chains((), group, ())) for group in groups.values())):
        to = {v: block[0] for blocks in choice for block in blocks for v in block}
        known = {s: tuple(b[0] for b in blocks) for s, blocks in zip(groups, choice, strict=True)}
        yield {name: moved(value, to) for name, value in env.items()}, known


def _key(run: Normaliser, condition: Condition, placed: Mapping[str, Any], known: Known, kept: Known) -> Any:
    """Return a condition in one order of its indices, up to their names and to what cannot change whether it holds.

    Of the indices in ordered spaces it is about those that are kept.
    """
    ranked = {v: f"q{k}.{space}" for space in known for k, v in enumerate(_first(kept[space], known[space]))}
    groups: dict[str, list[str]] = {}
    for v in dict.fromkeys(v for value in placed.values() for v in leaves(value)):
        if v not in ranked:
            groups.setdefault(run.space_of[v], []).append(v)
    forms = []
    for orders in islice(product(*(permutations(groups[space]) for space in sorted(groups))), MOST_ORDERINGS):
        to = ranked | {v: f"q{k}.{run.space_of[v]}" for order in orders for k, v in enumerate(order)}
        run.space_of.update({new: run.space_of[v] for v, new in to.items()})
        order: Known = {space: tuple(to[v] for v in vs) for space, vs in known.items()}
        env = {name: moved(value, to) for name, value in placed.items()}
        form = run.normal(run.expand(condition.term, env), order)
        if kept != known:
            form, order = run.narrowed(form, order)
        forms.append(_essence(run, form, order, condition.relation))
    return condition.relation, min(forms, key=repr)


def _first(kept: Sequence[str], variables: Sequence[str]) -> Sequence[str]:
    """Return variables, those that are kept first."""
    return (*kept, *(v for v in variables if v not in kept))


def _essence(run: Normaliser, form: Form, known: Any, relation: str) -> Form:
    """Return a form without its positive content; for ``!= 0`` up to sign."""
    if not form:
        return form
    rest = run.shared(form, known, positive=True)[1]
    if relation != "!= 0":
        return rest
    return min((tuple((m, s * c) for m, c in rest) for s in (Fraction(1), Fraction(-1))), key=repr)
