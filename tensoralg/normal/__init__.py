"""Normal forms: expansion, order chains, functions, canonical labelling."""

from tensoralg.normal.domain import Condition, conditions, known_sign, open_conditions
from tensoralg.normal.expand import expand
from tensoralg.normal.form import difference, normalise
from tensoralg.normal.label import Form
from tensoralg.normal.prepare import cases, split, unify
from tensoralg.normal.terms import MAX_TERMS, Run

__all__ = [
    "MAX_TERMS",
    "Condition",
    "Form",
    "Run",
    "cases",
    "conditions",
    "difference",
    "expand",
    "known_sign",
    "normalise",
    "open_conditions",
    "split",
    "unify",
]
