"""Checking certificates: files, and that a certificate is about a given claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from errno import EISDIR
from pathlib import Path
from typing import Any

from tensoralg.errors import InvalidExpression
from tensoralg.proof import checker
from tensoralg.proof.prove import state


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
    if isinstance(certificate, Mapping):
        return checker.check(certificate, wanted)
    if not isinstance(certificate, str | Path):
        return False
    try:
        text = Path(certificate).read_text(encoding="utf-8")
    except ValueError:  # bytes that are no text, or a name that is none
        return False
    return checker.check(text, wanted)


def encoded(claim: Sequence[Any]) -> Any:
    """Return a claim in the language of certificates, as JSON would hold it."""
    if not isinstance(claim, list | tuple) or len(claim) not in (2, 3, 4):
        raise InvalidExpression(f"claim={claim!r} is no claim", remedy="give (lhs, rhs, given, sizes)")
    given = claim[2] if len(claim) > 2 else ()
    sizes = claim[3] if len(claim) > 3 else None
    return json.loads(json.dumps(state(claim[0], claim[1], given or (), sizes).encoded))


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
