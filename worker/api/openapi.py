"""The OpenAPI document, made from the request and response models and the docstrings of the handlers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from worker import __version__
from worker.api.request_body import API_KEY_HEADER
from worker.dialects import BY_NAME
from worker.dialects.base import ProblemFields

REF = "#/components/schemas/{model}"
REQUESTS = [dialect.request_model for dialect in BY_NAME.values()]
RESULTS = [dialect.result_model for dialect in BY_NAME.values() if dialect.result_model]
DETAILS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            name: {"type": ["string", "null"]}
            for name in (
                *("message", "node_id", "node_title", "class_type", "input", "suggestion"),
                *("expected", "comfyui_type"),
            )
        },
    },
}
ERROR = {
    "type": "object",
    "description": "Native shape; the other dialects carry the same object in theirs.",
    "properties": {
        "status": {"const": "error"},
        "id": {"type": ["string", "null"]},
        "error": {
            "type": "object",
            "required": ["code", "message", "fault", "retryable", "retryable_elsewhere", "details"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "fault": {"enum": ["client", "worker", "job"]},
                "retryable": {"type": "boolean"},
                "retryable_elsewhere": {"type": "boolean"},
                "details": DETAILS,
            },
        },
    },
}
PENDING = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("status", "state", "id", "token", "url")},
        "position": {"type": "integer", "description": "how many jobs run before this one"},
        "node": {
            "type": ["object", "null"],
            "description": "the node that runs",
            "properties": {name: {"type": "string"} for name in ("node_id", "class_type", "title")},
        },
        "step": {
            "type": ["object", "null"],
            "description": "steps of this node that are done, and how many it has",
            "properties": {name: {"type": "number"} for name in ("value", "max")},
        },
    },
}
OBJECTS = {"type": "array", "items": {"type": "object"}}
REPAIRS = {**OBJECTS, "description": "what runs in another form than it was sent, where there is anything"}
SEEDS = {**OBJECTS, "description": "inputs that get a fresh seed when a job runs, where there are any"}
PROBLEM = ProblemFields.model_json_schema()
REPORT = {
    "type": "object",
    "properties": {
        "valid": {"type": "boolean"},
        "problems": {"type": "array", "items": PROBLEM},
        "doubtful": {"type": "array", "items": PROBLEM, "description": "only ComfyUI can be sure of these"},
        "models": {"type": "array", "items": {"type": "object"}, "description": "the files that it needs"},
        "nodes": {"type": "integer", "description": "in the prompt that would run"},
        "workload": {"type": "number", "description": "100 is the benchmark workflow"},
        "comfyui": {"type": "object", "description": "status and error types that ComfyUI itself would answer"},
        "repairs": REPAIRS,
        "warnings": DETAILS,
        "seeds": SEEDS,
    },
}
VALIDATE = {
    "type": "object",
    "description": "Or any body that `POST /generate` takes.",
    "required": ["workflow"],
    "properties": {"workflow": {"type": "object"}},
}
CONVERTIBLE = {
    "application/json": {"schema": {"type": "object", "description": "what the editor saves, also wrapped"}},
    **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/webp", "video/mp4")},
}
CONVERTED = {
    "type": "object",
    "required": ["prompt", "warnings", "left_out"],
    "properties": {
        "prompt": {"type": "object", "description": "API format: node id -> class_type, inputs, _meta"},
        "warnings": DETAILS,
        "left_out": {**DETAILS, "description": "muted and bypassed nodes"},
        "repairs": {**REPAIRS, "description": "what a job would change in the prompt, where there is anything"},
        "seeds": SEEDS,
    },
}
API_KEY = {
    "name": API_KEY_HEADER,
    "in": "header",
    "description": "Your comfy.org key, for partner nodes, where the body has none.",
    "schema": {"type": "string"},
}
METRICS = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")}
FILE_TYPES = ("image/*", "video/*", "audio/*", "model/*", "application/octet-stream")
FILES = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILE_TYPES}
FILE_HEADERS = {
    "X-Job-Id": "the job, where the answer is a file",
    "X-Job-Token": "opens the JSON answer and the other files",
    "X-Job-Outputs": "number of outputs",
    "X-Job-Problems": "number of problems, where there are any; the JSON answer has them",
    "X-Job-Repairs": "number of repairs, where there are any; the JSON answer has them",
    "X-Job-Warnings": "number of warnings, where there are any; the JSON answer has them",
    "X-Output-Index": "index of the output that was sent",
    "Server-Timing": "milliseconds of each stage and the total",
}
FILE_INDEX = {
    "name": "output",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Index of the output that is sent where `Accept` prefers files; else the first that it accepts.",
}
STRICT = {
    "name": "strict",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "Repair nothing, and draw no seed.",
}
ERRORS = {
    "400": "not understood",
    "404": "no such job, or not yours",
    "409": "the id belongs to another request",
    "413": "the body is too large",
    "422": "the job can't or could not be done; do not send it again as it is",
    "429": "full: come back after Retry-After",
    "499": "cancelled",
    "503": "this worker can't now, another may",
}


def document(routes: Iterable[web.RouteDef]) -> dict[str, Any]:
    """Return the description of these routes."""
    models = [(model, "validation") for model in REQUESTS] + [(model, "serialization") for model in RESULTS]
    _, schemas = models_json_schema(models, ref_template=REF)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        text = (route.handler.__doc__ or "").strip()
        operation = _operation(route.path, text.partition(": ")[2] or text)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "comfy-worker", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**schemas["$defs"], "Error": ERROR, "Pending": PENDING, "Report": REPORT},
            "securitySchemes": {
                "job": {"type": "http", "scheme": "bearer", "description": "the job's token"},
                "metrics": {"type": "http", "scheme": "bearer", "description": "WORKER_METRICS_TOKEN"},
            },
        },
    }


def _operation(path: str, summary: str) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "responses": _responses(path)}
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if "id" in names:
        operation["security"] = [{"job": []}]
    if path == "/metrics":
        operation["security"] = [{"metrics": []}, {}]
    if path == "/convert":
        operation["requestBody"] = {"required": True, "content": CONVERTIBLE}
        operation["responses"]["200"] = {
            "description": "the prompt",
            "content": {"application/json": {"schema": CONVERTED}},
        }
    if path.startswith("/generate"):
        operation["requestBody"] = _request(_one_of(REQUESTS))
        operation["parameters"] = [STRICT, API_KEY, *([FILE_INDEX] if path == "/generate/sync" else [])]
    elif path == "/validate":
        operation["requestBody"] = _request(VALIDATE)
    if path in ("/convert", "/validate"):
        operation["parameters"] = [STRICT]
    return operation


def _request(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _one_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": REF.format(model=model.__name__)} for model in models]}


def _responses(path: str) -> dict[str, Any]:
    if path == "/validate":
        return {"200": _body("what was found", "Report"), "default": _body("an error", "Error")}
    if path == "/metrics":
        return {"200": {"description": "metrics", "content": METRICS}, "default": _body("an error", "Error")}
    if path not in {"/generate", "/generate/sync", "/generate/stream", "/jobs/{id}", "/result/{id}"}:
        more = {"202": {"description": "a node of the job goes on"}} if path == "/cancel/{id}" else {}
        return {"200": {"description": "OK"}, **more, "default": _body("an error", "Error")}
    result: dict[str, Any] = {
        "description": "the result",
        "content": {"application/json": {"schema": _one_of(RESULTS)}},
    }
    good = {"200": result, "202": _body("accepted, still running or still stopping", "Pending")}
    if path == "/generate/sync":
        result["content"] |= FILES
        result["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in FILE_HEADERS.items()
        }
        good["406"] = _body("no output is of an accepted type", "Error")
    if path == "/generate":
        del good["200"]
    if path == "/generate/stream":
        good = {"200": {"description": "events: accepted, state, node, step, preview, output, result"}}
    return good | {status: _body(text, "Error") for status, text in ERRORS.items()}


def _body(text: str, model: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": {"$ref": REF.format(model=model)}}}}
