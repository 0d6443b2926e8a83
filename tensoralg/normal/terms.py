"""Terms: monomials under bound variables, the working form of the normaliser.

A *term* is ``coefficient * product of atoms to powers``, summed over its bound variables.  Variables
are names (free), positive ints (bound, unique in a run), negative ints (bound inside a canonical
nested form, see `tensoralg.normal.label`), or ``"#k"`` (the k-th basis vector of a fixed-size space).

=================================== =====================================================
atom                                meaning
=================================== =====================================================
("t", name, vars)                   an entry of a tensor
("d", v, w)                         delta
("m", strict, v, w)                 v < w if strict, else v <= w
("s", base)                         a size (str), or a prime under a root (int)
("p", v)                            the position of v in its ordered space, from 1
("o", label, vars)                  an opaque 0/1 or gate factor (window, decay)
("F", function, node, env)          a function of a term of the language, not yet normalised
("R", node, env)                    a term of the language to be divided by, not yet normalised
("e", mono)                         exp of a monomial with coefficient 1
("f", function, form)               another function of a normal form
("r", form)                         a normal form with several monomials (in denominators)
=================================== =====================================================

`env` pairs the free indices of a node with variables.  Powers are nonzero ints; those of sizes, primes
and exponentials may be fractions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from tensoralg.errors import BudgetExceeded
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Index, Space

Var: TypeAlias = "str | int"
Atom: TypeAlias = tuple[Any, ...]
Factors: TypeAlias = dict[Atom, Any]
Env: TypeAlias = tuple[tuple[Index, Var], ...]

MAX_TERMS = 20_000


@dataclass(slots=True)
class Term:
    """One monomial; `chains` holds, once the order is refined, the strict chain of each ordered space."""

    coefficient: Fraction
    factors: Factors
    bound: set[int]
    chains: dict[str, tuple[tuple[Var, ...], ...]] = field(default_factory=dict)


@dataclass
class Run:
    """What one normalisation knows: the tensors, the spaces of the variables, the order, the budget."""

    tensors: Mapping[str, Tensor]
    ordered: frozenset[str] = frozenset()
    fixed: Mapping[str, int] = field(default_factory=dict)
    spaces: dict[Var, Space] = field(default_factory=dict)
    budget: int = MAX_TERMS
    counter: int = 0
    by_name: dict[str, Space] = field(default_factory=dict)

    def fresh(self, space: Space) -> int:
        """Return a new bound variable over a space."""
        self.counter += 1
        self.spaces[self.counter] = space
        self.by_name[space.name] = space
        return self.counter

    def free(self, index: Index) -> str:
        """Return the free variable of an index."""
        assert isinstance(index.space, Space)
        self.spaces[index.name] = index.space.primal
        self.by_name[index.space.name] = index.space.primal
        return index.name

    def spend(self, terms: int) -> None:
        """Count terms against the budget."""
        self.budget -= terms
        if self.budget < 0:
            raise BudgetExceeded(
                "the expansion passes the budget of terms", remedy="raise budget=, or split the claim into smaller ones"
            )

    def extent(self, space: Space) -> Term:
        """Return the dimension of a space as a term."""
        return scalar(space.dimension)


def scalar(dimension: Any) -> Term:
    """Return a size as a term.

    Examples
    --------
    >>> scalar(3).coefficient
    Fraction(3, 1)
    """
    if isinstance(dimension, int):
        return Term(Fraction(dimension), {}, set())
    return Term(Fraction(1), {("s", dimension.name): 1}, set())


def times(left: Factors, right: Factors) -> Factors:
    """Return the product of two factor tables."""
    product = dict(left)
    for atom, exponent in right.items():
        total = product.get(atom, 0) + exponent
        if total:
            product[atom] = total
        else:
            product.pop(atom, None)
    return product


def multiply(left: Term, right: Term) -> Term:
    """Return the product of two terms with disjoint bound variables."""
    return Term(left.coefficient * right.coefficient, times(left.factors, right.factors), left.bound | right.bound)


def relation(atom: Atom) -> Factors | None:
    """Return a delta or mask as factors, decided where both variables are equal or fixed."""
    left, right = atom[-2:]
    if left == right:
        return None if atom[0] == "m" and atom[1] else {}
    if is_fixed(left) and is_fixed(right):
        x, y = int(str(left)[1:]), int(str(right)[1:])
        holds = x == y if atom[0] == "d" else x < y if atom[1] else x <= y
        return {} if holds else None
    return {atom: 1}


def is_fixed(variable: Var) -> bool:
    """Whether a variable is a fixed basis vector."""
    return isinstance(variable, str) and variable.startswith("#")


def atom_vars(atom: Atom) -> Iterator[Var]:
    """Yield the variables that an atom mentions, those bound inside it not included."""
    kind = atom[0]
    if kind in ("t", "o"):
        yield from atom[2]
    elif kind == "d":
        yield from atom[1:]
    elif kind == "m":
        yield from atom[2:]
    elif kind == "p":
        yield atom[1]
    elif kind in ("F", "R"):
        for _, variable in atom[-1]:
            yield variable
    elif kind == "e":
        yield from mono_vars(atom[1])
    elif kind in ("f", "r"):
        for mono, _ in atom[-1]:
            yield from mono_vars(mono)


def mono_vars(mono: tuple[Any, ...]) -> Iterator[Var]:
    """Yield the open variables of a canonical monomial."""
    factors, bound, chains = mono
    own = {variable for variable, _ in bound}
    for atom, _ in factors:
        for variable in atom_vars(atom):
            if variable not in own:
                yield variable
    for _, blocks in chains:
        for block in blocks:
            for variable in block:
                if variable not in own:
                    yield variable


def rename_atom(atom: Atom, mapping: Mapping[Var, Var]) -> Atom:
    """Return an atom without nested forms, with variables renamed."""
    kind = atom[0]
    if kind in ("t", "o"):
        return (kind, atom[1], tuple(mapping.get(v, v) for v in atom[2]))
    if kind == "d":
        return ("d", *sorted((mapping.get(v, v) for v in atom[1:]), key=str))
    if kind == "m":
        return ("m", atom[1], *(mapping.get(v, v) for v in atom[2:]))
    if kind == "p":
        return ("p", mapping.get(atom[1], atom[1]))
    if kind in ("F", "R"):
        return (*atom[:-1], tuple((index, mapping.get(v, v)) for index, v in atom[-1]))
    return atom


def is_nested(atom: Atom) -> bool:
    """Whether an atom holds a canonical nested form, which has to be rebuilt when a variable is renamed."""
    return atom[0] in ("e", "f", "r")
