"""Coherence: structural isomorphisms of spaces, decided by permutations.

Spaces are built from named spaces (and their duals) by ``@``, ``+`` and ``Unit``.  A *structural isomorphism* is a
composite of associators, unitors, braidings and distributors, and of their tensor products and direct sums.

**Distributed form.**  Every space is a direct sum of *words*, tensor products of named spaces, in an order that
`words` fixes: the words of ``V + W`` are those of V and then those of W; the words of ``V @ W`` are ordered
lexicographically, the word of V first.  So the associators, the unitors and the right distributor keep the order of
the words, and the left distributor ``U @ (V + W) -> U @ V + U @ W`` moves words if U has several.

A structural isomorphism carries each word of its source to a word of its target (a bijection of the words) and
permutes the factors in it.  The generators do, and the property is kept by ``>>``, ``@``, direct sums and inverses.
Conversely every such collection of bijections comes from a composite: distribute, permute by braidings, and collect.
`Structural` is that data, and `Structural.same` compares it.

**Theorem.**  Let f and g be structural isomorphisms of one source and one target, and let each named space have a
dimension that is a symbol, or an integer above 1.  Then f = g as linear maps for all dimensions, if and only if their
bijections agree; already the dimensions 2 (or the integers given) tell them apart.

*Proof.*  On the word ``V_1 @ ... @ V_k`` of the source, f is the map ``e_{a_1} (x) ... (x) e_{a_k}`` to the basis
vector of its image with the factor ``e_{a_i}`` at the place p(i): its entries are products of deltas between the block
of the word and the block of its image, and 0 elsewhere.  So f is determined by its bijections.  If f and g send some
word to different words, they send each of its basis vectors, of which there is one as every dimension is at least 1,
to different ones.  If they send it to one word with p(i) different from q(i), choose ``a_i = 1`` and ``a_j = 0`` for
all j other than i: f has the vector e_1 at the place p(i), and g has it at q(i) only.  QED.

*Where it fails.*  A factor of dimension 1 has no e_1, so moving it is not seen: the braiding of two one-dimensional
spaces is the identity.  `same` leaves out the factors whose dimension is the integer 1, and with that it is exact: it
says whether the maps agree for all values of the symbols.  The words are never left out: the braiding of ``L + L``
exchanges two basis vectors.  At dimensions that are fixed to 1 later, different isomorphisms may agree.

That each diagram of the generators commutes if its two sides induce the same bijections, in any symmetric bimonoidal
category and not only here, is the coherence theorem: S. Mac Lane, Natural associativity and commutativity, Rice Univ.
Studies 49 (1963); G. M. Kelly, On Mac Lane's conditions for coherence of natural associativities, commutativities,
etc., J. Algebra 1 (1964); M. L. Laplaza, Coherence for distributivity, Springer LNM 281 (1972), under hypotheses on
the objects; N. Johnson & D. Yau, Bimonoidal categories, E_n-monoidal categories, and algebraic K-theory (2021).  There
is no zero space here, so no absorbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import NamedTuple, TypeAlias

from tensoralg.errors import Ambiguous, InvalidExpression, SpaceMismatch, counted
from tensoralg.expr import Definition, Expr, Tensor, define, delta, tensor
from tensoralg.expr.nodes import add, mul
from tensoralg.spaces import (
    DirectSum,
    Index,
    Space,
    TensorProduct,
    Unit,
    VectorSpace,
    legs_of,
)
from tensoralg.universal.linear import LinearMap
from tensoralg.universal.words import Word, address, letters_of, patterns_of, show_word, words

MOST_SHOWN = 8  # words that an error lists

_Factors: TypeAlias = "frozenset[tuple[Space, int]]"  # of a word, and how often each occurs


class Block(NamedTuple):
    """Where one word goes: the word of the target, and there the place of each factor."""

    word: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Structural:
    """A structural isomorphism: for each word of the source, its word of the target and the places of its factors.

    Two are ``==`` when they are the same data; `same` compares them as maps.

    Parameters
    ----------
    source, target : VectorSpace
        Spaces made of named spaces by ``@``, ``+`` and ``Unit``.
    blocks : sequence of Block or (int, sequence of int)
        For each word of the source, the number of its word in the target and the place of each factor there.

    Raises
    ------
    SpaceMismatch
        If a factor would go to a place of another space.
    InvalidExpression
        If the blocks are no bijections.
    BudgetExceeded
        If a distributed form has more than 10000 factors.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> swap = braiding(U, V)
    >>> print(swap, "|", swap.blocks)
    U @ V -> V @ U | (Block(word=0, places=(1, 0)),)
    >>> (swap >> braiding(V, U)).same(identity(U @ V)), braiding(V, V).same(identity(V @ V))
    (True, False)
    >>> print((left_distributor(U, V, W) >> direct_sum(swap, identity(U @ W))).as_map().value)
    s[o1] = sum(i1,i2: delta[o1,0:(i1,i2)]*x[i2,0:i1]) + sum(i3,i4: delta[o1,1:(i3,i4)]*x[i3,1:i4])
    """

    source: VectorSpace
    target: VectorSpace
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        blocks = tuple(Block(word, tuple(places)) for word, places in self.blocks)
        object.__setattr__(self, "blocks", blocks)
        old, new = words(self.source), words(self.target)
        if len(old) != len(new) or sorted(b.word for b in blocks) != list(range(len(old))):
            raise InvalidExpression(
                f"{[b.word for b in blocks]} is no bijection of the {counted(len(old), 'word')} of {self.source} "
                f"and the {counted(len(new), 'word')} of {self.target}",
                remedy="name each word of the target once",
            )
        for number, (word, block) in enumerate(zip(old, blocks, strict=True)):
            image = new[block.word]
            if len(word) != len(image) or sorted(block.places) != list(range(len(word))):
                raise InvalidExpression(
                    f"{block.places} is no bijection of the factors of {show_word(word)} and {show_word(image)}",
                    remedy="name each place of the target's word once",
                )
            for factor, place in zip(word, block.places, strict=True):
                if image[place] != factor:
                    raise SpaceMismatch(
                        f"word {number} of {self.source} has the factor {factor}, "
                        f"but place {place} of word {block.word} of {self.target} is {image[place]}",
                        remedy="send each factor to a place of the same space",
                        spaces=(factor, image[place]),
                    )

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"

    def __rshift__(self, after: Structural) -> Structural:
        """Return the composite: first this one, then the other.

        Raises
        ------
        SpaceMismatch
            If the source of the second is not the target of the first.
        """
        if not isinstance(after, Structural):
            return NotImplemented
        if self.target != after.source:
            raise SpaceMismatch(
                f"cannot compose {self} with {after}: the target {self.target} of the first "
                f"is not the source {after.source} of the second",
                remedy=f"put an isomorphism {self.target} -> {after.source} between them; canonical(...) may find it",
                spaces=(self.target, after.source),
            )
        then = (after.blocks[block.word] for block in self.blocks)
        blocks = [
            Block(last.word, tuple(last.places[place] for place in first.places))
            for first, last in zip(self.blocks, then, strict=True)
        ]
        return Structural(self.source, after.target, tuple(blocks))

    def __matmul__(self, other: Structural) -> Structural:
        """Return the tensor product of two isomorphisms."""
        if not isinstance(other, Structural):
            return NotImplemented
        wide = len(other.blocks)
        blocks = [
            Block(one.word * wide + two.word, one.places + tuple(len(one.places) + place for place in two.places))
            for one in self.blocks
            for two in other.blocks
        ]
        return Structural(self.source @ other.source, self.target @ other.target, tuple(blocks))

    @property
    def inverse(self) -> Structural:
        """The inverse isomorphism."""
        blocks = [Block(0, ())] * len(self.blocks)
        for number, block in enumerate(self.blocks):
            blocks[block.word] = Block(number, _inverted(block.places))
        return Structural(self.target, self.source, tuple(blocks))

    def same(self, other: Structural) -> bool:
        """Return whether the two are one linear map for all dimensions; by the theorem of this module, not by values.

        Raises
        ------
        SpaceMismatch
            If the sources or the targets differ.

        Examples
        --------
        >>> import tensoralg as ta
        >>> V, L = ta.Space("V", "n"), ta.Space("L", 1)
        >>> braiding(L, L).same(identity(L @ L)), sum_braiding(L, L).same(identity(L + L))
        (True, False)
        """
        for end, mine, theirs in (
            ("sources", self.source, other.source),
            ("targets", self.target, other.target),
        ):
            if mine != theirs:
                raise SpaceMismatch(
                    f"{self} and {other} cannot be compared: their {end} {mine} and {theirs} differ",
                    remedy="compare isomorphisms with one source and one target",
                    spaces=(mine, theirs),
                )
        pairs = zip(words(self.source), self.blocks, other.blocks, strict=True)
        return all(one.word == two.word and _visible(word, one) == _visible(word, two) for word, one, two in pairs)

    def as_map(self, name: str = "s") -> LinearMap:
        """Return the linear map, from the legs of the source to the legs of the target.

        Examples
        --------
        >>> import tensoralg as ta
        >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
        >>> print(braiding(U, V).as_map().value)
        s[o1,o2] = x[o2,o1]
        >>> print(sum_braiding(U, V).as_map("t").value)
        t[o1] = sum(i1: delta[o1,1:i1]*x[0:i1]) + sum(i2: delta[o1,0:i2]*x[1:i2])
        """
        argument = tensor("x", legs_of(self.source))
        outputs = [Index(f"o{k}", leg) for k, leg in enumerate(legs_of(self.target), start=1)]
        old = list(product(*(patterns_of(leg) for leg in argument.legs)))
        new = list(product(*(patterns_of(leg.space) for leg in outputs)))
        names = (f"i{k}" for k in count(1))
        terms = []
        for patterns, block in zip(old, self.blocks, strict=True):
            image: list[Index] = []
            factors: list[Expr] = []
            for leg, pattern in zip(outputs, new[block.word], strict=True):
                if isinstance(pattern, Space):  # the index itself, instead of a delta with another
                    image.append(leg)
                else:
                    letters = [Index(next(names), space) for space in letters_of(pattern)]
                    image += letters
                    factors.append(delta[leg, address(pattern, iter(letters), names)])
            rest = iter([image[place] for place in block.places])
            inputs = tuple(address(pattern, rest, names) for pattern in patterns)
            terms.append(mul(*factors, argument[inputs]))
        return _linear_map(argument, define(outputs, add(*terms), name), self)


def _linear_map(argument: Tensor, value: Definition, ends: Structural) -> LinearMap:
    """Return the linear map with this value; the one place that makes a `LinearMap`."""
    return LinearMap((argument,), value, (ends.source,), ends.target, exact=True)


def _inverted(places: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(places)), key=places.__getitem__))


def _visible(word: Word, block: Block) -> list[int]:
    """Return the places of the factors that may have more than one basis vector."""
    return [place for factor, place in zip(word, block.places, strict=True) if factor.dimension != 1]


# The generators.


def _in_order(source: VectorSpace, target: VectorSpace) -> Structural:
    """Return the isomorphism that keeps the order of the words and of their factors."""
    blocks = (Block(k, tuple(range(len(word)))) for k, word in enumerate(words(source)))
    return Structural(source, target, tuple(blocks))


def identity(space: VectorSpace) -> Structural:
    """Return the identity of a space."""
    return _in_order(space, space)


def associator(first: VectorSpace, second: VectorSpace, third: VectorSpace) -> Structural:
    """Return ``(U @ V) @ W -> U @ (V @ W)``.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> print(associator(U, V, W), "|", associator(U, V, W).inverse)
    U @ V @ W -> U @ (V @ W) | U @ (V @ W) -> U @ V @ W
    """
    return _in_order((first @ second) @ third, first @ (second @ third))


def left_unitor(space: VectorSpace) -> Structural:
    """Return ``Unit @ V -> V``."""
    return _in_order(Unit @ space, space)


def right_unitor(space: VectorSpace) -> Structural:
    """Return ``V @ Unit -> V``."""
    return _in_order(space @ Unit, space)


def braiding(first: VectorSpace, second: VectorSpace) -> Structural:
    """Return ``U @ V -> V @ U``, which takes ``x (x) y`` to ``y (x) x``."""
    ours, theirs = words(first), words(second)
    blocks = [
        Block(b * len(ours) + a, (*range(len(two), len(two) + len(one)), *range(len(two))))
        for a, one in enumerate(ours)
        for b, two in enumerate(theirs)
    ]
    return Structural(first @ second, second @ first, tuple(blocks))


def direct_sum(*maps: Structural) -> Structural:
    """Return the direct sum of isomorphisms, ``(x, y) -> (f(x), g(y))``.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V = ta.Space("U", "m"), ta.Space("V", "n")
    >>> print(direct_sum(braiding(U, V), left_unitor(V)))
    U @ V + 1 @ V -> V @ U + V
    """
    blocks: list[Block] = []
    for part in maps:
        start = len(blocks)
        blocks += [Block(start + block.word, block.places) for block in part.blocks]
    source, target = DirectSum(tuple(f.source for f in maps)), DirectSum(tuple(f.target for f in maps))
    return Structural(source, target, tuple(blocks))


def sum_associator(first: VectorSpace, second: VectorSpace, third: VectorSpace) -> Structural:
    """Return ``(U + V) + W -> U + (V + W)``."""
    return _in_order((first + second) + third, first + (second + third))


def sum_braiding(first: VectorSpace, second: VectorSpace) -> Structural:
    """Return ``U + V -> V + U``, which takes ``(x, y)`` to ``(y, x)``."""
    ours, theirs = words(first), words(second)
    order = [*range(len(theirs), len(theirs) + len(ours)), *range(len(theirs))]
    blocks = (Block(at, tuple(range(len(word)))) for at, word in zip(order, (*ours, *theirs), strict=True))
    return Structural(first + second, second + first, tuple(blocks))


def left_distributor(factor: VectorSpace, *summands: VectorSpace) -> Structural:
    """Return ``U @ (V + W) -> U @ V + U @ W``, for any number of summands.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> [block.word for block in left_distributor(U + U, V, W).blocks]
    [0, 2, 1, 3]
    """
    target = DirectSum(tuple(factor @ summand for summand in summands))
    inner = [(k, n, word) for k, space in enumerate(summands) for n, word in enumerate(words(space))]
    outer = list(enumerate(words(factor)))
    sizes = [len(outer) * len(words(space)) for space in summands]
    blocks = [
        Block(sum(sizes[:k]) + a * (sizes[k] // len(outer)) + n, tuple(range(len(one) + len(two))))
        for a, one in outer
        for k, n, two in inner
    ]
    return Structural(factor @ DirectSum(summands), target, tuple(blocks))


def right_distributor(first: VectorSpace, *others: VectorSpace) -> Structural:
    """Return ``(U + V) @ W -> U @ W + V @ W``, for any number of summands; the last space is the factor."""
    *summands, factor = first, *others
    return _in_order(DirectSum(tuple(summands)) @ factor, DirectSum(tuple(summand @ factor for summand in summands)))


def distribute(space: VectorSpace) -> Structural:
    """Return the isomorphism of a space with its distributed form, the direct sum of its words.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> print(distribute((U + ta.Unit) @ (V @ W)))
    (U + 1) @ (V @ W) -> U @ V @ W + V @ W
    """
    forms = tuple(TensorProduct(word) if len(word) > 1 else word[0] if word else Unit for word in words(space))
    return _in_order(space, forms[0] if len(forms) == 1 else DirectSum(forms))


# The isomorphism between two given spaces.


def canonical(source: VectorSpace, target: VectorSpace) -> Structural:
    """Return the structural isomorphism from one space to another, if there is exactly one.

    There is one if and only if the distributed forms have the same words up to the order of words and factors.  It is
    the only one if no two words have the same factors and no word has a factor twice; factors of dimension 1 may
    occur more often, as moving them changes no map.

    Raises
    ------
    SpaceMismatch
        If there is none; the words that only one of the spaces has are named.
    Ambiguous
        If there are several; the word or the factor that occurs twice is named.

    Examples
    --------
    >>> import tensoralg as ta
    >>> U, V, W = ta.Space("U", "m"), ta.Space("V", "n"), ta.Space("W", "k")
    >>> print(canonical((U + V) @ W, W @ V + U @ (ta.Unit @ W)))
    (U + V) @ W -> W @ V + U @ (1 @ W)
    >>> canonical((U + V) @ W, W @ V + U @ (ta.Unit @ W)).blocks
    (Block(word=1, places=(0, 1)), Block(word=0, places=(1, 0)))
    """
    old, new = words(source), words(target)
    ours, theirs = ([frozenset(Counter(word).items()) for word in form] for form in (old, new))
    mine, other = Counter(ours), Counter(theirs)
    if mine != other:
        raise SpaceMismatch(
            f"there is no structural isomorphism {source} -> {target}: only the first has "
            f"{_listed(old, ours, other)}, only the second has {_listed(new, theirs, mine)}",
            remedy="give spaces with the same words in their distributed forms",
            spaces=(source, target),
        )
    where = {key: k for k, key in enumerate(theirs)}
    blocks = []
    for word, key in zip(old, ours, strict=True):
        twice = [str(factor) for factor, times in key if times > 1 and factor.dimension != 1]
        if twice or mine[key] > 1:
            what = f"the factor {min(twice)} occurs twice in the word" if twice else "there are several words"
            raise Ambiguous(
                f"there are several structural isomorphisms {source} -> {target}: {what} {show_word(word)}",
                remedy="give the places with Structural(...), or compose the generators",
                spaces=(source, target),
            )
        places: dict[Space, Iterator[int]] = {
            factor: iter([k for k, other in enumerate(new[where[key]]) if other == factor]) for factor in word
        }
        blocks.append(Block(where[key], tuple(next(places[factor]) for factor in word)))
    return Structural(source, target, tuple(blocks))


def _listed(form: Sequence[Word], keys: Sequence[_Factors], other: Counter[_Factors]) -> str:
    """Return the words of a form that another has not, or not so often."""
    left, found = Counter(other), []
    for word, key in zip(form, keys, strict=True):
        if left[key] == 0:
            found.append(show_word(word))
        left[key] -= left[key] > 0
    shown = ", ".join(found[:MOST_SHOWN]) + (", ..." if len(found) > MOST_SHOWN else "")
    return shown or "none"
