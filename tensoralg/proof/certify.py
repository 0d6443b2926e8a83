"""Writing certificates: a proof as uses of equations that the checker follows.

The normaliser of a statement notes what it does (`tensoralg.proof.recorder`): rules at work, functions applied,
exponents merged, decays cut.  Each step becomes ``sum(bound: context * (l - r))`` where ``l = r`` is an instance of a
rule of `tensoralg.proof.checker`; the conditions of the instance are statements of their own, proved in the same way.
At last the checker itself runs once with the labeller at hand and notes the orders of bound variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.normal.order import masked
from tensoralg.normal.terms import Form, Known, Term, leaves, mono_variables, scaled
from tensoralg.proof import checker, steps
from tensoralg.proof.decide import Engine, is_network, opened
from tensoralg.proof.domain import arrangements
from tensoralg.proof.labels import labeller
from tensoralg.proof.recorder import Recorder
from tensoralg.proof.show import text

MOST_STATEMENTS, MOST_ASSIGNMENTS = 2_000, 120
STRONGER = {"!=": ("!=", ">"), ">": (">",), ">=": (">", ">=")}


class Proofs:
    """Proofs of statements, each made once; and reasons for conditions."""

    def __init__(
        self,
        engine: Engine,
        claim: Mapping[str, Any],
        definitions: Sequence[tuple[int, str]] = (),
        *,
        opening: bool = False,
    ) -> None:
        self.engine, self.claim, self.count, self.opening = engine, claim, 0, opening
        self.made: dict[Any, Any] = {}
        self.pool: tuple[Any, ...] = ()
        self.defined: dict[str, Any] = {}
        for k, side in definitions:
            given = claim["given"][k]
            name = given[side][1]
            self.defined[name] = (k, side, given["free"], engine.setting.definitions[name])

    def assume(self, pool: tuple[Any, ...]) -> None:
        """Set the conditions that may be used; proofs that were made with others are forgotten."""
        self.pool, self.made = pool, {}

    def prefix(self) -> str:
        """Return a new prefix for the names of bound variables."""
        self.count += 1
        return f"b{self.count}_"

    def uses(self, node: Any, spaces: Mapping[Any, str]) -> Any:
        """Return a proof that a term vanishes for all values of its open indices, as uses."""
        if node not in self.made:
            if len(self.made) > MOST_STATEMENTS:
                raise Undecided("the certificate has too many steps", remedy="split the claim into smaller ones")
            names = list(dict.fromkeys(checker.spread(node)[1]))
            typed = {name: spaces[name] for name in names}
            recorder = Recorder(self.engine, typed, self)
            recorder.opened = opened(recorder, names)
            if recorder.difference(recorder.expand(node, {name: name for name in names})):
                raise Undecided("a step of the proof could not be certified", remedy="this is a gap in the library")
            self.made[node] = tuple(recorder.uses)
        return self.made[node]

    def reason(self, relation: str, node: Any, form: Form, where: Any, known: Known, run: Recorder) -> Any:
        """Return why a term is != 0, > 0 or >= 0: by its sign, or by conditions of the claim."""
        if relation == "!=" and steps.is_unit(node):
            return ()
        for sign in (1, -1) if relation == "!=" else (1,):
            turned = scaled(form, sign)
            if run.positive(turned, known, relation != ">="):
                shown = run.show(turned)
                if sign == 1 and shown == node:
                    return steps.known_sign(relation, where, node)
                same = run.prove(("*", where, checker.minus(("*", sign, node), shown)))
                positive = steps.known_sign(relation, where, shown)
                if relation != "!=":
                    return steps.moved(relation, where, node, shown, same, positive)
                under = ("^", shown, -1)
                return steps.nonzero(where, node, ("*", sign, under), (*steps.times(under, same), *positive))
        if relation == "!=" and checker.is_kind(node, "sqrt"):
            return steps.root_nonzero(where, node[1], self._reason_of(relation, node[1], where, known, run))
        parts = factors(node) if relation == "!=" else [node]
        if parts == [node]:
            return self._condition(relation, node, form, where, known, run)
        return steps.all_nonzero(
            where,
            node,
            [(p, () if steps.is_unit(p) else self._reason_of(relation, p, where, known, run)) for p in parts],
        )

    def _reason_of(self, relation: str, node: Any, where: Any, known: Known, run: Recorder) -> Any:
        return self.reason(relation, node, self._form(node, known, run), where, known, run)

    def _form(self, node: Any, known: Known, run: Recorder) -> Form:
        env = {name: run.named(name) for name in checker.spread(node)[1]}
        return run.normal(run.expand(node, env), known)

    def _condition(self, relation: str, node: Any, form: Form, where: Any, known: Known, run: Recorder) -> Any:
        """Return how a condition of the pool makes another one hold, at some indices and up to a factor."""
        free = list(dict.fromkeys(v for mono, _ in form for v in mono_variables(mono)))
        free += [v for vs in known.values() for v in vs if v not in free]
        own, rest = run.shared(run.narrowed(form, known)[0], known, positive=relation != "!=")
        for number, (other, whole, scope) in enumerate(self.pool):
            for indices in self._places(scope, free, run) if other in STRONGER[relation] else ():
                shown = tuple(run.writer.index(v, {}) for v in indices)
                here = checker.put(whole, checker.bind(scope, shown).__getitem__)
                stated = steps.times(where, steps.use("given", len(self.claim["given"]) + number, shown))
                stated = stated if other == relation else steps.weaker(relation, where, here, stated)
                for part, why in self._inside(relation, here, stated, where, known, run):
                    parts = self._ratio(relation, part, own, rest, known, run)
                    if parts is not None:
                        powers = (("^", f, k) for f, k in parts)
                        same = run.prove(("*", where, checker.minus(part, ("*", node, *powers))))
                        return steps.scaled_relation(relation, where, node, parts, part, same, why())
        raise Undecided(f"no condition says that {text(node)} is {relation} 0", remedy="restate the claim")

    def _ratio(self, relation: str, part: Any, own: Term, rest: Form, known: Known, run: Recorder) -> Any:
        """Return the factors by which a term differs from ``own * rest``; None if they are not of the right kind."""
        found, order = run.narrowed(self._form(part, known, run), known)
        scale, left = run.shared(found, order, positive=relation != "!=") if found else (Term(), None)
        if left != rest:
            return None
        for atom, power in own.powers.items():
            exponent = atom[0] == "E"
            scale.times(("E", scaled(atom[1], -1)) if exponent else atom, power if exponent else -power)
        scale.coefficient /= own.coefficient
        parts = run.parts(scale)
        if relation == "!=" and not all(k > 0 or self._never_zero(f) for f, k in parts):
            return None  # a factor that might be 0 does not divide
        return [(f, k) if k > 0 else (("^", f, -1), -k) for f, k in parts]

    def _never_zero(self, node: Any) -> bool:
        facts = self.claim["tensors"][node[1]].get("facts", ()) if checker.is_kind(node, "t") else ()
        return steps.is_unit(node) or "positive" in facts

    def _inside(
        self, relation: str, whole: Any, stated: Any, where: Any, known: Known, run: Recorder
    ) -> Iterator[tuple[Any, Callable[[], Any]]]:
        """Yield terms with a relation to 0, as a term has it: itself, the factors of what is not 0, under a root."""
        yield whole, lambda: stated
        if relation == "!=" and checker.is_kind(whole, "sqrt"):
            root, inner = ("^", whole, -1), whole[1]

            def squared() -> Any:
                square = steps.axiom("square", where, (inner,), self._reason_of(">=", inner, where, known, run))
                twice = steps.swapped([(("*", whole, root), 1, stated)] * 2)
                one = (*steps.times(("*", -1, root, root), square), *twice)
                return steps.nonzero(where, inner, ("*", root, root), one)

            yield inner, squared
        parts = factors(whole) if relation == "!=" else []
        for k, part in enumerate(parts if len(parts) > 1 else []):
            others = ("*", *parts[:k], *parts[k + 1 :], ("^", whole, -1))
            yield from self._inside(relation, part, steps.nonzero(where, part, others, stated), where, known, run)

    def _places(self, scope: Any, free: list[Any], run: Recorder) -> Any:
        return islice(product(*(self._values(space, free, run) for _, space in scope)), MOST_ASSIGNMENTS)

    def _values(self, space: Any, free: list[Any], run: Recorder) -> list[Any]:
        """Return what an index over a space can be, made of free variables and basis vectors."""
        if isinstance(space, str):
            return [v for v in free if run.space_of[v] == space] or [v for v, own in run.values(space) if not own]
        parts = [self._values(part, free, run) for part in space[1:]]
        if space[0] == "*":
            return [("*", *values) for values in product(*parts)]
        return [("+", k, value, space) for k, values in enumerate(parts) for value in values]


def factors(node: Any) -> list[Any]:
    """Return the factors of a product, each as often as it occurs.

    Examples
    --------
    >>> factors(("*", 2, ("^", ("t", "x"), 2), ("exp", ("t", "y"))))
    [2, ('t', 'x'), ('t', 'x'), ('exp', ('t', 'y'))]
    """
    if checker.is_kind(node, "*"):
        return [f for part in node[1:] for f in factors(part)]
    if checker.is_kind(node, "^") and node[2] > 0:
        return factors(node[1]) * int(node[2])
    return [node]


def certificate(claim: Mapping[str, Any], engine: Engine, definitions: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return a certificate of a claim that the engine proves.

    Raises
    ------
    Undecided
        If a step has no rule in the checker.
    """
    # what a rule was made of is opened where the rule was, which depends on the tensors that cancelled in it
    try:
        return _certificate(claim, engine, Proofs(engine, claim, definitions))
    except Undecided:
        if not definitions:
            raise
        return _certificate(claim, engine, Proofs(engine, claim, definitions, opening=True))


def _certificate(claim: Mapping[str, Any], engine: Engine, proofs: Proofs) -> dict[str, Any]:
    setting = engine.setting
    proof: dict[str, Any] = {
        "refine": setting.refined,
        "components": tuple(sorted(setting.components)),
        "domain": (),
        "cases": (),
        "labels": (),
    }
    plain = is_network(claim, masks=True)  # the checker expands both sides by itself: there is nothing to note
    left, right, assumed = checker.pools(claim) if not plain else ([], [], [])
    reasons = []
    for ours, theirs in ((left, right), (right, left)):
        proofs.assume((*theirs, *assumed))
        for condition in ours:
            if condition not in theirs:
                reasons += list(_reasons(condition, engine, proofs))
    proof["domain"] = tuple(reasons)
    proofs.assume((*left, *right, *assumed))
    probe = engine()
    points = list(probe.ranges(list(claim["free"]))) if claim["lhs"] != claim["rhs"] else []
    if plain:
        proof["cases"] = ((),) * len(points)
    else:
        proof["cases"] = tuple(_case(claim, engine, proofs, values, probe.space_of) for values, _ in points)
    whole = {"format": checker.FORMAT, "version": checker.VERSION, "claim": claim, "proof": proof}
    proof["labels"] = _labels(whole, engine)
    return whole


def _reasons(condition: Any, engine: Engine, proofs: Proofs) -> Iterator[Any]:
    """Yield why a condition of one side holds, for every summand and basis vector of its indices."""
    relation, _, scope = condition
    run = Recorder(engine, {}, proofs)
    for values, _ in run.ranges(list(scope)):
        env = {name: value for (name, _), value in zip(scope, values, strict=True)}
        run.opened = opened(run, values)
        indices = {name: run.writer.index(value, {}) for name, value in env.items()}
        node = checker.put(condition[1], indices.__getitem__)
        env = {v: v for value in values for v in leaves(value)}
        cases = []
        for placed, known in arrangements(run, env):
            blocks = {s: tuple((v, *(w for w in placed if placed[w] == v and w != v)) for v in known[s]) for s in known}
            where = run.writer.product(masked(Term(chains=blocks)), {})
            cases.append((where, run.normal(run.expand(node, placed), known), known))
        narrow = [run.narrowed(form, known) for _, form, known in cases]
        if len({(run.show(form), tuple(order.items())) for form, order in narrow}) == 1:  # the order does not matter
            yield proofs.reason(relation, node, narrow[0][0], 1, narrow[0][1], run)
        else:
            yield tuple(u for where, form, k in cases for u in proofs.reason(relation, node, form, where, k, run))


def _case(claim: Mapping[str, Any], engine: Engine, proofs: Proofs, values: Any, spaces: Mapping[Any, str]) -> Any:
    """Return the uses that prove a claim at one choice of summands and basis vectors."""
    recorder = Recorder(engine, spaces, proofs)
    recorder.opened = opened(recorder, values)
    env = {name: value for (name, _), value in zip(claim["free"], values, strict=True)}
    node = ("+", claim["lhs"], ("*", -1, claim["rhs"]))
    if recorder.difference(recorder.expand(node, env)):
        raise Undecided("a step of the proof could not be certified", remedy="this is a gap in the library")
    return tuple(recorder.uses)


def _labels(whole: Mapping[str, Any], engine: Engine) -> Any:
    """Run the checker with the labeller at hand, and return the orders of bound variables that it asked for."""
    find = labeller(engine.setting.tensors, engine.setting.orders)
    found: list[Any] = []

    def label(*asked: Any) -> Any:
        found.append(find(*asked))
        return found[-1]

    try:
        checker.verify(whole, label)
    except checker.ERRORS as reason:
        raise Undecided(f"the proof could not be certified: {reason}", remedy="this is a gap in the library") from None
    return tuple(found)
