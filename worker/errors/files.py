"""Files that a request names: behind a URL, in ComfyUI's folders, or models."""

from __future__ import annotations

from worker.errors.client import ClientError
from worker.errors.unavailable import WorkerUnavailable


class NotBase64(ValueError):
    """The text is neither base64 nor a data URI with base64. The message is the decoder's."""


class UrlRefused(ClientError):
    """The worker does not fetch from this URL, nor send to it."""

    code = "url_refused"


class InputTooLarge(ClientError):
    """A file behind a URL exceeds the operator's limit."""

    code = "input_too_large"
    status = 413


class FileNotAllowed(ClientError):
    """A node's file input names a file that is neither the job's own nor allowed by the operator."""

    code = "file_not_allowed"
    status = 422


class FetchFailed(ClientError):
    """The server behind a URL did not send the file. Another machine may get it."""

    code = "fetch_failed"
    status = 422
    retryable_elsewhere = True


class OutputNotKept(FetchFailed):
    """An input names an output of an earlier job that this worker does not keep, or not for this caller."""

    code = "output_not_kept"


class CacheFull(WorkerUnavailable):
    """No room for a fetched file: running jobs use the cached ones, or the disk is full."""

    code = "cache_full"


class ModelsMissing(ClientError):
    """The workflow is valid, but this worker lacks models that it needs. Another worker may have them."""

    code = "models_missing"
    status = 422
    retryable_elsewhere = True


class ModelMismatch(FetchFailed):
    """A server sent a file with another size or sha256 than expected."""

    code = "model_mismatch"


class ModelsDownloading(WorkerUnavailable):
    """The models are being downloaded. The same request succeeds once they are complete."""

    code = "models_coming"
