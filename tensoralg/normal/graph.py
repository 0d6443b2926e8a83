"""The coloured graph of a monomial, and the canonical order of its bound variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensoralg.expr.tensor import Tensor
from tensoralg.normal.terms import FIRST_VALUE, Atom, Term, atom_values, leaves, shape


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
    tensors: Mapping[str, Tensor], term: Term, rank: Mapping[Any, Any], loose: Sequence[Any]
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
    """
    return _Graph(tensors, rank).order(term, loose)


@dataclass
class _Graph:
    """Only variables that nothing else names are vertices."""

    tensors: Mapping[str, Tensor]
    rank: Mapping[Any, Any]
    colours: list[str] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
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
        colours = refine(self.colours, self.edges)
        seen = [colours[self.vertex_of[v]] for v in loose]
        if len(set(seen)) == len(seen):
            return [v for _, v in sorted(zip(seen, loose, strict=True))]
        return self._bliss(loose, colours)

    def _bliss(self, loose: Sequence[Any], colours: list[int]) -> list[Any] | Odd:
        import igraph

        graph = igraph.Graph(n=len(colours), edges=self.edges)
        if self.odd:
            for image in graph.automorphism_group(color=colours):
                if self._sign(image) < 0:
                    variable = {self.vertex_of[v]: v for v in loose}
                    return Odd({v: variable[image[self.vertex_of[v]]] for v in loose})
        graph.vs["old"] = list(range(len(colours)))
        placed = graph.permute_vertices(graph.canonical_permutation(color=colours)).vs["old"]
        position = {vertex: k for k, vertex in enumerate(placed)}
        return sorted(loose, key=lambda v: position[self.vertex_of[v]])

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
        self.colours.append(repr(colour))
        here = len(self.colours) - 1
        self.edges.extend((here, n) for n in neighbours if n is not None)
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


def refine(colours: list[str], edges: list[tuple[int, int]]) -> list[int]:
    """Return the stable colouring of a graph as numbers that do not depend on the vertex order.

    Examples
    --------
    >>> refine(["a", "a", "b"], [(0, 2)])
    [1, 0, 2]
    """
    neighbours: list[list[int]] = [[] for _ in colours]
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    current = _number(list(colours))
    classes = len(set(current))
    while True:
        signatures = [(c, tuple(sorted(current[n] for n in neighbours[v]))) for v, c in enumerate(current)]
        current = _number(signatures)
        if len(set(current)) == classes:
            return current
        classes = len(set(current))


def _number(values: list[Any]) -> list[int]:
    rank = {value: k for k, value in enumerate(sorted(set(values)))}
    return [rank[value] for value in values]
