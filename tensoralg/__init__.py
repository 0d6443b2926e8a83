"""tensoralg: claims about attention-like operators, proved on the algebra and verified on the kernels."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensoralg.expr import (
    Definition,
    Expr,
    LeviCivita,
    Tensor,
    decay,
    declarations,
    define,
    delta,
    derivative,
    einsum,
    exp,
    generalised_delta,
    grad,
    le,
    levi_civita,
    log,
    lt,
    maximum,
    minimum,
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
from tensoralg.plan import Plan, Regime, cost, plan, prove_cost
from tensoralg.proof import Counterexample, Verdict, check, prove
from tensoralg.spaces import Alt, Index, Space, Sym, Unit, dims
from tensoralg.stream import Stream, stream

__version__ = "0.1.0"

# Floors that are not needed to state, prove and price a claim are imported when first used.  `plan` and `stream` are
# not among them: importing a room of that name later would put the module in the place of the function.
_LAZY = {
    "communication": "tensoralg.lower",
    "compile": "tensoralg.lower",
    "distribute": "tensoralg.lower",
    "export": "tensoralg.lower",
    "load_exported": "tensoralg.lower",
    "read_card": "tensoralg.lower",
    "verify": "tensoralg.lower",
    "register": "tensoralg.lower",
    "register_attention": "tensoralg.lower",
    "verify_gradient": "tensoralg.lower",
    "Operator": "tensoralg.lower",
    "Report": "tensoralg.lower",
    "GradientReport": "tensoralg.lower",
    "LinearMap": "tensoralg.universal",
    "MultilinearMap": "tensoralg.universal",
    "curry": "tensoralg.universal",
    "direct_sum": "tensoralg.universal",
    "duality": "tensoralg.universal",
    "exterior_power": "tensoralg.universal",
    "hom": "tensoralg.universal",
    "symmetric_power": "tensoralg.universal",
    "tensor_product": "tensoralg.universal",
    "uncurry": "tensoralg.universal",
    "claim": "tensoralg.claims",
}

if TYPE_CHECKING:
    from tensoralg.claims import claim
    from tensoralg.lower import (
        GradientReport,
        Operator,
        Report,
        communication,
        compile,
        distribute,
        export,
        load_exported,
        read_card,
        register,
        register_attention,
        verify,
        verify_gradient,
    )
    from tensoralg.universal import (
        LinearMap,
        MultilinearMap,
        curry,
        direct_sum,
        duality,
        exterior_power,
        hom,
        symmetric_power,
        tensor_product,
        uncurry,
    )

__all__ = [
    "Alt",
    "Counterexample",
    "Definition",
    "Expr",
    "GradientReport",
    "Index",
    "LeviCivita",
    "LinearMap",
    "MultilinearMap",
    "Operator",
    "Plan",
    "Regime",
    "Report",
    "Space",
    "Stream",
    "Sym",
    "Tensor",
    "Unit",
    "Verdict",
    "check",
    "claim",
    "communication",
    "compile",
    "cost",
    "curry",
    "decay",
    "declarations",
    "define",
    "delta",
    "derivative",
    "dims",
    "direct_sum",
    "distribute",
    "duality",
    "einsum",
    "einsum_string",
    "exp",
    "export",
    "exterior_power",
    "generalised_delta",
    "grad",
    "hom",
    "latex",
    "le",
    "levi_civita",
    "load_exported",
    "log",
    "lt",
    "maximum",
    "minimum",
    "near",
    "parse",
    "plan",
    "prove",
    "prove_cost",
    "register",
    "register_attention",
    "read_card",
    "relu",
    "softmax",
    "sqrt",
    "stream",
    "symmetric_power",
    "tensor",
    "tensor_product",
    "tensors",
    "uncurry",
    "verify",
    "verify_gradient",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        # name and object let Python propose a similar name
        raise AttributeError(f"module 'tensoralg' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
