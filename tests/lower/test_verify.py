"""Error bounds: sound for every program and order of summation, and tight enough to catch one low-precision step."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.errors import FactConflict, InvalidExpression, MissingSize, UnknownName, UnknownSize
from tensoralg.lower import compile, verify
from tensoralg.lower.arithmetic import FUNCTION_ULPS, arithmetic
from tensoralg.lower.bounds import error_bound
from tensoralg.lower.build import compile_definitions
from tensoralg.lower.draws import draw_inputs
from tensoralg.lower.operator import load
from tensoralg.lower.verify import chosen_program

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "d"}
ATTENTION = "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]"
CAUSAL = "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]/sum(u: le[u,t]*exp(sum(g: Q[t,g]*K[u,g])/sqrt(d)))"
THIRD_ORDER = "O[t,e] = Q[t,f]*K[s,f]*Q[u,g]*K[s,g]*V[u,e]"
TEXTS = [
    "O[t,e] = Q[t,f]*K[s,f]*V[s,e]",
    "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
    THIRD_ORDER,
    ATTENTION,
    CAUSAL,
    "O[t,f] = Q[t,f]/sqrt(sum(g: pow(Q[t,g],2))/d + 1/100)",
    "O[t,f] = relu(Q[t,f] - sum(g: Q[t,g])/d)/n - 2*pow(Q[t,f],3)/(1 + pow(K[t,f],2))",
    "O[t,s] = log(1 + exp(sum(f: Q[t,f]*K[s,f])))",
    "O[t] = pow(1 + pow(x[t],2), -3)",
    "O[] = A[t,s]*A[s,u]*A[u,t]",
    "O[t,f] = max(Q[t,f], K[t,f], 1/2) - min(sum(s: Q[s,f]), 0)*min(Q[t,f], K[t,f])",
]


def operator_of(text: str) -> Any:
    return compile(ta.parse(text, indices=INDICES))


def steps_of(text: str) -> Any:
    """The operator as it was lowered, in which attention is several steps."""
    return compile_definitions([ta.parse(text, indices=INDICES)], single=True, passes=())


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_kernels_are_within_their_bounds(text: str, dtype: str) -> None:
    operator = operator_of(text)
    sizes = {"n": 11, "d": 5} if "f" in text or "d" in text else {"n": 5}
    for seed in range(3):
        report = verify(operator, sizes, dtype, seed=seed)
        assert report.ok, report
        assert 0 <= report.error <= report.bound < math.inf
        assert report.slack >= 1


def test_a_report_names_what_was_run_and_assumed() -> None:
    report = verify(operator_of(ATTENTION), {"n": 6, "d": 3}, "float32", seed=5)
    assert (report.dtype, report.device, report.seed, report.sizes) == ("float32", "cpu", 5, {"n": 6, "d": 3})
    assert len(report.index) == 2
    assert any("exp" in line and str(FUNCTION_ULPS) in line for line in report.assumptions)


@pytest.mark.parametrize("text", [ATTENTION, CAUSAL, THIRD_ORDER])
@pytest.mark.parametrize(("dtype", "lower"), [("float32", "bfloat16"), ("float64", "float32")])
def test_one_step_in_lower_precision_is_caught(text: str, dtype: str, lower: str) -> None:
    operator = steps_of(text)
    sizes = {"n": 16, "d": 8}
    kept = operator.source
    lines = lines_that_run(operator, sizes)
    assert len(lines) >= 2
    for line in lines:
        head, _, value = line.partition(" = ")
        weakened = f"{head} = ({value}).to(torch.{lower}).to(Q.dtype)"
        operator._function = load(kept.replace(line, weakened))
        assert not verify(operator, sizes, dtype).ok, line


def lines_that_run(operator: Any, sizes: dict[str, int]) -> list[str]:
    """The lines that compute floating numbers in the program that is chosen at the sizes."""
    position = operator.programs.index(chosen_program(operator, sizes))
    body = operator.source.split("def operator")[1 + position]
    lines = [line for line in body.splitlines() if line.startswith("    x")]
    masks = ("torch.bool", ".to(Q.dtype)", ".mT\n")
    return [line for line in lines if not any(mask in f"{line}\n" for mask in masks) or " @ " in line]


def test_a_wrong_kernel_is_out_of_bound() -> None:
    operator = operator_of(ATTENTION)
    operator._function = load(operator.source.replace("math.sqrt(d)", "math.sqrt(d + 1)"))
    report = verify(operator, {"n": 6, "d": 3})
    assert not report.ok
    assert report.error > report.bound
    assert "out of bound" in report.reason


def test_nan_is_never_ok() -> None:
    operator = steps_of(ATTENTION)
    operator._function = load(operator.source.replace("return x3", "return torch.where(x3 == x3.max(), math.nan, x3)"))
    report = verify(operator, {"n": 6, "d": 3})
    assert not report.ok
    assert math.isnan(report.error)


def test_another_dtype_of_the_result_is_not_ok() -> None:
    operator = steps_of(ATTENTION)
    operator._function = load(operator.source.replace("return x3", "return x3.double()"))
    assert "dtype" in verify(operator, {"n": 6, "d": 3}).reason


def test_too_many_terms_for_the_format_have_an_infinite_bound() -> None:
    operator = compile(ta.parse("O[] = x[t]*y[t]", indices={"t": "n"}))
    assert verify(operator, {"n": 255}, "bfloat16").ok
    report = verify(operator, {"n": 256}, "bfloat16")
    assert (report.ok, report.bound) == (False, math.inf)
    assert "infinite" in report.reason


def dot_bound(x: Any, y: Any) -> float:
    operator = compile(ta.parse("O[] = x[t]*y[t]", indices={"t": "n"}))
    arrays = {"x": torch.from_numpy(x).double(), "y": torch.from_numpy(y).double()}
    (program,) = operator.programs
    (bound,) = error_bound(program, arrays, {"n": len(x)}, arithmetic("float32", "cpu"))
    return bound.item()


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(-60, 0))
def test_the_bound_holds_in_any_order_of_summation(seed: int, n: int, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(n) * 2.0 ** rng.integers(exponent, 1, n)).astype(np.float32)
    y = (rng.standard_normal(n) * 2.0 ** rng.integers(exponent, 1, n)).astype(np.float32)
    products = [a * b for a, b in zip(x, y, strict=True)]
    while len(products) > 1:
        left = products.pop(rng.integers(len(products)))
        products.append(products.pop(rng.integers(len(products))) + left)
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, y, strict=True))
    assert abs(Fraction(float(products[0])) - exact) <= dot_bound(x, y)


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(1, 12))
def test_division_near_cancellation_is_bounded_where_gamma_alone_is_wrong(seed: int, gap: int) -> None:
    operator = compile(ta.parse("O[] = 1/(1 - p[]*q[])", indices={}))
    rng = random.Random(seed)
    p = np.float32(rng.uniform(0.5, 2))
    q = np.float32(1 / p) * np.float32(1 - gap * 2.0**-22)
    arrays = {"p": torch.tensor(float(p), dtype=torch.float64), "q": torch.tensor(float(q), dtype=torch.float64)}
    (program,) = operator.programs
    bound = error_bound(program, arrays, {}, arithmetic("float32", "cpu"))[0].item()
    product = Fraction(float(p)) * Fraction(float(q))
    computed = operator(p=torch.tensor(float(p)), q=torch.tensor(float(q))).item()
    if math.isinf(computed) or product == 1:
        assert bound == math.inf
    else:
        assert abs(1 / (1 - product) - Fraction(computed)) <= bound


def test_gamma_alone_would_be_wrong_for_division() -> None:
    """Run on absolute values with one gamma_k, as a plain forward analysis would, the bound is far below the error."""
    worst = 0.0
    for seed in range(50):
        rng = random.Random(seed)
        p = np.float32(rng.uniform(0.5, 2))
        q = np.float32(1 / p) * np.float32(1 - 2.0**-12)
        exact = 1 / (1 - float(p) * float(q))
        computed = float(np.float32(1) / (np.float32(1) - p * q))
        naive = 3 * 2.0**-24 / (1 - 3 * 2.0**-24) * 1 / (1 + float(p) * float(q))
        worst = max(worst, abs(exact - computed) / naive)
    assert worst > 1e3


@pytest.mark.parametrize("function", ["exp", "log", "pow"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_functions_are_as_accurate_as_assumed(function: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.cat([torch.randn(700, generator=generator) * s for s in (0.01, 1, 20)]).to(dtype)
    if function != "exp":
        x = x.abs() + torch.finfo(dtype).tiny
    computed = {"exp": torch.exp, "log": torch.log, "pow": lambda z: torch.pow(z, 5)}[function](x)
    unit = arithmetic(dtype, "cpu").function + (5 * arithmetic(dtype, "cpu").unit if function == "pow" else 0)
    with flint.ctx.workprec(160):
        for value, result in zip(x.double().tolist(), computed.double().tolist(), strict=True):
            ball = flint.arb(value)
            exact = ball**5 if function == "pow" else getattr(ball, function)()
            if math.isfinite(result) and abs(result) > 8 * torch.finfo(dtype).tiny:
                assert abs(flint.arb(result) - exact) <= unit * abs(exact), (value, result)


def test_large_scores_do_not_overflow() -> None:
    operator = compile(ta.parse("O[t,s] = softmax(s: 100*A[t,s])", indices={"t,s": "n"}))
    assert verify(operator, {"n": 9}).ok


def test_declared_facts_hold_exactly() -> None:
    V, W = ta.Space("V", "n"), ta.Space("W", "m")
    tensors = (
        ta.tensor("S", V @ V @ V, symmetric=True),
        ta.tensor("N", V @ V @ V, antisymmetric=True),
        ta.tensor("P", V @ V, permutation=True),
        ta.tensor("U", V @ W, isometry=True),
        ta.tensor("R", V @ V, projection=True),
        ta.tensor("M", V @ V),
        ta.tensor("L", V @ V, inverse_of="M"),
        ta.tensor("p", V, positive=True),
    )
    drawn = draw_inputs(tensors, {"n": 4, "m": 2}, torch.float32, 3)
    eye = torch.eye(4)
    assert torch.equal(drawn["S"], drawn["S"].permute(2, 0, 1))
    assert torch.equal(drawn["S"], drawn["S"].permute(1, 0, 2))
    assert torch.equal(drawn["N"], -drawn["N"].permute(1, 0, 2))
    assert drawn["N"].abs().max() > 0
    assert torch.equal(drawn["P"] @ drawn["P"].T, eye)
    assert torch.equal(drawn["U"].T @ drawn["U"], torch.eye(2))
    assert torch.equal(drawn["R"] @ drawn["R"], drawn["R"])
    assert torch.equal(drawn["L"] @ drawn["M"], eye)
    assert drawn["p"].min() > 0
    with pytest.raises(FactConflict) as caught:
        draw_inputs((ta.tensor("U", V @ W, isometry=True),), {"n": 2, "m": 4}, torch.float32, 3)
    assert caught.value.tensor == "U"


def test_inputs_have_full_mantissas() -> None:
    drawn = draw_inputs((ta.tensor("x", ta.Space("V", "n")),), {"n": 64}, torch.float32, 0)["x"]
    assert (drawn != drawn.bfloat16().float()).float().mean() > 0.9
    assert (drawn * 2**20 != (drawn * 2**20).round()).float().mean() > 0.5


def test_bad_sizes_are_errors() -> None:
    operator = operator_of(ATTENTION)
    with pytest.raises(MissingSize) as missing:
        verify(operator, {"n": 4})
    assert missing.value.name == "d"
    with pytest.raises(UnknownSize):
        verify(operator, {"n": 4, "d": 2, "k": 1})
    with pytest.raises(UnknownName):
        verify(operator, {"n": 4, "d": 2}, "float16")


def test_what_cannot_be_verified_is_named():
    definition = ta.parse("O[t] = x[t]", indices={"t": "n"})
    with pytest.raises(InvalidExpression, match="this is of type Definition\n  remedy: compile the definition"):
        verify(definition, sizes={"n": 2})
    with pytest.raises(UnknownName, match="there is no device 'gpu'\n  remedy: give \"cpu\""):
        verify(compile(definition), sizes={"n": 2}, device="gpu")


def test_the_worst_entry_is_not_one_that_a_mask_makes_zero() -> None:
    # error and bound are both 0 there, and 0/0 is not the largest ratio
    report = verify(operator_of("O[t,s] = le[s,t]*sum(f: Q[t,f]*K[s,f])"), {"n": 4, "d": 8})
    assert report.ok
    assert 0 < report.error <= report.bound
