"""Terms and forms of the normaliser, printed in the language of certificates."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tensoralg.normal.order import masked
from tensoralg.normal.terms import ENDS, WAITING, Atom, Form, Term, blank
from tensoralg.proof import checker


class Writer:
    """Prints terms and forms in the language of certificates; bound variables get names of their own.

    Parameters
    ----------
    prefix : str
        What the names of the bound variables of one statement start with.
    """

    def __init__(self, prefix: str = "b") -> None:
        self.prefix, self.count = prefix, 0

    def name(self, variable: Any) -> str:
        """Return the name of a variable."""
        return variable if isinstance(variable, str) else f"{self.prefix}{variable}"

    def index(self, value: Any, names: Mapping[Any, str]) -> Any:
        """Return an index value as an index."""
        if isinstance(value, tuple):
            if value[0] == "+":
                return ("+", value[1], self.index(value[2], names), value[3])
            return ("*", *(self.index(part, names) for part in value[1:]))
        if isinstance(value, str) and value.startswith("#"):
            place, space = value[1:].split("@")
            return ("#", int(place), space)
        return value if value in ENDS else names.get(value) or self.name(value)

    def wrapped(self, value: Any, wraps: Any, names: Mapping[Any, str]) -> Any:
        """Return a time in summands of a clock as an index of the clock."""
        index = self.index(value, names)
        for position, space in reversed(wraps):
            index = ("+", position, index, space)
        return index

    @staticmethod
    def clock(atom: Atom) -> tuple[Any, Any]:
        """Return the gate of a decay and the space over which it runs."""
        _, gate, wraps, space, *_ = atom
        return gate, wraps[0][1] if wraps else space

    def atom(self, atom: Atom, power: Any, names: Mapping[Any, str]) -> Any:
        """Return a power of an atom as a term."""
        kind = atom[0]
        show = [self.index(v, names) for v in atom[2:]] if kind == "t" else []
        if kind == "t":
            node: Any = ("t", atom[1], *show)
        elif kind in "dn":
            delta = ("delta", *(self.index(v, names) for v in atom[1:]))
            node = delta if kind == "d" else ("+", 1, ("*", -1, delta))
        elif kind == "m":
            node = ("lt" if atom[1] else "le", self.index(atom[2], names), self.index(atom[3], names))
        elif kind in "DG":
            ends = (self.wrapped(v, atom[2], names) for v in atom[4:6])
            node = (
                "decay" if kind == "D" else "gap",
                *self.clock(atom),
                *ends,
                *(self.index(v, names) for v in atom[6:]),
            )
        elif kind == "s":
            node = atom[1] if isinstance(atom[1], int) else ("size", atom[1])
            while int(power) != power or (isinstance(atom[1], int) and node == atom[1]):
                node, power = ("sqrt", node), 2 * power
        elif kind == "p":
            node = ("place", self.index(atom[1], names))
        elif kind == "F":
            to = {name: self.index(value, names) for name, value in atom[3]}
            node = checker.apply(atom[1], checker.put(atom[2], to.__getitem__))
        elif kind == "E":
            node = ("exp", self.form(atom[1], names))
        elif kind == "S":
            node = checker.apply(atom[1], atom[2])
        else:
            node = checker.apply("1/" if atom[1] == WAITING else atom[1], self.form(atom[2], names))
        return node if power == 1 else ("^", node, int(power))

    def form(self, form: Form, names: Mapping[Any, str]) -> Any:
        """Return a form as a term, its bound names by their depth.

        The order of the monomials does not depend on names as far as they differ without: functions are compared as
        they are spelled, and a step that renames variables is not noted.
        """
        ordered = sorted(form, key=lambda part: (repr(blank(part[0])), -part[1]))
        monos = [self.mono(mono, c, names) for mono, c in ordered] or [0]
        return checker.put(monos[0] if len(monos) == 1 else ("+", *monos), lambda name: name)

    def mono(self, mono: Any, coefficient: Any, names: Mapping[Any, str]) -> Any:
        """Return a canonical monomial as a term."""
        factors, bound, chains = mono
        inner = dict(names)
        scope = []
        for v, space in bound:
            self.count += 1
            inner[v] = f"w{self.count}"
            scope.append((inner[v], space))
        term = masked(Term(coefficient, dict(factors), {}, dict(chains)))
        body = self.product(term, inner)
        return ("sum", tuple(scope), body) if scope else body

    def product(self, term: Term, names: Mapping[Any, str]) -> Any:
        """Return a term without its sum."""
        coefficient = Fraction(term.coefficient)
        p, q = coefficient.numerator, coefficient.denominator
        number = p if q == 1 else ("num", p, q)
        factors = [self.atom(atom, power, names) for atom, power in term.powers.items()]
        if not factors:
            return number
        return factors[0] if number == 1 and len(factors) == 1 else ("*", *(() if number == 1 else (number,)), *factors)
