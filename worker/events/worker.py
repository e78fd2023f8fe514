"""Events of the worker's engines, requests, downloads, reports and tasks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request got an error response. `route` is the path with placeholders, or empty for an unknown path."""

    route: str
    dialect: str
    code: str
    status: int


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """An engine's process responded for the first time, `seconds` after its start."""

    engine: str
    seconds: float


class LossCause(StrEnum):
    """Why an engine was lost."""

    ENDED = "ended"
    """Its process ended."""
    RESTARTED = "restarted"
    """The worker killed its process, because it hung or its GPU did not respond."""
    NO_ANSWER = "no_answer"
    """It did not start, or never responded."""
    DISCONNECTED = "disconnected"
    """The WebSocket broke, and the process may still run.

    For a ComfyUI that the worker did not start this is the only cause.
    """


@dataclass(frozen=True, slots=True)
class EngineConnected:
    """The WebSocket to the engine is open."""

    engine: str


@dataclass(frozen=True, slots=True)
class EngineLost:
    """An engine was lost."""

    engine: str
    cause: LossCause


@dataclass(frozen=True, slots=True)
class EngineBlocked:
    """An engine began or stopped being blocked by a node of a job that has ended."""

    engine: str
    blocked: bool


@dataclass(frozen=True, slots=True)
class MachineSlowed:
    """An engine has become slower for good: its nodes take `factor` times as long as before."""

    engine: str
    factor: float


class CacheKind(StrEnum):
    """Files that did not have to be downloaded: input files or model files."""

    INPUTS = "inputs"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class CacheHit:
    """Files were found in a cache."""

    cache: CacheKind
    count: int = 1


@dataclass(frozen=True, slots=True)
class InputFetched:
    """The download of an input file has ended. After an error `code` is set and `size` is 0."""

    size: int
    seconds: float
    code: str | None


@dataclass(frozen=True, slots=True)
class ModelFetched:
    """The download of a model file has ended. `code` is that of the error. `size` is 0 if it was not declared."""

    folder: str
    file: str
    size: int
    seconds: float
    code: str | None


@dataclass(frozen=True, slots=True)
class LoadReported:
    """A report was sent to the platform's autoscaler. Load is in workload units, speed in units a second."""

    accepted: bool
    load_units: float
    max_perf_units: float


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The event loop did nothing for `seconds` until now. Messages that arrived meanwhile are handled late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A background task failed. `task` is its name without the id of a job or file."""

    task: str


EngineEvent = EngineStarted | EngineConnected | EngineLost | EngineBlocked | MachineSlowed
WorkerEvent = (
    EngineEvent | RequestRefused | CacheHit | InputFetched | ModelFetched | LoadReported | LoopBlocked | TaskFailed
)
