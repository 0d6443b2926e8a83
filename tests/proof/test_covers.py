"""Complex witnesses against plain sums in exact Gaussian rationals, and against graphs whose maps are known."""

import json
import sys
from fractions import Fraction
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.expr.nodes import add, as_expr, bind, mul
from tensoralg.proof.covers import Coverings, Work, covering_search, sizes_at, tensors_at
from tensoralg.proof.prove import state
from tensoralg.proof.wiring import wired
from tensoralg.spaces import Index

sys.path.insert(0, str(Path(__file__).parent))  # test files are imported by path, so their folder is no package
from networks import V, brick_wall, cubic, network, rewired

ZERO, ONE = (Fraction(0), Fraction(0)), (Fraction(1), Fraction(0))
ALIKE = {"alike": True, "symmetric": True}


def times(a, b):
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def plus(a, b):
    return a[0] + b[0], a[1] + b[1]


def orthonormal(tensor):
    """Return the entries of a tensor in the basis x0, y0, x1, y1, ... from those in h0, h0', h1, h1', ..."""
    half = Fraction(1, 2)
    rows = {}
    for at, value in tensor["entries"]:
        for row in product(*([k - k % 2, k - k % 2 + 1] for k in at)):
            entry = (Fraction(value), Fraction(0))
            for k, j in zip(at, row, strict=True):
                # h = x + iy and h' = (x - iy)/2
                part = (Fraction(1), Fraction(1)) if k % 2 == 0 else (half, -half)
                entry = times(entry, (part[0], Fraction(0)) if j % 2 == 0 else (Fraction(0), part[1]))
            rows[row] = plus(rows.get(row, ZERO), entry)
    return {row: value for row, value in rows.items() if value != ZERO}


def terms(side):
    """Yield the coefficient, the bound indices and the entries of each product of a side."""
    for term in side.body.children() if side.body.kind == "add" else (side.body,):
        scale, indices, factors = Fraction(1), (), [term]
        while any(f.kind in ("mul", "bind") for f in factors):
            indices += tuple(str(i) for f in factors if f.kind == "bind" for i in f.indices)
            factors = [g for f in factors for g in (f.children() if f.kind in ("mul", "bind") else (f,))]
        for f in factors:
            scale *= f.value if f.kind == "number" else 1
        yield scale, indices, [f for f in factors if f.kind == "entry"]


def plain_sum(side, sizes, tensors):
    """Return the value of a side at tensors in an orthonormal basis, all choices of entries one by one."""
    total = ZERO
    for scale, indices, factors in terms(side):
        named = {str(i) for f in factors for i in f.args}
        stack = [({}, factors, (scale * sizes["n"] ** len(set(indices) - named), Fraction(0)))]
        while stack:
            known, left, value = stack.pop()
            if not left:
                total = plus(total, value)
                continue
            k = max(range(len(left)), key=lambda k: sum(str(i) in known for i in left[k].args))
            names = [str(i) for i in left[k].args]
            for row, entry in tensors[left[k].tensor.name].items():
                if all(known.get(name, at) == at for name, at in zip(names, row, strict=True)):
                    here = dict(known)
                    if all(here.setdefault(name, at) == at for name, at in zip(names, row, strict=True)):
                        stack.append((here, left[:k] + left[k + 1 :], times(value, entry)))
    return total


def paired_sum(side, sizes, tensors):
    """Return the value of a side in the paired basis itself, for networks that are too large for `plain_sum`."""
    total, at_leg = Fraction(0), {}
    for name, tensor in tensors.items():
        for row, entry in tensor["entries"]:
            for leg, position in enumerate(row):
                at_leg.setdefault((name, leg, position), []).append((row, entry))
    for scale, indices, factors in terms(side):
        named = {str(i) for f in factors for i in f.args}
        stack = [({}, factors, scale * sizes["n"] ** len(set(indices) - named))]
        while stack:
            known, left, value = stack.pop()
            if not left:
                total += value
                continue
            k = max(range(len(left)), key=lambda k: sum(str(i) in known for i in left[k].args))
            symbol, names = left[k].tensor.name, [str(i) for i in left[k].args]
            leg = next((leg for leg, name in enumerate(names) if name in known), None)
            rows = tensors[symbol]["entries"] if leg is None else at_leg.get((symbol, leg, known[names[leg]] ^ 1), [])
            for row, entry in rows:
                here = dict(known)
                for name, position in zip(names, row, strict=True):
                    if here.setdefault(name, position ^ 1) != position ^ 1:
                        break
                    here[name] = position  # the mate has to meet it
                else:
                    stack.append((here, left[:k] + left[k + 1 :], value * entry))
    return total


def wiring_of(left, right):
    return wired(state(left, right, [], None).claim)


def points(left, right):
    """Yield sizes, tensors and both values at the point of every product."""
    wiring = wiring_of(left, right)
    coverings = Coverings(wiring)
    for target in wiring.products:
        sizes = sizes_at(wiring, target)
        values = [coverings.value(side, target, sizes, Work(10**6)) for side in (0, 1)]
        yield sizes, tensors_at(wiring, target, sizes), values


def assert_values(left, right, small=True):
    """Compare all values with plain sums, and return them."""
    seen = []
    for sizes, tensors, values in points(left, right):
        assert [paired_sum(side, sizes, tensors) for side in (left, right)] == values
        if small:
            there = {name: orthonormal(tensor) for name, tensor in tensors.items()}
            assert [plain_sum(side, sizes, there) for side in (left, right)] == [(v, 0) for v in values]
        seen.append(values)
    return seen


def graph(edges, **options):
    return network(edges, **{**ALIKE, **options})


def both(edges, times=2):
    """Return the edges of disjoint copies."""
    size = 1 + max(map(max, edges))
    return [(a + size * k, b + size * k) for k in range(times) for a, b in edges]


THETA = [(0, 1)] * 3
DUMBBELL = [(0, 0), (0, 1), (1, 1)]
K4 = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
NECKLACE = [(0, 1), (0, 1), (1, 2), (2, 3), (2, 3), (3, 0)]
PRISM = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]
K33 = [(a, b) for a in range(3) for b in range(3, 6)]
CUBE = [(a, a ^ bit) for a in range(8) for bit in (1, 2, 4) if a < a ^ bit]
PETERSEN = [edge for k in range(5) for edge in ((k, (k + 1) % 5), (k, k + 5), (k + 5, (k + 2) % 5 + 5))]
LADDER = [edge for k in range(5) for edge in ((k, (k + 1) % 5), (k, k + 5), (k + 5, (k + 1) % 5 + 5))]


def test_the_paired_basis_is_what_it_is_said_to_be():
    """h.h = h'.h' = 0 and h.h' = 1 for the vectors of a pair; different pairs are orthogonal."""
    vectors = [orthonormal({"entries": [[[k], 1]]}) for k in range(4)]
    for j, k in product(range(4), repeat=2):
        total = ZERO
        for row, value in vectors[j].items():
            total = plus(total, times(value, vectors[k].get(row, ZERO)))
        assert total == (ONE if j ^ 1 == k else ZERO)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (THETA, DUMBBELL, [[12, 0], [0, 8]]),
        (THETA, THETA, [[12, 12], [12, 12]]),
        (K4, NECKLACE, [[24, 0], [0, 16]]),
        (both(THETA), K4, None),
        (both(DUMBBELL), both(THETA), [[256, 0], [0, 576]]),
        ([*THETA, (2, 2), (2, 3), (3, 3)], both(THETA), None),
    ],
)
def test_values_of_small_graphs_agree_with_plain_sums(ours, theirs, expected):
    values = assert_values(graph(ours), graph(theirs, shuffle=1), small=K4 not in (ours, theirs))
    assert expected is None or values == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "automorphisms"),
    [(PRISM, K33, (12, 72)), (PETERSEN, LADDER, (120, 20)), (LADDER, cubic(10, 4), (20, None))],
)
def test_values_of_connected_graphs_are_their_automorphisms(ours, theirs, automorphisms):
    values = assert_values(graph(ours), graph(theirs, shuffle=1), small=False)
    assert values[0] == [automorphisms[0], 0]
    assert values[1][0] == 0
    assert automorphisms[1] is None or values[1][1] == automorphisms[1]


def test_coverings_of_several_sheets_are_counted():
    """The cube covers the complete graph by 24 maps with two sheets; a copy of it has 24 maps onto either copy."""
    assert assert_values(graph(CUBE), graph(both(K4), shuffle=1), small=False) == [[48, 0], [48, 48**2]]


@pytest.mark.parametrize("edges", [THETA, NECKLACE, K4, PRISM, PETERSEN, both(K4), [*THETA, (2, 2), (2, 3), (3, 3)]])
def test_isomorphic_graphs_have_equal_values(edges):
    sides = graph(edges), graph(edges, shuffle=3)
    assert all(left == right > 0 for *_, (left, right) in points(*sides))
    assert covering_search(wiring_of(*sides)) is None
    assert not wiring_of(*sides).differ()


KINDS = ({}, {"symmetric": True}, {"antisymmetric": True})


def random_side(random, symbols):
    """Return a closed network of given tensors, legs joined at random, perhaps scaled or added to another."""
    stubs = [slot for k, symbol in enumerate(symbols) for slot in [k] * len(symbol.legs)]
    names = [f"i{k}" for k in range(len(stubs) // 2)] * 2
    random.shuffle(names)
    taken = iter(names)
    factors = [symbol[tuple(Index(next(taken), V) for _ in symbol.legs)] for symbol in symbols]
    random.shuffle(factors)
    idle = [Index("idle", V)] * (random.random() < 0.2)
    return mul(
        as_expr(random.choice([1, 1, 2, Fraction(-1, 3)])),
        bind((*V.indices(" ".join(set(names))), *idle), mul(*factors)),
    )


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_values_of_random_networks_agree_with_plain_sums(seed):
    random = Random(seed)
    made = {}
    for name in "AB":
        degree = random.randint(1, 3)
        made[name] = ta.tensor(name, [V] * degree, **(random.choice(KINDS) if degree > 1 else {}))
    symbols = [made[random.choice("AB")] for _ in range(random.randint(1, 3))]
    symbols += symbols[:1] * (sum(len(s.legs) for s in symbols) % 2)
    if sum(len(s.legs) for s in symbols) % 2:
        symbols = symbols + symbols

    def side():
        parts = [random_side(random, symbols) for _ in range(random.randint(1, 2))]
        return ta.define((), add(*parts))

    left, right = side(), side()
    small = sum(len(symbol.legs) for symbol in symbols) <= 6
    assert_values(left, right, small)
    found = covering_search(wiring_of(left, right))
    if found is not None and small:
        tensors = {name: orthonormal(tensor) for name, tensor in found.tensors.items()}
        assert plain_sum(left, found.sizes, tensors) == (found.lhs, 0) != (found.rhs, 0)
        assert plain_sum(right, found.sizes, tensors) == (found.rhs, 0)


def test_antisymmetric_tensors_bring_signs():
    W = ta.tensor("W", [V, V, V], antisymmetric=True)
    i, j, k = V.indices("i j k")
    left, right = (ta.define((), (W[i, j, k] * other).sum(i, j, k)) for other in (W[i, j, k], W[k, j, i]))
    assert assert_values(left, right) == [[12, -12], [-12, 12]]


I = {"i,j,k,l": "n"}


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ("A[i,j]*x[j]", "i"),
        ("A[i,j]*A[j,k]*A[k,j]*x[i]", ""),
        ("c[]*A[i,i]", ""),
        ("delta[i,j]*A[i,j]", ""),
        ("A[i,j]*exp(A[j,i])", ""),
    ],
)
def test_other_claims_are_left_to_other_witnesses(text, free):
    side = ta.parse(text, I, free=free)
    assert wiring_of(side, ta.define(side.legs, side.body * 2)) is None


def test_facts_and_fixed_sizes_are_kept():
    i, j = V.indices("i j")
    P = ta.tensor("P", V @ V, positive=True)
    assert wiring_of(ta.define((), (P[i, j] * P[i, j]).sum(i, j)), ta.define((), (P[i, j] * P[j, i]).sum(i, j))) is None
    A = ta.tensor("A", V @ V)
    sides = ta.define((), (A[i, j] * A[i, j]).sum(i, j)), ta.define((), (A[i, j] * A[j, i]).sum(i, j))
    for size, found in ((3, None), (4, {"n": 4}), (7, {"n": 7})):
        witness = covering_search(wired(state(*sides, [], {"n": size}).claim))
        assert (witness and witness.sizes) == found


@pytest.mark.parametrize("edges", [cubic(16, 1), [*brick_wall(4, 4), (0, 15)]], ids=["cubic", "wall"])
def test_witnesses_of_small_networks_are_confirmed_by_plain_sums(edges):
    left, right = graph(edges), graph(rewired(edges, 2), shuffle=3)
    witness = covering_search(wiring_of(left, right))
    recounted = [paired_sum(side, witness.sizes, witness.tensors) for side in (left, right)]
    assert recounted == [witness.lhs, witness.rhs]
    assert witness.lhs != witness.rhs


# whole claims


def wall(size):
    return brick_wall(size // 10, 10)


@pytest.mark.parametrize("made", [lambda size: cubic(size, 1), wall], ids=["cubic", "wall"])
@pytest.mark.parametrize("size", [100, 300])
def test_near_misses_of_like_symmetric_tensors_are_refuted(made, size):
    edges = made(size)
    left, right = graph(edges), graph(rewired(edges, 2), shuffle=3)
    verdict = ta.prove(left, right)
    witness = verdict.counterexample
    assert verdict.status == "refuted"
    assert witness.basis == "paired"
    assert witness.lhs != witness.rhs
    assert ta.prove(left, graph(edges, shuffle=3)).status == "proved"


def test_a_complex_witness_says_what_it_is():
    edges = cubic(100, 1)
    verdict = ta.prove(graph(edges), graph(rewired(edges, 2), shuffle=3))
    for style in ("text", "latex"):
        shown = verdict.explain(style)
        assert "complex witness" in shown
        assert "h = x + iy" in shown
        assert "differ at some real point" in shown
    assert json.loads(json.dumps(verdict.counterexample.to_json()))["basis"] == "paired"
    i, j = V.indices("i j")
    A = ta.tensor("A", V @ V)
    real = ta.prove(ta.define((), A[i, j].sum(i, j)), ta.define((), A[i, i].sum(i)))
    assert real.counterexample.to_json()["basis"] == "orthonormal"
    assert "complex" not in real.explain()


def test_small_networks_have_real_witnesses():
    edges = cubic(30, 2)
    verdict = ta.prove(graph(edges), graph(rewired(edges, 7), shuffle=3))
    assert verdict.status == "refuted"
    assert verdict.counterexample.basis == "orthonormal"


def test_regular_networks_that_colours_cannot_tell_apart_are_not_proved():
    """Strongly regular graphs of equal parameters: the 4 x 4 rook's graph and the Shrikhande graph."""
    cells = list(product(range(4), repeat=2))
    number = {cell: k for k, cell in enumerate(cells)}
    rook = [(number[a], number[b]) for a in cells for b in cells if a < b and (a[0] == b[0]) != (a[1] == b[1])]
    steps = [(0, 1), (1, 0), (1, 1)]
    other = [(number[a], number[(a[0] + s) % 4, (a[1] + t) % 4]) for a in cells for s, t in steps]
    left, right = graph(rook), graph(other, shuffle=1)
    assert ta.prove(left, right).status != "proved"
