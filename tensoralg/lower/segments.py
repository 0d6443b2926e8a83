"""Streams whose tokens are spread over ranks: every rank holds a segment of time.

Each rank computes the *statistics* of its segment (`tensoralg.stream.merge`): the states at its end if it began with
none, and what else merging needs, as the product of all its gates.  They are merged over the ranks before it by the
stream's own merge, which is associative and proved (the law "merge"): a scan, `lower.ranks`.  What comes out for a
rank are the states at the start of its segment, and with these the stream runs over the segment as it would have
run on, so that the outputs are those of one process.

*What is done twice.*  The states of a segment are computed twice: for its statistics, and with its outputs.
Instead, the outputs from no states could be corrected, since they are linear (affine, at least) in the states
at the start.  That correction is what a chunk of the stream does with its states, so it costs as much as the
part of the outputs that comes from states; the statistics cost less, and nothing has to be linear.

Statistics of a segment are those of its chunks of `CHUNK` tokens, all at once, merged two by two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tensoralg.errors import InputMismatch, NotStreamable, TensoralgError, UsageError
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.operator import Operator, batch_of
from tensoralg.lower.ranks import ERROR, Arrays, Ranks
from tensoralg.lower.streams import StreamOperator
from tensoralg.stream.system import LEFT, RIGHT

CHUNK = 64


class SegmentedStream(torch.nn.Module):
    """A stream over a sequence whose segments lie on the ranks of a group; made by :func:`distribute`.

    Call it as the operator, on every rank with the segment of tokens that it holds: rank 0 has the first (also where
    the stream runs from the last token to the first).  Segments may have different lengths, 0 included.  Inputs
    without an axis over time are the same on all ranks.

    Attributes
    ----------
    operator : StreamOperator
        What runs on a segment.
    statistics, merge : Operator
        The statistics of tokens, and those of two segments from those of each.
    ranks : Ranks
        The group.
    """

    def __init__(self, operator: StreamOperator, ranks: Ranks) -> None:
        super().__init__()
        stream, clock = operator.stream, str(operator.stream.along.dimension)
        if operator.recent is not None:
            raise NotStreamable(
                f"the window {next(iter(stream.windows.values()))} reaches back into the segment of another rank",
                remedy="run streams with windows on one rank",
            )
        if clock in operator.sizes or not clock.isidentifier():
            raise UsageError(
                f"the number of tokens is fixed, {clock} = {operator.sizes.get(clock, clock)}, and segments have fewer",
                remedy=f"compile without a size for {clock}",
            )
        self.operator, self.ranks, self.clock = operator, ranks, clock
        merges, statistics = stream.merge, stream.statistics
        self.legs = [len(merges[name].legs) for name in merges]
        self.names = list(merges)
        self.statistics = self._compiled([statistics[name] for name in merges])
        self.merge = self._compiled(list(merges.values()))
        self.static = [name for name in self.merge.order if name in operator.order]
        timed = {tensor.name: tensor for tensor in self.statistics.tensors}
        place = stream.along
        self._places = {
            t.name: next((k - len(t.legs) for k, leg in enumerate(t.legs) if leg == place), None)
            for t in timed.values()
        }

    def _compiled(self, definitions: Sequence[Any]) -> Operator:
        names = set().union(*map(all_dimensions, definitions))
        return compile_definitions(definitions, {n: s for n, s in self.operator.sizes.items() if n in names})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs at the tokens of this rank.

        Raises
        ------
        UnknownName, ShapeMismatch, InputMismatch
            If the inputs of this rank do not fit together.
        RanksDisagree
            If those of other ranks do not, or not with these.
        LostRank
            If a rank does not answer.
        """
        arrays = self._checked(args, kwargs)
        named = dict(zip(self.operator.order, arrays, strict=True))
        grads = self._agreed(named)
        own, first = self._local(self.operator.timed(self.operator.turned(named)))
        if grads:  # on every rank, since all take part in the backward pass
            own = [x if x.requires_grad else x.detach().requires_grad_() for x in own]
        static = [named[name] for name in self.static]
        start = self.ranks.before(own, first, static, self._merged, self.operator.stream.reverse)
        states = {state.name for state in self.operator.stream.system.states}
        state = {name: x for name, x in zip(self.names, start, strict=True) if name in states}
        given = {name: named[name] for name in self.operator.inputs}
        return self.operator(**given, state=state)

    def _checked(self, args: Any, kwargs: Any) -> Arrays:
        """Return the inputs; if they are refused, the others are told before this rank raises."""
        operator = self.operator
        try:
            return list(operator.arrays(args, kwargs))
        except TensoralgError as error:
            refuse(self.ranks, error, (*args, *kwargs.values()))
            raise

    def _agreed(self, named: Mapping[str, torch.Tensor]) -> bool:
        """Return whether any rank needs gradients; raise if inputs of ranks do not fit together."""
        operator = self.operator
        legs = {tensor.name: tensor.legs for tensor in operator.tensors}
        shapes = {
            name: [
                *batch_of(legs[name], array),
                *(
                    "n" if leg == operator.stream.along else extent
                    for leg, extent in zip(legs[name], array.shape[array.dim() - len(legs[name]) :], strict=True)
                ),
            ]
            for name, array in named.items()
        }
        return agreed(self.ranks, list(named.values()), shapes)[0]

    # statistics

    def _local(self, named: Mapping[str, torch.Tensor]) -> tuple[Arrays, Arrays]:
        """Return the statistics of this rank's tokens, and those of no tokens."""
        used = {name: named[name] for name in {*self.statistics.order, *self.static}}
        count = next(used[n].shape[p] for n, p in self._places.items() if p is not None)
        cuts = range(0, count // CHUNK * CHUNK, CHUNK)
        tail = self._of({n: self._part(n, x, len(cuts) * CHUNK, count) for n, x in used.items()})
        first = [x.detach() for x in self._of({n: self._part(n, x, 0, 0) for n, x in used.items()})]
        if not cuts:
            return tail, first
        chunks = {n: self._chunked(n, x, len(cuts)) for n, x in used.items()}
        found = [self._spread(x, legs, len(cuts)) for x, legs in zip(self._of(chunks), self.legs, strict=True)]
        static = [chunks[name] for name in self.static]
        while (pairs := found[0].shape[-self.legs[0] - 1] // 2) > 0:
            left, right = ([self._every_second(x, legs, k, pairs) for x, legs in self._legged(found)] for k in (0, 1))
            merged = self._merged(left, right, static)
            rest = [x.narrow(-legs - 1, 2 * pairs, x.shape[-legs - 1] - 2 * pairs) for x, legs in self._legged(found)]
            found = [torch.cat([x, r], -legs - 1) for x, r, legs in zip(merged, rest, self.legs, strict=True)]
        whole = [x.squeeze(-legs - 1) for x, legs in self._legged(found)]
        return self._merged(whole, tail, [named[name] for name in self.static]), first

    def _legged(self, arrays: Arrays) -> Any:
        return zip(arrays, self.legs, strict=True)

    def _of(self, named: Mapping[str, torch.Tensor]) -> Arrays:
        return list(self.statistics.run([named[name] for name in self.statistics.order]))

    def _merged(self, left: Arrays, right: Arrays, static: Arrays) -> Arrays:
        known = dict(zip((LEFT + name for name in self.names), left, strict=True))
        known |= dict(zip((RIGHT + name for name in self.names), right, strict=True))
        known |= dict(zip(self.static, static, strict=True))
        return list(self.merge.run([known[name] for name in self.merge.order]))

    def _part(self, name: str, array: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        place = self._places.get(name)
        return array if place is None else array.narrow(place, start, stop - start)

    def _chunked(self, name: str, array: torch.Tensor, chunks: int) -> torch.Tensor:
        """Return an input with its chunks along an axis in front of its legs, of length 1 where it has no time."""
        legs = next(len(t.legs) for t in (*self.statistics.tensors, *self.merge.tensors) if t.name == name)
        place = self._places.get(name)
        if place is None:
            return array.unsqueeze(array.dim() - legs)
        cut: torch.Tensor = array.narrow(place, 0, chunks * CHUNK).unflatten(place, (chunks, CHUNK))
        return cut.movedim(place - 1, -legs - 1)

    @staticmethod
    def _spread(array: torch.Tensor, legs: int, chunks: int) -> torch.Tensor:
        """Return a statistic of every chunk where it is the same for all."""
        if array.dim() == legs:
            array = array[None]
        batch = array.dim() - legs
        return array.expand(*array.shape[: batch - 1], chunks, *array.shape[batch:])

    @staticmethod
    def _every_second(array: torch.Tensor, legs: int, first: int, pairs: int) -> torch.Tensor:
        paired: torch.Tensor = array.narrow(-legs - 1, 0, 2 * pairs).unflatten(-legs - 1, (pairs, 2))
        return paired.select(-legs - 1, first)


def refuse(ranks: Ranks, error: TensoralgError, given: Sequence[Any]) -> None:
    """Tell the other ranks that this one refuses what it was given; each raises an error of its own."""
    devices = [x.device for x in given if isinstance(x, torch.Tensor)]
    ranks.tell({ERROR: error.what[:400]}, devices[0] if devices else torch.device("cpu"))


def agreed(
    ranks: Ranks, arrays: Arrays, shapes: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether any rank needs gradients, and what all say; raise if inputs do not belong together.

    Raises
    ------
    RanksDisagree, InputMismatch
        If a rank refuses its inputs, or shapes (but for lengths), dtypes or gradients differ.
    """
    grad = torch.is_grad_enabled()
    needs = grad and any(array.requires_grad for array in arrays)
    facts = {"shapes": shapes, "dtype": str(arrays[0].dtype), "grad": grad, "needs": needs, **(more or {})}
    found = ranks.agree(facts, arrays[0].device)
    needed = any(one["needs"] for one in found)
    for rank, one in enumerate(found):
        for key in ("dtype", "shapes", *(("grad",) if needed else ())):
            mine, other = found[0][key], one[key]
            if mine != other:
                if key == "shapes":
                    name = next(n for n in mine if mine[n] != other.get(n))
                    mine, other, key = mine[name], other.get(name), f"shape of {name}"
                raise InputMismatch(
                    f"rank {rank} has the {key} {other}, where rank 0 has {mine}",
                    remedy="give all ranks inputs of one dtype, and of one shape but for the tokens; "
                    "gradients are needed on all ranks or on none",
                    rank=rank,
                )
    return needed, found
