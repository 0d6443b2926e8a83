"""Strict chains of blocks: the quasi-shuffle refinement of sums over an ordered space.

Every assignment of values to ordered variables arranges them in a strict chain of blocks of equal
values, and in exactly one, so a sum over ordered indices is the sum over the chains that its masks
allow (M. E. Hoffman, *Quasi-shuffle products*, J. Algebraic Combin. 2000).  A bound block that carries
no factor only counts: b such blocks between positions p and q give ``binomial(q - p - 1, b)``, with
p = 0 before the first kept block and q = n + 1 after the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from tensoralg.normal.expand import product_of
from tensoralg.normal.terms import Atom, Run, Term, Var, scalar
from tensoralg.spaces import Space

Blocks = tuple[tuple[Var, ...], ...]
Constraint = tuple[str, Var, Var]


def chains(start: Blocks, variables: Sequence[Var], constraints: Sequence[Constraint]) -> Iterator[Blocks]:
    """Yield every chain that extends `start` by the variables and satisfies the constraints.

    Parameters
    ----------
    start : tuple of blocks
        The known chain of variables that are already placed.
    variables : sequence
        The variables to place.
    constraints : sequence of (relation, left, right)
        Relations ``"lt"``, ``"le"`` or ``"eq"`` that must hold.

    Examples
    --------
    >>> list(chains((), ["s", "t"], [("le", "s", "t")]))
    [(('s', 't'),), (('s',), ('t',))]
    """
    if not variables:
        if satisfies(start, constraints):
            yield start
        return
    first, *rest = variables
    for k in range(len(start)):
        joined = (*start[:k], (*start[k], first), *start[k + 1 :])
        if satisfies(joined, constraints):
            yield from chains(joined, rest, constraints)
    for k in range(len(start) + 1):
        spread = (*start[:k], (first,), *start[k:])
        if satisfies(spread, constraints):
            yield from chains(spread, rest, constraints)


def satisfies(blocks: Blocks, constraints: Sequence[Constraint]) -> bool:
    """Whether no constraint between placed variables is violated."""
    rank = {v: k for k, block in enumerate(blocks) for v in block}
    for relation, left, right in constraints:
        if left in rank and right in rank:
            a, b = rank[left], rank[right]
            if not (a < b if relation == "lt" else a <= b if relation == "le" else a == b):
                return False
    return True


def count_empty(run: Run, space: Space, blocks: Blocks, empty: set[Var]) -> tuple[Blocks, list[Term]]:
    """Return the chain without its empty blocks, and the polynomial in positions that counts them."""
    kept: list[tuple[Var, ...]] = []
    gaps = [0]
    for block in blocks:
        if block[0] in empty:
            gaps[-1] += 1
        else:
            kept.append(block)
            gaps.append(0)
    factors = []
    for k, number in enumerate(gaps):
        if number:
            left = [_position(kept[k - 1])] if k else []
            right = [_position(kept[k])] if k < len(kept) else [scalar(space.dimension), _constant(1)]
            factors.append(binomial(run, [*right, *map(_negative, left), _constant(-1)], number))
    return tuple(kept), product_of(run, factors)


def binomial(run: Run, linear: list[Term], k: int) -> list[Term]:
    """Return ``x (x - 1) ... (x - k + 1) / k!`` for a sum of terms x."""
    result = [_constant(1)]
    for j in range(k):
        shifted = [*linear, _constant(-j)] if j else linear
        table: dict[frozenset[tuple[Atom, int]], Term] = {}
        for term in product_of(run, [result, shifted]):
            key = frozenset(term.factors.items())
            known = table[key].coefficient if key in table else Fraction(0)
            table[key] = Term(known + term.coefficient / (j + 1), term.factors, set())
        result = list(table.values())
    return result


def _position(block: tuple[Var, ...]) -> Term:
    return Term(Fraction(1), {("p", block[0]): 1}, set())


def _constant(value: int) -> Term:
    return Term(Fraction(value), {}, set())


def _negative(term: Term) -> Term:
    return Term(-term.coefficient, term.factors, term.bound)


def restrict_chain(ranks: Mapping[Var, int], variables: set[Var]) -> Blocks:
    """Return the known chain of some variables, from their ranks."""
    present = sorted((v for v in variables if v in ranks), key=lambda v: (ranks[v], str(v)))
    return tuple(tuple(v for v in present if ranks[v] == r) for r in sorted({ranks[v] for v in present}))
