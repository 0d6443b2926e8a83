"""The expression language: nodes, building, parsing, printing, exact evaluation."""

from tensoralg.expr.alternating import LeviCivita, generalised_delta, levi_civita
from tensoralg.expr.build import (
    decay,
    define,
    delta,
    einsum,
    exp,
    le,
    log,
    lt,
    maximum,
    minimum,
    near,
    relu,
    softmax,
    sqrt,
)
from tensoralg.expr.derivative import derivative, grad
from tensoralg.expr.evaluate import evaluate
from tensoralg.expr.latex import to_latex
from tensoralg.expr.nodes import Definition, Expr, as_expr
from tensoralg.expr.parse import declarations, parse
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.expr.tensor import Tensor, tensor, tensors
from tensoralg.expr.text import to_einsum, to_text

__all__ = [
    "Definition",
    "Expr",
    "LeviCivita",
    "Tensor",
    "as_expr",
    "decay",
    "declarations",
    "define",
    "delta",
    "derivative",
    "einsum",
    "evaluate",
    "exp",
    "generalised_delta",
    "grad",
    "le",
    "levi_civita",
    "log",
    "lt",
    "maximum",
    "minimum",
    "near",
    "parse",
    "relu",
    "softmax",
    "sqrt",
    "substitute",
    "tensor",
    "tensors",
    "to_einsum",
    "to_latex",
    "to_text",
    "walk",
]
