"""Graphs that ComfyUI accepts but that crash it."""

from __future__ import annotations

from typing import Any

import pytest

from worker.workflow.prompt import Prompt
from worker.workflow.validation.check import DEEPEST, graph_errors


def chain(length: int) -> Prompt:
    """Return nodes in a row, linked by an undeclared input."""
    prompt: Prompt = {str(n): {"class_type": "X", "inputs": {"odd": [str(n + 1), 0]}} for n in range(length - 1)}
    return prompt | {str(length - 1): {"class_type": "X", "inputs": {}}}


@pytest.mark.parametrize("slot", [0, 7, 1.5, True])
def test_graph_errors_reports_broken_links(slot: float) -> None:
    """The error has the node, the input and the nearest id."""
    prompt = chain(2)
    prompt["1000"] = prompt.pop("0")
    prompt["1"]["inputs"]["other"] = ["100", slot]
    (error,) = graph_errors(prompt)
    assert (error.node_id, error.input_name) == ("1", "other")
    assert error.suggestion == "Did you mean '1000'?"


def test_graph_errors_reports_wrapped_links() -> None:
    """Validation unwraps the list, and execution follows it as a link."""
    prompt: Any = {"1": {"class_type": "PreviewAny", "inputs": {"text": {"__value__": ["https://a.example/x.png", 0]}}}}
    (error,) = graph_errors(prompt)
    assert (error.node_id, error.input_name) == ("1", "text")
    prompt["1"]["inputs"]["text"] = {"__value__": ["1", 0]}
    assert list(graph_errors(prompt)) == []


def test_graph_errors_ignores_other_lists() -> None:
    """Lists that ComfyUI treats as values may have any content."""
    values = ({"__value__": ["9"]}, {"__value__": ["9", "0"]}, ["9"], ["9", "0"], [9, 0], ["9", 0, 0], ["9", None])
    prompt: Any = {"1": {"class_type": "X", "inputs": {str(n): value for n, value in enumerate(values)}}}
    assert list(graph_errors(prompt)) == []


def test_graph_errors_reports_long_chains_and_cycles() -> None:
    """A chain of the maximum length is valid, also in a larger workflow."""
    wide: Prompt = {f"w{n}": {"class_type": "X", "inputs": {"odd": ["0", 0]}} for n in range(2 * DEEPEST)}
    assert list(graph_errors(chain(DEEPEST))) == list(graph_errors(chain(DEEPEST - 1) | wide)) == []
    (error,) = graph_errors(chain(DEEPEST) | wide)
    assert "chain" in error.message
    cyclic = chain(DEEPEST + 1)
    cyclic[str(DEEPEST)]["inputs"]["odd"] = ["0", 0]
    (error,) = graph_errors(cyclic)
    assert "cycle" in error.message
