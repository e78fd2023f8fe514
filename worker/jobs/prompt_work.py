"""Computes the work of prompts with what this worker knows: the engine's catalog and the sizes of its model files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from worker.engine.pool import EnginePool
from worker.load.features.ancestry import ancestry, without_input_files
from worker.load.features.content_size import Size
from worker.load.features.prompt_graph import PromptGraph
from worker.load.node_work import JobWork
from worker.load.work import job_work
from worker.models.sizes import ModelSizes
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.model_needs import Downloads, ModelNeed, needed_models
from worker.workflow.prompt import Prompt
from worker.workflow.walk import run_off_loop_if_large

NO_SIZES: Mapping[str, Size] = {}
NO_DOWNLOADS: Downloads = {}


@dataclass(frozen=True, slots=True)
class PromptWork:
    """Computes the work of prompts."""

    engines: EnginePool
    model_sizes: ModelSizes

    async def of(self, prompt: Prompt, sizes: Mapping[str, Size] = NO_SIZES) -> JobWork:
        """Return the work of a prompt, in a thread if it is large. `sizes` are those of input files, by their texts.

        Before a catalog is known, nodes that do not run count too.
        """
        catalog = self.engines.known_catalog
        if catalog is None:
            return await run_off_loop_if_large(prompt, lambda: _without_files(prompt, job_work(prompt, None, sizes)))
        return (await self.with_models(prompt, catalog, sizes))[1]

    async def of_prepared(self, prompt: Prompt, prepared: Prompt, sizes: Mapping[str, Size]) -> JobWork:
        """Return the work of a prompt whose files are there. `prepared` is what ComfyUI gets, with their paths."""
        work = await self.of(prompt, sizes)
        hashes = await run_off_loop_if_large(prepared, lambda: ancestry(PromptGraph(prepared)))
        return replace(work, ancestry=hashes)

    async def with_models(
        self, prompt: Prompt, catalog: Catalog, sizes: Mapping[str, Size], known: Downloads = NO_DOWNLOADS
    ) -> tuple[list[ModelNeed], JobWork]:
        """Return the models that a prompt needs, and its work. `known` are sources of models."""

        def compute() -> tuple[list[ModelNeed], JobWork]:
            needs = list(needed_models(prompt, catalog, known))
            return needs, _without_files(prompt, job_work(prompt, catalog, sizes, self.model_sizes.of(needs)))

        return await run_off_loop_if_large(prompt, compute)


def _without_files(prompt: Prompt, work: JobWork) -> JobWork:
    """Return the work of a prompt whose files are not placed yet: no result that depends on one is cached."""
    return replace(work, ancestry=without_input_files(PromptGraph(prompt), work.ancestry))
