"""The claim files about linear algebra: every claim gets the verdict that its file expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensoralg.claims import FileReport, run

PROOFS = Path(__file__).resolve().parents[2] / "proofs"
# True claims that are answered unknown so far: they need general hypotheses, or components at larger cost.
UNDECIDED = {
    "linear_algebra": {"a_factor_pushes_through_an_inverse", "woodbury", "sherman_morrison_with_the_reciprocal"},
    "euclidean": {
        "householder_reflections_are_involutions",
        "householder_reflections_turn_their_vector_round",
        "householder_reflections_keep_the_norm",
    },
    "determinants": {
        "cayley_hamilton_in_three_dimensions",
        "squared_commutators_are_scalar_in_two_dimensions",
        "amitsur_levitzki_in_two_dimensions",
    },
}


@pytest.fixture(scope="module", params=["linear_algebra", "euclidean", "determinants", "kronecker", "multilinear"])
def report(request: pytest.FixtureRequest) -> FileReport:
    (file,) = run([PROOFS / f"{request.param}.py"]).files
    return file


def test_every_claim_runs(report: FileReport) -> None:
    assert report.errors == ()
    expected = [result.expected for result in report.results]
    assert expected.count("proved") >= 25
    assert expected.count("refuted") >= 9


def test_every_claim_is_as_expected(report: FileReport) -> None:
    wrong = {result.name: result.faults for result in report.results if not result.as_expected}
    assert set(wrong) == UNDECIDED.get(Path(report.file).stem, set()), wrong


def test_undecided_claims_are_not_called_false(report: FileReport) -> None:
    statuses = {result.name: result.status for result in report.results}
    names = UNDECIDED.get(Path(report.file).stem, set())
    assert {statuses[name] for name in names} <= {"unknown", "proved"}


def test_kernels_stay_within_their_bounds(report: FileReport) -> None:
    kernels = [result.kernel for result in report.results if result.kernel is not None]
    assert len(kernels) >= 4
    assert all(kernel.ok and kernel.error <= kernel.bound for kernel in kernels)
