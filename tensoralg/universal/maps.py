"""Maps between spaces, held as expressions in their arguments.

A map ``f : V_1 x ... x V_k -> W`` is a tensor in W (the value) written with one symbolic vector for
each source (the arguments), as ``score[] = sum(a,b: B[a,b]*q[a]*k[b])``.  Composition is substitution.
The *entries* of f are its values at basis vectors,

    F[i_1, ..., i_k, o] = f(e_{i_1}, ..., e_{i_k})[o].

f is multilinear if and only if ``f(.., c x + y, ..) = c f(.., x, ..) + f(.., y, ..)`` in each argument;
`MultilinearMap.check` decides that with `prove`.  Multilinear maps with the same entries are equal
(N. Bourbaki, *Algebra I*, II.3 and III.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensoralg.errors import InvalidExpression, LegCountMismatch, NotMultilinear, SpaceMismatch, counted
from tensoralg.expr import Definition, Expr, Tensor, define, delta, tensor, walk
from tensoralg.expr.nodes import mul
from tensoralg.expr.rewrite import fresh, rename_apart
from tensoralg.proof import prove
from tensoralg.spaces import Index, IndexTerm, VectorSpace, legs_of
from tensoralg.universal.substitution import Reading, as_definition, substitute_tensors

Legs = tuple[VectorSpace, ...]


@dataclass(frozen=True)
class MultilinearMap:
    """A map that is to be linear in each of its arguments; `check` decides whether it is.

    Parameters
    ----------
    arguments : Tensor or sequence of Tensor
        The symbolic vectors, one for each source.
    value : Definition
        The value, written in the arguments; its legs are those of the target.

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
    score[i1,i2] = sum(a,b: B[a,b]*delta[a,i1]*delta[b,i2])
    """

    arguments: tuple[Tensor, ...]
    value: Definition

    def __post_init__(self) -> None:
        arguments = (self.arguments,) if isinstance(self.arguments, Tensor) else tuple(self.arguments)
        object.__setattr__(self, "arguments", arguments)
        known = {argument.name: argument for argument in arguments}
        if len(known) < len(arguments):
            raise InvalidExpression("two arguments of a map have one name", remedy="give each argument its own name")
        for used in _tensors(self.value):
            if used.name in known and used.legs != known[used.name].legs:
                raise SpaceMismatch(
                    f"the argument {known[used.name]} is used as {used} in {self.value}",
                    remedy="one name has the same legs everywhere",
                    spaces=(known[used.name].legs, used.legs),
                )

    @property
    def sources(self) -> tuple[Legs, ...]:
        """The legs of each source."""
        return tuple(argument.legs for argument in self.arguments)

    @property
    def target(self) -> Legs:
        """The legs of the target."""
        return tuple(leg.space for leg in self.value.legs)

    def __str__(self) -> str:
        return f"{self.value.name} : {' x '.join(map(show_legs, self.sources)) or '1'} -> {show_legs(self.target)}"

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
        given = [as_definition(vector) for vector in vectors]
        for argument, vector in zip(self.arguments, given, strict=True):
            legs = tuple(leg.space for leg in vector.legs)
            if legs != argument.legs:
                raise SpaceMismatch(
                    f"{self} wants {argument.name} in {show_legs(argument.legs)}, "
                    f"but {vector.name} is in {show_legs(legs)}",
                    remedy=f"give a vector in {show_legs(argument.legs)}",
                    spaces=(argument.legs, legs),
                )
        return self._read({a.name: v.__getitem__ for a, v in zip(self.arguments, given, strict=True)})

    def _read(self, readings: Mapping[str, Reading], parameters: Sequence[Index] = ()) -> Definition:
        """Return the value with the arguments read otherwise, with the legs that the readings add."""
        legs = (*parameters, *self.value.legs)
        names = {leg.name for leg in legs}
        term = substitute_tensors(rename_apart(self.value.term, names), readings)
        return Definition(legs, rename_apart(term, names), self.value.name)  # type: ignore[no-any-return]

    def entries(self) -> Definition:
        """Return the values at basis vectors: the legs of the sources, in order, then those of the target."""
        legs = [leg for source in self.sources for leg in source]
        fixed = fresh_indices("i", [dual_leg(leg) for leg in legs], set(self.value.free))
        rest = iter(fixed)
        basis = {argument.name: _basis_vector([next(rest) for _ in argument.legs]) for argument in self.arguments}
        return self._read(basis, fixed)

    def check(self) -> None:
        """Raise unless the map is linear in each of its arguments.

        Raises
        ------
        NotMultilinear
            With the argument, the verdict and the witness as attributes.
        """
        taken = {used.name for used in _tensors(self.value)} | {a.name for a in self.arguments}
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

    def __rshift__(self, after: LinearMap) -> MultilinearMap:
        """Return `after` applied to the value of this map: first this one, then the other.

        Raises
        ------
        SpaceMismatch
            If the source of the second map is not the target of the first.
        """
        if not isinstance(after, LinearMap):
            return NotImplemented
        if after.sources[0] != self.target:
            raise _not_composable(self, after)
        taken = {used.name for used in _tensors(after.value)} - {after.arguments[0].name}
        apart = self._renamed({a.name: fresh(a.name, taken) for a in self.arguments if a.name in taken})
        kind = LinearMap if isinstance(self, LinearMap) else MultilinearMap
        return kind(apart.arguments, after(apart.value))

    def _renamed(self, names: dict[str, str]) -> MultilinearMap:
        """Return the same map with its arguments renamed."""
        arguments = tuple(tensor(names.get(a.name, a.name), a.legs) for a in self.arguments)
        value = self._read({old.name: new.__getitem__ for old, new in zip(self.arguments, arguments, strict=True)})
        return type(self)(arguments, value)


@dataclass(frozen=True)
class LinearMap(MultilinearMap):
    """A map that is to be linear in its one argument.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
    >>> f, g = LinearMap.generic("f", V, W), LinearMap.generic("g", W, V)
    >>> print((f >> g).value)
    g[o1] = sum(i1: g[i1,o1]*sum(i2: f[i2,i1]*x1[i2]))
    >>> print(f @ g)
    f : V @ W -> W @ V
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.arguments) != 1:
            raise LegCountMismatch(
                f"a linear map has one argument, not {len(self.arguments)}", remedy="use MultilinearMap"
            )

    @classmethod
    def generic(cls, name: str, source: VectorSpace, target: VectorSpace) -> LinearMap:
        """Return the linear map whose entries are the generic tensor `name`."""
        return cls(*_generic(name, (source,), target))

    def __matmul__(self, other: LinearMap) -> LinearMap:
        """Return the tensor product: ``(f @ g)(x (x) y) = f(x) (x) g(y)``."""
        if not isinstance(other, LinearMap):
            return NotImplemented
        for factor in (self, other):
            factor.check()
        taken = {used.name for factor in (self, other) for used in _tensors(factor.value)}
        argument = tensor(fresh("x", taken), (*self.sources[0], *other.sources[0]))
        left, right = self.entries(), other.entries()
        inputs = fresh_indices("i", argument.legs, set())
        outputs = fresh_indices("o", (*self.target, *other.target), set())
        cut, split = len(self.sources[0]), len(self.target)
        body = mul(
            left[(*inputs[:cut], *outputs[:split])], right[(*inputs[cut:], *outputs[split:])], argument[tuple(inputs)]
        )
        return LinearMap((argument,), define(outputs, body, self.value.name))


def generic_multilinear(name: str, sources: Sequence[VectorSpace], target: VectorSpace) -> MultilinearMap:
    """Return the multilinear map whose entries are the generic tensor `name`.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> print(generic_multilinear("F", (V, V), ta.Unit).value)
    F[] = sum(i1,i2: F[i1,i2]*x1[i1]*x2[i2])
    """
    return MultilinearMap(*_generic(name, sources, target))


def _generic(name: str, sources: Sequence[VectorSpace], target: VectorSpace) -> tuple[tuple[Tensor, ...], Definition]:
    legs = [legs_of(source) for source in sources]
    arguments = tuple(tensor(f"x{k}", own) for k, own in enumerate(legs, start=1))
    if name in {argument.name for argument in arguments}:
        raise InvalidExpression(f"{name} names an argument of a generic map", remedy="give its entries another name")
    flat = [leg for source in legs for leg in source]
    inputs, outputs = fresh_indices("i", flat, set()), fresh_indices("o", legs_of(target), set())
    entries = tensor(name, (*map(dual_leg, flat), *legs_of(target)))
    rest = iter(inputs)
    vectors = [argument[tuple(next(rest) for _ in argument.legs)] for argument in arguments]
    return arguments, define(outputs, mul(entries[(*inputs, *outputs)], *vectors), name)


def dual_leg(leg: VectorSpace) -> VectorSpace:
    """Return where the entries of a linear form on `leg` live: its dual, which a metric identifies with it."""
    return leg if leg.metric else leg.dual


def fresh_indices(stem: str, spaces: Sequence[VectorSpace], taken: set[str]) -> list[Index]:
    """Return one index over each space, called `stem` with a number, none of them in `taken`."""
    used, found = set(taken) | {stem}, []
    for space in spaces:
        found.append(Index(fresh(stem, used), space))
        used.add(found[-1].name)
    return found


def show_legs(legs: Legs) -> str:
    """Return legs as a product of spaces."""
    return " @ ".join(str(leg) for leg in legs) or "1"


def _basis_vector(fixed: Sequence[Index]) -> Reading:
    def vector(terms: tuple[IndexTerm, ...]) -> Expr:
        return mul(*(delta[term, index] for term, index in zip(terms, fixed, strict=True)))

    return vector


def _tensors(expr: Expr) -> list[Any]:
    return [tensor for node in walk(expr) if (tensor := getattr(node, "tensor", None)) is not None]


def _not_composable(first: MultilinearMap, second: LinearMap) -> SpaceMismatch:
    target, source = first.target, second.sources[0]
    differing = (k for k, (a, b) in enumerate(zip(target, source, strict=False)) if a != b)
    where = next(differing, min(len(target), len(source)))
    return SpaceMismatch(
        f"cannot compose {second.value.name} after {first.value.name}: "
        f"target({first.value.name}) is not source({second.value.name})\n"
        f"  {first}     target = {show_legs(target)}\n"
        f"  {second}     source = {show_legs(source)}\n"
        f"  first difference: leg {where}",
        remedy="compose maps that meet in one space",
        spaces=(target, source),
    )
