"""Random networks as strings, and lattices, for the tests of searched orders."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

from hypothesis import strategies as st

LETTERS = "abcdefghijklmnopqrstuvwxyz"
Network = tuple[list[str], str, dict[str, int]]


@st.composite
def networks(draw: Any, least: int = 3, most: int = 6, sizes: int = 9) -> Network:
    """Networks with hyperedges, labels of one operand, disconnected parts, outputs and sizes from 1."""
    count = draw(st.integers(least, most))
    letters = LETTERS[: draw(st.integers(1, min(26, 2 * count)))]
    word = st.lists(st.sampled_from(letters), max_size=4, unique=True).map("".join)
    operands = draw(st.lists(word, min_size=count, max_size=count))
    used = sorted(set("".join(operands)))
    output = "".join(draw(st.lists(st.sampled_from(used), max_size=3, unique=True))) if used else ""
    return operands, output, {x: draw(st.integers(1, sizes)) for x in used}


@st.composite
def some_tree(draw: Any, count: int) -> Any:
    """Any binary tree over so many operands."""
    parts: list[Any] = list(range(count))
    while len(parts) > 1:
        one = parts.pop(draw(st.integers(0, len(parts) - 1)))
        other = parts.pop(draw(st.integers(0, len(parts) - 1)))
        parts.append((one, other))
    return parts[0]


def lattice(*dims: int, size: int = 2) -> Network:
    """A lattice; its labels are numbered from a private part of Unicode."""
    names = map(chr, range(0xE000, 0xF800))
    terms: dict[Any, str] = dict.fromkeys(product(*map(range, dims)), "")
    sizes = {}
    for axis in range(len(dims)):
        lines = {site[:axis] + site[axis + 1 :] for site in terms}
        for line in sorted(lines):
            for one, other in pairwise(range(dims[axis])):
                name = next(names)
                sizes[name] = size
                for place in (one, other):
                    terms[(*line[:axis], place, *line[axis:])] += name
    return list(terms.values()), "", sizes
