"""Before normalising: one meaning for every name, and no composite spaces.

*Unification.*  Spaces of one name are one space: ordered on one side is ordered on all, declared facts
likewise; contradictions are errors.

*Splitting.*  An index over ``V @ W`` is a pair of indices, and a sum over ``V + W`` is a sum over V plus
a sum over W; deltas and masks are rewritten accordingly (lexicographic order on products, summands one
after the other on sums).  A tensor with a leg over ``V + W`` becomes its blocks.  A free index over a
direct sum makes one case for each summand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tensoralg.errors import FactConflict, Undecided
from tensoralg.expr.nodes import (
    Bind,
    Decay,
    Definition,
    Delta,
    Entry,
    Expr,
    Mask,
    Near,
    add,
    as_expr,
    bind,
    mul,
)
from tensoralg.expr.rewrite import fresh, names_in, substitute, walk
from tensoralg.expr.tensor import Tensor, merge_facts
from tensoralg.normal.label import parity
from tensoralg.spaces import (
    DirectSum,
    Fused,
    Index,
    IndexTerm,
    Injected,
    Space,
    TensorProduct,
    VectorSpace,
    atoms,
)


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


def cases(left: Expr, right: Expr, free: tuple[Index, ...]) -> Iterator[tuple[Expr, Expr, tuple[Index, ...]]]:
    """Yield the claim ``left = right`` split into claims whose free indices are over plain spaces."""
    for index in free:
        rest = tuple(i for i in free if i != index)
        taken = names_in(left) | names_in(right) | {i.name for i in free}
        if isinstance(index.space, TensorProduct):
            parts = _parts(index, taken)
            mapping: dict[Index, IndexTerm] = {index: Fused(parts)}
            yield from cases(substitute(left, mapping), substitute(right, mapping), (*parts, *rest))
            return
        if isinstance(index.space, DirectSum):
            for position, summand in enumerate(index.space.summands):
                part = Index(fresh(f"{index.name}_{position}", taken), summand)
                mapping = {index: Injected(part, position, index.space)}
                yield from cases(substitute(left, mapping), substitute(right, mapping), (part, *rest))
            return
    yield split(left), split(right), free


def _parts(index: Index, taken: set[str]) -> tuple[Index, ...]:
    assert isinstance(index.space, TensorProduct)
    parts: list[Index] = []
    for position, factor in enumerate(index.space.factors):
        parts.append(Index(fresh(f"{index.name}_{position}", taken | {p.name for p in parts}), factor))
    return tuple(parts)


def split(expr: Expr) -> Expr:
    """Return an expression without composite bound indices, legs or relations."""
    if isinstance(expr, Bind):
        return _split_bind(expr)
    if isinstance(expr, Entry):
        return _block(expr)
    if isinstance(expr, Delta | Mask):
        return _relation(expr)
    if isinstance(expr, Near | Decay):
        if any(not isinstance(term, Index) or not isinstance(term.space, Space) for term in expr.index_terms()):
            raise Undecided(f"{expr} is over a composite space", remedy="windows and decays run over one ordered space")
        return expr
    return expr.with_children(tuple(map(split, expr.children())))


def _split_bind(expr: Bind) -> Expr:
    for index in expr.indices:
        rest = tuple(i for i in expr.indices if i != index)
        taken = names_in(expr)
        if isinstance(index.space, TensorProduct):
            parts = _parts(index, taken)
            return split(bind((*parts, *rest), substitute(expr.summand, {index: Fused(parts)})))
        if isinstance(index.space, DirectSum):
            terms = []
            for position, summand in enumerate(index.space.summands):
                part = Index(fresh(f"{index.name}_{position}", taken), summand)
                body = substitute(expr.summand, {index: Injected(part, position, index.space)})
                terms.append(split(bind((part, *rest), body)))
            return add(*terms)
        if not isinstance(index.space, Space):
            raise Undecided(f"index {index} is over {index.space}", remedy="sum over named spaces, products and sums")
    return Bind(expr.indices, split(expr.summand))  # type: ignore[no-any-return]


def _flatten(term: IndexTerm) -> tuple[tuple[Index, ...], tuple[int, ...]]:
    """Return the atomic indices of a term and the summand positions that it passes."""
    if isinstance(term, Index):
        if not isinstance(term.space, Space):
            raise Undecided(f"index {term} is over {term.space}", remedy="address the leg by its parts")
        return (term,), ()
    if isinstance(term, Injected):
        indices, path = _flatten(term.term)
        return indices, (term.position, *path)
    flat = [_flatten(part) for part in term.parts]
    return tuple(i for indices, _ in flat for i in indices), tuple(p for _, path in flat for p in (*path, -1))


def _block(expr: Entry) -> Expr:
    if all(isinstance(term, Index) and isinstance(term.space, Space) for term in expr.args):
        return expr
    symbol, sign, args = expr.tensor, 1, list(expr.args)
    paths = [_flatten(term)[1] for term in args]
    for kind in ("symmetric", "antisymmetric"):
        for group in getattr(symbol, kind):
            order = sorted(range(len(group)), key=lambda k, g=group: (paths[g[k]], k))  # type: ignore[misc]
            moved = [args[group[k]] for k in order]
            for slot, term in zip(group, moved, strict=True):
                args[slot] = term
            sign *= parity(order) if kind == "antisymmetric" else 1
    flat = [_flatten(term) for term in args]
    indices = tuple(i for part, _ in flat for i in part)
    starts = [sum(len(part) for part, _ in flat[:k]) for k in range(len(flat))]
    groups = {
        kind: tuple(g for group in getattr(symbol, kind) for g in _equal_blocks(group, flat, starts))
        for kind in ("symmetric", "antisymmetric")
    }
    label = "_".join("".join("x" if p < 0 else str(p) for p in path) or "o" for _, path in flat)
    legs = tuple(leg for term, leg in zip(args, symbol.legs, strict=True) for leg in _leg_parts(term, leg))
    name = f"{symbol.name}.{label}"  # no tensor that a user names holds a dot
    block = Tensor(name, legs, groups["symmetric"], groups["antisymmetric"], positive=symbol.positive)
    return mul(as_expr(sign), Entry(block, indices))


def _leg_parts(term: IndexTerm, leg: VectorSpace) -> tuple[VectorSpace, ...]:
    """Return the atomic spaces of a leg along the summands that an index term chooses."""
    if isinstance(term, Fused) and isinstance(leg, TensorProduct):
        pairs = zip(term.parts, leg.factors, strict=True)
        return tuple(part for inner, factor in pairs for part in _leg_parts(inner, factor))
    if isinstance(term, Injected) and isinstance(leg, DirectSum):
        return _leg_parts(term.term, leg.summands[term.position])
    return (leg,)


def _equal_blocks(
    group: tuple[int, ...], flat: list[tuple[tuple[Index, ...], tuple[int, ...]]], starts: list[int]
) -> Iterator[tuple[int, ...]]:
    """Yield the subgroups of legs that stay (anti)symmetric among themselves: single legs of one block."""
    for path in dict.fromkeys(flat[g][1] for g in group):
        alike = [g for g in group if flat[g][1] == path and len(flat[g][0]) == 1]
        if len(alike) > 1:
            yield tuple(starts[g] for g in alike)


def _relation(expr: Delta | Mask) -> Expr:
    left, right = expr.left, expr.right
    if isinstance(left, Index) and isinstance(right, Index) and isinstance(left.space, Space):
        return expr
    if isinstance(left, Injected) and isinstance(right, Injected):
        if left.position != right.position:
            return as_expr(int(isinstance(expr, Mask) and left.position < right.position))
        return _relation(expr.with_index_terms((left.term, right.term)))  # type: ignore[arg-type]
    if isinstance(left, Fused) and isinstance(right, Fused):
        (head, *tail), (other, *others) = left.parts, right.parts
        same = _relation(Delta(head, other))
        if not tail:
            return _relation(expr.with_index_terms((head, other)))  # type: ignore[arg-type]
        rest = _relation(expr.with_index_terms((_fuse(tail), _fuse(others))))  # type: ignore[arg-type]
        if isinstance(expr, Delta):
            return mul(same, rest)
        return add(_relation(Mask(True, head, other)), mul(same, rest))
    raise Undecided(f"{expr} relates indices of different structure", remedy="address both by their parts")


def _fuse(parts: list[IndexTerm]) -> IndexTerm:
    return parts[0] if len(parts) == 1 else Fused(tuple(parts))
