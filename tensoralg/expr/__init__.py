"""The expression language: nodes, building, parsing, printing, exact evaluation."""

from tensoralg.expr.build import decay, define, delta, einsum, exp, le, log, lt, near, relu, softmax, sqrt
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
    "Tensor",
    "as_expr",
    "decay",
    "declarations",
    "define",
    "delta",
    "einsum",
    "evaluate",
    "exp",
    "le",
    "log",
    "lt",
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
