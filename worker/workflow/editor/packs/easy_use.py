"""Easy-Use: nodes that set and read names, lists whose choice is added to a text, and fields of its own types."""

from __future__ import annotations

from typing import Final

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import MISSING, BrowserNode, UiNode, Value
from worker.workflow.editor.field_values import set_field_values
from worker.workflow.editor.fields import choices_of, field_kind
from worker.workflow.editor.javascript import stringify, to_js_string
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules
from worker.workflow.editor.saved_workflow import SavedNode

_RENAMED = {"easy showAnythingLazy": "easy showAnything", "easy saveTextLazy": "easy saveText"}

_PROMPT = "easy prompt"
_PROMPT_LISTS: Final = {
    "prefix": ("Select the prefix add to the text", " "),
    "subject": ("👤Select the subject add to the text", " "),
    "action": ("🎬Select the action add to the text", ","),
    "clothes": ("👚Select the clothes add to the text", ","),
    "environment": ("☀️Select the illumination environment add to the text", ","),
    "background": ("🎞️Select the background add to the text", " "),
    "nsfw": ("🔞Select the nsfw add to the text", ","),
}
"""The lists of `easy prompt`: the label that is sent, and the separator before a choice that is added to the text."""
_LABEL_START = "Select the"

_WILDCARDS = ("easy wildcards", "easy wildcardsMatrix")
_LORA = ("Select to add LoRA", "Select the LoRA to add to the text")
_WILDCARD = ("Select to add Wildcard", "Select the Wildcard to add to the text")

_JOINED_KINDS = ("EASY_PROMPT_STYLES", "EASY_COMBO")
_JSON_KINDS = ("EASY_MULTI_ANGLE", "EASY_TABLE_EDITOR", "EASY_PROMPT_AWAIT_BAR")
_DEFAULTS: Final = {
    **dict.fromkeys(_JOINED_KINDS, ""),
    "EASY_MULTI_ANGLE": '[{"rotate":0,"vertical":0,"zoom":5,"add_angle_prompt":true}]',
    "EASY_PROMPT_AWAIT_BAR": '{"select":"now","unlock":true,"last_seed":0,"seed":0}',
}
_OLD_VALUES: Final = {
    ("resolution", "自定义 x 自定义"): "width x height (custom)",
    ("preset", "FLUX.1-dev"): "REGULAR - FLUX and SD3.5 only (high strength)",
    ("add_noise", "enable"): "enable (CPU)",
}
"""The present name of a choice, by the name of the field and the choice's name in older versions."""
_LOADERS_WITH_OVERRIDES = ("easy fullLoader", "easy fluxLoader")


def rewrite_node(saved: SavedNode, catalog: Catalog) -> None:
    """Rename two old classes to the class that replaced them."""
    new = _RENAMED.get(saved.type)
    if new and new in catalog:
        saved.type = new


def set_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Set the fields of the pack's classes, and apply the changes of its script."""
    node = shape.node
    if not node.type.startswith("easy "):
        return False
    set_field_values(shape, saved)
    if node.type == _PROMPT:
        _add_choices(node)
    elif node.type in _WILDCARDS:
        _add_wildcards(node)
    elif node.type in _LOADERS_WITH_OVERRIDES:
        _reset_overridden(node)
    for widget in node.widgets:
        kind = field_kind(widget.spec) if widget.spec else ""
        if kind.startswith("EASY_"):
            widget.value = _as_field(kind, widget.value)
        elif isinstance(widget.value, str):
            widget.value = _OLD_VALUES.get((widget.name, widget.value), widget.value)
    return True


def _reset_overridden(node: UiNode) -> None:
    """Reset the checkpoint and the VAE that are replaced by a linked input."""
    checkpoint, vae = node.widget("ckpt_name"), node.widget("vae_name")
    if checkpoint and checkpoint.spec and _is_linked(node, "model_override"):
        choices = choices_of(checkpoint.spec)
        checkpoint.value = choices[0] if choices else "None"
    if vae and _is_linked(node, "vae_override"):
        vae.value = "Baked VAE"


def _is_linked(node: UiNode, name: str) -> bool:
    """Return whether a link feeds an input."""
    slot = node.slot(name)
    return slot is not None and slot.link is not None


def _as_field(kind: str, value: Value) -> Value:
    """Return the value in the form of its kind: choices joined to one text, objects as JSON text."""
    if value is None or value is MISSING:
        return _DEFAULTS.get(kind, value)
    if kind in _JOINED_KINDS and isinstance(value, list):
        return ",".join(to_js_string(choice) for choice in value)
    if kind in _JSON_KINDS and isinstance(value, list | dict):
        return stringify({"value": value})[len('{"value": ') : -1]
    return value


def _add_choices(node: UiNode) -> None:
    """Add the chosen entries of the lists to the text."""
    for name, (_, separator) in _PROMPT_LISTS.items():
        widget = node.widget(name)
        chosen = widget.value if widget else None
        if widget and widget.spec and isinstance(chosen, str) and _LABEL_START not in chosen:
            _append(node, chosen if chosen in choices_of(widget.spec) else "", separator)


def _add_wildcards(node: UiNode) -> None:
    """Add the chosen LoRA and wildcard to the text."""
    lora, wildcard = node.widget(_LORA[0]), node.widget(_WILDCARD[0])
    if lora and isinstance(lora.value, str) and lora.value and lora.value != _LORA[1]:
        _append(node, f"<lora:{lora.value.removesuffix('.safetensors')}>", "")
    if wildcard and isinstance(wildcard.value, str) and wildcard.value and wildcard.value != _WILDCARD[1]:
        _append(node, wildcard.value, ", ")


def _append(node: UiNode, chosen: str, separator: str) -> None:
    """Append a choice to the text, behind a separator unless the text is empty."""
    field = node.widget("text")
    if field is not None and chosen:
        text = field.value if isinstance(field.value, str) else ""
        field.value = f"{text}{separator if text else ''}{chosen}"


def change_inputs(outgoing: OutgoingNode) -> None:
    """Send the label of a list in place of its choice."""
    inputs = outgoing.inputs
    if outgoing.node.type == _PROMPT:
        inputs |= {name: label for name, (label, _) in _PROMPT_LISTS.items() if isinstance(inputs.get(name), str)}
    elif outgoing.node.type in _WILDCARDS:
        inputs |= {name: label for name, label in (_LORA, _WILDCARD) if isinstance(inputs.get(name), str)}


_NODES: Final = {
    "easy setNode": BrowserNode(),
    "easy getNode": BrowserNode(gets_from="easy setNode", strict=True),
    "easy bookmark": BrowserNode(),
}

EASY_USE: Final = PackRules(
    "Easy-Use", browser_nodes=_NODES, rewrite_node=rewrite_node, set_values=set_values, change_inputs=change_inputs
)
