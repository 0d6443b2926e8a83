"""Terms in the language of certificates, as text like the text form of expressions, and as LaTeX.

For display the language has three more forms: ``("=" | "!=" | ">" | ">=", term, term)``, ``("dots", k)`` for k parts
that are left out, and ``("chain", block..)`` for a strict chain of blocks of equal indices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from tensoralg.expr.latex import latex_name

SUM, PRODUCT, FACTOR = range(3)
# names that a person would write, i.0 for i in a summand; the recorder's own for bound indices are like b1.2
WRITTEN = re.compile(r"(?!b\d+_\d+$)[^\W\d]\w*(\.\d+)*")  # not the names that proofs give
MOST_ENTRIES = 12  # of a sparse tensor that are shown
RELATIONS = {"le": "\\le", "lt": "<"}
INDICES = {"t": 2, "decay": 3, "gap": 3}  # where the indices of a form begin, if not at 1
COMPARED = {"=": "=", "!=": "\\ne", ">": ">", ">=": "\\ge"}
COMPOSED = ("+", "*", "^", "exp", "log", "sqrt", "relu", *COMPARED)
SPECIAL = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}


# text


def text(node: Any, level: int = SUM) -> str:
    """Return a term of the language of certificates as text.

    Examples
    --------
    >>> text(("*", ("num", 1, 2), ("+", ("t", "A", "i", "j"), ("delta", "i", "j"))))
    '1/2*(A[i,j] + delta[i,j])'
    """
    if isinstance(node, int):
        return str(node) if node >= 0 or level == SUM else f"({node})"
    kind = node[0]
    if kind == "num":
        return f"{node[1]}/{node[2]}" if level < FACTOR else f"({node[1]}/{node[2]})"
    if kind == "size":
        return str(node[1])
    if kind == "dots":
        return f"...({node[1]} more)..."
    if kind == "chain":
        return " < ".join(" = ".join(map(index, block)) for block in node[1:])
    if kind in COMPARED:
        return f"{text(node[1])} {kind} {text(node[2])}"
    if kind == "t":
        return f"{node[1]}[{','.join(map(index, node[2:]))}]"
    if kind in ("delta", "le", "lt"):
        return f"{kind}[{index(node[1])},{index(node[2])}]"
    if kind == "place":
        return f"place[{index(node[1])}]"
    if kind in ("decay", "gap"):
        return f"{kind}({node[1]})[{','.join(map(index, node[3:]))}]"
    if kind == "sum":
        return f"sum({','.join(name for name, _ in node[1])}: {text(node[2])})"
    if kind == "^":
        base = text(node[1], FACTOR)
        below = f"({base})" if base.startswith("1/") else base
        return f"1/{below}" if node[2] == -1 else f"pow({text(node[1])}, {node[2]})"
    if kind == "+":
        shown = " + ".join(text(p, SUM if isinstance(p, int) else PRODUCT) for p in node[1:]).replace(" + -", " - ")
        return shown if level == SUM else f"({shown})"
    if kind == "*":
        sign, parts = ("-", node[2:]) if node[1] == -1 and len(node) > 2 else ("", node[1:])
        shown = sign + "*".join(text(part, PRODUCT if k == 0 else FACTOR) for k, part in enumerate(parts))
        shown = shown.replace("*1/", "/")
        return shown if level < FACTOR else f"({shown})"
    return f"{kind}({text(node[1])})"


def index(term: Any) -> str:
    """Return an index as text."""
    if isinstance(term, str):
        return term
    if term[0] == "*":
        return f"({','.join(map(index, term[1:]))})"
    return f"{index(term[2])}" if term[0] == "+" else f"#{term[1]}"


# LaTeX


def latex(node: Any, level: int = SUM) -> str:
    r"""Return a term of the language of certificates as LaTeX, without dollar signs; it needs amsmath.

    Examples
    --------
    >>> print(latex(("sum", (("s", "n"),), ("*", ("le", "s", "t"), ("t", "W_Q", "s")))))
    \sum_{s} \mathbf{1}[s \le t]\, {W_{Q}}_{s}
    """
    if isinstance(node, int):
        return str(node) if node >= 0 or level == SUM else f"\\left({node}\\right)"
    kind = node[0]
    if kind == "num":
        shown = f"{'-' if node[1] < 0 else ''}\\tfrac{{{abs(node[1])}}}{{{node[2]}}}"
        return shown if node[1] >= 0 or level == SUM else f"\\left({shown}\\right)"
    if kind == "size":
        return symbol(str(node[1]))
    if kind == "dots":
        return "\\cdots"
    if kind == "chain":
        return " < ".join(" = ".join(map(_latex_index, block)) for block in node[1:])
    if kind in COMPARED:
        return f"{latex(node[1])} {COMPARED[kind]} {latex(node[2])}"
    if kind == "t":
        return symbol(node[1], node[2:])
    if kind == "delta":
        return f"\\delta_{{{_below(node[1:])}}}"
    if kind in RELATIONS:
        return f"\\mathbf{{1}}[{_latex_index(node[1])} {RELATIONS[kind]} {_latex_index(node[2])}]"
    if kind == "place":
        return f"p_{{{_latex_index(node[1])}}}"
    if kind in ("decay", "gap"):
        sign = "\\Pi" if kind == "decay" else "\\Pi^{\\circ}"
        return f"{{{sign}}}({symbol(node[1])})_{{{_below(node[3:])}}}"
    if kind == "sum":
        shown = f"\\sum_{{{_below([name for name, _ in node[1]])}}} {latex(node[2], PRODUCT)}"
    elif kind == "^":
        shown, level = _latex_product((node,)), SUM if node[2] < 0 else level
    elif kind == "+":
        shown = latex(node[1], PRODUCT)
        for part in node[2:]:
            term = latex(part, SUM if isinstance(part, int) else PRODUCT)
            shown += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
        return shown if level == SUM else f"\\left({shown}\\right)"
    elif kind == "*":
        shown = _latex_product(node[1:])
    elif kind == "sqrt":
        return f"\\sqrt{{{latex(node[1])}}}"
    else:
        name = f"\\{kind}" if kind in ("exp", "log") else f"\\mathrm{{{escaped(str(kind))}}}"
        return f"{name}\\left({latex(node[1])}\\right)"
    return shown if level < FACTOR or kind == "^" else f"\\left({shown}\\right)"


def _latex_product(factors: Iterable[Any]) -> str:
    """Return a product: numbers in front, negative powers below a line."""
    number = Fraction(1)
    above: list[tuple[Any, int]] = []
    below: list[tuple[Any, int]] = []
    for factor in factors:
        if isinstance(factor, int):
            number *= factor
        elif factor[0] == "num":
            number *= Fraction(factor[1], factor[2])
        elif factor[0] == "^":
            (above if factor[2] >= 0 else below).append((factor[1], abs(factor[2])))
        else:
            above.append((factor, 1))
    if number == 0:
        return "0"
    top, bottom = [_latex_powers(above)], [_latex_powers(below)]
    size = abs(number)
    if not below:
        coefficient = (
            str(size.numerator) if size.denominator == 1 else f"\\tfrac{{{size.numerator}}}{{{size.denominator}}}"
        )
        line = _latex_join([coefficient] * (size != 1 or not above) + top)
    else:
        top = [str(size.numerator)] * (size.numerator != 1 or not above) + top
        bottom = [str(size.denominator)] * (size.denominator != 1) + bottom
        line = f"\\frac{{{_latex_join(top)}}}{{{_latex_join(bottom)}}}"
    return f"-{line}" if number < 0 else line


def _latex_powers(factors: list[tuple[Any, int]]) -> str:
    alone = len(factors) == 1
    return _latex_join(
        [latex(x, PRODUCT if alone and k == 1 else FACTOR) + (f"^{{{k}}}" if k != 1 else "") for x, k in factors]
    )


def _latex_join(parts: list[str]) -> str:
    return "\\, ".join(filter(None, parts))


def symbol(name: str, below: Iterable[Any] = ()) -> str:
    """Return a name with indices as LaTeX.

    Examples
    --------
    >>> symbol("W_Q", ("t", "f")), symbol("A"), symbol("50%")
    ('{W_{Q}}_{t f}', 'A', '\\\\text{50\\\\%}')
    """
    shown = latex_name(name) if re.fullmatch(r"[^\W\d]\w*", name) else f"\\text{{{escaped(name)}}}"
    under = _below(below)
    if not under:
        return shown
    return (f"{{{shown}}}" if "_" in shown else shown) + f"_{{{under}}}"


def escaped(prose: str) -> str:
    """Return words as LaTeX text.

    Examples
    --------
    >>> print(escaped("50% of W_Q"))
    50\\% of W\\_Q
    """
    return re.sub(r"[\\~^#$%&_{}]", lambda found: SPECIAL.get(found[0], "\\" + found[0]), prose)


def _below(terms: Iterable[Any]) -> str:
    return " ".join(map(_latex_index, terms))


def _latex_index(term: Any) -> str:
    if isinstance(term, str):
        if term in ("+", "-"):
            return term
        stem, _, part = term.partition(".")
        return f"{{{symbol(stem)}}}_{{({symbol(part)})}}" if part else symbol(stem)
    if term[0] == "*":
        return f"({_below(term[1:])})"
    return _latex_index(term[2]) if term[0] == "+" else str(term[1])


# for display


def tidy(node: Any, to: Mapping[str, str], names: Mapping[Any, Iterable[str]]) -> Any:
    """Return a term with its indices named as a person would, without factors 1, and ``unit(x)`` written as 1/x.

    Parameters
    ----------
    node : term
    to : mapping of str to str
        What free indices are called.
    names : mapping of space to names
        Names to choose from for bound indices over a space.

    Examples
    --------
    >>> text(tidy(("sum", (("%0", "n"),), ("*", 1, ("t", "A", "t", "%0"))), {"t": "t"}, {"n": ["t", "s"]}))
    'sum(s: A[t,s])'
    """
    if isinstance(node, int) or node[0] in ("num", "size", "dots"):
        return node
    kind = node[0]
    if kind == "sum":
        inner = dict(to)
        for name, space in node[1]:
            inner[name] = fresh(name, names.get(space, ()), {new for old, new in inner.items() if old != name})
        body = tidy(node[2], inner, names)
        if not node[1]:
            return body
        return (kind, tuple((inner[name], space) for name, space in node[1]), body)
    if kind == "unit":
        return tidy(("^", node[1], -1), to, names)
    if kind == "^":
        base = tidy(node[1], to, names)
        return base if node[2] == 1 else 1 if node[2] == 0 or base == 1 else (kind, base, node[2])
    if kind in COMPOSED:
        parts = [tidy(part, to, names) for part in node[1:]]
        if kind in "+*":
            flat = [q for p in parts for q in (p[1:] if isinstance(p, tuple) and p[0] == kind else (p,))]
            if kind == "*" and 0 in flat:
                return 0
            parts = [p for p in flat if p != (1 if kind == "*" else 0)]
            if len(parts) < 2:
                return parts[0] if parts else 1 if kind == "*" else 0
        return (kind, *parts)
    first = INDICES.get(kind, 1)
    return (*node[:first], *(_moved(term, to) for term in node[first:]))


def fresh(name: str, names: Iterable[str], taken: Iterable[str]) -> str:
    """Return a name that is not taken: this one if a person would write it, else one of `names`, else a new one."""
    used = set(taken)
    own = [name] if WRITTEN.fullmatch(name) else []
    known = [*own, *names] or ["i"]
    return next(x for x in (*known, *(f"{known[0]}{k}" for k in range(1, len(used) + 2))) if x not in used)


def _moved(term: Any, to: Mapping[str, str]) -> Any:
    if isinstance(term, str):
        return to.get(term, term)
    if term[0] == "*":
        return ("*", *(_moved(part, to) for part in term[1:]))
    return term if term[0] == "#" else (*term[:2], _moved(term[2], to), *term[3:])


def shortened(node: Any, parts: int = 12, leaves: int = 60) -> Any:
    """Return a term with at most so many factors or summands in a row, and about so many entries; dots for the rest.

    Examples
    --------
    >>> text(shortened(("*", *(("t", f"A{k}") for k in range(9))), parts=4))
    'A0[]*A1[]*A2[]*...(6 more)...'
    """
    left = leaves

    def visit(here: Any) -> Any:
        nonlocal left
        if isinstance(here, int) or here[0] not in (*COMPOSED, "sum"):
            left -= 1
            return here
        if here[0] in "+*" and len(here) > 1:
            shown: list[Any] = []
            for k, part in enumerate(here[1:]):
                if (len(here) - 1 > parts and k >= parts - 1) or (left <= 0 and len(here) - 1 - k > 1):
                    shown.append(("dots", len(here) - 1 - k))
                    break
                shown.append(visit(part))
            return (here[0], *shown)
        if left <= 0:
            return ("dots", 1)
        if here[0] == "sum":
            return (here[0], here[1], visit(here[2]))
        return (here[0], *(part if here[0] == "^" and k else visit(part) for k, part in enumerate(here[1:])))

    return visit(node)


def show_array(value: Any) -> str:
    """Return nested lists of ints and Fractions, or the nonzero entries of a sparse tensor, as text.

    Examples
    --------
    >>> show_array([[1, 0], [0, 1]])
    '[[1, 0], [0, 1]]'
    >>> show_array({"shape": [40, 40], "entries": [[[0, 1], 1], [[1, 2], -1]]})
    '40 x 40, all 0 but [0,1]: 1, [1,2]: -1'
    """
    if isinstance(value, dict):
        entries = value["entries"]
        shown = [f"[{','.join(map(str, at))}]: {number}" for at, number in entries[:MOST_ENTRIES]]
        more = [f"and {len(entries) - MOST_ENTRIES} more"] if len(entries) > MOST_ENTRIES else []
        shape = " x ".join(map(str, value["shape"])) or "scalar"
        return f"{shape}, all 0{' but ' * bool(shown)}{', '.join(shown + more)}"
    return "[" + ", ".join(map(show_array, value)) + "]" if isinstance(value, list) else str(value)


def show_value(value: Any) -> str:
    """Return an exact value, or a ball as ``mid +/- radius``."""
    return f"{value[0]} +/- {value[1]}" if isinstance(value, tuple) else str(value)
