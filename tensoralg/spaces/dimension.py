"""Dimensions: positive integers, or symbols that stand for every positive integer.

A dimension is either an ``int`` >= 1 or a sympy symbol with the assumptions ``integer`` and
``positive``.  The same name is always the same symbol, because sympy symbols are equal when their
names and assumptions are.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import sympy

from tensoralg.errors import InvalidDimension, InvalidSize, UnknownSize, suggest
from tensoralg.spaces.names import check_dimension_name, split_names

Dimension: TypeAlias = "int | sympy.Symbol"

MOST_DIGITS = 30


def _symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(check_dimension_name(name), integer=True, positive=True)


def dims(names: str) -> Any:
    """Return the dimension symbols with the given names.

    Parameters
    ----------
    names : str
        Names separated by blanks or commas.

    Returns
    -------
    sympy.Symbol or tuple of sympy.Symbol
        One symbol for one name, a tuple for several.

    Raises
    ------
    InvalidDimension
        If a name is not an identifier, or a word of the language.

    Examples
    --------
    >>> n, d = dims("n d")
    >>> (n * d).is_positive
    True
    >>> dims("n") == n
    True
    """
    found = tuple(_symbol(name) for name in split_names(names, "a dimension", InvalidDimension))
    return found[0] if len(found) == 1 else found


def as_dimension(value: object) -> Dimension:
    """Return `value` as a dimension: a positive int, or a positive-integer symbol (or its name).

    Examples
    --------
    >>> as_dimension("n") == dims("n"), as_dimension("3"), as_dimension(4)
    (True, 3, 4)
    """
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[+-]?[0-9]+", text) and len(text) <= MOST_DIGITS:
            return as_dimension(int(text))
        return _symbol(text)
    if isinstance(value, sympy.Symbol):
        if value.is_integer and value.is_positive:
            return _symbol(value.name)
        raise InvalidDimension(
            f"the symbol {value} is not declared a positive integer", remedy=f'make it with dims("{value}")'
        )
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidDimension(
            f"{value!r} is not a dimension", remedy="use a positive integer, a name, or a symbol made by dims()"
        ) from None
    if isinstance(value, bool) or number < 1:
        raise InvalidDimension(
            f"a named space cannot have dimension {value!r}", remedy="dimensions are integers >= 1", value=value
        )
    return number


def check_size(name: str, value: object) -> int:
    """Return the size `value` given for the dimension `name` as an int >= 1.

    Raises
    ------
    InvalidSize
        If it is not a positive integer.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise InvalidSize(
            f"the size {name} = {value!r} is not a positive integer", remedy=f"give {name} >= 1", name=name, value=value
        )
    return number


def check_sizes(sizes: Mapping[str, object] | None, known: Iterable[str]) -> dict[str, int]:
    """Return `sizes` checked: every name (or symbol) is one of `known`, every value an int >= 1.

    Examples
    --------
    >>> check_sizes({"n": 4}, {"n", "d"})
    {'n': 4}
    """
    names = set(known)
    checked: dict[str, int] = {}
    if not isinstance(sizes, Mapping | None):
        raise InvalidSize(
            f"{sizes!r} does not map dimensions to sizes", remedy='write for example {"n": 4}', value=sizes
        )
    for key, value in (sizes or {}).items():
        name = str(key)
        if name not in names:
            raise UnknownSize(
                f"a size was given for {name!r}, which is no dimension here", remedy=suggest(name, names), name=name
            )
        checked[name] = check_size(name, value)
    return checked
