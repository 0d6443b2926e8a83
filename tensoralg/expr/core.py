"""The ground of the expression language: what every node has, the composed nodes, and their construction.

The base class and the nodes that are made of other nodes live here, because the operators ``+ - * /``
of the one build the other; `tensoralg.expr.nodes` has the whole table.
"""

from __future__ import annotations

import numbers
import operator
import threading
from fractions import Fraction
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import sympy

from tensoralg.errors import IndexConflict, InvalidExpression, UnknownName, suggest
from tensoralg.expr.drawing import to_html, to_svg
from tensoralg.expr.evaluate import evaluate
from tensoralg.expr.hints import not_a_term
from tensoralg.expr.latex import to_latex
from tensoralg.expr.rewrite import rename_apart, walk
from tensoralg.expr.text import to_text
from tensoralg.expr.variance import check_contractions
from tensoralg.spaces import Index, IndexTerm, as_dimension, atoms

FUNCTIONS = ("exp", "log", "sqrt", "relu")
DEEPEST = 128
LARGEST_BITS = 13_000
HIGHEST_POWER = 1_000

_interned: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()
_interning = threading.Lock()


class Arithmetic:
    """What ``+ - * / **`` work on: expressions, and tensors without legs."""

    __slots__ = ()
    __array_ufunc__ = None  # numpy's scalars and arrays leave the operators to this class

    def as_term(self) -> Expr:
        """Return the scalar term that stands for this in arithmetic."""
        raise InvalidExpression(f"{self} cannot be a term of an expression", remedy="use an expression")

    def __add__(self, other: object) -> Expr:
        return add(self.as_term(), as_expr(other))

    def __radd__(self, other: object) -> Expr:
        return add(as_expr(other), self.as_term())

    def __sub__(self, other: object) -> Expr:
        return add(self.as_term(), negate(as_expr(other)))

    def __rsub__(self, other: object) -> Expr:
        return add(as_expr(other), negate(self.as_term()))

    def __mul__(self, other: object) -> Expr:
        return mul(self.as_term(), as_expr(other))

    def __rmul__(self, other: object) -> Expr:
        return mul(as_expr(other), self.as_term())

    def __truediv__(self, other: object) -> Expr:
        return mul(self.as_term(), reciprocal(as_expr(other)))

    def __rtruediv__(self, other: object) -> Expr:
        return mul(as_expr(other), reciprocal(self.as_term()))

    def __neg__(self) -> Expr:
        return negate(self.as_term())

    def __pos__(self) -> Expr:
        return self.as_term()

    def __pow__(self, exponent: object) -> Expr:
        return power(self.as_term(), exponent)

    def __rpow__(self, base: object) -> Expr:
        raise InvalidExpression(f"{base} ** {self}: an exponent has to be an integer", remedy="use ta.exp and ta.log")

    def __matmul__(self, other: object) -> Expr:
        raise InvalidExpression(
            f"@ multiplies spaces, not {self} and {other}",
            remedy="write the product with its indices, as in Q[t, f] * K[s, f], or use ta.einsum",
        )

    __rmatmul__ = __matmul__


class Expr(Arithmetic):
    """A term of the language; see the module's table for the kinds.

    Attributes
    ----------
    free : tuple of str
        Names of the free indices, in order.
    tensors : tuple of str
        Names of the tensors that occur, in the order written, with repetitions.
    """

    __slots__ = ("__weakref__", "_bound", "_depth", "_free")
    kind: ClassVar[str] = "expr"
    _names: ClassVar[tuple[str, ...]] = ()
    _free: tuple[Index, ...]
    _bound: frozenset[str]
    _depth: int

    def __new__(cls, *fields: Any) -> Any:
        key = (cls, *fields)
        found = _interned.get(key)
        if found is None:
            found = object.__new__(cls)
            for name, value in zip(cls._names, fields, strict=True):
                object.__setattr__(found, name, value)
            found._measure()
            object.__setattr__(found, "_free", ())  # for errors that show the node
            object.__setattr__(found, "_free", found._find_free())
            found._check()
            with _interning:
                found = _interned.setdefault(key, found)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"expressions are immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"expressions are immutable: cannot delete {name}")

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

    def _measure(self) -> None:
        """Store how deep the term is and which names it binds; both are asked for at every step of a fold."""
        children = self.children()
        depth = 1 + max((child._depth for child in children), default=0)
        if depth > DEEPEST:
            raise InvalidExpression(
                f"the expression is nested more than {DEEPEST} deep",
                remedy="write it as a flat sum or product, or split it into several definitions",
                depth=depth,
            )
        object.__setattr__(self, "_depth", depth)
        own = frozenset(index.name for index in getattr(self, "indices", ()))
        object.__setattr__(self, "_bound", own.union(*(child._bound for child in children)))

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
        return tuple(node.tensor.name for node in walk(self) if hasattr(node, "tensor"))

    @property
    def body(self) -> Expr:
        """The scalar term itself (of a definition: what it defines)."""
        return self

    def as_term(self) -> Expr:
        """Return the body."""
        return self.body

    def __str__(self) -> str:
        return to_text(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {to_text(self)}>"

    def latex(self) -> str:
        """Return the expression as LaTeX."""
        return to_latex(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {to_latex(self)}$"

    def svg(self) -> str:
        """Return the string diagram as a standalone SVG."""
        return to_svg(self)

    def _repr_html_(self) -> str:
        return to_html(self)

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
        if not indices:
            raise InvalidExpression("the sum names no index", remedy="write .sum(i, j) with the indices to sum over")
        return bind(tuple(self._as_index(index) for index in indices), self.body)

    def _as_index(self, index: Index | str) -> Index:
        if isinstance(index, Index):
            return index
        known = {i.name: i for i in self._free}
        if not isinstance(index, str):
            raise InvalidExpression(f"{index!r} is not an index", remedy=f"give an index or a name: {', '.join(known)}")
        if index not in known:
            raise UnknownName(
                f"there is no free index {index!r} in {self}", remedy=suggest(str(index), known), name=index
            )
        return known[index]


class Number(Expr):
    """A rational number."""

    __slots__ = _names = ("value",)
    kind = "number"
    value: Fraction

    def _check(self) -> None:
        if max(self.value.numerator.bit_length(), self.value.denominator.bit_length()) > LARGEST_BITS:
            raise InvalidExpression(
                f"a number has more than {LARGEST_BITS} bits", remedy="use a scalar tensor for so large a constant"
            )


class Size(Expr):
    """The size of the dimension with the given name."""

    __slots__ = _names = ("name",)
    kind = "size"
    name: str


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
        check_contractions(self)


# construction


def as_expr(value: object) -> Expr:
    """Return `value` as a term: an expression, an exact number, a dimension, or a scalar tensor.

    Raises
    ------
    InvalidExpression
        If it is none of these; floats are refused, because algebra is exact.
    """
    if isinstance(value, Arithmetic):
        return value.as_term()
    if isinstance(value, numbers.Rational) and not isinstance(value, bool):
        return Number(Fraction(int(value.numerator), int(value.denominator)))  # type: ignore[no-any-return]
    if isinstance(value, sympy.Expr):
        return _from_sympy(value)
    raise not_a_term(value)


def _from_sympy(value: sympy.Expr) -> Expr:
    if value.is_Rational:
        return Number(Fraction(int(value.p), int(value.q)))  # type: ignore[no-any-return]
    if value.is_Symbol and value.is_integer and value.is_positive:
        return Size(str(as_dimension(value)))  # type: ignore[no-any-return]
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
    """Return minus the term; of a sum, minus every term of it."""
    if isinstance(term, Add):
        return add(*map(negate, term.terms))
    return mul(Number(Fraction(-1)), term)


def power(base: Expr, exponent: object) -> Expr:
    """Return an integer power of a term; powers of numbers are numbers, and powers of powers are powers.

    Only the reciprocal of a reciprocal stays as it is, because it is undefined where the term is 0.
    """
    base = as_expr(base)
    try:
        count = operator.index(exponent)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidExpression(
            f"{exponent!r} is not an integer exponent", remedy="use sqrt for square roots, exp and log for others"
        ) from None
    if isinstance(exponent, bool) or abs(count) > HIGHEST_POWER:
        raise InvalidExpression(
            f"the exponent {exponent!r} is not an integer between -{HIGHEST_POWER} and {HIGHEST_POWER}",
            remedy="use a smaller power",
        )
    if isinstance(base, Number):
        if base.value == 0 and count < 0:
            raise InvalidExpression("division by zero", remedy="choose a denominator that is not the number 0")
        return Number(base.value**count)  # type: ignore[no-any-return]
    if isinstance(base, Pow) and count not in (0, 1):
        exponent = base.exponent * count
        if base.exponent > 0 or count > 0:
            return power(base.base, exponent)
        return Pow(power(base.base, -exponent), -1)  # type: ignore[no-any-return]
    return Number(Fraction(1)) if count == 0 else base if count == 1 else Pow(base, count)


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
