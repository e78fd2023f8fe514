"""Fields (widgets) of a node: which inputs of its class become fields, in which order, and with which default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worker.workflow.catalog.node_class import DYNAMIC_COMBO, InputSpec, Presence, read_input, sections
from worker.workflow.editor.editor_graph import MISSING, Value, Widget
from worker.workflow.json_value import Json, JsonObject

CONTROL = "control_after_generate"
_UPLOAD_FLAGS = ("image_upload", "video_upload", "animated_image_upload", "audio_upload")
_SEED_NAMES = frozenset({"seed", "noise_seed"})

ONLY_IN_A_BROWSER = frozenset({"LOAD_3D", "LOAD_3D_ADVANCED", "WEBCAM"})
"""Kinds of fields whose value the browser draws or records when the workflow is queued."""

RECORDED = "AUDIO_RECORD"

_DEFAULTS: dict[str, Value] = {
    "INT": 0,
    "FLOAT": 0,
    "BOOLEAN": False,
    "STRING": "",
    "MARKDOWN": "",
    "TEXTAREA": "",
    "PAINTER": "",
    "COLOR": "#000000",
    "GALLERIA": [],
    "BOUNDING_BOXES": [],
    "COLORS": [],
    "CHART": {},
    "COMPOSITOR": {},
    "VIDEO_EDIT": {"trim": {"start_time": 0, "duration": 0}, "crop": {"x": 0, "y": 0, "width": 0, "height": 0}},
    "RANGE": {"min": 0.0, "max": 1.0},
    "CURVE": {"points": [[0, 0], [1, 1]], "interpolation": "monotone_cubic"},
    "BOUNDING_BOX": {"x": 0, "y": 0, "width": 512, "height": 512},
    "IMAGECOMPARE": ["", ""],
    "VHSTIMESTAMP": 0,
    RECORDED: "",
    **dict.fromkeys(ONLY_IN_A_BROWSER, MISSING),
}
"""The value of a field by its kind, for classes that name no default."""

FIELDS = frozenset({*_DEFAULTS, "COMBO", DYNAMIC_COMBO})


def field_kind(spec: InputSpec) -> str:
    """Return the kind of field of an input: its `widgetType` if it has one, else its type."""
    widget_type = spec.config[1].get("widgetType")
    return widget_type if isinstance(widget_type, str) else spec.type


def is_field(spec: InputSpec) -> bool:
    """Return whether an input is a field of the node, which holds a value.

    All other inputs are sockets: they get their value through a link only, and have none in `widgets_values`.
    """
    return field_kind(spec) in FIELDS and not is_forced_socket(spec)


def is_forced_socket(spec: InputSpec) -> bool:
    """Return whether the class makes an input a socket although its type would make it a field."""
    options = spec.config[1]
    return bool(options.get("forceInput") or (options.get("defaultInput") and spec.presence == "optional"))


def has_slot(spec: InputSpec) -> bool:
    """Return whether a field has a slot, so that a link can feed it. All have one unless the class forbids it."""
    return not spec.config[1].get("socketless")


def fields_for(spec: InputSpec) -> Iterator[Widget]:
    """Yield the field of an input, then the fields and buttons that the editor adds after it.

    A bounding box has a number for each side, and a recording has a button.
    """
    kind = field_kind(spec)
    if kind == "BOUNDING_BOX":
        yield Widget(spec.name, kind, _default_value(spec, kind), spec=spec)
        for side in ("x", "y", "width", "height"):
            yield Widget(side, "number", is_sent=False)
    elif kind == "IMAGECOMPARE":
        yield Widget(spec.name, kind, _default_value(spec, kind), is_saved=False, spec=spec)
    elif kind == RECORDED:
        yield Widget(spec.name, kind, "", spec=spec)
        yield Widget(spec.name, "button", is_sent=False)
    else:
        yield Widget(spec.name, kind, _default_value(spec, kind), spec=spec)
        yield from _companions(spec, kind)


def choices_of(spec: InputSpec) -> list[Json]:
    """Return the choices of a combo, which are empty for other inputs. A dynamic combo has the keys of its options."""
    if spec.type == DYNAMIC_COMBO:
        return [option["key"] for option in dynamic_options(spec) if "key" in option]
    return list(spec.options or ())


def dynamic_options(spec: InputSpec) -> list[JsonObject]:
    """Return the options of a dynamic combo, or none for other inputs.

    Each option has a `key` and the `inputs` that it adds to the node.
    """
    options = spec.config[1].get("options")
    return [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []


def option_inputs(combo: str, option: JsonObject) -> Iterator[InputSpec]:
    """Yield the visible inputs that an option of a dynamic combo adds to the node, named `combo.input`."""
    for presence, section in sections(option.get("inputs")):
        for name, definition in section.items():
            spec = read_input(f"{combo}.{name}", presence, definition)
            if spec and presence is not Presence.HIDDEN:
                yield spec


def socket_values(specs: Sequence[InputSpec], fields: set[str]) -> Iterator[bool]:
    """Yield, for each value that editors before 1.16 saved for a node, whether it belongs to a socket.

    `specs` are the inputs of the class, and `fields` are the names of those that are fields.
    """
    for spec in specs:
        if spec.name in fields or is_forced_socket(spec):
            yield is_forced_socket(spec)
            if spec.config[1].get(CONTROL):
                yield False  # the control of a seed
        has_upload_button = any(spec.config[1].get(flag) is True for flag in _UPLOAD_FLAGS)
        if spec.presence is Presence.REQUIRED and has_upload_button:
            yield False


def _default_value(spec: InputSpec, kind: str) -> Value:
    """Return the value of a new field: the default that the class names, else the first choice or that of its kind."""
    default = spec.config[1].get("default")
    if kind == "COMBO":
        return [] if spec.config[1].get("multi_select") else default or _first_choice(spec)
    if kind == DYNAMIC_COMBO:
        keys = choices_of(spec)
        return keys[0] if keys else MISSING
    return _DEFAULTS.get(kind, MISSING) if default is None else default


def _first_choice(spec: InputSpec) -> Value:
    """Return the first choice of a combo. Without choices it is "Loading..." if a server has them, else MISSING."""
    if spec.options:
        return spec.options[0]
    return "Loading..." if spec.config[1].get("remote") else MISSING


def _companions(spec: InputSpec, kind: str) -> Iterator[Widget]:
    """Yield the extra fields after a field, which also occupy `widgets_values`: seed controls and buttons."""
    remote = spec.config[1].get("remote")
    if kind == "COMBO" and isinstance(remote, dict):
        yield Widget("Auto-refresh after generation", "toggle", False, is_sent=False)
        if remote.get("refresh_button"):
            yield Widget("refresh", "button", "refresh")
    control = spec.config[1].get(CONTROL)  # true, false, or the name of the control
    if control is None and kind == "INT":
        control = spec.name in _SEED_NAMES
    if control and kind in ("INT", "FLOAT", "COMBO"):
        yield Widget(control if isinstance(control, str) and kind != "COMBO" else CONTROL, "control", is_sent=False)
    if control and kind == "COMBO":
        yield Widget("control_filter_list", "string", is_sent=False)
