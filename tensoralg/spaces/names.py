"""Names: what an identifier is, and the words of the language that no name may be."""

from __future__ import annotations

import re

from tensoralg.errors import InvalidDimension, InvalidExpression, TensoralgError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
RESERVED = frozenset(
    {"delta", "le", "lt", "near", "decay", "exp", "log", "sqrt", "relu", "pow", "softmax", "sum", "indices", "tensors"}
)


def is_name(value: object) -> bool:
    """Return whether `value` is a string that is an identifier.

    Examples
    --------
    >>> is_name("W_Q"), is_name("2nd"), is_name(2)
    (True, False, False)
    """
    return isinstance(value, str) and NAME.match(value) is not None


def check_name(name: object, role: str, kind: type[TensoralgError] = InvalidExpression) -> str:
    """Return `name`, an identifier that is no word of the language.

    Raises
    ------
    TensoralgError
        Of the given kind, if it is not; `role` says what the name was for.

    Examples
    --------
    >>> check_name("Q", "a tensor")
    'Q'
    """
    if isinstance(name, str) and is_name(name) and name not in RESERVED:
        return name
    reason = "a word of the language" if isinstance(name, str) and name in RESERVED else "not an identifier"
    raise kind(
        f"{name!r} cannot name {role}: it is {reason}", remedy="choose a name such as n, Q or d_model", name=name
    )


def split_names(names: object, role: str, kind: type[TensoralgError] = InvalidExpression) -> tuple[str, ...]:
    """Return the names in a string, separated by blanks or commas; at least one.

    Examples
    --------
    >>> split_names("t, s", "an index")
    ('t', 's')
    """
    if not isinstance(names, str):
        raise kind(f"{names!r} is no string of names for {role}", remedy='write the names in one string, as in "t s"')
    found = tuple(names.replace(",", " ").split())
    if not found:
        raise kind(f"no name was given for {role}", remedy='write the names in one string, as in "t s"')
    return found


def check_dimension_name(name: object) -> str:
    """Return `name`, checked as the name of a dimension."""
    if isinstance(name, str) and is_name(name) and name not in RESERVED:
        return name
    reason = f"{name!r} is a word of the language" if name in RESERVED else f"{name!r} is not a dimension"
    raise InvalidDimension(reason, remedy="use a positive integer or an identifier such as n or d_model", value=name)
