"""Windows: sums over the last tokens only, which need no separable form because the tokens themselves are kept.

A sum in which every time lies in a window ``near[s,t,w]`` of the output's time, or of another such time, depends on
the last tokens alone: on as many before the present one as its *reach* says, w - 1 for one window and the sum of these
along a chain of windows.  A stream keeps these tokens and computes the sum as it is written, whatever couples its
times; that only these tokens are kept is a schedule, not algebra.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from tensoralg.expr.nodes import Bind, Decay, Definition, Delta, Entry, Expr, Mask, Mul, Near, Number, Size, bind
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Index, Space, VectorSpace


@dataclass(frozen=True)
class Window:
    """A sum over the last tokens.

    Attributes
    ----------
    name : str
    time : Index
        The time of the present token.
    legs : tuple of Index
    body : Expr
        The sum, as written.
    reach : sympy expression
        How many tokens before the present one it depends on.
    """

    name: str
    time: Index
    legs: tuple[Index, ...]
    body: Expr
    reach: Any

    @property
    def tensor(self) -> Tensor:
        """The sum at every time, as a tensor."""
        return Tensor(self.name, (self.time.space, *(leg.space for leg in self.legs)))

    @property
    def definition(self) -> Definition:
        """The sum at every time, over the time and its legs."""
        return Definition((self.time, *self.legs), self.body, self.name)  # type: ignore[no-any-return]

    @property
    def tokens(self) -> tuple[Tensor, ...]:
        """The tensors of which it needs past tokens."""
        past = (
            node.tensor
            for node in distinct_nodes(self.body)
            if isinstance(node, Entry | Decay) and self.time.space in node.tensor.legs
            # an entry at the present time alone needs no past one
            if isinstance(node, Decay) or self.time not in node.args
        )
        return tuple(dict.fromkeys(past))


def kept(windows: Iterable[Window]) -> dict[Tensor, Any]:
    """Return the tensors of which past tokens are needed, and of how many before the present one."""
    far: dict[Tensor, Any] = {}
    for window in windows:
        for symbol in window.tokens:
            far[symbol] = sympy.Max(far.get(symbol, 0), window.reach)
    return far


def reach(expr: Expr, now: Index) -> Any | None:
    """Return how many tokens before `now` a sum depends on; None if a time of it lies in no window.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n", ordered=True)
    >>> t, s, r = T.indices("t s r")
    >>> x = ta.tensor("x", T)
    >>> reach((ta.near[s, t, 4] * ta.near[r, s, 3] * x[s] * x[r]).sum(s, r), t)
    5
    >>> reach((ta.near[s, t, 4] * ta.le[r, s] * x[s] * x[r]).sum(s, r), t)
    """
    return _reach(expr, now.space, {now: sympy.Integer(0)})


def _reach(expr: Expr, clock: VectorSpace, known: dict[Index, Any]) -> Any | None:
    if expr.kind == "add":
        return _largest(_reach(term, clock, known) for term in expr.children())
    if isinstance(expr, Bind):
        times = [index for index in expr.indices if index.space == clock]
        terms = expr.summand.children() if expr.summand.kind == "add" else (expr.summand,)
        return _largest(_of_product(term, clock, times, known) for term in terms)
    return _largest(_reach(child, clock, known) for child in expr.children())


def _of_product(term: Expr, clock: VectorSpace, times: list[Index], known: dict[Index, Any]) -> Any | None:
    """Return the reach of a term under a sum over some times."""
    factors = term.children() if isinstance(term, Mul) else (term,)
    if isinstance(term, Bind) and not any(index.space == clock for index in term.indices):
        return _of_product(term.summand, clock, times, known)
    reached = dict(known)
    waiting = list(times)
    while ready := [
        (time, reached[f.right] + as_sympy(f.width) - 1)
        for time in waiting
        for f in factors
        if isinstance(f, Near) and f.left == time and f.right in reached
    ]:
        for time, distance in ready:
            if time in waiting:
                waiting.remove(time)
                reached[time] = distance
    if waiting:
        return None
    inner = _largest(_reach(factor, clock, reached) for factor in factors)
    return None if inner is None else _largest(iter([inner, *(reached[time] for time in times)]))


def _largest(amounts: Iterator[Any | None]) -> Any | None:
    found = list(amounts)
    if any(amount is None for amount in found):
        return None
    return sympy.Max(*found) if found else sympy.Integer(0)


def as_sympy(width: Expr) -> Any:
    """Return a width as a sympy expression."""
    if isinstance(width, Number):
        return sympy.Rational(width.value.numerator, width.value.denominator)
    if isinstance(width, Size):
        return sympy.Symbol(width.name, integer=True, positive=True)
    parts = [as_sympy(child) for child in width.children()]
    return sympy.Add(*parts) if width.kind == "add" else sympy.Mul(*parts)


RECENT = sympy.Symbol("recent_tokens", integer=True, positive=True)


def for_one_token(window: Window) -> Definition:
    """Return a window's sum at one token, the others over a space of the dimension `RECENT`: what a token costs."""
    kept = Space("RECENT", RECENT, ordered=True)
    now, clock = window.time, window.time.space

    def index(one: Index) -> Index:
        return Index(one.name, kept if one.space == clock else one.space)

    def legs(symbol: Tensor, args: tuple[Any, ...]) -> Tensor:
        found = [kept if leg == clock else leg for leg, arg in zip(symbol.legs, args, strict=True) if arg != now]
        return Tensor(symbol.name if now not in args else f"{symbol.name}.now", tuple(found))

    def walk(node: Expr) -> Expr:
        if isinstance(node, Entry):
            args = tuple(index(arg) for arg in node.args if isinstance(arg, Index) and arg != now)
            return Entry(legs(node.tensor, node.args), args)  # type: ignore[no-any-return]
        if isinstance(node, Decay):
            gate = Tensor(node.tensor.name, tuple(kept if leg == clock else leg for leg in node.tensor.legs))
            later, earlier = (index(end) if isinstance(end, Index) else end for end in (node.later, node.earlier))
            return Decay(gate, "+" if node.later == now else later, earlier, node.args)  # type: ignore[no-any-return]
        if isinstance(node, Mask | Near | Delta) and now in (node.left, node.right):
            return Number(Fraction(1))  # type: ignore[no-any-return]
        if isinstance(node, Bind):
            return bind(tuple(map(index, node.indices)), walk(node.summand))
        if node.index_terms():
            return node.with_index_terms(tuple(index(i) if isinstance(i, Index) else i for i in node.index_terms()))
        return node.with_children(tuple(map(walk, node.children())))

    return Definition(window.legs, walk(window.body), window.name)  # type: ignore[no-any-return]
