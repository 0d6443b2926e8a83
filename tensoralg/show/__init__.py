"""Drawing plain data: string diagrams, tables, charts, progress.  Other rooms hand it data; it knows none of them."""

from tensoralg.show.charts import draw_regions
from tensoralg.show.diagram import Box, Diagram, End, Open, Picture, Term, Wire, svg
from tensoralg.show.progress import progress
from tensoralg.show.tables import Column, print_table
from tensoralg.show.triangle import triangle

__all__ = [
    "Box",
    "Diagram",
    "End",
    "Open",
    "Picture",
    "Term",
    "Wire",
    "svg",
    "triangle",
    "Column",
    "draw_regions",
    "print_table",
    "progress",
]
