"""What an engine that the worker starts may reach of this machine, its network and its environment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.settings.setting import setting


class SandboxMode(StrEnum):
    """AUTO: as much of it as the kernel offers. REQUIRED: all of it, or the worker does not start."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class EngineNetwork(StrEnum):
    """NONE: no TCP but the engine's own port."""

    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Lists of folders are separated as those of PATH are."""

    mode: SandboxMode = setting(
        "WORKER_SANDBOX",
        SandboxMode.AUTO,
        "the sandbox of a ComfyUI that the worker starts: auto (what the kernel offers), required or off",
        flat="sandbox",
    )
    read: str = setting(
        "WORKER_SANDBOX_READ", "", "more folders that ComfyUI may read, between colons", flat="sandbox_read"
    )
    write: str = setting(
        "WORKER_SANDBOX_WRITE", "", "more folders that ComfyUI may read and write, between colons", flat="sandbox_write"
    )
    network: EngineNetwork = setting(
        "WORKER_ENGINE_NETWORK",
        EngineNetwork.ALL,
        "all, or none: ComfyUI and its packs open no TCP connection",
        flat="engine_network",
    )
    environment: str = setting(
        "WORKER_ENGINE_ENV",
        "",
        "variables that ComfyUI gets although they look like credentials: `HF_TOKEN, CIVITAI_API_KEY`",
        flat="engine_env",
    )
