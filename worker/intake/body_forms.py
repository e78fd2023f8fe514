"""Converts request bodies in the forms of other tools to a form that a dialect reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from worker.bodies import JsonPath, ScannedBody, SpooledText, parse_text_at
from worker.dialects.bucket_fields import RUNPOD_NAMES, bucket_target
from worker.errors import Detail, InvalidField
from worker.workflow.editor import is_ui
from worker.workflow.exports import DEEPEST, FILE_KEYS, api_nodes, is_api_file, is_node, is_workflow_file

WORKFLOWS = ("workflow", "workflow_json", "prompt")
OBJECTS = (
    *WORKFLOWS,
    *("input", "inputs", "images", "params", "modifications", "extra_data", "output", "webhook", "s3", "s3Config"),
)
"""Fields whose value is an object or a list. No-code tools send it as a string with JSON."""
OPTIONS = frozenset(
    {
        *("workflow", "prompt", "template", "params", "inputs", "output_format", "output", "webhook", "s3", "s3Config"),
        *("put_urls", "timeout_s", "deliver_models", "extra_data"),
    }
)
"""Fields of a request beside its workflow. `id` is not among them, because a file of the editor has its own `id`."""
ENVELOPE = frozenset({"payload", "auth_data", "session_id"})
"""Fields of the envelope in which Vast's clients send a request."""
EXAMINED_CHARACTERS = 64
"""Characters of a string that are examined."""
OBJECT_OR_LIST = re.compile(r'[\ufeff\s]*(\{\s*["}]|\[)')
OBJECT = re.compile(r"""[\ufeff\s]*["{]""")
PATTERNS_BY_FIELD = {
    **dict.fromkeys(("", "workflow", "workflow_json", "input"), OBJECT),
    "prompt": re.compile(r'\s*\{\s*["}]'),
}
"""Pattern of the beginning of JSON in a string, by field. A prompt may be a sentence that begins with a brace."""
NATIVE_NAMES = {theirs: ours for ours, theirs in RUNPOD_NAMES.items()}
"""Native names of the fields of a bucket, by RunPod's names."""


async def normalize_body(body: ScannedBody) -> None:
    """Change the body in place to a form that its dialect reads. A body in such a form does not change.

    Raises InvalidJson for a string that should be JSON, and InvalidField for an ambiguous body.
    """
    await _parse_string(body, ())
    if isinstance(body.value, list) and len(body.value) == 1:  # n8n and similar tools send one item as a list
        body.replace_with_item(0)
        await _parse_string(body, ())
    await _unwrap_envelope(body)
    if not isinstance(body.value, dict) or not body.value:
        return
    workflow = body.value.get("workflow")
    has_workflow_field = isinstance(workflow, dict) and "class_type" not in workflow  # not a node with this id
    if not has_workflow_field and is_workflow_file(body.value):
        _wrap_file(body, ())
        return
    for key in _string_fields(body.value):
        await _parse_string(body, (key,))
    input_field = body.value.get("input")
    if isinstance(input_field, dict) and "class_type" not in input_field:  # not a node with this id
        _check_one_workflow(body.value, input_field)
        if is_workflow_file(input_field):
            _wrap_file(body, ("input",))
        for key in _string_fields(body.value["input"]):
            await _parse_string(body, ("input", key))
        _rename_input_prompt(body)
    else:
        _rename_foreign_fields(body)
    _drop_file_keys(body)


def handler_call_in(body: ScannedBody) -> tuple[str, ScannedBody] | None:
    """Return the name and the arguments in `{"input": {"handler": NAME, "arguments": {...}}}`, None for other bodies.

    This is the form of a call on platforms that pass on nothing but `input`. The locations of the long strings in
    `body` become relative to the arguments, so that `body` cannot be used any more. Raises InvalidField for a handler
    that is no name.
    """
    input_field = body.value.get("input") if isinstance(body.value, Mapping) else None
    if not isinstance(input_field, Mapping) or not input_field.keys().isdisjoint(("workflow", "class_type")):
        return None
    name = input_field.get("handler")
    if name is None:
        return None
    if not isinstance(name, str):
        raise InvalidField('field \'input.handler\' must be a name: {"handler": "NAME", "arguments": {}}')
    if input_field.get("arguments") is None:
        return name, ScannedBody({}, [], body.limits, body.folder)
    return name, body.sub_body("input").sub_body("arguments")


async def _unwrap_envelope(body: ScannedBody) -> None:
    """Replace the envelope of Vast's clients by the request in it.

    The signature in the envelope is not checked here. The caller is authenticated by the headers of the request.
    """
    if isinstance(body.value, dict) and "payload" in body.value and ENVELOPE.issuperset(body.value):
        await _parse_string(body, ("payload",))
        if isinstance(body.value["payload"], dict):
            body.replace_with_item("payload")


def _string_fields(value: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields for an object or a list whose value is a string."""
    return [key for key in OBJECTS if isinstance(value.get(key), str | SpooledText)]


async def _parse_string(body: ScannedBody, location: JsonPath) -> None:
    """Replace a string that begins like JSON by its JSON value. Repeat this if the value is such a string again."""
    field = str(location[-1]) if location else ""
    pattern = PATTERNS_BY_FIELD.get(field, OBJECT_OR_LIST)
    for _ in range(DEEPEST):
        value = body.value
        for key in location:
            value = value[key]
        if not isinstance(value, str | SpooledText):
            return
        if isinstance(value, SpooledText):
            head = await value.beginning(EXAMINED_CHARACTERS)
        else:
            head = value[:EXAMINED_CHARACTERS]
        if not pattern.match(head):
            return
        await parse_text_at(body, location, value)


def _wrap_file(body: ScannedBody, location: JsonPath) -> None:
    """Move a workflow file that is the whole body, or the whole `input`, under the key `workflow`.

    Raises InvalidField if fields of a request are among those of the file.
    """
    value = body.value["input"] if location else body.value
    # A node of an API file may have the id "output", and a field without a value has no effect.
    options = sorted(key for key in OPTIONS & value.keys() if value[key] and not is_node(value[key]))
    if options:
        field = ".".join((*map(str, location), "workflow"))
        remedy = f'put the workflow under {field!r}: {{"workflow": {{...}}, "{options[0]}": ...}}'
        message = f"{', '.join(map(repr, options))} is among the keys of a workflow: {remedy}"
        raise InvalidField(message, [Detail(message, input=options[0], suggestion=remedy)])
    if not location:
        body.nest_under("workflow")
    else:
        _nest_field(body, "input", "workflow")
    _drop_file_keys(body)


def _check_one_workflow(value: Mapping[str, Any], input_field: Mapping[str, Any]) -> None:
    """Raise InvalidField if there is a workflow beside a non-empty `input`."""
    for name in WORKFLOWS:
        if isinstance(value.get(name), dict) and value[name] and input_field:
            message = f"{name!r} is beside 'input', and only one of the two can run: leave one of them out"
            raise InvalidField(message, [Detail(message, input=name, suggestion="leave one of them out")])


def _nest_field(body: ScannedBody, outer: str, key: str) -> None:
    """Replace the value of the field `outer` by an object that has this value under `key`."""
    for text in body.spooled:
        if text.location[:1] == (outer,):
            text.location = (outer, key, *text.location[1:])
    body.value[outer] = {key: body.value[outer]}


def _rename_input_prompt(body: ScannedBody) -> None:
    """Rename `input.prompt`, which is ComfyUI's name, to `input.workflow`.

    If `input.workflow` is a file of the editor, it becomes `{"prompt": ..., "workflow": ...}` with both of them.
    """
    input_field = body.value["input"]
    if not isinstance(input_field, dict) or not is_api_file(input_field.get("prompt")):
        return
    if "workflow" in input_field:
        if is_ui(input_field["workflow"]):
            for text in body.spooled:
                if text.location[:1] == ("input",) and text.location[1:2] in (("prompt",), ("workflow",)):
                    text.location = ("input", "workflow", *text.location[1:])
            input_field["workflow"] = {"prompt": input_field.pop("prompt"), "workflow": input_field["workflow"]}
    elif "workflow_json" not in input_field:
        body.rename(("input", "prompt"), ("input", "workflow"))


def _rename_foreign_fields(body: ScannedBody) -> None:
    """Convert RunPod's `webhook` and `s3Config`, and the `output` of the editor's `graphToPrompt`, to native fields.

    Raises InvalidField for an incomplete bucket.
    """
    value = body.value
    if isinstance(value.get("webhook"), str):
        value["webhook"] = {"url": value["webhook"]} if value["webhook"] else None
    bucket = value.get("s3Config")
    if bucket is None or bucket == {}:
        value.pop("s3Config", None)
    elif isinstance(bucket, dict) and not value.get("s3"):
        del value["s3Config"]
        value["s3"] = {NATIVE_NAMES.get(name, name): item for name, item in bucket.items() if item}
        bucket_target(value["s3"], RUNPOD_NAMES, "s3Config")  # raises an error with the client's field names
    if "output" in value and "prompt" not in value and is_api_file(value["output"]):
        body.rename(("output",), ("prompt",))


def _drop_file_keys(body: ScannedBody) -> None:
    """Remove all keys except the nodes from API files, in each field that can hold a workflow."""
    input_field = body.value.get("input")
    containers = [body.value, input_field] if isinstance(input_field, dict) else [body.value]
    for container in containers:
        for key in WORKFLOWS:
            workflow = container.get(key)
            if isinstance(workflow, dict) and not FILE_KEYS.isdisjoint(workflow) and is_api_file(workflow):
                container[key] = api_nodes(workflow)
                body.drop_detached_texts()
