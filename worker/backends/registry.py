"""Opens backends by the kind of their URL. A new kind is one folder here and one line in OPENERS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from worker.backends.base import Backend
from worker.backends.http.open import open_http
from worker.backends.local.open import open_local
from worker.backends.modal.open import open_modal
from worker.backends.runpod.open import open_runpod
from worker.backends.settings import BackendSettings
from worker.backends.vast.open import open_vast

Opener = Callable[[BackendSettings], AbstractAsyncContextManager[Backend]]

OPENERS: Mapping[str, Opener] = {
    "http": open_http,
    "local": open_local,
    "vast": open_vast,
    "runpod": open_runpod,
    "modal": open_modal,
}
"""Functions that open a backend, by its kind."""


def open_backend(settings: BackendSettings) -> AbstractAsyncContextManager[Backend]:
    """Open a backend. Entering the context raises StartupError if that fails for a reason that a retry cannot change.

    A backend that is only unreachable opens, and its operations raise BackendUnreachable.
    """
    return OPENERS[settings.kind](settings)
