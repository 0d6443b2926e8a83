"""A kernel against its definition: exact evaluation, and a rigorous bound for every entry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tensoralg.errors import InvalidExpression, MissingSize
from tensoralg.expr import Definition, evaluate, walk
from tensoralg.expr.arrays import all_dimensions
from tensoralg.expr.nodes import Decay
from tensoralg.lower.arithmetic import arithmetic, dtype_of
from tensoralg.lower.bounds import chosen_program, error_bound
from tensoralg.lower.draws import draw_inputs
from tensoralg.lower.operator import Operator, device_of
from tensoralg.lower.stream_bounds import stream_bound
from tensoralg.lower.streams import StreamOperator
from tensoralg.spaces import check_sizes

PRECISIONS = (192, 768, 3072)


@dataclass(frozen=True)
class Report:
    """What a comparison of a kernel with its definition found.

    Attributes
    ----------
    error, bound : float
        Absolute error (rounded up) and proven bound at the entry where their ratio is largest.
    ok : bool
        Whether every entry is within a finite bound; False where anything is NaN.
    output : int
        The position of the result that this entry belongs to; 0 where there is only one.
    index : tuple of int
        That entry.
    reason : str
        Why it is not ok; empty if it is.
    assumptions : tuple of str
        What the bound takes for granted.
    sizes, dtype, device, seed
        What was run.
    """

    error: float
    bound: float
    ok: bool
    output: int
    index: tuple[int, ...]
    reason: str
    assumptions: tuple[str, ...]
    sizes: Mapping[str, int]
    dtype: str
    device: str
    seed: int

    @property
    def slack(self) -> float:
        """How many times larger the bound is than the error; infinite if the error is 0."""
        return self.bound / self.error if self.error else math.inf

    def __bool__(self) -> bool:
        return self.ok


def verify(
    operator: Operator,
    sizes: Mapping[str, int] | None = None,
    dtype: str | torch.dtype = "float32",
    device: str = "cpu",
    seed: int = 0,
) -> Report:
    """Run a kernel on random inputs and compare every entry of every result with the exact value of its definition.

    Parameters
    ----------
    operator : Operator
        What `compile` returned; a stream runs in its form.
    sizes : mapping of str to int
        The size of every dimension that is not fixed.
    dtype : "float64", "float32" or "bfloat16"
        Of the inputs and the result.
    device : str
        Where the kernel runs.
    seed : int
        Of the inputs: floats with full mantissas, declared facts exactly true.

    Raises
    ------
    MissingSize, UnknownSize, InvalidSize
        If the sizes are not those of the definition.
    InvalidExpression, UnknownName
        If the operator is not compiled, or there is no such device or dtype.
    EvaluationError
        If the definition is undefined at the inputs.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.lower import compile
    >>> op = compile(ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f": "d", "e": "d"}))
    >>> report = verify(op, {"n": 8, "d": 4})
    >>> report.ok, 0 < report.error <= report.bound < 1e-4
    (True, True)
    """
    if not isinstance(operator, Operator):
        raise InvalidExpression(
            f"verify runs a compiled operator, and this is of type {type(operator).__name__}",
            remedy="compile the definition first: verify(compile(definition), sizes=...)",
        )
    kind = dtype_of(dtype)
    where = device_of(device)
    found = sizes_of(operator, sizes)
    gates = {node.tensor.name for one in operator.definitions for node in walk(one) if isinstance(node, Decay)}
    arrays = draw_inputs(operator.tensors, found, kind, seed, gates)
    moved = {name: array.to(where) for name, array in arrays.items()}
    parameters = {name: moved[name] for name in operator.order if name not in operator.inputs}
    inputs = {name: moved[name] for name in operator.inputs}
    with torch.no_grad():
        found_values = torch.func.functional_call(operator, parameters, (), inputs)
    computed = [x.to("cpu") for x in (found_values if isinstance(found_values, tuple) else (found_values,))]
    machine = arithmetic(kind, device)
    exact_inputs = {name: array.double() for name, array in arrays.items()}
    if isinstance(operator, StreamOperator):
        bounds = stream_bound(operator, exact_inputs, found, machine)
    else:
        bounds = error_bound(chosen_program(operator, found), exact_inputs, found, machine)
    run = (machine.assumptions, found, str(kind)[6:], device, seed)
    reports = []
    for position, (definition, values, bound) in enumerate(zip(operator.definitions, computed, bounds, strict=True)):
        error = true_error(definition, found, exact_inputs, values, bound)
        reports.append(_report(position, error, bound, values.dtype == kind or not operator.inputs, run))
    return max(reports, key=_badness)


def _badness(report: Report) -> tuple[bool, float]:
    """Order reports: any that is not ok is worst, then the one with the largest ratio of error to bound."""
    return not report.ok, report.error / report.bound if report.ok and report.error else 0.0


def sizes_of(operator: Operator, sizes: Mapping[str, int] | None) -> dict[str, int]:
    """Return the sizes of all dimensions of an operator, those that are fixed among them."""
    names = set().union(*map(all_dimensions, operator.definitions))
    found = {**operator.sizes, **check_sizes(sizes, names)}
    for name in sorted(names - set(found)):
        raise MissingSize(f"no size for dimension {name}", remedy=f"pass sizes={{{name!r}: ...}}", name=name)
    return found


def true_error(
    definition: Definition, sizes: Mapping[str, int], arrays: Mapping[str, Tensor], computed: Tensor, bound: Tensor
) -> Tensor:
    """Return, rounded up, the difference between what was computed and a definition's exact value."""
    import flint

    given = {name: arrays[name].numpy() for name in set(definition.tensors)}
    own = {name: sizes[name] for name in all_dimensions(definition)}
    outputs = [float(value) for value in computed.double().flatten()]
    limits = bound.flatten().tolist()
    errors: list[float] = []
    for precision in PRECISIONS:
        exact = flat(evaluate(definition, own, given, precision=precision))
        with flint.ctx.workprec(precision):
            errors = [distance(flint.arb(output), value) for output, value in zip(outputs, exact, strict=True)]
            sharp = all(float(v.rad()) <= 2.0**-20 * b for v, b in zip(exact, limits, strict=True))
        if sharp:
            break
    return torch.tensor(errors, dtype=torch.float64).reshape(computed.shape)


def flat(value: Any) -> list[Any]:
    """Return the exact values of a result in a list."""
    return list(value.ravel()) if hasattr(value, "ravel") else [value]


def distance(computed: Any, exact: Any) -> float:
    """Return, rounded up, how far a number is from a ball; NaN for what is no number."""
    if not computed.is_finite():
        return math.nan
    difference = computed - exact
    return 0.0 if difference.is_zero() else math.nextafter(float(difference.abs_upper()), math.inf)


def _report(output: int, error: Tensor, bound: Tensor, same_dtype: bool, run: tuple[Any, ...]) -> Report:
    bad = error.isnan() | ~(error <= bound) | bound.isinf()
    # the worst entry: not a number, then the largest ratio
    ratio = torch.where(error.isnan(), math.inf, torch.where(error == 0, 0.0, error / bound))
    place = int(ratio.argmax()) if ratio.numel() else 0
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), ratio.shape)) if ratio.dim() else ()
    worst = (error[index].item(), bound[index].item()) if ratio.numel() else (0.0, 0.0)
    reason = ""
    if not same_dtype:
        reason = "the result has another dtype than the inputs"
    elif error.isnan().any():
        reason = "the kernel computed NaN or infinity"
    elif bound.isinf().any():
        reason = "the bound is infinite: overflow, a denominator near 0, or more terms than the format can sum"
    elif bad.any():
        reason = f"{int(bad.sum())} of {bad.numel()} entries are out of bound"
    return Report(*worst, not reason, output, index, reason, *run)
