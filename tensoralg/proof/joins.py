"""Sums of products of tables, by joining rows: the exact evaluation of sparse networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from operator import itemgetter
from typing import Any

from tensoralg.errors import BudgetExceeded
from tensoralg.proof.ears import joining_order

Row = tuple[int, ...]


@dataclass
class Work:
    """Counts rows, so that no evaluation can hang."""

    limit: int
    done: int = 0

    def spend(self, rows: int) -> None:
        self.done += rows
        if self.done > self.limit:
            raise BudgetExceeded(f"more than {self.limit} rows were joined", remedy="raise the budget")


class Table:
    """The rows of a tensor over distinct variables, with indexes made on demand."""

    def __init__(self, rows: Sequence[tuple[Row, Any]], width: int) -> None:
        self.rows = rows
        self.width = width
        self._columns: list[frozenset[int] | None] = [None] * width
        self._indexes: dict[tuple[int, ...], dict[Row, list[tuple[Row, Any]]]] = {}

    def column(self, leg: int) -> frozenset[int]:
        """Return the positions that occur on a leg."""
        found = self._columns[leg]
        if found is None:
            found = self._columns[leg] = frozenset(row[leg] for row, _ in self.rows)
        return found

    def index(self, legs: tuple[int, ...]) -> dict[Row, list[tuple[Row, Any]]]:
        """Return the rows by their positions on some legs; each row shows the other legs only."""
        if legs not in self._indexes:
            key, rest = picker(legs), picker([leg for leg in range(self.width) if leg not in legs])
            made: dict[Row, list[tuple[Row, Any]]] = {}
            for row, value in self.rows:
                made.setdefault(key(row), []).append((rest(row), value))
            self._indexes[legs] = made
        return self._indexes[legs]


def picker(positions: Sequence[int]) -> Callable[[Row], Row]:
    """Return a function that takes the items at some positions of a tuple, as a tuple.

    Examples
    --------
    >>> picker([2, 0])((5, 6, 7)), picker([1])((5, 6)), picker([])((5,))
    ((7, 5), (6,), ())
    """
    if len(positions) == 1:
        only = positions[0]
        return lambda row: (row[only],)
    return itemgetter(*positions) if positions else lambda row: ()


Factor = tuple[Table, tuple[int, ...]]


class Contraction:
    """The sum, over all variables that are not pinned, of a product of tables.

    What tables say about single variables is propagated first (a semijoin program: P. A. Bernstein and D.-M. W. Chiu,
    J. ACM 28 (1981)); tree-like parts are summed from their leaves (M. Yannakakis, VLDB 1981); the rest is joined in
    an order that closes short cycles first, in one table over the variables that later factors still name.
    """

    def __init__(self, factors: Sequence[Factor], pinned: Mapping[int, int], work: Work) -> None:
        self.factors, self.work = list(factors), work
        self.holders: dict[int, list[int]] = {}
        for number, (_, variables) in enumerate(self.factors):
            for variable in variables:
                self.holders.setdefault(variable, []).append(number)
        self.domains: dict[int, frozenset[int]] = {}
        met: dict[frozenset[int], frozenset[int]] = {}  # by the columns' ids, so that equal ones are one object
        for variable, numbers in self.holders.items():
            columns = {id(c): c for c in (self._column(number, variable) for number in numbers)}
            ids = frozenset(columns)
            if ids not in met:
                first, *others = columns.values()
                met[ids] = first.intersection(*others) if others else first
            self.domains[variable] = met[ids]
        for variable in pinned.keys() & self.domains.keys():
            self.domains[variable] &= {pinned[variable]}
        self.weights: dict[int, dict[int, Any]] = {}
        self.messages: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        self.alive = set(range(len(self.factors)))
        self.total: Any = 1

    def _column(self, number: int, variable: int) -> frozenset[int]:
        table, variables = self.factors[number]
        return table.column(variables.index(variable))

    def value(self) -> Any:
        """Return the sum."""
        if not all(self.domains.values()) or not self._propagate():
            return 0
        self._peel()
        while self.alive and self.total:
            self._join(self._component())
        return self.total

    def _narrow(self, variable: int, number: int) -> bool:
        """Whether a variable allows so little of a factor that looking at its rows should teach something."""
        return 4 * len(self.domains[variable]) <= len(self._column(number, variable))

    def _propagate(self) -> bool:
        queue = [n for v, numbers in self.holders.items() for n in numbers if self._narrow(v, n)]
        waiting = set(queue)
        queue = list(dict.fromkeys(queue))
        while queue:
            number = queue.pop()
            waiting.discard(number)
            _, variables = self.factors[number]
            rows = list(self._rows(number))
            if not rows:
                return False
            for leg, variable in enumerate(variables):
                seen = {row[leg] for row, _ in rows}
                if len(seen) < len(self.domains[variable]):
                    self.domains[variable] = frozenset(seen)
                    fresh = [
                        n
                        for n in self.holders[variable]
                        if n != number and n not in waiting and self._narrow(variable, n)
                    ]
                    queue += fresh
                    waiting.update(fresh)
        return True

    def _rows(self, number: int) -> Iterator[tuple[Row, Any]]:
        """Yield the rows of a factor that its variables' domains allow."""
        table, variables = self.factors[number]
        if not variables:
            yield from table.rows
            return
        domains = [self.domains[v] for v in variables]
        leg = min(range(len(variables)), key=lambda k: len(domains[k]))
        index = table.index((leg,))
        others = [d for k, d in enumerate(domains) if k != leg]
        for position in domains[leg]:
            found = index.get((position,), ())
            self.work.spend(1 + len(found))
            for rest, value in found:
                if all(x in d for x, d in zip(rest, others, strict=True)):
                    yield (*rest[:leg], position, *rest[leg:]), value

    # leaves

    def _open(self, number: int) -> list[int]:
        """Return the variables of a factor that other factors still name and that can take several positions."""
        return [
            v
            for v in self.factors[number][1]
            if len(self.domains[v]) > 1 and any(n in self.alive and n != number for n in self.holders[v])
        ]

    def _peel(self) -> None:
        """Sum out factors that hang on at most one variable, again and again."""
        queue = [n for n in self.alive if len(self._open(n)) <= 1]
        while queue and self.total:
            number = queue.pop()
            if number not in self.alive:
                continue
            shared = self._open(number)
            message = self._message(number, shared[0] if shared else None)
            self.alive.discard(number)
            for variable in self.factors[number][1]:
                if variable not in shared and len(self.domains[variable]) > 1:
                    self.weights.pop(variable, None)
            if not shared:
                self.total *= message
                continue
            variable = shared[0]
            known = self.weights.get(variable)
            merged = message if known is None else {k: w * known[k] for k, w in message.items() if k in known}
            self.domains[variable] = self._keys(merged)
            if len(merged) > 1:
                self.weights[variable] = merged
            else:  # a constant from now on, which several factors name: its weight counts once
                self.weights.pop(variable, None)
                self.total *= next(iter(merged.values()), 0)
            queue += [n for n in self.holders[variable] if n in self.alive and len(self._open(n)) <= 1]

    def _keys(self, message: dict[int, Any]) -> frozenset[int]:
        """Return the keys of a message, one object for one message."""
        key = ("keys", id(message))
        if key not in self.messages:
            self.messages[key] = (frozenset(message), message)
        return self.messages[key][0]  # type: ignore[no-any-return]

    def _message(self, number: int, shared: int | None) -> Any:
        """Return a factor summed over all its variables but one: a number, or a value for each position of that one."""
        table, variables = self.factors[number]
        weights = [self.weights.get(v) if v != shared else None for v in variables]
        domains = [self.domains[v] for v in variables]
        leg = -1 if shared is None else variables.index(shared)
        key = (id(table), leg, *map(id, weights), *map(id, domains))
        if key in self.messages:
            return self.messages[key][0]
        weighted = [(k, w) for k, w in enumerate(weights) if w is not None]
        sums: dict[int, Any] = {}
        for row, value in self._rows(number):
            for k, weight in weighted:
                value = value * weight[row[k]]
            at = row[leg] if leg >= 0 else 0
            sums[at] = sums.get(at, 0) + value
        sums = {k: w for k, w in sums.items() if w}
        message: Any = sums if leg >= 0 else sums.get(0, 0)
        self.messages[key] = (message, (table, weights, domains))  # kept alive, so that no id is used twice
        return message

    # the core

    def _component(self) -> list[int]:
        """Remove a connected set of factors and return it, in the order of joining."""
        links = {n: [v for v in self.factors[n][1] if len(self.domains[v]) > 1] for n in self.alive}
        found, stack = set(), [min(self.alive)]
        while stack:
            number = stack.pop()
            if number not in found:
                found.add(number)
                stack += [n for v in links[number] for n in self.holders[v] if n in self.alive and n not in found]
        self.alive -= found
        # of cycles that are equally short, one where few positions are left
        few = sorted(found, key=lambda n: (prod(len(self.domains[v]) for v in links[n]), n))
        return joining_order({n: links[n] for n in few})

    def _join(self, order: list[int]) -> None:
        last = {v: step for step, number in enumerate(order) for v in self.factors[number][1]}
        constant = {v: next(iter(self.domains[v])) for v in last if len(self.domains[v]) == 1}
        live: tuple[int, ...] = ()
        rows: dict[Row, Any] = {(): 1}
        for step, number in enumerate(order):
            table, variables = self.factors[number]
            known = [k for k, v in enumerate(variables) if v in live or v in constant]
            new = [v for v in variables if v not in live and v not in constant]
            # constants stand behind the live variables, so that one picker makes the key
            tail = tuple(constant[variables[k]] for k in known if variables[k] in constant)
            places = iter(range(len(live), len(live) + len(tail)))
            key = picker([next(places) if variables[k] in constant else live.index(variables[k]) for k in known])
            kept = picker([k for k, v in enumerate(live) if last[v] > step])
            fresh = picker([k for k, v in enumerate(new) if last[v] > step])
            index = table.index(tuple(known))
            allowed = self._allowed(number, new)
            joined: dict[Row, Any] = {}
            made = len(rows)
            for row, count in rows.items():
                matches = index.get(key(row + tail))
                if matches is None:
                    continue
                base = kept(row)
                made += len(matches)
                for rest, value in matches:
                    weight = count * value
                    if allowed is not None:
                        weight *= allowed(rest)
                        if not weight:
                            continue
                    target = base + fresh(rest)
                    joined[target] = joined.get(target, 0) + weight
                if made > 10_000:
                    self.work.spend(made)
                    made = 0
            self.work.spend(made)
            rows = {k: w for k, w in joined.items() if w}
            live = tuple(v for v in live if last[v] > step) + tuple(v for v in new if last[v] > step)
            if not rows:
                self.total = 0
                return
        self.total *= rows[()]

    def _allowed(self, number: int, new: list[int]) -> Callable[[Row], Any] | None:
        """Return the weight of new positions; None if it is always 1."""
        tests = [
            (k, self.weights.get(v) or dict.fromkeys(self.domains[v], 1))
            for k, v in enumerate(new)
            if v in self.weights or len(self.domains[v]) < len(self._column(number, v))
        ]
        return (lambda rest: prod(weight.get(rest[k], 0) for k, weight in tests)) if tests else None
