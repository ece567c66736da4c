"""Functions on strings (expr-lang: String Functions). Indexes count UTF-8 bytes, as in Go."""

from __future__ import annotations

from expressions.errors import Fault
from expressions.functions.builtin import array_argument, builtin, int_argument, text_argument
from expressions.limits import Budget
from expressions.values import Value, type_name

# What Go's unicode.IsSpace takes for blank.
_BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


@builtin("trim", 1, 2)
def trim(budget: Budget, value: Value, characters: Value = _BLANKS) -> str:
    text, removed = text_argument(value, "trim"), text_argument(characters, "trim")
    budget.scan(text, removed)
    return text.strip(removed) if removed else text


@builtin("trimPrefix", 1, 2)
def trim_prefix(budget: Budget, value: Value, prefix: Value = " ") -> str:
    budget.scan(text_argument(value, "trimPrefix"))
    return text_argument(value, "trimPrefix").removeprefix(text_argument(prefix, "trimPrefix"))


@builtin("trimSuffix", 1, 2)
def trim_suffix(budget: Budget, value: Value, suffix: Value = " ") -> str:
    budget.scan(text_argument(value, "trimSuffix"))
    return text_argument(value, "trimSuffix").removesuffix(text_argument(suffix, "trimSuffix"))


@builtin("upper", 1)
def upper(budget: Budget, value: Value) -> str:
    text = text_argument(value, "upper")
    budget.grow(len(text))
    if text.isascii():
        return text.upper()
    # Go maps rune by rune: what would become several characters stays ("ß").
    return "".join(one.upper() if len(one.upper()) == 1 else one for one in text)


@builtin("lower", 1)
def lower(budget: Budget, value: Value) -> str:
    text = text_argument(value, "lower")
    budget.grow(len(text))
    return text.lower() if text.isascii() else "".join(one.lower()[0] for one in text)


def _pieces(budget: Budget, text: str, separator: str, limit: int) -> list[str]:
    """Go's SplitN: limit 0 gives nothing, a negative one everything; an empty separator splits into characters."""
    budget.scan(text, separator)
    if limit == 0:
        return []
    budget.elements(len(text) + 1 if not separator else text.count(separator) + 1)
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


@builtin("split", 2, 3)
def split(budget: Budget, value: Value, separator: Value, limit: Value = -1) -> list[str]:
    text, between = text_argument(value, "split"), text_argument(separator, "split")
    return _pieces(budget, text, between, int_argument(limit, "split"))


@builtin("splitAfter", 2, 3)
def split_after(budget: Budget, value: Value, separator: Value, limit: Value = -1) -> list[str]:
    text, between = text_argument(value, "splitAfter"), text_argument(separator, "splitAfter")
    pieces = _pieces(budget, text, between, int_argument(limit, "splitAfter"))
    return [f"{piece}{between}" for piece in pieces[:-1]] + pieces[-1:]


@builtin("replace", 3, 4)
def replace(budget: Budget, value: Value, old: Value, new: Value, limit: Value = -1) -> str:
    text, before, after = (text_argument(part, "replace") for part in (value, old, new))
    count = int_argument(limit, "replace")
    budget.scan(text, before)
    times = text.count(before) if count < 0 else min(text.count(before), count)
    budget.grow(len(text) + times * len(after))
    return text.replace(before, after, -1 if count < 0 else count)


@builtin("repeat", 2)
def repeat(budget: Budget, value: Value, times: Value) -> str:
    text, count = text_argument(value, "repeat"), int_argument(times, "repeat")
    if count < 0:
        raise Fault(f"invalid argument for repeat (expected positive integer, got {count})")
    if count > 1_000_000:
        raise Fault("memory budget exceeded")
    budget.grow(len(text) * count)
    return text * count


@builtin("join", 1, 2)
def join(budget: Budget, value: Value, separator: Value = "") -> str:
    between = text_argument(separator, "join")
    parts = array_argument(value, "join", budget)
    for part in parts:
        if not isinstance(part, str):
            raise Fault(f"join needs an array of strings, got one with {type_name(part)}")
    budget.grow(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _byte_index(text: str, index: int) -> int:
    return index if index < 0 or text.isascii() else len(text[:index].encode("utf-8", "replace"))


@builtin("indexOf", 2)
def index_of(budget: Budget, value: Value, part: Value) -> int:
    text, wanted = text_argument(value, "indexOf"), text_argument(part, "indexOf")
    budget.scan(text, wanted)
    return _byte_index(text, text.find(wanted))


@builtin("lastIndexOf", 2)
def last_index_of(budget: Budget, value: Value, part: Value) -> int:
    text, wanted = text_argument(value, "lastIndexOf"), text_argument(part, "lastIndexOf")
    budget.scan(text, wanted)
    return _byte_index(text, text.rfind(wanted))


@builtin("hasPrefix", 2)
def has_prefix(budget: Budget, value: Value, prefix: Value) -> bool:
    return text_argument(value, "hasPrefix").startswith(text_argument(prefix, "hasPrefix"))


@builtin("hasSuffix", 2)
def has_suffix(budget: Budget, value: Value, suffix: Value) -> bool:
    return text_argument(value, "hasSuffix").endswith(text_argument(suffix, "hasSuffix"))
