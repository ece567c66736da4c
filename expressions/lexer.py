"""Text to tokens (expr-lang: docs/language-definition.md, Literals and Operators)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from expressions.errors import ExpressionError
from expressions.limits import MAX_TEXT


class Kind(Enum):
    """Kind of a token, named as error messages show it."""

    IDENTIFIER = "Identifier"
    NUMBER = "Number"
    STRING = "String"
    BYTES = "Bytes"
    OPERATOR = "Operator"
    BRACKET = "Bracket"
    END = "EOF"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `value` is its text, for strings and bytes what the literal stands for."""

    kind: Kind
    value: str
    offset: int
    data: bytes = b""

    def __str__(self) -> str:
        return self.kind.value if not self.value else f'{self.kind.value}("{self.value}")'

    def is_operator(self, *values: str) -> bool:
        return self.kind is Kind.OPERATOR and self.value in values

    def is_bracket(self, value: str) -> bool:
        return self.kind is Kind.BRACKET and self.value == value


_WORD_OPERATORS: Final = frozenset(
    ["in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else", "not"]
)
# `$` is a letter of names, as in $env. A comment ends with its line.
_SKIPPED: Final = re.compile(r"(?:[ \t\r\n\v\f\x85\xa0\s]+|//[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)
_IDENTIFIER: Final = re.compile(r"(?:[^\W\d]|\$)(?:\w|\$)*")
_NUMBER: Final = re.compile(
    r"0[xX][0-9a-fA-F_]*"
    r"|0[oO][0-7_]*"
    r"|0[bB][01_]*"
    r"|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?"
)
_OPERATOR: Final = re.compile(r"\|\||&&|==|!=|<=|>=|\*\*|\.\.|\?\.|\?\?|::|[|:,;%+\-^!<>*/?.#=]")
_SIMPLE_ESCAPES: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_OCTAL: Final = re.compile(r"[0-3][0-7]{2}")


class _Literal:
    """Reads one quoted literal, escapes decoded: characters for strings, bytes for b"…"."""

    def __init__(self, source: str, start: int, *, as_bytes: bool) -> None:
        self.source = source
        self.position = start
        self.as_bytes = as_bytes
        self.text: list[str] = []
        self.data = bytearray()

    def fail(self, message: str) -> ExpressionError:
        return ExpressionError(message, self.source, min(self.position, len(self.source)))

    def read(self) -> None:
        source = self.source
        quote = source[self.position]
        self.position += 1
        while True:
            if self.position >= len(source) or source[self.position] == "\n":
                raise self.fail("literal not terminated")
            character = source[self.position]
            self.position += 1
            if character == quote:
                return
            if character == "\\":
                self.escape(quote)
            elif character == "\r":
                # Line ends are normalised, as Go's expr does: \r\n and \r are \n.
                if source[self.position : self.position + 1] == "\n":
                    raise self.fail("literal not terminated")
                self.add("\n")
            else:
                self.add(character)

    def add(self, character: str) -> None:
        if self.as_bytes:
            self.data += character.encode("utf-8", "replace")
        else:
            self.text.append(character)

    def escape(self, quote: str) -> None:
        source = self.source
        letter = source[self.position : self.position + 1]
        if letter in _SIMPLE_ESCAPES and (letter not in "'\"" or letter == quote):
            self.position += 1
            self.add(_SIMPLE_ESCAPES[letter])
            return
        octal = _OCTAL.match(source, self.position)
        if octal is not None:
            self.position = octal.end()
            self.code(int(octal[0], 8))
            return
        width = {"x": 2, "u": 4, "U": 8}.get(letter)
        if width is None or (self.as_bytes and letter != "x"):
            raise self.fail("invalid char escape")
        start = self.position + 1
        if letter == "u" and source[start : start + 1] == "{":
            digits = _HEX.match(source, start + 1)
            if digits is None or len(digits[0]) > 6 or source[digits.end() : digits.end() + 1] != "}":
                raise self.fail("invalid char escape")
            self.position = digits.end() + 1
            self.code(int(digits[0], 16))
            return
        digits = _HEX.match(source, start, start + width)
        if digits is None or len(digits[0]) != width:
            raise self.fail("invalid char escape")
        self.position = digits.end()
        self.code(int(digits[0], 16))

    def code(self, number: int) -> None:
        if self.as_bytes:
            self.data.append(number)
        elif number > 0x10FFFF:
            raise self.fail("invalid char escape")
        else:
            # A lone surrogate can't be written as UTF-8: the replacement character, as in Go.
            self.text.append("\ufffd" if 0xD800 <= number <= 0xDFFF else chr(number))


def _raw(source: str, start: int) -> tuple[str, int]:
    """A raw string from its first backtick; two backticks stand for one. Returns text and end."""
    position = start + 1
    parts: list[str] = []
    while True:
        end = source.find("`", position)
        if end < 0:
            raise ExpressionError("literal not terminated", source, len(source))
        parts.append(source[position:end])
        if source[end + 1 : end + 2] != "`":
            return "".join(parts), end + 1
        parts.append("`")
        position = end + 2


def tokenize(source: str) -> list[Token]:
    """The tokens of an expression, the last one of kind END. Raises ExpressionError."""
    if len(source) > MAX_TEXT:
        raise ExpressionError(f"the expression is longer than {MAX_TEXT} characters")
    tokens: list[Token] = []
    position, length = 0, len(source)
    while True:
        skipped = _SKIPPED.match(source, position)
        if skipped is not None:
            position = skipped.end()
        if position >= length:
            tokens.append(Token(Kind.END, "", max(length - 1, 0)))
            return tokens
        if source.startswith("/*", position):
            raise ExpressionError("unclosed comment", source, length)
        token, position = _token(source, position)
        tokens.append(token)


def _token(source: str, start: int) -> tuple[Token, int]:
    character = source[start]
    if character in "([{}])":
        return Token(Kind.BRACKET, character, start), start + 1
    if character in "'\"":
        literal = _Literal(source, start, as_bytes=False)
        literal.read()
        return Token(Kind.STRING, "".join(literal.text), start), literal.position
    if character == "`":
        text, end = _raw(source, start)
        return Token(Kind.STRING, text, start), end
    if character in "bB" and source[start + 1 : start + 2] in ("'", '"'):
        literal = _Literal(source, start + 1, as_bytes=True)
        literal.read()
        return Token(Kind.BYTES, source[start : literal.position], start, bytes(literal.data)), literal.position
    if character in "0123456789" or (character == "." and source[start + 1 : start + 2].isdigit()):
        number = _NUMBER.match(source, start)
        if number is not None:
            following = source[number.end() : number.end() + 1]
            if following.isalnum() or following in ("_", "$"):
                text = source[start : number.end() + 1]
                raise ExpressionError(f'bad number syntax: "{text}"', source, number.end())
            return Token(Kind.NUMBER, number[0], start), number.end()
    word = _IDENTIFIER.match(source, start)
    if word is not None:
        kind = Kind.OPERATOR if word[0] in _WORD_OPERATORS else Kind.IDENTIFIER
        return Token(kind, word[0], start), word.end()
    operator = _OPERATOR.match(source, start)
    if operator is not None:
        return Token(Kind.OPERATOR, operator[0], start), operator.end()
    raise ExpressionError(f"unrecognized character: U+{ord(character):04X} '{character}'", source, start)
