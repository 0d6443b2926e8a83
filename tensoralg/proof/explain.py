"""Proofs as a person would write them, from their certificates; refutations and what was tried as LaTeX.

An explanation is read off a certificate: what it shows is what the checker is given, and the checker's own code
multiplies out.  It convinces nobody by itself; `tensoralg.proof.checker` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from tensoralg.errors import TensoralgError
from tensoralg.proof import checker
from tensoralg.proof.page import Matrix, Page, Part, Shown, words
from tensoralg.proof.replay import MOST_WORK, Monomial, Replay, Side, cases
from tensoralg.proof.show import fresh, shortened, show_value, tidy

if TYPE_CHECKING:
    from tensoralg.proof.verdict import Counterexample, Verdict

MOST_LINES, MOST_CASES, MOST_USES, DEEPEST = 12, 3, 200, 3
MALFORMED = (
    TensoralgError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)
PLACE = {"1/": "denominator", "log": "logarithm", "sqrt": "root", "relu": "relu", "exp": "exponential"}
OUTSIDE = {"relu": "relu", "log": "logarithm", "inverse": "denominator", "sqrt": "root"}
WORDS = {
    "flip": "relu(x) = x + relu(-x)",
    "cut": "a decay is cut in two",
    "resolvent": "the resolvent identity",
    "exponent": "log of an exponential",
    "log": "log of a product",
    "sqrt": "root of a product",
    "square": "the square of a root",
    "relu": "what is not negative leaves the relu",
    "inverse": "a reciprocal",
}
# what entries of a witness refer to; nothing is said where it is what everybody expects
BASES = {
    "orthonormal": (),
    "paired": (
        "vectors 2k and 2k+1 of every space are h = x + iy and h' = (x - iy)/2 for orthonormal x, y;",
        "so h.h = h'.h' = 0 and h.h' = 1: an index is summed over 2k on one leg with 2k+1 on the other.",
        "The tensors are complex.  Both sides are polynomials in their entries, and polynomials that agree",
        "at all real points agree at all complex ones, so they differ at some real point too.",
    ),
}
SIGNS = {"!=": "not 0", ">": "positive", ">=": "not negative"}
OWN = ("given", "select", "cut", "resolvent")  # rules that are no axioms


def explanation(verdict: Verdict, style: str) -> str:
    """Return the answer of a verdict with its proof, its witness, or what was tried.

    Parameters
    ----------
    verdict : Verdict
    style : "text" or "latex"

    Examples
    --------
    >>> import tensoralg as ta
    >>> zero = ta.parse("O[] = A[i,j] - A[j,i]", indices={"i,j": "n"})
    >>> print(explanation(ta.prove(zero, 0), "latex"))
    \\begin{align*}
    &\\text{proved: the normal forms of both sides agree for all sizes} \\\\
    \\text{claim}&\\quad \\sum_{i j} A_{i j} - \\sum_{j i} A_{j i} = 0 \\\\
    \\text{terms}&\\quad \\text{multiplied out, 2 on the left and 0 on the right} \\\\
    &\\quad \\text{equal ones collected, 0 and 0}
    \\end{align*}
    """
    first = f"{verdict.status}: {verdict.reason}"
    proof = None if verdict.certificate is None else proof_lines(verdict.certificate, style)
    known = set() if proof is None else {"domain"}
    rest: list[str] = []
    for key, value in verdict.evidence.items():
        rest += [f"{key}: {shown}" for shown in _evidence(key, value)] if key not in known else []
    if any(size > 1 for found in verdict.holds_for for size in found.values()):
        sizes = "; ".join(", ".join(f"{k} = {v}" for k, v in found.items()) for found in verdict.holds_for)
        rest.append(f"it does hold for {sizes}")
    if style == "latex":
        rows = [f"&{words(first)}"]
        rows += _witness(verdict.counterexample).latex() if verdict.counterexample is not None else []
        rows += [*(proof or ()), *(f"&{words(line)}" for line in rest)]
        return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"
    lines = str(verdict.counterexample).splitlines() if verdict.counterexample is not None else []
    lines += [*(proof or ()), *rest]
    return "\n".join([first, *(f"  {line}" for line in lines)])


def _evidence(key: str, value: Any) -> list[str]:
    """Return lines about one kind of evidence."""
    if key == "agreements":
        with suppress(*MALFORMED):
            shown = [agreement(found) for found in value]
            more = [f"and {len(shown) - MOST_LINES} more"] if len(shown) > MOST_LINES else []
            return shown[:MOST_LINES] + more
    line = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return [line] if line else []


def agreement(found: Any) -> str:
    """Return in words how often the sides agreed modulo primes, and with which bound on the chance.

    Examples
    --------
    >>> agreement({"sizes": {"n": 4}, "evaluations": 3, "degree": 5, "bound": 8.4e-26})
    '3 random points modulo primes, (deg/p)^k <= 9e-26 at n = 4 (degree 5)'
    """
    fields = found if isinstance(found, Mapping) else vars(found)
    sizes, count, degree, bound = (fields.get(name) for name in ("sizes", "evaluations", "degree", "bound"))
    where = " at " + (", ".join(f"{k} = {v}" for k, v in (sizes or {}).items()) or "the only size")
    points = f"{count} random point{'s' * (count != 1)} modulo primes"
    if bound is None:
        return f"{points}, no bound{where}"
    return f"{points}, (deg/p)^k <= {_rounded_up(bound)}{where} (degree {degree})"


def _rounded_up(bound: float) -> str:
    """Return a number of one digit that is not less."""
    if bound < 1e-300:
        return "1e-300"
    power = math.floor(math.log10(bound))
    digit = math.ceil(bound / 10.0**power)
    return f"{digit}e{power:+03d}" if digit < 10 else f"1e{power + 1:+03d}"


def _witness(found: Counterexample) -> Page:
    """Return a witness for display in LaTeX."""
    page = Page()
    for k, (name, size) in enumerate(sorted(found.sizes.items())):
        page.add("" if k else "sizes", Shown(("=", ("size", name), size)))
    for name, value in found.tensors.items():
        page.add("", Shown(name), " = ", Matrix(value))
    for k, (name, value) in enumerate(found.index.items()):
        page.add("" if k else "at", Shown(("=", ("size", name), value)), "   (counted from 0)" if not k else "")
    for side, value in (("left", found.lhs), ("right", found.rhs)):
        page.add(side, show_value(value) if isinstance(value, tuple) else Matrix(value))
    for k, line in enumerate(BASES[found.basis]):
        page.add("" if k else "basis", line)
    return page


def proof_lines(certificate: Mapping[str, Any], style: str = "text") -> list[str] | None:
    """Return the proof of a certificate line by line, as text or LaTeX; None if it cannot be read.

    Examples
    --------
    >>> import tensoralg as ta
    >>> left = ta.parse("O[t] = (A[t,s] + B[t,s])*x[s]", indices={"t,s": "n"})
    >>> right = ta.parse("O[t] = A[t,r]*x[r] + B[t,s]*x[s]", indices={"t,s,r": "n"})
    >>> print("\\n".join(proof_lines(ta.prove(left, right).certificate)))
    claim   sum(s: (A[t,s] + B[t,s])*x[s]) = sum(r: A[t,r]*x[r]) + sum(s: B[t,s]*x[s])   for all t
    terms   multiplied out, 2 on the left and 2 on the right
            left 1 is right 1, s -> r:   sum(s: A[t,s]*x[s])
            left 2 is right 2:   sum(s: B[t,s]*x[s])
    """
    try:
        page = _Proof(certificate).page()
        return page.latex() if style == "latex" else page.text()
    except MALFORMED:
        return None


class _Proof:
    """The proof of a certificate, line by line."""

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        proof = certificate["proof"]
        self.count = len(proof["cases"])
        self.total = [len(uses) for uses in proof["cases"][:MOST_CASES]]
        parts = {key: proof[key] for key in ("refine", "components", "domain")}
        parts["cases"] = [uses[:MOST_USES] for uses in proof["cases"][:MOST_CASES]]
        self.claim, self.proof = checker.frozen(certificate["claim"]), checker.frozen(parts)
        self.left, self.right, self.assumed = checker.pools(self.claim)
        self.names = _names(self.claim)
        self.lines = Page()
        self.replay = _Named(self.claim, self.proof)

    def page(self) -> Page:
        self._claim()
        for k, (env, uses) in enumerate(islice(cases(self.replay), MOST_CASES)):
            if self.count > 1:
                self.lines.add("case", *self._case(env), f" ({k + 1} of {self.count})")
            self._terms(env)
            self._steps(env, uses, self.total[k])
        if self.count > MOST_CASES:
            self.lines.add("case", f"{self.count - MOST_CASES} more in the same way")
        if self.claim["lhs"] == self.claim["rhs"]:
            self.lines.add("terms", "the two sides are the same expression")
        self._domain()
        return self.lines

    def math(self, node: Any, to: Mapping[str, str] | None = None) -> Shown:
        free = {name: name for name in dict(self.claim["free"])} if to is None else to
        return Shown(shortened(tidy(node, free, self.names)))

    # the claim

    def _claim(self) -> None:
        claim, given = self.claim, self.claim["given"]
        self.lines.add("claim", self.math(("=", claim["lhs"], claim["rhs"])), *_for_all(claim["free"]))
        stated = [(k, found) for k, found in enumerate(given) if "of" not in found]
        for k, found in stated[:MOST_LINES]:
            line = self.math(("=", found["lhs"], found["rhs"]), {name: name for name, _ in found["free"]})
            self.lines.add("given", f"({k + 1}) ", line, *_for_all(found["free"]))
        self._more(len(stated) - MOST_LINES, "given")
        if claim["sizes"] or self.proof["components"]:
            parts: list[Part] = []
            for name, size in sorted(claim["sizes"].items()):
                parts += [", " if parts else "", Shown(("=", ("size", name), size))]
            if self.proof["components"]:
                written = ", ".join(self.proof["components"])
                parts.append(
                    f"{'; ' * bool(parts)}indices of size {written} are written out, basis vector by basis vector"
                )
            self.lines.add("sizes", *parts)

    def _case(self, env: Mapping[str, Any]) -> list[Part]:
        parts: list[Part] = []
        for name, _ in self.claim["free"]:
            value = env[name]
            if isinstance(value, tuple):
                where = f" in summand {value[1] + 1}" if value[0] == "+" else ""
                parts += [", " if parts else "", Shown(("chain", (name, value))), where]
        return parts

    def _more(self, count: int, what: str) -> None:
        if count > 0:
            self.lines.add("", f"and {count} more {what if count > 1 else what.rstrip('s')}")

    # monomials

    def _terms(self, env: Mapping[str, Any]) -> None:
        try:
            left, right = (self.replay.side(self.claim[side], env) for side in ("lhs", "rhs"))
        except ValueError:
            self.lines.add("terms", f"more than {MOST_WORK} steps multiply them out, not shown")
            return
        spaces = ", ".join(self.proof["refine"])
        self.lines.add("terms", f"multiplied out, {left.expanded} on the left and {right.expanded} on the right")
        if (left.refined, right.refined) != (left.expanded, right.expanded):
            chains = f"{left.refined} on the left and {right.refined} on the right"
            self.lines.add("", f"split by the order of {spaces} into strict chains that the masks allow, {chains}")
        if (len(left.monomials), len(right.monomials)) != (left.refined, right.refined):
            self.lines.add("", f"equal ones collected, {len(left.monomials)} and {len(right.monomials)}")
        for row in islice(self._matches(left, right), MOST_LINES):
            self.lines.add("", *row)
        ours, theirs = ({(mono, m.coefficient) for mono, m in side.monomials.items()} for side in (left, right))
        self._more(len(ours | theirs) - MOST_LINES, "terms")

    def _matches(self, left: Side, right: Side) -> Iterator[list[Part]]:
        """Yield the monomials that both sides have, then the others."""
        place = {mono: k + 1 for k, mono in enumerate(right.monomials)}
        rest: list[tuple[str, Monomial]] = []
        for k, (mono, ours) in enumerate(left.monomials.items()):
            theirs = right.monomials.get(mono)
            if theirs is None or theirs.coefficient != ours.coefficient:
                rest.append((f"left {k + 1}", ours))
                continue
            one, two = (self.replay.called(found.term, self.names) for found in (ours, theirs))
            moves = [(one[a], two[b]) for a, b in zip(ours.bound, theirs.bound, strict=True) if one[a] != two[b]]
            shown = ", ".join(f"{a} -> {b}" for a, b in moves)
            yield [f"left {k + 1} is right {place[mono]}{', ' * bool(shown)}{shown}:   ", *self._monomial(ours)]
        rest += [
            (f"right {place[mono]}", theirs)
            for mono, theirs in right.monomials.items()
            if mono not in left.monomials or left.monomials[mono].coefficient != theirs.coefficient
        ]
        for name, found in rest:
            yield [f"{name}:   ", *self._monomial(found)]

    def _monomial(self, found: Monomial) -> Iterator[Part]:
        yield Shown(shortened(self.replay.shown(found, self.names)))
        for chain in self.replay.chain(found, self.names):
            yield from ("   where ", Shown(chain))

    # steps

    def _steps(self, env: Mapping[str, Any], uses: Any, total: int) -> None:
        if not uses:
            return
        rows = self._uses(env, {name: name for name in env if isinstance(name, str)}, uses, 0)
        for k, (depth, row) in enumerate(rows[:MOST_LINES]):
            self.lines.add("" if k else "steps", *row, depth=depth)
        hidden = [depth for depth, _ in rows[MOST_LINES:]].count(0)
        self._more(hidden, "steps")
        self._more(total - len(uses), "uses")

    def _uses(self, env: Any, to: Mapping[str, str], uses: Any, depth: int) -> list[tuple[int, list[Part]]]:
        """Return lines about uses: equal ones once, below each the steps of its conditions."""
        found: dict[Any, list[Any]] = {}
        for bound, context, exponent, rule in uses:
            here = dict(to)
            for name, space in bound:
                here[name] = fresh(name, self.names.get(space, ()), here.values())
            values = next(iter(self.replay.ranges([(None, space) for _, space in bound])))[0]
            inner = {**env, **checker.bind(bound, values)}
            line, below = self._rule(rule, inner, here)
            if not line:
                continue
            if exponent != 1:
                line.append(f", to the power {exponent}")
            found.setdefault(tuple(line), []).append((inner, here, context, below))
        rows: list[tuple[int, list[Part]]] = []
        for line, places in found.items():
            inner, here, context, below = places[0]
            often: list[Part] = [f"   (used {len(places)} times)"] if len(places) > 1 else []
            if len(places) == 1 and depth == 0 and context not in (1, -1):
                often = ["   inside ", self.math(context, here)]
            rows.append((depth, [*line, *often]))
            if depth < DEEPEST and below:
                rows += self._uses(inner, here, below, depth + 1)
        return rows

    def _rule(self, rule: Any, env: Any, to: Mapping[str, str]) -> tuple[list[Part], Any]:
        """Return what a rule says in words and as an equation, and the uses that prove its conditions."""
        kind, *rest = rule
        try:
            left, right = self.replay.instance(rule, env)
        except MALFORMED:
            return [f"rule {kind}"], ()
        where, below = (1, ()) if kind in OWN else (rest[0], tuple(use for proof in rest[2] for use in proof))
        if where != 1:
            left, right = (_without(side, where) for side in (left, right))
        equation = self.math(("=", left, right) if kind != "sign" else (rest[1][0], rest[1][1], 0), to)
        if equation.node[1] == equation.node[2]:
            return [], ()
        if kind == "equal" and len(below) == 1:
            below = self._rule(below[0][-1], env, to)[1]
        line = [*self._words(kind, rest, to), ":   ", equation]
        return line + (["   where ", self.math(where, to)] if where != 1 else []), below

    def _words(self, kind: str, rest: Any, to: Mapping[str, str]) -> list[Part]:
        if kind == "given" and rest[0] >= len(self.claim["given"]):
            return ["where the claim is defined"]
        if kind == "given":
            found = self.claim["given"][rest[0]]
            if "of" in found:
                return [Shown(found["of"]), f" {_fact(found)}"]
            parts: list[Part] = [f"hypothesis {rest[0] + 1}"]
            for (name, _), i in zip(found["free"], rest[1], strict=True):
                value = tidy(("place", i), to, self.names)[1]
                parts += [", " if len(parts) > 1 else " at ", Shown(("chain", (name, value)))]
            return parts
        if kind == "select":
            return [Shown(rest[1][1]), f" is a permutation matrix, so it comes out of {rest[0]}"]
        if kind == "same":
            return [f"the same {PLACE[rest[1][0]]}"]
        if kind == "exp":
            return ["exponents add"]
        if kind == "sign":
            return [f"{SIGNS[rest[1][0]]}, by its form"]
        if kind == "equal":
            return self._composed([rule for *_, rule in rest[2][0]], to)
        return [WORDS.get(kind, f"rule {kind}")]

    def _composed(self, rules: Sequence[Any], to: Mapping[str, str]) -> list[Part]:
        """Return what several rules together are about."""
        kinds = [rule[0] for rule in rules]
        place = next((place for kind, place in OUTSIDE.items() if kind in kinds), None)
        if place and "flip" not in kinds:
            return [f"common factors leave the {place}"]
        found = next((kind for kind in WORDS if kind in kinds), None)
        rule = next((rule for rule in rules if rule[0] in (found, "select", "exp")), rules[0] if rules else ("so",))
        return self._words(rule[0], list(rule[1:]), to) if rule[0] != "equal" else ["so"]

    # the domain

    def _domain(self) -> None:
        rows: list[list[Part]] = []
        for relation, node, scope in [c for c in self.left if c in self.right]:
            rows.append(["both sides need ", self._condition(relation, node, scope), *_for_all(scope)])
        reasons = iter(self.proof["domain"])
        for name, ours, theirs in (("left", self.left, self.right), ("right", self.right, self.left)):
            for relation, node, scope in [c for c in ours if c not in theirs]:
                given = [next(reasons) for _ in self.replay.ranges(scope)]
                line: list[Part] = [f"the {name} side needs ", self._condition(relation, node, scope), *_for_all(scope)]
                rows.append(
                    [*line, ": ", *self._why(given[0], (*theirs, *self.assumed), len(theirs))] if given else line
                )
        for k, row in enumerate(rows[:MOST_LINES]):
            self.lines.add("" if k else "domain", *row)
        self._more(len(rows) - MOST_LINES, "conditions")

    def _condition(self, relation: str, node: Any, scope: Any) -> Shown:
        return self.math((relation, node, 0), {name: name for name, _ in scope})

    def _why(self, uses: Any, pool: Sequence[Any], theirs: int) -> list[Part]:
        """Return which conditions a proof of another one uses."""
        first, used = len(self.claim["given"]), dict.fromkeys(_mentioned(uses))
        parts: list[Part] = []
        for number in [k - first for k in used if k >= first][:MOST_LINES]:
            parts += [" and " if parts else "it follows from ", self._condition(*pool[number])]
            parts.append(f", of {'the other side' if number < theirs else 'a hypothesis'}")
        if parts:
            return parts
        return ["it follows from the hypotheses" if used else "it can be read off its form"]


def _mentioned(uses: Any) -> Iterator[int]:
    """Yield the numbers of the hypotheses and conditions that a proof uses."""
    for *_, rule in uses:
        if rule[0] == "given":
            yield rule[1]
        elif rule[0] not in OWN:
            for proof in rule[3]:
                yield from _mentioned(proof)


class _Named(Replay):
    """The replay with names that tell the summands of a direct sum apart: ``i.0`` is an index i in the first one."""

    def called(self, term: Any, names: Mapping[Any, Iterable[str]]) -> dict[Any, str]:
        bodies = list(self.bodies)
        for atom in term.powers:
            inside = _inside(bodies[atom[1][1]], atom[2:]) if atom[0] == "f" else ()
            for v, place in (*(found for value in atom[2:] for found in _places(value)), *inside):
                own = self.names.get(v, "")
                if v in term.bound and own and "." not in own and own not in names.get(term.bound[v], ()):
                    self.names[v] = f"{own}.{place}"
        return super().called(term, names)


def _places(value: Any, place: int | None = None) -> Iterator[tuple[Any, int]]:
    """Yield the variables in values of indices that stand in a summand, with its position."""
    if isinstance(value, tuple) and value[:1] == ("+",):
        yield from _places(value[2], value[1])
    elif isinstance(value, tuple) and value[:1] != ("#",):
        for part in value:
            yield from _places(part, place)
    elif place is not None:
        yield value, place


def _inside(body: Any, values: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    """Yield the same for the argument of a function, whose variables stand for values."""
    if isinstance(body, tuple):
        match body:
            case ("+", int(place), str(name), _) if name.startswith("$"):
                yield from _places(values[int(name[1:])], place)
            case _:
                for part in body:
                    yield from _inside(part, values)


def _names(claim: Any) -> dict[Any, list[str]]:
    """Return the names that a claim itself uses for indices over each space."""
    found: dict[Any, dict[str, None]] = {}

    def visit(node: Any) -> None:
        if isinstance(node, tuple):
            if len(node) == 3 and node[0] == "sum":
                for name, space in node[1]:
                    found.setdefault(space, {})[name] = None
            for part in node:
                visit(part)

    for side in (claim, *claim["given"]):
        for name, space in side["free"]:
            found.setdefault(space, {})[name] = None
        visit(side["lhs"])
        visit(side["rhs"])
    return {space: list(names) for space, names in found.items()}


def _for_all(scope: Iterable[tuple[str, Any]]) -> list[Part]:
    parts: list[Part] = []
    for name, _ in scope:
        parts += [", " if parts else "   for all ", Shown(name)]
    return parts


def _without(side: Any, where: Any) -> Any:
    if side == where:
        return 1
    return ("*", *side[2:]) if checker.is_kind(side, "*") and side[1] == where else side


def _fact(found: Mapping[str, Any]) -> str:
    """Return which declared fact an equation states."""
    left, right = found["lhs"], found["rhs"]
    if checker.is_kind(right, "*", "decay"):
        return "finds the step before"
    if checker.is_kind(left, "*") and len({factor[2:] for factor in left[1:]}) == 1:
        return "is 0 or 1, and within wider windows"
    if checker.is_kind(right, "delta"):
        names = {factor[1] for factor in left[2][1:]}
        return "is an isometry" if len(names) == 1 else "is an inverse"
    return "is a projection" if checker.is_kind(right, "t") else "is a permutation matrix"
