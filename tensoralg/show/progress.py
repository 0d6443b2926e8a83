"""A progress bar on standard error, for terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, *, enabled: bool = True) -> Iterator[Callable[[str], None]]:
    """Yield a function that is called with a description as each of `total` pieces of work begins.

    Nothing is drawn where standard error is no terminal, and the bar vanishes at the end.

    Examples
    --------
    >>> with progress(2) as begin:
    ...     begin("first")
    ...     begin("second")
    """
    if not (enabled and sys.stderr.isatty()):
        yield lambda description: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = False

        def begin(description: str) -> None:
            nonlocal begun
            bar.update(task, advance=1 if begun else 0, description=escape(description))
            begun = True

        yield begin
