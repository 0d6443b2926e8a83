"""Corrupted certificates: the checker says no, or what is stated is still true; it never raises."""

import copy
import itertools
from collections import Counter

import pytest
from corruption import CLAIMS, corruptions, differs, outcome, stated_claim, valid_certificates

import tensoralg as ta
from tensoralg.proof import refusal

COUNT = 400
HANG = 30.0  # no speed is tested here, only that an answer comes

check = ta.check


@pytest.fixture(scope="module")
def certificates():
    return valid_certificates()


def test_valid_certificates_are_accepted(certificates):
    assert [check(certificate) for certificate in certificates] == [True] * len(CLAIMS)


def test_what_a_certificate_states_can_be_read(certificates):
    for certificate in certificates:
        left, right, given, sizes = stated_claim(certificate)
        assert ta.prove(left, right, given=given, sizes=sizes or None)


@pytest.mark.parametrize("seed", range(4))
def test_no_corruption_is_accepted_or_crashes(certificates, seed):
    for corrupted in itertools.islice(corruptions(certificates, seed), COUNT // 4):
        found = outcome(check, corrupted, HANG)
        assert not found.fault, f"{corrupted.how}: {found.fault}\n{str(corrupted.text or '')[:300]}"


def test_a_reason_is_given_exactly_for_what_is_refused(certificates):
    for corrupted in itertools.islice(corruptions(certificates, 11), COUNT // 4):
        if corrupted.text is None:
            reason = refusal(corrupted.value)
            assert bool(reason) != check(corrupted.value), corrupted.how
            assert len(reason) < 200
            assert "\n" not in reason


def test_a_certificate_is_about_its_own_claim(certificates):
    """With `claim=` a valid certificate of another claim is refused."""
    claims = [(left, right, [], {}) for left, right, _, _ in map(stated_claim, certificates)]
    for k, certificate in enumerate(certificates):
        assert check(certificate, claim=claims[k])
        assert not check(certificate, claim=claims[k - 1])


def test_corruptions_change_the_certificate_and_leave_the_original_alone(certificates):
    before = copy.deepcopy(certificates)
    found = list(itertools.islice(corruptions(certificates, 0), 1000))
    assert certificates == before
    assert all(c.text is not None or all(differs(c.value, kept) for kept in before[:1]) for c in found)
    ways = Counter(corrupted.how for corrupted in found)
    assert len(ways) > 18, ways


def test_corruptions_are_determined_by_their_seed(certificates):
    first, second = ([(c.how, c.text) for c in itertools.islice(corruptions(certificates, 7), 300)] for _ in range(2))
    assert first == second


def test_a_checker_that_accepts_everything_or_raises_is_found_out(certificates):
    first = list(itertools.islice(corruptions(certificates, 0), 100))

    def careless(_):
        return True

    def fragile(_):
        raise KeyError("lhs")

    assert any(outcome(careless, corrupted, HANG).fault for corrupted in first)
    assert "KeyError" in outcome(fragile, first[0], HANG).fault
    assert not outcome(lambda _: False, first[0], HANG).fault
