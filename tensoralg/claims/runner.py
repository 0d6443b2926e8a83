"""Running claims: decide each, price it, run its kernel, and see that its mutation fails.

A claim is *as expected* when its verdict is the expected one, its kernel (if it has one) is within its
error bound, and its mutation (if it names one) is refuted.  What a
claim file raises is reported, and the other files and claims still run.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tensoralg import claims as room
from tensoralg.claims.claim import Claim, Equation
from tensoralg.claims.collect import claim_files, load_claims
from tensoralg.claims.report import ClaimResult, FileError, FileReport, Report
from tensoralg.errors import TensoralgError
from tensoralg.plan import cost, plan
from tensoralg.plan.blocks import has_arrays
from tensoralg.proof import check, write_certificate
from tensoralg.show import progress

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """What a piece of foreign code raised."""

    message: str


def attempt(path: Path, work: Callable[[], Result]) -> Result | Failure:
    """Return what `work` returns, or what it raised as a message that names the line in the file at `path`.

    What it prints goes to standard error, so that standard output holds the report alone.
    """
    try:
        with redirect_stdout(sys.stderr):
            return work()
    except TensoralgError as error:
        return Failure(f"{_line(path, error)}{type(error).__name__}: {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a claim file may raise anything)
        said = "".join(traceback.format_exception_only(error)).strip()
        return Failure(f"{_line(path, error)}{said}{_elsewhere(path, error)}")


def _line(path: Path, error: BaseException) -> str:
    """Return the line of the file at which the error came up, if it came up there at all."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.absolute())]
    return f"line {lines[-1]}: " if lines else ""


def _elsewhere(path: Path, error: BaseException) -> str:
    """Return where the error was raised, if that is outside the file."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "" if last.filename == str(path.absolute()) else f"\n  raised in {last.filename}, line {last.lineno}"


def run_claim(claim: Claim, file: str) -> ClaimResult:
    """Decide a claim, price and run its left side, and try its mutation."""
    begun = time.perf_counter()
    statement = claim.statement()
    verdict = statement.decide()
    faults = [] if verdict.status == claim.expected else [f"expected {claim.expected}, but it is {verdict.status}"]
    proof = getattr(verdict, "certificate", None)
    if proof is not None and not check(proof, statement.claim() if isinstance(statement, Equation) else None):
        faults.append("its certificate is not valid")
    before = after = kernel = None
    if isinstance(statement, Equation):
        runs = claim.kernel and claim.expected == "proved"
        priced = runs or has_arrays(statement.lhs)
        before = str(cost(statement.lhs, order="written").flops) if priced else None
        operator = room.kernels.compiled(statement.lhs, claim.sizes) if runs else None
        if priced:
            planned = plan(statement.lhs) if operator is None or operator.plan.sizes else operator.plan
            after = str(planned.flops)
        if operator is not None:
            kernel = room.kernels.run_kernel(operator, claim.sizes)
            if not kernel.ok:
                faults.append(f"the kernel is off by {kernel.error}, but rounding explains only {kernel.bound}")
    mutated = claim.mutated()
    if mutated is not None and (status := mutated.decide().status) != "refuted":
        faults.append(f"its mutation is {status} and not refuted")
    return ClaimResult(
        name=claim.name,
        file=file,
        source=claim.source,
        expected=claim.expected,
        status=verdict.status,
        seconds=time.perf_counter() - begun,
        flops_before=before,
        flops_after=after,
        kernel=kernel,
        certificate=proof,
        reason=verdict.explain(),
        faults=tuple(faults),
    )


def run_file(path: Path, claims: tuple[Claim, ...] | Failure, begin: Callable[[str], None]) -> FileReport:
    """Run the claims of a file; what cannot be run is reported beside the results."""
    name = str(path)
    if isinstance(claims, Failure):
        return FileReport(name, (), (FileError(name, claims.message),))
    results, errors = [], []
    for claim in claims:
        begin(claim.name)
        outcome = attempt(path, lambda claim=claim: run_claim(claim, name))  # type: ignore[misc]
        if isinstance(outcome, Failure):
            errors.append(FileError(name, f"claim {claim.name}: {outcome.message}"))
        else:
            results.append(outcome)
    return FileReport(name, tuple(results), tuple(errors))


def run(paths: Iterable[Path], *, show_progress: bool = False) -> Report:
    """Run all claims in the given files and folders.

    Parameters
    ----------
    paths : iterable of Path
        Python files, and folders that hold some.
    show_progress : bool
        Whether to draw a progress bar where standard error is a terminal.
    """
    files = list(claim_files(paths))
    loaded = [attempt(path, lambda path=path: load_claims(path)) for path in files]  # type: ignore[misc]
    total = sum(len(claims) for claims in loaded if not isinstance(claims, Failure))
    with progress(total, enabled=show_progress) as begin:
        return Report(tuple(run_file(path, claims, begin) for path, claims in zip(files, loaded, strict=True)))


def write_certificates(report: Report, folder: Path) -> Report:
    """Write the certificate of every proof to ``folder/FILE/CLAIM.json``; return the report with the paths.

    FILE is the path of the claim file below the folder that all claim files of the report share.
    """
    parents = [str(Path(file.file).absolute().parent) for file in report.files]
    shared = Path(os.path.commonpath(parents)) if parents else Path()

    def written(result: ClaimResult) -> ClaimResult:
        if result.certificate is None:
            return result
        below = Path(result.file).absolute().relative_to(shared).with_suffix("")
        path = folder / below / f"{result.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_certificate(result.certificate, path)
        return replace(result, certificate=str(path))

    files = (replace(file, results=tuple(map(written, file.results))) for file in report.files)
    return Report(tuple(files))
