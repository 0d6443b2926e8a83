"""Streams: from a causally masked sum to a state, its update, and the merge of segments.

`monomials` (sums multiplied out), `forest` (the order of their times), `derive` (states), `system` (steps and closed
forms), `canonical` (what is the same), `merge` (segments), `laws` (what is proved), `symmetry`,
`hankel` and `bounds` (how small a state can be), `stream` (what people see), `statement` (that a definition streams).
"""

from tensoralg.stream.laws import Law
from tensoralg.stream.statement import Streamable, StreamVerdict
from tensoralg.stream.stream import Stream, stream

__all__ = ["Law", "Stream", "StreamVerdict", "Streamable", "stream"]
