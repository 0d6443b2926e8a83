"""Programs over ranks: every rank runs the steps on its part of one space, and exchanges what a step needs whole.

A space T is cut into a part for each rank, ``T = T_0 + T_1 + ..``.  An array with an axis over T is *whole* on every
rank, or *sharded* along one such axis: a rank has its part.  What follows for a step, from its algebra:

* an index over T that all operands share, each sharded along it or whole (a rank takes its part of a whole array):
  every rank does the step on its part.  If the index is kept, the result is sharded along it; if it is summed,
  ``sum over T = sum over T_0 + sum over T_1 + ..``: the ranks' results are added (all-reduce).
* operands that are sharded along different indices, as t and s in ``Q[t,f] K[s,f]``: one of them stays, the others
  are gathered (all-gather); the one stays for which the fewest elements are sent.
* triangles and entrywise operations go along; a softmax along the sharded axis, and what else has no rule, is done on
  gathered arrays.
* in a loop over slices the ranks divide the positions of a variable among them: added if it is summed, else sharded.

*Proof.*  The steps of all ranks and their exchanges are read as one program over a direct sum of two parts, where
gathering means ``sum(i: delta[t, 0:i] x_0[i]) + sum(j: delta[t, 1:j] x_1[j])``, and what comes out is proved equal to
the definition over that sum of spaces, whatever the sizes of the parts.  More parts are two, one of which is a direct
sum again: every rule treats the parts alike, and sums and gatherings of parts are associative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy

from tensoralg.lower.program import (
    Arg,
    Attention,
    Axes,
    Binary,
    Einsum,
    Function,
    Indicator,
    Loop,
    Op,
    Power,
    Program,
    Repeat,
    Scale,
    Select,
    Softmax,
    Split,
    Step,
    Take,
    Triangle,
    Where,
    operands_of,
    renamed,
)
from tensoralg.spaces import Space

Entrywise = Where | Binary | Softmax | Attention
SUM, GATHER, PART, TRIANGLE = "sum", "gather", "part", "triangle"


@dataclass(frozen=True)
class Exchange:
    """What ranks do besides steps: ``sum`` over them, ``gather`` along an axis, take a ``part``, or a part's triangle.

    Attributes
    ----------
    kind : str
    name, source : str
        The value that it makes, and the one it is made of.
    axes : tuple of VectorSpace
        Those of the value.
    axis : int
        The axis over the space that is cut.
    lower, strict : bool
        Of a triangle.
    """

    kind: str
    name: str
    source: str
    axes: Axes
    axis: int = 0
    lower: bool = False
    strict: bool = False


Item = Step | Exchange


@dataclass(frozen=True)
class Sharded:
    """A program over ranks.

    Attributes
    ----------
    program : Program
        What it does on one rank that has all.
    clock : Space
        The space that is cut.
    part : Space
        What stands for a rank's part of it in the steps.
    inputs : dict of str to int
        The axes along which inputs are sharded; the others are whole.
    items : tuple
        Steps and exchanges, in order.
    results : tuple of (str, int or None)
        The values that come out, and the axis along which each is sharded.
    """

    program: Program
    clock: Space
    part: Space
    inputs: Mapping[str, int]
    items: tuple[Item, ...]
    results: tuple[tuple[str, int | None], ...]

    @property
    def exchanges(self) -> list[Exchange]:
        """The exchanges that send something."""
        return [item for item in self.items if isinstance(item, Exchange) and item.kind in (SUM, GATHER)]


def part_of(space: Space) -> Space:
    """Return the space that stands for a rank's part."""
    name = f"{space.name}_part"
    return replace(space, name=name, dimension=sympy.Symbol(name, integer=True, positive=True))


def shard(
    program: Program,
    space: Space,
    inputs: Mapping[str, int],
    whole: bool,
    outputs: Sequence[int | None],
    volume: Callable[[Axes], Any],
) -> Sharded:
    """Return the program over ranks.

    Parameters
    ----------
    program : Program
        What is computed.
    space : Space
        The space that is cut.
    inputs : mapping of str to int
        The axes along which inputs are sharded.
    whole : bool
        Whether these inputs are whole all the same, and every rank takes its part.
    outputs : sequence of int or None
        For each result the axis along which it is to be sharded, None for whole results.
    volume : callable
        The elements of an array with the given axes, to compare what exchanges send.
    """
    machine = _Sharding(program, space, part_of(space), volume)
    for name, axes in program.inputs:
        machine.axes[name], machine.cut[name] = axes, None
    for name, axis in inputs.items():
        if whole:
            machine.aliases[name] = machine.part(name, axis)
        else:
            machine.cut[name] = axis
            machine.axes[name] = machine.local(machine.axes[name], axis)
    for step in program.steps:
        machine.do(step)
    results = []
    for name, wanted in zip(program.results, outputs, strict=True):
        found = machine.current(name)
        if machine.cut[found] != wanted:
            found = machine.whole(found)
            found = found if wanted is None else machine.part(found, wanted)
        results.append((found, machine.cut[found]))
    own = {} if whole else dict(inputs)
    return Sharded(program, space, machine.own, own, machine.live(results), tuple(results))


@dataclass
class _Sharding:
    program: Program
    space: Space
    own: Space
    volume: Callable[[Axes], Any]
    axes: dict[str, Axes] = field(default_factory=dict)
    cut: dict[str, int | None] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    wholes: dict[str, str] = field(default_factory=dict)
    parts: dict[tuple[str, int], str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def local(self, axes: Axes, axis: int | None) -> Axes:
        """Return the axes of a part."""
        return axes if axis is None else (*axes[:axis], self.own, *axes[axis + 1 :])

    def current(self, name: str) -> str:
        return self.aliases.get(name, name)

    def exchange(self, kind: str, source: str, cut: int | None, **facts: Any) -> str:
        """Add an exchange and return the value that it makes."""
        self.count += 1
        name = f"{source}_{kind}{self.count}"
        axes = self.local(tuple(self.space if s == self.own else s for s in self.axes[source]), cut)
        self.items.append(Exchange(kind, name, source, axes, **facts))
        self.axes[name], self.cut[name] = axes, cut
        return name

    def whole(self, name: str) -> str:
        """Return a value on every rank."""
        axis = self.cut[name]
        if axis is None:
            return name
        if name not in self.wholes:
            self.wholes[name] = self.exchange(GATHER, name, None, axis=axis)
        return self.wholes[name]

    def part(self, name: str, axis: int) -> str:
        """Return a whole value's part along an axis."""
        if (name, axis) not in self.parts:
            made = self.exchange(PART, name, axis, axis=axis)
            self.parts[name, axis] = made
            self.wholes[made] = name
        return self.parts[name, axis]

    def live(self, results: Sequence[tuple[str, int | None]]) -> tuple[Item, ...]:
        """Return what the results depend on."""
        needed, kept = {name for name, _ in results}, []
        for item in reversed(self.items):
            if item.name in needed:
                needed.update((item.source,) if isinstance(item, Exchange) else operands_of(item.op))
                kept.append(item)
        return tuple(reversed(kept))

    # steps

    def do(self, step: Step) -> None:
        """Add a step, on parts where that is possible."""
        op = step.op
        if isinstance(op, Einsum):
            self.contraction(step, op)
        elif isinstance(op, Where | Binary | Softmax | Attention):
            self.entrywise(step, op)
        elif isinstance(op, Loop):
            self.loop(step, op)
        elif isinstance(op, Triangle) and not op.in_place:
            self.triangle(step, op)
        elif isinstance(op, Indicator | Scale | Function | Power | Split | Take | Repeat):
            self.along(step, op)
        else:
            self.add(step, {name: self.whole(self.current(name)) for name in operands_of(op)}, None)

    def add(self, step: Step, operands: Mapping[str, str], cut: int | None, op: Op | None = None) -> None:
        """Add a step that reads other values, with a result that is sharded along an axis."""
        changed = renamed(op or step.op, operands)
        axes = self.local(step.axes, cut)
        self.items.append(Step(step.name, axes, changed))
        self.axes[step.name], self.cut[step.name] = axes, cut

    def along(self, step: Step, op: Indicator | Scale | Function | Power | Split | Take | Repeat) -> None:
        source = self.current(op.source)
        cut = self.cut[source]
        if cut is not None and isinstance(op, Split | Take | Repeat):
            if isinstance(op, Split | Take) and op.axis == cut:
                source, cut = self.whole(source), None
            elif cut > op.axis or (cut == op.axis and isinstance(op, Repeat)):
                cut += len(step.axes) - len(self.axes[source])
        self.add(step, {op.source: source}, cut)

    def triangle(self, step: Step, op: Triangle) -> None:
        source = self.current(op.source)
        cut = self.cut[source]
        if cut is None or cut < len(step.axes) - 2:
            self.add(step, {op.source: source}, cut)
            return
        name = self.exchange(TRIANGLE, source, cut, axis=cut, lower=op.lower, strict=op.strict)
        self.aliases[step.name] = name

    def contraction(self, step: Step, op: Einsum) -> None:
        labels = [tuple(own) for own in op.labels]
        cuts = [self.cut[self.current(name)] for name in op.operands]
        marks = [own[cut] if cut is not None else None for own, cut in zip(labels, cuts, strict=True)]
        usable = [m for m in dict.fromkeys(marks) if m is not None and all(own.count(m) < 2 for own in labels)]

        def sent(mark: int) -> Any:
            gathered = [n for n, m in zip(op.operands, marks, strict=True) if m not in (None, mark)]
            amount = sum(self.volume(self.axes_of(self.current(n))) for n in gathered)
            return amount + (0 if mark in op.output else 2 * self.volume(step.axes))

        mark = min(usable, key=sent) if usable else None
        chosen = []
        for name, own, found in zip(op.operands, labels, marks, strict=True):
            value = self.current(name)
            if mark is None or found != mark:
                value = self.whole(value)
                value = self.part(value, own.index(mark)) if mark is not None and mark in own else value
            chosen.append(value)
        made = replace(op, operands=tuple(chosen))
        if mark is None or mark in op.output:
            self.add(step, {}, None if mark is None else op.output.index(mark), made)
            return
        self.add(step, {}, None, made)
        self.aliases[step.name] = self.exchange(SUM, step.name, None)

    def axes_of(self, name: str) -> Axes:
        return tuple(self.space if s == self.own else s for s in self.axes[name])

    def entrywise(self, step: Step, op: Entrywise) -> None:
        """Divide an axis of the result, along which every entry depends on the same entries of the operands."""
        args = arguments(op)
        places = [row_places(op, k) for k in range(len(args))]
        marks = [
            None if (c := self.cut[self.current(a.name)]) is None else own[c]
            for a, own in zip(args, places, strict=True)
        ]
        usable = [m for m in dict.fromkeys(marks) if m is not None and is_apart(op, m, len(step.axes))]

        def sent(mark: int) -> Any:
            others = [a.name for a, m in zip(args, marks, strict=True) if m not in (None, mark)]
            return sum(self.volume(self.axes_of(self.current(name))) for name in others)

        mark = min(usable, key=sent) if usable else None
        names = []
        for arg, own, found in zip(args, places, marks, strict=True):
            name = self.current(arg.name)
            if mark is None or found != mark:
                name = self.whole(name)
                if mark is not None and mark in own:
                    name = self.part(name, own.index(mark))
            names.append(name)
        self.add(step, {}, mark, with_arguments(op, names))

    def loop(self, step: Step, op: Loop) -> None:
        """Divide the positions of a variable over the space among the ranks."""
        outer = operands_of(op)
        chosen = {name: self._selected(op, name) for name in outer}
        variables = [name for name, space in op.variables if space == self.space]
        cuts = {name: self.cut[self.current(name)] for name in outer}
        variable = next(
            (v for v in variables if any(cut is not None and chosen[n].get(cut) == v for n, cut in cuts.items())), None
        )
        operands = {}
        for name in outer:
            found, cut = self.current(name), cuts[name]
            axis = next((axis for axis, v in chosen[name].items() if v == variable and variable), None)
            if cut is None or cut != axis:
                found = self.whole(found)
                found = self.part(found, axis) if axis is not None else found
            operands[name] = found
        if variable is None:
            self.add(step, operands, None)
            return
        place = [name for name, _ in op.variables].index(variable)
        spaces = tuple((n, self.own if n == variable else s) for n, s in op.variables)
        local = replace(op, variables=spaces)
        self.add(step, operands, place if place < op.kept else None, local)
        if place >= op.kept:
            self.aliases[step.name] = self.exchange(SUM, step.name, None)

    def _selected(self, op: Loop, name: str) -> dict[int, str]:
        """Return the axes of an operand that the loop's variables select, if it is read in one way."""
        readers = [s.op for s in op.steps if name in operands_of(s.op)]
        found: dict[int, str] = {}
        if len(readers) != 1:
            return found
        places, current = list(range(len(self.program.axes[name]))), name
        for inner in op.body:
            if isinstance(inner.op, Select) and inner.op.source == current:
                found[places.pop(inner.op.axis)] = inner.op.variable
                current = inner.name
        return found


def arguments(op: Entrywise) -> tuple[Arg, ...]:
    """Return the operands of an entrywise operation, in order."""
    if isinstance(op, Where):
        return op.mask, op.source
    if isinstance(op, Attention):
        return op.query, op.key, op.value, *op.masks, *([] if op.bias is None else [op.bias])
    return (op.left, op.right) if isinstance(op, Binary) else (op.source, *op.masks)


def with_arguments(op: Entrywise, names: Sequence[str]) -> Op:
    """Return an entrywise operation with operands of other names, in the order of `arguments`."""
    first, second, *rest = (
        replace(arg, name=name) for arg, name in zip([*arguments(op), Arg("", ())], [*names, ""], strict=True)
    )
    if isinstance(op, Where):
        return Where(first, second)
    if isinstance(op, Binary):
        return Binary(op.symbol, first, second)
    if isinstance(op, Softmax):
        return replace(op, source=first, masks=(second, *rest)[:-1])
    value, *masks, _ = rest
    bias = None if op.bias is None else masks.pop()
    return replace(op, query=first, key=second, value=value, masks=tuple(masks), bias=bias)


def row_places(op: Entrywise, k: int) -> tuple[int, ...]:
    """Return where the axes of the k-th operand stand in the result, -1 for keys that attention averages over."""
    places = arguments(op)[k].places
    keyed = isinstance(op, Attention) and k in (1, 2)
    return (*places[:-2], -1, places[-1]) if keyed else places


def is_apart(op: Entrywise, place: int, rank: int) -> bool:
    """Return whether a result can be made part by part along an axis."""
    if isinstance(op, Attention):
        return 0 <= place < rank - 1 - op.causal
    return not (isinstance(op, Softmax) and place == op.axis)
