"""Expressions as LaTeX."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tensoralg.expr.text import unshadowed

if TYPE_CHECKING:
    from tensoralg.expr import nodes

ATOM, FACTOR, TERM = 2, 1, 0
GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
    ]
)


def to_latex(expr: nodes.Expr) -> str:
    r"""Return the expression as LaTeX, without dollar signs.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[t] = le[s,t]*x[s]/n", indices={"t,s": "n ordered"})
    >>> print(ta.latex(O))
    O_{t} = \sum_{s} \frac{\mathbf{1}_{s \leq t}\, x_{s}}{n}
    """
    return _Latex().show(unshadowed(expr), TERM)


def latex_name(name: str) -> str:
    """Return a name as LaTeX: trailing digits and what follows an underscore are subscripts.

    Examples
    --------
    >>> latex_name("W_Q"), latex_name("s1"), latex_name("alpha"), latex_name("score")
    ('W_{Q}', 's_{1}', '\\\\alpha', '\\\\mathrm{score}')
    """
    stem, _, below = name.partition("_")
    if not below and (digits := len(stem) - len(stem.rstrip("0123456789"))) and digits < len(stem):
        stem, below = stem[:-digits], stem[-digits:]
    if stem in GREEK or len(stem) == 1:
        shown = f"\\{stem}" if stem in GREEK else stem
    else:
        shown = "\\mathrm{" + (stem or "\\_") + "}"
    below = below.replace("_", "\\_")
    return f"{shown}_{{{below}}}" if below else shown


def _number(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    top, bottom = abs(value.numerator), value.denominator
    return f"{sign}{top}" if bottom == 1 else f"{sign}\\frac{{{top}}}{{{bottom}}}"


def _term(term: Any) -> str:
    if hasattr(term, "parts"):
        return "(" + " ".join(map(_term, term.parts)) + ")"
    return (
        latex_name(term.name)
        if hasattr(term, "name")
        else str(term)
        if isinstance(term, str)
        else f"{term.position}{{:}}{_term(term.term)}"
    )


def _below(terms: Any) -> str:
    return "_{" + " ".join(map(_term, terms)) + "}" if terms else ""


def _indexed(name: str, terms: Any) -> str:
    shown = latex_name(name)
    return (f"{{{shown}}}" if "_" in shown and terms else shown) + _below(terms)


class _Latex:
    def show(self, expr: nodes.Expr, tightness: int) -> str:
        text, own = expr.accept(self)
        return f"\\left({text}\\right)" if own < tightness else text

    def number(self, node: nodes.Number) -> tuple[str, int]:
        return _number(node.value), ATOM if node.value >= 0 else TERM

    def size(self, node: nodes.Size) -> tuple[str, int]:
        return latex_name(node.name), ATOM

    def entry(self, node: nodes.Entry) -> tuple[str, int]:
        return _indexed(node.tensor.name, node.args), ATOM

    def delta(self, node: nodes.Delta) -> tuple[str, int]:
        return f"\\delta{_below((node.left, node.right))}", ATOM

    def mask(self, node: nodes.Mask) -> tuple[str, int]:
        relation = "<" if node.strict else "\\leq"
        return f"\\mathbf{{1}}_{{{_term(node.left)} {relation} {_term(node.right)}}}", ATOM

    def near(self, node: nodes.Near) -> tuple[str, int]:
        left, right = _term(node.left), _term(node.right)
        return f"\\mathbf{{1}}_{{{right} - {self.show(node.width, ATOM)} < {left} \\leq {right}}}", ATOM

    def decay(self, node: nodes.Decay) -> tuple[str, int]:
        return f"{{\\Pi^{{{latex_name(node.tensor.name)}}}}}{_below((node.later, node.earlier, *node.args))}", ATOM

    def add(self, node: nodes.Add) -> tuple[str, int]:
        text = self.show(node.terms[0], TERM)
        for term in node.terms[1:]:
            shown = self.show(term, TERM)
            text += f" - {shown[1:]}" if shown.startswith("-") else f" + {shown}"
        return text, TERM

    def mul(self, node: nodes.Mul) -> tuple[str, int]:
        coefficient = Fraction(1)
        above: list[str] = []
        below: list[str] = []
        for factor in node.factors:
            exponent = getattr(factor, "exponent", 1)
            if factor.kind == "number":
                coefficient = getattr(factor, "value")  # noqa: B009
            elif exponent < 0:
                base = getattr(factor, "base")  # noqa: B009
                below.append(self.show(base, TERM) if exponent == -1 else f"{self.show(base, ATOM)}^{{{-exponent}}}")
            else:
                above.append(self.show(factor, ATOM))
        sign, size = ("-" if coefficient < 0 else ""), abs(coefficient)
        if below:
            if size.numerator != 1 or not above:
                above.insert(0, str(size.numerator))
            if size.denominator != 1:
                below.insert(0, str(size.denominator))
            many = len(below) > 1
            under = "\\, ".join(f"\\left({b}\\right)" if many and " " in b else b for b in below)
            text = f"\\frac{{{_join(above)}}}{{{under}}}"
        else:
            text = _join(([_number(size)] if size != 1 else []) + above)
        return sign + text, TERM if sign else FACTOR

    def pow(self, node: nodes.Pow) -> tuple[str, int]:
        if node.exponent == -1:
            return f"\\frac{{1}}{{{self.show(node.base, TERM)}}}", FACTOR
        base = self.show(node.base, ATOM)
        return (
            f"\\left({base}\\right)^{{{node.exponent}}}" if node.base.kind == "pow" else f"{base}^{{{node.exponent}}}",
            ATOM,
        )

    def apply(self, node: nodes.Apply) -> tuple[str, int]:
        argument = self.show(node.argument, TERM)
        if node.function == "sqrt":
            return f"\\sqrt{{{argument}}}", ATOM
        name = f"\\{node.function}" if node.function in ("exp", "log") else f"\\mathrm{{{node.function}}}"
        return f"{name}\\left({argument}\\right)", ATOM

    def bind(self, node: nodes.Bind) -> tuple[str, int]:
        return f"\\sum_{{{' '.join(map(_term, node.indices))}}} {self.show(node.summand, FACTOR)}", FACTOR

    def definition(self, node: nodes.Definition) -> tuple[str, int]:
        return f"{_indexed(node.name, node.legs)} = {self.show(node.term, TERM)}", TERM


def _join(parts: list[str]) -> str:
    return "\\, ".join(parts)
