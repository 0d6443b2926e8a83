"""Kinds of random claims, true by rewriting or false by a change.

A kind has its tensors, leaves, laws and hypotheses.  A law is an identity that holds in the kind for all values of
its free indices; rewriting uses it at random places.  True claims are made by valid rewriting, near misses by one
change of an index, a coefficient, a mask or a transpose; what a claim is worth is decided by `exact`, never by how
it was made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import tensoralg as ta
from strategies import TENSORS, D, Maker, T, mutate, rewrite
from tensoralg.errors import ImplicitSumWarning, InvalidExpression
from tensoralg.expr.nodes import Decay, Delta, Expr, Mask, Near, Number, Size, add, as_expr, bind, mul, negate
from tensoralg.expr.rewrite import substitute, walk
from tensoralg.spaces import Fused, Index, Injected

M = ta.Space("m", "m", ordered=True)
K = ta.Space("k", "k")
INDICES = "t,s,r,u: n ordered; f,g,e: d; a,b: m ordered; i,j: k"
TABLE = {
    "U": "k d isometry",
    "R": "d d",
    "P": "d d projection",
    "Z": "n n permutation",
    "z": "n positive",
    "g": "",
    "a": "n",
    "b": "n d",
    "G": "n d d",
}

Law = tuple[Any, Any]


@dataclass(frozen=True)
class Kind:
    """What random claims of one kind are made of.

    Attributes
    ----------
    name : str
    complete : bool
        Whether the claims lie in the fragment for which completeness is promised, so that no answer may be unknown.
    laws : tuple of (Definition, Definition)
        Identities used in rewriting.
    given : tuple of (Definition, Definition)
        Hypotheses of every claim; they are laws too.
    sizes : dict of str to int
        Sizes fixed in every claim.
    """

    name: str
    complete: bool = False
    functions: bool = False
    tensors: tuple[Any, ...] = tuple(TENSORS)
    spaces: tuple[Any, ...] = (T, T, D)
    free: tuple[Index, ...] = (*T.indices("t s"), *D.indices("f"))
    leaves: tuple[Callable[..., Expr | None], ...] = ()
    laws: tuple[Law, ...] = ()
    given: tuple[Law, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    steps: tuple[Callable[..., Expr], ...] = ()


@dataclass(frozen=True)
class Case:
    """A claim, and whether it was made to be true."""

    kind: Kind
    left: Any
    right: Any
    meant_true: bool


# using a law at a random place


def law_step(laws: tuple[Law, ...]) -> Callable[..., Expr]:
    """Return a rewriting step that uses one of the laws, in either direction."""

    def step(random: Random, node: Expr, scope: Any) -> Expr:
        sides = list(random.choice(laws))
        if random.random() < 0.5:
            sides.reverse()
        before, after = sides
        matched = match(before, node)
        if matched is not None:
            return substitute(after.body, matched)
        chosen = {leg: random.choice([i for i in scope if i.space == leg.space] or [None]) for leg in before.legs}
        if None in chosen.values():
            return node
        before, after = (substitute(side.body, chosen) for side in (before, after))
        if isinstance(before, Number) and before.value == 1:
            return mul(node, after)
        scale = Maker(random).leaf(list(scope)) if scope else Number(before.value if before.kind == "number" else 2)
        return add(node, mul(scale, before), negate(mul(scale, after)))

    return step


def match(pattern: Any, node: Expr) -> dict[Index, Any] | None:
    """Return what the legs of a pattern have to be for its body, a single factor, to be the node."""
    body = pattern.body
    if body.kind != node.kind or not body.index_terms() or set(body.index_terms()) != set(pattern.legs):
        return None
    pairs = list(zip(body.index_terms(), node.index_terms(), strict=False))
    if any(leg.space != term.space for leg, term in pairs):
        return None
    found = dict(pairs)
    return found if body.with_index_terms(tuple(found.get(leg, leg) for leg in body.index_terms())) == node else None


def laws(*pairs: tuple[str, str, str]) -> tuple[Law, ...]:
    """Return laws from their text: left, right, free indices."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImplicitSumWarning)
        return tuple(
            (ta.parse(left, INDICES, free=free, tensors=TABLE), ta.parse(right, INDICES, free=free, tensors=TABLE))
            for left, right, free in pairs
        )


def symbols(*names: str) -> tuple[Any, ...]:
    """Return the tensors of the table with these names."""
    letters = {"n": "tsru", "d": "fge", "k": "ij", "m": "ab"}
    found = []
    for name in names:
        legs = [w for w in TABLE[name].split() if w in letters]
        used = [letters[w][legs[:k].count(w)] for k, w in enumerate(legs)]
        text = f"{name}[{','.join(used)}]"
        found.append(ta.parse(text, INDICES, free=tuple(used), tensors=TABLE).body.tensor)
    return tuple(found)


# leaves


def near_leaf(maker: Maker, scope: list[Index]) -> Expr | None:
    times = [i for i in scope if i.space == T]
    widths = [as_expr(2), as_expr(3), Size("n"), as_expr(1)]
    return Near(*maker.random.sample(times, 2), maker.random.choice(widths)) if len(times) > 1 else None


def decay_leaf(gate: Any) -> Callable[..., Expr | None]:
    def leaf(maker: Maker, scope: list[Index]) -> Expr | None:
        times = [i for i in scope if i.space == T]
        channels = [maker.pick(scope, leg) for leg in gate.legs[1:]]
        if len(times) < 2 or None in channels:
            return None
        later, earlier = maker.random.sample(times, 2)
        roll = maker.random.random()
        if roll < 0.15:
            return Decay(gate, later, "-", tuple(channels))
        return Decay(gate, "+" if roll < 0.3 else later, earlier, tuple(channels))

    return leaf


def part_leaf(gate: Any) -> Callable[..., Expr | None]:
    """Return what makes decays over a past and two tokens, between any of their times."""

    def leaf(maker: Maker, scope: list[Index]) -> Expr | None:
        later, earlier = maker.pick(scope, CLOCK), maker.pick(scope, CLOCK)
        channels = [maker.pick(scope, leg) for leg in gate.legs[1:]]
        if None in (later, earlier, *channels):
            return None
        roll = maker.random.random()
        if roll < 0.15:
            return Decay(gate, later, "-", tuple(channels))
        return Decay(gate, "+" if roll < 0.3 else later, earlier, tuple(channels))

    return leaf


def part_laws(gate: Any) -> tuple[Law, ...]:
    """Return the laws of paths over a past and two tokens: they compose, and telescope."""
    t, s, r = (CLOCK.index(name) for name in "tsr")
    f, g, e = (D.index(name) for name in "fge")
    outer, left, right, link = ((f, g), (f, e), (e, g), (e,)) if len(gate.legs) == 3 else ((),) * 4
    between = mul(Mask(False, s, r), Mask(False, r, t))
    two = mul(Decay(gate, t, r, left), Decay(gate, r, s, right))
    one = (lambda at: gate[at, e, g]) if outer else (lambda at: gate[at] if gate.legs else gate[()])
    same = Delta(e, g) if outer else as_expr(1)
    steps = bind((r, *link), mul(Decay(gate, t, r, left), add(one(r), negate(same))))
    whole = add(Decay(gate, t, "-", outer), negate(Delta(f, g) if outer else as_expr(1)))
    path = Decay(gate, t, s, outer)
    return (
        (ta.define((t, s, r, *outer), bind(link, two)), ta.define((t, s, r, *outer), mul(between, path))),
        (ta.define((t, s, *outer), mul(path, Mask(False, s, t))), ta.define((t, s, *outer), path)),
        *(((ta.define((t, *outer), steps), ta.define((t, *outer), whole)),) if not outer else ()),
    )


def decay_laws(gate: str) -> tuple[Law, ...]:
    """Return the laws of a scalar path: it composes, and the resolvent identity in its telescoped form."""
    step = {"g": "g[]", "a": "a[{}]", "b": "b[{},f]"}[gate]
    more = ",f" if gate == "b" else ""
    free = more.replace(",f", ",f")

    def w(later: str, earlier: str) -> str:
        return f"decay({gate})[{later},{earlier}{more}]"

    def less(at: str) -> str:
        return f"({step.format(at)} - 1)"

    return laws(
        (f"{w('t', 'r')}*{w('r', 's')}", f"le[s,r]*le[r,t]*{w('t', 's')}", f"t,s,r{free}"),
        (f"{w('t', 's')}*le[s,t]", w("t", "s"), f"t,s{free}"),
        (f"delta[t,s]*{w('t', 's')}", "delta[t,s]", f"t,s{free}"),
        (f"sum(r: lt[s,r]*{w('t', 'r')}*{less('r')})", f"{w('t', 's')} - le[s,t]", f"t,s{free}"),
        (f"{w('t', 's')}*{w('s', '-')}", f"le[s,t]*{w('t', '-')}", f"t,s{free}"),
        (f"{w('+', 't')}*{w('t', 's')}", f"le[s,t]*{w('+', 's')}", f"t,s{free}"),
        (f"sum(r: {w('t', 'r')}*{less('r')})", f"{w('t', '-')} - 1", f"t{free}"),
    )


MATRIX_DECAY = (
    ("sum(e: decay(G)[t,r,f,e]*decay(G)[r,s,e,g])", "le[s,r]*le[r,t]*decay(G)[t,s,f,g]", "t,s,r,f,g"),
    ("delta[t,s]*decay(G)[t,s,f,g]", "delta[t,s]*delta[f,g]", "t,s,f,g"),
    (
        "sum(r,e: lt[s,r]*decay(G)[t,r,f,e]*(G[r,e,g] - delta[e,g]))",
        "decay(G)[t,s,f,g] - le[s,t]*delta[f,g]",
        "t,s,f,g",
    ),
    ("decay(G)[t,s,f,g]*le[s,t]", "decay(G)[t,s,f,g]", "t,s,f,g"),
)
NEAR = (
    ("near[s,t,2]*le[s,t]", "near[s,t,2]", "s,t"),
    ("near[s,t,2]*near[s,t,3]", "near[s,t,2]", "s,t"),
    ("pow(near[s,t,3], 2)", "near[s,t,3]", "s,t"),
    ("near[s,t,1]", "delta[s,t]", "s,t"),
    ("near[s,t,n]", "le[s,t]", "s,t"),
    ("delta[s,t]*near[s,t,3]", "delta[s,t]", "s,t"),
    ("near[s,t,2]*lt[s,r]*lt[r,t]", "0", "s,t,r"),
)
PREFIX = (
    (
        "sum(s: le[s,t]*x[s])*sum(r: le[r,t]*y[r])",
        "sum(s: le[s,t]*x[s]*sum(r: lt[r,s]*y[r])) + sum(s: le[s,t]*y[s]*sum(r: le[r,s]*x[r]))",
        "t",
    ),
    ("lt[s,r]*lt[r,t]*lt[s,t]", "lt[s,r]*lt[r,t]", "s,t,r"),
    ("sum(s: lt[s,t]) + sum(s: lt[t,s])", "n - 1", "t"),
)
TWO_ORDERS = (
    ("sum(a: le[a,b]) + sum(a: lt[b,a])", "m", "b"),
    ("sum(t,a: le[t,s]*le[a,b])", "sum(t: le[t,s])*sum(a: le[a,b])", "s,b"),
    ("le[a,b] + lt[b,a]", "1", "a,b"),
)
EXPONENTIAL = (
    ("exp(x[t])*exp(-x[t])", "1", "t"),
    ("exp(2*x[t])", "pow(exp(x[t]),2)", "t"),
    ("exp(lt[s,t]*x[s])", "lt[s,t]*exp(x[s]) + 1 - lt[s,t]", "s,t"),
    ("sum(s: exp(A[t,s])/sum(r: exp(A[t,r])))", "1", "t"),
    ("exp(A[t,s] + x[t])/sum(r: exp(A[t,r] + x[t]))", "softmax(s: A[t,s])", "t,s"),
    ("1/(1 + exp(x[t])) + 1/(1 + exp(-x[t]))", "1", "t"),
)
POINTWISE = (
    ("log(exp(x[t]))", "x[t]", "t"),
    ("log(exp(x[t])*z[t])", "x[t] + log(z[t])", "t"),
    ("sqrt(z[t])*sqrt(z[t])", "z[t]", "t"),
    ("sqrt(4*z[t])", "2*sqrt(z[t])", "t"),
    ("relu(2*x[t])", "2*relu(x[t])", "t"),
    ("relu(z[t]*x[s])", "z[t]*relu(x[s])", "t,s"),
    ("relu(le[s,t]*x[s])", "le[s,t]*relu(x[s])", "s,t"),
    ("z[t]/z[t]", "1", "t"),
)
FACTS = {
    "isometry": (("sum(i: U[i,f]*U[i,g])", "delta[f,g]", "f,g"),),
    "projection": (("sum(e: P[f,e]*P[e,g])", "P[f,g]", "f,g"),),
    "permutation": (
        ("sum(s: Z[t,s])", "1", "t"),
        ("sum(t: Z[t,s])", "1", "s"),
        ("sum(r: Z[t,r]*Z[s,r])", "delta[t,s]", "t,s"),
        ("pow(Z[t,s],2)", "Z[t,s]", "t,s"),
        ("Z[t,s]*Z[t,r]", "Z[t,s]*delta[s,r]", "t,s,r"),
    ),
}
FIXED = (
    ("lt[s,r]*lt[r,t]", "0", "s,r,t"),
    ("le[t,s]*sum(r: lt[r,t])*sum(r: lt[s,r])", "0", "t,s"),
    ("n", "2", ""),
    (
        "sum(s: A[t,s]*A[s,r])",
        "sum(s: A[s,s])*A[t,r] - 1/2*(pow(sum(s: A[s,s]),2) - sum(s,u: A[s,u]*A[u,s]))*delta[t,r]",
        "t,r",
    ),
)
DEFINED = (("C[t,f]", "sum(s: le[s,t]*K[s,f]*x[s]) + Q[t,f]", "t,f"),)
ROWS = (("sum(s: H[t,s])", "1", "t"),)
FRAME = (("sum(i: V[i,f]*V[i,g])", "delta[f,g]", "f,g"),)
COMMUTE = (("sum(e: R[f,e]*E[e,g])", "sum(e: E[f,e]*R[e,g])", "f,g"),)

BASE = tuple(TENSORS)
MATRIX = ta.tensor("R", D @ D)
INVERSE = ta.tensor("I", D @ D, inverse_of=MATRIX)
V3 = (
    ta.tensor("S3", (D, D, D), symmetric=True),
    ta.tensor("W3", (D, D, D), antisymmetric=(0, 2)),
    ta.tensor("Y3", (T, T, D), symmetric=(0, 1)),
)
SUM = ta.Space("p", "p", ordered=True) + ta.Space("q", "q", ordered=True)
PRODUCT, ORDERED_PRODUCT = T @ D, T @ M
FIRST, SECOND = SUM.summands
CLOCK = ta.Space("p", "p", ordered=True) + ta.Space("last", 1, ordered=True) + ta.Space("new", 1, ordered=True)
PATHS = (ta.tensor("g", ta.Unit), ta.tensor("h", (CLOCK,)), ta.tensor("H", (CLOCK, D, D)))
COMPOSITE = (
    ta.tensor("x1", (PRODUCT,)),
    ta.tensor("A1", (PRODUCT, D)),
    ta.tensor("x2", (SUM,)),
    ta.tensor("A2", (SUM, SUM)),
    ta.tensor("y2", FIRST),
    ta.tensor("x3", (ORDERED_PRODUCT,)),
)


def split_composite(random: Random, node: Expr, scope: Any) -> Expr:
    """Write a sum over a product space as a double sum, over a direct sum as two sums."""

    if node.kind != "bind" or len(node.indices) != 1:  # type: ignore[attr-defined]
        return node
    index, body = node.indices[0], node.summand  # type: ignore[attr-defined]
    taken = {i.name for i in scope} | set(node._bound) | set(node.free)
    names = [name for name in ("p1", "p2", "p3", "p4", "p5", "p6") if name not in taken]
    if hasattr(index.space, "factors") and len(names) > 1:
        parts = tuple(Index(name, space) for name, space in zip(names, index.space.factors, strict=False))
        return bind(parts, substitute(body, {index: Fused(parts)}))
    if hasattr(index.space, "summands") and names:
        cases = [(Index(names[0], space), k) for k, space in enumerate(index.space.summands)]
        return add(*(bind((i,), substitute(body, {index: Injected(i, k, index.space)})) for i, k in cases))
    return node


def inverse_laws() -> tuple[Law, ...]:
    """Return that a matrix and its inverse compose to 1; the text form cannot declare inverses."""
    f, g, e = D.indices("f g e")
    pairs = ((MATRIX, INVERSE), (INVERSE, MATRIX))
    return tuple((ta.define((f, g), a[f, e] * b[e, g]), ta.define((f, g), ta.delta[f, g])) for a, b in pairs)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("polynomial", complete=True, laws=laws(*PREFIX)),
        Kind(
            "two orders",
            complete=True,
            tensors=(*BASE, ta.tensor("q", M), ta.tensor("L", M @ M), ta.tensor("N", T @ M)),
            spaces=(T, M, M, D),
            free=(*T.indices("t s"), *M.indices("a b")),
            laws=laws(*PREFIX, *TWO_ORDERS),
        ),
        Kind(
            "symmetric",
            complete=True,
            tensors=(*V3, *BASE),
            free=(*T.indices("t"), *D.indices("f g")),
            spaces=(T, D, D),
        ),
        Kind(
            "composite",
            complete=True,
            tensors=(*COMPOSITE, *BASE[:5], BASE[-1]),
            spaces=(T, D, SUM, PRODUCT, FIRST, ORDERED_PRODUCT),
            free=(SUM.index("w"), SUM.index("w2"), ORDERED_PRODUCT.index("v"), ORDERED_PRODUCT.index("v2")),
            steps=(split_composite, split_composite),
        ),
        Kind("exponential", functions=True, laws=laws(*EXPONENTIAL)),
        Kind("pointwise", tensors=(*BASE, *symbols("z")), laws=laws(*POINTWISE)),
        Kind("near", leaves=(near_leaf,), laws=laws(*NEAR)),
        *(
            Kind(f"decay {name}", tensors=(*BASE, *symbols(gate)), leaves=(decay_leaf(*symbols(gate)),), laws=found)
            for name, gate, found in (
                ("scalar", "g", decay_laws("g")),
                ("by step", "a", decay_laws("a")),
                ("by channel", "b", decay_laws("b")),
                ("matrix", "G", laws(*MATRIX_DECAY)),
            )
        ),
        Kind(
            "decay of a fixed length",
            tensors=(*BASE, *symbols(*"gabG")),
            leaves=tuple(decay_leaf(gate) for gate in symbols(*"gabG")),
            laws=(*decay_laws("g"), *decay_laws("a"), *decay_laws("b"), *laws(*MATRIX_DECAY)),
            sizes={"n": 3},
        ),
        Kind(
            "decay over parts",
            tensors=(ta.tensor("X", (CLOCK,)), ta.tensor("Y", (CLOCK, D)), *BASE[:4], *PATHS),
            leaves=tuple(map(part_leaf, PATHS)),
            laws=tuple(law for gate in PATHS for law in part_laws(gate)),
            spaces=(CLOCK, CLOCK.summands[0], D),
            free=(CLOCK.index("w"), CLOCK.index("w2"), D.index("f"), D.index("f2")),
            steps=(split_composite, split_composite),
        ),
        *(
            Kind(name, tensors=(*BASE, *symbols(*names)), laws=laws(*FACTS[name]), spaces=(T, D, D))
            for name, names in (("isometry", "U"), ("projection", "P"), ("permutation", "Z"))
        ),
        Kind("inverse", tensors=(*BASE, MATRIX, INVERSE), laws=inverse_laws(), spaces=(T, D, D)),
        Kind("given definition", tensors=(*BASE, ta.tensor("C", T @ D)), given=laws(*DEFINED)),
        Kind("given rows", tensors=(*BASE, ta.tensor("H", T @ T)), given=laws(*ROWS)),
        Kind("given isometry", tensors=(*BASE, ta.tensor("V", K @ D)), given=laws(*FRAME), spaces=(T, D, K)),
        Kind("given commuting", tensors=(*BASE, MATRIX, ta.tensor("E", D @ D)), given=laws(*COMMUTE)),
        Kind("fixed size", laws=laws(*FIXED), sizes={"n": 2}),
    )
}


# making claims


def made(kind: Kind, key: str, depth: int = 2) -> Case:
    """Return the claim of a kind that belongs to a key: the same key makes the same claim."""
    random = Random(f"{kind.name} {key}")
    maker = Maker(random, kind.functions, kind.tensors, kind.spaces, kind.leaves)
    steps = list(kind.steps)
    if known := (*kind.laws, *kind.given):
        steps += [law_step(known)] * 4
    while True:
        legs = tuple(random.sample(kind.free, random.randint(0, min(3, len(kind.free)))))
        try:
            left = ta.define(legs, maker.term(list(legs), depth))
            right = rewrite(random, left, random.randint(1, 5), steps)
            meant_true = random.random() < 0.5
            case = Case(kind, left, right if meant_true else mutate(random, right), meant_true)
        except InvalidExpression:  # a division by the number 0, or a term nested too deeply
            continue
        if sum(1 for _ in walk(case.right)) <= 120 and (meant_true or case.right != right):
            return case


# judging verdicts
