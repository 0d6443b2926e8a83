"""The text form as a syntax tree: characters in, positions kept, no meaning yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tensoralg.errors import ParseError
from tensoralg.expr.hints import about_character, about_leftover
from tensoralg.spaces import RESERVED

TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9]+)|(?P<mark>[-+*/()\[\],:=]))")
CALLS = {
    "pow": "write pow(x[i], 2)",
    "max": "write max(x[i], y[i])",
    "min": "write min(x[i], y[i])",
    "softmax": "write softmax(s: A[t,s])",
    "sum": "write sum(i: A[i,j])",
    "decay": "write decay(a)[t,s]",
}
RELATIONS = ("delta", "le", "lt")
FUNCTION_WORDS = ("exp", "log", "sqrt", "relu")
EXTREMA = ("max", "min")  # words only before "(": max[t] is an entry of a tensor called max
DEEPEST = 100
MOST_DIGITS = 1000
MOST_PARTS = 100


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class IndexSyntax:
    """An index as written: a name, a bracketed tuple of parts, or an end of time."""

    name: str
    position: int
    parts: tuple[IndexSyntax, ...] = ()

    def names(self) -> Iterator[str]:
        if self.parts:
            for part in self.parts:
                yield from part.names()
        elif self.name not in "+-":
            yield self.name


@dataclass(frozen=True, slots=True)
class Syntax:
    """A node as written.

    ``kind`` is number, name, entry, delta, le, lt, near, decay, exp.. relu, max, min, pow, softmax,
    sum, add, or mul; ``value`` holds the name or number, for add the signs and for mul the operators.
    """

    kind: str
    position: int
    value: str = ""
    args: tuple[IndexSyntax, ...] = ()
    children: tuple[Syntax, ...] = ()

    def walk(self) -> Iterator[Syntax]:
        yield self
        for child in self.children:
            yield from child.walk()


CLOSED = {
    ")": "every '(' needs its ')'",
    "]": "indices stand in square brackets, separated by commas, as in A[i,j]",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """``NAME[indices] = side``; name and indices are None for a bare side."""

    name: str | None
    indices: tuple[IndexSyntax, ...]
    side: Syntax
    position: int


def tokenize(text: str, start: int, stop: int) -> list[Token]:
    """Return the tokens of ``text[start:stop]``, with positions in `text`, closed by an end token."""
    tokens = []
    position = start
    last = start + len(text[start:stop].rstrip())
    while position < last:
        match = TOKEN.match(text, position, last)
        if match is None or match.lastgroup is None:
            spot = position + len(text[position:last]) - len(text[position:last].lstrip())
            raise ParseError(f"unexpected character {text[spot]!r}", text, spot, remedy=about_character(text, spot))
        token = Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        if token.kind == "number" and len(token.text) > MOST_DIGITS:
            raise ParseError(
                f"a number has more than {MOST_DIGITS} digits",
                text,
                token.position,
                remedy="use a scalar tensor NAME[] for so large a constant",
            )
        tokens.append(token)
        position = match.end()
    return [*tokens, Token("end", "", last)]


class Reader:
    """Recursive descent over the tokens of one statement or side."""

    def __init__(self, text: str, start: int = 0, stop: int | None = None) -> None:
        self.text = text
        self.tokens = tokenize(text, start, len(text) if stop is None else stop)
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def fail(self, what: str, token: Token | None = None, remedy: str = "") -> ParseError:
        return ParseError(what, self.text, (token or self.token).position, remedy=remedy)

    def take(self, text: str | None = None, kind: str | None = None, role: str = "", remedy: str = "") -> Token:
        token = self.token
        if (text is not None and token.text != text) or (kind is not None and token.kind != kind):
            wanted = role or (repr(text) if text else f"a {kind}")
            found = "the end" if token.kind == "end" else repr(token.text)
            raise self.fail(f"expected {wanted} but found {found}", remedy=remedy or CLOSED.get(text or "", ""))
        self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.token.kind == "mark" and self.token.text == text:
            self.at += 1
            return True
        return False

    def statement(self) -> Statement:
        head = self.take(kind="name", role="a statement NAME[indices] = ...")
        if head.text in RESERVED:
            raise self.fail(
                f"{head.text} cannot name a tensor: it is a word of the language", head, remedy="choose another name"
            )
        self.take("[", remedy=f"write {head.text}[t,e] = ..., or {head.text}[] = ... for a scalar")
        indices = self.arguments("]")
        self.take(
            "=",
            remedy=f"write {head.text}[..] = ..., or give one side and its free indices: free= (--free in the shell)",
        )
        return Statement(head.text, indices, self.whole(), head.position)

    def whole(self) -> Syntax:
        """Read one side up to the end."""
        side = self.expr()
        if self.token.kind != "end":
            before = self.tokens[self.at - 1].text
            raise self.fail(f"unexpected {self.token.text!r}", remedy=about_leftover(self.token.text, before))
        return side

    def expr(self) -> Syntax:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(
                f"brackets are nested more than {DEEPEST} deep", remedy="split the expression into statements"
            )
        start = self.token.position
        signs = ["-" if self.accept("-") else "+"]
        if signs == ["+"]:
            self.accept("+")
        terms = [self.term()]
        while self.token.text in ("+", "-") and self.token.kind == "mark":
            signs.append(self.take().text)
            terms.append(self.term())
        self.depth -= 1
        return Syntax("add", start, "".join(signs), (), tuple(terms))

    def term(self) -> Syntax:
        start = self.token.position
        operators = ["*"]
        factors = [self.factor()]
        while self.token.text in ("*", "/") and self.token.kind == "mark":
            operators.append(self.take().text)
            factors.append(self.factor())
        return Syntax("mul", start, "".join(operators), (), tuple(factors))

    def factor(self) -> Syntax:
        token = self.token
        if token.kind == "number":
            self.at += 1
            return Syntax("number", token.position, token.text)
        if self.accept("("):
            inner = self.expr()
            self.take(")")
            return inner
        if token.kind != "name":
            found = "the end" if token.kind == "end" else repr(token.text)
            twice = token.text == "*" and self.tokens[self.at - 1].text == "*"
            remedy = "write pow(x[i], 2) for a power" if twice else "a factor is a number, NAME[i,j], f(..) or (..)"
            raise self.fail(f"expected a factor but found {found}", remedy=remedy)
        self.at += 1
        word = token.text
        if word in (*FUNCTION_WORDS, "pow", "softmax", "sum", "decay"):
            self.take("(", role=f"'(' after {word}", remedy=CALLS.get(word, f"write {word}(x[i])"))
            return self.call(word, token)
        if word in EXTREMA and self.accept("("):
            return self.extremum(word, token)
        if self.accept("["):
            if word == "near":
                return self.near(token)
            args = self.arguments("]", remedy=CALLS.get(word, ""))
            if word in RELATIONS and len(args) != 2:
                raise self.fail(f"{word} takes two indices", token, remedy=f"write {word}[t,s]")
            return Syntax(word if word in RELATIONS else "entry", token.position, word, args)
        if word in (*RELATIONS, "near"):
            raise self.fail(f"{word} takes indices", token, remedy=f"write {word}[t,s]")
        return Syntax("name", token.position, word)

    def call(self, word: str, token: Token) -> Syntax:
        if word == "decay":
            gate = self.take(kind="name", role="the name of a gate", remedy=CALLS[word])
            self.take(")", remedy=f"a gate is a tensor without indices: write decay({gate.text})[t,s]")
            self.take("[", role="'[' with the two times", remedy=f"write decay({gate.text})[t,s]")
            args = self.arguments("]", ends=True)
            if len(args) < 2:
                raise self.fail("decay takes two times", token, remedy="write decay(a)[t,s]")
            return Syntax("decay", token.position, gate.text, args)
        if word in ("softmax", "sum"):
            names = self.arguments(":", remedy=CALLS[word])
            if not names or any(arg.parts for arg in names):
                raise self.fail(f"{word} needs plain index names before ':'", token, remedy=f"write {word}(i: ...)")
            if word == "softmax" and len(names) != 1:
                raise self.fail("softmax runs over one index", token, remedy="write softmax(s: ...)")
            inner = self.expr()
            self.take(")")
            return Syntax(word, token.position, word, names, (inner,))
        inner = self.expr()
        exponent = ""
        if word == "pow":
            self.take(",", role="',' and an integer exponent")
            sign = "-" if self.accept("-") else ""
            exponent = sign + self.take(kind="number", role="an integer exponent").text
        self.take(")")
        return Syntax(word, token.position, exponent or word, (), (inner,))

    def extremum(self, word: str, token: Token) -> Syntax:
        terms = [] if self.token.text == ")" else [self.expr()]
        while self.accept(","):
            terms.append(self.expr())
        over = terms and self.token.text == ":"
        remedy = f"{word} does not run over an index: {CALLS[word]}" if over else CALLS[word]
        self.take(")", role="',' or ')'", remedy=remedy)
        if len(terms) < 2:
            raise self.fail(f"{word} takes two or more terms but got {len(terms)}", token, remedy=CALLS[word])
        return Syntax(word, token.position, word, (), tuple(terms))

    def near(self, token: Token) -> Syntax:
        args = [self.argument()]
        self.take(",")
        args.append(self.argument())
        self.take(",", role="',' and a width")
        width = self.expr()
        self.take("]")
        return Syntax("near", token.position, "near", tuple(args), (width,))

    def arguments(self, closing: str, ends: bool = False, remedy: str = "") -> tuple[IndexSyntax, ...]:
        if self.accept(closing):
            return ()
        found = [self.argument(ends)]
        while self.accept(","):
            found.append(self.argument(ends and len(found) < 2))
        self.take(closing, role=f"',' or {closing!r}", remedy=remedy)
        return tuple(found)

    def argument(self, ends: bool = False) -> IndexSyntax:
        token = self.token
        if ends and token.text in ("+", "-"):
            self.at += 1
            return IndexSyntax(token.text, token.position)
        if self.accept("("):
            self.depth += 1
            parts = self.arguments(")") if self.depth <= DEEPEST else ()
            self.depth -= 1
            if self.depth >= DEEPEST or len(parts) > MOST_PARTS:
                raise self.fail(f"an index has more than {MOST_PARTS} parts", token, remedy="use fewer factors")
            if not parts:
                raise self.fail("a bracketed index names its parts", token, remedy="write A[(h,e)]")
            return IndexSyntax("", token.position, parts) if len(parts) > 1 else parts[0]
        remedy = "indices are names, declared in indices"
        if token.text in ("+", "-"):
            remedy = "only the two times of a decay may be the ends + and -, as in decay(a)[t,-]"
        name = self.take(kind="name", role="an index", remedy=remedy)
        return IndexSyntax(name.text, name.position)


def split_statements(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of every statement; they end at ``;`` or at a line break outside brackets.

    Comments run from ``#`` to the end of the line.
    """
    start, depth, comment = 0, 0, False
    for position, character in enumerate(text):
        if comment or character == "#":
            comment = character != "\n"
        if not comment:
            depth += (character in "([") - (character in ")]")
            if (character == "\n" and depth <= 0) or character == ";":
                yield start, position
                start = position + 1
    yield start, len(text)


def without_comments(text: str) -> str:
    """Return the text with comments and carriage returns blanked out, so that positions stay."""
    return re.sub(r"#[^\n]*|\r", lambda match: " " * len(match.group()), text)
