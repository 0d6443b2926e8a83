"""Sums of products rewritten by the distributive law: other graphs of blocks with the same value.

*Factoring* takes an operand that several terms of a sum have in common out of them: with the same array
X in both, its axes on the same labels of the sum or on summed labels (which are then identified),

    sum_i X[i, ..] P[i, ..] + sum_j X[j, ..] R[j, ..]  =  sum_i X[i, ..] (P[i, ..] + R[i, ..]),

so that ``A B C + A D C`` becomes ``A (B + D) C`` in two steps.  *Expanding* is the inverse: a contraction
one of whose operands is a sum of terms becomes a sum of contractions, ``(U V + D) x = U (V x) + D x``.
Neither is better at all sizes, and an additional term can make either worth while, so all graphs within
a few rewrites are planned (at most `MOST_GRAPHS`, nearest first) and their prices compared as those of
any other orders.  Operands that are products themselves are merged into the contraction around them, as
`plan.blocks` reads nested products.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from tensoralg.expr.nodes import Expr, as_expr, mul
from tensoralg.plan.block import ONE, Block, Contract, Operand, Total, rebuilt, whole
from tensoralg.plan.blocks import walk_blocks
from tensoralg.spaces import VectorSpace

MOST_GRAPHS = 12
MOST_TERMS = 12


@dataclass(frozen=True)
class _Term:
    """A scaled product under a sum: factors whose labels are in `spaces`."""

    factors: tuple[Operand, ...]
    scale: Expr

    @property
    def labels(self) -> set[int]:
        return {label for factor in self.factors for label in factor.labels}


Spaces: TypeAlias = "dict[int, VectorSpace]"


def alternatives(root: Block) -> list[Block]:
    """Return graphs with the same value, the given one first.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> O = ta.parse("O[i,k] = A[i,j]*B[j,k] + A[i,j]*C[j,k]", indices={"i,j,k": "n"})
    >>> [type(block).__name__ for block in alternatives(blocks(O)[0])]
    ['Total', 'Contract']
    """
    found = {root: None}
    queue = [root]
    while queue and len(found) < MOST_GRAPHS:
        current = queue.pop(0)
        for block in list(walk_blocks(current)):
            for other in _rewrites(block):
                changed = _with(current, block, other)
                if changed not in found and len(found) < MOST_GRAPHS:
                    found[changed] = None
                    queue.append(changed)
    return list(found)


def _with(root: Block, block: Block, other: Block) -> Block:
    """Return a graph with one block replaced, products inside products merged."""
    return rebuilt(root, lambda current: _merged(other if current == block else current))


def _rewrites(block: Block) -> Iterator[Block]:
    if isinstance(block, Total) and len(block.terms) <= MOST_TERMS:
        yield from _factored(block)
    elif isinstance(block, Contract):
        for position, operand in enumerate(block.factors):
            if isinstance(operand.block, Total) and len(operand.block.terms) <= MOST_TERMS:
                yield _expanded(block, position)


def _merged(block: Block) -> Block:
    """Return a contraction with the products among its operands written out; any other block as it is."""
    if not isinstance(block, Contract):
        return block
    spaces = dict(enumerate(block.spaces))
    factors: list[Operand] = []
    scale = block.scale
    changed = False
    for operand in block.factors:
        inner = operand.block
        if isinstance(inner, Contract) and _covers(inner):
            part = _opened(operand, ONE, spaces)
            factors += part.factors
            scale = mul(scale, part.scale)
            changed = True
        else:
            factors.append(operand)
    return _contraction(_Term(tuple(factors), scale), block.output, spaces) if changed else block


def _covers(contract: Contract) -> bool:
    """Whether every axis of a contraction belongs to an operand, so that none is lost when it is opened."""
    return set(contract.output) <= {label for factor in contract.factors for label in factor.labels}


def _opened(operand: Operand, scale: Expr, spaces: Spaces) -> _Term:
    """Return what is read as a product; the summed labels of a contraction get numbers of their own."""
    block = operand.block
    if not isinstance(block, Contract) or not _covers(block):
        return _Term((operand,), scale)
    label = dict(zip(block.output, operand.labels, strict=True))
    for number, space in enumerate(block.spaces):
        if number not in label:
            label[number] = max(spaces, default=-1) + 1
            spaces[label[number]] = space
    factors = tuple(Operand(f.block, tuple(label[x] for x in f.labels)) for f in block.factors)
    return _Term(factors, mul(scale, block.scale))


def _contraction(term: _Term, output: Sequence[int], spaces: Mapping[int, VectorSpace]) -> Contract:
    """Return a product summed over the labels that are not outputs, labels numbered by first occurrence."""
    number: dict[int, int] = {}
    for label in (*(label for factor in term.factors for label in factor.labels), *output):
        number.setdefault(label, len(number))
    factors = tuple(Operand(f.block, tuple(number[x] for x in f.labels)) for f in term.factors)
    return Contract(factors, tuple(number[x] for x in output), tuple(spaces[x] for x in number), term.scale)


def _expanded(contract: Contract, position: int) -> Total:
    """Return a contraction as the sum of what each term of one of its operands contributes."""
    total = contract.factors[position].block
    assert isinstance(total, Total)
    rest = contract.factors[:position] + contract.factors[position + 1 :]
    terms: list[Operand] = []
    scales: list[Expr] = []
    for term, scale in zip(total.terms, total.scales, strict=True):
        spaces = dict(enumerate(contract.spaces))
        labels = contract.factors[position].labels
        part = _opened(Operand(term.block, tuple(labels[x] for x in term.labels)), scale, spaces)
        product = _Term((*rest, *part.factors), part.scale)
        lost = set(labels) - product.labels - set(contract.output)
        count = [as_expr(spaces[label].dimension) for label in sorted(lost)]
        terms.append(whole(_contraction(_Term(product.factors, ONE), contract.output, spaces)))
        scales.append(mul(part.scale, contract.scale, *count))
    return Total(tuple(terms), tuple(scales), contract.axes)


def _factored(total: Total) -> Iterator[Block]:
    """Yield the sum with one common operand taken out of all terms that have it."""
    spaces = dict(enumerate(total.spaces))
    free = len(total.spaces)
    terms = [_opened(term, scale, spaces) for term, scale in zip(total.terms, total.scales, strict=True)]
    seen: set[tuple[int, ...]] = set()
    for (k, one), (_, other) in combinations(enumerate(terms), 2):
        for factor in one.factors:
            if not any(_same(factor, candidate, free) for candidate in other.factors):
                continue
            having = [(p, match) for p, term in enumerate(terms) if (match := _without(term, factor, free)) is not None]
            mark = (k, one.factors.index(factor), *(p for p, _ in having))
            if mark not in seen and len(having) > 1:
                seen.add(mark)
                yield _taken_out(total, terms, factor, dict(having), spaces)


def _same(factor: Operand, candidate: Operand, free: int) -> dict[int, int] | None:
    """Return the summed labels of a candidate as those of the factor, if it reads the same array alike."""
    if factor.block != candidate.block:
        return None
    names: dict[int, int] = {}
    for mine, theirs in zip(factor.labels, candidate.labels, strict=True):
        if (mine < free or theirs < free) and mine != theirs:
            return None
        if names.setdefault(theirs, mine) != mine:
            return None
    return names if len(set(names.values())) == len(names) else None


def _without(term: _Term, factor: Operand, free: int) -> _Term | None:
    """Return a term without a factor, its labels renamed as those of the factor; None if it has none such."""
    for position, candidate in enumerate(term.factors):
        names = _same(factor, candidate, free)
        if names is not None:
            rest = term.factors[:position] + term.factors[position + 1 :]
            names = _permutation(names)
            renamed = tuple(Operand(f.block, tuple(names.get(x, x) for x in f.labels)) for f in rest)
            return _Term(renamed, term.scale)
    return None


def _permutation(names: Mapping[int, int]) -> dict[int, int]:
    """Return an injective renaming completed to a permutation, so that no two labels become one."""
    before = {new: old for old, new in names.items()}
    complete = dict(names)
    for label in before:
        if label not in names:
            first = label
            while first in before:
                first = before[first]
            complete[label] = first
    return complete


def _taken_out(
    total: Total, terms: Sequence[_Term], factor: Operand, having: Mapping[int, _Term], spaces: Spaces
) -> Block:
    free = len(total.spaces)
    summed = {label for label in factor.labels if label >= free}
    inner = _total([_summed(term, free, summed, spaces) for term in having.values()], spaces)
    output = [label for label in range(free) if label in {*factor.labels, *inner.labels}]
    product = _Term((factor, inner), ONE)
    outside = [_summed(term, free, set(), spaces) for p, term in enumerate(terms) if p not in having]
    if not outside:
        return _contraction(product, range(free), spaces)
    whole_of = (Operand(_contraction(product, output, spaces), tuple(output)), as_expr(1))
    done = _total([whole_of, *outside], spaces)
    if done.labels == tuple(range(free)):
        return done.block
    return _contraction(_Term((done,), ONE), range(free), spaces)


def _summed(term: _Term, free: int, kept: set[int], spaces: Spaces) -> tuple[Operand, Expr]:
    """Return a product summed over its labels that are neither free nor kept, and its scale."""
    output = tuple(sorted(label for label in term.labels if label < free or label in kept))
    if len(term.factors) == 1 and term.labels == set(output):
        return term.factors[0], term.scale
    return Operand(_contraction(_Term(term.factors, ONE), output, spaces), output), term.scale


def _total(parts: Sequence[tuple[Operand, Expr]], spaces: Spaces) -> Operand:
    """Return a sum of scaled arrays, read with their labels."""
    labels = tuple(sorted({label for operand, _ in parts for label in operand.labels}))
    number = {label: k for k, label in enumerate(labels)}
    terms = tuple(Operand(o.block, tuple(number[x] for x in o.labels)) for o, _ in parts)
    return Operand(Total(terms, tuple(scale for _, scale in parts), tuple(spaces[x] for x in labels)), labels)
