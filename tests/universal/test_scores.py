"""Scores through the tensor product: the factors against numpy on exact integers, and scores that do not factor."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tensoralg as ta
from tensoralg.errors import NotMultilinear
from tensoralg.spaces import DirectSum, Injected
from tensoralg.universal import LinearMap, MultilinearMap, tensor_product

F, G, H = ta.Space("F", "d"), ta.Space("G", "e"), ta.Space("H", "h")
T = ta.Space("T", "n", ordered=True)
W = DirectSum((F, G))
f, f2, f3 = F.indices("f f2 f3")
g, a = G.index("g"), H.index("a")
t, s, r = T.indices("t s r")
q, k, v = ta.tensors("q k v", F)


def integers(rng: random.Random, *shape: int) -> Any:
    return np.array([rng.randint(-4, 4) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)


def entries(factor: LinearMap, sizes: dict[str, int] | None = None, **tensors: Any) -> Any:
    return factor.entries().evaluate(sizes or {}, **tensors)


def test_the_form_of_the_dot_product_is_the_identity() -> None:
    dot = MultilinearMap((q, k), ta.define((), q[f] * k[f]))
    assert np.array_equal(entries(tensor_product(F, F).factor(dot), {"d": 3}), np.eye(3, dtype=int))


def test_the_form_of_projected_queries_and_keys_is_the_product_of_the_projections() -> None:
    key, wq, wk = ta.tensor("k", G), ta.tensor("WQ", F @ H), ta.tensor("WK", G @ H)
    score = MultilinearMap((q, key), ta.define((), q[f] * wq[f, a] * key[g] * wk[g, a]))
    rng = random.Random(1)
    left, right = integers(rng, 3, 2), integers(rng, 4, 2)
    found = entries(tensor_product(F, G).factor(score), WQ=left, WK=right)
    assert np.array_equal(found, left.dot(right.T))


def test_a_form_at_a_tensor_that_is_no_pair() -> None:
    matrix, form = ta.tensor("M", F @ F), ta.tensor("B", F @ F)
    score = MultilinearMap((q, k), ta.define((), form[f, f2] * q[f] * k[f2]))
    value = tensor_product(F, F).factor(score)(matrix)
    rng = random.Random(2)
    one, two = integers(rng, 3, 3), integers(rng, 3, 3)
    assert value.evaluate(M=one, B=two) == (one * two).sum()


def test_two_heads_are_a_block_diagonal_matrix() -> None:
    queries, keys = ta.tensors("q k", W)
    first, second = Injected(f, 0, W), Injected(g, 1, W)
    one, two = ta.tensor("A", F @ F), ta.tensor("B", G @ G)
    g2 = G.index("g2")
    value = (
        one[f, f2] * queries[first] * keys[Injected(f2, 0, W)] + two[g, g2] * queries[second] * keys[Injected(g2, 1, W)]
    )
    heads = MultilinearMap((queries, keys), ta.define((), value))
    rng = random.Random(3)
    top, bottom = integers(rng, 3, 3), integers(rng, 2, 2)
    expected = np.zeros((5, 5), dtype=object)
    expected[:3, :3], expected[3:, 3:] = top, bottom
    assert np.array_equal(entries(tensor_product(W, W).factor(heads), A=top, B=bottom), expected)


def test_the_heads_of_a_product_are_one_linear_map_into_the_heads() -> None:
    queries, keys = ta.tensors("q k", H @ F)
    each = MultilinearMap((queries, keys), ta.define((a,), queries[a, f] * keys[a, f]))
    product = tensor_product(H @ F, H @ F)
    value = (product.arrow >> product.factor(each))(queries, keys)
    rng = random.Random(4)
    left, right = integers(rng, 2, 3), integers(rng, 2, 3)
    assert np.array_equal(value.evaluate(q=left, k=right), (left * right).sum(axis=1))


def test_the_rotary_form_is_a_product_of_rotations() -> None:
    rotation = ta.tensor("R", (T, F, F))
    path = ta.decay(rotation)
    score = ta.le[s, t] * q[f] * path[t, "-", f, f2] * k[f3] * path[s, "-", f3, f2]
    rotary = MultilinearMap((q, k), ta.define((t, s), score))
    rng = random.Random(5)
    turns = [
        np.eye(3, dtype=int)[rng.sample(range(3), 3)] * [[rng.choice((-1, 1))] for _ in range(3)] for _ in range(4)
    ]
    found = entries(tensor_product(F, F).factor(rotary), R=np.array(turns, dtype=object))
    for late in range(4):
        for early in range(4):
            steps = np.eye(3, dtype=int)
            for step in range(early + 1, late + 1):
                steps = turns[step] @ steps  # the latest on the left
            assert np.array_equal(found[:, :, late, early], steps * (early <= late))


def test_a_score_of_four_arguments() -> None:
    arguments = (q, k, v, ta.tensor("u", F))
    score = MultilinearMap(arguments, ta.define((), q[f] * k[f] * v[f] * arguments[3][f]))
    product = tensor_product(F, F, F, F)
    value = (product.arrow >> product.factor(score))(*arguments)
    rng = random.Random(6)
    values = [integers(rng, 3) for _ in range(4)]
    assert value.evaluate(**dict(zip("qkvu", values, strict=True))) == np.prod(values, axis=0).sum()


def test_factoring_in_two_steps_is_factoring_once() -> None:
    form, extra = ta.tensor("X", (F, G, H)), ta.tensor("l", H)
    key = ta.tensor("k", G)
    value = ta.define((), form[f, g, a] * q[f] * key[g] * extra[a])
    inner = tensor_product(F, G).factor(MultilinearMap((q, key), value))
    outer = tensor_product(F @ G, H).factor(MultilinearMap((*inner.arguments, extra), inner.value))
    array = integers(random.Random(7), 3, 2, 4)
    assert np.array_equal(entries(outer, X=array), array)


def distance(time: Any, other: Any) -> Any:
    """Return t - s for s < t, else 0."""
    return ta.define((time, other), ta.lt[other, r] * ta.le[r, time])[time, other]


KEYS = ta.tensor("K", T @ F)
NOT_BILINEAR = {
    "softmax": ((q,), ta.define((s,), ta.softmax((q[f] * KEYS[s, f]).sum(f), over=s)), "q"),
    "exponential": ((q, k), ta.define((), ta.exp((q[f] * k[f]).sum(f))), "q"),
    "distance": ((q, k), ta.define((), (q[f] - k[f]) * (q[f] - k[f])), "q"),
    "relu": ((q, k), ta.define((), ta.relu(q[f]) * k[f]), "q"),
    "alibi": ((q, k), ta.define((t, s), q[f] * k[f] - distance(t, s)), "q"),
    "one key twice": ((q, k), ta.define((), q[f] * k[f] * k[f]), "k"),
}


@pytest.mark.parametrize("name", NOT_BILINEAR)
def test_a_score_that_is_not_bilinear_is_refused_with_a_witness(name: str) -> None:
    arguments, value, culprit = NOT_BILINEAR[name]
    score = MultilinearMap(arguments, value)
    with pytest.raises(NotMultilinear) as caught:
        tensor_product(*(F for _ in arguments)).factor(score)
    assert caught.value.argument == culprit
    assert caught.value.verdict.status == "refuted"
    assert caught.value.counterexample is not None


def test_the_witness_against_softmax_is_exact() -> None:
    arguments, value, _ = NOT_BILINEAR["softmax"]
    with pytest.raises(NotMultilinear) as caught:
        MultilinearMap(arguments, value).check()
    found = caught.value.counterexample
    scale, one, two = (found.tensors[name] for name in ("c", "x", "y"))
    assert all(isinstance(entry, int | Fraction) for entry in (scale, *one, *two))

    def weights(query: list[Any]) -> Any:
        scores = np.array(found.tensors["K"], dtype=float) @ np.array(query, dtype=float)
        return np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()

    at = found.index["s"]
    left = weights([scale * p + p2 for p, p2 in zip(one, two, strict=True)])[at]
    right = float(scale) * weights(one)[at] + weights(two)[at]
    assert abs(left - right) > 1e-6
    for exact, recomputed in ((found.lhs, left), (found.rhs, right)):
        middle = exact[0] if isinstance(exact, tuple) else exact
        assert float(middle) == pytest.approx(recomputed)
