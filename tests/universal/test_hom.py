"""Hom and duals: currying against reshaping, evaluation, naturality, the snake equations, bare spaces."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import eye, inputs, integers, kron, matrix_from_entries, worth
from oracle import extent

import tensoralg as ta
from tensoralg.errors import NotMultilinear, SpaceMismatch
from tensoralg.universal import LinearMap, MultilinearMap, curry, duality, generic_multilinear, hom, rebracket, uncurry

U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
BARE = ta.Space("B", "p", metric=None)
SIZES = {"m": 2, "n": 3, "k": 2, "p": 2}
SPACES: dict[str, tuple[Any, int]] = {
    "U": (U, 2),
    "V": (V, 3),
    "1": (ta.Unit, 1),
    "B": (BARE, 2),
    "B*": (BARE.dual, 2),
    "V @ B": (V @ BARE, 6),
    "U + V": (U + V, 5),
    "B + 1": (BARE + ta.Unit, 3),
    "U @ (U @ 1)": (U @ (U @ ta.Unit), 4),
    "U + V @ U": (U + V @ U, 8),
}
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(SPACES))


@settings(max_examples=30)
@given(seed=seeds, chosen=st.tuples(names, names, names))
def test_currying_only_moves_an_index(seed: int, chosen: tuple[str, str, str]) -> None:
    (u, a), (v, b), (w, c) = (SPACES[name] for name in chosen)
    f = LinearMap.generic("f", u @ v, w)
    shape = [extent(leg.space, SIZES) for leg in f.entries().legs]
    array = integers(random.Random(seed), *shape)
    matrix = np.asarray(array, dtype=object).reshape(a, b, c)
    g = curry(f)
    assert (g.source, g.target) == (u, v >> w) == (u, v.dual @ w)
    assert np.array_equal(matrix_from_entries(g, SIZES, {"f": array}), matrix.reshape(a, b * c).T)
    back = uncurry(g)
    assert (back.source, back.target) == (u @ v, w)
    assert np.array_equal(matrix_from_entries(back, SIZES, {"f": array}), matrix.reshape(a * b, c).T)
    assert back.equals(f)
    assert hom(v, w).factor(f).equals(g)
    assert np.array_equal(
        matrix_from_entries(hom(v, w).evaluation, SIZES, {}),
        np.einsum("vx,wo->ovwx", eye(b), eye(c)).reshape(c, b * c * b),
    )


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (V, W),
        (V, V),
        (ta.Unit, V),
        (V, ta.Unit),
        (BARE, V),
        (BARE, BARE),
        (U @ BARE, BARE.dual + V),
        (U + V, W @ (V @ U)),
        (U @ (V + ta.Unit), W),
        (ta.Alt(V, 2), W),
        (V, ta.Sym(V, 2)),
    ],
    ids=str,
)
def test_currying_is_universal_and_natural(inner: Any, outer: Any) -> None:
    found = hom(inner, outer)
    assert {verdict.status for verdict in found.universal_property().prove()} == {"proved"}
    assert {law.prove().status for law in found.naturality()} == {"proved"}


@pytest.mark.parametrize(
    "space",
    [V, BARE, BARE.dual, ta.Unit, U @ V, U @ (BARE @ V), U + V, BARE + ta.Unit, (U + BARE) @ V, ta.Alt(V, 2)],
    ids=str,
)
def test_the_snake_equations(space: Any) -> None:
    assert [law.prove().status for law in duality(space).snake_equations()] == ["proved", "proved"]


def test_a_bilinear_map_is_curried_through_its_tensor_product() -> None:
    f = generic_multilinear("F", (U, V), W)
    array = integers(random.Random(1), 2, 3, 2)
    for g in (curry(f), hom(V, W).factor(f)):
        assert str(g) == "F : U -> V* @ W"
        assert np.array_equal(matrix_from_entries(g, SIZES, {"F": array}), array.reshape(2, 6).T)


def test_a_map_is_a_vector_of_hom_and_hom_is_a_functor() -> None:
    f = LinearMap.generic("f", ta.Unit @ V, W)
    matrix = integers(random.Random(2), 3, 2)
    point = curry(f)
    assert point.source == ta.Unit
    assert np.array_equal(matrix_from_entries(point, SIZES, {"f": matrix}).ravel(), matrix.ravel())
    before, after = LinearMap.generic("a", U, V), LinearMap.generic("b", W, U)
    turn = hom(V, W).map(before, after)
    assert (turn.source, turn.target) == (V >> W, U >> U)
    a, b = integers(random.Random(3), 2, 3), integers(random.Random(4), 2, 2)
    assert np.array_equal(matrix_from_entries(turn, SIZES, {"a": a, "b": b}), kron(a, b.T))
    moved = matrix_from_entries(point >> turn, SIZES, {"a": a, "b": b, "f": matrix})
    assert np.array_equal(moved.reshape(2, 2), a.dot(matrix).dot(b))


def test_duals_of_maps_products_and_sums() -> None:
    f, g = LinearMap.generic("f", U @ BARE, V), LinearMap.generic("g", V, BARE + ta.Unit)
    assert (f >> g).dual.equals(g.dual >> f.dual)
    assert f.dual.source == V.dual
    assert f.dual.target == U.dual @ BARE.dual
    assert f.dual.dual.equals(f)
    h = LinearMap.generic("h", W, BARE)
    assert (f @ h).dual.equals(f.dual @ h.dual)
    array = integers(random.Random(5), 2, 2, 3)
    assert np.array_equal(matrix_from_entries(f.dual, SIZES, {"f": array}), array.reshape(4, 3))
    assert LinearMap.identity(BARE + V).dual.equals(LinearMap.identity(BARE.dual + V.dual))


def test_the_trace_of_a_bare_space_is_the_loop_of_evaluation_and_coevaluation() -> None:
    f = LinearMap.generic("f", BARE, BARE)
    pair = duality(BARE)
    turned = LinearMap.identity(BARE).partial_trace(0, 0)
    assert worth(turned.entries(), SIZES, {}) == 2
    back = duality(BARE.dual)
    assert back.evaluation.source == BARE @ BARE.dual
    loop = pair.coevaluation >> (f @ LinearMap.identity(BARE.dual)) >> back.evaluation
    array = integers(random.Random(6), 2, 2)
    assert worth(loop.entries(), SIZES, {"f": array}) == np.trace(array)
    assert worth(f.trace(), SIZES, {"f": array}) == np.trace(array)


def test_rebracketing_changes_nothing_that_is_held() -> None:
    for source, target in (
        ((U @ V) @ W, U @ (V @ W)),
        (U, ta.Unit @ (U @ ta.Unit)),
        (BARE @ (U + V), (BARE @ ta.Unit) @ (U + V)),
        (ta.Alt(V, 2), ta.Unit @ ta.Alt(V, 2)),
    ):
        there, back = rebracket(source, target), rebracket(target, source)
        assert (there >> back).equals(LinearMap.identity(source))
        matrix = there.matrix(inputs(there.entries(), SIZES, {})[0])
        assert matrix == sympy.eye(matrix.rows)
    with pytest.raises(SpaceMismatch, match=r"Alt\(V, 2\) and V @ V do not have the same factors"):
        rebracket(ta.Alt(V, 2), V @ V)
    with pytest.raises(SpaceMismatch, match="U @ V and V @ U do not have the same factors in the same order"):
        rebracket(U @ V, V @ U)


def test_what_cannot_be_curried() -> None:
    f = LinearMap.generic("f", U, V)
    with pytest.raises(SpaceMismatch, match="f : U -> V cannot be curried: its source is no product of two spaces"):
        curry(f)
    with pytest.raises(SpaceMismatch, match="f : U -> V cannot be uncurried: its target is no space V >> W"):
        uncurry(f)
    with pytest.raises(SpaceMismatch, match="F : U x V x W -> U cannot be curried"):
        curry(generic_multilinear("F", (U, V, W), U))
    with pytest.raises(SpaceMismatch, match=r"f : U @ V -> W cannot be curried into V\* @ U"):
        hom(V, U).factor(LinearMap.generic("f", U @ V, W))
    with pytest.raises(SpaceMismatch, match="f : U -> V does not meet W"):
        hom(W, V).map(f, f)
    x, i = ta.tensor("x", (U, V)), ta.Space("Z", 1).index("i")
    a, b = U.index("a"), V.index("b")
    square = LinearMap((x,), ta.define((i,), (x[a, b] * x[a, b]).sum(a, b) * ta.delta[i, i], name="sq"))
    with pytest.raises(NotMultilinear, match="sq : U @ V -> Z is not shown to be linear in x"):
        curry(square)
    with pytest.raises(SpaceMismatch, match="cannot be curried"):
        curry(MultilinearMap((), ta.define((), 1)))
