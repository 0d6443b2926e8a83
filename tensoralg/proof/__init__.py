"""Proof: verdicts, `prove`, refutation."""

from tensoralg.proof.prove import prove
from tensoralg.proof.verdict import Counterexample, Verdict

__all__ = ["Counterexample", "Verdict", "prove"]
