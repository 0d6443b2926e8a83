"""Sides of claims as sums of networks: products of entries over variables, every bound index one of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import permutations, product
from math import prod

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.nodes import Bind, Definition, Delta, Entry, Expr, Mask, Number, Pow, Size
from tensoralg.expr.tensor import Tensor
from tensoralg.proof.joins import Row
from tensoralg.spaces import Index, IndexTerm, Space

MOST_MONOMIALS = 64
MOST_ENTRIES = 100_000


@dataclass
class Network:
    """One product: a coefficient, sizes, and factors over variables, all but the free ones summed.

    A factor is the name of a tensor, or one of ``= < <=``, with its variables.
    """

    coefficient: Fraction = Fraction(1)
    sizes: tuple[str, ...] = ()
    variables: tuple[int, ...] = ()
    factors: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def times(self, other: Network) -> Network:
        return Network(
            self.coefficient * other.coefficient,
            self.sizes + other.sizes,
            self.variables + other.variables,
            self.factors + other.factors,
        )


@dataclass
class Expansion:
    """A side of a claim as a sum of networks, every bound index a variable of its own."""

    side: Definition
    spaces: list[Space] = field(default_factory=list)
    free: dict[str, int] = field(default_factory=dict)

    def networks(self) -> list[Network]:
        """Return the networks.

        Raises
        ------
        Undecided
            If the side holds what no network can say: functions, quotients, decays, windows, composite spaces.
        BudgetExceeded
            If there are too many networks.
        """
        self.free = {index.name: self._variable(index) for index in self.side.legs}
        return self._expand(self.side.body, dict(self.free))

    def _variable(self, index: Index) -> int:
        if not isinstance(index.space, Space):
            raise Undecided(f"index {index} is over {index.space}", remedy="split composite spaces first")
        self.spaces.append(index.space)
        return len(self.spaces) - 1

    def _expand(self, node: Expr, scope: dict[str, int]) -> list[Network]:
        if isinstance(node, Number):
            return [Network(coefficient=node.value)] if node.value else []
        if isinstance(node, Size):
            return [Network(sizes=(node.name,))]
        if isinstance(node, Entry):
            return [Network(factors=((node.tensor.name, self._places(node.args, scope)),))]
        if isinstance(node, Delta | Mask):
            sign = "=" if isinstance(node, Delta) else "<" if node.strict else "<="
            return [Network(factors=((sign, self._places((node.left, node.right), scope)),))]
        if isinstance(node, Bind):
            inner = {index.name: self._variable(index) for index in node.indices}
            bound = Network(variables=tuple(inner.values()))
            return [bound.times(part) for part in self._expand(node.summand, {**scope, **inner})]
        if node.kind == "add":
            return _counted([part for term in node.children() for part in self._expand(term, scope)])
        if node.kind == "mul":
            return self._product(node.children(), scope)
        if isinstance(node, Pow) and node.exponent >= 0:
            return self._product((node.base,) * node.exponent, scope)
        raise Undecided(f"{node.kind} is no part of a network", remedy="evaluate densely")

    def _product(self, factors: Sequence[Expr], scope: dict[str, int]) -> list[Network]:
        total, single = [Network()], []
        entries = [factor for factor in factors if isinstance(factor, Entry)]  # often thousands: one network for all
        single.append(Network(factors=tuple((e.tensor.name, self._places(e.args, scope)) for e in entries)))
        for factor in factors:
            if isinstance(factor, Entry):
                continue
            parts = self._expand(factor, scope)
            if len(parts) == 1:
                single.append(parts[0])  # joined at the end: one long product would be copied at every step
            else:
                total = _counted([left.times(right) for left in total for right in parts])
        merged = Network(
            prod((part.coefficient for part in single), start=Fraction(1)),
            tuple(name for part in single for name in part.sizes),
            tuple(v for part in single for v in part.variables),
            tuple(f for part in single for f in part.factors),
        )
        return [merged.times(part) for part in total]

    def _places(self, terms: tuple[IndexTerm, ...], scope: Mapping[str, int]) -> tuple[int, ...]:
        places = tuple(scope[term.name] for term in terms if isinstance(term, Index))
        if len(places) < len(terms):
            raise Undecided("an index addresses a composite space", remedy="split composite spaces first")
        return places


def _counted(parts: list[Network]) -> list[Network]:
    if len(parts) > MOST_MONOMIALS:
        raise BudgetExceeded(f"a side has more than {MOST_MONOMIALS} products", remedy="split the claim")
    return parts


def extent(space: Space, sizes: Mapping[str, int]) -> int:
    """Return the number of basis vectors of a space."""
    return space.dimension if isinstance(space.dimension, int) else sizes[space.dimension.name]


def generic(symbol: Tensor) -> bool:
    """Whether nothing is declared of a tensor but symmetries."""
    return set(symbol.facts) <= {"symmetric", "antisymmetric"}


def symmetries(symbol: Tensor) -> list[tuple[Row, int]]:
    """Return the declared symmetries of a tensor: which leg's position comes to each leg, and the sign.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> symmetries(ta.tensor("W", [V, V, V], antisymmetric=(0, 2)))
    [((0, 1, 2), 1), ((2, 1, 0), -1)]
    """
    groups = [(g, g in symbol.antisymmetric) for g in (*symbol.symmetric, *symbol.antisymmetric)]
    orders = [list(permutations(range(len(group)))) for group, _ in groups]
    if prod(map(len, orders)) > MOST_ENTRIES:
        raise BudgetExceeded(f"{symbol} has too many symmetries", remedy="evaluate densely")
    found = []
    for choice in product(*orders):
        source, sign = list(range(len(symbol.legs))), 1
        for (group, odd), order in zip(groups, choice, strict=True):
            for slot, k in zip(group, order, strict=True):
                source[slot] = group[k]
            if odd and sum(a > b for k, a in enumerate(order) for b in order[k + 1 :]) % 2:
                sign = -sign
        found.append((tuple(source), sign))
    return found


def orbit(row: Row, moves: Sequence[tuple[Row, int]]) -> dict[Row, int]:
    """Return the images of a position under symmetries, with their signs; none if the entry is 0."""
    images: dict[Row, int] = {}
    for source, sign in moves:
        if images.setdefault(tuple([row[k] for k in source]), sign) != sign:
            return {}
    return images
