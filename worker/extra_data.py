"""The data that goes to ComfyUI beside a prompt, as its editor sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

API_KEY = "api_key_comfy_org"
"""ComfyUI's name for the comfy.org key in a submission."""


@dataclass(frozen=True, slots=True)
class ExtraData:
    """The data that goes to ComfyUI beside a prompt, as its editor sends it."""

    pnginfo: Mapping[str, Any] | None = field(default=None, repr=False)
    """`extra_pnginfo`, such as the editor's `workflow`. Nodes read it, and savers write each key into their files."""
    api_key: SecretStr | None = field(default=None, repr=False)
    """The client's comfy.org key. It is never stored, and dropped when the job ends."""
    own_api_key: bool = False
    """Whether the client sent a key, even if it is lost."""

    @property
    def lost_api_key(self) -> bool:
        """Whether the client sent a key that was lost in a restart of the worker."""
        return self.own_api_key and self.api_key is None

    @property
    def has_workflow(self) -> bool:
        """Whether the client sent the editor's workflow."""
        return self.pnginfo is not None and "workflow" in self.pnginfo

    @property
    def editor_workflow(self) -> object:
        """The editor's workflow, None if the client did not send it."""
        return (self.pnginfo or {}).get("workflow")

    def with_workflow(self, workflow: Mapping[str, Any]) -> ExtraData:
        """Return a copy with this editor's workflow."""
        return replace(self, pnginfo={**(self.pnginfo or {}), "workflow": workflow})

    def submission_data(self, operators_key: SecretStr) -> dict[str, Any]:
        """Return the `extra_data` of a submission to ComfyUI, with the comfy.org key as `SecretStr`.

        `operators_key` is used if the client sent no key. If the client's key was lost, no key is sent. Missing values
        are left out, because ComfyUI's /api/jobs fails on a null.
        """
        data: dict[str, Any] = {} if self.pnginfo is None else {"extra_pnginfo": self.pnginfo}
        key = operators_key if not self.own_api_key else self.api_key
        return {**data, API_KEY: key} if key else data
