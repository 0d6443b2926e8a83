"""The trusted file: checks that a certificate proves its claim.  It imports nothing but the standard library.

A proof of ``lhs = rhs`` is a list of *uses*: ``sum(bound: context * (l^k - r^k))`` where ``l = r`` is a hypothesis or
an instance of a rule whose conditions are proved in the same way.  Its check is one expansion: ``lhs - rhs - (uses)``
must vanish when products are multiplied out, deltas eliminated, ordered indices arranged in strict chains, and equal
monomials collected; functions and decays are opaque factors.  Nothing is searched: for every monomial the certificate
gives an order of its bound variables in which equal monomials are literally equal, or an odd automorphism; a wrong
hint can only make the check fail.  Functions are total here (1/0 and log(0) are some numbers): a rule that needs
``!= 0``, ``> 0`` or ``>= 0`` asks for a reason, a sign or a condition of the claim's own domain.  See docs/decision.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations, product
from math import floor
from typing import Any

FORMAT, VERSION = "tensoralg certificate", 1
LONGEST, DEEPEST, WORK, BITS, HIGHEST = 50_000_000, 200, 300_000, 20_000, 1_000
FUNCTIONS = ("exp", "log", "sqrt", "relu", "unit")  # unit(x) is 1/x, and 1 where x is 0
INDICATORS = ("delta", "lt", "le")
ARITY = {
    "num": 3,
    "size": 2,
    "sum": 3,
    "^": 3,
    "place": 2,
    **dict.fromkeys(FUNCTIONS, 2),
    **dict.fromkeys(INDICATORS, 3),
}
# what malformed content can lead to; all of it means that there is no proof
ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, StopIteration, TypeError, ValueError)
STRONGER = {"!=": ("!=", ">"), ">": (">",), ">=": (">", ">=")}


class Term:
    """A coefficient times atoms to powers, summed over `bound` (variable -> space).

    An atom is (kind, label, value..); a value is a variable (a name, or an int if bound), ("#", k, space), ("*",
    value..) over a product of spaces, ("+", position, value, space) into a direct sum, or an end of time "+", "-".
    """

    __slots__ = ("bound", "chains", "coefficient", "powers")

    def __init__(self, coefficient: Any = 1, powers: Any = None, bound: Any = None, chains: Any = None) -> None:
        self.coefficient, self.powers, self.bound, self.chains = coefficient, powers or {}, bound or {}, chains or {}

    def copy(self, factor: Any = 1) -> Term:
        return Term(self.coefficient * factor, dict(self.powers), dict(self.bound), dict(self.chains))

    def times(self, atom: Any, power: Any = 1) -> Term:
        """Multiply by a power of an atom, in place; indicators are idempotent."""
        total = self.powers.pop(atom, 0) + power
        if total:
            self.powers[atom] = 1 if atom[0] in INDICATORS else total
        return self


def mapped(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """Return an index or a value with its leaves replaced; ends and basis vectors stay."""
    if not isinstance(value, tuple):
        return value if value in ("+", "-") else leaf(value)
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
    if len(found) < len(scope) or found.keys() & {"+", "-"} or not all(isinstance(name, str) for name in found):
        raise ValueError("an index is named twice, or like an end of time")
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


def put(node: Any, to: Callable[[str], Any], depth: int = 0) -> Any:
    """Return a term with its free indices replaced and its bound ones renamed by their depth."""
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
    first = {"t": 2, "decay": 3, "gap": 3}.get(kind, 1)
    return (*node[:first], *(mapped(i, to) for i in node[first:]))


def spread(node: Any, env: Mapping[str, Any] | None = None) -> tuple[Any, tuple[Any, ...]]:
    """Return a term with its free indices numbered by occurrence, and their values (their names without `env`)."""
    found: list[Any] = []

    def place(leaf: Any) -> str:
        found.append(leaf)
        return f"${len(found) - 1}"

    return put(node, place if env is None else lambda name: mapped(env[name], place)), tuple(found)


def weight(node: Any) -> int:
    return 1 + sum(map(weight, node)) if isinstance(node, tuple) else 1


def is_kind(node: Any, *kinds: str) -> bool:
    return isinstance(node, tuple) and node[0] in kinds


def is_plain(node: Any) -> bool:
    """Whether a term is a product of factors that stay what they are when indices become equal."""
    if is_kind(node, "*", "^", "sqrt"):
        return all(map(is_plain, node[1:2] if node[0] == "^" else node[1:]))
    return isinstance(node, int) or is_kind(node, "num", "size", "place", "t", "exp", "unit")


def indicator(node: Any) -> bool:
    """Whether a term is a product of deltas, masks, and 1 - delta."""
    if node == 1 or is_kind(node, "delta", "lt", "le"):
        return True
    negated = is_kind(node, "+") and node[1:2] == (1,) and len(node) == 3 and node[2][:2] == ("*", -1)
    return (
        all(map(indicator, node[1:])) if is_kind(node, "*") else negated and len(node[2]) == 3 and indicator(node[2][2])
    )


def factors(node: Any) -> list[Any]:
    """Return terms that are all nonzero exactly where a term is."""
    if is_kind(node, "*"):
        return [f for part in node[1:] for f in factors(part)]
    if is_kind(node, "sqrt") or (is_kind(node, "^") and node[2] > 0):
        return factors(node[1])
    number = (isinstance(node, int) and node) or (is_kind(node, "num") and node[1])
    return [] if is_kind(node, "exp", "size") or number else [node]


def conditions(node: Any, scope: Mapping[str, Any]) -> list[Any]:
    """Return what has to hold for a term to be defined, as (relation, term, scope)."""
    if not is_kind(node, "sum", "+", "*", "^", *FUNCTIONS):
        return []
    if node[0] == "sum":
        return conditions(node[2], {**scope, **dict(node[1])})
    relation = {"log": ">", "sqrt": ">="}.get(node[0]) or ("!=" if node[0] == "^" and node[2] < 0 else "")
    parts = factors(node[1]) if relation == "!=" else [node[1]] if relation else []
    found = [(relation, p, tuple((i, scope[i]) for i in dict.fromkeys(spread(p)[1]))) for p in parts]
    return found + [c for part in (node[1:] if node[0] in ("+", "*") else node[1:2]) for c in conditions(part, scope)]


def binders(node: Any) -> Iterator[Any]:
    """Yield the (index, space) of every sum in a term."""
    if isinstance(node, tuple):
        if node[:1] == ("sum",):
            yield from node[1]
        for part in node[1:]:
            yield from binders(part)


def pools(claim: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the conditions of the left side, of the right side, and of the hypotheses, each once."""
    left, right = (list(dict.fromkeys(conditions(claim[side], dict(claim["free"])))) for side in ("lhs", "rhs"))
    return left, right, [c for g in claim["given"] for s in ("lhs", "rhs") for c in conditions(g[s], dict(g["free"]))]


def apply(function: str, argument: Any) -> Any:
    return ("^", argument, -1) if function == "1/" else (function, argument)


def image(function: str, parts: Any, core: Any) -> Any:
    """Return a function of a product of powers of positive parts (nonzero ones for 1/ and unit) and a core."""
    last = () if core == 1 else (("unit", core) if function == "1/" else (function, core),)
    if core == 0:
        return 0
    if function == "log":
        logs = [("log", p[1]) if is_kind(p, "unit") else p[1] if is_kind(p, "exp") else ("log", p) for p, _ in parts]
        powers = [-k if is_kind(p, "unit") else k for p, k in parts]
        return ("+", 0, *(("*", k, log) for k, log in zip(powers, logs, strict=True)), *last)
    if function == "sqrt":
        half = [("exp", ("*", ("num", 1, 2), p[1])) if is_kind(p, "exp") else ("sqrt", p) for p, _ in parts]
        whole = [("^", p, k // 2) for p, k in parts]
        return ("*", *whole, *(("^", h, k % 2) for h, (_, k) in zip(half, parts, strict=True)), *last)
    return ("*", *(("^", part, k if function == "relu" else -k) for part, k in parts), *last)


def path(tensors: Any, kind: str, *rest: Any) -> tuple[Any, Any]:
    """Return what holds of a decay W and of a gap G, which lacks its last step; A_t is the gate at t.

    stay: W(t,t) = 1.  causal: W(t,s) = 0 for t < s.  step: W(t,s) = A_t G(t,s) for s < t, W(+,s) = G(+,s).
    cut: G(t,s) = G(t,r) A_r G(r,s) for s < r < t.  resolvent: for products g and h of gates that are no matrices, the
    sum over low < r < high of g(high,r) (g_r - h_r) h(r,low) is g(high,low) - h(high,low).
    """

    def step(gate: str, wraps: Any, at: Any, args: Any) -> Any:
        for k, space in reversed(wraps if tensors[gate]["legs"] else ()):
            at = ("+", k, at, space)
        return ("t", gate, *((at,) if tensors[gate]["legs"] else ()), *args)

    def before(a: Any, b: Any) -> Any:
        return 1 if a == "-" or b == "+" else ("lt", a, b)

    if kind == "resolvent":
        space, low, high, above, below = rest

        def gap(gates: Any, b: Any, a: Any) -> Any:
            wraps = [w if tensors[gate]["legs"] else space for gate, w, _, _ in gates]
            return ("*", 1, *(("^", ("gap", g[0], w, b, a, *g[2]), g[3]) for g, w in zip(gates, wraps, strict=True)))

        once = [("*", 1, *(("^", step(g[0], g[1], "%r", g[2]), g[3]) for g in gates)) for gates in (above, below)]
        body = (gap(above, high, "%r"), ("+", once[0], ("*", -1, once[1])), gap(below, "%r", low))
        right = ("*", before(low, high), ("+", gap(above, high, low), ("*", -1, gap(below, high, low))))
        if any(len(g[2]) > 1 for g in (*above, *below)):
            raise ValueError("matrices do not commute")
        return ("sum", (("%r", space),), ("*", before(low, "%r"), before("%r", high), *body)), right
    gate, wraps, args, later, *middle, earlier = rest
    whole, legs, matrix = (gate, wraps, later, earlier, *args), tensors[gate]["legs"], len(args) == 2
    if kind == "stay":
        return ("decay", gate, wraps, later, later, *args), ("delta", *args) if matrix else 1
    if kind == "causal" or (kind == "step" and later == "+"):
        return ("decay", *whole), ("gap", *whole) if later == "+" else ("*", ("le", earlier, later), ("decay", *whole))
    names = (("%h",) if kind == "step" else ("%h", "%k")) if matrix else ()
    stops = (*args[:1], *names, *args[1:])
    pairs = [stops[k : k + 2] if matrix else args for k in range(3)]
    scope = tuple((name, legs[2]) for name in names)
    parts: Any
    if kind == "step":
        there: Any = before(earlier, later)
        left: Any = ("decay", *whole)
        parts = [step(gate, wraps, later, pairs[0]), ("gap", gate, wraps, later, earlier, *pairs[1])]
    else:
        there, left = ("*", before(earlier, middle[0]), before(middle[0], later)), ("gap", *whole)
        ends = ("gap", gate, wraps, later, middle[0], *pairs[0]), ("gap", gate, wraps, middle[0], earlier, *pairs[2])
        parts = [ends[0], step(gate, wraps, middle[0], pairs[1]), ends[1]]
    return ("*", there, left), ("sum", scope, ("*", there, *parts))


class Checker:
    """Expansion and collection over the spaces and tensors of one claim."""

    def __init__(self, claim: Any, proof: Any, label: Callable[..., Any] | None = None) -> None:
        self.claim, self.proof, self.label = claim, proof, label
        self.space_of: dict[Any, str] = {}
        self.counter, self.work, self.hints = 0, WORK, iter(proof["labels"])
        self.defined: dict[str, Any] = {}
        self.assume(())
        for k, side in proof["definitions"]:  # a body sees the earlier definitions only, so it cannot loop
            given = claim["given"][k]
            entry, body = (given["lhs"], given["rhs"]) if side == "lhs" else (given["rhs"], given["lhs"])
            spaces = dict(given["free"])
            if entry[0] != "t" or sorted(entry[2:]) != sorted(spaces) or len(spaces) < len(given["free"]):
                raise ValueError("a hypothesis is no definition")
            if tuple(spaces[i] for i in entry[2:]) != claim["tensors"][entry[1]]["legs"]:
                raise ValueError("a definition over other spaces")
            self.defined[entry[1]] = (entry[2:], body, dict(self.defined))

    def assume(self, domain: Any) -> None:
        """Set the conditions that may be used, and note the tensors that they (or a fact) say have no zero entry."""
        self.domain = tuple(domain)
        self.units = {name for name, tensor in self.claim["tensors"].items() if "positive" in tensor.get("facts", ())}
        for relation, node, scope in self.domain:
            spaces = dict(scope)
            whole = is_kind(node, "t") and sorted(map(str, node[2:])) == sorted(map(str, spaces))
            if (
                relation != ">="
                and whole
                and tuple(spaces[i] for i in node[2:]) == self.claim["tensors"][node[1]]["legs"]
            ):
                self.units.add(node[1])

    def spend(self, amount: int = 1) -> None:
        self.work -= amount
        if self.work < 0:
            raise ValueError("the work passes the limit")

    def size(self, name: Any) -> Term:
        """Return the size of a dimension: a name, or a whole number from 1 on."""
        known = self.claim["sizes"].get(name) or (int(name) if str(name).isdecimal() else 0)
        if known < 1 and not (isinstance(name, str) and name.isidentifier()):
            raise ValueError("no dimension")
        return Term(Fraction(known)) if known else Term(1, {("size", name): 1})

    def values(self, space: Any, name: str | None = None) -> Iterator[Any]:
        """Yield (value, variables that it binds) for an index over a space; a named index binds none."""
        if not isinstance(space, str):
            if space[0] not in ("*", "+") or len(space) < 3:
                raise ValueError("a space that is none")
            parts = [(name and f"{name}.{k}", part) for k, part in enumerate(space[1:])]
            if space[0] == "*":
                yield from ((("*", *values), bound) for values, bound in self.ranges(parts))
            else:
                for k, (part_name, part) in enumerate(parts):
                    yield from ((("+", k, v, space), bound) for v, bound in self.values(part, part_name))
        elif str(dimension := self.claim["spaces"][space][0]) in self.proof["components"]:
            if (size := self.size(dimension)).powers:
                raise ValueError("components of a dimension without a size")
            self.spend(int(size.coefficient))
            yield from ((("#", k, space), {}) for k in range(int(size.coefficient)))
        else:
            self.counter += 1
            variable = self.counter if name is None else name
            self.space_of[variable] = space
            yield variable, {} if name else {variable: space}

    def ranges(self, indices: Any) -> list[Any]:
        """Return (values, variables that they bind) for several indices, given as (name or None, space)."""
        found: list[Any] = [([], {})]
        for name, space in indices:
            grown: list[Any] = []
            for values, bound in found:
                options = list(self.values(space, name))
                self.spend(len(options))
                if len(options) == 1:  # in place: a sum may have a thousand indices
                    values.append(options[0][0])
                    bound.update(options[0][1])
                    grown.append((values, bound))
                else:
                    grown += [([*values, value], bound | more) for value, more in options]
            found = grown
        return [(tuple(values), bound) for values, bound in found]

    def kind(self, value: Any) -> Any:
        """Return the space of a value."""
        if isinstance(value, tuple):
            return value[2] if value[0] == "#" else value[3] if value[0] == "+" else ("*", *map(self.kind, value[1:]))
        return self.space_of[value]

    def value(self, index: Any, env: Any) -> Any:
        """Return what an index stands for."""
        if isinstance(index, tuple) and index[0] not in ("#", "+", "*"):
            raise ValueError("no index")
        if is_kind(index, "#") and index not in [v for v, _ in self.values(index[2])]:
            raise ValueError("no such basis vector")
        if is_kind(index, "+"):
            found = ("+", index[1], self.value(index[2], env), index[3])
            if not is_kind(index[3], "+") or index[1] < 0 or self.kind(found[2]) != index[3][1 + index[1]]:
                raise ValueError("an index does not fit its summand")
            return found
        if is_kind(index, "*"):
            return ("*", *(self.value(part, env) for part in index[1:]))
        return mapped(index, env.__getitem__)

    def product(self, *groups: list[Term]) -> list[Term]:
        """Return the product of sums; no two groups share a bound variable."""
        result = [Term()]
        for group in groups:
            self.spend(max(len(result) * len(group), 1))
            fresh = []
            for left, right in product(result, group):
                if len(group) > 1:
                    self.spend(len(left.powers) // 8)
                term = left if len(group) == 1 else left.copy()
                term.coefficient *= right.coefficient
                if max(term.coefficient.numerator.bit_length(), term.coefficient.denominator.bit_length()) > BITS:
                    raise ValueError("a number is too large")
                for atom, power in right.powers.items():
                    term.times(atom, power)
                term.bound.update(right.bound)
                fresh.append(term)
            result = fresh
        return result

    def expand(self, node: Any, env: Any) -> list[Term]:
        """Return a term of the language as monomials."""
        self.spend()
        if isinstance(node, int):
            return [Term(Fraction(node))] if node else []
        kind = node[0] if isinstance(node, tuple) else ""
        if len(node) != ARITY.get(kind, len(node)):
            raise ValueError("a term of a wrong length")
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
            return [self.root(node[1], env) if kind == "sqrt" else self.closed(kind, node[1], env)]
        values = [self.value(i, env) for i in node[{"decay": 3, "gap": 3, "t": 2}.get(kind, 1) :]]
        if kind in INDICATORS and self.kind(values[0]) == self.kind(values[1]):
            return self.relation(kind, *values)
        if kind in ("decay", "gap"):
            return self.decay(kind, node[1], node[2], values[0], values[1], values[2:])
        if kind not in ("place", "t"):
            raise ValueError("no term of the language")
        return self.entry(node[1], values) if kind == "t" else [Term(1, {("place", "", *values): 1})]

    def power(self, base: Any, exponent: int, env: Any) -> list[Term]:
        """Return a power; only what is never zero has powers of both signs."""
        if abs(exponent) > HIGHEST:
            raise ValueError("a power is too high")
        if exponent >= 0:
            return self.product(*(self.expand(base, env) for _ in range(exponent)))
        (term, *more) = (self.expand(base, env) if is_plain(base) else []) or [Term(0)]
        if term.coefficient and all(map(self.never_zero, term.powers)) and not more and not term.bound:
            return [Term(Fraction(term.coefficient) ** exponent, {a: e * exponent for a, e in term.powers.items()})]
        return [Term(1, dict.fromkeys(self.closed("1/", base, env).powers, -exponent))]

    def never_zero(self, atom: Any) -> bool:
        """Whether an atom is never zero, so that its powers of both signs cancel."""
        if atom[0] == "f":
            return bool(atom[1][0] in ("exp", "unit"))
        return atom[0] in ("size", "place") or (atom[0] == "t" and atom[1] in self.units)

    def root(self, node: Any, env: Any) -> Term:
        """Return a square root; those of sizes and whole numbers are powers of sizes."""
        (term, *more) = self.expand(node, env) or [Term(0)]
        c, sizes = term.coefficient, all(a[0] == "size" for a in term.powers) and not more and not term.bound
        if sizes and (c == 1 or (c > 1 and c.denominator == 1 and not term.powers)):
            return Term(1, {a: Fraction(e) / 2 for a, e in ({("size", int(c)): 1} if c > 1 else term.powers).items()})
        return self.closed("sqrt", node, env)

    def closed(self, function: str, node: Any, env: Any) -> Term:
        """Return a function as an atom: its argument with the free indices numbered, and their values."""
        self.spend(weight(node) // 8)
        body, values = spread(node, env)
        return Term(1, {("f", (function, body), *values): 1})

    def entry(self, name: str, values: list[Any]) -> list[Term]:
        if tuple(map(self.kind, values)) != self.claim["tensors"][name]["legs"]:
            raise ValueError(f"the indices of {name} do not fit its legs")
        if name not in self.defined:
            return [Term(1, {("t", name, *values): 1})]
        names, body, defined = self.defined[name]
        outer, self.defined = self.defined, defined
        terms = self.expand(body, dict(zip(names, values, strict=True)))
        self.defined = outer
        return terms

    def relation(self, kind: str, left: Any, right: Any) -> list[Term]:
        """Return a delta or mask between values of one space: lexicographic, summands one after the other."""
        if is_kind(left, "+"):
            if left[1] == right[1]:
                return self.relation(kind, left[2], right[2])
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        if is_kind(left, "*"):
            if len(left) == 2:
                return self.relation(kind, left[1], right[1])
            rest = self.relation(kind, ("*", *left[2:]), ("*", *right[2:]))
            rest = self.product(self.relation("delta", left[1], right[1]), rest)
            return rest if kind == "delta" else self.relation("lt", left[1], right[1]) + rest
        if kind != "delta" and not self.claim["spaces"][self.kind(left)][1]:
            raise ValueError("a mask over a space without an order")
        if left == right:
            return [] if kind == "lt" else [Term()]
        if isinstance(left, tuple) and isinstance(right, tuple):
            return [Term()] if kind != "delta" and left[1] < right[1] else []
        return [Term(1, {renamed((kind, "", left, right), {}): 1})]

    def decay(self, kind: str, gate: str, wraps: Any, later: Any, earlier: Any, args: list[Any]) -> list[Term]:
        """Return a decay as an atom; over a direct sum, as the product of those over its summands."""
        legs = self.claim["tensors"][gate]["legs"]
        clock = legs[0] if legs else wraps if wraps else self.kind(later if earlier == "-" else earlier)
        for k, _ in wraps if legs else ():
            clock = clock[1 + k]
        fits = all(x in ("+", "-") or self.kind(x) == clock for x in (later, earlier))
        if not fits or tuple(map(self.kind, args)) != legs[1:]:
            raise ValueError("the indices of a decay do not fit")
        if isinstance(clock, str) and self.claim["spaces"][clock][1]:
            return [Term(1, {(kind, (gate, wraps if legs else (), clock), later, earlier, *args): 1})]
        if clock[0] != "+" or kind == "gap" or not legs:
            raise ValueError("a decay without an order, or over a product")
        top, low = len(clock) - 2 if later == "+" else later[1], 0 if earlier == "-" else earlier[1]
        groups = []
        for k in range(top, low - 1, -1):
            middle, bound = next(self.values(legs[2])) if len(args) == 2 and k > low else (None, {})
            if middle is not None and not isinstance(middle, int):
                raise ValueError("matrices over a composite space, or by components")
            here, args = ([args[0], middle], [middle, args[1]]) if bound else (args, args)
            high, deep = (
                later[2] if k == top and later != "+" else "+",
                earlier[2] if k == low and earlier != "-" else "-",
            )
            groups.append(self.decay(kind, gate, (*wraps, (k, clock)), high, deep, here))
            for term in groups[-1]:
                term.bound.update(bound)
        return self.product(*groups) if groups else []

    # the normal form

    def eliminate(self, term: Term) -> Term:
        """Return a term without deltas of bound variables, open ones in a star; unused indices count."""
        done: set[Any] = set()
        while deltas := sorted((a for a in term.powers if a[0] == "delta" and a not in done), key=str):
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
            term = term.copy(Fraction(atom[1]) ** floor(power)).times(atom, -floor(power))
        used = {v for a in term.powers for v in variables(*a[2:])}
        for v in [v for v in term.bound if v not in used]:
            size = self.size(self.claim["spaces"][term.bound.pop(v)][0])
            term = self.product([term], [size])[0]
        return term

    def refine(self, term: Term, space: str, opened: Any) -> list[Term]:
        """Return a term as a sum over strict chains of the variables in one space; empty blocks are counted."""
        placed = [v for v in opened if self.space_of[v] == space] + [v for v, s in term.bound.items() if s == space]
        inside = [a for a in term.powers if a[0] in INDICATORS and self.kind(a[2]) == space]
        size, result = [self.size(self.claim["spaces"][space][0]), Term()], []
        for blocks in chains((), placed, [(a[0], *a[2:]) for a in inside], self.spend) if placed else ():
            to = {v: min(b, key=lambda v: (v in term.bound, str(v))) for b in blocks for v in b}
            piece = Term(term.coefficient, {}, {v: s for v, s in term.bound.items() if to.get(v, v) == v})
            for atom, power in term.powers.items():
                if atom not in inside:
                    piece.times(renamed(atom, to), power)
            used = {v for a in piece.powers for v in variables(*a[2:])}
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
                    counts = self.product(counts, line)
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
            tensor = self.claim["tensors"][atom[1]] if atom[0] == "t" else {}
            for kind in ("symmetric", "antisymmetric"):
                for group in tensor.get(kind, ()):
                    legs = [(str(mapped(v, lambda _: 0)), str(v), v) for v in (atom[2 + g] for g in group)]
                    if kind == "antisymmetric":
                        swaps = sum(a[:2] > b[:2] for a, b in combinations(legs, 2))
                        sign *= 0 if len({leg[:2] for leg in legs}) < len(legs) else (-1) ** (power * swaps)
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
            if sorted(order) != list(range(len(loose))):
                raise ValueError("a hint is no permutation")
            if hint[0] == -1:
                if any(term.bound[v] != term.bound[loose[k]] for v, k in zip(loose, order, strict=True)):
                    raise ValueError("an odd automorphism between spaces")
                if self.sorted_legs(powers, {v: loose[k] for v, k in zip(loose, order, strict=True)}) != (-1, powers):
                    raise ValueError("an odd automorphism is none")
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
        opened = variables(*(env[name] for name in names or spread(node)[1]))
        scope = {name: value for name, value in env.items() if set(variables(value)) <= set(opened)}
        terms = self.expand(node, scope)
        for bound, context, exponent, rule in uses:
            if any(name[:1] in ("%", "$") for name, _ in bound):
                raise ValueError("a reserved name")
            for values, binders in self.ranges([(None, space) for _, space in bound]):
                inner = scope | bind(bound, values)
                left, right = self.instance(rule, inner)
                difference = ("+", ("^", left, exponent), ("*", -1, ("^", right, exponent)))
                for term in self.expand(("*", -1, context, difference), inner):
                    term.bound.update(binders)
                    terms.append(term)
        if self.normal(terms, opened):
            raise ValueError("a difference does not vanish")

    def instance(self, rule: Any, env: Any) -> tuple[Any, Any]:
        """Return the two sides of an equation that holds, its conditions checked; `where` is an indicator."""
        kind, *rest = rule
        if kind == "given":
            given = self.claim["given"][rest[0]]
            to = self.at(given["free"], rest[1], env).__getitem__
            return put(given["lhs"], to), put(given["rhs"], to)
        if kind in ("stay", "causal", "step", "cut", "resolvent"):
            return path(self.claim["tensors"], kind, *rest)
        if kind == "select":  # f(sum(a: P[t,a]*x[a])) for a permutation P is sum(a: P[t,a]*f(x[a]))
            function, entry, name, space, inner, argument, uses = rest
            tensor, spot = self.claim["tensors"][entry[1]], entry[2:].index(name)
            if function not in ("1/", *FUNCTIONS):
                raise ValueError("no function")
            if entry[0] != "t" or "permutation" not in tensor["facts"] or name in variables(entry[3 - spot]):
                raise ValueError("no permutation matrix selects here")
            self.zero(("+", argument, ("*", -1, ("sum", ((name, space),), ("*", entry, inner)))), env, uses)
            return apply(function, argument), ("sum", ((name, space),), ("*", entry, apply(function, inner)))
        where, *rest = rest
        if not indicator(where):
            raise ValueError("a condition is no indicator")
        if kind == "square":
            self.holds(">=", rest[0], where, env, rest[1])
            return ("*", where, ("^", ("sqrt", rest[0]), 2)), ("*", where, rest[0])
        if kind == "inverse":
            self.holds("!=", rest[0], where, env, rest[1])
            return ("*", where, rest[0], ("unit", rest[0])), where
        if kind == "exp":
            before, after, uses = rest
            powers = [("*", k, a) for a, k in before] + [("*", -k, b) for b, k, _ in after]
            self.zero(("*", where, ("+", 0, *powers)), env, uses)
            images = []
            for node, k, reason in after:
                if reason and node[0] == "log":  # exp(log(x)) is x for x > 0
                    self.holds(">", node[1], where, env, reason)
                    images.append(("^", node[1], k) if k > 0 else ("^", ("unit", node[1]), -k))
                else:
                    images.append(("^", ("exp", node), k))
            return ("*", where, *(("^", ("exp", a), k) for a, k in before)), ("*", where, *images)
        if kind == "flip":
            one, two, uses = rest
            self.zero(("*", where, ("+", one, two)), env, uses)
            return ("*", where, ("relu", one)), ("*", where, ("+", one, ("relu", two)))
        if kind == "sign" and rest[1] in (1, -1):
            self.holds(">=", ("*", rest[1], rest[0]), where, env, rest[2])
            return ("*", where, ("relu", rest[0])), ("*", where, rest[0]) if rest[1] == 1 else 0
        function, argument, parts, core, reasons, uses = rest
        self.zero(("*", where, ("+", argument, ("*", -1, core, *(("^", part, k) for part, k in parts)))), env, uses)
        if kind != "factor" or function not in (
            ("relu", "sqrt") if core == 0 else ("1/", "unit", "log", "relu", "sqrt")
        ):
            raise ValueError("no such rule")
        if function in ("1/", "unit", "log"):
            self.holds("!=", argument, where, env, reasons)
        for part, k in parts:
            nonzero = is_kind(part, "t") and part[1] in self.units
            if function not in ("1/", "unit") or (k < 0 and not nonzero):
                self.holds(">", part, where, env, ("sign", 1))
        return ("*", where, apply(function, argument)), ("*", where, image(function, parts, core))

    def at(self, scope: Any, indices: Any, env: Any) -> dict[str, Any]:
        """Return the indices by the names of a scope, after checking their spaces."""
        if [self.kind(self.value(i, env)) for i in indices] != [space for _, space in scope]:
            raise ValueError("an equation is used at other spaces")
        return bind(scope, indices)

    def holds(self, relation: str, node: Any, where: Any, env: Any, reason: Any) -> None:
        """Check that a term is != 0, > 0 or >= 0 where an indicator is 1: by its sign, or by a domain condition."""
        if reason[0] == "all":  # a product, factor by factor
            if relation != "!=":
                raise ValueError("signs are not told factor by factor")
            for part, inner in zip(factors(node), reason[1:], strict=True):
                self.holds(relation, part, where, env, inner)
            return
        if reason[0] == "cases":  # indicators that add up to 1
            if not all(indicator(case) for case, _ in reason[1:]):
                raise ValueError("a condition is no indicator")
            self.zero(("+", 1, *(("*", -1, case) for case, _ in reason[1:])), env, ())
            for case, inner in reason[1:]:
                self.holds(relation, node, ("*", where, case), env, inner)
            return
        if reason[0] == "sign":  # of the term itself, or of one that is equal to it
            _, sign, *equal = reason
            for other, uses in [equal] if equal else ():
                self.zero(("*", where, ("+", ("*", sign, node), ("*", -1, other))), env, uses)
            known = self.sign(equal[0] if equal else node)
            if known < (relation != ">=") or (sign != 1 and (sign != -1 or relation != "!=" or not equal)):
                raise ValueError("a sign is not known")
            return
        number, indices, parts, uses = reason
        known, other, scope = self.domain[number]
        if known not in STRONGER[relation] or any(k < 0 for _, k in parts):
            raise ValueError("a condition is too weak")
        for part, _ in parts if relation != "!=" else ():
            self.holds(">", part, where, env, ("sign", 1))
        instance = put(other, self.at(scope, indices, env).__getitem__)
        powers = [("^", part, k) for part, k in parts]
        self.zero(("*", where, ("+", instance, ("*", -1, node, *powers))), env, uses)

    def sign(self, node: Any) -> int:
        """Return 1 if a term is positive wherever it is defined, 0 if it is not negative, -1 if neither is known.

        Sums without masks are never empty, as named spaces have a dimension of at least 1.
        """
        if isinstance(node, int):
            return (node > 0) - (node < 0)
        kind, facts = node[0], self.claim["tensors"][node[1]].get("facts", ()) if node[0] == "t" else ()
        if kind in ("+", "*"):
            signs = [self.sign(part) for part in node[1:]]
            return -1 if kind == "+" and min(signs) < 0 else max(signs) if kind == "+" else min(signs)
        if kind == "size":
            self.size(node[1])
        if (
            kind in ("exp", "size", "place")
            or (kind == "t" and "positive" in facts)
            or (kind == "num" and min(node[1:]) > 0)
        ):
            return 1
        if kind == "sum" and is_kind(node[2], "*"):  # sum(a: P[t,a]*x[a]) for a permutation P is one of the x
            tensors, names = self.claim["tensors"], [name for name, _ in node[1]]
            chosen = [f for f in node[2][1:] if is_kind(f, "t") and "permutation" in tensors[f[1]].get("facts", ())]
            free = len(chosen) == 1 and any(n in chosen[0][2:] and spread(chosen[0])[1].count(n) == 1 for n in names)
            return min(self.sign(f) for f in node[2][1:] if not free or f != chosen[0])
        if kind in ("sum", "unit", "sqrt", "^"):
            inner = self.sign(node[2] if kind == "sum" else node[1])
            weak = (kind == "sqrt" or (kind == "^" and node[2] % 2 == 0)) and inner < 1
            return 0 if weak else inner
        return 0 if kind in (*INDICATORS, "relu") or "permutation" in facts else -1


def frozen(value: Any, depth: int = 0) -> Any:
    """Return JSON lists as tuples; refuse what is no part of the language."""
    kind = type(value)
    if kind is str or (kind is int and value.bit_length() <= BITS):
        return value
    if depth > DEEPEST or kind not in (list, tuple, dict):
        raise ValueError("too deep, a number that is too large, or neither text, integer nor list")
    if kind is dict:
        return {str(key): frozen(item, depth + 1) for key, item in value.items()}
    return tuple([frozen(item, depth + 1) for item in value])


def verify(certificate: Any, label: Callable[..., Any] | None = None) -> Any:
    """Check a certificate and return its claim, or raise; with `label`, hints are asked for instead of read."""
    whole = frozen(certificate)
    claim, proof = whole["claim"], whole["proof"]
    if (len(whole), whole["format"], whole["version"]) != (4, FORMAT, VERSION):
        raise ValueError("another format or version")
    for tensor in claim["tensors"].values():
        if not set(tensor) <= {"legs", "symmetric", "antisymmetric", "facts", "inverse_of"}:
            raise ValueError("a tensor has more than legs and facts")
        if not set(tensor.get("facts", ())) <= {"positive", "permutation", "isometry", "projection"}:
            raise ValueError("an unknown fact")
        if set(tensor.get("facts", ())) - {"positive"} and len(tensor["legs"]) != 2:
            raise ValueError("a fact about matrices, of another tensor")
        for group in (*tensor.get("symmetric", ()), *tensor.get("antisymmetric", ())):
            if len(set(group)) < len(group) or min(group) < 0 or len({tensor["legs"][leg] for leg in group}) > 1:
                raise ValueError("a symmetry over different legs")
    numbers = [*claim["sizes"].values(), *(d for d, _ in claim["spaces"].values() if not isinstance(d, str))]
    names = [*claim["sizes"], *(d for d, _ in claim["spaces"].values() if isinstance(d, str))]
    sides = (claim, *claim["given"])
    names += [name for side in sides for name, _ in (*side["free"], *binders(side["lhs"]), *binders(side["rhs"]))]
    text = json.dumps(claim)
    if not all(name.isidentifier() and name.isascii() for name in names) or '"%' in text or '"$' in text:
        raise ValueError("a name that is none, or a reserved one")
    if any(type(n) is not int or n < 1 for n in numbers) or len(set(proof["refine"])) < len(proof["refine"]):
        raise ValueError("a dimension below 1, or a space that is refined twice")
    if set(claim) != {"spaces", "tensors", "free", "lhs", "rhs", "given", "sizes"}:
        raise ValueError("a claim says more, or less, than a claim can say")
    checker = Checker(claim, proof, label)
    left, right, assumed = pools(claim)
    reasons = iter(proof["domain"])
    for ours, theirs in ((left, right), (right, left)):
        checker.assume((*theirs, *assumed))
        known = set(theirs)
        for relation, node, scope in [c for c in ours if c not in known]:
            for values, _ in checker.ranges(scope):
                env = bind(scope, values)
                checker.holds(relation, node, 1, env | {v: v for v in variables(*env.values())}, next(reasons))
    checker.assume((*left, *right, *assumed))
    cases = iter(proof["cases"])
    for values, _ in checker.ranges(claim["free"]) if claim["lhs"] != claim["rhs"] else ():
        env = bind(claim["free"], values)
        env |= {v: v for v in variables(*env.values())}
        checker.zero(("+", claim["lhs"], ("*", -1, claim["rhs"])), env, next(cases), list(env))
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
