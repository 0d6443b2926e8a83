"""Contraction orders against opt_einsum's and cotengra's, every order priced by one cost model.

    python benchmarks/plans.py [--quick] [--output benchmarks/results/plans.json]

Before any clock runs, the gate: plans of random networks must equal the least over all orders, run step
by step.  Then all planners get the same networks in the same run.  Reported are the FLOPs of each
planner's order over ours (ours is exact on these networks, so 1.0 is optimal) and the medians of the
planning times.
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
from plan.oracle import expression, run, trees  # noqa: E402

from tensoralg.plan import plan  # noqa: E402
from tensoralg.plan.blocks import blocks  # noqa: E402
from tensoralg.plan.graph import Graph  # noqa: E402
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
    "issue 254": ("bgk,bkd,bk->bgd", {"b": 64, "g": 32, "k": 32, "d": 2}),
}


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


def peers() -> Iterator[tuple[str, Callable[[str, dict[str, int]], Any]]]:
    """Yield the planners, each a function from a network to a path."""

    def by(optimize: str) -> Callable[[str, dict[str, int]], Any]:
        def path(equation: str, sizes: dict[str, int]) -> Any:
            shapes = [tuple(sizes[x] for x in word) for word in split(equation)[0]]
            return opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimize)[0]

        return path

    for optimize in ("optimal", "dp", "auto-hq", "greedy"):
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
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


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
        graph = Graph(blocks(expr)[0], named)
        (room,) = graph.rooms
        results[name] = {"tensoralg": {"flops": int(ours.flops), "ratio": 1.0, "seconds": seconds}}
        for peer, search in peers():
            path, seconds = timed(lambda search=search, e=equation, s=sizes: search(e, s))
            flops = room.network.price(from_path(path, len(operands))).flops
            results[name][peer] = {"flops": flops, "ratio": flops / int(ours.flops), "seconds": seconds}
    return results


def summary(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return, for each planner, how far its orders are from ours and how long it took."""
    found = {}
    for planner in next(iter(results.values())):
        ratios = [by[planner]["ratio"] for by in results.values()]
        found[planner] = {
            "not optimal": sum(r > 1 for r in ratios) / len(ratios),
            "better than ours": sum(r < 1 for r in ratios) / len(ratios),
            "worst ratio": max(ratios),
            "geometric mean": math.exp(statistics.fmean(math.log(r) for r in ratios)),
            "median seconds": statistics.median(by[planner]["seconds"] for by in results.values()),
        }
    return found


def symbolic(networks: dict[str, Network], dimension: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return regimes and median seconds of planning over symbols, which no peer does."""
    found = {}
    for name, (equation, _) in networks.items():
        operands, output = split(equation)
        expr = expression(operands, output, {x: dimension.get(x, x) for o in operands for x in o})
        runs = [timed(lambda expr=expr: plan(expr)) for _ in range(3)]
        found[name] = {
            "regimes": len(runs[0][0].prices),
            "optimal": runs[0][0].optimal,
            "median seconds": statistics.median(seconds for _, seconds in runs),
        }
    return found


def cpu() -> str:
    """Return the model of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    print(f"\n{title}")
    for name, row in table.items():
        print(f"  {name:24}" + "".join(f"  {key} {value:.4g}" for key, value in row.items()))


def main() -> None:
    """Run the gate and the measurements, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 random networks instead of 200")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "plans.json")
    arguments = parser.parse_args()
    gate(20 if arguments.quick else 100)
    rng = random.Random(0)
    many = {f"random {k}": random_network(rng) for k in range(20 if arguments.quick else 200)}
    measure(dict(list(many.items())[:2]))  # imports and caches are warm before the clock counts
    family, hyper = measure(ATTENTION), measure(many)
    lengths = dict.fromkeys("tsuv", "n") | dict.fromkeys("fgpe", "d") | dict.fromkeys("ijko", "m")
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu(),
        "python": platform.python_version(),
        "versions": {p: version(p) for p in ("sympy", "opt_einsum", "cotengra") if find_spec(p)},
        "attention family": family,
        "attention family, summary": summary(family),
        "random hypernetworks": len(many),
        "random hypernetworks, summary": summary(hyper),
        "symbolic": symbolic(ATTENTION, lengths),
    }
    for title in ("attention family, summary", "random hypernetworks, summary", "symbolic"):
        show(title, result[title])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
