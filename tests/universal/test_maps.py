"""Linear maps against matrices: composition, products, duals, traces, blocks; names that collide; what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import eye, inputs, integers, kron, matrix_from_entries, worth

import tensoralg as ta
from tensoralg.errors import (
    InvalidExpression,
    LegCountMismatch,
    MissingSize,
    SpaceMismatch,
    TensoralgError,
    UnknownName,
    UnknownSize,
)
from tensoralg.spaces import Index
from tensoralg.universal import LinearMap, MultilinearMap, block_diagonal, generic_multilinear

U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
SIZES = {"m": 2, "n": 3, "k": 2}
SPACES = {
    "U": (U, 2),
    "V": (V, 3),
    "V @ W": (V @ W, 6),
    "U @ (V @ W)": (U @ (V @ W), 12),
    "U + V": (U + V, 5),
    "V @ 1": (V @ ta.Unit, 3),
    "1": (ta.Unit, 1),
    "U + (V + 1)": (U + (V + ta.Unit), 6),
    "U @ (U + V)": (U @ (U + V), 10),
    "U @ (V @ U) + W": (U @ (V @ U) + W, 14),
}
seeds = st.integers(0, 2**32 - 1)


def generic(name: str, source: Any, target: Any, rng: random.Random) -> tuple[LinearMap, Any, dict[str, Any]]:
    """Return a generic map, its matrix, and the array of its entries."""
    f = LinearMap.generic(name, source[0], target[0])
    legs = [size(leg) for leg in f.entries().legs]
    array = integers(rng, *legs)
    return f, np.asarray(array, dtype=object).reshape(source[1], target[1]).T, {name: array}


def size(leg: Index) -> int:
    dimension = sympy.sympify(leg.space.dimension)
    return int(dimension.subs({s: SIZES[s.name] for s in dimension.free_symbols}))


@settings(max_examples=30)
@given(seed=seeds, chosen=st.tuples(*[st.sampled_from(sorted(SPACES))] * 3))
def test_maps_between_all_kinds_of_spaces_are_their_matrices(seed: int, chosen: tuple[str, str, str]) -> None:
    rng = random.Random(seed)
    x, y, z = (SPACES[name] for name in chosen)
    f, a, fs = generic("f", x, y, rng)
    g, b, gs = generic("g", y, z, rng)
    h, c, hs = generic("h", x, y, rng)
    arrays = fs | gs | hs

    def same(found: LinearMap, wanted: Any) -> None:
        assert np.array_equal(matrix_from_entries(found, SIZES, arrays), wanted)
        if wanted.size > 36:
            return  # the exact matrix is held by sympy, which is slow
        sizes, given_arrays = inputs(found.entries(), SIZES, arrays)
        assert found.matrix(sizes, **given_arrays) == sympy.Matrix(wanted)

    same(f, a)
    same(f >> g, b.dot(a))
    if a.size * b.size < 1000:
        same(f @ g, kron(a, b))
    same(f.dual, a.T)
    same(f.adjoint, a.T)
    same((f >> g).adjoint, a.T.dot(b.T))
    same(f + h, a + c)
    same(f - h * 3, a - 3 * c)
    same(-f.named("x"), -a)
    assert (f.dual.source, f.dual.target) == (y[0].dual, x[0].dual)
    assert (f.adjoint.source, f.adjoint.target) == (y[0], x[0])
    assert f.dual.dual.equals(f)
    assert worth((f >> f.adjoint).trace(), SIZES, arrays) == (a * a).sum()


@settings(max_examples=25)
@given(seed=seeds, chosen=st.tuples(*[st.sampled_from(["U", "V", "U + V", "V @ W"])] * 3))
def test_the_interchange_law(seed: int, chosen: tuple[str, str, str]) -> None:
    rng = random.Random(seed)
    x, y, z = (SPACES[name] for name in chosen)
    (f, a, fs), (g, b, gs) = generic("f", x, y, rng), generic("g", y, z, rng)
    (p, c, ps), (q, d, qs) = generic("p", y, x, rng), generic("q", x, z, rng)
    arrays = fs | gs | ps | qs
    one, two = (f >> g) @ (p >> q), (f @ p) >> (g @ q)
    for found in (one, two):
        assert np.array_equal(matrix_from_entries(found, SIZES, arrays), kron(b.dot(a), d.dot(c)))
    assert one.equals(two)


@settings(max_examples=40)
@given(seed=seeds, data=st.data())
def test_partial_traces_at_all_positions(seed: int, data: st.DataObject) -> None:
    rng = random.Random(seed)
    pool = [("U", U, 2), ("W + 1", W + ta.Unit, 3), ("V", V, 3)]
    ins = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
    outs = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
    pairs = [(s, t) for s in range(len(ins)) for t in range(len(outs)) if ins[s][0] == outs[t][0]]
    f = LinearMap.generic("f", nested(rng, [part[1] for part in ins]), nested(rng, [part[1] for part in outs]))
    array = integers(rng, *(part[2] for part in (*ins, *outs)))
    for s in range(len(ins)):
        for t in range(len(outs)):
            if (s, t) not in pairs:
                with pytest.raises(SpaceMismatch, match=f"factor {s} of .* is .*, factor {t} of .* is "):
                    f.partial_trace(s, t)
                continue
            found = f.partial_trace(s, t)
            wanted = np.trace(array, axis1=s, axis2=len(ins) + t)
            value = np.asarray(worth(found.entries(), SIZES, {"f": array}), dtype=object)
            assert np.array_equal(value, wanted)


def nested(rng: random.Random, spaces: list[Any]) -> Any:
    """Return the product of some spaces, bracketed at random, with a unit now and then."""
    if len(spaces) == 1:
        return spaces[0] if rng.random() < 0.7 else rng.choice([spaces[0] @ ta.Unit, ta.Unit @ spaces[0]])
    cut = rng.randint(1, len(spaces) - 1)
    return nested(rng, spaces[:cut]) @ nested(rng, spaces[cut:])


def test_tracing_every_factor_is_the_trace() -> None:
    f = LinearMap.generic("f", U @ (V @ (U + V)), U @ (V @ (U + V)))
    array = integers(random.Random(1), 2, 3, 5, 2, 3, 5)
    once = f.partial_trace(1, 1).partial_trace(0, 0).partial_trace(0, 0)
    assert (once.source, once.target) == (ta.Unit, ta.Unit)
    wanted = sum(array[i, j, k, i, j, k] for i in range(2) for j in range(3) for k in range(5))
    assert worth(once.entries(), SIZES, {"f": array}) == worth(f.trace(), SIZES, {"f": array}) == wanted


def test_blocks_and_their_sum() -> None:
    f = LinearMap.generic("f", U + V @ W, (V + ta.Unit) + U)
    array = integers(random.Random(2), 8, 6)
    blocks = f.blocks()
    cuts_in, cuts_out = (0, 2, 8), (0, 4, 6)
    for j in range(2):
        for k in range(2):
            wanted = array[cuts_in[j] : cuts_in[j + 1], cuts_out[k] : cuts_out[k + 1]].T
            assert np.array_equal(matrix_from_entries(blocks[j][k], SIZES, {"f": array}), wanted)
    assert str(blocks[0][0]) == "f_0_0 : U -> V + 1"
    source, target = ta.direct_sum(U, V @ W), ta.direct_sum(V + ta.Unit, U)
    again = source.map_by_blocks(target, {(j, k): blocks[j][k] for j in range(2) for k in range(2)})
    assert again.equals(f)
    assert np.array_equal(matrix_from_entries(again, SIZES, {"f": array}), array.T)


def test_matrices_with_arrays_with_symbols_and_with_both() -> None:
    f, g = LinearMap.generic("f", U, V), LinearMap.generic("g", V, W)
    a, b = integers(random.Random(3), 2, 3), integers(random.Random(4), 3, 2)
    fs = sympy.Matrix(2, 3, lambda i, o: sympy.Symbol(f"f[{i}, {o}]"))
    gs = sympy.Matrix(3, 2, lambda i, o: sympy.Symbol(f"g[{i}, {o}]"))
    both = f >> g
    assert both.matrix(f=a, g=b) == sympy.Matrix(a.dot(b).T)
    assert both.matrix(SIZES) == (fs * gs).T.expand()
    # the array of f tells m and n, so that only k is left to be given
    assert both.matrix({"k": 2}, f=a) == (sympy.Matrix(a) * gs).T.expand()
    assert both.matrix({"m": 2}, g=b) == (fs * sympy.Matrix(b)).T.expand()
    root = f * ta.sqrt(V.dimension)
    assert root.matrix(f=a) == sympy.sqrt(3) * sympy.Matrix(a.T)
    assert LinearMap.zero(U, V).matrix({"m": 2, "n": 3}) == sympy.zeros(3, 2)
    assert LinearMap.identity(U + V).matrix({"m": 2, "n": 3}) == sympy.eye(5)


def test_a_matrix_without_its_sizes_is_refused() -> None:
    f, g = LinearMap.generic("f", U, V), LinearMap.generic("g", V, W)
    with pytest.raises(MissingSize, match="no size for dimension m, n"):
        f.matrix()
    with pytest.raises(MissingSize, match="no size for dimension k"):
        (f >> g).matrix(f=[[1, 2], [3, 4]])
    with pytest.raises(UnknownSize, match="'p', which is no dimension here"):
        f.matrix({"p": 2})
    with pytest.raises(UnknownName, match="no tensor 'g' in the entries of f : U -> V"):
        f.matrix({"m": 2, "n": 2}, g=[[1]])


# tensors whose legs are products, and sums of products


def test_an_argument_with_legs_over_products() -> None:
    leg = U @ (V @ W)
    x, matrix = ta.tensor("x", (leg,)), ta.tensor("A", (leg, V @ ta.Unit))
    i, o = leg.index("i"), (V @ ta.Unit).index("o")
    f = LinearMap((x,), ta.define((o,), matrix[i, o] * x[i], name="f"))
    assert (f.source, f.target) == (leg, V @ ta.Unit)
    assert [str(part) for part in f.arguments[0].legs] == ["U", "V", "W"]
    array = integers(random.Random(5), 12, 3)
    assert np.array_equal(matrix_from_entries(f, SIZES, {"A": array}), array.T)
    flat, split = integers(random.Random(6), 12), ta.tensor("v", (U, V, W))
    for vector, value in (
        (ta.tensor("v", (leg,)), flat),
        (split, flat.reshape(2, 3, 2)),
        (ta.tensor("v", (U @ V, W)), flat.reshape(6, 2)),
        (ta.tensor("v", (U, V @ W)), flat.reshape(2, 6)),
        (ta.tensor("v", (U, ta.Unit, V, W @ ta.Unit)), flat.reshape(2, 1, 3, 2)),
    ):
        found = f(vector)
        assert np.array_equal(worth(found, SIZES, {"A": array, "v": value}), flat.dot(array))


def test_a_sum_whose_summands_are_bracketed_products() -> None:
    space = (U @ (V @ U)) + (W @ ta.Unit)
    x, matrix = ta.tensor("x", (space,)), ta.tensor("A", (space, space))
    i, o = space.index("i"), space.index("o")
    f = LinearMap((x,), ta.define((o,), matrix[i, o] * x[i], name="f"))
    assert f.source == f.target == space
    array, vector = integers(random.Random(7), 14, 14), integers(random.Random(8), 14)
    assert np.array_equal(matrix_from_entries(f, SIZES, {"A": array}), array.T)
    assert np.array_equal(worth(f(ta.tensor("v", (space,))), SIZES, {"A": array, "v": vector}), vector.dot(array))
    blocks = f.blocks()
    assert np.array_equal(matrix_from_entries(blocks[0][1], SIZES, {"A": array}), array[:12, 12:].T)
    assert f.equals(LinearMap.identity(space) >> f)
    flat = U @ V @ U + W
    with pytest.raises(SpaceMismatch, match="cannot compose"):
        f >> LinearMap.identity(flat)


def test_sources_and_targets_may_be_stated() -> None:
    x, matrix = ta.tensor("x", (U, V, W)), ta.tensor("A", (U, V, W, V, V))
    u, v, w, o, p = (*U.indices("u"), *V.indices("v"), *W.indices("w"), *V.indices("o p"))
    value = ta.define((o, p), matrix[u, v, w, o, p] * x[u, v, w], name="f")
    assert str(LinearMap((x,), value)) == "f : U @ V @ W -> V @ V"
    typed = LinearMap((x,), value, (U @ (V @ W),), V @ (ta.Unit @ V))
    assert str(typed) == "f : U @ (V @ W) -> V @ (1 @ V)"
    with pytest.raises(SpaceMismatch, match="f is in V @ V, but is stated to be in V"):
        LinearMap((x,), value, (U @ (V @ W),), V)
    with pytest.raises(SpaceMismatch, match="x is in U @ V @ W, but is stated to be in V @ W @ U"):
        LinearMap((x,), value, (V @ W @ U,))
    with pytest.raises(LegCountMismatch, match="1 argument and 2 sources"):
        LinearMap((x,), value, (U, V))
    with pytest.raises(LegCountMismatch, match="a linear map has one argument, not 2"):
        LinearMap((x, ta.tensor("y", U)), value)


def test_a_leg_over_a_power_is_refused() -> None:
    for leg in (ta.Alt(V, 2), V + ta.Sym(V, 2), U @ ta.Alt(V, 1)):
        x = ta.tensor("x", (leg,))
        with pytest.raises(SpaceMismatch, match=r"x has a leg over .*, but a vector of a power is held with one leg"):
            MultilinearMap((x,), ta.define((), x[leg.index("i")]))


# names that collide

TENSORS = {"x": 1, "x1": 2, "x2": 2, "y": 1, "i1": 2, "o1": 1, "c": 1, "f": 2, "v": 1, "x3": 0}
POOL = ["i1", "i2", "o1", "o2", "x", "j", "b1"]


class Composites:
    """Random maps from V to V together with their matrices; constants, arguments and indices share their names."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.arrays = {name: integers(rng, *[3] * legs) for name, legs in TENSORS.items()}

    def constant(self, legs: int, argument: str = "") -> tuple[Any, Any]:
        name = self.rng.choice([t for t, count in TENSORS.items() if count == legs and t != argument])
        return ta.tensor(name, (V,) * legs), self.arrays[name]

    def leaf(self) -> tuple[LinearMap, Any]:
        name = self.rng.choice(["x", "x1", "x2", "x3", "y", "i1", "c", "f"])
        x = ta.tensor(name, V)
        i, j, k = V.indices(" ".join(self.rng.sample(POOL, 3)))
        (matrix, a), (other, b) = self.constant(2, name), self.constant(2, name)
        (row, p), (column, q) = self.constant(1, name), self.constant(1, name)
        value, wanted = self.rng.choice(
            [
                (matrix[i, j] * x[j], a),
                (row[i] * (column[j] * x[j]).sum(j), np.outer(p, q)),
                (matrix[i, j] * (other[j, k] * x[k]).sum(k), a.dot(b)),
                (matrix[i, j] * (other[k, k]).sum(k) * x[j], a * np.trace(b)),
                (x[i] * (row[i] + column[i]), np.diag(p + q)),
                (x[i] * (row[k] * matrix[k, j] * column[j]).sum(k, j), eye(3) * p.dot(a).dot(q)),
            ]
        )
        return LinearMap((x,), ta.define((i,), value, name=self.rng.choice(["f", "x", "g"]))), wanted

    def scalar(self) -> tuple[Any, Any]:
        row, p = self.constant(1)
        (i,) = (V.index(self.rng.choice(POOL)),)
        number, value = self.constant(0)
        return self.rng.choice([(3, 3), (number[()], value), ((row[i] * row[i]).sum(i), (p * p).sum())])

    def grow(self, depth: int) -> tuple[LinearMap, Any]:
        if depth == 0:
            return self.leaf()
        f, a = self.grow(depth - 1)
        g, b = self.grow(self.rng.randint(0, depth - 1))
        kind = self.rng.choice(["then", "then", "plus", "minus", "times", "turn", "trace", "name", "block"])
        if kind == "then":
            return f >> g, b.dot(a)
        if kind == "plus":
            return f + g, a + b
        if kind == "minus":
            return f - g, a - b
        if kind == "times":
            scale, number = self.scalar()
            return f * scale, a * number
        if kind == "turn":
            return f.adjoint, a.T
        if kind == "trace":
            side = self.rng.randint(0, 1)
            return (f @ g).partial_trace(1 - side, 1 - side), (a * np.trace(b) if side == 0 else b * np.trace(a))
        if kind == "name":
            return f.named(self.rng.choice([*TENSORS, *POOL])), a
        return block_diagonal(f, g).blocks()[0][0] + block_diagonal(f, g).blocks()[1][0], a


@settings(max_examples=150)
@given(seed=seeds, depth=st.integers(1, 4))
def test_random_composites_never_confuse_names(seed: int, depth: int) -> None:
    makes = Composites(random.Random(seed))
    f, matrix = makes.grow(depth)
    assert np.array_equal(matrix_from_entries(f, SIZES, makes.arrays), matrix)
    vector = ta.tensor(*makes.rng.choice([(name, V) for name, legs in TENSORS.items() if legs == 1]))
    assert np.array_equal(worth(f(vector), SIZES, makes.arrays), matrix.dot(makes.arrays[vector.name]))


@settings(max_examples=15)
@given(seed=seeds)
def test_ten_nested_compositions(seed: int) -> None:
    makes = Composites(random.Random(seed))
    parts = [makes.leaf() for _ in range(10)]
    found, wanted = parts[0]
    for f, matrix in parts[1:]:
        found, wanted = found >> f, matrix.dot(wanted)
    assert np.array_equal(matrix_from_entries(found, SIZES, makes.arrays), wanted)
    backwards = parts[-1][0]
    for f, _ in reversed(parts[:-1]):
        backwards = f >> backwards
    assert np.array_equal(matrix_from_entries(backwards, SIZES, makes.arrays), wanted)


def test_an_argument_is_renamed_to_a_name_that_no_constant_has() -> None:
    # x becomes neither x, a constant of g, nor x1, a constant of f
    i, j = V.indices("i j")
    x, x1, v = ta.tensors("x x1 v", V)
    f = LinearMap((x,), ta.define((j,), x1[j] * (x1[i] * x[i]).sum(i), name="f"))
    g = LinearMap((v,), ta.define((), x[j] * v[j], name="g"))
    rng = random.Random(9)
    p, q = integers(rng, 3), integers(rng, 3)
    found = matrix_from_entries(f >> g, SIZES, {"x1": p, "x": q})
    assert np.array_equal(found, [p * p.dot(q)])
    two = LinearMap((x,), ta.define((), x1[i] * x[i])) + g
    assert np.array_equal(matrix_from_entries(two, SIZES, {"x1": p, "x": q}), [p + q])
    scaled = LinearMap((x,), ta.define((), x1[i] * x[i])) * (x[i] * x[i]).sum(i)
    assert np.array_equal(matrix_from_entries(scaled, SIZES, {"x1": p, "x": q}), [p * q.dot(q)])


def test_the_arguments_of_a_bilinear_map_keep_their_own_names() -> None:
    i, j = V.indices("i j")
    x, x1, v = ta.tensors("x x1 v", V)
    product = MultilinearMap((x, x1), ta.define((i,), x[i] * x1[i], name="f"))
    after = product >> LinearMap((v,), ta.define((), x[j] * v[j], name="g"))
    array = integers(random.Random(10), 3)
    assert np.array_equal(worth(after.entries(), SIZES, {"x": array}), np.diag(array))


# equality and application


def test_equality_proves_and_refutes() -> None:
    f, g, h = LinearMap.generic("f", U, V), LinearMap.generic("g", V, W), LinearMap.generic("h", W, U)
    assert ((f >> g) >> h).equals(f >> (g >> h))
    assert (f >> g).dual.equals(g.dual >> f.dual)
    verdict = (f >> g >> h).equals(LinearMap.identity(U))
    assert verdict.status == "refuted"
    found = verdict.counterexample
    assert found is not None
    a, b, c = (np.array(found.tensors[name], dtype=object) for name in "fgh")
    i, o = found.index.values()
    assert found.lhs == a.dot(b).dot(c)[i, o]
    assert found.rhs == int(i == o)
    assert found.lhs != found.rhs
    with pytest.raises(SpaceMismatch, match="f : U -> V and g : V -> W are maps between different spaces"):
        f.equals(g)
    inverse = LinearMap.generic("k", V, U)
    law = ((f >> inverse).entries(), LinearMap.identity(U).entries())
    assert (f >> inverse >> f).equals(f, given=[law])


def test_application_checks_where_a_vector_is() -> None:
    f = LinearMap.generic("f", U @ V, W)
    with pytest.raises(SpaceMismatch, match=r"f : U @ V -> W wants x in U @ V, but v is in V @ U"):
        f(ta.tensor("v", (V, U)))
    with pytest.raises(LegCountMismatch, match="takes 1 argument but got 2"):
        f(ta.tensor("v", (V, U)), ta.tensor("v", (V, U)))


# bad input

BARE = ta.Space("B", "p", metric=None)


def test_a_bare_space_is_not_contracted_with_itself() -> None:
    x, y, b = ta.tensor("x", BARE), ta.tensor("y", BARE), BARE.index("b")
    with pytest.raises(SpaceMismatch, match="B is a bare space and contracts only with its dual"):
        MultilinearMap((x, y), ta.define((), x[b] * y[b]))
    with pytest.raises(SpaceMismatch, match=r"f : B -> V has no adjoint: B is a bare space"):
        LinearMap.generic("f", BARE, V).adjoint  # noqa: B018


def test_composition_and_traces_name_both_sides() -> None:
    f = LinearMap.generic("f", U, V)
    with pytest.raises(SpaceMismatch, match=r"(?s)target\(f\) is not source\(f\).*target = V.*source = U") as caught:
        f >> f
    assert caught.value.spaces == (V, U)
    with pytest.raises(SpaceMismatch, match="f : U -> V has no trace"):
        f.trace()
    with pytest.raises(SpaceMismatch, match="factor 1 of U @ V is V, factor 0 of U @ V is U"):
        LinearMap.generic("f", U @ V, U @ V).partial_trace(1, 0)
    for at in (2, -1, "0", None):
        with pytest.raises(SpaceMismatch, match=f"factor {at} of U @ V is none"):
            LinearMap.generic("f", U @ V, U @ V).partial_trace(at, 0)  # type: ignore[arg-type]


def test_composing_with_a_map_of_two_arguments_is_refused() -> None:
    f, two = LinearMap.generic("f", V, V), generic_multilinear("F", (V, V), V)
    with pytest.raises(LegCountMismatch, match="cannot compose F : V x V -> V after f : V -> V: it takes 2 arguments"):
        f >> two
    with pytest.raises(InvalidExpression, match="F : V x V -> V is not a LinearMap"):
        f @ two


SPACE_MAKERS: dict[str, Callable[[Any], Any]] = {
    "tensor_product": lambda s: ta.tensor_product(V, s),
    "direct_sum": lambda s: ta.direct_sum(s, V),
    "hom, inner": lambda s: ta.hom(s, V),
    "hom, outer": lambda s: ta.hom(V, s),
    "duality": ta.duality,
    "symmetric_power": lambda s: ta.symmetric_power(s, 2),
    "exterior_power": lambda s: ta.exterior_power(s, 2),
    "generic, source": lambda s: LinearMap.generic("f", s, V),
    "generic, target": lambda s: LinearMap.generic("f", V, s),
    "generic_multilinear, source": lambda s: generic_multilinear("F", (V, s), V),
    "generic_multilinear, target": lambda s: generic_multilinear("F", (V, V), s),
    "identity": LinearMap.identity,
    "zero, source": lambda s: LinearMap.zero(s, V),
    "zero, target": lambda s: LinearMap.zero(V, s),
}


@pytest.mark.parametrize("make", SPACE_MAKERS.values(), ids=SPACE_MAKERS.keys())
@pytest.mark.parametrize("bad", ["V", None, 3, ta.tensor("x", V)], ids=["str", "None", "int", "tensor"])
def test_what_is_no_space_is_refused(make: Callable[[Any], Any], bad: Any) -> None:
    with pytest.raises(SpaceMismatch, match="is not a space"):
        make(bad)


def test_stated_spaces_have_to_be_spaces() -> None:
    x, i = ta.tensor("x", V), V.index("i")
    with pytest.raises(SpaceMismatch, match="'V' is not a space"):
        LinearMap((x,), ta.define((i,), x[i]), ("V",))  # type: ignore[arg-type]
    with pytest.raises(SpaceMismatch, match="'V' is not a space"):
        LinearMap((x,), ta.define((i,), x[i]), (V,), "V")  # type: ignore[arg-type]


F = LinearMap.generic("f", V, V)
MAP_TAKERS: dict[str, Callable[[Any], Any]] = {
    ">>": lambda f: F >> f,
    "@": lambda f: F @ f,
    "+": lambda f: F + f,
    "-": lambda f: F - f,
    "equals": F.equals,
    "product.factor": ta.tensor_product(V, V).factor,
    "coproduct.factor": lambda f: ta.direct_sum(V, V).coproduct.factor(F, f),
    "into a sum": lambda f: ta.direct_sum(V, V).product.factor(f, F),
    "block_diagonal": lambda f: block_diagonal(F, f),
    "map_by_blocks": lambda f: ta.direct_sum(V, V).map_by_blocks(ta.direct_sum(V, V), {(0, 0): f}),
    "hom.factor": ta.hom(V, V).factor,
    "hom.through": ta.hom(V, V).through,
    "hom.map": lambda f: ta.hom(V, V).map(F, f),
    "curry": ta.curry,
    "uncurry": ta.uncurry,
    "power.factor": ta.symmetric_power(V, 2).factor,
    "power.map": ta.exterior_power(V, 2).map,
}


@pytest.mark.parametrize("take", MAP_TAKERS.values(), ids=MAP_TAKERS.keys())
@pytest.mark.parametrize("bad", ["f", None, 3, V, ta.tensor("x", V)], ids=["str", "None", "int", "space", "tensor"])
def test_what_is_no_map_is_refused(take: Callable[[Any], Any], bad: Any) -> None:
    with pytest.raises(TensoralgError, match="is not a map"):
        take(bad)
