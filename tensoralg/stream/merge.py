"""Merging segments: statistics of a segment of time, and how those of two make those of both.

Cut a segment in two, (u, w] = (u, v] + (v, w].  Every time of a monomial falls into the left or the right part; masks
within a part stay, from left to right they hold, from right to left they vanish; a decay across the cut is one up to
the end of the left part times one from the start of the right part.  So the monomial is a sum of products of a left
and a right monomial (Chen's identity for iterated sums: K.-T. Chen, *Iterated path integrals*, Bull. AMS 83, 1977),
each of which is a product over its connected parts.  These parts are the *statistics*: those of the states, and
those that their cuts need in turn; there are finitely many, since each is a convex part of the order of times of a
state.  Every merge is proved for all u <= v <= w.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import sympy

from tensoralg.errors import NotStreamable
from tensoralg.expr.nodes import Decay, Definition, Delta, Entry, Expr, Mask, Near, add, bind, mul
from tensoralg.expr.rewrite import fresh, names_in
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Index, Space
from tensoralg.stream.canonical import Registry, canonical
from tensoralg.stream.laws import Law
from tensoralg.stream.monomials import Expansion, Monomial, runs
from tensoralg.stream.system import LEFT, RIGHT, End, Segment, System, replaced_tensors

STARTS, ENDS = "-", "+"  # of time
MOST_STATISTICS = 128


@dataclass(frozen=True)
class Statistic:
    """A sum over a segment: ``"-"`` is its start, ``"+"`` its end.

    Attributes
    ----------
    name : str
    legs : tuple of Index
    monomials : tuple of Monomial
        What is summed.
    clock : Space
        The space of times.
    """

    name: str
    legs: tuple[Index, ...]
    monomials: tuple[Monomial, ...]
    clock: Space

    @property
    def size(self) -> Any:
        """How many numbers it has."""
        return sympy.Mul(*(leg.space.dimension for leg in self.legs))

    def over(self, low: End, high: End) -> Expr:
        """Return the statistic of the segment after `low` up to `high`, as a term over its legs."""
        return add(*(_between(monomial, low, high, self.clock) for monomial in self.monomials))

    def key(self, legs: Sequence[Index]) -> Definition:
        """Return what two statistics have in common that are the same, their legs taken in an order."""
        return canonical(self.over("-", "+"), legs)

    @property
    def definition(self) -> Definition:
        """The statistic of all of time."""
        return Definition(self.legs, self.over("-", "+"), self.name)  # type: ignore[no-any-return]

    def of(self, side: str) -> Entry:
        """Return the entry of the tensor that stands for it on one side of a cut."""
        return Entry(Tensor(side + self.name, tuple(leg.space for leg in self.legs)), self.legs)  # type: ignore[no-any-return]


def _between(monomial: Monomial, low: End, high: End, clock: Space) -> Expr:
    masks: list[Expr] = [Mask(True, low, time) for time in monomial.times if isinstance(low, Index)]
    masks += [Mask(False, time, high) for time in monomial.times if isinstance(high, Index)]
    factors = [_ended(factor, low, high, clock) for factor in monomial.factors]
    return bind((*monomial.times, *monomial.features), mul(*masks, *factors))


def _ended(factor: Expr, low: End, high: End, clock: Space) -> Expr:
    if not (isinstance(factor, Decay) and runs(factor, clock)):
        return factor
    later = high if factor.later == "+" else factor.later
    earlier = low if factor.earlier == "-" else factor.earlier
    return Decay(factor.tensor, later, earlier, factor.args)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Product:
    """The times and factors on the left and the right, with what depends on no token."""

    times: Mapping[str, tuple[Index, ...]]
    factors: Mapping[str, tuple[Expr, ...]]
    still: tuple[Expr, ...]
    links: tuple[Index, ...]


def cuts(monomial: Monomial, clock: Space, taken: set[str]) -> Iterator[Product]:
    """Yield the products whose sum is a monomial over a segment in two parts.

    Raises
    ------
    NotStreamable
        If a window reaches across the cut, or a function of past tokens does.
    """
    for sides in product((LEFT, RIGHT), repeat=len(monomial.times)):
        found = _cut(monomial, dict(zip(monomial.times, sides, strict=True)), clock, taken)
        if found is not None:
            yield found


def _cut(monomial: Monomial, side: Mapping[Index, str], clock: Space, taken: set[str]) -> Product | None:
    parts: dict[str, list[Expr]] = {LEFT: [], RIGHT: [], "": []}
    links: list[Index] = []
    for factor in monomial.factors:
        if isinstance(factor, Decay) and runs(factor, clock):
            if not _cut_decay(factor, side, parts, links, taken):
                return None
            continue
        seen = list(dict.fromkeys(side[i] for i in factor._free if i in side))
        if len(seen) < 2:
            parts[seen[0] if seen else ""].append(factor)
        elif isinstance(factor, Near):
            raise NotStreamable(f"the window {factor} has no merge of constant size", remedy="stream it token by token")
        elif isinstance(factor, Delta) or side[factor.left] == RIGHT:  # type: ignore[attr-defined]
            return None
    times = {one: tuple(time for time in monomial.times if side[time] == one) for one in (LEFT, RIGHT)}
    return Product(times, {one: tuple(parts[one]) for one in times}, tuple(parts[""]), tuple(links))


def _cut_decay(
    factor: Decay, side: Mapping[Index, str], parts: dict[str, list[Expr]], links: list[Index], taken: set[str]
) -> bool:
    """Add a decay to the parts of a cut; return whether it is not 0."""
    later, earlier = factor.later, factor.earlier
    top = RIGHT if isinstance(later, str) else side[later]  # type: ignore[index]
    low = LEFT if isinstance(earlier, str) else side[earlier]  # type: ignore[index]
    if top == low:
        parts[top].append(factor)
        return True
    if top == LEFT:
        return False
    args = factor.args
    first, second = args, args
    if len(args) == 2:
        link = Index(fresh("h", taken), args[0].space)
        taken.add(link.name)
        links.append(link)
        first, second = (link, args[1]), (args[0], link)
    parts[LEFT].append(Decay(factor.tensor, "+", earlier, first))
    parts[RIGHT].append(Decay(factor.tensor, later, "-", second))
    return True


@dataclass
class Merging:
    """The statistics of a system and their merges.

    Parameters
    ----------
    system : System
        With gates that have a leg over time.
    """

    system: System
    statistics: list[Statistic] = field(default_factory=list)
    known: Registry[Statistic] = field(default_factory=Registry)

    def __post_init__(self) -> None:
        forms = self.system.over(Segment())
        names = {name for state in self.system.states for name in (state.name, *(leg.name for leg in state.legs))}
        names |= {name for out in forms.outputs for name in (*out.tensors, *names_in(out))}
        names |= {name.removeprefix(side) for name in names for side in (LEFT, RIGHT)}
        self.expansion = Expansion(self.system.clock, names)
        self.taken = self.expansion.taken
        for state in self.system.states:
            monomials = tuple(self.expansion.expand(forms.final(state).body))
            if any(self.expansion.sums_time(factor) for monomial in monomials for factor in monomial.factors):
                raise NotStreamable(
                    f"the state {state.name} holds a function of other states, so that segments do not merge",
                    remedy="run it token by token or in chunks",
                )
            self._add(Statistic(state.name, state.legs, monomials, self.system.clock))

    def _add(self, statistic: Statistic) -> None:
        if len(self.statistics) == MOST_STATISTICS:
            raise NotStreamable(f"a merge needs more than {MOST_STATISTICS} statistics", remedy="stream it in chunks")
        self.statistics.append(statistic)
        self.taken.add(statistic.name)
        if len(statistic.monomials) == 1:
            self.known.add(statistic, statistic.legs, statistic.key)

    @cached_property
    def merges(self) -> dict[str, Definition]:
        """The statistics of both segments in those of the left and the right one."""
        made: dict[str, Definition] = {}
        for statistic in self.statistics:  # grows as it is walked
            made[statistic.name] = Definition(statistic.legs, add(*self._terms(statistic)), statistic.name)
        return made

    def _terms(self, statistic: Statistic) -> Iterator[Expr]:
        whole = len(statistic.monomials) > 1
        for k, monomial in enumerate(statistic.monomials):
            for found in cuts(monomial, self.system.clock, self.taken):
                sides = [side for side, times in found.times.items() if times]
                if whole and len(sides) == 1 and not found.links:
                    # what all monomials leave on one side is the statistic of that side
                    if k == 0:
                        others = found.factors[RIGHT] if sides == [LEFT] else ()
                        gates = [self._entry(RIGHT, (), [gate], self._features(gate)) for gate in others]
                        yield mul(*gates, statistic.of(sides[0]))
                else:
                    yield self._product(found, monomial)

    def _features(self, factor: Expr) -> tuple[Index, ...]:
        return tuple(index for index in factor._free if index.space != self.system.clock)

    def _product(self, found: Product, monomial: Monomial) -> Expr:
        """Return a product of statistics of the two sides."""
        bound = (*monomial.features, *found.links)
        groups = [(side, *part) for side in (LEFT, RIGHT) for part in self._components(found, side)]
        factors = list(found.still)
        for k, (side, times, group) in enumerate(groups):
            others = [f for j, (_, _, other) in enumerate(groups) for f in other if j != k] + list(found.still)
            elsewhere = {i for f in others for i in f._free}
            own = dict.fromkeys(i for f in group for i in self._features(f))
            legs = tuple(i for i in own if i in elsewhere or i not in bound)
            factors.append(self._entry(side, times, group, legs))
        term = mul(*factors)
        return bind(tuple(i for i in bound if i in term._free), term)

    def _components(self, found: Product, side: str) -> list[tuple[tuple[Index, ...], list[Expr]]]:
        """Return the times of one side that factors connect, each with its factors; factors of no time one by one."""
        groups: list[tuple[tuple[Index, ...], list[Expr]]] = [((time,), []) for time in found.times[side]]
        for factor in found.factors[side]:
            times, members = self.expansion.times(factor), [factor]
            for group in [g for g in groups if set(g[0]) & set(times)]:
                groups.remove(group)
                times, members = tuple(dict.fromkeys(group[0] + times)), group[1] + members
            groups.append((times, members))
        return groups

    def _entry(self, side: str, times: tuple[Index, ...], group: list[Expr], legs: tuple[Index, ...]) -> Expr:
        """Return the entry of the statistic of connected factors; it is made if there is none."""
        free = dict.fromkeys(i for f in group for i in f._free)
        features = tuple(i for i in free if i.space != self.system.clock and i not in legs)
        made = Statistic("", legs, (Monomial(times, features, tuple(group)),), self.system.clock)
        found = self.known.find(legs, made.key)
        if found is not None:
            statistic, order = found
            symbol = Tensor(side + statistic.name, tuple(leg.space for leg in statistic.legs))
            return Entry(symbol, tuple(legs[k] for k in order))  # type: ignore[no-any-return]
        name = fresh("M1", self.taken)
        self._add(replace(made, name=name))
        return self.statistics[-1].of(side)

    def laws(self) -> Iterator[Law]:
        """Yield that every merge is right, wherever all of time is cut; any segment is all of its own time."""
        cut = Index(fresh("v", self.taken), self.system.clock)
        merges = self.merges
        parts: dict[str, tuple[End, End]] = {LEFT: (STARTS, cut), RIGHT: (cut, ENDS)}
        by = {
            side + s.name: Definition((cut, *s.legs), s.over(*ends), s.name)
            for s in self.statistics
            for side, ends in parts.items()
        }
        for statistic in self.statistics:

            def entry(node: Entry) -> Expr:
                found: Expr = by[node.tensor.name][(cut, *node.args)]
                return found

            legs = (cut, *statistic.legs)
            left = Definition(legs, statistic.over(STARTS, ENDS), statistic.name)
            right = Definition(legs, replaced_tensors(merges[statistic.name].body, by, entry), statistic.name)
            yield Law(f"merge of {statistic.name}", left, right)
