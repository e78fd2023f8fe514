"""A value that a prompt gives an input: unwrapped, brought to the input's type, held against its limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from worker.workflow.catalog.node_class import COMBO, InputSpec
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.validation.file_check import FileCheck

LONGEST_LIST = 20  # longer lists of choices are only counted in an error

_COERCIONS: dict[str, Callable[[object], Json]] = {
    "INT": lambda value: int(cast(str, value)),
    "FLOAT": lambda value: float(cast(str, value)),
    "STRING": str,
    "BOOLEAN": bool,
}


def problem(kind: str, message: str, details: str, extra_info: JsonObject) -> JsonObject:
    """One entry of a node's `errors`, in ComfyUI's shape."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def value_error(
    spec: InputSpec, inputs: dict[str, Json], check_limits: bool, files: FileCheck | None
) -> list[JsonObject]:
    """Coerce `inputs[spec.name]` in place and return what is wrong with it: nothing or one error.

    A value wrapped as `{"__value__": ...}` is unwrapped, which is how a prompt writes a list that is no link.
    Values of no JSON type of their own may raise TypeError when compared, as they do in ComfyUI.
    """
    value = inputs[spec.name]
    try:
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[spec.name] = value["__value__"]
        if coerce := _COERCIONS.get(spec.type):
            value = inputs[spec.name] = coerce(value)
    except (TypeError, ValueError, OverflowError) as failure:
        message = f"Failed to convert an input value to a {spec.type} value"
        extra = {**_received(spec, value), "exception_message": str(failure)}
        return [problem("invalid_input_type", message, f"{spec.name}, {value}, {failure}", extra)]
    error = _limit_error(spec, value, files) if check_limits else None
    return [error] if error else []


def _limit_error(spec: InputSpec, value: Json, files: FileCheck | None) -> JsonObject | None:
    if spec.min is not None and cast(float, value) < spec.min:
        message = f"Value {value} smaller than min of {spec.min}"
        return problem("value_smaller_than_min", message, spec.name, _received(spec, value))
    if spec.max is not None and cast(float, value) > spec.max:
        message = f"Value {value} bigger than max of {spec.max}"
        return problem("value_bigger_than_max", message, spec.name, _received(spec, value))
    return _choice_error(spec, value, files) if spec.type == COMBO else None


def _choice_error(spec: InputSpec, value: Json, files: FileCheck | None) -> JsonObject | None:
    chosen = value if spec.multiselect and isinstance(value, list) else [value]
    options = list(spec.options or ())
    wrong = [one for one in chosen if one not in options and not _is_file(spec, one, files)]
    if not wrong:
        return None
    long = len(options) > LONGEST_LIST
    listed = f"(list of length {len(options)})" if long else str(options)
    details = f"{spec.name}: {', '.join(repr(one) for one in wrong)} not in {listed}"
    extra = _received(spec, value)
    if long:
        extra["input_config"] = None
    return problem("value_not_in_list", "Value not in list", details, extra)


def _is_file(spec: InputSpec, name: Json, files: FileCheck | None) -> bool:
    return files is not None and isinstance(name, str) and any(files.exists(folder, name) for folder in spec.folders)


def _received(spec: InputSpec, value: Json) -> JsonObject:
    return {"input_name": spec.name, "input_config": list(spec.config), "received_value": value}
