"""What pictures are written with: escaped text whose extent is bounded, shapes, and standalone SVG documents.

Nothing here measures a font.  The width of a text is bounded by classes of characters, which hold for DejaVu Sans
and Verdana, the widest of the usual sans-serif fonts; what is drawn with a narrower font has more room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
INK, PALE = "#1b2733", "#5b6b7b"
NARROW, WIDE, WIDEST = frozenset(" .,:;|!'()[]ijl1It"), frozenset("+-<>=~^_#"), frozenset("mwMW@%&")
FORBIDDEN = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
MARGIN = 8.0


@dataclass(frozen=True)
class Block:
    """A piece of a picture: what it draws, how large it is, and the height of the axis on which it stands."""

    width: float
    height: float
    axis: float
    body: str


def text_width(text: str, size: float) -> float:
    """Return a bound of the width of a text at a font size.

    Per character, in units of the size: 0.65 for lower case letters and digits, 0.45 for narrow ones, 0.8 for capitals,
    0.86 for signs such as ``+``, and 1.05 for all others.

    Examples
    --------
    >>> text_width("t:T", 10)
    17.0
    """
    return size * sum(map(_advance, text))


def _advance(character: str) -> float:
    if character in NARROW:
        return 0.45 if not character.isdigit() else 0.65
    if character in WIDEST or not character.isascii():
        return 1.05
    return 0.86 if character in WIDE else 0.8 if character.isupper() else 0.65


def shorten(text: str, longest: int = 40) -> str:
    """Return the text, cut with an ellipsis where it is longer than `longest` characters.

    Examples
    --------
    >>> shorten("a+b+c+d", 4)
    'a+b…'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def number(value: float) -> str:
    """Return a coordinate with two decimals at most."""
    return f"{round(value, 2) + 0.0:g}"


def words(x: float, y: float, text: str, size: float = 12, anchor: str = "middle", colour: str = INK) -> str:
    """Return a text that stands with its middle line at height `y`."""
    if not text:
        return ""
    return (
        f'<text x="{number(x)}" y="{number(y + 0.35 * size)}" font-size="{number(size)}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(_legal(text), quote=False)}</text>'
    )


def _legal(text: str) -> str:
    """Return the text without what XML does not allow."""
    return FORBIDDEN.sub("\ufffd", text)


def rectangle(
    x: float, y: float, width: float, height: float, *, round: float = 0, fill: str = "white", kind: str = ""
) -> str:
    """Return a rectangle with the corner `x`, `y`."""
    return (
        f'<rect class="{kind}" x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" '
        f'rx="{number(round)}" fill="{fill}" stroke="{INK}" stroke-width="1.2"/>'
    )


def circle(x: float, y: float, radius: float, fill: str = INK, kind: str = "") -> str:
    """Return a circle."""
    return (
        f'<circle class="{kind}" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" fill="{fill}" '
        f'stroke="{INK}" stroke-width="1.2"/>'
    )


def path(steps: str, *, thick: bool = False, dashed: bool = False, fill: str = "none", kind: str = "wire") -> str:
    """Return a path with the given steps in SVG's notation."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<path class="{kind}" d="{steps}" fill="{fill}" stroke="{INK}" stroke-width="{3 if thick else 1.2}" '
        f'stroke-linecap="round"{dash}/>'
    )


def curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return the steps from one point to another at its right, horizontal at both ends."""
    if abs(y - to_y) < 0.01:
        return f"L{number(to_x)} {number(to_y)}"
    middle = number((x + to_x) / 2)
    return f"C{middle} {number(y)} {middle} {number(to_y)} {number(to_x)} {number(to_y)}"


def moved(x: float, y: float, body: str) -> str:
    """Return what is drawn, moved."""
    return f'<g transform="translate({number(x)},{number(y)})">{body}</g>'


def document(block: Block, title: str) -> str:
    """Return a block as a standalone SVG on white, with a title for those who do not see it."""
    width, height = number(block.width + 2 * MARGIN), number(block.height + 2 * MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="{FONT}">'
        f"<title>{escape(_legal(title), quote=False)}</title>"
        f'<rect class="page" x="0" y="0" width="{width}" height="{height}" fill="white"/>'
        f"{moved(MARGIN, MARGIN, block.body)}</svg>"
    )
