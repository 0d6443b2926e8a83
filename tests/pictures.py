"""Reading pictures: what an SVG shows where, measured with a real font, and what a diagram means, by contraction."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font

from tensoralg.show.diagram import Diagram, Picture

FONT = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
SOLID = {"tensor", "mask", "decay", "text", "fuse", "inject", "discard", "copy", "ring"}
STEP = re.compile(r"([MLHVCAZ])([^MLHVCAZ]*)")

Rect = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass
class Seen:
    """What an SVG shows: texts, boxes with their kinds, and wires as points on them."""

    size: tuple[float, float]
    texts: list[tuple[Rect, str]]
    boxes: list[tuple[Rect, str]]
    wires: list[list[Point]]

    def count(self, kind: str) -> int:
        return sum(kind == other for _, other in self.boxes)


def measured(text: str, size: float) -> float:
    """Return how wide a text is in DejaVu Sans, which has all the signs in use; one that it lacks is a full square."""
    FONT.set_size(size, 72)
    known = FONT.get_charmap()
    width = 0.0
    for character in text:
        if ord(character) in known:
            FONT.set_text(character)
            width += FONT.load_char(ord(character)).linearHoriAdvance / 65536
        else:
            width += size
    return width


def look(svg: str) -> Seen:
    """Return what an SVG shows."""
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("}svg")
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    assert (left, top, width, height) == (0, 0, float(root.attrib["width"]), float(root.attrib["height"]))
    seen = Seen((width, height), [], [], [])
    _look(root, 0.0, 0.0, seen)
    return seen


def _look(element: Any, x: float, y: float, seen: Seen) -> None:
    name, given = element.tag.rpartition("}")[2], element.attrib
    kind = given.get("class", "")
    if name == "g":
        dx, dy = map(float, re.findall(r"-?[\d.]+", given["transform"]))
        x, y = x + dx, y + dy
    elif name == "text":
        size = float(given["font-size"])
        width = measured(element.text, size)
        left = x + float(given["x"]) - width * {"start": 0, "middle": 0.5, "end": 1}[given["text-anchor"]]
        base = y + float(given["y"])
        seen.texts.append(((left, base - 0.76 * size, left + width, base + 0.1 * size), element.text))
    elif name == "rect" and kind != "page":
        left, top = x + float(given["x"]), y + float(given["y"])
        seen.boxes.append(((left, top, left + float(given["width"]), top + float(given["height"])), kind))
    elif name == "circle":
        cx, cy, r = x + float(given["cx"]), y + float(given["cy"]), float(given["r"])
        seen.boxes.append(((cx - r, cy - r, cx + r, cy + r), kind))
    elif name == "path":
        points = [(x + a, y + b) for a, b in trace(given["d"])]
        if kind in SOLID:
            across, down = zip(*points, strict=True)
            seen.boxes.append(((min(across), min(down), max(across), max(down)), kind))
        elif kind == "wire":
            seen.wires.append(points)
    for child in element:
        _look(child, x, y, seen)


def trace(steps: str) -> list[Point]:
    """Return points on a path."""
    points: list[Point] = []
    x = y = 0.0
    for letter, rest in STEP.findall(steps):
        numbers = [float(n) for n in rest.split()]
        if letter in "ML":
            target = (numbers[0], numbers[1])
            points += _between((x, y), target) if letter == "L" else [target]
        elif letter in "HV":
            target = (numbers[0], y) if letter == "H" else (x, numbers[0])
            points += _between((x, y), target)
        elif letter == "C":
            a, b, c, d, e, f = numbers
            for k in range(1, 25):
                t = k / 24
                u = 1 - t
                points.append(
                    (
                        u**3 * x + 3 * u * u * t * a + 3 * u * t * t * c + t**3 * e,
                        u**3 * y + 3 * u * u * t * b + 3 * u * t * t * d + t**3 * f,
                    )
                )
            target = (e, f)
        elif letter == "A":
            radius, sweep, target = numbers[0], numbers[4], (numbers[5], numbers[6])
            side = 1 if sweep else -1
            middle = (y + target[1]) / 2
            points += [
                (x + side * radius * math.sin(math.pi * k / 8), middle - radius * math.cos(math.pi * k / 8))
                for k in range(9)
            ]
        else:
            continue
        x, y = target
    return points


def _between(start: Point, end: Point) -> list[Point]:
    count = max(1, int(math.dist(start, end) / 2))
    return [tuple(a + (b - a) * k / count for a, b in zip(start, end, strict=True)) for k in range(count + 1)]  # type: ignore[misc]


def overlap(a: Rect, b: Rect, slack: float = 0.05) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack


def inside(a: Rect, b: Rect) -> bool:
    return a[0] >= b[0] - 0.05 and a[1] >= b[1] - 0.05 and a[2] <= b[2] + 0.05 and a[3] <= b[3] + 0.05


def faults(svg: str) -> list[str]:
    """Return what cannot be read in a picture: labels that collide, wires through boxes or labels, what is cut off."""
    seen = look(svg)
    found = []
    page = (0.0, 0.0, *seen.size)
    for k, (rect, text) in enumerate(seen.texts):
        if not inside(rect, page):
            found.append(f"{text!r} is cut off")
        found += [f"{text!r} meets {other!r}" for at, other in seen.texts[:k] if overlap(rect, at)]
        for at, kind in seen.boxes:
            if overlap(rect, at) and not inside(rect, at):
                found.append(f"{text!r} meets a {kind}")
    for k, (rect, kind) in enumerate(seen.boxes):
        if not inside(rect, page):
            found.append(f"a {kind} is cut off")
        for at, other in seen.boxes[:k]:
            nested = (other == "function" and inside(rect, at)) or (kind == "function" and inside(at, rect))
            if overlap(rect, at) and not nested:
                found.append(f"a {kind} meets a {other}")
    for points in seen.wires:
        for rect, text in seen.texts:
            if any(_within(point, rect) for point in points):
                found.append(f"a wire meets {text!r}")
        for rect, kind in seen.boxes:
            within = [_within(point, rect) for point in points]
            if kind not in ("copy", "ring") and any(within) and not (kind == "function" and _contained(points, rect)):
                found.append(f"a wire meets a {kind}")
    return found


def _within(point: Point, rect: Rect) -> bool:
    return rect[0] + 0.2 < point[0] < rect[2] - 0.2 and rect[1] + 0.2 < point[1] < rect[3] - 0.2


def _contained(points: list[Point], rect: Rect) -> bool:
    return all(rect[0] - 0.1 <= x <= rect[2] + 0.1 and rect[1] - 0.1 <= y <= rect[3] + 0.1 for x, y in points)


# what a diagram means


def drawn(picture: Picture, kinds: tuple[str, ...] = ("tensor", "decay")) -> Counter[str]:
    """Count the tensors that a picture shows."""
    found: Counter[str] = Counter()
    for _, diagram in picture.terms:
        for box in diagram.boxes:
            if box.kind in kinds:
                found[box.label.removeprefix("∏").split(" ")[0]] += 1
            if box.inner is not None:
                found += drawn(box.inner, kinds)
    return found


def joined(diagram: Diagram) -> set[frozenset[tuple[str, int]]]:
    """Return which legs of which boxes (named by their labels) share a wire."""
    return {frozenset((diagram.boxes[box].label, leg) for box, leg in wire.ends) for wire in diagram.wires}


def value(picture: Picture, arrays: dict[str, Any], sizes: dict[str, int], axes: tuple[str, ...]) -> Any:
    """Return what a picture means: the array with the given axes (names of its open ends), by contracting each term.

    Spaces are called like their dimensions, and nothing but products, sums, integer powers and masks may occur.
    """
    total = 0.0
    for coefficient, diagram in picture.terms:
        scale = {"": 1, "-": -1}.get(coefficient)
        if scale is None:
            scale = eval(coefficient, {"pow": pow}, dict(sizes))
        total = total + scale * _contracted(diagram, arrays, sizes, axes)
    return total


def _contracted(diagram: Diagram, arrays: dict[str, Any], sizes: dict[str, int], axes: tuple[str, ...]) -> Any:
    letters = string.ascii_letters
    ends = (*diagram.inputs, *diagram.outputs)
    operands, subscripts = [], []
    for number, box in enumerate(diagram.boxes):
        legs = sorted((end.leg, k) for k, wire in enumerate(diagram.wires) for end in wire.ends if end.box == number)
        wires = [k for _, k in legs]
        if box.kind == "tensor":
            operands.append(np.asarray(arrays[box.label], dtype=float))
        elif box.kind == "mask":
            n = sizes[_space(diagram.wires[wires[0]].label)]
            left, right = np.indices((n, n))
            names = box.label.split(" ")
            operands.append((left < right if names[1] == "<" else left <= right).astype(float))
        else:
            inner = box.inner
            assert inner is not None
            names = tuple(_name(diagram, wire) for wire in wires)
            exponent = box.label.removeprefix("(·)").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
            operands.append(value(inner, arrays, sizes, names) ** int(exponent or 1))
        subscripts.append("".join(letters[k] for k in wires))
    for k, wire in enumerate(diagram.wires):
        operands.append(np.ones(sizes[_space(wire.label)]))  # also where a wire has no ends
        subscripts.append(letters[k])
    # an output may name a wire twice: the ends of a wire are told apart by identities
    out, used = "", set()
    fresh = iter(reversed(letters))
    for name in axes:
        wire = next(end.wire for end in ends if end.label.partition(":")[0] == name)
        letter = letters[wire]
        if letter in used:
            letter = next(fresh)
            operands.append(np.eye(sizes[_space(diagram.wires[wire].label)]))
            subscripts.append(letters[wire] + letter)
        used.add(letter)
        out += letter
    scalar = math.prod(float(array) for array, legs in zip(operands, subscripts, strict=True) if not legs)
    rest = [array for array, legs in zip(operands, subscripts, strict=True) if legs]
    sides = ",".join(filter(None, subscripts))
    return scalar * (np.einsum(f"{sides}->{out}", *rest, optimize="greedy") if rest else 1.0)


def _space(label: str) -> str:
    return label.rpartition(":")[2]


def _name(diagram: Diagram, wire: int) -> str:
    return diagram.wires[wire].label.partition(":")[0]
