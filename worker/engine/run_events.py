"""Conversion of ComfyUI's messages about a run to events and to the progress of the job. Pure."""

from __future__ import annotations

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
from worker.events import EventsLost, NodesCached, NodeStarted, NodeStopped, PreviewReady, RunClocked, StepDone
from worker.events.job import JobEvent
from worker.job import JobProgress, JobRef
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
        case Executing(node=str(node)):
            event = NodeStarted(job, node, class_of(prompt, node), title(prompt, node))
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


def class_of(prompt: Prompt, node_id: str) -> str:
    """Return the class of a node, or an empty string for a node that ComfyUI added during the run."""
    return prompt[node_id]["class_type"] if node_id in prompt else ""
