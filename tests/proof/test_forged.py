"""Certificates of false claims, each made for one thing that a checker could overlook."""

from __future__ import annotations

import pytest

from tensoralg.proof.checker import check

BIG = 10**17
VECTOR = {"x": {"legs": ["n"]}}


def certificate(lhs, rhs, uses=(), *, refine=(), **claim):
    empty = {"spaces": {}, "tensors": {}, "free": [], "given": [], "sizes": {}}
    proof = {"refine": list(refine), "components": [], "definitions": [], "domain": [], "cases": [list(uses)]}
    return {
        "format": "tensoralg certificate",
        "version": 1,
        "claim": {**empty, "lhs": lhs, "rhs": rhs, **claim},
        "proof": {**proof, "labels": []},
    }


def use(rule, context=1):
    return [[], context, 1, rule]


def reciprocal(term):
    return ["^", term, -1]


def skew(name):
    tensors = {**VECTOR, "E": {"legs": ["n", "n"], "antisymmetric": [[0, 1]]}}
    left = ["sum", [["i", "n"]], ["*", ["t", "E", "i", name], ["t", "x", "i"]]]
    return certificate(left, 0, spaces={"n": ["n", 0]}, tensors=tensors, free=[[name, "n"]])


MASKED = ["sum", [["s", "n"]], ["*", ["lt", "+", "s"], ["t", "x", "s"]]]
SELECTED = ["sum", [["j", "n"], ["k", "n"]], ["*", ["delta", ["*", "j", "k"], "t"], ["t", "x", "j"]]]
FORGED = {
    "1 = 0, since a size 0 is positive": certificate(1, 0, [use(["inverse", 1, ["size", 0], ["sign", 1]], -1)]),
    "1 = 0, since 0/1 has no factors": certificate(1, 0, [use(["inverse", 1, ["num", 0, 1], ["all"]], -1)]),
    "relu(1/-5) = 1/-5": certificate(
        ["relu", ["num", 1, -5]], ["num", 1, -5], [use(["sign", 1, ["num", 1, -5], 1, ["sign", 1]])]
    ),
    "relu(-2) = -2, since sizes are positive": certificate(
        ["relu", ["size", -2]], ["size", -2], [use(["sign", 1, ["size", -2], 1, ["sign", 1]])]
    ),
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


@pytest.mark.parametrize("name", FORGED)
def test_a_false_claim_has_no_certificate(name):
    assert not check(FORGED[name])


def test_the_same_forms_with_proper_content_are_accepted():
    size = ["size", "n"]
    assert check(certificate(1, ["*", size, reciprocal(size)]))
    assert check(certificate(["*", BIG, reciprocal(size)], ["*", reciprocal(size), BIG]))
    assert check(certificate(["relu", size], size, [use(["sign", 1, size, 1, ["sign", 1]])]))
