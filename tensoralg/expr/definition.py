"""Definitions: tensors given by a term."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensoralg.errors import FactConflict, IndexConflict, InvalidExpression, LegCountMismatch, SpaceMismatch, counted
from tensoralg.expr.core import Expr, as_expr
from tensoralg.expr.factors import as_index_terms
from tensoralg.expr.rewrite import distinct_nodes, rename_apart, substitute
from tensoralg.spaces import Index, check_name

if TYPE_CHECKING:
    from tensoralg.expr.tensor import Tensor


def as_legs(legs: object) -> tuple[Index, ...]:
    """Return one index or a sequence of indices as a tuple.

    Raises
    ------
    InvalidExpression
        If one is no index.
    """
    kept = tuple(legs) if isinstance(legs, list | tuple) else (legs,)
    for leg in kept:
        if not isinstance(leg, Index):
            raise InvalidExpression(
                f"{leg!r} is not an index", remedy="legs are indices, as from T.indices('t s')", value=leg
            )
    return kept


class Definition(Expr):
    """A tensor with the given legs, closed: its value at those indices is the body.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n")
    >>> t, s = T.indices("t s")
    >>> A = ta.tensor("A", T @ T)
    >>> square = ta.define((t,), A[t, s] * A[s, t])
    >>> print(square, "|", square[s])
    out[t] = sum(s: A[t,s]*A[s,t]) | sum(s1: A[s,s1]*A[s1,s])
    """

    __slots__ = _names = ("legs", "term", "name")
    kind = "definition"
    legs: tuple[Index, ...]
    term: Expr
    name: str

    def __new__(cls, legs: Sequence[Index], term: object, name: str = "out") -> Any:
        """Return the definition; bound indices called like a leg are renamed, so that none is shadowed."""
        kept = as_legs(legs)
        body = rename_apart(as_expr(term), {leg.name for leg in kept})
        return super().__new__(cls, kept, body, check_name(name, "a definition"))

    def children(self) -> tuple[Expr, ...]:
        return (self.term,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return Definition(self.legs, children[0], self.name)  # type: ignore[no-any-return]

    @property
    def body(self) -> Expr:
        return self.term

    @property
    def free_indices(self) -> tuple[Index, ...]:
        return self.legs

    def _find_free(self) -> tuple[Index, ...]:
        names = [leg.name for leg in self.legs]
        for name in names:
            if names.count(name) > 1:
                raise IndexConflict(
                    f"index {name} names two legs of {self.name}", remedy="name every leg once", index=name
                )
        known = {leg.name: leg for leg in self.legs}
        for index in self.term._free:
            if known.get(index.name) != index:
                raise IndexConflict(
                    f"index {index.name} over {index.space} is free in {self.term} but no leg of {self.name}",
                    remedy="make it a leg or sum over it",
                    index=index.name,
                )
        return self.legs

    def _check(self) -> None:
        seen: dict[str, Tensor] = {}
        for node in distinct_nodes(self.term):
            symbol = getattr(node, "tensor", None)
            if symbol is not None and seen.setdefault(symbol.name, symbol).legs != symbol.legs:
                raise FactConflict(
                    f"tensor {symbol.name} is used as {seen[symbol.name]} and as {symbol} in {self.name}",
                    remedy="one name has the same legs everywhere; rename one of the two",
                    tensor=symbol.name,
                )

    def __getitem__(self, indices: object) -> Expr:
        terms = as_index_terms(indices, [leg.space for leg in self.legs])
        if len(terms) != len(self.legs):
            raise LegCountMismatch(
                f"{self.name} has {counted(len(self.legs), 'leg')} but got {counted(len(terms), 'index', 'indices')}",
                remedy=f"give one index for each of {', '.join(self.free) or 'no legs'}",
                tensor=self.name,
            )
        for leg, term in zip(self.legs, terms, strict=True):
            if leg.space not in (term.space, term.space.dual):
                raise SpaceMismatch(
                    f"leg {leg} of {self.name} is over {leg.space}, but index {term} is over {term.space}",
                    remedy=f"use an index over {leg.space}",
                    tensor=self.name,
                    index=str(term),
                    spaces=(leg.space, term.space),
                )
        return substitute(self.term, dict(zip(self.legs, terms, strict=True)))
