"""Certificates whose check would cost much work if a checker did it all.

The benchmark (benchmarks/soundness.py --corruptions) times them; the tests ask only for a right answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VECTOR = {"x": {"legs": ["n"]}}
N = {"n": ["n", 0]}


@dataclass(frozen=True)
class Slow:
    """A certificate, and whether what it claims is true; a true claim may be refused for the work that it costs."""

    true: bool
    certificate: dict[str, Any]


def certificate(
    lhs: Any, rhs: Any, uses: Any = (), *, refine: Any = (), proof: Any = None, **claim: Any
) -> dict[str, Any]:
    """Return a certificate from its parts; what is not given is empty."""
    empty = {"spaces": {}, "tensors": {}, "free": [], "given": [], "sizes": {}}
    more = proof or {}
    proof = {"refine": list(refine), "components": [], "domain": [], "cases": [list(uses)]}
    return {
        "format": "tensoralg certificate",
        "version": 2,
        "claim": {**empty, "lhs": lhs, "rhs": rhs, **claim},
        "proof": {**proof, "labels": [], **more},
    }


def nested(term: Any, depth: int) -> Any:
    """Return a term inside functions of sums of functions of sums."""
    for k in range(depth):
        term = ["sum", [[f"b{k}", "n"]], ["sqrt", term]]
    return term


SLOW = {
    "a dimension of three million components": Slow(
        True,
        certificate(
            ["t", "x", "i"],
            ["*", 1, ["t", "x", "i"]],
            spaces=N,
            tensors=VECTOR,
            free=[["i", "n"]],
            sizes={"n": 3 * 10**6},
            proof={"components": ["n"]},
        ),
    ),
    "a power of a long sum of zeros": Slow(True, certificate(["^", ["+", *[0] * 100_000], 200], 0)),
    "a power of a function of a long sum": Slow(False, certificate(["^", ["exp", ["+", *[0] * 80_000]], 200], 0)),
    "a power of a long number": Slow(False, certificate(["^", ["num", 3**8900, 2**14000], 80], 0)),
    "many conditions on both sides": Slow(
        False,
        certificate(
            ["+", *[["log", ["t", f"a{k}"]] for k in range(6000)]],
            ["+", *[["log", ["t", f"b{k}"]] for k in range(6000)]],
        ),
    ),
    "many copies of a long monomial": Slow(
        False,
        certificate(
            ["*", *[["t", f"a{k}"] for k in range(1000)], ["+", *[1] * 400], ["+", *[1] * 100]],
            0,
            tensors={f"a{k}": {"legs": []} for k in range(1000)},
        ),
    ),
    "chains of forty indices under all masks": Slow(
        False,
        certificate(
            ["*", *[["le", f"i{a}", f"i{b}"] for a in range(40) for b in range(a + 1, 40)]],
            0,
            refine=["n"],
            spaces={"n": ["n", 1]},
            free=[[f"i{a}", "n"] for a in range(40)],
        ),
    ),
    "a number to powers of powers": Slow(False, certificate(["^", ["^", ["^", ["num", 3, 1], -1000], -1000], -20], 0)),
    "a root of a size to powers of powers": Slow(
        False, certificate(["^", ["^", ["^", ["sqrt", 2], -1000], -1000], -40], 0)
    ),
    "deltas in a long row": Slow(
        False,
        certificate(
            [
                "sum",
                [[f"i{k}", "n"] for k in range(1500)],
                ["*", *[["delta", f"i{k}", f"i{k + 1}"] for k in range(1499)]],
            ],
            0,
            spaces=N,
        ),
    ),
    "chains of a long monomial": Slow(
        False,
        certificate(
            [
                "sum",
                [[f"i{k}", "n"] for k in range(6)],
                ["*", *[["t", "x", f"i{k}"] for k in range(6)], *[["t", f"a{k}"] for k in range(1000)]],
            ],
            0,
            refine=["n"],
            spaces={"n": ["n", 1]},
            tensors={**VECTOR, **{f"a{k}": {"legs": []} for k in range(1000)}},
        ),
    ),
    "thousands of sums that share no index": Slow(
        False,
        certificate(
            ["sum", [[f"i{k}", "n"] for k in range(12_000)], ["*", *[["t", "x", f"i{k}"] for k in range(12_000)]]],
            0,
            refine=["n"],
            spaces={"n": ["n", 1]},
            tensors=VECTOR,
        ),
    ),
    "a sum over thousands of indices over a sum of many terms": Slow(
        False,
        certificate(["sum", [[f"i{k}", "n"] for k in range(9_000)], ["+", *[1] * 9_000]], 0, spaces=N),
    ),
    "deltas beside a tensor of many legs": Slow(
        False,
        certificate(
            [
                "sum",
                [[f"i{k}", "n"] for k in range(601)],
                ["*", ["t", "x", *["f"] * 60_000], *[["delta", f"i{k}", f"i{k + 1}"] for k in range(600)]],
            ],
            0,
            spaces=N,
            tensors={"x": {"legs": ["n"] * 60_000}},
            free=[["f", "n"]],
        ),
    ),
    "an entry of many legs for all components of another index": Slow(
        False,
        certificate(
            ["sum", [["j", "c"]], ["t", "x", *["i"] * 50_000]],
            0,
            spaces={**N, "c": ["c", 0]},
            tensors={"x": {"legs": ["n"] * 50_000}},
            free=[["i", "n"]],
            sizes={"c": 9_000},
            proof={"components": ["c"]},
        ),
    ),
    "a long index in many terms": Slow(
        False,
        certificate(
            ["*", ["t", "x", ["+", 0, "i", ["+", *["n"] * 90_000]]], ["+", *[1] * 9_000]],
            0,
            spaces=N,
            tensors={"x": {"legs": [["+", *["n"] * 90_000]]}},
            free=[["i", "n"]],
        ),
    ),
    "many free indices and a sum over components": Slow(
        False,
        certificate(
            ["sum", [["j", "c"]], 1],
            0,
            spaces={**N, "c": ["c", 0]},
            free=[[f"i{k}", "n"] for k in range(50_000)],
            sizes={"c": 50_000},
            proof={"components": ["c"]},
        ),
    ),
    "many free indices in functions of sums of functions": Slow(
        False,
        certificate(
            nested(["t", "x", *[f"i{k}" for k in range(50_000)]], 60),
            0,
            spaces=N,
            tensors={"x": {"legs": ["n"] * 50_000}},
            free=[[f"i{k}", "n"] for k in range(50_000)],
        ),
    ),
    "sixty antisymmetric legs in many terms": Slow(
        False,
        certificate(
            ["*", ["t", "x", *[f"i{60 - k}" for k in range(60)]], ["+", *[1] * 17_000]],
            0,
            spaces=N,
            tensors={"x": {"legs": ["n"] * 60, "antisymmetric": [[*range(60)]]}},
            free=[[f"i{k + 1}", "n"] for k in range(60)],
        ),
    ),
    "many spaces that are refined": Slow(
        False,
        certificate(
            ["*", *[["t", f"a{k}"] for k in range(3_000)]],
            0,
            refine=[f"s{k}" for k in range(60_000)],
            spaces={f"s{k}": ["n", 1] for k in range(60_000)},
            tensors={f"a{k}": {"legs": []} for k in range(3_000)},
        ),
    ),
    "sums apart that share a space with many free indices": Slow(
        False,
        certificate(
            ["sum", [[f"j{k}", "n"] for k in range(3_500)], ["*", *[["t", "x", f"j{k}"] for k in range(3_500)]]],
            0,
            refine=["m"],
            spaces={**N, "m": ["m", 1]},
            tensors=VECTOR,
            free=[[f"i{k}", "n"] for k in range(100_000)],
        ),
    ),
    "products of long fractions": Slow(
        False,
        certificate(
            [
                "*",
                ["+", *[["num", 3**3600 + 2 * k, 2**5800 + 1] for k in range(330)]],
                ["+", *[["*", ["num", 5**2400 + 2 * k, 7**2000], ["t", f"x{k}"]] for k in range(330)]],
            ],
            0,
            tensors={f"x{k}": {"legs": []} for k in range(330)},
        ),
    ),
    "chains of seven free indices": Slow(
        False,
        certificate(
            ["*", *[["t", "x", f"i{k}"] for k in range(7)]],
            0,
            refine=["n"],
            spaces={"n": ["n", 1]},
            tensors=VECTOR,
            free=[[f"i{k}", "n"] for k in range(7)],
        ),
    ),
    "a product of long sums": Slow(False, certificate(["*", ["+", *[1] * 390], ["+", *[1] * 390]], 0)),
}
