"""How much of the sandbox the kernel supports, and what follows under the operator's settings."""

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
    """State of the sandbox. PARTIAL means that files are protected, but that the kernel is too old for the rest."""

    ON = "on"
    PARTIAL = "partial"
    UNAVAILABLE = "unavailable"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """The state of all engines' sandbox. `reason` says why it is not on."""

    state: SandboxState
    reason: str = ""

    @property
    def launched(self) -> bool:
        """Whether engines start through the launcher, on Linux only. Without Landlock it drops capabilities."""
        return self.state is not SandboxState.OFF and sys.platform == "linux"

    @property
    def landlock(self) -> bool:
        """Whether Landlock restricts the engines."""
        return self.state in {SandboxState.ON, SandboxState.PARTIAL}

    def as_dict(self) -> dict[str, str]:
        """Return the JSON object of the sandbox in `GET /health` and `GET /capabilities`."""
        return {"state": self.state.value, **({"reason": self.reason} if self.reason else {})}

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state.value


def landlock_version() -> int:
    """Return the version of the kernel's Landlock, or a negative errno without it."""
    if sys.platform != "linux":
        return -errno.ENOSYS
    version = int(ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, ASK_VERSION))
    return version if version > 0 else -ctypes.get_errno()


def engines_sandbox(settings: Settings) -> SandboxStatus | None:
    """Return the state of the engines' sandbox, or None if this worker starts no engine. Raises StartupError."""
    if is_url(settings.engine.comfyui):
        return None
    return sandbox_status(settings.sandbox, landlock_version())


def sandbox_status(settings: SandboxSettings, version: int) -> SandboxStatus:
    """Return the state under these settings with this version of Landlock, which may be a negative errno.

    Raises StartupError when the settings require more than the kernel supports.
    """
    if settings.mode == SandboxMode.OFF:
        if settings.network == EngineNetwork.NONE:
            raise StartupError("WORKER_ENGINE_NETWORK=none needs the sandbox: remove WORKER_SANDBOX=off")
        return SandboxStatus(SandboxState.OFF, "WORKER_SANDBOX=off")
    status = _supported_state(settings, version)
    if settings.mode == SandboxMode.REQUIRED and status.state is not SandboxState.ON:
        raise StartupError(f"WORKER_SANDBOX=required, but the sandbox is {status}; {CURE}")
    return status


def _supported_state(settings: SandboxSettings, version: int) -> SandboxStatus:
    """Return the state that the kernel makes possible, unless the sandbox is off."""
    if version <= 0:
        reason = REASONS.get(-version, os.strerror(-version))
        return SandboxStatus(SandboxState.UNAVAILABLE, f"{reason}. Node packs can read all that the worker can")
    missing = list(_unsupported(settings, version))
    if missing:
        return SandboxStatus(
            SandboxState.PARTIAL, f"Landlock {version} of this kernel cannot deny {', '.join(missing)}"
        )
    return SandboxStatus(SandboxState.ON)


def _unsupported(settings: SandboxSettings, version: int) -> Iterator[str]:
    """Yield descriptions of what the sandbox cannot deny because the kernel is too old."""
    if version < SINCE_TRUNCATE:
        yield "emptying files (Linux 6.2)"
    if settings.network == EngineNetwork.NONE and version < SINCE_TCP:
        yield "TCP connections (Linux 6.7)"
    if version < SINCE_SCOPES:
        yield "signals to the worker (Linux 6.12)"
