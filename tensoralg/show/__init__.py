"""Drawing plain data: tables, charts and progress.  Other rooms hand it data; it knows none of them."""

from tensoralg.show.charts import draw_regions
from tensoralg.show.progress import progress
from tensoralg.show.tables import Column, print_table

__all__ = ["Column", "draw_regions", "print_table", "progress"]
