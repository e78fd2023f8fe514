"""Description of a kind of storage: its field in a request, and the provider that opens it."""

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
    """Opens storages of one kind, from the start of the worker to its end.

    `target` is an instance of the kind's own class.
    """

    def check(self, target: Any) -> None:  # noqa: ANN401
        """Check a target before the job is queued. Raises TargetNotAllowed or UrlRefused if it may not be used."""
        ...

    def open(self, target: Any, outputs: Sequence[Output]) -> Storage:  # noqa: ANN401
        """Return the client's storage. `outputs` are the outputs that have a file, in the order of the response.

        Raises DeliveryRefused if the target cannot take them, for example without credentials.
        """
        ...

    def operator_storage(self) -> Storage | None:
        """Return the operator's storage of this kind, or None if the settings name none.

        Raises StartupError if it cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class StorageKind:
    """A kind of storage that requests can name.

    - `name`: the field of a native request.
    - `field`: type and pydantic `Field` of that field, which also describe it in the OpenAPI document.
    - `target`: converts the value of the field to a `target_type`.
    """

    name: str
    field: tuple[Any, Any]
    target: Callable[[Any], DeliveryTarget]
    target_type: type[DeliveryTarget]
    method: DeliveryMethod
    provider: Callable[[Settings, Guard], AbstractAsyncContextManager[StorageProvider]]
    """Opens the provider. The guard connects only to hosts that WORKER_S3_ALLOWED_HOSTS allows."""
