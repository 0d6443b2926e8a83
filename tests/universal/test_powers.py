"""Symmetric and exterior powers against minors, permanents and sums over permutations."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import determinant, inputs, integers, matrix_from_entries, permanent, sign, worth

import tensoralg as ta
from tensoralg.errors import InvalidDimension, LegCountMismatch, NotMultilinear, SpaceMismatch
from tensoralg.spaces import TensorProduct
from tensoralg.universal import LinearMap, MultilinearMap, exterior_power, generic_multilinear, symmetric_power
from tensoralg.universal.basis import basis

U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
SIZES = {"m": 2, "n": 3, "k": 2}
POWERS: list[Callable[..., Any]] = [symmetric_power, exterior_power]
seeds = st.integers(0, 2**32 - 1)


def minors(matrix: Any, k: int) -> sympy.Matrix:
    """Return the matrix of all k x k minors."""
    rows, columns = (list(itertools.combinations(range(n), k)) for n in matrix.shape)
    return sympy.Matrix(
        len(rows), len(columns), lambda a, b: determinant([[matrix[i, j] for j in columns[b]] for i in rows[a]])
    )


def permanents(matrix: Any, k: int) -> sympy.Matrix:
    """Return the permanents of all k x k choices with repetition, over square roots of multiplicities."""
    rows, columns = (list(itertools.combinations_with_replacement(range(n), k)) for n in matrix.shape)

    def multiplicity(chosen: tuple[int, ...]) -> int:
        return math.prod(math.factorial(count) for count in Counter(chosen).values())

    return sympy.Matrix(
        len(rows),
        len(columns),
        lambda a, b: (
            sympy.sympify(permanent([[matrix[i, j] for j in columns[b]] for i in rows[a]]))
            / sympy.sqrt(multiplicity(rows[a]) * multiplicity(columns[b]))
        ),
    )


SHAPES = [(n, m, k) for n in (1, 2, 3) for m in (1, 2, 3) for k in range(5)]


@pytest.mark.parametrize(("n", "m", "k"), SHAPES)
def test_the_exterior_power_of_a_map_holds_its_minors(n: int, m: int, k: int) -> None:
    array = integers(random.Random(100 * n + 10 * m + k), n, m)
    for source, target in ((ta.Space("A", n), ta.Space("B", m)), (ta.Space("A", "a"), ta.Space("B", "b"))):
        f = LinearMap.generic("f", source, target)
        found = exterior_power(source, k).map(f)
        matrix = found.matrix(f=array) if k else found.matrix()
        assert matrix == minors(array.T, k)
        assert matrix.shape == (math.comb(m, k), math.comb(n, k))


@pytest.mark.parametrize(("n", "m", "k"), [shape for shape in SHAPES if shape[2] < 4 or shape[0] * shape[1] < 5])
def test_the_symmetric_power_of_a_map_holds_its_permanents(n: int, m: int, k: int) -> None:
    array = integers(random.Random(100 * n + 10 * m + k), n, m)
    f = LinearMap.generic("f", ta.Space("A", n), ta.Space("B", m))
    found = symmetric_power(f.source, k).map(f)
    matrix = found.matrix(f=array) if k else found.matrix()
    wanted = permanents(array.T, k)
    assert matrix.shape == wanted.shape
    assert sympy.simplify(matrix - wanted) == sympy.zeros(*wanted.shape)


@settings(max_examples=12)
@given(seed=seeds, k=st.integers(0, 3), alternating=st.booleans())
def test_powers_are_functors_numerically(seed: int, k: int, alternating: bool) -> None:
    rng = random.Random(seed)
    a, b = integers(rng, 2, 3), integers(rng, 3, 2)
    f, g = LinearMap.generic("f", U, V), LinearMap.generic("g", V, W)
    power = POWERS[alternating]
    whole, first, second = power(U, k).map(f >> g), power(U, k).map(f), power(V, k).map(g)
    given_arrays = {"f": a, "g": b} if k else {}
    product = second.matrix(**inputs(second.entries(), {}, {"g": b})[1]) * first.matrix(
        **inputs(first.entries(), {}, {"f": a})[1]
    )
    assert sympy.simplify(whole.matrix(**given_arrays) - product) == sympy.zeros(*product.shape)
    assert (first >> second).equals(whole)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize("power", POWERS)
def test_projections_average_over_permutations(power: Callable[..., Any], k: int) -> None:
    n, alternating = 2, power is exterior_power
    space = ta.Space("A", n)
    found = matrix_from_entries(power(space, k).projection >> power(space, k).inclusion, {}, {})
    wanted = np.zeros((n**k, n**k), dtype=object)
    for word in itertools.permutations(range(k)):
        for at in itertools.product(range(n), repeat=k):
            row = sum(at[place] * n ** (k - 1 - j) for j, place in enumerate(word))
            column = sum(place * n ** (k - 1 - j) for j, place in enumerate(at))
            wanted[row, column] += Fraction(sign(word) if alternating else 1, math.factorial(k))
    assert np.array_equal(found, wanted)
    assert np.array_equal(wanted.dot(wanted), wanted)


BASES = [V, U @ V, U + V, V + ta.Unit, U @ (V @ ta.Unit), ta.Space("B", "p", metric=None)]
PROPERTIES = [
    (power, base, k)
    for power in POWERS
    for base in BASES
    for k in range(4)
    if not (k == 3 and isinstance(base, TensorProduct))  # uniqueness is not decided there: the rule has 6 terms
]


@pytest.mark.parametrize(("power", "base", "k"), PROPERTIES, ids=lambda part: getattr(part, "__name__", str(part)))
def test_powers_are_universal_functors(power: Callable[..., Any], base: Any, k: int) -> None:
    found = power(base, k)
    assert [verdict.status for verdict in found.universal_property().prove()] == ["proved", "proved"]
    assert [law.prove().status for law in found.splitting()] == ["proved", "proved"]


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("base", [V, U @ V, U + V, ta.Alt(V, 2), ta.Sym(V, 1)], ids=str)
def test_powers_of_composites(power: Callable[..., Any], base: Any) -> None:
    for k in range(3):
        assert {law.prove().status for law in power(base, k).functor_laws()} == {"proved"}


@pytest.mark.parametrize("k", [1, 2])
def test_rank_is_seen_by_exterior_powers(k: int) -> None:
    def through(middle: Any) -> LinearMap:
        return LinearMap.generic("A", U, middle) >> LinearMap.generic("B", middle, V)

    zero = exterior_power(U, k + 1).map(through(ta.Space("K", k)))
    assert zero.equals(LinearMap.zero(zero.source, zero.target)).status == "proved"
    kept = exterior_power(U, k + 1).map(through(ta.Space("K", k + 1)))
    verdict = kept.equals(LinearMap.zero(kept.source, kept.target))
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    matrix = np.array(found.tensors["A"], dtype=object).dot(np.array(found.tensors["B"], dtype=object))
    places = list(found.index.values())
    # an entry of P (f x ... x f) is a minor over the factorial
    minor = determinant([[matrix[i, o] for o in places[k + 1 :]] for i in places[: k + 1]])
    assert found.lhs == Fraction(minor, math.factorial(k + 1))
    assert (found.lhs != 0, found.rhs) == (True, 0)


@pytest.mark.parametrize("k", range(7))
def test_dimensions_are_binomials(k: int) -> None:
    symmetric, exterior = ta.Sym(V, k).dimension, ta.Alt(V, k).dimension
    n = V.dimension
    for size in range(7):
        assert sympy.sympify(symmetric).subs(n, size) == (math.comb(size + k - 1, k) if size + k else 1)
        assert sympy.sympify(exterior).subs(n, size) == math.comb(size, k)
        if size:
            assert ta.Sym(ta.Space("A", size), k).dimension == math.comb(size + k - 1, k)
            assert ta.Alt(ta.Space("A", size), k).dimension == math.comb(size, k)


ORTHONORMAL = [
    (ta.Space("A", 3), 3),
    (ta.Space("A", 2) @ ta.Space("C", 2), 4),
    (ta.Space("A", 2) + ta.Unit, 3),
    (ta.Sym(ta.Space("A", 2), 2), 3),
    (ta.Alt(ta.Space("A", 3), 2) + ta.Space("C", 1), 4),
]


@pytest.mark.parametrize(("base", "n"), ORTHONORMAL, ids=lambda part: str(part))
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_bases_are_orthogonal_and_span_the_image_of_the_projection(base: Any, n: int, k: int) -> None:
    for power in POWERS:
        found = power(base, k)
        vectors, norms = basis(found.space, {})
        count = math.comb(n, k) if power is exterior_power else math.comb(n + k - 1, k)
        assert vectors.shape[1] == len(norms) == count == found.space.dimension
        assert np.array_equal(vectors.T.dot(vectors), np.diag(norms).reshape(count, count))
        if vectors.shape[0] <= 64:
            projection = matrix_from_entries(LinearMap.identity(found.space), {}, {})
            assert np.array_equal(projection.dot(vectors), vectors)
            assert np.trace(projection) == count
            assert LinearMap.identity(found.space).matrix() == sympy.eye(count)


@pytest.mark.parametrize("n", [1, 2])
def test_an_exterior_power_above_the_dimension_is_the_zero_object(n: int) -> None:
    nothing = exterior_power(ta.Space("A", n), n + 1)
    assert nothing.space.dimension == 0
    one = LinearMap.identity(nothing.space)
    assert one.equals(LinearMap.zero(nothing.space, nothing.space))
    assert one.matrix().shape == (0, 0)
    f, g = LinearMap.generic("f", nothing.space, V), LinearMap.generic("g", nothing.space, V)
    assert f.equals(g)
    assert nothing.arrow.equals(nothing.arrow * 0)
    assert LinearMap.generic("f", V, nothing.space).equals(LinearMap.zero(V, nothing.space))
    assert worth(one.trace(), {}, {}) == 0


def test_the_trace_of_the_identity_is_the_dimension() -> None:
    for power in POWERS:
        for base in (V, U @ V, U + V):
            for k in range(4):
                space = power(base, k).space
                trace = LinearMap.identity(space).trace()
                wanted = sympy.sympify(space.dimension).subs({U.dimension: 2, V.dimension: 3})
                assert worth(trace, SIZES, {}) == wanted


# what is factored, and what is refused


def test_factors_through_powers_are_the_maps_themselves() -> None:
    array = integers(random.Random(1), 3, 3, 2)
    x, y, c = ta.tensor("x", V), ta.tensor("y", V), ta.tensor("C", (V, V, W))
    i, j, o = *V.indices("i j"), W.index("o")
    for power, s in ((symmetric_power, 1), (exterior_power, -1)):
        value = (c[i, j, o] + s * c[j, i, o]) * x[i] * y[j]
        f = MultilinearMap((x, y), ta.define((o,), value, name="f"))
        g = power(V, 2).factor(f)
        assert str(g) == f"f : {power(V, 2).space} -> W"
        assert (power(V, 2).arrow >> g).equals(f)
        matrix = matrix_from_entries(g, SIZES, {"C": array}).reshape(2, 3, 3)
        assert np.array_equal(matrix.transpose(1, 2, 0), array + s * array.transpose(1, 0, 2))


def bilinear(array: Any) -> MultilinearMap:
    x, y = ta.tensors("x y", V)
    i, j = V.indices("i j")
    return MultilinearMap((x, y), ta.define((), array[i, j] * x[i] * y[j], name="f"))


@pytest.mark.parametrize(
    ("power", "word", "s"), [(symmetric_power, "symmetric", 1), (exterior_power, "alternating", -1)]
)
def test_a_map_of_the_wrong_symmetry_is_refused_with_a_witness(power: Callable[..., Any], word: str, s: int) -> None:
    for array in (ta.tensor("A", V @ V), ta.tensor("A", V @ V, **{"antisymmetric" if s == 1 else "symmetric": True})):
        with pytest.raises(NotMultilinear, match=rf"f : V x V -> 1 is not shown to be {word} in x and y") as caught:
            power(V, 2).factor(bilinear(array))
        assert [argument.name for argument in caught.value.arguments] == ["x", "y"]
        found = caught.value.counterexample
        assert found is not None
        i, j = found.index.values()
        entries = found.tensors["A"]
        assert (found.lhs, found.rhs) == (entries[i][j], s * entries[j][i])
        assert found.lhs != found.rhs


def test_only_the_last_two_arguments_differ() -> None:
    x, y, z = ta.tensors("x y z", V)
    c, s = ta.tensor("c", V), ta.tensor("S", V @ V, symmetric=True)
    i, j, k = V.indices("i j k")
    f = MultilinearMap((x, y, z), ta.define((), s[i, j] * c[k] * x[i] * y[j] * z[k], name="f"))
    with pytest.raises(NotMultilinear, match="symmetric in y and z") as caught:
        symmetric_power(V, 3).factor(f)
    found = caught.value.counterexample
    assert found is not None
    a, b, d = found.index.values()
    matrix, row = found.tensors["S"], found.tensors["c"]
    assert (found.lhs, found.rhs) == (matrix[a][b] * row[d], matrix[a][d] * row[b])
    assert found.lhs != found.rhs


def test_a_map_that_is_not_multilinear_is_refused_with_a_witness() -> None:
    x, y = ta.tensors("x y", V)
    i, j = V.indices("i j")
    f = MultilinearMap((x, y), ta.define((), (x[i] * y[i]).sum(i) * (x[j] * y[j]).sum(j), name="f"))
    for power in POWERS:
        with pytest.raises(NotMultilinear, match="not shown to be linear in x") as caught:
            power(V, 2).factor(f)
        found = caught.value.counterexample
        assert found is not None
        c, p, q, r = (np.array(found.tensors[name], dtype=object) for name in ("c", "x1", "y1", "y"))
        assert found.lhs == (c * p + q).dot(r) ** 2
        assert found.rhs == c * p.dot(r) ** 2 + q.dot(r) ** 2
        assert found.lhs != found.rhs


def test_maps_of_the_wrong_arity_or_source_and_powers_that_are_none() -> None:
    f = generic_multilinear("F", (V, V), W)
    for power, name in ((symmetric_power, "Sym"), (exterior_power, "Alt")):
        with pytest.raises(
            LegCountMismatch, match=rf"F : V x V -> W has 2 arguments, but {name}\(V, 3\) is the product"
        ):
            power(V, 3).factor(f)
        with pytest.raises(SpaceMismatch, match="argument x1 of F : V x V -> W is in V, not in U"):
            power(U, 2).factor(f)
        with pytest.raises(SpaceMismatch, match="is in U, not in V"):
            power(V, 2).map(LinearMap.generic("f", U, V))
        for k in (-1, 1.5, "2", None, True):
            with pytest.raises(InvalidDimension, match="is not a power of a space"):
                power(V, k)
        with pytest.raises(InvalidDimension, match=rf"the projection onto {name}\(V, 8\) is a sum of 40320 products"):
            power(V, 8)


def test_maps_between_powers_are_held_up_to_their_projections() -> None:
    f = LinearMap.generic("f", ta.Alt(V, 2), ta.Sym(U, 2))
    array = integers(random.Random(2), 3, 3, 2, 2)
    left = (array - array.transpose(1, 0, 2, 3)) / Fraction(2)
    wanted = (left + left.transpose(0, 1, 3, 2)) / Fraction(2)
    assert np.array_equal(worth(f.entries(), SIZES, {"f": array}), wanted)
    one, other = LinearMap.identity(f.source), LinearMap.identity(f.target)
    assert (one >> f >> other).equals(f)
    vector = integers(random.Random(3), 3, 3)
    found = worth(f(ta.tensor("v", V @ V)), SIZES, {"f": array, "v": vector})
    assert np.array_equal(found, np.einsum("ijab,ij->ab", wanted, vector))
    matrix = f.matrix(f=array)
    root = sympy.sqrt(2)
    for row, (a, b) in enumerate(itertools.combinations_with_replacement(range(2), 2)):
        for column, (i, j) in enumerate(itertools.combinations(range(3), 2)):
            scale = root * (root if a != b else 1)
            assert matrix[row, column] == sympy.expand(scale * sympy.sympify(wanted[i, j, a, b]))


def test_powers_inside_products_and_sums_are_mapped_alike() -> None:
    f, g = LinearMap.generic("f", V, V), LinearMap.generic("g", U, U)
    a, b = integers(random.Random(4), 3, 3), integers(random.Random(5), 2, 2)
    both = exterior_power(V, 2).map(f) @ g
    expected = sympy.kronecker_product(minors(a.T, 2), sympy.Matrix(b.T))
    assert both.matrix(f=a, g=b) == expected
    assert both.partial_trace(1, 1).matrix(f=a, g=b) == minors(a.T, 2) * int(np.trace(b))
    trace = both.partial_trace(0, 0)
    assert trace.matrix(f=a, g=b) == sympy.Matrix(b.T) * minors(a.T, 2).trace()
    nested = symmetric_power(ta.Alt(V, 2), 2).map(exterior_power(V, 2).map(f))
    wanted = permanents(np.array(minors(a.T, 2).tolist(), dtype=object), 2)
    assert sympy.simplify(nested.matrix(f=a) - wanted) == sympy.zeros(6, 6)
