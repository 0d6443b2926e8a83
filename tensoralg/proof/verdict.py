"""Verdicts: what `prove` answers, with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tensoralg.errors import InvalidExpression
from tensoralg.proof.explain import BASES, explanation
from tensoralg.proof.show import show_array, show_value


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
    basis : "orthonormal" or "paired"
        What entries refer to.  In a paired basis the vectors 2k and 2k+1 of every space are ``h = x + iy`` and
        ``h' = (x - iy)/2`` for orthonormal x, y, so that ``h.h = h'.h' = 0`` and ``h.h' = 1``: an index that joins two
        legs is summed over the pairs (2k, 2k+1) and (2k+1, 2k).  Such a point is complex.  It refutes a claim whose
        sides are polynomials in the entries of real tensors, as those agree at complex points if they do at real ones.
    """

    sizes: dict[str, int]
    tensors: dict[str, Any]
    index: dict[str, int]
    lhs: Any
    rhs: Any
    basis: str = "orthonormal"

    def __str__(self) -> str:
        lines = ["sizes   " + (", ".join(f"{k} = {v}" for k, v in sorted(self.sizes.items())) or "none")]
        lines += [f"{name:<7} {show_array(value)}" for name, value in self.tensors.items()]
        where = ", ".join(f"{k} = {v}" for k, v in self.index.items())
        lines.append(f"at      {where}   (counted from 0)" if where else "at      the value itself")
        lines += [f"left    {show_value(self.lhs)}", f"right   {show_value(self.rhs)}"]
        lines += [f"{'' if k else 'basis':<7} {line}" for k, line in enumerate(BASES[self.basis])]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the counterexample as JSON: fractions as strings."""
        return {
            "sizes": self.sizes,
            "tensors": {name: _plain(value) for name, value in self.tensors.items()},
            "index": self.index,
            "lhs": _plain(self.lhs),
            "rhs": _plain(self.rhs),
            "basis": self.basis,
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
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
        When proved: the claim and a proof that `tensoralg.proof.checker` has checked, as data (docs/certificates.md).
    evidence : dict
        What was tried: evaluations that agreed and at which sizes, conditions that are missing.
    reason : str
        One sentence on how the answer was found.
    """

    status: str
    reason: str
    counterexample: Counterexample | None = None
    certificate: dict[str, Any] | None = field(default=None, repr=False)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    small_sizes: Callable[[], tuple[dict[str, int], ...]] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def holds_for(self) -> tuple[dict[str, int], ...]:
        """Small sizes of one dimension each for which a refuted claim is proved; looked for when first asked for."""
        return self.small_sizes() if self.small_sizes is not None else ()

    def __bool__(self) -> bool:
        return self.status == "proved"

    def explain(self, format: str = "text") -> str:
        """Return the answer as a person would write it: the proof, the witness, or what was tried.

        Parameters
        ----------
        format : "text" or "latex"
            LaTeX is an ``align*`` environment that needs amsmath.

        Raises
        ------
        InvalidExpression
            If the format is neither.

        Examples
        --------
        >>> import tensoralg as ta
        >>> spaces = {"t,s": "n", "f": "d"}
        >>> left = ta.parse("O[t] = Q[t,f]*sum(s: K[s,f]*x[s])", indices=spaces)
        >>> right = ta.parse("O[t] = sum(f: Q[t,f]*K[s,f])*x[s]", indices=spaces)
        >>> print(ta.prove(left, right).explain())
        proved: the normal forms of both sides agree for all sizes
          claim   sum(f: Q[t,f]*sum(s: K[s,f]*x[s])) = sum(s: sum(f: Q[t,f]*K[s,f])*x[s])   for all t
          terms   multiplied out, 1 on the left and 1 on the right
                  left 1 is right 1:   sum(s,f: Q[t,f]*K[s,f]*x[s])
        """
        if format not in ("text", "latex"):
            raise InvalidExpression(f"{format!r} is no format of an explanation", remedy='give "text" or "latex"')
        return explanation(self, format)
