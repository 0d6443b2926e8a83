"""Claims about operators: stated in files, decided on the algebra, verified on the kernels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensoralg.claims.claim import Claim, Equation, Statement, claim
from tensoralg.claims.report import ClaimResult, FileError, FileReport, Kernel, Report
from tensoralg.claims.runner import run, write_certificates
from tensoralg.claims.text import read_equation, read_operator

if TYPE_CHECKING:
    from tensoralg.claims import kernels as kernels

__all__ = [
    "Claim",
    "ClaimResult",
    "Equation",
    "FileError",
    "FileReport",
    "Kernel",
    "Report",
    "Statement",
    "claim",
    "read_equation",
    "read_operator",
    "run",
    "write_certificates",
]


def __getattr__(name: str) -> Any:
    if name == "kernels":  # imports torch, which claims without kernels need not
        return import_module("tensoralg.claims.kernels")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
