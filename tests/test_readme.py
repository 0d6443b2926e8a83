"""What the README prints is what its code prints."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:```\n(?P<output>.*?)```\n)?", re.DOTALL)


def without_errors(text):
    """Rounding errors differ between machines; their place in the text does not."""
    return re.sub(r"\d\.\de-\d\d", "#.#e-##", text).strip()


def test_the_tour_prints_what_it_shows():
    names = {}
    blocks = list(BLOCK.finditer(README.read_text(encoding="utf-8")))
    assert len(blocks) >= 4
    for block in blocks:
        printed = StringIO()
        with redirect_stdout(printed):
            exec(block["code"], names)
        assert without_errors(printed.getvalue()) == without_errors(block["output"] or "")


def test_the_two_commands_are_there():
    text = README.read_text(encoding="utf-8")
    assert "make verify" in text
    assert "make test" in text
