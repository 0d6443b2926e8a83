"""What an expression computes, as arrays: a graph of blocks that planning prices and lowering obeys.

The axes of a block (see `plan.block`) have no names, so two terms that differ by the names of their
indices are one block and are computed once.  :func:`blocks` reads an expression as a block addressed by
its free indices:

* nested products under sums are flattened into one contraction (their grouping is the planner's choice);
* a delta that identifies a summed index is eliminated;
* a sum over a sum of terms is taken term by term;
* ``exp(x) / sum(s: exp(x))``, with or without masks, is a softmax, and so is ``exp(x) exp(y)`` over its sum;
* a denominator that mentions no summed index divides the finished contraction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tensoralg.errors import InvalidExpression
from tensoralg.expr.nodes import (
    Add,
    Apply,
    Bind,
    Decay,
    Delta,
    Entry,
    Expr,
    Mask,
    Mul,
    Near,
    Number,
    Pow,
    Size,
    add,
    as_expr,
    bind,
    mul,
)
from tensoralg.expr.rewrite import distinct_nodes, rename_apart, substitute
from tensoralg.plan.block import (
    ONE,
    Block,
    Contract,
    Leaf,
    Literal,
    Operand,
    Paths,
    Pointwise,
    Quotient,
    Softmax,
    Split,
    Take,
    Total,
)
from tensoralg.spaces import Fused, Index, IndexTerm, Space, atoms

Named = tuple[Block, tuple[Index, ...]]


def blocks(expr: Expr, flatten: bool = True) -> Named:
    """Return the block that an expression computes, and the free index of each of its axes.

    Parameters
    ----------
    expr : Expr
        The expression.
    flatten : bool
        Without it, a sum inside a product is an operand of its own, as it is written.

    Raises
    ------
    InvalidExpression
        If the expression holds a decay over a direct sum or a product of spaces, which has no array form here.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t] = A[t,s]*x[s]", indices={"t,s": "n"})
    >>> block, names = blocks(O)
    >>> [type(o.block).__name__ for o in block.operands], [i.name for i in names]
    (['Leaf', 'Leaf'], ['t'])
    """
    block, names = _Reader(flatten).read(expr.body)
    wanted = expr.free_indices
    if names == wanted:
        return block, names
    if isinstance(block, Contract) and set(names) == set(wanted):
        return replace(block, output=tuple(block.output[names.index(i)] for i in wanted)), wanted
    return _contract([(block, names)], wanted, ONE), wanted


def has_arrays(expr: Expr) -> bool:
    """Return whether :func:`blocks` can read an expression: no decay runs over a direct sum or a product of spaces.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n", ordered=True)
    >>> [has_arrays(ta.decay(ta.tensor("a", [clock]))["+", "-"]) for clock in (T, T + T)]
    [True, False]
    """
    return all(isinstance(node.clock, Space) for node in distinct_nodes(expr) if isinstance(node, Decay))


def walk_blocks(block: Block) -> Iterator[Block]:
    """Yield every block once, operands before the blocks that read them."""
    seen: set[Block] = set()

    def visit(current: Block) -> Iterator[Block]:
        if current not in seen:
            seen.add(current)
            for operand in current.operands:
                yield from visit(operand.block)
            yield current

    yield from visit(block)


def _factors(expr: Expr) -> list[Expr]:
    return list(expr.factors) if isinstance(expr, Mul) else [expr]


@dataclass(frozen=True)
class _Reader:
    """Reads terms as blocks; with `flat`, products under sums are one contraction with the product around them."""

    flat: bool

    def read(self, expr: Expr) -> Named:
        if isinstance(expr, Entry):
            return _address(Leaf(expr.tensor), list(expr.args))
        if isinstance(expr, Delta | Mask | Near):
            return _literal(expr)
        if isinstance(expr, Decay):
            return _paths(expr)
        if isinstance(expr, Apply):
            inner, names = self.read(expr.argument)
            return Pointwise(expr.function, inner), names
        if isinstance(expr, Pow) and expr.exponent > 0:
            inner, names = self.read(expr.base)
            return Pointwise("pow", inner, expr.exponent), names
        if isinstance(expr, Add):
            return self._total(expr)
        if isinstance(expr, Mul | Bind | Pow | Number | Size):
            return self._network(expr)
        raise InvalidExpression(f"{expr} cannot be planned or lowered", remedy="write it as a term of the language")

    def _total(self, expr: Add) -> Named:
        terms = [self._scaled(term) for term in expr.terms]
        names = tuple(dict.fromkeys(i for _, (_, own) in terms for i in own))
        label = {index: k for k, index in enumerate(names)}
        operands = tuple(Operand(block, tuple(label[i] for i in own)) for _, (block, own) in terms)
        return Total(operands, tuple(scale for scale, _ in terms), tuple(i.space for i in names)), names

    def _scaled(self, term: Expr) -> tuple[Expr, Named]:
        """Return a term as a scale and what it scales (the empty contraction where nothing is left)."""
        scales = [f for f in _factors(term) if _is_scale(f)]
        rest = [f for f in _factors(term) if not _is_scale(f)]
        scale = mul(*scales) if scales else ONE
        if not rest:
            return scale, (Contract((), (), ()), ())
        return scale, self.read(mul(*rest))

    def _network(self, expr: Expr) -> Named:
        """Read a product under sums as one contraction, divided by the denominators that stay outside."""
        factors, bound = self._flatten(expr, set())
        return self._assemble(factors, list({b.name: b for b in bound}.values()))

    def _flatten(self, expr: Expr, taken: set[str]) -> tuple[list[Expr], list[Index]]:
        """Return the factors and the summed indices of nested products and sums, names kept apart."""
        if isinstance(expr, Bind):
            clash = {i.name for i in expr.indices} & taken
            inner = rename_apart(expr, taken) if clash else expr
            assert isinstance(inner, Bind)
            taken |= {i.name for i in inner.indices}
            factors, bound = self._flatten(inner.summand, taken) if self.flat else (_factors(inner.summand), [])
            return factors, [*inner.indices, *bound]
        if isinstance(expr, Mul) and self.flat:
            taken |= {i.name for i in expr.free_indices}
            parts = [self._flatten(factor, taken) for factor in expr.factors]
            return [f for part, _ in parts for f in part], [b for _, part in parts for b in part]
        taken |= {i.name for i in expr.free_indices}
        return _factors(expr), []

    def _assemble(self, factors: list[Expr], bound: list[Index]) -> Named:
        factors, bound = _drop_deltas(factors, bound)
        spread = next((f for f in factors if isinstance(f, Add) and len(factors) == 1), None)
        if spread is not None and bound:
            return self.read(add(*(bind(tuple(bound), term) for term in spread.terms)))
        scales = [f for f in factors if _is_scale(f)]
        rest = [f for f in factors if not _is_scale(f)]
        used = {i for f in rest for i in f.free_indices}
        scales += [as_expr(b.space.dimension) for b in bound if b not in used]
        bound = [b for b in bound if b in used]
        outside = [f for f in rest if _divides(f) and not set(f.free_indices) & set(bound)]
        operands, leftover = self._softmaxes([f for f in rest if f not in outside], outside)
        operands += [self._read_factor(f) for f in leftover[0]]
        # reading a factor may eliminate a delta and with it an index, over which the sum then only counts
        carried = {i for _, names in operands for i in names}
        scales += [as_expr(b.space.dimension) for b in bound if b not in carried]
        bound = [b for b in bound if b in carried]
        output = tuple(i for i in dict.fromkeys(i for _, names in operands for i in names) if i not in bound)
        scale = mul(*scales) if scales else ONE
        result: Named = (_contract(operands, output, scale), output)
        if len(operands) == 1 and scale == ONE and not bound:
            result = operands[0]
        return self._divide(result, leftover[1])

    def _read_factor(self, factor: Expr) -> Named:
        if isinstance(factor, Pow) and factor.exponent < 0:
            inner, names = self.read(factor.base)
            return Pointwise("pow", inner, factor.exponent), names
        return self.read(factor)

    def _softmaxes(self, factors: list[Expr], outside: list[Expr]) -> tuple[list[Named], tuple[list[Expr], list[Expr]]]:
        """Return the softmax operands found, and the factors and denominators that are left."""
        found: list[Named] = []
        factors, outside = list(factors), list(outside)
        for divisor in [*outside, *(f for f in factors if _divides(f))]:
            match = self._softmax_of(divisor, factors)
            if match is None:
                continue
            used, over = match
            for factor in used:
                factors.remove(factor)
            (outside if divisor in outside else factors).remove(divisor)
            found.append(self._softmax_block(used, over))
        return found, (factors, outside)

    def _softmax_of(self, divisor: Expr, factors: list[Expr]) -> tuple[list[Expr], Index] | None:
        """Return the factors that are the numerator of a softmax with this denominator, and its index."""
        if not (isinstance(divisor, Pow) and divisor.exponent == -1 and isinstance(divisor.base, Bind)):
            return None
        inner, parts = divisor.base, divisor.base.summand
        if len(inner.indices) != 1:
            return None
        (hidden,) = inner.indices
        wanted = _factors(parts)
        others = [w for w in wanted if not _is_exponential(w)]
        if len(others) == len(wanted) or any(not isinstance(w, Mask | Near) for w in others):
            return None
        candidates = dict.fromkeys(i for f in factors for i in f.free_indices if i.space == hidden.space)
        for over in candidates:
            if over in divisor.free_indices:
                continue
            needed = [substitute(w, {hidden: over}) for w in wanted]
            if all(any(self._same(n, f) for f in factors) for n in needed):
                return [next(f for f in factors if self._same(n, f)) for n in needed], over
        return None

    def _same(self, left: Expr, right: Expr) -> bool:
        """Whether two terms are equal up to the names of bound indices."""
        return left == right or (
            left.kind == right.kind and set(left.free) == set(right.free) and self._shape(left) == self._shape(right)
        )

    def _shape(self, expr: Expr) -> Named:
        block, names = self.read(expr)
        order = tuple(sorted(names, key=lambda i: i.name))
        return _contract([(block, names)], order, ONE), order

    def _softmax_block(self, used: list[Expr], over: Index) -> Named:
        argument = add(*(f.argument for f in used if isinstance(f, Apply)))
        named = [self.read(argument), *(self.read(f) for f in used if not isinstance(f, Apply))]
        names = tuple(dict.fromkeys(i for _, own in named for i in own))
        label = {index: k for k, index in enumerate(names)}
        argument_of, *masks = (Operand(block, tuple(label[i] for i in own)) for block, own in named)
        return Softmax(argument_of, tuple(masks), label[over], tuple(i.space for i in names)), names

    def _divide(self, numerator: Named, divisors: list[Expr]) -> Named:
        if not divisors:
            return numerator
        below: list[Named] = []
        for divisor in divisors:
            assert isinstance(divisor, Pow)
            inner, names = self.read(divisor.base)
            below.append((inner if divisor.exponent == -1 else Pointwise("pow", inner, -divisor.exponent), names))
        names = tuple(dict.fromkeys(i for _, own in [numerator, *below] for i in own))
        label = {index: k for k, index in enumerate(names)}
        parts = [Operand(block, tuple(label[i] for i in own)) for block, own in [numerator, *below]]
        return Quotient(parts[0], tuple(parts[1:]), tuple(i.space for i in names)), names


def _address(source: Block, terms: list[IndexTerm]) -> Named:
    """Return an array addressed by index terms: composite terms become splits and slices."""
    axis = 0
    while axis < len(terms):
        term = terms[axis]
        if isinstance(term, Fused):
            source = Split(source, axis)
            terms[axis : axis + 1] = term.parts
        elif isinstance(term, Index):
            axis += 1
        else:
            source = Take(source, axis, term.position)
            terms[axis] = term.term
    names = tuple(term for term in terms if isinstance(term, Index))
    if len(set(names)) == len(names):
        return source, names
    distinct = tuple(dict.fromkeys(names))
    return _contract([(source, names)], distinct, ONE), distinct


def _literal(expr: Delta | Mask | Near) -> Named:
    if isinstance(expr, Delta):
        block = Literal("delta", expr.left.space)
    elif isinstance(expr, Mask):
        block = Literal("lt" if expr.strict else "le", expr.left.space)
    else:
        block = Literal("near", expr.left.space, expr.width)
    return _address(block, [expr.left, expr.right])


def _paths(expr: Decay) -> Named:
    if not has_arrays(expr):
        raise InvalidExpression(
            f"{expr} cannot be planned or lowered: it runs over {expr.clock}",
            remedy="decays over direct sums and products are for prove and evaluate; use one space for the time",
        )
    later, earlier = (not isinstance(time, str) for time in (expr.later, expr.earlier))
    return _address(Paths(Leaf(expr.tensor), expr.clock, later, earlier), list(expr.index_terms()))


def _is_scale(expr: Expr) -> bool:
    """Whether a term mentions sizes and numbers only."""
    if isinstance(expr, Entry | Delta | Mask | Near | Bind | Decay):
        return False
    return all(_is_scale(child) for child in expr.children())


def _is_exponential(expr: Expr) -> bool:
    return isinstance(expr, Apply) and bool(expr.function == "exp")


def _divides(factor: Expr) -> bool:
    return isinstance(factor, Pow) and factor.exponent < 0


def _drop_deltas(factors: list[Expr], bound: list[Index]) -> tuple[list[Expr], list[Index]]:
    for position, factor in enumerate(factors):
        if isinstance(factor, Delta) and factor.left != factor.right:
            for gone, kept in ((factor.left, factor.right), (factor.right, factor.left)):
                if isinstance(gone, Index) and gone in bound and gone not in list(atoms(kept)):
                    rest = factors[:position] + factors[position + 1 :]
                    remaining = [b for b in bound if b != gone]
                    return _drop_deltas([substitute(f, {gone: kept}) for f in rest] or [ONE], remaining)
    return factors, bound


def _contract(operands: list[Named], output: tuple[Index, ...], scale: Expr) -> Block:
    """Return the contraction of named operands, labels numbered by first occurrence."""
    label: dict[Index, int] = {}
    for _, names in operands:
        for index in names:
            label.setdefault(index, len(label))
    for index in output:
        if index not in label:
            # the result is constant in a leg that no operand mentions
            label[index] = len(label)
    factors = tuple(Operand(block, tuple(label[i] for i in names)) for block, names in operands)
    return Contract(factors, tuple(label[i] for i in output), tuple(i.space for i in label), scale)
