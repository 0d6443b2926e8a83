"""Recording: what a normalisation does at its outermost level, as uses of the rules of the checker.

A use is ``(bound, context, exponent, rule)``: the context, summed over its bound indices, times the difference of the
two sides of the rule, each to the exponent, is what the step adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tensoralg.errors import Undecided
from tensoralg.normal import Normaliser
from tensoralg.normal.functions import Step, arrangement, primes
from tensoralg.normal.order import masked
from tensoralg.normal.rules import Use
from tensoralg.normal.terms import ONE, Atom, Form, Known, Term, mono_variables, renamed_atom, scaled, variables
from tensoralg.proof import checker, steps
from tensoralg.proof.decide import Engine
from tensoralg.proof.writer import Writer

if TYPE_CHECKING:
    from tensoralg.proof.certify import Proofs


class Recorder(Normaliser):
    """A normaliser that notes the steps of its outermost level."""

    def __init__(self, engine: Engine, spaces: Mapping[str, Any], proofs: Proofs) -> None:
        self.depth = 1 << 20  # what happens while the rules are made is no step of a proof
        setting = replace(engine.setting, definitions={})  # what is defined is opened step by step
        super().__init__(setting, engine.budget, equations=engine.equations)
        self.space_of.update(spaces)
        self.depth, self.proofs = 0, proofs
        self.writer = Writer(proofs.prefix())
        self.uses: list[Any] = []

    def normal(self, terms: Sequence[Term], known: Known | None = None) -> Form:
        self.depth += 1
        try:
            return super().normal(terms, known)
        finally:
            self.depth -= 1

    # uses

    def use(self, context: Term, rule: Any, exponent: int = 1) -> None:
        """Note a use: the context is multiplied by the difference of the sides of the rule."""
        scope = tuple((self.writer.name(v), space) for v, space in context.bound.items())
        self.uses.append((scope, self.writer.product(context, {}), exponent, rule))

    def prove(self, node: Any) -> Any:
        """Return a proof that a term vanishes, as uses."""
        return self.proofs.uses(node, {self.writer.name(v): space for v, space in self.space_of.items()})

    def named(self, name: str) -> Any:
        """Return the variable of a name."""
        start = self.writer.prefix
        return int(name[len(start) :]) if name.startswith(start) and name not in self.space_of else name

    def show(self, form: Form) -> Any:
        return self.writer.form(form, {})

    def where(self, term: Term, known: Known, seen: set[Any]) -> Any:
        """Return the indicator of an order of open variables, and of those that are known to differ."""
        masks = masked(Term(chains={s: tuple((v,) for v in vs) for s, vs in known.items()}))
        for atom in term.powers:
            if atom[0] == "n" and set(atom[1:]) <= seen:
                masks.times(atom)
        return self.writer.product(masks, {})

    def note(self, use: Use) -> None:
        if self.depth == 1:
            values = tuple(self.writer.index(v, {}) for v in use.values)
            self.use(use.context, (*use.equation.name, values))
            self._open_within(use)

    def _resolved(self, term: Term, atom: Atom, power: Any) -> list[Term]:
        if self.depth != 1:
            return super()._resolved(term, atom, power)
        known, form = self.argument(term, atom)
        if any(a[0] == "d" for mono, _ in form for a, _ in mono[0]):
            return super()._resolved(term, atom, power)
        context = masked(term.without(atom))
        argument = self.writer.atom(("F", "exp", *atom[2:]), 1, {})[1]
        row = self._row(form)
        if row is not None:
            return self._select(context, atom, power, known, form, row, argument)
        result = self.apply(atom[1], form, power, known)
        where = self.where(term, known, set(variables(atom)))
        self.function(context, where, atom[1], argument, power, self.steps[-1], form, known)
        self._exponents_outside(context, where, atom[1], power, self.steps[-1], result)
        return self.product([[masked(term.without(atom))], result])

    def function(
        self, context: Term, where: Any, name: str, argument: Any, power: int, step: Step, form: Form, known: Known
    ) -> None:
        """Note how a function was applied."""
        if step.kind == "exp":
            after: list[Any] = []
            for inside, c in step.logarithms:
                node = self.show(inside)
                reason = self.proofs.reason(">", node, inside, where, known, self)
                after.append((("log", node), c * power, reason))
            after += [(self.show(scaled(step.rest, power)), 1, ())] if step.rest else []
            if after != [(argument, power, ())]:
                self.use(context, self._exp(where, [(argument, power)], after))
            return
        parts = self.parts(step.scale)
        core = 0 if step.kind == "none" else 1 if step.rest == ONE and step.kind == "factor" else self.show(step.rest)
        if parts or core in (1, 0) or core != argument:
            reason = self.proofs.reason("!=", argument, form, where, known, self) if name in ("1/", "log") else ()
            product = ("*", -1, core, *(("^", part, k) for part, k in parts))
            same = self.prove(("*", where, ("+", argument, product)))
            self.use(context, steps.function_rule(where, name, argument, parts, core, same, reason), power)
        if step.kind in ("flip", "sign"):
            outer = self.product([[context.copy()], [step.scale.copy()]])[0]
            if power != 1:
                raise Undecided("a power of a relu that changes its sign", remedy="restate the claim")
            turned = self.show(scaled(step.rest, step.sign or -1))
            if step.sign == 1:
                same = self.prove(("*", where, checker.minus(core, turned)))
                self.use(outer, steps.kept_rule(where, core, turned, same))
            else:
                rule = steps.flipped_rule if step.kind == "flip" else steps.dropped_rule
                self.use(outer, rule(where, core, turned, self.prove(("*", where, ("+", core, turned)))))

    def _exponents_outside(
        self, context: Term, where: Any, name: str, power: int, step: Step, result: list[Term]
    ) -> None:
        """Note that a power of an exponential, taken out of a denominator or root, is an exponential."""
        found = next((atom for atom in step.scale.powers if atom[0] == "E"), None)
        if found is None or name not in ("1/", "sqrt") or step.kind != "factor":
            return
        inside, k = self.show(found[1]), step.scale.powers[found]
        half = ("*", ("num", 1, 2), inside)
        before = [(inside, -k * power)] if name != "sqrt" else [(half, k * power)]
        (term,) = result
        after = [(self.show(atom[1]), e, ()) for atom, e in term.powers.items() if atom[0] == "E"]
        plain = term.without(*(atom for atom in term.powers if atom[0] == "E"))
        self.use(self.product([[context.copy()], [plain]])[0], self._exp(where, before, after))

    def parts(self, scale: Term) -> tuple[Any, ...]:
        """Return the factors of a scale with their powers."""
        found: list[Any] = []
        c = Fraction(scale.coefficient)
        found += [(-1, 1)] if c < 0 else []
        found += primes(abs(c))
        for atom, power in scale.powers.items():
            if atom[:2] == ("f", "1/"):
                found.append((("^", self.show(atom[2]), -1), int(power)))
            elif atom[0] == "s" and int(power) != power:
                root = self.writer.atom(atom, Fraction(1, Fraction(power).denominator), {})
                found.append((root, Fraction(power).numerator))
            else:
                found.append((self.writer.atom(atom, 1, {}), int(power)))
        return tuple(found)

    def _exp(self, where: Any, before: Sequence[Any], after: Sequence[Any]) -> Any:
        powers = [("*", k, a) for a, k in before] + [("*", -k, b) for b, k, _ in after]
        return steps.exponential_rule(where, before, after, self.prove(("*", where, ("+", 0, *powers))))

    def _select(
        self, context: Term, atom: Atom, power: int, known: Known, form: Form, row: Any, argument: Any
    ) -> list[Term]:
        entry, chosen, inner = self.select(form, known, row)
        node = self.show(inner)
        names = {v: self.writer.name(v) for mono, _ in inner for v in mono_variables(mono)}
        shown = self.writer.atom(entry, 1, {})
        space = self.space_of[chosen]
        difference = ("+", argument, ("*", -1, ("sum", ((self.writer.name(chosen), space),), ("*", shown, node))))
        name = self.writer.name(chosen)
        rest = context.copy().times(atom, power - 1)
        self.use(rest, steps.selected_rule(atom[1], argument, shown, name, space, node, self.prove(difference)))
        env = tuple(sorted((name, v) for v, name in names.items()))
        result = rest.times(entry).times(("F", atom[1], node, env))
        result.bound[chosen] = space
        return [result]

    def around(self, term: Term, atom: Atom) -> tuple[Any, Any, Known]:
        """Return the order around a normalised function as an indicator, its argument, and the order."""
        seen = set(variables(atom))
        known = {s: tuple(b[0] for b in bs if b[0] in seen) for s, bs in term.chains.items()}
        return self.where(term, known, seen), self.show(atom[-1]), known

    def _open_within(self, use: Use) -> None:
        """Note that what an equation says is said of definitions opened; as stated it has their names."""
        if not self.proofs.opening:
            return
        env = dict(zip((name for name, _ in use.equation.scope), use.values, strict=True))
        for side, sign in ((use.equation.lhs, -1), (use.equation.rhs, 1)):
            waiting = self.expand(side, env)
            while waiting:
                waiting += self._defined(waiting.pop(), use.context.copy(sign)) or []

    def _defined(self, term: Term, around: Term | None = None) -> list[Term] | None:
        """Return a term with an entry replaced by its definition, if there is one to replace.

        What is around the term is left as it is.
        """
        for atom, power in term.powers.items():
            if atom[0] == "t" and atom[1] in self.proofs.defined:
                k, side, scope, (names, body) = self.proofs.defined[atom[1]]
                env, context = dict(zip(names, atom[2:], strict=True)), masked(term.without(atom))
                if self.depth == 1:
                    indices = tuple(self.writer.index(env[name], {}) for name, _ in scope)
                    factors = [[context.copy(1 if side == "lhs" else -1)], *([[around]] if around else [])]
                    self.use(self.product(factors)[0], ("given", k, indices), power)
                return self.product([[context], self.expand(("^", body, int(power)), env)])
        return None

    def resolve(self, term: Term) -> list[Term] | None:
        opened = self._defined(term)
        if opened is not None:
            return opened
        if self.depth == 1:
            for atom, power in term.powers.items():
                if atom[:2] == ("f", "sqrt") and power > 1:
                    context = masked(term.without(atom)).times(atom, power % 2)
                    where, node, known = self.around(term, atom)
                    reason = self.proofs.reason(">=", node, atom[2], where, known, self)
                    self.use(context, ("square", where, (node,), (reason,)), power // 2)
                    return super().resolve(term)
                if atom[:2] == ("f", "1/") and power < 0:
                    where, node, known = self.around(term, atom)
                    reason = self.proofs.reason("!=", node, atom[2], where, known, self)
                    rule = steps.equal(where, ("*", node, ("^", node, -1)), 1, reason)
                    self.use(masked(term).copy(-1), rule, -power)
                    return super().resolve(term)
                if atom[0] == "F":
                    break
        return super().resolve(term)

    # decays

    def _on_chain(
        self, term: Term, rest: Term, space: str, blocks: Any, relations: list[Atom], decays: list[Atom]
    ) -> list[Term]:
        if self.depth != 1 or not decays:
            return super()._on_chain(term, rest, space, blocks, relations, decays)
        pieces = []
        for piece in super()._on_chain(term, rest, space, blocks, relations, []):
            order = [block[0] for block in piece.chains[space]]
            to = {v: next(w for w in order if w in block) for block in blocks for v in block}
            chains = piece.chains
            powers = [(renamed_atom(atom, to), term.powers[atom]) for atom in decays]
            whole = masked(piece)
            for atom, power in powers:
                whole.times(atom, power)
            walked = [whole]
            for atom, power in powers:
                for _ in range(power):
                    walked = [done for term in walked for done in self._walk(term, atom, order)]
            pieces += [Term(done.coefficient, done.powers, done.bound, chains) for done in walked]
        for piece in pieces:
            placed = {v for blocks in piece.chains.values() for block in blocks for v in block}
            for atom in [a for a in piece.powers if a[0] in "dm" and placed.issuperset(a[-2:])]:
                del piece.powers[atom]  # the chains say it, those of other spaces too
        return pieces

    def _walk(self, term: Term, atom: Atom, order: list[Any]) -> list[Term]:
        """Replace a decay by gates and gaps along a chain, step by step."""
        kind, gate, wraps, space, later, earlier, *args = atom
        if later == earlier:
            return self.product([[term.copy().times(atom, -1)], self.linked((), tuple(args))])
        if kind == "D":
            front = [] if later == "+" else [self.gate(gate, wraps, later)]
        else:
            low = -1 if earlier == "-" else order.index(earlier)
            high = len(order) if later == "+" else order.index(later)
            if high - low <= 1:
                return [term]
            at = order[high - 1]
            self.use(term.copy().times(atom, -1), self.cut(atom, later, at, earlier))
            front, later = [("G", gate, wraps, space, later, at), self.gate(gate, wraps, at)], at
        rest = ("G", gate, wraps, space, later, earlier)
        found = []
        for parts in self.linked([*front, rest], tuple(args)):
            left = next(a for a in parts.powers if a[:6] == rest)
            (whole,) = self.product([[term.copy().times(atom, -1)], [parts]])
            found += self._walk(whole, left, order)
        return found

    def cut(self, atom: Atom, *stops: Any) -> Any:
        """Return the rule that cuts a gap in two at the middle one of three times."""
        gate, clock = self.writer.clock(atom)
        times = (self.writer.wrapped(stop, atom[2], {}) for stop in stops)
        return ("cut", gate, clock, *times, *(self.writer.index(a, {}) for a in atom[6:]))

    def counted_out(self, term: Term, space: str, v: Any, weight: Any) -> Term:
        if self.depth == 1 and weight:
            stops = ["-", *(block[0] for block in term.chains[space]), "+"]
            low, high = stops[stops.index(v) - 1], stops[stops.index(v) + 1]
            current = masked(term)
            for (gate, wraps, *args), power in weight.items():
                parts = [
                    ("G", gate, wraps, space, high, v, *args),
                    (*self.gate(gate, wraps, v), *args),
                    ("G", gate, wraps, space, v, low, *args),
                ]
                for _ in range(power):
                    for part in parts:
                        current.times(part, -1)
                    whole = ("G", gate, wraps, space, high, low, *args)
                    self.use(current.copy(-1), self.cut(whole, high, v, low))
                    current.times(whole)
        return super().counted_out(term, space, v, weight)

    def resolvent(self, term: Term, space: str, v: Any, above: Any, below: Any, heavy: Any) -> list[Term]:
        if self.depth == 1:
            stops = ["-", *(block[0] for block in term.chains[space]), "+"]
            low, high = stops[stops.index(v) - 1], stops[stops.index(v) + 1]
            context = masked(self.dropped(term, space, v, heavy, {})).copy(1 if heavy == above else -1)
            weights = (tuple(self._gate(space, *g) for g, k in w.items() for _ in range(k)) for w in (above, below))
            ends = (self.writer.index(x, {}) for x in (low, high))
            self.use(context, ("resolvent", space, *ends, *weights))
        return super().resolvent(term, space, v, above, below, heavy)

    def _gate(self, space: str, gate: str, wraps: Any, *args: Any) -> Any:
        """Return a gate of a weight in the resolvent identity."""
        clock = wraps[0][1] if wraps else space
        return gate, clock, self.writer.wrapped("%r", wraps, {}), tuple(self.writer.index(a, {}) for a in args)

    # exponents

    def with_exponent(self, term: Term, form: Form) -> Term:
        result = super().with_exponent(term, form)
        if self.depth == 1:
            before = [(self.show(a[1]), e) for a, e in term.powers.items() if a[0] == "E"]
            after = [(self.show(form), 1, ())] if form else []
            if [(*b, ()) for b in before] != after:
                context = masked(term.without(*(a for a in term.powers if a[0] == "E")))
                seen = {v for a in term.powers if a[0] == "E" for v in variables(a)}
                known = {s: tuple(b[0] for b in bs) for s, bs in term.chains.items()}
                self.use(context, self._exp(self.where(term, known, seen), before, after))
        return result

    def _finish(self, table: dict[Any, Any], term: Term, known: Known | None) -> list[Term]:
        left = super()._finish(table, term, known)
        if self.depth == 1 and not left:
            self._name(term)
        return left

    def _name(self, term: Term) -> None:
        """Write the functions of a finished term as those of its canonical monomial."""
        term = self._folded_primes(term)
        nested = [a for a in term.powers if a[0] in ("E", "f")]
        if not nested:
            return
        to = self.numbering(Term(powers=self.sorted_legs(term.powers)[1], bound=term.bound, chains=term.chains))
        if to is None:
            return
        back = {number: self.writer.name(v) for v, number in to.items()}
        current = term
        for atom in nested:
            image = self.renamed_form(atom[-1], to)
            old, new = self.show(atom[-1]), self.writer.form(image, back)
            function = "exp" if atom[0] == "E" else atom[1]
            power = current.powers[atom]
            rest = current.without(atom)
            if checker.spread(old) != checker.spread(new):
                seen = set(variables(atom))
                order = {s: tuple(b[0] for b in bs if b[0] in seen) for s, bs in term.chains.items()}
                where = self.where(term, order, seen)
                if function == "exp":
                    self.use(masked(rest), self._exp(where, [(old, 1)], [(new, 1, ())]), power)
                else:
                    same = self.prove(("*", where, checker.minus(old, new)))
                    self.use(masked(rest), steps.same_rule(where, function, old, new, same), power)
            current = rest.times(("S", function, new), power)

    # denominators

    def difference(self, terms: Sequence[Term]) -> Form:
        form = self.normal(terms)
        while uneven := self.denominators(form, None):
            cleared = []
            for mono, c in form:
                term = masked(self.thaw(mono, c))
                for atom, e in uneven.get(arrangement(mono, None), {}).items():
                    # the engine opens what is missing; the reciprocals are inert from here on
                    term.times(atom, -e).times(("S", "1/", self.show(atom[2])), e)
                cleared.append(term)
            form = self.normal(cleared)
        return form
