"""Files that a request names: behind a URL, among ComfyUI's own, or models that its workflow needs."""

from __future__ import annotations

from worker.errors.client import ClientError
from worker.errors.unavailable import WorkerUnavailable


class UrlRefused(ClientError):
    """Not a URL that this worker fetches from, or sends anything to."""

    code = "url_refused"


class InputTooLarge(ClientError):
    """A file behind a URL, above the operator's limit."""

    code = "input_too_large"
    status = 413


class FileNotAllowed(ClientError):
    """A node's file input names something that is neither the job's own nor opened by the operator."""

    code = "file_not_allowed"
    status = 422


class FetchFailed(ClientError):
    """The server behind a URL did not send the file; another machine may get it."""

    code = "fetch_failed"
    status = 422
    retryable_elsewhere = True


class CacheFull(WorkerUnavailable):
    """No room for a fetched file: running jobs hold what is there, or the disk is full."""

    code = "cache_full"


class ModelsMissing(ClientError):
    """All that keeps a workflow from running here is files that this worker does not have; another may."""

    code = "models_missing"
    status = 422
    retryable_elsewhere = True


class ModelMismatch(FetchFailed):
    """A server sent another file than the one that was asked for: its size or its sha256 is wrong."""

    code = "model_mismatch"


class ModelsComing(WorkerUnavailable):
    """The files are on their way to this worker; the same request will do when they are there."""

    code = "models_coming"
