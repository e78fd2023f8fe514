"""Settings of a worker on Modal: variables that Modal sets in a container, and one that an operator may set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.platforms.platform_settings import PlatformSettings
from worker.settings import setting


class ModalLogin(StrEnum):
    """The side that checks requests to the URL of the web server."""

    WORKER = "worker"
    """The worker checks its tokens. They come in `Authorization`, or in `X-Worker-Token` beside Modal's headers."""
    PLATFORM = "platform"
    """Modal checks `Modal-Key` and `Modal-Secret` (`requires_proxy_auth=True`). The worker needs no tokens."""


@dataclass(frozen=True, slots=True)
class ModalSettings(PlatformSettings):
    """Settings from the environment."""

    task_id: str = setting("MODAL_TASK_ID", "", "id of the container (set by Modal)")
    image_id: str = setting("MODAL_IMAGE_ID", "", "id of the image (set by Modal)")
    region: str = setting("MODAL_REGION", "", "region of the container (set by Modal)")
    environment: str = setting("MODAL_ENVIRONMENT", "", "Modal's environment of the app (set by Modal)")
    login: ModalLogin = setting(
        "WORKER_MODAL_LOGIN",
        ModalLogin.WORKER,
        "who checks requests: `worker`, with WORKER_TOKENS, or `platform`, if the app sets `requires_proxy_auth=True`",
    )
