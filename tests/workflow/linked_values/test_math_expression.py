"""Arithmetic expressions of ComfyUI's math node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.workflow.linked_values.math_expression import evaluate

VALUES = {"a": 5.0, "b": 24.0}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a/2", 2.5),
        ("a * b + 1", 121),
        ("max(5, round(a * 24)) + (5 - (max(5, round(a * 24)) % 17)) % 17", 124),
        ("max(((a + 15) // 16) * 16, 256)", 256),
        ("a & -4", 4),
        ("-floor(2.5) ** 2", -4),
        ("min(a, b)", 5),
        ("c", None),
        ("a / 0", None),
        ("2 ** 100", None),
        ("a if b else 1", None),
        ("a.real", None),
        ("__import__('os')", None),
        ("round(a, ndigits=1)", None),
        ("a +", None),
        ("(" * 400 + "a" + ")" * 400, None),
        ("", None),
    ],
)
def test_an_expression_has_a_value_or_none(expression: str, expected: float | None) -> None:
    """Arithmetic, minimum and rounding are computed. Everything else has no value."""
    assert evaluate(expression, VALUES) == expected


@given(st.text("ab0123456789+-*/%&().,<>=_ minroud", max_size=60))
def test_no_text_raises(expression: str) -> None:
    """Any text has a finite value or none."""
    value = evaluate(expression, VALUES)
    assert value is None or abs(value) < 1e13
