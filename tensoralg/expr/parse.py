"""The text form read back: `parse`.

Grammar (a statement ends at a line break or ``;``; comments start with ``#``)::

    statement := NAME '[' indices ']' '=' expr
    expr      := ['+'|'-'] term { ('+'|'-') term }
    term      := factor { ('*'|'/') factor }
    factor    := INTEGER | DIMENSION | NAME '[' args ']' | NAME '[' ']' | '(' expr ')'
               | delta[i,j] | le[i,j] | lt[i,j] | near[i,j,DIMENSION] | decay(NAME)[t,s,..]
               | exp(expr) | log(expr) | sqrt(expr) | relu(expr) | pow(expr, INTEGER)
               | softmax(i: expr) | sum(i,j,..: expr)
    arg       := index | '(' arg ',' arg .. ')'

An index that occurs in a term of a side, is not free and is not bound by an explicit ``sum`` is summed
once, around that whole outermost term.  A bound index never shadows another.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from tensoralg.errors import (
    FactConflict,
    ImplicitSumWarning,
    InvalidExpression,
    LegCountMismatch,
    ParseError,
    ShadowedIndex,
    TensoralgError,
    UnknownName,
    suggest,
)
from tensoralg.expr.build import softmax
from tensoralg.expr.nodes import (
    Decay,
    Definition,
    Delta,
    Entry,
    Expr,
    Mask,
    Near,
    Number,
    Size,
    add,
    apply,
    bind,
    mul,
    negate,
    power,
    reciprocal,
)
from tensoralg.expr.syntax import IndexSyntax, Reader, Statement, Syntax, split_statements, without_comments
from tensoralg.expr.tensor import Tensor, tensor
from tensoralg.spaces import Fused, Index, IndexTerm, Space, VectorSpace

FACT_WORDS = {
    "sym": "symmetric",
    "antisym": "antisymmetric",
    "positive": "positive",
    "permutation": "permutation",
    "isometry": "isometry",
    "projection": "projection",
}


def parse(
    text: str,
    indices: Mapping[str, str] | str | None = None,
    tensors: Mapping[str, str] | str | None = None,
    free: Iterable[str] | str | None = None,
    symmetry: Mapping[str, Any] | None = None,
) -> Definition:
    """Return the definition that a text says.

    Parameters
    ----------
    text : str
        Statements ``O[t,e] = ...``, a later one using what an earlier one defines (the last is
        returned); or, with `free`, one side of a claim.  Lines ``indices t,s: n ordered; f: d`` and
        ``tensors A: d d sym`` may stand in the text.
    indices : mapping or str
        The dimension of every index, ``{"t,s": "n ordered", "f": "d"}`` or ``"t,s: n ordered; f: d"``.
    tensors : mapping or str, optional
        Legs as dimension names, ``""`` for a scalar, and facts: ``{"A": "d d sym"}``.  Legs of
        tensors that are not listed follow from use.
    free : sequence of str, optional
        The free indices, in order.
    symmetry : mapping, optional
        ``"sym"``, ``"antisym"``, or ``("sym", (1, 2))`` over some legs.

    Raises
    ------
    ParseError
        If the text is not in the language (a caret stands under the spot).
    TensoralgError
        If it is, but is not well typed; the message shows the spot as well.

    Examples
    --------
    >>> O = parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n ordered", "f": "d", "e": "d"})
    >>> print(O)
    O[t,e] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,e])
    >>> O.free, O.tensors
    (('t', 'e'), ('Q', 'K', 'V'))
    """
    return _Elaborator(text, indices, tensors, free, symmetry).run()


def read_table(table: Mapping[str, str] | str | None, what: str) -> dict[str, str]:
    """Return ``{"t": "n ordered", "s": "n ordered"}`` from a mapping or from ``"t,s: n ordered; ..."``."""
    if table is None:
        return {}
    if isinstance(table, str):
        entries = [entry for entry in table.split(";") if entry.strip()]
        pairs = []
        for entry in entries:
            name, colon, value = entry.partition(":")
            if not colon:
                raise ParseError(
                    f"expected ':' in the {what}",
                    table,
                    table.index(entry) + len(entry.rstrip()),
                    remedy="write for example t,s: n ordered; f: d",
                )
            pairs.append((name, value))
    else:
        pairs = list(table.items())
    return {key.strip(): str(value).strip() for names, value in pairs for key in str(names).split(",") if key.strip()}


class _Elaborator:
    """Gives meaning to the syntax of one text."""

    def __init__(self, text: str, indices: Any, tensors: Any, free: Any, symmetry: Mapping[str, Any] | None) -> None:
        self.text = without_comments(text)
        self.index_table = read_table(indices, "indices")
        self.tensor_table = read_table(tensors, "tensors")
        self.symmetry = dict(symmetry or {})
        self.free = (
            None
            if free is None
            else [f.strip() for f in (free.split(",") if isinstance(free, str) else free) if f.strip()]
        )
        self.statements = self._read()
        self.spaces: dict[str, Space] = {}
        self.indices = self._declare_indices()
        self.legs: dict[str, tuple[VectorSpace, ...]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self._declare_tensors()
        self.definitions: dict[str, Definition] = {}

    def _read(self) -> list[Statement]:
        if self.free is not None:
            return [Statement(None, (), Reader(self.text).whole(), 0)]
        found = []
        header: list[str] | None = None
        for start, stop in split_statements(self.text):
            piece = self.text[start:stop]
            word = re.match(r"\s*(indices|tensors)\b(?!\s*\[)", piece)
            if word:
                header, piece = [word.group(1)], piece[word.end() :]
            if header and ":" in piece and "=" not in piece:
                (self.index_table if header == ["indices"] else self.tensor_table).update(read_table(piece, header[0]))
            elif piece.strip():
                header = None
                found.append(Reader(self.text, start, stop).statement())
        if not found:
            raise ParseError(
                "there is no statement", self.text, 0, remedy="write O[t,e] = ..., or give the free indices with free="
            )
        return found

    def _declare_indices(self) -> dict[str, Index]:
        masked = {
            name
            for statement in self.statements
            for node in statement.side.walk()
            if node.kind in ("le", "lt", "near", "decay")
            for arg in node.args[:2]
            for name in arg.names()
        }
        rows = {}
        for name, value in self.index_table.items():
            words = value.split()
            if not words or len(words) > 2 or (len(words) == 2 and words[1] != "ordered"):
                raise ParseError(
                    f"index {name} has the dimension {value!r}",
                    f"{name}: {value}",
                    len(name) + 2,
                    remedy="write a dimension, and 'ordered' if it is: t: n ordered",
                )
            rows[name] = words[0]
        ordered = {rows[name] for name in rows if self.index_table[name].endswith("ordered") or name in masked}
        self.ordered = ordered
        return {name: Index(name, self._space(dimension)) for name, dimension in rows.items()}

    def _space(self, dimension: str) -> Space:
        if dimension not in self.spaces:
            self.spaces[dimension] = Space(dimension, dimension, ordered=dimension in self.ordered)
        return self.spaces[dimension]

    def _declare_tensors(self) -> None:
        for name, value in self.tensor_table.items():
            words = value.split()
            self.legs[name] = tuple(self._space(word) for word in words if word not in FACT_WORDS)
            self.facts[name] = {FACT_WORDS[word]: True for word in words if word in FACT_WORDS}
        for name, value in self.symmetry.items():
            kind, group = (value, True) if isinstance(value, str) else value
            if kind not in ("sym", "antisym"):
                raise FactConflict(
                    f"unknown symmetry {kind!r} of tensor {name}", remedy='use "sym" or "antisym", or ("sym", (1, 2))'
                )
            self.facts.setdefault(name, {})[FACT_WORDS[kind]] = group

    def run(self) -> Definition:
        for statement in self.statements:
            if statement.name is None:
                legs = tuple(self._index(IndexSyntax(name, 0)) for name in self.free or ())
            else:
                legs = tuple(self._index(arg) for arg in statement.indices)
            with self._located(statement.position):
                names = [leg.name for leg in legs]
                if len(set(names)) < len(names):
                    raise InvalidExpression(f"a free index is named twice in {','.join(names)}", remedy="name it once")
            side = self._side(statement.side, legs)
            with self._located(statement.position):
                result: Definition = Definition(legs, side, statement.name or "out")
            if statement.name is not None:
                self.definitions[statement.name] = result
        return result

    @contextmanager
    def _located(self, position: int) -> Iterator[None]:
        """Show the spot in errors that know nothing of the text."""
        try:
            yield
        except ParseError:
            raise
        except TensoralgError as error:
            if "\n  " in error.what:
                raise
            pointer = str(ParseError("", self.text, position))
            raise type(error)(error.what + pointer, remedy=error.remedy, **error.facts) from None

    def _index(self, arg: IndexSyntax) -> Index:
        if arg.parts:
            raise ParseError(
                "a single index is needed here", self.text, arg.position, remedy="name the parts one by one"
            )
        if arg.name not in self.indices:
            with self._located(arg.position):
                raise UnknownName(
                    f"index {arg.name} is not declared",
                    name=arg.name,
                    remedy=f"declare it in indices, as {arg.name}: n; {suggest(arg.name, self.indices)}",
                )
        return self.indices[arg.name]

    def _term_of(self, arg: IndexSyntax) -> IndexTerm:
        return Fused(tuple(self._term_of(part) for part in arg.parts)) if arg.parts else self._index(arg)

    def _side(self, syntax: Syntax, legs: tuple[Index, ...]) -> Expr:
        """Return a side: every outermost term closed by the implicit sum."""
        scope = {leg.name for leg in legs}
        return self._signed_sum(syntax, scope, lambda term, child: self._close(term, scope, child))

    def _signed_sum(self, syntax: Syntax, scope: set[str], close: Any) -> Expr:
        terms = []
        for sign, child in zip(syntax.value, syntax.children, strict=True):
            with self._located(child.position):
                term = close(self._product(child, scope), child)
                terms.append(negate(term) if sign == "-" else term)
        return add(*terms)

    def _close(self, term: Expr, scope: set[str], syntax: Syntax) -> Expr:
        summed = tuple(index for index in term.free_indices if index.name not in scope)
        inner = {arg.name: arg.position for node in syntax.walk() if node.kind == "sum" for arg in node.args}
        for index in summed:
            if index.name in inner:
                raise self._shadow(index.name, inner[index.name], "summed around the whole term")
        closed = bind(summed, term)
        hidden = [index.name for index in summed if index.name not in _plain_names(term)]
        if hidden:
            warnings.warn(
                f"{', '.join(hidden)} occurs only inside a function or a denominator and is summed around the whole "
                f"term; this is read as {closed}",
                ImplicitSumWarning,
                stacklevel=8,
            )
        return closed

    def _shadow(self, name: str, position: int, how: str) -> ShadowedIndex:
        pointer = str(ParseError("", self.text, position))
        return ShadowedIndex(
            f"index {name} is bound by a sum inside a term where it is also {how}{pointer}",
            remedy=f"rename the inner index, for example to {name}2, and declare it",
            index=name,
        )

    def _product(self, syntax: Syntax, scope: set[str]) -> Expr:
        factors = []
        for operator, child in zip(syntax.value, syntax.children, strict=True):
            with self._located(child.position):
                factor = self._factor(child, scope)
                factors.append(reciprocal(factor) if operator == "/" else factor)
        return mul(*factors)

    def _factor(self, syntax: Syntax, scope: set[str]) -> Expr:
        kind = syntax.kind
        if kind == "add":
            return self._signed_sum(syntax, scope, lambda term, child: term)
        if kind == "number":
            return Number(Fraction(int(syntax.value)))  # type: ignore[no-any-return]
        if kind == "name":
            return self._dimension(syntax)
        if kind == "entry":
            return self._entry(syntax)
        if kind in ("delta", "le", "lt"):
            left, right = map(self._term_of, syntax.args)
            return Delta(left, right) if kind == "delta" else Mask(kind == "lt", left, right)  # type: ignore[no-any-return]
        if kind == "near":
            left, right = map(self._term_of, syntax.args)
            return Near(left, right, self._factor(syntax.children[0], scope))  # type: ignore[no-any-return]
        if kind == "decay":
            return self._decay(syntax)
        if kind == "sum":
            return self._sum(syntax, scope)
        inner = self._factor(syntax.children[0], scope)
        if kind == "softmax":
            return softmax(inner, self._index(syntax.args[0]))
        return power(inner, int(syntax.value)) if kind == "pow" else apply(kind, inner)

    def _dimension(self, syntax: Syntax) -> Expr:
        name = syntax.value
        if name in self.spaces or name in {str(s.dimension) for s in self.spaces.values()}:
            return Size(name)  # type: ignore[no-any-return]
        kind = "an index" if name in self.indices else "no dimension"
        raise ParseError(
            f"{name} is {kind} here",
            self.text,
            syntax.position,
            remedy=f"write {name}[] for a scalar tensor; dimensions are {', '.join(sorted(self.spaces)) or 'none'}",
        )

    def _tensor(self, name: str, used: tuple[VectorSpace, ...], position: int) -> Tensor:
        legs = self.legs.setdefault(name, used)
        if len(legs) != len(used):
            raise LegCountMismatch(
                f"tensor {name} has {len(legs)} legs ({' '.join(map(str, legs))}) but {len(used)} indices are given",
                remedy="give one index for each leg",
                tensor=name,
            )
        return tensor(name, legs, **self.facts.get(name, {}))

    def _entry(self, syntax: Syntax) -> Expr:
        terms = tuple(self._term_of(arg) for arg in syntax.args)
        if syntax.value in self.definitions:
            return self.definitions[syntax.value][terms]
        symbol = self._tensor(syntax.value, tuple(term.space for term in terms), syntax.position)
        return Entry(symbol, terms)  # type: ignore[no-any-return]

    def _decay(self, syntax: Syntax) -> Expr:
        ends = [arg.name if arg.name in ("+", "-") else self._term_of(arg) for arg in syntax.args[:2]]
        rest = tuple(self._term_of(arg) for arg in syntax.args[2:])
        clocks = [end.space for end in ends if not isinstance(end, str)]
        if syntax.value not in self.legs and not clocks:
            raise ParseError(
                f"the legs of the gate {syntax.value} are not known",
                self.text,
                syntax.position,
                remedy="declare it in tensors",
            )
        legs = self.legs.setdefault(syntax.value, (*clocks[:1], *(term.space for term in rest)))
        gate = tensor(syntax.value, legs, **self.facts.get(syntax.value, {}))
        return Decay(gate, *ends, rest)  # type: ignore[no-any-return]

    def _sum(self, syntax: Syntax, scope: set[str]) -> Expr:
        indices = tuple(self._index(arg) for arg in syntax.args)
        for index, arg in zip(indices, syntax.args, strict=True):
            if index.name in scope:
                raise self._shadow(index.name, arg.position, "free or bound further out")
        inner = self._factor(syntax.children[0], scope | {index.name for index in indices})
        return bind(indices, inner)


def _plain_names(expr: Expr) -> set[str]:
    """Return the names of free indices that occur outside functions, powers and denominators."""
    if expr.kind in ("apply", "pow"):
        return set()
    if not expr.children():
        return {index.name for index in expr.free_indices}
    below = set().union(*(_plain_names(child) for child in expr.children()))
    return below & {index.name for index in expr.free_indices}


def declarations(expr: Expr) -> dict[str, dict[str, str]]:
    """Return the ``indices`` and ``tensors`` with which the text of an expression parses back.

    Raises
    ------
    InvalidExpression
        If a space cannot be declared in the text form (composite, bare, or named unlike its dimension).

    Examples
    --------
    >>> O = parse("O[t] = le[s,t]*x[s]", indices={"t,s": "n"})
    >>> parse(str(O), **declarations(O)) == O
    True
    """
    indices: dict[str, str] = {}
    tensors_used: dict[str, str] = {}
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        stack.extend(node.children())
        terms = [*node.index_terms(), *getattr(node, "indices", ()), *getattr(node, "legs", ())]
        for term in terms:
            for index in _all(term):
                indices[index.name] = _word(index.space) + (" ordered" if index.space.ordered else "")
        if hasattr(node, "tensor"):
            symbol = node.tensor
            facts = [
                word
                for word, fact in FACT_WORDS.items()
                if symbol.facts.get(fact) in (True, (tuple(range(len(symbol.legs))),))
            ]
            tensors_used[symbol.name] = " ".join([*map(_word, symbol.legs), *facts])
    return {"indices": indices, "tensors": tensors_used}


def _all(term: IndexTerm) -> Iterator[Index]:
    if isinstance(term, Fused):
        for part in term.parts:
            yield from _all(part)
    elif isinstance(term, Index):
        yield term
    else:
        raise InvalidExpression(f"{term} cannot be declared in the text form", remedy="keep such expressions in Python")


def _word(space: VectorSpace) -> str:
    if isinstance(space, Space) and str(space.dimension) == space.name and space.metric and not space.is_dual:
        return space.name
    raise InvalidExpression(
        f"the space {space} of dimension {space.dimension} cannot be declared in the text form",
        remedy="the text form knows spaces that are named like their dimension",
    )
