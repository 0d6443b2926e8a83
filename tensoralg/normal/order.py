"""Strict chains of blocks: the quasi-shuffle refinement of sums over an ordered space.

Every assignment of values to ordered variables arranges them in a strict chain of blocks of equal
values, and in exactly one, so a sum over ordered indices is the sum over the chains that its masks
allow (M. E. Hoffman, *Quasi-shuffle products*, J. Algebraic Combin. 2000).

*Gaps.*  A decay runs through the gaps of a chain, whose weight is the product of its gates.  A bound block that
carries exactly the weight g of the gap above it only counts if the gap below weighs g too: b such blocks between
positions p and q give ``binomial(q - p - 1, b)``, with p = 0 before the first kept block and q = n + 1 after
the last.  If the gap below weighs h, the resolvent identity rewrites the block: (g at r) is (h at r) plus the
chain without r whose whole gap weighs g, minus that whose whole gap weighs h; for between positions u and w,
``h^(u,r) g^[r,w)`` at the first r is g^(u,w), and its value at r + 1 is ``h^(u,r] g^(r,w)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import factorial
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.normal.expand import Expansion
from tensoralg.normal.terms import Atom, Form, Known, Term, renamed_atom, variables

Blocks = tuple[tuple[Any, ...], ...]
Constraint = tuple[str, Any, Any]
Weight = dict[tuple[Any, ...], Any]


def chains(start: Blocks, placed: Sequence[Any], constraints: Sequence[Constraint]) -> Iterator[Blocks]:
    """Yield every chain that extends `start` by some variables and satisfies the constraints.

    Parameters
    ----------
    start : tuple of blocks
        The known chain of variables that are already placed.
    placed : sequence
        The variables to place.
    constraints : sequence of (relation, left, right)
        Relations ``"lt"``, ``"le"`` or ``"eq"`` that must hold.

    Examples
    --------
    >>> list(chains((), ["s", "t"], [("le", "s", "t")]))
    [(('s', 't'),), (('s',), ('t',))]
    """
    if not satisfied(start, constraints):
        return
    if not placed:
        yield start
        return
    first, *rest = placed
    for k in range(len(start)):
        yield from chains((*start[:k], (*start[k], first), *start[k + 1 :]), rest, constraints)
    for k in range(len(start) + 1):
        yield from chains((*start[:k], (first,), *start[k:]), rest, constraints)


def satisfied(blocks: Blocks, constraints: Sequence[Constraint]) -> bool:
    """Whether no constraint between placed variables is violated."""
    rank = {v: k for k, block in enumerate(blocks) for v in block}
    for relation, left, right in constraints:
        if left in rank and right in rank:
            a, b = rank[left], rank[right]
            if not (a < b if relation == "lt" else a <= b if relation == "le" else a == b):
                return False
    return True


def masked(term: Term) -> Term:
    """Return a term whose chains are written as masks and deltas again, to be refined with others."""
    result = Term(term.coefficient, dict(term.powers), dict(term.bound))
    for blocks in term.chains.values():
        for first, *others in blocks:
            for other in others:
                result.times(("d", *sorted((first, other), key=str)))
        for earlier, later in pairwise(blocks):
            result.times(("m", True, earlier[0], later[0]))
    return result


class Ordering(Expansion):
    """Refinement into chains, and what follows from a chain."""

    def rename(self, term: Term, to: Mapping[Any, Any]) -> list[Term]:
        """Return a term with variables renamed, perhaps onto each other (`tensoralg.normal.functions`)."""
        raise NotImplementedError

    def exponent(self, term: Term) -> Form:
        """Return the logarithm of the exponentials of a chained term (`tensoralg.normal.functions`)."""
        raise NotImplementedError

    def lighter(self, term: Term, space: str, v: Any) -> Form | None:
        """Return the exponent without a block that it does not depend on (`tensoralg.normal.functions`)."""
        raise NotImplementedError

    def with_exponent(self, term: Term, form: Form) -> Term:
        """Return a term with another exponent (`tensoralg.normal.functions`)."""
        raise NotImplementedError

    def refine(self, term: Term, known: Known | None) -> list[Term]:
        """Return a term as a sum over strict chains; `known` is the order of the open variables, if fixed."""
        result = [term]
        for space in self.setting.refined:
            result = [piece for part in result for piece in self._refine_space(part, space, known)]
        return result

    def _refine_space(self, term: Term, space: str, known: Known | None) -> list[Term]:
        relations = [
            a for a in term.powers if a[0] in "md" and self.space_of.get(a[-1], self.space_of.get(a[-2])) == space
        ]
        decays = [a for a in term.powers if a[0] in "DG" and a[3] == space]
        start = () if known is None else tuple((v,) for v in known.get(space, ()))
        placed = [
            *(self.opened.get(space, ()) if known is None else ()),
            *(v for v, s in term.bound.items() if s == space),
        ]
        if not (placed or start or decays):
            return [term]
        limits = [("eq" if a[0] == "d" else "lt" if a[0] == "m" and a[1] else "le", a[-2], a[-1]) for a in relations]
        limits += [("lt" if a[0] == "G" else "le", a[5], a[4]) for a in decays if a[5] != "-" and a[4] != "+"]
        settled = {*placed, *(v for block in start for v in block)}
        if any(v not in settled for _, *pair in limits for v in pair):
            raise Undecided(
                "a mask relates an index that the order around it does not know", remedy="restate the claim"
            )
        rest = term.without(*relations, *decays)
        pieces = []
        for blocks in chains(start, placed, limits):
            self.spend()
            pieces += self._on_chain(term, rest, space, blocks, relations, decays)
        return pieces

    def _on_chain(
        self, term: Term, rest: Term, space: str, blocks: Blocks, relations: list[Atom], decays: list[Atom]
    ) -> list[Term]:
        """Return a term on one chain: one variable for each block, decays along it."""
        to: dict[Any, Any] = {}
        order: list[tuple[Any, ...]] = []
        for block in blocks:
            opened = sorted(v for v in block if v not in term.bound)
            chosen = opened[0] if opened else block[0]
            to.update({v: chosen for v in block if v != chosen})
            order.append((chosen, *opened[1:]))
        base = rest.copy()
        base.chains[space] = tuple(order)
        pieces = []
        for piece in self.rename(base, to) if to else [base]:
            full = [piece]
            for atom in decays:
                for _ in range(term.powers[atom]):
                    full = self.product([full, self._along(renamed_atom(atom, to), [b[0] for b in order])])
            pieces += full
        return pieces

    def _along(self, atom: Atom, order: list[Any]) -> list[Term]:
        """Return a decay along a chain: the gates at its blocks times the decays across its gaps."""
        kind, gate, wraps, space, later, earlier, *args = atom
        if later == earlier:
            return self.linked((), tuple(args))
        low = -1 if earlier == "-" else order.index(earlier)
        high = len(order) if later == "+" else order.index(later)
        parts: list[Atom] = []  # from the earliest on: gaps, and the gates between them
        for a, b in pairwise([earlier, *order[low + 1 : high], later]):
            parts.append(("G", gate, wraps, space, b, a))
            if b != later or (kind == "D" and later != "+"):
                parts.append(self.gate(gate, wraps, b))
        return self.linked(parts[::-1], tuple(args))

    # what a chain says

    def sized(self, term: Term) -> Term:
        """Make every bound variable in no chain that no factor mentions its dimension, in place.

        Deltas are not the only source of these: one end of the resolvent identity may lack the gates that mention one.
        """
        used = {v for a in term.powers for v in variables(a)} | {
            v for bs in term.chains.values() for b in bs for v in b
        }
        for variable in [v for v in term.bound if v not in used]:
            extent = self.extent(term.bound.pop(variable))
            term.coefficient *= extent.coefficient
            for atom, power in extent.powers.items():
                term.times(atom, power)
        return term

    def settle(self, term: Term) -> list[Term]:
        """Count out the blocks of a chained term that only count, and apply the resolvent identity."""
        term = self.with_exponent(term, self.exponent(term))
        pieces = self._resolvents(term)
        if pieces is not None:  # before anything is counted: a certificate must not note what is then done again
            return [done for piece in pieces for done in self.settle(piece)]
        counts = [[Term()]]
        for space, blocks in term.chains.items():
            gaps, kept = [0], []
            for v in self._idle(term, space):
                weights, lighter = self._weights(term, v), self.lighter(term, space, v)
                if weights is not None and weights[0] == weights[1] and lighter is not None:
                    term = self.counted_out(self.with_exponent(term, lighter), space, v, weights[0])
            left = {block[0] for block in term.chains[space]}
            for v, *_ in blocks:
                if v in left:
                    gaps.append(0)
                    kept.append(v)
                else:
                    gaps[-1] += 1
            counts += self._counts(space, gaps, kept)
        return self.product([[self.sized(term)], *counts])

    def _idle(self, term: Term, space: str) -> list[Any]:
        """Return the bound blocks that no factor mentions, but for gates and exponentials."""
        gated = any(atom[0] == "G" for atom in term.powers)
        used = {v for atom in term.powers if atom[0] not in ("G", "E") for v in variables(atom)}
        return [v for v, *_ in term.chains[space] if v in term.bound and (gated or v not in used)]

    def _weights(self, term: Term, v: Any) -> tuple[Weight, Weight, Weight] | None:
        """Return the weights of the gaps above and below a block that carries one of them, and that one; else None."""
        above, below = self.weight(term, v, 5), self.weight(term, v, 4)
        heavy = self._heavier(above, below)
        return (above, below, heavy) if self._carries(term, v, heavy) else None

    def _resolvents(self, term: Term) -> list[Term] | None:
        """Return a term with a block between gaps of different weights rewritten; None if there is none."""
        for space in term.chains:
            for v in self._idle(term, space):
                found = self._weights(term, v)
                if found is None or found[0] == found[1]:
                    continue
                lighter = self.lighter(term, space, v)
                if lighter is not None:
                    return self.resolvent(self.with_exponent(term, lighter), space, v, *found)
        return None

    def _counts(self, space: str, gaps: list[int], kept: list[Any]) -> Iterator[list[Term]]:
        """Yield how often the blocks that were dropped fit into the gaps of the others."""
        for k, number in enumerate(gaps):
            low = [Term(powers={("p", kept[k - 1]): 1})] if k else []
            high = [Term(powers={("p", kept[k]): 1})] if k < len(kept) else [self.extent(space), Term()]
            if number:
                yield self.binomial(high, low, number)

    def binomial(self, high: list[Term], low: list[Term], number: int) -> list[Term]:
        """Return ``binomial(high - low - 1, number)``."""
        result = [Term(Fraction(1, factorial(number)))]
        for j in range(number):
            line = [t.copy() for t in high] + [t.copy(-1) for t in low] + [Term(Fraction(-1 - j))]
            result = self.product([result, line])
        return result

    def weight(self, term: Term, v: Any, side: int) -> Weight:
        """Return the weight of the gap above (5) or below (4) a block: gates with their powers."""
        return {(*a[1:3], *a[6:]): e for a, e in term.powers.items() if a[0] == "G" and a[side] == v}

    def _content(self, weight: Weight, v: Any) -> dict[Atom, Any]:
        return {(*self.gate(gate, wraps, v), *args): e for (gate, wraps, *args), e in weight.items()}

    def _carries(self, term: Term, v: Any, weight: Weight) -> bool:
        """Whether a block holds exactly the gates of a weight."""
        if any(a[0] == "G" and v in a[4:6] and len(a) == 8 for a in term.powers):
            return False  # matrices do not commute
        need = self._content(weight, v)
        own = {a: e for a, e in term.powers.items() if a[0] not in "GE" and v in variables(a)}
        return all(term.powers.get(a, 0) >= e for a, e in need.items()) and all(
            need.get(a) == e for a, e in own.items()
        )

    def _reweighed(self, term: Term, v: Any, old: Weight, new: Weight) -> Term:
        result = term.copy()
        for weight, sign in ((old, -1), (new, 1)):
            for atom, power in self._content(weight, v).items():
                result.times(atom, sign * power)
        return result

    def counted_out(self, term: Term, space: str, v: Any, weight: Weight) -> Term:
        """Return a term without a block that carries the weight of the gaps on both sides."""
        return self.dropped(term, space, v, weight, weight)

    def dropped(self, term: Term, space: str, v: Any, carried: Weight, weight: Weight) -> Term:
        """Return a term without a block, the gaps beside it joined to one of the given weight."""
        result = self._reweighed(term, v, carried, {})
        stops = ["-", *(block[0] for block in term.chains[space]), "+"]
        k = stops.index(v)
        result = result.without(*(a for a in result.powers if a[0] == "G" and v in a[4:6]))
        for (gate, wraps, *args), power in weight.items():
            result.times(("G", gate, wraps, space, stops[k + 1], stops[k - 1], *args), power)
        del result.bound[v]
        result.chains[space] = tuple(block for block in term.chains[space] if block[0] != v)
        return result

    def _heavier(self, above: Weight, below: Weight) -> Weight:
        """Return the weight that a block must carry to be rewritten.

        It is the weight of the gap above; where the two gaps differ only in constant gates, of which a block carries
        as many as its monomial has, it is the larger of the two, so that rewriting comes to an end.
        """
        timed = [{k: e for k, e in w.items() if self.setting.legs[k[0]]} for w in (above, below)]
        if timed[0] != timed[1]:
            return above
        return max(above, below, key=lambda w: (sum(w.values()), repr(sorted(w.items(), key=repr))))

    def resolvent(self, term: Term, space: str, v: Any, above: Weight, below: Weight, heavy: Weight) -> list[Term]:
        """Return a term with a block that carries one weight rewritten as the block with the other, and the ends."""
        light, sign = (below, 1) if heavy == above else (above, -1)
        return [
            self._reweighed(term, v, heavy, light),
            self.dropped(term, space, v, heavy, above).copy(sign),
            self.dropped(term, space, v, heavy, below).copy(-sign),
        ]
