"""Settings of a worker on Vast: variables that Vast sets in a container, and variables that an operator may set."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.errors import StartupError
from worker.settings import parse, setting

ANYWHERE = "0.0.0.0"  # noqa: S104 - Vast maps the port from outside
AUTOSCALER = "https://run.vast.ai"
PORT = 3000


class RunningJobs(StrEnum):
    """How the jobs that run count in the reported load. Jobs that wait always count in full."""

    ALL = "all"
    """With the seconds that they still take."""
    EXCESS = "excess"
    """The same while other jobs wait behind them, and otherwise with at most one second."""
    NONE = "none"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class VastSettings:
    """Settings from the environment. Durations are seconds. The SDK also reads the first eight (see `for_sdk`)."""

    container_id: int = setting("CONTAINER_ID", 0, "number of the instance (set by Vast)")
    public_ip: str = setting("PUBLIC_IPADDR", "", "public IP address of the instance (set by Vast)")
    port: int = setting("WORKER_PORT", PORT, "port on which the SDK's worker listens; Vast has to map it")
    public_port: int = setting(
        "VAST_TCP_PORT_<WORKER_PORT>", 0, "public port that is mapped to WORKER_PORT (set by Vast)"
    )
    report_addr: str = setting(
        "REPORT_ADDR", AUTOSCALER, "URL of Vast's autoscaler; of a comma-separated list, the first is used"
    )
    master_token: str = setting("MASTER_TOKEN", "", "token that is sent with every report (set by Vast)")
    use_ssl: bool = setting("USE_SSL", True, "`true` means TLS, with a certificate that Vast signs at the start")
    http_port: int = setting(
        "WORKER_HTTP_PORT", 0, "second port of the SDK, which is never mapped; 0 means WORKER_PORT + 1"
    )
    host: str = setting("WORKER_VAST_HOST", ANYWHERE, "address on which the SDK's worker listens")
    benchmark: str = setting(
        "WORKER_BENCHMARK",
        "",
        "job that measures the worker's speed: the name of a template, or the path of an API workflow; the default is "
        "the first template of WORKER_MODELS; `packaged` needs no model and says little about a GPU",
    )
    benchmark_runs: int = setting(
        "WORKER_BENCHMARK_RUNS", 2, "number of measured runs, after one that loads the models"
    )
    benchmark_timeout_s: float = setting("WORKER_BENCHMARK_TIMEOUT", 900.0, "time limit of one run in seconds")
    running: RunningJobs = setting(
        "WORKER_VAST_RUNNING",
        RunningJobs.ALL,
        "how running jobs count in `cur_load`: `all` of the time that they still take, only the `excess` that makes "
        "other jobs wait, or `none`",
    )
    metering: bool = setting(
        "WORKER_VAST_METERING",
        True,
        "`true` reports the units of a job in `new_load` at the speed of one engine; `false` all of them when it "
        "arrives",
    )
    image: str = setting("WORKER_IMAGE", "", "digest of the image; the speed is measured again when it changes")
    pubkey_timeout_s: float = setting(
        "WORKER_PUBKEY_TIMEOUT", 300.0, "seconds of retries for Vast's public key before the process exits"
    )
    sign_addr: str = setting(
        "WORKER_SIGN_ADDR", "https://console.vast.ai", "URL of the console that signs the certificate"
    )
    sign_timeout_s: float = setting("WORKER_SIGN_TIMEOUT", 120.0, "seconds of retries for the certificate")
    any_url: bool = setting(
        "WORKER_VAST_ANY_URL", False, "`true` also accepts requests that were signed for another URL"
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> VastSettings:
        """Return the settings in the environment.

        Raises StartupError, which names all missing variables, or the one with an invalid value.
        """
        names = {field.name: field.metadata["env"] for field in dataclasses.fields(cls)}
        names["public_port"] = f"VAST_TCP_PORT_{environ.get('WORKER_PORT') or PORT}"
        kinds = typing.get_type_hints(cls)
        values = {name: _read(kinds[name], env, environ[env]) for name, env in names.items() if environ.get(env)}
        if missing := [names[name] for name in NEEDED if name not in values]:
            cure = "Vast sets them when the template maps the port, as with `-p 3000:3000`"
            raise StartupError(f"{', '.join(missing)} not set: {cure}")
        settings = cls(**values)
        return settings if settings.http_port else dataclasses.replace(settings, http_port=settings.port + 1)

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Yield rows of (environment variable, default, help)."""
        for field in dataclasses.fields(cls):
            default = str(field.default) if field.default or field.default is False else ""
            yield field.metadata["env"], default, field.metadata["help"]

    @property
    def public_url(self) -> str:
        """The worker's URL for clients, which is also reported to the autoscaler."""
        return f"http{'s' if self.use_ssl else ''}://{self.public_ip}:{self.public_port}"

    @property
    def for_sdk(self) -> dict[str, str]:
        """Variables that the SDK reads from the environment itself, where its default differs or it has none."""
        return {
            "WORKER_PORT": str(self.port),
            "WORKER_HTTP_PORT": str(self.http_port),
            "REPORT_ADDR": self.report_addr,
            "USE_SSL": "true" if self.use_ssl else "false",
        }

    @property
    def autoscaler(self) -> str:
        """The first address of `report_addr`, because the SDK's fetch of the public key cannot read a list."""
        return self.report_addr.split(",")[0].strip().rstrip("/")


NEEDED = ("container_id", "public_ip", "public_port")


def _read(kind: Any, env: str, text: str) -> Any:  # noqa: ANN401 - kind is a field's annotation
    """Return the value of the variable `env` in the type `kind`. Raises StartupError when the text is invalid."""
    # The SDK reads this variable too, and accepts only this word for yes.
    return text == "true" if env == "USE_SSL" else parse(kind, env, text)
