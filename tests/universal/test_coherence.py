"""Structural isomorphisms against permutation matrices that are put together by numpy alone."""

from __future__ import annotations

import inspect
import random
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.errors import Ambiguous, BudgetExceeded, InvalidExpression, SpaceMismatch
from tensoralg.spaces import DirectSum, Space, TensorProduct, UnitSpace, VectorSpace
from tensoralg.universal import LinearMap, canonical, diagrams, distribute
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
from tensoralg.universal.diagrams import Diagram
from tensoralg.universal.words import words

U, V, W, X = (Space(*named) for named in (("U", "a"), ("V", "b"), ("W", "c"), ("X", "d")))
B, L = Space("B", "p", metric=None), Space("L", 1)
SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "p": 2}
MOST = 48  # of the dimension of a random space
SEEDS = st.integers(0, 10**9)
DIAGRAMS = {
    name: function
    for name, function in vars(diagrams).items()
    if inspect.isfunction(function) and function.__module__ == diagrams.__name__ and not name.startswith("_")
}


def extent(space: VectorSpace) -> int:
    if isinstance(space, TensorProduct):
        return int(np.prod([extent(factor) for factor in space.factors], dtype=int))
    if isinstance(space, DirectSum):
        return sum(map(extent, space.summands))
    return 1 if isinstance(space, UnitSpace) else SIZES[str(space.dimension)] if space.dimension != 1 else 1


# The oracle: an isomorphism beside its matrix, columns for the basis of the source.


class Pair(NamedTuple):
    map: Structural
    matrix: Any


def block_diag(*blocks: Any) -> Any:
    total = sum(len(block) for block in blocks)
    found, at = np.zeros((total, total), dtype=int), 0
    for block in blocks:
        found[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return found


def exchange(m: int, n: int) -> Any:
    """Return the matrix that takes ``kron(x, y)`` to ``kron(y, x)``."""
    return np.eye(m * n, dtype=int).reshape(m, n, m * n).transpose(1, 0, 2).reshape(m * n, m * n)


def turn(m: int, n: int) -> Any:
    """Return the matrix that takes ``(x, y)`` to ``(y, x)``."""
    return np.roll(np.eye(m + n, dtype=int), n, axis=0)


def from_left(factor: int, parts: list[int]) -> Any:
    """Return the matrix that takes ``kron(x, (y, z))`` to ``(kron(x, y), kron(x, z))``."""
    total, rows, start = sum(parts), [], 0
    for part in parts:
        rows += [i * total + j for i in range(factor) for j in range(start, start + part)]
        start += part
    return np.eye(factor * total, dtype=int)[rows]


def plain(f: Structural) -> Pair:
    """Return an isomorphism that keeps the order of the basis."""
    return Pair(f, np.eye(extent(f.source), dtype=int))


def inverted(pair: Pair) -> Pair:
    return Pair(pair.map.inverse, pair.matrix.T)


def random_space(source: random.Random, depth: int, names: tuple[VectorSpace, ...]) -> VectorSpace:
    if depth == 0 or source.random() < 0.15:
        return source.choice(names)
    parts = [random_space(source, depth - 1, names) for _ in range(2)]
    if source.random() < 0.5:
        return parts[0] @ parts[1]
    if source.random() < 0.2:
        parts.append(random_space(source, depth - 1, names))
    return DirectSum(tuple(parts))


def steps_at(space: VectorSpace) -> list[Pair]:
    """Return the generators, and their inverses, that start at a space."""
    found = [inverted(plain(left_unitor(space))), inverted(plain(right_unitor(space)))]
    if isinstance(space, TensorProduct):
        a, b = space.factors
        found.append(Pair(braiding(a, b), exchange(extent(a), extent(b))))
        if isinstance(a, TensorProduct):
            found.append(plain(associator(*a.factors, b)))
        if isinstance(b, TensorProduct):
            found.append(inverted(plain(associator(a, *b.factors))))
        if isinstance(a, DirectSum):
            found.append(plain(right_distributor(*a.summands, b)))
        if isinstance(b, DirectSum):
            matrix = from_left(extent(a), [extent(part) for part in b.summands])
            found.append(Pair(left_distributor(a, *b.summands), matrix))
        if isinstance(a, UnitSpace):
            found.append(plain(left_unitor(b)))
        if isinstance(b, UnitSpace):
            found.append(plain(right_unitor(a)))
    if isinstance(space, DirectSum) and len(space.summands) == 2:
        a, b = space.summands
        found.append(Pair(sum_braiding(a, b), turn(extent(a), extent(b))))
        if isinstance(a, DirectSum) and len(a.summands) == 2:
            found.append(plain(sum_associator(*a.summands, b)))
        if isinstance(b, DirectSum) and len(b.summands) == 2:
            found.append(inverted(plain(sum_associator(a, *b.summands))))
        if isinstance(a, TensorProduct) and isinstance(b, TensorProduct):
            if a.factors[0] == b.factors[0]:
                matrix = from_left(extent(a.factors[0]), [extent(a.factors[1]), extent(b.factors[1])])
                found.append(inverted(Pair(left_distributor(*a.factors, b.factors[1]), matrix)))
            if a.factors[1] == b.factors[1]:
                found.append(inverted(plain(right_distributor(a.factors[0], b.factors[0], a.factors[1]))))
    return found


def random_step(source: random.Random, space: VectorSpace) -> Pair:
    """Return a generator at a space or somewhere inside it, beside identities or other generators."""
    parts = getattr(space, "factors", None) or getattr(space, "summands", ())
    if not parts or source.random() < 0.5:
        steps = steps_at(space)
        return source.choice(steps[2:] if len(steps) > 2 and source.random() < 0.9 else steps)  # seldom a new unit
    inner = [random_step(source, part) if source.random() < 0.6 else plain(identity(part)) for part in parts]
    maps, matrices = [pair.map for pair in inner], [pair.matrix for pair in inner]
    if isinstance(space, DirectSum):
        return Pair(direct_sum(*maps), block_diag(*matrices))
    return Pair(maps[0] @ maps[1], np.kron(*matrices))


def walk(source: random.Random, space: VectorSpace, length: int) -> Pair:
    found = plain(identity(space))
    for _ in range(length):
        step = random_step(source, found.map.target)
        found = Pair(found.map >> step.map, step.matrix @ found.matrix)
    return found


def exchanges(space: VectorSpace) -> list[Pair]:
    """Return the exchanges of two equal neighbours, at a space or inside it."""
    parts = getattr(space, "factors", None) or getattr(space, "summands", ())
    found = []
    for k, part in enumerate(parts):
        for inner in exchanges(part):
            beside = [plain(identity(other)) for other in parts]
            beside[k] = inner
            maps, matrices = [pair.map for pair in beside], [pair.matrix for pair in beside]
            if isinstance(space, DirectSum):
                found.append(Pair(direct_sum(*maps), block_diag(*matrices)))
            else:
                found.append(Pair(maps[0] @ maps[1], np.kron(*matrices)))
    if len(parts) == 2 and parts[0] == parts[1]:
        size = extent(parts[0])
        if isinstance(space, DirectSum):
            found.append(Pair(sum_braiding(*parts), turn(size, size)))
        else:
            found.append(Pair(braiding(*parts), exchange(size, size)))
    return found


def loop(source: random.Random, space: VectorSpace, length: int) -> Pair:
    """Return an isomorphism of a space with itself: a walk, an exchange of equal neighbours, and the walk back."""
    for _ in range(5):
        there = walk(source, space, length)
        if found := exchanges(there.map.target):
            swap = source.choice(found)
            return Pair(there.map >> swap.map >> there.map.inverse, there.matrix.T @ swap.matrix @ there.matrix)
    return plain(identity(space))


def repeating(source: random.Random, most: int) -> VectorSpace:
    """Return a space in which some factors or summands occur more than once."""
    a, b = (random_space(source, 1, (U, V, L, ta.Unit)) for _ in range(2))
    space = source.choice(
        [a @ a, a + a, a @ b + a @ b, (a + a) @ b, a @ (b + b), (a @ b) @ a, (a + b) + a, a @ a + a @ b]
    )
    assume(extent(space) <= most)
    return space


def matrix_of(f: LinearMap, source: VectorSpace, target: VectorSpace) -> Any:
    entries = f.entries()
    known = {str(symbol) for leg in entries.legs for symbol in getattr(leg.space.dimension, "free_symbols", ())}
    found = np.asarray(entries.evaluate({name: SIZES[name] for name in known}))
    return found.reshape(extent(source), extent(target)).T.astype(int)


def small_space(source: random.Random, names: tuple[VectorSpace, ...], depth: int = 3) -> VectorSpace:
    space = random_space(source, depth, names)
    assume(extent(space) <= MOST)
    return space


NAMES = (U, V, W, ta.Unit)


@given(SEEDS, st.integers(0, 6))
def test_the_map_has_the_entries_of_the_oracle(seed: int, length: int) -> None:
    source = random.Random(seed)
    pair = walk(source, small_space(source, (*NAMES, B)), length)
    found = matrix_of(pair.map.as_map(), pair.map.source, pair.map.target)
    assert np.array_equal(found, pair.matrix)


@settings(max_examples=60)
@given(SEEDS, st.integers(0, 4))
def test_same_agrees_with_the_oracle(seed: int, length: int) -> None:
    source = random.Random(seed)
    space = repeating(source, MOST)
    loops = [loop(source, space, source.randint(0, length)) for _ in range(3)]
    loops.append(Pair(loops[0].map >> loops[1].map, loops[1].matrix @ loops[0].matrix))
    loops.append(Pair(loops[1].map >> loops[0].map, loops[0].matrix @ loops[1].matrix))
    loops.append(plain(identity(space)))
    for one in loops:
        for two in loops:
            equal = np.array_equal(one.matrix, two.matrix)
            assert one.map.same(two.map) is equal
            assert (one.map == two.map) is (
                equal if L not in sum(words(space), ()) else one.map.blocks == two.map.blocks
            )


def test_random_loops_are_worth_comparing() -> None:
    answers = []
    for seed in range(100):
        source = random.Random(seed)
        space = (U @ V + V) @ (U + U)
        answers.append(loop(source, space, 3).map.same(loop(source, space, 3).map))
    assert min(answers.count(True), answers.count(False)) >= 10


@settings(max_examples=50)
@given(SEEDS, st.integers(0, 3))
def test_prove_agrees_with_same(seed: int, length: int) -> None:
    source = random.Random(seed)
    space = repeating(source, 24)
    one, two = (loop(source, space, length) for _ in range(2))
    left, right = one.map.as_map(), two.map.as_map()
    verdict = ta.prove(left.value, right.value)
    assert verdict.status == ("proved" if one.map.same(two.map) else "refuted")


@given(SEEDS, st.integers(0, 4))
def test_functoriality(seed: int, length: int) -> None:
    source = random.Random(seed)
    space = small_space(source, NAMES, depth=2)
    f = walk(source, space, length)
    g = walk(source, f.map.target, length)
    one, two = f.map.as_map(), g.map.as_map()
    assert np.array_equal(matrix_of(one >> two, f.map.source, g.map.target), g.matrix @ f.matrix)
    back = f.map >> f.map.inverse
    assert back == identity(space)
    assert f.map.inverse >> f.map == identity(f.map.target)
    assert (f.map >> g.map).inverse == g.map.inverse >> f.map.inverse
    assert f.map.inverse.inverse == f.map
    assert identity(space) >> f.map == f.map == f.map >> identity(f.map.target)


@settings(max_examples=40)
@given(SEEDS, st.integers(0, 3))
def test_tensor_product_and_direct_sum_are_functors(seed: int, length: int) -> None:
    source = random.Random(seed)
    f, h = (walk(source, small_space(source, NAMES, depth=2), length) for _ in range(2))
    g, k = (walk(source, pair.map.target, length) for pair in (f, h))
    assert (f.map @ h.map) >> (g.map @ k.map) == (f.map >> g.map) @ (h.map >> k.map)
    assert direct_sum(f.map, h.map) >> direct_sum(g.map, k.map) == direct_sum(f.map >> g.map, h.map >> k.map)
    assert (f.map @ h.map).inverse == f.map.inverse @ h.map.inverse
    both = f.map @ h.map
    assume(extent(both.source) <= MOST)
    maps = f.map.as_map() @ h.map.as_map()
    expected = np.kron(f.matrix, h.matrix)
    assert np.array_equal(matrix_of(maps, both.source, both.target), expected)
    assert np.array_equal(matrix_of(both.as_map(), both.source, both.target), expected)


@given(SEEDS, st.integers(0, 5))
def test_braidings_and_distributors_are_natural(seed: int, length: int) -> None:
    source = random.Random(seed)
    spaces = [random_space(source, 1, NAMES) for _ in range(3)]
    f, g, h = (walk(source, space, length).map for space in spaces)
    (a, b, c), (a2, b2, c2) = spaces, (f.target, g.target, h.target)
    assert (f @ g) >> braiding(a2, b2) == braiding(a, b) >> (g @ f)
    assert direct_sum(f, g) >> sum_braiding(a2, b2) == sum_braiding(a, b) >> direct_sum(g, f)
    left = left_distributor(a, b, c) >> direct_sum(f @ g, f @ h)
    assert (f @ direct_sum(g, h)) >> left_distributor(a2, b2, c2) == left
    right = right_distributor(a, b, c) >> direct_sum(f @ h, g @ h)
    assert (direct_sum(f, g) @ h) >> right_distributor(a2, b2, c2) == right
    assert ((f @ g) @ h) >> associator(a2, b2, c2) == associator(a, b, c) >> (f @ (g @ h))


@given(SEEDS, st.sampled_from(sorted(DIAGRAMS)))
def test_every_diagram_commutes_for_random_spaces(seed: int, name: str) -> None:
    source = random.Random(seed)
    count = len(inspect.signature(DIAGRAMS[name]).parameters)
    diagram = DIAGRAMS[name](*(random_space(source, 2, (*NAMES, B, B.dual)) for _ in range(count)))
    assert diagram.commutes()


@pytest.mark.parametrize("name", sorted(DIAGRAMS))
def test_every_diagram_is_proved_and_its_near_miss_refuted(name: str) -> None:
    count = len(inspect.signature(DIAGRAMS[name]).parameters)
    diagram = DIAGRAMS[name](*(U, V, W, X)[:count])
    assert diagram.commutes()
    verdict = ta.prove(*diagram.law())
    assert verdict.status == "proved"
    assert ta.check(verdict.certificate)
    if count < 2:
        return  # one factor or none: there is nothing to exchange
    equal = DIAGRAMS[name](*(U,) * count)
    source = random.Random(name)
    end = equal.left[-1].target
    wrong = next(f for _ in range(1000) if not (f := loop(source, end, 3).map).same(identity(end)))
    missed = Diagram((*equal.left, wrong), equal.right)
    assert not missed.commutes()
    assert ta.prove(*missed.law()).status == "refuted"


def test_lines_are_not_told_apart() -> None:
    swap = braiding(L, L)
    assert swap.same(identity(L @ L))
    assert swap != identity(L @ L)
    assert ta.prove(swap.as_map().value, identity(L @ L).as_map().value)
    exchange_lines = sum_braiding(L, L)
    assert not exchange_lines.same(identity(L + L))
    assert ta.prove(exchange_lines.as_map().value, identity(L + L).as_map().value).status == "refuted"
    # a dimension that is a symbol may be 1: there the braiding is the identity, and only there
    verdict = ta.prove(braiding(U, U).as_map().value, identity(U @ U).as_map().value, sizes={"a": 1})
    assert verdict.status == "proved"


def test_the_distributed_form() -> None:
    space = (U + V) @ (ta.Unit + W) @ (X + DirectSum((U, V, W)))
    form = words(space)
    assert [" ".join(map(str, word)) for word in form[:5]] == ["U X", "U U", "U V", "U W", "U W X"]
    assert len(form) == 16
    assert words(ta.Unit) == ((),)
    assert words(V**3) == ((V, V, V),)
    assert words(DirectSum((V,))) == ((V,),)
    assert words(distribute(space).target) == form


def test_the_only_isomorphism() -> None:
    source = (U + V) @ (W + ta.Unit)
    target = V + DirectSum((W @ U, V @ W)) + (ta.Unit @ U)
    found = canonical(source, target)
    path = (
        right_distributor(U, V, W + ta.Unit)
        >> direct_sum(left_distributor(U, W, ta.Unit), left_distributor(V, W, ta.Unit))
        >> distribute(direct_sum(left_distributor(U, W, ta.Unit), left_distributor(V, W, ta.Unit)).target)
    )
    assert found.same(path >> canonical(path.target, target))
    assert canonical(source, source).same(identity(source))
    assert canonical(target, source).same(found.inverse)
    assert canonical(L @ L, L @ L).same(identity(L @ L))


def test_no_isomorphism_or_several() -> None:
    with pytest.raises(SpaceMismatch, match=r"only the first has U @ W, only the second has U @ V") as caught:
        canonical(U @ (V + W), U @ (V + V))
    assert caught.value.spaces == (U @ (V + W), U @ (V + V))
    with pytest.raises(SpaceMismatch, match="only the first has none, only the second has 1"):
        canonical(U, U + ta.Unit)
    with pytest.raises(SpaceMismatch, match="only the first has B, only the second has B"):
        canonical(B, B.dual)
    with pytest.raises(Ambiguous, match="the factor V occurs twice in the word V @ U @ V"):
        canonical(V @ U @ V, U @ V @ V)
    with pytest.raises(Ambiguous, match="there are several words U @ V"):
        canonical(U @ V + V @ U, U @ (V + V))


def test_maps_that_do_not_meet() -> None:
    first, second = braiding(U, V), associator(U, V, W)
    with pytest.raises(SpaceMismatch) as caught:
        first >> second
    assert caught.value.spaces == (V @ U, U @ V @ W)
    assert "the target V @ U of the first is not the source U @ V @ W of the second" in str(caught.value)
    with pytest.raises(SpaceMismatch, match=r"their sources U @ V and V @ U differ"):
        first.same(braiding(V, U))
    with pytest.raises(SpaceMismatch, match=r"their targets V @ U and U @ V differ"):
        first.same(identity(U @ V))
    # the same words are not the same space
    with pytest.raises(SpaceMismatch):
        identity(U @ V @ W) >> identity(U @ (V @ W))
    for wrong in (3, None):
        with pytest.raises(TypeError):
            first >> wrong  # type: ignore[operator]
        with pytest.raises(TypeError):
            first @ wrong  # type: ignore[operator]


def test_data_that_are_no_isomorphism() -> None:
    with pytest.raises(SpaceMismatch, match="word 0 of U @ V has the factor U, but place 0 of word 0 of V @ U is V"):
        Structural(U @ V, V @ U, ((0, (0, 1)),))
    with pytest.raises(InvalidExpression, match=r"\(0, 0\) is no bijection of the factors of U @ U and U @ U"):
        Structural(U @ U, U @ U, ((0, (0, 0)),))
    with pytest.raises(InvalidExpression, match=r"\[0, 0\] is no bijection of the 2 words of U \+ U and the 2 words"):
        Structural(U + U, U + U, ((0, (0,)), (0, (0,))))
    with pytest.raises(InvalidExpression, match=r"1 word of U and the 2 words of U \+ U"):
        Structural(U, U + U, ((0, (0,)),))
    with pytest.raises(InvalidExpression, match="the left path of a diagram is empty"):
        Diagram((), (identity(U),))


def test_what_spaces_are_refused() -> None:
    with pytest.raises(SpaceMismatch, match=r"Sym\(V, 2\) is not made of named spaces"):
        identity(U @ ta.Sym(V, 2))
    with pytest.raises(SpaceMismatch, match="3 is not a space"):
        identity(3)  # type: ignore[arg-type]
    binomial = U + V
    with pytest.raises(BudgetExceeded, match="10240 factors in all its words, more than 10000"):
        identity(binomial**10)
    doubled: VectorSpace = U
    for _ in range(60):  # a tree of 2^60 leaves, of which nobody may look at more than the budget
        doubled = TensorProduct((doubled, doubled))
    with pytest.raises(BudgetExceeded):
        identity(doubled)
    tower: VectorSpace = U
    for _ in range(400):
        tower = TensorProduct((tower, V))
    with pytest.raises(BudgetExceeded, match="150 levels"):
        identity(tower)
    assert len(words(binomial**9)) == 512


def test_a_long_product_is_braided() -> None:
    long = V**40
    swap = braiding(long, U)
    assert (swap >> braiding(U, long)).same(identity(long @ U))
    assert not (braiding(long, long)).same(identity(long @ long))


def test_the_empty_sum() -> None:
    zero = DirectSum(())
    assert words(U @ zero) == ()
    assert canonical(U @ zero, zero).same(left_distributor(U))


def test_factors_that_are_bare_beside_factors_that_are_not() -> None:
    # an index over a bare space and one over its dual are tied, but only one of them can stand in a composite index
    space = (U @ B @ B + (V + B) @ B) @ (V @ B.dual + U)
    assert np.array_equal(matrix_of(identity(space).as_map(), space, space), np.eye(extent(space), dtype=int))
