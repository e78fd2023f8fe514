"""Builds the prompt that a job runs from the prompt of its request: draws seeds and applies repairs."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from random import Random

from worker.extra_data import ExtraData
from worker.job import JobRequest
from worker.prompt_changes import RandomInteger, Repair, SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, draw_random_integers
from worker.workflow.repairs.repair import repair
from worker.workflow.repairs.saved_seeds import with_seeds
from worker.workflow.repairs.seeds import draw_seeds


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """A prompt that can run. `fields` are the inputs with a newly drawn seed, `seeds` the drawn seeds."""

    prompt: Prompt
    repairs: tuple[Repair, ...]
    fields: tuple[SeedField, ...]
    seeds: tuple[RandomInteger, ...]


def prepare_prompt(request: JobRequest, catalog: Catalog, own_files: Container[str], rng: Random) -> PreparedPrompt:
    """Return the prompt that would run for a request, with repairs and random seeds. The request is not changed.

    `own_files` are the names of the request's files, which no repair changes. A strict request keeps its prompt.
    """
    if request.strict:
        return PreparedPrompt(request.prompt, repairs=(), fields=(), seeds=())
    fields = () if request.keep_seeds else request.seed_fields
    prompt, drawn = request.prompt, list[RandomInteger]()
    if fields:
        prompt, seeds = draw_seeds(prompt, fields, rng)
        drawn += seeds
    # A template has its own rules for the seed.
    keep_seeds = request.keep_seeds or request.template is not None
    repaired = repair(prompt, catalog, own_files=own_files, keep_seeds=keep_seeds)
    prompt = repaired.prompt
    if repaired.seeds:
        prompt, seeds = draw_seeds(prompt, repaired.seeds, rng)
        drawn += seeds
    return PreparedPrompt(prompt, repaired.repairs, (*fields, *repaired.seeds), tuple(drawn))


def prepare_request(request: JobRequest, catalog: Catalog, own_files: Container[str], rng: Random) -> JobRequest:
    """Return the request with the prompt that runs, and with the repairs, seeds and random integers of this prompt.

    `own_files` are the names of the request's files, which no repair changes.
    """
    drawn: list[RandomInteger] = []
    request = replace(request, prompt=dict(draw_random_integers(request.prompt, rng, drawn)))
    prepared = prepare_prompt(request, catalog, own_files, rng)
    values = {(seed.node_id, seed.input): seed.value for seed in prepared.seeds}
    return replace(
        request,
        prompt=dict(prepared.prompt),
        random_integers=tuple(drawn),
        repairs=tuple(_with_seed(change, values) for change in prepared.repairs),
        seeds=prepared.seeds,
        extra=_extra_with_seeds(request, prepared) if prepared.seeds else request.extra,
    )


def _extra_with_seeds(request: JobRequest, prepared: PreparedPrompt) -> ExtraData:
    """Return the extra data of a request, with the drawn seeds in the editor's workflow, if the request has one."""
    workflow = (request.extra.pnginfo or {}).get("workflow")
    if not isinstance(workflow, dict) or not request.seed_fields:
        return request.extra
    return request.extra.with_workflow(with_seeds(workflow, request.prompt, request.seed_fields, prepared.seeds))


def _with_seed(change: Repair, values: dict[tuple[str, str], int]) -> Repair:
    """Return a repair with the seed that was drawn for its input as the value that runs.

    `values` are the drawn seeds by (node id, input). Other repairs are returned unchanged.
    """
    return replace(change, runs=values.get((change.node_id, change.input or ""), change.runs))
