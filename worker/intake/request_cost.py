"""The cost of a request, which clients of Vast announce to the router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from worker.dialects import detect
from worker.errors import CannotConvert, ClientError, PromptError
from worker.inputs.content.sizes import sizes_in_request
from worker.load.workload import FLOOR, workload
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.editor import convert, is_ui
from worker.workflow.prompt import Prompt, parse_prompt, unwrap
from worker.workflow.templates.library import SHIPPED, read_library
from worker.workflow.templates.template import Library


def cost_of(request: Mapping[str, Any]) -> float:
    """Return the units of a request in any dialect, by its body alone, as the worker computes them. Blocks.

    An invalid request has the least cost, because the worker reports the problem. So has the call of a handler, whose
    units only the worker learns.
    """
    try:
        parsed = detect(request).read(request, shipped_library())
        prompt = prompt_in(parsed.job.prompt)
    except (PromptError, CannotConvert, ClientError):
        return FLOOR
    sizes = sizes_in_request(replace(parsed.job, prompt=dict(prompt)), parsed.files, bundled_catalog())
    return workload(prompt, sizes=sizes)


def prompt_in(workflow: object) -> Prompt:
    """Return the prompt of a workflow in either format, with the node classes of the bundled catalog.

    Raises PromptError when it is not a workflow, and CannotConvert when the editor's format cannot be converted.
    """
    unwrapped = unwrap(workflow)
    return convert(unwrapped, bundled_catalog()).prompt if is_ui(unwrapped) else parse_prompt(unwrapped)


@lru_cache(maxsize=1)
def shipped_library() -> Library:
    """Return the templates of this package."""
    return read_library(SHIPPED)
