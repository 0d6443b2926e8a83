"""The trusted file: checks that a certificate proves its claim.  It imports nothing but the standard library.

A proof of ``lhs = rhs`` is a list of *uses*: ``sum(bound: context * (l - r))`` where ``l = r`` is a hypothesis, a
declared fact, or an instance of a rule of `RULES` whose own conditions are proved in the same way.  Its check is one
expansion: ``lhs - rhs - (all uses)`` must vanish when products are multiplied out, deltas eliminated, ordered
indices arranged in strict chains, and equal monomials collected; functions and decays are opaque factors.
Nothing has to be searched: for every monomial the certificate gives an order of its bound variables in which equal
monomials are literally equal, or an odd automorphism.  A wrong hint can only make the check fail.  The language
and the theory are in docs/decision.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations, product
from math import factorial, floor
from typing import Any

FORMAT, VERSION = "tensoralg certificate", 1
LONGEST, DEEPEST, WORK, BITS = 50_000_000, 200, 100_000, 20_000
FUNCTIONS = ("exp", "log", "sqrt", "relu")
INVERTIBLE = ("t", "size", "place", "f")
STRONGER = {"!=": ("!=", ">"), ">": (">",), ">=": (">", ">=")}


class Rejected(Exception):
    """The certificate is not valid, or its proof is not complete."""


class Term:
    """A coefficient times atoms to powers, summed over `bound` (variable -> space)."""

    __slots__ = ("bound", "chains", "coefficient", "powers")

    def __init__(self, coefficient: Any = 1, powers: Any = None, bound: Any = None, chains: Any = None) -> None:
        self.coefficient, self.powers, self.bound, self.chains = coefficient, powers or {}, bound or {}, chains or {}

    def copy(self, factor: Any = 1) -> Term:
        return Term(self.coefficient * factor, dict(self.powers), dict(self.bound), dict(self.chains))

    def times(self, atom: Any, power: int = 1) -> Term:
        """Multiply by a power of an atom, in place; indicators are idempotent."""
        total = self.powers.pop(atom, 0) + power
        if total:
            self.powers[atom] = 1 if atom[0] in ("delta", "lt", "le", "near") else total
        return self


# An atom is (kind, label, value..); a value is a variable (a name, or an int if bound), ("#", k, space),
# ("*", value..) over a product of spaces, ("+", position, value, space) into a direct sum, or an end "+", "-".


def leaves(value: Any) -> Iterator[Any]:
    """Yield the variables of a value."""
    if not isinstance(value, tuple):
        yield from () if value in ("+", "-") else (value,)
    elif value[0] != "#":
        for part in value[2:3] if value[0] == "+" else value[1:]:
            yield from leaves(part)


def moved(value: Any, to: Mapping[Any, Any]) -> Any:
    """Return a value with its variables renamed."""
    if not isinstance(value, tuple):
        return to.get(value, value)
    if value[0] == "+":
        return ("+", value[1], moved(value[2], to), value[3])
    return value if value[0] == "#" else ("*", *(moved(part, to) for part in value[1:]))


def variables(atom: Any) -> Iterator[Any]:
    return (v for value in atom[2:] for v in leaves(value))


def renamed(atom: Any, to: Mapping[Any, Any]) -> Any:
    values = [moved(value, to) for value in atom[2:]]
    return (*atom[:2], *(sorted(values, key=str) if atom[0] == "delta" else values))


def chains(start: tuple[Any, ...], placed: list[Any], limits: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the arrangements of variables in strict chains of blocks that satisfy all relations."""
    rank = {v: k for k, block in enumerate(start) for v in block}
    for kind, a, b in limits:
        if a in rank and b in rank:
            x, y = rank[a], rank[b]
            if not (x < y if kind == "lt" else x == y if kind == "delta" else x <= y):
                return
    if not placed:
        yield start
    for k in range(len(start) if placed else 0):
        yield from chains((*start[:k], (*start[k], placed[0]), *start[k + 1 :]), placed[1:], limits)
    for k in range(len(start) + 1 if placed else 0):
        yield from chains((*start[:k], (placed[0],), *start[k:]), placed[1:], limits)


def put(node: Any, to: Callable[[str], Any], depth: int = 0) -> Any:
    """Return a term with its free indices replaced and its bound ones renamed by their depth."""

    def index(old: Any) -> Any:
        if not isinstance(old, tuple):
            return old if old in ("+", "-") else to(old)
        if old[0] == "*":
            return ("*", *map(index, old[1:]))
        return old if old[0] == "#" else (*old[:2], index(old[2]), old[3])

    if isinstance(node, int) or node[0] in ("num", "size"):
        return node
    kind = node[0]
    if kind == "sum":
        inner = {name: f"%{depth + k}" for k, (name, _) in enumerate(node[1])}
        body = put(node[2], lambda name: inner[name] if name in inner else to(name), depth + len(inner))
        return (kind, tuple((inner[name], space) for name, space in node[1]), body)
    if kind == "^":
        return (kind, put(node[1], to, depth), node[2])
    if kind in ("+", "*", *FUNCTIONS):
        return (kind, *(put(part, to, depth) for part in node[1:]))
    first, last = {"t": (2, None), "near": (1, 3), "decay": (3, None), "gap": (3, None)}.get(kind, (1, None))
    return (*node[:first], *map(index, node[first:last]), *(node[last:] if last else ()))


def spread(node: Any, env: Mapping[str, Any] | None = None) -> tuple[Any, tuple[Any, ...]]:
    """Return a term with its free indices numbered by occurrence, and their values (their names without `env`)."""
    found: list[Any] = []

    def place(value: Any) -> Any:
        if not isinstance(value, tuple):
            found.append(value)
            return f"${len(found) - 1}"
        if value[0] == "*":
            return ("*", *map(place, value[1:]))
        return value if value[0] == "#" else (*value[:2], place(value[2]), value[3])

    body = put(node, place if env is None else lambda name: place(env[name]))
    return body, tuple(found)


def bind(scope: Any, values: Any) -> dict[str, Any]:
    """Return values by the names of a scope of (name, space)."""
    return dict(zip((name for name, _ in scope), values, strict=True))


def open_variables(env: Mapping[str, Any]) -> list[Any]:
    return list(dict.fromkeys(v for value in env.values() for v in leaves(value)))


class Checker:
    """Expansion and collection over the spaces and tensors of one claim."""

    def __init__(self, claim: Any, proof: Any, label: Callable[..., Any] | None = None) -> None:
        self.claim, self.proof, self.label = claim, proof, label
        self.space_of: dict[Any, str] = {}
        self.counter, self.work, self.hints = 0, WORK, iter(proof["labels"])
        self.defined: dict[str, Any] = {}
        self.domain: tuple[Any, ...] = ()
        for k, side in proof["definitions"]:  # a body sees the earlier definitions only, so it cannot loop
            given = claim["given"][k]
            entry, body = (given["lhs"], given["rhs"]) if side == "lhs" else (given["rhs"], given["lhs"])
            if entry[0] != "t" or sorted(entry[2:]) != sorted(name for name, _ in given["free"]):
                raise Rejected("a hypothesis is no definition")
            self.defined[entry[1]] = (entry[2:], body, dict(self.defined))

    def spend(self, amount: int = 1) -> None:
        self.work -= amount
        if self.work < 0:
            raise Rejected("the work passes the limit")

    def size(self, name: Any) -> Term:
        known = self.claim["sizes"].get(str(name)) or (int(name) if str(name).isdecimal() else 0)
        return Term(Fraction(known)) if known else Term(1, {("size", name): 1})

    def values(self, space: Any, name: str | None = None) -> Iterator[Any]:
        """Yield (value, variables that it binds) for an index over a space; a named index binds none."""
        if isinstance(space, str):
            dimension = self.claim["spaces"][space][0]
            if str(dimension) in self.proof["components"]:
                yield from ((("#", k, space), {}) for k in range(int(self.size(dimension).coefficient)))
                return
            self.counter += 1
            variable = self.counter if name is None else name
            self.space_of[variable] = space
            yield variable, {} if name else {variable: space}
        elif space[0] == "*":
            parts = [(name and f"{name}.{k}", part) for k, part in enumerate(space[1:])]
            yield from ((("*", *values), bound) for values, bound in self.ranges(parts))
        else:
            for k, part in enumerate(space[1:]):
                yield from ((("+", k, v, space), b) for v, b in self.values(part, name and f"{name}.{k}"))

    def ranges(self, indices: Any) -> Iterator[Any]:
        """Yield (values, variables that they bind) for several indices, given as (name or None, space)."""
        if not indices:
            yield (), {}
            return
        for value, bound in self.values(indices[0][1], indices[0][0]):
            for values, more in self.ranges(indices[1:]):
                self.spend()
                yield (value, *values), bound | more

    def kind(self, value: Any) -> Any:
        """Return the space of a value."""
        if isinstance(value, tuple):
            return value[2] if value[0] == "#" else value[3] if value[0] == "+" else ("*", *map(self.kind, value[1:]))
        return self.space_of[value]

    def value(self, index: Any, env: Any) -> Any:
        if not isinstance(index, tuple):
            return env[index]
        if index[0] == "#":
            if index not in [v for v, _ in self.values(index[2])]:
                raise Rejected("no such basis vector")
            return index
        if index[0] == "*":
            return ("*", *(self.value(part, env) for part in index[1:]))
        found = ("+", index[1], self.value(index[2], env), index[3])
        if index[3][0] != "+" or index[1] < 0 or self.kind(found[2]) != index[3][1 + index[1]]:
            raise Rejected("an index does not fit its summand")
        return found

    def product(self, *groups: list[Term]) -> list[Term]:
        """Return the product of sums; no two groups share a bound variable."""
        result = [Term()]
        for group in groups:
            self.spend(len(result) * len(group) - 1 if group else 0)
            fresh = []
            for left, right in product(result, group):
                term = left if len(group) == 1 else left.copy()
                term.coefficient *= right.coefficient
                for atom, power in right.powers.items():
                    term.times(atom, power)
                term.bound.update(right.bound)
                fresh.append(term)
            result = fresh
        return result

    def expand(self, node: Any, env: Any) -> list[Term]:
        """Return a term of the language as monomials."""
        if isinstance(node, int):
            return [Term(Fraction(node))] if node else []
        kind = node[0]
        if kind == "num":
            return [Term(Fraction(node[1], node[2]))]
        if kind == "size":
            return [self.size(node[1])]
        if kind == "+":
            return [term for part in node[1:] for term in self.expand(part, env)]
        if kind == "*":
            return self.product(*(self.expand(part, env) for part in node[1:]))
        if kind == "sum":
            terms = []
            for values, bound in self.ranges([(None, space) for _, space in node[1]]):
                for term in self.expand(node[2], env | bind(node[1], values)):
                    term.bound.update(bound)
                    terms.append(term)
            return terms
        if kind == "^":
            return self.power(node[1], node[2], env)
        if kind in FUNCTIONS:
            return [self.root(node[1], env) if kind == "sqrt" else Term(1, {self.closed(kind, node[1], env): 1})]
        if kind == "t":
            return self.entry(node[1], [self.value(index, env) for index in node[2:]])
        if kind in ("decay", "gap"):
            ends = [i if i in ("+", "-") else self.value(i, env) for i in node[3:5]]
            return self.decay(kind, node[1], node[2], ends[0], ends[1], [self.value(i, env) for i in node[5:]])
        if kind == "place":
            return [Term(1, {("place", "", self.value(node[1], env)): 1})]
        left, right = (self.value(index, env) for index in node[1:3])
        if kind not in ("delta", "le", "lt", "near") or self.kind(left) != self.kind(right):
            raise Rejected("a relation between two spaces, or no term")
        if kind == "near":
            return [Term(1, {("near", node[3], left, right): 1})]
        return self.relation(kind, left, right)

    def power(self, base: Any, exponent: int, env: Any) -> list[Term]:
        if exponent >= 0:
            return self.product(*(self.expand(base, env) for _ in range(exponent)))
        terms = self.expand(base, env)
        if len(terms) == 1 and not terms[0].bound and all(a[0] in INVERTIBLE for a in terms[0].powers):
            return [Term(terms[0].coefficient ** exponent, {a: e * exponent for a, e in terms[0].powers.items()})]
        return [Term(1, {self.closed("1/", base, env): -exponent})]

    def root(self, node: Any, env: Any) -> Term:
        """Return a square root; those of sizes and whole numbers are powers of sizes."""
        (term, *more) = self.expand(node, env) or [Term(0)]
        c = term.coefficient
        if not more and not term.bound and all(a[0] == "size" for a in term.powers):
            if c == 1 or (c > 1 and c.denominator == 1 and not term.powers):
                whole = {("size", int(c)): Fraction(1)} if c > 1 else term.powers
                return Term(1, {a: Fraction(e) / 2 for a, e in whole.items()})
        return Term(1, {self.closed("sqrt", node, env): 1})

    def closed(self, function: str, node: Any, env: Any) -> Any:
        """Return a function as an atom: its argument up to the names of indices, and the values of the free ones."""
        body, values = spread(node, env)
        return ("f", (function, body), *values)

    def entry(self, name: str, values: list[Any]) -> list[Term]:
        if tuple(map(self.kind, values)) != self.claim["tensors"][name]["legs"]:
            raise Rejected(f"the indices of {name} do not fit its legs")
        if name not in self.defined:
            return [Term(1, {("t", name, *values): 1})]
        names, body, defined = self.defined[name]
        outer, self.defined = self.defined, defined
        terms = self.expand(body, dict(zip(names, values, strict=True)))
        self.defined = outer
        return terms

    def relation(self, kind: str, left: Any, right: Any) -> list[Term]:
        """Return a delta or mask between values of one space: lexicographic, summands one after the other."""
        if isinstance(left, tuple) and left[0] == "+":
            if left[1] == right[1]:
                return self.relation(kind, left[2], right[2])
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        if isinstance(left, tuple) and left[0] == "*":
            if len(left) == 2:
                return self.relation(kind, left[1], right[1])
            rest = self.relation(kind, ("*", *left[2:]), ("*", *right[2:]))
            rest = self.product(self.relation("delta", left[1], right[1]), rest)
            return rest if kind == "delta" else self.relation("lt", left[1], right[1]) + rest
        if kind != "delta" and not self.claim["spaces"][self.kind(left)][1]:
            raise Rejected("a mask over a space without an order")
        if left == right:
            return [] if kind == "lt" else [Term()]
        if isinstance(left, tuple) and isinstance(right, tuple):
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        ends = sorted((left, right), key=str) if kind == "delta" else (left, right)
        return [Term(1, {(kind, "", *ends): 1})]

    def decay(self, kind: str, gate: str, wraps: Any, later: Any, earlier: Any, args: list[Any]) -> list[Term]:
        """Return a decay as an atom; over a direct sum, as the product of those over its summands."""
        legs = self.claim["tensors"][gate]["legs"]
        clock = legs[0] if legs else self.kind(later if earlier == "-" else earlier)
        for k, _ in wraps:
            clock = clock[1 + k]
        if (
            any(self.kind(x) != clock for x in (later, earlier) if x not in ("+", "-"))
            or tuple(map(self.kind, args)) != legs[1:]
        ):
            raise Rejected("the indices of a decay do not fit")
        if isinstance(clock, str) and self.claim["spaces"][clock][1]:
            return [Term(1, {(kind, (gate, wraps, clock), later, earlier, *args): 1})]
        if clock[0] != "+" or kind == "gap" or not legs:
            raise Rejected("a decay without an order, or over a product")
        top, low = len(clock) - 2 if later == "+" else later[1], 0 if earlier == "-" else earlier[1]
        groups = []
        for k in range(top, low - 1, -1):
            middle, bound = next(self.values(legs[2])) if len(args) == 2 and k > low else (args[-1:], {})
            here = [args[0], middle] if bound else args
            args = [middle, args[1]] if bound else args
            ends = (
                (later[2] if k == top and later != "+" else "+"),
                (earlier[2] if k == low and earlier != "-" else "-"),
            )
            groups.append(self.decay(kind, gate, (*wraps, (k, clock)), *ends, here))
            for term in groups[-1]:
                term.bound.update(bound)
        return self.product(*groups) if groups else []

    # the normal form

    def eliminate(self, term: Term) -> Term:
        """Return a term without deltas of bound variables, open ones in a star; unused indices count."""
        done: set[Any] = set()
        while True:
            deltas = sorted((a for a in term.powers if a[0] == "delta" and a not in done), key=str)
            if not deltas:
                break
            atom = deltas[0]
            kept, gone = atom[2:] if atom[3] in term.bound or atom[2] not in term.bound else atom[:1:-1]
            rest = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if v != gone or kept == gone})
            fixed = gone not in term.bound and kept != gone
            if isinstance(gone, tuple):
                kept, gone = gone, kept
            for other, power in term.powers.items():
                if other != atom:
                    rest.times(other if other in done else renamed(other, {gone: kept}), power)
            term = rest.times(atom) if fixed else rest
            done |= {atom} if fixed else set()
        for atom, power in [(a, e) for a, e in term.powers.items() if a[0] == "size" and isinstance(a[1], int)]:
            term = term.copy(Fraction(atom[1]) ** floor(power)).times(atom, -floor(power))
        used = {v for a in term.powers for v in variables(a)}
        for v in [v for v in term.bound if v not in used]:
            size = self.size(self.claim["spaces"][term.bound.pop(v)][0])
            term = self.product([term], [size])[0]
        return term

    def refine(self, term: Term, space: str, opened: Any) -> list[Term]:
        """Return a term as a sum over strict chains of the variables in one space; empty blocks are counted."""
        inside = [a for a in term.powers if a[0] in ("delta", "lt", "le", "near") and self.kind(a[2]) == space]
        placed = [v for v in opened if self.space_of[v] == space] + [v for v, s in term.bound.items() if s == space]
        rest = [(a, e) for a, e in term.powers.items() if a not in inside]
        result = []
        for blocks in chains((), placed, [(a[0], *a[2:]) for a in inside]) if placed else []:
            self.spend()
            to = {v: min(b, key=lambda v: (v in term.bound, str(v))) for b in blocks for v in b}
            piece = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if to.get(v, v) == v}, term.chains)
            for atom, power in rest:
                piece.times(renamed(atom, to), power)
            for near in [renamed(a, to) for a in inside if a[0] == "near"]:
                if near[2] != near[3] or not (isinstance(near[1], int) or near[1][0] == "size"):
                    piece.times(near)
            used = {v for a in piece.powers for v in variables(a)}
            kept, gaps = [], [0]
            for block in blocks:
                if to[block[0]] in piece.bound and to[block[0]] not in used:
                    del piece.bound[to[block[0]]]
                    gaps[-1] += 1
                else:
                    kept.append((to[block[0]], *sorted((v for v in block if v in opened and to[v] != v), key=str)))
                    gaps.append(0)
            piece.chains = {**term.chains, space: tuple(kept)}
            places = [[Term(1, {("place", "", b[0]): 1})] for b in kept]
            size = [self.size(self.claim["spaces"][space][0]), Term()]
            counts = [Term()]
            for k, number in enumerate(gaps):
                for j in range(number):
                    high = places[k] if k < len(kept) else size
                    low = [t.copy(-1) for t in places[k - 1]] if k else []
                    counts = self.product(counts, [t.copy() for t in (*high, *low, Term(-1 - j))])
                counts = [t.copy(Fraction(1, factorial(number))) for t in counts]
            for count in counts:
                full = self.product([piece.copy()], [count])[0]
                result.append(Term(full.coefficient, full.powers, full.bound, piece.chains))
        return result if placed else [term]

    def sorted_legs(self, powers: Any, to: Mapping[Any, Any]) -> tuple[int, dict[Any, Any]]:
        """Return a sign and the factors, renamed, with their symmetric legs sorted; sign 0 where an entry vanishes."""
        sign, result = 1, Term()
        for old, power in powers.items():
            atom = list(renamed(old, to))
            tensor = self.claim["tensors"][atom[1]] if atom[0] == "t" else {}
            for kind in ("symmetric", "antisymmetric"):
                for group in tensor.get(kind, ()):
                    legs = [
                        (str(moved(v, dict.fromkeys(leaves(v), 0))), str(v), v) for v in (atom[2 + g] for g in group)
                    ]
                    keys = [leg[:2] for leg in legs]
                    if kind == "antisymmetric":
                        sign *= (
                            0
                            if len(set(keys)) < len(keys)
                            else (-1) ** (power * sum(a > b for a, b in combinations(keys, 2)))
                        )
                    for g, leg in zip(group, sorted(legs, key=lambda leg: leg[:2]), strict=True):
                        atom[2 + g] = leg[2]
            result.times(tuple(atom), power)
        return sign, result.powers

    def canonical(self, term: Term) -> tuple[Any, int]:
        """Return a monomial with numbered bound variables, and a sign (0 where it vanishes)."""
        sign, powers = self.sorted_legs(term.powers, {})
        rank = {v: (s, k) for s, blocks in term.chains.items() for k, b in enumerate(blocks) for v in b}
        loose = [v for v in term.bound if v not in rank]
        order: Any = range(len(loose))
        if len(loose) > 1 and sign:
            hint = list(next(self.hints)) if self.label is None else self.label(self, powers, term, rank, loose)
            odd, order = hint[0] == -1, [k for k in hint if k != -1]
            if sorted(order) != list(range(len(loose))):
                raise Rejected("a hint is no permutation")
            if odd:
                if self.sorted_legs(powers, {v: loose[k] for v, k in zip(loose, order, strict=True)}) != (-1, powers):
                    raise Rejected("an odd automorphism is none")
                return (), 0
        bound = sorted((v for v in term.bound if v in rank), key=lambda v: rank[v]) + [loose[k] for k in order]
        to = {v: -1 - k for k, v in enumerate(bound)}
        flip, powers = self.sorted_legs(powers, to)
        filled = [(s, bs) for s, bs in sorted(term.chains.items()) if bs]
        blocks = tuple((s, tuple(tuple(to.get(v, v) for v in b) for b in bs)) for s, bs in filled)
        return (tuple(sorted(powers.items(), key=repr)), tuple(term.bound[v] for v in bound), blocks), sign * flip

    def normal(self, terms: list[Term], opened: Any) -> dict[Any, Any]:
        """Return the normal form of a sum of terms whose open variables are `opened`."""
        table: dict[Any, Any] = {}
        for term in terms:
            pieces = [self.eliminate(term)]
            for space in self.proof["refine"]:
                pieces = [done for piece in pieces for done in self.refine(piece, space, opened)]
            for piece in pieces:
                mono, sign = self.canonical(piece)
                total = table.pop(mono, 0) + sign * piece.coefficient
                if total:
                    table[mono] = total
        return table

    # proofs

    def zero(self, node: Any, env: Any, uses: Any, names: Any = None) -> None:
        """Check that a term vanishes for all values of its free indices, by uses of equations."""
        opened = open_variables({name: env[name] for name in names or spread(node)[1]})
        scope = {name: value for name, value in env.items() if set(leaves(value)) <= set(opened)}
        terms = self.expand(node, scope)
        for bound, context, exponent, rule in uses:
            for values, variables in self.ranges([(None, space) for _, space in bound]):
                inner = scope | bind(bound, values)
                left, right = self.instance(rule, inner)
                difference = ("+", ("^", left, exponent), ("*", -1, ("^", right, exponent)))
                for term in self.expand(("*", -1, context, difference), inner):
                    term.bound.update(variables)
                    terms.append(term)
        if self.normal(terms, opened):
            raise Rejected("a difference does not vanish")

    def instance(self, rule: Any, env: Any) -> tuple[Any, Any]:
        """Return the two sides of an equation that holds, its conditions checked."""
        kind, *rest = rule
        if kind == "given":
            given = self.claim["given"][rest[0]]
            to = self.at(given["free"], rest[1], env).__getitem__
            return put(given["lhs"], to), put(given["rhs"], to)
        if kind in ("stay", "causal", "step", "cut", "resolvent"):
            return path(self.claim["tensors"], kind, *rest)
        if kind == "square":
            return ("^", ("sqrt", rest[0]), 2), rest[0]
        if kind == "select":
            function, entry, name, space, inner, argument, uses = rest
            tensor, spot = self.claim["tensors"][entry[1]], entry[2:].index(name)
            if entry[0] != "t" or "permutation" not in tensor["facts"] or tensor["legs"][spot] != space:
                raise Rejected("no permutation matrix selects here")
            chosen = ("sum", ((name, space),), ("*", entry, inner))
            self.zero(("+", argument, ("*", -1, chosen)), env, uses)
            return apply(function, argument), ("sum", ((name, space),), ("*", entry, apply(function, inner)))
        where, *rest = rest
        if not indicator(where):
            raise Rejected("a condition is no indicator")
        if kind == "inverse":
            self.holds("!=", rest[0], where, env, rest[1], self.domain)
            return ("*", where, rest[0], ("^", rest[0], -1)), where
        if kind == "exp":
            before, after, uses = rest
            powers = [("*", k, a) for a, k in before] + [("*", -k, b) for b, k in after]
            self.zero(("*", where, ("+", *powers)), env, uses)
            image = [("^", b[1] if walkable(b, "log") else ("exp", b), k) for b, k in after]
            return ("*", where, *(("^", ("exp", a), k) for a, k in before)), ("*", where, *image)
        if kind == "flip":
            one, two, uses = rest
            self.zero(("*", where, ("+", one, two)), env, uses)
            return ("*", where, ("relu", one)), ("*", where, ("+", one, ("relu", two)))
        if kind == "sign":
            argument, sign = rest
            self.holds(">=", ("*", sign, argument), where, env, ("sign", 1), ())
            return ("*", where, ("relu", argument)), ("*", where, argument) if sign == 1 else 0
        function, argument, parts, core, uses = rest
        powers = [("^", part, k) for part, k in parts]
        self.zero(("*", where, ("+", argument, ("*", -1, core, *powers))), env, uses)
        if kind != "factor" or (core == 0 and function not in ("relu", "sqrt")):
            raise Rejected("no such rule")
        for part, _ in parts if function != "1/" else ():
            self.holds(">", part, where, env, ("sign", 1), ())
        return ("*", where, apply(function, argument)), ("*", where, image_of(function, parts, core))

    def at(self, scope: Any, indices: Any, env: Any) -> dict[str, Any]:
        """Return the indices by the names of a scope, after checking their spaces."""
        if [self.kind(self.value(i, env)) for i in indices] != [space for _, space in scope]:
            raise Rejected("an equation is used at other spaces")
        return bind(scope, indices)

    def holds(self, relation: str, node: Any, where: Any, env: Any, reason: Any, pool: Any) -> None:
        """Check that a term is != 0, > 0 or >= 0 where an indicator is 1: by its sign, or by a condition in a pool."""
        if reason[0] == "sign":
            if reason[1] not in (1, -1) or (reason[1] == -1 and relation != "!="):
                raise Rejected("no such sign")
            if not self.positive(("*", reason[1], node), where, env, relation != ">="):
                raise Rejected("a sign is not known")
            return
        number, indices, parts, uses = reason
        known, other, scope = pool[number]
        if known not in STRONGER[relation]:
            raise Rejected("a condition is too weak")
        for part, k in parts:
            if relation != "!=" or (k < 0 and not isinstance(part, int)):
                self.holds(">", part, where, env, ("sign", 1), ())
        instance = put(other, self.at(scope, indices, env).__getitem__)
        powers = [("^", part, k) for part, k in parts]
        self.zero(("*", where, ("+", instance, ("*", -1, node, *powers))), env, uses)

    def positive(self, node: Any, where: Any, env: Any, strict: bool) -> bool:
        """Whether a term is known to be positive (not negative) where an indicator is 1.

        In every order of the open indices: coefficients not negative once each size and place is 1 plus something,
        factors not negative, and (if strict) one positive term that is never an empty sum.
        """
        opened = open_variables(env)
        tables = [self.normal(self.expand(x, env), opened) for x in (where, ("*", where, node))]
        groups: dict[Any, dict[Any, Any]] = {}
        for (factors, bound, blocks), c in tables[1].items():
            sizes = tuple(f for f in factors if f[0][0] in ("size", "place"))
            groups.setdefault((tuple(f for f in factors if f not in sizes), bound, blocks), {})[sizes] = c
        reached = set()
        for (factors, _, blocks), polynomial in groups.items():
            signs = [1 if a[0] in ("delta", "lt", "le") else self.sign(a, e) for a, e in factors]
            shifted: dict[Any, Any] = {}
            for sizes, c in polynomial.items():
                for chosen in product(*((0, 1) for _, e in sizes for _ in range(max(e, 0)))):
                    name = tuple(a for a, x in zip((a for a, e in sizes for _ in range(e)), chosen, strict=True) if x)
                    shifted[name] = shifted.get(name, 0) + c
            if min([*shifted.values(), *signs]) < 0:
                return False
            own = [[b for b in bs if is_bound(b[0])] for _, bs in blocks]
            filled = all(not inner or len(inner) == len(bs) == 1 for inner, (_, bs) in zip(own, blocks, strict=True))
            if shifted.get(()) and min(signs, default=1) > 0 and filled:
                reached.add(order_of(blocks))
        return not strict or all(order_of(blocks) in reached for _, _, blocks in tables[0])

    def sign(self, atom: Any, power: Any) -> int:
        """Return 1 if a power of an atom is positive, 0 if it is not negative, -1 if neither is known."""
        facts = self.claim["tensors"][atom[1]].get("facts", ()) if atom[0] == "t" else ()
        function, body = atom[1] if atom[0] == "f" else ("", 0)
        env = {f"${k}": value for k, value in enumerate(atom[2:])}
        if (
            function == "exp"
            or "positive" in facts
            or (function in ("1/", "sqrt") and self.positive(body, 1, env, True))
        ):
            return 1
        return 0 if power % 2 == 0 or "permutation" in facts or function in ("relu", "sqrt") else -1


def path(tensors: Any, kind: str, *rest: Any) -> tuple[Any, Any]:
    """Return what holds of a decay W and of a gap G, which lacks its last step: A_t is the gate at t.

    stay: W(t,t) = 1.  causal: W(t,s) = 0 for t < s.  step: W(t,s) = A_t G(t,s) for s < t.
    cut: G(t,s) = G(t,r) A_r G(r,s) for s < r < t.  resolvent: for products g and h of gates that commute, the sum
    over low < r < high of g(high,r) (g_r - h_r) h(r,low) is g(high,low) - h(high,low).
    """

    def step(gate: str, wraps: Any, at: Any, args: Any) -> Any:
        for k, space in reversed(wraps):
            at = ("+", k, at, space)
        return ("t", gate, *((at,) if tensors[gate]["legs"] else ()), *args)

    def before(a: Any, b: Any) -> Any:
        return 1 if a == "-" or b == "+" else ("lt", a, b)

    if kind == "resolvent":
        space, low, high, above, below = rest
        if any(len(args) > 1 for _, _, args, _ in (*above, *below)):
            raise Rejected("matrices do not commute")

        def weight(gates: Any, b: Any, a: Any) -> Any:
            return ("*", 1, *(("^", ("gap", gate, wraps, b, a, *args), k) for gate, wraps, args, k in gates))

        def content(gates: Any, sign: int) -> Any:
            return ("*", sign, *(("^", step(gate, wraps, "%r", args), k) for gate, wraps, args, k in gates))

        masks = (before(low, "%r"), before("%r", high))
        inner = ("+", content(above, 1), content(below, -1))
        left = ("sum", (("%r", space),), ("*", *masks, weight(above, high, "%r"), inner, weight(below, "%r", low)))
        right = ("*", before(low, high), ("+", weight(above, high, low), ("*", -1, weight(below, high, low))))
        if "%r" in spread(right)[1]:
            raise Rejected("a reserved name")
        return left, right
    gate, wraps, args, later, *middle, earlier = rest
    legs = tensors[gate]["legs"]
    whole = ("decay", gate, wraps, later, earlier, *args)
    if {"%h", "%k"} & set(spread(whole)[1]):
        raise Rejected("a reserved name")
    if kind == "stay":
        return (*whole[:3], later, later, *args), ("delta", *args) if len(args) == 2 else 1
    if kind == "causal":
        return whole, ("*", ("le", earlier, later), whole)
    names = ("%h", "%k")[: 0 if len(args) < 2 else 1 if kind == "step" else 2]
    stops = [args[0], *names, args[-1]] if len(args) == 2 else []
    legs_of = [tuple(stops[k : k + 2]) if stops else args for k in range(3)]
    scope = tuple((name, legs[2]) for name in names)
    if kind == "step":
        if later == "+":
            return whole, ("gap", *whole[1:])
        gap = ("gap", gate, wraps, later, earlier, *legs_of[1])
        there = before(earlier, later)
        return ("*", there, whole), ("sum", scope, ("*", there, step(gate, wraps, later, legs_of[0]), gap))
    (at,) = middle
    masks = (before(earlier, at), before(at, later))
    cut = (("gap", gate, wraps, later, at, *legs_of[0]), step(gate, wraps, at, legs_of[1]), ("gap", gate, wraps, at, earlier, *legs_of[2]))
    return ("*", *masks, ("gap", *whole[1:])), ("sum", scope, ("*", *masks, *cut))


def is_bound(variable: Any) -> bool:
    """Whether a variable of a canonical monomial is bound: those are numbered downwards from -1."""
    return isinstance(variable, int) and variable < 0


def order_of(blocks: Any) -> Any:
    """Return the order of the open variables in the chains of a monomial."""
    return tuple((s, kept) for s, bs in blocks if (kept := tuple(b for b in bs if not is_bound(b[0]))))


def apply(function: str, argument: Any) -> Any:
    return ("^", argument, -1) if function == "1/" else (function, argument)


def image_of(function: str, parts: Any, core: Any) -> Any:
    """Return a function of a product of positive parts and a core."""
    if core == 0:
        return 0
    last = () if core == 1 else (apply(function, core),)
    if function == "log":
        return ("+", 0, *(("*", k, logarithm(part)) for part, k in parts), *last)
    if function == "sqrt":
        halves = [("exp", ("*", ("num", 1, 2), p[1])) if walkable(p, "exp") else ("sqrt", p) for p, _ in parts]
        powers = [(("^", p, k // 2), ("^", h, k % 2)) for h, (p, k) in zip(halves, parts, strict=True)]
        return ("*", *(f for pair in powers for f in pair), *last)
    return ("*", *(("^", part, -k if function == "1/" else k) for part, k in parts), *last)


def logarithm(part: Any) -> Any:
    if walkable(part, "^"):
        return ("*", part[2], ("log", part[1]))
    return part[1] if walkable(part, "exp") else ("log", part)


def walkable(node: Any, kind: str) -> bool:
    return isinstance(node, tuple) and node[0] == kind


def indicator(node: Any) -> bool:
    """Whether a term is a product of deltas, masks, and 1 - delta."""
    if node == 1 or (isinstance(node, tuple) and node[0] in ("delta", "lt", "le")):
        return True
    if walkable(node, "*"):
        return all(map(indicator, node[1:]))
    return (
        walkable(node, "+") and len(node) == 3 and node[1] == 1 and node[2][:2] == ("*", -1) and indicator(node[2][2])
    )


def conditions(node: Any, scope: Mapping[str, Any]) -> list[Any]:
    """Return what has to hold for a term to be defined, as (relation, term, scope)."""
    if isinstance(node, int) or node[0] not in ("sum", "+", "*", "^", *FUNCTIONS):
        return []
    if node[0] == "sum":
        return conditions(node[2], {**scope, **dict(node[1])})
    relation = {"log": ">", "sqrt": ">="}.get(node[0]) or ("!=" if node[0] == "^" and node[2] < 0 else "")
    found = []
    for part in [node[1]] if relation in (">", ">=") else factors(node[1]) if relation else []:
        names = dict.fromkeys(spread(part)[1])
        found.append((relation, part, tuple((name, scope[name]) for name in names)))
    return found + [c for part in (node[1:] if node[0] in ("+", "*") else node[1:2]) for c in conditions(part, scope)]


def factors(node: Any) -> list[Any]:
    """Return terms that are all nonzero exactly where a term is."""
    if isinstance(node, tuple) and node[0] == "*":
        return [f for part in node[1:] for f in factors(part)]
    if isinstance(node, tuple) and (node[0] == "sqrt" or (node[0] == "^" and node[2] > 0)):
        return factors(node[1])
    return (
        [] if (isinstance(node, tuple) and node[0] in ("exp", "size")) or (isinstance(node, int) and node) else [node]
    )


def pools(claim: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the conditions of the left side, of the right side, and of the hypotheses, each once."""
    scope = dict(claim["free"])
    left, right = (list(dict.fromkeys(conditions(claim[side], scope))) for side in ("lhs", "rhs"))
    return left, right, [c for g in claim["given"] for s in ("lhs", "rhs") for c in conditions(g[s], dict(g["free"]))]


def frozen(value: Any, depth: int = 0) -> Any:
    """Return JSON lists as tuples; refuse what is no part of the language."""
    if depth > DEEPEST or not isinstance(value, str | int | list | tuple | dict) or isinstance(value, bool):
        raise Rejected("too deep, or neither text, integer nor list")
    if isinstance(value, dict):
        return {str(key): frozen(item, depth + 1) for key, item in value.items()}
    if isinstance(value, int) and value.bit_length() > BITS:
        raise Rejected("a number is too large")
    return value if isinstance(value, str | int) else tuple(frozen(item, depth + 1) for item in value)


def verify(certificate: Any, label: Callable[..., Any] | None = None) -> Any:
    """Check a certificate and return its claim; with `label`, hints are asked for instead of read.

    Raises
    ------
    Rejected, or whatever error malformed content leads to
    """
    whole = frozen(certificate)
    claim, proof = whole["claim"], whole["proof"]
    if (whole["format"], whole["version"]) != (FORMAT, VERSION) or set(whole) != {
        "format",
        "version",
        "claim",
        "proof",
    }:
        raise Rejected("another format or version")
    checker = Checker(claim, proof, label)
    left, right, assumed = pools(claim)
    checker.domain = (*left, *right, *assumed)
    reasons = iter(proof["domain"])
    for ours, theirs in ((left, right), (right, left)):
        for relation, node, scope in [c for c in ours if c not in theirs]:
            for values, _ in checker.ranges(scope):
                env = bind(scope, values) | {v: v for v in open_variables(bind(scope, values))}
                checker.holds(relation, node, 1, env, next(reasons), (*theirs, *assumed))
    cases = iter(proof["cases"])
    for values, _ in checker.ranges(claim["free"]) if claim["lhs"] != claim["rhs"] else ():
        env = bind(claim["free"], values) | {v: v for value in values for v in leaves(value)}
        checker.zero(("+", claim["lhs"], ("*", -1, claim["rhs"])), env, next(cases), list(env))
    return claim


def check(certificate: Any, claim: Any = None) -> bool:
    """Whether a certificate (a dict, or its JSON text) is valid, and about the given claim if there is one."""
    try:
        if isinstance(certificate, str):
            if len(certificate) > LONGEST:
                return False
            certificate = json.loads(certificate)
        found = verify(certificate)
        return claim is None or found == frozen(claim)
    except (
        Rejected,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ):
        return False
