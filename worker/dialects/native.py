"""The native dialect: a workflow in, typed outputs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from worker.delivery_options import DeliveryTarget
from worker.dialects.base import (
    Body,
    Dialect,
    JobResponse,
    ParsedRequest,
    changes_of,
    extra_of,
    fill_template,
    parse_model,
    problems_of,
    prompt_of,
    workflow_of,
)
from worker.dialects.comfyui_fields import ComfyFields, job_id, order_warnings, with_targets
from worker.dialects.delivery_fields import ImageFields, OutputFormat, WebhookFields
from worker.dialects.extra_fields import ExtraDataFields
from worker.dialects.native_result import NativeMetadata, NativeOutput, NativeResult
from worker.errors import InvalidField, WorkerError
from worker.inputs import read_inputs
from worker.inputs.earlier_output import InputContent
from worker.inputs.names import spellings
from worker.job import Job, JobRequest, JobState, Output, OutputMode, sorted_by_node
from worker.storage.kind import StorageKind
from worker.storage.registry import KINDS
from worker.workflow.prompt import editor_workflow, is_ui
from worker.workflow.templates.template import Library

OptionsModel = TypeVar("OptionsModel", bound="DeliveryOptions")


class DeliveryOptions(BaseModel):
    """Body of `POST /jobs/{id}/deliver`, and part of a native request.

    `with_storage_fields` adds a field for each kind of storage.
    """

    model_config = ConfigDict(extra="forbid")

    output_format: OutputFormat | None = Field(
        None,
        description="`base64` sends outputs in the response, `url` their URLs. The default is `url` with a storage "
        "of your own, else `base64`.",
    )

    @model_validator(mode="after")
    def _check_one_storage(self) -> Self:
        """Reject more than one storage."""
        storages = self._storages()
        if len(storages) > 1:
            raise ValueError(f"{' and '.join(repr(kind.name) for kind, _ in storages)} exclude each other")
        return self

    def target(self) -> DeliveryTarget | None:
        """Return the target in the storage of the client that the request names, or None."""
        return next((kind.target(value) for kind, value in self._storages()), None)

    @property
    def resolved_format(self) -> OutputFormat:
        """The requested output format. By default it is url with a storage of the client, else base64."""
        return self.output_format or ("url" if self._storages() else "base64")

    def _storages(self) -> list[tuple[StorageKind, Any]]:
        """Return the kinds of storage that the request names, with their values."""
        values = [(kind, getattr(self, kind.name, None)) for kind in KINDS]
        return [(kind, value) for kind, value in values if value is not None]


def with_storage_fields(model: type[OptionsModel]) -> type[OptionsModel]:
    """Return the model with one more field for each kind of storage."""
    fields: dict[str, Any] = {}
    for kind in KINDS:
        type_, info = kind.field
        fields[kind.name] = (Annotated[type_, info] | None, None)
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, __module__=__name__, **fields)


class NativeRequest(ComfyFields, DeliveryOptions):
    """Body of `POST /generate/sync`, `/generate` and `/generate/stream`."""

    workflow: dict[str, Any] | None = Field(
        None,
        description="The workflow in ComfyUI's API format (node id -> class_type, inputs), or as its editor saves it.",
    )
    prompt: dict[str, Any] | None = Field(
        None,
        description="The workflow in API format. It is run, and nodes that read the editor's file get it from "
        "`workflow`.",
    )
    extra_data: ExtraDataFields | None = None
    template: str | None = Field(None, description="Name of a template of GET /templates, instead of `workflow`.")
    params: dict[str, Any] = Field(default_factory=dict, description="Values for the template's parameters.")
    inputs: dict[str, InputContent] = Field(
        default_factory=dict,
        description="Input files. A key is the file name that the workflow uses. Its value is base64, a data URI or a "
        "URL.",
    )
    output: ImageFields | None = None
    webhook: WebhookFields | None = None
    deliver_models: bool = Field(False, description="Whether models that nodes save are delivered too.")
    strict: bool = Field(False, description="Whether the workflow is run exactly as sent: no repairs, no drawn seeds.")
    keep_seeds: bool = Field(
        False, description="Whether seeds are kept that the file of the editor marks as `randomize`."
    )
    id: str | None = Field(
        None, description="Your id for the request. The same request with the same id returns the same job."
    )
    timeout_s: float | None = Field(None, gt=0, le=86400, description="Seconds after which the job ends with an error.")

    def workflow_source(self) -> dict[str, Any] | None:
        """Return the workflow, or an object with prompt and workflow if the request has a prompt, or None."""
        return self.workflow if self.prompt is None else {"prompt": self.prompt, "workflow": self.workflow}


DELIVER_REQUEST, NATIVE_REQUEST = with_storage_fields(DeliveryOptions), with_storage_fields(NativeRequest)


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    """Return the job that a native body describes. Raises ClientError or a subclass."""
    request = parse_model(NATIVE_REQUEST, body)
    files, urls = read_inputs(request.inputs) if request.inputs else ((), {})
    prompt, params = _workflow_and_params(request, library)
    job = JobRequest(
        prompt=prompt,
        template=request.template,
        params=params,
        urls=urls,
        output_mode=OutputMode(request.resolved_format),
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        key=job_id(request.id, request.prompt_id) if request.prompt_id else request.id,
        timeout_s=request.timeout_s,
        image_format=request.output.to_image_format() if request.output else None,
        deliver_models=request.deliver_models,
        target=request.target(),
        own_target=request.target() is not None,
        webhook=request.webhook.to_webhook() if request.webhook else None,
        extra=extra_of(request.workflow_source(), request.extra_data),
        warnings=order_warnings(request) if request.front or request.number else (),
    )
    return ParsedRequest(job, files)


def _workflow_and_params(request: NativeRequest, library: Library) -> tuple[Body, Mapping[str, Any]]:
    """Return the workflow, and the values of the parameters. They are empty if it does not come from a template.

    Raises ClientError or a subclass.
    """
    workflow_source = request.workflow_source()
    if request.template is not None and workflow_source is None:
        file_names = {spelling for name in request.inputs for spelling in (name, *spellings(name))}
        filled_template = fill_template(library, request.template, request.params, file_names)
        return dict(filled_template.prompt), filled_template.values
    if request.template is not None:
        field = "workflow" if request.workflow is not None else "prompt"
        raise InvalidField(f"{field!r} and 'template' exclude each other")
    if request.params:
        raise InvalidField("'params' need a 'template'")
    if workflow_source is None:
        raise InvalidField("either 'workflow' or 'template' is needed")
    if request.prompt is not None and request.workflow is not None and editor_workflow(request.workflow) is None:
        raise InvalidField("'workflow' beside a 'prompt' must be the file that ComfyUI's editor saves")
    prompt = workflow_of(workflow_source)
    if request.partial_execution_targets is None:
        return prompt, {}
    if is_ui(prompt):
        raise InvalidField("'partial_execution_targets' needs a prompt in API format, and this is a file of the editor")
    return dict(with_targets(prompt_of(prompt), request.partial_execution_targets)), {}


def read_delivery_request(body: Mapping[str, Any]) -> JobRequest | None:
    """Return the target and format in a body of `POST /jobs/{id}/deliver`, or None if it has neither."""
    options = parse_model(DELIVER_REQUEST, body)
    if not options.model_fields_set:
        return None
    target = options.target()
    return JobRequest(
        prompt={}, output_mode=OutputMode(options.resolved_format), target=target, own_target=target is not None
    )


def output(response: JobResponse, item: Output) -> NativeOutput:
    """Return the fields of one output in a response."""
    return NativeOutput(
        index=item.index,
        node_id=item.node_id,
        kind=item.kind,
        filename=item.filename,
        subfolder=item.subfolder or None,
        mime=item.mime,
        bytes=item.size,
        sha256=item.sha256,
        width=item.width,
        height=item.height,
        duration_s=item.duration_s,
        data=response.data.get(item.index),
        url=response.url(item),
        text=item.text,
    )


def completed(response: JobResponse) -> Body:
    """Return the response body of a job that succeeded."""
    outputs = [output(response, item) for item in sorted_by_node(response.job.outputs)]
    image = next((item.data or item.url for item in outputs if item.kind == "image"), None)
    result = NativeResult(id=response.job.id, image=image, outputs=outputs, metadata=_metadata(response))
    body = result.model_dump(exclude_none=True)
    for item in body["outputs"]:
        if item["kind"] == "json":  # clients get the text and its value
            item["value"] = orjson.loads(item["text"])
    return body | problems_of(response.job) | changes_of(response.job)


def _metadata(response: JobResponse) -> NativeMetadata:
    """Return the metadata of a response: times, engine, workload, template and drawn numbers."""
    stages = (JobState.QUEUED, JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING)
    timings = {f"{state.value}_ms": response.milliseconds(state) for state in stages}
    engine, request = response.engine, response.job.request
    version = engine.version if engine else "unknown"
    return NativeMetadata(
        generation_time=response.milliseconds(JobState.GENERATING) / 1000,
        queue_time=response.milliseconds(JobState.QUEUED, JobState.PREPARING, JobState.WAITING) / 1000,
        gpu_used=engine.device if engine else "unknown",
        engine="embedded" if engine and engine.embedded else f"comfyui {version}",
        workload=response.job.workload,
        predicted_s=_rounded(response.job.predicted_s),
        gpu_usd=response.gpu_usd,
        timings={**timings, "total_ms": round(response.job.elapsed_s * 1000, 2)},
        template=request.template,
        params=dict(request.params) if request.template else None,
        random_integers=list(request.random_integers) or None,
        seeds=list(request.seeds) or None,
    )


def _rounded(seconds: float | None) -> float | None:
    """Return seconds with the precision of milliseconds."""
    return None if seconds is None else round(seconds, 3)


def pending(job: Job, url: str, progress: Body) -> Body:
    """Return the body of a 202 response. `progress` has state, position, running node, step, and seconds to the end."""
    return {"status": "pending", **progress, "id": job.id, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    """Return the body of an error. `job_id` is None if there is no job."""
    return {"status": "error", "id": job_id, "error": error.as_dict()}


DIALECT = Dialect(
    name="native",
    identifying_keys=(),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    request_model=NATIVE_REQUEST,
    result_model=NativeResult,
    files=("inputs",),
    params=("params",),
)
