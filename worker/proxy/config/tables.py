"""The tables of `proxy.toml` as types.

The file has no secrets: it has the hashes of callers' keys, and names where the keys of backends are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from worker.backends.settings import BackendSettings, key_of
from worker.fleet.definition.table import Amount, Count, Seconds, Table, key
from worker.settings import ServerSettings

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
Patterns = Annotated[tuple[Pattern, ...], Field(strict=False)]
"""A list in the file. `*` stands for any text, `?` for one character, `[ab]` for one of several."""
Names = Annotated[tuple[Name, ...], Field(strict=False)]
File = Annotated[Path, Field(strict=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
STICKY_HEADER = "header:"


def _as_list(value: object) -> object:
    """Return a single text as a list of one."""
    return [value] if isinstance(value, str) else value


Hashes = Annotated[tuple[Sha256, ...], Field(strict=False, min_length=1), BeforeValidator(_as_list)]


class Resubmit(StrEnum):
    """Whether a job that its backend has lost is submitted again."""

    WHEN_LOST = "when_lost"
    NEVER = "never"


class ServerTable(Table):
    """The proxy's HTTP server, and what applies to all callers."""

    host: str = key("address to listen on; without `[[callers]]` it has to be one of this machine", "127.0.0.1")
    port: Annotated[int, Field(ge=0, le=65535)] = key("port to listen on; 0 means a free port", 8080)
    state: File = key("folder of the journal and the results", Path(".proxy"))
    public_url: str = key("URL at which clients reach the proxy; empty means the URL of the request", "")
    cors_origins: Patterns = key("origins of web pages that may use the proxy; `*` means all", ())
    allowed_hosts: Patterns = key("host names besides localhost at which clients reach the proxy", ())
    trusted_proxies: Patterns = key("addresses and networks of reverse proxies whose `X-Forwarded-*` is trusted", ())
    max_body_mib: Annotated[int, Field(ge=1)] = key("largest request body in MiB", 100)
    requests_per_minute: Count = key("requests that each caller may send in a minute; 0 means no limit", 0)
    max_jobs: Count = key("jobs that each caller may have open at a time; 0 means no limit", 0)
    sync_limit_s: Amount = key("seconds after which a synchronous request returns 202; 0 means no limit", 0.0)
    result_ttl_s: Seconds = key("seconds for which the result of a job is kept after its end", 3600.0)
    drain_s: Amount = key("seconds for which the end of the proxy waits for synchronous jobs", 30.0)
    hangup_grace_s: Amount = key("seconds without a waiting client after which a synchronous job is cancelled", 5.0)
    metrics_key_sha256: Sha256 | None = key(
        "SHA-256 of the key for `GET /metrics`; without it, only this machine can read them", None
    )

    def settings(self) -> ServerSettings:
        """Return the same values as the settings of a worker's server, whose guards the proxy uses."""
        return ServerSettings(
            host=self.host,
            port=self.port,
            public_url=self.public_url,
            max_body=self.max_body_mib,
            cors_origins=", ".join(self.cors_origins),
            trusted_proxies=", ".join(self.trusted_proxies),
            allowed_hosts=", ".join(self.allowed_hosts),
        )


class BackendTable(Table):
    """A backend: a place that runs jobs."""

    name: Name = key("name in routes, metrics, logs and responses")
    url: Annotated[str, Field(min_length=1)] = key(
        "URL of a worker, or that of a platform's endpoint (docs/backends.md)"
    )
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = key(
        "environment variable with the key of the backend; the default depends on its kind", None
    )
    key_file: File | None = key("file with the key of the backend", None)
    api_url: str = key("address of the platform's API, if it is not the platform's own", "")
    gpu: str = key("name of its GPU, for the platform's prices", "")
    usd_hour: Amount | None = key("price of one GPU in dollars per hour, instead of the platform's", None)
    max_queue: Count | None = key("waiting jobs above which new ones go to other backends first", None)
    lost_after_s: Seconds = key("seconds without any response after which its jobs count as lost", 60.0)
    resubmit: Annotated[Resubmit, Field(strict=False)] = key(
        "`when_lost` submits a lost job again, here or elsewhere; `never` reports it to the caller", Resubmit.WHEN_LOST
    )

    def settings(self, environ: Mapping[str, str], state: Path) -> BackendSettings:
        """Return the settings that open the backend, with its key. `state` is the folder of the proxy.

        Raises StartupError if the key cannot be read.
        """
        secret: SecretStr | None = key_of(self.url, environ, self.key_env or "", self.key_file)
        return BackendSettings(
            self.name, self.url, secret, self.api_url, self.gpu, self.usd_hour, state / "backends" / self.name
        )


class RouteTable(Table):
    """Which jobs go to which backends. The first route that matches a job applies."""

    templates: Patterns = key("patterns of template names; a job of any of them matches", ())
    handlers: Patterns = key("patterns of handler names; a job of any of them matches", ())
    callers: Patterns = key("patterns of the names of callers; without them, all callers match", ())
    backends: Annotated[dict[Name, Amount], Field(min_length=1)] = key(
        "backends with weights: `{vast = 50, runpod = 50}`; 0 gets no new jobs"
    )
    sticky: Annotated[str, Field(pattern=r"^(caller|key|header:[A-Za-z0-9-]{1,64})$")] = key(
        "what decides the side: `caller`, `header:NAME`, or `key`, which spreads the jobs of each caller", "key"
    )
    fallback: Names = key("backends that are tried next, in this order", ())

    @property
    def matches_all_jobs(self) -> bool:
        """Whether the route matches every job of every caller, so that no later route applies."""
        return not (self.templates or self.handlers or self.callers)

    @property
    def sticky_header(self) -> str:
        """Name of the header whose value decides the side, empty if no header does."""
        return self.sticky.removeprefix(STICKY_HEADER) if self.sticky.startswith(STICKY_HEADER) else ""


class CallerTable(Table):
    """A caller, with the hashes of its keys. `comfy-worker proxy key NAME` makes one."""

    name: Name = key("name of the caller, which owns its jobs")
    key_sha256: Hashes = key("SHA-256 of its key, or a list while a key is replaced by another")
    requests_per_minute: Count | None = key("instead of the server's `requests_per_minute`", None)
    max_jobs: Count | None = key("instead of the server's `max_jobs`", None)
    backends: Patterns = key("patterns of the backends that it may use; without them, all", ())
    expires: date | datetime | None = key("date, or time, from which its keys are not accepted: `2027-01-31`", None)

    @property
    def expires_at(self) -> float | None:
        """Time in epoch seconds from which the keys are not accepted. A time without an offset is in UTC."""
        if self.expires is None:
            return None
        moment = self.expires if isinstance(self.expires, datetime) else datetime.combine(self.expires, time.min)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class ProxyConfig(Table):
    """The whole file.

    Without `[[routes]]`, all backends have the same weight, and each is a fallback of the others.
    """

    server: ServerTable = key("the HTTP server, and what applies to all callers", ServerTable())
    backends: Annotated[tuple[BackendTable, ...], Field(strict=False, min_length=1)] = key(
        "one table for each backend: `[[backends]]`"
    )
    routes: Annotated[tuple[RouteTable, ...], Field(strict=False)] = key("one table for each route: `[[routes]]`", ())
    callers: Annotated[tuple[CallerTable, ...], Field(strict=False)] = key(
        "one table for each caller: `[[callers]]`; without any, all programs of this machine are one caller", ()
    )

    @property
    def effective_routes(self) -> tuple[RouteTable, ...]:
        """The routes, or the one over all backends if the file has none."""
        names = tuple(backend.name for backend in self.backends)
        return self.routes or (RouteTable(backends=dict.fromkeys(names, 1.0), fallback=names),)


TABLES: dict[str, type[Table]] = {
    "": ProxyConfig,
    "server": ServerTable,
    "backends": BackendTable,
    "routes": RouteTable,
    "callers": CallerTable,
}
"""The tables by their names in the file."""
