"""What came out of running claims: frozen results, as JSON and for reading."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TextIO

from tensoralg.errors import counted
from tensoralg.show import Column, print_table

COLUMNS = (
    Column("claim"),
    Column("verdict"),
    Column("as expected"),
    Column("FLOPs as written", "right"),
    Column("FLOPs planned", "right"),
    Column("error", "right"),
    Column("bound", "right"),
    Column("s", "right"),
)
WIDEST = 40  # characters of a polynomial that a table shows in full
STYLES = {"yes": "green", "NO": "bold red"}


@dataclass(frozen=True)
class Kernel:
    """How far a kernel was from its definition, and how far rounding can have taken it."""

    error: float
    bound: float
    ok: bool


@dataclass(frozen=True)
class ClaimResult:
    """What came out of one claim.

    Attributes
    ----------
    status : str
        ``"proved"``, ``"refuted"`` or ``"unknown"``.
    flops_before, flops_after : str or None
        The cost of the left side as written and in the best order, polynomials in the dimensions.
    kernel : Kernel or None
        The outcome of running the left side.
    certificate : Any
        The certificate of a proof, or the path to which it was written.
    reason : str
        The witness of a refutation, or what the verdict says of itself.
    faults : tuple of str
        Why the claim is not as expected; empty if it is.
    """

    name: str
    file: str
    source: str
    expected: str
    status: str
    seconds: float
    flops_before: str | None
    flops_after: str | None
    kernel: Kernel | None
    certificate: Any
    reason: str
    faults: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether nothing is wrong with the claim."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return the result as it stands in the report of ``tensoralg verify --json``."""
        return {
            "name": self.name,
            "file": self.file,
            "source": self.source,
            "expected": self.expected,
            "status": self.status,
            "as_expected": self.as_expected,
            "seconds": round(self.seconds, 3),
            "flops_before": self.flops_before,
            "flops_after": self.flops_after,
            "error": _finite(self.kernel.error) if self.kernel else None,
            "bound": _finite(self.kernel.bound) if self.kernel else None,
            "certificate": self.certificate if isinstance(self.certificate, str) else None,
        }

    def row(self) -> tuple[str, ...]:
        """Return the cells of the result's row."""
        kernel = self.kernel
        return (
            self.name,
            self.status,
            "yes" if self.as_expected else "NO",
            _polynomial(self.flops_before),
            _polynomial(self.flops_after),
            f"{kernel.error:.1e}" if kernel else "",
            f"{kernel.bound:.1e}" if kernel else "",
            f"{self.seconds:.2f}",
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinities


def _polynomial(text: str | None) -> str:
    """Return a polynomial as a person writes it, or how long it is."""
    shown = (text or "").replace("**", "^").replace("*", " ")
    if len(shown) <= WIDEST:
        return shown
    if shown.startswith("Min("):
        return f"least of {shown.count(',') + 1} polynomials"
    return f"a sum of {shown.count(' + ') + 1} terms"


@dataclass(frozen=True)
class FileError:
    """What could not be run: a file, or one claim in it."""

    file: str
    message: str


@dataclass(frozen=True)
class FileReport:
    """What came out of one file."""

    file: str
    results: tuple[ClaimResult, ...]
    errors: tuple[FileError, ...]


@dataclass(frozen=True)
class Report:
    """What came out of a run.

    Examples
    --------
    >>> Report((FileReport("a.py", (), (FileError("a.py", "no such file"),)),)).exit_code
    2
    """

    files: tuple[FileReport, ...]

    @property
    def results(self) -> tuple[ClaimResult, ...]:
        """The results of all claims, in order."""
        return tuple(result for file in self.files for result in file.results)

    @property
    def errors(self) -> tuple[FileError, ...]:
        """What could not be run, in order."""
        return tuple(error for file in self.files for error in file.errors)

    @property
    def exit_code(self) -> int:
        """0 if all is as expected, 1 if a claim is not, 2 if something could not be run."""
        return 2 if self.errors else 0 if all(result.as_expected for result in self.results) else 1

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``tensoralg verify --json`` prints it."""
        return {
            "claims": [result.to_json() for result in self.results],
            "errors": [{"file": error.file, "message": error.message} for error in self.errors],
        }

    def print(self, file: TextIO | None = None) -> None:
        """Print the report for reading: a table for each file, the counterexamples, and a summary."""
        for part in self.files:
            if part.results:
                print_table(COLUMNS, [r.row() for r in part.results], title=part.file, styles=STYLES, file=file)
        refuted = [result for result in self.results if result.status == "refuted" and result.as_expected]
        if refuted:
            print("Counterexamples to the claims that are refuted as expected:\n", file=file)
            for result in refuted:
                print(f"{result.name}\n{_indented(result.reason)}\n", file=file)
        for result in self.results:
            if not result.as_expected:
                print(f"NOT AS EXPECTED: {result.name} ({result.file}; {result.source})", file=file)
                print(_indented("\n".join((*result.faults, result.reason))) + "\n", file=file)
        print(self.summary(), file=file)

    def summary(self) -> str:
        """Return the report in one line."""
        results = self.results
        proved = sum(result.status == "proved" for result in results)
        refuted = sum(result.status == "refuted" for result in results)
        wrong = sum(not result.as_expected for result in results)
        kernels = sum(result.kernel is not None for result in results)
        seconds = sum(result.seconds for result in results)
        return (
            f"{counted(len(results), 'claim')}: {proved} proved, {refuted} refuted, {wrong} not as expected; "
            f"{counted(kernels, 'kernel')} run; {counted(len(self.errors), 'error')}; {seconds:.1f} s"
        )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
