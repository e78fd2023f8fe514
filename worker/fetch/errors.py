"""What goes wrong with a URL, and who can do something about it."""

from __future__ import annotations

from worker.errors import ClientError, WorkerUnavailable


class UrlRefused(ClientError):
    """Not a URL that this worker fetches from, or sends anything to."""

    code = "url_refused"


class InputTooLarge(ClientError):
    """A file behind a URL, above the operator's limit."""

    code = "input_too_large"
    status = 413


class FetchFailed(ClientError):
    """The server behind a URL did not send the file; another machine may get it."""

    code = "fetch_failed"
    status = 422
    retryable_elsewhere = True


class CacheFull(WorkerUnavailable):
    """No room for a fetched file: running jobs hold what is there, or the disk is full."""

    code = "cache_full"
