"""Which order is best where: the lower envelope of the prices of orders, from the polynomials exactly.

The contractions of a graph are independent, so the price of a choice of orders is the sum (for memory,
the maximum) of their prices, and the choices that are not proved beaten are found one contraction at a
time.  Which of them are best somewhere is decided in `plan.envelope`, and where, in `plan.conditions`.

A choice that is best at some sizes shows them as its `witness`; one for which neither a witness nor a
proof of emptiness was found stays, without a witness: its region may be empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import sympy

from tensoralg.plan.conditions import Condition, priorities
from tensoralg.plan.exact import Frontier, add_order, beats
from tensoralg.plan.graph import Graph, both
from tensoralg.plan.polynomial import LEAST, Height, Maximum, Polynomial, Rational, below
from tensoralg.plan.steps import Step
from tensoralg.plan.tree import Priced

CHOICES = 400


@dataclass(frozen=True)
class Regime:
    """The sizes at which one choice of orders is best, and that choice.

    Attributes
    ----------
    where : sympy formula
        Inequalities in the sizes.
    flops, largest, peak, pointwise : sympy expression
        Its prices: FLOPs, elements of the largest intermediate, elements alive at once, pointwise operations.
    path : list of tuple of int, or None
        opt_einsum's path over the tensors of the expression; None if it is not one product.
    tree : nested tuples
        The order, by names.
    witness : dict or None
        Sizes at which it is best (fractions where no whole ones were found); None when none were found,
        so that it may be best nowhere.
    slices : tuple of (str, sympy expression)
        With a memory limit: the spaces over which contractions are sliced, and their sizes.
    overhead : sympy expression
        Its FLOPs as a multiple of those of the best order without a memory limit.
    steps : tuple of Step
        The order as a sequence of array operations, one line of Python each (see `plan.steps`).
    """

    condition: Condition
    price: Priced
    path: list[tuple[int, ...]] | None
    tree: Any
    witness: Mapping[str, Rational] | None = field(default=None)
    slices: tuple[tuple[str, Any], ...] = ()
    overhead: Any = sympy.S.One
    write: Callable[[], tuple[Step, ...]] = field(default=tuple, compare=False, repr=False)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The order as a sequence of array operations."""
        return self.write()

    @property
    def where(self) -> Any:
        """The condition on the sizes, a sympy formula."""
        return self.condition.sympy()

    @property
    def flops(self) -> Any:
        """The FLOPs, a sympy expression."""
        return symbolic(self.price.flops)

    @property
    def pointwise(self) -> Any:
        """The pointwise operations, a sympy expression."""
        return symbolic(self.price.pointwise)

    @property
    def largest(self) -> Any:
        """The elements of the largest intermediate, a sympy expression."""
        return symbolic(self.price.largest)

    @property
    def peak(self) -> Any:
        """The most elements alive at once, a sympy expression."""
        return symbolic(self.price.peak)

    @property
    def may_be_empty(self) -> bool:
        """Whether no sizes are known at which it is best."""
        return self.witness is None


def symbolic(amount: Any) -> Any:
    """Return a number, a polynomial or a maximum as a sympy expression."""
    return amount.sympy() if isinstance(amount, Polynomial | Maximum) else sympy.Integer(amount)


def choices(
    graph: Graph, frontiers: Sequence[Frontier], minimize: str, limit: Height | None, least: int = LEAST
) -> Frontier:
    """Return the choices of one order for each contraction that are not proved beaten."""
    exact = all(frontier.exact for frontier in frontiers)
    wins = beats(minimize, least)
    found = [graph.fixed] if limit is None or below(graph.fixed.largest, limit) else []
    for room, frontier in zip(graph.rooms, frontiers, strict=True):
        extended: list[Priced] = []
        for chosen, order in product(found, [room.place(order) for order in frontier.orders]):
            if limit is None or below(order.largest, limit):
                add_order(extended, both(chosen, order), wins)
        exact = exact and len(extended) <= CHOICES
        found = extended[:CHOICES]
    return Frontier(tuple(no_later_ties(found, priorities(minimize), least)), exact)


def no_later_ties(orders: Sequence[Priced], keys: tuple[str, ...], least: int) -> list[Priced]:
    """Drop the choices that are proved no better than another, compared key by key."""

    def wins(one: Priced, other: Priced) -> bool:
        for key in keys:
            mine, theirs = getattr(one, key), getattr(other, key)
            if mine != theirs:
                return below(mine, theirs, least)
        return True

    kept: list[Priced] = []
    for order in orders:
        add_order(kept, order, wins)
    return kept
