"""Statements about costs, decided for all sizes >= 1 from the polynomials.

A cost is a minimum over orders of maxima of polynomials.  ``min_i max_j a_ij <= min_k max_l b_kl`` is *proved*
by the tests of `plan.polynomial` (shifts and means) or by splitting the sizes into cones (`plan.cones`), and
*refuted* by sizes at which exact evaluation shows it false; otherwise it is *unknown*.  As sizes are whole
numbers, ``a < b`` is ``a + 1 <= b`` where the coefficients are whole numbers, as costs are.

A condition such as ``n >= d`` or ``n == 4*d``, with a size alone on one side, is a substitution:
``n = d + n' - 1`` with a new size n' >= 1.  Any other one, such as ``2*n >= 3*d`` or ``n*d >= m**2``, stays an
inequality that `plan.cones` multiplies and adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import product
from math import lcm
from typing import Any, TypeAlias

import sympy
from sympy.logic.boolalg import BooleanAtom

from tensoralg.errors import InvalidDimension, InvalidExpression
from tensoralg.plan.comparisons import comparisons, conditions, sides
from tensoralg.plan.cones import Ray, minimum_below
from tensoralg.plan.polynomial import Maximum, Polynomial, Rational, sample_sizes, some_below

Substitution: TypeAlias = "tuple[tuple[str, Polynomial], ...]"
SWAPPED = {">=": "<=", ">": "<"}
MOST_CHOICES = 400
ROUNDED = 6  # sizes up to which a point with fractions is rounded in all ways
FAR = (1, 10, 1000, 10**6, 10**12)


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
        """Return a quantity, a number, or a sympy polynomial as a quantity; Min, Max, + and * may join some.

        Raises
        ------
        InvalidDimension
            If it is none of these.
        """
        if isinstance(value, Quantity):
            return value
        if isinstance(value, sympy.Piecewise):
            raise InvalidDimension(
                "an amount that is given case by case cannot be compared",
                remedy="compare cost(expr).flops, .largest or .peak, or the amounts of one regime",
            )
        if not (isinstance(value, sympy.Expr) and value.has(sympy.Min, sympy.Max)):
            return Quantity((Maximum.of([Polynomial.of(value)]),))
        parts = [Quantity.of(part) for part in value.args]
        if isinstance(value, sympy.Min):
            return Quantity(tuple(choice for part in parts for choice in part.choices))
        if isinstance(value, sympy.Max):
            return _joined(parts, lambda one, other: one.join(other))
        if isinstance(value, sympy.Add):
            return _joined(parts, _sum)
        if isinstance(value, sympy.Mul):
            return reduce(_times, parts)
        raise InvalidDimension(f"{value} is no amount of polynomials", remedy="use + * Min Max and numbers")

    def __add__(self, other: Any) -> Quantity:
        return _joined([self, Quantity.of(other)], _sum)

    def __mul__(self, other: Any) -> Quantity:
        return _times(self, Quantity.of(other))

    __radd__, __rmul__ = __add__, __mul__

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

    def below(self, other: Quantity) -> bool:
        """Whether the shift test or a mean proves ``self <= other`` for all sizes >= 1."""
        return all(self._below_choice(bound) for bound in other.choices)

    def _below_choice(self, bound: Maximum) -> bool:
        if any(choice.below(bound) for choice in self.choices):
            return True
        if any(len(choice.members) > 1 for choice in self.choices):
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


def _joined(parts: Sequence[Quantity], join: Callable[[Maximum, Maximum], Maximum]) -> Quantity:
    """Return the minimum over all ways to join one choice of every part."""
    found = list(parts[0].choices)
    for part in parts[1:]:
        found = [join(one, other) for one, other in product(found, part.choices)]
        if len(found) > MOST_CHOICES:
            raise InvalidDimension(
                f"an amount with more than {MOST_CHOICES} cases", remedy="compare its parts one by one"
            )
    return Quantity(tuple(dict.fromkeys(found)))


def _sum(one: Maximum, other: Maximum) -> Maximum:
    return Maximum.of(a + b for a, b in product(one.members, other.members))


def _product(one: Maximum, other: Maximum) -> Maximum:
    return Maximum.of(a * b for a, b in product(one.members, other.members))


def _times(one: Quantity, other: Quantity) -> Quantity:
    zero = Polynomial({})
    members = [[m for choice in side.choices for m in choice.members] for side in (one, other)]
    positive = [all(zero.below(m) for m in side) for side in members]
    plain = [len(side) == 1 for side in members]
    # min(a, b) c = min(a c, b c) where c >= 0, and min(a, b) min(c, d) is the least product where all are >= 0
    if not (all(positive) or all(plain) or any(p and q for p, q in zip(positive, plain, strict=True))):
        raise InvalidDimension(
            "a minimum or maximum is multiplied by what may be negative", remedy="bring it to the other side"
        )
    return _joined([one, other], _product)


@dataclass(frozen=True, eq=False, repr=False)
class CostVerdict:
    """What was decided about a statement.

    Attributes
    ----------
    statement : CostStatement
        The statement.
    status : "proved", "refuted" or "unknown"
        Its truth for all sizes >= 1 that satisfy its conditions; the verdict is true when proved.
    sizes : dict or None
        When refuted: sizes at which the statement is false.
    lhs, rhs : int, Fraction or None
        The exact values of the sides there.
    reason : str
        By which test it is proved, or what is known where it is not decided.
    """

    statement: CostStatement
    status: str
    sizes: Mapping[str, int] | None = None
    lhs: Rational | None = None
    rhs: Rational | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.status == "proved"

    def __repr__(self) -> str:
        return f"CostVerdict({self.explain()!r})"

    def explain(self) -> str:
        """Return the verdict in words."""
        if self.status == "refuted":
            where = ", ".join(f"{name} = {value}" for name, value in (self.sizes or {}).items()) or "all sizes"
            return f"refuted: {self.statement} is false at {where}, where the sides are {self.lhs} and {self.rhs}"
        if self.status == "proved":
            return f"proved for all sizes: {self.statement} ({self.reason})"
        return f"unknown: {self.statement} (not proved, and no sizes were found that refute it; {self.reason})"


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
    given: tuple[Polynomial, ...] = ()

    def where(self, condition: Any) -> CostStatement:
        """Return the statement for the sizes that satisfy a condition as well.

        Parameters
        ----------
        condition : str, sympy relation, or several
            Comparisons ``>= > <= < ==`` of polynomials in the sizes; in a text they may be chained
            (``"n >= d >= e"``) and follow each other after commas.

        Raises
        ------
        InvalidExpression
            If a condition is of another form, says nothing, or no sizes satisfy it with the others; or if the
            truth of the statement was asked before.
        """
        if "asked" in self.__dict__:
            raise InvalidExpression(
                f"whether {self} is true was asked before the condition {condition} was added",
                remedy="state the parts of a chain a <= b <= c one by one, each with its condition",
            )
        stated = self
        for large, relation, small, text in conditions(condition):
            stated = stated._on(large, relation, small, text)
        return stated

    def _on(self, large: Polynomial, relation: str, small: Polynomial, text: str) -> CostStatement:
        """Return the statement where ``large >= small`` (``>``, ``==``)."""
        mapping = dict(self.chamber)
        if not (large - small).names:
            raise InvalidExpression(f"the condition {text!r} says nothing about the sizes", remedy='write "n >= d"')
        name = _bounded(large, small, mapping) or (_bounded(small, large, mapping) if relation == "==" else None)
        if name is None:
            strict = Fraction(
                int(relation == ">"), lcm(*(Fraction(c).denominator for c in (large - small).terms.values()))
            )
            gaps = (large - small - strict, small - large) if relation == "==" else (large - small - strict,)
            made = replace(self, conditions=(*self.conditions, text), given=(*self.given, *gaps))
        else:
            least = (small if name in large.names else large).substitute(mapping)
            above = Polynomial.symbol(name) + (0 if relation == ">" else -1)
            step = {name: least if relation == "==" else least + above}
            chamber = {known: value.substitute(step) for known, value in mapping.items()} | step
            made = replace(self, conditions=(*self.conditions, text), chamber=tuple(chamber.items()))
        mapping = dict(made.chamber)
        if any(gap.substitute(mapping).strictly_below(Polynomial({})) for gap in made.given):
            raise InvalidExpression(f"no sizes satisfy {' and '.join(made.conditions)}", remedy="drop a condition")
        return made

    def decide(self) -> CostVerdict:
        """Return whether the statement is proved, refuted or unknown."""
        mapping = dict(self.chamber)
        left, right = self.lhs.substitute(mapping), self.rhs.substitute(mapping)
        if self.relation == "<":
            left, right = _apart(left, right)
        pairs = [(left, right)] if self.relation != "==" else [(left, right), (right, left)]
        if all(low.below(high) for low, high in pairs):
            return CostVerdict(self, "proved", reason="shift test on the polynomials")
        given = [gap.substitute(mapping) for gap in self.given]
        polynomials = [*mapping.values(), *given]
        inner = sorted({*left.names, *right.names, *(name for p in polynomials for name in p.names)})
        small = self._refutation(_small(inner), mapping, given)
        if small is not None:
            return small
        outcomes = []
        for low, high in pairs:
            outcomes.append(minimum_below(_rows(low), _rows(high), inner, given))
            if not outcomes[-1].proved:
                break
        else:
            reason = f"no difference has a negative coefficient on {sum(o.cones for o in outcomes)} cones"
            return CostVerdict(self, "proved", reason=reason)
        rays = outcomes[-1].rays
        far = self._refutation((*_near(rays, inner), *sample_sizes(inner, 0)), mapping, given)
        if far is not None:
            return far
        known = (
            f"over real sizes it is false near {_place(rays[0], inner, mapping)}" if rays else "the budget is used up"
        )
        return CostVerdict(self, "unknown", reason=known)

    def _refutation(
        self, points: Iterable[Mapping[str, int]], mapping: Mapping[str, Polynomial], given: Sequence[Polynomial]
    ) -> CostVerdict | None:
        """Return the refutation at the first of some points at which the statement is false."""
        names = sorted({*self.lhs.names, *self.rhs.names, *(name for gap in self.given for name in gap.names)})
        for point in points:
            if any(gap.value(point) < 0 for gap in given):
                continue
            sizes = {name: int(mapping[name].value(point) if name in mapping else point[name]) for name in names}
            lhs, rhs = self.lhs.value(sizes), self.rhs.value(sizes)
            if not {"<": lhs < rhs, "<=": lhs <= rhs, "==": lhs == rhs}[self.relation]:
                return CostVerdict(self, "refuted", sizes, lhs, rhs)
        return None

    def __bool__(self) -> bool:
        proved = bool(self.decide())
        if not proved:
            # Python reads a <= b <= c as "(a <= b) and (b <= c)" and returns the first where it is not true;
            # a condition that is then added would be decided for that part alone
            object.__setattr__(self, "asked", True)
        return proved

    def __str__(self) -> str:
        return " ".join([f"{self.lhs} {self.relation} {self.rhs}", *(f"where {c}" for c in self.conditions)])


def prove_cost(statement: Any, where: Any = None) -> CostVerdict:
    """Decide a statement about costs for all sizes >= 1.

    Parameters
    ----------
    statement : CostStatement, sympy relation, or str
        A comparison ``<= < >= > ==`` of amounts: of what `cost` returns with each other, with amounts of a plan,
        with polynomials in the sizes; or of two polynomials, as a sympy relation or as text.
    where : str, sympy relation, or sequence of these, optional
        Conditions on the sizes, such as ``"n >= d"``, ``"n >= d >= e"`` or ``["n > 4*d", "m == 2*d"]``.

    Returns
    -------
    CostVerdict
        Proved, refuted by sizes, or unknown; true when proved.

    Raises
    ------
    InvalidExpression
        If the statement or a condition is none.
    InvalidDimension
        If a side is no polynomial in the sizes, nor made of some by + * Min Max.

    Examples
    --------
    >>> import tensoralg as ta
    >>> n, d = ta.dims("n d")
    >>> attention = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
    >>> from tensoralg.plan import cost
    >>> scores_first, best = cost(attention, order="written").flops, cost(attention).flops
    >>> prove_cost(best <= scores_first).status, prove_cost(2 * best <= scores_first, where="n >= 2*d").status
    ('proved', 'proved')
    >>> print(prove_cost(best < scores_first, where="n >= d").explain())
    refuted: Min(4*d*n**2, 4*d**2*n) < 4*d*n**2 where n >= d is false at d = 1, n = 1, where the sides are 4 and 4
    """
    stated = _statement(statement)
    return (stated if where is None else stated.where(where)).decide()


def _statement(statement: Any) -> CostStatement:
    if isinstance(statement, CostStatement):
        return statement
    if isinstance(statement, str):
        found = comparisons(statement)
        if len(found) != 1:
            raise InvalidExpression(f"{statement!r} holds {len(found)} comparisons", remedy="decide them one by one")
        return _compared(*found[0])
    if isinstance(statement, sympy.core.relational.Relational):
        return _compared(*sides(statement))
    if isinstance(statement, bool | BooleanAtom):
        raise InvalidExpression(
            f"{bool(statement)} is no statement: the comparison was decided before it got here, or compared no costs",
            remedy='compare what cost(...) returns, or give the comparison as text: prove_cost("4*n <= 5*n")',
        )
    raise InvalidExpression(
        f"{statement!r} is no statement about costs", remedy="write for example cost(one).flops <= cost(other).flops"
    )


def _compared(lhs: Any, relation: str, rhs: Any) -> CostStatement:
    one, other = Quantity.of(lhs), Quantity.of(rhs)
    if relation in SWAPPED:
        return CostStatement(other, SWAPPED[relation], one)
    return CostStatement(one, relation, other)


def _apart(left: Quantity, right: Quantity) -> tuple[Quantity, Quantity]:
    """Return quantities with ``a <= b`` where, at whole sizes, ``left < right``."""
    members = [m for side in (left, right) for choice in side.choices for m in choice.members]
    scale = lcm(*(Fraction(c).denominator for m in members for c in m.terms.values()))
    return left * scale + 1, right * scale


def _rows(side: Quantity) -> list[list[Polynomial]]:
    return [sorted(choice.members, key=str) for choice in side.choices]


def _small(names: Sequence[str]) -> Iterator[dict[str, int]]:
    """Yield small sizes, and some large ones, the smallest first."""
    corners: Iterable[tuple[int, ...]] = product((1, 2, 3, 1000), repeat=len(names)) if len(names) < 6 else ()
    grid: Iterable[tuple[int, ...]] = product(range(1, 13), repeat=len(names)) if len(names) < 3 else ()
    for corner in (*sorted(corners, key=sum), *sorted(grid, key=sum)):
        yield dict(zip(names, corner, strict=True))


def _near(rays: Sequence[Ray], names: Sequence[str]) -> Iterator[dict[str, int]]:
    """Yield whole sizes near points at which a statement is false over the reals, or far out towards them."""
    for *point, h in rays:
        if h == 0:
            for far in FAR:
                yield {name: 1 + far * x for name, x in zip(names, point, strict=True)}
        elif len(names) <= ROUNDED:
            ends = [{1 + x // h, 1 - (-x // h)} for x in point]
            for corner in product(*ends):
                yield dict(zip(names, corner, strict=True))


def _place(ray: Ray, names: Sequence[str], mapping: Mapping[str, Polynomial]) -> str:
    *point, h = ray
    if h == 0:
        return "infinity"
    inner: dict[str, Any] = {name: 1 + Fraction(x, h) for name, x in zip(names, point, strict=True)}
    values = {**inner, **{name: p.value(inner) for name, p in mapping.items()}}
    return ", ".join(f"{name} = {value}" for name, value in sorted(values.items()))


def _bounded(large: Polynomial, small: Polynomial, mapping: Mapping[str, Polynomial]) -> str | None:
    """Return the size that `large` is, if it can be replaced: `small` is proved >= 1 and does not mention it."""
    for name in large.names:
        if large == Polynomial.symbol(name) and name not in mapping:
            least = small.substitute(mapping)
            if name not in least.names and Polynomial.constant(1).below(least):
                return name
    return None
