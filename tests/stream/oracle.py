"""Random masked sums as plain data: their text, and their values by loops that know nothing of the library.

A masked sum is a sum of terms; a term sums, over times and features, a product of relations between times, decays
and factors at one time.  `Masked.text` writes it for `parse`; `Masked.at` computes it from this data by loops over all
times and features in exact arithmetic.  A factor may hold a function of another masked sum at its time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

KINDS = {"constant": "C", "scalar": "S", "channel": "K", "matrix": "M"}  # of gates, and how their names begin
SIZES = {"d": 2, "e": 2, "heads": 2}
SPACES = {"f": "d", "g": "d", "h": "d", "e": "e", "b": "heads"}
INDICES = {"t,s,i,j,k,r,u": "n ordered", "f,g,h": "d", "e": "e", "b": "heads"}

Value = int | Fraction
Place = Mapping[str, int]
Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Relation:
    """``le``, ``lt`` or ``delta`` of two times."""

    kind: str
    low: str
    high: str

    def __str__(self) -> str:
        return f"{self.kind}[{self.low},{self.high}]"

    def holds(self, at: Place) -> bool:
        low, high = at[self.low], at[self.high]
        return {"le": low <= high, "lt": low < high, "delta": low == high}[self.kind]


@dataclass(frozen=True)
class Gate:
    """The product of a gate over earlier < r <= later: constant, or a number, channel or matrix each time."""

    tensor: str
    later: str
    earlier: str
    features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"decay({self.tensor})[{','.join((self.later, self.earlier, *self.features))}]"

    def at(self, at: Place, arrays: Arrays) -> Value:
        if at[self.later] < at[self.earlier]:
            return 0
        gate, steps = arrays[self.tensor], range(at[self.earlier] + 1, at[self.later] + 1)
        places = [at[name] for name in self.features]
        if len(places) == 2:
            return self._path(gate, list(steps), *places)
        if not isinstance(gate, list):
            return prod([gate for _ in steps])
        return prod(gate[r][places[0]] if places else gate[r] for r in steps)

    def _path(self, gate: Any, steps: list[int], row: int, column: int) -> Value:
        """Return an entry of the product of the matrices of some times, the latest on the left."""
        if not steps:
            return int(row == column)
        return sum(
            gate[steps[-1]][row][inner] * self._path(gate, steps[:-1], inner, column)
            for inner in range(len(gate[steps[-1]]))
        )


@dataclass(frozen=True)
class Factor:
    """A function of a tensor's entry at one time, or at none."""

    tensor: str
    time: str = ""
    features: tuple[str, ...] = ()
    function: str = ""

    def __str__(self) -> str:
        names = ((self.time,) if self.time else ()) + self.features
        return applied(self.function, f"{self.tensor}[{','.join(names)}]")

    def at(self, at: Place, arrays: Arrays) -> Value:
        entry = arrays[self.tensor]
        for name in ((self.time,) if self.time else ()) + self.features:
            entry = entry[at[name]]
        return function(self.function, entry)


@dataclass(frozen=True)
class Nested:
    """A function of a masked sum at one time."""

    masked: Masked
    function: str
    features: tuple[str, ...]

    def __str__(self) -> str:
        return applied(self.function, str(self.masked))

    def at(self, at: Place, arrays: Arrays, length: int) -> Value:
        return function(self.function, self.masked.at(at, arrays, length))


@dataclass(frozen=True)
class Term:
    """A product under a sum."""

    times: tuple[str, ...]
    features: tuple[str, ...]
    relations: tuple[Relation, ...]
    gates: tuple[Gate, ...]
    factors: tuple[Factor | Nested, ...]
    coefficient: int = 1

    def __str__(self) -> str:
        parts = [self.coefficient, *self.relations, *self.gates, *self.factors]
        return f"sum({','.join(self.times + self.features)}: {'*'.join(map(str, parts))})"

    def at(self, at: Place, arrays: Arrays, length: int) -> Value:
        total: Value = 0
        for times in product(range(length), repeat=len(self.times)):
            there = {**at, **dict(zip(self.times, times, strict=True))}
            if all(relation.holds(there) for relation in self.relations):
                total += self._summed(there, arrays, length)
        return self.coefficient * total

    def _summed(self, at: Place, arrays: Arrays, length: int) -> Value:
        total: Value = 0
        for places in product(*(range(SIZES[SPACES[name]]) for name in self.features)):
            there = {**at, **dict(zip(self.features, places, strict=True))}
            value: Value = 1
            for part in (*self.gates, *self.factors):
                value *= part.at(there, arrays, length) if isinstance(part, Nested) else part.at(there, arrays)
                if not value:
                    break
            total += value
        return total


@dataclass(frozen=True)
class Masked:
    """A sum of terms, over another one if there is a second."""

    terms: tuple[Term, ...]
    over: tuple[Term, ...] = ()
    function: str = ""

    def __str__(self) -> str:
        upper, lower = (" + ".join(map(str, terms)) for terms in (self.terms, self.over))
        return applied(self.function, f"({upper})/({lower})" if self.over else f"({upper})")

    @property
    def summed(self) -> int:
        """How many times the terms sum over, together."""
        return sum(len(term.times) for term in self.terms)

    def at(self, at: Place, arrays: Arrays, length: int) -> Value:
        upper = sum(term.at(at, arrays, length) for term in self.terms)
        lower = sum(term.at(at, arrays, length) for term in self.over) if self.over else 1
        return function(self.function, Fraction(upper) / lower)


def applied(name: str, text: str) -> str:
    """Return the text of a function of something."""
    return {"": text, "relu": f"relu({text})", "square": f"pow({text},2)", "one over": f"1/(1+pow({text},2))"}[name]


def function(name: str, value: Value) -> Value:
    """Return the value of a function."""
    if name == "relu":
        return max(value, 0)
    if name == "square":
        return value * value
    return Fraction(1) / (1 + value * value) if name == "one over" else value


def values(masked: Masked, legs: Sequence[str], arrays: Arrays, length: int, time: int) -> dict[tuple[int, ...], Value]:
    """Return the values of a masked sum at a time, for every place of its features."""
    places = product(*(range(SIZES[SPACES[name]]) for name in legs))
    return {p: masked.at({"t": time, **dict(zip(legs, p, strict=True))}, arrays, length) for p in places}


@dataclass
class Writer:
    """Writes random masked sums with two to four summed times under ``t``.

    `shapes` counts what was written.
    """

    seed: int
    gated: bool = False
    shapes: set[str] = field(default_factory=set)
    legs: tuple[str, ...] = ()
    static: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.legs = tuple(name for name, share in (("b", 0.2), ("e", 0.6), ("f", 0.15)) if self.rng.random() < share)

    def masked(self) -> Masked:
        """Return a masked sum, over another one or in a function at times."""
        count = self.rng.choices([2, 3, 4], [5, 3, 1])[0]
        terms = [self.term(count)]
        kind = self.rng.choices(["sum", "terms", "quotient", "after"], [6, 2, 2, 1])[0]
        self.shapes.add(kind)
        if kind == "terms":
            terms.append(self.term(2))
        if kind == "quotient":
            return Masked(tuple(terms), (self.term(self.rng.choice([1, 2]), positive=True),))
        after = self.rng.choice(["relu", "square" if count == 2 else "relu"])
        return Masked(tuple(terms), function=after if kind == "after" else "")

    def term(self, count: int, positive: bool = False) -> Term:
        """Return a term; a positive one is a sum that is never empty, of positive factors."""
        times = tuple(self.rng.sample(["s", "i", "j", "k", "r"], count))
        relations = self.order(times, strict=not positive)
        gates: list[Gate] = []
        features = ("f", "g", "h")[: self.rng.randint(1, 3)]
        if self.gated and not positive:
            relations, gates = self.decays(relations, features)
        factors: list[Factor | Nested] = [self.factor(time, features, positive) for time in ("t", *times)]
        if self.rng.random() < 0.3:
            factors.append(self.factor("", features, positive))
        if self.rng.random() < 0.1 and not positive:
            factors.append(self.nested(self.rng.choice(times), features))
        used = {name for part in (*gates, *factors) for name in part.features}
        bound = tuple(name for name in features if name in used and name not in self.legs)
        coefficient = 1 if positive else self.rng.choice([1, 1, -1, 3])
        return Term(times, bound, tuple(relations), tuple(gates), tuple(factors), coefficient)

    def order(self, times: Sequence[str], strict: bool) -> list[Relation]:
        """Return relations that keep every time at or below ``t``: a chain, a tree, or with two upper covers."""
        shape = self.rng.choice(["chain", "tree", "V"] if len(times) > 2 else ["chain", "tree"])
        self.shapes.add(shape)
        found: list[Relation] = []
        for k, time in enumerate(times):
            above = ("t", *times[:k])
            if shape == "V":
                highs = ["t"] if k < 2 else list(times[:2]) if k == 2 else self.rng.sample(above, 2)
            else:
                highs = [above[-1] if shape == "chain" else self.rng.choice(above)]
            found += [self.relation(time, high, strict) for high in highs]
        if self.rng.random() < 0.2:  # one that follows from others, or sharpens them
            found.append(self.relation(times[-1], "t", strict))
        self.rng.shuffle(found)
        return found

    def relation(self, low: str, high: str, strict: bool) -> Relation:
        return Relation(self.rng.choices(["le", "lt", "delta"], [6, 3 * strict, 0.6])[0], low, high)

    def decays(self, relations: list[Relation], features: Sequence[str]) -> tuple[list[Relation], list[Gate]]:
        """Return relations of which some have become decays."""
        kept, gates = [], []
        for relation in relations:
            if relation.kind == "le" and self.rng.random() < 0.5:
                kind = self.rng.choices(["constant", "scalar", "channel", "matrix"], [2, 3, 2, 1])[0]
                self.shapes.add(kind)
                channels = {"channel": self.rng.choices(features, k=1), "matrix": self.rng.choices(features, k=2)}
                name = KINDS[kind] + self.rng.choice("12")
                gates.append(Gate(name, relation.high, relation.low, tuple(channels.get(kind, ()))))
            else:
                kept.append(relation)
        return kept, gates

    def factor(self, time: str, features: Sequence[str], positive: bool) -> Factor:
        """Return a factor; equal spaces often mean the same tensor."""
        own = [name for name in (*features, *self.legs) if self.rng.random() < 0.5]
        own = list(dict.fromkeys(own))[:3]
        name = "".join(("P" if positive else "W" if not time else "X", self.rng.choice("12"), *own_spaces(own)))
        if not time:
            name += "w"
            self.static.add(name)
        self.rng.shuffle(own)
        own.sort(key=lambda index: SPACES[index])
        applied = "" if positive or self.rng.random() < 0.8 else self.rng.choice(["relu", "square", "one over"])
        return Factor(name, time, tuple(own), applied)

    def nested(self, time: str, features: Sequence[str]) -> Nested:
        """Return a function of an inner sum up to a time."""
        self.shapes.add("nested")
        inner = self.factor("u", features[:1], positive=False)
        inner = Factor(inner.tensor, "u", inner.features, "")
        term = Term(("u",), (), (Relation("le", "u", time),), (), (inner,))
        return Nested(Masked((term,)), self.rng.choice(["relu", "square", "one over"]), inner.features)

    def arrays(self, tensors: Mapping[str, Any], length: int) -> dict[str, Any]:
        """Return small integers for tensors with dimensions for legs; positive ones for those called P."""

        def array(shape: Sequence[int], low: int) -> Any:
            return [array(shape[1:], low) for _ in range(shape[0])] if shape else self.rng.randint(low, 2)

        sizes = {**SIZES, "n": length}
        return {
            name: array([sizes[str(leg)] for leg in legs], 1 if name[0] == "P" else -2)
            for name, legs in tensors.items()
        }


def own_spaces(features: Sequence[str]) -> list[str]:
    """Return the spaces of some features in order, as they stand in a tensor's name."""
    return sorted(SPACES[name] for name in features)
