"""Maxima and minima: composed from relu, worth what Python's max and min are, printed as what they are made of."""

import itertools
import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

import tensoralg as ta
from strategies import claim, random_tensors
from tensoralg.errors import ImplicitSumWarning, InvalidExpression
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import as_expr
from tensoralg.expr.rewrite import distinct_nodes

INDICES = {"t,s": "n ordered", "f": "d"}
T = ta.Space("n", "n", ordered=True)
t, s = T.indices("t s")
x, y, A = ta.tensor("x", T), ta.tensor("y", T), ta.tensor("A", T @ T)
VALUES = [-3, -1, 0, 1, 2]


def parse(text, **options):
    return ta.parse(text, **{"indices": INDICES, **options})


@settings(max_examples=100)
@given(st.lists(st.fractions(-5, 5, max_denominator=7), min_size=2, max_size=9))
def test_they_are_the_largest_and_the_smallest(values):
    symbols = ta.tensors(" ".join(f"c{k}" for k in range(len(values))), ta.Unit)
    given_values = {symbol.name: value for symbol, value in zip(symbols, values, strict=True)}
    assert ta.maximum(*symbols).evaluate(**given_values) == max(values)
    assert ta.minimum(*symbols).evaluate(**given_values) == min(values)


PIECES = [x[t], x[s], y[s], A[t, s], x[t] + 1, x[t] + y[s], x[s] * y[t] - A[t, s], as_expr(1), ta.exp(0 * x[s])]


@pytest.mark.parametrize("count", [2, 3])
def test_define_sums_the_maximum_and_not_its_pieces(count):
    arrays = {"x": [1, -2], "y": [0, 3], "A": [[2, -1], [-3, 1]]}
    for pieces in itertools.product(PIECES, repeat=count):
        every = {index for piece in pieces for index in piece.free_indices}
        for make, wanted in [(ta.maximum, max), (ta.minimum, min)]:
            tables = [oracle(ta.Definition((t, s), piece), {"n": 2}, arrays) for piece in pieces]
            for legs in [(t,), ()]:
                expr = ta.define(legs, make(*pieces))
                summed = [index for index in (t, s) if index in every and index not in legs]
                for place, value in oracle(expr, {"n": 2}, arrays).items():
                    total = 0
                    for other in itertools.product(range(2), repeat=len(summed)):
                        at = {t: 0, s: 0, **dict(zip((*legs, *summed), (*place, *other), strict=True))}
                        total += wanted(table[at[t], at[s]] for table in tables)
                    assert value == total


def test_ones_complete_what_mentions_too_little():
    assert str(ta.maximum(x[t], x[s])) == "x[t]*delta[s,s] + relu(x[s] - x[t])"
    assert str(ta.maximum(x[t] + 1, y[t] + 2)) == "(x[t] + 1)*delta[t,t] + relu(y[t] + 2 - x[t] - 1)"
    assert ta.prove(ta.maximum(x[t], x[s]), parse("max(x[t], x[s])", free="t,s"))


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_zero_among_the_terms_needs_no_difference(zero):
    for entry in VALUES:
        for other in VALUES:
            for make, wanted in [(ta.maximum, max), (ta.minimum, min)]:
                terms, numbers = [x[t], y[t]], [entry, other]
                terms.insert(zero, 0)
                numbers.insert(zero, 0)
                expr = ta.define((t,), make(*terms))
                assert expr.evaluate(x=[entry], y=[other]).tolist() == [wanted(numbers)]
    assert ta.maximum(x[t], 0) is ta.maximum(0, x[t]) is ta.relu(x[t])
    assert str(ta.minimum(x[t], 0)) == str(ta.minimum(0, x[t])) == "-relu(-x[t])"
    assert ta.maximum(0, 0).evaluate() == ta.minimum(0, 0).evaluate() == 0


@settings(max_examples=60)
@given(st.integers(0, 10**9))
def test_maxima_of_random_terms(seed):
    source = random.Random(seed)
    first, second = claim(source, depth=2), claim(source, depth=2)
    legs = tuple(dict.fromkeys((*first.legs, *second.legs)))
    arrays = random_tensors(source, ta.Definition(legs, first.body + second.body), {"n": 2, "d": 2})
    sizes = {"n": 2, "d": 2}
    parts = [oracle(ta.Definition(legs, part.body), sizes, arrays) for part in (first, second)]
    for make, wanted in [(ta.maximum, max), (ta.minimum, min)]:
        expr = ta.Definition(legs, make(first.body, second.body))
        names = {name: size for name, size in sizes.items() if name in all_dimensions(expr)}
        found = np.asarray(expr.evaluate(names, **{n: arrays[n] for n in set(expr.tensors)}), dtype=object)
        for place in np.ndindex(*found.shape):
            assert found[place] == wanted(part[place] for part in parts)


def test_they_are_made_of_the_nodes_that_are_there():
    kinds = {node.kind for node in distinct_nodes(ta.maximum(x[t], y[t], 1) + ta.minimum(x[t], y[t]))}
    assert kinds == {"entry", "add", "mul", "number", "apply"}
    assert str(ta.maximum(x[t], y[t])) == "x[t] + relu(y[t] - x[t])"
    assert str(ta.minimum(x[t], y[t])) == "x[t] - relu(-y[t] + x[t])"
    assert ta.latex(ta.maximum(x[t], y[t])) == r"x_{t} + \mathrm{relu}\left(y_{t} - x_{t}\right)"
    assert ta.maximum(x[t], 2).evaluate(x=[1, 5]).tolist() == [2, 5]


def test_the_text_grows_with_the_number_of_terms():
    lengths = [len(str(ta.maximum(*[x[t]] * count))) for count in (10, 20, 40)]
    assert lengths[2] - lengths[1] == 2 * (lengths[1] - lengths[0])


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        ("max(x[t], y[t])", "x[t] + relu(y[t] - x[t])"),
        ("min(x[t], y[t])", "x[t] - relu(-y[t] + x[t])"),
        ("max(x[t], y[t], 1)", "x[t] + relu(y[t] + relu(1 - y[t]) - x[t])"),
        ("max(1, x[t])", "x[t] + relu(1 - x[t])"),
        ("max(x[t] + 1, 2*y[t])", "2*y[t] + relu(x[t] + 1 - 2*y[t])"),
        ("max(x[t] + 1, y[t] - 1)", "x[t] + 1 + relu(y[t] - 1 - x[t] - 1)"),
        ("max(x[t], A[t,s])*x[s]", "sum(s: (A[t,s] + relu(x[t] - A[t,s]))*x[s])"),
        ("sum(s: max(x[t], x[s]))", "sum(s: x[t] + relu(x[s] - x[t]))"),
        ("-max(x[t], y[t])", "-(x[t] + relu(y[t] - x[t]))"),
        ("2*max(x[t], y[t])/n", "2*(x[t] + relu(y[t] - x[t]))/n"),
        ("max(x[t] + 1, -y[t])", "-y[t] + relu(x[t] + 1 + y[t])"),
        ("max(min(x[t], 1), -1)", "x[t] - relu(-1 + x[t]) + relu(-1 - x[t] + relu(-1 + x[t]))"),
        ("exp(max(sum(s: A[t,s]), 0))", "exp(relu(sum(s: A[t,s])))"),
        ("sum(s: max(A[t,s], x[s]))", "sum(s: A[t,s] + relu(x[s] - A[t,s]))"),
        ("max(A[t,s], B[t,s])*x[s]", "sum(s: (A[t,s] + relu(B[t,s] - A[t,s]))*x[s])"),
    ],
)
def test_texts(text, explicit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expr = parse(text, free="t")
        assert expr is parse(explicit, free="t")
    assert parse(str(expr.body), free="t", **ta.declarations(expr)).body is expr.body


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("max(A[t,s], B[t,s])", True),
        ("min(A[t,s], 0)*x[t]", True),
        ("max(A[t,s], B[t,s])*exp(x[s])", True),
        ("max(A[t,s], B[t,s])/y[s]", True),
        ("(max(A[t,s], B[t,s]) + 1)", True),
        ("max(A[t,s], B[t,s])*x[s]", False),
        ("(max(A[t,s], B[t,s]) + x[s])", False),
        ("max(A[t,s], 0)*near[s,t,2]", False),
        ("max(sum(s: A[t,s]), x[t])", False),
    ],
)
def test_the_warning_sees_a_maximum_as_the_function_that_it_is(text, warns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parse(text, free="t")
    assert [w.category for w in caught] == [ImplicitSumWarning] * warns


def test_a_tensor_may_be_called_max():
    expr = parse("max[t] = max(x[t], min[t])")
    assert str(expr) == "max[t] = x[t] + relu(min[t] - x[t])"
    again = parse("O[t] = max[t] + max(max[t], 1)")
    assert again.evaluate(max=[0, 5]).tolist() == [1, 10]


@pytest.mark.parametrize("make", [ta.maximum, ta.minimum])
def test_the_number_of_terms(make):
    for terms in ((), (x[t],)):
        with pytest.raises(InvalidExpression, match=f"{make.__name__} takes two or more terms but got {len(terms)}"):
            make(*terms)
    with pytest.raises(InvalidExpression, match="one sequence instead of its terms"):
        make([x[t], y[t]])
    with pytest.raises(InvalidExpression, match="nested more than 128 deep"):
        make(*[x[t]] * 100)
    with pytest.raises(InvalidExpression, match="cannot be a term"):
        make(x[t], 0.5)
