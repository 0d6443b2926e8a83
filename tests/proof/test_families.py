"""Claims whose answer is a theorem: the verdict is right, and where a claim fails first it fails at that size."""

from random import Random

import pytest
from draws import draw
from exact import Evaluator, differ
from families import all_families, ordered_partitions
from fuzz import Case, Kind
from judgement import witness_fault

import tensoralg as ta

MEMBERS = {member.name: member for member in all_families()}


# true, and beyond the budget: n^(m+1) components; a name that is decided fails here, and leaves this table
TOO_LARGE = {
    *(f"(strict mask)^{m} = 0 at n = {m}" for m in range(5, 9)),
}


def case_of(member):
    return Case(Kind("known", sizes=member.sizes), member.left, member.right, member.status == "proved")


@pytest.mark.parametrize("name", MEMBERS)
def test_the_verdict_is_right(name):
    member = MEMBERS[name]
    verdict = ta.prove(member.left, member.right, sizes=member.sizes or None)
    assert verdict.status == ("unknown" if name in TOO_LARGE else member.status), verdict.explain()
    if verdict.status == "refuted":
        assert member.witness.items() <= verdict.counterexample.sizes.items()
        assert not witness_fault(case_of(member), verdict.counterexample)


def seen_to_differ(member, sizes):
    """Whether exact evaluation at some random tensors sees a difference."""
    case, random = case_of(member), Random(0)
    sides = [Evaluator(member.left), Evaluator(member.right, order=member.left.free)]
    for _ in range(3):
        tensors = draw(case, sizes, random)
        for point in sides[0].points(sizes):
            if differ(*(side.at(sizes, tensors, point) for side in sides)):
                return True
    return False


@pytest.mark.parametrize("name", MEMBERS)
def test_the_theorem_by_evaluation(name):
    """The table of answers itself is checked by plain loops, so that a slip in it is not a slip of the prover."""
    member = MEMBERS[name]
    if member.status == "proved":
        assert not any(seen_to_differ(member, {"d": 2, "n": n, **member.sizes}) for n in (1, 2, 3))
        return
    first = member.witness.get("n")
    tried = [{"d": 2, "n": n, **member.sizes} for n in range(1, (first or 4) + 1)]
    found = [sizes["n"] for sizes in tried if seen_to_differ(member, sizes)]
    assert found
    assert first is None or found == [first]


def test_ordered_set_partitions_are_fubini_many():
    assert [sum(1 for _ in ordered_partitions(tuple(range(m)))) for m in range(6)] == [1, 1, 3, 13, 75, 541]
