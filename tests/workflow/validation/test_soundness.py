"""Graphs that ComfyUI accepts and dies of."""

from __future__ import annotations

from typing import Any

import pytest

from worker.workflow.prompt import Prompt
from worker.workflow.validation.check import DEEPEST, graph_errors


def chain(length: int) -> Prompt:
    """Nodes in a row, linked by an input that their class doesn't have."""
    prompt: Prompt = {str(n): {"class_type": "X", "inputs": {"odd": [str(n + 1), 0]}} for n in range(length - 1)}
    return prompt | {str(length - 1): {"class_type": "X", "inputs": {}}}


@pytest.mark.parametrize("slot", [0, 7, 1.5, True])
def test_a_link_to_nowhere(slot: float) -> None:
    """Whatever ComfyUI would follow is refused, with the node, the input and the id that was probably meant."""
    prompt = chain(2)
    prompt["1000"] = prompt.pop("0")
    prompt["1"]["inputs"]["other"] = ["100", slot]
    (found,) = graph_errors(prompt)
    assert (found.node_id, found.input_name) == ("1", "other")
    assert found.suggestion == "Did you mean '1000'?"


def test_a_wrapped_list_that_becomes_a_link() -> None:
    """Validation unwraps it in place, and execution follows what has the shape of a link (found by the fuzzer)."""
    prompt: Any = {"1": {"class_type": "PreviewAny", "inputs": {"text": {"__value__": ["https://a.example/x.png", 0]}}}}
    (found,) = graph_errors(prompt)
    assert (found.node_id, found.input_name) == ("1", "text")
    prompt["1"]["inputs"]["text"] = {"__value__": ["1", 0]}
    assert list(graph_errors(prompt)) == []


def test_what_is_no_link_is_left_alone() -> None:
    """Lists that ComfyUI takes for values may say anything."""
    values = ({"__value__": ["9"]}, {"__value__": ["9", "0"]}, ["9"], ["9", "0"], [9, 0], ["9", 0, 0], ["9", None])
    prompt: Any = {"1": {"class_type": "X", "inputs": {str(n): value for n, value in enumerate(values)}}}
    assert list(graph_errors(prompt)) == []


def test_a_chain_too_long_to_follow() -> None:
    """As deep as is allowed passes, also in a larger workflow; one more does not, nor does a cycle in a large one."""
    wide: Prompt = {f"w{n}": {"class_type": "X", "inputs": {"odd": ["0", 0]}} for n in range(2 * DEEPEST)}
    assert list(graph_errors(chain(DEEPEST))) == list(graph_errors(chain(DEEPEST - 1) | wide)) == []
    (found,) = graph_errors(chain(DEEPEST) | wide)
    assert "chain" in found.message
    cyclic = chain(DEEPEST + 1)
    cyclic[str(DEEPEST)]["inputs"]["odd"] = ["0", 0]
    (found,) = graph_errors(cyclic)
    assert "cycle" in found.message
