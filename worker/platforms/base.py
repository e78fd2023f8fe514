"""The interface of a platform, and the facts about a platform that the rest of the worker needs.

No module outside this folder depends on the name of its platform. A new platform needs one folder here and one line in
`worker.platforms.registry`. docs/platforms.md has an example.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

from worker.check_finding import CheckFinding
from worker.settings import Settings

SettingRow = tuple[str, str, str]
"""Environment variable, default, meaning."""


class Authenticator(Enum):
    """The part that checks whether a request may start jobs."""

    WORKER = "worker"
    """The worker checks its own tokens. Without tokens it listens on this machine only."""
    PLATFORM = "platform"
    """The platform checks requests, and no others reach the worker. So the worker may listen without tokens."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Facts about a platform. The defaults describe a worker that clients reach directly."""

    sync_limit_s: float | None = None
    """Seconds within which a synchronous request must get its response. After that the response is 202."""
    max_response_bytes: int | None = None
    """Largest allowed response body in bytes. A larger one is replaced by an error that names the alternatives."""
    output_urls: bool = True
    """Whether clients can open URLs of this worker. If not, outputs are delivered inline or to a bucket."""
    raw_answers: bool = True
    """Whether clients can receive a file as the response body. If not, every response is JSON."""
    job_urls: bool = True
    """Whether clients can send GET and DELETE to `/jobs/{id}`. If not, they POST id and token to the worker."""
    retries_server_errors: bool = False
    """Whether the platform's client retries a request forever while the status is 5xx."""
    drain_s: float | None = None
    """Seconds that the platform gives a worker to finish its jobs before it kills the process."""
    authenticates: Authenticator = Authenticator.WORKER

    def drain_within(self, wanted_s: float) -> float:
        """Return the seconds for which jobs may go on before the worker ends: those wanted, or the platform's limit."""
        return wanted_s if self.drain_s is None else min(wanted_s, self.drain_s)


DIRECT_TRAITS = Traits()


@dataclass(frozen=True, slots=True)
class Sdk:
    """A package that a platform needs: the `module` that the worker imports, and the `extra` that installs it."""

    distribution: str
    module: str
    extra: str


@dataclass(frozen=True, slots=True)
class Detection:
    """Whether the environment is that of a platform, and the evidence as part of a sentence.

    Without the platform, `evidence` names what is missing. `problem` says why the worker cannot start although the
    platform was found, and what to do.
    """

    found: bool
    evidence: str = ""
    problem: str = ""


class Platform(ABC):
    """A platform that runs workers. Implementations import their SDK inside their methods, to keep the start fast.

    `owned_variables` are prefixes of the names of variables that the platform sets at each start.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits] = DIRECT_TRAITS
    sdk: ClassVar[Sdk | None] = None
    owned_variables: ClassVar[tuple[str, ...]] = ()

    def detect(self, environ: Mapping[str, str]) -> Detection:
        """Return whether the environment has the platform's own variables.

        The default is for a platform that is only chosen by its name.
        """
        return Detection(found=False)

    @abstractmethod
    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Build a worker with this platform's traits and serve until cancelled, then drain.

        A platform builds the worker itself, because it may adjust the settings first, or run the worker in another
        process. Raises StartupError when it cannot serve, and RestartRequested after draining for a restart.
        """

    def gateway(self, settings: Settings, environ: Mapping[str, str]) -> Settings:
        """Return the settings with the address at which the gateway listens on this platform, for health checks.

        The default is for a platform that changes nothing. Raises StartupError for invalid variables.
        """
        return settings

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        """Report to the platform why the process ends. Never raises. The default does nothing."""
        return

    def check(self, environ: Mapping[str, str]) -> Sequence[CheckFinding]:
        """Return the findings of `comfy-worker doctor` about this platform's environment."""
        return ()

    def variables(self) -> Iterable[SettingRow]:
        """Return the platform's own environment variables, for `comfy-worker doctor --settings`."""
        return ()

    def links(self, state: Path) -> Mapping[Path, Path]:
        """Return paths outside the state folder and their targets in it, for the links that root creates at a start."""
        return {}
