"""Prompts in the form of /api/jobs: one flat object for each pending, running or finished prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.simulators.comfyui.execution.history import FinishedPrompt, PromptOutcome
from worker.simulators.comfyui.execution.queue import QueuedPrompt

LONGEST_TEXT = 1024
NOT_MEDIA = frozenset({"animated"})
"""Keys of `ui` outputs that never contain files."""


class JobStatus(StrEnum):
    """Statuses of a job in /api/jobs."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NoWorkflowId(Exception):
    """`extra_pnginfo` is not an object, so that a real ComfyUI raises when it reads the workflow id."""


@dataclass(frozen=True, slots=True)
class EmbeddedJob:
    """One prompt. `outcome` is None until it has finished."""

    item: QueuedPrompt
    status: JobStatus
    outcome: PromptOutcome | None = None

    def summary(self) -> dict[str, object]:
        """Return the entry of GET /api/jobs, without the fields that are unknown. Raises `NoWorkflowId`."""
        item = self.item
        fields: dict[str, object] = {
            "id": item.prompt_id,
            "status": self.status,
            "priority": item.number,
            "create_time": item.extra_data.get("create_time"),
            "execution_start_time": self.started,
            "execution_end_time": self.ended,
            "execution_error": self._event_data("execution_error"),
        }
        if self.outcome is None:
            fields |= {"outputs_count": 0, "previewable_outputs_count": 0}
        else:
            fields |= _output_fields(self.outcome)
        fields["workflow_id"] = self.workflow_id
        return {key: value for key, value in fields.items() if value is not None}

    def detail(self) -> dict[str, object]:
        """Return the response of GET /api/jobs/{id}: the summary, and the outputs and workflow of a finished prompt."""
        if self.outcome is None:
            return self.summary()
        return {
            **self.summary(),
            "outputs": self.outcome.outputs,
            "execution_status": FinishedPrompt(self.item, self.outcome).as_json()["status"],
            "workflow": {"prompt": self.item.prompt, "extra_data": self.item.extra_data},
        }

    @property
    def workflow_id(self) -> object:
        """The value of `extra_data.extra_pnginfo.workflow.id`, or None. Raises `NoWorkflowId`."""
        if "extra_pnginfo" not in self.item.extra_data:
            return None
        png_info = self.item.extra_data["extra_pnginfo"]
        if not isinstance(png_info, dict):
            raise NoWorkflowId
        workflow = png_info.get("workflow")
        return workflow.get("id") if isinstance(workflow, dict) else None

    @property
    def started(self) -> object:
        """The time of the start in milliseconds since 1970, or None."""
        start = self._event_data("execution_start")
        return None if start is None else start["timestamp"]

    @property
    def ended(self) -> object:
        """The time of the end in milliseconds since 1970, or None."""
        for event in ("execution_success", "execution_error", "execution_interrupted"):
            end = self._event_data(event)
            if end is not None:
                return end["timestamp"]
        return None

    def _event_data(self, event: str) -> Mapping[str, object] | None:
        """Return the data of the first event with this name, or None."""
        messages = [] if self.outcome is None else self.outcome.messages
        return next((data for name, data in messages if name == event), None)


def finished_job(entry: FinishedPrompt) -> EmbeddedJob:
    """Return the job of a history entry. An interrupted prompt counts as cancelled."""
    events = {event for event, _ in entry.outcome.messages}
    if entry.outcome.completed:
        status = JobStatus.COMPLETED
    else:
        status = JobStatus.CANCELLED if "execution_interrupted" in events else JobStatus.FAILED
    return EmbeddedJob(entry.item, status, entry.outcome)


def sorted_jobs(jobs: Iterable[EmbeddedJob], sort_by: str, *, descending: bool) -> list[EmbeddedJob]:
    """Return the jobs sorted by `created_at` or `execution_duration`. A job without a duration counts as 0."""
    key: Callable[[EmbeddedJob], float] = _created if sort_by == "created_at" else _duration
    return sorted(jobs, key=key, reverse=descending)


def _created(job: EmbeddedJob) -> float:
    """Return the creation time in milliseconds since 1970, or 0 when it is unknown."""
    return _number(job.item.extra_data.get("create_time"))


def _duration(job: EmbeddedJob) -> float:
    """Return the milliseconds from start to end, or 0 for a job that has not ended."""
    return max(0.0, _number(job.ended) - _number(job.started)) if job.ended is not None else 0.0


def _number(value: object) -> float:
    """Return the value if it is a number, or 0."""
    return value if isinstance(value, int | float) else 0.0


def _output_fields(outcome: PromptOutcome) -> dict[str, object]:
    """Return the number of files in the outputs, and as `preview_output` the one that represents the job.

    The first saved image, video, audio or 3D file represents it. Without one it is the first preview, else another
    saved file, else the first text.
    """
    files = list(_output_files(outcome))
    saved = [file for file in files if file.get("type") == "output"]
    previews = [file for file in files if file not in saved]
    saved_media = [file for file in saved if file["mediaType"] != "files"]
    candidates = saved_media or previews or saved
    return {
        "outputs_count": len(files),
        "previewable_outputs_count": len(files),
        "preview_output": candidates[0] if candidates else _first_text(outcome),
    }


def _output_files(outcome: PromptOutcome) -> Iterator[dict[str, object]]:
    """Yield the files in the outputs, each with the id of its node and the output key that lists it."""
    for node_id, output in outcome.outputs.items():
        for kind, items in output.items():
            if kind in NOT_MEDIA or not isinstance(items, Sequence):
                continue
            for item in items:
                if isinstance(item, dict) and "filename" in item:
                    yield {**item, "nodeId": node_id, "mediaType": kind}


def _first_text(outcome: PromptOutcome) -> dict[str, object] | None:
    """Return the first text output, cut to `LONGEST_TEXT` characters, or None without a text."""
    for node_id, output in outcome.outputs.items():
        texts = output.get("text")
        if isinstance(texts, list) and texts:
            text = str(texts[0])
            mark = {"truncated": True} if len(text) > LONGEST_TEXT else {}
            return {"content": text[:LONGEST_TEXT], "nodeId": node_id, "mediaType": "text", **mark}
    return None
