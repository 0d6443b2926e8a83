"""How long `prove` takes, beside what sympy decides of the same identities.

Run ``python benchmarks/identities.py [--quick]``; it writes ``benchmarks/results/identities.json``.  Every
verdict is checked before the clock starts.  The peer is asked in the form in which it is strongest:
matrix expressions where the identity is about matrices, indexed sums elsewhere.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from math import prod
from pathlib import Path
from random import Random

import sympy
from machine import cpu

import tensoralg as ta
from tensoralg.errors import ImplicitSumWarning

RESULTS = Path(__file__).parent / "results" / "identities.json"
INDICES = "t,s,r,u: n ordered; f,g: d; e: d"


def pair(left: str, right: str, free: str) -> tuple[ta.Definition, ta.Definition]:
    """Return both sides of a claim in the text form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImplicitSumWarning)
        return ta.parse(left, INDICES, free=free), ta.parse(right, INDICES, free=free)


def trace(size: int, shuffled: bool) -> ta.Definition:
    """Return the trace of a product of matrices, factors in a shuffled order."""
    space = ta.Space("V", "n")
    ring = space.indices(" ".join(f"i{k}" for k in range(size)))
    factors = [ta.tensor(f"M{k}", space @ space)[ring[k], ring[(k + 1) % size]] for k in range(size)]
    order = Random(0).sample(range(size), size) if shuffled else range(size)
    return ta.define((), prod((factors[k] for k in order), start=1))


def sympy_reassociates() -> bool:
    n, d = sympy.symbols("n d", integer=True, positive=True)
    q, k, v = (sympy.MatrixSymbol(name, n, d) for name in "QKV")
    return bool(sympy.simplify((q * k.T) * v - q * (k.T * v)).is_ZeroMatrix)


def sympy_trace(size: int) -> bool:
    n = sympy.Symbol("n", integer=True, positive=True)
    matrices = [sympy.MatrixSymbol(f"M{k}", n, n) for k in range(size)]
    word, turned = sympy.MatMul(*matrices), sympy.MatMul(*matrices[1:], matrices[0])
    return bool(sympy.simplify(sympy.Trace(word) - sympy.Trace(turned)) == 0)


def sympy_softmax_shift() -> bool:
    n, s, r = sympy.symbols("n s r", integer=True, positive=True)
    a, c = sympy.IndexedBase("a"), sympy.Symbol("c")
    shifted = sympy.exp(a[s] + c) / sympy.Sum(sympy.exp(a[r] + c), (r, 1, n))
    plain = sympy.exp(a[s]) / sympy.Sum(sympy.exp(a[r]), (r, 1, n))
    return bool(sympy.simplify(shifted - plain) == 0)


def sympy_prefix_sum() -> bool:
    t, s, d, f = sympy.symbols("t s d f", integer=True, positive=True)
    q, k, v = (sympy.IndexedBase(name) for name in "qkv")
    masked = sympy.Sum(sympy.Sum(q[t, f] * k[s, f], (f, 1, d)) * v[s], (s, 1, t))
    prefix = sympy.Sum(q[t, f] * sympy.Sum(k[s, f] * v[s], (s, 1, t)), (f, 1, d))
    return bool(sympy.simplify(masked - prefix) == 0)


SECOND_ORDER = (
    "le[s,t]*sum(r: le[r,t]*le[r,s]*sum(f: Q[t,f]*K[r,f])*sum(g: Q[s,g]*K[r,g]))*V[s,e]",
    "sum(f: Q[t,f]*(sum(g: sum(r: le[r,t]*K[r,f]*K[r,g])*sum(s: le[s,t]*Q[s,g]*V[s,e]))"
    " - sum(r: le[r,t]*K[r,f]*sum(g: K[r,g]*sum(s: lt[s,r]*Q[s,g]*V[s,e])))))",
)
CASES: list[tuple[str, Callable[[], tuple[ta.Definition, ta.Definition]], Callable[[], bool] | None]] = [
    (
        "(Q K') V = Q (K' V)",
        lambda: pair("sum(f: Q[t,f]*K[s,f])*V[s,e]", "Q[t,f]*sum(s: K[s,f]*V[s,e])", "t,e"),
        sympy_reassociates,
    ),
    ("trace of 10 matrices, cyclic", lambda: (trace(10, False), trace(10, True)), lambda: sympy_trace(10)),
    ("trace of 50 matrices, cyclic", lambda: (trace(50, False), trace(50, True)), lambda: sympy_trace(50)),
    (
        "softmax ignores a shift",
        lambda: pair("softmax(s: A[t,s] + c[t])", "softmax(s: A[t,s])", "t,s"),
        sympy_softmax_shift,
    ),
    (
        "causal attention = query times prefix sum",
        lambda: pair("le[s,t]*Q[t,f]*K[s,f]*V[s,e]", "Q[t,f]*sum(s: le[s,t]*K[s,f]*V[s,e])", "t,e"),
        sympy_prefix_sum,
    ),
    ("causal second order = q(SC - G)", lambda: pair(*SECOND_ORDER, "t,e"), None),
]


def median(call: Callable[[], object], repetitions: int) -> float:
    """Return the median seconds of a call after one warm-up."""
    call()
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def run(repetitions: int) -> dict[str, object]:
    """Return the measured table."""
    rows = []
    for name, make, peer in CASES:
        left, right = make()
        if not ta.prove(left, right):
            sys.exit(f"gate: {name} is not proved")
        ours = median(lambda left=left, right=right: ta.prove(left, right), repetitions)
        decided = peer() if peer is not None else False
        theirs = median(peer, repetitions) if peer is not None else None
        rows.append(
            {
                "identity": name,
                "prove_seconds": ours,
                "sympy_decides": decided,
                "sympy_seconds": theirs,
                "sympy_over_prove": None if theirs is None else theirs / ours,
            }
        )
        seconds = "not stated" if theirs is None else f"{theirs * 1e3:9.1f} ms"
        print(f"{name:<44} prove {ours * 1e3:8.1f} ms   sympy {seconds} {'decides' if decided else 'does not decide'}")
    return {
        "rows": rows,
        "repetitions": repetitions,
        "versions": {name: version(name) for name in ("tensoralg", "sympy", "igraph")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {cpu()}",
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three repetitions, nothing is written")
    options = parser.parse_args()
    table = run(3 if options.quick else 11)
    if not options.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
