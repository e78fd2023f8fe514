"""Settings for the sandbox of a ComfyUI that the worker starts: files, network and environment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.settings.setting import setting


class SandboxMode(StrEnum):
    """How strict the sandbox is.

    AUTO applies what the kernel supports. With REQUIRED the worker does not start unless all of it is supported.
    """

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class EngineNetwork(StrEnum):
    """Network access of the engine. NONE allows TCP on the engine's own port only."""

    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Settings for the sandbox. Lists of folders are separated like those of PATH."""

    mode: SandboxMode = setting(
        "WORKER_SANDBOX",
        SandboxMode.AUTO,
        "Sandbox of a ComfyUI that the worker starts: auto (everything that the kernel supports), required or off.",
        flat="sandbox",
    )
    read: str = setting(
        "WORKER_SANDBOX_READ", "", "Additional folders that ComfyUI may read, separated by colons.", flat="sandbox_read"
    )
    write: str = setting(
        "WORKER_SANDBOX_WRITE",
        "",
        "Additional folders that ComfyUI may read and write, separated by colons.",
        flat="sandbox_write",
    )
    network: EngineNetwork = setting(
        "WORKER_ENGINE_NETWORK",
        EngineNetwork.ALL,
        "Whether ComfyUI and its packs may open TCP connections: all or none.",
        flat="engine_network",
    )
    environment: str = setting(
        "WORKER_ENGINE_ENV",
        "",
        "Environment variables that are passed to ComfyUI although they look like credentials: `HF_TOKEN, "
        "CIVITAI_API_KEY`.",
        flat="engine_env",
    )
