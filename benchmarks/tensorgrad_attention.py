"""Softmax attention and its gradients, compiled by tensorgrad 0.3 if it is there (pip install --no-deps tensorgrad).

Its public call needs named tensors, which torch 2.13 no longer has, so the function that it generates is called.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor


def available() -> bool:
    """Return whether tensorgrad is installed."""
    return find_spec("tensorgrad") is not None


def attention_with_gradients(heads: int, n: int, width: int) -> Callable[..., list[Tensor]]:
    """Return a function of queries, keys, values and the gradient of the output: the output and three gradients."""
    import tensorgrad.functions as functions
    from sympy import symbols
    from tensorgrad import Derivative, Variable
    from tensorgrad.compiler.runtime import CompiledProgram

    sizes = dict(zip(symbols("h n d"), (heads, n, width), strict=True))
    h, tokens, d = sizes
    q, k = Variable("q", h=h, t=tokens, f=d), Variable("k", h=h, s=tokens, f=d)
    v, weight = Variable("v", h=h, s=tokens, e=d), Variable("w", h=h, t=tokens, e=d)
    scores = functions.dot(q, k, "f") * (width**-0.5)
    out = functions.dot(functions.softmax(scores, ["s"]), v, "s")
    loss = functions.sum(out * weight)
    program = CompiledProgram((out, *(Derivative(loss, x) for x in (q, k, v))))
    function: Any = program.codegen.specialize(sizes, dtype=torch.float32)
    names = [variable.name for variable in program.vars]
    axes = [[edge.rstrip("_") for edge in edges] for _, edges in program.outputs]
    wanted = ("hte", "htf", "hsf", "hse")

    def call(*arrays: Tensor) -> list[Tensor]:
        given = dict(zip("qkvw", arrays, strict=True))
        with torch.no_grad():
            found = function(*(given[name] for name in names))
        return [x.permute([a.index(c) for c in w]) for x, a, w in zip(found, axes, wanted, strict=True)]

    return call
