"""Commutative triangles, as universal properties are drawn."""

from __future__ import annotations

from tensoralg.show.canvas import Block, document, number, path, text_width, words

SIZE = 15.0


def triangle(
    source: str, middle: str, target: str, arrow: str, factor: str, direct: str, title: str = "", *, into: bool = False
) -> str:
    """Return the triangle ``direct = factor after arrow`` as SVG, its unique side dashed and marked ``∃!``.

    Parameters
    ----------
    source, middle, target : str
        The corners: the universal arrow goes from `source` to `middle`, and every map from `source` to `target`
        factors through it; with `into` it goes from `middle` to `target`.
    arrow, factor, direct : str
        The labels of the universal arrow, of the unique factor, and of the given map.
    title : str
        The picture in words.
    into : bool
        Whether the triangle is ``direct = arrow after factor``, for maps into a product and not out of it.

    Examples
    --------
    >>> picture = triangle("V × W", "V @ W", "U", "u", "g", "f")
    >>> "∃! g" in picture, picture.count("stroke-dasharray")
    (True, 1)
    """
    unique = f"∃! {factor}" if factor else "∃!"
    first, second = (unique, arrow) if into else (arrow, unique)
    wide = [text_width(corner, SIZE) for corner in (source, middle, target)]
    across = max(90.0, text_width(first, SIZE) + 40)
    left, right = wide[0] / 2, wide[0] / 2 + wide[0] / 2 + across + max(wide[1], wide[2]) / 2
    room = max(0.0, text_width(direct, SIZE) - (right - left) / 2)
    left, right = left + room, right + room
    top, bottom = 34.0, 134.0
    body = words(left, top, source, SIZE) + words(right, top, middle, SIZE) + words(right, bottom, target, SIZE)
    start, end = left + wide[0] / 2 + 7, right - wide[1] / 2 - 7
    body += _arrow(start, top, end, top, dashed=into) + words((start + end) / 2, top - 14, first, SIZE)
    body += _arrow(right, top + 14, right, bottom - 14, dashed=not into)
    body += words(right + 9, (top + bottom) / 2, second, SIZE, "start")
    body += _arrow(left, top + 14, right - wide[2] / 2 - 7, bottom)
    middle_x, middle_y = (left + right - wide[2] / 2 - 7) / 2, (top + 14 + bottom) / 2
    body += words(middle_x - 8, middle_y + 14, direct, SIZE, "end")
    width = max(right + wide[1] / 2, right + wide[2] / 2, right + 9 + text_width(second, SIZE))
    order = f"{arrow} after {factor}" if into else f"{factor} after {arrow}"
    words_ = title or f"{direct} = {order}, for exactly one {factor}"
    return document(Block(width, bottom + 14, bottom / 2, body), words_)


def _arrow(x: float, y: float, to_x: float, to_y: float, *, dashed: bool = False) -> str:
    length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
    along, across = (to_x - x) / length, (to_y - y) / length
    back = [(to_x - 8 * along + s * 4 * across, to_y - 8 * across - s * 4 * along) for s in (-1, 1)]
    (a, b), (c, d) = back
    tip = f"M{number(a)} {number(b)}L{number(to_x)} {number(to_y)}L{number(c)} {number(d)}"
    shaft = path(f"M{number(x)} {number(y)}L{number(to_x)} {number(to_y)}", dashed=dashed, kind="arrow")
    return shaft + path(tip, kind="tip")
