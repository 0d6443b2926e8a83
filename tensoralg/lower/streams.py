"""Streams as operators: recurrent, chunked and parallel, each kernel proved equal to what it has to compute.

Three kernels are compiled: the definition itself over all of time (*parallel*), a chunk of tokens from given states,
and one token.  Chunked, the chunk's kernel runs on one chunk after the other and hands on the states; recurrent, the
token's kernel does.  Without gradients nothing but the outputs and one set of states is kept, so that memory does not
grow with the length; with them, autograd keeps what it needs of every chunk.

*Compiled by torch.*  A step, the parallel form, and a sequence that is one chunk compile once for all sizes.  Longer
sequences are loops that a compiler unrolls, for every length anew (an operator that is registered as a custom operator
is one node of the graph and serves all).  A compiler cannot look whether numbers are finite: what is not finite may
then reach the outputs before it in the same chunk, and the length of a chunk is that for sizes of `TYPICAL`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch

from tensoralg.errors import ShapeMismatch, UnknownName, UsageError, ValidationFailed, counted, suggest
from tensoralg.expr import Definition, Tensor
from tensoralg.expr.arrays import all_dimensions
from tensoralg.lower.batches import apart, common_batch, together
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.finite import finite, first_tokens
from tensoralg.lower.fuse import makes_new, may_overwrite
from tensoralg.lower.lengths import TYPICAL, ChunkLengths
from tensoralg.lower.operator import (
    MOST_SIGNATURES,
    Operator,
    as_tensors,
    batch_of,
    check_alike,
    check_batch,
    check_shape,
    dimensions_of,
)
from tensoralg.lower.pieces import longer, slices, split
from tensoralg.lower.recent import Recent
from tensoralg.lower.stream_states import State, StreamStates
from tensoralg.plan import plan
from tensoralg.spaces import VectorSpace
from tensoralg.stream.kernels import chunk_definitions, token_definitions

if TYPE_CHECKING:
    from tensoralg.stream import Stream

FORMS = (None, "recurrent", "chunked", "parallel")
FORMS_REMEDY = 'give "recurrent", "chunked", "parallel" or None'
Arrays = Sequence[torch.Tensor]


class StreamOperator(StreamStates):
    """The forms of a stream as one module; made by :func:`tensoralg.lower.compile`.

    Attributes
    ----------
    stream : Stream
        What it runs.
    form : str or None
        The form that calls take; None chooses by the number of tokens.
    chunk, token : Operator
        The kernels of a chunk and of a token: outputs, then new states.
    """

    def __init__(
        self, stream: Stream, sizes: Mapping[str, int] | None, form: str | None, parameters: Mapping[str, Any]
    ) -> None:
        _check_proved(stream)
        whole = compile_definitions(stream.definitions, sizes, single=stream.single)
        super().__init__(
            whole.definition, whole.tensors, whole.programs, whole.costs, whole.source, whole.verdicts, whole.plan,
            whole.sizes, parameters, whole.passes, whole.dropped,
        )  # fmt: skip
        self.stream, self.form = stream, form
        chunk, token = self._cheapest_chunk(sizes), token_definitions(stream.system)
        self.chunk = compile_definitions(chunk, self._fixed(chunk, sizes), fused=True)
        self.token = compile_definitions(token, self._fixed(token, sizes))
        self._clock = stream.along
        self._place = {t.name: _place_of(t.legs, self._clock) for t in self.tensors}
        places = [_place_of([leg.space for leg in d.legs], self._clock) for d in stream.definitions]
        self._out_place = [place for place in places if place is not None]
        self.recent = self._recent(sizes)
        kept = {name: symbol.legs for name, (symbol, _) in self.recent.kept.items()} if self.recent else {}
        self._state_legs = {state.name: state.shape for state in stream.system.states} | kept
        self._state_names = list(self._state_legs)
        self._state_place = {name: _place_of(legs, self._clock) for name, legs in self._state_legs.items()}
        self._token_tensors = tuple(_without(tensor, self._clock) for tensor in self.tensors)
        carried = [tensor for tensor in self.token.tensors if tensor.name in self._state_names]
        self._token_legs = {tensor.name: dimensions_of(tensor) for tensor in (*self._token_tensors, *carried)}
        self._constant = {g.tensor.name for s in stream.system.states for g in s.gates if not g.tensor.legs}
        self._places = [*map(self._place.__getitem__, self.order), *(self.recent.places if self.recent else [])]
        self._chunk_slots, self._token_slots = self._slots(self.chunk), self._slots(self.token)
        self._own_states = all(makes_new(program, len(self._out_place)) for program in self.chunk.programs)
        self._steps: set[Any] = set()  # signatures of steps that passed their checks
        matrices = any(gate.matrix for state in stream.system.states for gate in state.gates)
        names = set().union(*map(all_dimensions, self.definitions))
        usual = dict.fromkeys(names, TYPICAL) | self.sizes
        self._lengths = ChunkLengths(self.chunk, self._legs, str(self._clock.dimension), matrices, usual)

    def _cheapest_chunk(self, sizes: Mapping[str, int] | None) -> tuple[Definition, ...]:
        """Return what a chunk computes, written in the way that costs least where all unknown sizes are `TYPICAL`."""
        ways = {chunk_definitions(self.stream.system, nested): None for nested in (True, False)}

        def flops(definitions: tuple[Definition, ...]) -> Any:
            names = set().union(*map(all_dimensions, definitions))
            known = dict.fromkeys(names, TYPICAL) | self._fixed(definitions, sizes)
            return plan(definitions, known).flops

        return min(ways, key=flops) if len(ways) > 1 else next(iter(ways))

    def _recent(self, sizes: Mapping[str, int] | None) -> Recent | None:
        windows = self.stream.system.windows
        if not windows:
            return None
        definitions = tuple(window.definition for window in windows)
        return Recent(windows, compile_definitions(definitions, self._fixed(definitions, sizes)))

    def _fixed(self, definitions: Sequence[Definition], sizes: Mapping[str, int] | None) -> dict[str, int]:
        """Return the fixed sizes that a kernel for a piece of time has."""
        names = set().union(*map(all_dimensions, definitions)) - {str(self.stream.along.dimension)}
        return {name: size for name, size in (sizes or {}).items() if name in names}

    # forms

    def forward(self, *args: Any, state: Any = None, return_state: bool = False, **kwargs: Any) -> Any:
        """Return the outputs at all tokens; with `return_state` also the states after the last one.

        Parameters
        ----------
        *args, **kwargs
            The inputs, by name or in the order of `inputs`, with batch axes in front.
        state : dict of str to tensor, optional
            The states before the first token, from `init_state`, or from an earlier call: the sequence goes on.
        return_state : bool
            Whether the result is a pair (outputs, states).

        Raises
        ------
        UnknownName, ShapeMismatch, InputMismatch
            If inputs or states do not fit together.
        """
        return self._evaluate(self.arrays(args, kwargs), state, return_state)

    def value(self, arrays: Sequence[torch.Tensor]) -> Any:
        """Return the outputs for arrays in the order of `order`, parameters among them."""
        return self._evaluate(self.admitted(arrays), None, False)

    def _evaluate(self, arrays: Sequence[torch.Tensor], state: Any, return_state: bool) -> Any:
        named = dict(zip(self.order, arrays, strict=True))
        form, length = self.chosen(named)
        whole = form == "parallel" and state is None and not return_state
        before = [] if whole else self._start(state, named, self._known(named))

        def run(named: dict[str, torch.Tensor]) -> tuple[Arrays, Arrays]:
            if not whole:
                return self._pieces(named, before, self._count(named), length, form == "recurrent")
            found = self.run(list(self.turned(named).values()))
            return self.turned_outputs([found] if self.stream.single else list(found)), []

        named = self.turned(named)
        outputs, states = run(named)
        watched = [*states, *(outputs if whole or self.recent else [])]
        if form != "recurrent" and not finite(watched) and not finite([*self._over_time(named), *self._kept(before)]):
            before = before or self._start(state, named, self._known(named))
            outputs, states = self._token_by_token(named, before, run)
        outputs = self.turned_outputs(outputs)
        result = outputs[0] if self.stream.single else tuple(outputs)
        return (result, dict(zip(self._state_names, states, strict=True))) if return_state else result

    def chosen(self, named: Mapping[str, torch.Tensor]) -> tuple[str, int]:
        """Return the form that a call takes, and how many tokens are one piece of it."""
        if self.form not in FORMS:
            raise UsageError(f"there is no form {self.form!r}", remedy=FORMS_REMEDY)
        count = max(self._count(named), 1)
        if self.form == "recurrent":
            return "recurrent", 1
        if self.form == "parallel":
            return "parallel", count
        length = self._chunk_length(named)
        return ("parallel", count) if self.form is None and count <= length else ("chunked", length)

    def step(self, state: Any, *args: Any, **token: Any) -> tuple[State, Any]:
        """Return the states after one more token, and the output at it.

        Parameters
        ----------
        state : dict of str to tensor
            From `init_state` or an earlier step; it is not changed.
        *args, **token
            The inputs at one token, by name or in the order of `inputs`: arrays without their axis over time.
        """
        if args:
            token = self._with_names(args, token)
        arrays, states = self._admitted_token(state, token)
        if self.recent is None:
            outs, new = self._call(self.token, self._token_slots, [*arrays, *states], {})
        else:
            timed = [self._with_time(name, array) for name, array in zip(self.order, arrays, strict=True)]
            outs, new = self._advance(timed, states, single=True)
            outs = [out.squeeze(place) for out, place in zip(outs, self._out_place, strict=True)]
        for one, old, value in zip(self.stream.system.states, states, new, strict=False):
            if value.shape != old.shape:
                legs = len(one.legs)
                batch, own = tuple(value.shape[: value.dim() - legs]), tuple(old.shape[: old.dim() - legs])
                raise ShapeMismatch(
                    f"a token with the batch axes {batch} does not continue the state {one.name}, which has {own}",
                    remedy="pass tokens without an axis over time, and batch axes as in init_state(batch_shape, ...)",
                    tensor=one.name,
                )
        return dict(zip(self._state_names, new, strict=True)), outs[0] if self.stream.single else tuple(outs)

    def _with_names(self, args: Sequence[Any], token: Mapping[str, Any]) -> dict[str, Any]:
        names = self.inputs[: len(args)]
        if len(args) > len(self.inputs):
            raise UnknownName(
                f"got {len(args)} arrays for {counted(len(self.inputs), 'input')}",
                remedy=f"give {', '.join(self.inputs)}",
            )
        for name in names:
            if name in token:
                raise UnknownName(f"input {name} is given twice", remedy="give it once", name=name)
        return {**dict(zip(names, args, strict=True)), **token}

    def _admitted_token(self, state: Any, token: Mapping[str, Any]) -> tuple[Arrays, Arrays]:
        """Return the inputs at one token and the states, in order, checked; what passed once is not checked again."""
        signature = self._signature(state, token)
        if signature in self._steps:
            values = [token[name] if name in token else getattr(self, name) for name in self.order]
            return values, [state[name] for name in self._state_names]
        self._check_names(state)
        named = self._token_arrays(token)
        known = dict(self.sizes)
        for tensor in self._token_tensors:
            check_shape(tensor.name, self._token_legs[tensor.name], named[tensor.name], known)
        states = self._checked(state, next(iter(named.values())), known)
        self._check_batch(self._token_legs, named, states)
        as_given = all(x is state[name] for name, x in zip(self._state_names, states, strict=True))
        if signature is not None and as_given and len({array.dtype for array in (*named.values(), *states)}) == 1:
            if len(self._steps) >= MOST_SIGNATURES:
                self._steps.clear()
            self._steps.add(signature)
        return [*named.values()], states

    def _signature(self, state: Any, token: Mapping[str, Any]) -> Any:
        """Return all that the checks of a step look at, None if that cannot be looked up."""
        if torch.compiler.is_compiling() or not isinstance(state, dict):
            return None
        try:
            own = dict(self.named_parameters(recurse=False)) if len(self.inputs) < len(self.order) else {}
            found = tuple([(k, x.shape, x.dtype, x.device) for part in (token, own, state) for k, x in part.items()])
            hash(found)  # sizes that are symbols have none
        except (AttributeError, TypeError):
            return None
        return found

    def _token_arrays(self, token: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Return the inputs at one token as tensors of one dtype and device."""
        for name in token:
            if name not in self.inputs:
                raise UnknownName(f"there is no input {name!r}", remedy=suggest(name, self.inputs), name=name)
        for name in self.inputs:
            if name not in token:
                raise UnknownName(f"input {name} is missing", remedy=f"pass {name}=...", name=name)
        values = [token[name] if name in token else getattr(self, name) for name in self.order]
        arrays = as_tensors(values, self._token_tensors)
        check_alike(arrays, self._token_tensors)
        return dict(zip(self.order, arrays, strict=True))

    def _check_batch(
        self, legs: Mapping[str, Sequence[Any]], named: Mapping[str, torch.Tensor], states: Arrays
    ) -> None:
        """Raise if the batch axes of inputs and states do not broadcast."""
        inputs = [(f"input {name}", batch_of(legs[name], array)) for name, array in named.items()]
        given = dict(zip(self._state_names, states, strict=True))
        check_batch([*inputs, *((f"the state {n}", batch_of(self._state_legs[n], x)) for n, x in given.items())])

    def _with_time(self, name: str, array: torch.Tensor) -> torch.Tensor:
        place = self._place[name]
        return array if place is None else array.unsqueeze(place)

    # pieces of time

    def _pieces(
        self, named: dict[str, torch.Tensor], states: Arrays, count: int, length: int, single: bool
    ) -> tuple[Arrays, Arrays]:
        """Return the outputs at all tokens and the states after them, with one batch axis inside if possible."""
        ranks = [len(legs) for legs in (*map(self._legs.__getitem__, self.order), *self._state_legs.values())]
        arrays = [*named.values(), *states]
        batch = common_batch(zip(ranks, arrays, strict=True))
        if batch is None:
            return self._each_piece(named, states, count, length, single, plain=False)
        one = [together(x, rank, batch) for rank, x in zip(ranks, arrays, strict=True)]
        outs, new = self._each_piece(
            dict(zip(named, one, strict=False)), one[len(named) :], count, length, single, plain=True
        )
        return [apart(x, batch) for x in outs], [apart(x, batch) for x in new]

    def _each_piece(
        self, named: dict[str, torch.Tensor], states: Arrays, count: int, length: int, single: bool, plain: bool
    ) -> tuple[Arrays, Arrays]:
        fresh = may_overwrite()
        if count <= length:
            return self._advance([*named.values()], states, single and count > 0, plain=plain, fresh=fresh)
        graph = torch.is_grad_enabled() and any(x.requires_grad for x in (*named.values(), *states))
        starts = range(0, count, length)
        # without gradients, the pieces of tokens would need more memory than the tokens
        cut = slices if single and not graph else split
        placed = [(array, self._place[name]) for name, array in named.items()]
        cuts = [repeat(array) if place is None else cut(array, place, starts) for array, place in placed]
        advance = self._step(single, plain, fresh)
        parts: list[Arrays] = []
        whole: Arrays = []
        targets: list[Iterator[torch.Tensor]] = []
        for start, *arrays in zip(starts, *cuts, strict=False):
            # the first states are the caller's, and gradients need all of them
            given = fresh and self._own_states and start > 0 and not graph
            outs, states = advance(arrays, states, given)
            if graph:
                parts.append(outs)
                continue
            if not whole:
                whole = [longer(out, place, count) for out, place in zip(outs, self._out_place, strict=True)]
                targets = [cut(out, place, starts) for out, place in zip(whole, self._out_place, strict=True)]
            for target, out in zip(targets, outs, strict=True):
                next(target).copy_(out)
        if graph:
            outputs = zip(zip(*parts, strict=True), self._out_place, strict=True)
            whole = [torch.cat(pieces, dim=place) for pieces, place in outputs]
        return whole, states

    def _token_by_token(
        self, named: dict[str, torch.Tensor], states: Arrays, run: Callable[..., tuple[Arrays, Arrays]]
    ) -> tuple[Arrays, Arrays]:
        """Return what a form computes, in steps of one token where inputs are not finite.

        A mask is a factor 0 in the kernel of many tokens, and 0 times NaN would reach the tokens before; these are
        what the form computes with an earlier token in place of those that are not finite.
        """
        count, length = self._count(named), self._chunk_length(named)
        parts: list[Arrays] = []
        place, clean = self._out_place, first_tokens(named, self._place) if finite(self._kept(states)) else None
        for start in range(0, max(count, 1), length):
            size = min(length, count - start)
            piece = {name: self._cut(name, array, start, size) for name, array in named.items()}
            single = not finite([*self._over_time(piece), *self._kept(states)])
            outs, states = self._pieces(piece, states, size, 1 if single else length, single)
            parts.append(outs)
        outputs = [torch.cat(outs, dim=p) for outs, p in zip(zip(*parts, strict=True), place, strict=True)]
        if clean is None:
            return outputs, states
        kept, replaced = clean
        outs, _ = run(replaced)
        return [
            torch.cat([a.narrow(p, 0, kept), b.narrow(p, kept, count - kept)], dim=p)
            for a, b, p in zip(outs, outputs, place, strict=True)
        ], states

    def _kept(self, states: Arrays) -> Arrays:
        """Return the tokens among the states."""
        return states[len(self.stream.system.states) :]

    def _over_time(self, named: Mapping[str, torch.Tensor]) -> Arrays:
        return [array for name, array in named.items() if self._place[name] is not None]

    def _advance(self, arrays: Arrays, states: Arrays, single: bool, **flags: bool) -> tuple[Arrays, Arrays]:
        """Return the outputs at a piece of time and the states after it; flags are those of a fused kernel."""
        kept: Arrays = []
        if self.recent is not None:
            sums, new = self.recent.extended(
                dict(zip(self.order, arrays, strict=True)), dict(zip(self._state_names, states, strict=True))
            )
            arrays, kept = [*arrays, *sums.values()], list(new.values())
        if not single:
            outs, states = self._call(self.chunk, self._chunk_slots, [*self._with_gates(arrays), *states], flags)
            return outs, [*states, *kept]
        arrays = [x if place is None else x.select(place, 0) for x, place in zip(arrays, self._places, strict=True)]
        outs, states = self._call(self.token, self._token_slots, [*arrays, *states], {})
        return [out.unsqueeze(place) for out, place in zip(outs, self._out_place, strict=True)], [*states, *kept]

    def _step(self, single: bool, plain: bool, fresh: bool) -> Callable[[Arrays, Arrays, bool], tuple[Arrays, Arrays]]:
        """Return `_advance` as a function for a loop, in which everything but the kernel takes time that adds up."""
        slots = self._chunk_slots
        if single or self.recent is not None or self._constant or len(slots) < 2 or torch.compiler.is_compiling():
            return lambda arrays, states, given: self._advance(
                arrays, states, single, plain=plain, fresh=fresh, given=given
            )
        run, pick, count = self.chunk.run, itemgetter(*slots), len(self._out_place)

        def step(arrays: Arrays, states: Arrays, given: bool) -> tuple[Arrays, Arrays]:
            found = run(pick((*arrays, *states)), plain=plain, fresh=fresh, given=given)
            return found[:count], found[count:]

        return step

    def _call(
        self, kernel: Operator, slots: Sequence[int], values: Arrays, flags: Mapping[str, bool]
    ) -> tuple[Arrays, Arrays]:
        found = kernel.run([values[slot] for slot in slots], **flags)
        count = len(self._out_place)
        return found[:count], found[count:]

    def _slots(self, kernel: Operator) -> list[int]:
        """Return where the inputs of a kernel stand among those of the stream, sums over windows, and states."""
        values = [*self.order, *(self.recent.names if self.recent else []), *self._state_names]
        return [values.index(name) for name in kernel.order]

    def _with_gates(self, arrays: Arrays) -> Arrays:
        """Return the inputs of the chunk's kernel as arrays: gates that are constant in time are given a time axis."""
        if not self._constant:
            return arrays
        named = self.timed(dict(zip(self.order, arrays, strict=False)))
        return [*named.values(), *arrays[len(named) :]]

    def timed(self, piece: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the inputs of the chunk's kernel: gates that are constant in time are given a time axis."""
        if not self._constant:
            return piece
        count = self._count(piece)
        return piece | {name: piece[name][..., None].expand(*piece[name].shape, count) for name in self._constant}

    def _cut(self, name: str, array: torch.Tensor, start: int, size: int) -> torch.Tensor:
        """Return a piece of an input."""
        place = self._place[name]
        return array if place is None else array.narrow(place, start, size)

    def turned(self, named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return inputs in the order in which tokens come."""
        if not self.stream.reverse:
            return named
        return {name: _flipped(array, self._place[name]) for name, array in named.items()}

    def turned_outputs(self, outputs: Arrays) -> Arrays:
        """Return outputs in the order of time."""
        if not self.stream.reverse:
            return outputs
        return [_flipped(out, place) for out, place in zip(outputs, self._out_place, strict=True)]

    # sizes

    def _count(self, named: Mapping[str, torch.Tensor]) -> int:
        return next(named[n].shape[place] for n, place in self._place.items() if place is not None)

    def _known(self, named: Mapping[str, torch.Tensor]) -> dict[str, int]:
        found = dict(self.sizes)
        for name, legs in self._legs.items():
            array = named[name]
            if array.dim() >= len(legs):
                for dimension, extent in zip(legs, array.shape[array.dim() - len(legs) :], strict=True):
                    if isinstance(dimension, str):
                        found.setdefault(dimension, extent)
        return found

    def _start(self, state: Any, named: Mapping[str, torch.Tensor], known: Mapping[str, int]) -> Arrays:
        like = next(iter(named.values()))
        if state is None:
            return list(self._zeros((), like.dtype, like.device, known).values())
        self._check_names(state)
        states = self._checked(state, like, known)
        self._check_batch(self._legs, named, states)
        return states

    def _chunk_length(self, named: Mapping[str, torch.Tensor]) -> int:
        """Return the length of a chunk that costs least for a token."""
        if torch.compiler.is_compiling():  # sizes are symbols without values
            return self._lengths.usual
        return self._lengths.at(named, self._known)


def _check_proved(stream: Stream) -> None:
    """Raise unless all laws of a stream are proved."""
    for name, verdict in stream.verdicts.items():
        if verdict.status != "proved":
            raise ValidationFailed(
                f"the {name} of the stream is {verdict.status}, so its forms might differ from the definition",
                remedy="see stream.verdicts; give the hypotheses that it needs: stream(..., given=[...])",
                verdict=verdict,
            )


def _place_of(legs: Sequence[VectorSpace], clock: VectorSpace) -> int | None:
    """Return where the axis over time is, counted from the end."""
    return next((k - len(legs) for k, leg in enumerate(legs) if leg == clock), None)


def _flipped(array: torch.Tensor, place: int | None) -> torch.Tensor:
    return array if place is None else array.flip(place)


def _without(tensor: Tensor, clock: VectorSpace) -> Tensor:
    """Return a tensor as it is at one token."""
    return Tensor(tensor.name, tuple(leg for leg in tensor.legs if leg != clock))
