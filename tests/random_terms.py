"""Random well-typed terms for tests of plans and kernels, of everything that blocks can be.

Three spaces, the first ordered, with a few indices each, so that indices meet in all ways: contracted,
summed in one tensor, kept on both sides, on three factors, twice on one tensor, in no factor.
"""

from __future__ import annotations

import random
from typing import Any

import tensoralg as ta
from tensoralg.expr.nodes import Near, Size, apply, as_expr, bind, power, reciprocal

T, F, H = ta.Space("T", "n", ordered=True), ta.Space("F", "d"), ta.Space("H", "h")
TIMES, FEATURES, HEADS = T.indices("t s u"), F.indices("f g"), H.indices("a b")
INDICES = (*TIMES, *FEATURES, *HEADS)
KINDS = {
    "entry": 12,
    "mask": 3,
    "near": 1,
    "delta": 1,
    "decay": 2,
    "size": 1,
    "number": 1,
    "function": 2,
    "power": 1,
    "softmax": 2,
    "quotient": 1,
    "total": 2,
    "sum": 1,
}


class RandomTerms:
    """Writes random terms; `kinds` counts what it wrote."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.kinds: set[str] = set()
        self.written: list[Any] = []

    def entry(self, indices: list[ta.Index]) -> Any:
        """Return an entry of one of two tensors for each choice of legs, so that tensors come again."""
        order = sorted(indices, key=lambda index: str(index.space))
        name = "A_" + "".join(str(index.space) for index in order) + str(self.rng.randrange(2))
        return ta.tensor(name, tuple(index.space for index in order))[tuple(order)]

    def network(self, operands: int) -> Any:
        """Return a product of entries over few indices."""
        letters = self.rng.sample(INDICES, self.rng.randint(2, 5))
        term = as_expr(1)
        for _ in range(operands):
            factor = self.entry(self.rng.choices(letters, k=self.rng.randint(1, 3)))
            term = term * (apply("exp", factor) if self.rng.random() < 0.2 else factor)
        return term

    def factor(self, depth: int) -> Any:
        choices = list(KINDS)[: 7 if depth == 0 else None]
        kind = self.rng.choices(choices, [KINDS[choice] for choice in choices])[0]
        self.kinds.add(kind)
        left, right = self.rng.choices(TIMES, k=2)
        match kind:
            case "entry":
                return self.entry(self.rng.choices(INDICES, k=self.rng.randint(0, 2)))
            case "mask":
                return self.rng.choice([ta.le, ta.lt])[left, right]
            case "near":
                return Near(left, right, self.rng.choice([as_expr(2), Size("n")]))
            case "delta":
                return ta.delta[tuple(self.rng.choices(self.rng.choice([TIMES, FEATURES]), k=2))]
            case "decay":
                return self.decay(left, right)
            case "size":
                return Size(self.rng.choice("nd"))
            case "number":
                return as_expr(self.rng.choice([2, -1, 3]))
            case "function":
                argument = self.again(depth - 1)
                # a root or a logarithm of numbers alone may not exist
                functions = ["exp", "relu", "sqrt", "log"] if argument.tensors else ["relu"]
                return apply(self.rng.choice(functions), argument)
            case "power":
                return power(self.again(depth - 1), self.rng.choice([2, 3]))
            case "softmax":
                return self.softmax(depth - 1)
            case "quotient":
                return self.again(depth - 1) * reciprocal(apply("exp", self.product(depth - 1)))
            case "total":
                return self.again(depth - 1) + self.rng.choice([1, -1, 2]) * self.product(depth - 1)
        inner = self.product(depth - 1)
        return bind(tuple(i for i in inner.free_indices if self.rng.random() < 0.5), inner)

    def decay(self, later: Any, earlier: Any) -> Any:
        """Return a decay of a number, of one for each step or channel, or of matrices, with or without ends."""
        channels, legs = self.rng.choice([((), ()), ((), (T,)), (FEATURES[:1], (T, F)), (FEATURES, (T, F, F))])
        ends = [(later, earlier), (later, "-"), ("+", earlier), ("+", "-")]
        gate = ta.tensor(f"W{len(legs)}", legs or ta.Unit)
        return ta.decay(gate)[(*self.rng.choice(ends[: 4 if legs else 3]), *channels)]

    def softmax(self, depth: int) -> Any:
        over, *others = self.rng.sample(TIMES, 3)
        weight = apply("exp", self.again(depth) * self.entry([over, self.rng.choice(INDICES)]))
        for _ in range(self.rng.randrange(3)):
            other = self.rng.choice(others)
            weight = weight * self.rng.choice([ta.le[over, other], ta.lt[other, over], Near(over, other, as_expr(2))])
        return weight * reciprocal(bind((over,), weight))

    def again(self, depth: int) -> Any:
        """Return a new product, or one that was written before."""
        if self.written and self.rng.random() < 0.3:
            return self.rng.choice(self.written)
        self.written.append(self.product(depth))
        return self.written[-1]

    def product(self, depth: int) -> Any:
        if self.rng.random() < 0.3:
            return self.network(self.rng.randint(1, 3))
        result = self.factor(depth)
        for _ in range(self.rng.randrange(3)):
            result = result * self.factor(depth)
        return result

    def definition(self, depth: int = 2) -> ta.Definition:
        """Return a sum of one or two products, with up to three legs, mentioned or not."""
        body = self.product(depth)
        for _ in range(self.rng.randrange(2)):
            body = body + self.rng.choice([1, -1, 3]) * self.product(depth)
        return ta.define(tuple(self.rng.sample(INDICES, self.rng.randint(0, 3))), body)

    def contraction(self) -> ta.Definition:
        """Return a contraction of three to five operands, with up to three legs, mentioned or not."""
        scale = self.rng.choice([1, 1, 1, 2])
        return ta.define(
            tuple(self.rng.sample(INDICES, self.rng.randint(0, 3))), scale * self.network(self.rng.randint(3, 5))
        )
