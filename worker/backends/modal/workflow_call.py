"""Calls of apps that were deployed before the method `request` existed, by their method `run_workflow`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from worker.backends.dialect import parse
from worker.backends.refusal import refused_by_platform
from worker.errors import BackendRefused, WorkerError, error_class

CURE = "deploy the present modal_app.py, which has the method `request`"


async def workflow_arguments(name: str, json: bytes) -> Mapping[str, Any]:
    """Return the arguments of `run_workflow` for a job in the native dialect. Raises BackendRefused for others."""
    try:
        body = await parse(json)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("workflow"), dict):
        raise _unsupported(name)
    return body


def error_status(value: object) -> int:
    """Return the HTTP status of what `run_workflow` returned: the worker's body, which has a code for an error."""
    error = value.get("error") if isinstance(value, Mapping) else None
    if not isinstance(error, Mapping):
        return 200
    kind: type[WorkerError] = error_class(str(error.get("code")))
    return kind.status


def _unsupported(name: str) -> BackendRefused:
    """Return the error for a job that only the method `request` can take."""
    message = f"the deployed app only takes workflows in the native dialect: {CURE}"
    return refused_by_platform(name, 422, "modal_refused", message)
