"""Symmetries of states against exact values, and packed sizes against orbits counted by plain loops."""

import itertools
from fractions import Fraction
from math import comb, prod

import pytest
import sympy
from exact import Evaluator
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.errors import IndexConflict, InvalidExpression, LegCountMismatch, SpaceMismatch, UnknownName
from tensoralg.stream.symmetry import _generated, cycles, packed_size, symmetries

INDICES = {"i,j,t": "n ordered", "f,g,h,u,v,w,x": "d", "a,b": "m", "p,q": 2}
d, m = ta.dims("d m")
F, G = ta.Space("F", d), ta.Space("G", m)

PAIRS = "S[t,f,g,h,u] = sum(i: le[i,t]*A[i,f]*B[i,g])*sum(j: le[j,t]*A[j,h]*B[j,u])"
ANTISYMMETRIC = "S[t,f,g] = le[i,t]*A[i,f]*B[i,g] - le[i,t]*A[i,g]*B[i,f]"


def state(text):
    return ta.parse(text, indices=INDICES)


def group_of(text, legs):
    return dict(symmetries(state(text), tuple(legs)))


def size_of(text, legs):
    definition = state(text)
    spaces = {leg.name: leg.space for leg in definition.legs}
    return packed_size([spaces[name] for name in legs], symmetries(definition, tuple(legs)))


def parity(permutation):
    return (-1) ** sum(a > b for a, b in itertools.combinations(permutation, 2))


def generated(places, generators):
    """Return the group that signed permutations generate, by multiplying all pairs until nothing is new."""
    group = {tuple(range(places)): 1} | generators
    while True:
        products = {tuple(p[k] for k in q): s * r for p, s in group.items() for q, r in group.items()}
        if products.keys() <= group.keys():
            return group
        group |= products


def counted(sizes, group):
    """Return how many entries of a tensor with these symmetries are free, orbit by orbit."""
    seen, free = set(), 0
    for position in itertools.product(*map(range, sizes)):
        if position not in seen:
            images = [(tuple(position[k] for k in p), sign) for p, sign in group.items()]
            seen.update(image for image, _ in images)
            free += (position, -1) not in images
    return free


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_equal_factors_give_the_symmetric_power(count):
    legs = "fghuvw"[:count]
    text = f"S[t,{','.join(legs)}] = le[i,t]*" + "*".join(f"K[i,{leg}]" for leg in legs)
    group = group_of(text, legs)
    assert group == dict.fromkeys(itertools.permutations(range(count)), 1)
    size = size_of(text, legs)
    assert [size.subs(d, k) for k in range(1, 6)] == [comb(k + count - 1, count) for k in range(1, 6)]


def test_pairs_are_exchanged_as_a_whole():
    assert group_of(PAIRS, "fghu") == {(0, 1, 2, 3): 1, (2, 3, 0, 1): 1}
    assert size_of(PAIRS, "fghu") == sympy.expand((d**4 + d**2) / 2)


def test_pairs_over_different_spaces():
    text = "S[t,f,a,h,b] = sum(i: le[i,t]*A[i,f]*B[i,a])*sum(j: le[j,t]*A[j,h]*B[j,b])"
    assert group_of(text, "fahb") == {(0, 1, 2, 3): 1, (2, 3, 0, 1): 1}
    assert size_of(text, "fahb") == sympy.expand(((d * m) ** 2 + d * m) / 2)


def test_an_antisymmetric_state():
    assert group_of(ANTISYMMETRIC, "fg") == {(0, 1): 1, (1, 0): -1}
    assert size_of(ANTISYMMETRIC, "fg") == sympy.expand(d * (d - 1) / 2)


def test_a_cyclic_state_has_no_transposition():
    cyclic = "S[t,f,g,h] = le[i,t]*(A[i,f]*B[i,g]*C[i,h] + A[i,g]*B[i,h]*C[i,f] + A[i,h]*B[i,f]*C[i,g])"
    assert group_of(cyclic, "fgh") == {(0, 1, 2): 1, (1, 2, 0): 1, (2, 0, 1): 1}
    assert size_of(cyclic, "fgh") == sympy.expand((d**3 + 2 * d) / 3)


def test_legs_that_are_not_named_stay():
    text = "S[t,f,g,h] = le[i,t]*K[i,f]*K[i,g]*K[i,h]"
    assert group_of(text, "hf") == {(0, 1): 1, (1, 0): 1}
    assert group_of(text, "") == {(): 1}


def test_without_symmetry_and_between_different_spaces():
    assert group_of("S[t,f,g] = le[i,t]*A[i,f]*B[i,g]", "fg") == {(0, 1): 1}
    assert group_of("S[t,f,a] = le[i,t]*A[i,f]*B[i,a]", "fa") == {(0, 1): 1}
    assert size_of("S[t,f,a] = le[i,t]*A[i,f]*B[i,a]", "fa") == d * m


def test_dimensions_that_are_integers():
    assert size_of("S[t,p,q] = le[i,t]*K[i,p]*K[i,q]", "pq") == 3
    assert size_of("S[t,p,q] = le[i,t]*(A[i,p]*B[i,q] - A[i,q]*B[i,p])", "pq") == 1


@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_an_alternating_state_has_the_parities(count):
    legs = "fghuvw"[:count]
    definition = ta.parse(
        f"S[t,{','.join(legs)}] = le[i,t]*A[i,{','.join(legs)}]",
        indices=INDICES,
        symmetry={"A": ("antisym", tuple(range(1, count + 1)))},
    )
    group = symmetries(definition, tuple(legs))
    assert dict(group) == {p: parity(p) for p in itertools.permutations(range(count))}
    size = packed_size([F] * count, group)
    assert [size.subs(d, k) for k in range(1, 7)] == [comb(k, count) for k in range(1, 7)]


def test_the_state_zero_is_symmetric():
    assert set(group_of("S[t,f,g] = le[i,t]*(K[i,f]*L[i,g] - K[i,f]*L[i,g])", "fg").values()) == {1}


def test_signs_that_are_no_character_make_no_group():
    swap, turn = (1, 0, 2), (1, 2, 0)
    assert _generated((0, 1, 2), [(swap, -1), (turn, 1)]) == {p: parity(p) for p in itertools.permutations(range(3))}
    assert _generated((0, 1, 2), [(swap, -1), (turn, -1)]) is None
    assert _generated((0, 1, 2), [(swap, 1), (swap, -1)]) is None
    assert _generated(tuple(range(8)), [((1, 0, 2, 3, 4, 5, 6, 7), 1), ((1, 2, 3, 4, 5, 6, 7, 0), 1)]) is None


def test_a_state_that_no_sample_can_reach():
    """The logarithms are undefined at random integers, so that only proofs are left."""
    text = "S[t,f,g,h] = le[i,t]*log(A[i,f])*log(A[i,g])*log(B[i,h])"
    assert group_of(text, "fgh") == {(0, 1, 2): 1, (1, 0, 2): 1}


def test_many_legs_are_generated_by_transpositions():
    text = "S[t,f,g,h,u,v,w,x] = le[i,t]*K[i,f]*K[i,g]*K[i,h]*L[i,u]*L[i,v]*K[i,w]*L[i,x]"
    group = group_of(text, "fghuvwx")
    assert len(group) == 24 * 6
    assert all({p[k] for k in (0, 1, 2, 5)} == {0, 1, 2, 5} for p in group)


@pytest.mark.parametrize(
    ("text", "legs"),
    [
        (PAIRS, "fghu"),
        (ANTISYMMETRIC, "fg"),
        ("S[t,f,g,h] = le[i,t]*le[i,j]*le[j,t]*K[i,f]*K[j,g]*K[j,h]", "fgh"),
        ("S[t,f,g,h] = le[i,t]*(K[i,f]*K[i,g] + L[i,f]*L[i,g])*K[i,h]", "fgh"),
    ],
)
def test_the_group_is_the_one_seen_at_exact_values(text, legs):
    """At generic integers exactly the permutations of the group act as signs."""
    definition = state(text)
    evaluator = Evaluator(definition)
    draw = iter(range(1, 1000))
    tensors = {name: [[next(draw) ** 2 % 101 for _ in range(3)] for _ in range(3)] for name in "ABKL"}
    values = {
        place: evaluator.at({"n": 3, "d": 3}, tensors, place)
        for place in itertools.product(range(3), repeat=len(legs) + 1)
    }
    names = [leg.name for leg in definition.legs]
    slots = [names.index(leg) for leg in legs]

    def permuted(place, permutation):
        moved = list(place)
        for slot, image in zip(slots, permutation, strict=True):
            moved[slot] = place[slots[image]]
        return tuple(moved)

    seen = {}
    for permutation in itertools.permutations(range(len(legs))):
        for sign in (1, -1):
            if all(values[permuted(place, permutation)] == sign * value for place, value in values.items()):
                seen[permutation] = sign
    assert group_of(text, legs) == seen


@st.composite
def groups(draw):
    """Draw spaces, and a group of permutations of equal ones with the trivial character or the parity."""
    pattern = draw(st.lists(st.sampled_from("FG"), min_size=1, max_size=4))
    places = range(len(pattern))
    allowed = [p for p in itertools.permutations(places) if all(pattern[k] == pattern[p[k]] for k in places)]
    chosen = draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=2))
    signed = draw(st.booleans())
    return pattern, generated(len(pattern), {p: parity(p) if signed else 1 for p in chosen})


@settings(max_examples=60, deadline=None)
@given(groups(), st.integers(1, 3), st.integers(1, 3))
def test_packed_size_counts_orbits(drawn, small, large):
    pattern, group = drawn
    size = packed_size([{"F": F, "G": G}[name] for name in pattern], group.items())
    sizes = {"F": small, "G": large}
    assert size.subs({d: small, m: large}) == counted([sizes[name] for name in pattern], group)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)))
def test_cycles_make_up_the_permutation(permutation):
    image = {cycle[k - 1]: cycle[k] for cycle in cycles(permutation) for k in range(len(cycle))}
    assert [image[k] for k in range(6)] == permutation
    assert prod(Fraction(-1) ** (len(cycle) - 1) for cycle in cycles(permutation)) == parity(permutation)


def test_errors():
    definition = state("S[t,f,g] = le[i,t]*K[i,f]*K[i,g]")
    with pytest.raises(UnknownName, match="no leg 'h'"):
        symmetries(definition, ("f", "h"))
    with pytest.raises(IndexConflict, match="named twice"):
        symmetries(definition, ("f", "f"))
    with pytest.raises(SpaceMismatch, match="exchanges legs"):
        packed_size((F, G), [((1, 0), 1)])
    with pytest.raises(LegCountMismatch, match="no permutation of 2 legs"):
        packed_size((F, F), [((0, 1, 2), 1)])
    with pytest.raises(InvalidExpression, match="at least one element"):
        packed_size((F, F), [])
