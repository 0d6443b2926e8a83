r"""The derivative of an expression with respect to a tensor, as an expression.

For a definition O with legs t and a tensor X with legs a, `derivative` is the partial derivative ``dO[t]/dX[a]`` for
all t and a, and `grad` is what a backward pass computes from an incoming gradient dO (the vector-Jacobian product;
A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, sec. 3.2)::

    dX[a] = sum(t: dO[t] * dO[t]/dX[a])

Both are definitions like any other: they are evaluated, planned, compiled, and compared by `prove` with a backward
pass that was written by hand.

The rules, for x a term and X[i] an entry; every other tensor, and every size, mask, window and delta, is constant:

================ ====================================== =============================================================
term             derivative with respect to X[a]        remark
================ ====================================== =============================================================
``X[i]``         ``delta[i,a]``                         a sum over i then replaces i by a
``x + y, x*y``   sum rule, product rule                 also for a sum over indices
``x^k``          ``k*x^(k-1)*dx``                       k an integer, so quotients too
``exp log sqrt`` ``exp(x)*dx, dx/x, dx/(2*sqrt(x))``    softmax is composed of these
``relu(x)``      ``relu(x)/x*dx``                       1 for x > 0, 0 for x < 0; undefined at 0, as the derivative is
``decay(X)``     ``decay(X)[t,a]*decay(X)[a-1,s]``      of matrices with their legs; ``a - 1`` is the step before a
``X^-1``         ``-X^-1[i,a]*X^-1[b,j]``               of a tensor that is declared the inverse of X
================ ====================================== =============================================================

*The step before.*  ``f[a-1]`` is ``sum(p: lt[p,a]*near[p,a,2]*f[p])``, which is 0 at the first step; nothing divides by
a gate, so gates may vanish.  A gate without a leg in time is the same at every step, and its derivative is the sum of
those at every step.

*Where.*  The derivative is that of O wherever O is defined around X.  It may be defined in more places: ``log(x)``
needs x > 0, and ``1/x`` only x != 0.

*Declared facts.*  Two expressions that agree for all tensors with the declared facts have to have one derivative, so it
is taken along those tensors only.  The symmetric (antisymmetric) ones are a linear space, and the derivative is the
tensor of that space with ``O(X + H) = O(X) + sum(a: dO/dX[a] * H[a]) + o(H)`` for all H in it: that of independent
entries, averaged over the permutations of the legs, with their signs.  (So the derivative of ``X[i,j]`` for a
symmetric X is ``(delta[i,a]*delta[j,b] + delta[i,b]*delta[j,a])/2``.)  The positive tensors are an open set, and a
matrix whose inverse is named stays invertible nearby: there entries are independent.  Isometries, projections and
permutation matrices are no open set of a linear space; with respect to them the derivative is refused.

*Bare spaces.*  The legs of a derivative are over the duals of the legs of X, and those of dO over the duals of O's,
which matters where a space has no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import permutations, product
from math import factorial, prod
from typing import TypeAlias

from tensoralg.errors import BudgetExceeded, InvalidExpression, LegCountMismatch, UnknownName, counted, suggest
from tensoralg.expr.nodes import (
    Add,
    Apply,
    Bind,
    Decay,
    Definition,
    Delta,
    Entry,
    Expr,
    Mask,
    Mul,
    Near,
    Pow,
    add,
    apply,
    as_expr,
    bind,
    mul,
    power,
    reciprocal,
)
from tensoralg.expr.rewrite import distinct_nodes, fresh, names_in, rename_apart, substitute, walk
from tensoralg.expr.tensor import MATRIX_FACTS, Tensor, merge_facts, tensor
from tensoralg.spaces import Index, IndexTerm, VectorSpace, atoms, check_name, split_names

INDICATORS = (Delta, Mask, Near)
MOST_PERMUTATIONS = 720
TWO, HALF = as_expr(2), as_expr(Fraction(1, 2))
SLOPES: dict[str, Callable[[Expr], Expr]] = {
    "exp": lambda x: apply("exp", x),
    "log": reciprocal,
    "sqrt": lambda x: mul(HALF, reciprocal(apply("sqrt", x))),
}

Legs: TypeAlias = tuple[Index, ...]
# sum(indices: deltas * factors); the deltas join indices to the legs of X.  The sums around an entry of X become one
# sum, whose indices are all different, because no index shadows another.
Part: TypeAlias = tuple[tuple[Expr, ...], Legs, tuple[Expr, ...]]


def derivative(expr: Expr, wrt: Tensor | str, *, legs: str | None = None) -> Definition:
    """Return the partial derivative of an expression with respect to the entries of a tensor.

    Parameters
    ----------
    expr : Expr
        A definition, or a term whose free indices are its legs.
    wrt : Tensor or str
        The tensor, or its name; a tensor's declared facts count as well.
    legs : str, optional
        Names for the legs of the tensor, as ``"i j"``; by default the names with which it is written first, with a
        number where they are taken.

    Returns
    -------
    Definition
        Its legs are those of the expression, and then those of the tensor.

    Raises
    ------
    UnknownName
        If there is no such tensor in the expression.
    InvalidExpression
        If the tensor is declared an isometry, a projection or a permutation (see the module).

    Examples
    --------
    >>> import tensoralg as ta
    >>> P = ta.parse("P[s] = softmax(s: x[s])", {"s": "n"})
    >>> J = ta.derivative(P, "x", legs="r")
    >>> J.free
    ('s', 'r')
    >>> ta.prove(J, ta.parse("J[s,r] = delta[s,r]*softmax(s: x[s]) - softmax(s: x[s])*softmax(r: x[r])",
    ...                      {"s,r": "n"})).status
    'proved'
    """
    body, free, name = _opened(expr)
    symbol = _symbol(expr, wrt)
    found = _Differential(symbol, body, free)
    own = _named(found.legs, legs or found.names, {index.name for index in free}, symbol, strict=legs is not None)
    total = substitute(found.total(found.of(body)), dict(zip(found.legs, own, strict=True)))
    return Definition((*free, *own), total, f"d{name}_d{symbol.name}")  # type: ignore[no-any-return]


def grad(expr: Expr, wrt: Tensor | str, cotangent: str | None = None, *, legs: str | None = None) -> Definition:
    """Return the gradient with respect to a tensor, given the gradient of the result: one step of a backward pass.

    Parameters
    ----------
    expr : Expr
        A definition, or a term whose free indices are its legs.
    wrt : Tensor or str
        The tensor, or its name; a tensor's declared facts count as well.
    cotangent : str, optional
        The name of the incoming gradient, a tensor with the legs of the expression: ``dO`` for a definition O.
    legs : str, optional
        Names for the legs of the result, as ``"i j"``; by default those with which the tensor is written first.

    Returns
    -------
    Definition
        ``dX[a] = sum(t: dO[t] * dO[t]/dX[a])``.

    Raises
    ------
    UnknownName
        If there is no such tensor in the expression.
    InvalidExpression
        If the cotangent is called like a tensor of the expression, or the tensor is declared an isometry, a projection
        or a permutation (see the module).

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", {"t,s": "n ordered", "f": "d", "e": "d"})
    >>> print(ta.grad(O, "K"))
    dK[s,f] = sum(t,e: dO[t,e]*le[s,t]*Q[t,f]*V[s,e])
    """
    body, free, name = _opened(expr)
    symbol = _symbol(expr, wrt)
    if cotangent is None:
        cotangent = f"d{name}"
    check_name(cotangent, "a cotangent")
    if cotangent in expr.tensors:
        raise InvalidExpression(
            f"the incoming gradient is called {cotangent}, like a tensor of the expression",
            remedy='give it a name of its own: grad(expr, "X", cotangent="G")',
            tensor=cotangent,
        )
    found = _Differential(symbol, body, free)
    incoming = tensor(cotangent, [_dual_where_bare(index.space) for index in free])[tuple(free)]
    parts = _summed(free, _times(found.of(body), incoming))
    own = _named(found.legs, legs or found.names, set(), symbol, strict=legs is not None)
    total = substitute(found.total(parts), dict(zip(found.legs, own, strict=True)))
    return Definition(own, total, f"d{symbol.name}")  # type: ignore[no-any-return]


class _Differential:
    """The fold that differentiates with respect to one tensor, at the fresh indices `legs`.

    A derivative is a sum of parts ``sum(j..: delta[i,a] * .. * factors)``.  The deltas are kept apart until a sum binds
    their index, which then becomes the leg, or until the end.
    """

    def __init__(self, symbol: Tensor, body: Expr, free: Sequence[Index]) -> None:
        self.symbol, self.body = symbol, body
        self.taken = names_in(body) | {index.name for index in free}
        self.names = _names_written(symbol, body)
        self.legs = tuple(
            self.index(name, _dual_where_bare(leg)) for name, leg in zip(self.names, symbol.legs, strict=True)
        )
        self.images = _images(symbol, self.legs)
        self.inverses = _inverses(symbol, body)
        self.memo: dict[Expr, list[Part]] = {}

    def index(self, name: str, space: VectorSpace) -> Index:
        """Return an index whose name is new."""
        found = Index(fresh(name, self.taken), space)
        self.taken.add(found.name)
        return found

    def of(self, node: Expr) -> list[Part]:
        """Return the derivative of a term as a sum of parts; none if it does not depend on the tensor."""
        if node not in self.memo:
            self.memo[node] = self._parts(node)
        return self.memo[node]

    def total(self, parts: Iterable[Part]) -> Expr:
        """Return the sum of parts as a term."""
        return add(*(mul(*where, bind(indices, mul(*factors))) for where, indices, factors in parts))

    def _parts(self, node: Expr) -> list[Part]:
        if isinstance(node, Entry):
            return self._entry(node)
        if isinstance(node, Decay):
            return self._decay(node)
        if isinstance(node, Add):
            return [part for term in node.terms for part in self.of(term)]
        if isinstance(node, Mul):
            return [
                (where, indices, (*node.factors[:k], *factors, *node.factors[k + 1 :]))
                for k, factor in enumerate(node.factors)
                for where, indices, factors in self.of(factor)
            ]
        if isinstance(node, Bind):
            return _summed(node.indices, self.of(node.summand))
        if isinstance(node, Pow):
            return self._power(node)
        if isinstance(node, Apply):
            return self._apply(node)
        return []

    def _power(self, node: Pow) -> list[Part]:
        # x/z has the derivative dx/z - x/z*dz/z: one factor 1/z for each, so that kernels see weights exp(..)/z
        rest = [node, reciprocal(node.base)] if node.exponent < 0 else [power(node.base, node.exponent - 1)]
        return _times(self.of(node.base), as_expr(node.exponent), *rest)

    def _apply(self, node: Apply) -> list[Part]:
        inner, inside = node.argument, self.of(node.argument)
        if not inside:
            return []
        if node.function != "relu":
            return _times(inside, SLOPES[node.function](inner))
        # relu(m x) = m relu(x) for a mask m; where m is 0, so is the derivative
        parts = inner.factors if isinstance(inner, Mul) else (inner,)
        masks = [factor for factor in parts if isinstance(factor, INDICATORS)]
        inner = mul(*(factor for factor in parts if factor not in masks))
        return _times(self.of(inner), *masks, apply("relu", inner), reciprocal(inner))

    def _entry(self, node: Entry) -> list[Part]:
        if node.tensor.name == self.symbol.name:
            return [
                (tuple(Delta(term, leg) for term, leg in zip(node.args, image, strict=True)), (), (scale,))
                for scale, image in self.images
            ]
        if node.tensor.name not in self.inverses:
            return []
        row, column = node.args
        return [
            ((), (), (as_expr(-1), scale, Entry(node.tensor, (row, a)), Entry(node.tensor, (b, column))))
            for scale, (a, b) in self.images
        ]

    def _decay(self, node: Decay) -> list[Part]:
        if node.tensor.name in self.inverses:
            raise InvalidExpression(
                f"{node} depends on {self.symbol.name} through the inverse {node.tensor.name}, whose decay has no rule",
                remedy=f"use a gate that is not declared an inverse of {self.symbol.name}",
                tensor=self.symbol.name,
            )
        if node.tensor.name != self.symbol.name:
            return []
        if self.symbol.legs:
            return [part for scale, image in self.images for part in self._step(node, image, scale)]
        step = self.index("r", node.clock)
        return _summed((step,), self._step(node, (step,), as_expr(1)))

    def _step(self, node: Decay, image: Legs, scale: Expr) -> list[Part]:
        """Return the derivative of a decay with respect to its gate at the step image[0]."""
        here, *channels = image
        before = self.index("p", here.space)
        where: tuple[Expr, ...] = ()
        left = right = node.args
        if len(node.args) == 2:
            left, right = (node.args[0], channels[0]), (channels[1], node.args[1])
        elif channels:
            where = (Delta(node.args[0], channels[0]),)
        after = (scale, Decay(node.tensor, node.later, here, left))
        link = (Mask(True, before, here), Near(before, here, TWO))
        parts: list[Part] = [(where, (before,), (*after, *link, Decay(node.tensor, before, node.earlier, right)))]
        if isinstance(node.earlier, str):  # before the first step nothing comes: 1, less the steps before this one
            after = (*after, *([Delta(*right)] if len(node.args) == 2 else []))
            parts += [(where, (), after), (where, (before,), (as_expr(-1), *after, *link))]
        return parts


def _times(parts: list[Part], *more: Expr) -> list[Part]:
    return [(where, indices, (*more, *factors)) for where, indices, factors in parts]


def _summed(indices: Sequence[Index], parts: list[Part]) -> list[Part]:
    """Return the sum over more indices; an index that a delta joins to a leg is replaced by that leg."""
    return [_bound((*indices, *inner), where, mul(*factors)) for where, inner, factors in parts]


def _bound(indices: Legs, where: Iterable[Expr], rest: Expr) -> Part:
    left = {index.name: index for index in indices}
    outside: list[Expr] = []
    waiting = list(where)
    while waiting:
        join, *waiting = waiting
        term, leg = join.index_terms()
        if isinstance(term, Index) and term.name in left:
            to: dict[Index, IndexTerm] = {left.pop(term.name): leg}
            rest, *waiting = (substitute(part, to) for part in (rest, *waiting))
        elif any(atom.name in left for atom in atoms(term)):
            rest = mul(join, rest)
        else:
            outside.append(join)
    return tuple(outside), tuple(left.values()), (rest,)


def _opened(expr: object) -> tuple[Expr, Legs, str]:
    """Return the term of an expression, its free indices and its name."""
    if isinstance(expr, list | tuple):
        raise InvalidExpression(
            f"{counted(len(expr), 'definition')} were given, and one is differentiated at a time",
            remedy="differentiate each of them, and add the gradients",
        )
    if not isinstance(expr, Expr):
        raise InvalidExpression(f"{expr!r} is no expression", remedy="give what define, einsum or parse return")
    body = rename_apart(expr.body, set(expr.free))  # a part's indices are summed around all of its factors
    return body, expr.free_indices, getattr(expr, "name", "out")


def _symbol(expr: Expr, wrt: Tensor | str) -> Tensor:
    """Return the tensor of an expression with the given name, with all declared facts."""
    name = wrt.name if isinstance(wrt, Tensor) else wrt
    if not isinstance(name, str):
        raise InvalidExpression(f"{wrt!r} is no tensor", remedy='give a tensor or its name, as in grad(O, "Q")')
    versions = [node.tensor for node in distinct_nodes(expr) if isinstance(node, Entry | Decay)]
    own = [symbol for symbol in versions if symbol.name == name]
    if isinstance(wrt, Tensor) and any(symbol.inverse_of == name for symbol in versions):
        own.append(wrt)
    if not own:
        raise UnknownName(
            f"there is no tensor {name!r} in the expression, so its derivative is 0",
            remedy=suggest(name, expr.tensors),
            name=name,
        )
    symbol = merge_facts([*own, wrt] if isinstance(wrt, Tensor) else own)
    for fact in MATRIX_FACTS:
        if getattr(symbol, fact):
            raise InvalidExpression(
                f"{name} is declared {fact}: such matrices are no open set, so entries have no partial derivatives",
                remedy="use a tensor without the fact, and give what it says as a hypothesis: prove(.., given=[..])",
                tensor=name,
            )
    return symbol


def _dual_where_bare(space: VectorSpace) -> VectorSpace:
    return space if space.metric is not None else space.dual


def _images(symbol: Tensor, legs: Legs) -> list[tuple[Expr, Legs]]:
    """Return the images of the legs under the declared symmetry, each with its weight, a sign over their number."""
    groups = [(group, 1) for group in symbol.symmetric] + [(group, -1) for group in symbol.antisymmetric]
    count = prod(factorial(len(group)) for group, _ in groups)
    if count > MOST_PERMUTATIONS:
        raise BudgetExceeded(
            f"the derivative along the declared symmetry of {symbol.name} is a sum over {count} permutations",
            remedy=f"declare the symmetry of fewer legs, at most {MOST_PERMUTATIONS} permutations",
        )
    found = []
    for chosen in product(*(permutations(group) for group, _ in groups)):
        image, sign = list(legs), 1
        for (group, parity), order in zip(groups, chosen, strict=True):
            swaps = sum(a > b for k, a in enumerate(order) for b in order[k + 1 :])
            sign *= parity**swaps
            for old, new in zip(group, order, strict=True):
                image[old] = legs[new]
        found.append((as_expr(Fraction(sign, count)), tuple(image)))
    return found


def _inverses(symbol: Tensor, body: Expr) -> set[str]:
    """Return the names of the tensors in a term that are declared inverses of one; no more than a step away."""
    tensors = {node.tensor.name: node.tensor for node in distinct_nodes(body) if isinstance(node, Entry | Decay)}
    found = {name for name, other in tensors.items() if name != symbol.name and other.inverse_of == symbol.name}
    found |= {symbol.inverse_of} & set(tensors) if symbol.inverse_of else set()
    for name, other in tensors.items():
        linked = {name, other.inverse_of}
        if symbol.name not in linked and linked & found and other.inverse_of:
            raise InvalidExpression(
                f"{name} depends on {symbol.name} through the inverse of its inverse",
                remedy=f"write {symbol.name} for what is equal to it",
                tensor=name,
            )
    return found


def _names_written(symbol: Tensor, body: Expr) -> list[str]:
    """Return a name for every leg of a tensor: that of the index with which it is written first."""
    for node in walk(body):
        if isinstance(node, Entry | Decay) and node.tensor.name == symbol.name:
            terms: list[object] = list(node.args)
            if isinstance(node, Decay) and symbol.legs:
                terms.insert(0, node.later if not isinstance(node.later, str) else node.earlier)
            return ["r" if isinstance(term, str) else next(atoms(term)).name for term in terms]  # type: ignore[arg-type]
    return [f"i{k}" for k in range(len(symbol.legs))]  # only its inverse is written


def _named(legs: Legs, names: str | Sequence[str], taken: set[str], symbol: Tensor, *, strict: bool) -> Legs:
    """Return legs with the given names; where a name is taken, it is an error if strict, and gets a number if not."""
    wanted = split_names(names, "a leg") if isinstance(names, str) else tuple(names)
    if len(wanted) != len(legs):
        raise LegCountMismatch(
            f"{counted(len(wanted), 'name')} for the {counted(len(legs), 'leg')} of {symbol}",
            remedy="give one name for each leg",
            tensor=symbol.name,
        )
    found: list[Index] = []
    for name, leg in zip(wanted, legs, strict=True):
        used = taken | {index.name for index in found}
        if strict and name in used:
            raise InvalidExpression(
                f"the leg {name} of the derivative with respect to {symbol.name} is called like another leg",
                remedy=f"call it {fresh(name, used)}",
                index=name,
            )
        found.append(Index(fresh(name, used), leg.space))
    return tuple(found)


__all__ = ["derivative", "grad"]
