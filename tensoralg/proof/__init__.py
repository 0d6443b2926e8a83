"""Proof: verdicts, `prove`, refutation."""

from tensoralg.proof.check import check, refusal, write_certificate
from tensoralg.proof.prove import prove
from tensoralg.proof.verdict import Counterexample, Verdict

__all__ = ["Counterexample", "Verdict", "check", "prove", "refusal", "write_certificate"]
