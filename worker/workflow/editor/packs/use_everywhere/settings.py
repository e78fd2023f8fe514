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
    """Return whether a node is one of the senders of Anything Everywhere, which broadcast their inputs."""
    return node.type.startswith(ANYTHING) or node.type in (SEED, PROMPTS)


def settings_of(node: UiNode) -> JsonObject:
    """Return the settings by which a sender restricts the inputs that receive its values, under the names of version 7.

    In older files the filters are the values of the node's fields.
    """
    saved_settings = _as_object(node.properties.get("ue_properties"))
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
    """Return whether an unconnected input accepts broadcasts. `in_workflow` is False inside a subgraph.

    A socket accepts them unless the user has excluded it. A field does only if the file says so.
    """
    if node.properties.get("rejects_ue_links") or (slot.name == "vae" and node.type in _NO_VAE):
        return False
    settings = _as_object(node.properties.get("ue_properties"))
    if slot.widget is None:
        rejecting = settings.get("input_ue_unconnectable") if _is_current(settings.get("version")) else None
        return not _as_object(rejecting).get(slot.name)
    return bool(_accepting_fields(node, settings, in_workflow).get(slot.name))


def _accepting_fields(node: UiNode, settings: JsonObject, in_workflow: bool) -> Mapping[str, Json]:
    """Return the fields that accept broadcasts, as keys with a true value.

    Editors before 1.16 only list the fields that the user converted to inputs. There those accept broadcasts.
    """
    fields = settings.get("widget_ue_connectable")
    if isinstance(fields, dict):
        return fields
    old_fields = node.properties.get("widget_ue_connectable")  # the place before version 7
    if isinstance(old_fields, dict):
        return {} if _is_current(settings.get("version")) else old_fields
    slots = node.raw.get("inputs") if in_workflow else None
    return {str(slot.get("name")): True for slot in slots if isinstance(slot, dict)} if isinstance(slots, list) else {}


def _is_current(version: Json) -> bool:
    """Return whether settings have the form of version 7.

    As in the script, every version with at least as many parts as "7.0" counts as current.
    """
    if not isinstance(version, str) or not version:
        return False
    return version == _CURRENT_VERSION or len(version.split(".")) >= len(_CURRENT_VERSION.split("."))


def _as_object(value: Json) -> JsonObject:
    """Return the value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}
