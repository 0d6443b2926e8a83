"""Normal forms: expansion, order chains, functions, canonical labelling."""

from tensoralg.normal.expand import MAX_TERMS, Setting
from tensoralg.normal.form import Normaliser
from tensoralg.normal.prepare import Respaced, spaces_in, unify

__all__ = ["MAX_TERMS", "Normaliser", "Respaced", "Setting", "spaces_in", "unify"]
