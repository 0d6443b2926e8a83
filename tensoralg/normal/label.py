"""Canonical labelling: one name for every monomial up to renaming of its bound variables.

A canonical monomial is ``(factors, bound, chains)`` with its bound variables numbered -1, -2, ... in an
order that does not depend on how it was written.  That order comes from a coloured graph in which every
leg is a vertex of its own (labellers ignore multiple edges) and legs of one symmetric group share a
colour; variables that stand in a strict chain are told apart by their rank.  Colour refinement settles
most monomials; the others go to igraph's BLISS, which is exact (T. Junttila & P. Kaski, *Engineering
an efficient canonical labeling tool*, ALENEX 2007).

A canonical monomial is the monomial written out in full, so equal canonical forms mean literally equal
terms: soundness does not rest on the labelling, only completeness does.

Signs: reordering the legs of an antisymmetric tensor multiplies by the sign of the permutation, and a
monomial with an odd automorphism equals its own negative and is 0.  The sign is a homomorphism on the
automorphism group, so it is enough to look at generators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.terms import Atom, Run, Term, Var, atom_vars, is_nested, rename_atom, times

Mono = tuple[Any, ...]
Form = tuple[tuple[Mono, Fraction], ...]


def canonical(run: Run, term: Term) -> tuple[int, Mono] | None:
    """Return a term without its coefficient as a sign and a canonical monomial; None where it is 0."""
    first, merged = _sorted_legs(run, term.factors)
    if first == 0:
        return None
    term = Term(term.coefficient, merged, term.bound, term.chains)
    ranks = {v: (space, k) for space, blocks in term.chains.items() for k, block in enumerate(blocks) for v in block}
    loose = sorted(v for v in term.bound if v not in ranks)
    order = _Graph(run, term, ranks).order(loose) if loose else []
    if order is None:
        return None
    chained = sorted((v for v in term.bound if v in ranks), key=lambda v: ranks[v])
    below = max((height(atom) for atom in term.factors), default=0)
    mapping: dict[Var, Var] = {v: -(below + k + 1) for k, v in enumerate([*chained, *order])}
    sign, factors = _rename_factors(run, term.factors, mapping)
    if sign == 0:
        return None
    chains = tuple(
        (space, tuple(tuple(sorted((mapping.get(v, v) for v in block), key=str)) for block in term.chains[space]))
        for space in sorted(term.chains)
        if term.chains[space]
    )
    bound = tuple((mapping[v], run.spaces[v].name) for v in [*chained, *order])
    return first * sign, (tuple(sorted(factors.items(), key=_key)), bound, chains)


def _sorted_legs(run: Run, factors: Mapping[Atom, Any]) -> tuple[int, dict[Atom, Any]]:
    """Return a sign and the factors with symmetric legs sorted, so that equal entries are one power."""
    sign = 1
    table: dict[Atom, Any] = {}
    for atom, exponent in factors.items():
        flip, ordered = sort_legs(run.tensors, atom)
        if flip == 0:
            return 0, {}
        if flip < 0:
            sign *= flip ** abs(exponent)
        table = times(table, {ordered: exponent})
    return sign, table


def _key(item: object) -> str:
    return repr(item)


def height(atom: Atom) -> int:
    """Return how many bound numbers the nested forms of an atom use."""
    if not is_nested(atom):
        return 0
    monos = [atom[1]] if atom[0] == "e" else [mono for mono, _ in atom[-1]]
    return max((mono_height(mono) for mono in monos), default=0)


def mono_height(mono: Mono) -> int:
    """Return how many bound numbers a canonical monomial uses, nested ones included."""
    factors, bound, _ = mono
    return max([height(atom) for atom, _ in factors] + [-v for v, _ in bound], default=0)


def thaw(run: Run, mono: Mono, coefficient: Fraction = Fraction(1), mapping: Mapping[Var, Var] | None = None) -> Term:
    """Return a canonical monomial as a term with fresh bound variables, open ones renamed by `mapping`."""
    factors, bound, chains = mono
    fresh: dict[Var, Var] = {v: run.fresh(run.by_name[name]) for v, name in bound}
    mapping = {**(mapping or {}), **fresh}
    sign, table = _rename_factors(run, dict(factors), mapping)
    opened = {space: tuple(tuple(mapping.get(v, v) for v in block) for block in blocks) for space, blocks in chains}
    return Term(coefficient * sign, table, {v for v in fresh.values() if isinstance(v, int)}, opened)


def _rename_factors(run: Run, factors: Mapping[Atom, Any], mapping: Mapping[Var, Var]) -> tuple[int, dict[Atom, Any]]:
    """Return the sign and the factors under an injective renaming, symmetric legs sorted."""
    sign = 1
    table: dict[Atom, Any] = {}
    for atom, exponent in factors.items():
        if is_nested(atom):
            moved = {v: mapping[v] for v in atom_vars(atom) if v in mapping}
            flip, renamed = rename_nested(run, atom, moved) if moved else (1, atom)
            exponent = exponent * flip if atom[0] == "e" else exponent
        else:
            flip, renamed = sort_legs(run.tensors, rename_atom(atom, mapping))
            if flip == 0:
                return 0, {}
            if flip < 0:
                sign *= flip ** abs(exponent)
        table = times(table, {renamed: tidy(exponent)})
    return sign, table


def rename_nested(run: Run, atom: Atom, mapping: Mapping[Var, Var]) -> tuple[int, Atom]:
    """Return a nested form under an injective renaming, and the sign that goes to the power of an exp."""
    if atom[0] == "e":
        sign, mono = _rename_mono(run, atom[1], mapping)
        return sign, ("e", mono)
    form = sorted(((mono, c * sign) for m, c in atom[-1] for sign, mono in [_rename_mono(run, m, mapping)]), key=_key)
    return 1, (*atom[:-1], tuple(form))


def tidy(exponent: Any) -> Any:
    """Return an exponent as an int where it is one, so that equal powers look alike."""
    return int(exponent) if exponent == int(exponent) else Fraction(exponent)


def _rename_mono(run: Run, mono: Mono, mapping: Mapping[Var, Var]) -> tuple[int, Mono]:
    run.spend(1)
    term = thaw(run, mono, mapping=mapping)
    found = canonical(run, term)
    if found is None:
        raise Undecided("a renaming made a monomial vanish", remedy="this is a bug; please report the claim")
    return int(term.coefficient) * found[0], found[1]


def sort_legs(tensors: Mapping[str, Tensor], atom: Atom) -> tuple[int, Atom]:
    """Return a tensor entry with the legs of its symmetric groups sorted, and the sign (0 if it vanishes)."""
    if atom[0] != "t" or atom[1] not in tensors:
        return 1, atom
    legs, sign = list(atom[2]), 1
    symbol = tensors[atom[1]]
    for group in symbol.symmetric:
        for slot, value in zip(group, sorted((legs[g] for g in group), key=str), strict=True):
            legs[slot] = value
    for group in symbol.antisymmetric:
        values = [legs[g] for g in group]
        if len(set(values)) < len(values):
            return 0, atom
        ordered = sorted(values, key=str)
        sign *= parity([ordered.index(v) for v in values])
        for slot, value in zip(group, ordered, strict=True):
            legs[slot] = value
    return sign, ("t", atom[1], tuple(legs))


def parity(permutation: list[int]) -> int:
    """Return the sign of a permutation of 0..k-1.

    Examples
    --------
    >>> parity([0, 1, 2]), parity([1, 0, 2])
    (1, -1)
    """
    inversions = sum(a > b for k, a in enumerate(permutation) for b in permutation[k + 1 :])
    return -1 if inversions % 2 else 1


@dataclass
class _Graph:
    """The coloured graph of a term; only variables that nothing else names are vertices."""

    run: Run
    term: Term
    ranks: Mapping[Var, Any]
    colours: list[str] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    vertex_of: dict[Var, int] = field(default_factory=dict)
    odd: list[tuple[tuple[int, ...], int]] = field(default_factory=list)

    def order(self, loose: list[int]) -> list[int] | None:
        """Return the loose variables in canonical order; None if an odd automorphism exists."""
        for variable in loose:
            self.vertex_of[variable] = self.vertex(("v", self.run.spaces[variable].name))
        for atom, exponent in self.term.factors.items():
            self.factor(atom, exponent, None, 0)
        if len(loose) == 1 and not self.odd:
            return loose
        colours = refine(self.colours, self.edges)
        seen = [colours[self.vertex_of[v]] for v in loose]
        if len(set(seen)) == len(seen):
            return [v for _, v in sorted(zip(seen, loose, strict=True))]
        return self._bliss(loose, colours)

    def _bliss(self, loose: list[int], colours: list[int]) -> list[int] | None:
        import igraph

        graph = igraph.Graph(n=len(colours), edges=self.edges)
        if self.odd and any(self._sign(p) < 0 for p in graph.automorphism_group(color=colours)):
            return None
        graph.vs["old"] = list(range(len(colours)))
        placed = graph.permute_vertices(graph.canonical_permutation(color=colours)).vs["old"]
        position = {vertex: k for k, vertex in enumerate(placed)}
        return sorted(loose, key=lambda v: position[self.vertex_of[v]])

    def _sign(self, image: list[int]) -> int:
        """Return the sign of an automorphism: of the permutations that it makes of antisymmetric legs."""
        slot = {leg: k for legs, _ in self.odd for k, leg in enumerate(legs)}
        sign = 1
        for legs, exponent in self.odd:
            sign *= parity([slot[image[leg]] for leg in legs]) ** abs(exponent)
        return sign

    def vertex(self, colour: object, *neighbours: int | None) -> int:
        self.colours.append(repr(colour))
        here = len(self.colours) - 1
        self.edges.extend((here, n) for n in neighbours if n is not None)
        return here

    def name(self, variable: Var) -> object:
        """Return what tells a variable that is no vertex."""
        return ("rank", self.ranks[variable]) if variable in self.ranks else variable

    def factor(self, atom: Atom, exponent: object, parent: int | None, depth: int) -> None:
        kind = atom[0]
        if kind == "s":
            self.vertex((depth, kind, atom[1], exponent), parent)
        elif kind == "t":
            self._entry(atom, exponent, parent, depth)
        elif kind in ("e", "f", "r"):
            here = self.vertex((depth, kind, atom[1] if kind == "f" else "", exponent), parent)
            for mono, coefficient in ((atom[1], 1),) if kind == "e" else atom[-1]:
                self._mono(mono, coefficient, here, depth + 1)
        else:
            legs = atom[2] if kind == "o" else atom[2:] if kind == "m" else atom[1:]
            label = atom[1] if kind in ("o", "m") else ""
            slots = [0 if kind == "d" else k for k in range(len(legs))]
            self._legs((depth, kind, label, exponent), list(legs), slots, parent, depth)

    def _entry(self, atom: Atom, exponent: object, parent: int | None, depth: int) -> None:
        symbol = self.run.tensors.get(atom[1])
        slots: list[object] = list(range(len(atom[2])))
        for kind, groups in (("sym", getattr(symbol, "symmetric", ())), ("alt", getattr(symbol, "antisymmetric", ()))):
            for group in groups:
                # the sign of a nested antisymmetric factor cannot be pulled out, so its legs keep their places
                if kind == "sym" or parent is None:
                    for slot in group:
                        slots[slot] = (kind, group[0])
        legs = self._legs((depth, "t", atom[1], exponent), list(atom[2]), slots, parent, depth)
        if parent is None and symbol is not None and isinstance(exponent, int):
            self.odd.extend((tuple(legs[g] for g in group), exponent) for group in symbol.antisymmetric)

    def _legs(
        self, colour: tuple[Any, ...], legs: list[Var], slots: Iterable[object], parent: int | None, depth: int
    ) -> list[int]:
        here = self.vertex(("factor", *colour), parent)
        found = []
        for variable, slot in zip(legs, slots, strict=True):
            if variable in self.vertex_of:
                found.append(self.vertex(("leg", depth, slot), here, self.vertex_of[variable]))
            else:
                found.append(self.vertex(("leg", depth, slot, str(self.name(variable))), here))
        return found

    def _mono(self, mono: Mono, coefficient: object, parent: int, depth: int) -> None:
        factors, bound, chains = mono
        saved = {v: self.vertex_of[v] for v, _ in bound if v in self.vertex_of}
        here = self.vertex(("mono", depth, str(coefficient)), parent)
        for variable, space in bound:
            self.vertex_of[variable] = self.vertex(("bound", depth, space), here)
        for space, blocks in chains:
            for rank, block in enumerate(blocks):
                for variable in block:
                    if variable in self.vertex_of:
                        self.vertex(("chain", depth, space, rank), here, self.vertex_of[variable])
                    else:
                        self.vertex(("chain", depth, space, rank, str(self.name(variable))), here)
        for atom, exponent in factors:
            self.factor(atom, exponent, here, depth)
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
