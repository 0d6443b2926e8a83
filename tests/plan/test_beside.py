"""The second process of a search: it answers with an order, and a search goes on where it cannot."""

from __future__ import annotations

import importlib
import sys
import time

import pytest
from plan.networks import lattice

from tensoralg.plan.hypergraph import Hypergraph
from tensoralg.plan.portfolio import Effort

beside = importlib.import_module("tensoralg.plan.beside")


def test_it_answers_with_an_order_of_all_operands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_processors", lambda: 2)
    monkeypatch.setattr(beside, "SHARE", 0.02)
    graph = Hypergraph.of(*lattice(5, 5))
    # it searches for two seconds, and however slow the machine is there is time for its answer
    with beside.beside(graph, "flops", None, 3, Effort(stop=time.monotonic() + 100)) as found:
        (tree,) = found()
    assert sorted(leaves(tree.tree())) == list(range(graph.count))


def leaves(tree: object) -> list[int]:
    return [tree] if isinstance(tree, int) else [leaf for part in tree for leaf in leaves(part)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false"])
def test_a_process_that_does_not_start_is_no_error(monkeypatch: pytest.MonkeyPatch, executable: str) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(beside, "_processors", lambda: 2)
    graph = Hypergraph.of(*lattice(3, 3))
    with beside.beside(graph, "flops", None, 0, Effort(stop=time.monotonic() + 5)) as found:
        assert found() == []


def test_a_process_that_is_late_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_processors", lambda: 2)
    monkeypatch.setattr(beside, "SHARE", 100.0)
    graph = Hypergraph.of(*lattice(3, 3))
    now = time.monotonic()
    with beside.beside(graph, "flops", None, 0, Effort(stop=now + 0.2, begun=now - 5)) as found:
        assert found() == []


def test_without_a_time_limit_there_is_one_process() -> None:
    with beside.beside(Hypergraph.of(*lattice(3, 3)), "flops", None, 0, Effort()) as found:
        assert found() == []
