"""Hom and the dual: the adjunction of the tensor product and Hom, and duality as evaluation and coevaluation.

``Hom(V, W) = V >> W = V* @ W`` has the evaluation ``ev : Hom(V, W) @ V -> W``.  Every linear map ``f : U @ V -> W`` is
``f = (g @ 1_V) >> ev`` for exactly one ``g : U -> Hom(V, W)``, its *currying*; currying is natural in U, V and W
(S. Mac Lane, *Categories for the Working Mathematician*, IV.1 and VII.7).

``V* = Hom(V, 1)`` with ``ev : V* @ V -> 1`` and ``coev : 1 -> V @ V*`` satisfies the snake equations

    V = 1 @ V -> (V @ V*) @ V = V @ (V* @ V) -> V @ 1 = V         is the identity of V,
    V* = V* @ 1 -> V* @ (V @ V*) = (V* @ V) @ V* -> 1 @ V* = V*   is the identity of V*

(G. M. Kelly, M. L. Laplaza, *Coherence for compact closed categories*, 1980).
"""

from __future__ import annotations

from dataclasses import dataclass

from tensoralg.errors import SpaceMismatch
from tensoralg.expr import Expr
from tensoralg.expr.nodes import mul
from tensoralg.show import triangle
from tensoralg.spaces import Index, TensorProduct, Unit, VectorSpace, as_space
from tensoralg.universal.carrier import Names, carrier, has_powers, identity, projection
from tensoralg.universal.construction import Construction, Law, generic_space, same
from tensoralg.universal.linear import LinearMap, as_linear, factors, reread
from tensoralg.universal.maps import MultilinearMap, as_map
from tensoralg.universal.product import tensor_product

Terms = tuple[Index, ...]


@dataclass(frozen=True, repr=False)
class UniversalHom(Construction):
    """The space of linear maps from one space to another, with its evaluation; made by `hom`."""

    inner: VectorSpace
    outer: VectorSpace

    @property
    def space(self) -> VectorSpace:
        """``inner >> outer``."""
        return self.inner >> self.outer

    @property
    def evaluation(self) -> LinearMap:
        """The evaluation ``Hom(V, W) @ V -> W``."""
        first, last = len(carrier(self.inner)), len(carrier(self.outer))

        def entries(i: Terms, o: Terms, _: Names) -> Expr:
            return mul(identity(i[:first], i[first + last :]), identity(i[first : first + last], o))

        return LinearMap.from_entries(TensorProduct((self.space, self.inner)), self.outer, entries, "ev")

    def through(self, g: LinearMap) -> tuple[MultilinearMap, ...]:
        """Return the map ``U @ V -> W`` that applies what g makes of the first factor to the second."""
        return ((as_linear(g) @ LinearMap.identity(self.inner)) >> self.evaluation,)

    def factor(self, f: LinearMap | MultilinearMap) -> LinearMap:
        """Return the one map ``g : U -> Hom(V, W)`` with ``(g @ 1) >> evaluation = f``.

        Parameters
        ----------
        f : LinearMap or MultilinearMap
            From ``U @ V``, or from U and V, to W.

        Raises
        ------
        SpaceMismatch
            If f is no such map.
        NotMultilinear
            If it is not linear; the witness is attached.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
        >>> print(hom(V, W).factor(ta.LinearMap.generic("f", U @ V, W)))
        f : U -> V* @ W
        """
        pair = _pair(f)
        if len(pair) != 2 or (pair[1], f.target) != (self.inner, self.outer):
            raise SpaceMismatch(
                f"{f} cannot be curried into {self.space}",
                remedy=f"give a map from U @ {self.inner} to {self.outer}; an associator changes brackets",
                spaces=(*f.sources, f.target, self.space),
            )
        whole = tensor_product(*pair).factor(f) if len(f.sources) == 2 else f
        whole.check()
        return reread(whole, pair[0], self.space)

    def triangles(self) -> tuple[str, ...]:
        """Return the triangle of the universal property, as SVG."""
        source, middle = (f"{first} @ {self.inner}" for first in (generic_space(self.space), f"({self.space})"))
        return (triangle(source, middle, str(self.outer), "ev", "g @ 1", "f", into=True),)

    def _generic_data(self, other: VectorSpace) -> tuple[MultilinearMap, ...]:
        return (LinearMap.generic("f", TensorProduct((other, self.inner)), self.outer),)

    def _generic_map(self, other: VectorSpace) -> LinearMap:
        return LinearMap.generic("g", other, self.space)

    def map(self, before: LinearMap, after: LinearMap) -> LinearMap:
        """Return ``h -> before >> h >> after``, from this Hom to the one between the outer ends of the two maps.

        Parameters
        ----------
        before : LinearMap
            Into ``inner``.
        after : LinearMap
            Out of ``outer``.
        """
        ends = (before, as_linear(before).target, self.inner), (after, as_linear(after).source, self.outer)
        for f, end, wanted in ends:
            if end != wanted:
                raise SpaceMismatch(
                    f"{f} does not meet {wanted}", remedy="give maps into V and out of W", spaces=(end, wanted)
                )
        return before.dual @ after

    def naturality(self) -> tuple[Law, ...]:
        """Return the claims that currying is natural in each of its arguments, for generic maps.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V, W = ta.Space("V", "n"), ta.Space("W", "k")
        >>> [law.prove().status for law in hom(V, W).naturality()]
        ['proved', 'proved', 'proved']
        """
        u = generic_space(self.space)
        x = generic_space(self.space, u)
        one = LinearMap.identity
        f = LinearMap.generic("f", TensorProduct((u, self.inner)), self.outer)
        a, b = LinearMap.generic("a", x, u), LinearMap.generic("b", x, self.inner)
        c = LinearMap.generic("c", self.outer, x)
        return (
            same(self.factor((a @ one(self.inner)) >> f), a >> self.factor(f)),
            same(
                UniversalHom(x, self.outer).factor((one(u) @ b) >> f),
                self.factor(f) >> self.map(b, one(self.outer)),
            ),
            same(UniversalHom(self.inner, x).factor(f >> c), self.factor(f) >> self.map(one(self.inner), c)),
        )


def hom(inner: VectorSpace, outer: VectorSpace) -> UniversalHom:
    """Return the space of linear maps from `inner` to `outer`, with its evaluation.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "k")
    >>> print(hom(V, W).evaluation)
    ev : V* @ W @ V -> W
    >>> [verdict.status for verdict in hom(V, W).universal_property().prove()]
    ['proved', 'proved']
    """
    return UniversalHom(as_space(inner), as_space(outer))


def curry(f: LinearMap | MultilinearMap) -> LinearMap:
    """Return the map ``U -> Hom(V, W)`` of a map ``U @ V -> W``.

    Raises
    ------
    SpaceMismatch
        If the source is no product of two spaces.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> f = ta.LinearMap.generic("f", U @ V, W)
    >>> print(curry(f), "|", uncurry(curry(f)))
    f : U -> V* @ W | ev : U @ V -> W
    >>> uncurry(curry(f)).equals(f).status
    'proved'
    """
    pair = _pair(f)
    if len(pair) != 2:
        raise SpaceMismatch(
            f"{f} cannot be curried: its source is no product of two spaces",
            remedy="curry a map from U @ V; V @ ta.Unit stands for V",
            spaces=f.sources,
        )
    return UniversalHom(pair[1], f.target).factor(f)


def _pair(f: MultilinearMap) -> tuple[VectorSpace, ...]:
    """Return the two spaces that the arguments of a map are in, or another number of spaces."""
    sources = as_map(f).sources
    return getattr(sources[0], "factors", ()) if len(sources) == 1 else sources


def uncurry(g: LinearMap) -> LinearMap:
    """Return the map ``U @ V -> W`` of a map ``U -> Hom(V, W)``, where Hom(V, W) is written ``V >> W``.

    Raises
    ------
    SpaceMismatch
        If the target is no product of a dual and another space.
    """
    parts: tuple[VectorSpace, ...] = getattr(as_linear(g).target, "factors", ())
    if len(parts) != 2:
        raise SpaceMismatch(
            f"{g} cannot be uncurried: its target is no space V >> W",
            remedy="uncurry a map into V >> W, which is V.dual @ W",
            spaces=(g.target,),
        )
    found = UniversalHom(parts[0].dual, parts[1]).through(g)[0]
    assert isinstance(found, LinearMap)
    return found


def rebracket(source: VectorSpace, target: VectorSpace) -> LinearMap:
    """Return the isomorphism between two products of the same factors in the same order: brackets and units differ.

    Raises
    ------
    SpaceMismatch
        If the factors differ.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
    >>> print(rebracket((U @ V) @ U, ta.Unit @ (U @ (V @ U))))
    rebracket : U @ V @ U -> 1 @ (U @ (V @ U))
    """
    alike = carrier(as_space(source)) == carrier(as_space(target))
    if not alike or (any(map(has_powers, (source, target))) and factors(source) != factors(target)):
        raise SpaceMismatch(
            f"{source} and {target} do not have the same factors in the same order",
            remedy="use braidings and distributors, see tensoralg.universal.coherence",
            spaces=(source, target),
        )
    entries = lambda i, o, names: projection(source, o, i, names)  # noqa: E731
    return LinearMap.from_entries(source, target, entries, "rebracket", exact=True)


@dataclass(frozen=True, repr=False)
class Duality:
    """A space, its dual, evaluation and coevaluation; made by `duality`."""

    base: VectorSpace

    def __repr__(self) -> str:
        return f"<Duality {self.space}, {self.base}>"

    @property
    def space(self) -> VectorSpace:
        """The dual."""
        return self.base.dual

    @property
    def evaluation(self) -> LinearMap:
        """``V* @ V -> 1``."""
        count = len(carrier(self.base))
        source = TensorProduct((self.space, self.base))
        return LinearMap.from_entries(source, Unit, lambda i, o, _: identity(i[:count], i[count:]), "ev")

    @property
    def coevaluation(self) -> LinearMap:
        """``1 -> V @ V*``."""
        count = len(carrier(self.base))
        target = TensorProduct((self.base, self.space))
        return LinearMap.from_entries(Unit, target, lambda i, o, _: identity(o[:count], o[count:]), "coev")

    def snake_equations(self) -> tuple[Law, Law]:
        """Return the snake equations.

        Examples
        --------
        >>> import tensoralg as ta
        >>> [law.prove().status for law in duality(ta.Space("V", "n")).snake_equations()]
        ['proved', 'proved']
        """
        v, w = self.base, self.space
        one, other = LinearMap.identity(v), LinearMap.identity(w)
        first = (
            rebracket(v, Unit @ v)
            >> (self.coevaluation @ one)
            >> rebracket((v @ w) @ v, v @ (w @ v))
            >> (one @ self.evaluation)
            >> rebracket(v @ Unit, v)
        )
        second = (
            rebracket(w, w @ Unit)
            >> (other @ self.coevaluation)
            >> rebracket(w @ (v @ w), (w @ v) @ w)
            >> (self.evaluation @ other)
            >> rebracket(Unit @ w, w)
        )
        return same(first, one), same(second, other)


def duality(space: VectorSpace) -> Duality:
    """Return a space and its dual, with evaluation and coevaluation.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n", metric=None)
    >>> print(duality(V).evaluation, "|", duality(V).coevaluation)
    ev : V* @ V -> 1 | coev : 1 -> V @ V*
    """
    return Duality(as_space(space))
