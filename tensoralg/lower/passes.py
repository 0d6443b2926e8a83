"""Passes: rewritings of programs, applied only where the result is proved equal to the definition.

A pass is a function from programs to programs for the same results; that it is one is not trusted.  What is built with
all passes is emitted, read back and proved equal to the definition (`lower.validate`), once.  Where that fails, the
passes are tried one after the other, each on top of those that were proved before it, and a pass that cannot be
validated is dropped.  Without passes, what was lowered has to be proved, else there is no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy

from tensoralg.errors import TensoralgError
from tensoralg.lower.attention import fuse_attention
from tensoralg.lower.fuse import fuse
from tensoralg.lower.program import Program
from tensoralg.proof import Verdict


@dataclass(frozen=True)
class Pass:
    """A rewriting of programs.

    Attributes
    ----------
    name : str
        What it is called in `Operator.passes` and `Operator.dropped`.
    run : callable
        Returns a program for the same results; the same program where there is nothing to do.
    """

    name: str
    run: Callable[[Program], Program]


ATTENTION = Pass("attention", fuse_attention)
PRODUCTS = Pass("products", fuse)
PASSES = (ATTENTION,)


@dataclass(frozen=True)
class Built:
    """Programs with their costs, the source that says them, and the proofs that it computes the definitions.

    Attributes
    ----------
    passes : tuple of str
        The passes that changed a program.
    dropped : mapping of str to str
        The passes that could not be validated, and why.
    """

    programs: tuple[Program, ...]
    costs: tuple[sympy.Expr, ...]
    source: str
    verdicts: tuple[Verdict, ...]
    passes: tuple[str, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)


Proving = Callable[[Sequence[Program], Sequence[sympy.Expr]], tuple[str, tuple[Verdict, ...]]]


def build(programs: Sequence[Program], costs: Sequence[sympy.Expr], passes: Sequence[Pass], proving: Proving) -> Built:
    """Return what the passes that can be validated make of some programs.

    Parameters
    ----------
    programs : sequence of Program
        What was lowered.
    costs : sequence of sympy.Expr
        The cost by which each program is chosen; programs that the passes make all equal are one.
    passes : sequence of Pass
        In the order in which they are applied.
    proving : callable
        Returns the source of some programs with the proofs that it is right, or raises.

    Raises
    ------
    ValidationFailed
        If not even what was lowered can be validated.
    """
    try:
        return _built(programs, costs, passes, proving)
    except TensoralgError:
        if not passes:
            raise
    proved = _built(programs, costs, (), proving)
    kept: list[Pass] = []
    dropped: dict[str, str] = {}
    for one in passes:
        try:
            proved = _built(programs, costs, (*kept, one), proving)
            kept.append(one)
        except TensoralgError as error:
            dropped[one.name] = error.what
    return replace(proved, dropped=dropped)


def _built(programs: Sequence[Program], costs: Sequence[sympy.Expr], passes: Sequence[Pass], proving: Proving) -> Built:
    current = tuple(programs)
    applied = []
    for one in passes:
        changed = tuple(map(one.run, current))
        if changed != current:
            applied.append(one.name)
        current = changed
    if len(set(current)) == 1:
        current, costs = current[:1], costs[:1]
    source, verdicts = proving(current, costs)
    return Built(current, tuple(costs), source, verdicts, tuple(applied))
