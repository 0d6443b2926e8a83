"""Linear maps: products, sums, duals, adjoints, traces, blocks and matrices.

With entries ``F[i, o]`` for a map f (i at the source, o at the target),

    f >> g            sum(o: F[i,o] G[o,p])           (f >> g)(x) = g(f(x))
    f @ g             F[i,o] G[j,p]                   (f (x) g)(x (x) y) = f(x) (x) g(y)
    f.dual            F, read from o to i             f*(phi) = phi o f
    f.adjoint         the same, where a metric identifies spaces with their duals:  <f x, y> = <x, f^+ y>
    f.trace()         sum(i: F[i,i])

(N. Bourbaki, *Algebra I*, II.1-4; the trace and the partial trace are those of the compact closed category of
finite-dimensional spaces, A. Joyal, R. Street, D. Verity, *Traced monoidal categories*, 1996.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoralg.errors import InvalidExpression, LegCountMismatch, SpaceMismatch
from tensoralg.expr import Definition, Expr, define
from tensoralg.expr.nodes import as_expr, bind, mul
from tensoralg.expr.rewrite import names_in
from tensoralg.spaces import DirectSum, Index, IndexTerm, TensorProduct, Unit, VectorSpace, as_space
from tensoralg.universal.basis import matrix_of
from tensoralg.universal.carrier import Names, Power, carrier, identity, product_of, projection, summand
from tensoralg.universal.maps import MultilinearMap, as_map, from_entries, generic_parts, tensors_in
from tensoralg.universal.substitution import without_deltas

Terms = tuple[IndexTerm, ...]


class LinearMap(MultilinearMap):
    """A map that is to be linear in its one argument.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
    >>> f, g = LinearMap.generic("f", V, W), LinearMap.generic("g", W, V)
    >>> print((f >> g).value)
    g[o1] = sum(i1: g[i1,o1]*sum(i2: f[i2,i1]*x[i2]))
    >>> print(f @ g)
    f : V @ W -> W @ V
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.arguments) != 1:
            raise LegCountMismatch(
                f"a linear map has one argument, not {len(self.arguments)}", remedy="use MultilinearMap"
            )

    @property
    def source(self) -> VectorSpace:
        """The space of the argument."""
        return self.sources[0]

    # making

    @classmethod
    def from_entries(
        cls,
        source: VectorSpace,
        target: VectorSpace,
        entries: Callable[[tuple[Index, ...], tuple[Index, ...], Names], Expr],
        name: str = "f",
        *,
        taken: Sequence[str] = (),
        outputs: Sequence[Index] | None = None,
        exact: bool | tuple[bool, bool] = False,
    ) -> LinearMap:
        """Return the linear map with the given entries.

        Parameters
        ----------
        source, target : VectorSpace
        entries : callable
            From the indices at the carrier of the source, those at the carrier of the target, and a supply of names
            for indices to be summed, to the entry there.
        name : str
        taken : sequence of str
            Names of tensors in the entries, which the argument must not have.
        outputs : sequence of Index, optional
            The legs of the value, if they are to have certain names.
        exact : bool or (bool, bool)
            Whether projecting the source, and the target, would change nothing.
        """
        one = lambda ins, outs, names: entries(ins[0], outs, names)  # noqa: E731
        parts = from_entries((source,), target, one, name, taken, outputs)
        return cls(*parts, (source,), target, exact=exact)

    @classmethod
    def generic(cls, name: str, source: VectorSpace, target: VectorSpace) -> LinearMap:
        """Return the linear map whose entries are the generic tensor `name`."""
        return cls(*generic_parts(name, (as_space(source),), as_space(target)), (source,), target)

    @classmethod
    def identity(cls, space: VectorSpace, name: str = "id") -> LinearMap:
        """Return the identity of a space."""
        return cls.from_entries(space, space, lambda i, o, names: projection(space, o, i, names), name, exact=True)

    @classmethod
    def zero(cls, source: VectorSpace, target: VectorSpace, name: str = "zero") -> LinearMap:
        """Return the map that takes everything to 0."""
        return cls.from_entries(source, target, lambda *_: as_expr(0), name, exact=True)

    # combining

    def at(self, inputs: Sequence[IndexTerm], outputs: Sequence[IndexTerm]) -> Expr:
        """Return the entry at the given terms, one for each leg of the carriers."""
        return self.entries()[(*inputs, *outputs)]

    def _names(self) -> list[str]:
        return [used.name for used in tensors_in(self.entries())]

    def __matmul__(self, other: LinearMap) -> LinearMap:
        """Return the tensor product: ``(f @ g)(x (x) y) = f(x) (x) g(y)``."""
        for factor in (self, as_linear(other)):
            factor.check()
        first, second = self.entries(), other.entries()
        cut, split = len(carrier(self.source)), len(carrier(self.target))

        def entries(i: Terms, o: Terms, _: Names) -> Expr:
            return mul(first[(*i[:cut], *o[:split])], second[(*i[cut:], *o[split:])])

        return LinearMap.from_entries(
            TensorProduct((self.source, other.source)),
            TensorProduct((self.target, other.target)),
            entries,
            self.value.name,
            taken=self._names() + other._names(),
            exact=True,
        )

    @property
    def dual(self) -> LinearMap:
        """The dual map, from the dual of the target to the dual of the source."""
        return self._turned(self.source.dual, self.target.dual)

    @property
    def adjoint(self) -> LinearMap:
        """The adjoint, from the target to the source.

        Raises
        ------
        SpaceMismatch
            If one of them has no metric.
        """
        for space in (self.source, self.target):
            if space.metric is None:
                raise SpaceMismatch(
                    f"{self} has no adjoint: {space} is a bare space",
                    remedy="use .dual, or declare the space with its Euclidean metric",
                    spaces=(space,),
                )
        return self._turned(self.source, self.target)

    def _turned(self, source: VectorSpace, target: VectorSpace) -> LinearMap:
        own = self.entries()

        def entries(i: Terms, o: Terms, _: Names) -> Expr:
            return own[(*o, *i)]

        return LinearMap.from_entries(target, source, entries, self.value.name, taken=self._names(), exact=True)

    # traces

    def trace(self) -> Definition:
        """Return the trace of a map from a space to itself, a scalar.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "n")
        >>> print(LinearMap.generic("f", V, V).trace())
        trace[] = sum(i2: f[i2,i2])
        """
        if self.source != self.target:
            raise SpaceMismatch(
                f"{self} has no trace: its source is not its target",
                remedy="take the trace of a map from a space to itself, or a partial trace",
                spaces=(self.source, self.target),
            )
        own = self.entries()
        names = Names(names_in(own))
        inner = names.indices("i", carrier(self.source))
        found = without_deltas(define((), bind(inner, own[(*inner, *inner)]), "trace"))
        assert isinstance(found, Definition)
        return found

    def partial_trace(self, source: int, target: int) -> LinearMap:
        """Return the map with a factor of the source traced against one of the target.

        Parameters
        ----------
        source, target : int
            Positions of two equal factors, counted from 0 in the products that the spaces are, brackets dissolved.

        Raises
        ------
        SpaceMismatch
            If there are no such factors, or they differ.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
        >>> print(LinearMap.generic("f", V @ W, V @ W).partial_trace(1, 1))
        f : V -> V
        """
        ins, outs = factors(self.source), factors(self.target)
        chosen = [spaces[at] if at in range(len(spaces)) else None for spaces, at in ((ins, source), (outs, target))]
        if chosen[0] is None or chosen[0] != chosen[1]:
            raise SpaceMismatch(
                f"factor {source} of {self.source} is {chosen[0] or 'none'}, "
                f"factor {target} of {self.target} is {chosen[1] or 'none'}",
                remedy="name equal factors, counted from 0",
                spaces=(self.source, self.target),
            )
        own = self.entries()
        rest_in, rest_out = [*ins[:source], *ins[source + 1 :]], [*outs[:target], *outs[target + 1 :]]
        before = sum(len(carrier(space)) for space in ins[:source])
        after = sum(len(carrier(space)) for space in outs[:target])

        def entries(i: Terms, o: Terms, names: Names) -> Expr:
            traced = names.indices("r", carrier(ins[source]))
            terms = (*i[:before], *traced, *i[before:], *o[:after], *traced, *o[after:])
            return bind(traced, own[terms])

        return LinearMap.from_entries(
            product_of(rest_in), product_of(rest_out), entries, self.value.name, taken=self._names(), exact=True
        )

    # blocks and matrices

    def blocks(self) -> tuple[tuple[LinearMap, ...], ...]:
        """Return the matrix of the maps from each summand of the source (rows) to each summand of the target.

        A space that is no direct sum is its own one summand.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
        >>> for row in LinearMap.generic("f", V + W, W).blocks():
        ...     print(*row)
        f_0_0 : V -> W
        f_1_0 : W -> W
        """
        rows, columns = len(summands(self.source)), len(summands(self.target))
        return tuple(tuple(self._block(j, k) for k in range(columns)) for j in range(rows))

    def _block(self, row: int, column: int) -> LinearMap:
        own, source, target = self.entries(), self.source, self.target

        def reached(
            space: VectorSpace, position: int, terms: Terms, names: Names
        ) -> tuple[Terms, Callable[[Expr], Expr]]:
            if not isinstance(space, DirectSum):
                return terms, lambda inner: inner
            inside, term, summed = summand(space, position, names)
            return (term,), lambda inner: bind(summed, mul(identity(inside, terms), inner))

        def entries(i: Terms, o: Terms, names: Names) -> Expr:
            (ins, around), (outs, about) = reached(source, row, i, names), reached(target, column, o, names)
            return around(about(own[(*ins, *outs)]))

        name = f"{self.value.name}_{row}_{column}"
        parts = summands(source)[row], summands(target)[column]
        return LinearMap.from_entries(*parts, entries, name, taken=self._names(), exact=True)

    def matrix(self, sizes: Mapping[str, int] | None = None, **arrays: Any) -> Any:
        """Return the matrix at given arrays, over orthonormal bases: one row for each basis vector of the target.

        Powers have the basis of `tensoralg.universal.basis`; the bases of products and sums are in lexicographic order.

        Parameters
        ----------
        sizes : mapping of str to int, optional
            Sizes that no array tells.
        **arrays
            The value of every tensor in the entries.

        Returns
        -------
        sympy.ImmutableMatrix
            With exact entries, square roots included.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "n")
        >>> LinearMap.generic("f", V, V).matrix(f=[[1, 2], [3, 4]])
        Matrix([
        [1, 3],
        [2, 4]])
        """
        return matrix_of(self, sizes, arrays)


def as_linear(value: object) -> LinearMap:
    """Return `value`, which has to be a linear map.

    Raises
    ------
    InvalidExpression
        If it is none.
    """
    found = as_map(value)
    if not isinstance(found, LinearMap):
        raise InvalidExpression(
            f"{found} is not a LinearMap", remedy="factor it through the tensor product of its sources", value=value
        )
    return found


def reread(f: MultilinearMap, source: VectorSpace, target: VectorSpace, *, outputs: bool = False) -> LinearMap:
    """Return the linear map between other spaces that has the entries of a map, leg by leg.

    Parameters
    ----------
    f : MultilinearMap
        Its entries have to be those of a map between the spaces, so that projecting these would change nothing.
    source, target : VectorSpace
    outputs : bool
        Whether the legs of the value keep their names, which needs the target to be that of f.
    """
    own = f.entries()
    return LinearMap.from_entries(
        source,
        target,
        lambda i, o, _: own[(*i, *o)],
        f.value.name,
        taken=[used.name for used in tensors_in(own)],
        outputs=f.value.legs if outputs else None,
        exact=True,
    )


def factors(space: VectorSpace) -> list[VectorSpace]:
    """Return the factors of a product, brackets dissolved and units left out; a first power is its base."""
    if isinstance(space, Power) and space.k < 2:
        return factors(space.base) * space.k
    if isinstance(space, TensorProduct):
        return [found for factor in space.factors for found in factors(factor)]
    return [] if space == Unit else [space]


def summands(space: VectorSpace) -> tuple[VectorSpace, ...]:
    """Return the summands of a direct sum; any other space is its own one."""
    return space.summands if isinstance(space, DirectSum) else (space,)
