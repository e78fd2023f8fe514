"""Settings for the handlers of a team's app, which run in processes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class HandlerSettings:
    """Settings for handlers. Durations are in seconds, sizes in MiB."""

    app: Path | None = setting(
        "WORKER_HANDLERS",
        None,
        "Folder of an app whose functions in `handlers/*.py` are served as `POST /handlers/NAME`: docs/handlers.md.",
        flat="handlers",
    )
    python: str = setting(
        "WORKER_HANDLERS_PYTHON",
        "",
        "Python interpreter of the handlers, 3.10 or later. The default is `.venv` in the folder of the app, and "
        "without one the worker's own Python.",
        flat="handlers_python",
    )
    environment: str = setting(
        "WORKER_HANDLERS_ENV",
        "",
        "Environment variables that are passed to the handlers, separated by commas: `HF_TOKEN, BUCKET`. They get no "
        "others except a minimum such as PATH and HOME.",
        flat="handlers_env",
    )
    processes: int = setting(
        "WORKER_HANDLERS_PROCESSES",
        1,
        "Number of processes that run handlers. Each runs one call at a time.",
        flat="handlers_processes",
    )
    port: int = setting(
        "WORKER_HANDLERS_PORT",
        8188,
        "Port on 127.0.0.1 at which the first process of handlers finds ComfyUI's API. Each further process has the "
        "next port. 0 means any free ports.",
        flat="handlers_port",
    )
    timeout_s: float = setting(
        "WORKER_HANDLERS_TIMEOUT",
        0.0,
        "Seconds after which the call of a handler ends with an error. 0 means WORKER_JOB_TIMEOUT.",
        flat="handlers_timeout",
    )
    start_s: float = setting(
        "WORKER_HANDLERS_START",
        300.0,
        "Seconds within which a process has to import all files in `handlers/`.",
        flat="handlers_start",
    )
    memory: int = setting(
        "WORKER_HANDLERS_MEMORY_MIB",
        0,
        "Memory in MiB that each process of handlers may allocate, on Linux. 0 means no limit.",
        flat="handlers_memory",
    )
    max_result: int = setting(
        "WORKER_HANDLERS_MAX_RESULT_MIB", 64, "Largest result of a handler in MiB.", flat="handlers_max_result"
    )
