"""What the registry knows of a kind of storage: how requests name a place of it, and who opens such places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from worker.delivery_options import DeliveryTarget
from worker.events import DeliveryMethod
from worker.fetch.guard import Guard
from worker.job import Output
from worker.settings import Settings
from worker.storage.base import Storage


class StorageProvider(Protocol):
    """Opens places of one kind, for as long as the worker lives. A target is of the kind's own class."""

    def check(self, target: Any) -> None:  # noqa: ANN401
        """Refuse what can be refused before anything is queued. Raises TargetNotAllowed, UrlRefused."""
        ...

    def open(self, target: Any, outputs: Sequence[Output]) -> Storage:  # noqa: ANN401
        """Return a client's place. `outputs` are those of the job that have a file, in the order of the answer.

        Raises DeliveryRefused.
        """
        ...

    def operator_storage(self) -> Storage | None:
        """Return the operator's place of this kind, or None where the settings name none. Raises StartupError."""
        ...


@dataclass(frozen=True, slots=True)
class StorageKind:
    """`name` is the field of a native request, and `field` its type and pydantic's Field: its part of the OpenAPI
    description. `target` makes the field's value a `target_type`."""

    name: str
    field: tuple[Any, Any]
    target: Callable[[Any], DeliveryTarget]
    target_type: type[DeliveryTarget]
    way: DeliveryMethod
    provider: Callable[[Settings, Guard], AbstractAsyncContextManager[StorageProvider]]
    """The guard reaches the hosts to which requests may send outputs, and no others."""
