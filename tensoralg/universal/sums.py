"""The direct sum, a product and a coproduct at once.

For spaces V_1, ..., V_m the sum V has injections ``i_k : V_k -> V`` and projections ``p_k : V -> V_k`` with

    i_k >> p_k = 1,    i_j >> p_k = 0 for j != k,    sum(k: p_k >> i_k) = 1    (the biproduct equations).

*Coproduct*: maps ``f_k : V_k -> W`` are ``f_k = i_k >> g`` for exactly one ``g : V -> W``, ``g = sum(k: p_k >> f_k)``.
*Product*: maps ``f_k : W -> V_k`` are ``f_k = g >> p_k`` for exactly one ``g : W -> V``, ``g = sum(k: f_k >> i_k)``
(S. Mac Lane, *Categories for the Working Mathematician*, VIII.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tensoralg.errors import LegCountMismatch, SpaceMismatch, counted
from tensoralg.expr import Expr, delta
from tensoralg.expr.nodes import bind, mul
from tensoralg.show import triangle
from tensoralg.spaces import DirectSum, Index, VectorSpace, as_space
from tensoralg.universal.carrier import Names, projection, summand
from tensoralg.universal.construction import Construction, Law, generic_space, same
from tensoralg.universal.linear import LinearMap, as_linear
from tensoralg.universal.maps import MultilinearMap

Terms = tuple[Index, ...]


@dataclass(frozen=True, repr=False)
class UniversalSum:
    """The direct sum of some spaces; made by `direct_sum`."""

    summands: tuple[VectorSpace, ...]

    def __repr__(self) -> str:
        return f"<UniversalSum {self.space}>"

    @property
    def space(self) -> VectorSpace:
        """The direct sum; of one space, that space."""
        return DirectSum(self.summands) if len(self.summands) > 1 else self.summands[0]

    def injection(self, position: int) -> LinearMap:
        """Return ``i_k``, from the summand at a position into the sum."""
        part, whole = self._part(position), self.space
        if len(self.summands) == 1 or not isinstance(whole, DirectSum):
            return LinearMap.identity(part)

        def entries(i: Terms, o: Terms, names: Names) -> Expr:
            inside, term, summed = summand(whole, position, names)
            return bind(summed, mul(projection(part, inside, i, names), delta[term, o[0]]))

        return LinearMap.from_entries(part, self.space, entries, f"i{position}", exact=True)

    def projection(self, position: int) -> LinearMap:
        """Return ``p_k``, from the sum onto the summand at a position."""
        part, whole = self._part(position), self.space
        if len(self.summands) == 1 or not isinstance(whole, DirectSum):
            return LinearMap.identity(part)

        def entries(i: Terms, o: Terms, names: Names) -> Expr:
            inside, term, summed = summand(whole, position, names)
            return bind(summed, mul(delta[i[0], term], projection(part, o, inside, names)))

        return LinearMap.from_entries(self.space, part, entries, f"p{position}", exact=True)

    def _part(self, position: int) -> VectorSpace:
        if position not in range(len(self.summands)):
            raise SpaceMismatch(
                f"{self.space} has no summand {position}",
                remedy=f"summands are counted from 0 to {len(self.summands) - 1}",
                spaces=(self.space,),
            )
        return self.summands[position]

    @property
    def product(self) -> Product:
        """The sum as the product: maps into it."""
        return Product(self)

    @property
    def coproduct(self) -> Coproduct:
        """The sum as the coproduct: maps out of it."""
        return Coproduct(self)

    def biproduct_equations(self) -> tuple[Law, ...]:
        """Return the biproduct equations.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
        >>> [law.prove().status for law in direct_sum(U, V).biproduct_equations()]
        ['proved', 'proved', 'proved', 'proved', 'proved']
        """
        count = range(len(self.summands))
        laws = []
        for j in count:
            for k in count:
                one, other = self.summands[j], self.summands[k]
                wanted = LinearMap.identity(one) if j == k else LinearMap.zero(one, other)
                laws.append(same(self.injection(j) >> self.projection(k), wanted))
        parts = [self.projection(k) >> self.injection(k) for k in count]
        total = sum(parts[1:], parts[0])
        return (*laws, same(total, LinearMap.identity(self.space)))

    def map_by_blocks(self, target: UniversalSum, blocks: Mapping[tuple[int, int], LinearMap]) -> LinearMap:
        """Return the map to another sum with given blocks; a block that is not given is 0.

        Parameters
        ----------
        target : UniversalSum
        blocks : mapping of (int, int) to LinearMap
            From the positions of a summand here and of one of the target to the map between them.

        Raises
        ------
        SpaceMismatch
            If a block is not a map between its summands.
        """
        if not isinstance(target, UniversalSum):
            raise SpaceMismatch(
                f"the target of blocks out of {self.space} is {target!r}",
                remedy="give a direct_sum",
                spaces=(self.space,),
            )
        found: LinearMap | None = None
        for (j, k), f in blocks.items():
            if (as_linear(f).source, f.target) != (self._part(j), target._part(k)):
                raise SpaceMismatch(
                    f"block ({j}, {k}) is {f}, not a map from {self._part(j)} to {target._part(k)}",
                    remedy="give maps between the summands at these positions",
                    spaces=(f.source, self._part(j), f.target, target._part(k)),
                )
            term = self.projection(j) >> f >> target.injection(k)
            found = term if found is None else found + term
        return (found or LinearMap.zero(self.space, target.space)).named("blocks")


@dataclass(frozen=True, repr=False)
class _Side(Construction):
    sum: UniversalSum

    @property
    def space(self) -> VectorSpace:
        return self.sum.space

    def _check(self, maps: tuple[LinearMap, ...], ends: list[VectorSpace], shared: list[VectorSpace]) -> None:
        summands = self.sum.summands
        if len(maps) != len(summands):
            raise LegCountMismatch(
                f"{counted(len(maps), 'map')} for {counted(len(summands), 'summand')} of {self.space}",
                remedy="give one map for each summand",
            )
        for f, end, part in zip(maps, ends, summands, strict=True):
            if end != part:
                raise SpaceMismatch(
                    f"{f} does not meet the summand {part} of {self.space}",
                    remedy=f"give a map that has {part} at this end",
                    spaces=(end, part),
                )
        if len(set(shared)) > 1:
            raise SpaceMismatch(
                f"the maps {' and '.join(map(str, maps))} have different other ends",
                remedy="give maps that share their other end",
                spaces=tuple(shared),
            )


class Coproduct(_Side):
    """A direct sum as a coproduct: one map out of each summand is one map out of the sum."""

    def through(self, g: LinearMap) -> tuple[MultilinearMap, ...]:
        """Return the restrictions of a map to the summands."""
        return tuple(self.sum.injection(k) >> g for k in range(len(self.sum.summands)))

    def factor(self, *maps: LinearMap) -> LinearMap:
        """Return the one map out of the sum that restricts to the given ones.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
        >>> f, g = ta.LinearMap.generic("f", U, W), ta.LinearMap.generic("g", V, W)
        >>> print(direct_sum(U, V).coproduct.factor(f, g))
        either : U + V -> W
        """
        self._check(maps, [as_linear(f).source for f in maps], [f.target for f in maps])
        parts = [self.sum.projection(k) >> f for k, f in enumerate(maps)]
        return sum(parts[1:], parts[0]).named("either")

    def triangles(self) -> tuple[str, ...]:
        """Return the triangle of each summand, as SVG."""
        whole, other = str(self.space), str(generic_space(self.space))
        parts = enumerate(self.sum.summands)
        return tuple(triangle(str(part), whole, other, f"i{k}", "g", f"f{k}") for k, part in parts)

    def _generic_data(self, other: VectorSpace) -> tuple[LinearMap, ...]:
        return tuple(LinearMap.generic(f"f{k}", part, other) for k, part in enumerate(self.sum.summands))


class Product(_Side):
    """A direct sum as a product: one map into each summand is one map into the sum."""

    def through(self, g: LinearMap) -> tuple[MultilinearMap, ...]:
        """Return the components of a map."""
        return tuple(g >> self.sum.projection(k) for k in range(len(self.sum.summands)))

    def factor(self, *maps: LinearMap) -> LinearMap:
        """Return the one map into the sum with the given components."""
        self._check(maps, [as_linear(f).target for f in maps], [f.source for f in maps])
        parts = [f >> self.sum.injection(k) for k, f in enumerate(maps)]
        return sum(parts[1:], parts[0]).named("both")

    def triangles(self) -> tuple[str, ...]:
        """Return the triangle of each summand, as SVG."""
        whole, other = str(self.space), str(generic_space(self.space))
        parts = enumerate(self.sum.summands)
        return tuple(triangle(other, whole, str(part), f"p{k}", "g", f"f{k}", into=True) for k, part in parts)

    def _generic_data(self, other: VectorSpace) -> tuple[LinearMap, ...]:
        return tuple(LinearMap.generic(f"f{k}", other, part) for k, part in enumerate(self.sum.summands))

    def _generic_map(self, other: VectorSpace) -> LinearMap:
        return LinearMap.generic("g", other, self.space)


def block_diagonal(*maps: LinearMap) -> LinearMap:
    """Return the direct sum of maps: ``(f + g)(x, y) = (f(x), g(y))``.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
    >>> print(block_diagonal(ta.LinearMap.generic("f", V, W), ta.LinearMap.generic("g", W, V)))
    blocks : V + W -> W + V
    """
    source, target = direct_sum(*(as_linear(f).source for f in maps)), direct_sum(*(f.target for f in maps))
    return source.map_by_blocks(target, {(k, k): f for k, f in enumerate(maps)})


def direct_sum(*summands: VectorSpace) -> UniversalSum:
    """Return the direct sum of one or more spaces, with its injections and projections.

    Raises
    ------
    SpaceMismatch
        If some of the spaces are ordered and others are not.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
    >>> both = direct_sum(U, V)
    >>> print(both.injection(0), "|", both.projection(1))
    i0 : U -> U + V | p1 : U + V -> V
    >>> [verdict.status for verdict in both.coproduct.universal_property().prove()]
    ['proved', 'proved', 'proved']
    """
    if not summands:
        raise LegCountMismatch("the sum of no spaces is no space of the library", remedy="name at least one space")
    found = UniversalSum(tuple(map(as_space, summands)))
    as_space(found.space)  # which refuses ordered spaces beside others
    return found
