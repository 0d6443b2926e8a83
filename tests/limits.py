"""A limit on how long a block may run, so that what hangs is a failure and not a wait."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class OverTime(BaseException):
    """A block took longer than its limit; not an Exception, so that no handler of the library swallows it."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise OverTime when the block takes longer (on POSIX, in the main thread).

    Examples
    --------
    >>> with limit(60):
    ...     sum(range(10))
    45
    """

    def over(*_: object) -> None:
        raise OverTime(f"over {seconds} s")

    previous = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
