"""Matching: where a pattern occurs in a term.

A pattern occurs only where each of its bound indices is bound in the term and occurs in no factor, mask or function
outside the match: otherwise ``U[i,a] U[i,b] = delta[a,b]`` inside ``U[i,a] U[i,b] x[i]`` would be used, which is
wrong.  Boundary indices may coincide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Any

from tensoralg.normal.label import Labelling, parity
from tensoralg.normal.terms import Atom, Term, atom_values, is_fixed, leaves, shape, variables


class Matching(Labelling):
    """Matching of patterns up to renaming and the symmetry of legs."""

    def matches(self, pattern: Term, term: Term) -> Iterator[tuple[dict[Any, Any], Term]]:
        """Yield the ways in which a pattern occurs in a term: what its variables become, and the rest."""
        have = Counter(label(a) for a in term.powers)
        if any(not have[label(a)] for a in pattern.powers):
            return
        atoms = sorted(pattern.powers.items(), key=lambda item: have[label(item[0])])
        for to, rest in self._extended(atoms, {}, term):
            images = [to[v] for v in pattern.bound]
            outside = {v for atom in rest.powers for v in variables(atom)}
            others = {to[v] for atom in pattern.powers for v in variables(atom) if v not in pattern.bound}
            glued = len(set(images)) == len(images) and all(v in term.bound for v in images)
            if glued and not (outside | others) & set(images):
                for v in images:
                    del rest.bound[v]
                yield to, rest

    def _extended(
        self, atoms: list[tuple[Atom, Any]], to: dict[Any, Any], rest: Term
    ) -> Iterator[tuple[dict[Any, Any], Term]]:
        if not atoms:
            yield to, rest.copy()
            return
        (atom, power), *others = atoms
        for candidate, available in list(rest.powers.items()):
            if label(candidate) != label(atom) or not (isinstance(available, int) and 0 < power <= available):
                continue
            for sign, values in self.arrangements(candidate):
                extended = self._unified(atom_values(atom), values, to)
                if extended is not None:
                    left = rest.copy(sign**power).times(candidate, -power)
                    yield from self._extended(others, extended, left)

    def arrangements(self, atom: Atom) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the values of an atom in every order that its symmetry allows, with the sign."""
        values = atom_values(atom)
        symbol = self.setting.tensors[atom[1]] if atom[0] == "t" else None
        even = symbol.symmetric if symbol else ()
        groups = (*even, *symbol.antisymmetric) if symbol else ()
        for orders in product(*(permutations(range(len(group))) for group in groups)):
            arranged, sign = list(values), 1
            for k, (group, order) in enumerate(zip(groups, orders, strict=True)):
                sign *= parity(order) if k >= len(even) else 1
                for slot, source in zip(group, order, strict=True):
                    arranged[slot] = values[group[source]]
            yield sign, tuple(arranged)

    def _unified(self, pattern: Sequence[Any], values: Sequence[Any], to: dict[Any, Any]) -> dict[Any, Any] | None:
        result = dict(to)
        for left, right in zip(pattern, values, strict=True):
            if shape(left) != shape(right):
                return None
            for a, b in zip(all_leaves(left), all_leaves(right), strict=True):
                # an end of a decay, or a basis vector, stands for itself only
                constant = a in ("+", "-") or b in ("+", "-") or is_fixed(a)
                if constant and a != b:
                    return None
                if not constant and (result.setdefault(a, b) != b or self.atomic(a) != self.atomic(b)):
                    return None
        return result


def all_leaves(value: Any) -> list[Any]:
    """Return the variables of a value; of a basis vector or an end of a decay, itself."""
    return [value] if isinstance(value, str) and value[:1] in "#+-" else list(leaves(value))


def label(atom: Atom) -> Any:
    """Return what two atoms have in common when one can become the other by renaming."""
    if atom[0] == "F":
        return (*atom[:3], tuple(name for name, _ in atom[3]))
    if atom[0] in ("s", "E", "f", "S"):
        return atom
    return atom[: len(atom) - len(atom_values(atom))]
