"""Sliced contractions against an executor that loops over the slices and counts what it does."""

from __future__ import annotations

import pickle
import string
from collections.abc import Iterator
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan.oracle import Order, expression, positions, run, trees
from plan.test_exact import networks

import tensoralg as ta
from tensoralg.plan import Regime, plan, slice_search, slices
from tensoralg.plan.block import Contract, Leaf, Operand
from tensoralg.plan.orders import orders
from tensoralg.plan.polynomial import Maximum, Polynomial
from tensoralg.plan.slice_search import best_first, greedily
from tensoralg.plan.slicing import Sliced, price
from tensoralg.plan.tree import Network, from_path

Words = tuple[list[str], str]


def axes(letters: str) -> list[int]:
    return [ord(x) - ord("a") for x in letters]


class Loop:
    """The execution of one order in slices, on exact arrays: operations counted, arrays allocated and freed."""

    def __init__(
        self,
        words: Words,
        size: dict[str, int],
        cut: str,
        arrays: list[Any] | None = None,
        held: list[int] | None = None,
        masks: set[int] | None = None,
    ) -> None:
        self.words, self.output = words[0], words[1]
        self.size, self.cut = size, cut
        self.arrays = arrays
        self.masks = masks or set()
        self.flops = self.pointwise = self.largest = self.peak = 0
        self.alive: dict[Any, int] = {("held", k): amount for k, amount in enumerate(held or [0] * len(self.words))}
        self.before: dict[Order, tuple[str, Any]] = {}
        self.spot: dict[str, int] = {}

    def count(self, letters: str) -> int:
        return prod(self.size[x] for x in set(letters))

    def allocate(self, key: Any, amount: int) -> None:
        self.alive[key] = amount
        self.largest = max(self.largest, amount)
        self.see()

    def see(self) -> None:
        self.peak = max(self.peak, sum(self.alive.values()))

    def group(self, order: Order) -> set[int]:
        return {order} if isinstance(order, int) else self.group(order[0]) | self.group(order[1])

    def needed(self, order: Order) -> set[str]:
        inside = self.group(order)
        return set(self.output).union(*(w for k, w in enumerate(self.words) if k not in inside))

    def cuts(self, order: Order) -> bool:
        return any(x in self.cut for k in self.group(order) for x in self.words[k])

    def prepare(self, order: Order) -> None:
        """Compute the largest parts without a sliced letter, left to right."""
        if self.cuts(order):
            if not isinstance(order, int):
                self.prepare(order[0])
                self.prepare(order[1])
        else:
            self.before[order] = self.compute(order, in_slice=False)

    def read(self, order: Order, in_slice: bool) -> None:
        """Free what has been read, unless other slices read it too."""
        if not in_slice:
            self.alive.pop(("held", order), None)
            self.alive.pop(("made", order), None)
        elif order not in self.before:
            self.alive.pop(("made", order), None)

    def compute(self, order: Order, in_slice: bool, last: bool = False) -> tuple[str, Any]:
        """Return the letters and the entries of a part of the order, the sliced letters fixed."""
        if in_slice and order in self.before:
            return self.before[order]
        needed = self.needed(order)
        if isinstance(order, int):
            letters, array = self.operand(order)
            kept = "".join(x for x in letters if x in needed)
            if kept == letters:
                return letters, array
            self.flops += self.count(letters)
            self.allocate(("made", order), self.count(kept))
            if not in_slice:
                self.alive.pop(("held", order), None)
            return kept, self.einsum([(letters, array)], kept)
        left, right = self.compute(order[0], in_slice), self.compute(order[1], in_slice)
        union = "".join(dict.fromkeys(left[0] + right[0]))
        kept = "".join(x for x in union if x in needed)
        self.charge(order, union, kept, last)
        if last:
            self.see()
        else:
            self.allocate(("made", order), self.count(kept))
        for part in order:
            self.read(part, in_slice)
        return kept, self.einsum([left, right], kept)

    def charge(self, order: Order, union: str, kept: str, last: bool) -> None:
        work = self.count(union)
        adds = last and any(x in self.cut and x not in self.output for x in "".join(self.words))
        if kept != union or adds:
            self.flops += 2 * work
        elif self.masks_only(order):
            self.pointwise += work
        else:
            self.flops += work

    def masks_only(self, order: Order) -> bool:
        """Whether the step applies a mask and sums nothing when nothing is sliced."""
        mine, theirs = (
            {x for k in self.group(part) for x in self.words[k]} & self.needed(part) for part in (order[0], order[1])
        )
        if (mine | theirs) - self.needed(order):
            return False
        whole = [isinstance(p, int) and p in self.masks and set(self.words[p]) <= self.needed(p) for p in order]
        return (whole[0] and mine <= theirs) or (whole[1] and theirs <= mine)

    def operand(self, k: int) -> tuple[str, Any]:
        word = self.words[k]
        letters = "".join(dict.fromkeys(x for x in word if x not in self.spot))
        if self.arrays is None:
            return letters, None
        view = self.arrays[k][tuple(self.spot.get(x, slice(None)) for x in word)]
        return letters, np.einsum(view, axes("".join(x for x in word if x not in self.spot)), axes(letters))

    def einsum(self, parts: list[tuple[str, Any]], kept: str) -> Any:
        if self.arrays is None:
            return None
        return np.einsum(*(x for letters, array in parts for x in (array, axes(letters))), axes(kept))

    def run(self, order: Order) -> Any:
        """Execute everything and return the output."""
        self.prepare(order)
        out = np.zeros([self.size[x] for x in self.output], dtype=np.int64)
        self.allocate("output", self.count(self.output))
        for spot in product(*(range(self.size[x]) for x in self.cut)):
            self.spot = dict(zip(self.cut, spot, strict=True))
            letters, part = self.compute(order, in_slice=True, last=True)
            if self.arrays is not None:
                rest = "".join(x for x in self.output if x not in self.cut)
                place = tuple(self.spot.get(x, slice(None)) for x in self.output)
                out[place] += np.einsum(part, axes(letters), axes(rest))
        return out


def network(
    words: Words, size: dict[str, int], held: list[int] | None = None, masks: set[int] | None = None
) -> Network:
    operands, output = words
    spaces = tuple(ta.Space(x, size.get(x, 1)) for x in "abcde")
    factors = tuple(
        Operand(Leaf(ta.tensor(f"A{k}", tuple(spaces[axis] for axis in axes(word)))), tuple(axes(word)))
        for k, word in enumerate(operands)
    )
    contract = Contract(factors, tuple(axes(output)), spaces)
    made = Network(contract, [s.dimension for s in spaces], held or [0] * len(operands), 1)
    made.masked = [k in (masks or ()) for k in range(len(operands))]
    return made


def symbolic(words: Words) -> Network:
    """Return the network with a symbol for the size of each letter."""
    made = network(words, {})
    sizes = [Polynomial.symbol(f"n{x}") for x in "abcde"]
    zero = Polynomial({})
    return Network(made.contract, sizes, [zero] * made.count, Polynomial.constant(1))


def named(sizes: dict[str, int]) -> dict[str, int]:
    return {f"n{x}": size for x, size in sizes.items()}


def looped(words: Words, size: dict[str, int], regime: Regime) -> tuple[int, int, int]:
    """Return FLOPs, largest and peak of what a plan proposes, counted by execution."""
    cut = "".join(name.removeprefix("S") for name, _ in regime.slices)
    if not cut:
        return run(*words, size, positions(regime.tree))
    loop = Loop(words, size, cut)
    loop.run(positions(regime.tree))
    return loop.flops, loop.largest, loop.peak


def sliced(order: Order, cut: str) -> Sliced:
    return Sliced(order, tuple(sorted(axes(cut))))


def letters_of(words: Words) -> str:
    return "".join(sorted({x for word in words[0] for x in word}))


def subsets(letters: str) -> Iterator[str]:
    return ("".join(part) for k in range(len(letters) + 1) for part in combinations(letters, k))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Words, dict[str, int], str, Order]:
    words = draw(networks(5).filter(lambda found: len(found[0]) > 1))
    letters = letters_of(words)
    size = {x: draw(st.integers(1, 3)) for x in letters}
    cut = draw(st.lists(st.sampled_from(letters), unique=True, min_size=1, max_size=4))
    parts: list[Order] = list(range(len(words[0])))
    while len(parts) > 1:
        left = parts.pop(draw(st.integers(0, len(parts) - 1)))
        right = parts.pop(draw(st.integers(0, len(parts) - 1)))
        parts.append((left, right))
    return words, size, "".join(cut), parts[0]


@settings(max_examples=300)
@given(cases(), st.data())
def test_prices_are_what_a_loop_over_slices_counts(
    case: tuple[Words, dict[str, int], str, Order], data: st.DataObject
) -> None:
    words, size, cut, order = case
    held = [data.draw(st.sampled_from([0, 0, 1, 5])) for _ in words[0]]
    masks = {k for k in range(len(words[0])) if data.draw(st.booleans())}
    loop = Loop(words, size, cut, held=held, masks=masks)
    loop.run(order)
    found = price(network(words, size, held, masks), sliced(order, cut))
    assert (found.flops, found.pointwise) == (loop.flops, loop.pointwise)
    assert (found.largest, found.peak) == (loop.largest, loop.peak)


@settings(max_examples=100)
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_sum_over_slices_is_the_contraction(case: tuple[Words, dict[str, int], str, Order], seed: int) -> None:
    words, size, cut, order = case
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(-3, 4, [size[x] for x in word]) for word in words[0]]
    pairs = zip(arrays, words[0], strict=True)
    whole = np.einsum(*(x for array, word in pairs for x in (array, axes(word))), axes(words[1]))
    assert (Loop(words, size, cut, arrays).run(order) == whole).all()


@settings(max_examples=200)
@given(cases(), st.data())
def test_more_slices_cost_no_less_and_hold_no_more(
    case: tuple[Words, dict[str, int], str, Order], data: st.DataObject
) -> None:
    words, size, cut, order = case
    made = network(words, {x: size[x] + 1 for x in size}, masks=set(data.draw(st.sets(st.integers(0, 4)))))
    fewer = "".join(x for x in cut if data.draw(st.booleans()))
    one, other = price(made, sliced(order, fewer)), price(made, sliced(order, cut))
    assert one.flops <= other.flops
    assert one.largest >= other.largest


@st.composite
def limited(draw: st.DrawFn, most: int = 4) -> tuple[Words, dict[str, int], int]:
    """Networks with a limit between the least possible one and the largest that any order needs."""
    words = draw(networks(most).filter(lambda found: len(found[0]) > 1))
    size = {x: draw(st.integers(1, 6)) for x in letters_of(words)}
    made = network(words, size)
    most_needed = max(int(made.price(tree).largest) for tree in trees(tuple(range(made.count))))  # type: ignore[arg-type]
    least = max(prod(size[x] for x in word) for word in [*words[0], words[1]])
    return words, size, draw(st.integers(least, max(least, most_needed)))


@settings(max_examples=150)
@given(limited())
def test_plans_within_a_limit_are_the_cheapest(case: tuple[Words, dict[str, int], int]) -> None:
    words, size, limit = case
    found = plan(expression(*words), named(size), memory_limit=limit)
    (regime,) = found.regimes()
    made, members = network(words, size), tuple(range(len(words[0])))
    cuts = list(subsets("".join(x for x in letters_of(words) if size[x] > 1)))
    prices = [price(made, sliced(order, cut)) for order in trees(members) for cut in cuts]
    assert found.optimal
    assert found.flops == min(p.flops for p in prices if p.largest <= limit)
    assert found.largest <= limit
    assert looped(words, size, regime) == (found.flops, found.largest, found.peak)
    best = min(p.flops for p in prices if isinstance(p.tree, Sliced) is False)
    assert regime.overhead * best == found.flops
    cut = "".join(name.removeprefix("S") for name, _ in regime.slices)
    for label in cut:
        fewer = price(made, sliced(positions(regime.tree), cut.replace(label, "")))
        assert fewer.largest > limit, "a label is sliced in vain"


@settings(max_examples=100)
@given(limited(), st.sampled_from(["largest", "peak"]))
def test_with_memory_first_slices_are_the_last_resort(case: tuple[Words, dict[str, int], int], minimize: str) -> None:
    words, size, limit = case
    (regime,) = plan(expression(*words), named(size), minimize, memory_limit=limit).regimes()
    (free,) = plan(expression(*words), named(size), "largest").regimes()
    assert regime.largest <= limit
    assert bool(regime.slices) == (free.largest > limit)
    if regime.slices:
        assert regime.flops == plan(expression(*words), named(size), memory_limit=limit).flops


@settings(max_examples=150)
@given(networks(4), st.data())
def test_the_minimum_is_the_least_limit_that_works(words: Words, data: st.DataObject) -> None:
    size = {x: data.draw(st.integers(1, 9)) for x in letters_of(words)}
    expr = expression(*words)
    with pytest.raises(ta.errors.MemoryLimit) as caught:
        plan(expr, named(size), memory_limit=data.draw(st.integers(1, _least(words, size) - 1)))
    least = caught.value.minimum
    assert least == _least(words, size)
    assert plan(expr, named(size), memory_limit=least).largest <= least


def _least(words: Words, size: dict[str, int]) -> int:
    least = max(prod(size[x] for x in word) for word in [*words[0], words[1]])
    assume(least > 1)
    return least


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]", 7 * 7),
        ("O[t,e] = sum(s: exp(sum(f: Q[t,f]*K[s,f]))*exp(sum(f: K[t,f]*Q[s,f]))*V[s,e])", 7 * 7),
        ("O[t,e] = 3*Q[t,f]*K[s,f]*V[s,e]", 7 * 2),
        ("O[] = Q[t,f]*K[s,f]*Q[t,e]*V[s,e]", 7 * 2),
        ("O[t,s] = le[s,t]*x[f]", 7 * 7),
        ("O[f] = exp(sum(t: Q[t,f]*x[t]))*sum(t: y[t])", 7 * 2),
    ],
)
def test_the_minimum_of_programs(text: str, least: int) -> None:
    expr = ta.parse(text, indices={"t,s": "n ordered", "f,e": "d"})
    assert plan(expr, {"n": 7, "d": 2}, memory_limit=least).largest <= least
    with pytest.raises(ta.errors.MemoryLimit) as caught:
        plan(expr, {"n": 7, "d": 2}, memory_limit=least - 1)
    assert caught.value.minimum == least


@settings(max_examples=60)
@given(networks(3), st.data())
def test_limits_that_are_polynomials(words: Words, data: st.DataObject) -> None:
    assume(len(words[0]) > 1)
    sizes = {x: data.draw(st.one_of(st.integers(2, 9), st.just(10**6))) for x in letters_of(words)}
    shapes = [Polynomial.constant(1), *(_monomial(word) for word in [*words[0], words[1]])]
    limit = sum(shapes, Polynomial({}))
    bound, made = Maximum.of([limit]), symbolic(words)
    cuts = list(subsets(letters_of(words)))
    prices = [price(made, sliced(order, cut)) for order in trees(tuple(range(made.count))) for cut in cuts]
    least = min(p.flops.value(named(sizes)) for p in prices if p.largest.below(bound))  # type: ignore[union-attr]
    found = plan(expression(*words), memory_limit=limit.sympy())
    at = {ta.dims(name): value for name, value in named(sizes).items()}
    assert found.optimal
    assert sympy.sympify(found.flops).subs(at) == least
    for regime in found.regimes():
        assert sympy.sympify(regime.largest).subs(at) <= limit.value(named(sizes))


def _monomial(word: str) -> Polynomial:
    product = Polynomial.constant(1)
    for letter in word:
        product = product * Polynomial.symbol(f"n{letter}")
    return product


@settings(max_examples=40)
@given(limited(5), st.randoms(use_true_random=False))
def test_the_greedy_search_keeps_to_the_limit(case: tuple[Words, dict[str, int], int], rng: Any) -> None:
    words, size, limit = case
    count = len(words[0])
    made = network(words, size)
    start = from_path([(rng.randrange(k - 1), k - 1) for k in range(count, 1, -1)], count)
    for order in (greedily(made, limit, start, {}), best_first(made, limit, budget=0)[0]):
        if order is not None:
            assert price(made, order).largest <= limit
    best, exact = best_first(made, limit)
    assert exact
    assert best is not None
    assert price(made, best).flops <= price(made, greedily(made, limit, start, {})).flops


SHAPES = {"t": "n", "s": "n", "u": "n", "f": "d", "g": "d", "e": "d"}
ATTENTION = expression(["tf", "sf", "se"], "te", SHAPES)
SECOND = expression(["tf", "sf", "ug", "sg", "ue"], "te", SHAPES)
n, d = ta.dims("n d")


@pytest.fixture
def _forgetful() -> Iterator[None]:
    """Plans are not remembered from before a budget is changed, nor after."""
    orders.cache_clear()
    yield
    orders.cache_clear()


@pytest.mark.usefixtures("_forgetful")
def test_symbols_beyond_the_exact_search(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = plan(SECOND, memory_limit=n * d)
    assert exact.optimal
    monkeypatch.setattr(slices, "SETS", 0)
    orders.cache_clear()
    found = plan(SECOND, memory_limit=n * d)
    assert not found.optimal
    assert found.largest == n * d
    for at in ({n: 50, d: 3}, {n: 3, d: 50}, {n: 10**6, d: 10}):
        assert exact.flops.subs(at) <= found.flops.subs(at) <= 2 * exact.flops.subs(at)


@pytest.mark.usefixtures("_forgetful")
def test_a_large_network_is_sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square lattice of 5 by 5 tensors with bonds of 2: a cut has 2^5 entries, the limit is 2^4."""
    monkeypatch.setattr(slice_search, "STARTS", 1)  # fewer tries, for the time they take
    words, size = _lattice(5), 2
    letters = sorted({x for word in words for x in word})
    spaces = {x: ta.Space(f"B{k}", size) for k, x in enumerate(letters)}
    tensors = [ta.tensor(f"A{k}", tuple(spaces[x] for x in word)) for k, word in enumerate(words)]
    expr = ta.einsum(", ".join(" ".join(word) for word in words) + " ->", *tensors)
    free, found = plan(expr), plan(expr, memory_limit=2**4)
    (regime,) = found.regimes()
    assert free.largest > 2**4 >= found.largest
    assert regime.overhead == sympy.Rational(found.flops, free.flops)
    assert 1 <= regime.overhead < 2
    assert not found.optimal
    loop = Loop(
        (words, ""),
        dict.fromkeys(letters, size),
        "".join(letters[int(name.removeprefix("B"))] for name, _ in regime.slices),
    )
    loop.run(positions(regime.tree))
    assert (loop.flops, loop.largest, loop.peak) == (found.flops, found.largest, found.peak)
    assert plan(expr, memory_limit=2**4).flops == found.flops, "the same seed gives the same order"


def _lattice(side: int) -> list[str]:
    """Return the tensors of a square lattice, one letter for every bond."""
    bonds: dict[tuple[tuple[int, int], tuple[int, int]], str] = {}
    sites = list(product(range(side), repeat=2))
    for row, column in sites:
        for other in ((row + 1, column), (row, column + 1)):
            if max(other) < side:
                bonds[(row, column), other] = string.ascii_letters[len(bonds)]
    return ["".join(letter for bond, letter in bonds.items() if site in bond) for site in sites]


def test_what_a_plan_says_of_its_slices() -> None:
    found = plan(ATTENTION, memory_limit=n * d)
    first, second = found.regimes()
    # a row of the scores at a time; a column of the summary at a time
    assert (first.flops, first.slices, first.peak, first.overhead) == (4 * n**2 * d, (("St", n),), n * d + n, 1)
    assert (second.flops, second.slices, second.peak, second.overhead) == (4 * n * d**2, (("Sf", d),), n * d + d, 1)
    assert "sliced     n slices, over St (axis 0 of A0, axis 0 of the result)" in found.show()
    # slices of d > n rows of scores repeat nothing, but at n > d the order with the summary is cheaper
    assert plan(ATTENTION, {"n": 9, "d": 3}, memory_limit=27).regimes()[0].slices == ()
    assert plan(SECOND, memory_limit=n * d).regimes()[0].overhead == 4 * d / (3 * d + n)
    assert found.at(n=3, d=8).regimes()[0].slices == ()
    assert pickle.loads(pickle.dumps(found)).flops == found.flops


def test_polynomial_limits_at_sizes() -> None:
    """A limit in symbols was not evaluated where sizes were given."""
    found = plan(ATTENTION, memory_limit=n * d)
    assert found.at(n=3, d=8).flops == plan(ATTENTION, {"n": 3, "d": 8}, memory_limit=24).flops
    assert {r.flops for r in found.at(n=3).regimes()} == {4 * 9 * d, 12 * d**2}
    with pytest.raises(ta.errors.UnknownSize, match="m"):
        plan(ATTENTION, memory_limit=n * d * ta.dims("m"))
    with pytest.raises(ta.errors.MemoryLimit) as caught:
        plan(ATTENTION, memory_limit=n)
    assert caught.value.minimum == n * d
