"""Random exact tensors that satisfy declared facts and hypotheses, as nested lists of integers and rationals.

The library has a sampler of its own; this one shares no code with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from random import Random
from typing import Any

import flint
from exact import Evaluator, extent

from tensoralg.expr.rewrite import walk

Matrix = list[list[Any]]


def draw(case: Any, sizes: Mapping[str, int], random: Random, largest: int = 2) -> dict[str, Any]:
    """Return tensors for the two sides and the hypotheses of a claim."""
    sides = [case.left, case.right, *(side for law in case.kind.given for side in law)]
    symbols = {n.tensor.name: n.tensor for side in sides for n in walk(side) if hasattr(n, "tensor")}
    found: dict[str, Any] = {}
    for name in sorted(symbols):
        found[name] = one(symbols[name], sizes, random, largest)
    for name, symbol in symbols.items():
        if symbol.inverse_of is not None:
            found[symbol.inverse_of], found[name] = invertible(extent(symbol.legs[0], sizes), random)
    match case.kind.name:
        case "given definition":
            (left, right), *_ = case.kind.given
            body = Evaluator(right, order=left.free)
            rows, columns = (extent(index.space, sizes) for index in left.free_indices)
            found["C"] = [[body.at(sizes, found, (i, j)) for j in range(columns)] for i in range(rows)]
        case "given rows":
            found["H"] = [[*row[:-1], 1 - sum(row[:-1])] for row in found["H"]]
        case "given isometry":
            found["V"] = frame(len(found["V"]), len(found["V"][0]), random)
        case "given commuting":
            square = product(found["R"], found["R"])
            found["E"] = [
                [p - 2 * q for p, q in zip(*rows, strict=True)] for rows in zip(square, found["R"], strict=True)
            ]
    return found


def one(symbol: Any, sizes: Mapping[str, int], random: Random, largest: int) -> Any:
    """Return a random tensor with its declared facts, except that of being an inverse."""
    shape = [extent(leg, sizes) for leg in symbol.legs]
    if symbol.isometry:
        return frame(*shape, random)
    if symbol.projection:
        matrix, inverse = invertible(shape[0], random)
        chosen = [random.randint(0, 1) for _ in matrix]
        return product([[x * c for x, c in zip(row, chosen, strict=True)] for row in matrix], inverse)
    if symbol.permutation:
        order = random.sample(range(shape[0]), shape[0])
        return [[int(order[i] == j) for j in range(shape[0])] for i in range(shape[0])]
    low = 1 if symbol.positive else -largest
    values = {place: random.randint(low, largest) for place in itertools.product(*map(range, shape))}
    for place in values:
        source, sign = sorted_legs(symbol, place)
        values[place] = sign * values[source]  # a sorted place is its own source and comes before the others
    return nested(values, shape)


def sorted_legs(symbol: Any, place: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Return the place with the positions in every group of legs sorted, and the sign of that."""
    source, sign = list(place), 1
    for group in (*symbol.symmetric, *symbol.antisymmetric):
        positions = [place[leg] for leg in group]
        for leg, position in zip(group, sorted(positions), strict=True):
            source[leg] = position
        if group in symbol.antisymmetric:
            pairs = list(itertools.combinations(positions, 2))
            sign *= 0 if any(a == b for a, b in pairs) else (-1) ** sum(a > b for a, b in pairs)
    return tuple(source), sign


def nested(values: Mapping[tuple[int, ...], Any], shape: list[int], prefix: tuple[int, ...] = ()) -> Any:
    """Return values by place as nested lists."""
    if len(prefix) == len(shape):
        return values[prefix]
    return [nested(values, shape, (*prefix, k)) for k in range(shape[len(prefix)])]


def product(left: Matrix, right: Matrix) -> Matrix:
    return [
        [sum(x * row[j] for x, row in zip(line, right, strict=True)) for j in range(len(right[0]))] for line in left
    ]


def identity(size: int) -> Matrix:
    return [[int(i == j) for j in range(size)] for i in range(size)]


def invertible(size: int, random: Random) -> tuple[Matrix, Matrix]:
    """Return a unimodular matrix and its inverse: row operations on the one undo column operations on the other."""
    matrix, inverse = identity(size), identity(size)
    for _ in range(2 * size if size > 1 else 0):
        i, j = random.sample(range(size), 2)
        scale = random.choice((-1, 1))
        matrix[i] = [x + scale * y for x, y in zip(matrix[i], matrix[j], strict=True)]
        for row in inverse:
            row[j] -= scale * row[i]
    return matrix, inverse


def frame(rows: int, columns: int, random: Random) -> Matrix:
    """Return a matrix with orthonormal rational columns: a reflection times a signed permutation."""
    while not any(vector := [random.randint(-2, 2) for _ in range(rows)]):
        pass
    norm = sum(x * x for x in vector)
    order, signs = random.sample(range(rows), columns), [random.choice((-1, 1)) for _ in range(columns)]
    return [
        [
            sign * (int(i == j) - flint.fmpq(2 * vector[i] * vector[j], norm))
            for j, sign in zip(order, signs, strict=True)
        ]
        for i in range(rows)
    ]
