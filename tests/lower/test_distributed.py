"""Operators over the ranks of a process group: some processes are started, each does what `ranks_script` says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sympy

import tensoralg as ta
from tensoralg.errors import UnknownName, UsageError, ValidationFailed
from tensoralg.lower import communication, compile, distribute, process_group
from tensoralg.lower.distributed import ShardingPlan
from tensoralg.lower.program import renamed
from tensoralg.lower.recombine import prove_sharded
from tensoralg.lower.sharding import Exchange, Sharded

INDICES = {"t,s,u,v": "n ordered", "f,g,h,e": "d"}
SCRIPT = Path(__file__).parent / "ranks_script.py"
ROOT = SCRIPT.parent.parent.parent


def ranks(count: int, what: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(SCRIPT), what], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-6000:]


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_compute_what_one_process_does(count: int) -> None:
    ranks(count, "cases")


def test_a_lost_rank_ends_with_an_error() -> None:
    ranks(2, "lost")


def test_without_ranks() -> None:
    operator = compile(ta.parse("O[t] = x[t]", indices=INDICES))
    with pytest.raises(UsageError, match="no process group"):
        distribute(operator, along="n")
    with pytest.raises(UsageError, match="no rank"):
        process_group()


SIZES = {"n": 64, "d": 8}
TEXTS = {
    "linear": "O[t,e] = Q[t,f]*K[s,f]*V[s,e]",
    "causal": "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
    "anti-causal": "O[t,e] = lt[t,s]*Q[t,f]*K[s,f]*V[s,e]",
    "softmax": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]",
    "causal softmax": "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: le[u,t]*exp(sum(g: Q[t,g]*K[u,g])))",
    "biased self-attention": "O[t,e] = softmax(s: sum(f: X[t,f]*X[s,f]) + B[t,s])*X[s,e]",
    "mean": "O[t,e] = V[t,e] - sum(s: V[s,e])/n",
    "trace": "O[] = A[t,s]*A[s,u]*A[u,t]",
}


def plan(name: str, inputs: str = "sharded") -> tuple[ShardingPlan, Sharded]:
    operator = compile(ta.parse(TEXTS[name], indices=INDICES))
    found = ShardingPlan(operator, "n", inputs, None)
    sizes = {k: v for k, v in SIZES.items() if any(str(x.dimension) == k for t in operator.tensors for x in t.legs)}
    return found, found.at(sizes, 4)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("linear", ["sum"]),
        ("causal", ["gather", "gather"]),
        ("anti-causal", ["gather", "gather"]),
        ("softmax", ["gather", "gather"]),
        ("causal softmax", ["gather", "gather"]),
        ("biased self-attention", ["gather"]),
        ("mean", ["sum"]),
        ("trace", ["gather", "sum"]),
    ],
)
def test_what_is_exchanged_follows_from_the_algebra(name: str, kinds: list[str]) -> None:
    assert [exchange.kind for exchange in plan(name)[1].exchanges] == kinds


@pytest.mark.parametrize("inputs", ["sharded", "whole"])
@pytest.mark.parametrize("name", TEXTS)
def test_programs_over_ranks_without_one_of_their_exchanges_are_not_proved(name: str, inputs: str) -> None:
    """Leave out an exchange, or let a triangle or a part stand elsewhere."""
    found, sharded = plan(name, inputs)
    definitions, tensors = found.operator.definitions, found.operator.tensors
    assert all(verdict.status == "proved" for verdict in prove_sharded(definitions, tensors, sharded))
    for position, item in enumerate(sharded.items):
        if isinstance(item, Exchange) and item.kind in ("sum", "triangle"):
            with pytest.raises(ValidationFailed):
                prove_sharded(definitions, tensors, mutated(sharded, position, item))


def mutated(sharded: Sharded, position: int, item: Exchange) -> Sharded:
    if item.kind == "triangle":
        other = replace(item, lower=not item.lower)
        return replace(sharded, items=(*sharded.items[:position], other, *sharded.items[position + 1 :]))
    # the ranks' results are not added
    items = [
        other if isinstance(other, Exchange) else replace(other, op=renamed(other.op, {item.name: item.source}))
        for other in sharded.items
        if other != item
    ]
    results = tuple((item.source if name == item.name else name, axis) for name, axis in sharded.results)
    return replace(sharded, items=tuple(items), results=results)


def test_what_is_sent_is_a_polynomial() -> None:
    linear, softmax = (compile(ta.parse(TEXTS[name], indices=INDICES)) for name in ("linear", "softmax"))
    n, d = ta.dims("n d")
    p = sympy.Symbol("P", integer=True, positive=True)
    at = {**SIZES, "P": 4}
    assert sympy.simplify(communication(linear, at, along="n") - 2 * d**2 * (p - 1) / p) == 0
    assert sympy.simplify(communication(softmax, at, along="n") - 2 * n * d * (p - 1) / p) == 0
    with pytest.raises(UnknownName):
        communication(compile(ta.stream(ta.parse(TEXTS["causal"], indices=INDICES))), scan="star")


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda:0", "nccl")])
def test_devices_have_their_backends(device: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr("torch.cuda.set_device", lambda _: None)
    monkeypatch.setattr("torch.distributed.init_process_group", lambda name, timeout: made.append((name, timeout)))
    process_group(device, timeout=7)
    assert made == [(backend, timedelta(seconds=7))]
