"""`check`: what a certificate is about, and what files it refuses."""

import copy
import json
import re
from pathlib import Path

import pytest

import tensoralg as ta
from tensoralg.cli import main
from tensoralg.errors import InvalidExpression
from tensoralg.proof import checker, refusal, write_certificate

SPACES = {"i,j,k": "n", "t,s": "T ordered"}
CLAIMS = {
    "matrices": ("A[i,j]*B[j,k]", "B[j,k]*A[i,j]", ("i", "k"), (), None),
    "masks": ("le[s,t]*x[s]", "lt[s,t]*x[s] + delta[s,t]*x[s]", ("t",), (), None),
    "softmax": ("softmax(s: x[s] + c[])", "softmax(s: x[s])", ("s",), (), None),
    "hypothesis": ("P[i,j]*c[]", "c[]", ("i",), [("P[i,j]", "1", ("i",))], None),
    "definition": ("C[i,k]", "A[i,j]*A[j,k]", ("i", "k"), [("C[i,j]", "A[i,k]*A[k,j]", ("i", "j"))], None),
    "components": ("delta[i,i]", "2", (), (), {"n": 2}),
    "decay": ("decay(a)[t,s]*delta[t,s]", "delta[t,s]", ("t", "s"), (), None),
}


def read(text, free):
    return ta.parse(text, SPACES, free=free)


def claim_of(name):
    left, right, free, given, sizes = CLAIMS[name]
    pairs = [(read(a, over), read(b, over)) for a, b, over in given]
    return read(left, free), read(right, free), pairs, sizes


def proof_of(name):
    left, right, given, sizes = claim_of(name)
    return ta.prove(left, right, given, sizes).certificate


@pytest.mark.parametrize("name", CLAIMS)
def test_a_certificate_is_valid_for_its_own_claim_alone(name):
    proof = proof_of(name)
    assert ta.check(proof)
    for other in CLAIMS:
        assert ta.check(proof, claim=claim_of(other)) == (other == name)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_certificate_survives_json_and_has_nothing_to_spare(name):
    proof = json.loads(json.dumps(proof_of(name)))
    assert ta.check(proof)
    for field in list(proof):
        assert not ta.check({key: value for key, value in proof.items() if key != field})
    for field in proof["claim"]:
        broken = copy.deepcopy(proof)
        del broken["claim"][field]
        assert not ta.check(broken)


def test_files(tmp_path, capsys):
    path = tmp_path / "proof.json"
    write_certificate(proof_of("masks"), path)
    assert ta.check(path)
    assert ta.check(str(path))
    assert main(["check", str(path)]) == 0
    path.write_text(path.read_text()[:-40])
    assert not ta.check(path)
    assert main(["check", str(path)]) == 1
    assert "not a valid certificate" in capsys.readouterr().out
    path.write_bytes(b"\xff\xfe\x00")
    assert not ta.check(path)
    with pytest.raises(FileNotFoundError):
        ta.check(tmp_path / "missing.json")
    assert main(["check", str(tmp_path / "missing.json")]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["proof.json"]


@pytest.mark.parametrize("version", [0, 1, "2", None, True])
def test_another_version_is_refused(version):
    assert not ta.check({**proof_of("masks"), "version": version})


CHANGED = [
    ({"version": 1}, "its version is 1; this library checks version 2"),
    ({"version": True}, "its version is True; this"),
    ({"format": "a poem"}, "its format is 'a poem'; this library checks 'tensoralg certificate'"),
    ({"format": ["a"] * 1000}, "its format is a list; this"),
    ({"signature": "me"}, "a field 'signature', which a certificate has not"),
    ({"proof": None}, "its proof is None, and not an object"),
    ({"proof": {"refine": []}}, "malformed: it lacks, or does not declare, '"),
    ({"claim": [1]}, "its claim is a list, and not an object"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGED)
def test_why_a_certificate_is_refused(change, reason):
    assert reason in refusal({**proof_of("masks"), **change})


def test_why_a_claim_is_refused():
    proof = proof_of("masks")
    assert refusal(proof) == ""
    assert refusal(proof, claim=claim_of("softmax")) == "it is about another claim"
    assert refusal([1]) == "it is a list; a certificate is an object with the fields format, version, claim, proof"

    def reason(**change):
        return refusal({**proof, "claim": {**proof["claim"], **change}})

    assert reason(rhs=0) == "the proof does not hold: a difference does not vanish"
    assert reason(rhs=["t", "x"]).startswith("the proof does not hold: ")
    assert reason(free=5).startswith("malformed: ")
    assert reason(free=[["t"]])
    assert reason(spaces={}) == "the proof does not hold: a tensor with legs, facts or symmetries that it cannot have"
    for field in proof:
        assert refusal({key: value for key, value in proof.items() if key != field}) == f"it lacks the field '{field}'"


def test_the_command_line_says_why(tmp_path, capsys):
    good, bad, poem, nest, data = (tmp_path / f"{name}.json" for name in ("good", "bad", "poem", "nest", "data"))
    write_certificate(proof_of("masks"), good)
    write_certificate({**proof_of("masks"), "version": 3}, bad)
    poem.write_text("Roses are red", encoding="utf-8")
    nest.write_text("[" * 100_000, encoding="utf-8")
    data.write_bytes(b"\xff\xfe\x00")
    files = [good, bad, poem, nest, data]
    assert main(["check", *map(str, files)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{good}: valid"
    for line, reason in zip(lines[1:], ["version is 3", "not JSON: Expect", "too deeply", "no text"], strict=True):
        assert "not a valid certificate: it" in line
        assert reason in line
    assert main(["check", str(tmp_path / "missing.json"), str(good), str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == f"{good}: valid\n"
    assert captured.err.count("tensoralg: ") == 2
    assert f"{tmp_path / 'missing.json'}: No such file or directory" in captured.err


def test_what_is_no_claim_is_an_error():
    with pytest.raises(InvalidExpression, match="no claim"):
        ta.check(proof_of("masks"), claim="A == A")


def test_the_checker_stands_alone():
    source = Path(checker.__file__).read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", source, flags=re.M))
    assert imported == {
        "__future__",
        "json",
        "collections.abc",
        "fractions",
        "itertools",
        "math",
        "typing",
    }
