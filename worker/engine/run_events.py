"""Conversion of ComfyUI's messages about a run to events and to the progress of the job. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from worker.engine.protocol.messages import (
    Executing,
    ExecutionCached,
    ExecutionError,
    ExecutionInterrupted,
    ExecutionStart,
    ExecutionSuccess,
    FramesLost,
    Preview,
    Progress,
    RunMessage,
)
from worker.events import (
    EventsLost,
    NodeExecuted,
    NodesCached,
    NodeStarted,
    NodeStopped,
    PreviewReady,
    RunClocked,
    StepDone,
)
from worker.events.job import JobEvent
from worker.job import JobProgress, JobRef
from worker.workflow.catalog.job_folders import response_without_job_folders
from worker.workflow.prompt import Prompt, title


def progress_of(prompt: Prompt, message: RunMessage) -> JobProgress | None:
    """Return the progress that a message reports, or None if it reports none."""
    match message:
        case Executing(node=str(node)):
            return JobProgress(node, class_of(prompt, node), title(prompt, node))
        case Progress(node=str(node), value=value, maximum=maximum):
            return JobProgress(node, class_of(prompt, node), title(prompt, node), value, maximum)
    return None


def event_of(job: JobRef, prompt: Prompt, message: RunMessage) -> JobEvent | None:
    """Return the event for a message, or None if observers do not need it."""
    event: JobEvent | None = None
    match message:
        case ExecutionCached(nodes=nodes) if nodes:
            event = NodesCached(job, nodes)
        case Executing(node=str(node), display_node=display_node):
            event = NodeStarted(job, node, class_of(prompt, node), title(prompt, node), display_node)
        case Progress(node=str(node), value=value, maximum=maximum):
            event = StepDone(job, node, value, maximum)
        case Preview(node=node, mime=mime, data=data):
            event = PreviewReady(job, node, mime, data)
        case ExecutionStart(at=at) | ExecutionSuccess(at=at) if at is not None:
            event = RunClocked(job, at)
        case ExecutionError() | ExecutionInterrupted():
            event = NodeStopped(job)
        case FramesLost():
            event = EventsLost(job)
    return event


def executed_event(job: JobRef, node_id: str, output: Mapping[str, Any], display_node: str | None) -> NodeExecuted:
    """Return the event for what a node has reported, without the names of folders of jobs.

    A report that is too deep for JSON is empty.
    """
    try:
        data = _json(response_without_job_folders(dict(output)))
    except RecursionError:
        data = b"{}"
    return NodeExecuted(job, node_id, data, display_node)


def _json(report: Mapping[str, Any]) -> bytes:
    """Return a report as JSON. Raises RecursionError."""
    try:
        return orjson.dumps(report)
    except orjson.JSONEncodeError:  # an integer of more than 64 bits, or more than 254 levels
        return json.dumps(report).encode()


def class_of(prompt: Prompt, node_id: str) -> str:
    """Return the class of a node, or an empty string for a node that ComfyUI added during the run."""
    return prompt[node_id]["class_type"] if node_id in prompt else ""
