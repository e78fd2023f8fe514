"""Entries of ComfyUI's history. Pure."""

from __future__ import annotations

from typing import Any

from worker.api.comfy.client_prompts import ClientPrompt
from worker.api.comfy.frames import Json, PromptFrames, error_fields
from worker.errors import JobCancelled, RemovedByOperator
from worker.job import Job

Messages = list[tuple[str, Json]]


def entry_of(prompt: ClientPrompt) -> Json:
    """Return the entry of a prompt that has ended, from what its client was shown.

    For a job of an earlier process of the worker, the entry is made from the result of the job.
    """
    frames = prompt.frames or _restored(prompt.job)
    return {
        "prompt": prompt.queue_item,
        "outputs": frames.outputs,
        "status": _status(prompt.job, frames.messages),
        "meta": frames.meta,
    }


def _status(job: Job, messages: Messages) -> dict[str, Any]:
    """Return the status of an entry."""
    succeeded = job.error is None
    return {"status_str": "success" if succeeded else "error", "completed": succeeded, "messages": messages}


def _restored(job: Job) -> PromptFrames:
    """Return what the client of an ended job would have been shown."""
    frames = PromptFrames(job.id, job.request.prompt)
    start, end = int(job.created_at * 1000), int((job.created_at + job.elapsed_s) * 1000)
    frames.messages += [
        ("execution_start", {"prompt_id": job.id, "timestamp": start}),
        ("execution_cached", {"nodes": [], "prompt_id": job.id, "timestamp": start}),
        _end_message(job, end),
    ]
    for output in job.outputs:
        report = frames.outputs.setdefault(output.node_id, {})
        if output.text is not None:
            report.setdefault("text", []).append(output.text)
        else:
            file = {"filename": output.filename, "subfolder": output.subfolder, "type": output.folder}
            report.setdefault(output.reported_as, []).append(file)
    return frames


def _end_message(job: Job, timestamp: int) -> tuple[str, Json]:
    """Return the message about the end of a job."""
    data: Json = {"prompt_id": job.id, "timestamp": timestamp}
    if job.error is None:
        return "execution_success", data
    detail = next((detail for detail in job.error.details if detail.node_id), None)
    data |= {"node_id": detail.node_id if detail else "", "node_type": (detail.class_type if detail else "") or ""}
    data["executed"] = []
    if isinstance(job.error, JobCancelled | RemovedByOperator):
        return "execution_interrupted", data
    return "execution_error", data | error_fields(job.error) | {"current_inputs": {}, "current_outputs": []}
