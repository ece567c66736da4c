"""The functions of the language that take no predicate; each module declares those of one kind."""

from expressions.functions import collections, conversions, moments, numbers, strings
from expressions.functions.builtin import BUILTINS, Builtin

__all__ = ["BUILTINS", "Builtin", "collections", "conversions", "moments", "numbers", "strings"]
