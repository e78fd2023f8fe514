"""Conversion of a job to a row of the journal and back. Rows have a version, and every field is validated when read.

`request` and `result` have exactly the fields that v0.2.0 wrote, so that both releases read them. Later fields are in
`more_request` and `more_result`, which v0.2.0 ignores.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from zlib import crc32

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from worker.delivery_options import ImageFormat, Webhook
from worker.errors import Detail, OutputProblem, WorkerError, error_class
from worker.extra_data import ExtraData
from worker.job import EngineFile, InputFile, Job, JobRequest, JobState, Output, OutputMode
from worker.prompt_changes import RandomInteger, Repair

VERSION = 2
"""Version of the rows that this worker writes. v0.2.0 reads it as well."""
READ = frozenset({1, VERSION, 3})
"""Versions of rows that this worker reads. Rows of version 1 name no engine, because there was only one. Rows of
version 3 have the later fields in `request` and `result`, and no release wrote them."""

DETAIL = frozenset(field.name for field in fields(Detail))
"""Fields of every kind of detail."""


class UnreadableRow(Exception):
    """A row that this worker cannot read. The message names the reason."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job of an earlier process. `ended_at` is in epoch seconds, or None for a job that has not ended."""

    job: Job
    ended_at: float | None


class StoredWebhook(BaseModel):
    """A webhook without its secret."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str
    extra: dict[str, Any] = Field(default_factory=dict)
    timeout_s: float | None = None
    stock: bool = False


class StoredRequest(BaseModel):
    """The stored fields of `JobRequest`. Unknown fields are rejected, so that another version is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: dict[str, Any]
    urls: dict[str, str]
    output_mode: OutputMode
    dialect: str
    key: str | None
    timeout_s: float | None
    fingerprint: str
    base_url: str
    template: str | None
    params: dict[str, Any]
    image_format: ImageFormat | None
    own_target: bool
    deliver_models: bool = False
    webhook: StoredWebhook | None
    pnginfo: dict[str, Any] | None = None
    own_api_key: bool = False
    random_integers: tuple[RandomInteger, ...] = ()
    repairs: tuple[Repair, ...] = ()
    warnings: tuple[Detail, ...] = ()
    seeds: tuple[RandomInteger, ...] = ()

    @field_validator("prompt")
    @classmethod
    def _check_nodes(cls, prompt: dict[str, Any]) -> dict[str, Any]:
        for node in prompt.values():
            if not (isinstance(node, dict) and isinstance(node.get("class_type"), str)):
                raise ValueError("a node has to have a class_type")
            if not isinstance(node.get("inputs"), dict):
                raise ValueError("a node has to have inputs")
        return prompt

    def request(self, inputs: tuple[InputFile, ...], later_fields: LaterRequestFields | None) -> JobRequest:
        """Return the request. `later_fields` is None for a row that v0.2.0 or an older release wrote."""
        values = {name: getattr(self, name) for name in StoredRequest.model_fields}
        values["webhook"] = Webhook(**self.webhook.model_dump()) if self.webhook else None
        if later_fields is not None:
            values |= {name: getattr(later_fields, name) for name in LaterRequestFields.model_fields}
        # `self.fingerprint` was computed by the rules of v0.2.0. The one by the current rules is in `later_fields`.
        values["former_fingerprints"] = (self.fingerprint,) if self.fingerprint else ()
        values["fingerprint"] = later_fields.fingerprint if later_fields is not None else ""
        extra = ExtraData(values.pop("pnginfo"), own_api_key=values.pop("own_api_key"))
        return JobRequest(**values, inputs=inputs, extra=extra)


class LaterRequestFields(BaseModel):
    """The fields of `JobRequest` that releases after v0.2.0 added. Fields that are unknown here are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    fingerprint: str = ""
    deliver_models: bool = False
    pnginfo: dict[str, Any] | None = None
    own_api_key: bool = False
    random_integers: tuple[RandomInteger, ...] = ()
    repairs: tuple[Repair, ...] = ()
    warnings: tuple[Detail, ...] = ()
    seeds: tuple[RandomInteger, ...] = ()
    handler: str | None = None
    arguments: str = ""
    client_id: str = ""
    parent: str | None = None
    keeps_previews: bool = False
    with_status: bool = False


class StoredError(BaseModel):
    """The fields of `WorkerError.as_dict`. The code determines the class."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: str
    message: str
    fault: str
    retryable: bool
    retryable_elsewhere: bool
    details: tuple[Detail | OutputProblem, ...]

    def error(self) -> WorkerError:
        """Return the error of the class that has this code."""
        return error_class(self.code)(self.message, list(self.details))


class StoredResult(BaseModel):
    """State, times, outputs and error of a job that has ended."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: JobState
    stages: dict[JobState, float]
    outputs: tuple[Output, ...]
    problems: tuple[OutputProblem, ...] = ()
    files: tuple[EngineFile, ...] = ()
    error: StoredError | None


class LaterResultFields(BaseModel):
    """The fields of a result that releases after v0.2.0 added. They belong to the result with this checksum."""

    model_config = ConfigDict(extra="ignore", strict=True)

    crc32: int
    problems: tuple[OutputProblem, ...] = ()
    files: tuple[EngineFile, ...] = ()
    details: tuple[Detail | OutputProblem, ...] = ()
    """Details of the error."""
    predicted_s: float | None = None
    workload: float | None = None  # by the true sizes of the input files


def pack_request(request: JobRequest) -> bytes:
    """Return the fields of a request that v0.2.0 stored, as JSON.

    Fields are listed one by one, because an unlisted field may be a credential.
    """
    return orjson.dumps(
        {
            "prompt": request.prompt,
            "urls": request.urls,
            "output_mode": request.output_mode,
            "dialect": request.dialect,
            "key": request.key,
            "timeout_s": request.timeout_s,
            "fingerprint": next(filter(None, request.former_fingerprints), request.fingerprint),
            "base_url": request.base_url,
            "template": request.template,
            "params": dict(request.params),
            "image_format": request.image_format,
            "own_target": request.own_target,
            "webhook": _stored_webhook(request.webhook),
        }
    )


def pack_later_fields(request: JobRequest) -> bytes:
    """Return the fields of a request that releases after v0.2.0 added, as JSON and without its comfy.org key."""
    later_fields = {"pnginfo": request.extra.pnginfo, "own_api_key": request.extra.own_api_key}
    others = LaterRequestFields.model_fields.keys() - later_fields.keys()
    later_fields |= {name: getattr(request, name) for name in sorted(others)}
    return orjson.dumps({name: value for name, value in later_fields.items() if value or name == "pnginfo"})


def pack_result(job: Job) -> tuple[bytes, bytes]:
    """Return the result of a job as JSON, and as further JSON the fields that releases after v0.2.0 added."""
    error = job.error.as_dict() if job.error else None
    if error is not None and job.error is not None:
        error["details"] = [
            {name: value for name, value in asdict(detail).items() if name in DETAIL} for detail in job.error.details
        ]
    result = orjson.dumps(
        {
            "state": job.state,
            "stages": {state.value: seconds for state, seconds in job.stages.items()},
            "outputs": job.outputs,
            "error": error,
        }
    )
    later_fields = {
        **{"crc32": crc32(result), "problems": job.problems, "files": job.files, "predicted_s": job.predicted_s},
        **{"workload": job.workload, "details": job.error.details if job.error else ()},
    }
    return result, orjson.dumps(later_fields)


def _stored_webhook(webhook: Webhook | None) -> dict[str, Any] | None:
    """Return the fields of a webhook that the operator signs, or None for another one.

    A client's secret is not stored, so a webhook that is signed with it cannot be sent after a restart.
    """
    if webhook is None or webhook.secret.get_secret_value():
        return None
    return {name: value for name, value in asdict(webhook).items() if name in StoredWebhook.model_fields}


def read_row(row: Mapping[str, Any] | sqlite3.Row, read_inputs: Callable[[str], tuple[InputFile, ...]]) -> StoredJob:
    """Return the job in a row. `read_inputs` returns the input files in a job's folder by its name.

    Raises UnreadableRow for another version, an unknown field or state, and invalid data.
    """
    if row["version"] not in READ:
        supported = " and ".join(map(str, sorted(READ)))
        raise UnreadableRow(f"its version is {row['version']!r}, and this worker supports versions {supported}")
    try:
        columns = _Columns.model_validate({name: row[name] for name in _Columns.model_fields}).model_dump()
        ended_at = columns.pop("ended_at")
        later_fields = (
            LaterRequestFields.model_validate_json(row["more_request"]) if row["more_request"] is not None else None
        )
        stored = StoredRequest.model_validate_json(row["request"])
        request = stored.request(() if ended_at is not None else read_inputs(columns["folder"]), later_fields)
        if row["version"] == 1 and request.former_fingerprints:
            request = replace(request, former_fingerprints=("", *request.former_fingerprints))
        job = Job(**{**columns, "collectable": bool(columns["collectable"])}, request=request)
        if row["result"] is not None:
            _restore_result(job, row)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        location = ".".join(map(str, problem["loc"]))
        raise UnreadableRow(f"{location}: {problem['msg']}" if location else problem["msg"]) from error
    except UnicodeError as error:
        raise UnreadableRow(f"{type(error).__name__}: {error}") from error
    if (ended_at is not None) is not job.state.ended:
        raise UnreadableRow(f"its state {job.state.value!r} contradicts ended_at = {ended_at!r}")
    return StoredJob(job, ended_at)


class _Columns(BaseModel):
    """The plain columns of a row, named as in `Job`."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    id: str = Field(pattern=r"^[A-Za-z0-9_.:@+-]{1,128}$")
    principal: str
    workload: float = Field(ge=0)
    token: str
    folder: str = Field(pattern=r"^job-[0-9a-f]{32}$")
    created_at: float
    ended_at: float | None
    collectable: int
    prompt_id: str | None
    engine: str | None


def _restore_result(job: Job, row: Mapping[str, Any] | sqlite3.Row) -> None:
    """Set a job's result from its row, with the later fields unless they belong to a result that v0.2.0 replaced."""
    result = StoredResult.model_validate_json(row["result"])
    job.state, job.stages, job.outputs = result.state, result.stages, result.outputs
    job.problems, job.files = result.problems, result.files
    job.error = result.error.error() if result.error else None
    if row["more_result"] is None:
        return
    later_fields = LaterResultFields.model_validate_json(row["more_result"])
    stored = row["result"] if isinstance(row["result"], bytes) else row["result"].encode()
    if later_fields.crc32 == crc32(stored):  # otherwise an older release has replaced the result
        job.problems, job.files = later_fields.problems, later_fields.files
        job.predicted_s = later_fields.predicted_s
        job.workload = job.workload if later_fields.workload is None else later_fields.workload
        if job.error is not None:
            job.error.details = later_fields.details
