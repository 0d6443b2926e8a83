"""Streams compiled by tensoralg against the naive masked form and against chunked PyTorch written by hand.

    python benchmarks/streams.py [--peers] [--quick] [--only OPERATOR] [--repetitions 20] [--threads 1]
                                 [--output benchmarks/results/streams.json]

float32, batch 1, 8 heads, d = e = 64.  Before any clock runs, the gate: every form of every operator must
agree with the naive form in float64, gradients included, at lengths that no chunk divides.  Then:

* times over n from 1,024 to 16,384, the slope of their logarithms, and how much faster than naive;
* forward, and forward with backward, against each hand-written form: all forms in turn, the order
  changing from round to round, after a round that is not counted; ratios are of medians;
* memory beyond inputs and outputs: how far the peak of resident memory rises above what was resident before the
  call, less the outputs, in a fresh process per case in which a shorter call has loaded all libraries (Linux
  lets a process reset its peak; the allocator is told to give every freed array back at once);
* the time per token of decoding, at positions 1, 1,000 and 10,000.

`--peers` leaves tensoralg out.  With two threads and a second busy process the times are worthless (loops of small
operations get up to 100 times slower), so the share of the processors that was busy before is part of the
result.  `--threads 1` counts processor time instead, which ranks kernels on a busy machine too, but not what
their synchronisation costs.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from hand_written_streams import WRITTEN, Form  # noqa: E402
from machine import cpu  # noqa: E402
from timing import busy, interleaved  # noqa: E402
from torch import Tensor  # noqa: E402

import tensoralg as ta  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "streams.json"
HEADS, WIDTH = 8, 64
LENGTHS = (1024, 2048, 4096, 8192, 16384)
COMPARED = (1024, 4096, 8192)
NAIVE_UP_TO = {"first order": 8192, "second order": 4096, "gated": 8192, "normalised": 8192}
POSITIONS = (1, 1000, 10000)
OURS = "tensoralg"
INDICES = {"t,s,i,j": "n ordered", "f,g": "d", "e": "e"}
DEFINITIONS = {
    "first order": "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
    "second order": "O[t,e] = le[j,t]*le[i,j]*Q[t,f]*K[i,f]*K[i,g]*Q[j,g]*V[j,e]",
    "gated": "O[t,e] = decay(a)[t,s]*Q[t,f]*K[s,f]*V[s,e]",
    "normalised": "O[t,e] = sum(s,f: le[s,t]*Q[t,f]*K[s,f]*V[s,e]) / sum(s,f: le[s,t]*Q[t,f]*K[s,f])",
}
NAMES = ("Q", "K", "V", "a")
MAPPED_FROM = 65536  # bytes: larger arrays go back to the system when they are freed


def compiled(operator: str, form: str) -> Any:
    """Return tensoralg's operator in one form."""
    return ta.compile(ta.stream(ta.parse(DEFINITIONS[operator], indices=INDICES), along="n"), form=form)


def library(operator: str, form: str = "chunked") -> Form:
    """Return tensoralg's operator as a function of the arrays."""
    kernel = compiled(operator, form)
    return lambda *inputs: kernel(**dict(zip(NAMES, inputs, strict=False)))


def draw(operator: str, n: int, heads: int = HEADS, width: int = WIDTH, dtype: torch.dtype = torch.float32) -> Any:
    """Return random inputs: normal, positive where they are divided by, gates between 1/2 and 1."""
    generator = torch.Generator().manual_seed(n)
    Q, K, V = (torch.randn(heads, n, width, generator=generator, dtype=dtype) for _ in range(3))
    if operator == "normalised":
        return Q.abs_(), K.abs_(), V
    if operator == "gated":
        return Q, K, V, torch.rand(heads, n, generator=generator, dtype=dtype).add_(1).div_(2)
    return Q, K, V


def forms(operator: str, peers: bool) -> dict[str, Form]:
    """Return everything that is compared: our operator, unless only peers are, and the chunked ones."""
    return ({} if peers else {OURS: library(operator)}) | WRITTEN[operator].forms()


def differentiated(form: Form, inputs: tuple[Tensor, ...]) -> Callable[[], Any]:
    """Return a call that runs forward and backward."""
    inputs = tuple(x.detach().requires_grad_() for x in inputs)
    weight = torch.randn_like(inputs[2])
    return lambda: torch.autograd.grad(form(*inputs), inputs, weight)


def undifferentiated(form: Form, inputs: tuple[Tensor, ...]) -> Callable[[], Tensor]:
    """Return a call that runs forward only."""

    def call() -> Tensor:
        with torch.no_grad():
            return form(*inputs)

    return call


def gate(operator: str, peers: bool) -> float:
    """Stop unless all forms agree with the naive one in float64; return the largest relative error in float32."""
    naive = WRITTEN[operator].naive

    def difference(got: Tensor, expected: Tensor) -> float:
        return float((got - expected).abs().max() / expected.abs().max().clamp(min=1e-3))

    checked = forms(operator, peers) | {"recurrent": WRITTEN[operator].recurrent}
    for n in (1, 100, 333):
        inputs = draw(operator, n, 2, 6, torch.float64)
        expected = naive(*inputs)
        torch.manual_seed(n)  # of the weights of the gradients
        gradients = differentiated(naive, inputs)()
        for name, form in checked.items():
            errors = [difference(undifferentiated(form, inputs)(), expected)]
            if name != "recurrent":
                torch.manual_seed(n)
                found = differentiated(form, inputs)()
                errors += [difference(*pair) for pair in zip(found, gradients, strict=True)]
            if not max(errors) < 1e-9:
                raise SystemExit(f"{operator}, {name}, n = {n}: relative errors {errors}")
    inputs = draw(operator, 1000)
    expected = naive(*(x.double() for x in inputs))
    errors = [difference(undifferentiated(form, inputs)(), expected) for form in checked.values()]
    if not max(errors) < 1e-4:
        raise SystemExit(f"{operator} in float32: relative errors {dict(zip(checked, errors, strict=True))}")
    return max(errors)


def slope(times: dict[int, float]) -> float:
    """Return the exponent of n in the times."""
    return statistics.linear_regression([math.log(n) for n in times], [math.log(t) for t in times.values()]).slope


def scaling(operator: str, peers: bool, lengths: tuple[int, ...], repetitions: int) -> dict[str, Any]:
    """Return the seconds of every form at every length, the slopes, and the naive form's times over the others'."""
    times: dict[str, dict[int, float]] = {}
    slow = {"naive": WRITTEN[operator].naive, "recurrent": WRITTEN[operator].recurrent}
    for n in lengths:
        inputs = draw(operator, n)
        calls = {name: undifferentiated(form, inputs) for name, form in forms(operator, peers).items()}
        found = interleaved(calls, repetitions)
        for name, form in slow.items():
            if n <= NAIVE_UP_TO[operator]:
                found |= interleaved({name: undifferentiated(form, inputs)}, min(3, repetitions))
        for name, seconds in found.items():
            times.setdefault(name, {})[n] = seconds
    naive = times["naive"]
    return {
        "seconds": times,
        "slope": {name: slope(found) for name, found in times.items()},
        "naive over": {name: {n: naive[n] / found[n] for n in naive} for name, found in times.items()},
    }


def compared(operator: str, peers: bool, n: int, repetitions: int) -> dict[str, Any]:
    """Return the medians of all forms at one length, and ours over the best."""
    inputs, table = draw(operator, n), {}
    for title, prepare in (("forward", undifferentiated), ("forward and backward", differentiated)):
        times = interleaved({name: prepare(form, inputs) for name, form in forms(operator, peers).items()}, repetitions)
        written = {name: seconds for name, seconds in times.items() if name != OURS}
        plain = {name: seconds for name, seconds in written.items() if not name.startswith("grouped")}
        table[title] = {
            "seconds": times,
            "best": min(written, key=written.__getitem__),
            "best loop or batched": min(plain, key=plain.__getitem__),
            "ours over best": None if peers else times[OURS] / min(written.values()),
            "ours over best loop or batched": None if peers else times[OURS] / min(plain.values()),
        }
    return table


def resident(field: str) -> int:
    """Return a size of this process in bytes, from the system."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{field}:\s+(\d+)", status)[1])


def growth(operator: str, form: str, n: int, gradient: bool) -> float:
    """Return the bytes that a call needs beyond its inputs and outputs, at most, in this fresh process."""
    function = {"naive": WRITTEN[operator].naive, **WRITTEN[operator].forms()}.get(form) or library(operator)
    prepare = differentiated if gradient else undifferentiated
    prepare(function, draw(operator, 1024))()
    call = prepare(function, draw(operator, n))
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    start = resident("VmRSS")
    outputs = call()
    peak = resident("VmHWM")
    # with gradients, the forward pass has an output as well: of the values' shape, as their gradient
    results = (*outputs, outputs[2]) if gradient else (outputs,)
    return peak - start - sum(x.numel() * x.element_size() for x in results)


def memory(operator: str, form: str, n: int, gradient: bool) -> float:
    """Return the growth as megabytes, measured in a process of its own."""
    command = [sys.executable, __file__, "--grow", operator, form, str(n), str(int(gradient))]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(MAPPED_FROM), "MALLOC_TRIM_THRESHOLD_": str(MAPPED_FROM)}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout) / 1e6


def memories(operator: str, peers: bool, lengths: tuple[int, ...]) -> dict[str, dict[str, dict[int, float]]]:
    """Return the megabytes of the forms over the lengths, forward, and forward with backward."""
    chosen = [*([] if peers else [OURS]), "loop 64", "batched 64", "grouped 64"]
    found: dict[str, dict[str, dict[int, float]]] = {}
    for title, gradient in (("forward", False), ("forward and backward", True)):
        found[title] = {form: {n: memory(operator, form, n, gradient) for n in lengths} for form in chosen}
    found["forward"]["naive"] = {n: memory(operator, "naive", n, False) for n in lengths if n <= 2048}
    return found


def decoder(operator: str, ours: bool, position: int) -> Callable[[], Any]:
    """Return a call that decodes one more token, after `position` tokens."""
    written, token = WRITTEN[operator], tuple(x[:, 0] / WIDTH for x in draw(operator, 1))
    if ours:
        kernel = compiled(operator, "recurrent")
        state = kernel.init_state((HEADS,), torch.float32, "cpu")
        named = dict(zip(NAMES, token, strict=False))

        def step() -> Any:
            nonlocal state
            state, out = kernel.step(state, **named)
            return out
    else:
        step = partial(written.token, written.zeros(*draw(operator, 1)), *token)
    for _ in range(position - 1):
        step()
    return step


def decoding(operator: str, peers: bool, repetitions: int) -> dict[str, dict[int, float]]:
    """Return the seconds per token at each position."""
    with torch.no_grad():
        whose = {"hand-written": False} | ({} if peers else {OURS: True})
        calls = {(name, p): decoder(operator, ours, p) for name, ours in whose.items() for p in POSITIONS}
        times = interleaved(calls, repetitions)
    return {name: {p: times[name, p] for p in POSITIONS} for name in whose}


def show(operator: str, result: dict[str, Any]) -> None:
    """Print what was measured of an operator."""
    print(f"\n{operator}", flush=True)
    for name, value in result["scaling"]["slope"].items():
        times = "  ".join(f"{1e3 * t:9.2f}" for t in result["scaling"]["seconds"][name].values())
        print(f"  {name:14} slope {value:5.2f}  ms {times}")
    for n, table in result["compared"].items():
        for title, row in table.items():
            times = ", ".join(f"{name} {1e3 * t:.2f}" for name, t in row["seconds"].items())
            ratios = [row[f"ours over {which}"] for which in ("best", "best loop or batched")]
            print(f"  n = {n}, {title}: ours over best {ratios[0]}, over best loop or batched {ratios[1]}; ms: {times}")
    for title, table in result["memory, MB"].items():
        print(f"  memory, {title}: " + "; ".join(f"{name} {found}" for name, found in table.items()))
    for name, found in result["decoding"].items():
        print(f"  decoding, {name}: " + ", ".join(f"{1e6 * t:.1f} us at {p}" for p, t in found.items()))


def main() -> None:
    """Run the gate and the measurements, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="only the hand-written forms")
    parser.add_argument("--quick", action="store_true", help="two lengths, few repetitions, nothing is written")
    parser.add_argument("--only", choices=list(WRITTEN), help="one operator")
    parser.add_argument("--repetitions", type=int, default=20, help="rounds in which forms are compared")
    parser.add_argument("--threads", type=int, help="1: processor time of one thread")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--grow", nargs=4, metavar=("OPERATOR", "FORM", "N", "GRADIENT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        operator, form, n, gradient = options.grow
        print(growth(operator, form, int(n), gradient == "1"))
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    repetitions = 2 if options.quick else options.repetitions
    lengths, at = (LENGTHS, COMPARED) if not options.quick else (LENGTHS[:2], LENGTHS[:1])
    chosen = [options.only] if options.only else list(WRITTEN)
    errors = {operator: gate(operator, options.peers) for operator in chosen}
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu(),
        "threads": torch.get_num_threads(),
        "busy before": busy(),
        "python": platform.python_version(),
        "versions": {"torch": version("torch")},
        "heads": HEADS,
        "width": WIDTH,
    }
    if result["busy before"] > 0.1:
        print(f"{result['busy before']:.0%} of the processors are busy: the times will mislead", file=sys.stderr)
    for operator in chosen:
        result[operator] = {
            "largest error in float32": errors[operator],
            "scaling": scaling(operator, options.peers, lengths, min(5, repetitions)),
            "compared": {n: compared(operator, options.peers, n, repetitions) for n in at},
            "memory, MB": memories(operator, options.peers, lengths[::2]),
            "decoding": decoding(operator, options.peers, 15 * repetitions),
        }
        show(operator, result[operator])
    if not options.quick:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
