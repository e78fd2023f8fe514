"""The stock template's modifiers as templates of ours: which one, what its parameters are called, what they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.dialects.base import fill_template
from worker.workflow.templates.fill import FilledTemplate
from worker.workflow.templates.template import Library

NAMES = {
    "ckpt_name": "checkpoint",
    "cfg_scale": "cfg",
    "input_image": "image",
    "sampler_name": "sampler",
}
"""What the stock template calls some of our parameters."""


@dataclass(frozen=True, slots=True)
class Modifier:
    """`defaults` are the stock template's where ours differ."""

    template: str
    defaults: Mapping[str, Any]


SAMPLING = {"prompt": "", "negative_prompt": "", "sampler": "dpmpp_2m", "scheduler": "normal", "denoise": 0.87}
MODIFIERS = {
    "Text2Image": Modifier("sd15", {**SAMPLING, "width": 1024, "height": 1024}),
    "Image2Image": Modifier("sd15-image-to-image", SAMPLING),
}
RAW = "RawWorkflow"
"""Sends a workflow; in the older clients' examples `Text2Image`'s parameters, with a size."""


def raw_workflow(name: str, given: Mapping[str, Any], workflow: Mapping[str, Any]) -> object:
    """The workflow that `RawWorkflow` brings beside its modifications or among them; None for anything else."""
    return (workflow or given.get("workflow_json") or given.get("workflow")) if name == RAW else None


def fill_modifier(library: Library, name: str, given: Mapping[str, Any]) -> FilledTemplate:
    """What a modifier makes of its `modifications`; a template's own name does too, and is held to its schema.

    As in the stock template a modification that its modifier doesn't know is ignored. Raises InvalidParams,
    UnknownTemplate.
    """
    modifier = MODIFIERS.get("Text2Image" if name == RAW else name)
    if modifier is None:
        return fill_template(library, name, given)
    renamed = {NAMES.get(key, key): value for key, value in given.items()}
    known = library[modifier.template].by_name if modifier.template in library else renamed
    params = {key: value for key, value in renamed.items() if key in known}
    return fill_template(library, modifier.template, {**modifier.defaults, **params})
