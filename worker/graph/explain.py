"""ComfyUI's validation errors, told so that the author of a workflow can act on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.graph.catalog import Catalog
from worker.graph.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what would probably be right."""

    node_id: str | None
    node_title: str | None
    class_type: str | None
    input: str | None
    message: str
    suggestion: str | None
    comfyui_type: str


def explain(
    error: Mapping[str, object] | None,
    node_errors: Mapping[str, object],
    prompt: Prompt,
    catalog: Catalog | None = None,
) -> tuple[Problem, ...]:
    """Turn the JSON of a refusal (`error`, `node_errors`; also of a 200 with node errors) into problems.

    Reads foreign JSON leniently: what is missing or of another shape is left out, nothing is raised.
    """
    raise NotImplementedError
