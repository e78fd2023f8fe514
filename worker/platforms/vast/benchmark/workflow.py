"""Chooses the workflow of the benchmark: a file, a template with its defaults, or the packaged one without models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import SystemRandom
from typing import Any

import orjson

from worker.errors import CannotConvert, StartupError
from worker.load.workload import workload
from worker.platforms.vast.benchmark.choice import CURE, PACKAGED
from worker.platforms.vast.benchmark.samples import sample_uri
from worker.platforms.vast.benchmark.template_values import benchmark_values
from worker.workflow.embedded_metadata import extract_workflow
from worker.workflow.json_value import Json
from worker.workflow.prompt import RANDOM_INTEGER
from worker.workflow.templates.fill import RANDOM_SEED, fill
from worker.workflow.templates.template import Library, ParameterKind, Template

MOST_UNITS = 90.0
"""Largest size of a template's job. It takes this many seconds on the reference GPU."""
SEEDS = ("seed", "noise_seed")
"""Inputs that are drawn for each run of a workflow from a file."""


@dataclass(frozen=True, slots=True)
class BenchmarkWorkflow:
    """A workflow to measure. `name` describes it for the log.

    `identity` distinguishes it from other workflows. `payload` returns a request body with new seeds and input files,
    in the form of Vast's stock template, which can leave out all outputs.
    """

    name: str
    identity: bytes
    payload: Callable[[], dict[str, Any]]


def read_workflow(name: str, library: Library) -> BenchmarkWorkflow:
    """Return the workflow that `chosen_name` has chosen.

    Raises StartupError when it is neither a template nor a file that can be read.
    """
    if name in library:
        return _of_template(library[name])
    if name == PACKAGED:
        text = files(__package__).joinpath("packaged.json").read_bytes()
    else:
        try:
            text = Path(name).read_bytes()
        except OSError as error:
            reason = f"it is no template, and the file {name} cannot be read: {error.strerror}"
            raise StartupError(f"WORKER_BENCHMARK: {reason}; {CURE}") from error
    try:
        workflow = extract_workflow(text)
    except CannotConvert as error:
        raise StartupError(f"WORKER_BENCHMARK: cannot read {name}: {error}") from error
    if not isinstance(workflow, dict):
        raise StartupError(f"WORKER_BENCHMARK: {name} is not a workflow in API format")
    body = {"input": {"workflow_json": _with_drawn_seeds(workflow)}}
    return BenchmarkWorkflow(name, orjson.dumps(workflow, option=orjson.OPT_SORT_KEYS), lambda: body)


def _with_drawn_seeds(workflow: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow in API format in which each seed is drawn for each run. Another format stays as it is.

    With the same seed, ComfyUI would have the results cached.
    """
    drawn = dict(workflow)
    for node_id, node in workflow.items():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        if isinstance(inputs, dict):
            seeds = {name: RANDOM_INTEGER for name in SEEDS if isinstance(inputs.get(name), int)}
            drawn[node_id] = {**node, "inputs": {**inputs, **seeds}}
    return drawn


def _of_template(template: Template) -> BenchmarkWorkflow:
    """Return the workflow of a template, with its defaults and with samples as its files."""
    kinds = {parameter.name: parameter.type for parameter in template.parameters if not parameter.without}
    file_kinds = {name: kind for name, kind in kinds.items() if kind.is_file}
    seeds = {parameter.name: RANDOM_SEED for parameter in template.parameters if parameter.type is ParameterKind.SEED}
    names = dict.fromkeys(file_kinds, "sample.bin")

    def units_of(values: Mapping[str, Json]) -> float:
        return workload(fill(template, {**names, **values}, lambda _: 0).prompt)

    values = benchmark_values(template, MOST_UNITS, units_of)
    prompt = fill(template, {**names, **values}, lambda _: 0).prompt
    cuts = ", ".join(f"{name} {value:g}" for name, value in values.items() if isinstance(value, int | float))

    def payload() -> dict[str, Any]:
        rng = SystemRandom()
        samples = {name: sample_uri(kind, rng) for name, kind in file_kinds.items()}
        return {"input": {"modifier": template.name, "modifications": {**values, **seeds, **samples}}}

    name = f"template {template.name}{f' with {cuts}' if cuts else ''}"
    return BenchmarkWorkflow(name, orjson.dumps(prompt, option=orjson.OPT_SORT_KEYS), payload)
