"""Nodes that compute numbers and text, and switches. Their results are real, because they decide sizes and counts."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence

from worker.simulators.comfyui.classes.registry import LazyInputs
from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult

Number = int | float

_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: lambda left, right: int(left) & int(right),
    ast.BitOr: lambda left, right: int(left) | int(right),
    ast.BitXor: lambda left, right: int(left) ^ int(right),
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Number], Number]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: lambda value: ~int(value),
    ast.Not: operator.not_,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "int": int,
    "float": float,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}


def math_expression(call: NodeCall) -> NodeResult:
    """Return the value of the expression as a float, an integer and a boolean."""
    names = {
        name.removeprefix("values."): value
        for name, value in call.inputs.items()
        if name.startswith("values.") and isinstance(value, int | float)
    }
    value = evaluate(call.text("expression"), names)
    return NodeResult((float(value), int(value), bool(value)))


def evaluate(expression: str, names: Mapping[str, Number]) -> Number:
    """Compute an arithmetic expression with the given variables. Raises `NodeError` for anything else in it."""
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, names)
    except (SyntaxError, ArithmeticError, TypeError, ValueError) as error:
        raise NodeError(f"{expression!r}: {error}", "ValueError") from error


def resolution(call: NodeCall) -> NodeResult:
    """Return width and height for an aspect ratio and a number of megapixels, both multiples of `multiple`."""
    ratio_width, _, ratio_height = call.text("aspect_ratio").split()[0].partition(":")
    ratio, multiple = int(ratio_width) / int(ratio_height), call.integer("multiple", 8)
    height = math.sqrt(call.number("megapixels") * 1024 * 1024 / ratio)
    return NodeResult(tuple(max(multiple, round(edge / multiple) * multiple) for edge in (height * ratio, height)))


def switch(call: NodeCall) -> NodeResult:
    """Return the input `on_true` or `on_false`."""
    return NodeResult((call.inputs.get(_branch(call.inputs.get("switch"))),))


def needed_branch(inputs: Mapping[str, Sequence[Value]]) -> Sequence[str]:
    """Return the name of the chosen branch, so that the other one never runs."""
    return [_branch(inputs["switch"][0])]


def concatenate(call: NodeCall) -> NodeResult:
    """Return both texts joined by the delimiter."""
    return NodeResult((call.text("delimiter", "").join((call.text("string_a"), call.text("string_b"))),))


def replace_text(call: NodeCall) -> NodeResult:
    """Return the text with every occurrence of `find` replaced."""
    return NodeResult((call.text("string").replace(call.text("find"), call.text("replace")),))


def _branch(is_true: Value) -> str:
    """Return the name of the input that a switch selects."""
    return "on_true" if is_true else "on_false"


def _value(node: ast.expr, names: Mapping[str, Number]) -> Number:
    """Return the value of a parsed expression. Raises ValueError for an unsupported one."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left, operation, right) if type(operation) in _BINARY:
            return _BINARY[type(operation)](_value(left, names), _value(right, names))
        case ast.UnaryOp(operation, operand) if type(operation) in _UNARY:
            return _UNARY[type(operation)](_value(operand, names))
        case ast.Compare(left, [comparison], [right]) if type(comparison) in _COMPARE:
            return _COMPARE[type(comparison)](_value(left, names), _value(right, names))
        case ast.Call(ast.Name(id=name), arguments, []) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(argument, names) for argument in arguments))
        case _:
            raise ValueError(f"cannot compute {ast.unparse(node)}")


NODES: Mapping[str, NodeFunction] = {
    "ComfyMathExpression": math_expression,
    "ResolutionSelector": resolution,
    "ComfySwitchNode": switch,
    "StringConcatenate": concatenate,
    "StringReplace": replace_text,
}
LAZY_INPUTS: Mapping[str, LazyInputs] = {"ComfySwitchNode": needed_branch}
