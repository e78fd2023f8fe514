"""Easy-Use's lists that add to a text, fields of its own types, old choices, and nodes with an old name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog

PROMPT, WILDCARDS, STYLES, LOADER = "easy prompt", "easy wildcards", "easy stylesSelector", "easy fullLoader"
LORA, WILDCARD = "Select the LoRA to add to the text", "Select the Wildcard to add to the text"
SUBJECT, ACTION = "👤Select the subject add to the text", "🎬Select the action add to the text"
LISTS = {"subject": [[SUBJECT, "a cat"]], "action": [[ACTION, "running"]]}
CATALOG = Catalog.from_object_info(
    {
        **CLASSES,
        PROMPT: node_class({"text": ["STRING", {"multiline": True}], **LISTS}, ["STRING"]),
        WILDCARDS: node_class(
            {"text": ["STRING", {}], "Select to add LoRA": [[LORA, "a.safetensors"]], "Select to add Wildcard": [[]]}
        ),
        STYLES: node_class({"styles": [["fooocus"]]}, ["STRING"], select_styles=["EASY_PROMPT_STYLES", {}]),
        "easy multiAngle": node_class({"multi_angle": ["EASY_MULTI_ANGLE", {}]}),
        LOADER: node_class(
            {
                "ckpt_name": [["first.ckpt", "b.ckpt"]],
                "vae_name": [["Baked VAE", "v.pt"]],
                "resolution": [["width x height (custom)"]],
            },
            ["MODEL"],
            model_override=["MODEL"],
            vae_override=["VAE"],
        ),
        "easy preSampling": node_class({"add_noise": [["enable (CPU)", "disable"]]}),
        "easy showAnything": node_class({"anything": ["*"]}),
    }
)


def given(kind: str, values: Any, **more: Any) -> Any:
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values, **more)
    return drawing.prompt(CATALOG)["1"][1]


def test_lists_are_sent_as_their_label() -> None:
    """Whatever the file has: the choice itself is in the text already."""
    labels = {"subject": SUBJECT, "action": ACTION}
    assert given(PROMPT, ["a picture", SUBJECT, ACTION]) == {"text": "a picture", **labels}
    assert given(PROMPT, ["a picture", "beautiful woman", None]) == {"text": "a picture", **labels}


def test_a_choice_that_is_still_in_its_list_is_added_to_the_text() -> None:
    """With a blank or a comma, as the list has it; into an empty text as it is."""
    assert given(PROMPT, ["a picture", "a cat", "running"])["text"] == "a picture a cat,running"
    assert given(PROMPT, ["", "a cat", ACTION])["text"] == "a cat"


def test_wildcards_and_loras_are_added_to_the_text() -> None:
    """Both lists are sent as their label, unless something is linked into them."""
    sent = given(WILDCARDS, ["a", "b.safetensors", "__c__"])
    assert sent == {"text": "a<lora:b>, __c__", "Select to add LoRA": LORA, "Select to add Wildcard": WILDCARD}
    drawing = WorkflowBuilder()
    drawing.node(1, WILDCARDS, ["a", LORA, WILDCARD])
    drawing.node(2, "Quote", ["b"])
    drawing.link(2, 0, 1, "Select to add LoRA", "COMBO", widget=True)
    assert drawing.prompt(CATALOG)["1"][1]["Select to add LoRA"] == ["2", 0]


@pytest.mark.parametrize(("value", "sent"), [("A,B", "A,B"), (["A", "B"], "A,B"), (None, ""), ([], "")])
def test_chosen_styles_are_one_text(value: Any, sent: str) -> None:
    """The file may have a list; its slot says that it is a field."""
    slots = [{"name": "select_styles", "type": "EASY_PROMPT_STYLES", "widget": {"name": "select_styles"}}]
    assert given(STYLES, ["fooocus", value], inputs=slots) == {"styles": "fooocus", "select_styles": sent}


def test_fields_that_hold_objects_are_sent_as_json() -> None:
    """As text it stays what it is."""
    slots = [{"name": "multi_angle", "type": "EASY_MULTI_ANGLE", "widget": {"name": "multi_angle"}}]
    assert given("easy multiAngle", [[{"zoom": 5}]], inputs=slots) == {"multi_angle": '[{"zoom": 5}]'}
    assert given("easy multiAngle", ['[{"zoom":5}]'], inputs=slots) == {"multi_angle": '[{"zoom":5}]'}


def test_old_choices_have_their_present_name() -> None:
    """Of resolutions and of noise."""
    assert given(LOADER, ["b.ckpt", "v.pt", "自定义 x 自定义"])["resolution"] == "width x height (custom)"
    assert given("easy preSampling", ["enable"]) == {"add_noise": "enable (CPU)"}


def test_what_a_link_overrides_is_reset() -> None:
    """The first checkpoint, and the VAE that comes with it."""
    drawing = WorkflowBuilder()
    drawing.node(1, LOADER, ["b.ckpt", "v.pt", "x"])
    drawing.node(2, "Any")
    drawing.link(2, 0, 1, "model_override", "MODEL")
    assert drawing.prompt(CATALOG)["1"][1]["ckpt_name"] == "first.ckpt"
    assert drawing.prompt(CATALOG)["1"][1]["vae_name"] == "v.pt"
    drawing.link(2, 0, 1, "vae_override", "VAE")
    assert drawing.prompt(CATALOG)["1"][1]["vae_name"] == "Baked VAE"


def test_notes_and_old_names() -> None:
    """A bookmark is left out; a lazy class is the one that took its place."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvas", [64, 64])
    drawing.node(2, "easy bookmark", ["1", 1])
    drawing.node(3, "easy showAnythingLazy", ["shown"])
    drawing.link(1, 0, 3, "anything")
    assert drawing.prompt(CATALOG)["3"] == ("easy showAnything", {"anything": ["1", 0]})
    assert "2" not in drawing.prompt(CATALOG)
