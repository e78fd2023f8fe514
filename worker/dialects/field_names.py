"""Names of fields in the dialect of the caller: the nearest name for an unknown one, and the names in messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

SIMILAR = 0.75
LONGEST = 100
"""Characters of a name that are compared. difflib takes quadratic time, and clients choose the names."""
SYNONYMS = {
    **dict.fromkeys(("workflowjson", "workflowapi", "apiworkflow", "comfyworkflow", "graph", "nodes"), "workflow"),
    **dict.fromkeys(("images", "image", "files", "file", "inputimages", "inputimage", "uploads"), "inputs"),
    **dict.fromkeys(("requestid", "jobid", "idempotencykey", "taskid"), "id"),
    **dict.fromkeys(("modifier", "templatename", "preset"), "template"),
    **dict.fromkeys(("modifications", "parameters", "args", "variables"), "params"),
    **dict.fromkeys(("seed", "steps", "cfg", "width", "height", "negativeprompt", "positiveprompt", "text"), "params"),
    **dict.fromkeys(("returnoutputsasbase64", "responseformat", "outputtype", "returntype"), "output_format"),
    **dict.fromkeys(("convertoutput", "imageformat", "outputimageformat"), "output.format"),
    **dict.fromkeys(("timeout", "timeoutms", "timeoutseconds", "executiontimeout", "policy"), "timeout_s"),
    **dict.fromkeys(("webhookurl", "webhookv2", "callback", "callbackurl", "notifyurl"), "webhook"),
    **dict.fromkeys(("comfyorgapikey", "apikeycomfyorg", "comfyapikey"), "extra_data.api_key_comfy_org"),
    **dict.fromkeys(("s3config", "storage", "bucketconfig", "upload"), "s3"),
    "input": "input",
}
"""Field names of other servers, without case and underscores, and the native field with the same purpose."""
INPUT_FIELDS = {
    **dict.fromkeys(("workflowjson", "workflowapi", "apiworkflow"), "workflow_json"),
    **dict.fromkeys(("workflow", "comfyworkflow", "graph", "flow"), "workflow"),
    **dict.fromkeys(("modifier", "template", "modificator"), "modifier"),
}
"""Fields of `input` in Vast's and RunPod's dialects that describe the job."""
RUNPOD_FIELD_NAMES = {
    "`inputs`": "`input.images`",
    "`output_format`": "`s3Config`",
    "`s3`": "`s3Config`",
    '"deliver_models": true with the request': '"deliver_models": true in `input`',
}
VAST_FIELD_NAMES = {
    "`inputs`": "the workflow itself, as a data URI",
    "`output_format`": "`input.return_outputs_as_base64`: false",
    "`s3`": "`input.s3`",
    "`output`": "`input.output`",
    '"deliver_models": true with the request': '"deliver_models": true in `input`',
}
"""Replacements in messages for native names of fields."""


def normalize_name(name: str) -> str:
    """Return a name without case, underscores and hyphens, so that `outputFormat` equals `output_format`."""
    return re.sub(r"[\W_]", "", name[:LONGEST]).lower()


def nearest_field(model: type[BaseModel], location: Sequence[int | str]) -> str | None:
    """Return the path of the known field that an unknown one probably means, or None.

    `location` is the place of the unknown field: the fields and indexes around it, and its name.
    """
    *parents, name = map(str, location)
    parent_model = _model_at(model, parents)
    normalized, prefix = normalize_name(name), "".join(f"{parent}." for parent in parents)
    known_names = {normalize_name(field): field for field in parent_model.model_fields} if parent_model else {}
    if normalized in known_names:
        return prefix + known_names[normalized]
    if not parents and normalized in SYNONYMS and SYNONYMS[normalized] != name:
        return SYNONYMS[normalized]
    similar_names = get_close_matches(normalized, known_names, n=1, cutoff=SIMILAR)
    if similar_names:
        return prefix + known_names[similar_names[0]]
    # The field may have to be inside another one: `format` means `output.format`.
    return next((path for path in _nested_paths(model) if normalize_name(path.rpartition(".")[2]) == normalized), None)


def suggested_field(names: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first name that looks like a field of `input` for the workflow, and the correct name of that field.

    Return None if no name looks like one.
    """
    for name in names:
        normalized = normalize_name(name)
        if normalized in INPUT_FIELDS:
            return name, INPUT_FIELDS[normalized]
        similar_names = get_close_matches(normalized, INPUT_FIELDS, n=1, cutoff=SIMILAR)
        if similar_names:
            return name, INPUT_FIELDS[similar_names[0]]
    return None


def translate_field_names(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value with the names of a dialect in all its texts. `names` has them by the native name."""
    if isinstance(value, str):
        for native_name, dialect_name in names.items():
            value = value.replace(native_name, dialect_name)
        return value
    if isinstance(value, dict):
        return {key: translate_field_names(item, names) for key, item in value.items()}
    return [translate_field_names(item, names) for item in value] if isinstance(value, list | tuple) else value


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Return the model of the object at a path of fields and indexes, or None if it has no model."""
    current: type[BaseModel] | None = model
    for name in path:
        if name.isdigit():  # an index, because the model of a list is that of its items
            continue
        field = current.model_fields.get(name) if current else None
        current = _model_in(field.annotation) if field else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type
    """Return the model in an annotation such as `list[Model] | None`, or None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_model_in(part) for part in get_args(annotation))
    return next((model for model in models if model is not None), None)


def _nested_paths(model: type[BaseModel]) -> Iterator[str]:
    """Yield the paths of the fields one level below those of a model, such as `output.format`."""
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from (f"{name}.{field_name}" for field_name in inner.model_fields)
