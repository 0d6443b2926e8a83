"""Parts that are refined alone: the same normal form, with less work."""

from random import Random

import pytest
from fuzz import KINDS, made
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoralg as ta
from tensoralg.normal import Normaliser
from tensoralg.normal.parts import parts
from tensoralg.normal.terms import Term
from tensoralg.proof.decide import engine_for, opened
from tensoralg.proof.prove import state

INDICES = "t,s,r,q,i2: n ordered; i1,i4,a,b,p: m ordered; f: d"
TENSORS = {"c": "", "x": "n", "y": "n", "u": "d", "S": "n n"}


class Plain(Normaliser):
    """A normaliser that refines every term as a whole."""

    def prepared(self, terms, known):
        return list(terms)


def forms(case, make):
    """Return the forms of the left side, and what they took."""
    stated = state(case.left, case.right, list(case.kind.given), None)
    engine = engine_for(stated.encoded, stated.claim.tensors, stated.definitions, budget=10**6)
    found, spent = [], 0
    probe = engine()
    for values, _ in probe.ranges(list(stated.encoded["free"])):
        run = make(engine.setting, engine.budget, equations=engine.equations)
        run.space_of.update(probe.space_of)
        run.opened = opened(run, values)
        env = dict(zip((name for name, _ in stated.encoded["free"]), values, strict=True))
        found.append(run.normal(run.expand(stated.encoded["lhs"], env)))
        spent += engine.budget - run.budget
    return found, spent


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["polynomial", "two orders", "symmetric", "composite"]), st.integers(0, 10**6))
def test_parts_do_not_change_the_normal_form(name, number):
    case = made(KINDS[name], f"parts/{number}")
    assert forms(case, Normaliser)[0] == forms(case, Plain)[0]


@given(st.integers(0, 10**6))
def test_the_product_of_the_parts_is_the_term(seed):
    random = Random(seed)
    bound = dict.fromkeys(range(1, random.randint(1, 6)), "V")
    names = [*bound, "i", "j"]
    term = Term(random.randint(1, 9), bound=bound)
    for _ in range(random.randint(0, 6)):
        term.times(("t", "A", random.choice(names), random.choice(names)))
    found = list(parts(term))
    again, seen = Term(), []
    for part in found:
        again.coefficient *= part.coefficient
        again.bound.update(part.bound)
        seen += part.bound
        for atom, power in part.powers.items():
            again.times(atom, power)
    assert (again.coefficient, again.powers, again.bound) == (term.coefficient, term.powers, term.bound)
    assert len(seen) == len(set(seen))


def parsed(text, free):
    return ta.parse(text, INDICES, free=free, tensors=TENSORS)


ONE = (
    "(c[] + c[]*(n - 1) - c[]*(sum(s: lt[s,i2]) + sum(s: lt[i2,s])) + S[i2,i2]*(sum(p: le[p,a]) + sum(p: lt[a,p]))"
    " - S[i2,i2]*m)*sum(f,i4: x[i2]*lt[a,i4])"
)
# random claims that passed the budget of terms: products of chains of parts that had nothing to do with each other
LARGE = {
    "a part that cancels": (
        "sum(i2,q: lt[q,i2]*(y[s] + u[f]*sum(t: le[t,i2]*x[t])*sum(t: le[t,i2]*y[t])"
        " - u[f]*(sum(t: le[t,i2]*x[t]*sum(r: lt[r,t]*y[r])) + sum(t: le[t,i2]*y[t]*sum(r: le[r,t]*x[r])))))",
        "n*(n - 1)/2*y[s]",
        "s,f",
    ),
    "two orders": (
        f"sum(i1,i2: le[i1,a]*{ONE} + lt[a,i1]*{ONE} + y[t]*(le[a,i1] + lt[i1,a]) - y[t])",
        "sum(i1,i2: c[]*sum(f,i4: x[i2]*lt[a,i4]))",
        "t,b,a",
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_parts_are_counted_before_their_chains_are_multiplied(name):
    left, right, free = LARGE[name]
    assert ta.prove(parsed(left, free), parsed(right, free)).status == "proved"


def test_products_of_many_terms_keep_their_chains():
    # over 16 terms a product is collected, which renames bound variables; their chains have to follow
    left = "sum(i2: x[i2]*le[t,i2])*sum(i4: lt[a,i4])*sum(i1: lt[i1,b])*sum(s: lt[s,t])*(n + m + 1)"
    right = "sum(i2,i4,i1,s: lt[i1,b]*lt[s,t]*x[i2]*le[t,i2]*lt[a,i4])*(1 + m) + n*sum(i2: x[i2]*le[t,i2])*"
    right += "sum(i4: lt[a,i4])*sum(i1: lt[i1,b])*sum(s: lt[s,t])"
    case = made(KINDS["two orders"], "parts")
    case = type(case)(case.kind, parsed(f"{left} - ({right})", "t,a,b"), 0, True)
    assert forms(case, Plain)[0] == [()]
