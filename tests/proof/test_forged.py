"""Certificates of false claims, each made for one thing that a checker could overlook."""

from __future__ import annotations

from itertools import combinations
from math import prod

import pytest
from slow_certificates import SLOW, VECTOR, N, certificate

from tensoralg.proof.checker import check

BIG = 10**17


def use(rule, context=1, bound=()):
    return [list(bound), context, 1, rule]


def reciprocal(term):
    return ["^", term, -1]


def skew(name):
    tensors = {**VECTOR, "E": {"legs": ["n", "n"], "antisymmetric": [[0, 1]]}}
    left = ["sum", [["i", "n"]], ["*", ["t", "E", "i", name], ["t", "x", "i"]]]
    return certificate(left, 0, spaces={"n": ["n", 0]}, tensors=tensors, free=[[name, "n"]])


MASKED = ["sum", [["s", "n"]], ["*", ["lt", "+", "s"], ["t", "x", "s"]]]
SELECTED = ["sum", [["j", "n"], ["k", "n"]], ["*", ["delta", ["*", "j", "k"], "t"], ["t", "x", "j"]]]
SCALAR = {"x": {"legs": []}}


def two_sizes():
    """E[i,j] f(x[i]) g(x[j]) with f over a space and g over another: swapping all three pairs is no automorphism."""

    def factor(i, v, w):
        return ["exp", ["*", ["t", "x", i], ["delta", v, w]]]

    bound = [["i", "n"], ["j", "n"], ["v", "a"], ["r", "a"], ["w", "b"], ["s", "b"]]
    left = ["sum", bound, ["*", ["t", "E", "i", "j"], factor("i", "v", "r"), factor("j", "w", "s")]]
    tensors = {**VECTOR, "E": {"legs": ["n", "n"], "antisymmetric": [[0, 1]]}}
    spaces = {**N, "a": ["a", 0], "b": ["b", 0]}
    return certificate(left, 0, spaces=spaces, tensors=tensors, proof={"labels": [[-1, 1, 0, 4, 5, 2, 3]]})


def unknown_tag():
    """Indices ["?", j, i, j] are taken as elements of a product, but compared as basis vectors."""
    space = ["*", "n", "n", "n"]
    first, second = ["?", "j", "i", "j"], ["?", "j", "k", "j"]
    given = [{"free": [["p", space], ["q", space]], "lhs": ["t", "y", "p", "q"], "rhs": ["delta", "p", "q"]}]
    uses = [
        use(["given", 0, [first, first]], -1),
        use(["given", 0, [first, second]], ["delta", "i", "k"], [["k", "n"]]),
    ]
    free = [["i", "n"], ["j", "n"]]
    return certificate(1, 0, uses, spaces=N, tensors={"y": {"legs": [space, space]}}, free=free, given=given)


def summand_of_a_name():
    """Over a space named "+ab" the indices ["+", 0, i, "+ab"] and ["+", 1, j, "+ab"] are taken to differ."""
    given = [{"free": [["j", "+ab"], ["k", "+ab"]], "lhs": ["delta", "j", "k"], "rhs": 1}]
    rule = ["given", 0, [["+", 0, "i", "+ab"], ["+", 1, "j", "+ab"]]]
    spaces = {"+ab": [1, 0], "a": [1, 0], "b": [1, 0]}
    return certificate(1, 0, [use(rule, -1, [["i", "a"], ["j", "b"]])], spaces=spaces, given=given)


def matrices_by_entries():
    """With the matrix index written out, matrices of two summands were multiplied entry by entry."""
    clock = ["+", "a", "b"]

    def decay(t, s):
        return ["decay", "A", clock, ["+", 1, t, clock], ["+", 0, s, clock], "i", "j"]

    left, right = ["*", decay("t", "s"), decay("u", "r")], ["*", decay("t", "r"), decay("u", "s")]
    free = [["t", "b"], ["u", "b"], ["s", "a"], ["r", "a"], ["i", "V"], ["j", "V"]]
    spaces = {"a": ["a", 1], "b": ["b", 1], "V": ["v", 0]}
    tensors = {"A": {"legs": [clock, "V", "V"]}}
    more = {"components": ["v"], "cases": [[]] * 4}
    return certificate(left, right, spaces=spaces, tensors=tensors, free=free, sizes={"v": 2}, proof=more)


def equal_sizes():
    """The text "ta" is read as the scalar a and, by "size" as a function, as the dimension ta."""
    given = [{"free": [], "lhs": ["t", "a"], "rhs": ["t", "b"]}]
    uses = [use(["same", 1, ["size", "ta", "tb"], [[use(["given", 0, []])]]])]
    return certificate(
        ["size", "ta"], ["size", "tb"], uses, tensors={"a": {"legs": []}, "b": {"legs": []}}, given=given
    )


def cancelled(entry, spaces, free, legs):
    """z/z = 1 for z = sum(a: P[..]*x[a]), which is said to be one of the positive x."""
    whole = ["sum", [["a", "n"]], ["*", entry, ["t", "x", "a"]]]
    tensors = {"P": {"legs": legs, "facts": ["permutation"]}, "x": {"legs": ["n"], "facts": ["positive"]}}
    uses = [use(["sign", 1, ["!=", whole], []])]
    left, more = ["*", whole, reciprocal(whole)], {"domain": [uses]}
    return certificate(left, 1, uses, spaces=spaces, tensors=tensors, free=free, proof=more)


def part_of_a_row():
    """Only some rows of P[(a,o),b] are (a,o) for some a: with o and b fixed, no entry may be 1."""
    entry, legs = ["t", "P", ["*", "a", "o"], "b"], [["*", "n", "o"], ["*", "n", "o"]]
    return cancelled(entry, {**N, "o": ["o", 0]}, [["b", ["*", "n", "o"]], ["o", "o"]], legs)


def permutation_of_three_legs():
    return cancelled(["t", "P", "a", "b", "c"], N, [["b", "n"], ["c", "n"]], ["n", "n", "n"])


def trace_of_a_permutation():
    """sum(a: P[(a,o),a]*x[a]) may be empty, for P between n*1 and n."""
    return cancelled(["t", "P", ["*", "a", "o"], "a"], {**N, "o": [1, 0]}, [["o", "o"]], [["*", "n", "o"], "n"])


def named_twice():
    given = [{"free": [["i", "n"], ["i", "n"]], "lhs": ["t", "D", "i", "i"], "rhs": ["t", "x", "i"]}]
    tensors, free = {**VECTOR, "D": {"legs": ["n", "n"]}}, [["i", "n"], ["j", "n"]]
    uses = [use(["given", 0, ["i", "j"]])]
    return certificate(["t", "D", "i", "j"], ["t", "x", "j"], uses, spaces=N, tensors=tensors, free=free, given=given)


def another_space():
    given = [{"free": [["i", "m"]], "lhs": ["t", "x", "i"], "rhs": 5}]
    uses, spaces = [use(["given", 0, ["i"]])], {**N, "m": ["m", 0]}
    return certificate(["t", "x", "i"], 5, uses, spaces=spaces, tensors=VECTOR, free=[["i", "n"]], given=given)


def bound_number():
    """The row sums of a matrix are all positive, since its trace is: their index is -1, like a bound variable."""
    trace = ["log", ["sum", [["b", "n"]], ["t", "A", "b", "b"]]]
    rows = ["sum", [[-1, "n"]], ["log", ["sum", [["b", "n"]], ["t", "A", -1, "b"]]]]
    left, right = ["+", ["*", 0, trace], ["*", 0, rows]], ["*", 0, trace]
    more = {"domain": [[use(["given", 0, []])]]}
    return certificate(left, right, spaces=N, tensors={"A": {"legs": ["n", "n"]}}, proof=more)


def bound_part():
    """y[(a,b),c] is positive for all a, b, c, since it is for c = a: the indices are t = (t.0,t.1) and t.0."""
    space = ["*", "n", "n"]
    some = ["sum", [["a", "n"], ["b", "n"]], ["log", ["*", 1, ["t", "y", ["*", "a", "b"], "a"]]]]
    every = ["sum", [["t", space], ["t.0", "n"]], ["log", ["*", 1, ["t", "y", "t", "t.0"]]]]
    left, right = ["+", ["*", 0, every], ["*", 0, some]], ["*", 0, some]
    more = {"domain": [[use(["given", 0, ["t.0", "t.1"]])]]}
    return certificate(left, right, spaces=N, tensors={"y": {"legs": [space, "n"]}}, proof=more)


HALVES = ["+", "s", "u"]
ORDERED = {"s": ["n", 1], "u": ["m", 1], "c": ["k", 0]}
BEFORE, AFTER = ["+", 0, "+", HALVES], ["+", 1, "i", HALVES]
PAIRS = ["*", "s", HALVES]
WHOLE = ["+", ["^", ["size", "n"], 2], ["*", ["size", "n"], ["size", "m"]]]
OTHERS = ["sum", [["q", PAIRS]], ["+", ["lt", "p", "q"], ["lt", "q", "p"]]]  # n(n + m) - 1 for every p
PHANTOM = ["*", "i", BEFORE]  # no index: the end of the first half


def vector_of_one_number():
    """log(e^z[i]) = z[i] log(e): on the left the exponent stays as it is spelled, on the right it depends on i."""

    def at(name, factor):
        context = ["*", factor, ["delta", "i", name]]
        return use(["log", 1, [1, ["exp", 1], ["t", "z", "i"]], [[], []]], context, [["i", "n"]])

    def exponent(name, factor):
        return use(["exponent", 1, [1], []], ["*", factor, ["t", "z", name]])

    uses = [at("j", -1), at("k", 1), exponent("j", -1), exponent("k", 1)]
    tensors, free = {"z": {"legs": ["n"]}}, [["j", "n"], ["k", "n"]]
    return certificate(["t", "z", "j"], ["t", "z", "k"], uses, spaces=N, tensors=tensors, free=free)


def backwards(value, legs=(), free=(), end=AFTER):
    """A decay whose end comes before its start is 0."""
    left = ["decay", "g", HALVES, BEFORE, end, *(name for name, _ in free)]
    tensors = {"g": {"legs": [HALVES, *legs]}}
    return certificate(left, value, spaces=ORDERED, tensors=tensors, free=[*free, ["i", "u"]])


THREE = {"s": ["n", 1], "c": ["k", 0], "m": ["n", 0]}
TOKENS = ["+", "one", "two", "six"]  # one token, two, and six
SUMMED = [["w", "s"], ["v", "s"], ["u", "s"]]
RISING = [["lt", "u", "v"], ["lt", "v", "w"]]


def by_components(left, right, legs=(), free=(), clock="s", spaces=THREE, sizes=(("n", 3),), cases=1):
    """A claim about decays of g, and G with further legs, over a clock whose indices are written out."""
    tensors = {"g": {"legs": [clock]}, "G": {"legs": [clock, *legs]}, "y": {"legs": []}}
    claim = {"spaces": spaces, "tensors": tensors, "free": list(free), "sizes": dict(sizes)}
    return certificate(left, right, proof={"components": ["n", "1", "2", "6"], "cases": [[]] * cases}, **claim)


def of_three_tokens(decay, *factors):
    """A decay at the three times 0, 1, 2 of a fixed length, and other factors there."""
    left = ["sum", SUMMED, ["*", *RISING, decay]]
    return by_components(left, ["sum", SUMMED, ["*", *RISING, *factors]])


def of_matrices(*right):
    left = ["sum", SUMMED, ["*", *RISING, PATHS]]
    free, linked = [["x", "c"], ["y", "c"]], ["sum", [["z", "c"]], ["*", *RISING, *right]]
    return by_components(left, ["sum", SUMMED, linked], ["c", "c"], free)


def of_parts(left, right):
    spaces = {"one": [1, 1], "two": [2, 1], "six": [6, 1], "c": ["k", 0]}
    return by_components(left, right, (), [["i", "one"]], TOKENS, spaces, ())


def power_of(k):
    return ["^", ["t", "y"], k]


def constant(k, later="+", earlier="-"):
    return of_parts(["decay", "y", TOKENS, later, earlier], power_of(k))


LAST_GATE, EARLIER_GATE = ["t", "g", "w"], ["t", "g", "v"]
PATH, PATHS = ["decay", "g", "s", "w", "u"], ["decay", "G", "s", "w", "u", "x", "y"]
START = ["+", 0, "i", TOKENS]


def tautology_at_no_index():
    given = [{"free": [["p", PAIRS]], "lhs": OTHERS, "rhs": ["+", WHOLE, -1]}]
    uses = [use(["given", 0, [PHANTOM]], ["*", -1, ["^", ["size", "n"], -1]], [["i", "s"]])]
    return certificate(0, 1, uses, refine=["s", "u"], spaces=ORDERED, given=given)


def condition_at_no_index():
    left = ["sum", [["p", PAIRS]], reciprocal(["+", WHOLE, ["*", -1, OTHERS]])]
    uses = [use(["given", 0, [PHANTOM]], reciprocal(["size", "n"]), [["i", "s"]])]
    return certificate(left, ["+", left, 1], uses, refine=["s", "u"], spaces=ORDERED)


def named_twice_inside():
    def side(first):
        scope = [["a", "n"], ["a", "n"]]
        return ["exp", ["sum", scope, ["sum", [["b", "n"]], ["t", "y", first, "b"]]]]

    return certificate(side("a"), side("b"), spaces=N, tensors={"y": {"legs": ["n", "n"]}})


def sign_of_a_part():
    """A part by itself keeps its sign, whichever order of its bound variables a hint says."""
    matrix = ["*", ["t", "E", "i", "j"], ["t", "x", "i"], ["t", "y", "j"]]
    left = ["*", ["sum", [["i", "n"], ["j", "n"]], matrix], ["sum", [["s", "m"]], ["t", "z", "s"]]]
    tensors = {**VECTOR, "y": {"legs": ["n"]}, "z": {"legs": ["m"]}}
    tensors |= {"E": {"legs": ["n", "n"], "antisymmetric": [[0, 1]]}}
    labels = [[0, 1], [1, 0], [0, 1], [0, 1]]
    spaces, more = {**N, "m": ["m", 1]}, {"refine": ["m"], "labels": labels}
    return certificate(left, ["*", -1, left], spaces=spaces, tensors=tensors, proof=more)


def trivial(term, **claim):
    return certificate(term, ["+", term], spaces=ORDERED, free=[["i", "u"]], **claim)


def kept(term):
    return certificate(["relu", term], term, [use(["sign", 1, [">=", term], []])])


FORGED = {
    "relu(x) = x, since the empty product is": certificate(
        ["relu", ["t", "x"]],
        ["t", "x"],
        [use(["same", 1, ["relu", ["t", "x"], ["*"]], [[]]]), use(["sign", 1, [">=", ["*"]], []])],
        tensors=SCALAR,
    ),
    "relu(x) = x, as seen": certificate(
        ["relu", ["t", "x"]], ["t", "x"], [use(["sign", 1, [">=", ["t", "x"]], []])], tensors=SCALAR
    ),
    "log(0) = log(0) + log(0)": certificate(
        ["log", ["t", "x"]],
        0,
        [
            use(["same", 1, ["log", ["t", "x"], ["*", ["t", "x"], ["t", "x"]]], [[use(["given", 0, []])]]]),
            use(["log", 1, [["t", "x"], ["t", "x"], 1], [[], []]]),
        ],
        tensors=SCALAR,
        given=[{"free": [], "lhs": ["t", "x"], "rhs": ["*", ["t", "x"], ["t", "x"]]}],
    ),
    "an odd automorphism between spaces of different sizes": two_sizes(),
    "a sign that a part has twice": sign_of_a_part(),
    "an index of no kind": unknown_tag(),
    "a space with the name of a direct sum": summand_of_a_name(),
    "a product of matrices entry by entry": matrices_by_entries(),
    "a size as a function": equal_sizes(),
    "a trace of a permutation between different spaces": trace_of_a_permutation(),
    "a part of a row of a permutation": part_of_a_row(),
    "a permutation with three legs": permutation_of_three_legs(),
    "an exponent that is a term": vector_of_one_number(),
    "a decay backwards in time": backwards(1),
    "a decay of matrices backwards in time": backwards(["size", "k"], ["c", "c"], [["x", "c"], ["y", "c"]]),
    "a decay of matrices over no time": backwards(
        ["size", "k"], ["c", "c"], [["x", "c"], ["y", "c"]], ["+", 1, "-", HALVES]
    ),
    "a gate too few at a fixed length": of_three_tokens(PATH, LAST_GATE),
    "a gate too many at a fixed length": of_three_tokens(PATH, LAST_GATE, EARLIER_GATE, ["t", "g", "u"]),
    "the gate before the first step at a fixed length": of_three_tokens(PATH, EARLIER_GATE, ["t", "g", "u"]),
    "a path of no steps at a fixed length": of_three_tokens(["decay", "g", "s", "v", "v"], EARLIER_GATE),
    "a path backwards at a fixed length": of_three_tokens(["decay", "g", "s", "u", "w"], 1),
    "matrices of a fixed length in another order": of_matrices(["t", "G", "v", "x", "z"], ["t", "G", "w", "z", "y"]),
    "matrices of a fixed length entry by entry": of_matrices(["t", "G", "w", "x", "y"], ["t", "G", "v", "x", "y"]),
    "no matrix is the matrix of ones": by_components(
        ["sum", [["v", "s"]], ["decay", "G", "s", "v", "v", "x", "y"]], 3, ["c", "c"], [["x", "c"], ["y", "c"]]
    ),
    "a constant of another number of tokens": constant(8),
    "a constant from the first token on, that too": constant(9, "+", START),
    "a constant over no step": constant(8, START, START),
    "a decay over a space without an order": by_components(["decay", "y", "m", "+", "-"], power_of(3)),
    "a decay over a product of spaces": by_components(["decay", "y", ["*", "s", "s"], "+", "-"], power_of(9)),
    "a hypothesis at an index that is none": tautology_at_no_index(),
    "a condition at an index that is none": condition_at_no_index(),
    "a sum in a function that names an index twice": named_twice_inside(),
    "a gap, which has no meaning in a claim": trivial(
        ["gap", "g", HALVES, AFTER, ["+", 0, "-", HALVES]], tensors={"g": {"legs": [HALVES]}}
    ),
    "an entry outside of its legs inside a function": trivial(["exp", ["t", "X", "i"]], tensors={"X": {"legs": ["s"]}}),
    "a decay of matrices that cannot be multiplied": trivial(
        ["exp", ["sum", [["x", "c"]], ["decay", "g", "s", "+", "-", "x", "i"]]],
        tensors={"g": {"legs": ["s", "c", "u"]}},
    ),
    "a mask whose end is no index of its summand": certificate(
        1, 0, [use(["same", 1, ["exp", ["lt", "+", ["+", 0, "i", HALVES]], 1], [[]]], 1, [["i", "u"]])], spaces=ORDERED
    ),
    "a sum over a space that is none": certificate(
        1, 0, [use(["sign", 1, [">", ["sum", [["p", ["+"]]], 1]], []])], spaces=N
    ),
    "an unknown tensor inside a function": trivial(["exp", ["t", "X", "i"]]),
    "two sides that are the same garbage": certificate("garbage", "garbage"),
    "a hypothesis that names an index twice": named_twice(),
    "a hypothesis about indices of another space": another_space(),
    "a bound index that is a number": bound_number(),
    "a bound index with the name of a part of another": bound_part(),
    "relu(1/-2) = 1/-2, since sizes are positive": kept(reciprocal(["size", -2])),
    "relu(1/-5) = 1/-5": kept(["num", 1, -5]),
    "relu(-2) = -2, since sizes are positive": kept(["size", -2]),
    "1 = 0, since a size 0 is positive": certificate(1, 0, [use(["sign", 1, ["!=", ["size", 0]], []], -1)]),
    "1 = 0, since 0/1 is not 0": certificate(1, 0, [use(["sign", 1, ["!=", ["num", 0, 1]], []], -1)]),
    "coefficients as floats": certificate(
        ["*", BIG + 1, reciprocal(["t", "x"])], ["*", BIG, reciprocal(["t", "x"])], tensors={"x": {"legs": []}}
    ),
    "coefficients as floats, by sizes": certificate(
        ["*", BIG + 1, reciprocal(["size", "n"])], ["*", BIG, reciprocal(["size", "n"])]
    ),
    "an index with the name of an end of time": certificate(
        MASKED,
        ["sum", [["s", "n"]], ["t", "x", "s"]],
        spaces={"n": ["n", 1]},
        tensors=VECTOR,
        free=[["+", "n"]],
        refine=["n"],
    ),
    "an index with the name of a part of another": certificate(
        ["t", "x", "t.0"], SELECTED, spaces={"n": ["n", 0]}, tensors=VECTOR, free=[["t", ["*", "n", "n"]], ["t.0", "n"]]
    ),
    "an index with the name of a number": skew("-1"),
}


@pytest.mark.parametrize("name", SLOW)
def test_what_costs_work_is_answered_rightly(name):
    case = SLOW[name]
    assert case.true or not check(case.certificate)


@pytest.mark.parametrize("name", FORGED)
def test_a_false_claim_has_no_certificate(name):
    assert not check(FORGED[name])


def total(bound, *factors):
    return ["sum", [[name, "n"] for name in bound], ["*", *factors]]


# a factor, and the same spelled with antisymmetric legs swapped, which changes its sign or not
SPELLED = [
    (total("i", ["t", "E", "f", "i"]), total("j", ["t", "E", "j", "f"]), -1),
    (total("ij", ["t", "E", "i", "j"], ["lt", "i", "j"]), total("ji", ["t", "E", "i", "j"], ["lt", "j", "i"]), -1),
    (
        total("ij", ["t", "E", "i", "j"], ["t", "E", "f", "i"], ["t", "x", "j"]),
        total("ji", ["t", "E", "i", "j"], ["t", "E", "f", "j"], ["t", "x", "i"]),
        -1,
    ),
    (
        total("i", ["t", "E", "f", "i"], ["t", "E", "i", "f"], ["t", "x", "i"]),
        total("i", ["^", ["t", "E", "i", "f"], 2], ["t", "x", "i"]),
        -1,
    ),
    (total("i", ["lt", "i", "f"]), total("j", ["lt", "j", "f"]), 1),
    (total("i", ["t", "x", "i"]), total("k", ["t", "x", "k"]), 1),
]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_signs_of_factors_that_are_collected_alone(count):
    # what was collected alone lost the sign of its first spelling, or the sign of it in another term
    for chosen in combinations(SPELLED, count):
        left, right = (["*", *(spelled[k] for spelled in chosen)] for k in (0, 1))
        sign = prod(spelled[2] for spelled in chosen)
        tensors = {**VECTOR, "E": {"legs": ["n", "n"], "antisymmetric": [[0, 1]]}}
        for factor in (sign, -sign):
            parts = {"spaces": {"n": ["n", 1]}, "tensors": tensors, "free": [["f", "n"]], "refine": ["n"]}
            for sides in ((left, ["*", factor, right]), (["+", left, left], ["*", 2, factor, right])):
                assert check(certificate(*sides, **parts)) == (factor == sign), sides
            above = ["+", ["*", left, total("i", ["le", "i", "f"])], ["*", left, total("i", ["lt", "f", "i"])]]
            assert check(certificate(above, ["*", factor, ["size", "n"], right], **parts)) == (factor == sign)


def test_the_same_forms_with_proper_content_are_accepted():
    size = ["size", "n"]
    assert check(certificate(1, ["*", size, reciprocal(size)], proof={"domain": [[]]}))
    assert check(certificate(["*", BIG, reciprocal(size)], ["*", reciprocal(size), BIG]))
    assert check(kept(size))


def test_decays_of_a_fixed_length_are_accepted():
    assert check(of_three_tokens(PATH, LAST_GATE, EARLIER_GATE))
    assert check(of_three_tokens(["decay", "g", "s", "v", "v"], 1))
    assert check(of_three_tokens(["decay", "g", "s", "u", "w"], 0))
    assert check(of_matrices(["t", "G", "w", "x", "z"], ["t", "G", "v", "z", "y"]))
    assert check(constant(9))
    assert check(constant(8, "+", START))
    assert check(constant(0, START, START))
