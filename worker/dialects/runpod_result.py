"""Responses in the dialect of RunPod's worker-comfyui, and the status object of RunPod's API."""

from __future__ import annotations

from typing import Any

from worker.delivery_options import Webhook
from worker.dialects.base import Body, JobResponse, changes_of, problems_of
from worker.dialects.field_names import RUNPOD_FIELD_NAMES, translate_field_names
from worker.errors import (
    ConversionFailed,
    DeliveryFailed,
    DeliveryRefused,
    InvalidJson,
    JobTimeout,
    NodeFailed,
    OutOfMemory,
    OutputMissing,
    WorkerError,
)
from worker.job import Job, JobState, Output, sorted_by_node

STATES_BEFORE_RUN = (JobState.QUEUED, JobState.PREPARING, JobState.WAITING)
RUN_STATES = (JobState.GENERATING, JobState.DELIVERING)
NO_INPUT = "Please provide input"
INVALID_JSON = "Invalid JSON format in input"
NO_WORKFLOW = "Missing 'workflow' parameter"
WRONG_IMAGES = "'images' must be a list of objects with 'name' and 'image' keys"
PROCESSING_FAILED = "Job processing failed"
"""Messages of worker-comfyui, which clients may compare. What happened is in `details` and `error_info`."""
PROCESSING_ERRORS = (ConversionFailed, DeliveryFailed, DeliveryRefused, NodeFailed, OutOfMemory, OutputMissing)
"""Errors of a job that ran and delivered nothing."""
IMAGES, FILES = "images", "files"
FIELDS = {"image": IMAGES, "video": "videos", "audio": "audio"}
"""Fields of the response by the kind of an output. All others are under `files`."""


def completed(response: JobResponse) -> Body:
    """Return the response body of a job that succeeded.

    `images` has what worker-comfyui has there: the files that nodes report as images, which includes those of ComfyUI's
    node for videos. What worker-comfyui drops has fields of its own, which its clients ignore, because they decode
    everything under `images` as pictures.
    """
    outputs = sorted_by_node(response.job.outputs)
    fields: Body = {IMAGES: []}
    for output in outputs:
        if output.text is None:
            fields.setdefault(_field(output), []).append(_file(response, output))
    texts = [{"node_id": output.node_id, "text": output.text} for output in outputs if output.text is not None]
    fields |= {} if fields[IMAGES] else {"status": "success_no_images"}
    fields |= {"texts": texts} if texts else {}
    problems = translate_field_names(problems_of(response.job), RUNPOD_FIELD_NAMES)
    if problems:
        problems["errors"] = [problem["message"] for problem in problems["problems"]]
    return {**fields, **response.random_integers, **problems, **changes_of(response.job)}


def _field(output: Output) -> str:
    """Return the field of the response for a file."""
    return IMAGES if output.reported_as == IMAGES else FIELDS.get(output.kind, FILES)


def _file(response: JobResponse, output: Output) -> Body:
    """Return the object for one file. As in worker-comfyui, the type of every URL is `s3_url`."""
    data = response.data.get(output.index)
    content = {"type": "s3_url", "data": response.url(output)} if data is None else {"type": "base64", "data": data}
    folder = {"subfolder": output.subfolder} if output.subfolder else {}
    return {"filename": output.filename, **folder, **content}


def pending(job: Job, url: str, progress: Body) -> Body:
    """Return the body of a 202 response. `progress` has state, position, running node, step, and seconds to the end."""
    return {"status": "pending", **progress, "id": job.id, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    """Return the body of an error. RunPod's field `error` is a text, so the native object is in `error_info`."""
    error_info = translate_field_names(error.as_dict(), RUNPOD_FIELD_NAMES)
    details = [detail["message"] for detail in error_info["details"]]
    message = error_info["message"]
    text = _known_text(job_id, error) or message
    if text != message and message not in details:
        details.insert(0, message)
    body: Body = {"error": text, "error_info": error_info, "id": job_id}
    return {**body, "details": details} if details else body


def _known_text(job_id: str | None, error: WorkerError) -> str | None:
    """Return worker-comfyui's message for an error, or None if it has none."""
    if isinstance(error, InvalidJson):
        return INVALID_JSON
    if isinstance(error, PROCESSING_ERRORS) and job_id is not None:
        return PROCESSING_FAILED
    return next((text for text in (NO_INPUT, NO_WORKFLOW, WRONG_IMAGES) if error.message.startswith(text)), None)


def status_text(job: Job) -> str:
    """Return RunPod's word for the state of a job."""
    if isinstance(job.error, JobTimeout):
        return "TIMED_OUT"
    ends = {JobState.COMPLETED: "COMPLETED", JobState.CANCELLED: "CANCELLED"}
    if job.state.ended:
        return ends.get(job.state, "FAILED")
    return "IN_PROGRESS" if job.state in RUN_STATES else "IN_QUEUE"


def status_object(job: Job, output: Any, *, has_failed: bool = False) -> Body:  # noqa: ANN401 - JSON
    """Return RunPod's status object of a job that has ended.

    `output` is the body of its response. With `has_failed`, it is that of an error, whose text is beside the rest of
    the body, as RunPod stores what a worker returns.
    """
    times = {
        "delayTime": round(sum(job.stages.get(state, 0.0) for state in STATES_BEFORE_RUN) * 1000),
        "executionTime": round(sum(job.stages.get(state, 0.0) for state in RUN_STATES) * 1000),
    }
    text = status_text(job)
    if not has_failed:
        return {"id": job.id, "status": text, **times, "output": output}
    rest = {name: value for name, value in output.items() if name != "error"}
    text = "FAILED" if text == "COMPLETED" else text  # the result exists, and this response cannot contain it
    return {"id": job.id, "status": text, **times, "error": output["error"], "output": rest}


def event(job: Job, webhook: Webhook, response_body: Body) -> Body:
    """Return the status object that RunPod posts to a webhook, with the response body as its `output`."""
    return status_object(job, response_body, has_failed="error_info" in response_body)
