"""The order of the times of a masked sum, split until every time has one next one.

The masks of a monomial order its times.  A sum over the times below another one is a *prefix sum*, which a
stream carries along, if the times form a forest: every time has one *cover*, the next time that it must not
exceed.  Where a time has two covers that are not compared, the sum is split in two, ``a <= b`` or ``b < a``; where
``u < v`` must hold and only ``u <= c <= v`` does, in ``c < v`` and ``c = v``.  Both are identities of masks, and
both end, since each adds a comparison or removes a time.  (``u < c`` and ``u = c`` would do as well, but need two
states at c: one with the token at u before it, one with that at u = c.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from tensoralg.errors import NotStreamable
from tensoralg.expr.nodes import Decay, Delta, Expr, Mask, Near, mul
from tensoralg.spaces import Index, VectorSpace
from tensoralg.stream.monomials import Monomial, relates, runs

Order = dict[tuple[Index, Index], bool]


@dataclass(frozen=True)
class Cover:
    """The next time above a time.

    Attributes
    ----------
    time : Index
        The next time.
    strict : bool
        Whether it is later, or not earlier.
    width : Expr or None
        The width of a window that it has to lie in.
    """

    time: Index
    strict: bool
    width: Expr | None = None


@dataclass(frozen=True)
class Forest:
    """A monomial whose times form a forest under its last one.

    Attributes
    ----------
    monomial : Monomial
        Its factors without masks and windows; decays are kept.
    covers : mapping of Index to Cover
        The cover of every summed time.
    """

    monomial: Monomial
    covers: Mapping[Index, Cover]

    def path(self, earlier: Index, later: Index) -> list[Index]:
        """Return the times from an earlier to a later one, each the cover of the one before."""
        found = [earlier]
        while found[-1] != later:
            found.append(self.covers[found[-1]].time)
        return found


def forests(monomial: Monomial, now: Index) -> Iterator[Forest]:
    """Yield forests whose sum is the sum of a monomial at the time `now`.

    Raises
    ------
    NotStreamable
        If a time is not below `now`, or a window cannot be kept.
    """
    order = closure(monomial, now.space)
    if any(strict and one == other for (one, other), strict in order.items()):
        return
    for pair in order:
        if pair[0] != pair[1] and pair[::-1] in order:
            yield from forests(_identified(monomial, *pair, now), now)
            return
    for time in monomial.times:
        if (time, now) not in order:
            raise NotStreamable(
                f"the definition is not causal: nothing keeps {time} at or before {now} in {mul(*monomial.factors)}",
                remedy=f"mask it: le[{time},{now}] (or le[{now},{time}] everywhere: from the last token on)",
                factor=time,
                causal=False,
            )
    for time in monomial.times:
        above = [other for (low, other) in order if low == time]
        for one, other in combinations(above, 2):
            if (one, other) not in order and (other, one) not in order:
                yield from forests(_masked(monomial, False, one, other), now)
                yield from forests(_masked(monomial, True, other, one), now)
                return
        cover = next(c for c in above if all(c == other or (c, other) in order for other in above))
        if not order[time, cover]:
            for top in above:
                if order[time, top] and not order.get((cover, top), True):
                    yield from forests(_masked(monomial, True, cover, top), now)
                    yield from forests(_identified(monomial, cover, top, now), now)
                    return
    yield _forest(monomial, order, now.space)


def closure(monomial: Monomial, clock: VectorSpace) -> Order:
    """Return every pair of times that the relations of a monomial order, with whether they do so strictly."""
    order: Order = {}
    for factor in monomial.factors:
        for low, high, strict in _comparisons(factor) if relates(factor, clock) else ():
            if low != high or strict:
                order[low, high] = order.get((low, high), False) or strict
    times = list(dict.fromkeys(time for pair in order for time in pair))
    for middle in times:
        for low in times:
            for high in times:
                if (low, middle) in order and (middle, high) in order:
                    strict = order[low, middle] or order[middle, high]
                    if low != high or strict:
                        order[low, high] = order.get((low, high), False) or strict
    return order


def _comparisons(factor: Expr) -> Iterator[tuple[Index, Index, bool]]:
    if isinstance(factor, Mask):
        yield _index(factor.left, factor), _index(factor.right, factor), factor.strict
    elif isinstance(factor, Near):
        yield _index(factor.left, factor), _index(factor.right, factor), False
    elif isinstance(factor, Delta):
        left, right = _index(factor.left, factor), _index(factor.right, factor)
        yield left, right, False
        yield right, left, False
    elif isinstance(factor, Decay):
        yield _index(factor.earlier, factor), _index(factor.later, factor), False


def _index(term: object, factor: Expr) -> Index:
    if isinstance(term, Index):
        return term
    if isinstance(term, str):
        raise NotStreamable(f"{factor} runs from or to a formal end of time", remedy="use an index", factor=factor)
    raise NotStreamable(
        f"{factor} addresses a part of time, {term}", remedy="use one index over the whole of time", factor=factor
    )


def _masked(monomial: Monomial, strict: bool, low: Index, high: Index) -> Monomial:
    mask = Mask(strict, low, high)
    return replace(monomial, factors=(*monomial.factors, mask))


def _identified(monomial: Monomial, one: Index, other: Index, now: Index) -> Monomial:
    """Return the monomial with two times made one; `now` stays."""
    gone, kept = (other, one) if one == now else (one, other)
    same = monomial.at({gone: kept})
    return replace(same, factors=tuple(f for f in same.factors if not (relates(f, now.space) and _holds(f))))


def _holds(factor: Expr) -> bool:
    """Whether a relation compares a time with itself and holds."""
    if isinstance(factor, Near | Delta) or (isinstance(factor, Mask) and not factor.strict):
        return factor.left == factor.right
    return False


def _forest(monomial: Monomial, order: Order, clock: VectorSpace) -> Forest:
    widths = {(f.left, f.right): f.width for f in monomial.factors if isinstance(f, Near) and relates(f, clock)}
    covers: dict[Index, Cover] = {}
    for time in monomial.times:
        above = [other for (low, other) in order if low == time]
        cover = next(c for c in above if all(c == other or (c, other) in order for other in above))
        covers[time] = Cover(cover, order[time, cover], widths.pop((time, cover), None))
    for (low, high), width in widths.items():
        raise NotStreamable(
            f"the window near[{low},{high},{width}] reaches across the time {covers[low].time}",  # type: ignore[index]
            remedy="keep every time to a window of the next one above it",
        )
    kept = tuple(f for f in monomial.factors if runs(f, clock) or not relates(f, clock))
    return Forest(replace(monomial, factors=kept), covers)
