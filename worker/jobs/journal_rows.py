"""A job as a row of the journal, and back: rows carry a version, and every field is checked where it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.delivery_options import ImageFormat, Webhook
from worker.errors import Detail, OutputProblem, WorkerError, error_class
from worker.extra_data import ExtraData
from worker.job import EngineFile, InputFile, Job, JobRequest, JobState, Output, OutputMode, RandomInteger
from worker.prompt_changes import Repair

VERSION = 3
"""Version of the rows that this worker writes."""
READ = frozenset({1, 2, VERSION})
"""Versions that it reads; a row of another one is set aside. Rows of version 1 name no engine: there was one only.
Those before version 3 name no problems and no files of the engine."""


class UnreadableRow(Exception):
    """A row that this worker cannot read. The message names the reason."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job of an earlier process. `ended_at` is in epoch seconds, None for a job that has not ended."""

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
    """The fields of `JobRequest` that are stored. Strict, so that a row of another version is noticed."""

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

    def request(self, inputs: tuple[InputFile, ...]) -> JobRequest:
        fields = {name: getattr(self, name) for name in StoredRequest.model_fields}
        fields["webhook"] = Webhook(**self.webhook.model_dump()) if self.webhook else None
        extra = ExtraData(fields.pop("pnginfo"), own_api_key=fields.pop("own_api_key"))
        return JobRequest(**fields, inputs=inputs, extra=extra)


class StoredError(BaseModel):
    """`WorkerError.as_dict`: the class follows from the code."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: str
    message: str
    fault: str
    retryable: bool
    retryable_elsewhere: bool
    details: tuple[Detail, ...]

    def error(self) -> WorkerError:
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


def pack_request(request: JobRequest) -> bytes:
    """Serialize a request. A field that is not named here is not stored: it may be a credential."""
    return orjson.dumps(
        {
            "prompt": request.prompt,
            "urls": request.urls,
            "output_mode": request.output_mode,
            "dialect": request.dialect,
            "key": request.key,
            "timeout_s": request.timeout_s,
            "fingerprint": request.fingerprint,
            "base_url": request.base_url,
            "template": request.template,
            "params": dict(request.params),
            "image_format": request.image_format,
            "own_target": request.own_target,
            "deliver_models": request.deliver_models,
            "webhook": _webhook(request.webhook),
            **_extra(request.extra),
            "random_integers": request.random_integers,
            **_changes(request),
        }
    )


def pack_result(job: Job) -> bytes:
    """Serialize state, times, outputs and error of a job that has ended."""
    return orjson.dumps(
        {
            "state": job.state,
            "stages": {state.value: seconds for state, seconds in job.stages.items()},
            "outputs": job.outputs,
            "problems": job.problems,
            "files": job.files,
            "error": job.error.as_dict() if job.error else None,
        }
    )


def _changes(request: JobRequest) -> dict[str, Any]:
    """Return what was changed in the prompt, and warnings. Only what there is: the former worker reads other rows."""
    changes = {"repairs": request.repairs, "warnings": request.warnings, "seeds": request.seeds}
    return {name: listed for name, listed in changes.items() if listed}


def _extra(extra: ExtraData) -> dict[str, Any]:
    """Return what goes beside the prompt, without the key. Only what is there: the former worker reads other rows."""
    pnginfo = {} if extra.pnginfo is None else {"pnginfo": extra.pnginfo}
    return {**pnginfo, "own_api_key": True} if extra.own_api_key else pnginfo


def _webhook(webhook: Webhook | None) -> dict[str, Any] | None:
    """Return a webhook that the operator signs. One with a secret of the client's cannot be sent after a restart."""
    if webhook is None or webhook.secret.get_secret_value():
        return None
    return {name: value for name, value in asdict(webhook).items() if name in StoredWebhook.model_fields}


def read_row(row: sqlite3.Row, read_inputs: Callable[[str], tuple[InputFile, ...]]) -> StoredJob:
    """Return the job of a row; `read_inputs` gets the name of its folder and returns its input files.

    Raises UnreadableRow for another version, an unknown field or state, and broken data.
    """
    if row["version"] not in READ:
        known = " and ".join(map(str, sorted(READ)))
        raise UnreadableRow(f"its version is {row['version']!r}, and this worker reads versions {known}")
    try:
        columns = _Columns.model_validate({name: row[name] for name in _Columns.model_fields}).model_dump()
        request = StoredRequest.model_validate_json(row["request"]).request(read_inputs(columns["folder"]))
        job = Job(**{**columns, "collectable": bool(columns["collectable"])}, request=request)
        if row["result"] is not None:
            _restore(job, StoredResult.model_validate_json(row["result"]))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise UnreadableRow(f"{place}: {problem['msg']}" if place else problem["msg"]) from error
    if (row["ended_at"] is not None) is not job.state.ended:
        raise UnreadableRow(f"its state {job.state.value!r} contradicts ended_at = {row['ended_at']!r}")
    return StoredJob(job, row["ended_at"])


class _Columns(BaseModel):
    """The plain columns of a row, by the names that `Job` gives them."""

    model_config = ConfigDict(strict=True)

    id: str
    principal: str
    workload: float
    token: str
    folder: str = Field(pattern=r"^job-[0-9a-f]{32}$")
    created_at: float
    collectable: int
    prompt_id: str | None
    engine: str | None


def _restore(job: Job, result: StoredResult) -> None:
    job.state, job.stages, job.outputs = result.state, result.stages, result.outputs
    job.problems, job.files = result.problems, result.files
    job.error = result.error.error() if result.error else None
