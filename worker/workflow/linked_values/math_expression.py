"""Evaluates the arithmetic expressions of ComfyUI's math node, such as `max(5, round(a * 24)) + 1`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

LONGEST = 500
"""Length above which an expression is not evaluated."""
LARGEST = 1e12
"""Magnitude above which a result counts as unknown, so that powers stay cheap."""

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: lambda left, right: int(left) & int(right),
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "round": round,
    "abs": abs,
    "int": int,
    "float": float,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
}


def evaluate(expression: str, values: Mapping[str, float]) -> float | None:
    """Return the value of an expression, or None if it is invalid, unknown or absurdly large.

    `values` are the values of its names.
    """
    tree = _parsed(expression)
    if tree is None:
        return None
    try:
        return _value(tree, values)
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=512)
def _parsed(expression: str) -> ast.expr | None:
    """Return the syntax tree of an expression, or None if it is too long or invalid."""
    if len(expression) > LONGEST:
        return None
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    """Return the value of a node of the tree. Raises ValueError for everything that is no arithmetic."""
    match node:
        case ast.Constant(value=int() | float() as value):
            result = value
        case ast.Name(id=name):
            result = values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            result = -_value(operand, values)
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in _OPERATORS:
            sides = _value(left, values), _value(right, values)
            if isinstance(symbol, ast.Pow) and abs(sides[1]) > 8:
                raise ValueError
            result = _OPERATORS[type(symbol)](*sides)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            result = _FUNCTIONS[name](*(_value(argument, values) for argument in arguments))
        case _:
            raise ValueError
    if not abs(result) < LARGEST:
        raise ValueError
    return result
