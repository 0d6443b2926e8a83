"""Building expressions: masks, functions, definitions and einsum."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tensoralg.errors import InvalidExpression, LegCountMismatch, SpaceMismatch, counted, suggest
from tensoralg.expr.definition import as_legs
from tensoralg.expr.nodes import (
    Apply,
    Decay,
    Definition,
    Delta,
    Expr,
    Mask,
    Near,
    Number,
    add,
    apply,
    as_expr,
    bind,
    mul,
    negate,
    reciprocal,
)
from tensoralg.expr.rewrite import fresh, names_in, substitute
from tensoralg.expr.tensor import Tensor
from tensoralg.spaces import Index, IndexTerm, VectorSpace, as_index_term

ZERO = Number(Fraction(0))


class _Relation:
    """``delta``, ``le`` and ``lt``: written with brackets, like tensors."""

    def __init__(self, name: str, meaning: str) -> None:
        self.name = name
        self.__doc__ = f"``{name}[i, j]``: 1 where {meaning}, else 0."

    def __getitem__(self, indices: tuple[object, object]) -> Expr:
        left, right = _pair(self.name, indices)
        if self.name == "delta":
            return Delta(left, right)  # type: ignore[no-any-return]
        return Mask(self.name == "lt", left, right)  # type: ignore[no-any-return]

    def __call__(self, *indices: object) -> Expr:
        raise InvalidExpression(
            f"{self.name} is written with square brackets", remedy=f"write {self.name}[{', '.join(map(str, indices))}]"
        )

    def __repr__(self) -> str:
        return self.name


def _pair(name: str, indices: object) -> tuple[IndexTerm, IndexTerm]:
    if not isinstance(indices, tuple) or len(indices) != 2:
        raise InvalidExpression(f"{name} takes two indices", remedy=f"write {name}[t, s]")
    return as_index_term(indices[0]), as_index_term(indices[1])


class _Near:
    """``near[s, t, w]``: 1 where t - w < s <= t, else 0; w is a size."""

    def __getitem__(self, arguments: tuple[object, object, object]) -> Expr:
        if not isinstance(arguments, tuple) or len(arguments) != 3:
            raise InvalidExpression("near takes two indices and a width", remedy="write near[s, t, w]")
        left, right = _pair("near", arguments[:2])
        return Near(left, right, as_expr(arguments[2]))  # type: ignore[no-any-return]


delta = _Relation("delta", "i == j")
le = _Relation("le", "i <= j")
lt = _Relation("lt", "i < j")
near = _Near()


class _Path:
    def __init__(self, gate: Tensor) -> None:
        self.gate = gate

    def __getitem__(self, indices: object) -> Expr:
        if not isinstance(indices, tuple) or len(indices) < 2:
            raise InvalidExpression(
                f"decay({self.gate.name}) takes two times", remedy=f'write decay({self.gate.name})[t, s], or "-" for s'
            )
        later, earlier, *rest = indices
        ends = [x if isinstance(x, str) and x in ("+", "-") else as_index_term(x) for x in (later, earlier)]
        return Decay(self.gate, *ends, tuple(as_index_term(r) for r in rest))  # type: ignore[no-any-return]


def decay(gate: Tensor) -> _Path:
    """Return the path-ordered product of a per-step gate: ``decay(a)[t, s]`` is the product over s < r <= t.

    It is 0 for s > t and 1 (the identity) at s = t; ``"-"`` may stand for s and ``"+"`` for t, the ends.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n", ordered=True)
    >>> t, s = T.indices("t s")
    >>> a = ta.tensor("a", T)
    >>> ta.define((t, s), decay(a)[t, s]).evaluate(a=[2, 3, 5]).tolist()
    [[1, 0, 0], [3, 1, 0], [15, 5, 1]]
    """
    if not isinstance(gate, Tensor):
        raise InvalidExpression(
            f"the gate {gate} is not a tensor", remedy="give the tensor without indices, as in decay(a)[t, s]"
        )
    return _Path(gate)


def exp(x: object) -> Expr:
    """Return the exponential of a term."""
    return apply("exp", x)


def log(x: object) -> Expr:
    """Return the natural logarithm of a term."""
    return apply("log", x)


def sqrt(x: object) -> Expr:
    """Return the square root of a term."""
    return apply("sqrt", x)


def relu(x: object) -> Expr:
    """Return the larger of a term and 0."""
    return apply("relu", x)


def maximum(*terms: object) -> Expr:
    """Return the largest of two or more terms, composed from relu: ``max(x, y) = x + relu(y - x)``.

    No node stands for a maximum: it prints as what it is made of, and what is known of relu applies; ``max(x, 0)`` is
    ``relu(x)`` itself.  More terms are composed from the right, which makes the text grow with their number and not
    with a power of it.  The text form is ``max(x, y, ..)``.

    Every summand of the result mentions every index of the terms, so that `define`, which sums around each summand,
    sums the maximum and not its pieces: the term to start from is the first that allows it.  Where none does, as in
    ``maximum(x[t], x[s])``, ones ``delta[s,s]`` are put in.

    Raises
    ------
    InvalidExpression
        If fewer than two terms are given.

    Examples
    --------
    >>> import tensoralg as ta
    >>> t = ta.Space("T", "n").index("t")
    >>> x, y = ta.tensors("x y", t.space)
    >>> largest = ta.define((t,), ta.maximum(x[t], y[t]))
    >>> print(largest)
    out[t] = x[t] + relu(y[t] - x[t])
    >>> largest.evaluate(x=[1, -5], y=[3, -7]).tolist()
    [3, -5]
    """
    return compose_maximum(_several("maximum", terms), summed_by_term=True)


def minimum(*terms: object) -> Expr:
    """Return the smallest of two or more terms: ``min(x, y) = -max(-x, -y)``; see `maximum`.

    The text form is ``min(x, y, ..)``.

    Examples
    --------
    >>> import tensoralg as ta
    >>> t = ta.Space("T", "n").index("t")
    >>> clipped = ta.define((t,), ta.minimum(ta.maximum(ta.tensor("x", t.space)[t], -1), 1))
    >>> clipped.evaluate(x=[-3, 0, 3]).tolist()
    [-1, 0, 1]
    """
    return negate(compose_maximum([negate(term) for term in _several("minimum", terms)], summed_by_term=True))


def compose_maximum(terms: Sequence[Expr], *, summed_by_term: bool = False) -> Expr:
    """Return the maximum of one or more terms, without the ones where nothing sums its summands one by one."""
    rest = [term for term in terms if term != ZERO]
    if len(rest) < len(terms):
        return Apply("relu", compose_maximum(rest)) if rest else ZERO  # type: ignore[no-any-return]
    every = list(dict.fromkeys(index for term in terms for index in term.free_indices))
    even = (k for k, term in enumerate(terms) if all(set(every) <= set(part.free_indices) for part in summands(term)))
    start = next(even, None)
    base = rest.pop(start or 0)
    if not rest:
        return base
    above = Apply("relu", add(compose_maximum(rest), negate(base)))
    if start is None and summed_by_term:
        shared = set(every).intersection(*(part.free_indices for part in summands(base)))
        base = mul(base, *(Delta(index, index) for index in every if index not in shared))
    return add(base, above)


def summands(term: Expr) -> tuple[Expr, ...]:
    """Return the terms of a sum; any other term is its own."""
    return term.children() if term.kind == "add" else (term,)


def _several(name: str, terms: tuple[object, ...]) -> list[Expr]:
    if len(terms) == 1 and isinstance(terms[0], list | tuple):
        raise InvalidExpression(
            f"{name} got one sequence instead of its terms", remedy=f"write them one by one: {name}(x[i], y[i])"
        )
    if len(terms) < 2:
        raise InvalidExpression(
            f"{name} takes two or more terms but got {len(terms)}",
            remedy=f"write {name}(x[i], y[i]); over the values of one index there is no maximum in the language",
        )
    return [as_expr(term) for term in terms]


def softmax(x: object, over: Index | str) -> Expr:
    """Return ``exp(x) / sum(over: exp(x))``; `over` is an index, or the name of a free one.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n")
    >>> t, s = T.indices("t s")
    >>> print(softmax(ta.tensor("A", T @ T)[t, s], over=s))
    exp(A[t,s])/sum(s1: exp(A[t,s1]))
    """
    argument = as_expr(x)
    over = argument._as_index(over)
    inner = Index(fresh(over.name, names_in(argument) | {over.name}), over.space)
    weight = Apply("exp", argument)
    return mul(weight, reciprocal(bind((inner,), substitute(weight, {over: inner}))))


def define(legs: Sequence[Index], body: object, name: str = "out") -> Definition:
    """Close a body into a tensor with the given legs, summing every other index.

    Parameters
    ----------
    legs : sequence of Index
        The legs, in order.
    body : Expr
        A term; an index that is no leg is summed once around each outermost term in which it is free.
    name : str
        The name shown when the definition is printed.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T, F = ta.Space("T", "n"), ta.Space("F", "d")
    >>> (t, s), (f,) = T.indices("t s"), F.indices("f")
    >>> Q, K = ta.tensors("Q K", T @ F)
    >>> print(define((t, s), Q[t, f] * K[s, f], name="score"))
    score[t,s] = sum(f: Q[t,f]*K[s,f])
    """
    kept = as_legs(legs)
    term = as_expr(body)
    names = {leg.name for leg in kept}
    closed = [bind(tuple(i for i in part.free_indices if i.name not in names), part) for part in summands(term)]
    return Definition(kept, add(*closed), name)  # type: ignore[no-any-return]


def einsum(subscripts: str, *operands: Tensor | Definition) -> Definition:
    """Return the tensor that an einsum string says, over tensors or definitions.

    Parameters
    ----------
    subscripts : str
        Indices separated by blanks (``"t f, s f -> t s"``) or single letters (``"tf,sf->ts"``); an
        ellipsis stands for leading batch legs.
    *operands : Tensor or Definition
        One for each group of indices.

    Raises
    ------
    LegCountMismatch, SpaceMismatch
        If the string does not fit the operands.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T, F = ta.Space("T", "n"), ta.Space("F", "d")
    >>> Q, K = ta.tensors("Q K", T @ F)
    >>> print(einsum("t f, s f -> t s", Q, K))
    out[t,s] = sum(f: Q[t,f]*K[s,f])
    """
    if not isinstance(subscripts, str):
        raise InvalidExpression(
            f"the first argument of einsum is a {type(subscripts).__name__}, and no string",
            remedy='the string comes first: "i j, j k -> i k"',
        )
    left, arrow, right = subscripts.partition("->")
    parts = [part.strip() for part in left.split(",")]
    spaced = any(" " in part for part in [*parts, right.strip()])
    groups = [_letters(part, spaced) for part in parts]
    if len(groups) != len(operands):
        raise LegCountMismatch(
            f"{subscripts!r} names {counted(len(groups), 'operand')} but got {len(operands)}",
            remedy="give one for each",
        )
    named = {letter for group in groups for letter in group}
    longest = max((len(operand.legs) for operand in operands if isinstance(operand, Tensor | Definition)), default=0)
    batches: list[str] = []
    for _ in range(longest):
        batches.append(fresh("batch0", named | set(batches)))
    spaces: dict[str, VectorSpace] = {}
    factors = []
    for group, operand in zip(groups, operands, strict=True):
        if not isinstance(operand, Tensor | Definition):
            raise InvalidExpression(
                f"{operand!r} is no operand of an einsum", remedy="give tensors or definitions, without indices"
            )
        legs = operand.legs if isinstance(operand, Tensor) else tuple(leg.space for leg in operand.legs)
        names = _expand(group, legs, operand.name, batches)
        for name, space in zip(names, legs, strict=True):
            known = spaces.setdefault(name, getattr(space, "primal", space))
            if space not in (known, known.dual):
                raise SpaceMismatch(
                    f"index {name} in {subscripts!r} is over {known} and, in {operand.name}, over {space}",
                    remedy="use another index, or declare the legs over one space",
                    index=name,
                    spaces=(known, space),
                )
        factors.append(operand[tuple(Index(name, spaces[name]) for name in names)])
    batch = sorted((name for name in spaces if name in batches), key=batches.index, reverse=True)
    if arrow:
        output = [n for letter in _letters(right.strip(), spaced) for n in (batch if letter == "..." else [letter])]
    else:
        flat = [letter for group in groups for letter in group if letter != "..."]
        output = batch + sorted(letter for letter in set(flat) if flat.count(letter) == 1)
    for name in output:
        if name not in spaces:
            raise InvalidExpression(
                f"output index {name!r} of {subscripts!r} is in no operand",
                remedy=suggest(name, set(spaces) - set(batch)),
                index=name,
            )
    if not set(batch) <= set(output):
        raise InvalidExpression(
            f"the output of {subscripts!r} lacks the ellipsis", remedy="write ... on the right too, or name the legs"
        )
    return define(tuple(Index(name, spaces[name]) for name in output), mul(*factors))


def _letters(part: str, spaced: bool) -> list[str]:
    part = part.replace("...", " ... " if spaced else "…")
    return part.split() if spaced else ["..." if c == "…" else c for c in part]


def _expand(group: list[str], legs: Sequence[object], name: str, batches: Sequence[str]) -> list[str]:
    """Return the group with an ellipsis replaced by names for the batch legs, numbered from the right."""
    missing = len(legs) - len([g for g in group if g != "..."])
    if missing < 0 or group.count("...") > 1 or (missing and "..." not in group):
        raise LegCountMismatch(
            f"{name} has {counted(len(legs), 'leg')} but the string gives it {' '.join(group)!r}",
            remedy="name every leg once; one ellipsis may stand for leading batch legs",
            tensor=name,
        )
    batch = list(reversed(batches[:missing]))
    return [n for letter in group for n in (batch if letter == "..." else [letter])]


__all__ = [
    "decay",
    "define",
    "delta",
    "einsum",
    "exp",
    "le",
    "log",
    "lt",
    "maximum",
    "minimum",
    "near",
    "relu",
    "softmax",
    "sqrt",
]
