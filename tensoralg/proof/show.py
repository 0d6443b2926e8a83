"""Terms in the language of certificates as text, like the text form of expressions."""

from __future__ import annotations

from typing import Any

SUM, PRODUCT, FACTOR = range(3)


def text(node: Any, level: int = SUM) -> str:
    """Return a term of the language of certificates as text.

    Examples
    --------
    >>> text(("*", ("num", 1, 2), ("+", ("t", "A", "i", "j"), ("delta", "i", "j"))))
    '1/2*(A[i,j] + delta[i,j])'
    """
    if isinstance(node, int):
        return str(node) if node >= 0 or level == SUM else f"({node})"
    kind = node[0]
    if kind == "num":
        return f"{node[1]}/{node[2]}" if level < FACTOR else f"({node[1]}/{node[2]})"
    if kind == "size":
        return str(node[1])
    if kind == "t":
        return f"{node[1]}[{','.join(map(index, node[2:]))}]"
    if kind in ("delta", "le", "lt"):
        return f"{kind}[{index(node[1])},{index(node[2])}]"
    if kind in ("decay", "gap"):
        return f"{kind}({node[1]})[{','.join(map(index, node[3:]))}]"
    if kind == "sum":
        return f"sum({','.join(name for name, _ in node[1])}: {text(node[2])})"
    if kind == "^":
        return f"1/{text(node[1], FACTOR)}" if node[2] == -1 else f"pow({text(node[1])}, {node[2]})"
    if kind == "+":
        shown = " + ".join(text(part, PRODUCT) for part in node[1:]).replace("+ -1*", "- ")
        return shown if level == SUM else f"({shown})"
    if kind == "*":
        shown = "*".join(text(part, PRODUCT if k == 0 else FACTOR) for k, part in enumerate(node[1:]))
        return shown if level < FACTOR else f"({shown})"
    return f"{kind}({text(node[1])})"


def index(term: Any) -> str:
    """Return an index as text."""
    if isinstance(term, str):
        return term
    if term[0] == "*":
        return f"({','.join(map(index, term[1:]))})"
    return f"{index(term[2])}" if term[0] == "+" else f"#{term[1]}"
