"""The tensor product through its universal property.

For spaces V_1, ..., V_k there is a multilinear map ``u : V_1 x ... x V_k -> V_1 @ ... @ V_k``, the
universal arrow ``u(x_1, ..., x_k) = x_1 (x) ... (x) x_k``, such that every multilinear map
``f : V_1 x ... x V_k -> W`` is ``f = u >> g`` for exactly one linear map g, its *factor*.  Since u takes
basis vectors to the basis, the entries of g are those of f,

    g(w)[o] = sum(i_1, ..., i_k: w[i_1, ..., i_k] f(e_{i_1}, ..., e_{i_k})[o]).

Existence is ``u >> factor(f) = f`` for every multilinear f.  Uniqueness is ``factor(u >> g) = g`` for
every linear g: then ``u >> g = f`` implies ``g = factor(u >> g) = factor(f)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tensoralg.errors import LegCountMismatch, NotMultilinear, SpaceMismatch, counted
from tensoralg.expr import Definition, define, tensor
from tensoralg.expr.nodes import mul
from tensoralg.expr.rewrite import fresh
from tensoralg.spaces import Space, TensorProduct, VectorSpace, legs_of
from tensoralg.universal.maps import (
    LinearMap,
    MultilinearMap,
    dual_leg,
    fresh_indices,
    generic_multilinear,
    show_legs,
)


class Law(NamedTuple):
    """A claim ``lhs == rhs`` under hypotheses, as `prove` takes it: ``prove(*law)``."""

    lhs: Definition
    rhs: Definition
    given: tuple[tuple[Definition, Definition], ...] = ()


class UniversalProperty(NamedTuple):
    """The two claims that make a construction universal."""

    existence: Law
    uniqueness: Law


@dataclass(frozen=True)
class UniversalProduct:
    """The tensor product of some spaces, with its universal arrow; made by `tensor_product`."""

    factors: tuple[VectorSpace, ...]

    @property
    def space(self) -> VectorSpace:
        """The tensor product."""
        return self.factors[0] if len(self.factors) == 1 else TensorProduct(self.factors)

    @property
    def arrow(self) -> MultilinearMap:
        """The universal multilinear map ``(x1, ..., xk) -> x1 (x) ... (x) xk``."""
        arguments = tuple(tensor(f"x{k}", legs_of(space)) for k, space in enumerate(self.factors, start=1))
        legs = fresh_indices("i", [leg for argument in arguments for leg in argument.legs], set())
        rest = iter(legs)
        pure = mul(*(argument[tuple(next(rest) for _ in argument.legs)] for argument in arguments))
        return MultilinearMap(arguments, define(legs, pure, "u"))

    def factor(self, f: MultilinearMap) -> LinearMap:
        """Return the unique linear map g with ``arrow >> g = f``.

        Parameters
        ----------
        f : MultilinearMap
            A map out of the product's factors, linear in each argument.

        Raises
        ------
        LegCountMismatch, SpaceMismatch
            If the sources of f are not the factors.
        NotMultilinear
            If f is not linear in an argument; the witness is attached.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V = ta.Space("V", "d")
        >>> a = V.index("a")
        >>> q, k = ta.tensors("q k", V)
        >>> dot = MultilinearMap((q, k), ta.define((), q[a] * k[a], name="dot"))
        >>> print(tensor_product(V, V).factor(dot))
        dot : V @ V -> 1
        """
        self._check_sources(f)
        f.check()
        entries = f.entries()
        argument = tensor(fresh("w", {*entries.tensors}), tuple(leg for legs in f.sources for leg in legs))
        inputs, outputs = entries.legs[: len(argument.legs)], entries.legs[len(argument.legs) :]
        value = define(outputs, argument[inputs] * entries.term, f.value.name)
        return LinearMap((argument,), value)

    def _check_sources(self, f: MultilinearMap) -> None:
        if len(f.arguments) != len(self.factors):
            raise LegCountMismatch(
                f"{f} has {counted(len(f.arguments), 'argument')}, "
                f"but {self.space} is the product of {counted(len(self.factors), 'space')}",
                remedy="factor a map with one argument for each space",
            )
        for argument, space in zip(f.arguments, self.factors, strict=True):
            if argument.legs != legs_of(space):
                raise SpaceMismatch(
                    f"argument {argument.name} of {f} is in {show_legs(argument.legs)}, not in {space}",
                    remedy=f"factor it through a product with {show_legs(argument.legs)} in this place",
                    spaces=(argument.legs, space),
                )

    def universal_property(self) -> UniversalProperty:
        """Return the claims of existence and uniqueness, for maps into a generic space.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
        >>> for law in tensor_product(U, V).universal_property():
        ...     print(law.rhs)
        f[o1] = sum(i1,i2: f[i1,i2,o1]*x1[i1]*x2[i2])
        g[i1,i2,o1] = g[i1,i2,o1]
        """
        return UniversalProperty(self._existence(), self._uniqueness())

    def _generic_target(self) -> Space:
        words = {str(s) for space in self.factors for leg in legs_of(space) for s in (leg, leg.dimension)}
        return Space(fresh("W", words), fresh("w", words))

    def _existence(self) -> Law:
        f = generic_multilinear("f", self.factors, self._generic_target())
        return Law((self.arrow >> self.factor(f))(*f.arguments), f.value)

    def _uniqueness(self) -> Law:
        legs, target = [leg for space in self.factors for leg in legs_of(space)], self._generic_target()
        entries, argument = tensor("g", (*map(dual_leg, legs), target)), tensor("w", legs)
        inputs, outputs = fresh_indices("i", legs, set()), fresh_indices("o", [target], set())
        body = entries[(*inputs, *outputs)] * argument[tuple(inputs)]
        g = LinearMap((argument,), define(outputs, body, "g"))
        again = self.factor(self.arrow >> g).entries()
        return Law(again, define(again.legs, entries[again.legs], "g"))


def tensor_product(*factors: VectorSpace) -> UniversalProduct:
    """Return the tensor product of one or more spaces, with its universal arrow.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
    >>> product = tensor_product(U, V)
    >>> print(product.space, "|", product.arrow)
    U @ V | u : U x V -> U @ V
    """
    if not factors:
        raise NotMultilinear("the product of no spaces has no arrow", remedy="name at least one space")
    return UniversalProduct(tuple(factors))
