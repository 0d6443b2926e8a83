"""Nodes are immutable, hash-consed and typed; tensors carry facts that have to fit."""

import copy
import pickle
import random
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensoralg as ta
from strategies import claim
from tensoralg.errors import FactConflict, InvalidExpression, SpaceMismatch
from tensoralg.expr import nodes
from tensoralg.expr.nodes import Mask, Mul, Number, Pow, Size, add, as_expr, mul, power
from tensoralg.expr.rewrite import rename_apart, walk
from tensoralg.expr.tensor import merge_facts
from tensoralg.spaces import Space

T, D = Space("T", "n", ordered=True), Space("D", "d")
BARE = Space("B", "b", metric=None)
(t, s), (f, g), (i, j) = T.indices("t s"), D.indices("f g"), BARE.indices("i j")
x, y, A = ta.tensor("x", T), ta.tensor("y", T), ta.tensor("A", T @ T)


@given(st.integers(0, 10**9))
def test_the_same_term_is_the_same_object(seed):
    first, second = claim(random.Random(seed), True, 3), claim(random.Random(seed), True, 3)
    assert first is second
    assert pickle.loads(pickle.dumps(first)) is first
    assert copy.copy(first) is first
    assert copy.deepcopy(first) is first
    assert hash(first) == hash(second)


def test_threads_agree_on_the_object():
    made = []

    def build(k):
        made.append([claim(random.Random(seed), True, 2) for seed in range(k, k + 20)])

    threads = [threading.Thread(target=build, args=(1000,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(a is b for row in made for a, b in zip(made[0], row, strict=True))


def test_expressions_are_immutable():
    term = 2 * x[t]
    for change in (
        lambda: setattr(term, "factors", ()),
        lambda: delattr(term, "factors"),
        lambda: setattr(term, "z", 1),
    ):
        with pytest.raises(AttributeError, match="immutable"):
            change()
    with pytest.raises(AttributeError):
        x.name = "z"
    with pytest.raises(AttributeError):
        t.name = "z"


def test_every_node_is_importable_from_one_place():
    assert all(hasattr(nodes, name) for name in nodes.__all__)
    assert {"Add", "Apply", "Bind", "Decay", "Definition", "Delta", "Entry", "Expr", "Mask", "Mul"} <= set(
        nodes.__all__
    )
    assert {"Near", "Number", "Pow", "Size", "add", "apply", "as_expr", "bind", "mul"} <= set(nodes.__all__)
    assert {"negate", "power", "reciprocal"} <= set(nodes.__all__)


def test_arithmetic_keeps_a_simple_shape():
    assert x[t] + 0 == add(x[t], as_expr(0))
    assert 2 * x[t] * 3 == mul(as_expr(6), x[t])
    assert isinstance(2 * x[t], Mul)
    assert x[t] * 1 is x[t] is +x[t]
    assert x[t] / 2 == Fraction(1, 2) * x[t]
    assert 1 / (1 / x[t]) == Pow(Pow(x[t], -1), -1)
    assert (x[t] ** 2) ** 3 == x[t] ** 6
    assert (x[t] ** -2) ** 3 == x[t] ** -6
    assert x[t] ** np.int64(2) == x[t] ** 2
    assert power(as_expr(2), -3) == Number(Fraction(1, 8))
    n, d = ta.dims("n d")
    assert x[t] * (n + d) / ta.sqrt(d) == x[t] * (Size("d") + Size("n")) / ta.sqrt(Size("d"))
    assert as_expr(1 / (2 * n)) == Number(Fraction(1, 2)) * Size("n") ** -1
    c, e = ta.tensors("c e", ta.Unit)
    assert c * e - 1 == c[()] * e[()] - 1
    assert ta.softmax(A[t, s], over="s") is ta.softmax(A[t, s], over=s)


def test_free_indices_and_tensors_in_order():
    expr = ta.define((s, t), x[t] * A[t, s] / y[s])
    assert expr.free == ("s", "t")
    assert expr.tensors == ("x", "A", "y")
    assert expr.body.free == ("t", "s")
    assert (1 / y[s] * x[t]).tensors == ("y", "x")
    assert [node.kind for node in walk(x[t] * 2 + 1)] == ["add", "mul", "number", "entry", "number"]


# bare spaces


def test_a_bare_space_contracts_with_its_dual():
    M, v, w = ta.tensor("M", BARE @ BARE.dual), ta.tensor("v", BARE), ta.tensor("w", BARE.dual)
    P = ta.tensor("P", [BARE @ D])
    assert ta.define((i,), M[i, j] * v[j]).free == ("i",)
    assert ta.define((), M[i, i]).free == ()
    assert ta.define((), v[i] * (w[i] + w[i] * 2)).free == ()
    assert ta.define((j,), ta.delta[i, j] * v[i]).free == ("j",)
    assert ta.define((), P[(i, f)] * w[i] * ta.tensor("u", D)[f]).free == ()
    assert as_expr(1).sum(i).evaluate({"b": 3}) == 3
    assert ta.einsum("i j, j -> i", M, v).free == ("i",)
    N = ta.tensor("N", BARE @ BARE)
    wrong = [
        lambda: ta.define((i,), N[i, j] * v[j]),
        lambda: ta.define((), v[i]),
        lambda: ta.define((), v[i] * v[i]),
        lambda: ta.define((), N[i, i]),
        lambda: ta.define((), v[i] * w[i] * v[i]),
        lambda: ta.define((), v[i] * (w[i] + v[i])),
        lambda: ta.define((), ta.exp(v[i]) * w[i]),
        lambda: ta.define((), v[i] ** 2),
        lambda: ta.define((f,), P[(i, f)] * v[i]),
        lambda: ta.einsum("i j, j -> i", N, v),
    ]
    for make in wrong:
        with pytest.raises(SpaceMismatch, match="bare space and contracts only with its dual") as caught:
            make()
        assert caught.value.spaces in ((BARE, BARE.dual), (BARE.dual, BARE))
        assert caught.value.index in "ij"


# facts


def test_groups_are_brought_into_one_form():
    B = ta.tensor("B", T @ T @ T @ T, symmetric=((3, 2), (1, 0)))
    assert B.symmetric == ((0, 1), (2, 3))
    assert ta.tensor("B", T @ T @ T, symmetric=((0, 1), (1, 2))).symmetric == ((0, 1, 2),)
    assert ta.tensor("B", T @ T, symmetric=[1, 0]) == ta.tensor("B", T @ T, symmetric=True)
    assert ta.tensor("B", T @ T, symmetric=()) == ta.tensor("B", T @ T, symmetric=None) == ta.tensor("B", T @ T)


@pytest.mark.parametrize(
    ("legs", "facts", "error", "text"),
    [
        (T @ D, {"symmetric": True}, SpaceMismatch, r"A cannot be symmetric in legs \(0, 1\): T is not D"),
        (T @ D @ T, {"antisymmetric": (0, 1)}, SpaceMismatch, "antisymmetric"),
        (T, {"symmetric": True}, FactConflict, "two or more legs"),
        (T @ T, {"symmetric": (0, 2)}, FactConflict, "count legs from 0 to 1"),
        (T @ T, {"symmetric": (-1, 0)}, FactConflict, "count legs from 0 to 1"),
        (T @ T, {"symmetric": (0, 0)}, FactConflict, "count legs from 0 to 1"),
        (T @ T, {"symmetric": "yes"}, FactConflict, "'yes' is no group of legs"),
        (T @ T, {"symmetric": 1}, FactConflict, "1 is no group of legs"),
        (T @ T, {"symmetric": True, "antisymmetric": True}, FactConflict, "symmetric and antisymmetric"),
        (T @ T @ T, {"symmetric": (0, 1), "antisymmetric": (1, 2)}, FactConflict, "at most one group"),
        (T @ D, {"projection": True}, FactConflict, "its legs are T and D"),
        (T @ D, {"permutation": True}, FactConflict, "both legs must be over one space"),
        (T, {"isometry": True}, FactConflict, "has 1 leg"),
        (T, {"inverse_of": "B"}, FactConflict, "only a matrix"),
        (T @ D, {"inverse_of": ta.tensor("B", T @ D)}, SpaceMismatch, "opposite order"),
        (T @ T, {"inverse_of": 3}, InvalidExpression, "name a tensor"),
    ],
)
def test_facts_that_cannot_hold(legs, facts, error, text):
    with pytest.raises(error, match=text):
        ta.tensor("A", legs, **facts)


def test_facts_of_one_name_are_merged():
    plain, sym = ta.tensor("B", T @ T), ta.tensor("B", T @ T, symmetric=True)
    anti = ta.tensor("B", T @ T, antisymmetric=True)
    assert merge_facts([plain, sym]) == merge_facts([sym, plain]) == sym
    with pytest.raises(FactConflict, match="symmetric and antisymmetric"):
        merge_facts([sym, anti])
    with pytest.raises(FactConflict, match="used as") as caught:
        merge_facts([plain, ta.tensor("B", T @ D)])
    assert caught.value.tensor == "B"


def test_one_name_has_one_shape_in_a_definition():
    with pytest.raises(FactConflict, match=r"tensor x is used as x\[T\] and as x\[D\] in out") as caught:
        ta.define((t,), x[t] * ta.tensor("x", D)[f])
    assert caught.value.tensor == "x"
    with pytest.raises(FactConflict):
        (x[t] * ta.tensor("x", D)[f]).evaluate(x=[1])


def test_masks_remember_their_order():
    assert Mask(True, t, s) is ta.lt[t, s] is not ta.le[t, s]


def test_nested_binders_are_renamed_apart_from_taken_names_for_good():
    # the inner binder became i4, then the outer one too, and resolving that gave the inner one its taken name back
    V = ta.Space("V", "n")
    i1, i2, i3 = V.indices("i1 i2 i3")
    A, B = ta.tensors("A B", V @ V)
    term = (A[i1, i1] * (B[i3, i2] * A[i2, i1]).sum(i3, i2)).sum(i1)
    apart = rename_apart(term, {"i1", "i2", "o1"})
    assert not apart._bound & {"i1", "i2", "o1"}
    arrays = {"A": [[1, 2], [3, 4]], "B": [[5, 6], [7, 8]]}
    assert apart.evaluate(**arrays) == term.evaluate(**arrays)
