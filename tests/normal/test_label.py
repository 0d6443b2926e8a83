"""Canonical labelling: the same name for the same monomial, however it is written."""

from itertools import permutations
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


def isomorphic(edges, other, count):
    """Whether some renaming of the vertices makes two lists of directed edges equal, by trying all."""
    return any(sorted((to[a], to[b]) for a, b in edges) == sorted(other) for to in permutations(range(count)))


@pytest.mark.parametrize("seed", range(60))
def test_forms_agree_exactly_for_isomorphic_networks(seed):
    """Small networks with many symmetries, in several parts, against all renamings."""
    random = Random(seed)
    symbol, count = ta.tensor("A", V @ V), 6
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    edges = random.sample(pairs, random.randint(4, 7))
    k = random.randrange(len(edges))
    other = [*edges[:k], edges[k][::-1], *edges[k + 1 :]]
    assert form(network(edges, symbol)) == form(network(edges, symbol, random))
    assert (form(network(edges, symbol)) == form(network(other, symbol, random))) == isomorphic(edges, other, count)


def star(arms, length):
    """Return the edges of a hub with equal arms."""
    return [
        (0 if k == 0 else 1 + arm * length + k - 1, 1 + arm * length + k) for arm in range(arms) for k in range(length)
    ]


def binary_tree(depth):
    return [((k - 1) // 2, k) for k in range(1, 2 ** (depth + 1) - 1)]


def rings(*sizes):
    """Return the edges of separate rings."""
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return [(s + k, s + (k + 1) % n) for s, n in zip(starts, sizes, strict=True) for k in range(n)]


@pytest.mark.parametrize(
    ("edges", "other"),
    [
        (star(40, 3), [*star(40, 3)[:-1], star(40, 3)[-1][::-1]]),
        (binary_tree(6), [*binary_tree(6)[:-1], binary_tree(6)[-1][::-1]]),
        (rings(*[3] * 20), rings(*[3] * 18, 6)),
        (rings(*[6] * 4, 5, 5), rings(*[6] * 4, 4, 6)),
    ],
)
@pytest.mark.parametrize("facts", [{}, {"symmetric": True}])
def test_equal_parts_are_arranged_in_any_order(edges, other, facts):
    if facts:
        other = [*other[:-1], (other[-1][0], other[0][0])]  # turning an edge over would change nothing
    symbol = ta.tensor("A", V @ V, **facts)
    first = form(network(edges, symbol))
    for seed in range(3):
        assert form(network(edges, symbol, Random(seed))) == first
        assert form(network(other, symbol, Random(seed))) != first
