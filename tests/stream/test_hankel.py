"""Ranks of Hankel matrices against theory, and against matrices of plain loops with ranks over the rationals."""

import itertools
from fractions import Fraction
from math import comb
from random import Random

import flint
import pytest
from exact import Evaluator
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.errors import (
    EvaluationError,
    InvalidExpression,
    InvalidSize,
    MissingSize,
    NotStreamable,
    Undecided,
    UnknownSize,
)
from tensoralg.stream.hankel import certified_rank, growing_rank, hankel_rank

INDICES = {"i,j,r,s,t": "n ordered", "f,g,h": "d", "v": "e", "p,q": 2}
FIRST = "O[t,v] = le[s,t]*Q[t,f]*K[s,f]*V[s,v]"
SECOND = "O[t,v] = le[i,t]*le[i,j]*le[j,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*V[j,v]"
COUPLED = "O[t] = le[s,t]*exp(q[t]*k[s])*v[s]"


def read(text, **more):
    return ta.parse(text, indices=INDICES, **more)


def rank(text, sizes=None, tensors=None, **options):
    definition = read(text, tensors=tensors)
    return hankel_rank(definition, definition.legs[0].space, sizes or {}, **options)


def growth(text, sizes=None, tensors=None, **options):
    definition = read(text, tensors=tensors)
    return dict(growing_rank(definition, definition.legs[0].space, sizes or {}, **options))


def rank_over_the_rationals(rows):
    """Return the rank by Gaussian elimination, one column after the other."""
    rows = [[Fraction(x) for x in row] for row in rows]
    found = 0
    for column in range(len(rows[0])):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column]), None)
        if pivot is not None:
            rows[found], rows[pivot] = rows[pivot], rows[found]
            for r in range(found + 1, len(rows)):
                ratio = rows[r][column] / rows[found][column]
                rows[r] = [x - ratio * y for x, y in zip(rows[r], rows[found], strict=True)]
            found += 1
    return found


def hankel_by_loops(text, sizes, tensors, constants, lengths, count, seed):
    """Return the Hankel matrix at random integers; `tensors` has the shape of what each token brings."""
    definition = read(text, tensors={name: " ".join(["n", *legs]) for name, legs in tensors.items()} | constants)
    evaluator = Evaluator(definition)
    random = Random(seed)

    def filled(legs):
        return random.randint(-9, 9) if not legs else [filled(legs[1:]) for _ in range(sizes[legs[0]])]

    fixed = {name: filled(legs.split()) for name, legs in constants.items()}
    extents = [sizes[str(leg.space.dimension)] for leg in definition.legs[1:]]

    def sequences():
        return [
            [{x: filled(legs) for x, legs in tensors.items()} for _ in range(k)] for k in lengths for _ in range(count)
        ]

    def last(tokens):
        values = fixed | {name: [token[name] for token in tokens] for name in tensors}
        at = sizes | {"n": len(tokens)}
        return [
            evaluator.at(at, values, (len(tokens) - 1, *place)) for place in itertools.product(*map(range, extents))
        ]

    futures = sequences()
    return [
        [x - y for future in futures for x, y in zip(last(past + future), last(future), strict=True)]
        for past in sequences()
    ]


@pytest.mark.parametrize(("d", "e"), [(1, 1), (2, 2), (3, 4)])
def test_first_order_keeps_a_matrix(d, e):
    assert rank(FIRST, {"d": d, "e": e}) == d * e


@pytest.mark.parametrize(("d", "e"), [(2, 1), (3, 1), (2, 2), (3, 2)])
def test_second_order_keeps_a_symmetric_matrix_and_another(d, e):
    assert rank(SECOND, {"d": d, "e": e}) == d * (d + 1) // 2 + d * e


def test_a_power_keeps_symmetric_tensors():
    assert rank("O[t] = le[s,t]*pow(sum(f: Q[t,f]*K[s,f]), 3)", {"d": 3}) == comb(5, 3)


@pytest.mark.parametrize("gate", ["", "n"])
def test_a_moving_average_keeps_one_number_per_channel(gate):
    assert rank("O[t] = decay(a)[t,s]*x[s]", tensors={"a": gate, "x": "n"}) == 1
    assert rank("O[t,v] = decay(a)[t,s]*x[s,v]", {"e": 3}, {"a": gate, "x": "n e"}) == 3


def test_gates_by_channel_and_matrices_of_gates():
    assert rank("O[t,v] = decay(a)[t,s,v]*x[s,v]", {"e": 3}, {"a": "n e"}) == 3
    assert rank("O[t] = q[t,f]*decay(a)[t,s,f,g]*x[s,g]", {"d": 3}, {"a": "n d d"}) == 3
    assert rank("O[t,f] = decay(a)[t,s,f,g]*x[s,g]", {"d": 2}) == 2


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_window_keeps_all_but_its_last_token(width):
    assert rank("O[t] = near[s,t,d]*q[t]*x[s]", {"d": width}) == width - 1


def test_what_needs_no_state_or_only_a_clock():
    assert rank("O[t] = q[t]*x[t] + 7") == 0
    assert rank("O[t] = le[s,t]*q[t]") == 1
    assert rank("O[t,v] = le[s,t]*Q[t,f]*(K[s,f] - K[s,f])*V[s,v]", {"d": 2, "e": 2}) == 0


def test_a_quotient_is_no_affine_output_but_its_parts_are():
    parts = [read("N[t,v] = le[s,t]*Q[t,f]*K[s,f]*V[s,v]"), read("Z[t] = le[s,t]*Q[t,f]*K[s,f]")]
    time = parts[0].legs[0].space
    assert hankel_rank(parts, time, {"d": 2, "e": 3}) == 2 * 3 + 2
    assert rank("O[t] = le[s,t]*x[s]/sum(r: le[r,t]*k[r])", pasts=5, futures=5, longest=1) == 5


def test_declared_facts_hold_for_the_draws():
    text = "O[t] = le[s,t]*Q[t,f,g]*K[s,f,g]"
    for symmetry, size in (({}, 9), ({"K": ("sym", (1, 2))}, 6), ({"K": ("antisym", (1, 2))}, 3)):
        definition = read(text, symmetry=symmetry)
        assert hankel_rank(definition, definition.legs[0].space, {"d": 3}) == size
    T, F = ta.Space("T", "n", ordered=True), ta.Space("F", "d")
    (s, t), (f, g, h) = T.indices("s t"), F.indices("f g h")
    Q, K = ta.tensors("Q K", T @ F)
    U, A = ta.tensor("U", F @ F, isometry=True), ta.tensor("A", F @ F)
    B = ta.tensor("B", F @ F, inverse_of=A)
    turned = ta.le[s, t] * Q[t, f] * K[s, g]
    for kept in (U[h, f] * U[h, g], A[f, h] * B[h, g]):
        assert hankel_rank(ta.define((t,), turned * kept - turned * ta.delta[f, g]), T, {"d": 3}) == 0
        assert hankel_rank(ta.define((t,), turned * kept), T, {"d": 3}) == 3


def test_legs_that_are_addressed_otherwise_than_by_one_index_each():
    assert rank("O[t] = le[s,t]*q[t]*K[s,f,f]", {"d": 3}) == 1
    assert rank("O[t] = le[s,t]*Q[t,f]*K[s,f,f]", {"d": 3}) == 3
    T, F, G = ta.Space("T", "n", ordered=True), ta.Space("F", "d"), ta.Space("G", "e")
    (s, t), f, g = T.indices("s t"), F.index("f"), G.index("g")
    Q, X = ta.tensor("Q", T @ F), ta.tensor("X", [T, F @ G])
    split = ta.define((t, g), (ta.le[s, t] * Q[t, f] * X[s, (f, g)]).sum(s, f))
    assert hankel_rank(split, T, {"d": 2, "e": 3}) == 6
    assert dict(growing_rank(split, T, {"d": 2, "e": 3}, counts=(8,))) == {8: 6}


def test_roots_of_sizes():
    scaled = "O[t,v] = le[s,t]*Q[t,f]*K[s,f]*V[s,v]/sqrt(d) - le[s,t]*Q[t,f]*K[s,f]*V[s,v]/2"
    assert rank(scaled, {"d": 4, "e": 1}) == 0
    assert rank(scaled, {"d": 9, "e": 1}) == 9
    with pytest.raises(Undecided, match="sqrt"):
        rank(scaled, {"d": 3, "e": 1})


@pytest.mark.parametrize(
    ("text", "sizes", "tensors", "constants"),
    [
        (FIRST, {"d": 2, "e": 1}, {"Q": "d", "K": "d", "V": "e"}, {}),
        (SECOND, {"d": 2, "e": 1}, {"Q": "d", "K": "d", "V": "e"}, {}),
        ("O[t] = decay(a)[t,s]*q[t]*x[s] + le[s,t]*b[s]", {}, {"a": "", "q": "", "x": "", "b": ""}, {}),
        ("O[t,f] = decay(a)[t,s,f,g]*x[s,g]", {"d": 2}, {"x": "d", "a": "d d"}, {}),
        ("O[t] = lt[i,j]*lt[j,t]*x[i]*y[j]*c[]", {}, {"x": "", "y": ""}, {"c": ""}),
        ("O[t] = near[i,t,2]*x[i]*q[t] + le[i,j]*le[j,t]*y[j]*x[i]", {}, {"x": "", "y": "", "q": ""}, {}),
    ],
)
def test_the_rank_is_that_of_a_matrix_of_loops(text, sizes, tensors, constants):
    tensors = {name: legs.split() for name, legs in tensors.items()}
    rows = hankel_by_loops(text, sizes, tensors, constants, lengths=(1, 2), count=5, seed=1)
    declared = {name: " ".join(["n", *legs]) for name, legs in tensors.items()} | constants
    assert rank(text, sizes, declared) == rank_over_the_rationals(rows)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
def test_few_sequences_never_give_too_much(d, pasts, futures, seed):
    found = rank(FIRST, {"d": d, "e": 2}, pasts=pasts, futures=futures, seed=seed, longest=1)
    assert found == min(2 * d, pasts, 2 * futures)


def test_a_small_prime_gives_a_lower_bound():
    for prime in (2, 3, 5):
        assert rank(SECOND, {"d": 2, "e": 2}, prime=prime) <= 7


def test_a_coupling_that_grows():
    full = {1: 1, 2: 2, 4: 4, 8: 8}
    assert growth(COUPLED) == full
    assert growth("O[t] = le[s,t]*v[s]/(q[t] + k[s])") == full
    assert growth("O[t] = le[s,t]*sqrt(q[t] + k[s])*v[s]") == full
    assert growth("O[t,v] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,v]", {"d": 2, "e": 2}) == full
    assert growth("O[t] = lt[i,j]*lt[j,t]*exp(k[i]*q[t])*v[j]") == full
    assert growth("O[t] = le[s,t]*log(q[t] + k[s])*v[s]", counts=(3,)) == {3: 3}


def test_what_does_not_grow():
    assert growth("O[t] = le[s,t]*exp(k[s])*v[s]") == {1: 1, 2: 1, 4: 1, 8: 1}
    assert growth("O[t] = le[s,t]*exp(q[t])*exp(k[s])*v[s]") == {1: 1, 2: 1, 4: 1, 8: 1}
    assert growth("O[t] = le[s,t]*exp(q[t] + k[s])*v[s]") == {1: 1, 2: 1, 4: 1, 8: 1}
    assert growth("O[t] = le[s,t]*relu(q[t]*k[s])*v[s]", counts=(8,)) == {8: 2}
    assert growth(FIRST, {"d": 2, "e": 2}) == {1: 1, 2: 2, 4: 4, 8: 4}
    assert growth("O[t] = exp(q[t])*x[t]") == {1: 0, 2: 0, 4: 0, 8: 0}
    assert growth("O[t,v] = decay(gamma)[t,s]*x[s,v]*exp(c[])", {"e": 2}, {"gamma": ""}) == {1: 1, 2: 2, 4: 2, 8: 2}


def test_ball_and_residues_agree_where_both_apply():
    for text, sizes in ((FIRST, {"d": 2, "e": 3}), (SECOND, {"d": 2, "e": 1})):
        assert growth(text, sizes, counts=(8,)) == {8: rank(text, sizes)}


def test_a_definition_that_is_undefined_everywhere():
    with pytest.raises(EvaluationError, match="log of a number"):
        growth("O[t] = le[s,t]*log(-k[s]*k[s])*v[s]")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3), st.randoms(use_true_random=False))
def test_certified_rank_of_numbers_is_the_rank(rows, columns, inner, random):
    left = [[random.randint(-2, 2) for _ in range(inner)] for _ in range(rows)]
    right = [[Fraction(random.randint(-2, 2), 3) for _ in range(columns)] for _ in range(inner)]
    matrix = [[sum(left[i][k] * right[k][j] for k in range(inner)) for j in range(columns)] for i in range(rows)]
    assert certified_rank(matrix) == rank_over_the_rationals(matrix)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(0, 3), st.randoms(use_true_random=False))
def test_certified_rank_of_balls_is_never_too_large(size, inner, random):
    """Every ball contains an entry of a matrix of known rank; with wide balls less may be certified."""
    left = [[random.randint(-2, 2) for _ in range(inner)] for _ in range(size)]
    right = [[random.randint(-2, 2) for _ in range(size)] for _ in range(inner)]
    matrix = [[sum(left[i][k] * right[k][j] for k in range(inner)) for j in range(size)] for i in range(size)]
    true = rank_over_the_rationals(matrix)
    for radius, enough in ((Fraction(1, 2**80), True), (Fraction(1, 2), False)):
        balls = [[flint.arb(x, flint.arb(float(radius))) for x in row] for row in matrix]
        found = certified_rank(balls)
        assert found == true if enough else found <= true


def test_functions_need_a_tensor_of_their_own():
    with pytest.raises(Undecided, match="replace a function of one token"):
        rank("O[t] = le[s,t]*exp(k[s])*v[s]")


@pytest.mark.parametrize("find", [hankel_rank, growing_rank])
def test_errors(find):
    definition = read(FIRST)
    time = definition.legs[0].space
    with pytest.raises(MissingSize, match="no size for dimension e"):
        find(definition, time, {"d": 2})
    with pytest.raises(UnknownSize, match="'n'"):
        find(definition, time, {"d": 2, "e": 2, "n": 3})
    with pytest.raises(InvalidExpression, match="no definition"):
        find([], time, {})
    with pytest.raises(InvalidExpression, match="no leg over"):
        find(read("O[v] = sum(t: V[t,v])"), time, {"e": 2})
    with pytest.raises(InvalidExpression, match="otherwise than by one leg"):
        find(read("O[t] = le[s,t]*A[t,s]"), time, {})
    with pytest.raises(InvalidExpression, match="otherwise than by one leg"):
        find(read("O[t,s] = le[s,t]*x[s]"), time, {})
    with pytest.raises(InvalidExpression, match="different lengths"):
        find(read("O[p] = x[p]"), ta.Space("2", 2), {})
    fixed = ta.tensor("U", time @ time, permutation=True)
    s, t = time.indices("s t")
    with pytest.raises(InvalidExpression, match="otherwise than by one leg"):
        find(ta.define((t,), fixed[t, s]), time, {})
    slanted = ta.tensor("U", time @ ta.Space("F", "d"), isometry=True)
    f = ta.Space("F", "d").index("f")
    with pytest.raises(InvalidExpression, match="relates different tokens"):
        find(ta.define((t,), slanted[t, f]), time, {"d": 2})


def test_counts_are_positive():
    with pytest.raises(InvalidSize, match="pasts = 0"):
        rank(FIRST, {"d": 2, "e": 2}, pasts=0)
    with pytest.raises(InvalidSize, match="longest = 0"):
        rank(FIRST, {"d": 2, "e": 2}, longest=0)
    with pytest.raises(InvalidSize, match=r"counts\[1\] = 0"):
        growth(FIRST, {"d": 2, "e": 2}, counts=(1, 0))


def test_a_rank_that_ends_later_does_not_make_a_stream_impossible() -> None:
    spaces = {"t,s": "n ordered"}
    ends = ta.parse("O[t] = le[s,t]*relu(pow(1 + q[t]*k[s], 8))*v[s]", spaces)
    with pytest.raises(NotStreamable) as found:
        ta.stream(ends)
    assert not found.value.proved  # relu changes nothing there, and 9 numbers suffice
    with pytest.raises(NotStreamable) as found:
        ta.stream(ta.parse("O[t] = le[s,t]*exp(q[t]*k[s])*v[s]", spaces))
    assert found.value.proved
    assert "no state of constant size exists" in str(found.value)
