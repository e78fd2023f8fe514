"""Schemas of bodies that have no model of their own: errors, states, events, lists, and RunPod's status object."""

from __future__ import annotations

from typing import Any

from worker.job import JobState

REF = "#/components/schemas/{model}"
RUNPOD_STATUSES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")
Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def ref(model: str) -> Schema:
    """Return a reference to the schema of this name."""
    return {"$ref": REF.format(model=model)}


def listed(items: Schema, text: str = "") -> Schema:
    """Return the schema of a list. `text` describes it."""
    return {"type": "array", "items": items, **({"description": text} if text else {})}


def fields(required: dict[str, Schema], optional: dict[str, Schema] | None = None, text: str = "") -> Schema:
    """Return the schema of an object with required and optional fields. `text` describes it."""
    schema = {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}
    return {**schema, "description": text} if text else schema


ETA: dict[str, Schema] = {
    "eta_s": {**NUMBER, "description": "Predicted seconds until ComfyUI has run the job, the median."},
    "eta_p90_s": {**NUMBER, "description": "The same, which nine of ten jobs keep to."},
}
HANDLE: dict[str, Schema] = {
    "id": STRING,
    "token": {**STRING, "description": "Token of the job, for its other routes."},
    "url": {**STRING, "description": "URL of the job: its result or its state."},
}
NODE: dict[str, Schema] = {"node_id": STRING, "class_type": STRING, "title": STRING}
STATE: Schema = {"enum": [state.value for state in JobState]}
DETAILS = listed(ref("Detail"))
REPAIRS = listed(ref("Repair"), "Changes of the workflow before the run, if there are any.")
SEEDS = listed(OBJECT, "Inputs that get a new seed in each job, if there are any.")
TEMPLATE: dict[str, Schema] = {
    "name": STRING,
    "title": STRING,
    "about": STRING,
    "parameters": listed(STRING, "Names of the parameters."),
    "packs": listed(STRING, "Node packs that the workflow needs."),
}
NUMBERS_OF_JOBS = fields(dict.fromkeys(("completed", "failed", "inProgress", "inQueue", "retried"), INTEGER))
NUMBERS_OF_WORKERS = fields(
    dict.fromkeys(("idle", "initializing", "ready", "running", "throttled", "unhealthy"), INTEGER)
)
CONVERTED = fields(
    {
        "prompt": {**OBJECT, "description": "API format: node id -> class_type, inputs, _meta."},
        "warnings": DETAILS,
        "left_out": {**DETAILS, "description": "Muted and bypassed nodes."},
    },
    {
        "repairs": {**REPAIRS, "description": "Changes that a job would make in the prompt, if there are any."},
        "seeds": SEEDS,
    },
)
ERROR_FIELDS = fields(
    {
        "code": STRING,
        "message": STRING,
        "fault": {"enum": ["client", "worker", "job"]},
        "retryable": BOOLEAN,
        "retryable_elsewhere": BOOLEAN,
        "details": DETAILS,
    }
)

SCHEMAS: dict[str, Schema] = {
    "Error": fields(
        {"status": {"const": "error"}, "error": ERROR_FIELDS},
        {"id": {**TEXT_OR_NULL, "description": "Id of the job that failed."}},
        "Error in the native dialect. Other dialects have the same object in their own form.",
    ),
    "Pending": fields(
        {"status": {"const": "pending"}, "state": STATE, **HANDLE},
        {
            "position": {**INTEGER, "description": "Number of jobs that run before this one."},
            "node": {
                "oneOf": [fields(NODE), {"type": "null"}],
                "description": "The running node.",
            },
            "step": {
                "oneOf": [fields({"value": NUMBER, "max": NUMBER}), {"type": "null"}],
                "description": "Finished steps of this node, and their total.",
            },
            **ETA,
            "repairs": REPAIRS,
            "warnings": DETAILS,
        },
        "A job that was accepted, or has not ended.",
    ),
    "Cancelled": fields(
        {"id": STRING, "cancelled": {**BOOLEAN, "description": "False if the job had already ended."}, "status": STATE},
        {"stopping": {**BOOLEAN, "description": "Whether a node of the job still occupies the engine."}},
    ),
    "Report": fields(
        {"valid": BOOLEAN, "problems": listed(ref("ProblemFields"))},
        {
            "doubtful": listed(ref("ProblemFields"), "Problems that only ComfyUI can decide."),
            "models": listed(OBJECT, "Model files that the workflow needs."),
            "nodes": {**INTEGER, "description": "Number of nodes in the prompt that would run."},
            "workload": {**NUMBER, "description": "Units: seconds on an RTX 4090."},
            "predicted_s": {"type": ["number", "null"], "description": "Seconds that the job would run now."},
            "comfyui": {**OBJECT, "description": "HTTP status and error types that ComfyUI itself would return."},
            "repairs": REPAIRS,
            "warnings": DETAILS,
            "seeds": SEEDS,
        },
    ),
    "TemplateEntry": fields(TEMPLATE),
    "TemplateList": fields({"templates": listed(ref("TemplateEntry"))}),
    "TemplateDescription": fields(
        {
            **TEMPLATE,
            "schema": {**OBJECT, "description": "JSON Schema of the parameters."},
            "outputs": listed(STRING, "Nodes that make outputs."),
            "models": listed(OBJECT, "Model files that the workflow needs."),
        }
    ),
    "AcceptedEvent": fields(HANDLE, ETA, "Data of the event `accepted`."),
    "StateEvent": fields({"state": STATE}, ETA, "Data of the event `state`."),
    "NodeEvent": fields(NODE, ETA, "Data of the event `node`."),
    "StepEvent": fields({"node_id": STRING, "value": NUMBER, "max": NUMBER}, ETA, "Data of the event `step`."),
    "PreviewEvent": fields(
        {"node_id": STRING, "mime": STRING, "data": {**STRING, "description": "The image as base64."}},
        text="Data of the event `preview`.",
    ),
    "RunpodStatus": fields(
        {"id": STRING, "status": {"enum": list(RUNPOD_STATUSES)}},
        {
            "output": {"description": "The result of the job, of worker-comfyui's form."},
            "error": {**STRING, "description": "Message of a job that failed."},
            "delayTime": {**NUMBER, "description": "Milliseconds before the run."},
            "executionTime": {**NUMBER, "description": "Milliseconds of the run."},
        },
        "RunPod's status object.",
    ),
    "RunpodStream": fields({"status": {"enum": list(RUNPOD_STATUSES)}, "stream": listed(OBJECT)}),
    "RunpodHealth": fields({"jobs": NUMBERS_OF_JOBS, "workers": NUMBERS_OF_WORKERS}),
    "RunpodPurge": fields({"removed": INTEGER, "status": STRING}),
}
"""Schemas by name. Those of the dialects are made from their models."""
