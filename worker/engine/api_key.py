"""The comfy.org API key: the prompts that need one, and its removal from messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from worker.errors import ApiKeyLost
from worker.extra_data import API_KEY, ExtraData
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

KEY_TYPE = "API_KEY_COMFY_ORG"
"""Type of the hidden input through which a node receives the key."""
HIDDEN = "***"
"""Replacement for the key in messages."""


def takes_api_key(prompt: Prompt, catalog: Catalog) -> bool:
    """Return whether a node of the prompt has a hidden input that receives the comfy.org key."""
    return any(catalog.classes_with_hidden_input((node["class_type"] for node in prompt.values()), KEY_TYPE))


def check_api_key(extra: ExtraData, prompt: Prompt, catalog: Catalog) -> None:
    """Raise ApiKeyLost when the prompt needs the client's key and a restart of the worker has lost it."""
    if extra.lost_api_key and takes_api_key(prompt, catalog):
        raise ApiKeyLost(
            "the worker was restarted and has lost your comfy.org key, which it never stores; send the request again"
        )


def without_key(text: str, data: Mapping[str, Any]) -> str:
    """Return `text` with the comfy.org key in `data` replaced by `***`.

    Nodes may quote their inputs in the messages of exceptions. `data` is the `extra_data` of the submission.
    """
    key = data.get(API_KEY)
    return text.replace(key.get_secret_value(), HIDDEN) if isinstance(key, SecretStr) else text
