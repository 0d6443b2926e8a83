"""Plans: what an expression costs, in which order it should be contracted, and where orders change.

The cost model is that of `plan.tree` (one contraction) and `plan.graph` (everything else); orders come
from `plan.orders`.  Plans are remembered by what is computed, in which the names of indices do not occur:
an expression that differs from an earlier one by these costs a lookup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import sympy

from tensoralg.errors import (
    InvalidExpression,
    InvalidSize,
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
from tensoralg.plan.block import Block, Bundle, Contract, Leaf, Operand, results
from tensoralg.plan.blocks import blocks
from tensoralg.plan.conditions import Condition, conditions, least_where, priorities
from tensoralg.plan.envelope import best_at
from tensoralg.plan.exact import MINIMIZE
from tensoralg.plan.graph import Graph, is_view
from tensoralg.plan.lines import borders
from tensoralg.plan.names import slices_of, tree_of
from tensoralg.plan.orders import Task, orders
from tensoralg.plan.pairs import Order
from tensoralg.plan.polynomial import LEAST, Maximum, Polynomial, Rational
from tensoralg.plan.regimes import Regime, symbolic
from tensoralg.plan.slicing import Sliced, unsliced
from tensoralg.plan.steps import Letters, Step, steps
from tensoralg.plan.tree import Priced, to_path
from tensoralg.spaces import check_sizes

SHOWN = 40  # steps of an order that a report shows
FURTHEST = 4096  # where an axis of a map ends if not said otherwise


@dataclass(frozen=True)
class Program:
    """One order: where it is best, its price, and how it runs."""

    condition: Condition
    price: Priced

    @property
    def order(self) -> Order:
        """The graph that runs and the trees of its contractions."""
        order: Order = self.price.tree
        return order


@dataclass(frozen=True)
class Plan:
    """The orders of an expression that are best for some sizes, with their prices; made by :func:`plan`.

    Attributes
    ----------
    expr : Expr or sequence of Expr
        The expression, or several that are computed at once.
    graph : Graph
        Its blocks (see `tensoralg.plan.block`), which lowering follows.
    sizes : dict
        The sizes that were given.
    minimize : str
        What comes first: `"flops"`, `"largest"` or `"peak"`.
    optimal : bool
        Whether these orders are proved to be the best contraction trees (at all sizes >= 2, or from
        `least` on: see `plan.exact`).  Orders that do equal steps once or multiply out sums are looked for as well,
        and are taken where they are cheaper; no proof says that no other of these is cheaper still.
    prices : tuple of Priced
        The choices of trees that are best for some sizes.
    """

    expr: Expr | Sequence[Expr]
    graph: Graph = field(repr=False)
    sizes: Mapping[str, int]
    minimize: str
    optimal: bool
    prices: tuple[Priced, ...] = field(repr=False)
    witnesses: tuple[Mapping[str, Rational] | None, ...] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False, default_factory=dict)

    def regimes(self) -> list[Regime]:
        """Return the regimes; together they cover all sizes >= 1 (on a border, any of the tied).

        At all sizes a regime's order is the best of those of all regimes; from the size 2 on (or `least`), of
        all orders.
        """
        return list(self._regimes)

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """The choices of trees, each with the condition under which it is best."""
        return tuple(
            Program(condition, price)
            for price, condition in zip(self.prices, conditions(self.prices, self.minimize), strict=True)
        )

    @cached_property
    def _regimes(self) -> tuple[Regime, ...]:
        found = []
        for program, seen in zip(self.programs, self.witnesses, strict=True):
            order = program.order
            tree = tree_of(order.source, order.trees)
            slices = tuple((str(s.space), symbolic(self.graph.dimension(s.space))) for s in slices_of(order.trees))
            write = partial(_steps, self.expr, order, self.sizes)
            path, overhead = _path(self, order), self._overhead(program)
            found.append(Regime(program.condition, program.price, path, tree, seen, slices, overhead, write))
        return tuple(found)

    @cached_property
    def _unlimited(self) -> Plan:
        options = {**self.options, "memory_limit": None}
        return plan(self.expr, self.sizes, "flops", **options)

    def _overhead(self, program: Program) -> Any:
        """Return the FLOPs as a multiple of those of the best order without a memory limit."""
        mine = symbolic(program.price.flops)
        if not mine or not slices_of(program.order.trees):
            return sympy.Integer(1)
        least = least_where(program.condition, [price.flops for price in self._unlimited.prices])
        ratios = {sympy.cancel(mine / symbolic(flops)) for flops in least}
        return ratios.pop() if len(ratios) == 1 else sympy.Max(*ratios, evaluate=False)

    @property
    def symbols(self) -> list[str]:
        """The names of the sizes that were not given."""
        return [name for name in self.graph.names if name not in self.sizes]

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
                f"the best order of {'; '.join(self._written())} depends on the sizes: {where}",
                remedy=f"use .at({', '.join(f'{name}=...' for name in self.symbols)}), or look at .regimes()",
                regimes=len(self.prices),
            )
        return self._regimes[0]

    def at(self, **sizes: int) -> Plan:
        """Return the plan at the given sizes (of some dimensions: planned over the rest)."""
        return plan(self.expr, {**self.sizes, **sizes}, self.minimize, **self.options)

    def order_at(self, sizes: Mapping[str, int]) -> Order:
        """Return the order that is best at the given sizes."""
        known = {**self.sizes, **check_sizes(sizes, _dimensions(self.expr))}
        if missing := [name for name in self.graph.names if name not in known]:
            raise NeedsSizes(f"the sizes of {', '.join(missing)} are not given", remedy="give every size")
        order: Order = self.prices[best_at(self.prices, priorities(self.minimize), known)[0]].tree
        return order

    def order_in(self, name: str) -> int:
        """Return the degree of the FLOPs in one size, the other sizes fixed.

        Raises
        ------
        UnknownSize
            If the plan has no such symbol.
        """
        name = str(name)
        if name not in self.symbols:
            raise UnknownSize(f"{name!r} is no symbol of this plan", remedy=suggest(name, self.symbols), name=name)
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
        return tuple(borders(self.prices, self.minimize, self.symbols, self.witnesses))

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
        head = [*self._written(), f"minimize {self.minimize}" + ("" if self.optimal else " (not proved optimal)")]
        if self.sizes:
            head.append("sizes " + ", ".join(f"{name} = {value}" for name, value in self.sizes.items()))
        pairs = zip(self._regimes, self.programs, strict=True)
        everywhere = "at these sizes" if self.sizes and self.graph.numeric else "for all sizes"
        return "\n".join([*head, *(_report(regime, everywhere) + self._slices(program) for regime, program in pairs)])

    def _slices(self, program: Program) -> str:
        rows = []
        for contract, order in program.order.trees.items():
            if isinstance(order, Sliced):
                found = slices_of({contract: order})
                count = symbolic(self.graph.volume(s.space for s in found))
                rows.append(f"\n  sliced     {count} slices, over {', '.join(map(str, found))}")
        if rows:
            rows.append(f"\n  overhead   {_factor(self._overhead(program))} times the FLOPs without a memory limit")
        return "".join(rows)

    def _map(self, x: Any, y: Any, sizes: dict[str, Any]) -> Atlas:
        symbols = self.symbols
        if x is None or y is None or str(x) == str(y):
            raise UsageError("a map has two axes", remedy=f"name two of {', '.join(symbols)}: show('n', 'd')")
        for name in (str(x), str(y), *sizes):
            if name not in symbols:
                raise UnknownSize(f"{name!r} is no symbol of this plan", remedy=suggest(name, symbols), name=name)
        ranges = [_range(name, sizes.pop(name, (1, FURTHEST))) for name in (str(x), str(y))]
        if missing := [name for name in symbols if name not in (str(x), str(y), *sizes)]:
            raise NeedsSizes(
                f"a map over {x} and {y} needs the sizes of {', '.join(missing)}",
                remedy=f"give them, for example {', '.join(f'{name}=64' for name in missing)}",
            )
        found = self.at(**sizes) if sizes else self
        survey = Survey(found.prices, self.minimize, str(x), str(y), ranges[0], ranges[1])
        return chart(found.regimes(), survey, "; ".join(self._written()), found.sizes)

    def _written(self) -> list[str]:
        return [str(one) for one in ((self.expr,) if isinstance(self.expr, Expr) else self.expr)]

    def __str__(self) -> str:
        return str(self.show())

    def _repr_latex_(self) -> str:
        rows = (f"{sympy.latex(r.flops)} & {sympy.latex(r.where)}" for r in self._regimes)
        return "$\\displaystyle \\begin{cases}" + r" \\ ".join(rows) + "\\end{cases}$"


def _steps(expr: Expr | Sequence[Expr], order: Order, sizes: Mapping[str, int]) -> tuple[Step, ...]:
    exprs = [expr] if isinstance(expr, Expr) else expr
    names = [getattr(one, "name", "out") for one in exprs]
    if len(set(names)) < len(names):
        names = [f"{name}{k}" for k, name in enumerate(names)]
    trees = {block: unsliced(tree) for block, tree in order.trees.items()}
    outputs = dict(zip(names, results(order.root), strict=True))
    return steps(outputs, trees, Letters.of(dict(zip(names, exprs, strict=True))), sizes)


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


def _report(regime: Regime, everywhere: str) -> str:
    lines = ["", f"where {regime.where}" if regime.condition.clauses else everywhere]
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


def _factor(overhead: Any) -> str:
    return f"{float(overhead):.6g}" if overhead.is_number else str(overhead)


def _path(found: Plan, order: Order) -> list[tuple[int, ...]] | None:
    """Return the path of the one product that the expression is, None if it is more than that."""
    if not isinstance(found.expr, Expr):
        return None
    root = order.source
    while is_view(root) and root.operands and not isinstance(root.operands[0].block, Leaf):
        root = root.operands[0].block
    operands = root.operands if isinstance(root, Contract) else (Operand(root, ()),)
    sources = [_source(operand.block) for operand in operands]
    names = tuple(source.tensor.name for source in sources if isinstance(source, Leaf))
    if len(names) < len(sources) or names != found.expr.tensors:
        return None
    return to_path(unsliced(order.trees[root])) if isinstance(root, Contract) and root in order.trees else [(0,)]


def _source(block: Block) -> Block:
    """Return what a view is a view of."""
    while is_view(block) and block.operands:
        block = block.operands[0].block
    return block


def plan(
    expr: Expr | Sequence[Expr],
    sizes: Mapping[str, int] | None = None,
    minimize: str = "flops",
    memory_limit: Any = None,
    seconds: float | None = None,
    seed: int = 0,
    least: int = LEAST,
) -> Plan:
    """Return the best orders of contraction of an expression, for all sizes or at given ones.

    Parameters
    ----------
    expr : Expr or sequence of Expr
        What is to be computed: a definition, or a term whose free indices are the axes of the result;
        or several of them, which are computed at once and share what they have in common.
    sizes : mapping of str to int, optional
        Sizes of some or all dimensions; the plan is over the rest.
    minimize : "flops", "largest" or "peak"
        What comes first; ties by the other two, in this order.
    memory_limit : int or sympy polynomial, optional
        Elements that the largest intermediate may have; only orders proved to keep to it are planned.
        Contractions are sliced where that is needed (`plan.slices`): see `Regime.slices` and `.overhead`.
    seconds : float, optional
        Time for searching orders of networks that are too large for the exact program.
    seed : int
        Seed of that search.
    least : int
        The sizes from which on orders are compared, 2 or 1.  At the size 1 sums are trivial, where each
        costs a multiplication and an addition, so that outer products win there and show as regimes of
        their own; `least=1` lists these too.

    Raises
    ------
    UnknownSize, InvalidSize
        If a size is given for no dimension of the expression, or is no positive integer.
    MemoryLimit
        If the limit is below an input, the output, or an array that no slicing divides (`.minimum` is the
        least limit that is possible).

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
    if _wrong(expr):
        raise InvalidExpression(f"{expr!r} is no expression", remedy="plan what define, einsum or parse return")
    if minimize not in MINIMIZE:
        raise UnknownName(f"cannot minimize {minimize!r}", remedy=suggest(str(minimize), MINIMIZE), name=str(minimize))
    if least not in (1, 2):
        raise InvalidSize(f"orders compared from the size {least!r} on", remedy="give least=2 or least=1", value=least)
    if seconds is not None and not seconds > 0:
        raise InvalidSize(f"a time of {seconds!r} seconds", remedy="give seconds > 0, or none for no limit")
    exprs = (expr,) if isinstance(expr, Expr) else tuple(expr)
    roots = [blocks(one)[0] for one in exprs]
    root = roots[0] if isinstance(expr, Expr) else Bundle(tuple(roots))
    given = check_sizes(sizes, _dimensions(expr))
    limit = None if memory_limit is None else Polynomial.of(memory_limit)
    found = orders(Task(root, tuple(sorted(given.items())), minimize, limit, seconds, seed, least))
    options = {"memory_limit": memory_limit, "seconds": seconds, "seed": seed, "least": least}
    graph = Graph(root, given)
    return Plan(expr, graph, given, minimize, found.exact, found.prices, found.witnesses, options)


def _dimensions(expr: Expr | Sequence[Expr]) -> set[str]:
    return {name for one in ((expr,) if isinstance(expr, Expr) else expr) for name in all_dimensions(one)}


def _wrong(expr: Any) -> bool:
    """Whether what is to be planned is neither an expression nor a nonempty sequence of expressions."""
    if isinstance(expr, Expr):
        return False
    return not isinstance(expr, Sequence) or not expr or not all(isinstance(one, Expr) for one in expr)
