"""Families of claims whose answer is known from a theorem, for parameters of any size.

Each member states the claim, the right verdict and, where the claim fails only from some size on, that size.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import tensoralg as ta
from tensoralg.errors import ImplicitSumWarning


@dataclass(frozen=True)
class Known:
    """A claim and its verdict.

    Attributes
    ----------
    name : str
    left, right : Definition
    status : "proved" or "refuted"
    sizes : dict of str to int
        Fixed sizes.
    witness : dict of str to int
        The smallest sizes at which a refuted claim fails, where that is part of the theorem.
    """

    name: str
    left: Any
    right: Any
    status: str
    sizes: dict[str, int] = field(default_factory=dict)
    witness: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def parsed(text: str, indices: str, free: str = "", tensors: dict[str, str] | None = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImplicitSumWarning)
        return ta.parse(text, indices, free=free, tensors=tensors)


def known(name: str, left: str, right: str, status: str, indices: str, free: str = "", **more: Any) -> Known:
    tensors = more.pop("tensors", None)
    return Known(name, *(parsed(text, indices, free, tensors) for text in (left, right)), status, **more)


def ordered(names: list[str], space: str = "n") -> str:
    return f"{','.join(names)}: {space} ordered"


# masks as matrices: a power counts chains (Stanley, Enumerative Combinatorics I, section 3.12)


def strict_powers(most: int = 8) -> Iterator[Known]:
    """Powers of the strict mask: nilpotent at every size, zero at none that is large, binomial counts at all."""
    for m in range(1, most + 1):
        names = [f"a{k}" for k in range(m + 1)]
        chain = "*".join(f"lt[{a},{b}]" for a, b in itertools.pairwise(names))
        inner = f"sum({','.join(names[1:-1])}: {chain})" if m > 1 else chain
        indices, ends = ordered([*names, "r"]), f"a0,a{m}"
        yield known(f"(strict mask)^{m} = 0", inner, "0", "refuted", indices, ends, witness={"n": m + 1})
        yield known(f"(strict mask)^{m} = 0 at n = {m}", inner, "0", "proved", indices, ends, sizes={"n": m})
        falling = "*".join(f"(n - {k})" if k else "n" for k in range(m + 1))
        total = f"{falling}/{math.factorial(m + 1)}"
        yield known(f"sum of (strict mask)^{m}", f"sum({','.join(names)}: {chain})", total, "proved", indices)
        between = f"sum(r: lt[a0,r]*lt[r,a{m}])"
        count = "*".join([f"lt[a0,a{m}]", *(f"({between} - {k})" for k in range(m - 1))])
        entry = f"1/{math.factorial(m - 1)}*{count}"
        yield known(f"entries of (strict mask)^{m}", inner, entry, "proved", indices, ends)


# polynomial identities of matrices at a fixed size


def cayley_hamilton(size: int) -> Iterator[Known]:
    """A matrix is a root of its characteristic polynomial, written in traces by Newton's identities."""
    names = [f"a{k}" for k in range(12)]
    space = f"{','.join(names)}: n"

    def word(length: int, first: int = 0) -> str:
        return "*".join(f"A[{names[first + k]},{names[first + k + 1]}]" for k in range(length))

    def trace(length: int) -> str:
        ring = [*names[6 : 6 + length], names[6]]
        return f"sum({','.join(ring[:-1])}: " + "*".join(f"A[{a},{b}]" for a, b in itertools.pairwise(ring)) + ")"

    # e_k = 1/k sum_{i=1}^{k} (-1)^(i-1) e_(k-i) p_i
    elementary = ["1"]
    for k in range(1, size + 1):
        parts = [f"{'+' if i % 2 else '-'} ({elementary[k - i]})*{trace(i)}" for i in range(1, k + 1)]
        elementary.append(f"1/{k}*(0 {' '.join(parts)})")
    terms = []
    for k in range(size + 1):
        power = size - k
        body = f"delta[a0,a{size}]" if power == 0 else _word_between(names, power, size)
        terms.append(f"{'-' if k % 2 else '+'} ({elementary[k]})*({body})")
    left, ends = "0*delta[a0,a0] " + " ".join(terms), f"a0,a{size}"
    yield known(f"Cayley-Hamilton at n = {size}", left, "0", "proved", space, ends, sizes={"n": size})
    for other in (None, size + 1):
        sizes = {"n": other} if other else {}
        what = f"at n = {other}" if other else "at all sizes"
        yield known(f"the polynomial of size {size} {what}", left, "0", "refuted", space, ends, sizes=sizes)
    if size == 2:
        wrong = left.replace("1/2*", "1/3*")
        yield known("Cayley-Hamilton, a coefficient wrong", wrong, "0", "refuted", space, ends, sizes={"n": 2})


def _word_between(names: list[str], power: int, last: int) -> str:
    ring = [names[0], *names[1:power], names[last]]
    word = "*".join(f"A[{a},{b}]" for a, b in itertools.pairwise(ring))
    inner = ring[1:-1]
    return f"sum({','.join(inner)}: {word})" if inner else word


def gram_determinants(most: int = 3) -> Iterator[Known]:
    """Antisymmetrising over k + 1 vectors gives 0 exactly for n <= k (second fundamental theorem for GL(n))."""
    for k in range(1, most + 1):
        i = [f"i{a}" for a in range(k + 1)]
        terms = []
        for order in itertools.permutations(range(k + 1)):
            sign = (-1) ** sum(order[a] > order[b] for a, b in itertools.combinations(range(k + 1), 2))
            product = "*".join(f"x{a}[{i[a]}]*y{order[a]}[{i[a]}]" for a in range(k + 1))
            terms.append(f"{'+' if sign > 0 else '-'} sum({','.join(i)}: {product})")
        left, indices = "0 " + " ".join(terms), f"{','.join(i)}: n"
        name = f"Gram determinant of {k + 1} vectors"
        yield known(name, left, "0", "refuted", indices, witness={"n": k + 1})
        yield known(f"{name} at n = {k}", left, "0", "proved", indices, sizes={"n": k})


def antisymmetrisers(most: int = 3) -> Iterator[Known]:
    """The generalised Kronecker delta of order k + 1, applied to a tensor, is 0 exactly for n <= k."""
    for k in range(1, most + 1):
        i = [f"i{a}" for a in range(k + 1)]
        terms = []
        for order in itertools.permutations(range(k + 1)):
            sign = (-1) ** sum(order[a] > order[b] for a, b in itertools.combinations(range(k + 1), 2))
            terms.append(f"{'+' if sign > 0 else '-'} B[{','.join(i[a] for a in order)}]")
        left, indices, free = "0*B[" + ",".join(i) + "] " + " ".join(terms), f"{','.join(i)}: n", ",".join(i)
        name = f"antisymmetrised over {k + 1} indices"
        yield known(name, left, "0", "refuted", indices, free, witness={"n": k + 1})
        yield known(f"{name} at n = {k}", left, "0", "proved", indices, free, sizes={"n": k})


# decays: telescoping sums


def resolvents() -> Iterator[Known]:
    """With W the path-ordered product of a gate, ``sum_{s < r <= t} W[t,r] (a_r - 1) = W[t,s] - 1`` for s <= t."""
    gates = (("scalar", "g[]", "", ""), ("by step", "g[r]", "", "n"), ("by channel", "g[r,f]", ",f", "n d"))
    for name, gate, more, legs in gates:
        indices, free, tensors = "t,s,r,u: n ordered; f: d", f"t,s{more}", {"g": legs}

        def w(a: str, b: str, more: str = more) -> str:
            return f"decay(g)[{a},{b}{more}]"

        left = f"sum(r: lt[s,r]*le[r,t]*{w('t', 'r')}*({gate} - 1))"
        right = f"({w('t', 's')} - 1)*le[s,t]"
        yield known(f"resolvent, {name}", left, right, "proved", indices, free, tensors=tensors)
        wrong = f"({w('t', 's')} - 1)*lt[t,s]"
        yield known(f"resolvent, {name}, the wrong mask", left, wrong, "refuted", indices, free, tensors=tensors)
        inclusive = left.replace("lt[s,r]", "le[s,r]")
        yield known(
            f"resolvent, {name}, one step too many", inclusive, right, "refuted", indices, free, tensors=tensors
        )
        middle = f"sum(u: {w('t', 'u')}*{w('u', 's')})"
        count = f"{w('t', 's')}*(sum(u: le[s,u]*le[u,t]))"
        yield known(f"a path cut anywhere, {name}", middle, count, "proved", indices, free, tensors=tensors)
        normalised = f"{w('t', 's')} + sum(r: lt[s,r]*{w('t', 'r')}*(1 - {gate}))"
        yield known(
            f"weights of a moving average sum to one, {name}",
            normalised,
            "le[s,t]",
            "proved",
            indices,
            free,
            tensors=tensors,
        )


# quasi-shuffles (M. E. Hoffman, Quasi-shuffle products, J. Algebraic Combin. 11, 2000)


def ordered_partitions(items: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield the ordered set partitions: Fubini many (1, 3, 13, 75, 541, 4683 for 1 to 6 items)."""
    if not items:
        yield ()
        return
    for size in range(1, len(items) + 1):
        for block in itertools.combinations(items, size):
            rest = tuple(i for i in items if i not in block)
            for tail in ordered_partitions(rest):
                yield (block, *tail)


def quasi_shuffles(most: int = 4) -> Iterator[Known]:
    """A product of prefix sums is the sum of the nested prefix sums over all ordered set partitions."""
    for m in range(2, most + 1):
        names = [f"s{k}" for k in range(m)]
        left = "*".join(f"sum(s{k}: le[s{k},t]*x{k}[s{k}])" for k in range(m))
        terms = []
        for blocks in ordered_partitions(tuple(range(m))):
            factors = [f"x{k}[s{j}]" for j, block in enumerate(blocks) for k in block]
            masks = [f"lt[s{j},s{j + 1}]" for j in range(len(blocks) - 1)] + [f"le[s{len(blocks) - 1},t]"]
            terms.append(f"sum({','.join(names[: len(blocks)])}: {'*'.join([*masks, *factors])})")
        indices = ordered([*names, "t"])
        yield known(f"product of {m} prefix sums", left, " + ".join(terms), "proved", indices, "t")
        wrong = " + ".join([*terms[:-1], f"2*{terms[-1]}"])
        yield known(f"product of {m} prefix sums, one term twice", left, wrong, "refuted", indices, "t")


def triangular(most: int = 6) -> Iterator[Known]:
    """``(sum_i x_i)^m`` is the sum over compositions of m of multinomials times sums over strict chains."""
    for m in range(2, most + 1):
        names = [f"i{k}" for k in range(m)]
        left = f"sum({','.join(names)}: " + "*".join(f"x[{i}]" for i in names) + ")"
        terms = []
        for cuts in itertools.product((0, 1), repeat=m - 1):
            parts = [len(list(run)) for run in _runs(cuts)]
            scale = Fraction(math.factorial(m), math.prod(map(math.factorial, parts)))
            factors = [f"pow(x[i{k}],{p})" for k, p in enumerate(parts)]
            masks = [f"lt[i{k},i{k + 1}]" for k in range(len(parts) - 1)]
            terms.append(f"{scale}*sum({','.join(names[: len(parts)])}: {'*'.join([*masks, *factors])})")
        indices = ordered(names)
        yield known(f"triangular decomposition over {m} indices", left, " + ".join(terms), "proved", indices)
        wrong = " + ".join([terms[0].replace("lt", "le", 1) if m == 1 else "2*" + terms[0], *terms[1:]])
        yield known(f"triangular decomposition over {m} indices, doubled", left, wrong, "refuted", indices)


def _runs(cuts: tuple[int, ...]) -> list[list[int]]:
    runs = [[0]]
    for cut in cuts:
        if cut:
            runs.append([0])
        else:
            runs[-1].append(0)
    return runs


def trichotomies(most: int = 4) -> Iterator[Known]:
    """The orders of m indices, ties included, are disjoint and exhaust all cases."""
    for m in range(2, most + 1):
        names = [f"i{k}" for k in range(m)]
        terms = []
        for blocks in ordered_partitions(tuple(range(m))):
            ties = [f"delta[i{a},i{b}]" for block in blocks for a, b in itertools.pairwise(block)]
            steps = [f"lt[i{a[0]},i{b[0]}]" for a, b in itertools.pairwise(blocks)]
            terms.append("*".join([*ties, *steps]))
        indices, free = ordered(names), ",".join(names)
        yield known(f"all orders of {m} indices", " + ".join(terms), "1", "proved", indices, free)
        yield known(f"all orders of {m} indices but one", " + ".join(terms[1:]), "1", "refuted", indices, free)


def all_families() -> list[Known]:
    """Return every member that the tests ask for."""
    return [
        *strict_powers(),
        *cayley_hamilton(2),
        *cayley_hamilton(3),
        *gram_determinants(),
        *antisymmetrisers(),
        *resolvents(),
        *quasi_shuffles(),
        *triangular(),
        *trichotomies(),
    ]
