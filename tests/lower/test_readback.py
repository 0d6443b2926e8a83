"""What the emitted source may say about values that are not read any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tensoralg as ta
from tensoralg.errors import ValidationFailed
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower import compile
from tensoralg.lower.build import spaces_of, tensors_of
from tensoralg.lower.meaning import read_program
from tensoralg.lower.program import Program, operands_of
from tensoralg.lower.readback import read_source
from tensoralg.lower.validate import validate, with_parts

CHAIN = ta.parse("O[t] = exp(exp(x[t])) + exp(sum(s: A[t,s]*exp(x[s])))", indices={"t,s": "n"})
OPERATOR = compile(CHAIN)


def read(source: str) -> Program:
    (program,) = read_source(source, with_parts(spaces_of(CHAIN)), all_dimensions(CHAIN), OPERATOR.costs)
    return program


def test_every_value_is_deleted_after_the_last_step_that_reads_it() -> None:
    program = read(OPERATOR.source)
    assert program == OPERATOR.programs[0]
    made, last = set(), {}
    for position, step in enumerate(program.steps):
        made.add(step.name)
        last.update((name, position) for name in operands_of(step.op) if name in made)
    freed = {name: k for k, step in enumerate(program.steps) for name in step.frees}
    assert freed == last
    assert freed.keys() == made - set(program.results)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("del x2\n", "del x2, x\n"),  # an input
        ("del x2\n", "del x2, x1\n"),  # a value that is read later
        ("del x2\n", "del x2, x2\n"),  # a value that is gone
        ("del x2\n", "del x2\n    del x0\n"),
        ("del x2\n", "del x2, n\n"),
        ("del x2\n", "del x2.data\n"),
        ("del x2\n", "del (x2)[0]\n"),
        ("    x0:", "    del x0\n    x0:"),
        ("return x4", "del x4\n    return x4"),
        ("return x4", "del x4\n    x4: ['n'] = torch.exp(x)\n    return x4"),  # a name is not used again
    ],
)
def test_other_deletions_are_refused(old: str, new: str) -> None:
    assert old in OPERATOR.source
    with pytest.raises(ValidationFailed):
        read(OPERATOR.source.replace(old, new))


def test_a_source_that_keeps_a_value_is_not_what_was_lowered() -> None:
    source = OPERATOR.source.replace("    del x2\n", "")
    assert read(source) != OPERATOR.programs[0]
    with pytest.raises(ValidationFailed):
        validate(
            [CHAIN],
            tensors_of(CHAIN),
            OPERATOR.programs,
            source,
            OPERATOR.costs,
            spaces_of(CHAIN),
            all_dimensions(CHAIN),
        )


@pytest.mark.parametrize("name", ["x0", "x", "x7", "x4"])
def test_a_program_that_frees_what_it_needs_has_no_meaning(name: str) -> None:
    (program,) = OPERATOR.programs
    *steps, last = program.steps
    first = steps.pop(0)
    if name in program.results:
        last = replace(last, frees=(*last.frees, name))
    else:
        first = replace(first, frees=(name,))
    with pytest.raises(ValidationFailed):
        read_program(
            replace(program, steps=(first, *steps, last)), {t.name: t for t in tensors_of(CHAIN)}, [CHAIN.free_indices]
        )
