"""Large claims: decided by labelling, with certificates that the checker accepts."""

import sys
from pathlib import Path

import pytest

import tensoralg as ta
from tensoralg.proof.checker import check

sys.path.insert(0, str(Path(__file__).parent))  # test files are imported by path, so their folder is no package
from networks import brick_wall, cubic, network, rewired, tree


@pytest.mark.parametrize("options", [{}, {"alike": True, "symmetric": True}])
@pytest.mark.parametrize("edges", [cubic(300, 0), tree(1000, 0), brick_wall(20, 20)], ids=["cubic", "tree", "wall"])
def test_shuffled_networks_are_proved_with_a_certificate(edges, options):
    verdict = ta.prove(network(edges, **options), network(edges, **options, shuffle=1))
    assert verdict.status == "proved"
    assert check(verdict.certificate)
    *labels, last = verdict.certificate["proof"]["labels"]
    wrong = {**verdict.certificate["proof"], "labels": (*labels, last[::-1])}
    assert not check({**verdict.certificate, "proof": wrong})


def test_a_large_network_with_exchanged_edges_is_not_proved():
    edges = cubic(300, 0)
    options = {"alike": True, "symmetric": True}
    assert ta.prove(network(edges, **options), network(rewired(edges, 1), **options, shuffle=1)).status != "proved"


def test_one_triangle_of_many_turned_over_is_refuted():
    names = [(f"i{k},j{k},m{k}") for k in range(100)]
    right = [f"A[i{k},j{k}]*A[j{k},m{k}]*B[m{k},i{k}]" for k in range(100)]
    left = ["A[j0,i0]*A[j0,m0]*B[m0,i0]", *right[1:]]
    indices = {",".join(names): "n"}
    sides = [ta.parse("*".join(side), indices, free=()) for side in (left, right)]
    verdict = ta.prove(*sides)
    assert verdict.status == "refuted"
    assert verdict.counterexample.lhs != verdict.counterexample.rhs


def test_products_of_sums_over_indices_of_their_own_are_collected_part_by_part():
    """Twelve factors with two terms each have 4096 monomials, of which 13 differ."""
    indices = {",".join(f"i{k}" for k in range(12)): "n"}
    one = [f"(A[i{k}] + B[i{k}])*x[i{k}]" for k in range(12)]
    sides = [ta.parse("*".join(side), indices, free=()) for side in (one, one[::-1])]
    assert ta.prove(*sides).status == "proved"
