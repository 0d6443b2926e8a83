"""What is known to be positive.

A form is *known positive* if it has only nonnegative coefficients once every size and position is written as what
is below it plus something not negative (``n = p_t + n'``, ``p_t = p_s + 1 + p'`` for s < t, ``p_s = 1 + p'``), only
nonnegative factors, and at least one term with a positive coefficient and positive factors that is never an empty
sum.  ``sum(s: lt[s,t]*exp(..))`` is 0 at the first t and is not known positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

from tensoralg.normal.order import Ordering
from tensoralg.normal.terms import Atom, Form, Known

SIZES = ("s", "p")


class Signs(Ordering):
    """Signs of atoms and forms."""

    def sign(self, atom: Atom, power: Any) -> int:
        """Return 1 if a power of an atom is positive, 0 if it is not negative, -1 if neither is known."""
        kind = atom[0]
        gate = kind == "t" or (kind == "G" and len(atom) < 8)
        if kind in "spE" or (gate and self.setting.tensors[atom[1]].positive):
            return 1
        if kind == "f" and atom[1] == "1/":
            return 1 if self.positive(atom[2], {}) else -1
        if kind == "f" and atom[1] == "sqrt":
            return 1 if self.positive(atom[2], {}) else 0
        even = isinstance(power, int) and power % 2 == 0
        selects = kind == "t" and self.setting.tensors[atom[1]].permutation
        return 0 if even or selects or kind in "dmn" or (kind == "f" and atom[1] == "relu") else -1

    def positive(self, form: Form, known: Known, strict: bool = True) -> bool:
        """Whether a form is known to be positive (not negative, if not strict) at a fixed order of its variables."""
        groups: dict[Any, dict[Any, Any]] = {}
        for (factors, bound, order), c in form:
            rest = tuple(f for f in factors if f[0][0] not in SIZES)
            groups.setdefault((rest, bound, order), {})[tuple(f for f in factors if f[0][0] in SIZES)] = c
        reached = not strict
        for (rest, bound, order), polynomial in groups.items():
            selecting = self._selecting(rest, bound, order)
            signs = [1 if atom in selecting else self.sign(atom, e) for atom, e in rest]
            level = self._least(polynomial, known)
            if level < 0 or any(sign < 0 for sign in signs):
                return False
            own = {v for v, _ in bound}
            filled = all(len(blocks) == 1 or not any(b[0] in own for b in blocks) for _, blocks in order)
            reached |= level > 0 and filled and all(sign > 0 for sign in signs)
        return reached

    def _selecting(self, rest: Any, bound: Any, order: Any) -> set[Atom]:
        """Return entries of permutation matrices that only select values of bound variables.

        ``sum_a P[t,a] y[a]`` is one of the y, so P does not matter to the sign; this holds for entries that can be
        removed one after the other, each with a bound variable that no remaining one mentions.
        """
        chained = {v for _, blocks in order for b in blocks for v in b}
        loose = {v for v, _ in bound} - chained
        left = [a for a, e in rest if a[0] == "t" and e == 1 and self.setting.tensors[a[1]].permutation]
        found: set[Atom] = set()
        while left:
            for atom in left:
                others = {v for b in left if b != atom for v in b[2:]}
                if atom[2] != atom[3] and any(v in loose and v not in others for v in atom[2:]):
                    left.remove(atom)
                    found.add(atom)
                    break
            else:
                break
        return found

    def _least(self, polynomial: Mapping[Any, Any], known: Known) -> int:
        """Return 1, 0 or -1: a polynomial in sizes and positions is positive, not negative, or neither is known."""
        if all(c > 0 for c in polynomial.values()):
            return 1
        if any(not isinstance(e, int) or e < 0 for key in polynomial for _, e in key):
            return -1
        below = self._below(known)
        total: dict[Any, Any] = {}
        for key, c in polynomial.items():
            part: dict[Any, Any] = {(): c}
            for atom, e in key:
                line = [atom]
                while line[-1] in below:
                    line.append(below[line[-1]])
                least = sum(a[0] == "p" for a in line) or 1
                for _ in range(e):
                    part = _times(part, {(): least, **{(a,): 1 for a in line}})
            for name, x in part.items():
                total[name] = total.get(name, 0) + x
        return -1 if any(x < 0 for x in total.values()) else 1 if total.get((), 0) > 0 else 0

    def _below(self, known: Known) -> dict[Atom, Atom]:
        """Return, for every position and size, the position right below it."""
        below: dict[Atom, Atom] = {}
        for space, order in known.items():
            for a, b in pairwise(order):
                below["p", b] = ("p", a)
            if order:
                below["s", str(self.setting.spaces[space][0])] = ("p", order[-1])
        return below


def _times(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for (a, x), (b, y) in product(left.items(), right.items()):
        name = tuple(sorted((*a, *b), key=str))
        result[name] = result.get(name, 0) + x * y
    return result
