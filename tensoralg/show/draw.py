"""Painting string diagrams: what each kind of box looks like, and how wires are led to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tensoralg.show.canvas import (
    INK,
    PALE,
    Block,
    circle,
    curve,
    moved,
    number,
    path,
    rectangle,
    text_width,
    words,
)
from tensoralg.show.layers import Route, Vertex, orient, place

if TYPE_CHECKING:
    from tensoralg.show.diagram import Box, Diagram, Picture, Wire

LABEL, NAME, MARK = 11.0, 13.0, 7.5  # font sizes
PORT = 13.0  # between the ends of wires at one side of a box
WHOLE = "whole"  # marks the merged wire of a triangle
WIDEST = 960.0  # of a row of terms, unless one term is wider
FILL = {"tensor": "#e8f0fb", "mask": "#fff3d1", "decay": "#e4f3e7", "text": "#f3f3f3", "inject": "#f3ecfb"}


@dataclass
class _Item:
    """What stands at a vertex, and the wires that end there at either side (route number, mark)."""

    vertex: Vertex
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    marks: dict[int, str] = field(default_factory=dict)

    def measure(self) -> None:
        """Set the extents, knowing which wires come from which side."""

    def port(self, side: str, position: int, count: int) -> tuple[float, float]:
        """Return where one of the wires at a side ends."""
        vertex = self.vertex
        y = vertex.y + (position - (count - 1) / 2) * PORT
        return (vertex.x if side == "left" else vertex.x + vertex.width), y

    def paint(self) -> str:
        """Return the drawing."""
        return ""

    @property
    def centre(self) -> float:
        return self.vertex.x + self.vertex.width / 2


@dataclass
class _Open(_Item):
    label: str = ""

    def measure(self) -> None:
        self.vertex.width = text_width(self.label, LABEL) + 3
        self.vertex.above = self.vertex.below = 8
        self.vertex.stand = 1.0 if self.vertex.side == "input" else 0.0

    def paint(self) -> str:
        vertex = self.vertex
        if vertex.side == "input":
            return words(vertex.x + vertex.width - 3, vertex.y, self.label, LABEL, "end")
        return words(vertex.x + 3, vertex.y, self.label, LABEL, "start")


@dataclass(kw_only=True)
class _Joint(_Item):
    """The middle of a wire with its label, or the dot in which its ends meet."""

    wire: Wire
    label: str
    legs: int

    def measure(self) -> None:
        vertex = self.vertex
        text = text_width(self.label, LABEL)
        vertex.width = max(text, 8.0)
        vertex.above, vertex.below = 16 if self.label else 4.0, 4.0
        if not self.legs:
            vertex.width, vertex.above, vertex.below = 24 + text, 11, 11
        elif self.legs != 2:
            vertex.above += 3
            vertex.stand = 0.5 if len(self.left) == len(self.right) else float(len(self.right) > len(self.left))
        elif self.bent:
            vertex.width += 8
            vertex.above += PORT / 2
            vertex.below += PORT / 2
            vertex.stand = 0.0 if self.left else 1.0

    @property
    def bent(self) -> bool:
        return self.legs == 2 and len(self.left) != 1

    def port(self, side: str, position: int, count: int) -> tuple[float, float]:
        x, y = super().port(side, position, count)
        return x, y if self.bent else self.vertex.y

    def paint(self) -> str:
        vertex, thick = self.vertex, self.wire.thick
        x, y, end = vertex.x, vertex.y, vertex.x + vertex.width
        if not self.legs:
            ring = circle(x + 10, y, 8, "none", "ring")
            return ring + words(x + 22, y, self.label, LABEL, "start")
        if self.bent:
            start, turn, sweep = (x, end - PORT / 2, 1) if self.left else (end, x + PORT / 2, 0)
            up, down, radius = number(y - PORT / 2), number(y + PORT / 2), number(PORT / 2)
            steps = f"M{number(start)} {up}H{number(turn)}A{radius} {radius} 0 0 {sweep} {number(turn)} {down}"
            line = path(steps + f"H{number(start)}", thick=thick)
            return line + words(self.centre, y - PORT / 2 - 8.5, self.label, LABEL)
        label = words(self.centre, y - (11.5 if self.legs != 2 else 8.5), self.label, LABEL)
        if self.legs == 2:
            return path(f"M{number(x)} {number(y)}H{number(end)}", thick=thick) + label
        dot = x + vertex.width * vertex.stand
        reach = [at for at, wires in ((x, self.left), (end, self.right)) if wires]
        lines = "".join(path(f"M{number(dot)} {number(y)}H{number(at)}", thick=thick) for at in reach if at != dot)
        return lines + circle(dot, y, 3.5, INK, "copy") + label


@dataclass(kw_only=True)
class _Boxed(_Item):
    """A box of the diagram."""

    box: Box
    inner: Block | None = None

    def measure(self) -> None:
        vertex, box = self.vertex, self.box
        ports = max(len(self.left), len(self.right), 1)
        height = max(24.0, ports * PORT + 5)
        room = [max((text_width(self.marks.get(k, ""), MARK) for k in side), default=0) for side in self.sides]
        self.pads = [6 + extra + (2 if extra else 0) for extra in room]
        width = text_width(box.label, NAME) + sum(self.pads)
        if box.kind == "function":
            head = 19 if box.label else 4
            inner = self.inner or Block(0, 0, 0, "")
            width = max(inner.width, text_width(box.label, NAME)) + 20
            height = max(height, inner.height + head + 8)
        elif box.kind == "fuse":
            width = 12.0 if self.tip else 4.0
        elif box.kind == "discard":
            width = 10.0
        vertex.width = max(width, 24.0) if box.kind in ("tensor", "decay") else width
        vertex.above = vertex.below = height / 2

    @property
    def sides(self) -> tuple[list[int], list[int]]:
        return self.left, self.right

    def paint(self) -> str:
        vertex, box = self.vertex, self.box
        x, y, width, height = vertex.x, vertex.y - vertex.above, vertex.width, 2 * vertex.above
        if box.kind == "fuse":
            return self._triangle()
        if box.kind == "discard":
            bars = [(3 * k if self.left else width - 3 * k, vertex.above - 3 * k) for k in range(3)]
            steps = "".join(f"M{number(x + k)} {number(vertex.y - r)}V{number(vertex.y + r)}" for k, r in bars)
            return path(steps, kind="discard")
        if box.kind == "function":
            inner = self.inner or Block(0, 0, 0, "")
            head = height - inner.height - 4
            drawn = rectangle(x, y, width, height, round=11, kind="function")
            drawn += words(x + 10, y + 11, box.label, NAME, "start")
            return drawn + moved(x + (width - inner.width) / 2, y + head, inner.body)
        corner = height / 2 if box.kind in ("mask", "inject") else 7.0 if box.kind == "text" else 1.5
        drawn = rectangle(x, y, width, height, round=min(corner, 12), fill=FILL[box.kind], kind=box.kind)
        free = width - sum(self.pads)
        return drawn + words(x + self.pads[0] + free / 2, vertex.y, box.label, NAME) + self._marks()

    def _marks(self) -> str:
        drawn = ""
        for side, wires in (("left", self.left), ("right", self.right)):
            for k, wire in enumerate(wires):
                x, y = self.port(side, k, len(wires))
                inside, anchor = (x + 3, "start") if side == "left" else (x - 3, "end")
                drawn += words(inside, y, self.marks.get(wire, ""), MARK, anchor, PALE)
        return drawn

    @property
    def tip(self) -> str:
        """The side of the merged wire, if its parts are all at the other one."""
        for side, wires, others in (("left", self.left, self.right), ("right", self.right, self.left)):
            if others and [self.marks[wire] for wire in wires] == [WHOLE]:
                return side
        return ""

    def _triangle(self) -> str:
        """Draw a triangle with its tip to the merged wire; a bar where that and a part come from one side."""
        vertex = self.vertex
        left, right = number(vertex.x), number(vertex.x + vertex.width)
        top, bottom = number(vertex.y - vertex.above), number(vertex.y + vertex.below)
        if not self.tip:
            return path(f"M{left} {top}H{right}V{bottom}H{left}Z", fill=INK, kind="fuse")
        tip, base = (left, right) if self.tip == "left" else (right, left)
        return path(f"M{tip} {number(vertex.y)}L{base} {top}V{bottom}Z", fill="#dfe5ec", kind="fuse")


def draw_picture(picture: Picture, widest: float = WIDEST) -> Block:
    """Return the terms in a row with their signs and coefficients between them, in several rows where they are many."""
    pieces: list[Block] = []
    for k, (coefficient, diagram) in enumerate(picture.terms):
        drawn = draw_diagram(diagram, widest)
        negative = coefficient.startswith("-")
        factor = coefficient[1:] if negative else coefficient
        sign = "−" if negative else "+" if k else ""
        text = " ".join(part for part in (sign, factor if factor or drawn.width else "1") if part)
        lead = _text(text)
        pieces.append(_beside([lead, drawn] if drawn.width else [lead]))
    rows: list[list[Block]] = [[]]
    for piece in pieces or [_text("0")]:
        if rows[-1] and sum(b.width + 8 for b in rows[-1]) + piece.width > widest:
            rows.append([])
        rows[-1].append(piece)
    lines = [_beside(row) for row in rows]
    y = 0.0
    body = ""
    for line in lines:
        body += moved(0, y, line.body)
        y += line.height + 14
    height = y - 14
    return Block(max(line.width for line in lines), height, lines[0].axis if len(lines) == 1 else height / 2, body)


def _text(text: str, size: float = 14) -> Block:
    width = text_width(text, size)
    return Block(width, 18 if text else 0, 9 if text else 0, words(width / 2, 9, text, size))


def _beside(blocks: Sequence[Block]) -> Block:
    axis = max(block.axis for block in blocks)
    body, x = "", 0.0
    for block in blocks:
        body += moved(x, axis - block.axis, block.body)
        x += block.width + (8 if block.width else 0)
    return Block(x and x - 8, axis + max(block.height - block.axis for block in blocks), axis, body)


def draw_diagram(diagram: Diagram, widest: float = WIDEST) -> Block:
    """Return one diagram, laid out."""
    items, edges = _items(diagram, widest)
    vertices = [item.vertex for item in items]
    routes = orient(vertices, [edge.items for edge in edges])
    for k, (route, edge) in enumerate(zip(routes, edges, strict=True)):
        items[route.source].right.append(k)
        items[route.target].left.append(k)
        for end, mark in zip(edge.items, edge.marks, strict=True):
            items[end].marks[k] = mark
    for item in items:
        item.measure()
    layout = place(vertices, routes)
    for item in items:
        item.left.sort(key=lambda k: _height(vertices, routes[k], -1))
        item.right.sort(key=lambda k: _height(vertices, routes[k], 0))
    ways = (_way(items, route, k) for k, route in enumerate(routes))
    wires = "".join(path(way, thick=edge.thick) for way, edge in zip(ways, edges, strict=True))
    body = wires + "".join(item.paint() for item in items)
    height = layout.bottom - layout.top
    return Block(layout.width, height, height / 2, moved(0, -layout.top, body))


def _height(vertices: Sequence[Vertex], route: Route, end: int) -> tuple[float, float]:
    """Return at which height a wire reaches a box: that of the last thing before it."""
    other = vertices[route.source if end else route.target].y
    return (route.passing[end][2] if route.passing else other), other


def _way(items: Sequence[_Item], route: Route, k: int) -> str:
    source, target = items[route.source], items[route.target]
    x, y = source.port("right", source.right.index(k), len(source.right))
    steps = f"M{number(x)} {number(y)}H{number(source.vertex.column[1])}"
    x = source.vertex.column[1]
    for left, right, height in route.passing:
        steps += curve(x, y, left, height) + f"H{number(right)}"
        x, y = right, height
    end, height = target.port("left", target.left.index(k), len(target.left))
    return steps + curve(x, y, target.vertex.column[0], height) + f"H{number(end)}"


class _Edge(NamedTuple):
    """What joins two items: which, the marks at both, and whether it is thick."""

    items: tuple[int, int]
    marks: tuple[str, str]
    thick: bool


def _items(diagram: Diagram, widest: float) -> tuple[list[_Item], list[_Edge]]:
    """Return what stands at the vertices (inputs, boxes, joints, outputs) and what joins them."""
    items: list[_Item] = [_Open(Vertex(side="input"), label=label) for _, label in diagram.inputs]
    at: list[list[tuple[int, str]]] = [[] for _ in diagram.wires]  # the items at the ends of each wire
    for k, (opened, _) in enumerate(diagram.inputs):
        at[opened].append((k, ""))
    for k, wire in enumerate(diagram.wires):
        at[k] += [(len(items) + end.box, _mark(diagram.boxes[end.box], end.leg)) for end in wire.ends]
    count = len(diagram.boxes)
    for k, box in enumerate(diagram.boxes):
        inner = draw_picture(box.inner, widest * 0.75) if box.inner else None
        wish = (k + 0.5) / count if box.kind in ("tensor", "decay", "function", "text") else None
        items.append(_Boxed(Vertex(wish=wish), box=box, inner=inner))
    sides = [[end.wire for end in side] for side in (diagram.inputs, diagram.outputs)]
    legs = [len(ends) + sides[1].count(k) for k, ends in enumerate(at)]
    joints: dict[int, int] = {}
    for k, wire in enumerate(diagram.wires):
        opens = [side.count(k) for side in sides]
        if legs[k] != 2 or sum(opens) == 0 or max(opens) == 2:
            joints[k] = len(items)
            items.append(_Joint(Vertex(), wire=wire, label="" if any(opens) else wire.label, legs=legs[k]))
    for opened, label in diagram.outputs:
        at[opened].append((len(items), ""))
        items.append(_Open(Vertex(side="output"), label=label))
    edges = []
    for k, wire in enumerate(diagram.wires):
        if k in joints:
            edges += [_Edge((item, joints[k]), (mark, ""), wire.thick) for item, mark in at[k]]
        else:
            (a, first), (b, second) = at[k]
            edges.append(_Edge((a, b), (first, second), wire.thick))
    return items, edges


def _mark(box: Box, leg: int) -> str:
    if box.kind == "fuse":
        return WHOLE if leg == 0 else ""
    return box.marks[leg] if leg < len(box.marks) else ""
