"""The dialect of RunPod's worker-comfyui, so that its clients work unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from worker.bodies import Content, SpooledText
from worker.dialects.base import Dialect, ParsedRequest, extra_of, parse_model, workflow_of
from worker.dialects.bucket_fields import RUNPOD_NAMES, bucket_target
from worker.dialects.delivery_fields import RunpodEnvelope
from worker.dialects.extra_fields import KEY_DESCRIPTION, ExtraDataFields
from worker.dialects.runpod_result import (
    INVALID_JSON,
    NO_INPUT,
    NO_WORKFLOW,
    WRONG_IMAGES,
    completed,
    event,
    failed,
    pending,
)
from worker.errors import ClientError, Detail, InvalidField, InvalidJson
from worker.inputs import read_inputs
from worker.inputs.earlier_output import InputContent
from worker.job import JobRequest, OutputMode
from worker.workflow.templates.template import Library

FORM = '{"input": {"workflow": {...}}}'


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


class RunpodPolicy(BaseModel):
    """Limits of RunPod's API on one job. The others concern RunPod's queue and have no meaning here."""

    model_config = ConfigDict(extra="ignore")

    executionTimeout: float | None = Field(  # noqa: N815 - RunPod's field name
        None, ge=0, le=7 * 86_400_000, description="Milliseconds after which the job ends with an error. 0 means none."
    )


class RunpodRequest(RunpodEnvelope):
    """`{"input": {...}}`, with fields of RunPod's API beside it. Unknown fields are ignored."""

    input: RunpodInput
    policy: RunpodPolicy | None = None

    @property
    def timeout_s(self) -> float | None:
        """Seconds after which the job ends, None for the limit of all jobs."""
        timeout_ms = self.policy.executionTimeout if self.policy else None
        return timeout_ms / 1000 if timeout_ms else None


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    """Return the job that a RunPod body describes. Raises ClientError or a subclass."""
    check_form(body)
    body_model = _parsed(body)
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
        timeout_s=body_model.timeout_s,
        deliver_models=request.deliver_models,
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        extra=extra_of(request.workflow, request.extra_data, request.comfy_org_api_key),
    )
    return ParsedRequest(job, files)


def check_form(body: object) -> None:
    """Raise InvalidField or InvalidJson for a body without a workflow."""
    input_field = body.get("input") if isinstance(body, Mapping) else None
    if input_field is None:
        raise _form_error(InvalidField, NO_INPUT, "input", "the body has no `input`")
    if isinstance(input_field, str | SpooledText):
        raise _form_error(InvalidJson, INVALID_JSON, "input", "`input` is a text that is not the JSON of an object")
    if not isinstance(input_field, Mapping) or input_field.get("workflow") is None:
        raise _form_error(InvalidField, NO_WORKFLOW, "input.workflow", "`input` has no `workflow`")


def _form_error(error_type: type[ClientError], text: str, field: str, problem: str) -> ClientError:
    """Return the error for a body without a workflow. Its message begins with worker-comfyui's `text`."""
    remedy = f"send {FORM}"
    return error_type(f"{text}: {problem}; {remedy}", [Detail(problem, input=field, suggestion=remedy)])


def _parsed(body: Mapping[str, Any]) -> RunpodRequest:
    """Return a body as a model. Raises InvalidField, whose message for wrong images begins with worker-comfyui's."""
    try:
        return parse_model(RunpodRequest, body)
    except InvalidField as error:
        if all((detail.input or "").startswith("input.images") for detail in error.details):
            raise InvalidField(f"{WRONG_IMAGES}: {error.message}", error.details) from None
        raise


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
