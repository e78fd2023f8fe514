"""rgthree's loaders, primitives and seeds, and its nodes that only the browser has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import Conversion, convert

LORAS, PRIMITIVE, PUTER = "Power Lora Loader (rgthree)", "Power Primitive (rgthree)", "Power Puter (rgthree)"
SEED, PROMPT = "Seed (rgthree)", "Power Prompt (rgthree)"
MUTED, BYPASSED = 2, 4
LIMIT = 2**50
HEADER = {"type": "PowerLoraLoaderHeaderWidget"}


def catalog(**choices: list[str]) -> Catalog:
    lists = {f"insert_{name}": [listed] for name, listed in choices.items()}
    return Catalog.from_object_info(
        {
            **CLASSES,
            LORAS: node_class({}, ["MODEL", "CLIP"], model=["MODEL"], clip=["CLIP"]),
            PRIMITIVE: node_class({}, ["*"]),
            PUTER: node_class({}, ["*"]),
            SEED: node_class({"seed": ["INT", {"min": -LIMIT, "max": LIMIT}]}, ["INT"]),
            PROMPT: node_class({"prompt": ["STRING", {"multiline": True}]}, ["STRING"], **lists, target_width=["INT"]),
        }
    )


def converted(kind: str, values: Any, **more: Any) -> Conversion:
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values, **more)
    return convert(drawing.saved(), catalog())


def given(kind: str, values: Any, **more: Any) -> Any:
    return converted(kind, values, **more).prompt["1"]["inputs"]


def lora(name: str | None, **more: Any) -> dict[str, Any]:
    return {"on": True, "lora": name, "strength": 1, **more}


def test_each_lora_of_the_list_is_an_input() -> None:
    """Those that are off and those without a file too, in order; lines, the header and the button are none."""
    values = [{}, HEADER, lora("a", strengthTwo=None), None, lora("b", on=False, strength=0.5), lora(None), {}, ""]
    conversion = converted(LORAS, values)
    assert conversion.prompt["1"]["inputs"] == {
        "lora_1": {"on": True, "lora": "a", "strength": 1},
        "lora_2": {"on": False, "lora": "b", "strength": 0.5},
        "lora_3": {"on": True, "lora": None, "strength": 1},
    }
    assert conversion.warnings == ()


def test_the_second_strength_counts_where_it_is_shown() -> None:
    """With separate strengths one that is missing is 1; with a single one the clip's is left out."""
    values = [lora("a", strengthTwo=0.4), lora("b", strengthTwo=None), lora("c")]
    separate = {"properties": {"Show Strengths": "Separate Model & Clip"}}
    second = [one["strengthTwo"] for one in given(LORAS, values, **separate).values()]
    assert second == [0.4, 1, 1]
    assert all("strengthTwo" not in one for one in given(LORAS, values).values())


@pytest.mark.parametrize("values", [None, [], {}, [{}, HEADER, {}, ""]])
def test_a_loader_without_loras(values: Any) -> None:
    """It sends none, whatever form its empty list has."""
    assert given(LORAS, values) == {}


@pytest.mark.parametrize("names", [("0", "1"), ("lora_1", "lora_2")])
def test_loras_that_were_saved_as_an_object(names: tuple[str, str]) -> None:
    """Its values are the list, whatever their names."""
    assert list(given(LORAS, dict(zip(names, (lora("a"), lora("b")), strict=True)))) == ["lora_1", "lora_2"]


def test_what_is_no_lora_is_named() -> None:
    """A file's name alone does not say how strong it is to be."""
    conversion = converted(LORAS, ["a.safetensors", {"on": True}])
    assert conversion.prompt["1"]["inputs"] == {}
    assert "'a.safetensors'" in conversion.warnings[0].message
    assert conversion.warnings[0].node_id == "1"


def test_loras_inside_a_subgraph_and_two_loaders() -> None:
    """Each node counts for itself."""
    inside = WorkflowBuilder("s")
    inside.node(5, LORAS, [lora("in")])
    drawing = WorkflowBuilder()
    drawing.definitions.append(inside)
    drawing.node(1, LORAS, [lora("one"), lora("two")])
    drawing.node(2, "s")
    drawing.node(3, LORAS, [lora("off")], MUTED)
    prompt = drawing.prompt(catalog())
    assert [list(prompt[node_id][1]) for node_id in ("1", "2:5")] == [["lora_1", "lora_2"], ["lora_1"]]
    assert "3" not in prompt


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        (["STRING", "hi"], "hi"),
        (["STRING", None], ""),
        (["INT", "7"], 7),
        (["FLOAT", "x"], 0),
        (["INT", None], 0),
        (["BOOLEAN", "false"], False),
        (["BOOLEAN", True], True),
    ],
)
def test_a_power_primitive_has_a_value_of_its_type(values: Any, sent: Any) -> None:
    """The class declares no input: its script adds the type and the value."""
    assert given(PRIMITIVE, values) == {"type": values[0], "value": sent}


def test_a_primitives_old_name_of_a_type() -> None:
    """BOOL is BOOLEAN today."""
    assert given(PRIMITIVE, ["BOOL", True]) == {"type": "BOOLEAN", "value": True}


@pytest.mark.parametrize("first", [{"outputs": ["INT"]}, "INT"])
def test_a_power_puter_has_outputs_and_code(first: Any) -> None:
    """Older files have one type as text."""
    assert given(PUTER, [first, "a + 1"]) == {"outputs": {"outputs": ["INT"]}, "code": "a + 1"}


def test_a_power_prompt_shows_only_lists_with_something_in_them() -> None:
    """Its values go to those that it shows; a size that it hides can still be linked."""
    drawing = WorkflowBuilder()
    drawing.node(1, PROMPT, ["text", "DISABLE LORAS", "CHOOSE"])
    drawing.node(2, "Number", [64, "fixed"])
    drawing.link(2, 0, 1, "target_width", "INT", widget=True)
    shown = catalog(lora=["CHOOSE", "DISABLE LORAS", "a"], saved=["CHOOSE", "mine"], none=["CHOOSE", "DISABLE LORAS"])
    assert drawing.prompt(shown)["1"][1] == {
        "prompt": "text",
        "insert_lora": "DISABLE LORAS",
        "insert_saved": "CHOOSE",
        "target_width": ["2", 0],
    }


@pytest.mark.parametrize("value", [-1, -2, -3])
def test_a_seed_that_the_node_draws_is_named(value: int) -> None:
    """It is sent as it is, because the node knows it; the limits are the node's own."""
    conversion = converted(SEED, [value, "", "", ""], properties={"randomMin": 10, "randomMax": 20})
    assert conversion.prompt["1"]["inputs"] == {"seed": value}
    assert [(seed.node_id, seed.input, seed.min, seed.max) for seed in conversion.seeds] == [("1", "seed", 10, 20)]


def test_a_seed_of_its_own_is_fixed() -> None:
    """`randomize` of files before its script removed that field says nothing."""
    conversion = converted(SEED, [7, "randomize", None, None])
    assert conversion.prompt["1"]["inputs"] == {"seed": 7}
    assert conversion.seeds == ()
    assert [seed.max for seed in converted(SEED, [-1], properties={}).seeds] == [LIMIT]


@pytest.mark.parametrize(
    "kind",
    [
        *("Node Collector (rgthree)", "Node Combiner (rgthree)", "Mute / Bypass Repeater (rgthree)"),
        *("Mute / Bypass Relay (rgthree)", "Fast Muter (rgthree)", "Reroute (rgthree)"),
    ],
)
def test_what_only_switches_others_is_left_out_and_hands_on(kind: str) -> None:
    """In a chain too, and nothing once it is muted."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Load", ["a.png", "image"])
    drawing.node(2, kind)
    drawing.node(3, "Node Collector (rgthree)")
    drawing.node(4, "Any")
    drawing.link(1, 0, 2, "IMAGE")
    drawing.link(1, 1, 2, "MASK")
    drawing.link(2, 0, 3, "picture")
    drawing.link(3, 0, 4, "value")
    assert drawing.prompt(catalog()) == {"1": ("Load", {"image": "a.png"}), "4": ("Any", {"value": ["1", 0]})}
    drawing._at(2)["mode"] = MUTED
    assert drawing.prompt(catalog())["4"][1] == {}


@pytest.mark.parametrize("kind", ["Fast Actions Button (rgthree)", "Label (rgthree)", "Bookmark (rgthree)"])
def test_buttons_and_labels_are_left_out(kind: str) -> None:
    """What a button did to other nodes is saved with those."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvas", [64, 64])
    drawing.node(2, kind, ["x"])
    drawing.link(1, 0, 2, "IMAGE")
    conversion = convert(drawing.saved(), catalog())
    assert list(conversion.prompt) == ["1"]
    assert conversion.warnings == ()


def test_a_random_choice_of_muted_nodes_is_a_warning() -> None:
    """The editor would enable one of them when it queues; nothing is drawn here."""
    drawing = WorkflowBuilder()
    for number in (1, 2):
        drawing.node(number, "Canvas", [64, 64], MUTED)
    drawing.node(3, "Random Unmuter (rgthree)")
    drawing.node(4, "Canvas", [64, 64])
    for number in (1, 2):
        drawing.link(number, 0, 3, f"{number}")
    conversion = convert(drawing.saved(), catalog())
    assert list(conversion.prompt) == ["4"]
    assert [warning.node_id for warning in conversion.warnings] == ["3"]
    drawing._at(1)["mode"] = 0
    assert convert(drawing.saved(), catalog()).warnings == ()
