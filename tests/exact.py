"""A fast exact evaluator: a term becomes one Python function of plain loops.

It shares no code with the library's own evaluation or normal forms and is checked against the slower `oracle`.
Integers stay integers and quotients are rationals; `exp` and the like give balls of 200 bits, so a difference that
is seen is a difference.  Where a side is undefined (division by zero, the logarithm of what is not positive) it has
no value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import flint

PRECISION = 200
PARTIAL = ("log", "sqrt")
RELATIONS = ("delta", "mask", "near")


class Evaluator:
    """The value of a definition at every position of its free indices.

    Parameters
    ----------
    definition : Definition
    order : tuple of str, optional
        The free indices in the order in which positions are given; by default the definition's own.

    Examples
    --------
    >>> import tensoralg as ta
    >>> product = ta.parse("O[t] = le[s,t]*x[s]", indices="t,s: n ordered")
    >>> evaluator = Evaluator(product)
    >>> [evaluator.at({"n": 3}, {"x": [1, 10, 100]}, (t,)) for t in range(3)]
    [1, 11, 111]
    """

    def __init__(self, definition: Any, order: tuple[str, ...] | None = None) -> None:
        self.free = {index.name: index.space for index in definition.free_indices}
        self.order = order or tuple(self.free)
        writer = _Writer()
        body = writer.write(definition.body)
        head = [f"    z_{name} = sizes[{name!r}]" for name in sorted(writer.dimensions)]
        head += [f"    x_{name} = tensors[{name!r}]" for name in sorted(writer.tensors)]
        arguments = ", ".join(["sizes", "tensors", *(f"i_{name}" for name in self.order)])
        lines = [f"def value({arguments}):", *head, f"    return {body}"]
        namespace: dict[str, Any] = dict(NAMESPACE)
        exec(compile("\n".join(lines), "<evaluator>", "exec"), namespace)
        self.value: Callable[..., Any] = namespace["value"]

    def at(self, sizes: Mapping[str, int], tensors: Mapping[str, Any], point: tuple[int, ...]) -> Any:
        """Return the value (an int, a rational or a ball), or None where there is none."""
        with flint.ctx.workprec(PRECISION):
            try:
                found = self.value(sizes, tensors, *point)
            except (ZeroDivisionError, ArithmeticError):
                return None
        return None if isinstance(found, flint.arb) and not found.is_finite() else found

    def points(self, sizes: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
        """Yield every position of the free indices."""
        yield from itertools.product(*(range(extent(self.free[name], sizes)) for name in self.order))


def differ(left: Any, right: Any) -> bool:
    """Whether two values are certainly different; a missing value differs from nothing."""
    if left is None or right is None:
        return False
    if isinstance(left, flint.arb) or isinstance(right, flint.arb):
        with flint.ctx.workprec(PRECISION):
            return not flint.arb(left).overlaps(flint.arb(right))
    return bool(left != right)


def rational(values: Any) -> Any:
    """Return nested lists with fractions as flint's rationals, which are exact and quick."""
    if isinstance(values, list | tuple):
        return [rational(value) for value in values]
    return flint.fmpq(values.numerator, values.denominator) if isinstance(values, Fraction) else values


def fractions(values: Any) -> Any:
    """Return nested lists with flint's rationals as fractions; the opposite of `rational`."""
    if isinstance(values, list | tuple):
        return [fractions(value) for value in values]
    return Fraction(int(values.p), int(values.q)) if isinstance(values, flint.fmpq) else values


def extent(space: Any, sizes: Mapping[str, int]) -> int:
    """Return the number of basis vectors of a space."""
    return int(eval(_Writer().extent(space), {f"z_{name}": size for name, size in sizes.items()}))


class _Writer:
    """Writes a term as a Python expression over sizes z_n, tensors x_A and positions i_t."""

    def __init__(self) -> None:
        self.dimensions: set[str] = set()
        self.tensors: set[str] = set()

    def write(self, node: Any) -> str:
        return getattr(self, node.kind)(node)

    def extent(self, space: Any) -> str:
        parts = getattr(space, "factors", None) or getattr(space, "summands", None)
        if parts is not None:
            join = "*" if hasattr(space, "factors") else "+"
            return "(" + join.join(map(self.extent, parts)) + ")"
        return self.dimension(str(space.dimension))

    def dimension(self, name: str) -> str:
        if name.isdecimal():
            return name
        self.dimensions.add(name)
        return f"z_{name}"

    def position(self, term: Any) -> str:
        if hasattr(term, "parts"):
            place = "0"
            for part in term.parts:
                place = f"({place}*{self.extent(part.space)}+{self.position(part)})"
            return place
        if hasattr(term, "term"):
            before = "+".join(["0", *(self.extent(summand) for summand in term.space.summands[: term.position])])
            return f"({before}+{self.position(term.term)})"
        return f"i_{term.name}"

    def number(self, node: Any) -> str:
        value = node.value
        whole = value.denominator == 1
        return f"({value.numerator})" if whole else f"fmpq({value.numerator},{value.denominator})"

    def size(self, node: Any) -> str:
        return self.dimension(node.name)

    def entry(self, node: Any) -> str:
        self.tensors.add(node.tensor.name)
        return f"x_{node.tensor.name}" + "".join(f"[{self.position(term)}]" for term in node.args)

    def condition(self, node: Any) -> str:
        left, right = self.position(node.left), self.position(node.right)
        if node.kind == "delta":
            return f"{left}=={right}"
        if node.kind == "mask":
            return f"{left}{'<' if node.strict else '<='}{right}"
        return f"{right}-{self.write(node.width)}<{left}<={right}"

    def delta(self, node: Any) -> str:
        return f"(1 if {self.condition(node)} else 0)"

    mask = near = delta

    def decay(self, node: Any) -> str:
        self.tensors.add(node.tensor.name)
        clock = node.times[0].space if node.times else node.tensor.legs[0]
        later = f"{self.extent(clock)}-1" if isinstance(node.later, str) else self.position(node.later)
        earlier = "-1" if isinstance(node.earlier, str) else self.position(node.earlier)
        channel = ",".join(self.position(term) for term in node.args)
        timed = bool(node.tensor.legs)
        return f"path(x_{node.tensor.name},{timed},{later},{earlier},({channel}{',' if channel else ''}))"

    def add(self, node: Any) -> str:
        return "(" + "+".join(map(self.write, node.terms)) + ")"

    def split(self, node: Any) -> tuple[list[Any], list[Any]]:
        """Return the relations whose vanishing saves the other factors, and those; none if they may be undefined."""
        factors = list(node.factors) if node.kind == "mul" else [node]
        relations = [f for f in factors if f.kind in RELATIONS]
        rest = [f for f in factors if f.kind not in RELATIONS]
        return ([], factors) if any(map(_partial, rest)) else (relations, rest)

    def product(self, factors: list[Any]) -> str:
        return "*".join(map(self.write, factors)) or "1"

    def mul(self, node: Any) -> str:
        relations, rest = self.split(node)
        if relations:
            return f"({self.product(rest)} if {' and '.join(map(self.condition, relations))} else 0)"
        return f"({self.product(rest)})"

    def pow(self, node: Any) -> str:
        base = self.write(node.base)
        return f"({base})**{node.exponent}" if node.exponent > 0 else f"invert({base})**{-node.exponent}"

    def apply(self, node: Any) -> str:
        return f"{node.function}({self.write(node.argument)})"

    def bind(self, node: Any) -> str:
        relations, rest = self.split(node.summand)
        names = [index.name for index in node.indices]
        body = self.product(rest)
        loops = ""
        for k, index in enumerate(node.indices):
            loops += f" for i_{index.name} in range({self.extent(index.space)})"
            later = set(names[k + 1 :])
            known = [r for r in relations if not later & set(r.free)]  # each is tested as soon as it can be
            relations = [r for r in relations if r not in known]
            loops += "".join(f" if {self.condition(r)}" for r in known)
        return f"sum([{body}{loops}])"


def _partial(node: Any) -> bool:
    if node.kind == "pow" and node.exponent < 0:
        return True
    return (node.kind == "apply" and node.function in PARTIAL) or any(map(_partial, node.children()))


def path(gate: Any, timed: bool, later: int, earlier: int, channel: tuple[int, ...]) -> Any:
    """Return the product of a gate over earlier < r <= later, the latest on the left; 0 if earlier > later."""
    if earlier > later:
        return 0
    if len(channel) == 2:
        size = len(gate[0])
        row = [int(k == channel[0]) for k in range(size)]
        for r in range(later, earlier, -1):
            row = [sum([row[k] * gate[r][k][c] for k in range(size)]) for c in range(size)]
        return row[channel[1]]
    product: Any = 1
    for r in range(earlier + 1, later + 1):
        step = gate[r] if timed else gate
        product *= step[channel[0]] if channel else step
    return product


def invert(x: Any) -> Any:
    """Return 1 / x, rational where x is."""
    if isinstance(x, int):
        return flint.fmpq(1, x)
    if isinstance(x, flint.arb) and x.contains(0):
        raise ZeroDivisionError
    return 1 / x


def exp(x: Any) -> Any:
    return 1 if x == 0 else flint.arb(x).exp()


def log(x: Any) -> Any:
    return 0 if x == 1 else _finite(flint.arb(x).log())


def relu(x: Any) -> Any:
    if not isinstance(x, flint.arb):
        return x if x > 0 else 0
    return x if x > 0 else 0 if x <= 0 else _finite(flint.arb.max(x, flint.arb(0)))


def sqrt(x: Any) -> Any:
    if not isinstance(x, flint.arb):
        whole = flint.fmpq(x)
        if whole < 0:
            raise ArithmeticError
        roots = [flint.fmpz(part).root(2) for part in (whole.p, whole.q)]
        if roots[0] ** 2 == whole.p and roots[1] ** 2 == whole.q:
            return flint.fmpq(*roots)
    return _finite(flint.arb(x).sqrt())


def _finite(x: Any) -> Any:
    if not x.is_finite():
        raise ArithmeticError
    return x


NAMESPACE = {"fmpq": flint.fmpq, "path": path, "invert": invert, "exp": exp, "log": log, "relu": relu, "sqrt": sqrt}
