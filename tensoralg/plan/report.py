"""Reports of plans: tables for terminals, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

import sympy

from tensoralg.errors import NeedsSizes, counted
from tensoralg.expr.nodes import Expr
from tensoralg.plan.atlas import Atlas, drawn
from tensoralg.plan.cost import cost
from tensoralg.plan.plan import Plan
from tensoralg.plan.polynomial import Polynomial
from tensoralg.plan.regimes import Regime
from tensoralg.show import Column, print_table

AMOUNTS = ("flops", "pointwise", "largest", "peak")
HEADINGS = ("regime", "where", "FLOPs", "pointwise", "largest", "peak", "order")
DETAILED = 12  # regimes whose steps a report shows
LINES = 60  # steps of a regime that a report shows
WIDEST = 60  # characters of an order that a table shows


def degrees(found: Plan) -> dict[str, dict[str, int | None]]:
    """Return the degree of the FLOPs in every size: of the best order, and of the order as written.

    The degree of the best order is None where it depends on the other sizes.

    Examples
    --------
    >>> import tensoralg as ta
    >>> attention = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
    >>> degrees(ta.plan(attention))
    {'d': {'best': 1, 'written': 1}, 'n': {'best': 1, 'written': 2}}
    """
    plain = _written(found)["flops"]
    return {
        name: {"best": _degree(found, name), "written": plain.order_in(name)}
        for name in found.graph.names
        if name not in found.sizes
    }


def _degree(found: Plan, name: str) -> int | None:
    try:
        return found.order_in(name)
    except NeedsSizes:
        return None


def _written(found: Plan) -> dict[str, Any]:
    """Return the amounts of the order as written, with the plan's sizes."""
    assert isinstance(found.expr, Expr)
    plain = cost(found.expr, order="written")
    sizes = {name: Polynomial.constant(value) for name, value in found.sizes.items()}
    return {key: getattr(plain, key).substitute(sizes) for key in AMOUNTS}


def print_plan(found: Plan, shown: Atlas | None = None, file: TextIO | None = None) -> None:
    """Print a plan: regimes with their prices, the order of each in three forms, degrees, borders, and a map.

    Parameters
    ----------
    found : Plan
        The plan.
    shown : Atlas, optional
        A map of it.
    file : file, optional
        Standard output by default.
    """
    print(found.expr, file=file)
    for line in _options(found):
        print(line, file=file)
    regimes = found.regimes()
    rows = [
        (str(k), _where(found, regime), *(str(getattr(regime, key)) for key in AMOUNTS), _brief(regime))
        for k, regime in enumerate(regimes, 1)
    ]
    rows.append(("", "as written", *(str(amount) for amount in _written(found).values()), ""))
    print_table([Column(heading) for heading in HEADINGS], rows, file=file)
    for k, regime in enumerate(regimes[:DETAILED]):
        print(f"regime {k + 1}: {_where(found, regime)}", file=file)
        print("\n".join(_orders(regime)) + "\n", file=file)
    if len(regimes) > DETAILED:
        print(f"and {counted(len(regimes) - DETAILED, 'regime')} more; --json shows the orders of all\n", file=file)
    found_degrees = degrees(found)
    if found_degrees:
        rows = [(name, _or_depends(row["best"]), str(row["written"])) for name, row in found_degrees.items()]
        table = [Column("size"), Column("degree, best order", "right"), Column("degree, as written", "right")]
        print_table(table, rows, file=file)
    if len(regimes) > 1:
        said = [f"{edge.lhs} = {edge.rhs}" for edge in found.borders()]
        print("borders  " + ("\n         ".join(said) or "none found"), file=file)
    if shown is not None:
        print(f"\n{shown}", file=file)


def _options(found: Plan) -> list[str]:
    lines = [f"minimize {found.minimize}" + ("" if found.optimal else " (not proved optimal)")]
    if found.sizes:
        lines.append("sizes " + ", ".join(f"{name} = {value}" for name, value in found.sizes.items()))
    return lines


def _where(found: Plan, regime: Regime) -> str:
    everywhere = "at these sizes" if found.sizes and found.graph.numeric else "all sizes"
    where = str(regime.where) if regime.condition.clauses else everywhere
    return where + (" (may be empty)" if regime.condition.clauses and regime.may_be_empty else "")


def _brief(regime: Regime) -> str:
    text = drawn(regime.tree)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _or_depends(degree: int | None) -> str:
    return "depends" if degree is None else str(degree)


def _orders(regime: Regime) -> list[str]:
    lines = [f"  tree   {drawn(regime.tree)}"]
    if regime.path is not None:
        lines.append(f"  path   {regime.path}")
    if regime.slices:
        over = ", ".join(f"{space} ({size})" for space, size in regime.slices)
        count = sympy.Mul(*(size for _, size in regime.slices))
        lines.append(f"  sliced over {over}: the steps run {count} times, for one position each")
        lines.append(f"  cost   {regime.overhead} times the FLOPs without a memory limit")
    texts = [str(step) for step in regime.steps]
    wide = max([len(text) for text in texts[:LINES]], default=0)
    for k, (text, step) in enumerate(zip(texts[:LINES], regime.steps, strict=False)):
        told = f"   # {step.flops} FLOPs" if step.flops != 0 else ""
        lines.append(("  steps  " if not k else "         ") + (text.ljust(wide) + told).rstrip())
    if len(texts) > LINES:
        lines.append(f"         and {counted(len(texts) - LINES, 'step')} more; --json shows all")
    return lines


def plan_json(found: Plan, shown: Atlas | None = None) -> dict[str, Any]:
    """Return a plan as JSON: amounts are texts in Python's notation, trees nested lists of names.

    Examples
    --------
    >>> import tensoralg as ta
    >>> found = plan_json(ta.plan(ta.parse("O[t] = A[t,s]*x[s]", indices={"t,s": "n"})))
    >>> found["flops"], found["regimes"][0]["steps"]
    ('2*n**2', [{'step': "O = einsum('ts,s->t', A, x)", 'shape': ['n'], 'flops': '2*n**2'}])
    """
    answer: dict[str, Any] = {
        "expression": str(found.expr),
        "sizes": dict(found.sizes),
        "minimize": found.minimize,
        "optimal": found.optimal,
        **{key: str(getattr(found, key)) for key in AMOUNTS},
        "written": {key: str(amount) for key, amount in _written(found).items()},
        "degrees": degrees(found),
        "borders": _equations(found.borders()),
        "regimes": [_regime_json(regime) for regime in found.regimes()],
    }
    if shown is not None:
        columns = [{"x": column.x, "pieces": [list(piece) for piece in column.pieces]} for column in shown.map.columns]
        answer["map"] = {
            "x": shown.x,
            "y": shown.y,
            "borders": _equations(shown.borders),
            "regimes": [_regime_json(regime) for regime in shown.regimes],
            "columns": columns,
        }
    return answer


def _equations(edges: Sequence[Any]) -> list[str]:
    return [f"{edge.lhs} == {edge.rhs}" for edge in edges]


def _regime_json(regime: Regime) -> dict[str, Any]:
    return {
        "where": str(regime.where),
        "may_be_empty": regime.may_be_empty,
        **{key: str(getattr(regime, key)) for key in AMOUNTS},
        "tree": regime.tree,
        "path": regime.path,
        "slices": [[space, str(size)] for space, size in regime.slices],
        "overhead": str(regime.overhead),
        "steps": [
            {"step": str(step), "shape": [str(size) for size in step.shape], "flops": str(step.flops)}
            for step in regime.steps
        ],
    }
