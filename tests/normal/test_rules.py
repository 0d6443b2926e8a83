"""Rules: what they say follows from the equations, and rewriting by them keeps values on models of the equations."""

from fractions import Fraction
from itertools import pairwise, product
from math import prod
from random import Random

import pytest

import tensoralg as ta
from tensoralg.errors import BudgetExceeded
from tensoralg.normal import Normaliser, rules
from tensoralg.normal.combination import combination
from tensoralg.normal.rules import open_variables
from tensoralg.normal.terms import Term, variables
from tensoralg.proof.decide import engine_for
from tensoralg.proof.prove import state
from tensoralg.proof.refute import draw

INDICES = {"i,j,k,l,m": "n", "a,b": "d", "t,s,r": "T ordered"}
THEORIES = {
    "push-through": [
        ("X[i,j] + X[i,k]*R[k,a]*S[a,j]", "delta[i,j]", "i,j"),
        ("Y[a,b] + S[a,i]*R[i,c]*Y[c,b]", "delta[a,b]", "a,b"),
    ],
    "equal inverses": [("A[i,j]*B[j,k]", "delta[i,k]", "i,k"), ("C[i,j]*A[j,k]", "delta[i,k]", "i,k")],
    "commuting with an inverse": [
        ("A[i,j]*B[j,k]", "B[i,j]*A[j,k]", "i,k"),
        ("A[i,j]*C[j,k]", "delta[i,k]", "i,k"),
        ("C[i,j]*A[j,k]", "delta[i,k]", "i,k"),
    ],
    "orthonormal columns": [("U[i,a]*U[i,b]", "delta[a,b]", "a,b")],
    "rows": [("A[i,j]", "1", "i")],
    "involution": [("P[i,j]*P[j,k]", "delta[i,k]", "i,k")],
    "quaternions": [
        ("A[i,j]*A[j,k]", "-delta[i,k]", "i,k"),
        ("B[i,j]*B[j,k]", "-delta[i,k]", "i,k"),
        ("A[i,j]*B[j,k]", "-B[i,j]*A[j,k]", "i,k"),
    ],
    "constant": [("x[i]*z[]", "y[j]*z[]", "i,j")],
    "sizes": [("n*x[i]*z[i]", "d*y[i]*z[i]", "i")],
    "braid": [("A[i,j]*B[j,k]*A[k,l]", "B[i,j]*A[j,k]*B[k,l]", "i,l")],
    "two sums": [("x[i] + y[i]", "z[i]", "i"), ("x[i] - y[i]", "w[i]", "i")],
    "symmetric": [("A[i,j]", "A[j,i]", "i,j")],
    "causal rows": [("sum(s: le[s,t]*Q[t,s])", "1", "t")],
}
WITHOUT_SAMPLES = {"quaternions", "push-through", "braid"}  # no kind of random tensors is known to satisfy them


def parsed(text, free):
    return ta.parse(text, {**INDICES, "c": "d"}, free=free)


def theory_of(name):
    """Return the theory, a normaliser without it, and the stated claim."""
    given = [(parsed(a, free), parsed(b, free)) for a, b, free in THEORIES[name]]
    stated = state(parsed("u[i]", "i"), parsed("u[i]", "i"), given, None)
    engine = engine_for(stated.encoded, stated.claim.tensors)
    engine()
    bare = Normaliser(engine.setting)
    bare.space_of.update(engine.equations.spaces)
    bare.counter = max(v for v in (0, *bare.space_of) if isinstance(v, int))  # its own variables come after those
    return engine, bare, stated


def value(term, at, arrays, sizes, run):
    """Return the value of a term by loops."""
    total = Fraction(0)
    for point in product(*(range(sizes[run.setting.spaces[space][0]]) for space in term.bound.values())):
        here = {**at, **dict(zip(term.bound, point, strict=True))}
        total += prod((factor(atom, here, arrays, sizes) ** e for atom, e in term.powers.items()), start=Fraction(1))
    return term.coefficient * total


def factor(atom, at, arrays, sizes):
    if atom[0] == "t":
        return Fraction(arrays[atom[1]][tuple(at[v] for v in atom[2:])])
    if atom[0] == "s":
        return Fraction(sizes[atom[1]])
    left, right = (at[v] for v in atom[-2:])
    return Fraction(int(left == right if atom[0] == "d" else left < right or (left == right and not atom[1])))


def models(name, stated, count=3):
    for seed in range(count):
        sizes = {"n": 2 + seed % 2, "d": 1 + seed % 2, "T": 3}
        yield sizes, draw(stated.claim, sizes, Random(seed), largest=2)


@pytest.mark.parametrize("name", THEORIES)
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_a_rule_is_the_sum_of_its_members(name):
    """``pattern - result`` equals the sum of ``context * (lhs - rhs)`` for all tensors, not only on models."""
    engine, run, _ = theory_of(name)
    theory = engine.equations
    assert theory.rules
    assert not theory.contradiction
    for rule in [*theory.rules, *theory.turns]:
        terms = [rule.pattern.copy(), *(t.copy(-1) for t in rule.result)]
        for use in rule.members:
            env = dict(zip((n for n, _ in use.equation.scope), use.values, strict=True))
            sides = run.expand(use.equation.lhs, env) + [t.copy(-1) for t in run.expand(use.equation.rhs, env)]
            terms += run.product([[use.context.copy(-1)], sides])
        free = dict.fromkeys(open_variables(terms))
        run.opened = {s: tuple(v for v in free if run.space_of[v] == s) for s in run.setting.refined}
        assert run.normal(terms) == ()
        assert run.normal(terms[:-1]) != ()


@pytest.mark.parametrize("name", sorted(set(THEORIES) - WITHOUT_SAMPLES))
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_rules_hold_on_models(name):
    engine, run, stated = theory_of(name)
    for sizes, arrays in models(name, stated):
        for rule in engine.equations.rules:
            free = list(dict.fromkeys(open_variables([rule.pattern])))
            for point in product(*(range(sizes[run.setting.spaces[run.space_of[v]][0]]) for v in free)):
                at = dict(zip(free, point, strict=True))
                results = [value(term, at, arrays, sizes, run) for term in rule.result]
                assert value(rule.pattern, at, arrays, sizes, run) == sum(results)


def random_term(run, tensors, random):
    """Return a random network of the tensors, some indices free."""
    term = Term(Fraction(random.randint(1, 3)))
    names = sorted(tensors)
    pool = {}
    for _ in range(random.randint(1, 5)):
        name = random.choice(names)
        values = []
        for space in run.setting.legs[name]:
            choices = pool.setdefault(space, [])
            if len(choices) < 2 or random.random() < 0.35:
                choices.append(run.fresh(space))
            values.append(random.choice(choices[-3:]))
        term.times(("t", name, *values))
    used = list(dict.fromkeys(v for atom in term.powers for v in variables(atom)))
    free = random.sample(used, min(len(used), random.randint(0, 2)))
    term.bound = {v: run.space_of[v] for v in used if v not in free}
    return term, free


@pytest.mark.parametrize("name", sorted(set(THEORIES) - WITHOUT_SAMPLES - {"causal rows"}))
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_rewriting_keeps_values_on_models(name):
    engine, _, stated = theory_of(name)
    (sizes, arrays), *_ = models(name, stated, count=1)
    tensors = {n for n in stated.claim.tensors if n != "u"}
    changed = 0
    for seed in range(60):
        run = engine()
        term, free = random_term(run, tensors, Random(seed))
        done = run.rewritten(term.copy())
        changed += len(done) != 1 or run.canonical(done[0]) != run.canonical(term)
        for point in product(*(range(sizes[run.setting.spaces[run.space_of[v]][0]]) for v in free)):
            at = dict(zip(free, point, strict=True))
            assert value(term, at, arrays, sizes, run) == sum(value(t, at, arrays, sizes, run) for t in done)
    assert changed


def test_an_index_that_occurs_elsewhere_is_not_matched():
    """``U[i,a] U[i,b] x[i]`` is no place for ``sum(i: U[i,a] U[i,b]) = delta[a,b]``."""
    engine, _, _ = theory_of("orthonormal columns")
    run = engine()
    i, a, b = run.fresh("n"), "?a", "?b"
    run.space_of.update({a: "d", b: "d"})
    inside = Term(powers={("t", "U", i, a): 1, ("t", "U", i, b): 1}, bound={i: "n"})
    (term,) = run.rewritten(inside.copy())
    assert set(term.powers) == {("d", a, b)}
    for outside in (inside.copy().times(("t", "u", i)), Term(powers=dict(inside.powers))):
        (term,) = run.rewritten(outside.copy())
        assert term.powers == outside.powers


def test_rewriting_that_comes_to_no_end_names_the_hypothesis(monkeypatch):
    monkeypatch.setattr(rules, "MOST_STEPS", 2)
    engine, _, _ = theory_of("involution")
    run = engine()
    v = [run.fresh("n") for _ in range(9)]
    term = Term(powers={("t", "P", x, y): 1 for x, y in pairwise(v)}, bound=dict.fromkeys(v[1:-1], "n"))
    with pytest.raises(BudgetExceeded, match=r"P.* = delta"):
        run.rewritten(term)


def test_combinations_are_exact():
    random = Random(0)
    for _ in range(50):
        vectors = [tuple((m, random.randint(1, 5)) for m in random.sample("uvwxyz", 3)) for _ in range(4)]
        shares = {k: Fraction(random.randint(-3, 3)) for k in range(4)}
        target = {}
        for k, c in shares.items():
            for m, x in vectors[k]:
                target[m] = target.get(m, 0) + c * x
        target = {m: c for m, c in target.items() if c}
        found = combination(tuple(target.items()), vectors)
        total = {}
        for k, c in found.items():
            for m, x in vectors[k]:
                total[m] = total.get(m, 0) + c * x
        assert {m: c for m, c in total.items() if c} == target
        assert combination((*target.items(), ("other", 1)), vectors) == {}
