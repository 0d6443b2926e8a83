"""The command `export`: what it writes, and what it says to input that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tensoralg.cli import main

OPERATORS = """
import tensoralg as ta
from tensoralg.claims import claim
INDICES = {"t,s": "n ordered", "f": "d", "e": "e"}
linear = ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
number = 3
def streamed():
    print("hello")
    return ta.stream(linear)
def compiled():
    return ta.compile(linear)
def broken():
    return 1 / 0
def needs(x):
    return x
@claim(source="definition")
def itself():
    return linear, linear
"""


@pytest.fixture
def operators(tmp_path: Path) -> str:
    path = tmp_path / "operators.py"
    path.write_text(OPERATORS, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["linear", "streamed", "compiled", "itself"])
def test_export_writes_what_a_name_stands_for(name: str, operators: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(operators).with_name("out.py")
    assert main(["export", f"{operators}:{name}", "-o", str(path), "--format", "source"]) == 0
    captured = capsys.readouterr()
    assert f"{path}: {name} as source" in captured.out
    assert ("hello" in captured.err, "hello" in captured.out) == (name == "streamed", False)
    space: dict[str, Any] = {}
    exec(path.read_text(encoding="utf-8"), space)

    one = torch.ones(3, 2)
    assert space["operator"](one, one, one).tolist() == [[2, 2], [4, 4], [6, 6]]
    assert main(["check", str(path), f"{path}.card.json"]) == 0
    path.write_text("changed", encoding="utf-8")
    assert main(["check", str(path)]) == 1
    assert "digests differ" in capsys.readouterr().out


def test_export_options(operators: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(operators).with_name("out.pt2")
    options = ["--fix", "d=2,e=3", "--dtype", "float64", "--batch", "1", "--form", "parallel"]
    assert main(["export", f"{operators}:streamed", "-o", str(path), *options]) == 0
    card = json.loads(Path(f"{path}.card.json").read_text(encoding="utf-8"))
    assert (card["format"], card["form"], card["fixed_sizes"]) == ("pt2", "parallel", {"d": 2, "e": 3})
    assert {(one["dtype"], one["batch_axes"]) for one in card["inputs"]} == {("float64", 1)}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("broken", [], "line 13: ZeroDivisionError"),
        ("needs", [], "missing 1 required positional argument"),
        ("number", [], "3 is no expression"),
        ("liner", [], "did you mean 'linear'?"),
        ("linear", ["--format", "gguf"], "no format 'gguf'"),
        ("linear", ["--form", "chunked"], "is for streams"),
        ("streamed", ["--form", "sideways"], "no form 'sideways'"),
        ("linear", ["--fix", "z=4"], "'z', which is no dimension here"),
        ("linear", ["--fix", "n"], "gives no size"),
        ("linear", ["--dtype", "int8"], "int8"),
        ("linear", ["--batch", "-1"], "no number of batch axes"),
        ("compiled", ["--fix", "d=4"], "compiled already"),
        ("linear", ["-o", "/nowhere/out"], "/nowhere/out: cannot be written"),
        ("linear", ["-o", "."], "is a folder"),
    ],
)
def test_export_says_what_is_wrong(
    name: str, options: list[str], said: str, operators: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(Path(operators).with_name("out"))
    assert main(["export", f"{operators}:{name}", "-o", out, *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not Path(out).exists()


def test_export_needs_a_file_and_a_name(operators: str, capsys: pytest.CaptureFixture[str]) -> None:
    for where, said in ((operators, "is no FILE.py:NAME"), ("nowhere.py:x", "there is no file nowhere.py")):
        assert main(["export", where, "-o", "x"]) == 2
        assert said in capsys.readouterr().err
