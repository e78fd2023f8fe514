"""Calls of a deployed class by Modal's own client, for a backend.

The client is one of Modal's with a thread and an event loop of its own. Every use here is its `.aio` form, which waits
in the caller's loop without blocking it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import SecretStr

from worker.errors import ModalRefused, ModalUnreachable, StartupError

WHOLE_METHOD, WORKFLOW_METHOD = "request", "run_workflow"
"""The method for a body of /generate/sync, and that of apps which do not have it yet."""
CONNECT_S = 20.0
"""Longest wait for the connection. Modal's client itself tries for a minute."""
CURE = "pip install 'comfy-worker[modal]'"
CANCELLED = re.compile(r"\bcancell?ed\b", re.IGNORECASE)
"""Matches the text of a result for an input that was cancelled before it ran."""
STAND_IN_LOGIN = "ak-local:as-local"


class CallEnd(Enum):
    """How a call has ended, apart from a returned value."""

    CANCELLED = auto()
    TIMED_OUT = auto()
    FAILED = auto()
    UNKNOWN = auto()
    """Modal does not know the call, or has deleted its result."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The end of a call: its value, or the way in which it ended with a text."""

    value: Any = None
    end: CallEnd | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ClassStats:
    """Numbers of a class: inputs that wait and run, and containers."""

    waiting: int
    running: int
    containers: int


class ModalClass:
    """A deployed class. The connection is made by the first use, and again after a failure."""

    def __init__(self, app: str, name: str, url: str = "", key: SecretStr | None = None) -> None:
        self._app, self._name = app, name
        self._url, self._key = url, key
        self._client: Any = None
        self._instance: Any = None
        self._lock = asyncio.Lock()

    @property
    def label(self) -> str:
        """The class as in `modal://app/Class`."""
        return f"{self._app}/{self._name}"

    async def spawn(self, method: str, *arguments: object, **named: object) -> str:
        """Start a call, and return its id. Raises ModalRefused, also for an unknown method, and ModalUnreachable."""
        instance = await self._connected()
        with _modal_errors(self.label):
            call = await getattr(instance, method).spawn.aio(*arguments, **named)
        return str(call.object_id)

    async def has(self, method: str) -> bool:
        """Return whether the deployed class has a method. Raises ModalRefused and ModalUnreachable."""
        import modal

        instance = await self._connected()
        try:
            getattr(instance, method)
        except modal.exception.NotFoundError:
            return False
        return True

    async def outcome(self, call_id: str, wait_s: float) -> CallOutcome | None:
        """Wait for the end of a call, and return it, or None if it has not ended after `wait_s`.

        Raises ModalUnreachable and ModalRefused.
        """
        import modal

        await self._connected()
        try:
            with _modal_errors(self.label):
                call = modal.FunctionCall.from_id(call_id, self._client)
                return CallOutcome(await call.get.aio(timeout=wait_s))
        except (ModalUnreachable, ModalRefused):
            raise
        except TimeoutError:
            return None
        except (Exception, modal.exception.InputCancellation) as error:  # noqa: BLE001 - also what the method raised
            return CallOutcome(end=_end_of(error), text=f"{type(error).__name__}: {error}")

    async def cancel(self, call_id: str) -> None:
        """Cancel a call. Raises ModalUnreachable and ModalRefused."""
        import modal

        await self._connected()
        with _modal_errors(self.label):
            await modal.FunctionCall.from_id(call_id, self._client).cancel.aio()

    async def stats(self) -> ClassStats:
        """Return the numbers of the class. Raises ModalUnreachable and ModalRefused."""
        instance = await self._connected()
        method = WHOLE_METHOD if await self.has(WHOLE_METHOD) else WORKFLOW_METHOD
        with _modal_errors(self.label):
            stats = await getattr(instance, method).get_current_stats.aio()
        return ClassStats(stats.backlog, stats.num_running_inputs, stats.num_total_runners)

    async def close(self) -> None:
        """Close the connection that was made here."""
        if self._client is not None and self._is_own:
            await self._client.close.aio()

    @property
    def _is_own(self) -> bool:
        """Whether the client is not the one that this process shares."""
        return bool(self._url or self._key)

    async def _connected(self) -> Any:  # noqa: ANN401 - Modal's classes have no common type
        """Return an instance of the class. Raises ModalRefused and ModalUnreachable."""
        import modal

        async with self._lock:
            if self._instance is None:
                try:
                    with _modal_errors(self.label):
                        async with asyncio.timeout(CONNECT_S):
                            self._client = self._client or await self._open()
                            found = modal.Cls.from_name(self._app, self._name, client=self._client)
                            await found.hydrate.aio()
                            self._instance = found()
                except modal.exception.NotFoundError as error:
                    raise ModalRefused(str(error), 404) from None
                except TimeoutError:
                    raise ModalUnreachable(f"Modal does not respond for {self.label}") from None
        return self._instance

    async def _open(self) -> Any:  # noqa: ANN401 - see above
        """Return a client: that of the environment, or one for the stand-in or the key of this backend."""
        import modal
        from modal_proto import api_pb2

        if not self._is_own:
            from_env: Any = modal.Client.from_env
            return await from_env.aio()
        key = self._key.get_secret_value() if self._key else STAND_IN_LOGIN
        token_id, _, secret = key.partition(":")
        login = (token_id, secret)
        if not self._url:
            return await modal.Client.from_credentials.aio(*login)
        # `from_credentials` takes the address from the environment alone, which is the same for the whole process.
        client = modal.client.Client(self._url, api_pb2.CLIENT_TYPE_CLIENT, login)
        opening: Any = client._open
        await opening.aio()
        return client


@asynccontextmanager
async def open_class(
    app: str, name: str, url: str = "", key: SecretStr | None = None
) -> AsyncIterator[tuple[ModalClass, bool]]:
    """Open a deployed class, and yield it with whether it takes whole requests.

    `url` is the address of a local stand-in. `key` is `TOKEN_ID:TOKEN_SECRET`, None for the variables of Modal's
    client. Raises StartupError without the SDK, for an unknown class, and for a key that Modal rejects.
    """
    try:
        import modal  # noqa: F401 - only whether it is installed
    except ImportError as error:
        raise StartupError(f"Modal's client cannot be imported: {error}. Install it with: {CURE}") from error
    deployed, takes_requests = ModalClass(app, name, url, key), True
    try:
        try:
            takes_requests = await deployed.has(WHOLE_METHOD)
        except ModalRefused as error:
            raise StartupError(f"the class {deployed.label} of Modal cannot be used: {error}") from None
        except ModalUnreachable:
            pass  # the caller gets it again with its first job
        yield deployed, takes_requests
    finally:
        await deployed.close()


@contextmanager
def _modal_errors(label: str) -> Iterator[None]:
    """Raise ModalUnreachable and ModalRefused for the errors of Modal's client."""
    import modal

    failures = modal.exception
    try:
        yield
    except (failures.ConnectionError, failures.ServiceError, failures.InternalError) as error:
        raise ModalUnreachable(f"Modal cannot be reached for {label}: {error}") from error
    except (failures.AuthError, failures.PermissionDeniedError) as error:
        raise ModalRefused(f"Modal rejects the token for {label}; check MODAL_TOKEN_ID", 401) from error
    except failures.ResourceExhaustedError as error:
        raise ModalRefused(f"Modal limits the calls of {label}", 429) from error


def _end_of(error: BaseException) -> CallEnd:
    """Return how a call has ended whose `get` raises this error."""
    import modal

    failures = modal.exception
    if isinstance(error, failures.NotFoundError | failures.OutputExpiredError | failures.InvalidError):
        return CallEnd.UNKNOWN
    if isinstance(error, failures.FunctionTimeoutError):
        return CallEnd.TIMED_OUT
    if isinstance(error, failures.InputCancellation):
        return CallEnd.CANCELLED
    # The client does not show the status of a result. A container sends that of a cancelled input without a text.
    text = str(error)
    is_cancelled = isinstance(error, failures.RemoteError) and (not text or CANCELLED.search(text))
    return CallEnd.CANCELLED if is_cancelled else CallEnd.FAILED


def as_response(value: object) -> Mapping[str, Any] | None:
    """Return the value of a call if it has the form of `request`: `{"status", "body"}`."""
    is_response = isinstance(value, Mapping) and isinstance(value.get("status"), int) and "body" in value
    return value if is_response else None  # type: ignore[return-value]
