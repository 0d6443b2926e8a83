"""Completion: equations become rules, and overlaps of rules become equations again, within bounds.

Where the patterns of two rules share factors, the network that contains both can be rewritten in two ways, and what
these differ by is an equation that follows (D. E. Knuth & P. B. Bendix, *Simple word problems in universal
algebras*, 1970, here for networks).  From ``X (1 + R S) = 1`` and ``(1 + S R) Y = 1`` comes ``R Y = X R``.  Nothing
here has to be complete: a rule that is missing leaves a claim undecided, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any, NamedTuple

from tensoralg.errors import BudgetExceeded, Undecided
from tensoralg.normal.matching import all_leaves, label
from tensoralg.normal.rules import (
    Equation,
    Rewriting,
    Rule,
    Use,
    factor_count,
    open_variables,
    scaled_uses,
    unsized,
    use_variables,
    weight,
)
from tensoralg.normal.terms import (
    Atom,
    Term,
    atom_values,
    is_fixed,
    mono_variables,
    moved,
    renamed_atom,
    shape,
    variables,
)

MOST_COMPLETED, MOST_RULES = 16, 32  # rules given, and rules in the end
MOST_OVERLAPS = 200
LARGEST_PATTERN, MOST_MONOMIALS, MOST_MEMBERS = 6, 6, 60
WORK = 4_000  # terms, of which the expansion of a claim is not charged
PATTERN_KINDS = "tmDGF"


class Overlap(NamedTuple):
    """Two matches in one network: what the variables of each pattern become, and what is outside it."""

    first: dict[Any, Any]
    beside_first: Term
    second: dict[Any, Any]
    beside_second: Term


class Completion(Rewriting):
    """Makes rules of equations, and rules of overlaps of rules."""

    def make_rules(self) -> None:
        """Make rules of all equations of the theory, and of what follows from them."""
        left, self.budget = self.budget, WORK
        try:
            for equation in self.theory.equations:
                self._add(equation)
            self._complete()
        except (Undecided, BudgetExceeded):
            pass  # fewer rules
        finally:
            self.budget = left

    def _add(self, equation: Equation) -> None:
        """Orient an equation; one whose sides are equal by the rules so far says nothing new."""
        prefix = ".".join(map(str, equation.name))  # variables of their own for every equation
        idle = False
        try:
            for values, _ in self.ranges([(f"?{prefix}.{name}", space) for name, space in equation.scope]):
                env = dict(zip((name for name, _ in equation.scope), values, strict=True))
                sides = self.expand(equation.lhs, env) + [t.copy(-1) for t in self.expand(equation.rhs, env)]
                flat = [done for t in sides for done in self.eliminate(t)]
                reduced, uses = self.journaled(flat)
                members = [Use(equation, values, Term()), *scaled_uses(uses, -1)]
                idle |= not self._orient(reduced, members)
        except (Undecided, BudgetExceeded):
            idle = True
        if idle:
            self.theory.idle.append(equation)

    def table(self, terms: Sequence[Term]) -> dict[Any, Any]:
        """Return terms collected, their order not refined."""
        table: dict[Any, Any] = {}
        for term in terms:
            mono, sign = self.canonical(term)
            table[mono] = table.get(mono, 0) + sign * term.coefficient
        return {mono: c for mono, c in table.items() if c}

    def _orient(self, terms: Sequence[Term], members: Sequence[Use]) -> bool:
        """Make a rule of terms that vanish, being the sum of `members`; return whether that could be done."""
        table = self.table(terms)
        if not table:
            return True
        if self._contradicts(terms, members):
            return True
        top = max(map(factor_count, table))
        able = [mono for mono in table if factor_count(mono) == top and is_pattern(mono)]
        if not able:
            return False
        largest = max(able, key=lambda mono: (len({*mono_variables(mono)}), weight(mono)))  # loses fewest variables
        inverse = Term(Fraction(1) / table.pop(largest))
        core = self.thaw(largest)
        for atom, power in largest[0]:
            if atom[0] == "s":  # sizes are at least 1
                core.times(atom, -power)
                inverse.times(atom, -power)
        if any(unsized(mono) == unsized(largest) for mono in table):
            return False
        rest = [self.product([[self.thaw(mono, -c)], [inverse]])[0] for mono, c in table.items()]
        uses = [Use(m.equation, m.values, self.product([[m.context.copy()], [inverse]])[0]) for m in members]
        found = set(open_variables([core]))
        lost = [v for v in dict.fromkeys([*open_variables(rest), *use_variables(uses)]) if v not in found]
        varied, varied_uses = rest, uses
        rest, uses = self._averaged(rest, uses, lost)
        rule = self._frozen(core, rest, uses, all(factor_count(self.table([t]).popitem()[0]) < top for t in rest))
        self.theory.rules.append(rule)
        if len(rest) == 1 and not rule.descends and set(open_variables(rest)) == found:
            back = self._reversed(rule)
            self.theory.turns += [rule, back] if back else []
        if set(lost) & set(open_variables(varied)):  # the rest is constant in what the pattern lacks
            self._orient([*varied, *(t.copy(-1) for t in rest)], [*uses, *scaled_uses(varied_uses, -1)])
        return True

    def _contradicts(self, terms: Sequence[Term], members: Sequence[Use]) -> bool:
        """Whether terms that vanish are a number or sizes only; deltas and masks are tried on their diagonal."""
        if any(atom[0] not in "sdmn" for term in terms for atom in term.powers):
            return False
        first: dict[str, Any] = {}
        to = {v: first.setdefault(self.space_of[v], v) for v in open_variables(terms)}
        table = self.table([done for t in terms for done in self.eliminate(self._diagonal(t, to))])
        if not table or any(atom[0] != "s" for mono in table for atom, _ in mono[0]):
            return False
        if not self.theory.contradiction:
            self.theory.contradiction = tuple(dict.fromkeys(m.equation for m in members))
            self.theory.relation = tuple(table.items())
        return True

    def _diagonal(self, term: Term, to: dict[Any, Any]) -> Term:
        result = Term(term.coefficient, {}, dict(term.bound))
        for atom, power in term.powers.items():
            image = renamed_atom(atom, to)
            if image[0] in "dmn" and image[-1] == image[-2]:
                result.coefficient *= image[0] == "d" or (image[0] == "m" and not image[1])
            else:
                result.times(image, power)
        return result

    def _averaged(self, rest: Sequence[Term], uses: Sequence[Use], lost: Sequence[Any]) -> tuple[list[Term], list[Use]]:
        """Return both sides averaged over variables that the pattern lacks, so it holds for all of their values."""
        for v in lost:
            space = self.space_of[v]
            share = self.extent(space)
            share = Term(1 / share.coefficient, {atom: -power for atom, power in share.powers.items()})

            def over(term: Term, v: Any = v, space: str = space, share: Term = share) -> Term:
                result = self.product([[term.copy()], [share]])[0]
                result.bound[v] = space
                return result

            rest = [over(t) if v in set(open_variables([t])) else t for t in rest]
            uses = [Use(use.equation, use.values, over(use.context)) for use in uses]
        return list(rest), list(uses)

    def _frozen(self, pattern: Term, rest: Sequence[Term], uses: Sequence[Use], descends: bool) -> Rule:
        """Return a rule whose bound variables have names that no term uses, so that all normalisers share it."""

        def own(term: Term) -> tuple[Term, dict[Any, Any]]:
            names = {}
            for v, space in term.bound.items():
                names[v] = f"?{len(self.theory.spaces)}"
                self.theory.spaces[names[v]] = self.space_of[names[v]] = space
            result = Term(term.coefficient, {}, {names[v]: space for v, space in term.bound.items()})
            for atom, power in term.powers.items():
                result.times(renamed_atom(atom, names), power)
            return result, names

        members = []
        for use in uses:
            context, names = own(use.context)
            members.append(Use(use.equation, tuple(moved(v, names) for v in use.values), context))
        for v in [*open_variables([pattern]), *use_variables(members)]:
            self.theory.spaces[v] = self.space_of[v]
        return Rule(own(pattern)[0], tuple(own(t)[0] for t in rest), tuple(members), descends)

    def _reversed(self, rule: Rule) -> Rule | None:
        """Return a rule from one monomial to one other in the other direction."""
        (result,) = rule.result
        sizes = {atom: -power for atom, power in result.powers.items() if atom[0] == "s"}
        inverse = Term(1 / result.coefficient, sizes)
        core = result.copy(1 / result.coefficient).without(*sizes)
        if not is_pattern((tuple(core.powers.items()), (), ())):
            return None
        back = self.product([[rule.pattern.copy()], [inverse]])[0]
        members = [Use(m.equation, m.values, self.product([[m.context.copy(-1)], [inverse]])[0]) for m in rule.members]
        return Rule(core, (back,), tuple(members), False)

    # overlaps

    def _complete(self) -> None:
        """Make rules of overlaps, those in small networks first."""
        rules = self.theory.rules
        if len(rules) > MOST_COMPLETED:
            return
        queue: list[tuple[int, int, Rule, Rule, Overlap]] = []
        paired = tried = 0
        while True:
            for second in rules[paired:]:
                for first in rules[: rules.index(second) + 1]:
                    for overlap in self._overlaps(first.pattern, second.pattern):
                        size = sum(first.pattern.powers.values()) + sum(overlap.beside_first.powers.values())
                        if tried < MOST_OVERLAPS:
                            heappush(queue, (size, tried, first, second, overlap))
                            tried += 1
            paired = len(rules)
            if not queue or len(rules) >= MOST_RULES or self.theory.contradiction:
                return
            _, _, first, second, overlap = heappop(queue)
            if first in rules and second in rules:
                self._derive(first, second, overlap)
                paired -= self._simplify(paired)

    def _simplify(self, known: int) -> int:
        """Remove the rules whose pattern a later one rewrites, adding what is left of them; return how many."""
        rules = self.theory.rules
        gone = 0
        for new in rules[known:]:
            for old in rules[:known]:
                if new in rules and old in rules and any(self.matches(new.pattern, old.pattern)):
                    rules.remove(old)
                    gone += 1
                    if old in self.theory.turns:
                        place = self.theory.turns.index(old)
                        del self.theory.turns[place : place + 2]
                    terms = [old.pattern, *(t.copy(-1) for t in old.result)]
                    reduced, uses = self.journaled(terms)
                    self._orient(reduced, [*old.members, *scaled_uses(uses, -1)])
        return gone

    def _derive(self, first: Rule, second: Rule, overlap: Overlap) -> None:
        """Rewrite a network by each of two rules, and make a rule of the difference."""
        try:
            uses, left = self.applied(first, overlap.first, overlap.beside_first)
            more, right = self.applied(second, overlap.second, overlap.beside_second.copy(-1))
            reduced, rest = self.journaled([*left, *right])
            members = scaled_uses([*uses, *more, *rest], -1)
            table = self.table(reduced)
            size = max((sum(abs(e) for _, e in mono[0]) for mono in table), default=0)
            if len(table) <= MOST_MONOMIALS and size <= LARGEST_PATTERN and len(members) <= MOST_MEMBERS:
                self._orient([self.thaw(mono, c) for mono, c in table.items()], members)
        except Undecided:
            pass

    def _overlaps(self, first: Term, second: Term) -> Iterator[Overlap]:
        """Yield the most general networks in which two patterns share factors."""
        ours, theirs = factors(first), factors(second)
        if ours is None or theirs is None:
            return
        yield from self._shared(first, second, ours, theirs, 0, {}, _Classes(), 1)

    def _shared(
        self,
        first: Term,
        second: Term,
        ours: list[Atom],
        theirs: list[Atom],
        place: int,
        shared: dict[int, int],
        classes: _Classes,
        sign: int,
    ) -> Iterator[Overlap]:
        if place == len(ours):
            found = self._network(first, second, ours, theirs, shared, classes, sign) if shared else None
            if found is not None:
                yield found
            return
        for k, candidate in enumerate(theirs):
            if k in shared.values() or label(candidate) != label(ours[place]):
                continue
            for flip, values in self.arrangements(candidate):
                merged = classes.unified(atom_values(ours[place]), values)
                if merged is not None:
                    chosen = {**shared, place: k}
                    yield from self._shared(first, second, ours, theirs, place + 1, chosen, merged, sign * flip)
        yield from self._shared(first, second, ours, theirs, place + 1, shared, classes, sign)

    def _network(
        self,
        first: Term,
        second: Term,
        ours: list[Atom],
        theirs: list[Atom],
        shared: dict[int, int],
        classes: _Classes,
        sign: int,
    ) -> Overlap | None:
        """Return two patterns glued along shared factors; None if a bound variable of one is open to the rest."""
        only_ours = [atom for k, atom in enumerate(ours) if k not in shared]
        only_theirs = [atom for k, atom in enumerate(theirs) if k not in shared.values()]
        beyond = [
            {(1, v) for atom in only_theirs for v in variables(atom)},
            {(0, v) for atom in only_ours for v in variables(atom)},
        ]
        patterns = (first, second)
        nodes = [(side, v) for side, atoms in enumerate((ours, theirs)) for a in atoms for v in variables(a)]
        images: dict[Any, Any] = {}
        bound: dict[Any, str] = {}
        names: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
        for root, group in classes.groups(nodes).items():
            fixed = [v for _, v in [root, *group] if is_fixed(v)]
            hidden = [(side, v) for side, v in group if v in patterns[side].bound]
            spaces = {self.atomic(v) for _, v in group} | {self.atomic(v) for v in fixed}
            if len(spaces) > 1 or len(set(fixed)) > 1 or (fixed and hidden):
                return None
            for side, _ in hidden:
                if sum(s == side for s, _ in group) > 1 or any(node in beyond[side] for node in group):
                    return None
            (space,) = spaces
            image = fixed[0] if fixed else self.fresh(space)
            if hidden:
                bound[image] = space
            elif not fixed:
                image, free = f"?o{image}", image
                self.space_of[image] = self.space_of[free]
            images[root] = image
            for side, v in group:
                names[side][v] = image
        beside = []
        for side, atoms, factor in ((0, only_theirs, 1), (1, only_ours, sign)):
            gone = {names[side][v] for v in patterns[side].bound}
            term = Term(Fraction(factor), {}, {v: s for v, s in bound.items() if v not in gone})
            for atom in atoms:
                term.times(renamed_atom(atom, names[1 - side]))
            beside.append(term)
        return Overlap(names[0], beside[0], names[1], beside[1])


class _Classes:
    """Which variables of two patterns are one; a node is (side, variable), a basis vector is on no side."""

    def __init__(self, parent: dict[Any, Any] | None = None) -> None:
        self.parent = parent or {}

    def root(self, node: Any) -> Any:
        while node in self.parent:
            node = self.parent[node]
        return node

    def unified(self, left: Sequence[Any], right: Sequence[Any]) -> _Classes | None:
        """Return the classes after the values of two factors are made equal."""
        merged = _Classes(dict(self.parent))
        for a, b in zip(left, right, strict=True):
            if shape(a) != shape(b):
                return None
            for x, y in zip(all_leaves(a), all_leaves(b), strict=True):
                if x in ("+", "-") or y in ("+", "-"):
                    if x != y:
                        return None
                    continue
                one, two = (merged.root((2 if is_fixed(v) else side, v)) for side, v in ((0, x), (1, y)))
                if one == two:
                    continue
                if one[0] == 2 and two[0] == 2:
                    return None
                if one[0] == 2:
                    one, two = two, one
                merged.parent[one] = two
        return merged

    def groups(self, nodes: Sequence[Any]) -> dict[Any, list[Any]]:
        """Return the nodes by their class."""
        found: dict[Any, list[Any]] = {}
        for node in dict.fromkeys(nodes):
            found.setdefault(self.root(node), []).append(node)
        return found


def factors(pattern: Term) -> list[Atom] | None:
    """Return the factors of a pattern, each as often as it occurs; None if there are too many."""
    count = sum(pattern.powers.values())
    return [a for a, power in pattern.powers.items() for _ in range(power)] if count <= LARGEST_PATTERN else None


def is_pattern(mono: Any) -> bool:
    """Whether a monomial can be searched for in others."""
    inside = [(atom, power) for atom, power in mono[0] if atom[0] != "s"]
    whole = all(isinstance(power, int) and power > 0 and atom[0] in PATTERN_KINDS for atom, power in inside)
    return whole and any(atom[0] != "m" for atom, _ in inside)
