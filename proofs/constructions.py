"""The universal properties of products, sums, Hom, duals, powers and graded algebras, for all dimensions.

Every construction states its own claims, as `universal_property` or `snake_equations`; here they have names.
Uniqueness speaks of every linear map g with the given data: g is a generic tensor, of which only that is a
hypothesis (tensoralg/universal/construction.py).
"""

from __future__ import annotations

import tensoralg as ta
from tensoralg.claims import claim
from tensoralg.universal import Exponential, GradedAlgebra, Law, LinearMap, canonical, same
from tensoralg.universal.hom import duality, hom, rebracket
from tensoralg.universal.powers import exterior_power, symmetric_power
from tensoralg.universal.product import tensor_product
from tensoralg.universal.sums import direct_sum

BOURBAKI = "N. Bourbaki, Algebra I, "
MAC_LANE = "S. Mac Lane, Categories for the Working Mathematician, "

U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")

triple = tensor_product(U, V, W)
pair = direct_sum(U, V)
maps = hom(V, W)
f, g = LinearMap.generic("f", V, W), LinearMap.generic("g", W, U)


# The tensor product.


@claim(source=f"{BOURBAKI}II.3.9", kernel=False)
def a_trilinear_map_is_linear_after_the_universal_arrow():
    """The factor of a trilinear map, after the arrow, is the map."""
    return triple.universal_property().existence[0]


@claim(source=f"{BOURBAKI}II.3.9", kernel=False)
def only_one_linear_map_is_a_trilinear_map_after_the_arrow():
    """Every linear map that is f after the arrow is the factor of f."""
    return triple.universal_property().uniqueness


@claim(source="definition", expected="refuted", kernel=False)
def the_factor_of_a_bilinear_map_does_not_see_the_order():
    """The factors of ``B[a,b] x[a] y[b]`` and of the same with x and y exchanged agree."""
    a, b = V.indices("a b")
    form, (x, y) = ta.tensor("B", V @ V), ta.tensors("x y", V)
    one = ta.MultilinearMap((x, y), ta.define((), form[a, b] * x[a] * y[b]))
    two = ta.MultilinearMap((x, y), ta.define((), form[a, b] * y[a] * x[b]))
    factor = tensor_product(V, V).factor
    return same(factor(one), factor(two))


# The direct sum.


@claim(source=f"{MAC_LANE}VIII.2", kernel=False)
def an_injection_before_its_projection_is_the_identity():
    """``i_0 >> p_0 = 1``."""
    return pair.biproduct_equations()[0]


@claim(source=f"{MAC_LANE}VIII.2", kernel=False)
def an_injection_before_another_projection_is_zero():
    """``i_0 >> p_1 = 0``."""
    return pair.biproduct_equations()[1]


@claim(source=f"{MAC_LANE}VIII.2", kernel=False)
def projections_before_their_injections_sum_to_the_identity():
    """``p_0 >> i_0 + p_1 >> i_1 = 1``."""
    return pair.biproduct_equations()[-1]


@claim(source=f"{MAC_LANE}III.3", kernel=False)
def two_maps_out_of_the_summands_are_one_map_out_of_the_sum():
    """The map out of the sum restricts to the first of two maps."""
    return pair.coproduct.universal_property().existence[0]


@claim(source=f"{MAC_LANE}III.3", kernel=False)
def only_one_map_out_of_the_sum_has_given_restrictions():
    """Every map out of the sum with the two restrictions is the one made of them."""
    return pair.coproduct.universal_property().uniqueness


@claim(source=f"{MAC_LANE}III.4", kernel=False)
def two_maps_into_the_summands_are_one_map_into_the_sum():
    """The second component of the map into the sum is the second of two maps."""
    return pair.product.universal_property().existence[1]


@claim(source=f"{MAC_LANE}III.4", kernel=False)
def only_one_map_into_the_sum_has_given_components():
    """Every map into the sum with the two components is the one made of them."""
    return pair.product.universal_property().uniqueness


@claim(source="textbook", expected="refuted", kernel=False)
def a_map_of_a_sum_is_its_diagonal_blocks():
    """A generic map of ``U + V`` is the direct sum of its two diagonal blocks."""
    whole = LinearMap.generic("h", U + V, U + V)
    blocks = whole.blocks()
    return same(whole, pair.map_by_blocks(pair, {(0, 0): blocks[0][0], (1, 1): blocks[1][1]}))


@claim(source="textbook", kernel=False)
def a_map_of_a_sum_is_the_sum_of_its_blocks():
    """A generic map of ``U + V`` is the one with its four blocks."""
    whole = LinearMap.generic("h", U + V, U + V)
    blocks = {(j, k): block for j, row in enumerate(whole.blocks()) for k, block in enumerate(row)}
    return same(whole, pair.map_by_blocks(pair, blocks))


# Hom and the dual.


@claim(source=f"{MAC_LANE}IV.1", kernel=False)
def evaluating_a_curried_map_gives_it_back():
    """``(curry(f) @ 1) >> evaluation = f``."""
    return maps.universal_property().existence[0]


@claim(source=f"{MAC_LANE}IV.1", kernel=False)
def only_one_map_into_hom_evaluates_to_a_given_map():
    """Every g with ``(g @ 1) >> evaluation = f`` is ``curry(f)``."""
    return maps.universal_property().uniqueness


@claim(source=f"{MAC_LANE}IV.1", kernel=False)
def currying_is_natural_in_the_first_factor():
    """``curry((a @ 1) >> f) = a >> curry(f)``."""
    return maps.naturality()[0]


@claim(source=f"{MAC_LANE}IV.7", kernel=False)
def currying_is_natural_in_the_second_factor():
    """``curry((1 @ b) >> f) = curry(f) >> Hom(b, 1)``."""
    return maps.naturality()[1]


@claim(source=f"{MAC_LANE}IV.1", kernel=False)
def currying_is_natural_in_the_target():
    """``curry(f >> c) = curry(f) >> Hom(1, c)``."""
    return maps.naturality()[2]


@claim(source="G. M. Kelly, M. L. Laplaza, Coherence for compact closed categories (1980)", kernel=False)
def the_snake_of_a_space_is_straight():
    """Coevaluation, an associator and evaluation make the identity of V."""
    return duality(V).snake_equations()[0]


@claim(source="G. M. Kelly, M. L. Laplaza, Coherence for compact closed categories (1980)", kernel=False)
def the_snake_of_a_dual_is_straight():
    """Coevaluation, an associator and evaluation make the identity of V*."""
    return duality(V).snake_equations()[1]


@claim(source=f"{BOURBAKI}II.4.4", kernel=False)
def the_dual_of_a_product_is_the_product_of_the_duals():
    """``(U @ V)* = U* @ V*``, paired by ``(a (x) b)(u (x) v) = a(u) b(v)``."""
    u, v = duality(U), duality(V)
    crossed = canonical((U @ V).dual @ (U @ V), (U.dual @ U) @ (V.dual @ V)).as_map()
    apart = crossed >> (u.evaluation @ v.evaluation) >> rebracket(ta.Unit @ ta.Unit, ta.Unit)
    return same(duality(U @ V).evaluation, apart)


@claim(source=f"{BOURBAKI}II.4.2", kernel=False)
def hom_is_the_product_of_the_dual_and_the_target():
    """``Hom(V, W) = V* @ W``, where ``a (x) w`` takes v to ``a(v) w``."""
    crossed = canonical((V >> W) @ V, (V.dual @ V) @ W).as_map()
    apart = crossed >> (duality(V).evaluation @ LinearMap.identity(W)) >> rebracket(ta.Unit @ W, W)
    return same(maps.evaluation, apart)


@claim(source=f"{BOURBAKI}II.2.5", kernel=False)
def the_dual_reverses_composition():
    """``(f >> g)* = g* >> f*``."""
    return same((f >> g).dual, g.dual >> f.dual)


@claim(source=f"{BOURBAKI}II.4.3", kernel=False)
def a_trace_does_not_see_the_order_of_two_maps():
    """``trace(f >> h) = trace(h >> f)`` for f from V to W and h back."""
    back = LinearMap.generic("h", W, V)
    return (f >> back).trace(), (back >> f).trace()


# Powers.


@claim(source=f"{BOURBAKI}III.6.1", kernel=False)
def a_symmetric_trilinear_map_is_linear_on_the_symmetric_power():
    """The factor of a symmetric trilinear map, after the arrow, is the map."""
    return symmetric_power(V, 3).universal_property().existence[0]


@claim(source=f"{BOURBAKI}III.6.1", kernel=False)
def only_one_linear_map_on_the_symmetric_power_is_a_given_one():
    """Every linear map out of Sym^3 V that is f after the arrow is the factor of f."""
    return symmetric_power(V, 3).universal_property().uniqueness


@claim(source=f"{BOURBAKI}III.7.1", kernel=False)
def an_alternating_trilinear_map_is_linear_on_the_exterior_power():
    """The factor of an alternating trilinear map, after the arrow, is the map."""
    return exterior_power(V, 3).universal_property().existence[0]


@claim(source=f"{BOURBAKI}III.7.1", kernel=False)
def only_one_linear_map_on_the_exterior_power_is_a_given_one():
    """Every linear map out of Alt^3 V that is f after the arrow is the factor of f."""
    return exterior_power(V, 3).universal_property().uniqueness


@claim(source="W. Fulton, J. Harris, Representation Theory, app. B", kernel=False)
def the_inclusion_before_the_projection_is_the_identity():
    """``i >> p = 1`` on Alt^3 V."""
    return exterior_power(V, 3).splitting()[0]


@claim(source="W. Fulton, J. Harris, Representation Theory, app. B", kernel=False)
def the_projection_before_the_inclusion_is_the_average():
    """``p >> i = 1/3! sum(s: s)`` on ``V ** 3``."""
    return symmetric_power(V, 3).splitting()[1]


@claim(source="textbook", expected="refuted", kernel=False)
def every_tensor_is_symmetric():
    """``p >> i = 1`` on ``V @ V``."""
    square = symmetric_power(V, 2)
    return same(square.projection >> square.inclusion, LinearMap.identity(V @ V))


@claim(source="Cauchy (1815) and Binet (1812); N. Bourbaki, Algebra I, III.8.5", kernel=False)
def minors_of_a_product_are_sums_of_products_of_minors():
    """``Alt^3(f >> g) = Alt^3(f) >> Alt^3(g)``."""
    power = exterior_power(V, 3)
    return same(power.map(f >> g), power.map(f) >> power.of(W).map(g))


@claim(source="R. Merris, Multilinear Algebra, ch. 6", kernel=False)
def symmetric_powers_of_a_product_are_products_of_symmetric_powers():
    """``Sym^3(f >> g) = Sym^3(f) >> Sym^3(g)``."""
    power = symmetric_power(V, 3)
    return same(power.map(f >> g), power.map(f) >> power.of(W).map(g))


def through(dimension: int) -> Law:
    """State that the third exterior power of a map through a space of the given dimension is 0."""
    middle = ta.Space("K", dimension)
    composite = LinearMap.generic("f", V, middle) >> LinearMap.generic("g", middle, W)
    power = exterior_power(V, 3)
    return same(power.map(composite), LinearMap.zero(power.space, power.of(W).space))


@claim(source=f"{BOURBAKI}III.8.6", kernel=False, mutation=lambda: through(3))
def the_third_exterior_power_of_a_map_through_a_plane_is_zero():
    """``Alt^3(f >> g) = 0`` if f is a map into a space of dimension 2."""
    return through(2)


@claim(source=f"{BOURBAKI}III.7.7", kernel=False)
def the_plane_part_of_a_sum_splits():
    """``Alt^2(V + W) = Alt^2 W + V @ W + Alt^2 V``: to the summands and back is the identity."""
    return Exponential(V, W, 2, alternating=True).laws()[-1]


@claim(source=f"{BOURBAKI}III.7.7", kernel=False)
def the_mixed_part_of_a_plane_of_a_sum_is_the_product():
    """``V @ W -> Alt^2(V + W) -> V @ W`` is the identity."""
    return Exponential(V, W, 2, alternating=True).laws()[4]


# Graded algebras.

exterior, symmetric = (GradedAlgebra(V, 3, kind) for kind in ("exterior", "symmetric"))


@claim(source=f"{BOURBAKI}III.7.1", kernel=False)
def the_exterior_product_is_associative():
    """``(x y) z = x (y z)`` for vectors of V."""
    return exterior.associative_law(1, 1, 1)


@claim(source=f"{BOURBAKI}III.7.1", kernel=False, mutation=lambda: symmetric_sign())
def the_exterior_product_of_vectors_anticommutes():
    """``x y = -y x`` for vectors x and y."""
    return exterior.commutative_law(1, 1)


def symmetric_sign() -> Law:
    """State that the exterior product of two vectors commutes."""
    law = exterior.commutative_law(1, 1)
    return Law(law.lhs, ta.define(law.rhs.legs, -1 * law.rhs[law.rhs.legs]))


@claim(source=f"{BOURBAKI}III.7.1", kernel=False)
def a_vector_and_a_plane_commute():
    """``x y = y x`` for a vector x and y in Alt^2 V."""
    return exterior.commutative_law(1, 2)


@claim(source=f"{BOURBAKI}III.6.1", kernel=False)
def the_symmetric_product_commutes():
    """``x y = y x`` for a vector x and y in Sym^2 V."""
    return symmetric.commutative_law(1, 2)


@claim(source=f"{BOURBAKI}III.5.1", kernel=False)
def a_linear_map_into_an_algebra_extends_to_the_tensor_algebra():
    """``F_3(x y) = F_1(x) F_2(y)`` for the words F_j in the values of a linear map into an associative algebra."""
    return GradedAlgebra(V, 3, "tensor").multiplicative_law(1, 2)
