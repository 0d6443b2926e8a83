"""Sparse evaluation against plain loops, and sparse witnesses against networks of known shape."""

import sys
from fractions import Fraction
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import oracle

import tensoralg as ta
from strategies import D, T
from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.expr.nodes import Delta, Entry, Mask, add, as_expr, bind, mul, power
from tensoralg.proof.ears import joining_order
from tensoralg.proof.prove import state
from tensoralg.proof.sparse import Evaluator, SparseTensor, Work, sparse_search

sys.path.insert(0, str(Path(__file__).parent))  # test files are imported by path, so their folder is no package
from networks import brick_wall, cubic, network, rewired, tree, word

SIZES = {"n": 3, "d": 2}
SYMBOLS = [
    ta.tensor("x", T),
    ta.tensor("A", T @ T),
    ta.tensor("Q", T @ D),
    ta.tensor("S", [T, T, T]),
    ta.tensor("c", ta.Unit),
]


def random_network(random, legs):
    """Return a random sum of products of entries, deltas and masks over some bound indices."""

    def one():
        bound = [T.index(f"b{k}") for k in range(random.randint(0, 4))] + [D.index("h")] * random.randint(0, 1)
        scope = [*legs, *bound]
        factors = [as_expr(random.choice([1, -2, Fraction(1, 3)]))]
        for _ in range(random.randint(1, 6)):
            times, channels = [i for i in scope if i.space == T], [i for i in scope if i.space == D]
            choices = [s for s in SYMBOLS if (not s.legs or times) and (channels or s.name != "Q")]
            symbol = random.choice(choices)
            roll = random.random()
            if roll < 0.12 and times:
                factors.append(Delta(random.choice(times), random.choice(times)))
            elif roll < 0.24 and times:
                factors.append(Mask(random.random() < 0.5, random.choice(times), random.choice(times)))
            elif roll < 0.3:
                factors.append(as_expr(ta.dims("n")))
            else:
                entry = Entry(symbol, tuple(random.choice(times if leg == T else channels) for leg in symbol.legs))
                factors.append(power(entry, random.choice([1, 1, 2])))
        return bind(tuple(bound), mul(*factors))

    side = add(*(one() for _ in range(random.randint(1, 3))))
    return ta.define(legs, side if random.random() < 0.7 else mul(side, one()))


def sparse(random, shape):
    rows = list(product(*map(range, shape)))
    kept = random.sample(rows, random.randint(0, len(rows)))
    return SparseTensor(shape, {row: random.choice([1, 2, -1, Fraction(1, 2)]) for row in kept})


def dense(tensor, row=()):
    if len(row) == len(tensor.shape):
        return tensor.entries.get(row, 0)
    return [dense(tensor, (*row, k)) for k in range(tensor.shape[len(row)])]


@given(st.integers(0, 2**32))
def test_values_agree_with_plain_loops(seed):
    random = Random(seed)
    legs = random.choice([(), (T.index("t"),), (T.index("t"), D.index("f"))])
    side = random_network(random, legs)
    tensors = {s.name: sparse(random, tuple(SIZES[leg.name] for leg in s.legs)) for s in SYMBOLS}
    expected = oracle(side, SIZES, {name: dense(tensor) for name, tensor in tensors.items()})
    for place, value in expected.items():
        at = dict(zip(side.free, place, strict=True))
        assert Evaluator(SIZES, tensors, Work(10**6)).side(side, at) == value


@pytest.mark.parametrize("text", ["exp(x[t])", "1/x[t]", "near[s,t,2]*x[s]", "decay(x)[t,s]"])
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_what_is_no_network_is_refused(text):
    side = ta.parse(text, "t,s: n ordered", free="t")
    with pytest.raises(Undecided):
        Evaluator({"n": 2}, {"x": SparseTensor((2,), {(0,): 1})}, Work(100)).side(side, {"t": 0})


def test_work_is_bounded():
    """All maps of a cubic network into itself, edges coloured freely: there are far too many to count."""
    edges = cubic(60, 0)
    claim = state(network(edges, alike=True, symmetric=True), ta.define((), 0), [], None).claim
    tensors = {"S3": SparseTensor((3, 3, 3), dict.fromkeys(product(range(3), repeat=3), 1))}
    work = Work(5000)
    with pytest.raises(BudgetExceeded):
        Evaluator({"n": 3}, tensors, work).side(claim.left, {})
    assert work.done < 40_000  # work is counted in lots of some thousand rows


@given(st.integers(0, 2**32))
def test_the_order_of_joining_takes_every_factor_once_and_stays_connected(seed):
    random = Random(seed)
    count = random.randint(1, 12)
    links = {k: [k + 100] + ([random.randrange(k) + 100] if k else []) for k in range(count)}
    for _ in range(random.randint(0, 6)):
        links[random.randrange(count)].append(random.randrange(count) + 100)
    links = {k: list(dict.fromkeys(v)) for k, v in links.items()}
    order = joining_order(links)
    assert sorted(order) == list(range(count))
    seen = set(links[order[0]])
    for number in order[1:]:
        assert seen & set(links[number])
        seen |= set(links[number])


def test_the_order_of_joining_starts_with_a_shortest_cycle():
    hexagon = {k: [k, (k + 1) % 6] for k in range(6)}
    chord = {6: [0, 20], 7: [20, 2]}  # closes cycles of four and of six
    order = joining_order({**hexagon, **chord})
    assert set(order[:4]) == {0, 1, 6, 7}


# witnesses


def counted(side, witness):
    """Return the value of a side at a sparse witness, by depth-first search over its factors."""
    term = side.body.summand if side.body.kind == "bind" else side.body
    tables = {name: [(tuple(row), value) for row, value in t["entries"]] for name, t in witness.tensors.items()}
    by_leg = {
        (name, leg, row[leg]): [] for name, table in tables.items() for row, _ in table for leg in range(len(row))
    }
    for name, table in tables.items():
        for row, value in table:
            for leg, position in enumerate(row):
                by_leg[name, leg, position].append((row, value))

    def matches(entry, at):
        names = [str(i) for i in entry.args]
        known = [leg for leg, i in enumerate(names) if i in at]
        candidates = by_leg.get((entry.tensor.name, known[0], at[names[known[0]]]), []) if known else None
        for row, value in tables[entry.tensor.name] if candidates is None else candidates:
            extended = dict(zip(names, row, strict=True))
            if all(at.get(i, k) == k for i, k in extended.items()) and all(
                extended[i] == k for i, k in zip(names, row, strict=True)
            ):
                yield extended, value

    total, stack = 0, [(dict(witness.index), list(term.children()), 1)]
    while stack:
        at, left, weight = stack.pop()
        if not left:
            total += weight
            continue
        # the factor with the fewest unknown indices, so that dead ends show soon
        chosen = min(left, key=lambda entry: (sum(str(i) not in at for i in entry.args), len(entry.args)))
        rest = [factor for factor in left if factor is not chosen]
        stack += [({**at, **more}, rest, weight * value) for more, value in matches(chosen, at)]
    return total


def searched(left, right):
    return sparse_search(state(left, right, [], None).claim)


def assert_refuted(left, right, recount=True):
    witness = searched(left, right)
    assert witness is not None
    assert witness.lhs != witness.rhs
    for tensor in witness.tensors.values():
        assert all(
            0 <= k < extent for row, _ in tensor["entries"] for k, extent in zip(row, tensor["shape"], strict=True)
        )
    if recount:
        assert counted(left, witness) == witness.lhs
        assert counted(right, witness) == witness.rhs
    return witness


GRAPHS = {
    "random cubic": lambda size: cubic(size, 1),
    "tree": lambda size: tree(size, 1),
    "brick wall": lambda size: brick_wall(size // 10, 10),
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"alike": True}, {"free": 3}, {"alike": True, "free": 2}])
def test_large_networks_with_two_edges_exchanged_are_refuted(graph, options):
    edges = GRAPHS[graph](100)
    # maps of a network of like tensors can be too many for a search that counts them one by one
    countable = not options.get("alike") or graph == "random cubic"
    sides = network(edges, **options), network(rewired(edges, 2), **options, shuffle=3)
    witness = assert_refuted(*sides, recount=countable)
    assert witness.sizes["n"] <= len(edges)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("alike", [False, True])
def test_one_reversed_tensor_is_refuted(graph, alike):
    edges = GRAPHS[graph](100)
    sides = network(edges, alike=alike), network(edges, alike=alike, turned=50, shuffle=1)
    assert_refuted(*sides, recount=not alike or graph == "random cubic")


@pytest.mark.parametrize("options", [{}, {"alike": True}, {"symmetric": True}, {"free": 2}])
def test_identities_have_no_witness(options):
    edges = cubic(60, 4)
    assert searched(network(edges, **options), network(edges, **options, shuffle=7)) is None


def test_trace_words_with_two_letters_exchanged_are_refuted():
    random = Random(5)
    letters = [random.choice("abc") for _ in range(200)]
    k = next(k for k in range(50, 199) if letters[k] != letters[k + 1])
    changed = [*letters[:k], letters[k + 1], letters[k], *letters[k + 2 :]]
    assert_refuted(word("".join(letters)), word("".join(changed)))
    turned = letters[70:] + letters[:70]
    assert searched(word("".join(letters)), word("".join(turned))) is None


I = {"i,j,k,l": "n"}
ORDERED = {"i,j,k,l": "n ordered"}
SMALL = [
    ("A[i,j]*A[i,j]", "A[i,j]", "", I),
    ("A[i,j]*x[j] + 2*x[i]", "A[i,j]*x[j] + 3*x[i]", "i", I),
    ("A[i,j]*x[j] + x[i]", "A[j,i]*x[j] + x[i]", "i", I),
    ("sum(i,j: A[i,j])*sum(k: x[k])", "sum(i,k: A[i,k]*x[k])", "", I),
    ("n*A[i,i]", "A[i,i]", "", I),
    ("delta[i,j]*x[j]*y[k]", "delta[i,k]*x[j]*y[j]", "i,k", I),
    ("lt[i,j]*lt[j,k]*x[k]", "lt[i,k]*x[k]", "i", ORDERED),
    ("le[i,j]*A[i,j]", "A[i,j]", "", ORDERED),
]


@pytest.mark.parametrize(("left", "right", "free", "indices"), SMALL)
def test_small_witnesses_are_confirmed_by_plain_loops(left, right, free, indices):
    sides = [ta.parse(text, indices, free=free) for text in (left, right)]
    witness = searched(*sides)
    tensors = {
        name: dense(SparseTensor(tuple(t["shape"]), {tuple(row): value for row, value in t["entries"]}))
        for name, t in witness.tensors.items()
    }
    values = [oracle(side, witness.sizes, tensors)[tuple(witness.index[name] for name in side.free)] for side in sides]
    assert values == [witness.lhs, witness.rhs]
    assert values[0] != values[1]


@pytest.mark.parametrize(
    ("group", "kind"), [((0, 1), "symmetric"), ((0, 1), "antisymmetric"), ((0, 1, 2), "antisymmetric")]
)
def test_witnesses_have_the_declared_symmetries(group, kind):
    U = ta.Space("U", "n")
    i, j, k = U.indices("i j k")
    W = ta.tensor("W", [U, U, U], **{kind: group})
    x, y, z = (ta.tensor(name, U) for name in "xyz")
    left = ta.define((), (W[i, j, k] * x[i] * y[j] * z[k]).sum(i, j, k))
    right = ta.define((), (W[i, j, k] * x[i] * y[j] * x[k]).sum(i, j, k))
    witness = searched(left, right)
    entries = {tuple(row): value for row, value in witness.tensors["W"]["entries"]}
    sign = 1 if kind == "symmetric" else -1
    for a, b, c in entries:
        assert entries[b, a, c] == sign * entries[a, b, c]
        if len(group) == 3:
            assert entries[b, c, a] == entries[a, b, c]


def test_declared_facts_and_fixed_sizes_are_kept():
    V = ta.Space("V", "n")
    i, j = V.indices("i j")
    P = ta.tensor("P", V @ V, positive=True)
    assert searched(ta.define((), P[i, j].sum(i, j)), ta.define((), P[i, i].sum(i))) is None
    A = ta.tensor("A", V @ V)
    left, right = ta.define((), A[i, j].sum(i, j)), ta.define((), A[i, i].sum(i))
    assert searched(left, right).sizes == {"n": 2}
    assert sparse_search(state(left, right, [], {"n": 1}).claim) is None
    assert sparse_search(state(left, right, [], {"n": 5}).claim).sizes == {"n": 5}


def test_witnesses_do_not_depend_on_the_run():
    edges = cubic(40, 0)
    sides = network(edges), network(rewired(edges, 1))
    assert searched(*sides).to_json() == searched(*sides).to_json()
