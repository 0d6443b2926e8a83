"""Derivations: what a proof needs beyond the axioms of the checker, as uses of them.

A derivation is a tuple of uses ``(bound, context, exponent, rule)`` that together prove ``where * (l - r) = 0``, for an
indicator `where` (`tensoralg.proof.checker`).  Products of derived equations telescope:
``a b - c d = (a - c) b + c (b - d)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tensoralg.proof.checker import STATES, apply, is_kind, minus

Uses = tuple[Any, ...]
Parts = Sequence[tuple[Any, int]]


def use(*rule: Any) -> Uses:
    """Return one use of a rule."""
    return (((), 1, 1, rule),)


def axiom(kind: str, where: Any, terms: Iterable[Any], *proofs: Uses) -> Uses:
    """Return one use of an axiom, with derivations of its premises."""
    return use(kind, where, tuple(terms), proofs)


def times(factor: Any, uses: Uses) -> Uses:
    """Return a derivation of an equation that was multiplied by a factor."""
    if factor == 1:
        return uses
    return tuple((bound, _product((factor, context)), e, rule) for bound, context, e, rule in uses)


def swapped(pairs: Sequence[tuple[Any, Any, Uses]]) -> Uses:
    """Return why a product of old factors is that of the new ones; a pair comes with why its members are equal."""
    found: Uses = ()
    for k, (_, _, uses) in enumerate(pairs):
        if uses:
            around = [new for _, new, _ in pairs[:k]] + [old for old, _, _ in pairs[k + 1 :]]
            found += times(_product(around), uses)
    return found


def _product(factors: Sequence[Any]) -> Any:
    kept = [factor for factor in factors if factor != 1]
    return kept[0] if len(kept) == 1 else ("*", *kept) if kept else 1


def power(node: Any, k: int) -> Any:
    """Return a power of a term."""
    return node if k == 1 else ("^", node, k)


def known_sign(relation: str, where: Any, node: Any) -> Uses:
    """Return a relation to 0 that can be read off the form of a term."""
    return axiom("sign", where, (relation, node))


# relations to 0


def moved(relation: str, where: Any, x: Any, y: Any, same: Uses, known: Uses) -> Uses:
    """Return ``x > 0`` or ``x >= 0``, as x = y and the same is known of y."""
    if relation == ">=":
        first = axiom("same", where, ("relu", x, y), same)
    else:
        logs = axiom("same", where, ("log", x, y), same)
        first = axiom("same", where, ("exp", ("log", x), ("log", y)), logs)
    return (*first, *known, *times(-1, same))


def nonzero(where: Any, x: Any, y: Any, one: Uses) -> Uses:
    """Return ``x != 0``, as x y = 1."""
    return (*times(x, axiom("inverse", where, (x, y), one)), *one)


def weaker(relation: str, where: Any, x: Any, positive: Uses) -> Uses:
    """Return ``x != 0`` or ``x >= 0``, as x > 0."""
    e = ("exp", ("log", x))
    if relation == "!=":
        return nonzero(where, x, power(e, -1), times(("*", -1, power(e, -1)), positive))
    return moved(relation, where, x, e, times(-1, positive), known_sign(">=", where, e))


def all_nonzero(where: Any, node: Any, factors: Sequence[tuple[Any, Uses]]) -> Uses:
    """Return ``x != 0`` for the product x of factors that are not 0."""
    pairs = [(("*", factor, power(factor, -1)), 1, uses) for factor, uses in factors]
    return nonzero(where, node, _product([power(factor, -1) for factor, _ in factors]), swapped(pairs))


def root_nonzero(where: Any, x: Any, uses: Uses) -> Uses:
    """Return ``sqrt(x) != 0``, as x != 0."""
    other = power(x, -1)
    one = axiom("same", where, ("sqrt", ("*", x, other), 1), uses)
    return nonzero(where, ("sqrt", x), ("sqrt", other), (*times(-1, axiom("sqrt", where, (x, other))), *one))


def scaled_relation(relation: str, where: Any, x: Any, parts: Parts, whole: Any, same: Uses, known: Uses) -> Uses:
    """Return a relation of x to 0, as whole = x * (positive parts, or any for !=) and the same is known of whole."""
    if relation == "!=":
        under = power(whole, -1)
        scale = _product([*(power(part, k) for part, k in parts), under])
        return nonzero(where, x, scale, (*times(("*", -1, under), same), *known))
    if not parts:
        return moved(relation, where, x, whole, times(-1, same), known)
    return (_scaled_positive if relation == ">" else _scaled_nonnegative)(where, x, parts, whole, same, known)


def _scaled_nonnegative(where: Any, x: Any, parts: Parts, whole: Any, same: Uses, known: Uses) -> Uses:
    """Return ``relu(x) = relu(whole) / (parts) = whole / (parts) = x``."""
    under = _product([power(part, -k) for part, k in parts])
    copies = [part for part, k in parts for _ in range(k)]
    ones = swapped([(("*", part, power(part, -1)), 1, known_sign("!=", where, part)) for part in copies])
    _, taken = factored(where, "relu", whole, parts, x, same, ())
    back = times(under, (*times(-1, taken), *known, *same))
    return (*back, *times(("*", -1, ("relu", x)), ones), *times(x, ones))


def _scaled_positive(where: Any, x: Any, parts: Parts, whole: Any, same: Uses, known: Uses) -> Uses:
    """Return ``exp(log x) = exp(log whole) / exp(log of the parts) = whole / (parts) = x``."""
    _, logs = factored(where, "log", whole, parts, x, same, weaker("!=", where, whole, known))
    plain = _without_reciprocals(parts)
    powers = ((("log", x), 1), (("log", whole), -1), *((("log", part), k) for part, k in plain))
    under = _product([power(("exp", ("log", part)), -k) for part, k in plain])
    found = times(_product([("exp", ("log", whole)), under]), axiom("exp", where, (powers,), times(-1, logs)))
    pairs: list[tuple[Any, Any, Uses]] = []
    for part, k in plain:
        exp, positive = ("exp", ("log", part)), known_sign(">", where, part)
        if k > 0:
            pairs += [(("*", part, power(exp, -1)), 1, times(("*", -1, power(exp, -1)), positive))] * k
        else:
            one = (*times(power(part, -1), positive), *known_sign("!=", where, part))
            pairs += [(("*", power(part, -1), exp), 1, one)] * -k
    return (*found, *times(under, (*known, *same)), *times(x, swapped(pairs)))


# functions of products


def factored(
    where: Any, function: str, argument: Any, parts: Parts, core: Any, same: Uses, known: Uses
) -> tuple[Any, Uses]:
    """Return a function of ``core * (parts)`` with the parts outside, and why.

    Parameters
    ----------
    where : term
    function : ``1/``, ``log``, ``sqrt`` or ``relu``
    argument : term
    parts : sequence of (term, power)
        Positive, but for ``1/``.
    core : term
    same : Uses
        Why the argument is ``core * (parts)``.
    known : Uses
        Why the argument is not 0, for ``1/`` and ``log``.
    """
    if core == 0:
        return 0, _of_zero(where, function, argument, same)
    return {"1/": _reciprocal, "log": _logarithm, "sqrt": _root, "relu": _relu}[function](
        where, argument, parts, core, same, known
    )


def _of_zero(where: Any, function: str, argument: Any, same: Uses) -> Uses:
    zero = known_sign(">=", where, 0)
    if function == "relu":
        return (*axiom("same", where, ("relu", argument, 0), same), *zero)
    square = (*axiom("sqrt", where, (0, 0)), *axiom("square", where, (0,), zero))
    return (*axiom("same", where, (function, argument, ("*", 0, 0)), same), *square)


def _without_reciprocals(parts: Parts) -> list[tuple[Any, int]]:
    return [(part[1], -k) if is_kind(part, "^") and part[2] == -1 else (part, k) for part, k in parts]


def _copies(parts: Parts) -> list[Any]:
    """Return each part as often as its power says, reciprocals for negative ones."""
    return [copy for part, k in parts for copy in [power(part, 1 if k > 0 else -1)] * abs(k)]


def is_unit(node: Any) -> bool:
    """Whether powers of a term of both signs cancel by themselves."""
    if is_kind(node, "^"):
        return node[2] < 0 or is_unit(node[1])
    return isinstance(node, int) or is_kind(node, "num", "size", "place", "exp")


def _reciprocal(where: Any, argument: Any, parts: Any, core: Any, same: Uses, known: Uses) -> tuple[Any, Uses]:
    under = power(argument, -1)
    items = [*_copies(parts), *((core,) if core != 1 else ())]
    one = (*times(("*", -1, under), same), *known)  # the product of the items, over the argument
    pairs = []
    for k, item in enumerate(items):
        rest = _product([*items[:k], *items[k + 1 :], under])
        pairs.append((("*", item, power(item, -1)), 1, () if is_unit(item) else nonzero(where, item, rest, one)))
    image = _product([*(power(part, -k) for part, k in parts), *((power(core, -1),) if core != 1 else ())])
    whole = (*times(image, same), *swapped(pairs))
    return image, axiom("inverse", where, (argument, image), whole)


def _nested(items: Sequence[Any], core: Any) -> Any:
    node = core
    for item in reversed(items):
        node = ("*", item, node)
    return node


def _relu(where: Any, argument: Any, parts: Any, core: Any, same: Uses, _: Uses) -> tuple[Any, Uses]:
    items = _copies(parts)
    found = axiom("same", where, ("relu", argument, _nested(items, core)), same)
    for k, item in enumerate(items):
        inner = _nested(items[k + 1 :], core)
        found += times(_product(items[:k]), axiom("relu", where, (item, inner), known_sign(">=", where, item)))
    if core == 1:
        found += times(_product(items), known_sign(">=", where, 1))
    return _product([*items, core if core == 1 else ("relu", core)]), found


def _root(where: Any, argument: Any, parts: Any, core: Any, same: Uses, _: Uses) -> tuple[Any, Uses]:
    pairs: list[tuple[Any, Any, Uses]] = []  # of the argument: powers of exponentials are squares
    squares: list[Any] = []
    left: list[Any] = []
    for part, k in parts:
        if is_kind(part, "exp"):
            half = ("*", ("num", 1, 2), part[1])
            squares.append(power(("exp", half), k))
            powers = ((part[1], k), (half, -2 * k))
            why = times(power(("exp", half), 2 * k), axiom("exp", where, (powers,), ()))
            pairs.append((power(part, k), power(("exp", half), 2 * k), why))
        else:
            squares += [power(part, k // 2)] if k // 2 else []
            left += [part] * (k % 2)
            pairs.append((power(part, k), power(part, k), ()))
    same = (*same, *times(core, swapped(pairs)))
    items = [*(a for square in squares for a in (square, square)), *left]
    found = axiom("same", where, ("sqrt", argument, _nested(items, core)), same)
    for k, item in enumerate(items):
        before = _product([("sqrt", a) for a in items[:k]])
        found += times(before, axiom("sqrt", where, (item, _nested(items[k + 1 :], core))))
    roots = [*(("sqrt", a) for a in left), *((("sqrt", core),) if core != 1 else ())]
    whole = [(power(("sqrt", a), 2), a, axiom("square", where, (a,), known_sign(">=", where, a))) for a in squares]
    found += times(_product(roots), swapped(whole))
    return _product([*squares, *roots]), found


def _logarithm(where: Any, argument: Any, parts: Any, core: Any, same: Uses, known: Uses) -> tuple[Any, Uses]:
    items = _without_reciprocals(parts)
    under = power(argument, -1)
    nodes = [core]
    for y, k in reversed(items):
        nodes.insert(0, ("*", nodes[0], ("^", y, k)))
    found = axiom("same", where, ("log", argument, nodes[0]), same)
    one = (*times(("*", -1, under), same), *known)
    images: list[Any] = []
    for i, (y, k) in enumerate(items):
        rest = _product([*(("^", a, e) for a, e in items[: i + 1]), under])
        inner = () if nodes[i + 1] == 1 else nonzero(where, nodes[i + 1], rest, one)
        found += axiom("log", where, (nodes[i + 1], y, k), inner, known_sign("!=", where, y))
        if is_kind(y, "exp"):
            found += times(k, axiom("exponent", where, (y[1],)))
        images.append(("*", k, y[1] if is_kind(y, "exp") else ("log", y)))
    if core == 1:
        same_one = axiom("same", where, ("log", 1, ("*", 1, ("^", 1, 1))), ())
        found += times(-1, (*same_one, *axiom("log", where, (1, 1, 1), (), ())))
    else:
        images.append(("log", core))
    return ("+", 0, *images), found


# rules, for use to a power


def equal(where: Any, left: Any, right: Any, uses: Uses) -> Any:
    """Return a derived equation as one rule."""
    return ("equal", where, (left, right), (uses,))


def function_rule(
    where: Any, function: str, argument: Any, parts: Parts, core: Any, same: Uses, known: Uses = ()
) -> Any:
    """Return that a function of ``core * (parts)`` has the parts outside."""
    image, uses = factored(where, function, argument, parts, core, same, known)
    return equal(where, apply(function, argument), image, uses)


def same_rule(where: Any, function: str, argument: Any, other: Any, same: Uses) -> Any:
    """Return that a function of equal arguments is equal."""
    return ("same", where, (function, argument, other), (same,))


def exponential_rule(where: Any, before: Parts, after: Sequence[tuple[Any, int, Uses]], same: Uses) -> Any:
    """Return that products of exponentials are equal, as their exponents are; with a reason, of a logarithm.

    Parameters
    ----------
    before : sequence of (argument, power)
    after : sequence of (argument, power, uses)
        Uses say why the argument of a logarithm is positive; its exponential is then that argument.
    same : Uses
        Why the sums of exponents are equal.
    """
    powers = (*before, *((b, -k) for b, k, _ in after))
    new = _product([power(("exp", b), k) for b, k, _ in after])
    found = times(new, axiom("exp", where, (powers,), same))
    pairs = []
    for b, k, reason in after:
        e = ("exp", b)
        if not reason:
            pairs.append((power(e, k), power(e, k), ()))
        elif k > 0:
            pairs += [(e, b[1], reason)] * k
        else:
            pairs += [(power(e, -1), power(b[1], -1), axiom("same", where, ("1/", e, b[1]), reason))] * -k
    old = _product([power(("exp", a), k) for a, k in before])
    return equal(where, old, _product([new for _, new, _ in pairs]), (*found, *swapped(pairs)))


def kept_rule(where: Any, node: Any, other: Any, same: Uses) -> Any:
    """Return relu(x) = x, as x is equal to what is seen not to be negative."""
    known = known_sign(">=", where, other)
    return equal(where, ("relu", node), node, known if node == other else moved(">=", where, node, other, same, known))


def dropped_rule(where: Any, node: Any, other: Any, opposite: Uses) -> Any:
    """Return relu(x) = 0, as -x is equal to what is seen not to be negative; `opposite` is why x + other = 0."""
    turned = ("*", -1, other)
    first = axiom("same", where, ("relu", node, turned), opposite)
    return equal(
        where,
        ("relu", node),
        0,
        (*first, *times(-1, axiom("flip", where, (other,))), *known_sign(">=", where, other)),
    )


def flipped_rule(where: Any, node: Any, other: Any, opposite: Uses) -> Any:
    """Return relu(x) = x + relu(other), as x + other = 0."""
    turned = ("*", -1, node)
    uses = (*axiom("flip", where, (node,)), *axiom("same", where, ("relu", turned, other), times(-1, opposite)))
    return equal(where, ("relu", node), ("+", node, ("relu", other)), uses)


def selected_rule(function: str, argument: Any, entry: Any, name: str, space: Any, inner: Any, same: Uses) -> Any:
    """Return f(sum(a: P[t,a]*x[a])) = sum(a: P[t,a]*f(x[a])) for a permutation P."""
    scope = ((name, space),)
    whole = ("sum", scope, ("*", entry, inner))
    uses = (*axiom("same", 1, (function, argument, whole), same), *use("select", function, entry, name, space, inner))
    right = ("sum", scope, ("*", entry, apply(function, inner)))
    return equal(1, apply(function, argument), right, uses)


def difference(relation: str, node: Any) -> Any:
    """Return what vanishes if a term has a relation to 0."""
    return minus(*STATES[relation](node))
