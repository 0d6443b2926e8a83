"""What an export runs, and its text: a plain torch module with a function ``operator``.

*An expression* is exported as the source that was proved.  *A stream* is exported in the form in which it is compiled:

============ ======================================================================================================
parallel     the definition over all of time at once, as an expression; also where a stream has windows
chunked      the kernel of a chunk, over chunks of one length (a form of None means this one)
recurrent    the kernel of a token
============ ======================================================================================================

The length of a chunk is the one that costs least where all sizes that are not fixed are `TYPICAL`, and so is the
program of a kernel that has several; the model card says both.  Gates that are matrices run token by token inside a
chunk.  The other forms look whether the inputs are finite and go token by token where they are not; an export does
not: a token that is not finite may spoil the outputs at the tokens before it in the same chunk.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tensoralg.errors import UsageError
from tensoralg.expr.evaluate import size_of
from tensoralg.lower.exports.pieces import TYPES, text_of
from tensoralg.lower.lengths import TYPICAL
from tensoralg.lower.operator import Operator
from tensoralg.lower.scales import extent_text
from tensoralg.lower.streams import StreamOperator

BATCH = """
def batch_shape(*shapes):
    return torch.broadcast_shapes(*shapes)
"""


@dataclass(frozen=True)
class Form:
    """What is exported.

    Attributes
    ----------
    name : str
        "expression", "parallel", "chunked" or "recurrent".
    operator : Operator
        The operator that computes exactly what the export does, operation by operation.
    kernel : Operator
        Whose source runs, at once or on the pieces of a stream.
    chosen : int or None
        Which of its programs; None: the cheapest at the sizes of a call.
    length : int or None
        The length of a chunk.
    """

    name: str
    operator: Operator
    kernel: Operator
    chosen: int | None = None
    length: int | None = None

    @property
    def pieces(self) -> bool:
        """Whether it runs on one piece of time after the other."""
        return self.name in ("chunked", "recurrent")


def form_of(operator: Operator) -> Form:
    """Return what is exported for an operator.

    Raises
    ------
    UsageError
        If a stream with windows is to be exported in pieces.
    """
    if not isinstance(operator, StreamOperator):
        return Form("expression", operator, operator)
    windows = operator.recent is not None
    if operator.form == "parallel" or (operator.form is None and windows):
        return Form("parallel", narrowed(operator, "parallel", {}), operator)
    if windows:
        raise UsageError(
            f"a stream with windows is not exported in the {operator.form} form: its states grow at the beginning",
            remedy='compile it with form="parallel"',
        )
    known = dict.fromkeys(_symbols(operator), TYPICAL) | fixed_sizes(operator)
    clock = str(operator.stream.along.dimension)
    if operator.form == "recurrent":
        chosen = cheapest(operator.token, known)
        return Form("recurrent", narrowed(operator, "recurrent", {"token": chosen}), operator.token, chosen)
    shapes = {t.name: [size_of(leg.dimension, known) for leg in t.legs] for t in operator.tensors}
    length = operator._chunk_length({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    chosen = cheapest(operator.chunk, {**known, clock: length})
    return Form("chunked", narrowed(operator, "chunked", {"chunk": chosen}), operator.chunk, chosen, length)


def _symbols(operator: Operator) -> list[str]:
    return sorted({s.name for t in operator.tensors for leg in t.legs for s in free_symbols(leg.dimension)})


def fixed_sizes(operator: Operator) -> dict[str, int]:
    """Return the sizes that an operator was compiled for, and those of its parameters."""
    found: dict[str, int] = dict(operator.sizes)
    for tensor in operator.tensors:
        if tensor.name not in operator.inputs:
            for leg, extent in zip(tensor.legs, getattr(operator, tensor.name).shape, strict=True):
                if free_symbols(leg.dimension) == {leg.dimension}:
                    found.setdefault(leg.dimension.name, extent)
    return found


def free_symbols(dimension: Any) -> set[Any]:
    """Return the symbols of a dimension."""
    return set() if isinstance(dimension, int) else set(dimension.free_symbols)


def cheapest(kernel: Operator, sizes: Mapping[str, int]) -> int:
    """Return which program of a kernel costs least at some sizes."""
    if len(kernel.programs) == 1:
        return 0
    costs = [size_of(cost, sizes) for cost in kernel.costs]
    return costs.index(min(costs))


def narrowed(operator: StreamOperator, form: str, chosen: Mapping[str, int]) -> StreamOperator:
    """Return a copy of a stream's operator with one form, and one program for each of the kernels named."""
    twin = copy.copy(operator)
    twin.form = form
    twin._modules = dict(operator._modules)
    for name, k in chosen.items():
        kernel = copy.copy(getattr(operator, name))
        if len(kernel.programs) > 1:
            kernel._function = kernel._function.__globals__[f"operator_{k}"]
        kernel.programs, kernel.costs = (kernel.programs[k],), (kernel.costs[k],)
        setattr(twin, name, kernel)
    return twin


def text(form: Form, header: str) -> str:
    """Return the module that an export runs; `header` is its docstring.

    Examples
    --------
    >>> import tensoralg as ta
    >>> total = ta.compile(ta.stream(ta.parse("O[t] = le[s,t]*x[s]", indices={"t,s": "n ordered"})), form="recurrent")
    >>> module = {}
    >>> exec(text(form_of(total), "sums"), module)
    >>> module["operator"](torch.arange(4))
    tensor([0, 1, 3, 6])
    """
    opening = header.replace("\\", "\\\\").replace("'''", '"""')
    body = without_docstring(form.kernel.source)
    operator = form.operator
    if form.pieces:
        body = re.sub(r"\boperator(?=_\d|\b)", "kernel", body)
        body = body.replace("import torch\n", f"from typing import Any\n\nimport torch\n{TYPES}", 1)
        body = f"{body}\n\n{_driver(form)}\n\n{_signature(operator)}"
    elif operator.inputs != operator.order:
        body = f"{body}\n\n{inner_name(operator)} = operator\n\n\n{_reordered(operator)}"
    return f"'''{opening}'''\n{body}"


def without_docstring(source: str) -> str:
    """Return an emitted module without its docstring."""
    docstring = ast.parse(source).body[0]
    return "\n".join(source.split("\n")[docstring.end_lineno :])


def arguments(operator: Operator) -> tuple[str, ...]:
    """Return the arguments of an exported function: the inputs, then the parameters."""
    return (*operator.inputs, *(name for name in operator.order if name not in operator.inputs))


def inner_name(operator: Operator) -> str:
    """Return the name of the function that was proved, in the text of an operator that runs at once."""
    return "operator" if operator.inputs == operator.order else unused("proved", operator.order)


def unused(name: str, taken: Sequence[str]) -> str:
    """Return a name that is not taken.

    Examples
    --------
    >>> unused("Q", ["Q", "K"])
    'Q_'
    """
    while name in taken:
        name += "_"
    return name


def _reordered(operator: Operator) -> str:
    called = f"{inner_name(operator)}({', '.join(operator.order)})"
    return f"def operator({', '.join(arguments(operator))}):\n    return {called}\n"


def _signature(operator: Operator) -> str:
    names = arguments(operator)
    called = unused("streamed", names)
    given = ", ".join(f'"{name}": {name}' for name in names)
    alias = "" if called == "streamed" else f"{called} = streamed\n\n\n"
    return f"{alias}def operator({', '.join(names)}):\n    return {called}({{{given}}})\n"


def _driver(form: Form) -> str:
    """Return the function that runs a kernel on all pieces of a stream."""
    operator = form.operator
    if not isinstance(operator, StreamOperator):
        raise UsageError("only a stream runs in pieces", remedy="this is a fault of the library")
    sizes = size_texts(operator)
    batch = ", ".join(
        f'arrays["{t.name}"].shape[: arrays["{t.name}"].dim() - {len(t.legs)}]' if t.legs
        else f'arrays["{t.name}"].shape'
        for t in operator.tensors
    )  # fmt: skip
    first = operator.tensors[0].name
    like = f'dtype=arrays["{first}"].dtype, device=arrays["{first}"].device'
    zeros = {
        state.name: "".join(["*batch,", *(f" {extent_text(leg.dimension, sizes)}," for leg in state.shape)])
        for state in operator.stream.system.states
    }
    lines = ["def streamed(arrays):", f"batch = batch_shape({batch})", "states = {"]
    lines += [f'    "{name}": torch.zeros(({extents}), {like}),' for name, extents in zeros.items()]
    times = {name: place for name, place in operator._place.items() if place is not None}
    name = "kernel" if len(form.kernel.programs) == 1 else f"kernel_{form.chosen}"
    order, outputs = form.kernel.order, operator._out_place
    lines += ["}", f"order, times, outputs = {order!r}, {times!r}, {outputs!r}"]
    turn = operator.stream.reverse
    if turn:
        lines.append("arrays = turned(arrays, times)")
    if form.name == "chunked":
        call = (
            f"in_chunks({name}, order, arrays, times, {sorted(operator._constant)!r}, states, outputs, {form.length})"
        )
    else:
        call = f"in_tokens({name}, order, arrays, times, states, outputs)"
    lines.append(f"found = {call}")
    if turn:
        lines.append("found = [x.flip(time) for x, time in zip(found, outputs, strict=True)]")
    lines.append("return found[0]" if operator.stream.single else "return tuple(found)")
    helpers = ["cut", "joined", "carried", "in_chunks"] if form.name == "chunked" else ["carried", "in_tokens"]
    helpers = ["scan", *helpers, *(["turned"] if turn else [])]
    return f"{BATCH.lstrip()}\n\n{text_of(*helpers)}\n\n" + "\n    ".join(lines) + "\n"


def size_texts(operator: Operator) -> dict[str, str]:
    """Return where every size is read, as Python text."""
    found: dict[str, str] = {}
    for tensor in operator.tensors:
        for k, leg in enumerate(tensor.legs):
            if getattr(leg.dimension, "is_Symbol", False):
                found.setdefault(leg.dimension.name, f'arrays["{tensor.name}"].shape[{k - len(tensor.legs)}]')
    return {**found, **{name: str(size) for name, size in operator.sizes.items()}}
