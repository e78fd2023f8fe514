"""Repairs of prompts whose intended meaning is certain."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from tests.workflow.prompts import empty, link, node, sampled, saved
from worker.settings import Settings
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.prompt import Prompt
from worker.workflow.repairs import RepairedPrompt, repair
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import read_library
from worker.workflow.validation.validate import validate

MODELS = (
    "SDXL/model.safetensors",
    "plain.safetensors",
    "été/a.safetensors",
    "twice/b.safetensors",
    "twice//b.safetensors",
)


def catalog(*names: str) -> Catalog:
    return bundled_catalog().with_files({"checkpoints": names or MODELS})


def with_model(name: Any) -> Prompt:
    prompt = sampled()
    prompt["4"]["inputs"]["ckpt_name"] = name
    return prompt


def codes(repaired: RepairedPrompt) -> list[str]:
    return [change.code for change in repaired.repairs]


@pytest.mark.parametrize(
    "sent",
    [
        "SDXL\\model.safetensors",
        "SDXL\\\\model.safetensors",
        "SDXL//model.safetensors",
        ".\\SDXL\\model.safetensors",
        "SDXL\\/model.safetensors",
    ],
)
def test_path_separators_are_repaired(sent: str) -> None:
    """Backslashes, also doubled or mixed ones, become the separator of the listed name. The repair has both names."""
    prompt = with_model(sent)
    repaired = repair(prompt, catalog())
    [change] = repaired.repairs
    assert (change.code, change.node_id, change.input) == ("path_separator", "4", "ckpt_name")
    assert (change.sent, change.runs) == (sent, "SDXL/model.safetensors")
    assert repaired.prompt["4"]["inputs"]["ckpt_name"] == "SDXL/model.safetensors"
    assert prompt == with_model(sent), "the original prompt is not changed"
    assert validate(repaired.prompt, catalog()).accepted


@pytest.mark.parametrize("sent", ["SDXL/model.safetensors", "SDXL\\\\model.safetensors"])
def test_slashes_become_backslashes_on_windows(sent: str) -> None:
    """If the catalog lists backslashes, a name with slashes becomes the listed name. A listed name stays."""
    windows = catalog("SDXL\\model.safetensors", "other.safetensors")
    assert repair(with_model(sent), windows).prompt["4"]["inputs"]["ckpt_name"] == "SDXL\\model.safetensors"
    assert repair(with_model("SDXL\\model.safetensors"), windows).repairs == ()
    assert repair(with_model("gone\\model.safetensors"), windows).repairs == ()


def test_a_missing_model_gets_the_separator_of_the_server() -> None:
    """A model that will be downloaded is named with the separator of this server."""
    repaired = repair(with_model("flux\\new.safetensors"), catalog())
    assert repaired.prompt["4"]["inputs"]["ckpt_name"] == "flux/new.safetensors"


def test_unicode_forms_are_repaired() -> None:
    """macOS writes é as two characters. The listed name runs."""
    sent = unicodedata.normalize("NFD", "été\\a.safetensors")
    repaired = repair(with_model(sent), catalog())
    assert repaired.prompt["4"]["inputs"]["ckpt_name"] == "été/a.safetensors"
    assert codes(repair(with_model(unicodedata.normalize("NFD", "été/a.safetensors")), catalog())) == ["unicode_form"]


@pytest.mark.parametrize(
    "sent",
    ["sdxl/model.safetensors", "model.safetensors", "twice\\b.safetensors", "SDXL/model", "../plain.safetensors"],
)
def test_an_ambiguous_name_stays(sent: str) -> None:
    """A name with other case, without folder or suffix, or that matches two files is not repaired."""
    assert repair(with_model(sent), catalog()).repairs == ()


@pytest.mark.parametrize("value", ["C:\\data URIs\\x.png", "https://h/a\\b.png", "data:image/png;base64,AAAA"])
def test_files_of_the_request_stay(value: str) -> None:
    """A file name of the request, a URL and a data URI are not changed."""
    prompt = {"1": node("LoadImage", image=value), "2": saved()}
    assert repair(prompt, catalog(), own_files={value}).repairs == ()
    uploaded = {"1": node("LoadImage", image="holiday\\a.png"), "2": saved()}
    assert repair(uploaded, catalog()).prompt["1"]["inputs"]["image"] == "holiday/a.png"


def test_texts_keep_their_backslashes() -> None:
    """Backslashes in a prompt or a file name prefix are not changed."""
    prompt = sampled()
    prompt["6"]["inputs"]["text"] = "a \\(bracket\\)"
    prompt["9"]["inputs"]["filename_prefix"] = "day\\x"
    assert repair(prompt, catalog("m.safetensors")).prompt is prompt


def without(prompt: Prompt, node_id: str, *names: str) -> Prompt:
    for name in names:
        del prompt[node_id]["inputs"][name]
    return prompt


def test_a_missing_input_gets_its_default() -> None:
    """A missing input, or null for a number, becomes the declared default."""
    prompt = without(sampled(), "3", "denoise", "cfg")
    prompt["5"]["inputs"]["batch_size"] = None
    repaired = repair(prompt, catalog("m.safetensors"))
    assert codes(repaired) == ["input_missing"] * 3
    assert {(change.input, change.sent, change.runs) for change in repaired.repairs} == {
        ("denoise", None, 1.0),
        ("cfg", None, 8.0),
        ("batch_size", None, 1),
    }
    assert validate(repaired.prompt, catalog("m.safetensors")).accepted


def test_a_missing_input_of_a_dynamic_combo_gets_its_default() -> None:
    """The inputs of the selected choice get their defaults by their full names."""
    prompt = {
        "1": empty(),
        "2": node("ResizeImageMaskNode", input=link("1"), scale_method="area", resize_type="scale by multiplier"),
        "3": saved("2"),
    }
    repaired = repair(prompt, bundled_catalog())
    assert repaired.prompt["2"]["inputs"]["resize_type.multiplier"] == 1.0
    assert validate(repaired.prompt, bundled_catalog()).accepted


@pytest.mark.parametrize("sent", [[4, 0], ["4", "0"], [4, "0"]])
def test_malformed_links_are_repaired(sent: list[Any]) -> None:
    """A node id becomes text and a slot a number. Nodes behind such a link are repaired too."""
    prompt = with_model("SDXL\\model.safetensors")
    prompt["3"]["inputs"]["model"] = prompt["6"]["inputs"]["clip"] = prompt["8"]["inputs"]["vae"] = sent
    repaired = repair(prompt, catalog())
    assert codes(repaired) == ["path_separator", *["link_form"] * 3]
    assert repaired.prompt["3"]["inputs"]["model"] == ["4", 0]


@pytest.mark.parametrize(
    "sent", [["77", 0], [77, 0], [4, -1], [4, 1.5], [4], ["4", "0", 0], [4, True], ["4", "9" * 5000]]
)
def test_a_broken_link_stays(sent: list[Any]) -> None:
    """A link to a missing node is not repaired, so that validation reports it."""
    prompt = sampled()
    prompt["3"]["inputs"]["model"] = sent
    assert repair(prompt, catalog("m.safetensors")).repairs == ()


def test_the_first_choice_is_not_a_default() -> None:
    """A missing choice without a declared default is not repaired."""
    assert repair(without(sampled(), "3", "sampler_name"), catalog("m.safetensors")).repairs == ()
    assert repair(without(sampled(), "3", "model"), catalog("m.safetensors")).repairs == ()


def test_a_misspelled_input_gets_no_default() -> None:
    """If the node has `step`, a missing `steps` gets no default."""
    prompt = without(sampled(), "3", "steps")
    prompt["3"]["inputs"]["step"] = 30
    assert repair(prompt, catalog("m.safetensors")).repairs == ()


def test_old_class_names_are_repaired() -> None:
    """Classes that ComfyUI fails to replace without `_meta`, and names that differ in spaces, are replaced."""
    average = node("ConditioningAverage ", conditioning_to=link("6"), conditioning_from=link("6"))
    average["inputs"]["conditioning_to_strength"] = 0.5
    prompt = {**sampled(), "7": average}
    prompt["3"]["inputs"]["positive"] = link("7")
    repaired = repair(prompt, catalog("m.safetensors"))
    [change] = repaired.repairs
    assert (change.code, change.node_id, change.input) == ("class_renamed", "7", None)
    assert (change.sent, change.runs) == ("ConditioningAverage ", "ConditioningAverage")
    assert repaired.prompt["7"]["inputs"] == average["inputs"]
    adapter = {
        **sampled(),
        "7": node("T2IAdapterLoader", t2i_adapter_name="a"),
        "8": node("PreviewAny", source=link("7")),
    }
    repaired = repair(adapter, catalog("m.safetensors"))
    assert repaired.prompt["7"] == node("ControlNetLoader", control_net_name="a")
    adapter["7"]["_meta"] = {"title": "ComfyUI replaces it by itself"}
    assert repair(adapter, catalog("m.safetensors")).repairs == ()
    prompt = sampled()
    prompt["3"]["class_type"] = " KSampler  "
    assert repair(prompt, catalog("m.safetensors")).prompt == sampled()


def test_editor_nodes_are_removed() -> None:
    """Notes are removed, and links to a reroute lead to its source."""
    prompt = {
        "1": empty(),
        "2": saved("8"),
        "5": node("MarkdownNote"),
        "7": node("Note", text="hi", about=link("1")),
        "8": node("Reroute", **{"": link("9")}),
        "9": node("Reroute", **{"": link("1")}),
    }
    repaired = repair(prompt, bundled_catalog())
    assert repaired.prompt == {"1": empty(), "2": saved("1")}
    assert [(change.code, change.node_id, change.sent, change.runs) for change in repaired.repairs] == [
        ("editor_node", "5", "MarkdownNote", None),
        ("editor_node", "7", "Note", None),
        ("editor_node", "8", "Reroute", None),
        ("editor_node", "9", "Reroute", None),
    ]


def test_a_primitive_is_replaced_by_its_value() -> None:
    """The value replaces links to the primitive, also behind a reroute."""
    fed = {"1": empty(width=link("5"), height=link("6")), "2": saved()}
    fed |= {"5": node("PrimitiveNode", value=96), "6": node("Reroute", **{"": link("5")})}
    repaired = repair(fed, bundled_catalog())
    assert repaired.prompt == {"1": empty(width=96, height=96), "2": saved()}
    assert codes(repaired) == ["editor_node", "editor_node"]


def test_linked_editor_nodes_without_a_value_stay() -> None:
    """A primitive without a clear value, a prompt of notes only, and a cycle are left to validation."""
    fed = {"1": empty(width=link("5")), "2": saved(), "5": node("PrimitiveNode", value=64, control="fixed")}
    assert repair(fed, bundled_catalog()).prompt is fed
    alone = {"1": node("Note", text="hi")}
    assert repair(alone, bundled_catalog()).prompt is alone
    circle = {"1": empty(), "2": saved("8"), "8": node("Reroute", a=link("9")), "9": node("Reroute", a=link("8"))}
    assert repair(circle, bundled_catalog()).repairs == ()


def test_a_long_chain_of_reroutes_takes_little_time() -> None:
    """Each reroute is followed once, also in a cycle."""
    ends = {"0": empty(), "2": saved("r0")}
    chain = {f"r{number}": node("Reroute", a=link(f"r{number + 1}")) for number in range(20_000)}
    assert repair({**ends, **chain, "r20000": node("Reroute", a=link("0"))}, bundled_catalog()).prompt == {
        "0": empty(),
        "2": saved("0"),
    }
    assert repair({**ends, **chain, "r20000": node("Reroute", a=link("r20000"))}, bundled_catalog()).repairs == ()


def test_only_needed_nodes_are_repaired() -> None:
    """Nodes that no output needs are not repaired, because ComfyUI ignores them."""
    prompt = {**sampled(), "20": node("KSampler", seed=-1), "21": node("CheckpointLoaderSimple", ckpt_name="a\\b.ckpt")}
    assert validate(prompt, catalog("m.safetensors")).accepted
    assert repair(prompt, catalog("m.safetensors")).prompt is prompt


def test_shipped_templates_need_no_repair() -> None:
    """Each shipped template with its defaults is returned without a repair."""
    library = read_library(Settings.of().templates)
    for template in library.values():
        params = {
            parameter.name: "x.png"
            for parameter in template.parameters
            if parameter.required and parameter.name != "prompt"
        }
        params |= {"prompt": "a"} if "prompt" in template.by_name else {}
        prompt = fill(template, params, lambda most: most // 2, frozenset({"x.png"})).prompt
        assert repair(prompt, bundled_catalog()).repairs == (), template.name


def test_a_valid_prompt_is_not_copied() -> None:
    """A prompt without repairs is returned as the same object."""
    prompt: Prompt = {}
    for number in range(17):
        for node_id, original in sampled().items():
            inputs = {
                name: [f"{number}-{value[0]}", value[1]] if isinstance(value, list) else value
                for name, value in original["inputs"].items()
            }
            prompt[f"{number}-{node_id}"] = {**original, "inputs": inputs}
    known_catalog = catalog("m.safetensors")
    assert len(prompt) == 102
    assert repair(prompt, known_catalog).prompt is prompt
