"""Random sums of products in which tensors occur several times, for tests of what is computed once."""

from __future__ import annotations

import random
from typing import Any

import tensoralg as ta
from tensoralg.expr.nodes import bind

T, F = ta.Space("T", "n"), ta.Space("F", "d")
TIMES, FEATURES = T.indices("t s u v"), F.indices("f g")
A, S, B, x = (
    ta.tensor("A", T @ T),
    ta.tensor("S", T @ T, symmetric=True),
    ta.tensor("B", T @ F),
    ta.tensor("x", T),
)


def product(rng: random.Random, count: int) -> Any:
    """Return a product of `count` tensors with random indices."""
    result: Any = None
    for _ in range(count):
        time, other, feature = rng.choice(TIMES), rng.choice(TIMES), rng.choice(FEATURES)
        factor = rng.choice([A[time, other], A[time, other], S[time, other], B[time, feature], x[time]])
        result = factor if result is None else result * factor
    return result


def term(rng: random.Random, count: int) -> Any:
    """Return a scaled product with some of its indices summed."""
    body = product(rng, rng.randint(1, count))
    bound = tuple(i for i in body.free_indices if rng.random() < 0.7)
    return rng.choice([1, 1, 2, -1]) * (bind(bound, body) if bound else body)


def definition(seed: int, terms: int = 2, count: int = 4) -> ta.Definition:
    """Return a random sum of products as a tensor with up to two legs."""
    rng = random.Random(seed)
    body = term(rng, count)
    for _ in range(rng.randrange(terms)):
        body = body + term(rng, count)
    legs = [i for i in body.free_indices if rng.random() < 0.5][:2]
    return ta.define(tuple(legs), body)


def inputs(seed: int, sizes: dict[str, int]) -> dict[str, Any]:
    """Return random small integers for the tensors; S is symmetric."""
    rng = random.Random(seed)
    n, d = sizes["n"], sizes["d"]
    square = [[rng.randint(-3, 3) for _ in range(n)] for _ in range(n)]
    return {
        "A": [[rng.randint(-3, 3) for _ in range(n)] for _ in range(n)],
        "S": [[square[min(i, j)][max(i, j)] for j in range(n)] for i in range(n)],
        "B": [[rng.randint(-3, 3) for _ in range(d)] for _ in range(n)],
        "x": [rng.randint(-3, 3) for _ in range(n)],
    }
