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
_LORA_FIELD, _LORA_LABEL = "Select to add LoRA", "Select the LoRA to add to the text"
_WILDCARD_FIELD, _WILDCARD_LABEL = "Select to add Wildcard", "Select the Wildcard to add to the text"

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
    """Rename a node of an old class of Easy-Use to the class that replaced it, if the catalog has that class."""
    new = _RENAMED.get(saved.type)
    if new and new in catalog:
        saved.type = new


def set_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Set the fields of a node of Easy-Use, and apply the changes that the pack's script makes to the values.

    Return False for nodes of other packs.
    """
    node = shape.node
    if not node.type.startswith("easy "):
        return False
    set_field_values(shape, saved)
    if node.type == _PROMPT:
        _add_choices(node)
    elif node.type in _WILDCARDS:
        _add_wildcards(node)
    elif node.type in _LOADERS_WITH_OVERRIDES:
        _reset_overridden_fields(node)
    for widget in node.widgets:
        kind = field_kind(widget.spec) if widget.spec else ""
        if kind.startswith("EASY_"):
            widget.value = _sent_form(kind, widget.value)
        elif isinstance(widget.value, str):
            widget.value = _OLD_VALUES.get((widget.name, widget.value), widget.value)
    return True


def _reset_overridden_fields(node: UiNode) -> None:
    """Reset the checkpoint and the VAE of a loader if a linked input replaces them."""
    checkpoint, vae = node.widget("ckpt_name"), node.widget("vae_name")
    if checkpoint and checkpoint.spec and _is_linked(node, "model_override"):
        choices = choices_of(checkpoint.spec)
        checkpoint.value = choices[0] if choices else "None"
    if vae and _is_linked(node, "vae_override"):
        vae.value = "Baked VAE"


def _is_linked(node: UiNode, name: str) -> bool:
    """Return whether a link feeds the input with this name."""
    slot = node.slot(name)
    return slot is not None and slot.link is not None


def _sent_form(kind: str, value: Value) -> Value:
    """Return the value of a field in the form that the pack sends: choices as one text, objects as JSON text.

    A field without a value gets the default of its kind.
    """
    if value is None or value is MISSING:
        return _DEFAULTS.get(kind, value)
    if kind in _JOINED_KINDS and isinstance(value, list):
        return ",".join(to_js_string(choice) for choice in value)
    if kind in _JSON_KINDS and isinstance(value, list | dict):
        # `stringify` needs an object, so that a list is wrapped and the wrapper cut off.
        return stringify({"value": value})[len('{"value": ') : -1]
    return value


def _add_choices(node: UiNode) -> None:
    """Append the chosen entries of the lists of `easy prompt` to its text.

    A list without a choice has a label as its value, and nothing is appended for it.
    """
    for name, (_, separator) in _PROMPT_LISTS.items():
        widget = node.widget(name)
        chosen = widget.value if widget else None
        if not widget or not widget.spec or not isinstance(chosen, str) or _LABEL_START in chosen:
            continue
        if chosen in choices_of(widget.spec):
            _append(node, chosen, separator)


def _add_wildcards(node: UiNode) -> None:
    """Append the chosen LoRA and the chosen wildcard to the text of a node of Easy-Use.

    A list without a choice has a label as its value, and nothing is appended for it.
    """
    lora, wildcard = _chosen(node, _LORA_FIELD, _LORA_LABEL), _chosen(node, _WILDCARD_FIELD, _WILDCARD_LABEL)
    if lora:
        _append(node, f"<lora:{lora.removesuffix('.safetensors')}>", "")
    if wildcard:
        _append(node, wildcard, ", ")


def _chosen(node: UiNode, field_name: str, label: str) -> str:
    """Return the choice in a list, or an empty text if there is no such field or it has only its label."""
    widget = node.widget(field_name)
    value = widget.value if widget else None
    return value if isinstance(value, str) and value != label else ""


def _append(node: UiNode, addition: str, separator: str) -> None:
    """Append a choice to the field `text` of a node, after a separator unless the text is empty."""
    field = node.widget("text")
    if field is not None and addition:
        text = field.value if isinstance(field.value, str) else ""
        field.value = f"{text}{separator if text else ''}{addition}"


def change_inputs(outgoing: OutgoingNode) -> None:
    """Replace the choices in the lists of an Easy-Use node by the label of the list, as the pack's script does.

    The choice itself is already part of the text.
    """
    inputs = outgoing.inputs
    labels: dict[str, str] = {}
    if outgoing.node.type == _PROMPT:
        labels = {name: label for name, (label, _) in _PROMPT_LISTS.items()}
    elif outgoing.node.type in _WILDCARDS:
        labels = {_LORA_FIELD: _LORA_LABEL, _WILDCARD_FIELD: _WILDCARD_LABEL}
    inputs |= {name: label for name, label in labels.items() if isinstance(inputs.get(name), str)}


_NODES: Final = {
    "easy setNode": BrowserNode(),
    "easy getNode": BrowserNode(gets_from="easy setNode", strict=True),
    "easy bookmark": BrowserNode(),
}

EASY_USE: Final = PackRules(
    "Easy-Use", browser_nodes=_NODES, rewrite_node=rewrite_node, set_values=set_values, change_inputs=change_inputs
)
