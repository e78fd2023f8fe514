"""Parsing prompts and walking them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import PromptError, UiFormatError
from worker.prompt_changes import RandomInteger
from worker.workflow.prompt import (
    RANDOM_INTEGER_MAX,
    Prompt,
    ancestors,
    draw_random_integers,
    links,
    parse_prompt,
    title,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def dice() -> Random:
    return Random(5)


def chain() -> Prompt:
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}, "_meta": {"title": "Negative"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
        "4": {"class_type": "EmptyImage", "inputs": {}},
    }


def test_parse_prompt_returns_nodes() -> None:
    """The nodes have class, inputs and _meta."""
    assert parse_prompt(chain()) == chain()


def test_parse_prompt_unwraps_an_export() -> None:
    """`{"prompt": ...}` is unwrapped, unless it is a node with the id `prompt`."""
    assert parse_prompt({"prompt": chain(), "client_id": "a"}) == chain()
    node = {"prompt": {"class_type": "EmptyImage", "inputs": {}}}
    assert parse_prompt(node) == node


@pytest.mark.parametrize(
    ("value", "node_id"),
    [
        (None, None),
        ([], None),
        ("{}", None),
        ({}, None),
        ({"1": None}, "1"),
        ({"1": {"inputs": {}}}, "1"),
        ({"1": {"class_type": 5, "inputs": {}}}, "1"),
        ({"1": {"class_type": "EmptyImage"}}, "1"),
        ({"1": {"class_type": "EmptyImage", "inputs": []}}, "1"),
    ],
)
def test_parse_prompt_rejects_malformed_nodes(value: object, node_id: str | None) -> None:
    """PromptError names the node."""
    with pytest.raises(PromptError) as refusal:
        parse_prompt(value)
    assert refusal.value.node_id == node_id
    assert not isinstance(refusal.value, UiFormatError)


def test_parse_prompt_recognizes_editor_workflows() -> None:
    """An editor workflow raises UiFormatError."""
    with pytest.raises(UiFormatError):
        parse_prompt({"nodes": [], "links": [], "version": 0.4})


@settings(deadline=None)  # the machine is shared
@given(JSON | st.dictionaries(st.text(), st.fixed_dictionaries({"class_type": JSON, "inputs": JSON}), max_size=3))
def test_any_json_is_parsed_or_raises_prompt_error(value: Any) -> None:
    """parse_prompt raises nothing but PromptError, and its result can be walked."""
    try:
        prompt = parse_prompt(value)
    except PromptError:
        return
    for node_id in prompt:
        assert isinstance(title(prompt, node_id), str)
        assert ancestors(prompt, node_id) <= set(prompt)
    draw_random_integers(prompt, dice())


def test_links_are_pairs_of_id_and_slot() -> None:
    """Only `[text, integer]` is a link."""
    inputs: Any = {"a": ["1", 0], "b": [1, 0], "c": ["1"], "d": ["1", "0"], "e": "1"}
    assert list(links({"class_type": "X", "inputs": inputs})) == [("a", "1", 0)]


def test_title_falls_back_to_class_and_id() -> None:
    """title returns the title, else the class, else the id."""
    assert [title(chain(), node_id) for node_id in ("2", "3", "9")] == ["Negative", "SaveImage", "9"]


def test_ancestors_follow_links_to_the_end() -> None:
    """ancestors skips missing nodes and ends in a cycle."""
    assert ancestors(chain(), "3") == {"1", "2"}
    assert ancestors(chain(), "4") == set()
    cycle: Prompt = {
        "1": {"class_type": "X", "inputs": {"a": ["2", 0]}},
        "2": {"class_type": "X", "inputs": {"a": ["1", 0], "b": ["77", 0]}},
    }
    assert ancestors(cycle, "1") == {"1", "2"}


def test_random_integers_replace_each_placeholder() -> None:
    """Each placeholder, also a nested one, becomes its own integer, or digits inside a text."""
    token = "__RANDOM_INT__"
    inputs: Any = {"seed": token, "deep": {"list": [token, "other"]}, "filename_prefix": f"run-{token}", "steps": 4}
    prompt: Prompt = {"1": {"class_type": "X", "inputs": inputs}, "2": {"class_type": "X", "inputs": {"seed": token}}}
    record: list[RandomInteger] = []
    drawn = draw_random_integers(prompt, dice(), record)
    first: Any = drawn["1"]["inputs"]
    numbers = [first["seed"], first["deep"]["list"][0], int(first["filename_prefix"][4:]), drawn["2"]["inputs"]["seed"]]
    assert len(set(numbers)) == 4
    assert all(isinstance(number, int) and 0 <= number <= RANDOM_INTEGER_MAX for number in numbers)
    assert (first["deep"]["list"][1], first["steps"]) == ("other", 4)
    assert prompt["1"]["inputs"]["seed"] == token, "the original prompt is not changed"
    assert draw_random_integers(prompt, dice()) == drawn
    places = [("1", "seed"), ("1", "deep.list.0"), ("1", "filename_prefix"), ("2", "seed")]
    assert record == [RandomInteger(*place, number) for place, number in zip(places, numbers, strict=True)]
