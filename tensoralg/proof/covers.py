"""Complex witnesses for closed networks in which every index joins two legs: counting coverings.

A sparse witness (`tensoralg.proof.sparse`) gives every index of a product M one basis vector, and maps into M may
then fold: both ends of an edge go to one end of another.  Of networks of like symmetric tensors there are far too many
such maps to be counted.  So give every index two vectors, one for each of the legs that it joins,

    h = x + iy,  h' = (x - iy)/2  for orthonormal x, y:   h.h = 0,  h'.h' = 0,  h.h' = 1,

and let each tensor be the sum, over its places in M, of the products of the vectors of its legs, made symmetric.  In
the value of a product N at this point every tensor of N chooses a place in M, its legs go to the legs there, and an
index counts 1 if its legs go to the two legs of one index of M, else 0.  What is counted are the coverings of M by N,
the maps that are bijective around every tensor; of connected networks with as many legs they are the isomorphisms.

Both sides are polynomials in the entries; if they agree at all real points they agree at all complex ones.  So a
complex point at which they differ refutes the claim about real tensors.

Colours only exclude maps (equal colours prove nothing); what is counted has been joined row by row.  Nothing here is
shared with `tensoralg.normal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import sympy

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.deferred import np
from tensoralg.expr.tensor import Tensor
from tensoralg.proof.joins import Contraction, Factor, Row, Table, Work
from tensoralg.proof.networks import MOST_ENTRIES, extent, orbit, symmetries
from tensoralg.proof.verdict import Counterexample
from tensoralg.proof.wiring import FEW, Part, Product, Wiring, refined
from tensoralg.spaces import Space

BUDGET = 300_000  # rows, for all points that are tried together
STRANGE = 0xD1B54A32D192ED03  # marks a leg that is told from all others


class Coverings:
    """Values of sides at the points of products, by counting the coverings of connected networks."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._forms: dict[Part, Part] = {}
        self._first_of: dict[Row, Part] = {}
        self._counted: dict[tuple[Part, Part], int] = {}

    def value(self, side: int, target: Product, sizes: dict[str, int], work: Work) -> int | Fraction:
        """Return the value of a side at the point of a product."""
        total = Fraction(0)
        into = Counter(map(self._form, target.parts))
        for product in self.wiring.products:
            if product.side == side:
                value = product.network.coefficient * prod(sizes[name] for name in product.network.sizes)
                value *= prod(extent(space, sizes) for space in product.idle)
                for form, often in Counter(map(self._form, product.parts)).items():
                    if not value:
                        break
                    value *= sum(n * self._coverings(form, other, work) for other, n in into.items()) ** often
                total += value
        return total.numerator if total.denominator == 1 else total

    def _form(self, part: Part) -> Part:
        """Return a part that is equal up to the order of factors and of symmetric legs, often the same for all such."""
        if all(len(product.parts) == 1 for product in self.wiring.products):
            return part  # nothing would be counted less often
        if part not in self._forms:
            self._forms[part] = self._first_of.setdefault(self._walked(part), part)
        return self._forms[part]

    def _walked(self, part: Part) -> Row:
        """Return all of a part, in the order of a walk through it from a leg of the least colour."""
        colours = self.wiring.fine[part.legs.start : part.legs.stop].tolist()
        begin = part.legs.start
        number = {leg: f for f in part.factors for leg in self.wiring.legs(f)}
        place: dict[int, int] = {}
        entered = [begin + min(range(len(colours)), key=colours.__getitem__)]
        for arrived in entered:
            if arrived not in place:
                legs: list[int] = list(self.wiring.legs(number[arrived]))
                if not self.wiring.claim.tensors[self.wiring.names[number[arrived]]].antisymmetric:
                    legs.sort(key=lambda leg: (self.wiring.kinds[leg], leg != arrived, colours[leg - begin]))
                place.update(zip(legs, range(len(place), len(place) + len(legs)), strict=True))
                entered += [self.wiring.mates[leg] for leg in legs]
        return tuple(x for leg in place for x in (self.wiring.kinds[leg], place[self.wiring.mates[leg]]))

    def _coverings(self, ours: Part, theirs: Part, work: Work) -> int:
        """Return the number of coverings of one connected network by another, counted with signs."""
        if (ours, theirs) not in self._counted:
            work.spend(1)
            self._counted[ours, theirs] = self._count(ours, theirs, work)
        return self._counted[ours, theirs]

    def _count(self, ours: Part, theirs: Part, work: Work) -> int:
        sheets, rest = divmod(len(ours.legs), len(theirs.legs))
        if rest or not sheets or len(ours.factors) != sheets * len(theirs.factors):
            return 0
        colours = self.wiring.fine if sheets == 1 else self.wiring.coarse
        work.spend(len(ours.legs) // 50)
        left, right = (np.sort(colours[p.legs.start : p.legs.stop]) for p in (ours, theirs))
        if (left != np.repeat(right, sheets)).any():
            return 0
        pair = Pair(self.wiring, ours, theirs)
        both = np.concatenate([colours[p.legs.start : p.legs.stop] for p in (ours, theirs)])
        return pair.isomorphisms(both, work) if sheets == 1 else pair.maps(both, work)


class Pair:
    """A connected network and one that it may cover, their legs numbered together from 0."""

    def __init__(self, wiring: Wiring, ours: Part, theirs: Part) -> None:
        self.wiring, self.ours, self.theirs = wiring, ours, theirs
        self.size = len(ours.legs)
        mates, first, at = [], [], 0
        for part in (ours, theirs):
            mates.append(np.array(wiring.mates[part.legs.start : part.legs.stop]) - part.legs.start + at)
            first.append(np.array([wiring.first[f] for f in part.factors]) - part.legs.start + at)
            at += len(part.legs)
        self.mates, self.first = np.concatenate(mates), np.concatenate(first)
        self.owner = np.repeat(np.arange(len(self.first)), np.diff(np.append(self.first, at)))

    def isomorphisms(self, colours: Any, work: Work) -> int:
        """Return the number of isomorphisms that keep colours, with signs: legs are told apart until few look alike."""
        colours = refined(colours, self.mates, self.first, self.owner, work)
        ours, theirs = colours[: self.size], colours[self.size :]
        if (np.sort(ours) != np.sort(theirs)).any():
            return 0
        found, counts = np.unique(ours, return_counts=True)
        if counts.max() <= FEW or self.size == 2 * (len(self.ours.factors) - 1):  # a tree is summed from its leaves
            return self.maps(colours, work)
        crowded = counts > FEW
        colour = found[crowded][counts[crowded].argmin()]
        leg, total = np.flatnonzero(ours == colour)[0], 0
        for image in np.flatnonzero(theirs == colour):
            told = colours.copy()
            told[[leg, self.size + image]] ^= np.uint64(STRANGE)
            total += self.isomorphisms(told, work)
        return total

    def forced(self, colours: Any) -> tuple[Any, int]:
        """Return which factors have one choice, as each leg's colour is its own, and the sign of these choices or 0."""
        wiring = self.wiring
        ours, theirs = colours[: self.size], colours[self.size :]
        order, places = np.argsort(ours), np.argsort(theirs)
        inner = ours[order]
        same = np.concatenate([[True], inner[1:] != inner[:-1], [True]])
        alone = np.zeros(self.size, dtype=bool)
        alone[order] = same[1:] & same[:-1]
        count = len(self.ours.factors)
        first, owner = self.first[:count], self.owner[: self.size]
        settled = np.logical_and.reduceat(alone, first)
        image = np.zeros(self.size, dtype=np.int64)
        image[order] = places
        legs = np.flatnonzero(settled[owner])
        mates, across = self.mates[: self.size], self.mates[self.size :] - self.size
        if not alone[mates[legs]].all():
            return np.zeros(count, dtype=bool), 1
        kinds = np.array(wiring.kinds)
        place = self.owner[self.size :][image]
        fits = (
            (kinds[legs + self.ours.legs.start] == kinds[image[legs] + self.theirs.legs.start]).all()
            and (image[mates[legs]] == across[image[legs]]).all()
            and (place == place[first][owner])[legs].all()
        )
        return settled, self._sign(np.flatnonzero(settled), image) if fits else 0

    def _sign(self, settled: Any, image: Any) -> int:
        tensors, names = self.wiring.claim.tensors, self.wiring.names
        sign = 1
        if any(symbol.antisymmetric for symbol in tensors.values()):
            for number in settled.tolist():
                row = image[self.first[number] :].tolist()
                sign *= _sign(tensors[names[self.ours.factors[number]]], row)
        return sign

    def maps(self, colours: Any, work: Work) -> int:
        """Return the number of coverings that keep colours, with signs, by joining the choices of every factor."""
        wiring, begin = self.wiring, self.ours.legs.start
        work.spend(len(colours) // 20)
        settled, total = np.zeros(len(self.ours.factors), dtype=bool), 1
        if len(colours) == 2 * self.size:
            settled, total = self.forced(colours)
        if not total or settled.all():
            return total
        mine, others = (part.tolist() for part in (colours[: self.size], colours[self.size :]))
        alike: dict[int, list[int]] = {}
        for leg, colour in zip(self.theirs.legs, others, strict=True):
            alike.setdefault(colour, []).append(leg)
        owner = {leg: number for number in self.theirs.factors for leg in wiring.legs(number)}
        colour_of = dict(zip(self.theirs.legs, others, strict=True))
        tables: dict[Any, Table] = {}
        factors: list[Factor] = []
        for number in (np.flatnonzero(~settled) + self.ours.factors.start).tolist():
            legs = wiring.legs(number)
            wanted = [mine[leg - begin] for leg in legs]
            variables = [min(leg, wiring.mates[leg]) for leg in legs]  # an index is known by its first leg
            distinct = tuple(dict.fromkeys(variables))
            second = tuple(leg > wiring.mates[leg] for leg in legs)
            pattern = tuple(distinct.index(v) for v in variables)
            key = (wiring.names[number], *wanted, *second, *pattern)
            if key not in tables:
                rarest = min(wanted, key=lambda colour: len(alike.get(colour, ())))
                rows = []
                for image in dict.fromkeys(owner[leg] for leg in alike.get(rarest, ())):
                    for row, sign in self._rows(number, image, wanted, colour_of):
                        work.spend(1)
                        ends = [wiring.mates[leg] if turned else leg for leg, turned in zip(row, second, strict=True)]
                        known = dict(zip(pattern, ends, strict=True))
                        if all(known[k] == end for k, end in zip(pattern, ends, strict=True)):
                            rows.append((tuple(known[k] for k in range(len(distinct))), sign))
                tables[key] = Table(rows, len(distinct))
            factors.append((tables[key], distinct))
        return int(total * Contraction(factors, {}, work).value())

    def _rows(
        self, number: int, image: int, wanted: Sequence[int], colour_of: dict[int, int]
    ) -> Iterator[tuple[Row, int]]:
        """Yield the images of the legs of a factor in one place, bijective and of the right kinds, with signs."""
        wiring = self.wiring
        if wiring.names[number] != wiring.names[image]:
            return
        choices = wiring.legs(image)
        kinds = [wiring.kinds[leg] for leg in wiring.legs(number)]
        symbol = wiring.claim.tensors[wiring.names[number]]
        stack: list[Row] = [()]
        while stack:
            row = stack.pop()
            if len(row) < len(kinds):
                colour, kind = wanted[len(row)], kinds[len(row)]
                fits = [leg for leg in choices if wiring.kinds[leg] == kind and colour_of[leg] == colour]
                stack += [(*row, leg) for leg in fits if leg not in row]
                continue
            yield row, _sign(symbol, row)


def _sign(symbol: Tensor, row: Sequence[int]) -> int:
    """Return the sign that an antisymmetric tensor has at these legs of a place, beside the place's own."""
    groups = symbol.antisymmetric
    turns = sum(row[a] > row[b] for group in groups for k, a in enumerate(group) for b in group[k + 1 :])
    return -1 if turns % 2 else 1


def covering_search(wiring: Wiring) -> Counterexample | None:
    """Return a complex witness against a claim, confirmed exactly; None if none is found.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.proof.prove import state
    >>> from tensoralg.proof.wiring import wired
    >>> left, right = (ta.parse(text, {"i,j,k": "n"}, free=()) for text in ("A[i,j]*A[j,i]", "A[i,j]*A[i,j]"))
    >>> witness = covering_search(wired(state(left, right, [], None).claim))
    >>> witness.sizes, witness.tensors["A"]["entries"], witness.lhs, witness.rhs
    ({'n': 4}, [[[0, 2], 1], [[3, 1], 1]], 2, 0)
    """
    spent, coverings = Work(BUDGET), Coverings(wiring)
    _, crowds = np.unique(wiring.fine, return_inverse=True)
    crowd = np.bincount(crowds)[crowds] if len(crowds) else crowds

    def ease(product: Product) -> tuple[int, int]:
        legs = [leg for part in product.parts[:1] for leg in (part.legs.start, product.parts[-1].legs.stop)]
        # what is larger than a network is not covered by it, and one whose legs differ is mapped in few ways
        return (-(legs[1] - legs[0]), int(crowd[slice(*legs)].sum())) if legs else (0, 0)

    for target in sorted(wiring.products, key=ease):
        share = Work(max(1, (spent.limit - spent.done) // 2))
        try:
            sizes = sizes_at(wiring, target)
            if sizes is None:
                continue
            left, right = (coverings.value(side, target, sizes, share) for side in (0, 1))
            if left != right:
                return Counterexample(sizes, tensors_at(wiring, target, sizes), {}, left, right, "paired")
        except (BudgetExceeded, Undecided):
            continue
        finally:
            spent.done += share.done
    return None


def sizes_at(wiring: Wiring, target: Product) -> dict[str, int] | None:
    """Return sizes with two basis vectors for every index of a product; None if sizes are fixed and smaller."""
    claim = wiring.claim
    sizes = {name: claim.fixed.get(name, 1) for name in claim.dimensions}
    for space, count in _positions(wiring, target)[1].values():
        if isinstance(space.dimension, sympy.Symbol) and space.dimension.name not in claim.fixed:
            sizes[space.dimension.name] = max(sizes[space.dimension.name], count)
        elif count > extent(space, sizes):
            return None
    return sizes


def _positions(wiring: Wiring, target: Product) -> tuple[dict[int, int], dict[str, tuple[Space, int]]]:
    """Return the basis vector of every leg of a product, and how many are used of each space."""
    positions: dict[int, int] = {}
    used: dict[str, tuple[Space, int]] = {}
    for part in target.parts:
        for number in part.factors:
            for leg, space in zip(wiring.legs(number), wiring.claim.tensors[wiring.names[number]].legs, strict=True):
                if leg not in positions:
                    if not isinstance(space, Space):
                        raise Undecided(f"{space} is composite", remedy="split composite spaces first")
                    count = used[space.name][1] if space.name in used else 0
                    positions[leg], positions[wiring.mates[leg]] = count, count + 1
                    used[space.name] = (space, count + 2)
    return positions, used


def tensors_at(wiring: Wiring, target: Product, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the tensors of the point of a product, as a counterexample shows them."""
    positions, _ = _positions(wiring, target)
    entries: dict[str, list[list[Any]]] = {name: [] for name in wiring.claim.tensors}
    moves = {name: symmetries(symbol) for name, symbol in wiring.claim.tensors.items()}
    total = 0
    for part in target.parts:
        for number in part.factors:
            name = wiring.names[number]
            images = orbit(tuple(positions[leg] for leg in wiring.legs(number)), moves[name])
            total += len(images)
            if total > MOST_ENTRIES:
                raise BudgetExceeded(f"a witness has more than {MOST_ENTRIES} entries", remedy="split the claim")
            entries[name] += [[list(row), value] for row, value in images.items()]
    made = {}
    for name, symbol in wiring.claim.tensors.items():
        legs = [leg for leg in symbol.legs if isinstance(leg, Space)]
        made[name] = {"shape": [extent(leg, sizes) for leg in legs], "entries": sorted(entries[name])}
    return made
