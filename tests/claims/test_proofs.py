"""The claim files about linear algebra: every claim gets the verdict that its file expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensoralg.claims import FileReport, run

PROOFS = Path(__file__).resolve().parents[2] / "proofs"


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
    assert not wrong


def test_kernels_stay_within_their_bounds(report: FileReport) -> None:
    kernels = [result.kernel for result in report.results if result.kernel is not None]
    assert len(kernels) >= 4
    assert all(kernel.ok and kernel.error <= kernel.bound for kernel in kernels)
