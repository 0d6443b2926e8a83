"""Deciding a claim: proved for every size, refuted by an exact witness, or unknown.

A proof is an identity of normal forms (`tensoralg.normal`) on the common domain of the two sides; it
holds for all sizes and all tensors with the declared facts.  Evaluation at finite sizes never proves: it
is used to refute, and to stop the library from ever calling a claim proved that an exact evaluation
contradicts.  Claims about a few large networks are labelled first, because that is quicker; there the checker of
the certificate stands guard alone.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from random import Random
from typing import Any

from tensoralg.errors import (
    BudgetExceeded,
    FreeIndexMismatch,
    InvalidExpression,
    InvalidSize,
    SpaceMismatch,
    Undecided,
    counted,
)
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Add, Decay, Definition, Entry, Expr, Pow, as_expr
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.expr.tensor import Tensor
from tensoralg.normal import MAX_TERMS, unify
from tensoralg.proof.certify import certificate
from tensoralg.proof.covers import covering_search
from tensoralg.proof.decide import Decision, decide, engine_for, is_network, monomials, show
from tensoralg.proof.encode import encode_claim
from tensoralg.proof.models import model
from tensoralg.proof.refute import Claim, Search, counterexample, is_long, legs_dimensions, search, shrink
from tensoralg.proof.sparse import QUICK, densified, sparse_search
from tensoralg.proof.verdict import Counterexample, Verdict
from tensoralg.proof.wiring import Wiring, wired
from tensoralg.spaces import Index, check_sizes

COMPONENT_BUDGET = 4096
MOST_NETWORKS = 64
LARGEST_SMALL = 4
SHORT = 60  # characters of a wrong argument that an error quotes
SMALL_NETWORKS = 64  # factors on both sides; at most so many, and small dense tensors are tried


def prove(
    lhs: Expr,
    rhs: Expr | int,
    given: Iterable[tuple[Expr, Expr | int]] = (),
    sizes: Mapping[str, int] | None = None,
    *,
    budget: int = MAX_TERMS,
    seed: int = 0,
) -> Verdict:
    """Decide whether two expressions are equal for all sizes and all values of their tensors.

    Parameters
    ----------
    lhs, rhs : Expr
        Definitions or open terms.  Free indices match by name, in any order; `rhs` may be a number.
    given : iterable of pairs, optional
        Hypotheses, each for all values of its free indices.
    sizes : mapping of str to int, optional
        Dimensions with a fixed size; the claim is then decided for these sizes only.
    budget : int
        The largest number of monomials to expand into.
    seed : int
        For the tensors that are tried as counterexamples.

    Returns
    -------
    Verdict
        ``proved``, ``refuted`` with an exact counterexample, or ``unknown`` with what was tried.

    Raises
    ------
    FreeIndexMismatch
        If the two sides have different free indices.
    SpaceMismatch, FactConflict, UnknownSize, InvalidSize
        If the two sides do not fit together.

    Examples
    --------
    >>> import tensoralg as ta
    >>> spaces = {"t,s": "n", "f,e": "d"}
    >>> left = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices=spaces)
    >>> right = ta.parse("O[t,e] = Q[t,f]*sum(s: K[s,f]*V[s,e])", indices=spaces)
    >>> ta.prove(left, right).status
    'proved'
    >>> wrong = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[t,e]", indices=spaces)
    >>> print(ta.prove(left, wrong).explain())
    refuted: the sides differ at an exact witness
      sizes   d = 1, n = 2
      Q       [[1], [0]]
      K       [[0], [1]]
      V       [[0], [1]]
      at      t = 0, e = 0   (counted from 0)
      left    1
      right   0
    """
    hypotheses = pairs_of(given)
    check_options(sizes, budget, seed)
    try:
        return _prove(state(lhs, rhs, hypotheses, sizes), budget, seed)
    except RecursionError:
        return Verdict("unknown", "the claim is nested too deeply", evidence={"remedy": "split it into definitions"})


def pairs_of(given: object) -> tuple[tuple[Any, Any], ...]:
    """Return hypotheses as pairs; what is iterated over is iterated over once.

    Raises
    ------
    InvalidExpression
        If they are no pairs, saying which one is none.

    Examples
    --------
    >>> pairs_of((k, k + 1) for k in range(2))
    ((0, 1), (1, 2))
    """
    remedy = "give pairs: given=[(lhs, rhs), ...]"
    if isinstance(given, str | bytes | Mapping | Expr) or not isinstance(given, Iterable):
        raise InvalidExpression(f"given is {_described(given)}, and no list of hypotheses", remedy=remedy)
    hypotheses = tuple(given)
    for k, pair in enumerate(hypotheses):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            alone = len(hypotheses) == 2 and all(isinstance(side, Expr | int) for side in hypotheses)
            raise InvalidExpression(
                f"hypothesis {k + 1}, given[{k}], is {_described(pair)}, and no pair (lhs, rhs)",
                remedy="put brackets around the one pair: given=[(lhs, rhs)]" if alone else remedy,
            )
    return hypotheses


def _described(value: object) -> str:
    """Return what a wrong argument is, in a few words."""
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {counted(len(value), 'part')}"
    shown = str(value.body if isinstance(value, Definition) else value) if isinstance(value, Expr) else repr(value)
    short = len(shown) <= SHORT and "\n" not in shown
    if isinstance(value, Expr):
        return f"{shown} (an expression)" if short else "an expression"
    return f"{shown} (of type {type(value).__name__})" if short else f"a value of type {type(value).__name__}"


def check_options(sizes: object, budget: object, seed: object) -> None:
    """Raise if the options of `prove` are not what they have to be."""
    if sizes is not None and not isinstance(sizes, Mapping):
        raise InvalidSize(f"sizes={sizes!r} is no mapping", remedy='write sizes={"n": 2}')
    for name, value in (("budget", budget), ("seed", seed)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidSize(f"{name}={value!r} is no integer", remedy=f"give {name} as an int")


def _prove(stated: Stated, budget: int, seed: int) -> Verdict:
    random = Random(seed)
    claim = stated.claim
    outcome: Verdict | str | None = None
    if is_long(claim):
        wiring = wired(claim)
        evident = wiring is not None and wiring.differ()
        if wiring is not None and evident:  # labelling would take longer, only to say so too
            answer = _refuted_quickly(stated, wiring, random, budget)
            if answer is not None:
                return answer
        if is_short_sum(stated.encoded):  # labelling a few large networks is quicker than evaluating them
            outcome = _decide(stated, budget)
            if isinstance(outcome, Verdict):
                return outcome
        sparse = sparse_search(claim)
        if sparse is None and wiring is not None and not evident:
            sparse = covering_search(wiring)
        if sparse is not None:
            return _refuted_sparsely(sparse)
    first = search(claim, random, tries=1, levels=3)
    if first.found is not None:
        return _refuted(stated, first.found, budget)
    if outcome is None:
        outcome = _decide(stated, budget)
    if isinstance(outcome, Verdict):
        return outcome
    second = search(claim, random)
    if second.found is not None:
        return _refuted(stated, second.found, budget)
    return Verdict("unknown", outcome, evidence=_evidence(second))


def _refuted_quickly(stated: Stated, wiring: Wiring, random: Random, budget: int) -> Verdict | None:
    """Return a refutation of a claim about large networks: real where that is quick, else complex."""
    if not wiring.folds():
        sparse = sparse_search(stated.claim, (QUICK * len(wiring.names),))
        if sparse is not None:
            return _refuted_sparsely(sparse)
    if len(wiring.names) <= SMALL_NETWORKS:
        first = search(stated.claim, random, tries=1, levels=3)
        if first.found is not None:
            return _refuted(stated, first.found, budget)
    sparse = covering_search(wiring)
    return _refuted_sparsely(sparse) if sparse is not None else None


def _refuted_sparsely(witness: Counterexample) -> Verdict:
    kind = "sparse" if witness.basis == "orthonormal" else "complex"
    return Verdict("refuted", f"the sides differ at an exact {kind} witness", counterexample=densified(witness))


def is_short_sum(encoded: Mapping[str, Any]) -> bool:
    """Whether both sides of a claim are sums of few networks."""
    return is_network(encoded) and monomials(encoded["lhs"]) + monomials(encoded["rhs"]) <= MOST_NETWORKS


@dataclass(frozen=True)
class Stated:
    """A claim with one meaning for every name.

    Attributes
    ----------
    claim : Claim
        For evaluation: hypotheses that define tensors are substituted.
    encoded : dict
        The claim as a certificate states it.
    definitions : tuple of (int, str)
        Which hypotheses define a tensor, and on which side it stands.
    """

    claim: Claim
    encoded: dict[str, Any]
    definitions: tuple[tuple[int, str], ...]


def state(
    lhs: Expr, rhs: Expr | int, given: Iterable[tuple[Expr, Expr | int]], sizes: Mapping[str, int] | None
) -> Stated:
    """Return a claim with one meaning for every name."""
    left = _closed(lhs)
    right = _match(left, rhs)
    pairs = []
    for k, (a, b) in enumerate(given):
        one = _closed(a, f" in hypothesis {k + 1}")
        pairs.append((one, _match(one, b, f" in hypothesis {k + 1}")))
    flat, tensors = unify([left, right, *(side for pair in pairs for side in pair)])
    left, right, *rest = [_as_definition(side) for side in flat]
    for index in left.legs:
        other = next(i for i in right.legs if i.name == index.name)
        if other.space != index.space:
            raise SpaceMismatch(
                f"free index {index.name} is over {index.space} on the left and over {other.space} on the right",
                remedy="use one space on both sides",
                spaces=(index.space, other.space),
            )
    equations = list(zip(rest[::2], rest[1::2], strict=True))
    checked = check_sizes(sizes, _dimensions([left, right, *rest], tensors)) if sizes else {}
    encoded = encode_claim(left, right, equations, tensors, checked)
    nodes = [node for side in (left, right, *rest) for node in walk(side)]
    gates = {node.tensor.name for node in nodes if isinstance(node, Decay)}  # a gate stays a tensor
    defined, definitions = _definitions(equations, tensors, gates)
    for symbol, body in defined:
        left = _as_definition(replace_tensor(left, symbol.name, body))
        right = _as_definition(replace_tensor(right, symbol.name, body))
    used = {k for k, _ in definitions}
    hypotheses = []
    for k, pair in enumerate(equations):
        if k not in used:
            for symbol, body in defined:
                pair = (
                    _as_definition(replace_tensor(pair[0], symbol.name, body)),
                    _as_definition(replace_tensor(pair[1], symbol.name, body)),
                )
            hypotheses.append(pair)
    claim = Claim(left, right, tensors, checked, tuple(defined), tuple(hypotheses))
    return Stated(claim, encoded, tuple(definitions))


def _dimensions(sides: Iterable[Definition], tensors: Mapping[str, Tensor]) -> set[str]:
    return legs_dimensions(tensors.values()).union(*map(all_dimensions, sides))


def _definitions(
    equations: list[tuple[Definition, Definition]], tensors: Mapping[str, Tensor], gates: set[str]
) -> tuple[list[tuple[Tensor, Definition]], list[tuple[int, str]]]:
    """Return the equations that define tensors by others, none by itself in the end, and which ones they are."""
    waiting: dict[str, tuple[Tensor, Definition, int, str]] = {}
    for k, (a, b) in enumerate(equations):
        for one, two, side in ((a, b, "lhs"), (b, a, "rhs")):
            found = _defining(one, two, tensors)
            if found is not None and found[0].name not in waiting and found[0].name not in gates:
                waiting[found[0].name] = (*found, k, side)
                break
    defined: list[tuple[Tensor, Definition]] = []
    used: list[tuple[int, str]] = []
    while ready := [name for name, (_, body, *_) in waiting.items() if not set(body.tensors) & set(waiting)]:
        for name in ready:
            symbol, body, k, side = waiting.pop(name)
            for earlier, definition in defined:
                body = _as_definition(replace_tensor(body, earlier.name, definition))
            defined.append((symbol, body))
            used.append((k, side))
    return defined, used


def _as_definition(expr: Expr) -> Definition:
    assert isinstance(expr, Definition)
    return expr


def _closed(side: object, where: str = "") -> Definition:
    if isinstance(side, Definition):
        return side
    if not isinstance(side, Expr) and not isinstance(side, numbers.Rational) and not hasattr(side, "free_symbols"):
        raise InvalidExpression(
            f"{_described(side)} is no side of a claim{where}",
            remedy=_side_remedy(side),
        )
    term = as_expr(side)
    return Definition(term.free_indices, term, "side")  # type: ignore[no-any-return]


def _side_remedy(side: object) -> str:
    if isinstance(side, str):
        return "read the text: parse(text, indices={...}, free=(...))"
    if isinstance(side, Tensor):
        return f"give its indices, as in {side.name}[{', '.join('ijklmnopq'[: len(side.legs)])}]"
    return "give expressions, as from parse() or define(); the right side may be 0"


def _match(left: Definition, side: object, where: str = "") -> Definition:
    """Return the other side over the same free indices; a number is constant in them."""
    right = _closed(side, where)
    if not isinstance(side, Expr) or (not isinstance(side, Definition) and right.body.kind == "number"):
        return Definition(left.legs, right.body, right.name)  # type: ignore[no-any-return]
    if set(left.free) != set(right.free):
        only_left = sorted(set(left.free) - set(right.free))
        only_right = sorted(set(right.free) - set(left.free))
        raise FreeIndexMismatch(
            f"the sides{where} have different free indices: left {', '.join(left.free) or 'none'}, "
            f"right {', '.join(right.free) or 'none'}",
            remedy=f"sum over, or make free on both sides: {', '.join(only_left + only_right)}",
            left=left.free,
            right=right.free,
        )
    return right


def _defining(a: Definition, b: Definition, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Definition] | None:
    """Return the tensor that an equation defines, ``C[i,j] = ...`` without C on the right; None if none."""
    entry = a.body
    if not isinstance(entry, Entry) or entry.tensor.facts or entry.tensor.name in b.tensors:
        return None
    indices = tuple(term for term in entry.args if isinstance(term, Index))
    if len(indices) != len(entry.args) or len(set(indices)) < len(indices) or set(indices) != set(a.legs):
        return None
    if any(other.inverse_of == entry.tensor.name for other in tensors.values()):
        return None
    return entry.tensor, Definition(indices, substitute(b.body, {}), entry.tensor.name)


def _decide(stated: Stated, budget: int) -> Verdict | str:
    """Return a proof, or one sentence on why there is none."""
    encoded, claim = stated.encoded, stated.claim
    dimensions = {str(d): d for d, _ in encoded["spaces"].values() if isinstance(d, int)}
    whole = {**claim.fixed, **dimensions}
    ones = frozenset(name for name, size in whole.items() if size == 1)
    ways = {frozenset[str](): None, ones: None}  # one basis vector makes no more terms, whatever the other sizes are
    if _components(claim, whole) <= COMPONENT_BUDGET:
        ways[frozenset(whole)] = None
    reason = ""
    for components in ways:
        try:
            engine = engine_for(encoded, claim.tensors, stated.definitions, components, budget)
            decision = decide(encoded, engine)
        except (Undecided, BudgetExceeded) as stopped:
            reason = reason or stopped.what
            continue
        if not decision.missing:
            try:
                return _proved(stated, decision, certificate(encoded, engine, stated.definitions))
            except (Undecided, BudgetExceeded) as stopped:
                return f"the normal forms agree, but {stopped.what}"
        reason = decision.missing
    return reason


def _proved(stated: Stated, decision: Decision, proof: dict[str, Any]) -> Verdict:
    how = "for these sizes" if stated.claim.fixed else "for all sizes"
    domain = [show(condition) for condition in decision.domain]
    reason = f"the normal forms of both sides agree {how}" + (" on their common domain" if domain else "")
    evidence: dict[str, Any] = {"domain": domain} if domain else {}
    if stated.claim.hypotheses:
        found = model(stated.claim)
        at = ", ".join(f"{name} = {size}" for name, size in found[0].items()) if found else ""
        some = f"they hold for some tensors{' at ' * bool(at)}{at}"
        evidence["hypotheses"] = some if found else "satisfiability not shown"
    return Verdict("proved", reason, certificate=proof, evidence=evidence)


def _components(claim: Claim, fixed: Mapping[str, int]) -> int:
    """Return a bound on the number of terms when every index of fixed size is written out."""

    def written(node: Expr) -> int:
        counts = [written(child) for child in node.children()]
        size = prod(fixed.get(str(i.space.dimension), 1) for i in getattr(node, "indices", ()))
        if isinstance(node, Add):
            return sum(counts)
        exponent = node.exponent if isinstance(node, Pow) and node.exponent > 0 else 1
        return int(size * prod(counts) ** exponent)

    points: int = prod(fixed.get(str(leg.space.dimension), 1) for leg in claim.left.legs)
    return points * (written(claim.left.body) + written(claim.right.body))


def _refuted(stated: Stated, found: Any, budget: int) -> Verdict:
    witness = counterexample(stated.claim, shrink(stated.claim, found))
    return Verdict(
        "refuted",
        "the sides differ at an exact witness",
        counterexample=witness,
        small_sizes=partial(_small_sizes, stated, witness.sizes, budget),
    )


def _small_sizes(stated: Stated, witness: Mapping[str, int], budget: int) -> tuple[dict[str, int], ...]:
    """Return the small sizes of one dimension, below those of a witness, for which a claim is proved after all."""
    found = []
    for name, size in witness.items():
        for small in range(1, min(size, LARGEST_SMALL + 1)):
            if name in stated.claim.fixed:
                continue
            fixed = {**stated.claim.fixed, name: small}
            there = Stated(replace(stated.claim, fixed=fixed), {**stated.encoded, "sizes": fixed}, stated.definitions)
            if isinstance(_decide(there, budget), Verdict):
                found.append({name: small})
    return tuple(found)


def _evidence(tried: Search) -> dict[str, Any]:
    """Return what was tried: evaluations that agreed, and at which sizes."""
    agreed = list({tuple(sorted(sizes.items())): sizes for sizes in tried.agreed or []}.values())
    evidence: dict[str, Any] = {
        "exact evaluations that agreed": len(tried.agreed or []),
        "at sizes": [", ".join(f"{k} = {v}" for k, v in sizes.items()) for sizes in agreed],
    }
    if tried.undefined:
        evidence["evaluations that were undefined"] = tried.undefined
    if tried.agreements:
        evidence["agreements"] = list(tried.agreements)
    if tried.impossible:
        evidence["no tensors"] = tried.impossible
    return evidence
