"""Programs over ranks proved: the parts of two ranks, put together, are the definition over a direct sum.

Both ranks' steps are read at once, over ``T = T_0 + T_1`` with sizes of their own, exchanges as `lower.sharding`
says.  A sharded result is proved part by part: at ``0:i`` it is that of the first rank, at ``1:j`` that of the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensoralg.errors import TensoralgError, ValidationFailed
from tensoralg.expr import Definition, Expr, Tensor, substitute
from tensoralg.expr.nodes import Delta, Entry, Mask, Size, add, bind, mul
from tensoralg.lower.meaning import Meaning, StepReader
from tensoralg.lower.program import Axes, Literal, Loop, Op, Scale, Step
from tensoralg.lower.sharding import GATHER, PART, SUM, Exchange, Sharded
from tensoralg.normal import Respaced, spaces_in
from tensoralg.proof import Verdict, prove
from tensoralg.spaces import DirectSum, Index, Injected, Space, VectorSpace

APART = 100_000  # names of indices of the second rank


def prove_sharded(
    definitions: Sequence[Definition], tensors: Sequence[Tensor], sharded: Sharded
) -> tuple[Verdict, ...]:
    """Return the proofs that what ranks compute are the definitions, or their parts of them.

    Raises
    ------
    ValidationFailed
        If one of them lacks a proof.
    """
    clock = sharded.clock
    parts = tuple(replace(clock, name=f"{clock.name}_{k}", dimension=f"{clock.name}_{k}") for k in range(2))
    whole = parts[0] + parts[1]
    names = {space.name: space.primal for one in (*definitions, *_entries(tensors)) for space in spaces_in(one)}
    moved = Respaced({**names, clock.name: whole})
    sizes = {str(clock.dimension): add(*(Size(str(part.dimension)) for part in parts))}
    ranks = _Ranks(sharded, parts, whole, sizes)
    ranks.begin({tensor.name: moved.tensor(tensor) for tensor in tensors})
    for item in sharded.items:
        ranks.do(item)
    found = []
    for definition, (name, axis) in zip(definitions, sharded.results, strict=True):
        legs = tuple(map(moved.index, definition.legs))
        own = Definition(legs, _resized(moved.expr(definition.body), sizes), definition.name)
        found += [_proved(*ranks.claim(own, rank, name, axis)) for rank in range(2)]
    return tuple(found)


def _entries(tensors: Sequence[Tensor]) -> list[Expr]:
    found = []
    for tensor in tensors:
        legs = tuple(Index(f"i{k}", leg) for k, leg in enumerate(tensor.legs))
        found.append(Entry(tensor, legs))
    return found


def _resized(expr: Expr, sizes: Mapping[str, Expr]) -> Expr:
    """Return a term with some sizes written as others."""
    if isinstance(expr, Size):
        return sizes.get(expr.name, expr)
    return expr.with_children(tuple(_resized(child, sizes) for child in expr.children()))


def _proved(wanted: Definition, found: Definition) -> Verdict:
    try:
        verdict = prove(wanted, found)
    except TensoralgError as error:
        raise ValidationFailed(
            f"proving that the ranks compute the definition failed: {error.what}", remedy="run it on one rank"
        ) from error
    if verdict.status != "proved":
        raise ValidationFailed(
            f"what the ranks compute could not be proved equal to the definition ({verdict.status})\n"
            f"  definition: {wanted}\n  ranks:      {found}",
            remedy="run it on one rank, or report this",
            verdict=verdict,
        )
    return verdict


@dataclass
class _Ranks:
    """Two ranks whose values are read side by side."""

    sharded: Sharded
    parts: tuple[Space, ...]
    whole: VectorSpace
    sizes: Mapping[str, Expr]

    def __post_init__(self) -> None:
        self.readers = [StepReader(self.sharded.program, count=rank * APART) for rank in range(2)]

    def begin(self, tensors: Mapping[str, Tensor]) -> None:
        """Give every rank its inputs."""
        for rank, reader in enumerate(self.readers):
            for name, tensor in tensors.items():
                cut = self.sharded.inputs.get(name)
                indices = reader.fresh([self.parts[rank] if k == cut else leg for k, leg in enumerate(tensor.legs)])
                terms = tuple(self._in_whole(index, rank) if k == cut else index for k, index in enumerate(indices))
                reader.values[name] = Meaning(Entry(tensor, terms), indices)

    def _in_whole(self, index: Index, rank: int) -> Injected:
        assert isinstance(self.whole, DirectSum)
        return Injected(index, rank, self.whole)

    def space(self, space: VectorSpace, rank: int) -> VectorSpace:
        """Return a space of a step as it is on a rank."""
        if space == self.sharded.part:
            return self.parts[rank]
        return self.whole if space == self.sharded.clock else space

    def axes(self, axes: Axes, rank: int) -> Axes:
        return tuple(self.space(space, rank) for space in axes)

    def step(self, step: Step, rank: int) -> Step:
        """Return a step as it is on a rank."""
        op: Op = step.op
        if isinstance(op, Literal):
            op = replace(op, space=self.space(op.space, rank))
        elif isinstance(op, Scale):
            op = replace(op, factor=_resized(op.factor, self.sizes))
        elif isinstance(op, Loop):
            variables = tuple((name, self.space(space, rank)) for name, space in op.variables)
            body = tuple(self.step(inner, rank) for inner in op.body)
            op = replace(op, variables=variables, body=body, last=self.step(op.last, rank))
        return replace(step, axes=self.axes(step.axes, rank), op=op, frees=step.frees)

    def do(self, item: Step | Exchange) -> None:
        """Read a step or an exchange on both ranks."""
        if isinstance(item, Step):
            for rank, reader in enumerate(self.readers):
                reader.do(self.step(item, rank))
            return
        sources = [reader.values[item.source] for reader in self.readers]
        if item.kind == SUM:
            indices = self.readers[0].fresh(self.axes(item.axes, 0))
            total = Meaning(add(*(source.at(indices) for source in sources)), indices)
            made = [total, total]
        elif item.kind == GATHER:
            made = [self.gathered(sources, item)] * 2
        else:
            made = [self.taken(source, item, rank) for rank, source in enumerate(sources)]
        for reader, meaning in zip(self.readers, made, strict=True):
            reader.values[item.name] = meaning

    def gathered(self, sources: Sequence[Meaning], item: Exchange) -> Meaning:
        """Return the sum of the parts, each in its place."""
        indices = self.readers[0].fresh(self.axes(item.axes, 0))
        terms = []
        for rank, source in enumerate(sources):
            (own,) = self.readers[rank].fresh([self.parts[rank]])
            here = Delta(indices[item.axis], self._in_whole(own, rank))
            value = source.at([*indices[: item.axis], own, *indices[item.axis + 1 :]])
            terms.append(bind((own,), mul(here, value)))
        return Meaning(add(*terms), indices)

    def taken(self, source: Meaning, item: Exchange, rank: int) -> Meaning:
        """Return a rank's part of a value, or the triangle of a part."""
        indices = self.readers[rank].fresh(self.axes(item.axes, rank))
        placed: list[Any] = list(indices)
        placed[item.axis] = self._in_whole(indices[item.axis], rank)
        if item.kind == PART:
            return Meaning(source.at(placed), indices, source.truth)
        row, column = placed[-2:]
        mask = Mask(item.strict, *((column, row) if item.lower else (row, column)))
        return Meaning(mul(mask, source.at(indices)), indices)

    def claim(self, definition: Definition, rank: int, name: str, axis: int | None) -> tuple[Definition, Definition]:
        """Return a definition, or a rank's part of it, and what the rank has."""
        meaning, legs, body = self.readers[rank].values[name], definition.legs, definition.body
        if axis is not None:
            (own,) = self.readers[rank].fresh([self.parts[rank]])
            body = substitute(body, {legs[axis]: self._in_whole(own, rank)})
            legs = (*legs[:axis], own, *legs[axis + 1 :])
        return Definition(legs, body, definition.name), Definition(legs, meaning.at(legs), definition.name)
