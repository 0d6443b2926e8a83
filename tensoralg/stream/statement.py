"""The statement that a definition streams, and what refutes it.

A derived stream with its laws proved proves it.  A definition that *no* machine can run token by token refutes it: one
whose output at t depends on tokens that come later, whichever way time runs.  That is an identity to be refuted: were
the output causal, it would stay the same with all later tokens set to 0.  So the refutation is an exact
point: sizes, tensors and a time at which the output changes with the future.  A Hankel rank that grows (see
`tensoralg.stream.bounds`) refutes it too where the factor in the way is one for which it grows without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tensoralg.errors import NotStreamable
from tensoralg.expr.nodes import Bind, Decay, Definition, Entry, Expr, Mask, bind, mul
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.proof import Counterexample, Verdict, prove
from tensoralg.spaces import Index, Space
from tensoralg.stream.stream import Stream, read, stream


@dataclass(frozen=True)
class StreamVerdict:
    """Whether a definition streams; true when proved.

    Attributes
    ----------
    status : "proved", "refuted" or "unknown"
    reason : str
        What proves or refutes it, or why no stream was found.
    stream : Stream or None
        When proved.
    counterexample : Counterexample or None
        When refuted as not causal: where the output (left) changes once all later tokens are set to 0 (right).
    factor : Expr or Index or None
        What is in the way, if that is known.
    """

    status: str
    reason: str
    stream: Stream | None = field(default=None, repr=False)
    counterexample: Counterexample | None = field(default=None, repr=False)
    factor: Any = None

    def __bool__(self) -> bool:
        return self.status == "proved"

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The certificate that the stream computes the definition, when proved."""
        return None if self.stream is None else self.stream.verdict.certificate

    def explain(self) -> str:
        """Return the verdict in words."""
        found = f"{self.status}: {self.reason}"
        if self.counterexample is None:
            return found
        return "\n  ".join([found, *str(self.counterexample).splitlines()])


@dataclass(frozen=True)
class Streamable:
    """The statement that a definition streams with states of constant size.

    Attributes
    ----------
    expr : Expr or sequence of Expr
        A definition, or several.
    along : Space or str
        The ordered space of times, or its dimension's name.
    given : sequence of pairs of Expr
        Hypotheses under which the laws are proved.

    Examples
    --------
    >>> import tensoralg as ta
    >>> spaces = {"t,s": "n ordered", "c": "e"}
    >>> print(Streamable(ta.parse("O[t,c] = le[s,t]*V[s,c]", indices=spaces)).decide().explain())
    proved: 1 state of e numbers, 6 laws proved
    >>> later = Streamable(ta.parse("O[t,c] = le[s,t]*V[s,c]*sum(r: V[r,c])", {**spaces, "r": "n ordered"})).decide()
    >>> later.status, later.counterexample.sizes, later.counterexample.index
    ('refuted', {'e': 1, 'n': 2}, {'t': 0, 'c': 0})
    """

    expr: Expr | Sequence[Expr]
    along: Any = "n"
    given: Sequence[tuple[Expr, Any]] = ()

    def decide(self) -> StreamVerdict:
        """Return whether a stream is found and proved, or cannot be."""
        try:
            found = stream(self.expr, self.along, given=self.given)
        except NotStreamable as error:
            return self._refused(error)
        verdicts = found.verdicts
        open_laws = [name for name, verdict in verdicts.items() if not verdict]
        if open_laws:
            return StreamVerdict("unknown", f"a stream is found, but not proved: {', '.join(open_laws)}")
        states = len(found.system.states)
        counted = f"{states} state{'' if states == 1 else 's'} of {found.state_size} numbers"
        return StreamVerdict("proved", f"{counted}, {len(verdicts)} laws proved", found)

    def _refused(self, error: NotStreamable) -> StreamVerdict:
        if error.proved:
            return StreamVerdict("refuted", str(error), factor=error.factor)
        if self.given:  # a point at which the future matters need not satisfy them
            return StreamVerdict("unknown", str(error), factor=error.factor)
        definitions, clock, _ = read(self.expr, self.along)
        for definition in definitions:
            forward, backward = (causality(definition, clock, reverse) for reverse in (False, True))
            if forward.status == backward.status == "refuted":
                reason = f"{definition.name} depends on later tokens, and from the last token on, on earlier ones"
                return StreamVerdict("refuted", reason, None, forward.counterexample, error.factor)
        return StreamVerdict("unknown", str(error), factor=error.factor)


def causality(definition: Definition, clock: Space, reverse: bool = False) -> Verdict:
    """Return the verdict on a definition's being the same with all later tokens set to 0.

    It is so for whatever is causal.  Refuted, the definition is not causal; proved, it is, unless it has gates or
    tensors with declared facts, which are left as they are.

    Parameters
    ----------
    definition : Definition
        With one leg over the space of times, or none.
    clock : Space
        The space of times.
    reverse : bool
        Whether time runs from the last to the first.
    """
    nodes = list(distinct_nodes(definition))
    kept = {node.tensor.name for node in nodes if isinstance(node, Decay)}
    declared = [node.tensor for node in nodes if isinstance(node, Entry) and node.tensor.facts]
    kept |= {name for tensor in declared for name in (tensor.name, tensor.inverse_of or "")}
    now = [leg for leg in definition.legs if leg.space == clock]

    def past(entry: Entry) -> Expr:
        times = [term for term in entry.args if isinstance(term, Index) and term.space == clock]
        pairs = [(now[0], time) if reverse else (time, now[0]) for time in times if now]
        return mul(*(Mask(False, *pair) for pair in pairs), entry)

    def masked(expr: Expr) -> Expr:
        if isinstance(expr, Entry):
            return expr if expr.tensor.name in kept else past(expr)
        children = tuple(map(masked, expr.children()))
        return bind(expr.indices, children[0]) if isinstance(expr, Bind) else expr.with_children(children)

    return prove(definition, Definition(definition.legs, masked(definition.body), definition.name))
