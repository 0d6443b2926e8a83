"""Replacing a tensor by an expression."""

from __future__ import annotations

from tensoralg.errors import InvalidExpression
from tensoralg.expr.nodes import Bind, Decay, Definition, Entry, Expr, bind


def replace_tensor(expr: Expr, name: str, by: Definition) -> Expr:
    """Return the expression with every entry of a tensor replaced by a definition.

    Parameters
    ----------
    expr : Expr
    name : str
        The tensor.
    by : Definition
        What stands for it; its legs are the tensor's, in order.

    Raises
    ------
    InvalidExpression
        If the tensor is the gate of a decay, which has to be a tensor.

    Examples
    --------
    >>> import tensoralg as ta
    >>> I = {"i,j,k": "n"}
    >>> C = ta.parse("C[i,k] = A[i,j]*B[j,k]", indices=I)
    >>> print(replace_tensor(ta.parse("C[i,i]", I, free=()), "C", C))
    out[] = sum(i: sum(j: A[i,j]*B[j,i]))
    """
    if isinstance(expr, Entry):
        return by[expr.args] if expr.tensor.name == name else expr
    if isinstance(expr, Decay) and expr.tensor.name == name:
        raise InvalidExpression(
            f"{name} is the gate of a decay and cannot be replaced", remedy="replace it by a tensor"
        )
    children = tuple(replace_tensor(child, name, by) for child in expr.children())
    if isinstance(expr, Bind):
        return bind(expr.indices, children[0])
    return expr.with_children(children)
