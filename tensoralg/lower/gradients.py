r"""The gradients of a kernel against the derivative of its definition.

PyTorch differentiates the kernel that was emitted, operation by operation; `tensoralg.expr.grad` differentiates the
definition that it was proved equal to.  For random inputs and a random incoming gradient the two are compared, entry by
entry, the derivative in exact numbers.

*The tolerance is no proven bound.*  The running error bounds of `lower.bounds` are those of the forward program; what
autograd runs backwards is another program, which nobody emitted.  A gradient is accepted within
``sqrt(u) * (1 + max |gradient|)``, u the unit roundoff of the dtype: half of the digits.  A wrong derivative is off by
about the size of its entries, whatever the dtype; a right one by some multiple of u that grows with the number of
terms and with what cancels.  Between the two there are, in float64, eight digits on either side.  The gradient as an
operator of its own, ``compile(grad(O, "X"))``, has a proven bound: `verify` it.

*Declared facts.*  A kernel may use that a tensor is symmetric, so only the derivative along symmetric tensors is
determined: autograd's gradient is averaged over the permutations of the legs before it is compared, with signs for an
antisymmetric one.  Tensors that are isometries, projections, permutations or have a declared inverse are left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tensoralg.errors import InvalidExpression, UnknownName, suggest
from tensoralg.expr import Tensor as Symbol
from tensoralg.expr import evaluate, grad, walk
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Decay
from tensoralg.expr.rewrite import fresh
from tensoralg.lower.arithmetic import arithmetic, dtype_of
from tensoralg.lower.draws import draw_inputs
from tensoralg.lower.operator import Operator, device_of
from tensoralg.lower.verify import PRECISIONS, distance, flat, sizes_of


@dataclass(frozen=True)
class GradientReport:
    """What a comparison of autograd with the derivative of the definition found.

    Attributes
    ----------
    error, tolerance : float
        Absolute error (rounded up), and what is tolerated, at the entry where their ratio is largest.
    ok : bool
        Whether every entry of every gradient is within its tolerance; False where anything is NaN.
    tensor : str
        The tensor with respect to which that entry is a derivative.
    index : tuple of int
        That entry.
    tensors : tuple of str
        All tensors with respect to which derivatives were compared.
    assumptions : tuple of str
        What the tolerance rests on; it is no proven bound.
    sizes, dtype, device, seed
        What was run.
    """

    error: float
    tolerance: float
    ok: bool
    tensor: str
    index: tuple[int, ...]
    tensors: tuple[str, ...]
    assumptions: tuple[str, ...]
    sizes: Mapping[str, int]
    dtype: str
    device: str
    seed: int

    def __bool__(self) -> bool:
        return self.ok


def verify_gradient(
    operator: Operator,
    sizes: Mapping[str, int] | None = None,
    dtype: str | torch.dtype = "float64",
    device: str = "cpu",
    seed: int = 0,
    *,
    wrt: str | Sequence[str] | None = None,
) -> GradientReport:
    """Run autograd through a kernel, and compare every gradient with the exact derivative of the definition.

    Parameters
    ----------
    operator : Operator
        What `compile` returned; a stream runs in its form.
    sizes : mapping of str to int
        The size of every dimension that is not fixed.
    dtype : "float64", "float32" or "bfloat16"
        Of the inputs, the incoming gradients and the gradients.
    device : str
        Where the kernel runs.
    seed : int
        Of the inputs and the incoming gradients.
    wrt : str or sequence of str, optional
        The tensors with respect to which derivatives are taken; by default all that have one.

    Returns
    -------
    GradientReport
        Its `tolerance` is not proven (see `tensoralg.lower.gradients`).

    Raises
    ------
    MissingSize, UnknownSize, InvalidSize
        If the sizes are not those of the definition.
    InvalidExpression, UnknownName
        If the operator is not compiled, if there is no such device, dtype or tensor, or no derivative to compare.
    EvaluationError
        If a derivative is undefined at the inputs.

    Examples
    --------
    >>> import tensoralg as ta
    >>> op = ta.compile(ta.parse("O[t] = softmax(s: A[t,s])*x[s]", indices={"t,s": "n"}))
    >>> report = verify_gradient(op, {"n": 4})
    >>> report.ok, report.tensors, report.error < 1e-14
    (True, ('A', 'x'), True)
    """
    if not isinstance(operator, Operator):
        raise InvalidExpression(
            f"verify_gradient runs a compiled operator, and this is of type {type(operator).__name__}",
            remedy="compile the definition first: verify_gradient(compile(definition), sizes=...)",
        )
    kind, where, found = dtype_of(dtype), device_of(device), sizes_of(operator, sizes)
    chosen = _chosen(operator, wrt)
    gates = {node.tensor.name for one in operator.definitions for node in walk(one) if isinstance(node, Decay)}
    arrays = draw_inputs(operator.tensors, found, kind, seed, gates)
    incoming, gradients = _backward(operator, chosen, {name: x.to(where) for name, x in arrays.items()}, seed)
    unit = arithmetic(kind, device).unit
    run = (tuple(symbol.name for symbol in chosen), (_assumption(unit),), found, str(kind)[6:], device, seed)
    given = {name: array.double().cpu() for name, array in (arrays | incoming).items()}
    reports = [
        _compared(symbol, _sum_of_gradients(operator, symbol, tuple(incoming)), gradient, given, math.sqrt(unit), run)
        for symbol, gradient in zip(chosen, gradients, strict=True)
    ]
    worst = max(reports, key=lambda report: (not report.ok, report.error / report.tolerance if report.ok else 0.0))
    return replace(worst, ok=all(reports))


def _assumption(unit: float) -> str:
    return f"the tolerance is not proven: {math.sqrt(unit):.2g} times 1 + the largest entry, half of the digits"


def _chosen(operator: Operator, wrt: str | Sequence[str] | None) -> list[Symbol]:
    """Return the tensors to differentiate with respect to."""
    names = operator.order if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    for name in names:
        if name not in operator.order:
            raise UnknownName(f"there is no tensor {name!r}", remedy=suggest(name, operator.order), name=name)
    paired = {symbol.inverse_of for symbol in operator.tensors}
    chosen = []
    for symbol in operator.tensors:
        bound = symbol.isometry or symbol.projection or symbol.permutation or symbol.inverse_of or symbol.name in paired
        if symbol.name in names and bound and wrt is not None:
            raise InvalidExpression(
                f"autograd moves the entries of {symbol.name} one by one, and its declared facts do not let them",
                remedy="leave it out of wrt, or declare the tensor without the facts",
                tensor=symbol.name,
            )
        if symbol.name in names and not bound:
            chosen.append(symbol)
    if not chosen:
        raise InvalidExpression("there is no derivative to compare", remedy="give an operator of tensors without facts")
    return chosen


def _backward(
    operator: Operator, chosen: Sequence[Symbol], arrays: Mapping[str, Tensor], seed: int
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return the incoming gradients by name, one for each output, and what autograd makes of them."""
    moving = {symbol.name: arrays[symbol.name].detach().requires_grad_() for symbol in chosen}
    leaves = {**arrays, **moving}
    parameters = {name: leaves[name] for name in operator.order if name not in operator.inputs}
    result = torch.func.functional_call(operator, parameters, (), {name: leaves[name] for name in operator.inputs})
    outputs = result if isinstance(result, tuple) else (result,)
    generator = torch.Generator().manual_seed(seed + 1)
    incoming: dict[str, Tensor] = {}
    for output in outputs:
        drawn = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        incoming[fresh("G", {*incoming, *operator.order})] = drawn.to(output.dtype)
    flows = [(x, g.to(x.device)) for x, g in zip(outputs, incoming.values(), strict=True) if x.requires_grad]
    found = torch.autograd.grad(
        [x for x, _ in flows], list(moving.values()), [g for _, g in flows], allow_unused=True, materialize_grads=True
    )
    return incoming, list(found)


def _sum_of_gradients(operator: Operator, symbol: Symbol, cotangents: Sequence[str]) -> list[Any]:
    """Return the gradients that add up to that of all outputs."""
    return [
        grad(one, symbol.name, cotangent)
        for one, cotangent in zip(operator.definitions, cotangents, strict=True)
        if symbol.name in one.tensors
    ]


def _compared(
    symbol: Symbol,
    parts: Sequence[Any],
    gradient: Tensor,
    given: Mapping[str, Tensor],
    share: float,
    run: tuple[Any, ...],
) -> GradientReport:
    """Return the report on one gradient; `parts` are definitions whose exact values add up to it."""
    import flint

    computed = averaged(symbol, gradient.detach().double().cpu())
    sizes = run[2]
    outputs = computed.flatten().tolist()
    errors, tolerance = [0.0 for _ in outputs], share
    for precision in PRECISIONS:
        exact = _values(parts, given, sizes, precision, len(outputs))
        with flint.ctx.workprec(precision):
            errors = [distance(flint.arb(output), value) for output, value in zip(outputs, exact, strict=True)]
            tolerance = share * (1 + max((float(value.abs_upper()) for value in exact), default=0.0))
            if all(float(value.rad()) <= 2.0**-20 * tolerance for value in exact):
                break
    found = torch.tensor(errors, dtype=torch.float64).reshape(computed.shape)
    place = int(torch.where(found.isnan(), math.inf, found).argmax()) if outputs else 0
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), found.shape)) if found.dim() else ()
    worst = errors[place] if outputs else 0.0
    return GradientReport(worst, tolerance, worst <= tolerance, symbol.name, index, *run)


def _values(
    parts: Iterable[Any], given: Mapping[str, Tensor], sizes: Mapping[str, int], precision: int, count: int
) -> list[Any]:
    """Return the sum of the exact values of definitions with the same legs, entry by entry."""
    import flint

    total = [flint.arb(0)] * count
    for part in parts:
        own = {name: sizes[name] for name in all_dimensions(part)}
        values = evaluate(part, own, {name: given[name].numpy() for name in set(part.tensors)}, precision=precision)
        with flint.ctx.workprec(precision):
            total = [x + y for x, y in zip(total, flat(values), strict=True)]
    return total


def averaged(symbol: Symbol, gradient: Tensor) -> Tensor:
    """Return the part of a gradient along the tensors with a declared symmetry.

    Examples
    --------
    >>> import tensoralg as ta
    >>> D = ta.Space("D", 2)
    >>> averaged(ta.tensor("W", D @ D, antisymmetric=True), torch.tensor([[1.0, 2.0], [4.0, 3.0]]))
    tensor([[ 0., -1.],
            [ 1.,  0.]])
    """
    for groups, parity in ((symbol.symmetric, 1), (symbol.antisymmetric, -1)):
        for group in groups:
            images = []
            for order in itertools.permutations(group):
                axes = list(range(gradient.dim()))
                for old, new in zip(group, order, strict=True):
                    axes[old] = new
                swaps = sum(a > b for a, b in itertools.combinations(order, 2))
                images.append(parity**swaps * gradient.permute(axes))
            gradient = sum(images[1:], images[0]) / len(images)
    return gradient
