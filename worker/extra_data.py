"""What goes to ComfyUI beside a prompt, as its editor sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

API_KEY = "api_key_comfy_org"
"""What ComfyUI calls the comfy.org key in a submission."""


@dataclass(frozen=True, slots=True)
class ExtraData:
    """What ComfyUI gets beside the prompt, as its editor sends it."""

    pnginfo: Mapping[str, Any] | None = field(default=None, repr=False)
    """`extra_pnginfo`, as the editor's `workflow`: nodes read it, and savers write each key into their files."""
    api_key: SecretStr | None = field(default=None, repr=False)
    """The client's comfy.org key: never journaled, forgotten at the end."""
    own_api_key: bool = False
    """True where the client sent a key, even when it is not known any more."""

    @property
    def lost_api_key(self) -> bool:
        """The client sent a key, and it was lost with the process that had it."""
        return self.own_api_key and self.api_key is None

    @property
    def has_workflow(self) -> bool:
        """Whether the client sent what the editor saves."""
        return self.pnginfo is not None and "workflow" in self.pnginfo

    @property
    def editor_workflow(self) -> object:
        """What the editor saves of the workflow, None where the client did not send it."""
        return (self.pnginfo or {}).get("workflow")

    def with_workflow(self, workflow: Mapping[str, Any]) -> ExtraData:
        """Return a copy with this as the editor's file."""
        return replace(self, pnginfo={**(self.pnginfo or {}), "workflow": workflow})

    def submission_data(self, operators_key: SecretStr) -> dict[str, Any]:
        """Return the `extra_data` of a submission, in which the key is still a secret.

        What there is not is left out: ComfyUI's /api/jobs breaks on a null. The operator's key is for jobs that came
        without one.
        """
        data: dict[str, Any] = {} if self.pnginfo is None else {"extra_pnginfo": self.pnginfo}
        key = operators_key if not self.own_api_key else self.api_key
        return {**data, API_KEY: key} if key else data
