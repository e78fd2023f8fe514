"""What was sent has one certain meaning: it is repaired and listed, and everything else stays."""

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
    return [one.code for one in repaired.repairs]


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
def test_folders_are_divided_as_the_catalog_does(sent: str) -> None:
    """Backslashes, also doubled and mixed, become the separator of the listed name; the repair has both."""
    prompt = with_model(sent)
    repaired = repair(prompt, catalog())
    [one] = repaired.repairs
    assert (one.code, one.node_id, one.input) == ("path_separator", "4", "ckpt_name")
    assert (one.sent, one.runs) == (sent, "SDXL/model.safetensors")
    assert repaired.prompt["4"]["inputs"]["ckpt_name"] == "SDXL/model.safetensors"
    assert prompt == with_model(sent), "what was given is not changed"
    assert validate(repaired.prompt, catalog()).accepted


@pytest.mark.parametrize("sent", ["SDXL/model.safetensors", "SDXL\\\\model.safetensors"])
def test_a_server_on_windows_lists_backslashes(sent: str) -> None:
    """There a name with slashes becomes the listed one; a listed name stays."""
    windows = catalog("SDXL\\model.safetensors", "other.safetensors")
    assert repair(with_model(sent), windows).prompt["4"]["inputs"]["ckpt_name"] == "SDXL\\model.safetensors"
    assert repair(with_model("SDXL\\model.safetensors"), windows).repairs == ()
    assert repair(with_model("gone\\model.safetensors"), windows).repairs == ()


def test_a_model_that_is_not_there_yet() -> None:
    """A choice of files lists it once it was fetched, by its name on this system."""
    repaired = repair(with_model("flux\\new.safetensors"), catalog())
    assert repaired.prompt["4"]["inputs"]["ckpt_name"] == "flux/new.safetensors"


def test_letters_in_another_unicode_form() -> None:
    """macOS writes é as two characters: the listed name runs."""
    sent = unicodedata.normalize("NFD", "été\\a.safetensors")
    repaired = repair(with_model(sent), catalog())
    assert repaired.prompt["4"]["inputs"]["ckpt_name"] == "été/a.safetensors"
    assert codes(repair(with_model(unicodedata.normalize("NFD", "été/a.safetensors")), catalog())) == ["unicode_form"]


@pytest.mark.parametrize(
    "sent",
    ["sdxl/model.safetensors", "model.safetensors", "twice\\b.safetensors", "SDXL/model", "../plain.safetensors"],
)
def test_a_name_with_two_meanings_stays(sent: str) -> None:
    """Capitals, a missing folder or suffix, and names that two files have are for a suggestion."""
    assert repair(with_model(sent), catalog()).repairs == ()


@pytest.mark.parametrize("value", ["C:\\data URIs\\x.png", "https://h/a\\b.png", "data:image/png;base64,AAAA"])
def test_the_files_of_a_request(value: str) -> None:
    """A name that the request brings stays as it is, and so do URLs and data URIs."""
    prompt = {"1": node("LoadImage", image=value), "2": saved()}
    assert repair(prompt, catalog(), own_files={value}).repairs == ()
    uploaded = {"1": node("LoadImage", image="holiday\\a.png"), "2": saved()}
    assert repair(uploaded, catalog()).prompt["1"]["inputs"]["image"] == "holiday/a.png"


def test_text_keeps_its_backslashes() -> None:
    """A prompt's `\\(` and a prefix with folders are no names of files."""
    prompt = sampled()
    prompt["6"]["inputs"]["text"] = "a \\(bracket\\)"
    prompt["9"]["inputs"]["filename_prefix"] = "day\\x"
    assert repair(prompt, catalog("m.safetensors")).prompt is prompt


def without(prompt: Prompt, node_id: str, *names: str) -> Prompt:
    for name in names:
        del prompt[node_id]["inputs"][name]
    return prompt


def test_a_missing_input_has_its_declared_default() -> None:
    """Also one that a newer version of its class requires; a null in place of a number is a missing one."""
    prompt = without(sampled(), "3", "denoise", "cfg")
    prompt["5"]["inputs"]["batch_size"] = None
    repaired = repair(prompt, catalog("m.safetensors"))
    assert codes(repaired) == ["input_missing"] * 3
    assert {(one.input, one.sent, one.runs) for one in repaired.repairs} == {
        ("denoise", None, 1.0),
        ("cfg", None, 8.0),
        ("batch_size", None, 1),
    }
    assert validate(repaired.prompt, catalog("m.safetensors")).accepted


def test_a_missing_input_of_a_dynamic_combo() -> None:
    """The inputs that a choice adds have their defaults by their full names."""
    prompt = {
        "1": empty(),
        "2": node("ResizeImageMaskNode", input=link("1"), scale_method="area", resize_type="scale by multiplier"),
        "3": saved("2"),
    }
    repaired = repair(prompt, bundled_catalog())
    assert repaired.prompt["2"]["inputs"]["resize_type.multiplier"] == 1.0
    assert validate(repaired.prompt, bundled_catalog()).accepted


@pytest.mark.parametrize("sent", [[4, 0], ["4", "0"], [4, "0"]])
def test_links_are_written_with_text_and_number(sent: list[Any]) -> None:
    """ComfyUI finds no node by a number; what stands behind such a link is looked at as well."""
    prompt = with_model("SDXL\\model.safetensors")
    prompt["3"]["inputs"]["model"] = prompt["6"]["inputs"]["clip"] = prompt["8"]["inputs"]["vae"] = sent
    repaired = repair(prompt, catalog())
    assert codes(repaired) == ["path_separator", *["link_form"] * 3]
    assert repaired.prompt["3"]["inputs"]["model"] == ["4", 0]


@pytest.mark.parametrize(
    "sent", [["77", 0], [77, 0], [4, -1], [4, 1.5], [4], ["4", "0", 0], [4, True], ["4", "9" * 5000]]
)
def test_a_link_to_nowhere_stays(sent: list[Any]) -> None:
    """It is refused with what is wrong with it."""
    prompt = sampled()
    prompt["3"]["inputs"]["model"] = sent
    assert repair(prompt, catalog("m.safetensors")).repairs == ()


def test_the_first_choice_is_no_default() -> None:
    """What the editor would only show first was never meant: ComfyUI refuses it, and so does the worker."""
    assert repair(without(sampled(), "3", "sampler_name"), catalog("m.safetensors")).repairs == ()
    assert repair(without(sampled(), "3", "model"), catalog("m.safetensors")).repairs == ()


def test_a_misspelt_input_is_not_replaced_by_a_default() -> None:
    """`step` is probably `steps`, so that the default would be a guess."""
    prompt = without(sampled(), "3", "steps")
    prompt["3"]["inputs"]["step"] = 30
    assert repair(prompt, catalog("m.safetensors")).repairs == ()


def test_former_names_of_classes() -> None:
    """ComfyUI's own replacements where it fails for want of a `_meta`, and names that differ in blanks."""
    average = node("ConditioningAverage ", conditioning_to=link("6"), conditioning_from=link("6"))
    average["inputs"]["conditioning_to_strength"] = 0.5
    prompt = {**sampled(), "7": average}
    prompt["3"]["inputs"]["positive"] = link("7")
    repaired = repair(prompt, catalog("m.safetensors"))
    [one] = repaired.repairs
    assert (one.code, one.node_id, one.input) == ("class_renamed", "7", None)
    assert (one.sent, one.runs) == ("ConditioningAverage ", "ConditioningAverage")
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


def test_notes_are_left_out() -> None:
    """A node of the editor's own that nothing is linked to is listed and not sent, and a reroute is a link."""
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
    assert [(one.code, one.node_id, one.sent, one.runs) for one in repaired.repairs] == [
        ("editor_node", "5", "MarkdownNote", None),
        ("editor_node", "7", "Note", None),
        ("editor_node", "8", "Reroute", None),
        ("editor_node", "9", "Reroute", None),
    ]


def test_the_value_of_a_primitive() -> None:
    """It stands where the primitive was linked, also behind a reroute."""
    fed = {"1": empty(width=link("5"), height=link("6")), "2": saved()}
    fed |= {"5": node("PrimitiveNode", value=96), "6": node("Reroute", **{"": link("5")})}
    repaired = repair(fed, bundled_catalog())
    assert repaired.prompt == {"1": empty(width=96, height=96), "2": saved()}
    assert codes(repaired) == ["editor_node", "editor_node"]


def test_what_is_linked_to_is_not_left_out() -> None:
    """A primitive without a certain value is for the check to refuse; so is a prompt of notes alone, and a circle."""
    fed = {"1": empty(width=link("5")), "2": saved(), "5": node("PrimitiveNode", value=64, control="fixed")}
    assert repair(fed, bundled_catalog()).prompt is fed
    alone = {"1": node("Note", text="hi")}
    assert repair(alone, bundled_catalog()).prompt is alone
    circle = {"1": empty(), "2": saved("8"), "8": node("Reroute", a=link("9")), "9": node("Reroute", a=link("8"))}
    assert repair(circle, bundled_catalog()).repairs == ()


def test_a_long_way_of_reroutes_takes_no_time() -> None:
    """Each is followed once, also where the way ends in a circle."""
    ends = {"0": empty(), "2": saved("r0")}
    way = {f"r{number}": node("Reroute", a=link(f"r{number + 1}")) for number in range(20_000)}
    assert repair({**ends, **way, "r20000": node("Reroute", a=link("0"))}, bundled_catalog()).prompt == {
        "0": empty(),
        "2": saved("0"),
    }
    assert repair({**ends, **way, "r20000": node("Reroute", a=link("r20000"))}, bundled_catalog()).repairs == ()


def test_only_what_an_output_needs_is_looked_at() -> None:
    """ComfyUI accepts a prompt whatever stands in a node that nothing needs."""
    prompt = {**sampled(), "20": node("KSampler", seed=-1), "21": node("CheckpointLoaderSimple", ckpt_name="a\\b.ckpt")}
    assert validate(prompt, catalog("m.safetensors")).accepted
    assert repair(prompt, catalog("m.safetensors")).prompt is prompt


def test_shipped_templates_need_no_repair() -> None:
    """Each with its own defaults, as ComfyUI accepts it."""
    library = read_library(Settings.of().templates)
    for template in library.values():
        given = {one.name: "x.png" for one in template.parameters if one.required and one.name != "prompt"}
        given |= {"prompt": "a"} if "prompt" in template.by_name else {}
        prompt = fill(template, given, lambda most: most // 2, frozenset({"x.png"})).prompt
        assert repair(prompt, bundled_catalog()).repairs == (), template.name


def test_a_prompt_that_needs_no_repair_is_returned_itself() -> None:
    """Also a large one: nothing is copied."""
    prompt: Prompt = {}
    for number in range(17):
        for node_id, one in sampled().items():
            inputs = {
                name: [f"{number}-{value[0]}", value[1]] if isinstance(value, list) else value
                for name, value in one["inputs"].items()
            }
            prompt[f"{number}-{node_id}"] = {**one, "inputs": inputs}
    known = catalog("m.safetensors")
    assert len(prompt) == 102
    assert repair(prompt, known).prompt is prompt
