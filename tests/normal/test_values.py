"""Normal forms are worth what the expressions are worth.

Comparing verdicts cannot see an unsound step that a counterexample hides, so here the normal form itself
is evaluated, by plain loops of its own, and compared with the plain-loop oracle of the expression.
"""

import itertools
import math
from fractions import Fraction
from random import Random

import pytest
from normal_forms import normal_form
from oracle import oracle

import tensoralg as ta
from strategies import claim, rewrite
from tensoralg.expr.nodes import Entry
from tensoralg.expr.rewrite import walk
from tensoralg.proof.sample import sample

INDICES = "i,j,k,a: q; t,s,u,r: n ordered"
BATCH = 80
FUNCTIONS = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "relu": lambda x: max(x, 0),
    "1/": lambda x: 1 / x,
}


def mono_value(run, mono, at, arrays, sizes):
    factors, bound, chains = mono
    total = 0
    ranges = [range(sizes[run.setting.spaces[space][0]]) for _, space in bound]
    for point in itertools.product(*ranges):
        here = {**at, **{variable: place for (variable, _), place in zip(bound, point, strict=True)}}
        if all(in_chain(blocks, here) for _, blocks in chains):
            total += math.prod(
                (atom_value(run, atom, e, here, arrays, sizes) for atom, e in factors), start=Fraction(1)
            )
    return total


def in_chain(blocks, at):
    places = [{at[variable] for variable in block} for block in blocks]
    return all(len(place) == 1 for place in places) and all(
        min(before) < min(after) for before, after in itertools.pairwise(places)
    )


def atom_value(run, atom, exponent, at, arrays, sizes):
    kind = atom[0]
    if kind == "t":
        value = arrays[atom[1]][tuple(at[v] for v in atom[2:])]
    elif kind == "d":
        value = int(at[atom[1]] == at[atom[2]])
    elif kind == "s":
        value = atom[1] if isinstance(atom[1], int) else sizes[atom[1]]
    elif kind == "p":
        value = at[atom[1]] + 1
    else:
        inner = form_value(run, atom[-1], at, arrays, sizes)
        value = FUNCTIONS["exp" if kind == "E" else atom[1]](inner)
    exact = isinstance(exponent, int) and not isinstance(value, float)
    return Fraction(value) ** exponent if exact else float(value) ** float(exponent)


def form_value(run, form, at, arrays, sizes):
    return sum(c * mono_value(run, mono, at, arrays, sizes) for mono, c in form)


def assert_same_value(definition, random, all_sizes):
    tensors = {n.tensor.name: n.tensor for n in walk(definition) if isinstance(n, Entry)}
    run, form = normal_form(definition)
    compared = 0
    for sizes in all_sizes:
        arrays = sample(tensors, sizes, random)
        try:
            values = oracle(definition, sizes, {name: array.tolist() for name, array in arrays.items()})
            found = {
                p: form_value(run, form, dict(zip(definition.free, p, strict=True)), arrays, sizes) for p in values
            }
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        compared += 1
        for point, value in values.items():
            assert abs(value - found[point]) <= 1e-7 * (1 + abs(value)), f"{definition} at {sizes}, {point}"
    return compared


@pytest.mark.parametrize("start", range(0, 640, BATCH))
def test_random_expressions(start):
    compared = 0
    for seed in range(start, start + BATCH):
        random = Random(seed)
        definition = rewrite(random, claim(random, functions=seed % 2 == 1), random.randint(0, 4))
        compared += assert_same_value(definition, random, [{"n": 2, "d": 1}, {"n": 3, "d": 2}])
    assert compared > BATCH


CASES = [
    ("x[s]*exp(sum(r: le[r,s]*y[r]))", "s", {}),
    ("sum(s: x[s]*relu(sum(r: le[r,s]*y[r])))", "", {}),
    ("sum(s: x[s]/sum(r: le[r,s]*exp(y[r])))", "", {}),
    ("pow(log(exp(sum(i: x[i]))), 2)", "", {}),
    ("sqrt(q)*x[i] + sqrt(8)*relu(sqrt(2)*x[i])", "i", {}),
    ("exp(delta[i,j]*sum(a: A[i,a]*x[a]))", "i,j", {}),
    ("sum(t: exp(le[s,t]*c[] + lt[t,s]*c[]))", "s", {}),
    ("sum(i,j: exp(W[i,i] + x[j]))", "", {"symmetry": {"W": "antisym"}}),
    ("Y[i,j]*Y[i,j]*Y[j,k]*Y[k,a]", "a", {"symmetry": {"Y": "sym"}}),
    ("exp(sum(s: P[t,s]*x[s]))*P[t,u]*P[r,u]", "t,r", {"tensors": {"P": "n n permutation", "x": "n"}}),
    ("sum(s: lt[s,t]*sum(r: lt[r,s])) + sum(r: le[r,t])", "t", {}),
    ("le[t,s]*relu(sum(r: le[t,r]*lt[r,s]*y[r]) + sum(r: le[s,r]*y[r]))", "t,s", {}),
]


@pytest.mark.parametrize(("text", "free", "options"), CASES)
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_chosen_expressions(text, free, options):
    definition = ta.parse(text, INDICES, free=free, **options)
    assert assert_same_value(definition, Random(0), [{"q": 2, "n": 2}, {"q": 3, "n": 3}, {"q": 1, "n": 4}])
