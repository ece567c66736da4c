"""Tokens to a tree, with the precedence of expr-lang (docs/language-definition.md, Operators)."""

from __future__ import annotations

import math
from typing import Final

from expressions.errors import ExpressionError
from expressions.functions import BUILTINS
from expressions.lexer import Kind, Token, tokenize
from expressions.limits import MAX_DEPTH, MAX_NODES
from expressions.nodes import (
    Array,
    Binary,
    Builtin,
    Call,
    Chain,
    Comparison,
    Conditional,
    Let,
    Literal,
    Map,
    Member,
    Name,
    Node,
    Pointer,
    Predicate,
    Sequence,
    Slice,
    Unary,
)

_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_BINARY: Final = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "==": 20,
    "!=": 20,
    "<": 20,
    ">": 20,
    ">=": 20,
    "<=": 20,
    "in": 20,
    "matches": 20,
    "contains": 20,
    "startsWith": 20,
    "endsWith": 20,
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
_RIGHT: Final = frozenset(["**", "^"])
_COMPARISONS: Final = frozenset(["<", ">", ">=", "<="])
_NEGATABLE: Final = frozenset(["in", "matches", "contains", "startsWith", "endsWith"])

# Functions that take a predicate: how many plain arguments may follow it, and whether it may be left out.
_PREDICATES: Final[dict[str, tuple[int, bool]]] = {
    "all": (0, False),
    "none": (0, False),
    "any": (0, False),
    "one": (0, False),
    "filter": (0, False),
    "map": (0, False),
    "count": (0, True),
    "sum": (0, True),
    "find": (0, False),
    "findIndex": (0, False),
    "findLast": (0, False),
    "findLastIndex": (0, False),
    "groupBy": (0, False),
    "sortBy": (1, False),
    "reduce": (1, False),
}


def parse(source: str) -> Node:
    """The tree of an expression. Raises ExpressionError with the place of the first mistake."""
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.index = 0
        self.current = self.tokens[0]
        self.nodes = 0
        self.nesting = 0
        #: How many predicates enclose the current place: `#` and `.field` stand for the element there.
        self.predicates = 0

    def fail(self, message: str, token: Token | None = None) -> ExpressionError:
        return ExpressionError(message, self.source, (token or self.current).offset)

    def unexpected(self, token: Token | None = None) -> ExpressionError:
        return self.fail(f"unexpected token {token or self.current}", token)

    def advance(self) -> Token:
        token = self.current
        self.index = min(self.index + 1, len(self.tokens) - 1)
        self.current = self.tokens[self.index]
        return token

    def peek(self) -> Token:
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    def bracket(self, value: str) -> None:
        if not self.current.is_bracket(value):
            raise self.unexpected()
        self.advance()

    def operator(self, value: str) -> None:
        if not self.current.is_operator(value):
            raise self.unexpected()
        self.advance()

    def made(self, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.fail("compilation failed: expression exceeds maximum allowed nodes")
        return node

    def parse(self) -> Node:
        node = self.sequence()
        if self.current.kind is not Kind.END:
            raise self.unexpected()
        return node

    def sequence(self) -> Node:
        offset = self.current.offset
        parts = [self.expression(0)]
        while self.current.is_operator(";"):
            self.advance()
            # A trailing semicolon ends the sequence.
            if self.current.kind is Kind.END:
                break
            parts.append(self.expression(0))
        return parts[0] if len(parts) == 1 else self.made(Sequence(offset, tuple(parts)))

    def expression(self, precedence: int) -> Node:
        self.nesting += 1
        if self.nesting > MAX_DEPTH:
            raise self.fail(f"the expression is nested deeper than {MAX_DEPTH} levels")
        try:
            if precedence == 0 and self.current.is_operator("let"):
                return self.let()
            if precedence == 0 and self.current.is_operator("if"):
                return self.conditional_if()
            node = self.binary(self.primary(), precedence)
            return self.ternary(node) if precedence == 0 else node
        finally:
            self.nesting -= 1

    def binary(self, left: Node, precedence: int) -> Node:
        previous = ""
        while self.current.kind is Kind.OPERATOR:
            token = self.current
            negated = token.value == "not"
            if negated:
                token = self.peek()
                if token.value not in _NEGATABLE or token.kind is not Kind.OPERATOR:
                    raise self.unexpected(token)
            strength = _BINARY.get(token.value, -1)
            if strength < precedence:
                break
            if negated:
                self.advance()
            self.advance()
            if token.value == "|":
                name = self.current
                if name.kind is not Kind.IDENTIFIER:
                    raise self.unexpected()
                self.advance()
                left = self.postfix(self.call(name, [left]))
            elif previous == "??" and token.value != "??":
                raise self.fail(
                    f"Operator ({token.value}) and coalesce expressions (??) cannot be mixed. "
                    "Wrap either by parentheses.",
                    token,
                )
            elif token.value in _COMPARISONS:
                left = self.comparison(left, token, strength)
            else:
                right = self.expression(strength if token.value in _RIGHT else strength + 1)
                left = self.made(Binary(token.offset, token.value, left, right))
                if negated:
                    left = self.made(Unary(token.offset, "not", left))
            previous = token.value
        return left

    def comparison(self, left: Node, token: Token, strength: int) -> Node:
        rest = [(token.offset, token.value, self.expression(strength + 1))]
        while self.current.is_operator(*_COMPARISONS):
            token = self.advance()
            rest.append((token.offset, token.value, self.expression(strength + 1)))
        return self.made(Comparison(rest[0][0], left, tuple(rest)))

    def let(self) -> Node:
        self.advance()
        name = self.current
        if name.kind is not Kind.IDENTIFIER:
            raise self.unexpected()
        self.advance()
        self.operator("=")
        value = self.expression(0)
        self.operator(";")
        return self.made(Let(name.offset, name.value, value, self.sequence()))

    def conditional_if(self) -> Node:
        offset = self.advance().offset
        condition = self.expression(0)
        then = self.block()
        self.operator("else")
        otherwise = self.expression(0) if self.current.is_operator("if") else self.block()
        return self.made(Conditional(offset, condition, then, otherwise))

    def block(self) -> Node:
        self.bracket("{")
        node = self.sequence()
        self.bracket("}")
        return node

    def ternary(self, node: Node) -> Node:
        while self.current.is_operator("?"):
            offset = self.advance().offset
            if self.current.is_operator(":"):
                self.advance()
                then = node
            else:
                then = self.expression(0)
                self.operator(":")
            node = self.made(Conditional(offset, node, then, self.expression(0)))
        return node

    def primary(self) -> Node:
        token = self.current
        if token.kind is Kind.OPERATOR and token.value in _UNARY:
            self.advance()
            operand = self.expression(_UNARY[token.value])
            return self.postfix(self.made(Unary(token.offset, token.value, operand)))
        if token.is_bracket("("):
            self.advance()
            node = self.sequence()
            self.bracket(")")
            return self.postfix(node)
        if self.predicates and token.is_operator("#", "."):
            return self.postfix(self.pointer())
        if token.is_operator("::"):
            self.advance()
            name = self.current
            if name.kind is not Kind.IDENTIFIER:
                raise self.unexpected()
            self.advance()
            return self.postfix(self.call(name, []))
        return self.secondary()

    def pointer(self) -> Node:
        token = self.current
        name = ""
        # `.field` keeps its dot: the postfix reads it.
        if token.value == "#":
            self.advance()
            # `#acc` is one word; in `# and x` or `# acc` what follows is not the pointer's name.
            if self.current.kind is Kind.IDENTIFIER and self.current.offset == token.offset + 1:
                name = self.advance().value
                if name not in ("acc", "index"):
                    raise self.fail(f"unknown pointer #{name}", token)
        return self.made(Pointer(token.offset, name))

    def secondary(self) -> Node:
        token = self.current
        if token.kind is Kind.IDENTIFIER:
            self.advance()
            if token.value in ("true", "false"):
                return self.made(Literal(token.offset, token.value == "true"))
            if token.value == "nil":
                return self.made(Literal(token.offset, None))
            if self.current.is_bracket("("):
                return self.postfix(self.call(token, []))
            return self.postfix(self.made(Name(token.offset, token.value)))
        if token.kind is Kind.NUMBER:
            self.advance()
            return self.made(Literal(token.offset, self.number(token)))
        if token.kind is Kind.STRING:
            self.advance()
            return self.postfix(self.made(Literal(token.offset, token.value)))
        if token.kind is Kind.BYTES:
            self.advance()
            return self.postfix(self.made(Literal(token.offset, token.data)))
        if token.is_bracket("["):
            return self.postfix(self.array())
        if token.is_bracket("{"):
            return self.postfix(self.map())
        raise self.unexpected()

    def number(self, token: Token) -> int | float:
        digits = token.value.replace("_", "")
        prefix = digits[:2].lower()
        if prefix not in ("0x", "0o", "0b") and any(mark in digits for mark in ".eE"):
            try:
                value = float(digits)
            except ValueError:
                raise self.fail(f"invalid float literal: {token.value}", token) from None
            if math.isinf(value):
                raise self.fail("invalid float literal: value out of range", token)
            return value
        base = {"0x": 16, "0o": 8, "0b": 2}.get(prefix, 10)
        digits = digits if base == 10 else digits[2:]
        # 64 bits have at most 64 digits; longer ones aren't worth converting.
        number = int(digits, base) if 0 < len(digits) <= 80 else -1
        if not 0 <= number < 2**63:
            raise self.fail("invalid integer literal: value out of range", token)
        return number

    def call(self, name: Token, arguments: list[Node]) -> Node:
        """A call; `arguments` holds what a pipe passes."""
        if name.value in _PREDICATES:
            return self.predicate_call(name, arguments)
        arguments = arguments + self.arguments()
        if name.value in BUILTINS:
            return self.made(Builtin(name.offset, name.value, tuple(arguments)))
        return self.made(Call(name.offset, self.made(Name(name.offset, name.value)), tuple(arguments)))

    def predicate_call(self, name: Token, arguments: list[Node]) -> Node:
        extra, may_lack = _PREDICATES[name.value]
        self.bracket("(")
        least = 1 if may_lack else 2
        first = len(arguments)
        for position in range(first, 2 + extra):
            if self.current.is_bracket(")"):
                break
            if position > first:
                self.operator(",")
                # A trailing comma ends the arguments.
                if self.current.is_bracket(")"):
                    break
            arguments.append(self.predicate() if position == 1 else self.expression(0))
        if len(arguments) < least:
            raise self.fail(f"expected at least {least} arguments")
        if self.current.is_operator(","):
            self.advance()
        self.bracket(")")
        return self.made(Builtin(name.offset, name.value, tuple(arguments)))

    def arguments(self) -> list[Node]:
        self.bracket("(")
        arguments: list[Node] = []
        while not self.current.is_bracket(")"):
            if arguments:
                self.operator(",")
                if self.current.is_bracket(")"):
                    break
            arguments.append(self.expression(0))
        self.bracket(")")
        return arguments

    def predicate(self) -> Node:
        offset = self.current.offset
        self.predicates += 1
        if self.current.is_bracket("{"):
            body = self.block()
        else:
            body = self.expression(0)
            if self.current.is_operator(";"):
                raise self.fail("wrap predicate with brackets { and }")
        self.predicates -= 1
        return self.made(Predicate(offset, body))

    def array(self) -> Node:
        offset = self.advance().offset
        elements: list[Node] = []
        while not self.current.is_bracket("]"):
            if elements:
                self.operator(",")
                if self.current.is_bracket("]"):
                    break
            elements.append(self.expression(0))
        self.bracket("]")
        return self.made(Array(offset, tuple(elements)))

    def map(self) -> Node:
        offset = self.advance().offset
        pairs: list[tuple[Node, Node]] = []
        while not self.current.is_bracket("}"):
            if pairs:
                self.operator(",")
                if self.current.is_bracket("}"):
                    break
            key = self.key()
            self.operator(":")
            pairs.append((key, self.expression(0)))
        self.bracket("}")
        return self.made(Map(offset, tuple(pairs)))

    def key(self) -> Node:
        token = self.current
        if token.kind in (Kind.NUMBER, Kind.STRING, Kind.IDENTIFIER):
            self.advance()
            return self.made(Literal(token.offset, token.value))
        if token.is_bracket("("):
            return self.expression(0)
        raise self.fail(
            "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses "
            f"(unexpected token {token})"
        )

    def postfix(self, node: Node) -> Node:
        while True:
            token = self.current
            if token.is_operator(".", "?."):
                self.advance()
                optional = token.value == "?."
                if optional and self.current.is_bracket("["):
                    node = self.index_or_slice(node, optional=True)
                else:
                    node = self.member(node, optional=optional)
            elif token.is_bracket("["):
                node = self.index_or_slice(node, optional=False)
            else:
                return node

    def member(self, node: Node, *, optional: bool) -> Node:
        token = self.current
        # Words that are operators are good names of fields and methods: `x.not`, `x.contains`.
        if not (token.kind is Kind.IDENTIFIER or (token.kind is Kind.OPERATOR and token.value.isalpha())):
            raise self.fail("expected name")
        self.advance()
        chained = isinstance(node, Chain)
        body = node.body if isinstance(node, Chain) else node
        made = self.made(Member(token.offset, body, self.made(Literal(token.offset, token.value)), optional))
        if self.current.is_bracket("("):
            made = self.made(Call(token.offset, made, tuple(self.arguments())))
        return self.made(Chain(token.offset, made)) if chained or optional else made

    def index_or_slice(self, node: Node, *, optional: bool) -> Node:
        offset = self.current.offset
        self.advance()
        start: Node | None = None
        if not self.current.is_operator(":"):
            start = self.expression(0)
            if not self.current.is_operator(":"):
                self.bracket("]")
                made = self.made(Member(offset, node, start, optional))
                return self.made(Chain(offset, made)) if optional else made
        self.operator(":")
        end = None if self.current.is_bracket("]") else self.expression(0)
        self.bracket("]")
        return self.made(Slice(offset, node, start, end))
