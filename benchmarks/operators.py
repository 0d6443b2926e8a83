"""Operators compiled by tensoralg against the same written by hand in PyTorch.

    python benchmarks/operators.py [--quick] [--only OPERATOR] [--repetitions 20] [--threads 1]
                                   [--output benchmarks/results/operators.json]

float32, 8 heads, d = e = 64 (8 heads of one sequence of width 64 where an operator projects).  Before any clock runs,
the gate: every form agrees with ours in float64, gradients included.  Then, of every operator:

* seconds to compile it, with planning, emission and proof;
* whether executed FLOPs (by torch's counter with tensoralg's mapping) and the peak of live elements are what the plan
  says, at sizes where n < d and n > d;
* times, forward, and forward with backward, of ours and all forms by hand in turn (`hand_written_operators.py`), as
  ratios of medians to the best of them;
* what a call costs more than the emitted function alone, at one token.

Where tensorgrad is installed, its softmax attention with three gradients, at n = 1024, is compared with ours and with
torch's.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import tensorgrad_attention  # noqa: E402
import torch  # noqa: E402
from hand_written_operators import WRITTEN, Form, Written  # noqa: E402
from machine import cpu  # noqa: E402
from timing import busy, interleaved  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import tensoralg as ta  # noqa: E402
from tensoralg.lower import count, custom_mapping, track  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "operators.json"
HEADS, WIDTH = 8, 64
LENGTHS = (128, 512, 1024, 2048, 8192)
OURS = "tensoralg"


def compiled(written: Written) -> tuple[ta.Operator, float]:
    """Return an operator, and the seconds that it takes to compile it."""
    expr = ta.parse(written.definition, indices=dict(written.indices))
    start = time.perf_counter()
    operator = ta.compile(expr)
    return operator, time.perf_counter() - start


def draw(written: Written, n: int, heads: int = HEADS, width: int = WIDTH, dtype: torch.dtype = torch.float32) -> Any:
    """Return inputs, scaled such that scores are of size 1."""
    generator = torch.Generator().manual_seed(n)
    sizes = {"n": n, "h": heads} | dict.fromkeys("wdep", width)
    projects = any("h" in shape for shape in written.shapes.values())
    found = []
    for shape in written.shapes.values():
        front = () if projects or "n" not in shape else (heads,)
        array = torch.randn(*front, *(sizes[c] for c in shape), generator=generator, dtype=torch.float64)
        scale = width**-0.5 if "n" not in shape else 1.0
        found.append((array * scale).to(dtype))
    return tuple(found)


def positive(written: Written, arrays: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return inputs for which no denominator is near 0."""
    return tuple(x.abs() for x in arrays) if "relu" in written.definition else arrays


def undifferentiated(form: Form, inputs: tuple[Tensor, ...]) -> Callable[[], Any]:
    """Return a call that runs forward only."""

    def call() -> Any:
        with torch.no_grad():
            return form(*inputs)

    return call


def differentiated(form: Form, inputs: tuple[Tensor, ...]) -> Callable[[], Any]:
    """Return a call that runs forward, and backward from a gradient that is drawn once."""
    leaves = tuple(x.clone().requires_grad_() for x in inputs)
    weight = torch.randn(form(*inputs).shape, generator=torch.Generator().manual_seed(0), dtype=inputs[0].dtype)
    return lambda: torch.autograd.grad(form(*leaves), leaves, weight)


def gate(name: str, written: Written, operator: ta.Operator) -> None:
    """Stop unless all forms agree with ours in float64."""
    for n in (3, 50):
        inputs = positive(written, draw(written, n, 2, 6, torch.float64))
        expected = (operator(*inputs), *differentiated(operator, inputs)())
        for form_name, form in written.forms.items():
            found = (form(*inputs), *differentiated(form, inputs)())
            errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True)]
            if not max(errors) < 1e-9:
                raise SystemExit(f"{name}, {form_name}, n = {n}: relative errors {errors}")


def as_planned(written: Written, operator: ta.Operator, n: int, width: int) -> dict[str, int]:
    """Return executed FLOPs and the peak of live elements, each with what the plan says, without batch axes."""
    sizes = {"n": n, "h": 2} | dict.fromkeys("wdep", width)
    given = {name: torch.rand([sizes[c] for c in shape]) for name, shape in written.shapes.items()}
    names = {str(leg.dimension) for tensor in operator.tensors for leg in tensor.legs}
    plan = operator.plan.at(**{name: sizes[name] for name in names})

    def call() -> Any:
        return operator(**given)

    executed, memory = count(call), track(call)
    with FlopCounterMode(display=False, custom_mapping=custom_mapping()) as counter:
        call()
    return {
        "n": n, "widths": width, "FLOPs": executed.flops, "FLOPs by torch": counter.get_total_flops(),
        "FLOPs planned": int(plan.flops), "peak": memory.peak, "peak planned": int(plan.peak), "copies": memory.copies,
    }  # fmt: skip


def compared(written: Written, operator: ta.Operator, n: int, repetitions: int) -> dict[str, Any]:
    """Return the medians of all forms at one length, and ours over the best."""
    table = {}
    forms = {name: f for name, f in written.forms.items() if name != written.naive or n <= written.naive_up_to}
    inputs = positive(written, draw(written, n))
    for title, prepare in (("forward", undifferentiated), ("forward and backward", differentiated)):
        times = interleaved({name: prepare(f, inputs) for name, f in {OURS: operator, **forms}.items()}, repetitions)
        best = min((name for name in times if name != OURS), key=times.__getitem__)
        table[title] = {"seconds": times, "best": best, "ours over best": times[OURS] / times[best]}
    return table


def overhead(written: Written, operator: ta.Operator, repetitions: int = 300, calls: int = 20) -> dict[str, float]:
    """Return the median seconds of a call, and of the emitted function, at one token of width 8."""
    inputs = positive(written, draw(written, 1, 1, 8))
    arrays = dict(zip(written.shapes, inputs, strict=True))
    ordered = [arrays[name] for name in operator.inputs]
    emitted: dict[str, Any] = {}
    exec(operator.source, emitted)

    def many(function: Callable[..., Any]) -> Callable[[], None]:
        def call() -> None:
            with torch.no_grad():
                for _ in range(calls):
                    function(*ordered)

        return call

    times = interleaved({OURS: many(operator), "emitted": many(emitted["operator"])}, repetitions)
    return {name: seconds / calls for name, seconds in times.items()}


def against_tensorgrad(repetitions: int, n: int = 1024) -> dict[str, Any]:
    """Return the median seconds of attention with its gradients, by tensorgrad, ours and torch's."""
    written = WRITTEN["softmax"]
    operator, _ = compiled(written)
    inputs = draw(written, n)
    weight = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(0))
    theirs = tensorgrad_attention.attention_with_gradients(HEADS, n, WIDTH)
    calls = {OURS: differentiated(operator, inputs), "direct": differentiated(written.forms["direct"], inputs)}
    for one, other in zip(theirs(*inputs, weight)[1:], calls[OURS](), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    times = interleaved({**calls, "tensorgrad": lambda: theirs(*inputs, weight)}, repetitions)
    return {"n": n, "seconds": times, "tensorgrad over ours": times["tensorgrad"] / times[OURS]}


def measure(name: str, written: Written, lengths: tuple[int, ...], repetitions: int) -> dict[str, Any]:
    """Return all that is measured of an operator."""
    operator, seconds = compiled(written)
    if list(operator.inputs) != list(written.shapes):
        raise SystemExit(f"{name}: inputs {operator.inputs}, but arrays {tuple(written.shapes)}")
    gate(name, written, operator)
    return {
        "definition": written.definition,
        "seconds to compile": seconds,
        "executed": [as_planned(written, operator, *sizes) for sizes in ((24, 40), (200, 16))],
        "compared": {
            n: compared(written, operator, n, max(5, repetitions if n < 8192 else repetitions // 3)) for n in lengths
        },
        "overhead": overhead(written, operator),
    }


def show(name: str, result: dict[str, Any]) -> None:
    """Print what was measured of an operator."""
    extra = result["overhead"]
    print(f"\n{name}: compiled in {result['seconds to compile']:.2f} s; a call costs "
          f"{1e6 * (extra[OURS] - extra['emitted']):.1f} us over {1e6 * extra['emitted']:.1f} us")  # fmt: skip
    for row in result["executed"]:
        print("  " + ", ".join(f"{key} {value}" for key, value in row.items()))
    for n, table in result["compared"].items():
        for title, row in table.items():
            times = ", ".join(f"{form} {1e3 * t:.3f}" for form, t in row["seconds"].items())
            print(f"  n = {n}, {title}: {row['ours over best']:.3f} of {row['best']}; ms: {times}", flush=True)


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Return the worst and the median of all ratios, forward and with backward, below 1,024 tokens and from there."""
    found = {}
    for title in ("forward", "forward and backward"):
        for label, chosen in (("n < 1024", lambda n: n < 1024), ("n >= 1024", lambda n: n >= 1024)):
            ratios = [
                row[title]["ours over best"]
                for result in results.values()
                for n, row in result["compared"].items()
                if chosen(n)
            ]
            if ratios:
                found[f"{title}, {label}"] = {"worst": max(ratios), "median": statistics.median(ratios)}
    return found


def main() -> None:
    """Run the gate and the measurements, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two lengths, few repetitions, nothing is written")
    parser.add_argument("--only", choices=list(WRITTEN), help="one operator, nothing is written")
    parser.add_argument("--repetitions", type=int, default=20, help="rounds in which forms are compared")
    parser.add_argument("--threads", type=int, help="1: processor time of one thread")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    share = busy()
    if share > 0.1:
        print(f"{share:.0%} of the processors are busy: the times will mislead", file=sys.stderr)
    lengths = LENGTHS[:2] if options.quick else LENGTHS
    ta.compile(ta.parse("O[t] = x[t]*y[t]", indices={"t": "n"}))  # what is imported at the first compilation
    results = {}
    for name in [options.only] if options.only else WRITTEN:
        results[name] = measure(name, WRITTEN[name], lengths, 2 if options.quick else options.repetitions)
        show(name, results[name])
    found = {
        "date": time.strftime("%Y-%m-%d"), "cpu": cpu(), "threads": torch.get_num_threads(), "busy before": share,
        "python": platform.python_version(), "versions": {"torch": version("torch")}, "heads": HEADS, "width": WIDTH,
        "summary": summary(results), "operators": results,
    }  # fmt: skip
    if tensorgrad_attention.available() and not options.only:
        found["attention with gradients"] = against_tensorgrad(options.repetitions)
        print(json.dumps(found["attention with gradients"], indent=1))
    print(json.dumps(found["summary"], indent=1))
    if not options.quick and not options.only:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
