"""The diagrams of coherence: two composites of structural isomorphisms that are to agree.

The conditions on ``@`` alone and on ``+`` alone are Mac Lane's (1963); of his, the pentagon, the triangle, the hexagon
and symmetry imply the others (G. M. Kelly 1964).  Those on both are M. L. Laplaza's (1972), in his numbers: I to IX,
XXIII and XXIV are the ones without zero.  Each function returns a `Diagram`, which is decided in two ways that share
nothing but the generators: by its bijections, and as an equation of maps composed by substitution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import rshift

from tensoralg.errors import InvalidExpression
from tensoralg.expr import Definition, Expr, define
from tensoralg.expr.nodes import Add, Delta, add, as_expr
from tensoralg.spaces import Fused, IndexTerm, Injected, Unit, VectorSpace
from tensoralg.universal.coherence import (
    Structural,
    associator,
    braiding,
    direct_sum,
    identity,
    left_distributor,
    left_unitor,
    right_distributor,
    right_unitor,
    sum_associator,
    sum_braiding,
)
from tensoralg.universal.construction import Law


@dataclass(frozen=True)
class Diagram:
    """Two paths of structural isomorphisms from one space to another.

    Parameters
    ----------
    left, right : sequence of Structural
        The isomorphisms along each path, in the order in which they are applied.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> wrong = Diagram((braiding(V, V),), (identity(V @ V),))
    >>> wrong.commutes(), ta.prove(*wrong.law()).status
    (False, 'refuted')
    """

    left: tuple[Structural, ...]
    right: tuple[Structural, ...]

    def __post_init__(self) -> None:
        for side in ("left", "right"):
            path = tuple(getattr(self, side))
            object.__setattr__(self, side, path)
            if not path:
                raise InvalidExpression(
                    f"the {side} path of a diagram is empty", remedy="put the identity of its space there"
                )

    def commutes(self) -> bool:
        """Return whether the two paths are one map for all dimensions, decided by their bijections."""
        left, right = (reduce(rshift, path) for path in (self.left, self.right))
        return left.same(right)

    def law(self) -> Law:
        """Return the claim that the maps along the two paths agree at a generic vector, as `prove` takes it."""
        return Law(_along(self.left), _along(self.right))


def _along(path: Sequence[Structural]) -> Definition:
    """Return the value of the maps along a path, one after the other, at a generic vector."""
    first, *others = (step.as_map() for step in path)
    value = first.value
    for step in others:
        after = step(value)
        value = define(after.legs, _without_crossings(after.term), after.name)
    return value


def _without_crossings(expr: Expr) -> Expr:
    """Return the expression without the products that relate two summands of one sum, which are 0."""
    if isinstance(expr, Delta):
        return as_expr(0) if _apart(expr.left, expr.right) else expr
    children = tuple(map(_without_crossings, expr.children()))
    if isinstance(expr, Add):
        return add(*children)
    return as_expr(0) if as_expr(0) in children else expr.with_children(children)


def _apart(left: IndexTerm, right: IndexTerm) -> bool:
    """Return whether two index terms lie in different summands of some sum."""
    if isinstance(left, Injected) and isinstance(right, Injected):
        return left.position != right.position or _apart(left.term, right.term)
    if isinstance(left, Fused) and isinstance(right, Fused):
        return any(map(_apart, left.parts, right.parts))
    return False


# One product.


def pentagon(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return the two ways from ``((A @ B) @ C) @ D`` to ``A @ (B @ (C @ D))``."""
    return Diagram(
        (associator(a, b, c) @ identity(d), associator(a, b @ c, d), identity(a) @ associator(b, c, d)),
        (associator(a @ b, c, d), associator(a, b, c @ d)),
    )


def triangle(a: VectorSpace, b: VectorSpace) -> Diagram:
    """Return the two ways from ``(A @ 1) @ B`` to ``A @ B``."""
    return Diagram((associator(a, Unit, b), identity(a) @ left_unitor(b)), (right_unitor(a) @ identity(b),))


def hexagon(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return the two ways from ``(A @ B) @ C`` to ``B @ (C @ A)``."""
    return Diagram(
        (associator(a, b, c), braiding(a, b @ c), associator(b, c, a)),
        (braiding(a, b) @ identity(c), associator(b, a, c), identity(b) @ braiding(a, c)),
    )


def second_hexagon(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return the two ways from ``A @ (B @ C)`` to ``(C @ A) @ B``."""
    return Diagram(
        (associator(a, b, c).inverse, braiding(a @ b, c), associator(c, a, b).inverse),
        (identity(a) @ braiding(b, c), associator(a, c, b).inverse, braiding(a, c) @ identity(b)),
    )


def symmetry(a: VectorSpace, b: VectorSpace) -> Diagram:
    """Return the braiding of A and B and back, and the identity."""
    return Diagram((braiding(a, b), braiding(b, a)), (identity(a @ b),))


def units_agree() -> Diagram:
    """Return the two unitors of ``1 @ 1``."""
    return Diagram((left_unitor(Unit),), (right_unitor(Unit),))


def braided_unit(a: VectorSpace) -> Diagram:
    """Return the two ways from ``A @ 1`` to A: the right unitor, and the left one after the braiding."""
    return Diagram((braiding(a, Unit), left_unitor(a)), (right_unitor(a),))


def unit_of_a_product(a: VectorSpace, b: VectorSpace) -> Diagram:
    """Return the two ways from ``(1 @ A) @ B`` to ``A @ B``."""
    return Diagram((associator(Unit, a, b), left_unitor(a @ b)), (left_unitor(a) @ identity(b),))


def yang_baxter(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return the two ways from ``(A @ B) @ C`` to ``(C @ B) @ A`` by braidings of neighbours."""

    def last(one: VectorSpace, two: VectorSpace, three: VectorSpace) -> tuple[Structural, ...]:
        """Return the exchange of the last two of three factors."""
        swap = identity(one) @ braiding(two, three)
        return associator(one, two, three), swap, associator(one, three, two).inverse

    return Diagram(
        (braiding(a, b) @ identity(c), *last(b, a, c), braiding(b, c) @ identity(a)),
        (*last(a, b, c), braiding(a, c) @ identity(b), *last(c, a, b)),
    )


# Sums.


def sum_pentagon(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return the two ways from ``((A + B) + C) + D`` to ``A + (B + (C + D))``."""
    return Diagram(
        (
            direct_sum(sum_associator(a, b, c), identity(d)),
            sum_associator(a, b + c, d),
            direct_sum(identity(a), sum_associator(b, c, d)),
        ),
        (sum_associator(a + b, c, d), sum_associator(a, b, c + d)),
    )


def sum_hexagon(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return the two ways from ``(A + B) + C`` to ``B + (C + A)``."""
    return Diagram(
        (sum_associator(a, b, c), sum_braiding(a, b + c), sum_associator(b, c, a)),
        (
            direct_sum(sum_braiding(a, b), identity(c)),
            sum_associator(b, a, c),
            direct_sum(identity(b), sum_braiding(a, c)),
        ),
    )


def sum_symmetry(a: VectorSpace, b: VectorSpace) -> Diagram:
    """Return the exchange of A and B in ``A + B`` and back, and the identity."""
    return Diagram((sum_braiding(a, b), sum_braiding(b, a)), (identity(a + b),))


# Distributors.


def left_distributor_and_sum_braiding(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return Laplaza's I: the two ways from ``A @ (B + C)`` to ``A @ C + A @ B``."""
    return Diagram(
        (left_distributor(a, b, c), sum_braiding(a @ b, a @ c)),
        (identity(a) @ sum_braiding(b, c), left_distributor(a, c, b)),
    )


def distributors_and_braiding(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return Laplaza's II: the two ways from ``(A + B) @ C`` to ``C @ A + C @ B``."""
    return Diagram(
        (braiding(a + b, c), left_distributor(c, a, b)),
        (right_distributor(a, b, c), direct_sum(braiding(a, c), braiding(b, c))),
    )


def right_distributor_and_sum_braiding(a: VectorSpace, b: VectorSpace, c: VectorSpace) -> Diagram:
    """Return Laplaza's III: the two ways from ``(A + B) @ C`` to ``B @ C + A @ C``."""
    return Diagram(
        (right_distributor(a, b, c), sum_braiding(a @ c, b @ c)),
        (sum_braiding(a, b) @ identity(c), right_distributor(b, a, c)),
    )


def right_distributor_and_sum_associator(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return Laplaza's IV: the two ways from ``(A + (B + C)) @ D`` to ``(A @ D + B @ D) + C @ D``."""
    return Diagram(
        (
            right_distributor(a, b + c, d),
            direct_sum(identity(a @ d), right_distributor(b, c, d)),
            sum_associator(a @ d, b @ d, c @ d).inverse,
        ),
        (
            sum_associator(a, b, c).inverse @ identity(d),
            right_distributor(a + b, c, d),
            direct_sum(right_distributor(a, b, d), identity(c @ d)),
        ),
    )


def left_distributor_and_sum_associator(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return Laplaza's V: the two ways from ``A @ (B + (C + D))`` to ``(A @ B + A @ C) + A @ D``."""
    return Diagram(
        (
            left_distributor(a, b, c + d),
            direct_sum(identity(a @ b), left_distributor(a, c, d)),
            sum_associator(a @ b, a @ c, a @ d).inverse,
        ),
        (
            identity(a) @ sum_associator(b, c, d).inverse,
            left_distributor(a, b + c, d),
            direct_sum(left_distributor(a, b, c), identity(a @ d)),
        ),
    )


def left_distributor_and_associator(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return Laplaza's VI: the two ways from ``A @ (B @ (C + D))`` to ``(A @ B) @ C + (A @ B) @ D``."""
    return Diagram(
        (
            identity(a) @ left_distributor(b, c, d),
            left_distributor(a, b @ c, b @ d),
            direct_sum(associator(a, b, c).inverse, associator(a, b, d).inverse),
        ),
        (associator(a, b, c + d).inverse, left_distributor(a @ b, c, d)),
    )


def right_distributor_and_associator(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return Laplaza's VII: the two ways from ``(A + B) @ (C @ D)`` to ``(A @ C) @ D + (B @ C) @ D``."""
    return Diagram(
        (right_distributor(a, b, c @ d), direct_sum(associator(a, c, d).inverse, associator(b, c, d).inverse)),
        (
            associator(a + b, c, d).inverse,
            right_distributor(a, b, c) @ identity(d),
            right_distributor(a @ c, b @ c, d),
        ),
    )


def both_distributors_and_associator(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return Laplaza's VIII: the two ways from ``A @ ((B + C) @ D)`` to ``(A @ B) @ D + (A @ C) @ D``."""
    return Diagram(
        (
            identity(a) @ right_distributor(b, c, d),
            left_distributor(a, b @ d, c @ d),
            direct_sum(associator(a, b, d).inverse, associator(a, c, d).inverse),
        ),
        (
            associator(a, b + c, d).inverse,
            left_distributor(a, b, c) @ identity(d),
            right_distributor(a @ b, a @ c, d),
        ),
    )


def product_of_two_sums(a: VectorSpace, b: VectorSpace, c: VectorSpace, d: VectorSpace) -> Diagram:
    """Return Laplaza's IX: the ways from ``(A + B) @ (C + D)`` to ``((A @ C + B @ C) + A @ D) + B @ D``."""
    ac, ad, bc, bd = a @ c, a @ d, b @ c, b @ d
    last = identity(bd)
    return Diagram(
        (
            right_distributor(a, b, c + d),
            direct_sum(left_distributor(a, c, d), left_distributor(b, c, d)),
            sum_associator(ac + ad, bc, bd).inverse,
            direct_sum(sum_associator(ac, ad, bc), last),
            direct_sum(direct_sum(identity(ac), sum_braiding(ad, bc)), last),
            direct_sum(sum_associator(ac, bc, ad).inverse, last),
        ),
        (
            left_distributor(a + b, c, d),
            direct_sum(right_distributor(a, b, c), right_distributor(a, b, d)),
            sum_associator(ac + bc, ad, bd).inverse,
        ),
    )


def left_unitor_of_a_sum(a: VectorSpace, b: VectorSpace) -> Diagram:
    """Return Laplaza's XXIII: the two ways from ``1 @ (A + B)`` to ``A + B``."""
    return Diagram((left_unitor(a + b),), (left_distributor(Unit, a, b), direct_sum(left_unitor(a), left_unitor(b))))


def right_unitor_of_a_sum(a: VectorSpace, b: VectorSpace) -> Diagram:
    """Return Laplaza's XXIV: the two ways from ``(A + B) @ 1`` to ``A + B``."""
    return Diagram(
        (right_unitor(a + b),), (right_distributor(a, b, Unit), direct_sum(right_unitor(a), right_unitor(b)))
    )
