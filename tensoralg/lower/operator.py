"""Operators: compiled, validated kernels as torch modules."""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Real
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from tensoralg.errors import InputMismatch, ShapeMismatch, UnknownName, counted, suggest
from tensoralg.expr import Definition, Tensor
from tensoralg.expr.evaluate import size_of

if TYPE_CHECKING:
    from tensoralg.lower.program import Program
    from tensoralg.proof import Verdict

Dimensions = tuple[str | int | None, ...]
MOST_SIGNATURES = 1024


class Operator(torch.nn.Module):
    """A kernel that was proved equal to its definition; made by :func:`tensoralg.lower.compile`.

    Call it by name, ``op(Q=q, K=k)``, or in the order of `inputs`.  Leading batch axes broadcast and
    every input may lack them; a scalar is a number or a tensor without axes.  The axes of the result
    are the batch axes and then the free indices of the definition, in order.  Of several definitions the
    results come as a tuple.

    Attributes
    ----------
    definition : Definition or tuple of Definition
        What it computes.
    definitions : tuple of Definition
        The same, always as a tuple.
    inputs : tuple of str
        Names of the arguments, in order.
    source : str
        The torch source that runs, a module of its own.
    verdicts : tuple of Verdict
        The proof, for each definition, that the source computes it.
    plan : Plan
        The plan that it follows.
    programs : tuple of Program
        The programs that the source says, one for each regime of sizes.
    costs : tuple of sympy.Expr
        Their FLOPs; the cheapest at the sizes of a call runs.
    passes : tuple of str
        The passes (see `lower.passes`) that changed what was lowered.
    dropped : dict of str to str
        The passes that were not applied as what they made was not proved, and why.
    recompute : bool
        Whether the backward pass computes again what it needs.
    """

    def __init__(
        self,
        definition: Definition | tuple[Definition, ...],
        tensors: Sequence[Tensor],
        programs: Sequence[Program],
        costs: Sequence[Any],
        source: str,
        verdicts: Sequence[Verdict],
        plan: Any,
        sizes: Mapping[str, int],
        parameters: Mapping[str, Any],
        passes: Sequence[str] = (),
        dropped: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.definition, self.source, self.verdicts, self.plan = definition, source, tuple(verdicts), plan
        self.programs, self.costs = tuple(programs), tuple(costs)
        self.passes, self.dropped = tuple(passes), dict(dropped or {})
        self.tensors = tuple(tensors)
        self.sizes = dict(sizes)
        self.recompute = False
        self.order = tuple(tensor.name for tensor in tensors)
        self.inputs = tuple(name for name in self.order if name not in parameters)
        self._legs = {tensor.name: dimensions_of(tensor) for tensor in tensors}
        self._composite = any(None in legs for legs in self._legs.values())
        self._function = load(source)
        self._passed: dict[Any, bool] = {}  # signatures of calls, and whether it takes autocast to accept them
        for name, value in parameters.items():
            self._add_parameter(name, value)
        given = [tensor for tensor in tensors if tensor.name in parameters]
        known = dict(self.sizes)
        for tensor in given:
            check_shape(tensor.name, self._legs[tensor.name], getattr(self, tensor.name), known)
        check_alike([getattr(self, tensor.name) for tensor in given], given)

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What it computes, one definition for each result."""
        return (self.definition,) if isinstance(self.definition, Definition) else self.definition

    @property
    def verdict(self) -> Verdict:
        """The proof that the source computes the definition (of several, the first)."""
        return self.verdicts[0]

    def _add_parameter(self, name: str, value: Any) -> None:
        if name not in self.order:
            raise UnknownName(f"there is no tensor {name!r}", remedy=suggest(name, self.order), name=name)
        if hasattr(self, name):
            raise UnknownName(f"a parameter cannot be called {name!r}: a module has that already", remedy="rename it")
        array = _parameter(name, value)
        if array.dim() != len(self._legs[name]):
            raise ShapeMismatch(
                f"parameter {name} has shape {tuple(array.shape)} but {counted(len(self._legs[name]), 'leg')}",
                remedy="give one axis for each leg",
                tensor=name,
            )
        self.register_parameter(name, torch.nn.Parameter(array.detach().clone()))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_function", "_passed")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._function = load(self.source)
        self._passed = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value of the definition at the given arrays; of several definitions, a tuple of values.

        Raises
        ------
        UnknownName
            If an input is missing, unknown or given twice.
        ShapeMismatch
            If an array has too few axes, or sizes disagree.
        InputMismatch
            If the arrays do not share one floating dtype and one device.
        """
        if not kwargs and self._has_passed(args):
            return self.run(args)
        return self.run(self.arrays(args, kwargs))

    def _has_passed(self, args: Sequence[Any]) -> bool:
        """Return whether arrays like these, of one dtype, have passed their checks; `admitted` asks that, too."""
        if torch.compiler.is_compiling():
            return False
        try:
            return self._passed.get(tuple([(array.shape, array.dtype, array.device) for array in args])) is False
        except (AttributeError, TypeError):  # numbers, and sizes that are symbols
            return False

    def value(self, arrays: Sequence[torch.Tensor]) -> Any:
        """Return the value at arrays in the order of `order`, parameters among them."""
        return self.run(self.admitted(arrays))

    def run(self, arrays: Sequence[torch.Tensor], **flags: bool) -> Any:
        """Return the value at arrays in the order of `order`, which are not checked.

        Flags say what a fused kernel may overwrite: ``fresh`` arrays, which it makes, and ``given`` ones, those of
        the inputs that it adds to.
        """
        if self.recompute and torch.is_grad_enabled():
            function = partial(self._function, **flags)
            found = checkpoint(function, *arrays, use_reentrant=False, preserve_rng_state=False)
        else:
            found = self._function(*arrays, **flags)
        return (found,) if isinstance(self.definition, tuple) and len(self.definition) == 1 else found

    def arrays(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[torch.Tensor]:
        """Return the arrays of a call in the order of `order`, checked."""
        return self.admitted(as_tensors(self._named(args, kwargs), self.tensors))

    def admitted(self, arrays: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Return arrays in the order of `order`, or raise.

        The checks look at nothing but shapes, dtypes and devices, and at autocast where dtypes differ: what passed
        once is remembered and not checked again.  A compiler traces sizes that are symbols, and those are checked.
        """
        if torch.compiler.is_compiling():
            self._check(arrays)
            return arrays
        signature = tuple([(array.shape, array.dtype, array.device) for array in arrays])
        try:
            needs_autocast = self._passed.get(signature)
        except TypeError:  # sizes that are symbols cannot be looked up
            self._check(arrays)
            return arrays
        if needs_autocast is None or (needs_autocast and not autocasts(arrays[0].device)):
            self._check(arrays)
            if len(self._passed) >= MOST_SIGNATURES:
                self._passed.clear()
            self._passed[signature] = len({array.dtype for array in arrays}) > 1
        return arrays

    def _check(self, arrays: Sequence[torch.Tensor]) -> None:
        check_alike(arrays, self.tensors)
        self._check_shapes(arrays)

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        """Return the values of all tensors of the definition, in order."""
        if not kwargs and len(args) == len(self.order) == len(self.inputs):
            return args
        if len(args) > len(self.inputs):
            raise UnknownName(
                f"got {counted(len(args), 'array')} for {counted(len(self.inputs), 'input')}",
                remedy=f"give {', '.join(self.inputs)}",
            )
        given = dict(zip(self.inputs, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.inputs:
                raise UnknownName(f"there is no input {name!r}", remedy=suggest(name, self.inputs), name=name)
            if name in given:
                raise UnknownName(f"input {name} is given twice", remedy="give it once", name=name)
            given[name] = value
        for name in self.inputs:
            if name not in given:
                raise UnknownName(f"input {name} is missing", remedy=f"pass {name}=...", name=name)
        return [given[name] if name in given else getattr(self, name) for name in self.order]

    def _check_shapes(self, arrays: Sequence[torch.Tensor]) -> None:
        sizes: dict[str, int] = dict(self.sizes)
        for name, array in zip(self.order, arrays, strict=True):
            check_shape(name, self._legs[name], array, sizes)
        check_batch((f"input {n}", batch_of(self._legs[n], x)) for n, x in zip(self.order, arrays, strict=True))
        if self._composite:
            self._check_composite(arrays, sizes)

    def _check_composite(self, arrays: Sequence[torch.Tensor], sizes: Mapping[str, int]) -> None:
        for tensor, array in zip(self.tensors, arrays, strict=True):
            for position, leg in enumerate(tensor.legs):
                extent = array.shape[array.dim() - len(tensor.legs) + position]
                if self._legs[tensor.name][position] is None and _known(leg.dimension, sizes):
                    wanted = size_of(leg.dimension, sizes)
                    if extent != wanted:
                        raise ShapeMismatch(
                            f"axis {position} of {tensor.name} has size {extent}, but {leg.dimension} is {wanted}",
                            remedy="make the shapes agree",
                            tensor=tensor.name,
                        )

    def extra_repr(self) -> str:
        """Return the definition, for printing."""
        return "\n".join(map(str, self.definitions))


def _parameter(name: str, value: Any) -> torch.Tensor:
    """Return the initial value of a parameter: an array of floats as it is, other numbers in torch's default dtype."""
    try:
        array = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputMismatch(
            f"parameter {name} is of type {type(value).__name__}, and no array", remedy="give a tensor", tensor=name
        ) from error
    if array.is_complex():
        raise InputMismatch(f"parameter {name} has dtype {array.dtype}", remedy="use a floating dtype", tensor=name)
    exact = isinstance(value, list | tuple | int | float) or not array.is_floating_point()
    return array.to(torch.get_default_dtype()) if exact else array


def as_tensors(values: Sequence[Any], tensors: Sequence[Tensor]) -> Sequence[torch.Tensor]:
    """Return the values of some tensors, numbers as arrays of the dtype and device of the first one that is an array.

    Raises
    ------
    InputMismatch
        If one is neither an array nor, where the tensor has no legs, a number.
    """
    numbers = [k for k, value in enumerate(values) if not isinstance(value, torch.Tensor)]
    if not numbers:
        return values
    for tensor, value in ((tensors[k], values[k]) for k in numbers):
        if not isinstance(value, Real) or tensor.legs:
            raise InputMismatch(
                f"input {tensor.name} is of type {type(value).__name__}, and no tensor",
                remedy="pass a torch.Tensor",
                tensor=tensor.name,
            )
    first = next((value for value in values if isinstance(value, torch.Tensor)), None)
    dtype, device = (None, None) if first is None else (first.dtype, first.device)
    return [
        v if isinstance(v, torch.Tensor) else torch.scalar_tensor(float(v), dtype=dtype, device=device) for v in values
    ]


def check_alike(arrays: Sequence[torch.Tensor], tensors: Sequence[Tensor]) -> None:
    """Raise unless arrays have one floating dtype, and are on one device.

    Under autocast, torch chooses the dtype of every operation and converts what it is given, so that dtypes may
    differ; but float64, which it never converts, differs from none.

    Raises
    ------
    InputMismatch
        If they have not.
    """
    for tensor, array in zip(tensors, arrays, strict=True):
        first, owner = arrays[0], tensors[0].name
        if not array.dtype.is_floating_point:
            raise InputMismatch(
                f"input {tensor.name} has dtype {array.dtype}", remedy="use a floating dtype", tensor=tensor.name
            )
        if array.device != first.device or not mixable(array.dtype, first.dtype, first.device):
            raise InputMismatch(
                f"input {owner} is {first.dtype} on {first.device}, {tensor.name} is {array.dtype} on {array.device}",
                remedy="give all inputs one dtype and one device",
                tensor=tensor.name,
            )


def mixable(one: torch.dtype, other: torch.dtype, device: torch.device) -> bool:
    """Whether arrays of two floating dtypes can be operands of one operation: equal ones, or under autocast.

    Examples
    --------
    >>> cpu = torch.device("cpu")
    >>> mixable(torch.float32, torch.bfloat16, cpu)
    False
    >>> with torch.autocast("cpu"):
    ...     mixable(torch.float32, torch.bfloat16, cpu), mixable(torch.float64, torch.float32, cpu)
    (True, False)
    """
    return one == other or (torch.float64 not in (one, other) and autocasts(device))


def device_of(name: Any) -> torch.device:
    """Return a device from its name.

    Raises
    ------
    UnknownName
        If there is none of that name, here.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError):
        there = 'give "cpu" or "cuda"' if torch.cuda.is_available() else 'give "cpu"'
        raise UnknownName(f"there is no device {name!r}", remedy=there, name=str(name)) from None
    return device


def autocasts(device: torch.device) -> bool:
    """Whether autocast is on for the devices of a type."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def check_shape(name: str, legs: Dimensions, array: torch.Tensor, sizes: dict[str, int]) -> None:
    """Raise if an array has not the axes of an input; sizes that it tells are added to the known ones.

    Raises
    ------
    ShapeMismatch
        If it has too few axes, or one of another size than is known.
    """
    shape = array.shape
    if len(shape) < len(legs):
        raise ShapeMismatch(
            f"input {name} has shape {tuple(shape)} but {counted(len(legs), 'leg')}",
            remedy="give one axis for each leg, after the batch axes",
            tensor=name,
        )
    for position, (dimension, extent) in enumerate(zip(legs, shape[len(shape) - len(legs) :], strict=True)):
        if dimension is None:
            continue
        wanted = sizes.setdefault(dimension, extent) if isinstance(dimension, str) else dimension
        if extent != wanted:
            raise ShapeMismatch(
                f"axis {position} of {name} has size {extent}, but {dimension} is {wanted}",
                remedy="make the shapes agree",
                tensor=name,
            )


def batch_of(legs: Sequence[Any], array: torch.Tensor) -> Sequence[int]:
    """Return the sizes of the axes in front of the legs."""
    return array.shape[: array.dim() - len(legs)]


def check_batch(batches: Iterable[tuple[str, Sequence[int]]]) -> None:
    """Raise if batch axes do not broadcast.

    Raises
    ------
    ShapeMismatch
        If two of them, neither of size 1, differ at one place counted from the end.

    Examples
    --------
    >>> check_batch([("Q", (2, 3)), ("K", (3,)), ("V", (2, 1))])
    """
    known: dict[int, tuple[str, int]] = {}
    for name, batch in batches:
        for place, extent in enumerate(reversed(batch)):
            if extent != 1 and known.setdefault(place, (name, extent))[1] != extent:
                other, size = known[place]
                raise ShapeMismatch(
                    f"{name} has a batch axis of size {extent} where {other} has one of size {size}",
                    remedy="make the batch axes, in front of the legs, broadcast",
                    tensor=name.split()[-1],
                )


def dimensions_of(tensor: Tensor) -> Dimensions:
    """Return the size of every leg: a number, the name of a symbol, or None for what is composed."""
    sizes = [leg.dimension for leg in tensor.legs]
    return tuple(d if isinstance(d, int) else d.name if getattr(d, "is_Symbol", False) else None for d in sizes)


def _known(dimension: Any, sizes: Mapping[str, int]) -> bool:
    return all(symbol.name in sizes for symbol in dimension.free_symbols)


def load(source: str) -> Any:
    """Return the function ``operator`` of an emitted module."""
    name = f"tensoralg_kernel_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        # torch.compile finds globals through the module's name; tracebacks and inspect show the source
        module = ModuleType(name)
        filename = f"<{name}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        exec(compile(source, filename, "exec"), module.__dict__)
        sys.modules[name] = module
    return sys.modules[name].operator
