"""Spaces: finite-dimensional real vector spaces, built by tensor product, direct sum, dual and Hom.

A named :class:`Space` carries its standard basis.  With the Euclidean metric that basis is orthonormal
and identifies the space with its dual, so it may be contracted with itself; with ``metric=None`` it is
a bare space and contracts only with its dual.  An ordered space has a totally ordered basis (tokens in
time).  Equality is structural: structure is kept, nothing is fused silently, and the associator is an
isomorphism and not an equality.

Laws: ``V.dual.dual == V``, ``(V @ W).dual == V.dual @ W.dual``, ``V >> W == V.dual @ W``,
``dim(V @ W) = dim V dim W``, ``dim(V + W) = dim V + dim W``, ``dim Sym^k = binomial(n + k - 1, k)``,
``dim Alt^k = binomial(n, k)`` (Bourbaki, *Algebra I*, III.5-7).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import sympy

from tensoralg.errors import InvalidDimension, SpaceMismatch
from tensoralg.spaces.dimension import Dimension, as_dimension
from tensoralg.spaces.index import Index
from tensoralg.spaces.names import is_name, split_names

MOST_FACTORS = 100


class VectorSpace:
    """A finite-dimensional real vector space: the common ground of all kinds of spaces."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def dimension(self) -> Any:
            """The dimension, an int or a sympy expression in dimension symbols."""

        @property
        def dual(self) -> VectorSpace:
            """The dual space; ``V.dual.dual == V``."""

    @property
    def ordered(self) -> bool:
        """Whether the basis is totally ordered, so that masks make sense."""
        return False

    @property
    def metric(self) -> str | None:
        """``"euclidean"``, or None for a bare space."""
        return "euclidean"

    def __matmul__(self, other: object) -> VectorSpace:
        return TensorProduct((self, as_space(other)))

    def __rmatmul__(self, other: object) -> VectorSpace:
        return TensorProduct((as_space(other), self))

    def __add__(self, other: object) -> VectorSpace:
        return DirectSum((self, as_space(other)))

    def __radd__(self, other: object) -> VectorSpace:
        return DirectSum((as_space(other), self))

    def __mul__(self, other: object) -> VectorSpace:
        raise SpaceMismatch(f"{self} * {other} means nothing", remedy="the tensor product is V @ W, its power V ** 2")

    __rmul__ = __mul__

    def __rshift__(self, other: object) -> VectorSpace:
        return TensorProduct((self.dual, as_space(other)))

    def __pow__(self, k: object) -> VectorSpace:
        count = _power(k)
        return Unit if count == 0 else self if count == 1 else TensorProduct((self,) * count)

    def index(self, name: str) -> Index:
        """Return the index called `name` over this space."""
        return Index(name, self)

    def indices(self, names: str) -> tuple[Index, ...]:
        """Return indices over this space, one for each of the given names.

        Examples
        --------
        >>> T = Space("T", "n", ordered=True)
        >>> t, s = T.indices("t s")
        >>> t.space == s.space == T
        True
        """
        return tuple(self.index(name) for name in split_names(names, f"an index over {self}"))


def _power(k: object) -> int:
    try:
        count = operator.index(k)  # type: ignore[arg-type]
    except TypeError:
        count = -1
    if not 0 <= count <= MOST_FACTORS or isinstance(k, bool):
        raise InvalidDimension(
            f"{k!r} is not a power of a space", remedy=f"powers are integers from 0 to {MOST_FACTORS}", value=k
        )
    return count


def as_space(value: object) -> VectorSpace:
    """Return `value`, which has to be a space.

    Raises
    ------
    SpaceMismatch
        If it is none.
    """
    if not isinstance(value, VectorSpace):
        raise SpaceMismatch(f"{value!r} is not a space", remedy='make one with Space("V", "n")', value=value)
    return value


@dataclass(frozen=True, slots=True)
class Space(VectorSpace):
    """A named space with a standard basis.

    Parameters
    ----------
    name : str
        The name; `prove` identifies spaces of one name.
    dimension : int, str or sympy.Symbol
        At least 1.
    ordered : bool
        Whether the basis is totally ordered.
    metric : "euclidean" or None
        None makes a bare space, which contracts only with its dual.

    Examples
    --------
    >>> T = Space("T", "n", ordered=True)
    >>> print(T, T.dual, T @ T.dual)
    T T* T @ T*
    """

    name: str
    dimension: Dimension
    ordered: bool = False
    metric: str | None = "euclidean"
    is_dual: bool = False

    def __post_init__(self) -> None:
        if not (is_name(self.name) or (isinstance(self.name, str) and self.name.isdecimal())):
            raise InvalidDimension(f"{self.name!r} is not a name for a space", remedy="use an identifier such as T")
        if self.metric not in ("euclidean", None):
            raise InvalidDimension(
                f"unknown metric {self.metric!r} of space {self.name}", remedy='use "euclidean" or None'
            )
        object.__setattr__(self, "dimension", as_dimension(self.dimension))
        object.__setattr__(self, "ordered", bool(self.ordered))

    @property
    def dual(self) -> Space:
        return Space(self.name, self.dimension, self.ordered, self.metric, not self.is_dual)

    @property
    def primal(self) -> Space:
        """The space itself, or the space of which this is the dual."""
        return self.dual if self.is_dual else self

    def __str__(self) -> str:
        return self.name + ("*" if self.is_dual else "")


@dataclass(frozen=True, slots=True)
class UnitSpace(VectorSpace):
    """The ground field: the unit of the tensor product, of dimension 1."""

    @property
    def dimension(self) -> int:
        return 1

    @property
    def dual(self) -> UnitSpace:
        return self

    def __str__(self) -> str:
        return "1"


Unit = UnitSpace()


@dataclass(frozen=True, slots=True)
class TensorProduct(VectorSpace):
    """The tensor product of the given factors; its basis is ordered lexicographically if theirs are.

    Of more than two factors the first ones are bracketed: ``V ** 3 == V @ V @ V == (V @ V) @ V``.

    Examples
    --------
    >>> H, E = Space("H", "h"), Space("E", "e")
    >>> (H @ E).dimension
    e*h
    """

    factors: tuple[VectorSpace, ...]

    def __post_init__(self) -> None:
        *head, last = map(as_space, self.factors)
        if len(head) > 1:
            object.__setattr__(self, "factors", (TensorProduct(tuple(head)), last))

    @property
    def dimension(self) -> Any:
        return sympy.Mul(*(f.dimension for f in self.factors))

    @property
    def dual(self) -> TensorProduct:
        return TensorProduct(tuple(f.dual for f in self.factors))

    @property
    def ordered(self) -> bool:
        return all(f.ordered for f in self.factors)

    @property
    def metric(self) -> str | None:
        return "euclidean" if all(f.metric for f in self.factors) else None

    def __str__(self) -> str:
        left, *rest = (_wrap(f, position) for position, f in enumerate(self.factors))
        return " @ ".join([left, *rest])


def _wrap(space: VectorSpace, position: int) -> str:
    nested = isinstance(space, DirectSum) or (isinstance(space, TensorProduct) and position > 0)
    return f"({space})" if nested else str(space)


@dataclass(frozen=True, slots=True)
class DirectSum(VectorSpace):
    """The direct sum; for ordered spaces, everything in a summand comes before everything in the next.

    Examples
    --------
    >>> A, B = Space("A", "a", ordered=True), Space("B", "b", ordered=True)
    >>> (A + B).dimension, (A + B).ordered
    (a + b, True)
    """

    summands: tuple[VectorSpace, ...]

    def __post_init__(self) -> None:
        kinds = {s.ordered for s in self.summands}
        if len(kinds) > 1:
            first = next(s for s in self.summands if s.ordered)
            second = next(s for s in self.summands if not s.ordered)
            raise SpaceMismatch(
                f"cannot add the ordered space {first} and the unordered space {second}",
                remedy=f'declare Space("{second}", ..., ordered=True), or drop the order of {first}',
                spaces=(first, second),
            )

    @property
    def dimension(self) -> Any:
        return sympy.Add(*(s.dimension for s in self.summands))

    @property
    def dual(self) -> DirectSum:
        return DirectSum(tuple(s.dual for s in self.summands))

    @property
    def ordered(self) -> bool:
        return all(s.ordered for s in self.summands)

    @property
    def metric(self) -> str | None:
        return "euclidean" if all(s.metric for s in self.summands) else None

    def __str__(self) -> str:
        return " + ".join(f"({s})" if isinstance(s, DirectSum) and k else str(s) for k, s in enumerate(self.summands))


@dataclass(frozen=True, slots=True)
class _SpacePower(VectorSpace):
    base: VectorSpace
    k: int
    symbol: ClassVar[str] = ""

    def __post_init__(self) -> None:
        as_space(self.base)
        _power(self.k)

    @property
    def dual(self) -> VectorSpace:
        return type(self)(self.base.dual, self.k)

    @property
    def metric(self) -> str | None:
        return self.base.metric

    def __str__(self) -> str:
        return f"{self.symbol}({self.base}, {self.k})"


class SymmetricPower(_SpacePower):
    """The k-th symmetric power of a space, of dimension ``binomial(n + k - 1, k)``."""

    __slots__ = ()
    symbol = "Sym"

    @property
    def dimension(self) -> Any:
        n = self.base.dimension
        return sympy.expand(sympy.Mul(*(n + j for j in range(self.k))) / sympy.factorial(self.k))


class AlternatingPower(_SpacePower):
    """The k-th exterior power of a space, of dimension ``binomial(n, k)``, zero when k > n."""

    __slots__ = ()
    symbol = "Alt"

    @property
    def dimension(self) -> Any:
        n = self.base.dimension
        return sympy.expand(sympy.Mul(*(n - j for j in range(self.k))) / sympy.factorial(self.k))


def Sym(space: VectorSpace, k: int) -> SymmetricPower:
    """Return the k-th symmetric power of `space`.

    Examples
    --------
    >>> Sym(Space("V", "n"), 2).dimension
    n**2/2 + n/2
    """
    return SymmetricPower(space, k)


def Alt(space: VectorSpace, k: int) -> AlternatingPower:
    """Return the k-th exterior power of `space`.

    Examples
    --------
    >>> Alt(Space("V", 3), 4).dimension
    0
    """
    return AlternatingPower(space, k)


def contractible(left: VectorSpace, right: VectorSpace) -> bool:
    """Whether an index may join a leg over `left` to a leg over `right`.

    A leg joins its dual; legs over one space join when it has a metric.

    Examples
    --------
    >>> V, W = Space("V", "n"), Space("W", "n", metric=None)
    >>> contractible(V, V), contractible(W, W), contractible(W, W.dual)
    (True, False, True)
    """
    return left == right.dual or (left == right and left.metric is not None)


def same_basis(left: VectorSpace, right: VectorSpace) -> bool:
    """Whether indices over two spaces run over one basis: whether the spaces are equal up to duals of their parts.

    Examples
    --------
    >>> V, W = Space("V", "n"), Space("W", "m")
    >>> same_basis(V.dual @ W, V @ W), same_basis(V @ W, W @ V)
    (True, False)
    """
    for parts in ("factors", "summands"):
        one, other = getattr(left, parts, None), getattr(right, parts, None)
        if one and other:
            return len(one) == len(other) and all(map(same_basis, one, other))
    return left in (right, right.dual)


def legs_of(space: VectorSpace | Sequence[VectorSpace]) -> tuple[VectorSpace, ...]:
    """Return the legs that a tensor in `space` has.

    ``U @ V @ W`` has three legs; a bracketed factor, as in ``T @ (H @ E)``, is one leg, a unit is none.  A sequence
    lists the legs explicitly, which is needed when the *first* leg is itself a product.

    Examples
    --------
    >>> T, H, E = Space("T", "n"), Space("H", "h"), Space("E", "e")
    >>> [str(leg) for leg in legs_of(T @ (H @ E))], [str(leg) for leg in legs_of(T @ H @ E)]
    (['T', 'H @ E'], ['T', 'H', 'E'])
    """
    if isinstance(space, VectorSpace):
        if isinstance(space, UnitSpace):
            return ()
        if isinstance(space, TensorProduct):
            head, *tail = space.factors
            return (*legs_of(head), *(leg for leg in tail if not isinstance(leg, UnitSpace)))
        return (space,)
    if isinstance(space, list | tuple):
        return tuple(map(as_space, space))
    raise SpaceMismatch(
        f"{space!r} is no space for a tensor", remedy="give a product of spaces, as in T @ F, or ta.Unit", value=space
    )
