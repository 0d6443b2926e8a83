"""Contraction orders of small networks against opt_einsum's and cotengra's, every order run by one executor.

    python benchmarks/plans.py [--quick] [--output benchmarks/results/plans.json]

Before any clock runs, the gate: plans of random networks must equal the least over all orders, run step
by step.  Then all planners get the same networks in the same run: every equation of opt_einsum's own
tests with at most ten operands, the networks of bug reports to opt_einsum and numpy, the attention
family, and random hypernetworks.  An order's FLOPs are those of the kernel that follows it, counted
while it runs on tensors without data.  Reported are every planner's FLOPs over ours and the medians of
the planning times; then what planning over symbols takes, which no peer does.

Large networks are in networks.py.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import opt_einsum  # noqa: E402
import torch  # noqa: E402
from machine import cpu  # noqa: E402
from opt_einsum.parser import parse_einsum_input  # noqa: E402
from opt_einsum.testing import build_shapes  # noqa: E402
from plan.oracle import expression, run, trees  # noqa: E402

from tensoralg.lower.build import tensors_of  # noqa: E402
from tensoralg.lower.emit import emit  # noqa: E402
from tensoralg.lower.flops import count  # noqa: E402
from tensoralg.lower.lowering import lower  # noqa: E402
from tensoralg.plan import plan  # noqa: E402
from tensoralg.plan.blocks import blocks  # noqa: E402
from tensoralg.plan.orders import orders  # noqa: E402
from tensoralg.plan.tree import from_path  # noqa: E402

Network = tuple[str, dict[str, int]]

ATTENTION = {
    "attention, long": ("tf,sf,se->te", {"t": 4096, "s": 4096, "f": 64, "e": 64}),
    "attention, short": ("tf,sf,se->te", {"t": 32, "s": 32, "f": 64, "e": 64}),
    "heads and projections": (
        "bti,ihf,bsj,jhf,bsk,khe,heo->bto",
        {"b": 2, "t": 512, "s": 512, "i": 256, "j": 256, "k": 256, "o": 256, "h": 8, "f": 32, "e": 32},
    ),
    "bilinear": ("ti,ij,sj,sk,ke->te", {"t": 512, "s": 512, "i": 128, "j": 128, "k": 128, "e": 64}),
    "second order": ("tf,sf,ug,sg,ue->te", {"t": 1024, "s": 1024, "u": 1024, "f": 32, "g": 32, "e": 32}),
    "third order": (
        "tf,sf,ug,sg,up,vp,ve->te",
        {"t": 512, "s": 512, "u": 512, "v": 512, "f": 32, "g": 32, "p": 32, "e": 32},
    ),
    "trilinear": ("tf,sf,uf,se,ue->te", {"t": 256, "s": 256, "u": 256, "f": 32, "e": 32}),
}
REPORTED = {
    "opt_einsum 99": ("db,cc,fe,fe,aa,ff,fe,cb,ea,ac->d", dict.fromkeys("abcdef", 3)),
    "opt_einsum 243": ("a,c,d,db,ab,cb,ac,cd,ad,b->dbc", {"a": 2, "b": 20, "c": 200, "d": 30}),
    "opt_einsum 248": (
        "iP,sP,PQ,jQ,tQ,ti,sj->",
        {"i": 300, "j": 300, "P": 2000, "Q": 2000, "s": 50, "t": 50},
    ),
    "opt_einsum 254": ("bgk,bkd,bk->bgd", {"b": 64, "g": 8, "k": 4096, "d": 128}),
    "numpy 9788": (
        "abc,bdih,dfjm,kfg,chmg->aijk",
        dict.fromkeys("ackg", 9) | dict.fromkeys("bdf", 5) | dict.fromkeys("ihjm", 2),
    ),
    "numpy 32111": ("ijk,klmn,nop,jmp->ilo", dict.fromkeys("ilo", 50) | dict.fromkeys("jknpm", 150)),
}


def own_tests() -> dict[str, Network]:
    """Return every equation of opt_einsum's tests that has at most ten operands, with its sizes there."""
    from opt_einsum.tests.test_contract import tests

    found = {}
    for equation in tests:
        shapes = build_shapes(equation)
        inputs, output, _ = parse_einsum_input((equation, *shapes), shapes=True)
        operands = inputs.split(",")
        sizes = {
            x: size for word, shape in zip(operands, shapes, strict=True) for x, size in zip(word, shape, strict=True)
        }
        if len(operands) <= 10:
            found[equation] = (f"{inputs}->{output}", sizes)
    return found


def random_network(rng: random.Random) -> Network:
    """A network of 4 to 7 tensors whose indices sit on up to four tensors, some of them in the output."""
    count = rng.randint(4, 7)
    words: list[str] = [""] * count
    letters = "abcdefghijklmn"[: count + rng.randint(1, 4)]
    for letter in letters:
        for k in rng.sample(range(count), rng.randint(2, 4)):
            words[k] += letter
    output = rng.sample(letters, rng.randint(0, 3))
    return ",".join(words) + "->" + "".join(output), {x: rng.randint(2, 20) for x in letters}


def split(equation: str) -> tuple[list[str], str]:
    """Return the operands and the output of an equation."""
    left, right = equation.split("->")
    return left.split(","), right


def peers(count: int) -> Iterator[tuple[str, Callable[[str, dict[str, int]], Any]]]:
    """Yield the planners, each a function from a network to a path."""

    def by(optimize: str) -> Callable[[str, dict[str, int]], Any]:
        def path(equation: str, sizes: dict[str, int]) -> Any:
            shapes = [tuple(sizes[x] for x in word) for word in split(equation)[0]]
            return opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimize)[0]

        return path

    for optimize in ("optimal", "dp", "auto", "auto-hq", "greedy"):
        if optimize != "optimal" or count < 10:  # it takes minutes on ten operands
            yield f"opt_einsum {optimize}", by(optimize)
    if find_spec("cotengra"):
        import cotengra

        def path(equation: str, sizes: dict[str, int]) -> Any:
            operands, output = split(equation)
            return cotengra.array_contract_path(
                [tuple(o) for o in operands], tuple(output), sizes, optimize="optimal", cache=False
            )

        yield "cotengra optimal", path


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and the seconds it took."""
    orders.cache_clear()
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def executed(expr: Any, named: dict[str, int], root: Any, order: Any) -> int:
    """Return the FLOPs of the kernel that follows an order, counted while it runs on tensors without data."""
    tensors = tensors_of(expr)
    program = lower(root, [(tensor.name, tensor.legs) for tensor in tensors], order, named)
    module: dict[str, Any] = {}
    exec(compile(emit([program], [0], "a kernel"), "<kernel>", "exec"), module)
    shapes = [[named[str(leg.dimension)] for leg in tensor.legs] for tensor in tensors]
    arrays = [torch.empty(shape, device="meta") for shape in shapes]
    return count(lambda: module["operator"](*arrays)).flops


def gate(count: int) -> None:
    """Stop unless plans equal the least over all orders, run step by step, on random networks."""
    rng = random.Random(254)
    for _ in range(count):
        equation, sizes = random_network(rng)
        operands, output = split(equation)
        operands = operands[:4]
        output = "".join(x for x in output if any(x in o for o in operands))
        found = plan(expression(operands, output), {f"n{x}": sizes[x] for o in operands for x in o}).flops
        least = min(run(operands, output, sizes, tree)[0] for tree in trees(tuple(range(len(operands)))))
        if found != least:
            raise SystemExit(f"wrong plan of {operands} -> {output} at {sizes}: {found} instead of {least}")


def measure(networks: dict[str, Network]) -> dict[str, dict[str, dict[str, float]]]:
    """Return, for each network and planner, FLOPs over ours and seconds."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, (equation, sizes) in networks.items():
        operands, output = split(equation)
        expr, named = expression(operands, output), {f"n{x}": size for x, size in sizes.items()}
        ours, seconds = timed(lambda expr=expr, named=named: plan(expr, named))
        order = ours.order_at({})
        flops = executed(expr, named, order.root, order.trees)
        if flops != ours.flops and min(sizes.values()) > 1:
            raise SystemExit(f"{equation}: planned {ours.flops}, executed {flops}")
        results[name] = {"tensoralg": {"flops": flops, "ratio": 1.0, "seconds": seconds}}
        root = blocks(expr)[0]
        for peer, search in peers(len(operands)):
            path, seconds = timed(lambda search=search, e=equation, s=sizes: search(e, s))
            theirs = executed(expr, named, root, dict.fromkeys(order.trees, from_path(path, len(operands))))
            ratio = theirs / flops if flops else 1.0
            results[name][peer] = {"flops": theirs, "ratio": ratio, "seconds": seconds}
    return results


def summary(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return, for each planner, how far its orders are from ours and how long it took."""
    found = {}
    for planner in dict.fromkeys(planner for by in results.values() for planner in by):
        rows = [by[planner] for by in results.values() if planner in by]
        ratios = [row["ratio"] for row in rows]
        found[planner] = {
            "networks": len(rows),
            "more FLOPs than ours": sum(r > 1 for r in ratios) / len(ratios),
            "fewer FLOPs than ours": sum(r < 1 for r in ratios) / len(ratios),
            "worst ratio": max(ratios),
            "geometric mean": math.exp(statistics.fmean(math.log(r) for r in ratios)),
            "median seconds": statistics.median(row["seconds"] for row in rows),
        }
    return found


def symbolic(networks: dict[str, Network], dimension: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return the regimes over symbols, median seconds of planning them, and seconds to state them in sympy."""
    found = {}
    for name, (equation, _) in networks.items():
        operands, output = split(equation)
        expr = expression(operands, output, {x: dimension.get(x, x) for o in operands for x in o})
        runs = [timed(lambda expr=expr: plan(expr).regimes()) for _ in range(3)]
        regimes = plan(expr).regimes()
        found[name] = {
            "operands": len(operands),
            "symbols": len(plan(expr).graph.names),
            "regimes": len(regimes),
            "may be empty": sum(regime.may_be_empty for regime in regimes),
            "optimal": plan(expr).optimal,
            "median seconds": statistics.median(seconds for _, seconds in runs),
            "seconds as formulas": timed(lambda regimes=regimes: [regime.where for regime in regimes])[1],
        }
    return found


def small() -> dict[str, float]:
    """Return median seconds for planning four operands with numbers, and for planning them again."""
    rng, first, again = random.Random(4), [], []
    for _ in range(100):
        equation, sizes = random_network(rng)
        operands, output = split(equation)
        operands = operands[:4]
        output = "".join(x for x in output if any(x in o for o in operands))
        expr, named = expression(operands, output), {f"n{x}": sizes[x] for o in operands for x in o}
        first.append(timed(lambda expr=expr, named=named: plan(expr, named))[1])
        start = time.perf_counter()
        plan(expr, named)
        again.append(time.perf_counter() - start)
    return {"first, median seconds": statistics.median(first), "again, median seconds": statistics.median(again)}


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    print(f"\n{title}")
    for name, row in table.items():
        print(f"  {name:24}" + "".join(f"  {key} {value:.4g}" for key, value in row.items()))


def main() -> None:
    """Run the gate and the measurements, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50 random networks instead of 1,000")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "plans.json")
    arguments = parser.parse_args()
    gate(20 if arguments.quick else 200)
    rng = random.Random(0)
    many = {f"random {k}": random_network(rng) for k in range(50 if arguments.quick else 1000)}
    measure(dict(list(many.items())[:2]))  # imports and caches are warm before the clock counts
    suites = {"attention family": ATTENTION, "reported": REPORTED, "opt_einsum's tests": own_tests(), "random": many}
    measured = {name: measure(networks) for name, networks in suites.items()}
    one = dict.fromkeys("tsuv", "n") | dict.fromkeys("fgpe", "d") | dict.fromkeys("ijko", "m")
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu(),
        "python": platform.python_version(),
        "versions": {p: version(p) for p in ("sympy", "opt_einsum", "cotengra", "torch") if find_spec(p)},
        "attention family": measured["attention family"],
        "reported": measured["reported"],
        **{f"{name}, summary": summary(results) for name, results in measured.items()},
        "symbols": symbolic(ATTENTION, one),
        "symbols, all sizes distinct": symbolic(ATTENTION, {}),
        "four operands with numbers": {"tensoralg": small()},
    }
    for title in [f"{name}, summary" for name in suites] + list(result)[-3:]:
        show(title, result[title])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
