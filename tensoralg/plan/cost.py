"""Statements about costs, decided for all sizes >= 1 from the polynomials.

A cost is a minimum over orders of maxima of polynomials.  With `a <= b` on polynomials decided by the
shift test (`plan.polynomial`), ``min_i max_j a_ij <= min_k max_l b_kl`` is *proved* when every k has an
i with each a_ij below some b_kl, or (for sums) when some of the a_i are proved to be below b_k between
them.  It is *refuted* by sizes at which exact evaluation shows it false, and otherwise *unknown*.  A
condition such as ``n >= d`` is a substitution: ``n = d + n' - 1`` with a new size n' >= 1.

The best cost is taken over contraction trees that are best for some sizes >= 2 (see `plan.exact`): it
is what an order really costs at all sizes, and the least possible where no size is 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

import sympy

from tensoralg.errors import InvalidExpression, UnknownName, UnknownSize, suggest
from tensoralg.expr.nodes import Expr
from tensoralg.plan.blocks import blocks
from tensoralg.plan.graph import Graph
from tensoralg.plan.plan import plan
from tensoralg.plan.polynomial import Maximum, Polynomial, Rational, below, sample_sizes, some_below
from tensoralg.plan.tree import Priced, written
from tensoralg.spaces import dims

Substitution: TypeAlias = "tuple[tuple[str, Polynomial], ...]"


@dataclass(frozen=True, eq=False)
class Quantity:
    """A minimum of maxima of polynomials in the sizes; comparing two makes a :class:`CostStatement`.

    Examples
    --------
    >>> from tensoralg.spaces import dims
    >>> n, d = dims("n d")
    >>> print(Quantity.of(4 * n * d) <= 4 * n**2 * d)
    4*d*n <= 4*d*n**2
    """

    choices: tuple[Maximum, ...]

    @staticmethod
    def of(value: Any) -> Quantity:
        """Return a quantity, a number, or a sympy polynomial (or Min or Max of some) as a quantity.

        Raises
        ------
        InvalidDimension
            If it is none of these.
        """
        if isinstance(value, Quantity):
            return value
        choices = value.args if isinstance(value, sympy.Min) else (value,)
        return Quantity(
            tuple(
                Maximum.of(Polynomial.of(member) for member in (c.args if isinstance(c, sympy.Max) else (c,)))
                for c in choices
            )
        )

    def sympy(self) -> Any:
        """Return the quantity as a sympy expression."""
        return sympy.Min(*(choice.sympy() for choice in self.choices), evaluate=False)

    def value(self, sizes: Mapping[str, int]) -> Rational:
        """Return the exact value at the given sizes."""
        return min(choice.value(sizes) for choice in self.choices)

    def order_in(self, name: str) -> int:
        """Return the degree in one size, the others fixed."""
        return min(max(m.degree(str(name)) for m in choice.members) for choice in self.choices)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sizes that occur, sorted."""
        return tuple(sorted({name for choice in self.choices for m in choice.members for name in m.names}))

    def substitute(self, mapping: Mapping[str, Polynomial]) -> Quantity:
        """Return the quantity with sizes replaced by polynomials."""
        return Quantity(tuple(Maximum.of(m.substitute(mapping) for m in choice.members) for choice in self.choices))

    def below(self, other: Quantity, strictly: bool = False) -> bool:
        """Whether ``self <= other`` (``self < other``) is proved for all sizes >= 1."""
        return all(self._below_choice(bound, strictly) for bound in other.choices)

    def _below_choice(self, bound: Maximum, strictly: bool) -> bool:
        def proved(one: Polynomial, other: Polynomial) -> bool:
            return one.strictly_below(other) if strictly else one.below(other)

        if any(all(any(proved(m, b) for b in bound.members) for m in choice.members) for choice in self.choices):
            return True
        if strictly or any(len(choice.members) > 1 for choice in self.choices):
            return False
        return any(some_below([m for c in self.choices for m in c.members], b) for b in bound.members)

    def __str__(self) -> str:
        return str(self.sympy())

    def __hash__(self) -> int:
        return hash(self.choices)

    def __eq__(self, other: object) -> CostStatement:  # type: ignore[override]
        return CostStatement(self, "==", Quantity.of(other))

    def __le__(self, other: object) -> CostStatement:
        return CostStatement(self, "<=", Quantity.of(other))

    def __lt__(self, other: object) -> CostStatement:
        return CostStatement(self, "<", Quantity.of(other))

    def __ge__(self, other: object) -> CostStatement:
        return CostStatement(Quantity.of(other), "<=", self)

    def __gt__(self, other: object) -> CostStatement:
        return CostStatement(Quantity.of(other), "<", self)


@dataclass(frozen=True, eq=False)
class CostVerdict:
    """What was decided about a statement.

    Attributes
    ----------
    statement : CostStatement
        The statement.
    status : "proved", "refuted" or "unknown"
        Its truth for all sizes >= 1; the verdict is true when proved.
    sizes : dict or None
        When refuted: sizes at which the statement is false.
    lhs, rhs : int, Fraction or None
        The exact values of the sides there.
    """

    statement: CostStatement
    status: str
    sizes: Mapping[str, int] | None = None
    lhs: Rational | None = None
    rhs: Rational | None = None

    def __bool__(self) -> bool:
        return self.status == "proved"

    def explain(self) -> str:
        """Return the verdict in words."""
        if self.status == "refuted":
            where = ", ".join(f"{name} = {value}" for name, value in (self.sizes or {}).items()) or "all sizes"
            return f"refuted: {self.statement} is false at {where}, where the sides are {self.lhs} and {self.rhs}"
        if self.status == "proved":
            return f"proved for all sizes: {self.statement} (shift test on the polynomials)"
        return f"unknown: {self.statement} (not proved by the shift test, and no sizes were found that refute it)"


@dataclass(frozen=True, eq=False)
class CostStatement:
    """A comparison of two quantities for all sizes >= 1, on conditions between sizes if there are any.

    Examples
    --------
    >>> from tensoralg.spaces import dims
    >>> n, d = dims("n d")
    >>> statement = Quantity.of(4 * n * d**2) <= 4 * n**2 * d
    >>> print(statement.decide().explain())
    refuted: 4*d**2*n <= 4*d*n**2 is false at d = 2, n = 1, where the sides are 16 and 8
    >>> statement.where("n >= d").decide().status
    'proved'
    """

    lhs: Quantity
    relation: str
    rhs: Quantity
    conditions: tuple[str, ...] = ()
    chamber: Substitution = ()

    def where(self, condition: str) -> CostStatement:
        """Return the statement for the sizes that satisfy ``a >= b``, ``>``, ``<=``, ``<`` or ``==`` as well.

        One side is a size, the other a polynomial in other sizes that is proved >= 1.

        Raises
        ------
        InvalidExpression
            If the condition is of another form.
        """
        found = re.fullmatch(r"\s*(.+?)\s*(>=|<=|==|>|<)\s*(.+?)\s*", str(condition))
        sides = [side for k in (1, 3) if found and (side := _side(found[k])) is not None]
        if not found or len(sides) < 2:
            raise InvalidExpression(f"{condition!r} is no comparison of sizes", remedy='write for example "n >= d"')
        relation = found[2]
        mapping = dict(self.chamber)
        large, small = sides if relation in (">=", ">") else sides[::-1]
        name = _bounded(large, small) or (_bounded(small, large) if relation == "==" else None)
        least = (small if name in large.names else large).substitute(mapping)
        if name is None or name in mapping or name in least.names:
            raise InvalidExpression(
                f"the condition {condition!r} cannot be used",
                remedy="one side is a size without another condition, the other a polynomial in other sizes >= 1",
            )
        above = Polynomial.symbol(name) + (0 if relation in (">", "<") else -1)
        step = {name: least if relation == "==" else least + above}
        chamber = {known: value.substitute(step) for known, value in mapping.items()} | step
        return replace(self, conditions=(*self.conditions, str(condition)), chamber=tuple(chamber.items()))

    def decide(self) -> CostVerdict:
        """Return whether the statement is proved, refuted or unknown."""
        mapping = dict(self.chamber)
        left, right = self.lhs.substitute(mapping), self.rhs.substitute(mapping)
        if self.relation == "<":
            proved = left.below(right, strictly=True)
        else:
            proved = left.below(right) and (self.relation == "<=" or right.below(left))
        if proved:
            return CostVerdict(self, "proved")
        for sizes in self._candidates(mapping):
            lhs, rhs = self.lhs.value(sizes), self.rhs.value(sizes)
            if not {"<": lhs < rhs, "<=": lhs <= rhs, "==": lhs == rhs}[self.relation]:
                return CostVerdict(self, "refuted", sizes, lhs, rhs)
        return CostVerdict(self, "unknown")

    def _candidates(self, mapping: Mapping[str, Polynomial]) -> Iterator[dict[str, int]]:
        """Yield sizes that satisfy the conditions, small ones first."""
        names = sorted({*self.lhs.names, *self.rhs.names})
        inner = sorted({*(n for p in mapping.values() for n in p.names), *(n for n in names if n not in mapping)})
        corners: Iterable[tuple[int, ...]] = product((1, 2, 3, 1000), repeat=len(inner)) if len(inner) < 6 else ()
        small = (dict(zip(inner, corner, strict=True)) for corner in sorted(corners, key=sum))
        for point in (*small, *sample_sizes(inner, 0)):
            sizes = {name: mapping[name].value(point) if name in mapping else point[name] for name in names}
            yield {name: int(value) for name, value in sizes.items()}

    def __bool__(self) -> bool:
        return bool(self.decide())

    def __str__(self) -> str:
        return " ".join([f"{self.lhs} {self.relation} {self.rhs}", *(f"where {c}" for c in self.conditions)])


def _side(text: str) -> Polynomial | None:
    """Return one side of a condition as a polynomial, None if it is none."""
    if not re.fullmatch(r"[A-Za-z0-9_+*\s-]+", text):
        return None
    names = {name: dims(name) for name in re.findall(r"[A-Za-z_]\w*", text)}
    try:
        value = sympy.sympify(text, locals=names)
    except (sympy.SympifyError, SyntaxError, TypeError):
        return None
    return Polynomial.of(value)


def _bounded(large: Polynomial, small: Polynomial) -> str | None:
    """Return the size that one side of a condition is, if the other is proved >= 1 and does not mention it."""
    for name in large.names:
        if large == Polynomial.symbol(name) and name not in small.names and Polynomial.constant(1).below(small):
            return name
    return None


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
