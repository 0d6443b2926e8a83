"""Lines of words and formulas, to be written as text or as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any

from tensoralg.proof.show import escaped, latex, show_array, symbol, text


@dataclass(frozen=True)
class Shown:
    """A term of the language of certificates, or a name, inside a line."""

    node: Any

    def text(self) -> str:
        """Return it as text."""
        return self.node if isinstance(self.node, str) else text(self.node)

    def latex(self) -> str:
        """Return it as LaTeX."""
        return symbol(self.node) if isinstance(self.node, str) else latex(self.node)


@dataclass(frozen=True)
class Matrix:
    """An array of a witness."""

    value: Any

    def text(self) -> str:
        """Return it as text."""
        return show_array(self.value)

    def latex(self) -> str:
        """Return a vector or matrix as one, anything else as text."""
        value = self.value
        if not isinstance(value, list):
            return _value(value)
        rows = value if all(isinstance(row, list) for row in value) else [value]
        if any(isinstance(x, list) for row in rows for x in row) or not value:
            return words(show_array(value))
        shown = " \\\\ ".join(" & ".join(map(_value, row)) for row in rows)
        return f"\\begin{{pmatrix}} {shown} \\end{{pmatrix}}"


def _value(value: Any) -> str:
    if isinstance(value, Fraction) and value.denominator != 1:
        return latex(("num", value.numerator, value.denominator))
    return str(value) if isinstance(value, int | Fraction) else words(show_array(value))


Part = str | Shown | Matrix


@dataclass
class Page:
    """Lines of words and formulas, some with a label."""

    lines: list[tuple[str, int, tuple[Part, ...]]] = field(default_factory=list)

    def add(self, label: str, *parts: Part, depth: int = 0) -> None:
        """Add a line."""
        self.lines.append((label, depth, parts))

    def text(self) -> list[str]:
        """Return the lines as text."""
        return [
            f"{label:<7} {'  ' * depth}{''.join(p if isinstance(p, str) else p.text() for p in parts)}"
            for label, depth, parts in self.lines
        ]

    def latex(self) -> list[str]:
        """Return the lines as rows of an align environment."""
        rows = []
        for label, depth, parts in self.lines:
            groups = groupby(parts, lambda part: isinstance(part, str))
            shown = "".join(words("".join(map(str, g))) if plain else _formulas(g) for plain, g in groups)
            rows.append(f"{words(label)}&" + "\\quad" * (1 + depth) + " " + shown)
        return rows


def words(prose: str) -> str:
    """Return words as LaTeX inside a formula."""
    return f"\\text{{{escaped(prose)}}}" if prose else ""


def _formulas(parts: Iterable[Any]) -> str:
    return " ".join(part.latex() for part in parts)
