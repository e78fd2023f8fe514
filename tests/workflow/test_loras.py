"""LoRAs whose name is part of a value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.prompts import link, node, sampled
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.lora_names import find_by_ending, find_by_part, lora_tags, rgthree_tags
from worker.workflow.loras import NamedLora, named_loras
from worker.workflow.model_needs import needed_models
from worker.workflow.prompt import Prompt

LISTED = ["styles/detail_v1.5.safetensors", "b.safetensors", "old/b.pt"]
CATALOG = Catalog.bundled().with_files({"loras": LISTED})


def with_node(class_type: str, **inputs: Any) -> Prompt:
    """Return a text-to-image prompt with a node of a pack between checkpoint and sampler."""
    prompt = sampled() | {"7": node(class_type, **inputs)}
    prompt["3"]["inputs"]["model"] = link("7")
    return prompt


def loras(class_type: str, **inputs: Any) -> list[NamedLora]:
    return list(named_loras(with_node(class_type, **inputs), CATALOG))


def power(**more: Any) -> list[NamedLora]:
    linked = {"model": link("4"), "clip": link("4", 1)}
    return loras("Power Lora Loader (rgthree)", **linked | more)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("b.safetensors", "b.safetensors"),
        ("b", "b.safetensors"),
        ("elsewhere/b.safetensors", "b.safetensors"),
        ("b.pt", "b.safetensors"),
        ("old/b", "old/b.pt"),
        ("detail_v1.5", "styles/detail_v1.5.safetensors"),
        ("tail", "styles/detail_v1.5.safetensors"),
        ("styles\\detail_v1.5.safetensors", None),
        ("c", None),
    ],
)
def test_find_by_part(name: str, file: str | None) -> None:
    """rgthree matches the whole path, the name without folder or extension, and finally any part of a path."""
    assert find_by_part(name, LISTED) == file


@pytest.mark.parametrize(
    ("name", "file"),
    [("b", "b.safetensors"), ("b.pt", "old/b.pt"), ("v1.5", "styles/detail_v1.5.safetensors"), ("styles/b", None)],
)
def test_find_by_ending(name: str, file: str | None) -> None:
    """A name without an extension stands for a safetensors file."""
    assert find_by_ending(name, LISTED) == file


def test_lora_tags() -> None:
    """LoRAs inside of options are not certain. Wildcards, comments and strength 0 give none."""
    text = """a <lora:b:0.8:1>, <lora:c>, <lora:d:LBW=B11:0,0;A=0:0.5> {<lora:e:1>|x {<lora:f>|y}}
        # <lora:g:1>
        <lora:__any__:1> <lora:h:0> <lora:i:0:1> <lora:b:0.8:1>"""
    certain = {tag.name: tag.is_certain for tag in lora_tags(text)}
    assert certain == {"b": True, "c": True, "d": True, "e": False, "f": False, "i": True}
    assert [tag.name for tag in rgthree_tags("<lora:b:0.8> <lora:c> <lora:d:0> <lora:e:1:1>")] == ["b", "c"]
    assert [tag.name for tag in lora_tags("<lora:>{<lora:a:.5>}} <lora:<lora:b:1.> <lora:c:-:0.> <lora:d")] == [
        "a",
        "<lora",
    ]


@pytest.mark.parametrize(
    "text", ["<lora:" * 100_000, f"<lora:a:{'1' * 500_000}x>", "{" * 200_000 + "}" * 200_000, "<lora:>" * 100_000]
)
def test_lora_tags_take_linear_time(text: str) -> None:
    """Unclosed tags, long numbers and nested options are read once."""
    assert [tag.name for tag in lora_tags(text)] == (["a"] if "1" in text else [])


def test_entries_of_the_power_lora_loader() -> None:
    """Enabled entries with a strength count, for the model or for a linked CLIP."""
    entries: dict[str, Any] = {
        "lora_1": {"on": True, "lora": "b", "strength": 1},
        "LORA_2": {"on": True, "lora": "nope.safetensors", "strength": 0, "strengthTwo": 0.5},
        "lora_3": {"on": False, "lora": "off", "strength": 1},
        "lora_4": {"on": True, "lora": "none", "strength": 0},
        "lora_5": {"on": True, "lora": "None", "strength": 1},
        "header": {"type": "PowerLoraLoaderHeaderWidget"},
    }
    first = NamedLora("7", "lora_1.lora", "b", "b.safetensors", listed=True, is_certain=True)
    second = NamedLora("7", "LORA_2.lora", "nope.safetensors", "nope.safetensors", listed=False, is_certain=True)
    assert power(**entries) == [first, second]
    assert power(**entries, clip=None) == [first]
    assert not any(lora.is_certain for lora in power(**entries, model=None))


def test_the_mode_selects_the_text() -> None:
    """The mode selects the wildcard text or the populated text. Disabled LoRAs do not count."""
    texts = {"wildcard_text": "<lora:w:1>", "populated_text": "<lora:p:1>"}
    for mode, name in ((True, "w"), ("populate", "w"), (False, "p"), ("fixed", "p"), ("reproduce", "p")):
        assert [lora.name for lora in loras("ImpactWildcardEncode", mode=mode, **texts)] == [name]
    both = {f"{side}_{name}": text for side in ("positive", "negative") for name, text in texts.items()}
    assert [lora.input for lora in loras("MakeBasicPipe //Inspire", wildcard_mode="fixed", **both)] == [
        "positive_populated_text",
        "negative_populated_text",
    ]
    prompts = {"prompt": "<lora:b:1>", "opt_model": link("4"), "opt_clip": link("4", 1)}
    assert [lora.file for lora in loras("Power Prompt (rgthree)", **prompts)] == ["b.safetensors"]
    assert loras("Power Prompt (rgthree)", **prompts, insert_lora="DISABLE LORAS") == []
    assert loras("Power Prompt (rgthree)", prompt="<lora:b:1>") == []
    assert loras("CLIPTextEncode", text="<lora:b:1>", clip=link("4", 1)) == []


def test_a_linked_text_is_followed() -> None:
    """LoRAs in a linked text are not certain, because other nodes may change the text."""
    prompt = with_node("easy loraPromptApply", model=link("4"), clip=link("4", 1), positive=link("10"))
    prompt["10"] = node("Text Concatenate", text_a=link("11"), text_b="<lora:b:1>")
    prompt["11"] = node("Text Multiline", text="<lora:c:1>")
    named = list(named_loras(prompt, CATALOG))
    assert [(lora.node_id, lora.input, lora.name, lora.is_certain) for lora in named] == [
        ("7", "positive", "b", False),
        ("7", "positive", "c", False),
    ]


def test_entries_of_other_packs_are_not_certain() -> None:
    """Any object with a LoRA and a strength or a switch counts as an entry."""
    entries = {"__value__": [{"name": "b", "strength": "1.0", "active": True}, {"name": "c", "active": False}]}
    prompt = with_node("Lora Loader (LoraManager)", model=link("4"), loras=entries)
    needs = [need for need in needed_models(prompt, CATALOG) if need.folders == ("loras",)]
    assert [(need.file, need.listed, need.is_certain) for need in needs] == [("b.safetensors", True, False)]


def test_many_nodes_with_a_long_chain_take_little_time() -> None:
    """Links are not followed if no text has a tag."""
    prompt = {f"{number}": node("CLIPTextEncode", text=link(f"{number + 1}")) for number in range(4000)}
    prompt |= {f"d{number}": node("FaceDetailer", wildcard=link(f"{number}")) for number in range(4000)}
    assert list(named_loras(prompt, CATALOG)) == []
