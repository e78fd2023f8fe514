"""How much of the sandbox this kernel offers, and what that means under the operator's settings."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from worker.engine.process.folders import is_url
from worker.errors import StartupError
from worker.settings import EngineNetwork, SandboxMode, SandboxSettings, Settings

CREATE_RULESET, ASK_VERSION = 444, 1
SINCE_TRUNCATE, SINCE_TCP, SINCE_IOCTL, SINCE_SCOPES = 3, 4, 5, 6
REASONS = {
    errno.ENOSYS: "this kernel has no Landlock (Linux 5.13), or a seccomp filter hides it",
    errno.EOPNOTSUPP: "Landlock is switched off: boot the kernel with landlock in lsm=",
    errno.EPERM: "a seccomp filter of the container denies Landlock: allow landlock_* there",
}
CURE = "give the container a runtime that allows Landlock (Docker 23 or newer), or accept it with WORKER_SANDBOX=off"


class SandboxState(StrEnum):
    """PARTIAL: files are protected, and something else is not, by the age of the kernel."""

    ON = "on"
    PARTIAL = "partial"
    UNAVAILABLE = "unavailable"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """The state of the sandbox of all engines, and why it is not on, in words that follow a colon."""

    state: SandboxState
    reason: str = ""

    @property
    def launched(self) -> bool:
        """Whether engines start by the launcher, which drops what it can without Landlock too. It is Linux' alone."""
        return self.state is not SandboxState.OFF and sys.platform == "linux"

    @property
    def landlock(self) -> bool:
        return self.state in {SandboxState.ON, SandboxState.PARTIAL}

    def as_dict(self) -> dict[str, str]:
        """For `GET /health` and `GET /capabilities`."""
        return {"state": self.state.value, **({"reason": self.reason} if self.reason else {})}

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state.value


def landlock_version() -> int:
    """Return the version of the kernel's Landlock; a negative errno where there is none."""
    if sys.platform != "linux":
        return -errno.ENOSYS
    version = int(ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, ASK_VERSION))
    return version if version > 0 else -ctypes.get_errno()


def engines_sandbox(settings: Settings) -> SandboxStatus | None:
    """Return the state of the sandbox of this worker's engines; None where it starts none. Raises StartupError."""
    if is_url(settings.engine.comfyui):
        return None
    return sandbox_status(settings.sandbox, landlock_version())


def sandbox_status(settings: SandboxSettings, version: int) -> SandboxStatus:
    """Return what holds under these settings with this Landlock. Raises StartupError where that is too little."""
    if settings.mode == SandboxMode.OFF:
        if settings.network == EngineNetwork.NONE:
            raise StartupError("WORKER_ENGINE_NETWORK=none needs the sandbox: take out WORKER_SANDBOX=off")
        return SandboxStatus(SandboxState.OFF, "WORKER_SANDBOX=off")
    status = _offered(settings, version)
    if settings.mode == SandboxMode.REQUIRED and status.state is not SandboxState.ON:
        raise StartupError(f"WORKER_SANDBOX=required, and the sandbox is {status}; {CURE}")
    return status


def _offered(settings: SandboxSettings, version: int) -> SandboxStatus:
    if version <= 0:
        reason = REASONS.get(-version, os.strerror(-version))
        return SandboxStatus(SandboxState.UNAVAILABLE, f"{reason}. Node packs can read all that the worker can")
    if missing := list(_missing(settings, version)):
        return SandboxStatus(SandboxState.PARTIAL, f"Landlock {version} of this kernel can't deny {', '.join(missing)}")
    return SandboxStatus(SandboxState.ON)


def _missing(settings: SandboxSettings, version: int) -> Iterator[str]:
    """Yield what a job can do in spite of the sandbox, as the kernel is too old."""
    if version < SINCE_TRUNCATE:
        yield "emptying files (Linux 6.2)"
    if settings.network == EngineNetwork.NONE and version < SINCE_TCP:
        yield "TCP connections (Linux 6.7)"
    if version < SINCE_SCOPES:
        yield "signals to the worker (Linux 6.12)"
