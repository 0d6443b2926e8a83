"""The tensor, symmetric and exterior algebras of a space, graded, up to a degree.

In degree j the algebra X of V is ``X_j = V ** j``, ``Sym^j V`` or ``Alt^j V``.  The product ``X_i @ X_j -> X_(i+j)`` is
``V ** i @ V ** j = V ** (i + j)`` for the tensor algebra, followed by the projection onto the power for the others.
Products are associative, with the unit in degree 0; the symmetric algebra is commutative and the exterior algebra is
graded commutative, ``x y = (-1)^(i j) y x``.

*Universal property*: for an associative algebra A with unit e (in which ``f(x) f(y) = f(y) f(x)`` for the symmetric and
``f(x)^2 = 0`` for the exterior algebra) every linear map ``f : V -> A`` is the degree 1 of exactly one homomorphism
``F : X -> A``,

    F_0 = e,     F_1 = f,     F_(i+j)(x y) = F_i(x) F_j(y),     so F_j(x_1 .. x_j) = f(x_1) .. f(x_j)

(N. Bourbaki, *Algebra I*, III.5.1, III.6.1 and III.7.1).  `GradedAlgebra.space` is the direct sum of the degrees up to
the last, in which products of higher degree are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tensoralg.errors import InvalidExpression, SpaceMismatch
from tensoralg.expr import Expr
from tensoralg.expr.nodes import bind, mul
from tensoralg.spaces import Index, TensorProduct, Unit, VectorSpace, as_space
from tensoralg.universal.carrier import Names, carrier, identity, product_of, projection
from tensoralg.universal.construction import Law, generic_space, same
from tensoralg.universal.hom import rebracket
from tensoralg.universal.linear import LinearMap
from tensoralg.universal.maps import tensors_in
from tensoralg.universal.powers import UniversalPower
from tensoralg.universal.sums import UniversalSum, direct_sum

Terms = tuple[Index, ...]
Kind = Literal["tensor", "symmetric", "exterior"]
KINDS = ("tensor", "symmetric", "exterior")


@dataclass(frozen=True)
class GradedAlgebra:
    """The tensor, symmetric or exterior algebra of a space up to a degree.

    Parameters
    ----------
    base : VectorSpace
    degree : int
        The last degree.
    kind : "tensor", "symmetric" or "exterior"

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> algebra = GradedAlgebra(V, 2, "exterior")
    >>> print(algebra.space, "|", algebra.product(1, 1))
    Alt(V, 0) + Alt(V, 1) + Alt(V, 2) | product : Alt(V, 1) @ Alt(V, 1) -> Alt(V, 2)
    >>> all(law.prove() for law in algebra.laws())
    True
    """

    base: VectorSpace
    degree: int
    kind: Kind

    def __post_init__(self) -> None:
        as_space(self.base)
        if self.kind not in KINDS:
            raise InvalidExpression(
                f"{self.kind!r} is no kind of graded algebra", remedy=f"use one of {', '.join(KINDS)}", value=self.kind
            )
        self.part(self.degree)

    def part(self, j: int) -> VectorSpace:
        """Return the part of degree j."""
        if self.kind == "tensor":
            return self.base**j
        return UniversalPower(self.base, j, self.kind == "exterior").space

    @property
    def sum(self) -> UniversalSum:
        """The direct sum of the parts, with its injections and projections."""
        return direct_sum(*(self.part(j) for j in range(self.degree + 1)))

    @property
    def space(self) -> VectorSpace:
        """The direct sum of the parts."""
        return self.sum.space

    @property
    def unit(self) -> LinearMap:
        """The unit, from the ground field to degree 0."""
        return LinearMap.from_entries(Unit, self.part(0), lambda i, o, _: identity(i, o), "unit", exact=True)

    def product(self, i: int, j: int) -> LinearMap:
        """Return the product of the parts of degree i and j."""
        target = self.part(i + j)

        def entries(ins: Terms, outs: Terms, names: Names) -> Expr:
            return projection(target, outs, ins, names)

        return LinearMap.from_entries(
            TensorProduct((self.part(i), self.part(j))), target, entries, "product", exact=(not i or not j, True)
        )

    @property
    def multiplication(self) -> LinearMap:
        """The product on the direct sum of the parts; products of a higher degree than the last are 0.

        Examples
        --------
        >>> import tensoralg as ta
        >>> algebra = GradedAlgebra(ta.Space("V", 2), 2, "exterior")
        >>> algebra.multiplication.matrix().shape
        (4, 16)
        """
        whole = self.sum
        terms = [
            (whole.projection(i) @ whole.projection(j)) >> self.product(i, j) >> whole.injection(i + j)
            for i in range(self.degree + 1)
            for j in range(self.degree + 1 - i)
        ]
        return sum(terms[1:], terms[0]).named("multiplication")

    def laws(self) -> tuple[Law, ...]:
        """Return the claims that products are associative and unital, and commutative as the kind says.

        Returns
        -------
        tuple of Law
            For all degrees that add up to at most the last one.
        """
        found = []
        for i in range(self.degree + 1):
            found += [self._unit_law(i, left=True), self._unit_law(i, left=False)]
            for j in range(self.degree + 1 - i):
                if self.kind != "tensor" and i <= j:
                    found.append(self.commutative_law(i, j))
                found += [self.associative_law(i, j, k) for k in range(self.degree + 1 - i - j) if i and j and k]
        return tuple(found)

    def _unit_law(self, j: int, *, left: bool) -> Law:
        part, one = self.part(j), LinearMap.identity(self.part(j))
        if left:
            inserted = rebracket(part, Unit @ part) >> (self.unit @ one) >> self.product(0, j)
        else:
            inserted = rebracket(part, part @ Unit) >> (one @ self.unit) >> self.product(j, 0)
        return same(inserted, one)

    def associative_law(self, i: int, j: int, k: int) -> Law:
        """Return the claim ``(x y) z = x (y z)`` in degrees i, j and k."""
        one = LinearMap.identity
        x, y, z = self.part(i), self.part(j), self.part(k)
        first = (self.product(i, j) @ one(z)) >> self.product(i + j, k)
        second = rebracket((x @ y) @ z, x @ (y @ z)) >> (one(x) @ self.product(j, k)) >> self.product(i, j + k)
        return same(first, second)

    def commutative_law(self, i: int, j: int) -> Law:
        """Return the claim ``x y = y x``, for the exterior algebra ``x y = (-1)^(i j) y x``, in degrees i and j."""
        sign = -1 if self.kind == "exterior" and i * j % 2 else 1
        return same(self.product(i, j), (self._swap(self.part(i), self.part(j)) >> self.product(j, i)) * sign)

    def _swap(self, x: VectorSpace, y: VectorSpace) -> LinearMap:
        first, second = len(carrier(x)), len(carrier(y))

        def entries(ins: Terms, outs: Terms, _: Names) -> Expr:
            return mul(identity(ins[:first], outs[second:]), identity(ins[first:], outs[:second]))

        return LinearMap.from_entries(TensorProduct((x, y)), TensorProduct((y, x)), entries, "swap")

    def extend(self, f: LinearMap, multiply: LinearMap, unit: LinearMap) -> tuple[LinearMap, ...]:
        """Return the parts ``F_0, .., F_degree`` of the homomorphism that extends a linear map into an algebra.

        Parameters
        ----------
        f : LinearMap
            ``V -> A``.
        multiply : LinearMap
            ``A @ A -> A``, which has to be associative, and on values of f commutative or alternating as the kind says.
        unit : LinearMap
            ``1 -> A``.

        Raises
        ------
        SpaceMismatch
            If these maps do not fit together.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V, A = ta.Space("V", "n"), ta.Space("A", "a")
        >>> f, m = ta.LinearMap.generic("f", V, A), ta.LinearMap.generic("m", A @ A, A)
        >>> for part in GradedAlgebra(V, 2, "tensor").extend(f, m, ta.LinearMap.generic("e", ta.Unit, A)):
        ...     print(part)
        extension : 1 -> A
        extension : V -> A
        extension : V @ V -> A
        """
        a = f.target
        for given, wanted in ((f.source, self.base), (multiply.source, a @ a), (multiply.target, a), (unit.target, a)):
            if given != wanted:
                raise SpaceMismatch(
                    f"{f}, {multiply} and {unit} are no map from {self.base} into an algebra",
                    remedy="give V -> A, A @ A -> A and 1 -> A",
                    spaces=(given, wanted),
                )
        own, table, one = f.entries(), multiply.entries(), unit.entries()
        taken = [used.name for g in (own, table, one) for used in tensors_in(g)]
        size, count = len(carrier(self.base)), len(carrier(a))
        words = [one, own]  # words[j] holds f(x_1) .. f(x_j), bracketed from the left

        def longer(ins: Terms, outs: Terms, names: Names) -> Expr:
            head, last = names.indices("b", carrier(a)), names.indices("b", carrier(a))
            word = words[-1][(*ins[:-size], *head)]
            return bind((*head, *last), mul(word, own[(*ins[-size:], *last)], table[(*head, *last, *outs)]))

        for j in range(2, self.degree + 1):
            held = product_of(carrier(self.base) * j)
            words.append(LinearMap.from_entries(held, a, longer, "word", taken=taken).entries())
        assert all(len(word.legs) == size * j + count for j, word in enumerate(words))
        return tuple(
            LinearMap.from_entries(self.part(j), a, lambda i, o, _, j=j: words[j][(*i, *o)], "extension", taken=taken)  # type: ignore[misc]
            for j in range(self.degree + 1)
        )

    def universal_property(self) -> tuple[Law, ...]:
        """Return the claims that a linear map into a generic algebra extends to exactly one homomorphism.

        The algebra A is a generic space with a generic product m and unit e; the hypotheses say that it is associative
        and unital, and for the symmetric and exterior algebras that values of f commute or anticommute.

        Uniqueness goes by the degree.  Let ``s : X_j -> X_(j-1) @ V`` be the inclusion.  The claims are
        ``s >> product = 1`` and ``F_j = s >> (F_(j-1) @ f) >> m``.  A homomorphism G that is F in degrees 1 and j - 1
        is F in degree j: ``G_j = s >> product >> G_j = s >> (G_(j-1) @ G_1) >> m = s >> (F_(j-1) @ f) >> m = F_j``.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "n")
        >>> all(law.prove() for law in GradedAlgebra(V, 2, "symmetric").universal_property())
        True
        """
        f, m, e = self._generic_algebra()
        parts = self.extend(f, m, e)
        laws = [same(self.unit >> parts[0], e), same(rebracket(self.base, self.part(1)) >> parts[1], f)]
        for i in range(self.degree + 1):
            laws += [self.multiplicative_law(i, j) for j in range(self.degree + 1 - i)]
        for j in range(2, self.degree + 1):
            split = LinearMap.from_entries(
                self.part(j), TensorProduct((self.part(j - 1), self.part(1))), lambda i, o, _: identity(i, o), "split"
            )
            laws.append(same(split >> self.product(j - 1, 1), LinearMap.identity(self.part(j))))
            laws.append(same(parts[j], split >> (parts[j - 1] @ parts[1]) >> m))
        return tuple(laws)

    def _generic_algebra(self) -> tuple[LinearMap, LinearMap, LinearMap]:
        """Return a generic map of the base into a space, and a product and a unit there."""
        a = generic_space(self.base)
        return LinearMap.generic("f", self.base, a), LinearMap.generic("m", a @ a, a), LinearMap.generic("e", Unit, a)

    def multiplicative_law(self, i: int, j: int) -> Law:
        """Return the claim ``F_(i+j)(x y) = F_i(x) F_j(y)`` under the hypotheses that it needs."""
        f, m, e = self._generic_algebra()
        parts = self.extend(f, m, e)
        a, one = f.target, LinearMap.identity(f.target)
        given = []
        if not i:
            given.append((rebracket(a, Unit @ a) >> (e @ one) >> m, one))
        elif not j:
            given.append((rebracket(a, a @ Unit) >> (one @ e) >> m, one))
        elif i + j > 2 and (j > 1 or self.kind != "tensor"):
            given.append(((m @ one) >> m, rebracket((a @ a) @ a, a @ (a @ a)) >> (one @ m) >> m))
        if i and j and self.kind != "tensor":
            values = (f @ f) >> m
            sign = -1 if self.kind == "exterior" else 1
            given.append((values, (self._swap(self.base, self.base) >> values) * sign))
        hypotheses = [(left.entries(), right.entries()) for left, right in given]
        return same(self.product(i, j) >> parts[i + j], (parts[i] @ parts[j]) >> m, hypotheses)
