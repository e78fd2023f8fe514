"""Changes of node packs to a prompt before its validation."""

from __future__ import annotations

from typing import Any

from tests.workflow.prompts import empty, link, node
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import JsonObject
from worker.workflow.validation.check import check
from worker.workflow.validation.validate import Verdict, validate


def entry(**inputs: Any) -> JsonObject:
    return {"input": {"required": inputs}, "output": ["*"], "output_name": ["*"], "output_node": False}


NUMBER, FLAG, ANYTHING = ["INT", {"min": 1, "max": 9}], ["BOOLEAN", {}], ["*", {}]
SWITCH = entry(select=NUMBER, sel_mode=FLAG)
SWITCH["input"] = {"required": {"select": NUMBER, "sel_mode": FLAG}, "optional": {"input1": ANYTHING}}
PACKS = {
    "ImpactSwitch": SWITCH,
    "ImpactInt": entry(value=NUMBER),
    "ImpactInversedSwitch": entry(select=NUMBER, input=ANYTHING, sel_mode=FLAG),
    "ImpactConditionalBranchSelMode": entry(cond=FLAG, sel_mode=FLAG, tt_value=ANYTHING, ff_value=ANYTHING),
    "ImpactRemoteInt": entry(node_id=["INT", {}], widget_name=["STRING", {}], value=["INT", {}]),
    "PromptBuilder //Inspire": entry(category=[["Colors", "#PLACEHOLDER"]]),
    "LoadImage //Inspire": entry(image=[["example.png", "#DATA"]]),
}
BUNDLED = Catalog.bundled()
CATALOG = BUNDLED.with_classes({**PACKS})


def judged(catalog: Catalog = CATALOG, **nodes: Any) -> Verdict:
    """Return the verdict on a prompt."""
    shown = node("PreviewAny", source=link("1"))
    return validate(
        {"0": empty(), "bad": empty(width=0), "shown": shown, **{k.strip("n"): v for k, v in nodes.items()}}, catalog
    )


def test_an_input_that_a_switch_does_not_select_is_not_checked() -> None:
    """A switch that selects before the run loses its other inputs and the nodes behind them."""
    lost = {"input1": link("bad"), "input2": link("0")}
    assert judged(n1=node("ImpactSwitch", select=2, sel_mode=True, **lost)).accepted
    assert not judged(n1=node("ImpactSwitch", select=1, sel_mode=True, **lost)).accepted
    assert not judged(n1=node("ImpactSwitch", select=2, sel_mode=False, **lost)).accepted


def test_a_broken_link_that_a_switch_removes_is_valid() -> None:
    """ComfyUI runs such a prompt."""
    switch = node("ImpactSwitch", select=1, sel_mode=True, input1=link("0"), input2=link("lost"))
    prompt = {"0": empty(), "1": switch, "2": node("PreviewAny", source=link("1"))}
    assert check(prompt, CATALOG).valid
    switch["inputs"]["sel_mode"] = False
    assert not check(prompt, CATALOG).valid


def test_a_linked_selection_is_read_from_its_source() -> None:
    """Only a number of one node class counts."""
    switch = node("ImpactSwitch", select=link("2"), sel_mode=True, input1=link("bad"))
    assert judged(n1=switch, n2=node("ImpactInt", value=2)).accepted
    assert not judged(n1=switch, n2=node("ImpactInt", value=1)).accepted


def test_a_branch_keeps_the_selected_side() -> None:
    """The class requires both sides, so that the removed one is reported as missing, as in ComfyUI."""
    sides = {"tt_value": link("0"), "ff_value": link("bad")}
    verdict = judged(n1=node("ImpactConditionalBranchSelMode", cond=True, sel_mode=True, **sides))
    assert [*verdict.node_errors] == ["1"]
    assert "ff_value" not in verdict.prompt["1"]["inputs"]


def test_an_inverted_switch_removes_links_to_other_slots() -> None:
    """A link to a slot that is not selected is removed."""
    inverted = node("ImpactInversedSwitch", select=2, input=link("0"), sel_mode=True)
    assert judged(n1=node("ImpactSwitch", select=1, sel_mode=False, input1=link("2", 1)), n2=inverted).accepted
    verdict = judged(n1=node("ImpactSwitch", select=1, sel_mode=False, input1=link("2", 0)), n2=inverted)
    assert "input1" not in verdict.prompt["1"]["inputs"]


def test_a_remote_control_sets_its_target() -> None:
    """A value out of range is reported at the target."""
    remote = node("ImpactRemoteInt", node_id="0", widget_name="width", value=0)
    assert [*judged(n1=link_to_zero(), n7=remote).node_errors] == ["0"]


def link_to_zero() -> Any:
    return node("ImpactSwitch", select=1, sel_mode=False, input1=link("0"))


def test_values_that_inspire_replaces() -> None:
    """Two classes of Inspire-Pack get values that replace those of the prompt."""
    for name, wrong in (("PromptBuilder //Inspire", "category"), ("LoadImage //Inspire", "image")):
        assert judged(n1=node(name, **{wrong: "no such"})).accepted


def test_a_failing_handler_does_not_end_the_validation() -> None:
    """A node without inputs ends the handlers of the pack. The original prompt is not changed."""
    prompt: Any = {"1": {"class_type": "ImpactSwitch"}, "2": node("PromptBuilder //Inspire", category="no such")}
    verdict = validate(prompt, CATALOG)
    assert verdict.status == 400
    assert prompt["2"]["inputs"] == {"category": "no such"}


def test_handlers_run_only_if_the_pack_is_installed() -> None:
    """A pack is installed if the catalog has its classes."""
    alone = BUNDLED.with_classes({"LoadImage //Inspire": PACKS["LoadImage //Inspire"]})
    assert not judged(alone, n1=node("LoadImage //Inspire", image="no such")).accepted
