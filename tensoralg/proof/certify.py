"""Writing certificates: the steps of a normalisation as uses of equations that the checker follows.

The normaliser of a statement notes, at its outermost level only, what replaced what: rules at work, functions
applied, exponents merged, decays cut.  Each becomes ``sum(bound: context * (l - r))`` where ``l = r`` is an instance
of a rule of `tensoralg.proof.checker`; the conditions of the instance are statements of their own, proved in the
same way.  At last the checker itself runs once with the labeller at hand and notes the orders of bound variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice, product
from typing import Any

from tensoralg.errors import Undecided
from tensoralg.normal import Normaliser
from tensoralg.normal.functions import Step, arrangement, primes
from tensoralg.normal.graph import Odd, canonical_order
from tensoralg.normal.order import masked
from tensoralg.normal.rules import Use
from tensoralg.normal.terms import ONE, Atom, Form, Known, Term, leaves, mono_variables, renamed_atom, scaled, variables
from tensoralg.proof import checker
from tensoralg.proof.decide import Engine, is_network, opened
from tensoralg.proof.domain import arrangements
from tensoralg.proof.show import text

NAMES = {"1/": "unit"}
MOST_STATEMENTS, MOST_ASSIGNMENTS = 2_000, 120


class Writer:
    """Prints terms and forms in the language of certificates; bound variables get names of their own.

    Parameters
    ----------
    prefix : str
        What the names of the bound variables of one statement start with.
    """

    def __init__(self, prefix: str = "b") -> None:
        self.prefix, self.count = prefix, 0

    def name(self, variable: Any) -> str:
        """Return the name of a variable."""
        return variable if isinstance(variable, str) else f"{self.prefix}{variable}"

    def index(self, value: Any, names: Mapping[Any, str]) -> Any:
        """Return an index value as an index."""
        if isinstance(value, tuple):
            if value[0] == "+":
                return ("+", value[1], self.index(value[2], names), value[3])
            return ("*", *(self.index(part, names) for part in value[1:]))
        if isinstance(value, str) and value.startswith("#"):
            place, space = value[1:].split("@")
            return ("#", int(place), space)
        return value if value in ("+", "-") else names.get(value) or self.name(value)

    def atom(self, atom: Atom, power: Any, names: Mapping[Any, str]) -> Any:
        """Return a power of an atom as a term."""
        kind = atom[0]
        show = [self.index(v, names) for v in atom[2:]] if kind == "t" else []
        if kind == "t":
            node: Any = ("t", atom[1], *show)
        elif kind in "dn":
            delta = ("delta", *(self.index(v, names) for v in atom[1:]))
            node = delta if kind == "d" else ("+", 1, ("*", -1, delta))
        elif kind == "m":
            node = ("lt" if atom[1] else "le", self.index(atom[2], names), self.index(atom[3], names))
        elif kind in "DG":
            name = "decay" if kind == "D" else "gap"
            wraps = atom[3] if atom[4:6] == ("+", "-") and not atom[2] else atom[2]
            node = (name, atom[1], wraps, *(self.index(v, names) for v in atom[4:]))
        elif kind == "s":
            node = atom[1] if isinstance(atom[1], int) else ("size", atom[1])
            while int(power) != power or (isinstance(atom[1], int) and node == atom[1]):
                node, power = ("sqrt", node), 2 * power
        elif kind == "p":
            node = ("place", self.index(atom[1], names))
        elif kind == "F":
            to = {name: self.index(value, names) for name, value in atom[3]}
            node = checker.apply(atom[1], checker.put(atom[2], to.__getitem__))
        elif kind == "E":
            node = ("exp", self.form(atom[1], names))
        elif kind == "S":
            node = (NAMES.get(atom[1], atom[1]), atom[2])
        else:
            node = (NAMES.get(atom[1], atom[1]), self.form(atom[2], names))
        return node if power == 1 else ("^", node, int(power))

    def form(self, form: Form, names: Mapping[Any, str]) -> Any:
        """Return a form as a term, its bound names by their depth."""
        monos = [self.mono(mono, c, names) for mono, c in form]
        return checker.put(monos[0] if len(monos) == 1 else ("+", *monos), lambda name: name)

    def mono(self, mono: Any, coefficient: Any, names: Mapping[Any, str]) -> Any:
        """Return a canonical monomial as a term."""
        factors, bound, chains = mono
        inner = dict(names)
        scope = []
        for v, space in bound:
            self.count += 1
            inner[v] = f"w{self.count}"
            scope.append((inner[v], space))
        term = masked(Term(coefficient, dict(factors), {}, dict(chains)))
        body = self.product(term, inner)
        return ("sum", tuple(scope), body) if scope else body

    def product(self, term: Term, names: Mapping[Any, str]) -> Any:
        """Return a term without its sum."""
        coefficient = Fraction(term.coefficient)
        p, q = coefficient.numerator, coefficient.denominator
        number = p if q == 1 else ("num", p, q)
        factors = [self.atom(atom, power, names) for atom, power in term.powers.items()]
        if not factors:
            return number
        return factors[0] if number == 1 and len(factors) == 1 else ("*", *(() if number == 1 else (number,)), *factors)


class Recorder(Normaliser):
    """A normaliser that notes the steps of its outermost level."""

    def __init__(self, engine: Engine, spaces: Mapping[str, Any], proofs: Proofs) -> None:
        self.depth = 1 << 20  # what happens while the rules are made is no step of a proof
        super().__init__(engine.setting, engine.budget, equations=engine.equations)
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
        if step.kind == "none":
            proof = self.prove(("*", where, argument))
            self.use(context, ("factor", where, name, argument, (), 0, (), proof), power)
            return
        parts = self.parts(step.scale)
        core = 1 if step.rest == ONE and step.kind == "factor" else self.show(step.rest)
        if parts or core != argument or name == "1/":
            reason = (
                self.proofs.reason("!=", argument, form, where, known, self) if name in ("1/", "unit", "log") else ()
            )
            difference = ("+", argument, ("*", -1, core, *(("^", part, k) for part, k in parts)))
            proof = self.prove(("*", where, difference))
            self.use(context, ("factor", where, name, argument, parts, core, reason, proof), power)
        if step.kind in ("flip", "sign"):
            outer = self.product([[context.copy()], [step.scale.copy()]])[0]
            if power != 1:
                raise Undecided("a power of a relu that changes its sign", remedy="restate the claim")
            if step.kind == "sign":
                turned = self.show(scaled(step.rest, step.sign))
                same = self.prove(("*", where, ("+", ("*", step.sign, core), ("*", -1, turned))))
                self.use(outer, ("sign", where, core, step.sign, ("sign", 1, turned, same)))
            else:
                turned = self.show(scaled(step.rest, -1))
                self.use(outer, ("flip", where, core, turned, self.prove(("*", where, ("+", core, turned)))))

    def _exponents_outside(
        self, context: Term, where: Any, name: str, power: int, step: Step, result: list[Term]
    ) -> None:
        """Note that a power of an exponential, taken out of a denominator or root, is an exponential."""
        found = next((atom for atom in step.scale.powers if atom[0] == "E"), None)
        if found is None or name not in ("1/", "unit", "sqrt") or step.kind != "factor":
            return
        inside, k = self.show(found[1]), step.scale.powers[found]
        half = ("*", ("num", 1, 2), inside)
        before = [(inside, -k * power)] if name != "sqrt" else [(half, (k % 2) * power), (inside, (k // 2) * power)]
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
                found.append((("unit", self.show(atom[2])), power))
            elif atom[0] == "s" and int(power) != power:
                root = self.writer.atom(atom, Fraction(1, Fraction(power).denominator), {})
                found.append((root, Fraction(power).numerator))
            else:
                found.append((self.writer.atom(atom, 1, {}), int(power)))
        return tuple(found)

    def _exp(self, where: Any, before: Sequence[Any], after: Sequence[Any]) -> Any:
        powers = [("*", k, a) for a, k in before] + [("*", -k, b) for b, k, _ in after]
        return ("exp", where, tuple(before), tuple(after), self.prove(("*", where, ("+", 0, *powers))))

    def _select(
        self, context: Term, atom: Atom, power: int, known: Known, form: Form, row: Any, argument: Any
    ) -> list[Term]:
        entry, chosen, inner = self.select(form, known, row)
        node = self.show(inner)
        names = {v: self.writer.name(v) for mono, _ in inner for v in mono_variables(mono)}
        shown = self.writer.atom(entry, 1, {})
        space = self.space_of[chosen]
        difference = ("+", argument, ("*", -1, ("sum", ((self.writer.name(chosen), space),), ("*", shown, node))))
        rule = ("select", atom[1], shown, self.writer.name(chosen), space, node, argument, self.prove(difference))
        rest = context.copy().times(atom, power - 1)
        self.use(rest, rule)
        env = tuple(sorted((name, v) for v, name in names.items()))
        result = rest.times(entry).times(("F", atom[1], node, env))
        result.bound[chosen] = space
        return [result]

    def around(self, term: Term, atom: Atom) -> tuple[Any, Any, Known]:
        """Return the order around a normalised function as an indicator, its argument, and the order."""
        seen = set(variables(atom))
        known = {s: tuple(b[0] for b in bs if b[0] in seen) for s, bs in term.chains.items()}
        return self.where(term, known, seen), self.show(atom[-1]), known

    def resolve(self, term: Term) -> list[Term] | None:
        if self.depth == 1:
            for atom, power in term.powers.items():
                if atom[:2] == ("f", "sqrt") and power > 1:
                    context = masked(term.without(atom)).times(atom, power % 2)
                    where, node, known = self.around(term, atom)
                    reason = self.proofs.reason(">=", node, atom[2], where, known, self)
                    self.use(context, ("square", where, node, reason), power // 2)
                    return super().resolve(term)
                if atom[:2] == ("f", "1/") and power < 0:
                    where, node, known = self.around(term, atom)
                    reason = self.proofs.reason("!=", node, atom[2], where, known, self)
                    self.use(masked(term).copy(-1), ("inverse", where, node, reason), -power)
                    return super().resolve(term)
                if atom[0] == "F":
                    break
        return super().resolve(term)

    # decays

    def refine(self, term: Term, known: Known | None) -> list[Term]:
        if self.depth == 1:
            current = term.copy()
            for atom, power in term.powers.items():
                if atom[0] == "D" and atom[4] != "+" and atom[5] != "-":
                    later, earlier, *args = (self.writer.index(v, {}) for v in atom[4:])
                    self.use(current.without(atom), ("causal", *atom[1:3], tuple(args), later, earlier), power)
                    current.times(("m", False, atom[5], atom[4]))
        return super().refine(term, known)

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
            current = masked(piece)
            for atom, power in powers:
                current.times(atom, power)
            for atom, power in powers:
                for _ in range(power):
                    current = self._walk(current, atom, order)
            pieces.append(Term(current.coefficient, current.powers, current.bound, chains))
        for piece in pieces:
            for atom in [a for a in piece.powers if a[0] == "m" and self.space_of[a[2]] == space]:
                del piece.powers[atom]
            for atom in [a for a in piece.powers if a[0] == "d" and self.space_of[a[1]] == space]:
                del piece.powers[atom]
        return pieces

    def _walk(self, term: Term, atom: Atom, order: list[Any]) -> Term:
        """Replace a decay by gates and gaps along a chain, step by step."""
        kind, gate, wraps, space, later, earlier, *args = atom
        index = self.writer.index
        shown = tuple(index(a, {}) for a in args)

        def note(rule: str, *stops: Any) -> None:
            context = term.copy().times(atom, -1)
            self.use(context, (rule, gate, wraps, shown, *(index(v, {}) for v in stops)))

        if later == earlier:
            note("stay", later, earlier)
        elif kind == "D":
            note("step", later, earlier)
            term = self._linked(term, atom, [] if later == "+" else [self.gate(gate, wraps, later)], later, earlier)
            atom = next(a for a in term.powers if a[0] == "G" and a[1:6] == (gate, wraps, space, later, earlier))
            return self._walk(term, atom, order)
        else:
            low = -1 if earlier == "-" else order.index(earlier)
            high = len(order) if later == "+" else order.index(later)
            if high - low <= 1:
                return term
            at = order[high - 1]
            note("cut", later, at, earlier)
            front = [("G", gate, wraps, space, later, at), self.gate(gate, wraps, at)]
            term = self._linked(term, atom, front, at, earlier)
            atom = next(a for a in term.powers if a[0] == "G" and a[1:6] == (gate, wraps, space, at, earlier))
            return self._walk(term, atom, order)
        term = term.copy().times(atom, -1)
        deltas = self.relation("delta", *args) if len(args) == 2 else [Term()]
        return self.product([[term], deltas])[0]

    def _linked(self, term: Term, atom: Atom, front: list[Any], later: Any, earlier: Any) -> Term:
        """Replace a decay by a product of parts and the gap that is left, matrices linked by new indices."""
        _, gate, wraps, space, _, _, *args = atom
        result = term.copy().times(atom, -1)
        left = args[0] if len(args) == 2 else None
        for part in front:
            legs = list(args)
            if left is not None:
                right, bound = next(self.values(self.setting.legs[gate][2]))
                legs, left = [left, right], right
                result.bound.update(bound)
            result.times((*part, *legs))
        return result.times(("G", gate, wraps, space, later, earlier, *([left, args[1]] if left is not None else args)))

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
                    show = [self.writer.index(x, {}) for x in (high, v, low)]
                    shown = tuple(self.writer.index(a, {}) for a in args)
                    self.use(current.copy(-1), ("cut", gate, wraps, shown, *show))
                    current.times(("G", gate, wraps, space, high, low, *args))
        return super().counted_out(term, space, v, weight)

    def resolvent(self, term: Term, space: str, v: Any, above: Any, below: Any, heavy: Any) -> list[Term]:
        if self.depth == 1:
            stops = ["-", *(block[0] for block in term.chains[space]), "+"]
            low, high = stops[stops.index(v) - 1], stops[stops.index(v) + 1]
            context = masked(self.dropped(term, space, v, heavy, {})).copy(1 if heavy == above else -1)
            weights = [
                tuple(
                    (gate, wraps, tuple(self.writer.index(a, {}) for a in args), k)
                    for (gate, wraps, *args), k in weight.items()
                )
                for weight in (above, below)
            ]
            ends = (self.writer.index(x, {}) for x in (low, high))
            self.use(context, ("resolvent", space, *ends, *weights))
        return super().resolvent(term, space, v, above, below, heavy)

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
                    proof = self.prove(("*", where, ("+", old, ("*", -1, new))))
                    name = NAMES.get(function, function)
                    reason = (
                        self.proofs.reason("!=", old, atom[-1], where, order, self) if name in ("log", "unit") else ()
                    )
                    self.use(masked(rest), ("factor", where, name, old, (), new, reason, proof), power)
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


class Proofs:
    """Proofs of statements, each made once; and reasons for conditions."""

    def __init__(self, engine: Engine, claim: Mapping[str, Any]) -> None:
        self.engine, self.claim, self.count = engine, claim, 0
        self.made: dict[Any, Any] = {}
        self.pool: tuple[Any, ...] = ()

    def assume(self, pool: tuple[Any, ...]) -> None:
        """Set the conditions that may be used; proofs that were made with others are forgotten."""
        self.pool, self.made = pool, {}

    def prefix(self) -> str:
        """Return a new prefix for the names of bound variables."""
        self.count += 1
        return f"b{self.count}."

    def uses(self, node: Any, spaces: Mapping[Any, str]) -> Any:
        """Return a proof that a term vanishes for all values of its open indices, as uses."""
        if node not in self.made:
            if len(self.made) > MOST_STATEMENTS:
                raise Undecided("the certificate has too many steps", remedy="split the claim into smaller ones")
            names = list(dict.fromkeys(checker.spread(node)[1]))
            typed = {name: spaces[name] for name in names}
            recorder = Recorder(self.engine, typed, self)
            recorder.opened = opened(recorder, names)
            if recorder.difference(recorder.expand(node, {name: name for name in names})):
                raise Undecided("a step of the proof could not be certified", remedy="this is a gap in the library")
            self.made[node] = tuple(recorder.uses)
        return self.made[node]

    def reason(self, relation: str, node: Any, form: Form, where: Any, known: Known, run: Recorder) -> Any:
        """Return why a term is != 0, > 0 or >= 0: by its sign, or by conditions of the claim."""
        for sign in (1, -1) if relation == "!=" else (1,):
            turned = scaled(form, sign)
            if run.positive(turned, known, relation != ">="):
                shown = run.show(turned)
                if sign == 1 and shown == node:
                    return ("sign", 1)
                return ("sign", sign, shown, run.prove(("*", where, ("+", ("*", sign, node), ("*", -1, shown)))))
        parts = checker.factors(node) if relation == "!=" else []
        if (len(parts) == 1 and parts[0] == node) or relation != "!=":
            return self._condition(relation, node, form, where, known, run)
        env = {name: run.named(name) for name in checker.spread(node)[1]}
        return (
            "all",
            *(self.reason(relation, p, run.normal(run.expand(p, env), known), where, known, run) for p in parts),
        )

    def _condition(self, relation: str, node: Any, form: Form, where: Any, known: Known, run: Recorder) -> Any:
        """Return the condition of the pool that makes another one hold, with its indices and a factor."""
        free = list(dict.fromkeys(v for mono, _ in form for v in mono_variables(mono)))
        free += [v for vs in known.values() for v in vs if v not in free]
        order: Known
        for number, (other, term, scope) in enumerate(self.pool):
            if other not in checker.STRONGER[relation]:
                continue
            for indices in self._assignments(scope, free, run):
                env = {name: v for (name, _), v in zip(scope, indices, strict=True)}
                found, order = run.narrowed(run.normal(run.expand(term, env), known), known)
                mine, _ = run.narrowed(form, known)
                if not found:
                    continue
                scale, rest = run.shared(found, order, positive=relation != "!=")
                own, rest_mine = run.shared(mine, order, positive=relation != "!=")
                if rest != rest_mine:
                    continue
                for atom, power in own.powers.items():
                    scale.times(
                        ("E", scaled(atom[1], -1)) if atom[0] == "E" else atom, power if atom[0] == "E" else -power
                    )
                scale.coefficient /= own.coefficient
                parts = tuple(part for part in self._upright(run.parts(scale)))
                shown = tuple(run.writer.index(v, {}) for v in indices)
                instance = checker.put(term, checker.bind(scope, shown).__getitem__)
                powers = (("^", part, k) for part, k in parts)
                statement = ("*", where, ("+", instance, ("*", -1, node, *powers)))
                return (number, shown, parts, run.prove(statement))
        raise Undecided(f"no condition says that {text(node)} is {relation} 0", remedy="restate the claim")

    def _upright(self, parts: Any) -> Iterator[Any]:
        """Yield parts with positive powers: what divides is multiplied as its reciprocal."""
        for part, k in parts:
            yield (part, k) if k > 0 else ((("num", 1, part) if isinstance(part, int) else ("unit", part)), -k)

    def _assignments(self, scope: Any, free: list[Any], run: Normaliser) -> Any:
        choices = [[v for v in free if run.space_of[v] == space] for _, space in scope]
        return islice(product(*choices), MOST_ASSIGNMENTS)


def certificate(claim: Mapping[str, Any], engine: Engine, definitions: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return a certificate of a claim that the engine proves.

    Raises
    ------
    Undecided
        If a step has no rule in the checker.
    """
    proofs = Proofs(engine, claim)
    setting = engine.setting
    proof: dict[str, Any] = {
        "refine": setting.refined,
        "components": tuple(sorted(setting.components)),
        "definitions": tuple(definitions),
        "domain": (),
        "cases": (),
        "labels": (),
    }
    left, right, assumed = checker.pools(claim)
    reasons = []
    for ours, theirs in ((left, right), (right, left)):
        proofs.assume((*theirs, *assumed))
        for condition in ours:
            if condition not in theirs:
                reasons += list(_reasons(condition, engine, proofs))
    proof["domain"] = tuple(reasons)
    proofs.assume((*left, *right, *assumed))
    probe = engine()
    points = list(probe.ranges(list(claim["free"]))) if claim["lhs"] != claim["rhs"] else []
    if is_network(claim, masks=True):  # the checker expands both sides by itself: there is nothing to note
        proof["cases"] = ((),) * len(points)
    else:
        proof["cases"] = tuple(_case(claim, engine, proofs, values, probe.space_of) for values, _ in points)
    whole = {"format": checker.FORMAT, "version": checker.VERSION, "claim": claim, "proof": proof}
    proof["labels"] = _labels(whole, engine)
    return whole


def _reasons(condition: Any, engine: Engine, proofs: Proofs) -> Iterator[Any]:
    """Yield why a condition of one side holds, for every summand and basis vector of its indices."""
    relation, _, scope = condition
    run = Recorder(engine, {}, proofs)
    for values, _ in run.ranges(list(scope)):
        env = {name: value for (name, _), value in zip(scope, values, strict=True)}
        run.opened = opened(run, values)
        indices = {name: run.writer.index(value, {}) for name, value in env.items()}
        node = checker.put(condition[1], indices.__getitem__)
        env = {v: v for value in values for v in leaves(value)}
        cases = []
        for placed, known in arrangements(run, env):
            blocks = {s: tuple((v, *(w for w in placed if placed[w] == v and w != v)) for v in known[s]) for s in known}
            where = run.writer.product(masked(Term(chains=blocks)), {})
            cases.append((where, run.normal(run.expand(node, placed), known), known))
        spellings = {run.show(run.narrowed(form, known)[0]) for _, form, known in cases}
        if len(spellings) == 1:  # the order does not matter
            _, form, known = cases[0]
            yield proofs.reason(relation, node, run.narrowed(form, known)[0], 1, dict.fromkeys(known, ()), run)
        else:
            yield ("cases", *((where, proofs.reason(relation, node, form, where, k, run)) for where, form, k in cases))


def _case(claim: Mapping[str, Any], engine: Engine, proofs: Proofs, values: Any, spaces: Mapping[Any, str]) -> Any:
    """Return the uses that prove a claim at one choice of summands and basis vectors."""
    recorder = Recorder(engine, spaces, proofs)
    recorder.opened = opened(recorder, values)
    env = {name: value for (name, _), value in zip(claim["free"], values, strict=True)}
    node = ("+", claim["lhs"], ("*", -1, claim["rhs"]))
    if recorder.difference(recorder.expand(node, env)):
        raise Undecided("a step of the proof could not be certified", remedy="this is a gap in the library")
    return tuple(recorder.uses)


def _labels(whole: Mapping[str, Any], engine: Engine) -> Any:
    """Run the checker with the labeller at hand, and return the orders of bound variables that it asked for."""
    tensors = engine.setting.tensors
    found: list[Any] = []

    def label(_: Any, powers: Mapping[Any, Any], term: Any, rank: Mapping[Any, Any], loose: Sequence[Any]) -> Any:
        plain = Term(powers={_atom(atom): power for atom, power in powers.items()}, bound=term.bound)
        order = canonical_order(tensors, plain, rank, loose, engine.setting.orders)
        place = {v: k for k, v in enumerate(loose)}
        if isinstance(order, Odd):
            found.append((-1, *(place[order.image[v]] for v in loose)))
        else:
            found.append(tuple(place[v] for v in order))
        return found[-1]

    try:
        checker.verify(whole, label)
    except checker.Rejected as reason:
        raise Undecided(f"the proof could not be certified: {reason}", remedy="this is a gap in the library") from None
    return tuple(found)


def _atom(atom: Any) -> Atom:
    """Return an atom of the checker as one of the normal form, for its graph."""

    def value(v: Any) -> Any:
        if not isinstance(v, tuple):
            return v
        if v[0] == "#":
            return f"#{v[1]}@{v[2]}"
        return ("+", v[1], value(v[2]), v[3]) if v[0] == "+" else ("*", *map(value, v[1:]))

    values = tuple(map(value, atom[2:]))
    if atom[0] == "t":
        return ("t", atom[1], *values)
    if atom[0] == "delta":
        return ("d", *values)
    if atom[0] == "size":
        return ("s", atom[1])
    return ("F", atom[0], atom[1], tuple((str(k), v) for k, v in enumerate(values)))
