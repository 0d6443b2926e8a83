"""Before normalising: one meaning for every name.

Spaces of one name are one space: ordered on one side is ordered on all, declared facts likewise; contradictions
are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tensoralg.errors import FactConflict
from tensoralg.expr.nodes import Bind, Decay, Definition, Entry, Expr
from tensoralg.expr.rewrite import walk
from tensoralg.expr.tensor import Tensor, merge_facts
from tensoralg.spaces import DirectSum, Fused, Index, IndexTerm, Injected, Space, TensorProduct, VectorSpace, atoms


def unify(expressions: Iterable[Expr]) -> tuple[list[Expr], dict[str, Tensor]]:
    """Return the expressions with spaces and tensors of one name made equal, and the tensors.

    Raises
    ------
    FactConflict
        If one name has different dimensions, metrics or legs, or contradictory facts.
    """
    given = list(expressions)
    spaces: dict[str, Space] = {}
    for expr in given:
        for space in spaces_in(expr):
            known = spaces.setdefault(space.name, space.primal)
            if known.dimension != space.dimension or known.metric != space.metric:
                raise FactConflict(
                    f"space {space.name} has dimension {known.dimension} and metric {known.metric} in one place, "
                    f"dimension {space.dimension} and metric {space.metric} in another",
                    remedy="one name is one space",
                    space=space.name,
                )
            spaces[space.name] = replace(known, ordered=known.ordered or space.ordered)
    unifier = _Unifier(spaces)
    versions: dict[str, list[Tensor]] = {}
    for expr in given:
        for node in walk(expr):
            if isinstance(node, Entry | Decay):
                symbol = unifier.tensor(node.tensor)
                if symbol not in versions.setdefault(symbol.name, []):
                    versions[symbol.name].append(symbol)
    unifier.merged = {name: merge_facts(found) for name, found in versions.items()}
    return [unifier.expr(expr) for expr in given], unifier.merged


def spaces_in(expr: Expr) -> Iterator[Space]:
    """Yield every named space that an expression mentions."""
    for node in walk(expr):
        terms: list[VectorSpace] = [a.space for term in node.index_terms() for a in atoms(term)]
        terms += [index.space for index in (*getattr(node, "indices", ()), *getattr(node, "legs", ()))]
        terms += getattr(getattr(node, "tensor", None), "legs", ())
        terms += [term.space for term in node.index_terms()]
        for space in terms:
            yield from _named(space)


def _named(space: VectorSpace) -> Iterator[Space]:
    if isinstance(space, Space):
        yield space
    for part in getattr(space, "factors", ()) or getattr(space, "summands", ()):
        yield from _named(part)


@dataclass
class _Unifier:
    spaces: Mapping[str, Space]
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
