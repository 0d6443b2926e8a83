"""Trees chosen for what they have in common: equal parts of products are computed once.

The value of a set of operands of a contraction (their product, summed over the labels that nothing
outside the set carries) does not depend on the tree.  Two sets have equal values, up to the order of
axes, when their networks are isomorphic: one coloured graph, canonically labelled by igraph's BLISS
(T. Junttila & P. Kaski, ALENEX 2007), names both.  Such sets may lie in one contraction (disjoint:
``(A A^T)(A A^T)``), in several (a normaliser and what it normalises) or in several results.

To choose which values to share is NP-hard (already for the sharing of sums: Garey & Johnson, *Computers
and Intractability*, 1979, problem PO10, "ensemble computation"), so it is done greedily, at given sizes:
with the values F at hand for the cost of computing each once, every contraction has its exact order
(`plan.exact`, in which a set with a value in F costs nothing), and the value that lowers the sum most is
added to F until none lowers it.  What is found is an improvement, not an optimum.  Its exact price is
that of the graph in which equal steps are one (`plan.pairs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, TypeAlias

from tensoralg.plan.block import Block, Contract, Leaf, Operand
from tensoralg.plan.exact import frontier
from tensoralg.plan.graph import Graph, Room
from tensoralg.plan.pairs import symmetries, through
from tensoralg.plan.tree import Network, Priced, Tree, named

Key: TypeAlias = "tuple[Any, ...]"

MOST_OPERANDS = 10
MOST_SETS = 3000
MOST_KEYS = 48


@dataclass(frozen=True)
class _Place:
    """A set of operands of one contraction, and these operands in the order of the canonical labelling."""

    room: int
    members: int
    order: tuple[int, ...]


@dataclass
class Sharing:
    """The values that occur more than once in the contractions of a graph."""

    graph: Graph
    _orders: dict[Any, Priced] = field(default_factory=dict)

    def trees(self, points: Iterable[Mapping[str, int]]) -> Iterator[dict[Contract, Tree]]:
        """Yield trees that share values, chosen at each of the given sizes; none where nothing is gained."""
        seen = set()
        for sizes in points if self.places else ():
            found = self._chosen(sizes)
            if found is not None and found not in seen:
                seen.add(found)
                yield dict(zip((room.contract for room in self.graph.rooms), found, strict=True))

    @cached_property
    def _factors(self) -> list[list[Operand]]:
        return [[through(operand) for operand in room.contract.factors] for room in self.graph.rooms]

    @cached_property
    def _count(self) -> Counter[Block]:
        return Counter(operand.block for factors in self._factors for operand in factors)

    @property
    def repeats(self) -> bool:
        """Whether some array is an operand twice, without which no two steps are equal."""
        return any(count > 1 for count in self._count.values())

    @cached_property
    def places(self) -> dict[Key, list[_Place]]:
        """Where each value of several operands occurs, for those that occur at least twice without overlap."""
        if not self.repeats:
            return {}
        rooms, factors, count = self.graph.rooms, self._factors, self._count
        number = {block: k for k, block in enumerate(count)}
        rough: dict[Any, list[tuple[int, tuple[int, ...]]]] = {}
        for k, room in enumerate(rooms):
            repeated = [p for p, o in enumerate(factors[k]) if count[o.block] > 1]
            if room.network.count > MOST_OPERANDS:
                continue
            for members in _connected(room, repeated):
                kind = tuple(sorted(number[factors[k][p].block] for p in members))
                rough.setdefault(kind, []).append((k, members))
        found: dict[Key, list[_Place]] = {}
        for sets in rough.values():
            if len(sets) > 1 and sum(map(len, found.values())) < MOST_SETS:
                for k, members in sets:
                    mask = sum(1 << p for p in members)
                    key, order = _canonical(factors[k], members, rooms[k].network.kept(mask), number)
                    found.setdefault(key, []).append(_Place(k, mask, order))
        several = {key: places for key, places in found.items() if _two_apart(places)}
        ranked = sorted(several, key=lambda key: (-self._most(several[key]), len(several[key][0].order)))
        return {key: several[key] for key in ranked[:MOST_KEYS]}

    def _most(self, places: list[_Place]) -> int:
        """Return a bound of how many of the places can lie side by side."""
        size = len(places[0].order)
        rooms = Counter(place.room for place in places)
        return sum(min(count, self.graph.rooms[k].network.count // size) for k, count in rooms.items())

    @cached_property
    def _keys(self) -> list[dict[int, tuple[Key, _Place]]]:
        found: list[dict[int, tuple[Key, _Place]]] = [{} for _ in self.graph.rooms]
        for key, places in self.places.items():
            for place in places:
                found[place.room][place.members] = (key, place)
        return found

    def _chosen(self, sizes: Mapping[str, int]) -> tuple[Tree, ...] | None:
        """Return the trees that share most at the given sizes, one for each contraction; None if nothing is gained."""
        self._orders.clear()
        networks = [room.network.at(sizes) for room in self.graph.rooms]
        most = {key: self._most(places) for key, places in self.places.items()}
        alone: dict[Key, Any] = {key: self._value(networks, key, {}).flops for key in self.places}
        shared: list[Key] = []
        least, best = self._total(networks, shared)
        start = least
        while True:
            gains: list[tuple[Any, int, Key, tuple[Tree, ...]]] = []
            for key in self.places:
                # a value cannot save more than it costs at every place but one
                if key not in shared and (most[key] - 1) * alone[key] > max((g for g, *_ in gains), default=0):
                    total, trees = self._total(networks, [*shared, key])
                    gains.append((least - total, len(gains), key, trees))
            gain, _, key, trees = max(gains, default=(0, 0, (), ()))
            if gain <= 0:
                return best if least < start else None
            least, best = least - gain, trees
            shared.append(key)

    def _total(self, networks: list[Network], shared: list[Key]) -> tuple[Any, tuple[Tree, ...]]:
        """Return the FLOPs of all contractions with the given values computed once, and their trees."""
        known: dict[Key, Priced] = {}
        total: Any = 0
        for key in sorted(shared, key=lambda key: len(self.places[key][0].order)):
            known[key] = self._value(networks, key, known)
            total += known[key].flops
        trees = []
        for k, network in enumerate(networks):
            order = self._best(("room", k), network, self._given(k, network.everything, known))
            total += order.flops
            trees.append(order.tree)
        return total, tuple(trees)

    def _value(self, networks: list[Network], key: Key, known: Mapping[Key, Priced]) -> Priced:
        """Return the best order of a value, its operands in canonical order."""
        place = self.places[key][0]
        inside = self._given(place.room, place.members, known)
        position = {operand: k for k, operand in enumerate(place.order)}
        moved = {_moved(mask, position): _renamed(priced, position) for mask, priced in inside.items()}
        return self._best(("value", key), _part(networks[place.room], place), moved)

    def _given(self, room: int, within: int, known: Mapping[Key, Priced]) -> dict[int, Priced]:
        """Return the sets of operands of a contraction whose values are known, each as an order that costs nothing."""
        found = {}
        for members, (key, place) in self._keys[room].items():
            if key in known and members & within == members:
                found[members] = Priced(0, 0, 0, 0, named(known[key].tree, place.order))
        return found

    def _best(self, name: Any, network: Network, given: Mapping[int, Priced]) -> Priced:
        memo = (name, tuple(sorted((mask, priced.tree) for mask, priced in given.items())))
        if memo not in self._orders:
            orders: Any = frontier(network, "flops", given=given).orders
            self._orders[memo] = min(orders, key=lambda order: order.flops)
        return self._orders[memo]


def _connected(room: Room, positions: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield the sets of at least two of the positions whose operands hang together by their labels."""
    carried = room.network.carried
    for size in range(2, len(positions) + 1):
        for members in combinations(positions, size):
            reached, rest = carried[members[0]], set(members[1:])
            while joined := {p for p in rest if carried[p] & reached}:
                rest -= joined
                for p in joined:
                    reached |= carried[p]
            if not rest:
                yield members


def _two_apart(places: list[_Place]) -> bool:
    """Whether two of the places do not overlap."""
    return any(one.room != other.room or not one.members & other.members for one, other in combinations(places, 2))


def _canonical(
    factors: list[Operand], members: tuple[int, ...], kept: int, number: Mapping[Block, int]
) -> tuple[Key, tuple[int, ...]]:
    """Return the canonical form of the network of some operands, and the operands in its order.

    Operands, their axes and the labels are vertices; an axis is joined to its operand and to its label.
    """
    import igraph

    colours: list[tuple[Any, ...]] = [("operand", number[factors[p].block]) for p in members]
    edges: list[tuple[int, int]] = []
    vertex: dict[int, int] = {}
    for k, p in enumerate(members):
        kinds = _kinds(factors[p].block)
        for axis, label in enumerate(factors[p].labels):
            if label not in vertex:
                vertex[label] = len(colours)
                colours.append(("label", kept >> label & 1))
            edges += [(k, len(colours)), (len(colours), vertex[label])]
            colours.append(("axis", kinds[axis]))
    palette = {colour: k for k, colour in enumerate(sorted(set(colours), key=str))}
    graph = igraph.Graph(n=len(colours), edges=edges)
    graph.vs["was"] = list(range(len(colours)))
    moved = graph.permute_vertices(graph.canonical_permutation(color=[palette[c] for c in colours]))
    was = moved.vs["was"]
    key = (tuple(colours[v] for v in was), tuple(sorted(tuple(sorted(edge)) for edge in moved.get_edgelist())))
    return key, tuple(members[v] for v in was if v < len(members))


def _kinds(block: Block) -> tuple[int, ...]:
    """Return a number for each axis, equal where any order of the axes leaves the array as it is."""
    if isinstance(block, Leaf):
        first = {axis: min(group) for group in block.tensor.symmetric for axis in group}
        return tuple(first.get(axis, axis) for axis in range(len(block.axes)))
    swapped = symmetries(block)
    if len(block.axes) == 2 and len(swapped) == 2:
        return (0, 0)
    return tuple(range(len(block.axes)))


def _part(network: Network, place: _Place) -> Network:
    """Return the network of a set of operands, in canonical order."""
    contract = network.contract
    kept = network.kept(place.members)
    factors = tuple(contract.factors[p] for p in place.order)
    output = tuple(label for label in range(len(contract.spaces)) if kept >> label & 1)
    part = Contract(factors, output, contract.spaces)
    return Network(part, network.sizes, [network.held[p] for p in place.order], network.one)


def _moved(mask: int, position: Mapping[int, int]) -> int:
    return sum(1 << new for old, new in position.items() if mask >> old & 1)


def _renamed(priced: Priced, position: Mapping[int, int]) -> Priced:
    def tree(part: Tree) -> Tree:
        return position[part] if isinstance(part, int) else tuple(tree(p) for p in part)

    return Priced(priced.flops, priced.pointwise, priced.largest, priced.peak, tree(priced.tree))
