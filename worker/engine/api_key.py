"""The comfy.org key: which prompts need one, and where it must not appear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from worker.errors import ApiKeyLost
from worker.extra_data import API_KEY, ExtraData
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

KEY_TYPE = "API_KEY_COMFY_ORG"
"""Type of the hidden input in which a node gets the key."""
HIDDEN = "***"


def takes_api_key(prompt: Prompt, catalog: Catalog) -> bool:
    """Whether a node of the prompt gets the key."""
    return any(catalog.classes_with_hidden_input((node["class_type"] for node in prompt.values()), KEY_TYPE))


def check_api_key(extra: ExtraData, prompt: Prompt, catalog: Catalog) -> None:
    """Raise ApiKeyLost for a prompt that needs a key which was lost."""
    if extra.lost_api_key and takes_api_key(prompt, catalog):
        raise ApiKeyLost(
            "the worker was restarted and your comfy.org key is gone, because it is never written down;"
            " send the request again"
        )


def without_key(text: str, data: Mapping[str, Any]) -> str:
    """Return a node's text without the key that was sent beside its prompt: nodes quote what they were given."""
    key = data.get(API_KEY)
    return text.replace(key.get_secret_value(), HIDDEN) if isinstance(key, SecretStr) else text
