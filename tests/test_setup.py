"""The set-up keeps its promises: make targets, the CI script, declared dependencies, golden files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {"python-flint": "flint"}  # where the distribution and the module have different names


@pytest.mark.parametrize("target", ["help", "setup", "verify", "test", "bench", "clean"])
def test_make_has_the_target(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_ci_runs_verify_and_test() -> None:
    script = ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make verify", "make test"]
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("text", PROJECT["dependencies"], ids=lambda text: Requirement(text).name)
def test_dependency_is_there(text: str) -> None:
    requirement = Requirement(text)
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)
    module = MODULES.get(requirement.name, requirement.name)
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_is_declared() -> None:
    assert PROJECT["scripts"] == {"tensoralg": "tensoralg.cli:main"}


def test_golden_compares_and_rewrites_only_when_told(golden, tmp_path: Path) -> None:
    compare, update = type(golden)(tmp_path, update=False), type(golden)(tmp_path, update=True)
    with pytest.raises(pytest.fail.Exception, match="does not exist"):
        compare("a/b.txt", "x\n")
    assert list(tmp_path.iterdir()) == []
    update("a/b.txt", "x\n")
    compare("a/b.txt", "x\n")
    with pytest.raises(pytest.fail.Exception, match="--update-golden"):
        compare("a/b.txt", "y\n")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "x\n"
