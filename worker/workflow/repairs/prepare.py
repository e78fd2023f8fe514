"""The prompt that a job runs, made of the one that its request brought: seeds drawn, and repaired."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from random import Random

from worker.extra_data import ExtraData
from worker.job import JobRequest, RandomInteger
from worker.prompt_changes import Repair, SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, draw_random_integers
from worker.workflow.repairs.repair import repair
from worker.workflow.repairs.saved_seeds import with_seeds
from worker.workflow.repairs.seeds import draw_seeds


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """`fields` are the inputs that have fresh seeds, `seeds` these seeds."""

    prompt: Prompt
    repairs: tuple[Repair, ...]
    fields: tuple[SeedField, ...]
    seeds: tuple[RandomInteger, ...]


def prepare_prompt(request: JobRequest, catalog: Catalog, own: Container[str], rng: Random) -> PreparedPrompt:
    """Return what would run for a request whose prompt has the shape of one. `own` are the names of its files."""
    if request.strict:
        return PreparedPrompt(request.prompt, (), (), ())
    keep = request.keep_seeds
    fields = () if keep else request.seed_fields
    prompt, saved = draw_seeds(request.prompt, fields, rng) if fields else (request.prompt, ())
    # A template has its own rules for the seed.
    repaired = repair(prompt, catalog, own=own, keep_seeds=keep or request.template is not None)
    prompt, invalid = draw_seeds(repaired.prompt, repaired.seeds, rng) if repaired.seeds else (repaired.prompt, ())
    return PreparedPrompt(prompt, repaired.repairs, (*fields, *repaired.seeds), (*saved, *invalid))


def prepare_request(request: JobRequest, catalog: Catalog, own: Container[str], rng: Random) -> JobRequest:
    """Return the request with the prompt that runs, and with everything that is not as it was sent."""
    drawn: list[RandomInteger] = []
    request = replace(request, prompt=dict(draw_random_integers(request.prompt, rng, drawn)))
    ready = prepare_prompt(request, catalog, own, rng)
    values = {(seed.node_id, seed.input): seed.value for seed in ready.seeds}
    return replace(
        request,
        prompt=dict(ready.prompt),
        random_integers=tuple(drawn),
        repairs=tuple(_with_seed(one, values) for one in ready.repairs),
        seeds=ready.seeds,
        extra=_with_saved(request, ready) if ready.seeds else request.extra,
    )


def _with_saved(request: JobRequest, ready: PreparedPrompt) -> ExtraData:
    """What goes beside the prompt, with the drawn seeds in the editor's file."""
    workflow = (request.extra.pnginfo or {}).get("workflow")
    if not isinstance(workflow, dict) or not request.seed_fields:
        return request.extra
    return request.extra.with_workflow(with_seeds(workflow, request.prompt, request.seed_fields, ready.seeds))


def _with_seed(one: Repair, values: dict[tuple[str, str], int]) -> Repair:
    return replace(one, runs=values.get((one.node_id, one.input or ""), one.runs))
