"""The figures of docs/scaling.md are those that the library computes."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

SCALING = Path(__file__).resolve().parent.parent.parent / "docs" / "scaling.md"


def test_the_examples_run() -> None:
    failed, tried = doctest.testfile(str(SCALING), module_relative=False)
    assert (failed, tried > 20) == (0, True)


def test_the_table_says_what_the_examples_print() -> None:
    text = SCALING.read_text(encoding="utf-8")
    rows = [line.split(" | ", 2)[2].removesuffix(" |") for line in text.splitlines() if line.endswith("iB |")]
    printed = re.findall(r"^    ([\d,]+ \| \d+ [KM]iB)$", text, re.MULTILINE)
    assert rows == printed
    assert len(rows) == 7
