"""Tests of the rules of Easy-Use."""

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


def node_inputs(kind: str, values: Any, **more: Any) -> Any:
    """Return the inputs of a single node."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values, **more)
    return builder.prompt(CATALOG)["1"][1]


def test_lists_are_sent_as_their_label() -> None:
    """convert sends the label of a list in place of the saved choice."""
    labels = {"subject": SUBJECT, "action": ACTION}
    assert node_inputs(PROMPT, ["a picture", SUBJECT, ACTION]) == {"text": "a picture", **labels}
    assert node_inputs(PROMPT, ["a picture", "beautiful woman", None]) == {"text": "a picture", **labels}


def test_a_choice_in_its_list_is_added_to_the_text() -> None:
    """convert adds a choice to the text with the separator of its list, unless the text is empty."""
    assert node_inputs(PROMPT, ["a picture", "a cat", "running"])["text"] == "a picture a cat,running"
    assert node_inputs(PROMPT, ["", "a cat", ACTION])["text"] == "a cat"


def test_wildcards_and_loras_are_added_to_the_text() -> None:
    """convert adds LoRA and wildcard to the text and sends both lists as labels, unless one is linked."""
    sent = node_inputs(WILDCARDS, ["a", "b.safetensors", "__c__"])
    assert sent == {"text": "a<lora:b>, __c__", "Select to add LoRA": LORA, "Select to add Wildcard": WILDCARD}
    builder = WorkflowBuilder()
    builder.node(1, WILDCARDS, ["a", LORA, WILDCARD])
    builder.node(2, "Quote", ["b"])
    builder.link(2, 0, 1, "Select to add LoRA", "COMBO", widget=True)
    assert builder.prompt(CATALOG)["1"][1]["Select to add LoRA"] == ["2", 0]


@pytest.mark.parametrize(("value", "sent"), [("A,B", "A,B"), (["A", "B"], "A,B"), (None, ""), ([], "")])
def test_chosen_styles_are_one_text(value: Any, sent: str) -> None:
    """convert joins a list of styles to one text."""
    slots = [{"name": "select_styles", "type": "EASY_PROMPT_STYLES", "widget": {"name": "select_styles"}}]
    assert node_inputs(STYLES, ["fooocus", value], inputs=slots) == {"styles": "fooocus", "select_styles": sent}


def test_fields_that_hold_objects_are_sent_as_json() -> None:
    """convert sends objects as JSON text and keeps texts unchanged."""
    slots = [{"name": "multi_angle", "type": "EASY_MULTI_ANGLE", "widget": {"name": "multi_angle"}}]
    assert node_inputs("easy multiAngle", [[{"zoom": 5}]], inputs=slots) == {"multi_angle": '[{"zoom": 5}]'}
    assert node_inputs("easy multiAngle", ['[{"zoom":5}]'], inputs=slots) == {"multi_angle": '[{"zoom":5}]'}


def test_old_choices_are_renamed() -> None:
    """convert replaces old names of resolutions and noise settings."""
    assert node_inputs(LOADER, ["b.ckpt", "v.pt", "自定义 x 自定义"])["resolution"] == "width x height (custom)"
    assert node_inputs("easy preSampling", ["enable"]) == {"add_noise": "enable (CPU)"}


def test_overridden_choices_are_reset() -> None:
    """convert resets the checkpoint and the VAE that a linked input replaces."""
    builder = WorkflowBuilder()
    builder.node(1, LOADER, ["b.ckpt", "v.pt", "x"])
    builder.node(2, "Any")
    builder.link(2, 0, 1, "model_override", "MODEL")
    assert builder.prompt(CATALOG)["1"][1]["ckpt_name"] == "first.ckpt"
    assert builder.prompt(CATALOG)["1"][1]["vae_name"] == "v.pt"
    builder.link(2, 0, 1, "vae_override", "VAE")
    assert builder.prompt(CATALOG)["1"][1]["vae_name"] == "Baked VAE"


def test_bookmarks_and_old_classes() -> None:
    """convert leaves out a bookmark, and replaces a lazy class by its successor."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvas", [64, 64])
    builder.node(2, "easy bookmark", ["1", 1])
    builder.node(3, "easy showAnythingLazy", ["shown"])
    builder.link(1, 0, 3, "anything")
    assert builder.prompt(CATALOG)["3"] == ("easy showAnything", {"anything": ["1", 0]})
    assert "2" not in builder.prompt(CATALOG)
