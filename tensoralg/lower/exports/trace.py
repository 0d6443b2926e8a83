"""Modules traced by torch.export, for all sizes at once.

A tracer follows the operations on examples and takes as constant what Python asked a size for.  What would ask is
said in another way while a module is traced (the values are the same):

* ``math.sqrt(d)`` and its like, of sizes, are computed by torch, in float64;
* the program that is cheapest at the sizes of a call is chosen by `torch.cond`, which keeps all of them;
* the loop over the pieces of a stream is `torch.scan`, and ``max`` of sizes is symbolic;
* ``x.mT`` is ``x.transpose(-1, -2)`` (a tracer of branches takes attributes of tensors out of them), triangles of
  products are not taken in place, and ``x + y @ z`` is two operations;
* a scale of attention that is a function of sizes multiplies the query.

Example sizes are different primes, none of them 0 or 1, so that no two sizes are taken for one.  Every example is a
tensor of its own: two that are one object would become one input.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import logging
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import sympy
import torch

from tensoralg.errors import ExportFailed, MissingDependency
from tensoralg.expr.evaluate import size_of
from tensoralg.lower.exports.forms import Form, arguments, fixed_sizes, free_symbols, inner_name, size_texts, unused
from tensoralg.lower.helpers import attend
from tensoralg.lower.operator import Operator
from tensoralg.lower.scales import extent_text
from tensoralg.lower.streams import StreamOperator


def traced(
    form: Form, source: str, dtype: torch.dtype, batch: Mapping[str, int], onnx: bool = False
) -> torch.export.ExportedProgram:
    """Return an exported module, traced with torch.export.

    Parameters
    ----------
    form : Form
        What is exported.
    source : str
        Its text.
    dtype : torch.dtype
        Of all inputs.
    batch : mapping of str to int
        How many batch axes each input has.
    onnx : bool
        Whether the graph is to be an ONNX model.

    Raises
    ------
    ExportFailed
        If torch cannot export it, or only for some sizes.
    """
    module = _module(form, source, dtype, onnx)
    examples, shapes = _examples(form, dtype, batch)
    # loops and branches are compiled for examples, and what was compiled for others would be asked first
    torch._dynamo.reset()
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(module, tuple(examples), dynamic_shapes=tuple(shapes), strict=False)
    except (RuntimeError, ValueError, AssertionError, TypeError, NotImplementedError) as error:
        raise ExportFailed(
            f"torch.export cannot export this operator for all sizes: {_first_lines(error)}",
            remedy="fix the sizes that it names, compile(..., sizes={...}), export a stream in another form "
            '(compile(stream, form="recurrent")), or export format="source"',
        ) from error
    program._example_inputs = None  # they would be pickled
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's notes on its own workings from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _first_lines(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return "\n  ".join(text.split("\n")[:6])


# the module


def _module(form: Form, source: str, dtype: torch.dtype, onnx: bool) -> torch.nn.Module:
    """Return a torch module that runs the text of an export, said as a tracer wants it."""
    operator, names = form.operator, arguments(form.operator)
    owner = unused("self", names)
    values = ", ".join(name if name in operator.inputs else f"{owner}.{name}" for name in names)
    mark = "torch_"
    while any(name.startswith(mark) for name in (*names, *form.kernel.order)):
        mark += "_"
    text = re.sub(r"\btorch\.(einsum|cumprod|prod)\(", rf"{mark}\1(", source)
    text = re.sub(r"\.(tril|triu)_\(", r".\1(", re.sub(r"\.mT\b", ".transpose(-1, -2)", text))
    text += (
        f"\n\nclass Traced(torch.nn.Module):\n    def forward({', '.join([owner, *operator.inputs])}):"
        f"\n        return operator({values})\n"
    )
    space = _load(text).__dict__
    space.update(FUNCTIONS | (LOOPS if onnx else {}))
    products = (_cumprod, _prod) if onnx else (torch.cumprod, torch.prod)
    space.update(zip((f"{mark}einsum", f"{mark}cumprod", f"{mark}prod"), (_einsum, *products), strict=True))
    if form.pieces:
        space.update(scan=_scan, batch_shape=_longest)
    elif len(operator.programs) > 1:
        space[inner_name(operator)] = _choice(operator, space)
    module: torch.nn.Module = space["Traced"]()
    for name in names[len(operator.inputs) :]:
        value = getattr(operator, name).detach().to(dtype=dtype, device="cpu", copy=True)
        module.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))
    return module


def _load(text: str) -> ModuleType:
    """Return the module of a text; a tracer finds the globals of its functions through its name."""
    module = ModuleType(f"tensoralg_export_{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    exec(compile(text, f"<{module.__name__}>", "exec"), module.__dict__)
    sys.modules[module.__name__] = module
    return module


def _choice(operator: Operator, space: dict[str, Any]) -> Callable[..., Any]:
    """Return the function that runs, under torch.cond, the program that is cheapest at the sizes of a call."""
    sizes = size_texts(operator)
    costs = ", ".join(extent_text(cost, sizes) for cost in operator.costs)
    names = ", ".join(f'"{name}": arrays[{k}]' for k, name in enumerate(operator.order))
    exec(f"def costs_of(arrays):\n    arrays = {{{names}}}\n    return [{costs}]\n", space)
    costs_of = space["costs_of"]
    programs = [space[f"operator_{k}"] for k in range(len(operator.programs))]

    def best(first: int, end: int, arrays: Sequence[torch.Tensor]) -> Any:
        """Run the cheapest of the programs first, ..., end - 1; of equal ones the first."""
        if end - first == 1:
            return _own(programs[first](*arrays))
        middle, costs = (first + end) // 2, costs_of(arrays)
        left, right = (functools.reduce(torch.sym_min, part) for part in (costs[first:middle], costs[middle:end]))
        if isinstance(left <= right, bool):
            return best(first, middle, arrays) if left <= right else best(middle, end, arrays)
        return torch.cond(
            left <= right, lambda *x: best(first, middle, x), lambda *x: best(middle, end, x), tuple(arrays)
        )

    return lambda *arrays: best(0, len(programs), arrays)


def _own(values: Any) -> Any:
    """Return arrays in memory of their own, as the branches of torch.cond have to."""
    if isinstance(values, tuple):
        return tuple(x.clone(memory_format=torch.contiguous_format) for x in values)
    return values.clone(memory_format=torch.contiguous_format)


def _scan(step: Any, states: Any, pieces: Any) -> Any:
    from torch._higher_order_ops.scan import scan

    return scan(step, states, pieces)


def _longest(*shapes: Any) -> Any:
    """Return the batch axes of all inputs: those of the input that has most of them."""
    return max(shapes, key=len)


# functions of sizes


def _number(x: Any) -> Any:
    """Return a size as a tensor without axes."""
    return x if isinstance(x, torch.Tensor) else torch.scalar_tensor(x, dtype=torch.float64)


def _function(name: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        if isinstance(x, int | float):
            return getattr(math, name)(x)
        return getattr(torch, name)(_number(x))

    return function


def _reciprocal(x: Any) -> Any:
    if isinstance(x, int | float):
        return 1 / x if x else math.nan
    number = _number(x)
    return torch.where(number == 0, math.nan, 1 / number)


def _max(*values: Any) -> Any:
    if any(isinstance(x, torch.Tensor) for x in values):
        return functools.reduce(torch.maximum, map(_number, values))
    return functools.reduce(torch.sym_max, values)


def _product(left: torch.Tensor, right: torch.Tensor, *_: bool) -> torch.Tensor:
    return left @ right


def _add_product(added: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *_: bool) -> torch.Tensor:
    return added + left @ right


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: Any, *rest: Any, **kw: Any) -> Any:
    """Return attention; a scale that is a function of sizes goes to the query: torch's kernel wants a constant."""
    if isinstance(scale, torch.Tensor):
        query, scale = query * scale.to(query.dtype), 1.0
    return attend(query, key, value, scale, *rest, **kw)


def _einsum(text: str, *arrays: torch.Tensor) -> torch.Tensor:
    """Return an einsum whose operands have the same number of batch axes, as ONNX wants it."""
    terms = text.split("->")[0].split(",")
    batch = [x.dim() - (len(term) - 3) for x, term in zip(arrays, terms, strict=True)]
    padded = [x[(None,) * (max(batch) - k)] for x, k in zip(arrays, batch, strict=True)]
    return torch.einsum(text, *padded)


FUNCTIONS = {
    "math": SimpleNamespace(inf=math.inf, nan=math.nan, **{name: _function(name) for name in ("sqrt", "exp", "log")}),
    "reciprocal": _reciprocal,
    "max": _max,
    "product": _product,
    "add_product": _add_product,
    "attend": _attend,
}


# products of gates, for ONNX, which has no cumulative product


def _cumprod(array: torch.Tensor, axis: int) -> torch.Tensor:
    factors = array.movedim(axis, 0).clone(memory_format=torch.contiguous_format)

    def step(before: Any, factor: Any) -> Any:
        product = before[0] * factor[0]
        return [product], [product.clone()]

    _, found = _scan(step, [torch.ones_like(factors[0])], [factors])
    return found[0].movedim(0, axis)  # type: ignore[no-any-return]


def _prod(array: torch.Tensor, axis: int) -> torch.Tensor:
    return _cumprod(array, axis).select(axis, -1)


def _decay_between(gate: torch.Tensor, time: int) -> torch.Tensor:
    n = gate.shape[time]
    inside = torch.ones(n, n, dtype=torch.bool, device=gate.device).tril(-1)
    table = _cumprod(torch.where(inside, gate.movedim(time, -1)[..., None], 1), -2).tril()
    return table.movedim((-2, -1), (time - 1, time))


def _decay_to_end(gate: torch.Tensor, time: int) -> torch.Tensor:
    gate = gate.movedim(time, -1)
    later = torch.cat([gate[..., 1:], torch.ones_like(gate[..., :1])], -1)
    return _cumprod(later.flip(-1), -1).flip(-1).movedim(-1, time)


LOOPS = {"decay_between": _decay_between, "decay_to_end": _decay_to_end}


# examples


def _examples(form: Form, dtype: torch.dtype, batch: Mapping[str, int]) -> tuple[list[torch.Tensor], list[Any]]:
    """Return an example of every input, and which of its axes may have any size."""
    operator = form.operator
    clock = str(operator.stream.along.dimension) if isinstance(operator, StreamOperator) else None
    known = example_sizes(operator, clock, 2 * (form.length or 1))
    primes = (p for p in sympy.primerange(3, 10**6) if p not in known.values())
    most = max(batch.values(), default=0)
    axes = [(torch.export.Dim(f"batch_{k}", min=1), next(primes)) for k in range(most)]
    fixed = fixed_sizes(operator)
    dims = {name: torch.export.Dim(_identifier(name), min=1) for name in known if name not in fixed}
    examples, shapes = [], []
    generator = torch.Generator().manual_seed(0)
    for tensor in (t for name in operator.inputs for t in operator.tensors if t.name == name):
        front = axes[most - batch[tensor.name] :]
        extents = [*(size for _, size in front), *(size_of(leg.dimension, known) for leg in tensor.legs)]
        examples.append(torch.rand(extents, dtype=torch.float64, generator=generator).add(0.5).to(dtype))
        legs = [_free_axis(leg.dimension, dims) for leg in tensor.legs]
        shapes.append(dict(enumerate([*(dim for dim, _ in front), *legs])))
    return examples, shapes


def example_sizes(operator: Operator, clock: str | None, least: int) -> dict[str, int]:
    """Return different primes for all sizes that are not fixed; that of the clock is larger than `least`."""
    names = sorted({s.name for t in operator.tensors for leg in t.legs for s in free_symbols(leg.dimension)})
    known = fixed_sizes(operator)
    for name in names:
        if name not in known:
            start = max(least if name == clock else 0, 5)
            known[name] = next(p for p in sympy.primerange(start, 10**6) if p not in known.values())
    return known


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "size_" + "".join(c if c.isalnum() else "_" for c in name)


def _free_axis(dimension: Any, dims: Mapping[str, Any]) -> Any:
    symbols = free_symbols(dimension)
    if all(s.name not in dims for s in symbols):
        return torch.export.Dim.STATIC
    return dims[dimension.name] if dimension.is_Symbol else torch.export.Dim.DYNAMIC


# the files


def archive(program: torch.export.ExportedProgram) -> bytes:
    """Return a traced module as the bytes of a torch.export archive."""
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(program, buffer)
    return buffer.getvalue()


def onnx_model(program: torch.export.ExportedProgram, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Return a traced module as the bytes of an ONNX model, its weights included.

    Raises
    ------
    MissingDependency
        If the packages that write ONNX are not installed.
    ExportFailed
        If an operation has no ONNX form, or the model is larger than the format allows (2 GiB).
    """
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript")):
        raise MissingDependency(
            "ONNX models need the packages onnx and onnxscript", remedy="pip install tensoralg[export]"
        )
    try:
        with _quiet(), contextlib.redirect_stdout(io.StringIO()):
            found = torch.onnx.export(
                program, (), dynamo=True, verbose=False, report=False, input_names=list(inputs),
                output_names=list(outputs),
            )  # fmt: skip
            if found is None:
                raise ExportFailed("torch.onnx returned no model", remedy='export format="pt2" or "source"')
            return bytes(found.model_proto.SerializeToString())
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ExportFailed(
            f"torch.onnx cannot export this operator: {_reason(error)}",
            remedy='export a stream in its recurrent form (compile(stream, form="recurrent")), or format="pt2"',
        ) from error


def _reason(error: BaseException) -> str:
    """Return what was at the bottom of an error, in a few lines."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _first_lines(error)
