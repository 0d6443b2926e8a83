"""Renaming indices where several binders clash at once, one inside the other."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.expr.rewrite import bound_names, rename_apart, substitute

V = ta.Space("V", "n")
NAMES = V.indices("i1 i2 i3 i4 i5")


def nested(source: random.Random, depth: int) -> ta.Expr:
    """Return sums in sums over the indices NAMES, each once, in a term with the free indices o and p."""
    o, p = V.indices("o p")
    inside = list(NAMES[:depth])
    source.shuffle(inside)
    term = ta.Tensor("C", (V,) * (depth + 2))[(o, p, *inside)] if depth else ta.tensor("C", V @ V)[o, p]
    for k, index in enumerate(inside):
        # the second part keeps two neighbouring sums from becoming one
        outer = ta.tensor(f"A{k}", V @ V)[index, source.choice([o, p, index])]
        term = (term * outer + outer).sum(index)
    return term


def arrays(expr: ta.Expr, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for name in expr.tensors:
        legs = len(NAMES) + 2 if name == "C" else 2
        found[name] = rng.integers(-2, 3, (2,) * legs)
    return found


def test_two_binders_that_clash_get_two_names() -> None:
    o, p = V.indices("o p")
    i1, i2, *_ = NAMES
    A, C = ta.tensor("A", V @ V), ta.tensor("C", V**4)
    term = (C[o, p, i1, i2].sum(i2) + A[o, i1]).sum(i1)
    moved = substitute(term, {o: i1, p: i2})
    assert str(moved) == "sum(i3: sum(i4: C[i1,i2,i3,i4]) + A[i1,i3])"


def test_renaming_apart_brings_no_name_back() -> None:
    i1, i2, *_ = NAMES
    A = ta.tensor("A", V @ V)
    term = (A[i1, i2].sum(i2) * A[i1, i1]).sum(i1)
    assert not bound_names(rename_apart(term, {"i1", "i2"})) & {"i1", "i2"}


def test_renaming_apart_keeps_equal_terms_equal() -> None:
    i1, *_ = NAMES
    A = ta.tensor("A", V @ V)
    trace = A[i1, i1].sum(i1)
    left, right = rename_apart(ta.exp(trace) + ta.log(trace), {"i1"}).children()
    assert left.children() == right.children() != (trace,)


@given(st.integers(0, 10**6), st.permutations(NAMES), st.integers(1, 5))
def test_renaming_never_changes_a_value(seed: int, into: list[ta.Index], taken: int) -> None:
    term = nested(random.Random(seed), 5)
    o, p = V.indices("o p")
    values = arrays(term, seed)
    expected = ta.define((o, p), term).evaluate(**values)
    moved = substitute(term, {o: into[0], p: into[1]})
    assert np.array_equal(ta.define(into[:2], moved).evaluate(**values), expected)
    names = {index.name for index in into[:taken]}
    apart = rename_apart(term, names)
    assert not bound_names(apart) & names
    assert np.array_equal(ta.define((o, p), apart).evaluate(**values), expected)
