"""The floors of the house: who may import whom, and a few habits that only a walk over the source can keep."""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tensoralg").rglob("*.py"))

FLOORS = {
    "errors": 0,
    "show": 1, "spaces": 1,
    "expr": 2,
    "normal": 3,
    "proof": 4,
    "universal": 5, "plan": 5,
    "stream": 6,
    "lower": 7,
    "lift": 8,
    "operators": 9,
    "nn": 10,
    "claims": 11,
    "cli": 12,
    "__main__": 13,
    "__init__": 14,
}  # fmt: skip
HEAVY = {"torch", "igraph", "matplotlib", "cotengra", "onnx", "transformers", "rich"}
TORCH_AT_TOP = {"lower", "nn"}
MAX_LINES = 600
MAX_CODE = {"tensoralg/proof/checker.py": 600}  # one file by design: lines of code, without docstrings and blank lines
CHECKER = "tensoralg/proof/checker.py"
RUNS_FOREIGN_CODE = ("tensoralg/claims/runner.py", "attempt")  # a claim file may raise anything


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, the line, the innermost function around it, whether only types need it."""

    module: str
    line: int
    function: str | None
    typing_only: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def room(self) -> str | None:
        """The room of tensoralg that it belongs to, None for other packages."""
        parts = self.module.split(".")
        return None if parts[0] != "tensoralg" else parts[1] if len(parts) > 1 else "__init__"


def room_of(file: str) -> str:
    return file.split("/")[1].removesuffix(".py")


def imports_of(file: str, source: str) -> Iterator[Import]:
    package = file.split("/")[:-1]  # also right for an __init__.py

    def modules(node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                name = ".".join(base + ([module] if module else []))
                # `from tensoralg import x` names a room x, or a lazy name of the package itself
                if name == "tensoralg":
                    yield from (f"tensoralg.{n.name}" if n.name in FLOORS else name for n in names)
                else:
                    yield name
            case (
                ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[first, *_])
                | ast.Call(func=ast.Attribute(attr="import_module"), args=[first, *_])
            ):
                yield first.value if isinstance(first, ast.Constant) else "tensoralg"  # unknown: the worst case

    def walk(node: ast.AST, function: str | None, typing_only: bool) -> Iterator[Import]:
        for module in modules(node):
            yield Import(module, node.lineno, function, typing_only)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            function = getattr(node, "name", "<lambda>")
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.body:
                yield from walk(child, function, True)
            for child in node.orelse:
                yield from walk(child, function, typing_only)
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function, typing_only)

    yield from walk(ast.parse(source), None, False)


def import_faults(file: str, source: str) -> list[str]:
    room = room_of(file)
    if room not in FLOORS:
        return [f"{file}: room '{room}' has no floor; give it one in tests/test_floors.py"]
    faults = []
    for imp in imports_of(file, source):
        where = f"{file}:{imp.line}: "
        if imp.room is not None:
            if imp.room not in FLOORS:
                faults.append(f"{where}imports {imp.module}, which has no floor")
            elif imp.room != room and FLOORS[imp.room] >= FLOORS[room]:
                faults.append(f"{where}{room} (floor {FLOORS[room]}) imports {imp.room} (floor {FLOORS[imp.room]})")
            lazy = room == "cli" or (file.endswith("/__init__.py") and imp.function == "__getattr__")
            if imp.function is not None and not lazy:
                faults.append(f"{where}imports {imp.module} inside {imp.function}; move it to the top of the module")
        if imp.top == "torch" and FLOORS[room] < FLOORS["lower"]:
            faults.append(f"{where}{room} is below lower and may not import torch")
        if (
            imp.top in HEAVY
            and imp.function is None
            and not imp.typing_only
            and not (imp.top == "torch" and room in TORCH_AT_TOP)
        ):
            faults.append(f"{where}imports {imp.top} at module level; import it inside the function that needs it")
        if file == CHECKER and imp.top not in sys.stdlib_module_names:
            faults.append(f"{where}the checker imports {imp.module}; it may use the standard library only")
    return faults


def names_in(node: ast.AST | None) -> set[str]:
    """The class names of an `except`, a `raise` or a list of bases, without their modules."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return names_in(inner)
        case ast.Tuple(elts=elements):
            return set().union(*map(names_in, elements))
    return set()


BUILTIN_ERRORS = {
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
}


def errors_defined(source: str, known: set[str]) -> dict[str, int]:
    """The exception classes of a source (name -> line), where `known` names exception classes already."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(source)):  # breadth first, so a base at the same depth comes before what derives
        if isinstance(node, ast.ClassDef) and any(
            name in known or name in found or name.endswith(("Error", "Exception", "Warning"))
            for base in node.bases
            for name in names_in(base)
        ):
            found[node.name] = node.lineno
    return found


def error_faults(file: str, source: str, known: set[str]) -> list[str]:
    broad = {"Exception", "BaseException"}
    faults = []
    tree = ast.parse(source)
    foreign = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (file, node.name) == RUNS_FOREIGN_CODE
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        caught = isinstance(node, ast.ExceptHandler) and id(node) not in foreign
        if caught and (node.type is None or names_in(node.type) & broad):
            faults.append(f"{file}:{node.lineno}: broad except; name the errors that are expected")
        if isinstance(node, ast.Raise) and names_in(node.exc) & broad:
            faults.append(f"{file}:{node.lineno}: raises a bare Exception; use or add a class in tensoralg/errors.py")
    if file != "tensoralg/errors.py":
        for name, line in errors_defined(source, known).items():
            faults.append(f"{file}:{line}: exception class {name} belongs in tensoralg/errors.py")
    return faults


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES)
def test_imports_go_down(file: str) -> None:
    assert import_faults(file, read(file)) == []


@pytest.mark.parametrize("file", FILES)
def test_errors_are_named_and_live_in_one_place(file: str) -> None:
    errors = "tensoralg/errors.py"
    known = BUILTIN_ERRORS | (set(errors_defined(read(errors), BUILTIN_ERRORS)) if errors in FILES else set())
    assert error_faults(file, read(file), known) == []


@pytest.mark.parametrize("file", FILES)
def test_a_module_is_short(file: str) -> None:
    lines = code_lines(read(file)) if file in MAX_CODE else len(read(file).splitlines())
    assert lines <= MAX_CODE.get(file, MAX_LINES), f"{file} has {lines} lines; past about 500 it is two modules"


def code_lines(source: str) -> int:
    """Return how many lines of a module are neither blank, nor a comment, nor part of a docstring."""
    lines = {k for k, line in enumerate(source.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def assert_light(modules: list[str], heavy: set[str]) -> None:
    code = f"import sys, {', '.join(modules)}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "heavy packages were imported"


def test_import_tensoralg_is_light() -> None:
    assert_light(["tensoralg"], HEAVY)


def test_rooms_below_lower_are_light() -> None:
    files = [f for f in FILES if FLOORS.get(room_of(f), 99) < FLOORS["lower"]]
    modules = [f.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for f in files]
    assert_light(["tensoralg", *modules], HEAVY)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tensoralg/expr/a.py", "from tensoralg.proof import prove"),
        ("tensoralg/expr/a.py", "from ..proof import prove"),
        ("tensoralg/expr/__init__.py", "from ..proof.verdict import Verdict"),
        ("tensoralg/spaces/a.py", "from tensoralg import show"),
        ("tensoralg/plan/a.py", "import tensoralg.universal.maps"),
        ("tensoralg/expr/a.py", "from tensoralg import parse"),
        ("tensoralg/expr/a.py", "import tensoralg"),
        ("tensoralg/expr/a.py", "def f():\n    from tensoralg import spaces"),
        ("tensoralg/expr/a.py", "f = lambda: import_module('tensoralg.spaces')"),
        ("tensoralg/expr/a.py", "import importlib\nimportlib.import_module(name)"),
        ("tensoralg/expr/a.py", "if TYPE_CHECKING:\n    from tensoralg.normal import a"),
        ("tensoralg/stream/a.py", "def f():\n    import torch"),
        ("tensoralg/stream/a.py", "if TYPE_CHECKING:\n    import torch"),
        ("tensoralg/operators/a.py", "import torch.nn"),
        ("tensoralg/normal/a.py", "class A:\n    from igraph import Graph"),
        ("tensoralg/normal/a.py", "try:\n    import igraph\nexcept ImportError:\n    pass"),
        ("tensoralg/cli.py", "from rich.console import Console"),
        ("tensoralg/proof/checker.py", "import sympy"),
        ("tensoralg/proof/checker.py", "from tensoralg.errors import UsageError"),
        ("tensoralg/attic/a.py", ""),
    ],
)
def test_a_planted_import_is_found(file: str, source: str) -> None:
    assert len(import_faults(file, source)) >= 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tensoralg/expr/a.py", "from tensoralg.spaces import Space\nfrom tensoralg import errors\nfrom . import b"),
        ("tensoralg/expr/a.py", "from .b import c\nfrom ..errors import SpaceMismatch\nimport sympy"),
        ("tensoralg/normal/a.py", "def f():\n    import igraph"),
        ("tensoralg/lower/a.py", "import torch"),
        ("tensoralg/operators/a.py", "if TYPE_CHECKING:\n    import torch"),
        ("tensoralg/cli.py", "def f():\n    from tensoralg.claims import run\n    import rich"),
        ("tensoralg/__main__.py", "from tensoralg.cli import main"),
        ("tensoralg/__init__.py", "def __getattr__(name):\n    return import_module(WHERE[name])"),
        ("tensoralg/proof/checker.py", "import json\nfrom fractions import Fraction"),
    ],
)
def test_a_good_import_passes(file: str, source: str) -> None:
    assert import_faults(file, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception as error:\n    pass",
        "try:\n    f()\nexcept (KeyError, Exception):\n    pass",
        "try:\n    f()\nexcept:\n    raise",
        "raise Exception('no')",
        "raise BaseException",
        "class Odd(ValueError): ...",
        "class Odd(errors.Mismatch): ...",
        "class Odd(json.JSONDecodeError): ...",
    ],
)
def test_a_planted_error_is_found(source: str) -> None:
    assert len(error_faults("tensoralg/expr/a.py", source, BUILTIN_ERRORS | {"Mismatch"})) == 1


def test_foreign_code_is_run_in_one_function_only() -> None:
    source = "def {}():\n    try:\n        f()\n    except Exception:\n        pass"
    file, function = RUNS_FOREIGN_CODE
    assert error_faults(file, source.format(function), BUILTIN_ERRORS) == []
    assert len(error_faults(file, source.format("other"), BUILTIN_ERRORS)) == 1
    assert len(error_faults("tensoralg/expr/a.py", source.format(function), BUILTIN_ERRORS)) == 1
