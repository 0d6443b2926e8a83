"""The judgement of verdicts on random claims, by exact evaluation with plain loops that shares no code with `prove`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from draws import draw
from exact import Evaluator, differ, rational
from fuzz import FACTS, Case, Kind, Law

import tensoralg as ta
from tensoralg.expr.nodes import Size
from tensoralg.expr.rewrite import walk
from tensoralg.spaces import Index


@dataclass(frozen=True)
class Judgement:
    """What a verdict is worth.

    Attributes
    ----------
    status : str
        The verdict's.
    fault : str
        Why it is wrong; empty if nothing contradicts it.
    true : bool or None
        Whether the claim is true: by construction and evaluation, or refuted by evaluation; None if neither is known.
    """

    status: str
    fault: str
    true: bool | None


def judge(case: Case, random: Random, prove: Callable[..., Any] = ta.prove) -> Judgement:
    """Ask for a verdict and compare it with exact evaluation by plain loops."""
    kind = case.kind
    fixed = {name: size for name, size in kind.sizes.items() if name in dimensions(case)}
    verdict = prove(case.left, case.right, given=list(kind.given), sizes=fixed or None)
    if verdict.status == "refuted":
        fault = witness_fault(case, verdict.counterexample)
        if case.meant_true and not fault:
            fault = "made by valid rewriting, but the witness stands: the generator or a law is wrong"
        return Judgement("refuted", fault, False)
    seen = difference(case, random)
    if seen is None:
        return Judgement(verdict.status, "", True if case.meant_true else None)
    if case.meant_true:
        return Judgement(verdict.status, f"made by valid rewriting, but false: {seen}", False)
    return Judgement(verdict.status, f"proved, but false: {seen}" if verdict.status == "proved" else "", False)


def in_complete_fragment(case: Case) -> bool:
    """Whether a claim lies in the fragment for which completeness is promised.

    Such a claim divides by rational functions of sizes only; a mutation may make a divisor vanish, and then the
    verdict names the condition that the claim lacks.
    """
    divisors = [
        node.base for side in (case.left, case.right) for node in walk(side) if node.kind == "pow" and node.exponent < 0
    ]
    return case.kind.complete and all(
        node.kind in ("number", "size", "add", "mul", "pow") for divisor in divisors for node in walk(divisor)
    )


def dimensions(case: Case) -> set[str]:
    """Return the names of the dimensions that occur in a claim."""
    nodes = [node for side in (case.left, case.right) for node in walk(side)]
    spaces = [i.space for node in nodes for i in (*getattr(node, "indices", ()), *getattr(node, "legs", ()))]
    spaces += [leg for node in nodes if hasattr(node, "tensor") for leg in node.tensor.legs]
    found = {symbol.name for space in spaces for symbol in getattr(space.dimension, "free_symbols", ())}
    return found | {node.name for node in nodes if isinstance(node, Size)}


def all_sizes(kind: Kind) -> list[dict[str, int]]:
    small = {"n": 3, "d": 2, "m": 2, "k": 3, "p": 1, "q": 2}
    other = {"n": 2, "d": 2, "m": 3, "k": 2, "p": 2, "q": 1}
    return [{**sizes, **kind.sizes} for sizes in (small, other)]


def difference(case: Case, random: Random) -> str | None:
    """Return where exact evaluation at random tensors with all the facts sees a difference, if anywhere."""
    sides = [Evaluator(case.left), Evaluator(case.right, order=case.left.free)]
    for sizes in all_sizes(case.kind):
        tensors = draw(case, sizes, random)
        for point in sides[0].points(sizes):
            left, right = (side.at(sizes, tensors, point) for side in sides)
            if differ(left, right):
                return f"{left} against {right} at {sizes}, {point}, {tensors}"
    return None


def witness_fault(case: Case, witness: Any) -> str:
    """Return what is wrong with a witness, or an empty string: recomputed by loops, hypotheses and facts included."""
    if witness.basis != "orthonormal":
        return "a complex witness against a small claim, which loops over real entries cannot recompute"
    sizes = {**dict.fromkeys("ndmkpq", 1), **witness.sizes}
    fixed = {name: size for name, size in case.kind.sizes.items() if name in dimensions(case)}
    if any(sizes[name] != size for name, size in fixed.items()):
        return f"the witness has the sizes {witness.sizes}"
    tensors: Mapping[str, Any] = {name: rational(value) for name, value in witness.tensors.items()}
    for left, right in (*case.kind.given, *fact_laws(case)):
        first, second = Evaluator(left), Evaluator(right, order=left.free)
        if not {*left.tensors, *right.tensors} <= set(tensors):
            continue
        for point in first.points(sizes):
            if differ(first.at(sizes, tensors, point), second.at(sizes, tensors, point)):
                return f"the witness violates {left} = {right}"
    point = tuple(witness.index[name] for name in case.left.free)
    left, right = (Evaluator(s, order=case.left.free).at(sizes, tensors, point) for s in (case.left, case.right))
    if differ(left, right) or (left is None) != (right is None):
        return ""
    return f"the sides agree at the witness: {left} and {right}"


def fact_laws(case: Case) -> list[Law]:
    """Return the facts that are declared of the claim's tensors, as equations."""
    found: list[Law] = []
    for symbol in {
        n.tensor.name: n.tensor for s in (case.left, case.right) for n in walk(s) if hasattr(n, "tensor")
    }.values():
        legs = [Index(f"l{k}", space) for k, space in enumerate(symbol.legs)]
        for group in (*symbol.symmetric, *symbol.antisymmetric):
            for first, second in itertools.pairwise(group):
                swapped = list(legs)
                swapped[first], swapped[second] = swapped[second], swapped[first]
                sign = -1 if group in symbol.antisymmetric else 1
                found.append((ta.define(legs, symbol[tuple(legs)]), ta.define(legs, sign * symbol[tuple(swapped)])))
    return found + [law for law in case.kind.laws if case.kind.name in (*FACTS, "inverse")]
