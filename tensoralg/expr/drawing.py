"""Expressions as string diagrams.

A product of entries under sums is one diagram: tensors are boxes, an index that joins two legs is a wire and any other
one a dot, `delta` is a wire itself, and masks and decays are nodes that say which indices they relate.  A sum is a row
of diagrams, and what is not linear is a box around the picture of its argument.  Wires are labelled by their space, and
by the index where something refers to it.  A fused index is a triangle that merges wires, an injected one a node that
names the summand.  The drawing itself is `tensoralg.show.diagram`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tensoralg.expr.latex import to_latex
from tensoralg.expr.rewrite import rename_apart, substitute, walk
from tensoralg.expr.text import to_text, unshadowed
from tensoralg.show.canvas import shorten
from tensoralg.show.diagram import Box, Diagram, End, Kind, Open, Picture, Term, Wire, svg
from tensoralg.spaces import Fused, Index, IndexTerm, atoms

if TYPE_CHECKING:
    from tensoralg.expr import nodes
    from tensoralg.expr.tensor import Tensor

LARGEST = 400  # nodes that are drawn in parts
DEEPEST = 6  # boxes around each other
MOST_TERMS = 24
PRINTED = 20_000  # nodes that are printed at all
SCALARS = frozenset({"number", "size", "add", "mul", "pow", "apply"})
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def diagrams(expr: nodes.Expr, arguments: Sequence[Tensor] = ()) -> Picture:
    """Return the picture of an expression: a sum of diagrams.

    Parameters
    ----------
    expr : Expr
        Legs over dual spaces are inputs; where there are none, the first of several free indices is at the left.
    arguments : sequence of Tensor
        Tensors that are drawn as inputs and not as boxes; all free indices are outputs then.

    Examples
    --------
    >>> import tensoralg as ta
    >>> O = ta.parse("O[i,k] = A[i,j]*B[j,k]", indices={"i,j,k": "n"})
    >>> ((coefficient, diagram),) = diagrams(O).terms
    >>> [box.label for box in diagram.boxes]
    ['A', 'B']
    >>> [(wire.label, len(wire.ends)) for wire in diagram.wires]
    [('i:n', 1), ('k:n', 1), ('n', 2)]
    >>> [end.label for end in diagram.inputs], [end.label for end in diagram.outputs]
    (['i:n'], ['k:n'])
    """
    scene = _Scene(tuple(arguments))
    body = unshadowed(expr).body if _weight(expr, scene.weights) <= PRINTED else expr.body
    return scene.picture(body, expr.free_indices)


def to_svg(expr: nodes.Expr) -> str:
    """Return the string diagram of an expression as a standalone SVG.

    Examples
    --------
    >>> import tensoralg as ta
    >>> trace = ta.parse("A[i,i]", indices={"i": "n"}, free=())
    >>> to_svg(trace).count('class="tensor"')
    1
    """
    return svg(diagrams(expr), shorten(_text(expr), 400))


def map_svg(arguments: Sequence[Tensor], value: nodes.Expr) -> str:
    """Return the string diagram of a map as a standalone SVG, its arguments drawn as wires that come in at the left.

    Parameters
    ----------
    arguments : sequence of Tensor
        The symbolic vectors in which the value is written.
    value : Expr
        The value; its free indices go out at the right.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "d")
    >>> a, b = V.indices("a b")
    >>> q, k = ta.tensors("q k", V)
    >>> B = ta.tensor("B", V @ V)
    >>> picture = map_svg((q, k), ta.define((), B[a, b] * q[a] * k[b]))
    >>> picture.count('class="tensor"'), "q:V" in picture
    (1, True)
    """
    names = ", ".join(argument.name for argument in arguments)
    return svg(diagrams(value, arguments), shorten(f"({names}) ↦ {_text(value)}", 400))


def to_html(expr: nodes.Expr) -> str:
    """Return an expression for a notebook: its LaTeX above its string diagram."""
    return notebook(expr, to_svg(expr))


def notebook(expr: nodes.Expr, picture: str) -> str:
    """Return the LaTeX of an expression above a picture, as HTML."""
    shown = f"$\\displaystyle {to_latex(expr)}$" if _weight(expr, {}) <= PRINTED else _text(expr)
    return f'<div>{escape(shown, quote=False)}</div><div style="overflow-x:auto">{picture}</div>'


def _weight(expr: nodes.Expr, known: dict[nodes.Expr, int]) -> int:
    """Return how many nodes the expression has when it is written out; shared subterms are counted once for each."""
    if expr not in known:
        known[expr] = 1 + sum(_weight(child, known) for child in expr.children())
    return known[expr]


def _text(expr: nodes.Expr) -> str:
    weight = _weight(expr, {})
    return to_text(expr) if weight <= PRINTED else f"{expr.kind} of {weight} nodes"


def is_scalar(expr: nodes.Expr, weights: dict[nodes.Expr, int]) -> bool:
    """Return whether a term is made of numbers and sizes only."""
    return not expr._free and _weight(expr, weights) <= LARGEST and all(node.kind in SCALARS for node in walk(expr))


class _Scene:
    """What all parts of a picture share."""

    def __init__(self, arguments: tuple[Tensor, ...]) -> None:
        self.arguments = arguments
        self.names = {argument.name for argument in arguments}
        self.weights: dict[nodes.Expr, int] = {}

    def left(self, free: tuple[Index, ...], depth: int, outside: tuple[Index, ...]) -> tuple[Index, ...]:
        """Return the free indices that are inputs; those that are so outside of a bubble are so in it."""
        if self.arguments and not depth:
            return ()
        if kept := tuple(index for index in free if index in outside):
            return kept
        duals = tuple(index for index in free if getattr(index.space, "is_dual", False))
        return duals if 0 < len(duals) < len(free) else free[:1] if len(free) > 1 else ()

    def picture(
        self, expr: nodes.Expr, free: tuple[Index, ...], depth: int = 0, outside: tuple[Index, ...] = ()
    ) -> Picture:
        """Return the picture of a scalar term with these free indices."""
        left = self.left(free, depth, outside)
        terms = [_Product(self, free, left, depth).term(term) for term in _terms(expr, MOST_TERMS + 1)]
        if len(terms) > MOST_TERMS:
            rest = Diagram((Box("more terms", "text"),))
            terms[MOST_TERMS - 1 :] = [Term("", rest)]
        return Picture(tuple(terms))

    def open_label(self, index: Index, depth: int) -> str:
        return index.name if depth else wire_label(index)

    def argument_legs(self, expr: nodes.Expr) -> list[Tensor]:
        """Return the arguments that occur in a term, each once."""
        if not self.arguments or _weight(expr, self.weights) > PRINTED:
            return []
        found = {name for name in expr.tensors if name in self.names}
        return [argument for argument in self.arguments if argument.name in found]


def _terms(expr: nodes.Expr, most: int) -> list[nodes.Expr]:
    """Return the terms of a sum, sums over indices distributed, no more than wanted."""
    if expr.kind == "add":
        found: list[nodes.Expr] = []
        for term in expr.children():
            found += _terms(term, most - len(found))
            if len(found) >= most:
                break
        return found
    if expr.kind == "bind":
        inner = _terms(expr.children()[0], most)
        return [expr.with_children((term,)) for term in inner] if len(inner) > 1 else [expr]
    if expr.kind == "mul" and len(expr.children()) == 2 and expr.children()[0].kind == "number":
        scale, body = expr.children()
        inner = _terms(body, most)
        return [scale * term for term in inner] if len(inner) > 1 else [expr]
    return [expr]


def wire_label(index: Index) -> str:
    """Return the label of an index with its space, as in ``t:T``."""
    return f"{index.name}:{shorten(str(index.space), 24)}"


class _Net:
    """An index on its way to become a wire: the legs that it joins."""

    def __init__(self, label: str, name: str = "") -> None:
        self.space, self.name = label, name
        self.named = False
        self.thick = False
        self.ends: list[End] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []

    @property
    def label(self) -> str:
        return f"{self.name}:{self.space}" if self.named and self.name else self.space


class _Product:
    """One diagram in the making: a product under sums."""

    def __init__(self, scene: _Scene, free: tuple[Index, ...], left: tuple[Index, ...], depth: int) -> None:
        self.scene, self.free, self.left, self.depth = scene, free, left, depth
        self.boxes: list[Box] = []
        self.nets: list[_Net] = []
        self.of: dict[str, _Net] = {}
        self.bound: list[Index] = []
        self.taken = {index.name for index in free}
        self.scalars: list[nodes.Expr] = []
        self.arrived: set[str] = set()

    def term(self, expr: nodes.Expr) -> Term:
        """Return the diagram of a term that is no sum, with its coefficient."""
        whole = _weight(expr, self.scene.weights) > LARGEST or self.depth > DEEPEST
        factors = [expr] if whole else self.gather(expr)
        same = {} if whole else self.equal(factors)
        for index in self.free:
            if index in same:
                self.of[index.name] = self.named(same[index])
            net = self.named(index)
            ends = net.inputs if index in self.left else net.outputs
            ends.append(self.scene.open_label(index, self.depth))
        for index in self.bound:
            self.of[index.name] = self.net(same.get(index, index))
        for factor in factors:
            if whole:
                self.bubble(factor, _text(factor), "text")
            else:
                self.add(substitute(factor, {**same}))
        for argument in self.scene.arguments if not self.depth else ():
            if argument.name not in self.arrived:
                self.box(Box("", "discard"), [self.argument_net(argument, k) for k in range(len(argument.legs))])
        return Term(self.coefficient(), self.diagram())

    def gather(self, expr: nodes.Expr) -> list[nodes.Expr]:
        """Return the factors of a product under sums, and note over what is summed."""
        if expr.kind == "bind":
            apart: Any = rename_apart(expr, self.taken)
            self.bound += apart.indices
            self.taken |= {index.name for index in apart.indices}
            return self.gather(apart.summand)
        if expr.kind in ("mul", "definition") and not is_scalar(expr, self.scene.weights):
            return [factor for child in expr.children() for factor in self.gather(child)]
        return [expr]

    def equal(self, factors: Sequence[nodes.Expr]) -> dict[Index, Index]:
        """Return an index for each one that a delta says is equal to it: a free one if there is one."""
        groups: list[set[Index]] = []
        for factor in factors:
            left, right = factor.index_terms() if factor.kind == "delta" else (None, None)
            if isinstance(left, Index) and isinstance(right, Index) and left.space == right.space:
                touching = [group for group in groups if group & set(factor._free)]
                groups = [group for group in groups if group not in touching]
                groups.append(set(factor._free).union(*touching))
        known = (*self.free, *self.bound)
        chosen = [(group, next(index for index in known if index in group)) for group in groups]
        return {index: first for group, first in chosen for index in group if index != first}

    def coefficient(self) -> str:
        if not self.scalars:
            return ""
        product, *rest = self.scalars
        for scalar in rest:
            product = product * scalar
        text = to_text(product)
        if text in ("1", "-1"):
            return text[:-1]
        return shorten(f"({text})" if product.kind == "add" else text)

    def diagram(self) -> Diagram:
        nets = list(dict.fromkeys(self.nets))
        return Diagram(
            tuple(self.boxes),
            tuple(Wire(net.label, tuple(net.ends), net.thick) for net in nets),
            tuple(Open(k, label) for k, net in enumerate(nets) for label in net.inputs),
            tuple(Open(k, label) for k, net in enumerate(nets) for label in net.outputs),
        )

    # wires

    def net(self, index: Index) -> _Net:
        if index.name not in self.of:
            self.of[index.name] = self.new(_Net(shorten(str(index.space), 24), index.name))
        return self.of[index.name]

    def new(self, net: _Net) -> _Net:
        self.nets.append(net)
        return net

    def named(self, index: Index) -> _Net:
        """Return the wire of an index that something refers to by name."""
        net = self.net(index)
        net.named = True
        return net

    def of_term(self, term: IndexTerm) -> _Net:
        """Return the wire of an index term, which merges wires or enters a summand where the term is composite."""
        if isinstance(term, Index):
            return self.net(term)
        whole = self.new(_Net(shorten(str(term.space), 24)))
        if isinstance(term, Fused):
            whole.thick = True
            self.box(Box("", "fuse"), [whole, *map(self.of_term, term.parts)])
        else:
            summand = f"ι{str(term.position).translate(LOWERED)}"
            self.box(Box(summand, "inject"), [whole, self.of_term(term.term)])
        return whole

    def join(self, left: _Net, right: _Net) -> None:
        """Make one wire of two."""
        if left is right:
            return
        if right.thick and not left.name:
            left, right = right, left
        left.ends += right.ends
        left.inputs += right.inputs
        left.outputs += right.outputs
        left.named |= right.named
        left.thick |= right.thick
        left.name = "=".join(dict.fromkeys(name for name in (left.name, right.name) if name))
        self.nets.remove(right)
        for name, net in self.of.items():
            if net is right:
                self.of[name] = left

    def box(self, box: Box, legs: Sequence[_Net]) -> None:
        number = len(self.boxes)
        self.boxes.append(box)
        for leg, net in enumerate(legs):
            net.ends.append(End(number, leg))

    def argument_net(self, argument: Tensor, leg: int) -> _Net:
        """Return a new wire that comes in as a leg of an argument, with its number where legs have to be told apart."""
        space = shorten(str(argument.legs[leg]), 24)
        marks = _marks(argument)
        name = f"{argument.name}({marks[leg]})" if marks and marks[leg] else argument.name
        net = self.new(_Net(space))
        net.inputs.append(name if self.depth else f"{name}:{space}")
        return net

    # nodes

    def add(self, expr: nodes.Expr) -> None:
        if is_scalar(expr, self.scene.weights):
            self.scalars.append(expr)
        elif expr.kind in ("add", "pow", "apply"):
            self.bubble(expr, _head(expr), "function")
        else:
            getattr(self, f"_{expr.kind}")(expr)

    def bubble(self, expr: nodes.Expr, label: str, kind: Kind) -> None:
        """Draw a term as one box with a leg for each free index."""
        legs = [self.named(index) for index in expr._free]
        for argument in self.scene.argument_legs(expr):
            self.arrived.add(argument.name)
            legs += [self.argument_net(argument, leg) for leg in range(len(argument.legs))]
        if kind == "text":
            self.box(Box(shorten(label), kind), legs)
            return
        body = expr if expr.kind == "add" else expr.children()[0]
        self.box(Box(label, kind, self.scene.picture(body, expr._free, self.depth + 1, self.left)), legs)

    def _entry(self, node: nodes.Entry) -> None:
        tensor = node.tensor
        if tensor.name in self.scene.names:
            self.arrived.add(tensor.name)
            for leg, term in enumerate(node.args):
                self.join(self.of_term(term), self.argument_net(tensor, leg))
            if not node.args:
                self.box(Box(tensor.name), ())
            return
        self.box(Box(tensor.name, marks=_marks(tensor)), [self.of_term(term) for term in node.args])

    def _delta(self, node: nodes.Delta) -> None:
        self.join(self.of_term(node.left), self.of_term(node.right))

    def _related(self, terms: Sequence[IndexTerm]) -> list[_Net]:
        """Return the wires of the index terms that a relation names; a composite one is named by its parts."""
        nets = [self.of_term(term) for term in terms]
        for term in terms:
            for index in atoms(term):
                self.named(index)
        return nets

    def shown(self, term: IndexTerm | str) -> str:
        """Return how a relation names an index term."""
        return term if isinstance(term, str) else str(term)

    def _mask(self, node: nodes.Mask) -> None:
        legs = self._related(node.index_terms())
        sign = "<" if node.strict else "≤"
        self.box(Box(f"{self.shown(node.left)} {sign} {self.shown(node.right)}", "mask"), legs)

    def _near(self, node: nodes.Near) -> None:
        legs = self._related(node.index_terms())
        left, right = self.shown(node.left), self.shown(node.right)
        width = shorten(_text(node.width), 16)
        width = f"({width})" if " " in width else width
        self.box(Box(f"{right}−{width} < {left} ≤ {right}", "mask"), legs)

    def _decay(self, node: nodes.Decay) -> None:
        legs = self._related(node.index_terms())
        later, earlier = (self.shown(end).replace("-", "−") for end in (node.later, node.earlier))
        span = f"({earlier},{later}{')' if later == '+' else ']'}"
        tensor = node.tensor
        marks = (*("" for _ in node.times), *_marks_of(tensor.legs[1:], ()))
        self.box(Box(f"∏{tensor.name} {span}", "decay", marks=marks), legs)


def _head(expr: nodes.Expr) -> str:
    """Return what is written at the box around an argument."""
    exponent = getattr(expr, "exponent", None)
    if exponent is not None:
        return f"(·){str(exponent).translate(RAISED)}"
    return str(getattr(expr, "function", ""))


def _marks(tensor: Tensor) -> tuple[str, ...]:
    return _marks_of(tensor.legs, tensor.symmetric)


def _marks_of(legs: Sequence[object], symmetric: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Return the numbers of the legs, where two over one space may not be exchanged."""
    group = {leg: k for k, members in enumerate(symmetric) for leg in members}
    kinds = [(leg, group.get(k, -1 - k)) for k, leg in enumerate(legs)]
    told = [
        sum(other == leg for other in legs) > 1 and len({kind for kind in kinds if kind[0] == leg}) > 1 for leg in legs
    ]
    return tuple(str(k + 1) if mark else "" for k, mark in enumerate(told)) if any(told) else ()
