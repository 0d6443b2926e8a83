"""What every test shares: deterministic hypothesis, golden files, two torch threads (one where two processes test)."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# torch reads this when a test first imports it; importing torch here would slow every run down.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

settings.register_profile("deterministic", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("search", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("deterministic")  # `--hypothesis-profile=search` looks further, at random


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the files in tests/golden/")


@dataclass(frozen=True)
class Golden:
    """`golden(name, text)`: text is what the file `name` holds, character by character."""

    folder: Path
    update: bool

    def __call__(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            return
        remedy = "If the new text is right, run pytest with --update-golden and review the change."
        if not path.is_file():
            pytest.fail(f"golden file {name} does not exist. {remedy}\n{text}", pytrace=False)
        expected = path.read_bytes().decode()
        if text != expected:
            diff = "\n".join(
                difflib.unified_diff(expected.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm="")
            )
            pytest.fail(f"{diff or 'only line endings differ'}\n{remedy}", pytrace=False)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(Path(__file__).parent / "golden", request.config.getoption("--update-golden"))
