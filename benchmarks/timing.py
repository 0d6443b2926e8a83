"""Times of calls that are compared within one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def interleaved(calls: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Return the median seconds of calls that run in turn, each round beginning with another one."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    order = list(calls)
    for k in range(repetitions):
        turn = k % len(order)
        for name in order[turn:] + order[:turn]:
            start = clock()
            result = calls[name]()
            seconds[name].append(clock() - start)
            del result
    return {name: statistics.median(found) for name, found in seconds.items()}


def busy(seconds: float = 1.0) -> float:
    """Return the share of the processors that is busy while this process sleeps."""

    def read() -> tuple[int, int]:
        values = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(values), values[3] + values[4]

    total, idle = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 1 - (idle_after - idle) / max(1, total_after - total)
