"""The text form read back: `parse`.

Grammar (a statement ends at a line break or ``;``; comments start with ``#``)::

    statement := NAME '[' indices ']' '=' expr
    expr      := ['+'|'-'] term { ('+'|'-') term }
    term      := factor { ('*'|'/') factor }
    factor    := INTEGER | DIMENSION | NAME '[' args ']' | NAME '[' ']' | '(' expr ')'
               | delta[i,j] | le[i,j] | lt[i,j] | near[i,j,DIMENSION] | decay(NAME)[t,s,..]
               | exp(expr) | log(expr) | sqrt(expr) | relu(expr) | pow(expr, INTEGER)
               | max(expr, expr, ..) | min(expr, expr, ..)
               | softmax(i: expr) | sum(i,j,..: expr)
    arg       := index | '(' arg ',' arg .. ')'

An index that occurs in a term of a side, is not free and is not bound by an explicit ``sum`` is summed
once, around that whole outermost term.  A bound index never shadows another.  ``max`` and ``min`` are read
as what they are composed of (`tensoralg.maximum`), and printed as that.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from tensoralg.errors import (
    FactConflict,
    ImplicitSumWarning,
    IndexConflict,
    InvalidExpression,
    LegCountMismatch,
    ParseError,
    ShadowedIndex,
    TensoralgError,
    UnknownName,
    counted,
    suggest,
)
from tensoralg.expr.build import compose_maximum, softmax
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
from tensoralg.expr.syntax import EXTREMA, IndexSyntax, Reader, Statement, Syntax, split_statements, without_comments
from tensoralg.expr.tables import (
    FACT_WORDS,
    declarations,
    read_index,
    read_symmetry,
    read_table,
    read_tensor,
    tensor_facts,
)
from tensoralg.expr.tensor import Tensor, tensor
from tensoralg.spaces import Fused, Index, IndexTerm, Space, VectorSpace

__all__ = ["FACT_WORDS", "declarations", "parse", "read_table"]


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
        ``"sym"``, ``"antisym"``, or ``("sym", (1, 2))`` over some legs; or a list of these.

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


def _free_names(free: Iterable[str] | str | None) -> list[str] | None:
    if free is None:
        return None
    names = re.split(r"[,\s]+", free) if isinstance(free, str) else free
    if not isinstance(names, Iterable):
        raise InvalidExpression(f"{free!r} does not name free indices", remedy='write free="t,e" or free=("t", "e")')
    found = []
    for name in names:
        if not isinstance(name, str):
            raise InvalidExpression(
                f"{name!r} does not name a free index", remedy='write its name, as in free=("t", "e")'
            )
        found.append(name.strip())
    return [name for name in found if name]


class _Elaborator:
    """Gives meaning to the syntax of one text."""

    def __init__(self, text: str, indices: Any, tensors: Any, free: Any, symmetry: Mapping[str, Any] | None) -> None:
        if not isinstance(text, str):
            raise InvalidExpression(f"{text!r} is no text", remedy='write the statement in a string: "O[t] = x[t]"')
        self.text = without_comments(text)
        self.index_table = read_table(indices, "indices")
        self.tensor_table = read_table(tensors, "tensors")
        self.symmetry = read_symmetry(symmetry)
        self.free = _free_names(free)
        self.statements = self._read()
        self.rows = {name: read_tensor(name, value) for name, value in self.tensor_table.items()}
        self.spaces: dict[str, Space] = {}
        self.indices = self._declare_indices()
        self.legs: dict[str, tuple[VectorSpace, ...]] = {
            name: tuple(map(self._space, row.legs)) for name, row in self.rows.items()
        }
        self.definitions: dict[str, Definition] = {}
        self.generic: set[str] = set()
        self.widths: set[str] = set()

    def _read(self) -> list[Statement]:
        found = []
        header = ""  # the table that the next piece goes on with, after ';'
        for start, stop in split_statements(self.text):
            piece = self.text[start:stop]
            if not piece.strip():
                continue
            word = re.match(r"\s*(indices|tensors)\b(?!\s*\[)", piece)
            if word:
                header, piece = word.group(1), piece[word.end() :]
            if header and "=" not in piece and (word or ":" in piece):
                self._extend(header, piece)
                header = header if self.text[stop : stop + 1] == ";" else ""
                continue
            header = ""
            if self.free is not None:
                return [Statement(None, (), Reader(self.text, start).whole(), start)]
            found.append(Reader(self.text, start, stop).statement())
        if not found:
            raise ParseError(
                "there is no statement" if self.free is None else "there is no term",
                self.text,
                len(self.text.rstrip()),
                remedy="write O[t,e] = ..., or give one side and its free indices with free=",
            )
        return found

    def _extend(self, header: str, piece: str) -> None:
        table = self.index_table if header == "indices" else self.tensor_table
        for name, value in read_table(piece, header).items():
            if table.setdefault(name, value) != value:
                kind = IndexConflict if header == "indices" else FactConflict
                raise kind(
                    f"{name} is declared twice in the {header}: {table[name]!r} and {value!r}",
                    remedy="declare it once",
                    name=name,
                )

    def _declare_indices(self) -> dict[str, Index]:
        nodes = [node for statement in self.statements for node in statement.side.walk()]
        timed = [node for node in nodes if node.kind in ("le", "lt", "near", "decay")]
        masked = {name for node in timed for arg in node.args[:2] for name in arg.names()}
        rows = {name: read_index(name, value) for name, value in self.index_table.items()}
        gates = [self.rows[node.value] for node in timed if node.kind == "decay" and node.value in self.rows]
        self.ordered = {row.dimension for name, row in rows.items() if row.ordered or name in masked}
        self.ordered |= {row.legs[0] for row in gates if row.legs}
        return {name: Index(name, self._space(row.dimension)) for name, row in rows.items()}

    def _space(self, dimension: str) -> Space:
        if dimension not in self.spaces:
            self.spaces[dimension] = Space(dimension, dimension, ordered=dimension in self.ordered)
        return self.spaces[dimension]

    def run(self) -> Definition:
        for statement in self.statements:
            if statement.name is None:
                legs = tuple(self._free_index(name, statement.side) for name in self.free or ())
            else:
                legs = tuple(self._index(arg) for arg in statement.indices)
            with self._located(statement.position):
                names = [leg.name for leg in legs]
                if len(set(names)) < len(names):
                    raise InvalidExpression(f"a free index is named twice in {','.join(names)}", remedy="name it once")
                self._check_new(statement.name, legs)
            side = self._side(statement.side, legs)
            with self._located(statement.position):
                result: Definition = Definition(legs, side, statement.name or "out")
            if statement.name is not None:
                self.definitions[statement.name] = result
        return result

    def _check_new(self, name: str | None, legs: tuple[Index, ...]) -> None:
        if name in self.definitions:
            raise FactConflict(f"{name} is defined twice", remedy="give the second one another name", tensor=name)
        if name in self.generic:
            raise FactConflict(
                f"{name} is defined after it was used", remedy="move its statement to the front", tensor=name
            )
        declared = self.legs.get(name or "")
        if declared is not None and declared != tuple(leg.space for leg in legs):
            raise FactConflict(
                f"{name} is declared with the legs {' '.join(map(str, declared)) or 'of a scalar'} but defined with "
                f"{' '.join(str(leg.space) for leg in legs) or 'none'}",
                remedy="make them agree, or leave it out of tensors",
                tensor=name,
            )

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

    def _free_index(self, name: str, side: Syntax) -> Index:
        used = (arg for node in side.walk() for arg in node.args)
        spot = next((arg for arg in used if arg.name == name), None)
        if spot is not None:
            return self._index(spot)
        if name not in self.indices:
            raise UnknownName(
                f"the free index {name} is not declared",
                name=name,
                remedy=f"separate the names by commas: {','.join(name)}"
                if set(name) <= set(self.indices)
                else f"declare it in indices, as {name}: n; {suggest(name, self.indices)}",
            )
        return self.indices[name]

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
                # a bracket is one term: minus does not go into it
                terms.append(mul(Number(Fraction(-1)), term) if sign == "-" else term)
        return add(*terms)

    def _close(self, term: Expr, scope: set[str], syntax: Syntax) -> Expr:
        summed = tuple(index for index in term.free_indices if index.name not in scope)
        inner = {arg.name: arg.position for node in syntax.walk() if node.kind == "sum" for arg in node.args}
        for index in summed:
            if index.name in inner:
                raise self._shadow(index.name, inner[index.name], "summed around the whole term")
        closed = bind(summed, term)
        plain = _plain_names(term).intersection(_written_plainly(syntax))
        hidden = [index.name for index in summed if index.name not in plain]
        if hidden:
            warnings.warn(
                f"{', '.join(hidden)} occurs only inside a function or a denominator and is summed around the whole "
                f"term; this is read as {closed}",
                ImplicitSumWarning,
                stacklevel=7,
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
            # a width is a size, so a name in it is a dimension even if no index runs over it
            widths = {node.value for node in syntax.children[0].walk() if node.kind == "name"} - set(self.indices)
            self.widths |= widths
            return Near(left, right, self._factor(syntax.children[0], scope))  # type: ignore[no-any-return]
        if kind == "decay":
            return self._decay(syntax)
        if kind == "sum":
            return self._sum(syntax, scope)
        if kind == "softmax":
            over = self._index(syntax.args[0])
            return softmax(self._factor(syntax.children[0], scope | {over.name}), over)
        if kind in EXTREMA:
            terms = [self._factor(child, scope) for child in syntax.children]
            # the implicit sum goes around the whole maximum
            return compose_maximum(terms) if kind == "max" else negate(compose_maximum(list(map(negate, terms))))
        inner = self._factor(syntax.children[0], scope)
        return power(inner, int(syntax.value)) if kind == "pow" else apply(kind, inner)

    def _dimension(self, syntax: Syntax) -> Expr:
        name = syntax.value
        if name in self.spaces or name in self.widths:
            return Size(name)  # type: ignore[no-any-return]
        kind = "an index" if name in self.indices else "no dimension"
        legs = self.legs.get(name)
        remedy = f"write {name}[] for a scalar tensor"
        if legs:
            count, example = counted(len(legs), "index", "indices"), ",".join(["i"] * len(legs))
            remedy = f"write the {count} of the tensor {name}, as in {name}[{example}]"
        raise ParseError(
            f"{name} is {kind} here",
            self.text,
            syntax.position,
            remedy=f"{remedy}; dimensions are {', '.join(sorted(self.spaces)) or 'none'}",
        )

    def _tensor(self, name: str, used: tuple[VectorSpace, ...]) -> Tensor:
        legs = self.legs.setdefault(name, used)
        self.generic.add(name)
        if len(legs) != len(used):
            close = [(leg, near) for leg in map(str, legs) for near in get_close_matches(leg, FACT_WORDS, 1, 0.7)]
            raise LegCountMismatch(
                f"tensor {name} has {counted(len(legs), 'leg')} ({' '.join(map(str, legs))}) "
                f"but got {counted(len(used), 'index', 'indices')}",
                remedy=f"if {close[0][0]} is a fact and no leg, write {close[0][1]}"
                if close
                else "give one index for each leg",
                tensor=name,
            )
        return self._symbol(name, legs)

    def _symbol(self, name: str, legs: tuple[VectorSpace, ...]) -> Tensor:
        return tensor(name, legs, **tensor_facts(name, self.rows.get(name), self.symmetry.get(name, []), len(legs)))

    def _entry(self, syntax: Syntax) -> Expr:
        terms = tuple(self._term_of(arg) for arg in syntax.args)
        if syntax.value in self.definitions:
            return self.definitions[syntax.value][terms]
        symbol = self._tensor(syntax.value, tuple(term.space for term in terms))
        return Entry(symbol, terms)  # type: ignore[no-any-return]

    def _decay(self, syntax: Syntax) -> Expr:
        ends = [arg.name if arg.name in ("+", "-") else self._term_of(arg) for arg in syntax.args[:2]]
        rest = tuple(self._term_of(arg) for arg in syntax.args[2:])
        clocks = [end.space for end in ends if not isinstance(end, str)]
        if syntax.value in self.definitions:
            raise ParseError(
                f"the gate {syntax.value} is defined by a statement",
                self.text,
                syntax.position,
                remedy="a gate is a tensor: give it a name of its own",
            )
        if syntax.value not in self.legs and not clocks:
            raise ParseError(
                f"the legs of the gate {syntax.value} are not known",
                self.text,
                syntax.position,
                remedy="declare it in tensors",
            )
        legs = self.legs.setdefault(syntax.value, (*clocks[:1], *(term.space for term in rest)))
        self.generic.add(syntax.value)
        gate = self._symbol(syntax.value, legs)
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


def _written_plainly(syntax: Syntax) -> Iterator[str]:
    """Yield the names of indices written outside functions and denominators: max(x, y) holds x outside its relu."""
    if syntax.kind == "mul":
        above = [child for sign, child in zip(syntax.value, syntax.children, strict=True) if sign == "*"]
        yield from (name for child in above for name in _written_plainly(child))
    elif syntax.kind in ("add", "sum"):
        yield from (name for child in syntax.children for name in _written_plainly(child))
    elif syntax.kind == "near" or not syntax.children:
        yield from (name for arg in syntax.args for name in arg.names())
