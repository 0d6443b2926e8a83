"""Random well-typed expressions, random valid rewriting, and random one-spot mutations.

Everything is built by construction from a `random.Random`, so a failing case is its seed.
"""

from collections import Counter
from fractions import Fraction

import tensoralg as ta
from tensoralg.expr.nodes import (
    Add,
    Apply,
    Bind,
    Decay,
    Delta,
    Entry,
    Mask,
    Mul,
    Near,
    Number,
    Size,
    add,
    as_expr,
    bind,
    mul,
    negate,
    power,
    reciprocal,
)
from tensoralg.expr.rewrite import fresh, names_in, rename_apart, substitute, walk
from tensoralg.spaces import DirectSum, Fused, Index, Injected, TensorProduct

T = ta.Space("n", "n", ordered=True)  # called like their dimensions, as `ta.parse` calls them
D = ta.Space("d", "d")
TENSORS = [
    ta.tensor("x", T),
    ta.tensor("y", T),
    ta.tensor("u", D),
    ta.tensor("A", T @ T),
    ta.tensor("B", T @ T),
    ta.tensor("Q", T @ D),
    ta.tensor("K", T @ D),
    ta.tensor("M", D @ D),
    ta.tensor("S", T @ T, symmetric=True),
    ta.tensor("W", D @ D, antisymmetric=True),
    ta.tensor("c", ta.Unit),
]
FREE = (*T.indices("t s"), *D.indices("f"))


class Maker:
    """Builds random terms over given free indices.

    `tensors` may occur, sums run over `spaces` (one that is listed twice is chosen twice as often), and each of
    `leaves` makes a further kind of factor, or None, from the maker and the indices in scope.
    """

    def __init__(self, random, functions=False, tensors=TENSORS, spaces=(T, T, D), leaves=()):
        self.random, self.functions, self.counter = random, functions, 0
        self.tensors, self.spaces, self.leaves = tensors, spaces, leaves

    def fresh(self, space):
        self.counter += 1
        return Index(f"i{self.counter}", space)

    def pick(self, scope, space):
        """Return an index in scope, or one put together from indices in scope; None if there is none."""
        choices = [i for i in scope if i.space == space]
        if isinstance(space, TensorProduct):
            parts = [self.pick(scope, factor) for factor in space.factors]
            choices += [] if None in parts else [Fused(tuple(parts))]
        if isinstance(space, DirectSum):
            found = [(self.pick(scope, summand), k) for k, summand in enumerate(space.summands)]
            choices += [Injected(term, k, space) for term, k in found if term is not None]
        return self.random.choice(choices) if choices else None

    def leaf(self, scope):
        if self.leaves and self.random.random() < 0.3:
            made = self.random.choice(self.leaves)(self, scope)
            if made is not None:
                return made
        roll = self.random.random()
        if roll < 0.62:
            symbols = [t for t in self.tensors if all(reaches(scope, leg) for leg in t.legs)]
            symbol = self.random.choice(symbols)
            return Entry(symbol, tuple(self.pick(scope, leg) for leg in symbol.legs))
        times = alike(self.random, scope)
        if roll < 0.80 and len(times) > 1:
            return Mask(self.random.random() < 0.5, *self.random.sample(times, 2))
        if roll < 0.90 and scope:
            space = self.random.choice([i.space for i in scope])
            return Delta(self.pick(scope, space), self.pick(scope, space))
        if roll < 0.95:
            return Size(self.random.choice(["n", "d"]))
        return as_expr(Fraction(self.random.choice([-3, -2, -1, 2, 3]), self.random.choice([1, 1, 2])))

    def term(self, scope, depth):
        roll = self.random.random()
        if depth == 0:
            return self.leaf(scope)
        if self.functions and self.random.random() < 0.35:
            inside = self.term(scope, depth - 1)
            return ta.exp(inside) if self.random.random() < 0.6 else reciprocal(add(as_expr(1), ta.exp(inside)))
        if roll < 0.40:
            return mul(*(self.term(scope, depth - 1) for _ in range(self.random.randint(2, 3))))
        if roll < 0.60:
            return add(*(self.term(scope, depth - 1) for _ in range(2)))
        if roll < 0.88:
            inner = tuple(self.fresh(self.random.choice(self.spaces)) for _ in range(self.random.randint(1, 2)))
            return bind(inner, mul(*(self.term([*scope, *inner], depth - 1) for _ in range(2))))
        return power(self.leaf(scope), 2) if roll < 0.92 else self.leaf(scope)


def reaches(scope, space):
    """Whether indices in scope can address a leg over the space."""
    if any(i.space == space for i in scope):
        return True
    if isinstance(space, TensorProduct):
        return all(reaches(scope, factor) for factor in space.factors)
    return isinstance(space, DirectSum) and any(reaches(scope, summand) for summand in space.summands)


def alike(random, scope):
    """Return the indices in scope over one ordered space, one with two of them if there is one."""
    found = {}
    for index in scope:
        if index.space.ordered:
            found.setdefault(index.space, []).append(index)
    pairs = [indices for indices in found.values() if len(indices) > 1]
    return pairs[0] if len(pairs) == 1 else random.choice(pairs) if pairs else []


def claim(random, functions=False, depth=2):
    """Return a random definition with up to two free indices."""
    legs = FREE[: random.randint(0, 2)] if random.random() < 0.7 else (FREE[0], FREE[2])
    return ta.define(legs, Maker(random, functions).term(list(legs), depth))


def kinds(expr):
    """Count the node types of an expression."""
    return Counter(node.kind for node in walk(expr))


# valid rewriting


def rewrite(random, expr, steps, more=()):
    """Return an expression that is equal by construction: random valid steps at random places."""
    known = [*STEPS, *more]
    for _ in range(steps):
        expr = at_random_place(
            random, expr, lambda node, scope: known[random.randrange(len(known))](random, node, scope)
        )
    return expr


def at_random_place(random, expr, change, scope=()):
    """Apply a change at one random subterm; `change(node, indices in scope)` returns the new subterm."""
    if isinstance(expr, ta.Definition):
        body = at_random_place(random, expr.body, change, expr.legs)
        return ta.Definition(expr.legs, rename_apart(body, set(expr.free)), expr.name)
    children = expr.children()
    if not children or random.random() < 0.35:
        return change(expr, scope)
    k = random.randrange(len(children))
    inner = (*scope, *expr.indices) if isinstance(expr, Bind) else scope
    changed = at_random_place(random, children[k], change, inner)
    new = (*children[:k], changed, *children[k + 1 :])
    return bind(expr.indices, new[0]) if isinstance(expr, Bind) else expr.with_children(new)


def _shuffled(random, items):
    return random.sample(list(items), len(items))


def shuffle(random, node, scope):
    if isinstance(node, Mul):
        return mul(*_shuffled(random, node.factors))
    if isinstance(node, Add):
        return add(*_shuffled(random, node.terms))
    return Bind(tuple(_shuffled(random, node.indices)), node.summand) if isinstance(node, Bind) else node


def rename(random, node, scope):
    if not isinstance(node, Bind):
        return node
    taken = names_in(node) | {i.name for i in scope}
    old = random.choice(node.indices)
    new = Index(fresh("r", taken), old.space)
    return Bind(tuple(new if i == old else i for i in node.indices), substitute(node.summand, {old: new}))


def distribute(random, node, scope):
    if isinstance(node, Mul):
        sums = [f for f in node.factors if isinstance(f, Add)]
        if sums:
            chosen = random.choice(sums)
            rest = list(node.factors)
            rest.remove(chosen)
            return add(*(mul(*rest, term) for term in chosen.terms))
    if isinstance(node, Bind) and isinstance(node.summand, Add):
        return add(*(bind(node.indices, term) for term in node.summand.terms))
    return node


def factor_out(random, node, scope):
    if isinstance(node, Bind) and isinstance(node.summand, Mul):
        inside = [f for f in node.summand.factors if set(f.free_indices) & set(node.indices)]
        outside = [f for f in node.summand.factors if f not in inside]
        if outside and inside:
            return mul(*outside, bind(node.indices, mul(*inside)))
    return node


def split_mask(random, node, scope):
    if isinstance(node, Mask):
        if not node.strict:
            return add(Mask(True, node.left, node.right), Delta(node.left, node.right))
        return add(as_expr(1), negate(Mask(False, node.right, node.left)))
    times = alike(random, scope)
    if len(times) < 2:
        return node
    a, b = random.sample(times, 2)
    return add(mul(Mask(False, a, b), node), mul(Mask(True, b, a), node))


def insert_delta(random, node, scope):
    if node.kind in ("entry", "decay", "near") and node.index_terms():
        terms = node.index_terms()
        k = random.randrange(len(terms))
        new = Index(fresh("j", names_in(node) | {i.name for i in scope}), terms[k].space)
        inside = node.with_index_terms((*terms[:k], new, *terms[k + 1 :]))
        return bind((new,), mul(Delta(terms[k], new), inside))
    return node


def merge_sums(random, node, scope):
    if isinstance(node, Bind):
        if isinstance(node.summand, Bind):
            return Bind((*node.indices, *node.summand.indices), node.summand.summand)
        if len(node.indices) > 1:
            return Bind(node.indices[:1], Bind(node.indices[1:], node.summand))
    return node


def add_zero(random, node, scope):
    other = Maker(random).leaf(list(scope)) if scope else Number(Fraction(2))
    return add(node, other, negate(other))


def insert_ones(random, node, scope):
    new = Index(fresh("k", names_in(node) | {i.name for i in scope}), random.choice([T, D]))
    return mul(node, bind((new,), as_expr(1)), reciprocal(Size(new.space.dimension.name)))


def swap_legs(random, node, scope):
    if isinstance(node, Entry) and (groups := [*node.tensor.symmetric, *node.tensor.antisymmetric]):
        group = groups[0] if len(groups) == 1 else random.choice(groups)
        first, second = group if len(group) == 2 else random.sample(group, 2)
        args = list(node.args)
        args[first], args[second] = args[second], args[first]
        swapped = Entry(node.tensor, tuple(args))
        return negate(swapped) if group in node.tensor.antisymmetric else swapped
    return node


def split_exponential(random, node, scope):
    if isinstance(node, Apply) and node.function == "exp":
        if isinstance(node.argument, Add):
            return mul(*(ta.exp(term) for term in node.argument.terms))
        other = Maker(random).leaf(list(scope)) if scope else Number(Fraction(2))
        return mul(ta.exp(add(node.argument, other)), reciprocal(ta.exp(other)))
    return node


STEPS = [
    shuffle,
    rename,
    distribute,
    factor_out,
    split_mask,
    insert_delta,
    merge_sums,
    add_zero,
    insert_ones,
    swap_legs,
    split_exponential,
]


# one-spot mutations


def mutate(random, expr):
    """Return an expression changed in one spot: an index, a coefficient, a mask or a transpose."""
    for _ in range(50):
        changed = at_random_place(random, expr, lambda node, scope: _mutated(random, node, scope))
        if changed != expr:
            return changed
    return expr


def _mutated(random, node, scope):
    if isinstance(node, Entry | Decay) and node.index_terms():
        terms = node.index_terms()
        if len(terms) == 2 and terms[0].space == terms[1].space and random.random() < 0.3:
            return node.with_index_terms(terms[::-1])
        k = random.randrange(len(terms))
        others = [i for i in scope if i.space == terms[k].space and i != terms[k]]
        if others:
            return node.with_index_terms((*terms[:k], random.choice(others), *terms[k + 1 :]))
    if isinstance(node, Near):
        return Near(node.left, node.right, add(node.width, as_expr(1)))
    if isinstance(node, Mask):
        if random.random() < 0.5:
            return Mask(not node.strict, node.left, node.right)
        return Mask(node.strict, node.right, node.left)
    if isinstance(node, Delta) and node.left != node.right:
        return as_expr(1)
    if isinstance(node, Number):
        return as_expr(node.value + 1)
    if isinstance(node, Mul | Add) and random.random() < 0.3:
        return node.with_children(node.children()[1:])
    return node


def random_tensors(random, definition, sizes, largest=3):
    """Return nested lists of small integers for the tensors of a definition, satisfying declared facts."""
    found = {}
    for symbol in {n.tensor.name: n.tensor for n in walk(definition) if isinstance(n, Entry)}.values():
        shape = [sizes[leg.dimension.name] for leg in symbol.legs]
        if len(shape) == 2:
            rows = [[random.randint(-largest, largest) for _ in range(shape[1])] for _ in range(shape[0])]
            if symbol.symmetric or symbol.antisymmetric:
                sign = -1 if symbol.antisymmetric else 1
                rows = [
                    [
                        rows[i][j] if i < j else sign * rows[j][i] if j < i else (0 if sign < 0 else rows[i][i])
                        for j in range(shape[1])
                    ]
                    for i in range(shape[0])
                ]
            found[symbol.name] = rows
        elif len(shape) == 1:
            found[symbol.name] = [random.randint(-largest, largest) for _ in range(shape[0])]
        else:
            found[symbol.name] = random.randint(-largest, largest)
    return found
