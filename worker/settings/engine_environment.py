"""The environment of a ComfyUI that the worker starts."""

from __future__ import annotations

from pydantic import SecretStr

from worker.settings.environment import environment
from worker.settings.settings import Settings

PLATFORM_SECRETS = frozenset({"MASTER_TOKEN", "CONTAINER_API_KEY", "VAST_API_KEY", "RUNPOD_API_KEY"})


def engine_environment() -> dict[str, str]:
    """Return the process's environment without the secrets of the worker and the platform.

    Node packs are other people's code. PYTHONSAFEPATH is removed too: with it `python main.py` does not find the
    modules beside main.py.
    """
    secret = {*PLATFORM_SECRETS, "PYTHONSAFEPATH"}
    for name, (_, field, _) in Settings.places().items():
        if name == "s3_access_key_id" or isinstance(field.default, SecretStr):
            secret |= {field.metadata["env"], *field.metadata["also"]}
    return {name: value for name, value in environment().items() if name not in secret}
