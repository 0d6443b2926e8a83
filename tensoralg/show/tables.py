"""Tables of text, as wide as their content where nobody watches and as the terminal where somebody does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

UNWATCHED_WIDTH = 10_000  # a file or a pipe has no width: nothing is wrapped


@dataclass(frozen=True)
class Column:
    """The heading of a column, and how its cells stand."""

    heading: str
    justify: Literal["left", "right", "center"] = "left"


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    styles: Mapping[str, str] | None = None,
    file: TextIO | None = None,
) -> None:
    """Print rows of text under headings.

    Parameters
    ----------
    columns : sequence of Column
        The headings.
    rows : sequence of sequence of str
        The cells, one for each column.
    title : str
        A line above the table.
    styles : mapping of str to str, optional
        The colour of cells that hold exactly this text, on terminals.
    file : file, optional
        Standard output by default.

    Examples
    --------
    >>> print_table([Column("claim"), Column("s", "right")], [["A B = B A", "0.1"]], title="commuting")
    commuting
    <BLANKLINE>
      claim         s
     ─────────────────
      A B = B A   0.1
    <BLANKLINE>
    """
    import rich.box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file)
    if not console.is_terminal:
        console = Console(file=file, width=UNWATCHED_WIDTH)
    table = Table(box=rich.box.SIMPLE)
    for column in columns:
        table.add_column(Text(column.heading), justify=column.justify)
    for row in rows:
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)
