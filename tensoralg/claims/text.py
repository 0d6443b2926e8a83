"""Claims and operators in the text form, as the command line takes them.

An equation is ``LHS == RHS``; its free indices are named, and every other index is summed around the
term in which it stands, as `parse` does.  A hypothesis is ``L == R for a,b`` and holds for all values of
the indices after ``for``.  Without ``for`` these are the indices that stand outside explicit sums on
both sides; where one side mentions no index at all, nobody can tell, and ``for`` is needed unless the
other side sums explicitly: then its remaining indices are the free ones.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tensoralg.claims.claim import Equation
from tensoralg.errors import ParseError, UsageError
from tensoralg.expr import Definition, einsum, parse, tensor
from tensoralg.expr.parse import read_table
from tensoralg.expr.syntax import Reader, Syntax
from tensoralg.spaces import Space

NAMES = tuple(string.ascii_uppercase)


def read_equation(
    text: str,
    indices: Mapping[str, str] | str,
    free: Iterable[str] | str = (),
    tensors: Mapping[str, str] | str | None = None,
    given: Sequence[str] = (),
    fixed: Mapping[str, int] | None = None,
) -> Equation:
    """Return the equation that a text ``LHS == RHS`` says, with its hypotheses.

    Raises
    ------
    ParseError
        If the text is not in the language.
    UsageError
        If the free indices of a hypothesis cannot be told.

    Examples
    --------
    >>> equation = read_equation("U[i,a]*x[a] == y[i]", "i: m; a: n", "i", given=["U[i,a]*U[i,b] == delta[a,b]"])
    Traceback (most recent call last):
    tensoralg.errors.UnknownName: index b is not declared
      U[i,a]*U[i,b]
                 ^
      remedy: declare it in indices, as b: n; known: a, i
    >>> equation = read_equation("U[i,a]*x[a] == y[i]", "i: m; a,b: n", "i", given=["U[i,a]*U[i,b] == delta[a,b]"])
    >>> print(equation.given[0][0])
    out[a,b] = sum(i: U[i,a]*U[i,b])
    """
    lhs, rhs = (parse(side, indices, tensors, free) for side in _sides(text))
    return Equation(lhs, rhs, tuple(_hypothesis(line, indices, tensors) for line in given), dict(fixed or {}))


def _sides(text: str) -> list[str]:
    sides = text.split("==")
    if len(sides) != 2:
        spot = text.find("==", text.find("==") + 1) if len(sides) > 2 else len(text.rstrip())
        raise ParseError("a claim has one '=='", text, spot, remedy="write LHS == RHS")
    return sides


def _hypothesis(
    text: str, indices: Mapping[str, str] | str, tensors: Mapping[str, str] | str | None
) -> tuple[Definition, Definition]:
    equation, _, names = text.partition(" for ")
    sides = _sides(equation)
    trees = [Reader(side).whole() for side in sides]
    free = [name.strip() for name in names.split(",") if name.strip()] or _free_on_both(text, trees)
    lhs, rhs = (parse(side, indices, tensors, free) for side in sides)
    return lhs, rhs


def _free_on_both(text: str, trees: Sequence[Syntax]) -> list[str]:
    left, right = (list(dict.fromkeys(_open_names(tree))) for tree in trees)
    if bool(left) == bool(right):
        return [name for name in left if name in right]
    if any(node.kind == "sum" for tree in trees for node in tree.walk()):
        return left or right
    raise UsageError(
        f"the free indices of the hypothesis {text!r} cannot be told from it",
        remedy=f"say for which indices it holds, '... for {','.join(left or right)}', or write the sum: sum(i: ...)",
    )


def _open_names(node: Syntax) -> Iterator[str]:
    """Yield the names of the indices outside explicit sums over them, in the order written."""
    bound = {name for arg in node.args for name in arg.names()} if node.kind == "sum" else set()
    own = () if node.kind == "sum" else (name for arg in node.args for name in arg.names())
    yield from own
    yield from (name for child in node.children for name in _open_names(child) if name not in bound)


def read_operator(
    text: str,
    indices: Mapping[str, str] | str | None = None,
    tensors: Mapping[str, str] | str | None = None,
    free: Iterable[str] | str | None = None,
) -> Definition:
    """Return the operator that a text says: statements, one side with its free indices, or an einsum string.

    In an einsum string the operands are called A, B, ... (more than 26: A0, A1, ...), and an index that is not
    declared has the dimension of its own name.

    Examples
    --------
    >>> print(read_operator("t f, s f, s e -> t e", "t,s: n; f: d"))
    O[t,e] = sum(f,s: A[t,f]*B[s,f]*C[s,e])
    """
    if "->" in text:
        return _read_einsum(text, indices)
    if "[" not in text and "=" not in text:
        raise UsageError(
            f"{text!r} is neither a statement nor an einsum string",
            remedy="write O[t,s] = Q[t,f]*K[s,f], or t f, s f -> t s",
        )
    return parse(text, indices, tensors, free)


def _read_einsum(text: str, indices: Mapping[str, str] | str | None) -> Definition:
    left, _, right = text.partition("->")
    if wrong := re.search(r"[^\w\s,]", left) or re.search(r"[^\w\s]", right):
        spot = text.index(wrong.group())
        raise ParseError(f"unexpected {wrong.group()!r} in an einsum string", text, spot, remedy="t f, s f -> t s")
    parts = [part.strip() for part in left.split(",")]
    spaced = any(" " in part for part in [*parts, right.strip()])  # as `einsum` reads it
    groups = [part.split() if spaced else list(part) for part in parts]
    words = {name: value.split() for name, value in read_table(indices, "indices").items()}
    rows = {name: words.get(name) or [name] for group in groups for name in group}
    spaces = {name: Space(row[0], row[0], ordered="ordered" in row) for name, row in rows.items()}
    names = NAMES if len(groups) <= len(NAMES) else [f"A{k}" for k in range(len(groups))]
    operands = [tensor(name, [spaces[i] for i in group]) for name, group in zip(names, groups, strict=False)]
    made = einsum(text, *operands)
    return Definition(made.legs, made.term, "O")  # type: ignore[no-any-return]
