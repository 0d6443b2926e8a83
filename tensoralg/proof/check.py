"""Checking certificates: files, and that a certificate is about a given claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from errno import EISDIR
from pathlib import Path
from typing import Any

from tensoralg.errors import InvalidExpression
from tensoralg.proof import checker
from tensoralg.proof.prove import pairs_of, state

FIELDS = ("format", "version", "claim", "proof")
SHORT = 60  # characters of a value that a message quotes
# how Python begins to complain of lists of a wrong length; the checker's own words begin otherwise
PYTHON_SAYS = ("not enough values", "too many values", "zip()", "invalid literal", "min()", "max()", "Exceeds")
COUNTED = "a list is shorter or longer than it has to be"
MISTYPED = "a text, a number, a list or an object stands where another kind belongs"


def check(certificate: str | Path | Mapping[str, Any], claim: Sequence[Any] | None = None) -> bool:
    """Return whether a certificate is complete and valid, and about a given claim.

    Parameters
    ----------
    certificate : str, Path or dict
        A file, or what it holds.
    claim : (lhs, rhs), (lhs, rhs, given) or (lhs, rhs, given, sizes), optional
        What the certificate has to be about, as for `prove`: a valid certificate of ``A == A`` passes for nothing else.

    Returns
    -------
    bool
        False for whatever is no valid certificate (of this claim); nothing in a file makes this raise.

    Raises
    ------
    OSError
        If the file cannot be read.
    InvalidExpression, FreeIndexMismatch, ...
        If `claim` is no claim.

    Examples
    --------
    >>> import tensoralg as ta
    >>> left = ta.parse("A[i,j]*x[j]", indices={"i,j": "n"}, free=("i",))
    >>> right = ta.parse("x[j]*A[i,j]", indices={"i,j": "n"}, free=("i",))
    >>> proof = ta.prove(left, right).certificate
    >>> check(proof), check(proof, claim=(left, right)), check(proof, claim=(left, left))
    (True, True, False)
    """
    wanted = None if claim is None else encoded(claim)
    return checker.check(_contents(certificate), wanted)


def refusal(certificate: str | Path | Mapping[str, Any], claim: Sequence[Any] | None = None) -> str:
    """Return why a certificate is refused, in one line; empty if `check` accepts it.

    Parameters
    ----------
    certificate : str, Path or dict
        A file, or what it holds.
    claim : (lhs, rhs), (lhs, rhs, given) or (lhs, rhs, given, sizes), optional
        What the certificate has to be about.

    Raises
    ------
    OSError
        If the file cannot be read.
    InvalidExpression, FreeIndexMismatch, ...
        If `claim` is no claim.

    Examples
    --------
    >>> import tensoralg as ta
    >>> left = ta.parse("A[i,j]*x[j]", indices={"i,j": "n"}, free=("i",))
    >>> right = ta.parse("x[j]*A[i,j]", indices={"i,j": "n"}, free=("i",))
    >>> proof = ta.prove(left, right).certificate
    >>> refusal(proof), refusal(proof, claim=(left, left))
    ('', 'it is about another claim')
    >>> refusal({**proof, "version": 7})
    'its version is 7; this library checks version 2'
    >>> refusal({**proof, "claim": {**proof["claim"], "rhs": 0}})
    'the proof does not hold: a difference does not vanish'
    """
    wanted = None if claim is None else encoded(claim)
    content = _contents(certificate)
    try:
        if isinstance(content, str):
            if len(content) > checker.LONGEST:
                return f"it is longer than {checker.LONGEST} characters"
            content = json.loads(content)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"it is not JSON: {error}"
    return _misfit(content) or _fault(content, wanted)


def _contents(certificate: Any) -> Any:
    """Return what a file holds as text, None if that is no text; anything but a path as it is."""
    if not isinstance(certificate, str | Path):
        return certificate
    try:
        return Path(certificate).read_text(encoding="utf-8")
    except ValueError:  # bytes that are no text, or a name that is none
        return None


def _misfit(content: Any) -> str:
    """Return in what the outer form of a value differs from that of a certificate; empty if in nothing."""
    if content is None:
        return "it is not JSON: it is no text"
    if not isinstance(content, Mapping):
        return f"it is {shown(content)}; a certificate is an object with the fields " + ", ".join(FIELDS)
    if "format" in content and content["format"] != checker.FORMAT:
        return f"its format is {shown(content['format'])}; this library checks {checker.FORMAT!r}"
    if "version" in content and (type(content["version"]), content["version"]) != (int, checker.VERSION):
        return f"its version is {shown(content['version'])}; this library checks version {checker.VERSION}"
    for name in FIELDS:
        if name not in content:
            return f"it lacks the field {name!r}"
    if extra := [name for name in content if name not in FIELDS]:
        return f"it has a field {shown(extra[0])}, which a certificate has not"
    for name in ("claim", "proof"):
        if not isinstance(content[name], Mapping):
            return f"its {name} is {shown(content[name])}, and not an object with fields"
    return ""


def _fault(content: Mapping[str, Any], wanted: Any) -> str:
    """Return why the checker refuses a certificate of the outer form; empty if it accepts it."""
    try:
        found = checker.verify(content)
        return "" if wanted is None or found == checker.frozen(wanted) else "it is about another claim"
    except RecursionError:
        return "it is nested too deeply"
    except MemoryError:
        return "it needs more memory than there is"
    except checker.ERRORS as error:
        said = str(error)
        if isinstance(error, KeyError) and error.args:
            return f"malformed: it lacks, or does not declare, {shown(error.args[0])}"
        if type(error) is ValueError and not said.startswith(PYTHON_SAYS):
            return f"the proof does not hold: {said}"
        return f"malformed: {COUNTED if isinstance(error, ValueError | LookupError | StopIteration) else MISTYPED}"


def shown(value: Any) -> str:
    """Return a value in a few words.

    Examples
    --------
    >>> shown("n"), shown([1, 2]), shown("x" * 1000)
    ("'n'", 'a list', 'a long text')
    """
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= SHORT):
        return repr(value)
    if isinstance(value, str) and len(value) <= SHORT:
        return repr(value)
    names: dict[Any, str] = {
        str: "a long text",
        int: "a long number",
        list: "a list",
        tuple: "a list",
        dict: "an object",
    }
    return names.get(type(value)) or f"a {type(value).__name__}"


def encoded(claim: Sequence[Any]) -> Any:
    """Return a claim in the language of certificates, as JSON would hold it."""
    if not isinstance(claim, list | tuple) or len(claim) not in (2, 3, 4):
        raise InvalidExpression(f"claim={claim!r} is no claim", remedy="give (lhs, rhs, given, sizes)")
    given = claim[2] if len(claim) > 2 else ()
    sizes = claim[3] if len(claim) > 3 else None
    return json.loads(json.dumps(state(claim[0], claim[1], pairs_of(given or ()), sizes).encoded))


def write_certificate(certificate: Mapping[str, Any], path: Path) -> None:
    """Write a certificate as JSON, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "is a folder")
        part.write_text(json.dumps(certificate) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
