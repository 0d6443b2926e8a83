"""Evaluation modulo a prime, against plain loops over Python's integers."""

from fractions import Fraction
from itertools import pairwise
from itertools import product as positions
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import oracle
from sympy import prevprime

import tensoralg as ta
from strategies import claim, random_tensors
from tensoralg.errors import EvaluationError, Undecided
from tensoralg.proof import modular
from tensoralg.proof.modular import (
    PRIMES,
    evaluate_modulo,
    measure,
    product,
    random_residues,
    residue,
    residues,
    schwartz_zippel,
)

P = PRIMES[0]


def test_the_primes_are_the_largest_below_two_to_the_31():
    found, p = [], 2**31
    for _ in PRIMES:
        p = prevprime(p)
        found.append(p)
    assert tuple(found) == PRIMES


@given(st.integers(0, 2**32), st.sampled_from([7, 65537, *PRIMES[:2]]))
def test_products_are_exact(seed, prime):
    random = Random(seed)
    batch, rows, inner, columns = (random.choice([1, 2, 3, 7]) for _ in range(4))
    # the extremes are where a limb could overflow
    draw = random.choice([lambda: random.randrange(prime), lambda: random.choice([0, 1, prime // 2, prime - 1])])
    a = [[[draw() for _ in range(inner)] for _ in range(rows)] for _ in range(batch)]
    b = [[[draw() for _ in range(columns)] for _ in range(inner)] for _ in range(batch)]
    expected = [
        [[sum(a[k][i][m] * b[k][m][j] for m in range(inner)) % prime for j in range(columns)] for i in range(rows)]
        for k in range(batch)
    ]
    assert product(np.array(a), np.array(b), prime).tolist() == expected


@pytest.mark.parametrize("value", [P // 2, P // 2 + 1, P - 1, 2**30, 2**30 + 2**14 - 1, P - 2**14])
@pytest.mark.parametrize("inner", [50, 4000])
def test_long_products_through_limbs_are_exact(value, inner):
    ones = np.full((1, 30, inner), value)
    found = product(ones, ones.transpose(0, 2, 1), P)
    assert (found == value * value * inner % P).all()


def test_sums_longer_than_a_floating_point_sum_are_cut(monkeypatch):
    monkeypatch.setattr(modular, "LONGEST", 16)
    random = np.random.default_rng(0)
    a, b = random.integers(0, P, (2, 20, 50)), random.integers(0, P, (2, 50, 20))
    expected = (a.astype(object) @ b.astype(object)) % P
    assert (product(a, b, P) == expected).all()


def modulo(values, prime):
    return {place: residue(value, prime) for place, value in values.items()}


@pytest.mark.parametrize("seed", range(80))
def test_random_expressions_have_the_residues_of_their_exact_values(seed):
    random, sizes = Random(seed), {"n": 3, "d": 2}
    expr = claim(random, functions=False)
    tensors = random_tensors(random, expr, sizes)
    expected = modulo(oracle(expr, sizes, tensors), 65537)
    found = evaluate_modulo(expr, sizes, {n: residues(a, 65537) for n, a in tensors.items()}, 65537)
    assert found.shape == tuple(sizes[index.space.name] for index in expr.free_indices)
    assert {place: int(found[place]) for place in np.ndindex(*found.shape)} == expected


def nested(shape, entry):
    return [nested(shape[1:], entry) for _ in range(shape[0])] if shape else entry()


TEXTS = [
    ("near[s,t,2]*x[s]", "t"),
    ("near[s,t,d]*x[s]", "t"),
    ("decay(a)[t,s]*x[s]", "t"),
    ("decay(c)[t,s]*x[s] + decay(a)[+,t] - decay(a)[t,-]*decay(a)[+,-]", "t"),
    ("decay(G)[t,s,f,g]*Q[s,g]", "t,f"),
    ("decay(Q)[t,s,f]*x[s]", "t,f"),
    ("x[t]/(1 + pow(x[t],2)) + pow(2 + n, -3)", "t"),
    ("sum(s,r: A[t,s]*A[s,r]*A[r,t]*x[s]*x[s])", "t"),
    ("sum(s,r,f: 1)*A[t,t] + delta[t,s]*lt[r,s]/3", "t"),
    ("sum(s: A[t,s] + x[s]*sum(f: Q[s,f])) - d*n/7", "t"),
]


@pytest.mark.parametrize(("text", "free"), TEXTS)
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_every_kind_of_node(text, free):
    tensors = {"a": "n", "x": "n", "c": "", "A": "n n", "Q": "n d", "G": "n d d"}
    expr = ta.parse(text, "t,s,r: n ordered; f,g: d", free=free, tensors=tensors)
    sizes, random = {"n": 4, "d": 2}, Random(1)
    shapes = {name: [sizes[leg] for leg in legs.split()] for name, legs in tensors.items() if name in expr.tensors}
    arrays = {name: nested(shape, lambda: random.randint(-3, 3)) for name, shape in shapes.items()}
    found = evaluate_modulo(expr, sizes, {n: residues(a, P) for n, a in arrays.items()}, P)
    expected = modulo(oracle(expr, sizes, arrays), P)
    assert {place: int(found[place]) for place in np.ndindex(*found.shape)} == expected


def test_what_has_no_residue_is_refused():
    expr = ta.parse("1/x[t] + exp(x[t])", "t: n", free="t")
    quotient = ta.parse("1/x[t]", "t: n", free="t")
    with pytest.raises(Undecided):
        evaluate_modulo(expr, {"n": 1}, {"x": np.array([1])}, P)
    with pytest.raises(EvaluationError):
        evaluate_modulo(quotient, {"n": 2}, {"x": np.array([1, 0])}, P)
    with pytest.raises(EvaluationError):
        residue(Fraction(1, 7), 7)


def test_random_residues_have_the_declared_symmetries():
    V = ta.Space("V", "n")
    S = ta.tensor("S", V @ V @ V, symmetric=(0, 2))
    W = ta.tensor("W", V @ V @ V, antisymmetric=True)
    found = random_residues({"S": S, "W": W}, {"n": 4}, Random(0), P)
    s, w = found["S"], found["W"]
    assert (s == s.transpose(2, 1, 0)).all()
    assert (s != s.transpose(1, 0, 2)).any()
    for order, sign in (((1, 0, 2), -1), ((0, 2, 1), -1), ((1, 2, 0), 1)):
        assert ((w - sign * w.transpose(order)) % P == 0).all()
    assert len(set(w.ravel().tolist())) == 2 * 4 + 1  # four free entries, their negatives, and 0


def expanded_degree(expr, sizes):
    """Return the degree of a polynomial in one entry t of all tensors, from its values at t = 0, 1, 2, ..."""
    top = 12
    values = []
    for t in range(top + 1):
        tensors = {s: _filled(expr, s, sizes, t) for s in set(expr.tensors)}
        values.append(sum(oracle(expr, sizes, tensors).values(), start=Fraction(0)))
    degree = top
    while degree >= 0 and not _difference(values[: degree + 1]):
        degree -= 1
    return degree


def _filled(expr, name, sizes, t):
    shape = {"x": (2,), "A": (2, 2)}[name]
    values = np.empty(shape, dtype=object)
    for k, place in enumerate(positions(*map(range, shape))):
        values[place] = t * (k + 1)
    return values.tolist()


def _difference(values):
    while len(values) > 1:
        values = [b - a for a, b in pairwise(values)]
    return values[0]


@pytest.mark.parametrize(
    ("text", "degree"),
    [("x[t]*A[t,s]*x[s]", 3), ("pow(x[t] + 2, 4)", 4), ("3 + n", 0), ("x[t] + A[t,s]*A[s,t]*7", 2)],
)
def test_degrees(text, degree):
    expr = ta.parse(text, "t,s: n", free="t" if "x[t]" in text else "")
    zero = ta.parse("0", "t,s: n", free="t" if "x[t]" in text else "")
    assert measure(expr, zero, {"n": 2}).degree == degree == max(expanded_degree(expr, {"n": 2}), 0)


def test_a_quotient_counts_its_common_denominator():
    left = ta.parse("sum(s: x[t]/x[s])", "t,s: n", free="t")
    zero = ta.parse("0", "t,s: n", free="t")
    found = measure(left, zero, {"n": 3})
    # x_t (x_2 x_3 + x_1 x_3 + x_1 x_2) / (x_1 x_2 x_3)
    assert (found.degree, found.below) == (3, 3)
    assert 2**found.bits >= 3


def test_the_bound_holds_in_a_small_field():
    """x^2 - 1 vanishes at two of p points, and the bound says at most two of p."""
    left, right = ta.parse("x[]*x[]", {}, free=()), ta.parse("1", {}, free=())
    prime = 101
    zeros = sum(int(evaluate_modulo(left, {}, {"x": np.array(k)}, prime)) == 1 for k in range(prime))
    bound = schwartz_zippel(measure(left, right, {}), [prime])
    assert zeros / prime <= bound <= 2 / prime


def test_a_prime_that_divides_every_coefficient_is_not_counted():
    """p x = 0 holds modulo p: one evaluation says nothing, one modulo another prime does."""
    text = f"{PRIMES[0]}*x[]"
    left, zero = ta.parse(text, {}, free=()), ta.parse("0", {}, free=())
    assert int(evaluate_modulo(left, {}, {"x": np.array(5)}, PRIMES[0])) == 0
    found = measure(left, zero, {})
    assert schwartz_zippel(found, PRIMES[:1]) is None
    assert schwartz_zippel(found, PRIMES[:3]) == pytest.approx((1 / PRIMES[2]) ** 2)


def test_no_bound_where_the_degree_is_large():
    left, zero = ta.parse("pow(x[], 60)", {}, free=()), ta.parse("0", {}, free=())
    assert schwartz_zippel(measure(left, zero, {}), [59]) is None
    assert schwartz_zippel(measure(left, zero, {}), [61]) == 60 / 61
