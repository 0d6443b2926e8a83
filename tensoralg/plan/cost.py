"""What an expression costs, as quantities whose comparisons are statements (see `plan.statement`).

The best cost is taken over contraction trees that are best for some sizes >= 2 (see `plan.exact`): it
is what an order really costs at all sizes, and the least possible where no size is 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tensoralg.errors import InvalidExpression, UnknownName, UnknownSize, suggest
from tensoralg.expr.nodes import Expr
from tensoralg.plan.blocks import blocks
from tensoralg.plan.graph import Graph
from tensoralg.plan.plan import plan
from tensoralg.plan.polynomial import Maximum, Polynomial, below
from tensoralg.plan.statement import Quantity
from tensoralg.plan.tree import Priced, written


@dataclass(frozen=True, eq=False)
class Cost:
    """The costs of an expression: of its best order, or of the order in which it is written."""

    expr: Expr
    order: str

    @cached_property
    def _written(self) -> Priced:
        graph = Graph(blocks(self.expr, flatten=False)[0])
        return graph.price({room.contract: written(room.network.count) for room in graph.rooms})

    def _best(self, minimize: str) -> tuple[Priced, ...]:
        return (self._written,) if self.order == "written" else plan(self.expr, minimize=minimize).prices

    @property
    def flops(self) -> Quantity:
        """The FLOPs (a multiply-add counts two); of the best order, the fewest."""
        return _quantity(price.flops for price in self._best("flops"))

    @property
    def largest(self) -> Quantity:
        """The elements of the largest intermediate; of the best order, the fewest."""
        return _quantity(price.largest for price in self._best("largest"))

    @property
    def peak(self) -> Quantity:
        """The most elements alive at once; of the best order, the fewest."""
        return _quantity(price.peak for price in self._best("peak"))

    @property
    def pointwise(self) -> Quantity:
        """The pointwise operations; of the best order, the fewest among the orders with the fewest FLOPs."""
        return _quantity(price.pointwise for price in self._best("flops"))

    def order_in(self, name: str) -> Quantity:
        """Return the degree of the FLOPs in one size, the others fixed, as a quantity to compare.

        Raises
        ------
        UnknownSize
            If the expression has no such dimension.
        """
        names = Graph(blocks(self.expr)[0]).names
        if str(name) not in names:
            raise UnknownSize(
                f"{str(name)!r} is no dimension of {self.expr}", remedy=suggest(str(name), names), name=str(name)
            )
        return Quantity.of(self.flops.order_in(name))


def _quantity(amounts: Iterable[Any]) -> Quantity:
    kept: list[Maximum] = []
    for amount in amounts:
        level = amount if isinstance(amount, Maximum) else Maximum.of([_polynomial(amount)])
        if not any(below(k, level) for k in kept):
            kept = [k for k in kept if not below(level, k)] + [level]
    return Quantity(tuple(kept))


def _polynomial(amount: Any) -> Polynomial:
    return amount if isinstance(amount, Polynomial) else Polynomial.constant(amount)


def cost(expr: Expr, order: str = "best") -> Cost:
    """Return the costs of an expression as quantities; comparing them makes statements.

    Parameters
    ----------
    expr : Expr
        The expression.
    order : "best" or "written"
        The best contraction orders, or every product from left to right as it is written, a sum inside
        a product computed first.

    Returns
    -------
    Cost
        With `.flops`, `.largest`, `.peak`, `.pointwise` and `.order_in(name)`.

    Examples
    --------
    >>> import sympy, tensoralg as ta
    >>> n, d = ta.dims("n d")
    >>> T, F = ta.Space("T", n), ta.Space("F", d)
    >>> Q, K, V = ta.tensors("Q K V", T @ F)
    >>> attention = ta.einsum("t f, s f, s e -> t e", Q, K, V)
    >>> statement = cost(attention).flops == sympy.Min(4 * n**2 * d, 4 * n * d**2)
    >>> statement.decide().status
    'proved'
    >>> print(cost(attention, order="written").flops, "|", cost(attention).order_in("n"))
    4*d*n**2 | 1
    """
    if order not in ("best", "written"):
        raise UnknownName(f"unknown order {order!r}", remedy=suggest(str(order), ("best", "written")), name=str(order))
    if not isinstance(expr, Expr):
        raise InvalidExpression(f"{expr!r} is no expression", remedy="give what define, einsum or parse return")
    return Cost(expr, order)
