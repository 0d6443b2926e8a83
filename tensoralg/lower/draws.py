"""Random inputs on which rounding really happens, with the declared facts exactly true.

Generic entries are floats with full mantissas.  A fact that has to hold exactly in floating point is met
by construction: symmetric entries are copies, matrices with inverses are permuted powers of two.  Gates of
decays lie in [0, 1); matrix gates are so small that long products of them neither explode nor vanish.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from tensoralg.errors import FactConflict
from tensoralg.expr import Tensor as Symbol
from tensoralg.expr.evaluate import size_of


def draw_inputs(
    tensors: Sequence[Symbol], sizes: Mapping[str, int], dtype: torch.dtype, seed: int, gates: Collection[str] = ()
) -> dict[str, Tensor]:
    """Return a random array of the given dtype, on the CPU, for every tensor; `gates` are names of gates.

    Raises
    ------
    FactConflict
        If no array of this kind is known that has all the declared facts exactly.
    """
    generator = torch.Generator().manual_seed(seed)
    paired = {t.inverse_of for t in tensors if t.inverse_of}
    drawn: dict[str, Tensor] = {}
    for tensor in tensors:
        shape = [size_of(leg.dimension, sizes) for leg in tensor.legs]
        invertible = tensor.inverse_of is not None or tensor.name in paired
        gate = tensor.name in gates
        drawn[tensor.name] = _draw(tensor, shape, generator, dtype, invertible=invertible, gate=gate)
    for tensor in tensors:
        if tensor.inverse_of in drawn:
            partner = drawn[tensor.inverse_of].double()
            # entries are powers of two, one in each row and column
            drawn[tensor.name] = torch.where(partner != 0, 1 / partner, 0).T.contiguous().to(dtype)
    return drawn


def _draw(
    tensor: Symbol,
    shape: Sequence[int],
    generator: torch.Generator,
    dtype: torch.dtype,
    *,
    invertible: bool,
    gate: bool,
) -> Tensor:
    matrix = tensor.isometry or tensor.projection or tensor.permutation or invertible
    if matrix and (tensor.symmetric or tensor.antisymmetric or (tensor.positive and max(shape) > 1)):
        raise FactConflict(
            f"verify knows no random {tensor.name} with the facts {', '.join(tensor.facts)}",
            remedy="declare fewer facts for the kernel",
            tensor=tensor.name,
        )
    if matrix:
        return _matrix(tensor, shape, generator, invertible=invertible).to(dtype)
    array = (torch.rand if gate and len(shape) < 3 else torch.randn)(shape, generator=generator, dtype=torch.float64)
    if gate and len(shape) == 3:
        array = array / math.sqrt(max(shape[-1], 1))
    if tensor.positive:
        array = array.abs() + 0.125
    array = array.to(dtype)
    for group in tensor.symmetric:
        array = _symmetrise(array, group, sign=False)
    for group in tensor.antisymmetric:
        array = _symmetrise(array, group, sign=True)
    return array


def _matrix(tensor: Symbol, shape: Sequence[int], generator: torch.Generator, *, invertible: bool) -> Tensor:
    rows, columns = shape
    if columns > rows or (columns != rows and (tensor.permutation or tensor.projection or invertible)):
        raise FactConflict(
            f"no {rows} x {columns} matrix {tensor.name} has the facts {', '.join(tensor.facts)}",
            remedy="choose other sizes",
            tensor=tensor.name,
        )
    if tensor.projection:
        kept = torch.randint(0, 2, (rows,), generator=generator)
        return torch.diag(torch.ones(rows) if tensor.isometry or tensor.permutation or invertible else kept)
    matrix = torch.eye(rows, dtype=torch.float64)[torch.randperm(rows, generator=generator)][:, :columns]
    if tensor.permutation:
        return matrix
    signs = torch.randint(0, 2, (columns,), generator=generator) * 2 - 1
    powers = torch.randint(-3, 4, (columns,), generator=generator) * (not tensor.isometry)
    return matrix * signs * 2.0**powers


def _symmetrise(array: Tensor, group: Sequence[int], *, sign: bool) -> Tensor:
    """Return the array whose entry at any order of the group's indices is that at the sorted order."""
    grids = torch.meshgrid([torch.arange(n) for n in array.shape], indexing="ij")
    chosen = torch.stack([grids[leg] for leg in group])
    ordered = chosen.sort(0).values
    positions = list(grids)
    for row, leg in enumerate(group):
        positions[leg] = ordered[row]
    copied = array[tuple(positions)]
    if not sign:
        return copied
    signs = torch.ones_like(array)
    for low, high in itertools.combinations(range(len(group)), 2):
        signs = signs * torch.sign(chosen[high] - chosen[low]).to(array.dtype)
    return copied * signs
