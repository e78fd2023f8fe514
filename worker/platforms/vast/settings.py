"""What Vast puts into a container's environment, and what an operator may set beside it."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.errors import StartupError
from worker.settings import parse, setting

ANYWHERE = "0.0.0.0"  # noqa: S104 - Vast maps the port from outside
AUTOSCALER = "https://run.vast.ai"
PORT = 3000


@dataclass(frozen=True, slots=True)
class VastSettings:
    """Durations are seconds. The first eight are read by the SDK too, from the same variables: see `for_sdk`."""

    container_id: int = setting("CONTAINER_ID", 0, "the instance's number (set by Vast)")
    public_ip: str = setting("PUBLIC_IPADDR", "", "the address that clients reach (set by Vast)")
    port: int = setting("WORKER_PORT", PORT, "port the SDK's worker listens on; Vast has to map it")
    public_port: int = setting("VAST_TCP_PORT_<WORKER_PORT>", 0, "the port that clients reach (set by Vast)")
    report_addr: str = setting("REPORT_ADDR", AUTOSCALER, "Vast's autoscaler; the first of a comma list")
    master_token: str = setting("MASTER_TOKEN", "", "sent with every report (set by Vast)")
    use_ssl: bool = setting("USE_SSL", True, "`true`: TLS with a certificate that Vast signs at the start")
    http_port: int = setting("WORKER_HTTP_PORT", 0, "the SDK's second port, never mapped; WORKER_PORT + 1")
    host: str = setting("WORKER_VAST_HOST", ANYWHERE, "address that the SDK's worker listens on")
    benchmark: Path | None = setting(
        "WORKER_BENCHMARK", None, "API workflow that measures this worker's speed; name the one that you really run"
    )
    benchmark_runs: int = setting("WORKER_BENCHMARK_RUNS", 3, "measured runs; the median counts")
    benchmark_timeout_s: float = setting("WORKER_BENCHMARK_TIMEOUT", 900.0, "longest one run may take")
    image: str = setting("WORKER_IMAGE", "", "what image this is (its digest); another one is measured again")
    pubkey_timeout_s: float = setting(
        "WORKER_PUBKEY_TIMEOUT", 300.0, "how long Vast's public key is asked for before the process ends"
    )
    sign_addr: str = setting("WORKER_SIGN_ADDR", "https://console.vast.ai", "who signs the certificate")
    sign_timeout_s: float = setting(
        "WORKER_SIGN_TIMEOUT", 120.0, "how long the certificate is asked for, again and again"
    )
    any_url: bool = setting("WORKER_VAST_ANY_URL", False, "`true`: also take requests that were signed for another URL")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> VastSettings:
        """Raises StartupError naming every variable that is missing, or the one that can't be read."""
        names = {field.name: field.metadata["env"] for field in dataclasses.fields(cls)}
        names["public_port"] = f"VAST_TCP_PORT_{environ.get('WORKER_PORT') or PORT}"
        kinds = typing.get_type_hints(cls)
        given = {name: _read(kinds[name], env, environ[env]) for name, env in names.items() if environ.get(env)}
        if missing := [names[name] for name in NEEDED if name not in given]:
            cure = "Vast sets them where the template maps the port, as `-p 3000:3000` does"
            raise StartupError(f"{', '.join(missing)} not set: {cure}")
        settings = cls(**given)
        return settings if settings.http_port else dataclasses.replace(settings, http_port=settings.port + 1)

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Rows of (environment variable, default, help)."""
        for field in dataclasses.fields(cls):
            default = str(field.default) if field.default or field.default is False else ""
            yield field.metadata["env"], default, field.metadata["help"]

    @property
    def public_url(self) -> str:
        """This worker, as clients reach it and as it is reported."""
        return f"http{'s' if self.use_ssl else ''}://{self.public_ip}:{self.public_port}"

    @property
    def for_sdk(self) -> dict[str, str]:
        """Variables that the SDK reads by itself, and for which it has another default or none."""
        return {
            "WORKER_PORT": str(self.port),
            "WORKER_HTTP_PORT": str(self.http_port),
            "REPORT_ADDR": self.report_addr,
            "USE_SSL": "true" if self.use_ssl else "false",
        }

    @property
    def autoscaler(self) -> str:
        """One address: the SDK's fetch of the public key can't read a list."""
        return self.report_addr.split(",")[0].strip().rstrip("/")


NEEDED = ("container_id", "public_ip", "public_port")


def _read(kind: Any, env: str, text: str) -> Any:  # noqa: ANN401 - kind is a field's annotation
    # The SDK takes nothing but this one word for yes, and reads the same variable.
    return text == "true" if kind is bool else parse(kind, env, text)
