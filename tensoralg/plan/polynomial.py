"""Exact polynomials in the sizes, and what is true of them for all sizes >= 1.

*Shift test.*  Write ``x = 1 + x'`` for every size.  If no coefficient of ``q - p`` is negative in the
``x'``, then ``p <= q`` at all sizes >= 1, because the ``x'`` range over numbers >= 0.  The converse
fails (``n^3 + d^3 - n^2 d`` is positive and has the coefficient -1), so the test proves and never
refutes.  It is decided once for each pair of monomials and is exact arithmetic throughout.

Costs are :class:`Polynomial` (they add up) and memory is :class:`Maximum`, the largest of several
polynomials.  Where all sizes are numbers both are plain integers; :func:`below`, :func:`join` and
``+`` mean the same for either, so the search for orders is written once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from itertools import product
from math import comb, gcd, lcm
from operator import gt
from typing import Any, TypeAlias

import sympy

from tensoralg.errors import InvalidDimension
from tensoralg.spaces import dims

Monomial: TypeAlias = "tuple[tuple[str, int], ...]"
Rational: TypeAlias = "int | Fraction"
LEAST = 2
SPREADS = (1.0, 3.0, 6.0, 12.0) * 6
ROUNDING = 1e-9
CACHED = 1 << 16


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A sparse polynomial: monomials (sorted names with their powers) and their coefficients.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> print(4 * n * n * d + n, (4 * n * n * d).below(4 * n * n * d + n))
    4*d*n**2 + n True
    """

    terms: Mapping[Monomial, Rational]

    @staticmethod
    def symbol(name: str) -> Polynomial:
        """Return the polynomial that is one size."""
        return Polynomial({((name, 1),): 1})

    @staticmethod
    def constant(value: Rational) -> Polynomial:
        """Return a constant polynomial."""
        return Polynomial({(): value} if value else {})

    @staticmethod
    def of(value: Any) -> Polynomial:
        """Return a number, a dimension, or a sympy polynomial in dimensions as a polynomial.

        Raises
        ------
        InvalidDimension
            If it is no polynomial in the sizes.
        """
        if isinstance(value, Polynomial):
            return value
        try:
            return _from_sympy(sympy.sympify(value, strict=True))
        except sympy.SympifyError:
            raise InvalidDimension(f"{value!r} is no size", remedy="use dims() and + - * and numbers") from None

    def __add__(self, other: Polynomial | Rational) -> Polynomial:
        total = dict(self.terms)
        for monomial, coefficient in _as(other).terms.items():
            total[monomial] = total.get(monomial, 0) + coefficient
        return Polynomial({m: c for m, c in total.items() if c})

    __radd__ = __add__

    def __mul__(self, other: Polynomial | Rational) -> Polynomial:
        product: dict[Monomial, Rational] = {}
        for right, b in _as(other).terms.items():
            for left, a in self.terms.items():
                monomial = _times(left, right)
                product[monomial] = product.get(monomial, 0) + a * b
        return Polynomial({m: c for m, c in product.items() if c})

    __rmul__ = __mul__

    def __sub__(self, other: Polynomial | Rational) -> Polynomial:
        total = dict(self.terms)
        for monomial, coefficient in _as(other).terms.items():
            if left := total.get(monomial, 0) - coefficient:
                total[monomial] = left
            else:
                del total[monomial]
        return Polynomial(total)

    def __pow__(self, exponent: int) -> Polynomial:
        power = Polynomial.constant(1)
        for _ in range(exponent):
            power = power * self
        return power

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self.terms.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sizes that occur, sorted."""
        return tuple(sorted({name for monomial in self.terms for name, _ in monomial}))

    @cached_property
    def _shifts(self) -> dict[int, Mapping[Monomial, Rational]]:
        return {}

    def shifted(self, least: int = 1) -> Mapping[Monomial, Rational]:
        """Return the coefficients in ``x' = x - least``."""
        if least not in self._shifts:
            total: dict[Monomial, Rational] = {}
            for monomial, coefficient in self.terms.items():
                for part, count in _shift(monomial, least):
                    total[part] = total.get(part, 0) + coefficient * count
            self._shifts[least] = {m: c for m, c in total.items() if c}
        return self._shifts[least]

    def below(self, other: Polynomial, least: int = 1) -> bool:
        """Whether the shift test proves ``self <= other`` for all sizes >= `least`."""
        if self is other:
            return True
        if any(map(gt, self.profile, other._above)):
            return False
        return (other - self).nonnegative(least)

    @cached_property
    def profile(self) -> tuple[float, ...]:
        """Values at a few fixed sizes >= 2, rounded: they refute quickly, and prove nothing."""
        try:
            columns = [[float(c) * x for x in _monomial_profile(m)] for m, c in self.terms.items()]
        except OverflowError:
            return ()
        return tuple(map(sum, zip(*columns, strict=True)))

    @cached_property
    def _above(self) -> tuple[float, ...]:
        # rounding refutes too much only where coefficients are negative and cancel: that costs a proof, no truth
        return tuple(value + abs(value) * ROUNDING for value in self.profile)

    def nonnegative(self, least: int = 1) -> bool:
        """Whether the shift test proves ``self >= 0`` for all sizes >= `least`.

        Examples
        --------
        >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
        >>> (n * n * d - 2 * n * d).nonnegative(), (n * n * d - 2 * n * d).nonnegative(least=2)
        (False, True)
        """
        decided = _weighed(self.terms, least)
        return _shift_test(primitive(self), least) if decided is None else decided

    def strictly_below(self, other: Polynomial, least: int = 1) -> bool:
        """Whether the shift test proves ``self < other`` for all sizes >= `least`."""
        if not self.below(other, least):
            return False
        difference = other - self
        return difference.value(dict.fromkeys(difference.names, least)) > 0

    def value(self, sizes: Mapping[str, Rational]) -> Rational:
        """Return the exact value at the given sizes (whole numbers or fractions), an int where it is one."""
        total: Rational = 0
        for monomial, coefficient in self.terms.items():
            for name, power in monomial:
                coefficient = coefficient * sizes[name] ** power
            total += coefficient
        return _reduced(total)

    def substitute(self, mapping: Mapping[str, Polynomial]) -> Polynomial:
        """Return the polynomial with sizes replaced by polynomials, all at once."""
        total = Polynomial({})
        for monomial, coefficient in self.terms.items():
            part = Polynomial.constant(coefficient)
            for name, power in monomial:
                part = part * mapping.get(name, Polynomial.symbol(name)) ** power
            total = total + part
        return total

    def degree(self, name: str) -> int:
        """Return the degree in one size, the others fixed."""
        return max((dict(monomial).get(name, 0) for monomial in self.terms), default=0)

    def sympy(self) -> Any:
        """Return the polynomial as a sympy expression in the dimension symbols."""
        return sympy.Add(
            *(
                sympy.Rational(c.numerator, c.denominator) * sympy.Mul(*(dims(name) ** k for name, k in monomial))
                for monomial, c in self.terms.items()
            )
        )

    def __str__(self) -> str:
        return str(self.sympy())


def _as(value: Polynomial | Rational) -> Polynomial:
    return value if isinstance(value, Polynomial) else Polynomial.constant(value)


def _reduced(value: Rational) -> Rational:
    return value.numerator if value.denominator == 1 else value


@cache
def _times(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + power
    return tuple(sorted(powers.items()))


@cache
def _shift(monomial: Monomial, least: int) -> tuple[tuple[Monomial, int], ...]:
    """Return the product of ``(least + x')^k`` expanded."""
    parts: list[tuple[Monomial, int]] = [((), 1)]
    for name, power in monomial:
        parts = [
            ((*m, (name, k)) if k else m, c * comb(power, k) * least ** (power - k))
            for m, c in parts
            for k in range(power + 1)
        ]
    return tuple(parts)


@cache
def _monomial_profile(monomial: Monomial) -> tuple[float, ...]:
    values = (1.0,) * len(SPREADS)
    for name, power in monomial:
        values = tuple(value * size**power for value, size in zip(values, _sizes_of(name), strict=True))
    return values


@cache
def _sizes_of(name: str) -> tuple[float, ...]:
    rng = random.Random(name)
    return tuple(LEAST * 2.0 ** (rng.random() * octaves) for octaves in SPREADS)


@lru_cache(CACHED)
def _shift_test(polynomial: Polynomial, least: int) -> bool:
    return all(c >= 0 for c in polynomial.shifted(least).values())


def _weighed(terms: Mapping[Monomial, Rational], least: int) -> bool | None:
    """Decide the shift test by hand where each negative term is plainly outweighed, or has nothing to set against."""
    positive = [(dict(m), c) for m, c in terms.items() if c > 0]
    left = [c for _, c in positive]
    outweighed = True
    for monomial, coefficient in terms.items():
        if coefficient < 0:
            over = [k for k, (powers, _) in enumerate(positive) if all(powers.get(x, 0) >= p for x, p in monomial)]
            if not over:
                return False
            outweighed = outweighed and _outweigh(left, over, monomial, positive, -coefficient, least)
    return True if outweighed else None


def _outweigh(
    left: list[Rational],
    over: Sequence[int],
    monomial: Monomial,
    positive: Sequence[tuple[Mapping[str, int], Rational]],
    needed: Rational,
    least: int,
) -> bool:
    """Set multiples of a monomial against it, taking from their coefficients what it needs."""
    for k in over:
        ratio = least ** (sum(positive[k][0].values()) - sum(power for _, power in monomial))
        taken = left[k] if left[k] * ratio <= needed else Fraction(needed) / ratio
        left[k] -= taken
        needed -= taken * ratio
        if not needed:
            return True
    return False


@cache
def _from_sympy(value: Any) -> Polynomial:
    symbols = sorted(value.free_symbols, key=str)
    if not value.is_polynomial(*symbols) or not all(s.is_integer and s.is_positive for s in symbols):
        raise InvalidDimension(f"{value} is no polynomial in dimensions", remedy="use dims() and + - * and numbers")
    terms = sympy.Poly(value, *symbols).terms() if symbols else [((), value)]
    found: dict[Monomial, Rational] = {}
    for powers, coefficient in terms:
        if not coefficient.is_Rational:
            raise InvalidDimension(f"{value} has the coefficient {coefficient}", remedy="use rational coefficients")
        monomial = tuple((s.name, int(k)) for s, k in zip(symbols, powers, strict=True) if k)
        found[monomial] = _reduced(Fraction(int(coefficient.p), int(coefficient.q)))
    return Polynomial({m: c for m, c in found.items() if c})


@dataclass(frozen=True)
class Maximum:
    """The largest of several polynomials, none of which is proved below another.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> print(Maximum.of([n * d, n * n, n]).members == {n * d, n * n})
    True
    """

    members: frozenset[Polynomial]

    @staticmethod
    def of(polynomials: Iterable[Polynomial]) -> Maximum:
        """Return the maximum with the members that are proved below another left out."""
        kept: list[Polynomial] = []
        for polynomial in polynomials:
            if not any(polynomial.below(k) for k in kept):
                kept = [k for k in kept if not k.below(polynomial)] + [polynomial]
        return Maximum(frozenset(kept))

    @cached_property
    def profile(self) -> tuple[float, ...]:
        """Values at a few fixed sizes, rounded, as of polynomials."""
        return tuple(map(max, zip(*(member.profile for member in self.members), strict=False)))

    @cached_property
    def _above(self) -> tuple[float, ...]:
        return tuple(map(max, zip(*(member._above for member in self.members), strict=False)))

    def below(self, other: Maximum, least: int = 1) -> bool:
        """Whether every member is proved below some member of the other, for all sizes >= `least`."""
        if self.members <= other.members:
            return True
        if any(map(gt, self.profile, other._above)):
            return False
        return all(any(mine.below(theirs, least) for theirs in other.members) for mine in self.members)

    def join(self, other: Maximum) -> Maximum:
        """Return the maximum of both."""
        if other.members <= self.members:
            return self
        return other if self.members <= other.members else _joined(self.members, other.members)

    def __add__(self, other: Polynomial) -> Maximum:
        return Maximum(frozenset(member + other for member in self.members))

    def value(self, sizes: Mapping[str, Rational]) -> Rational:
        """Return the exact value at the given sizes."""
        return max(member.value(sizes) for member in self.members)

    def sympy(self) -> Any:
        """Return the maximum as a sympy expression."""
        return sympy.Max(*(member.sympy() for member in self.members), evaluate=False)

    def __str__(self) -> str:
        return str(self.sympy())


@lru_cache(CACHED)
def _joined(one: frozenset[Polynomial], other: frozenset[Polynomial]) -> Maximum:
    return Maximum.of([*one, *other])


Amount: TypeAlias = "int | Polynomial"
Height: TypeAlias = "int | Maximum"


def height(amount: Amount) -> Height:
    """Return an amount as a maximum of one."""
    return amount if isinstance(amount, int) else Maximum(frozenset({amount}))


def raised(level: Any, amount: Any) -> Height:
    """Return a memory size with an amount added."""
    total: Height = level + amount
    return total


def join(left: Height, right: Height) -> Height:
    """Return the larger of two memory sizes."""
    return left.join(right) if isinstance(left, Maximum) and isinstance(right, Maximum) else max(left, right)  # type: ignore[type-var]


def below(left: Any, right: Any, least: int = 1) -> bool:
    """Whether ``left <= right`` is proved for all sizes >= `least` (of numbers: whether it is true)."""
    return bool(left <= right if isinstance(left, int) else left.below(right, least))


def value_at(amount: Any, sizes: Mapping[str, Rational]) -> Any:
    """Return the exact value of a number, a polynomial or a maximum at the given sizes."""
    return amount if isinstance(amount, int) else amount.value(sizes)


def primitive(polynomial: Polynomial) -> Polynomial:
    """Return the polynomial divided by its common monomial and its positive content.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> print(primitive(4 * n * d * d - 4 * n * n * d))
    d - n
    """
    if not polynomial.terms:
        return polynomial
    first, *rest = polynomial.terms
    common = dict(first)
    for monomial in rest:
        if not common:
            break
        powers = dict(monomial)
        common = {name: min(power, powers[name]) for name, power in common.items() if name in powers}
    terms = polynomial.terms
    if common:
        terms = {tuple((x, k) for x, p in m if (k := p - common.get(x, 0))): c for m, c in terms.items()}
    scale = gcd(*(c.numerator for c in terms.values()))
    if any(c.denominator != 1 for c in terms.values()):
        ratio = Fraction(scale, lcm(*(c.denominator for c in terms.values())))
        return Polynomial({m: _reduced(c / ratio) for m, c in terms.items()})
    return Polynomial(terms if scale == 1 else {m: c // scale for m, c in terms.items()})


def some_below(others: Iterable[Polynomial], polynomial: Polynomial, least: int = 1) -> bool:
    """Whether it is proved that at all sizes >= `least` some of the others is no larger than the polynomial.

    One of them may be below it everywhere; or a weighted mean of two is, arithmetic
    (``s a + (1 - s) b <= p``) or geometric (``a b <= p p``): the smaller of the two is below their mean.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> some_below([n * n, d * d], n * d), some_below([n * n * d], n * d * d)
    (True, False)
    """
    candidates = list(others)
    if any(other.below(polynomial, least) for other in candidates):
        return True
    square = polynomial * polynomial
    return any(
        _mean_below(one, other, polynomial, least) or (one * other).below(square, least)
        for k, one in enumerate(candidates)
        for other in candidates[:k]
    )


def _mean_below(one: Polynomial, other: Polynomial, bound: Polynomial, least: int) -> bool:
    """Whether the shift test proves ``s one + (1 - s) other <= bound`` for some weight s."""
    a, b, p = one.shifted(least), other.shifted(least), bound.shifted(least)
    low, high = Fraction(0), Fraction(1)
    for monomial in {*a, *b, *p}:
        slope = b.get(monomial, 0) - a.get(monomial, 0)
        gap = b.get(monomial, 0) - p.get(monomial, 0)
        if slope == 0 and gap > 0:
            return False
        if slope > 0:
            low = max(low, Fraction(gap) / slope)
        elif slope < 0:
            high = min(high, Fraction(gap) / slope)
    return low <= high


def sample_sizes(names: Sequence[str], seed: int = 0, count: int = 400) -> Iterator[dict[str, int]]:
    """Yield sizes at which to look: corners first, then random orders of magnitude."""
    corners = product((2, 1000), repeat=len(names)) if len(names) < 5 else ()
    for corner in corners:
        yield dict(zip(names, corner, strict=True))
    rng = random.Random(seed)
    for _ in range(count):
        decades = rng.choice((1.0, 2.0, 6.0))
        yield {name: LEAST - 1 + round(10 ** (rng.random() * decades)) for name in names}
