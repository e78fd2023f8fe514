"""Errors about files that a request names: behind URLs, in ComfyUI's folders, and models."""

from __future__ import annotations

from worker.errors.client import ClientError
from worker.errors.unavailable import WorkerUnavailable


class NotBase64(ValueError):
    """The text is neither base64 nor a data URI with base64. The message is that of the decoder."""


class UrlRefused(ClientError):
    """The worker does not connect to this URL: the address is internal, or the scheme or port is not allowed.

    Use a public http or https URL, or ask the operator to set WORKER_FETCH_ALLOW.
    """

    code = "url_refused"


class InputTooLarge(ClientError):
    """A file behind a URL is larger than WORKER_FETCH_MAX_MIB or the cache. Send a smaller file."""

    code = "input_too_large"
    status = 413


class FileNotAllowed(ClientError):
    """A node names a file that neither came with the request nor is allowed by the operator.

    Send the file with the request, or ask the operator to add its folder to WORKER_INPUT_FOLDERS.
    """

    code = "file_not_allowed"
    status = 422


class FetchFailed(ClientError):
    """A file could not be downloaded from its URL. Check the URL, or retry on another worker."""

    code = "fetch_failed"
    status = 422
    retryable_elsewhere = True


class OutputNotKept(FetchFailed):
    """An input names an output of an earlier job that this worker does not have, or not for this caller.

    Send the file itself, or run the earlier job again.
    """

    code = "output_not_kept"


class CacheFull(WorkerUnavailable):
    """There is no space for a fetched file: running jobs use the cache, or the disk is full.

    Retry later or elsewhere.
    """

    code = "cache_full"


class ModelsMissing(ClientError):
    """The workflow is valid, but this worker lacks models that it needs.

    Each detail names one. Retry on another worker.
    """

    code = "models_missing"
    status = 422
    retryable_elsewhere = True


class ModelMismatch(FetchFailed):
    """The downloaded model has another size or SHA-256 than declared. Correct the URL, the size or the hash."""

    code = "model_mismatch"


class ModelsDownloading(WorkerUnavailable):
    """Models of the workflow are being downloaded. Retry after `Retry-After`."""

    code = "models_coming"
