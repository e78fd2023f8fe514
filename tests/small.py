"""Small values for the parameters of a template, for tests that run the whole library."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

from PIL import Image

from worker.simulators.comfyui.media.mp4 import write_mp4
from worker.workflow.templates.template import Parameter, ParameterKind, Template

SMALL = {"width": 64, "height": 64, "steps": 1, "seconds": 0.25, "megapixels": "0.1"}


def params(template: Template) -> dict[str, Any]:
    """Return the smallest values that a template accepts: required files, small sizes and few steps."""
    found: dict[str, Any] = {}
    for parameter in template.parameters:
        if parameter.type.is_file and parameter.required:
            found[parameter.name] = file(parameter.type)
        elif parameter.name in SMALL:
            found[parameter.name] = least(parameter, SMALL[parameter.name])
    return found


def least(parameter: Parameter, wanted: float | str) -> float | str:
    """Return `wanted`, or the nearest larger value that the parameter accepts."""
    if isinstance(wanted, str) or parameter.minimum is None:
        return wanted
    step = parameter.multiple_of or 1
    least = max(wanted, parameter.minimum)
    return type(wanted)(math.ceil(least / step) * step)


def file(kind: ParameterKind) -> str:
    """Return a small file in base64."""
    made = write_mp4([encoded("JPEG")] * 3, (64, 48), 8, "") if kind is ParameterKind.VIDEO else encoded("PNG")
    return base64.b64encode(made).decode()


def encoded(kind: str, width: int = 64, height: int = 48) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(sink, kind)
    return sink.getvalue()
