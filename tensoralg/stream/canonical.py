"""Terms up to the names of their indices and the order of factors, to find out what is the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import permutations, product
from math import prod
from typing import Any, Generic, TypeVar

from tensoralg.expr.nodes import Bind, Definition, Expr, Number, bind, mul
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.spaces import Index, IndexTerm, atoms

MOST_LEGS = 6  # over one space, whose orders are all tried

T = TypeVar("T")


class Registry(Generic[T]):
    """What is known about tensors with legs, found again whatever the legs are called and in any order of them."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[T, tuple[int, ...]]] = {}

    def add(self, made: T, legs: Sequence[Index], key: Callable[[Sequence[Index]], Any]) -> None:
        """Note something under its key, a function of its legs in some order."""
        order = next(orders(legs))
        self._known[key([legs[k] for k in order])] = made, order

    def find(self, legs: Sequence[Index], key: Callable[[Sequence[Index]], Any]) -> tuple[T, tuple[int, ...]] | None:
        """Return what is known, and for each of its legs which of the given ones it is."""
        for order in orders(legs):
            found = self._known.get(key([legs[k] for k in order]))
            if found is not None:
                return found[0], tuple(k for _, k in sorted(zip(found[1], order, strict=True)))
        return None

    def forget(self, *gone: T) -> None:
        """Remove what was noted."""
        self._known = {key: pair for key, pair in self._known.items() if not any(pair[0] is one for one in gone)}


def orders(legs: Sequence[Index]) -> Iterator[tuple[int, ...]]:
    """Yield the orders of legs in which those over one space stand together, the spaces by name."""
    groups: dict[str, list[int]] = {}
    for k, leg in enumerate(legs):
        groups.setdefault(str(leg.space), []).append(k)
    ways = [permutations(group) if len(group) <= MOST_LEGS else [group] for _, group in sorted(groups.items())]
    for parts in product(*ways):
        yield tuple(k for part in parts for k in part)


def canonical(expr: Expr, free: Sequence[Index]) -> Definition:
    """Return a term with free indices, names of bound ones and the order of factors fixed.

    Two terms that differ in these alone mostly become one; no two different ones do.

    Examples
    --------
    >>> import tensoralg as ta
    >>> I = {"f,g,h": "d"}
    >>> one, two = ta.parse("A[f,g]*B[g]", I, free=("f",)), ta.parse("B[h]*A[f,h]", I, free=("f",))
    >>> canonical(one, one.free_indices) == canonical(two, two.free_indices)
    True
    """
    to = {index: Index(f"free{k}", index.space) for k, index in enumerate(free)}
    ordered = _ordered(substitute(expr, dict(to)))
    names: dict[str, str] = {}
    for node in walk(ordered):
        for term in node.index_terms():
            for index in atoms(term):
                if index not in to.values():
                    names.setdefault(index.name, f"sum{len(names)}")
    return Definition(tuple(to.values()), _renumbered(ordered, names))  # type: ignore[no-any-return]


def scaled(term: Expr) -> tuple[Fraction, tuple[Index, ...], tuple[Expr, ...]]:
    """Return the numbers in a term multiplied, what the term sums over, and its other factors."""
    indices = term.indices if isinstance(term, Bind) else ()
    body = term.summand if isinstance(term, Bind) else term
    factors = body.children() if body.kind == "mul" else (body,)
    amount = prod((factor.value for factor in factors if isinstance(factor, Number)), start=Fraction(1))
    return amount, indices, tuple(factor for factor in factors if not isinstance(factor, Number))


def collected(terms: Iterable[Expr]) -> list[Expr]:
    """Return a sum with terms that are the same added up; those that cancel are left out.

    Examples
    --------
    >>> import tensoralg as ta
    >>> I = {"f,g": "d"}
    >>> one, two = ta.parse("sum(f: A[f]*B[f])", I, free=()), ta.parse("2*sum(g: B[g]*A[g])", I, free=())
    >>> print(*collected([one.body, two.body]))
    sum(f: 3*A[f]*B[f])
    """
    amounts: dict[Definition, Fraction] = {}
    shapes: dict[Definition, tuple[tuple[Index, ...], tuple[Expr, ...]]] = {}
    for term in terms:
        amount, indices, factors = scaled(term)
        bare = bind(indices, mul(*factors))
        key = canonical(bare, sorted(bare._free, key=str))
        amounts[key] = amounts.get(key, Fraction(0)) + amount
        shapes.setdefault(key, (indices, factors))
    return [bind(shapes[key][0], mul(Number(amount), *shapes[key][1])) for key, amount in amounts.items() if amount]


def _ordered(expr: Expr) -> Expr:
    children = tuple(_ordered(child) for child in expr.children())
    if expr.kind in ("mul", "add"):
        children = tuple(sorted(children, key=_skeleton))
    return expr.with_children(children)


def _skeleton(expr: Expr) -> str:
    """Return a term as text, names of indices that may be bound further out left out."""
    return re.sub(r"\b(?!free\d)\w+(?=[,\])])(?!\()", "_", str(expr))


def _renumbered(expr: Expr, names: Mapping[str, str]) -> Expr:
    def moved(index: Index) -> Index:
        return Index(names.get(index.name, index.name), index.space)

    if expr.index_terms():
        to: dict[Index, IndexTerm] = {i: moved(i) for term in expr.index_terms() for i in atoms(term)}
        return substitute(expr, to)
    children = tuple(_renumbered(child, names) for child in expr.children())
    if isinstance(expr, Bind):
        return Bind(tuple(sorted(map(moved, expr.indices), key=str)), *children)  # type: ignore[no-any-return]
    return expr.with_children(children)
