"""Exports: operators as files that run without this library.

What is exported is what was proved (see `forms`), and the file itself is run before it is handed over: its outputs at
sample sizes are within the proven bound of the exact values of the definition, or there is no file.
"""

from __future__ import annotations

import copy
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tensoralg.errors import (
    EvaluationError,
    ExportFailed,
    FactConflict,
    InvalidExpression,
    UnknownName,
    UsageError,
    suggest,
)
from tensoralg.lower.arithmetic import dtype_of
from tensoralg.lower.exports.card import card_path, make_card, measurement, proofs_of
from tensoralg.lower.exports.files import check_target, write_whole
from tensoralg.lower.exports.forms import Form, arguments, fixed_sizes, form_of, text
from tensoralg.lower.exports.trace import archive, example_sizes, onnx_model, traced
from tensoralg.lower.operator import Operator, load
from tensoralg.lower.verify import verify

ENDINGS = {"pt2": ".pt2", "onnx": ".onnx", "source": ".py"}
FORMATS = tuple(ENDINGS)
MOST = 10**6  # the product of all sizes up to which the exact values are waited for unasked
Run = Callable[[Mapping[str, torch.Tensor]], Any]


def export(
    operator: Operator,
    path: str | Path,
    format: str = "pt2",
    dtype: str | torch.dtype | None = None,
    batch: int | Mapping[str, int] = 0,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Write an operator to a file that runs without this library, and its model card beside it.

    ``"pt2"`` is a torch archive, for ``torch.export.load`` or :func:`load_exported`; ``"onnx"`` a model for any ONNX
    runtime; ``"source"`` a Python module with a function ``operator``, which needs torch alone.  The inputs are
    `operator.inputs` in order.  Sizes are dynamic, from 1 on, unless the operator was compiled with `sizes`.
    Archives and models hold the values of parameters; in a source, parameters are arguments after the inputs.

    The card, ``PATH.card.json``, says the definition, inputs, costs, the proofs with their certificates, the error
    found at sample sizes with its proven bound, versions, and the digest of the file.  Both files are written whole or
    not at all.  Archives check the sizes of their inputs; sources and models do not, and broadcast axes of size 1.

    Parameters
    ----------
    operator : Operator
        What `compile` returned.
    path : str or Path
        The file; an old one is replaced.  ``.pt2``, ``.onnx`` and ``.py`` are for their formats, other endings for all.
    format : "pt2", "onnx" or "source"
        What is written.
    dtype : dtype or its name, optional
        Of all inputs: float64, float32 or bfloat16, for which there are error bounds; if not given, that of the
        parameters, or torch's default.  A source runs in any.
    batch : int or mapping of str to int
        How many batch axes every input has in front, or each one named (the others: none).  Their sizes are dynamic,
        and where one input has fewer than another, its axes are the last ones of the other.  A source broadcasts.
    sizes : mapping of str to int, optional
        The sizes at which the file is run and compared with the exact value; small ones if not given.

    Raises
    ------
    InvalidExpression, UsageError, UnknownName
        If there is no such operator, format, dtype or input.
    ExportFailed
        If torch cannot write the operator in that format for all sizes, or what it wrote computes something else.
    MissingDependency
        If a package that writes ONNX is missing.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import tensoralg as ta
    >>> op = ta.compile(ta.parse("O[t] = A[t,s]*x[s]", indices={"t,s": "n"}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(op, f"{folder}/product.py", format="source")
    ...     names = sorted(file.name for file in Path(folder).iterdir())
    >>> names
    ['product.py', 'product.py.card.json']
    """
    if not isinstance(operator, Operator):
        raise InvalidExpression(
            f"export writes a compiled operator, and this is of type {type(operator).__name__}",
            remedy="compile the definition first: export(compile(definition), path)",
        )
    if format not in FORMATS:
        raise UsageError(f"there is no format {format!r}", remedy=suggest(str(format), FORMATS))
    kind, axes = _dtype(operator, dtype), _batch(operator, batch)
    target = Path(path)
    other = next((name for name, ending in ENDINGS.items() if ending == target.suffix and name != format), None)
    if other is not None:
        raise UsageError(
            f"{target.name} would be a file in the format {format!r}", remedy=f'give format="{other}", or another name'
        )
    check_target(target)
    check_target(card_path(target))
    form = form_of(operator)
    proofs = proofs_of(form)
    source = text(form, header(form, [proof["certificate_sha256"] for proof in proofs]))
    if format == "source":
        data, run = source.encode(), _run_source(form, source)
    else:
        program = traced(form, source, kind, axes, onnx=format == "onnx")
        if format == "onnx":
            outputs = [one.name for one in operator.definitions]
            data, run = onnx_model(program, operator.inputs, _distinct(outputs, operator.inputs)), None
        else:
            data = archive(program)
            run = _run_archive(form, data, axes)
    measured = _measured(form, run, sizes, kind)
    card = make_card(form, format, data, kind, axes, proofs, measured)
    written = json.dumps(card, indent=2, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    write_whole({target: data, card_path(target): written})


def header(form: Form, certificates: list[str]) -> str:
    """Return what stands at the top of an exported source: definition, form, plan, certificates' digests."""
    operator, plan = form.operator, form.operator.plan
    lines = [*map(str, operator.definitions), ""]
    if form.pieces:
        per = f"chunks of {form.length} tokens" if form.length else "one token after the other"
        lines.append(f"A stream, run in {per}, each by the proved kernel below.")
    lines += [
        f"FLOPs of the whole: {plan.flops}",
        f"pointwise operations: {plan.pointwise}",
        f"largest array: {plan.largest}",
        f"programs: {', '.join(map(str, form.kernel.costs))} FLOPs" + (" (of a piece)" if form.pieces else ""),
        "",
        "Proved equal to the definition.  SHA-256 of the certificates, as canonical JSON (in the model card):",
        *(f"  {one}" for one in certificates),
        "",
    ]
    return "\n".join(lines)


def _dtype(operator: Operator, dtype: str | torch.dtype | None) -> torch.dtype:
    if dtype is None:
        dtype = next((p.dtype for p in operator.parameters()), torch.get_default_dtype())
    return dtype_of(dtype)


def _batch(operator: Operator, batch: int | Mapping[str, int]) -> dict[str, int]:
    """Return how many batch axes each input has."""
    given = dict(batch) if isinstance(batch, Mapping) else dict.fromkeys(operator.inputs, batch)
    for name, count in given.items():
        if name not in operator.inputs:
            raise UnknownName(f"there is no input {name!r}", remedy=suggest(name, operator.inputs), name=name)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise UsageError(
                f"{count!r} is no number of batch axes", remedy="give an integer from 0 on, or one for each input"
            )
    return {name: given.get(name, 0) for name in operator.inputs}


def _distinct(names: list[str], taken: tuple[str, ...]) -> list[str]:
    """Return names of outputs that differ from each other and from those of the inputs."""
    found: list[str] = []
    for name in names:
        while name in taken or name in found:
            name += "_"
        found.append(name)
    return found


# running what was written


def _run_source(form: Form, source: str) -> Run:
    function = load(source)
    return lambda values: function(*[values[name] for name in arguments(form.operator)])


def _run_archive(form: Form, data: bytes, axes: Mapping[str, int]) -> Run:
    """Return what runs an archive at inputs without batch axes."""
    module = torch.export.load(io.BytesIO(data)).module(check_guards=True)
    inputs, most = form.operator.inputs, max(axes.values(), default=0)

    def run(values: Mapping[str, torch.Tensor]) -> Any:
        stored = {name: value for name, value in values.items() if name not in inputs}
        arrays = tuple(values[name][(None,) * axes[name]] for name in inputs)
        found = torch.func.functional_call(module, stored, arrays)
        if isinstance(found, tuple | list):
            return tuple(x.reshape(x.shape[most:]) for x in found)
        return found.reshape(found.shape[most:])

    return run


def _measured(form: Form, run: Run | None, sizes: Mapping[str, int] | None, kind: torch.dtype) -> dict[str, Any]:
    """Return what a run at sample sizes found: of the file, or (`run` is None) of the operator.

    Raises
    ------
    ExportFailed
        If a result is farther from its exact value than the proven bound.
    """
    operator, of = form.operator, "the operator" if run is None else "the file"
    if run is not None:
        operator = copy.copy(operator)
        operator.forward = _forward(operator, run)  # type: ignore[method-assign]
    wanted = {**sample_sizes(operator), **(sizes or {})}
    for name, size in fixed_sizes(operator).items():
        if wanted[name] != size:
            raise UsageError(
                f"{name} = {wanted[name]} is asked for, and {name} is fixed to {size}", remedy="leave it out"
            )
    if sizes is None and math.prod(wanted.values()) > MOST:
        return {"of": of, "not_measured": "the fixed sizes are too large for exact values; give sizes to wait for them"}
    try:
        report = verify(operator, {name: size for name, size in wanted.items() if name not in operator.sizes}, kind)
    except (FactConflict, EvaluationError) as error:
        return {"of": of, "not_measured": str(error)}
    if not report.error <= report.bound:
        raise ExportFailed(
            f"{of} computed a value that is off by {report.error:.3g}, and the proven bound is {report.bound:.3g} "
            f"(output {report.output}, entry {report.index}, {report.reason})",
            remedy="report this",
        )
    return measurement(report, of)


def _forward(operator: Operator, run: Run) -> Callable[..., Any]:
    def forward(**inputs: torch.Tensor) -> Any:
        found = run({name: inputs[name] if name in inputs else getattr(operator, name) for name in operator.order})
        return (found,) if isinstance(operator.definition, tuple) and not isinstance(found, tuple) else found

    return forward


def sample_sizes(operator: Operator) -> dict[str, int]:
    """Return small sizes at which an export is compared with exact values."""
    fixed = fixed_sizes(operator)
    names = example_sizes(operator, None, 0)
    return {name: fixed.get(name, 2 + position % 5) for position, name in enumerate(names)}
