"""Running the checker once more to see what it does: the monomials of each side, and what they are called.

Nothing here is trusted, and nothing decides: `tensoralg.proof.explain` shows the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from tensoralg.proof import checker
from tensoralg.proof.labels import labeller
from tensoralg.proof.show import fresh, tidy

MOST_WORK = 20_000  # steps, for all that is shown


def leaves(value: Any) -> list[Any]:
    """Return the variables of a value of an index."""
    found: list[Any] = []
    checker.mapped(value, found.append)
    return found


def open_variables(env: Mapping[str, Any]) -> list[Any]:
    """Return the variables of the values of indices, each once."""
    return list(dict.fromkeys(v for value in env.values() for v in leaves(value)))


@dataclass
class Monomial:
    """A monomial of a side, equal ones collected.

    Attributes
    ----------
    coefficient : Fraction
    term : checker.Term
        The first of those that were collected.
    bound : list
        Its bound variables in canonical order: those of equal monomials correspond.
    sign : int
        The sign of `term` beside the canonical form, which `coefficient` is about.
    """

    coefficient: Fraction
    term: Any
    bound: list[Any]
    sign: int


@dataclass
class Side:
    """The monomials of a sum by their canonical form; how many there were before chains and collecting, and after."""

    expanded: int = 0
    refined: int = 0
    monomials: dict[Any, Monomial] = field(default_factory=dict)


class Replay(checker.Checker):
    """The checker, remembering names; conditions are taken as checked.

    Parameters
    ----------
    claim, proof : mapping
        The parts of a certificate, frozen.
    """

    def __init__(self, claim: Any, proof: Any) -> None:
        super().__init__(claim, {**proof, "labels": ()}, _labeller(claim))
        left, right, assumed = checker.pools(claim)
        self.assume((*left, *right, *assumed))
        self.work = MOST_WORK
        self.names: dict[Any, str] = {}

    def summed(self, indices: Any, env: Any, body: Any, *args: Any) -> list[Any]:
        def noted(*args: Any) -> list[Any]:
            for name, _ in indices:
                self.names.update(dict.fromkeys(leaves(args[-1][name]), name))
            return list(body(*args))

        return super().summed(indices, env, noted, *args)

    def zero(self, *_: Any) -> None:
        """Take a statement as checked."""

    def holds(self, *_: Any) -> None:
        """Take a condition as checked."""

    def side(self, node: Any, env: Mapping[str, Any]) -> Side:
        """Return the monomials of a term whose open variables are those of `env`."""
        opened = open_variables(env)
        terms = self.expand(node, env)
        side = Side(len(terms))
        for term in terms:
            pieces = [self.eliminate(term)]
            for space in self.proof["refine"]:
                pieces = [done for piece in pieces for done in self.refine(piece, space, opened)]
            side.refined += len(pieces)
            for piece in pieces:
                self.spend()
                mono, sign = self.canonical(piece)
                found = side.monomials.setdefault(mono, Monomial(Fraction(0), piece, self.order, sign))
                found.coefficient += sign * Fraction(piece.coefficient)
        side.monomials = {mono: found for mono, found in side.monomials.items() if found.coefficient}
        return side

    def canonical(self, term: Any) -> tuple[Any, int]:
        """Return what the checker does, and keep the order of the bound variables in `order`."""
        self.loose = [v for v in term.bound if v not in term.rank]
        result = super().canonical(term)
        chained = sorted((v for v in term.bound if v in term.rank), key=term.rank.__getitem__)
        self.order = chained + self.loose
        return result

    # display

    def called(self, term: Any, names: Mapping[Any, Iterable[str]]) -> dict[Any, str]:
        """Return the names of the bound variables of a term, no two alike."""
        to: dict[Any, str] = {}
        taken = {v for atom in term.powers for value in atom[2:] for v in leaves(value) if isinstance(v, str)}
        taken |= {v for v in term.rank if isinstance(v, str)}
        for v, space in term.bound.items():
            to[v] = fresh(self.names.get(v, "?"), names.get(space, ()), {*taken, *to.values()})
        return to

    def shown(self, monomial: Monomial, names: Mapping[Any, Iterable[str]]) -> Any:
        """Return a monomial as a term, its chains apart."""
        term, to = monomial.term, self.called(monomial.term, names)
        c = monomial.sign * Fraction(monomial.coefficient)
        factors = [c.numerator if c.denominator == 1 else ("num", c.numerator, c.denominator)]
        bodies = list(self.bodies)
        shown = [(atom, power) for atom, power in term.powers.items() if not self._chained(atom, term)]
        factors += [_factor(atom, power, to, bodies) for atom, power in shown]
        scope = tuple((to[v], space) for v, space in term.bound.items())
        body = ("*", *factors)
        free = {v: v for atom in term.powers for value in atom[2:] for v in leaves(value) if isinstance(v, str)}
        return tidy(("sum", scope, body) if scope else body, free, names)

    def chain(self, monomial: Monomial, names: Mapping[Any, Iterable[str]]) -> list[Any]:
        """Return the chains of a monomial that say something, for display."""
        to = self.called(monomial.term, names)
        blocks: dict[Any, tuple[Any, ...]] = {}
        for v, place in sorted(monomial.term.rank.items(), key=lambda item: item[1]):
            blocks[place] = (*blocks.get(place, ()), to.get(v, v))
        chains = [[block for (s, _), block in blocks.items() if s == space] for space in self.proof["refine"]]
        return [("chain", *chain) for chain in chains if sum(map(len, chain)) > 1]

    def _chained(self, atom: Any, term: Any) -> bool:
        """Whether a factor only says how a chain is arranged."""
        return atom[0] in checker.INDICATORS and all(v in term.rank for v in atom[2:])


def _labeller(claim: Any) -> Any:
    """Return the labeller for the tensors of a claim; it keeps the order of the variables in `loose`."""
    tensors: Any = {
        name: SimpleNamespace(symmetric=found.get("symmetric", ()), antisymmetric=found.get("antisymmetric", ()))
        for name, found in claim["tensors"].items()
    }
    find = labeller(tensors, {})

    def label(run: Replay, powers: Any, term: Any, rank: Any, loose: list[Any]) -> Any:
        found = find(run, powers, term, rank, loose)
        if found[0] != -1:
            run.loose = [loose[k] for k in found]
        return found

    return label


def _factor(atom: Any, power: Any, to: Mapping[Any, str], bodies: Sequence[Any]) -> Any:
    """Return a power of an atom as a term."""
    kind, label, *values = atom
    shown = [checker.mapped(value, lambda v: to.get(v, v)) for value in values]
    if kind == "f":
        function, number = label
        inside = checker.put(bodies[number], {f"${k}": value for k, value in enumerate(shown)}.__getitem__)
        return ("^", inside, -power) if function == "1/" else ("^", (function, inside), power)
    if kind == "size":
        node: Any = label if isinstance(label, int) else ("size", label)
    elif kind in ("decay", "gap"):
        node = (kind, *label[:2], *shown)
    else:
        node = (kind, *((label,) if kind == "t" else ()), *shown)
    power = Fraction(power)
    return ("^", node if power.denominator == 1 else ("sqrt", node), int(power * (1 if power.denominator == 1 else 2)))


def cases(replay: Replay) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the values of the free indices with their parts, and the uses, of every case of a proof."""
    claim = replay.claim
    found = iter(replay.proof["cases"])
    for values, _ in replay.ranges(claim["free"]) if claim["lhs"] != claim["rhs"] else ():
        env = checker.bind(claim["free"], values) | {v: v for value in values for v in leaves(value)}
        yield env, next(found)
