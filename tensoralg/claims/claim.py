"""Claims: what somebody says about operators, where, and whether we expect it to be true.

A claim is a function without arguments under the decorator `claim`.  It returns a statement:

- an equation ``(lhs, rhs)``, or ``(lhs, rhs, hypotheses)``, which `prove` decides; or
- an object with a method ``decide()`` that returns a verdict (a statement of cost or of a stream).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from tensoralg.errors import ClaimError
from tensoralg.proof import prove

Expected: TypeAlias = Literal["proved", "refuted"]
Hypotheses: TypeAlias = "Sequence[tuple[Any, Any]]"


@runtime_checkable
class Statement(Protocol):
    """Anything that decides itself."""

    def decide(self) -> Any:
        """Return a verdict: an object with ``status`` and ``explain()``."""


@dataclass(frozen=True)
class Equation:
    """Two sides that are claimed equal, under hypotheses, at fixed values of some dimensions."""

    lhs: Any
    rhs: Any
    given: tuple[tuple[Any, Any], ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)

    def claim(self) -> tuple[Any, ...]:
        """Return the claim as `check` takes it."""
        return self.lhs, self.rhs, list(self.given), dict(self.fixed) or None

    def decide(self) -> Any:
        """Return the verdict of `prove`."""
        return prove(self.lhs, self.rhs, given=list(self.given), sizes=dict(self.fixed) or None)


@dataclass(frozen=True)
class Claim:
    """A claim as its file states it; made by the decorator `claim`."""

    name: str
    module: str
    says: str
    source: str
    function: Callable[[], Any]
    expected: Expected = "proved"
    given: tuple[tuple[Any, Any], ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    kernel: bool = True
    mutation: Callable[[], Any] | None = None

    def statement(self) -> Statement:
        """Return what is claimed, by calling the claim's function."""
        return self._statement(self.function)

    def mutated(self) -> Statement | None:
        """Return the false variant of the claim, or None if it names none."""
        return None if self.mutation is None else self._statement(self.mutation)

    def _statement(self, function: Callable[[], Any]) -> Statement:
        made = function()
        if isinstance(made, Statement):
            return made
        if isinstance(made, tuple) and len(made) in (2, 3):
            lhs, rhs, *more = made
            return Equation(lhs, rhs, (*self.given, *(more[0] if more else ())), self.fixed)
        raise ClaimError(
            f"claim {self.name} returned {made!r}, which is no statement",
            remedy="return (lhs, rhs), (lhs, rhs, hypotheses), or a statement of cost",
            claim=self.name,
        )


def claim(
    *,
    source: str,
    expected: Expected = "proved",
    given: Hypotheses = (),
    fixed: Mapping[str, int] | None = None,
    sizes: Mapping[str, int] | None = None,
    kernel: bool = True,
    mutation: Callable[[], Any] | None = None,
) -> Callable[[Callable[[], Any]], Claim]:
    """Make a function without arguments a claim, named like the function.

    Parameters
    ----------
    source : str
        Where the claim is made: a paper and its section, or "textbook", or "definition".
    expected : "proved" or "refuted"
        What we expect of it.
    given : sequence of pairs, optional
        Hypotheses ``(l, r)``, each for all values of its free indices.
    fixed : mapping of str to int, optional
        Dimensions at which the claim is to be decided, instead of for all.
    sizes : mapping of str to int, optional
        Dimensions at which the kernel of the left side is run.
    kernel : bool
        Whether the left side of a true equation is compiled, run and held to its error bound.
    mutation : callable, optional
        A function that returns a false variant, which the runner must see refuted.

    Raises
    ------
    ClaimError
        If the expectation is none of the two, or a mutation is named for a claim expected to be false.

    Examples
    --------
    >>> import tensoralg as ta
    >>> V = ta.Space("V", "n")
    >>> i, j = V.indices("i j")
    >>> A, x = ta.tensor("A", V @ V), ta.tensor("x", V)
    >>> @claim(source="textbook", sizes={"n": 8})
    ... def products_commute():
    ...     '''The factors of a product commute.'''
    ...     return ta.define((i,), A[i, j] * x[j]), ta.define((i,), x[j] * A[i, j])
    >>> products_commute.name, products_commute.statement().decide().status
    ('products_commute', 'proved')
    """
    if expected not in ("proved", "refuted"):
        raise ClaimError(f"a claim is expected {expected!r}", remedy='expect "proved" or "refuted"')
    if mutation is not None and expected != "proved":
        raise ClaimError(
            "a claim that is expected to be refuted names a mutation", remedy="only true claims are mutated"
        )

    def decorate(function: Callable[[], Any]) -> Claim:
        return Claim(
            name=function.__name__,
            module=function.__module__,
            says=" ".join((function.__doc__ or "").split()),
            source=source,
            function=function,
            expected=expected,
            given=tuple(given),
            fixed=dict(fixed or {}),
            sizes=dict(sizes or {}),
            kernel=kernel,
            mutation=mutation,
        )

    return decorate
