"""What no state can do without: whether a stream meets the Hankel rank, and whether any stream exists.

The rank is that of the *linear parts* of the outputs: maximal subterms in which states occur once in every product
and in no function.  Functions of one token are tensors of their own there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import sympy

from tensoralg.errors import NotStreamable, TensoralgError
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Apply, Bind, Definition, Expr, Pow
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Space
from tensoralg.stream.canonical import canonical
from tensoralg.stream.hankel import growing_rank, hankel_rank
from tensoralg.stream.monomials import Expansion
from tensoralg.stream.system import Segment, System, reads

MOST_NUMBERS = 64
COUNTS = (1, 2, 4, 8)


def meets_rank(system: System, packed_size: Any) -> bool:
    """Return whether the rank at small sizes is the number of independent numbers of the states.

    Parameters
    ----------
    system : System
    packed_size : sympy expression
        How many numbers its states have, symmetric ones counted once.

    Returns
    -------
    bool
        False also where nothing is shown: a state that is a function of another one, or sizes that are large numbers.
    """
    parts = [part for out in system.outputs for part in _linear_parts(out.body, system)]
    if any(not _linear(state.value, system) for state in system.states) or not parts:
        return not system.states
    forms = system.over(Segment())
    features: dict[Definition, Tensor] = {}
    definitions = []
    for part in parts:
        legs = (system.time, *(i for i in part._free if i != system.time))
        body = _opaque(forms.written(part), Expansion(system.clock, set()), features)
        definitions.append(Definition(legs, body, "part"))
    names = sorted(set().union(*map(all_dimensions, definitions)) - {str(system.clock.dimension)})
    for sizes in (dict.fromkeys(names, 2), {name: 2 + k % 2 for k, name in enumerate(names)}):
        wanted = int(sympy.sympify(str(packed_size)).subs(sizes))
        if wanted > MOST_NUMBERS:
            return False
        if hankel_rank(definitions, system.clock, sizes, pasts=wanted + 4, futures=wanted + 4) != wanted:
            return False
    return True


def _linear(expr: Expr, system: System) -> bool:
    """Whether states occur at most once in every product of a term, and in no function."""
    if not reads(expr, system.states):
        return True
    if expr.kind == "mul":
        reading = [child for child in expr.children() if reads(child, system.states)]
        return len(reading) == 1 and _linear(reading[0], system)
    if expr.kind in ("add", "bind"):
        return all(_linear(child, system) for child in expr.children())
    return expr.kind == "entry"


def _linear_parts(expr: Expr, system: System) -> Iterator[Expr]:
    if not reads(expr, system.states):
        return
    if _linear(expr, system):
        yield expr
    else:
        for child in expr.children():
            yield from _linear_parts(child, system)


def _opaque(expr: Expr, expansion: Expansion, features: dict[Definition, Tensor]) -> Expr:
    """Return a term with the functions of one token replaced by tensors, equal ones by one."""
    function = isinstance(expr, Apply) or (isinstance(expr, Pow) and expr.exponent < 0)
    if function and expr._free and expansion.sees_one_token(expr):
        key = canonical(expr, expr._free)
        symbol = features.setdefault(key, Tensor(f"feature.{len(features)}", tuple(i.space for i in expr._free)))
        return symbol[expr._free]
    return expr.with_children(tuple(_opaque(child, expansion, features) for child in expr.children()))


def impossible(definitions: Sequence[Definition], clock: Space) -> tuple[tuple[int, int], ...]:
    """Return ranks that grow with the number of pasts, for a sum that no state of constant size holds; else nothing.

    The Hankel matrix of k pasts and k futures has the certified rank that is returned with k.  That it grows for some
    k shows nothing about larger ones, so that only factors are considered whose rank has no end; then no state of a
    size that does not depend on the length has later sums affine in it.
    """
    for definition in definitions:
        (time,) = (leg for leg in definition.legs if leg.space == clock)
        for term in _sums_over_time(definition.body, clock):
            legs = (time, *(i for i in term._free if i != time))
            whole = Definition(legs, term, "total")
            try:
                Expansion(clock, set()).expand(term)
            except NotStreamable as error:
                if not without_end(error.factor):
                    continue
                sizes = dict.fromkeys(sorted(set(all_dimensions(whole)) - {str(clock.dimension)}), 1)
                found = _growing(whole, clock, sizes)
                if found:
                    return found
    return ()


def without_end(factor: Any) -> bool:
    """Whether a factor that couples two times has no finite rank: it is the exponential of a polynomial.

    At infinitely many pasts these polynomials in the later token differ by no constant, and exponentials of such
    polynomials are linearly independent.  A rank that grows up to some size shows less: that of
    ``relu(pow(1 + q[t]*k[s], 8))`` does so up to 9, where it ends.
    """
    return (
        isinstance(factor, Apply)
        and factor.function == "exp"
        and not any(
            isinstance(node, Apply) or (isinstance(node, Pow) and node.exponent < 0)
            for node in distinct_nodes(factor.argument)
        )
    )


def _sums_over_time(expr: Expr, clock: Space) -> Iterator[Expr]:
    if isinstance(expr, Bind) and any(index.space == clock for index in expr.indices):
        yield expr
    else:
        for child in expr.children():
            yield from _sums_over_time(child, clock)


def _growing(definition: Definition, clock: Space, sizes: dict[str, int]) -> tuple[tuple[int, int], ...]:
    try:
        found = growing_rank(definition, clock, sizes, COUNTS)
    except TensoralgError:
        return ()
    ranks = [rank for _, rank in found]
    return found if all(low < high for low, high in pairwise(ranks)) else ()
