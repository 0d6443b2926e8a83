"""The claims about coherence: diagrams of associators, unitors, braidings and distributors commute.

Each is decided twice: by the permutations that the isomorphisms induce, and, as all claims are, by the algebra of the
maps.  A claim expected to be refuted is a mistake that is easily made; with it the permutations differ.
"""

from __future__ import annotations

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.errors import ClaimError
from tensoralg.universal import LinearMap, Structural, canonical, diagrams
from tensoralg.universal.coherence import braiding, direct_sum, identity, left_distributor, sum_braiding
from tensoralg.universal.coherence import right_distributor as right_distributor_of
from tensoralg.universal.diagrams import Diagram

MAC_LANE = "S. Mac Lane, Natural associativity and commutativity, Rice Univ. Studies 49 (1963)"
KELLY = "G. M. Kelly, On Mac Lane's conditions for coherence, J. Algebra 1 (1964)"
LAPLAZA = "M. L. Laplaza, Coherence for distributivity, Springer LNM 281 (1972), sec. 1, condition "
JOYAL = "A. Joyal & R. Street, Braided tensor categories, Adv. Math. 102 (1993), prop. 2.1"

A, B, C, D = (ta.Space(*named) for named in (("A", "a"), ("B", "b"), ("C", "c"), ("D", "d")))

Sides = tuple[ta.Definition, ta.Definition]


def commuting(diagram: Diagram) -> Sides:
    """Return the two sides of a diagram whose permutations agree."""
    return _decided(diagram, True)


def differing(diagram: Diagram) -> Sides:
    """Return the two sides of a diagram whose permutations differ."""
    return _decided(diagram, False)


def _decided(diagram: Diagram, expected: bool) -> Sides:
    if diagram.commutes() is not expected:
        raise ClaimError("the permutations say otherwise", remedy="look at diagram.left and diagram.right")
    law = diagram.law()
    return law.lhs, law.rhs


def then(diagram: Diagram, step: Structural) -> Diagram:
    """Return a diagram with a further step on its left path alone."""
    return Diagram((*diagram.left, step), diagram.right)


# One product.


def last_two(space: ta.Space) -> Structural:
    """Return the exchange of the last two factors of ``V @ (V @ (V @ V))``."""
    return identity(space) @ (identity(space) @ braiding(space, space))


@claim(source=MAC_LANE, kernel=False, mutation=lambda: differing(then(diagrams.pentagon(A, A, A, A), last_two(A))))
def pentagon():
    """The two ways from ``((A @ B) @ C) @ D`` to ``A @ (B @ (C @ D))`` agree."""
    return commuting(diagrams.pentagon(A, B, C, D))


@claim(source=MAC_LANE, kernel=False, mutation=lambda: differing(then(diagrams.triangle(A, A), braiding(A, A))))
def triangle():
    """``(A @ 1) @ B -> A @ (1 @ B) -> A @ B`` is the right unitor of A."""
    return commuting(diagrams.triangle(A, B))


@claim(
    source=MAC_LANE,
    kernel=False,
    mutation=lambda: differing(then(diagrams.hexagon(A, A, A), identity(A) @ braiding(A, A))),
)
def hexagon():
    """To braid A with ``B @ C`` is to braid it with B and then with C."""
    return commuting(diagrams.hexagon(A, B, C))


@claim(source=MAC_LANE, kernel=False)
def second_hexagon():
    """To braid ``A @ B`` with C is to braid B with it and then A."""
    return commuting(diagrams.second_hexagon(A, B, C))


@claim(source=MAC_LANE, kernel=False, mutation=lambda: differing(then(diagrams.symmetry(A, A), braiding(A, A))))
def symmetry():
    """To braid twice is to do nothing."""
    return commuting(diagrams.symmetry(A, B))


@claim(source=KELLY, kernel=False)
def the_unitors_agree_on_the_unit():
    """The left and the right unitor of ``1 @ 1`` are equal."""
    return commuting(diagrams.units_agree())


@claim(source=KELLY, kernel=False)
def the_unitors_are_exchanged_by_the_braiding():
    """``A @ 1 -> 1 @ A -> A`` is the right unitor."""
    return commuting(diagrams.braided_unit(A))


@claim(source=KELLY, kernel=False)
def the_left_unitor_of_a_product():
    """``(1 @ A) @ B -> 1 @ (A @ B) -> A @ B`` is the left unitor of A."""
    return commuting(diagrams.unit_of_a_product(A, B))


@claim(source=JOYAL, kernel=False)
def yang_baxter():
    """The two ways to reverse three factors by exchanging neighbours agree."""
    return commuting(diagrams.yang_baxter(A, B, C))


def braided(f: LinearMap, g: LinearMap, after: LinearMap) -> Sides:
    """Return ``f @ g`` and then the braiding, and the braiding and then another map."""
    (first, one), (second, two) = ([leg.space for leg in h.entries().legs] for h in (f, g))
    return ((f @ g) >> braiding(one, two).as_map()).value, (braiding(first, second).as_map() >> after).value


def not_exchanged() -> Sides:
    """Return the claim of naturality with the two maps left in their order."""
    f, g = LinearMap.generic("f", A, A), LinearMap.generic("g", A, A)
    return braided(f, g, f @ g)


@claim(source=MAC_LANE, kernel=False, mutation=not_exchanged)
def the_braiding_is_natural():
    """``f @ g`` and then the braiding is the braiding and then ``g @ f``."""
    f, g = LinearMap.generic("f", A, C), LinearMap.generic("g", B, D)
    return braided(f, g, g @ f)


@claim(source="a mistake: braiding equal factors does something", expected="refuted")
def the_braiding_of_equal_factors_is_the_identity():
    """The braiding of ``A @ A`` is not the identity, unless A is a line."""
    return differing(Diagram((braiding(A, A),), (identity(A @ A),)))


@claim(source="a mistake: A is braided with B only", expected="refuted")
def half_a_hexagon():
    """To braid A with ``A @ A`` is not to braid it with the first factor only."""
    whole = diagrams.hexagon(A, A, A)
    return differing(Diagram(whole.left, whole.right[:2]))


# Sums.


@claim(
    source=MAC_LANE,
    kernel=False,
    mutation=lambda: differing(
        then(diagrams.sum_pentagon(A, B, C, C), direct_sum(identity(A), direct_sum(identity(B), sum_braiding(C, C))))
    ),
)
def pentagon_of_sums():
    """The two ways from ``((A + B) + C) + D`` to ``A + (B + (C + D))`` agree."""
    return commuting(diagrams.sum_pentagon(A, B, C, D))


@claim(source=MAC_LANE, kernel=False)
def hexagon_of_sums():
    """To exchange A with ``B + C`` is to exchange it with B and then with C."""
    return commuting(diagrams.sum_hexagon(A, B, C))


@claim(source=MAC_LANE, kernel=False, mutation=lambda: differing(then(diagrams.sum_symmetry(A, A), sum_braiding(A, A))))
def symmetry_of_sums():
    """To exchange two summands twice is to do nothing."""
    return commuting(diagrams.sum_symmetry(A, B))


@claim(source="a mistake: equal summands are different places", expected="refuted")
def the_exchange_of_equal_summands_is_the_identity():
    """The exchange of ``A + A`` is not the identity, even if A is a line."""
    return differing(Diagram((sum_braiding(A, A),), (identity(A + A),)))


# Distributors.


@claim(
    source=LAPLAZA + "I",
    kernel=False,
    mutation=lambda: differing(then(diagrams.left_distributor_and_sum_braiding(A, B, B), sum_braiding(A @ B, A @ B))),
)
def left_distributor_and_sum_braiding():
    """To exchange summands and to distribute from the left commute."""
    return commuting(diagrams.left_distributor_and_sum_braiding(A, B, C))


@claim(
    source=LAPLAZA + "II",
    kernel=False,
    mutation=lambda: differing(
        then(diagrams.distributors_and_braiding(A, B, B), direct_sum(identity(B @ A), braiding(B, B)))
    ),
)
def distributors_and_braiding():
    """The braiding takes the right distributor to the left one."""
    return commuting(diagrams.distributors_and_braiding(A, B, C))


@claim(source=LAPLAZA + "III", kernel=False)
def right_distributor_and_sum_braiding():
    """To exchange summands and to distribute from the right commute."""
    return commuting(diagrams.right_distributor_and_sum_braiding(A, B, C))


@claim(source=LAPLAZA + "IV", kernel=False)
def right_distributor_and_sum_associator():
    """To distribute three summands from the right, one way and the other."""
    return commuting(diagrams.right_distributor_and_sum_associator(A, B, C, D))


@claim(source=LAPLAZA + "V", kernel=False)
def left_distributor_and_sum_associator():
    """To distribute three summands from the left, one way and the other."""
    return commuting(diagrams.left_distributor_and_sum_associator(A, B, C, D))


@claim(source=LAPLAZA + "VI", kernel=False)
def left_distributor_and_associator():
    """To distribute A and then B from the left is to distribute ``A @ B``."""
    return commuting(diagrams.left_distributor_and_associator(A, B, C, D))


@claim(source=LAPLAZA + "VII", kernel=False)
def right_distributor_and_associator():
    """To distribute C and then D from the right is to distribute ``C @ D``."""
    return commuting(diagrams.right_distributor_and_associator(A, B, C, D))


@claim(source=LAPLAZA + "VIII", kernel=False)
def both_distributors_and_associator():
    """To distribute from the left and from the right commute."""
    return commuting(diagrams.both_distributors_and_associator(A, B, C, D))


@claim(source=LAPLAZA + "IX", kernel=False, mutation=lambda: differing(product_without_exchange()))
def product_of_two_sums():
    """``(A + B) @ (C + D)`` multiplied out by rows and by columns differ by one exchange of summands."""
    return commuting(diagrams.product_of_two_sums(A, B, C, D))


def product_without_exchange() -> Diagram:
    """Return ``(A + A) @ (B + B)`` multiplied out by rows and by columns, without the exchange."""
    rows = (right_distributor_of(A, A, B + B), direct_sum(left_distributor(A, B, B), left_distributor(A, B, B)))
    columns = (left_distributor(A + A, B, B), direct_sum(right_distributor_of(A, A, B), right_distributor_of(A, A, B)))
    return Diagram(rows, columns)


@claim(source=LAPLAZA + "XXIII", kernel=False)
def left_unitor_of_a_sum():
    """The left unitor of a sum is that of each summand."""
    return commuting(diagrams.left_unitor_of_a_sum(A, B))


@claim(source=LAPLAZA + "XXIV", kernel=False)
def right_unitor_of_a_sum():
    """The right unitor of a sum is that of each summand."""
    return commuting(diagrams.right_unitor_of_a_sum(A, B))


@claim(source=LAPLAZA + "IX, and the theorem", kernel=False)
def the_only_isomorphism_is_the_composite():
    """Between spaces with different factors there is one structural isomorphism, however it is found."""
    path = diagrams.product_of_two_sums(A, B, C, D).right
    return commuting(Diagram(path, (canonical(path[0].source, path[-1].target),)))


@claim(source="a mistake: rows before columns", expected="refuted")
def rows_and_columns_multiply_out_alike():
    """``(A + A) @ (B + B)`` multiplied out by rows and by columns differ."""
    return differing(product_without_exchange())
