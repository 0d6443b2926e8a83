"""Deciding a claim: proved for every size, refuted by an exact witness, or unknown.

A proof is an identity of normal forms (`tensoralg.normal`) on the common domain of the two sides; it
holds for all sizes and all tensors with the declared facts.  Evaluation at finite sizes never proves: it
is used to refute, and to stop the library from ever calling a claim proved that an exact evaluation
contradicts.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from tensoralg.errors import (
    BudgetExceeded,
    FreeIndexMismatch,
    InvalidExpression,
    InvalidSize,
    SpaceMismatch,
    Undecided,
)
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Definition, Entry, Expr, Mask, as_expr
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.expr.tensor import Tensor
from tensoralg.normal import MAX_TERMS, Run, cases, difference, expand, open_conditions, unify
from tensoralg.proof.refute import Claim, Search, counterexample, legs_dimensions, search, shrink
from tensoralg.proof.verdict import Verdict
from tensoralg.spaces import Index, check_sizes

COMPONENT_BUDGET = 4096


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
    check_options(given, sizes, budget, seed)
    try:
        return _prove(*state(lhs, rhs, given, sizes), budget, seed)
    except RecursionError:
        return Verdict("unknown", "the claim is nested too deeply", evidence={"remedy": "split it into definitions"})


def check_options(given: object, sizes: object, budget: object, seed: object) -> None:
    """Raise if the options of `prove` are not what they have to be."""
    if not isinstance(given, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in given):
        raise InvalidExpression(
            f"given={given!r} is no list of hypotheses", remedy="give pairs: given=[(lhs, rhs), ...]"
        )
    if sizes is not None and not isinstance(sizes, Mapping):
        raise InvalidSize(f"sizes={sizes!r} is no mapping", remedy='write sizes={"n": 2}')
    for name, value in (("budget", budget), ("seed", seed)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidSize(f"{name}={value!r} is no integer", remedy=f"give {name} as an int")


def _prove(claim: Claim, hypotheses: list[str], budget: int, seed: int) -> Verdict:
    random = Random(seed)
    first = search(claim, random, tries=1, levels=3) if not hypotheses else Search(agreed=[])
    if first.found is not None:
        return _refuted(claim, first.found)
    outcome = _decide(claim, budget)
    if isinstance(outcome, Verdict):
        return outcome
    if hypotheses:
        return Verdict("unknown", f"{outcome}; some hypotheses were not used", evidence={"hypotheses": hypotheses})
    second = search(claim, random)
    if second.found is not None:
        return _refuted(claim, second.found)
    return Verdict("unknown", outcome, evidence=_evidence(second))


def state(
    lhs: Expr, rhs: Expr | int, given: Iterable[tuple[Expr, Expr | int]], sizes: Mapping[str, int] | None
) -> tuple[Claim, list[str]]:
    """Return a claim with one meaning for every name, defining hypotheses substituted; and the others."""
    left, right = _closed(lhs), _match(_closed(lhs), rhs)
    pairs = [(_closed(a), _match(_closed(a), b)) for a, b in given]
    flat, tensors = unify([left, right, *(side for pair in pairs for side in pair)])
    sides = [side for side in flat if isinstance(side, Definition)]
    left, right, *rest = sides
    for index in left.legs:
        other = next(i for i in right.legs if i.name == index.name)
        if other.space != index.space:
            raise SpaceMismatch(
                f"free index {index.name} is over {index.space} on the left and over {other.space} on the right",
                remedy="use one space on both sides",
                spaces=(index.space, other.space),
            )
    equations = list(zip(rest[::2], rest[1::2], strict=True))
    defined, unused = _definitions(equations, tensors)
    for symbol, body in defined:
        left = _as_definition(replace_tensor(left, symbol.name, body))
        right = _as_definition(replace_tensor(right, symbol.name, body))
    known = all_dimensions(left) | all_dimensions(right) | legs_dimensions(tensors.values())
    return Claim(left, right, tensors, check_sizes(sizes, known), tuple(defined)), unused


def _definitions(
    equations: list[tuple[Definition, Definition]], tensors: Mapping[str, Tensor]
) -> tuple[list[tuple[Tensor, Definition]], list[str]]:
    """Return the equations that define tensors by others, none by itself in the end; and the rest as text."""
    waiting: dict[str, tuple[Tensor, Definition]] = {}
    unused: list[str] = []
    for a, b in equations:
        found = _defining(a, b, tensors) or _defining(b, a, tensors)
        if found is None or found[0].name in waiting:
            unused.append(f"{a.body} == {b.body}")
        else:
            waiting[found[0].name] = found
    defined: list[tuple[Tensor, Definition]] = []
    while ready := [name for name, (_, body) in waiting.items() if not set(body.tensors) & set(waiting)]:
        for name in ready:
            symbol, body = waiting.pop(name)
            for earlier, definition in defined:
                body = _as_definition(replace_tensor(body, earlier.name, definition))
            defined.append((symbol, body))
    return defined, unused + [f"{name} is defined by itself" for name in waiting]


def _as_definition(expr: Expr) -> Definition:
    assert isinstance(expr, Definition)
    return expr


def _closed(side: object) -> Definition:
    if isinstance(side, Definition):
        return side
    if not isinstance(side, Expr) and not isinstance(side, numbers.Rational) and not hasattr(side, "free_symbols"):
        raise InvalidExpression(
            f"{side!r} is no side of a claim",
            remedy="give expressions, as from parse() or define(); the right side may be 0",
        )
    term = as_expr(side)
    return Definition(term.free_indices, term, "side")  # type: ignore[no-any-return]


def _match(left: Definition, side: object) -> Definition:
    """Return the other side over the same free indices; a number is constant in them."""
    right = _closed(side)
    if not isinstance(side, Expr) or (not isinstance(side, Definition) and right.body.kind == "number"):
        return Definition(left.legs, right.body, right.name)  # type: ignore[no-any-return]
    if set(left.free) != set(right.free):
        only_left = sorted(set(left.free) - set(right.free))
        only_right = sorted(set(right.free) - set(left.free))
        raise FreeIndexMismatch(
            f"the sides have different free indices: left {', '.join(left.free) or 'none'}, "
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


def _decide(claim: Claim, budget: int) -> Verdict | str:
    """Return a proof, or one sentence on why there is none."""
    try:
        missing, conditions = _prove_cases(claim, budget, fixed={})
        components = {**claim.fixed, **_integer_dimensions(claim)}
        if missing and components and _components(claim, components) <= COMPONENT_BUDGET:
            missing, conditions = _prove_cases(claim, budget, fixed=components)
    except (Undecided, BudgetExceeded) as stopped:
        return stopped.what
    if missing:
        return missing
    how = "for these sizes" if claim.fixed else "for all sizes"
    domain = [str(c) for c in conditions]
    reason = f"the normal forms of both sides agree {how}" + (" on their common domain" if domain else "")
    return Verdict("proved", reason, certificate=_certificate(claim), evidence={"domain": domain} if domain else {})


def _integer_dimensions(claim: Claim) -> dict[str, int]:
    """Return the dimensions that are numbers from the start, by their text."""
    spaces = [leg for symbol in claim.tensors.values() for leg in symbol.legs]
    for side in (claim.left, claim.right):
        for node in walk(side):
            spaces += [index.space for index in (*getattr(node, "indices", ()), *getattr(node, "legs", ()))]
    return {str(s.dimension): s.dimension for s in spaces if isinstance(s.dimension, int)}


def _components(claim: Claim, fixed: Mapping[str, int]) -> int:
    """Return a bound on the number of terms when every index of fixed size is written out."""
    total = 1
    for side in (claim.left, claim.right):
        for node in walk(side):
            for index in (*getattr(node, "indices", ()), *getattr(node, "legs", ())):
                total *= fixed.get(str(index.space.dimension), 1)
    return total


def _prove_cases(claim: Claim, budget: int, fixed: Mapping[str, int]) -> tuple[str, list[Any]]:
    """Return ("", domain) if every case is an identity; else why not."""
    domain: list[Any] = []
    if claim.left.body is claim.right.body:
        return "", []
    for left, right, free in cases(claim.left.body, claim.right.body, claim.left.legs):
        _, tensors = unify([left, right])
        ordered = frozenset(
            str(node.left.space) for side in (left, right) for node in walk(side) if isinstance(node, Mask)
        )
        ours, theirs = (open_conditions(side, tensors, ordered, fixed) for side in (left, right))
        one_sided = [ours[k] for k in ours if k not in theirs] + [theirs[k] for k in theirs if k not in ours]
        if one_sided:
            return f"one side needs {one_sided[0]}, which is not known", []
        for values in _component_cases(free, fixed):
            run = Run(tensors, ordered, fixed, budget=budget)
            env = {index: values.get(index) or run.free(index) for index in free}
            if difference(run, expand(run, left, env), expand(run, right, env)):
                return "the normal forms of the two sides differ, and no counterexample was found", []
        domain += ours.values()
    return "", domain


def _component_cases(free: tuple[Index, ...], fixed: Mapping[str, int]) -> Iterable[dict[Index, str]]:
    """Yield the fixed basis vectors for free indices over spaces of fixed size."""
    pending: list[dict[Index, str]] = [{}]
    for index in free:
        size = fixed.get(str(index.space.dimension), 0)
        if size:
            pending = [{**values, index: f"#{k}"} for values in pending for k in range(size)]
    return pending


def _certificate(claim: Claim) -> dict[str, Any]:
    return {
        "version": 1,
        "lhs": str(claim.left.body),
        "rhs": str(claim.right.body),
        "free": list(claim.left.free),
        "sizes": dict(claim.fixed),
        "tensors": {name: [str(leg) for leg in symbol.legs] for name, symbol in claim.tensors.items()},
    }


def _refuted(claim: Claim, found: Any) -> Verdict:
    smallest = shrink(claim, found)
    return Verdict("refuted", "the sides differ at an exact witness", counterexample=counterexample(claim, smallest))


def _evidence(tried: Search) -> dict[str, Any]:
    """Return what was tried: evaluations that agreed, and at which sizes."""
    agreed = list({tuple(sorted(sizes.items())): sizes for sizes in tried.agreed or []}.values())
    evidence: dict[str, Any] = {
        "exact evaluations that agreed": len(tried.agreed or []),
        "at sizes": [", ".join(f"{k} = {v}" for k, v in sizes.items()) for sizes in agreed],
    }
    if tried.undefined:
        evidence["evaluations that were undefined"] = tried.undefined
    if tried.impossible:
        evidence["no tensors"] = tried.impossible
    return evidence
