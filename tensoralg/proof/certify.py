"""Writing certificates: a proof as uses of equations that the checker follows.

The normaliser of a statement notes what it does (`tensoralg.proof.recorder`): rules at work, functions applied,
exponents merged, decays cut.  Each step becomes ``sum(bound: context * (l - r))`` where ``l = r`` is an instance of a
rule of `tensoralg.proof.checker`; the conditions of the instance are statements of their own, proved in the same way.
At last the checker itself runs once with the labeller at hand and notes the orders of bound variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.normal.graph import Odd, canonical_order
from tensoralg.normal.order import masked
from tensoralg.normal.terms import Atom, Form, Known, Term, leaves, mono_variables, scaled
from tensoralg.proof import checker
from tensoralg.proof.decide import Engine, is_network, opened
from tensoralg.proof.domain import arrangements
from tensoralg.proof.recorder import Recorder
from tensoralg.proof.show import text

MOST_STATEMENTS, MOST_ASSIGNMENTS = 2_000, 120


class Proofs:
    """Proofs of statements, each made once; and reasons for conditions."""

    def __init__(self, engine: Engine, claim: Mapping[str, Any]) -> None:
        self.engine, self.claim, self.count = engine, claim, 0
        self.made: dict[Any, Any] = {}
        self.pool: tuple[Any, ...] = ()

    def assume(self, pool: tuple[Any, ...]) -> None:
        """Set the conditions that may be used; proofs that were made with others are forgotten."""
        self.pool, self.made = pool, {}

    def prefix(self) -> str:
        """Return a new prefix for the names of bound variables."""
        self.count += 1
        return f"b{self.count}."

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
        for sign in (1, -1) if relation == "!=" else (1,):
            turned = scaled(form, sign)
            if run.positive(turned, known, relation != ">="):
                shown = run.show(turned)
                if sign == 1 and shown == node:
                    return ("sign", 1)
                return ("sign", sign, shown, run.prove(("*", where, ("+", ("*", sign, node), ("*", -1, shown)))))
        parts = checker.factors(node) if relation == "!=" else []
        if (len(parts) == 1 and parts[0] == node) or relation != "!=":
            return self._condition(relation, node, form, where, known, run)
        env = {name: run.named(name) for name in checker.spread(node)[1]}
        return (
            "all",
            *(self.reason(relation, p, run.normal(run.expand(p, env), known), where, known, run) for p in parts),
        )

    def _condition(self, relation: str, node: Any, form: Form, where: Any, known: Known, run: Recorder) -> Any:
        """Return the condition of the pool that makes another one hold, with its indices and a factor."""
        free = list(dict.fromkeys(v for mono, _ in form for v in mono_variables(mono)))
        free += [v for vs in known.values() for v in vs if v not in free]
        order: Known
        for number, (other, term, scope) in enumerate(self.pool):
            if other not in checker.STRONGER[relation]:
                continue
            for indices in self._assignments(scope, free, run):
                env = {name: v for (name, _), v in zip(scope, indices, strict=True)}
                found, order = run.narrowed(run.normal(run.expand(term, env), known), known)
                mine, _ = run.narrowed(form, known)
                if not found:
                    continue
                scale, rest = run.shared(found, order, positive=relation != "!=")
                own, rest_mine = run.shared(mine, order, positive=relation != "!=")
                if rest != rest_mine:
                    continue
                for atom, power in own.powers.items():
                    scale.times(
                        ("E", scaled(atom[1], -1)) if atom[0] == "E" else atom, power if atom[0] == "E" else -power
                    )
                scale.coefficient /= own.coefficient
                parts = tuple(part for part in self._upright(run.parts(scale)))
                shown = tuple(run.writer.index(v, {}) for v in indices)
                instance = checker.put(term, checker.bind(scope, shown).__getitem__)
                powers = (("^", part, k) for part, k in parts)
                statement = ("*", where, ("+", instance, ("*", -1, node, *powers)))
                return (number, shown, parts, run.prove(statement))
        raise Undecided(f"no condition says that {text(node)} is {relation} 0", remedy="restate the claim")

    def _upright(self, parts: Any) -> Iterator[Any]:
        """Yield parts with positive powers: what divides is multiplied as its reciprocal."""
        for part, k in parts:
            yield (part, k) if k > 0 else ((("num", 1, part) if isinstance(part, int) else ("unit", part)), -k)

    def _assignments(self, scope: Any, free: list[Any], run: Recorder) -> Any:
        choices = [[v for v in free if run.space_of[v] == space] for _, space in scope]
        return islice(product(*choices), MOST_ASSIGNMENTS)


def certificate(claim: Mapping[str, Any], engine: Engine, definitions: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return a certificate of a claim that the engine proves.

    Raises
    ------
    Undecided
        If a step has no rule in the checker.
    """
    proofs = Proofs(engine, claim)
    setting = engine.setting
    proof: dict[str, Any] = {
        "refine": setting.refined,
        "components": tuple(sorted(setting.components)),
        "definitions": tuple(definitions),
        "domain": (),
        "cases": (),
        "labels": (),
    }
    left, right, assumed = checker.pools(claim)
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
    if is_network(claim, masks=True):  # the checker expands both sides by itself: there is nothing to note
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
        spellings = {run.show(run.narrowed(form, known)[0]) for _, form, known in cases}
        if len(spellings) == 1:  # the order does not matter
            _, form, known = cases[0]
            yield proofs.reason(relation, node, run.narrowed(form, known)[0], 1, dict.fromkeys(known, ()), run)
        else:
            yield ("cases", *((where, proofs.reason(relation, node, form, where, k, run)) for where, form, k in cases))


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
    tensors = engine.setting.tensors
    found: list[Any] = []

    def label(_: Any, powers: Mapping[Any, Any], term: Any, rank: Mapping[Any, Any], loose: Sequence[Any]) -> Any:
        plain = Term(powers={_atom(atom): power for atom, power in powers.items()}, bound=term.bound)
        order = canonical_order(tensors, plain, rank, loose, engine.setting.orders)
        place = {v: k for k, v in enumerate(loose)}
        if isinstance(order, Odd):
            found.append((-1, *(place[order.image[v]] for v in loose)))
        else:
            found.append(tuple(place[v] for v in order))
        return found[-1]

    try:
        checker.verify(whole, label)
    except checker.ERRORS as reason:
        raise Undecided(f"the proof could not be certified: {reason}", remedy="this is a gap in the library") from None
    return tuple(found)


def _atom(atom: Any) -> Atom:
    """Return an atom of the checker as one of the normal form, for its graph."""

    def value(v: Any) -> Any:
        if not isinstance(v, tuple):
            return v
        if v[0] == "#":
            return f"#{v[1]}@{v[2]}"
        return ("+", v[1], value(v[2]), v[3]) if v[0] == "+" else ("*", *map(value, v[1:]))

    values = tuple(map(value, atom[2:]))
    if atom[0] == "t":
        return ("t", atom[1], *values)
    if atom[0] == "delta":
        return ("d", *values)
    if atom[0] == "size":
        return ("s", atom[1])
    return ("F", atom[0], atom[1], tuple((str(k), v) for k, v in enumerate(values)))
