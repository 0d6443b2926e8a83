"""Indices: names bound to spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensoralg.errors import InvalidExpression
from tensoralg.spaces.names import is_name

if TYPE_CHECKING:
    from tensoralg.spaces.space import VectorSpace


@dataclass(frozen=True, slots=True)
class Index:
    """A name bound to a space.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> Index("t", Space("T", "n")).name
    't'
    """

    name: str
    space: VectorSpace

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InvalidExpression(
                f"{self.name!r} is not a name for an index", remedy="use an identifier such as t or s1"
            )
        if isinstance(self.space, str) or not hasattr(self.space, "dual"):
            raise InvalidExpression(
                f"{self.space!r} is not a space for the index {self.name}",
                remedy='make one with Space("V", "n") and its indices with V.indices("i j")',
            )

    def __str__(self) -> str:
        return self.name
