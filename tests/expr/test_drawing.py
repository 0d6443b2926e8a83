"""Expressions as pictures: everything is drawn, nothing collides, and the picture means the expression."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from fuzz import KINDS, made
from pictures import drawn, faults, joined, look, value

import tensoralg as ta
from strategies import claim, random_tensors
from tensoralg.expr.drawing import diagrams, map_svg
from tensoralg.expr.rewrite import walk
from tensoralg.spaces import Injected

T, F, E = ta.Space("T", "n", ordered=True), ta.Space("F", "d"), ta.Space("E", "e")


def tensors_of(expr: Any) -> Counter[str]:
    return Counter(node.tensor.name for node in walk(expr) if hasattr(node, "tensor"))


def only(expr: Any) -> Any:
    ((_, diagram),) = diagrams(expr).terms
    return diagram


def network(seed: int, boxes: int = 12) -> tuple[Any, set[frozenset[tuple[str, int]]]]:
    """Return a random product of tensors, and which of their legs share an index."""
    random = Random(seed)
    legs: list[list[Any]] = [[] for _ in range(boxes)]
    shared = []
    for k in range(boxes + 5):
        index = random.choice([T, F, E]).index(f"x{k}")
        several = random.choice([1, 3, 4]) if random.random() < 0.2 else 2
        ends = [k % boxes, *(random.randrange(boxes) for _ in range(several - 1))]
        for box in ends:
            legs[box].append(index)
        shared.append(index)
    free = tuple(random.sample(shared, random.randrange(4)))
    body: Any = 1
    for k, own in enumerate(legs):
        body = body * ta.tensor(f"A{k}", [index.space for index in own])[tuple(own)]
    groups = {
        frozenset((f"A{k}", leg) for k, own in enumerate(legs) for leg, index in enumerate(own) if index == joint)
        for joint in shared
    }
    return ta.define(free, body), groups


@pytest.mark.parametrize("seed", range(60))
def test_wires_join_the_legs_that_share_an_index(seed: int) -> None:
    expr, groups = network(seed, boxes=1 + seed % 12)
    assert joined(only(expr)) == groups
    assert drawn(diagrams(expr)) == tensors_of(expr)
    assert faults(expr.svg()) == []


@pytest.mark.parametrize("seed", range(120))
def test_a_picture_means_the_expression(seed: int) -> None:
    random = Random(seed)
    expr = claim(random, depth=random.choice([1, 2, 3]))
    data = random_tensors(random, expr, {"n": 2, "d": 3})
    nodes = list(walk(expr))
    used = {str(i.space.dimension) for node in nodes for i in (*node.free_indices, *getattr(node, "indices", ()))}
    used |= {node.name for node in nodes if node.kind == "size"}
    sizes = {name: size for name, size in {"n": 2, "d": 3}.items() if name in used}
    expected = np.array(expr.evaluate(sizes, **data), dtype=float)
    picture = diagrams(expr)
    np.testing.assert_allclose(value(picture, data, {"n": 2, "d": 3}, expr.free), expected)
    assert drawn(picture) == tensors_of(expr)
    assert faults(expr.svg()) == []


@pytest.mark.parametrize("key", range(4))
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_random_claims_of_every_kind_are_readable(kind: Any, key: int) -> None:
    case = made(kind, str(key))
    for side in (case.left, case.right):
        assert faults(side.svg()) == []
        assert side.svg() == side.svg()
        if not drawn(diagrams(side), ("text",)):
            assert drawn(diagrams(side)) == tensors_of(side)


def test_attention() -> None:
    text = "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]"
    diagram = only(ta.parse(text, indices={"t,s": "n ordered", "f": "d", "e": "d"}))
    assert [(box.label, box.kind) for box in diagram.boxes] == [
        ("s ≤ t", "mask"), ("Q", "tensor"), ("K", "tensor"), ("V", "tensor"),
    ]  # fmt: skip
    assert {wire.label: len(wire.ends) for wire in diagram.wires} == {"t:n": 2, "e:d": 1, "s:n": 3, "d": 2}
    assert [end.label for end in diagram.inputs] == ["t:n"]
    assert [end.label for end in diagram.outputs] == ["e:d"]


def test_legs_over_a_dual_space_are_inputs() -> None:
    V = ta.Space("V", "n", metric=None)
    W = ta.Space("W", "m", metric=None)
    o, i = W.index("o"), V.dual.index("i")
    diagram = only(ta.define((o, i), ta.tensor("A", W @ V.dual)[o, i]))
    assert ([end.label for end in diagram.inputs], [end.label for end in diagram.outputs]) == (["i:V*"], ["o:W"])


def test_a_trace_and_a_matrix_that_is_not_symmetric_show_their_legs() -> None:
    trace = ta.parse("A[i,i]", indices={"i": "n"}, free=())
    assert joined(only(trace)) == {frozenset({("A", 0), ("A", 1)})}
    assert only(trace).boxes[0].marks == ("1", "2")
    symmetric = ta.parse("A[i,i]", indices={"i": "n"}, free=(), symmetry={"A": "sym"})
    assert only(symmetric).boxes[0].marks == ()
    assert only(ta.parse("A[i,j]", indices={"i": "n", "j": "m"}, free=("i", "j"))).boxes[0].marks == ()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("1", [""]),
        ("-1", ["-"]),
        ("-3*n/2 + c[]*d[]", ["-3/2*n", ""]),
        ("(n + 1)*c[]/sqrt(n)", ["(n + 1)/sqrt(n)"]),
        ("sum(i: 1)", [""]),
        ("sum(i,j: delta[i,j])", [""]),
        ("0*c[]", ["0"]),
    ],
)
def test_coefficients(text: str, terms: list[str]) -> None:
    expr = ta.parse(text, indices={"i,j": "n"}, free=())
    assert [term.coefficient for term in diagrams(expr).terms] == terms
    assert faults(expr.svg()) == []


def test_a_free_index_that_does_not_occur_is_drawn() -> None:
    expr = ta.parse("O[i,j] = x[i]", indices={"i,j": "n"})
    assert [len(wire.ends) for wire in only(expr).wires] == [1, 0]
    assert look(expr.svg()).count("copy") == 1


def test_decays_with_ends() -> None:
    text = "decay(a)[t,-]*decay(a)[+,s]*decay(a)[+,-]*decay(a)[t,s]"
    diagram = only(ta.parse(text, indices={"t,s": "n ordered"}, tensors={"a": "n"}, free=("t", "s")))
    assert [box.label for box in diagram.boxes] == ["∏a (−,t]", "∏a (s,+)", "∏a (−,+)", "∏a (s,t]"]
    assert [len(wire.ends) for wire in diagram.wires] == [2, 2]


def test_fused_indices_are_merged() -> None:
    h, e, f = ta.Space("H", "h").index("h"), E.index("e"), F.index("f")
    Z = ta.tensor("Z", [h.space @ e.space, F])
    diagram = only(ta.define((h, e, f), Z[(h, e), f]))
    assert [box.kind for box in diagram.boxes] == ["fuse", "tensor"]
    assert joined(diagram) == {
        frozenset({("", 0), ("Z", 0)}), frozenset({("", 1)}), frozenset({("", 2)}), frozenset({("Z", 1)}),
    }  # fmt: skip
    assert [(wire.label, wire.thick) for wire in diagram.wires if wire.thick] == [("H @ E", True)]


def test_injected_indices_name_the_summand() -> None:
    H = ta.Space("H", "h")
    S = H + E
    h, e = H.index("h"), E.index("e")
    x = ta.tensor("x", [S])
    expr = x[Injected(h, 0, S)] * ta.tensor("a", H)[h] + x[Injected(e, 1, S)] * ta.tensor("b", E)[e]
    first, second = (term.diagram for term in diagrams(ta.define((), expr)).terms)
    assert [box.label for box in first.boxes] == ["ι₀", "x", "a"]
    assert [box.label for box in second.boxes] == ["ι₁", "x", "b"]
    assert {wire.label for wire in first.wires} == {"H", "H + E"}


def test_functions_hold_their_argument() -> None:
    text = "O[t] = relu(sum(s: W[t,s]*exp(x[s])))/pow(y[t] + 1,3)"
    outer, power = only(ta.parse(text, indices={"t,s": "n"})).boxes
    assert (outer.label, power.label) == ("relu", "(·)⁻³")
    assert outer.inner is not None
    assert [box.label for box in outer.inner.terms[0].diagram.boxes] == ["W", "exp"]
    assert len(power.inner.terms) == 2


def test_an_index_equated_by_a_delta_has_one_name() -> None:
    expr = ta.parse("O[t] = sum(s,r: delta[s,t]*delta[r,s]*exp(x[r]))", indices={"t,s,r": "n"})
    (box,) = only(expr).boxes
    assert [end.label for end in (*box.inner.terms[0].diagram.outputs, *only(expr).outputs)] == ["t", "t:n"]


def test_a_delta_between_a_space_and_its_dual_joins_their_wires() -> None:
    V, W = ta.Space("V", "n", metric=None), ta.Space("W", "m", metric=None)
    S = V.dual + W
    i, j, w = V.index("i"), V.dual.index("j"), W.index("w")
    x, y = ta.tensor("x", [S]), ta.tensor("y", [V.dual @ W])
    for factor in (x[Injected(j, 0, S)], y[(j, w)], ta.exp(x[Injected(j, 0, S)])):
        expr = ta.define((i, j, w), ta.delta[i, j] * factor)
        assert faults(expr.svg()) == []
        assert "i=j:V" in {wire.label for wire in only(expr).wires}


def test_arguments_of_a_map_are_inputs() -> None:
    q, k, z = ta.tensor("q", F), ta.tensor("k", F @ E), ta.tensor("z", T)
    f, g, e = *F.indices("f g"), E.index("e")
    B = ta.tensor("B", F @ F)
    value = ta.define((e,), B[f, g] * q[f] * ta.relu(k[g, e]))
    ((_, diagram),) = diagrams(value, (q, k, z)).terms
    assert [end.label for end in diagram.inputs] == ["q:F", "k:F", "k:E", "z:T"]
    assert [end.label for end in diagram.outputs] == ["e:E"]
    assert [(box.label, box.kind) for box in diagram.boxes] == [("B", "tensor"), ("relu", "function"), ("", "discard")]
    assert faults(map_svg((q, k, z), value)) == []
    w = ta.tensor("w", F @ F)
    ((_, turned),) = diagrams(ta.define((f, g), w[g, f]), (w,)).terms
    assert [end.label for end in turned.inputs] == ["w(2):F", "w(1):F"]
    with_scalar = ta.define((), ta.tensor("c", ())[()] * 2)
    assert faults(map_svg((ta.tensor("c", ()),), with_scalar)) == []


def test_whatever_cannot_be_drawn_in_parts_is_text() -> None:
    x = ta.tensor("x", ())
    deep: Any = x[()]
    for _ in range(100):
        deep = ta.exp(deep)
    shared: Any = x[()]
    for _ in range(60):
        shared = (shared + 1) * (shared + 2)
    many = sum((ta.tensor(f"x{k}", ())[()] for k in range(1, 200)), x[()])
    long = ta.tensor("a" * 500, ta.Space("S" * 300, "n" * 200))
    i = long.legs[0].index("i" * 100)
    for expr in (deep, shared, many, long[i], ta.define((i,), ta.log(long[i]))):
        assert faults(expr.svg()) == []
        assert expr._repr_html_()


def test_in_a_notebook() -> None:
    expr = ta.parse("O[t] = lt[s,t]*x[s]", indices={"t,s": "n ordered"})
    html = expr._repr_html_()
    assert html.index("$\\displaystyle O_{t} = ") < html.index("<svg")
    assert "s &lt; t" in html
    assert html.endswith("</svg></div>")
    assert expr._repr_latex_().startswith("$")
