"""Easy-Use: names that are set and got, lists that add to a text, and fields of its own types."""

from __future__ import annotations

from typing import Final

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import MISSING, BrowserNode, UiNode, Value
from worker.workflow.editor.fields import choices_of, kind_of
from worker.workflow.editor.javascript import as_text, stringify
from worker.workflow.editor.packs.pack import Pack, Sending
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import Shape
from worker.workflow.editor.values import give_values

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
"""Its lists with the label that each is sent as, and what stands before a choice that is added to the text."""
_TO_CHOOSE = "Select the"

_WILDCARDS = ("easy wildcards", "easy wildcardsMatrix")
_LORA = ("Select to add LoRA", "Select the LoRA to add to the text")
_WILDCARD = ("Select to add Wildcard", "Select the Wildcard to add to the text")

_JOINED = ("EASY_PROMPT_STYLES", "EASY_COMBO")
_WRITTEN = ("EASY_MULTI_ANGLE", "EASY_TABLE_EDITOR", "EASY_PROMPT_AWAIT_BAR")
_DEFAULTS: Final = {
    **dict.fromkeys(_JOINED, ""),
    "EASY_MULTI_ANGLE": '[{"rotate":0,"vertical":0,"zoom":5,"add_angle_prompt":true}]',
    "EASY_PROMPT_AWAIT_BAR": '{"select":"now","unlock":true,"last_seed":0,"seed":0}',
}
_OLD_VALUES: Final = {
    ("resolution", "自定义 x 自定义"): "width x height (custom)",
    ("preset", "FLUX.1-dev"): "REGULAR - FLUX and SD3.5 only (high strength)",
    ("add_noise", "enable"): "enable (CPU)",
}
"""What older versions called a choice, by the field's name."""
_OVERRIDDEN = ("easy fullLoader", "easy fluxLoader")


def read(saved: SavedNode, catalog: Catalog) -> None:
    """Give two old classes the name of the class that took their place."""
    new = _RENAMED.get(saved.type)
    if new and new in catalog:
        saved.type = new


def give(shape: Shape, saved: SavedNode) -> bool:
    """Set the fields, and what its script makes of them."""
    node = shape.node
    if not node.type.startswith("easy "):
        return False
    give_values(shape, saved)
    if node.type == _PROMPT:
        _add_choices(node)
    elif node.type in _WILDCARDS:
        _add_wildcards(node)
    elif node.type in _OVERRIDDEN:
        _override(node)
    for widget in node.widgets:
        kind = kind_of(widget.spec) if widget.spec else ""
        if kind.startswith("EASY_"):
            widget.value = _as_field(kind, widget.value)
        elif isinstance(widget.value, str):
            widget.value = _OLD_VALUES.get((widget.name, widget.value), widget.value)
    return True


def _override(node: UiNode) -> None:
    """What comes by a link takes the place of what is chosen: the choice is reset."""
    checkpoint, vae = node.widget("ckpt_name"), node.widget("vae_name")
    if checkpoint and checkpoint.spec and _is_linked(node, "model_override"):
        choices = choices_of(checkpoint.spec)
        checkpoint.value = choices[0] if choices else "None"
    if vae and _is_linked(node, "vae_override"):
        vae.value = "Baked VAE"


def _is_linked(node: UiNode, name: str) -> bool:
    slot = node.slot(name)
    return slot is not None and slot.link is not None


def _as_field(kind: str, value: Value) -> Value:
    """Lists of choices become one text, and objects their JSON."""
    if value is None or value is MISSING:
        return _DEFAULTS.get(kind, value)
    if kind in _JOINED and isinstance(value, list):
        return ",".join(as_text(one) for one in value)
    if kind in _WRITTEN and isinstance(value, list | dict):
        return stringify({"value": value})[len('{"value": ') : -1]
    return value


def _add_choices(node: UiNode) -> None:
    for name, (_, before) in _PROMPT_LISTS.items():
        widget = node.widget(name)
        chosen = widget.value if widget else None
        if widget and widget.spec and isinstance(chosen, str) and _TO_CHOOSE not in chosen:
            _append(node, chosen if chosen in choices_of(widget.spec) else "", before)


def _add_wildcards(node: UiNode) -> None:
    lora, wildcard = node.widget(_LORA[0]), node.widget(_WILDCARD[0])
    if lora and isinstance(lora.value, str) and lora.value and lora.value != _LORA[1]:
        _append(node, f"<lora:{lora.value.removesuffix('.safetensors')}>", "")
    if wildcard and isinstance(wildcard.value, str) and wildcard.value and wildcard.value != _WILDCARD[1]:
        _append(node, wildcard.value, ", ")


def _append(node: UiNode, chosen: str, before: str) -> None:
    text = node.widget("text")
    if text is not None and chosen:
        written = text.value if isinstance(text.value, str) else ""
        text.value = f"{written}{before if written else ''}{chosen}"


def send(sending: Sending) -> None:
    """Send lists as their labels."""
    inputs = sending.inputs
    if sending.node.type == _PROMPT:
        inputs |= {name: label for name, (label, _) in _PROMPT_LISTS.items() if isinstance(inputs.get(name), str)}
    elif sending.node.type in _WILDCARDS:
        inputs |= {name: label for name, label in (_LORA, _WILDCARD) if isinstance(inputs.get(name), str)}


_NODES: Final = {
    "easy setNode": BrowserNode(),
    "easy getNode": BrowserNode(gets_from="easy setNode", strict=True),
    "easy bookmark": BrowserNode(),
}

EASY_USE: Final = Pack("Easy-Use", browser_nodes=_NODES, read=read, give=give, send=send)
