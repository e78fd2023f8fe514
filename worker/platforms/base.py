"""The interface of a platform, and the facts about it that the rest of the worker asks for.

No module outside this folder asks which platform it runs on. Adding a platform adds one folder here and one line in
`worker.platforms.registry`; docs/platforms.md shows one.
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
    """Who checks that a request may ask for work."""

    WORKER = "worker"
    """The worker, by its tokens: without any it listens on this machine only."""
    PLATFORM = "platform"
    """The platform: no other request reaches the worker, so that it may listen without tokens."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Facts about a platform. The defaults are those of a worker that clients reach directly."""

    sync_limit_s: float | None = None
    """Longest time after which a synchronous request has to be answered; then the answer is 202."""
    largest_answer: int | None = None
    """Most bytes of an answer's body. A larger answer is replaced by an error that names the alternatives."""
    output_urls: bool = True
    """Clients can open URLs of this worker. Elsewhere outputs are delivered inline or to a bucket."""
    raw_answers: bool = True
    """Clients can take a file as the body of an answer. Elsewhere every answer is JSON, whatever they accept."""
    job_urls: bool = True
    """Clients can send GET and DELETE to `/jobs/{id}`. Elsewhere they POST id and token to the worker's own URL."""
    retries_server_errors: bool = False
    """The platform's client sends a request again, without end, when the status is 5xx."""
    drain_s: float | None = None
    """Most seconds that the platform gives a worker to finish its jobs before it kills the process."""
    authenticates: Authenticator = Authenticator.WORKER


REACHED_DIRECTLY = Traits()


@dataclass(frozen=True, slots=True)
class Sdk:
    """A package that a platform needs. `module` is the one that the worker imports; `extra` installs it."""

    distribution: str
    module: str
    extra: str


@dataclass(frozen=True, slots=True)
class Detection:
    """Whether the environment is that of a platform, and the evidence, as part of a sentence."""

    found: bool
    evidence: str = ""


class Platform(ABC):
    """A place where workers run. Implementations import their SDK inside their methods, so that a start is quick.

    `owned_variables` are the beginnings of the names of variables that the platform sets anew at each start.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits] = REACHED_DIRECTLY
    sdk: ClassVar[Sdk | None] = None
    owned_variables: ClassVar[tuple[str, ...]] = ()

    def detect(self, environ: Mapping[str, str]) -> Detection:
        """Look for the platform's own variables. A platform that is chosen only by name is never found."""
        return Detection(found=False)

    @abstractmethod
    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Build a worker with this platform's traits and serve until cancelled, then drain.

        A platform builds the worker itself, because it may adjust the settings first, or run the worker in another
        process. Raises StartupError where it cannot serve, RestartRequested after draining for a restart.
        """

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        """Report to the platform why the process ends. Never raises; does nothing where nobody listens."""
        return

    def check(self, environ: Mapping[str, str]) -> Sequence[CheckFinding]:
        """Return what `comfy-worker doctor` says about this platform's environment."""
        return ()

    def variables(self) -> Iterable[SettingRow]:
        """Return the platform's own environment variables, for `comfy-worker doctor --settings`."""
        return ()

    def links(self, state: Path) -> Mapping[Path, Path]:
        """Return the paths outside of the state folder that root links into it, with their targets."""
        return {}
