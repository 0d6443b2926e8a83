"""Drawing plain data: string diagrams, tables, charts, progress.  Other rooms hand it data; it knows none of them."""

from tensoralg.show.charts import draw_regions
from tensoralg.show.diagram import Box, Diagram, End, Open, Picture, Term, Wire, svg
from tensoralg.show.progress import progress
from tensoralg.show.regions import Column as MapColumn
from tensoralg.show.regions import Region, RegionMap, map_svg, text_map
from tensoralg.show.tables import Column, print_table
from tensoralg.show.triangle import triangle

__all__ = [
    "Box",
    "Diagram",
    "End",
    "Open",
    "MapColumn",
    "Picture",
    "Region",
    "RegionMap",
    "Term",
    "Wire",
    "svg",
    "triangle",
    "Column",
    "draw_regions",
    "map_svg",
    "print_table",
    "progress",
    "text_map",
]
