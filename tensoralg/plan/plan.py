"""Plans: what an expression costs, in which order it should be contracted, and where orders change.

The cost model is that of `plan.tree` (one contraction) and `plan.graph` (everything else); orders come
from `plan.exact` where networks are small and from `plan.search` where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import sympy

from tensoralg.errors import (
    InvalidExpression,
    InvalidSize,
    MemoryLimit,
    NeedsSizes,
    UnknownName,
    UnknownSize,
    UsageError,
    counted,
    suggest,
)
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Expr
from tensoralg.plan.atlas import Atlas, Survey, chart, drawn
from tensoralg.plan.block import Block, Contract, Leaf, Operand
from tensoralg.plan.blocks import blocks
from tensoralg.plan.envelope import borders
from tensoralg.plan.exact import MINIMIZE, Frontier, frontier
from tensoralg.plan.graph import Graph, is_view
from tensoralg.plan.names import tree_of
from tensoralg.plan.polynomial import Height, Maximum, Polynomial, below, height
from tensoralg.plan.regimes import Condition, Regime, best_at, choices, conditions, cover, priorities, symbolic
from tensoralg.plan.search import EXACT_NUMBERS, EXACT_SYMBOLS, searched
from tensoralg.plan.steps import Letters, Step, steps
from tensoralg.plan.tree import Priced, Tree, to_path
from tensoralg.spaces import check_sizes

SHOWN = 40  # steps of an order that a report shows
FURTHEST = 4096  # where an axis of a map ends if not said otherwise


@dataclass(frozen=True)
class Program:
    """One choice of orders: where it is best, its price, and the tree of every contraction of the graph."""

    condition: Condition
    price: Priced
    trees: Mapping[Contract, Tree]


@dataclass(frozen=True)
class Plan:
    """The orders of an expression that are best for some sizes, with their prices; made by :func:`plan`.

    Attributes
    ----------
    expr : Expr
        The expression.
    graph : Graph
        Its blocks (see `tensoralg.plan.block`), which lowering follows.
    sizes : dict
        The sizes that were given.
    minimize : str
        What comes first: `"flops"`, `"largest"` or `"peak"`.
    optimal : bool
        Whether these orders are proved to be the best contraction trees (at all sizes >= 2; where a size
        is 1, give it as a number: see `plan.exact`), without sharing between the terms of a product.
    prices : tuple of Priced
        The choices of trees that are best for some sizes.
    """

    expr: Expr
    graph: Graph = field(repr=False)
    sizes: Mapping[str, int]
    minimize: str
    optimal: bool
    prices: tuple[Priced, ...] = field(repr=False)
    witnesses: tuple[Mapping[str, int] | None, ...] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False, default_factory=dict)

    def regimes(self) -> list[Regime]:
        """Return the regimes; together they cover all sizes >= 1 (on a border, any of the tied).

        At all sizes a regime's order is the best of those of all regimes; where no size is 1, of all orders.
        """
        return list(self._regimes)

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """The choices of trees, each with the condition under which it is best."""
        rooms = [room.contract for room in self.graph.rooms]
        return tuple(
            Program(condition, price, dict(zip(rooms, price.tree, strict=True)))
            for price, condition in zip(self.prices, conditions(self.prices, self.minimize), strict=True)
        )

    @cached_property
    def _regimes(self) -> tuple[Regime, ...]:
        return tuple(
            Regime(
                program.condition,
                program.price,
                _path(self, program),
                tree_of(self.graph.root, program.trees),
                seen,
                partial(_steps, self.expr, self.graph.root, program.trees, self.sizes),
            )
            for program, seen in zip(self.programs, self.witnesses, strict=True)
        )

    @property
    def flops(self) -> Any:
        """The FLOPs, a sympy expression (a multiply-add counts two)."""
        return self._amount("flops")

    @property
    def largest(self) -> Any:
        """The elements of the largest intermediate, the output counted, inputs not."""
        return self._amount("largest")

    @property
    def peak(self) -> Any:
        """The most elements alive at once when blocks are computed depth first."""
        return self._amount("peak")

    @property
    def pointwise(self) -> Any:
        """The pointwise operations: masks, functions, divisions, additions, scales."""
        return self._amount("pointwise")

    def _amount(self, key: str) -> Any:
        found = [symbolic(getattr(price, key)) for price in self.prices]
        if len(set(found)) == 1:
            return found[0]
        if key == self.minimize:
            return sympy.Min(*found, evaluate=False)
        *cases, last = zip(found, (program.condition for program in self.programs), strict=True)
        pairs = [(value, condition.sympy()) for value, condition in cases]
        return sympy.Piecewise(*pairs, (last[0], True), evaluate=False)

    @property
    def path(self) -> list[tuple[int, ...]] | None:
        """opt_einsum's path over `expr.tensors`; None if the expression is not one product of tensors.

        Raises
        ------
        NeedsSizes
            If the best order depends on the sizes.
        """
        return self._only().path

    @property
    def tree(self) -> Any:
        """The order as nested tuples of names; raises NeedsSizes if it depends on the sizes."""
        return self._only().tree

    def _only(self) -> Regime:
        if len(self.prices) > 1:
            where = "; ".join(str(regime.where) for regime in self._regimes[:4])
            raise NeedsSizes(
                f"the best order of {self.expr} depends on the sizes: {where}",
                remedy=f"use .at({', '.join(f'{name}=...' for name in self.graph.names if name not in self.sizes)}), "
                "or look at .regimes()",
                regimes=len(self.prices),
            )
        return self._regimes[0]

    def at(self, **sizes: int) -> Plan:
        """Return the plan at the given sizes (of some dimensions: planned over the rest)."""
        return plan(self.expr, {**self.sizes, **sizes}, self.minimize, **self.options)

    def trees_at(self, sizes: Mapping[str, int]) -> Mapping[Contract, Tree]:
        """Return the tree of every contraction that is best at the given sizes."""
        known = {**self.sizes, **check_sizes(sizes, all_dimensions(self.expr))}
        if missing := [name for name in self.graph.names if name not in known]:
            raise NeedsSizes(f"the sizes of {', '.join(missing)} are not given", remedy="give every size")
        chosen = self.prices[best_at(self.prices, priorities(self.minimize), known)[0]]
        return dict(zip((room.contract for room in self.graph.rooms), chosen.tree, strict=True))

    def order_in(self, name: str) -> int:
        """Return the degree of the FLOPs in one size, the other sizes fixed.

        Raises
        ------
        UnknownSize
            If the plan has no such symbol.
        """
        name = str(name)
        symbols = [n for n in self.graph.names if n not in self.sizes]
        if name not in symbols:
            raise UnknownSize(f"{name!r} is no symbol of this plan", remedy=suggest(name, symbols), name=name)
        # far out in one size, the first key of lowest degree wins
        leading = min(degree(price, self.minimize, name) for price in self.prices)
        orders = {
            degree(price, "flops", name) for price in self.prices if degree(price, self.minimize, name) == leading
        }
        if len(orders) > 1:
            raise NeedsSizes(
                f"the degree in {name} is one of {sorted(orders)}, depending on other sizes", remedy="use .regimes()"
            )
        return orders.pop()

    def borders(self) -> list[Any]:
        """Return the equations in the sizes at which the best order changes, each between neighbouring regimes."""
        return list(self._borders)

    @cached_property
    def _borders(self) -> tuple[Any, ...]:
        symbols = [name for name in self.graph.names if name not in self.sizes]
        return tuple(borders(self.prices, self.minimize, symbols, self.witnesses))

    def show(self, x: Any = None, y: Any = None, /, **sizes: Any) -> Any:
        """Return a report as plain text, or a map over two sizes.

        Parameters
        ----------
        x, y : str, optional
            The sizes along the axes of a map.
        **sizes : int or pair of int
            Of x and y the ends of the axis (1 and 4096 if not given), of the others a size.

        Returns
        -------
        str or Atlas
            Without `x` and `y` the report; else the map, which prints as text and draws itself in notebooks.

        Raises
        ------
        UnknownSize, InvalidSize, NeedsSizes
            If x or y is no symbol of this plan, a range or size is none, or a size is missing.

        Examples
        --------
        >>> import tensoralg as ta
        >>> attention = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
        >>> shown = ta.plan(attention).show("n", "d", n=(1, 4096), d=(1, 512))
        >>> shown.borders, [str(regime.tree) for regime in shown.regimes]
        ((Eq(d, n),), ["(('Q', 'K'), 'V')", "('Q', ('K', 'V'))"])
        """
        if x is not None or y is not None or sizes:
            return self._map(x, y, sizes)
        head = [str(self.expr), f"minimize {self.minimize}" + ("" if self.optimal else " (not proved optimal)")]
        if self.sizes:
            head.append("sizes " + ", ".join(f"{name} = {value}" for name, value in self.sizes.items()))
        return "\n".join([*head, *(_report(regime) for regime in self._regimes)])

    def _map(self, x: Any, y: Any, sizes: dict[str, Any]) -> Atlas:
        symbols = [name for name in self.graph.names if name not in self.sizes]
        if x is None or y is None or str(x) == str(y):
            raise UsageError("a map has two axes", remedy=f"name two of {', '.join(symbols)}: show('n', 'd')")
        for name in (str(x), str(y), *sizes):
            if name not in symbols:
                raise UnknownSize(f"{name!r} is no symbol of this plan", remedy=suggest(name, symbols), name=name)
        ranges = [_range(name, sizes.pop(name, (1, FURTHEST))) for name in (str(x), str(y))]
        if missing := [name for name in symbols if name not in (str(x), str(y), *sizes)]:
            raise NeedsSizes(
                f"a map over {x} and {y} needs the sizes of {', '.join(missing)}",
                remedy=f"give them: show({str(x)!r}, {str(y)!r}, {', '.join(f'{name}=64' for name in missing)})",
            )
        found = self.at(**sizes) if sizes else self
        survey = Survey(found.prices, self.minimize, str(x), str(y), ranges[0], ranges[1])
        return chart(found.regimes(), survey, str(self.expr), found.sizes)

    def __str__(self) -> str:
        return str(self.show())

    def _repr_latex_(self) -> str:
        rows = (f"{sympy.latex(r.flops)} & {sympy.latex(r.where)}" for r in self._regimes)
        return "$\\displaystyle \\begin{cases}" + r" \\ ".join(rows) + "\\end{cases}$"


def _steps(expr: Expr, root: Block, trees: Mapping[Contract, Tree], sizes: Mapping[str, int]) -> tuple[Step, ...]:
    name = getattr(expr, "name", "out")
    return steps({name: root}, trees, Letters.of({name: expr}), sizes)


def _range(name: str, ends: Any) -> tuple[int, int]:
    """Return the ends of an axis, checked."""
    pair = tuple(ends) if isinstance(ends, tuple | list) else ()
    if len(pair) != 2 or not all(isinstance(end, int) and end >= 1 for end in pair) or pair[0] >= pair[1]:
        raise InvalidSize(f"{ends!r} are no ends of the axis of {name}", remedy=f"write for example {name}=(1, 4096)")
    return pair[0], pair[1]


def degree(price: Priced, key: str, name: str) -> int:
    """Return the degree of a price in one size."""
    amount = getattr(price, key)
    if isinstance(amount, Maximum):
        return max(member.degree(name) for member in amount.members)
    return amount.degree(name) if isinstance(amount, Polynomial) else 0


def _report(regime: Regime) -> str:
    lines = ["", f"where {regime.where}" if regime.condition.clauses else "for all sizes"]
    if regime.condition.clauses and regime.may_be_empty:
        lines[-1] += "   (may be empty)"
    lines += [
        f"  FLOPs      {regime.flops}",
        f"  pointwise  {regime.pointwise}",
        f"  largest    {regime.largest}",
        f"  peak       {regime.peak}",
        f"  order      {drawn(regime.tree)}",
    ]
    if regime.path is not None:
        lines.append(f"  path       {regime.path}")
    lines += [
        ("  steps      " if not k else "             ") + str(step) for k, step in enumerate(regime.steps[:SHOWN])
    ]
    if (more := len(regime.steps) - SHOWN) > 0:
        lines.append(f"             ... and {counted(more, 'step')} more: .steps")
    return "\n".join(lines)


def _path(found: Plan, program: Program) -> list[tuple[int, ...]] | None:
    """Return the path of the one product that the expression is, None if it is more than that."""
    root = found.graph.root
    while is_view(root) and root.operands and not isinstance(root.operands[0].block, Leaf):
        root = root.operands[0].block
    operands = root.operands if isinstance(root, Contract) else (Operand(root, ()),)
    sources = [_source(operand.block) for operand in operands]
    names = tuple(source.tensor.name for source in sources if isinstance(source, Leaf))
    if len(names) < len(sources) or names != found.expr.tensors:
        return None
    return to_path(program.trees[root]) if isinstance(root, Contract) and root in program.trees else [(0,)]


def _source(block: Block) -> Block:
    """Return what a view is a view of."""
    while is_view(block) and block.operands:
        block = block.operands[0].block
    return block


def plan(
    expr: Expr,
    sizes: Mapping[str, int] | None = None,
    minimize: str = "flops",
    memory_limit: Any = None,
    seconds: float | None = None,
    seed: int = 0,
) -> Plan:
    """Return the best orders of contraction of an expression, for all sizes or at given ones.

    Parameters
    ----------
    expr : Expr
        What is to be computed: a definition, or a term whose free indices are the axes of the result.
    sizes : mapping of str to int, optional
        Sizes of some or all dimensions; the plan is over the rest.
    minimize : "flops", "largest" or "peak"
        What comes first; ties by the other two, in this order.
    memory_limit : int or sympy polynomial, optional
        Elements that the largest intermediate may have; only orders proved to keep to it are planned.
    seconds : float, optional
        Time for searching orders of networks that are too large for the exact program.
    seed : int
        Seed of that search.

    Raises
    ------
    UnknownSize, InvalidSize
        If a size is given for no dimension of the expression, or is no positive integer.
    MemoryLimit
        If no order keeps to the limit (`.minimum` is the least limit that is possible).

    Examples
    --------
    >>> import tensoralg as ta
    >>> n, d = ta.dims("n d")
    >>> T, F = ta.Space("T", n), ta.Space("F", d)
    >>> Q, K, V = ta.tensors("Q K V", T @ F)
    >>> attention = ta.einsum("t f, s f, s e -> t e", Q, K, V)
    >>> for regime in plan(attention).regimes():
    ...     print(regime.where, "|", regime.flops, "|", regime.tree)
    n <= d | 4*d*n**2 | (('Q', 'K'), 'V')
    d <= n | 4*d**2*n | ('Q', ('K', 'V'))
    >>> plan(attention, {"n": 4096, "d": 64}).flops
    67108864

    References
    ----------
    Lam, Sadayappan & Wenger, Parallel Processing Letters 7 (1997); Pfeifer, Haegeman & Verstraete,
    Phys. Rev. E 90, 033315 (2014), for the problem at given sizes.
    """
    if not isinstance(expr, Expr):
        raise InvalidExpression(f"{expr!r} is no expression", remedy="plan what define, einsum or parse return")
    if minimize not in MINIMIZE:
        raise UnknownName(f"cannot minimize {minimize!r}", remedy=suggest(str(minimize), MINIMIZE), name=str(minimize))
    if seconds is not None and not seconds > 0:
        raise InvalidSize(f"a time of {seconds!r} seconds", remedy="give seconds > 0, or none for no limit")
    root, _ = blocks(expr)
    graph = Graph(root)
    given = check_sizes(sizes, all_dimensions(expr))
    graph = Graph(root, given)
    limit = _limit(graph, memory_limit)
    found = [_orders(graph, room.network, minimize, limit, seconds, seed) for room in graph.rooms]
    chosen = choices(graph, found, minimize, limit)
    if not chosen.orders:
        raise _too_tight(graph, memory_limit, seconds, seed)
    symbols = [name for name in graph.names if name not in given]
    kept = cover(symbols, chosen.orders, minimize, seed)
    options = {"memory_limit": memory_limit, "seconds": seconds, "seed": seed}
    prices, witnesses = zip(*kept, strict=True)
    return Plan(expr, graph, given, minimize, chosen.exact, prices, witnesses, options)


def _orders(
    graph: Graph, network: Any, minimize: str, limit: Height | None, seconds: float | None, seed: int
) -> Frontier:
    if network.count <= (EXACT_NUMBERS if graph.numeric else EXACT_SYMBOLS):
        found = frontier(network, minimize, limit)
        if found.exact:
            return found
    return searched(network, graph.names, minimize, limit, seconds, seed)


def _limit(graph: Graph, memory_limit: Any) -> Height | None:
    """Return the limit as a number or a polynomial, checked against the inputs and the output."""
    if memory_limit is None:
        return None
    limit = Polynomial.of(memory_limit)
    if not Polynomial.constant(1).below(limit):
        raise InvalidSize(f"a memory limit of {memory_limit} elements", remedy="give a limit >= 1", value=memory_limit)
    if not limit.names and not graph.numeric:
        raise NeedsSizes(
            f"whether an array fits in {memory_limit} elements depends on the sizes {', '.join(graph.names)}",
            remedy="give every size, or a limit that is a polynomial in the sizes",
        )
    bound: Height = int(limit.value({})) if graph.numeric else height(limit)
    arrays = [graph.volume(block.axes) for block in graph.order if isinstance(block, Leaf)]
    for array in [*arrays, graph.volume(graph.root.axes)]:
        if not below(height(array), bound):
            raise MemoryLimit(
                f"a memory limit of {memory_limit} elements is not proved to hold an input or the output of "
                f"{array} elements",
                remedy=f"give at least {array}",
                minimum=symbolic(array),
            )
    return bound


def _too_tight(graph: Graph, memory_limit: Any, seconds: float | None, seed: int) -> MemoryLimit:
    found = [_orders(graph, room.network, "largest", None, seconds, seed) for room in graph.rooms]
    least = sympy.Min(*(symbolic(o.largest) for o in choices(graph, found, "largest", None).orders))
    return MemoryLimit(
        f"no order of contraction is proved to keep every intermediate within {memory_limit} elements",
        remedy=f"the least possible is {least}",
        minimum=least,
    )
