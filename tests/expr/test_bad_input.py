"""What a newcomer types slightly wrong: the error names the culprit and says what to do."""

import pickle
import random
import warnings

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg import errors
from tensoralg.errors import ParseError, TensoralgError
from tensoralg.expr import substitute

INDICES = {"t,s": "n ordered", "f": "d", "e": "d"}
n, d = ta.dims("n d")
T, D, U = ta.Space("T", n, ordered=True), ta.Space("D", d), ta.Space("U", "m", ordered=True)
N = ta.Space("n", n)
(t, s), (f, g), u = T.indices("t s"), D.indices("f g"), U.index("u")
Q, K = ta.tensors("Q K", T @ D)
x, a, c, b = ta.tensor("x", T), ta.tensor("a", T), ta.tensor("c", ta.Unit), ta.tensor("b", D)


def parse(text, **options):
    return ta.parse(text, **{"indices": INDICES, **options})


O = parse("O[t] = le[s,t]*x[s]")


# spots: the caret stands exactly under '^' in the second line

SPOTS = [
    ("x[t]", "    ^", ParseError, "expected '=' but found the end", "free="),
    ("O = x[t]", "  ^", ParseError, "expected '['", "O[] = ... for a scalar"),
    ("O[t] =", "      ^", ParseError, "found the end", "a factor is"),
    ("O[t] == x[t]", "      ^", ParseError, "found '='", ""),
    ("O[t] = x[t", "          ^", ParseError, "expected ',' or ']'", ""),
    ("O[t] = (x[t]", "            ^", ParseError, "expected ')'", ""),
    ("O[t] = x[t])", "           ^", ParseError, "unexpected ')'", "remove it, or open"),
    ("O[t] = x[t] y[t]", "            ^", ParseError, "unexpected 'y'", "needs '*'"),
    ("O[t] = 2x[t]", "        ^", ParseError, "unexpected 'x'", "needs '*'"),
    ("O[t] = 2.5*x[t]", "        ^", ParseError, "unexpected character '.'", "write 5/2"),
    ("O[t] = x[t]^2", "           ^", ParseError, "unexpected character '^'", "pow(x[i], 2)"),
    ("O[t] = x[t]**2", "            ^", ParseError, "found '*'", "pow(x[i], 2)"),
    ("O[t] =\tx[t]*$", "            ^", ParseError, "unexpected character '$'", "ASCII"),
    ("O[t] = x[t] − y[t]", "            ^", ParseError, "unexpected character '−'", "minus"),
    ("O[t] = x[t] <= y[t]", "            ^", ParseError, "unexpected character '<'", "le[s,t]"),
    ("O[t] = ä[t]", "       ^", ParseError, "unexpected character 'ä'", "ASCII"),
    ("O[t] = sin(x[t])", "          ^", ParseError, "unexpected '('", "functions are exp, log"),
    ("O[t] = Q(t,f)", "        ^", ParseError, "unexpected '('", "Q[i]"),
    ("O[t] = exp[t]", "          ^", ParseError, "expected '(' after exp", "exp(x[i])"),
    ("O[t] = sum(A[t,s])", "            ^", ParseError, "expected ',' or ':'", "sum(i: A[i,j])"),
    ("O[t] = pow(x[t], n)", "                 ^", ParseError, "expected an integer exponent", ""),
    ("O[t] = pow(x[t], 9999)", "       ^", errors.InvalidExpression, "exponent 9999", "smaller power"),
    ("O[t] = x", "       ^", ParseError, "x is no dimension here", "x[] for a scalar"),
    ("O[t] = t*x[t]", "       ^", ParseError, "t is an index here", "t[]"),
    ("O[t] = x[u]", "         ^", errors.UnknownName, "index u is not declared", "u: n; known: e, f, s, t"),
    ("O[tt] = x[t]", "  ^", errors.UnknownName, "index tt is not declared", "did you mean 't'"),
    ("O[t] = x[0]", "         ^", ParseError, "expected an index but found '0'", "indices are names"),
    ("O[t] = x[()]", "         ^", ParseError, "a bracketed index names its parts", "A[(h,e)]"),
    ("O[t] = Q[t,f]*Q[f,t]", "              ^", errors.SpaceMismatch, "leg 0 of tensor Q[n, d]", "index over n"),
    ("O[t] = Q[t,f]*Q[t]", "              ^", errors.LegCountMismatch, "tensor Q has 2 legs (n d)", "each leg"),
    ("O[t] = le[t,f]*x[t]", "       ^", errors.SpaceMismatch, "index t over n to index f over d", "one space"),
    ("O[t] = le*x[t]", "       ^", ParseError, "le takes indices", "le[t,s]"),
    ("O[t] = near[s,t]*x[s]", "               ^", ParseError, "a width", ""),
    ("O[t] = near[s,t,0]*x[s]", "       ^", errors.InvalidExpression, "the width 0", "integer >= 1"),
    ("O[t] = near[s,t,x[t]]*x[s]", "       ^", errors.InvalidExpression, "the width x[t]", "a dimension"),
    ("O[t] = decay(a)[t]*x[t]", "       ^", ParseError, "decay takes two times", "decay(a)[t,s]"),
    ("O[t] = decay(a)[-,t]", "       ^", errors.InvalidExpression, "wrong end", "decay(a)[+,s]"),
    ("O[] = decay(a)[+,-]", "      ^", ParseError, "the gate a are not known", "tensors"),
    ("O[t] = decay(b)[t,s,-]", "                    ^", ParseError, "an index but found '-'", "only the two times"),
    ("O[t] = decay(a[t])[t,s]", "              ^", ParseError, "expected ')'", "write decay(a)[t,s]"),
    ("O[t] = decay(a)", "               ^", ParseError, "'[' with the two times", "write decay(a)[t,s]"),
    ("O[t] = max(x[t])", "       ^", ParseError, "max takes two or more terms but got 1", "max(x[i], y[i])"),
    ("O[t] = 1 + min()", "           ^", ParseError, "min takes two or more terms but got 0", "min(x[i], y[i])"),
    ("O[t] = max(x[t],)", "                ^", ParseError, "expected a factor but found ')'", ""),
    ("O[t] = max(x[t] 1)", "                ^", ParseError, "expected ',' or ')'", "max(x[i], y[i])"),
    ("O[t] = max(s: x[s])", "            ^", ParseError, "found ':'", "does not run over an index"),
    ("O[t] = max[x[t],1]", "            ^", ParseError, "expected ',' or ']'", "max(x[i], y[i])"),
    ("O[t] = max(x[t],K)", "                ^", ParseError, "K is no dimension here", "K[]"),
    ("O[t,t] = x[t]", "^", errors.InvalidExpression, "named twice in t,t", "name it once"),
    ("sum[t] = x[t]", "^", ParseError, "sum cannot name a tensor", "another name"),
    ("O[t] = x[t]; O[t] = x[t]", "             ^", errors.FactConflict, "O is defined twice", "another name"),
    ("P[t] = O[t]; O[t] = x[t]", "             ^", errors.FactConflict, "after it was used", "front"),
    ("G[t] = x[t]; O[t] = decay(G)[t,-]", "                    ^", ParseError, "the gate G is defined", "of its own"),
    ("O[t] = 1/0", "         ^", errors.InvalidExpression, "division by zero", "not the number 0"),
    ("O[t] = 1 - - x[t]", "           ^", ParseError, "found '-'", ""),
]


@pytest.mark.parametrize(("text", "caret", "kind", "what", "remedy"), SPOTS)
def test_the_caret_stands_under_the_spot(text, caret, kind, what, remedy):
    with pytest.raises(kind) as caught:
        parse(text)
    first, line, pointer, *rest = str(caught.value).split("\n")
    assert what in first
    assert line == "  " + text.expandtabs(1)
    assert pointer == "  " + caret
    assert remedy in "\n".join(rest)
    if kind is ParseError:
        assert caught.value.position == caret.index("^")
        assert caught.value.text == text.expandtabs(1)


def test_the_line_of_the_spot_is_shown():
    with pytest.raises(ParseError) as caught:
        parse("A[t] = x[t]\r\nB[t] = A[t] +\r\nC[t] = x[t]")
    assert caught.value.text == "B[t] = A[t] + "
    assert caught.value.position == 13


def test_a_long_line_is_shown_around_the_spot():
    with pytest.raises(ParseError) as caught:
        parse("O[t] = " + "x[t] + " * 3000 + "$ + x[t]")
    _, line, pointer, *_ = str(caught.value).split("\n")
    assert line[pointer.index("^")] == "$"
    assert len(line) < 200


@pytest.mark.parametrize("text", ["", "  \n\t # nothing\n", ";;"])
def test_empty_text(text):
    for free in (None, "t"):
        with pytest.raises(ParseError, match="there is no"):
            parse(text, free=free)


@pytest.mark.parametrize(
    "text",
    [
        "O[t] = " + "(" * 5000 + "x[t]" + ")" * 5000,
        "O[t] = " + "(" * 5000,
        "O[t] = " + "exp(1+" * 90 + "x[t]" + ")" * 90,
        "O[t] = x[" + "(t," * 3000 + "t" + ")" * 3000 + "]",
        "O[t] = x[(" + "t," * 3000 + "t)]",
        "O[t] = " + "9" * 5000,
        "O[t] = " + "*".join(["9" * 900] * 10),
        "O[t] = pow(" + "9" * 900 + ",900)",
        "O[t] = pow(pow(x[t],900),900)",
    ],
)
def test_too_deep_and_too_large(text):
    with pytest.raises((ParseError, errors.InvalidExpression)) as caught:
        parse(text)
    assert len(str(caught.value)) < 20_000
    assert caught.value.remedy


def test_deep_expressions_are_refused_before_anything_recurses():
    deepest = x[t]
    for _ in range(126):
        deepest = ta.relu(deepest)
    closed = ta.define((t,), deepest)
    assert closed.evaluate(x=[1, -2]).tolist() == [1, 0]
    assert str(closed)
    assert ta.latex(closed)
    assert substitute(deepest, {t: s}).free == ("s",)
    assert pickle.loads(pickle.dumps(closed)) is closed
    with pytest.raises(errors.InvalidExpression, match="nested more than 128 deep") as caught:
        ta.relu(ta.relu(deepest))
    assert caught.value.depth == 129
    shallow = x[t]
    for _ in range(60):
        shallow = ta.relu(shallow) + 1
    assert ta.define((t,), shallow).evaluate(x=[1, 2]).tolist() == [61, 62]
    assert parse(str(shallow), free="t").free == ("t",)


@pytest.mark.parametrize(
    ("text", "options", "remedy"),
    [
        ("O[t] = sum(s: x[s]", {}, "every '(' needs its ')'"),
        ("O[t] = x[t*x[t]", {}, "separated by commas, as in A[i,j]"),
        ("Q[t,f]*K[s,f]", {}, "free indices: free= (--free in the shell)"),
        ("Q[t,f]*K[s,f]", {"free": "ts"}, "separate the names by commas: t,s"),
        ("O[t,s] = A[t,s]", {"tensors": {"A": "n n symm"}}, "if symm is a fact and no leg, write sym"),
    ],
)
def test_what_to_do_is_said(text, options, remedy):
    with pytest.raises(TensoralgError) as caught:
        parse(text, **options)
    assert remedy in str(caught.value)


def test_brackets_and_objects_in_python():
    with pytest.raises(errors.InvalidExpression, match=r"le is written with square brackets\n.*write le\[t, s\]"):
        ta.le(t, s)
    with pytest.raises(errors.InvalidExpression, match=r"argument of einsum is a Tensor, and no string\n"):
        ta.einsum(Q, "tf->ft")
    with pytest.raises(errors.InvalidExpression, match=r"type Tensor is no side of a claim\n.*as in Q\[i, j\]"):
        ta.prove(Q, Q)


TABLES = [
    ({"indices": 5}, errors.InvalidExpression, "5 does not declare indices"),
    (
        {"indices": {"t": 1.5}},
        errors.InvalidExpression,
        "the indices give t as 1.5, where the dimension should",
    ),
    ({"indices": {3: "n"}}, errors.InvalidExpression, "3 is no name in the indices"),
    ({"indices": {"t": T}}, errors.InvalidExpression, "the indices give t as "),
    (
        {"tensors": {"x": ta.tensor("x", N @ N, symmetric=True)}},
        errors.InvalidExpression,
        "give x as a Tensor, where",
    ),
    ({"tensors": {"x": ta.tensor("x", N @ N, symmetric=True)}}, errors.InvalidExpression, 'write {"x": "n n sym"}'),
    ({"tensors": {"x": ta.tensor("x", T @ T)}}, errors.InvalidExpression, 'write {"x": "n d"}'),
    ({"tensors": {"x": ["n", "m"]}}, errors.InvalidExpression, 'write {"x": "n m"}'),
    ({"indices": "t"}, ParseError, "expected ':' in the indices"),
    ({"indices": "t: n, s: n"}, ParseError, "separate entries by ';'"),
    ({"indices": "t: n, s"}, ParseError, "separate entries by ';'"),
    ({"indices": "t: n order"}, ParseError, "'ordered' if it is"),
    ({"indices": "t: n; t: d"}, errors.IndexConflict, "t is declared twice in the indices: 'n' and 'd'"),
    ({"indices": {"t,s": "n", "s": "d"}}, errors.IndexConflict, "s is declared twice"),
    ({"indices": "t: 0"}, errors.InvalidDimension, "index t has the dimension '0'"),
    ({"indices": "t: -3"}, errors.InvalidDimension, "index t has the dimension '-3'"),
    ({"indices": "t: 2.5"}, errors.InvalidDimension, "index t has the dimension '2.5'"),
    ({"indices": "t: d*2"}, errors.InvalidDimension, "index t has the dimension 'd*2'"),
    ({"indices": "t:"}, ParseError, "index t has the dimension ''"),
    ({"indices": ": n"}, ParseError, "expected a name in the indices"),
    ({"indices": "t: ordered"}, errors.InvalidDimension, "give the dimension first"),
    ({"indices": "t: sum"}, errors.InvalidDimension, "'sum' is a word of the language"),
    ({"indices": "1t: n"}, errors.InvalidExpression, "'1t' is not a name for an index"),
    ({"indices": {}}, errors.UnknownName, "index t is not declared"),
    ({"tensors": {"x": "n d"}}, errors.LegCountMismatch, "tensor x has 2 legs (n d) but got 1 index"),
    ({"tensors": {"x": "d"}}, errors.SpaceMismatch, "leg 0 of tensor x[d]"),
    ({"tensors": {"x": "n,d"}}, errors.InvalidDimension, "a leg of tensor x has the dimension 'n,d'"),
    (
        {"tensors": {"x": ["n"]}},
        errors.InvalidExpression,
        "the tensors give x as ['n'], where the",
    ),
    ({"tensors": {"x": "n ordered"}}, errors.InvalidDimension, "declare the order with an index"),
    ({"tensors": {"x": "n sym"}}, errors.FactConflict, "two or more legs"),
    ({"tensors": {"O": "d"}}, errors.FactConflict, "O is declared with the legs d but defined with n"),
    ({"tensors": 3}, errors.InvalidExpression, "3 does not declare tensors"),
    ({"symmetry": {"x": "symmetric"}}, errors.FactConflict, "unknown symmetry 'symmetric' of tensor x"),
    ({"symmetry": {"x": ()}}, errors.FactConflict, "unknown symmetry"),
    ({"symmetry": {"x": 3}}, errors.FactConflict, "unknown symmetry 3 of tensor x"),
    ({"symmetry": {"x": ("sym", 3)}}, errors.FactConflict, "the symmetry of x: 3 is no group of legs"),
    ({"symmetry": {"x": ("sym", (1, 2))}}, errors.FactConflict, "two or more legs of x"),
    ({"symmetry": ["x"]}, errors.FactConflict, "declares no symmetry"),
    ({"free": 5}, errors.InvalidExpression, "5 does not name free indices"),
    ({"free": (t,)}, errors.InvalidExpression, "write its name"),
    ({"free": "t"}, ParseError, "unexpected '='"),
]


@pytest.mark.parametrize(("options", "kind", "what"), TABLES)
def test_tables(options, kind, what):
    with pytest.raises(kind) as caught:
        parse("O[t] = x[t]", **options)
    assert what in str(caught.value)
    assert caught.value.remedy


def test_sides():
    for free, kind, what in [
        ("u", errors.UnknownName, "the free index u is not declared"),
        ("t,t", errors.InvalidExpression, "named twice"),
    ]:
        with pytest.raises(kind, match=what):
            parse("x[t]", free=free)
    with pytest.raises(errors.SpaceMismatch, match="legs \\(0, 1\\): n is not d"):
        parse("Q[t,f]", free="t,f", symmetry={"Q": "sym"})
    with pytest.raises(errors.FactConflict, match="symmetric and antisymmetric"):
        parse("A[t,s]", free="t,s", tensors={"A": "n n sym"}, symmetry={"A": "antisym"})


VALUES = [
    (lambda: Q[t], errors.LegCountMismatch, "tensor Q[T, D] has 2 legs but got 1 index"),
    (lambda: Q["t", "f"], errors.InvalidExpression, "'t' is not an index"),
    (lambda: Q[0, 1], errors.InvalidExpression, "0 is not an index"),
    (lambda: Q[:, f], errors.InvalidExpression, "is not an index"),
    (lambda: Q[[t, f]], errors.InvalidExpression, "is not an index"),
    (lambda: Q[f, t], errors.SpaceMismatch, "leg 0 of tensor Q[T, D] is over T (dimension n), but index f is over D"),
    (lambda: Q * K, errors.LegCountMismatch, "one index for each of T, D"),
    (lambda: Q @ K, errors.InvalidExpression, "ta.einsum"),
    (lambda: 0.5 * x[t], errors.InvalidExpression, 'Fraction("0.5")'),
    (lambda: x[t] * float("nan"), errors.InvalidExpression, "nan cannot be a term"),
    (lambda: x[t] * np.float64(0.1), errors.InvalidExpression, 'Fraction("0.1")'),
    (lambda: x[t] + "n", errors.InvalidExpression, "make dimensions with dims"),
    (lambda: x[t] * t, errors.InvalidExpression, "the index t cannot be a term"),
    (lambda: T * x[t], errors.SpaceMismatch, "means nothing"),
    (lambda: x[t] * T, errors.InvalidExpression, "V.dimension"),
    (lambda: x[t] * None, errors.InvalidExpression, "None cannot be a term"),
    (lambda: np.array([1, 2]) * x[t], errors.InvalidExpression, "array([1, 2]) cannot be a term"),
    (lambda: x[t] * sympy.Symbol("z"), errors.InvalidExpression, "z is not a rational function of dimensions"),
    (lambda: x[t] * sympy.nan, errors.InvalidExpression, "nan is not"),
    (lambda: 2 ** x[t], errors.InvalidExpression, "ta.exp"),
    (lambda: x[t] ** 0.5, errors.InvalidExpression, "use sqrt"),
    (lambda: x[t] ** n, errors.InvalidExpression, "n is not an integer exponent"),
    (lambda: x[t] / 0, errors.InvalidExpression, "division by zero"),
    (lambda: ta.exp("x"), errors.InvalidExpression, "'x' cannot be a term"),
    (lambda: ta.le[f, g], errors.UnorderedSpace, 'Space("D", "d", ordered=True)'),
    (lambda: ta.lt[(t, f), (s, g)], errors.UnorderedSpace, "declare every space in T @ D ordered"),
    (lambda: ta.near[f, g, n], errors.UnorderedSpace, "the space D has none"),
    (lambda: ta.decay(b)[f, g], errors.UnorderedSpace, "the space D has none"),
    (lambda: ta.le[t, f], errors.SpaceMismatch, "both indices must be over one space"),
    (lambda: ta.le[t], errors.InvalidExpression, "le takes two indices"),
    (lambda: ta.le["t", "s"], errors.InvalidExpression, "'t' is not an index"),
    (lambda: ta.near[t, s], errors.InvalidExpression, "two indices and a width"),
    (lambda: ta.near[t, s, -1], errors.InvalidExpression, "the width -1"),
    (lambda: ta.near[t, s, 1.5], errors.InvalidExpression, "1.5"),
    (lambda: ta.decay("a"), errors.InvalidExpression, "the gate a is not a tensor"),
    (lambda: ta.decay(a[t]), errors.InvalidExpression, "without indices"),
    (lambda: ta.decay(a)[t], errors.InvalidExpression, "decay(a) takes two times"),
    (lambda: ta.decay(a)["t", s], errors.InvalidExpression, "'t' is not an index"),
    (lambda: ta.decay(a)[t, s, f], errors.LegCountMismatch, "takes two times and 0 more"),
    (lambda: ta.decay(a)[t, u], errors.SpaceMismatch, "runs over T and over U"),
    (lambda: ta.decay(c)[t, u], errors.SpaceMismatch, "runs over T and over U"),
    (lambda: ta.decay(c)["+", "-"], errors.InvalidExpression, "over which time"),
    (lambda: ta.decay(ta.tensor("A", T @ D @ T))[t, s, f, t], errors.SpaceMismatch, "not square"),
    (lambda: x[t].sum(), errors.InvalidExpression, "names no index"),
    (lambda: x[t].sum("s"), errors.UnknownName, "no free index 's' in x[t]"),
    (lambda: x[t].sum(["t"]), errors.InvalidExpression, "['t'] is not an index"),
    (lambda: x[t].sum(t, t), errors.IndexConflict, "twice"),
    (lambda: x[t].sum(D.index("t")), errors.IndexConflict, "sum over t in D"),
    (lambda: x[t] * b[D.index("t")], errors.IndexConflict, "t is used over T (dimension n) and over D (dimension d)"),
    (lambda: ta.softmax(x[t], over="s"), errors.UnknownName, "no free index 's'"),
    (lambda: ta.softmax(x[t], over=T), errors.InvalidExpression, "is not an index"),
    (lambda: ta.tensor("sum", T), errors.InvalidExpression, "it is a word of the language"),
    (lambda: ta.tensor("Q K", T), errors.InvalidExpression, "not an identifier"),
    (lambda: ta.tensor(3, T), errors.InvalidExpression, "3 cannot name a tensor"),
    (lambda: ta.tensor("Q", "n d"), errors.SpaceMismatch, "'n d' is no space"),
    (lambda: ta.tensor("Q", n), errors.SpaceMismatch, "n is no space"),
    (lambda: ta.tensors(["Q"], T), errors.InvalidExpression, "in one string"),
    (lambda: ta.define("t", x[t]), errors.InvalidExpression, "'t' is not an index"),
    (lambda: ta.define(x[t], (t,)), errors.InvalidExpression, "is not an index"),
    (lambda: ta.define((t, t), x[t]), errors.IndexConflict, "names two legs of out"),
    (lambda: ta.define((t,), x[t], name="my name"), errors.InvalidExpression, "'my name' cannot name"),
    (lambda: ta.define((D.index("t"),), x[t]), errors.IndexConflict, "index t over T is free"),
    (lambda: O[t, s], errors.LegCountMismatch, "O has 1 leg but got 2 indices"),
    (lambda: O[f], errors.SpaceMismatch, "leg t of O is over n, but index f is over D"),
    (lambda: list(O), errors.InvalidExpression, "0 is not an index"),
    (lambda: ta.einsum("tf,sf->ts", Q), errors.LegCountMismatch, "names 2 operands but got 1"),
    (lambda: ta.einsum("tf,sf->ts", Q, np.ones(3)), errors.InvalidExpression, "no operand of an einsum"),
    (lambda: ta.einsum(Q, K), errors.InvalidExpression, "the string comes first"),
    (lambda: ta.einsum("tf,fs->ts", Q, K), errors.SpaceMismatch, "index f in 'tf,fs->ts' is over D and, in K, over T"),
    (lambda: ta.einsum("tf,sf->tz", Q, K), errors.InvalidExpression, "output index 'z'"),
    (lambda: ta.einsum("tfg,sf->ts", Q, K), errors.LegCountMismatch, "Q has 2 legs"),
    (lambda: ta.einsum("...f,sf->s", Q, K), errors.InvalidExpression, "lacks the ellipsis"),
    (lambda: ta.einsum("......->", Q), errors.LegCountMismatch, "one ellipsis"),
    (lambda: substitute(x[t], {"t": s}), errors.InvalidExpression, "'t' is not an index"),
    (lambda: substitute(x[t], {t: f}), errors.SpaceMismatch, "index f is over D"),
    (lambda: ta.parse(None), errors.InvalidExpression, "None is no text"),
    (lambda: ta.parse(b"O[t] = 1"), errors.InvalidExpression, "is no text"),
    (lambda: O.evaluate(x=[[1, 2], [3]]), errors.ShapeMismatch, "ragged: x[1] has 1 entry"),
    (lambda: O.evaluate(x=[1, [2]]), errors.ShapeMismatch, "ragged: x[1]"),
    (lambda: O.evaluate(x=[[1, 2]]), errors.ShapeMismatch, "has 1 leg but its array has shape (1, 2)"),
    (lambda: O.evaluate(x=3), errors.ShapeMismatch, "one axis for each of n"),
    (lambda: O.evaluate(x=[]), errors.InvalidSize, "has size 0"),
    (lambda: O.evaluate(x=[1, float("nan")]), errors.EvaluationError, "the array for x holds nan"),
    (lambda: O.evaluate(x="abc"), errors.EvaluationError, "holds 'abc'"),
    (lambda: O.evaluate(x=None), errors.EvaluationError, "holds None"),
    (lambda: O.evaluate(y=[1]), errors.UnknownName, "no tensor 'y'"),
    (lambda: O.evaluate(), errors.UnknownName, "pass x=..."),
    (lambda: O.evaluate(n=3, x=[1]), errors.UnknownName, "sizes come first, as in evaluate({'n': 4}, ...)"),
    (lambda: O.evaluate({"n": 4}, x=[1, 2]), errors.ShapeMismatch, "n is 2 in the array for x but 4"),
    (lambda: O.evaluate({"n": 0}, x=[1]), errors.InvalidSize, "n = 0 is not a positive integer"),
    (lambda: O.evaluate({"d": 1}, x=[1]), errors.UnknownSize, "'d', which is no dimension here"),
    (lambda: O.evaluate(3, x=[1]), errors.InvalidSize, "does not map"),
    (lambda: parse("O[] = sum(t: n)").evaluate(), errors.MissingSize, "no size for dimension n"),
    (lambda: parse("O[t] = 1/x[t]").evaluate(x=[0]), errors.EvaluationError, "denominator is zero"),
    (lambda: parse("O[t] = log(x[t])").evaluate(x=[0]), errors.EvaluationError, "log of a number"),
    (lambda: parse("O[t] = sqrt(x[t])").evaluate(x=[-1]), errors.EvaluationError, "sqrt of a number"),
]


@pytest.mark.parametrize(("make", "kind", "what"), VALUES)
def test_values(make, kind, what):
    with pytest.raises(kind) as caught:
        make()
    assert what in str(caught.value)
    assert caught.value.remedy


def test_errors_carry_their_facts():
    with pytest.raises(errors.SpaceMismatch) as caught:
        Q[f, t]
    assert (caught.value.tensor, caught.value.index, caught.value.spaces) == ("Q", "f", (T, D))
    with pytest.raises(errors.IndexConflict) as caught:
        x[t] * b[D.index("t")]
    assert (caught.value.index, caught.value.spaces) == ("t", (T, D))
    with pytest.raises(errors.UnorderedSpace) as caught:
        ta.le[f, g]
    assert caught.value.space == D
    with pytest.raises(errors.UnknownName) as caught:
        parse("O[t] = x[u]")
    assert caught.value.name == "u"
    with pytest.raises(errors.ShapeMismatch) as caught:
        O.evaluate(x=[[1]])
    assert (caught.value.tensor, caught.value.shape) == ("x", (1, 1))


PIECES = [
    *"[](),:;=+-*/ \n\t#^.9_",
    "x",
    "t",
    "s",
    "f",
    "Q",
    "sum",
    "le",
    "exp",
    "pow",
    "softmax",
    "near",
    "decay",
    "max",
    "n",
]
TEXTS = [
    "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]/n - 1/2*sum(s: exp(x[s]))",
    "O[t] = softmax(s: sum(f: Q[t,f]*K[s,f]))*pow(x[s],2) + near[s,t,3]*c[]",
    "C[t] = decay(a)[t,s]*x[s]; O[t] = C[t]*decay(b)[+,t,f]",
    "indices r: m\nO[t] = A[(t,f),r]",
    "O[t] = max(x[t],min(Q[t,f],0,1/2))*max[]",
]


@settings(max_examples=400)
@given(st.integers(0, 10**9))
def test_garbled_texts_raise_only_clear_errors(seed):
    source = random.Random(seed)
    text = source.choice(TEXTS)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(text) + 1)
        text = text[:at] + source.choice(["", *PIECES]) + text[at + source.randint(0, 2) :]
    options = source.choice([{}, {"free": "t"}, {"tensors": text[: source.randrange(9)]}, {"indices": text}])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            again = parse(text, **options)
        except TensoralgError as error:
            assert error.what  # noqa: PT017
        else:
            assert parse(str(again), **ta.declarations(again)) is again
