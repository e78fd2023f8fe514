"""Facts about the worker's engines, requests, fetches, reports and tasks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was answered with an error. `route` is the route's path with its placeholders, empty for none."""

    route: str
    dialect: str
    code: str
    status: int


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """The engine's process answers, `seconds` after its start."""

    engine: str
    seconds: float


class LossCause(StrEnum):
    """Why an engine was lost."""

    ENDED = "ended"
    """Its process ended by itself."""
    RESTARTED = "restarted"
    """The worker ended its process: it hung, or its GPU did not answer."""
    NO_ANSWER = "no_answer"
    """It did not start, or never answered."""
    DISCONNECTED = "disconnected"
    """The WebSocket broke; the process may still run. All that shows of a ComfyUI that somebody else keeps."""


@dataclass(frozen=True, slots=True)
class EngineConnected:
    """The WebSocket to the engine is open."""

    engine: str


@dataclass(frozen=True, slots=True)
class EngineLost:
    engine: str
    cause: LossCause


@dataclass(frozen=True, slots=True)
class EngineBlocked:
    """The engine runs a node of a job that has ended, or it does so no more."""

    engine: str
    blocked: bool


class CacheKind(StrEnum):
    """What did not have to be fetched: input files, model files."""

    INPUTS = "inputs"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class CacheHit:
    cache: CacheKind
    count: int = 1


@dataclass(frozen=True, slots=True)
class InputFetched:
    """A file behind a URL was downloaded, or could not be (`code`, and 0 bytes)."""

    size: int
    seconds: float
    code: str | None


@dataclass(frozen=True, slots=True)
class ModelFetched:
    """A model file is in its place, or could not be fetched (`code`). `size` 0: its size was not declared."""

    folder: str
    file: str
    size: int
    seconds: float
    code: str | None


@dataclass(frozen=True, slots=True)
class LoadReported:
    """A report to the platform's autoscaler was taken, or not. Load in workload units, speed in units a second."""

    accepted: bool
    load_units: float
    max_perf_units: float


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A background task failed. `task` is its name without the job's or the file's."""

    task: str


EngineEvent = EngineStarted | EngineConnected | EngineLost | EngineBlocked
WorkerEvent = EngineEvent | RequestRefused | CacheHit | InputFetched | ModelFetched | LoadReported | TaskFailed
