"""Factors that mention indices themselves: entries of tensors, relations between indices, decays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tensoralg.errors import InvalidExpression, LegCountMismatch, SpaceMismatch, UnorderedSpace, counted
from tensoralg.expr.core import Expr
from tensoralg.expr.rewrite import walk
from tensoralg.spaces import Fused, IndexTerm, Space, TensorProduct, VectorSpace, as_index_term, same_basis

if TYPE_CHECKING:
    from tensoralg.expr.tensor import Tensor


def as_index_terms(indices: object, legs: Sequence[VectorSpace]) -> tuple[IndexTerm, ...]:
    """Return what stands in square brackets as index terms for the legs.

    Python reads ``x[(h, e)]`` as ``x[h, e]``: for a single leg over a product they are one fused index.
    """
    terms = tuple(as_index_term(i) for i in (indices if isinstance(indices, tuple) else (indices,)))
    if len(legs) == 1 and len(terms) > 1 and isinstance(legs[0], TensorProduct):
        return (Fused(terms),)
    return terms


class Entry(Expr):
    """An entry of a tensor."""

    __slots__ = _names = ("tensor", "args")
    kind = "entry"
    tensor: Tensor
    args: tuple[IndexTerm, ...]

    @staticmethod
    def of(tensor: Tensor, indices: tuple[object, ...]) -> Entry:
        """Return the entry of `tensor` at `indices`, checked."""
        return Entry(tensor, as_index_terms(indices, tensor.legs))  # type: ignore[no-any-return]

    def index_terms(self) -> tuple[IndexTerm, ...]:
        return self.args

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Entry(self.tensor, terms)  # type: ignore[no-any-return]

    def _check(self) -> None:
        legs = self.tensor.legs
        if len(legs) != len(self.args):
            raise LegCountMismatch(
                f"tensor {self.tensor} has {counted(len(legs), 'leg')} "
                f"but got {counted(len(self.args), 'index', 'indices')}: {self}",
                remedy=f"give one index for each of {', '.join(map(str, legs)) or 'no legs'}",
                tensor=self.tensor.name,
            )
        for position, (leg, term) in enumerate(zip(legs, self.args, strict=True)):
            if term.space not in (leg, leg.dual):
                raise SpaceMismatch(
                    f"leg {position} of tensor {self.tensor} is over {leg} (dimension {leg.dimension}), "
                    f"but index {term} is over {term.space} (dimension {term.space.dimension})",
                    remedy=f"use an index over {leg}",
                    tensor=self.tensor.name,
                    index=str(term),
                    spaces=(leg, term.space),
                )


def _how_to_order(space: VectorSpace) -> str:
    if isinstance(space, Space):
        return f'declare it ordered: Space("{space.primal}", "{space.dimension}", ordered=True)'
    return f"declare every space in {space} ordered: Space(..., ordered=True)"


class _Relation(Expr):
    """A 0/1 factor that relates two indices of one space."""

    __slots__ = ()
    left: IndexTerm
    right: IndexTerm

    def index_terms(self) -> tuple[IndexTerm, ...]:
        return (self.left, self.right)

    def _check(self) -> None:
        left, right = self.left.space, self.right.space
        if not same_basis(left, right):
            raise SpaceMismatch(
                f"{self} relates index {self.left} over {left} to index {self.right} over {right}",
                remedy="both indices must be over one space",
                spaces=(left, right),
            )
        if self.kind != "delta" and not (left.ordered and right.ordered):
            raise UnorderedSpace(
                f"{self} needs an order, but the space {left} has none", remedy=_how_to_order(left), space=left
            )


class Delta(_Relation):
    """1 where the two indices agree, else 0."""

    __slots__ = _names = ("left", "right")
    kind = "delta"

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Delta(*terms)  # type: ignore[no-any-return]


class Mask(_Relation):
    """1 where ``left <= right`` (``left < right`` when strict), else 0."""

    __slots__ = _names = ("strict", "left", "right")
    kind = "mask"
    strict: bool

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Mask(self.strict, *terms)  # type: ignore[no-any-return]


def is_size(term: Expr) -> bool:
    """Return whether a term is made of dimensions and integers by ``+ - *`` and is no number below 1."""
    if term.kind == "number":
        value = getattr(term, "value")  # noqa: B009
        return bool(value >= 1 and value.denominator == 1)
    return all(
        node.kind in ("size", "add", "mul") or (node.kind == "number" and getattr(node, "value").denominator == 1)  # noqa: B009
        for node in walk(term)
    )


class Near(_Relation):
    """1 where ``right - width < left <= right``, else 0; the width is a size."""

    __slots__ = _names = ("left", "right", "width")
    kind = "near"
    width: Expr

    def _check(self) -> None:
        super()._check()
        if not is_size(self.width):
            raise InvalidExpression(
                f"{self} has the width {self.width}, which is no size",
                remedy="use a dimension, or an integer >= 1",
                width=self.width,
            )

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Near(*terms, self.width)  # type: ignore[no-any-return]


class Decay(Expr):
    """The path-ordered product of a per-step gate over ``earlier < r <= later``; 0 when earlier > later.

    An end of time may stand for an index: ``"+"`` (the last step) as the later, ``"-"`` (before the
    first step) as the earlier one.
    """

    __slots__ = _names = ("tensor", "later", "earlier", "args")
    kind = "decay"
    tensor: Tensor
    later: IndexTerm | str
    earlier: IndexTerm | str
    args: tuple[IndexTerm, ...]

    @property
    def times(self) -> tuple[IndexTerm, ...]:
        """The time indices that are not ends."""
        return tuple(x for x in (self.later, self.earlier) if not isinstance(x, str))

    @property
    def clock(self) -> VectorSpace:
        """The space over which it runs."""
        return self.times[0].space if self.times else self.tensor.legs[0]

    def index_terms(self) -> tuple[IndexTerm, ...]:
        return (*self.times, *self.args)

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        rest = list(terms)
        later = self.later if isinstance(self.later, str) else rest.pop(0)
        earlier = self.earlier if isinstance(self.earlier, str) else rest.pop(0)
        return Decay(self.tensor, later, earlier, tuple(rest))  # type: ignore[no-any-return]

    def _check(self) -> None:
        if self.later == "-" or self.earlier == "+":
            raise InvalidExpression(
                f"{self} runs from the wrong end", remedy="write decay(a)[t,-], decay(a)[+,s] or decay(a)[+,-]"
            )
        legs = self.tensor.legs
        clock, channels = legs[:1], legs[1:]
        if not self.times and not legs:
            raise InvalidExpression(
                f"{self} does not say over which time it runs", remedy="give one time, or a gate with a time leg"
            )
        if len(self.args) != len(channels) or len(channels) > 2:
            raise LegCountMismatch(
                f"decay({self.tensor.name}) of the gate {self.tensor} takes two times and {len(channels)} more indices",
                remedy="a gate is a scalar, or has a time leg and up to two more legs: a[], a[n], a[n,f], A[n,f,g]",
                tensor=self.tensor.name,
            )
        spaces = [*clock, *(time.space for time in self.times)]
        for space in spaces:
            if not space.ordered:
                raise UnorderedSpace(
                    f"{self} needs an order, but the space {space} has none", remedy=_how_to_order(space), space=space
                )
        for left, right in pairwise(spaces):
            if left not in (right, right.dual):
                raise SpaceMismatch(
                    f"{self} runs over {left} and over {right}",
                    remedy="both times and the first leg of the gate must be over one space",
                    tensor=self.tensor.name,
                    spaces=(left, right),
                )
        if len(channels) == 2 and channels[0] not in (channels[1], channels[1].dual):
            raise SpaceMismatch(
                f"{self} multiplies the matrices of the gate {self.tensor}, which are not square",
                remedy="the last two legs of a matrix gate must be over one space",
                tensor=self.tensor.name,
                spaces=channels,
            )
        for leg, term in zip(channels, self.args, strict=True):
            if term.space not in (leg, leg.dual):
                raise SpaceMismatch(
                    f"{self}: the gate {self.tensor} has a leg over {leg}, but index {term} is over {term.space}",
                    remedy=f"use an index over {leg}",
                    tensor=self.tensor.name,
                    index=str(term),
                    spaces=(leg, term.space),
                )
