"""A tree to closures, which are much faster to run than a tree is to walk."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

from expressions import nodes
from expressions.errors import ExpressionError, Fault
from expressions.frames import Evaluation, Frame
from expressions.functions import BUILTINS
from expressions.limits import Budget
from expressions.nodes import Node
from expressions.predicates import LOOPS, items_of, reduce, sort_by
from expressions.values import (
    Function,
    Value,
    add,
    compare,
    contains,
    cut,
    divide,
    equal,
    fetch,
    invert,
    is_number,
    make_range,
    mismatch,
    modulo,
    multiply,
    negate,
    plus,
    power,
    subtract,
    truth,
    type_name,
)

#: Levels of a tree. Chains such as `a.b.c` and `x | f() | g()` are levels too.
_MAX_LEVELS: Final = 120


class _Nil(Exception):
    """An optional member met nil: the chain around it is nil."""


@lru_cache(maxsize=512)
def _pattern(text: str) -> re2._Regexp:
    """A regular expression in RE2's syntax, which is Go's: matched in linear time."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error:
        raise Fault("error parsing regexp: the pattern is not one of RE2's syntax") from None


def _texts(symbol: str, left: Value, right: Value, budget: Budget) -> tuple[str, str] | None:
    """Both operands as texts; None when one is nil, which matches nothing."""
    if left is None or right is None:
        return None
    if isinstance(left, str) and isinstance(right, str):
        budget.scan(left, right)
        return str(left), str(right)
    raise mismatch(symbol, left, right)


def _matches(left: Value, right: Value, budget: Budget) -> bool:
    if isinstance(left, bytes):
        left = left.decode("utf-8", "replace")
    texts = _texts("matches", left, right, budget)
    return texts is not None and _pattern(texts[1]).search(texts[0]) is not None


def _contains_text(left: Value, right: Value, budget: Budget) -> bool:
    texts = _texts("contains", left, right, budget)
    return texts is not None and texts[1] in texts[0]


def _starts_with(left: Value, right: Value, budget: Budget) -> bool:
    texts = _texts("startsWith", left, right, budget)
    return texts is not None and texts[0].startswith(texts[1])


def _ends_with(left: Value, right: Value, budget: Budget) -> bool:
    texts = _texts("endsWith", left, right, budget)
    return texts is not None and texts[0].endswith(texts[1])


def _differ(left: Value, right: Value, budget: Budget) -> bool:
    return not equal(left, right, budget)


#: Operators that evaluate both operands.
_OPERATORS: Final[dict[str, Callable[[Value, Value, Budget], Value]]] = {
    "==": equal,
    "!=": _differ,
    "in": contains,
    "matches": _matches,
    "contains": _contains_text,
    "startsWith": _starts_with,
    "endsWith": _ends_with,
    "..": make_range,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "**": power,
    "^": power,
}

_LOGICAL: Final = {"and": False, "&&": False, "or": True, "||": True}


def compile_tree(tree: Node, source: str) -> tuple[Evaluation, int]:
    """The closure of a tree, and how many `let` variables it has. Raises ExpressionError."""
    compiler = _Compiler(source)
    return compiler.compile(tree), compiler.slots


class _Compiler:
    def __init__(self, source: str) -> None:
        self.source = source
        self.slots = 0
        self.level = 0
        #: Nodes compiled so far: what one turn of a loop costs.
        self.nodes = 0
        #: Places of the `let` variables that are visible.
        self.names: dict[str, int] = {}
        #: Name of the innermost function with a predicate.
        self.loop = ""

    def fail(self, message: str, offset: int) -> ExpressionError:
        return ExpressionError(message, self.source, offset)

    def compile(self, node: Node) -> Evaluation:
        self.level += 1
        self.nodes += 1
        if self.level > _MAX_LEVELS:
            raise self.fail(f"the expression is nested deeper than {_MAX_LEVELS} levels", node.offset)
        try:
            return self.dispatch(node)
        finally:
            self.level -= 1

    def dispatch(self, node: Node) -> Evaluation:
        match node:
            case nodes.Literal(value=value):
                return lambda frame: value
            case nodes.Name():
                return self.name(node)
            case nodes.Pointer():
                return self.pointer(node)
            case nodes.Unary():
                return self.unary(node)
            case nodes.Binary():
                return self.binary(node)
            case nodes.Comparison():
                return self.comparison(node)
            case nodes.Member():
                return self.member(node)
            case nodes.Chain():
                return self.chain(node)
            case nodes.Slice():
                return self.slice(node)
            case nodes.Call():
                return self.call(node)
            case nodes.Builtin():
                return self.builtin(node)
            case nodes.Predicate(body=body):
                return self.compile(body)
            case nodes.Conditional():
                return self.conditional(node)
            case nodes.Let():
                return self.let(node)
            case nodes.Sequence(parts=parts):
                return self.sequence(parts)
            case nodes.Array():
                return self.array(node)
            case nodes.Map():
                return self.map(node)

    def guarded(self, offset: int, work: Evaluation) -> Evaluation:
        """The work, with the place added to what goes wrong in it."""

        def evaluation(frame: Frame) -> Value:
            try:
                return work(frame)
            except Fault as fault:
                raise self.fail(str(fault), offset) from None

        return evaluation

    def name(self, node: nodes.Name) -> Evaluation:
        name = node.name
        if name in self.names:
            place = self.names[name]
            return lambda frame: frame.slots[place]
        if name == "$env":
            return lambda frame: frame.variables

        def variable(frame: Frame) -> Value:
            variables = frame.variables
            if isinstance(variables, dict) and name in variables:
                return variables[name]
            if name in frame.functions:
                return frame.functions[name]
            if isinstance(variables, dict):
                return fetch(variables, name)
            raise self.fail(f"cannot fetch {name} from {type_name(variables)}", node.offset)

        return variable

    def pointer(self, node: nodes.Pointer) -> Evaluation:
        if node.name == "index":
            return lambda frame: frame.index
        if node.name == "acc":
            if self.loop != "reduce":
                raise self.fail("unknown pointer #acc: only reduce() has one", node.offset)
            return lambda frame: frame.accumulator
        return lambda frame: frame.item

    def unary(self, node: nodes.Unary) -> Evaluation:
        operand = self.compile(node.operand)
        if node.operator in ("not", "!"):
            return self.guarded(node.offset, lambda frame: invert(operand(frame)))
        if node.operator == "-":
            return self.guarded(node.offset, lambda frame: negate(operand(frame)))
        return self.guarded(node.offset, lambda frame: plus(operand(frame)))

    def binary(self, node: nodes.Binary) -> Evaluation:
        # A long chain such as a + b + c + … leans to the left: unrolled, so that its length is no depth.
        links: list[nodes.Binary] = [node]
        first = node.left
        while isinstance(first, nodes.Binary):
            links.append(first)
            first = first.left
        value = self.compile(first)
        steps = [self.link(link) for link in reversed(links)]
        if len(steps) == 1:
            step = steps[0]
            return lambda frame: step(value(frame), frame)

        def unrolled(frame: Frame) -> Value:
            result = value(frame)
            for step in steps:
                result = step(result, frame)
            return result

        return unrolled

    def link(self, node: nodes.Binary) -> Callable[[Value, Frame], Value]:
        """One operator with its right operand, given the left one's value."""
        self.nodes += 1
        symbol, offset = node.operator, node.offset
        right = self.compile(node.right)
        if symbol == "??":
            return lambda left, frame: right(frame) if left is None else left
        if symbol in _LOGICAL:
            decisive = _LOGICAL[symbol]

            def logical(left: Value, frame: Frame) -> Value:
                if left is decisive:
                    return left
                if left is not (not decisive):
                    raise self.fail(f"invalid operation: {symbol} needs bools (got {type_name(left)})", offset)
                value = right(frame)
                if value is True or value is False:
                    return value
                raise self.fail(f"invalid operation: {symbol} needs bools (got {type_name(value)})", offset)

            return logical
        if symbol == "matches" and isinstance(node.right, nodes.Literal) and isinstance(node.right.value, str):
            try:
                _pattern(node.right.value)
            except Fault as fault:
                raise self.fail(str(fault), offset) from None
        operation = _OPERATORS[symbol]

        def both(left: Value, frame: Frame) -> Value:
            value = right(frame)
            try:
                return operation(left, value, frame.budget)
            except Fault as fault:
                raise self.fail(str(fault), offset) from None

        return both

    def comparison(self, node: nodes.Comparison) -> Evaluation:
        first = self.compile(node.first)
        rest = [(offset, symbol, self.compile(right)) for offset, symbol, right in node.rest]

        def comparison(frame: Frame) -> Value:
            left = first(frame)
            for offset, symbol, operand in rest:
                right = operand(frame)
                try:
                    if isinstance(left, str):
                        frame.budget.spend(1 + len(left) // 64)
                    if not compare(symbol, left, right):
                        return False
                except Fault as fault:
                    raise self.fail(str(fault), offset) from None
                left = right
            return True

        return comparison

    def member(self, node: nodes.Member) -> Evaluation:
        holder = self.compile(node.object)
        offset, optional = node.offset, node.optional
        if isinstance(node.property, nodes.Literal):
            key = node.property.value

            def named(frame: Frame) -> Value:
                value = holder(frame)
                if type(value) is dict and type(key) is str:
                    return value.get(key)
                if value is None and optional:
                    raise _Nil
                try:
                    return fetch(value, key)
                except Fault as fault:
                    raise self.fail(str(fault), offset) from None

            return named
        index = self.compile(node.property)

        def indexed(frame: Frame) -> Value:
            value = holder(frame)
            if value is None and optional:
                raise _Nil
            key = index(frame)
            try:
                return fetch(value, key)
            except Fault as fault:
                raise self.fail(str(fault), offset) from None

        return indexed

    def chain(self, node: nodes.Chain) -> Evaluation:
        body = self.compile(node.body)

        def chain(frame: Frame) -> Value:
            try:
                return body(frame)
            except _Nil:
                return None

        return chain

    def slice(self, node: nodes.Slice) -> Evaluation:
        holder = self.compile(node.object)
        start = self.compile(node.start) if node.start is not None else None
        end = self.compile(node.end) if node.end is not None else None
        return self.guarded(
            node.offset,
            lambda frame: cut(
                holder(frame),
                self.bound(start, frame),
                self.bound(end, frame),
                frame.budget,
            ),
        )

    @staticmethod
    def bound(evaluation: Evaluation | None, frame: Frame) -> Value:
        if evaluation is None:
            return None
        value = evaluation(frame)
        if is_number(value):
            return value
        raise Fault(f"invalid operation: a slice needs numbers (got {type_name(value)})")

    def call(self, node: nodes.Call) -> Evaluation:
        arguments = [self.compile(argument) for argument in node.arguments]
        if isinstance(node.callee, nodes.Name) and node.callee.name not in self.names:
            return self.function_call(node, node.callee.name, arguments)
        callee = self.compile(node.callee)

        def method(frame: Frame) -> Value:
            function = callee(frame)
            if not isinstance(function, Function):
                raise Fault(f"{type_name(function)} is not callable")
            frame.budget.spend(1)
            return function([argument(frame) for argument in arguments])

        return self.guarded(node.offset, method)

    def function_call(self, node: nodes.Call, name: str, arguments: list[Evaluation]) -> Evaluation:
        def function_call(frame: Frame) -> Value:
            function: Value = frame.functions.get(name)
            if function is None and isinstance(frame.variables, dict):
                function = frame.variables.get(name)
            if function is None:
                raise Fault(f"unknown function {name}()")
            if not isinstance(function, Function):
                raise Fault(f"{type_name(function)} is not callable")
            frame.budget.spend(1)
            return function([argument(frame) for argument in arguments])

        return self.guarded(node.offset, function_call)

    def builtin(self, node: nodes.Builtin) -> Evaluation:
        if len(node.arguments) > 1 and isinstance(node.arguments[1], nodes.Predicate):
            return self.loop_call(node, node.arguments[1])
        if node.name in ("count", "sum"):
            items, loop = self.compile(node.arguments[0]), LOOPS[node.name]
            name = node.name
            return self.guarded(
                node.offset,
                lambda frame: loop(frame, items_of(frame, items(frame), name), lambda inner: inner.item, 1),
            )
        function = BUILTINS[node.name]
        try:
            function.check(len(node.arguments))
        except Fault as fault:
            raise self.fail(str(fault), node.offset) from None
        arguments = [self.compile(argument) for argument in node.arguments]
        call = function.call
        if function.clock:
            return self.guarded(
                node.offset,
                lambda frame: call(frame.budget, frame.now, *[argument(frame) for argument in arguments]),
            )
        if len(arguments) == 1:
            argument = arguments[0]
            return self.guarded(node.offset, lambda frame: call(frame.budget, argument(frame)))
        return self.guarded(node.offset, lambda frame: call(frame.budget, *[argument(frame) for argument in arguments]))

    def loop_call(self, node: nodes.Builtin, predicate: nodes.Predicate) -> Evaluation:
        name = node.name
        array = self.compile(node.arguments[0])
        outer, self.loop = self.loop, name
        before = self.nodes
        body = self.compile(predicate)
        cost = self.nodes - before
        self.loop = outer
        extra = [self.compile(argument) for argument in node.arguments[2:]]
        if name == "reduce":
            return self.guarded(
                node.offset,
                lambda frame: reduce(
                    frame,
                    items_of(frame, array(frame), name),
                    body,
                    cost,
                    tuple(argument(frame) for argument in extra),
                ),
            )
        if name == "sortBy":
            return self.guarded(
                node.offset,
                lambda frame: sort_by(
                    frame, items_of(frame, array(frame), name), body, cost, extra[0](frame) if extra else "asc"
                ),
            )
        loop = LOOPS[name]
        return self.guarded(node.offset, lambda frame: loop(frame, items_of(frame, array(frame), name), body, cost))

    def conditional(self, node: nodes.Conditional) -> Evaluation:
        condition, then, otherwise = map(self.compile, (node.condition, node.then, node.otherwise))
        offset = node.condition.offset

        def conditional(frame: Frame) -> Value:
            try:
                chosen = then if truth(condition(frame), "non-bool expression used as condition") else otherwise
            except Fault as fault:
                raise self.fail(str(fault), offset) from None
            return chosen(frame)

        return conditional

    def let(self, node: nodes.Let) -> Evaluation:
        if node.name in self.names:
            raise self.fail(f"cannot redeclare variable {node.name}", node.offset)
        if node.name in BUILTINS or node.name in LOOPS or node.name in ("reduce", "sortBy"):
            raise self.fail(f"cannot redeclare builtin {node.name}", node.offset)
        value = self.compile(node.value)
        place = self.slots
        self.slots += 1
        self.names[node.name] = place
        body = self.compile(node.body)
        del self.names[node.name]

        def let(frame: Frame) -> Value:
            frame.slots[place] = value(frame)
            return body(frame)

        return let

    def sequence(self, parts: tuple[Node, ...]) -> Evaluation:
        *before, last = [self.compile(part) for part in parts]

        def sequence(frame: Frame) -> Value:
            for part in before:
                part(frame)
            return last(frame)

        return sequence

    def array(self, node: nodes.Array) -> Evaluation:
        elements = [self.compile(element) for element in node.elements]

        def array(frame: Frame) -> Value:
            frame.budget.grow(len(elements))
            return [element(frame) for element in elements]

        return self.guarded(node.offset, array)

    def map(self, node: nodes.Map) -> Evaluation:
        pairs = [(self.compile(key), self.compile(value)) for key, value in node.pairs]

        def map_(frame: Frame) -> Value:
            frame.budget.grow(len(pairs))
            out: dict[Value, Value] = {}
            for key, value in pairs:
                name = key(frame)
                if not isinstance(name, str):
                    raise Fault(f"a key of a map must be a string (got {type_name(name)})")
                # Of two entries with one key the first counts, as in Go's expr.
                out.setdefault(str(name), value(frame))
            return out

        return self.guarded(node.offset, map_)
