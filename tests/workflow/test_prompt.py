"""Reading prompts and walking them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import PromptError, UiFormatError
from worker.job import RandomInteger
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


def test_a_prompt_is_taken_as_it_is() -> None:
    """parse_prompt returns the nodes with class, inputs and _meta."""
    assert parse_prompt(chain()) == chain()


def test_an_export_that_wraps_the_prompt_is_unwrapped() -> None:
    """What `{"prompt": ...}` wraps is the prompt, unless it is itself a node with that id."""
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
def test_what_is_no_prompt_is_refused_at_its_node(value: object, node_id: str | None) -> None:
    """A value of another shape raises PromptError, which names the node where there is one."""
    with pytest.raises(PromptError) as refusal:
        parse_prompt(value)
    assert refusal.value.node_id == node_id
    assert not isinstance(refusal.value, UiFormatError)


def test_the_editors_own_format_is_told_apart() -> None:
    """A saved workflow has nodes and links lists, and raises the error that a converter can catch."""
    with pytest.raises(UiFormatError):
        parse_prompt({"nodes": [], "links": [], "version": 0.4})


@settings(deadline=None)  # the machine is shared
@given(JSON | st.dictionaries(st.text(), st.fixed_dictionaries({"class_type": JSON, "inputs": JSON}), max_size=3))
def test_any_json_is_a_prompt_or_a_prompt_error(value: Any) -> None:
    """No JSON value makes parse_prompt raise anything but PromptError, nor its result break the walkers."""
    try:
        prompt = parse_prompt(value)
    except PromptError:
        return
    for node_id in prompt:
        assert isinstance(title(prompt, node_id), str)
        assert ancestors(prompt, node_id) <= set(prompt)
    draw_random_integers(prompt, dice())


def test_links_are_pairs_of_an_id_and_a_slot() -> None:
    """Only `[text, integer]` is a link; other lists are values."""
    inputs: Any = {"a": ["1", 0], "b": [1, 0], "c": ["1"], "d": ["1", "0"], "e": "1"}
    assert list(links({"class_type": "X", "inputs": inputs})) == [("a", "1", 0)]


def test_a_node_is_called_by_its_title_else_its_class_else_its_id() -> None:
    """Titles of nodes that have none, or are not there, fall back."""
    assert [title(chain(), node_id) for node_id in ("2", "3", "9")] == ["Negative", "SaveImage", "9"]


def test_ancestors_are_all_that_a_node_needs() -> None:
    """ancestors follows links to the end, leaves out what is not there, and ends in a cycle."""
    assert ancestors(chain(), "3") == {"1", "2"}
    assert ancestors(chain(), "4") == set()
    cycle: Prompt = {
        "1": {"class_type": "X", "inputs": {"a": ["2", 0]}},
        "2": {"class_type": "X", "inputs": {"a": ["1", 0], "b": ["77", 0]}},
    }
    assert ancestors(cycle, "1") == {"1", "2"}


def test_random_integers_are_drawn_wherever_the_placeholder_stands() -> None:
    """Each placeholder, nested ones too, becomes its own integer; inside a text it becomes digits."""
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
    assert prompt["1"]["inputs"]["seed"] == token, "the given prompt stays as it is"
    assert draw_random_integers(prompt, dice()) == drawn
    places = [("1", "seed"), ("1", "deep.list.0"), ("1", "filename_prefix"), ("2", "seed")]
    assert record == [RandomInteger(*place, number) for place, number in zip(places, numbers, strict=True)]
