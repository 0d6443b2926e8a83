"""The machine on which a benchmark runs."""

from __future__ import annotations

import platform
from pathlib import Path


def cpu() -> str:
    """Return the model of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unnamed processor")
