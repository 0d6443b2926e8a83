"""Operators on several machines: contractions whose parts lie on ranks, and streams whose segments do.

:func:`distribute` gives an operator that every rank of a process group calls with what it holds.  A contraction is
cut along one space (`lower.sharding`, proved in `lower.recombine`): tokens, for instance, of which every rank has some;
or every rank has all inputs, and the work is divided, slices of a sliced order first of all.  A stream merges the
states of the ranks (`lower.segments`).  :func:`communication` says what is sent, for any number of ranks.

*Which program.*  Where an operator has several, that one runs for which ``FLOPs / P + WEIGHT * elements sent`` is
least, P the number of ranks: `WEIGHT`, how many operations can be done while one element is sent, is a guess that
depends on the machines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sympy
import torch
from torch.distributed.tensor import DTensor, Replicate, Shard

from tensoralg.errors import ShapeMismatch, TensoralgError, UnknownName, UsageError, suggest
from tensoralg.expr.evaluate import size_of
from tensoralg.lower.build import compile_definitions, spaces_of
from tensoralg.lower.emit import Writer, axes_text, einsum_text
from tensoralg.lower.helpers import HELPERS
from tensoralg.lower.loops import LOOPS, loop_lines
from tensoralg.lower.operator import (
    Operator,
    as_tensors,
    batch_of,
    check_alike,
    check_batch,
    check_shape,
    dimensions_of,
)
from tensoralg.lower.program import Attention, Loop, Program, SizeSource, Step, operands_of
from tensoralg.lower.ranks import Arrays, Ranks
from tensoralg.lower.recombine import prove_sharded
from tensoralg.lower.scales import reciprocal
from tensoralg.lower.segments import SegmentedStream, agreed, refuse
from tensoralg.lower.sharding import GATHER, PART, SUM, Exchange, Sharded, shard
from tensoralg.lower.streams import StreamOperator
from tensoralg.lower.validate import with_parts
from tensoralg.spaces import Space, check_sizes

WEIGHT = 1000
PARTS = "its part"  # the size of an axis of which ranks have parts
RANKS = sympy.Symbol("P", integer=True, positive=True)


def distribute(
    operator: Operator,
    group: Any = None,
    along: Any = None,
    inputs: str | Mapping[str, int] = "sharded",
    output: str | None = None,
    timeout: float | None = None,
) -> torch.nn.Module:
    """Return an operator that the ranks of a process group compute together.

    Gradients are those of the sum of the losses of all ranks, and backward passes are exchanges, too: every rank has to
    run them.  A rank's gradient of an input that is the same on all ranks is its own share; add these, as in
    data-parallel training.

    Parameters
    ----------
    operator : Operator
        What `compile` returned; of a stream, each rank holds a segment of time, in order.
    group : ProcessGroup or one-dimensional DeviceMesh, optional
        The ranks; the default group if not given (see `tensoralg.lower.ranks.process_group`).
    along : Space or str, optional
        The space that is cut, or its name or that of its dimension; for a stream, its time.
    inputs : "sharded", "whole" or mapping of str to int
        What ranks have: their parts of all inputs with a leg over that space (along the first such leg), all of every
        input, or parts of the inputs that are named, each along the given leg.
    output : "sharded" or "whole", optional
        Whether a rank gets its part of a result (along the first leg over the space; results without one are whole) or
        all of it; whole by default where inputs are whole.
    timeout : float, optional
        Seconds for one exchange, after which it is a `LostRank`; the group's own if not given.

    Raises
    ------
    UsageError, UnknownName
        If there is no process group, no such space, input or leg.
    NotStreamable
        If segments of the stream do not merge.
    """
    ranks = Ranks(group, timeout)
    if isinstance(operator, StreamOperator):
        clock = operator.stream.along
        if along is not None and str(along) not in (str(clock), str(clock.dimension)):
            raise UsageError(f"a stream is cut along time, not {along}", remedy="leave out `along`")
        return SegmentedStream(operator, ranks)
    return ShardedOperator(operator, ranks, along, inputs, output)


def communication(
    operator: Operator,
    sizes: Mapping[str, int] | None = None,
    along: Any = None,
    inputs: str | Mapping[str, int] = "sharded",
    output: str | None = None,
    scan: str = "tree",
) -> Any:
    """Return how many elements a rank sends in one call, in the sizes and the number P of ranks.

    Counted are sums over ranks as rings do them, ``2 (P - 1)/P`` of the array, gatherings of arrays in P equal parts,
    ``(P - 1)/P`` of the whole, and the states of streams; the few bytes in which ranks compare their inputs are not.
    A backward pass sends as much for sums and scans, and for a gathering twice as much, since gradients are added.

    Parameters
    ----------
    operator, along, inputs, output
        As in :func:`distribute`.
    sizes : mapping of str to int, optional
        The sizes at which an operator with several programs, or ways to cut one, chooses; `{"P": ...}` is among them.
    scan : "tree" or "ring"
        Of a stream: in rounds, as it runs, or (on paper) each rank waiting for the one before it.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.lower import compile
    >>> spaces = {"t,s": "n ordered", "f": "d", "e": "d"}
    >>> linear = compile(ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices=spaces))
    >>> communication(linear, {"n": 2**20, "d": 64, "P": 1024}, along="n")
    2*d**2*(P - 1)/P
    >>> causal = compile(ta.stream(ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=spaces)))
    >>> communication(causal), communication(causal, scan="ring")
    (d**2*(ceiling(log(P - 1)/log(2)) + 1), d**2)
    """
    if isinstance(operator, StreamOperator):
        return _scanned(operator, scan)
    known = dict(sizes or {})
    plan = ShardingPlan(operator, along, inputs, output)
    count = known.pop("P", 2)
    names = {str(leg.dimension) for tensor in operator.tensors for leg in tensor.legs}
    chosen = plan.at({**operator.sizes, **check_sizes(known, names)}, count)
    return sympy.Add(*(sent(exchange, plan.space, chosen.part) for exchange in chosen.exchanges))


def _scanned(operator: StreamOperator, scan: str) -> Any:
    stream = operator.stream
    if scan == "ring":
        return sympy.Add(*(state.size for state in stream.system.states))
    if scan != "tree":
        raise UnknownName(f"there is no scan {scan!r}", remedy=suggest(scan, ["tree", "ring"]), name=scan)
    sizes = [sympy.Mul(*(leg.space.dimension for leg in one.legs)) for one in stream.merge.values()]
    return sympy.Add(*sizes) * (1 + sympy.ceiling(sympy.log(RANKS - 1, 2)))


def sent(exchange: Exchange, space: Space, part: Space) -> Any:
    """Return the elements that a rank sends in an exchange."""
    whole = sympy.Mul(*((space if axis == part else axis).dimension for axis in exchange.axes))
    return (2 if exchange.kind == SUM else 1) * whole * (RANKS - 1) / RANKS


class ShardingPlan:
    """How an operator is cut along a space.

    Parameters
    ----------
    operator, along, inputs, output
        As in :func:`distribute`.
    """

    def __init__(self, operator: Operator, along: Any, inputs: str | Mapping[str, int], output: str | None) -> None:
        self.operator = operator
        self.space = _space(operator, along)
        self.whole = inputs == "whole"
        if output not in (None, "whole", "sharded") or (isinstance(inputs, str) and inputs not in ("whole", "sharded")):
            raise UsageError(f"inputs {inputs!r} and output {output!r}", remedy='each is "whole" or "sharded"')
        self.inputs = self._cuts(inputs)
        sharded = (output or ("whole" if self.whole else "sharded")) == "sharded"
        self.outputs = [
            next((k for k, leg in enumerate(d.legs) if leg.space == self.space), None) if sharded else None
            for d in operator.definitions
        ]
        self._programs = list(zip(operator.costs, operator.programs, strict=True))
        if any(isinstance(step.op, Attention) and step.op.causal for p in operator.programs for step in p.steps):
            # causal attention as one operation needs all queries; the contractions that it stands for do not
            apart = compile_definitions(operator.definitions, sizes=operator.sizes, passes=())
            self._programs += zip(apart.costs, apart.programs, strict=True)
        self._known: dict[Any, Sharded] = {}
        self._proved: list[Sharded] = []

    def _cuts(self, inputs: str | Mapping[str, int]) -> dict[str, int]:
        legs = {tensor.name: list(tensor.legs) for tensor in self.operator.tensors}
        if isinstance(inputs, str):
            return {name: own.index(self.space) for name, own in legs.items() if self.space in own}
        for name, leg in inputs.items():
            if name not in legs:
                raise UnknownName(f"there is no input {name!r}", remedy=suggest(name, legs), name=name)
            if not 0 <= leg < len(legs[name]) or legs[name][leg] != self.space:
                raise UsageError(f"leg {leg} of {name} is not over {self.space}", remedy="count legs from 0")
        return dict(inputs)

    def at(self, sizes: Mapping[str, int], ranks: int) -> Sharded:
        """Return the program over ranks that is best at given sizes, proved."""
        key = (ranks, *sorted(sizes.items()))
        if key not in self._known:
            operator = self.operator

            def volume(axes: Any) -> int:
                return math.prod(size_of(axis.dimension, sizes) for axis in axes)

            def cost(choice: tuple[Any, Sharded]) -> Any:
                flops, sharded = choice
                amounts = (
                    (2 if e.kind == SUM else 1) * volume([self.space if a == sharded.part else a for a in e.axes])
                    for e in sharded.exchanges
                )
                return size_of(flops, sizes) / ranks + WEIGHT * sum(amounts)

            choices = [
                (flops, shard(program, self.space, self.inputs, self.whole, self.outputs, volume))
                for flops, program in self._programs
            ]
            best = min(choices, key=cost)[1]
            if best not in self._proved:
                prove_sharded(operator.definitions, operator.tensors, best)
                self._proved.append(best)
            self._known[key] = best
        return self._known[key]


def _space(operator: Operator, along: Any) -> Space:
    """Return the space that is cut."""
    spaces = {s: None for s in with_parts(spaces_of(*operator.definitions)) if isinstance(s, Space)}
    found = [s.primal for s in spaces if along == s or str(along) in (s.name, str(s.dimension))]
    found = list(dict.fromkeys(found))
    if len(found) != 1:
        known = sorted({s.name for s in spaces})
        what = "there is no space" if not found else "there are several spaces"
        raise UnknownName(f"{what} {along!s}", remedy=suggest(str(along), known), name=str(along))
    return found[0]


class ShardedOperator(torch.nn.Module):
    """A contraction that the ranks of a group compute together; made by :func:`distribute`.

    Call it on every rank with what the rank holds.  Parts may have different lengths, 0 included; parts that a rank
    takes of what it has whole differ by 1 at most.  Inputs may be of type `DTensor` on a mesh of these ranks, sharded
    or replicated as they are declared; then results are, too.

    Attributes
    ----------
    operator : Operator
        What is computed.
    plan : ShardingPlan
        How it is cut.
    ranks : Ranks
        The group.
    """

    def __init__(self, operator: Operator, ranks: Ranks, along: Any, inputs: Any, output: str | None) -> None:
        super().__init__()
        self.operator, self.ranks = operator, ranks
        self.plan = ShardingPlan(operator, along, inputs, output)
        self._legs: dict[str, list[Any]] = {t.name: list(dimensions_of(t)) for t in operator.tensors}
        self._size = str(self.plan.space.dimension)
        if not self.plan.whole:
            for name, axis in self.plan.inputs.items():
                self._legs[name][axis] = PARTS
        self._runs: dict[int, Run] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the results, or this rank's parts of them.

        Raises
        ------
        UnknownName, ShapeMismatch, InputMismatch
            If the inputs of this rank do not fit together.
        RanksDisagree
            If those of other ranks do not, or not with these.
        LostRank
            If a rank does not answer.
        """
        arrays, sizes = self._checked(args, kwargs)
        named = dict(zip(self.operator.order, arrays, strict=True))
        shapes = {
            name: [
                *batch_of(legs, named[name]),
                *(
                    PARTS if leg == PARTS else extent
                    for leg, extent in zip(legs, named[name].shape[named[name].dim() - len(legs) :], strict=True)
                ),
            ]
            for name, legs in self._legs.items()
        }
        needed, facts = agreed(self.ranks, arrays, shapes, {"length": sizes.get(PARTS)})
        lengths = self._lengths(facts, sizes)
        if needed:  # the graphs of all ranks are alike, so that they exchange gradients in one order
            named = {name: x if x.requires_grad else x.detach().requires_grad_() for name, x in named.items()}
        whole = {**sizes, self._size: sum(lengths)}
        whole.pop(PARTS, None)
        sharded = self.plan.at(whole, self.ranks.size)
        run = self._runs.setdefault(id(sharded), Run(sharded))
        found = run(named, whole, lengths, self.ranks)
        meshes = [x.device_mesh for x in (*args, *kwargs.values()) if isinstance(x, DTensor)]
        if meshes:
            found = [
                self._distributed(x, axis, sum(lengths), meshes[0])
                for x, (_, axis) in zip(found, sharded.results, strict=True)
            ]
        return found[0] if not isinstance(self.operator.definition, tuple) else tuple(found)

    def _distributed(self, part: torch.Tensor, axis: int | None, count: int, mesh: Any) -> DTensor:
        """Return the distributed tensor of which a rank has a part."""
        if axis is None:
            return DTensor.from_local(part, mesh, [Replicate()], run_check=False)
        place = part.dim() - len(self.operator.definitions[0].legs) + axis
        shape = torch.Size([*part.shape[:place], count, *part.shape[place + 1 :]])
        stride = torch.empty(shape, device="meta").stride()
        return DTensor.from_local(part, mesh, [Shard(place)], run_check=False, shape=shape, stride=stride)

    def _local(self, name: str, value: Any) -> Any:
        """Return what a rank has of a distributed tensor, which has to be placed as it is declared."""
        if not isinstance(value, DTensor):
            return value
        legs = self._legs.get(name, [])
        axis = value.dim() - len(legs) + legs.index(PARTS) if PARTS in legs else None
        wanted = Replicate() if axis is None else Shard(axis)
        if list(value.placements) != [wanted]:
            raise UsageError(
                f"input {name} is placed as {value.placements}, not as {wanted}",
                remedy=f"redistribute it, or declare it: distribute(..., inputs={{{name!r}: leg}})",
            )
        return value.to_local()

    def _lengths(self, facts: Sequence[Mapping[str, Any]], sizes: dict[str, int]) -> list[int]:
        """Return the lengths of the parts."""
        known = sizes.get(self._size, self.operator.sizes.get(self._size))
        if self.plan.whole or not self.plan.inputs:
            if known is None:
                raise UsageError(f"no input tells {self._size}", remedy="give one that does")
            count, more = divmod(known, self.ranks.size)
            return [count + (rank < more) for rank in range(self.ranks.size)]
        lengths = [int(one["length"]) for one in facts]
        if known is not None and known != sum(lengths):
            raise ShapeMismatch(
                f"the parts of {self._size} have the lengths {lengths}, but {self._size} is {known}",
                remedy="make the parts those of the whole inputs",
            )
        return lengths

    def _checked(self, args: Any, kwargs: Any) -> tuple[Arrays, dict[str, int]]:
        operator = self.operator
        try:
            given = dict(zip(operator.order, operator._named(args, kwargs), strict=True))
            arrays = list(as_tensors([self._local(name, value) for name, value in given.items()], operator.tensors))
            check_alike(arrays, operator.tensors)
            sizes: dict[str, int] = dict(operator.sizes)
            for name, array in zip(operator.order, arrays, strict=True):
                check_shape(name, tuple(self._legs[name]), array, sizes)
            check_batch((f"input {n}", batch_of(self._legs[n], x)) for n, x in zip(operator.order, arrays, strict=True))
        except TensoralgError as error:
            refuse(self.ranks, error, (*args, *kwargs.values()))
            raise
        return arrays, sizes


class Run:
    """Runs a program over ranks: the lines that emission writes for its steps, one by one, and the exchanges."""

    def __init__(self, sharded: Sharded) -> None:
        self.sharded = sharded
        steps = tuple(item for item in sharded.items if isinstance(item, Step))
        names = {
            str(s) for step in steps for axis in _all_axes(step) for s in sympy.sympify(axis.dimension).free_symbols
        }
        program = sharded.program
        dimensions = names | {s.dimension for s in program.sizes} | {str(sharded.part.dimension)}
        local = Program(program.inputs, tuple(SizeSource(d, "", 0) for d in sorted(dimensions)), steps, ())
        self.writer = Writer(local)
        self.writer.axes.update({item.name: item.axes for item in sharded.items})
        self.codes = [self._code(item) for item in sharded.items]
        last = {name: k for k, item in enumerate(sharded.items) for name in _reads(item)}
        kept = {*self.writer.program.axes.keys() - {i.name for i in sharded.items}, *(n for n, _ in sharded.results)}
        self.frees = [[n for n, end in last.items() if end == k and n not in kept] for k in range(len(sharded.items))]

    def _code(self, item: Step | Exchange) -> Any:
        if isinstance(item, Exchange):
            return None
        if isinstance(item.op, Loop):
            lines = loop_lines(self.writer, item, item.op, axes_text, einsum_text)
        else:
            lines = [f"{item.name} = {self.writer.operation(item)}"]
        return compile("\n".join(["from __future__ import annotations", *lines]), item.name, "exec")

    def __call__(
        self, named: Mapping[str, torch.Tensor], sizes: Mapping[str, int], lengths: Sequence[int], ranks: Ranks
    ) -> Arrays:
        """Return the results.

        Parameters
        ----------
        named : mapping of str to Tensor
            The inputs of this rank.
        sizes : mapping of str to int
            All sizes.
        lengths : sequence of int
            The lengths of the parts.
        ranks : Ranks
            The group.
        """
        known = {**sizes, str(self.sharded.part.dimension): lengths[ranks.rank]}
        values: dict[str, Any] = {"torch": torch, "math": math, "reciprocal": reciprocal, **HELPERS, **LOOPS, **named}
        values |= {variable: known[d] for d, variable in self.writer.variables.items() if d in known}
        for item, code, frees in zip(self.sharded.items, self.codes, self.frees, strict=True):
            if isinstance(item, Exchange):
                values[item.name] = self._exchanged(item, values[item.source], lengths, ranks)
            else:
                exec(code, values)
            for name in frees:
                del values[name]
        return [values[name] for name, _ in self.sharded.results]

    @staticmethod
    def _exchanged(item: Exchange, source: torch.Tensor, lengths: Sequence[int], ranks: Ranks) -> torch.Tensor:
        axis, start = item.axis - len(item.axes), sum(lengths[: ranks.rank])
        if item.kind == SUM:
            return ranks.sum(source)
        if item.kind == GATHER:
            return ranks.gather(source, axis, lengths)
        if item.kind == PART:
            return source.narrow(axis, start, lengths[ranks.rank])
        diagonal = start if axis == -2 else -start  # of the whole, in this part
        return source.tril(diagonal - item.strict) if item.lower else source.triu(diagonal + item.strict)


def _reads(item: Step | Exchange) -> tuple[str, ...]:
    return (item.source,) if isinstance(item, Exchange) else operands_of(item.op)


def _all_axes(step: Step) -> list[Any]:
    inner = [axis for s in step.op.steps for axis in s.axes] if isinstance(step.op, Loop) else []
    spaces = [space for _, space in step.op.variables] if isinstance(step.op, Loop) else []
    return [*step.axes, *inner, *spaces]
