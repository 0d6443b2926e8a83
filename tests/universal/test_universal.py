"""Maps and the tensor product: against numpy, against the definitions, and what is refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tensoralg as ta
from tensoralg.errors import InvalidExpression, LegCountMismatch, NotMultilinear, SpaceMismatch
from tensoralg.proof import prove
from tensoralg.universal import LinearMap, MultilinearMap, generic_multilinear, substitute_tensors, tensor_product

U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
a, a2 = U.indices("a a2")
b, b2 = V.indices("b b2")
o = W.index("o")
x, y = ta.tensor("x", U), ta.tensor("y", V)
C = ta.tensor("C", (U, V, W))
bilinear = MultilinearMap((x, y), ta.define((o,), C[a, b, o] * x[a] * y[b], name="f"))


def integers(rng: random.Random, *shape: int) -> Any:
    return np.array([rng.randint(-4, 4) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)


def test_the_factor_is_the_map_at_basis_vectors() -> None:
    array = integers(random.Random(1), 2, 3, 2)
    entries = tensor_product(U, V).factor(bilinear).entries()
    assert np.array_equal(entries.evaluate({"k": 2}, C=array), array)


def test_the_factor_after_the_arrow_is_the_map() -> None:
    product = tensor_product(U, V)
    composed = (product.arrow >> product.factor(bilinear))(x, y)
    assert prove(composed, bilinear.value)
    rng = random.Random(2)
    array, left, right = integers(rng, 2, 3, 2), integers(rng, 2), integers(rng, 3)
    expected = np.einsum("abo,a,b->o", array, left, right)
    assert np.array_equal(composed.evaluate(C=array, x=left, y=right), expected)


@pytest.mark.parametrize("factors", [(U,), (U, V), (U, V, W), (V, V), (U @ V, W)], ids=str)
def test_the_universal_property_is_proved(factors: tuple[Any, ...]) -> None:
    laws = tensor_product(*factors).universal_property()
    assert [prove(*law).status for law in laws.laws] == ["proved", "proved"]


def test_a_bare_space_has_its_universal_property() -> None:
    bare = ta.Space("B", "p", metric=None)
    laws = tensor_product(bare, U).universal_property()
    assert [verdict.status for verdict in laws.prove()] == ["proved", "proved"]


@pytest.mark.parametrize(
    ("value", "culprit"),
    [
        (ta.define((), x[a] * x[a] * y[b]), "x"),  # quadratic
        (ta.define((), x[a] * y[b] * y[b]), "y"),
        (ta.define((), x[a] * y[b] + 1), "x"),  # affine
        (ta.define((), ta.exp(x[a]) * y[b]), "x"),
        (ta.define((), x[a]), "y"),  # constant in y
    ],
)
def test_a_map_that_is_not_multilinear_is_refused_with_a_witness(value: ta.Definition, culprit: str) -> None:
    f = MultilinearMap((x, y), value)
    with pytest.raises(NotMultilinear) as caught:
        tensor_product(U, V).factor(f)
    assert caught.value.argument == culprit
    found = caught.value.counterexample
    assert found is not None
    assert found.lhs != found.rhs
    assert f"not shown to be linear in {culprit} (refuted)" in str(caught.value)


def test_the_witness_against_linearity_can_be_recomputed() -> None:
    square = MultilinearMap((x,), ta.define((), x[a] * x[a]))
    with pytest.raises(NotMultilinear) as caught:
        square.check()
    found = caught.value.counterexample
    # the argument is called x, so the vectors of the test are x1 and y
    scale, one, two = (found.tensors[name] for name in ("c", "x1", "y"))
    assert found.lhs == sum((scale * p + q) ** 2 for p, q in zip(one, two, strict=True))
    assert found.rhs == scale * sum(p * p for p in one) + sum(q * q for q in two)
    assert found.lhs != found.rhs


def test_factoring_a_map_of_the_wrong_arity_or_source() -> None:
    with pytest.raises(LegCountMismatch, match="2 arguments, but U @ V @ W is the product of 3 spaces"):
        tensor_product(U, V, W).factor(bilinear)
    with pytest.raises(SpaceMismatch, match=r"argument x of f : U x V -> W is in U, not in V") as caught:
        tensor_product(V, U).factor(bilinear)
    assert caught.value.spaces == (U, V)


def test_composition_and_its_refusal() -> None:
    f, g = LinearMap.generic("f", U, V), LinearMap.generic("g", V, W)
    rng = random.Random(3)
    left, right = integers(rng, 2, 3), integers(rng, 3, 2)
    both = f >> g
    assert isinstance(both, LinearMap)
    assert np.array_equal(both.entries().evaluate(f=left, g=right), left.dot(right))
    with pytest.raises(SpaceMismatch) as caught:
        g >> f
    assert caught.value.spaces == (W, U)
    assert "cannot compose f after g: target(g) is not source(f)" in str(caught.value)


def test_composition_does_not_confuse_arguments_with_constants() -> None:
    # g multiplies by a constant tensor that is called like the argument of f
    f = LinearMap((ta.tensor("x", U),), ta.define((b,), ta.tensor("M", U @ V)[a, b] * x[a], name="f"))
    constant, argument = ta.tensor("x", V), ta.tensor("v", V)
    g = LinearMap((argument,), ta.define((), constant[b] * argument[b], name="g"))
    both = f >> g
    assert both.arguments[0].name == "x1"
    rng = random.Random(4)
    matrix, row = integers(rng, 2, 3), integers(rng, 3)
    assert np.array_equal(both.entries().evaluate(M=matrix, x=row), matrix.dot(row))


def test_the_tensor_product_of_maps_is_the_kronecker_product() -> None:
    f, g = LinearMap.generic("f", U, V), LinearMap.generic("g", W, U)
    rng = random.Random(5)
    left, right = integers(rng, 2, 3), integers(rng, 4, 2)
    entries = (f @ g).entries().evaluate(f=left, g=right)
    assert np.array_equal(entries.reshape(8, 6), np.kron(left, right))


def test_applying_a_map_checks_its_arguments() -> None:
    with pytest.raises(LegCountMismatch, match="takes 2 arguments but got 1"):
        bilinear(x)
    with pytest.raises(SpaceMismatch, match="wants y in V, but x is in U"):
        bilinear(x, x)
    with pytest.raises(InvalidExpression, match="is not a vector"):
        bilinear(x, 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidExpression, match="two arguments of a map have one name"):
        MultilinearMap((x, x), ta.define((), x[a]))
    with pytest.raises(SpaceMismatch, match="is used as"):
        MultilinearMap((ta.tensor("x", V),), ta.define((), x[a]))


def test_substitution_never_captures() -> None:
    matrix, vector = ta.tensor("A", U @ U), ta.tensor("v", U)
    outer = ta.define((a,), matrix[a, a2] * vector[a2])
    # the value's own bound index is called like the outer one
    inner = ta.define((a2,), matrix[a2, a] * vector[a])
    replaced = substitute_tensors(outer, {"v": inner})
    rng = random.Random(6)
    array, column = integers(rng, 3, 3), integers(rng, 3)
    assert np.array_equal(replaced.evaluate(A=array, v=column), array.dot(array.dot(column)))


def test_a_gate_cannot_be_replaced() -> None:
    time = ta.Space("T", "n", ordered=True)
    t, s = time.indices("t s")
    gate = ta.tensor("g", time)
    with pytest.raises(InvalidExpression, match="the gate g"):
        substitute_tensors(ta.define((t, s), ta.decay(gate)[t, s]), {"g": ta.define((t,), gate[t] * gate[t])})


def test_the_entries_of_a_generic_map_are_not_called_like_an_argument() -> None:
    with pytest.raises(InvalidExpression, match="x1 names an argument"):
        generic_multilinear("x1", (U, V), W)
