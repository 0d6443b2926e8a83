"""Every error a user can meet: what was wrong, where, and what to do about it.

All errors derive from :class:`TensoralgError`.  The facts that the message speaks of are attributes
as well, so that programs (and tests) need not read the text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "Ambiguous",
    "ArchiveRefused",
    "BudgetExceeded",
    "ClaimError",
    "EvaluationError",
    "ExportFailed",
    "FactConflict",
    "FreeIndexMismatch",
    "ImplicitSumWarning",
    "IndexConflict",
    "InputMismatch",
    "InvalidDimension",
    "InvalidExpression",
    "InvalidSize",
    "LegCountMismatch",
    "LostRank",
    "MemoryLimit",
    "MissingDependency",
    "MissingSize",
    "NeedsSizes",
    "NotAnEinsum",
    "NotMultilinear",
    "NotStreamable",
    "ParseError",
    "RanksDisagree",
    "ShadowedIndex",
    "ShapeMismatch",
    "SpaceMismatch",
    "TensoralgError",
    "Undecided",
    "UnknownName",
    "UnknownSize",
    "UnorderedSpace",
    "UsageError",
    "ValidationFailed",
    "counted",
    "suggest",
]


SHOWN = 80  # characters of a long line that an error shows on either side of the spot


class TensoralgError(Exception):
    """Base of all errors of this library.

    Parameters
    ----------
    what : str
        What was wrong and where, naming the culprit.
    remedy : str
        What to do.
    **facts
        The same facts as attributes of the error.

    Examples
    --------
    >>> error = TensoralgError("size n = -1 is negative", remedy="give n >= 1", size="n")
    >>> print(error)
    size n = -1 is negative
      remedy: give n >= 1
    >>> error.size
    'n'
    """

    def __init__(self, what: str, *, remedy: str = "", **facts: Any) -> None:
        self.what = what
        self.remedy = remedy
        self.facts = facts
        super().__init__(what + (f"\n  remedy: {remedy}" if remedy else ""))

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.what, self.remedy, self.facts)


def _restore(kind: type[TensoralgError], what: str, remedy: str, facts: dict[str, Any]) -> TensoralgError:
    error = kind.__new__(kind)
    TensoralgError.__init__(error, what, remedy=remedy, **facts)
    return error


class InvalidDimension(TensoralgError):
    """A dimension is not a positive integer or a positive-integer symbol."""


class InvalidSize(TensoralgError):
    """A size given for a dimension is not a positive integer."""


class UnknownSize(TensoralgError):
    """A size was given for a dimension that does not occur."""


class MissingSize(TensoralgError):
    """A dimension has no size, and none of the arrays tells it."""


class NeedsSizes(TensoralgError):
    """The answer differs between sizes; give sizes, or look at the regimes."""


class SpaceMismatch(TensoralgError):
    """Two spaces that have to agree do not."""


class Ambiguous(TensoralgError):
    """Several things answer to what was asked for, and nothing says which is meant."""


class IndexConflict(TensoralgError):
    """One index is used over two different spaces."""


class UnorderedSpace(TensoralgError):
    """A mask, a decay or a window over a space without an order."""


class ShadowedIndex(TensoralgError):
    """An index is bound inside the scope of an index of the same name."""


class LegCountMismatch(TensoralgError):
    """A tensor was indexed with the wrong number of indices."""


class ShapeMismatch(TensoralgError):
    """An array does not have the shape that its tensor's legs demand."""


class InputMismatch(TensoralgError):
    """An input of an operator is no floating tensor, or inputs differ in dtype or device."""


class UnknownName(TensoralgError):
    """A name that means nothing here; the nearest valid one is proposed."""


class FactConflict(TensoralgError):
    """Facts declared about one tensor or one space contradict each other."""


class FreeIndexMismatch(TensoralgError):
    """The two sides of a claim do not have the same free indices."""


class InvalidExpression(TensoralgError):
    """Something that cannot be a term of an expression."""


class NotAnEinsum(TensoralgError):
    """The expression is not one product that an einsum string can say."""


class EvaluationError(TensoralgError):
    """The expression is undefined at the given values, or they cannot be used exactly."""


class BudgetExceeded(TensoralgError):
    """A stated budget was used up before the computation ended."""


class MemoryLimit(TensoralgError):
    """No order of contraction keeps to the memory limit."""


class NotMultilinear(TensoralgError):
    """A map is not (symmetric, alternating) multilinear as it has to be."""


class NotStreamable(TensoralgError):
    """No stream was found; `.proved` tells *impossible* from *not found*, `.factor` is what is in the way."""

    @property
    def proved(self) -> bool:
        """Whether it was shown that no state of constant size exists."""
        return bool(self.facts.get("proved", False))

    @property
    def factor(self) -> Any:
        """The factor that couples a past time with a later one, if that is the reason."""
        return self.facts.get("factor")


class ValidationFailed(TensoralgError):
    """A program could not be proved equal to its definition, so it is not returned."""


class LostRank(TensoralgError):
    """A rank of a process group failed or did not answer in time; the group cannot be used any more."""


class RanksDisagree(TensoralgError):
    """The ranks of a process group were given inputs that do not belong together."""


class ClaimError(TensoralgError):
    """A claim, or a file of claims, could not be run."""


class ExportFailed(TensoralgError):
    """An operator could not be exported in the format asked for."""


class ArchiveRefused(TensoralgError):
    """An exported file is not what its model card says, or holds what is not safe to load."""


class MissingDependency(TensoralgError):
    """An optional package is not installed."""


class UsageError(TensoralgError):
    """The command line, or what a call chooses, is used wrongly."""


class ParseError(TensoralgError):
    """The text is not in the language; the caret stands under the spot.

    Attributes
    ----------
    text : str
        The line that was read.
    position : int
        The column, from 0, at which reading stopped.
    """

    def __init__(self, what: str, text: str, position: int, *, remedy: str = "") -> None:
        line_start = text.rfind("\n", 0, position) + 1
        line_end = text.find("\n", position)
        line = text[line_start : line_end if line_end >= 0 else len(text)].expandtabs(1)
        column = position - line_start
        first = max(0, column - SHOWN) if len(line) > 2 * SHOWN else 0
        shown = line[first : first + 2 * SHOWN] if len(line) > 2 * SHOWN else line
        before, after = ("..." if first else ""), ("..." if first + len(shown) < len(line) else "")
        pointer = f"\n  {before}{shown}{after}\n  {' ' * (len(before) + column - first)}^"
        super().__init__(what + pointer, remedy=remedy, text=line, position=column)


class ImplicitSumWarning(UserWarning):
    """An index is summed around a whole term though it occurs only inside a function or a denominator."""


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun; the plural is the noun with an s, unless it is given.

    Examples
    --------
    >>> counted(1, "claim"), counted(0, "claim"), counted(2, "index", "indices")
    ('1 claim', '0 claims', '2 indices')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a remedy that proposes the valid name nearest to `name`.

    Examples
    --------
    >>> suggest("Qq", ["Q", "K"])
    "did you mean 'Q'? known: K, Q"
    """
    names = sorted(set(known))
    listing = "known: " + (", ".join(names) if names else "none")
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? {listing}" if near else listing


class Undecided(TensoralgError):
    """The decision procedure met something outside its rules; the verdict is unknown."""
