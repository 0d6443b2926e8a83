"""Masked sums over time as sums of monomials whose factors see one token each.

A *monomial* is a product of factors under a sum over time indices and feature indices.  Its factors are relations
between two times (masks, windows, decays, deltas), terms that depend on the token at one time, and terms that
depend on no time.  Terms are multiplied out only where that separates times: a term that sees one token stays
whole, ``exp(x[t] + y[s])`` becomes ``exp(x[t])*exp(y[s])``, and any other factor that couples two times is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product

from tensoralg.errors import NotStreamable
from tensoralg.expr.nodes import Apply, Bind, Decay, Delta, Entry, Expr, Mask, Near, Pow, bind, mul, power
from tensoralg.expr.rewrite import distinct_nodes, fresh, substitute
from tensoralg.spaces import Index, Space, VectorSpace, atoms

MOST_MONOMIALS = 256


def runs(factor: Expr, clock: VectorSpace) -> bool:
    """Whether a factor is a decay over time; one over another ordered space is a factor like any other."""
    return isinstance(factor, Decay) and factor.clock == clock


def relates(factor: Expr, clock: VectorSpace) -> bool:
    """Whether a factor is a relation between times."""
    if isinstance(factor, Decay):
        return runs(factor, clock)
    return isinstance(factor, Mask | Near | Delta) and any(
        index.space == clock for term in factor.index_terms() for index in atoms(term)
    )


@dataclass(frozen=True)
class Monomial:
    """A product of factors under a sum.

    Attributes
    ----------
    times : tuple of Index
        The summed time indices.
    features : tuple of Index
        The other summed indices.
    factors : tuple of Expr
        Relations between times, and terms that see at most one time.
    """

    times: tuple[Index, ...] = ()
    features: tuple[Index, ...] = ()
    factors: tuple[Expr, ...] = ()

    def __mul__(self, other: Monomial) -> Monomial:
        return Monomial(self.times + other.times, self.features + other.features, self.factors + other.factors)

    def at(self, mapping: dict[Index, Index]) -> Monomial:
        """Return the monomial with summed times replaced by others."""
        times = tuple(time for time in self.times if time not in mapping)
        return replace(self, times=times, factors=tuple(substitute(f, dict(mapping)) for f in self.factors))


class Expansion:
    """Expands terms into monomials over one ordered space.

    Parameters
    ----------
    clock : Space
        The space of times.
    taken : iterable of str
        Names that no new index gets.
    """

    def __init__(self, clock: Space, taken: set[str]) -> None:
        self.clock, self.taken = clock, set(taken)

    def times(self, expr: Expr) -> tuple[Index, ...]:
        """Return the free time indices of a term."""
        return tuple(index for index in expr._free if index.space == self.clock)

    def sums_time(self, expr: Expr) -> bool:
        """Whether a term holds a sum over time."""
        return any(index.space == self.clock for node in distinct_nodes(expr) for index in getattr(node, "indices", ()))

    def sees_one_token(self, expr: Expr) -> bool:
        """Whether the value of a term depends on the token at one time at most."""
        spans = any(runs(node, self.clock) for node in distinct_nodes(expr))  # perhaps to an end of time
        return len(self.times(expr)) < 2 and not spans and not self.sums_time(expr)

    def expand(self, expr: Expr) -> list[Monomial]:
        """Return a term as a sum of monomials.

        Raises
        ------
        NotStreamable
            If a factor couples two times otherwise than by a mask, a window, a decay or a product.
        """
        if self.sees_one_token(expr) or relates(expr, self.clock):
            return [Monomial(factors=(expr,))]
        parts = list(islice(self._parts(expr), MOST_MONOMIALS + 1))
        if len(parts) > MOST_MONOMIALS:
            raise NotStreamable(
                f"{expr} multiplies out to more than {MOST_MONOMIALS} masked sums", remedy="split it into definitions"
            )
        return parts

    def _parts(self, expr: Expr) -> Iterator[Monomial]:
        if expr.kind == "add":
            for term in expr.children():
                yield from self.expand(term)
        elif expr.kind == "mul":
            yield from self._product(expr.children())
        elif isinstance(expr, Bind):
            times, features, body = self._renamed(expr)
            for part in self.expand(body):
                yield Monomial(times, features) * part
        elif isinstance(expr, Pow) and expr.exponent > 0:
            yield from self._product((expr.base,) * expr.exponent)
        else:
            yield self._function(expr)

    def _product(self, factors: tuple[Expr, ...]) -> Iterator[Monomial]:
        for parts in product(*(self.expand(factor) for factor in factors)):
            total = Monomial()
            for part in parts:
                total = total * part
            yield total

    def _renamed(self, expr: Bind) -> tuple[tuple[Index, ...], tuple[Index, ...], Expr]:
        """Return the times and features that a sum binds, and its body; every name is used once."""
        to: dict[Index, Index] = {}
        for index in expr.indices:
            to[index] = Index(fresh(index.name, self.taken), index.space)
            self.taken.add(to[index].name)
        body = substitute(expr.summand, {old: new for old, new in to.items() if old != new})
        times = tuple(index for index in to.values() if index.space == self.clock)
        return times, tuple(index for index in to.values() if index.space != self.clock), body

    def _function(self, expr: Expr) -> Monomial:
        """Return a function of several times as a product of functions of one each."""
        if len(self.times(expr)) < 2:
            return Monomial(factors=(expr,))
        if isinstance(expr, Apply) and expr.function == "exp":
            parts = [Apply("exp", term) for term in self._separated(expr.argument, expr)]
            return Monomial(factors=tuple(parts))
        if isinstance(expr, Pow) and expr.base.kind == "mul":
            (total,) = self._product(tuple(power(factor, expr.exponent) for factor in expr.base.children()))
            return total
        raise self.coupled(expr)

    def _separated(self, argument: Expr, whole: Expr) -> Iterator[Expr]:
        """Yield the parts of an explicit sum that see one time each."""
        groups: dict[tuple[Index, ...], list[Expr]] = {}
        for part in self.expand(argument):
            term = bind(part.features, mul(*part.factors))
            if part.times or len(self.times(term)) > 1:
                raise self.coupled(whole)
            groups.setdefault(self.times(term), []).append(term)
        for terms in groups.values():
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            yield total

    def coupled(self, factor: Expr) -> NotStreamable:
        """Return the error that a factor couples two times."""
        names = [index.name for index in self.times(factor)]
        if isinstance(factor, Entry):
            what = f"the tensor {factor.tensor.name} has an entry for every pair of times"
        else:
            what = "it is no sum of products of functions of one of them each"
        return NotStreamable(
            f"{factor} couples the times {' and '.join(names)} non-separably: {what}",
            remedy="write it as a sum of products of a factor at each time (a feature map), or keep it to a window",
            factor=factor,
        )
