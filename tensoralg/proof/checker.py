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
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import floor, prod
from typing import Any

FORMAT, VERSION = "tensoralg certificate", 2
LONGEST, DEEPEST, WORK, BITS, HIGHEST, MOST_LEGS = 5_000_000, 200, 800_000, 12_000, 1_000, 60
FIRST = {"t": 2, "decay": 3, "gap": 3}  # where the indices of a term begin
FUNCTIONS, INDICATORS, ENDS = ("exp", "log", "sqrt", "relu"), ("delta", "lt", "le"), ("+", "-")
ARITY = dict.fromkeys(("num", "sum", "^", *INDICATORS), 3) | dict.fromkeys(("size", "place", *FUNCTIONS), 2)
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


def links(args: Any, *names: str) -> tuple[Any, list[Any]]:
    """Return the indices of the parts of a product of gates: of matrices, linked by new ones; else all the same."""
    stops = (*args[:1], *names, *args[1:])
    return (names, [*pairwise(stops)]) if len(args) == 2 else ((), [args] * (len(names) + 1))


def cut(tensors: Any, gate: str, clock: Any, later: Any, middle: Any, earlier: Any, *args: Any) -> tuple[Any, Any]:
    """Return G(t,s) = G(t,r) A_r G(r,s) for s < r < t."""
    legs, (names, (one, two, three)) = tensors[gate]["legs"], links(args, "%h", "%k")
    step = ("t", gate, *((middle,) if legs else ()), *two)
    parts = ("gap", gate, clock, later, middle, *one), step, ("gap", gate, clock, middle, earlier, *three)
    where = ("*", ("lt", earlier, middle), ("lt", middle, later))
    right = ("sum", tuple((name, legs[2]) for name in names), ("*", *parts))
    return ("*", where, ("gap", gate, clock, later, earlier, *args)), ("*", where, right)


def resolvent(tensors: Any, space: Any, low: Any, high: Any, above: Any, below: Any) -> tuple[Any, Any]:
    """Return sum(low < r < high: g(high,r) (g_r - h_r) h(r,low)) = g(high,low) - h(high,low) for weights g and h.

    A weight is a product of gates that are no matrices, (gate, clock, at, indices), where `at` is r or what it is in.
    """

    def gap(gates: Any, b: Any, a: Any) -> Any:
        ends = ([put(("place", at), {"%r": end}.get)[1] for end in (b, a)] for _, _, at, _ in gates)
        return ("*", 1, *(("gap", *g[:2], *pair, *g[3]) for g, pair in zip(gates, ends, strict=True)))

    def step(gates: Any) -> Any:
        return ("*", 1, *(("t", g, *((at,) if tensors[g]["legs"] else ()), *args) for g, _, at, args in gates))

    wrong = [gate for gate in (*above, *below) if len(gate[3]) > 1 or variables(gate[2]) != ["%r"]]
    refuse(wrong, "no weight of gates that commute")
    body = (gap(above, high, "%r"), minus(step(above), step(below)), gap(below, "%r", low))
    right = ("*", ("lt", low, high), minus(gap(above, high, low), gap(below, high, low)))
    return ("sum", (("%r", space),), ("*", ("lt", low, "%r"), ("lt", "%r", high), *body)), right


class Term:
    """A coefficient times atoms to powers, summed over `bound` (variable -> space), along `chains` (space -> blocks).

    An atom is (kind, label, value..); a value is a variable (a name, or an int if bound), ("#", k, space), ("*",
    value..) over a product of spaces, ("+", position, value, space) into a direct sum, or an end of time "+", "-".
    """

    def __init__(self, coefficient: Any = 1, powers: Any = (), bound: Any = (), chains: Any = ()) -> None:
        self.coefficient, self.powers, self.bound, self.chains = coefficient, dict(powers), dict(bound), dict(chains)

    def copy(self, factor: Any = 1) -> Term:
        return Term(self.coefficient * factor, self.powers, self.bound, self.chains)

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


def apart(term: Term) -> tuple[Term, list[Term]]:
    """Return the factors of a term without bound variables, and the others, none sharing one with another."""
    whole, found = Term(term.coefficient), list[Term]()
    for atom, power in term.powers.items():
        bound = {v: term.bound[v] for v in variables(*atom[2:]) if v in term.bound}
        part = Term(1, {atom: power}, bound)
        for other in [other for other in found if bound.keys() & other.bound]:
            found.remove(other)
            part.powers.update(other.powers)
            part.bound.update(other.bound)
        if bound:
            found.append(part)
        else:
            whole.times(atom, power)
    return whole, found


def related(part: Term, opened: Any) -> list[Any]:
    """Return the open variables that indicators relate to others."""
    used = set(variables(*(v for atom in part.powers if atom[0] in INDICATORS for v in atom[2:])))
    return [v for v in opened if v in used]


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


def raised(number: Any, power: int) -> Fraction:
    """Return a power of a number, if it is not too large."""
    if max(number.numerator.bit_length(), number.denominator.bit_length()) * abs(power) > BITS:
        raise ValueError("a number is too large")
    return Fraction(number) if power == 1 else Fraction(Fraction(number) ** power)


def is_kind(node: Any, *kinds: str) -> bool:
    return isinstance(node, tuple) and node[0] in kinds


def is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and value.isascii()


def is_end(value: Any) -> bool:
    """Whether a value is an end of time, or of a summand of it."""
    return value in ENDS or (is_kind(value, "+") and is_end(value[2]))


def is_space(claim: Any, space: Any) -> bool:
    parts = space[1:] if is_kind(space, "*", "+") else ()
    return space in claim["spaces"] or (len(parts) > 1 and all(is_space(claim, part) for part in parts))


def space_of(index: Any, scope: Mapping[str, Any]) -> Any:
    """Return the space of an index in a claim."""
    if isinstance(index, str):
        return scope[index]
    if is_kind(index, "*"):
        return ("*", *(space_of(part, scope) for part in index[1:]))
    tag, k, inner, space = index
    inside = tag == "+" and k >= 0 and is_kind(space, "+") and space_of(inner, scope) == space[1 + k]
    refuse(not inside, "an index does not fit its summand")
    return space


def fits(claim: Any, kind: str, parts: Any, scope: Mapping[str, Any]) -> bool:
    """Whether the name and the indices of an entry, a relation or a decay belong together."""
    if kind == "t":
        return bool(tuple(space_of(i, scope) for i in parts[1:]) == claim["tensors"][parts[0]]["legs"])
    if kind in INDICATORS:
        return bool(space_of(parts[0], scope) == space_of(parts[1], scope))
    gate, clock, later, earlier, *args = parts
    ends, legs = (
        [end for end, formal in ((later, "+"), (earlier, "-")) if end != formal],
        claim["tensors"][gate]["legs"],
    )
    inside = all(space_of(end, scope) == clock for end in ends) and legs[:1] in ((), (clock,))
    return bool(kind == "decay" and inside and tuple(space_of(i, scope) for i in args) == legs[1:])


def conditions(claim: Any, node: Any, scope: Any) -> tuple[list[Any], dict[str, None]]:
    """Return what has to hold for a term of a claim to be defined, as (relation, term, scope), and its free indices."""
    kind, *parts = node if isinstance(node, tuple) else ("num", node, 1)
    refuse(len(parts) + 1 != ARITY.get(kind, len(parts) + 1), "a term of a wrong length")
    if kind in ("num", "size"):
        number = kind == "num" and all(type(n) is int for n in parts) and parts[1] > 0
        refuse(not (number or (kind == "size" and is_name(parts[0]))), "neither a number nor a size")
        return [], {}
    if kind not in ("sum", "+", "*", "^", *FUNCTIONS):
        refuse(not fits(claim, kind, parts, scope), f"the indices of {parts[0]} do not fit")
        return [], dict.fromkeys(variables(*node[FIRST.get(kind, 1) :]))
    bound = bind(parts[0], [space for _, space in parts[0]]) if kind == "sum" else {}
    refuse(not all(is_space(claim, space) for space in bound.values()), "a sum over what is no space")
    parts = parts[1:] if kind == "sum" else parts[:1] if kind == "^" else parts
    inner = ChainMap(bound, scope) if bound else scope
    found = [conditions(claim, part, inner) for part in parts]
    names = {name: None for _, free in found for name in free if name not in bound}
    relation = {"log": ">", "sqrt": ">="}.get(kind) or ("!=" if kind == "^" and node[2] < 0 else "")
    here = [(relation, node[1], tuple((name, scope[name]) for name in names))] if relation else []
    return here + [condition for inner, _ in found for condition in inner], names


def pools(claim: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the conditions of the left side, of the right side, and of the hypotheses, each once."""
    sides = [(part[side], dict(part["free"])) for part in (claim, *claim["given"]) for side in ("lhs", "rhs")]
    spaces = [space for _, scope in sides for space in scope.values()]
    refuse(not all(is_space(claim, space) for space in spaces), "a free index over what is no space")
    left, right, *given = (list(dict.fromkeys(conditions(claim, node, scope)[0])) for node, scope in sides)
    return left, right, [condition for found in given for condition in found]


class Checker:
    """Expansion and collection over the spaces and tensors of one claim; with `label`, hints are asked for."""

    def __init__(self, claim: Any, proof: Any, label: Callable[..., Any] | None = None) -> None:
        self.claim, self.proof, self.tensors, self.label = claim, proof, claim["tensors"], label
        self.space_of: dict[Any, str] = {}
        self.counter, self.work, self.hints = 0, WORK, iter(proof["labels"])
        self.components, self.bodies = set(proof["components"]), dict[Any, int]()
        self.assume(())

    def assume(self, domain: Any) -> None:
        """Set the conditions that are hypotheses too, and note the tensors that they, or facts, say are never 0."""
        self.given = [(given["free"], given["lhs"], given["rhs"]) for given in self.claim["given"]]
        self.given += [(scope, *STATES[relation](node)) for relation, node, scope in domain]
        self.proved: set[Any] = set()  # statements, up to the names of their variables
        self.units = {name for name, tensor in self.tensors.items() if "positive" in tensor.get("facts", ())}
        for node, spaces in ((node, dict(scope)) for relation, node, scope in domain if relation != ">="):
            if is_kind(node, "t") and sorted(map(str, node[2:])) == sorted(spaces):
                legs = tuple(spaces[i] for i in node[2:])
                self.units |= {node[1]} if legs == self.tensors[node[1]]["legs"] else set()

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
        elif str(dimension := self.claim["spaces"][space][0]) in self.components:
            refuse((size := self.size(dimension)).powers, "components of a dimension without a size")
            self.spend(count := int(size.coefficient))
            yield from ((("#", k, space), {}) for k in range(count))
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

    def kind(self, value: Any) -> Any:
        """Return the space of a value."""
        if isinstance(value, tuple):
            return value[2] if value[0] == "#" else value[3] if value[0] == "+" else ("*", *map(self.kind, value[1:]))
        return self.space_of[value]

    def value(self, index: Any, env: Any) -> Any:
        """Return what an index stands for."""
        if not isinstance(index, tuple):
            return index if index in ENDS else env[index]
        if index[0] == "*" and not any(map(is_end, parts := [self.value(part, env) for part in index[1:]])):
            return ("*", *parts)
        if index[0] == "#" and index in [value for value, _ in self.values(index[2])]:
            return index
        if index[0] == "+" and is_kind(index[3], "+") and index[1] >= 0:
            inner, space = self.value(index[2], env), index[3][1 + index[1]]
            if inner in ENDS or self.kind(inner) == space:
                return (*index[:2], inner, index[3])
        raise ValueError("no index, or one that does not fit its summand")

    # expansion

    def product(self, *groups: list[Term]) -> list[Term]:
        """Return the product of sums; no two groups share a bound variable."""
        result = [Term()]
        for group in groups:
            self.spend(1 + 2 * len(result) * len(group))
            pairs, result = product(result, group), []
            for left, right in pairs:
                self.spend((len(right.powers) + (len(left.powers) if len(group) > 1 else 0)) // 8)
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
        if isinstance(node, int):
            return [Term(Fraction(node))] if node else []
        kind = node[0] if isinstance(node, tuple) else ""
        refuse(len(node) != ARITY.get(kind, len(node)), "a term of a wrong length")
        if kind in ("num", "size"):
            return [self.size(node[1]) if kind == "size" else Term(Fraction(node[1], node[2]))]
        if kind == "+":
            return [term for part in node[1:] for term in self.expand(part, env)]
        if kind == "*":
            return self.product(*(self.expand(part, env) for part in node[1:]))
        if kind == "sum":
            self.spend(len(env) // 8)
            return self.summed(node[1], lambda scope: self.expand(node[2], env | scope))
        if kind == "^":
            return self.power(node[1], node[2], env)
        if kind in FUNCTIONS:
            return [self.root(node[1], env) if kind == "sqrt" else self.closed(kind, node[1], env)]
        values = [self.value(i, env) for i in node[FIRST.get(kind, 1) :]]
        if kind in INDICATORS:
            return self.relation(kind, *values)
        if kind in ("decay", "gap"):
            return (self.gap if kind == "gap" else self.decay)(*node[1:3], *values)
        if kind == "t":
            return self.entry(node[1], values)
        refuse(kind != "place" or any(map(is_end, values)), "no term of the language")
        return [Term(1, {("place", "", *values): 1})]

    def summed(self, scope: Any, body: Callable[[Any], list[Term]]) -> list[Term]:
        """Return the sum of what `body` returns for the indices of a scope."""
        found = []
        for values, bound in self.ranges([(None, space) for _, space in scope]):
            for term in body(bind(scope, values)):
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
        if kind == "lt" and (left in ENDS or right in ENDS):
            return [Term()] if left != right and (left == "-" or right == "+") else []
        refuse((space := self.kind(left)) != self.kind(right), "a relation between different spaces")
        if is_kind(left, "*"):
            self.spend(len(left))
            if len(left) == 2:
                return self.relation(kind, left[1], right[1])
            rest = self.relation(kind, ("*", *left[2:]), ("*", *right[2:]))
            rest = self.product(self.relation("delta", left[1], right[1]), rest)
            return rest if kind == "delta" else self.relation("lt", left[1], right[1]) + rest
        if is_kind(left, "+") and left[1] == right[1]:
            return self.relation(kind, left[2], right[2])
        unordered = isinstance(space, str) and not self.claim["spaces"][space][1]
        refuse(kind != "delta" and unordered, "a mask over a space without an order")
        if left == right:
            return [] if kind == "lt" else [Term()]
        if isinstance(left, tuple) and isinstance(right, tuple):
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        return [Term(1, {renamed((kind, "", left, right), {}): 1})]

    def entry(self, name: str, values: Any) -> list[Term]:
        inside = not any(map(is_end, values)) and tuple(map(self.kind, values)) == self.tensors[name]["legs"]
        refuse(not inside, f"the indices of {name} do not fit its legs")
        return [Term(1, {("t", name, *values): 1})]

    def decay(self, gate: str, clock: Any, later: Any, earlier: Any, *args: Any) -> list[Term]:
        """Return a decay W(t,s) by its gap G(t,s), the product of the gates at s < r < t.

        W(t,s) = A_t G(t,s) for s < t, W(t,t) = 1, W(t,s) = 0 for t < s, and W(+,s) = G(+,s).
        """
        legs, (names, (one, two)) = self.tensors[gate]["legs"], links(args, "%h")
        if is_end(later):
            return self.product(self.relation("lt", earlier, later), self.gap(gate, clock, later, earlier, *args))

        def step(at: Any) -> list[Term]:
            first = self.entry(gate, (*((later,) if legs else ()), *(at.get(x, x) for x in one)))
            return self.product(first, self.gap(gate, clock, later, earlier, *(at.get(x, x) for x in two)))

        gone = self.product(self.relation("lt", earlier, later), self.summed([(n, legs[2]) for n in names], step))
        if is_end(earlier):
            return gone
        same = self.relation("delta", *args) if names else [Term()]
        return gone + self.product(self.relation("delta", earlier, later), same)

    def gap(self, gate: str, clock: Any, later: Any, earlier: Any, *args: Any) -> list[Term]:
        """Return a gap as an atom; over a direct sum, as the product of those over its summands."""
        legs, (names, stops) = self.tensors[gate]["legs"], links(args, "%h")
        suits = not any(map(is_end, args)) and tuple(map(self.kind, args)) == legs[1:]
        refuse(
            not suits or (legs[0] != clock if legs else not isinstance(clock, str)), "the indices of a gate do not fit"
        )
        parts = self.split(clock, later, earlier)
        if len(parts) < 2:
            return [Term(1, {("gap", (gate, clock), *ends, *args): 1}) for ends in parts]

        def body(at: Any) -> list[Term]:
            found = zip(parts, stops, strict=False)
            return self.product(*(self.gap(gate, clock, *ends, *(at.get(x, x) for x in stop)) for ends, stop in found))

        return self.summed([(name, legs[2]) for name in names], body)

    def split(self, space: Any, later: Any, earlier: Any) -> list[Any]:
        """Return the ends of a gap in one summand of a space, or of its parts in the last one and before."""
        if not is_kind(space, "+"):
            inside = all(end in ENDS or self.kind(end) == space for end in (later, earlier))
            inside = inside and later != "-" and earlier != "+" and self.claim["spaces"][space][1]
            refuse(not inside, "a gap without an order")
            return [(later, earlier)]
        if any(end not in ENDS and (not is_kind(end, "+") or end[3] != space) for end in (later, earlier)):
            raise ValueError("the ends of a gap do not fit")
        k, later = (len(space) - 2, "+") if later == "+" else later[1:3]
        j, earlier = (0, "-") if earlier == "-" else earlier[1:3]
        if j == k:
            return [(("+", k, b, space), ("+", k, a, space)) for b, a in self.split(space[1 + k], later, earlier)]
        last = ("+", k, later, space), ("+", k, "-", space)
        return [last, (("+", k - 1, "+", space), ("+", j, earlier, space))] if j < k else []

    # the normal form

    def eliminate(self, term: Term) -> Term:
        """Return a term without deltas of bound variables, open ones in a star; unused indices count."""
        self.spend(sum(map(len, term.powers)) // 8)
        done: set[Any] = set()
        while deltas := sorted((a for a in term.powers if a[0] == "delta" and a not in done), key=str):
            self.spend(len(term.powers))
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
        self.spend(2)
        placed = [v for v in opened if self.space_of[v] == space] + [v for v, s in term.bound.items() if s == space]
        inside = [a for a in term.powers if a[0] in INDICATORS and self.kind(a[2]) == space]
        size, result = [self.size(self.claim["spaces"][space][0]), Term()], []
        for blocks in chains((), placed, [(a[0], *a[2:]) for a in inside], self.spend) if placed else ():
            to = {v: min(b, key=lambda v: (v in term.bound, str(v))) for b in blocks for v in b}
            self.spend(6 + sum(map(len, term.powers)) // 8)
            piece = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if to.get(v, v) == v})
            for atom, power in term.powers.items():
                if atom not in inside:
                    piece.times(renamed(atom, to), power)
            used = set(variables(*(value for atom in piece.powers for value in atom[2:])))
            kept: list[Any] = []
            counts, number = [Term()], 0
            for block in (*blocks, ()):
                first = to[block[0]] if block else None
                if first in piece.bound and first not in used:
                    del piece.bound[first]
                    number += 1
                    continue
                high = [Term(1, {("place", "", first): 1})] if block else size
                low = [Term(-1, {("place", "", kept[-1][0]): 1})] if kept else []
                for j in range(number):
                    line = [t.copy(Fraction(1, j + 1)) for t in (*high, *low, Term(-1 - j))]
                    found: dict[Any, Any] = {}
                    for t in self.product(counts, line):
                        key = tuple(sorted(t.powers.items(), key=repr))
                        found[key] = raised(found.get(key, 0) + t.coefficient, 1)
                    counts = [Term(c, powers) for powers, c in found.items() if c]
                kept += [(first, *sorted((v for v in block if v in opened and v != first), key=str))] if block else []
                number = 0
            order = {**term.chains, space: tuple(kept)}
            result += [Term(t.coefficient, t.powers, t.bound, order) for t in self.product([piece], counts)]
        return result if placed else [term]

    def sorted_legs(self, powers: Any, to: Mapping[Any, Any]) -> tuple[int, dict[Any, Any]]:
        """Return a sign and the factors, renamed, with their symmetric legs sorted; sign 0 where an entry vanishes."""
        sign, result = 1, Term()
        for old, power in powers.items():
            atom = list(renamed(old, to) if to else old)
            tensor = self.tensors[atom[1]] if atom[0] == "t" else {}
            for kind in ("symmetric", "antisymmetric"):
                for group in tensor.get(kind, ()):
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
        sign, powers = self.sorted_legs(term.powers, {})
        rank = {v: (s, k) for s, blocks in term.chains.items() for k, b in enumerate(blocks) for v in b}
        loose = [v for v in term.bound if v not in rank]
        order: Any = range(len(loose))
        if len(loose) > 1 and sign:
            hint = list(next(self.hints)) if self.label is None else self.label(self, powers, term, rank, loose)
            order = [k for k in hint if k != -1]
            refuse(sorted(order) != list(range(len(loose))), "a hint is no permutation")
            if hint[0] == -1:
                to = {v: loose[k] for v, k in zip(loose, order, strict=True)}
                refuse(any(term.bound[v] != term.bound[w] for v, w in to.items()), "an odd automorphism between spaces")
                refuse(self.sorted_legs(powers, to) != (-1, powers), "an odd automorphism is none")
                return (), 0
        bound = sorted((v for v in term.bound if v in rank), key=lambda v: rank[v]) + [loose[k] for k in order]
        to = {v: -1 - k for k, v in enumerate(bound)}
        flip, powers = self.sorted_legs(powers, to)
        filled = [(s, blocks) for s, blocks in sorted(term.chains.items()) if blocks]
        chains = tuple((s, tuple(tuple(to.get(v, v) for v in b) for b in blocks)) for s, blocks in filled)
        return (tuple(sorted(powers.items(), key=repr)), tuple(term.bound[v] for v in bound), chains), sign * flip

    def normal(self, terms: list[Term], opened: Any) -> dict[Any, Any]:
        """Return the normal form of a sum of terms whose open variables are `opened`.

        Factors of a term that share no bound variable are refined alone first: most of what cancels cancels there.
        """
        if not self.proof["refine"]:
            return self.collect(terms, opened)
        table: dict[Any, Any] = {}
        for whole, factors in [apart(self.eliminate(term)) for term in terms]:
            forms = [self.collect([f], related(f, opened)) if len(factors) > 1 else {f: 1} for f in factors]
            self.spend(4 * prod(map(len, forms)))
            for chosen in product(*(form.items() for form in forms)):
                key = (*(tuple(sorted(part, key=repr)) for part in (whole.powers.items(), [f for f, _ in chosen])),)
                table[key] = raised(table.get(key, 0) + whole.coefficient * prod(c for _, c in chosen), 1)
        left = [([Term(c, powers)], *([self.spelled(f)] for f in parts)) for (powers, parts), c in table.items() if c]
        return self.collect([self.product(*factors)[0] for factors in left], opened)

    def spelled(self, part: Any) -> Term:
        """Return a monomial, or its canonical form, as a term with bound variables of its own and masks for chains."""
        if isinstance(part, Term):
            return part
        powers, spaces, chains = part
        ((names, bound),) = self.ranges([(None, space) for space in spaces])
        to = {-1 - k: v for k, v in enumerate(names)}
        term = Term(1, {}, bound)
        for atom, power in powers:
            term.times(renamed(atom, to), power)
        for blocks in ([[to.get(v, v) for v in block] for block in blocks] for _, blocks in chains):
            for low, high in pairwise(blocks):
                term.times(("lt", "", low[0], high[0]))
            for block in blocks:
                for v in block[1:]:
                    term.times(renamed(("delta", "", block[0], v), {}))
        return term

    def collect(self, terms: list[Term], opened: Any) -> dict[Any, Any]:
        """Return terms without deltas of bound variables as coefficients of monomials along strict chains."""
        table: dict[Any, Any] = {}
        for term in terms:
            pieces = [self.eliminate(term)]
            for space in self.proof["refine"]:
                pieces = [done for piece in pieces for done in self.refine(piece, space, opened)]
            for piece in pieces:
                self.spend(12 + sum(map(len, piece.powers)) // 4)
                mono, sign = self.canonical(piece)
                table[mono] = raised(table.get(mono, 0) + sign * piece.coefficient, 1)
        return {mono: total for mono, total in table.items() if total}

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
        for bound, context, exponent, rule in uses:
            refuse(any(name[:1] == "%" for name, _ in bound), "a reserved name")
            for values, binders in self.ranges([(None, space) for _, space in bound]):
                inner = outer | bind(bound, values)
                left, right = self.instance(rule, inner)
                found = self.expand(("*", -1, context, minus(("^", left, exponent), ("^", right, exponent))), inner)
                for term in found:
                    term.bound.update(binders)
                terms += found
        refuse(self.normal(terms, opened), "a difference does not vanish")
        self.proved.add(key)

    def instance(self, rule: Any, env: Any) -> tuple[Any, Any]:
        """Return the two sides of an equation that holds, after checking its premises."""
        kind, *rest = rule
        if kind in ("cut", "resolvent"):
            return (cut if kind == "cut" else resolvent)(self.tensors, *rest)
        if kind == "given":
            (scope, left, right), values = self.given[rest[0]], [self.value(i, env) for i in rest[1]]
            self.spend(len(repr((left, right))) // 16)
            inside = not any(map(is_end, values)) and [*map(self.kind, values)] == [space for _, space in scope]
            refuse(not inside, "an equation is used at other spaces")
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
        if isinstance(node, int):
            return (node > 0) - (node < 0)
        kind, facts = node[0], self.tensors[node[1]].get("facts", ()) if node[0] == "t" else ()
        if kind in ("+", "*"):
            signs = [self.sign(part) for part in node[1:]]
            return min(signs) if kind == "*" or min(signs) < 0 else max(signs)
        if kind == "sum":  # sum(a: P[t,a]*x[a]) for a permutation P is one of the x
            names, parts = [name for name, _ in node[1]], node[2][1:] if is_kind(node[2], "*") else (node[2],)
            self.spend(len(names) * len(parts))
            chosen = [f for f in parts if any(self.selects(f, name) for name in names)][:1]
            return min([self.sign(f) for f in parts if f not in chosen], default=1)
        if kind in ("sqrt", "relu", "^"):
            inner = self.sign(node[1])
            return max(inner, 0) if kind != "^" or node[2] % 2 == 0 else inner
        if kind in ("exp", "place") or (kind == "size" and self.size(node[1]).coefficient > 0):
            return 1
        if "positive" in facts or (kind == "num" and min(node[1:]) > 0):
            return 1
        return 0 if kind in INDICATORS or "permutation" in facts else -1


def frozen(value: Any, depth: int = 0, count: Any = None) -> Any:
    """Return JSON lists as tuples; refuse what is no part of the language."""
    kind, count = type(value), count or [0]
    count[0] += 1
    if kind is str or (kind is int and value.bit_length() <= BITS):
        return value
    if depth > DEEPEST or count[0] > LONGEST // 4 or kind not in (list, tuple, dict):
        raise ValueError("too deep, too long, a number that is too large, or neither text, integer nor list")
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
        alike = all(len({legs[leg] for leg in group}) < 2 for group in groups)
        if not (known and apart and alike and all(is_space(claim, leg) for leg in legs)):
            raise ValueError("a tensor with legs, facts or symmetries that it cannot have")
    sizes = [*claim["sizes"].values(), *(n for n, _ in claim["spaces"].values() if not is_name(n))]
    refuse(not all(type(n) is int and n > 0 for n in sizes), "a dimension that is neither a name nor a size")
    refuse(not all(map(is_name, claim["sizes"])) or '"%' in json.dumps(claim), "a name that is none, or a reserved one")
    fields = {"spaces", "tensors", "free", "lhs", "rhs", "given", "sizes"}
    refuse(set(claim) != fields, "a claim says more, or less, than a claim can say")


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

    left, right, assumed = pools(claim)
    for ours, theirs in ((left, right), (right, left)):
        checker.assume((*theirs, *assumed))
        known = set(theirs)
        for relation, node, scope in [c for c in ours if c not in known]:
            holds(minus(*STATES[relation](node)), scope, reasons)
    checker.assume((*left, *right, *assumed))
    if claim["lhs"] != claim["rhs"]:
        holds(minus(claim["lhs"], claim["rhs"]), claim["free"], cases)
    return claim


def check(certificate: Any, claim: Any = None) -> bool:
    """Whether a certificate (a dict, or its JSON text) is valid, and about the given claim if there is one."""
    try:
        if isinstance(certificate, str):
            certificate = json.loads(certificate) if len(certificate) <= LONGEST else None
        found = verify(certificate)
        return claim is None or found == frozen(claim)
    except ERRORS:
        return False
