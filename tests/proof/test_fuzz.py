"""Verdicts on random claims: identities made by valid rewriting, and one-spot mutations of them.

1,200 seeds make 2,400 claims.  Nothing is taken from the engine's word: what a mutation changed is seen
by the plain-loop oracle, and every witness is recomputed by it.
"""

from collections import Counter
from random import Random

import pytest
from oracle import oracle

import tensoralg as ta
from strategies import claim, kinds, mutate, random_tensors, rewrite
from tensoralg.expr.nodes import add

SIZES = {"n": 3, "d": 2}
BATCH = 60
POLYNOMIAL, FUNCTIONS = range(0, 720, BATCH), range(720, 1200, BATCH)


def made(seed):
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
        original, same, mutated, random = made(seed)
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
        _, same, mutated, _ = made(seed)
        total.update(kinds(same))
        changed += mutated != same
    for kind in ("entry", "mask", "delta", "bind", "mul", "add", "pow", "size", "number", "apply"):
        assert total[kind] > 300, f"{kind}: {total}"
    assert changed > 1000
