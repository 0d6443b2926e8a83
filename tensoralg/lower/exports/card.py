"""Model cards: what an exported file computes, what was proved and measured of it, and its digest.

A card is JSON and stands beside the file, as ``PATH.card.json``.  Its digest of the file tells that the file is the
one that was exported; whoever can write both can forge both, so that it guards against damage and mistakes, and
against tampering only where the card comes from elsewhere.  The certificates can be checked by anyone.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tensoralg.errors import ArchiveRefused
from tensoralg.expr import to_latex
from tensoralg.lower.exports.forms import Form, arguments, fixed_sizes
from tensoralg.lower.streams import StreamOperator
from tensoralg.lower.validate import prove_equal
from tensoralg.lower.verify import Report
from tensoralg.proof import refusal

CARD, VERSION = "tensoralg model card", 1
FIELDS = {"card": str, "version": int, "format": str, "sha256": str, "inputs": list, "outputs": list, "proofs": list}
PACKAGES = {"pt2": (), "source": (), "onnx": ("onnx", "onnxscript")}


def card_path(path: Path) -> Path:
    """Return where the card of a file is.

    Examples
    --------
    >>> card_path(Path("models/attention.pt2")).name
    'attention.pt2.card.json'
    """
    return path.with_name(f"{path.name}.card.json")


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces: equal values have equal bytes.

    Examples
    --------
    >>> canonical({"b": (1, 2), "a": None})
    b'{"a":null,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def proofs_of(form: Form) -> list[dict[str, Any]]:
    """Return what was proved of an export, with certificates: its programs, and the laws of a stream."""
    kernel = form.kernel
    programs = kernel.programs if form.chosen is None else (kernel.programs[form.chosen],)
    found = []
    for k, program in enumerate(programs):
        which = f"program {k + 1} of {len(programs)}" if len(programs) > 1 else "the program"
        verdicts = prove_equal(kernel.definitions, kernel.tensors, program)
        found += [
            (f"{which} computes {one.name}", verdict) for one, verdict in zip(kernel.definitions, verdicts, strict=True)
        ]
    if isinstance(form.operator, StreamOperator) and form.pieces:
        found += [(f"the stream: {law}", verdict) for law, verdict in form.operator.stream.verdicts.items()]
    return [
        {
            "says": says,
            "status": verdict.status,
            "certificate_sha256": None if verdict.certificate is None else digest(canonical(verdict.certificate)),
            "certificate": verdict.certificate,
        }
        for says, verdict in found
    ]


def make_card(
    form: Form, kind: str, data: bytes, dtype: torch.dtype, batch: Mapping[str, int], proofs: Sequence[Any],
    measured: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Return the card of an exported file.

    Parameters
    ----------
    form : Form
        What was exported.
    kind : str
        "pt2", "onnx" or "source".
    data : bytes
        The file.
    dtype : torch.dtype
        Of inputs and outputs.
    batch : mapping of str to int
        How many batch axes each input has.
    proofs, measured
        From `proofs_of` and `measurement`.
    """
    operator = form.operator
    legs = {tensor.name: [str(leg.dimension) for leg in tensor.legs] for tensor in operator.tensors}
    name = str(dtype).removeprefix("torch.")
    every = kind == "source"
    return {
        "card": CARD,
        "version": VERSION,
        "format": kind,
        "sha256": digest(data),
        "definitions": [
            {"name": one.name, "text": str(one), "latex": to_latex(one)} for one in operator.definitions
        ],
        "inputs": [
            {
                "name": n,
                "legs": legs[n],
                "dtype": "any floating dtype" if every else name,
                "batch_axes": "any" if every else batch[n],
            }
            for n in operator.inputs
        ],
        "parameters": [
            {"name": n, "legs": legs[n], "shape": list(getattr(operator, n).shape), "stored": not every}
            for n in arguments(operator)[len(operator.inputs) :]
        ],
        "outputs": [
            {"name": one.name, "legs": [str(leg.space.dimension) for leg in one.legs]} for one in operator.definitions
        ],
        "fixed_sizes": operator.sizes if every else fixed_sizes(operator),
        "other_sizes": "any, from 1 on",
        "form": form.name,
        "chunk_length": form.length,
        "costs": _costs(form),
        "notes": notes_of(form, kind),
        "proofs": list(proofs),
        "measured": dict(measured),
        "versions": dict(_versions(kind)),
    }  # fmt: skip


def _costs(form: Form) -> dict[str, Any]:
    plan, kernel = form.operator.plan, form.kernel
    found = {name: str(getattr(plan, name)) for name in ("flops", "pointwise", "largest", "peak")}
    found["programs"] = [str(cost) for cost in kernel.costs]  # type: ignore[assignment]
    if form.pieces:
        found["programs_of"] = "a chunk" if form.name == "chunked" else "a token"
        found["chosen_program"] = (form.chosen or 0) + 1  # type: ignore[assignment]
    return found


def notes_of(form: Form, kind: str) -> list[str]:
    """Return what somebody who runs an export has to know."""
    notes = []
    if form.name == "chunked":
        notes.append(
            f"runs on chunks of {form.length} tokens, at least two; the last one is filled up with copies of the last "
            "token. A token that is not finite may spoil the outputs at the tokens before it in the same chunk."
        )
    if form.pieces and len(form.kernel.programs) > 1:
        notes.append("its kernel has several programs; the one that is cheapest where all sizes are 64 was exported")
    if len(form.kernel.programs) > 1 and form.chosen is None:
        notes.append("has several programs; the one that is cheapest at the sizes of a call runs")
    if kind == "onnx":
        notes.append("the bound holds for torch; how a runtime rounds exp and the like is not covered")
    if kind == "source" and form.operator.inputs != form.operator.order:
        notes.append("parameters are arguments after the inputs; their values are not in the file")
    return notes


def measurement(report: Report, of: str) -> dict[str, Any]:
    """Return what a comparison with the exact definition found; numbers that are not finite are None."""

    def number(x: float) -> float | None:
        return x if math.isfinite(x) else None

    return {
        "of": of,
        "sizes": dict(report.sizes),
        "dtype": report.dtype,
        "seed": report.seed,
        "error": number(report.error),
        "bound": number(report.bound),
        "within_bound": report.ok,
        "assumptions": list(report.assumptions),
    }


def _versions(kind: str) -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for package in ("tensoralg", "torch", *PACKAGES[kind]):
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "unknown"


# reading


def read_card(path: str | Path) -> dict[str, Any]:
    """Return the model card of an exported file, after comparing the file with the card's digest.

    Parameters
    ----------
    path : str or Path
        The file; the card is beside it.

    Raises
    ------
    OSError
        If the file cannot be read.
    ArchiveRefused
        If there is no card, it is none of ours, or the file is not the one that it was written for.
    """
    return checked_card(Path(path))[0]


def checked_card(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the card of a file and the bytes that its digest was compared with."""
    data = path.read_bytes()
    beside = card_path(path)
    try:
        card = json.loads(beside.read_bytes())
    except FileNotFoundError:
        raise ArchiveRefused(
            f"{path} has no model card: there is no {beside.name}",
            remedy="keep the two files that export writes together, or export again",
            path=str(path),
        ) from None
    except (ValueError, RecursionError):
        raise _no_card(beside, "it is not JSON") from None
    if not isinstance(card, dict) or card.get("card") != CARD:
        raise _no_card(beside, "it does not say that it is one")
    for field, kind in FIELDS.items():
        if not isinstance(card.get(field), kind):
            raise _no_card(beside, f"its {field!r} is missing or of another kind")
    if card["version"] != VERSION:
        raise _no_card(beside, f"its version is {card['version']}, and this library reads version {VERSION}")
    if not re.fullmatch("[0-9a-f]{64}", card["sha256"]) or digest(data) != card["sha256"]:
        raise ArchiveRefused(
            f"{path} is not the file that its model card was written for: the digests differ",
            remedy="it was changed or damaged after it was exported; get it again",
            path=str(path),
        )
    return card, data


def _no_card(path: Path, why: str) -> ArchiveRefused:
    return ArchiveRefused(f"{path} is no model card: {why}", remedy="export again", path=str(path))


def refused_proof(card: Mapping[str, Any]) -> str:
    """Return why a proof in a card is refused, in one line; empty if all are valid."""
    if not card["proofs"]:
        return "it holds no proofs"
    for proof in card["proofs"]:
        if not isinstance(proof, dict) or not isinstance(proof.get("certificate"), dict):
            return "a proof has no certificate"
        why = refusal(proof["certificate"])
        if why:
            return f"{proof.get('says')}: {why}"
        if proof.get("certificate_sha256") != digest(canonical(proof["certificate"])):
            return f"{proof.get('says')}: its digest is another one"
    return ""


def refused_export(path: str | Path) -> str:
    """Return why an exported file, or its card, is not what it claims to be, in one line; empty if it is.

    The file is compared with the card's digest, and every certificate in the card is checked.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    name = str(path)
    try:
        return refused_proof(read_card(name.removesuffix(".card.json")))
    except ArchiveRefused as error:
        return error.what
