"""Data that a request sends beside its workflow, as ComfyUI's own clients do."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

KEY_DESCRIPTION = "Your comfy.org key for partner nodes. It is never logged or stored."


class ExtraDataFields(BaseModel):
    """ComfyUI's `extra_data`. Unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore")

    extra_pnginfo: dict[str, Any] | None = Field(
        None,
        description="Data for nodes, which save nodes write into their files. `workflow` is the file of the editor.",
    )
    api_key_comfy_org: SecretStr | None = Field(None, description=KEY_DESCRIPTION)

    @field_validator("extra_pnginfo")
    @classmethod
    def _workflow_is_an_object(cls, pnginfo: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the data, without a `workflow` that is null, on which some nodes fail.

        Raises ValueError for a `workflow` of another type than object.
        """
        if pnginfo is None or isinstance(pnginfo.get("workflow", {}), dict):
            return pnginfo
        if pnginfo["workflow"] is not None:
            raise ValueError("'workflow' must be the object that ComfyUI's editor saves")
        return {name: value for name, value in pnginfo.items() if name != "workflow"}
