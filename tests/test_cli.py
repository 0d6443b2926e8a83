"""The command line: answers, exit codes, JSON, and what it says to input that cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tensoralg.cli import main

ROOT = Path(__file__).resolve().parent.parent
INDICES = ["--indices", "t,s: n ordered; f: d"]
CLAIMS = """
import tensoralg as ta
from tensoralg.claims import claim
V = ta.Space("V", "n")
i, j = V.indices("i j")
A = ta.tensor("A", V @ V)
x = ta.tensor("x", V)

@claim(source="textbook", kernel=False)
def products_commute():
    return ta.define((i,), A[i, j] * x[j]), ta.define((i,), x[j] * A[i, j])
"""


def shell(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tensoralg", *arguments],
        cwd=options.pop("cwd", ROOT),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


# prove


def test_prove_shows_the_claim_with_explicit_sums(capsys: pytest.CaptureFixture[str]) -> None:
    claim = "Q[t,f]*(K[s,f] + R[s,f]) == Q[t,f]*K[s,f] + Q[t,f]*R[s,f]"
    assert main(["prove", claim, *INDICES, "--free", "t,s"]) == 0
    out = capsys.readouterr().out
    assert "sum(f: Q[t,f]*(K[s,f] + R[s,f])) == sum(f: Q[t,f]*K[s,f]) + sum(f: Q[t,f]*R[s,f])" in out
    assert "for all t, s" in out
    assert "proved" in out


def test_prove_refutes_with_a_witness_that_can_be_recomputed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "A[i,j]*A[j,i] == A[i,j]*A[i,j]", "--indices", "i,j: n", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    found = answer["counterexample"]
    a, n = found["tensors"]["A"], found["sizes"]["n"]
    assert found["lhs"] == sum(a[i][j] * a[j][i] for i in range(n) for j in range(n))
    assert found["rhs"] == sum(a[i][j] * a[i][j] for i in range(n) for j in range(n))
    assert found["lhs"] != found["rhs"]
    assert (answer["status"], answer["certificate"]) == ("refuted", None)


def test_prove_takes_facts_and_fixed_sizes() -> None:
    claim = ["prove", "A[i,j]*A[j,i] == A[i,j]*A[i,j]", "--indices", "i,j: n"]
    assert main([*claim, "--tensors", "A: n n sym"]) == 0
    assert main([*claim, "--fix", "n=1"]) == 0
    assert main([*claim, "--fix", "n=2"]) == 1


def test_sizes_leave_the_expression_alone(capsys: pytest.CaptureFixture[str]) -> None:
    claim, indices = "A[i]*B[a] == B[a]*A[i]", ["--indices", "i: n; a: m"]
    for sizes in (["n=2"], ["n=2", "m=3"], ["n=2,m=3"], ["n=2", "--fix", "m=3"], ["n=2 , m=3"]):
        assert main(["prove", *indices, "--fix", *sizes, claim]) == 0
        assert main(["prove", "--fix", *sizes, claim, *indices]) == 0
        assert main(["prove", claim, "--fix", *sizes, *indices]) == 0
        capsys.readouterr()
    for expression in ("t f, s f -> t s", "O[t,s]=A[t,f]*B[s,f]"):
        more = ["--indices", "t,s: n; f: d", "--json"]
        assert main(["plan", *more, "--size", "n=8", "d=4", expression]) == 0
        assert json.loads(capsys.readouterr().out)["flops"] == str(2 * 8 * 8 * 4)


def test_an_expression_may_begin_with_a_minus() -> None:
    assert main(["prove", "-A[i]+A[i]==0", "--indices", "i: n", "--free", "i"]) == 0
    assert main(["prove", "-A[i] == A[i]", "--indices", "i: n", "--free", "i"]) == 1


def test_prove_says_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "x[i]/x[i] == 1", "--indices", "i: n", "--free", "i"]) == 3
    assert "unknown" in capsys.readouterr().out


def test_prove_shows_hypotheses_and_for_which_indices_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prove", "x[i]*y[i] == y[i]*x[i]", "--indices", "i,j: n", "--given", "A[i,j]*A[i,j] == 1 for i,j"]
    assert main(arguments) == 0
    assert "given    A[i,j]*A[i,j] == 1    for all i, j" in capsys.readouterr().out


def test_prove_writes_the_certificate_of_a_proof_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "certificate.json"
    assert main(["prove", "x[i] == x[j]", "--indices", "i,j: n", "--certificate", str(path)]) == 0
    assert isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    other = tmp_path / "none.json"
    assert main(["prove", "x[i] == y[j]", "--indices", "i,j: n", "--certificate", str(other)]) == 1
    assert not other.exists()
    assert "no certificate of what is refuted" in capsys.readouterr().err


def test_an_implicit_sum_in_a_function_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "exp(Q[t,f]) == exp(Q[t,f])", *INDICES, "--free", "t"]) == 0
    captured = capsys.readouterr()
    assert "warning: f occurs only inside a function" in captured.err
    assert "warning" not in captured.out


# plan


@pytest.mark.parametrize(
    "expression",
    [
        ["t f, s f, s e -> t e"],
        ["O[t,e] = Q[t,f]*K[s,f]*V[s,e]"],
        ["Q[t,f]*K[s,f]*V[s,e]", "--free", "t,e"],
    ],
)
def test_plan_finds_both_orders_of_attention(expression: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", *expression, "--indices", "t,s: n; f,e: d", "--json"]
    assert main(arguments) == 0
    costs = {regime["flops"] for regime in json.loads(capsys.readouterr().out)["regimes"]}
    assert {"4*d*n**2", "4*d**2*n"} <= costs
    assert main([*arguments, "--size", "n=4096", "d=64"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["flops"] == str(4 * 4096 * 64**2)
    assert len(answer["regimes"]) == 1
    assert answer["optimal"] is True


def test_plan_prints_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "tf,sf,se->te", "--size", "t=8,s=8", "--size", "f=2,e=2", "--minimize", "largest"]) == 0
    out = capsys.readouterr().out
    assert "FLOPs" in out
    assert "largest" in out


ATTENTION = ["plan", "O[t,e] = Q[t,f]*K[s,f]*V[s,e]", "--indices", "t,s: n; f,e: d"]


def test_plan_reports_regimes_orders_degrees_and_borders(capsys: pytest.CaptureFixture[str], golden: Any) -> None:
    assert main([*ATTENTION, "--map", "n=1..4096,d=1..512"]) == 0
    out = capsys.readouterr().out
    golden("plan_command.txt", "\n".join(line.rstrip() for line in out.splitlines()) + "\n")
    for said in ("n <= d", "(Q (K V))", "[(1, 2), (0, 1)]", "O = einsum('tf,fe->te', Q, x0)", "borders  d = n"):
        assert said in out


def test_plan_json_has_these_fields(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "map.svg"
    assert main([*ATTENTION, "--json", "--map", "n,d", "--svg", str(picture)]) == 0
    answer = json.loads(capsys.readouterr().out)
    fields = ["expression", "sizes", "minimize", "optimal", "flops", "pointwise", "largest", "peak"]
    assert list(answer) == [*fields, "written", "degrees", "borders", "regimes", "map"]
    assert answer["flops"] == "Min(4*d*n**2, 4*d**2*n)"
    assert answer["written"] == {
        "flops": "4*d*n**2",
        "pointwise": "0",
        "largest": "Max(n**2, d*n)",
        "peak": "d*n + n**2",
    }
    assert answer["degrees"] == {"d": {"best": 1, "written": 1}, "n": {"best": 1, "written": 2}}
    assert answer["borders"] == ["d == n"]
    second = answer["regimes"][1]
    amounts = ["flops", "pointwise", "largest", "peak"]
    assert list(second) == ["where", "may_be_empty", *amounts, "tree", "path", "slices", "overhead", "steps"]
    assert (second["where"], second["tree"], second["path"]) == ("d <= n", ["Q", ["K", "V"]], [[1, 2], [0, 1]])
    assert second["steps"][0] == {"step": "x0 = einsum('sf,se->fe', K, V)", "shape": ["d", "d"], "flops": "2*d**2*n"}
    assert list(answer["map"]) == ["x", "y", "borders", "regimes", "columns"]
    assert all(set(column) == {"x", "pieces"} for column in answer["map"]["columns"])
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_plan_options(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--size", "a=30,b=2,c=40,d=3", "--memory-limit", "120", "--seconds", "2", "--seed", "1", "--json"]
    assert main(["plan", "ab,bc,cd->ad", *options]) == 0
    assert int(json.loads(capsys.readouterr().out)["largest"]) <= 120
    assert main([*ATTENTION, "--memory-limit", "n*d + d**2", "--json"]) == 0
    second, first = json.loads(capsys.readouterr().out)["regimes"]
    assert (first["slices"], first["flops"], first["overhead"]) == ([["n", "n"]], "4*d*n**2", "1")
    assert (second["slices"], second["flops"]) == ([], "4*d**2*n")
    assert main([*ATTENTION, "--memory-limit", "n*d + d**2"]) == 0
    assert "sliced over n (n): the steps run n times" in capsys.readouterr().out
    chain = ",".join(f"i{k} i{k + 1}" for k in range(30)) + " -> i0 i30"
    assert main(["plan", chain, "--size", ",".join(f"i{k}=2" for k in range(31))]) == 0
    assert "A29" in capsys.readouterr().out
    assert main(["plan", "O[] = 3"]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--map", "n"], "names no two axes"),
        (["--map", "n,n"], "names no two axes"),
        (["--map", "n,m"], "is no symbol of this plan"),
        (["--map", "n=4..2,d"], "no ends of the axis"),
        (["--map", "n,d", "--size", "n=3"], "is no symbol of this plan"),
        (["--svg", "a.svg"], "none is asked for"),
        (["--memory-limit", "lots of"], "no polynomial"),
        (["--memory-limit", "0", "--size", "n=3", "d=3"], "memory limit of 0"),
        (["--memory-limit", "10", "--size", "n=30", "d=3"], "give at least"),
        (["--memory-limit", "10"], "depends on the sizes"),
        (["--seconds", "0"], "seconds"),
        (["--seconds", "nan"], "seconds"),
        (["--size", "n=0"], "n"),
        (["--size", "m=3"], "no dimension"),
        (["--map", "n,d", "--svg", "/nowhere/a.svg"], "/nowhere/a.svg"),
    ],
)
def test_plan_says_what_is_wrong(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ATTENTION, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "Traceback" not in captured.err


# stream

TOKENS = ["--indices", "t,s,r,i,j: n ordered; f,g: d; c: e"]
SECOND = "le[i,t]*le[i,j]*le[j,t]*Q[t,f]*K[i,f]*Q[j,g]*K[i,g]*V[j,c]"


def test_stream_prints_a_report(capsys: pytest.CaptureFixture[str], golden: Any) -> None:
    assert main(["stream", f"O[t,c] = {SECOND}", *TOKENS]) == 0
    out = capsys.readouterr().out
    golden("stream_command.txt", out)
    for said in ("S1[f,g] = S1[f,g] + K[f]*K[g]", "d**2 + d*e", "merge", "proved: 12 of 12 laws"):
        assert said in out


@pytest.mark.parametrize("expression", [[f"O[t,c] = {SECOND}"], [SECOND, "--free", "t,c"]])
def test_stream_json_has_these_fields(expression: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", *expression, *TOKENS, "--along", "n", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    parts = ["definitions", "along", "reverse", "states", "step", "outputs", "merge", "no_merge"]
    assert list(answer) == [*parts, "state_size", "packed_size", "flops_per_token", "laws", "status"]
    assert (answer["state_size"], answer["packed_size"]) == ("d**2 + d*e", "d**2/2 + d*e + d/2")
    assert set(answer["step"]) == set(answer["states"]) < set(answer["merge"])
    assert set(answer["laws"].values()) == {answer["status"]} == {"proved"}


@pytest.mark.parametrize("minimize", ["state", "flops"])
def test_stream_may_run_backwards_and_minimise_either(minimize: str, capsys: pytest.CaptureFixture[str]) -> None:
    late = ["stream", "O[t,c] = le[t,s]*Q[t,f]*W[f,g]*K[s,g]*V[s,c]", *TOKENS, "--tensors", "W: d d", "--json"]
    assert main([*late, "--minimize", minimize]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["reverse"], answer["state_size"]) == (True, "d*e")


def test_stream_says_why_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "O[t,c] = V[s,c]", *TOKENS]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "not causal" in captured.err
    assert "refuted: O depends on later tokens" in captured.err
    assert main(["stream", "O[t,c] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,c]", *TOKENS, "--json"]) == 1
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["status"], answer["impossible"]) == ("not streamable", True)
    assert answer["factor"] == "exp(sum(f: Q[t,f]*K[s,f]))"
    assert "couples the times t and s" in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["O[t,c] = le[s,t]*V[s,c]", *TOKENS, "--along", "m"], "no index is over m"),
        (["O[t,c] = A[t,s]*V[s,c]", "--indices", "t,s: n; c: e"], "no order"),
        (["O[t,c] = le[s,t]*V[s,c]"], "index t is not declared"),
        (["O[t,c] = le[s,t]*V[s,c]", *TOKENS, "--minimize", "peak"], "invalid choice"),
        (["V[s,c]", *TOKENS], "="),
    ],
)
def test_stream_says_what_is_wrong(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "Traceback" not in captured.err


# verify


def test_verify_json_is_alone_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print('hello')\n" + CLAIMS, encoding="utf-8")
    (tmp_path / "b.py").write_text("1 / 0\n", encoding="utf-8")
    done = shell("verify", str(tmp_path), "--json", "--certificates", str(tmp_path / "out"))
    answer = json.loads(done.stdout)
    assert done.returncode == 2
    assert [claim["name"] for claim in answer["claims"]] == ["products_commute"]
    assert answer["claims"][0]["certificate"] == str(tmp_path / "out" / "a" / "products_commute.json")
    assert "ZeroDivisionError" in answer["errors"][0]["message"]
    assert "Traceback" not in done.stderr
    assert "hello" in done.stderr


def test_verify_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.py"
    good.write_text(CLAIMS, encoding="utf-8")
    bad = tmp_path / "bad.py"
    bad.write_text(CLAIMS.replace('source="textbook"', 'source="textbook", expected="refuted"'), encoding="utf-8")
    assert main(["verify", str(good)]) == 0
    assert "1 claim: 1 proved, 0 refuted, 0 not as expected; 0 kernels run; 0 errors;" in capsys.readouterr().out
    assert main(["verify", str(good), str(bad)]) == 1
    assert "NOT AS EXPECTED: products_commute" in capsys.readouterr().out
    assert main(["verify", str(good), str(tmp_path / "missing.py")]) == 2
    assert "missing.py: ClaimError: there is no file" in capsys.readouterr().err


def test_a_folder_for_certificates_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.py"
    good.write_text(CLAIMS, encoding="utf-8")
    assert main(["verify", str(good), "--certificates", str(good / "inside")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""  # nothing was run in vain
    assert "inside: Not a directory" in captured.err


def test_verify_looks_in_proofs_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify"]) == 2
    assert "there is no file proofs" in capsys.readouterr().err
    (tmp_path / "proofs").mkdir()
    assert main(["verify"]) == 2
    assert "there are no claims in proofs" in capsys.readouterr().err
    (tmp_path / "proofs" / "mine.py").write_text(CLAIMS, encoding="utf-8")
    assert main(["verify"]) == 0
    captured = capsys.readouterr()
    assert "products_commute" in captured.out
    assert captured.err == ""  # no progress bar where nobody watches


# bad input


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["prove", "Q[t,f]*K[s,f == 0", *INDICES, "--free", "t,s"], ["expected ',' or ']'", "Q[t,f]*K[s,f", "^"]),
        (["prove", "Q[t,f]", *INDICES], ["one '=='"]),
        (["prove", "Q[t,g] == 0*Q[t,g]", *INDICES, "--free", "t"], ["index g is not declared", "^", "declare it"]),
        (["prove", "Q[t,f] == 0*Q[t,f]", *INDICES, "--free", "u,f"], ["index u is not declared"]),
        (["prove", "Q[t,f]*Q[t] == 0*Q[t]", *INDICES, "--free", "t"], ["tensor Q has 2 legs"]),
        (["prove", "Q[t,f] == Q[f,t]", *INDICES, "--free", "t,f"], ["tensor Q is used as"]),
        (["prove", "delta[t,f]*x[t] == y[f]", *INDICES, "--free", "f"], ["delta[t,f] relates index t over n"]),
        (["prove", "n + Q == Q", *INDICES], ["Q is no dimension here", "Q[]"]),
        (["prove", "A[i] == A[i]", "--indices", "i: 0", "--free", "i"], ["cannot have dimension 0"]),
        (["prove", "A[i] == A[i]", "--indices", "i n", "--free", "i"], ["expected ':' in the indices"]),
        (
            ["prove", "A[i] == A[i]", "--indices", "i: n", "--fix", "m=2"],
            ["'m', which is no dimension here", "known: n"],
        ),
        (["prove", "A[i] == A[i]", "--indices", "i: n", "--fix", "n=-2"], ["n = -2 is not a positive integer"]),
        (["prove", "A[i] == A[i]", "--indices", "i: n", "--fix", "n=1.5"], ["--fix 'n=1.5' gives no size"]),
        (["prove", "A[i] == A[i]", "--indices", "i: n", "--fix", "n=1", "n=2"], ["gives n two sizes"]),
        (["prove", "A[i] == A[i]", "--indices", "i: n", "--given", "B[i]"], ["one '=='"]),
        (["prove", "A[i] == A[i]", "--indices", "i: n", "--given", "B[i]*B[i] == 1"], ["cannot be told", "for i"]),
        (["prove", "(" * 500 + "A[i] == 0", "--indices", "i: n"], ["nested more than"]),
        (["plan", "t f, s f -> t s", "--size", "t=0"], ["t = 0 is not a positive integer"]),
        (["plan", "t f, s f -> t s", "--size", "q=4"], ["'q', which is no dimension here"]),
        (["plan", "t f, s f -> t q"], ["output index 'q'"]),
        (["plan", "A[i,j]*B[j]", "--indices", "i,j: n"], ["expected '=' but found"]),
        (["check-nothing"], ["invalid choice"]),
        (["prove", "A[i]", "==", "A[i]", "--indices", "i: n"], ["unexpected arguments: == A[i]", "put it in quotes"]),
        (["prove", "A[i] == A[i]", "--indices", "i: n", "--fix", "n=2", "m"], ["unexpected arguments: m"]),
        (["plan", "t f, s f - t s"], ["neither a statement nor an einsum string", "t f, s f -> t s"]),
        (["prove", "A[i] == A[i]"], ["--indices"]),
        ([], ["COMMAND"]),
    ],
)
def test_bad_input_is_named_without_a_traceback(
    arguments: list[str], messages: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    for message in messages:
        assert message in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_a_certificate_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no such folder" / "c.json"
    assert main(["prove", "x[i] == x[j]", "--indices", "i,j: n", "--certificate", str(path)]) == 2
    assert "No such file or directory" in capsys.readouterr().err


# the rest


def test_version_and_help() -> None:
    assert shell("--version").stdout == f"tensoralg {version('tensoralg')}\n"
    for command in ("verify", "prove", "plan", "stream", "export", "check"):
        done = shell(command, "--help")
        assert done.returncode == 0
        assert "examples:" in done.stdout
    assert "EXECUTES IT AS PYTHON" in shell("verify", "--help").stdout
    assert "EXECUTES THE FILE AS PYTHON" in shell("export", "--help").stdout
    top = shell("--help").stdout
    assert "stream" in top
    assert "export" in top


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [sys.executable, "-m", "tensoralg", "plan", "t f, s f -> t s"]
    with os.fdopen(writing, "w") as gone:
        done = subprocess.run(arguments, cwd=ROOT, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 141
    assert done.stderr == ""


def test_what_runs_no_kernel_does_not_import_torch(tmp_path: Path) -> None:
    claims, proof = tmp_path / "claims.py", tmp_path / "proof.json"
    claims.write_text(CLAIMS, encoding="utf-8")
    code = f"""
import sys
from tensoralg.cli import main
codes = [
    main(["prove", "x[i] == x[j]", "--indices", "i,j: n", "--certificate", {str(proof)!r}]),
    main(["check", {str(proof)!r}]),
    main(["plan", "tf,sf->ts"]),
    main(["verify", {str(claims)!r}]),
    main(["verify", {str(tmp_path / "missing.py")!r}]),
]
sys.exit(codes != [0, 0, 0, 0, 2] or "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_deep_tensor_network_is_as_expected(tmp_path: Path) -> None:
    done = shell("verify", "proofs/deep_tensor_network.py", "--json", "--certificates", str(tmp_path))
    assert done.returncode == 0, done.stderr
    claims = json.loads(done.stdout)["claims"]
    statuses = [claim["status"] for claim in claims]
    assert all(claim["as_expected"] for claim in claims)
    assert statuses.count("refuted") >= 8
    assert statuses.count("proved") >= 30
    assert statuses.count("unknown") == 0
    kernels = [claim for claim in claims if claim["error"] is not None]
    assert len(kernels) >= 25
    assert all(claim["error"] <= claim["bound"] for claim in kernels)
    reassociated = next(claim for claim in claims if claim["name"] == "attention_reassociates")
    assert reassociated["flops_before"] == "4*d*n**2"
    assert "4*d**2*n" in reassociated["flops_after"]


def test_the_claims_of_attention_are_as_expected() -> None:
    files = [f"proofs/{name}.py" for name in ("attention", "transformers", "causal_attention")]
    done = shell("verify", *files, "--json")
    report = json.loads(done.stdout)
    claims = report["claims"]
    assert not report["errors"]
    assert not [claim["name"] for claim in claims if not claim["as_expected"]]
    assert done.returncode == 0
    statuses = [claim["status"] for claim in claims]
    assert statuses.count("refuted") >= 5
    assert statuses.count("proved") >= 45
    assert sum(claim["file"].endswith("proofs/attention.py") for claim in claims) >= 35
    kernels = [claim for claim in claims if claim["error"] is not None]
    assert len(kernels) >= 45
    assert all(claim["error"] <= claim["bound"] for claim in kernels)
