"""The tensor product through its universal property.

For spaces V_1, ..., V_k there is a multilinear map ``u : V_1 x ... x V_k -> V_1 @ ... @ V_k``, the
universal arrow ``u(x_1, ..., x_k) = x_1 (x) ... (x) x_k``, such that every multilinear map
``f : V_1 x ... x V_k -> W`` is ``f = u >> g`` for exactly one linear map g, its *factor*.  Since u takes
basis vectors to the basis, the entries of g are those of f,

    g(w)[o] = sum(i_1, ..., i_k: w[i_1, ..., i_k] f(e_{i_1}, ..., e_{i_k})[o])

(N. Bourbaki, *Algebra I*, II.3.1 and II.3.9).
"""

from __future__ import annotations

from dataclasses import dataclass

from tensoralg.errors import LegCountMismatch, NotMultilinear, SpaceMismatch, counted
from tensoralg.expr.nodes import mul
from tensoralg.show import triangle
from tensoralg.spaces import VectorSpace, as_space
from tensoralg.universal.carrier import identity, product_of
from tensoralg.universal.construction import Construction, generic_space
from tensoralg.universal.linear import LinearMap, reread
from tensoralg.universal.maps import MultilinearMap, as_map, from_entries, generic_multilinear


@dataclass(frozen=True, repr=False)
class UniversalProduct(Construction):
    """The tensor product of some spaces, with its universal arrow; made by `tensor_product`."""

    factors: tuple[VectorSpace, ...]

    @property
    def space(self) -> VectorSpace:
        """The tensor product."""
        return product_of(self.factors)

    @property
    def arrow(self) -> MultilinearMap:
        """The universal multilinear map ``(x1, ..., xk) -> x1 (x) ... (x) xk``."""
        parts = from_entries(
            self.factors, self.space, lambda i, o, _: mul(identity([t for own in i for t in own], o)), "u"
        )
        return MultilinearMap(*parts, self.factors, self.space)

    def through(self, g: LinearMap) -> tuple[MultilinearMap, ...]:
        """Return the multilinear map that g is after the arrow."""
        return (self.arrow >> g,)

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
        check_sources(f, self.factors, str(self.space))
        f.check()
        return reread(f, self.space, f.target, outputs=True)

    def triangles(self) -> tuple[str, ...]:
        """Return the triangle of the universal property, as SVG.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
        >>> (picture,) = tensor_product(U, V).triangles()
        >>> "∃! g" in picture, "U × V" in picture
        (True, True)
        """
        target = str(generic_space(self.space))
        return (triangle(" × ".join(map(str, self.factors)), str(self.space), target, "u", "g", "f"),)

    def _generic_data(self, other: VectorSpace) -> tuple[MultilinearMap, ...]:
        return (generic_multilinear("f", self.factors, other),)


def check_sources(f: MultilinearMap, wanted: tuple[VectorSpace, ...], space: str) -> None:
    """Raise unless the sources of a map are the wanted ones.

    Raises
    ------
    LegCountMismatch, SpaceMismatch
    """
    if len(as_map(f).arguments) != len(wanted):
        raise LegCountMismatch(
            f"{f} has {counted(len(f.arguments), 'argument')}, "
            f"but {space} is the product of {counted(len(wanted), 'space')}",
            remedy="factor a map with one argument for each space",
        )
    for argument, source, factor in zip(f.arguments, f.sources, wanted, strict=True):
        if source != factor:
            raise SpaceMismatch(
                f"argument {argument.name} of {f} is in {source}, not in {factor}",
                remedy=f"factor it through a product with {source} in this place",
                spaces=(source, factor),
            )


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
    return UniversalProduct(tuple(map(as_space, factors)))
