"""The text form: reading, printing, scoping, and the rule of the implicit sum."""

import random
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from strategies import D, T, claim, kinds, rewrite
from tensoralg.errors import ImplicitSumWarning, NotAnEinsum, ShadowedIndex
from tensoralg.expr.nodes import Bind, Delta, Entry, Mask, Number, Pow, Size, as_expr, bind, mul, power
from tensoralg.expr.text import unshadowed
from tensoralg.spaces import Index, Space

INDICES = {"t,s,r": "n ordered", "f,g,e": "d", "i,j,k": "m"}
NAMED = {T: Space("n", "n", ordered=True), D: Space("d", "d")}
SEEDS = st.integers(0, 10**9)


def parse(text, **options):
    return ta.parse(text, **{"indices": INDICES, **options})


def renamed_index(index):
    return Index(index.name, NAMED[index.space])


def renamed_spaces(expr):
    """Return an expression of the strategies over spaces that are named like their dimension."""
    terms = tuple(map(renamed_index, expr.index_terms()))
    if isinstance(expr, Entry):
        symbol = expr.tensor
        facts = {fact: groups for fact, groups in symbol.facts.items() if fact in ("symmetric", "antisymmetric")}
        return ta.tensor(symbol.name, [NAMED[leg] for leg in symbol.legs], **facts)[terms]
    if isinstance(expr, Mask | Delta):
        return Delta(*terms) if expr.kind == "delta" else Mask(expr.strict, *terms)
    children = tuple(map(renamed_spaces, expr.children()))
    if isinstance(expr, Bind):
        return Bind(tuple(map(renamed_index, expr.indices)), *children)
    if isinstance(expr, ta.Definition):
        return ta.Definition(tuple(map(renamed_index, expr.legs)), *children, expr.name)
    return expr.with_children(children)


@settings(max_examples=300)
@given(SEEDS, st.booleans(), st.integers(0, 4))
def test_the_text_of_an_expression_parses_to_it(seed, functions, steps):
    source = random.Random(seed)
    expr = renamed_spaces(rewrite(source, claim(source, functions, depth=3), steps))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = parse(str(expr), **ta.declarations(expr))
    # the text form has one space for a name: sums that share a name over two spaces are renamed
    assert again is unshadowed(expr)
    assert str(again) == str(expr)
    body = ta.parse(str(again.body), free=expr.free, **ta.declarations(again))
    assert body.body is again.body


def test_the_random_expressions_hold_every_kind_of_node():
    found = sum((kinds(claim(random.Random(seed), True, 3)) for seed in range(100)), start=kinds(as_expr(1)))
    for kind in ("entry", "mask", "delta", "size", "number", "add", "mul", "pow", "apply", "bind"):
        assert found[kind] > 20, kind


@pytest.mark.parametrize(
    "text",
    [
        "O[t] = near[s,t,d]*x[s]",
        "O[t] = near[s,t,2*d + 1]*x[s]",
        "O[t] = decay(a)[t,s]*decay(b)[+,s,f]*decay(A)[t,-,f,g]*x[s]",
        "O[] = sum(t: 1)",
        "O[] = -3/2",
        "O[t] = 0*x[t]",
        "O[t] = 1/x[t] - 1/pow(x[t],2) + 1/(x[t]*y[t]) + 1/(1/x[t])",
        "O[t] = x[t]/y[t]/x[t]",
        "O[t] = -(x[t] + y[t])",
        "O[t] = -(x[t] - y[t])*2/3",
        "O[t] = x[t] - (x[t] - y[t])",
        "O[t] = pow(x[t] + 1,3)*pow(-2*x[t],2)",
        "O[t] = exp(-x[t])/sum(s: exp(-x[s]))*sqrt(n)*log(2)*relu(-1/2)",
        "O[t,f] = A[t,(f,s),((r,e),g)]*delta[(t,f),(s,g)]",
        "O[t] = x[t]*c[]",
    ],
)
def test_texts_that_the_strategies_do_not_reach(text):
    expr = parse(text)
    again = parse(str(expr), **ta.declarations(expr))
    assert again is expr


@pytest.mark.parametrize("outer", [-3, -2, -1, 2, 3])
@pytest.mark.parametrize("inner", [-3, -2, -1, 2, 3])
def test_powers_of_powers_print_back(inner, outer):
    x = Space("n", "n").index("t")
    entry = ta.tensor("x", [x.space])[x]
    expr = ta.define((x,), power(power(entry, inner), outer))
    assert parse(str(expr), **ta.declarations(expr)) is expr
    # a reciprocal of a reciprocal stays: it is undefined where x is 0
    assert isinstance(expr.body, Pow)
    assert (inner < 0 and outer < 0) == isinstance(expr.body.base, Pow)


def test_declarations_carry_every_symmetry():
    symmetry = {"B": ("sym", (1, 2)), "C": [("sym", (0, 1)), ("antisym", (2, 3))], "A": "antisym"}
    text = "O[t] = A[t,s]*B[i,t,s]*C[t,s,f,g]"
    expr = parse(text, symmetry=symmetry, tensors={"x": "d", "A": "n n"})
    assert parse(str(expr), **ta.declarations(expr)) is expr
    legs = {symbol.name: symbol for symbol in (node.tensor for node in expr.body.summand.factors)}
    assert legs["B"].symmetric == ((1, 2),)
    assert (legs["C"].symmetric, legs["C"].antisymmetric) == (((0, 1),), ((2, 3),))
    assert parse("A[t,s]", free="t,s", tensors="A: n n sym").body.tensor.symmetric == ((0, 1),)


# the implicit sum: the table of the rule, word for word


def rule(text, explicit, free, warns=False):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        left = parse(text, free=free)
    assert [w.category for w in caught] == [ImplicitSumWarning] * warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert left is parse(explicit, free=free)
    return caught


def test_exponential_of_a_product_sums_outside():
    caught = rule("exp(Q[t,f]*K[s,f])", "sum(f: exp(Q[t,f]*K[s,f]))", "t,s", warns=True)
    assert "sum(f: exp(Q[t,f]*K[s,f]))" in str(caught[0].message)
    assert str(caught[0].message).startswith("f occurs only")
    assert caught[0].filename == __file__
    dot = parse("exp(sum(f: Q[t,f]*K[s,f]))", free="t,s")
    assert dot.body.kind == "apply"


def test_a_bracket_is_one_term():
    rule("(A[t,s]*V[s,e] + B[t,e])", "sum(s: A[t,s]*V[s,e] + B[t,e])", "t,e")
    rule("A[t,s]*V[s,e] + B[t,e]", "sum(s: A[t,s]*V[s,e]) + B[t,e]", "t,e")
    rule("x[t] - (A[t,s]*V[s,e] + B[t,e])", "x[t] - sum(s: A[t,s]*V[s,e] + B[t,e])", "t,e")
    assert ta.prove(parse("(A[t,s]*V[s,e] + B[t,e])", free="t,e"), parse("A[t,s]*V[s,e] + n*B[t,e]", free="t,e"))


def test_a_quotient_is_summed_whole():
    rule("A[t,s]/B[s]", "sum(s: A[t,s]/B[s])", "t")


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("A[t,s]*x[s]", False),
        ("le[s,t]*exp(A[t,s])", False),
        ("exp(A[t,s])", True),
        ("x[t]/y[s]", True),
        ("1/(x[t] + y[s])", True),
        ("pow(A[t,s],2)", True),
        ("softmax(s: A[t,s])*y[s]", False),
        ("softmax(s: A[t,s])", True),
        ("softmax(s: Q[t,f]*K[s,f])*y[s]", True),
        ("exp(x[t])", False),
        ("exp(sum(s: A[t,s]))", False),
        ("sum(s: exp(A[t,s]))", False),
        ("x[t] + exp(y[s])", True),
    ],
)
def test_the_warning_comes_where_it_is_demanded_and_only_there(text, warns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parse(text, free="t")
    assert [w.category for w in caught] == [ImplicitSumWarning] * warns


def test_an_index_counts_once_however_often_it_occurs():
    rule("A[s,s]*x[s]*y[s]", "sum(s: A[s,s]*x[s]*y[s])", ())
    assert parse("sum(s: 1)", free="t").evaluate({"n": 4}).tolist() == [4] * 4
    assert parse("x[s]", free="t").evaluate(x=[1, 2, 3]).tolist() == [6, 6, 6]


# scoping


@pytest.mark.parametrize(
    ("text", "free", "position", "index"),
    [
        ("x[t] + sum(t: y[t])", "t", 11, "t"),
        ("sum(s: A[t,s]*sum(s: x[s]))", "t", 18, "s"),
        ("x[s]*sum(s: x[s])", "t", 9, "s"),
        ("softmax(s: sum(s: A[t,s]))*x[s]", "t", 15, "s"),
        ("exp(x[t]*sum(f,t: Q[t,f]))", "t", 15, "t"),
    ],
)
def test_a_shadowed_index_is_an_error(text, free, position, index):
    with pytest.raises(ShadowedIndex) as caught:
        parse(text, free=free)
    assert caught.value.index == index
    *_, line, caret, remedy = str(caught.value).split("\n")
    assert line == "  " + text
    assert caret == "  " + " " * position + "^"
    assert "rename" in remedy


def test_siblings_over_two_spaces_get_two_names():
    n, d = Space("n", "n"), Space("d", "d")
    both = as_expr(1).sum(n.index("k")) * as_expr(1).sum(d.index("k"))
    assert str(both) == "sum(k: 1)*sum(k1: 1)"
    assert ta.parse(str(both), free=(), **ta.declarations(both)).evaluate({"n": 2, "d": 5}) == 10


def test_siblings_may_reuse_a_name():
    both = parse("sum(s: x[s])*sum(s: y[s]) + sum(s: x[s])", free=())
    assert both.evaluate(x=[1, 2], y=[3, 4]) == 3 * 7 + 3


def test_the_index_of_softmax_is_not_bound():
    weights = parse("softmax(s: A[t,s])", free="t,s")
    assert weights.free == ("t", "s")
    rule("softmax(s: A[t,s])*V[s,e]", "sum(s: softmax(s: A[t,s])*V[s,e])", "t,e")


# declarations and statements


def test_several_statements():
    last = parse("C[t,f] = le[s,t]*K[s,f]\nO[t] = Q[t,f]*C[t,f]; P[s] = O[s]*x[s]  # comment")
    assert str(last) == "P[s] = sum(f: Q[s,f]*sum(s1: le[s1,s]*K[s1,f]))*x[s]"
    assert last.tensors == ("Q", "K", "x")


def test_headers_in_the_text():
    text = "indices t,s: n ordered; f: d  # tokens\ntensors A: n n sym;\n x: n\n\nO[t] = A[t,s]*x[s]\r\n"
    expr = ta.parse(text)
    assert expr == ta.parse("O[t] = A[t,s]*x[s]", {"t,s": "n ordered"}, symmetry={"A": "sym"})
    assert ta.parse("indices t: n\nx[t]\n + y[t]", free="t") == ta.parse("x[t]+y[t]", "t: n", free=("t",))
    assert ta.parse("O[t] = 1", "t: n").evaluate({"n": 2}).tolist() == [1, 1]


def test_free_and_tables_take_several_forms():
    one = parse("A[t,s]", free="t,s")
    assert one == parse("A[t,s]", free=("t", "s")) == parse("A[t,s]", free=["t", "s"]) == parse("A[t,s]", free="t s")
    assert parse("A[t,s]", free="s,t").free == ("s", "t")
    assert ta.parse("x[i]", {"i": 3}, free="i") == ta.parse("x[i]", "i: 3", free="i")
    assert ta.parse("O[i] = x[i]", {"i": ta.dims("n")}) == ta.parse("O[i] = x[i]", {"i": "n"})
    assert ta.parse("O[i] = 3*x[i]", {"i": 3}).evaluate(x=[1, 2, 3]).tolist() == [3, 6, 9]
    assert parse("c[]*x[t]", free="t", tensors={"c": "", "unused": "n d"}, symmetry={"Z": "sym"}).tensors == ("c", "x")


def test_spaces_are_ordered_when_declared_or_masked():
    plain, masked = {"t,s": "n", "f": "d"}, "O[t] = le[s,t]*x[s]"
    assert not ta.parse("O[t] = x[t]", plain).free_indices[0].space.ordered
    assert ta.parse(masked, plain).free_indices[0].space.ordered
    assert ta.parse("O[f] = decay(a)[+,-,f]", plain, tensors={"a": "n d"}).tensors == ("a",)
    assert ta.parse("O[t] = x[t]*A[f,(s,f)]*le[(s,f),(s,f)]", plain).free_indices[0].space.ordered


def test_order_of_free_indices_and_tensors():
    expr = parse("O[e,t] = softmax(s: sum(f: Q[t,f]*K[s,f])/d)*V[s,e] + B[t,e]/C[t]")
    assert expr.free == ("e", "t")
    assert expr.tensors == ("Q", "K", "Q", "K", "V", "B", "C")
    assert (expr.body * 1).free == ("t", "e")


def test_minus_in_python_goes_to_every_term_as_plus_does():
    t, s = Space("T", "n").indices("t s")
    A, x, y = ta.tensor("A", t.space @ t.space), ta.tensor("x", t.space), ta.tensor("y", t.space)
    body = A[t, s] * x[s] + y[t]
    assert ta.define((t,), x[t] - body) == ta.define((t,), x[t] - A[t, s] * x[s] - y[t])
    assert str(ta.define((t,), -body)) == "out[t] = sum(s: -A[t,s]*x[s]) - y[t]"


# einsum strings


@pytest.mark.parametrize(
    ("string", "shapes"),
    [
        ("ij,jk->ik", ["nm", "md"]),
        ("ij,jk", ["nm", "md"]),
        ("ii->i", ["nn"]),
        ("ii", ["nn"]),
        ("i,i,i->", ["n", "n", "n"]),
        ("ij,ij,jk->ki", ["nm", "nm", "md"]),
        ("...i,...i->...", ["ndm", "ndm"]),
        ("...i,i->...", ["ndm", "m"]),
        ("i j, j k -> i k", ["nm", "md"]),
        ("ij->", ["nm"]),
        ("i,j->ji", ["n", "m"]),
    ],
)
def test_einsum_agrees_with_numpy(string, shapes):
    sizes = {"n": 2, "m": 3, "d": 4}
    spaces = {name: Space(name, name) for name in sizes}
    source = np.random.default_rng(0)
    symbols = [ta.tensor(f"A{k}", [spaces[c] for c in shape]) for k, shape in enumerate(shapes)]
    arrays = [source.integers(-5, 6, [sizes[c] for c in shape]) for shape in shapes]
    definition = ta.einsum(string, *symbols)
    named = {symbol.name: array for symbol, array in zip(symbols, arrays, strict=True)}
    expected = np.einsum(string.replace(" ", ""), *arrays)
    assert np.array_equal(np.asarray(definition.evaluate(**named), dtype=int), expected)
    # and back: the string of the definition, in numpy's letters
    letters = {
        name: chr(97 + k) for k, name in enumerate(dict.fromkeys(re.findall(r"\w+", ta.einsum_string(definition))))
    }
    back = re.sub(r"\w+", lambda match: letters[match.group()], ta.einsum_string(definition)).replace(" ", "")
    assert np.array_equal(np.einsum(back, *arrays), expected)


@settings(max_examples=60)
@given(SEEDS)
def test_einsum_strings_of_random_products(seed):
    source = random.Random(seed)
    sizes = {"n": 2, "d": 3}
    pool = [*T.indices("t s"), *D.indices("f g")]
    factors, arrays = [], []
    for k in range(source.randint(1, 4)):
        legs = source.choices(pool, k=source.randint(1, 3))
        factors.append(ta.tensor(f"A{k}", [leg.space for leg in legs])[tuple(legs)])
        shape = [sizes[leg.space.dimension.name] for leg in legs]
        arrays.append(np.random.default_rng(seed + k).integers(-3, 4, shape))
    product = mul(*factors)
    free = source.sample(product.free_indices, source.randint(0, len(product.free_indices)))
    definition = ta.define(tuple(free), product)
    string = ta.einsum_string(definition)
    expected = definition.evaluate(**{f"A{k}": array for k, array in enumerate(arrays)})
    assert np.array_equal(np.einsum(string.replace(" ", ""), *arrays), np.asarray(expected, dtype=int))
    assert ta.einsum(string, *(factor.tensor for factor in factors)).body == definition.body or " " not in string


def test_einsum_strings_rename_what_is_bound_twice():
    V = Space("V", "n")
    i, j = V.indices("i j")
    x, y = ta.tensors("x y", V)
    assert ta.einsum_string(x[j] * y[j].sum(j)) == "j, j1 -> j"
    assert ta.einsum_string(x[i].sum(i) * y[i].sum(i)) == "i, i1 ->"


@pytest.mark.parametrize(
    "text", ["2*x[t]", "x[t] + y[t]", "le[s,t]*x[s]", "exp(x[t])", "sum(s: x[t])", "A[(t,s)]", "n"]
)
def test_what_is_no_einsum(text):
    with pytest.raises(NotAnEinsum) as caught:
        ta.einsum_string(parse(text, free="t"))
    assert caught.value.remedy


# LaTeX


def assert_sound_latex(text):
    depth, scripts = 0, [set()]
    for k, c in enumerate(text):
        if text[k - 1 : k] == "\\" and c in "{}_":
            continue
        if c == "{":
            depth += 1
            scripts.append(set())
        elif c == "}":
            depth -= 1
            scripts.pop()
        elif c in "_^":
            assert c not in scripts[-1], f"double script in {text}"
            scripts[-1].add(c)
        elif scripts[-1] and text[k - 1] not in "_^" and not (text[k - 1] == "}" and c in "_^"):
            scripts[-1].clear()
        assert depth >= 0
    assert depth == 0
    assert text.count("\\left(") == text.count("\\right)")


@settings(max_examples=100)
@given(SEEDS)
def test_latex_is_balanced(seed):
    assert_sound_latex(ta.latex(claim(random.Random(seed), True, 3)))


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("O_1[t] = W_Q[t,s]*x1[s]", r"{O_{1}}_{t} = \sum_{s} {W_{Q}}_{t s}\, {x_{1}}_{s}"),
        ("O[t] = decay(a_1)[t,-]", r"O_{t} = {\Pi^{a_{1}}}_{t -}"),
        ("O[t] = near[s,t,d]*x[s]/2", r"O_{t} = \sum_{s} \frac{1}{2}\, \mathbf{1}_{t - d < s \leq t}\, x_{s}"),
        ("O[t] = pow(x[t],3)/sqrt(d)", r"O_{t} = \frac{x_{t}^{3}}{\sqrt{d}}"),
        ("O[t] = __x[t] - x_a_b[t]", r"O_{t} = {\mathrm{\_}_{\_x}}_{t} - {x_{a\_b}}_{t}"),
        ("O[t] = -(x[t] + 1)*exp(-x[t])", r"O_{t} = -\left(x_{t} + 1\right)\, \exp\left(-x_{t}\right)"),
    ],
)
def test_latex(text, latex):
    shown = ta.latex(parse(text))
    assert shown == latex
    assert_sound_latex(shown)


def test_latex_is_read_by_mathtext():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for seed in range(15):
        parser.parse(f"${ta.latex(claim(random.Random(seed), True, 2))}$")
    parser.parse(f"${ta.latex(parse('O_1[t] = pow(decay(a_1)[t,-],2)*W_Q[t,s]*near[s,t,3]'))}$")


def test_long_texts_are_read_in_good_time():
    terms = " + ".join(["x[t]*y[t]"] * 5_000)
    assert len(parse(terms, free="t").tensors) == 10_000
    product = "*".join(["x[t]"] * 5_000)
    assert parse(product, free="t").body.kind == "mul"


def test_sizes_and_numbers():
    body = parse("2/3*n*d/n", free=()).body
    assert body == mul(as_expr(1) * 2 / 3, Size("n"), Size("d"), power(Size("n"), -1))
    assert isinstance(parse("6/4", free=()).body, Number)
    assert bind((), body) is body
