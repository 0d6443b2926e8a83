"""Universal constructions: what they have in common, and why their factorisations are unique.

A construction is a space X together with a way to turn every linear map g out of (or into) X into some *data*: for
the tensor product the multilinear map ``arrow >> g``, for a direct sum the maps ``injection >> g`` (or
``g >> projection``), for Hom the map ``(g @ 1) >> evaluation``.  Write ``through(g)`` for the data of g.  Then X is
universal if for all data f there is exactly one linear map g with ``through(g) = f``, the *factorisation* of f
(S. Mac Lane, *Categories for the Working Mathematician*, III.1).

*Existence* is the claim ``through(factor(f)) = f`` for generic data f.  *Uniqueness* is the claim that for every linear
map g, of which nothing is known but the hypothesis ``through(g) = f``, the entries of g are those of ``factor(f)``:
g is a generic tensor, so that the claim is about all of them, for all dimensions and all target spaces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from tensoralg.expr import Definition, define
from tensoralg.expr.rewrite import fresh
from tensoralg.proof import Verdict, prove
from tensoralg.spaces import Space, VectorSpace
from tensoralg.universal.carrier import carrier
from tensoralg.universal.linear import LinearMap
from tensoralg.universal.maps import MultilinearMap


class Law(NamedTuple):
    """A claim ``lhs == rhs`` under hypotheses, as `prove` takes it: ``prove(*law)``."""

    lhs: Definition
    rhs: Definition
    given: tuple[tuple[Definition, Definition], ...] = ()

    def prove(self) -> Verdict:
        """Return the verdict on the claim."""
        return prove(self.lhs, self.rhs, given=list(self.given))


class UniversalProperty(NamedTuple):
    """The claims that make a construction universal: existence for each part of the data, and uniqueness."""

    existence: tuple[Law, ...]
    uniqueness: Law

    @property
    def laws(self) -> tuple[Law, ...]:
        """All of the claims."""
        return (*self.existence, self.uniqueness)

    def prove(self) -> tuple[Verdict, ...]:
        """Return the verdict on each claim."""
        return tuple(law.prove() for law in self.laws)


def same(left: MultilinearMap, right: MultilinearMap, given: Sequence[tuple[Definition, Definition]] = ()) -> Law:
    """Return the claim that two maps are equal."""
    mine, theirs = left.entries(), right.entries()
    return Law(mine, define(mine.legs, theirs[mine.legs], theirs.name), tuple(given))


class Construction(ABC):
    """A space with a universal property."""

    @property
    @abstractmethod
    def space(self) -> VectorSpace:
        """The space."""

    @abstractmethod
    def through(self, g: LinearMap) -> tuple[MultilinearMap, ...]:
        """Return the data of a linear map out of, or into, the space."""

    @abstractmethod
    def factor(self, *data: Any) -> LinearMap:
        """Return the one linear map with the given data."""

    @abstractmethod
    def _generic_data(self, other: VectorSpace) -> tuple[MultilinearMap, ...]:
        """Return generic data for maps between the space and another one."""

    @abstractmethod
    def triangles(self) -> tuple[str, ...]:
        """Return the commutative triangle of each part of the data, as SVG."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.space}>"

    def _repr_html_(self) -> str:
        return "".join(self.triangles())

    def _generic_map(self, other: VectorSpace) -> LinearMap:
        """Return a generic linear map between the space and another one."""
        return LinearMap.generic("g", self.space, other)

    def universal_property(self) -> UniversalProperty:
        """Return the claims of existence and uniqueness, for maps between the space and a generic one.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
        >>> for law in ta.tensor_product(U, V).universal_property().laws:
        ...     print(law.lhs.term, "==", law.rhs.term, *(f"if {a.term} == {b.term}" for a, b in law.given))
        f[i1,i2,o1] == f[i1,i2,o1]
        g[i1,i2,o1] == f[i1,i2,o1] if f[i1,i2,o1] == g[i1,i2,o1]
        """
        other = generic_space(self.space)
        data, g = self._generic_data(other), self._generic_map(other)
        found = self.factor(*data)
        existence = tuple(same(got, wanted) for got, wanted in zip(self.through(found), data, strict=True))
        given = tuple((wanted.entries(), got.entries()) for got, wanted in zip(self.through(g), data, strict=True))
        return UniversalProperty(existence, same(g, found, given))


def generic_space(*spaces: VectorSpace) -> Space:
    """Return a space of a new name and dimension."""
    words = {str(word) for space in spaces for word in _words(space)}
    return Space(fresh("W", words), fresh("w", words))


def _words(space: VectorSpace) -> set[str]:
    legs = [part for leg in carrier(space) for part in _leaves(leg)]
    return {str(word) for leg in legs for word in (leg, leg.dual, leg.dimension)}


def _leaves(space: VectorSpace) -> list[VectorSpace]:
    parts = getattr(space, "factors", ()) or getattr(space, "summands", ())
    return [leaf for part in parts for leaf in _leaves(part)] if parts else [space]
