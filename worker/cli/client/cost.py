"""The cost of a request, which Vast's client announces to the router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.cli.client.workflow_file import prompt_in
from worker.errors import CannotConvert, ClientError, PromptError
from worker.inputs import read_inputs
from worker.inputs.content.sizes import sizes_in_request
from worker.job import JobRequest
from worker.load.workload import FLOOR, workload
from worker.workflow.catalog.catalog import bundled_catalog


def cost_of(request: Mapping[str, Any]) -> float:
    """Return the units of a native request with a workflow, by its body alone, as the worker computes them.

    An invalid request has the least cost, because the worker reports the problem.
    """
    try:
        prompt = prompt_in(request["workflow"])
        files, urls = read_inputs(request.get("inputs") or {})
    except (PromptError, CannotConvert, ClientError):
        return FLOOR
    sizes = sizes_in_request(JobRequest(prompt=dict(prompt), urls=urls), files, bundled_catalog())
    return workload(prompt, sizes=sizes)
