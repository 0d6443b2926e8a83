"""Derivations from the axioms: relations to 0 that follow from others, and functions of products."""

import pytest

import tensoralg as ta

INDICES = {"i,j": "n"}
p = ta.tensor("p", ta.Space("n", "n"), positive=True)
(i, j) = p.legs[0].indices("i j")
x, y = ta.tensors("x y", p.legs[0])
CLAIMS = {
    "a logarithm of positive factors": (ta.log(3 * p[i] * x[i]), ta.log(3) + ta.log(p[i]) + ta.log(x[i])),
    "a logarithm of a quotient": (ta.log(x[i] / p[i]), ta.log(x[i]) - ta.log(p[i])),
    "a root of positive factors": (
        ta.sqrt(12 * p[i] ** 3 * x[i]),
        2 * p[i] * ta.sqrt(3) * ta.sqrt(p[i]) * ta.sqrt(x[i]),
    ),
    "a root of an exponential": (ta.sqrt(ta.exp(x[i]) * p[i]), ta.exp(x[i] / 2) * ta.sqrt(p[i])),
    "the square of a root": (ta.sqrt(x[i] * p[i]) ** 2 / p[i], ta.sqrt(x[i]) ** 2),
    "a reciprocal of a product": (1 / (x[i] * (y[i] + 1)), (1 / x[i]) / (y[i] + 1)),
    "a reciprocal of a reciprocal": (1 / (1 / x[i]), x[i] * (x[i] / x[i])),
    "a reciprocal of a root": (1 / ta.sqrt(p[i] * x[i]), 1 / ta.sqrt(x[i]) / ta.sqrt(p[i])),
    "a relu of positive factors": (ta.relu(2 * x[i] * p[i] / 3) * 3, 2 * ta.relu(x[i]) * p[i]),
    "a relu of both signs": (ta.relu(x[i]) - ta.relu(-x[i]), x[i]),
    "a relu of what is not negative": (ta.relu(x[i] ** 2 + p[i]), x[i] * x[i] + p[i]),
    "a relu of what is not positive": (ta.relu(-p[i]), 0 * p[i]),
    "a relu of 0": (ta.relu(x[i] - x[i]), 0 * x[i]),
    "a root of 0": (ta.sqrt(x[i] - x[i]), 0 * x[i]),
    "exponents": (ta.exp(x[i]) ** 3 * ta.exp(-2 * x[i] + y[i]), ta.exp(x[i] + y[i])),
    "an exponential of logarithms": (ta.exp(2 * ta.log(x[i]) - ta.log(p[i])) * p[i], x[i] ** 2 + 0 * ta.log(x[i])),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_it_is_derived(name):
    left, right = (ta.define((i,), side) for side in CLAIMS[name])
    verdict = ta.prove(left, right)
    assert verdict.status == "proved", verdict.explain()
    assert ta.check(verdict.certificate, claim=(left, right))
    assert not ta.check(verdict.certificate, claim=(left, ta.define((i,), CLAIMS[name][1] + 1)))
    assert ta.prove(left, ta.define((i,), CLAIMS[name][1] + 1)).status != "proved"
