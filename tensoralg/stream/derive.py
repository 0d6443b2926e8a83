"""From a masked definition to a system of states.

The value at time t is a term over sums of past times.  Each such sum is multiplied out into monomials, whose times
are made a forest under t (see `tensoralg.stream.forest`).  What hangs below an edge of a tree is a state: the prefix
sum, over the lower end of the edge, of the factors at that time and the states below it.  Its legs are the features
that factors on both sides of the edge mention.  A decay over several edges is one on each; a function of a prefix sum
at one time is a factor at that time, so that a state may be made of others in any way.

*Choice.*  A factor that sees no token may stand at any time of its monomial, which changes the legs.  The states with
the fewest numbers are chosen, then those with the fewest FLOPs for a token, or the other way; where sizes are symbols,
they are compared at equal sizes, large ones first, since no order of all polynomials is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import pairwise, permutations, product
from typing import Any

import sympy

from tensoralg.errors import NotStreamable
from tensoralg.expr.nodes import Bind, Decay, Definition, Delta, Entry, Expr, Mask, Near, add, as_expr, bind, mul
from tensoralg.expr.replace import replace_tensor
from tensoralg.expr.rewrite import fresh, substitute
from tensoralg.expr.tensor import Tensor
from tensoralg.plan import cost
from tensoralg.spaces import Index, IndexTerm, Space
from tensoralg.stream.canonical import Registry, canonical, collected, scaled
from tensoralg.stream.forest import Forest, forests
from tensoralg.stream.monomials import Expansion, runs
from tensoralg.stream.system import LEFT, RIGHT, Gate, State, System, at_token, reads
from tensoralg.stream.windows import Window, reach

LARGE = 2**16
MOST_PLACEMENTS = 256
MOST_RENAMED = 4
MINIMIZE = ("state", "flops")


@dataclass
class Node:
    """A time of a tree, with the factors that stand there."""

    time: Index
    factors: list[Expr] = field(default_factory=list)
    children: list[Edge] = field(default_factory=list)

    def below(self) -> Iterator[Node]:
        """Yield the node and all under it."""
        yield self
        for edge in self.children:
            yield from edge.node.below()


@dataclass
class Edge:
    """A lower time of a tree, how it lies under the upper one, and the decays between them."""

    node: Node
    strict: bool
    gates: list[Decay]
    width: Expr | None = None


class Derivation:
    """Derives a system; states that occur twice are made once.

    Parameters
    ----------
    clock : Space
        The space of times.
    taken : set of str
        Names of tensors and indices that are in use.
    minimize : "state" or "flops"
        What comes first where there is a choice.
    """

    def __init__(self, clock: Space, taken: set[str], minimize: str = "state") -> None:
        self.clock, self.minimize = clock, minimize
        self.reserved = {name.removeprefix(side) for name in taken for side in ("", LEFT, RIGHT)}
        self.taken = set(self.reserved)
        self.expansion = Expansion(clock, taken)
        self.states: list[State] = []
        self.known: Registry[State] = Registry()
        self.windows: list[Window] = []
        self.known_windows: Registry[Window] = Registry()

    def run(self, outputs: Sequence[Definition], time: Index) -> System:
        """Return the system of some definitions that have the leg `time`.

        Raises
        ------
        NotStreamable
            If a definition is not causal, or no separable form of it is found.
        """
        made = []
        for out in outputs:
            legs = tuple(time if leg.space == self.clock else leg for leg in out.legs)
            body = out[legs]
            made.append(Definition(legs, self.at(body, time), out.name))
        return System(time, tuple(self.states), tuple(made), tuple(self.windows)).tidy(self.reserved)

    def at(self, expr: Expr, now: Index) -> Expr:
        """Return a term at one time, its sums over time replaced by entries of states at that time."""
        if not self.expansion.sums_time(expr):
            return expr
        if isinstance(expr, Bind):
            if any(index.space == self.clock for index in expr.indices):
                return self.window(expr, now) or self.total([expr], now)
            return bind(expr.indices, self.at(expr.summand, now))
        if expr.kind == "add":
            terms = [self.window(term, now) or term for term in expr.children()]
            sums = [term for term in terms if self.expansion.sums_time(term)]
            rest = [term for term in terms if not self.expansion.sums_time(term)]
            return add(*([self.total(sums, now)] if sums else []), *rest)
        return expr.with_children(tuple(self.at(child, now) for child in expr.children()))

    def window(self, expr: Expr, now: Index) -> Expr | None:
        """Return the entry of a sum over the last tokens; None if it is none."""
        over_time = isinstance(expr, Bind) and any(index.space == self.clock for index in expr.indices)
        distance = reach(expr, now) if over_time else None
        if distance is None:
            return None
        legs = tuple(index for index in expr._free if index.space != self.clock)

        def key(ordered: Sequence[Index]) -> Definition:
            return canonical(expr, (now, *ordered))

        found = self.known_windows.find(legs, key)
        if found is None:
            name = fresh("W1", self.taken)
            self.taken.add(name)
            found = Window(name, now, legs, expr, distance), tuple(range(len(legs)))
            self.windows.append(found[0])
            self.known_windows.add(found[0], legs, key)
        return found[0].tensor[(now, *(legs[k] for k in found[1]))]

    def total(self, terms: Iterable[Expr], now: Index) -> Expr:
        """Return a sum of terms at a time in entries of states."""
        parts = []
        for term in terms:
            for monomial in self.expansion.expand(term):
                parts += [self.tree(forest, now) for forest in forests(monomial, now)]
        return add(*self._joined(parts))

    def tree(self, forest: Forest, now: Index) -> Expr:
        """Return the value of a forest under a time, in entries of states."""
        factors, gates, links = self._decays(forest)
        nodes = {time: Node(time) for time in (now, *forest.monomial.times)}
        still: list[Expr] = []
        for factor in factors:
            seen = self.expansion.times(factor) or ((now,) if self.expansion.sums_time(factor) else ())
            if seen:
                nodes[seen[0]].factors.append(self.at(factor, seen[0]))
            else:
                still.append(factor)
        for time in forest.monomial.times:
            cover = forest.covers[time]
            nodes[cover.time].children.append(Edge(nodes[time], cover.strict, gates[time], cover.width))
        root, bound = nodes[now], (*forest.monomial.features, *links)
        return self._placed(root, list(nodes.values()), still, bound)

    def _decays(self, forest: Forest) -> tuple[list[Expr], dict[Index, list[Decay]], list[Index]]:
        """Return the other factors, the decays on the edge above each time, and the indices between matrices."""
        gates: dict[Index, list[Decay]] = {time: [] for time in forest.monomial.times}
        factors, links = [], []
        for factor in forest.monomial.factors:
            if not (isinstance(factor, Decay) and runs(factor, self.clock)):
                factors.append(factor)
                continue
            path = forest.path(*map(_index, reversed(factor.times)))
            if len(path) == 1 and len(factor.args) == 2:
                factors.append(Delta(*factor.args))
            below = factor.args[-1:]
            for k, (low, high) in enumerate(pairwise(path)):
                args: tuple[IndexTerm, ...] = factor.args
                if len(args) == 2:
                    top = args[0]
                    if k < len(path) - 2:
                        top = Index(fresh("g", self.expansion.taken), factor.args[0].space)
                        self.expansion.taken.add(top.name)
                        links.append(top)
                    args, below = (top, *below), (top,)
                gates[low].append(Decay(factor.tensor, high, low, args))
        return factors, gates, links

    # where factors that see no token stand

    def _placed(self, root: Node, nodes: list[Node], still: list[Expr], bound: tuple[Index, ...]) -> Expr:
        """Return the value of a tree, the factors without a time at the best places."""
        movable = [f for f in still if f._free]
        root.factors += [f for f in still if not f._free]
        # of equal ones the one that projects tokens before they are added up
        choices = list(product(range(len(nodes)), repeat=len(movable)))[::-1]
        if len(choices) > MOST_PLACEMENTS:
            choices = [(k,) * len(movable) for k in range(len(nodes))]
        trees = [Tree(_with(root, nodes, movable, choice), bound, self.clock) for choice in choices]
        return self._content(self._best(trees), None)

    def _best(self, trees: list[Tree]) -> Tree:
        if len(trees) == 1:
            return trees[0]
        sizes = [tree.numbers() for tree in trees]
        if self.minimize == "state":
            return min((t for t, size in zip(trees, sizes, strict=True) if size == min(sizes)), key=lambda t: t.work())
        return min(zip(trees, sizes, strict=True), key=lambda pair: (pair[0].work(), pair[1]))[0]

    # states

    def _content(self, tree: Tree, edge: Edge | None) -> Expr:
        """Return the product of what stands at the lower end of an edge (at the root: None), in entries of states."""
        node = tree.root if edge is None else edge.node
        body = mul(*node.factors, *(self._read(tree, child, node.time) for child in node.children))
        kept = tree.kept(edge)
        return bind(tuple(i for i in tree.bound if i in body._free and i not in kept), body)

    def _read(self, tree: Tree, edge: Edge, now: Index) -> Expr:
        """Return the entry of the state of an edge at the time above it; the state is made if there is none."""
        value = self._content(tree, edge)
        if edge.width is not None:
            return self._last(edge, value, now)
        crossing = tree.crossing(edge)
        legs, args, gates = list(crossing), list(crossing), []
        for gate in edge.gates:
            if len(gate.args) < 2:
                gates.append(Gate(gate.tensor, _index(gate.args[0]) if gate.args else None))
                continue
            outer, inner = map(_index, gate.args)
            row = Index(fresh(outer.name, self.expansion.taken), outer.space)
            self.expansion.taken.add(row.name)
            value = mul(value, Delta(row, inner)) if inner in crossing else substitute(value, {inner: row})
            legs.append(row)
            args.append(outer)
            gates.append(Gate(gate.tensor, row, matrix=True))
        state, order = self._known(State("", edge.node.time, tuple(legs), value, tuple(gates)))
        symbol = state.before if edge.strict else state.tensor
        return symbol[(now, *(args[k] for k in order))]

    def _last(self, edge: Edge, value: Expr, now: Index) -> Expr:
        """Return the entry of a sum over the last tokens that stands below a time of a masked sum."""
        for window in self.windows:
            value = replace_tensor(value, window.name, window.definition)
        time = edge.node.time
        strict = [Mask(True, time, now)] if edge.strict else []
        gates = [Decay(gate.tensor, now, time, gate.args) for gate in edge.gates]
        inner = tuple(_index(gate.args[1]) for gate in edge.gates if len(gate.args) == 2)
        body = bind((time, *inner), mul(Near(time, now, edge.width), *strict, *gates, value))
        entry = None if reads(value, self.states) else self.window(body, now)
        if entry is None:
            raise NotStreamable(
                f"the window near[{time},{now},{edge.width}] holds sums that are not in windows",
                remedy="keep all times below it to windows too",
            )
        return entry

    def _known(self, state: State) -> tuple[State, tuple[int, ...]]:
        """Return the state with a value, and which of the given legs each of its legs is."""
        found = self.known.find(state.legs, partial(_key, state))
        if found is not None:
            return found
        named = replace(state, name=self._name())
        self.states.append(named)
        self.known.add(named, named.legs, partial(_key, named))
        return named, tuple(range(len(state.legs)))

    def _name(self) -> str:
        name = fresh("S1", self.taken)
        self.taken.add(name)
        return name

    def _joined(self, parts: Iterable[Expr]) -> list[Expr]:
        """Return a sum in which terms that differ in one state alone read the sum of the two."""
        kept: list[Expr] = []
        for part in collected(parts):
            for k, other in enumerate(kept):
                joined = self._join(other, part, [*kept[:k], *kept[k + 1 :]])
                if joined is not None:
                    kept[k] = joined
                    break
            else:
                kept.append(part)
        return kept

    def _join(self, one: Expr, other: Expr, rest: list[Expr]) -> Expr | None:
        """Return the sum of two terms as one, if they differ in one state that occurs nowhere else; else None."""
        (amount, summed, mine), (more, bound, factors) = scaled(one), scaled(other)
        for yours in _renamings(bound, factors, summed):
            here, there = Counter(mine) - Counter(yours), Counter(yours) - Counter(mine)
            if here.total() == there.total() == 1:
                (old,), (new,) = here, there
                joined = self._sum(old, new, more / amount, rest)
                if joined is not None:
                    kept = (joined if factor == old else factor for factor in mine)
                    return bind(summed, mul(as_expr(amount), *kept))
        return None

    def _sum(self, one: Expr, other: Expr, amount: Fraction, rest: list[Expr]) -> Expr | None:
        """Return the sum of the entries of two states, the second times a number, as that of one in place of both.

        None if they do not behave alike, or something else reads one of them.
        """
        first, second = self._state_of(one), self._state_of(other)
        if first is None or second is None or first[0] is second[0] or first[1] != second[1]:
            return None
        (state, strict, (now, *args)), (gone, _, (then, *others)) = first, second
        if now != then or Counter(args) != Counter(others) or self._uses(state, rest) or self._uses(gone, rest):
            return None
        pool = list(zip(others, gone.legs, strict=True))
        legs = [pool.pop([read for read, _ in pool].index(arg))[1] for arg in args]
        if _dynamics(state, state.legs) != _dynamics(gone, legs):
            return None
        to: dict[Index, IndexTerm] = dict(zip((gone.time, *legs), (state.time, *state.legs), strict=True))
        value = state.value + mul(as_expr(amount), substitute(gone.value, to))
        self.states = [kept for kept in self.states if kept is not state and kept is not gone]
        self.known.forget(state, gone)
        made, order = self._known(replace(state, value=value))
        symbol = made.before if strict else made.tensor
        return symbol[(now, *(args[k] for k in order))]

    def _state_of(self, factor: Expr) -> tuple[State, bool, tuple[IndexTerm, ...]] | None:
        if isinstance(factor, Entry):
            for state in self.states:
                if factor.tensor in (state.tensor, state.before):
                    return state, factor.tensor == state.before, factor.args
        return None

    def _uses(self, state: State, terms: Iterable[Expr]) -> bool:
        """Whether a state occurs in other states or in some terms."""
        others = (other.value for other in self.states if other is not state)
        return any(reads(term, [state]) for term in (*others, *terms))


@dataclass(frozen=True)
class Tree:
    """The times of a monomial with their factors, and what is summed."""

    root: Node
    bound: tuple[Index, ...]
    clock: Space

    def features(self, terms: Iterable[Expr]) -> dict[Index, None]:
        """Return the free features of some terms, in order."""
        return dict.fromkeys(i for term in terms for i in term._free if i.space != self.clock)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """The edges of the tree."""
        return tuple(edge for node in self.root.below() for edge in node.children)

    def sides(self, edge: Edge) -> tuple[dict[Index, None], dict[Index, None]]:
        """Return the features that are mentioned below an edge and above it; what matrices on it act on is above."""
        under = {id(node) for node in edge.node.below()}
        below: list[Expr] = []
        above: list[Expr] = []
        for node in self.root.below():
            side = below if id(node) in under else above
            side += node.factors
            for other in node.children:
                if other is not edge:
                    side += other.gates
        outer = (_index(gate.args[0]) for gate in edge.gates if gate.args)
        return self.features(below), {**self.features(above), **dict.fromkeys(outer)}

    def crossing(self, edge: Edge) -> tuple[Index, ...]:
        """Return the features that stay open on an edge."""
        below, above = self.sides(edge)
        channels = {_index(gate.args[0]) for gate in edge.gates if len(gate.args) == 1}
        found = [i for i in below if i in above or i not in self.bound or i in channels]
        inner = [_index(gate.args[1]) for gate in edge.gates if len(gate.args) == 2]
        twice = [i for i in inner if i in above or i not in self.bound or inner.count(i) > 1]
        return tuple(dict.fromkeys([*found, *sorted(channels, key=str), *twice]))

    def kept(self, edge: Edge | None) -> set[Index]:
        """Return the features that are not summed at the lower end of an edge."""
        if edge is None:
            return set()
        return {*self.crossing(edge), *(_index(gate.args[1]) for gate in edge.gates if len(gate.args) == 2)}

    def shape(self, edge: Edge) -> list[Any]:
        """Return the dimensions of the state of an edge."""
        rows = [gate.args[0].space.dimension for gate in edge.gates if len(gate.args) == 2]
        return [*(i.space.dimension for i in self.crossing(edge)), *rows]

    def numbers(self) -> int:
        """Return how many numbers the states have, at large sizes."""
        return sum(at_large(sympy.Mul(*self.shape(edge))) for edge in self.edges)

    def work(self) -> int:
        """Return the FLOPs of the values for one token, at large sizes."""
        total = 0
        above: dict[int, Edge | None] = {id(edge.node): edge for edge in self.edges}
        for node in self.root.below():
            stand_ins = []
            for k, edge in enumerate(node.children):
                legs = self.crossing(edge)
                stand_ins.append(Tensor(f"state.{k}", tuple(leg.space for leg in legs))[legs])
            whole = mul(*node.factors, *stand_ins)
            body = at_token(Definition(whole._free, whole), self.clock).body
            kept = self.kept(above.get(id(node)))
            summed = tuple(i for i in self.bound if i in body._free and i not in kept)
            total += at_large(cost(bind(summed, body)).flops)
        return total


def _with(root: Node, nodes: list[Node], movable: list[Expr], choice: Sequence[int]) -> Node:
    """Return a tree with factors added at chosen nodes."""
    extra: dict[Index, list[Expr]] = {}
    for factor, place in zip(movable, choice, strict=True):
        extra.setdefault(nodes[place].time, []).append(factor)

    def copied(node: Node) -> Node:
        children = [replace(edge, node=copied(edge.node)) for edge in node.children]
        return Node(node.time, [*node.factors, *extra.get(node.time, [])], children)

    return copied(root)


def at_large(amount: Any) -> int:
    """Return a polynomial in sizes at equal large sizes."""
    exact = sympy.sympify(str(amount))
    return int(exact.subs(dict.fromkeys(exact.free_symbols, LARGE)))


def _index(term: IndexTerm) -> Index:
    if isinstance(term, Index):
        return term
    raise NotStreamable(f"the channel {term} of a decay is composed of parts", remedy="use one index for it")


def _renamings(
    bound: tuple[Index, ...], factors: Iterable[Expr], summed: tuple[Index, ...]
) -> Iterator[tuple[Expr, ...]]:
    """Yield factors with their summed indices renamed to given ones, in every way that fits."""
    for order in permutations(summed) if len(summed) == len(bound) <= MOST_RENAMED else ():
        if all(old.space == new.space for old, new in zip(bound, order, strict=True)):
            to: dict[Index, IndexTerm] = {o: n for o, n in zip(bound, order, strict=True) if o != n}
            yield tuple(substitute(factor, to) for factor in factors)


def _dynamics(state: State, legs: Sequence[Index]) -> Any:
    """Return what happens to a state between tokens, its legs counted in an order."""
    gates = [(gate.tensor, legs.index(gate.leg) if gate.leg else None, gate.matrix) for gate in state.gates]
    return tuple(leg.space for leg in legs), tuple(sorted(gates, key=str))


def _key(state: State, legs: Sequence[Index]) -> Any:
    """Return what two states have in common that are the same, their legs taken in an order."""
    return canonical(state.value, [state.time, *legs]), _dynamics(state, legs)
