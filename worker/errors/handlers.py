"""Errors of handlers: calls that do not fit a handler, and calls that fail."""

from __future__ import annotations

from worker.errors.client import ClientError
from worker.errors.job import JobError
from worker.errors.unavailable import WorkerUnavailable


class UnknownHandler(ClientError):
    """This worker has no handler of that name. `GET /handlers` lists those that exist."""

    code = "unknown_handler"
    status = 404


class InvalidArguments(ClientError):
    """The arguments do not fit the handler. Each detail names an argument that is missing or that it does not take."""

    code = "invalid_arguments"
    status = 422


class HandlerFailed(JobError):
    """The handler raised an exception. The message has its class and text. The operator's log has its place."""

    code = "handler_failed"


class HandlerCrashed(JobError):
    """The process of the handler ended during the call. The message names the reason. The process starts again."""

    code = "handler_crashed"


class UnsupportedResult(JobError):
    """The handler returned a value that cannot be sent, or that is larger than WORKER_HANDLERS_MAX_RESULT_MIB.

    Return dict, list, str, numbers, None, bytes or a PIL image.
    """

    code = "unsupported_result"


class HandlersUnavailable(WorkerUnavailable):
    """The processes of the handlers are starting, or cannot start. Retry later, or read the operator's log."""

    code = "handlers_unavailable"
