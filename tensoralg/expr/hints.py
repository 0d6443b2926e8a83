"""What to do about values and characters that people take for parts of the language."""

from __future__ import annotations

import math
import reprlib

from tensoralg.errors import InvalidExpression
from tensoralg.spaces import Index, VectorSpace


def not_a_term(value: object) -> InvalidExpression:
    """Return the error for a value that cannot be a term of an expression.

    Examples
    --------
    >>> print(not_a_term(0.5))
    0.5 cannot be a term of an expression
      remedy: algebra is exact: write Fraction("0.5")
    """
    shown, remedy = reprlib.repr(value), "use expressions, dimensions, ints or Fractions"
    if isinstance(value, float) and math.isfinite(value):
        shown, remedy = repr(float(value)), f'algebra is exact: write Fraction("{float(value)!r}")'
    elif isinstance(value, Index):
        shown, remedy = f"the index {value}", "index a tensor with it, as in x[t]"
    elif isinstance(value, VectorSpace):
        shown, remedy = f"the space {value}", "its dimension is a term: use V.dimension"
    elif isinstance(value, str):
        remedy = "make dimensions with dims, scalars with tensor(name, Unit); ta.parse reads text"
    return InvalidExpression(f"{shown} cannot be a term of an expression", remedy=remedy, value=value)


def about_character(text: str, spot: int) -> str:
    """Return the remedy for a character that is not in the language.

    Examples
    --------
    >>> about_character("2.5*x[i]", 1)
    'numbers are integers: write 5/2 for 2.5'
    """
    character = text[spot]
    if character == ".":
        return "numbers are integers: write 5/2 for 2.5"
    if character == "^":
        return "write pow(x[i], 2) for a power"
    if character in "@×·∗•":
        return "write '*' for a product"
    if character in "−–—":
        return "write '-' for a minus sign"
    if character in "<>≤≥":
        return "write le[s,t] for s <= t and lt[s,t] for s < t"
    if character in "{}":
        return "use round brackets for terms and square ones for indices"
    return "names and numbers are ASCII letters, digits and '_'; see the grammar in tensoralg.parse"


def about_leftover(word: str, before: str) -> str:
    """Return the remedy where a side goes on after it should have ended.

    Examples
    --------
    >>> about_leftover("(", "sin")
    'functions are exp, log, sqrt, relu, max, min, pow, softmax and sum; indices stand in square brackets, as in sin[i]'
    """
    if word == "(" and before.isidentifier():
        return (
            "functions are exp, log, sqrt, relu, max, min, pow, softmax and sum; "
            f"indices stand in square brackets, as in {before}[i]"
        )
    if word == "=":
        return "a statement has one '=', and one side of a claim has none"
    if word in (")", "]"):
        return f"remove it, or open the bracket that {word!r} closes"
    if word in (",", ":"):
        return "give the free indices as in O[i] = ..., and bind others with sum(i: ...)"
    return "a product needs '*' between its factors"
