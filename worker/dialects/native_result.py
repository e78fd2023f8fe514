"""Models of the response of the native dialect for a job that succeeded."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from worker.dialects.base import ProblemFields
from worker.errors import Detail
from worker.prompt_changes import RandomInteger, Repair


class NativeOutput(BaseModel):
    """One output: `data` (base64), `url`, both if the request named a storage of the client, or `text`.

    Sizes are in bytes and pixels.
    """

    index: int
    node_id: str
    kind: str
    filename: str
    subfolder: str | None = None
    """Folder below ComfyUI's output folder in which the node put the file."""
    mime: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    data: str | None = None
    url: str | None = None
    text: str | None = None
    """Text that the node returned. For the kind `json` it is the JSON of `value`."""
    value: Any = None


class NativeMetadata(BaseModel):
    """Times in seconds. `timings` are in milliseconds, by stage."""

    generation_time: float
    queue_time: float
    gpu_used: str
    engine: str
    workload: float
    """Units: seconds on an RTX 4090, as computed from the workflow."""
    predicted_s: float | None = None
    """Seconds that were predicted for the run just before it started. `generation_time` is what it took."""
    gpu_usd: float | None = None
    """Price of the GPU's time by `WORKER_USD_HOUR`, if that is set. It is not what the platform bills."""
    timings: dict[str, float]
    template: str | None = None
    params: dict[str, Any] | None = None
    """Values of the template parameters, including defaults and drawn seeds, without files."""
    random_integers: list[RandomInteger] | None = None
    """The value of each `__RANDOM_INT__` in the workflow."""
    seeds: list[RandomInteger] | None = None
    """Seeds that were drawn: where the file of the editor says `randomize`, and for seeds below their range."""


class NativeResult(BaseModel):
    """Body of the response for a job that succeeded. `image` is the first image, as base64 or URL."""

    status: Literal["success"] = "success"
    id: str
    image: str | None = None
    outputs: list[NativeOutput]
    problems: list[ProblemFields] | None = None
    """Outputs that could not be delivered, if there are any."""
    repairs: list[Repair] | None = None
    """Parts of the workflow that were changed before the run, if there are any."""
    warnings: list[Detail] | None = None
    """Warnings about the conversion of the workflow, if there are any."""
    metadata: NativeMetadata
