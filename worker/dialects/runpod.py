"""The dialect of RunPod's worker-comfyui, so that its clients work unchanged."""

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

STATES_BEFORE_RUN = (JobState.QUEUED, JobState.PREPARING, JobState.WAITING)
RUN_STATES = (JobState.GENERATING, JobState.DELIVERING)


class RunpodImage(BaseModel):
    """One input file."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(description="Name that the workflow uses, with folders: `face.png`, `frames/0001.png`.")
    subfolder: str = Field("", description="Folder of the name. Not in worker-comfyui.")
    image: InputContent = Field(description="Base64, data URI or URL.")

    @property
    def path(self) -> str:
        """Name with the folder, if there is one."""
        folder = self.subfolder.strip("/")
        return f"{folder}/{self.name}" if folder else self.name


class RunpodInput(RunpodEnvelope):
    """The object under `input`.

    Some clients put `webhook` and `s3Config` into it, because RunPod's worker sees nothing else.
    """

    workflow: dict[str, Any] = Field(description="The workflow in ComfyUI's API format, or as its editor saves it.")
    images: list[RunpodImage] | None = None
    deliver_models: bool = Field(
        False, description="Whether models that nodes save are delivered too. Not in worker-comfyui."
    )
    strict: bool = Field(False, description="Whether the workflow is run exactly as sent. Not in worker-comfyui.")
    keep_seeds: bool = Field(False, description="Whether seeds marked as `randomize` are kept. Not in worker-comfyui.")
    comfy_org_api_key: SecretStr | None = Field(None, description=KEY_DESCRIPTION)
    extra_data: ExtraDataFields | None = Field(None, description="Not in worker-comfyui.")


class RunpodRequest(RunpodEnvelope):
    """`{"input": {...}}`, with fields of RunPod's API beside it. Unknown fields are ignored."""

    input: RunpodInput


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    """Return the job that a RunPod body describes. Raises ClientError or a subclass."""
    body_model = parse_model(RunpodRequest, body)
    request = body_model.input
    bucket = body_model.s3Config or request.s3Config
    location = "s3Config" if body_model.s3Config else "input.s3Config"
    target = bucket_target(bucket.fields(), RUNPOD_NAMES, location) if bucket else None
    files, urls = read_inputs(_contents_by_path(request.images or ()))
    job = JobRequest(
        prompt=workflow_of(request.workflow),
        urls=urls,
        output_mode=OutputMode.URL if target else OutputMode.AUTO,
        target=target,
        own_target=target is not None,
        webhook=body_model.to_webhook() or request.to_webhook(),
        deliver_models=request.deliver_models,
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        extra=extra_of(request.workflow, request.extra_data, request.comfy_org_api_key),
    )
    return ParsedRequest(job, files)


def _contents_by_path(images: Sequence[RunpodImage]) -> dict[str, Content]:
    """Return the contents of the images by path. Raises InvalidField if two different images have the same path."""
    contents: dict[str, Content] = {}
    for number, image in enumerate(images):
        if image.path in contents and contents[image.path] != image.image:
            message = f"two images are called {image.path!r}: only one of them could be used"
            remedy = "rename one of them, or put them into different folders: `a/face.png`"
            raise InvalidField(
                f"{message}; {remedy}", [Detail(message, input=f"input.images.{number}", suggestion=remedy)]
            )
        contents[image.path] = image.image
    return contents


def completed(response: JobResponse) -> Body:
    """Return the response body of a job that succeeded.

    All files are under `images`, including videos and audio, which worker-comfyui drops. Texts have their own key,
    because clients decode everything under `images`.
    """
    outputs = sorted_by_node(response.job.outputs)
    images = [_image(response, output) for output in outputs if output.text is None]
    texts = [{"node_id": output.node_id, "text": output.text} for output in outputs if output.text is not None]
    body: Body = {"images": images} if images else {"images": [], "status": "success_no_images"}
    body |= {"texts": texts} if texts else {}
    problems = translate_field_names(problems_of(response.job), RUNPOD_FIELD_NAMES)
    return {**body, **response.random_integers, **problems, **changes_of(response.job)}


def _image(response: JobResponse, output: Output) -> Body:
    """Return the fields of one file. As in worker-comfyui, the type of every URL is `s3_url`."""
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
    body: Body = {"error": error_info["message"], "error_info": error_info, "id": job_id}
    return {**body, "details": details} if details else body


def event(job: Job, webhook: Webhook, response_body: Body) -> Body:
    """Return the status object that RunPod posts to a webhook, with the response body as its `output`."""
    times = {
        "delayTime": round(sum(job.stages.get(state, 0.0) for state in STATES_BEFORE_RUN) * 1000),
        "executionTime": round(sum(job.stages.get(state, 0.0) for state in RUN_STATES) * 1000),
    }
    status = {JobState.COMPLETED: "COMPLETED", JobState.CANCELLED: "CANCELLED"}.get(job.state, "FAILED")
    error = {"error": response_body["error"]} if "error" in response_body else {}
    return {"id": job.id, "status": status, **times, **error, "output": response_body}


DIALECT = Dialect(
    name="runpod",
    identifying_keys=("input", "workflow"),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    event=event,
    request_model=RunpodRequest,
    files=("input", "images"),
)
