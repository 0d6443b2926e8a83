"""Reports of streams: text for terminals, and JSON."""

from __future__ import annotations

from typing import Any, TextIO

from tensoralg.errors import NotStreamable, counted
from tensoralg.stream.statement import StreamVerdict
from tensoralg.stream.stream import Stream


def merge_of(found: Stream) -> tuple[dict[str, Any], str]:
    """Return the merge of a stream; or none, and why its segments do not merge."""
    try:
        return found.merge, ""
    except NotStreamable as error:
        return {}, error.what


def status_of(found: Stream) -> str:
    """Return "proved" where all laws are, and "unknown" otherwise.

    Examples
    --------
    >>> import tensoralg as ta
    >>> status_of(ta.stream(ta.parse("O[t] = le[s,t]*v[s]", {"t,s": "n ordered"})))
    'proved'
    """
    return "proved" if all(found.verdicts.values()) else "unknown"


def print_stream(found: Stream, file: TextIO | None = None) -> None:
    """Print a stream: states, step, output and merge, what they cost, and which laws are proved.

    Parameters
    ----------
    found : Stream
    file : file, optional
        Standard output by default.
    """
    print("\n".join(f"stream of {definition}" for definition in found.definitions), file=file)
    print(f"along {found.along}, from the {'last' if found.reverse else 'first'} token on\n", file=file)
    merge, why = merge_of(found)
    rows = [("state", found.states.values()), ("step", found.step.values()), ("output", found.outputs)]
    for title, definitions in [*rows, ("merge", merge.values())]:
        for definition in definitions:
            print(f"  {title:<8} {definition}", file=file)
    if why:
        print(f"  merge    none: {why}", file=file)
    packed = "" if found.packed_size == found.state_size else f", {found.packed_size} of them independent"
    print(f"\n  numbers  {found.state_size}{packed}", file=file)
    print(f"  FLOPs    {found.flops_per_token} for a token", file=file)
    for name, verdict in found.verdicts.items():
        print(f"  law      {verdict.status:<8} {name}", file=file)
    proved = sum(map(bool, found.verdicts.values()))
    print(f"\n{status_of(found)}: {proved} of {counted(len(found.verdicts), 'law')}, for all sizes", file=file)


def stream_json(found: Stream) -> dict[str, Any]:
    """Return a stream as JSON: definitions and polynomials as strings.

    Examples
    --------
    >>> import tensoralg as ta
    >>> answer = stream_json(ta.stream(ta.parse("O[t] = le[s,t]*v[s]", {"t,s": "n ordered"})))
    >>> answer["step"], answer["state_size"], answer["status"]
    ({'S1': 'S1[] = S1[] + v[]'}, '1', 'proved')
    """
    merge, why = merge_of(found)
    return {
        "definitions": [str(definition) for definition in found.definitions],
        "along": found.along.name,
        "reverse": found.reverse,
        "states": {name: str(definition) for name, definition in found.states.items()},
        "step": {name: str(definition) for name, definition in found.step.items()},
        "outputs": [str(definition) for definition in found.outputs],
        "merge": {name: str(definition) for name, definition in merge.items()},
        "no_merge": why or None,
        "state_size": str(found.state_size),
        "packed_size": str(found.packed_size),
        "flops_per_token": str(found.flops_per_token),
        "laws": {name: verdict.status for name, verdict in found.verdicts.items()},
        "status": status_of(found),
    }


def refusal_json(error: NotStreamable, verdict: StreamVerdict) -> dict[str, Any]:
    """Return why a definition was refused as JSON; `verdict` tells *impossible* from *not found*."""
    witness = verdict.counterexample
    return {
        "status": "not streamable",
        "reason": error.what,
        "remedy": error.remedy,
        "factor": None if error.factor is None else str(error.factor),
        "impossible": verdict.status == "refuted",
        "counterexample": witness and witness.to_json(),
    }
