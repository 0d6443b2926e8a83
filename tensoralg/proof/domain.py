"""Where the sides of a claim are defined.

Equality is equality of partial functions: a denominator (or logarithm, or root) that both sides have in
equal normal form is the claim's own domain; any other must be *known* (`tensoralg.normal.sign`) or be one of a
hypothesis, which is assumed to be defined; else the claim is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations, product
from typing import Any

from tensoralg.normal import Normaliser
from tensoralg.normal.expand import free_names
from tensoralg.normal.order import chains
from tensoralg.normal.terms import FUNCTIONS, Form, leaves, moved

KINDS = {"log": "> 0", "sqrt": ">= 0"}
MOST_ORDERINGS = 120


@dataclass(frozen=True)
class Condition:
    """``term != 0``, ``> 0`` or ``>= 0`` for all values of the indices in scope."""

    relation: str
    term: Any
    scope: tuple[tuple[str, Any], ...]


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


def is_known(make: Callable[[], Normaliser], condition: Condition) -> bool:
    """Whether a condition holds wherever its term is defined, for all values and in every order of its indices."""
    run = make()
    for env in _placements(run, condition.scope):
        for placed, known in arrangements(run, env):
            form = run.normal(run.expand(condition.term, placed), known)
            strict = condition.relation != ">= 0"
            negated = tuple((mono, -c) for mono, c in form)
            turned = condition.relation == "!= 0" and run.positive(negated, known)
            if not (run.positive(form, known, strict) or turned):
                return False
    return True


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


def key(make: Callable[[], Normaliser], condition: Condition) -> Any:
    """Return a condition up to the names of its indices, and up to what cannot change whether it holds."""
    groups: dict[Any, list[str]] = {}
    for name, space in condition.scope:
        groups.setdefault(space, []).append(name)
    spaces = sorted(groups, key=str)
    best = None
    for count, orders in enumerate(product(*(permutations(groups[space]) for space in spaces))):
        if count >= MOST_ORDERINGS:
            break
        names = {old: f"q{k}_{j}" for k, order in enumerate(orders) for j, old in enumerate(order)}
        forms = []
        run = make()
        for env in _placements(run, tuple((names[name], space) for name, space in condition.scope)):
            for placed, known in arrangements(run, env):
                inner = {name: placed[names[name]] for name, _ in condition.scope}
                form, order = run.narrowed(run.normal(run.expand(condition.term, inner), known), known)
                forms.append(_essence(run, form, order, condition.relation))
        best = min(filter(None, (best, tuple(forms))), key=repr, default=())
    return condition.relation, best


def _essence(run: Normaliser, form: Form, known: Any, relation: str) -> Form:
    """Return a form without its positive content; for ``!= 0`` up to sign."""
    if not form:
        return form
    rest = run.shared(form, known, positive=True)[1]
    if relation != "!= 0":
        return rest
    return min((tuple((m, s * c) for m, c in rest) for s in (Fraction(1), Fraction(-1))), key=repr)
