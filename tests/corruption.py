"""Random corruptions of valid certificates, and the judgement of what the checker makes of them.

A corrupted certificate may be accepted only if the claim that it states is still true; the claim is read from the
certificate and decided by exact evaluation, not by the engine.  Nothing may crash the checker or hold it up.
"""

from __future__ import annotations

import copy
import json
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from fuzz import Case, Kind
from judgement import all_sizes, difference, dimensions
from limits import OverTime, limit

import tensoralg as ta
from tensoralg.errors import ImplicitSumWarning, TensoralgError
from tensoralg.expr.nodes import Apply, Decay, Delta, Entry, Mask, Size, add, as_expr, bind, mul, power
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.rules import facts_of
from tensoralg.spaces import Fused, Index, Injected

WORDS = ("exp", "log", "sqrt", "relu", "lt", "le", "delta", "near", "decay", "sum", "pow", "softmax", "max", "min")
INDICES = "t,s,r,u: n ordered; f,g: d; e: d"
TENSORS = {"U": "n d isometry", "S": "d d sym", "W": "d d antisym"}
CLAIMS = [
    ("Q[t,f]*K[s,f]*V[s,e]", "Q[t,f]*sum(s: K[s,f]*V[s,e])", "t,e"),
    ("le[s,t]*Q[t,f]*K[s,f]*V[s,e]", "Q[t,f]*sum(s: le[s,t]*K[s,f]*V[s,e])", "t,e"),
    ("le[t,s]", "lt[t,s] + delta[t,s]", "t,s"),
    ("A[t,s]*A[s,t]", "A[r,u]*A[u,r]", ""),
    ("pow(sum(s: le[s,t]*x[s]), 2)", "2*lt[r,s]*le[s,t]*x[r]*x[s] + le[s,t]*pow(x[s],2)", "t"),
    ("sum(t,s: lt[t,s])", "n*(n - 1)/2", ""),
    ("sum(t: U[t,f]*U[t,g])", "delta[f,g]", "f,g"),
    ("S[f,g]*x[f]*y[g]", "1/2*S[f,g]*(x[f]*y[g] + x[g]*y[f])", ""),
    ("W[f,g]*x[f]*x[g]", "0", ""),
    ("exp(x[t] + y[t])", "exp(x[t])*exp(y[t])", "t"),
    ("softmax(s: A[t,s] + x[t])", "softmax(s: A[t,s])", "t,s"),
    ("3/2*x[t]*(y[t] + 2*x[t])", "3*x[t]*x[t] + y[t]*x[t]*3/2", "t"),
]


def valid_certificates() -> list[dict[str, Any]]:
    """Return the certificates of some true claims, as JSON would give them back."""
    found = []
    for left, right, free in CLAIMS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImplicitSumWarning)
            sides = [ta.parse(text, INDICES, free=free, tensors=TENSORS) for text in (left, right)]
        certificate = ta.prove(*sides).certificate
        assert certificate is not None, f"{left} = {right} was not proved"
        found.append(json.loads(json.dumps(certificate)))
    return found


def stated_claim(certificate: Any) -> tuple[Any, Any, list[tuple[Any, Any]], dict[str, int]]:
    """Return the claim that a certificate states: left side, right side, hypotheses, fixed sizes.

    It reads only what the checker takes for the claim, and fails (ValueError) where that is no claim.
    """
    try:
        return ClaimReader(certificate["claim"]).claim()
    except (TensoralgError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def dimension(name: Any) -> Any:
    """Return a dimension under a name that is no word of the text form."""
    return f"{name}_" if name in WORDS else name


def encoded(value: Any) -> Any:
    """Return lists as tuples."""
    return tuple(map(encoded, value)) if isinstance(value, list | tuple) else value


def fact(given: Any) -> Any:
    """Return what a hypothesis of a certificate says, and of which tensor."""
    return (given.get("of"), encoded(given["free"]), encoded(given["lhs"]), encoded(given["rhs"]))


class ClaimReader:
    """Reads the claim of a certificate as expressions."""

    def __init__(self, claim: Any) -> None:
        self.stated = claim
        self.spaces = {name: ta.Space(name, dimension(d), ordered=bool(o)) for name, (d, o) in claim["spaces"].items()}
        self.tensors = {name: self.tensor(name, found) for name, found in claim["tensors"].items()}

    def space(self, space: Any) -> Any:
        if isinstance(space, str):
            return self.spaces[space]
        first, *rest = map(self.space, space[1:])
        for part in rest:
            first = first @ part if space[0] == "*" else first + part
        return first

    def tensor(self, name: str, found: Any) -> Any:
        groups = {kind: tuple(map(tuple, found.get(kind, ()))) for kind in ("symmetric", "antisymmetric")}
        facts = dict.fromkeys(found.get("facts", ()), True)
        return Tensor(
            name, tuple(map(self.space, found["legs"])), **groups, **facts, inverse_of=found.get("inverse_of")
        )

    def claim(self) -> tuple[Any, Any, list[tuple[Any, Any]], dict[str, int]]:
        legs = {name: encoded(found["legs"]) for name, found in self.stated["tensors"].items()}
        facts = [(name, *map(encoded, body)) for name, body in facts_of(self.tensors, legs)]
        hypotheses = [g for g in self.stated["given"] if fact(g) not in facts]  # the declared facts say the others
        given = [(self.side(g, "lhs"), self.side(g, "rhs")) for g in hypotheses]
        return self.side(self.stated, "lhs"), self.side(self.stated, "rhs"), given, dict(self.stated["sizes"])

    def side(self, statement: Any, name: str) -> Any:
        scope = {index: Index(index, self.space(space)) for index, space in statement["free"]}
        return ta.Definition(tuple(scope.values()), self.term(statement[name], scope), name)

    def index(self, index: Any, scope: Any) -> Any:
        if isinstance(index, str):
            return scope.get(index, index)  # the ends of time are no indices
        if index[0] == "*":
            return Fused(tuple(self.index(part, scope) for part in index[1:]))
        return Injected(self.index(index[2], scope), index[1], self.space(index[3]))

    def term(self, node: Any, scope: Any) -> Any:
        if isinstance(node, int):
            return as_expr(node)
        kind, *rest = node
        if kind == "num":
            return as_expr(Fraction(*rest))
        if kind == "size":
            return Size(dimension(rest[0]))
        if kind == "sum":
            indices = tuple(Index(name, self.space(space)) for name, space in rest[0])
            return bind(indices, self.term(rest[1], {**scope, **{i.name: i for i in indices}}))
        if kind in ("+", "*"):
            parts = [self.term(part, scope) for part in rest]
            return add(*parts) if kind == "+" else mul(*parts)
        if kind == "^":
            return power(self.term(rest[0], scope), rest[1])
        if kind in ("exp", "log", "sqrt", "relu"):
            return Apply(kind, self.term(rest[0], scope))
        if kind == "t":
            return Entry(self.tensors[rest[0]], tuple(self.index(i, scope) for i in rest[1:]))
        if kind == "decay":
            later, earlier, *args = (self.index(i, scope) for i in rest[2:])
            return Decay(self.tensors[rest[0]], later, earlier, tuple(args))
        left, right = (self.index(i, scope) for i in rest)
        return Delta(left, right) if kind == "delta" else Mask({"lt": True, "le": False}[kind], left, right)


@dataclass(frozen=True)
class Corruption:
    """A corrupted certificate: a value, or a text that may be no JSON."""

    how: str
    value: Any = None
    text: str | None = None


def corruptions(certificates: list[Any], seed: int) -> Iterator[Corruption]:
    """Yield corrupted certificates without end, the same ones for the same seed."""
    random = Random(f"corruptions {seed}")
    while True:
        change = random.choice(CHANGES)
        certificate = random.choice(certificates)
        corrupted = change(random, copy.deepcopy(certificate), certificates)
        if corrupted is not None and (corrupted.text is not None or differs(corrupted.value, certificate)):
            yield corrupted


def differs(value: Any, other: Any) -> bool:
    """Whether two values are different as JSON (True is not 1, and 1.0 is not 1)."""
    try:
        return json.dumps(value, sort_keys=True) != json.dumps(other, sort_keys=True)
    except (RecursionError, ValueError, TypeError):  # too deep, cyclic, or no JSON at all
        return True


# one change each; None where it does not apply


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) inside a JSON value."""
    found, stack = [], [value]
    while stack:
        node = stack.pop()
        keys: Any = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            stack.append(node[key])
    return found


def place(random: Random, value: Any, wanted: Callable[[Any], bool] = lambda _: True) -> tuple[Any, Any] | None:
    found = [(node, key) for node, key in places(value) if wanted(node[key])]
    return random.choice(found) if found else None


def remove(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value)
    if spot is None:
        return None
    del spot[0][spot[1]]
    return Corruption("a field or element removed", value)


def retype(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value)
    if spot is None:
        return None
    old = spot[0][spot[1]]
    others = [
        None,
        True,
        False,
        0,
        -1,
        1,
        1.5,
        "",
        "x",
        "0",
        [],
        {},
        [old],
        {"a": old},
        str(old),
        [[]],
        b"bytes",
        {1: 2},
    ]
    spot[0][spot[1]] = random.choice(others)
    return Corruption("a field of another type", value)


def coefficient(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, int) and not isinstance(v, bool))
    if spot is None:
        return None
    old = spot[0][spot[1]]
    spot[0][spot[1]] = random.choice([old + 1, old - 1, -old, 2 * old, float(old), str(old)])
    return Corruption("a number changed", value)


def number_in_text(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, str) and bool(re.search(r"\d", v)))
    if spot is None:
        return None
    text = spot[0][spot[1]]
    hit = random.choice(list(re.finditer(r"\d+", text)))
    new = random.choice([str(int(hit.group()) + 1), "-" + hit.group(), "0", "1/" + hit.group(), "9" * 30])
    spot[0][spot[1]] = text[: hit.start()] + new + text[hit.end() :]
    return Corruption("a number in a text changed", value)


def name_in_text(random: Random, value: Any, _: Any) -> Corruption | None:
    """Replace one name in one text by another name of the certificate: an index, a tensor, a mask."""
    texts = [node[key] for node, key in places(value) if isinstance(node[key], str)]
    names = sorted({name for text in texts for name in re.findall(r"[A-Za-z_]\w*", text)})
    spot = place(random, value, lambda v: isinstance(v, str) and bool(re.search(r"[A-Za-z_]", v)))
    if spot is None:
        return None
    text = spot[0][spot[1]]
    hit = random.choice(list(re.finditer(r"[A-Za-z_]\w*", text)))
    spot[0][spot[1]] = text[: hit.start()] + random.choice(names) + text[hit.end() :]
    return Corruption("a name replaced by another", value)


def character(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, str) and v != "")
    if spot is None:
        return None
    text = spot[0][spot[1]]
    k = random.randrange(len(text))
    spot[0][spot[1]] = (
        text[:k] + random.choice(["", "+", "-", "*", "/", "(", ")", "[", ",", ":", "\0", "é", " "]) + text[k + 1 :]
    )
    return Corruption("a character replaced", value)


def rename_key(random: Random, value: Any, _: Any) -> Corruption | None:
    found = [(node, key) for node, key in places(value) if isinstance(node, dict)]
    if not found:
        return None
    node, key = random.choice(found)
    keys = sorted({k for n, k in found})
    node[random.choice([*keys, key + "x", "", "lhs"])] = node.pop(key)
    return Corruption("a key renamed", value)


def swap(random: Random, value: Any, _: Any) -> Corruption | None:
    first, second = place(random, value), place(random, value)
    if first is None or second is None:
        return None
    a, b = copy.deepcopy(first[0][first[1]]), copy.deepcopy(second[0][second[1]])
    first[0][first[1]] = b
    if any(node is second[0] for node, _ in places(value)):  # still there, not inside what was overwritten
        second[0][second[1]] = a
    return Corruption("two subtrees swapped", value)


def graft(random: Random, value: Any, certificates: list[Any]) -> Corruption | None:
    """Put a subtree of another certificate in the place of the one under the same key."""
    other = place(random, random.choice(certificates))
    if other is None:
        return None
    found = [(node, key) for node, key in places(value) if key == other[1]]
    node, key = random.choice(found) if found else (value, other[1])
    if not isinstance(node, dict | list) or (isinstance(node, list) and not isinstance(key, int)):
        return None
    if isinstance(node, list) and key >= len(node):
        return None
    node[key] = copy.deepcopy(other[0][other[1]])
    return Corruption("a subtree of another certificate", value)


def reorder(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, list) and len(v) > 1)
    if spot is None:
        return None
    random.shuffle(spot[0][spot[1]])
    return Corruption("a list shuffled", value)


def repeat(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, list) and len(v) > 0)
    if spot is None:
        return None
    items = spot[0][spot[1]]
    items.insert(random.randrange(len(items) + 1), copy.deepcopy(random.choice(items)))
    return Corruption("an element repeated", value)


def empty(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: bool(v) and isinstance(v, dict | list | str))
    if spot is None:
        return None
    spot[0][spot[1]] = type(spot[0][spot[1]])()
    return Corruption("a list, object or text emptied", value)


def wrong_version(random: Random, value: Any, _: Any) -> Corruption | None:
    key = next((k for k in value if "version" in k), "version")
    value[key] = random.choice([0, -1, 2**31, "1", 1.0, None, True, [1], 1e9, value.get(key, 1) + 1])
    return Corruption("another version", value)


def nest(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value)
    if spot is None:
        return None
    inner = spot[0][spot[1]]
    as_list, depth = random.random() < 0.5, random.choice([10, 500, 5_000, 50_000])
    for _level in range(depth):
        inner = [inner] if as_list else {"a": inner}
    spot[0][spot[1]] = inner
    return Corruption("nested deeply", value)


def nested_text(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, str) and v != "")
    if spot is None:
        return None
    depth = random.choice([50, 2_000, 100_000])
    text = spot[0][spot[1]]
    spot[0][spot[1]] = random.choice(
        ["(" * depth + text + ")" * depth, "exp(" * depth + text + ")" * depth, "-" * depth + text]
    )
    return Corruption("a text nested deeply", value)


def huge(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value, lambda v: isinstance(v, int | str) and not isinstance(v, bool))
    if spot is None:
        return None
    digits = random.choice([30, 400, 5_000, 50_000])
    number = int("9" * 30) ** (digits // 30)
    if isinstance(spot[0][spot[1]], int):
        spot[0][spot[1]] = random.choice([number, -number, 1e308])
    else:
        text = "9" * digits
        old = spot[0][spot[1]]
        spot[0][spot[1]] = random.choice([f"{text}*({old})", f"pow({old},{text})", f"1/{text}", f"{old}{text}", text])
    return Corruption("a huge number", value)


def not_finite(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value)
    if spot is None:
        return None
    spot[0][spot[1]] = float(random.choice(["nan", "inf", "-inf"]))
    return Corruption("NaN or infinity", value)


def cycle(random: Random, value: Any, _: Any) -> Corruption | None:
    spot = place(random, value)
    if spot is None:
        return None
    spot[0][spot[1]] = value
    return Corruption("a value that contains itself", value)


def not_an_object(random: Random, value: Any, _: Any) -> Corruption | None:
    return Corruption("no object", random.choice([{}, {"certificate": value}, {"version": 1}]))


def truncate(random: Random, value: Any, _: Any) -> Corruption | None:
    text = json.dumps(value)
    return Corruption("the text cut off", text=text[: random.randrange(len(text))])


def flip(random: Random, value: Any, _: Any) -> Corruption | None:
    text = json.dumps(value)
    k = random.randrange(len(text))
    return Corruption("a byte of the text changed", text=text[:k] + chr(random.randrange(1, 256)) + text[k + 1 :])


def duplicate_key(random: Random, value: Any, _: Any) -> Corruption | None:
    """Repeat a key with another value: readers that take the first and readers that take the last disagree."""
    text = json.dumps(value)
    key = random.choice(sorted(value))
    other = random.choice([0, None, "x", [], value[random.choice(sorted(value))]])
    doubled = f"{json.dumps(key)}: {json.dumps(other)}"
    inside = text[1:-1]
    return Corruption("a key twice", text=random.choice([f"{{{doubled}, {inside}}}", f"{{{inside}, {doubled}}}"]))


def words(random: Random, value: Any, _: Any) -> Corruption | None:
    """Write what json reads although it is no JSON, or what it does not read at all."""
    spot = place(random, value)
    if spot is None:
        return None
    spot[0][spot[1]] = "@"
    word = random.choice(
        ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000, "[" * 100_000, "0x10", "'x'", "\\u0000", "01"]
    )
    text = json.dumps(value).replace('"@"', word)
    return Corruption("a word that is no JSON", text=random.choice([text, "\ufeff" + text, text + text, text + "}"]))


CHANGES: list[Callable[[Random, Any, list[Any]], Corruption | None]] = [
    *([remove, retype, coefficient, number_in_text, name_in_text, character, rename_key, swap, graft, reorder] * 4),
    *([repeat, empty, truncate, flip, duplicate_key, words, wrong_version] * 2),
    *[nest, nested_text, huge, not_finite, cycle, not_an_object],
]


@dataclass(frozen=True)
class Outcome:
    """What the checker made of a corruption; `fault` says what is wrong with that."""

    verdict: str
    fault: str = ""


def outcome(check: Callable[..., Any], corrupted: Corruption, seconds: float) -> Outcome:
    """Ask the checker about a corruption, within a limit."""
    with tempfile.TemporaryDirectory() as folder:
        asked = corrupted.value
        if corrupted.text is not None:
            asked = Path(folder) / "certificate.json"
            asked.write_text(corrupted.text, encoding="utf-8", errors="surrogatepass")
        try:
            with limit(seconds):
                answer = check(asked)
        except OverTime:
            return Outcome("over time", f"took over {seconds} s")
        except Exception as error:  # noqa: BLE001  the point is that nothing may be raised
            return Outcome("crash", f"raised {type(error).__name__}: {str(error)[:200]}")
    if not isinstance(answer, bool):
        return Outcome("no bool", f"returned {answer!r}")
    if not answer:
        return Outcome("rejected")
    try:
        return accepted(corrupted.value if corrupted.text is None else json.loads(corrupted.text))
    except json.JSONDecodeError as error:
        return Outcome("accepted", f"accepted, although it is no JSON: {error}")


def accepted(certificate: Any) -> Outcome:
    """Return whether an accepted certificate states a true claim."""
    try:
        left, right, given, sizes = stated_claim(certificate)
    except ValueError as error:
        return Outcome("accepted", f"accepted, although it states no claim: {error}")
    if given:  # the tensors that are tried do not know hypotheses; the certificates here have none beside facts
        return Outcome("accepted", "" if ta.prove(left, right, given=given).status != "refuted" else "refuted")
    case = Case(Kind("stated", given=tuple(given)), left, right, meant_true=True)
    unusual = dict.fromkeys(dimensions(case) - set(all_sizes(case.kind)[0]), 2)
    try:
        seen = difference(replace(case, kind=replace(case.kind, sizes={**unusual, **sizes})), Random(0))
    except ValueError:  # no tensors have these facts at these sizes, so there is nothing to be false
        seen = None
    return Outcome("accepted", f"accepted, but what it states is false: {seen}" if seen else "")
