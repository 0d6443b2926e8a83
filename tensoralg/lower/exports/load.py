"""Loading torch archives again: nothing in them is run or unpickled before it was looked at.

``torch.export.load`` unpickles weights, constants and example inputs that say they are pickled, evaluates sizes and
guards as Python text, takes any function of torch for an operation, and loads compiled libraries.  So an archive is
loaded only if

* its digest is that of its model card;
* it holds the records that `export` writes, and no others;
* no weight or constant is pickled, and there are no example inputs;
* every operation is one of torch's tensor operations, or arithmetic on sizes;
* every size and every guard is arithmetic and comparisons.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tensoralg.errors import ArchiveRefused, InputMismatch, UnknownName, UsageError, counted, suggest
from tensoralg.lower.exports.card import checked_card
from tensoralg.lower.operator import check_batch, check_shape

RECORDS = re.compile(
    r"models/model\.json|data/sample_inputs/model\.pt|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)|archive_format|archive_version|byteorder|version"
    r"|\.data/(version|serialization_id)"
)
TARGETS = re.compile(r"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+")
EXAMPLES = "data/sample_inputs/model.pt"
ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Load, ast.Constant,
    ast.Subscript, ast.keyword, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
FUNCTIONS = re.compile(
    r"(Symbol|Integer|Rational|Float|Pow|Mul|Add|Eq|Ne|Mod|PythonMod|FloorDiv|CleanDiv|CeilToInt|FloorToInt|TruncToInt"
    r"|Max|Min|And|Or|Not|LessThan|StrictLessThan|GreaterThan|StrictGreaterThan|Equality|Unequality|Where|ToFloat"
    r"|IntTrueDiv|FloatTrueDiv|PowByNatural|Identity|IsNonOverlappingAndDenseIndicator|min|max|floor|ceiling)"
)
METHODS = ("size", "stride", "storage_offset")


class Exported:
    """An exported operator, loaded again; made by :func:`load_exported`.

    Attributes
    ----------
    module : torch.nn.Module
        What torch loaded.
    card : dict
        The model card.
    inputs : tuple of str
        Names of the arguments, in order.
    """

    def __init__(self, module: torch.nn.Module, card: Mapping[str, Any]) -> None:
        self.module, self.card = module, card
        self.inputs = tuple(one["name"] for one in card["inputs"])

    def __call__(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> Any:
        """Return the value at the given arrays, by name or in the order of `inputs`.

        Raises
        ------
        UnknownName, ShapeMismatch, InputMismatch
            If inputs are missing, or are not those of the card.
        """
        if len(args) > len(self.inputs):
            raise UnknownName(
                f"got {counted(len(args), 'array')} for {counted(len(self.inputs), 'input')}",
                remedy=f"give {', '.join(self.inputs)}",
            )
        given = {**dict(zip(self.inputs, args, strict=False)), **kwargs}
        for name in given:
            if name not in self.inputs:
                raise UnknownName(f"there is no input {name!r}", remedy=suggest(name, self.inputs), name=name)
        for name in self.inputs:
            if name not in given:
                raise UnknownName(f"input {name} is missing", remedy=f"pass {name}=...", name=name)
        self._check(given)
        return self.module(*[given[name] for name in self.inputs])

    def _check(self, given: Mapping[str, Any]) -> None:
        sizes, inputs = dict(self.card["fixed_sizes"]), self.card["inputs"]
        for one in inputs:
            name, array, legs, batch = one["name"], given[one["name"]], one["legs"], one["batch_axes"]
            if not isinstance(array, torch.Tensor) or str(array.dtype) != f"torch.{one['dtype']}":
                what = array.dtype if isinstance(array, torch.Tensor) else type(array).__name__
                raise InputMismatch(
                    f"input {name} is {what}, and was exported as {one['dtype']}",
                    remedy="convert it, or export for that dtype",
                    tensor=name,
                )
            if array.dim() != batch + len(legs):
                raise InputMismatch(
                    f"input {name} has {counted(array.dim(), 'axis', 'axes')}, and was exported with "
                    f"{counted(batch, 'batch axis', 'batch axes')} and {counted(len(legs), 'leg')}",
                    remedy=f"give {batch + len(legs)}, or export with batch={array.dim() - len(legs)}",
                    tensor=name,
                )
            if 0 in array.shape:
                raise InputMismatch(
                    f"input {name} has shape {tuple(array.shape)}: exports take sizes from 1 on",
                    remedy="run the operator itself for empty inputs",
                    tensor=name,
                )
            dimensions = tuple(int(d) if d.isdecimal() else d if d.isidentifier() else None for d in legs)
            check_shape(name, dimensions, array, sizes)
        check_batch(
            (f"input {one['name']}", given[one["name"]].shape[: one["batch_axes"]]) for one in self.card["inputs"]
        )


def load_exported(path: str | Path) -> Exported:
    """Return an operator that was exported as a torch archive.

    Parameters
    ----------
    path : str or Path
        A file that `export` wrote with ``format="pt2"``, its model card beside it.

    Raises
    ------
    OSError
        If the file cannot be read.
    ArchiveRefused
        If there is no card, the file is not the one that it was written for, or it holds what is not safe to load.
    UsageError
        If it was exported in another format.

    Examples
    --------
    >>> import tempfile
    >>> import tensoralg as ta
    >>> op = ta.compile(ta.parse("O[t] = A[t,s]*x[s]", indices={"t,s": "n"}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ta.export(op, f"{folder}/product.pt2")
    ...     product = load_exported(f"{folder}/product.pt2")
    >>> product(torch.eye(3), x=torch.arange(3.0))
    tensor([0., 1., 2.])
    """
    where = Path(path)
    card, data = checked_card(where)
    if card["format"] != "pt2":
        raise UsageError(
            f"{path} was exported as {card['format']}, and is no torch archive",
            remedy="import a source as the Python module it is, or give a model to an ONNX runtime",
        )
    why = refused_archive(data)
    if why:
        raise ArchiveRefused(f"{path} is not loaded: {why}", remedy="export it again", path=str(path))
    return Exported(torch.export.load(io.BytesIO(data)).module(check_guards=True), card)


def refused_archive(data: bytes) -> str:
    """Return why a torch archive is not safe to load, in one line; empty if it is."""
    try:
        # the reader that torch.export.load uses: another one might read another archive in the same bytes
        reader = torch._C.PyTorchFileReader(io.BytesIO(data))
        return next(_faults({name: reader.get_record(name) for name in reader.get_all_records()}), "")
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
        return "it is no torch archive"


def _faults(records: Mapping[str, bytes]) -> Iterator[str]:
    for name, content in records.items():
        if not RECORDS.fullmatch(name):
            yield f"it holds the record {name}, which export does not write"
        elif name == EXAMPLES and content:
            yield "it holds pickled example inputs"
        elif name.endswith("_config.json"):
            config = json.loads(content)["config"]
            yield from (f"{key} is pickled" for key, payload in config.items() if payload["use_pickle"] is not False)
        elif name == "models/model.json":
            yield from _text_faults(json.loads(content))


def _text_faults(value: Any) -> Iterator[str]:
    """Yield what is not arithmetic among the texts of a graph that torch evaluates."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "target" and isinstance(inner, str) and not TARGETS.fullmatch(inner):
                yield f"the operation {inner} is none of torch's tensor operations"
            elif key == "expr_str" and not is_arithmetic(inner):
                yield f"the size {inner!r} is not arithmetic"
            elif key == "guards_code":
                yield from (f"the guard {text!r} is not arithmetic" for text in inner if not is_arithmetic(text))
            else:
                yield from _text_faults(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _text_faults(inner)


def is_arithmetic(text: Any) -> bool:
    """Whether a text says nothing but arithmetic and comparisons of sizes.

    Examples
    --------
    >>> is_arithmetic("L['Q'].size()[0] == 2 * Max(1, s3)"), is_arithmetic("__import__('os').system('true')")
    (True, False)
    """
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_harmless(node) for node in ast.walk(tree))


def _is_harmless(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return bool(FUNCTIONS.fullmatch(name))
        case ast.Call(func=ast.Attribute(attr=name), args=[]):
            return name in METHODS
        case ast.Call():
            return False
        case ast.Attribute(attr=name):
            return name in METHODS
    return isinstance(node, ARITHMETIC)
