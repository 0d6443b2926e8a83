"""Terms: monomials under bound variables, the working form of the normaliser.

The language is that of certificates (`tensoralg.proof.encode`): nested tuples whose first entry says the kind.
A *value* is what an index stands for: a variable (a name if it is free, an int if it is bound), ``"#k@V"`` (the
k-th basis vector of V), ``("*", values..)`` over a product, ``("+", position, value, space)`` over a direct sum.

======================================================= =====================================================
atom                                                    meaning
======================================================= =====================================================
("t", name, values..)                                   an entry of a tensor
("d", u, v)                                             delta
("n", u, v)                                             1 - delta
("m", strict, u, v)                                     u < v if strict, else u <= v
("D", gate, wraps, space, later, earlier, values..)     a decay: the gates at earlier < r <= later
("G", gate, wraps, space, later, earlier, values..)     the same without the step at `later`
("s", base)                                             a size (str), or a prime under a root (int)
("p", v)                                                the position of v in its ordered space, from 1
("F", function, node, env)                              a function not yet normalised; ``1/`` is the reciprocal
("f", function, form)                                   a normalised one
("E", form)                                             the exponential of a form
("S", function, term)                                   a function spelled out in the language, inert
======================================================= =====================================================

A *form* is a sorted tuple of (canonical monomial, coefficient), and a canonical monomial is ``(factors, bound,
chains)`` with its bound variables numbered -1, -2, ... (`tensoralg.normal.label`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

Atom: TypeAlias = tuple[Any, ...]
Form: TypeAlias = tuple[Any, ...]
Known: TypeAlias = Mapping[str, tuple[Any, ...]]

FUNCTIONS = ("exp", "log", "sqrt", "relu")
ENDS = ("+", "-")
WAITING = "1/ later"  # a reciprocal that stays as it is until what it divides was multiplied out
UNIT: Any = ((), (), ())
ONE: Form = ((UNIT, Fraction(1)),)
FIRST_VALUE = {"t": 2, "m": 2, "D": 4, "G": 4, "d": 1, "n": 1, "p": 1}


class Term:
    """A coefficient times atoms to powers, summed over `bound`; `chains` holds the order once it is fixed."""

    __slots__ = ("bound", "chains", "coefficient", "powers")

    def __init__(
        self,
        coefficient: Any = Fraction(1),
        powers: dict[Atom, Any] | None = None,
        bound: dict[Any, str] | None = None,
        chains: dict[str, tuple[tuple[Any, ...], ...]] | None = None,
    ) -> None:
        self.coefficient = coefficient
        self.powers = {} if powers is None else powers
        self.bound = {} if bound is None else bound
        self.chains = {} if chains is None else chains

    def copy(self, coefficient: Any = 1) -> Term:
        """Return a copy, multiplied by a number."""
        return Term(self.coefficient * coefficient, dict(self.powers), dict(self.bound), dict(self.chains))

    def times(self, atom: Atom, power: Any = 1) -> Term:
        """Multiply by a power of an atom, in place."""
        total = self.powers.pop(atom, 0) + power
        if total:
            self.powers[atom] = int(total) if total == int(total) else total
        return self

    def without(self, *atoms: Atom) -> Term:
        """Return a copy that lacks some atoms."""
        return Term(
            self.coefficient,
            {a: e for a, e in self.powers.items() if a not in atoms},
            dict(self.bound),
            dict(self.chains),
        )

    def reps(self) -> dict[str, tuple[Any, ...]]:
        """Return one variable for every block of the chains."""
        return {space: tuple(block[0] for block in blocks) for space, blocks in self.chains.items()}


def is_fixed(value: Any) -> bool:
    """Whether a value is a basis vector."""
    return isinstance(value, str) and value.startswith("#")


def leaves(value: Any) -> Iterator[Any]:
    """Yield the variables of an index value."""
    if isinstance(value, tuple):
        for part in value[2:3] if value[0] == "+" else value[1:]:
            yield from leaves(part)
    elif not (isinstance(value, str) and value[:1] in "#+-"):
        yield value


def moved(value: Any, to: Mapping[Any, Any]) -> Any:
    """Return an index value with its variables renamed."""
    if not isinstance(value, tuple):
        return to.get(value, value)
    if value[0] == "+":
        return ("+", value[1], moved(value[2], to), value[3])
    return ("*", *(moved(part, to) for part in value[1:]))


def shape(value: Any) -> Any:
    """Return an index value with its variables blanked.

    Examples
    --------
    >>> shape(("*", "i", "j"))
    ('*', '.', '.')
    """
    return moved(value, dict.fromkeys(leaves(value), ".")) if isinstance(value, tuple) else "."


def atom_values(atom: Atom) -> tuple[Any, ...]:
    """Return the index values of an atom that is no function and no size."""
    return tuple(value for _, value in atom[3]) if atom[0] == "F" else atom[FIRST_VALUE[atom[0]] :]


def variables(atom: Atom) -> Iterator[Any]:
    """Yield the open variables of an atom."""
    kind = atom[0]
    if kind in ("E", "f"):
        for mono, _ in atom[-1]:
            yield from mono_variables(mono)
    elif kind not in ("s", "S"):
        for value in atom_values(atom):
            yield from leaves(value)


def mono_variables(mono: Any) -> Iterator[Any]:
    """Yield the open variables of a canonical monomial."""
    factors, bound, chains = mono
    own = {v for v, _ in bound}
    for atom, _ in factors:
        yield from (v for v in variables(atom) if v not in own)
    for _, blocks in chains:
        yield from (v for block in blocks for v in block if v not in own)


def renamed_atom(atom: Atom, to: Mapping[Any, Any]) -> Atom:
    """Return an atom without nested forms, with variables renamed."""
    kind = atom[0]
    if kind in ("s", "S", "E", "f"):
        return atom
    if kind in ("d", "n"):
        return (kind, *sorted((to.get(v, v) for v in atom[1:]), key=str))
    if kind == "F":
        return (*atom[:3], tuple((name, moved(value, to)) for name, value in atom[3]))
    first = FIRST_VALUE[kind]
    return (*atom[:first], *(moved(value, to) for value in atom[first:]))


def collected(table: Mapping[Any, Any]) -> Form:
    """Return a table of coefficients as a form: sorted, without zeros."""
    return tuple(sorted(((mono, c) for mono, c in table.items() if c), key=repr))


def scaled(form: Form, factor: Any) -> Form:
    """Return a form times a number."""
    return tuple((mono, c * factor) for mono, c in form)


def outline(form: Form) -> Any:
    """Return a form with its variables blanked, to choose between a form and its negative."""
    return sorted((repr(blank(mono)), -c) for mono, c in form)


def blank(mono: Any) -> Any:
    """Return a monomial with its variables blanked, which no renaming changes."""
    kinds = sorted((repr(_kind(atom)), str(e)) for atom, e in mono[0])
    return kinds, sorted(space for _, space in mono[1])


def _kind(atom: Atom) -> Any:
    return (*atom[:-1], outline(atom[-1])) if atom[0] in ("E", "f") else atom[: FIRST_VALUE.get(atom[0], 2)]
