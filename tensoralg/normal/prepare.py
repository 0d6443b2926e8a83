"""Before normalising: one meaning for every name.

Spaces of one name are one space: ordered on one side is ordered on all, declared facts likewise; contradictions
are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tensoralg.errors import FactConflict
from tensoralg.expr.arrays import spaces_mentioned
from tensoralg.expr.nodes import Bind, Decay, Definition, Entry, Expr
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.expr.tensor import Tensor, merge_facts
from tensoralg.spaces import DirectSum, Fused, Index, IndexTerm, Injected, Space, TensorProduct, UnitSpace, VectorSpace

LINE = Space("1", 1)  # what an index over the ground field runs over


def unify(expressions: Iterable[Expr]) -> tuple[list[Expr], dict[str, Tensor]]:
    """Return the expressions with spaces and tensors of one name made equal, and the tensors.

    Raises
    ------
    FactConflict
        If one name has different dimensions, metrics or legs, or contradictory facts.
    """
    given = list(expressions)
    spaces: dict[str, Space] = {}
    uniform = True
    for space in (space for expr in given for space in spaces_in(expr)):
        known = spaces.setdefault(space.name, space.primal)
        if known.dimension != space.dimension or known.metric != space.metric:
            raise FactConflict(
                f"space {space.name} has dimension {known.dimension} and metric {known.metric} in one place, "
                f"dimension {space.dimension} and metric {space.metric} in another",
                remedy="one name is one space",
                space=space.name,
            )
        if known.ordered != space.ordered:
            uniform = False
            spaces[space.name] = replace(known, ordered=True)
    symbols = {id(symbol): symbol for expr in given for symbol in tensors_in(expr)}
    unifier = Respaced(spaces)
    versions: dict[str, dict[Tensor, None]] = {}
    for symbol in symbols.values():
        versions.setdefault(symbol.name, {})[symbol if uniform else unifier.tensor(symbol)] = None
    unifier.merged = {name: merge_facts(found) for name, found in versions.items()}
    if uniform and all(len(found) == 1 for found in versions.values()):
        return given, unifier.merged
    return [unifier.expr(expr) for expr in given], unifier.merged


def tensors_in(expr: Expr) -> list[Tensor]:
    """Return the tensors that an expression mentions, each object once."""
    found = {id(node.tensor): node.tensor for node in distinct_nodes(expr) if isinstance(node, Entry | Decay)}
    return list(found.values())


def spaces_in(expr: Expr) -> Iterator[Space]:
    """Yield every named space that an expression mentions."""
    for space in spaces_mentioned(expr):
        yield from _named(space)


def _named(space: VectorSpace) -> Iterator[Space]:
    if isinstance(space, Space):
        yield space
    elif isinstance(space, UnitSpace):
        yield LINE
    for part in getattr(space, "factors", ()) or getattr(space, "summands", ()):
        yield from _named(part)


@dataclass
class Respaced:
    """Puts other spaces in the place of named ones.

    Attributes
    ----------
    spaces : mapping of str to VectorSpace
        What stands for a space of that name.
    merged : mapping of str to Tensor, optional
        The tensor that stands for each of that name.
    """

    spaces: Mapping[str, VectorSpace]
    merged: Mapping[str, Tensor] | None = None

    def space(self, space: VectorSpace) -> VectorSpace:
        if isinstance(space, Space):
            known = self.spaces[space.name]
            return known.dual if space.is_dual else known
        if isinstance(space, TensorProduct):
            return TensorProduct(tuple(map(self.space, space.factors)))
        if isinstance(space, DirectSum):
            return DirectSum(tuple(map(self.space, space.summands)))
        return space

    def tensor(self, symbol: Tensor) -> Tensor:
        moved = replace(symbol, legs=tuple(map(self.space, symbol.legs)))
        return self.merged[symbol.name] if self.merged is not None else moved

    def index(self, index: Index) -> Index:
        return Index(index.name, self.space(index.space))

    def term(self, term: IndexTerm) -> IndexTerm:
        if isinstance(term, Index):
            return self.index(term)
        if isinstance(term, Fused):
            return Fused(tuple(map(self.term, term.parts)))
        space = self.space(term.space)
        assert isinstance(space, DirectSum)
        return Injected(self.term(term.term), term.position, space)

    def expr(self, expr: Expr) -> Expr:
        children = tuple(map(self.expr, expr.children()))
        if isinstance(expr, Entry):
            return Entry(self.tensor(expr.tensor), tuple(map(self.term, expr.args)))  # type: ignore[no-any-return]
        if isinstance(expr, Decay):
            ends = (x if isinstance(x, str) else self.term(x) for x in (expr.later, expr.earlier))
            return Decay(self.tensor(expr.tensor), *ends, tuple(map(self.term, expr.args)))  # type: ignore[no-any-return]
        if isinstance(expr, Bind):
            return Bind(tuple(map(self.index, expr.indices)), children[0])  # type: ignore[no-any-return]
        if isinstance(expr, Definition):
            return Definition(tuple(map(self.index, expr.legs)), children[0], expr.name)  # type: ignore[no-any-return]
        if expr.index_terms():
            return expr.with_index_terms(tuple(map(self.term, expr.index_terms())))
        return expr.with_children(children)
