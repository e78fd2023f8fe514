"""What a node of the file says about sending and receiving, in the pack's present form or that before version 7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.workflow.editor.editor_graph import Slot, UiNode
from worker.workflow.json_value import Json, JsonObject

ANYTHING, SEED, PROMPTS = "Anything Everywhere", "Seed Everywhere", "Prompts Everywhere"
_PRESENT = "7.0"
_NO_FILTER = ".*"
_FILTERS = ("title_regex", "input_regex", "group_regex")
_SEED_INPUTS = "seed|seed"

_NO_VAE: Final = frozenset(
    {
        *("VHS_LoadVideo", "VHS_LoadVideoFFmpeg", "VHS_LoadVideoPath", "VHS_LoadVideoFFmpegPath"),
        *("VHS_LoadImagePath", "VHS_VideoCombine"),
    }
)
"""Classes whose own pack refuses such a link into `vae`."""


def is_sender(node: UiNode) -> bool:
    """Whether a node is one of the pack's that send."""
    return node.type.startswith(ANYTHING) or node.type in (SEED, PROMPTS)


def settings_of(node: UiNode) -> JsonObject:
    """The restrictions that a node sends with."""
    written = _object(node.properties.get("ue_properties"))
    settings = dict(written)
    if is_sender(node) and not _is_present(written.get("version")):
        values = node.values if isinstance(node.values, list) else []
        settings = {name: node.properties.get(name) for name in ("group_restricted", "color_restricted")}
        settings |= dict(zip(_FILTERS, values, strict=False))
    settings |= {name: None for name in _FILTERS if settings.get(name) == _NO_FILTER}
    if node.type == SEED:
        settings["input_regex"] = settings.get("input_regex") or _SEED_INPUTS
    return settings


def receives(node: UiNode, slot: Slot, *, in_workflow: bool) -> bool:
    """Whether an input that nothing is linked to takes what is sent; fields do only where the file says so."""
    if node.properties.get("rejects_ue_links") or (slot.name == "vae" and node.type in _NO_VAE):
        return False
    settings = _object(node.properties.get("ue_properties"))
    if slot.widget is None:
        refused = settings.get("input_ue_unconnectable") if _is_present(settings.get("version")) else None
        return not _object(refused).get(slot.name)
    return bool(_fields(node, settings, in_workflow).get(slot.name))


def _fields(node: UiNode, settings: JsonObject, in_workflow: bool) -> Mapping[str, Json]:
    """The fields that take what is sent. Editors before 1.16 list the fields that were made inputs: those do there."""
    for place in (settings, node.properties):
        named = place.get("widget_ue_connectable")
        if isinstance(named, dict):
            later = place is node.properties and _is_present(settings.get("version"))
            return {} if later else named
    listed = node.written.get("inputs") if in_workflow else None
    return {str(one.get("name")): True for one in listed if isinstance(one, dict)} if isinstance(listed, list) else {}


def _is_present(version: Json) -> bool:
    """Whether settings have the form of version 7: the script only compares how many parts a version has."""
    if not isinstance(version, str) or not version:
        return False
    return version == _PRESENT or len(version.split(".")) >= len(_PRESENT.split("."))


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
