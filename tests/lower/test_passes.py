"""Passes: what cannot be validated is not applied, and the operator is right without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import InvalidExpression, ValidationFailed
from tensoralg.lower import compile, verify
from tensoralg.lower import passes as room
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.passes import ATTENTION, PRODUCTS, Pass
from tensoralg.lower.program import Attention, Binary, Program, Softmax, Step

INDICES = {"t,s": "n ordered", "f,e": "d"}
DEFINITION = ta.parse("O[t,e] = Q[t,e] - softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]", indices=INDICES)
SIZES = {"n": 5, "d": 3}


def changed(program: Program, change: Any) -> Program:
    return replace(program, steps=tuple(replace(step, op=change(step.op)) for step in program.steps))


def exchange(program: Program) -> Program:
    """Wrong: a difference the other way round."""
    return changed(program, lambda op: Binary("-", op.right, op.left) if isinstance(op, Binary) else op)


def transpose(program: Program) -> Program:
    """Wrong: a softmax along the other axis."""
    return changed(program, lambda op: replace(op, axis=1 - op.axis) if isinstance(op, Softmax) else op)


def unscaled(program: Program) -> Program:
    """Wrong, if attention was fused before: another scale."""
    return changed(program, lambda op: replace(op, scale=op.scale * 2) if isinstance(op, Attention) else op)


def forget(program: Program) -> Program:
    """Wrong: the first step is missing."""
    return replace(program, steps=program.steps[1:])


def stop(program: Program) -> Program:
    raise InvalidExpression("this pass does not work", remedy="leave it out")


def renamed(program: Program) -> Program:
    """Right: the last value has another name."""
    *steps, last = program.steps
    done = Step("done", last.axes, last.op, last.frees)
    return replace(program, steps=(*steps, done), results=("done",))


WRONG = [Pass(run.__name__, run) for run in (exchange, transpose, forget, stop)]
RENAMED = Pass("renamed", renamed)


def built(*passes: Pass) -> Any:
    return compile_definitions([DEFINITION], single=True, passes=passes)


def assert_right(operator: Any) -> None:
    assert operator.verdict.status == "proved"
    assert verify(operator, SIZES, "float64").ok


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: one.name)
def test_a_wrong_pass_is_dropped(wrong: Pass) -> None:
    operator = built(wrong)
    assert operator.passes == ()
    assert list(operator.dropped) == [wrong.name]
    assert operator.dropped[wrong.name]
    assert operator.source == built().source
    assert_right(operator)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: one.name)
@pytest.mark.parametrize("first", [False, True])
def test_right_passes_beside_a_wrong_one_are_applied(wrong: Pass, first: bool) -> None:
    operator = built(wrong, ATTENTION, RENAMED) if first else built(ATTENTION, RENAMED, wrong)
    # without a softmax there is nothing that this pass would do wrong
    harmless = wrong.name == "transpose" and not first
    assert operator.passes == ("attention", "renamed")
    assert list(operator.dropped) == ([] if harmless else [wrong.name])
    assert "attend(" in operator.source
    assert "return done" in operator.source
    assert_right(operator)


def test_what_follows_a_dropped_pass_is_validated_without_it() -> None:
    operator = built(ATTENTION, Pass("unscaled", unscaled), RENAMED)
    assert (operator.passes, list(operator.dropped)) == (("attention", "renamed"), ["unscaled"])
    assert_right(operator)
    # a pass that has nothing to do is right
    assert built(Pass("unscaled", unscaled)).dropped == {}


def test_passes_that_do_nothing_are_not_named() -> None:
    plain = ta.parse("O[t,e] = Q[t,f]*W[f,e]", indices=INDICES)
    assert (compile(plain).passes, compile(DEFINITION).passes) == ((), ("attention",))
    chunk = ta.parse("O[t,e] = Q[t,f]*S[f,e] + le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
    assert compile_definitions([chunk], single=True, fused=True).passes == (PRODUCTS.name,)


def test_a_good_compilation_proves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    built_by = room._built

    def counted(*args: Any) -> Any:
        calls.append(args)
        return built_by(*args)

    monkeypatch.setattr(room, "_built", counted)
    built(ATTENTION, RENAMED)
    assert len(calls) == 1


def test_without_a_proof_of_what_was_lowered_there_is_no_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unknown:
        status = "unknown"

    monkeypatch.setattr("tensoralg.lower.validate.prove", lambda *_: Unknown())
    with pytest.raises(ValidationFailed):
        built(ATTENTION)


def test_kernels_with_and_without_passes_agree() -> None:
    q, k, v = (torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in range(3))
    torch.testing.assert_close(built(ATTENTION)(q, k, v), built()(q, k, v))
