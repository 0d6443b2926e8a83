"""Direct sums against block matrices: biproducts, both universal properties, sums of sums, products and powers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import eye, inputs, integers, matrix_from_entries, worth
from oracle import extent

import tensoralg as ta
from tensoralg.errors import LegCountMismatch, SpaceMismatch
from tensoralg.universal import LinearMap, block_diagonal, direct_sum, same

U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
BARE = ta.Space("B", "p", metric=None)
EARLY, LATE = ta.Space("S", "s", ordered=True), ta.Space("T", "t", ordered=True)
SIZES = {"m": 2, "n": 3, "k": 2, "p": 2, "s": 2, "t": 3}
PARTS: dict[str, tuple[Any, int]] = {
    "U": (U, 2),
    "V": (V, 3),
    "1": (ta.Unit, 1),
    "U @ V": (U @ V, 6),
    "U + V": (U + V, 5),
    "1 + (U + 1)": (ta.Unit + (U + ta.Unit), 4),
    "U @ (W + 1)": (U @ (W + ta.Unit), 6),
    "U @ (1 @ U)": (U @ (ta.Unit @ U), 4),
}
seeds = st.integers(0, 2**32 - 1)
SUMS: list[tuple[Any, ...]] = [
    (U,),
    (U + V,),
    (U, V),
    (U, U, V),
    (U, ta.Unit),
    (ta.Unit, ta.Unit),
    (U + V, W),
    (U, (V + ta.Unit) + W),
    (U @ V, W),
    (U @ (V + W), V @ (W @ U)),
    (BARE, BARE @ U),
    (EARLY, LATE),
    (EARLY @ LATE, LATE),
    (ta.Alt(V, 2), V),
    (ta.Sym(U, 2), ta.Alt(V, 2) @ U),
    (ta.Sym(V, 0), ta.Alt(V, 1)),
]


@pytest.mark.parametrize("summands", SUMS, ids=lambda parts: " | ".join(map(str, parts)))
def test_a_direct_sum_is_a_biproduct(summands: tuple[Any, ...]) -> None:
    total = direct_sum(*summands)
    laws = total.biproduct_equations()
    assert len(laws) == len(summands) ** 2 + 1
    assert {law.prove().status for law in laws} == {"proved"}
    for side in (total.product, total.coproduct):
        assert {verdict.status for verdict in side.universal_property().prove()} == {"proved"}


@settings(max_examples=15)
@given(chosen=st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3))
def test_injections_and_projections_are_blocks_of_the_identity(chosen: list[str]) -> None:
    spaces, counts = zip(*(PARTS[name] for name in chosen), strict=True)
    total = direct_sum(*spaces)
    whole, starts = eye(sum(counts)), [sum(counts[:k]) for k in range(len(counts))]
    for k, (start, count) in enumerate(zip(starts, counts, strict=True)):
        into = matrix_from_entries(total.injection(k), SIZES, {})
        assert np.array_equal(into, whole[:, start : start + count])
        assert np.array_equal(matrix_from_entries(total.projection(k), SIZES, {}), into.T)
        found = total.injection(k)
        assert found.matrix(inputs(found.entries(), SIZES, {})[0]) == sympy.Matrix(into)


@settings(max_examples=20)
@given(seed=seeds, chosen=st.lists(st.sampled_from(sorted(PARTS)), min_size=2, max_size=4))
def test_factors_are_block_rows_and_block_columns(seed: int, chosen: list[str]) -> None:
    rng = random.Random(seed)
    (other, width), *parts = (PARTS[name] for name in chosen)
    total = direct_sum(*(space for space, _ in parts))
    arrays, out, into = {}, [], []
    for k, (space, count) in enumerate(parts):
        for name, pair in ((f"f{k}", (space, other)), (f"g{k}", (other, space))):
            f = LinearMap.generic(name, *pair)
            shape = [extent(leg.space, SIZES) for leg in f.entries().legs]
            arrays[name] = integers(rng, *shape)
            matrix = np.asarray(arrays[name], dtype=object)
            if name[0] == "f":
                out.append((f, matrix.reshape(count, width).T))
            else:
                into.append((f, matrix.reshape(width, count).T))
    either = total.coproduct.factor(*(f for f, _ in out))
    assert np.array_equal(matrix_from_entries(either, SIZES, arrays), np.hstack([a for _, a in out]))
    both = total.product.factor(*(g for g, _ in into))
    assert np.array_equal(matrix_from_entries(both, SIZES, arrays), np.vstack([a for _, a in into]))
    through = both >> either
    wanted = sum(a.dot(b) for (_, a), (_, b) in zip(out, into, strict=True))
    assert np.array_equal(matrix_from_entries(through, SIZES, arrays), wanted)
    diagonal = block_diagonal(*(f for f, _ in out))
    blocks = [[a if j == k else np.zeros_like(b) for k, (_, b) in enumerate(out)] for j, (_, a) in enumerate(out)]
    assert np.array_equal(matrix_from_entries(diagonal, SIZES, arrays), np.block(blocks))


def test_maps_by_blocks_multiply_like_block_matrices() -> None:
    first, second, third = direct_sum(U, V), direct_sum(V, ta.Unit), direct_sum(W, U @ U)
    f = {(j, k): LinearMap.generic(f"f{j}{k}", a, b) for j, a in enumerate((U, V)) for k, b in enumerate((V, ta.Unit))}
    g = {
        (j, k): LinearMap.generic(f"g{j}{k}", a, b)
        for j, a in enumerate((V, ta.Unit))
        for k, b in enumerate((W, U @ U))
    }
    del g[1, 0]  # a block that is not given is 0
    rng = random.Random(3)
    arrays = {
        name.value.name: integers(rng, *(SIZES[leg.space.dimension.name] for leg in name.entries().legs))
        for name in (*f.values(), *g.values())
    }
    rows = {"f00": (2, 3), "f01": (2, 1), "f10": (3, 3), "f11": (3, 1), "g00": (3, 2), "g01": (3, 4), "g11": (1, 4)}
    flat = {name: np.asarray(arrays[name], dtype=object).reshape(shape) for name, shape in rows.items()}
    a = np.block([[flat["f00"], flat["f01"]], [flat["f10"], flat["f11"]]])
    b = np.block([[flat["g00"], flat["g01"]], [np.zeros((1, 2), dtype=object), flat["g11"]]])
    composed = first.map_by_blocks(second, f) >> second.map_by_blocks(third, g)
    assert np.array_equal(matrix_from_entries(composed, SIZES, arrays), a.dot(b).T)
    zero = first.map_by_blocks(third, {})
    assert zero.equals(LinearMap.zero(U + V, W + U @ U))


def test_block_diagonals_are_functorial() -> None:
    f, g = LinearMap.generic("f", U, V), LinearMap.generic("g", V, U @ V)
    p, q = LinearMap.generic("p", W, ta.Unit), LinearMap.generic("q", ta.Unit, U + V)
    assert (block_diagonal(f, p) >> block_diagonal(g, q)).equals(block_diagonal(f >> g, p >> q))
    one = LinearMap.identity
    assert block_diagonal(one(U), one(V + W), one(ta.Unit)).equals(
        one(direct_sum(U, V + W, ta.Unit).space), sizes={"m": 2}
    )
    assert block_diagonal(f, p).dual.equals(block_diagonal(f.dual, p.dual))
    square = LinearMap.generic("h", W, W)
    trace = block_diagonal(f >> f.adjoint, square).trace()
    a, b = integers(random.Random(5), 2, 3), integers(random.Random(6), 2, 2)
    assert worth(trace, SIZES, {"f": a, "h": b}) == (a * a).sum() + np.trace(b)


def test_a_wrong_factor_is_refuted() -> None:
    total = direct_sum(U, V)
    f, g = LinearMap.generic("f", U, W), LinearMap.generic("g", V, W)
    twisted = total.coproduct.factor(f, g * 2)
    verdict = same(total.injection(1) >> twisted, g).prove()
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    i, o = found.index.values()
    assert (found.lhs, found.rhs) == (2 * found.tensors["g"][i][o], found.tensors["g"][i][o])


def test_a_sum_of_ordered_spaces_is_ordered_and_not_mixed() -> None:
    assert direct_sum(EARLY, LATE).space.ordered
    with pytest.raises(SpaceMismatch, match="cannot add the ordered space S and the unordered space V") as caught:
        direct_sum(V, EARLY).space  # noqa: B018
    assert caught.value.spaces == (EARLY, V)


def test_what_does_not_fit_a_sum_is_refused() -> None:
    total = direct_sum(U, V)
    f, g = LinearMap.generic("f", U, W), LinearMap.generic("g", V, W)
    with pytest.raises(LegCountMismatch, match="name at least one space"):
        direct_sum()
    with pytest.raises(LegCountMismatch, match=r"1 map for 2 summands of U \+ V"):
        total.coproduct.factor(f)
    with pytest.raises(SpaceMismatch, match=r"g : V -> W does not meet the summand U of U \+ V"):
        total.coproduct.factor(g, f)
    with pytest.raises(SpaceMismatch, match="f : U -> W and g : V -> U have different other ends"):
        total.coproduct.factor(f, LinearMap.generic("g", V, U))
    with pytest.raises(SpaceMismatch, match=r"f : U -> W does not meet the summand U of U \+ V"):
        total.product.factor(f, g)
    for position in (2, -1, "0"):
        with pytest.raises(SpaceMismatch, match=rf"U \+ V has no summand {position}"):
            total.injection(position)  # type: ignore[arg-type]
    with pytest.raises(SpaceMismatch, match=r"block \(0, 1\) is f : U -> W, not a map from U to V"):
        total.map_by_blocks(total, {(0, 1): f})
    with pytest.raises(SpaceMismatch, match=r"the target of blocks out of U \+ V is "):
        total.map_by_blocks(V, {})  # type: ignore[arg-type]


def test_an_ordered_space_beside_an_unordered_one_is_refused_at_once() -> None:
    time, plain = ta.Space("T", "n", ordered=True), ta.Space("F", "d")
    with pytest.raises(SpaceMismatch, match="the ordered space T and the unordered space F"):
        ta.direct_sum(time, plain)


def test_maps_are_summed_and_divided() -> None:
    plain = ta.Space("F", "d")
    f, g = ta.LinearMap.generic("f", plain, plain), ta.LinearMap.generic("g", plain, plain)
    mean = sum([f, g]) / 2
    assert mean.equals(f / 2 + g / 2)
    assert (2 * mean - f).equals(g)
