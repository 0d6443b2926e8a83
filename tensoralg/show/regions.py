"""Maps of a plane that is divided into regions: as SVG, and as text for terminals.

Both axes are logarithmic.  A map is given by columns, each with the intervals in which the regions meet it; between two
columns that meet the same regions in the same order borders are straight, else they change half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, hypot, log, sqrt

from tensoralg.show.canvas import INK, PALE, Block, document, number, shorten, text_width, words

WIDTH, HEIGHT = 520.0, 400.0
LEFT, TOP, BELOW, GAP = 62.0, 30.0, 48.0, 24.0
SIZE, SMALL = 13.0, 11.5
ROW = 17.0
LONGEST = 46
MOST_TICKS = 9
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COLOURS = (
    "#cfe3f7", "#fbe3c4", "#d5ecd0", "#f6d1d5", "#e2d8f1", "#f7f0b9", "#cdebe9", "#ead7c6",
    "#dde3ea", "#e9f3c4", "#f7d6ea", "#c9d3f5",
)  # fmt: skip


@dataclass(frozen=True)
class Region:
    """What is said of a region: lines of text, the first one also inside it where it has room."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """The intervals ``(low, high, region)`` at one position, from below; `edges` says what holds between them."""

    x: float
    pieces: tuple[tuple[float, float, int], ...]
    edges: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """The regions from below."""
        return tuple(region for _, _, region in self.pieces)

    def region(self, y: float) -> int:
        """Return the region at a height."""
        return next((region for _, high, region in self.pieces if y <= high), self.pieces[-1][2])


@dataclass(frozen=True)
class RegionMap:
    """A plane divided into regions.

    Attributes
    ----------
    x, y : str
        The names of the axes.
    columns : tuple of Column
        From left to right; the first and the last are the ends of the axis.
    regions : tuple of Region
        What is said of each region.
    notes : tuple of str
        Lines below the list of regions.
    title : str
        What the map shows.
    regular : tuple of int
        The positions of columns that are evenly spaced, for drawing with letters.
    """

    x: str
    y: str
    columns: tuple[Column, ...]
    regions: tuple[Region, ...]
    notes: tuple[str, ...] = ()
    title: str = ""
    regular: tuple[int, ...] = ()

    @property
    def x_range(self) -> tuple[float, float]:
        """The ends of the horizontal axis."""
        return self.columns[0].x, self.columns[-1].x

    @property
    def y_range(self) -> tuple[float, float]:
        """The ends of the vertical axis."""
        return self.columns[0].pieces[0][0], self.columns[0].pieces[-1][1]


def letter(region: int) -> str:
    """Return the name of a region on a map.

    Examples
    --------
    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'a')
    """
    names = LETTERS + LETTERS.lower()
    return names[region] if region < len(names) else "?"


def ticks(low: float, high: float) -> list[int]:
    """Return powers of two, or of ten where these are many, inside a range.

    Examples
    --------
    >>> ticks(1, 512), ticks(1, 10**6)
    ([1, 4, 16, 64, 256], [1, 10, 100, 1000, 10000, 100000, 1000000])
    """
    for base in (2, 4, 10, 100, 10**4, 10**8, 10**16):
        found = [base**k for k in range(200) if low <= base**k <= high]
        if len(found) < MOST_TICKS:
            return found
    return []


def text_map(shown: RegionMap, height: int = 18) -> str:
    """Return the map drawn with letters, with its legend.

    Examples
    --------
    >>> columns = tuple(Column(x, ((1, x, 0), (x, 9, 1)) if x > 1 else ((1, 9, 1),)) for x in (1, 2, 3, 4, 5, 6, 7, 8))
    >>> regions = (Region(("below",)), Region(("above",)))
    >>> print(text_map(RegionMap("n", "d", columns, regions, regular=tuple(range(8))), 4))
    d
       8 |BBBBBBAA
       4 |BBBAAAAA
       2 |BBAAAAAA
       1 |BAAAAAAA
         +--------
          1      8  n
    <BLANKLINE>
    A  below
    B  above
    """
    columns = [shown.columns[k] for k in shown.regular]
    low, high = shown.y_range
    step = (high / low) ** (1 / height)
    marks = _marks(low, high, [low * step**k for k in range(height + 1)])
    wide = max([4, *(len(mark) for mark in marks.values())])
    lines = [shown.y]
    for row in reversed(range(height)):
        y = low * step ** (row + 0.5)
        lines.append(f"{marks.get(row, ''):>{wide}} |" + "".join(letter(column.region(y)) for column in columns))
    lines.append(" " * wide + " +" + "-" * len(columns))
    left, right = (f"{end:g}" for end in shown.x_range)
    lines.append(" " * (wide + 2) + left + right.rjust(len(columns) - len(left)) + "  " + shown.x)
    lines.append("")
    for k, region in enumerate(shown.regions):
        lines += [(f"{letter(k)}  " if not j else "   ") + line for j, line in enumerate(region.lines)]
    return "\n".join(
        [*([shown.title, ""] if shown.title else []), *lines, *(["", *shown.notes] if shown.notes else [])]
    )


def _marks(low: float, high: float, edges: Sequence[float]) -> dict[int, str]:
    """Return which rows carry a tick, the topmost powers of two first."""
    rows: dict[int, str] = {}
    for tick in ticks(low, high):
        row = next(k for k, (_, end) in enumerate(pairwise(edges)) if tick <= end * (1 + 1e-9))
        rows.setdefault(row, str(tick))
    return rows


def map_svg(shown: RegionMap) -> str:
    """Return the map as a standalone SVG: regions with their letters, borders with their equations, a legend.

    Examples
    --------
    >>> columns = (Column(1, ((1, 9, 1),)), Column(9, ((1, 9, 0),)))
    >>> picture = map_svg(RegionMap("n", "d", columns, (Region(("right",)), Region(("left",)))))
    >>> picture.startswith("<svg"), ">right</text>" in picture
    (True, True)
    """
    plane = _Plane(shown)
    body = "".join([*plane.areas(), *plane.edges(), *plane.axes(), *plane.labels(), *plane.equations()])
    legend, wide, high = _legend(shown, LEFT + WIDTH + GAP)
    block = Block(LEFT + WIDTH + GAP + wide, max(TOP + HEIGHT + BELOW, high), 0, body + legend)
    return document(block, shown.title or f"regions over {shown.x} and {shown.y}")


class _Plane:
    """Where things of a map lie in its picture."""

    def __init__(self, shown: RegionMap) -> None:
        self.shown = shown
        self.across = _scale(shown.x_range, LEFT, LEFT + WIDTH)
        self.up = _scale(shown.y_range, TOP + HEIGHT, TOP)

    def strips(self) -> Iterator[tuple[Column, Column]]:
        """Yield pairs of columns that meet the same regions, so that borders run straight between them."""
        for left, right in pairwise(self.shown.columns):
            if left.order == right.order:
                yield left, right
            else:
                middle = sqrt(left.x * right.x)
                yield left, Column(middle, left.pieces)
                yield Column(middle, right.pieces), right

    def point(self, x: float, y: float) -> str:
        return f"{number(self.across(x))} {number(self.up(y))}"

    def areas(self) -> Iterator[str]:
        steps: dict[int, list[str]] = {}
        for left, right in self.strips():
            for (low, high, region), (low_right, high_right, _) in zip(left.pieces, right.pieces, strict=True):
                corners = ((left.x, low), (left.x, high), (right.x, high_right), (right.x, low_right))
                steps.setdefault(region, []).append("M" + "L".join(self.point(*corner) for corner in corners) + "Z")
        for region, found in sorted(steps.items()):
            colour = COLOURS[region % len(COLOURS)]
            yield f'<path class="region" d="{"".join(found)}" fill="{colour}" stroke="{colour}" stroke-width="0.6"/>'

    def edges(self) -> Iterator[str]:
        steps = []
        for left, right in self.strips():
            for (_, high, _), (_, high_right, _) in zip(left.pieces[:-1], right.pieces[:-1], strict=True):
                steps.append(f"M{self.point(left.x, high)}L{self.point(right.x, high_right)}")
        for left, right in pairwise(self.shown.columns):
            if left.order != right.order:
                middle = sqrt(left.x * right.x)
                steps += (
                    f"M{self.point(middle, low)}L{self.point(middle, high)}" for low, high in _changes(left, right)
                )
        yield f'<path class="border" d="{"".join(steps)}" fill="none" stroke="{INK}" stroke-width="1.6"/>'

    def axes(self) -> Iterator[str]:
        frame = f'x="{number(LEFT)}" y="{number(TOP)}" width="{number(WIDTH)}" height="{number(HEIGHT)}"'
        yield f'<rect class="frame" {frame} fill="none" stroke="{INK}" stroke-width="1.2"/>'
        bottom = TOP + HEIGHT
        for tick in ticks(*self.shown.x_range):
            x = self.across(tick)
            yield _line(x, bottom, x, bottom + 5) + words(x, bottom + 15, _short(tick), SMALL, colour=PALE)
        for tick in ticks(*self.shown.y_range):
            y = self.up(tick)
            yield _line(LEFT - 5, y, LEFT, y) + words(LEFT - 9, y, _short(tick), SMALL, "end", PALE)
        yield words(LEFT + WIDTH / 2, bottom + 36, self.shown.x, SIZE + 1)
        yield words(LEFT, TOP - 14, self.shown.y, SIZE + 1)

    def labels(self) -> Iterator[str]:
        """Yield the letter of every region where it has most room, with its first line where that fits."""
        for region, said in enumerate(self.shown.regions):
            best = max(self._room(region), default=None)
            if best is None:
                continue
            _, x, y, wide, high = best
            line = shorten(said.lines[0], LONGEST)
            if text_width(line, SMALL) < wide and high > 2 * ROW + 6:
                yield words(x, y - 9, letter(region), SIZE + 3) + words(x, y + 9, line, SMALL)
            elif min(wide, high) > SIZE:
                yield words(x, y, letter(region), min(SIZE + 3, high))

    def _room(self, region: int) -> Iterator[tuple[float, float, float, float, float]]:
        """Yield how good a place is, the place, and how wide and high the region is around it."""
        columns = self.shown.columns
        for k, column in enumerate(columns):
            for low, high, found in column.pieces:
                if found == region:
                    y = sqrt(low * high)
                    first, last = _reach(columns, k, lambda other, y=y: other.region(y) == region)  # type: ignore[misc]
                    left, right = self.across(columns[first].x), self.across(columns[last].x)
                    wide, tall = right - left, self.up(low) - self.up(high)
                    middle = (left + right) / 2
                    if abs(middle - self.across(column.x)) < WIDTH / 40:
                        yield min(wide, 3.2 * tall), self.across(column.x), self.up(y), wide, tall

    def equations(self) -> Iterator[str]:
        """Yield the equations of borders, each at the middle of its border, where there is room."""
        runs: dict[str, list[tuple[float, float]]] = {}
        for column in self.shown.columns:
            for (_, high, _), said in zip(column.pieces, column.edges, strict=False):
                if said:
                    runs.setdefault(said, []).append((self.across(column.x), self.up(high)))
        taken: list[tuple[float, float, float]] = []
        for said, points in sorted(runs.items(), key=lambda run: -_length(run[1])):
            wide = text_width(said, SMALL) / 2 + 3
            x, y = points[len(points) // 2]
            x = min(max(x, LEFT + wide + 4), LEFT + WIDTH - wide - 4)
            y = min(max(y, TOP + 12), TOP + HEIGHT - 12)
            free = all(abs(x - other) > wide + room or abs(y - height) > ROW + 2 for other, height, room in taken)
            if free and _length(points) > wide:
                taken.append((x, y, wide))
                yield _haloed(x, y, said)


def _legend(shown: RegionMap, x: float) -> tuple[str, float, float]:
    """Return the list of regions and the notes, with its width and its lower end."""
    body, y, wide = "", TOP + 4.0, 0.0
    for k, region in enumerate(shown.regions):
        colour = COLOURS[k % len(COLOURS)]
        body += (
            f'<rect x="{number(x)}" y="{number(y - 2)}" width="18" height="18" rx="3" fill="{colour}" '
            f'stroke="{INK}" stroke-width="1"/>' + words(x + 9, y + 7, letter(k), SMALL)
        )
        for line in region.lines:
            said = shorten(line, LONGEST)
            body += words(x + 27, y + 7, said, SMALL, "start")
            wide, y = max(wide, 27 + text_width(said, SMALL)), y + ROW
        y += 8
    for line in shown.notes:
        said = shorten(line, LONGEST)
        body += words(x, y + 7, said, SMALL, "start", PALE)
        wide, y = max(wide, text_width(said, SMALL)), y + ROW
    return body, wide, y


def _scale(ends: tuple[float, float], start: float, stop: float) -> Callable[[float], float]:
    low, high = (log(end) for end in ends)
    return lambda value: start + (stop - start) * (log(value) - low) / (high - low)


def _changes(left: Column, right: Column) -> Iterator[tuple[float, float]]:
    """Yield the intervals in which two columns lie in different regions."""
    ends = sorted({end for column in (left, right) for low, high, _ in column.pieces for end in (low, high)})
    for low, high in pairwise(ends):
        middle = exp((log(low) + log(high)) / 2)
        if left.region(middle) != right.region(middle):
            yield low, high


def _length(points: Sequence[tuple[float, float]]) -> float:
    return sum(hypot(a - c, b - d) for (a, b), (c, d) in pairwise(points))


def _reach(columns: Sequence[Column], start: int, inside: Callable[[Column], bool]) -> tuple[int, int]:
    first = last = start
    while first and inside(columns[first - 1]):
        first -= 1
    while last + 1 < len(columns) and inside(columns[last + 1]):
        last += 1
    return first, last


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return (
        f'<path class="tick" d="M{number(x)} {number(y)}L{number(to_x)} {number(to_y)}" stroke="{INK}" '
        'stroke-width="1"/>'
    )


def _haloed(x: float, y: float, text: str) -> str:
    wide = text_width(text, SMALL) + 6
    return (
        f'<rect class="halo" x="{number(x - wide / 2)}" y="{number(y - 9)}" width="{number(wide)}" height="18" rx="4" '
        f'fill="white" fill-opacity="0.85"/>' + words(x, y, text, SMALL)
    )


def _short(tick: int) -> str:
    return str(tick) if tick < 10**6 else f"{tick:.0e}".replace("e+0", "e").replace("e+", "e")
