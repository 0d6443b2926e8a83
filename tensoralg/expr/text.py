"""The text form of expressions: what `parse` reads and `str` prints.

Sums are always printed explicitly, so the text of an expression parses back to that expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensoralg.errors import NotAnEinsum
from tensoralg.expr.rewrite import one_space_per_name, rename_apart

if TYPE_CHECKING:
    from tensoralg.expr import nodes

ATOM, FACTOR, TERM = 2, 1, 0


def to_text(expr: nodes.Expr) -> str:
    """Return the expression in the text form; bound indices called like a free one are renamed.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> j = V.index("j")
    >>> A = ta.tensor("A", V)
    >>> print(to_text(A[j] * A[j].sum(j)))
    A[j]*sum(j1: A[j1])
    """
    return Text().show(unshadowed(expr), TERM)


class Text:
    """The printing fold: every visitor method returns (text, how tightly it binds)."""

    def show(self, expr: nodes.Expr, tightness: int) -> str:
        """Return the text of `expr`, in brackets where it binds less tightly than `tightness`."""
        text, own = expr.accept(self)
        return f"({text})" if own < tightness else text

    def number(self, node: nodes.Number) -> tuple[str, int]:
        value = node.value
        tight = ATOM if value.denominator == 1 and value >= 0 else FACTOR if value >= 0 else TERM
        return str(value), tight

    def size(self, node: nodes.Size) -> tuple[str, int]:
        return node.name, ATOM

    def entry(self, node: nodes.Entry) -> tuple[str, int]:
        return f"{node.tensor.name}[{_listing(node.args)}]", ATOM

    def delta(self, node: nodes.Delta) -> tuple[str, int]:
        return f"delta[{node.left},{node.right}]", ATOM

    def mask(self, node: nodes.Mask) -> tuple[str, int]:
        return f"{'lt' if node.strict else 'le'}[{node.left},{node.right}]", ATOM

    def near(self, node: nodes.Near) -> tuple[str, int]:
        return f"near[{node.left},{node.right},{self.show(node.width, TERM)}]", ATOM

    def decay(self, node: nodes.Decay) -> tuple[str, int]:
        return f"decay({node.tensor.name})[{_listing((node.later, node.earlier, *node.args))}]", ATOM

    def add(self, node: nodes.Add) -> tuple[str, int]:
        first, *rest = node.terms
        text = self._term(first)
        for term in rest:
            shown = self._term(term)
            text += f" - {shown[1:]}" if shown.startswith("-") else f" + {shown}"
        return text, TERM

    def _term(self, term: nodes.Expr) -> str:
        return self.show(term, TERM)

    def mul(self, node: nodes.Mul) -> tuple[str, int]:
        factors = list(node.factors)
        sign, text = "", ""
        if factors[0].kind == "number":
            value = getattr(factors.pop(0), "value")  # noqa: B009
            sign = "-" if value < 0 else ""
            text = "" if abs(value) == 1 else str(abs(value))
        for factor in factors:
            below = _denominator(factor)
            if below is not None:
                text = f"{text or '1'}/{self.show(below, ATOM)}"
            else:
                text = f"{text}*{self.show(factor, ATOM)}" if text else self.show(factor, ATOM)
        return sign + text, TERM if sign else FACTOR

    def pow(self, node: nodes.Pow) -> tuple[str, int]:
        below = _denominator(node)
        if below is not None:
            return f"1/{self.show(below, ATOM)}", FACTOR
        return f"pow({self.show(node.base, TERM)},{node.exponent})", ATOM

    def apply(self, node: nodes.Apply) -> tuple[str, int]:
        return f"{node.function}({self.show(node.argument, TERM)})", ATOM

    def bind(self, node: nodes.Bind) -> tuple[str, int]:
        return f"sum({_listing(node.indices)}: {self.show(node.summand, TERM)})", ATOM

    def definition(self, node: nodes.Definition) -> tuple[str, int]:
        return f"{node.name}[{_listing(node.legs)}] = {self.show(node.term, TERM)}", TERM


def unshadowed(expr: nodes.Expr) -> nodes.Expr:
    """Return the expression as it is printed: no bound index is called like a free one, or one over another space."""
    return rename_apart(one_space_per_name(expr), {index.name for index in expr._free})


def _listing(terms: tuple[Any, ...]) -> str:
    return ",".join(map(str, terms))


def _denominator(node: nodes.Expr) -> nodes.Expr | None:
    """Return what a factor divides by, or None if it does not divide."""
    exponent = getattr(node, "exponent", 0)
    if exponent >= 0:
        return None
    base: nodes.Expr = getattr(node, "base")  # noqa: B009
    return base if exponent == -1 else type(node)(base, -exponent)


def to_einsum(expr: nodes.Expr) -> str:
    """Return the einsum string of an expression that is one product of tensor entries.

    Parameters
    ----------
    expr : Expr
        A product of entries under sums; its free indices are the output.

    Raises
    ------
    NotAnEinsum
        If anything else occurs: a coefficient, a mask, a function, a sum of terms.

    Examples
    --------
    >>> import tensoralg as ta
    >>> A = ta.parse("C[i,k] = A[i,j]*B[j,k]", indices={"i": "n", "j": "n", "k": "n"})
    >>> ta.einsum_string(A)
    'i j, j k -> i k'
    """
    operands: list[tuple[Any, ...]] = []
    bound: set[str] = set()
    stack = [unshadowed(expr.body)]
    while stack:
        node = stack.pop()
        if node.kind == "entry":
            operands.append(node.index_terms())
        elif node.kind == "bind":
            node = rename_apart(node, bound)
            bound |= node._bound
            stack.extend(node.children())
        elif node.kind == "mul":
            stack.extend(reversed(node.children()))
        else:
            raise NotAnEinsum(
                f"{expr} is not one product of tensor entries: it holds {node}",
                remedy="einsum strings say products only; print the text form instead",
            )
    mentioned = {term.name for terms in operands for term in terms if hasattr(term, "name")}
    if (
        any(not hasattr(term, "name") for terms in operands for term in terms)
        or not (bound | set(expr.free)) <= mentioned
    ):
        raise NotAnEinsum(
            f"{expr} has an index that einsum cannot name (fused, or in no operand)",
            remedy="split composite indices, or print the text form",
        )
    sides = ", ".join(" ".join(map(str, terms)) for terms in operands)
    return f"{sides} -> {' '.join(expr.free)}".rstrip()
