"""Generalised deltas and Levi-Civita tensors against signs of permutations, counted by plain loops."""

import itertools
import math
import random

import numpy as np
import pytest
from oracle import oracle

import tensoralg as ta
from tensoralg.errors import InvalidDimension, InvalidExpression, LegCountMismatch, SpaceMismatch
from tensoralg.spaces import Injected

V, W = ta.Space("V", "n"), ta.Space("W", "n")
i, j, k, l = V.indices("i j k l")


def sign(places):
    """Return the sign of a permutation by sorting it with exchanges; 0 if it is none."""
    places = list(places)
    if sorted(places) != list(range(len(places))):
        return 0
    result = 1
    for place in range(len(places)):
        while places[place] != place:
            other = places[place]
            places[place], places[other] = places[other], places[place]
            result = -result
    return result


def wanted_delta(upper, lower):
    """Return the sign of the permutation from distinct upper to lower values, 0 if there is none."""
    if len(set(upper)) < len(upper) or sorted(upper) != sorted(lower):
        return 0
    return sign([upper.index(value) for value in lower])


@pytest.mark.parametrize(("pairs", "size"), [(1, 3), (2, 3), (3, 3), (3, 4), (4, 4)])
def test_a_generalised_delta_is_the_sign_of_a_permutation(pairs, size):
    upper = V.indices(" ".join(f"u{a}" for a in range(pairs)))
    lower = V.indices(" ".join(f"l{a}" for a in range(pairs)))
    found = ta.define((*upper, *lower), ta.generalised_delta(upper, lower)).evaluate({"n": size})
    places = list(itertools.product(range(size), repeat=pairs))
    for above in places:
        for below in places:
            assert found[above + below] == wanted_delta(above, below)


@pytest.mark.parametrize("pairs", [2, 3])
def test_it_antisymmetrises(pairs):
    upper = V.indices(" ".join(f"u{a}" for a in range(pairs)))
    lower = V.indices(" ".join(f"l{a}" for a in range(pairs)))
    X = ta.tensor("X", [V] * pairs)
    entries = np.array([random.Random(pairs).randint(-9, 9) for _ in range(3**pairs)]).reshape((3,) * pairs)
    total = sum(sign(p) * np.transpose(entries, p) for p in itertools.permutations(range(pairs)))
    found = ta.define(upper, ta.generalised_delta(upper, lower) * X[lower]).evaluate(X=entries)
    assert found.tolist() == total.tolist()
    # twice is k! times once: the projection is the k!-th part
    twice = ta.define(upper, ta.generalised_delta(upper, lower) * X[lower]).evaluate(X=found)
    assert twice.tolist() == (math.factorial(pairs) * total).tolist()


def test_contracting_a_pair_lowers_the_order():
    n = ta.dims("n")
    traced = ta.generalised_delta((i, j, k), (i, l, k)).sum(i, k)
    assert ta.prove(traced, (n - 1) * (n - 2) * ta.delta[j, l])
    assert ta.prove(traced, (n - 1) * (n - 3) * ta.delta[j, l]).status == "refuted"


def test_small_and_composite_cases():
    assert ta.generalised_delta((), ()).evaluate() == 1
    assert ta.generalised_delta(i, j) is ta.generalised_delta([i], (j,)) is ta.delta[i, j]
    assert str(ta.generalised_delta((i, j), (k, l))) == "delta[i,k]*delta[j,l] - delta[i,l]*delta[j,k]"
    assert ta.define((i, k, l), ta.generalised_delta((i, i), (k, l))).evaluate({"n": 2}).any() == 0
    P, S = V @ W, V + W
    (p, q), w = P.indices("p q"), W.index("w")
    pairs = ta.define((p, q, i, w), ta.generalised_delta((p, (i, w)), (q, (i, w))))
    late, early = Injected(w, 1, S), Injected(i, 0, S)
    sums = ta.define((i, w, j), ta.generalised_delta((early, late), (late, Injected(j, 0, S))))
    for expr in (pairs, sums):
        found = expr.evaluate({"n": 2})
        assert {place: found[place] for place in np.ndindex(*found.shape)} == oracle(expr, {"n": 2}, {})


@pytest.mark.parametrize("size", [2, 3, 4])
def test_signs_of_permutations_satisfy_what_is_given(size):
    eps = ta.levi_civita(ta.Space("R", size))
    assert [str(leg) for leg in eps.tensor.legs] == ["R"] * size
    assert eps.tensor.antisymmetric == (tuple(range(size)),)
    entries = np.zeros((size,) * size, dtype=object)
    for place in np.ndindex(*entries.shape):
        entries[place] = sign(place)
    ((left, right),) = eps.given
    assert set(left.free) == set(right.free)
    both = ta.define(left.free_indices, left), ta.define(left.free_indices, right)
    for factor, holds in [(1, True), (-1, True), (2, False), (0, False)]:
        array = factor * entries
        assert (both[0].evaluate(eps=array).tolist() == both[1].evaluate().tolist()) is holds


def test_determinants_and_names():
    eps = ta.levi_civita(ta.Space("R", 3), name="omega")
    a, b, c = eps.tensor.legs[0].indices("a b c")
    x, y, z = ta.tensors("x y z", eps.tensor.legs[0])
    volume = ta.define((), eps.tensor[a, b, c] * x[a] * y[b] * z[c])
    entries = np.zeros((3, 3, 3), dtype=object)
    for place in itertools.permutations(range(3)):
        entries[place] = sign(place)
    rows = [[2, 1, 0], [1, 3, -1], [4, 0, 5]]
    assert volume.evaluate(omega=entries, **dict(zip("xyz", rows, strict=True))) == round(np.linalg.det(rows))
    assert ta.levi_civita(ta.Space("R", 3)) == ta.levi_civita(ta.Space("R", 3)) != eps


def test_prove_takes_what_is_given():
    eps = ta.levi_civita(ta.Space("R", 2))
    left, right = eps.given[0]
    i1, i2 = eps.tensor.legs[0].indices("i1 i2")
    assert ta.prove(eps.tensor[i1, i2], -eps.tensor[i2, i1], given=eps.given)
    assert ta.prove(left, 2 * right, given=eps.given).status != "proved"


WRONG = [
    (lambda: ta.generalised_delta((i, j), (k,)), LegCountMismatch, "got 2 upper and 1 lower indices"),
    (lambda: ta.generalised_delta((i, W.index("w")), (k, l)), SpaceMismatch, "over V to index w over W"),
    (lambda: ta.generalised_delta((i, j), (k, W.index("w"))), SpaceMismatch, "over V to index w over W"),
    (lambda: ta.generalised_delta("i j", "k l"), InvalidExpression, "'i j' is no sequence of indices"),
    (lambda: ta.generalised_delta(("i",), ("k",)), InvalidExpression, "'i' is not an index"),
    (lambda: ta.generalised_delta([i] * 9, [j] * 9), InvalidExpression, "a sum of 362880 products"),
    (lambda: ta.levi_civita(V), InvalidDimension, "over V of dimension n: it has as many legs as dimensions"),
    (lambda: ta.levi_civita(ta.Space("P", 2) @ V), InvalidDimension, "of dimension 2*n"),
    (lambda: ta.levi_civita(ta.Space("R", 1)), InvalidDimension, "over R of dimension 1 is not built"),
    (lambda: ta.levi_civita(ta.Space("R", 5)), InvalidDimension, "over R of dimension 5 is not built"),
    (lambda: ta.levi_civita(ta.Space("R", 3, metric=None)), SpaceMismatch, "R is a bare space"),
    (lambda: ta.levi_civita(3), SpaceMismatch, "3 is not a space"),
    (lambda: ta.levi_civita(ta.Space("R", 3), name="sum"), InvalidExpression, "a word of the language"),
]


@pytest.mark.parametrize(("make", "kind", "what"), WRONG)
def test_what_is_refused(make, kind, what):
    with pytest.raises(kind) as caught:
        make()
    assert what in str(caught.value)
    assert caught.value.remedy
