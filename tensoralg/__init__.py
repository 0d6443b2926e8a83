"""tensoralg: claims about attention-like operators, proved on the algebra and verified on the kernels."""

from tensoralg.expr import (
    Definition,
    Expr,
    Tensor,
    decay,
    declarations,
    define,
    delta,
    einsum,
    exp,
    le,
    log,
    lt,
    near,
    parse,
    relu,
    softmax,
    sqrt,
    tensor,
    tensors,
)
from tensoralg.expr import to_einsum as einsum_string
from tensoralg.expr import to_latex as latex
from tensoralg.spaces import Alt, Index, Space, Sym, Unit, dims

__version__ = "0.1.0"
