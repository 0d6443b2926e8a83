"""Kernels of claims: compiled, run, and compared with their definitions.

This module alone imports torch; the runner reaches it when a claim has a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensoralg.claims.report import Kernel
from tensoralg.errors import MissingSize
from tensoralg.expr import Expr
from tensoralg.lower import Operator
from tensoralg.lower import compile as compile_operator
from tensoralg.lower import verify as verify_kernel


def compiled(expr: Expr, sizes: Mapping[str, int]) -> Operator:
    """Return a kernel that reads all sizes from its inputs; if no input tells some size, one for these sizes."""
    try:
        return compile_operator(expr)
    except MissingSize:
        return compile_operator(expr, sizes=dict(sizes))


def run_kernel(operator: Operator, sizes: Mapping[str, int]) -> Kernel:
    """Run a kernel on random floats, and compare it with the exact value of its definition."""
    outcome = verify_kernel(operator, sizes=dict(sizes))
    return Kernel(float(outcome.error), float(outcome.bound), bool(outcome.ok))
