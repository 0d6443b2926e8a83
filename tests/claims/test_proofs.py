"""Claim files about linear algebra, scores, costs, published streams: every claim gets the verdict it expects."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tensoralg.claims import FileReport, run
from tensoralg.claims.claim import Equation
from tensoralg.claims.collect import load_claims

PROOFS = Path(__file__).resolve().parents[2] / "proofs"


FILES = {  # how many claims are proved, refuted and run as kernels, at least
    "linear_algebra": (25, 9, 4),
    "euclidean": (25, 9, 4),
    "determinants": (25, 9, 4),
    "kronecker": (25, 9, 4),
    "multilinear": (25, 9, 4),
    "block_matrices": (6, 2, 2),
    "universal_property": (25, 9, 12),
    "gradients": (28, 4, 24),
    "complexity": (100, 4, 0),
    "streaming": (150, 9, 0),
    "streaming_published": (50, 9, 0),
    "streaming_published_sums": (30, 8, 6),
}


@pytest.fixture(scope="module", params=FILES)
def report(request: pytest.FixtureRequest) -> FileReport:
    (file,) = run([PROOFS / f"{request.param}.py"]).files
    return file


def test_every_claim_runs(report: FileReport) -> None:
    assert report.errors == ()
    proved, refuted, _ = FILES[Path(report.file).stem]
    expected = [result.expected for result in report.results]
    assert expected.count("proved") >= proved
    assert expected.count("refuted") >= refuted


def test_every_claim_is_as_expected(report: FileReport) -> None:
    wrong = {result.name: result.faults for result in report.results if not result.as_expected}
    assert not wrong


def test_kernels_stay_within_their_bounds(report: FileReport) -> None:
    kernels = [result.kernel for result in report.results if result.kernel is not None]
    assert len(kernels) >= FILES[Path(report.file).stem][2]
    assert all(kernel.ok and kernel.error <= kernel.bound for kernel in kernels)


NO_OPERATORS = {  # claims of the Deep Tensor Network that state no operator with a cost
    "factors_through_the_tensor_product_exist",
    "factors_through_the_tensor_product_are_unique",
    "the_dot_product_is_the_form_of_the_metric",
}


def test_every_operator_of_the_deep_tensor_network_is_priced() -> None:
    operators = [claim for claim in load_claims(PROOFS / "deep_tensor_network.py") if claim.expected == "proved"]
    stated = {claim.name for claim in operators if isinstance(claim.statement(), Equation)}
    (module,) = {
        id(c.function.__globals__): c.function.__globals__ for c in load_claims(PROOFS / "complexity.py")
    }.values()
    rows = module["OPERATORS"]
    assert {name for row in rows for name in (row.claim, *row.also)} == stated - NO_OPERATORS


PUBLISHED = {claim.name: claim for claim in load_claims(PROOFS / "streaming_published.py")}


SMALL = [name for name, claim in PUBLISHED.items() if claim.expected == "refuted" and "third_order" not in name]


@pytest.mark.parametrize("name", SMALL)
def test_published_merges_fail_in_one_dimension(name: str) -> None:
    witness = PUBLISHED[name].statement().decide().counterexample
    assert witness.sizes == {"d": 1, "e": 1}


def test_two_tokens_of_ones_merge_to_one_half() -> None:
    merged, serial = PUBLISHED["two_tokens_merge_to_their_serial_state_at_one_half"].statement().claim()[:2]
    ones = {name: [1] for name in merged.tensors if name != "gamma"}
    assert merged.evaluate(gamma=Fraction(1, 2), **ones).tolist() == [[Fraction(1, 2)]]
    assert serial.evaluate(gamma=Fraction(1, 2), **ones).tolist() == [[1]]
