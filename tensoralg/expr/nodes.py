"""The node types of the expression language: a closed set, immutable, hash-consed, typed when built.

An expression denotes a scalar that depends on its free indices.  The same term is always the same
object, so ``==`` is syntax (what dictionaries need); what is *equal as mathematics* is for `prove`.
Everything that is computed from expressions is a fold: a visitor with one method per node type.

=============== ============================================== =============================
node            fields                                         meaning
=============== ============================================== =============================
Number          value                                          a rational number
Size            name                                           the size of a dimension
Entry           tensor, args                                   an entry of a tensor
Delta           left, right                                    1 where the indices agree
Mask            strict, left, right                            1 where left <= right (<)
Near            left, right, width                             1 where right - width < left <= right
Decay           tensor, later, earlier, args                   path-ordered product of a gate
Add, Mul        terms, factors                                 sum, product
Pow             base, exponent                                 integer power
Apply           function, argument                             exp, log, sqrt, relu
Bind            indices, body                                  sum over the indices
Definition      legs, body, name                               a tensor with these legs
=============== ============================================== =============================
"""

from __future__ import annotations

import numbers
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

import sympy

from tensoralg.errors import (
    IndexConflict,
    InvalidExpression,
    LegCountMismatch,
    SpaceMismatch,
    UnknownName,
    UnorderedSpace,
    suggest,
)
from tensoralg.expr.evaluate import evaluate
from tensoralg.expr.latex import to_latex
from tensoralg.expr.rewrite import rename_apart, substitute, walk
from tensoralg.expr.text import to_text
from tensoralg.spaces import Index, IndexTerm, VectorSpace, as_index_term, atoms, contractible

if TYPE_CHECKING:
    from tensoralg.expr.tensor import Tensor

FUNCTIONS = ("exp", "log", "sqrt", "relu")

_interned: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()


class Expr:
    """A term of the language; see the module's table for the kinds.

    Attributes
    ----------
    free : tuple of str
        Names of the free indices, in order.
    tensors : tuple of str
        Names of the tensors that occur, in the order written, with repetitions.
    """

    __slots__ = ("__weakref__", "_free")
    kind: ClassVar[str] = "expr"
    _names: ClassVar[tuple[str, ...]] = ()
    _free: tuple[Index, ...]

    def __new__(cls, *fields: Any) -> Any:
        key = (cls, *fields)
        found = _interned.get(key)
        if found is None:
            found = object.__new__(cls)
            for name, value in zip(cls._names, fields, strict=True):
                object.__setattr__(found, name, value)
            object.__setattr__(found, "_free", found._find_free())
            found._check()
            _interned[key] = found
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"expressions are immutable: cannot set {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self._names)

    # structure

    def children(self) -> tuple[Expr, ...]:
        """Return the direct subexpressions."""
        return ()

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        """Return the same node over other subexpressions."""
        return self

    def index_terms(self) -> tuple[IndexTerm, ...]:
        """Return the index terms that this node itself mentions, bound ones not included."""
        return ()

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        """Return the same node with other index terms."""
        return self

    def accept(self, visitor: Any) -> Any:
        """Return what the visitor's method for this kind of node returns."""
        return getattr(visitor, self.kind)(self)

    def _find_free(self) -> tuple[Index, ...]:
        own = (atom for term in self.index_terms() for atom in atoms(term))
        below = (index for child in self.children() for index in child._free)
        found: dict[str, Index] = {}
        for index in (*own, *below):
            other = found.setdefault(index.name, index)
            if other.space != index.space:
                raise IndexConflict(
                    f"index {index.name} is used over {other.space} (dimension {other.space.dimension}) and over "
                    f"{index.space} (dimension {index.space.dimension}) in {self}",
                    remedy="use two indices, one for each space",
                    index=index.name,
                    spaces=(other.space, index.space),
                )
        return tuple(found.values())

    def _check(self) -> None:
        """Raise if the node is not well typed."""

    # what users ask for

    @property
    def free_indices(self) -> tuple[Index, ...]:
        """The free indices, in order of first occurrence (of a definition: its legs)."""
        return self._free

    @property
    def free(self) -> tuple[str, ...]:
        """The names of the free indices, in order."""
        return tuple(index.name for index in self.free_indices)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors, in the order written."""
        return tuple(node.tensor.name for node in walk(self) if isinstance(node, Entry | Decay))

    @property
    def body(self) -> Expr:
        """The scalar term itself (of a definition: what it defines)."""
        return self

    def __str__(self) -> str:
        return to_text(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {to_text(self)}>"

    def latex(self) -> str:
        """Return the expression as LaTeX."""
        return to_latex(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {to_latex(self)}$"

    def evaluate(self, sizes: dict[str, int] | None = None, /, **arrays: Any) -> Any:
        """Return the exact value at the given arrays (see `tensoralg.expr.evaluate`)."""
        return evaluate(self, sizes, arrays)

    def sum(self, *indices: Index | str) -> Expr:
        """Return the sum over the given indices (or names of free ones).

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "n")
        >>> i, j = V.indices("i j")
        >>> A = ta.tensor("A", V @ V)
        >>> print(A[i, i].sum(i))
        sum(i: A[i,i])
        """
        return bind(tuple(self._as_index(index) for index in indices), self.body)

    def _as_index(self, index: Index | str) -> Index:
        if isinstance(index, Index):
            return index
        known = {i.name: i for i in self._free}
        if index not in known:
            raise UnknownName(
                f"there is no free index {index!r} in {self}", remedy=suggest(str(index), known), name=index
            )
        return known[index]

    def __add__(self, other: object) -> Expr:
        return add(self, as_expr(other))

    def __radd__(self, other: object) -> Expr:
        return add(as_expr(other), self)

    def __sub__(self, other: object) -> Expr:
        return add(self, negate(as_expr(other)))

    def __rsub__(self, other: object) -> Expr:
        return add(as_expr(other), negate(self))

    def __mul__(self, other: object) -> Expr:
        return mul(self, as_expr(other))

    def __rmul__(self, other: object) -> Expr:
        return mul(as_expr(other), self)

    def __truediv__(self, other: object) -> Expr:
        return mul(self, reciprocal(as_expr(other)))

    def __rtruediv__(self, other: object) -> Expr:
        return mul(as_expr(other), reciprocal(self))

    def __neg__(self) -> Expr:
        return negate(self)

    def __pow__(self, exponent: int) -> Expr:
        return power(self, exponent)


class Number(Expr):
    """A rational number."""

    __slots__ = _names = ("value",)
    kind = "number"
    value: Fraction


class Size(Expr):
    """The size of the dimension with the given name."""

    __slots__ = _names = ("name",)
    kind = "size"
    name: str


class Entry(Expr):
    """An entry of a tensor."""

    __slots__ = _names = ("tensor", "args")
    kind = "entry"
    tensor: Tensor
    args: tuple[IndexTerm, ...]

    @staticmethod
    def of(tensor: Tensor, indices: tuple[object, ...]) -> Entry:
        """Return the entry of `tensor` at `indices`, checked."""
        return Entry(tensor, tuple(as_index_term(i) for i in indices))  # type: ignore[no-any-return]

    def index_terms(self) -> tuple[IndexTerm, ...]:
        return self.args

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Entry(self.tensor, terms)  # type: ignore[no-any-return]

    def _check(self) -> None:
        legs = self.tensor.legs
        if len(legs) != len(self.args):
            raise LegCountMismatch(
                f"tensor {self.tensor} has {len(legs)} legs but got {len(self.args)} indices: {self}",
                remedy=f"give one index for each of {', '.join(map(str, legs)) or 'no legs'}",
                tensor=self.tensor.name,
            )
        for position, (leg, term) in enumerate(zip(legs, self.args, strict=True)):
            if term.space not in (leg, leg.dual):
                raise SpaceMismatch(
                    f"leg {position} of tensor {self.tensor} is over {leg} (dimension {leg.dimension}), "
                    f"but index {term} is over {term.space} (dimension {term.space.dimension})",
                    remedy=f"use an index over {leg}",
                    tensor=self.tensor.name,
                    index=str(term),
                    spaces=(leg, term.space),
                )


class _Relation(Expr):
    """A 0/1 factor that relates two indices of one space."""

    __slots__ = ()
    left: IndexTerm
    right: IndexTerm

    def index_terms(self) -> tuple[IndexTerm, ...]:
        return (self.left, self.right)

    def _check(self) -> None:
        left, right = self.left.space, self.right.space
        if left not in (right, right.dual):
            raise SpaceMismatch(
                f"{self} relates index {self.left} over {left} to index {self.right} over {right}",
                remedy="both indices must be over one space",
                spaces=(left, right),
            )
        if self.kind != "delta" and not (left.ordered and right.ordered):
            raise UnorderedSpace(
                f"{self} needs an order, but the space {left} has none",
                remedy=f"declare it ordered: Space({str(left)!r}, {str(left.dimension)!r}, ordered=True)",
                space=left,
            )


class Delta(_Relation):
    """1 where the two indices agree, else 0."""

    __slots__ = _names = ("left", "right")
    kind = "delta"

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Delta(*terms)  # type: ignore[no-any-return]


class Mask(_Relation):
    """1 where ``left <= right`` (``left < right`` when strict), else 0."""

    __slots__ = _names = ("strict", "left", "right")
    kind = "mask"
    strict: bool

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Mask(self.strict, *terms)  # type: ignore[no-any-return]


class Near(_Relation):
    """1 where ``right - width < left <= right``, else 0; the width is a size."""

    __slots__ = _names = ("left", "right", "width")
    kind = "near"
    width: Expr

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        return Near(*terms, self.width)  # type: ignore[no-any-return]


class Decay(Expr):
    """The path-ordered product of a per-step gate over ``earlier < r <= later``; 0 when earlier > later.

    An end of time may stand for an index: ``"+"`` (the last step) as the later, ``"-"`` (before the
    first step) as the earlier one.
    """

    __slots__ = _names = ("tensor", "later", "earlier", "args")
    kind = "decay"
    tensor: Tensor
    later: IndexTerm | str
    earlier: IndexTerm | str
    args: tuple[IndexTerm, ...]

    @property
    def times(self) -> tuple[IndexTerm, ...]:
        """The time indices that are not ends."""
        return tuple(x for x in (self.later, self.earlier) if not isinstance(x, str))

    def index_terms(self) -> tuple[IndexTerm, ...]:
        return (*self.times, *self.args)

    def with_index_terms(self, terms: tuple[IndexTerm, ...]) -> Expr:
        rest = list(terms)
        later = self.later if isinstance(self.later, str) else rest.pop(0)
        earlier = self.earlier if isinstance(self.earlier, str) else rest.pop(0)
        return Decay(self.tensor, later, earlier, tuple(rest))  # type: ignore[no-any-return]

    def _check(self) -> None:
        if self.later == "-" or self.earlier == "+":
            raise InvalidExpression(
                f"{self} runs from the wrong end", remedy="write decay(a)[t,-], decay(a)[+,s] or decay(a)[+,-]"
            )
        legs = self.tensor.legs
        clock, channels = legs[:1], legs[1:]
        if len(self.args) != len(channels) or len(channels) > 2:
            raise LegCountMismatch(
                f"decay({self.tensor.name}) of the gate {self.tensor} takes two times and {len(channels)} more indices",
                remedy="a gate is a scalar, or has a time leg and up to two more legs: a[], a[n], a[n,f], A[n,f,g]",
                tensor=self.tensor.name,
            )
        for time in self.times:
            if not time.space.ordered:
                raise UnorderedSpace(
                    f"{self} needs an order, but the space {time.space} has none",
                    remedy=f"declare the space {time.space} ordered",
                    space=time.space,
                )
        for leg, term in zip(legs, (*(self.times[:1] if clock else ()), *self.args), strict=False):
            if term.space not in (leg, leg.dual):
                raise SpaceMismatch(
                    f"{self}: the gate {self.tensor} has a leg over {leg}, but index {term} is over {term.space}",
                    remedy=f"use an index over {leg}",
                    spaces=(leg, term.space),
                )


class _Nary(Expr):
    __slots__ = ()

    def children(self) -> tuple[Expr, ...]:
        return getattr(self, self._names[0])  # type: ignore[no-any-return]


class Add(_Nary):
    """A sum of two or more terms, none of which is a sum."""

    __slots__ = _names = ("terms",)
    kind = "add"
    terms: tuple[Expr, ...]

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return add(*children)


class Mul(_Nary):
    """A product of two or more factors, none of which is a product; a number other than 1 comes first."""

    __slots__ = _names = ("factors",)
    kind = "mul"
    factors: tuple[Expr, ...]

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return mul(*children)


class Pow(Expr):
    """An integer power."""

    __slots__ = _names = ("base", "exponent")
    kind = "pow"
    base: Expr
    exponent: int

    def children(self) -> tuple[Expr, ...]:
        return (self.base,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return power(children[0], self.exponent)


class Apply(Expr):
    """A pointwise function of a term."""

    __slots__ = _names = ("function", "argument")
    kind = "apply"
    function: str
    argument: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.argument,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return Apply(self.function, *children)  # type: ignore[no-any-return]


class Bind(Expr):
    """The sum of a term over all values of the given indices."""

    __slots__ = _names = ("indices", "summand")
    kind = "bind"
    indices: tuple[Index, ...]
    summand: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.summand,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return Bind(self.indices, *children)  # type: ignore[no-any-return]

    def _find_free(self) -> tuple[Index, ...]:
        bound = {index.name: index for index in self.indices}
        for index in self.summand._free:
            if index.name in bound and bound[index.name].space != index.space:
                raise IndexConflict(
                    f"the sum over {index.name} in {bound[index.name].space} meets an index of that name over "
                    f"{index.space} in {self}",
                    remedy="use two indices, one for each space",
                    index=index.name,
                    spaces=(bound[index.name].space, index.space),
                )
        return tuple(index for index in self.summand._free if index.name not in bound)

    def _check(self) -> None:
        for index in self.indices:
            if index.space.metric is None:
                for legs in _leg_spaces(self.summand, index):
                    if len(legs) == 1 or len(legs) > 2 or (legs and not contractible(*legs)):
                        raise SpaceMismatch(
                            f"the sum over {index} joins legs over {', '.join(map(str, legs))} in {self}, "
                            f"but {index.space} is a bare space and contracts only with its dual {index.space.dual}",
                            remedy=f"use one leg over {index.space} and one over {index.space.dual}, "
                            "or declare the space with its Euclidean metric",
                            index=index.name,
                            spaces=legs,
                        )


class Definition(Expr):
    """A tensor with the given legs, closed: its value at those indices is the body.

    Examples
    --------
    >>> import tensoralg as ta
    >>> T = ta.Space("T", "n")
    >>> t, s = T.indices("t s")
    >>> A = ta.tensor("A", T @ T)
    >>> square = ta.define((t,), A[t, s] * A[s, t])
    >>> print(square, "|", square[s])
    out[t] = sum(s: A[t,s]*A[s,t]) | sum(s1: A[s,s1]*A[s1,s])
    """

    __slots__ = _names = ("legs", "term", "name")
    kind = "definition"
    legs: tuple[Index, ...]
    term: Expr
    name: str

    def children(self) -> tuple[Expr, ...]:
        return (self.term,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return Definition(self.legs, children[0], self.name)  # type: ignore[no-any-return]

    @property
    def body(self) -> Expr:
        return self.term

    @property
    def free_indices(self) -> tuple[Index, ...]:
        return self.legs

    def _find_free(self) -> tuple[Index, ...]:
        names = [leg.name for leg in self.legs]
        for name in names:
            if names.count(name) > 1:
                raise IndexConflict(
                    f"index {name} names two legs of {self.name}", remedy="name every leg once", index=name
                )
        known = {leg.name: leg for leg in self.legs}
        for index in self.term._free:
            if known.get(index.name) != index:
                raise IndexConflict(
                    f"index {index.name} over {index.space} is free in {self.term} but no leg of {self.name}",
                    remedy="make it a leg or sum over it",
                    index=index.name,
                )
        return self.legs

    def __getitem__(self, indices: object) -> Expr:
        terms = tuple(as_index_term(i) for i in (indices if isinstance(indices, tuple) else (indices,)))
        if len(terms) != len(self.legs):
            raise LegCountMismatch(
                f"{self.name} has {len(self.legs)} legs but got {len(terms)} indices",
                remedy=f"give one index for each of {', '.join(self.free)}",
                tensor=self.name,
            )
        for leg, term in zip(self.legs, terms, strict=True):
            if leg.space not in (term.space, term.space.dual):
                raise SpaceMismatch(
                    f"leg {leg} of {self.name} is over {leg.space}, but index {term} is over {term.space}",
                    remedy=f"use an index over {leg.space}",
                    spaces=(leg.space, term.space),
                )
        return substitute(self.term, dict(zip(self.legs, terms, strict=True)))


# construction


def as_expr(value: object) -> Expr:
    """Return `value` as a term: an expression, an exact number, a dimension, or a scalar tensor.

    Raises
    ------
    InvalidExpression
        If it is none of these; floats are refused, because algebra is exact.
    """
    if isinstance(value, Expr):
        return value.body
    if isinstance(value, numbers.Rational) and not isinstance(value, bool):
        return Number(Fraction(int(value.numerator), int(value.denominator)))  # type: ignore[no-any-return]
    if isinstance(value, sympy.Expr):
        return _from_sympy(value)
    if hasattr(value, "legs") and hasattr(value, "facts"):
        return Entry.of(value, ())  # type: ignore[arg-type]
    hint = (
        f"write Fraction({value!r}) for an exact number"
        if isinstance(value, float)
        else "use expressions, ints or Fractions"
    )
    raise InvalidExpression(f"{value!r} cannot be a term of an expression", remedy=hint)


def _from_sympy(value: sympy.Expr) -> Expr:
    if value.is_Rational:
        return Number(Fraction(int(value.p), int(value.q)))  # type: ignore[no-any-return]
    if value.is_Symbol and value.is_integer and value.is_positive:
        return Size(value.name)  # type: ignore[no-any-return]
    if value.is_Add:
        return add(*map(_from_sympy, value.args))
    if value.is_Mul:
        return mul(*map(_from_sympy, value.args))
    if value.is_Pow and value.exp.is_Integer:
        return power(_from_sympy(value.base), int(value.exp))
    if value.is_Pow and value.exp.is_Rational and value.exp.q == 2:
        return power(Apply("sqrt", _from_sympy(value.base)), int(value.exp.p))
    raise InvalidExpression(
        f"{value} is not a rational function of dimensions", remedy="use dims(), integers, + - * / and sqrt"
    )


def add(*terms: Expr) -> Expr:
    """Return the sum of the terms; nested sums are one sum."""
    flat = tuple(part for term in terms for part in (term.terms if isinstance(term, Add) else (term,)))
    return flat[0] if len(flat) == 1 else Add(flat) if flat else Number(Fraction(0))


def mul(*factors: Expr) -> Expr:
    """Return the product of the factors; nested products are one product and numbers are multiplied."""
    flat = [part for factor in factors for part in (factor.factors if isinstance(factor, Mul) else (factor,))]
    coefficient = Fraction(1)
    rest: list[Expr] = []
    for factor in flat:
        if isinstance(factor, Number):
            coefficient *= factor.value
        else:
            rest.append(factor)
    if coefficient != 1 or not rest:
        rest.insert(0, Number(coefficient))
    return rest[0] if len(rest) == 1 else Mul(tuple(rest))


def negate(term: Expr) -> Expr:
    """Return minus the term, inside a sum term by term."""
    return mul(Number(Fraction(-1)), term)


def power(base: Expr, exponent: object) -> Expr:
    """Return an integer power of a term; the power of a number is a number."""
    base = as_expr(base)
    if not isinstance(exponent, int) or isinstance(exponent, bool):
        raise InvalidExpression(f"{exponent!r} is not an integer exponent", remedy="use sqrt for square roots")
    if isinstance(base, Number):
        if base.value == 0 and exponent < 0:
            raise InvalidExpression("division by zero", remedy="the denominator is the number 0")
        return Number(base.value**exponent)
    return Number(Fraction(1)) if exponent == 0 else base if exponent == 1 else Pow(base, exponent)


def reciprocal(term: Expr) -> Expr:
    """Return one over the term."""
    if isinstance(term, Pow) and term.exponent > 0:
        return power(term.base, -term.exponent)
    return power(term, -1)


def apply(function: str, argument: object) -> Expr:
    """Return a pointwise function of a term."""
    if function not in FUNCTIONS:
        raise UnknownName(f"unknown function {function!r}", remedy=suggest(function, FUNCTIONS), name=function)
    return Apply(function, as_expr(argument))  # type: ignore[no-any-return]


def bind(indices: tuple[Index, ...], body: Expr) -> Expr:
    """Return the sum of `body` over `indices`; inner sums over the same names are renamed apart."""
    if not indices:
        return body
    names = [index.name for index in indices]
    if len(set(names)) < len(names):
        raise IndexConflict(f"the sum over {', '.join(names)} names an index twice", remedy="name every index once")
    return Bind(indices, rename_apart(body, set(names)))  # type: ignore[no-any-return]


def _leg_spaces(expr: Expr, index: Index) -> list[tuple[VectorSpace, ...]]:
    """Return, for each additive alternative, the spaces of the legs at which `index` stands."""
    if index not in expr._free:
        return [()]
    if isinstance(expr, Entry):
        return [tuple(leg for leg, term in zip(expr.tensor.legs, expr.args, strict=True) if index in atoms(term))]
    if isinstance(expr, Delta):
        other = expr.right if index in atoms(expr.left) else expr.left
        return [(other.space.dual,)]
    if isinstance(expr, Add):
        return [legs for term in expr.terms for legs in _leg_spaces(term, index)]
    found: list[tuple[VectorSpace, ...]] = [()]
    for child in expr.children():
        found = [left + right for left in found for right in _leg_spaces(child, index)]
    return found
