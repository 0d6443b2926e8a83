"""Plans of 200 random hypernetworks of 4 to 7 tensors against a program over sets of letters, and against peers."""

from __future__ import annotations

import random
from functools import cache
from itertools import combinations
from math import prod

import opt_einsum
import pytest
from plan.oracle import expression, run

from tensoralg.plan import plan
from tensoralg.plan.tree import from_path

SEEDS = range(200)


def network(seed: int) -> tuple[list[str], str, dict[str, int]]:
    """Return tensors whose indices sit on up to four of them, some in the output as well."""
    rng = random.Random(seed)
    count = rng.randint(4, 7)
    letters = "abcdefghijklmn"[: count + rng.randint(1, 4)]
    words = [""] * count
    for letter in letters:
        for k in rng.sample(range(count), rng.randint(2, 4)):
            words[k] += letter
    words = [word for word in words if word]
    return words, "".join(rng.sample(letters, rng.randint(0, 3))), {x: rng.randint(2, 20) for x in letters}


def least(words: list[str], output: str, size: dict[str, int]) -> int:
    """Return the fewest FLOPs of any order, by splitting sets of tensors in two."""

    def kept(group: frozenset[int]) -> set[str]:
        inside = {x for k in group for x in words[k]}
        return inside & (set(output) | {x for k, word in enumerate(words) if k not in group for x in word})

    def entries(letters: set[str]) -> int:
        return prod(size[x] for x in letters)

    @cache
    def best(group: frozenset[int]) -> int:
        if len(group) == 1:
            (k,) = group
            return 0 if kept(group) == set(words[k]) else entries(set(words[k]))
        first, *rest = sorted(group)
        found = []
        for count in range(len(rest)):
            for others in combinations(rest, count):
                left = frozenset({first, *others})
                right = group - left
                worked = kept(left) | kept(right)
                step = entries(worked) * (1 if kept(group) == worked else 2)
                found.append(best(left) + best(right) + step)
        return min(found)

    return best(frozenset(range(len(words))))


@pytest.mark.parametrize("start", SEEDS[::20])
def test_plans_are_optimal_where_an_index_sits_on_several_tensors(start: int) -> None:
    for seed in range(start, start + 20):
        words, output, size = network(seed)
        found = plan(expression(words, output), {f"n{x}": size[x] for word in words for x in word})
        assert found.flops == least(words, output, size), (words, output, size)
        assert found.optimal


def test_no_peer_has_fewer_flops() -> None:
    for seed in SEEDS[:40]:
        words, output, size = network(seed)
        ours = plan(expression(words, output), {f"n{x}": size[x] for word in words for x in word}).flops
        shapes = [tuple(size[x] for x in word) for word in words]
        equation = ",".join(words) + "->" + output
        for optimize in ("optimal", "dp", "auto-hq", "greedy"):
            path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimize)
            assert run(words, output, size, from_path(path, len(words)))[0] >= ours, (equation, optimize)
