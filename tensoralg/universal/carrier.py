"""How a space is held: by legs, and by the projection of what they hold onto the space.

A vector of a space is held by a tensor with one leg for each tensor factor, where factors are counted through brackets
and the ground field has none: associators and unitors change nothing that is held.  A direct sum is one leg.  The
powers are images of projections of ``V ** k``,

    Sym^k V = image of 1/k! sum(s: s),     Alt^k V = image of 1/k! sum(s: sign(s) s),

over the permutations s of the k factors (W. Fulton, J. Harris, *Representation Theory*, app. B; in characteristic 0 the
image of the projection is isomorphic to the quotient by which the power is usually defined).  So every space X is held
as a pair of legs and a projection P_X, and of a map f of what is held only ``P_Y f P_X : X -> Y`` counts: these are the
objects and maps of the Karoubi envelope (M. Karoubi, *K-Theory*, I.6).  The identity of X is P_X.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product
from math import factorial

from tensoralg.expr import Expr, delta
from tensoralg.expr.nodes import add, as_expr, bind, mul
from tensoralg.expr.rewrite import fresh
from tensoralg.spaces import (
    AlternatingPower,
    DirectSum,
    Fused,
    Index,
    IndexTerm,
    Injected,
    SymmetricPower,
    TensorProduct,
    Unit,
    UnitSpace,
    VectorSpace,
)

Legs = tuple[VectorSpace, ...]
Terms = tuple[IndexTerm, ...]
Power = SymmetricPower | AlternatingPower


def carrier(space: VectorSpace) -> Legs:
    """Return the legs of a tensor that holds a vector of a space.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
    >>> [str(leg) for leg in carrier(W @ (V @ ta.Unit) @ ta.Alt(W, 2) @ (ta.Sym(V, 2) + W))]
    ['W', 'V', 'W', 'W', 'V @ V + W']
    """
    if isinstance(space, UnitSpace):
        return ()
    if isinstance(space, TensorProduct):
        return tuple(leg for factor in space.factors for leg in carrier(factor))
    if isinstance(space, DirectSum):
        return (DirectSum(tuple(product_of(carrier(summand)) for summand in space.summands)),)
    if isinstance(space, Power):
        return carrier(space.base) * space.k
    return (space,)


def product_of(spaces: Sequence[VectorSpace]) -> VectorSpace:
    """Return the product of any number of spaces, bracketed from the left.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
    >>> print(product_of(()), "|", product_of((V,)), "|", product_of((V, W, V)))
    1 | V | V @ W @ V
    """
    return TensorProduct(tuple(spaces)) if len(spaces) > 1 else spaces[0] if spaces else Unit


def has_powers(space: VectorSpace) -> bool:
    """Whether what is held has to be projected: whether a power of two or more factors occurs."""
    if isinstance(space, Power):
        return space.k > 1 or (space.k == 1 and has_powers(space.base))
    parts = space.factors if isinstance(space, TensorProduct) else getattr(space, "summands", ())
    return any(map(has_powers, parts))


class Names:
    """A supply of indices with new names."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def index(self, stem: str, space: VectorSpace) -> Index:
        """Return an index over a space, called by the stem and a number."""
        found = Index(fresh(f"{stem}1", self.taken), space)
        self.taken.add(found.name)
        return found

    def indices(self, stem: str, spaces: Iterable[VectorSpace]) -> tuple[Index, ...]:
        """Return one index over each space."""
        return tuple(self.index(stem, space) for space in spaces)


def joined(terms: Sequence[IndexTerm], names: Names) -> tuple[IndexTerm, tuple[Index, ...]]:
    """Return one term over the product of some legs, and an index to be summed if there are no legs."""
    if not terms:
        line = names.index("u", Unit)
        return line, (line,)
    return (Fused(tuple(terms)) if len(terms) > 1 else terms[0]), ()


def summand(space: DirectSum, position: int, names: Names) -> tuple[Terms, IndexTerm, tuple[Index, ...]]:
    """Return new indices at the legs of a summand, the term of the sum that they make, and what is to be summed."""
    held = carrier(space)[0]
    assert isinstance(held, DirectSum)
    terms = names.indices("a", carrier(space.summands[position]))
    term, line = joined(terms, names)
    return terms, Injected(term, position, held), (*terms, *line)


def identity(rows: Sequence[IndexTerm], columns: Sequence[IndexTerm]) -> Expr:
    """Return the product of the deltas of two lists of terms."""
    return mul(*(delta[row, column] for row, column in zip(rows, columns, strict=True)))


def projection(space: VectorSpace, rows: Terms, columns: Terms, names: Names) -> Expr:
    """Return the entries of the projection P_X of what holds X onto X.

    Parameters
    ----------
    space : VectorSpace
        X.
    rows, columns : tuple of IndexTerm
        One term at each leg of the carrier of X.
    names : Names
        For indices that are summed.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> i, j, k, l = V.indices("i j k l")
    >>> print(projection(ta.Alt(V, 2), (i, j), (k, l), Names()))
    1/2*(delta[i,k]*delta[j,l] - delta[i,l]*delta[j,k])
    """
    if not has_powers(space):
        return identity(rows, columns)
    if isinstance(space, TensorProduct):
        return mul(*(projection(*part, names) for part in _by_factor(space.factors, rows, columns)))
    if isinstance(space, DirectSum):
        return add(*(_summand_projection(space, k, rows[0], columns[0], names) for k in range(len(space.summands))))
    assert isinstance(space, Power)
    parts = list(_by_factor((space.base,) * space.k, rows, columns))
    terms = []
    for places in permutations(range(space.k)):
        sign = _sign(places) if isinstance(space, AlternatingPower) else 1
        moved = (projection(space.base, part[1], parts[k][2], names) for part, k in zip(parts, places, strict=True))
        terms.append(mul(as_expr(sign), *moved))
    return mul(as_expr(1) / factorial(space.k), add(*terms))


def _by_factor(
    factors: Sequence[VectorSpace], rows: Terms, columns: Terms
) -> Iterator[tuple[VectorSpace, Terms, Terms]]:
    start = 0
    for factor in factors:
        stop = start + len(carrier(factor))
        yield factor, rows[start:stop], columns[start:stop]
        start = stop


def _summand_projection(space: DirectSum, position: int, row: IndexTerm, column: IndexTerm, names: Names) -> Expr:
    above, upper, summed = summand(space, position, names)
    below, lower, more = summand(space, position, names)
    inner = projection(space.summands[position], above, below, names)
    return bind((*summed, *more), mul(delta[row, upper], inner, delta[lower, column]))


def _sign(places: Sequence[int]) -> int:
    return -1 if sum(places[a] > places[b] for b in range(len(places)) for a in range(b)) % 2 else 1


def spellings(space: VectorSpace, names: Names) -> Iterator[tuple[IndexTerm, Terms, tuple[Index, ...]]]:
    """Yield the terms that address a leg over a space as it is written, and what they are at the legs of its carrier.

    The legs of a tensor may be products, as in ``tensor("A", (U @ (V @ W),))``; its carrier has three legs.

    Yields
    ------
    written : IndexTerm
    held : tuple of IndexTerm
    summed : tuple of Index
        The indices of both.
    """
    if carrier(space) == (space,):
        own = names.index("a", space)
        yield own, (own,), (own,)
    elif isinstance(space, UnitSpace):
        line = names.index("u", Unit)
        yield line, (), (line,)
    elif isinstance(space, TensorProduct):
        for parts in product(*(list(spellings(factor, names)) for factor in space.factors)):
            written = Fused(tuple(part[0] for part in parts))
            yield written, tuple(t for part in parts for t in part[1]), tuple(i for part in parts for i in part[2])
    else:
        assert isinstance(space, DirectSum)
        target = carrier(space)[0]
        assert isinstance(target, DirectSum)
        for position, part in enumerate(space.summands):
            for inner, terms, summed in spellings(part, names):
                term, loose = joined(terms, names)
                yield Injected(inner, position, space), (Injected(term, position, target),), (*summed, *loose)
