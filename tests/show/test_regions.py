"""Maps of regions: well-formed pictures that stay on the page, and text that says the same."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from tensoralg.show import MapColumn, Region, RegionMap, map_svg, text_map
from tensoralg.show.regions import ticks

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def maps(draw: st.DrawFn) -> RegionMap:
    """Random columns over the same interval with up to four regions."""
    high = draw(st.sampled_from([2.0, 512.0, 1e6]))
    places = sorted(draw(st.sets(st.integers(1, 10**6), min_size=2, max_size=8)))
    columns = []
    for x in places:
        cuts = sorted(draw(st.sets(st.floats(1.01, high * 0.99), max_size=3)))
        ends = [1.0, *cuts, high]
        regions = draw(st.lists(st.integers(0, 3), min_size=len(ends) - 1, max_size=len(ends) - 1))
        pieces = tuple(zip(ends, ends[1:], regions, strict=False))
        columns.append(MapColumn(float(x), pieces, ("n = d",) * len(cuts)))
    said = draw(st.text(max_size=80))
    regions_ = tuple(Region((f"({k} & <{said}>)", "4 n d")) for k in range(4))
    return RegionMap("n", "d", tuple(columns), regions_, ("border",), said, tuple(range(len(columns))))


@settings(max_examples=40)
@given(maps())
def test_a_picture_is_well_formed_and_stays_on_the_page(shown: RegionMap) -> None:
    root = ElementTree.fromstring(map_svg(shown))
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for node in root.iter():
        if node.tag == SVG + "path":
            numbers = [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", node.get("d", ""))]
            assert all(0 <= x <= width for x in numbers[::2])
            assert all(0 <= y <= height for y in numbers[1::2])
        if node.tag == SVG + "text":
            assert 0 <= float(node.get("x", "-1")) <= width
            assert 0 <= float(node.get("y", "-1")) <= height
    present = {region for column in shown.columns for _, _, region in column.pieces}
    assert len([node for node in root.iter(SVG + "path") if node.get("class") == "region"]) == len(present)


@settings(max_examples=40)
@given(maps(), st.integers(2, 30))
def test_text_shows_the_region_at_the_middle_of_every_cell(shown: RegionMap, height: int) -> None:
    rows = [line.split("|", 1)[1] for line in text_map(shown, height).split("\nn =")[0].splitlines() if " |" in line]
    rows = rows[-height:] if len(rows) > height else rows
    low, high = shown.y_range
    grid = [row for row in rows if len(row) == len(shown.columns) and set(row) <= set("ABCD")]
    assert len(grid) >= height
    for k, row in enumerate(reversed(grid[-height:])):
        y = low * (high / low) ** ((k + 0.5) / height)
        assert row == "".join("ABCD"[column.region(y)] for column in shown.columns)


@given(st.integers(1, 10**9), st.integers(1, 10**12))
def test_ticks_lie_inside(low: int, more: int) -> None:
    found = ticks(low, low + more)
    assert all(low <= tick <= low + more for tick in found)
    assert len(found) < 9
