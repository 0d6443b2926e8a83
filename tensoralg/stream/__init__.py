"""Streams: from a causally masked sum to a state, its update, and the merge of segments.

`monomials` (sums multiplied out), `forest` (the order of their times), `derive` (states), `system` (steps and closed
forms), `canonical` (what is the same), `merge` (segments), `laws` (what is proved), `stream` (what people see),
`statement` (the statement that a definition streams), `symmetry` and `hankel` (how small a state is and can be).
"""

from tensoralg.stream.laws import Law
from tensoralg.stream.statement import Streamable, StreamVerdict
from tensoralg.stream.stream import Stream, stream

__all__ = ["Law", "Stream", "StreamVerdict", "Streamable", "stream"]
