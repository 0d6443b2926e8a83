"""Expansion of the language into monomials; functions and denominators with sums stay folded.

Composite spaces need no rules of their own: an index over ``V @ W`` is a pair of values, a sum over ``V + W`` is a
sum over V plus a sum over W, and deltas, masks and decays between such values are computed here (lexicographic
order on products, summands one after the other).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.terms import ENDS, FUNCTIONS, Atom, Form, Known, Term, is_fixed

MAX_TERMS = 20_000


@dataclass(frozen=True)
class Setting:
    """What a claim is about.

    Attributes
    ----------
    spaces : mapping of str to (dimension, ordered)
        The named spaces; a dimension is the name of a symbol, or an int.
    tensors : mapping of str to Tensor
    legs : mapping of str to tuple
        The spaces of the legs of every tensor, in the language of certificates.
    sizes : mapping of str to int
        Dimensions with a fixed size.
    refined : tuple of str
        The ordered spaces whose indices are refined into chains.
    components : frozenset of str
        The dimensions (as text) whose indices are written out.
    definitions : mapping of str to (names, term)
        Tensors that hypotheses define by others; no definition leads back to itself.
    orders : dict
        Canonical orders found before (`tensoralg.normal.graph`).
    """

    spaces: Mapping[str, tuple[Any, bool]]
    tensors: Mapping[str, Tensor]
    legs: Mapping[str, tuple[Any, ...]]
    sizes: Mapping[str, int] = field(default_factory=dict)
    refined: tuple[str, ...] = ()
    components: frozenset[str] = frozenset()
    definitions: Mapping[str, tuple[tuple[str, ...], Any]] = field(default_factory=dict)
    orders: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


class Expansion:
    """Terms of the language as sums of monomials."""

    def __init__(self, setting: Setting, budget: int = MAX_TERMS) -> None:
        self.setting, self.budget = setting, budget
        self.space_of: dict[Any, str] = {}
        self.opened: dict[str, tuple[str, ...]] = {}
        self.counter = 0

    def normal(self, terms: Sequence[Term], known: Known | None = None) -> Form:
        """Return the normal form of a sum (`tensoralg.normal.form`)."""
        raise NotImplementedError

    def merged(self, terms: list[Term]) -> list[Term]:
        """Return terms with equal monomials collected."""
        raise NotImplementedError

    def spend(self, terms: int = 1) -> None:
        """Count terms against the budget."""
        self.budget -= terms
        if self.budget < 0:
            raise BudgetExceeded(
                "the expansion passes the budget of terms", remedy="raise budget=, or split the claim into smaller ones"
            )

    def fresh(self, space: str) -> int:
        """Return a new bound variable."""
        self.counter += 1
        self.space_of[self.counter] = space
        return self.counter

    # index values

    def values(self, space: Any, name: str | None = None) -> Iterator[tuple[Any, dict[Any, str]]]:
        """Yield what an index over a space can be, with the variables that it binds (none if it has a name)."""
        if isinstance(space, str):
            dimension = str(self.setting.spaces[space][0])
            if dimension in self.setting.components:
                yield from ((f"#{k}@{space}", {}) for k in range(self._count(space)))
            elif name is None:
                variable = self.fresh(space)
                yield variable, {variable: space}
            else:
                self.space_of[name] = space
                yield name, {}
        elif space[0] == "*":
            names = [None if name is None else f"{name}.{k}" for k in range(len(space) - 1)]
            for values, bound in self.ranges(list(zip(names, space[1:], strict=True))):
                yield ("*", *values), bound
        else:
            for k, part in enumerate(space[1:]):
                for value, bound in self.values(part, None if name is None else f"{name}.{k}"):
                    yield ("+", k, value, space), bound

    def ranges(self, indices: Sequence[tuple[str | None, Any]]) -> Iterator[tuple[tuple[Any, ...], dict[Any, str]]]:
        """Yield the joint values of several indices, given as (name or None, space)."""
        plain = 0  # a thousand indices over named spaces are no thousand nested loops
        while plain < len(indices) and self._whole(indices[plain][1]):
            plain += 1
        found = [next(self.values(space, name)) for name, space in indices[:plain]]
        first = tuple(value for value, _ in found)
        bound = {v: space for _, own in found for v, space in own.items()}
        if plain == len(indices):
            yield first, bound
            return
        name, space = indices[plain]
        for value, own in self.values(space, name):
            for values, more in self.ranges(indices[plain + 1 :]):
                yield (*first, value, *values), bound | own | more

    def _whole(self, space: Any) -> bool:
        """Whether an index over a space has one value, a variable."""
        return isinstance(space, str) and str(self.setting.spaces[space][0]) not in self.setting.components

    def _count(self, space: str) -> int:
        """Return the dimension of a named space of a fixed size."""
        dimension = str(self.setting.spaces[space][0])
        return self.setting.sizes.get(dimension) or int(dimension)

    def value(self, index: Any, env: Mapping[str, Any]) -> Any:
        """Return the value of an index of the language."""
        if isinstance(index, str):
            return index if index in ENDS else env[index]
        if index[0] == "#":
            return f"#{index[1]}@{index[2]}"
        if index[0] == "*":
            return ("*", *(self.value(part, env) for part in index[1:]))
        return ("+", index[1], self.value(index[2], env), index[3])

    def atomic(self, value: Any) -> str:
        """Return the space of a variable or basis vector."""
        return value.split("@")[1] if is_fixed(value) else self.space_of[value]

    # terms

    def expand(self, node: Any, env: Mapping[str, Any]) -> list[Term]:
        """Return a term of the language as monomials."""
        if isinstance(node, int):
            return [Term(Fraction(node))] if node else []
        kind = node[0]
        if kind == "t":
            values = [self.value(index, env) for index in node[2:]]
            if node[1] in self.setting.definitions:
                names, body = self.setting.definitions[node[1]]
                return self.expand(body, dict(zip(names, values, strict=True)))
            return [Term(powers={("t", node[1], *values): 1})]
        if kind == "*":
            return self.product([self.expand(part, env) for part in node[1:]])
        if kind == "+":
            return [term for part in node[1:] for term in self.expand(part, env)]
        if kind == "sum":
            return self._sum(node, env)
        if kind == "num":
            return [Term(Fraction(node[1], node[2]))]
        if kind == "size":
            return [self.size(node[1])]
        if kind == "^":
            return self._power(node, env)
        if kind == "place":
            return [Term(powers={("p", self.value(node[1], env)): 1})]
        if kind in FUNCTIONS:
            return [Term(powers={("F", kind, node[1], restricted(node[1], env)): 1})]
        if kind in ("decay", "gap"):
            later, earlier, *args = (self.value(i, env) for i in node[3:])
            parts = self._decay("D" if kind == "decay" else "G", node[1], (), node[2], later, earlier)
            return [] if parts is None else self.linked(parts, tuple(args))
        left, right = (self.value(index, env) for index in node[1:3])
        return self.relation(kind, left, right)

    def size(self, name: str) -> Term:
        """Return a size as a term."""
        if name in self.setting.sizes or name.isdecimal():
            return Term(Fraction(self.setting.sizes.get(name) or int(name)))
        return Term(powers={("s", name): 1})

    def extent(self, space: str) -> Term:
        """Return the dimension of a named space as a term."""
        return self.size(str(self.setting.spaces[space][0]))

    def product(self, groups: Sequence[list[Term]]) -> list[Term]:
        """Return the product of sums; terms of different groups share no bound variable and no ordered space."""
        result = [Term()]
        for group in groups:
            if len(result) * len(group) > 1:
                self.spend(len(result) * len(group))
            fresh = []
            for left, right in product(result, group):
                term = left if len(group) == 1 else left.copy()
                term.coefficient *= right.coefficient
                for atom, power in right.powers.items():
                    term.times(atom, power)
                term.bound.update(right.bound)
                term.chains.update(right.chains)  # collecting must see them: it renames variables and compares
                fresh.append(term)
            result = self.merged(fresh) if len(group) > 1 and len(fresh) > 16 else fresh
        return result

    def _sum(self, node: Any, env: Mapping[str, Any]) -> list[Term]:
        parts = factored(node)
        if len(parts) > 1:  # equal summands can be collected in each part before the parts are multiplied
            return self.product([self.expand(part, env) for part in parts])
        names = [name for name, _ in node[1]]
        terms = []
        for values, bound in self.ranges([(None, space) for _, space in node[1]]):
            self.spend()
            for term in self.expand(node[2], {**env, **dict(zip(names, values, strict=True))}):
                term.bound.update(bound)
                terms.append(term)
        return terms

    def _power(self, node: Any, env: Mapping[str, Any]) -> list[Term]:
        _, base, exponent = node
        if exponent > 0:
            return self.product([self.expand(base, env) for _ in range(exponent)])
        terms = self.expand(base, env)
        if not terms:
            raise Undecided("a denominator is identically zero", remedy="restate the claim")
        if (
            is_plain(base)
            and len(terms) == 1
            and not terms[0].bound
            and all(atom[0] in "tsp" for atom in terms[0].powers)
        ):
            (term,) = terms
            return [Term(term.coefficient**exponent, {a: e * exponent for a, e in term.powers.items()})]
        return [Term(powers={("F", "1/", base, restricted(base, env)): -exponent})]

    # relations between values

    def relation(self, kind: str, left: Any, right: Any) -> list[Term]:
        """Return ``delta``, ``le`` or ``lt`` between two values of one space."""
        if isinstance(left, tuple) != isinstance(right, tuple) or (isinstance(left, tuple) and left[0] != right[0]):
            raise Undecided("a relation between indices of different structure", remedy="address both by their parts")
        if isinstance(left, tuple) and left[0] == "+":
            if left[1] == right[1]:
                return self.relation(kind, left[2], right[2])
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        if isinstance(left, tuple):
            return self._lexicographic(kind, left[1:], right[1:])
        if left == right:
            return [] if kind == "lt" else [Term()]
        if is_fixed(left) and is_fixed(right):
            return [Term()] if place(left) < place(right) and kind != "delta" else []
        if kind == "delta":
            return [Term(powers={("d", *sorted((left, right), key=str)): 1})]
        return [Term(powers={("m", kind == "lt", left, right): 1})]

    def _lexicographic(self, kind: str, left: Sequence[Any], right: Sequence[Any]) -> list[Term]:
        if len(left) == 1:
            return self.relation(kind, left[0], right[0])
        same = self.relation("delta", left[0], right[0])
        rest = self.product([same, self._lexicographic(kind, left[1:], right[1:])])
        return rest if kind == "delta" else self.relation("lt", left[0], right[0]) + rest

    # decays

    def _decay(self, kind: str, gate: str, wraps: Any, clock: Any, later: Any, earlier: Any) -> list[Atom] | None:
        """Return what a decay is the product of, the latest first, without its legs; None if it is 0.

        These are its gates at basis vectors, and decays over named spaces.  Over a direct sum
        ``W[b, a] = W_B[b, -] W_A[+, a]``, and 0 where later comes first.
        """
        if isinstance(clock, str):
            if self._whole(clock):
                return [(kind, gate, wraps, clock, later, earlier)]
            high = self._count(clock) - 1 if later == "+" else place(later) - (kind == "G")
            low = -1 if earlier == "-" else place(earlier)
            return [self.gate(gate, wraps, f"#{k}@{clock}") for k in range(high, low, -1)] if low <= high else None
        if clock[0] != "+":
            raise Undecided("a decay over a product of spaces", remedy="decays run over ordered spaces and their sums")
        top, later = (len(clock) - 2, "+") if later == "+" else later[1:3]
        low, earlier = (0, "-") if earlier == "-" else earlier[1:3]
        found: list[Atom] = []
        for k in range(top, low - 1, -1):
            # a gate without a leg in time is the same over a summand by itself
            inner = (*wraps, (k, clock)) if self.setting.legs[gate] else ()
            ends = later if k == top else "+", earlier if k == low else "-"
            parts = self._decay(kind if k == top else "D", gate, inner, clock[1 + k], *ends)
            if parts is None:
                return None
            found += parts
        return found if low <= top else None

    def gate(self, gate: str, wraps: Any, v: Any) -> Atom:
        """Return the entry of a gate at one step, without its other legs."""
        if not self.setting.legs[gate]:
            return ("t", gate)
        for position, space in reversed(wraps):
            v = ("+", position, v, space)
        return ("t", gate, v)

    def linked(self, parts: Sequence[Atom], args: tuple[Any, ...]) -> list[Term]:
        """Return a product of gates and decays, the latest first: matrices are linked by new bound variables."""
        if len(args) != 2:
            result = Term()
            for part in parts:
                result.times((*part, *args))
            return [result]
        if not parts:
            return self.relation("delta", *args)
        found = []
        for links, bound in self.ranges([(None, self.setting.legs[parts[0][1]][2])] * (len(parts) - 1)):
            self.spend()
            result = Term(bound=bound)
            for part, legs in zip(parts, pairwise((args[0], *links, args[1])), strict=True):
                result.times((*part, *legs))
            found.append(result)
        return found


def place(value: str) -> int:
    """Return the position of a basis vector, from 0."""
    return int(value[1:].split("@")[0])


def factored(node: Any) -> list[Any]:
    """Return a sum of a product that holds sums as factors that share no summed index.

    Examples
    --------
    >>> factored(("sum", (("i", "V"), ("j", "V")), ("*", ("+", ("t", "a", "i"), 1), ("t", "b", "j"))))
    [('sum', (('i', 'V'),), ('+', ('t', 'a', 'i'), 1)), ('sum', (('j', 'V'),), ('t', 'b', 'j'))]
    """
    _, scope, body = node
    if not (isinstance(body, tuple) and body[0] == "*" and any(isinstance(f, tuple) and f[0] == "+" for f in body)):
        return [node]
    bound = {name for name, _ in scope}
    groups: list[tuple[set[str], list[Any]]] = []
    for factor in body[1:]:
        names, factors = free_names(factor) & bound, [factor]
        touching = [group for group in groups if group[0] & names]
        for group in touching:
            groups.remove(group)
            names, factors = names | group[0], group[1] + factors
        groups.append((names, factors))
    idle = bound.difference(*(names for names, _ in groups))
    made = []
    for names, factors in groups:
        inner = factors[0] if len(factors) == 1 else ("*", *factors)
        kept = tuple(pair for pair in scope if pair[0] in names)
        made.append(("sum", kept, inner) if kept else inner)
    return made if not idle else [*made, ("sum", tuple(pair for pair in scope if pair[0] in idle), 1)]


def restricted(node: Any, env: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the part of an environment that a term sees, in order of the names."""
    return tuple((name, env[name]) for name in sorted(free_names(node)) if name in env)


def free_names(node: Any) -> set[str]:
    """Return the names of the free indices of a term of the language.

    Examples
    --------
    >>> sorted(free_names(("sum", (("i", "V"),), ("t", "A", "i", "j"))))
    ['j']
    """
    found: set[str] = set()
    stack: list[tuple[Any, frozenset[str]]] = [(node, frozenset())]
    while stack:
        here, hidden = stack.pop()
        if not isinstance(here, tuple):
            continue
        kind = here[0]
        if kind == "sum":
            stack.append((here[2], hidden | {name for name, _ in here[1]}))
        elif kind in ("+", "*", "^") or kind in FUNCTIONS:
            stack += [(part, hidden) for part in here[1:]]
        elif kind not in ("num", "size"):
            first = 1 if kind in ("delta", "le", "lt", "place") else 3 if kind in ("decay", "gap") else 2
            for index in here[first:]:
                found.update(name for name in _index_names(index) if name not in hidden)
    return found


def _index_names(index: Any) -> Iterator[str]:
    if isinstance(index, str):
        if index not in ("+", "-"):
            yield index
    elif index[0] == "*":
        for part in index[1:]:
            yield from _index_names(part)
    elif index[0] == "+":
        yield from _index_names(index[2])


def is_plain(node: Any) -> bool:
    """Whether a term is a product of factors that stay what they are when indices become equal."""
    if isinstance(node, int) or node[0] in ("num", "size", "place", "t"):
        return True
    return node[0] in ("*", "^") and all(map(is_plain, node[1:2] if node[0] == "^" else node[1:]))
