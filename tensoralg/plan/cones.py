"""Inequalities between minima of maxima of polynomials, proved for all sizes >= 1 by splitting into cones.

*What is decided.*  ``min_i max_j a_ij <= min_k max_l b_kl`` at all real points ``x >= 1`` (componentwise) at
which given polynomials ``g`` are >= 0.

*Homogeneous form.*  Write ``x = 1 + x'`` and give every polynomial one degree D with a further variable h: the
points are those of the cone ``y = (x', h) >= 0`` with ``h = 1``, and a sign at y is the sign on its ray.

*Test on a cone.*  In coordinates in which the cone is the orthant, ``a <= b`` holds on it if no coefficient
of ``b - a`` is negative; so does ``a <= b`` where ``g >= 0`` if no coefficient of ``b - a - s P g`` is negative
for some number s > 0, P a power of the sum of the coordinates (both sides of ``b - a >= s P g`` are then
>= 0).  The statement holds on the cone if every k has an i such that every j has an l with ``a_ij <= b_kl``.
No point of the cone is meant if every coefficient of some ``P g`` is negative.

*Splitting.*  A cone with generators ``v_1 .. v_m`` is the union of the two in which ``v_i`` or ``v_j`` is
replaced by ``v_i + v_j`` (where ``y_j >= y_i``, ``y_i >= y_j``).  What holds on both holds on it.  The test is
Bernstein's on simplices; with ever smaller cones it succeeds for every single inequality that is strict on the
closed cone (R. Leroy, *Certificats de positivité et minimisation polynomiale dans la base de Bernstein
multivariée*, 2008; for one cone and powers of the sum G. Pólya, *Über positive Darstellung von Polynomen*, 1928),
and for one with zeros where these come to lie on faces.  Different cones may take different i: that is how a
minimum is seen to be below what none of its members is below everywhere.

A generator at which the statement is false ends the search: it is false at that point, which need not be
integral, or, where h = 0, far out in that direction.  Nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from math import comb, lcm
from typing import TypeAlias

from tensoralg.plan.polynomial import Polynomial

Form: TypeAlias = "dict[tuple[int, ...], int]"
Ray: TypeAlias = "tuple[int, ...]"
Choices: TypeAlias = "Sequence[Sequence[Polynomial]]"
EFFORT = 100_000
TERMS = 8  # largest and smallest terms of a difference that choose the edge to split
FAIR = 6  # every so many levels the longest edge is split, whatever the coefficients say


@dataclass(frozen=True)
class Outcome:
    """What came out: whether it is proved and on how many cones, or where it is false over the reals.

    Attributes
    ----------
    proved : bool
        Whether it is proved for all sizes >= 1.
    cones : int
        On how many cones it was looked at.
    rays : tuple of tuple of int
        Points ``(x', h)`` at which it is false over the reals, with h = 0 for a direction.
    """

    proved: bool
    cones: int
    rays: tuple[Ray, ...] = ()


def minimum_below(
    left: Choices, right: Choices, names: Sequence[str], given: Sequence[Polynomial] = (), effort: int = EFFORT
) -> Outcome:
    """Decide ``min_i max_j left[i][j] <= min_k max_l right[k][l]`` for all sizes >= 1 with every `given` >= 0.

    Parameters
    ----------
    left, right : sequence of sequence of Polynomial
        The sides.
    names : sequence of str
        The sizes that occur.
    given : sequence of Polynomial
        The conditions.
    effort : int
        How many terms of polynomials are looked at.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> minimum_below([[n * n * d]], [[n * n * n + d * d * d]], ["n", "d"]).proved
    True
    >>> minimum_below([[n * n], [d * d]], [[n * d]], ["n", "d"])
    Outcome(proved=True, cones=3, rays=())
    >>> minimum_below([[n * n]], [[n * d]], ["n", "d"]).rays
    ((1, 0, 0),)
    """
    problem = _Problem.of(left, right, names, given)
    stack = [_Cone(problem, _identity(len(names) + 1), problem.forms, 0)]
    looked = 0
    while stack and effort > 0:
        cone = stack.pop()
        looked += 1
        effort -= sum(map(len, cone.forms))
        if cone.settled:
            continue
        if false := cone.false_at():
            return Outcome(False, looked, tuple(false))
        stack.extend(cone.halves())
    return Outcome(not stack, looked)


@dataclass(frozen=True)
class _Problem:
    """The polynomials, made homogeneous of one degree, and how they make the statement."""

    left: tuple[tuple[int, ...], ...]
    right: tuple[tuple[int, ...], ...]
    given: tuple[int, ...]
    forms: tuple[Form, ...]

    @staticmethod
    def of(left: Choices, right: Choices, names: Sequence[str], given: Sequence[Polynomial]) -> _Problem:
        sides = [p for group in (*left, *right) for p in group]
        degree = max(map(_degree, [*sides, *given]), default=0)
        scale = lcm(*(Fraction(c).denominator for p in [*sides, *given] for c in p.shifted().values()), 1)
        forms = [_homogeneous(p.shifted(), names, degree, scale) for p in sides]
        # a condition times a size is a condition as well
        sizes = [Polynomial.symbol(name) for name in names]
        degrees = [_degree(p) for p in given]
        given = [*given, *(p * size for p, own in zip(given, degrees, strict=True) if own < degree for size in sizes)]
        for p in given:
            own = _degree(p)
            low = _homogeneous(p.shifted(), names, own, scale)
            forms.append(_product(low, _power_of_sum(len(names) + 1, degree - own)))
        forms.append(dict(_power_of_sum(len(names) + 1, degree)))
        places = iter(range(len(forms)))
        positions = [[tuple(next(places) for _ in group) for group in side] for side in (left, right)]
        return _Problem(tuple(positions[0]), tuple(positions[1]), tuple(next(places) for _ in given), tuple(forms))


class _Cone:
    """A cone by its generators, with the forms in the coordinates in which it is the orthant."""

    def __init__(self, problem: _Problem, rays: Sequence[Ray], forms: Sequence[Form], depth: int) -> None:
        self.problem = problem
        self.rays = rays
        self.forms = forms
        self.depth = depth
        self.failed: list[Form] = []
        self.settled = self._settle()

    def _settle(self) -> bool:
        """Whether the statement holds on the cone, or no point of it satisfies the conditions."""
        negative = {m: -c for m, c in self.forms[-1].items()}
        if any(_some_multiple_below(self.forms[g], negative) for g in self.problem.given):
            return True
        for bounds in self.problem.right:
            failed: list[Form] = []
            for members in self.problem.left:
                gaps = [gap for j in members if (gap := self._gap(j, bounds)) is not None]
                if not gaps:
                    break
                failed += gaps
            else:
                self.failed = failed
                return False
        return True

    def _gap(self, member: int, bounds: Sequence[int]) -> Form | None:
        """Return None where a member is proved below one of the bounds, else a difference that has negative terms."""
        gaps = []
        for bound in bounds:
            gap = _difference(self.forms[bound], self.forms[member])
            if all(c >= 0 for c in gap.values()) or any(
                _some_multiple_below(self.forms[g], gap) for g in self.problem.given
            ):
                return None
            gaps.append(gap)
        return min(gaps, key=lambda gap: sum(c < 0 for c in gap.values()))

    def false_at(self) -> list[Ray]:
        """Return the generators at which the statement is false and the conditions hold."""
        found = []
        degree = sum(next(iter(self.forms[-1])))
        for place, ray in enumerate(self.rays):
            corner = tuple(degree if k == place else 0 for k in range(len(self.rays)))
            value = [form.get(corner, 0) for form in self.forms]
            sides = (self.problem.left, self.problem.right)
            low, high = (min(max(value[j] for j in group) for group in side) for side in sides)
            if low > high and all(value[g] > 0 or (ray[-1] and value[g] == 0) for g in self.problem.given):
                found.append(ray)
        return found

    def halves(self) -> Iterator[_Cone]:
        """Yield the two cones into which an edge splits this one."""
        i, j = self._edge()
        between = tuple(a + b for a, b in zip(self.rays[i], self.rays[j], strict=True))
        for kept, other in ((i, j), (j, i)):
            rays = [between if k == other else ray for k, ray in enumerate(self.rays)]
            yield _Cone(self.problem, rays, [_sheared(form, kept, other) for form in self.forms], self.depth + 1)

    def _edge(self) -> tuple[int, int]:
        """Return the edge to split: one along which the differences change sign, and now and then the longest."""
        weight: dict[tuple[int, int], Fraction] = {}
        for form in self.failed if self.depth % FAIR < FAIR - 1 else ():
            terms = sorted(form, key=lambda m: form[m])
            lows, highs = (
                [m for m in part if sign * form[m] > 0] for part, sign in ((terms[:TERMS], -1), (terms[-TERMS:], 1))
            )
            for low, high in product(lows, highs):
                sides = [[], []]  # type: list[list[int]]
                for k, (a, b) in enumerate(zip(low, high, strict=True)):
                    if a != b:
                        sides[a > b].append(k)
                for i, j in product(*sides):
                    pair = min(i, j), max(i, j)
                    weight[pair] = weight.get(pair, Fraction(0)) + Fraction(1, len(sides[0]) * len(sides[1]))
        if weight:
            return max(sorted(weight), key=lambda pair: weight[pair] * self._length(pair))
        return max(combinations(range(len(self.rays)), 2), key=self._length)

    def _length(self, pair: tuple[int, int]) -> Fraction:
        one, other = (self.rays[k] for k in pair)
        return sum(
            ((Fraction(a, sum(one)) - Fraction(b, sum(other))) ** 2 for a, b in zip(one, other, strict=True)),
            Fraction(0),
        )


def _degree(polynomial: Polynomial) -> int:
    return max((sum(k for _, k in monomial) for monomial in polynomial.terms), default=0)


def _identity(size: int) -> list[Ray]:
    return [tuple(int(i == j) for j in range(size)) for i in range(size)]


def _homogeneous(
    terms: Mapping[tuple[tuple[str, int], ...], int | Fraction], names: Sequence[str], degree: int, scale: int
) -> Form:
    form = {}
    for monomial, c in terms.items():
        powers = dict(monomial)
        exponents = tuple(powers.get(name, 0) for name in names)
        form[*exponents, degree - sum(exponents)] = int(c * scale)
    return form


@cache
def _power_of_sum(size: int, power: int) -> Mapping[tuple[int, ...], int]:
    """Return ``(y_1 + ... + y_size)^power``."""
    form: Form = {(0,) * size: 1}
    one = dict.fromkeys(_identity(size), 1)
    for _ in range(power):
        form = _product(form, one)
    return form


def _product(one: Mapping[tuple[int, ...], int], other: Mapping[tuple[int, ...], int]) -> Form:
    form: Form = {}
    for m, a in one.items():
        for k, b in other.items():
            exponents = tuple(x + y for x, y in zip(m, k, strict=True))
            form[exponents] = form.get(exponents, 0) + a * b
    return form


def _sheared(form: Form, kept: int, other: int) -> Form:
    """Return the form with ``y_kept`` replaced by ``y_kept + y_other``."""
    found: Form = {}
    for monomial, c in form.items():
        power = monomial[kept]
        for k in range(power + 1):
            exponents = list(monomial)
            exponents[kept] -= k
            exponents[other] += k
            key = tuple(exponents)
            found[key] = found.get(key, 0) + c * comb(power, k)
    return {m: c for m, c in found.items() if c}


def _difference(high: Form, low: Form) -> Form:
    gap = dict(high)
    for m, c in low.items():
        gap[m] = gap.get(m, 0) - c
    return {m: c for m, c in gap.items() if c}


def _some_multiple_below(given: Form, gap: Form) -> bool:
    """Whether no coefficient of ``gap - s given`` is negative for some s > 0."""
    low, high = Fraction(0), None
    for m in {*given, *gap}:
        g, c = given.get(m, 0), gap.get(m, 0)
        if g > 0:
            high = Fraction(c, g) if high is None else min(high, Fraction(c, g))
        elif g < 0:
            low = max(low, Fraction(c, g))
        elif c < 0:
            return False
    return high is None or (low <= high and high > 0)
