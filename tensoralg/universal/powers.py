"""Symmetric and exterior powers, with their universal arrows, and as functors.

Let P be the projection of ``V ** k`` onto its symmetric (antisymmetric) tensors, `tensoralg.universal.carrier`.  The
power X is the image of P, with the inclusion ``i : X -> V ** k`` and the projection ``p : V ** k -> X``,

    i >> p = 1,     p >> i = P = 1/k! sum(s: (sign) s).

The universal arrow is ``u(x_1, ..., x_k) = p(x_1 (x) ... (x) x_k)``: every symmetric (alternating) multilinear map
``f : V x ... x V -> W`` is ``f = u >> g`` for exactly one linear ``g : X -> W`` (N. Bourbaki, *Algebra I*, III.6.1 and
III.7.1; over a field of characteristic 0 alternating and antisymmetric mean the same).  A map ``f : V -> W`` has the
power ``F(f) = i >> (f @ ... @ f) >> p``; powers of composites are composites of powers, which for Alt over orthonormal
bases is the formula of Cauchy and Binet for minors.  ``Alt^(k+1)(f) = 0`` where f factors through k dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, permutations
from math import factorial, prod

from tensoralg.errors import InvalidDimension, NotMultilinear
from tensoralg.expr import Definition, Expr, Tensor, define, tensor
from tensoralg.expr.nodes import add, as_expr, bind, mul
from tensoralg.show import triangle
from tensoralg.spaces import Alt, AlternatingPower, Index, Sym, SymmetricPower, VectorSpace, as_space
from tensoralg.universal.carrier import Names, carrier, identity, product_of, projection
from tensoralg.universal.construction import Construction, Law, generic_space, same
from tensoralg.universal.linear import LinearMap, reread
from tensoralg.universal.maps import MultilinearMap, dual_leg, from_entries, tensors_in
from tensoralg.universal.product import check_sources

Terms = tuple[Index, ...]
MOST = 7


@dataclass(frozen=True, repr=False)
class UniversalPower(Construction):
    """The symmetric or exterior power of a space; made by `symmetric_power` and `exterior_power`."""

    base: VectorSpace
    k: int
    alternating: bool

    def __post_init__(self) -> None:
        if self.space.k > MOST:
            raise InvalidDimension(
                f"the projection onto {self.space} is a sum of {factorial(self.k)} products",
                remedy=f"use powers up to {MOST}",
                value=self.k,
            )

    @property
    def space(self) -> SymmetricPower | AlternatingPower:
        """The power."""
        return Alt(self.base, self.k) if self.alternating else Sym(self.base, self.k)

    def of(self, base: VectorSpace) -> UniversalPower:
        """Return the same power of another space."""
        return UniversalPower(base, self.k, self.alternating)

    @property
    def factors(self) -> tuple[VectorSpace, ...]:
        """The base, as often as the power says."""
        return (self.base,) * self.k

    @property
    def product(self) -> VectorSpace:
        """``V ** k``."""
        return product_of(self.factors)

    @property
    def inclusion(self) -> LinearMap:
        """``i : X -> V ** k``."""
        return LinearMap.from_entries(self.space, self.product, self._projection, "i", exact=True)

    @property
    def projection(self) -> LinearMap:
        """``p : V ** k -> X``."""
        return LinearMap.from_entries(self.product, self.space, self._projection, "p", exact=True)

    def _projection(self, i: Terms, o: Terms, names: Names) -> Expr:
        return projection(self.space, o, i, names)

    @property
    def arrow(self) -> MultilinearMap:
        """The universal map ``(x1, ..., xk) -> p(x1 (x) ... (x) xk)``."""

        def entries(i: tuple[Terms, ...], o: Terms, names: Names) -> Expr:
            return self._projection(tuple(t for own in i for t in own), o, names)

        return MultilinearMap(
            *from_entries(self.factors, self.space, entries, "u"), self.factors, self.space, exact=True
        )

    def through(self, g: LinearMap) -> tuple[MultilinearMap, ...]:
        """Return the multilinear map that g is after the arrow."""
        return (self.arrow >> g,)

    def factor(self, f: MultilinearMap) -> LinearMap:
        """Return the one linear map g with ``arrow >> g = f``.

        Parameters
        ----------
        f : MultilinearMap
            From k copies of the base, linear in each argument, and symmetric or alternating as the power is.

        Raises
        ------
        LegCountMismatch, SpaceMismatch
            If the sources of f are not k copies of the base.
        NotMultilinear
            If f is not multilinear, or not symmetric or alternating; the witness is attached.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "d")
        >>> a = V.index("a")
        >>> q, k = ta.tensors("q k", V)
        >>> dot = ta.MultilinearMap((q, k), ta.define((), q[a] * k[a], name="dot"))
        >>> print(symmetric_power(V, 2).factor(dot))
        dot : Sym(V, 2) -> 1
        """
        check_sources(f, self.factors, str(self.space))
        f.check()
        self.check(f)
        return reread(f, self.space, f.target, outputs=True)

    def check(self, f: MultilinearMap) -> None:
        """Raise unless swapping neighbouring arguments of a multilinear map leaves it alone (changes its sign).

        Raises
        ------
        NotMultilinear
            With the two arguments, the verdict and the witness as attributes.
        """
        own = f.entries()
        wanted = "alternating" if self.alternating else "symmetric"
        for first, second in pairwise(f.arguments):
            swapped = f._renamed({first.name: second.name, second.name: first.name})
            turned = type(f)(f.arguments, swapped.value, f.sources, f.target, exact=f.exact).entries()
            sign = -1 if self.alternating else 1
            law = Law(own, define(own.legs, as_expr(sign) * turned[own.legs], "swapped"))
            verdict = law.prove()
            if not verdict:
                raise NotMultilinear(
                    f"{f} is not shown to be {wanted} in {first.name} and {second.name} ({verdict.status}): "
                    f"its entries, and {'minus ' * self.alternating}those with these two swapped\n{verdict.explain()}",
                    remedy=f"factor a map that is {wanted}, or factor through the tensor product",
                    map=f,
                    arguments=(first, second),
                    verdict=verdict,
                    counterexample=verdict.counterexample,
                )

    def triangles(self) -> tuple[str, ...]:
        """Return the triangle of the universal property, as SVG."""
        target = str(generic_space(self.space))
        return (triangle(" × ".join(map(str, self.factors)) or "1", str(self.space), target, "u", "g", "f"),)

    def _generic_data(self, other: VectorSpace) -> tuple[MultilinearMap, ...]:
        return (MultilinearMap(*self._generic("f", self.factors, other), self.factors, other),)

    def _generic_map(self, other: VectorSpace) -> LinearMap:
        return LinearMap(*self._generic("g", (self.space,), other), (self.space,), other, exact=True)

    def _generic(
        self, name: str, sources: tuple[VectorSpace, ...], other: VectorSpace
    ) -> tuple[tuple[Tensor, ...], Definition]:
        """Return arguments and value of a generic (anti)symmetric multilinear map, written on some sources."""
        base, k = carrier(self.base), self.k
        legs = (*(dual_leg(leg) for leg in base * k), *carrier(other))
        declared = k > 1 and len(base) == 1
        group = [tuple(range(k))] if declared else []
        symbol = tensor(name, legs, antisymmetric=group) if self.alternating else tensor(name, legs, symmetric=group)

        def entries(i: tuple[Terms, ...], o: Terms, names: Names) -> Expr:
            flat = tuple(t for own in i for t in own)
            if declared or k < 2:
                return symbol[(*flat, *o)]
            inner = names.indices("b", [t.space for t in flat])
            return bind(inner, mul(projection(self.space, inner, flat, names), symbol[(*inner, *o)]))

        return from_entries(sources, other, entries, name, taken=(name,))

    def splitting(self) -> tuple[Law, Law]:
        """Return the claims ``i >> p = 1`` and ``p >> i = 1/k! sum(s: (sign) s)``.

        Examples
        --------
        >>> import tensoralg as ta
        >>> [law.prove().status for law in exterior_power(ta.Space("V", "n"), 3).splitting()]
        ['proved', 'proved']
        """
        one = LinearMap.identity(self.space)
        return same(self.inclusion >> self.projection, one), same(self.projection >> self.inclusion, self.averaged())

    def averaged(self) -> LinearMap:
        """Return ``1/k! sum(s: (sign) s)`` on ``V ** k``, written out from the permutations of its factors."""
        size, k = len(carrier(self.base)), self.k

        def entries(i: Terms, o: Terms, _: Names) -> Expr:
            terms = []
            for places in permutations(range(k)):
                moved = tuple(i[size * place + j] for place in places for j in range(size))
                cycles = prod(-1 for b in range(k) for a in range(b) if places[a] > places[b])
                terms.append(mul(as_expr(cycles if self.alternating else 1), identity(moved, o)))
            return mul(as_expr(1) / factorial(k), add(*terms))

        return LinearMap.from_entries(self.product, self.product, entries, "average", exact=True)

    def map(self, f: LinearMap) -> LinearMap:
        """Return the power ``i >> (f @ ... @ f) >> p`` of a map out of the base.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
        >>> print(exterior_power(V, 2).map(ta.LinearMap.generic("f", V, W)))
        f : Alt(V, 2) -> Alt(W, 2)
        """
        check_sources(f, (self.base,), str(self.base))
        f.check()
        other = self.of(f.target).space
        own, ins, outs = f.entries(), len(carrier(f.source)), len(carrier(f.target))

        def entries(i: Terms, o: Terms, names: Names) -> Expr:
            inner = names.indices("b", carrier(other))
            each = [own[(*i[ins * j : ins * (j + 1)], *inner[outs * j : outs * (j + 1)])] for j in range(self.k)]
            return bind(inner, mul(projection(other, o, inner, names), *each))

        taken = [used.name for used in tensors_in(own)]
        return LinearMap.from_entries(self.space, other, entries, f.value.name, taken=taken, exact=True)

    def functor_laws(self) -> tuple[Law, ...]:
        """Return ``F(f) = i >> f ** k >> p``, ``F(1) = 1`` and ``F(f >> g) = F(f) >> F(g)``, f and g generic.

        Examples
        --------
        >>> import tensoralg as ta
        >>> [law.prove().status for law in exterior_power(ta.Space("V", "n"), 2).functor_laws()]
        ['proved', 'proved', 'proved']
        """
        v = self.base
        w = generic_space(v)
        x = generic_space(v, w)
        f, g = LinearMap.generic("f", v, w), LinearMap.generic("g", w, x)
        target = self.of(w)
        laws = [same(self.map(LinearMap.identity(v)), LinearMap.identity(self.space))]
        if self.k:
            power = f
            for _ in range(self.k - 1):
                power = power @ f
            laws.insert(0, same(self.map(f), self.inclusion >> power >> target.projection))
        return (*laws, same(self.map(f >> g), self.map(f) >> target.map(g)))


def symmetric_power(space: VectorSpace, k: int) -> UniversalPower:
    """Return the k-th symmetric power of a space, with its universal arrow.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> print(symmetric_power(V, 2).arrow)
    u : V x V -> Sym(V, 2)
    >>> [verdict.status for verdict in symmetric_power(V, 3).universal_property().prove()]
    ['proved', 'proved']
    """
    return UniversalPower(as_space(space), k, alternating=False)


def exterior_power(space: VectorSpace, k: int) -> UniversalPower:
    """Return the k-th exterior power of a space, with its universal arrow; it is 0 where k exceeds the dimension.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", 2)
    >>> nothing = exterior_power(V, 3)
    >>> nothing.space.dimension, nothing.arrow.equals(nothing.arrow * 0).status
    (0, 'proved')
    """
    return UniversalPower(as_space(space), k, alternating=True)
