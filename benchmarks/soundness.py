"""How often `prove` is wrong (it must never be) and how often it does not know, on random claims.

    python benchmarks/soundness.py --cases 100000 --seed 0 [--jobs 2] [--kinds near,"decay scalar"]
    python benchmarks/soundness.py --corruptions 10000
    python benchmarks/soundness.py --show "near 17"

Claims of twenty-two kinds (tests/fuzz.py) are made true by random valid rewriting, or false by one change of an index,
a coefficient, a mask or a transpose.  Every verdict is compared with an exact evaluator of plain loops that shares no
code with the library (tests/exact.py), every witness is recomputed by it.  A claim is determined by its kind, the seed
and its number, in any order and with any number of jobs.  The JSON stands in benchmarks/results/soundness.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from corruption import corruptions, outcome, valid_certificates  # noqa: E402
from fuzz import KINDS, made  # noqa: E402
from judgement import in_complete_fragment, judge  # noqa: E402
from limits import OverTime, limit  # noqa: E402
from machine import cpu  # noqa: E402
from slow_certificates import SLOW  # noqa: E402

import tensoralg as ta  # noqa: E402
from tensoralg.show.progress import progress  # noqa: E402
from tensoralg.show.tables import Column, print_table  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "soundness.json"
CHUNK = 25
Task = tuple[str, int, int, int, float]


def one(name: str, seed: int, number: int, seconds: float) -> dict[str, Any]:
    """Return what became of one claim."""
    key = f"{seed}/{number}"
    case = made(KINDS[name], key)
    begun = time.perf_counter()
    try:
        with limit(seconds):
            judged = judge(case, Random(f"tensors {name} {key}"))
        status, fault, true = judged.status, judged.fault, judged.true
    except OverTime:
        status, fault, true = "over time", "", None
    except Exception as error:  # noqa: BLE001  a crash is a finding, not the end of the run
        status, fault, true = "crash", f"{type(error).__name__}: {error}", None
    found = {"status": status, "true": true, "meant_true": case.meant_true, "complete": in_complete_fragment(case)}
    found["seconds"] = time.perf_counter() - begun
    if fault or status in ("unknown", "over time"):
        found |= {"case": f"{name} {number}", "fault": fault}
    if fault:
        found |= {"left": str(case.left), "right": str(case.right)}
    return found


def chunk(task: Task) -> tuple[str, list[dict[str, Any]]]:
    name, seed, first, last, seconds = task
    return name, [one(name, seed, number, seconds) for number in range(first, last)]


def tasks(names: list[str], cases: int, seed: int, seconds: float) -> list[Task]:
    """Return the claims, shared out evenly among the kinds, in chunks."""
    found: list[Task] = []
    for k, name in enumerate(names):
        count = cases // len(names) + (k < cases % len(names))
        found += [(name, seed, first, min(first + CHUNK, count), seconds) for first in range(0, count, CHUNK)]
    # kinds in turn, so that a run that is stopped has seen all of them
    return sorted(found, key=lambda task: task[2])


def run(names: list[str], cases: int, seed: int, jobs: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Return what became of every claim, by kind."""
    todo = tasks(names, cases, seed, seconds)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with progress(len(todo)) as begin:
        pool = multiprocessing.Pool(jobs, maxtasksperchild=40) if jobs > 1 else None
        try:
            for name, rows in pool.imap_unordered(chunk, todo) if pool else map(chunk, todo):
                begin(name)
                found[name] += rows
        finally:
            if pool:
                pool.terminate()
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of one kind."""
    status = Counter(row["status"] for row in rows)
    wrong = [row for row in rows if row.get("fault")]
    undecided = [row for row in rows if row["status"] in ("unknown", "over time")]
    return {
        "claims": len(rows),
        "proved": status["proved"],
        "refuted": status["refuted"],
        "unknown": status["unknown"],
        "over_time": status["over time"],
        "crashed": status["crash"],
        "wrong": len(wrong) - status["crash"],
        "unknown_made_true": sum(row["meant_true"] for row in undecided),
        "unknown_seen_false": sum(row["true"] is False for row in undecided),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "slowest_seconds": round(max((row["seconds"] for row in rows), default=0.0), 3),
    }


def report(found: dict[str, list[dict[str, Any]]], seed: int, jobs: int, wall: float) -> dict[str, Any]:
    """Return the measured table as JSON."""
    rows = [row for part in found.values() for row in part]
    kinds = {name: summary(part) | {"complete": KINDS[name].complete} for name, part in found.items()}
    unknown = sum(kind["unknown"] + kind["over_time"] for kind in kinds.values())
    inside = [row for row in rows if row["complete"]]
    listed: dict[str, list[str]] = {}
    for name, part in found.items():
        undecided = [row["case"] for row in part if row["status"] in ("unknown", "over time")]
        listed[name] = sorted(undecided, key=lambda case: int(case.split()[-1]))[:20]
    return {
        "cases": len(rows),
        "seed": seed,
        "jobs": jobs,
        "seconds": round(wall, 1),
        "claims_per_second": round(len(rows) / wall, 1),
        "wrong": sum(kind["wrong"] for kind in kinds.values()),
        "crashed": sum(kind["crashed"] for kind in kinds.values()),
        "unknown_in_the_complete_fragment": sum(row["status"] in ("unknown", "over time") for row in inside),
        "claims_in_the_complete_fragment": len(inside),
        "unknown": unknown,
        "unknown_percent": round(100 * unknown / len(rows), 3),
        "kinds": kinds,
        "faults": [row for row in rows if row.get("fault")][:200],
        "undecided": listed,
        "versions": {name: version(name) for name in ("tensoralg", "sympy", "igraph", "python-flint")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {cpu()}",
        "date": time.strftime("%Y-%m-%d"),
    }


def show(table: dict[str, Any]) -> None:
    """Print the table and one line of totals."""
    keys = ("claims", "proved", "refuted", "unknown", "over_time", "crashed", "wrong", "slowest_seconds")
    columns = [Column("kind"), Column("complete"), *(Column(key.replace("_", " "), "right") for key in keys)]
    rows = [
        [name, "yes" if kind["complete"] else "", *(str(kind[key]) for key in keys)]
        for name, kind in table["kinds"].items()
    ]
    print_table(columns, rows, title=f"{table['cases']} random claims, seed {table['seed']}")
    print(
        f"wrong {table['wrong']}, crashed {table['crashed']}, unknown in the complete fragment "
        f"{table['unknown_in_the_complete_fragment']} of {table['claims_in_the_complete_fragment']}, unknown overall "
        f"{table['unknown']} ({table['unknown_percent']} %), {table['claims_per_second']} claims/s"
    )
    for row in table["faults"][:10]:
        print(f"  {row['case']}: {row['fault']}\n    {row['left']}\n    {row['right']}")


def corrupt(count: int, seed: int) -> dict[str, Any]:
    """Return what became of corrupted certificates; a wrong acceptance, a crash or a slow answer is a fault.

    Certificates that are made to cost work are timed besides; of these only a wrong acceptance is a fault.
    """
    certificates = valid_certificates()
    results: Counter[str] = Counter()
    faults, slowest = [], 0.0
    with progress(count) as begin:
        for number, corrupted in zip(range(count), corruptions(certificates, seed), strict=False):
            begin(corrupted.how)
            begun = time.perf_counter()
            found = outcome(ta.check, corrupted, 1.0)
            slowest = max(slowest, time.perf_counter() - begun)
            results[found.verdict] += 1
            if found.fault:
                faults.append({"number": number, "how": corrupted.how, "fault": found.fault})
    costly = {}
    for name, case in SLOW.items():
        begun = time.perf_counter()
        if ta.check(case.certificate) and not case.true:
            faults.append({"how": name, "fault": "a false claim was accepted"})
        costly[name] = round(time.perf_counter() - begun, 3)
    return {
        "corruptions": count,
        "seed": seed,
        "outcomes": dict(results),
        "faults": faults[:200],
        "slowest_seconds": round(slowest, 3),
        "seconds_of_costly_certificates": costly,
    }


def show_case(text: str, seed: int) -> None:
    """Print one claim and its verdict."""
    name, _, number = text.rpartition(" ")
    case = made(KINDS[name], f"{seed}/{number}")
    print(f"{case.left}\n{case.right}\nmade {'true' if case.meant_true else 'by a change'}")
    print(judge(case, Random(f"tensors {name} {seed}/{number}")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="limit for one claim")
    parser.add_argument("--kinds", default=",".join(KINDS), help="names of kinds, separated by commas")
    parser.add_argument("--corruptions", type=int, default=0, help="corrupt certificates instead")
    parser.add_argument("--show", default="", metavar="CASE", help='print one case, such as "near 17"')
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.show:
        show_case(options.show, options.seed)
        return
    written = json.loads(options.output.read_text()) if options.output.is_file() else {}
    if options.corruptions:
        table = {"corruptions": corrupt(options.corruptions, options.seed)}
        bad = bool(table["corruptions"].get("faults"))
        print(json.dumps(table, indent=1))
    else:
        begun = time.perf_counter()
        found = run(options.kinds.split(","), options.cases, options.seed, options.jobs, options.seconds)
        table = report(found, options.seed, options.jobs, time.perf_counter() - begun)
        bad = bool(table["wrong"] or table["crashed"])
        show(table)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({**written, **table}, indent=1) + "\n")
    sys.exit(bad)


if __name__ == "__main__":
    main()
