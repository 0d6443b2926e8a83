"""Operators as custom operators of torch: opaque to compilers, called as ``torch.ops.namespace.name``.

What torch asks of a custom operator (its manual, *PyTorch Custom Operators*, and `torch.library.opcheck`, which tests
it): a schema; the shapes and strides of the results from those of the arguments, which here follow from the
definition; results that share memory neither with arguments nor with each other; and a rule for gradients.  That rule
saves the arguments and computes the operator once more: with ``y = f(x)``, the gradient at x of ``<g, y>`` is the
vector-Jacobian product of f at x with g.  It is an operator of its own, ``namespace::name_backward``, so that a
compiler looks into neither, and one compilation serves all sizes whatever program or form they make an operator
choose.  Its own gradient, for second derivatives, is the same rule once more, which a compiler traces.  A batch axis
that `vmap` adds becomes the first one, where an operator broadcasts anyway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from tensoralg.errors import InvalidExpression, UsageError
from tensoralg.lower.operator import Operator, autocasts, batch_of
from tensoralg.lower.scales import extent_text

if TYPE_CHECKING:
    from torch._library.custom_ops import CustomOpDef

    from tensoralg.spaces import VectorSpace

QUALIFIED = re.compile(r"([A-Za-z_]\w*)::([A-Za-z_]\w*)", re.ASCII)
Values = tuple[torch.Tensor, ...]
OF_TORCH = ("aten", "prim", "prims", "torch")


def register(operator: Operator, name: str) -> CustomOpDef:
    """Register an operator with torch as a custom operator, for as long as the process lives.

    (With it ``namespace::name_backward``, which computes its gradients.)

    It is called as ``torch.ops.namespace.name`` or as what this returns, and takes the tensors of the definition in
    the order of `operator.order`: the operator's parameters are arguments as well.  It has rules for shapes, for
    gradients of any order by `torch.autograd` and for `vmap`.  It has none for forward mode, where torch takes the
    tangents of a custom operator for 0 and does not tell (`jvp`, `jacfwd`; `hessian` fails).  To `torch.compile` it is
    one node that is not looked into.  Autocast leaves it alone: it computes in the dtype of its arguments, all of one
    dtype.

    Parameters
    ----------
    operator : Operator
        What `compile` returned.
    name : str
        ``"namespace::name"``, not registered before.

    Returns
    -------
    torch.library.CustomOpDef

    Raises
    ------
    UsageError
        If the name is not of that form, is torch's own or is taken.
    InvalidExpression
        If the operator has no tensors.

    Examples
    --------
    >>> import torch
    >>> import tensoralg as ta
    >>> gram = ta.compile(ta.parse("G[s,t] = X[s,f]*X[t,f]", indices={"s,t": "n", "f": "d"}))
    >>> _ = register(gram, "tensoralg_example::gram")
    >>> torch.ops.tensoralg_example.gram(torch.tensor([[1.0, 2.0]]))
    tensor([[5.]])
    """
    _check(operator, name)

    def value(*arrays: torch.Tensor) -> Values:
        device = arrays[0].device
        with torch.autocast(device.type, enabled=False) if autocasts(device) else nullcontext():
            found = operator.value(arrays)
        return found if isinstance(found, tuple) else (found,)

    def compute(*arrays: torch.Tensor) -> Any:
        return _plain(_own(value(*arrays), arrays))

    def shapes(*arrays: torch.Tensor) -> Any:
        return _plain(_empty(operator, operator.admitted(arrays)))

    registered = torch.library.custom_op(name, compute, mutates_args=(), schema=_schema(operator))
    registered.register_fake(shapes)
    registered.register_vmap(_batched(operator, registered))
    slope = _register_slope(value, f"{name}_backward")

    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        wanted = [place for place, needed in enumerate(ctx.needs_input_grad) if needed]
        found = dict(zip(wanted, slope(slopes, ctx.saved_tensors, wanted), strict=True))
        return tuple(found.get(place) for place in range(len(ctx.needs_input_grad)))

    registered.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
    return registered


def _check(operator: Operator, name: str) -> None:
    if not isinstance(operator, Operator):
        raise UsageError(
            f"register takes a compiled operator, and this is of type {type(operator).__name__}",
            remedy="compile the definition first: register(compile(definition), name)",
        )
    found = QUALIFIED.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise UsageError(f"{name!r} is no name of a custom operator", remedy='give "namespace::name"')
    namespace, own = found.groups()
    if namespace in OF_TORCH:
        raise UsageError(f"the namespace {namespace!r} is torch's own", remedy="choose another namespace")
    for taken in (own, f"{own}_backward"):
        if hasattr(getattr(torch.ops, namespace), taken):
            raise UsageError(
                f"there is an operator '{namespace}::{taken}' already", remedy="choose another name", name=taken
            )
    if not operator.order:
        raise InvalidExpression(
            "the definition has no tensors, so torch could not tell where to compute it", remedy="call the operator"
        )


def _schema(operator: Operator) -> str:
    """Return what torch has to know: all arguments and results are tensors."""
    arguments = ", ".join(f"Tensor {name}" for name in operator.order)
    results = ", ".join("Tensor" for _ in operator.definitions)
    return f"({arguments}) -> {results if len(operator.definitions) == 1 else f'({results})'}"


def _plain(results: Values) -> Any:
    return results[0] if len(results) == 1 else results


def _own(results: Values, arrays: Sequence[torch.Tensor]) -> Values:
    """Return contiguous results, copied where they share memory with an argument or with an earlier result."""
    taken = {StorageWeakRef(array.untyped_storage()) for array in arrays}
    own = []
    for result in results:
        found = result.contiguous()
        if StorageWeakRef(found.untyped_storage()) in taken:
            found = found.clone()
        taken.add(StorageWeakRef(found.untyped_storage()))
        own.append(found)
    return tuple(own)


def _empty(operator: Operator, arrays: Sequence[torch.Tensor]) -> Values:
    """Return arrays of the shapes of the results."""
    extents: dict[VectorSpace, int] = {}
    for tensor, array in zip(operator.tensors, arrays, strict=True):
        extents |= zip(tensor.legs, array.shape[array.dim() - len(tensor.legs) :], strict=True)
    sizes = {space.dimension.name: n for space, n in extents.items() if getattr(space.dimension, "is_Symbol", False)}

    def extent(space: VectorSpace) -> int:
        text = extent_text(space.dimension, {name: name for name in known})
        return extents[space] if space in extents else int(eval(text, {}, known))

    known = {**operator.sizes, **sizes}
    batch = torch.broadcast_shapes(*(batch_of(t.legs, x) for t, x in zip(operator.tensors, arrays, strict=True)))
    return tuple(
        arrays[0].new_empty([*batch, *(extent(leg.space) for leg in definition.legs)])
        for definition in operator.definitions
    )


def _register_slope(value: Callable[..., Values], name: str) -> CustomOpDef:
    """Register the gradients at some arguments, in terms of the gradients at the results."""

    def slope(slopes: Sequence[torch.Tensor], arrays: Sequence[torch.Tensor], wanted: Sequence[int]) -> Values:
        def of_wanted(*values: torch.Tensor) -> Values:
            given = dict(zip(wanted, values, strict=True))
            return value(*(given.get(place, array) for place, array in enumerate(arrays)))

        _, pull, *_ = torch.func.vjp(of_wanted, *(arrays[place] for place in wanted))
        return tuple(pull(tuple(slopes)))

    def compute(slopes: Sequence[torch.Tensor], arrays: Sequence[torch.Tensor], wanted: Sequence[int]) -> list[Any]:
        return list(_own(slope(slopes, arrays, wanted), [*slopes, *arrays]))

    def shapes(slopes: Sequence[torch.Tensor], arrays: Sequence[torch.Tensor], wanted: Sequence[int]) -> list[Any]:
        return [arrays[place].new_empty(arrays[place].shape) for place in wanted]

    def save(ctx: Any, inputs: Any, output: Any) -> None:
        slopes, arrays, ctx.wanted = inputs
        ctx.count = len(slopes)
        ctx.save_for_backward(*slopes, *arrays)

    def backward(ctx: Any, further: Sequence[torch.Tensor]) -> Any:
        def again(*saved: torch.Tensor) -> Values:
            return slope(saved[: ctx.count], saved[ctx.count :], ctx.wanted)

        _, pull, *_ = torch.func.vjp(again, *ctx.saved_tensors)
        found = pull(tuple(further))
        return list(found[: ctx.count]), list(found[ctx.count :]), None

    schema = "(Tensor[] slopes, Tensor[] arrays, int[] wanted) -> Tensor[]"
    registered = torch.library.custom_op(name, compute, mutates_args=(), schema=schema)
    registered.register_fake(shapes)
    registered.register_autograd(backward, setup_context=save)
    return registered


def _batched(operator: Operator, registered: CustomOpDef) -> Callable[..., Any]:
    """Return the rule for one more batch axis."""

    def rule(info: Any, in_dims: Sequence[int | None], *arrays: torch.Tensor) -> tuple[Any, Any]:
        first = [x if axis is None else x.movedim(axis, 0) for x, axis in zip(arrays, in_dims, strict=True)]
        batches = [
            len(batch_of(tensor.legs, x)) - (axis is not None)
            for tensor, x, axis in zip(operator.tensors, first, in_dims, strict=True)
        ]
        # the new axis stands in front of as many batch axes everywhere
        lined_up = [
            x if axis is None else x.reshape(x.shape[0], *[1] * (max(batches) - count), *x.shape[1:])
            for x, axis, count in zip(first, in_dims, batches, strict=True)
        ]
        found = registered(*lined_up)
        return found, tuple(0 for _ in found) if isinstance(found, tuple) else 0

    return rule
