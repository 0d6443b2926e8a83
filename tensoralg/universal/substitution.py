"""Replacing tensors in an expression: the fold behind application and composition of maps.

``substitute_tensors(expr, {"q": value})`` reads every entry ``q[terms]`` as ``value(terms)``.  Indices
bound in the value are renamed where they would meet others; a parameter that a value mentions beyond
`terms` must not be bound in `expr`, which is the caller's duty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tensoralg.errors import InvalidExpression
from tensoralg.expr import Definition, Expr, Tensor, define
from tensoralg.expr.nodes import Add, Bind, Decay, Delta, Entry, Mul, add, bind, mul
from tensoralg.expr.rewrite import rename_apart, substitute, walk
from tensoralg.spaces import Index, IndexTerm, atoms

Reading: TypeAlias = "Callable[[tuple[IndexTerm, ...]], Expr]"


def as_definition(value: Tensor | Definition) -> Definition:
    """Return a tensor as the definition ``A[i1,i2] = A[i1,i2]``; a definition is returned as it is.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> print(as_definition(ta.tensor("A", V @ V)))
    A[i1,i2] = A[i1,i2]
    """
    if isinstance(value, Definition):
        return value
    if not isinstance(value, Tensor):
        raise InvalidExpression(f"{value!r} is not a vector", remedy="use a tensor or a definition")
    legs = tuple(Index(f"i{k}", leg) for k, leg in enumerate(value.legs, start=1))
    return define(legs, value[legs], name=value.name)


def substitute_tensors(expr: Expr, values: Mapping[str, Definition | Reading]) -> Expr:
    """Return the expression with entries of the named tensors replaced by their values.

    Parameters
    ----------
    expr : Expr
        A definition or an open term.
    values : mapping of str to Definition or callable
        For every tensor to replace, a definition with its legs, or a function from the index terms at
        an entry to what stands there.

    Raises
    ------
    InvalidExpression
        If a tensor to replace occurs as the gate of a decay.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> i, j = V.indices("i j")
    >>> A, x, y = ta.tensor("A", V @ V), ta.tensor("x", V), ta.tensor("y", V)
    >>> print(substitute_tensors(ta.define((i,), A[i, j] * x[j]), {"x": ta.define((j,), A[j, i] * y[i])}))
    out[i] = sum(j: A[i,j]*sum(i1: A[j,i1]*y[i1]))
    """
    readings: dict[str, Reading] = {
        name: value.__getitem__ if isinstance(value, Definition) else value for name, value in values.items()
    }
    memo: dict[Expr, Expr] = {}

    def replaced(node: Expr) -> Expr:
        if node not in memo:
            memo[node] = rebuilt(node)
        return memo[node]

    def rebuilt(node: Expr) -> Expr:
        if isinstance(node, Entry) and node.tensor.name in readings:
            return readings[node.tensor.name](node.args)
        if isinstance(node, Decay) and node.tensor.name in readings:
            raise InvalidExpression(
                f"the gate {node.tensor.name} of {node} cannot be replaced", remedy="name the gate as a tensor"
            )
        if isinstance(node, Bind):
            return bind(node.indices, replaced(node.summand))
        if isinstance(node, Definition):
            return node.with_children((rename_apart(replaced(node.term), set(node.free)),))
        return node.with_children(tuple(replaced(child) for child in node.children()))

    return replaced(expr)


def without_deltas(expr: Expr) -> Expr:
    """Return an expression in which no summed index is tied to another index by a factor delta of the summand.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> i, j, k = V.indices("i j k")
    >>> A = ta.tensor("A", V @ V)
    >>> print(without_deltas(ta.define((i, k), A[i, j] * ta.delta[j, k])))
    out[i,k] = A[i,k]
    """
    node = expr.with_children(tuple(map(without_deltas, expr.children())))
    while isinstance(node, Bind):
        if isinstance(node.summand, Add):
            return add(*(without_deltas(bind(node.indices, term)) for term in node.summand.terms))
        if isinstance(node.summand, Bind):
            node = bind((*node.indices, *node.summand.indices), node.summand.summand)
            continue
        tie = _tie(node)
        if tie is None:
            break
        factor, index, other = tie
        factors = list(node.summand.factors) if isinstance(node.summand, Mul) else [node.summand]
        factors.remove(factor)
        inner = substitute(mul(*factors), {index: other})
        node = bind(tuple(i for i in node.indices if i != index), inner)
    return node


def _tie(node: Bind) -> tuple[Delta, Index, IndexTerm] | None:
    """Return a factor delta of a sum that replaces one of its indices, the index, and what replaces it."""
    factors = node.summand.factors if isinstance(node.summand, Mul) else (node.summand,)
    for factor in factors:
        if isinstance(factor, Delta):
            for index, other in ((factor.left, factor.right), (factor.right, factor.left)):
                if (
                    isinstance(index, Index)
                    and index in node.indices
                    and index not in atoms(other)
                    and (index.space == other.space or _stands_alone(index, node.summand))
                ):
                    return factor, index, other
    return None


def _stands_alone(index: Index, expr: Expr) -> bool:
    """Return whether an index is no part of a composite index term, where one over the dual could not replace it."""
    terms = (term for node in walk(expr) for term in node.index_terms())
    return all(term == index or index not in atoms(term) for term in terms)
