"""The search for witnesses: sizes that it reaches, what it counts, and hypotheses that a witness satisfies."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from random import Random

import numpy as np
import pytest
from oracle import oracle

import tensoralg as ta
from tensoralg.errors import Undecided
from tensoralg.proof.effort import Effort
from tensoralg.proof.hypotheses import degree_in, holds, linear_solution, satisfying
from tensoralg.proof.prove import state
from tensoralg.proof.refute import Claim, compare, counterexample, draw, search, shrink

INDICES = {"i,j,k,l": "n", "a,b": "d", "t,s": "n"}
ORDERED = {"i,j,k,l,r,s,t": "n ordered"}


def claim(left, right, free="", given=(), indices=INDICES, **options):
    """Return a claim whose hypotheses are texts ``(left, right, free)``."""
    sides = [ta.parse(text, indices, free=free) for text in (left, right)]
    pairs = [[ta.parse(text, indices, free=names) for text in (a, b)] for a, b, names in given]
    everything = sum((ta.define((), _closed(side)) for pair in pairs for side in pair), start=sides[0].body * 0)
    made = state(sides[0], sides[1], [], options.get("sizes")).claim
    extra = state(ta.define(sides[0].legs, sides[0].body + everything), sides[0], [], None).claim
    return replace(made, tensors={**extra.tensors, **made.tensors}, hypotheses=tuple(map(tuple, pairs)))


def _closed(side):
    return side.body.sum(*side.legs) if side.legs else side.body


def plain(tensors):
    return {name: array.tolist() for name, array in tensors.items()}


def assert_witness(made, found):
    """Recompute both sides and all hypotheses by loops."""
    witness = counterexample(made, found)
    place = tuple(witness.index[name] for name in made.left.free)
    order = [made.left.free.index(name) for name in made.right.free]
    assert oracle(made.left, witness.sizes, witness.tensors)[place] == witness.lhs
    assert oracle(made.right, witness.sizes, witness.tensors)[tuple(place[k] for k in order)] == witness.rhs
    assert witness.lhs != witness.rhs
    for left, right in made.hypotheses:
        ours, theirs = (oracle(side, witness.sizes, witness.tensors) for side in (left, right))
        order = [left.free.index(name) for name in right.free]
        assert all(theirs[tuple(p[k] for k in order)] == value for p, value in ours.items())


# sizes


@pytest.mark.parametrize("m", range(1, 9))
def test_powers_of_the_strict_mask_are_refuted_at_the_first_size(m):
    names = ["t", *(f"r{k}" for k in range(1, m + 1))]
    chain = "*".join(f"lt[{late},{early}]" for early, late in pairwise(names))
    made = claim(f"{chain}*x[r{m}]", "0", "t", indices={",".join(names): "n ordered"})
    result = search(made, Random(0))
    smallest = shrink(made, result.found)
    assert smallest.sizes == {"n": m + 1}
    assert {sizes["n"] for sizes in result.agreed} >= set(range(1, m + 1))
    # the only chain of m + 1 places runs through all of them
    assert (smallest.index, smallest.left, smallest.right) == ((m,), smallest.tensors["x"][0], 0)
    if m < 5:
        assert_witness(made, smallest)


@pytest.mark.parametrize("m", range(1, 8))
def test_polynomials_in_a_size_are_refuted_beyond_their_zeros(m):
    made = claim(prod_text(m), "0*x[i]", "i")
    result = search(made, Random(0))
    assert result.found.sizes == {"n": m + 1}


def prod_text(m):
    return "*".join(f"(n - {k})" for k in range(1, m + 1)) + "*x[i]"


# residues


def chained(count, last=None):
    names = [f"i{k}" for k in range(count + 1)]
    factors = [f"M{k}[{names[k]},{names[k + 1]}]" for k in range(count)]
    if last:
        factors[-1] = last
    return "*".join(factors), {",".join(names): "n"}, f"i0,i{count}"


def test_laborious_claims_are_compared_modulo_primes_first():
    text, indices, free = chained(8)
    made = claim(text, text, free, indices=indices)
    made = replace(made, fixed={"n": 20})
    result = search(made, Random(0), tries=3, levels=1)
    assert result.found is None
    (agreement,) = result.agreements
    assert (agreement.sizes, agreement.evaluations, agreement.degree) == ({"n": 20}, 3, 8)
    # one of the primes could divide every coefficient, for their sum 20^7 + 20^7 exceeds it
    assert 0 < agreement.bound <= (8 / 2147483587) ** 2 * 1.01
    assert len(result.agreed) == 3


def test_laborious_claims_that_differ_have_exact_witnesses():
    text, indices, free = chained(8)
    wrong, _, _ = chained(8, "M7[i8,i7]")
    made = claim(text, wrong, free, indices=indices)
    made = replace(made, fixed={"n": 20})
    result = search(made, Random(0), tries=3, levels=1)
    assert not result.agreements
    assert result.found.left != result.found.right
    assert compare(made, result.found.sizes, result.found.tensors).left == result.found.left


def test_unknown_claims_have_bounds_for_every_size():
    made = claim("A[i,j]*A[j,i] - A[i,j]*A[j,i]", "0")
    result = search(made, Random(0))
    assert [a.sizes for a in result.agreements] == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
    assert all(a.degree == 2 and a.bound < 1e-27 for a in result.agreements)


@pytest.mark.parametrize(("left", "right"), [("exp(x[i])*exp(y[i])", "exp(x[i] + y[i])"), ("relu(x[i])", "relu(x[i])")])
def test_no_bound_where_functions_occur(left, right):
    result = search(claim(left, right, "i"), Random(0))
    assert not result.agreements
    assert result.agreed


def test_facts_that_are_equations_get_no_bound():
    V = ta.Space("V", "n")
    i, j, k = V.indices("i j k")
    U = ta.tensor("U", V @ V, isometry=True)
    made = state(ta.define((j, k), (U[i, j] * U[i, k]).sum(i)), ta.define((j, k), ta.delta[j, k]), [], None).claim
    result = search(made, Random(0))
    assert result.found is None
    assert result.agreed
    assert not result.agreements


def test_what_is_too_large_is_not_evaluated():
    side = 6
    names = [f"e{i}_{j}_{d}" for i in range(side) for j in range(side) for d in "hv"]
    text = "*".join(
        f"T{i}_{j}[e{i}_{j}_h,e{i}_{(j + 1) % side}_h,e{i}_{j}_v,e{(i + 1) % side}_{j}_v]"
        for i, j in product(range(side), repeat=2)
    )
    made = claim(text, text, indices={",".join(names): "n"})
    result = search(made, Random(0), tries=1, levels=3)
    assert {sizes["n"] for sizes in result.agreed} <= {1}


def test_effort_counts_what_an_order_of_elimination_takes():
    chain = ta.parse("A[i,j]*A[j,k]*A[k,l]", INDICES, free="i,l")
    assert Effort([chain]).at({"n": 50}, 10**9) == 2 * 50**3 + 3 * 50**2 + 50**2
    assert Effort([chain]).at({"n": 50}, 1000) == float("inf")


def test_witnesses_of_many_tensors_are_left_as_they_are():
    text, indices, free = chained(13)
    wrong, _, _ = chained(13, "M12[i13,i12]")
    made = claim(text, wrong, free, indices=indices)
    found = search(made, Random(0)).found
    assert shrink(made, found) is found


# hypotheses


HYPOTHESES = {
    "rows sum to one": ([("A[i,j]", "1", "i")], "sum(i: A[i,j])", "1", "j"),
    "rows and columns sum to one": ([("A[i,j]", "1", "i"), ("A[i,j]", "1", "j")], "A[i,j]", "A[j,i]", "i,j"),
    "a product": ([("A[i,j]*B[j,k]", "C[i,k]", "i,k")], "B[i,j]*A[j,k]", "C[i,k]", "i,k"),
    "commuting": ([("A[i,j]*B[j,k]", "B[i,j]*A[j,k]", "i,k")], "A[i,j]", "B[i,j]", "i,j"),
    "commuting with a third": (
        [("A[i,j]*B[j,k]", "B[i,j]*A[j,k]", "i,k"), ("C[i,j]*B[j,k]", "B[i,j]*C[j,k]", "i,k")],
        "A[i,j]",
        "C[i,j]",
        "i,j",
    ),
    "mean zero": ([("x[i]", "0", "")], "x[i]*x[i]", "0", ""),
    "symmetric, as an equation": ([("A[i,j]", "A[j,i]", "i,j")], "A[i,j]*A[j,k]", "A[i,k]", "i,k"),
    "inverse pair": (
        [("A[i,j]*B[j,k]", "delta[i,k]", "i,k"), ("B[i,j]*A[j,k]", "delta[i,k]", "i,k")],
        "A[i,j]",
        "B[j,i]",
        "i,j",
    ),
    "orthonormal columns": ([("U[i,a]*U[i,b]", "delta[a,b]", "a,b")], "U[i,a]*U[j,a]", "delta[i,j]", "i,j"),
    "orthonormal rows": ([("U[i,a]*U[j,a]", "delta[i,j]", "i,j")], "U[i,a]*U[i,b]", "delta[a,b]", "a,b"),
    "unit vector": ([("v[i]*v[i]", "1", "")], "v[i]", "1", ""),
    "unit rows": ([("Q[i,a]*Q[i,a]", "1", "i")], "Q[i,a]*Q[j,a]", "1", "i,j"),
    "idempotent": ([("P[i,j]*P[j,k]", "P[i,k]", "i,k")], "P[i,j]", "P[j,i]", "i,j"),
    "involution": ([("P[i,j]*P[j,k]", "delta[i,k]", "i,k")], "P[i,j]", "delta[i,j]", "i,j"),
    "nilpotent": ([("N[i,j]*N[j,k]", "0*delta[i,k]", "i,k")], "N[i,j]", "0*delta[i,j]", "i,j"),
    "orthogonal projection": (
        [("P[i,j]*P[j,k]", "P[i,k]", "i,k"), ("P[i,j]", "P[j,i]", "i,j")],
        "P[i,j]",
        "delta[i,j]*P[i,i]",
        "i,j",
    ),
    "zero or one": ([("x[i]*x[i]", "x[i]", "i")], "x[i]*x[i]", "1", "i"),
    "kept by a projection": (
        [("P[i,j]*P[j,k]", "P[i,k]", "i,k"), ("P[i,j]*x[j]", "x[i]", "i")],
        "P[i,j]*y[j]",
        "x[i]",
        "i",
    ),
    "the gate of a relu": ([("relu(z[i])", "D[i]*z[i]", "i")], "D[i]", "1", "i"),
    "a chain": ([("A[i,j]*x[j]", "y[i]", "i"), ("A[i,j]*y[j]", "z[i]", "i")], "z[i]", "y[i]", "i"),
}


@pytest.mark.parametrize("family", HYPOTHESES)
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_witnesses_satisfy_hypotheses(family):
    given, left, right, free = HYPOTHESES[family]
    made = claim(left, right, free, given)
    result = search(made, Random(0))
    assert result.found is not None, result
    assert not result.impossible
    assert_witness(made, result.found)
    assert_witness(made, shrink(made, result.found))


@pytest.mark.parametrize("family", HYPOTHESES)
def test_what_follows_from_a_hypothesis_is_not_refuted(family):
    """The hypothesis itself, as the claim, has no witness; without the hypothesis it has one."""
    given, *_ = HYPOTHESES[family]
    left, right, free = given[0]
    made = claim(left, right, free, given)
    result = search(made, Random(0), levels=3)
    assert result.found is None
    assert result.agreed
    assert search(replace(made, hypotheses=()), Random(0)).found is not None


CONTRADICTIONS = {
    "numbers": [("1", "0", "")],
    "two values": [("x[i]", "1", "i"), ("x[i]", "2", "i")],
    "sizes": [("n", "n + 1", "")],
    "a unit vector that vanishes": [("v[i]*v[i]", "1", ""), ("v[i]", "0", "i")],
    "an inverse of zero": [("A[i,j]*B[j,k]", "delta[i,k]", "i,k"), ("A[i,j]", "0", "i,j")],
}


@pytest.mark.parametrize("family", CONTRADICTIONS)
def test_contradictions_are_impossible(family):
    made = claim("x[i]", "y[i]", "i", CONTRADICTIONS[family])
    result = search(made, Random(0))
    assert result.found is None
    assert result.impossible
    with pytest.raises(Undecided):
        draw(made, {"n": 2, "d": 2}, Random(0), largest=2)


def test_hypotheses_about_sizes_choose_the_size():
    made = claim("x[i]", "y[i]", "i", [("n", "2", "")])
    result = search(made, Random(0))
    assert result.found.sizes["n"] == 2
    assert shrink(made, result.found).sizes["n"] == 2
    assert not result.impossible


def test_a_difference_that_violates_a_hypothesis_is_none():
    made = claim("x[i]", "y[i]", "i", [("x[i]", "0", "")])
    x, y = np.array([1, 2], dtype=object), np.array([1, 1], dtype=object)
    assert compare(made, {"n": 2}, {"x": x, "y": y}) is None
    assert compare(made, {"n": 2}, {"x": x - x, "y": y}).left == 0


def test_hypotheses_about_defined_tensors_bind_what_defines_them():
    indices = {"i,j,k": "n"}
    C = ta.parse("C[i,k]", indices, free="i,k")
    product_ = ta.parse("A[i,j]*B[j,k]", indices, free="i,k")
    left, right = (ta.parse(text, indices, free="i,k") for text in ("A[i,k]", "B[i,k]"))
    stated = state(left, right, [(C, product_)], None)
    made = stated.claim
    assert stated.definitions
    identity = ta.parse("delta[i,k]", indices, free="i,k")
    made = replace(made, hypotheses=((C, identity),))
    found = search(made, Random(0)).found
    assert_witness(made, found)
    assert (found.tensors["A"].dot(found.tensors["B"]) == np.eye(found.sizes["n"], dtype=int)).all()


def test_declared_facts_hold_beside_hypotheses():
    V = ta.Space("V", "n")
    i, j = V.indices("i j")
    S = ta.tensor("S", V @ V, symmetric=True)
    P = ta.tensor("P", V @ V, positive=True)
    rows = [(ta.define((i,), t[i, j].sum(j)), ta.define((i,), 1)) for t in (S, P)]
    values = satisfying(rows, {"S": S, "P": P}, {"n": 3}, Random(1))
    assert (values["S"] == values["S"].T).all()
    assert all(x > 0 for x in values["P"].flat)
    assert holds(rows, values, {"n": 3})
    assert not holds(rows, {**values, "P": 2 * values["P"]}, {"n": 3})


def test_draws_with_hypotheses_differ():
    made = claim("A[i,j]", "A[j,i]", "i,j", [("A[i,j]", "1", "i")])
    random = Random(0)
    seen = {str(plain(draw(made, {"n": 2, "d": 1}, random, largest=5))) for _ in range(5)}
    assert len(seen) > 2


@pytest.mark.parametrize("seed", range(20))
def test_linear_systems_are_solved_exactly(seed):
    random = Random(seed)
    unknowns, rows = random.randint(1, 5), random.randint(1, 6)
    columns = [[random.randint(-2, 2) for _ in range(rows)] for _ in range(unknowns)]
    point = [Fraction(random.randint(-3, 3), random.randint(1, 3)) for _ in range(unknowns)]
    target = [sum(x * c[r] for x, c in zip(point, columns, strict=True)) for r in range(rows)]
    found = linear_solution(columns, target, lambda: Fraction(random.randint(-9, 9)))
    assert [sum(x * c[r] for x, c in zip(found, columns, strict=True)) for r in range(rows)] == target
    assert linear_solution([*columns], [*target[:-1], target[-1]], lambda: Fraction(0)) is not None


def test_degrees_in_one_tensor():
    def degree(text, free=""):
        side = ta.parse(text, ORDERED, free=free, tensors={"x": "n", "A": "n n", "a": "n"})
        return [degree_in(side.body, name) for name in ("x", "A")]

    assert degree("A[t,s]*x[s]", "t") == [1, 1]
    assert degree("A[t,s]*A[s,t]*x[t] + x[t]") == [1, 2]
    assert degree("sum(s: x[s])*sum(s: x[s])*3") == [2, 0]
    assert degree("exp(A[t,s])*x[s]", "t,s") == [1, 2]
    assert degree("decay(x)[t,s]", "t,s") == [2, 0]


def test_claims_without_hypotheses_need_no_more_than_before():
    made = claim("A[i,j]*A[i,j]", "A[i,j]*A[j,i]")
    assert isinstance(made, Claim)
    assert made.hypotheses == ()
    assert prod(search(made, Random(0)).found.sizes.values()) > 1


def test_long_chains_are_searched_though_their_size_one_is_not_evaluated():
    """At size 1 all orders of elimination cost alike, and the one taken can have more axes than arrays may."""
    random = Random(3)
    count = 150
    links = [(random.randrange(max(0, v - 3), v), v) for v in range(1, count)]
    legs = [[f"e{k}" for k, link in enumerate(links) if v in link] for v in range(count)]
    names = {",".join(f"e{k}" for k in range(len(links))): "n"}
    text = "*".join(f"M{v}[{','.join(here)}]" for v, here in enumerate(legs))
    turned = next(v for v in range(75, count) if len(legs[v]) > 1)
    wrong = text.replace(f"M{turned}[{','.join(legs[turned])}]", f"M{turned}[{','.join(legs[turned][::-1])}]")
    found = search(claim(text, wrong, indices=names), Random(0)).found
    assert found.left != found.right
    assert found.sizes == {"n": 2}
