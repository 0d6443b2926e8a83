"""Closed networks leg by leg, where every index joins two legs, and colours that tell legs apart.

Colours steer: what they tell apart no renaming exchanges, and equal colours say nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.deferred import np
from tensoralg.expr.tensor import Tensor
from tensoralg.proof.joins import Work
from tensoralg.proof.networks import Expansion, Network, generic
from tensoralg.spaces import Space

if TYPE_CHECKING:
    from tensoralg.proof.refute import Claim

MOST_LEGS = 100_000
MOST_LIKE = 30  # like tensors, of which folded maps are still counted
FEW = 12  # legs of one colour in a network that are as good as told apart
MOST_WALKS = 64  # for each leg, when networks are coloured by their short cycles
LONGEST_WALK = 12
ROUNDS = 3  # of refinement between looks at how many colours there are


@dataclass(frozen=True)
class Part:
    """A connected network, as ranges of factors and legs."""

    factors: range
    legs: range


@dataclass(frozen=True)
class Product:
    """A network of a side by its parts; `idle` are the spaces of indices that nothing mentions."""

    side: int
    network: Network
    parts: tuple[Part, ...]
    idle: tuple[Space, ...]


class Wiring:
    """The products of both sides of a claim, leg by leg.

    Attributes
    ----------
    products : list of Product
    names : list of str
        The tensor of each factor.
    first : list of int
        The first leg of each factor; the legs of a factor and the factors of a part stand together.
    kinds : list of int
        Legs of one kind are those that declared symmetries exchange, in equal tensors.
    mates : list of int
        The other leg of each leg's index.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.products: list[Product] = []
        self.names: list[str] = []
        self.first: list[int] = [0]
        self.kinds: list[int] = []
        self.mates: list[int] = []
        self._kinds_of: dict[str, list[int]] = {}
        self._next_kind = 0
        for number, side in enumerate((claim.left, claim.right)):
            expansion = Expansion(side)
            for network in expansion.networks():
                self._add(number, network, expansion.spaces)
        self._legs = np.array(self.mates, dtype=np.int64)
        degrees = np.diff(np.array(self.first))
        self._degrees, self._owner = degrees, np.repeat(np.arange(len(degrees)), degrees)
        plain = mixed(np.array(self.kinds, dtype=np.uint64) + np.uint64(1))
        self.coarse = refined(plain, self._legs, np.array(self.first[:-1]), self._owner) if self.names else plain
        self.fine = self._profiled(self.coarse)

    def _add(self, side: int, network: Network, spaces: Sequence[Space]) -> None:
        holders: dict[int, list[int]] = {v: [] for v in network.variables}
        for number, (name, variables) in enumerate(network.factors):
            if name not in self.claim.tensors or not variables:
                raise Undecided(f"{name} joins no legs", remedy="evaluate otherwise")
            for v in variables:
                holders[v].append(number)
        if any(len(numbers) not in (0, 2) for numbers in holders.values()):
            raise Undecided("an index does not join two legs", remedy="evaluate otherwise")
        parts, seen, ends = [], set[int](), dict[int, int]()
        for start in range(len(network.factors)):
            if start in seen:
                continue
            seen.add(start)
            found, factors, legs = [start], len(self.names), len(self.mates)
            for one in found:
                name, variables = network.factors[one]
                self.names.append(name)
                self.kinds += self._kinds(self.claim.tensors[name])
                for v in variables:
                    here = len(self.mates)
                    other = ends.setdefault(v, here)
                    self.mates.append(other)  # the first end learns of its mate below
                    self.mates[other] = here
                    for neighbour in holders[v]:
                        if neighbour not in seen:
                            seen.add(neighbour)
                            found.append(neighbour)
                self.first.append(len(self.mates))
            parts.append(Part(range(factors, len(self.names)), range(legs, len(self.mates))))
        if len(self.mates) > MOST_LEGS:
            raise BudgetExceeded(f"the networks have more than {MOST_LEGS} legs", remedy="split the claim")
        idle = tuple(spaces[v] for v, numbers in holders.items() if not numbers)
        self.products.append(Product(side, network, tuple(parts), idle))

    def _kinds(self, symbol: Tensor) -> list[int]:
        if symbol.name not in self._kinds_of:
            start = self._next_kind
            self._next_kind += len(symbol.legs)
            found = list(range(start, self._next_kind))
            for group in (*symbol.symmetric, *symbol.antisymmetric):
                for slot in group:
                    found[slot] = start + min(group)
            self._kinds_of[symbol.name] = found
        return self._kinds_of[symbol.name]

    # colours

    def _profiled(self, colours: Any) -> Any:
        """Return colours that also tell how many legs walks without turning back reach, where many legs look alike.

        An isomorphism keeps them.  A covering need not: it may open cycles.
        """
        count, first, owner = len(colours), np.array(self.first), self._owner
        start = _crowded(colours)
        at, profile = self._legs[start], colours
        told = len(np.unique(colours))
        for step in range(LONGEST_WALK):
            degrees = self._degrees[owner[at]]
            if not len(start) or degrees.sum() > MOST_WALKS * count:
                break
            walk = np.repeat(np.arange(len(at)), degrees)
            leaving = np.arange(len(walk)) - np.repeat(np.cumsum(degrees) - degrees, degrees) + first[owner[at]][walk]
            onward = leaving != at[walk]
            met = np.unique(start[walk[onward]] * count + self._legs[leaving[onward]])
            start, at = np.divmod(met, count)
            profile = mixed(profile ^ np.bincount(start, minlength=count).astype(np.uint64))
            if step > 1 and (now := len(np.unique(profile))) > told:  # shorter cycles are few, or alike everywhere
                told = now
                colours = refined(profile, self._legs, first[:-1], owner)
                if not len(_crowded(colours)):
                    break
        return colours

    def differ(self) -> bool:
        """Whether colours tell the sides apart; then labelling cannot prove the claim for all sizes."""
        marks = [0, *np.cumsum(mixed(self.fine)).tolist()]  # modulo 2^64
        total: dict[Any, Fraction] = {}
        for product in self.products:
            parts = sorted((len(p.legs), (marks[p.legs.stop] - marks[p.legs.start]) % 2**64) for p in product.parts)
            spaces = sorted(str(space.dimension) for space in product.idle)
            key = (*sorted((*product.network.sizes, *spaces)), *parts)
            total[key] = total.get(key, Fraction(0)) + product.network.coefficient * (-1) ** product.side
        return any(total.values())

    def folds(self) -> bool:
        """Whether a network with a cycle has so many like tensors that counting maps, folded ones too, takes long."""
        like = {name for name, symbol in self.claim.tensors.items() if symbol.symmetric}
        for part in (part for product in self.products for part in product.parts):
            names = Counter(self.names[number] for number in part.factors)
            cyclic = len(part.legs) > 2 * (len(part.factors) - 1)
            if cyclic and any(n >= MOST_LIKE and (name in like or len(names) == 1) for name, n in names.items()):
                return True
        return False

    def legs(self, number: int) -> range:
        """Return the legs of a factor."""
        return range(self.first[number], self.first[number + 1])


def mixed(numbers: Any) -> Any:
    """Return 64-bit hashes of 64-bit numbers."""
    numbers = (numbers ^ (numbers >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return numbers ^ (numbers >> np.uint64(32))


def refined(colours: Any, mates: Any, first: Any, owner: Any, work: Work | None = None) -> Any:
    """Return colours of legs refined by those of their mates and of the factors' other legs, until no more are told."""
    count = 0
    while (now := len(np.unique(colours))) > count:
        count = now
        if work is not None:
            work.spend(200 + len(colours) // 5)  # as long as joining so many rows
        for _ in range(ROUNDS):
            own = mixed(colours + mixed(colours[mates]))
            colours = mixed(own + mixed(np.add.reduceat(own, first))[owner])
    return colours


def _crowded(colours: Any) -> Any:
    """Return the legs whose colour too many have."""
    _, which, counts = np.unique(colours, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[which] > 2 * FEW)  # both sides are coloured together


def wired(claim: Claim) -> Wiring | None:
    """Return the networks of a claim leg by leg; None unless it says of closed ones that every index joins two legs."""
    if claim.left.legs or claim.defined or claim.hypotheses or not all(map(generic, claim.tensors.values())):
        return None
    try:
        return Wiring(claim)
    except (BudgetExceeded, Undecided):
        return None
