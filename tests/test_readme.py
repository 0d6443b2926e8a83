"""What the README prints is what its code prints."""

import re
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from tensoralg.cli import main

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:```\n(?P<output>.*?)```\n)?", re.DOTALL)


def without_errors(text):
    """Rounding errors differ between machines; their place in the text does not."""
    return re.sub(r"\d\.\de-\d\d", "#.#e-##", text).strip()


def test_the_tour_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it exports a file
    names = {}
    blocks = list(BLOCK.finditer(README.read_text(encoding="utf-8")))
    assert len(blocks) >= 4
    for block in blocks:
        printed = StringIO()
        with redirect_stdout(printed):
            exec(block["code"], names)
        assert without_errors(printed.getvalue()) == without_errors(block["output"] or "")


def test_the_shell_commands_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some of them write files
    (tmp_path / "proofs").symlink_to(README.parent / "proofs")
    shells = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for shell in shells for line in shell.splitlines() if line.startswith("tensoralg ")]
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line)[1:]
        if words[0] != "verify":
            assert main(words) == 0, line
            assert capsys.readouterr().out


def test_the_two_commands_are_there():
    text = README.read_text(encoding="utf-8")
    assert "make verify" in text
    assert "make test" in text
