"""Verdicts on random claims: identities made by valid rewriting, and one-spot mutations of them.

1,200 seeds make 2,400 claims.  Nothing is taken from the engine's word: what a mutation changed is seen
by the plain-loop oracle, and every witness is recomputed by it.
"""

from collections import Counter
from random import Random

import flint
import pytest
from draws import draw
from exact import Evaluator, fractions, rational
from fuzz import KINDS, made
from judgement import all_sizes, in_complete_fragment, judge
from oracle import oracle

import tensoralg as ta
from strategies import claim, kinds, mutate, random_tensors, rewrite
from tensoralg.expr.nodes import add
from tensoralg.proof.verdict import Counterexample, Verdict

SIZES = {"n": 3, "d": 2}
BATCH = 60
POLYNOMIAL, FUNCTIONS = range(0, 720, BATCH), range(720, 1200, BATCH)


def made_by_seed(seed):
    """Return (claim, equal by construction, mutated) for a seed."""
    random = Random(seed)
    original = claim(random, functions=seed >= FUNCTIONS[0])
    same = rewrite(random, original, random.randint(1, 5))
    return original, same, mutate(random, same), random


def differs(original, mutated, random):
    """Whether the oracle sees a difference that rounding (of exp) cannot explain."""
    both = ta.Definition(original.legs, add(original.body, mutated.body), "both")
    for _ in range(2):
        tensors = random_tensors(random, both, SIZES)
        try:
            left, right = oracle(original, SIZES, tensors), oracle(mutated, SIZES, tensors)
        except (OverflowError, ZeroDivisionError):
            continue
        if any(abs(left[p] - right[p]) > 1e-6 * (1 + abs(left[p])) for p in left):
            return True
    return False


def assert_witness(original, mutated, verdict):
    """Recompute a witness by loops."""
    witness = verdict.counterexample
    assert witness.basis == "orthonormal"
    sizes = {"n": 1, "d": 1, **witness.sizes}
    point = tuple(witness.index[name] for name in original.free)
    left, right = (oracle(side, sizes, witness.tensors)[point] for side in (original, mutated))
    if isinstance(witness.lhs, tuple) or isinstance(witness.rhs, tuple):
        assert left == pytest.approx(float(number(witness.lhs)), rel=1e-9)
        assert right == pytest.approx(float(number(witness.rhs)), rel=1e-9)
    else:
        assert left == witness.lhs != witness.rhs == right


def number(value):
    return value[0] if isinstance(value, tuple) else value


@pytest.mark.parametrize("start", [*POLYNOMIAL, *FUNCTIONS])
def test_identities_are_proved_and_mutations_refuted(start):
    for seed in range(start, start + BATCH):
        original, same, mutated, random = made_by_seed(seed)
        verdict = ta.prove(original, same)
        assert verdict.status == "proved", f"seed {seed}: {original}  |  {same}  |  {verdict.explain()}"
        verdict = ta.prove(original, mutated)
        if differs(original, mutated, random):
            assert verdict.status == "refuted", f"seed {seed}: {original}  |  {mutated}  |  {verdict.explain()}"
        if verdict.status == "refuted":
            assert_witness(original, mutated, verdict)
        else:
            assert verdict.status == "proved", f"seed {seed}: {original}  |  {mutated}  |  {verdict.explain()}"


def test_the_generator_reaches_every_kind_of_node():
    total, changed = Counter(), 0
    for seed in range(1200):
        _, same, mutated, _ = made_by_seed(seed)
        total.update(kinds(same))
        changed += mutated != same
    for kind in ("entry", "mask", "delta", "bind", "mul", "add", "pow", "size", "number", "apply"):
        assert total[kind] > 300, f"{kind}: {total}"
    assert changed > 1000


# claims of twenty kinds, judged by the exact evaluator; `benchmarks/soundness.py` asks 100,000 of them

PER_KIND = 24


@pytest.mark.parametrize("name", KINDS)
def test_no_verdict_is_wrong(name):
    for number in range(PER_KIND):
        case = made(KINDS[name], f"test/{number}")
        judged = judge(case, Random(number))
        assert not judged.fault, f"{number}: {case.left}  |  {case.right}  |  {judged.fault}"
        if in_complete_fragment(case):
            assert judged.status != "unknown", f"{number}: {case.left}  |  {case.right}"


def test_the_kinds_reach_every_node_and_make_both_sorts_of_claims():
    total, meant = Counter(), Counter()
    for name, kind in KINDS.items():
        for number in range(60):
            case = made(kind, f"test/{number}")
            total.update(kinds(case.right))
            meant[name, case.meant_true] += 1
    for kind in ("entry", "mask", "near", "decay", "delta", "bind", "mul", "add", "pow", "size", "number", "apply"):
        assert total[kind] > 20, f"{kind}: {total}"
    assert min(meant.values()) > 12
    assert len(meant) == 2 * len(KINDS)


def test_a_wrong_prover_is_found_out():
    """Whoever proves everything, or refutes with a witness out of thin air, is contradicted."""

    def gullible(left, right, **_):
        return Verdict("proved", "because")

    def stubborn(left, right, **_):
        sides = ta.Definition(left.legs, add(left.body, right.body), "both")
        tensors = random_tensors(Random(0), sides, SIZES)
        return Verdict("refuted", "because", Counterexample(SIZES, tensors, dict.fromkeys(left.free, 0), 0, 1))

    cases = [made(KINDS["polynomial"], f"test/{number}") for number in range(60)]
    for prover, wrong in ((gullible, False), (stubborn, True)):
        judged = [judge(case, Random(0), prover) for case in cases if case.meant_true is wrong]
        assert sum(bool(j.fault) for j in judged) > len(judged) / 2


def test_two_independent_evaluators_agree():
    compared = 0
    for kind in KINDS.values():
        for number in range(6):
            case = made(kind, f"test/{number}")
            sizes = all_sizes(kind)[1]
            tensors = draw(case, sizes, Random(number))
            try:
                slow = oracle(case.left, sizes, {name: fractions(value) for name, value in tensors.items()})
            except (ArithmeticError, ValueError):
                continue
            fast = Evaluator(case.left)
            for point in fast.points(sizes):
                value = fast.at(sizes, tensors, point)
                if isinstance(value, int | flint.fmpq) and not isinstance(slow[point], float):
                    assert value == rational(slow[point]), f"{case.left} at {point}"
                elif value is not None:  # functions: the oracle computes with floats
                    assert float(value) == pytest.approx(float(slow[point]), rel=1e-9, abs=1e-9)
                compared += 1
    assert compared > 200
