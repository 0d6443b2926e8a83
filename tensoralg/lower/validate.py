"""Translation validation: the program that was emitted is proved equal to its definition.

(A. Pnueli, M. Siegel, E. Singerman, *Translation validation*, TACAS 1998: validate each run of a
translator instead of the translator.)  Fails closed: without a proof there is no operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy

from tensoralg.errors import TensoralgError, ValidationFailed
from tensoralg.expr import Definition, Tensor
from tensoralg.lower.meaning import read_program
from tensoralg.lower.program import Program, parts_of
from tensoralg.lower.readback import read_source
from tensoralg.proof import Verdict, prove
from tensoralg.spaces import VectorSpace


def validate(
    definitions: Sequence[Definition],
    tensors: Sequence[Tensor],
    programs: Sequence[Program],
    source: str,
    costs: Sequence[sympy.Expr],
    spaces: Iterable[VectorSpace],
    dimensions: Iterable[str],
) -> tuple[Verdict, ...]:
    """Return, for each definition, the verdict that an emitted module computes it.

    Raises
    ------
    ValidationFailed
        If the source does not read back as the programs, or a result of a program is not proved equal to
        its definition, or proving raises.
    """
    read = read_source(source, with_parts(spaces), dimensions, costs)
    if read != tuple(programs):
        raise ValidationFailed("the emitted source does not say the program that was lowered", remedy="report this")
    verdicts = [prove_equal(definitions, tensors, program) for program in read]
    return verdicts[0]


def prove_equal(definitions: Sequence[Definition], tensors: Sequence[Tensor], program: Program) -> tuple[Verdict, ...]:
    """Return the proofs that the results of one program are the definitions.

    Raises
    ------
    ValidationFailed
        If one of them lacks a proof.
    """
    meanings = read_program(program, {t.name: t for t in tensors}, [one.free_indices for one in definitions])
    return tuple(_proved(one, meaning, program) for one, meaning in zip(definitions, meanings, strict=True))


def _proved(definition: Definition, meaning: Definition, program: Program) -> Verdict:
    try:
        verdict = prove(definition, meaning)
    except TensoralgError as error:
        raise ValidationFailed(
            f"proving the program equal to its definition failed: {error.what}", remedy="report this", program=program
        ) from error
    if verdict.status != "proved":
        raise ValidationFailed(
            f"the program could not be proved equal to its definition ({verdict.status})\n"
            f"  definition: {definition}\n  program:    {meaning}",
            remedy="write the definition in another form, or report this",
            verdict=verdict,
            program=program,
        )
    return verdict


def with_parts(spaces: Iterable[VectorSpace]) -> list[VectorSpace]:
    """Return the spaces with all their factors and summands.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> [str(s) for s in with_parts([Space("H", "h") @ Space("E", "e")])]
    ['H @ E', 'H', 'E']
    """
    found: dict[VectorSpace, None] = {}
    pending = list(spaces)
    while pending:
        space = pending.pop(0)
        if space not in found:
            found[space] = None
            pending += parts_of(space)
    return list(found)
