"""Settings of a node for sending and receiving, in the form of version 7 of the pack and in the form before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.workflow.editor.editor_graph import Slot, UiNode
from worker.workflow.json_value import Json, JsonObject

ANYTHING, SEED, PROMPTS = "Anything Everywhere", "Seed Everywhere", "Prompts Everywhere"
_CURRENT_VERSION = "7.0"
_NO_FILTER = ".*"
_FILTERS = ("title_regex", "input_regex", "group_regex")
_SEED_INPUTS = "seed|seed"

_NO_VAE: Final = frozenset(
    {
        *("VHS_LoadVideo", "VHS_LoadVideoFFmpeg", "VHS_LoadVideoPath", "VHS_LoadVideoFFmpegPath"),
        *("VHS_LoadImagePath", "VHS_VideoCombine"),
    }
)
"""Classes whose own pack rejects a broadcast into `vae`."""


def is_sender(node: UiNode) -> bool:
    """Return whether a node is one of the pack's senders."""
    return node.type.startswith(ANYTHING) or node.type in (SEED, PROMPTS)


def settings_of(node: UiNode) -> JsonObject:
    """Return the restrictions of a sender."""
    saved_settings = _object(node.properties.get("ue_properties"))
    settings = dict(saved_settings)
    if is_sender(node) and not _is_current(saved_settings.get("version")):
        values = node.values if isinstance(node.values, list) else []
        settings = {name: node.properties.get(name) for name in ("group_restricted", "color_restricted")}
        settings |= dict(zip(_FILTERS, values, strict=False))
    settings |= {name: None for name in _FILTERS if settings.get(name) == _NO_FILTER}
    if node.type == SEED:
        settings["input_regex"] = settings.get("input_regex") or _SEED_INPUTS
    return settings


def accepts_broadcasts(node: UiNode, slot: Slot, *, in_workflow: bool) -> bool:
    """Return whether an unconnected input accepts broadcasts. A field does only if the file says so."""
    if node.properties.get("rejects_ue_links") or (slot.name == "vae" and node.type in _NO_VAE):
        return False
    settings = _object(node.properties.get("ue_properties"))
    if slot.widget is None:
        rejecting = settings.get("input_ue_unconnectable") if _is_current(settings.get("version")) else None
        return not _object(rejecting).get(slot.name)
    return bool(_accepting_fields(node, settings, in_workflow).get(slot.name))


def _accepting_fields(node: UiNode, settings: JsonObject, in_workflow: bool) -> Mapping[str, Json]:
    """Return the fields that accept broadcasts, as keys with a true value.

    Editors before 1.16 only list the fields that the user converted to inputs. There those accept broadcasts.
    """
    for holder in (settings, node.properties):
        fields = holder.get("widget_ue_connectable")
        if isinstance(fields, dict):
            is_outdated = holder is node.properties and _is_current(settings.get("version"))
            return {} if is_outdated else fields
    slots = node.raw.get("inputs") if in_workflow else None
    return {str(slot.get("name")): True for slot in slots if isinstance(slot, dict)} if isinstance(slots, list) else {}


def _is_current(version: Json) -> bool:
    """Return whether settings have the form of version 7. As in the script, the number of version parts decides."""
    if not isinstance(version, str) or not version:
        return False
    return version == _CURRENT_VERSION or len(version.split(".")) >= len(_CURRENT_VERSION.split("."))


def _object(value: Json) -> JsonObject:
    """Return an object, or an empty one for other types."""
    return value if isinstance(value, dict) else {}
