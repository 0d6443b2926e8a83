"""Tensors: a name, legs, and declared facts.

A declared fact is a hypothesis about every value of the tensor:

============== =========================================================================
symmetric      entries do not change under permutations of the legs of a group
antisymmetric  entries change by the sign of such a permutation
positive       every entry is > 0
permutation    a permutation matrix: one 1 in each row and column, 0 elsewhere
isometry       a matrix U (rows, columns) with ``sum_i U[i,a] U[i,b] = delta[a,b]``
inverse_of     a matrix B with ``A B = B A = 1`` for the named matrix A
projection     a matrix P with ``P P = P``
============== =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from tensoralg.errors import FactConflict, InvalidExpression, SpaceMismatch, counted
from tensoralg.expr.core import Arithmetic
from tensoralg.expr.factors import Entry
from tensoralg.spaces import VectorSpace, check_name, is_name, legs_of, split_names

Groups = tuple[tuple[int, ...], ...]
MATRIX_FACTS = ("isometry", "projection", "permutation")


@dataclass(frozen=True, slots=True)
class Tensor(Arithmetic):
    """A named tensor with legs in the given spaces and declared facts (see the module's table).

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> V = Space("V", "n")
    >>> A = tensor("A", V @ V, symmetric=True)
    >>> A.symmetric
    ((0, 1),)
    """

    name: str
    legs: tuple[VectorSpace, ...]
    symmetric: Groups = ()
    antisymmetric: Groups = ()
    positive: bool = False
    permutation: bool = False
    isometry: bool = False
    projection: bool = False
    inverse_of: str | None = None

    def __getitem__(self, indices: object) -> Entry:
        return Entry.of(self, indices if isinstance(indices, tuple) else (indices,))

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.legs))}]"

    def as_term(self) -> Entry:
        """Return the entry of a scalar tensor; any other tensor needs its indices."""
        return self[()]

    @property
    def facts(self) -> dict[str, object]:
        """The declared facts, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "legs")}
        return {name: value for name, value in given.items() if value}

    def __post_init__(self) -> None:
        # blocks of a tensor over a direct sum are named A.0 inside the library; users cannot use the dot
        check_name(self.name.partition(".")[0], "a tensor")
        if self.positive and self.antisymmetric:
            raise FactConflict(
                f"{self.name} is declared positive and antisymmetric, but its diagonal is 0",
                remedy="declare one of them",
                tensor=self.name,
            )
        if self.inverse_of is not None and len(self.legs) != 2:
            raise FactConflict(
                f"{self.name} is declared an inverse but has {counted(len(self.legs), 'leg')}",
                remedy="only a matrix has an inverse",
                tensor=self.name,
            )
        for kind in ("symmetric", "antisymmetric"):
            self._check_groups(kind, getattr(self, kind))
            object.__setattr__(self, kind, _union(getattr(self, kind), ()))
        overlap = {leg for g in self.symmetric for leg in g} & {leg for g in self.antisymmetric for leg in g}
        if overlap:
            raise FactConflict(
                f"legs {sorted(overlap)} of {self.name} are declared symmetric and antisymmetric",
                remedy="a leg belongs to at most one group",
                tensor=self.name,
            )
        if self.inverse_of is not None and not is_name(self.inverse_of):
            raise InvalidExpression(
                f"{self.name} is declared the inverse of {self.inverse_of!r}", remedy="name a tensor", tensor=self.name
            )
        if self.inverse_of is not None and len(self.legs) != 2:
            raise FactConflict(
                f"{self.name} is declared an inverse but has {counted(len(self.legs), 'leg')}",
                remedy="only a matrix can be",
                tensor=self.name,
            )
        for fact in MATRIX_FACTS:
            if getattr(self, fact) and len(self.legs) != 2:
                raise FactConflict(
                    f"{self.name} is declared {fact} but has {counted(len(self.legs), 'leg')}",
                    remedy="only a matrix can be",
                    tensor=self.name,
                )
            if getattr(self, fact) and fact != "isometry" and self.legs[0] not in (self.legs[1], self.legs[1].dual):
                raise FactConflict(
                    f"{self.name} is declared {fact} but its legs are {self.legs[0]} and {self.legs[1]}",
                    remedy="both legs must be over one space",
                    tensor=self.name,
                )

    def _check_groups(self, kind: str, groups: Groups) -> None:
        for group in groups:
            numbers = all(isinstance(leg, int) and not isinstance(leg, bool) for leg in group)
            if (
                not numbers
                or any(not 0 <= leg < len(self.legs) for leg in group)
                or len(set(group)) != len(group)
                or len(group) < 2
            ):
                raise FactConflict(
                    f"{kind}={group} does not name two or more legs of {self}",
                    remedy=f"count legs from 0 to {len(self.legs) - 1}"
                    if len(self.legs) > 1
                    else f"only a tensor with two or more legs can be {kind}",
                    tensor=self.name,
                    group=group,
                )
            first, *others = (self.legs[leg] for leg in group)
            for other in others:
                if other != first:
                    raise SpaceMismatch(
                        f"{self.name} cannot be {kind} in legs {group}: {first} is not {other}",
                        remedy="legs of one group must be over one space",
                        spaces=(first, other),
                    )


def groups_of(value: Any, count: int) -> Groups:
    """Return groups of legs from True (all legs), one group, or several groups."""
    if value is True:
        return (tuple(range(count)),)
    if value is None or value is False:
        return ()
    if isinstance(value, list | tuple):
        if all(isinstance(item, list | tuple) for item in value):
            return tuple(tuple(group) for group in value)
        if all(isinstance(item, int) for item in value):
            return (tuple(value),)
    raise FactConflict(
        f"{value!r} is no group of legs", remedy="use True, or legs counted from 0 as (0, 1), or several such groups"
    )


def tensor(
    name: str,
    space: VectorSpace | Sequence[VectorSpace],
    *,
    symmetric: object = False,
    antisymmetric: object = False,
    positive: bool = False,
    permutation: bool = False,
    isometry: bool = False,
    projection: bool = False,
    inverse_of: Tensor | str | None = None,
) -> Tensor:
    """Return the generic tensor `name` in `space`, with declared facts.

    Parameters
    ----------
    name : str
        An identifier.
    space : VectorSpace or sequence of VectorSpace
        The product of the legs, or the legs; ``ta.Unit`` for a scalar.
    symmetric, antisymmetric : bool or tuple
        True for all legs, or a group of legs counted from 0, or several groups.
    positive, permutation, isometry, projection, inverse_of
        See the table above.

    Raises
    ------
    FactConflict, SpaceMismatch
        If the facts cannot hold for these legs.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> T, F = Space("T", "n"), Space("F", "d")
    >>> print(tensor("Q", T @ F))
    Q[T, F]
    """
    check_name(name, "a tensor")
    legs = legs_of(space)
    inverse = inverse_of.name if isinstance(inverse_of, Tensor) else inverse_of
    if isinstance(inverse_of, Tensor) and inverse_of.legs not in (legs[::-1], tuple(leg.dual for leg in legs[::-1])):
        raise SpaceMismatch(
            f"{name}[{', '.join(map(str, legs))}] cannot be the inverse of {inverse_of}",
            remedy="the legs of an inverse are those of the matrix in the opposite order",
            tensor=name,
        )
    return Tensor(
        name,
        legs,
        groups_of(symmetric, len(legs)),
        groups_of(antisymmetric, len(legs)),
        bool(positive),
        bool(permutation),
        bool(isometry),
        bool(projection),
        inverse,
    )


def tensors(names: str, space: VectorSpace | Sequence[VectorSpace], **facts: Any) -> tuple[Tensor, ...]:
    """Return several generic tensors in one space.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> [str(x) for x in tensors("Q K", Space("T", "n") @ Space("F", "d"))]
    ['Q[T, F]', 'K[T, F]']
    """
    return tuple(tensor(name, space, **facts) for name in split_names(names, "a tensor"))


def merge_facts(versions: Iterable[Tensor]) -> Tensor:
    """Return the one tensor that all `versions` of a name describe, with the facts of each.

    Raises
    ------
    FactConflict
        If their legs differ, or their facts contradict each other.
    """
    first, *others = versions
    merged = first
    for other in others:
        if other.legs != first.legs:
            raise FactConflict(
                f"tensor {first.name} is used as {first} and as {other}",
                remedy="one name has the same legs everywhere",
                tensor=first.name,
            )
        if merged.inverse_of and other.inverse_of and merged.inverse_of != other.inverse_of:
            raise FactConflict(
                f"{first.name} is declared the inverse of {merged.inverse_of} and of {other.inverse_of}",
                remedy="declare one of them",
            )
        merged = replace(
            merged,
            symmetric=_union(merged.symmetric, other.symmetric),
            antisymmetric=_union(merged.antisymmetric, other.antisymmetric),
            positive=merged.positive or other.positive,
            permutation=merged.permutation or other.permutation,
            isometry=merged.isometry or other.isometry,
            projection=merged.projection or other.projection,
            inverse_of=merged.inverse_of or other.inverse_of,
        )
    return merged


def _union(left: Groups, right: Groups) -> Groups:
    """Return the groups generated by both: overlapping groups of (anti)symmetric legs join."""
    joined: list[set[int]] = []
    for group in (*left, *right):
        touching = [g for g in joined if g & set(group)]
        joined = [g for g in joined if g not in touching] + [set(group).union(*touching)]
    return tuple(sorted(tuple(sorted(g)) for g in joined))
