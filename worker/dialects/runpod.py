"""The shape of RunPod's worker-comfyui, so that its clients need no change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from worker.bodies import Content
from worker.delivery_options import Webhook
from worker.dialects.base import (
    Body,
    Dialect,
    JobResponse,
    ParsedRequest,
    changes_of,
    extra_of,
    parse_model,
    problems_of,
    workflow_of,
)
from worker.dialects.bucket_fields import RUNPOD_NAMES, bucket_target
from worker.dialects.delivery_fields import RunpodEnvelope
from worker.dialects.extra_fields import KEY_DESCRIPTION, ExtraDataFields
from worker.dialects.field_names import RUNPOD_FIELD_NAMES, translate_field_names
from worker.errors import Detail, InvalidField, WorkerError
from worker.inputs import read_inputs
from worker.inputs.earlier_output import InputContent
from worker.job import Job, JobRequest, JobState, Output, OutputMode, sorted_by_node
from worker.workflow.templates.template import Library

BEFORE_RUN = (JobState.QUEUED, JobState.PREPARING, JobState.WAITING)
RUN = (JobState.GENERATING, JobState.DELIVERING)


class RunpodImage(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(description="As the workflow has it, with its folders: `face.png`, `frames/0001.png`.")
    subfolder: str = Field("", description="Not in worker-comfyui: the folder of the name.")
    image: InputContent = Field(description="base64, a data URI or a URL")

    @property
    def path(self) -> str:
        return f"{self.subfolder.strip('/')}/{self.name}" if self.subfolder.strip("/") else self.name


class RunpodInput(RunpodEnvelope):
    """RunPod's worker sees only this, so that some clients put `webhook` and `s3Config` into it."""

    workflow: dict[str, Any] = Field(description="In ComfyUI's API format, or as its editor saves it.")
    images: list[RunpodImage] | None = None
    deliver_models: bool = Field(False, description="Not in worker-comfyui: the models that nodes save, too.")
    strict: bool = Field(False, description="Not in worker-comfyui: repair nothing, draw no seed.")
    keep_seeds: bool = Field(False, description="Not in worker-comfyui: run the seeds that were sent or saved.")
    comfy_org_api_key: SecretStr | None = Field(None, description=KEY_DESCRIPTION)
    extra_data: ExtraDataFields | None = Field(None, description="Not in worker-comfyui.")


class RunpodRequest(RunpodEnvelope):
    """`{"input": {...}}`, and beside it what RunPod's API takes. Unknown fields are ignored."""

    input: RunpodInput


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    whole = parse_model(RunpodRequest, body)
    request, bucket = whole.input, whole.s3Config or whole.input.s3Config
    place = "s3Config" if whole.s3Config else "input.s3Config"
    target = bucket_target(bucket.fields(), RUNPOD_NAMES, place) if bucket else None
    files, urls = read_inputs(_by_path(request.images or ()))
    job = JobRequest(
        prompt=workflow_of(request.workflow),
        urls=urls,
        output_mode=OutputMode.URL if target else OutputMode.AUTO,
        target=target,
        own_target=target is not None,
        webhook=whole.called() or request.called(),
        deliver_models=request.deliver_models,
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        extra=extra_of(request.workflow, request.extra_data, request.comfy_org_api_key),
    )
    return ParsedRequest(job, files)


def _by_path(images: Sequence[RunpodImage]) -> dict[str, Content]:
    """Return what the images hold by their names. Raises InvalidField where two have one name and differ."""
    found: dict[str, Content] = {}
    for number, image in enumerate(images):
        if image.path in found and found[image.path] != image.image:
            message = f"two images are called {image.path!r}: only one of them could be used"
            cure = "rename one of them, or put them into different folders: `a/face.png`"
            raise InvalidField(f"{message}; {cure}", [Detail(message, input=f"input.images.{number}", suggestion=cure)])
        found[image.path] = image.image
    return found


def completed(answer: JobResponse) -> Body:
    """Every file is under `images`, videos and sounds too: the rival drops them, its users ask for them.

    Texts have a key of their own, because clients decode whatever is under `images`.
    """
    outputs = sorted_by_node(answer.job.outputs)
    images = [_image(answer, output) for output in outputs if output.text is None]
    texts = [{"node_id": output.node_id, "text": output.text} for output in outputs if output.text is not None]
    found: Body = {"images": images} if images else {"images": [], "status": "success_no_images"}
    found |= {"texts": texts} if texts else {}
    problems = translate_field_names(problems_of(answer.job), RUNPOD_FIELD_NAMES)
    return {**found, **answer.random_integers, **problems, **changes_of(answer.job)}


def _image(answer: JobResponse, output: Output) -> Body:
    """`s3_url` is what the rival calls it where the operator has a bucket."""
    data = answer.data.get(output.index)
    found = {"type": "s3_url", "data": answer.url(output)} if data is None else {"type": "base64", "data": data}
    place = {"subfolder": output.subfolder} if output.subfolder else {}
    return {"filename": output.filename, **place, **found}


def pending(job: Job, url: str, progress: Body) -> Body:
    return {"status": "pending", **progress, "id": job.id, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    told = translate_field_names(error.as_dict(), RUNPOD_FIELD_NAMES)
    details = [detail["message"] for detail in told["details"]]
    body: Body = {"error": told["message"], "error_info": told, "id": job_id}
    return {**body, "details": details} if details else body


def event(job: Job, webhook: Webhook, answered: Body) -> Body:
    """Return the status object that RunPod posts to a webhook, with the answer as its `output`."""
    times = {
        "delayTime": round(sum(job.stages.get(state, 0.0) for state in BEFORE_RUN) * 1000),
        "executionTime": round(sum(job.stages.get(state, 0.0) for state in RUN) * 1000),
    }
    status = {JobState.COMPLETED: "COMPLETED", JobState.CANCELLED: "CANCELLED"}.get(job.state, "FAILED")
    error = {"error": answered["error"]} if "error" in answered else {}
    return {"id": job.id, "status": status, **times, **error, "output": answered}


DIALECT = Dialect(
    name="runpod",
    marks=("input", "workflow"),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    event=event,
    request_model=RunpodRequest,
    files=("input", "images"),
)
