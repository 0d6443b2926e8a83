"""The trusted file: checks that a certificate proves its claim.  It imports nothing but the standard library.

A proof of ``lhs = rhs`` is a list of *uses* ``sum(bound: context * (l^k - r^k))``, where ``l = r`` is an instance of a
hypothesis or of an axiom below whose premises are proved in the same way.  Its check is one expansion: ``lhs - rhs -
(uses)`` must vanish when products are multiplied out, deltas eliminated, ordered indices arranged in strict chains, and
equal monomials collected; functions and decays are opaque factors.  Nothing is searched: for every monomial the
certificate gives an order of its bound variables in which equal monomials are literally equal, or an odd automorphism.

Functions are total here: 1/0 is 1, sqrt(x) is sqrt(|x|), log(x) is log(|x|), and log(0) some number.  So ``x != 0``,
``x > 0`` and ``x >= 0`` are equations, `STATES`; those that a side of the claim needs are hypotheses for the other,
and must be proved where the other does not need them.  See docs/decision.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import floor, prod
from typing import Any

FORMAT, VERSION = "tensoralg certificate", 2
LONGEST, DEEPEST, WORK, BITS, HIGHEST, MOST_LEGS = 5_000_000, 200, 800_000, 12_000, 1_000, 60
FIRST = {"t": 2, "decay": 3, "gap": 3}  # where the indices of a term begin
FUNCTIONS, INDICATORS, ENDS = ("exp", "log", "sqrt", "relu"), ("delta", "lt", "le"), ("+", "-")
ARITY = dict.fromkeys(("num", "sum", "^", *INDICATORS), 2) | dict.fromkeys(("size", "place", *FUNCTIONS), 1)
# what malformed content can lead to; all of it means that there is no proof
ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, StopIteration, TypeError, ValueError)


def refuse(wrong: Any, why: str) -> None:
    if wrong:
        raise ValueError(why)


def minus(left: Any, right: Any) -> Any:
    return ("+", left, ("*", -1, right))


def apply(function: str, argument: Any) -> Any:
    refuse(function not in ("1/", *FUNCTIONS), "no function")
    return ("^", argument, -1) if function == "1/" else (function, argument)


STATES: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "!=": lambda x: (("*", x, ("^", x, -1)), 1),
    ">": lambda x: (("exp", ("log", x)), x),
    ">=": lambda x: (("relu", x), x),
}
# what has to vanish (where a factor does not), and the two sides that are equal then
AXIOMS: dict[str, Callable[..., tuple[list[Any], Any, Any]]] = {
    "equal": lambda x, y: ([minus(x, y)], x, y),
    "same": lambda f, x, y: ([minus(x, y)], apply(f, x), apply(f, y)),
    "inverse": lambda x, y: ([minus(("*", x, y), 1)], ("^", x, -1), y),
    "exp": lambda xs: ([("+", 0, *(("*", k, x) for x, k in xs))], ("*", 1, *(("^", ("exp", x), k) for x, k in xs)), 1),
    "exponent": lambda x: ([], ("log", ("exp", x)), x),
    "log": lambda x, y, k: (
        [minus(*STATES["!="](x)), minus(*STATES["!="](y))],
        ("log", ("*", x, ("^", y, k))),
        ("+", ("log", x), ("*", k, ("log", y))),
    ),
    "sqrt": lambda x, y: ([], ("sqrt", ("*", x, y)), ("*", ("sqrt", x), ("sqrt", y))),
    "square": lambda x: ([minus(("relu", x), x)], ("^", ("sqrt", x), 2), x),
    "relu": lambda x, y: ([minus(("relu", x), x)], ("relu", ("*", x, y)), ("*", x, ("relu", y))),
    "flip": lambda x: ([], ("relu", x), ("+", x, ("relu", ("*", -1, x)))),
    "sign": lambda relation, x: ([], *STATES[relation](x)),  # if `Checker.sign` tells it
}


def links(legs: Any, args: Any, *names: str) -> tuple[Any, list[Any]]:
    """Return the indices of the parts of a product of gates: of matrices, linked by new ones; else all the same."""
    if len(args) != 2:
        return (), [args] * (len(names) + 1)
    return tuple((name, legs[2]) for name in names), [*pairwise((args[0], *names, args[1]))]


def gate_at(tensors: Any, gate: str, at: Any, args: Any) -> Any:
    return ("t", gate, *((at,) if tensors[gate]["legs"] else ()), *args)


def opened_decay(tensors: Any, gate: str, clock: Any, later: Any, earlier: Any, *args: Any) -> Any:
    """Return a decay W(t,s) by its gap G(t,s), the product of the gates at s < r < t.

    W(t,s) = A_t G(t,s) for s < t, W(t,t) = 1, W(t,s) = 0 for t < s, and W(+,s) = G(+,s).
    """
    scope, (one, two) = links(tensors[gate]["legs"], args, "%h")
    before, gap = ("lt", earlier, later), ("gap", gate, clock, later, earlier)
    if is_end(later):
        return ("*", before, (*gap, *args))
    gone = ("*", before, ("sum", scope, ("*", gate_at(tensors, gate, later, one), (*gap, *two))))
    same = () if is_end(earlier) else (("*", ("delta", earlier, later), *([("delta", *args)] if scope else ())),)
    return ("+", gone, *same)


def cut(tensors: Any, gate: str, clock: Any, later: Any, middle: Any, earlier: Any, *args: Any) -> tuple[Any, Any]:
    """Return G(t,s) = G(t,r) A_r G(r,s) for s < r < t."""
    scope, (one, two, three) = links(tensors[gate]["legs"], args, "%h", "%k")
    parts = ("gap", gate, clock, later, middle, *one), ("gap", gate, clock, middle, earlier, *three)
    where = ("*", ("lt", earlier, middle), ("lt", middle, later))
    right = ("sum", scope, ("*", gate_at(tensors, gate, middle, two), *parts))
    return ("*", where, ("gap", gate, clock, later, earlier, *args)), ("*", where, right)


def resolvent(tensors: Any, space: Any, low: Any, high: Any, above: Any, below: Any) -> tuple[Any, Any]:
    """Return sum(low < r < high: g(high,r) (g_r - h_r) h(r,low)) = g(high,low) - h(high,low) for weights g and h.

    A weight is a product of gates that are no matrices, (gate, clock, at, indices), where `at` is r or what it is in.
    """

    def gap(gates: Any, b: Any, a: Any) -> Any:
        ends = ([put(("place", at), {"%r": end}.get)[1] for end in (b, a)] for _, _, at, _ in gates)
        return ("*", 1, *(("gap", *g[:2], *pair, *g[3]) for g, pair in zip(gates, ends, strict=True)))

    refuse(any(len(g[3]) > 1 or variables(g[2]) != ["%r"] for g in (*above, *below)), "no weight of gates that commute")
    steps = (("*", 1, *(gate_at(tensors, g, at, args) for g, _, at, args in gates)) for gates in (above, below))
    body = (gap(above, high, "%r"), minus(*steps), gap(below, "%r", low))
    right = ("*", ("lt", low, high), minus(gap(above, high, low), gap(below, high, low)))
    return ("sum", (("%r", space),), ("*", ("lt", low, "%r"), ("lt", "%r", high), *body)), right


class Term:
    """A coefficient times atoms to powers, summed over `bound` (variable -> space).

    An atom is (kind, label, value..); a value is a variable (a name, or an int if bound), ("#", k, space), ("*",
    value..) over a product of spaces, ("+", position, value, space) into a direct sum, or an end of time "+", "-".
    `rank` says where in a strict chain a variable is: (space, block).
    """

    def __init__(self, coefficient: Any = 1, powers: Any = (), bound: Any = (), rank: Any = ()) -> None:
        self.coefficient, self.powers, self.bound, self.rank = coefficient, dict(powers), dict(bound), dict(rank)

    def copy(self, factor: Any = 1) -> Term:
        return Term(self.coefficient * factor, self.powers, self.bound, self.rank)

    def times(self, atom: Any, power: Any = 1) -> Term:
        """Multiply by a power of an atom, in place; indicators are idempotent."""
        total = self.powers.pop(atom, 0) + power
        if total:
            self.powers[atom] = 1 if atom[0] in INDICATORS else total
        return self


def mapped(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """Return an index or a value with its leaves replaced; ends and basis vectors stay."""
    if not isinstance(value, tuple):
        return value if value in ENDS else leaf(value)
    if value[0] == "*":
        return ("*", *(mapped(part, leaf) for part in value[1:]))
    return value if value[0] == "#" else (*value[:2], mapped(value[2], leaf), value[3])


def variables(*values: Any) -> list[Any]:
    """Return the leaves of values, each once."""
    found: list[Any] = []
    for value in values:
        mapped(value, found.append)
    return list(dict.fromkeys(found))


def renamed(atom: Any, to: Mapping[Any, Any]) -> Any:
    values = [mapped(value, lambda v: to.get(v, v)) for value in atom[2:]]
    return (*atom[:2], *(sorted(values, key=str) if atom[0] == "delta" else values))


def bind(scope: Any, values: Any) -> dict[str, Any]:
    """Return values by the names of a scope of (name, space)."""
    found = dict(zip((name for name, _ in scope), values, strict=True))
    names = all(name[:1] == "%" or is_name(name) for name in found)
    refuse(len(found) < len(scope) or not names, "an index is named twice, or by what is no name")
    return found


def chains(start: Any, placed: list[Any], limits: list[Any], spend: Callable[[int], None]) -> Iterator[tuple[Any, ...]]:
    """Yield the arrangements of variables in strict chains of blocks that satisfy all relations."""
    spend(1 + len(limits) // 2)
    rank = {v: k for k, block in enumerate(start) for v in block}
    pairs = [(kind, rank[a] - rank[b]) for kind, a, b in limits if a in rank and b in rank]
    if not all(d < 0 if kind == "lt" else d == 0 if kind == "delta" else d <= 0 for kind, d in pairs):
        return
    if not placed:
        yield start
    for k in range(2 * len(start) + 1 if placed else 0):
        old, new = (start[k // 2],) if k % 2 else (), (start[k // 2] if k % 2 else ()) + (placed[0],)
        yield from chains((*start[: k // 2], new, *start[k // 2 + len(old) :]), placed[1:], limits, spend)


def ordered(powers: Mapping[Any, Any]) -> Any:
    return tuple(sorted(powers.items(), key=repr))


def gathered(found: Iterable[tuple[Any, int, Term]]) -> dict[Any, tuple[int, Term]]:
    """Return terms by keys, those of equal keys added; a term is its sign times its coefficient times its key."""
    table: dict[Any, tuple[int, Term]] = {}
    for key, sign, term in found:
        first, total = table.setdefault(key, (sign, term.copy(0)))
        total.coefficient = raised(total.coefficient + first * sign * term.coefficient, 1)
    return {key: (sign, term) for key, (sign, term) in table.items() if term.coefficient}


def weight(term: Term) -> Any:
    """Return what work on all of a term costs: its values and its number may be long."""
    bits = term.coefficient.numerator.bit_length() + term.coefficient.denominator.bit_length()
    return len(repr(term.powers)) // 16 + len(term.bound) + bits // 64


def apart(term: Term) -> list[Term]:
    """Return the factors of a term, without its coefficient: no two share a bound variable, one at most has none."""
    found: list[Term] = []
    for atom, power in term.powers.items():
        part = Term(1, {atom: power}, {v: term.bound[v] for v in variables(*atom[2:]) if v in term.bound})
        for other in [p for p in found if part.bound.keys() & p.bound or not (part.bound or p.bound)]:
            found.remove(other)
            part.powers.update(other.powers)
            part.bound.update(other.bound)
        found.append(part)
    return found


def put(node: Any, to: Callable[[str], Any], depth: int = 0) -> Any:
    """Return a term with its free indices replaced and its bound ones renamed by their depth."""
    if isinstance(node, int) or node[0] in ("num", "size"):
        return node
    kind = node[0]
    if kind == "sum":
        inner = bind(node[1], [f"%{depth + k}" for k in range(len(node[1]))])
        body = put(node[2], lambda name: inner[name] if name in inner else to(name), depth + len(inner))
        return (kind, tuple((inner[name], space) for name, space in node[1]), body)
    if kind == "^":
        refuse(type(node[2]) is not int, "a power that is no number")
        return (kind, put(node[1], to, depth), node[2])
    if kind in ("+", "*", *FUNCTIONS):
        return (kind, *(put(part, to, depth) for part in node[1:]))
    first = FIRST.get(kind, 1)
    return (*node[:first], *(mapped(i, to) for i in node[first:]))


def spread(node: Any, env: Mapping[str, Any] | None = None) -> tuple[Any, tuple[Any, ...]]:
    """Return a term with its free indices numbered by occurrence, and their values (their names without `env`)."""
    found: list[Any] = []

    def place(leaf: Any) -> str:
        found.append(leaf)
        return f"${len(found) - 1}"

    return put(node, place if env is None else lambda name: mapped(env[name], place)), tuple(found)


def raised(n: Any, power: int) -> Fraction:
    """Return a power of a number, if it is not too large."""
    refuse(max(n.numerator.bit_length(), n.denominator.bit_length()) * abs(power) > BITS, "a number is too large")
    return Fraction(n) if power == 1 else Fraction(Fraction(n) ** power)


def is_kind(node: Any, *kinds: str) -> bool:
    return isinstance(node, tuple) and node[0] in kinds


def is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and value.isascii()


def is_end(value: Any) -> bool:
    """Whether a value is an end of time, or of a summand of it."""
    return value in ENDS or (is_kind(value, "+") and is_end(value[2]))


def is_space(claim: Any, space: Any) -> bool:
    parts = space[1:] if is_kind(space, "*", "+") else ()
    return len(parts) > 1 and all(is_space(claim, part) for part in parts) if parts else space in claim["spaces"]


def space_of(index: Any, scope: Mapping[Any, Any], *ends: str) -> Any:
    """Return the space of an index whose leaves have the spaces of a scope; `ends` may stand in its summands."""
    if not is_kind(index, "*", "+"):
        return scope[index]
    if index[0] == "*":
        return ("*", *(space_of(part, scope) for part in index[1:]))
    _, k, inner, space = index
    inside = k >= 0 and is_kind(space, "+") and (inner in ends or space_of(inner, scope, *ends) == space[1 + k])
    refuse(not inside, "an index does not fit its summand")
    return space


def fits(claim: Any, kind: str, parts: Any, scope: Mapping[Any, Any], *ends: str) -> bool:
    """Whether the name and the indices of a factor belong together; in proofs, `ends` may stand in gaps and ``lt``."""
    if kind == "t":
        return bool(tuple(space_of(i, scope) for i in parts[1:]) == claim["tensors"][parts[0]]["legs"])
    if kind in INDICATORS:
        ends = ends if kind == "lt" else ()
        return len({space_of(i, scope, *ends) for i in parts if i not in ends}) < 2
    if kind == "place":
        return bool(ends and space_of(parts[0], scope))
    gate, clock, later, earlier, *args = parts
    legs = claim["tensors"][gate]["legs"]
    inside = all(i == end or space_of(i, scope, *ends) == clock for i, end in ((later, "+"), (earlier, "-")))
    square = (legs[:1] or (clock,)) == (clock,) and is_space(claim, clock) and (len(args) != 2 or legs[1] == legs[2])
    known = kind == "decay" or (kind == "gap" and ends)
    return bool(known and inside and square and tuple(space_of(i, scope) for i in args) == legs[1:])


def parted(node: Any) -> tuple[Any, list[Any]]:
    """Return the kind of a term and its parts."""
    kind, *parts = node if isinstance(node, tuple) else ("num", node, 1)
    refuse(len(parts) != ARITY.get(kind, len(parts)), "a term of a wrong length")
    return kind, parts


def scope_of(claim: Any, indices: Any) -> dict[str, Any]:
    """Return the spaces of the indices of a claim or a sum by their names."""
    scope = bind(indices, [space for _, space in indices])
    refuse(not all(is_space(claim, space) for space in scope.values()), "an index over what is no space")
    return scope


def conditions(claim: Any, node: Any, scope: Any, spend: Callable[[int], Any]) -> tuple[list[Any], dict[str, None]]:
    """Return what has to hold for a term of a claim to be defined, as (relation, term, scope), and its free indices."""
    kind, parts = parted(node)
    if kind in ("num", "size"):
        number = kind == "num" and all(type(n) is int for n in parts) and parts[1] > 0
        refuse(not (number or (kind == "size" and is_name(parts[0]))), "neither a number nor a size")
        return [], {}
    if kind not in ("sum", "+", "*", "^", *FUNCTIONS):
        refuse(not fits(claim, kind, parts, scope), f"the indices of {parts[0]} do not fit")
        return [], dict.fromkeys(variables(*node[FIRST.get(kind, 1) :]))
    bound = scope_of(claim, parts[0]) if kind == "sum" else {}
    parts = parts[1:] if kind == "sum" else parts[:1] if kind == "^" else parts
    found = [conditions(claim, part, {**scope, **bound} if bound else scope, spend) for part in parts]
    names = {name: None for _, free in found for name in free if name not in bound}
    relation = {"log": ">", "sqrt": ">="}.get(kind) or ("!=" if kind == "^" and node[2] < 0 else "")
    spend((len(names) + (len(scope) if bound else 0) + (len(repr(node)) // 4 if relation else 0)) // 8)
    here = [(relation, node[1], tuple((name, scope[name]) for name in names))] if relation else []
    return here + [condition for inner, _ in found for condition in inner], names


# `int` charges nothing: only what reads a certificate has a limit
def pools(claim: Any, spend: Callable[[int], Any] = int) -> tuple[Any, Any, Any]:
    """Return the conditions of the left side, of the right side, and of the hypotheses, each once."""
    sides = [(one[side], scope_of(claim, one["free"])) for one in (claim, *claim["given"]) for side in ("lhs", "rhs")]
    left, right, *given = (dict.fromkeys(conditions(claim, node, scope, spend)[0]) for node, scope in sides)
    return left, right, [condition for found in given for condition in found]


class Checker:
    """Expansion and collection over the spaces and tensors of one claim; with `label`, hints are asked for."""

    def __init__(self, claim: Any, proof: Any, label: Callable[..., Any] | None = None) -> None:
        self.claim, self.proof, self.tensors, self.label = claim, proof, claim["tensors"], label
        self.counter, self.work, self.hints, self.bodies = 0, WORK, iter(proof["labels"]), dict[Any, int]()
        self.vectors: dict[Any, list[Any]] = {space: [] for space in claim["spaces"]}  # of those that are written out
        for space, (dimension, _) in claim["spaces"].items():
            if str(dimension) in proof["components"]:
                refuse((size := self.size(dimension)).powers, "components of a dimension without a size")
                self.spend(count := int(size.coefficient))
                self.vectors[space] = [("#", k, space) for k in range(count)]
        self.space_of = {vector: vector[2] for vectors in self.vectors.values() for vector in vectors}
        self.assume(())

    def assume(self, domain: Any) -> None:
        """Set the conditions that are hypotheses too, and note the tensors that they, or facts, say are never 0."""
        self.given = [(given["free"], given["lhs"], given["rhs"]) for given in self.claim["given"]]
        self.given += [(scope, *STATES[relation](node)) for relation, node, scope in domain]
        self.proved: set[Any] = set()  # statements, up to the names of their variables
        self.units = {name for name, tensor in self.tensors.items() if "positive" in tensor.get("facts", ())}
        for node, scope in ((node, scope) for relation, node, scope in domain if relation != ">="):
            if is_kind(node, "t") and sorted(map(str, node[2:])) == sorted(name for name, _ in scope):
                self.units.add(node[1])  # at every entry, as the indices fit its legs

    def spend(self, amount: int = 1) -> None:
        self.work -= amount
        refuse(self.work < 0, "the work passes the limit")

    def size(self, name: Any) -> Term:
        """Return the size of a dimension: a name, or a whole number from 1 on."""
        known = self.claim["sizes"].get(name) or (int(name) if str(name).isdecimal() else 0)
        refuse(known < 1 and not is_name(name), "no dimension")
        return Term(Fraction(known)) if known else Term(1, {("size", name): 1})

    # indices

    def values(self, space: Any, name: str | None = None) -> Iterator[Any]:
        """Yield (value, variables that it binds) for an index over a space; a named index binds none."""
        parts = [(name and f"{name}.{k}", part) for k, part in enumerate(space[1:])]
        self.spend(len(parts) * len(repr(space)) // 64 if isinstance(space, tuple) else 0)
        if is_kind(space, "*") and len(parts) > 1:
            yield from ((("*", *values), bound) for values, bound in self.ranges(parts))
        elif is_kind(space, "+") and len(parts) > 1:
            for k, (part_name, part) in enumerate(parts):
                yield from ((("+", k, value, space), bound) for value, bound in self.values(part, part_name))
        elif vectors := self.vectors[space]:
            self.spend(len(vectors))
            yield from ((vector, {}) for vector in vectors)
        else:
            self.counter += 1
            variable = self.counter if name is None else name
            self.space_of[variable] = space
            yield variable, {} if name else {variable: space}

    def ranges(self, indices: Any) -> list[Any]:
        """Return (values, variables that they bind) for several indices, given as (name or None, space)."""
        options = [list(self.values(space, name)) for name, space in indices]
        self.spend(len(options) * prod(map(len, options)))
        found = [tuple(zip(*chosen, strict=True)) or ((), ()) for chosen in product(*options)]
        return [(values, {v: s for bound in bounds for v, s in bound.items()}) for values, bounds in found]

    # expansion

    def product(self, *groups: list[Term]) -> list[Term]:
        """Return the product of sums; no two groups share a bound variable."""
        result = [Term()]
        for group in groups:
            copied = sum(len(left.powers) + len(left.bound) for left in result) if len(group) > 1 else 0
            self.spend(1 + len(result) * sum(2 + weight(right) // 8 for right in group) + copied * len(group) // 8)
            pairs, result = product(result, group), []
            for left, right in pairs:
                term = left if len(group) == 1 else left.copy()
                term.coefficient = raised(term.coefficient * right.coefficient, 1)
                for atom, power in right.powers.items():
                    term.times(atom, power)
                term.bound.update(right.bound)
                result.append(term)
        return result

    def expand(self, node: Any, env: Any) -> list[Term]:
        """Return a term of the language as monomials."""
        self.spend()
        kind, parts = parted(node)
        if kind in ("num", "size"):
            number = self.size(parts[0]) if kind == "size" else Term(Fraction(*parts))
            return [number] if number.coefficient else []
        if kind == "+":
            return [term for part in parts for term in self.expand(part, env)]
        if kind == "*":
            return self.product(*(self.expand(part, env) for part in parts))
        if kind == "sum":
            return self.summed(parts[0], env, self.expand, parts[1])
        if kind == "^":
            return self.power(parts[0], parts[1], env)
        if kind in FUNCTIONS:
            return [self.root(parts[0], env) if kind == "sqrt" else self.closed(kind, parts[0], env)]
        self.spend(2 + len(repr(parts)) // 32)
        first = FIRST.get(kind, 1) - 1
        parts[first:] = [mapped(i, env.__getitem__) for i in parts[first:]]
        refuse(not fits(self.claim, kind, parts, self.space_of, *ENDS), f"the indices of {parts[0]} do not fit")
        if kind in INDICATORS:
            return self.relation(kind, *parts)
        if kind == "decay":
            return self.expand(opened_decay(self.tensors, *parts), {v: v for v in variables(*parts[2:])})
        if kind == "gap":
            return self.gap(*parts)
        return [Term(1, {("t", *parts) if kind == "t" else ("place", "", *parts): 1})]

    def summed(self, indices: Any, env: Any, body: Callable[..., list[Term]], *args: Any) -> list[Term]:
        """Return the sum of what `body` returns for all values of some indices."""
        found = []
        for values, bound in self.ranges([(None, space) for _, space in indices]):
            self.spend(len(env) // 8)
            for term in body(*args, env | bind(indices, values)):
                self.spend(len(bound) // 8)
                term.bound.update(bound)
                found.append(term)
        return found

    def power(self, base: Any, exponent: int, env: Any) -> list[Term]:
        """Return a power; only what is never zero has powers of both signs."""
        self.spend(len(repr(base)) // 32)
        refuse(abs(exponent) > HIGHEST, "a power is too high")
        if exponent >= 0:
            return self.product(*(self.expand(base, env) for _ in range(exponent)))
        (term, *more) = ([] if is_kind(base, "+", "sum") else self.expand(base, env)) or [Term(0)]
        if term.coefficient and all(map(self.never_zero, term.powers)) and not more and not term.bound:
            powers = {atom: e * exponent for atom, e in term.powers.items()}
            if all(abs(e) <= HIGHEST for e in powers.values()):
                return [Term(raised(term.coefficient, exponent), powers)]
        return [Term(1, dict.fromkeys(self.closed("1/", base, env).powers, -exponent))]

    def never_zero(self, atom: Any) -> bool:
        """Whether an atom is never zero, so that its powers of both signs cancel."""
        positive = atom[1] in self.units if atom[0] == "t" else atom[0] in ("size", "place")
        return positive or (atom[0] == "f" and atom[1][0] in ("exp", "1/"))

    def root(self, node: Any, env: Any) -> Term:
        """Return a square root; those of sizes and whole numbers are powers of sizes."""
        (term, *more) = self.expand(node, env) or [Term(0)]
        c, sizes = term.coefficient, all(a[0] == "size" for a in term.powers) and not more and not term.bound
        if sizes and (c == 1 or (c > 1 and c.denominator == 1 and not term.powers)):
            return Term(1, {a: Fraction(e) / 2 for a, e in ({("size", int(c)): 1} if c > 1 else term.powers).items()})
        return self.closed("sqrt", node, env)

    def closed(self, function: str, node: Any, env: Any) -> Term:
        """Return a function as an atom: its argument with the free indices numbered, and their values."""
        self.spend(len(repr(node)) // 16)
        body, values = spread(node, env)
        return Term(1, {("f", (function, self.bodies.setdefault(body, len(self.bodies))), *values): 1})

    def relation(self, kind: str, left: Any, right: Any) -> list[Term]:
        """Return a delta or mask between values of one space: lexicographic, summands one after the other."""
        if left in ENDS or right in ENDS:
            return [Term()] if left != right and (left == "-" or right == "+") else []
        if is_kind(left, "*"):
            self.spend(len(left))
            if len(left) == 2:
                return self.relation(kind, left[1], right[1])
            rest = self.relation(kind, ("*", *left[2:]), ("*", *right[2:]))
            rest = self.product(self.relation("delta", left[1], right[1]), rest)
            return rest if kind == "delta" else self.relation("lt", left[1], right[1]) + rest
        if is_kind(left, "+") and left[1] == right[1]:
            return self.relation(kind, left[2], right[2])
        unordered = not is_kind(left, "+") and not self.claim["spaces"][self.space_of[left]][1]
        refuse(kind != "delta" and unordered, "a mask over a space without an order")
        if left == right:
            return [] if kind == "lt" else [Term()]
        if isinstance(left, tuple) and isinstance(right, tuple):
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        return [Term(1, {renamed((kind, "", left, right), {}): 1})]

    def gap(self, gate: str, clock: Any, later: Any, earlier: Any, *args: Any) -> list[Term]:
        """Return a gap: the product of its gates at basis vectors, and of atoms for what is between others.

        What it is when its ends are not in order does not matter: no rule is about that.
        """
        parts = self.split(gate, clock, clock, later, earlier) or [("delta",)] * (len(args) == 2)
        if parts == [("gap", gate, clock, later, earlier)]:
            return [Term(1, {("gap", (gate, clock), later, earlier, *args): 1})]
        scope, stops = links(self.tensors[gate]["legs"], args, *(f"%{k}" for k in range(1, len(parts))))
        factors = ((*part, *stop) for part, stop in zip(parts, stops, strict=False))
        return self.expand(("sum", scope, ("*", *factors)), {v: v for v in variables(later, earlier, *args)})

    def split(self, gate: str, clock: Any, space: Any, later: Any, earlier: Any, at: Any = lambda x: x) -> list[Any]:
        """Return the factors of a gap, the latest first; `at` says where in the clock a time in the space is.

        A gate without a leg in time is the same over a summand by itself.
        """
        if not is_kind(space, "+"):
            refuse(not self.claim["spaces"][space][1], "a gap without an order")
            self.spend(len(vectors := self.vectors[space]))
            inside = [v for v in vectors if self.relation("lt", earlier, v) and self.relation("lt", v, later)]
            ends = (clock, at(later), at(earlier)) if self.tensors[gate]["legs"] else (space, later, earlier)
            return [gate_at(self.tensors, gate, at(v), ()) for v in inside[::-1]] if vectors else [("gap", gate, *ends)]
        k, later = (len(space) - 2, "+") if later == "+" else later[1:3]
        j, earlier = (0, "-") if earlier == "-" else earlier[1:3]
        found: list[Any] = []
        for m in range(k, j - 1, -1):
            high, low = later if m == k else "+", earlier if m == j else "-"
            found += self.split(gate, clock, space[1 + m], high, low, lambda x, m=m: at(("+", m, x, space)))
        return found

    # the normal form

    def eliminate(self, term: Term) -> Term:
        """Return a term without deltas of bound variables, open ones in a star; unused indices count."""
        self.spend(1 + weight(term) // 4)
        done: set[Any] = set()
        while deltas := sorted((a for a in term.powers if a[0] == "delta" and a not in done), key=str):
            self.spend(max(len(term.powers), weight(term) // 2))
            kept, gone = deltas[0][2:]
            if isinstance(gone, tuple) or (kept in term.bound and gone not in term.bound):
                kept, gone = gone, kept
            stays = kept != gone and gone not in term.bound
            rest = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if v != gone or kept == gone})
            for other, power in term.powers.items():
                if other != deltas[0]:
                    rest.times(other if other in done else renamed(other, {gone: kept}), power)
            term = rest.times(deltas[0]) if stays else rest
            done |= {deltas[0]} if stays else set()
        for atom, power in [(a, e) for a, e in term.powers.items() if a[0] == "size" and isinstance(a[1], int)]:
            term.coefficient *= raised(atom[1], floor(power))
            term.times(atom, -floor(power))
        used = set(variables(*(value for atom in term.powers for value in atom[2:])))
        sizes = [[self.size(self.claim["spaces"][term.bound.pop(v)][0])] for v in list(term.bound) if v not in used]
        return self.product([term], *sizes)[0]

    def refine(self, term: Term, space: str, opened: Any) -> list[Term]:
        """Return a term as a sum over strict chains of the variables in one space; empty blocks are counted."""
        self.spend(2 + (len(opened) + len(term.powers) + len(term.bound)) // 8)
        placed = [v for v in opened if self.space_of[v] == space] + [v for v, s in term.bound.items() if s == space]
        members, size, result = set(placed), [self.size(self.claim["spaces"][space][0]), Term()], []
        inside = [a for a in term.powers if a[0] in INDICATORS and members.issuperset(a[2:])]
        cost = 6 + 2 * len(placed) + weight(term) // 4 if placed else 0
        for blocks in chains((), placed, [(a[0], *a[2:]) for a in inside], self.spend) if placed else ():
            to = {v: min(b, key=lambda v: (v in term.bound, str(v))) for b in blocks for v in b}
            self.spend(cost)
            piece = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if to.get(v, v) == v})
            for atom, power in term.powers.items():
                if atom not in inside:
                    piece.times(renamed(atom, to), power)
            used = set(variables(*(value for atom in piece.powers for value in atom[2:])))
            kept, sums, number = list[Any](), [Term()], 0
            for block in (*blocks, ()):
                first = to[block[0]] if block else None
                if first in piece.bound and first not in used:
                    del piece.bound[first]
                    number += 1
                    continue
                for j in range(number):
                    high = [Term(1, {("place", "", first): 1})] if block else size
                    low = [Term(-1, {("place", "", kept[-1][0]): 1})] if kept else []
                    line = self.product(sums, [t.copy(Fraction(1, j + 1)) for t in (*high, *low, Term(-1 - j))])
                    sums = [t for _, t in gathered((ordered(t.powers), 1, t) for t in line).values()]
                kept += [(first, *sorted((v for v in block if v in opened and v != first), key=str))] if block else []
                number = 0
            masks = [("lt", "", low[0], high[0]) for low, high in pairwise(kept)]
            masks += [("delta", "", first, v) for first, *others in kept for v in others]
            piece.powers.update(dict.fromkeys(masks, 1))
            rank = term.rank | {v: (space, k) for k, block in enumerate(kept) for v in block}
            result += [Term(t.coefficient, t.powers, t.bound, rank) for t in self.product([piece], sums)]
        return result if placed else [term]

    def sorted_legs(self, powers: Any, to: Mapping[Any, Any]) -> tuple[int, dict[Any, Any]]:
        """Return a sign and the factors, renamed, with their symmetric legs sorted; sign 0 where an entry vanishes."""
        sign, result = 1, Term()
        for old, power in powers.items():
            atom = list(renamed(old, to) if to else old)
            tensor = self.tensors[atom[1]] if atom[0] == "t" else {}
            for kind, group in [(k, g) for k in ("symmetric", "antisymmetric") for g in tensor.get(k, ())]:
                self.spend(len(group) ** 2 // 16)
                legs = [(str(mapped(v, lambda _: 0)), str(v), v) for v in (atom[2 + g] for g in group)]
                if kind == "antisymmetric":
                    swaps = sum(a[:2] > b[:2] for a, b in combinations(legs, 2))
                    sign *= 0 if len({leg[:2] for leg in legs}) < len(legs) else -1 if power * swaps % 2 else 1
                for g, leg in zip(group, sorted(legs, key=lambda leg: leg[:2]), strict=True):
                    atom[2 + g] = leg[2]
            result.times(tuple(atom), power)
        return sign, result.powers

    def canonical(self, term: Term) -> tuple[Any, int]:
        """Return a monomial with numbered bound variables, and a sign (0 where it vanishes)."""
        self.spend(12 + weight(term) // 2)
        sign, powers = self.sorted_legs(term.powers, {})
        loose = [v for v in term.bound if v not in term.rank]
        order: Any = range(len(loose))
        if len(loose) > 1 and sign:
            hint = list(next(self.hints)) if self.label is None else self.label(self, powers, term, term.rank, loose)
            order = [k for k in hint if k != -1]
            refuse(sorted(order) != list(range(len(loose))), "a hint is no permutation")
            if hint[0] == -1:
                to = {v: loose[k] for v, k in zip(loose, order, strict=True)}
                refuse(any(term.bound[v] != term.bound[w] for v, w in to.items()), "an odd automorphism between spaces")
                refuse(self.sorted_legs(powers, to) != (-1, powers), "an odd automorphism is none")
                return (), 0
        bound = sorted((v for v in term.bound if v in term.rank), key=term.rank.__getitem__) + [loose[k] for k in order]
        to = {v: -1 - k for k, v in enumerate(bound)}
        flip, powers = self.sorted_legs(powers, to)
        return (ordered(powers), tuple(term.bound[v] for v in bound)), sign * flip

    def normal(self, terms: list[Term], opened: Any) -> dict[Any, tuple[int, Term]]:
        """Return the normal form of a sum of terms whose open variables are `opened`.

        Factors of a term that share no bound variable are refined alone first, with the open variables that indicators
        relate to others: most of what cancels cancels there.
        """
        if not self.proof["refine"]:
            return self.collect(terms, opened)
        found, among = [], set(opened)
        for term in map(self.eliminate, terms):
            self.spend(len(term.powers) ** 2 // 16)
            forms = []
            for part in apart(term):
                alone = 0 < len(part.bound) < len(term.bound)
                related = [v for atom in part.powers if atom[0] in INDICATORS for v in variables(*atom[2:])]
                here = [v for v in dict.fromkeys(related) if v in among]
                forms.append(self.collect([part], here) if alone else {ordered(part.powers): (1, part)})
            self.spend(prod(map(len, forms)))
            for chosen in product(*(form.items() for form in forms)):
                (whole,) = self.product([Term(term.coefficient)], *([part] for _, (_, part) in chosen))
                key = tuple(sorted((key for key, _ in chosen), key=repr))
                found.append((key, prod(sign for _, (sign, _) in chosen), whole))
        return self.collect([term for _, term in gathered(found).values()], opened)

    def collect(self, terms: list[Term], opened: Any) -> dict[Any, tuple[int, Term]]:
        """Return terms by their monomials along strict chains; deltas of bound variables are eliminated."""
        pieces = [self.eliminate(term) for term in terms]
        for space in self.proof["refine"]:
            pieces = [done for piece in pieces for done in self.refine(piece, space, opened)]
        return gathered(entry for entry in ((*self.canonical(piece), piece) for piece in pieces) if entry[1])

    # proofs

    def zero(self, node: Any, env: Any, uses: Any, names: Any = None) -> None:
        """Check that a term vanishes for all values of its free indices, by uses of equations."""
        self.spend(len(repr(node)) // 32 + len(env) // 2 + len(uses))
        opened = variables(*(env[name] for name in names or spread(node)[1]))
        number = {variable: k for k, variable in enumerate(opened)}
        outer = {name: value for name, value in env.items() if number.keys() >= set(variables(value))}
        places = tuple((name, mapped(value, number.__getitem__)) for name, value in outer.items())
        key = node, uses, places, tuple(self.space_of[variable] for variable in opened)
        if key in self.proved:
            return
        terms = self.expand(node, outer)
        for bound, *rest in uses:
            refuse(any(name[:1] == "%" for name, _ in bound), "a reserved name")
            terms += self.summed(bound, outer, self.used, *rest)
        refuse(self.normal(terms, opened), "a difference does not vanish")
        self.proved.add(key)

    def used(self, context: Any, exponent: Any, rule: Any, env: Any) -> list[Term]:
        """Return what a use adds to a difference."""
        left, right = self.instance(rule, env)
        return self.expand(("*", -1, context, minus(("^", left, exponent), ("^", right, exponent))), env)

    def instance(self, rule: Any, env: Any) -> tuple[Any, Any]:
        """Return the two sides of an equation that holds, after checking its premises."""
        kind, *rest = rule
        if kind in ("cut", "resolvent"):
            return (cut if kind == "cut" else resolvent)(self.tensors, *rest)
        if kind == "given":
            scope, left, right = self.given[rest[0]]
            self.spend(len(repr((left, right, rest))) // 16)
            spaces = [space_of(mapped(i, env.__getitem__), self.space_of) for i in rest[1]]
            refuse(spaces != [space for _, space in scope], "an equation is used at other spaces")
            to = bind(scope, rest[1]).__getitem__
            return put(left, to), put(right, to)
        if kind == "select":  # f(sum(a: P[t,a]*x[a])) for a permutation P is sum(a: P[t,a]*f(x[a]))
            function, entry, name, space, inner = rest
            refuse(not self.selects(entry, name), "no permutation matrix selects here")
            sides = (apply(function, ("sum", ((name, space),), ("*", entry, inner))), apply(function, inner))
            return sides[0], ("sum", ((name, space),), ("*", entry, sides[1]))
        where, terms, proofs = rest
        premises, left, right = AXIOMS[kind](*terms)
        refuse(kind == "sign" and self.sign(terms[1]) < (terms[0] != ">="), "a sign is not known")
        for premise, uses in zip(premises, proofs, strict=True):
            self.zero(("*", where, premise), env, uses)
        return ("*", where, left), ("*", where, right)

    def selects(self, node: Any, name: str) -> bool:
        """Whether a term is P[t,a] or P[a,t] for a permutation P, so that one a has 1 there, and the others 0."""
        found = is_kind(node, "t") and "permutation" in self.tensors[node[1]].get("facts", ())
        return bool(found and name in node[2:] and spread(node)[1].count(name) == 1)

    def sign(self, node: Any) -> int:
        """Return 1 if a term is positive, 0 if it is not negative, -1 if neither is known.

        Sums without masks are never empty, as named spaces have a dimension of at least 1.
        """
        kind, parts = parted(node)
        facts = self.tensors[parts[0]].get("facts", ()) if kind == "t" else ()
        if kind == "num":
            return int(min(1, max(-1, parts[0] * parts[1])))
        if kind in ("+", "*"):
            signs = [self.sign(part) for part in parts]
            return min(signs) if kind == "*" or min(signs) < 0 else max(signs)
        if kind == "sum":  # sum(a: P[t,a]*x[a]) for a permutation P is one of the x
            names, factors = [name for name, _ in parts[0]], parts[1][1:] if is_kind(parts[1], "*") else (parts[1],)
            self.spend(len(names) * len(factors))
            chosen = [f for f in factors if any(self.selects(f, name) for name in names)][:1]
            return min([self.sign(f) for f in factors if f not in chosen], default=1)
        if kind in ("sqrt", "relu", "^"):
            inner = self.sign(parts[0])
            return max(inner, 0) if kind != "^" or parts[1] % 2 == 0 else inner
        sure = kind in ("exp", "place") or "positive" in facts or (kind == "size" and self.size(parts[0]))
        return 1 if sure else 0 if kind in INDICATORS or "permutation" in facts else -1


def frozen(value: Any, depth: int = 0, count: Any = None) -> Any:
    """Return JSON lists as tuples; refuse what is no part of the language."""
    kind, count = type(value), count or [0]
    count[0] += 1
    if kind is str or (kind is int and value.bit_length() <= BITS):
        return value
    refuse(depth > DEEPEST or count[0] > LONGEST // 4 or kind not in (list, tuple, dict), "too large, or no content")
    if kind is dict:
        return {str(key): frozen(item, depth + 1, count) for key, item in value.items()}
    return tuple([frozen(item, depth + 1, count) for item in value])


def well_formed(claim: Any) -> None:
    """Refuse a claim that says more, or less, than a claim can say, and tensors or names that are none."""
    for tensor in claim["tensors"].values():
        legs, facts = tensor["legs"], set(tensor.get("facts", ()))
        groups = (*tensor.get("symmetric", ()), *tensor.get("antisymmetric", ()))
        sorted_legs = [leg for group in groups for leg in group]
        known = set(tensor) <= {"legs", "symmetric", "antisymmetric", "facts", "inverse_of"}
        known &= facts <= {"positive", *(("permutation", "isometry", "projection") if len(legs) == 2 else ())}
        apart = len(set(sorted_legs)) == len(sorted_legs) <= MOST_LEGS and min(sorted_legs, default=0) >= 0
        alike = all(is_space(claim, leg) for leg in legs) and all(len({legs[k] for k in group}) < 2 for group in groups)
        refuse(not (known and apart and alike), "a tensor with legs, facts or symmetries that it cannot have")
    sizes = [*claim["sizes"].values(), *(n for n, _ in claim["spaces"].values() if not is_name(n))]
    refuse(not all(type(n) is int and n > 0 for n in sizes), "a dimension that is neither a name nor a size")
    refuse(not all(map(is_name, claim["sizes"])) or '"%' in json.dumps(claim), "a name that is none, or a reserved one")
    refuse(set(claim) != {"spaces", "tensors", "free", "lhs", "rhs", "given", "sizes"}, "a claim of other fields")


def verify(certificate: Any, label: Callable[..., Any] | None = None) -> Any:
    """Check a certificate and return its claim, or raise; with `label`, hints are asked for instead of read."""
    claim, proof = (whole := frozen(certificate))["claim"], whole["proof"]
    refuse((len(whole), whole["format"], whole["version"]) != (4, FORMAT, VERSION), "another format or version")
    refuse(len(set(proof["refine"])) < len(proof["refine"]), "a space that is refined twice")
    well_formed(claim)
    checker, cases, reasons = Checker(claim, proof, label), iter(proof["cases"]), iter(proof["domain"])

    def holds(node: Any, scope: Any, proofs: Iterator[Any]) -> None:
        for values, _ in checker.ranges(scope):
            env = bind(scope, values)
            checker.zero(node, env | {v: v for v in variables(*values)}, next(proofs), list(env))

    left, right, assumed = pools(claim, checker.spend)
    for ours, theirs in ((left, right), (right, left)):
        checker.assume((*theirs, *assumed))
        for relation, node, scope in [condition for condition in ours if condition not in theirs]:
            holds(minus(*STATES[relation](node)), scope, reasons)
    checker.assume((*left, *right, *assumed))
    if claim["lhs"] != claim["rhs"]:
        holds(minus(claim["lhs"], claim["rhs"]), claim["free"], cases)
    return claim


def check(certificate: Any, claim: Any = None) -> bool:
    """Whether a certificate (a dict, or its JSON text) is valid, and about the given claim if there is one."""
    try:
        found = verify(json.loads(certificate[: LONGEST + 1]) if isinstance(certificate, str) else certificate)
        return claim is None or found == frozen(claim)
    except ERRORS:
        return False
