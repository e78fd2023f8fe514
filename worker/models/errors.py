"""What goes wrong with model files."""

from __future__ import annotations

from worker.errors import ClientError, WorkerUnavailable
from worker.fetch.errors import FetchFailed


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
