"""Independent parts of a term, refined by themselves before the term is.

The chains of a term are the quasi-shuffles of the chains of its parts, so their number is a product; most of what
cancels cancels before.  A *part* is what bound variables tie together.  A part of entries and masks is refined at its
own variables alone, where blocks without factors are counted (``sum(s: le[s,t])`` is the position of t), and like
terms are collected; only what is left is refined as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tensoralg.normal.combination import Combination
from tensoralg.normal.order import masked
from tensoralg.normal.terms import Known, Term, variables

SIMPLE = ("t", "m", "d", "s", "p")  # kinds of atoms for which the order of other variables does not matter


class Parts(Combination):
    """Collects like terms before the order is refined as a whole."""

    def prepared(self, terms: Sequence[Term], known: Known | None) -> list[Term]:
        """Return a sum with its independent parts counted and like terms collected.

        Parameters
        ----------
        terms : sequence of Term
        known : mapping of str to tuple, optional
            The order of the open variables, if it is fixed.
        """
        # certificates spell functions that are normalised already, so that their variables must keep their names
        done = any(atom[0] in ("E", "f") for term in terms for atom in term.powers)
        if not self.setting.refined or len(terms) < 2 or done:
            return list(terms)
        flat = [done for term in terms for piece in self.eliminate(term.copy()) for done in self.rewritten(piece)]
        return self.merged([done for term in flat for done in self._counted(term, known)])

    def _counted(self, term: Term, known: Known | None) -> list[Term]:
        return self.product([self._refined_alone(part, known) for part in parts(term)])

    def _refined_alone(self, part: Term, known: Known | None) -> list[Term]:
        """Return a part as a sum over the chains of its own variables, written as masks; others stay as they are."""
        order = self._order_of(part, known)
        if order is None:
            return [part]
        outer, self.opened = self.opened, order
        try:
            return [masked(done) for chain in self.refine(part, known and order) for done in self.settle(chain)]
        finally:
            self.opened = outer

    def _order_of(self, part: Term, known: Known | None) -> dict[str, tuple[str, ...]] | None:
        """Return the open variables to which masks relate those of a part, by space; None if it is to stay."""
        refined = self.setting.refined
        if any(atom[0] not in SIMPLE for atom in part.powers) or not any(s in refined for s in part.bound.values()):
            return None
        related = {v for atom in part.powers if atom[0] in "md" for v in variables(atom) if v not in part.bound}
        around = self.opened if known is None else known
        order = {space: tuple(v for v in around.get(space, ()) if v in related) for space in refined}
        settled = {v for vs in order.values() for v in vs}
        return order if all(v in settled for v in related if self.space_of[v] in refined) else None


def parts(term: Term) -> Iterator[Term]:
    """Yield factors whose product is a term, none sharing a bound variable with another; the number comes first.

    Examples
    --------
    >>> whole = Term(powers={("t", "x", 1): 1, ("t", "y", 2): 1, ("t", "z", "i"): 1}, bound={1: "V", 2: "V"})
    >>> [sorted(part.powers) for part in parts(whole)]
    [[('t', 'z', 'i')], [('t', 'x', 1)], [('t', 'y', 2)]]
    """
    groups: list[tuple[set[object], Term]] = [({v}, Term(bound={v: space})) for v, space in term.bound.items()]
    first = Term(term.coefficient)
    for atom, power in term.powers.items():
        touched = set(variables(atom))
        joined = [group for group in groups if group[0] & touched]
        if not joined:
            first.times(atom, power)
            continue
        own, part = joined[0]
        part.times(atom, power)
        for other, piece in joined[1:]:
            own |= other
            part.bound.update(piece.bound)
            part.powers.update(piece.powers)
        gone = {id(group) for group in joined[1:]}
        groups = [group for group in groups if id(group) not in gone]
    yield first
    yield from (part for _, part in groups)
