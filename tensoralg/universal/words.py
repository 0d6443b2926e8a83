"""The distributed form of a space: the words whose direct sum it is, and how an index runs through one of them.

Every space that is made of named spaces by ``@``, ``+`` and ``Unit`` is a direct sum of *words*, tensor products of
named spaces: ``Unit`` is the empty word, a product of sums is the sum of the products of a word of each factor.  The
words of ``V + W`` are those of V and then those of W; the words of ``V @ W`` are ordered lexicographically, the word of
V first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import NamedTuple, TypeAlias

from tensoralg.errors import BudgetExceeded, SpaceMismatch
from tensoralg.spaces import (
    DirectSum,
    Fused,
    Index,
    IndexTerm,
    Injected,
    Space,
    TensorProduct,
    Unit,
    UnitSpace,
    VectorSpace,
    as_space,
)

MOST_FACTORS = 10_000  # factors in all words of a distributed form together, units counted too
MOST_LEVELS = 150  # of nested products and sums

Word: TypeAlias = "tuple[Space, ...]"


class _Product(NamedTuple):
    """A pattern of an index term over a product: a pattern in each factor."""

    parts: tuple[Pattern, ...]


class _Summand(NamedTuple):
    """A pattern of an index term over a direct sum: a summand, and a pattern there."""

    position: int
    space: DirectSum
    part: Pattern


Pattern: TypeAlias = "Space | UnitSpace | _Product | _Summand"


def words(space: VectorSpace) -> tuple[Word, ...]:
    """Return the distributed form: the named spaces that each word is the product of.

    Raises
    ------
    SpaceMismatch
        If the space is not made of named spaces by ``@``, ``+`` and ``Unit``.
    BudgetExceeded
        If there are more than 10000 factors in all (units counted), or 150 levels.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> [show_word(word) for word in words((U + V) @ (ta.Unit + W))]
    ['U', 'U @ W', 'V', 'V @ W']
    """
    return tuple(tuple(letters_of(pattern)) for pattern in patterns_of(space))


def show_word(word: Word) -> str:
    """Return a word as a product of spaces."""
    return " @ ".join(map(str, word)) or "1"


def patterns_of(space: VectorSpace) -> list[Pattern]:
    """Return, for each word of a space, how an index term over the space is made of indices over its factors."""
    return _form(as_space(space), 0)[0]


def _form(space: VectorSpace, level: int) -> tuple[list[Pattern], int]:
    """Return a pattern of each word, and the number of factors in all of them."""
    if isinstance(space, Space | UnitSpace):
        return [space], 1
    if not isinstance(space, TensorProduct | DirectSum):
        raise SpaceMismatch(
            f"{space} is not made of named spaces by @, + and Unit",
            remedy="structural isomorphisms are about products and sums of named spaces",
            spaces=(space,),
        )
    if level == MOST_LEVELS:
        raise BudgetExceeded(
            f"a space has more than {MOST_LEVELS} levels of products and sums", remedy="nest fewer of them"
        )
    if isinstance(space, DirectSum):
        parts = [_form(part, level + 1) for part in space.summands]
        _within(sum(factors for _, factors in parts))
        summands = [_Summand(k, space, pattern) for k, (patterns, _) in enumerate(parts) for pattern in patterns]
        return list(summands), sum(factors for _, factors in parts)
    parts = [_form(part, level + 1) for part in space.factors]
    size = prod(len(patterns) for patterns, _ in parts)
    factors = sum(factors * size // len(patterns) for patterns, factors in parts) if size else 0
    _within(factors)
    return [_Product(chosen) for chosen in product(*(patterns for patterns, _ in parts))], factors


def _within(factors: int) -> None:
    if factors > MOST_FACTORS:
        raise BudgetExceeded(
            f"a distributed form has {factors} factors in all its words, more than {MOST_FACTORS}",
            remedy="use fewer sums in products",
            factors=factors,
        )


def letters_of(pattern: Pattern) -> Iterator[Space]:
    """Yield the named spaces of a pattern, in order."""
    if isinstance(pattern, Space):
        yield pattern
    elif isinstance(pattern, _Product):
        for part in pattern.parts:
            yield from letters_of(part)
    elif isinstance(pattern, _Summand):
        yield from letters_of(pattern.part)


def address(pattern: Pattern, letters: Iterator[Index], names: Iterator[str]) -> IndexTerm:
    """Return the index term of a pattern with these indices at its named spaces, and new ones at its units."""
    if isinstance(pattern, Space):
        return next(letters)
    if isinstance(pattern, _Product):
        return Fused(tuple(address(part, letters, names) for part in pattern.parts))
    if isinstance(pattern, _Summand):
        return Injected(address(pattern.part, letters, names), pattern.position, pattern.space)
    return Index(next(names), Unit)
