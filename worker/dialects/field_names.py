"""What a field is called in the dialect of the caller: the nearest name for an unknown one, and names in messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

SIMILAR = 0.75
LONGEST = 100
"""difflib takes quadratic time, and names come from strangers."""
ELSEWHERE = {
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
"""Names of other servers, without case and underscores, and the native fields for the purpose."""
INPUT_FIELDS = {
    **dict.fromkeys(("workflowjson", "workflowapi", "apiworkflow"), "workflow_json"),
    **dict.fromkeys(("workflow", "comfyworkflow", "graph", "flow"), "workflow"),
    **dict.fromkeys(("modifier", "template", "modificator"), "modifier"),
}
"""The fields of `input` that a job is made of, in Vast's and RunPod's dialects."""
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
"""What stands in messages for the native names of fields."""


def plain(name: str) -> str:
    """Return a name without case, underscores and hyphens: `outputFormat` and `output_format` are the same."""
    return re.sub(r"[\W_]", "", name[:LONGEST]).lower()


def nearest_field(model: type[BaseModel], place: Sequence[int | str]) -> str | None:
    """Return the path of the field that an unknown one was meant to be; None where none is near."""
    *parents, name = map(str, place)
    inner = _inner(model, parents)
    wanted, prefix = plain(name), "".join(f"{parent}." for parent in parents)
    known = {plain(field): field for field in inner.model_fields} if inner else {}
    if wanted in known:
        return prefix + known[wanted]
    if not parents and wanted in ELSEWHERE and ELSEWHERE[wanted] != name:
        return ELSEWHERE[wanted]
    if near := get_close_matches(wanted, known, n=1, cutoff=SIMILAR):
        return prefix + known[near[0]]
    return next((path for path in _deeper(model) if plain(path.rpartition(".")[2]) == wanted), None)


def suggested_field(names: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a field of an `input` without a workflow that was meant to bring it, and what it is called."""
    for name in names:
        if (meant := INPUT_FIELDS.get(plain(name))) or (
            near := get_close_matches(plain(name), INPUT_FIELDS, n=1, cutoff=SIMILAR)
        ):
            return name, meant or INPUT_FIELDS[near[0]]
    return None


def translate_field_names(value: Any, words: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Return an error or a problem with the fields' names that a dialect has for them."""
    if isinstance(value, str):
        for word, meaning in words.items():
            value = value.replace(word, meaning)
        return value
    if isinstance(value, dict):
        return {key: translate_field_names(item, words) for key, item in value.items()}
    return [translate_field_names(item, words) for item in value] if isinstance(value, list | tuple) else value


def _inner(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """Return the model of the object at a path of fields and indexes."""
    found: type[BaseModel] | None = model
    for name in path:
        if name.isdigit():
            continue
        field = found.model_fields.get(name) if found else None
        found = _model_in(field.annotation) if field else None
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _deeper(model: type[BaseModel]) -> Iterator[str]:
    """Yield the paths of fields one level down."""
    for name, field in model.model_fields.items():
        if inner := _model_in(field.annotation):
            yield from (f"{name}.{field_name}" for field_name in inner.model_fields)
