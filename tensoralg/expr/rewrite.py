"""Folds over expressions that rename and replace indices, never capturing a bound one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tensoralg.errors import InvalidExpression
from tensoralg.spaces import Fused, Index, IndexTerm, Injected, as_index_term, atoms

if TYPE_CHECKING:
    from tensoralg.expr import nodes


def walk(expr: nodes.Expr) -> Iterator[nodes.Expr]:
    """Yield the expression and all subexpressions, outermost first, in the order written."""
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children()))


def distinct_nodes(expr: nodes.Expr) -> Iterator[nodes.Expr]:
    """Yield the expression and its subexpressions in the order written, each once however often it occurs."""
    seen = {expr}
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        new = [child for child in node.children() if child not in seen]
        seen.update(new)
        stack.extend(reversed(new))


def bound_names(expr: nodes.Expr) -> set[str]:
    """Return the names of all bound indices."""
    return set(expr._bound)


def names_in(expr: nodes.Expr) -> set[str]:
    """Return the names of all indices, free and bound."""
    return bound_names(expr) | {index.name for index in expr.free_indices}


def fresh(name: str, taken: Iterable[str]) -> str:
    """Return `name`, or the first of name1, name2, ... that is not taken.

    Examples
    --------
    >>> fresh("s", {"s", "s1"}), fresh("s1", {"s1"})
    ('s2', 's2')
    """
    used = set(taken)
    if name not in used:
        return name
    stem = name.rstrip("0123456789") or name
    return next(c for k in range(1, len(used) + 2) if (c := f"{stem}{k}") not in used)


def _replace_term(term: IndexTerm, mapping: dict[Index, IndexTerm]) -> IndexTerm:
    if isinstance(term, Index):
        return mapping.get(term, term)
    if isinstance(term, Fused):
        return Fused(tuple(_replace_term(part, mapping) for part in term.parts))
    return Injected(_replace_term(term.term, mapping), term.position, term.space)


def substitute(expr: nodes.Expr, mapping: dict[Index, IndexTerm]) -> nodes.Expr:
    """Return the expression with free indices replaced by index terms; bound ones never capture.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> i, j = V.indices("i j")
    >>> A = ta.tensor("A", V @ V)
    >>> print(substitute(A[i, j].sum(j), {i: j}))
    sum(j1: A[j,j1])
    """
    for index, term in mapping.items():
        if not isinstance(index, Index):
            raise InvalidExpression(f"{index!r} is not an index", remedy="map indices to indices, as {s: t}")
        as_index_term(term)
    incoming = {atom.name for term in mapping.values() for atom in atoms(term)}
    return _Substitution(names_in(expr) | incoming).run(expr, mapping)


class _Substitution:
    """One simultaneous substitution, memoised on the subterm and the part of the mapping that it sees."""

    def __init__(self, avoid: set[str]) -> None:
        self.avoid = set(avoid)  # no new name is one of these, so that none shadows an index further out or in
        self.memo: dict[tuple[nodes.Expr, frozenset[tuple[Index, IndexTerm]]], nodes.Expr] = {}

    def run(self, expr: nodes.Expr, mapping: dict[Index, IndexTerm]) -> nodes.Expr:
        relevant = {i: mapping[i] for i in expr.free_indices if i in mapping and mapping[i] != i}
        if not relevant:
            return expr
        key = (expr, frozenset(relevant.items()))
        if key not in self.memo:
            self.memo[key] = self._rebuild(expr, relevant)
        return self.memo[key]

    def _rebuild(self, expr: nodes.Expr, mapping: dict[Index, IndexTerm]) -> nodes.Expr:
        if expr.kind == "bind":
            incoming = {atom.name for term in mapping.values() for atom in atoms(term)}
            clash = incoming & _bound_here(expr)
            if clash:
                expr = _rename_binder(expr, clash, self.avoid)
                self.avoid |= _bound_here(expr)  # two binders that clash, one inside the other, get two new names
        if expr.kind == "definition":
            return _with_legs(expr, mapping)
        if expr.index_terms():
            expr = expr.with_index_terms(tuple(_replace_term(t, mapping) for t in expr.index_terms()))
        return expr.with_children(tuple(self.run(child, mapping) for child in expr.children()))


def _with_legs(expr: nodes.Expr, mapping: dict[Index, IndexTerm]) -> nodes.Expr:
    """Return a definition with renamed legs; a leg stays an index."""
    images = [mapping.get(leg, leg) for leg in expr.free_indices]
    for image in images:
        if not isinstance(image, Index):
            raise InvalidExpression(
                f"a leg of {getattr(expr, 'name')} cannot become {image}",  # noqa: B009
                remedy="address the definition with it instead, as O[t, (h, e)]",
            )
    return type(expr)(tuple(images), substitute(expr.body, mapping), getattr(expr, "name"))  # type: ignore[no-any-return]  # noqa: B009


def _bound_here(expr: nodes.Expr) -> set[str]:
    return {index.name for index in getattr(expr, "indices", ())}


def _rename_binder(expr: nodes.Expr, clash: set[str], taken: set[str]) -> nodes.Expr:
    renamed: dict[Index, IndexTerm] = {}
    used = set(taken)
    bound: tuple[Index, ...] = getattr(expr, "indices")  # noqa: B009
    for index in bound:
        if index.name in clash:
            renamed[index] = Index(fresh(index.name, used), index.space)
            used.add(str(renamed[index]))
    indices = tuple(renamed.get(index, index) for index in bound)
    return type(expr)(indices, substitute(expr.children()[0], renamed))  # type: ignore[no-any-return]


def rename_apart(expr: nodes.Expr, taken: set[str]) -> nodes.Expr:
    """Return the expression with its bound indices renamed so that none is called a name in `taken`."""
    return _renamed_apart(expr, taken, taken | names_in(expr), {}) if expr._bound & taken else expr


def _renamed_apart(
    expr: nodes.Expr, taken: set[str], avoid: set[str], memo: dict[nodes.Expr, nodes.Expr]
) -> nodes.Expr:
    if not expr._bound & taken:
        return expr
    if expr not in memo:  # what was equal stays equal
        found = expr.with_children(tuple(_renamed_apart(child, taken, avoid, memo) for child in expr.children()))
        if clash := _bound_here(found) & taken:
            found = _rename_binder(found, clash, avoid)
            avoid.update(found._bound)  # two binders of one new name would be renamed again, perhaps to a taken one
        memo[expr] = found
    return memo[expr]


def one_space_per_name(expr: nodes.Expr) -> nodes.Expr:
    """Return the expression with bound indices renamed so that no name stands for indices over two spaces."""
    spaces = {index.name: index.space for index in expr._free}
    bound = [index for node in distinct_nodes(expr) for index in getattr(node, "indices", ())]
    if not [index for index in bound if spaces.setdefault(index.name, index.space) != index.space]:
        return expr
    avoid = names_in(expr)

    def rebuild(node: nodes.Expr) -> nodes.Expr:
        node = node.with_children(tuple(map(rebuild, node.children())))
        clash = {index.name for index in getattr(node, "indices", ()) if spaces[index.name] != index.space}
        if clash:
            node = _rename_binder(node, clash, avoid)
            avoid.update(names_in(node))
            spaces.update({index.name: index.space for index in getattr(node, "indices")})  # noqa: B009
        return node

    return rebuild(expr)
