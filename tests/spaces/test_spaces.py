"""The laws of spaces, indices and dimensions, and what is refused."""

import copy
import math
import pickle

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.errors import InvalidDimension, InvalidExpression, InvalidSize, SpaceMismatch, UnknownSize
from tensoralg.spaces import Fused, Index, Injected, Space, check_sizes, contractible, legs_of

T, D, M = Space("T", "n", ordered=True), Space("D", "d"), Space("M", "m", ordered=True)
BARE = Space("B", "n", metric=None)
ATOMS = st.sampled_from([T, D, M, BARE, ta.Unit])
SPACES = st.recursive(ATOMS, lambda inner: st.builds(lambda v, w: v @ w, inner, inner), max_leaves=5)


@given(SPACES, SPACES)
def test_duals_and_dimensions(v, w):
    assert v.dual.dual == v
    assert (v @ w).dual == v.dual @ w.dual
    assert v >> w == v.dual @ w
    assert sympy.expand((v @ w).dimension - v.dimension * w.dimension) == 0
    assert pickle.loads(pickle.dumps(v @ w)) == v @ w == copy.deepcopy(v @ w)
    assert (v @ w).ordered == (v.ordered and w.ordered)


@given(SPACES, st.integers(0, 5))
def test_powers_are_products(v, k):
    product = ta.Unit if k == 0 else v
    for _ in range(k - 1):
        product = product @ v
    assert v**k == product


@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("k", range(5))
def test_symmetric_and_exterior_powers_count_binomially(n, k):
    v = Space("V", n)
    assert ta.Sym(v, k).dimension == math.comb(n + k - 1, k)
    assert ta.Alt(v, k).dimension == math.comb(n, k)
    symbol = ta.dims("n")
    assert ta.Sym(Space("V", symbol), k).dimension.subs(symbol, n) == math.comb(n + k - 1, k)
    assert ta.Alt(Space("V", symbol), k).dimension.subs(symbol, n) == math.comb(n, k)


def test_brackets_make_one_leg():
    assert legs_of(T @ D @ M) == (T, D, M)
    assert legs_of(T @ (D @ M)) == (T, D @ M)
    assert legs_of(ta.Unit) == legs_of(ta.Unit @ ta.Unit) == ()
    assert legs_of(ta.Unit @ T) == legs_of(T @ ta.Unit) == (T,)
    assert legs_of([T @ D, M]) == (T @ D, M)
    assert (T @ D) @ M == T @ D @ M != T @ (D @ M)
    assert str(T @ (D @ M)) == "T @ (D @ M)"


def test_three_indices_address_a_product_of_three():
    t, f, m = T.index("t"), D.index("f"), M.index("m")
    assert Fused((t, f, m)).space == T @ D @ M
    assert Fused((t, f, m)) == Fused((Fused((t, f)), m)) != Fused((t, Fused((f, m))))
    assert str(Fused((t, f, m))) == "(t,f,m)"
    assert str(Fused((t, Fused((f, m))))) == "(t,(f,m))"
    A = ta.tensor("A", D @ (T @ D @ M))
    assert str(A[f, (t, f, m)]) == "A[f,(t,f,m)]"
    assert ta.tensor("B", [D, D**3])[f, (f, f, f)].free == ("f",)


def test_bare_spaces_contract_only_with_their_dual():
    assert contractible(T, T)
    assert contractible(T, T.dual)
    assert not contractible(BARE, BARE)
    assert contractible(BARE, BARE.dual)
    assert not contractible(T, D)
    assert (T @ BARE).metric is None
    assert (T + M).metric == "euclidean"


def test_the_same_name_is_the_same_dimension():
    n, d = ta.dims("n, d")
    assert ta.dims("n") == n == Space("V", "n").dimension
    assert n != d
    assert Space("V", 3).dimension == Space("V", "3").dimension == Space("V", sympy.Integer(3)).dimension == 3


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ta.dims(3), InvalidDimension, "3 is no string of names"),
        (lambda: ta.dims(""), InvalidDimension, "no name was given"),
        (lambda: ta.dims("n-d"), InvalidDimension, "'n-d' is not a dimension"),
        (lambda: ta.dims("n sum"), InvalidDimension, "'sum' is a word of the language"),
        (lambda: Space("T", 0), InvalidDimension, "cannot have dimension 0"),
        (lambda: Space("T", -2), InvalidDimension, "cannot have dimension -2"),
        (lambda: Space("T", "-2"), InvalidDimension, "cannot have dimension -2"),
        (lambda: Space("T", 2.0), InvalidDimension, "2.0 is not a dimension"),
        (lambda: Space("T", "1.5"), InvalidDimension, "'1.5' is not a dimension"),
        (lambda: Space("T", "9" * 5000), InvalidDimension, "is not a dimension"),
        (lambda: Space("T", True), InvalidDimension, "cannot have dimension True"),
        (lambda: Space("T", None), InvalidDimension, "None is not a dimension"),
        (lambda: Space("T", ta.dims("n") + 1), InvalidDimension, r"n \+ 1 is not a dimension"),
        (lambda: Space("T", sympy.Symbol("n")), InvalidDimension, 'dims\\("n"\\)'),
        (lambda: Space(3, "n"), InvalidDimension, "3 is not a name for a space"),
        (lambda: Space("a b", "n"), InvalidDimension, "'a b' is not a name for a space"),
        (lambda: Space("T", "n", metric="flat"), InvalidDimension, "unknown metric 'flat' of space T"),
        (lambda: T**-1, InvalidDimension, "-1 is not a power"),
        (lambda: T**1.5, InvalidDimension, "1.5 is not a power"),
        (lambda: T ** ta.dims("n"), InvalidDimension, "n is not a power"),
        (lambda: T**10**9, InvalidDimension, "integers from 0 to 100"),
        (lambda: ta.Sym(T, "2"), InvalidDimension, "'2' is not a power"),
        (lambda: ta.Alt("T", 2), SpaceMismatch, "'T' is not a space"),
        (lambda: T @ 3, SpaceMismatch, "3 is not a space"),
        (lambda: "D" + T, SpaceMismatch, "'D' is not a space"),
        (lambda: T >> None, SpaceMismatch, "None is not a space"),
        (lambda: 2 * T, SpaceMismatch, "V @ W"),
        (lambda: T + D, SpaceMismatch, "ordered space T and the unordered space D"),
        (lambda: legs_of("n d"), SpaceMismatch, "'n d' is no space"),
        (lambda: legs_of([T, 3]), SpaceMismatch, "3 is not a space"),
        (lambda: T.indices(""), InvalidExpression, "no name was given for an index over T"),
        (lambda: T.indices(["t"]), InvalidExpression, "is no string of names"),
        (lambda: T.index("1t"), InvalidExpression, "'1t' is not a name for an index"),
        (lambda: Index("t", "n"), InvalidExpression, "'n' is not a space for the index t"),
        (lambda: Injected(D.index("f"), 0, T + M), SpaceMismatch, "0 is T, 1 is M"),
        (lambda: Injected(T.index("t"), 2, T + M), SpaceMismatch, "not in summand 2"),
        (lambda: Injected(T.index("t"), 0, T), SpaceMismatch, "T is no direct sum"),
        (lambda: check_sizes({"n": 0}, {"n"}), InvalidSize, "n = 0 is not a positive integer"),
        (lambda: check_sizes({"n": -1}, {"n"}), InvalidSize, "n = -1"),
        (lambda: check_sizes({"n": 2.5}, {"n"}), InvalidSize, "n = 2.5"),
        (lambda: check_sizes({"n": True}, {"n"}), InvalidSize, "n = True"),
        (lambda: check_sizes(7, {"n"}), InvalidSize, "does not map dimensions to sizes"),
        (lambda: check_sizes({"nn": 1}, {"n"}), UnknownSize, "did you mean 'n'"),
    ],
)
def test_what_is_refused_is_named(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make()
    assert caught.value.remedy


def test_errors_survive_pickling():
    with pytest.raises(UnknownSize) as caught:
        check_sizes({"m": 1}, {"n"})
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.name == "m"


def test_sizes_may_be_given_by_symbol():
    assert check_sizes({ta.dims("n"): 3}, {"n"}) == {"n": 3}
