"""What goes wrong in an expression, told as users of Go's expr know it: message, line, column, and a caret."""

from __future__ import annotations


class Fault(Exception):
    """A value or argument doesn't fit. Raised below the evaluator, which knows the place and adds it.

    Messages name types and names, never values: a value may be a secret.
    """


class ExpressionError(ValueError):
    """An expression or template can't be parsed or evaluated.

    `line` and `column` count from 1, in characters of the expression; 0 when there is no place to show.
    """

    def __init__(self, message: str, source: str = "", offset: int | None = None) -> None:
        self.message = message
        self.line = 0
        self.column = 0
        self.snippet = ""
        if offset is not None:
            before = source[:offset]
            self.line = before.count("\n") + 1
            start = before.rfind("\n") + 1
            self.column = offset - start + 1
            end = source.find("\n", start)
            text = source[start : len(source) if end < 0 else end].replace("\t", " ")
            if text:
                self.snippet = f"\n | {text}\n | {'.' * (self.column - 1)}^"
        super().__init__(f"{message} ({self.line}:{self.column}){self.snippet}" if self.line else message)

    def within(self, place: str) -> ExpressionError:
        """The same error, with the name of what was being evaluated before it."""
        error = ExpressionError(f"{place}: {self}")
        error.message, error.line, error.column, error.snippet = self.message, self.line, self.column, self.snippet
        return error
