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

from pydantic import SecretStr

from worker.errors import StartupError

PLATFORM_SECRETS = frozenset({"MASTER_TOKEN", "CONTAINER_API_KEY", "VAST_API_KEY", "RUNPOD_API_KEY"})
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def setting(env: str, default: Any, help_text: str, *also: str) -> Any:  # noqa: ANN401 - as dataclasses.field is typed
    """A field of Settings with its environment variable and the sentence that documents it.

    `also`: names that others give to the same thing, read in this order where `env` is not set.
    """
    return dataclasses.field(default=default, metadata={"env": env, "help": help_text, "also": also})


def environment() -> Mapping[str, str]:
    """The process's environment, for who has to hand it on; nobody else looks at it."""
    return os.environ


def complete_environment(defaults: Mapping[str, str]) -> None:
    """Set what is missing there: for a library that reads the environment itself, and must see what we see."""
    os.environ.update({name: value for name, value in defaults.items() if not os.environ.get(name)})


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations are seconds, sizes MiB. Nothing in here changes after start."""

    host: str = setting("WORKER_GATEWAY_HOST", "127.0.0.1", "address the gateway listens on")
    port: int = setting("WORKER_GATEWAY_PORT", 18288, "port the gateway listens on; 0 takes a free one")
    public_url: str = setting(
        "WORKER_PUBLIC_URL", "", "where clients reach the gateway, for output URLs; empty: as they asked"
    )
    tokens: SecretStr = setting(
        "WORKER_TOKENS", SecretStr(""), "who may ask, `name=token` between commas; needed to listen beyond this machine"
    )
    rate_limit: int = setting("WORKER_RATE_LIMIT", 0, "jobs that one token may ask for in a minute; 0: no limit")
    platform: str = setting(
        "WORKER_PLATFORM",
        "none",
        "none, vast, vast-local (Vast's router played on this machine), or auto: vast where its variables are set",
    )
    comfyui: str = setting(
        "WORKER_COMFYUI", "embedded", "embedded, the URL of a running ComfyUI, or a ComfyUI folder to start"
    )
    comfyui_output: Path | None = setting(
        "WORKER_COMFYUI_OUTPUT",
        None,
        "output folder of a ComfyUI that is a URL, where it is shared; else files come by HTTP",
    )
    comfyui_input: Path | None = setting(
        "WORKER_COMFYUI_INPUT",
        None,
        "input folder of a ComfyUI that is a URL, where it is shared; else files go by HTTP",
    )
    comfyui_args: str = setting("WORKER_COMFYUI_ARGS", "", "more arguments for a ComfyUI that the worker starts")
    catalog: Path | None = setting(
        "WORKER_CATALOG",
        None,
        "what this ComfyUI answers at `GET /object_info`, for as long as it can't be asked; .gz too",
    )
    templates: str = setting(
        "WORKER_TEMPLATES", "shipped", "folders of templates between commas, a later one wins; `shipped`: our own"
    )
    restarts: int = setting(
        "WORKER_RESTARTS", 0, "how often in a row a parent process starts a worker again that died; 0: no parent"
    )
    state: Path = setting("WORKER_STATE", Path(".state"), "folder for everything the worker writes")
    queue_ahead: int = setting("WORKER_QUEUE_AHEAD", 2, "prepared jobs that wait inside ComfyUI behind the running one")
    max_queue: int = setting("WORKER_MAX_QUEUE", 100, "jobs that may wait or run; one more is answered 429")
    max_wait_s: float = setting(
        "WORKER_MAX_WAIT",
        600.0,
        "seconds of work, by measured pace, that may wait before a new job; above: 429; 0: any",
    )
    min_free: int = setting(
        "WORKER_MIN_FREE_MIB", 256, "room on the state folder's disk below which no job is accepted (503)"
    )
    max_body: int = setting("WORKER_MAX_BODY_MIB", 100, "largest request body; above it the answer is 413")
    job_timeout_s: float = setting("WORKER_JOB_TIMEOUT", 3600.0, "longest life of a job that names no `timeout_s`")
    result_ttl_s: float = setting("WORKER_RESULT_TTL", 3600.0, "how long results are kept after a job's end")
    hangup_grace_s: float = setting(
        "WORKER_HANGUP_GRACE", 5.0, "how long a job outlives the last client that waited for it"
    )
    drain_s: float = setting("WORKER_DRAIN", 30.0, "how long running jobs may go on after SIGTERM")
    sync_limit_s: float = setting(
        "WORKER_SYNC_LIMIT",
        0.0,
        "a sync request is answered 202 after this; 0: never, or the platform's limit (540 on Vast)",
    )
    engine_start_s: float = setting("WORKER_ENGINE_START", 600.0, "how long ComfyUI may take to answer after its start")
    engine_lost_s: float = setting("WORKER_ENGINE_LOST", 120.0, "how long jobs wait for a ComfyUI that went away")
    engine_silence_s: float = setting(
        "WORKER_ENGINE_SILENCE", 30.0, "a ComfyUI that answers no request for this long is restarted"
    )
    engine_tries: int = setting(
        "WORKER_ENGINE_TRIES", 5, "starts in a row without an answer from ComfyUI after which the worker gives up"
    )
    node_silence_s: float = setting(
        "WORKER_NODE_SILENCE", 900.0, "how long a node may run without progress before it is stopped"
    )
    fault: str = setting(
        "WORKER_FAULT", "", "what goes wrong in the embedded engine, to rehearse: see docs/embedded-engine.md"
    )
    node_deadlines: str = setting(
        "WORKER_NODE_DEADLINES", "", "other times for classes of nodes: `Class=seconds, Another=seconds`"
    )
    crash_memory_s: float = setting(
        "WORKER_CRASH_MEMORY", 3600.0, "how long a job that crashed ComfyUI twice is refused"
    )
    silence_s: float = setting(
        "WORKER_SILENCE", 5.0, "after this long without an event a job's place is asked over HTTP"
    )
    inline_max: int = setting(
        "WORKER_INLINE_MAX_MIB", 64, "most that the files of one answer may have in all, where they travel inside it"
    )
    outputs_quota: int = setting(
        "WORKER_OUTPUTS_QUOTA_MIB", 10240, "above this the outputs of ended jobs are forgotten early, oldest first"
    )
    s3_bucket: str = setting("WORKER_S3_BUCKET", "", "bucket for outputs that are asked for by URL", "S3_BUCKET_NAME")
    s3_endpoint: str = setting("WORKER_S3_ENDPOINT", "", "S3-compatible server; empty: AWS", "S3_ENDPOINT_URL")
    s3_region: str = setting("WORKER_S3_REGION", "", "region of the bucket", "S3_REGION", "AWS_REGION")
    s3_access_key_id: str = setting(
        "AWS_ACCESS_KEY_ID", "", "key to the bucket; empty: what boto3 finds by itself", "S3_ACCESS_KEY_ID"
    )
    s3_secret_access_key: SecretStr = setting(
        "AWS_SECRET_ACCESS_KEY", SecretStr(""), "the key's secret", "S3_SECRET_ACCESS_KEY"
    )
    s3_session_token: SecretStr = setting("AWS_SESSION_TOKEN", SecretStr(""), "where the key is a temporary one")
    s3_prefix: str = setting("WORKER_S3_PREFIX", "", "first part of every key in the bucket")
    s3_key: str = setting(
        "WORKER_S3_KEY",
        "{prefix}/{date}/{id}/{filename}",
        "key of a file in the bucket; also {job} (never the same twice), {node}, {index}",
    )
    s3_url_life_s: int = setting("WORKER_S3_URL_LIFE", 86400, "how long a presigned URL opens; at most a week")
    s3_public_url: str = setting(
        "WORKER_S3_PUBLIC_URL", "", "where the bucket is public: URLs are this and the key, not presigned"
    )
    s3_allowed_hosts: str = setting(
        "WORKER_S3_ALLOWED_HOSTS",
        "",
        "hosts that requests may name for their outputs: `*.amazonaws.com, s3.example.com`",
    )
    webhook_secret: SecretStr = setting(
        "WORKER_WEBHOOK_SECRET",
        SecretStr(""),
        "signs webhooks that name no secret: `whsec_` and base64",
    )
    webhook_tries: int = setting("WORKER_WEBHOOK_TRIES", 5, "how often a webhook is sent before it is given up")
    webhook_pause_s: float = setting(
        "WORKER_WEBHOOK_PAUSE", 5.0, "pause after a webhook's first failure; four times as long after each further one"
    )
    webhook_timeout_s: float = setting("WORKER_WEBHOOK_TIMEOUT", 15.0, "how long a webhook's receiver may take")
    fetch_allow: str = setting(
        "WORKER_FETCH_ALLOW",
        "",
        "internal hosts that URLs may name: `minio:9000, *.corp.example, 10.0.0.0/8, [fd00::/8]:8080`",
    )
    fetch_ports: str = setting("WORKER_FETCH_PORTS", "80, 443", "ports of the public internet that URLs may name")
    fetch_auth: SecretStr = setting(
        "WORKER_FETCH_AUTH",
        SecretStr(""),
        'credentials by host: `{"huggingface.co": "Bearer hf_...", "*.x.org": {"X-Key": "..."}}`',
    )
    fetch_max: int = setting("WORKER_FETCH_MAX_MIB", 1024, "largest file behind an input's URL")
    fetch_timeout_s: float = setting("WORKER_FETCH_TIMEOUT", 600.0, "longest time for one file behind a URL")
    fetch_idle_s: float = setting("WORKER_FETCH_IDLE", 30.0, "longest time without a byte of it")
    fetch_cache: int = setting(
        "WORKER_FETCH_CACHE_MIB", 10240, "most disk that fetched files take, running jobs' included"
    )
    input_folders: str = setting(
        "WORKER_INPUT_FOLDERS", "", "ComfyUI's folders whose files workflows may name: `input, output/shared`"
    )
    max_megapixels: float = setting(
        "WORKER_MAX_MEGAPIXELS",
        89.0,
        "most pixels of an input picture, in millions, all its frames together",
    )
    models_folder: Path | None = setting(
        "WORKER_MODELS_FOLDER",
        None,
        "where fetched models go; empty: `models` in the state folder. ComfyUI's own are found too",
    )
    models: str = setting(
        "WORKER_MODELS", "", "templates whose models are fetched before the worker is ready: `sdxl, flux-schnell`"
    )
    models_on_demand: bool = setting(
        "WORKER_MODELS_ON_DEMAND", False, "whether a job's missing models are fetched, where a template knows them"
    )
    models_quota: float = setting(
        "WORKER_MODELS_QUOTA_GIB", 0.0, "most disk that fetched models take, the longest unused make room; 0: no limit"
    )
    log_level: str = setting("WORKER_LOG_LEVEL", "info", "debug, info, warning or error")

    def __post_init__(self) -> None:
        """Make the state folder's path absolute: it stays the same whatever becomes of the working directory."""
        object.__setattr__(self, "state", self.state.absolute())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Settings:  # noqa: ANN401 - any field, by name
        """Read every setting; `given` (from the command line) wins. Raises StartupError naming the variable."""
        values = {name: value for name, value in given.items() if value is not None}
        kinds = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            names = (field.metadata["env"], *field.metadata["also"])
            env = next((name for name in names if environ.get(name)), None)
            if env and field.name not in values:
                values[field.name] = parse(kinds[field.name], env, environ[env])
        return cls(**values)

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Rows of (environment variable, default, help)."""
        for field in dataclasses.fields(cls):
            default = "" if field.default is None else str(field.default)
            yield field.metadata["env"], default, field.metadata["help"]


def engine_environment() -> dict[str, str]:
    """What ComfyUI and its node packs may read: everything but the secrets that are the worker's own.

    And without PYTHONSAFEPATH, with which `python main.py` does not find the modules beside main.py.
    """
    secret = {*PLATFORM_SECRETS, "PYTHONSAFEPATH"}
    for field in dataclasses.fields(Settings):
        if field.name == "s3_access_key_id" or isinstance(field.default, SecretStr):
            secret |= {field.metadata["env"], *field.metadata["also"]}
    return {name: value for name, value in os.environ.items() if name not in secret}


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
