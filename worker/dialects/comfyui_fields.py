"""Fields that ComfyUI's own clients send to `POST /prompt`, and what they mean here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, field_validator

from worker.errors import Detail, InvalidField
from worker.workflow.prompt import Prompt, ancestors


class ComfyFields(BaseModel):
    """Fields of ComfyUI's `POST /prompt` that the native dialect does not have itself."""

    client_id: Any = Field(None, description="ComfyUI's client id. It is ignored, because events are requested by job.")
    prompt_id: str | None = Field(None, description="ComfyUI's name for `id`.")
    number: float | None = Field(
        None, description="ComfyUI's position in the queue. It is ignored: jobs run in the order in which they arrive."
    )
    front: bool | None = Field(
        None, description="ComfyUI's option to run next. It is ignored: jobs run in the order in which they arrive."
    )
    partial_execution_targets: list[str] | None = Field(
        None, description="Output nodes of an API prompt. Only these and the nodes that they need are run."
    )

    @field_validator("prompt_id", mode="before")
    @classmethod
    def _id_as_text(cls, value: object) -> object:
        """Return an integer as text. Other values do not change."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("partial_execution_targets", mode="before")
    @classmethod
    def _ids_as_texts(cls, value: object) -> object:
        """Return the items of a list as texts, because node ids may be numbers. Other values do not change."""
        return [str(item) for item in value] if isinstance(value, list) else value


def order_warnings(fields: ComfyFields) -> tuple[Detail, ...]:
    """Return a warning for each field that requests another position in the queue."""
    return tuple(
        Detail(f"{name!r} has no effect here: jobs run in the order in which they arrive.", input=name)
        for name in ("front", "number")
        if getattr(fields, name)
    )


def job_id(native_id: str | None, prompt_id: str | None) -> str | None:
    """Return the id that the client chose, in the field `id` or `prompt_id`, or None.

    Raises InvalidField if the two differ.
    """
    if native_id and prompt_id and native_id != prompt_id:
        raise InvalidField("'id' and 'prompt_id' mean the same and have different values: leave one of them out")
    return native_id or prompt_id or None


def with_targets(prompt: Prompt, targets: Sequence[str]) -> Prompt:
    """Return these nodes of a prompt and the nodes that they need.

    Raises InvalidField for an unknown node, and if there are no targets.
    """
    unknown = [target for target in targets if target not in prompt]
    if unknown or not targets:
        problem = f"names no node of the prompt: {', '.join(unknown)[:200]}" if unknown else "is empty"
        name = "partial_execution_targets"
        raise InvalidField(f"{name!r} {problem}", [Detail(problem, input=name, suggestion="leave it out to run all")])
    needed = {*targets, *ancestors(prompt, *targets)}
    return {node_id: node for node_id, node in prompt.items() if node_id in needed}
