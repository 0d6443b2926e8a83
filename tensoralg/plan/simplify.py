"""Simple forms of polynomial inequalities ``q >= 0`` at sizes >= 1: common and positive factors are divided out.

Factors are irreducible over the integers (FLINT).  A factor that the shift test proves >= 0 does not change
the sign where it is not 0; an even power of a factor likewise.
"""

from __future__ import annotations

from functools import lru_cache
from math import lcm
from typing import Any

import flint
import sympy

from tensoralg.plan.polynomial import CACHED, Polynomial, primitive

TERMS = 16


@lru_cache(CACHED)
def simplified(q: Polynomial) -> Polynomial:
    """Return a polynomial with the same sign at all sizes >= 1, up to where a factor >= 0 vanishes.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> print(simplified(d * d * d - n * n * d))
    d - n
    """
    q = primitive(q)
    if not (q.names and 1 < len(q.terms) <= TERMS):
        return q
    sign, factors = factored(q)
    result = Polynomial.constant(sign)
    for factor, power in factors:
        if (factor * -1).nonnegative():
            result = result * (-1) ** power
        elif not factor.nonnegative() and power % 2:
            result = result * factor
    return result


def factored(q: Polynomial) -> tuple[int, list[tuple[Polynomial, int]]]:
    """Return the sign and the irreducible factors, with their powers, of a polynomial up to a positive number.

    Examples
    --------
    >>> n, d = Polynomial.symbol("n"), Polynomial.symbol("d")
    >>> sign, factors = factored(d * d - n * n)
    >>> sign, sorted((str(factor), power) for factor, power in factors)
    (1, [('d + n', 1), ('d - n', 1)])
    """
    scale = lcm(*(c.denominator for c in q.terms.values()))
    ring = flint.fmpz_mpoly_ctx.get(q.names, flint.Ordering.lex)
    exponents = {tuple(dict(m).get(name, 0) for name in q.names): int(c * scale) for m, c in q.terms.items()}
    content, factors = ring.from_dict(exponents).factor()
    return (1 if content > 0 else -1), [(_read(factor, q.names), int(power)) for factor, power in factors]


def _read(factor: Any, names: tuple[str, ...]) -> Polynomial:
    return Polynomial(
        {
            tuple((name, int(k)) for name, k in zip(names, powers, strict=True) if k): int(coefficient)
            for powers, coefficient in factor.to_dict().items()
        }
    )


def relation(q: Polynomial) -> Any:
    """Return ``q >= 0`` as a sympy relation with every term on the side where it is positive."""
    small = Polynomial({m: -c for m, c in q.terms.items() if c < 0})
    large = Polynomial({m: c for m, c in q.terms.items() if c > 0})
    # sympy would ask whether it is always true, for milliseconds; of inequalities that stay, it is not
    return sympy.Le(small.sympy(), large.sympy(), evaluate=not q.names)
