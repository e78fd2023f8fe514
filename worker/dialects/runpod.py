"""The shape of RunPod's worker-comfyui, so that its clients need no change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from worker.delivery_options import NO_SECRET
from worker.dialects.base import (
    Answer,
    Body,
    Dialect,
    ParsedRequest,
    changes_of,
    extra_of,
    problems_of,
    typed,
    workflow_of,
)
from worker.dialects.extra_fields import KEY_DESCRIPTION, ExtraDataFields
from worker.errors import WorkerError
from worker.inputs import read_inputs
from worker.inputs.earlier_output import InputContent
from worker.job import Job, JobRequest, Output, OutputMode, in_order
from worker.storage.bucket import S3Target
from worker.storage.s3 import S3Fields
from worker.workflow.templates.template import Library


class RunpodImage(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(description="As the workflow has it, with its folders: `face.png`, `frames/0001.png`.")
    subfolder: str = Field("", description="Not in worker-comfyui: the folder of the name.")
    image: InputContent = Field(description="base64, a data URI or a URL")

    @property
    def path(self) -> str:
        return f"{self.subfolder.strip('/')}/{self.name}" if self.subfolder.strip("/") else self.name


class RunpodInput(BaseModel):
    model_config = ConfigDict(extra="ignore")

    workflow: dict[str, Any] = Field(description="In ComfyUI's API format, or as its editor saves it.")
    images: list[RunpodImage] | None = None
    deliver_models: bool = Field(False, description="Not in worker-comfyui: the models that nodes save, too.")
    strict: bool = Field(False, description="Not in worker-comfyui: repair nothing, draw no seed.")
    keep_seeds: bool = Field(False, description="Not in worker-comfyui: run the seeds that were sent or saved.")
    comfy_org_api_key: SecretStr | None = Field(None, description=KEY_DESCRIPTION)
    extra_data: ExtraDataFields | None = Field(None, description="Not in worker-comfyui.")


class RunpodS3(BaseModel):
    """A bucket of the client's own, as RunPod's API names its fields."""

    model_config = ConfigDict(extra="ignore")

    accessId: str = ""  # noqa: N815 - RunPod's words
    accessSecret: SecretStr = NO_SECRET  # noqa: N815
    bucketName: str = ""  # noqa: N815
    endpointUrl: str = ""  # noqa: N815

    def target(self) -> S3Target:
        """Raises InvalidField that names what is missing, in our words."""
        given = {
            "bucket": self.bucketName,
            "access_key_id": self.accessId,
            "secret_access_key": self.accessSecret,
            "endpoint_url": self.endpointUrl,
        }
        return typed(S3Fields, {name: value for name, value in given.items() if value}).target()


class RunpodRequest(BaseModel):
    """`{"input": {...}}`. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    input: RunpodInput
    s3Config: RunpodS3 | None = None  # noqa: N815


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    whole = typed(RunpodRequest, body)
    request, target = whole.input, whole.s3Config.target() if whole.s3Config else None
    files, urls = read_inputs({image.path: image.image for image in request.images or ()})
    job = JobRequest(
        prompt=workflow_of(request.workflow),
        urls=urls,
        output_mode=OutputMode.URL if target else OutputMode.AUTO,
        target=target,
        own_target=target is not None,
        deliver_models=request.deliver_models,
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        extra=extra_of(request.workflow, request.extra_data, request.comfy_org_api_key),
    )
    return ParsedRequest(job, files)


def completed(answer: Answer) -> Body:
    """Every file is under `images`, videos and sounds too: the rival drops them, its users ask for them.

    Texts have a key of their own, because clients decode whatever is under `images`.
    """
    outputs = in_order(answer.job.outputs)
    images = [_image(answer, output) for output in outputs if output.text is None]
    texts = [{"node_id": output.node_id, "text": output.text} for output in outputs if output.text is not None]
    found: Body = {"images": images} if images else {"images": [], "status": "success_no_images"}
    found |= {"texts": texts} if texts else {}
    return {**found, **answer.random_integers, **problems_of(answer.job), **changes_of(answer.job)}


def _image(answer: Answer, output: Output) -> Body:
    """`s3_url` is what the rival calls it where the operator has a bucket."""
    data = answer.data.get(output.index)
    found = {"type": "s3_url", "data": answer.url(output)} if data is None else {"type": "base64", "data": data}
    place = {"subfolder": output.subfolder} if output.subfolder else {}
    return {"filename": output.filename, **place, **found}


def pending(job: Job, url: str, progress: Body) -> Body:
    return {"status": "pending", **progress, "id": job.id, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    details = [detail.message for detail in error.details]
    body: Body = {"error": error.message, "error_info": error.as_dict(), "id": job_id}
    return {**body, "details": details} if details else body


DIALECT = Dialect(
    name="runpod",
    marks=("input", "workflow"),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    request_model=RunpodRequest,
    files=("input", "images"),
)
