"""Claims and their runner: what counts as expected, what is reported, and what stops nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

import tensoralg as ta
from tensoralg.claims import ClaimResult, Equation, FileReport, Kernel, Report, claim, kernels, run, write_certificates
from tensoralg.claims.text import read_equation, read_operator
from tensoralg.errors import ClaimError, ParseError, UnknownName, UsageError

HEAD = """
import tensoralg as ta
from tensoralg.claims import claim

V = ta.Space("V", "n")
i, j = V.indices("i j")
A, B = ta.tensors("A B", V @ V)
x = ta.tensor("x", V)
product, swapped = ta.define((i,), A[i, j] * x[j]), ta.define((i,), x[j] * A[i, j])
transposed = ta.define((i,), A[j, i] * x[j])
"""
TRUE = """
@claim(source="textbook", sizes={"n": 5}, mutation=lambda: (product, transposed))
def products_commute():
    return product, swapped
"""
FALSE = """
@claim(source="a mistake", expected="refuted")
def transposes_are_equal():
    return product, transposed
"""
KEYS = [
    "name", "file", "source", "expected", "status", "as_expected", "seconds",
    "flops_before", "flops_after", "error", "bound", "certificate",
]  # fmt: skip


def written(folder: Path, name: str, text: str, head: str = HEAD) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + text, encoding="utf-8")
    return path


def run_text(folder: Path, text: str) -> Report:
    return run([written(folder, "claims.py", text)])


def test_a_true_claim_and_a_false_one_are_as_expected(tmp_path: Path) -> None:
    report = run_text(tmp_path, TRUE + FALSE)
    true, false = report.results
    assert (true.name, true.status, true.as_expected) == ("products_commute", "proved", True)
    assert (false.name, false.status, false.as_expected) == ("transposes_are_equal", "refuted", True)
    assert (true.flops_before, true.flops_after) == ("2*n**2", "2*n**2")
    assert true.kernel is not None
    assert true.kernel.ok
    assert 0 < true.kernel.bound < 1e-3
    assert false.kernel is None
    assert report.exit_code == 0


def test_the_json_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    report = json.loads(json.dumps(run_text(tmp_path, TRUE + FALSE).to_json(), allow_nan=False))
    assert list(report) == ["claims", "errors"]
    assert report["errors"] == []
    for entry in report["claims"]:
        assert list(entry) == KEYS
    true, false = report["claims"]
    assert true["file"] == str(tmp_path / "claims.py")
    assert isinstance(true["error"], float)
    assert [false[key] for key in ("error", "bound", "certificate")] == [None] * 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (TRUE.replace("swapped\n", "transposed\n"), "expected proved, but it is refuted"),
        (FALSE.replace("product, transposed", "product, swapped"), "expected refuted, but it is proved"),
        (TRUE.replace("lambda: (product, transposed)", "lambda: (product, swapped)"), "mutation is proved"),
    ],
)
def test_a_claim_that_is_not_as_expected(tmp_path: Path, text: str, fault: str) -> None:
    report = run_text(tmp_path, text)
    (result,) = report.results
    assert not result.as_expected
    assert fault in result.faults[0]
    assert report.exit_code == 1


def test_a_kernel_outside_its_bound_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = SimpleNamespace(error=1.0, bound=0.5, ok=False)
    monkeypatch.setattr(kernels, "verify_kernel", lambda operator, sizes: outside)
    report = run_text(tmp_path, TRUE)
    (result,) = report.results
    assert result.status == "proved"
    assert result.faults == ("the kernel is off by 1.0, but rounding explains only 0.5",)
    assert report.exit_code == 1


def test_a_kernel_that_cannot_read_a_size_gets_it(tmp_path: Path) -> None:
    text = """
H, E = ta.Space("H", "h"), ta.Space("E", "e")
a, b, w = H.index("a"), E.index("b"), (H @ E).index("w")
z = ta.tensor("z", (H @ E,))

@claim(source="textbook", sizes={"h": 2, "e": 3})
def a_product_index_splits():
    return ta.define((a,), z[((a, b),)]), ta.define((a,), z[((a, b),)] * 1)
"""
    (result,) = run_text(tmp_path, text).results
    assert result.as_expected
    assert result.kernel is not None


def test_statements_that_decide_themselves(tmp_path: Path) -> None:
    text = """
from tensoralg.plan import cost
n = ta.dims("n")

@claim(source="textbook")
def a_matrix_vector_product_is_quadratic():
    return cost(product).flops == 2 * n**2

@claim(source="a mistake", expected="refuted")
def a_matrix_vector_product_is_linear():
    return cost(product).order_in("n") == 1
"""
    report = run_text(tmp_path, text)
    assert [result.status for result in report.results] == ["proved", "refuted"]
    assert report.exit_code == 0
    assert report.results[0].to_json()["flops_before"] is None


def test_a_decay_without_an_array_form_is_decided_and_not_priced(tmp_path: Path) -> None:
    text = """
T = ta.Space("T", "n", ordered=True)

def both(clock):
    t, s = clock.indices("t s")
    path = ta.decay(ta.tensor("a", [clock]))[t, s]
    return ta.define((t, s), path), ta.define((t, s), ta.le[s, t] * path)

@claim(source="definition", kernel=False)
def decays_run_backwards_in_time():
    return both(T)

@claim(source="definition", kernel=False)
def decays_over_a_concatenation_run_backwards_in_time():
    return both(T + T)
"""
    simple, composite = run_text(tmp_path, text).results
    assert (simple.status, simple.flops_before, simple.flops_after) == ("proved", "0", "0")
    assert (composite.status, composite.flops_before, composite.flops_after) == ("proved", None, None)


def test_hypotheses_and_fixed_sizes_reach_the_decision(tmp_path: Path) -> None:
    text = """
@claim(source="textbook", fixed={"n": 1}, kernel=False)
def one_by_one_matrices_are_symmetric():
    return product, transposed

@claim(source="textbook", kernel=False)
def a_triple_carries_its_hypotheses():
    return product, swapped, [(ta.define((i, j), A[i, j]), ta.define((i, j), B[i, j]))]
"""
    report = run_text(tmp_path, text)
    assert [result.status for result in report.results] == ["proved", "proved"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "line 11: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)\n", "SystemExit"),
        ("def broken(:\n", "SyntaxError"),
        ("from nowhere_at_all import x\n", "No module named 'nowhere_at_all'"),
        ("A[i]\n", "LegCountMismatch: tensor A[V, V] has 2 legs but got 1 index"),
        ("x = ta.Space('W', 0)\n", "a named space cannot have dimension 0"),
        ("", "defines no claim"),
        ("from tensoralg.claims import Claim\n", "defines no claim"),
    ],
)
def test_a_bad_file_does_not_stop_the_others(tmp_path: Path, text: str, message: str) -> None:
    bad, good = written(tmp_path, "a_bad.py", text), written(tmp_path, "b_good.py", TRUE)
    report = run([tmp_path])
    assert [result.name for result in report.results] == ["products_commute"]
    (error,) = report.errors
    assert error.file == str(bad)
    assert message in error.message
    assert report.exit_code == 2
    assert report.files[1].file == str(good)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('oh')", "line 13: KeyError: 'oh'"),
        ("return 3", "returned 3, which is no statement"),
        ("return product, ta.define((), x[i])", "FreeIndexMismatch"),
        ("return ta.define((i,), A[i, j]*x[k]), product", "NameError: name 'k'"),
    ],
)
def test_a_claim_that_raises_does_not_stop_the_others(tmp_path: Path, body: str, message: str) -> None:
    text = f"@claim(source='textbook')\ndef broken():\n    {body}\n{TRUE}"
    report = run_text(tmp_path, text)
    assert [result.name for result in report.results] == ["products_commute"]
    (error,) = report.errors
    assert error.message.startswith("claim broken: ")
    assert message in error.message
    assert report.exit_code == 2


def test_missing_sizes_of_a_kernel_are_named(tmp_path: Path) -> None:
    report = run_text(tmp_path, TRUE.replace('sizes={"n": 5}, ', ""))
    assert "n" in report.errors[0].message
    assert report.exit_code == 2
    report = run_text(tmp_path, TRUE.replace('{"n": 5}', '{"n": 5, "q": 2}'))
    assert "'q', which is no dimension here" in report.errors[0].message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    report = run([tmp_path / "nowhere.py", written(tmp_path, "good.py", TRUE)])
    assert "there is no file" in report.errors[0].message
    assert len(report.results) == 1
    assert report.exit_code == 2


def test_imported_claims_and_hidden_files_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "library_of_claims.py", TRUE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importing = written(tmp_path, "importing.py", f"from library_of_claims import products_commute\n{FALSE}")
    written(tmp_path, "_hidden.py", "1 / 0")
    written(tmp_path, ".cache/hidden.py", "1 / 0")
    report = run([tmp_path, importing])  # named twice, run once
    assert [result.name for result in report.results] == ["transposes_are_equal", "products_commute"]
    assert report.errors == ()


def test_what_a_claim_file_prints_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_text(tmp_path, "print('loading')\n" + TRUE)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "loading" in captured.err


def test_certificates_are_written_once_per_proof(tmp_path: Path) -> None:
    paths = [written(tmp_path, f"{folder}/same.py", TRUE + FALSE) for folder in ("a", "b")]
    report = write_certificates(run(paths), tmp_path / "certificates")
    found = sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / "certificates").rglob("*.json"))
    assert found == [f"certificates/{folder}/same/products_commute.json" for folder in ("a", "b")]
    assert [entry["certificate"] for entry in report.to_json()["claims"]] == [
        str(tmp_path / found[0]), None, str(tmp_path / found[1]), None,
    ]  # fmt: skip
    assert isinstance(json.loads((tmp_path / found[0]).read_text()), dict)


def test_the_decorator_refuses_nonsense() -> None:
    with pytest.raises(ClaimError, match="expected 'true'"):
        claim(source="x", expected="true")  # type: ignore[arg-type]
    with pytest.raises(ClaimError, match="names a mutation"):
        claim(source="x", expected="refuted", mutation=lambda: None)


def test_the_printed_report_shows_witnesses_and_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_text(tmp_path, TRUE + FALSE + TRUE.replace("swapped\n", "transposed\n").replace("commute", "do_not")).print()
    out = capsys.readouterr().out
    assert "Counterexamples to the claims that are refuted as expected:" in out
    assert "sizes   n = 2" in out
    assert "NOT AS EXPECTED: products_do_not" in out
    assert "expected proved, but it is refuted" in out
    assert "3 claims: 1 proved, 2 refuted, 1 not as expected; 2 kernels run; 0 errors" in out


def test_json_has_no_infinities() -> None:
    kernel = Kernel(math.nan, math.inf, ok=False)
    result = ClaimResult("a", "f.py", "s", "proved", "proved", 0.1, None, None, kernel, None, "", ("no",))
    entry = Report((FileReport("f.py", (result,), ()),)).to_json()["claims"][0]
    assert (entry["error"], entry["bound"]) == (None, None)


# Claims and operators as text.


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ("U[i,a]*U[i,b] == delta[a,b]", ("a", "b")),
        ("P[i,a] == c[]", None),
        ("P[i,a] == c[] for i,a", ("i", "a")),
        ("sum(i: P[i,a]) == 1", ("a",)),
        ("sum(i,a: P[i,a]) == 1", ()),
        ("P[i,a]*x[a] == y[i]", ("i",)),
        ("softmax(i: y[i]) == z[i]", ("i",)),
        ("c[]*c[] == 1", ()),
    ],
)
def test_the_free_indices_of_a_hypothesis(text: str, free: tuple[str, ...] | None) -> None:
    def hypothesis() -> Equation:
        return read_equation("c[] == c[]", "i: m; a,b: n", given=[text])

    if free is None:
        with pytest.raises(UsageError, match="cannot be told"):
            hypothesis()
    else:
        assert {side.free for side in hypothesis().given[0]} == {free}


def test_an_equation_needs_one_sign_of_equality() -> None:
    for text, column in [("A[i]", 4), ("A[i] == B[i] == C[i]", 13)]:
        with pytest.raises(ParseError, match="one '=='") as caught:
            read_equation(text, "i: n", "i")
        assert caught.value.position == column


def test_operators_from_statements_sides_and_einsum_strings() -> None:
    attention = "sum(s,f: Q[t,f]*K[s,f]*V[s,e])"
    whole = read_operator(f"O[t,e] = {attention}", "t,s: n; f,e: d")
    side = read_operator(attention, "t,s: n; f,e: d", free="t,e")
    assert whole.body == side.body
    assert whole.free == side.free == ("t", "e")
    for text in ("t f, s f -> t s", "tf,sf->ts"):
        made = read_operator(text, "t,s: n ordered")
        assert str(made) == "O[t,s] = sum(f: A[t,f]*B[s,f])"
        assert [str(index.space.dimension) for index in made.legs] == ["n", "n"]
        assert made.legs[0].space.ordered
    with pytest.raises(ParseError, match=r"unexpected '\.'"):
        read_operator("...f,sf->...s")
    assert len(read_operator(",".join(["i"] * 30) + "->i").tensors) == 30
    with pytest.raises(UnknownName, match="index g is not declared"):
        read_operator("O[t] = A[t,g]", "t: n")


def test_the_claim_object_keeps_what_was_said() -> None:
    space = ta.Space("V", "n")
    k = space.index("k")
    vector = ta.tensor("x", space)

    @claim(source="here", kernel=False)
    def doubled() -> object:
        """Twice is
        one and one."""
        return ta.define((k,), 2 * vector[k]), ta.define((k,), vector[k] + vector[k])

    assert (doubled.name, doubled.says, doubled.source) == ("doubled", "Twice is one and one.", "here")
    assert doubled.statement().decide().status == "proved"
    assert doubled.mutated() is None
