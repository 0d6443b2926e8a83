"""Index terms: what can stand where a leg wants an index.

An index over ``V @ W`` is the same as a pair of indices (:class:`Fused`), and an index over ``V + W``
is an index over one of the summands (:class:`Injected`), so a leg over a composite space can be
addressed whole or by its parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tensoralg.errors import InvalidExpression, SpaceMismatch
from tensoralg.spaces.index import Index
from tensoralg.spaces.space import MOST_FACTORS, DirectSum, TensorProduct, VectorSpace


@dataclass(frozen=True, slots=True)
class Fused:
    """The index of a tensor product whose parts are the given index terms.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> H, E = Space("H", "h"), Space("E", "e")
    >>> Fused((Index("a", H), Index("b", E))).space == H @ E
    True
    """

    parts: tuple[IndexTerm, ...]

    def __post_init__(self) -> None:
        *head, last = self.parts
        if len(head) > 1:  # bracketed as the product of the spaces is
            object.__setattr__(self, "parts", (Fused(tuple(head)), last))

    @property
    def space(self) -> VectorSpace:
        return TensorProduct(tuple(p.space for p in self.parts))

    def __str__(self) -> str:
        head, *tail = map(str, self.parts)
        return ",".join([head[:-1] if isinstance(self.parts[0], Fused) else f"({head}", *tail]) + ")"


@dataclass(frozen=True, slots=True)
class Injected:
    """The index of a direct sum that lies in the summand at `position`, at `term` there.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> A, B = Space("A", "a"), Space("B", "b")
    >>> print(Injected(Index("i", B), 1, A + B))
    1:i
    """

    term: IndexTerm
    position: int
    space: DirectSum

    def __post_init__(self) -> None:
        if not isinstance(self.space, DirectSum):
            raise SpaceMismatch(
                f"{self.space} is no direct sum", remedy="inject into a space V + W", spaces=(self.space,)
            )
        summands = self.space.summands
        if self.position not in range(len(summands)) or summands[self.position] != self.term.space:
            raise SpaceMismatch(
                f"index {self.term} over {self.term.space} is not in summand {self.position} of {self.space}",
                remedy="inject an index over a summand: "
                + ", ".join(f"{number} is {summand}" for number, summand in enumerate(summands)),
                spaces=(self.term.space, self.space),
            )

    def __str__(self) -> str:
        return f"{self.position}:{self.term}"


IndexTerm: TypeAlias = "Index | Fused | Injected"


def as_index_term(value: object) -> IndexTerm:
    """Return `value` as an index term; a tuple of terms is fused.

    Raises
    ------
    InvalidExpression
        If it is not an index.
    """
    if isinstance(value, Index | Fused | Injected):
        return value
    if isinstance(value, tuple) and 1 < len(value) <= MOST_FACTORS:
        return Fused(tuple(as_index_term(v) for v in value))
    raise InvalidExpression(
        f"{value!r} is not an index",
        value=value,
        remedy='make indices with T.indices("t s"); a pair (h, e) addresses a product leg',
    )


def atoms(term: IndexTerm) -> Iterator[Index]:
    """Yield the indices that occur in `term`, in order."""
    if isinstance(term, Index):
        yield term
    elif isinstance(term, Fused):
        for part in term.parts:
            yield from atoms(part)
    else:
        yield from atoms(term.term)
