"""What packs change in a prompt before ComfyUI validates it."""

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
    shown = node("PreviewAny", source=link("1"))
    return validate(
        {"0": empty(), "bad": empty(width=0), "shown": shown, **{k.strip("n"): v for k, v in nodes.items()}}, catalog
    )


def test_an_input_that_a_switch_does_not_select_is_not_looked_at() -> None:
    """Before the run it loses that input, with all that stands behind it; while it runs, it does not."""
    lost = {"input1": link("bad"), "input2": link("0")}
    assert judged(n1=node("ImpactSwitch", select=2, sel_mode=True, **lost)).accepted
    assert not judged(n1=node("ImpactSwitch", select=1, sel_mode=True, **lost)).accepted
    assert not judged(n1=node("ImpactSwitch", select=2, sel_mode=False, **lost)).accepted


def test_a_link_to_nowhere_that_a_switch_takes_away_is_no_problem() -> None:
    """ComfyUI runs such a prompt: what is not selected is gone before it looks."""
    switch = node("ImpactSwitch", select=1, sel_mode=True, input1=link("0"), input2=link("lost"))
    prompt = {"0": empty(), "1": switch, "2": node("PreviewAny", source=link("1"))}
    assert check(prompt, CATALOG).valid
    switch["inputs"]["sel_mode"] = False
    assert not check(prompt, CATALOG).valid


def test_a_linked_selection_is_read_at_its_source() -> None:
    """A number of one node class counts; what the link leads to otherwise selects nothing."""
    switch = node("ImpactSwitch", select=link("2"), sel_mode=True, input1=link("bad"))
    assert judged(n1=switch, n2=node("ImpactInt", value=2)).accepted
    assert not judged(n1=switch, n2=node("ImpactInt", value=1)).accepted


def test_a_branch_keeps_the_side_that_its_condition_takes() -> None:
    """The class wants both sides, so that the one which was taken away is missing, as ComfyUI says it."""
    sides = {"tt_value": link("0"), "ff_value": link("bad")}
    verdict = judged(n1=node("ImpactConditionalBranchSelMode", cond=True, sel_mode=True, **sides))
    assert [*verdict.node_errors] == ["1"]
    assert "ff_value" not in verdict.prompt["1"]["inputs"]


def test_what_an_inversed_switch_does_not_serve_is_taken_from_its_reader() -> None:
    """A link to another slot than the selected one is no input any more."""
    inversed = node("ImpactInversedSwitch", select=2, input=link("0"), sel_mode=True)
    assert judged(n1=node("ImpactSwitch", select=1, sel_mode=False, input1=link("2", 1)), n2=inversed).accepted
    found = judged(n1=node("ImpactSwitch", select=1, sel_mode=False, input1=link("2", 0)), n2=inversed)
    assert "input1" not in found.prompt["1"]["inputs"]


def test_a_remote_control_writes_into_its_target() -> None:
    """A value out of range that it puts there is refused at the target, unless that input is no number."""
    remote = node("ImpactRemoteInt", node_id="0", widget_name="width", value=0)
    assert [*judged(n1=link_to_zero(), n7=remote).node_errors] == ["0"]


def link_to_zero() -> Any:
    return node("ImpactSwitch", select=1, sel_mode=False, input1=link("0"))


def test_the_packs_own_values_are_put_in() -> None:
    """Two classes of Inspire get values that replace whatever was sent."""
    for name, wrong in (("PromptBuilder //Inspire", "category"), ("LoadImage //Inspire", "image")):
        assert judged(n1=node(name, **{wrong: "no such"})).accepted


def test_a_prompt_that_a_handler_cannot_read_is_judged_as_it_was_left() -> None:
    """A node without inputs ends the handlers' work, not the validation, and the caller's prompt stays as it was."""
    prompt: Any = {"1": {"class_type": "ImpactSwitch"}, "2": node("PromptBuilder //Inspire", category="no such")}
    verdict = validate(prompt, CATALOG)
    assert verdict.status == 400
    assert prompt["2"]["inputs"] == {"category": "no such"}


def test_without_the_pack_nothing_is_changed() -> None:
    """Handlers run where the catalog has the pack's classes."""
    alone = BUNDLED.with_classes({"LoadImage //Inspire": PACKS["LoadImage //Inspire"]})
    assert not judged(alone, n1=node("LoadImage //Inspire", image="no such")).accepted
