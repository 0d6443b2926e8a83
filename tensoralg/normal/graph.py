"""The coloured graph of a monomial, and the canonical order of its bound variables."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any

from tensoralg.expr.tensor import Tensor
from tensoralg.normal.terms import FIRST_VALUE, Atom, Term, atom_values, leaves, shape, variables

MOST_STEPS = 6


@dataclass(frozen=True)
class Odd:
    """A renaming of the bound variables under which a monomial becomes its own negative.

    Attributes
    ----------
    image : dict
        What each loose bound variable becomes.
    """

    image: dict[Any, Any]


def canonical_order(
    tensors: Mapping[str, Tensor],
    term: Term,
    rank: Mapping[Any, Any],
    loose: Sequence[Any],
    memo: dict[Any, Any],
) -> list[Any] | Odd:
    """Return the loose bound variables of a term in canonical order, or an odd automorphism.

    Parameters
    ----------
    tensors : mapping of str to Tensor
    term : Term
    rank : mapping
        What tells the variables that stand in a chain.
    loose : sequence
        The bound variables that stand in no chain.
    memo : dict
        Orders found before, of connected parts that are equal up to the names of their loose variables.
    """
    if any(atom[0] in ("E", "f", "F", "S") for atom in term.powers):
        return _Graph(tensors, rank).order(term, loose)
    found = []
    parts = separated(term.powers, loose)
    for part, atoms in parts:
        place: dict[Any, Any] = {v: k for k, v in enumerate(part)}
        key = (tuple((_at(a, place, rank), e) for a, e in atoms.items()), tuple(term.bound[v] for v in part))
        if key not in memo:
            order: list[Any] | Odd | None = told_apart(tensors, atoms, part, term.bound)
            if order is None:
                order = _Graph(tensors, rank).order(Term(powers=atoms, bound=term.bound), part)
            if isinstance(order, Odd):
                memo[key] = (None, tuple(place[order.image[v]] for v in part))
            else:
                memo[key] = ("", tuple(place[v] for v in order))
        look, places = memo[key]
        image = [part[k] for k in places]
        if look == "" and len(parts) > 1:
            look = _look(tensors, term, rank, atoms, image)
            memo[key] = (look, places)
        if look is None:
            return Odd({**{v: v for v in loose}, **dict(zip(part, image, strict=True))})
        found.append((look, image))
    found.sort(key=itemgetter(0))
    return [v for _, image in found for v in image]


def separated(powers: Mapping[Atom, Any], loose: Sequence[Any]) -> list[tuple[list[Any], dict[Atom, Any]]]:
    """Return the connected parts of a product: their loose variables and their atoms."""
    root = {v: v for v in loose}

    def find(v: Any) -> Any:
        while root[v] != v:
            root[v] = root[root[v]]
            v = root[v]
        return v

    holds: list[tuple[Any, Atom, Any]] = []
    for atom, power in powers.items():
        plain = atom[0] == "t" and tuple not in map(type, atom)
        inside = [v for v in (atom[2:] if plain else variables(atom)) if v in root]
        if inside:
            first = find(inside[0])
            for v in inside[1:]:
                root[find(v)] = first
            holds.append((first, atom, power))
    parts: dict[Any, tuple[list[Any], dict[Atom, Any]]] = {}
    for v in loose:
        parts.setdefault(find(v), ([], {}))[0].append(v)
    for v, atom, power in holds:
        parts[find(v)][1][atom] = power
    return list(parts.values())


def told_apart(
    tensors: Mapping[str, Tensor], atoms: Mapping[Atom, Any], loose: Sequence[Any], spaces: Mapping[Any, str]
) -> list[Any] | None:
    """Return variables in the order of what stands around them; None if a few steps do not tell them apart.

    An automorphism fixes variables that are told apart, so none is odd.
    """
    rank: dict[Any, int] = dict.fromkeys(loose, 0)
    entries: list[tuple[Any, list[tuple[int, Any]]]] = []
    for atom, power in atoms.items():
        if atom[0] != "t" or tuple in map(type, atom):
            return None
        symbol = tensors[atom[1]]
        slot = {g: group[0] for group in (*symbol.symmetric, *symbol.antisymmetric) for g in group}
        legs = [(slot.get(k, k), value) for k, value in enumerate(atom[2:]) if value in rank]
        free = [
            (slot.get(k, k), value) for k, value in enumerate(atom[2:]) if isinstance(value, str) and value not in rank
        ]
        entries.append(((atom[1], power, *sorted(free)), legs))
    classes = 1
    around: dict[Any, list[Any]] = {v: [spaces[v]] for v in loose}
    for _ in range(MOST_STEPS):
        for head, legs in entries:
            here = (head, *sorted([(k, rank[v]) for k, v in legs]))
            for k, v in legs:
                around[v].append((k, here))
        looks = {v: (rank[v], found[0], *sorted(found[1:])) for v, found in around.items()}
        number = {look: k for k, look in enumerate(sorted(set(looks.values())))}
        if len(number) == len(loose):
            return sorted(loose, key=lambda v: number[looks[v]])
        if len(number) == classes:
            return None
        classes = len(number)
        rank = {v: number[look] for v, look in looks.items()}
        around = {v: [""] for v in loose}
    return None


def _look(
    tensors: Mapping[str, Tensor], term: Term, rank: Mapping[Any, Any], atoms: Mapping[Atom, Any], order: Sequence[Any]
) -> str:
    """Return what a connected part looks like, its variables in canonical order: equal for isomorphic parts only."""
    place = {v: k for k, v in enumerate(order)}
    written = []
    for atom, power in atoms.items():
        head, *values = (_at(atom, place, rank)) if atom[0] == "t" else (_at(atom, place, rank), ())
        if atom[0] == "t":
            symbol = tensors[atom[1]]
            for group in (*symbol.symmetric, *symbol.antisymmetric):
                chosen = sorted((values[g] for g in group), key=repr)
                for g, value in zip(group, chosen, strict=True):
                    values[g] = value
        elif atom[0] in ("d", "n"):
            values = sorted((_named(v, place, rank) for v in atom[1:]), key=repr)
            head = atom[0]
        written.append(repr((head, values, power)))
    return repr((sorted(written), [term.bound[v] for v in order]))


def _at(atom: Atom, place: Mapping[Any, Any], rank: Mapping[Any, Any]) -> Any:
    """Return an atom with its loose variables numbered, so that it does not matter what they are called."""
    if atom[0] == "t":
        return (atom[1], *(place[v] if v in place else _named(v, place, rank) for v in atom[2:]))
    first = FIRST_VALUE[atom[0]]
    return ("", *atom[:first], *(_named(v, place, rank) for v in atom_values(atom)))


def _named(value: Any, place: Mapping[Any, Any], rank: Mapping[Any, Any]) -> Any:
    if isinstance(value, tuple):
        return (shape(value), *(_named(v, place, rank) for v in leaves(value)))
    return place[value] if value in place else ("", rank.get(value, value))


@dataclass
class _Graph:
    """Only variables that nothing else names are vertices."""

    tensors: Mapping[str, Tensor]
    rank: Mapping[Any, Any]
    colours: list[Any] = field(default_factory=list)
    neighbours: list[list[int]] = field(default_factory=list)
    vertex_of: dict[Any, int] = field(default_factory=dict)
    odd: list[tuple[tuple[int, ...], Any]] = field(default_factory=list)

    def order(self, term: Term, loose: Sequence[Any]) -> list[Any] | Odd:
        """Return the loose variables in canonical order."""
        for variable in loose:
            self.vertex_of[variable] = self.vertex(("v", term.bound[variable]))
        for atom, power in term.powers.items():
            self.factor(atom, power, None, 0)
        if len(loose) == 1 and not self.odd:
            return list(loose)
        colours = refine(self.colours, self.neighbours, len(loose))
        seen = [colours[self.vertex_of[v]] for v in loose]
        if len(set(seen)) == len(seen):
            return [v for _, v in sorted(zip(seen, loose, strict=True))]
        if self.odd:
            variable_of = {self.vertex_of[v]: v for v in loose}
            for image in igraph_of(range(len(colours)), self.neighbours).automorphism_group(color=colours):
                if self._sign(image) < 0:
                    return Odd({v: variable_of[image[k]] for k, v in variable_of.items()})
        place = {vertex: k for k, vertex in enumerate(arranged(range(len(colours)), colours, self.neighbours)[1])}
        return sorted(loose, key=lambda v: place[self.vertex_of[v]])

    def _sign(self, image: list[int]) -> int:
        """Return the sign of an automorphism: of the permutations that it makes of antisymmetric legs."""
        slot = {leg: k for legs, _ in self.odd for k, leg in enumerate(legs)}
        sign = 1
        for legs, power in self.odd:
            places = [slot[image[leg]] for leg in legs]
            inversions = sum(a > b for k, a in enumerate(places) for b in places[k + 1 :])
            sign *= -1 if inversions % 2 and power % 2 else 1
        return sign

    def vertex(self, colour: object, *neighbours: int | None) -> int:
        here = len(self.colours)
        self.colours.append(colour)
        self.neighbours.append([])
        for n in neighbours:
            if n is not None:
                self.neighbours[here].append(n)
                self.neighbours[n].append(here)
        return here

    def factor(self, atom: Atom, power: object, parent: int | None, depth: int) -> None:
        kind = atom[0]
        if kind in ("s", "S"):
            self.vertex((depth, *atom, power), parent)
        elif kind in ("E", "f"):
            here = self.vertex((depth, *atom[:-1], power), parent)
            for mono, coefficient in atom[-1]:
                self._mono(mono, coefficient, here, depth + 1)
        else:
            first = 3 if kind == "F" else FIRST_VALUE[kind]
            values = atom_values(atom)
            slots: list[object] = [0] * len(values) if kind in "dn" else list(range(len(values)))
            names = tuple(name for name, _ in atom[3]) if kind == "F" else ()
            legs = self._legs(
                (depth, *atom[:first], *names, power), values, self._slots(atom, slots, parent), parent, depth
            )
            if kind == "t" and parent is None and isinstance(power, int):
                groups = self.tensors[atom[1]].antisymmetric
                self.odd.extend((tuple(legs[g] for g in group), power) for group in groups)

    def _slots(self, atom: Atom, slots: list[object], parent: int | None) -> list[object]:
        """Return what tells the legs of an atom: those of one symmetric group are alike."""
        if atom[0] == "t":
            symbol = self.tensors[atom[1]]
            for kind, groups in (("sym", symbol.symmetric), ("alt", symbol.antisymmetric)):
                for group in groups:
                    # the sign of a nested antisymmetric factor cannot be pulled out, so its legs keep their places
                    if kind == "sym" or parent is None:
                        for slot in group:
                            slots[slot] = (kind, group[0])
        return slots

    def _legs(
        self, colour: tuple[Any, ...], values: Sequence[Any], slots: list[object], parent: int | None, depth: int
    ) -> list[int]:
        here = self.vertex(("factor", *colour), parent)
        found = []
        for value, slot in zip(values, slots, strict=True):
            if isinstance(value, tuple):
                leg = self.vertex(("leg", depth, slot, repr(shape(value))), here)
                for k, variable in enumerate(leaves(value)):
                    self._end(("part", depth, k), variable, leg)
            else:
                leg = self._end(("leg", depth, slot), value, here)
            found.append(leg)
        return found

    def _end(self, colour: tuple[Any, ...], variable: Any, parent: int) -> int:
        if variable in self.vertex_of:
            return self.vertex(colour, parent, self.vertex_of[variable])
        return self.vertex((*colour, str(self.rank.get(variable, variable))), parent)

    def _mono(self, mono: Any, coefficient: object, parent: int, depth: int) -> None:
        factors, bound, chains = mono
        saved = {v: self.vertex_of[v] for v, _ in bound if v in self.vertex_of}
        here = self.vertex(("mono", depth, str(coefficient)), parent)
        for variable, space in bound:
            self.vertex_of[variable] = self.vertex(("bound", depth, space), here)
        for space, blocks in chains:
            for rank, block in enumerate(blocks):
                for variable in block:
                    self._end(("chain", depth, space, rank), variable, here)
        for atom, power in factors:
            self.factor(atom, power, here, depth)
        for variable, _ in bound:
            del self.vertex_of[variable]
        self.vertex_of.update(saved)


def refine(colours: Sequence[Any], neighbours: Sequence[Sequence[int]], wanted: int) -> list[int]:
    """Return the stable colouring of a graph as numbers that do not depend on the vertex order.

    It stops early once the first `wanted` vertices, which share no colour with others, have colours of their own.
    Cells are split by how many neighbours a vertex has in another cell, the largest part of a split cell waits for no
    turn of its own (J. E. Hopcroft, *An n log n algorithm for minimizing states in a finite automaton*, 1971).

    Examples
    --------
    >>> refine(["a", "a", "b"], [[2], [], [0]], 2)
    [1, 0, 2]
    """
    groups: dict[Any, list[int]] = {}
    for vertex, value in enumerate(colours):
        groups.setdefault(value, []).append(vertex)
    order: list[int] = []  # the vertices, cell after cell; a cell is called by its place, which is its colour
    colour, length = [0] * len(colours), [0] * len(colours)
    for value in sorted(groups, key=repr):
        cell = len(order)
        length[cell] = len(groups[value])
        order += groups[value]
        for vertex in groups[value]:
            colour[vertex] = cell
    place = [0] * len(order)
    for k, vertex in enumerate(order):
        place[vertex] = k
    missing = wanted - len({colour[vertex] for vertex in range(wanted)})
    queue = deque(k for k in range(len(order)) if length[k])
    waiting = set(queue)
    while queue and missing:
        splitter = queue.popleft()
        waiting.discard(splitter)
        counts: dict[int, int] = {}
        for vertex in order[splitter : splitter + length[splitter]]:
            for other in neighbours[vertex]:
                if length[colour[other]] > 1:
                    counts[other] = counts.get(other, 0) + 1
        touched: dict[int, list[int]] = {}
        for other in counts:
            touched.setdefault(colour[other], []).append(other)
        for cell in sorted(touched) if len(touched) > 1 else touched:
            hit, end = touched[cell], cell + length[cell]
            hit.sort(key=counts.__getitem__, reverse=True)
            if len(hit) == length[cell] and counts[hit[0]] == counts[hit[-1]]:
                continue
            parts, last = [], -1  # those that are hit most often go to the end of the cell
            for vertex in hit:
                if counts[vertex] != last:
                    last = counts[vertex]
                    parts.append(end)
                end -= 1
                other, k = order[end], place[vertex]
                order[k], place[other], order[end], place[vertex] = other, k, vertex, end
            bounds = [*([cell] if end > cell else []), end, *reversed(parts[1:]), parts[0]]
            starts = bounds[:-1]
            for begin, stop in pairwise(bounds):
                length[begin] = stop - begin
                if begin != cell:
                    for vertex in order[begin:stop]:
                        colour[vertex] = begin
            if order[cell] < wanted:
                missing -= len(starts) - 1
            largest = None if cell in waiting else max(starts, key=length.__getitem__)
            for begin in starts:
                if begin != largest and begin not in waiting:
                    queue.append(begin)
                    waiting.add(begin)
    return colour


def arranged(
    vertices: Sequence[int], colours: Sequence[int], neighbours: Sequence[Sequence[int]]
) -> tuple[Any, list[int]]:
    """Return what a stably coloured graph looks like, equal for isomorphic graphs only, and its vertices in order.

    A colour that occurs once says all about the edges to its vertex, which can therefore be taken away; what falls
    apart is arranged part by part, equal parts in any order.  BLISS gets what does not.
    """
    count = Counter(colours[v] for v in vertices)
    alone = sorted((v for v in vertices if count[colours[v]] == 1), key=lambda v: colours[v])
    rest = [v for v in vertices if count[colours[v]] > 1]
    parts = components(rest, neighbours)
    if len(parts) == 1 and not alone:
        return _labelled(rest, colours, neighbours)
    found = sorted((arranged(part, colours, neighbours) for part in parts), key=lambda item: item[0])
    look = (0, *(colours[v] for v in alone)), tuple(key for key, _ in found)
    return look, [*alone, *(v for _, order in found for v in order)]


def components(vertices: Sequence[int], neighbours: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the connected components of the graph on some vertices.

    Examples
    --------
    >>> components([0, 1, 2], [[1, 3], [0], [3], [0, 2]])
    [[0, 1], [2]]
    """
    left = set(vertices)
    found = []
    for vertex in vertices:
        if vertex not in left:
            continue
        left.discard(vertex)
        part = [vertex]
        for v in part:
            for other in neighbours[v]:
                if other in left:
                    left.discard(other)
                    part.append(other)
        found.append(part)
    return found


def igraph_of(vertices: Sequence[int], neighbours: Sequence[Sequence[int]]) -> Any:
    """Return the graph on some vertices, numbered as they are given."""
    import igraph

    place = {v: k for k, v in enumerate(vertices)}
    edges = [(place[v], place[n]) for v in vertices for n in neighbours[v] if n in place and v < n]
    return igraph.Graph(n=len(place), edges=edges)


def _labelled(
    vertices: Sequence[int], colours: Sequence[int], neighbours: Sequence[Sequence[int]]
) -> tuple[Any, list[int]]:
    """Return what a connected graph looks like, and its vertices, in the order that BLISS gives them."""
    graph = igraph_of(vertices, neighbours)
    graph.vs["old"] = list(range(len(vertices)))
    placed = graph.permute_vertices(graph.canonical_permutation(color=[colours[v] for v in vertices]))
    order = [vertices[k] for k in placed.vs["old"]]
    edges = sorted((min(pair), max(pair)) for pair in placed.get_edgelist())
    return ((1, *(colours[v] for v in order)), tuple(edges)), order
