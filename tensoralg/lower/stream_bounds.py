"""Error bounds of streams: the kernels of a form run in balls, piece of time by piece, the states' balls handed on.

All forms have the same exact value, that of the definition.  What a form computes differs from it by what the
roundings of its own kernels add up to: a state is an input of the next piece that carries the error of the last.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tensoralg.lower.arithmetic import Arithmetic
from tensoralg.lower.balls import Ball
from tensoralg.lower.bounds import Enclosure, chosen_program, error_bound
from tensoralg.lower.operator import Operator
from tensoralg.lower.recent import Recent
from tensoralg.lower.streams import StreamOperator

Inputs = dict[str, Tensor | Ball]


def stream_bound(
    operator: StreamOperator, arrays: Mapping[str, Tensor], sizes: Mapping[str, int], machine: Arithmetic
) -> tuple[Tensor, ...]:
    """Return, for each output of a stream, an upper bound of the absolute error of every entry.

    Parameters
    ----------
    operator : StreamOperator
        What is run, in its `form`; where that is None, in the one that a call would choose.
    arrays : mapping of str to Tensor
        The inputs and parameters, exactly, in float64, without batch axes.
    sizes : mapping of str to int
        The sizes of the dimensions, the number of tokens among them.
    machine : Arithmetic
        The arithmetic that it is run in.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.lower.arithmetic import arithmetic
    >>> total = ta.compile(ta.stream(ta.parse("O[t] = le[s,t]*x[s]", indices={"t,s": "n ordered"})), form="recurrent")
    >>> x = {"x": torch.ones(4, dtype=torch.float64)}
    >>> (bound,) = stream_bound(total, x, {"n": 4}, arithmetic("float32", "cpu"))
    >>> (bound / 2**-24).round().tolist()
    [1.0, 3.0, 6.0, 10.0]
    """
    named = {name: arrays[name] for name in operator.order}
    form, length = operator.chosen(named)
    if form == "parallel":
        return error_bound(chosen_program(operator, sizes), named, sizes, machine)
    count = operator._count(named)
    named = operator.turned(named)
    walk = _Walk(operator, sizes, machine, form == "recurrent" and count > 0)
    errors: list[list[Tensor]] = []
    for start in range(0, max(count, 1), length):
        size = min(length, count - start)
        errors.append(walk.advance({name: operator._cut(name, array, start, size) for name, array in named.items()}))
    places = operator._out_place
    joined = [torch.cat(parts, dim=place) for parts, place in zip(zip(*errors, strict=True), places, strict=True)]
    return tuple(operator.turned_outputs(joined))


class _Walk:
    """One form on its way through time."""

    def __init__(self, operator: StreamOperator, sizes: Mapping[str, int], machine: Arithmetic, single: bool) -> None:
        self.operator, self.sizes, self.machine, self.single = operator, sizes, machine, single
        self.enclosures: dict[tuple[Operator, int], Enclosure] = {}
        first = operator.init_state((), torch.float64, "cpu", sizes)
        names = [state.name for state in operator.stream.system.states]
        self.states = {name: Ball.exact(first[name]) for name in names}
        self.past = {name: array for name, array in first.items() if name not in self.states}

    def advance(self, piece: dict[str, Tensor]) -> list[Tensor]:
        """Return the errors of the outputs at a piece of time, and go on to its end."""
        operator, count = self.operator, self.operator._count(piece)
        sums = self._windows(operator.recent, piece) if operator.recent is not None else {}
        if self.single:
            kernel = operator.token
            inputs = {name: _at(array, operator._place[name]) for name, array in piece.items()}
        else:
            kernel = operator.chunk
            inputs = operator.timed(piece)
        found = self._results(kernel, {**inputs, **sums, **self.states}, count)
        places = operator._out_place
        self.states = dict(zip(self.states, found[len(places) :], strict=True))
        errors = [ball.error for ball in found[: len(places)]]
        return [e.unsqueeze(place) for e, place in zip(errors, places, strict=True)] if self.single else errors

    def _windows(self, recent: Recent, piece: dict[str, Tensor]) -> dict[str, Ball]:
        """Return the sums over the last tokens at a piece of time, and keep the tokens for the next one."""
        arrays, self.past, before = recent.tokens(piece, self.past)
        exact = dict(zip(recent.kernel.order, arrays, strict=True))
        count = before + self.operator._count(piece)
        balls = dict(zip(recent.names, self._results(recent.kernel, exact, count), strict=True))
        found = {}
        for (name, ball), place in zip(balls.items(), recent.places, strict=True):
            parts = [recent.now(name, values, before) for values in (ball.mid, ball.radius, ball.error)]
            found[name] = Ball(*(_at(part, place) for part in parts) if self.single else parts)
        return found

    def _results(self, kernel: Operator, inputs: Mapping[str, Tensor | Ball], count: int) -> tuple[Ball, ...]:
        """Return the balls of the results of a kernel at a number of tokens."""
        sizes = {**self.sizes, str(self.operator.stream.along.dimension): count}
        if (kernel, count) not in self.enclosures:
            self.enclosures[kernel, count] = Enclosure(chosen_program(kernel, sizes), self.machine, joint=True)
        return self.enclosures[kernel, count].results({name: inputs[name] for name in kernel.order}, sizes)


def _at(array: Tensor, place: int | None) -> Tensor:
    """Return an array at the only token of a piece."""
    return array if place is None else array.select(place, 0)
