"""The node types of the expression language: a closed set, immutable, hash-consed, typed when built.

An expression denotes a scalar that depends on its free indices.  The same term is always the same
object, so ``==`` is syntax (what dictionaries need); what is *equal as mathematics* is for `prove`.
Everything that is computed from expressions is a fold: a visitor with one method per node type.

=============== ============================================== =============================
node            fields                                         meaning
=============== ============================================== =============================
Number          value                                          a rational number
Size            name                                           the size of a dimension
Entry           tensor, args                                   an entry of a tensor
Delta           left, right                                    1 where the indices agree
Mask            strict, left, right                            1 where left <= right (<)
Near            left, right, width                             1 where right - width < left <= right
Decay           tensor, later, earlier, args                   path-ordered product of a gate
Add, Mul        terms, factors                                 sum, product
Pow             base, exponent                                 integer power
Apply           function, argument                             exp, log, sqrt, relu
Bind            indices, body                                  sum over the indices
Definition      legs, body, name                               a tensor with these legs
=============== ============================================== =============================

Everything else (softmax, maximum, generalised deltas) is composed of these.
"""

from tensoralg.expr.core import (
    FUNCTIONS,
    Add,
    Apply,
    Bind,
    Expr,
    Mul,
    Number,
    Pow,
    Size,
    add,
    apply,
    as_expr,
    bind,
    mul,
    negate,
    power,
    reciprocal,
)
from tensoralg.expr.definition import Definition
from tensoralg.expr.factors import Decay, Delta, Entry, Mask, Near

__all__ = [
    "FUNCTIONS",
    "Add",
    "Apply",
    "Bind",
    "Decay",
    "Definition",
    "Delta",
    "Entry",
    "Expr",
    "Mask",
    "Mul",
    "Near",
    "Number",
    "Pow",
    "Size",
    "add",
    "apply",
    "as_expr",
    "bind",
    "mul",
    "negate",
    "power",
    "reciprocal",
]
