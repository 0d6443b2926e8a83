"""String diagrams as plain data, and as SVG.

Conventions, after the literature:

- A diagram is read from left to right, inputs at the left and outputs at the right, as in P. Selinger, *A survey of
  graphical languages for monoidal categories* (2011).
- Boxes are tensors and wires are contracted indices: R. Penrose, *Applications of negative dimensional tensors* (1971).
- A wire that does not have two ends is a filled dot with its ends as legs, the spider of the copy maps of a basis:
  B. Coecke and A. Kissinger, *Picturing Quantum Processes* (2017).  A wire without ends is a circle: the dimension.
- What is not linear stands in a box of its own with its argument drawn inside, as functors do in P.-A. Melliès,
  *Functorial boxes in string diagrams* (2006).
- Between tensors with a metric wires may be bent at will, so a loop may open to either side.

The layers and the order in them are chosen by `tensoralg.show.layers`, the method of K. Sugiyama, S. Tagawa and
M. Toda, *Methods for visual understanding of hierarchical system structures* (1981), through igraph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from tensoralg.show.canvas import document
from tensoralg.show.draw import draw_picture

Kind = Literal["tensor", "mask", "decay", "function", "text", "fuse", "inject", "discard"]


@dataclass(frozen=True)
class Box:
    """A box of a diagram.

    Attributes
    ----------
    label : str
        What is written in it; of a function, its head.
    kind : str
        "tensor", "mask", "decay"; "function", a bubble around `inner`; "text", what is not drawn in parts; "fuse", the
        triangle that merges wires into one, its leg 0; "inject", a summand of a direct sum, leg 0; "discard".
    inner : Picture, optional
        The argument of a function.
    marks : tuple of str
        A mark for each leg, where legs have to be told apart.
    """

    label: str
    kind: Kind = "tensor"
    inner: Picture | None = None
    marks: tuple[str, ...] = ()


class End(NamedTuple):
    """An end of a wire: a box by number, and one of its legs."""

    box: int
    leg: int


@dataclass(frozen=True)
class Wire:
    """A wire that joins the given ends; a thick one stands for several."""

    label: str
    ends: tuple[End, ...]
    thick: bool = False


class Open(NamedTuple):
    """An open end of a wire (by number), with its label."""

    wire: int
    label: str


@dataclass(frozen=True)
class Diagram:
    """Boxes joined by wires, some of which are open at the left (inputs) or at the right (outputs)."""

    boxes: tuple[Box, ...] = ()
    wires: tuple[Wire, ...] = ()
    inputs: tuple[Open, ...] = ()
    outputs: tuple[Open, ...] = ()


class Term(NamedTuple):
    """A diagram with a coefficient, such as "-2"; the empty one is 1."""

    coefficient: str
    diagram: Diagram


@dataclass(frozen=True)
class Picture:
    """A sum of diagrams."""

    terms: tuple[Term, ...]


def svg(picture: Picture | Diagram, title: str = "string diagram") -> str:
    """Return a diagram, or a sum of them, as a standalone SVG.

    Parameters
    ----------
    picture : Picture or Diagram
        What is drawn.
    title : str
        The picture in words.

    Examples
    --------
    >>> boxes = (Box("A"), Box("B"))
    >>> product = Diagram(boxes, (Wire("V", (End(0, 1), End(1, 0))),))
    >>> picture = svg(product, "A B")
    >>> picture[:4], picture.count('class="tensor"'), picture == svg(product, "A B")
    ('<svg', 2, True)
    """
    terms = picture if isinstance(picture, Picture) else Picture((Term("", picture),))
    return document(draw_picture(terms), title)
