"""String diagrams and triangles as SVG: well-formed, readable, the same every time."""

from __future__ import annotations

from random import Random

import pytest
from pictures import faults, look, measured

from tensoralg.show.canvas import text_width
from tensoralg.show.diagram import Box, Diagram, End, Open, Picture, Term, Wire, svg
from tensoralg.show.triangle import triangle

LABELS = ["V", "t:T", "a_long_name", "", "H @ (E + F)"]
LONG = ("A" * 20, "B", "C" * 30, "arrow" * 4, "", "d" * 25)


def network(seed: int, boxes: int = 12, hyper: float = 0.2) -> Diagram:
    """Return random boxes with random wires, some of which join several legs, no leg or one box with itself."""
    random = Random(seed)
    count = [0] * boxes

    def end() -> End:
        box = random.randrange(boxes)
        count[box] += 1
        return End(box, count[box] - 1)

    wires = []
    for _ in range(boxes + 6):
        several = random.choice([0, 1, 3, 4]) if random.random() < hyper else 2
        wires.append(
            Wire(random.choice(["V", "t:T", "a_long_name", "", "H @ (E + F)"]), tuple(end() for _ in range(several)))
        )
    opens = [Open(random.randrange(len(wires)), f"o{k}:V") for k in range(random.randrange(5))]
    half = random.randrange(len(opens) + 1)
    kinds = ["tensor", "tensor", "mask", "decay", "text", "inject", "fuse", "discard", "function"]
    made = tuple(
        Box(
            random.choice(["A", "W_query", "s ≤ t", "x"]),
            random.choice(kinds),
            marks=tuple(str(k) for k in range(count[number])),
        )
        for number in range(boxes)
    )
    return Diagram(made, tuple(wires), tuple(opens[:half]), tuple(opens[half:]))


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_are_readable(seed: int) -> None:
    diagram = network(seed, boxes=1 + seed % 12)
    picture = svg(diagram)
    assert faults(picture) == []
    assert look(picture).count("tensor") == sum(box.kind == "tensor" for box in diagram.boxes)
    assert picture == svg(diagram)


@pytest.mark.parametrize(
    "picture",
    [
        Diagram(),
        Picture(()),
        Picture((Term("", Diagram()),)),
        Picture((Term("-1/2*n", Diagram()), Term("-", Diagram((Box("c"),))))),
        Diagram((Box("A"),), (Wire("V", (End(0, 0), End(0, 1))),)),
        Diagram((), (Wire("V", ()),)),
        Diagram((), (Wire("V", ()),), (Open(0, "i"),), (Open(0, "j"),)),
        Diagram((), (Wire("V", ()),), (Open(0, "i"), Open(0, "j")), ()),
        Diagram((), (Wire("V", ()),), (), (Open(0, "i"), Open(0, "j"))),
        Diagram((), (Wire("V", ()),), (), (Open(0, "i"), Open(0, "j"), Open(0, "k"))),
        Diagram((Box("exp", "function", Picture((Term("", Diagram((Box("x"),))),))),)),
    ],
)
def test_small_diagrams(picture: Diagram | Picture) -> None:
    assert faults(svg(picture)) == []


def test_two_wires_between_two_boxes_are_drawn_apart() -> None:
    boxes = (Box("A"), Box("B"))
    both = tuple(Wire("V", (End(0, k), End(1, k))) for k in range(2))
    ways = {tuple(points) for points in look(svg(Diagram(boxes, both))).wires}
    assert len(ways) == len(look(svg(Diagram(boxes, both))).wires) >= 4


def test_a_wire_is_a_dot_unless_it_has_two_ends() -> None:
    boxes = (Box("A"), Box("B"), Box("C"))
    for ends, dots, rings in ((0, 0, 1), (1, 1, 0), (2, 0, 0), (3, 1, 0)):
        diagram = Diagram(boxes, (Wire("V", tuple(End(k, 0) for k in range(ends))),))
        seen = look(svg(diagram))
        assert (seen.count("copy"), seen.count("ring")) == (dots, rings)


def test_inputs_are_left_and_outputs_right() -> None:
    wires = (Wire("V", (End(0, 0),)), Wire("W", (End(1, 0),)), Wire("U", (End(0, 1), End(1, 1))))
    seen = look(svg(Diagram((Box("B"), Box("A")), wires, (Open(1, "i"),), (Open(0, "o"),))))
    left = {text: rect[0] for rect, text in seen.texts}
    assert left["i"] < left["A"] < left["U"] < left["B"] < left["o"]


def test_text_is_escaped() -> None:
    odd = "<a & 'b' \">\x00\ud800]]>"
    picture = svg(Diagram((Box(odd),), (Wire(odd, (End(0, 0),)),), (), (Open(0, odd),)), title=odd)
    shown = odd.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert {text for _, text in look(picture).texts} == {shown}
    assert "<script" not in svg(Diagram((Box("<script>"),)))


def test_widths_are_bounds() -> None:
    for text in [*map(chr, range(32, 127)), *"∏≤−⁻³ι₀×⊗…", "t−w < s ≤ t", "W_query", "softmax", "H @ (E + F)"]:
        assert measured(text, 12) <= text_width(text, 12) + 1e-6


@pytest.mark.parametrize(
    "names", [("V × W", "V ⊗ W", "U", "u", "g", "f"), ("A" * 20, "B", "C" * 30, "arrow" * 4, "", "d" * 25)]
)
def test_triangles(names: tuple[str, ...]) -> None:
    picture = triangle(*names)
    assert faults(picture) == []
    assert {names[0], names[1], names[2], names[3], names[5]} <= {text for _, text in look(picture).texts}
    assert "∃!" in picture
    assert picture.count("stroke-dasharray") == 1
