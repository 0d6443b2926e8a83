"""Powers of a direct sum: the exponential isomorphism.

For F = Alt or F = Sym,

    F^k(V + W) = sum over i of F^i V @ F^(k-i) W.

With the injections a, b of V and W into ``V + W`` and the product of the algebra of that sum, the map from the right is
``(F^i(a) @ F^(k-i)(b)) >> product`` on the i-th summand; its inverse takes a tensor t of F^k(V + W) to
``binomial(k, i) t[a v_1, .., a v_i, b w_1, .., b w_(k-i)]`` there (N. Bourbaki, *Algebra I*, III.6.6 and III.7.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from tensoralg.expr import Expr, delta
from tensoralg.expr.nodes import as_expr, bind, mul
from tensoralg.spaces import DirectSum, Index, TensorProduct, VectorSpace
from tensoralg.universal.algebra import GradedAlgebra
from tensoralg.universal.carrier import Names, carrier, identity, summand
from tensoralg.universal.construction import Law, same
from tensoralg.universal.linear import LinearMap
from tensoralg.universal.powers import UniversalPower
from tensoralg.universal.sums import UniversalSum, direct_sum

Terms = tuple[Index, ...]


@dataclass(frozen=True)
class Exponential:
    """The isomorphism between a power of a direct sum and the direct sum of the products of powers.

    Parameters
    ----------
    first, second : VectorSpace
        V and W.
    k : int
        The power.
    alternating : bool
        Whether it is the exterior power.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V, W = ta.Space("V", "n"), ta.Space("W", "m")
    >>> area = Exponential(V, W, 2, alternating=True)
    >>> print(area.forward)
    both : Alt(V + W, 2) -> Alt(V, 0) @ Alt(W, 2) + Alt(V, 1) @ Alt(W, 1) + Alt(V, 2) @ Alt(W, 0)
    >>> [law.prove().status for law in area.laws()]
    ['proved', 'proved', 'proved', 'proved', 'proved', 'proved', 'proved', 'proved', 'proved', 'proved']
    """

    first: VectorSpace
    second: VectorSpace
    k: int
    alternating: bool

    @property
    def base(self) -> UniversalSum:
        """``V + W``."""
        return direct_sum(self.first, self.second)

    def _power(self, space: VectorSpace, k: int) -> UniversalPower:
        return UniversalPower(space, k, self.alternating)

    @property
    def source(self) -> VectorSpace:
        """The power of the sum."""
        return self._power(self.base.space, self.k).space

    @property
    def target(self) -> UniversalSum:
        """The sum of the products of powers, by the power of V."""
        return direct_sum(*(self._product(i) for i in range(self.k + 1)))

    def _product(self, i: int) -> VectorSpace:
        return TensorProduct((self._power(self.first, i).space, self._power(self.second, self.k - i).space))

    @property
    def forward(self) -> LinearMap:
        """From the power of the sum to the sum of the products."""
        return self.target.product.factor(*(self._restriction(i) for i in range(self.k + 1)))

    def _restriction(self, i: int) -> LinearMap:
        counts = (0,) * i + (1,) * (self.k - i)
        whole = DirectSum((self.first, self.second))
        size = [len(carrier(space)) for space in (self.first, self.second)]

        def entries(ins: Terms, outs: Terms, names: Names) -> Expr:
            factors, bound, start = [as_expr(comb(self.k, i))], [], 0
            for place, position in enumerate(counts):
                terms, term, summed = summand(whole, position, names)
                bound += list(summed)
                factors += [delta[ins[place], term], identity(terms, outs[start : start + size[position]])]
                start += size[position]
            return bind(tuple(bound), mul(*factors))

        return LinearMap.from_entries(self.source, self._product(i), entries, "restriction")

    @property
    def backward(self) -> LinearMap:
        """From the sum of the products to the power of the sum."""
        return self.target.coproduct.factor(*(self._multiplication(i) for i in range(self.k + 1)))

    def _multiplication(self, i: int) -> LinearMap:
        algebra = GradedAlgebra(self.base.space, self.k, "exterior" if self.alternating else "symmetric")
        into = [self.base.injection(position) for position in (0, 1)]
        powers = self._power(self.first, i).map(into[0]) @ self._power(self.second, self.k - i).map(into[1])
        return powers >> algebra.product(i, self.k - i)

    def laws(self) -> tuple[Law, ...]:
        """Return the claims that the two maps are inverse to each other, by the blocks of the sum.

        With the blocks f_i of the map forward and b_j of the map backward they are ``b_j >> f_i = 1`` for i = j and 0
        for other j, and ``sum(i: f_i >> b_i) = 1``; by the biproduct equations of the sum that is all.
        """
        forward = [self._restriction(i) for i in range(self.k + 1)]
        backward = [self._multiplication(i) for i in range(self.k + 1)]
        laws = []
        for i, f in enumerate(forward):
            for j, b in enumerate(backward):
                wanted = LinearMap.identity(b.source) if i == j else LinearMap.zero(b.source, f.target)
                laws.append(same(b >> f, wanted))
        back = [f >> b for f, b in zip(forward, backward, strict=True)]
        return (*laws, same(sum(back[1:], back[0]), LinearMap.identity(self.source)))
