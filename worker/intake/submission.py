"""A request that was read, and the caller who sent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from worker.inputs import SentFile
from worker.job import JobRequest
from worker.load.features.content_size import Size


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request, and options from outside the body.

    - `principal` owns the jobs of the request.
    - `base_url` is the URL at which the caller reaches this worker.
    - `idempotency_key` is the caller's name for the request. `repeat_key` is that of the platform, which the caller
      does not know.
    - `collectable` means that the caller gets id and token of the job.
    - `api_key` is a comfy.org key from the headers.
    - `raw` means that the caller accepts a file as response, `follows` that it gets the events of the job.
    - `strict` means that the workflow runs exactly as sent or is rejected.
    - `parent` is the id of the job whose handler sent the request.
    - `with_status` means that the caller gets the status and the body of the response as one value.
    """

    principal: str
    base_url: str = ""
    idempotency_key: str | None = None
    repeat_key: str | None = None
    collectable: bool = False
    api_key: SecretStr | None = field(default=None, repr=False)
    raw: bool = False
    follows: bool = False
    strict: bool = False
    parent: str | None = None
    with_status: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """A request that was read and checked as far as possible without ComfyUI, and the files in and beside its body."""

    request: JobRequest
    files: tuple[SentFile, ...]
    caller: Caller
    sizes: Mapping[str, Size] = field(default_factory=dict)
    """Sizes of the pictures and videos in the request, by the texts in the prompt that name them."""

    @property
    def file_names(self) -> frozenset[str]:
        """Names of the input files of the request: those with a URL, and those that were sent."""
        return frozenset(self.request.urls) | {file.name for file in self.files}
