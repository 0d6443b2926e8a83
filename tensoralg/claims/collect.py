"""Finding claim files and the claims that they define.  Reading a claim file executes it, as Python does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from inspect import isfunction, ismodule
from pathlib import Path
from types import ModuleType
from typing import Any

from tensoralg.claims.claim import Claim, Equation
from tensoralg.errors import ClaimError, suggest


def claim_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the Python files named, and those in the folders named, in order and each once.

    A path that does not exist is yielded as it is, so that reading it tells.  In folders, files and
    folders whose names begin with ``_`` or ``.`` are left out.

    Examples
    --------
    >>> [str(path) for path in claim_files([Path("missing.py"), Path("missing.py")])]
    ['missing.py']
    """
    seen: set[Path] = set()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            inside = file.relative_to(path).parts if path.is_dir() else ()
            if file not in seen and not any(part.startswith(("_", ".")) for part in inside):
                seen.add(file)
                yield file


def load_claims(path: Path) -> tuple[Claim, ...]:
    """Execute a claim file and return the claims that it defines, in order; imported ones do not count.

    Raises
    ------
    ClaimError
        If there is no such file, or it defines no claim.  Whatever the file raises passes through.
    """
    module = execute(path)
    name = module.__name__
    found = {id(value): value for value in vars(module).values() if isinstance(value, Claim) and value.module == name}
    if not found:
        raise ClaimError(f"{path} defines no claim", remedy="decorate a function with @claim(source=...)")
    return tuple(found.values())


def execute(path: Path) -> ModuleType:
    """Execute a Python file and return the module that it defines.

    Raises
    ------
    ClaimError
        If there is no such file.  Whatever the file raises passes through.
    """
    if not path.is_file():
        raise ClaimError(
            f"there is no file {path}", remedy="name a Python file that defines claims, or a folder of them"
        )
    name = f"tensoralg_claims_{path.stem}_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ClaimError(f"{path} is no Python file", remedy="claims are Python functions in files called *.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file look themselves up here
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def named(path: Path, name: str) -> Any:
    """Execute a Python file and return what a name in it stands for: of a function its value, of a claim its left side.

    Raises
    ------
    ClaimError
        If there is no such file, name or left side.  Whatever the file or the function raises passes through.
    """
    values = vars(execute(path))
    if name not in values:
        known = [known for known, value in values.items() if not known.startswith("_") and not ismodule(value)]
        raise ClaimError(f"{path} defines no {name}", remedy=suggest(name, known))
    value = values[name]
    if isinstance(value, Claim):
        value = value.statement()
        if not isinstance(value, Equation):
            raise ClaimError(f"the claim {name} is no equation, so it has no left side", remedy="name an expression")
        return value.lhs
    return value() if isfunction(value) else value
