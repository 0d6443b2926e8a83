"""Claims in the language of certificates: nested tuples that JSON can hold.

======================================= ================================================
term                                    meaning
======================================= ================================================
an int, ``("num", p, q)``               a number
``("size", n)``                         the size of a dimension
``("t", name, index..)``                an entry of a tensor
``("delta" | "le" | "lt", i, j)``       a relation between two indices
``("decay", gate, T, t, s, index..)``   the gates at s < r <= t over T; t may be "+", s "-"
``("gap", gate, T, t, s, index..)``     the gates at s < r < t (in proofs only)
``("place", i)``                        the position of an ordered index, from 1 (in proofs only)
``("+", term..)``, ``("*", term..)``    sum and product
``("^", term, int)``                    a power
``("sum", ((i, space)..), term)``       the sum over indices
``("exp" | "log" | ..., term)``         a function
======================================= ================================================

An index is a name, ``("*", index..)`` over a product of spaces, or ``("+", position, index, space)`` into a direct
sum; a space is a name, ``("*", space..)`` or ``("+", space..)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.expr.nodes import (
    Add,
    Apply,
    Bind,
    Decay,
    Definition,
    Delta,
    Entry,
    Expr,
    Mask,
    Mul,
    Near,
    Number,
    Pow,
    Size,
)
from tensoralg.expr.tensor import Tensor
from tensoralg.normal.prepare import LINE, spaces_in
from tensoralg.normal.rules import facts_of
from tensoralg.proof.show import text
from tensoralg.spaces import DirectSum, Fused, Index, IndexTerm, Injected, Space, TensorProduct, UnitSpace, VectorSpace


def encode_space(space: VectorSpace) -> Any:
    """Return a space in the language of certificates; a space and its dual are one there."""
    if isinstance(space, Space | UnitSpace):
        return space.name if isinstance(space, Space) else LINE.name
    if isinstance(space, TensorProduct):
        return ("*", *map(encode_space, space.factors))
    if isinstance(space, DirectSum):
        return ("+", *map(encode_space, space.summands))
    raise Undecided(f"a sum or leg over {space}", remedy="use named spaces, their products and direct sums")


def encode_index(term: IndexTerm) -> Any:
    """Return an index term in the language of certificates."""
    if isinstance(term, Index):
        return term.name
    if isinstance(term, Fused):
        return ("*", *map(encode_index, term.parts))
    assert isinstance(term, Injected)
    return ("+", term.position, encode_index(term.term), encode_space(term.space))


class Encoder:
    """Encodes expressions, each subexpression once."""

    def __init__(self) -> None:
        self.memo: dict[Expr, Any] = {}
        self.windows: dict[str, tuple[Any, Any]] = {}
        self.gates: dict[tuple[str, Any, bool], tuple[Any, ...]] = {}

    def __call__(self, expr: Expr) -> Any:
        """Return a term in the language of certificates."""
        found = self.memo.get(expr)
        if found is None:
            found = self.memo[expr] = self._encode(expr)
        return found

    def _window(self, expr: Near) -> Any:
        """Return a window: ``delta + lt * W`` for a 0/1 tensor W of its width; of width 1 a delta, of the whole a mask.

        A window whose width may be below 1 is ``le * W``.
        """
        left, right = encode_index(expr.left), encode_index(expr.right)
        width, space = _folded(self(expr.width)), encode_space(expr.left.space)
        if width == 1:
            return ("delta", left, right)
        parts = width[1:] if isinstance(width, tuple) and width[0] == "+" else (width,)
        if _at_least_one(width) and ("size", str(expr.left.space.dimension)) in parts:
            return ("le", left, right)
        name = f"window.{text(width)}"
        self.windows[name] = (width, space)
        entry = ("t", name, left, right)
        if _at_least_one(width):
            return ("+", ("delta", left, right), ("*", ("lt", left, right), entry))
        return ("*", ("le", left, right), entry)

    def equations(self) -> list[dict[str, Any]]:
        """Return what windows satisfy: each is 0 or 1, and of two the narrower one is their product.

        One of width 2 is the step before, where a decay lacks the last gate.
        """
        found = []
        for name, (width, space) in sorted(self.windows.items()):
            if width == 2:
                found += [
                    {**_step(name, gate, clock, channels, whole), "of": name}
                    for (gate, clock, whole), channels in sorted(self.gates.items())
                    if clock == space and isinstance(space, str)
                ]
            for other, (wider, around) in sorted(self.windows.items()):
                nested = isinstance(width, int) and isinstance(wider, int) and width < wider and space == around
                if nested or name == other:
                    one, two = ("t", name, "i", "j"), ("t", other, "i", "j")
                    scope = (("i", space), ("j", space))
                    found.append({"free": scope, "lhs": ("*", one, two), "rhs": one, "of": name})
        return found

    def _encode(self, expr: Expr) -> Any:
        if isinstance(expr, Entry):
            return ("t", expr.tensor.name, *map(encode_index, expr.args))
        if isinstance(expr, Mul):
            return ("*", *map(self, expr.factors))
        if isinstance(expr, Add):
            return ("+", *map(self, expr.terms))
        if isinstance(expr, Bind):
            return ("sum", tuple((i.name, encode_space(i.space)) for i in expr.indices), self(expr.summand))
        if isinstance(expr, Number):
            p, q = expr.value.numerator, expr.value.denominator
            return p if q == 1 else ("num", p, q)
        if isinstance(expr, Size):
            return ("size", expr.name)
        if isinstance(expr, Pow):
            return ("^", self(expr.base), expr.exponent)
        if isinstance(expr, Apply):
            return (expr.function, self(expr.argument))
        if isinstance(expr, Near):
            return self._window(expr)
        if isinstance(expr, Delta | Mask):
            kind = "delta" if isinstance(expr, Delta) else "lt" if expr.strict else "le"
            return (kind, encode_index(expr.left), encode_index(expr.right))
        if isinstance(expr, Decay):
            ends = [x if isinstance(x, str) else encode_index(x) for x in (expr.later, expr.earlier)]
            clock = encode_space(expr.tensor.legs[0] if expr.tensor.legs else expr.times[0].space)
            whole = ends[1] == "-"
            self.gates[expr.tensor.name, clock, whole] = tuple(map(encode_space, expr.tensor.legs))
            return ("decay", expr.tensor.name, clock, *ends, *map(encode_index, expr.args))
        raise Undecided(f"a {expr.kind} inside a term", remedy="use its body")


def _step(window: str, gate: str, clock: Any, legs: tuple[Any, ...], whole: bool) -> dict[str, Any]:
    """Return that a gate at i times its decay from s to the step before i is the decay from s to i, for s < i.

    From before the first step, the decay to the step before i is 1 if there is no such step.
    """
    names = ("f", "g")[: len(legs[1:])]
    start, end = ("f", "h")[: len(names)], ("h", "g")[: len(names)]
    left, right = (start, end) if len(names) == 2 else (names, names)
    here = ("t", gate, *(("i",) if legs else ()), *left)
    before = ("*", ("lt", "p", "i"), ("t", window, "p", "i"))

    def over(*bound: tuple[str, Any]) -> tuple[Any, ...]:
        return (*bound, ("h", legs[-1])) if len(names) == 2 else bound

    def decay(later: str, at: tuple[str, ...]) -> Any:
        return ("decay", gate, clock, later, "-" if whole else "s", *at)

    lhs: Any = ("sum", over(("p", clock)), ("*", here, before, decay("p", right)))
    rhs = decay("i", names)
    if whole:
        first = ("+", 1, ("*", -1, ("sum", (("p", clock),), before)))
        alone = ("t", gate, *(("i",) if legs else ()), *names)
        lhs = ("+", lhs, ("*", alone, first))
    else:
        rhs = ("*", ("lt", "s", "i"), rhs)
    times = (("i", clock),) if whole else (("i", clock), ("s", clock))
    return {"free": (*times, *zip(names, legs[1:], strict=True)), "lhs": lhs, "rhs": rhs}


def _folded(width: Any) -> Any:
    """Return a width with its numbers added up."""
    if isinstance(width, tuple) and width[0] in ("+", "*"):
        parts = tuple(map(_folded, width[1:]))
        if all(isinstance(part, int) for part in parts):
            return sum(parts) if width[0] == "+" else prod(parts)
        return (width[0], *parts)
    return width


def _at_least_one(width: Any) -> bool:
    """Whether a width is known to be at least 1: a sum or product of such."""
    if isinstance(width, int):
        return width >= 1
    return width[0] == "size" or (width[0] in ("+", "*") and all(map(_at_least_one, width[1:])))


def encode_tensor(symbol: Tensor) -> dict[str, Any]:
    """Return a tensor: its legs and its declared facts."""
    found: dict[str, Any] = {"legs": tuple(map(encode_space, symbol.legs))}
    for fact in ("symmetric", "antisymmetric"):
        if getattr(symbol, fact):
            found[fact] = getattr(symbol, fact)
    facts = [f for f in ("positive", "isometry", "projection", "permutation") if getattr(symbol, f)]
    if facts:
        found["facts"] = tuple(facts)
    if symbol.inverse_of is not None:
        found["inverse_of"] = symbol.inverse_of
    return found


def encode_claim(
    left: Definition,
    right: Definition,
    hypotheses: Iterable[tuple[Definition, Definition]],
    tensors: Mapping[str, Tensor],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    """Return a claim as data: its spaces, tensors, free indices, sides, hypotheses and fixed sizes.

    What declared facts say (symmetry, signs and positivity apart) follows the hypotheses.
    """
    encode = Encoder()
    pairs = list(hypotheses)
    mentioned = [left, right, *(side for pair in pairs for side in pair)]
    spaces = {
        space.name: (space.dimension if isinstance(space.dimension, int) else str(space.dimension), int(space.ordered))
        for side in mentioned
        for space in spaces_in(side)
    }
    given = [{"free": _scope(a), "lhs": encode(a.body), "rhs": encode(b.body)} for a, b in pairs]
    legs = {name: tuple(map(encode_space, symbol.legs)) for name, symbol in tensors.items()}
    lhs, rhs = encode(left.body), encode(right.body)
    windows = {name: {"legs": (space, space)} for name, (_, space) in encode.windows.items()}
    return {
        "spaces": dict(sorted(spaces.items())),
        "tensors": {name: encode_tensor(symbol) for name, symbol in sorted(tensors.items())} | windows,
        "free": _scope(left),
        "lhs": lhs,
        "rhs": rhs,
        "given": (*given, *(_fact(*found) for found in facts_of(tensors, legs)), *encode.equations()),
        "sizes": dict(sorted(sizes.items())),
    }


def _fact(name: str, body: Any) -> dict[str, Any]:
    """Return what a declared fact says as a hypothesis."""
    scope, left, right = body
    return {"free": scope, "lhs": left, "rhs": right, "of": name}


def _scope(side: Definition) -> tuple[tuple[str, Any], ...]:
    return tuple((index.name, encode_space(index.space)) for index in side.legs)
