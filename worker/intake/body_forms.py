"""The forms in which other tools send a request, brought into a form that a dialect reads."""

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
"""Fields whose value is an object or a list, which no-code tools write as a text with JSON."""
OPTIONS = frozenset(
    {
        *("workflow", "prompt", "template", "params", "inputs", "output_format", "output", "webhook", "s3", "s3Config"),
        *("put_urls", "timeout_s", "deliver_models", "extra_data"),
    }
)
"""Fields that a request has beside its workflow. `id` is not one: the editor's file has its own."""
ENVELOPE = frozenset({"payload", "auth_data", "session_id"})
"""The fields of the envelope in which Vast's clients send a request."""
BEGINNING = 64
OBJECT_OR_LIST = re.compile(r'[\ufeff\s]*(\{\s*["}]|\[)')
OBJECT = re.compile(r"""[\ufeff\s]*["{]""")
BEGINNINGS = {
    **dict.fromkeys(("", "workflow", "workflow_json", "input"), OBJECT),
    "prompt": re.compile(r'\s*\{\s*["}]'),
}
"""How JSON begins in the text of a field; a prompt may be a sentence that begins with a brace."""
OUR_NAMES = {theirs: ours for ours, theirs in RUNPOD_NAMES.items()}
"""Of a bucket's fields, by RunPod's."""


async def normalize_body(body: ScannedBody) -> None:
    """Change the body in place to a form that its dialect reads; a body in such a form stays as it is.

    Raises InvalidJson for a text that should be JSON, and InvalidField for a body that could mean two things.
    """
    await _open(body, ())
    if isinstance(body.value, list) and len(body.value) == 1:  # as n8n and its like send one item
        body.replace_with_item(0)
        await _open(body, ())
    await _take_payload(body)
    if not isinstance(body.value, dict) or not body.value:
        return
    workflow = body.value.get("workflow")
    if (not isinstance(workflow, dict) or "class_type" in workflow) and is_workflow_file(body.value):
        _wrap_file(body, ())
        return
    for key in _fields(body.value):
        await _open(body, (key,))
    inside = body.value.get("input")
    if isinstance(inside, dict) and "class_type" not in inside:
        _check_one_workflow(body.value, inside)
        if is_workflow_file(inside):
            _wrap_file(body, ("input",))
        for key in _fields(body.value["input"]):
            await _open(body, ("input", key))
        _name_runpods_prompt(body)
    else:
        _rename_foreign_fields(body)
    _drop_file_keys(body)


async def _take_payload(body: ScannedBody) -> None:
    """What a client of Vast's posts to a worker's ingress, sent here: the request is under `payload`.

    The router's signature beside it says nothing here, where the caller is known by the request's own headers.
    """
    if isinstance(body.value, dict) and "payload" in body.value and ENVELOPE.issuperset(body.value):
        await _open(body, ("payload",))
        if isinstance(body.value["payload"], dict):
            body.replace_with_item("payload")


def _fields(value: Mapping[str, Any]) -> list[str]:
    return [key for key in OBJECTS if isinstance(value.get(key), str | SpooledText)]


async def _open(body: ScannedBody, location: JsonPath) -> None:
    """Read what stands at a place as JSON for as long as it is a text that begins like JSON."""
    begins = BEGINNINGS.get(str(location[-1]) if location else "", OBJECT_OR_LIST)
    for _ in range(DEEPEST):
        value = body.value
        for key in location:
            value = value[key]
        if not isinstance(value, str | SpooledText):
            return
        head = await value.beginning(BEGINNING) if isinstance(value, SpooledText) else value[:BEGINNING]
        if not begins.match(head):
            return
        await parse_text_at(body, location, value)


def _wrap_file(body: ScannedBody, location: JsonPath) -> None:
    """Move a workflow file that is the whole body, or the whole `input`, below `workflow`.

    Raises InvalidField where fields of a request stand among those of the file.
    """
    value = body.value["input"] if location else body.value
    options = sorted(key for key in OPTIONS & value.keys() if value[key] and not is_node(value[key]))
    if options:
        place = ".".join((*map(str, location), "workflow"))
        cure = f'put the workflow under {place!r}: {{"workflow": {{...}}, "{options[0]}": ...}}'
        message = f"{', '.join(map(repr, options))} stands among the keys of a workflow: {cure}"
        raise InvalidField(message, [Detail(message, input=options[0], suggestion=cure)])
    if not location:
        body.nest_under("workflow")
    else:
        _put_between(body, "input", "workflow")
    _drop_file_keys(body)


def _check_one_workflow(value: Mapping[str, Any], inside: Mapping[str, Any]) -> None:
    """Raise InvalidField where a workflow stands beside `input`, whose own one would run."""
    for name in WORKFLOWS:
        if isinstance(value.get(name), dict) and value[name] and inside:
            message = f"{name!r} stands beside 'input', and only one of the two can run: leave one of them out"
            raise InvalidField(message, [Detail(message, input=name, suggestion="leave one of them out")])


def _put_between(body: ScannedBody, outer: str, key: str) -> None:
    for text in body.spooled:
        if text.location[:1] == (outer,):
            text.location = (outer, key, *text.location[1:])
    body.value[outer] = {key: body.value[outer]}


def _name_runpods_prompt(body: ScannedBody) -> None:
    """`{"input": {"prompt": {...}}}`: the workflow under ComfyUI's name for it, maybe with the editor's file."""
    inside = body.value["input"]
    if not isinstance(inside, dict) or not is_api_file(inside.get("prompt")):
        return
    if "workflow" in inside:
        if is_ui(inside["workflow"]):
            for text in body.spooled:
                if text.location[:1] == ("input",) and text.location[1:2] in (("prompt",), ("workflow",)):
                    text.location = ("input", "workflow", *text.location[1:])
            inside["workflow"] = {"prompt": inside.pop("prompt"), "workflow": inside["workflow"]}
    elif "workflow_json" not in inside:
        body.rename(("input", "prompt"), ("input", "workflow"))


def _rename_foreign_fields(body: ScannedBody) -> None:
    """RunPod's `webhook` and `s3Config`, and what the editor's `graphToPrompt` returns, in our own fields."""
    value = body.value
    if isinstance(value.get("webhook"), str):
        value["webhook"] = {"url": value["webhook"]} if value["webhook"] else None
    if (bucket := value.get("s3Config")) is None or bucket == {}:
        value.pop("s3Config", None)
    elif isinstance(bucket, dict) and not value.get("s3"):
        del value["s3Config"]
        value["s3"] = {OUR_NAMES.get(name, name): item for name, item in bucket.items() if item}
        bucket_target(value["s3"], RUNPOD_NAMES, "s3Config")  # an error names what was sent
    if "output" in value and "prompt" not in value and is_api_file(value["output"]):
        body.rename(("output",), ("prompt",))


def _drop_file_keys(body: ScannedBody) -> None:
    """Leave only nodes in an API file, wherever a dialect has its workflow."""
    inside = body.value.get("input")
    for container in (body.value, inside if isinstance(inside, dict) else {}):
        for key in WORKFLOWS:
            workflow = container.get(key)
            if isinstance(workflow, dict) and not FILE_KEYS.isdisjoint(workflow) and is_api_file(workflow):
                container[key] = api_nodes(workflow)
                body.drop_detached_texts()
