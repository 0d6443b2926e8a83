"""Verdicts: what `prove` answers, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Counterexample:
    """Exact values at which the two sides of a claim differ, satisfying all of its hypotheses.

    Attributes
    ----------
    sizes : dict of str to int
        The size of every dimension symbol.
    tensors : dict of str to nested lists
        Ints or Fractions, in leg order.
    index : dict of str to int
        The free indices at which the sides differ, counted from 0.
    lhs, rhs : int, Fraction or (str, str)
        The two values; where functions occur, (midpoint, radius) of disjoint balls.
    """

    sizes: dict[str, int]
    tensors: dict[str, Any]
    index: dict[str, int]
    lhs: Any
    rhs: Any

    def __str__(self) -> str:
        lines = ["sizes   " + (", ".join(f"{k} = {v}" for k, v in sorted(self.sizes.items())) or "none")]
        lines += [f"{name:<7} {show_array(value)}" for name, value in self.tensors.items()]
        where = ", ".join(f"{k} = {v}" for k, v in self.index.items())
        lines.append(f"at      {where}   (counted from 0)" if where else "at      the value itself")
        lines += [f"left    {show_value(self.lhs)}", f"right   {show_value(self.rhs)}"]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the counterexample as JSON: fractions as strings."""
        return {
            "sizes": self.sizes,
            "tensors": {name: _plain(value) for name, value in self.tensors.items()},
            "index": self.index,
            "lhs": _plain(self.lhs),
            "rhs": _plain(self.rhs),
        }


def show_array(value: Any) -> str:
    """Return nested lists of ints and Fractions as text."""
    return "[" + ", ".join(map(show_array, value)) + "]" if isinstance(value, list) else str(value)


def show_value(value: Any) -> str:
    """Return an exact value, or a ball as ``mid +/- radius``."""
    return f"{value[0]} +/- {value[1]}" if isinstance(value, tuple) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, int | str) else str(value)


@dataclass(frozen=True)
class Verdict:
    """The answer of `prove`: truthy exactly when the claim is proved for all sizes.

    Attributes
    ----------
    status : "proved", "refuted" or "unknown"
    counterexample : Counterexample or None
        When refuted.
    certificate : dict or None
        When proved: the claim that was proved, as data.  The steps are not recorded yet, so the proof rests on
        `tensoralg.normal` (docs/decision.md).
    evidence : dict
        What was tried: evaluations that agreed and at which sizes, conditions that are missing.
    holds_for : tuple of dict
        Small sizes for which the claim was seen to hold although it is refuted in general.
    reason : str
        One sentence on how the answer was found.
    """

    status: str
    reason: str
    counterexample: Counterexample | None = None
    certificate: dict[str, Any] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    holds_for: tuple[dict[str, int], ...] = ()

    def __bool__(self) -> bool:
        return self.status == "proved"

    def explain(self) -> str:
        """Return the answer in words, with the witness or with what was tried."""
        lines = [f"{self.status}: {self.reason}"]
        if self.counterexample is not None:
            lines += ["  " + line for line in str(self.counterexample).splitlines()]
        for key, value in self.evidence.items():
            shown = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            if shown:
                lines.append(f"  {key}: {shown}")
        if self.holds_for:
            shown = "; ".join(", ".join(f"{k} = {v}" for k, v in sizes.items()) for sizes in self.holds_for)
            lines.append(f"  it does hold for {shown}")
        return "\n".join(lines)
