"""The steps of a plan, run line by line as Python, give the value of the expression."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from string import ascii_letters
from typing import Any

import numpy as np
import opt_einsum
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.oracle import expression
from plan.repeats import definition, inputs

import tensoralg as ta
from tensoralg.expr.arrays import all_dimensions
from tensoralg.plan import plan
from tensoralg.plan.blocks import blocks
from tensoralg.plan.steps import Letters, steps

TOKENS = {"t,s,r": "n ordered", "f,g": "d", "e": "d", "i": "k"}
SIZES = {"n": 3, "d": 2, "k": 4, "h": 2}


class Size(int):
    """A size that divides exactly."""

    def __truediv__(self, other: Any) -> Any:
        return Fraction(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return Fraction(other) / self


def relation(holds: Any) -> Any:
    return lambda size, *width: np.array(
        [[Fraction(holds(i, j, *width)) for j in range(size)] for i in range(size)], dtype=object
    )


def softmax(x: Any, axis: int, where: Any = 1) -> Any:
    weights = np.exp(x.astype(float)) * where
    return weights / weights.sum(axis=axis, keepdims=True)


def decay(gate: Any, word: str, steps: int | None = None) -> Any:
    """Multiply gates one by one; the axes are the times that are no ends, and those of the gate besides time."""
    gates = [np.asarray(gate)] * steps if steps is not None else list(gate)
    later, earlier, *channels = word.split(",")
    one: Any = np.array([[Fraction(i == j) for j in range(SIZES["d"])] for i in range(SIZES["d"])], dtype=object)
    one = one if len(channels) == 2 else np.full(np.shape(gates[0]), Fraction(1), dtype=object)

    def product(start: int, stop: int) -> Any:
        path = one if start <= stop + 1 else one * 0
        for step in gates[start : stop + 1]:
            path = step.dot(path) if len(channels) == 2 else step * path
        return path

    stops = range(len(gates)) if later != "+" else [len(gates) - 1]
    table = [[product(start, stop) for start in range(1, len(gates) + 1)] for stop in stops]
    if earlier == "-":
        table = [product(0, stop) for stop in stops]
    return np.array(table if later != "+" else table[0], dtype=object)


def functions() -> dict[str, Any]:
    return {
        "einsum": lambda word, *arrays: np.einsum(lettered(word), *map(np.asarray, arrays)),
        "reshape": np.reshape,
        "broadcast_to": np.broadcast_to,
        "relu": lambda x: np.maximum(x, 0),
        "exp": lambda x: np.exp(np.asarray(x, dtype=float)),
        "sqrt": math.sqrt,
        "softmax": softmax,
        "decay": decay,
        "le": relation(lambda i, j: i <= j),
        "lt": relation(lambda i, j: i < j),
        "near": relation(lambda i, j, w: j - w < i <= j),
        "delta": relation(lambda i, j: i == j),
    }


def length(dimension: Any, sizes: dict[str, int]) -> int:
    return int(sympy.sympify(dimension).subs({ta.dims(name): size for name, size in sizes.items()}))


def random_arrays(expr: ta.Expr, sizes: dict[str, int], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    tensors = {node.tensor.name: node.tensor for node in nodes(expr) if hasattr(node, "tensor")}
    found = {}
    for name, tensor in tensors.items():
        shape = [
            int(sympy.sympify(leg.dimension).subs({ta.dims(k): v for k, v in sizes.items()})) for leg in tensor.legs
        ]
        whole = rng.integers(-3, 4, size=shape)
        found[name] = np.array([Fraction(int(x)) for x in whole.flat], dtype=object).reshape(shape)
    return found


def nodes(expr: ta.Expr) -> list[ta.Expr]:
    return [expr, *(inner for child in expr.children() for inner in nodes(child))]


def lettered(word: str) -> str:
    """Return an einsum string in the letters that numpy knows."""
    names = dict.fromkeys(c for c in word if c not in ",->")
    return word.translate({ord(name): ascii_letters[k] for k, name in enumerate(names)})


def execute(lines: Any, arrays: dict[str, Any], sizes: dict[str, int]) -> Any:
    names = {**functions(), **{name: Size(size) for name, size in sizes.items()}, **arrays}
    for line in lines:
        exec(str(line), {"__builtins__": {"pow": pow}}, names)
        made = np.asarray(names[line.name])
        assert made.shape == tuple(
            int(sympy.sympify(k).subs({ta.dims(a): b for a, b in sizes.items()})) for k in line.shape
        )
    return np.asarray(names[lines[-1].name])


def check(expr: ta.Expr, sizes: dict[str, int], seed: int = 0) -> None:
    arrays = random_arrays(expr, sizes, seed)
    known = {k: v for k, v in sizes.items() if k in {str(name) for name in all_dimensions(expr)}}
    expected = np.asarray(expr.evaluate(known, **{k: v.tolist() if v.ndim else v.item() for k, v in arrays.items()}))
    for regime in plan(expr).regimes():
        assert (execute(regime.steps, arrays, sizes) == expected).all(), [str(s) for s in regime.steps]
        assert sympy.expand(sum(step.flops for step in regime.steps) - regime.flops) == 0
        assert len({step.name for step in regime.steps}) == len(regime.steps)


@pytest.mark.parametrize(
    "text",
    [
        "O[t,e] = Q[t,f]*K[s,f]*V[s,e]",
        "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
        "O[t,e] = (A[t,s] + 2*B[s,t] - delta[t,s] + c[s])*V[s,e]/n",
        "O[t,e] = relu(sum(f: Q[t,f]*K[s,f]))*V[s,e] - 3*V[t,e]",
        "O[t,e] = A[t,s]*V[s,e]/(1 + pow(sum(r: A[t,r]), 2))/(2 + pow(sum(r: A[r,s]), 2))",
        "O[i] = lt[s,t]*x[s]*y[t,i]*pow(sum(g: z[g]), 2)",
        "O[i] = near[t,s,k]*x[s]*y[t,i]/d",
        "O[t,s] = x[t]*y[g]",
        "O[t,s] = 3",
        "O[t,s] = -x[t] - x[s]",
        "O[t] = A[t,t]*A[s,s]",
        "O[t,s] = A[s,t]",
        "O[t,s] = A[t,s]",
        "O[] = n*c[]",
        "O[t,f] = decay(a)[t,s]*x[s,f] + decay(b)[t,-,f]",
        "O[t] = decay(b)[t,s,f]*decay(b)[+,t,f]*decay(c)[+,s]",
        "O[t,f] = decay(A)[t,s,f,g]*x[s,g]*decay(a)[+,-]",
        "O[f,g] = decay(A)[+,-,f,r]*decay(A)[t,-,r,g]*decay(A)[+,t,f,f]",
        "O[t,s] = decay(c)[t,s]",
    ],
)
def test_steps_compute_the_expression(text: str) -> None:
    declared = {"a": "n", "b": "n d", "c": "", "A": "n d d", "x": "n d"} if "decay" in text else None
    indices = {"t,s": "n ordered", "f,g,r": "d"} if "decay" in text else TOKENS
    check(ta.parse(text, indices=indices, tensors=declared), SIZES)


@settings(max_examples=40)
@given(
    st.lists(st.text("abcd", min_size=0, max_size=3), min_size=1, max_size=4),
    st.sets(st.sampled_from("abcd")),
    st.integers(0, 99),
)
def test_steps_compute_random_contractions(words: list[str], output: set[str], seed: int) -> None:
    kept = "".join(sorted(output & set("".join(words))))
    check(expression(words, kept), {"na": 2, "nb": 3, "nc": 1, "nd": 2}, seed)


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_steps_that_are_shared_are_written_once(seed: int) -> None:
    expr, sizes = definition(seed, terms=2, count=4), {"n": 3, "d": 2}
    arrays = {name: np.array(value, dtype=object) for name, value in inputs(seed, sizes).items()}
    known = {name: sizes[name] for name in all_dimensions(expr)}
    expected = np.asarray(expr.evaluate(known, **{x: arrays[x].tolist() for x in expr.tensors}))
    for regime in plan(expr).regimes():
        assert (execute(regime.steps, arrays, sizes) == expected).all(), [str(s) for s in regime.steps]
        assert sympy.expand(sum(step.flops for step in regime.steps) - regime.flops) == 0


def test_the_scores_of_second_order_attention_are_one_step() -> None:
    expr = ta.parse("O[t,c] = Q[t,f]*K[s,f]*Q[u,g]*K[s,g]*V[u,c]", indices=TOKENS | {"u": "n", "g": "d", "c": "e"})
    lines = [[str(step) for step in regime.steps] for regime in plan(expr, {"d": 64, "e": 64}).regimes()]
    assert any(sum("Q, K" in line for line in order) == 1 and len(order) == 3 for order in lines)


def test_views_of_product_and_sum_spaces() -> None:
    T, H, F = ta.Space("T", "n"), ta.Space("H", "h"), ta.Space("F", "d")
    (t, s), a, f = T.indices("t s"), H.index("a"), F.index("f")
    Q, K = ta.tensors("Q K", T @ (H @ F))
    check(ta.define((t, a), Q[t, (a, f)] * K[s, (a, f)]), SIZES)
    part = ta.parse("O[t] = x[t]*y[t]", indices={"t": "n"})
    assert [str(step) for step in plan(part).regimes()[0].steps] == ["O = einsum('t,t->t', x, y)"]


def test_the_steps_of_attention_are_these() -> None:
    first, second = plan(ta.parse("O[t,e] = Q[t,f]*K[s,f]*V[s,e]", indices=TOKENS)).regimes()
    assert list(map(str, first.steps)) == ["x0 = einsum('tf,sf->ts', Q, K)", "O = einsum('ts,se->te', x0, V)"]
    assert list(map(str, second.steps)) == ["x0 = einsum('sf,se->fe', K, V)", "O = einsum('tf,fe->te', Q, x0)"]


def test_softmax_with_a_mask() -> None:
    weights = "W[t,s] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/d);"
    expr = ta.parse(f"{weights} O[t,e] = W[t,s]*V[s,e]/sum(r: W[t,r])", indices=TOKENS)
    (regime,) = plan(expr).regimes()
    assert [str(step).split("(")[0] for step in regime.steps] == ["x0 = 1/d*einsum", "x1 = softmax", "O = einsum"]
    arrays = random_arrays(expr, SIZES, 1)
    q, k, v = (arrays[name].astype(float) for name in "QKV")
    w = np.exp(q @ k.T / 2) * np.tril(np.ones((3, 3)))
    np.testing.assert_allclose(execute(regime.steps, arrays, SIZES).astype(float), w @ v / w.sum(1, keepdims=True))


def test_a_block_that_is_read_twice_is_one_step() -> None:
    expr = ta.parse("A[t,s] = Q[t,f]*K[s,f]; O[t,s] = relu(A[t,s]) - exp(A[t,s])", indices=TOKENS)
    lines = [str(step) for step in plan(expr).regimes()[0].steps]
    assert sum("einsum('tf,sf->ts', Q, K)" in line for line in lines) == 1
    assert len(lines) == 4


def test_more_labels_than_letters() -> None:
    words = [(k, k + 1, k + 2) for k in range(70)]
    spaces = [ta.Space(f"S{k}", 2) for k in range(72)]
    index = [space.index(f"i{k}") for k, space in enumerate(spaces)]
    term: Any = 1
    for number, word in enumerate(words):
        term = term * ta.tensor(f"A{number}", [spaces[k] for k in word])[tuple(index[k] for k in word)]
    expr = ta.define((index[0], index[71]), term)
    arrays = random_arrays(expr, {}, 3)
    lines = plan(expr).regimes()[0].steps
    expected = opt_einsum.contract(
        *(x for k, word in enumerate(words) for x in (arrays[f"A{k}"], list(word))), [0, 71], optimize="greedy"
    )
    assert (execute(lines, arrays, {}) == expected).all()


def test_names_do_not_clash() -> None:
    expr = ta.parse("x1[t] = x0[t,s]*x2[s,r]*y[r]*y[t]", indices=TOKENS)
    check(expr, SIZES)
    assert {step.name for step in plan(expr).regimes()[0].steps} >= {"x3", "x1"}


def test_several_outputs_share_their_blocks() -> None:
    both = ta.parse("A[t,s] = Q[t,f]*K[s,f]; O[t,s] = relu(A[t,s])", indices=TOKENS)
    weights, total = both, ta.parse("A[t,s] = Q[t,f]*K[s,f]; Z[t] = sum(s: relu(A[t,s]))", indices=TOKENS)
    outputs = {"O": blocks(weights)[0], "Z": blocks(total)[0]}
    trees = {}
    for expr in (weights, total):
        trees |= plan(expr).programs[0].order.trees
    lines = [str(step) for step in steps(outputs, trees, Letters.of({"O": weights, "Z": total}))]
    assert lines == ["x0 = einsum('tf,sf->ts', Q, K)", "O = relu(x0)", "Z = einsum('ts->t', O)"]


def test_orders_deeper_than_the_stack_of_python() -> None:
    T = ta.Space("T", "n")
    A, x = ta.tensor("A", T @ T), ta.tensor("x", T)
    indices = [T.index(f"i{k}") for k in range(401)]
    term: Any = 1
    for one, other in pairwise(indices):
        term = term * A[one, other]
    for output, last in (((indices[0], indices[-1]), 1), ((indices[0],), x[indices[-1]])):
        found = plan(ta.define(output, term * last), {"n": 3})
        (regime,) = found.regimes()
        assert len(regime.steps) == 399 + (last != 1)
        assert regime.tree
        assert "more: .steps" in str(found)
