"""Multilinear maps between spaces, held as expressions in their arguments.

A map ``f : V_1 x ... x V_k -> W`` is a tensor in W (the value) written with one symbolic vector for
each source (the arguments), as ``score[] = sum(a,b: B[a,b]*q[a]*k[b])``.  Composition is substitution.
The *entries* of f are its values at basis vectors,

    F[i_1, ..., i_k, o] = f(e_{i_1}, ..., e_{i_k})[o].

f is multilinear if and only if ``f(.., c x + y, ..) = c f(.., x, ..) + f(.., y, ..)`` in each argument;
`MultilinearMap.check` decides that with `prove`.  Multilinear maps with the same entries are equal
(N. Bourbaki, *Algebra I*, II.3 and III.5).  Spaces are held as `tensoralg.universal.carrier` says; where
they contain symmetric or exterior powers, the entries are those of ``P_W f (P_1 x ... x P_k)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tensoralg.errors import InvalidExpression, LegCountMismatch, NotMultilinear, SpaceMismatch, counted
from tensoralg.expr import Definition, Expr, Tensor, define, delta, tensor, walk
from tensoralg.expr.drawing import map_svg, notebook
from tensoralg.expr.nodes import as_expr, bind, mul
from tensoralg.expr.rewrite import fresh, names_in, rename_apart
from tensoralg.proof import Verdict, prove
from tensoralg.spaces import Index, IndexTerm, VectorSpace, as_space
from tensoralg.universal.carrier import Legs, Names, carrier, has_powers, product_of, projection
from tensoralg.universal.substitution import Reading, as_definition, substitute_tensors, without_deltas
from tensoralg.universal.written import held_legs, reading_held, value_held

if TYPE_CHECKING:
    from tensoralg.universal.linear import LinearMap


@dataclass(frozen=True, repr=False)
class MultilinearMap:
    """A map that is to be linear in each of its arguments; `check` decides whether it is.

    Parameters
    ----------
    arguments : Tensor or sequence of Tensor
        The symbolic vectors, one for each source.
    value : Definition
        The value, written in the arguments.
    sources : sequence of VectorSpace, optional
        The spaces of the arguments; without it, the products of their legs.
    target : VectorSpace, optional
        The space of the value; without it, the product of its legs.
    exact : bool or (bool, bool)
        Whether the value is known to depend on the arguments only through their projections onto the sources, and
        whether it is known to be in the target; that matters where these contain powers.

    Raises
    ------
    SpaceMismatch
        If a vector of a source, or of the target, does not have the legs of its tensor.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "d")
    >>> a, b = V.indices("a b")
    >>> q, k = ta.tensors("q k", V)
    >>> B = ta.tensor("B", V @ V)
    >>> score = MultilinearMap((q, k), ta.define((), B[a, b] * q[a] * k[b], name="score"))
    >>> print(score)
    score : V x V -> 1
    >>> print(score.entries())
    score[i1,i2] = B[i1,i2]
    """

    arguments: tuple[Tensor, ...]
    value: Definition
    sources: tuple[VectorSpace, ...] = ()
    target: VectorSpace = field(default=None)  # type: ignore[assignment]
    exact: Any = field(default=False, kw_only=True, compare=False, repr=False)

    def __post_init__(self) -> None:
        given = (self.arguments,) if isinstance(self.arguments, Tensor) else tuple(self.arguments)
        known = {argument.name: argument for argument in given}
        if len(known) < len(given):
            raise InvalidExpression("two arguments of a map have one name", remedy="give each argument its own name")
        for used in tensors_in(self.value):
            if used.name in known and used.legs != known[used.name].legs:
                raise SpaceMismatch(
                    f"the argument {known[used.name]} is used as {used} in {self.value}",
                    remedy="one name has the same legs everywhere",
                    spaces=(known[used.name].legs, used.legs),
                )
        sources = tuple(map(as_space, self.sources)) or tuple(product_of(argument.legs) for argument in given)
        written = product_of([leg.space for leg in self.value.legs])
        target = written if self.target is None else as_space(self.target)
        if len(sources) != len(given):
            raise LegCountMismatch(
                f"{counted(len(given), 'argument')} and {counted(len(sources), 'source')}", remedy="give one for each"
            )
        held = tuple(tensor(a.name, held_legs(a.name, a.legs, s)) for a, s in zip(given, sources, strict=True))
        changed = {a.name: reading_held(a.legs, b) for a, b in zip(given, held, strict=True) if a.legs != b.legs}
        value: Any = substitute_tensors(self.value, changed) if changed else self.value
        object.__setattr__(self, "arguments", held)
        object.__setattr__(self, "value", value_held(value, target))
        object.__setattr__(self, "sources", sources)
        object.__setattr__(self, "target", target)
        before, after = self.exact if isinstance(self.exact, tuple) else (self.exact, self.exact)
        sure = before or not any(map(has_powers, sources)), after or not has_powers(target)
        object.__setattr__(self, "exact", sure)

    def __str__(self) -> str:
        return f"{self.value.name} : {' x '.join(map(str, self.sources)) or '1'} -> {self.target}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def svg(self) -> str:
        """Return the map as a string diagram: arguments at the left, the value at the right."""
        return map_svg(self.arguments, self.value)

    def latex(self) -> str:
        """Return the value as LaTeX."""
        return self.value.latex()

    def _repr_html_(self) -> str:
        return notebook(self.value, self.svg())

    def __call__(self, *vectors: Tensor | Definition) -> Definition:
        """Return the value at the given vectors.

        Raises
        ------
        LegCountMismatch
            If the number of vectors is not the number of arguments.
        SpaceMismatch
            If a vector is not in the source.
        """
        if len(vectors) != len(self.arguments):
            raise LegCountMismatch(
                f"{self} takes {counted(len(self.arguments), 'argument')} but got {len(vectors)}",
                remedy="give one for each",
            )
        readings: dict[str, Reading] = {}
        for argument, source, vector in zip(self.arguments, self.sources, map(as_definition, vectors), strict=True):
            legs = tuple(leg.space for leg in vector.legs)
            if tuple(leg for written in legs for leg in carrier(written)) != argument.legs:
                raise SpaceMismatch(
                    f"{self} wants {argument.name} in {source}, but {vector.name} is in {show_legs(legs)}",
                    remedy=f"give a vector in {source}",
                    spaces=(source, legs),
                )
            held = value_held(vector, product_of(legs))
            readings[argument.name] = (held if self.exact[0] else projected(held, source)).__getitem__
        value = self._read(readings)
        return value if self.exact[1] else projected(value, self.target)

    def _read(self, readings: Mapping[str, Reading], parameters: Sequence[Index] = ()) -> Definition:
        """Return the value with the arguments read otherwise, with the legs that the readings add."""
        legs = (*parameters, *self.value.legs)
        names = {leg.name for leg in legs}
        term = substitute_tensors(rename_apart(self.value.term, names), readings)
        return Definition(legs, rename_apart(term, names), self.value.name)  # type: ignore[no-any-return]

    def entries(self) -> Definition:
        """Return the values at basis vectors: the legs of the sources, in order, then those of the target."""
        legs = [leg for argument in self.arguments for leg in argument.legs]
        fixed = fresh_indices("i", [dual_leg(leg) for leg in legs], set(self.value.free))
        rest = iter(fixed)
        basis = {argument.name: _basis_vector([next(rest) for _ in argument.legs]) for argument in self.arguments}
        raw = without_deltas(self._read(basis, fixed))
        assert isinstance(raw, Definition)
        return raw if all(self.exact) else self._projected_entries(raw)

    def _projected_entries(self, raw: Definition) -> Definition:
        names = Names(names_in(raw))
        inner, bound, factors, start = list(raw.legs), [], [], 0
        for space, exact in (*((source, self.exact[0]) for source in self.sources), (self.target, self.exact[1])):
            stop = start + len(carrier(space))
            if not exact and has_powers(space):
                outer = tuple(inner[start:stop])
                inner[start:stop] = names.indices("b", [leg.space for leg in outer])
                bound += inner[start:stop]
                factors.append(projection(space, tuple(inner[start:stop]), outer, names))
            start = stop
        return define(raw.legs, bind(tuple(bound), mul(raw[tuple(inner)], *factors)), raw.name)

    def equals(
        self, other: MultilinearMap, given: Sequence[tuple[Any, Any]] = (), sizes: Mapping[str, int] | None = None
    ) -> Verdict:
        """Return the verdict on whether two maps between the same spaces are equal.

        Raises
        ------
        SpaceMismatch
            If their sources or targets differ.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "n")
        >>> f, g = ta.LinearMap.generic("f", V, V), ta.LinearMap.generic("g", V, V)
        >>> (f >> g).equals(g >> f).status
        'refuted'
        """
        self._like(as_map(other))
        mine, theirs = self.entries(), other.entries()
        return prove(mine, define(mine.legs, theirs[mine.legs], theirs.name), given=list(given), sizes=sizes)

    def _like(self, other: MultilinearMap) -> None:
        if (self.sources, self.target) != (other.sources, other.target):
            raise SpaceMismatch(
                f"{self} and {other} are maps between different spaces",
                remedy="compare and add maps with the same sources and target; associators and braidings are maps too",
                spaces=((*self.sources, self.target), (*other.sources, other.target)),
            )

    def check(self) -> None:
        """Raise unless the map is linear in each of its arguments.

        Raises
        ------
        NotMultilinear
            With the argument, the verdict and the witness as attributes.
        """
        taken = {used.name for used in tensors_in(self.value)} | {a.name for a in self.arguments}
        scale = tensor(fresh("c", taken), ())
        for argument in self.arguments:
            x, y = (tensor(fresh(name, taken | {scale.name}), argument.legs) for name in ("x", "y"))
            mixed = self._read({argument.name: lambda at, x=x, y=y: scale[()] * x[at] + y[at]})  # type: ignore[misc]
            apart = [self._read({argument.name: vector.__getitem__}) for vector in (x, y)]
            verdict = prove(mixed, define(mixed.legs, scale[()] * apart[0].term + apart[1].term))
            if not verdict:
                raise NotMultilinear(
                    f"{self} is not shown to be linear in {argument.name} ({verdict.status}): its value at "
                    f"{scale.name}*{x.name} + {y.name}\n{verdict.explain()}",
                    remedy="factor a map that is linear in each argument",
                    map=self,
                    argument=argument.name,
                    verdict=verdict,
                    counterexample=verdict.counterexample,
                )

    def __rshift__(self, after: LinearMap) -> Self:
        """Return `after` applied to the value of this map: first this one, then the other.

        Raises
        ------
        SpaceMismatch
            If the source of the second map is not the target of the first.
        LegCountMismatch
            If the second map does not have one argument.
        """
        if len(as_map(after).arguments) != 1:
            raise LegCountMismatch(
                f"cannot compose {after} after {self}: it takes {counted(len(after.arguments), 'argument')}",
                remedy="compose with a linear map, or factor the second map through its tensor product first",
            )
        if after.sources[0] != self.target:
            raise _not_composable(self, after)
        apart = self._apart(after._constants())
        middle = apart.value if self.exact[1] or after.exact[0] else projected(apart.value, self.target)
        value = after._read({after.arguments[0].name: middle.__getitem__})
        return type(self)(apart.arguments, value, self.sources, after.target, exact=(self.exact[0], after.exact[1]))

    def _renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same map with its arguments renamed."""
        arguments = tuple(tensor(names.get(a.name, a.name), a.legs) for a in self.arguments)
        value = self._read({old.name: new.__getitem__ for old, new in zip(self.arguments, arguments, strict=True)})
        return type(self)(arguments, value, self.sources, self.target, exact=self.exact)

    def _constants(self) -> set[str]:
        """Return the names of the tensors in the value that are no arguments."""
        return {used.name for used in tensors_in(self.value)} - {a.name for a in self.arguments}

    def _apart(self, taken: set[str]) -> Self:
        """Return the same map with its arguments renamed so that none is called a name in `taken`."""
        used = taken | self._constants() | {a.name for a in self.arguments}
        names: dict[str, str] = {}
        for argument in self.arguments:
            if argument.name in taken:
                names[argument.name] = fresh(argument.name, used)
                used.add(names[argument.name])
        return self._renamed(names) if names else self

    def __add__(self, other: object) -> Self:
        """Return the pointwise sum of two maps between the same spaces."""
        second = as_map(other)
        self._like(second)
        one = self._apart(second._constants())
        two = second._renamed({a.name: b.name for a, b in zip(second.arguments, one.arguments, strict=True)})
        value = define(one.value.legs, one.value.term + two.value[one.value.legs], one.value.name)
        return type(self)(one.arguments, value, self.sources, self.target, exact=tuple(map(min, one.exact, two.exact)))

    def __mul__(self, number: object) -> Self:
        """Return the map times a number or a scalar expression."""
        scale = as_expr(number)
        own = self._apart({used.name for used in tensors_in(scale)})
        value = define(own.value.legs, scale * own.value.term, own.value.name)
        return type(self)(own.arguments, value, self.sources, self.target, exact=self.exact)

    __rmul__ = __mul__

    def __truediv__(self, number: object) -> Self:
        """Return the map divided by a number or a scalar expression."""
        return self * (1 / as_expr(number))

    def __radd__(self, other: object) -> Self:
        """Return the map itself added to 0, so that `sum` adds maps."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __neg__(self) -> Self:
        return self * -1

    def __sub__(self, other: object) -> Self:
        return self + -as_map(other)

    def named(self, name: str) -> Self:
        """Return the same map under another name."""
        value = define(self.value.legs, self.value.term, name)
        return type(self)(self.arguments, value, self.sources, self.target, exact=self.exact)


def as_map(value: object) -> MultilinearMap:
    """Return `value`, which has to be a map.

    Raises
    ------
    InvalidExpression
        If it is none.
    """
    if not isinstance(value, MultilinearMap):
        shown = value if isinstance(value, VectorSpace | Tensor | Expr) else repr(value)
        raise InvalidExpression(
            f"{shown} is not a map", remedy='make one with LinearMap.generic("f", V, W)', value=value
        )
    return value


def projected(vector: Definition, space: VectorSpace) -> Definition:
    """Return the projection of a held tensor onto the space that it is to be in."""
    if not has_powers(space):
        return vector
    names = Names(names_in(vector))
    inner = names.indices("b", [leg.space for leg in vector.legs])
    entries = projection(space, tuple(vector.legs), inner, names)
    return define(vector.legs, bind(inner, mul(entries, vector[inner])), vector.name)


def from_entries(
    sources: Sequence[VectorSpace],
    target: VectorSpace,
    entries: Callable[[tuple[tuple[Index, ...], ...], tuple[Index, ...], Names], Expr],
    name: str,
    taken: Sequence[str] = (),
    outputs: Sequence[Index] | None = None,
) -> tuple[tuple[Tensor, ...], Definition]:
    """Return arguments and value of the multilinear map with the given entries.

    Parameters
    ----------
    sources, target : VectorSpace
    entries : callable
        From one tuple of indices for each source, those of the target, and a supply of names, to the entry there.
    name : str
        Of the value.
    taken : sequence of str
        Names that no argument may have.
    outputs : sequence of Index, optional
        The legs of the value, if they are to have certain names.
    """
    spaces = tuple(map(as_space, sources))
    stem = "x{}" if len(sources) > 1 else "x"
    arguments: list[Tensor] = []
    for k, source in enumerate(spaces, start=1):
        arguments.append(tensor(fresh(stem.format(k), {*taken, *(a.name for a in arguments)}), carrier(source)))
    names = Names(index.name for index in outputs or ())
    inputs = tuple(names.indices("i", argument.legs) for argument in arguments)
    legs = names.indices("o", carrier(as_space(target))) if outputs is None else tuple(outputs)
    body = entries(inputs, legs, names)
    vectors = [argument[own] for argument, own in zip(arguments, inputs, strict=True)]
    summed = bind(tuple(i for own in inputs for i in own), mul(body, *vectors)) if body != as_expr(0) else body
    value = without_deltas(define(legs, summed, name))
    assert isinstance(value, Definition)
    return tuple(arguments), value


def generic_multilinear(name: str, sources: Sequence[VectorSpace], target: VectorSpace) -> MultilinearMap:
    """Return the multilinear map whose entries are the generic tensor `name`.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> print(generic_multilinear("F", (V, V), ta.Unit).value)
    F[] = sum(i1,i2: F[i1,i2]*x1[i1]*x2[i2])
    """
    return MultilinearMap(*generic_parts(name, sources, target), tuple(sources), target)


def generic_parts(
    name: str, sources: Sequence[VectorSpace], target: VectorSpace
) -> tuple[tuple[Tensor, ...], Definition]:
    """Return arguments and value of the multilinear map whose entries are the generic tensor `name`."""
    if name in {f"x{k}" for k in range(1, len(sources) + 1)} | {"x"}:
        raise InvalidExpression(f"{name} names an argument of a generic map", remedy="give its entries another name")
    legs = [dual_leg(leg) for source in sources for leg in carrier(as_space(source))]
    symbol = tensor(name, (*legs, *carrier(as_space(target))))
    flat = lambda inputs, outputs, _: symbol[(*(i for own in inputs for i in own), *outputs)]  # noqa: E731
    return from_entries(sources, target, flat, name, taken=(name,))


def dual_leg(leg: VectorSpace) -> VectorSpace:
    """Return where the entries of a linear form on `leg` live: its dual, which a metric identifies with it."""
    return leg if leg.metric else leg.dual


def fresh_indices(stem: str, spaces: Sequence[VectorSpace], taken: set[str]) -> list[Index]:
    """Return one index over each space, called `stem` with a number, none of them in `taken`."""
    return list(Names(taken | {stem}).indices(stem, spaces))


def show_legs(legs: Legs) -> str:
    """Return legs as a product of spaces."""
    return " @ ".join(str(leg) for leg in legs) or "1"


def tensors_in(expr: Expr) -> list[Tensor]:
    """Return the tensors that occur in an expression."""
    return [found for node in walk(expr) if (found := getattr(node, "tensor", None)) is not None]


def _basis_vector(fixed: Sequence[Index]) -> Reading:
    def vector(terms: tuple[IndexTerm, ...]) -> Expr:
        return mul(*(delta[term, index] for term, index in zip(terms, fixed, strict=True)))

    return vector


def _not_composable(first: MultilinearMap, second: MultilinearMap) -> SpaceMismatch:
    return SpaceMismatch(
        f"cannot compose {second.value.name} after {first.value.name}: "
        f"target({first.value.name}) is not source({second.value.name})\n"
        f"  {first}     target = {first.target}\n"
        f"  {second}     source = {second.sources[0]}",
        remedy="compose maps that meet in one space; associators, braidings and other isomorphisms are maps too",
        spaces=(first.target, second.sources[0]),
    )
