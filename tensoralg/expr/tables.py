"""What a text declares: tables of indices, tensors and symmetries, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy

from tensoralg.errors import FactConflict, IndexConflict, InvalidDimension, InvalidExpression, ParseError
from tensoralg.expr.rewrite import distinct_nodes, fresh
from tensoralg.expr.tensor import groups_of
from tensoralg.expr.text import unshadowed
from tensoralg.spaces import Fused, Index, IndexTerm, Space, VectorSpace, as_dimension

if TYPE_CHECKING:
    from tensoralg.expr.nodes import Expr

FACT_WORDS = {
    "sym": "symmetric",
    "antisym": "antisymmetric",
    "positive": "positive",
    "permutation": "permutation",
    "isometry": "isometry",
    "projection": "projection",
}
SYMMETRIES = ("sym", "antisym")
SHORT = 60  # characters of a wrong entry that an error quotes
TABLE_HINT = "write for example t,s: n ordered; f: d"


def read_table(table: Mapping[str, Any] | str | None, what: str) -> dict[str, str]:
    """Return ``{"t": "n ordered", "s": "n ordered"}`` from a mapping or from ``"t,s: n ordered; ..."``.

    Raises
    ------
    ParseError, InvalidExpression
        If it is no table.
    IndexConflict, FactConflict
        If a name has two different entries.
    """
    rows: dict[str, str] = {}
    for names, value in _pairs(table, what):
        for name in filter(None, (part.strip() for part in names.split(","))):
            if rows.setdefault(name, value) != value:
                kind = IndexConflict if what == "indices" else FactConflict
                raise kind(
                    f"{name} is declared twice in the {what}: {rows[name]!r} and {value!r}",
                    remedy="declare it once",
                    name=name,
                )
    return rows


def _pairs(table: Mapping[str, Any] | str | None, what: str) -> Iterator[tuple[str, str]]:
    if isinstance(table, str):
        start = 0
        for entry in table.split(";"):
            names, colon, value = entry.partition(":")
            if entry.strip() and not colon:
                spot = start + len(entry.rstrip())
                raise ParseError(f"expected ':' in the {what}", table, spot, remedy=TABLE_HINT)
            if ":" in value:
                spot = start + len(names) + 1 + value.index(":")
                raise ParseError(
                    f"unexpected ':' in the {what}", table, spot, remedy=f"separate entries by ';': {TABLE_HINT}"
                )
            if colon and not names.strip():
                raise ParseError(f"expected a name in the {what}", table, start + len(names), remedy=TABLE_HINT)
            start += len(entry) + 1
            if colon:
                yield names, value.strip()
    elif isinstance(table, Mapping):
        for key, value in table.items():
            number = isinstance(value, int) and not isinstance(value, bool)
            if not isinstance(key, str) or not (isinstance(value, str | sympy.Symbol) or number):
                example, expected = ('"n"', "dimension") if what == "indices" else ('"n d"', "dimensions of its legs")
                if not isinstance(key, str):
                    raise InvalidExpression(
                        f"{_short(key)} is no name in the {what}", remedy=f'names are strings: {{"A": {example}}}'
                    )
                raise InvalidExpression(
                    f"the {what} give {key} as {_short(value)}, where the {expected} should stand as text",
                    remedy=f'write {{"{key}": "{_row_for(value, example[1:-1])}"}}',
                    name=key,
                )
            yield key, str(value).strip()
    elif table is not None:
        raise InvalidExpression(
            f"{table!r} does not declare {what}", remedy=f'give a mapping {{"t,s": "n"}}, or a string: {TABLE_HINT}'
        )


def _short(value: object) -> str:
    """Return a value on one short line."""
    shown = repr(value)
    return shown if len(shown) <= SHORT and "\n" not in shown else f"a {type(value).__name__}"


def _row_for(value: Any, default: str) -> str:
    """Return what to write instead of an object: the dimensions of its legs, and facts."""
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    legs = [value] if isinstance(value, VectorSpace) else getattr(value, "legs", ())
    try:
        words = [_word(leg) for leg in legs]
    except InvalidExpression:  # spaces that the text form cannot say
        return default
    facts, whole = getattr(value, "facts", {}), (True, (tuple(range(len(words))),))
    return " ".join([*words, *(word for word, fact in FACT_WORDS.items() if facts.get(fact) in whole)]) or default


@dataclass(frozen=True, slots=True)
class IndexRow:
    """The dimension of an index, and whether it was declared ordered."""

    dimension: str
    ordered: bool


@dataclass(frozen=True, slots=True)
class TensorRow:
    """The dimensions of a tensor's legs, and the words for its facts."""

    legs: tuple[str, ...]
    facts: tuple[str, ...]


def dimension_word(word: str, culprit: str) -> str:
    """Return a word as the name of a dimension, or as a number; `culprit` is what it belongs to."""
    if word in FACT_WORDS or word == "ordered":
        raise InvalidDimension(
            f"{culprit} has the dimension {word!r}, which is a word of the declarations",
            remedy="give the dimension first, as in t: n ordered; A: d d sym",
            value=word,
        )
    try:
        return str(as_dimension(word))
    except InvalidDimension as error:
        raise InvalidDimension(
            f"{culprit} has the dimension {word!r}: {error.what}", remedy=error.remedy, value=word
        ) from None


def read_index(name: str, value: str) -> IndexRow:
    """Return the row of an index.

    Examples
    --------
    >>> read_index("t", "n ordered")
    IndexRow(dimension='n', ordered=True)
    """
    words = value.split()
    if not words or len(words) > 2 or (len(words) == 2 and words[1] != "ordered"):
        remedy = "write a dimension, and 'ordered' if it is: t: n ordered"
        if words and "," in words[0]:
            remedy = f"separate entries by ';': {TABLE_HINT}"
        raise ParseError(f"index {name} has the dimension {value!r}", f"{name}: {value}", len(name) + 2, remedy=remedy)
    return IndexRow(dimension_word(words[0], f"index {name}"), len(words) == 2)


def read_tensor(name: str, value: str) -> TensorRow:
    """Return the row of a tensor.

    Examples
    --------
    >>> read_tensor("A", "d d sym")
    TensorRow(legs=('d', 'd'), facts=('sym',))
    """
    words = value.split()
    if "ordered" in words:
        raise InvalidDimension(
            f"tensor {name} has the legs {value!r}, but legs are not declared ordered",
            remedy="declare the order with an index, as in t: n ordered",
            value="ordered",
        )
    legs = tuple(dimension_word(word, f"a leg of tensor {name}") for word in words if word not in FACT_WORDS)
    return TensorRow(legs, tuple(word for word in words if word in FACT_WORDS))


def read_symmetry(symmetry: Mapping[str, Any] | None) -> dict[str, list[tuple[str, Any]]]:
    """Return for every tensor its symmetries as pairs (word, legs), where True stands for all legs.

    Examples
    --------
    >>> read_symmetry({"A": "sym", "B": ("antisym", (1, 2))})
    {'A': [('sym', True)], 'B': [('antisym', (1, 2))]}
    """
    if symmetry is None:
        return {}
    if not isinstance(symmetry, Mapping):
        raise FactConflict(f"{symmetry!r} declares no symmetry", remedy='write {"A": "sym"} or {"A": ("sym", (1, 2))}')
    return {str(name): list(_symmetries(str(name), value)) for name, value in symmetry.items()}


def _symmetries(name: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str) and value in SYMMETRIES:
        yield value, True
    elif isinstance(value, list | tuple) and len(value) == 2 and value[0] in SYMMETRIES and value[1] not in SYMMETRIES:
        yield value[0], value[1]
    elif isinstance(value, list | tuple) and value:
        for item in value:
            yield from _symmetries(name, item)
    else:
        raise FactConflict(
            f"unknown symmetry {value!r} of tensor {name}",
            remedy='use "sym" or "antisym", or ("sym", (1, 2))',
            tensor=name,
        )


def tensor_facts(name: str, row: TensorRow | None, symmetries: list[tuple[str, Any]], count: int) -> dict[str, Any]:
    """Return the facts of a tensor with `count` legs as keyword arguments of `tensor`."""
    facts: dict[str, Any] = {}
    for word, group in [*((word, True) for word in (row.facts if row else ())), *symmetries]:
        if word not in SYMMETRIES:
            facts[FACT_WORDS[word]] = True
            continue
        try:
            facts[FACT_WORDS[word]] = (*facts.get(FACT_WORDS[word], ()), *groups_of(group, count))
        except FactConflict as error:
            raise FactConflict(f"the symmetry of {name}: {error.what}", remedy=error.remedy, tensor=name) from None
    return facts


def declarations(expr: Expr) -> dict[str, dict[str, Any]]:
    """Return the ``indices``, ``tensors`` and ``symmetry`` with which the text of an expression parses back.

    Raises
    ------
    InvalidExpression
        If a space cannot be declared in the text form (bare, dual, or named unlike its dimension).

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t] = le[s,t]*x[s]", indices={"t,s": "n"})
    >>> ta.parse(str(O), **declarations(O)) == O
    True
    """
    indices: dict[str, str] = {}
    tensors: dict[str, str] = {}
    symmetry: dict[str, list[tuple[str, Any]]] = {}
    expr = unshadowed(expr)
    used: set[str] = set()
    for node in distinct_nodes(expr):
        terms = [*node.index_terms(), *getattr(node, "indices", ()), *getattr(node, "legs", ())]
        for index in (index for term in terms for index in _indices(term)):
            indices[index.name] = _word(index.space) + (" ordered" if index.space.ordered else "")
        symbol = getattr(node, "tensor", None)
        if symbol is None:
            continue
        if symbol.inverse_of:
            raise InvalidExpression(
                f"{symbol.name} is declared the inverse of {symbol.inverse_of}, which the text form cannot say",
                remedy="keep such expressions in Python",
                tensor=symbol.name,
            )
        words = [word for word, fact in FACT_WORDS.items() if word not in SYMMETRIES and symbol.facts.get(fact)]
        timeless = node.kind == "decay" and not getattr(node, "times", ()) and symbol.name not in used
        used.add(symbol.name)
        # legs over products follow from use, where there is one that shows them
        if all(isinstance(leg, Space) for leg in symbol.legs) or words or timeless:
            tensors[symbol.name] = " ".join([*map(_word, symbol.legs), *words])
        groups = [(word, group) for word in SYMMETRIES for group in symbol.facts.get(FACT_WORDS[word], ())]
        if groups:
            symmetry[symbol.name] = groups
    spoken = {word for row in (*indices.values(), *tensors.values()) for word in row.split()}
    for node in distinct_nodes(expr):
        name = getattr(node, "name", "")
        if node.kind == "size" and name not in spoken:  # an index that does not occur declares the dimension
            indices[fresh(f"{name}_", indices)] = name
            spoken.add(name)
    return {"indices": indices, "tensors": tensors, "symmetry": symmetry}


def _indices(term: IndexTerm) -> Iterator[Index]:
    if isinstance(term, Fused):
        for part in term.parts:
            yield from _indices(part)
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
        space=space,
    )
