"""Proofs that polynomial inequalities contradict each other, or imply another (Farkas' lemma).

Let p_1, ..., p_k and q be polynomials in the sizes.  If there are weights ``w_j >= 0`` with

    ``q - (w_1 p_1 + ... + w_k p_k) >= 0`` at all sizes >= least,

then ``p_j >= 0`` for all j implies ``q >= 0`` there; and if ``w_1 p_1 + ... + w_k p_k <= 0`` with weights
that are not all zero, then the p_j are nowhere all positive.  Monomials are
positive, so that a premise may also be used times a monomial.

The inequality itself is left to the shift test (`plan.polynomial`), which compares coefficients, so the
weights solve a linear program.  It is solved in floating point; only its final basis is used: the weights
are solved for again as fractions, and the inequality is checked exactly.  So what is found is a proof, and
nothing follows from finding none.

References: Farkas, J. reine angew. Math. 124 (1902); Dantzig, *Linear Programming and Extensions* (1963);
Schrijver, *Theory of Linear and Integer Programming* (1986), section 7.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import flint
import numpy as np
from numpy.typing import NDArray

from tensoralg.plan.polynomial import Monomial, Polynomial, Rational

Floats: TypeAlias = "NDArray[np.float64]"
PIVOTS = 300
TINY = 1e-9
MULTIPLES = 80


def weights(
    premises: Sequence[Polynomial], goal: Polynomial | None = None, least: int = 1
) -> tuple[Rational, ...] | None:
    """Return weights that prove the goal from the premises, or that these contradict each other.

    None is returned where no proof is found.

    Parameters
    ----------
    premises : sequence of Polynomial
        The p_j.
    goal : Polynomial, optional
        The q; without it, weights that are not all zero with ``w_1 p_1 + ... <= 0`` are looked for.
    least : int
        The least size.

    Examples
    --------
    >>> n, d, e = (Polynomial.symbol(name) for name in "nde")
    >>> weights([n - d, d - e], n - e), weights([n - d], n - e)
    ((1, 1), None)
    >>> weights([n - 2 * d, d - n])
    (Fraction(1, 2), Fraction(1, 2))
    """
    columns = [*premises] if goal is None else [*premises, goal * -1]
    shifts = [column.shifted(least) for column in columns]
    rows = list(dict.fromkeys(monomial for shift in shifts for monomial in shift))
    if not rows:
        return None
    table = _table(shifts, rows)
    worth = np.ones(len(columns))
    if goal is not None:
        worth[:-1] = 0
    support, tight = _basis(table, worth)
    if len(support) != len(tight) + 1:  # the optimum is zero
        return None
    exact = _solved([[shifts[j].get(rows[i], 0) for j in support] for i in tight])
    if exact is None or min(exact, default=0) < 0:
        return None
    found: list[Rational] = [0] * len(columns)
    for j, weight in zip(support, exact, strict=True):
        found[j] = weight
    if goal is not None:
        if not found[-1]:
            return None
        scale = Fraction(found.pop())
        found = [_whole(weight / scale) for weight in found]
    return tuple(found) if proves(found, premises, goal, least) else None


def proves(
    found: Sequence[Rational],
    premises: Sequence[Polynomial],
    goal: Polynomial | None = None,
    least: int = 1,
) -> bool:
    """Whether weights are a proof: that the goal follows, or that the premises contradict each other."""
    rest = Polynomial({}) if goal is None else goal
    for weight, premise in zip(found, premises, strict=True):
        if weight:
            rest = rest - premise * weight
    if min(found, default=0) < 0 or not (goal is not None or any(found)):
        return False
    return rest.nonnegative(least)


def follows(goal: Polynomial, premises: Sequence[Polynomial], least: int = 1) -> bool:
    """Whether ``goal >= 0`` is proved from ``p >= 0`` for all premises p, also times monomials.

    Examples
    --------
    >>> m, n, d = (Polynomial.symbol(name) for name in "mnd")
    >>> follows(d * d - m * n, [d - m, d - n])
    True
    """
    if not premises:
        return goal.nonnegative(least)
    return weights(premises, goal, least) is not None or (
        len(columns := multiples(premises, goal.terms)) > len(premises) and weights(columns, goal, least) is not None
    )


def multiples(premises: Sequence[Polynomial], targets: Iterable[Monomial]) -> list[Polynomial]:
    """Return the premises, and those times the monomials that take one of their terms to a target."""
    found = dict.fromkeys(premises)
    for target in targets:
        powers = dict(target)
        for premise in premises:
            for monomial in premise.terms:
                if len(found) < MULTIPLES and all(powers.get(name, 0) >= power for name, power in monomial):
                    left = {**powers, **{name: powers[name] - power for name, power in monomial}}
                    factor = tuple((name, power) for name, power in sorted(left.items()) if power)
                    found.setdefault(premise * Polynomial({factor: 1}))
    return list(found)


def _whole(value: Fraction) -> Rational:
    return value.numerator if value.denominator == 1 else value


def _table(shifts: Sequence[Any], rows: Sequence[Monomial]) -> Floats:
    """Return the coefficients as floating-point numbers, rows and columns scaled to maximum 1."""
    place = {monomial: i for i, monomial in enumerate(rows)}
    table = np.zeros((len(rows), len(shifts)))
    for j, shift in enumerate(shifts):
        scale = max((abs(c) for c in shift.values()), default=1)
        table[[place[monomial] for monomial in shift], j] = [float(c / scale) for c in shift.values()]
    scaled: Floats = table / np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-300)
    return scaled


def _basis(table: Floats, worth: Floats) -> tuple[list[int], list[int]]:
    """Return the nonzero unknowns and the tight rows at the optimum of a linear program, by the simplex method.

    The program is: maximize the worth of the z_j subject to ``table z <= 0``,
    ``sum z_j <= 1`` and ``z >= 0``.  Its origin is degenerate; small distinct right-hand sides keep the
    method from cycling (Charnes, Econometrica 20, 1952).
    """
    rows, columns = table.shape
    work = np.zeros((rows + 2, columns + 1))
    work[:rows, :columns] = table
    work[:rows, columns] = 1e-7 * (1 + np.random.default_rng(0).random(rows))
    work[rows] = 1
    work[rows + 1, :columns] = -worth
    outside, inside = list(range(columns)), list(range(columns, columns + rows + 1))
    for _ in range(PIVOTS):
        j = int(work[-1, :columns].argmin())
        if work[-1, j] >= -TINY:
            break
        ratios = np.full(rows + 1, np.inf)
        np.divide(work[:-1, columns], work[:-1, j], out=ratios, where=work[:-1, j] > TINY)
        i = int(ratios.argmin())
        if not np.isfinite(ratios[i]):
            break
        _pivot(work, i, j)
        inside[i], outside[j] = outside[j], inside[i]
    support = sorted(v for v in inside if v < columns)
    tight = sorted(v - columns for v in outside if columns <= v < columns + rows)
    return support, tight


def _pivot(work: Floats, i: int, j: int) -> None:
    """Exchange the variable of row i and that of column j, in place."""
    row, column = work[i] / work[i, j], work[:, j].copy()
    pivot = column[i]
    work -= np.outer(column, row)
    work[i] = row
    work[:, j] = -column / pivot
    work[i, j] = 1 / pivot


def _solved(rows: Sequence[Sequence[Rational]]) -> list[Rational] | None:
    """Return the numbers with sum 1 that make all rows zero, if they are unique."""
    width = len(rows) + 1
    square = [[flint.fmpq(c.numerator, c.denominator) for c in row] for row in rows] + [[flint.fmpq(1)] * width]
    right = [[flint.fmpq(0)]] * (width - 1) + [[flint.fmpq(1)]]
    try:
        found = flint.fmpq_mat(square).solve(flint.fmpq_mat(right))
    except ZeroDivisionError:
        return None
    return [_whole(Fraction(int(found[k, 0].p), int(found[k, 0].q))) for k in range(width)]
