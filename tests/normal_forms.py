"""The normal form of a definition, for tests."""

from tensoralg.proof.decide import engine_for, opened
from tensoralg.proof.prove import state


def normal_form(definition):
    """Return the normaliser and the normal form of a definition without composite spaces."""
    stated = state(definition, 0, (), None)
    run = engine_for(stated.encoded, stated.claim.tensors)()
    ((values, _),) = run.ranges(list(stated.encoded["free"]))
    run.opened = opened(run, values)
    return run, run.normal(run.expand(stated.encoded["lhs"], dict(zip(definition.free, values, strict=True))))
