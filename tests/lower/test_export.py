"""Exports run without the library, for all sizes, and compute what they should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import tensoralg as ta
from tensoralg.lower.exports.forms import form_of

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "e"}
TRIPLE = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
SOFTMAX = ta.parse(
    "O[t,e] = exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]/sum(u: exp(sum(g: Q[t,g]*K[u,g])/sqrt(d)))", indices=INDICES
)
LINEAR = ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES)
GATED = ta.parse("O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e]", indices=INDICES, tensors={"a": "n"})
LATER = ta.parse("O[t,e] = le[t,s]*X[t,f]*W[f,e]*V[s,e]", indices=INDICES)
W = np.random.default_rng(7).uniform(-1, 1, (3, 2))

# loads every archive and source it is told of, without the library, runs them, and writes what they returned
RUNNER = """
import importlib.util, json, sys, torch
sys.modules["tensoralg"] = None
try:
    import tensoralg
except ImportError:
    pass
else:
    sys.exit("the library is there")
found = {}
for path, inputs in torch.load(sys.argv[1]).items():
    if path.endswith(".pt2"):
        run = torch.export.load(path).module()
    else:
        spec = importlib.util.spec_from_file_location("exported", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        run = module.operator
    for arrays in inputs:
        try:
            found.setdefault(path, []).append(run(*arrays))
        except (AssertionError, RuntimeError) as error:
            found.setdefault(path, []).append(str(error))
torch.save(found, sys.argv[2])
"""


def triple(Q: Any, K: Any, V: Any) -> Any:
    return Q @ np.swapaxes(K, -1, -2) @ V


def softmax(Q: Any, K: Any, V: Any) -> Any:
    weights = np.exp(Q @ np.swapaxes(K, -1, -2) / np.sqrt(Q.shape[-1]))
    return weights @ V / weights.sum(-1, keepdims=True)


def linear(Q: Any, K: Any, V: Any) -> Any:
    state = np.cumsum(K[..., :, None] * V[..., None, :], axis=-3)
    return np.einsum("...tf,...tfe->...te", Q, state)


def gated(a: Any, Q: Any, K: Any, V: Any) -> Any:
    state, found = np.zeros((K.shape[-1], V.shape[-1])), []
    for t in range(len(a)):
        state = a[t] * state + np.outer(K[t], V[t])
        found.append(Q[t] @ state)
    return np.array(found)


def later(X: Any, V: Any) -> Any:
    return (X @ W) * np.cumsum(V[::-1], axis=0)[::-1]


def draw(legs: str, n: int, d: int, e: int, batch: tuple[int, ...] = ()) -> list[torch.Tensor]:
    """Uniform entries for inputs whose legs are words such as ``nd``."""
    sizes = {"n": n, "d": d, "e": e}
    random = np.random.default_rng(n + 17 * d + 101 * e)
    return [torch.tensor(random.uniform(-1, 1, (*batch, *(sizes[c] for c in word)))) for word in legs.split()]


STREAM = ta.stream(LINEAR)
CHUNKED = ta.compile(STREAM, form="chunked")
CHUNK = form_of(CHUNKED).length or 0
LENGTHS = (1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK + 3)
# name: operator, options of export, numpy of the same, legs of the inputs, (n, d, e) to be tried, batch axes
CASES: dict[str, tuple[Any, dict[str, Any], Any, str, list[tuple[int, int, int]], tuple[int, ...]]] = {
    "triple.pt2": (
        ta.compile(TRIPLE), {}, triple, "nd nd ne", [(1, 1, 1), (2, 9, 3), (9, 2, 3), (4, 4, 4), (1, 7, 1)], (),
    ),
    "softmax.pt2": (ta.compile(SOFTMAX), {"batch": 1}, softmax, "nd nd ne", [(1, 1, 1), (5, 3, 2), (8, 1, 7)], (2,)),
    "chunked.pt2": (CHUNKED, {}, linear, "nd nd ne", [(n, 3, 2) for n in LENGTHS] + [(5, 1, 1)], ()),
    "chunked.py": (CHUNKED, {"format": "source"}, linear, "nd nd ne", [(n, 3, 2) for n in LENGTHS], (2,)),
    "later.pt2": (
        ta.compile(ta.stream(LATER), form="recurrent", parameters={"W": torch.tensor(W)}), {}, later, "nd ne",
        [(1, 3, 2), (2, 3, 2), (7, 3, 2)], (),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    """A folder with all exports, and what they returned in a process that has no tensoralg."""
    folder = tmp_path_factory.mktemp("exports")
    tried = {}
    for name, (operator, options, _, legs, sizes, batch) in CASES.items():
        ta.export(operator, folder / name, dtype="float64", **options)
        tried[str(folder / name)] = [tuple(draw(legs, *size, batch)) for size in sizes]
    wrong = draw("nd", 4, 3, 2), draw("nd ne", 5, 3, 2)
    tried[str(folder / "triple.pt2")].append((*wrong[0], *wrong[1]))
    torch.save(tried, folder / "inputs")
    subprocess.run([sys.executable, "-c", RUNNER, folder / "inputs", folder / "outputs"], cwd=folder, check=True)
    found = torch.load(folder / "outputs")
    return folder, {Path(path).name: values for path, values in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_an_export_runs_without_the_library_for_all_sizes(name: str, elsewhere: Any) -> None:
    _, _, oracle, legs, sizes, batch = CASES[name]
    for size, found in zip(sizes, elsewhere[1][name], strict=False):
        wanted = torch.tensor(oracle(*(x.numpy() for x in draw(legs, *size, batch))))
        # float64: sums of at most 515 terms of size 1 in any order differ by less than 515^2 units of 2^-53
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10, msg=lambda m, size=size: f"{size}: {m}")


def test_both_programs_of_an_operator_were_tried() -> None:
    operator, _, _, _, sizes, _ = CASES["triple.pt2"]
    values = []
    for size in sizes:
        known = dict(zip("nde", size, strict=True))
        values.append([cost.subs({s: known[s.name] for s in cost.free_symbols}) for cost in operator.costs])
    assert {costs.index(min(costs)) for costs in values} == set(range(len(operator.programs))) == {0, 1}


def test_torch_itself_tells_of_sizes_that_disagree(elsewhere: Any) -> None:
    assert "to be equal to 4, but got 5" in elsewhere[1]["triple.pt2"][-1]


def test_a_loaded_archive_is_called_by_name_and_checks_its_inputs(elsewhere: Any) -> None:
    product = ta.load_exported(elsewhere[0] / "softmax.pt2")
    assert product.inputs == ("Q", "K", "V")
    q, k, v = draw("nd nd ne", 4, 3, 2, (2,))
    assert torch.equal(product(q, V=v, K=k), product(q, k, v))
    for args, kwargs, error, said in [
        ((q, k), {}, ta.errors.UnknownName, "input V is missing"),
        ((q, k, v, v), {}, ta.errors.UnknownName, "4 arrays for 3 inputs"),
        ((q, k), {"W": v}, ta.errors.UnknownName, "no input 'W'"),
        ((q, k, v.float()), {}, ta.errors.InputMismatch, "exported as float64"),
        ((q, k, [1.0]), {}, ta.errors.InputMismatch, "is list"),
        ((q[0], k, v), {}, ta.errors.InputMismatch, "1 batch axis and 2 legs"),
        ((q[:, :0], k[:, :0], v[:, :0]), {}, ta.errors.InputMismatch, "sizes from 1 on"),
        ((q, k[:, :3], v), {}, ta.errors.ShapeMismatch, "n is 4"),
        ((q, k[[0, 1, 1]], v), {}, ta.errors.ShapeMismatch, "batch axis of size 3"),
    ]:
        with pytest.raises(error, match=said):
            product(*args, **kwargs)


def test_a_model_runs_in_onnxruntime(tmp_path: Path) -> None:
    cases = [
        (ta.compile(TRIPLE), triple, "nd nd ne", [(1, 1, 1), (2, 9, 3), (9, 2, 3)]),
        (ta.compile(ta.stream(GATED), form="recurrent"), gated, "n nd nd ne", [(1, 1, 1), (2, 3, 1), (9, 2, 3)]),
    ]
    for operator, oracle, legs, sizes in cases:
        ta.export(operator, tmp_path / "model.onnx", "onnx", dtype="float64")
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
        assert [one.name for one in session.get_inputs()] == list(operator.inputs)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.card.json"]
        for size in sizes:
            arrays = [x.numpy() for x in draw(legs, *size)]
            (found,) = session.run(None, dict(zip(operator.inputs, arrays, strict=True)))
            # float64, as above: neither program has more than 200 terms of size 1
            np.testing.assert_allclose(found, oracle(*arrays), rtol=1e-10, atol=1e-10)


def test_the_card_says_what_was_exported(elsewhere: Any) -> None:
    card = ta.read_card(elsewhere[0] / "chunked.pt2")
    assert [one["text"] for one in card["definitions"]] == [str(CHUNKED.definition)]
    assert card["definitions"][0]["latex"] == ta.latex(CHUNKED.definition)
    assert [(one["name"], one["legs"], one["dtype"]) for one in card["inputs"]] == [
        ("Q", ["n", "d"], "float64"), ("K", ["n", "d"], "float64"), ("V", ["n", "e"], "float64"),
    ]  # fmt: skip
    assert (card["form"], card["chunk_length"]) == ("chunked", CHUNK)
    assert card["costs"]["flops"] == str(CHUNKED.plan.flops)
    assert {proof["status"] for proof in card["proofs"]} == {"proved"}
    assert all(ta.check(proof["certificate"]) for proof in card["proofs"])
    assert len(card["proofs"]) == 2 + len(STREAM.verdicts)
    measured = card["measured"]
    assert (measured["of"], measured["within_bound"], measured["dtype"]) == ("the file", True, "float64")
    assert measured["error"] <= measured["bound"] < 1e-12
    assert {"tensoralg", "torch", "python"} <= set(card["versions"])
    assert json.loads((elsewhere[0] / "chunked.pt2.card.json").read_text(encoding="utf-8")) == card


def test_a_parameter_is_stored_and_its_sizes_are_fixed(elsewhere: Any) -> None:
    card = ta.read_card(elsewhere[0] / "later.pt2")
    assert card["parameters"] == [{"name": "W", "legs": ["d", "e"], "shape": [3, 2], "stored": True}]
    assert card["fixed_sizes"] == {"d": 3, "e": 2}
    with pytest.raises(ta.errors.ShapeMismatch, match="d is 3"):
        ta.load_exported(elsewhere[0] / "later.pt2")(*draw("nd ne", 4, 2, 2))
