"""The dialect of ComfyUI's own `POST /prompt`. Its route chooses it, because its keys are also those of other dialects.

A refusal has ComfyUI's form. Results are read from `/history`, so a job's own routes answer in the native dialect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from worker.dialects import native
from worker.dialects.base import Body, Dialect, ParsedRequest
from worker.errors import Detail, WorkerError
from worker.job import OutputMode
from worker.workflow.prompt import Prompt, ancestors
from worker.workflow.templates.template import Library

FIELDS = frozenset({"prompt", "workflow", "prompt_id", "extra_data", "partial_execution_targets"})
"""Fields that determine the job. ComfyUI ignores unknown fields, and so does this dialect."""
INVALID_OUTPUTS = "prompt_outputs_failed_validation"
NO_OUTPUTS = "prompt_no_outputs"
MISSING_CLASS = "missing_node_type"
OF_PROMPT = frozenset({NO_OUTPUTS, MISSING_CLASS})
"""ComfyUI's types of problems that it reports for the prompt and not for a node."""
MESSAGES = {
    "required_input_missing": "Required input is missing",
    "return_type_mismatch": "Return type mismatch between linked nodes",
    "value_not_in_list": "Value not in list",
    "bad_linked_input": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    "custom_validation_failed": "Custom validation failed for node",
    "dependency_cycle": "Dependency cycle detected",
    "exception_during_inner_validation": "Exception when validating inner node",
    "exception_during_validation": "Exception when validating node",
}
"""ComfyUI's messages by the type of the problem. Their details are the worker's own message."""


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    """Return the job that a body of `POST /prompt` describes. Raises ClientError or a subclass."""
    fields = {name: value for name, value in body.items() if name in FIELDS and value is not None}
    parsed = native.read(fields, library)
    client_id = body.get("client_id") or _client_id_beside(body.get("extra_data"))
    # The files stay on this worker, from where `/view` serves them.
    job = replace(parsed.job, output_mode=OutputMode.NONE, keeps_previews=True, client_id=str(client_id or ""))
    return replace(parsed, job=job)


def _client_id_beside(extra_data: object) -> object:
    """Return the client id in `extra_data`, where ComfyUI reads it if the body has none."""
    return extra_data.get("client_id") if isinstance(extra_data, Mapping) else None


def failed(job_id: str | None, error: WorkerError) -> Body:
    """Return the body of an error: that of a job in the native form, and that of a request in ComfyUI's."""
    return native.failed(job_id, error) if job_id else refusal(error, {}, ())


def refusal(error: WorkerError, prompt: Prompt, output_nodes: Collection[str]) -> Body:
    """Return the body with which ComfyUI refuses a prompt.

    `output_nodes` are the ids of the nodes whose results are the prompt's outputs.
    """
    of_prompt = next((detail for detail in error.details if detail.comfyui_type in OF_PROMPT), None)
    if of_prompt is not None:
        return {"error": _prompt_error(error, of_prompt), "node_errors": {}}
    node_errors: dict[str, Body] = {}
    for detail in error.details:
        if detail.node_id is not None:
            node = node_errors.setdefault(detail.node_id, _node_errors(detail, prompt, output_nodes))
            node["errors"].append(_node_error(detail, error.code))
    if not node_errors:
        return {"error": _error(error.code, error.message, "", _own_fields(error)), "node_errors": {}}
    own = [problem for node_id, node in node_errors.items() if node_id in output_nodes for problem in node["errors"]]
    details = "\n".join(f"{problem['message']}: {problem['details']}" for problem in own)
    message = "Prompt outputs failed validation"
    return {"error": _error(INVALID_OUTPUTS, message, details, _own_fields(error)), "node_errors": node_errors}


def _prompt_error(error: WorkerError, detail: Detail) -> Body:
    """Return the error about a whole prompt: a class that does not exist, or no output node."""
    if detail.comfyui_type == NO_OUTPUTS:
        return _error(NO_OUTPUTS, detail.message, "", _own_fields(error))
    node = {"node_id": detail.node_id, "class_type": detail.class_type, "node_title": detail.node_title}
    message = " ".join(filter(None, (detail.message, detail.suggestion)))
    return _error(MISSING_CLASS, message, f"Node ID '#{detail.node_id}'", node)


def _node_errors(detail: Detail, prompt: Prompt, output_nodes: Collection[str]) -> Body:
    """Return the object with the errors of a node, still without errors."""
    node_id = detail.node_id or ""
    dependents = [output for output in output_nodes if output == node_id or node_id in ancestors(prompt, output)]
    class_type = prompt[node_id]["class_type"] if node_id in prompt else detail.class_type
    return {"errors": [], "dependent_outputs": dependents, "class_type": class_type}


def _node_error(detail: Detail, code: str) -> Body:
    """Return one error of a node."""
    kind = detail.comfyui_type or code
    details = " ".join(filter(None, (detail.message, detail.suggestion)))
    return _error(kind, MESSAGES.get(kind, detail.message), details, {"input_name": detail.input})


def _error(kind: str, message: str, details: str, extra_info: Mapping[str, object]) -> Body:
    return {"type": kind, "message": message, "details": details, "extra_info": dict(extra_info)}


def _own_fields(error: WorkerError) -> Body:
    """Return the fields of the worker's own errors that a client may need to decide what to do."""
    return {"code": error.code, "fault": error.fault.value, "retryable": error.retryable}


DIALECT = Dialect(
    name="comfyui",
    identifying_keys=(),
    read=read,
    completed=native.completed,
    pending=native.pending,
    failed=failed,
    request_model=native.NATIVE_REQUEST,
)
