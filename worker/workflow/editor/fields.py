"""Which inputs of a class are fields on the node (widgets), in which order, and what they hold at first."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.catalog.node_class import DYNAMIC_COMBO, InputSpec
from worker.workflow.editor.editor_graph import MISSING, Value, Widget
from worker.workflow.json_value import Json, JsonObject

CONTROL = "control_after_generate"
_SEEDS = frozenset({"seed", "noise_seed"})

ONLY_IN_A_BROWSER = frozenset({"LOAD_3D", "LOAD_3D_ADVANCED", "WEBCAM"})
"""Fields whose value is drawn or recorded by the browser at the moment of queueing."""

RECORDED = "AUDIO_RECORD"

_PLAIN: dict[str, Value] = {
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
"""What a field of each kind holds where its class names no default."""

FIELDS = frozenset({*_PLAIN, "COMBO", DYNAMIC_COMBO})


def kind_of(spec: InputSpec) -> str:
    """The kind of field that an input asks for: its `widgetType`, else its type."""
    asked = spec.config[1].get("widgetType")
    return asked if isinstance(asked, str) else spec.type


def is_field(spec: InputSpec) -> bool:
    """Whether an input is a field on the node; the others are sockets, without a place in `widgets_values`."""
    return kind_of(spec) in FIELDS and not forced(spec)


def forced(spec: InputSpec) -> bool:
    """Whether the class makes a socket of what its type would make a field."""
    options = spec.config[1]
    return bool(options.get("forceInput") or (options.get("defaultInput") and spec.presence == "optional"))


def has_slot(spec: InputSpec) -> bool:
    """Whether something can be linked into a field."""
    return not spec.config[1].get("socketless")


def fields_of(spec: InputSpec) -> Iterator[Widget]:
    """The field of an input, and those that come with it."""
    kind = kind_of(spec)
    if kind == "BOUNDING_BOX":
        yield Widget(spec.name, kind, _first(spec, kind), spec=spec)
        for side in ("x", "y", "width", "height"):
            yield Widget(side, "number", sent=False)
    elif kind == "IMAGECOMPARE":
        yield Widget(spec.name, kind, _first(spec, kind), saved=False, spec=spec)
    elif kind == RECORDED:
        yield Widget(spec.name, kind, "", spec=spec)
        yield Widget(spec.name, "button", sent=False)
    else:
        yield Widget(spec.name, kind, _first(spec, kind), spec=spec)
        yield from _companions(spec, kind)


def choices_of(spec: InputSpec) -> list[Json]:
    """What a combo lists: its options, and for a dynamic combo their keys."""
    if spec.type == DYNAMIC_COMBO:
        return [option["key"] for option in options_of(spec) if "key" in option]
    return list(spec.options or ())


def options_of(spec: InputSpec) -> list[JsonObject]:
    """The options of a dynamic combo: each a key and the inputs that it adds."""
    options = spec.config[1].get("options")
    return [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []


def _first(spec: InputSpec, kind: str) -> Value:
    default = spec.config[1].get("default")
    if kind == "COMBO":
        choices = spec.options or ()
        if spec.config[1].get("multi_select"):
            return []
        return default or (choices[0] if choices else "Loading..." if spec.config[1].get("remote") else MISSING)
    if kind == DYNAMIC_COMBO:
        keys = choices_of(spec)
        return keys[0] if keys else MISSING
    return _PLAIN.get(kind, MISSING) if default is None else default


def _companions(spec: InputSpec, kind: str) -> Iterator[Widget]:
    """Fields behind another that take a place in `widgets_values`: what becomes of a seed after a run, and buttons."""
    control = spec.config[1].get(CONTROL)
    if control is None and kind == "INT":
        control = spec.name in _SEEDS
    remote = spec.config[1].get("remote")
    if kind == "COMBO" and isinstance(remote, dict):
        yield Widget("Auto-refresh after generation", "toggle", False, sent=False)
        if remote.get("refresh_button"):
            yield Widget("refresh", "button", "refresh")
    if control and kind in ("INT", "FLOAT", "COMBO"):
        yield Widget(control if isinstance(control, str) and kind != "COMBO" else CONTROL, "control", sent=False)
    if control and kind == "COMBO":
        yield Widget("control_filter_list", "string", sent=False)
