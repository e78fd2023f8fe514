"""Every setting, read once from the environment into one frozen object; the table that `--help` and the docs print."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.errors import StartupError

TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def setting(env: str, default: Any, help_text: str) -> Any:  # noqa: ANN401 - dataclasses.field is typed the same way
    """A field of Settings with its environment variable and the sentence that documents it."""
    return dataclasses.field(default=default, metadata={"env": env, "help": help_text})


def environment() -> Mapping[str, str]:
    """The process's environment, for who has to hand it on; nobody else looks at it."""
    return os.environ


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations are seconds, sizes MiB. Nothing in here changes after start."""

    host: str = setting("WORKER_GATEWAY_HOST", "127.0.0.1", "address the gateway listens on")
    port: int = setting("WORKER_GATEWAY_PORT", 18288, "port the gateway listens on; 0 takes a free one")
    public_url: str = setting(
        "WORKER_PUBLIC_URL", "", "where clients reach the gateway, for output URLs; empty: as they asked"
    )
    platform: str = setting(
        "WORKER_PLATFORM", "none", "none, vast, or vast-local (Vast's router played on this machine)"
    )
    comfyui: str = setting(
        "WORKER_COMFYUI", "embedded", "embedded, the URL of a running ComfyUI, or a ComfyUI folder to start"
    )
    comfyui_output: Path | None = setting(
        "WORKER_COMFYUI_OUTPUT", None, "ComfyUI's output folder where it is shared; else outputs are fetched over HTTP"
    )
    comfyui_input: Path | None = setting(
        "WORKER_COMFYUI_INPUT", None, "ComfyUI's input folder where it is shared; else inputs are uploaded over HTTP"
    )
    comfyui_args: str = setting("WORKER_COMFYUI_ARGS", "", "more arguments for a ComfyUI that the worker starts")
    state: Path = setting("WORKER_STATE", Path(".state"), "folder for everything the worker writes")
    queue_ahead: int = setting("WORKER_QUEUE_AHEAD", 2, "prepared jobs that wait inside ComfyUI behind the running one")
    max_queue: int = setting("WORKER_MAX_QUEUE", 100, "jobs that may wait or run; one more is answered 429")
    max_body: int = setting("WORKER_MAX_BODY_MIB", 100, "largest request body; above it the answer is 413")
    job_timeout_s: float = setting("WORKER_JOB_TIMEOUT", 3600.0, "longest life of a job that names no `timeout_s`")
    result_ttl_s: float = setting("WORKER_RESULT_TTL", 3600.0, "how long results are kept after a job's end")
    hangup_grace_s: float = setting(
        "WORKER_HANGUP_GRACE", 5.0, "how long a job outlives the last client that waited for it"
    )
    drain_s: float = setting("WORKER_DRAIN", 30.0, "how long running jobs may go on after SIGTERM")
    sync_limit_s: float = setting(
        "WORKER_SYNC_LIMIT", 0.0, "a sync request is answered 202 after this; 0: never (540 behind Vast)"
    )
    engine_start_s: float = setting("WORKER_ENGINE_START", 600.0, "how long ComfyUI may take to answer after its start")
    engine_lost_s: float = setting("WORKER_ENGINE_LOST", 120.0, "how long jobs wait for a ComfyUI that went away")
    silence_s: float = setting(
        "WORKER_SILENCE", 5.0, "after this long without an event a job's place is asked over HTTP"
    )
    log_level: str = setting("WORKER_LOG_LEVEL", "info", "debug, info, warning or error")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Settings:  # noqa: ANN401 - any field, by name
        """Read every setting; `given` (from the command line) wins. Raises StartupError naming the variable."""
        values = {name: value for name, value in given.items() if value is not None}
        kinds = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            text = environ.get(field.metadata["env"], "")
            if text and field.name not in values:
                values[field.name] = parse(kinds[field.name], field.metadata["env"], text)
        return cls(**values)

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Rows of (environment variable, default, help)."""
        for field in dataclasses.fields(cls):
            default = "" if field.default is None else str(field.default)
            yield field.metadata["env"], default, field.metadata["help"]

    @property
    def behind_vast(self) -> bool:
        """True where Vast's client asks: it retries 5xx without end, gives up after 600 s, and can't open our URLs."""
        return self.platform in {"vast", "vast-local"}


def parse(kind: Any, env: str, text: str) -> Any:  # noqa: ANN401 - kind is a field's annotation
    """The text of a variable as a field's type. Raises StartupError naming both."""
    if isinstance(kind, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    if kind is bool:
        if text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        raise StartupError(f"{env}={text!r} is not a bool: use true or false")
    try:
        return kind(text)
    except ValueError as error:
        raise StartupError(f"{env}={text!r} is not a valid {kind.__name__}") from error
