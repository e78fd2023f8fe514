"""Tests of the rules of rgthree."""

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
    """Return a catalog in which the prompt class has lists with these choices."""
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


def convert_node(kind: str, values: Any, **more: Any) -> Conversion:
    """Return the conversion of a workflow with a single node."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values, **more)
    return convert(builder.saved(), catalog())


def node_inputs(kind: str, values: Any, **more: Any) -> Any:
    """Return the inputs of a single node."""
    return convert_node(kind, values, **more).prompt["1"]["inputs"]


def lora(name: str | None, **more: Any) -> dict[str, Any]:
    """Return one entry of a LoRA list."""
    return {"on": True, "lora": name, "strength": 1, **more}


def test_every_lora_is_an_input() -> None:
    """convert sends every LoRA in order, also disabled ones, and ignores lines, the header and the button."""
    values = [{}, HEADER, lora("a", strengthTwo=None), None, lora("b", on=False, strength=0.5), lora(None), {}, ""]
    conversion = convert_node(LORAS, values)
    assert conversion.prompt["1"]["inputs"] == {
        "lora_1": {"on": True, "lora": "a", "strength": 1},
        "lora_2": {"on": False, "lora": "b", "strength": 0.5},
        "lora_3": {"on": True, "lora": None, "strength": 1},
    }
    assert conversion.warnings == ()


def test_the_strength_of_the_clip() -> None:
    """convert sends the strength of the clip only if the node shows it, with 1 as its default."""
    values = [lora("a", strengthTwo=0.4), lora("b", strengthTwo=None), lora("c")]
    separate = {"properties": {"Show Strengths": "Separate Model & Clip"}}
    second = [one["strengthTwo"] for one in node_inputs(LORAS, values, **separate).values()]
    assert second == [0.4, 1, 1]
    assert all("strengthTwo" not in one for one in node_inputs(LORAS, values).values())


@pytest.mark.parametrize("values", [None, [], {}, [{}, HEADER, {}, ""]])
def test_a_loader_without_loras(values: Any) -> None:
    """convert sends no inputs for an empty list in any form."""
    assert node_inputs(LORAS, values) == {}


@pytest.mark.parametrize("names", [("0", "1"), ("lora_1", "lora_2")])
def test_loras_saved_as_an_object(names: tuple[str, str]) -> None:
    """convert reads the values of an object as the list."""
    assert list(node_inputs(LORAS, dict(zip(names, (lora("a"), lora("b")), strict=True)))) == ["lora_1", "lora_2"]


def test_other_values_are_a_warning() -> None:
    """convert warns about values of a loader that are not LoRA entries."""
    conversion = convert_node(LORAS, ["a.safetensors", {"on": True}])
    assert conversion.prompt["1"]["inputs"] == {}
    assert "'a.safetensors'" in conversion.warnings[0].message
    assert conversion.warnings[0].node_id == "1"


def test_several_loaders() -> None:
    """convert numbers the LoRAs of each loader separately."""
    inside = WorkflowBuilder("s")
    inside.node(5, LORAS, [lora("in")])
    builder = WorkflowBuilder()
    builder.definitions.append(inside)
    builder.node(1, LORAS, [lora("one"), lora("two")])
    builder.node(2, "s")
    builder.node(3, LORAS, [lora("off")], MUTED)
    prompt = builder.prompt(catalog())
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
    """convert sends the type of a Power Primitive and its value in that type."""
    assert node_inputs(PRIMITIVE, values) == {"type": values[0], "value": sent}


def test_the_old_name_of_a_type() -> None:
    """convert replaces the type BOOL by BOOLEAN."""
    assert node_inputs(PRIMITIVE, ["BOOL", True]) == {"type": "BOOLEAN", "value": True}


@pytest.mark.parametrize("first", [{"outputs": ["INT"]}, "INT"])
def test_a_power_puter_has_outputs_and_code(first: Any) -> None:
    """convert sends outputs and code of a Power Puter, also from files with one output type as text."""
    assert node_inputs(PUTER, [first, "a + 1"]) == {"outputs": {"outputs": ["INT"]}, "code": "a + 1"}


def test_a_power_prompt_hides_empty_lists() -> None:
    """convert gives the values to the lists that a Power Prompt shows, and keeps links into hidden sizes."""
    builder = WorkflowBuilder()
    builder.node(1, PROMPT, ["text", "DISABLE LORAS", "CHOOSE"])
    builder.node(2, "Number", [64, "fixed"])
    builder.link(2, 0, 1, "target_width", "INT", widget=True)
    shown = catalog(lora=["CHOOSE", "DISABLE LORAS", "a"], saved=["CHOOSE", "mine"], none=["CHOOSE", "DISABLE LORAS"])
    assert builder.prompt(shown)["1"][1] == {
        "prompt": "text",
        "insert_lora": "DISABLE LORAS",
        "insert_saved": "CHOOSE",
        "target_width": ["2", 0],
    }


@pytest.mark.parametrize("value", [-1, -2, -3])
def test_a_drawn_seed_is_listed(value: int) -> None:
    """convert sends -1, -2 or -3 unchanged and lists the seed with the limits of the node."""
    conversion = convert_node(SEED, [value, "", "", ""], properties={"randomMin": 10, "randomMax": 20})
    assert conversion.prompt["1"]["inputs"] == {"seed": value}
    assert [(seed.node_id, seed.input, seed.min, seed.max) for seed in conversion.seeds] == [("1", "seed", 10, 20)]


def test_other_seeds_are_fixed() -> None:
    """convert keeps a seed of 0 or more and ignores its old control."""
    conversion = convert_node(SEED, [7, "randomize", None, None])
    assert conversion.prompt["1"]["inputs"] == {"seed": 7}
    assert conversion.seeds == ()
    assert [seed.max for seed in convert_node(SEED, [-1], properties={}).seeds] == [LIMIT]


@pytest.mark.parametrize(
    "kind",
    [
        *("Node Collector (rgthree)", "Node Combiner (rgthree)", "Mute / Bypass Repeater (rgthree)"),
        *("Mute / Bypass Relay (rgthree)", "Fast Muter (rgthree)", "Reroute (rgthree)"),
    ],
)
def test_switching_nodes_pass_on_their_input(kind: str) -> None:
    """convert leaves out nodes that only switch others and passes on their input, unless they are muted."""
    builder = WorkflowBuilder()
    builder.node(1, "Load", ["a.png", "image"])
    builder.node(2, kind)
    builder.node(3, "Node Collector (rgthree)")
    builder.node(4, "Any")
    builder.link(1, 0, 2, "IMAGE")
    builder.link(1, 1, 2, "MASK")
    builder.link(2, 0, 3, "picture")
    builder.link(3, 0, 4, "value")
    assert builder.prompt(catalog()) == {"1": ("Load", {"image": "a.png"}), "4": ("Any", {"value": ["1", 0]})}
    builder._at(2)["mode"] = MUTED
    assert builder.prompt(catalog())["4"][1] == {}


@pytest.mark.parametrize("kind", ["Fast Actions Button (rgthree)", "Label (rgthree)", "Bookmark (rgthree)"])
def test_buttons_and_labels_are_left_out(kind: str) -> None:
    """convert leaves out buttons, labels and bookmarks without a warning."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvas", [64, 64])
    builder.node(2, kind, ["x"])
    builder.link(1, 0, 2, "IMAGE")
    conversion = convert(builder.saved(), catalog())
    assert list(conversion.prompt) == ["1"]
    assert conversion.warnings == ()


def test_a_random_unmuter_is_a_warning() -> None:
    """convert warns about a Random Unmuter whose inputs are all muted."""
    builder = WorkflowBuilder()
    for number in (1, 2):
        builder.node(number, "Canvas", [64, 64], MUTED)
    builder.node(3, "Random Unmuter (rgthree)")
    builder.node(4, "Canvas", [64, 64])
    for number in (1, 2):
        builder.link(number, 0, 3, f"{number}")
    conversion = convert(builder.saved(), catalog())
    assert list(conversion.prompt) == ["4"]
    assert [warning.node_id for warning in conversion.warnings] == ["3"]
    builder._at(1)["mode"] = 0
    assert convert(builder.saved(), catalog()).warnings == ()
