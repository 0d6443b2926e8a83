"""Canonical labelling: the same name for the same monomial, however it is written."""

from random import Random

import pytest
from normal_forms import normal_form

import tensoralg as ta
from tensoralg.expr.nodes import Bind, bind, mul
from tensoralg.expr.rewrite import substitute
from tensoralg.normal.label import parity
from tensoralg.spaces import Index

V = ta.Space("V", "n")


def form(body):
    return normal_form(ta.define((), body))[1]


def network(edges, symbol, random=None):
    """Return the closed network with one two-legged tensor for every edge, shuffled and renamed."""
    names = sorted({v for edge in edges for v in edge})
    if random is not None:
        renamed = dict(zip(names, random.sample(names, len(names)), strict=True))
        edges = [(renamed[a], renamed[b]) for a, b in random.sample(edges, len(edges))]
    index = {name: Index(f"v{name}", V) for name in names}
    return bind(tuple(index.values()), mul(*(symbol[index[a], index[b]] for a, b in edges)))


@pytest.mark.parametrize("size", [2, 3, 5, 8, 12])
@pytest.mark.parametrize("facts", [{}, {"symmetric": True}])
def test_rings_of_one_tensor(size, facts):
    """A ring has no vertex that refinement can tell from another, so BLISS decides."""
    symbol = ta.tensor("A", V @ V, **facts)
    ring = [(k, (k + 1) % size) for k in range(size)]
    first = form(network(ring, symbol))
    for seed in range(5):
        assert form(network(ring, symbol, Random(seed))) == first


def test_two_triangles_are_not_a_hexagon():
    """Colour refinement cannot tell them apart; the canonical form writes the network out."""
    symbol = ta.tensor("A", V @ V, symmetric=True)
    hexagon = [(k, (k + 1) % 6) for k in range(6)]
    triangles = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    assert form(network(hexagon, symbol)) != form(network(triangles, symbol))
    for seed in range(5):
        assert form(network(triangles, symbol, Random(seed))) == form(network(triangles, symbol))


def test_an_odd_automorphism_kills_a_monomial():
    skew = ta.tensor("W", V @ V, antisymmetric=True)
    triangle = [(0, 1), (1, 2), (2, 0)]
    square = [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert form(network(triangle, skew)) == ()
    assert form(network(square, skew)) != ()


def test_transposing_an_antisymmetric_tensor_changes_the_sign():
    skew, x, y = ta.tensor("W", V @ V, antisymmetric=True), ta.tensor("x", V), ta.tensor("y", V)
    i, j = V.indices("i j")
    left = (skew[i, j] * x[i] * y[j]).sum(i, j)
    right = (skew[j, i] * x[i] * y[j]).sum(i, j)
    assert isinstance(left, Bind)
    assert form(left + right) == ()


def test_normalising_is_blind_to_names():
    A = ta.tensor("A", V @ V)
    i, j, k = V.indices("i j k")
    body = A[i, j] * A[j, i]
    renamed = substitute(body, {i: k})
    assert form(body.sum(i, j)) == form(renamed.sum(k, j))


def test_parity():
    assert [parity(p) for p in ([0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0])] == [1, -1, 1, -1]
