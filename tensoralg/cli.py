"""The command line: ``tensoralg verify | prove | plan | stream | export | check``.

Answers go to standard output (with ``--json``: JSON and nothing else), everything else to standard
error.  Exit codes: verify 0 all as expected, 1 a claim is not, 2 something could not be run; prove
0 proved, 1 refuted, 3 unknown; stream 0 proved, 1 not streamable, 3 unknown; export 0 written; check
0 valid, 1 not; always 2 for input that cannot be used.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tensoralg.errors import NotStreamable, TensoralgError, UsageError

BAD_USAGE = 2
SIZE_OPTIONS = ("--fix", "--size")
SIZES = re.compile(r"[\w\s,]+=[^=\[\]]*(,[\w\s]+=[^=\[\]]*)*")
EXPRESSION = re.compile(r"-[^-].*[\[(=]")
PROVE_CODES = {"proved": 0, "refuted": 1, "unknown": 3}

LANGUAGE = """\
The text form of expressions: products with *, entries A[i,j], delta[i,j], masks le[i,j] and lt[i,j],
exp(..) log(..) sqrt(..) relu(..) pow(..,2) softmax(s: ..) sum(i,j: ..).  An index that is not free is
summed around the term in which it stands.
"""
VERIFY = """\
Run the claims in Python files: prove or refute each one, plan its contraction, run its kernel and hold it
to its error bound.

RUNNING A CLAIM FILE EXECUTES IT AS PYTHON: verify only files that you would run."""
VERIFY_EXAMPLES = """\
examples:
  tensoralg verify                          the claims in proofs/
  tensoralg verify proofs/attention.py      one file
  tensoralg verify --json --certificates certificates/ > report.json

exit codes: 0 all claims are as expected, 1 a claim is not, 2 a file or claim could not be run"""
PROVE = "Prove or refute that two expressions are equal for all sizes and all values of their tensors."
PROVE_EXAMPLES = f"""\
{LANGUAGE}
examples:
  tensoralg prove "(Q[t,f]+R[t,f])*K[s,f] == Q[t,f]*K[s,f] + R[t,f]*K[s,f]" --indices "t,s: n; f: d" --free t,s
  tensoralg prove "A[i,j]*B[j,i] == B[i,j]*A[j,i]" --indices "i,j: n"
  tensoralg prove "A[i,j]*A[j,i] == A[i,j]*A[i,j]" --indices "i,j: n" --tensors "A: n n sym"
  tensoralg prove "U[i,a]*U[i,b]*x[b] == x[a]" --indices "i: m; a,b: n" --free a \\
      --given "U[i,a]*U[i,b] == delta[a,b]"
  tensoralg prove "sum(s: P[t,s]*c[]) == c[]" --indices "t,s: n" --free t --given "sum(s: P[t,s]) == 1 for t"

exit codes: 0 proved, 1 refuted (the counterexample is shown), 3 unknown, 2 bad usage"""
CHECK = """\
Check certificates of proofs: that they are complete and valid.  Of an exported file (or its card) the digest is
compared, and all certificates in the card are checked.

Proofs are checked by one file, tensoralg/proof/checker.py, which uses nothing else of the library."""
CHECK_EXAMPLES = """\
examples:
  tensoralg prove "A[i,j]*B[j,i] == B[i,j]*A[j,i]" --indices "i,j: n" --certificate trace.json
  tensoralg check trace.json
  tensoralg check attention.pt2

exit codes: 0 every certificate (and digest) is valid, 1 one is not, 2 a file cannot be read"""
PLAN = "Show what an expression costs and in which order it should be contracted, for all sizes or at given ones."
PLAN_EXAMPLES = f"""\
{LANGUAGE}
examples:
  tensoralg plan "t f, s f, s e -> t e" --indices "t,s: n; f,e: d"
  tensoralg plan "O[t,e] = Q[t,f]*K[s,f]*V[s,e]" --indices "t,s: n; f,e: d" --size n=4096 d=64
  tensoralg plan "O[t,e] = Q[t,f]*K[s,f]*V[s,e]" --indices "t,s: n; f,e: d" --map n,d --svg attention.svg
  tensoralg plan "ab,bc,cd->ad" --size a=30,b=2,c=40,d=3 --minimize largest --memory-limit 120
  tensoralg plan "Q[t,f]*K[s,f]*V[s,e]" --indices "t,s: n; f: d; e: c" --free t,e --json

exit codes: 0 planned, 2 input that cannot be used"""

STREAM = """\
Derive a stream: what a causally masked definition carries from token to token, its step, its output, and how
segments of tokens merge; each proved, for all sizes."""
STREAM_EXAMPLES = f"""\
{LANGUAGE}A mask le[s,t] is 1 where s is not after t; decay(a)[t,s] is the product of the gates after s up to t.

examples:
  tensoralg stream "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]" --indices "t,s: n ordered; f: d; e: e"
  tensoralg stream "O[t,e] = decay(a)[t,s]*K[s,e]" --indices "t,s: n ordered; e: e" --tensors "a: n" --json
  tensoralg stream "le[s,t]*exp(K[s,e])" --indices "t,s: n ordered; e: e" --free t,e --minimize flops

exit codes: 0 proved, 1 not streamable (the reason is on standard error), 3 unknown, 2 bad usage"""

EXPORT = """\
Compile an operator and write it to a file that runs without tensoralg, with a model card (PATH.card.json).

NAME is an expression, a stream or a compiled operator in the file, a function of no arguments that returns one, or
a claim, whose left side is taken.

EXPORTING EXECUTES THE FILE AS PYTHON: export only from files that you would run."""
EXPORT_EXAMPLES = """\
examples:
  tensoralg export operators.py:attention -o attention.pt2
  tensoralg export operators.py:attention -o attention.onnx --format onnx --dtype float64
  tensoralg export proofs/attention.py:NAME -o operator.py --format source --fix d=64
  tensoralg export operators.py:retention -o retention.pt2 --form recurrent --batch 2

exit codes: 0 written, 2 input that cannot be used, or an operator that this format cannot hold"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Examples
    --------
    >>> main(["prove", "A[i]*B[i] == B[i]*A[i]", "--indices", "i: n"])
    claim    sum(i: A[i]*B[i]) == sum(i: B[i]*A[i])
    proved: ...
    0
    """
    try:
        arguments, rest = _parser().parse_known_args(separated(sys.argv[1:] if argv is None else argv))
        if rest:
            raise UsageError(
                f"unexpected arguments: {' '.join(rest)}",
                remedy="an expression is one argument, so put it in quotes; --help shows the options",
            )
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code: int = arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has spoken
        return stop.code if isinstance(stop.code, int) else BAD_USAGE
    except BrokenPipeError:
        _silence(sys.stdout)
        return 128 + 13  # as if ended by SIGPIPE, which is what a reader that left means
    except KeyboardInterrupt:
        return _complain("interrupted", 128 + 2)
    except RecursionError:
        return _complain("the expression is nested too deeply\n  remedy: split it into statements")
    except TensoralgError as error:
        return _complain(f"{type(error).__name__}: {error}")
    except OSError as error:
        return _complain(f"{error.filename or 'input'}: {error.strerror or error}")
    return code


def separated(words: Sequence[str]) -> list[str]:
    """Return the words of a command line so that argparse tells options, their values and expressions apart.

    Sizes may follow each other after one option; what comes after them is no size.  An expression may begin with a
    minus, which argparse takes for an option unless a space stands before it.

    Examples
    --------
    >>> separated(["prove", "--fix", "n=2", "m=3", "A[i] == B[i]"])
    ['prove', '--fix', 'n=2', '--fix', 'm=3', 'A[i] == B[i]']
    >>> separated(["prove", "-A[i]==0"])
    ['prove', ' -A[i]==0']
    """
    found: list[str] = []
    option = ""
    for k, word in enumerate(words):
        if option and words[k - 1] != option and SIZES.fullmatch(word):
            found.append(option)
        elif words[k - 1 : k] != [option]:
            option = word if word in SIZE_OPTIONS else ""
        found.append(f" {word}" if EXPRESSION.match(word) else word)
    return found


def _complain(message: str, code: int = BAD_USAGE) -> int:
    print(f"tensoralg: {message}", file=sys.stderr)
    return code


def _warn(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _silence(stream: Any) -> None:
    """Point a stream whose reader has left at nothing, so that closing it does not complain."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tensoralg", description="Claims about tensor operators: proved, priced, and run.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tensoralg {version('tensoralg')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    verify = _command(
        commands, "verify", _verify, "run the claims in files (this executes them)", VERIFY, VERIFY_EXAMPLES
    )
    verify.add_argument("paths", nargs="*", metavar="PATH", default=["proofs"], help="files and folders [proofs/]")
    verify.add_argument("--json", action="store_true", help="print JSON and nothing else")
    verify.add_argument("--certificates", metavar="DIR", help="write the certificate of every proof below DIR")

    prove = _command(commands, "prove", _prove, "prove or refute one equation", PROVE, PROVE_EXAMPLES)
    prove.add_argument("claim", metavar="'LHS == RHS'", help="the equation, in the text form")
    _add_declarations(prove, required=True)
    prove.add_argument(
        "--given",
        action="append",
        default=[],
        metavar="'L == R [for a,b]'",
        help="a hypothesis, for all values of a, b (without 'for': of the indices that both sides mention); repeatable",
    )
    prove.add_argument("--fix", action="append", default=[], metavar="n=2", help="decide at a fixed size; repeatable")
    prove.add_argument("--json", action="store_true", help="print JSON and nothing else")
    prove.add_argument("--certificate", metavar="FILE", help="write the certificate of a proof")

    check = _command(commands, "check", _check, "check certificates of proofs", CHECK, CHECK_EXAMPLES)
    check.add_argument("files", nargs="+", metavar="FILE", help="what prove, verify and export write")

    plan = _command(commands, "plan", _plan, "show costs and the best order of contraction", PLAN, PLAN_EXAMPLES)
    plan.add_argument("expression", metavar="EXPR", help="'O[t,e] = ...', one side with --free, or an einsum string")
    _add_declarations(plan, required=False)
    plan.add_argument(
        "--size", action="append", default=[], metavar="n=4096", help="the size of a dimension; repeatable"
    )
    plan.add_argument(
        "--minimize", choices=("flops", "largest", "peak"), default="flops", help="what comes first [flops]"
    )
    plan.add_argument(
        "--memory-limit", metavar="N", help="elements that an intermediate may have: a number, or a polynomial in sizes"
    )
    plan.add_argument("--seconds", type=float, metavar="S", help="time for searching orders of large networks")
    plan.add_argument("--seed", type=int, default=0, metavar="N", help="seed of that search [0]")
    plan.add_argument("--map", metavar="n,d", help="draw which order is best over two sizes: n,d or n=1..4096,d=1..512")
    plan.add_argument("--svg", metavar="FILE", help="write the map as a picture")
    plan.add_argument("--json", action="store_true", help="print JSON and nothing else")

    stream = _command(commands, "stream", _stream, "derive states, step and merge, proved", STREAM, STREAM_EXAMPLES)
    stream.add_argument("expression", metavar="EXPR", help="'O[t,e] = ...', one side with --free, or an einsum string")
    _add_declarations(stream, required=False)
    stream.add_argument("--along", default="n", metavar="n", help="the space of times, or its dimension [n]")
    stream.add_argument(
        "--minimize",
        choices=("state", "flops"),
        default="state",
        help="what comes first where there is a choice [state]",
    )
    stream.add_argument("--json", action="store_true", help="print JSON and nothing else")

    export = _command(
        commands, "export", _export, "write an operator in a file (this executes it)", EXPORT, EXPORT_EXAMPLES
    )
    export.add_argument("operator", metavar="FILE.py:NAME", help="a Python file and what to export of it")
    export.add_argument("-o", "--output", required=True, metavar="PATH", help="the file to be written")
    export.add_argument("--format", default="pt2", metavar="pt2|onnx|source", help="what is written [pt2]")
    export.add_argument("--form", metavar="chunked|recurrent|parallel", help="the form of a stream [chunked]")
    export.add_argument("--fix", action="append", default=[], metavar="n=8", help="fix a size; repeatable")
    export.add_argument("--dtype", metavar="float32", help="of inputs and outputs [that of parameters, or float32]")
    export.add_argument("--batch", type=int, default=0, metavar="N", help="batch axes in front of every input [0]")
    return parser


def _command(commands: Any, name: str, run: Any, summary: str, text: str, epilog: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=text,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_declarations(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--indices", required=required, metavar="'t,s: n ordered; f: d'", help="the dimension of every index"
    )
    parser.add_argument("--free", metavar="t,s", help="the free indices of a side [none]")
    parser.add_argument(
        "--tensors", metavar="'A: d d sym'", help="legs and facts of tensors, where they do not follow from use"
    )


def read_sizes(texts: Sequence[str], option: str) -> dict[str, int]:
    """Return the sizes that texts such as ``n=4096`` or ``n=4096,d=64`` say.

    Examples
    --------
    >>> read_sizes(["n=4096,d=64", "h=8"], "--size")
    {'n': 4096, 'd': 64, 'h': 8}
    """
    sizes: dict[str, int] = {}
    for text in (piece for argument in texts for piece in argument.split(",") if piece.strip()):
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value.removeprefix("-").isdecimal():
            raise UsageError(f"{option} {text!r} gives no size", remedy=f"write {option} n=4096")
        if sizes.setdefault(name, int(value)) != int(value):
            raise UsageError(f"{option} gives {name} two sizes", remedy="give every dimension one size")
    return sizes


def _verify(arguments: argparse.Namespace) -> int:
    from tensoralg.claims import run, write_certificates

    if arguments.certificates:
        Path(arguments.certificates).mkdir(parents=True, exist_ok=True)  # so that it fails before the work is done
    report = run([Path(path) for path in arguments.paths], show_progress=True)
    if not report.files:
        raise UsageError(
            f"there are no claims in {', '.join(arguments.paths)}",
            remedy="put Python files with @claim functions there",
        )
    if arguments.certificates:
        report = write_certificates(report, Path(arguments.certificates))
    if arguments.json:
        _print_json(report.to_json())
    else:
        report.print()
    sys.stdout.flush()
    for error in report.errors:
        _complain(f"{error.file}: {error.message}")
    return report.exit_code


def _prove(arguments: argparse.Namespace) -> int:
    from tensoralg.claims import read_equation
    from tensoralg.proof import write_certificate

    fixed = read_sizes(arguments.fix, "--fix")
    claim = read_equation(
        arguments.claim, arguments.indices, arguments.free or "", arguments.tensors, arguments.given, fixed
    )
    verdict = claim.decide()
    if arguments.json:
        _print_json(_verdict_json(claim, verdict))
    else:
        print(_claim_text(claim))
        print(verdict.explain())
    if arguments.certificate and verdict.certificate is None:
        _complain(f"there is no certificate of what is {verdict.status}")
    elif arguments.certificate:
        write_certificate(verdict.certificate, Path(arguments.certificate))
    return PROVE_CODES[verdict.status]


def _check(arguments: argparse.Namespace) -> int:
    codes = [0]
    for file in arguments.files:
        try:
            what, why = _refusal(file)
        except OSError as error:  # the other files are still checked
            codes.append(_complain(f"{file}: {error.strerror or error}"))
            continue
        print(f"{file}: {f'not a valid {what}: {why}' if why else 'valid'}")
        codes.append(1 if why else 0)
    return max(codes)


def _refusal(file: str) -> tuple[str, str]:
    """Return what a file is, and why it is refused, if it is."""
    from tensoralg.proof import refusal

    if file.endswith(".card.json") or Path(f"{file}.card.json").exists():
        from tensoralg.lower.exports.card import refused_export

        return "export", refused_export(file)
    return "certificate", refusal(file)


def _claim_text(claim: Any) -> str:
    """Return the claim with its sums explicit."""
    lines = [f"claim    {claim.lhs.body} == {claim.rhs.body}{_for_all(claim.lhs.free)}"]
    lines += [f"given    {left.body} == {right.body}{_for_all(left.free)}" for left, right in claim.given]
    lines += [f"fixed    {name} = {size}" for name, size in claim.fixed.items()]
    return "\n".join(lines)


def _for_all(names: Sequence[str]) -> str:
    return f"    for all {', '.join(names)}" if names else ""


def _verdict_json(claim: Any, verdict: Any) -> dict[str, Any]:
    return {
        "lhs": str(claim.lhs.body),
        "rhs": str(claim.rhs.body),
        "free": list(claim.lhs.free),
        "given": [{"lhs": str(x.body), "rhs": str(y.body), "free": list(x.free)} for x, y in claim.given],
        "fixed": claim.fixed,
        "status": verdict.status,
        "explanation": verdict.explain(),
        "counterexample": verdict.counterexample and verdict.counterexample.to_json(),
        "evidence": dict(verdict.evidence),
        "holds_for": verdict.holds_for,
        "certificate": verdict.certificate,
    }


def _plan(arguments: argparse.Namespace) -> int:
    from tensoralg.claims import read_operator
    from tensoralg.plan import plan
    from tensoralg.plan.comparisons import amount
    from tensoralg.plan.report import plan_json, print_plan

    operator = read_operator(arguments.expression, arguments.indices, arguments.tensors, arguments.free)
    sizes = read_sizes(arguments.size, "--size")
    axes = read_axes(arguments.map) if arguments.map else {}
    if arguments.svg and not axes:
        raise UsageError("--svg writes a map, and none is asked for", remedy="name its axes: --map n,d")
    limit = None if arguments.memory_limit is None else amount(arguments.memory_limit)
    found = plan(operator, sizes or None, arguments.minimize, limit, arguments.seconds, arguments.seed)
    shown = found.show(*axes, **{name: ends for name, ends in axes.items() if ends}) if axes else None
    if arguments.svg and shown is not None:
        Path(arguments.svg).write_text(shown.svg(), encoding="utf-8")
    if arguments.json:
        _print_json(plan_json(found, shown))
    else:
        print_plan(found, shown)
    return 0


def _stream(arguments: argparse.Namespace) -> int:
    from tensoralg.claims import read_operator
    from tensoralg.stream import Streamable, stream
    from tensoralg.stream.report import print_stream, refusal_json, status_of, stream_json

    operator = read_operator(arguments.expression, arguments.indices, arguments.tensors, arguments.free)
    try:
        found = stream(operator, arguments.along, arguments.minimize)
    except NotStreamable as error:
        verdict = Streamable(operator, arguments.along).decide()
        if arguments.json:
            _print_json(refusal_json(error, verdict))
        witness = f"\n{verdict.explain()}" if verdict.counterexample else ""
        return _complain(f"NotStreamable: {error}{witness}", 1)
    if arguments.json:
        _print_json(stream_json(found))
    else:
        print_stream(found)
    return PROVE_CODES[status_of(found)]


def _export(arguments: argparse.Namespace) -> int:
    from tensoralg.claims.collect import named
    from tensoralg.claims.runner import Failure, attempt
    from tensoralg.lower import Operator, compile, export

    file, _, name = arguments.operator.rpartition(":")
    if not file or not name:
        raise UsageError(f"{arguments.operator!r} is no FILE.py:NAME", remedy="write operators.py:attention")
    sizes = read_sizes(arguments.fix, "--fix")
    found = attempt(Path(file), lambda: named(Path(file), name))
    if isinstance(found, Failure):
        return _complain(f"{file}: {found.message}")
    if isinstance(found, Operator) and (sizes or arguments.form):
        raise UsageError(f"{name} is compiled already", remedy="leave out --fix and --form, or name the expression")
    operator = found if isinstance(found, Operator) else compile(found, sizes or None, arguments.form)
    export(operator, arguments.output, arguments.format, arguments.dtype, arguments.batch)
    size = Path(arguments.output).stat().st_size
    print(f"{arguments.output}: {name} as {arguments.format}, {size} bytes; inputs {', '.join(operator.inputs)}")
    print(f"{arguments.output}.card.json: definition, costs, proofs, error bound, digest")
    return 0


def read_axes(text: str) -> dict[str, tuple[int, int] | None]:
    """Return the axes of a map that a text such as ``n,d`` or ``n=1..4096,d=1..512`` names, with their ends.

    Examples
    --------
    >>> read_axes("n,d=1..512")
    {'n': None, 'd': (1, 512)}
    """
    axes: dict[str, tuple[int, int] | None] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\w+)\s*(?:=\s*(\d+)\s*\.\.\s*(\d+)\s*)?", part)
        if not found or found[1] in axes:
            raise UsageError(f"--map {text!r} names no two axes", remedy="write --map n,d or --map n=1..4096,d=1..512")
        axes[found[1]] = (int(found[2]), int(found[3])) if found[2] else None
    if len(axes) != 2:
        raise UsageError(f"--map {text!r} names no two axes", remedy="write --map n,d or --map n=1..4096,d=1..512")
    return axes


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=2, default=str, allow_nan=False))  # JSON has no word for fractions
