"""Modifiers of Vast's stock template, mapped to templates and parameters of this worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.dialects.base import fill_template
from worker.workflow.templates.fill import FilledTemplate
from worker.workflow.templates.template import Library

TEMPLATE_PARAMETERS = {
    "ckpt_name": "checkpoint",
    "cfg_scale": "cfg",
    "input_image": "image",
    "sampler_name": "sampler",
}
"""Parameter names of the stock template, and the names of this worker's templates."""


@dataclass(frozen=True, slots=True)
class Modifier:
    """The template for a modifier. `defaults` are the stock template's defaults that differ from it."""

    template: str
    defaults: Mapping[str, Any]


SAMPLING = {"prompt": "", "negative_prompt": "", "sampler": "dpmpp_2m", "scheduler": "normal", "denoise": 0.87}
MODIFIERS = {
    "Text2Image": Modifier("sd15", {**SAMPLING, "width": 1024, "height": 1024}),
    "Image2Image": Modifier("sd15-image-to-image", SAMPLING),
}
RAW_WORKFLOW = "RawWorkflow"
"""Modifier with a workflow. In examples of older clients it has the parameters of `Text2Image`."""


def raw_workflow(name: str, modifications: Mapping[str, Any], workflow: Mapping[str, Any]) -> object:
    """Return the workflow of a request with the modifier `RawWorkflow`, or None.

    `workflow` is the workflow beside the modifications. Without it, the workflow is in the modifications. The result is
    None or empty for another modifier, or if there is no workflow.
    """
    if name != RAW_WORKFLOW:
        return None
    return workflow or modifications.get("workflow_json") or modifications.get("workflow")


def fill_modifier(library: Library, name: str, modifications: Mapping[str, Any]) -> FilledTemplate:
    """Return the template of a modifier, filled with its `modifications`.

    `name` may also be that of a template. Then unknown parameters are errors. As in the stock template, an unknown
    modification of a modifier is ignored. Raises InvalidParams or UnknownTemplate.
    """
    # `RawWorkflow` without a workflow has the parameters of `Text2Image`, as older clients send it.
    modifier = MODIFIERS.get("Text2Image" if name == RAW_WORKFLOW else name)
    if modifier is None:
        return fill_template(library, name, modifications)
    renamed = {TEMPLATE_PARAMETERS.get(key, key): value for key, value in modifications.items()}
    # If the library has no such template, fill_template raises UnknownTemplate.
    known_names = library[modifier.template].by_name if modifier.template in library else renamed
    params = {key: value for key, value in renamed.items() if key in known_names}
    return fill_template(library, modifier.template, {**modifier.defaults, **params})
