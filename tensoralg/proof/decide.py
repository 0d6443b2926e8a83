"""Deciding an encoded claim by normal forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from tensoralg.expr.tensor import Tensor
from tensoralg.normal import MAX_TERMS, Normaliser, Setting
from tensoralg.normal.rules import Equation, Theory
from tensoralg.normal.terms import leaves
from tensoralg.proof.domain import Condition, Point, conditions, points
from tensoralg.proof.show import text


@dataclass
class Decision:
    """What the normal form says about a claim.

    Attributes
    ----------
    missing : str
        Empty if the claim is proved, else why it is not.
    domain : list of Condition
        Where both sides are defined, as far as that is not everywhere.
    idle : list of Equation
        Hypotheses that could not be made into rules; ``str`` gives them as text.
    contradiction : tuple of Equation
        Hypotheses from which ``1 = 0`` follows, or an equation between sizes.
    """

    missing: str = ""
    domain: list[Condition] = field(default_factory=list)
    idle: list[Equation] = field(default_factory=list)
    contradiction: tuple[Equation, ...] = ()


@dataclass(frozen=True)
class Engine:
    """Makes normalisers for one claim."""

    setting: Setting
    equations: Theory
    budget: int = MAX_TERMS

    def __call__(self) -> Normaliser:
        return Normaliser(self.setting, self.budget, equations=self.equations)


def engine_for(
    claim: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    definitions: Sequence[tuple[int, str]] = (),
    components: frozenset[str] = frozenset(),
    budget: int = MAX_TERMS,
) -> Engine:
    """Return what makes normalisers for an encoded claim.

    Parameters
    ----------
    claim : mapping
        As `encode_claim` returns it.
    tensors : mapping of str to Tensor
    definitions : sequence of (int, "lhs" or "rhs")
        The hypotheses that are used as definitions of the tensor on the side named.
    components : frozenset of str
        The dimensions whose indices are written out.
    budget : int
        The largest number of monomials.
    """
    windows = {name: Tensor(name, ()) for name in claim["tensors"] if name not in tensors}
    tensors = {**tensors, **windows}
    legs = {name: found["legs"] for name, found in claim["tensors"].items()}
    defined = dict(_definition(claim["given"][k], side) for k, side in definitions)
    setting = Setting(claim["spaces"], tensors, legs, claim["sizes"], _refined(claim), components, defined)
    used = {k for k, _ in definitions}
    given = [
        Equation(("given", k), found["free"], found["lhs"], found["rhs"], _title(found))
        for k, found in enumerate(claim["given"])
        if k not in used
    ]
    return Engine(setting, Theory(tuple(given)), budget)


def _title(found: Mapping[str, Any]) -> str:
    """Return a hypothesis as text, or whose declared fact it is."""
    equation = f"{text(found['lhs'])} = {text(found['rhs'])}"
    return f"{equation} (a fact of {found['of']})" if "of" in found else equation


def _definition(found: Mapping[str, Any], side: str) -> tuple[str, tuple[tuple[str, ...], Any]]:
    entry = found[side]
    return entry[1], (entry[2:], found["rhs" if side == "lhs" else "lhs"])


def is_network(claim: Mapping[str, Any], masks: bool = False) -> bool:
    """Whether an encoded claim is about sums and products of entries, deltas and sizes, without hypotheses.

    There normalising is only labelling, which is quick.  With masks it is not, but still no step needs more than an
    expansion to be checked.
    """
    simple = ("t", "delta", "num", "size", *(("le", "lt") if masks else ()))
    stack = [claim["lhs"], claim["rhs"]]
    while stack:
        node = stack.pop()
        if isinstance(node, int) or node[0] in simple:
            continue
        if node[0] == "sum":
            stack.append(node[2])
        elif node[0] in ("+", "*"):
            stack += node[1:]
        elif node[0] == "^" and node[2] > 0:
            stack.append(node[1])
        else:
            return False
    return not claim["given"]


def monomials(node: Any) -> int:
    """Return into how many monomials a term of the language expands, equal ones not collected.

    Examples
    --------
    >>> monomials(("^", ("+", ("t", "a"), ("t", "b")), 3))
    8
    """
    if isinstance(node, int) or node[0] in ("t", "delta", "num", "size"):
        return 1
    if node[0] == "sum":
        return monomials(node[2])
    if node[0] == "+":
        return sum(map(monomials, node[1:]))
    if node[0] == "^":
        return int(monomials(node[1]) ** abs(node[2]))
    return prod(map(monomials, node[1:])) if node[0] == "*" else 1


def _refined(claim: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ordered spaces that a mask, window or decay of the claim is about."""
    found: set[str] = set()

    def mark(space: Any) -> None:
        if isinstance(space, str):
            if claim["spaces"][space][1]:
                found.add(space)
        else:
            for part in space[1:]:
                mark(part)

    def index_space(index: Any, scope: Mapping[str, Any]) -> Any:
        if isinstance(index, str):
            return scope[index]
        return ("*", *(index_space(part, scope) for part in index[1:])) if index[0] == "*" else index[3]

    def visit(node: Any, scope: Mapping[str, Any]) -> None:
        if not isinstance(node, tuple):
            return
        kind = node[0]
        if kind == "sum":
            visit(node[2], {**scope, **dict(node[1])})
        elif kind in ("le", "lt"):
            mark(index_space(node[1], scope))
        elif kind == "decay":
            for end in node[3:5]:
                if end not in ("+", "-"):
                    mark(index_space(end, scope))
            for leg in claim["tensors"][node[1]]["legs"][:1]:
                mark(leg)
        elif kind not in ("t", "delta", "num", "size"):
            for part in node[1:]:
                visit(part, scope)

    for side in (claim, *claim["given"]):
        for name in ("lhs", "rhs"):
            visit(side[name], dict(side["free"]))
    return tuple(sorted(found))


def decide(claim: Mapping[str, Any], engine: Engine) -> Decision:
    """Return what normal forms say about an encoded claim."""
    probe = engine()
    theory = engine.equations
    decision = Decision(idle=list(theory.idle), contradiction=theory.contradiction)
    if theory.contradiction:
        decision.missing = _contradiction(theory, engine.setting)
        return decision
    if claim["lhs"] == claim["rhs"]:
        return decision
    scope = dict(claim["free"])
    sides = [_open(conditions(claim[side], scope), engine) for side in ("lhs", "rhs")]
    assumed = [c for g in claim["given"] for s in ("lhs", "rhs") for c in conditions(g[s], dict(g["free"]))]
    allowed = _open(assumed, engine) if any(sides) else {}
    for ours, theirs in (sides, sides[::-1]):
        stated = {said for found in (*theirs, *allowed) for point in found for said in point.stated}
        for found, condition in ours.items():
            if any(stated.isdisjoint(point.enough) for point in found):
                decision.missing = f"one side needs {show(condition)}, which is not known"
                return decision
    decision.domain = list(sides[0].values())
    names = [name for name, _ in claim["free"]]
    for values, _ in probe.ranges(list(claim["free"])):
        run = engine()
        run.space_of.update(probe.space_of)
        env = dict(zip(names, values, strict=True))
        run.opened = opened(run, values)
        terms = run.expand(claim["lhs"], env) + [t.copy(-1) for t in run.expand(claim["rhs"], env)]
        if run.difference(terms):
            decision.missing = "the normal forms of the two sides differ"
            if theory.idle:
                decision.missing += f"; not used: {'; '.join(map(str, theory.idle))}"
            return decision
    return decision


def _contradiction(theory: Theory, setting: Setting) -> str:
    """Return what is wrong with hypotheses that say something about sizes alone."""
    named = " and ".join(map(str, theory.contradiction))
    sides = [side for equation in theory.contradiction for side in (equation.lhs, equation.rhs)]
    put_in = [name for name in setting.definitions if any(_mentions(side, name) for side in sides)]
    for name in put_in:
        indices, body = setting.definitions[name]
        named += f", where {name}[{','.join(indices)}] = {text(body)}"
    signs = {c > 0 for _, c in theory.relation}
    if len(signs) == 1:
        return f"the hypotheses contradict each other: 1 = 0 follows from {named}"
    node = ("+", *(("*", *_number(c), *(("^", ("size", a[1]), k) for a, k in m[0])) for m, c in theory.relation))
    return f"the hypotheses hold for some sizes only: {text(node)} = 0 follows from {named}; fix them with sizes="


def _mentions(node: Any, name: str) -> bool:
    """Whether a term has an entry of a tensor."""
    return isinstance(node, tuple) and (node[:2] == ("t", name) or any(_mentions(part, name) for part in node[1:]))


def _number(value: Any) -> tuple[Any, ...]:
    return () if value == 1 else (int(value),) if value == int(value) else (("num", *value.as_integer_ratio()),)


def opened(run: Normaliser, values: Any) -> dict[str, tuple[str, ...]]:
    """Return the free variables in every refined space."""
    free = dict.fromkeys(v for value in values for v in leaves(value))
    return {s: tuple(v for v in free if run.space_of[v] == s) for s in run.setting.refined}


def _open(found: list[Condition], engine: Engine) -> dict[tuple[Point, ...], Condition]:
    """Return the conditions that are not known to hold everywhere, by what they say."""
    said = {tuple(points(engine, condition)): condition for condition in found}
    return {where: condition for where, condition in said.items() if where}


def show(condition: Condition) -> str:
    """Return a condition as text."""
    scope = f" for all {', '.join(name for name, _ in condition.scope)}" if condition.scope else ""
    return f"{text(condition.term)} {condition.relation}{scope}"
