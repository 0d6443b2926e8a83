"""Files of exports: whole or not at all, and not loaded before they were looked at."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import (
    ArchiveRefused,
    ExportFailed,
    InvalidExpression,
    MissingDependency,
    UnknownName,
    UsageError,
)
from tensoralg.lower.exports import files
from tensoralg.lower.exports.card import digest, refused_export
from tensoralg.lower.exports.forms import form_of, text
from tensoralg.lower.exports.load import refused_archive
from tensoralg.lower.exports.trace import _module

INDICES = {"t,s": "n ordered", "f,g": "d"}
PRODUCT = ta.compile(ta.parse("O[t] = A[t,s]*x[s]", indices=INDICES))
WEIGHTED = ta.compile(ta.parse("O[t] = x[f]*W[f,t]", indices=INDICES), parameters={"W": torch.ones(2, 3)})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# written whole or not at all


def test_exactly_two_files_are_written_and_old_ones_replaced(tmp_path: Path) -> None:
    path = tmp_path / "product.py"
    path.write_text("old", encoding="utf-8")
    ta.export(PRODUCT, path, format="source")
    assert names(tmp_path) == ["product.py", "product.py.card.json"]
    assert ta.read_card(path)["sha256"] == digest(path.read_bytes())
    again = path.read_bytes()
    ta.export(PRODUCT, str(path), "source")
    assert path.read_bytes() == again


@pytest.mark.parametrize("card", [False, True])
def test_a_path_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, card: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr("tensoralg.lower.exports.write.form_of", lambda _: pytest.fail("worked in vain"))
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "folder.card.json").mkdir()
    cases = {"missing/p.py": FileNotFoundError, "file/p.py": NotADirectoryError, ".": IsADirectoryError}
    for where, error in {"folder": IsADirectoryError}.items() if card else cases.items():
        with pytest.raises(error, match=r"(?s)(is a folder|cannot be written)") as caught:
            ta.export(PRODUCT, tmp_path / where, format="source")
        assert str(tmp_path) in str(caught.value.filename)
    assert names(tmp_path) == ["file", "folder.card.json"]


@pytest.mark.parametrize("step", ["fsync", "replace", "second replace"])
@pytest.mark.parametrize("old", [False, True])
def test_a_disk_that_fails_leaves_no_part(tmp_path: Path, step: str, old: bool, monkeypatch: Any) -> None:
    path = tmp_path / "product.py"
    if old:
        path.write_text("old", encoding="utf-8")
    true, calls = getattr(os, step.removeprefix("second ")), []

    def fails(*args: Any) -> Any:
        calls.append(args)
        if step == "second replace" and len(calls) == 1:
            return true(*args)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step.removeprefix("second "), fails)
    with pytest.raises(OSError, match="No space left") as caught:
        ta.export(PRODUCT, path, format="source")
    assert caught.value.errno == errno.ENOSPC
    assert "product.py" in str(caught.value.filename)
    assert names(tmp_path) == (["product.py"] if old else [])
    if old and step != "second replace":
        assert path.read_text(encoding="utf-8") == "old"
    elif old:
        with pytest.raises(ArchiveRefused, match="no model card"):
            ta.read_card(path)


def test_a_disk_that_is_full_leaves_no_part(tmp_path: Path) -> None:
    """The room is run alone, without torch, in a process whose files may not grow beyond 1000 bytes."""
    code = f"""
import importlib.util, resource, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("files", {files.__file__!r})
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Path({str(tmp_path)!r})
files.write_whole({{folder / "a": b"small", folder / "b": b"x" * 1000}})
try:
    files.write_whole({{folder / "c": b"small", folder / "d": b"x" * 1001}})
except OSError as error:
    print(error.filename, error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'd'} could not be written (File too large)\n"
    assert names(tmp_path) == ["a", "b"]


# bad input


@pytest.mark.parametrize(
    ("operator", "options", "error", "said"),
    [
        (PRODUCT, {"format": "gguf"}, UsageError, "no format 'gguf'"),
        (PRODUCT, {"format": None}, UsageError, "no format None"),
        (PRODUCT.definition, {}, InvalidExpression, "compile the definition first"),
        (torch.nn.Linear(2, 2), {}, InvalidExpression, "of type Linear"),
        (None, {}, InvalidExpression, "of type NoneType"),
        (PRODUCT, {"dtype": "float8"}, UnknownName, "float8"),
        (PRODUCT, {"batch": -1}, UsageError, "no number of batch axes"),
        (PRODUCT, {"batch": True}, UsageError, "no number of batch axes"),
        (PRODUCT, {"batch": {"B": 1}}, UnknownName, "no input 'B'"),
        (PRODUCT, {"sizes": {"m": 1}, "format": "source"}, ta.errors.UnknownSize, "'m'"),
        (WEIGHTED, {"sizes": {"d": 3}}, UsageError, "d = 3 is asked for, and d is fixed to 2"),
    ],
)
def test_wrong_arguments_are_clear_errors(
    operator: Any, options: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        ta.export(operator, tmp_path / "x", **options)
    assert names(tmp_path) == []


def test_a_stream_with_windows_is_exported_over_all_of_time_or_not_at_all(tmp_path: Path) -> None:
    stream = ta.stream(ta.parse("O[t] = near[s,t,3]*x[s]", indices=INDICES))
    with pytest.raises(UsageError, match=r"windows(?s:.*)parallel"):
        ta.export(ta.compile(stream, form="recurrent"), tmp_path / "x")
    ta.export(ta.compile(stream), tmp_path / "x", "source")
    assert ta.read_card(tmp_path / "x")["form"] == "parallel"


def test_a_loop_over_all_of_time_is_no_graph(tmp_path: Path) -> None:
    definition = ta.parse("O[t,f] = decay(A)[t,s,f,g]*x[s,g]", indices=INDICES, tensors={"A": "n d d"})
    with pytest.raises(ExportFailed, match=r"for all sizes(?s:.*)recurrent"):
        ta.export(ta.compile(definition), tmp_path / "x")
    assert names(tmp_path) == []


def test_onnx_needs_its_packages(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="onnxscript"):
        ta.export(PRODUCT, tmp_path / "x", "onnx")


def test_what_computes_something_else_is_not_handed_over(tmp_path: Path, monkeypatch: Any) -> None:
    wrong = PRODUCT.source.replace("return ", "return 2 * ")
    monkeypatch.setattr("tensoralg.lower.exports.write.text", lambda *_: wrong)
    with pytest.raises(ExportFailed, match="the proven bound is"):
        ta.export(PRODUCT, tmp_path / "x", "source")
    assert names(tmp_path) == []


def test_facts_that_no_random_array_has_are_no_hindrance(tmp_path: Path) -> None:
    T = ta.Space("T", "n")
    t, s = T.indices("t s")
    P, x = ta.tensor("P", T @ T, symmetric=True, projection=True), ta.tensor("x", T)
    ta.export(ta.compile(ta.define((t,), P[t, s] * x[s])), tmp_path / "x", "source")
    assert "verify knows no random P" in ta.read_card(tmp_path / "x")["measured"]["not_measured"]


def test_functions_of_sizes_are_the_same_in_a_graph(tmp_path: Path) -> None:
    """1/n, sqrt, log, exp and a maximum of sizes: in Python they would fix the size."""
    definition = ta.parse("O[f] = sum(s: x[s,f])/n/sqrt(d)*log(n+1)*exp(1/d)*relu(n-3)", indices=INDICES)
    form = form_of(ta.compile(definition))
    module = _module(form, text(form, ""), torch.float64, onnx=False)
    for n, d in ((1, 1), (5, 3), (8, 2)):
        x = torch.rand(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        # float64: the same operations up to the last digit of exp and log
        torch.testing.assert_close(module(x), form.operator(x), rtol=1e-14, atol=0)


# cards


@pytest.fixture
def source(tmp_path: Path) -> Path:
    ta.export(PRODUCT, tmp_path / "product.py", format="source")
    return tmp_path / "product.py"


def test_cards_are_refused(source: Path) -> None:
    beside = source.with_name("product.py.card.json")
    card = json.loads(beside.read_text(encoding="utf-8"))
    for content, said in [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "does not say"),
        (json.dumps({**card, "version": 2}), "its version is 2"),
        (json.dumps({**card, "sha256": "0" * 64}), "digests differ"),
        (json.dumps({**card, "sha256": 5}), "'sha256' is missing"),
        (json.dumps({k: v for k, v in card.items() if k != "inputs"}), "'inputs' is missing"),
    ]:
        beside.write_text(content, encoding="utf-8")
        with pytest.raises(ArchiveRefused, match=said):
            ta.read_card(source)
        assert said in refused_export(source)
    beside.unlink()
    with pytest.raises(ArchiveRefused, match="no model card"):
        ta.read_card(source)
    with pytest.raises(FileNotFoundError):
        ta.read_card(source.with_name("nothing"))


def test_a_changed_file_is_refused(source: Path) -> None:
    assert refused_export(source) == refused_export(f"{source}.card.json") == ""
    source.write_bytes(source.read_bytes() + b"\n")
    with pytest.raises(ArchiveRefused, match="digests differ"):
        ta.read_card(source)


def test_proofs_in_a_card_are_checked(source: Path) -> None:
    beside = source.with_name("product.py.card.json")
    card = json.loads(beside.read_text(encoding="utf-8"))
    (proof,) = card["proofs"]
    claim = {**proof["certificate"]["claim"], "rhs": 0}
    for proofs, said in [
        ([], "no proofs"),
        ([{**proof, "certificate": None}], "no certificate"),
        ([{**proof, "certificate": {**proof["certificate"], "claim": claim}}], "does not hold"),
        ([{**proof, "certificate_sha256": "0" * 64}], "digest is another"),
    ]:
        beside.write_text(json.dumps({**card, "proofs": proofs}), encoding="utf-8")
        assert said in refused_export(source)


def test_only_archives_are_loaded(source: Path) -> None:
    with pytest.raises(UsageError, match="was exported as source"):
        ta.load_exported(source)


# archives


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "weighted.pt2"
    ta.export(WEIGHTED, path)
    return path


def records_of(path: Path) -> dict[str, bytes]:
    reader = torch._C.PyTorchFileReader(str(path))
    return {name: reader.get_record(name) for name in reader.get_all_records()}


def forge(good: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Write a changed archive with a card whose digest is right."""
    records = records_of(good)
    change(records)
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in records.items():
        if name not in ("version", ".data/version", "byteorder", ".data/serialization_id"):
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    card = json.loads(good.with_name(f"{good.name}.card.json").read_text(encoding="utf-8"))
    card["sha256"] = digest(path.read_bytes())
    path.with_name(f"{path.name}.card.json").write_text(json.dumps(card), encoding="utf-8")


def edit(name: str, old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(records: dict[str, bytes]) -> None:
        assert old.encode() in records[name]
        records[name] = records[name].replace(old.encode(), new.encode(), 1)

    return change


def test_a_forged_archive_is_not_loaded(archive: Path, tmp_path: Path) -> None:
    fired, path = tmp_path / "fired", tmp_path / "forged.pt2"
    bomb = pickle.dumps(Bomb(fired))
    config, graph = "data/weights/model_weights_config.json", "models/model.json"
    evil = f"__import__('pathlib').Path('{fired}').touch()"

    def pickled_weight(records: dict[str, bytes]) -> None:
        edit(config, '"use_pickle": false', '"use_pickle": true')(records)
        records["data/weights/weight_0"] = bomb

    def guarded(records: dict[str, bytes]) -> None:
        model = json.loads(records[graph])
        model["guards_code"] = [evil]
        records[graph] = json.dumps(model).encode()

    for change, said in [
        (pickled_weight, "W is pickled"),
        (lambda records: records.update({"data/sample_inputs/model.pt": bomb}), "pickled example inputs"),
        (lambda records: records.update({"data/weights/model.pt": bomb}), "the record data/weights/model.pt"),
        (lambda records: records.update({"data/aotinductor/model/a.so": b""}), "the record data/aotinductor"),
        (guarded, "the guard"),
        (edit(graph, "torch.ops.aten.", "torch.serialization.os.system."), "none of torch's tensor operations"),
        (edit(config, '"use_pickle": false', '"no": 1'), "no torch archive"),
        (edit(graph, "{", "["), "no torch archive"),
    ]:
        forge(archive, path, change)
        with pytest.raises(ArchiveRefused, match=said):
            ta.load_exported(path)
        assert not fired.exists()
    for data in (b"", b"PK\x03\x04", archive.read_bytes()[:-100]):
        assert refused_archive(data) == "it is no torch archive"


def test_an_archive_that_was_written_again_is_loaded(archive: Path, tmp_path: Path) -> None:
    forge(archive, tmp_path / "same.pt2", lambda _: None)
    x = torch.tensor([1.0, 2.0])
    assert ta.load_exported(tmp_path / "same.pt2")(x).tolist() == [3.0, 3.0, 3.0]
    assert not records_of(archive)["data/sample_inputs/model.pt"]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_the_forgeries_would_do_harm(archive: Path, tmp_path: Path) -> None:
    """The test above would say nothing if torch itself refused them."""
    fired, path = tmp_path / "fired", tmp_path / "forged.pt2"
    forge(archive, path, lambda records: records.update({"data/sample_inputs/model.pt": pickle.dumps(Bomb(fired))}))
    with pytest.raises((RuntimeError, AssertionError, pickle.UnpicklingError)):
        torch.export.load(path)
    assert fired.exists()


def test_tensors_may_have_any_names(tmp_path: Path) -> None:
    words = ["streamed", "proved", "kernel", "states", "cut", "arrays", "torch_einsum"]
    a, b, c, d, e, f, g = words
    whole = ta.parse(f"O[t] = {a}[t,s]*{b}[s,f]*{e}[f]*{g}[]", indices=INDICES)
    ta.export(ta.compile(whole, parameters={b: torch.ones(2, 2)}), tmp_path / "whole", "source")
    ta.export(ta.compile(whole, parameters={b: torch.ones(2, 2)}), tmp_path / "whole.pt2")
    stream = ta.stream(ta.parse(f"O[t,f] = le[s,t]*{a}[t,f]*{c}[s,f]*{d}[s]*{f}[s]", indices=INDICES))
    ta.export(ta.compile(stream, form="chunked"), tmp_path / "stream", "source")
    ta.export(ta.compile(stream, form="recurrent"), tmp_path / "stream.pt2")
    assert all(ta.read_card(tmp_path / x)["measured"]["within_bound"] for x in ("whole.pt2", "stream", "stream.pt2"))


def test_an_ending_of_another_format_is_refused(tmp_path: Path) -> None:
    operator = ta.compile(ta.parse("O[t] = x[t]*y[t]", indices={"t": "n"}))
    for name, format in (("a.onnx", "pt2"), ("a.pt2", "source"), ("a.py", "pt2")):
        with pytest.raises(UsageError, match="format"):
            ta.export(operator, tmp_path / name, format=format)
    assert not any(tmp_path.iterdir())
