"""What contracting a network in slices costs.

A contraction is *sliced* over a set L of its labels when it is done once for every assignment of
positions to L, with these labels fixed.  Each of the ``N = |L|`` slices contracts the same tree without
the labels in L, from views of the operands.  Its last step writes into its place in the output (the
sliced output labels) and adds to what is there (the sliced summed labels).  With the words of `plan.tree`:

* A part of the tree none of whose operands carries a label in L is the same in every slice.  It is
  computed once, before the slices, at the price that it has without slicing.
* A step that joins other parts over the labels u costs ``2 |u - L|`` FLOPs in each slice where it sums a
  label that is not in L, and ``|u - L|`` where all the labels that it sums are in L or it sums none.  If
  some label in L is summed the last step costs ``2 |u - L|`` in any case: it multiplies and adds to the
  output.  A step that only applies a 0/1 operand without slicing counts pointwise in every slice, too.
* A label that one operand alone carries and that is summed costs ``|labels of the operand - L|`` FLOPs in
  each slice, nothing if all such labels of the operand are in L.

*Memory*: the whole output is alive while slices run, and so are the results of the parts that are
computed before, and the operands that slices read.  The last step of a slice needs no array for its
result.  `largest` is the largest of the output, the results before the slices and those in one slice.

*More slices never cost less.*  For a fixed tree, sizes >= 2 and sets ``L < M``: the FLOPs with M are no
fewer than those with L, and `largest` is no larger.  (A step whose summed labels become sliced loses its
additions, ``|u|`` at most.  Where it is repeated it loses nothing on balance; if it is not, no second
step does, and all steps above it are repeated at least twice as often, the last one with its additions.)
So a set of labels to which a cheapest tree fits needs no larger set, on which `plan.slices` relies.

Whole labels are sliced, to one position each.  Slicing to blocks of several positions would share work
between positions at the price of more memory, and is not considered; nor are nested loops, in which a
part that depends on some labels of L is computed once for each of these.

References
----------
Gray & Kourtis, Quantum 5, 410 (2021), section 4.5 (slicing of contraction trees); Huang et al., arXiv
2005.06787 (slicing with the tree re-optimised, and its overhead).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tensoralg.plan.polynomial import Amount, Height, height, join, raised
from tensoralg.plan.tree import Network, Priced, Tree


@dataclass(frozen=True)
class Sliced:
    """A tree that is contracted once for every assignment of positions to some labels.

    Attributes
    ----------
    tree : Tree
        The order of one slice.
    labels : tuple of int
        The labels of the contraction that are sliced, sorted.
    """

    tree: Tree
    labels: tuple[int, ...]


def unsliced(order: Tree | Sliced) -> Tree:
    """Return the tree of one slice.

    Examples
    --------
    >>> unsliced(Sliced((0, 1), (2,))), unsliced((0, 1))
    ((0, 1), (0, 1))
    """
    return order.tree if isinstance(order, Sliced) else order


@dataclass(frozen=True)
class Part(Priced):
    """The price of a part of a sliced tree that slices repeat.

    Attributes
    ----------
    before : Height
        The most memory alive while what the part reads is computed before the slices.
    stays : Amount
        The memory of what the part reads, alive while slices run.
    within : Height
        The most memory that the part's own arrays take in a slice.
    """

    before: Height
    stays: Amount
    within: Height


class SlicedNetwork(Network):
    """A network that is contracted in slices: trees are priced as the module's text says.

    Parameters
    ----------
    network : Network
        The network, of two operands at least.
    labels : iterable of int
        The labels that are sliced, each carried by an operand.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> from tensoralg.plan.graph import Graph
    >>> O = ta.parse("O[i,k] = A[i,j]*B[j,k]", indices={"i": "a", "j": "b", "k": "c"})
    >>> network = Graph(blocks(O)[0], {"a": 2, "b": 3, "c": 5}).rooms[0].network
    >>> whole = network.price((0, 1))
    >>> row, inner = (SlicedNetwork(network, [label]).price((0, 1)) for label in network.contract.factors[0].labels)
    >>> whole.flops, row.flops, inner.flops
    (60, 60, 60)
    """

    def __init__(self, network: Network, labels: Iterable[int]) -> None:
        super().__init__(network.contract, network.sizes, network.held, network.one)
        self.masked, self._kept, self._volumes = network.masked, network._kept, network._volumes
        self.labels = tuple(sorted(labels))
        self.sliced = sum(1 << label for label in self.labels)
        self.slices = self.volume(self.sliced)
        self._adds = bool(self.sliced & ~self.output)
        self._readers = sum(1 << p for p, labels in enumerate(self.carried) if labels & self.sliced)

    def depends(self, operands: int) -> bool:
        """Whether some operand of a set carries a sliced label."""
        return bool(operands & self._readers)

    def result(self, operands: int) -> Amount:
        """Return the size of the array that a set of operands is contracted to."""
        kept = self.kept(operands)
        return self.volume(kept if operands == self.everything else kept & ~self.sliced)

    def leaf(self, position: int) -> Priced:
        """Return the price of preparing one operand."""
        if not self.depends(1 << position):
            return super().leaf(position)
        carried, held = self.carried[position] & ~self.sliced, self.held[position]
        result = self.volume(self.kept(1 << position) & ~self.sliced) if self._reduces(position) else self.zero
        flops = self.volume(carried) * self.slices if self._reduces(position) else self.zero
        low = height(result)
        return Part(
            flops, self.zero, low, raised(height(held), result), position, before=height(held), stays=held, within=low
        )

    def _reduces(self, position: int) -> bool:
        """Whether labels are summed out of an operand alone in every slice."""
        return bool(self.carried[position] & ~self.kept(1 << position) & ~self.sliced)

    def step(self, left: int, right: int) -> tuple[Amount, Amount]:
        """Return the FLOPs and the pointwise operations of joining two disjoint sets of operands, in all slices."""
        together = left | right
        if not self.depends(together):
            return super().step(left, right)
        mine, theirs = self.kept(left), self.kept(right)
        united = mine | theirs
        work = self.volume(united & ~self.sliced) * self.slices
        summed = united & ~self.kept(together)
        if summed & ~self.sliced or (together == self.everything and self._adds):
            return work * 2, self.zero
        if not summed and self.only_masks(left, right):
            return self.zero, work
        return work, self.zero

    def join(self, left: int, first: Priced, right: int, second: Priced) -> Priced:
        """Return the price of a tree from the prices of its two parts."""
        together = left | right
        if not self.depends(together):
            return super().join(left, first, right, second)
        one, other = self._part(left, first), self._part(right, second)
        flops, pointwise = self.step(left, right)
        last = together == self.everything
        result, mine = self.result(together), self._temporary(left)
        beside = mine + self._temporary(right)
        within = join(join(one.within, raised(other.within, mine)), height(beside if last else beside + result))
        before = join(raised(one.before, self.waiting(right)), raised(other.before, one.stays))
        stays = one.stays + other.stays
        return Part(
            first.flops + second.flops + flops,
            first.pointwise + second.pointwise + pointwise,
            join(join(first.largest, second.largest), height(result)),
            join(before, raised(within, stays + result if last else stays)),
            (first.tree, second.tree),
            before,
            stays,
            within,
        )

    def _part(self, operands: int, price: Priced) -> Part:
        """Return the price of a part that slices read; one that is the same in every slice is computed before."""
        if isinstance(price, Part):
            return price
        return Part(**vars(price), before=price.peak, stays=self.memory(operands), within=height(self.zero))

    def _temporary(self, operands: int) -> Amount:
        """Return the memory that a part holds in a slice until it is read."""
        position = operands.bit_length() - 1
        view = operands == 1 << position and not self._reduces(position)
        return self.result(operands) if self.depends(operands) and not view else self.zero

    def finished(self, order: Priced) -> Priced:
        """Return the price of a whole tree with the tree marked as sliced."""
        return Priced(order.flops, order.pointwise, order.largest, order.peak, Sliced(order.tree, self.labels))


def price(network: Network, order: Tree | Sliced) -> Priced:
    """Return the price of an order, sliced or not.

    Examples
    --------
    >>> import tensoralg as ta
    >>> from tensoralg.plan.blocks import blocks
    >>> from tensoralg.plan.graph import Graph
    >>> O = ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices={"t,s": "n", "f,e": "d"})
    >>> block = blocks(O)[0]
    >>> network = Graph(block).rooms[0].network
    >>> sliced = price(network, Sliced(((0, 1), 2), (block.output[0],)))
    >>> print(sliced.flops, "|", sliced.largest, "|", price(network, ((0, 1), 2)).largest)
    4*d*n**2 | d*n | Max(n**2, d*n)
    """
    if not isinstance(order, Sliced) or not order.labels:
        return network.price(unsliced(order))
    slices = SlicedNetwork(network, order.labels)
    return slices.finished(slices.price(order.tree))
