"""The result of a job that has ended, as RunPod gets it: inline if it fits, or else in the operator's bucket."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from worker.app import App
from worker.dialects import BY_NAME
from worker.dialects.base import changes_of
from worker.errors import InternalError, OutputTooLargeForInline, WorkerError
from worker.intake.enclosed_request import OF_THE_WORKER, enclosed_error, enclosed_failure, enclosed_result
from worker.intake.response_body import ResponseBody
from worker.job import Job, OutputMode
from worker.platforms.runpod.queue.result_body import completed_result, failed_result, limit_of, too_large, with_cure

log = logging.getLogger(__name__)

DIALECT = BY_NAME["runpod"]
FRAME = 96
"""Bytes around the output in a result, at most."""


@dataclass(frozen=True, slots=True)
class Results:
    """Builds the results of jobs."""

    app: App

    async def of(self, job: Job, *, stop_pod: bool) -> bytes:
        """Return the result of a job that has ended. Never raises: a failure here is an error for the client."""
        try:
            return await self._of(job, stop_pod=stop_pod)
        except WorkerError as error:
            return _failed(job, error, stop_pod=stop_pod)
        except Exception:  # without a result, the job would stay in progress until its timeout (R3)
            log.exception("the result of job %s cannot be built", job.id)
            return _failed(job, InternalError("the worker cannot build the result"), stop_pod=stop_pod)

    async def _of(self, job: Job, *, stop_pod: bool) -> bytes:
        if job.request.with_status:
            return await self._with_status(job, stop_pod=stop_pod)
        if job.error is not None:
            return _failed(job, job.error, stop_pod=stop_pod)
        status, response = await self.app.intake.response(job)
        if status != HTTPStatus.OK:
            return failed_result(_with_text(response.value), stop_pod=stop_pod)
        if response.size + FRAME > limit_of(job.id):
            response = await self._from_bucket(job, response.size)
        if job.request.handler is not None:
            response = ResponseBody(response.value["result"])  # the return value alone is the output
        return completed_result(await response.json(), stop_pod=stop_pod)

    async def _with_status(self, job: Job, *, stop_pod: bool) -> bytes:
        """Return the result of a whole request. Raises OutputTooLargeForInline."""
        status, response = await self.app.intake.response(job)
        if job.error is None and status == OutputTooLargeForInline.status and self._has_bucket:
            status, response = HTTPStatus.OK, await self._from_bucket(job, limit_of(job.id))
        if status != HTTPStatus.OK:
            return failed_result(enclosed_failure(status, response.value), stop_pod=stop_pod)
        if response.size + FRAME > limit_of(job.id):
            response = await self._from_bucket(job, response.size)
        return completed_result(await enclosed_result(job, response).json(), stop_pod=stop_pod)

    @property
    def _has_bucket(self) -> bool:
        """Whether the operator has a bucket."""
        return self.app.intake.delivery.storage.external

    async def _from_bucket(self, job: Job, size: int) -> ResponseBody:
        """Store the files of a result in the operator's bucket, and return the result with their URLs.

        Raises OutputTooLargeForInline without a bucket, and when the rest is still too large.
        """
        storage, outputs = self.app.intake.delivery.storage, self.app.intake.delivery.outputs
        if not self._has_bucket:
            raise too_large(job.id, size)
        job.outputs = tuple(
            [
                output if output.text is not None else replace(output, url=await storage.put(job, output, path))
                for output, path in [(output, outputs.path(job, output)) for output in job.outputs]
            ]
        )
        if job.request.handler is not None:
            file = job.outputs[0]
            return ResponseBody({"result": {"media_type": file.mime, "url": file.url, "size": file.size}})
        job.request = replace(job.request, output_mode=OutputMode.URL)
        _, response = await self.app.intake.response(job)
        if response.size + FRAME > limit_of(job.id):
            raise too_large(job.id, response.size)
        return response


def _failed(job: Job, error: WorkerError, *, stop_pod: bool) -> bytes:
    """Return the result of a job that has failed."""
    if isinstance(error, OutputTooLargeForInline):
        error = with_cure(error)
    if job.request.with_status:
        return failed_result(enclosed_error(job.id, error, BY_NAME[job.request.dialect]), stop_pod=stop_pod)
    return failed_result(DIALECT.failed(job.id, error) | changes_of(job), stop_pod=stop_pod)


def _with_text(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the body of an error with a text under `error`, and without what only helps clients of the worker."""
    fields = {name: value for name, value in body.items() if name not in OF_THE_WORKER}
    error = fields.get("error")
    if isinstance(error, dict):
        fields |= {"error": error["message"], "error_info": error}
    return fields
